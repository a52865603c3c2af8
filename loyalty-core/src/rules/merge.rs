//! The merge of two accounts, such as of a guest who turns out to be a customer, and its undoing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::{Absorption, Account, MergedState, StateBefore, UndoneClaim};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::{AdjustmentReason, Event};
use crate::id::{AccountId, LotId, OrderId};
use crate::lot::Lot;
use crate::rejection::Rejection;
use crate::rules::work::DecisionBuilder;
use crate::rules::{clawback, expiry};

/// The events of both accounts when `from` is merged into `into`.
///
/// Lots keep their expiry. A debt of one account is paid by the lots of the other. Both
/// must have caught up with `now` before: see
/// [`Command::CatchUp`](crate::Command::CatchUp). An account is not merged into itself:
/// then there are no events.
///
/// # Errors
/// [`Rejection::PointsOutOfRange`] if the sum of both leaves the range.
pub fn merge(
    (from_id, from): (AccountId, &Account),
    (into_id, into): (AccountId, &Account),
    now: Timestamp,
) -> Result<(Vec<Event>, Vec<Event>), Rejection> {
    if from_id == into_id {
        return Ok((Vec::new(), Vec::new()));
    }

    let (mut from_events, mut into_events) = (expiry_events(from, now), expiry_events(into, now));
    let points = from.balance(now);
    let pending = from.pending_lots().points();
    into.balance(now)
        .checked_add(points)
        .ok_or(Rejection::PointsOutOfRange)?;
    let moved = points.checked_add(pending).ok_or(Rejection::PointsOutOfRange)?;
    into.totals()
        .merged
        .checked_add(moved)
        .ok_or(Rejection::PointsOutOfRange)?;
    into.totals()
        .pending
        .checked_add(pending)
        .ok_or(Rejection::PointsOutOfRange)?;
    from.totals()
        .merged
        .checked_sub(moved)
        .ok_or(Rejection::PointsOutOfRange)?;

    let (spent, into_debt) = clawback::draw_points(from.usable_lots(now), into.debt());
    let (paid, from_debt) = clawback::draw_points(into.usable_lots(now), from.debt());
    let debt = into_debt.checked_add(from_debt).ok_or(Rejection::PointsOutOfRange)?;

    // What is left of `from` after paying the debt of `into`.
    let mut left = from.clone();
    let spent =
        Event::PointsSubtracted { lots: spent, reason: AdjustmentReason::default(), at: None };
    left.evolve(&spent);

    let tier = from
        .manual_tier(now)
        .filter(|_| into.manual_tier(now).is_none())
        .cloned();
    let all = || left.usable_lots(now).chain(left.pending_lots().iter());
    let lots = renumber(all(), into);

    // Bonuses that can be clawed back must find their lots under the new numbers.
    let remembered: BTreeSet<LotId> = from.activity().bonus_lots().collect();
    let numbers = all().zip(&lots).map(|(old, new)| (old.id, new.id));
    let numbers = numbers.filter(|(old, _)| remembered.contains(old)).collect();
    // With it the merge can be undone: an account without any state has a default one.
    let merged_state = Arc::new(MergedState { pending, lot_ids: numbers, ..from.merged_state() });

    from_events.push(Event::AccountMerged { into: into_id, points, pending });
    into_events.push(Event::AccountAbsorbed(Arc::new(Absorption {
        from: from_id,
        lots,
        paid,
        debt,
        points,
        tier,
        merged_state: Some(merged_state),
        before: Some(StateBefore::new(into, from)),
        at: Some(now),
    })));
    Ok((from_events, into_events))
}

