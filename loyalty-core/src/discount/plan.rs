//! One rule against one cart: whether it applies, and what it takes.

use std::cmp::Reverse;

use super::allocate::{allocate, mul_div_half_up};
use super::basket::{Basket, LineDiscounts};
use super::bundle::{BundleRequirement, UnitGroup, match_bundle};
use super::cart::{Cart, CartLine};
use super::code_rejection::CodeRejection;
use super::price_rule::{AllocationMethod, DiscountValue, PriceRule, TargetSelection, TargetType};
use crate::amount::Amount;

/// A rule whose conditions the cart meets.
pub(super) struct Plan<'a> {
    pub(super) rule: &'a PriceRule,
    value: MinorValue,
    target: Target,
}

/// What a rule takes off, in minor units.
#[derive(Clone, Copy)]
enum MinorValue {
    Fixed(u64),
    Percent(u64),
}

/// What it takes that off.
enum Target {
    /// Lines, by place.
    Lines(Vec<usize>),
    /// Units got for units bought.
    Bundle { groups: Vec<UnitGroup>, requirement: BundleRequirement, entitled_quantity: u64 },
    /// Shipping lines, by place.
    Shipping(Vec<usize>),
}

/// Why there is no plan.
pub(super) enum PlanError {
    /// The cart does not meet the rule's conditions.
    Rejected(CodeRejection),
    /// The rule's amounts are no whole minor units here.
    OtherCurrency,
}

impl From<CodeRejection> for PlanError {
    fn from(refusal: CodeRejection) -> Self {
        Self::Rejected(refusal)
    }
}

impl<'a> Plan<'a> {
    /// Checks the rule's conditions on the cart, before any discount.
    pub(super) fn new(
        rule: &'a PriceRule,
        cart: &Cart,
        basket: &Basket,
    ) -> Result<Self, PlanError> {
        let minor = |amount: Amount| basket.to_minor(amount).ok_or(PlanError::OtherCurrency);
        let value = match rule.discount_value() {
            DiscountValue::Fixed(amount) => MinorValue::Fixed(minor(amount)?),
            DiscountValue::Percent(part) => MinorValue::Percent(u64::from(part)),
        };
        let parts = rule.parts();
        let target = if parts.target_type == TargetType::ShippingLine {
            check_minimums(rule, cart, basket, |_| true)?;
            Target::Shipping(find_shipping_lines(rule, cart)?)
        } else {
            let entitled = find_lines(cart, |line| rule.entitles(line));
            if entitled.is_empty() {
                return Err(CodeRejection::NoEntitledLines.into());
            }
            check_minimums(rule, cart, basket, |line| rule.entitles(line))?;
            match parts.prerequisite_to_entitlement_quantity_ratio {
                None => Target::Lines(entitled),
                Some(ratio) => {
                    let buy = match (
                        ratio.prerequisite_quantity,
                        parts.prerequisite_to_entitlement_purchase,
                    ) {
                        (_, Some(amount)) => BundleRequirement::Amount(minor(amount)?),
                        (units, None) => BundleRequirement::Units(u64::from(units.unwrap_or(1))),
                    };
                    Target::Bundle {
                        groups: group_units(rule, cart, basket),
                        requirement: buy,
                        entitled_quantity: u64::from(ratio.entitled_quantity),
                    }
                }
            }
        };
        let plan = Self { rule, value, target };
        if matches!(plan.target, Target::Bundle { .. })
            && plan.line_discounts(basket).applications == 0
        {
            return Err(CodeRejection::PrerequisitesNotMet.into());
        }
        Ok(plan)
    }

    /// What the rule takes off what is left in the basket.
    pub(super) fn line_discounts(&self, basket: &Basket) -> LineDiscounts {
        match &self.target {
            Target::Lines(places) => match self.rule.parts().allocation_method {
                AllocationMethod::Across => self.discount_across(places, basket),
                AllocationMethod::Each => self.discount_each(places, basket),
            },
            Target::Bundle { groups: piles, requirement: buy, entitled_quantity: get } => {
                self.discount_bundle(piles, *buy, *get, basket)
            }
            Target::Shipping(places) => {
                let left = places
                    .iter()
                    .filter_map(|place| Some((*place, *basket.shipping.get(*place)?)));
                let shares: Vec<_> = left.filter(|(_, left)| *left > 0).collect();
                let basis = shares
                    .iter()
                    .fold(0, |sum: u64, (_, share)| sum.saturating_add(*share));
                LineDiscounts { shares, basis, ..LineDiscounts::default() }
            }
        }
    }

    pub(super) fn apply(&self, taking: &LineDiscounts, basket: &mut Basket) {
        match self.target {
            Target::Lines(_) | Target::Bundle { .. } => basket.apply_to_lines(taking),
            Target::Shipping(_) => basket.apply_to_shipping(taking),
        }
    }

    /// Once on the sum, then shared out.
    fn discount_across(&self, places: &[usize], basket: &Basket) -> LineDiscounts {
        let weights: Vec<_> = places
            .iter()
            .map(|place| basket.lines.get(*place).map_or(0, |line| line.remaining))
            .collect();
        let basis = weights.iter().fold(0_u64, |sum, left| sum.saturating_add(*left));
        let total = match self.value {
            MinorValue::Fixed(amount) => amount.min(basis),
            MinorValue::Percent(part) => {
                mul_div_half_up(basis, part, u64::from(DiscountValue::FULL_PERCENT))
            }
        };
        let shares = allocate(total, &weights).unwrap_or_default();
        let shares = places
            .iter()
            .copied()
            .zip(shares)
            .filter(|(_, share)| *share > 0)
            .collect();
        LineDiscounts { shares, basis, ..LineDiscounts::default() }
    }

