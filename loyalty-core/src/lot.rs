//! Lots: points earned together, with one expiry, and what moves in and out of them.

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{ImportId, LotId, OrderId};
use crate::tree::Summarize;

/// Points that were earned together and expire together.
///
/// Points without expiry and without an order of their own share one lot, the
/// non-expiring lot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Lot {
    /// The number of the lot, unique in its account.
    pub id: LotId,
    /// The order that earned it. `None` for other points and for the non-expiring lot.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub order: Option<OrderId>,
    /// The import that brought it. Such a lot is apart from the non-expiring lot, so that
    /// what is left of an import is known.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub import: Option<ImportId>,
    /// The points left.
    pub points: Points,
    /// The instant at which its first points were earned.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    pub earned_at: Timestamp,
    /// The instant from which it is no longer usable.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub expires_at: Option<Timestamp>,
    /// The instant of its release, if it is pending.
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

/// The position of a lot in spending order.
pub(crate) type SpendingKey = (bool, Option<Timestamp>, Timestamp, LotId);

impl Lot {
    /// Returns true before the expiry, false at it.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// Returns true if the lot is pending at `now`.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.pending_until.is_some_and(|until| now < until)
    }

    /// Returns true for the non-expiring lot: no end, no order and no import of its own.
    pub(crate) fn is_shared(&self) -> bool {
        self.expires_at.is_none()
            && self.pending_until.is_none()
            && self.order.is_none()
            && self.import.is_none()
    }

    /// Lots are spent by expiry, those without one last; then by the instant they were
    /// earned, then by number. Pending lots are sorted by their release instead.
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

/// Points that are credited to a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct LotCredit {
    /// The lot. An existing one grows.
    pub id: LotId,
    /// The points credited, after paying off debt.
    pub points: Points,
    /// The instant that expiry runs from.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    pub earned_at: Timestamp,
    /// The instant from which they are no longer usable.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub expires_at: Option<Timestamp>,
    /// The instant of their release, if they are held back.
    #[cfg_attr(
        feature = "json",
        serde(
            default,
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    pub pending_until: Option<Timestamp>,
    /// The points stay in a lot of their order, although they do not expire by
    /// themselves.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    #[cfg_attr(feature = "json", serde(rename = "apart"))]
    pub is_separate: bool,
}

impl LotCredit {
    /// Returns true if it goes to the non-expiring lot, which does not track orders.
    pub(crate) fn is_non_expiring(&self) -> bool {
        self.expires_at.is_none() && self.pending_until.is_none() && !self.is_separate
    }
}

/// Points that an import brings, with the instants they had elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct ImportedLot {
    /// The points, more than zero.
    pub points: Points,
    /// The instant at which they were earned, not in the future. `None` for now.
    pub earned_at: Option<Timestamp>,
    /// Their end.
    pub end: ImportedEnd,
}

/// The end of points that an import brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum ImportedEnd {
    /// As the program in force says for points earned at that instant.
    ByProgram,
    /// They do not expire by themselves.
    Never,
    /// An instant in the future.
    At(Timestamp),
}

/// What an import does with the points that a customer has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum ImportMode {
    /// Adds to them.
    #[default]
    Add,
    /// Takes all usable points away first. Undoing the import gives them back.
    Reset,
    /// Leaves a customer with points or debt as they are.
    Skip,
}

/// Points that are clawed back, by where they are taken from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Clawback {
    /// From usable lots: the order's own first, then in spending order.
    pub lots: Vec<(LotId, Points)>,
    /// From pending lots.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub pending: Vec<(LotId, Points)>,
    /// As debt.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub debt: Points,
    /// Not taken, since the program does not let the balance fall below zero.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub forgiven: Points,
    /// Not taken, since they had expired from the non-expiring lot at these instants.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "ran_out"))]
    pub already_expired: Vec<(Timestamp, Points)>,
}

impl Clawback {
    /// The points really taken: from lots, pending or not, and as debt.
    pub fn points(&self) -> Points {
        self.from_balance().saturating_add(self.from_pending())
    }

    /// The decrease of the balance.
    pub fn from_balance(&self) -> Points {
        self.lots
            .iter()
            .fold(self.debt, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// The points that had expired from the non-expiring lot.
    pub fn expired(&self) -> Points {
        self.already_expired
            .iter()
            .fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// The decrease of the pending points.
    pub fn from_pending(&self) -> Points {
        self.pending
            .iter()
            .fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(*points))
    }
}
