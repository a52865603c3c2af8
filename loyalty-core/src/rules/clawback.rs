//! Spending and clawing back: the lots that points are taken from.

use crate::account::{Account, Bonus};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{LotId, OrderId};
use crate::lot::{Clawback, Lot};
use crate::order::OrderState;
use crate::program::DebtPolicy;

/// Draws up to `points` from `lots`, one lot after the other. Returns the parts and the
/// points missing.
pub(crate) fn draw_points<'a>(
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

/// Claws back points of an order: from its own lots, its own pending lots, other pending
/// lots, other lots in spending order; the rest by policy as debt or not at all.
///
/// The non-expiring lot does not track orders: all of it counts as the order's own if the
/// order put points in it. Points that expired from it are not taken again.
pub(crate) fn claw_back_order(
    account: &Account,
    now: Timestamp,
    (id, order): (&OrderId, &OrderState),
    points: Points,
    policy: DebtPolicy,
) -> Clawback {
    // Once the shared lot has expired, what is in it now came later.
    let expirations = account.inactivity_expirations();
    let is_in_shared = order
        .non_expiring_points()
        .any(|(since, _)| !expirations.has_expired_since(since));
    let shared = account.lots().non_expiring_lot().filter(|_| is_in_shared);

    let own = account.lots().of_order(id).filter(|lot| lot.is_usable(now));
    let shared_id = shared.map(|lot| lot.id);
    let is_own = |lot: &&Lot| lot.order.as_ref() == Some(id) || Some(lot.id) == shared_id;
    let already_expired = expirations.attribute(order.non_expiring_points(), points);
    claw_back(
        account,
        now,
        (own.chain(shared), account.pending_lots().of_order(id)),
        is_own,
        (points, already_expired),
        policy,
    )
}

/// Claws back a bonus, in the same sequence.
pub(crate) fn claw_back_bonus(
    account: &Account,
    now: Timestamp,
    bonus: &Bonus,
    policy: DebtPolicy,
) -> Clawback {
    let (lot, points) = (bonus.lot, bonus.remaining());
    let is_own = |other: &&Lot| Some(other.id) == lot;
    let usable = lot.and_then(|lot| account.lots().get(lot));
    let pending = lot.and_then(|lot| account.pending_lots().get(lot));

    let in_shared = bonus.non_expiring_since.map(|since| (since, points));
    let already_expired = account
        .inactivity_expirations()
        .attribute(in_shared.into_iter(), points);
    claw_back(
        account,
        now,
        (usable.into_iter(), pending.into_iter()),
        is_own,
        (points, already_expired),
        policy,
    )
}

fn claw_back<'a>(
    account: &'a Account,
    now: Timestamp,
    (own, own_pending): (impl Iterator<Item = &'a Lot>, impl Iterator<Item = &'a Lot>),
    is_own: impl Fn(&&Lot) -> bool,
    (points, already_expired): (Points, Vec<(Timestamp, Points)>),
    policy: DebtPolicy,
) -> Clawback {
    let points = already_expired
        .iter()
        .fold(points, |left, (_, expired)| left.saturating_sub(*expired));

    let (mut lots, missing) = draw_points(own, points);
    let (mut pending, missing) = draw_points(own_pending, missing);

    // Other pending points come before usable ones: they cannot be spent yet.
    let others = account.pending_lots().iter().filter(|lot| !is_own(lot));
    let (parts, missing) = draw_points(others, missing);
    pending.extend(parts);
    let others = account.usable_lots(now).filter(|lot| !is_own(lot));
    let (parts, missing) = draw_points(others, missing);
    lots.extend(parts);

    let (debt, forgiven) = match policy {
        DebtPolicy::Allow => (missing, Points::ZERO),
        DebtPolicy::StopAtZero => (Points::ZERO, missing),
    };
    Clawback { lots, pending, debt, forgiven, already_expired }
}
