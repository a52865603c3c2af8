//! Refunds: what they give back, as the shop reports it.

use crate::amount::{Amount, Currency, Money};
use crate::id::{LineId, RefundId};
use crate::order::Quantity;

/// One refund of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Refund {
    /// The shop's id, unique within the order.
    pub id: RefundId,
    /// Its content.
    pub refunded: RefundContent,
}

impl Refund {
    /// A refund of money, of no line in particular. The goods bear it first, then shipping.
    ///
    /// # Example: the goods come back, the postage stays paid
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let tea = Line::new("1".parse()?, "49.95".parse()?);
    /// let mut ledger = Ledger::new(Program::default());
    /// let order = Order::new([tea])?.with_shipping("5".parse()?)?;
    /// ledger.record_order(&id, order, Status::Paid, now)?;
    ///
    /// let refund = Refund::of_amount("R1".parse()?, "49.95".parse()?);
    /// ledger.refund(&id, refund, now)?;
    /// assert_eq!(ledger.balance(now), Points::ZERO);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn of_amount(id: RefundId, amount: Amount) -> Self {
        Self::of_money(id, RefundAmount::new(amount))
    }

    /// A refund of money as [`Refund::of_amount`], which says its parts or its currency.
    pub const fn of_money(id: RefundId, money: RefundAmount) -> Self {
        Self { id, refunded: RefundContent::Amount(money) }
    }

    /// A refund of units of lines, at the share of each line that they are.
    ///
    /// # Example: one of two tins comes back
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let tea = Line::new("1".parse()?, "29.90".parse()?).with_quantity(2.into());
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.record_order(&id, Order::new([tea])?, Status::Paid, now)?;
    ///
    /// let refund = Refund::of_lines("R1".parse()?, [("1".parse()?, 1.into())]);
    /// ledger.refund(&id, refund, now)?;
    /// assert_eq!(ledger.balance(now), Points::from(14)); // of 14.95
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_lines(id: RefundId, lines: impl IntoIterator<Item = (LineId, Quantity)>) -> Self {
        let lines = lines.into_iter().collect();
        Self { id, refunded: RefundContent::Lines { lines, amount: None } }
    }

    /// Sets the money paid out. For a refund of lines it says how much they bear, in place
    /// of their share.
    ///
    /// # Example: a unit comes back, less a fee
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let tea = Line::new("1".parse()?, "40".parse()?).with_quantity(2.into());
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.record_order(&id, Order::new([tea])?, Status::Paid, now)?;
    ///
    /// let refund = Refund::of_lines("R1".parse()?, [("1".parse()?, 1.into())]);
    /// ledger.refund(&id, refund.with_amount(RefundAmount::new("15".parse()?)), now)?;
    /// assert_eq!(ledger.balance(now), Points::from(25));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_amount(mut self, amount: RefundAmount) -> Self {
        match &mut self.refunded {
            RefundContent::Amount(known) => *known = amount,
            RefundContent::Lines { amount: known, .. } => *known = Some(amount),
        }
        self
    }
}

/// The content of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum RefundContent {
    /// Money, of no line in particular. The goods bear it first, each line in proportion;
    /// only what exceeds the goods is shipping.
    Amount(RefundAmount),
    /// Units of lines. Without an `amount` they reduce the basis by their share of their
    /// lines. With one, the lines bear the money, and the money says how much.
    Lines {
        /// The lines, each with the refunded units.
        lines: Vec<(LineId, Quantity)>,
        /// The money paid out.
        amount: Option<RefundAmount>,
    },
}

impl RefundContent {
    /// The money paid out, if the refund names it.
    pub const fn amount(&self) -> Option<&RefundAmount> {
        match self {
            Self::Amount(amount) | Self::Lines { amount: Some(amount), .. } => Some(amount),
            Self::Lines { amount: None, .. } => None,
        }
    }

    /// The returned lines with their units. Empty for money of no line in particular.
    pub fn lines(&self) -> &[(LineId, Quantity)] {
        match self {
            Self::Amount(_) => &[],
            Self::Lines { lines, .. } => lines,
        }
    }
}

/// The money that a refund pays out: the amount in all, the parts of it that are shipping
/// and tax, and the currency. The parts are beside each other, and their sum is at most
/// the amount.
///
/// # Example: postage alone
/// ```
/// use loyalty_core::*;
/// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
/// let sofa = Line::new("1".parse()?, "415".parse()?);
/// let mut ledger = Ledger::new(Program::default());
/// let order = Order::new([sofa])?.with_shipping("95".parse()?)?;
/// ledger.record_order(&id, order, Status::Paid, now)?;
///
/// let postage: Amount = "95".parse()?;
/// let refunded = RefundAmount::new(postage).with_shipping(postage)?;
/// ledger.refund(&id, Refund::of_money("R1".parse()?, refunded), now)?;
/// assert_eq!(ledger.balance(now), Points::from(415));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(from = "json::Stored", into = "json::Stored"))]
pub struct RefundAmount {
    amount: Amount,
    shipping: Amount,
    /// `None` if the refund does not say which part is tax.
    tax: Option<Amount>,
    currency: RefundCurrency,
}

/// The currency of a refund's amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum RefundCurrency {
    /// Not named: the shop's. An order that came in another currency requires a name.
    #[default]
    Unnamed,
    /// The shop's.
    Shop,
    /// That of an order that came in another currency than the shop's. The order's own
    /// rate converts it.
    Order(#[cfg_attr(feature = "json", serde(with = "crate::amount::currency_code"))] Currency),
}

