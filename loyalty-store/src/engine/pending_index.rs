//! Places in a list of states that are newer in memory than in their table, in the order of the
//! list.
//!
//! The place of a state that has reached its table is found by the table's index. After a restart
//! this index is filled again from the journal, as all states are.

use std::collections::BTreeSet;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::map::Map;
use crate::query::Direction;

/// Lists by `L`, such as one for each status. Each state is in at most one of them, at a place `P`.
#[derive(Debug)]
pub(super) struct PendingIndex<K, L, P>(Mutex<Places<K, L, P>>);

#[derive(Debug)]
struct Places<K, L, P> {
    lists: Map<L, BTreeSet<P>>,
    by_key: Map<K, (L, P)>,
}

impl<K, L, P> Default for Places<K, L, P> {
    fn default() -> Self {
        Self { lists: Map::default(), by_key: Map::default() }
    }
}

impl<K, L, P> Default for PendingIndex<K, L, P> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, L: Clone + Eq + Hash, P: Clone + Ord> PendingIndex<K, L, P> {
    fn lock(&self) -> MutexGuard<'_, Places<K, L, P>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where a state is that is newer than its table; `None` if it is in no list.
    pub(super) fn update(&self, key: &K, place: Option<(L, P)>) {
        let mut places = self.lock();
        places.remove(key);
        if let Some((list, place)) = place {
            places.lists.entry(list.clone()).or_default().insert(place.clone());
            places.by_key.insert(key.clone(), (list, place));
        }
    }

    /// Forgets a state that has reached its table.
    pub(super) fn remove(&self, key: &K) {
        self.lock().remove(key);
    }

    pub(super) fn clear(&self) {
        *self.lock() = Places::default();
    }

    /// Returns up to `limit` places of a list behind one.
    pub(super) fn page(
        &self,
        list: &L,
        after: Option<&P>,
        direction: Direction,
        limit: usize,
    ) -> Vec<P> {
        let places = self.lock();
        let Some(list) = places.lists.get(list) else { return Vec::new() };
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        match direction {
            Direction::Ascending => {
                list.range((behind, Bound::Unbounded)).take(limit).cloned().collect()
            }
            Direction::Descending => {
                let rest = list.range((Bound::Unbounded, behind)).rev();
                rest.take(limit).cloned().collect()
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().by_key.len()
    }
}

impl<K: Eq + Hash, L: Eq + Hash, P: Ord> Places<K, L, P> {
    fn remove(&mut self, key: &K) {
        let Some((list, place)) = self.by_key.remove(key) else { return };
        if let Entry::Occupied(mut list) = self.lists.entry(list) {
            list.get_mut().remove(&place);
            if list.get().is_empty() {
                list.remove();
            }
        }
    }
}
