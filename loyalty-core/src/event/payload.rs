//! What several events are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{AccountActivity, Counts, InactivityExpirations, OpenRedemptions, Progress};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{ActionId, LotId, TierId};

/// What more or less of an order counts, and for which instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CountsDelta {
    /// When the order passed the gate.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    #[cfg_attr(feature = "json", serde(rename = "gate"))]
    pub gate_at: Timestamp,
    /// The difference to what counted before.
    pub counts: Counts,
}

/// What an account had done that was merged into another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct MergedState {
    /// What tiers and goals count.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Progress::is_empty"))]
    pub progress: Progress,
    /// What else it remembers.
    #[cfg_attr(feature = "json", serde(rename = "deeds"))]
    pub activity: AccountActivity,
    /// What ran out of its lot without an end.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "InactivityExpirations::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "ran_out"))]
    pub inactivity_expirations: InactivityExpirations,
    /// The numbers that its lots have now, by those that they had: of lots in which something is that it
    /// remembers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "lots"))]
    pub lot_ids: BTreeMap<LotId, LotId>,
    /// Its redemptions that will end.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "OpenRedemptions::is_empty"))]
    pub redemptions: OpenRedemptions,
    /// What of the lots is pending.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub pending: Points,
    /// When it last earned or redeemed points.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "dealt_at"))]
    pub last_activity_at: Option<Timestamp>,
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

/// Why a shop changed a balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct AdjustmentReason {
    /// The shop's action.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub action: Option<ActionId>,
    /// The shop's words.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "reason"))]
    pub text: Option<Arc<str>>,
    /// Whether the balance was set to a number rather than changed by one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    #[cfg_attr(feature = "json", serde(rename = "adjustment"))]
    pub sets_balance: bool,
}

/// A tier set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct ManualTier {
    /// The tier.
    pub id: TierId,
    /// Until when; for good where nothing is said.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}
