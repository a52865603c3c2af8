//! The difference of two trees, chunk by chunk.
//!
//! Shared subtrees are skipped, so that the cost is O(changes · log n) for a tree that is
//! a changed copy of the other.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Summarize;
use super::chunk::Chunk;
use super::nodes::{Node, Nodes};

/// A chunk that is in one of two trees only, or differs. Chunks are identified by their
/// first keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Diff<'a, K, V> {
    /// No chunk begins at this key any longer.
    Removed(&'a K),
    /// The chunk of these entries is new, or its entries changed.
    Upserted(&'a [(K, V)]),
}

impl<K: Ord, V: Summarize> Nodes<K, V> {
    /// Returns the changes from the chunks of `before` to these, in the order of their
    /// first keys.
    pub(crate) fn diff<'a>(&'a self, before: &'a Self) -> Vec<Diff<'a, K, V>> {
        let (mut old, mut new, mut changes) =
            (TreeCursor::new(before), TreeCursor::new(self), Vec::new());
        loop {
            match (old.0.last(), new.0.last()) {
                (None, None) => return changes,
                (Some(left), Some(right)) if left.is_same_as(right) => {
                    old.0.pop();
                    new.0.pop();
                }
                // Opening the larger subtree first finds shared subtrees of the same
                // size.
                (left, right) if chunk_count(left).max(chunk_count(right)) > 0 => {
                    let larger =
                        if chunk_count(left) > chunk_count(right) { &mut old } else { &mut new };
                    larger.descend();
                }
                (left, right) => {
                    let order = match (left, right) {
                        (Some(left), Some(right)) => left.first_key().cmp(&right.first_key()),
                        (Some(_), None) => Ordering::Less,
                        (None, _) => Ordering::Greater,
                    };

                    if order.is_lt() {
                        changes.extend(left.and_then(CursorItem::first_key).map(Diff::Removed));
                    } else {
                        changes.extend(right.map(|chunk| Diff::Upserted(chunk.entries())));
                    }

                    if order.is_le() {
                        old.0.pop();
                    }
                    if order.is_ge() {
                        new.0.pop();
                    }
                }
            }
        }
    }
}

/// The rest of a traversal: a stack whose top is the next item.
struct TreeCursor<'a, K, V: Summarize>(Vec<CursorItem<'a, K, V>>);

enum CursorItem<'a, K, V: Summarize> {
    Node(&'a Arc<Node<K, V>>),
    Chunk(&'a Arc<Chunk<K, V>>),
}

impl<'a, K, V: Summarize> TreeCursor<'a, K, V> {
    fn new(nodes: &'a Nodes<K, V>) -> Self {
        Self(nodes.0.iter().map(CursorItem::Node).collect())
    }

    /// Replaces the node at the top by its parts.
    fn descend(&mut self) {
        let Some(CursorItem::Node(node)) = self.0.pop() else { return };
        self.0.extend(node.right.0.iter().map(CursorItem::Node));
        self.0.push(CursorItem::Chunk(&node.chunk));
        self.0.extend(node.left.0.iter().map(CursorItem::Node));
    }
}

impl<'a, K, V: Summarize> CursorItem<'a, K, V> {
    fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Node(one), Self::Node(other)) => Arc::ptr_eq(one, other),
            (Self::Chunk(one), Self::Chunk(other)) => Arc::ptr_eq(one, other),
            (Self::Node(_), Self::Chunk(_)) | (Self::Chunk(_), Self::Node(_)) => false,
        }
    }

    fn first_key(&self) -> Option<&'a K> {
        self.entries().first().map(|(key, _)| key)
    }

    fn entries(&self) -> &'a [(K, V)] {
        match self {
            Self::Node(_) => &[],
            Self::Chunk(chunk) => &chunk.entries,
        }
    }
}

/// The number of chunks of a node that was not opened yet; zero for a chunk, and at the
/// end.
fn chunk_count<K, V: Summarize>(item: Option<&CursorItem<'_, K, V>>) -> usize {
    match item {
        Some(CursorItem::Node(node)) => node.chunks,
        Some(CursorItem::Chunk(_)) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use std::collections::BTreeMap;

    use ::proptest::prelude::*;

    use super::*;
    use crate::tree::Tree;

    type Chunks = BTreeMap<u16, Vec<(u16, i64)>>;

    fn chunks(nodes: &Nodes<u16, i64>) -> Chunks {
        let (mut cursor, mut found) = (TreeCursor::new(nodes), Chunks::new());
        while let Some(item) = cursor.0.last() {
            if chunk_count(Some(item)) > 0 {
                cursor.descend();
            } else if let Some(CursorItem::Chunk(chunk)) = cursor.0.pop() {
                found.insert(chunk.entries.first().unwrap().0, chunk.entries.clone());
            }
        }
        found
    }

    fn apply(mut chunks: Chunks, changes: &[Diff<'_, u16, i64>]) -> Chunks {
        for change in changes {
            match change {
                Diff::Removed(key) => assert!(chunks.remove(key).is_some(), "no chunk at {key}"),
                Diff::Upserted(entries) => {
                    chunks.insert(entries.first().unwrap().0, entries.to_vec());
                }
            }
        }
        chunks
    }

    proptest! {
        #[test]
        fn a_difference_applied_to_one_tree_makes_the_other(
            steps in proptest::collection::vec((0..400_u16, 0..4_u8, 0..100_i64, 0..20_u8), 0..600)
        ) {
            let (mut tree, mut before) = (Tree::default(), Tree::default());
            for (key, puts, value, stops) in steps {
                if puts == 0 {
                    tree.remove(&key);
                } else if tree.get(&key) != Some(&value) {
                    tree.insert(key, value);
                }
                if stops == 0 {
                    let found = tree.older().diff(before.older());
                    prop_assert_eq!(apply(chunks(before.older()), &found), chunks(tree.older()));
                    before = tree.clone();
                    prop_assert!(tree.older().diff(before.older()).is_empty());
                }
            }
            prop_assert_eq!(apply(Chunks::new(), &tree.older().diff(&Nodes::default())), chunks(tree.older()));
            prop_assert_eq!(apply(chunks(tree.older()), &Nodes::default().diff(tree.older())), Chunks::new());
        }
    }

    #[test]
    fn shared_chunks_are_skipped() {
        let before: Tree<u16, i64> = (0..10_000).map(|key| (key, 1)).collect();
        for key in [0, 5_000, 9_983] {
            let mut tree = before.clone();
            tree.insert(key, 2);
            let found = tree.older().diff(before.older());
            assert!(
                matches!(*found, [Diff::Upserted(entries)] if entries.contains(&(key, 2))),
                "{found:?}"
            );
        }
        let mut tree = before.clone();
        tree.insert(9_999, 2);
        assert_eq!(tree.older().diff(before.older()), [], "the last chunk is not compared");
        tree.insert(10_000, 2);
        let found = tree.older().diff(before.older());
        assert!(
            matches!(*found, [Diff::Upserted([(9_984, 1), ..])]),
            "a full chunk is compared: {found:?}"
        );
        let mut tree = before.clone();
        tree.remove(&160);
        let found = tree.older().diff(before.older());
        assert!(
            matches!(*found, [Diff::Removed(160), Diff::Upserted([(161, 1), ..])]),
            "{found:?}"
        );
    }
}
