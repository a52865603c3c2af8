//! Points earned together, with one expiry.

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{LotId, OrderId};
use crate::tree::Summarize;

/// Points that were earned together and end together.
///
/// Lots without an end and without an order of their own are alike and are kept as one, whatever earned
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Lot {
    /// The lot's number in its account.
    pub id: LotId,
    /// The order that earned it; none for other points and for the lot without an end.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub order: Option<OrderId>,
    /// What is left.
    pub points: Points,
    /// When it was earned, first.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    pub earned_at: Timestamp,
    /// From when on it is no longer usable.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub expires_at: Option<Timestamp>,
    /// From when on it can be spent, where it is held back until then.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub pending_until: Option<Timestamp>,
}

/// Where a lot stands among others of its kind.
pub(super) type SpendingKey = (bool, Option<Timestamp>, Timestamp, LotId);

impl Lot {
    /// Usable before its expiry, not at it.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// Held back at `now`.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.pending_until.is_some_and(|until| now < until)
    }

    /// What lots are spent by: the earliest expiry first and none last, then the earlier earned, then
    /// the number. Pending ones stand by the instant of their release.
    pub(super) fn spending_key(&self) -> SpendingKey {
        let end = self.pending_until.or(self.expires_at);
        (end.is_none(), end, self.earned_at, self.id)
    }
}

impl Summarize for Lot {
    type Summary = Points;

    fn summary(&self) -> Points {
        self.points
    }

    fn sum(one: Points, other: Points) -> Points {
        one.saturating_add(other)
    }
}
