//! Chunks by key, as a weight-balanced tree: no side of a node holds more than three times the chunks of the other.

use std::cmp::Ordering;
use std::fmt;
use std::slice;
use std::sync::Arc;

use super::chunk::Chunk;
use super::{CHUNK_CAPACITY, Summarize};

/// Chunks by key. Copies share what neither has changed.
#[derive(Clone)]
pub(crate) struct Nodes<K, V: Summarize>(pub(super) Option<Arc<Node<K, V>>>);

#[derive(Clone)]
pub(super) struct Node<K, V: Summarize> {
    pub(super) chunk: Arc<Chunk<K, V>>,
    /// What comes before the chunk.
    pub(super) left: Nodes<K, V>,
    /// What comes after it.
    pub(super) right: Nodes<K, V>,
    pub(super) chunks: usize,
    len: usize,
    summary: V::Summary,
}

impl<K: fmt::Debug, V: Summarize + fmt::Debug> fmt::Debug for Nodes<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter(&[])).finish()
    }
}

impl<K, V: Summarize> Default for Nodes<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K, V: Summarize> Nodes<K, V> {
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn chunks(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.chunks)
    }

    /// The weight of all values.
    pub(super) fn summary(&self) -> V::Summary {
        self.0.as_ref().map_or_else(V::Summary::default, |node| node.summary)
    }

    /// The weight of the first values, as long as `holds` for their keys. It must not hold again later.
    pub(super) fn summary_while(&self, holds: impl Fn(&K) -> bool) -> V::Summary {
        let (mut sum, mut tree) = (V::Summary::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let count = node.chunk.count_while(&holds);
            if count == 0 {
                tree = &node.left;
                continue;
            }
            sum = V::sum(sum, node.left.summary());
            if count < node.chunk.entries.len() {
                return V::sum(sum, node.chunk.summary_of_first(count));
            }
            sum = V::sum(sum, node.chunk.summary);
            tree = &node.right;
        }
        sum
    }

    /// Nothing, and what comes behind it.
    pub(super) fn tail_only(tail: &[(K, V)]) -> Iter<'_, K, V> {
        Iter { entries: [].iter(), nodes: Vec::new(), tail: tail.iter() }
    }

    /// All entries by key, and those behind them.
    pub(super) fn iter<'a>(&'a self, tail: &'a [(K, V)]) -> Iter<'a, K, V> {
        let mut iter = Self::tail_only(tail);
        iter.descend(self);
        iter
    }

    pub(super) fn first(&self) -> Option<(&K, &V)> {
        let mut node = self.0.as_deref()?;
        while let Some(left) = node.left.0.as_deref() {
            node = left;
        }
        node.chunk.entries.first().map(|(key, value)| (key, value))
    }

    pub(super) fn last(&self) -> Option<(&K, &V)> {
        let mut node = self.0.as_deref()?;
        while let Some(right) = node.right.0.as_deref() {
            node = right;
        }
        node.chunk.entries.last().map(|(key, value)| (key, value))
    }

    /// The first key at which the weight of all values up to it, its own included, is enough. `is_enough`
    /// must hold for more where it holds for less.
    pub(super) fn key_reaching(&self, is_enough: impl Fn(V::Summary) -> bool) -> Option<&K> {
        let (mut before, mut tree) = (V::Summary::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let without = V::sum(before, node.left.summary());
            let with = V::sum(without, node.chunk.summary);
            if !node.left.is_empty() && is_enough(without) {
                tree = &node.left;
            } else if is_enough(with) {
                return node.chunk.key_reaching(without, is_enough);
            } else {
                (before, tree) = (with, &node.right);
            }
        }
        None
    }
}

