//! What the store plugins send, by event.
//!
//! Only what the engine uses is read; the plugins send more (an IP address, an address, Magento's `guest`
//! and `item_spent_amount`), which is passed over and never kept. What is read is typed strictly, and a
//! fault is named with the JSON Pointer (RFC 6901) of its place. The tolerance is PHP's own: see
//! [`scalar`](super::scalar).
//!
//! Amounts are exact as sent, in the shop's currency, and may be finer than its minor unit.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_path_to_error::{Path, Segment};

use super::scalar;

/// Why a verified body is not what its route takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A member is missing, or of a wrong type or form.
    #[error("{pointer}: {reason}")]
    Invalid {
        /// The JSON Pointer of the value.
        pointer: String,
        /// What is wrong, without the value itself.
        reason: String,
    },
    /// An amount or a quantity is below zero.
    #[error("{pointer}: must not be negative")]
    NegativeAmount {
        /// The JSON Pointer of the value.
        pointer: String,
    },
}

/// A body of one event. It is read by [`Verified::read`](super::Verified::read).
pub trait Body: for<'de> Deserialize<'de> {
    /// Checks what the types alone can't say.
    fn check(&self) -> Result<(), WireError>;
}

/// `key-verify`: the merchant has entered the key and the secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeyVerify {
    /// When it was sent, in seconds since 1970.
    #[serde(deserialize_with = "scalar::unix_seconds")]
    pub t: i64,
}

/// `app-installed`: the store is connected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AppInstalled {
    /// Where shoppers find the store.
    #[serde(deserialize_with = "scalar::id")]
    pub shop_url: String,
    /// Where the store answers requests for customers, products and codes.
    #[serde(deserialize_with = "scalar::id")]
    pub api_endpoint: String,
}

/// `orders-processing`, `orders-paid`, `orders-fulfilled`, `orders-completed`: the whole order.
///
/// It has no currency, no time and no shipping: they are the shop's currency, the time of receipt, and
/// total - subtotal - tax.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// The store's id, as sent (Magento's has leading zeros).
    #[serde(deserialize_with = "scalar::id")]
    pub id: String,
    /// What the customer pays in all.
    #[serde(deserialize_with = "scalar::amount")]
    pub total_price: Decimal,
    /// Tax; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    pub total_tax: Decimal,
    /// Discounts, already taken off the subtotal; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    pub total_discounts: Decimal,
    /// Lines net of discounts, without tax and shipping.
    #[serde(deserialize_with = "scalar::amount")]
    pub subtotal_price: Decimal,
    /// Whether the store says that the order has taxes.
    #[serde(default, deserialize_with = "scalar::flag")]
    pub taxes_included: bool,
    /// The codes that the shopper typed.
    #[serde(default, deserialize_with = "scalar::list")]
    pub discount_codes: Vec<DiscountCode>,
    /// Who ordered; none where neither an id nor an e-mail was sent.
    #[serde(default, deserialize_with = "customer")]
    pub customer: Option<Customer>,
    /// The lines.
    #[serde(default, deserialize_with = "scalar::list")]
    pub products: Vec<Line>,
}

/// A discount code on an order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DiscountCode {
    /// The code.
    #[serde(deserialize_with = "scalar::id")]
    pub code: String,
}

/// One line of an order. Line prices are rounded per unit: their sum can differ from the subtotal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Line {
    /// The store's id; none for a product that has been deleted.
    #[serde(default, deserialize_with = "scalar::optional_id")]
    pub product_id: Option<String>,
    /// Its name.
    #[serde(default, deserialize_with = "scalar::name")]
    pub product_name: Option<String>,
    /// The price of one unit; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    pub product_price: Decimal,
    /// How many units; may be broken (by weight, by length).
    #[serde(deserialize_with = "scalar::amount")]
    pub quantity: Decimal,
    /// The categories that the product is in.
    #[serde(default, deserialize_with = "scalar::list")]
    pub categories: Vec<Category>,
}

/// A category of products.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Category {
    /// The store's id.
    #[serde(deserialize_with = "scalar::id")]
    pub category_id: String,
    /// Its name.
    #[serde(default, deserialize_with = "scalar::name")]
    pub category_name: Option<String>,
}

/// `orders-cancelled`, `orders-closed`: the order is off.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OrderId {
    /// The order's id.
    #[serde(deserialize_with = "scalar::id")]
    pub id: String,
}

