//! Commands: requests to the rules, which [`decide`](crate::decide) turns into events.

use std::sync::Arc;

use crate::account::{Absorption, UndoneClaim};
use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::event::AdjustmentReason;
use crate::exact::Fraction;
use crate::id::{AccountId, ActionId, ImportId, OrderId, RedemptionId, RewardId};
use crate::lot::{ImportMode, ImportedLot};
#[cfg(doc)]
use crate::order::OrderState;
use crate::order::{Order, Origin, Refund, Status};
use crate::publication::{PublicationStatus, StoreId};
use crate::referral::ReferralParty;
use crate::tier::ManualTier;

/// A request to the rules about one account, and possibly one of its orders.
///
/// # Example: the order of a command
/// ```
/// use loyalty_core::{Command, OrderId};
/// let order = OrderId::new("1001").unwrap();
/// let command = Command::CancelOrder { order: order.clone(), at: None };
/// assert_eq!(command.order(), Some(&order));
/// assert_eq!(Command::SignUp.order(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The shop adds points, available at once.
    AddPoints {
        /// Number of points, more than zero.
        points: Points,
        /// Reason of the shop.
        reason: AdjustmentReason,
    },
    /// The shop cancelled an order.
    CancelOrder {
        /// Id of the order.
        order: OrderId,
        /// Time of the change in the shop. `None` for now.
        at: Option<Timestamp>,
    },
    /// Cancels a redemption that was not used.
    CancelRedemption {
        /// Id of the redemption.
        redemption: RedemptionId,
    },
    /// Records what is due by now: expiry, tier changes and other effects of time.
    CatchUp,
    /// The shop closed an order. This changes no points.
    CloseOrder {
        /// Id of the order.
        order: OrderId,
        /// Time of the change in the shop. `None` for now.
        at: Option<Timestamp>,
    },
    /// The customer enters a code of the program's actions.
    EnterCode {
        /// The code as entered.
        code: Arc<str>,
        /// True if another customer has used the code, which only the store knows.
        used_by_other: bool,
    },
    /// Removes what is left on the account of a customer who is erased. Again it changes
    /// nothing.
    EraseAccount,
    /// An import brings points, with the instants they had elsewhere. That is no activity
    /// of the customer, and counts for no tier.
    ImportPoints {
        /// Id of the import.
        import: ImportId,
        /// The points, each lot with more than zero.
        lots: Vec<ImportedLot>,
        /// Treatment of the points that are there.
        mode: ImportMode,
    },
    /// Issues the redemption of the first gift that waits for one:
    /// [`Gifts::first_due`](crate::account::Gifts::first_due). The context's pinned program is
    /// that of the gift.
    IssueGift {
        /// Id of the redemption, assigned by the store.
        redemption: RedemptionId,
        /// Random bits for a code.
        entropy: [u8; 16],
    },
    /// Issues the customer's referral code. Has no effect if the customer has one.
    IssueReferralCode {
        /// Random bits for the code. The store draws again if the code is taken.
        entropy: [u8; 10],
    },
    /// The customer joined by the referral code of another customer.
    JoinReferral {
        /// This customer.
        referee: ReferralParty,
        /// The customer whose code it is.
        referrer: ReferralParty,
    },
    /// Notes that a customer's order names the e-mail of a guest, whose account it leaves
    /// alone.
    NoteGuest {
        /// Id of the order.
        order: OrderId,
        /// Account of the guest.
        guest: AccountId,
    },
    /// The customer performed an action that the shop reports.
    PerformAction {
        /// Id of the action.
        action: ActionId,
        /// Points in place of the program's, if the action allows an override.
        points: Option<Points>,
    },
    /// The shop reports the present state of an order.
    RecordOrder {
        /// Id of the order.
        order: OrderId,
        /// Contents of the order.
        snapshot: Arc<Order>,
        /// Status of the order.
        status: Status,
        /// Time of the report in the shop. `None` for now.
        at: Option<Timestamp>,
        /// Source of the report.
        origin: Origin,
    },
    /// The shop reports a refund.
    RefundOrder {
        /// Id of the order.
        order: OrderId,
        /// Contents of the refund.
        refund: Refund,
        /// Treatment of a refund that exceeds the rest of the order.
        over_refund: OverRefund,
        /// Time of the change in the shop. `None` for now.
        at: Option<Timestamp>,
    },
    /// Goods of an order that had used a redemption came back. A fact, which is never
    /// rejected.
    RefundRedemption {
        /// Id of the redemption.
        redemption: RedemptionId,
        /// Id of the order.
        order: OrderId,
        /// Share of the order's goods that came back: [`query::returned_share`](crate::query::returned_share).
        returned: Fraction,
    },
    /// The customer exchanges points for a reward.
    RedeemReward {
        /// Id of the redemption, assigned by the store.
        redemption: RedemptionId,
        /// Id of the reward.
        reward: RewardId,
        /// Amount that the customer chose, for a reward of variable amount.
        amount: Option<Amount>,
        /// Price of the goods of the order that it is for, before any discount, if known.
        subtotal: Option<Amount>,
        /// Random bits for a code. The store draws again if the code is taken.
        entropy: [u8; 16],
    },
    /// An order that had used a redemption was cancelled, or no longer has its code. A
    /// fact, which is never rejected.
    ReleaseRedemption {
        /// Id of the redemption.
        redemption: RedemptionId,
        /// Id of the order.
        order: OrderId,
    },
    /// An order used a redemption's code. A fact, which is never rejected.
    ClaimRedemption {
        /// Id of the redemption.
        redemption: RedemptionId,
        /// Id of the order.
        order: OrderId,
    },
    /// A connected store has published or withdrawn a redemption's code, or refused to. A
    /// fact, which is never rejected.
    RecordPublication {
        /// Id of the redemption.
        redemption: RedemptionId,
        /// The store.
        store: StoreId,
        /// What it has done.
        status: PublicationStatus,
    },
    /// Cancels an unused redemption of a customer who is erased: its points stay spent.
    VoidRedemption {
        /// Id of the redemption.
        redemption: RedemptionId,
    },
    /// The shop marks a redemption as used: the customer has the benefit.
    UseRedemption {
        /// Id of the redemption.
        redemption: RedemptionId,
        /// Order with which it was used, if any.
        order: Option<OrderId>,
    },
    /// Opens an account again whose merge into another one was undone. Has no effect on an
    /// open account.
    ReopenAccount {
        /// Account that it was merged into.
        from: AccountId,
        /// What left that account.
        undone: Arc<UndoneClaim>,
    },
    /// A referee of the customer has ordered. Follows from an event of the referee's
    /// account.
    RewardReferral {
        /// Account of the referee.
        referee: AccountId,
        /// Id of the referee's order.
        order: OrderId,
        /// Time at which the order passed the earning gate.
        gate_at: Timestamp,
    },
    /// The shop sets the balance. The difference is recorded as an adjustment.
    SetBalance {
        /// New balance, not below zero.
        to: Points,
        /// Reason of the shop.
        reason: Option<Arc<str>>,
    },
    /// The shop sets the tier by hand, or with `None` removes a tier that it had set.
    SetTier(Option<ManualTier>),
    /// The customer signed up with the shop.
    SignUp,
    /// The shop subtracts points.
    SubtractPoints {
        /// Number of points, more than zero and at most the available ones.
        points: Points,
        /// Reason of the shop.
        reason: AdjustmentReason,
    },
    /// Undoes the merge of another account into this one, as long as all that it brought is
    /// there. [`Command::ReopenAccount`] follows for the other account.
    UndoClaim {
        /// What the merge brought.
        claim: Arc<Absorption>,
    },
    /// Takes back what is left of the lots that an import brought, and gives back what it
    /// had taken away. What was spent stays spent: no debt comes of it, and as much less is
    /// given back.
    UndoImport {
        /// Id of the import.
        import: ImportId,
        /// The points that it brought.
        brought: Points,
        /// The points that it had taken away, in spending order. A lot that has expired by
        /// now is left out.
        taken_away: Vec<ImportedLot>,
    },
    /// The order of a referee no longer qualifies. Follows from an event of the referee's
    /// account.
    UndoReferral {
        /// Account of the referee.
        referee: AccountId,
        /// Id of the referee's order.
        order: OrderId,
    },
}

