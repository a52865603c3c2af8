//! The state of a customer's account: a compact fold of its journal.

mod activity;
mod inactivity;
mod lot;
mod lots;
mod open_redemptions;
mod progress;
mod segments;
mod vlq;

use std::sync::Arc;

use crate::amount::Points;
use crate::award::AwardReason;
use crate::calendar::Timestamp;
use crate::event::{Clawback, CountsDelta, Event, LotCredit, ManualTier, MergedState};
use crate::explain::Calculation;
use crate::id::{AccountId, LotId, OrderId, RedemptionId, TierId};
use crate::redemption::Redemption;
use crate::tier::{EarnedTier, TierChange};

pub use activity::{AccountActivity, Bonus, ReferralLink, Usage, UsageCount};
pub use inactivity::InactivityExpirations;
pub use lot::Lot;
pub use lots::Lots;
pub use open_redemptions::OpenRedemptions;
pub use progress::{Counts, Progress};
pub use segments::{AccountHeader, AccountSegment, AccountSegmentKey, AccountSegments};

/// A customer's points: the lots that can be spent, those that are pending, or the debt where more was
/// taken than there was; and what tiers, limits and referrals need to know.
///
/// A copy costs nearly nothing, however many lots there are: copies share what neither has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Account {
    /// In spending order; none is empty; all are empty while there is debt.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Lots::is_empty"))]
    lots: Lots,
    /// Held back: visible, not to be spent.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Lots::is_empty"))]
    pending: Lots,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    debt: Points,
    lots_opened: u32,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "InactivityExpirations::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "ran_out"))]
    inactivity_expirations: InactivityExpirations,
    totals: Totals,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "tier"))]
    manual_tier: Option<ManualTier>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    merged_into: Option<AccountId>,
    /// The last instant at which anything happened.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "at"))]
    last_event_at: Option<Timestamp>,
    /// The last change of the balance, other than by running out of time.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "changed_at"))]
    balance_changed_at: Option<Timestamp>,
    /// The last time that points were earned or redeemed.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "dealt_at"))]
    last_activity_at: Option<Timestamp>,
    /// The last time that the balance ended by inactivity.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "ended_idle_at"))]
    inactivity_expired_at: Option<Timestamp>,
    /// The newest redemption; each knows the one before it. Stays when the account is merged into another.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    last_redemption: Option<RedemptionId>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "OpenRedemptions::is_empty"))]
    redemptions: OpenRedemptions,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Progress::is_empty"))]
    progress: Progress,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_default"))]
    #[cfg_attr(feature = "json", serde(rename = "deeds"))]
    activity: Arc<AccountActivity>,
}

#[cfg(feature = "json")]
fn is_default(deeds: &Arc<AccountActivity>) -> bool {
    **deeds == AccountActivity::default()
}

/// What has gone in and out of an account since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Totals {
    /// Awarded by orders.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub awarded: Points,
    /// Added by the shop.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub added: Points,
    /// Taken back for refunds and cancellations.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "taken"))]
    pub clawed_back: Points,
    /// Subtracted by the shop.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub subtracted: Points,
    /// Expired unspent.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub expired: Points,
    /// Brought by merged accounts, less what went with this one into another.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub merged: Points,
    /// Given for actions, tiers and referrals.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "given"))]
    pub granted: Points,
    /// Paid for redemptions.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub redeemed: Points,
    /// Come back from redemptions.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub returned: Points,
    /// What of all that is pending now.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub pending: Points,
}

impl Totals {
    /// What the balance must be: all that came in less all that went out or is still pending.
    pub fn balance(&self) -> Points {
        let sum =
            |parts: [Points; 5]| parts.map(Points::get).into_iter().fold(0, i64::saturating_add);
        let came = sum([self.awarded, self.added, self.merged, self.granted, self.returned]);
        let went =
            sum([self.clawed_back, self.subtracted, self.expired, self.redeemed, self.pending]);
        let count = came.saturating_sub(went);
        Points::new(count).unwrap_or(if count > 0 { Points::MAX } else { Points::MIN })
    }
}

