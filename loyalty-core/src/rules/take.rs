//! Spending and taking back: from which lots points leave.

use crate::account::{Account, Lot};
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::Taking;
use crate::id::{LotId, OrderId};
use crate::order::OrderState;
use crate::program::DebtPolicy;

/// Takes up to `points` from `lots`, one after the other; answers the parts and what is missing.
pub(crate) fn drain<'a>(lots: impl Iterator<Item = &'a Lot>, points: Points) -> (Vec<(LotId, Points)>, Points) {
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

/// Takes points of an order back: first what is left of its own lots, then other lots in spending order,
/// then by policy as debt or not at all.
///
/// In the lot without an end an order's points are not told apart; all of it counts as its own.
pub(crate) fn take_back(
    account: &Account,
    now: Timestamp,
    (id, order): (&OrderId, &OrderState),
    points: Points,
    policy: DebtPolicy,
) -> Taking {
    let is_own = |lot: &&Lot| match lot.expires_at {
        Some(_) => lot.order.as_ref() == Some(id),
        None => order.earned_lasting(),
    };
    let own = account.usable_lots(now).filter(is_own);
    let others = account.usable_lots(now).filter(|lot| !is_own(lot));
    let (lots, missing) = drain(own.chain(others), points);
    match policy {
        DebtPolicy::Allow => Taking { lots, debt: missing, forgiven: Points::ZERO },
        DebtPolicy::StopAtZero => Taking { lots, debt: Points::ZERO, forgiven: missing },
    }
}
