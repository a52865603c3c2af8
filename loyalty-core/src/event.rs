//! Journal events: what happened, for ever. State is a fold of them.
//!
//! [`Event`] is exhaustive on purpose: a new event breaks every `match` that does not handle it.
//! Events carry their own instants; those of old journals, from before they did, carry none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::{Counts, Deeds, Lot, OpenRedemptions, Progress, RanOut};
use crate::amount::Points;
use crate::award::{Award, Reason};
use crate::calendar::Timestamp;
use crate::discount::DiscountEvent;
use crate::explain::Reckoning;
use crate::id::{AccountId, ActionId, LotId, OrderId, RedemptionId, RewardId, TierId};
use crate::order::{Order, Origin, Pin, Refund, Status};
use crate::redemption::{Issue, Redemption, Returned, Slot, Taken};
use crate::tier::TierChange;

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
        brought: Option<Arc<Brought>>,
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
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
        pending: Points,
    },
    /// Points were given for something else than an order's basis.
    AwardGiven {
        /// How many.
        points: Points,
        /// The lot that was opened or grew; none where all of it paid off debt.
        lot: Option<LotPart>,
        /// How they came about.
        award: Arc<Award>,
        /// When.
        at: Timestamp,
    },
    /// What was given is taken back: what it was given for is undone.
    AwardTakenBack {
        /// For what it had been given.
        reason: Reason,
        /// Where the points were taken from.
        taking: Taking,
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
        counted: Counted,
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
        lot: Option<LotPart>,
        /// Why.
        grounds: Grounds,
        /// When.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        at: Option<Timestamp>,
    },
    /// An order earned points.
    PointsAwarded {
        /// The order.
        order: OrderId,
        /// How many.
        points: Points,
        /// The lot that was opened or grew; none where all of it paid off debt.
        lot: Option<LotPart>,
        /// How the number came about.
        reckoning: Arc<Reckoning>,
        /// What more or less of the order counts for tiers and goals.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        counted: Option<Counted>,
        /// When.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
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
        into: Option<LotPart>,
        /// When.
        released_at: Timestamp,
    },
    /// Points were subtracted by the shop, or the balance was set lower.
    PointsSubtracted {
        /// From which lots.
        lots: Vec<(LotId, Points)>,
        /// Why.
        grounds: Grounds,
        /// When.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        at: Option<Timestamp>,
    },
    /// An order is worth less than was awarded for it.
    PointsTakenBack {
        /// The order.
        order: OrderId,
        /// Where the points were taken from.
        taking: Taking,
        /// How the number came about.
        reckoning: Arc<Reckoning>,
        /// What more or less of the order counts for tiers and goals.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        counted: Option<Counted>,
        /// When.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
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
        returned: Arc<Returned>,
        /// What limits get back.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        slot: Option<Slot>,
        /// When.
        at: Timestamp,
    },
    /// A redemption ended unused.
    RedemptionExpired {
        /// The redemption.
        redemption: RedemptionId,
        /// What came back, where its reward says so.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        returned: Option<Arc<Returned>>,
        /// What limits get back then.
        #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
        slot: Option<Slot>,
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
        taken: Option<Arc<Taken>>,
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
        by: AccountId,
        /// The order.
        order: OrderId,
        /// When it passed the gate.
        gate: Timestamp,
        /// When it became known.
        at: Timestamp,
    },
    /// A customer came by a friend's code.
    ReferralJoined {
        /// The friend.
        by: AccountId,
        /// When.
        at: Timestamp,
    },
    /// The order that completed a referral is worth nothing any more.
    ReferralUndone {
        /// The friend.
        by: AccountId,
        /// The order.
        order: OrderId,
        /// When.
        at: Timestamp,
    },
    /// Points were exchanged for a reward.
    RewardRedeemed {
        /// What was exchanged.
        issue: Arc<Issue>,
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

/// What more or less of an order counts, and for which instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Counted {
    /// When the order passed the gate.
    pub gate: Timestamp,
    /// The difference to what counted before.
    pub counts: Counts,
}

/// What an account had done that was merged into another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Brought {
    /// What tiers and goals count.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Progress::is_empty"))]
    pub progress: Progress,
    /// What else it remembers.
    pub deeds: Deeds,
    /// What ran out of its lot without an end.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "RanOut::is_empty"))]
    pub ran_out: RanOut,
    /// The numbers that its lots have now, by those that they had: of lots in which something is that it
    /// remembers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    pub lots: BTreeMap<LotId, LotId>,
    /// Its redemptions that will end.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "OpenRedemptions::is_empty"))]
    pub redemptions: OpenRedemptions,
    /// What of the lots is pending.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub pending: Points,
    /// When it last earned or redeemed points.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub dealt_at: Option<Timestamp>,
}

