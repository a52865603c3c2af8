//! One rule applied to one cart: its conditions, and the discounts of the lines.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::allocate::{allocate, mul_div_half_up};
use super::basket::{Basket, LineDiscounts};
use super::bundle::{BundleRequirement, UnitGroup, match_bundle};
use super::cart::{Cart, CartLine};
use super::code_rejection::CodeRejection;
use super::evaluation::DiscountMaximum;
use super::price_rule::PriceRule;
use super::price_rule_parts::{
    AllocationMethod, DiscountValue, QuantityRatio, TargetSelection, TargetType,
};
use crate::amount::{Amount, Rate};

/// A rule whose conditions the cart satisfies.
pub(super) struct Plan<'a> {
    pub(super) rule: &'a PriceRule,
    value: MinorValue,
    target: Target,
    /// The rule's `maximum_discount` in minor units.
    maximum: Option<u64>,
    /// The rule's `maximum_share` of the cart, in minor units.
    maximum_share: Option<u64>,
}

/// The value of a rule: minor units, or millionths of a percent.
#[derive(Clone, Copy)]
enum MinorValue {
    Fixed(u64),
    Percent(u64),
}

/// The lines that a rule discounts.
enum Target {
    /// Lines, by index.
    Lines(Vec<usize>),
    /// Units discounted for units bought.
    Bundle { groups: Vec<UnitGroup>, requirement: BundleRequirement, entitled_quantity: u64 },
    /// Shipping lines, by index.
    Shipping(Vec<usize>),
}

/// The reason why a rule has no plan for a cart.
pub(super) enum PlanError {
    /// The cart does not satisfy the rule's conditions.
    Rejected(CodeRejection),
    /// The rule's amounts are not whole minor units of the cart's currency.
    OtherCurrency,
}

