//! Lists of orders on the wire.

use loyalty_core::{Amount, CustomerId, Email, OrderId, Timestamp};
use loyalty_store::{CustomerRecord, Direction, OrderPlace, OrderRecord};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::explanation::PostedResponse;
use super::json::BodyErrorCode;
use super::json::field::{FieldError, FromText};
use super::order::status_name;
use super::page::PageItems;
use super::query::Cursor;
use super::schema;
use super::value::TimeText;

/// A page of orders.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Orders")]
pub(crate) struct OrdersResponse<'a> {
    pub(crate) orders: PageItems<OrderItem<'a>>,
}

/// An order in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderItem")]
pub(crate) struct OrderItem<'a> {
    #[schemars(with = "schema::Id")]
    order_id: &'a OrderId,
    /// The status; null where the order itself was not reported yet.
    #[schemars(extend("enum" = ["processing", "paid", "fulfilled", "completed", "cancelled", null]))]
    status: Option<&'static str>,
    /// The shop's id of the customer. A guest has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    /// The total in the shop's currency, refunds not taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Amount>")]
    total: Option<Amount>,
    /// The number of refunds.
    refunds: usize,
    points: PostedResponse,
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_at: Option<TimeText>,
    /// The time at which its last change was recorded here.
    updated_at: TimeText,
}

impl<'a> OrderItem<'a> {
    /// The order, at its place.
    pub(crate) fn new(
        place: &'a OrderPlace,
        order: &OrderRecord,
        customer: Option<&'a CustomerRecord>,
    ) -> Self {
        let state = &order.state;
        let snapshot = state.snapshot().map(|recorded| &recorded.order);
        Self {
            order_id: &place.id,
            status: status_name(state),
            customer_id: customer.and_then(|customer| customer.id.as_ref()),
            email: customer
                .and_then(|customer| customer.email.as_ref())
                .map(Email::as_str),
            total: snapshot.map(|order| order.total),
            refunds: state.refunds().len(),
            points: state.posted().into(),
            placed_at: snapshot.and_then(|order| order.placed_at).map(TimeText),
            updated_at: TimeText(place.updated_at),
        }
    }
}

/// The direction of a list by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SortText(pub(crate) Direction);

impl FromText for SortText {
    const EXPECTED: &'static str = "\"newest\" or \"oldest\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        match text {
            "newest" => Ok(Self(Direction::Descending)),
            "oldest" => Ok(Self(Direction::Ascending)),
            _ => {
                let sentence = "This must be newest or oldest.";
                Err(FieldError::new(BodyErrorCode::InvalidValue, sentence))
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["newest", "oldest"], "default": "newest" })
    }
}

/// The last order of a page.
impl Cursor for OrderPlace {
    fn encode(&self) -> String {
        format!("q{}-{}", self.updated_at.timestamp_micros(), self.id)
    }

    fn decode(text: &str) -> Option<Self> {
        let (at, id) = text.strip_prefix('q')?.split_once('-')?;
        let updated_at = Timestamp::from_timestamp_micros(at.parse().ok()?)?;
        Some(Self { updated_at, id: OrderId::new(id).ok()? })
    }
}
