//! Chunks by key, as a weight-balanced tree: no side of a node holds more than three times the chunks of the other.

use std::cmp::Ordering;
use std::fmt;
use std::slice;
use std::sync::Arc;

use super::chunk::Chunk;
use super::{CHUNK, Weighed};

/// Chunks by key. Copies share what neither has changed.
#[derive(Clone)]
pub(crate) struct Nodes<K, V: Weighed>(pub(super) Option<Arc<Node<K, V>>>);

#[derive(Clone)]
pub(super) struct Node<K, V: Weighed> {
    pub(super) chunk: Arc<Chunk<K, V>>,
    /// What comes before the chunk.
    pub(super) left: Nodes<K, V>,
    /// What comes after it.
    pub(super) right: Nodes<K, V>,
    pub(super) chunks: usize,
    len: usize,
    weight: V::Weight,
}

impl<K: fmt::Debug, V: Weighed + fmt::Debug> fmt::Debug for Nodes<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter(&[])).finish()
    }
}

impl<K, V: Weighed> Default for Nodes<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K, V: Weighed> Nodes<K, V> {
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
    pub(super) fn weight(&self) -> V::Weight {
        self.0.as_ref().map_or_else(V::Weight::default, |node| node.weight)
    }

    /// The weight of the first values, as long as `holds` for their keys. It must not hold again later.
    pub(super) fn weight_while(&self, holds: impl Fn(&K) -> bool) -> V::Weight {
        let (mut sum, mut tree) = (V::Weight::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let count = node.chunk.count_while(&holds);
            if count == 0 {
                tree = &node.left;
                continue;
            }
            sum = V::sum(sum, node.left.weight());
            if count < node.chunk.entries.len() {
                return V::sum(sum, node.chunk.weight_of(count));
            }
            sum = V::sum(sum, node.chunk.weight);
            tree = &node.right;
        }
        sum
    }

    /// Nothing, and what comes behind it.
    pub(super) fn nothing_but(tail: &[(K, V)]) -> Iter<'_, K, V> {
        Iter { entries: [].iter(), nodes: Vec::new(), tail: tail.iter() }
    }

    /// All entries by key, and those behind them.
    pub(super) fn iter<'a>(&'a self, tail: &'a [(K, V)]) -> Iter<'a, K, V> {
        let mut iter = Self::nothing_but(tail);
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
    pub(super) fn key_reaching(&self, is_enough: impl Fn(V::Weight) -> bool) -> Option<&K> {
        let (mut before, mut tree) = (V::Weight::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let without = V::sum(before, node.left.weight());
            let with = V::sum(without, node.chunk.weight);
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

impl<K: Ord, V: Weighed> Nodes<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let mut tree = self;
        while let Some(node) = tree.0.as_deref() {
            tree = match node.chunk.side(key) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return node.chunk.get(key),
            };
        }
        None
    }

    /// The entries from `key` on, and those behind them.
    pub(super) fn iter_from<'a>(&'a self, key: &K, tail: &'a [(K, V)]) -> Iter<'a, K, V> {
        let (mut iter, mut tree) = (Self::nothing_but(tail), self);
        while let Some(node) = tree.0.as_deref() {
            match node.chunk.side(key) {
                Ordering::Less => {
                    iter.nodes.push(node);
                    tree = &node.left;
                }
                Ordering::Greater => tree = &node.right,
                Ordering::Equal => {
                    iter.entries =
                        node.chunk.behind(node.chunk.count_while(|known| known < key)).iter();
                    iter.descend(&node.right);
                    return iter;
                }
            }
        }
        iter
    }
}

impl<K: Ord + Clone, V: Weighed + Clone> Nodes<K, V> {
    /// Puts a value at a key, in place of what stood there. What is shared with a copy is copied on the way.
    pub(super) fn insert(&mut self, key: K, value: V) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            let chunk = Chunk::new(vec![(key, value)]);
            *self = Self::joined(Arc::new(chunk), Self(None), Self(None));
            return;
        };
        match node.chunk.side(&key) {
            Ordering::Less if !node.left.is_empty() => node.left.insert(key, value),
            Ordering::Greater if !node.right.is_empty() => node.right.insert(key, value),
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
    pub(super) fn put_last(&mut self, chunk: Arc<Chunk<K, V>>) {
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
        let keys = self
            .last()
            .map(|(key, _)| key)
            .into_iter()
            .chain(entries.iter().map(|(key, _)| key));
        let fits =
            (1..=CHUNK).contains(&entries.len()) && keys.is_sorted_by(|one, other| one < other);
        if fits {
            self.put_last(Arc::new(Chunk::new(entries)));
        }
        fits
    }

    /// Takes the value of a key out, where it is there.
    pub(super) fn cut(&mut self, key: &K) -> Option<V> {
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

    pub(super) fn without_first(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.left.is_empty() {
            return (node.right, Some(node.chunk));
        }
        let (left, first) = node.left.without_first();
        (Self::balanced(node.chunk, left, node.right), first)
    }

    pub(super) fn without_last(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.right.is_empty() {
            return (node.left, Some(node.chunk));
        }
        let (right, last) = node.right.without_last();
        (Self::balanced(node.chunk, node.left, right), last)
    }

    fn joined(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let mut node = Node {
            chunk,
            left,
            right,
            chunks: 0,
            len: 0,
            weight: V::Weight::default(),
        };
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
        let Some(top) = right.0 else {
            return Self::joined(chunk, left, Self(None));
        };
        let top = Arc::unwrap_or_clone(top);
        if top.left.chunks() < top.right.chunks().saturating_mul(2) {
            return Self::joined(top.chunk, Self::joined(chunk, left, top.left), top.right);
        }
        let Some(inner) = top.left.0 else {
            return Self::joined(top.chunk, Self::joined(chunk, left, Self(None)), top.right);
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) = (
            Self::joined(chunk, left, inner.left),
            Self::joined(top.chunk, inner.right, top.right),
        );
        Self::joined(inner.chunk, below, above)
    }

    fn turned_right(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let Some(top) = left.0 else {
            return Self::joined(chunk, Self(None), right);
        };
        let top = Arc::unwrap_or_clone(top);
        if top.right.chunks() < top.left.chunks().saturating_mul(2) {
            return Self::joined(top.chunk, top.left, Self::joined(chunk, top.right, right));
        }
        let Some(inner) = top.right.0 else {
            return Self::joined(top.chunk, top.left, Self::joined(chunk, Self(None), right));
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) = (
            Self::joined(top.chunk, top.left, inner.left),
            Self::joined(chunk, inner.right, right),
        );
        Self::joined(inner.chunk, below, above)
    }
}

impl<K, V: Weighed> Node<K, V> {
    /// Sums up its sides and its chunk.
    fn count(&mut self) {
        let Self { chunk, left, right, .. } = self;
        self.chunks = left.chunks().saturating_add(right.chunks()).saturating_add(1);
        self.len = left
            .len()
            .saturating_add(right.len())
            .saturating_add(chunk.entries.len());
        self.weight = V::sum(V::sum(left.weight(), chunk.weight), right.weight());
    }
}

/// Entries by key: what is left of a chunk, the nodes that are still to come, the next one last, and what comes
/// behind all of them.
pub(crate) struct Iter<'a, K, V: Weighed> {
    entries: slice::Iter<'a, (K, V)>,
    nodes: Vec<&'a Node<K, V>>,
    tail: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V: Weighed> Iter<'a, K, V> {
    fn descend(&mut self, tree: &'a Nodes<K, V>) {
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