/// `refunds-create`: money went back. A refund has no id of its own: each delivery is one more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// The order's id.
    #[serde(deserialize_with = "scalar::id")]
    pub id: String,
    /// The payments; the refund is their sum.
    #[serde(deserialize_with = "scalar::list")]
    pub transactions: Vec<Transaction>,
    /// What was returned (Magento); also names what was not, with quantity 0.
    #[serde(default, deserialize_with = "scalar::list")]
    pub products: Vec<ReturnedLine>,
}

/// One payment of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Transaction {
    /// How much.
    #[serde(deserialize_with = "scalar::amount")]
    pub amount: Decimal,
}

/// One line of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReturnedLine {
    /// The store's id; none for a product that has been deleted.
    #[serde(default, deserialize_with = "scalar::optional_id")]
    pub product_id: Option<String>,
    /// How many units; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    pub quantity: Decimal,
}

/// A customer: the body of `customers-create` (which also brings changes), and part of an order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Customer {
    /// The store's id; none for a guest.
    #[serde(default, deserialize_with = "scalar::customer_id")]
    pub id: Option<String>,
    /// The e-mail address, as sent.
    #[serde(default, deserialize_with = "scalar::optional_id")]
    pub email: Option<String>,
    /// The first name; `woocommerce` sends the user name where there is none.
    #[serde(default, deserialize_with = "scalar::name")]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(default, deserialize_with = "scalar::name")]
    pub last_name: Option<String>,
    /// The birthday.
    #[serde(default, deserialize_with = "scalar::birthday")]
    pub birthday: Option<NaiveDate>,
}

impl Customer {
    fn is_known(&self) -> bool {
        self.id.is_some() || self.email.is_some()
    }
}

fn customer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Customer>, D::Error> {
    Ok(scalar::optional_object(deserializer)?.filter(Customer::is_known))
}

impl Body for KeyVerify {
    fn check(&self) -> Result<(), WireError> {
        Ok(())
    }
}

impl Body for AppInstalled {
    fn check(&self) -> Result<(), WireError> {
        Ok(())
    }
}

impl Body for OrderId {
    fn check(&self) -> Result<(), WireError> {
        Ok(())
    }
}

impl Body for Order {
    fn check(&self) -> Result<(), WireError> {
        not_negative(self.total_price, || "/total_price".to_owned())?;
        not_negative(self.total_tax, || "/total_tax".to_owned())?;
        not_negative(self.total_discounts, || "/total_discounts".to_owned())?;
        not_negative(self.subtotal_price, || "/subtotal_price".to_owned())?;
        self.products.iter().enumerate().try_for_each(|(index, line)| {
            not_negative(line.product_price, || format!("/products/{index}/product_price"))?;
            not_negative(line.quantity, || format!("/products/{index}/quantity"))
        })
    }
}

impl Body for Refund {
    fn check(&self) -> Result<(), WireError> {
        self.transactions.iter().enumerate().try_for_each(|(index, transaction)| {
            not_negative(transaction.amount, || format!("/transactions/{index}/amount"))
        })?;
        self.products
            .iter()
            .enumerate()
            .try_for_each(|(index, line)| not_negative(line.quantity, || format!("/products/{index}/quantity")))
    }
}

impl Body for Customer {
    fn check(&self) -> Result<(), WireError> {
        if self.is_known() {
            return Ok(());
        }
        Err(WireError::Invalid { pointer: "/id".to_owned(), reason: "an id or an email is needed".to_owned() })
    }
}

/// PHP writes a rounded-off zero as `-0`, which is none the less zero.
fn not_negative(amount: Decimal, pointer: impl FnOnce() -> String) -> Result<(), WireError> {
    if amount < Decimal::ZERO { Err(WireError::NegativeAmount { pointer: pointer() }) } else { Ok(()) }
}

/// Reads a body and checks it. The place of a fault is looked for only once there is one.
pub(super) fn read<T: Body>(body: &str) -> Result<T, WireError> {
    let value: T = serde_json::from_str(body).or_else(|_| read_with_path(body))?;
    value.check()?;
    Ok(value)
}

fn read_with_path<T: Body>(body: &str) -> Result<T, WireError> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        invalid(pointer, &error.inner().to_string())
    })
}

/// Turns serde's message into ours: without the value, and with the pointer of a missing member itself.
fn invalid(mut pointer: String, message: &str) -> WireError {
    let message = message.split(" at line ").next().unwrap_or_default();
    let reason = match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    };
    if let Some((_, name)) = reason.split_once("field `") {
        pointer.push('/');
        pointer.push_str(name.trim_end_matches('`'));
    }
    WireError::Invalid { pointer, reason }
}

fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |mut pointer, segment| {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { .. } | Segment::Unknown => return pointer,
        };
        pointer.push('/');
        pointer.push_str(&name);
        pointer
    })
}