/// Points that went into a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct LotPart {
    /// The lot; one that exists already grows.
    pub id: LotId,
    /// How many points went in, after paying off debt.
    pub points: Points,
    /// When they count as earned.
    pub earned_at: Timestamp,
    /// From when on they are no longer usable.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub expires_at: Option<Timestamp>,
    /// From when on they can be spent, where they are held back.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub pending_until: Option<Timestamp>,
    /// The order's points stay a lot of their own, though they have no end by themselves.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub apart: bool,
}

impl LotPart {
    /// Whether it is of the lot without an end, where points of orders are not told apart.
    pub(crate) fn is_lasting(&self) -> bool {
        self.expires_at.is_none() && self.pending_until.is_none() && !self.apart
    }
}

/// Where points that are taken back come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Taking {
    /// From lots: the order's own first, then in spending order.
    pub lots: Vec<(LotId, Points)>,
    /// From lots that are pending.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub pending: Vec<(LotId, Points)>,
    /// Owed from now on.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub debt: Points,
    /// Not taken, since the program stops at zero.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "crate::amount::is_zero"))]
    pub forgiven: Points,
    /// Not taken, since so much had run out of the lot without an end, and when.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub ran_out: Vec<(Timestamp, Points)>,
}

impl Taking {
    /// What is really taken: from lots, pending or not, and as debt.
    pub fn points(&self) -> Points {
        self.from_balance().saturating_add(self.from_pending())
    }

    /// What of it the balance loses.
    pub fn from_balance(&self) -> Points {
        self.lots.iter().fold(self.debt, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// What had run out of the lot without an end.
    pub fn expired(&self) -> Points {
        self.ran_out.iter().fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(*points))
    }

    /// What of it was pending.
    pub fn from_pending(&self) -> Points {
        self.pending.iter().fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(*points))
    }
}

/// Why a shop changed a balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Grounds {
    /// The shop's action.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub action: Option<ActionId>,
    /// The shop's words.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub reason: Option<Arc<str>>,
    /// Whether the balance was set to a number rather than changed by one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub adjustment: bool,
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

