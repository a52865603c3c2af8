//! A chunk: a short sorted array of entries with their summary.

use std::cmp::Ordering;

use super::{CHUNK_CAPACITY, Summarize};

/// Entries sorted by key. A chunk is empty only before it is removed.
pub(super) struct Chunk<K, V: Summarize> {
    pub(super) entries: Vec<(K, V)>,
    pub(super) summary: V::Summary,
}

/// A chunk is copied only to be changed, mostly by one more entry, for which the copy has
/// capacity.
impl<K: Clone, V: Summarize + Clone> Clone for Chunk<K, V> {
    fn clone(&self) -> Self {
        let mut entries = Vec::with_capacity(self.entries.len().saturating_add(1));
        entries.extend_from_slice(&self.entries);
        Self { entries, summary: self.summary }
    }
}

impl<K, V: Summarize> Chunk<K, V> {
    pub(super) fn new(entries: Vec<(K, V)>) -> Self {
        let mut chunk = Self { entries, summary: V::Summary::default() };
        chunk.update_summary();
        chunk
    }

    fn update_summary(&mut self) {
        self.summary = summarize(&self.entries);
    }

    /// The number of keys that match. All matching keys must be before all others.
    pub(super) fn count_while(&self, matches: impl Fn(&K) -> bool) -> usize {
        self.entries.partition_point(|(key, _)| matches(key))
    }

    /// The summary of the first `count` values.
    pub(super) fn summary_of_first(&self, count: usize) -> V::Summary {
        self.entries.get(..count).map_or(self.summary, summarize)
    }

    /// The first key up to which, itself included, the summary is enough. `before` is the
    /// summary of all values before the chunk.
    pub(super) fn key_reaching(
        &self,
        before: V::Summary,
        is_enough: impl Fn(V::Summary) -> bool,
    ) -> Option<&K> {
        let mut sum = before;
        self.entries.iter().find_map(|(key, value)| {
            sum = V::sum(sum, value.summary());
            is_enough(sum).then_some(key)
        })
    }

    /// The entries after the first `count`.
    pub(super) fn entries_from(&self, count: usize) -> &[(K, V)] {
        self.entries.get(count..).unwrap_or_default()
    }
}

fn summarize<K, V: Summarize>(entries: &[(K, V)]) -> V::Summary {
    entries
        .iter()
        .fold(V::Summary::default(), |sum, (_, value)| V::sum(sum, value.summary()))
}

impl<K: Ord, V: Summarize> Chunk<K, V> {
    /// Compares a key with the chunk's range of keys; `Equal` is within the range.
    pub(super) fn compare_key(&self, key: &K) -> Ordering {
        match (self.entries.first(), self.entries.last()) {
            (Some((first, _)), _) if key < first => Ordering::Less,
            (_, Some((last, _))) if key > last => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let at = self.entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// Returns true if the chunk is full and the key is after all of its keys.
    pub(super) fn is_full_before(&self, key: &K) -> bool {
        self.entries.len() >= CHUNK_CAPACITY && self.compare_key(key).is_gt()
    }

    /// Inserts a value, in place of the key's present one. A full chunk is split; the
    /// second part is returned.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<Self> {
        let mut split_off = None;
        match self.entries.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => {
                if let Some((_, known)) = self.entries.get_mut(at) {
                    *known = value;
                }
            }
            Err(at) if self.entries.len() < CHUNK_CAPACITY => self.entries.insert(at, (key, value)),
            Err(at) => {
                // Before all keys, a chunk of one entry: descending keys fill their
                // chunks, too.
                let half = if at == 0 { 0 } else { CHUNK_CAPACITY / 2 };
                let mut rest = self.entries.split_off(half);
                match at.checked_sub(half) {
                    Some(at) if half > 0 => rest.insert(at, (key, value)),
                    _ => self.entries.insert(at, (key, value)),
                }
                split_off = Some(Self::new(rest));
            }
        }

        self.update_summary();
        split_off
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        let (_, value) = self.entries.remove(at);
        self.update_summary();
        Some(value)
    }
}
