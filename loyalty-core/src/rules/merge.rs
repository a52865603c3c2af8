//! Two accounts become one: a guest known by e-mail turns out to be a customer.

use crate::account::{Account, Lot};
use crate::calendar::Timestamp;
use crate::event::Event;
use crate::id::{AccountId, LotId};
use crate::rejection::Rejection;
use crate::rules::{expire, take};

/// The events of both accounts when `from` is merged into `into`. Lots keep their expiry; a debt on one
/// side is paid by the lots of the other.
///
/// # Errors
/// [`Rejection::PointsOutOfRange`] where the sum of both would be.
pub fn merge(
    (from_id, from): (AccountId, &Account),
    (into_id, into): (AccountId, &Account),
    now: Timestamp,
) -> Result<(Vec<Event>, Vec<Event>), Rejection> {
    let (mut from_events, mut into_events) = (expire::due(from, now), expire::due(into, now));
    let points = from.balance(now);
    into.balance(now).checked_add(points).ok_or(Rejection::PointsOutOfRange)?;
    into.totals().merged.checked_add(points).ok_or(Rejection::PointsOutOfRange)?;
    from.totals().merged.checked_sub(points).ok_or(Rejection::PointsOutOfRange)?;

    let (spent, into_debt) = take::drain(from.usable_lots(now), into.debt());
    let (paid, from_debt) = take::drain(into.usable_lots(now), from.debt());
    let debt = into_debt.checked_add(from_debt).ok_or(Rejection::PointsOutOfRange)?;
    let mut left = from.clone();
    let spent = Event::PointsSubtracted { lots: spent, grounds: crate::event::Grounds::default() };
    left.evolve(&spent);

    let tier = from.tier(now).filter(|_| into.tier(now).is_none()).cloned();
    let lots = renumbered(left.usable_lots(now), into);
    from_events.push(Event::AccountMerged { into: into_id, points });
    into_events.push(Event::AccountAbsorbed { from: from_id, lots, paid, debt, points, tier });
    Ok((from_events, into_events))
}

/// The lots with numbers of the account that they come to. Its lot without an end, if any, takes theirs.
fn renumbered<'a>(lots: impl Iterator<Item = &'a Lot>, into: &Account) -> Vec<Lot> {
    let mut next = into.next_lot();
    let mut renumber = |lot: &Lot| {
        if let (None, Some(lasting)) = (lot.expires_at, into.lasting_lot()) {
            return Lot { id: lasting.id, ..lot.clone() };
        }
        let id = next;
        next = LotId(next.0.saturating_add(1));
        Lot { id, ..lot.clone() }
    };
    lots.map(&mut renumber).collect()
}
