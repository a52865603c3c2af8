//! A bounded map of committed state, with CLOCK eviction.
//!
//! The writer publishes values after each commit. A value that has not reached its table yet is
//! pinned, so a miss means that the table is current. Other values are evicted when there are too
//! many, or when they are too large together.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use foldhash::quality::RandomState;

use super::map::Map;
use crate::error::Failure;

const SHARDS: usize = 16;

/// A bounded map with a lock for each of its shards.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    shards: Vec<RwLock<Shard<K, V>>>,
    /// Of each shard.
    capacity: usize,
    /// What a value takes of the capacity.
    weigh: fn(&V) -> usize,
    hasher: RandomState,
}

#[derive(Debug)]
struct Shard<K, V> {
    slots: Map<K, Slot<V>>,
    /// Of all values together.
    weight: usize,
    /// The keys in the order of the clock's hand, which is at the front.
    clock: VecDeque<K>,
    /// The number of changes by the writer. A reader that has loaded a value meanwhile may have
    /// loaded an old one, and must not cache it.
    write_count: u64,
    /// Look-ups that found a value, and those that loaded it.
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    weight: usize,
    pinned: bool,
    recently_used: AtomicBool,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache of about `capacity` values, besides the pinned ones.
    pub(super) fn new(capacity: usize) -> Self {
        Self::weighted(capacity, |_| 1)
    }

    /// A cache of values that weigh about `capacity` together, besides the pinned ones.
    pub(super) fn weighted(capacity: usize, weigh: fn(&V) -> usize) -> Self {
        let shard = || {
            RwLock::new(Shard {
                slots: Map::default(),
                weight: 0,
                clock: VecDeque::new(),
                write_count: 0,
                hits: AtomicU64::new(0),
                misses: AtomicU64::new(0),
            })
        };
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Self {
            shards,
            capacity: capacity.div_ceil(SHARDS),
            weigh,
            hasher: RandomState::default(),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.read(key)?.slots.get(key).map(Slot::touch)
    }

    /// Returns the value if it is newer than its table.
    pub(super) fn get_pinned(&self, key: &K) -> Option<V> {
        self.read(key)?
            .slots
            .get(key)
            .filter(|slot| slot.pinned)
            .map(|slot| slot.value.clone())
    }

    /// Returns the value, loaded on a miss. It is cached unless the writer has changed something of
    /// its shard meanwhile.
    pub(super) fn get_or_load(
        &self,
        key: &K,
        load: impl FnOnce() -> Result<Option<V>, Failure>,
    ) -> Result<Option<V>, Failure> {
        let Some(shard) = self.read(key) else { return load() };
        if let Some(slot) = shard.slots.get(key) {
            shard.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(slot.touch()));
        }
        shard.misses.fetch_add(1, Ordering::Relaxed);
        let write_count = shard.write_count;
        drop(shard);

        // Not under the lock: loading can take as long as the disk does.
        let Some(value) = load()? else { return Ok(None) };

        if let Some(mut shard) = self.write(key)
            && shard.write_count == write_count
        {
            shard.insert(key, self.slot(value.clone(), false), self.capacity);
        }
        Ok(Some(value))
    }

    /// Stores a committed value. A pinned one stays until [`Cache::unpin`].
    pub(super) fn publish(&self, key: &K, value: V, pinned: bool) {
        let slot = self.slot(value, pinned);
        let Some(mut shard) = self.write(key) else { return };
        shard.write_count = shard.write_count.wrapping_add(1);
        let before = shard.insert(key, slot, self.capacity);

        // An old account takes long to drop: not under the lock.
        drop(shard);
        drop(before);
    }

    /// Makes a value evictable once it has reached its table.
    pub(super) fn unpin(&self, key: &K) {
        if let Some(mut shard) = self.write(key)
            && let Some(slot) = shard.slots.get_mut(key)
        {
            slot.pinned = false;
        }
    }

    pub(super) fn remove(&self, key: &K) {
        if let Some(mut shard) = self.write(key) {
            shard.write_count = shard.write_count.wrapping_add(1);
            shard.remove(key);
        }
    }

    fn slot(&self, value: V, pinned: bool) -> Slot<V> {
        let weight = (self.weigh)(&value);
        Slot { value, weight, pinned, recently_used: AtomicBool::new(true) }
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.write_count = shard.write_count.wrapping_add(1);
            shard.slots.clear();
            shard.weight = 0;
            shard.clock.clear();
        }
    }

    /// Returns how many look-ups found a value, and how many had to load it.
    pub(super) fn lookup_counts(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(hits, misses): (u64, u64), shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            (
                hits.saturating_add(shard.hits.load(Ordering::Relaxed)),
                misses.saturating_add(shard.misses.load(Ordering::Relaxed)),
            )
        })
    }

    /// The number of cached values, or of keys where too many are left over.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let locked = self
            .shards
            .iter()
            .map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner));
        locked.map(|shard| shard.slots.len().max(shard.clock.len() / 2)).sum()
    }

    // Nothing panics while a lock is held, so a poisoned lock is usable.

    fn read(&self, key: &K) -> Option<RwLockReadGuard<'_, Shard<K, V>>> {
        Some(self.shard(key)?.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, key: &K) -> Option<RwLockWriteGuard<'_, Shard<K, V>>> {
        Some(self.shard(key)?.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn shard(&self, key: &K) -> Option<&RwLock<Shard<K, V>>> {
        let hash = usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or_default();
        self.shards.get(hash % SHARDS)
    }
}

