//! A sorted map that is copied in no time: copies share what neither has changed.
//!
//! A decision is made on a copy of the account, and an account can hold ten thousand lots. Each node knows
//! the weight of all under it, so that sums up to a key cost no more than finding it.
//!
//! It is a weight-balanced tree: no side of a node holds more than three times the entries of the other.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

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
    key: K,
    value: V,
    left: Tree<K, V>,
    right: Tree<K, V>,
    len: usize,
    weight: V::Weight,
}

impl<K, V: Weighed> Default for Tree<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K, V: Weighed> Tree<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |node| node.len)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The weight of all values.
    pub(crate) fn weight(&self) -> V::Weight {
        self.0.as_ref().map_or_else(V::Weight::default, |node| node.weight)
    }

    /// The weight of the first values, as long as `holds` for their keys. It must not hold again later.
    pub(crate) fn weight_while(&self, holds: impl Fn(&K) -> bool) -> V::Weight {
        let (mut sum, mut tree) = (V::Weight::default(), self);
        while let Some(node) = tree.0.as_deref() {
            if holds(&node.key) {
                sum = V::sum(sum, V::sum(node.left.weight(), node.value.weight()));
                tree = &node.right;
            } else {
                tree = &node.left;
            }
        }
        sum
    }

    /// All entries by key.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        let mut iter = Iter(Vec::new());
        iter.descend(self);
        iter
    }

    pub(crate) fn first(&self) -> Option<(&K, &V)> {
        let mut node = self.0.as_deref()?;
        while let Some(left) = node.left.0.as_deref() {
            node = left;
        }
        Some((&node.key, &node.value))
    }

    /// The first key at which the weight of all values up to it, its own included, is enough. `is_enough`
    /// must hold for more where it holds for less.
    pub(crate) fn key_reaching(&self, is_enough: impl Fn(V::Weight) -> bool) -> Option<&K> {
        let (mut before, mut tree, mut found) = (V::Weight::default(), self, None);
        while let Some(node) = tree.0.as_deref() {
            let up_to = V::sum(V::sum(before, node.left.weight()), node.value.weight());
            if is_enough(up_to) {
                found = Some(&node.key);
                tree = &node.left;
            } else {
                before = up_to;
                tree = &node.right;
            }
        }
        found
    }
}

