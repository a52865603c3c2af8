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
pub(crate) type SpendingKey = (bool, Option<Timestamp>, Timestamp, LotId);

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
    pub(crate) fn spending_key(&self) -> SpendingKey {
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

/// Points that went into a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct LotCredit {
    /// The lot; one that exists already grows.
    pub id: LotId,
    /// How many points went in, after paying off debt.
    pub points: Points,
    /// When they count as earned.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    pub earned_at: Timestamp,
    /// From when on they are no longer usable.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub expires_at: Option<Timestamp>,
    /// From when on they can be spent, where they are held back.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub pending_until: Option<Timestamp>,
    /// The order's points stay a lot of their own, though they have no end by themselves.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    #[cfg_attr(feature = "json", serde(rename = "apart"))]
    pub is_separate: bool,
}

impl LotCredit {
    /// Whether it is of the lot without an end, where points of orders are not told apart.
    pub(crate) fn is_non_expiring(&self) -> bool {
        self.expires_at.is_none() && self.pending_until.is_none() && !self.is_separate
    }
}

/// Where points that are taken back come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Clawback {
    /// From lots: the order's own first, then in spending order.
    pub lots: Vec<(LotId, Points)>,
    /// From lots that are pending.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub pending: Vec<(LotId, Points)>,
    /// Owed from now on.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub debt: Points,
    /// Not taken, since the program stops at zero.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub forgiven: Points,
    /// Not taken, since so much had run out of the lot without an end, and when.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "ran_out"))]
    pub already_expired: Vec<(Timestamp, Points)>,
}

impl Clawback {
    /// What is really taken: from lots, pending or not, and as debt.
    pub fn points(&self) -> Points {
        self.from_balance().saturating_add(self.from_pending())
    }

    /// What of it the balance loses.
    pub fn from_balance(&self) -> Points {
        self.lots
            .iter()
            .fold(self.debt, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// What had run out of the lot without an end.
    pub fn expired(&self) -> Points {
        self.already_expired
            .iter()
            .fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// What of it was pending.
    pub fn from_pending(&self) -> Points {
        self.pending
            .iter()
            .fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(*points))
    }
}
