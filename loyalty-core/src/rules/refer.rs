//! Referrals: a friend comes, orders, and both get their part; and all of it back.

use std::sync::Arc;

use crate::amount::Points;
use crate::award::Reason;
use crate::calendar::Timestamp;
use crate::command::Command;
use crate::decide::Work;
use crate::event::Event;
use crate::exact::Fraction;
use crate::explain::{Explanation, Standing};
use crate::id::{AccountId, OrderId};
use crate::program::Program;
use crate::referral::{Party, ReferralRefusal, code_of};
use crate::rejection::Rejection;
use crate::rules::due::Gift;
use crate::rules::take;

impl Work<'_> {
    pub(crate) fn issue_referral_code(&mut self, entropy: [u8; 10]) -> Result<(), Rejection> {
        if self.context.program.1.parts().referrals.is_none() {
            return Err(Rejection::ReferralsOff);
        }
        if self.account.deeds().referral_code().is_none() {
            let code = Arc::from(code_of(entropy));
            self.emit(Event::ReferralCodeIssued { code, at: self.context.now });
        }
        Ok(())
    }

    /// The same friend told again is no change.
    pub(crate) fn join_referral(&mut self, own: &Party, friend: &Party) -> Result<(), Rejection> {
        if self.context.program.1.parts().referrals.is_none() {
            return Err(Rejection::ReferralsOff);
        }
        let joined = self.account.deeds().joined();
        if joined.is_some_and(|joined| joined.by == friend.account) {
            return Ok(());
        }
        let known = joined.is_some() || self.account.progress().first_order().is_some();
        let checked = friend.can_bring(own);
        let checked =
            if known { checked.and(Err(ReferralRefusal::ExistingCustomer)) } else { checked };
        checked.map_err(|reason| Rejection::ReferralRefused { reason })?;
        self.emit(Event::ReferralJoined { by: friend.account, at: self.context.now });
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
        let Some(joined) = self.account.deeds().joined().cloned() else {
            return Ok(());
        };
        let (at, by) = (self.context.now, joined.by);
        let Some(friend) = self.context.account_id else { return Ok(()) };
        let completes = joined.order.is_none() && qualifies(program, worth);
        let undoes = joined.order.as_ref() == Some(order) && !qualifies(program, worth);
        let order = order.clone();
        if completes {
            let received = program
                .parts()
                .referrals
                .as_ref()
                .map_or(Points::ZERO, |referrals| referrals.received);
            if received.is_positive() {
                let term = self.context.term();
                self.give(
                    at,
                    received,
                    None,
                    Reason::ReferralReceived { order: order.clone() },
                    &term,
                );
            }
            self.emit(Event::ReferralCompleted { by, order: order.clone(), gate, at });
            self.follow_ups
                .push((by, Command::RewardReferral { friend, order, gate }));
        } else if undoes {
            self.take_award_back(Reason::ReferralReceived { order: order.clone() })?;
            self.emit(Event::ReferralUndone { by, order: order.clone(), at });
            self.follow_ups.push((by, Command::UndoReferral { friend, order }));
        }
        Ok(())
    }

    /// A friend has ordered: told twice it is one.
    pub(crate) fn reward_referral(&mut self, friend: AccountId, order: &OrderId, gate: Timestamp) {
        let term = self.context.term();
        let Some(referrals) = &term.program.parts().referrals else { return };
        let reason = Reason::ReferralSent { order: order.clone(), friend };
        if self.account.deeds().given(&reason).is_some() {
            return;
        }
        let at = self.context.now;
        // Nothing is no lot that could be pending; but it is noted, since milestones count friends.
        let gift = |points: Points, reason| {
            let hold = referrals.hold.filter(|_| points.is_positive());
            Gift { at, gate, points, wanted: points, hold, reason, cut: None }
        };
        self.give_within(gift(referrals.sent, reason), &term);
        let friends = self.account.deeds().friends();
        let reached = referrals
            .milestones
            .iter()
            .filter(|milestone| milestone.friends <= friends);
        for milestone in reached {
            let reason = Reason::ReferralMilestone { friends: milestone.friends };
            if self.account.deeds().given(&reason).is_none() {
                self.give_within(gift(milestone.points, reason), &term);
            }
        }
    }

    /// A friend's order is worth nothing any more: what it brought goes back, and milestones with it.
    pub(crate) fn undo_referral(
        &mut self,
        friend: AccountId,
        order: &OrderId,
    ) -> Result<(), Rejection> {
        self.take_award_back(Reason::ReferralSent { order: order.clone(), friend })?;
        let friends = self.account.deeds().friends();
        let lost: Vec<u32> = self.account.deeds().milestones_above(friends).collect();
        for friends in lost {
            self.take_award_back(Reason::ReferralMilestone { friends })?;
        }
        Ok(())
    }

    /// Takes back what was given for this reason, if it was and has not been yet. What ran out of it is
    /// gone already.
    pub(crate) fn take_award_back(&mut self, reason: Reason) -> Result<(), Rejection> {
        let Some(given) = self.account.deeds().given(&reason).copied() else {
            return Ok(());
        };
        let now = self.context.now;
        let policy = self.context.program.1.parts().debt;
        let taking = take::take_given(&self.account, now, &given, policy);
        let after = self.account.balance(now).checked_sub(taking.from_balance());
        after.ok_or(Rejection::PointsOutOfRange)?;
        self.emit(Event::AwardTakenBack { reason, taking, at: now });
        Ok(())
    }
}

/// Whether an order is what a referral waits for.
fn qualifies(program: &Program, worth: &Explanation) -> bool {
    let Some(referrals) = &program.parts().referrals else {
        return false;
    };
    let minimum = referrals.minimum_spend.map_or(Fraction::ZERO, Fraction::amount);
    worth.standing == Standing::Entitled
        && !worth.spend.is_zero()
        && Fraction::amount(worth.spend).is_at_least(&minimum)
}
