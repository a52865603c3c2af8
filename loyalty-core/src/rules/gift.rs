//! Gifts: rewards that are given for a cause, their redemptions, and the end of both where the
//! cause is undone.
//!
//! A gift is given in two steps. The bonus names it, which needs nothing but the rules: it can
//! be due with time, in a read or in a dry run. Then [`Command::IssueGift`] issues its
//! redemption, with a number and a code that only a store has.
//!
//! [`Command::IssueGift`]: crate::Command::IssueGift

use std::sync::Arc;

use crate::account::{Account, Gift, GiftState};
use crate::amount::Points;
use crate::award::{AwardReason, AwardedGift};
use crate::calendar::Timestamp;
use crate::code::Code;
use crate::context::{Context, ProgramPeriod};
use crate::event::Event;
use crate::id::RedemptionId;
use crate::program::{
    ActionKind, ActionRule, GiftPolicy, GiftRule, Program, Reward, RewardPricing,
};
use crate::redemption::{Issuance, RedemptionReturn};
use crate::rejection::Rejection;
use crate::rules::expiry;
use crate::rules::work::DecisionBuilder;

/// Returns true if a redemption of the reward from an instant on will not fail: it would be due
/// for ever.
fn is_issuable(reward: &Reward, context: &Context<'_>, starts_at: Timestamp) -> bool {
    let zone = context.zone;
    let mut valid_for = reward.valid_for.iter();
    reward.fits_currency(context.minor_digits)
        && zone.local(starts_at).is_ok()
        && valid_for.all(|valid_for| zone.after(starts_at, *valid_for).is_ok())
}

/// Returns true if this is a goal and the lifetime counts reach it.
pub(super) fn is_goal_reached(account: &Account, kind: &ActionKind) -> bool {
    let lifetime = account.progress().lifetime();
    match kind {
        ActionKind::GoalOrders(count) => lifetime.orders >= i64::from(*count),
        ActionKind::GoalSpend(amount) => lifetime.spend >= amount.ten_thousandths(),
        ActionKind::Anniversary
        | ActionKind::Birthday { .. }
        | ActionKind::Code(_)
        | ActionKind::Codes(_)
        | ActionKind::Content
        | ActionKind::Custom
        | ActionKind::NewSubscription
        | ActionKind::Review
        | ActionKind::SignUp
        | ActionKind::Social => false,
    }
}

/// Returns true if the gift of a goal that is reached at `at` was taken back, or kept, when the
/// goal was missed before.
pub(super) fn comes_again(
    account: &Account,
    context: &Context<'_>,
    (goal, program): (&ActionRule, &Program),
    at: Timestamp,
) -> bool {
    let Some(reward) = goal.gift.as_ref().and_then(|gift| program.reward(&gift.reward)) else {
        return false;
    };
    let cause = AwardReason::Goal { action: goal.id.clone() };
    let last = account.activity().gifts().last_of(&cause);
    let starts_at = expiry::pending_until(goal.hold, context.zone, at, at);
    last.is_some_and(Gift::is_undone)
        && starts_at.is_ok_and(|until| is_issuable(reward, context, until.unwrap_or(at)))
}

