//! Points earned together, with one expiry.

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{LotId, OrderId};

/// Points that were earned together and end together.
///
/// Lots without an end are alike and are kept as one, whatever earned them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Lot {
    /// The lot's number in its account.
    pub id: LotId,
    /// The order that earned it; none for points added by the shop and for the lot without an end.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub order: Option<OrderId>,
    /// What is left.
    pub points: Points,
    /// When it was earned, first.
    pub earned_at: Timestamp,
    /// From when on it is no longer usable.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub expires_at: Option<Timestamp>,
}

impl Lot {
    /// Usable before its expiry, not at it.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// What lots are spent by: the earliest expiry first and none last, then the earlier earned, then
    /// the number.
    pub(crate) fn spending_order(&self) -> (bool, Option<Timestamp>, Timestamp, LotId) {
        (self.expires_at.is_none(), self.expires_at, self.earned_at, self.id)
    }
}
