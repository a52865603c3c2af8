//! A persistent sorted map: copying it is O(1), and copies share their unchanged parts.
//!
//! A decision works on a copy of the account, and an account can have ten thousand lots.
//!
//! - Entries are in chunks, contiguous in memory, which makes iteration fast.
//! - The last chunk is outside of the tree. Nearly all keys are inserted in ascending
//!   order and change that chunk only; most accounts have no other.
//! - The older chunks are a balanced tree. Each node has the summary of its subtree, so
//!   that the summary of all entries below a key is O(log n), like the search for the
//!   key.

mod chunk;
mod diff;
mod nodes;

use std::fmt;
use std::sync::Arc;

use chunk::Chunk;
use nodes::Iter;

pub(crate) use diff::Diff;
pub(crate) use nodes::Nodes;

/// The largest number of entries of a chunk. Larger chunks make iteration faster, and
/// changes slower.
///
/// On-disk compatibility: files have chunks too, and larger chunks than this cannot be
/// read. The number must not become smaller.
const CHUNK_CAPACITY: usize = 16;

/// Values of which a tree maintains sums.
pub(crate) trait Summarize {
    /// A sum. The default is the sum of no values.
    type Summary: Copy + Default;
    /// The summand of this value.
    fn summary(&self) -> Self::Summary;
    /// The sum of two sums.
    fn sum(one: Self::Summary, other: Self::Summary) -> Self::Summary;
}

impl Summarize for () {
    type Summary = ();
    fn summary(&self) {}
    fn sum((): (), (): ()) {}
}

/// A persistent sorted map with summaries.
#[derive(Clone)]
pub(crate) struct Tree<K, V: Summarize> {
    /// All chunks but the last.
    older: Nodes<K, V>,
    /// The last chunk, with the largest keys. `None` only for an empty map.
    last: Option<Arc<Chunk<K, V>>>,
}

impl<K, V: Summarize> Default for Tree<K, V> {
    fn default() -> Self {
        Self { older: Nodes::default(), last: None }
    }
}

impl<K, V: Summarize> Tree<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.older.len().saturating_add(self.tail().len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    fn tail(&self) -> &[(K, V)] {
        self.last.as_ref().map_or(&[], |last| &last.entries)
    }

    /// All chunks but the last.
    pub(crate) fn older(&self) -> &Nodes<K, V> {
        &self.older
    }

    /// A map of the last chunk's entries.
    pub(crate) fn newest(&self) -> Self {
        Self { older: Nodes::default(), last: self.last.clone() }
    }

    /// The summary of all values.
    pub(crate) fn summary(&self) -> V::Summary {
        let last = self
            .last
            .as_ref()
            .map_or_else(V::Summary::default, |last| last.summary);
        V::sum(self.older.summary(), last)
    }

    /// The summary of the values whose keys match. All matching keys must be before all
    /// others.
    pub(crate) fn summary_while(&self, matches: impl Fn(&K) -> bool) -> V::Summary {
        let last = self.last.as_ref().map(|last| (last, last.count_while(&matches)));
        match last.filter(|(_, count)| *count > 0) {
            Some((last, count)) => V::sum(self.older.summary(), last.summary_of_first(count)),
            None => self.older.summary_while(matches),
        }
    }

    /// All entries, in the order of their keys.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        self.older.iter(self.tail())
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        self.older
            .first()
            .or(self.tail().first().map(|(key, value)| (key, value)))
    }

    /// The first key up to which, itself included, the summary is enough. `None` if all
    /// values are not enough. `is_enough` must be monotonic.
    pub(crate) fn key_reaching(&self, is_enough: impl Fn(V::Summary) -> bool) -> Option<&K> {
        let last = self.last.as_ref();
        self.older
            .key_reaching(&is_enough)
            .or_else(|| last?.key_reaching(self.older.summary(), is_enough))
    }
}

impl<K: Ord, V: Summarize> Tree<K, V> {
    /// Returns true if the key is in the last chunk, or would be inserted there.
    fn is_in_last_chunk(&self, key: &K) -> bool {
        self.tail().first().is_some_and(|(first, _)| first <= key)
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        if self.is_in_last_chunk(key) { self.last.as_ref()?.get(key) } else { self.older.get(key) }
    }