impl DecisionBuilder<'_> {
    /// Undoes a merge as long as everything is there that it brought: its lots leave, and
    /// what they count for. What expired meanwhile stays expired.
    ///
    /// # Errors
    /// [`Rejection::ClaimSpent`] if points of it were spent, taken back or paid off debt, or
    /// if the merge is from before merges could be undone.
    pub(crate) fn undo_claim(&mut self, claim: &Arc<Absorption>) -> Result<(), Rejection> {
        let now = self.context.now;
        let brought = claim
            .lots
            .iter()
            .filter(|lot| lot.pending_until.is_none())
            .fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points));
        let is_settled = claim.before.is_some()
            && brought == claim.points
            && claim.paid.is_empty()
            && claim.debt.is_zero();
        let redemptions = claim.merged_state.iter().flat_map(|state| state.redemptions.iter());
        let mut open = redemptions.filter(|issued| issued.ends_at().is_none_or(|end| now < end));
        let are_open = open.all(|issued| self.account.redemptions().contains(issued.issue().id));
        // A gift that was issued or taken back since the merge belongs to what both had.
        let mut brought = claim.merged_state.iter().map(|state| state.activity.gifts());
        let has_gifts = brought.all(|gifts| self.account.activity().gifts().contains_all(gifts));
        if !is_settled || !are_open || !has_gifts {
            return Err(Rejection::ClaimSpent);
        }

        let lots = self.lots_of_claim(claim).ok_or(Rejection::ClaimSpent)?;
        let (pending, usable): (Vec<&Lot>, Vec<&Lot>) =
            lots.iter().partition(|lot| lot.pending_until.is_some());
        let sum = |lots: Vec<&Lot>| {
            lots.into_iter()
                .fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points))
        };

        let qualified = self.current_qualified_rank();
        let (claim, points, pending) = (Arc::clone(claim), sum(usable), sum(pending));
        let undone = UndoneClaim { claim, points, pending, lots, at: now };
        self.emit(Event::ClaimUndone(Arc::new(undone)));
        self.recheck_tier(qualified)?;
        self.recheck_goals();
        Ok(())
    }

    /// The lots of a merge as they are now. `None` if one is no longer whole.
    fn lots_of_claim(&self, claim: &Absorption) -> Option<Vec<Lot>> {
        let (account, now) = (&self.account, self.context.now);
        let mut used = BTreeMap::<LotId, Points>::new();
        let mut left = Vec::new();
        for lot in claim.lots.iter().filter(|lot| lot.is_usable(now)) {
            let own = account.lots().get(lot.id).or(account.pending_lots().get(lot.id));
            // Released points without an end are in the shared lot.
            let shared = || {
                account
                    .lots()
                    .non_expiring_lot()
                    .filter(|_| lot.pending_until.is_some() && lot.expires_at.is_none())
            };
            let found = own.or_else(shared)?;
            let taken = used.entry(found.id).or_default();
            *taken = taken.checked_add(lot.points)?;
            if *taken > found.points {
                return None;
            }
            let pending_until = lot.pending_until.and(found.pending_until);
            left.push(Lot { id: found.id, pending_until, ..lot.clone() });
        }
        Some(left)
    }

    /// Notes once that an order names a guest.
    pub(crate) fn note_guest(&mut self, order: &OrderId, guest: AccountId) {
        if self.order.guest() != Some(guest) {
            self.emit(Event::OrderNamedGuest { order: order.clone(), guest, at: self.context.now });
        }
    }

    /// Opens an account again with what the undoing of its merge gave back.
    pub(crate) fn reopen_account(&mut self, from: AccountId, undone: &UndoneClaim) {
        let UndoneClaim { claim, lots, points, pending, .. } = undone;
        if self.account.merged_into() != Some(from) {
            return;
        }
        let new = renumber(lots.iter(), &self.account);

        // Bonuses name lots as they were before the merge, which has numbered them anew.
        let numbers: BTreeMap<_, _> =
            lots.iter().zip(&new).map(|(old, new)| (old.id, new.id)).collect();
        let state = claim.merged_state.as_deref().map(|state| {
            let known = state.lot_ids.iter();
            let lot_ids = known.filter_map(|(old, merged)| Some((*old, *numbers.get(merged)?)));
            Arc::new(MergedState { lot_ids: lot_ids.collect(), ..state.clone() })
        });
        self.emit(Event::AccountReopened {
            from,
            lots: new,
            points: *points,
            pending: *pending,
            tier: claim.tier.clone(),
            merged_state: state,
            at: self.context.now,
        });
    }
}

/// Expiries by `now`, before anything is moved.
fn expiry_events(account: &Account, now: Timestamp) -> Vec<Event> {
    let lots = account.lots().iter().take_while(|lot| !lot.is_usable(now));
    lots.filter_map(|lot| Some(expiry::expiry_event(lot, lot.expires_at?, false, false)))
        .collect()
}

/// The lots with new numbers, those of the account that takes them over. Its non-expiring
/// lot, if it has one, takes the points of theirs.
fn renumber<'a>(lots: impl Iterator<Item = &'a Lot>, into: &Account) -> Vec<Lot> {
    let mut next = into.next_lot_id();
    let mut renumber = |lot: &Lot| {
        if let (true, Some(shared)) = (lot.is_shared(), into.lots().non_expiring_lot()) {
            return Lot { id: shared.id, ..lot.clone() };
        }
        let id = next;
        next = LotId(next.0.saturating_add(1));
        Lot { id, ..lot.clone() }
    };
    lots.map(&mut renumber).collect()
}
