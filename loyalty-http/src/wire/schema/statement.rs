//! The schema of the statements that make an explanation.
//!
//! The core writes them, so these types only describe them.
#![allow(dead_code, reason = "the types are read by their derived schemas alone")]

use schemars::JsonSchema;

use super::program::{self, Earn, Limit, OrderStatus, Rounding};
use super::{Amount, Decimal, Exact, Id, Points, Sent, Time};

/// One statement of an explanation: its kind, its figures and its names. A page can say it in any
/// language; `text` says it in English.
#[derive(JsonSchema)]
#[schemars(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Statement {
    OrderBelowGate {
        /// The status from which on the order earns.
        gate: Sent<OrderStatus>,
    },
    OrderCancelled {},
    OrderRefunded {},
    OrderEarns {
        points: Points,
    },
    NoRuleApplies {},
    RuleEarns {
        rule: Id,
        /// The points before rounding.
        points: Exact,
        earn: Sent<Earn>,
        /// The money that counts for the rule.
        basis: Exact,
        /// The items that count for a rule that earns per item.
        #[schemars(skip_serializing_if = "Option::is_none")]
        items: Option<Exact>,
        /// The points that a limit left.
        #[schemars(skip_serializing_if = "Option::is_none")]
        at_most: Option<Points>,
    },
    TierMultiplies {
        tier: Id,
        factor: Decimal,
    },
    CampaignAdds {
        campaign: Id,
        /// The points before rounding.
        points: Exact,
    },
    PointsRounded {
        exact: Exact,
        rounding: Sent<Rounding>,
    },
    PartRefunded {
        refunded: Amount,
        total: Amount,
    },
    PartRedeemed {
        redeemed: Amount,
        total: Amount,
    },
    PostedBefore {
        awarded: Points,
        taken_back: Points,
        expired: Points,
        forgiven: Points,
    },
    BonusGranted {
        points: Points,
        /// The points without the limit.
        wanted: Points,
        /// The limit that reduced the points.
        #[schemars(skip_serializing_if = "Option::is_none")]
        limit: Option<Sent<Limit>>,
        /// The name of the reward that was given beside the points, or alone.
        #[schemars(skip_serializing_if = "Option::is_none")]
        gift: Option<String>,
        #[schemars(flatten)]
        reason: BonusReason,
    },
    /// The reward was given before for the same reason, and the customer has kept it.
    GiftKeptBefore {
        /// The name of the reward for customers.
        name: String,
    },
    GiftTakenBack {
        /// The id of the reward.
        reward: Id,
        cause: BonusReason,
    },
    /// The cause of a gift was undone, but it had been used or had ended.
    GiftKept {
        /// The id of the reward.
        reward: Id,
        cause: BonusReason,
    },
    BonusTakenBack {
        #[schemars(flatten)]
        reason: BonusReason,
    },
    RewardRedeemed {
        points: Points,
        /// The name of the reward for customers.
        name: String,
        benefit: Sent<program::RewardBenefit>,
        /// The most of an order's goods that it takes off, in percent.
        #[schemars(skip_serializing_if = "Option::is_none")]
        maximum_share: Option<Decimal>,
        /// From then on it can no longer be used.
        #[schemars(skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A reward was given for a cause, at no cost.
    RewardGiven {
        /// The name of the reward for customers.
        name: String,
        benefit: Sent<program::RewardBenefit>,
        cause: BonusReason,
        /// The most of an order's goods that it takes off, in percent.
        #[schemars(skip_serializing_if = "Option::is_none")]
        maximum_share: Option<Decimal>,
        /// From then on it can no longer be used.
        #[schemars(skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A connected store has the code of a redemption.
    CodePublished {
        /// The id of the store.
        store: String,
    },
    /// A connected store refused the code of a redemption, or did not answer for days.
    CodePublishFailed {
        /// The id of the store.
        store: String,
        /// The reason, in the store's words.
        reason: String,
    },
    /// A connected store no longer has the code of a redemption.
    CodeWithdrawn {
        /// The id of the store.
        store: String,
    },
    PointsReturned {
        points: Points,
    },
    /// A part of the returned points paid off debt.
    DebtPaid {
        points: Points,
    },
    /// A part of the returned points can be used again.
    PointsUsable {
        points: Points,
        /// From then on they can no longer be used.
        #[schemars(skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    TierChanged {
        #[schemars(skip_serializing_if = "Option::is_none")]
        from: Option<Id>,
        #[schemars(skip_serializing_if = "Option::is_none")]
        to: Option<Id>,
        reason: TierReason,
    },
}

/// The reason of a bonus, with its names and figures.
#[derive(JsonSchema)]
pub(crate) struct BonusReason {
    reason: BonusReasonName,
    #[schemars(skip_serializing_if = "Option::is_none")]
    action: Option<Id>,
    /// The years since the first order.
    #[schemars(skip_serializing_if = "Option::is_none")]
    years: Option<u32>,
    /// The year of the birthday.
    #[schemars(skip_serializing_if = "Option::is_none")]
    year: Option<i32>,
    /// The number of referred customers.
    #[schemars(skip_serializing_if = "Option::is_none")]
    friends: Option<u32>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    order: Option<Id>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    tier: Option<Id>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum BonusReasonName {
    Action,
    Anniversary,
    Birthday,
    Code,
    Goal,
    ReferralMilestone,
    ReferralReceived,
    ReferralSent,
    SignUp,
    TierEntry,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum TierReason {
    Qualified,
    Refunded,
    Lapsed,
    Removed,
}
