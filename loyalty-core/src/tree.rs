//! A sorted map that is copied in no time: copies share what neither has changed.
//!
//! A decision is made on a copy of the account, and an account can hold ten thousand lots. Entries stand side by side
//! in chunks, so that going through them is going through memory, and most accounts have one chunk. Each node knows
//! the weight of all under it, so that sums up to a key cost no more than finding it.
//!
//! It is a weight-balanced tree of chunks: no side of a node holds more than three times the chunks of the other.

mod apart;

use std::cmp::Ordering;
use std::fmt;
use std::slice;
use std::sync::Arc;

pub(crate) use apart::Apart;

/// How many entries stand side by side at the most. More are faster to go through, fewer to change. Files hold chunks
/// as well: with fewer, those of before could not be read.
const CHUNK: usize = 16;

/// What the values of a tree add up to.
pub(crate) trait Weighed {
    /// A sum; the default is nothing.
    type Weight: Copy + Default;
    /// What this value adds to it.
    fn weight(&self) -> Self::Weight;
    /// Two sums together.
    fn sum(one: Self::Weight, other: Self::Weight) -> Self::Weight;
}

impl Weighed for () {
    type Weight = ();
    fn weight(&self) {}
    fn sum((): (), (): ()) {}
}

/// A sorted map with cheap copies.
#[derive(Clone)]
pub(crate) struct Tree<K, V: Weighed>(Option<Arc<Node<K, V>>>);

#[derive(Clone)]
struct Node<K, V: Weighed> {
    chunk: Arc<Chunk<K, V>>,
    /// What comes before the chunk.
    left: Tree<K, V>,
    /// What comes after it.
    right: Tree<K, V>,
    chunks: usize,
    len: usize,
    weight: V::Weight,
}

/// Entries by key; none only on the way to being taken out.
struct Chunk<K, V: Weighed> {
    entries: Vec<(K, V)>,
    weight: V::Weight,
}

impl<K, V: Weighed> Default for Tree<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

/// Who copies a chunk is about to change it, mostly by one more entry.
impl<K: Clone, V: Weighed + Clone> Clone for Chunk<K, V> {
    fn clone(&self) -> Self {
        let mut entries = Vec::with_capacity(self.entries.len().saturating_add(1));
        entries.extend_from_slice(&self.entries);
        Self { entries, weight: self.weight }
    }
}

impl<K, V: Weighed> Chunk<K, V> {
    fn new(entries: Vec<(K, V)>) -> Self {
        let mut chunk = Self { entries, weight: V::Weight::default() };
        chunk.weigh();
        chunk
    }

    fn weigh(&mut self) {
        self.weight = total(&self.entries);
    }

    /// How many of its first keys something holds for. It must not hold again later.
    fn count_while(&self, holds: impl Fn(&K) -> bool) -> usize {
        self.entries.partition_point(|(key, _)| holds(key))
    }

    /// The entries behind so many.
    fn behind(&self, count: usize) -> &[(K, V)] {
        self.entries.get(count..).unwrap_or_default()
    }
}

fn total<K, V: Weighed>(entries: &[(K, V)]) -> V::Weight {
    entries.iter().fold(V::Weight::default(), |sum, (_, value)| V::sum(sum, value.weight()))
}

impl<K: Ord, V: Weighed> Chunk<K, V> {
    /// Where a key stands beside all of its keys.
    fn side(&self, key: &K) -> Ordering {
        match (self.entries.first(), self.entries.last()) {
            (Some((first, _)), _) if key < first => Ordering::Less,
            (_, Some((last, _))) if key > last => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }

    /// Puts a value at a key. What there is no room for comes behind: where entries come in order, nothing but the
    /// new one, so that chunks stay full.
    fn insert(&mut self, key: K, value: V) -> Option<Self> {
        let mut behind = None;
        match self.entries.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => {
                if let Some((_, known)) = self.entries.get_mut(at) {
                    *known = value;
                }
            }
            Err(at) if self.entries.len() < CHUNK => self.entries.insert(at, (key, value)),
            Err(at) => {
                let cut = if at == 0 { at } else { CHUNK / 2 };
                let mut rest = self.entries.split_off(cut);
                match at.checked_sub(cut) {
                    Some(at) if cut > 0 => rest.insert(at, (key, value)),
                    _ => self.entries.insert(at, (key, value)),
                }
                behind = Some(Self::new(rest));
            }
        }
        self.weigh();
        behind
    }

    fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        let (_, value) = self.entries.remove(at);
        self.weigh();
        Some(value)
    }
}

impl<K, V: Weighed> Tree<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.chunks)
    }

    /// The weight of all values.
    pub(crate) fn weight(&self) -> V::Weight {
        self.0.as_ref().map_or_else(V::Weight::default, |node| node.weight)
    }

    /// The weight of the first values, as long as `holds` for their keys. It must not hold again later.
    pub(crate) fn weight_while(&self, holds: impl Fn(&K) -> bool) -> V::Weight {
        let (mut sum, mut tree) = (V::Weight::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let count = node.chunk.count_while(&holds);
            if count == 0 {
                tree = &node.left;
                continue;
            }
            sum = V::sum(sum, node.left.weight());
            if count < node.chunk.entries.len() {
                return V::sum(sum, total(node.chunk.entries.get(..count).unwrap_or_default()));
            }
            sum = V::sum(sum, node.chunk.weight);
            tree = &node.right;
        }
        sum
    }

    /// All entries by key.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        let mut iter = Iter { entries: [].iter(), nodes: Vec::new() };
        iter.descend(self);
        iter
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        let mut node = self.0.as_deref()?;
        while let Some(left) = node.left.0.as_deref() {
            node = left;
        }
        node.chunk.entries.first().map(|(key, value)| (key, value))
    }

    fn last(&self) -> Option<(&K, &V)> {
        let mut node = self.0.as_deref()?;
        while let Some(right) = node.right.0.as_deref() {
            node = right;
        }
        node.chunk.entries.last().map(|(key, value)| (key, value))
    }

    /// The first key at which the weight of all values up to it, its own included, is enough. `is_enough`
    /// must hold for more where it holds for less.
    pub(crate) fn key_reaching(&self, is_enough: impl Fn(V::Weight) -> bool) -> Option<&K> {
        let (mut before, mut tree) = (V::Weight::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let without = V::sum(before, node.left.weight());
            let with = V::sum(without, node.chunk.weight);
            if !node.left.is_empty() && is_enough(without) {
                tree = &node.left;
            } else if is_enough(with) {
                let mut sum = without;
                return node.chunk.entries.iter().find_map(|(key, value)| {
                    sum = V::sum(sum, value.weight());
                    is_enough(sum).then_some(key)
                });
            } else {
                (before, tree) = (with, &node.right);
            }
        }
        None
    }
}

impl<K: Ord, V: Weighed> Tree<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let mut tree = self;
        while let Some(node) = tree.0.as_deref() {
            tree = match node.chunk.side(key) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => {
                    let entries = &node.chunk.entries;
                    let at = entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
                    return entries.get(at).map(|(_, value)| value);
                }
            };
        }
        None
    }

    /// The entries from `key` on.
    pub(crate) fn iter_from(&self, key: &K) -> Iter<'_, K, V> {
        let (mut iter, mut tree) = (Iter { entries: [].iter(), nodes: Vec::new() }, self);
        while let Some(node) = tree.0.as_deref() {
            match node.chunk.side(key) {
                Ordering::Less => {
                    iter.nodes.push(node);
                    tree = &node.left;
                }
                Ordering::Greater => tree = &node.right,
                Ordering::Equal => {
                    iter.entries = node.chunk.behind(node.chunk.count_while(|known| known < key)).iter();
                    iter.descend(&node.right);
                    return iter;
                }
            }
        }
        iter
    }

    /// The weight of all values whose keys are below `key`.
    pub(crate) fn weight_below(&self, key: &K) -> V::Weight {
        self.weight_while(|known| known < key)
    }
}

