//! A customer's lots on the wire: points earned together, with one end.

use loyalty_core::{CustomerId, Lot, LotId, OrderId, Points};
use serde::Serialize;

use super::query::Cursor;
use super::value::{TimeText, parse_number};

/// A page of lots: those that can be spent in spending order, then those that are pending.
#[derive(Debug, Serialize)]
pub(crate) struct LotsResponse<'a> {
    pub(crate) customer_id: &'a CustomerId,
    pub(crate) point_balance: Points,
    pub(crate) pending: Points,
    /// What is owed; then there is nothing to spend.
    pub(crate) debt: Points,
    pub(crate) lots: Vec<LotResponse<'a>>,
    /// The instant, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<TimeText>,
}

/// One lot.
#[derive(Debug, Serialize)]
pub(crate) struct LotResponse<'a> {
    lot_id: String,
    points: Points,
    earned_at: TimeText,
    /// From when on they are no longer usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<TimeText>,
    /// From when on they can be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_until: Option<TimeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// The last lot of a page.
impl Cursor for LotId {
    fn encode(&self) -> String {
        format!("l{self}")
    }

    fn decode(text: &str) -> Option<Self> {
        text.strip_prefix('l').and_then(parse_number).map(Self)
    }
}
