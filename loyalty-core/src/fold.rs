//! The fold: state is what the journal's events, applied one after the other, make of an
//! empty state.
//!
//! Every match over [`Event`] that changes state is here, one `evolve` for each
//! aggregate. An arm calls the transitions of the state by their names; the fields stay
//! private to it. All folds are total: an event that is not about the state leaves it as
//! it is.

use std::sync::Arc;

use crate::account::{Absorption, Account, Usage};
use crate::event::Event;
use crate::order::{OrderState, RecordedSnapshot};
use crate::redemption::Redemption;

impl Account {
    /// Folds one event of this account's journal. Events about orders alone change
    /// nothing.
    ///
    /// # Example: points are added
    /// ```
    /// use loyalty_core::{Account, Event, LotCredit, LotId, Points};
    /// let mut account = Account::default();
    /// let (points, now) = (Points::from(20), "2026-01-31T10:00:00Z".parse().unwrap());
    /// let lot = LotCredit {
    ///     id: LotId(1), points, earned_at: now, expires_at: None, pending_until: None, is_separate: false,
    /// };
    /// let added =
    ///     Event::PointsAdded { points, lot: Some(lot), reason: Default::default(), at: Some(now) };
    /// account.evolve(&added);
    /// assert_eq!(account.balance(now), points);
    /// ```
    pub fn evolve(&mut self, event: &Event) {
        let was_empty = self.lots().is_empty();
        self.add_pending(event.pending_points());
        self.apply(event);

        // The first points of an empty account start its time to inactivity.
        if was_empty && !self.lots().is_empty() {
            self.touch_activity(event.at());
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm an event")]
    fn apply(&mut self, event: &Event) {
        match event {
            Event::AccountAbsorbed(absorption) => {
                let Absorption { lots, paid, debt, tier, merged_state, at, .. } = &**absorption;
                let moved = event.points().saturating_add(event.pending_points());
                self.absorb(moved, merged_state.as_deref(), *at);
                self.take_over(lots, paid, *debt, tier.as_ref());
                self.record_balance_change(*at);
            }
            Event::AccountErased { points, pending, at } => {
                self.erase(points.saturating_add(*pending), *at);
            }
            Event::AccountMerged { into, points, pending } => {
                self.close(*into, points.saturating_add(*pending));
            }
            Event::AccountReopened { lots, points, pending, tier, merged_state, at, .. } => {
                let moved = points.saturating_add(*pending);
                self.reopen(moved, lots, tier.as_ref(), merged_state.as_deref());
                self.record_balance_change(Some(*at));
            }
            Event::AwardGiven { points, lot, award, at } => {
                self.credit_bonus(*points, lot.as_ref(), award, *at);
                if points.is_zero() {
                    self.touch(Some(*at));
                } else {
                    self.record_activity(Some(*at));
                }
            }
            Event::AwardTakenBack { reason, clawback, at } => {
                self.claw_back(clawback);
                self.undo_bonus(reason, *at);
                if clawback.points().is_zero() {
                    self.touch(Some(*at));
                } else {
                    self.record_balance_change(Some(*at));
                }
            }
            Event::ClaimUndone(undone) => {
                self.release_absorbed(undone);
                self.record_balance_change(Some(undone.at));
            }
            Event::GiftUndone { cause, redemption, is_kept, at, .. } => {
                self.undo_gift(cause, *redemption, *is_kept);
                self.touch(Some(*at));
            }
            Event::OrderCounted { counted, at, .. } => {
                self.add_counts(counted, Some(*at));
                self.touch(Some(*at));
            }
            Event::PointsAdded { points, lot, reason, at } => {
                self.credit_added(*points, lot.as_ref(), reason.import.as_ref());
                if reason.sets_balance {
                    self.record_balance_change(*at);
                } else {
                    self.count_points(*points, *at);
                    self.record_activity(*at);
                }
            }
            Event::PointsAwarded { points, lot, order, calculation, counted, at } => {
                self.credit_order(*points, lot.as_ref(), order);
                if let Some(counted) = counted {
                    self.add_counts(counted, *at);
                }
                self.record_rule_usage(calculation);
                self.record_activity(*at);
            }
            Event::PointsExpired { lot, points, expired_at, inactive, .. } => {
                self.expire(*lot, *points, *expired_at, *inactive);
                self.touch(Some(*expired_at));
            }
            Event::PointsReleased { lot, points, order, into, released_at } => {
                self.release(*lot, *points, into.as_ref(), order.as_ref(), *released_at);
                self.record_balance_change(Some(*released_at));
            }
            Event::PointsSubtracted { lots, reason, at } => {
                self.subtract(lots);
                if reason.sets_balance {
                    self.record_balance_change(*at);
                } else {
                    self.record_activity(*at);
                }
            }
            Event::PointsTakenBack { clawback, counted, at, .. } => {
                self.claw_back(clawback);
                if let Some(counted) = counted {
                    self.add_counts(counted, *at);
                }
                if clawback.points().is_zero() {
                    self.touch(*at);
                } else {
                    self.record_balance_change(*at);
                }
            }
            Event::PublicationRecorded { publication, .. } => self.touch(Some(publication.at)),
            Event::RedemptionCancelled { redemption, returned, at, .. } => {
                self.record_reward_usage(event);
                self.cancel_redemption(*redemption);
                self.return_payment(returned, *at);
            }
            Event::RedemptionExpired { redemption, returned, at, .. } => {
                self.record_reward_usage(event);
                self.close_redemption(*redemption);
                match returned {
                    Some(returned) => self.return_payment(returned, *at),
                    None => self.touch(Some(*at)),
                }
            }
            Event::RedemptionRefunded { returned, at, .. } => {
                self.record_reward_usage(event);
                self.return_payment(returned, *at);
            }
            Event::RedemptionReopened { redemption, at, .. } => {
                self.reopen_redemption(redemption);
                self.touch(Some(*at));
            }
            Event::RedemptionUsed { redemption, payment, at, .. } => {
                self.close_redemption(*redemption);
                match payment {
                    Some(payment) => self.charge(payment, *at),
                    None => self.touch(Some(*at)),
                }
            }
            Event::ReferralCodeIssued { code, at } => {
                self.activity_mut().set_referral_code(code);
                self.touch(Some(*at));
            }
            Event::ReferralCompleted { order, at, .. } => {
                self.activity_mut().set_referral_order(Some(order));
                self.touch(Some(*at));
            }
            Event::ReferralJoined { referrer, at } => {
                self.activity_mut().join_referral(*referrer);
                self.touch(Some(*at));
            }
            Event::ReferralUndone { at, .. } => {
                self.activity_mut().set_referral_order(None);
                self.touch(Some(*at));
            }
            Event::RewardRedeemed { issue } => {
                self.record_reward_usage(event);
                self.open_redemption(issue);
            }
            Event::TierChanged { change } => {
                self.change_tier(change);
                self.touch(Some(change.at));
            }
            Event::TierLapsed { until, at, .. } => {
                self.activity_mut().set_tier_end(Some(*until));
                self.touch(Some(*at));
            }
            Event::TierRetained { at, .. } => {
                self.activity_mut().set_tier_end(None);
                self.touch(Some(*at));
            }
            Event::TierSet { tier, at } => {
                self.set_manual_tier(tier.as_ref());
                self.touch(*at);
            }
            Event::CustomerAdded
            | Event::CustomerUpdated { .. }
            | Event::Discount(_)
            | Event::OrderCancelled { .. }
            | Event::OrderClosed { .. }
            | Event::OrderNamedGuest { .. }
            | Event::OrderPinned { .. }
            | Event::OrderRecorded { .. }
            | Event::OrderRefunded { .. }
            | Event::ProgramPublished { .. } => {}
        }
    }

    /// Counts a redemption for the limits of its reward, or takes it off again.
    fn record_reward_usage(&mut self, event: &Event) {
        if let Some(reward) = event.reward() {
            self.activity_mut()
                .update_reward(reward, |usage| Usage::evolve(usage, event));
        }
    }
}

impl Usage {
    /// Folds an event that counts for a reward's limits: of one customer, or of all
    /// customers of a shop. `None` is no usage yet.
    #[must_use]
    pub fn evolve(usage: Option<Self>, event: &Event) -> Option<Self> {
        let mut usage = usage;
        if let Event::RewardRedeemed { issue } = event
            && issue.cause.is_none()
        {
            usage
                .get_or_insert_with(|| Self::new(issue.day))
                .add(issue.day, issue.points);
        } else if let Event::RedemptionCancelled { counted_usage: Some(counted), .. }
        | Event::RedemptionExpired { counted_usage: Some(counted), .. }
        | Event::RedemptionRefunded { counted_usage: Some(counted), .. } = event
            && let Some(usage) = &mut usage
        {
            usage.release(counted.day, counted.points);
        }
        usage
    }
}

impl OrderState {
    /// Folds one event. Events of other orders, and those of no order, change nothing.
    ///
    /// # Example: the furthest status since the last cancellation counts
    /// ```
    /// use loyalty_core::{Event, OrderId, OrderState, Origin, Status, Timestamp};
    /// let id = OrderId::new("1001").unwrap();
    /// let at = |text: &str| text.parse::<Timestamp>().unwrap();
    /// let report = |status, text| Event::OrderRecorded {
    ///     order: id.clone(), snapshot: None, status, at: at(text), origin: Origin::Shop,
    ///     paid: None, dated: true,
    /// };
    /// let mut order = OrderState::new(id.clone());
    /// order.evolve(&report(Status::Fulfilled, "2026-01-01T00:00:00Z"));
    /// assert_eq!(order.status(), Some(Status::Fulfilled));
    ///
    /// order.evolve(&Event::OrderCancelled { order: id.clone(), at: at("2026-01-02T00:00:00Z") });
    /// assert!(order.is_cancelled());
    ///
    /// // A report after the cancellation reopens the order, from its own status on.
    /// order.evolve(&report(Status::Paid, "2026-01-03T00:00:00Z"));
    /// assert_eq!(order.status(), Some(Status::Paid));
    /// ```
    pub fn evolve(&mut self, event: &Event) {
        if self.id().is_none() || event.order() != self.id() {
            return;
        }

        match event {
            Event::OrderCancelled { at, .. } => self.cancel(*at),
            Event::OrderCounted { counted, .. } => self.add_counts(counted),
            Event::OrderNamedGuest { guest, .. } => self.note_guest(*guest),
            Event::OrderPinned { pin, .. } => self.set_pin(pin),
            Event::OrderRecorded { snapshot, status, at, origin, paid, dated, .. } => {
                if let Some(order) = snapshot {
                    let (order, at) = (Arc::clone(order), *at);
                    let (origin, dated) = (*origin, *dated);
                    self.set_snapshot(RecordedSnapshot { order, at, origin, dated });
                }
                self.record_status(*status, *at);
                if let Some(paid) = paid {
                    self.set_highest_paid(paid);
                }
            }
            Event::OrderRefunded { refund, .. } => self.add_refund(refund),
            Event::PointsAwarded { points, lot, counted, at, .. } => {
                self.post_award(*points, lot.as_ref(), at.unwrap_or_default());
                if let Some(counted) = counted {
                    self.add_counts(counted);
                }
            }
            Event::PointsExpired { points, .. } => self.post_expiry(*points),
            Event::PointsReleased { into, released_at, .. } => {
                self.post_release(into.as_ref(), *released_at);
            }
            Event::PointsTakenBack { clawback, counted, .. } => {
                self.post_clawback(clawback);
                if let Some(counted) = counted {
                    self.add_counts(counted);
                }
            }
            Event::RedemptionUsed { redemption, .. } => self.add_redemption(*redemption),
            Event::AccountAbsorbed(_)
            | Event::AccountErased { .. }
            | Event::AccountMerged { .. }
            | Event::AccountReopened { .. }
            | Event::AwardGiven { .. }
            | Event::AwardTakenBack { .. }
            | Event::ClaimUndone(_)
            | Event::CustomerAdded
            | Event::CustomerUpdated { .. }
            | Event::Discount(_)
            | Event::GiftUndone { .. }
            | Event::OrderClosed { .. }
            | Event::PointsAdded { .. }
            | Event::PointsSubtracted { .. }
            | Event::ProgramPublished { .. }
            | Event::PublicationRecorded { .. }
            | Event::RedemptionCancelled { .. }
            | Event::RedemptionExpired { .. }
            | Event::RedemptionRefunded { .. }
            | Event::RedemptionReopened { .. }
            | Event::ReferralCodeIssued { .. }
            | Event::ReferralCompleted { .. }
            | Event::ReferralJoined { .. }
            | Event::ReferralUndone { .. }
            | Event::RewardRedeemed { .. }
            | Event::TierChanged { .. }
            | Event::TierLapsed { .. }
            | Event::TierRetained { .. }
            | Event::TierSet { .. } => {}
        }
    }
}

impl Redemption {
    /// Folds one event of this redemption. Other kinds of events change nothing.
    pub fn evolve(&mut self, event: &Event) {
        if let Event::RedemptionCancelled { order, at, .. } = event {
            self.cancel(order.as_ref(), *at);
        } else if let Event::RedemptionExpired { returned, at, .. } = event {
            self.expire(returned.is_some(), *at);
        } else if let Event::RedemptionRefunded { returned, counted_usage, .. } = event {
            self.refund(returned.points(), counted_usage.is_some());
        } else if let Event::RedemptionReopened { redemption, .. } = event {
            *self = (**redemption).clone();
        } else if let Event::RedemptionUsed { order, payment, at, .. } = event {
            self.mark_used(order.as_ref(), payment.as_deref(), *at);
        } else if let Event::PublicationRecorded { publication, .. } = event {
            self.set_publication(publication);
        }
    }
}