impl<K: Ord, V: Summarize> Nodes<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let mut tree = self;
        while let Some(node) = tree.0.as_deref() {
            tree = match node.chunk.compare_key(key) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return node.chunk.get(key),
            };
        }
        None
    }

    /// The entries from `key` on, and those behind them.
    pub(super) fn iter_from<'a>(&'a self, key: &K, tail: &'a [(K, V)]) -> Iter<'a, K, V> {
        let (mut iter, mut tree) = (Self::tail_only(tail), self);
        while let Some(node) = tree.0.as_deref() {
            match node.chunk.compare_key(key) {
                Ordering::Less => {
                    iter.nodes.push(node);
                    tree = &node.left;
                }
                Ordering::Greater => tree = &node.right,
                Ordering::Equal => {
                    iter.entries = node
                        .chunk
                        .entries_from(node.chunk.count_while(|known| known < key))
                        .iter();
                    iter.descend(&node.right);
                    return iter;
                }
            }
        }
        iter
    }
}

impl<K: Ord + Clone, V: Summarize + Clone> Nodes<K, V> {
    /// Puts a value at a key, in place of what stood there. What is shared with a copy is copied on the way.
    pub(super) fn insert(&mut self, key: K, value: V) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            let chunk = Chunk::new(vec![(key, value)]);
            *self = Self::join(Arc::new(chunk), Self(None), Self(None));
            return;
        };
        match node.chunk.compare_key(&key) {
            Ordering::Less if !node.left.is_empty() => node.left.insert(key, value),
            Ordering::Greater if !node.right.is_empty() => node.right.insert(key, value),
            Ordering::Less | Ordering::Equal | Ordering::Greater => {
                if let Some(behind) = Arc::make_mut(&mut node.chunk).insert(key, value) {
                    node.right.push_first(Arc::new(behind));
                }
            }
        }
        self.rebalance();
    }

    /// Puts a chunk before all others.
    fn push_first(&mut self, chunk: Arc<Chunk<K, V>>) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            *self = Self::join(chunk, Self(None), Self(None));
            return;
        };
        node.left.push_first(chunk);
        self.rebalance();
    }

    /// Puts a chunk behind all others.
    pub(super) fn push_last(&mut self, chunk: Arc<Chunk<K, V>>) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            *self = Self::join(chunk, Self(None), Self(None));
            return;
        };
        node.right.push_last(chunk);
        self.rebalance();
    }

    /// Puts entries behind all others, as a chunk. False, and nothing is changed, where they are none, or too many,
    /// or not in order.
    pub(crate) fn push_chunk(&mut self, entries: Vec<(K, V)>) -> bool {
        let keys = self
            .last()
            .map(|(key, _)| key)
            .into_iter()
            .chain(entries.iter().map(|(key, _)| key));
        let fits = (1..=CHUNK_CAPACITY).contains(&entries.len())
            && keys.is_sorted_by(|one, other| one < other);
        if fits {
            self.push_last(Arc::new(Chunk::new(entries)));
        }
        fits
    }

    /// Takes the value of a key out, where it is there.
    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let node = Arc::make_mut(self.0.as_mut()?);
        let value = match node.chunk.compare_key(key) {
            Ordering::Less => node.left.remove(key),
            Ordering::Greater => node.right.remove(key),
            Ordering::Equal => {
                let value = Arc::make_mut(&mut node.chunk).remove(key);
                if node.chunk.entries.is_empty() {
                    let node = Arc::unwrap_or_clone(self.0.take()?);
                    *self = Self::concat(node.left, node.right);
                    return value;
                }
                value
            }
        };
        self.rebalance();
        value
    }

    /// One side changed by a chunk at the most: sums are made again, and a side that is too heavy is turned.
    fn rebalance(&mut self) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else { return };
        let (less, more) = (node.left.chunks(), node.right.chunks());
        let both = less.saturating_add(more);
        if both > 1 && (more > less.saturating_mul(3) || less > more.saturating_mul(3)) {
            let Some(node) = self.0.take() else { return };
            let node = Arc::unwrap_or_clone(node);
            *self = Self::balance(node.chunk, node.left, node.right);
        } else {
            node.update_totals();
        }
    }

    /// Two trees, all keys of the one below those of the other.
    fn concat(left: Self, right: Self) -> Self {
        if left.chunks() > right.chunks() {
            match left.split_last() {
                (rest, Some(chunk)) => Self::balance(chunk, rest, right),
                (_, None) => right,
            }
        } else {
            match right.split_first() {
                (rest, Some(chunk)) => Self::balance(chunk, left, rest),
                (_, None) => left,
            }
        }
    }

    pub(super) fn split_first(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.left.is_empty() {
            return (node.right, Some(node.chunk));
        }
        let (left, first) = node.left.split_first();
        (Self::balance(node.chunk, left, node.right), first)
    }

    pub(super) fn split_last(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.right.is_empty() {
            return (node.left, Some(node.chunk));
        }
        let (right, last) = node.right.split_last();
        (Self::balance(node.chunk, node.left, right), last)
    }

    fn join(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let mut node = Node {
            chunk,
            left,
            right,
            chunks: 0,
            len: 0,
            summary: V::Summary::default(),
        };
        node.update_totals();
        Self(Some(Arc::new(node)))
    }

    /// A node whose sides may differ by one chunk more than is allowed.
    fn balance(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let (less, more) = (left.chunks(), right.chunks());
        if less.saturating_add(more) <= 1 {
            Self::join(chunk, left, right)
        } else if more > less.saturating_mul(3) {
            Self::rotate_left(chunk, left, right)
        } else if less > more.saturating_mul(3) {
            Self::rotate_right(chunk, left, right)
        } else {
            Self::join(chunk, left, right)
        }
    }

    fn rotate_left(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let Some(top) = right.0 else {
            return Self::join(chunk, left, Self(None));
        };
        let top = Arc::unwrap_or_clone(top);
        if top.left.chunks() < top.right.chunks().saturating_mul(2) {
            return Self::join(top.chunk, Self::join(chunk, left, top.left), top.right);
        }
        let Some(inner) = top.left.0 else {
            return Self::join(top.chunk, Self::join(chunk, left, Self(None)), top.right);
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) = (
            Self::join(chunk, left, inner.left),
            Self::join(top.chunk, inner.right, top.right),
        );
        Self::join(inner.chunk, below, above)
    }

    fn rotate_right(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let Some(top) = left.0 else {
            return Self::join(chunk, Self(None), right);
        };
        let top = Arc::unwrap_or_clone(top);
        if top.right.chunks() < top.left.chunks().saturating_mul(2) {
            return Self::join(top.chunk, top.left, Self::join(chunk, top.right, right));
        }
        let Some(inner) = top.right.0 else {
            return Self::join(top.chunk, top.left, Self::join(chunk, Self(None), right));
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) = (
            Self::join(top.chunk, top.left, inner.left),
            Self::join(chunk, inner.right, right),
        );
        Self::join(inner.chunk, below, above)
    }
}

