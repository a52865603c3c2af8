//! Where two trees differ, chunk by chunk. What they share is passed over whole, so that a tree that grew out of
//! another is held beside it in a few steps.

use std::cmp::Ordering;
use std::sync::Arc;

use super::Summarize;
use super::chunk::Chunk;
use super::nodes::{Node, Nodes};

/// A chunk that stands in one of two trees only, or differs. Chunks are told by their first keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Diff<'a, K, V> {
    /// No chunk begins at this key any more.
    Removed(&'a K),
    /// The chunk that begins at the first key is new, or holds something else.
    Upserted(&'a [(K, V)]),
}

impl<K: Ord, V: Summarize> Nodes<K, V> {
    /// What became of the chunks of `before`, by first keys.
    pub(crate) fn diff<'a>(&'a self, before: &'a Self) -> Vec<Diff<'a, K, V>> {
        let (mut gone, mut here, mut found) =
            (TreeCursor::new(before), TreeCursor::new(self), Vec::new());
        loop {
            match (gone.0.last(), here.0.last()) {
                (None, None) => return found,
                (Some(one), Some(other)) if one.is_same_as(other) => {
                    gone.0.pop();
                    here.0.pop();
                }
                (one, other) if chunk_count(one).max(chunk_count(other)) > 0 => {
                    let larger =
                        if chunk_count(one) > chunk_count(other) { &mut gone } else { &mut here };
                    larger.descend();
                }
                (one, other) => {
                    let side = match (one, other) {
                        (Some(one), Some(other)) => one.first_key().cmp(&other.first_key()),
                        (Some(_), None) => Ordering::Less,
                        (None, _) => Ordering::Greater,
                    };
                    if side.is_lt() {
                        found.extend(one.and_then(CursorItem::first_key).map(Diff::Removed));
                    } else {
                        found.extend(other.map(|other| Diff::Upserted(other.entries())));
                    }
                    if side.is_le() {
                        gone.0.pop();
                    }
                    if side.is_ge() {
                        here.0.pop();
                    }
                }
            }
        }
    }
}

/// What is left of a tree, the first of it last.
struct TreeCursor<'a, K, V: Summarize>(Vec<CursorItem<'a, K, V>>);

enum CursorItem<'a, K, V: Summarize> {
    Node(&'a Arc<Node<K, V>>),
    Chunk(&'a Arc<Chunk<K, V>>),
}

impl<'a, K, V: Summarize> TreeCursor<'a, K, V> {
    fn new(nodes: &'a Nodes<K, V>) -> Self {
        Self(nodes.0.iter().map(CursorItem::Node).collect())
    }

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

/// How many chunks are still under a node; none where a chunk, or nothing, stands.
fn chunk_count<K, V: Summarize>(step: Option<&CursorItem<'_, K, V>>) -> usize {
    match step {
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
        let (mut walk, mut found) = (TreeCursor::new(nodes), Chunks::new());
        while let Some(step) = walk.0.last() {
            if chunk_count(Some(step)) > 0 {
                walk.descend();
            } else if let Some(CursorItem::Chunk(chunk)) = walk.0.pop() {
                found.insert(chunk.entries.first().unwrap().0, chunk.entries.clone());
            }
        }
        found
    }

    fn apply(mut chunks: Chunks, found: &[Diff<'_, u16, i64>]) -> Chunks {
        for apart in found {
            match apart {
                Diff::Removed(key) => assert!(chunks.remove(key).is_some(), "{key} did not stand"),
                Diff::Upserted(entries) => {
                    chunks.insert(entries.first().unwrap().0, entries.to_vec());
                }
            }
        }
        chunks
    }

    proptest! {
        #[test]
        fn what_is_apart_makes_one_tree_of_the_other(
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
        assert_eq!(tree.older().diff(before.older()), [], "the last chunk is none of them");
        tree.insert(10_000, 2);
        let found = tree.older().diff(before.older());
        assert!(
            matches!(*found, [Diff::Upserted([(9_984, 1), ..])]),
            "until it is full: {found:?}"
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
