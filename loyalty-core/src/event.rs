//! Journal events: facts that never change. All state is a fold of them.
//!
//! [`Event`] is exhaustive on purpose: a new event breaks every `match` that does not
//! handle it. Events carry their own instants. Some of old journals have none: they were
//! written before events had instants.

mod accessors;

use std::sync::Arc;

use crate::account::{Absorption, MergedState, UndoneClaim};
use crate::amount::Points;
use crate::award::{Award, AwardReason};
use crate::calendar::Timestamp;
use crate::counts::CountsDelta;
use crate::discount::DiscountEvent;
use crate::explain::Calculation;
use crate::id::{
    AccountId, ActionId, ImportId, LotId, OrderId, ProgramVersion, RedemptionId, RewardId, TierId,
};
use crate::lot::{Clawback, Lot, LotCredit};
use crate::order::{HighestPaid, Order, Origin, Pin, Refund, Status};
use crate::publication::Publication;
use crate::redemption::{CountedUsage, Issuance, Redemption, RedemptionPayment, RedemptionReturn};
use crate::tier::{ManualTier, TierChange};

/// The reason of a shop for changing a balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct AdjustmentReason {
    /// The shop's name of the action.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub action: Option<ActionId>,
    /// The shop's text.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "reason"))]
    pub text: Option<Arc<str>>,
    /// The balance was set to a number, not changed by one. That is no activity of the
    /// customer.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    #[cfg_attr(feature = "json", serde(rename = "adjustment"))]
    pub sets_balance: bool,
    /// The import that brought the points, or whose undoing took them back.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub import: Option<ImportId>,
}

