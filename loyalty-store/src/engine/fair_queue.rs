//! A queue in which shops take turns, so that one with many requests does not delay the others.

use std::collections::VecDeque;

use loyalty_core::ShopId;

use super::map::Map;

/// Items of shops: each shop's in the order in which they came, and one shop after the other.
pub(super) struct FairQueue<T> {
    by_shop: Map<ShopId, VecDeque<T>>,
    /// The shops with items, in the order of their turns.
    turns: VecDeque<ShopId>,
    length: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { by_shop: Map::default(), turns: VecDeque::new(), length: 0 }
    }
}

impl<T> FairQueue<T> {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the number of items of a shop.
    pub(super) fn len_of(&self, shop: ShopId) -> usize {
        self.by_shop.get(&shop).map_or(0, VecDeque::len)
    }

    pub(super) fn push(&mut self, shop: ShopId, item: T) {
        let items = self.by_shop.entry(shop).or_default();
        if items.is_empty() {
            self.turns.push_back(shop);
        }
        items.push_back(item);
        self.length = self.length.saturating_add(1);
    }

    /// Takes the next item of the first shop whose item is ready. That shop has its next turn after
    /// all others.
    pub(super) fn pop_ready(&mut self, is_ready: impl Fn(ShopId, &T) -> bool) -> Option<T> {
        let ready = |shop: &ShopId| {
            let next = self.by_shop.get(shop).and_then(VecDeque::front);
            next.is_some_and(|item| is_ready(*shop, item))
        };
        let turn = self.turns.iter().position(ready)?;
        let shop = self.turns.remove(turn)?;

        let items = self.by_shop.get_mut(&shop)?;
        let item = items.pop_front()?;
        if items.is_empty() {
            self.by_shop.remove(&shop);
        } else {
            self.turns.push_back(shop);
        }
        self.length = self.length.saturating_sub(1);
        Some(item)
    }

    /// Takes all items.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(self).by_shop.into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shops_take_turns_and_keep_their_order() {
        let mut queue = FairQueue::default();
        for (shop, item) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
            queue.push(ShopId(shop), item);
        }
        assert_eq!((queue.len(), queue.len_of(ShopId(1)), queue.len_of(ShopId(4))), (6, 3, 0));
        let mut next = |busy: i64| queue.pop_ready(|shop, _| shop != ShopId(busy));
        assert_eq!(
            [next(0), next(0), next(3), next(0)],
            [Some("a1"), Some("b1"), Some("a2"), Some("c1")]
        );
        assert_eq!([next(1), next(1), next(0), next(0)], [Some("b2"), None, Some("a3"), None]);
        assert!(queue.is_empty() && queue.len_of(ShopId(1)) == 0);
    }
}