impl From<CodeRejection> for PlanError {
    fn from(rejection: CodeRejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<'a> Plan<'a> {
    /// Checks the rule's conditions on the cart before any discount.
    pub(super) fn new(
        rule: &'a PriceRule,
        cart: &Cart,
        basket: &Basket,
    ) -> Result<Self, PlanError> {
        let value = match rule.discount_value() {
            DiscountValue::Fixed(amount) => MinorValue::Fixed(minor_units(basket, amount)?),
            DiscountValue::Percent(percent) => MinorValue::Percent(u64::from(percent)),
        };

        let target = match rule.parts().target_type {
            TargetType::ShippingLine => {
                check_minimums(rule, cart, basket, |_| true)?;
                Target::Shipping(find_shipping_lines(rule, cart)?)
            }
            TargetType::LineItem => line_target(rule, cart, basket)?,
        };

        let parts = rule.parts();
        let maximum = parts.maximum_discount.map(|maximum| minor_units(basket, maximum));
        let maximum_share = parts.maximum_share.map(|share| share_of_goods(share, cart, basket));
        let plan = Self {
            rule,
            value,
            target,
            maximum: maximum.transpose()?,
            maximum_share,
        };
        if matches!(plan.target, Target::Bundle { .. })
            && plan.line_discounts(basket).applications == 0
        {
            return Err(CodeRejection::PrerequisitesNotMet.into());
        }
        Ok(plan)
    }

    /// Returns the rule's discounts on the remaining amounts of the basket.
    pub(super) fn line_discounts(&self, basket: &Basket) -> LineDiscounts {
        match &self.target {
            Target::Lines(indexes) => match self.rule.parts().allocation_method {
                AllocationMethod::Across => self.discount_across(indexes, basket),
                AllocationMethod::Each => self.discount_each(indexes, basket),
            },
            Target::Bundle { groups, requirement, entitled_quantity } => {
                self.discount_bundle(groups, *requirement, *entitled_quantity, basket)
            }
            Target::Shipping(indexes) => discount_shipping(indexes, basket),
        }
    }

    pub(super) fn apply(&self, discounts: &LineDiscounts, basket: &mut Basket) {
        if self.maximum_share.is_some() {
            basket.share_discounts = basket.share_discounts.saturating_add(discounts.total());
        }
        match self.target {
            Target::Lines(_) | Target::Bundle { .. } => basket.apply_to_lines(discounts),
            Target::Shipping(_) => basket.apply_to_shipping(discounts),
        }
    }

    /// Discounts the sum of the lines and divides the discount among them.
    fn discount_across(&self, indexes: &[usize], basket: &Basket) -> LineDiscounts {
        let weights: Vec<_> = indexes
            .iter()
            .map(|index| basket.lines.get(*index).map_or(0, |line| line.remaining))
            .collect();
        let basis = weights.iter().fold(0_u64, |sum, weight| sum.saturating_add(*weight));

        let total = match self.value {
            MinorValue::Fixed(amount) => amount.min(basis),
            MinorValue::Percent(percent) => {
                mul_div_half_up(basis, percent, u64::from(DiscountValue::FULL_PERCENT))
            }
        };

        let (total, limited_by) = self.apply_maxima(total, basket);

        let shares = allocate(total, &weights).unwrap_or_default();
        let shares = indexes
            .iter()
            .copied()
            .zip(shares)
            .filter(|(_, share)| *share > 0)
            .collect();
        LineDiscounts { shares, basis, limited_by, ..LineDiscounts::default() }
    }

    /// The discount after the rule's maxima, and the one that lowered it most.
    fn apply_maxima(&self, total: u64, basket: &Basket) -> (u64, Option<DiscountMaximum>) {
        let parts = self.rule.parts();
        let amount = self.maximum.zip(parts.maximum_discount.map(DiscountMaximum::Amount));
        let share = self.maximum_share.zip(parts.maximum_share).map(|(whole, share)| {
            let left = whole.saturating_sub(basket.share_discounts);
            (left, DiscountMaximum::Share { share, amount: basket.to_amount(whole) })
        });

        let lowest = amount.into_iter().chain(share).min_by_key(|(maximum, _)| *maximum);
        match lowest.filter(|(maximum, _)| *maximum < total) {
            Some((maximum, limited_by)) => (maximum, Some(limited_by)),
            None => (total, None),
        }
    }

    /// Discounts each line. An allocation limit selects as many units, the most expensive
    /// first.
    fn discount_each(&self, indexes: &[usize], basket: &Basket) -> LineDiscounts {
        let mut remaining_units = self.rule.parts().allocation_limit.map_or(u64::MAX, u64::from);
        let mut lines: Vec<_> = indexes
            .iter()
            .filter_map(|index| Some((*index, basket.lines.get(*index)?)))
            .collect();
        if remaining_units < u64::MAX {
            lines.sort_by_key(|(index, line)| (Reverse(line.price), *index));
        }

        let mut discounts = LineDiscounts::default();
        for (index, line) in lines {
            let units = line.units.min(remaining_units);
            remaining_units = remaining_units.saturating_sub(units);
            let share = self.discount_units(units, line.units, line.remaining);
            discounts.basis =
                discounts
                    .basis
                    .saturating_add(mul_div_half_up(line.remaining, units, line.units));
            if share > 0 {
                discounts.shares.push((index, share));
            }
        }

        discounts.shares.sort_unstable();
        discounts
    }

    /// Discounts the units of buy X get Y that no earlier code has used.
    fn discount_bundle(
        &self,
        groups: &[UnitGroup],
        requirement: BundleRequirement,
        entitled_quantity: u64,
        basket: &Basket,
    ) -> LineDiscounts {
        let available = |group: &UnitGroup| {
            Some(UnitGroup {
                units: basket.lines.get(group.line)?.available_units,
                ..*group
            })
        };
        let groups: Vec<_> = groups.iter().filter_map(available).collect();
        let limit = self.rule.parts().allocation_limit.map(u64::from);
        let bundle = match_bundle(&groups, requirement, entitled_quantity, limit);

        let mut discounts = LineDiscounts {
            applications: bundle.applications,
            ..LineDiscounts::default()
        };
        for (index, units) in &bundle.entitled_units {
            let Some(line) = basket.lines.get(*index) else { continue };
            let share = self.discount_units(*units, line.available_units, line.available_amount);
            discounts.basis = discounts.basis.saturating_add(mul_div_half_up(
                line.available_amount,
                *units,
                line.available_units,
            ));
            if share > 0 {
                discounts.shares.push((*index, share));
            }
        }
        discounts.shares.sort_unstable();

        // Some units of a line can be bought and others discounted, so they are added up.
        let mut used_units = BTreeMap::<usize, u64>::new();
        for (index, units) in bundle.entitled_units.into_iter().chain(bundle.prerequisite_units) {
            let sum = used_units.entry(index).or_default();
            *sum = sum.saturating_add(units);
        }
        discounts.used_units = used_units.into_iter().collect();
        discounts
    }

    /// Returns the discount of `units` out of `of` units, which cost `remaining` together.
    fn discount_units(&self, units: u64, of: u64, remaining: u64) -> u64 {
        match self.value {
            MinorValue::Fixed(amount) => {
                amount.saturating_mul(units).min(mul_div_floor(remaining, units, of))
            }
            MinorValue::Percent(percent) => mul_div_half_up(
                remaining,
                percent.saturating_mul(units),
                u64::from(DiscountValue::FULL_PERCENT).saturating_mul(of),
            ),
        }
    }
}

/// Discounts shipping lines by all that remains of them: a shipping rule is always 100 %.
fn discount_shipping(indexes: &[usize], basket: &Basket) -> LineDiscounts {
    let remaining = indexes
        .iter()
        .filter_map(|index| Some((*index, *basket.shipping.get(*index)?)));
    let shares: Vec<_> = remaining.filter(|(_, remaining)| *remaining > 0).collect();
    let basis = shares
        .iter()
        .fold(0, |sum: u64, (_, share)| sum.saturating_add(*share));
    LineDiscounts { shares, basis, ..LineDiscounts::default() }
}

/// Returns `amount` × `part` / `whole`, rounded down, so that no unit loses more than it
/// costs.
fn mul_div_floor(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount).saturating_mul(u128::from(part));
    product
        .checked_div(u128::from(whole))
        .and_then(|part| u64::try_from(part).ok())
        .unwrap_or_default()
}

/// Returns the share of the price of a cart's goods, rounded down. Gift cards are no goods.
fn share_of_goods(share: Rate, cart: &Cart, basket: &Basket) -> u64 {
    let lines = cart.lines.iter().zip(&basket.lines);
    let goods = lines
        .filter(|(line, _)| !line.gift_card)
        .fold(0_u64, |sum, (_, minor)| sum.saturating_add(minor.amount));
    let millionths = u64::try_from(share.millionths()).unwrap_or_default();
    mul_div_floor(goods, millionths, u64::from(DiscountValue::FULL_PERCENT))
}

fn minor_units(basket: &Basket, amount: Amount) -> Result<u64, PlanError> {
    basket.to_minor(amount).ok_or(PlanError::OtherCurrency)
}

/// Returns the lines that the rule discounts, or the units if it is buy X get Y.
fn line_target(rule: &PriceRule, cart: &Cart, basket: &Basket) -> Result<Target, PlanError> {
    let entitled = find_lines(cart, |line| rule.entitles(line));
    if entitled.is_empty() {
        return Err(CodeRejection::NoEntitledLines.into());
    }
    check_minimums(rule, cart, basket, |line| rule.entitles(line))?;

    let parts = rule.parts();
    let Some(QuantityRatio { prerequisite_quantity, entitled_quantity }) =
        parts.prerequisite_to_entitlement_quantity_ratio
    else {
        return Ok(Target::Lines(entitled));
    };

    let requirement = match parts.prerequisite_to_entitlement_purchase {
        Some(amount) => BundleRequirement::Amount(minor_units(basket, amount)?),
        None => BundleRequirement::Units(u64::from(prerequisite_quantity.unwrap_or(1))),
    };
    Ok(Target::Bundle {
        groups: group_units(rule, cart, basket),
        requirement,
        entitled_quantity: u64::from(entitled_quantity),
    })
}

fn find_lines(cart: &Cart, is_selected: impl Fn(&CartLine) -> bool) -> Vec<usize> {
    let lines = cart.lines.iter().enumerate();
    lines
        .filter(|(_, line)| line.quantity > 0 && is_selected(line))
        .map(|(index, _)| index)
        .collect()
}

/// Checks the minimum subtotal and quantity on the lines that `is_counted` selects.
fn check_minimums(
    rule: &PriceRule,
    cart: &Cart,
    basket: &Basket,
    is_counted: impl Fn(&CartLine) -> bool,
) -> Result<(), CodeRejection> {
    let (mut units, mut amount) = (0_u64, 0_u64);
    for (line, minor) in cart.lines.iter().zip(&basket.lines) {
        if is_counted(line) {
            units = units.saturating_add(minor.units);
            amount = amount.saturating_add(minor.amount);
        }
    }

    let parts = rule.parts();
    let have = basket.to_amount(amount);
    if let Some(need) = parts.prerequisite_subtotal_range.filter(|need| have < *need) {
        return Err(CodeRejection::MinimumSubtotal { need, have });
    }
    if let Some(need) = parts.prerequisite_quantity_range.filter(|need| units < *need) {
        return Err(CodeRejection::MinimumQuantity { need, have: units });
    }
    Ok(())
}

/// Returns the shipping lines that the rule discounts, by index.
fn find_shipping_lines(rule: &PriceRule, cart: &Cart) -> Result<Vec<usize>, CodeRejection> {
    let parts = rule.parts();
    let is_entitled_country = cart
        .country
        .as_ref()
        .is_some_and(|country| parts.entitled_country_ids.contains(country));
    if parts.target_selection == TargetSelection::Entitled && !is_entitled_country {
        return Err(CodeRejection::CountryNotEntitled);
    }
    if cart.shipping.is_empty() {
        return Err(CodeRejection::NoShippingLines);
    }

    let maximum = parts.prerequisite_shipping_price_range.unwrap_or(Amount::MAX);
    let lines = cart
        .shipping
        .iter()
        .enumerate()
        .filter(|(_, line)| line.price <= maximum);
    let indexes: Vec<_> = lines.map(|(index, _)| index).collect();
    if indexes.is_empty() {
        Err(CodeRejection::ShippingPriceAboveMaximum { maximum })
    } else {
        Ok(indexes)
    }
}

/// Returns the units that a buy-X-get-Y rule can use, in the order of the lines.
fn group_units(rule: &PriceRule, cart: &Cart, basket: &Basket) -> Vec<UnitGroup> {
    let mut groups = Vec::new();
    for (index, (line, minor)) in cart.lines.iter().zip(&basket.lines).enumerate() {
        let is_counted = !line.gift_card && !rule.parts().excluded.contains(line);
        let prerequisite = is_counted && rule.parts().prerequisites.contains(line);
        let entitled = rule.entitles(line);
        if prerequisite || entitled {
            groups.push(UnitGroup {
                line: index,
                price: minor.price,
                units: minor.units,
                prerequisite,
                entitled,
            });
        }
    }
    groups
}
