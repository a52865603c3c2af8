//! What a shopper is about to buy.

use std::collections::BTreeSet;

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::customer::Email;
use crate::id::{
    AccountId, CategoryId, CountryId, CustomerId, LineId, ProductId, SegmentId, VariantId,
};

/// A cart with the codes that were typed into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cart {
    /// What is to be bought. Of equal claims the earlier line wins.
    pub lines: Vec<CartLine>,
    /// What its delivery costs.
    pub shipping: Vec<ShippingLine>,
    /// Where it goes.
    pub country: Option<CountryId>,
    /// Who buys.
    pub customer: Customer,
    /// The codes, in typed order.
    pub codes: Vec<Code>,
    /// Now.
    pub at: Timestamp,
}

impl Cart {
    /// How many lines a cart can have: as many as an order.
    pub const MAX_LINES: usize = crate::order::Order::MAX_LINES;
    /// How many shipping lines a cart can have.
    pub const MAX_SHIPPING_LINES: usize = 100;
    /// How many codes a cart can bring.
    pub const MAX_CODES: usize = 20;

    /// Checks the sizes, that line ids are unique, and that amounts are whole minor units in range.
    pub(super) fn check(&self) -> Result<(), CartError> {
        if self.lines.len() > Self::MAX_LINES {
            return Err(CartError::TooManyLines);
        }
        if self.shipping.len() > Self::MAX_SHIPPING_LINES {
            return Err(CartError::TooManyShippingLines);
        }
        if self.codes.len() > Self::MAX_CODES {
            return Err(CartError::TooManyCodes);
        }
        let mut seen = BTreeSet::new();
        let twice = self.lines.iter().map(|line| &line.id).find(|id| !seen.insert(*id));
        let mut seen = BTreeSet::new();
        let twice = twice
            .or_else(|| self.shipping.iter().map(|line| &line.id).find(|id| !seen.insert(*id)));
        twice.map_or(Ok(()), |id| Err(CartError::DuplicateLine(id.clone())))
    }
}

/// One line of a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartLine {
    /// The shop's id of the line, unique within the cart.
    pub id: LineId,
    /// The product.
    pub product: Option<ProductId>,
    /// Its variant.
    pub variant: Option<VariantId>,
    /// The product's categories (Shopify's collections).
    pub categories: Vec<CategoryId>,
    /// How many units.
    pub quantity: u32,
    /// What one unit costs.
    pub price: Amount,
    /// A gift card is money in another shape: nothing is taken off it.
    pub gift_card: bool,
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingLine {
    /// The shop's id of it, unique within the cart's shipping lines.
    pub id: LineId,
    /// What it costs.
    pub price: Amount,
}

/// Who buys, as far as rules look at it. All of it is personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The account. A store has one for every customer, and for every guest that it knows an e-mail of, so
    /// that "once per customer" holds by id and by e-mail.
    pub account: Option<AccountId>,
    /// The shop's id.
    pub id: Option<CustomerId>,
    /// What else they are called in lists of customers: a store gives a number to guests, who have no id.
    pub aliases: BTreeSet<CustomerId>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The segments and saved searches that the customer is in.
    pub segments: BTreeSet<SegmentId>,
}

/// Why a cart cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CartError {
    /// Two lines of one id.
    #[error("two lines have the id {0}")]
    DuplicateLine(LineId),
    /// A price with more decimals than the currency has.
    #[error("the price of line {0} is finer than the currency")]
    FinerThanCurrency(LineId),
    /// A rule that was made for another currency.
    #[error("the rule of code {0} was made for a currency with other minor units")]
    OtherCurrency(Code),
    /// More than can be counted.
    #[error("the lines of a cart come to at most {}", Amount::MAX)]
    TooLarge,
    /// More codes than are accepted.
    #[error("a cart has at most {} codes", Cart::MAX_CODES)]
    TooManyCodes,
    /// More lines than are accepted.
    #[error("a cart has at most {} lines", Cart::MAX_LINES)]
    TooManyLines,
    /// More shipping lines than are accepted.
    #[error("a cart has at most {} shipping lines", Cart::MAX_SHIPPING_LINES)]
    TooManyShippingLines,
}

impl CartError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateLine(_) => "duplicate_line",
            Self::FinerThanCurrency(_) => "finer_than_currency",
            Self::OtherCurrency(_) => "other_currency",
            Self::TooLarge => "cart_too_large",
            Self::TooManyCodes => "too_many_codes",
            Self::TooManyLines => "too_many_lines",
            Self::TooManyShippingLines => "too_many_shipping_lines",
        }
    }
}
