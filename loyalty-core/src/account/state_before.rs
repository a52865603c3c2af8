//! What an account had of its own before another one was merged into it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::calendar::Timestamp;
use crate::id::TierId;

/// What an account had of its own before a merge, where the merged state does not tell it
/// apart: to undo the merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct StateBefore {
    /// Codes that both had used.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub codes: BTreeSet<Arc<str>>,
    /// Tiers whose entry bonus both had.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub tier_entries: BTreeSet<TierId>,
    /// Milestones whose bonus both had.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub milestones: BTreeSet<u32>,
    /// The last year whose birthday got a bonus.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub last_birthday_year: Option<i32>,
    /// The last anniversary that got a bonus.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub last_anniversary: Option<u32>,
    /// It came by a referral of its own.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub referral: bool,
    /// The gate of its first order.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub first_order: Option<Timestamp>,
    /// The last instant at which it earned or redeemed points.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub last_activity_at: Option<Timestamp>,
}