    /// The entries from `key` on, in the order of their keys.
    pub(crate) fn iter_from(&self, key: &K) -> Iter<'_, K, V> {
        match self.last.as_ref().filter(|_| self.is_in_last_chunk(key)) {
            Some(last) => {
                Nodes::tail_only(last.entries_from(last.count_while(|known| known < key)))
            }
            None => self.older.iter_from(key, self.tail()),
        }
    }

    /// The summary of the values whose keys are below `key`.
    pub(crate) fn summary_below(&self, key: &K) -> V::Summary {
        self.summary_while(|known| known < key)
    }
}

impl<K: Ord + Clone, V: Summarize + Clone> Tree<K, V> {
    /// Inserts a value, in place of the key's present one. Copies the parts shared with
    /// other maps.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let is_in_last = self.is_in_last_chunk(&key);
        let Some(last) = &mut self.last else {
            self.last = Some(Arc::new(Chunk::new(vec![(key, value)])));
            return;
        };
        if !is_in_last && !self.older.is_empty() {
            self.older.insert(key, value);
            return;
        }

        // A full chunk is not split for a larger key, so that ascending keys fill their
        // chunks.
        let split_off = if last.is_full_before(&key) {
            Some(Chunk::new(vec![(key, value)]))
        } else {
            Arc::make_mut(last).insert(key, value)
        };

        if let Some(split_off) = split_off {
            self.older.push_last(std::mem::replace(last, Arc::new(split_off)));
        }
    }

    /// Removes a key and returns its value.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        // A missing key must not copy shared parts.
        self.get(key)?;
        if !self.is_in_last_chunk(key) {
            return self.older.remove(key);
        }

        let last = Arc::make_mut(self.last.as_mut()?);
        let value = last.remove(key);
        if last.entries.is_empty() {
            (self.older, self.last) = std::mem::take(&mut self.older).split_last();
        }
        value
    }

    /// Returns this map with older chunks before it. `None` unless their keys are before
    /// all of these.
    pub(crate) fn with_older(self, older: &Nodes<K, V>) -> Option<Self> {
        if older
            .last()
            .zip(self.first())
            .is_some_and(|((last, _), (first, _))| last >= first)
        {
            return None;
        }

        let (mut joined, mut rest) = (older.clone(), self.older);
        while let (remaining, Some(chunk)) = rest.split_first() {
            joined.push_last(chunk);
            rest = remaining;
        }

        let (older, last) =
            if self.last.is_some() { (joined, self.last) } else { joined.split_last() };
        Some(Self { older, last })
    }
}

impl<K: PartialEq, V: Summarize + PartialEq> PartialEq for Tree<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Summarize + Eq> Eq for Tree<K, V> {}