impl<K: Ord + Clone, V: Weighed + Clone> Tree<K, V> {
    /// Puts a value at a key, in place of what stood there. What is shared with a copy is copied on the way.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            let chunk = Chunk::new(vec![(key, value)]);
            *self = Self::joined(Arc::new(chunk), Self(None), Self(None));
            return;
        };
        match node.chunk.side(&key) {
            Ordering::Less if !node.left.is_empty() => node.left.insert(key, value),
            Ordering::Greater if !node.right.is_empty() => node.right.insert(key, value),
            // Of a chunk that is full nothing changes.
            Ordering::Greater if node.chunk.entries.len() >= CHUNK => {
                node.right.put_first(Arc::new(Chunk::new(vec![(key, value)])));
            }
            Ordering::Less | Ordering::Equal | Ordering::Greater => {
                if let Some(behind) = Arc::make_mut(&mut node.chunk).insert(key, value) {
                    node.right.put_first(Arc::new(behind));
                }
            }
        }
        self.settle();
    }

    /// Puts a chunk before all others.
    fn put_first(&mut self, chunk: Arc<Chunk<K, V>>) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            *self = Self::joined(chunk, Self(None), Self(None));
            return;
        };
        node.left.put_first(chunk);
        self.settle();
    }

    /// Puts a chunk behind all others.
    fn put_last(&mut self, chunk: Arc<Chunk<K, V>>) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            *self = Self::joined(chunk, Self(None), Self(None));
            return;
        };
        node.right.put_last(chunk);
        self.settle();
    }

    /// Puts entries behind all others, as a chunk. False, and nothing is changed, where they are none, or too many,
    /// or not in order.
    pub(crate) fn push_chunk(&mut self, entries: Vec<(K, V)>) -> bool {
        let keys = self.last().map(|(key, _)| key).into_iter().chain(entries.iter().map(|(key, _)| key));
        let fits = (1..=CHUNK).contains(&entries.len()) && keys.is_sorted_by(|one, other| one < other);
        if fits {
            self.put_last(Arc::new(Chunk::new(entries)));
        }
        fits
    }

    /// All chunks but the last, and that one.
    pub(crate) fn split_last(&self) -> (Self, Self) {
        match self.clone().without_last() {
            (rest, Some(last)) => (rest, Self::joined(last, Self(None), Self(None))),
            (rest, None) => (rest, Self(None)),
        }
    }

    /// Puts another tree behind this one. False, and nothing is changed, where its keys are not behind these.
    pub(crate) fn append(&mut self, other: Self) -> bool {
        if self.last().zip(other.first()).is_some_and(|((last, _), (first, _))| last >= first) {
            return false;
        }
        let mut rest = other;
        while let (left, Some(chunk)) = rest.without_first() {
            self.put_last(chunk);
            rest = left;
        }
        true
    }

    /// Takes the value of a key out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.get(key)?;
        self.cut(key)
    }

    fn cut(&mut self, key: &K) -> Option<V> {
        let node = Arc::make_mut(self.0.as_mut()?);
        let value = match node.chunk.side(key) {
            Ordering::Less => node.left.cut(key),
            Ordering::Greater => node.right.cut(key),
            Ordering::Equal => {
                let value = Arc::make_mut(&mut node.chunk).remove(key);
                if node.chunk.entries.is_empty() {
                    let node = Arc::unwrap_or_clone(self.0.take()?);
                    *self = Self::glued(node.left, node.right);
                    return value;
                }
                value
            }
        };
        self.settle();
        value
    }

    /// One side changed by a chunk at the most: sums are made again, and a side that is too heavy is turned.
    fn settle(&mut self) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else { return };
        let (less, more) = (node.left.chunks(), node.right.chunks());
        let both = less.saturating_add(more);
        if both > 1 && (more > less.saturating_mul(3) || less > more.saturating_mul(3)) {
            let Some(node) = self.0.take() else { return };
            let node = Arc::unwrap_or_clone(node);
            *self = Self::balanced(node.chunk, node.left, node.right);
        } else {
            node.count();
        }
    }

    /// Two trees, all keys of the one below those of the other.
    fn glued(left: Self, right: Self) -> Self {
        if left.chunks() > right.chunks() {
            match left.without_last() {
                (rest, Some(chunk)) => Self::balanced(chunk, rest, right),
                (_, None) => right,
            }
        } else {
            match right.without_first() {
                (rest, Some(chunk)) => Self::balanced(chunk, left, rest),
                (_, None) => left,
            }
        }
    }

    fn without_first(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.left.is_empty() {
            return (node.right, Some(node.chunk));
        }
        let (left, first) = node.left.without_first();
        (Self::balanced(node.chunk, left, node.right), first)
    }

    fn without_last(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.right.is_empty() {
            return (node.left, Some(node.chunk));
        }
        let (right, last) = node.right.without_last();
        (Self::balanced(node.chunk, node.left, right), last)
    }

    fn joined(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let mut node = Node { chunk, left, right, chunks: 0, len: 0, weight: V::Weight::default() };
        node.count();
        Self(Some(Arc::new(node)))
    }

    /// A node whose sides may differ by one chunk more than is allowed.
    fn balanced(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let (less, more) = (left.chunks(), right.chunks());
        if less.saturating_add(more) <= 1 {
            Self::joined(chunk, left, right)
        } else if more > less.saturating_mul(3) {
            Self::turned_left(chunk, left, right)
        } else if less > more.saturating_mul(3) {
            Self::turned_right(chunk, left, right)
        } else {
            Self::joined(chunk, left, right)
        }
    }

    fn turned_left(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let Some(top) = right.0 else { return Self::joined(chunk, left, Self(None)) };
        let top = Arc::unwrap_or_clone(top);
        if top.left.chunks() < top.right.chunks().saturating_mul(2) {
            return Self::joined(top.chunk, Self::joined(chunk, left, top.left), top.right);
        }
        let Some(inner) = top.left.0 else {
            return Self::joined(top.chunk, Self::joined(chunk, left, Self(None)), top.right);
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) =
            (Self::joined(chunk, left, inner.left), Self::joined(top.chunk, inner.right, top.right));
        Self::joined(inner.chunk, below, above)
    }

    fn turned_right(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let Some(top) = left.0 else { return Self::joined(chunk, Self(None), right) };
        let top = Arc::unwrap_or_clone(top);
        if top.right.chunks() < top.left.chunks().saturating_mul(2) {
            return Self::joined(top.chunk, top.left, Self::joined(chunk, top.right, right));
        }
        let Some(inner) = top.right.0 else {
            return Self::joined(top.chunk, top.left, Self::joined(chunk, Self(None), right));
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) =
            (Self::joined(top.chunk, top.left, inner.left), Self::joined(chunk, inner.right, right));
        Self::joined(inner.chunk, below, above)
    }
}

