//! Converts a plugin's order, refund or customer to the core's types.
//!
//! The subtotal (net of discounts and tax) is the basis of points, and the total is the
//! amount paid. A subtotal beyond the total was not paid, and counts as the total. Shipping is the total less subtotal and tax. Each amount is rounded half
//! up to the minor unit. See [`apportion`](super::apportion) for the lines.

use loyalty_core::discount::Code;
use loyalty_core::{
    Amount, Attributes, CategoryId, Line, LineId, Order, OrderState, Quantity, RefundContent,
    Timestamp,
};
use loyalty_store::{CustomerRef, FieldChange, ProfileChange};
use rust_decimal::{Decimal, RoundingStrategy};

use super::apportion::apportion;
use super::wire::{self, WireError};
use crate::wire::value::is_future_day;

impl wire::Order {
    /// The snapshot of the order, in a currency with `minor_digits` decimals.
    ///
    /// The order of a product's categories does not matter: two bodies of the same order
    /// give equal snapshots.
    pub(super) fn to_snapshot(&self, minor_digits: u32) -> Result<Order, WireError> {
        let rounded = |value: Decimal, pointer: &str| amount(value, minor_digits, pointer);
        let subtotal = rounded(self.subtotal_price, "/subtotal_price")?;
        let (tax, total) = (
            rounded(self.total_tax, "/total_tax")?,
            rounded(self.total_price, "/total_price")?,
        );
        let subtotal = subtotal.min(total);
        let shipping = total.checked_sub(subtotal).and_then(|rest| rest.checked_sub(tax));

        Ok(Order {
            placed_at: None,
            lines: self.lines(subtotal, minor_digits)?,
            tax,
            taxes_included: false,
            shipping: shipping.unwrap_or(Amount::ZERO),
            total,
            redeemed: Amount::ZERO,
            codes: self.codes(),
            automatic_rules: Vec::new(),
            checkout: None,
            channel: None,
            attributes: Attributes::EMPTY,
            presentment: None,
        })
    }

    /// The codes of both members, without duplicates between them.
    fn codes(&self) -> Vec<Code> {
        let mut codes = self.discount_codes.clone();
        codes.extend(
            self.coupon_code
                .iter()
                .filter(|code| !self.discount_codes.contains(code))
                .cloned(),
        );

        // Too many codes would reject the order, which the plugin never sends again.
        codes.truncate(Order::MAX_CODES);
        codes
    }

    /// The lines with their shares of the subtotal; a single line if none was sent.
    fn lines(&self, subtotal: Amount, minor_digits: u32) -> Result<Vec<Line>, WireError> {
        if self.products.is_empty() {
            return Ok(vec![line("subtotal", &wire::Line::default(), subtotal)?]);
        }

        let weights: Vec<u64> = self.products.iter().map(weight).collect();
        let minor_unit = 10_i64.saturating_pow(Amount::MAX_DECIMALS.saturating_sub(minor_digits));
        let minor_units = subtotal.ten_thousandths().checked_div(minor_unit).unwrap_or_default();
        let shares = apportion(u64::try_from(minor_units).unwrap_or_default(), &weights);

        let lines = self.products.iter().zip(shares).zip(1_usize..);
        lines
            .map(|((product, share), position)| {
                let count = i64::try_from(share)
                    .ok()
                    .and_then(|share| share.checked_mul(minor_unit));
                let amount = count.and_then(|count| Amount::from_ten_thousandths(count).ok());
                line(&position.to_string(), product, amount.unwrap_or(Amount::MAX))
            })
            .collect()
    }
}

fn line(id: &str, product: &wire::Line, amount: Amount) -> Result<Line, WireError> {
    let id = LineId::new(id).map_err(|error| WireError {
        pointer: "/products".to_owned(),
        reason: error.to_string(),
    })?;

    let mut categories: Vec<CategoryId> = product
        .categories
        .iter()
        .map(|category| category.category_id.clone())
        .collect();
    categories.sort_unstable();
    categories.dedup();

    let (product, quantity) = (product.product_id.clone(), product.quantity);
    let attributes = Attributes::EMPTY;
    Ok(Line {
        id,
        product,
        categories,
        quantity,
        amount,
        gift_card: false,
        attributes,
    })
}

