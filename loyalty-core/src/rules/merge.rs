//! Two accounts become one: a guest known by e-mail turns out to be a customer.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::{Account, MergedState};
use crate::calendar::Timestamp;
use crate::event::{AdjustmentReason, Event};
use crate::id::{AccountId, LotId};
use crate::lot::Lot;
use crate::rejection::Rejection;
use crate::rules::{clawback, expiry};

/// The events of both accounts when `from` is merged into `into`. Lots keep their expiry; a debt on one
/// side is paid by the lots of the other. Both must have caught up with `now`: see
/// [`Command::CatchUp`](crate::Command::CatchUp). An account is itself already: nothing happens.
///
/// # Errors
/// [`Rejection::PointsOutOfRange`] where the sum of both would be.
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
    let come = points.checked_add(pending).ok_or(Rejection::PointsOutOfRange)?;
    into.totals()
        .merged
        .checked_add(come)
        .ok_or(Rejection::PointsOutOfRange)?;
    into.totals()
        .pending
        .checked_add(pending)
        .ok_or(Rejection::PointsOutOfRange)?;
    from.totals()
        .merged
        .checked_sub(come)
        .ok_or(Rejection::PointsOutOfRange)?;

    let (spent, into_debt) = clawback::draw_points(from.usable_lots(now), into.debt());
    let (paid, from_debt) = clawback::draw_points(into.usable_lots(now), from.debt());
    let debt = into_debt.checked_add(from_debt).ok_or(Rejection::PointsOutOfRange)?;
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
    let remembered: BTreeSet<LotId> = from.activity().bonus_lots().collect();
    let numbers = all().zip(&lots).map(|(was, is)| (was.id, is.id));
    let numbers = numbers.filter(|(was, _)| remembered.contains(was)).collect();
    let brought = MergedState { pending, lot_ids: numbers, ..from.merged_state() };
    let brought = Some(Arc::new(brought)).filter(|brought| **brought != MergedState::default());
    from_events.push(Event::AccountMerged { into: into_id, points, pending });
    let at = Some(now);
    into_events.push(Event::AccountAbsorbed {
        from: from_id,
        lots,
        paid,
        debt,
        points,
        tier,
        merged_state: brought,
        at,
    });
    Ok((from_events, into_events))
}

/// What has ended by now.
fn expiry_events(account: &Account, now: Timestamp) -> Vec<Event> {
    let lots = account.lots().iter().take_while(|lot| !lot.is_usable(now));
    lots.filter_map(|lot| Some(expiry::expiry_event(lot, lot.expires_at?, false, false)))
        .collect()
}

/// The lots with numbers of the account that they come to. Its lot without an end, if any, takes theirs.
fn renumber<'a>(lots: impl Iterator<Item = &'a Lot>, into: &Account) -> Vec<Lot> {
    let mut next = into.next_lot_id();
    let mut renumber = |lot: &Lot| {
        let lasting =
            lot.expires_at.is_none() && lot.order.is_none() && lot.pending_until.is_none();
        if let (true, Some(lasting)) = (lasting, into.lots().non_expiring_lot()) {
            return Lot { id: lasting.id, ..lot.clone() };
        }
        let id = next;
        next = LotId(next.0.saturating_add(1));
        Lot { id, ..lot.clone() }
    };
    lots.map(&mut renumber).collect()
}
