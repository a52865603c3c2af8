//! Facts about orders: snapshots, statuses, cancellations and refunds.

mod highest_paid;
mod refund;
mod state;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

use crate::amount::{Amount, AmountError, Money, parse_decimal};
use crate::attribute::Attributes;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::figures::GroupedNumber;
use crate::id::{CategoryId, ChannelId, CheckoutId, LineId, PriceRuleId, ProductId};

pub use highest_paid::{HighestPaid, PaidLine};
pub use refund::{Refund, RefundAmount, RefundContent, RefundCurrency, RefundError};
pub use state::{Allowance, OrderState, Pin, PostedPoints, RecordedSnapshot};

/// The status of an order. The furthest one reached since the last cancellation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Status {
    /// Placed and in progress.
    Processing,
    /// Paid for.
    Paid,
    /// Delivered.
    Fulfilled,
    /// Done.
    Completed,
}

impl Status {
    /// Every status, in order.
    pub const ALL: [Self; 4] = [Self::Processing, Self::Paid, Self::Fulfilled, Self::Completed];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Paid => "paid",
            Self::Fulfilled => "fulfilled",
            Self::Completed => "completed",
        }
    }
}

/// A non-negative number of units, with at most three decimals (goods by weight), at most
/// 1,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(transparent))]
pub struct Quantity {
    thousandths: i64,
}

impl Quantity {
    /// No units.
    pub const ZERO: Self = Self { thousandths: 0 };
    /// One unit.
    pub const ONE: Self = Self { thousandths: 1_000 };

    /// Validates sign, size and decimals.
    ///
    /// # Errors
    /// [`AmountError`] if it is negative, larger than 1,000,000 or has more than three
    /// decimals.
    pub fn new(units: Decimal) -> Result<Self, AmountError> {
        if units.is_sign_negative() && !units.is_zero() {
            return Err(AmountError::Negative);
        }
        if units > Decimal::from(1_000_000_u32) {
            return Err(AmountError::OutOfRange);
        }
        let units = units.normalize();
        let factor = 3_u32
            .checked_sub(units.scale())
            .and_then(|shift| 10_i128.checked_pow(shift));
        let whole = factor.and_then(|factor| units.mantissa().checked_mul(factor));
        let thousandths = whole
            .and_then(|whole| i64::try_from(whole).ok())
            .ok_or(AmountError::TooManyDecimals)?;
        Ok(Self { thousandths })
    }

    /// The quantity in thousandths of a unit.
    pub const fn thousandths(self) -> i64 {
        self.thousandths
    }

    /// Returns true if it is zero.
    pub const fn is_zero(&self) -> bool {
        self.thousandths == 0
    }

    /// The difference; zero if it would be negative.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self {
            thousandths: self.thousandths.saturating_sub(other.thousandths).max(0),
        }
    }

    /// The sum, clamped to the range.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self {
            thousandths: self.thousandths.saturating_add(other.thousandths),
        }
    }
}

impl From<u16> for Quantity {
    fn from(units: u16) -> Self {
        Self { thousandths: i64::from(units).saturating_mul(1_000) }
    }
}

impl FromStr for Quantity {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        Self::new(parse_decimal(text)?)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Decimal::try_from_i128_with_scale(i128::from(self.thousandths), 3) {
            Ok(units) => units.normalize().fmt(f),
            Err(_) => f.write_str("?"),
        }
    }
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Line {
    /// The shop's id of the line, unique within its order.
    pub id: LineId,
    /// The product, if the shop names one.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub product: Option<ProductId>,
    /// The product's categories.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub categories: Vec<CategoryId>,
    /// The units. Zero is valid: real orders contain such lines.
    #[cfg_attr(
        feature = "json",
        serde(default = "default_quantity", skip_serializing_if = "is_one")
    )]
    pub quantity: Quantity,
    /// The price of the whole line, less its discounts.
    pub amount: Amount,
    /// The line is a gift card. Those never earn: they are paid with again.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub gift_card: bool,
    /// The shop's facts about the line, for conditions of a program.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Attributes::is_empty"))]
    pub attributes: Attributes,
}