/// The weight of a line: its price times its quantity, in ten-thousandths, limited to the
/// largest amount.
fn weight(line: &wire::Line) -> u64 {
    let quantity = Decimal::try_new(line.quantity.thousandths(), 3).ok();
    let price = quantity.and_then(|quantity| line.product_price.checked_mul(quantity));
    let price = price
        .and_then(|price| amount(price, Amount::MAX_DECIMALS, "").ok())
        .unwrap_or(Amount::MAX);
    u64::try_from(price.ten_thousandths()).unwrap_or_default()
}

/// An amount, rounded half up to this number of decimals.
fn amount(value: Decimal, decimals: u32, pointer: &str) -> Result<Amount, WireError> {
    let value = value.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero);
    Amount::new(value)
        .map_err(|error| WireError { pointer: pointer.to_owned(), reason: error.to_string() })
}

impl wire::Refund {
    /// The sum of the payments, borne by the lines of the products that came back; `None` if
    /// it is zero.
    ///
    /// The products say where only if the order has lines for all of them.
    pub(super) fn to_refunded(
        &self,
        order: Option<&OrderState>,
        minor_digits: u32,
    ) -> Result<Option<RefundContent>, WireError> {
        const POINTER: &str = "/transactions";

        let amounts = self.transactions.iter().map(|transaction| transaction.amount);
        let sum = amounts.fold(Decimal::ZERO, Decimal::saturating_add);
        let sum = amount(sum, minor_digits, POINTER)?;
        if sum.is_zero() {
            return Ok(None);
        }

        let amount = sum.into();
        let lines = order.and_then(|order| self.returned_lines(order)).unwrap_or_default();
        Ok(Some(if lines.is_empty() {
            RefundContent::Amount(amount)
        } else {
            RefundContent::Lines { lines, amount: Some(amount) }
        }))
    }

    /// The lines of the products that came back, as far as they did not before. `None` if
    /// the order lacks one of the products.
    fn returned_lines(&self, order: &OrderState) -> Option<Vec<(LineId, Quantity)>> {
        let snapshot = &order.snapshot()?.order;
        let mut left: Vec<(&Line, Quantity)> =
            snapshot.lines.iter().map(|line| (line, line.quantity)).collect();
        for (id, units) in order.refunds().values().flat_map(RefundContent::lines) {
            for (line, left) in &mut left {
                if line.id == *id {
                    *left = left.saturating_sub(*units);
                }
            }
        }

        let mut lines = Vec::new();
        for returned in self.products.iter().filter(|returned| !returned.quantity.is_zero()) {
            let product = returned.product_id.as_ref()?;
            let mut rest = returned.quantity;
            let is_same = |line: &Line| line.product.as_ref() == Some(product);
            left.iter().find(|(line, _)| is_same(line))?;
            for (line, left) in left.iter_mut().filter(|(line, _)| is_same(line)) {
                let units = rest.min(*left);
                if !units.is_zero() {
                    lines.push((line.id.clone(), units));
                }
                rest = rest.saturating_sub(units);
                *left = left.saturating_sub(units);
            }
        }
        Some(lines)
    }
}

impl wire::Customer {
    /// The reference to the customer, if any, and the change of the profile. Members that
    /// were not sent stay unchanged, and so does the birthday if it is in the future.
    pub(super) fn into_profile_change(
        self,
        now: Timestamp,
    ) -> (Option<CustomerRef>, ProfileChange) {
        let (zip, country) = self
            .default_address
            .map(|address| (address.zip, address.country))
            .unwrap_or_default();

        let change = ProfileChange {
            email: FieldChange::Keep,
            first_name: set_if_sent(self.first_name),
            last_name: set_if_sent(self.last_name),
            birthday: set_if_sent(self.birthday.filter(|day| !is_future_day(*day, now))),
            zip: set_if_sent(zip),
            country: set_if_sent(country),
            tags: None,
            attributes: None,
            household: None,
        };
        (CustomerRef::new(self.id, self.email), change)
    }
}

/// The change of a member that was sent.
pub(crate) fn set_if_sent<T>(value: Option<T>) -> FieldChange<T> {
    value.map_or(FieldChange::Keep, |value| FieldChange::Set(Some(value)))
}
