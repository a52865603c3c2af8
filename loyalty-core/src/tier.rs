//! The tier of a customer, and why it changed.

use crate::calendar::Timestamp;
use crate::counts::Counts;
use crate::id::TierId;

/// A tier that was earned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct EarnedTier {
    /// The tier.
    pub id: TierId,
    /// The instant at which it was entered.
    pub since: Timestamp,
    /// The instant at which it ends, if the customer no longer qualifies for it but keeps
    /// it for a while.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}

/// A tier set by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct ManualTier {
    /// The tier.
    pub id: TierId,
    /// The instant at which it ends. `None` if it does not end by itself.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}

/// Why a tier changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum TierReason {
    /// The counts reach its threshold.
    Qualified,
    /// A refund undid the qualification for the tier before.
    Refunded,
    /// The window moved on, and term and grace were over.
    Lapsed,
    /// The program no longer has the tier before.
    Removed,
}

/// A change of the earned tier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct TierChange {
    /// The tier before.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub from: Option<TierId>,
    /// The tier after.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub to: Option<TierId>,
    /// The instant of the change.
    pub at: Timestamp,
    /// The reason.
    pub reason: TierReason,
    /// The counts at that instant.
    pub counts: Counts,
    /// The change also ends a tier set by hand.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub ends_manual: bool,
}

/// The tier of a customer, and what is missing to rise and to keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct TierStatus {
    /// The tier in effect: the one set by hand, else the earned one.
    pub tier: Option<TierId>,
    /// The instant at which it was entered. `None` for a tier set by hand.
    pub since: Option<Timestamp>,
    /// The instant at which it ends without further activity, if that is known.
    pub until: Option<Timestamp>,
    /// The tier set by hand, if one is in effect.
    pub manual: Option<ManualTier>,
    /// The counts now.
    pub counts: Counts,
    /// The next tier, and how much is missing to it: ten-thousandths of the currency unit
    /// for spend.
    pub next: Option<(TierId, i64)>,
    /// How much is missing to keep the earned tier. Zero if it is safe.
    pub missing_to_keep: i64,
    /// The last change of the earned tier.
    pub last_change: Option<TierChange>,
}