impl<K, V: Weighed> Node<K, V> {
    /// Sums up its sides and its chunk.
    fn count(&mut self) {
        let Self { chunk, left, right, .. } = self;
        self.chunks = left.chunks().saturating_add(right.chunks()).saturating_add(1);
        self.len = left.len().saturating_add(right.len()).saturating_add(chunk.entries.len());
        self.weight = V::sum(V::sum(left.weight(), chunk.weight), right.weight());
    }
}

impl<K: PartialEq, V: Weighed + PartialEq> PartialEq for Tree<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Weighed + Eq> Eq for Tree<K, V> {}

impl<K: fmt::Debug, V: Weighed + fmt::Debug> fmt::Debug for Tree<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Weighed + Clone> FromIterator<(K, V)> for Tree<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut tree = Self::default();
        entries.into_iter().for_each(|(key, value)| tree.insert(key, value));
        tree
    }
}

/// Entries by key: what is left of a chunk, and the nodes that are still to come, the next one last.
pub(crate) struct Iter<'a, K, V: Weighed> {
    entries: slice::Iter<'a, (K, V)>,
    nodes: Vec<&'a Node<K, V>>,
}

impl<'a, K, V: Weighed> Iter<'a, K, V> {
    fn descend(&mut self, tree: &'a Tree<K, V>) {
        let mut tree = tree;
        while let Some(node) = tree.0.as_deref() {
            self.nodes.push(node);
            tree = &node.left;
        }
    }
}

