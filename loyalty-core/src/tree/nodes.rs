//! A weight-balanced tree of chunks: no side of a node has more than three times the
//! chunks of the other.

use std::cmp::Ordering;
use std::fmt;
use std::slice;
use std::sync::Arc;

use super::chunk::Chunk;
use super::{CHUNK_CAPACITY, Summarize};

/// Chunks in the order of their keys. Copies share their unchanged nodes.
#[derive(Clone)]
pub(crate) struct Nodes<K, V: Summarize>(pub(super) Option<Arc<Node<K, V>>>);

#[derive(Clone)]
pub(super) struct Node<K, V: Summarize> {
    pub(super) chunk: Arc<Chunk<K, V>>,
    /// The chunks before this one.
    pub(super) left: Nodes<K, V>,
    /// The chunks after this one.
    pub(super) right: Nodes<K, V>,
    /// Number of chunks of the subtree.
    pub(super) chunks: usize,
    /// Number of entries of the subtree.
    len: usize,
    /// Summary of the subtree's values.
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

    /// The summary of all values.
    pub(super) fn summary(&self) -> V::Summary {
        self.0.as_ref().map_or_else(V::Summary::default, |node| node.summary)
    }

    /// The summary of the values whose keys match. All matching keys must be before all
    /// others.
    pub(super) fn summary_while(&self, matches: impl Fn(&K) -> bool) -> V::Summary {
        let (mut sum, mut tree) = (V::Summary::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let count = node.chunk.count_while(&matches);
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

    /// The entries of the last chunk only.
    pub(super) fn tail_only(tail: &[(K, V)]) -> Iter<'_, K, V> {
        Iter { entries: [].iter(), nodes: Vec::new(), tail: tail.iter() }
    }

    /// All entries, and then those of the last chunk, `tail`.
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

    /// The first key up to which, itself included, the summary is enough. `None` if all
    /// values are not enough. `is_enough` must be monotonic.
    pub(super) fn key_reaching(&self, is_enough: impl Fn(V::Summary) -> bool) -> Option<&K> {
        let (mut before, mut tree) = (V::Summary::default(), self);
        while let Some(node) = tree.0.as_deref() {
            let before_chunk = V::sum(before, node.left.summary());
            let after_chunk = V::sum(before_chunk, node.chunk.summary);

            if !node.left.is_empty() && is_enough(before_chunk) {
                tree = &node.left;
            } else if is_enough(after_chunk) {
                return node.chunk.key_reaching(before_chunk, is_enough);
            } else {
                (before, tree) = (after_chunk, &node.right);
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

    /// The entries from `key` on, and then those of the last chunk, `tail`.
    pub(super) fn iter_from<'a>(&'a self, key: &K, tail: &'a [(K, V)]) -> Iter<'a, K, V> {
        let (mut iter, mut tree) = (Self::tail_only(tail), self);
        while let Some(node) = tree.0.as_deref() {
            match node.chunk.compare_key(key) {
                // The node comes after its left side.
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
    /// Inserts a value, in place of the key's present one. Copies the shared nodes on the
    /// path.
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
                if let Some(split_off) = Arc::make_mut(&mut node.chunk).insert(key, value) {
                    node.right.push_first(Arc::new(split_off));
                }
            }
        }

        self.rebalance();
    }

    /// Inserts a chunk before all others.
    fn push_first(&mut self, chunk: Arc<Chunk<K, V>>) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            *self = Self::join(chunk, Self(None), Self(None));
            return;
        };
        node.left.push_first(chunk);
        self.rebalance();
    }

    /// Inserts a chunk after all others.
    pub(super) fn push_last(&mut self, chunk: Arc<Chunk<K, V>>) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else {
            *self = Self::join(chunk, Self(None), Self(None));
            return;
        };
        node.right.push_last(chunk);
        self.rebalance();
    }

    /// Inserts entries after all others, as a chunk.
    ///
    /// Returns false, and changes nothing, if there are none or too many, or if they are
    /// not in order.
    pub(crate) fn push_chunk(&mut self, entries: Vec<(K, V)>) -> bool {
        let last_key = self.last().map(|(key, _)| key);
        let keys = last_key.into_iter().chain(entries.iter().map(|(key, _)| key));
        let is_valid = (1..=CHUNK_CAPACITY).contains(&entries.len())
            && keys.is_sorted_by(|left, right| left < right);

        if is_valid {
            self.push_last(Arc::new(Chunk::new(entries)));
        }
        is_valid
    }

    /// Removes a key and returns its value.
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

    /// Updates the totals and the balance after one side changed by at most one chunk.
    fn rebalance(&mut self) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else { return };
        let (left, right) = (node.left.chunks(), node.right.chunks());
        let both = left.saturating_add(right);

        if both > 1 && (right > left.saturating_mul(3) || left > right.saturating_mul(3)) {
            let Some(node) = self.0.take() else { return };
            let node = Arc::unwrap_or_clone(node);
            *self = Self::balance(node.chunk, node.left, node.right);
        } else {
            node.update_totals();
        }
    }

    /// Joins two trees of one balanced node. All keys of `left` are below those of
    /// `right`.
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

    /// Removes the first chunk. Returns the rest and the chunk, if there was one.
    pub(super) fn split_first(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.left.is_empty() {
            return (node.right, Some(node.chunk));
        }
        let (left, first) = node.left.split_first();
        (Self::balance(node.chunk, left, node.right), first)
    }

    /// Removes the last chunk. Returns the rest and the chunk, if there was one.
    pub(super) fn split_last(self) -> (Self, Option<Arc<Chunk<K, V>>>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.right.is_empty() {
            return (node.left, Some(node.chunk));
        }
        let (right, last) = node.right.split_last();
        (Self::balance(node.chunk, node.left, right), last)
    }

    /// A node whose sides are balanced.
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

    /// A node whose sides may differ by one chunk more than the balance allows.
    fn balance(chunk: Arc<Chunk<K, V>>, left: Self, right: Self) -> Self {
        let (before, after) = (left.chunks(), right.chunks());
        if before.saturating_add(after) <= 1 {
            Self::join(chunk, left, right)
        } else if after > before.saturating_mul(3) {
            Self::rotate_left(chunk, left, right)
        } else if before > after.saturating_mul(3) {
            Self::rotate_right(chunk, left, right)
        } else {
            Self::join(chunk, left, right)
        }
    }

    /// Moves chunks from the right side to the left one: a single or a double rotation.
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

    /// Moves chunks from the left side to the right one: a single or a double rotation.
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
    /// Updates the totals from both sides and the chunk.
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

/// An iterator over entries, in the order of their keys.
pub(crate) struct Iter<'a, K, V: Summarize> {
    /// The rest of the present chunk.
    entries: slice::Iter<'a, (K, V)>,
    /// The nodes on the path whose chunks are still to come, the next one last.
    nodes: Vec<&'a Node<K, V>>,
    /// The entries of the last chunk, which is outside of the tree.
    tail: slice::Iter<'a, (K, V)>,
}

impl<'a, K, V: Summarize> Iter<'a, K, V> {
    /// Continues with the first entry of a tree.
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
