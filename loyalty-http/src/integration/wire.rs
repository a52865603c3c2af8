//! The bodies of the store plugins, by event.
//!
//! Only the members that the engine uses are read. The plugins send more (an IP address,
//! discounts, names of products, Magento's `guest` and `item_spent_amount`), which is
//! ignored and never stored. Values are typed strictly, except for PHP's type juggling:
//! see [`scalar`](super::scalar). An error has the JSON Pointer (RFC 6901) of the value.
//!
//! Amounts are exact, in the shop's currency, and may have more decimals than its minor
//! unit.

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

/// The reason why a verified body can't be parsed: a member is missing, or has a wrong
/// type or form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct WireError {
    /// The JSON Pointer of the value.
    pub pointer: String,
    /// A description of the error, without the value itself.
    pub reason: String,
}

/// `key-verify`: the merchant has entered the key and the secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreTimestamp")]
pub struct KeyVerify {
    /// The time of signing, in seconds since 1970.
    #[serde(deserialize_with = "scalar::unix_seconds")]
    #[schemars(with = "StoreTime")]
    pub t: i64,
}

/// `app-installed`: the store is connected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreInstalled")]
pub struct AppInstalled {
    /// The URL of the store for shoppers.
    #[serde(deserialize_with = "scalar::url")]
    #[schemars(extend("format" = "uri"))]
    pub shop_url: String,
    /// The URL of the store's API for customers, products and codes, if it has one.
    #[serde(default, deserialize_with = "scalar::optional_url")]
    pub api_endpoint: Option<String>,
}

/// `orders-processing`, `orders-paid`, `orders-fulfilled`, `orders-completed`: the whole
/// order.
///
/// It has no currency, no time and no shipping. They are the shop's currency, the time of
/// receipt, and total - subtotal - tax.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreOrder")]
pub struct Order {
    /// The store's id, as sent (Magento's has leading zeros).
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub id: OrderId,
    /// The amount that the customer pays.
    #[serde(deserialize_with = "scalar::amount")]
    #[schemars(with = "StoreAmount")]
    pub total_price: Decimal,
    /// Tax; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    #[schemars(with = "OptionalStoreAmount")]
    pub total_tax: Decimal,
    /// The lines net of discounts, without tax and shipping. Magento also subtracts
    /// discounts on shipping and can send a negative amount, which counts as zero.
    #[serde(deserialize_with = "scalar::amount_at_least_zero")]
    #[schemars(with = "StoreNumber")]
    pub subtotal_price: Decimal,
    /// The customer; `None` if neither an id nor an e-mail address was sent.
    #[serde(default, deserialize_with = "known_customer")]
    #[schemars(with = "StoreObject<Customer>")]
    pub customer: Option<Customer>,
    /// The lines.
    #[serde(default, deserialize_with = "scalar::list")]
    #[schemars(with = "StoreList<Line>")]
    pub products: Vec<Line>,
    /// The discount codes that were used. Invalid ones are ignored, so that the order is
    /// not lost.
    #[serde(default, deserialize_with = "scalar::codes")]
    #[schemars(with = "schema::Anything")]
    pub discount_codes: Vec<Code>,
    /// Magento's single code.
    #[serde(default, deserialize_with = "scalar::codes")]
    #[schemars(with = "schema::Anything")]
    pub coupon_code: Vec<Code>,
}

/// One line of an order. Prices are rounded per unit, so their sum can differ from the
/// subtotal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreLine")]
pub struct Line {
    /// The store's id; `None` for a product that has been deleted.
    #[serde(default, deserialize_with = "scalar::optional_id")]
    #[schemars(with = "StoreOptionalId")]
    pub product_id: Option<ProductId>,
    /// The price of one unit; zero if not sent.
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    #[schemars(with = "OptionalStoreAmount")]
    pub product_price: Decimal,
    /// The number of units, which may be a fraction (weight, length).
    #[serde(deserialize_with = "scalar::quantity")]
    #[schemars(with = "StoreAmount")]
    pub quantity: Quantity,
    /// The product's categories.
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

/// `orders-cancelled`, `orders-closed`: the order's id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreOrderRef")]
pub struct OrderRef {
    /// The order's id.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub id: OrderId,

