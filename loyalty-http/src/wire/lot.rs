//! A customer's lots on the wire.

use loyalty_core::{CustomerId, Lot, LotId, OrderId, Points};
use schemars::JsonSchema;
use serde::Serialize;

use super::query::Cursor;
use super::schema;
use super::value::{TimeText, parse_number};

/// A page of lots: those that can be spent, in spending order, then those that are pending.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Lots")]
pub(crate) struct LotsResponse<'a> {
    #[schemars(with = "schema::Id")]
    pub(crate) customer_id: &'a CustomerId,
    #[schemars(with = "schema::Points")]
    pub(crate) point_balance: Points,
    #[schemars(with = "schema::Points")]
    pub(crate) pending: Points,
    /// Points owed. With debt there is nothing to spend.
    #[schemars(with = "schema::Points")]
    pub(crate) debt: Points,
    pub(crate) lots: Vec<LotResponse<'a>>,
    /// The instant that was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<TimeText>,
}

/// Points that were earned together and expire together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Lot")]
pub(crate) struct LotResponse<'a> {
    #[schemars(with = "schema::Numeral")]
    lot_id: String,
    #[schemars(with = "schema::Points")]
    points: Points,
    earned_at: TimeText,
    /// From then on the points can no longer be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<TimeText>,
    /// From then on the points can be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_until: Option<TimeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    order_id: Option<&'a OrderId>,
}

impl<'a> LotResponse<'a> {
    pub(crate) fn new(lot: &'a Lot) -> Self {
        Self {
            lot_id: lot.id.to_string(),
            points: lot.points,
            earned_at: TimeText(lot.earned_at),
            expires_at: lot.expires_at.map(TimeText),
            pending_until: lot.pending_until.map(TimeText),
            order_id: lot.order.as_ref(),
        }
    }
}

/// A cursor is the last lot of a page.
impl Cursor for LotId {
    fn encode(&self) -> String {
        format!("l{self}")
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('l').and_then(parse_number).map(Self)
    }
}
