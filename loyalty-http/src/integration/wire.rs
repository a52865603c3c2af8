//! The bodies of store plugins, by event.
//!
//! Only the members that the engine uses are read. The plugins send more (an IP address, discounts,
//! names of products, Magento's `guest` and `item_spent_amount`), which is ignored and never stored.
//! The members are typed strictly, and a fault has the JSON Pointer (RFC 6901) of its place. The
//! tolerance is PHP's: see [`scalar`](super::scalar).
//!
//! Amounts are exact as sent, in the shop's currency, and may be finer than its minor unit.

use chrono::NaiveDate;
use loyalty_core::discount::Code;
use loyalty_core::{CategoryId, CustomerId, Email, OrderId, ProductId, Quantity, RewardId};
use loyalty_store::CustomerRef;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use super::scalar;
use super::schema::{
    OptionalStoreAmount, StoreAmount, StoreId, StoreList, StoreNumber, StoreObject,
    StoreOptionalId, StoreText, StoreTime,
};
use crate::wire::schema;

/// A fault of a verified body: a member is missing, or has a wrong type or form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct WireError {
    /// The JSON Pointer of the value.
    pub pointer: String,
    /// The fault, without the value.
    pub reason: String,
}

/// `key-verify`: the merchant has entered the key and the secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreTimestamp")]
pub struct KeyVerify {
    /// The time of sending, in seconds since 1970.
    #[serde(deserialize_with = "scalar::unix_seconds")]
    #[schemars(with = "StoreTime")]
    pub t: i64,
}

/// `app-installed`: the store is connected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreInstalled")]
pub struct AppInstalled {
    /// The address of the store for shoppers.
    #[serde(deserialize_with = "scalar::url")]
    #[schemars(extend("format" = "uri"))]
    pub shop_url: String,
    /// The address of the store's own interface, if it has one.
    #[serde(default, deserialize_with = "scalar::optional_url")]
    pub api_endpoint: Option<String>,
}

/// `orders-processing`, `orders-paid`, `orders-fulfilled`, `orders-completed`: the whole order.
///
/// It has no currency, no time and no shipping: they are the shop's currency, the time of receipt, and
/// total - subtotal - tax.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreOrder")]
pub struct Order {
    /// The store's id, as sent (Magento's has leading zeros).
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub id: OrderId,
    /// The total that the customer pays.
    #[serde(deserialize_with = "scalar::amount")]
    #[schemars(with = "StoreAmount")]
    pub total_price: Decimal,
    /// Tax; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    #[schemars(with = "OptionalStoreAmount")]
    pub total_tax: Decimal,
    /// Lines net of discounts, without tax and shipping. Below zero it counts as zero: Magento also
    /// subtracts discounts on shipping.
    #[serde(deserialize_with = "scalar::amount_at_least_zero")]
    #[schemars(with = "StoreNumber")]
    pub subtotal_price: Decimal,
    /// The customer; none where neither an id nor an e-mail address was sent.
    #[serde(default, deserialize_with = "known_customer")]
    #[schemars(with = "StoreObject<Customer>")]
    pub customer: Option<Customer>,
    /// The lines.
    #[serde(default, deserialize_with = "scalar::list")]
    #[schemars(with = "StoreList<Line>")]
    pub products: Vec<Line>,
    /// The discount codes: texts, or objects with a `code`. Invalid codes are ignored, so that the order is kept.
    #[serde(default, deserialize_with = "scalar::codes")]
    #[schemars(with = "schema::Anything")]
    pub discount_codes: Vec<Code>,
    /// The one code of a Magento order.
    #[serde(default, deserialize_with = "scalar::codes")]
    #[schemars(with = "schema::Anything")]
    pub coupon_code: Vec<Code>,
}

/// One line of an order. Line prices are rounded per unit: their sum can differ from the subtotal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreLine")]
pub struct Line {
    /// The store's id; none for a product that has been deleted.
    #[serde(default, deserialize_with = "scalar::optional_id")]
    #[schemars(with = "StoreOptionalId")]
    pub product_id: Option<ProductId>,
    /// The price of one unit; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    #[schemars(with = "OptionalStoreAmount")]
    pub product_price: Decimal,
    /// The number of units, with decimals for goods by weight or length.
    #[serde(deserialize_with = "scalar::quantity")]
    #[schemars(with = "StoreAmount")]
    pub quantity: Quantity,
    /// The categories that the product is in.
    #[serde(default, deserialize_with = "scalar::list")]
    #[schemars(with = "StoreList<Category>")]
    pub categories: Vec<Category>,
}

/// A category of products.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreCategory")]
pub struct Category {
    /// The store's id.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub category_id: CategoryId,
}

/// `orders-cancelled`, `orders-closed`: an order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreOrderRef")]
pub struct OrderRef {
    /// The order's id.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub id: OrderId,
}

