//! What an account that is merged into another one hands over.

use std::collections::BTreeMap;

use super::{AccountActivity, InactivityExpirations, OpenRedemptions, Progress};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::LotId;

/// The state that a merged account hands over, besides its lots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct MergedState {
    /// What it counts for tiers and goals.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Progress::is_empty"))]
    pub progress: Progress,
    /// Its activity.
    #[cfg_attr(feature = "json", serde(rename = "deeds"))]
    pub activity: AccountActivity,
    /// Expiries of its non-expiring lot.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "InactivityExpirations::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "ran_out"))]
    pub inactivity_expirations: InactivityExpirations,
    /// The new numbers of its lots by the old ones, for lots that contain a bonus.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "lots"))]
    pub lot_ids: BTreeMap<LotId, LotId>,
    /// Its open redemptions that will end.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "OpenRedemptions::is_empty"))]
    pub redemptions: OpenRedemptions,
    /// The pending points in its lots.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub pending: Points,
    /// The last instant at which it earned or redeemed points.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "dealt_at"))]
    pub last_activity_at: Option<Timestamp>,
}
