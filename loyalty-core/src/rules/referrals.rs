//! Referrals: a friend comes, orders, and both get their part; and all of it back.

use std::sync::Arc;

use crate::amount::Points;
use crate::award::AwardReason;
use crate::calendar::Timestamp;
use crate::command::Command;
use crate::event::Event;
use crate::exact::Fraction;
use crate::explain::{EarningStatus, Explanation};
use crate::id::{AccountId, OrderId};
use crate::program::Program;
use crate::referral::{ReferralParty, ReferralRejection, generate_code};
use crate::rejection::Rejection;
use crate::rules::bonus::BonusGrant;
use crate::rules::work::DecisionBuilder;

impl DecisionBuilder<'_> {
    pub(crate) fn issue_referral_code(&mut self, entropy: [u8; 10]) -> Result<(), Rejection> {
        if self.context.program().definition().referrals.is_none() {
            return Err(Rejection::ReferralsDisabled);
        }
        if self.account.activity().referral_code().is_none() {
            let code = Arc::from(generate_code(entropy));
            self.emit(Event::ReferralCodeIssued { code, at: self.context.now });
        }
        Ok(())
    }

    /// The same friend told again is no change.
    pub(crate) fn join_referral(
        &mut self,
        own: &ReferralParty,
        friend: &ReferralParty,
    ) -> Result<(), Rejection> {
        if self.context.program().definition().referrals.is_none() {
            return Err(Rejection::ReferralsDisabled);
        }
        let joined = self.account.activity().referral();
        if joined.is_some_and(|joined| joined.referrer == friend.account) {
            return Ok(());
        }
        let known = joined.is_some() || self.account.progress().first_order().is_some();
        let checked = friend.may_refer(own);
        let checked =
            if known { checked.and(Err(ReferralRejection::ExistingCustomer)) } else { checked };
        checked.map_err(|reason| Rejection::ReferralRejected { reason })?;
        self.emit(Event::ReferralJoined { referrer: friend.account, at: self.context.now });
        Ok(())
    }

    /// Looks whether this order completes the customer's referral, or undoes it.
    pub(crate) fn check_referral(
        &mut self,
        order: &OrderId,
        gate: Timestamp,
        program: &Program,
        worth: &Explanation,
    ) -> Result<(), Rejection> {
        let Some(joined) = self.account.activity().referral().cloned() else {
            return Ok(());
        };
        let (at, by) = (self.context.now, joined.referrer);
        let Some(friend) = self.context.account_id else { return Ok(()) };
        let completes = joined.order.is_none() && is_qualifying(program, worth);
        let undoes = joined.order.as_ref() == Some(order) && !is_qualifying(program, worth);
        let order = order.clone();
        if completes {
            let received = program
                .definition()
                .referrals
                .as_ref()
                .map_or(Points::ZERO, |referrals| referrals.received);
            if received.is_positive() {
                let reason = AwardReason::ReferralReceived { order: order.clone() };
                self.grant(BonusGrant::new(at, received, reason), &self.context.period);
            }
            self.emit(Event::ReferralCompleted {
                referrer: by,
                order: order.clone(),
                gate_at: gate,
                at,
            });
            self.follow_ups
                .push((by, Command::RewardReferral { referee: friend, order, gate_at: gate }));
        } else if undoes {
            self.claw_back_award(AwardReason::ReferralReceived { order: order.clone() })?;
            self.emit(Event::ReferralUndone { referrer: by, order: order.clone(), at });
            self.follow_ups
                .push((by, Command::UndoReferral { referee: friend, order }));
        }
        Ok(())
    }

    /// A friend has ordered: told twice it is one.
    pub(crate) fn reward_referral(&mut self, friend: AccountId, order: &OrderId, gate: Timestamp) {
        let period = self.context.period;
        let Some(referrals) = &period.program.definition().referrals else {
            return;
        };
        let reason = AwardReason::ReferralSent { order: order.clone(), referee: friend };
        if self.account.activity().bonus(&reason).is_some() {
            return;
        }
        let at = self.context.now;
        // Zero points open no lot that could be held, but the bonus is recorded: milestones count referrals.
        let bonus = |points: Points, reason| BonusGrant {
            counts_from: gate,
            hold: referrals.hold.filter(|_| points.is_positive()),
            ..BonusGrant::new(at, points, reason)
        };
        self.grant(bonus(referrals.sent, reason), &period);
        let friends = self.account.activity().referral_count();
        let reached = referrals
            .milestones
            .iter()
            .filter(|milestone| milestone.friends <= friends);
        for milestone in reached {
            let reason = AwardReason::ReferralMilestone { friends: milestone.friends };
            if self.account.activity().bonus(&reason).is_none() {
                self.grant(bonus(milestone.points, reason), &period);
            }
        }
    }

    /// A friend's order is worth nothing any more: what it brought goes back, and milestones with it.
    pub(crate) fn undo_referral(
        &mut self,
        friend: AccountId,
        order: &OrderId,
    ) -> Result<(), Rejection> {
        self.claw_back_award(AwardReason::ReferralSent { order: order.clone(), referee: friend })?;
        let friends = self.account.activity().referral_count();
        let lost: Vec<u32> = self.account.activity().milestones_above(friends).collect();
        for friends in lost {
            self.claw_back_award(AwardReason::ReferralMilestone { friends })?;
        }
        Ok(())
    }
}

/// Whether an order is what a referral waits for.
fn is_qualifying(program: &Program, worth: &Explanation) -> bool {
    let Some(referrals) = &program.definition().referrals else {
        return false;
    };
    let minimum = referrals.minimum_spend.map_or(Fraction::ZERO, Fraction::from_amount);
    worth.status == EarningStatus::Entitled
        && !worth.spend.is_zero()
        && Fraction::from_amount(worth.spend).is_at_least(&minimum)
}
