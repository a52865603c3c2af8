//! What is left of a customer who is erased: an empty account, and orders that are facts.

use std::sync::Arc;

use crate::command::Command;
use crate::event::Event;
use crate::redemption::{RedemptionReturn, RedemptionState};
use crate::rejection::Rejection;
use crate::rules::work::DecisionBuilder;

impl DecisionBuilder<'_> {
    /// Removes all points of the account. What it earned and spent stays counted.
    pub(crate) fn erase_account(&mut self) {
        let at = self.context.now;
        let (points, pending) = (self.account.balance(at), self.account.pending_lots().points());
        self.emit(Event::AccountErased { points, pending, at });
    }

    /// Cancels an unused redemption without returning its points.
    pub(crate) fn void_redemption(&mut self) -> Result<(), Rejection> {
        let redemption = self.redemption.clone().ok_or(Rejection::UnknownRedemption)?;
        if *redemption.state() == RedemptionState::Issued {
            self.emit(Event::RedemptionCancelled {
                redemption: redemption.issue().id,
                order: None,
                returned: Arc::new(RedemptionReturn::default()),
                counted_usage: None,
                at: self.context.now,
            });
        }
        Ok(())
    }

    /// Decides a command for an erased customer. Reports of orders are recorded and move no
    /// points; what follows from events of others has no effect.
    ///
    /// # Errors
    /// [`Rejection::AccountErased`] for everything else.
    pub(crate) fn decide_for_erased(&mut self, command: &Command) -> Result<(), Rejection> {
        match command {
            Command::CancelOrder { order, at } => self.cancel_order(order, *at),
            Command::CloseOrder { order, at } => {
                self.close_order(order, *at);
                Ok(())
            }
            Command::RecordOrder { order, snapshot, status, at, origin } => {
                self.record_order(order, snapshot, *status, *at, *origin)
            }
            Command::RefundOrder { order, refund, over_refund, at } => {
                self.refund_order(order, refund, *over_refund, *at)
            }
            Command::CatchUp
            | Command::ClaimRedemption { .. }
            | Command::EraseAccount
            | Command::IssueGift { .. }
            | Command::NoteGuest { .. }
            | Command::RecordPublication { .. }
            | Command::RefundRedemption { .. }
            | Command::ReleaseRedemption { .. }
            | Command::RewardReferral { .. }
            | Command::UndoImport { .. }
            | Command::UndoReferral { .. }
            | Command::VoidRedemption { .. } => Ok(()),
            Command::AddPoints { .. }
            | Command::CancelRedemption { .. }
            | Command::EnterCode { .. }
            | Command::ImportPoints { .. }
            | Command::IssueReferralCode { .. }
            | Command::JoinReferral { .. }
            | Command::PerformAction { .. }
            | Command::RedeemReward { .. }
            | Command::ReopenAccount { .. }
            | Command::SetBalance { .. }
            | Command::SetTier(_)
            | Command::SignUp
            | Command::SubtractPoints { .. }
            | Command::UndoClaim { .. }
            | Command::UseRedemption { .. } => Err(Rejection::AccountErased),
        }
    }
}