impl Line {
    /// One unit that costs `amount`, net of discounts, of no product in particular.
    ///
    /// # Example: two tins of tea
    /// ```
    /// use loyalty_core::*;
    /// let line = Line::new("1".parse()?, "29.90".parse()?)
    ///     .with_quantity(2.into())
    ///     .with_product("tea".parse()?)
    ///     .with_categories(["drinks".parse()?]);
    /// assert_eq!((line.quantity, line.amount), (Quantity::from(2), "29.90".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn new(id: LineId, amount: Amount) -> Self {
        Self {
            id,
            product: None,
            categories: Vec::new(),
            quantity: Quantity::ONE,
            amount,
            gift_card: false,
            attributes: Attributes::EMPTY,
        }
    }

    /// Sets how many units the line has. Its amount stays that of the whole line.
    #[must_use]
    pub fn with_quantity(mut self, quantity: Quantity) -> Self {
        self.quantity = quantity;
        self
    }

    /// Sets the product.
    #[must_use]
    pub fn with_product(mut self, product: ProductId) -> Self {
        self.product = Some(product);
        self
    }

    /// Sets the product's categories.
    #[must_use]
    pub fn with_categories(mut self, categories: impl IntoIterator<Item = CategoryId>) -> Self {
        self.categories = categories.into_iter().collect();
        self
    }

    /// Sets the shop's facts about the line.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// The line as something paid for.
    pub(crate) fn as_paid(&self) -> PaidLine {
        PaidLine { quantity: self.quantity, amount: self.amount }
    }

    /// Marks the line as a gift card, which never earns.
    ///
    /// # Example: a gift card earns nothing
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let card = Line::new("1".parse()?, "50".parse()?).as_gift_card();
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.record_order(&"1001".parse()?, Order::new([card])?, Status::Paid, now)?;
    /// assert_eq!(ledger.balance(now), Points::ZERO);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_gift_card(mut self) -> Self {
        self.gift_card = true;
        self
    }
}

// A quantity of one, as of nearly every line, is left out of the stored form.

#[cfg(feature = "json")]
fn default_quantity() -> Quantity {
    Quantity::ONE
}

#[cfg(feature = "json")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(quantity: &Quantity) -> bool {
    *quantity == default_quantity()
}

/// A snapshot of an order: its content as the shop reports it at one time, in the shop's
/// currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Order {
    /// The instant at which the customer placed it. Conditions on dates compare it, else
    /// the first award.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub placed_at: Option<Timestamp>,
    /// The lines.
    pub lines: Vec<Line>,
    /// The sum of all taxes.
    pub tax: Amount,
    /// The lines' amounts include the tax.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub taxes_included: bool,
    /// The price of shipping.
    pub shipping: Amount,
    /// The total that the customer pays, by any means.
    pub total: Amount,
    /// The part of the total paid with a redeemed reward.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Amount::is_zero"))]
    pub redeemed: Amount,
    /// The discount codes that the customer entered. They do not change the order's
    /// points.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub codes: Vec<Code>,
    /// The automatic price rules that the shop applied.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub automatic_rules: Vec<PriceRuleId>,
    /// The checkout that became the order, if the shop names one.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub checkout: Option<CheckoutId>,
    /// The total in the currency that the customer paid in, if that is not the shop's. Its
    /// proportion to the total is the rate by which refunds are converted.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub presentment: Option<Money>,
    /// The channel by which the order came, if the shop names one.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub channel: Option<ChannelId>,
    /// The shop's facts about the order, for conditions of a program.
    ///
    /// They stay in the journal for ever: they must not contain personal data.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Attributes::is_empty"))]
    pub attributes: Attributes,
}

