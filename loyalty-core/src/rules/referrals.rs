//! Referrals: the referee joins, orders, and both sides get a bonus; and all of it
//! undone.
//!
//! The two accounts are decided one after the other. What the referee's order means for
//! the referrer is a follow-up command for the referrer's account.

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
    /// Issues the customer's referral code. One that was issued before stays.
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

    /// Links the customer to a referrer. The same referrer again changes nothing.
    pub(crate) fn join_referral(
        &mut self,
        referee: &ReferralParty,
        referrer: &ReferralParty,
    ) -> Result<(), Rejection> {
        if self.context.program().definition().referrals.is_none() {
            return Err(Rejection::ReferralsDisabled);
        }
        let link = self.account.activity().referral();
        if link.is_some_and(|link| link.referrer == referrer.account) {
            return Ok(());
        }

        let is_customer = link.is_some() || self.account.progress().first_order().is_some();
        let allowed = referrer.may_refer(referee).and(if is_customer {
            Err(ReferralRejection::ExistingCustomer)
        } else {
            Ok(())
        });
        allowed.map_err(|reason| Rejection::ReferralRejected { reason })?;

        self.emit(Event::ReferralJoined { referrer: referrer.account, at: self.context.now });
        Ok(())
    }

    /// Completes the customer's referral if this is the first qualifying order, or undoes
    /// it if the order that completed it no longer qualifies.
    pub(crate) fn check_referral(
        &mut self,
        order: &OrderId,
        gate_at: Timestamp,
        program: &Program,
        explanation: &Explanation,
    ) -> Result<(), Rejection> {
        let Some(link) = self.account.activity().referral().cloned() else {
            return Ok(());
        };
        let Some(referee) = self.context.account_id else { return Ok(()) };

        let is_qualifying = is_qualifying(program, explanation);
        if link.order.is_none() && is_qualifying {
            self.complete_referral(link.referrer, referee, order, gate_at, program);
        } else if link.order.as_ref() == Some(order) && !is_qualifying {
            let (referrer, order, at) = (link.referrer, order.clone(), self.context.now);
            let cause = AwardReason::ReferralReceived { order: order.clone() };
            self.undo_gift(&cause);
            self.claw_back_award(cause)?;
            self.emit(Event::ReferralUndone { referrer, order: order.clone(), at });
            self.follow_ups
                .push((referrer, Command::UndoReferral { referee, order }));
        }
        Ok(())
    }

    fn complete_referral(
        &mut self,
        referrer: AccountId,
        referee: AccountId,
        order: &OrderId,
        gate_at: Timestamp,
        program: &Program,
    ) {
        let (order, at) = (order.clone(), self.context.now);
        let referrals = program.definition().referrals.as_ref();
        let received = referrals.map_or(Points::ZERO, |referrals| referrals.received);
        let gift = referrals.and_then(|referrals| referrals.received_gift.as_ref());
        if received.is_positive() || gift.is_some() {
            let reason = AwardReason::ReferralReceived { order: order.clone() };
            let bonus = BonusGrant::new(at, received, reason);
            self.grant(BonusGrant { gift, ..bonus }, &self.context.period);
        }

        self.emit(Event::ReferralCompleted { referrer, order: order.clone(), gate_at, at });
        self.follow_ups
            .push((referrer, Command::RewardReferral { referee, order, gate_at }));
    }

    /// Grants the referrer's bonus for a referee's order, and milestones that it reaches.
    /// The same order again changes nothing.
    pub(crate) fn reward_referral(
        &mut self,
        referee: AccountId,
        order: &OrderId,
        gate_at: Timestamp,
    ) {
        let (period, at) = (self.context.period, self.context.now);
        let Some(referrals) = &period.program.definition().referrals else {
            return;
        };
        let reason = AwardReason::ReferralSent { order: order.clone(), referee };
        if self.account.activity().bonus(&reason).is_some() {
            return;
        }

        let bonus = |points: Points, gift, reason| BonusGrant {
            counts_from: gate_at,
            hold: referrals.hold,
            gift,
            ..BonusGrant::new(at, points, reason)
        };
        self.grant(bonus(referrals.sent, referrals.sent_gift.as_ref(), reason), &period);

        let count = self.account.activity().referral_count();
        for milestone in &referrals.milestones {
            let reason = AwardReason::ReferralMilestone { friends: milestone.friends };
            if milestone.friends <= count && self.account.activity().bonus(&reason).is_none() {
                self.grant(bonus(milestone.points, milestone.gift.as_ref(), reason), &period);
            }
        }
    }

    /// Claws back the referrer's bonus for a referee's order, and milestones that are no
    /// longer reached.
    pub(crate) fn undo_referral(
        &mut self,
        referee: AccountId,
        order: &OrderId,
    ) -> Result<(), Rejection> {
        let cause = AwardReason::ReferralSent { order: order.clone(), referee };
        self.undo_gift(&cause);
        self.claw_back_award(cause)?;

        let count = self.account.activity().referral_count();
        let lost: Vec<u32> = self.account.activity().milestones_above(count).collect();
        for friends in lost {
            let cause = AwardReason::ReferralMilestone { friends };
            self.undo_gift(&cause);
            self.claw_back_award(cause)?;
        }
        Ok(())
    }
}

/// Returns true if an order completes a referral: it earns, and its spend reaches the
/// minimum.
fn is_qualifying(program: &Program, explanation: &Explanation) -> bool {
    let Some(referrals) = &program.definition().referrals else {
        return false;
    };
    let minimum = referrals.minimum_spend.map_or(Fraction::ZERO, Fraction::from_amount);
    explanation.status == EarningStatus::Entitled
        && !explanation.spend.is_zero()
        && Fraction::from_amount(explanation.spend).is_at_least(&minimum)
}