/// A contradiction in a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefundError {
    /// Shipping and tax are more than the whole.
    #[error("shipping and tax are more than the refunded amount of {amount}")]
    PartsExceedAmount {
        /// The whole.
        amount: Amount,
    },
}

impl RefundAmount {
    /// An amount of which no part is said to be shipping or tax, in the shop's currency.
    pub const fn new(amount: Amount) -> Self {
        Self {
            amount,
            shipping: Amount::ZERO,
            tax: None,
            currency: RefundCurrency::Unnamed,
        }
    }

    /// Says which part of the amount is shipping.
    ///
    /// # Errors
    /// [`RefundError`] if shipping and tax exceed the amount.
    pub fn with_shipping(self, shipping: Amount) -> Result<Self, RefundError> {
        Self { shipping, ..self }.validate()
    }

    /// Says which part of the amount is tax.
    ///
    /// # Errors
    /// [`RefundError`] if shipping and tax exceed the amount.
    pub fn with_tax(self, tax: Amount) -> Result<Self, RefundError> {
        Self { tax: Some(tax), ..self }.validate()
    }

    /// Names the currency of the amounts.
    ///
    /// # Example: 50 rand of an order of 1,000 rand, which are 50 euros to the shop
    /// ```
    /// use loyalty_core::*;
    /// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
    /// let rand = Currency::ZAR;
    /// let order = Order::new([Line::new("1".parse()?, "50".parse()?)])?
    ///     .with_presentment(Money::new("1000".parse()?, rand));
    /// let mut ledger = Ledger::new(Program::default());
    /// ledger.record_order(&id, order, Status::Paid, now)?;
    ///
    /// let fifty = RefundAmount::new("50".parse()?);
    /// let unnamed = ledger.refund(&id, Refund::of_money("R1".parse()?, fifty), now);
    /// assert_eq!(unnamed.unwrap_err().code(), "currency_required");
    ///
    /// let fifty = fifty.in_currency(RefundCurrency::Order(rand));
    /// ledger.refund(&id, Refund::of_money("R1".parse()?, fifty), now)?;
    /// assert_eq!(ledger.balance(now), Points::from(47)); // of 47.50
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn in_currency(self, currency: RefundCurrency) -> Self {
        Self { currency, ..self }
    }

    fn validate(self) -> Result<Self, RefundError> {
        let parts = self.shipping.checked_add(self.tax.unwrap_or_default());
        if parts.is_some_and(|parts| parts <= self.amount) {
            Ok(self)
        } else {
            Err(RefundError::PartsExceedAmount { amount: self.amount })
        }
    }

    /// The total amount.
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// The part that is said to be shipping.
    pub const fn shipping(&self) -> Amount {
        self.shipping
    }

    /// The part that is said to be tax. `None` if nothing is said of it.
    pub const fn tax(&self) -> Option<Amount> {
        self.tax
    }

    /// The currency of the amounts.
    pub const fn currency(&self) -> RefundCurrency {
        self.currency
    }

    /// The same, at most `most` in all. The goods are cut first.
    pub(crate) fn limited_to(self, most: Amount) -> Self {
        let amount = self.amount.min(most);
        let shipping = self.shipping.min(amount);
        let rest = amount.checked_sub(shipping).unwrap_or(Amount::ZERO);
        Self {
            amount,
            shipping,
            tax: self.tax.map(|tax| tax.min(rest)),
            ..self
        }
    }

    /// The currency that the amounts have, for an order that came in `presentment`. `None`
    /// if the order's rate does not convert it.
    pub(crate) fn is_in_shop_currency(&self, presentment: Option<Money>) -> Option<bool> {
        match (self.currency, presentment) {
            (RefundCurrency::Shop, _) | (RefundCurrency::Unnamed, None) => Some(true),
            // Only of a refund that came before its order: see `Rejection::CurrencyRequired`.
            (RefundCurrency::Unnamed, Some(_)) => Some(false),
            (RefundCurrency::Order(named), Some(paid)) if named == paid.currency() => Some(false),
            (RefundCurrency::Order(_), _) => None,
        }
    }
}

impl From<Amount> for RefundAmount {
    fn from(amount: Amount) -> Self {
        Self::new(amount)
    }
}

#[cfg(feature = "json")]
mod json {
    use super::{RefundAmount, RefundCurrency};
    use crate::amount::Amount;

    /// The stored form. A plain amount, as nearly all are, is stored as such.
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(untagged)]
    pub(super) enum Stored {
        Plain(Amount),
        Parts {
            amount: Amount,
            #[serde(default, skip_serializing_if = "Amount::is_zero")]
            shipping: Amount,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            tax: Option<Amount>,
            #[serde(default, skip_serializing_if = "is_unnamed")]
            currency: RefundCurrency,
        },
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_unnamed(currency: &RefundCurrency) -> bool {
        *currency == RefundCurrency::Unnamed
    }

    impl From<RefundAmount> for Stored {
        fn from(refunded: RefundAmount) -> Self {
            let RefundAmount { amount, shipping, tax, currency } = refunded;
            if refunded == RefundAmount::new(amount) {
                Self::Plain(amount)
            } else {
                Self::Parts { amount, shipping, tax, currency }
            }
        }
    }

    impl From<Stored> for RefundAmount {
        fn from(stored: Stored) -> Self {
            match stored {
                Stored::Plain(amount) => Self::new(amount),
                Stored::Parts { amount, shipping, tax, currency } => {
                    Self { amount, shipping, tax, currency }
                }
            }
        }
    }
}
