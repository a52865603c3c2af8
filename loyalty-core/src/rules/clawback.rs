//! Spending and taking back: from which lots points leave.

use crate::account::{Account, Bonus};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{LotId, OrderId};
use crate::lot::{Clawback, Lot};
use crate::order::OrderState;
use crate::program::DebtPolicy;

/// Takes up to `points` from `lots`, one after the other; answers the parts and what is missing.
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

/// Takes points of an order back: first what is left of its own lots, then others that are pending, then
/// others in spending order, then by policy as debt or not at all.
///
/// In the lot without an end an order's points are not told apart; all of it counts as its own. So does what
/// ran out of it: that is not taken again.
pub(crate) fn claw_back_order(
    account: &Account,
    now: Timestamp,
    (id, order): (&OrderId, &OrderState),
    points: Points,
    policy: DebtPolicy,
) -> Clawback {
    let mut lasting = order.non_expiring_points().map(|(since, _)| since);
    let lasting = lasting.any(|since| !account.inactivity_expirations().has_expired_since(since));
    let lasting = account
        .lots()
        .non_expiring_lot()
        .filter(|_| lasting)
        .map(|lot| lot.id);
    let is_own = |lot: &&Lot| lot.order.as_ref() == Some(id) || Some(lot.id) == lasting;
    let own = account.lots().of_order(id).filter(|lot| lot.is_usable(now));
    let own = own.chain(lasting.and_then(|lasting| account.lots().get(lasting)));
    let ran_out = account
        .inactivity_expirations()
        .attribute(order.non_expiring_points(), points);
    claw_back(
        account,
        now,
        (own, account.pending_lots().of_order(id)),
        is_own,
        (points, ran_out),
        policy,
    )
}

/// Takes points back that were given for something else than an order, in the same sequence.
pub(crate) fn claw_back_bonus(
    account: &Account,
    now: Timestamp,
    given: &Bonus,
    policy: DebtPolicy,
) -> Clawback {
    let (lot, points) = (given.lot, given.remaining());
    let is_own = |other: &&Lot| Some(other.id) == lot;
    let available = lot.and_then(|lot| account.lots().get(lot));
    let pending = lot.and_then(|lot| account.pending_lots().get(lot));
    let lasting = given.non_expiring_since.map(|since| (since, points));
    let ran_out = account
        .inactivity_expirations()
        .attribute(lasting.into_iter(), points);
    claw_back(
        account,
        now,
        (available.into_iter(), pending.into_iter()),
        is_own,
        (points, ran_out),
        policy,
    )
}

fn claw_back<'a>(
    account: &'a Account,
    now: Timestamp,
    (own, own_pending): (impl Iterator<Item = &'a Lot>, impl Iterator<Item = &'a Lot>),
    is_own: impl Fn(&&Lot) -> bool,
    (points, ran_out): (Points, Vec<(Timestamp, Points)>),
    policy: DebtPolicy,
) -> Clawback {
    let points = ran_out
        .iter()
        .fold(points, |left, (_, points)| left.saturating_sub(*points));
    let (mut lots, missing) = draw_points(own, points);
    let (mut pending, missing) = draw_points(own_pending, missing);
    let (more, missing) =
        draw_points(account.pending_lots().iter().filter(|lot| !is_own(lot)), missing);
    pending.extend(more);
    let (more, missing) = draw_points(account.usable_lots(now).filter(|lot| !is_own(lot)), missing);
    lots.extend(more);
    match policy {
        DebtPolicy::Allow => Clawback {
            lots,
            pending,
            debt: missing,
            forgiven: Points::ZERO,
            already_expired: ran_out,
        },
        DebtPolicy::StopAtZero => Clawback {
            lots,
            pending,
            debt: Points::ZERO,
            forgiven: missing,
            already_expired: ran_out,
        },
    }
}
