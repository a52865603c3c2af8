//! Explanations in statements: each says one thing, with its figures and names, in no
//! language. [`Statements`] says them in English.

mod english;
#[cfg(feature = "json")]
mod json;
mod sources;

#[cfg(feature = "json")]
pub use json::serialize_reason;

use std::sync::Arc;

use crate::amount::{Amount, Points, Rate, Rounding};
use crate::award::AwardReason;
use crate::calendar::Timestamp;
use crate::exact::Fraction;
use crate::id::{RewardId, RuleId, TierId};
use crate::limit::Limit;
use crate::order::Status;
use crate::program::{Benefit, EarningFormula};
use crate::publication::StoreId;
use crate::tier::TierReason;

/// One statement of an explanation: a page can say it in any language.
///
/// # Example: the statements behind a sentence
/// ```
/// use loyalty_core::*;
/// use loyalty_core::statement::{Statement, Statements};
/// # let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);
/// let mut ledger = Ledger::new(Program::default());
/// let order = Order::new([Line::new("1".parse()?, "1".parse()?)])?;
/// let decision = ledger.record_order(&id, order, Status::Paid, now)?;
/// let statements = decision.calculation().unwrap().statements();
/// assert_eq!(statements[0], Statement::OrderEarns { points: Points::from(1) });
/// assert_eq!(
///     Statements(&statements).to_string(),
///     "The order earns 1 point: 1 by base (1 per unit of 1)."
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(tag = "kind", rename_all = "snake_case"))]
pub enum Statement {
    /// The order earns nothing before it reaches the gate.
    OrderBelowGate {
        /// The status from which on it earns.
        gate: Status,
    },
    /// The order is cancelled and earns nothing.
    OrderCancelled,
    /// All of the order was refunded, and it earns nothing.
    OrderRefunded,
    /// The order earns points. Statements about rules follow.
    OrderEarns {
        /// Points of the order.
        points: Points,
    },
    /// No rule applies to the order.
    NoRuleApplies,
    /// A rule earns points.
    RuleEarns {
        /// The rule.
        rule: RuleId,
        /// Points before rounding.
        points: Fraction,
        /// Formula of the rule.
        earn: EarningFormula,
        /// Money that counts for the rule.
        basis: Fraction,
        /// Items that count for a rule that earns per item.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        items: Option<Fraction>,
        /// Points that a limit left, if one did.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        at_most: Option<Points>,
    },
    /// A tier multiplies the points of the rules.
    TierMultiplies {
        /// The tier.
        tier: TierId,
        /// Factor on the points.
        factor: Rate,
    },
    /// A campaign adds points.
    CampaignAdds {
        /// The campaign.
        campaign: RuleId,
        /// Points before rounding.
        points: Fraction,
    },
    /// The points were rounded.
    PointsRounded {
        /// Points before rounding.
        exact: Fraction,
        /// Rounding of the program.
        rounding: Rounding,
    },
    /// A part of the order's total was refunded.
    PartRefunded {
        /// Money refunded.
        refunded: Amount,
        /// Total of the order.
        total: Amount,
    },
    /// A part of the order's total was paid with a reward.
    PartRedeemed {
        /// Money paid with a reward.
        redeemed: Amount,
        /// Total of the order.
        total: Amount,
    },
    /// Points of the order that were posted before.
    PostedBefore {
        /// Points awarded.
        awarded: Points,
        /// Points taken back.
        taken_back: Points,
        /// Points that expired.
        expired: Points,
        /// Points not taken back, since the program stops at zero.
        forgiven: Points,
    },
    /// A bonus was granted.
    BonusGranted {
        /// Points granted.
        points: Points,
        /// Points without the limit.
        wanted: Points,
        /// Limit that reduced the points, if one did.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        limit: Option<Limit>,
        /// Name of the reward that was given beside the points, or alone.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        gift: Option<Arc<str>>,
        /// Reason of the bonus.
        #[cfg_attr(feature = "json", serde(flatten, serialize_with = "json::serialize_reason"))]
        reason: AwardReason,
    },
    /// The reward of a bonus was given before, and the customer has kept it.
    GiftKeptBefore {
        /// Name of the reward for customers.
        name: Arc<str>,
    },
    /// A gift was taken back, since its cause was undone.
    GiftTakenBack {
        /// Id of the reward.
        reward: RewardId,
        /// Cause of the gift.
        #[cfg_attr(feature = "json", serde(serialize_with = "json::serialize_reason"))]
        cause: AwardReason,
    },
    /// A gift was not taken back, though its cause was undone: it had been used or had ended.
    GiftKept {
        /// Id of the reward.
        reward: RewardId,
        /// Cause of the gift.
        #[cfg_attr(feature = "json", serde(serialize_with = "json::serialize_reason"))]
        cause: AwardReason,
    },
    /// A bonus was taken back.
    BonusTakenBack {
        /// Reason of the bonus.
        #[cfg_attr(feature = "json", serde(flatten, serialize_with = "json::serialize_reason"))]
        reason: AwardReason,
    },
    /// Points were redeemed for a reward.
    RewardRedeemed {
        /// Points paid.
        points: Points,
        /// Name of the reward for customers.
        name: Arc<str>,
        /// What it gives.
        benefit: Benefit,
        /// Most of an order's goods that it takes off, in percent, if there is a limit.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        maximum_share: Option<Rate>,
        /// Instant from which it can no longer be used, if there is one.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        until: Option<Timestamp>,
    },
    /// A reward was given for a cause, at no cost.
    RewardGiven {
        /// Name of the reward for customers.
        name: Arc<str>,
        /// What it gives.
        benefit: Benefit,
        /// Cause of the gift.
        #[cfg_attr(feature = "json", serde(serialize_with = "json::serialize_reason"))]
        cause: AwardReason,
        /// Most of an order's goods that it takes off, in percent, if there is a limit.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        maximum_share: Option<Rate>,
        /// Instant from which it can no longer be used, if there is one.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        until: Option<Timestamp>,
    },
    /// A connected store has the code of a redemption.
    CodePublished {
        /// Store.
        store: StoreId,
    },
    /// A connected store refused the code of a redemption, or did not answer for days.
    CodePublishFailed {
        /// Store.
        store: StoreId,
        /// Reason, in the store's words.
        reason: Arc<str>,
    },
    /// A connected store no longer has the code of a redemption.
    CodeWithdrawn {
        /// Store.
        store: StoreId,
    },
    /// Points of a redemption came back. Statements about their parts follow.
    PointsReturned {
        /// All points.
        points: Points,
    },
    /// A part of the points paid off debt.
    DebtPaid {
        /// Points of the part.
        points: Points,
    },
    /// A part of the points can be used again.
    PointsUsable {
        /// Points of the part.
        points: Points,
        /// Instant from which they can no longer be used, if there is one.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        until: Option<Timestamp>,
    },
    /// The earned tier changed.
    TierChanged {
        /// Tier before.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        from: Option<TierId>,
        /// Tier after.
        #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
        to: Option<TierId>,
        /// Reason of the change.
        reason: TierReason,
    },
}

/// Statements in English: one or more sentences.
#[derive(Clone, Copy, Debug)]
pub struct Statements<'a>(pub &'a [Statement]);
