//! What can be asked of the rules.

use std::sync::Arc;

use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::event::AdjustmentReason;
use crate::id::{AccountId, ActionId, OrderId, RedemptionId, RewardId};
use crate::order::{Order, Origin, Refund, Status};
use crate::referral::ReferralParty;
use crate::tier::ManualTier;

/// One request to the rules, about one account or one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The shop adds points: they apply at once.
    AddPoints {
        /// How many; more than none.
        points: Points,
        /// Why.
        reason: AdjustmentReason,
    },
    /// An order is cancelled.
    CancelOrder {
        /// The order.
        order: OrderId,
        /// The shop's time of it; now, where it says none.
        at: Option<Timestamp>,
    },
    /// A redemption that was not used is cancelled.
    CancelRedemption {
        /// The redemption.
        redemption: RedemptionId,
    },
    /// Nothing but writing down what time has brought about by now.
    CatchUp,
    /// An order is closed by its shop. Changes no points.
    CloseOrder {
        /// The order.
        order: OrderId,
        /// The shop's time of it; now, where it says none.
        at: Option<Timestamp>,
    },
    /// The customer types a manual code of the program.
    EnterCode {
        /// The code, as typed.
        code: Arc<str>,
        /// Whether somebody else has used it; only the store can know.
        used_by_other: bool,
    },
    /// The customer gets a code to give to friends, or keeps the one they have.
    IssueReferralCode {
        /// Random bits; the rules have none of their own. The store draws again where a code is taken.
        entropy: [u8; 10],
    },
    /// The customer came by a friend's code.
    JoinReferral {
        /// This customer.
        referee: ReferralParty,
        /// The friend whose code it is.
        referrer: ReferralParty,
    },
    /// The customer did something that the program rewards.
    PerformAction {
        /// The action.
        action: ActionId,
        /// Another number of points than the program's, where it allows that.
        points: Option<Points>,
    },
    /// An order is reported as it now is.
    RecordOrder {
        /// The order.
        order: OrderId,
        /// What it holds.
        snapshot: Arc<Order>,
        /// How far it has come.
        status: Status,
        /// The shop's time of the report; now, where it says none.
        at: Option<Timestamp>,
        /// What told us.
        origin: Origin,
    },
    /// A refund is reported.
    RefundOrder {
        /// The order.
        order: OrderId,
        /// The refund.
        refund: Refund,
        /// What to do with one that is more than what is left of the order.
        over_refund: OverRefund,
        /// The shop's time of it; now, where it says none.
        at: Option<Timestamp>,
    },
    /// The customer exchanges points for a reward.
    RedeemReward {
        /// The number of the redemption, given by the store.
        redemption: RedemptionId,
        /// The reward.
        reward: RewardId,
        /// How much, where the customer chooses.
        amount: Option<Amount>,
        /// Random bits for a code; the rules have none of their own. The store draws again where a code is
        /// taken.
        entropy: [u8; 16],
    },
    /// An order that had used a redemption was cancelled, or no longer brings its code. A fact, which is
    /// never refused.
    ReleaseRedemption {
        /// The redemption.
        redemption: RedemptionId,
        /// The order.
        order: OrderId,
    },
    /// An order brought a redemption's code. A fact, which is never refused.
    ClaimRedemption {
        /// The redemption.
        redemption: RedemptionId,
        /// The order.
        order: OrderId,
    },
    /// The shop says that a redemption was used: that it handed over what it is for.
    UseRedemption {
        /// The redemption.
        redemption: RedemptionId,
        /// With this order, where it was one.
        order: Option<OrderId>,
    },
    /// A friend whom the customer brought has ordered. Follows from the friend's account.
    RewardReferral {
        /// The friend.
        referee: AccountId,
        /// The order.
        order: OrderId,
        /// When it passed the gate.
        gate_at: Timestamp,
    },
    /// The shop sets the balance; the difference is an adjusting entry.
    SetBalance {
        /// To what; not below zero.
        to: Points,
        /// Why.
        reason: Option<Arc<str>>,
    },
    /// The shop sets the tier by hand, or ends a tier so set.
    SetTier(Option<ManualTier>),
    /// The customer signed up with the shop.
    SignUp,
    /// The shop subtracts points.
    SubtractPoints {
        /// How many; more than none, at most what is available.
        points: Points,
        /// Why.
        reason: AdjustmentReason,
    },
    /// The order of a friend whom the customer brought is worth nothing any more. Follows from the
    /// friend's account.
    UndoReferral {
        /// The friend.
        referee: AccountId,
        /// The order.
        order: OrderId,
    },
}

/// What to do with a refund that is more than what is left of its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverRefund {
    /// Refuse it: the default.
    #[default]
    Reject,
    /// Cut it down to what is left. For store plugins, whose refunds have no ids of their own.
    Clamp,
}

impl Command {
    /// The order of this account that the command is about.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::CancelOrder { order, .. }
            | Self::CloseOrder { order, .. }
            | Self::RecordOrder { order, .. }
            | Self::RefundOrder { order, .. } => Some(order),
            Self::AddPoints { .. }
            | Self::CancelRedemption { .. }
            | Self::CatchUp
            | Self::ClaimRedemption { .. }
            | Self::EnterCode { .. }
            | Self::IssueReferralCode { .. }
            | Self::JoinReferral { .. }
            | Self::PerformAction { .. }
            | Self::RedeemReward { .. }
            | Self::ReleaseRedemption { .. }
            | Self::RewardReferral { .. }
            | Self::SetBalance { .. }
            | Self::SetTier(_)
            | Self::SignUp
            | Self::SubtractPoints { .. }
            | Self::UndoReferral { .. }
            | Self::UseRedemption { .. } => None,
        }
    }

    /// The reward that points are to be exchanged for.
    pub fn reward(&self) -> Option<&RewardId> {
        if let Self::RedeemReward { reward, .. } = self { Some(reward) } else { None }
    }

    /// The redemption that the command is about.
    pub fn redemption(&self) -> Option<RedemptionId> {
        if let Self::CancelRedemption { redemption }
        | Self::ClaimRedemption { redemption, .. }
        | Self::RedeemReward { redemption, .. }
        | Self::ReleaseRedemption { redemption, .. }
        | Self::UseRedemption { redemption, .. } = self
        {
            return Some(*redemption);
        }
        None
    }
}
