//! A cart: lines, shipping, the customer and the entered codes.

use std::collections::BTreeSet;

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::customer::Email;
use crate::figures::GroupedNumber;
use crate::id::{
    AccountId, CategoryId, CountryId, CustomerId, LineId, ProductId, SegmentId, VariantId,
};

/// A cart with the discount codes entered in it.
///
/// # Example: a cart without codes
/// ```
/// use loyalty_core::discount::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mugs = CartLine::new("1".parse()?, "8.00".parse()?)
///     .with_product("mug".parse()?)
///     .with_quantity(2);
/// let cart = Cart::new([mugs], "2026-03-01T12:00:00Z".parse()?);
/// let evaluation = evaluate(&cart, 2, Stacking::default(), |_| None)?;
/// assert_eq!(evaluation.lines[0].amount, "16.00".parse()?);
/// assert!(evaluation.total_discount().is_zero());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cart {
    /// The lines to buy. Between equal lines, a discount prefers the earlier one.
    pub lines: Vec<CartLine>,
    /// The deliveries and their prices.
    pub shipping: Vec<ShippingLine>,
    /// The country to ship to.
    pub country: Option<CountryId>,
    /// The customer; unknown by default.
    pub customer: Customer,
    /// The codes, in the order in which they were entered.
    pub codes: Vec<Code>,
    /// The instant of the evaluation.
    pub at: Timestamp,
}

impl Cart {
    /// Maximum number of lines, equal to that of an order.
    pub const MAX_LINES: usize = crate::order::Order::MAX_LINES;
    /// Maximum number of shipping lines.
    pub const MAX_SHIPPING_LINES: usize = 100;
    /// Maximum number of codes.
    pub const MAX_CODES: usize = 20;

    /// A cart of these lines at an instant, without delivery, customer and codes.
    pub fn new(lines: impl IntoIterator<Item = CartLine>, at: Timestamp) -> Self {
        Self {
            lines: lines.into_iter().collect(),
            shipping: Vec::new(),
            country: None,
            customer: Customer::default(),
            codes: Vec::new(),
            at,
        }
    }

    /// Sets the entered codes.
    #[must_use]
    pub fn with_codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// Checks the numbers of lines and codes, and that line ids are unique.
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

        let mut visited = BTreeSet::new();
        let duplicate = self.lines.iter().map(|line| &line.id).find(|id| !visited.insert(*id));

        // Shipping lines have ids of their own.
        let mut visited = BTreeSet::new();
        let duplicate = duplicate.or_else(|| {
            self.shipping
                .iter()
                .map(|line| &line.id)
                .find(|id| !visited.insert(*id))
        });

        duplicate.map_or(Ok(()), |id| Err(CartError::DuplicateLine(id.clone())))
    }
}

/// One line of a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartLine {
    /// The shop's id of the line, unique among the lines of the cart.
    pub id: LineId,
    /// The product.
    pub product: Option<ProductId>,
    /// The variant of the product.
    pub variant: Option<VariantId>,
    /// The product's categories (Shopify's collections).
    pub categories: Vec<CategoryId>,
    /// Number of units.
    pub quantity: u32,
    /// Price of one unit, in whole minor units of the currency.
    pub price: Amount,
    /// A gift card is a means of payment and never discounted.
    pub gift_card: bool,
}

impl CartLine {
    /// One unit at a price, of no product in particular.
    pub const fn new(id: LineId, price: Amount) -> Self {
        Self {
            id,
            product: None,
            variant: None,
            categories: Vec::new(),
            quantity: 1,
            price,
            gift_card: false,
        }
    }

    /// Sets the number of units.
    #[must_use]
    pub fn with_quantity(mut self, quantity: u32) -> Self {
        self.quantity = quantity;
        self
    }

    /// Sets the product.
    #[must_use]
    pub fn with_product(mut self, product: ProductId) -> Self {
        self.product = Some(product);
        self
    }
}

/// One delivery of a cart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingLine {
    /// The shop's id of the delivery, unique among the cart's shipping lines.
    pub id: LineId,
    /// Price of the delivery.
    pub price: Amount,
}

/// The customer as price rules see them. All fields are personal data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The account. A store has one for every customer, and one for every guest whose e-mail
    /// it knows, so that "once per customer" applies by id and by e-mail.
    pub account: Option<AccountId>,
    /// The shop's id of the customer.
    pub id: Option<CustomerId>,
    /// Further ids of the customer in the lists of a rule. A store assigns one to each guest.
    pub aliases: BTreeSet<CustomerId>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The segments and saved searches that include the customer.
    pub segments: BTreeSet<SegmentId>,
}

/// The reason why a cart cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CartError {
    /// Two lines have the same id.
    #[error("duplicate line id {0}")]
    DuplicateLine(LineId),
    /// A price has more decimals than the currency.
    #[error("the price of line {0} has more decimals than the currency")]
    FinerThanCurrency(LineId),
    /// A rule was validated for a currency with more decimals.
    #[error("the price rule of code {0} has amounts with more decimals than the currency")]
    OtherCurrency(Code),
    /// The cart costs more than [`Amount::MAX`].
    #[error("the lines of a cart must total at most {}", GroupedNumber(Amount::MAX))]
    TooLarge,
    /// The cart has more than [`Cart::MAX_CODES`] codes.
    #[error("a cart has at most {} codes", Cart::MAX_CODES)]
    TooManyCodes,
    /// The cart has more than [`Cart::MAX_LINES`] lines.
    #[error("a cart has at most {} lines", GroupedNumber(Cart::MAX_LINES))]
    TooManyLines,
    /// The cart has more than [`Cart::MAX_SHIPPING_LINES`] shipping lines.
    #[error("a cart has at most {} shipping lines", Cart::MAX_SHIPPING_LINES)]
    TooManyShippingLines,
}

impl CartError {
    /// The stable code of the error.
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
