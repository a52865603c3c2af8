//! The report of a merge of two customers.

use std::sync::Arc;

use loyalty_core::account::{Absorption, AccountActivity};
use loyalty_core::{Account, Counts, TierId, Timestamp};

use crate::redemption::RedemptionView;

/// What a customer has taken over from another one who was merged into them. In a dry run:
/// what they would take over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeReport {
    /// Points, lots and debt.
    pub absorption: Arc<Absorption>,
    /// The tier of the other customer.
    pub from_tier: Option<TierId>,
    /// The tier before.
    pub tier_before: Option<TierId>,
    /// The tier by both histories.
    pub tier_after: Option<TierId>,
    /// Spend, points and orders of the other customer.
    pub counts: Counts,
    /// The other customer's redemptions that can be used.
    pub open_redemptions: Vec<RedemptionView>,
    /// The usage of limits, and the referrals, of the other customer.
    pub activity: Arc<AccountActivity>,
}

impl MergeReport {
    /// The report of a merge of `from`, with the tier of the other before and after.
    pub(crate) fn new(
        absorption: &Arc<Absorption>,
        from: &Account,
        (into, after): (&Account, &Account),
        open_redemptions: Vec<RedemptionView>,
        now: Timestamp,
    ) -> Self {
        let tier = |account: &Account| account.current_tier_id(now).cloned();
        Self {
            absorption: Arc::clone(absorption),
            from_tier: tier(from),
            tier_before: tier(into),
            tier_after: tier(after),
            counts: from.progress().lifetime(),
            open_redemptions,
            activity: Arc::new(from.activity().clone()),
        }
    }
}
