//! Spending and taking back: from which lots points leave.

use crate::account::{Account, Given, Lot};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::Taking;
use crate::id::{LotId, OrderId};
use crate::order::OrderState;
use crate::program::DebtPolicy;

/// Takes up to `points` from `lots`, one after the other; answers the parts and what is missing.
pub(crate) fn drain<'a>(
    lots: impl Iterator<Item = &'a Lot>,
    points: Points,
) -> (Vec<(LotId, Points)>, Points) {
    let mut missing = points;
    let mut parts = Vec::new();
    for lot in lots {
        if !missing.is_positive() {
            break;
        }
        let part = lot.points.min(missing);
        missing = missing.saturating_sub(part);
        parts.push((lot.id, part));
    }
    (parts, missing)
}

/// Takes points of an order back: first what is left of its own lots, then others that are pending, then
/// others in spending order, then by policy as debt or not at all.
///
/// In the lot without an end an order's points are not told apart; all of it counts as its own. So does what
/// ran out of it: that is not taken again.
pub(crate) fn take_back(
    account: &Account,
    now: Timestamp,
    (id, order): (&OrderId, &OrderState),
    points: Points,
    policy: DebtPolicy,
) -> Taking {
    let mut lasting = order.lasting().map(|(since, _)| since);
    let lasting = lasting.any(|since| !account.ran_out().has_ended_since(since));
    let lasting = account.lots().lasting().filter(|_| lasting).map(|lot| lot.id);
    let is_own = |lot: &&Lot| lot.order.as_ref() == Some(id) || Some(lot.id) == lasting;
    let own = account.lots().of_order(id).filter(|lot| lot.is_usable(now));
    let own = own.chain(lasting.and_then(|lasting| account.lots().get(lasting)));
    let ran_out = account.ran_out().of(order.lasting(), points);
    taken(
        account,
        now,
        (own, account.pending_lots().of_order(id)),
        is_own,
        (points, ran_out),
        policy,
    )
}

/// Takes points back that were given for something else than an order, in the same sequence.
pub(crate) fn take_given(
    account: &Account,
    now: Timestamp,
    given: &Given,
    policy: DebtPolicy,
) -> Taking {
    let (lot, points) = (given.lot, given.remaining());
    let is_own = |other: &&Lot| Some(other.id) == lot;
    let available = lot.and_then(|lot| account.lots().get(lot));
    let pending = lot.and_then(|lot| account.pending_lots().get(lot));
    let lasting = given.lasting.map(|since| (since, points));
    let ran_out = account.ran_out().of(lasting.into_iter(), points);
    taken(
        account,
        now,
        (available.into_iter(), pending.into_iter()),
        is_own,
        (points, ran_out),
        policy,
    )
}

fn taken<'a>(
    account: &'a Account,
    now: Timestamp,
    (own, own_pending): (impl Iterator<Item = &'a Lot>, impl Iterator<Item = &'a Lot>),
    is_own: impl Fn(&&Lot) -> bool,
    (points, ran_out): (Points, Vec<(Timestamp, Points)>),
    policy: DebtPolicy,
) -> Taking {
    let points = ran_out
        .iter()
        .fold(points, |left, (_, points)| left.saturating_sub(*points));
    let (mut lots, missing) = drain(own, points);
    let (mut pending, missing) = drain(own_pending, missing);
    let (more, missing) = drain(account.pending_lots().iter().filter(|lot| !is_own(lot)), missing);
    pending.extend(more);
    let (more, missing) = drain(account.usable_lots(now).filter(|lot| !is_own(lot)), missing);
    lots.extend(more);
    match policy {
        DebtPolicy::Allow => Taking {
            lots,
            pending,
            debt: missing,
            forgiven: Points::ZERO,
            ran_out,
        },
        DebtPolicy::StopAtZero => Taking {
            lots,
            pending,
            debt: Points::ZERO,
            forgiven: missing,
            ran_out,
        },
    }
}