impl<K: fmt::Debug, V: Summarize + fmt::Debug> fmt::Debug for Tree<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Summarize + Clone> FromIterator<(K, V)> for Tree<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut tree = Self::default();
        entries.into_iter().for_each(|(key, value)| tree.insert(key, value));
        tree
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may stop")]
    use std::collections::BTreeMap;

    use ::proptest::prelude::*;

    use super::*;

    impl Summarize for i64 {
        type Summary = i64;
        fn summary(&self) -> i64 {
            *self
        }
        fn sum(one: i64, other: i64) -> i64 {
            one + other
        }
    }

    fn height(nodes: &Nodes<u16, i64>) -> u32 {
        nodes.0.as_ref().map_or(0, |node| {
            let (left, right) = (node.left.chunks(), node.right.chunks());
            assert!(
                left + right <= 1 || (left <= 3 * right && right <= 3 * left),
                "{left} and {right}"
            );
            check_chunk(&node.chunk);
            1 + height(&node.left).max(height(&node.right))
        })
    }

    fn check_chunk(chunk: &Chunk<u16, i64>) {
        let count = chunk.entries.len();
        assert!((1..=CHUNK_CAPACITY).contains(&count), "{count} entries in a chunk");
        assert_eq!(chunk.summary, chunk.entries.iter().map(|(_, value)| value).sum::<i64>());
    }

    fn check(tree: &Tree<u16, i64>) {
        height(&tree.older);
        tree.last.iter().for_each(|last| check_chunk(last));
        assert!(tree.last.is_some() || tree.older.is_empty());
    }

    proptest! {
        #[test]
        fn a_tree_is_a_sorted_map(steps in proptest::collection::vec((0..400_u16, 0..4_u8, 0..100_i64), 0..600)) {
            let (mut tree, mut map, mut copies) = (Tree::default(), BTreeMap::new(), Vec::new());
            for (key, puts, value) in steps {
                if key % 16 == 0 {
                    copies.push((tree.clone(), map.clone()));
                }
                if puts > 0 {
                    tree.insert(key, value);
                    map.insert(key, value);
                } else {
                    prop_assert_eq!(tree.remove(&key), map.remove(&key));
                }
                check(&tree);
                prop_assert_eq!(tree.first(), map.first_key_value());
                prop_assert_eq!(tree.get(&key), map.get(&key));
                prop_assert_eq!(tree.summary(), map.values().sum::<i64>());
                prop_assert_eq!(tree.summary_below(&key), map.range(..key).map(|(_, value)| value).sum::<i64>());
                prop_assert!(tree.iter_from(&key).eq(map.range(key..)));
                let (mut sum, enough) = (0, value * 5);
                let want = map.iter().find(|(_, value)| { sum += **value; sum >= enough }).map(|(key, _)| key);
                prop_assert_eq!(tree.key_reaching(|sum| sum >= enough), want);
            }
            copies.push((tree, map));
            for (tree, map) in copies {
                prop_assert!(tree.iter().eq(map.iter()), "{:?}", tree);
                prop_assert_eq!(tree.len(), map.len());
            }
        }
    }

    proptest! {
        #[test]
        fn a_tree_is_split_and_joined_again(keys in proptest::collection::vec(0..2_000_u16, 0..300)) {
            let tree: Tree<u16, i64> = keys.iter().map(|key| (*key, i64::from(*key))).collect();
            let newest = tree.newest();
            prop_assert!(newest.len() <= CHUNK_CAPACITY && newest.is_empty() == tree.is_empty());
            prop_assert_eq!(tree.older.len() + newest.len(), tree.len());

            let joined = newest.with_older(&tree.older).unwrap();
            check(&joined);
            prop_assert_eq!(&joined, &tree);
            prop_assert!(tree.older.is_empty() || tree.clone().with_older(&tree.older).is_none(), "keys overlap");
            let older = Tree::default().with_older(&tree.older).unwrap();
            check(&older);
            prop_assert!(older.iter().eq(tree.iter().take(tree.older.len())));

            // Two trees of several chunks each make one.
            let (low, high) = keys.split_at(keys.len() / 2);
            let mut nodes = Nodes::default();
            let mut low: Vec<_> = low.iter().map(|key| (*key, 1)).collect();
            low.sort_unstable();
            low.dedup();
            for chunk in low.chunks(CHUNK_CAPACITY) {
                prop_assert!(nodes.push_chunk(chunk.to_vec()));
                prop_assert!(!nodes.push_chunk(chunk.to_vec()), "keys overlap");
                height(&nodes);
            }
            let high: Tree<u16, i64> = high.iter().map(|key| (key + 2_000, 2)).collect();
            let both = high.clone().with_older(&nodes).unwrap();
            check(&both);
            prop_assert_eq!(both, low.into_iter().chain(high.iter().map(|(key, value)| (*key, *value))).collect());
        }
    }

    #[test]
    fn invalid_chunks_are_rejected() {
        let mut nodes = Nodes::<u16, i64>::default();
        for keys in [vec![], vec![1, 1], vec![2, 1], (0..17).collect()] {
            assert!(!nodes.push_chunk(keys.iter().map(|key| (*key, 1)).collect()), "{keys:?}");
            assert!(nodes.is_empty());
        }
        assert!(nodes.push_chunk((0..16).map(|key| (key, 1)).collect()));
    }

    #[test]
    fn ten_thousand_entries_stay_shallow() {
        let tree: Tree<u16, i64> = (0..10_000).map(|key| (key, 1)).collect();
        assert!(height(&tree.older) < 22);
        assert_eq!(
            tree.older.chunks() + 1,
            10_000 / CHUNK_CAPACITY,
            "ascending keys fill their chunks"
        );
        let tree: Tree<u16, i64> = (0..10_000).rev().map(|key| (key, 1)).collect();
        assert_eq!(tree.older.chunks() + 1, 10_000 / CHUNK_CAPACITY);
        let tree: Tree<u16, i64> = (0..10_000_u32)
            .map(|key| (u16::try_from(key * 7 % 10_000).unwrap(), 1))
            .collect();
        assert!(
            tree.older.chunks() < 10_000 / CHUNK_CAPACITY * 3,
            "{} chunks",
            tree.older.chunks()
        );
    }
}
