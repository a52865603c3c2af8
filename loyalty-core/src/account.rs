//! The state of a customer's account: a compact fold of its journal. The fold itself is
//! in `fold`.

mod activity;
mod gifts;
mod inactivity;
mod lots;
mod merged;
mod open_redemptions;
mod progress;
mod segments;
mod state_before;
mod vlq;

use std::sync::Arc;

use crate::amount::Points;
use crate::award::{Award, AwardReason};
use crate::calendar::Timestamp;
use crate::counts::{Counts, CountsDelta};
use crate::explain::Calculation;
use crate::id::{AccountId, ImportId, LotId, OrderId, RedemptionId, TierId};
use crate::lot::{Clawback, Lot, LotCredit};
use crate::redemption::{Issuance, Redemption, RedemptionPayment, RedemptionReturn};
use crate::tier::{EarnedTier, ManualTier, TierChange};

pub use activity::{AccountActivity, Bonus, ReferralLink, Usage, UsageCount};
pub use gifts::{Gift, GiftState, Gifts};
pub use inactivity::InactivityExpirations;
pub use lots::Lots;
pub use merged::{Absorption, MergedState, UndoneClaim};
pub use open_redemptions::OpenRedemptions;
pub use progress::Progress;
pub use segments::{AccountHeader, AccountSegment, AccountSegmentKey, AccountSegments};
pub use state_before::StateBefore;

/// A customer's points: usable lots, pending lots or debt; and what tiers, limits and
/// referrals depend on.
///
/// Copy-on-write: a clone costs a constant, however many lots there are, and shares what
/// neither changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Account {
    /// In spending order. No lot is empty, and there are none while there is debt.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Lots::is_empty"))]
    lots: Lots,
    /// Pending lots: visible, but not yet usable.
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
    /// The instant at which the customer was erased.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    erased_at: Option<Timestamp>,
    /// The instant of the last event.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "at"))]
    last_event_at: Option<Timestamp>,
    /// The last change of the balance, expiries aside.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "changed_at"))]
    balance_changed_at: Option<Timestamp>,
    /// The last instant at which points were earned or redeemed.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "dealt_at"))]
    last_activity_at: Option<Timestamp>,
    /// The last instant at which the balance expired by inactivity.
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    #[cfg_attr(feature = "json", serde(rename = "ended_idle_at"))]
    inactivity_expired_at: Option<Timestamp>,
    /// The newest redemption, which names the one before it. A merge does not change it.
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
fn is_default(activity: &Arc<AccountActivity>) -> bool {
    **activity == AccountActivity::default()
}

/// All points that have moved in and out of an account since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Totals {
    /// Earned by orders.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub awarded: Points,
    /// Added by the shop.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub added: Points,
    /// Clawed back for refunds and cancellations.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "taken"))]
    pub clawed_back: Points,
    /// Subtracted by the shop.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub subtracted: Points,
    /// Expired unspent.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub expired: Points,
    /// From accounts merged into this one, less those that left with this one, by a merge or
    /// because the customer was erased.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub merged: Points,
    /// Granted as bonuses.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "given"))]
    pub granted: Points,
    /// Paid for redemptions.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub redeemed: Points,
    /// Returned by redemptions.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub returned: Points,
    /// The part of all these that is pending now.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub pending: Points,
}

impl Totals {
    /// The balance that they add up to, clamped to the range of points.
    pub fn balance(&self) -> Points {
        let sum =
            |parts: [Points; 5]| parts.map(Points::get).into_iter().fold(0, i64::saturating_add);
        let credited = sum([self.awarded, self.added, self.merged, self.granted, self.returned]);
        let debited =
            sum([self.clawed_back, self.subtracted, self.expired, self.redeemed, self.pending]);
        let count = credited.saturating_sub(debited);
        Points::new(count).unwrap_or(if count > 0 { Points::MAX } else { Points::MIN })
    }
}

