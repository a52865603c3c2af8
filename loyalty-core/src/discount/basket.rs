//! A cart in minor units, while discounts take from it.

use super::allocate::mul_div_half_up;
use super::cart::{Cart, CartError};
use crate::amount::Amount;
use crate::id::LineId;

/// What is left of a cart.
#[derive(Clone, Debug)]
pub(super) struct Basket {
    minor_digits: u32,
    pub(super) lines: Vec<BasketLine>,
    /// What is left of each shipping line.
    pub(super) shipping: Vec<u64>,
}

/// One line, in minor units. What is open has not served a buy-X-get-Y code yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct BasketLine {
    pub(super) price: u64,
    pub(super) units: u64,
    pub(super) amount: u64,
    pub(super) remaining: u64,
    pub(super) available_units: u64,
    /// At most `left`.
    pub(super) available_amount: u64,
}

/// What one rule takes off.
#[derive(Clone, Debug, Default)]
pub(super) struct LineDiscounts {
    /// By place among the lines, or among the shipping lines.
    pub(super) shares: Vec<(usize, u64)>,
    /// Units by line that have served, where the rule is buy X get Y.
    pub(super) used_units: Vec<(usize, u64)>,
    /// How often, where the rule is buy X get Y.
    pub(super) applications: u64,
    /// What the rule looked at: what was left of it.
    pub(super) basis: u64,
}

impl LineDiscounts {
    pub(super) fn total(&self) -> u64 {
        self.shares
            .iter()
            .fold(0, |sum, (_, share)| sum.saturating_add(*share))
    }
}

impl Basket {
    pub(super) fn from_cart(cart: &Cart, minor_digits: u32) -> Result<Self, CartError> {
        cart.check()?;
        let minor = |price: Amount, id: &LineId| {
            to_minor_units(price, minor_digits)
                .ok_or_else(|| CartError::FinerThanCurrency(id.clone()))
        };
        let mut lines = Vec::with_capacity(cart.lines.len());
        for line in &cart.lines {
            let (price, units) = (minor(line.price, &line.id)?, u64::from(line.quantity));
            let amount = price.checked_mul(units).ok_or(CartError::TooLarge)?;
            lines.push(BasketLine {
                price,
                units,
                amount,
                remaining: amount,
                available_units: units,
                available_amount: amount,
            });
        }
        let shipping = cart
            .shipping
            .iter()
            .map(|line| minor(line.price, &line.id))
            .collect::<Result<Vec<_>, _>>()?;
        let basket = Self { minor_digits, lines, shipping };
        let amounts = basket
            .lines
            .iter()
            .map(|line| line.amount)
            .chain(basket.shipping.iter().copied());
        let whole = amounts.fold(0_u64, u64::saturating_add);
        if basket.try_to_amount(whole).is_none() { Err(CartError::TooLarge) } else { Ok(basket) }
    }

    /// So many minor units as an amount, unless that is out of range.
    pub(super) fn try_to_amount(&self, minor: u64) -> Option<Amount> {
        let whole =
            rust_decimal::Decimal::try_from_i128_with_scale(i128::from(minor), self.minor_digits)
                .ok()?;
        Amount::new(whole).ok()
    }

    /// So many minor units of this basket as an amount: [`CartCase::from_cart`] has seen that all of it is in range.
    pub(super) fn to_amount(&self, minor: u64) -> Amount {
        self.try_to_amount(minor).unwrap_or(Amount::MAX)
    }

    pub(super) fn to_minor(&self, amount: Amount) -> Option<u64> {
        to_minor_units(amount, self.minor_digits)
    }

    /// Takes off lines.
    pub(super) fn apply_to_lines(&mut self, taking: &LineDiscounts) {
        for (place, share) in &taking.shares {
            let Some(line) = self.lines.get_mut(*place) else { continue };
            if taking.applications == 0 {
                let open = mul_div_half_up(*share, line.available_amount, line.remaining);
                line.available_amount = line.available_amount.saturating_sub(open);
            }
            line.remaining = line.remaining.saturating_sub(*share);
        }
        for (place, units) in &taking.used_units {
            let Some(line) = self.lines.get_mut(*place) else { continue };
            line.available_amount = line.available_amount.saturating_sub(mul_div_half_up(
                line.available_amount,
                *units,
                line.available_units,
            ));
            line.available_units = line.available_units.saturating_sub(*units);
        }
    }

    /// Takes off shipping.
    pub(super) fn apply_to_shipping(&mut self, taking: &LineDiscounts) {
        for (place, share) in &taking.shares {
            if let Some(left) = self.shipping.get_mut(*place) {
                *left = left.saturating_sub(*share);
            }
        }
    }
}

/// A whole number of minor units, unless the amount is finer than that.
fn to_minor_units(amount: Amount, minor_digits: u32) -> Option<u64> {
    let finer = Amount::MAX_DECIMALS
        .checked_sub(minor_digits)
        .and_then(|digits| 10_u64.checked_pow(digits))?;
    let parts = u64::try_from(amount.ten_thousandths()).ok()?;
    parts
        .is_multiple_of(finer)
        .then(|| parts.checked_div(finer))
        .flatten()
}
