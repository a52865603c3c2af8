//! One rule against one cart: whether it applies, and what it takes.

use std::cmp::Reverse;

use super::allocate::{allocate, part_half_up};
use super::basket::{Basket, Taking};
use super::bundle::{Buy, Pile, bundle};
use super::cart::{Cart, CartLine};
use super::price_rule::{AllocationMethod, Off, PriceRule, TargetSelection, TargetType};
use super::refusal::Refusal;
use crate::amount::Amount;

/// A rule whose conditions the cart meets.
pub(super) struct Plan<'a> {
    pub(super) rule: &'a PriceRule,
    value: Value,
    target: Target,
}

/// What a rule takes off, in minor units.
#[derive(Clone, Copy)]
enum Value {
    Fixed(u64),
    Percent(u64),
}

/// What it takes that off.
enum Target {
    /// Lines, by place.
    Lines(Vec<usize>),
    /// Units got for units bought.
    Bundle { piles: Vec<Pile>, buy: Buy, get: u64 },
    /// Shipping lines, by place.
    Shipping(Vec<usize>),
}

/// Why there is no plan.
pub(super) enum Unplanned {
    /// The cart does not meet the rule's conditions.
    Refused(Refusal),
    /// The rule's amounts are no whole minor units here.
    OtherCurrency,
}

impl From<Refusal> for Unplanned {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<'a> Plan<'a> {
    /// Checks the rule's conditions on the cart, before any discount.
    pub(super) fn new(
        rule: &'a PriceRule,
        cart: &Cart,
        basket: &Basket,
    ) -> Result<Self, Unplanned> {
        let minor = |amount: Amount| basket.minor(amount).ok_or(Unplanned::OtherCurrency);
        let value = match rule.off() {
            Off::Fixed(amount) => Value::Fixed(minor(amount)?),
            Off::Percent(part) => Value::Percent(u64::from(part)),
        };
        let parts = rule.parts();
        let target = if parts.target_type == TargetType::ShippingLine {
            check_minimums(rule, cart, basket, |_| true)?;
            Target::Shipping(shipping(rule, cart)?)
        } else {
            let entitled = places(cart, |line| rule.entitles(line));
            if entitled.is_empty() {
                return Err(Refusal::NoEntitledLines.into());
            }
            check_minimums(rule, cart, basket, |line| rule.entitles(line))?;
            match parts.prerequisite_to_entitlement_quantity_ratio {
                None => Target::Lines(entitled),
                Some(ratio) => {
                    let buy = match (
                        ratio.prerequisite_quantity,
                        parts.prerequisite_to_entitlement_purchase,
                    ) {
                        (_, Some(amount)) => Buy::Amount(minor(amount)?),
                        (units, None) => Buy::Units(u64::from(units.unwrap_or(1))),
                    };
                    Target::Bundle {
                        piles: piles(rule, cart, basket),
                        buy,
                        get: u64::from(ratio.entitled_quantity),
                    }
                }
            }
        };
        let plan = Self { rule, value, target };
        if matches!(plan.target, Target::Bundle { .. }) && plan.taking(basket).applications == 0 {
            return Err(Refusal::PrerequisitesNotMet.into());
        }
        Ok(plan)
    }

    /// What the rule takes off what is left in the basket.
    pub(super) fn taking(&self, basket: &Basket) -> Taking {
        match &self.target {
            Target::Lines(places) => match self.rule.parts().allocation_method {
                AllocationMethod::Across => self.across(places, basket),
                AllocationMethod::Each => self.each(places, basket),
            },
            Target::Bundle { piles, buy, get } => self.bundle(piles, *buy, *get, basket),
            Target::Shipping(places) => {
                let left = places
                    .iter()
                    .filter_map(|place| Some((*place, *basket.shipping.get(*place)?)));
                let shares: Vec<_> = left.filter(|(_, left)| *left > 0).collect();
                let basis = shares
                    .iter()
                    .fold(0, |sum: u64, (_, share)| sum.saturating_add(*share));
                Taking { shares, basis, ..Taking::default() }
            }
        }
    }

    pub(super) fn take(&self, taking: &Taking, basket: &mut Basket) {
        match self.target {
            Target::Lines(_) | Target::Bundle { .. } => basket.take(taking),
            Target::Shipping(_) => basket.take_shipping(taking),
        }
    }

    /// Once on the sum, then shared out.
    fn across(&self, places: &[usize], basket: &Basket) -> Taking {
        let weights: Vec<_> = places
            .iter()
            .map(|place| basket.lines.get(*place).map_or(0, |line| line.left))
            .collect();
        let basis = weights.iter().fold(0_u64, |sum, left| sum.saturating_add(*left));
        let total = match self.value {
            Value::Fixed(amount) => amount.min(basis),
            Value::Percent(part) => part_half_up(basis, part, u64::from(Off::ALL)),
        };
        let shares = allocate(total, &weights).unwrap_or_default();
        let shares = places
            .iter()
            .copied()
            .zip(shares)
            .filter(|(_, share)| *share > 0)
            .collect();
        Taking { shares, basis, ..Taking::default() }
    }