/// One fact about one account or one order. Contains no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Event {
    /// Another account was merged into this one, which takes over its lots and its debt.
    AccountAbsorbed(Arc<Absorption>),
    /// The customer was erased: the account is empty and takes part in nothing any more.
    AccountErased {
        /// The balance that was removed.
        points: Points,
        /// The pending points that were removed.
        #[cfg_attr(
            feature = "json",
            serde(default, skip_serializing_if = "crate::amount::is_zero")
        )]
        pending: Points,
        /// The instant.
        at: Timestamp,
    },
    /// This account was merged into another one and is empty.
    AccountMerged {
        /// The other account.
        into: AccountId,
        /// The balance that left.
        points: Points,
        /// The pending points that left.
        #[cfg_attr(
            feature = "json",
            serde(default, skip_serializing_if = "crate::amount::is_zero")
        )]
        pending: Points,
    },
    /// This account was merged into another one, which has given it back what it had.
    AccountReopened {
        /// The other account.
        from: AccountId,
        /// Its lots, with new ids.
        lots: Vec<Lot>,
        /// The balance that came back.
        points: Points,
        /// The pending points that came back.
        #[cfg_attr(
            feature = "json",
            serde(default, skip_serializing_if = "crate::amount::is_zero")
        )]
        pending: Points,
        /// Its tier set by hand.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        tier: Option<ManualTier>,
        /// The rest of its state, with the new numbers of its lots.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        merged_state: Option<Arc<MergedState>>,
        /// The instant.
        at: Timestamp,
    },
    /// A bonus was granted: points for anything but an order's basis.
    AwardGiven {
        /// The points.
        points: Points,
        /// The lot that they were credited to. `None` if all of them paid off debt.
        lot: Option<LotCredit>,
        /// The reason of the bonus, and its limit.
        award: Arc<Award>,
        /// The instant.
        #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
        at: Timestamp,
    },
    /// A bonus was clawed back: its reason was undone.
    AwardTakenBack {
        /// The reason of the bonus.
        reason: AwardReason,
        /// The points clawed back, by where they were taken from.
        #[cfg_attr(feature = "json", serde(rename = "taking"))]
        clawback: Clawback,
        /// The instant.
        at: Timestamp,
    },
    /// The merge of another account into this one was undone: what it had brought has left.
    ClaimUndone(Arc<UndoneClaim>),
    /// An account was opened, for a customer or for a guest known by e-mail.
    CustomerAdded,
    /// The customer's profile changed. What it is now is personal data, which is elsewhere.
    CustomerUpdated {
        /// The instant.
        at: Timestamp,
    },
    /// A fact about a price rule or a discount code. Changes neither points nor orders.
    Discount(DiscountEvent),
    /// The cause of a gift was undone. If its redemption could still be used, it was cancelled
    /// just before.
    GiftUndone {
        /// The cause.
        cause: AwardReason,
        /// The reward.
        reward: RewardId,
        /// The redemption, if it was issued.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        redemption: Option<RedemptionId>,
        /// The redemption had been used or had ended: the customer keeps the gift.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        #[cfg_attr(feature = "json", serde(rename = "kept"))]
        is_kept: bool,
        /// The instant.
        at: Timestamp,
    },
    /// An order was cancelled.
    OrderCancelled {
        /// The order.
        order: OrderId,
        /// The shop's time of it, else that of the receipt.
        at: Timestamp,
    },
    /// The shop closed (archived) an order. Moves no points.
    OrderClosed {
        /// The order.
        order: OrderId,
        /// The shop's time of it, else that of the receipt.
        at: Timestamp,
    },
    /// The counts of an order for tiers and goals changed, without any points moving.
    OrderCounted {
        /// The order.
        order: OrderId,
        /// The change.
        counted: CountsDelta,
        /// The instant.
        at: Timestamp,
    },
    /// The order of a customer names the e-mail address of a guest, whose account it leaves
    /// alone.
    OrderNamedGuest {
        /// The order.
        order: OrderId,
        /// The guest's account.
        guest: AccountId,
        /// The instant.
        at: Timestamp,
    },
    /// An order reached the earning gate: what it earns under is fixed.
    OrderPinned {
        /// The order.
        order: OrderId,
        /// What it earns under.
        pin: Pin,
    },
    /// A shop reported an order.
    OrderRecorded {
        /// The order.
        order: OrderId,
        /// The snapshot, if it is the latest one and differs from the one before.
        snapshot: Option<Arc<Order>>,
        /// The status.
        status: Status,
        /// The shop's time of it, else that of the receipt.
        #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
        at: Timestamp,
        /// The source of the report.
        origin: Origin,
        /// What the order was reported with as paid beyond its latest snapshot, if this
        /// report changes that.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        paid: Option<HighestPaid>,
        /// The time is the shop's own.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        dated: bool,
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
        /// The points.
        points: Points,
        /// The lot that they were credited to. `None` if all of them paid off debt.
        lot: Option<LotCredit>,
        /// The shop's reason.
        #[cfg_attr(feature = "json", serde(rename = "grounds"))]
        reason: AdjustmentReason,
        /// The instant.
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
        /// The points.
        points: Points,
        /// The lot that they were credited to. `None` if all of them paid off debt.
        lot: Option<LotCredit>,
        /// The calculation of the points.
        #[cfg_attr(feature = "json", serde(rename = "reckoning"))]
        calculation: Arc<Calculation>,
        /// The change of its counts for tiers and goals.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        counted: Option<CountsDelta>,
        /// The instant.
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
    /// Points of a lot expired unspent.
    PointsExpired {
        /// The lot.
        lot: LotId,
        /// The points.
        points: Points,
        /// The order that had earned them.
        order: Option<OrderId>,
        /// The instant from which they are no longer usable.
        expired_at: Timestamp,
        /// The whole balance expired by inactivity.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        inactive: bool,
        /// They were still pending.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        pending: bool,
    },
    /// Pending points became usable.
    PointsReleased {
        /// The lot that was pending.
        lot: LotId,
        /// The points.
        points: Points,
        /// The order that had earned them.
        order: Option<OrderId>,
        /// The lot that they were credited to. `None` if all of them paid off debt.
        into: Option<LotCredit>,
        /// The instant.
        released_at: Timestamp,
    },
    /// Points were subtracted by the shop, or the balance was set lower.
    PointsSubtracted {
        /// The parts of lots that they were taken from.
        lots: Vec<(LotId, Points)>,
        /// The shop's reason.
        #[cfg_attr(feature = "json", serde(rename = "grounds"))]
        reason: AdjustmentReason,
        /// The instant.
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
    /// Points of an order were clawed back: it earns less than was awarded.
    PointsTakenBack {
        /// The order.
        order: OrderId,
        /// The points clawed back, by where they were taken from.
        #[cfg_attr(feature = "json", serde(rename = "taking"))]
        clawback: Clawback,
        /// The calculation of the points.
        #[cfg_attr(feature = "json", serde(rename = "reckoning"))]
        calculation: Arc<Calculation>,
        /// The change of its counts for tiers and goals.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        counted: Option<CountsDelta>,
        /// The instant.
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
    /// A version of the program was published. Of no account.
    ProgramPublished {
        /// The version.
        version: ProgramVersion,
        /// The instant from which it is in force.
        at: Timestamp,
    },
    /// A connected store has published or withdrawn the code of a redemption, or refused to.
    PublicationRecorded {
        /// The redemption.
        redemption: RedemptionId,
        /// What the store has done.
        publication: Arc<Publication>,
    },
    /// A redemption was cancelled, or the order that had used it was: its points were
    /// returned.
    RedemptionCancelled {
        /// The redemption.
        redemption: RedemptionId,
        /// The order that had used it, if any.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// The points returned.
        returned: Arc<RedemptionReturn>,
        /// The usage to take off limits.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        #[cfg_attr(feature = "json", serde(rename = "slot"))]
        counted_usage: Option<CountedUsage>,
        /// The instant.
        at: Timestamp,
    },
    /// A redemption expired unused.
    RedemptionExpired {
        /// The redemption.
        redemption: RedemptionId,
        /// The points returned, if its reward returns them.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        returned: Option<Arc<RedemptionReturn>>,
        /// The usage to take off limits, if points are returned.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        #[cfg_attr(feature = "json", serde(rename = "slot"))]
        counted_usage: Option<CountedUsage>,
        /// The instant of its end.
        at: Timestamp,
    },
    /// Goods of the order that had used a redemption came back, and with them their part of
    /// its points.
    RedemptionRefunded {
        /// The redemption.
        redemption: RedemptionId,
        /// The order.
        order: OrderId,
        /// The points returned.
        returned: Arc<RedemptionReturn>,
        /// The usage to take off limits, with the last points.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        counted_usage: Option<CountedUsage>,
        /// The instant.
        at: Timestamp,
    },
    /// The order that had used a redemption was cancelled: it can be used again.
    RedemptionReopened {
        /// The new state of the redemption.
        redemption: Arc<Redemption>,
        /// The order.
        order: OrderId,
        /// The instant.
        at: Timestamp,
    },
    /// A redemption was used.
    RedemptionUsed {
        /// The redemption.
        redemption: RedemptionId,
        /// The order that used it, if any.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        order: Option<OrderId>,
        /// The points charged again, if they had been returned before.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        #[cfg_attr(feature = "json", serde(rename = "taken"))]
        payment: Option<Arc<RedemptionPayment>>,
        /// The shop said so by itself, not by a code of the order.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
        by_shop: bool,
        /// The instant.
        at: Timestamp,
    },
    /// The customer got a referral code.
    ReferralCodeIssued {
        /// The code.
        code: Arc<str>,
        /// The instant.
        at: Timestamp,
    },
    /// A referee's first qualifying order completed the referral. The referrer's bonus
    /// follows by [`Command::RewardReferral`](crate::Command::RewardReferral).
    ReferralCompleted {
        /// The referrer.
        #[cfg_attr(feature = "json", serde(rename = "by"))]
        referrer: AccountId,
        /// The order.
        order: OrderId,
        /// The instant at which it reached the earning gate.
        #[cfg_attr(feature = "json", serde(rename = "gate"))]
        gate_at: Timestamp,
        /// The instant at which that became known.
        at: Timestamp,
    },
    /// A customer came by a referrer's code.
    ReferralJoined {
        /// The referrer.
        #[cfg_attr(feature = "json", serde(rename = "by"))]
        referrer: AccountId,
        /// The instant.
        at: Timestamp,
    },
    /// The order that completed a referral no longer qualifies.
    ReferralUndone {
        /// The referrer.
        #[cfg_attr(feature = "json", serde(rename = "by"))]
        referrer: AccountId,
        /// The order.
        order: OrderId,
        /// The instant.
        at: Timestamp,
    },
    /// Points were redeemed for a reward, or the reward was given for a cause.
    RewardRedeemed {
        /// The terms of the redemption.
        issue: Arc<Issuance>,
    },
    /// The earned tier changed.
    TierChanged {
        /// The change.
        change: TierChange,
    },
    /// The customer no longer qualifies for the tier, but keeps it until a later instant.
    TierLapsed {
        /// The tier.
        tier: TierId,
        /// The instant.
        at: Timestamp,
        /// The instant at which it ends.
        until: Timestamp,
    },
    /// The customer qualifies again for a tier that was about to end.
    TierRetained {
        /// The tier.
        tier: TierId,
        /// The instant.
        at: Timestamp,
    },
    /// The tier was set by hand.
    TierSet {
        /// The tier. `None` ends one that was set before.
        tier: Option<ManualTier>,
        /// The instant.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        at: Option<Timestamp>,
    },
}
