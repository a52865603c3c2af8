//! The state of a customer's account: a compact fold of its journal.

mod lot;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::event::{Event, LotPart, ManualTier};
use crate::id::{AccountId, LotId};

pub use lot::Lot;

/// A customer's points: the lots that can be spent, or the debt where more was taken than there was.
///
/// Its size depends on the lots still alive, not on the customer's history: lots without an end are one
/// lot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Account {
    /// In spending order; none is empty; all are empty while there is debt.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    lots: Vec<Lot>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    debt: Points,
    lots_opened: u32,
    totals: Totals,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    tier: Option<ManualTier>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    merged_into: Option<AccountId>,
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
}

impl Totals {
    /// What the balance must be: all that came in less all that went out.
    pub fn balance(&self) -> Points {
        let sum = |parts: [Points; 3]| parts.map(Points::get).into_iter().fold(0, i64::saturating_add);
        let came = sum([self.awarded, self.added, self.merged]);
        let went = sum([self.taken, self.subtracted, self.expired]);
        let count = came.saturating_sub(went);
        Points::new(count).unwrap_or(if count > 0 { Points::MAX } else { Points::MIN })
    }
}

impl Account {
    /// The balance as of `now`: what can be spent, less what is owed. Right without any job having
    /// written expiry down.
    pub fn balance(&self, now: Timestamp) -> Points {
        self.usable_lots(now).fold(self.debt.negated(), |sum, lot| sum.saturating_add(lot.points))
    }

    /// The lots usable at `now`, in spending order.
    pub fn usable_lots(&self, now: Timestamp) -> impl Iterator<Item = &Lot> {
        self.lots.iter().filter(move |lot| lot.is_usable(now))
    }

    /// All lots that are not written off yet, in spending order.
    pub fn lots(&self) -> &[Lot] {
        &self.lots
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
        self.tier.as_ref().filter(|tier| tier.until.is_none_or(|until| now < until))
    }

    /// The account that this one was merged into.
    pub fn merged_into(&self) -> Option<AccountId> {
        self.merged_into
    }

    /// The id of the next lot to be opened.
    pub(crate) fn next_lot(&self) -> LotId {
        LotId(self.lots_opened.saturating_add(1))
    }

    /// The one lot without an end, where there is one.
    pub(crate) fn lasting_lot(&self) -> Option<&Lot> {
        self.lots.iter().find(|lot| lot.expires_at.is_none())
    }

    /// Whether the books of this account add up: the parts are those of the balance, nothing is
    /// negative, and nobody who owes has something to spend.
    pub fn is_sound(&self) -> bool {
        let held = self.lots.iter().fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points));
        let in_order = self.lots.is_sorted_by(|a, b| a.spending_order() <= b.spending_order());
        let whole = self.lots.iter().all(|lot| lot.points.is_positive());
        let one_side = self.debt.is_zero() || (self.debt.is_positive() && held.is_zero());
        in_order && whole && one_side && held.saturating_sub(self.debt) == self.totals.balance()
    }

    /// Folds one event. Total: events about orders alone change nothing here.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::PointsAwarded { points, lot, order, .. } => {
                self.totals.awarded = self.totals.awarded.saturating_add(*points);
                self.put(*points, lot.as_ref(), Some(order));
            }
            Event::PointsAdded { points, lot, .. } => {
                self.totals.added = self.totals.added.saturating_add(*points);
                self.put(*points, lot.as_ref(), None);
            }
            Event::PointsTakenBack { taking, .. } => {
                self.totals.taken = self.totals.taken.saturating_add(taking.points());
                self.debt = self.debt.saturating_add(taking.debt);
                self.take(&taking.lots);
            }
            Event::PointsSubtracted { lots, .. } => {
                self.totals.subtracted = self.totals.subtracted.saturating_sub(event.points());
                self.take(lots);
            }
            Event::PointsExpired { lot, points, .. } => {
                self.totals.expired = self.totals.expired.saturating_add(*points);
                self.take(&[(*lot, *points)]);
            }
            Event::TierSet { tier } => self.tier.clone_from(tier),
            Event::AccountMerged { into, points } => {
                self.totals.merged = self.totals.merged.saturating_sub(*points);
                (self.lots, self.debt, self.tier) = (Vec::new(), Points::ZERO, None);
                self.merged_into = Some(*into);
            }
            Event::AccountAbsorbed { lots, paid, debt, points, tier, .. } => {
                self.totals.merged = self.totals.merged.saturating_add(*points);
                self.take(paid);
                self.debt = *debt;
                for lot in lots {
                    self.adopt(lot.clone());
                }
                self.tier = tier.clone().or_else(|| self.tier.take());
            }
            Event::CustomerAdded
            | Event::Discount(_)
            | Event::OrderCancelled { .. }
            | Event::OrderClosed { .. }
            | Event::OrderPinned { .. }
            | Event::OrderRecorded { .. }
            | Event::OrderRefunded { .. } => {}
        }
    }

    /// Points come in: what does not go into a lot pays off debt.
    fn put(&mut self, points: Points, part: Option<&LotPart>, order: Option<&crate::id::OrderId>) {
        let kept = part.map_or(Points::ZERO, |part| part.points);
        self.debt = self.debt.saturating_sub(points.saturating_sub(kept));
        let Some(part) = part else { return };
        let order = order.filter(|_| part.expires_at.is_some()).cloned();
        let (id, points) = (part.id, part.points);
        self.adopt(Lot { id, order, points, earned_at: part.earned_at, expires_at: part.expires_at });
    }

    /// A lot grows, or a new one takes its place in spending order.
    fn adopt(&mut self, lot: Lot) {
        self.lots_opened = self.lots_opened.max(lot.id.0);
        if let Some(known) = self.lots.iter_mut().find(|known| known.id == lot.id) {
            known.points = known.points.saturating_add(lot.points);
            return;
        }
        let place = self.lots.partition_point(|known| known.spending_order() <= lot.spending_order());
        self.lots.insert(place, lot);
    }

    fn take(&mut self, parts: &[(LotId, Points)]) {
        for (id, points) in parts {
            if let Some(lot) = self.lots.iter_mut().find(|lot| lot.id == *id) {
                lot.points = lot.points.saturating_sub(*points);
            }
        }
        self.lots.retain(|lot| !lot.points.is_zero());
    }
}