impl<'a, K, V: Weighed> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            let node = self.nodes.pop()?;
            self.entries = node.chunk.entries.iter();
            self.descend(&node.right);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test may stop")]
    use std::collections::BTreeMap;

    use ::proptest::prelude::*;

    use super::*;

    impl Weighed for i64 {
        type Weight = i64;
        fn weight(&self) -> i64 {
            *self
        }
        fn sum(one: i64, other: i64) -> i64 {
            one + other
        }
    }

    fn height(tree: &Tree<u16, i64>) -> u32 {
        tree.0.as_ref().map_or(0, |node| {
            let (less, more) = (node.left.chunks(), node.right.chunks());
            assert!(less + more <= 1 || (less <= 3 * more && more <= 3 * less), "{less} and {more}");
            let held = node.chunk.entries.len();
            assert!((1..=CHUNK).contains(&held), "{held} side by side");
            assert_eq!(node.chunk.weight, total(&node.chunk.entries));
            1 + height(&node.left).max(height(&node.right))
        })
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in proptest::collection::vec((0..400_u16, 0..4_u8, 0..100_i64), 0..600)) {
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
                height(&tree);
                prop_assert_eq!(tree.first(), map.first_key_value());
                prop_assert_eq!(tree.get(&key), map.get(&key));
                prop_assert_eq!(tree.weight(), map.values().sum::<i64>());
                prop_assert_eq!(tree.weight_below(&key), map.range(..key).map(|(_, value)| value).sum::<i64>());
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
        fn it_is_taken_apart_and_put_together(keys in proptest::collection::vec(0..2_000_u16, 0..300), cut in 0..2_000_u16) {
            let tree: Tree<u16, i64> = keys.iter().map(|key| (*key, i64::from(*key))).collect();
            let (mut rest, last) = tree.split_last();
            prop_assert_eq!(last.chunks(), usize::from(!tree.is_empty()));
            prop_assert_eq!((rest.weight() + last.weight(), rest.len() + last.len()), (tree.weight(), tree.len()));
            prop_assert!(tree.is_empty() || !tree.clone().append(tree.clone()), "not behind itself");
            prop_assert!(rest.append(last));
            height(&rest);
            prop_assert_eq!(&rest, &tree);
            let [low, high] = [true, false].map(|low| tree.iter().filter(move |(key, _)| (**key < cut) == low));
            let (mut whole, rest) = (low.map(|(key, value)| (*key, *value)).collect::<Tree<_, _>>(), high);
            for chunk in rest.map(|(key, value)| (*key, *value)).collect::<Vec<_>>().chunks(CHUNK) {
                prop_assert!(whole.push_chunk(chunk.to_vec()));
                prop_assert!(!whole.push_chunk(chunk.to_vec()), "not behind itself");
                height(&whole);
            }
            prop_assert_eq!(whole, tree);
        }
    }

    #[test]
    fn chunks_of_no_entries_too_many_or_in_another_order_are_not_taken() {
        let mut tree = Tree::<u16, i64>::default();
        for keys in [vec![], vec![1, 1], vec![2, 1], (0..17).collect()] {
            assert!(!tree.push_chunk(keys.iter().map(|key| (*key, 1)).collect()), "{keys:?}");
            assert!(tree.is_empty());
        }
        assert!(tree.push_chunk((0..16).map(|key| (key, 1)).collect()));
    }

    #[test]
    fn ten_thousand_entries_are_few_steps_away() {
        let tree: Tree<u16, i64> = (0..10_000).map(|key| (key, 1)).collect();
        assert!(height(&tree) < 22);
        assert_eq!(tree.chunks(), 10_000 / CHUNK, "what comes in order fills its chunks");
        let tree: Tree<u16, i64> = (0..10_000).rev().map(|key| (key, 1)).collect();
        assert_eq!(tree.chunks(), 10_000 / CHUNK);
        let tree: Tree<u16, i64> =
            (0..10_000_u32).map(|key| (u16::try_from(key * 7 % 10_000).unwrap(), 1)).collect();
        assert!(tree.chunks() < 10_000 / CHUNK * 3, "{} chunks", tree.chunks());
    }
}
