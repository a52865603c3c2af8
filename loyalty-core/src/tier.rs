//! Tiers of a customer: which one, since when, and why.

use std::fmt;

use crate::calendar::Timestamp;
use crate::counts::Counts;
use crate::id::TierId;

/// A tier that was earned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct EarnedTier {
    /// The tier.
    pub id: TierId,
    /// When it was entered.
    pub since: Timestamp,
    /// When it ends, where the customer no longer qualifies for it and keeps it for a while.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
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

/// Why a tier changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum TierReason {
    /// What was done is enough for it.
    Qualified,
    /// A refund undid the qualification for the tier before.
    Refunded,
    /// The window moved on, and term and grace were over.
    Lapsed,
    /// The program has the tier before no more.
    Removed,
}

/// A tier was entered or left by what the customer did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct TierChange {
    /// The tier before.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub from: Option<TierId>,
    /// The tier after.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub to: Option<TierId>,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: TierReason,
    /// What counted for it then.
    pub counts: Counts,
    /// A tier set by hand ends with it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub ends_manual: bool,
}

impl fmt::Display for TierChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (None, Some(to)) => write!(f, "Entered tier {to}")?,
            (Some(from), Some(to)) => write!(f, "Moved from tier {from} to {to}")?,
            (Some(from), None) => write!(f, "Left tier {from}")?,
            (None, None) => f.write_str("Stayed without a tier")?,
        }
        f.write_str(match self.reason {
            TierReason::Qualified => ": what was done is enough for it.",
            TierReason::Refunded => ": a refund undid the qualification.",
            TierReason::Lapsed => ": what was done lately is not enough to keep it.",
            TierReason::Removed => ": the program has the tier no more.",
        })
    }
}

/// What a customer's tier is, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct TierStatus {
    /// The tier that holds.
    pub tier: Option<TierId>,
    /// Since when; not known of a tier set by hand.
    pub since: Option<Timestamp>,
    /// Until when at most, where an end is known.
    pub until: Option<Timestamp>,
    /// The tier that the shop set, where it holds.
    pub manual: Option<ManualTier>,
    /// What counts now.
    pub counts: Counts,
    /// The next tier, and how much is missing to it in the program's metric.
    pub next: Option<(TierId, i64)>,
    /// How much is missing to keep the earned tier; nothing where it is safe.
    pub missing_to_keep: i64,
    /// The last change by what the customer did.
    pub last_change: Option<TierChange>,
}
