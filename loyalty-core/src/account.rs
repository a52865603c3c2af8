//! The state of a customer's account: a compact fold of its journal.

mod chapters;
mod deeds;
mod digits;
mod lot;
mod lots;
mod open;
mod progress;
mod ran_out;

use std::sync::Arc;

use crate::amount::Points;
use crate::award::Reason;
use crate::calendar::Timestamp;
use crate::event::{Brought, Counted, Event, LotPart, ManualTier, Taking};
use crate::explain::Reckoning;
use crate::id::{AccountId, LotId, OrderId, RedemptionId, TierId};
use crate::redemption::Redemption;
use crate::tier::{EarnedTier, TierChange};

pub use chapters::{Chapter, Chapters, Head, Start};
pub use deeds::{Deeds, Given, Joined, Tally, Usage};
pub use lot::Lot;
pub use lots::Lots;
pub use open::OpenRedemptions;
pub use progress::{Counts, Progress};
pub use ran_out::RanOut;

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
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "RanOut::is_empty"))]
    ran_out: RanOut,
    totals: Totals,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    tier: Option<ManualTier>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    merged_into: Option<AccountId>,
    /// The last instant at which anything happened.
    #[cfg_attr(
        feature = "json",
        serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::spell::instant")
    )]
    at: Option<Timestamp>,
    /// The last change of the balance, other than by running out of time.
    #[cfg_attr(
        feature = "json",
        serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::spell::instant")
    )]
    changed_at: Option<Timestamp>,
    /// The last time that points were earned or redeemed.
    #[cfg_attr(
        feature = "json",
        serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::spell::instant")
    )]
    dealt_at: Option<Timestamp>,
    /// The last time that the balance ended by inactivity.
    #[cfg_attr(
        feature = "json",
        serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::spell::instant")
    )]
    ended_idle_at: Option<Timestamp>,
    /// The newest redemption; each knows the one before it. Stays when the account is merged into another.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    last_redemption: Option<RedemptionId>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "OpenRedemptions::is_empty"))]
    redemptions: OpenRedemptions,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Progress::is_empty"))]
    progress: Progress,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "has_none"))]
    deeds: Arc<Deeds>,
}

#[cfg(feature = "json")]
fn has_none(deeds: &Arc<Deeds>) -> bool {
    **deeds == Deeds::default()
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
    pub taken: Points,
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
    pub given: Points,
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
        let came = sum([self.awarded, self.added, self.merged, self.given, self.returned]);
        let went = sum([self.taken, self.subtracted, self.expired, self.redeemed, self.pending]);
        let count = came.saturating_sub(went);
        Points::new(count).unwrap_or(if count > 0 { Points::MAX } else { Points::MIN })
    }
}

