//! A customer's lots on the wire: points earned together, with one end.

use loyalty_core::{CustomerId, Lot, LotId, OrderId, Points};
use serde::Serialize;

use super::query::Cursor;
use super::value::{Time, number};

/// A page of lots: those that can be spent in spending order, then those that are pending.
#[derive(Debug, Serialize)]
pub(crate) struct LotsAnswer<'a> {
    pub(crate) customer_id: &'a CustomerId,
    pub(crate) point_balance: Points,
    pub(crate) pending: Points,
    /// What is owed; then there is nothing to spend.
    pub(crate) debt: Points,
    pub(crate) lots: Vec<LotAnswer<'a>>,
    /// The instant, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Time>,
}

/// One lot.
#[derive(Debug, Serialize)]
pub(crate) struct LotAnswer<'a> {
    lot_id: String,
    points: Points,
    earned_at: Time,
    /// From when on they are no longer usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Time>,
    /// From when on they can be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<&'a OrderId>,
}

impl<'a> LotAnswer<'a> {
    pub(crate) fn new(lot: &'a Lot) -> Self {
        Self {
            lot_id: lot.id.to_string(),
            points: lot.points,
            earned_at: Time(lot.earned_at),
            expires_at: lot.expires_at.map(Time),
            pending_until: lot.pending_until.map(Time),
            order_id: lot.order.as_ref(),
        }
    }
}

/// The last lot of a page.
impl Cursor for LotId {
    fn write(&self) -> String {
        format!("l{self}")
    }

    fn read(text: &str) -> Option<Self> {
        text.strip_prefix('l').and_then(number).map(Self)
    }
}