/// A contradiction in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Two lines have the same id.
    #[error("two lines have the id {0}")]
    DuplicateLine(LineId),
    /// The part paid with a reward exceeds the total.
    #[error("the redeemed part is more than the total of {}", GroupedNumber(total))]
    RedeemedBeyondTotal {
        /// The order's total.
        total: Amount,
    },
    /// The parts and the total differ by more than rounding explains.
    #[error(
        "the lines, tax and shipping add up to {}, but the total is {}",
        GroupedNumber(sum),
        GroupedNumber(total)
    )]
    TotalsDisagree {
        /// The sum of the parts.
        sum: Amount,
        /// The order's total.
        total: Amount,
    },
    /// More lines than are accepted, or amounts that leave the range.
    #[error(
        "an order has at most {} lines and a total of at most {}",
        GroupedNumber(Order::MAX_LINES),
        GroupedNumber(Amount::MAX)
    )]
    TooLarge,
}

impl Order {
    /// The same order without the shop's facts about it and its lines: what people have
    /// written is there.
    #[must_use]
    pub fn without_attributes(&self) -> Self {
        let mut order = self.clone();
        order.attributes = Attributes::EMPTY;
        for line in &mut order.lines {
            line.attributes = Attributes::EMPTY;
        }
        order
    }

    /// The most lines that an order can have.
    pub const MAX_LINES: usize = 2_000;
    /// The most discount codes that an order can have, and the most automatic price rules.
    pub const MAX_CODES: usize = 100;