/// `refunds-create`: money went back. A refund has no id of its own: each delivery is one more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreRefund")]
pub struct Refund {
    /// The order's id.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub id: OrderId,
    /// The payments; the refund is their sum.
    #[serde(deserialize_with = "scalar::list")]
    #[schemars(with = "StoreList<Transaction>")]
    pub transactions: Vec<Transaction>,
}

/// One payment of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreTransaction")]
pub struct Transaction {
    /// The amount.
    #[serde(deserialize_with = "scalar::amount")]
    #[schemars(with = "StoreAmount")]
    pub amount: Decimal,
}

/// A customer: the body of `customers-create` (which also brings changes), and part of an order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreCustomer")]
pub struct Customer {
    /// The store's id; none for a guest.
    #[serde(default, deserialize_with = "scalar::customer_id")]
    #[schemars(with = "StoreOptionalId")]
    pub id: Option<CustomerId>,
    /// The e-mail address, as sent.
    #[serde(default, deserialize_with = "scalar::email")]
    #[schemars(with = "StoreText")]
    pub email: Option<Email>,
    /// The first name. `woocommerce` sends the user name instead of an empty one.
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    #[schemars(with = "StoreText")]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    #[schemars(with = "StoreText")]
    pub last_name: Option<String>,
    /// The birthday: a date, sometimes with a time. Invalid dates are ignored.
    #[serde(default, deserialize_with = "scalar::birthday")]
    #[schemars(with = "schema::Anything")]
    pub birthday: Option<NaiveDate>,
    /// The address, where one is sent.
    #[serde(default, deserialize_with = "scalar::optional_object")]
    #[schemars(with = "StoreObject<Address>")]
    pub default_address: Option<Address>,
}

/// `customer`: a query for a customer's balance and rewards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreCustomerQuery")]
pub struct CustomerQuery {
    /// The store's id.
    #[serde(default, deserialize_with = "scalar::customer_id")]
    #[schemars(with = "StoreOptionalId")]
    pub customer_id: Option<CustomerId>,
    /// The e-mail address.
    #[serde(default, deserialize_with = "scalar::email")]
    #[schemars(with = "StoreText")]
    pub customer_email: Option<Email>,
}

impl CustomerQuery {
    /// By the id where there is one: a query does not change the owner of an e-mail address.
    pub(super) fn into_customer_ref(self) -> Option<CustomerRef> {
        let email = self.customer_email.map(CustomerRef::Email);
        self.customer_id.map(CustomerRef::Id).or(email)
    }
}

/// `redeem-reward`: a customer exchanges points for a reward.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreRedemption")]
pub struct RedeemReward {
    /// The customer's e-mail address.
    #[serde(default, deserialize_with = "scalar::email")]
    #[schemars(with = "StoreText")]
    pub customer_email: Option<Email>,
    /// The store's id of the customer.
    #[serde(default, deserialize_with = "scalar::customer_id")]
    #[schemars(with = "StoreOptionalId")]
    pub customer_id: Option<CustomerId>,
    /// The program's reward.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub reward_id: RewardId,
    /// The amount, where the customer chooses it.
    #[serde(default, deserialize_with = "amount_if_sent")]
    #[schemars(with = "StoreAmount")]
    pub amount: Option<Decimal>,
    /// The time of signing, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds_if_sent")]
    #[schemars(with = "StoreTime")]
    pub t: Option<i64>,
}

fn amount_if_sent<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Decimal>, D::Error> {
    scalar::amount(deserializer).map(Some)
}

fn seconds_if_sent<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    scalar::unix_seconds(deserializer).map(Some)
}

/// The parts of an address that rules use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreAddress")]
pub struct Address {
    /// The postal code.
    #[serde(default, deserialize_with = "scalar::text_line::<32, _>")]
    #[schemars(with = "StoreText")]
    pub zip: Option<String>,
    /// The country, as the store writes it.
    #[serde(default, deserialize_with = "scalar::text_line::<100, _>")]
    #[schemars(with = "StoreText")]
    pub country: Option<String>,
}

fn known_customer<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Customer>, D::Error> {
    let customer: Option<Customer> = scalar::optional_object(deserializer)?;
    Ok(customer.filter(|customer| customer.id.is_some() || customer.email.is_some()))
}

/// Reads a body. The place of a fault is looked for only once there is one.
pub(super) fn read<T: DeserializeOwned>(body: &str) -> Result<T, WireError> {
    serde_json::from_str(body).or_else(|_| read_with_path(body))
}

fn read_with_path<T: DeserializeOwned>(body: &str) -> Result<T, WireError> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        to_wire_error(pointer, &error.inner().to_string())
    })
}

/// Turns serde's message into ours: without the value, and with the pointer of a missing member itself.
fn to_wire_error(mut pointer: String, message: &str) -> WireError {
    let message = message.split(" at line ").next().unwrap_or_default();
    let reason = match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    };
    if let Some((_, name)) = reason.split_once("field `") {
        pointer.push('/');
        pointer.push_str(name.trim_end_matches('`'));
    }
    WireError { pointer, reason }
}

fn pointer_of(path: &Path) -> String {
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