    #[serde(default, rename = "customer")]
    _customer: Absent,
    #[serde(default, rename = "default_address")]
    _default_address: Absent,
    #[serde(default, rename = "email")]
    _email: Absent,
    #[serde(default, rename = "products")]
    _products: Absent,
    #[serde(default, rename = "subtotal_price")]
    _subtotal_price: Absent,
    #[serde(default, rename = "total_price")]
    _total_price: Absent,
    #[serde(default, rename = "transactions")]
    _transactions: Absent,
}

/// `refunds-create`: a refund. It has no id, so each delivery is a further refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreRefund")]
pub struct Refund {
    /// The order's id.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub id: OrderId,
    /// The payments, whose sum is refunded.
    #[serde(deserialize_with = "scalar::list")]
    #[schemars(with = "StoreList<Transaction>")]
    pub transactions: Vec<Transaction>,
    /// The products that came back. A list that cannot be read is ignored, so that the refund
    /// is not lost.
    #[serde(default, deserialize_with = "scalar::readable_list")]
    #[schemars(with = "schema::Anything")]
    pub products: Vec<ReturnedProduct>,
}

/// A product that came back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReturnedProduct {
    /// The store's id; `None` for a product that has been deleted.
    #[serde(default, deserialize_with = "scalar::optional_id")]
    pub product_id: Option<ProductId>,
    /// The number of units.
    #[serde(deserialize_with = "scalar::quantity")]
    pub quantity: Quantity,
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

/// A customer: the body of `customers-create` (also sent for changes), and a part of an
/// order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "StoreCustomer")]
pub struct Customer {
    /// The store's id; `None` for a guest.
    #[serde(default, deserialize_with = "scalar::customer_id")]
    #[schemars(with = "StoreOptionalId")]
    pub id: Option<CustomerId>,
    /// The e-mail address, as sent.
    #[serde(default, deserialize_with = "scalar::email")]
    #[schemars(with = "StoreText")]
    pub email: Option<Email>,
    /// True where the store has verified the address. The vendor's plugins do not say.
    #[serde(default)]
    pub email_verified: Option<bool>,
    /// The first name; WooCommerce sends the user name if there is none.
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
    /// The address, if one is sent.
    #[serde(default, deserialize_with = "scalar::optional_object")]
    #[schemars(with = "StoreObject<Address>")]
    pub default_address: Option<Address>,

    #[serde(default, rename = "products")]
    _products: Absent,
    #[serde(default, rename = "subtotal_price")]
    _subtotal_price: Absent,
    #[serde(default, rename = "total_price")]
    _total_price: Absent,
    #[serde(default, rename = "transactions")]
    _transactions: Absent,
}

/// A member that only the body of another event has.
///
/// The event of a delivery is in its path, which is not signed. Otherwise whoever has seen
/// the body of an order could cancel it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Absent;

impl<'de> Deserialize<'de> for Absent {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("this is the body of another event"))
    }
}

impl JsonSchema for Absent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Absent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        false.into()
    }
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
    /// The reference by id, else by e-mail address. Not by both, since a query must not
    /// link an e-mail address to an id.
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
    /// The customer's id in the store.
    #[serde(default, deserialize_with = "scalar::customer_id")]
    #[schemars(with = "StoreOptionalId")]
    pub customer_id: Option<CustomerId>,
    /// The reward in the program.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(with = "StoreId")]
    pub reward_id: RewardId,
    /// The amount, if the reward lets the customer choose it.
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

/// The parts of an address that are read.
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

/// Parses a body. It is parsed again with path tracking only to locate an error.
pub(crate) fn read<T: DeserializeOwned>(body: &str) -> Result<T, WireError> {
    serde_json::from_str(body).or_else(|_| read_with_path(body))
}

fn read_with_path<T: DeserializeOwned>(body: &str) -> Result<T, WireError> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        to_wire_error(pointer, &error.inner().to_string())
    })
}

/// Converts serde's message: removes the value, and extends the pointer to a missing
/// member.
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
