//! What an account that is merged into another one hands over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Account, AccountActivity, InactivityExpirations, OpenRedemptions, Progress, StateBefore,
};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{AccountId, LotId};
use crate::lot::Lot;
use crate::tier::ManualTier;

/// What an account took over from another one that was merged into it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Absorption {
    /// The account that was merged into this one.
    pub from: AccountId,
    /// Its lots with their new ids, after paying this account's debt.
    pub lots: Vec<Lot>,
    /// The parts of this account's lots that paid the other's debt.
    pub paid: Vec<(LotId, Points)>,
    /// The debt left.
    pub debt: Points,
    /// The balance of the other account.
    pub points: Points,
    /// The other's tier set by hand, if this account has none.
    pub tier: Option<ManualTier>,
    /// The rest of the other's state, if it has any.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "brought"))]
    pub merged_state: Option<Arc<MergedState>>,
    /// What this account had of its own where both had some. `None` in old journals, whose
    /// merges cannot be undone.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub before: Option<StateBefore>,
    /// The instant.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub at: Option<Timestamp>,
}

impl Absorption {
    /// The pending points among its lots.
    pub fn pending(&self) -> Points {
        self.merged_state.as_ref().map_or(Points::ZERO, |state| state.pending)
    }
}

/// The points and state that left an account when a merge was undone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct UndoneClaim {
    /// What the merge had brought.
    pub claim: Arc<Absorption>,
    /// The lots that left.
    pub lots: Vec<Lot>,
    /// The balance that left.
    pub points: Points,
    /// The pending points that left.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub pending: Points,
    /// The instant.
    pub at: Timestamp,
}

impl StateBefore {
    /// What `into` has that a merge with `from` will hide.
    pub(crate) fn new(into: &Account, from: &Account) -> Self {
        let (own, other) = (into.activity(), from.activity());
        Self {
            codes: own.codes.intersection(&other.codes).cloned().collect(),
            tier_entries: own
                .tier_entries
                .keys()
                .filter(|tier| other.tier_entries.contains_key(*tier))
                .cloned()
                .collect(),
            milestones: own
                .milestones
                .keys()
                .filter(|friends| other.milestones.contains_key(*friends))
                .copied()
                .collect(),
            last_birthday_year: own.last_birthday_year,
            last_anniversary: own.last_anniversary,
            referral: own.referral.is_some(),
            first_order: into.progress().first_order(),
            last_activity_at: into.last_activity_at(),
        }
    }
}

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