impl Account {
    /// The balance at `now`: usable points less debt.
    ///
    /// Lots that have expired or were released by `now` are counted so without an event.
    /// For everything else that becomes due (inactivity, birthdays) see
    /// [`as_of`](crate::as_of).
    pub fn balance(&self, now: Timestamp) -> Points {
        let usable = self.lots.points().saturating_sub(self.lots.points_ended_by(now));

        // Mostly nothing is pending, and the first lot shows it.
        let released = if self.pending.first().is_some_and(|lot| !lot.is_pending(now)) {
            let released = self.pending.iter().take_while(|lot| !lot.is_pending(now));
            let usable = released.filter(|lot| lot.is_usable(now));
            usable.fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points))
        } else {
            Points::ZERO
        };
        usable.saturating_add(released).saturating_sub(self.debt)
    }

    /// The points pending at `now`: earned and visible, but not yet usable.
    pub fn pending(&self, now: Timestamp) -> Points {
        let pending = self.pending.ending_after(now).filter(|lot| lot.is_usable(now));
        pending.fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points))
    }

    /// The points that can be spent at `now`: the balance, or zero if that is negative.
    pub fn available(&self, now: Timestamp) -> Points {
        self.balance(now).max(Points::ZERO)
    }

    /// The lots usable at `now`, in spending order.
    pub fn usable_lots(&self, now: Timestamp) -> impl Iterator<Item = &Lot> {
        self.lots.ending_after(now)
    }

    /// All lots that are not pending, in spending order. Includes those that have expired
    /// without an event yet.
    pub fn lots(&self) -> &Lots {
        &self.lots
    }

    /// All pending lots, by their release.
    pub fn pending_lots(&self) -> &Lots {
        &self.pending
    }

    /// Expiries of the non-expiring lot.
    pub(crate) fn inactivity_expirations(&self) -> &InactivityExpirations {
        &self.inactivity_expirations
    }

    /// The debt. If there is any, no lot is left.
    pub fn debt(&self) -> Points {
        self.debt
    }

    /// All points that have moved in and out.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The tier set by hand, as long as it is in effect.
    pub fn manual_tier(&self, now: Timestamp) -> Option<&ManualTier> {
        self.manual_tier
            .as_ref()
            .filter(|tier| tier.until.is_none_or(|until| now < until))
    }

    /// The earned tier, even if one set by hand replaces it.
    pub fn earned_tier(&self) -> Option<&EarnedTier> {
        self.activity.earned_tier.as_ref()
    }

    /// The tier at `now`: the one set by hand, else the earned one.
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

    /// The instant at which the customer was erased. Nothing moves points of the account
    /// from then on.
    pub fn erased_at(&self) -> Option<Timestamp> {
        self.erased_at
    }

    /// The instant of the last event. `None` if its journal is from before events had
    /// instants.
    pub fn last_event_at(&self) -> Option<Timestamp> {
        self.last_event_at
    }

    /// The last change of the balance, expiries aside.
    pub fn balance_changed_at(&self) -> Option<Timestamp> {
        self.balance_changed_at
    }

    /// The last instant at which points were earned or redeemed.
    pub fn last_activity_at(&self) -> Option<Timestamp> {
        self.last_activity_at
    }

    /// The last instant at which the balance expired by inactivity.
    pub fn inactivity_expired_at(&self) -> Option<Timestamp> {
        self.inactivity_expired_at
    }

    /// The newest redemption issued to this account. Each names the one before it.
    pub fn last_redemption(&self) -> Option<RedemptionId> {
        self.last_redemption
    }

    /// Redemptions that can still be used, and that expire.
    pub fn redemptions(&self) -> &OpenRedemptions {
        &self.redemptions
    }

    /// The counts for tiers and goals.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Usage of limits, bonuses, tier and referrals.
    pub fn activity(&self) -> &AccountActivity {
        &self.activity
    }

    /// The id of the next lot to be opened.
    pub(crate) fn next_lot_id(&self) -> LotId {
        LotId(self.lots_opened.saturating_add(1))
    }

    /// The state that a merge hands over.
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

    /// Returns true if the account has debt, or points that another source than an import
    /// brought. Costs O(lots).
    pub fn has_points_beside(&self, import: &ImportId) -> bool {
        let mut lots = self.lots.iter().chain(self.pending.iter());
        !self.debt.is_zero() || lots.any(|lot| lot.import.as_ref() != Some(import))
    }

    /// Returns true if the account has points that an import brought. Costs O(lots).
    pub fn has_points_of(&self, import: &ImportId) -> bool {
        self.lots.iter().any(|lot| lot.import.as_ref() == Some(import))
    }

    /// Returns true if all invariants hold: the lots and the debt add up to the totals,
    /// no lot is empty, there is no lot beside a debt, and at most one non-expiring lot.
    pub fn is_consistent(&self) -> bool {
        let (usable, pending) = (self.lots.points(), self.pending.points());
        let non_expiring = self.lots.iter().filter(|lot| lot.is_shared()).count();
        let has_points = self
            .lots
            .iter()
            .chain(self.pending.iter())
            .all(|lot| lot.points.is_positive());
        let is_split = self.lots.iter().all(|lot| lot.pending_until.is_none())
            && self.pending.iter().all(|lot| lot.pending_until.is_some());
        let one_side = self.debt.is_zero() || (self.debt.is_positive() && usable.is_zero());
        let adds_up = usable.saturating_sub(self.debt) == self.totals.balance()
            && pending == self.totals.pending;
        has_points && is_split && non_expiring <= 1 && one_side && adds_up
    }

    /// Adds to the points that are pending.
    pub(crate) fn add_pending(&mut self, points: Points) {
        self.totals.pending = self.totals.pending.saturating_add(points);
    }

    /// Notes that something happened, without a change of the balance.
    pub(crate) fn touch(&mut self, at: Option<Timestamp>) {
        self.last_event_at = self.last_event_at.max(at);
    }

    /// Notes that points were earned or redeemed.
    pub(crate) fn touch_activity(&mut self, at: Option<Timestamp>) {
        self.last_activity_at = self.last_activity_at.max(at);
    }

    /// Notes a change of the balance that is no activity of the customer.
    pub(crate) fn record_balance_change(&mut self, at: Option<Timestamp>) {
        self.touch(at);
        self.balance_changed_at = self.balance_changed_at.max(at);
    }

    /// Notes a change of the balance by an activity of the customer.
    pub(crate) fn record_activity(&mut self, at: Option<Timestamp>) {
        self.record_balance_change(at);
        self.touch_activity(at);
    }

    /// Credits points that the shop added, or brought by an import.
    pub(crate) fn credit_added(
        &mut self,
        points: Points,
        lot: Option<&LotCredit>,
        import: Option<&ImportId>,
    ) {
        self.totals.added = self.totals.added.saturating_add(points);
        self.credit(points, lot, None, import);
    }

    /// Credits points that an order earned.
    pub(crate) fn credit_order(
        &mut self,
        points: Points,
        lot: Option<&LotCredit>,
        order: &OrderId,
    ) {
        self.totals.awarded = self.totals.awarded.saturating_add(points);
        self.credit(points, lot, Some(order), None);
    }

    /// Credits a bonus, and remembers it for limits and for a later clawback.
    pub(crate) fn credit_bonus(
        &mut self,
        points: Points,
        lot: Option<&LotCredit>,
        award: &Award,
        at: Timestamp,
    ) {
        self.totals.granted = self.totals.granted.saturating_add(points);
        self.credit(points, lot, None, None);
        if award.counts_for_tiers() {
            self.count_points(points, Some(at));
        }

        if award.reason.is_reversible() && lot.is_some_and(LotCredit::is_non_expiring) {
            self.inactivity_expirations.mark_reclaimable();
        }
        self.activity_mut().record_bonus(award, points, lot, at);
    }

    /// Marks a bonus as taken back, and takes it off the counts for tiers.
    pub(crate) fn undo_bonus(&mut self, reason: &AwardReason, at: Timestamp) {
        if let Some(bonus) = self.activity.bonus(reason).copied()
            && reason.counts_for_tiers()
        {
            let fewer = Counts::ZERO.minus(Counts::points(bonus.points));
            self.progress.add(bonus.at, fewer, Some(at));
        }
        self.activity_mut().mark_taken_back(reason);
    }

    /// Claws points back: from lots, from pending lots, and as debt.
    pub(crate) fn claw_back(&mut self, clawback: &Clawback) {
        self.totals.clawed_back = self.totals.clawed_back.saturating_add(clawback.points());
        self.debt = self.debt.saturating_add(clawback.debt);
        self.remove_from_lots(&clawback.lots);
        self.remove_from_lots(&clawback.pending);
        self.inactivity_expirations.consume(&clawback.already_expired);
    }

    /// Subtracts points that the shop took.
    pub(crate) fn subtract(&mut self, lots: &[(LotId, Points)]) {
        for (_, points) in lots {
            self.totals.subtracted = self.totals.subtracted.saturating_add(*points);
        }
        self.remove_from_lots(lots);
    }

    /// Removes points that expired: by the end of their lot, or all of them by
    /// inactivity.
    pub(crate) fn expire(&mut self, lot: LotId, points: Points, at: Timestamp, inactive: bool) {
        if inactive {
            self.inactivity_expired_at = Some(at);
        }
        self.totals.expired = self.totals.expired.saturating_add(points);

        // What expired is not clawed back later: note of what it was.
        if self.lots.non_expiring_lot().is_some_and(|shared| shared.id == lot) {
            self.inactivity_expirations.record(at, points);
        } else if self.activity.has_bonus_in(lot) {
            self.activity_mut().expire(lot, points);
        }
        self.remove_from_lots(&[(lot, points)]);
    }

    /// Moves pending points to the usable lot `into`. What does not go there pays off
    /// debt.
    pub(crate) fn release(
        &mut self,
        lot: LotId,
        points: Points,
        into: Option<&LotCredit>,
        order: Option<&OrderId>,
        at: Timestamp,
    ) {
        self.remove_from_lots(&[(lot, points)]);
        self.credit(points, into, order, None);
        self.relocate_bonus(lot, into, at);
    }

    /// Counts points for tiers by points earned. Journals from before events had an
    /// instant count none.
    pub(crate) fn count_points(&mut self, points: Points, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.progress.add(at, Counts::points(points), Some(at));
        }
    }

    /// Changes what orders count for tiers and goals.
    pub(crate) fn add_counts(&mut self, counted: &CountsDelta, received: Option<Timestamp>) {
        self.progress.add(counted.gate_at, counted.counts, received);
    }

    /// Adds to the usage of rules with limits. Only an order's first award counts.
    pub(crate) fn record_rule_usage(&mut self, calculation: &Calculation) {
        for (rule, allowance, points) in calculation.limited_rules() {
            self.activity_mut().record_rule(rule, allowance.day, points);
        }
    }

    /// Issues a redemption and takes its points.
    pub(crate) fn open_redemption(&mut self, issue: &Arc<Issuance>) {
        self.last_redemption = Some(issue.id);
        self.redemptions.insert(Arc::new(Redemption::new(Arc::clone(issue))));
        if let Some(cause) = &issue.cause {
            self.activity_mut().gifts.issue(cause, issue.id);
        }
        self.deduct_parts(&issue.parts);
        self.record_redeemed(issue.points, issue.at);
    }

    /// Makes a redemption usable again, until its new end.
    pub(crate) fn reopen_redemption(&mut self, redemption: &Arc<Redemption>) {
        self.redemptions.insert(Arc::clone(redemption));
        let id = redemption.issue().id;
        if self.activity.gifts.contains(id) {
            self.activity_mut().gifts.reopen(id);
        }
    }

    /// Forgets a redemption that was used or has ended.
    pub(crate) fn close_redemption(&mut self, id: RedemptionId) {
        self.redemptions.remove(id);
        if self.activity.gifts.contains(id) {
            self.activity_mut().gifts.close(id);
        }
    }

    /// Forgets a redemption that was cancelled.
    pub(crate) fn cancel_redemption(&mut self, id: RedemptionId) {
        self.redemptions.remove(id);
        if self.activity.gifts.contains(id) {
            self.activity_mut().gifts.cancel(id);
        }
    }

    /// Notes that the cause of a gift was undone.
    pub(crate) fn undo_gift(
        &mut self,
        cause: &AwardReason,
        redemption: Option<RedemptionId>,
        is_kept: bool,
    ) {
        self.activity_mut().gifts.undo(cause, redemption, is_kept);
    }

    /// Takes points for a redemption again, after they had been returned.
    pub(crate) fn charge(&mut self, payment: &RedemptionPayment, at: Timestamp) {
        self.debt = self.debt.saturating_add(payment.debt);
        self.deduct_parts(&payment.parts);
        self.record_redeemed(payment.points(), at);
    }

    fn record_redeemed(&mut self, points: Points, at: Timestamp) {
        if points.is_zero() {
            self.touch(Some(at));
        } else {
            self.totals.redeemed = self.totals.redeemed.saturating_add(points);
            self.record_activity(Some(at));
        }
    }

    /// Returns the points of a redemption: to lots, and to pay off debt.
    pub(crate) fn return_payment(&mut self, returned: &RedemptionReturn, at: Timestamp) {
        self.debt = self.debt.saturating_sub(returned.paid);
        returned.lots.iter().for_each(|lot| self.add_lot(lot.clone()));

        let points = returned.points();
        if points.is_zero() {
            self.touch(Some(at));
        } else {
            self.totals.returned = self.totals.returned.saturating_add(points);
            self.record_balance_change(Some(at));
        }
    }

    /// Sets the earned tier.
    pub(crate) fn change_tier(&mut self, change: &TierChange) {
        self.activity_mut().change_tier(change);
        if change.ends_manual {
            self.manual_tier = None;
        }
    }

    /// Sets the tier by hand. `None` ends one that was set before.
    pub(crate) fn set_manual_tier(&mut self, tier: Option<&ManualTier>) {
        self.manual_tier = tier.cloned();
    }

    /// Empties the account: everything in it went to another one.
    pub(crate) fn close(&mut self, into: AccountId, points: Points) {
        self.clear(points);
        self.merged_into = Some(into);
    }

    /// Empties the account for good: its customer was erased.
    pub(crate) fn erase(&mut self, points: Points, at: Timestamp) {
        self.clear(points);
        self.last_event_at = self.last_event_at.max(Some(at));
        self.erased_at = Some(at);
    }

    fn clear(&mut self, points: Points) {
        self.totals.merged = self.totals.merged.saturating_sub(points);
        (self.lots, self.pending) = (Lots::default(), Lots::default());
        (self.debt, self.manual_tier) = (Points::ZERO, None);
        (self.progress, self.activity) = (Progress::default(), Arc::default());
        (self.redemptions, self.inactivity_expirations) =
            (OpenRedemptions::default(), InactivityExpirations::default());
    }

    /// Adds everything but the lots of an account that was merged into this one.
    pub(crate) fn absorb(
        &mut self,
        points: Points,
        state: Option<&MergedState>,
        at: Option<Timestamp>,
    ) {
        self.totals.merged = self.totals.merged.saturating_add(points);
        let Some(state) = state else { return };

        self.progress.absorb(&state.progress, at);
        self.touch_activity(state.last_activity_at);
        for redemption in state.redemptions.iter() {
            self.redemptions.insert(Arc::clone(redemption));
        }
        self.inactivity_expirations.absorb(&state.inactivity_expirations);
        self.activity_mut().absorb(&state.activity, &state.lot_ids);
    }

    /// Takes off what a merge had added, as it is given back.
    pub(crate) fn release_absorbed(&mut self, undone: &UndoneClaim) {
        let UndoneClaim { claim, lots, points, pending, at } = undone;
        let moved = points.saturating_add(*pending);
        self.totals.merged = self.totals.merged.saturating_sub(moved);
        let parts: Vec<_> = lots.iter().map(|lot| (lot.id, lot.points)).collect();
        self.remove_from_lots(&parts);
        if claim.tier.is_some() && self.manual_tier == claim.tier {
            self.manual_tier = None;
        }
        let (Some(state), Some(before)) = (&claim.merged_state, &claim.before) else {
            return;
        };

        self.progress.release(&state.progress, before.first_order, *at);
        if self.last_activity_at == state.last_activity_at {
            self.last_activity_at = before.last_activity_at;
        }
        for redemption in state.redemptions.iter() {
            self.redemptions.remove(redemption.issue().id);
        }
        self.inactivity_expirations.release(&state.inactivity_expirations);
        self.activity_mut().release(&state.activity, before);
    }

    /// Opens an account again that was merged into another one, with what it had.
    pub(crate) fn reopen(
        &mut self,
        points: Points,
        lots: &[Lot],
        tier: Option<&ManualTier>,
        state: Option<&MergedState>,
    ) {
        self.merged_into = None;
        self.totals.merged = self.totals.merged.saturating_add(points);
        for lot in lots {
            self.add_lot(lot.clone());
        }
        self.manual_tier = tier.cloned();
        let Some(state) = state else { return };

        self.progress = state.progress.clone();
        self.redemptions = state.redemptions.clone();
        self.inactivity_expirations = state.inactivity_expirations.clone();
        self.activity = Arc::new(state.activity.with_lot_ids(&state.lot_ids));
    }

    /// Settles the debts of both accounts of a merge, and takes over lots and manual
    /// tier.
    pub(crate) fn take_over(
        &mut self,
        lots: &[Lot],
        paid: &[(LotId, Points)],
        debt: Points,
        tier: Option<&ManualTier>,
    ) {
        self.remove_from_lots(paid);
        self.debt = debt;
        for lot in lots {
            self.add_lot(lot.clone());
        }
        self.manual_tier = tier.cloned().or_else(|| self.manual_tier.take());
    }

    /// The activity, copied first if another account shares it.
    pub(crate) fn activity_mut(&mut self) -> &mut AccountActivity {
        Arc::make_mut(&mut self.activity)
    }

    /// Adds points to a lot. Those that go to no lot pay off debt.
    fn credit(
        &mut self,
        points: Points,
        lot: Option<&LotCredit>,
        order: Option<&OrderId>,
        import: Option<&ImportId>,
    ) {
        let kept = lot.map_or(Points::ZERO, |lot| lot.points);
        self.debt = self.debt.saturating_sub(points.saturating_sub(kept));
        let Some(lot) = lot else { return };

        // Points of orders are not tracked separately in the non-expiring lot.
        let is_shared = lot.is_non_expiring();
        if order.is_some() && is_shared {
            self.inactivity_expirations.mark_reclaimable();
        }

        let LotCredit { id, points, earned_at, expires_at, pending_until, .. } = *lot;
        let order = order.filter(|_| !is_shared).cloned();
        let import = import.cloned();
        self.add_lot(Lot {
            id,
            order,
            import,
            points,
            earned_at,
            expires_at,
            pending_until,
        });
    }

    /// Adds a lot, or its points to the one of the same id.
    fn add_lot(&mut self, lot: Lot) {
        self.lots_opened = self.lots_opened.max(lot.id.0);
        if lot.pending_until.is_some() { self.pending.add(lot) } else { self.lots.add(lot) }
    }

    /// Notes that the points of a pending bonus are in another lot, or in none.
    fn relocate_bonus(&mut self, lot: LotId, into: Option<&LotCredit>, at: Timestamp) {
        let non_expiring_since = into.filter(|into| into.is_non_expiring()).map(|_| at);
        let into = into.map(|into| into.id);
        let is_moved = into != Some(lot) || non_expiring_since.is_some();
        if is_moved && self.activity.has_bonus_in(lot) {
            self.activity_mut().relocate(lot, into, non_expiring_since);
            if non_expiring_since.is_some() {
                self.inactivity_expirations.mark_reclaimable();
            }
        }
    }

    fn deduct_parts(&mut self, parts: &[Lot]) {
        for part in parts {
            self.lots.deduct(part.id, part.points);
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