    /// An order of these lines, whose total is their sum: without tax and shipping.
    ///
    /// # Errors
    /// [`OrderError::TooLarge`] if the sum is beyond [`Amount::MAX`].
    ///
    /// # Example: the total is the sum of the lines
    /// ```
    /// use loyalty_core::*;
    /// let lines = [
    ///     Line::new("1".parse()?, "12.50".parse()?),
    ///     Line::new("2".parse()?, "37.45".parse()?),
    /// ];
    /// assert_eq!(Order::new(lines)?.total, "49.95".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Result<Self, OrderError> {
        let lines = lines.into_iter().collect();
        Self { lines, ..Self::default() }.sum_up()
    }

    /// Adds shipping, to the total as well.
    ///
    /// # Errors
    /// [`OrderError::TooLarge`] if the total is beyond [`Amount::MAX`].
    ///
    /// # Example: tax and shipping on top
    /// ```
    /// use loyalty_core::*;
    /// let order = Order::new([Line::new("1".parse()?, "40".parse()?)])?
    ///     .with_tax("7.60".parse()?)?
    ///     .with_shipping("4.90".parse()?)?;
    /// assert_eq!(order.total, "52.50".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_shipping(mut self, shipping: Amount) -> Result<Self, OrderError> {
        self.shipping = shipping;
        self.sum_up()
    }

    /// Adds tax that the lines' amounts do not include, to the total as well.
    ///
    /// # Errors
    /// [`OrderError::TooLarge`] if the total is beyond [`Amount::MAX`].
    pub fn with_tax(mut self, tax: Amount) -> Result<Self, OrderError> {
        (self.tax, self.taxes_included) = (tax, false);
        self.sum_up()
    }

    /// Sets the tax that the lines' amounts include.
    ///
    /// # Errors
    /// [`OrderError::TooLarge`] if the total is beyond [`Amount::MAX`].
    pub fn with_included_tax(mut self, tax: Amount) -> Result<Self, OrderError> {
        (self.tax, self.taxes_included) = (tax, true);
        self.sum_up()
    }

    /// Sets the total as the shop counts it. Call it after the other setters, which sum
    /// up anew.
    ///
    /// [`Order::validate`] accepts a total that differs from the sum by what rounding
    /// explains.
    #[must_use]
    pub fn with_total(mut self, total: Amount) -> Self {
        self.total = total;
        self
    }

    /// Sets when the customer placed the order.
    #[must_use]
    pub fn with_placed_at(mut self, placed_at: Timestamp) -> Self {
        self.placed_at = Some(placed_at);
        self
    }

    /// Sets the part of the total that is paid with a redeemed reward. It earns nothing,
    /// unless the program counts it.
    #[must_use]
    pub fn with_redeemed(mut self, redeemed: Amount) -> Self {
        self.redeemed = redeemed;
        self
    }

    /// Sets the discount codes that the customer typed.
    #[must_use]
    pub fn with_codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// Sets the checkout that became the order.
    #[must_use]
    pub fn with_checkout(mut self, checkout: CheckoutId) -> Self {
        self.checkout = Some(checkout);
        self
    }

    /// Sets the channel by which the order came.
    #[must_use]
    pub fn with_channel(mut self, channel: ChannelId) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Sets the shop's facts about the order. They must not contain personal data.
    ///
    /// # Example: a rule for gifts
    /// ```
    /// use loyalty_core::*;
    /// # let now = "2026-01-31T10:00:00Z".parse()?;
    /// let program = Program::from_json(r#"{"earning": [{"id": "gifts", "earn": {"per_order": 20},
    ///     "when": {"attributes": [{"of": "order", "name": "gift", "equals": true}]}}]}"#)?;
    /// let order = Order::new([Line::new("1".parse()?, "10".parse()?)])?
    ///     .with_attributes(Attributes::new([("gift".parse()?, true.into())])?);
    /// let mut ledger = Ledger::new(program);
    /// ledger.record_order(&"1001".parse()?, order, Status::Paid, now)?;
    /// assert_eq!(ledger.balance(now), Points::from(20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the total in the currency that the customer paid in, if that is not the shop's.
    /// All other amounts are in the shop's. Refunds can be in either, and say which:
    /// [`RefundAmount::in_currency`].
    #[must_use]
    pub fn with_presentment(mut self, total: Money) -> Self {
        self.presentment = Some(total);
        self
    }

    /// The same order with the sum of its parts as its total.
    fn sum_up(mut self) -> Result<Self, OrderError> {
        self.total = self.sum_of_parts().ok_or(OrderError::TooLarge)?;
        Ok(self)
    }

    /// The lines, the tax unless they include it, and shipping.
    fn sum_of_parts(&self) -> Option<Amount> {
        let tax = if self.taxes_included { Amount::ZERO } else { self.tax };
        self.subtotal()?.checked_add(tax)?.checked_add(self.shipping)
    }

    /// The sum of the lines, without shipping, and without tax unless they include it.
    /// `None` beyond the range.
    pub fn subtotal(&self) -> Option<Amount> {
        self.lines
            .iter()
            .try_fold(Amount::ZERO, |sum, line| sum.checked_add(line.amount))
    }

    /// Validates that line ids are unique and that the parts add up to the total.
    ///
    /// Each amount may have been rounded to the currency's minor unit by itself. So the
    /// sum may differ from the total by half a minor unit for each amount.
    ///
    /// # Errors
    /// The first [`OrderError`].
    pub fn validate(&self, minor_digits: u32) -> Result<(), OrderError> {
        self.validate_shape()?;
        let sum = self.sum_of_parts().ok_or(OrderError::TooLarge)?;

        // Compare twice the difference with the sum of all half units.
        let difference = sum.ten_thousandths().abs_diff(self.total.ten_thousandths());
        let minor = 10_u64.pow(Amount::MAX_DECIMALS.saturating_sub(minor_digits));
        let amounts = u64::try_from(self.lines.len()).unwrap_or(u64::MAX).saturating_add(2);
        if difference.saturating_mul(2) > amounts.saturating_mul(minor) {
            return Err(OrderError::TotalsDisagree { sum, total: self.total });
        }
        Ok(())
    }

    /// The part of [`Order::validate`] without the totals, for sources whose totals do
    /// not add up.
    ///
    /// # Errors
    /// The first [`OrderError`].
    pub fn validate_shape(&self) -> Result<(), OrderError> {
        if self.lines.len() > Self::MAX_LINES || self.subtotal().is_none() {
            return Err(OrderError::TooLarge);
        }
        if self.redeemed > self.total {
            return Err(OrderError::RedeemedBeyondTotal { total: self.total });
        }

        let mut seen = BTreeSet::new();
        match self.lines.iter().find(|line| !seen.insert(&line.id)) {
            Some(line) => Err(OrderError::DuplicateLine(line.id.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn line(&self, id: &LineId) -> Option<&Line> {
        self.lines.iter().find(|line| line.id == *id)
    }
}

/// The source of a report. It sets the earning gate if the program names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Origin {
    /// The shop itself: an order earns from `paid` on, unless the program names another
    /// gate.
    #[default]
    Shop,
    /// A store plugin, whose own settings decide when it reports: any status earns,
    /// unless the program names a gate.
    Plugin,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    fn order(lines: &[&str], total: &str) -> Order {
        let line = |(index, amount): (usize, &&str)| Line {
            id: LineId::new(index.to_string()).unwrap(),
            product: None,
            categories: vec![],
            quantity: Quantity::from(1),
            amount: amount.parse().unwrap(),
            gift_card: false,
            attributes: Attributes::EMPTY,
        };
        Order {
            placed_at: None,
            lines: lines.iter().enumerate().map(line).collect(),
            tax: "1.00".parse().unwrap(),
            taxes_included: false,
            shipping: "2.00".parse().unwrap(),
            total: total.parse().unwrap(),
            redeemed: Amount::ZERO,
            codes: Vec::new(),
            automatic_rules: Vec::new(),
            checkout: None,
            presentment: None,
            channel: None,
            attributes: Attributes::EMPTY,
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_quantity_of_one_is_omitted() {
        let mut line = order(&["5.00"], "5.00").lines.remove(0);
        let written = serde_json::to_string(&line).unwrap();
        assert_eq!(written, r#"{"id":"0","amount":"5.00"}"#);
        assert_eq!(serde_json::from_str::<Line>(&written).unwrap(), line);
        assert_eq!(
            serde_json::from_str::<Line>(r#"{"id":"0","quantity":1000,"amount":"5.00"}"#).unwrap(),
            line
        );
        for quantity in [Quantity::ZERO, Quantity::from(2), "0.999".parse().unwrap()] {
            line.quantity = quantity;
            let written = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&written).unwrap(), line, "{written}");
        }
    }

    #[test]
    fn totals_may_differ_by_what_rounding_explains() {
        assert_eq!(order(&["3.00", "4.00"], "10.00").validate(2), Ok(()));
        assert_eq!(order(&["3.00", "4.00"], "10.02").validate(2), Ok(()));
        assert!(matches!(
            order(&["3.00", "4.00"], "10.03").validate(2),
            Err(OrderError::TotalsDisagree { .. })
        ));
        let mut with_tax = order(&["3.00", "4.00"], "9.00");
        with_tax.taxes_included = true;
        assert_eq!(with_tax.validate(2), Ok(()));
    }

    #[test]
    fn lines_have_ids_of_their_own() {
        let mut order = order(&["3.00", "4.00"], "10.00");
        let first = order.lines.first().unwrap().id.clone();
        order.lines.last_mut().unwrap().id = first.clone();
        assert_eq!(order.validate(2), Err(OrderError::DuplicateLine(first)));
    }

    #[test]
    fn quantities_have_three_decimals() {
        assert_eq!("1.500".parse::<Quantity>().unwrap().to_string(), "1.5");
        assert_eq!("0.0001".parse::<Quantity>(), Err(AmountError::TooManyDecimals));
        assert_eq!("-1".parse::<Quantity>(), Err(AmountError::Negative));
        assert_eq!("1000001".parse::<Quantity>(), Err(AmountError::OutOfRange));
    }
}
