//! All lots of an account, found by spending order, by number and by order.

pub(super) mod codec;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{LotId, OrderId};
use crate::lot::{Lot, SpendingKey};
use crate::tree::{Nodes, Summarize, Tree};

/// Lots in spending order. Copy-on-write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lots {
    by_key: Tree<SpendingKey, Lot>,
    keys_by_id: Tree<LotId, SpendingKey>,
    by_order: Tree<(OrderId, LotId), ()>,
    non_expiring: Option<LotId>,
}

impl Summarize for SpendingKey {
    type Summary = ();
    fn summary(&self) {}
    fn sum((): (), (): ()) {}
}

impl Lots {
    /// The lots in spending order, pending ones by their release.
    pub fn iter(&self) -> impl Iterator<Item = &Lot> {
        self.by_key.iter().map(|(_, lot)| lot)
    }

    /// The number of lots.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The points of all lots. Costs a constant.
    pub fn points(&self) -> Points {
        self.by_key.summary()
    }

    /// The lot with a number.
    pub fn get(&self, id: LotId) -> Option<&Lot> {
        self.by_key.get(self.keys_by_id.get(&id)?)
    }

    /// The lots that an order opened, in the order of their numbers.
    pub fn of_order(&self, order: &OrderId) -> impl Iterator<Item = &Lot> {
        let ids = self
            .by_order
            .iter_from(&(order.clone(), LotId(0)))
            .map(|(key, ())| key);
        ids.take_while(move |(of, _)| of == order)
            .filter_map(|(_, id)| self.get(*id))
    }

    /// The lot without expiry and without an order of its own.
    pub(crate) fn non_expiring_lot(&self) -> Option<&Lot> {
        self.non_expiring.and_then(|id| self.get(id))
    }

    /// The lot that expires, or is released, first.
    pub(crate) fn first(&self) -> Option<&Lot> {
        self.by_key.first().map(|(_, lot)| lot)
    }

    /// The points of the lots that expire, or are released, at `now` or before.
    pub(crate) fn points_ended_by(&self, now: Timestamp) -> Points {
        let after = now.checked_add_signed(chrono::TimeDelta::nanoseconds(1));
        let after = (false, after, Timestamp::MIN_UTC, LotId(0));
        // Mostly there is none, and the first lot shows it. The sum would look into a
        // chunk on every level.
        let is_none =
            after.1.is_none() || self.by_key.first().is_none_or(|(first, _)| *first >= after);
        if is_none { Points::ZERO } else { self.by_key.summary_below(&after) }
    }

    /// The lots that expire, or are released, after `now`.
    pub(crate) fn ending_after(&self, now: Timestamp) -> impl Iterator<Item = &Lot> {
        let last = (false, Some(now), Timestamp::MAX_UTC, LotId(u32::MAX));
        self.by_key.iter_from(&last).map(|(_, lot)| lot)
    }

    /// Adds a lot, or its points to the one of the same number.
    pub(crate) fn add(&mut self, mut lot: Lot) {
        if let Some(known) = self.get(lot.id).cloned() {
            lot = Lot { points: known.points.saturating_add(lot.points), ..known };
        }
        self.index(&lot);
        self.by_key.insert(lot.spending_key(), lot);
    }

    /// Indexes a lot by its number and its order.
    fn index(&mut self, lot: &Lot) {
        let place = lot.spending_key();
        if let Some(order) = &lot.order {
            self.by_order.insert((order.clone(), lot.id), ());
        } else if lot.is_shared() {
            // There is at most one. If a damaged row has more, the first in spending
            // order is chosen.
            let known = self.non_expiring.and_then(|id| self.keys_by_id.get(&id));
            if known.is_none_or(|known| place < *known) {
                self.non_expiring = Some(lot.id);
            }
        }
        self.keys_by_id.insert(lot.id, place);
    }

    /// Deducts points from a lot and removes it if it is empty. Returns the lot as it was
    /// before.
    pub(crate) fn deduct(&mut self, id: LotId, points: Points) -> Option<Lot> {
        let place = *self.keys_by_id.get(&id)?;
        let lot = self.by_key.get(&place)?.clone();
        let left = lot.points.saturating_sub(points);
        if left.is_positive() {
            self.by_key.insert(place, Lot { points: left, ..lot.clone() });
            return Some(lot);
        }
        self.by_key.remove(&place);
        self.keys_by_id.remove(&id);
        if let Some(order) = &lot.order {
            self.by_order.remove(&(order.clone(), id));
        }
        self.non_expiring = self.non_expiring.filter(|lasting| *lasting != id);
        Some(lot)
    }
}

/// Apart from those that end before.
impl Lots {
    /// The last chunk alone, to be written: nothing in it is found by its number or its
    /// order. And the chunks before it.
    pub(super) fn split(&self) -> (Self, &Nodes<SpendingKey, Lot>) {
        (Self { by_key: self.by_key.newest(), ..Self::default() }, self.by_key.older())
    }

    /// The same with chunks before its own, and all lots found in every way. None where
    /// they are not before these, or one number is there twice.
    pub(super) fn with_older(self, older: &Nodes<SpendingKey, Lot>) -> Option<Self> {
        let in_order = self.by_key.with_older(older)?;
        if self.keys_by_id.len() == in_order.len() {
            return Some(Self { by_key: in_order, ..self });
        }
        let mut whole = Self { by_key: in_order.clone(), ..Self::default() };
        in_order.iter().for_each(|(_, lot)| whole.index(lot));
        (whole.keys_by_id.len() == in_order.len()).then_some(whole)
    }
}

impl FromIterator<Lot> for Lots {
    fn from_iter<I: IntoIterator<Item = Lot>>(lots: I) -> Self {
        let mut all = Self::default();
        lots.into_iter().for_each(|lot| all.add(lot));
        all
    }
}

/// A plain list.
#[cfg(feature = "json")]
mod json {
    use super::{Lot, Lots};

    impl serde::Serialize for Lots {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(self.iter())
        }
    }

    impl<'de> serde::Deserialize<'de> for Lots {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            Vec::<Lot>::deserialize(from).map(|lots| lots.into_iter().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn lots_end_at_their_instants() {
        let lot = |number: u32| {
            let end = Some(at(i64::from(number).saturating_mul(10)));
            let (expires_at, pending_until) = if number > 20 { (None, end) } else { (end, None) };
            Lot {
                id: LotId(number),
                order: None,
                import: None,
                points: Points::from(7),
                earned_at: at(0),
                expires_at,
                pending_until,
            }
        };
        let lasting = Lot { id: LotId(99), expires_at: None, ..lot(1) };
        let (ending, pending): (Lots, Lots) =
            ((1..=20).map(lot).chain([lasting]).collect(), (21..=40).map(lot).collect());
        for (lots, now, over) in [
            (&ending, Timestamp::MIN_UTC, 0),
            (&ending, at(9), 0),
            (&ending, at(10), 1),
            (&ending, at(199), 19),
            (&ending, at(200), 20),
            (&ending, at(i64::from(u32::MAX)), 20),
            (&pending, at(209), 0),
            (&pending, at(210), 1),
            (&pending, at(400), 20),
        ] {
            assert_eq!(lots.points_ended_by(now).get(), over * 7, "{now}");
            assert_eq!(
                lots.iter().count().saturating_sub(lots.ending_after(now).count()),
                usize::try_from(over).unwrap()
            );
        }
        assert_eq!(Lots::default().points_ended_by(at(10)), Points::ZERO);
    }
}