    /// Off each line by itself; with an allocation limit off so many units, the dearest first.
    fn discount_each(&self, places: &[usize], basket: &Basket) -> LineDiscounts {
        let mut room = self.rule.parts().allocation_limit.map_or(u64::MAX, u64::from);
        let mut lines: Vec<_> = places
            .iter()
            .filter_map(|place| Some((*place, basket.lines.get(*place)?)))
            .collect();
        if room < u64::MAX {
            lines.sort_by_key(|(place, line)| (Reverse(line.price), *place));
        }
        let mut taking = LineDiscounts::default();
        for (place, line) in lines {
            let units = line.units.min(room);
            room = room.saturating_sub(units);
            let share = self.discount_units(units, line.units, line.remaining);
            taking.basis =
                taking
                    .basis
                    .saturating_add(mul_div_half_up(line.remaining, units, line.units));
            if share > 0 {
                taking.shares.push((place, share));
            }
        }
        taking.shares.sort_unstable();
        taking
    }

    fn discount_bundle(
        &self,
        piles: &[UnitGroup],
        buy: BundleRequirement,
        get: u64,
        basket: &Basket,
    ) -> LineDiscounts {
        let open = |pile: &UnitGroup| {
            Some(UnitGroup { units: basket.lines.get(pile.line)?.available_units, ..*pile })
        };
        let piles: Vec<_> = piles.iter().filter_map(open).collect();
        let limit = self.rule.parts().allocation_limit.map(u64::from);
        let found = match_bundle(&piles, buy, get, limit);
        let mut taking =
            LineDiscounts { applications: found.applications, ..LineDiscounts::default() };
        for (place, units) in &found.entitled_units {
            let Some(line) = basket.lines.get(*place) else { continue };
            let share = self.discount_units(*units, line.available_units, line.available_amount);
            taking.basis = taking.basis.saturating_add(mul_div_half_up(
                line.available_amount,
                *units,
                line.available_units,
            ));
            if share > 0 {
                taking.shares.push((*place, share));
            }
        }
        taking.shares.sort_unstable();
        // A line can be bought from and got from; its units serve once, together.
        let mut served = std::collections::BTreeMap::<usize, u64>::new();
        for (place, units) in found.entitled_units.into_iter().chain(found.prerequisite_units) {
            let sum = served.entry(place).or_default();
            *sum = sum.saturating_add(units);
        }
        taking.used_units = served.into_iter().collect();
        taking
    }

    /// What `units` of `of` units lose, which are worth `left` together.
    fn discount_units(&self, units: u64, of: u64, left: u64) -> u64 {
        match self.value {
            MinorValue::Fixed(amount) => {
                amount.saturating_mul(units).min(mul_div_floor(left, units, of))
            }
            MinorValue::Percent(part) => mul_div_half_up(
                left,
                part.saturating_mul(units),
                u64::from(DiscountValue::FULL_PERCENT).saturating_mul(of),
            ),
        }
    }
}

/// `amount` × `part` / `whole`, rounded down, so that no unit loses more than it costs.
fn mul_div_floor(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount).saturating_mul(u128::from(part));
    product
        .checked_div(u128::from(whole))
        .and_then(|part| u64::try_from(part).ok())
        .unwrap_or_default()
}

fn find_lines(cart: &Cart, holds: impl Fn(&CartLine) -> bool) -> Vec<usize> {
    let lines = cart.lines.iter().enumerate();
    lines
        .filter(|(_, line)| line.quantity > 0 && holds(line))
        .map(|(place, _)| place)
        .collect()
}

/// The minimum subtotal and quantity, on the lines that count for the rule.
fn check_minimums(
    rule: &PriceRule,
    cart: &Cart,
    basket: &Basket,
    counts: impl Fn(&CartLine) -> bool,
) -> Result<(), CodeRejection> {
    let parts = rule.parts();
    let (mut units, mut amount) = (0_u64, 0_u64);
    for (line, minor) in cart.lines.iter().zip(&basket.lines) {
        if counts(line) {
            units = units.saturating_add(minor.units);
            amount = amount.saturating_add(minor.amount);
        }
    }
    let have = basket.to_amount(amount);
    if let Some(need) = parts.prerequisite_subtotal_range.filter(|need| have < *need) {
        return Err(CodeRejection::MinimumSubtotal { need, have });
    }
    if let Some(need) = parts.prerequisite_quantity_range.filter(|need| units < *need) {
        return Err(CodeRejection::MinimumQuantity { need, have: units });
    }
    Ok(())
}

/// The shipping lines that the rule pays for.
fn find_shipping_lines(rule: &PriceRule, cart: &Cart) -> Result<Vec<usize>, CodeRejection> {
    let parts = rule.parts();
    let here = cart
        .country
        .as_ref()
        .is_some_and(|country| parts.entitled_country_ids.contains(country));
    if parts.target_selection == TargetSelection::Entitled && !here {
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
    let places: Vec<_> = lines.map(|(place, _)| place).collect();
    if places.is_empty() {
        Err(CodeRejection::ShippingPriceAboveMaximum { maximum })
    } else {
        Ok(places)
    }
}

/// The lines that a buy-X-get-Y rule looks at.
fn group_units(rule: &PriceRule, cart: &Cart, basket: &Basket) -> Vec<UnitGroup> {
    let mut piles = Vec::new();
    for (place, (line, minor)) in cart.lines.iter().zip(&basket.lines).enumerate() {
        let counts = !line.gift_card && !rule.parts().excluded.contains(line);
        let prerequisite = counts && rule.parts().prerequisites.contains(line);
        let entitled = rule.entitles(line);
        if prerequisite || entitled {
            piles.push(UnitGroup {
                line: place,
                price: minor.price,
                units: minor.units,
                prerequisite,
                entitled,
            });
        }
    }
    piles
}
