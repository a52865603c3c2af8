//! Entries side by side.

use std::cmp::Ordering;

use super::{CHUNK_CAPACITY, Summarize};

/// Entries by key; none only on the way to being taken out.
pub(super) struct Chunk<K, V: Summarize> {
    pub(super) entries: Vec<(K, V)>,
    pub(super) summary: V::Summary,
}

/// Who copies a chunk is about to change it, mostly by one more entry.
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

    /// How many of its first keys something holds for. It must not hold again later.
    pub(super) fn count_while(&self, holds: impl Fn(&K) -> bool) -> usize {
        self.entries.partition_point(|(key, _)| holds(key))
    }

    /// The weight of so many of its first values.
    pub(super) fn summary_of_first(&self, count: usize) -> V::Summary {
        self.entries.get(..count).map_or(self.summary, summarize)
    }

    /// The first key at which the weight of all values up to it, with what is before the chunk, is enough.
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

    /// The entries behind so many.
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
    /// Where a key stands beside all of its keys.
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

    /// Whether nothing more has room, and a key comes behind all of it.
    pub(super) fn is_full_before(&self, key: &K) -> bool {
        self.entries.len() >= CHUNK_CAPACITY && self.compare_key(key).is_gt()
    }

    /// Puts a value at a key. What there is no room for comes behind.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<Self> {
        let mut behind = None;
        match self.entries.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => {
                if let Some((_, known)) = self.entries.get_mut(at) {
                    *known = value;
                }
            }
            Err(at) if self.entries.len() < CHUNK_CAPACITY => self.entries.insert(at, (key, value)),
            Err(at) => {
                let cut = if at == 0 { at } else { CHUNK_CAPACITY / 2 };
                let mut rest = self.entries.split_off(cut);
                match at.checked_sub(cut) {
                    Some(at) if cut > 0 => rest.insert(at, (key, value)),
                    _ => self.entries.insert(at, (key, value)),
                }
                behind = Some(Self::new(rest));
            }
        }
        self.update_summary();
        behind
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        let (_, value) = self.entries.remove(at);
        self.update_summary();
        Some(value)
    }
}