impl Event {
    /// The order that the event is of.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::OrderCancelled { order, .. }
            | Self::OrderClosed { order, .. }
            | Self::OrderCounted { order, .. }
            | Self::OrderPinned { order, .. }
            | Self::OrderRecorded { order, .. }
            | Self::OrderRefunded { order, .. }
            | Self::PointsAwarded { order, .. }
            | Self::PointsTakenBack { order, .. } => Some(order),
            Self::PointsExpired { order, .. } | Self::PointsReleased { order, .. } => order.as_ref(),
            Self::AccountAbsorbed { .. }
            | Self::AccountMerged { .. }
            | Self::AwardGiven { .. }
            | Self::AwardTakenBack { .. }
            | Self::CustomerAdded
            | Self::Discount(_)
            | Self::PointsAdded { .. }
            | Self::PointsSubtracted { .. }
            | Self::RedemptionCancelled { .. }
            | Self::RedemptionExpired { .. }
            | Self::RedemptionReopened { .. }
            | Self::RedemptionUsed { .. }
            | Self::ReferralCodeIssued { .. }
            | Self::ReferralCompleted { .. }
            | Self::ReferralJoined { .. }
            | Self::ReferralUndone { .. }
            | Self::RewardRedeemed { .. }
            | Self::TierChanged { .. }
            | Self::TierLapsed { .. }
            | Self::TierRetained { .. }
            | Self::TierSet { .. } => None,
        }
    }

    /// The redemption that the event is of.
    pub fn redemption(&self) -> Option<RedemptionId> {
        if let Self::RewardRedeemed { issue } = self {
            return Some(issue.id);
        }
        if let Self::RedemptionReopened { redemption, .. } = self {
            return Some(redemption.issue().id);
        }
        if let Self::RedemptionCancelled { redemption, .. }
        | Self::RedemptionExpired { redemption, .. }
        | Self::RedemptionUsed { redemption, .. } = self
        {
            return Some(*redemption);
        }
        None
    }

    /// The reward whose limits the event counts for.
    pub fn reward(&self) -> Option<&RewardId> {
        if let Self::RewardRedeemed { issue } = self {
            return Some(&issue.reward);
        }
        if let Self::RedemptionCancelled { slot, .. } | Self::RedemptionExpired { slot, .. } = self {
            return slot.as_ref().map(|slot| &slot.reward);
        }
        None
    }

    /// What the event does to the balance of its account.
    pub fn points(&self) -> Points {
        match self {
            Self::AccountAbsorbed { points, .. } | Self::PointsReleased { points, .. } => *points,
            Self::AwardGiven { points, lot, .. }
            | Self::PointsAdded { points, lot, .. }
            | Self::PointsAwarded { points, lot, .. } => {
                if is_pending(lot.as_ref()) {
                    Points::ZERO
                } else {
                    *points
                }
            }
            Self::AccountMerged { points, .. } => points.negated(),
            Self::PointsExpired { points, pending, .. } => {
                if *pending {
                    Points::ZERO
                } else {
                    points.negated()
                }
            }
            Self::PointsSubtracted { lots, .. } => {
                lots.iter().fold(Points::ZERO, |sum, (_, points)| sum.saturating_sub(*points))
            }
            Self::AwardTakenBack { taking, .. } | Self::PointsTakenBack { taking, .. } => {
                taking.from_balance().negated()
            }
            Self::RewardRedeemed { issue } => issue.points.negated(),
            Self::RedemptionUsed { taken, .. } => {
                taken.as_ref().map_or(Points::ZERO, |taken| taken.points().negated())
            }
            Self::RedemptionCancelled { returned, .. } => returned.points(),
            Self::RedemptionExpired { returned, .. } => {
                returned.as_ref().map_or(Points::ZERO, |returned| returned.points())
            }
            Self::CustomerAdded
            | Self::Discount(_)
            | Self::OrderCancelled { .. }
            | Self::OrderClosed { .. }
            | Self::OrderCounted { .. }
            | Self::OrderPinned { .. }
            | Self::OrderRecorded { .. }
            | Self::OrderRefunded { .. }
            | Self::RedemptionReopened { .. }
            | Self::ReferralCodeIssued { .. }
            | Self::ReferralCompleted { .. }
            | Self::ReferralJoined { .. }
            | Self::ReferralUndone { .. }
            | Self::TierChanged { .. }
            | Self::TierLapsed { .. }
            | Self::TierRetained { .. }
            | Self::TierSet { .. } => Points::ZERO,
        }
    }

    /// What the event does to the points that are pending.
    pub fn pending_points(&self) -> Points {
        match self {
            Self::AccountAbsorbed { brought, .. } => {
                brought.as_ref().map_or(Points::ZERO, |brought| brought.pending)
            }
            Self::AccountMerged { pending, .. } => pending.negated(),
            Self::AwardGiven { points, lot, .. } | Self::PointsAwarded { points, lot, .. } => {
                if is_pending(lot.as_ref()) { *points } else { Points::ZERO }
            }
            Self::AwardTakenBack { taking, .. } | Self::PointsTakenBack { taking, .. } => {
                taking.from_pending().negated()
            }
            Self::PointsExpired { points, pending, .. } => {
                if *pending {
                    points.negated()
                } else {
                    Points::ZERO
                }
            }
            Self::PointsReleased { points, .. } => points.negated(),
            Self::CustomerAdded
            | Self::Discount(_)
            | Self::OrderCancelled { .. }
            | Self::OrderClosed { .. }
            | Self::OrderCounted { .. }
            | Self::OrderPinned { .. }
            | Self::OrderRecorded { .. }
            | Self::OrderRefunded { .. }
            | Self::PointsAdded { .. }
            | Self::PointsSubtracted { .. }
            | Self::RedemptionCancelled { .. }
            | Self::RedemptionExpired { .. }
            | Self::RedemptionReopened { .. }
            | Self::RedemptionUsed { .. }
            | Self::ReferralCodeIssued { .. }
            | Self::ReferralCompleted { .. }
            | Self::ReferralJoined { .. }
            | Self::ReferralUndone { .. }
            | Self::RewardRedeemed { .. }
            | Self::TierChanged { .. }
            | Self::TierLapsed { .. }
            | Self::TierRetained { .. }
            | Self::TierSet { .. } => Points::ZERO,
        }
    }

    /// When it happened on the account. Facts of orders have the shop's own times and say nothing here.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::AccountAbsorbed { at, .. }
            | Self::PointsAdded { at, .. }
            | Self::PointsAwarded { at, .. }
            | Self::PointsSubtracted { at, .. }
            | Self::PointsTakenBack { at, .. }
            | Self::TierSet { at, .. } => *at,
            Self::AwardGiven { at, .. }
            | Self::AwardTakenBack { at, .. }
            | Self::RedemptionCancelled { at, .. }
            | Self::RedemptionExpired { at, .. }
            | Self::RedemptionReopened { at, .. }
            | Self::RedemptionUsed { at, .. }
            | Self::ReferralCodeIssued { at, .. }
            | Self::ReferralCompleted { at, .. }
            | Self::ReferralJoined { at, .. }
            | Self::ReferralUndone { at, .. }
            | Self::OrderCounted { at, .. }
            | Self::TierLapsed { at, .. }
            | Self::TierRetained { at, .. } => Some(*at),
            Self::PointsExpired { expired_at, .. } => Some(*expired_at),
            Self::PointsReleased { released_at, .. } => Some(*released_at),
            Self::RewardRedeemed { issue } => Some(issue.at),
            Self::TierChanged { change } => Some(change.at),
            Self::AccountMerged { .. }
            | Self::CustomerAdded
            | Self::Discount(_)
            | Self::OrderCancelled { .. }
            | Self::OrderClosed { .. }
            | Self::OrderPinned { .. }
            | Self::OrderRecorded { .. }
            | Self::OrderRefunded { .. } => None,
        }
    }
}

fn is_pending(part: Option<&LotPart>) -> bool {
    part.is_some_and(|part| part.pending_until.is_some())
}