impl DecisionBuilder<'_> {
    /// The gift that a bonus of an instant has. `None` if the customer has it already, or if it
    /// cannot be issued in the shop's currency.
    pub(crate) fn award_gift(
        &self,
        gift: &GiftRule,
        cause: &AwardReason,
        (at, pending_until): (Timestamp, Option<Timestamp>),
        is_repeatable: bool,
        period: &ProgramPeriod<'_>,
    ) -> Option<AwardedGift> {
        let last = self.account.activity().gifts().last_of(cause);
        let was_kept = last.is_some_and(|last| matches!(last.state, GiftState::Kept(_)));
        let has_one = last.is_some_and(|last| !last.is_undone()) && cause.has_reversible_gift();
        if has_one && !is_repeatable {
            return None;
        }

        let reward = period.program.reward(&gift.reward)?;
        is_issuable(reward, self.context, pending_until.unwrap_or(at)).then(|| AwardedGift {
            reward: gift.reward.clone(),
            name: Arc::from(reward.name.as_str()),
            when_undone: gift.when_undone,
            pending_until,
            was_kept,
        })
    }

    /// Issues the redemption of the first gift that waits for one.
    ///
    /// The context's pinned program is that of the gift.
    ///
    /// # Errors
    /// [`Rejection::UnknownRedemption`] if none waits, [`Rejection::UnknownReward`] if the
    /// program has no such reward, [`Rejection::RedemptionNotOpen`] if the id is in use.
    pub(crate) fn issue_gift(
        &mut self,
        id: RedemptionId,
        entropy: [u8; 16],
    ) -> Result<(), Rejection> {
        if let Some(known) = &self.redemption {
            return Err(Rejection::RedemptionNotOpen { state: known.state().name() });
        }
        let (context, gifts) = (self.context, self.account.activity().gifts());
        let gift = gifts.first_due(context.now).cloned();
        let gift = gift.ok_or(Rejection::UnknownRedemption)?;
        let program = context.pinned_program.unwrap_or(context.program());
        let unknown = || Rejection::UnknownReward { reward: gift.reward.clone() };
        let reward = program.reward(&gift.reward).ok_or_else(unknown)?;
        let RewardPricing::Fixed { benefit, .. } = &reward.offer else {
            return Err(unknown());
        };

        let (zone, at) = (context.zone, gift.due_at);
        let ends_at = reward.valid_for.map(|period| zone.after(at, period)).transpose()?;
        let code = benefit
            .has_code()
            .then(|| Code::generate(&reward.code_prefix, entropy))
            .transpose();
        let terms = &program.definition().redemption;
        let issue = Issuance {
            id,
            previous: self.account.last_redemption(),
            reward: reward.id.clone(),
            name: Arc::from(reward.name.as_str()),
            program: gift.program,
            points: Points::ZERO,
            parts: Vec::new(),
            benefit: benefit.clone(),
            // The program's validation has checked the prefix.
            code: code.map_err(|_| Rejection::OutOfRange)?,
            at,
            day: zone.local(at)?.date(),
            ends_at,
            points_back_when_expired: false,
            order_cancelled: terms.order_cancelled,
            order_refunded: terms.order_refunded,
            maximum_share: reward.share_of_order(terms),
            grace: terms.grace,
            cause: Some(gift.cause),
        };
        self.emit(Event::RewardRedeemed { issue: Arc::new(issue) });
        Ok(())
    }

    /// Undoes the gift for a cause, as the program was when it was given: it is taken back
    /// unless it was used or has ended.
    pub(crate) fn undo_gift(&mut self, cause: &AwardReason) {
        let gift = self.account.activity().gifts().last_of(cause).cloned();
        let Some(Gift { reward, when_undone: GiftPolicy::TakeBack, state, .. }) = gift else {
            return;
        };

        let at = self.context.now;
        let (redemption, is_kept) = match state {
            GiftState::Pending => (None, false),
            GiftState::Open(id) => (Some(id), false),
            GiftState::Closed(id) => (Some(id), true),
            GiftState::Kept(_) | GiftState::TakenBack(_) => return,
        };
        if let (Some(redemption), false) = (redemption, is_kept) {
            self.emit(Event::RedemptionCancelled {
                redemption,
                order: None,
                returned: Arc::new(RedemptionReturn::default()),
                counted_usage: None,
                at,
            });
        }
        let cause = cause.clone();
        self.emit(Event::GiftUndone { cause, reward, redemption, is_kept, at });
    }

    /// Undoes the gifts of goals that facts no longer reach.
    pub(crate) fn recheck_goals(&mut self) {
        let program = self.context.program();
        for action in &program.definition().actions {
            let is_goal =
                matches!(action.kind, ActionKind::GoalOrders(_) | ActionKind::GoalSpend(_));
            if is_goal && !is_goal_reached(&self.account, &action.kind) {
                self.undo_gift(&AwardReason::Goal { action: action.id.clone() });
            }
        }
    }
}
