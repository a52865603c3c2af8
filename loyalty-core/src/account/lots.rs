//! All lots of an account, found by spending order, by number and by order.

pub(super) mod text;

use crate::account::Lot;
use crate::account::lot::Place;
use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::id::{LotId, OrderId};
use crate::tree::{Nodes, Tree, Weighed};

/// Lots in spending order. Copies are cheap: they share what neither has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lots {
    in_order: Tree<Place, Lot>,
    places: Tree<LotId, Place>,
    of_orders: Tree<(OrderId, LotId), ()>,
    lasting: Option<LotId>,
}

impl Weighed for Place {
    type Weight = ();
    fn weight(&self) {}
    fn sum((): (), (): ()) {}
}

impl Lots {
    /// In spending order; pending ones by their release.
    pub fn iter(&self) -> impl Iterator<Item = &Lot> {
        self.in_order.iter().map(|(_, lot)| lot)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.in_order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// The points in all of them.
    pub fn points(&self) -> Points {
        self.in_order.weight()
    }

    /// The lot of this number.
    pub fn get(&self, id: LotId) -> Option<&Lot> {
        self.in_order.get(self.places.get(&id)?)
    }

    /// The lots that an order opened, first first.
    pub fn of_order(&self, order: &OrderId) -> impl Iterator<Item = &Lot> {
        let ids = self
            .of_orders
            .iter_from(&(order.clone(), LotId(0)))
            .map(|(key, ())| key);
        ids.take_while(move |(of, _)| of == order)
            .filter_map(|(_, id)| self.get(*id))
    }

    /// The one lot without an end and without an order of its own.
    pub(crate) fn lasting(&self) -> Option<&Lot> {
        self.lasting.and_then(|id| self.get(id))
    }

    /// The one that ends, or is released, next.
    pub(crate) fn first(&self) -> Option<&Lot> {
        self.in_order.first().map(|(_, lot)| lot)
    }

    /// The points of the lots that end, or are released, at `now` or before.
    pub(crate) fn points_over(&self, now: Timestamp) -> Points {
        let after = now.checked_add_signed(chrono::TimeDelta::nanoseconds(1));
        let after = (false, after, Timestamp::MIN_UTC, LotId(0));
        // Mostly there is none, and the first one tells: sooner than the sum of nothing is found, which looks into a
        // chunk on every level of the tree.
        let is_none =
            after.1.is_none() || self.in_order.first().is_none_or(|(first, _)| *first >= after);
        if is_none { Points::ZERO } else { self.in_order.weight_below(&after) }
    }

    /// The lots that end, or are released, after `now`.
    pub(crate) fn after(&self, now: Timestamp) -> impl Iterator<Item = &Lot> {
        let last = (false, Some(now), Timestamp::MAX_UTC, LotId(u32::MAX));
        self.in_order.iter_from(&last).map(|(_, lot)| lot)
    }

    /// A lot grows, or a new one takes its place.
    pub(crate) fn put(&mut self, mut lot: Lot) {
        if let Some(known) = self.get(lot.id).cloned() {
            lot = Lot { points: known.points.saturating_add(lot.points), ..known };
        }
        self.list(&lot);
        self.in_order.insert(lot.place(), lot);
    }

    /// Has a lot found by its number and its order.
    fn list(&mut self, lot: &Lot) {
        let place = lot.place();
        if let Some(order) = &lot.order {
            self.of_orders.insert((order.clone(), lot.id), ());
        } else if lot.expires_at.is_none() && lot.pending_until.is_none() {
            // There is one at most. Of those that a damaged row has, it is the same in whatever order they come.
            let known = self.lasting.and_then(|id| self.places.get(&id));
            if known.is_none_or(|known| place < *known) {
                self.lasting = Some(lot.id);
            }
        }
        self.places.insert(lot.id, place);
    }

    /// Takes points off a lot; an empty one is no more. Answers the lot as it was.
    pub(crate) fn take(&mut self, id: LotId, points: Points) -> Option<Lot> {
        let place = *self.places.get(&id)?;
        let lot = self.in_order.get(&place)?.clone();
        let left = lot.points.saturating_sub(points);
        if left.is_positive() {
            self.in_order.insert(place, Lot { points: left, ..lot.clone() });
            return Some(lot);
        }
        self.in_order.remove(&place);
        self.places.remove(&id);
        if let Some(order) = &lot.order {
            self.of_orders.remove(&(order.clone(), id));
        }
        self.lasting = self.lasting.filter(|lasting| *lasting != id);
        Some(lot)
    }
}

/// Apart from those that end before.
impl Lots {
    /// The last chunk alone, to be written: nothing in it is found by its number or its order. And the chunks before it.
    pub(super) fn split(&self) -> (Self, &Nodes<Place, Lot>) {
        (
            Self { in_order: self.in_order.newest(), ..Self::default() },
            self.in_order.older(),
        )
    }

    /// The same with chunks before its own, and all lots found in every way. None where they are not before these, or
    /// one number is there twice.
    pub(super) fn following(self, older: &Nodes<Place, Lot>) -> Option<Self> {
        let in_order = self.in_order.following(older)?;
        if self.places.len() == in_order.len() {
            return Some(Self { in_order, ..self });
        }
        let mut whole = Self { in_order: in_order.clone(), ..Self::default() };
        in_order.iter().for_each(|(_, lot)| whole.list(lot));
        (whole.places.len() == in_order.len()).then_some(whole)
    }
}

impl FromIterator<Lot> for Lots {
    fn from_iter<I: IntoIterator<Item = Lot>>(lots: I) -> Self {
        let mut all = Self::default();
        lots.into_iter().for_each(|lot| all.put(lot));
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
    fn lots_are_over_at_their_instants() {
        let lot = |number: u32| {
            let end = Some(at(i64::from(number).saturating_mul(10)));
            let (expires_at, pending_until) = if number > 20 { (None, end) } else { (end, None) };
            Lot {
                id: LotId(number),
                order: None,
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
            assert_eq!(lots.points_over(now).get(), over * 7, "{now}");
            assert_eq!(
                lots.iter().count().saturating_sub(lots.after(now).count()),
                usize::try_from(over).unwrap()
            );
        }
        assert_eq!(Lots::default().points_over(at(10)), Points::ZERO);
    }
}
