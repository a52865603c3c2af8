//! What an account that is merged into another one hands over.

use std::collections::BTreeMap;

use super::{AccountActivity, InactivityExpirations, OpenRedemptions, Progress};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::LotId;

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