impl Account {
    /// The balance as of `now`: what can be spent, less what is owed. Right without any job having
    /// written down which lots have ended or were released; what else time does to a balance (inactivity,
    /// birthdays) is in [`as_of`](crate::as_of).
    pub fn balance(&self, now: Timestamp) -> Points {
        let usable = self.lots.points().saturating_sub(self.lots.points_ended_by(now));
        let released = if self.pending.first().is_some_and(|lot| !lot.is_pending(now)) {
            let released = self.pending.iter().take_while(|lot| !lot.is_pending(now));
            let usable = released.filter(|lot| lot.is_usable(now));
            usable.fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points))
        } else {
            Points::ZERO
        };
        usable.saturating_add(released).saturating_sub(self.debt)
    }

    /// What is pending at `now`: earned, visible, and not to be spent yet.
    pub fn pending(&self, now: Timestamp) -> Points {
        let held = self.pending.ending_after(now).filter(|lot| lot.is_usable(now));
        held.fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points))
    }

    /// What can be spent at `now`: the balance, or nothing where there is debt.
    pub fn available(&self, now: Timestamp) -> Points {
        self.balance(now).max(Points::ZERO)
    }

    /// The lots usable at `now`, in spending order.
    pub fn usable_lots(&self, now: Timestamp) -> impl Iterator<Item = &Lot> {
        self.lots.ending_after(now)
    }

    /// All lots that are neither pending nor written off yet, in spending order.
    pub fn lots(&self) -> &Lots {
        &self.lots
    }

    /// All lots that are pending, by their release.
    pub fn pending_lots(&self) -> &Lots {
        &self.pending
    }

    /// What ran out of the lot without an end.
    pub(crate) fn inactivity_expirations(&self) -> &InactivityExpirations {
        &self.inactivity_expirations
    }

    /// What is owed; then there is nothing to spend.
    pub fn debt(&self) -> Points {
        self.debt
    }

    /// What has gone in and out.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The tier set by hand, while it holds.
    pub fn manual_tier(&self, now: Timestamp) -> Option<&ManualTier> {
        self.manual_tier
            .as_ref()
            .filter(|tier| tier.until.is_none_or(|until| now < until))
    }

    /// The tier that was earned, whether or not one set by hand holds in its place.
    pub fn earned_tier(&self) -> Option<&EarnedTier> {
        self.activity.earned_tier.as_ref()
    }

    /// The tier that holds at `now`: the one set by hand, else the earned one.
    pub fn current_tier_id(&self, now: Timestamp) -> Option<&TierId> {
        self.manual_tier(now)
            .map(|tier| &tier.id)
            .or(self.earned_tier().map(|tier| &tier.id))
    }

    /// The last change of the earned tier.
    pub fn tier_change(&self) -> Option<&TierChange> {
        self.activity.tier_change.as_ref()
    }

    /// The account that this one was merged into.
    pub fn merged_into(&self) -> Option<AccountId> {
        self.merged_into
    }

    /// The last instant at which anything happened; none where its journal is of before events had one.
    pub fn last_event_at(&self) -> Option<Timestamp> {
        self.last_event_at
    }

    /// The last change of the balance, other than by running out of time.
    pub fn balance_changed_at(&self) -> Option<Timestamp> {
        self.balance_changed_at
    }

    /// The last time that points were earned or redeemed.
    pub fn last_activity_at(&self) -> Option<Timestamp> {
        self.last_activity_at
    }

    /// The last time that the balance ended by inactivity.
    pub fn inactivity_expired_at(&self) -> Option<Timestamp> {
        self.inactivity_expired_at
    }

    /// The newest redemption that was issued to this account, while it was one. Each knows the one before it.
    pub fn last_redemption(&self) -> Option<RedemptionId> {
        self.last_redemption
    }

    /// Redemptions that can still be used, and will end.
    pub fn redemptions(&self) -> &OpenRedemptions {
        &self.redemptions
    }

    /// What counts for tiers and goals.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How often actions paid, and what is known of referrals.
    pub fn activity(&self) -> &AccountActivity {
        &self.activity
    }

    /// The id of the next lot to be opened.
    pub(crate) fn next_lot_id(&self) -> LotId {
        LotId(self.lots_opened.saturating_add(1))
    }

    /// What a merge takes along.
    pub(crate) fn merged_state(&self) -> MergedState {
        MergedState {
            progress: self.progress.clone(),
            activity: (*self.activity).clone(),
            redemptions: self.redemptions.clone(),
            inactivity_expirations: self.inactivity_expirations.clone(),
            last_activity_at: self.last_activity_at,
            ..MergedState::default()
        }
    }

    /// Whether the books of this account add up: the parts are those of the balance, nothing is
    /// negative, nobody who owes has something to spend, and what has no end and no order is in one lot.
    pub fn is_consistent(&self) -> bool {
        let (held, pending) = (self.lots.points(), self.pending.points());
        let alike = self
            .lots
            .iter()
            .filter(|lot| lot.expires_at.is_none() && lot.order.is_none())
            .count();
        let whole = self
            .lots
            .iter()
            .chain(self.pending.iter())
            .all(|lot| lot.points.is_positive());
        let apart = self.lots.iter().all(|lot| lot.pending_until.is_none())
            && self.pending.iter().all(|lot| lot.pending_until.is_some());
        let one_side = self.debt.is_zero() || (self.debt.is_positive() && held.is_zero());
        let adds_up = held.saturating_sub(self.debt) == self.totals.balance()
            && pending == self.totals.pending;
        whole && apart && alike <= 1 && one_side && adds_up
    }

    /// Folds one event. Total: events about orders alone change nothing here.
    pub fn evolve(&mut self, event: &Event) {
        let was_empty = self.lots.is_empty();
        self.totals.pending = self.totals.pending.saturating_add(event.pending_points());
        self.fold(event);
        // Whatever fills an empty account starts its time.
        if was_empty && !self.lots.is_empty() {
            self.last_activity_at = self.last_activity_at.max(event.at());
        }
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::PointsAwarded { points, lot, order, calculation: reckoning, counted, at } => {
                self.totals.awarded = self.totals.awarded.saturating_add(*points);
                self.credit(*points, lot.as_ref(), Some(order));
                self.add_counts(counted.as_ref(), *at);
                self.record_rule_usage(reckoning);
                self.record_change(*at, true);
            }
            Event::PointsAdded { points, lot, reason: grounds, at } => {
                self.totals.added = self.totals.added.saturating_add(*points);
                self.credit(*points, lot.as_ref(), None);
                if let (false, Some(at)) = (grounds.sets_balance, at) {
                    self.progress.add(*at, Counts::points(*points), Some(*at));
                }
                self.record_change(*at, !grounds.sets_balance);
            }
            Event::AwardGiven { points, lot, award, at } => {
                self.totals.granted = self.totals.granted.saturating_add(*points);
                self.credit(*points, lot.as_ref(), None);
                if award.counts_for_tiers() {
                    self.progress.add(*at, Counts::points(*points), Some(*at));
                }
                if award.reason.is_reversible()
                    && lot.as_ref().is_some_and(LotCredit::is_non_expiring)
                {
                    self.inactivity_expirations.mark_reclaimable();
                }
                Arc::make_mut(&mut self.activity).record_bonus(award, *points, lot.as_ref(), *at);
                self.record_change_of(*points, Some(*at), true);
            }
            Event::AwardTakenBack { reason, clawback: taking, at } => {
                self.apply_award_clawback(reason, taking, *at)
            }
            Event::PointsTakenBack { clawback: taking, counted, at, .. } => {
                self.apply_clawback(taking);
                self.add_counts(counted.as_ref(), *at);
                self.record_change_of(taking.points(), *at, false);
            }
            Event::PointsSubtracted { lots, reason: grounds, at } => {
                self.totals.subtracted = self.totals.subtracted.saturating_sub(event.points());
                self.remove_from_lots(lots);
                self.record_change(*at, !grounds.sets_balance);
            }
            Event::PointsExpired { lot, points, expired_at, inactive, .. } => {
                if *inactive {
                    self.inactivity_expired_at = Some(*expired_at);
                }
                self.totals.expired = self.totals.expired.saturating_add(*points);
                if self.lots.non_expiring_lot().is_some_and(|lasting| lasting.id == *lot) {
                    self.inactivity_expirations.record(*expired_at, *points);
                } else if self.activity.has_bonus_in(*lot) {
                    Arc::make_mut(&mut self.activity).expire(*lot, *points);
                }
                self.remove_from_lots(&[(*lot, *points)]);
                self.last_event_at = self.last_event_at.max(Some(*expired_at));
            }
            Event::PointsReleased { lot, points, order, into, released_at } => {
                self.remove_from_lots(&[(*lot, *points)]);
                self.credit(*points, into.as_ref(), order.as_ref());
                self.relocate_bonus(*lot, into.as_ref(), *released_at);
                self.record_change(Some(*released_at), false);
            }
            Event::OrderCounted { counted, at, .. } => {
                self.add_counts(Some(counted), Some(*at));
                self.last_event_at = self.last_event_at.max(Some(*at));
            }
            Event::TierSet { tier, at } => {
                self.manual_tier.clone_from(tier);
                self.last_event_at = self.last_event_at.max(*at);
            }
            Event::AccountMerged { into, points, pending } => {
                self.clear(points.saturating_add(*pending));
                self.merged_into = Some(*into);
            }
            Event::AccountAbsorbed {
                lots,
                paid,
                debt,
                points,
                tier,
                merged_state: brought,
                at,
                ..
            } => {
                self.absorb(event, *points, brought.as_deref());
                self.remove_from_lots(paid);
                self.debt = *debt;
                for lot in lots {
                    self.add_lot(lot.clone());
                }
                self.manual_tier = tier.clone().or_else(|| self.manual_tier.take());
                self.record_change(*at, false);
            }
            Event::RedemptionCancelled { .. }
            | Event::RedemptionExpired { .. }
            | Event::RedemptionReopened { .. }
            | Event::RedemptionUsed { .. }
            | Event::RewardRedeemed { .. } => self.apply_redemption(event),
            Event::ReferralCodeIssued { .. }
            | Event::ReferralCompleted { .. }
            | Event::ReferralJoined { .. }
            | Event::ReferralUndone { .. }
            | Event::TierChanged { .. }
            | Event::TierLapsed { .. }
            | Event::TierRetained { .. } => self.apply_tier_or_referral(event),
            Event::CustomerAdded
            | Event::Discount(_)
            | Event::OrderCancelled { .. }
            | Event::OrderClosed { .. }
            | Event::OrderPinned { .. }
            | Event::OrderRecorded { .. }
            | Event::OrderRefunded { .. } => {}
        }
    }

    /// Points go for a reward, or come back.
    fn apply_redemption(&mut self, event: &Event) {
        let moved = event.points();
        if event.reward().is_some() {
            Arc::make_mut(&mut self.activity).record_reward(event);
        }
        if let Event::RewardRedeemed { issue } = event {
            self.last_redemption = Some(issue.id);
            self.redemptions.insert(Arc::new(Redemption::new(Arc::clone(issue))));
            self.remove_parts(&issue.parts);
        } else if let Event::RedemptionReopened { redemption, .. } = event {
            self.redemptions.insert(Arc::clone(redemption));
        } else if let Some(id) = event.redemption() {
            self.redemptions.remove(id);
        }
        if let Event::RedemptionUsed { payment: Some(taken), .. } = event {
            self.debt = self.debt.saturating_add(taken.debt);
            self.remove_parts(&taken.parts);
        } else if let Event::RedemptionCancelled { returned, .. }
        | Event::RedemptionExpired { returned: Some(returned), .. } = event
        {
            self.debt = self.debt.saturating_sub(returned.paid);
            returned.lots.iter().for_each(|lot| self.add_lot(lot.clone()));
        }
        if moved.is_zero() {
            self.last_event_at = self.last_event_at.max(event.at());
        } else if moved.is_positive() {
            self.totals.returned = self.totals.returned.saturating_add(moved);
            self.record_change(event.at(), false);
        } else {
            self.totals.redeemed = self.totals.redeemed.saturating_sub(moved);
            self.record_change(event.at(), true);
        }
    }

    fn remove_parts(&mut self, parts: &[Lot]) {
        for part in parts {
            self.lots.deduct(part.id, part.points);
        }
    }

    /// What moves no points is no activity.
    fn record_change_of(&mut self, points: Points, at: Option<Timestamp>, dealt: bool) {
        if points.is_zero() {
            self.last_event_at = self.last_event_at.max(at);
        } else {
            self.record_change(at, dealt);
        }
    }

    /// Something happened to the balance.
    fn record_change(&mut self, at: Option<Timestamp>, dealt: bool) {
        self.last_event_at = self.last_event_at.max(at);
        self.balance_changed_at = self.balance_changed_at.max(at);
        if dealt {
            self.last_activity_at = self.last_activity_at.max(at);
        }
    }

    /// What changes no points.
    fn apply_tier_or_referral(&mut self, event: &Event) {
        self.last_event_at = self.last_event_at.max(event.at());
        let deeds = Arc::make_mut(&mut self.activity);
        if let Event::TierChanged { change } = event {
            let entered =
                |id: &TierId| EarnedTier { id: id.clone(), since: change.at, until: None };
            deeds.earned_tier = change.to.as_ref().map(entered);
            deeds.tier_change = Some(change.clone());
            if change.ends_manual {
                self.manual_tier = None;
            }
        } else if let Event::TierLapsed { until, .. } = event {
            deeds
                .earned_tier
                .iter_mut()
                .for_each(|tier| tier.until = Some(*until));
        } else if let Event::TierRetained { .. } = event {
            deeds.earned_tier.iter_mut().for_each(|tier| tier.until = None);
        } else if let Event::ReferralCodeIssued { code, .. } = event {
            deeds.referral_code = Some(Arc::clone(code));
        } else if let Event::ReferralJoined { referrer: by, .. } = event {
            deeds.referral = Some(ReferralLink { referrer: *by, order: None });
        } else if let Event::ReferralCompleted { order, .. } = event {
            deeds
                .referral
                .iter_mut()
                .for_each(|joined| joined.order = Some(order.clone()));
        } else if let Event::ReferralUndone { .. } = event {
            deeds.referral.iter_mut().for_each(|joined| joined.order = None);
        }
    }

    fn clear(&mut self, points: Points) {
        self.totals.merged = self.totals.merged.saturating_sub(points);
        (self.lots, self.pending) = (Lots::default(), Lots::default());
        (self.debt, self.manual_tier) = (Points::ZERO, None);
        (self.progress, self.activity) = (Progress::default(), Arc::default());
        (self.redemptions, self.inactivity_expirations) =
            (OpenRedemptions::default(), InactivityExpirations::default());
    }

    fn absorb(&mut self, event: &Event, points: Points, brought: Option<&MergedState>) {
        let came = points.saturating_add(event.pending_points());
        self.totals.merged = self.totals.merged.saturating_add(came);
        let Some(brought) = brought else { return };
        self.progress.absorb(&brought.progress, event.at());
        self.last_activity_at = self.last_activity_at.max(brought.last_activity_at);
        brought
            .redemptions
            .iter()
            .for_each(|redemption| self.redemptions.insert(Arc::clone(redemption)));
        self.inactivity_expirations.absorb(&brought.inactivity_expirations);
        Arc::make_mut(&mut self.activity).absorb(&brought.activity, &brought.lot_ids);
    }

    fn add_counts(&mut self, counted: Option<&CountsDelta>, received: Option<Timestamp>) {
        if let Some(counted) = counted {
            self.progress.add(counted.gate_at, counted.counts, received);
        }
    }

    /// Rules with a limit count what they first paid for an order.
    fn record_rule_usage(&mut self, reckoning: &Calculation) {
        for (rule, room, points) in reckoning.limited_rules() {
            Arc::make_mut(&mut self.activity).record_rule(rule, room.day, points);
        }
    }

    /// Points come in: what does not go into a lot pays off debt.
    fn credit(&mut self, points: Points, part: Option<&LotCredit>, order: Option<&OrderId>) {
        let kept = part.map_or(Points::ZERO, |part| part.points);
        self.debt = self.debt.saturating_sub(points.saturating_sub(kept));
        let Some(part) = part else { return };
        let LotCredit {
            id,
            points,
            earned_at,
            expires_at,
            pending_until,
            is_separate: apart,
        } = *part;
        let own = expires_at.is_some() || pending_until.is_some() || apart;
        if order.is_some() && !own {
            self.inactivity_expirations.mark_reclaimable();
        }
        let order = order.filter(|_| own).cloned();
        self.add_lot(Lot { id, order, points, earned_at, expires_at, pending_until });
    }

    /// A lot grows, or a new one takes its place in spending order.
    fn add_lot(&mut self, lot: Lot) {
        self.lots_opened = self.lots_opened.max(lot.id.0);
        if lot.pending_until.is_some() { self.pending.add(lot) } else { self.lots.add(lot) }
    }

    fn apply_clawback(&mut self, taking: &Clawback) {
        self.totals.clawed_back = self.totals.clawed_back.saturating_add(taking.points());
        self.debt = self.debt.saturating_add(taking.debt);
        self.remove_from_lots(&taking.lots);
        self.remove_from_lots(&taking.pending);
        self.inactivity_expirations.consume(&taking.already_expired);
    }

    fn apply_award_clawback(&mut self, reason: &AwardReason, taking: &Clawback, at: Timestamp) {
        self.apply_clawback(taking);
        if let Some(given) = self.activity.bonus(reason).copied()
            && reason.counts_for_tiers()
        {
            let fewer = Counts::ZERO.minus(Counts::points(given.points));
            self.progress.add(given.at, fewer, Some(at));
        }
        Arc::make_mut(&mut self.activity).mark_taken_back(reason);
        self.record_change_of(taking.points(), Some(at), false);
    }

    /// Points that were pending are in another lot now, or in none.
    fn relocate_bonus(&mut self, lot: LotId, into: Option<&LotCredit>, at: Timestamp) {
        let lasting = into.filter(|into| into.is_non_expiring()).map(|_| at);
        let into = into.map(|into| into.id);
        if (into != Some(lot) || lasting.is_some()) && self.activity.has_bonus_in(lot) {
            Arc::make_mut(&mut self.activity).relocate(lot, into, lasting);
            if lasting.is_some() {
                self.inactivity_expirations.mark_reclaimable();
            }
        }
    }

    fn remove_from_lots(&mut self, parts: &[(LotId, Points)]) {
        for (id, points) in parts {
            if self.lots.deduct(*id, *points).is_none() {
                self.pending.deduct(*id, *points);
            }
        }
    }
}
