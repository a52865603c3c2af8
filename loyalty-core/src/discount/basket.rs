//! The remaining amounts of a cart, in minor units, while discounts are applied.

use super::allocate::mul_div_half_up;
use super::cart::{Cart, CartError};
use super::evaluation::DiscountMaximum;
use crate::amount::Amount;
use crate::id::LineId;

/// The remaining amounts of a cart.
#[derive(Clone, Debug)]
pub(super) struct Basket {
    minor_digits: u32,
    pub(super) lines: Vec<BasketLine>,
    /// Remaining price of each shipping line.
    pub(super) shipping: Vec<u64>,
    /// The discounts of rules with a `maximum_share`, together.
    pub(super) share_discounts: u64,
}

/// One line, with amounts in minor units.
///
/// Units are available until a buy-X-get-Y code has used them, as bought or as discounted.
#[derive(Clone, Copy, Debug)]
pub(super) struct BasketLine {
    pub(super) price: u64,
    pub(super) units: u64,
    pub(super) amount: u64,
    pub(super) remaining: u64,
    pub(super) available_units: u64,
    /// The part of `remaining` that belongs to the available units.
    pub(super) available_amount: u64,
}

/// The discounts of one rule, in minor units.
#[derive(Clone, Debug, Default)]
pub(super) struct LineDiscounts {
    /// Discounts by index of the line, or of the shipping line.
    pub(super) shares: Vec<(usize, u64)>,
    /// Units that a buy-X-get-Y rule uses, by index of the line.
    pub(super) used_units: Vec<(usize, u64)>,
    /// Number of applications of a buy-X-get-Y rule; zero for other rules.
    pub(super) applications: u64,
    /// Remaining amount that the discount was calculated on.
    pub(super) basis: u64,
    /// The maximum of the rule that lowered the discount.
    pub(super) limited_by: Option<DiscountMaximum>,
}

impl LineDiscounts {
    pub(super) fn total(&self) -> u64 {
        self.shares
            .iter()
            .fold(0, |sum, (_, share)| sum.saturating_add(*share))
    }
}

impl Basket {
    /// Converts a cart to minor units.
    ///
    /// Fails if the cart is too large, repeats a line id, has a price with more decimals
    /// than the currency, or costs more than [`Amount::MAX`].
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

        // If the total is in range, then so is every sum of lines and discounts.
        let basket = Self { minor_digits, lines, shipping, share_discounts: 0 };
        let amounts = basket
            .lines
            .iter()
            .map(|line| line.amount)
            .chain(basket.shipping.iter().copied());
        let total = amounts.fold(0_u64, u64::saturating_add);
        if basket.try_to_amount(total).is_none() { Err(CartError::TooLarge) } else { Ok(basket) }
    }

    /// Converts minor units to an amount; `None` if it is out of range.
    fn try_to_amount(&self, minor: u64) -> Option<Amount> {
        let decimal =
            rust_decimal::Decimal::try_from_i128_with_scale(i128::from(minor), self.minor_digits)
                .ok()?;
        Amount::new(decimal).ok()
    }

    /// Converts minor units of this basket to an amount. [`Basket::from_cart`] has checked
    /// that all of them are in range.
    pub(super) fn to_amount(&self, minor: u64) -> Amount {
        self.try_to_amount(minor).unwrap_or(Amount::MAX)
    }

    pub(super) fn to_minor(&self, amount: Amount) -> Option<u64> {
        to_minor_units(amount, self.minor_digits)
    }

    /// Subtracts discounts from the lines.
    pub(super) fn apply_to_lines(&mut self, discounts: &LineDiscounts) {
        for (index, share) in &discounts.shares {
            let Some(line) = self.lines.get_mut(*index) else { continue };
            // A discount of a bundle belongs to the units that it uses: these are
            // subtracted below. Any other is spread evenly over the units of the line.
            if discounts.applications == 0 {
                let available = mul_div_half_up(*share, line.available_amount, line.remaining);
                line.available_amount = line.available_amount.saturating_sub(available);
            }
            line.remaining = line.remaining.saturating_sub(*share);
        }

        for (index, units) in &discounts.used_units {
            let Some(line) = self.lines.get_mut(*index) else { continue };
            line.available_amount = line.available_amount.saturating_sub(mul_div_half_up(
                line.available_amount,
                *units,
                line.available_units,
            ));
            line.available_units = line.available_units.saturating_sub(*units);
        }
    }

    /// Subtracts discounts from the shipping lines.
    pub(super) fn apply_to_shipping(&mut self, discounts: &LineDiscounts) {
        for (index, share) in &discounts.shares {
            if let Some(remaining) = self.shipping.get_mut(*index) {
                *remaining = remaining.saturating_sub(*share);
            }
        }
    }
}

/// Converts an amount to minor units; `None` if it has more decimals than the currency.
fn to_minor_units(amount: Amount, minor_digits: u32) -> Option<u64> {
    let divisor = Amount::MAX_DECIMALS
        .checked_sub(minor_digits)
        .and_then(|digits| 10_u64.checked_pow(digits))?;
    let ten_thousandths = u64::try_from(amount.ten_thousandths()).ok()?;
    ten_thousandths
        .is_multiple_of(divisor)
        .then(|| ten_thousandths.checked_div(divisor))
        .flatten()
}