    /// Off each line by itself; with an allocation limit off so many units, the dearest first.
    fn each(&self, places: &[usize], basket: &Basket) -> Taking {
        let mut room = self.rule.parts().allocation_limit.map_or(u64::MAX, u64::from);
        let mut lines: Vec<_> = places
            .iter()
            .filter_map(|place| Some((*place, basket.lines.get(*place)?)))
            .collect();
        if room < u64::MAX {
            lines.sort_by_key(|(place, line)| (Reverse(line.price), *place));
        }
        let mut taking = Taking::default();
        for (place, line) in lines {
            let units = line.units.min(room);
            room = room.saturating_sub(units);
            let share = self.off_units(units, line.units, line.left);
            taking.basis = taking
                .basis
                .saturating_add(part_half_up(line.left, units, line.units));
            if share > 0 {
                taking.shares.push((place, share));
            }
        }
        taking.shares.sort_unstable();
        taking
    }

    fn bundle(&self, piles: &[Pile], buy: Buy, get: u64, basket: &Basket) -> Taking {
        let open =
            |pile: &Pile| Some(Pile { units: basket.lines.get(pile.line)?.open_units, ..*pile });
        let piles: Vec<_> = piles.iter().filter_map(open).collect();
        let limit = self.rule.parts().allocation_limit.map(u64::from);
        let found = bundle(&piles, buy, get, limit);
        let mut taking = Taking { applications: found.applications, ..Taking::default() };
        for (place, units) in &found.got {
            let Some(line) = basket.lines.get(*place) else { continue };
            let share = self.off_units(*units, line.open_units, line.open_left);
            taking.basis =
                taking
                    .basis
                    .saturating_add(part_half_up(line.open_left, *units, line.open_units));
            if share > 0 {
                taking.shares.push((*place, share));
            }
        }
        taking.shares.sort_unstable();
        // A line can be bought from and got from; its units serve once, together.
        let mut served = std::collections::BTreeMap::<usize, u64>::new();
        for (place, units) in found.got.into_iter().chain(found.bought) {
            let sum = served.entry(place).or_default();
            *sum = sum.saturating_add(units);
        }
        taking.served = served.into_iter().collect();
        taking
    }

    /// What `units` of `of` units lose, which are worth `left` together.
    fn off_units(&self, units: u64, of: u64, left: u64) -> u64 {
        match self.value {
            Value::Fixed(amount) => amount.saturating_mul(units).min(part_down(left, units, of)),
            Value::Percent(part) => part_half_up(
                left,
                part.saturating_mul(units),
                u64::from(Off::ALL).saturating_mul(of),
            ),
        }
    }
}

/// `amount` × `part` / `whole`, rounded down, so that no unit loses more than it costs.
fn part_down(amount: u64, part: u64, whole: u64) -> u64 {
    let product = u128::from(amount).saturating_mul(u128::from(part));
    product
        .checked_div(u128::from(whole))
        .and_then(|part| u64::try_from(part).ok())
        .unwrap_or_default()
}

fn places(cart: &Cart, holds: impl Fn(&CartLine) -> bool) -> Vec<usize> {
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
) -> Result<(), Refusal> {
    let parts = rule.parts();
    let (mut units, mut amount) = (0_u64, 0_u64);
    for (line, minor) in cart.lines.iter().zip(&basket.lines) {
        if counts(line) {
            units = units.saturating_add(minor.units);
            amount = amount.saturating_add(minor.amount);
        }
    }
    let have = basket.part(amount);
    if let Some(need) = parts.prerequisite_subtotal_range.filter(|need| have < *need) {
        return Err(Refusal::MinimumSubtotal { need, have });
    }
    if let Some(need) = parts.prerequisite_quantity_range.filter(|need| units < *need) {
        return Err(Refusal::MinimumQuantity { need, have: units });
    }
    Ok(())
}

/// The shipping lines that the rule pays for.
fn shipping(rule: &PriceRule, cart: &Cart) -> Result<Vec<usize>, Refusal> {
    let parts = rule.parts();
    let here = cart
        .country
        .as_ref()
        .is_some_and(|country| parts.entitled_country_ids.contains(country));
    if parts.target_selection == TargetSelection::Entitled && !here {
        return Err(Refusal::CountryNotEntitled);
    }
    if cart.shipping.is_empty() {
        return Err(Refusal::NoShippingLines);
    }
    let maximum = parts.prerequisite_shipping_price_range.unwrap_or(Amount::MAX);
    let lines = cart
        .shipping
        .iter()
        .enumerate()
        .filter(|(_, line)| line.price <= maximum);
    let places: Vec<_> = lines.map(|(place, _)| place).collect();
    if places.is_empty() { Err(Refusal::ShippingPriceAboveMaximum { maximum }) } else { Ok(places) }
}

/// The lines that a buy-X-get-Y rule looks at.
fn piles(rule: &PriceRule, cart: &Cart, basket: &Basket) -> Vec<Pile> {
    let mut piles = Vec::new();
    for (place, (line, minor)) in cart.lines.iter().zip(&basket.lines).enumerate() {
        let counts = !line.gift_card && !rule.parts().excluded.hold(line);
        let prerequisite = counts && rule.parts().prerequisites.hold(line);
        let entitled = rule.entitles(line);
        if prerequisite || entitled {
            piles.push(Pile {
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