impl<K, V: Summarize> Node<K, V> {
    /// Sums up its sides and its chunk.
    fn update_totals(&mut self) {
        let Self { chunk, left, right, .. } = self;
        self.chunks = left.chunks().saturating_add(right.chunks()).saturating_add(1);
        self.len = left
            .len()
            .saturating_add(right.len())
            .saturating_add(chunk.entries.len());
        self.summary = V::sum(V::sum(left.summary(), chunk.summary), right.summary());
    }
}

/// Entries by key: what is left of a chunk, the nodes that are still to come, the next one last, and what comes
/// behind all of them.
pub(crate) struct Iter<'a, K, V: Summarize> {
    entries: slice::Iter<'a, (K, V)>,
    nodes: Vec<&'a Node<K, V>>,
    tail: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V: Summarize> Iter<'a, K, V> {
    fn descend(&mut self, tree: &'a Nodes<K, V>) {
        let mut tree = tree;
        while let Some(node) = tree.0.as_deref() {
            self.nodes.push(node);
            tree = &node.left;
        }
    }
}

impl<'a, K, V: Summarize> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.entries.next() {
                return Some((key, value));
            }
            match self.nodes.pop() {
                Some(node) => {
                    self.entries = node.chunk.entries.iter();
                    self.descend(&node.right);
                }
                None => return self.tail.next().map(|(key, value)| (key, value)),
            }
        }
    }
}
