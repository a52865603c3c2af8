//! Journal events: what happened, for ever. State is a fold of them.
//!
//! [`Event`] is exhaustive on purpose: a new event breaks every `match` that does not handle it.
//! Events carry their own instants; those of old journals, from before they did, carry none.

mod accessors;

use std::sync::Arc;

use crate::account::MergedState;
use crate::amount::Points;
use crate::award::{Award, AwardReason};
use crate::calendar::Timestamp;
use crate::counts::CountsDelta;
use crate::discount::DiscountEvent;
use crate::explain::Calculation;
use crate::id::{AccountId, ActionId, LotId, OrderId, RedemptionId, TierId};
use crate::lot::{Clawback, Lot, LotCredit};
use crate::order::{Order, Origin, Pin, Refund, Status};
use crate::redemption::{CountedUsage, Issuance, Redemption, RedemptionPayment, RedemptionReturn};
use crate::tier::{ManualTier, TierChange};

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

/// One thing that happened to one account or one order. Holds no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Event {
    /// Another account was merged into this one, which takes over its lots and its debt.
    AccountAbsorbed {
        /// The account that is no more.
        from: AccountId,
        /// What of its lots is left after paying this account's debt, with their ids here.
        lots: Vec<Lot>,
        /// What this account's lots paid of the other's debt.
        paid: Vec<(LotId, Points)>,
        /// What is still owed.
        debt: Points,
        /// What the other's balance was.
        points: Points,
        /// The other's tier, where this account has none.
        tier: Option<ManualTier>,
        /// What the other had done.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        #[cfg_attr(feature = "json", serde(rename = "brought"))]
        merged_state: Option<Arc<MergedState>>,
        /// When.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        at: Option<Timestamp>,
    },
    /// This account was merged into another one and holds nothing any more.
    AccountMerged {
        /// Where everything went.
        into: AccountId,
        /// What the balance was.
        points: Points,
        /// What was pending beside it.
        #[cfg_attr(
            feature = "json",
            serde(default, skip_serializing_if = "crate::amount::is_zero")
        )]
        pending: Points,
    },
    /// Points were given for something else than an order's basis.
    AwardGiven {
        /// How many.
        points: Points,
        /// The lot that was opened or grew; none where all of it paid off debt.
        lot: Option<LotCredit>,
        /// How they came about.
        award: Arc<Award>,
        /// When.
        #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
        at: Timestamp,
    },
    /// What was given is taken back: what it was given for is undone.
    AwardTakenBack {
        /// For what it had been given.
        reason: AwardReason,
        /// Where the points were taken from.
        #[cfg_attr(feature = "json", serde(rename = "taking"))]
        clawback: Clawback,
        /// When.
        at: Timestamp,
    },
    /// A customer, or a guest known by e-mail, got an account.
    CustomerAdded,
    /// Something happened to a price rule or a discount code. Changes neither points nor orders.
    Discount(DiscountEvent),
    /// An order was cancelled.
    OrderCancelled {
        /// The order.
        order: OrderId,
        /// The shop's time of it, else the receipt's.
        at: Timestamp,
    },
    /// An order was closed (archived) by its shop. Changes no points.
    OrderClosed {
        /// The order.
        order: OrderId,
        /// The shop's time of it, else the receipt's.
        at: Timestamp,
    },
    /// What counts of an order for tiers and goals changed, without any points moving.
    OrderCounted {
        /// The order.
        order: OrderId,
        /// The difference.
        counted: CountsDelta,
        /// When.
        at: Timestamp,
    },
    /// An order passed the gate: what it earns under is settled for good.
    OrderPinned {
        /// The order.
        order: OrderId,
        /// What stays as it was.
        pin: Pin,
    },
    /// A shop reported an order.
    OrderRecorded {
        /// The order.
        order: OrderId,
        /// What it holds, where that is the latest known and differs from what was known.
        snapshot: Option<Arc<Order>>,
        /// How far it has come.
        status: Status,
        /// The shop's time of it, else the receipt's.
        #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
        at: Timestamp,
        /// What told us.
        origin: Origin,
    },
    /// A shop reported a refund.
    OrderRefunded {
        /// The order.
        order: OrderId,
        /// The refund.
        refund: Refund,
    },
    /// Points were added by the shop, or the balance was set higher.
    PointsAdded {
        /// How many.
        points: Points,
        /// The lot that was opened or grew; none where all of it paid off debt.
        lot: Option<LotCredit>,
        /// Why.
        #[cfg_attr(feature = "json", serde(rename = "grounds"))]
        reason: AdjustmentReason,
        /// When.
        #[cfg_attr(
            feature = "json",
            serde(
                default,
                skip_serializing_if = "Option::is_none",
                serialize_with = "crate::fast_fmt::serialize_instant"
            )
        )]
        at: Option<Timestamp>,
    },
    /// An order earned points.
    PointsAwarded {
        /// The order.
        order: OrderId,
        /// How many.
        points: Points,
        /// The lot that was opened or grew; none where all of it paid off debt.
        lot: Option<LotCredit>,
        /// How the number came about.
        #[cfg_attr(feature = "json", serde(rename = "reckoning"))]
        calculation: Arc<Calculation>,
        /// What more or less of the order counts for tiers and goals.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        counted: Option<CountsDelta>,
        /// When.
        #[cfg_attr(
            feature = "json",
            serde(
                default,
                skip_serializing_if = "Option::is_none",
                serialize_with = "crate::fast_fmt::serialize_instant"
            )
        )]
        at: Option<Timestamp>,
    },
    /// Points of a lot ran out of time unspent.
    PointsExpired {
        /// The lot.
        lot: LotId,
        /// How many.
        points: Points,
        /// The order that had earned them.
        order: Option<OrderId>,
        /// The instant from which they were no longer usable.
        expired_at: Timestamp,
        /// The whole balance ended, since nothing had happened on the account for so long.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        inactive: bool,
        /// They were still pending.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        pending: bool,
    },
    /// Pending points can be spent from now on.
    PointsReleased {
        /// The lot that was pending.
        lot: LotId,
        /// How many.
        points: Points,
        /// The order that had earned them.
        order: Option<OrderId>,
        /// The lot that they went into; none where all of it paid off debt.
        into: Option<LotCredit>,
        /// When.
        released_at: Timestamp,
    },
    /// Points were subtracted by the shop, or the balance was set lower.
    PointsSubtracted {
        /// From which lots.
        lots: Vec<(LotId, Points)>,
        /// Why.
        #[cfg_attr(feature = "json", serde(rename = "grounds"))]
        reason: AdjustmentReason,
        /// When.
        #[cfg_attr(
            feature = "json",
            serde(
                default,
                skip_serializing_if = "Option::is_none",
                serialize_with = "crate::fast_fmt::serialize_instant"
            )
        )]
        at: Option<Timestamp>,
    },
    /// An order is worth less than was awarded for it.
    PointsTakenBack {
        /// The order.
        order: OrderId,
        /// Where the points were taken from.
        #[cfg_attr(feature = "json", serde(rename = "taking"))]
        clawback: Clawback,
        /// How the number came about.
        #[cfg_attr(feature = "json", serde(rename = "reckoning"))]
        calculation: Arc<Calculation>,
        /// What more or less of the order counts for tiers and goals.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        counted: Option<CountsDelta>,
        /// When.
        #[cfg_attr(
            feature = "json",
            serde(
                default,
                skip_serializing_if = "Option::is_none",
                serialize_with = "crate::fast_fmt::serialize_instant"
            )
        )]
        at: Option<Timestamp>,
    },
    /// A redemption was cancelled, or the order that had used it was: its points came back.
    RedemptionCancelled {
        /// The redemption.
        redemption: RedemptionId,
        /// The order that had used it, where there was one.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// What came back.
        returned: Arc<RedemptionReturn>,
        /// What limits get back.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        #[cfg_attr(feature = "json", serde(rename = "slot"))]
        counted_usage: Option<CountedUsage>,
        /// When.
        at: Timestamp,
    },
    /// A redemption ended unused.
    RedemptionExpired {
        /// The redemption.
        redemption: RedemptionId,
        /// What came back, where its reward says so.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        returned: Option<Arc<RedemptionReturn>>,
        /// What limits get back then.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        #[cfg_attr(feature = "json", serde(rename = "slot"))]
        counted_usage: Option<CountedUsage>,
        /// When it ended.
        at: Timestamp,
    },
    /// The order that had used a redemption was cancelled: it can be used again.
    RedemptionReopened {
        /// The redemption, as it is from now on.
        redemption: Arc<Redemption>,
        /// The order.
        order: OrderId,
        /// When.
        at: Timestamp,
    },
    /// A redemption was used.
    RedemptionUsed {
        /// The redemption.
        redemption: RedemptionId,
        /// By this order, where it was one.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// What was taken for it again, where its points had come back before.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        #[cfg_attr(feature = "json", serde(rename = "taken"))]
        payment: Option<Arc<RedemptionPayment>>,
        /// When.
        at: Timestamp,
    },
    /// The customer was given a code for friends.
    ReferralCodeIssued {
        /// The code.
        code: Arc<str>,
        /// When.
        at: Timestamp,
    },
    /// A customer who was brought by a friend made the first order that qualifies. The friend's account
    /// gets its part by [`Command::RewardReferral`](crate::Command::RewardReferral).
    ReferralCompleted {
        /// The friend.
        #[cfg_attr(feature = "json", serde(rename = "by"))]
        referrer: AccountId,
        /// The order.
        order: OrderId,
        /// When it passed the gate.
        #[cfg_attr(feature = "json", serde(rename = "gate"))]
        gate_at: Timestamp,
        /// When it became known.
        at: Timestamp,
    },
    /// A customer came by a friend's code.
    ReferralJoined {
        /// The friend.
        #[cfg_attr(feature = "json", serde(rename = "by"))]
        referrer: AccountId,
        /// When.
        at: Timestamp,
    },
    /// The order that completed a referral is worth nothing any more.
    ReferralUndone {
        /// The friend.
        #[cfg_attr(feature = "json", serde(rename = "by"))]
        referrer: AccountId,
        /// The order.
        order: OrderId,
        /// When.
        at: Timestamp,
    },
    /// Points were exchanged for a reward.
    RewardRedeemed {
        /// What was exchanged.
        issue: Arc<Issuance>,
    },
    /// A tier was entered or left by what the customer did.
    TierChanged {
        /// From what to what, and why.
        change: TierChange,
    },
    /// The customer no longer qualifies for the tier, and keeps it for a while.
    TierLapsed {
        /// The tier.
        tier: TierId,
        /// When.
        at: Timestamp,
        /// Until when it is kept.
        until: Timestamp,
    },
    /// The customer qualifies again for a tier that would have ended.
    TierRetained {
        /// The tier.
        tier: TierId,
        /// When.
        at: Timestamp,
    },
    /// The tier was set by hand.
    TierSet {
        /// The tier; none ends one that was set before.
        tier: Option<ManualTier>,
        /// When.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        at: Option<Timestamp>,
    },
}