impl<K: Clone + Eq + Hash, V> Shard<K, V> {
    /// Returns the replaced slot.
    fn insert(&mut self, key: &K, slot: Slot<V>, capacity: usize) -> Option<Slot<V>> {
        self.weight = self.weight.saturating_add(slot.weight);
        let before = self.slots.insert(key.clone(), slot);
        self.weight = self
            .weight
            .saturating_sub(before.as_ref().map_or(0, |slot| slot.weight));

        if before.is_none() {
            self.clock.push_back(key.clone());
            self.compact_clock();
        }

        self.evict(capacity);
        before
    }

    fn remove(&mut self, key: &K) {
        if let Some(slot) = self.slots.remove(key) {
            self.weight = self.weight.saturating_sub(slot.weight);
        }
    }

    /// Drops removed keys from the clock once they outnumber the others.
    fn compact_clock(&mut self) {
        if self.clock.len() > self.slots.len().saturating_mul(2).max(16) {
            let mut seen = HashSet::new();
            self.clock
                .retain(|key| self.slots.contains_key(key) && seen.insert(key.clone()));
        }
    }

    /// Moves the hand until there is capacity, or it has moved far. A value that was used since the
    /// hand last passed it stays for another turn.
    fn evict(&mut self, capacity: usize) {
        let mut steps = self.clock.len().saturating_mul(2).min(64);
        while self.weight > capacity && steps > 0 {
            steps = steps.saturating_sub(1);
            let Some(key) = self.clock.pop_front() else { return };
            match self.slots.get(&key) {
                None => {}
                Some(slot) if slot.pinned || slot.recently_used.swap(false, Ordering::Relaxed) => {
                    self.clock.push_back(key);
                }
                Some(_) => self.remove(&key),
            }
        }
    }
}

impl<V: Clone> Slot<V> {
    /// Returns the value and marks it as used.
    fn touch(&self) -> V {
        // Most are marked already, and a store would take the cache line from other readers.
        if !self.recently_used.load(Ordering::Relaxed) {
            self.recently_used.store(true, Ordering::Relaxed);
        }
        self.value.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[test]
    fn pinned_values_stay_and_others_are_evicted() {
        let cache = Cache::new(SHARDS * 4);
        for key in 0..1_000 {
            cache.publish(&key, key, key < 100);
        }
        assert!((0..100).all(|key| cache.get(&key) == Some(key)));
        let kept = (100..1_000).filter(|key| cache.get(key).is_some()).count();
        assert!(kept < 200, "{kept} values beyond the capacity");
        (0..100).for_each(|key| cache.unpin(&key));
        (1_000..3_000).for_each(|key| cache.publish(&key, key, false));
        let kept = (0..3_000).filter(|key| cache.get(key).is_some()).count();
        assert!(kept < 200, "{kept} values beyond the capacity");
    }

    #[test]
    fn values_are_bounded_by_their_weight() {
        let cache = Cache::weighted(SHARDS * 1_000, |value: &usize| *value);
        for key in 0..10_000 {
            cache.publish(&key, 1, false);
        }
        let light = (0..10_000).filter(|key| cache.get(key).is_some()).count();
        assert!(light > 9_000, "only {light} light values are kept");
        for key in 0..1_000 {
            cache.publish(&key, 500, false);
            cache.publish(&key, 400, false);
        }
        let weight: usize = (0..10_000).filter_map(|key| cache.get(&key)).sum();
        assert!(weight <= SHARDS * 1_000, "values of {weight} together");
    }

    #[test]
    fn removed_values_do_not_grow_the_clock() {
        let cache = Cache::new(1_000);
        for _ in 0..10_000 {
            cache.publish(&1, "value", false);
            cache.remove(&1);
        }
        assert!(
            cache
                .shards
                .iter()
                .all(|shard| shard.read().unwrap().clock.len() < 100)
        );
    }

    #[test]
    fn a_stale_load_is_not_cached() {
        let cache = Cache::new(100);
        let seen = cache.get_or_load(&1, || {
            cache.publish(&1, "new", false);
            cache.remove(&1);
            Ok(Some("old"))
        });
        assert_eq!(seen, Ok(Some("old")));
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.get_or_load(&1, || Ok(Some("new"))), Ok(Some("new")));
        assert_eq!(cache.get(&1), Some("new"));
    }
}