impl<K: Ord, V: Weighed> Tree<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let mut tree = self;
        while let Some(node) = tree.0.as_deref() {
            tree = match key.cmp(&node.key) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return Some(&node.value),
            };
        }
        None
    }

    /// The entries from `key` on.
    pub(crate) fn iter_from(&self, key: &K) -> Iter<'_, K, V> {
        let (mut iter, mut tree) = (Iter(Vec::new()), self);
        while let Some(node) = tree.0.as_deref() {
            if *key <= node.key {
                iter.0.push(node);
                tree = &node.left;
            } else {
                tree = &node.right;
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
            *self = Self::joined(key, value, Self(None), Self(None));
            return;
        };
        match key.cmp(&node.key) {
            Ordering::Less => node.left.insert(key, value),
            Ordering::Greater => node.right.insert(key, value),
            Ordering::Equal => node.value = value,
        }
        self.settle();
    }

    /// Takes the value of a key out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.get(key)?;
        self.cut(key)
    }

    fn cut(&mut self, key: &K) -> Option<V> {
        let node = Arc::make_mut(self.0.as_mut()?);
        let value = match key.cmp(&node.key) {
            Ordering::Less => node.left.cut(key),
            Ordering::Greater => node.right.cut(key),
            Ordering::Equal => {
                let node = Arc::unwrap_or_clone(self.0.take()?);
                *self = Self::glued(node.left, node.right);
                return Some(node.value);
            }
        };
        self.settle();
        value
    }

    /// One side changed by an entry: sums are made again, and a side that is too heavy is turned.
    fn settle(&mut self) {
        let Some(node) = self.0.as_mut().map(Arc::make_mut) else { return };
        let (less, more) = (node.left.len(), node.right.len());
        let both = less.saturating_add(more);
        if both > 1 && (more > less.saturating_mul(3) || less > more.saturating_mul(3)) {
            let Some(node) = self.0.take() else { return };
            let node = Arc::unwrap_or_clone(node);
            *self = Self::balanced(node.key, node.value, node.left, node.right);
        } else {
            node.len = both.saturating_add(1);
            node.weight = V::sum(V::sum(node.left.weight(), node.value.weight()), node.right.weight());
        }
    }

    /// Two trees, all keys of the one below those of the other.
    fn glued(left: Self, right: Self) -> Self {
        if left.len() > right.len() {
            match left.without_last() {
                (rest, Some((key, value))) => Self::balanced(key, value, rest, right),
                (_, None) => right,
            }
        } else {
            match right.without_first() {
                (rest, Some((key, value))) => Self::balanced(key, value, left, rest),
                (_, None) => left,
            }
        }
    }

    fn without_first(self) -> (Self, Option<(K, V)>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.left.is_empty() {
            return (node.right, Some((node.key, node.value)));
        }
        let (left, first) = node.left.without_first();
        (Self::balanced(node.key, node.value, left, node.right), first)
    }

    fn without_last(self) -> (Self, Option<(K, V)>) {
        let Some(node) = self.0 else { return (Self(None), None) };
        let node = Arc::unwrap_or_clone(node);
        if node.right.is_empty() {
            return (node.left, Some((node.key, node.value)));
        }
        let (right, last) = node.right.without_last();
        (Self::balanced(node.key, node.value, node.left, right), last)
    }

    fn joined(key: K, value: V, left: Self, right: Self) -> Self {
        let len = left.len().saturating_add(right.len()).saturating_add(1);
        let weight = V::sum(V::sum(left.weight(), value.weight()), right.weight());
        Self(Some(Arc::new(Node { key, value, left, right, len, weight })))
    }

    /// A node whose sides may differ by one entry more than is allowed.
    fn balanced(key: K, value: V, left: Self, right: Self) -> Self {
        let (less, more) = (left.len(), right.len());
        if less.saturating_add(more) <= 1 {
            Self::joined(key, value, left, right)
        } else if more > less.saturating_mul(3) {
            Self::turned_left(key, value, left, right)
        } else if less > more.saturating_mul(3) {
            Self::turned_right(key, value, left, right)
        } else {
            Self::joined(key, value, left, right)
        }
    }

    fn turned_left(key: K, value: V, left: Self, right: Self) -> Self {
        let Some(top) = right.0 else { return Self::joined(key, value, left, Self(None)) };
        let top = Arc::unwrap_or_clone(top);
        if top.left.len() < top.right.len().saturating_mul(2) {
            return Self::joined(top.key, top.value, Self::joined(key, value, left, top.left), top.right);
        }
        let Some(inner) = top.left.0 else {
            return Self::joined(top.key, top.value, Self::joined(key, value, left, Self(None)), top.right);
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) =
            (Self::joined(key, value, left, inner.left), Self::joined(top.key, top.value, inner.right, top.right));
        Self::joined(inner.key, inner.value, below, above)
    }

    fn turned_right(key: K, value: V, left: Self, right: Self) -> Self {
        let Some(top) = left.0 else { return Self::joined(key, value, Self(None), right) };
        let top = Arc::unwrap_or_clone(top);
        if top.right.len() < top.left.len().saturating_mul(2) {
            return Self::joined(top.key, top.value, top.left, Self::joined(key, value, top.right, right));
        }
        let Some(inner) = top.right.0 else {
            return Self::joined(top.key, top.value, top.left, Self::joined(key, value, Self(None), right));
        };
        let inner = Arc::unwrap_or_clone(inner);
        let (below, above) =
            (Self::joined(top.key, top.value, top.left, inner.left), Self::joined(key, value, inner.right, right));
        Self::joined(inner.key, inner.value, below, above)
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

/// Entries by key: the nodes that are still to come, the next one last.
pub(crate) struct Iter<'a, K, V: Weighed>(Vec<&'a Node<K, V>>);

impl<'a, K, V: Weighed> Iter<'a, K, V> {
    fn descend(&mut self, tree: &'a Tree<K, V>) {
        let mut tree = tree;
        while let Some(node) = tree.0.as_deref() {
            self.0.push(node);
            tree = &node.left;
        }
    }
}

impl<'a, K, V: Weighed> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.0.pop()?;
        self.descend(&node.right);
        Some((&node.key, &node.value))
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
            let (less, more) = (node.left.len(), node.right.len());
            assert!(less + more <= 1 || (less <= 3 * more && more <= 3 * less), "{less} and {more}");
            1 + height(&node.left).max(height(&node.right))
        })
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_map(steps in proptest::collection::vec((0..60_u16, any::<bool>(), 0..100_i64), 0..300)) {
            let (mut tree, mut map, mut copies) = (Tree::default(), BTreeMap::new(), Vec::new());
            for (key, puts, value) in steps {
                if key % 16 == 0 {
                    copies.push((tree.clone(), map.clone()));
                }
                if puts {
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

    #[test]
    fn ten_thousand_entries_are_few_steps_away() {
        let tree: Tree<u16, i64> = (0..10_000).map(|key| (key, 1)).collect();
        assert!(height(&tree) < 30);
    }
}