impl Account {
    /// The balance as of `now`: what can be spent, less what is owed. Right without any job having
    /// written down which lots have ended or were released; what else time does to a balance (inactivity,
    /// birthdays) is in [`as_of`](crate::as_of).
    pub fn balance(&self, now: Timestamp) -> Points {
        let usable = self.lots.points().saturating_sub(self.lots.points_over(now));
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
        let held = self.pending.after(now).filter(|lot| lot.is_usable(now));
        held.fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points))
    }

    /// What can be spent at `now`: the balance, or nothing where there is debt.
    pub fn available(&self, now: Timestamp) -> Points {
        self.balance(now).max(Points::ZERO)
    }

    /// The lots usable at `now`, in spending order.
    pub fn usable_lots(&self, now: Timestamp) -> impl Iterator<Item = &Lot> {
        self.lots.after(now)
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
    pub(crate) fn ran_out(&self) -> &RanOut {
        &self.ran_out
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
    pub fn tier(&self, now: Timestamp) -> Option<&ManualTier> {
        self.tier
            .as_ref()
            .filter(|tier| tier.until.is_none_or(|until| now < until))
    }

    /// The tier that was earned, whether or not one set by hand holds in its place.
    pub fn earned_tier(&self) -> Option<&EarnedTier> {
        self.deeds.tier.as_ref()
    }

    /// The tier that holds at `now`: the one set by hand, else the earned one.
    pub fn tier_id(&self, now: Timestamp) -> Option<&TierId> {
        self.tier(now)
            .map(|tier| &tier.id)
            .or(self.earned_tier().map(|tier| &tier.id))
    }

    /// The last change of the earned tier.
    pub fn tier_change(&self) -> Option<&TierChange> {
        self.deeds.tier_change.as_ref()
    }

    /// The account that this one was merged into.
    pub fn merged_into(&self) -> Option<AccountId> {
        self.merged_into
    }

    /// The last instant at which anything happened; none where its journal is of before events had one.
    pub fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// The last change of the balance, other than by running out of time.
    pub fn changed_at(&self) -> Option<Timestamp> {
        self.changed_at
    }

    /// The last time that points were earned or redeemed.
    pub fn dealt_at(&self) -> Option<Timestamp> {
        self.dealt_at
    }

    /// The last time that the balance ended by inactivity.
    pub fn ended_idle_at(&self) -> Option<Timestamp> {
        self.ended_idle_at
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
    pub fn deeds(&self) -> &Deeds {
        &self.deeds
    }

    /// The id of the next lot to be opened.
    pub(crate) fn next_lot(&self) -> LotId {
        LotId(self.lots_opened.saturating_add(1))
    }

    /// What a merge takes along.
    pub(crate) fn brought(&self) -> Brought {
        Brought {
            progress: self.progress.clone(),
            deeds: (*self.deeds).clone(),
            redemptions: self.redemptions.clone(),
            ran_out: self.ran_out.clone(),
            dealt_at: self.dealt_at,
            ..Brought::default()
        }
    }

    /// Whether the books of this account add up: the parts are those of the balance, nothing is
    /// negative, nobody who owes has something to spend, and what has no end and no order is in one lot.
    pub fn is_sound(&self) -> bool {
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
            self.dealt_at = self.dealt_at.max(event.at());
        }
    }

    fn fold(&mut self, event: &Event) {
        match event {
            Event::PointsAwarded { points, lot, order, reckoning, counted, at } => {
                self.totals.awarded = self.totals.awarded.saturating_add(*points);
                self.put(*points, lot.as_ref(), Some(order));
                self.count(counted.as_ref(), *at);
                self.use_limits(reckoning);
                self.touch(*at, true);
            }
            Event::PointsAdded { points, lot, grounds, at } => {
                self.totals.added = self.totals.added.saturating_add(*points);
                self.put(*points, lot.as_ref(), None);
                if let (false, Some(at)) = (grounds.adjustment, at) {
                    self.progress.add(*at, Counts::points(*points), Some(*at));
                }
                self.touch(*at, !grounds.adjustment);
            }
            Event::AwardGiven { points, lot, award, at } => {
                self.totals.given = self.totals.given.saturating_add(*points);
                self.put(*points, lot.as_ref(), None);
                if award.counts() {
                    self.progress.add(*at, Counts::points(*points), Some(*at));
                }
                if award.reason.can_be_undone() && lot.as_ref().is_some_and(LotPart::is_lasting) {
                    self.ran_out.await_it();
                }
                Arc::make_mut(&mut self.deeds).award(award, *points, lot.as_ref(), *at);
                self.touch_by(*points, Some(*at), true);
            }
            Event::AwardTakenBack { reason, taking, at } => {
                self.take_award_back(reason, taking, *at)
            }
            Event::PointsTakenBack { taking, counted, at, .. } => {
                self.take_back(taking);
                self.count(counted.as_ref(), *at);
                self.touch_by(taking.points(), *at, false);
            }
            Event::PointsSubtracted { lots, grounds, at } => {
                self.totals.subtracted = self.totals.subtracted.saturating_sub(event.points());
                self.take(lots);
                self.touch(*at, !grounds.adjustment);
            }
            Event::PointsExpired { lot, points, expired_at, inactive, .. } => {
                if *inactive {
                    self.ended_idle_at = Some(*expired_at);
                }
                self.totals.expired = self.totals.expired.saturating_add(*points);
                if self.lots.lasting().is_some_and(|lasting| lasting.id == *lot) {
                    self.ran_out.end(*expired_at, *points);
                } else if self.deeds.gave_into(*lot) {
                    Arc::make_mut(&mut self.deeds).expire(*lot, *points);
                }
                self.take(&[(*lot, *points)]);
                self.at = self.at.max(Some(*expired_at));
            }
            Event::PointsReleased { lot, points, order, into, released_at } => {
                self.take(&[(*lot, *points)]);
                self.put(*points, into.as_ref(), order.as_ref());
                self.relocate(*lot, into.as_ref(), *released_at);
                self.touch(Some(*released_at), false);
            }
            Event::OrderCounted { counted, at, .. } => {
                self.count(Some(counted), Some(*at));
                self.at = self.at.max(Some(*at));
            }
            Event::TierSet { tier, at } => {
                self.tier.clone_from(tier);
                self.at = self.at.max(*at);
            }
            Event::AccountMerged { into, points, pending } => {
                self.give_up(points.saturating_add(*pending));
                self.merged_into = Some(*into);
            }
            Event::AccountAbsorbed { lots, paid, debt, points, tier, brought, at, .. } => {
                self.absorb(event, *points, brought.as_deref());
                self.take(paid);
                self.debt = *debt;
                for lot in lots {
                    self.adopt(lot.clone());
                }
                self.tier = tier.clone().or_else(|| self.tier.take());
                self.touch(*at, false);
            }
            Event::RedemptionCancelled { .. }
            | Event::RedemptionExpired { .. }
            | Event::RedemptionReopened { .. }
            | Event::RedemptionUsed { .. }
            | Event::RewardRedeemed { .. } => self.redeem(event),
            Event::ReferralCodeIssued { .. }
            | Event::ReferralCompleted { .. }
            | Event::ReferralJoined { .. }
            | Event::ReferralUndone { .. }
            | Event::TierChanged { .. }
            | Event::TierLapsed { .. }
            | Event::TierRetained { .. } => self.remember(event),
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
    fn redeem(&mut self, event: &Event) {
        let moved = event.points();
        if event.reward().is_some() {
            Arc::make_mut(&mut self.deeds).count_reward(event);
        }
        if let Event::RewardRedeemed { issue } = event {
            self.last_redemption = Some(issue.id);
            self.redemptions.put(Arc::new(Redemption::new(Arc::clone(issue))));
            self.take_parts(&issue.parts);
        } else if let Event::RedemptionReopened { redemption, .. } = event {
            self.redemptions.put(Arc::clone(redemption));
        } else if let Some(id) = event.redemption() {
            self.redemptions.remove(id);
        }
        if let Event::RedemptionUsed { taken: Some(taken), .. } = event {
            self.debt = self.debt.saturating_add(taken.debt);
            self.take_parts(&taken.parts);
        } else if let Event::RedemptionCancelled { returned, .. }
        | Event::RedemptionExpired { returned: Some(returned), .. } = event
        {
            self.debt = self.debt.saturating_sub(returned.paid);
            returned.lots.iter().for_each(|lot| self.adopt(lot.clone()));
        }
        if moved.is_zero() {
            self.at = self.at.max(event.at());
        } else if moved.is_positive() {
            self.totals.returned = self.totals.returned.saturating_add(moved);
            self.touch(event.at(), false);
        } else {
            self.totals.redeemed = self.totals.redeemed.saturating_sub(moved);
            self.touch(event.at(), true);
        }
    }

    fn take_parts(&mut self, parts: &[Lot]) {
        for part in parts {
            self.lots.take(part.id, part.points);
        }
    }

    /// What moves no points is no activity.
    fn touch_by(&mut self, points: Points, at: Option<Timestamp>, dealt: bool) {
        if points.is_zero() {
            self.at = self.at.max(at);
        } else {
            self.touch(at, dealt);
        }
    }

    /// Something happened to the balance.
    fn touch(&mut self, at: Option<Timestamp>, dealt: bool) {
        self.at = self.at.max(at);
        self.changed_at = self.changed_at.max(at);
        if dealt {
            self.dealt_at = self.dealt_at.max(at);
        }
    }

    /// What changes no points.
    fn remember(&mut self, event: &Event) {
        self.at = self.at.max(event.at());
        let deeds = Arc::make_mut(&mut self.deeds);
        if let Event::TierChanged { change } = event {
            let entered =
                |id: &TierId| EarnedTier { id: id.clone(), since: change.at, until: None };
            deeds.tier = change.to.as_ref().map(entered);
            deeds.tier_change = Some(change.clone());
            if change.ends_manual {
                self.tier = None;
            }
        } else if let Event::TierLapsed { until, .. } = event {
            deeds.tier.iter_mut().for_each(|tier| tier.until = Some(*until));
        } else if let Event::TierRetained { .. } = event {
            deeds.tier.iter_mut().for_each(|tier| tier.until = None);
        } else if let Event::ReferralCodeIssued { code, .. } = event {
            deeds.referral_code = Some(Arc::clone(code));
        } else if let Event::ReferralJoined { by, .. } = event {
            deeds.joined = Some(Joined { by: *by, order: None });
        } else if let Event::ReferralCompleted { order, .. } = event {
            deeds
                .joined
                .iter_mut()
                .for_each(|joined| joined.order = Some(order.clone()));
        } else if let Event::ReferralUndone { .. } = event {
            deeds.joined.iter_mut().for_each(|joined| joined.order = None);
        }
    }

    fn give_up(&mut self, points: Points) {
        self.totals.merged = self.totals.merged.saturating_sub(points);
        (self.lots, self.pending) = (Lots::default(), Lots::default());
        (self.debt, self.tier) = (Points::ZERO, None);
        (self.progress, self.deeds) = (Progress::default(), Arc::default());
        (self.redemptions, self.ran_out) = (OpenRedemptions::default(), RanOut::default());
    }

    fn absorb(&mut self, event: &Event, points: Points, brought: Option<&Brought>) {
        let came = points.saturating_add(event.pending_points());
        self.totals.merged = self.totals.merged.saturating_add(came);
        let Some(brought) = brought else { return };
        self.progress.absorb(&brought.progress, event.at());
        self.dealt_at = self.dealt_at.max(brought.dealt_at);
        brought
            .redemptions
            .iter()
            .for_each(|redemption| self.redemptions.put(Arc::clone(redemption)));
        self.ran_out.absorb(&brought.ran_out);
        Arc::make_mut(&mut self.deeds).absorb(&brought.deeds, &brought.lots);
    }

    fn count(&mut self, counted: Option<&Counted>, received: Option<Timestamp>) {
        if let Some(counted) = counted {
            self.progress.add(counted.gate, counted.counts, received);
        }
    }

    /// Rules with a limit count what they first paid for an order.
    fn use_limits(&mut self, reckoning: &Reckoning) {
        for (rule, room, points) in reckoning.limited_rules() {
            Arc::make_mut(&mut self.deeds).used_rule(rule, room.day, points);
        }
    }

    /// Points come in: what does not go into a lot pays off debt.
    fn put(&mut self, points: Points, part: Option<&LotPart>, order: Option<&OrderId>) {
        let kept = part.map_or(Points::ZERO, |part| part.points);
        self.debt = self.debt.saturating_sub(points.saturating_sub(kept));
        let Some(part) = part else { return };
        let LotPart { id, points, earned_at, expires_at, pending_until, apart } = *part;
        let own = expires_at.is_some() || pending_until.is_some() || apart;
        if order.is_some() && !own {
            self.ran_out.await_it();
        }
        let order = order.filter(|_| own).cloned();
        self.adopt(Lot { id, order, points, earned_at, expires_at, pending_until });
    }

    /// A lot grows, or a new one takes its place in spending order.
    fn adopt(&mut self, lot: Lot) {
        self.lots_opened = self.lots_opened.max(lot.id.0);
        if lot.pending_until.is_some() { self.pending.put(lot) } else { self.lots.put(lot) }
    }

    fn take_back(&mut self, taking: &Taking) {
        self.totals.taken = self.totals.taken.saturating_add(taking.points());
        self.debt = self.debt.saturating_add(taking.debt);
        self.take(&taking.lots);
        self.take(&taking.pending);
        self.ran_out.find(&taking.ran_out);
    }

    fn take_award_back(&mut self, reason: &Reason, taking: &Taking, at: Timestamp) {
        self.take_back(taking);
        if let Some(given) = self.deeds.given(reason).copied()
            && reason.counts()
        {
            let fewer = Counts::ZERO.minus(Counts::points(given.points));
            self.progress.add(given.at, fewer, Some(at));
        }
        Arc::make_mut(&mut self.deeds).take_back(reason);
        self.touch_by(taking.points(), Some(at), false);
    }

    /// Points that were pending are in another lot now, or in none.
    fn relocate(&mut self, lot: LotId, into: Option<&LotPart>, at: Timestamp) {
        let lasting = into.filter(|into| into.is_lasting()).map(|_| at);
        let into = into.map(|into| into.id);
        if (into != Some(lot) || lasting.is_some()) && self.deeds.gave_into(lot) {
            Arc::make_mut(&mut self.deeds).relocate(lot, into, lasting);
            if lasting.is_some() {
                self.ran_out.await_it();
            }
        }
    }

    fn take(&mut self, parts: &[(LotId, Points)]) {
        for (id, points) in parts {
            if self.lots.take(*id, *points).is_none() {
                self.pending.take(*id, *points);
            }
        }
    }
}