/// The treatment of a refund that exceeds the part of its order that can still be
/// refunded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverRefund {
    /// Reject the refund. The default.
    #[default]
    Reject,
    /// Reduce the refund to the rest. For store plugins, whose refunds have no ids.
    Clamp,
}

impl Command {
    /// The order of this account that the command is about, if any.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::CancelOrder { order, .. }
            | Self::CloseOrder { order, .. }
            | Self::NoteGuest { order, .. }
            | Self::RecordOrder { order, .. }
            | Self::RefundOrder { order, .. } => Some(order),
            Self::AddPoints { .. }
            | Self::CancelRedemption { .. }
            | Self::CatchUp
            | Self::ClaimRedemption { .. }
            | Self::EnterCode { .. }
            | Self::EraseAccount
            | Self::ImportPoints { .. }
            | Self::IssueGift { .. }
            | Self::IssueReferralCode { .. }
            | Self::JoinReferral { .. }
            | Self::PerformAction { .. }
            | Self::RecordPublication { .. }
            | Self::RedeemReward { .. }
            | Self::RefundRedemption { .. }
            | Self::ReleaseRedemption { .. }
            | Self::ReopenAccount { .. }
            | Self::RewardReferral { .. }
            | Self::SetBalance { .. }
            | Self::SetTier(_)
            | Self::SignUp
            | Self::SubtractPoints { .. }
            | Self::UndoClaim { .. }
            | Self::UndoImport { .. }
            | Self::UndoReferral { .. }
            | Self::UseRedemption { .. }
            | Self::VoidRedemption { .. } => None,
        }
    }

    /// The reward to redeem, if the command is a redemption.
    pub fn reward(&self) -> Option<&RewardId> {
        if let Self::RedeemReward { reward, .. } = self { Some(reward) } else { None }
    }

    /// The redemption that the command is about, if any.
    pub fn redemption(&self) -> Option<RedemptionId> {
        if let Self::CancelRedemption { redemption }
        | Self::ClaimRedemption { redemption, .. }
        | Self::IssueGift { redemption, .. }
        | Self::RecordPublication { redemption, .. }
        | Self::RedeemReward { redemption, .. }
        | Self::RefundRedemption { redemption, .. }
        | Self::ReleaseRedemption { redemption, .. }
        | Self::UseRedemption { redemption, .. }
        | Self::VoidRedemption { redemption } = self
        {
            return Some(*redemption);
        }
        None
    }
}
