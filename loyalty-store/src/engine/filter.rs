//! A Bloom filter over the keys in the tables: nearly every order, every idempotency key and every
//! drawn code is new, and a new key is known to be absent without asking the backend.
//!
//! A key is added before anyone can see that it is committed, and is never removed. So the filter
//! may admit a key that does not exist, but never denies one that does. Until it was filled from the
//! tables it admits every key.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use foldhash::quality::RandomState;

use super::kind::FilterKey;

/// Words for each cached record. Its 128 to 256 bytes are few beside a record, and enough for more
/// than a hundred keys.
const WORDS_PER_RECORD: usize = 16;

/// The number of keys that a word can distinguish. With eight, three new keys in a hundred look
/// known; with twenty-four, more than a third.
const KEYS_PER_WORD: usize = 8;

#[derive(Debug)]
pub(crate) struct BloomFilter {
    /// Each key sets four bits of one word, so that a look-up costs one access. The number of words
    /// is a power of two.
    words: Vec<AtomicU64>,
    hasher: RandomState,
    /// The number of keys from which on too many new keys look known.
    capacity: usize,
    /// The number of keys that were new.
    added: AtomicUsize,
    is_complete: AtomicBool,
    is_stopped: AtomicBool,
}

impl BloomFilter {
    /// A filter sized for a cache of `cached_records`.
    pub(super) fn new(cached_records: usize) -> Self {
        let words = cached_records
            .saturating_mul(WORDS_PER_RECORD)
            .clamp(1, 1 << 27)
            .next_power_of_two();
        Self {
            words: std::iter::repeat_with(AtomicU64::default).take(words).collect(),
            hasher: RandomState::default(),
            capacity: words.saturating_mul(KEYS_PER_WORD),
            added: AtomicUsize::new(0),
            is_complete: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn add(&self, key: FilterKey<'_>) {
        let (word, bits) = self.locate(key);
        let Some(word) = word else { return };
        let is_new = word.fetch_or(bits, Ordering::Relaxed) & bits != bits;
        if is_new && self.added.fetch_add(1, Ordering::Relaxed) == self.capacity {
            tracing::warn!(
                capacity = self.capacity,
                "the key filter is full: lookups of new keys are slower; cache more records"
            );
        }
    }

    /// Returns `false` only if no table contains the key.
    pub(crate) fn may_contain(&self, key: FilterKey<'_>) -> bool {
        if !self.is_complete.load(Ordering::Acquire) {
            return true;
        }
        let (word, bits) = self.locate(key);
        word.is_none_or(|word| word.load(Ordering::Relaxed) & bits == bits)
    }

    /// Returns the word of a key and its bits in the word.
    fn locate(&self, key: FilterKey<'_>) -> (Option<&AtomicU64>, u64) {
        let hash = self.hasher.hash_one(key);
        let bits = [0, 6, 12, 18]
            .into_iter()
            .fold(0, |bits, from| bits | 1 << (hash >> from & 63));
        let word =
            usize::try_from(hash >> 32).unwrap_or_default() & self.words.len().saturating_sub(1);
        (self.words.get(word), bits)
    }

    #[cfg(test)]
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    /// Notes that all keys were added: from now on other keys are denied.
    pub(super) fn set_complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    /// Ends the loading of keys when the store closes.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use loyalty_core::{OrderId, ShopId};

    use super::*;
    use crate::projections::ProjectionKey;

    #[test]
    fn an_incomplete_filter_admits_all_a_complete_one_what_was_added() {
        let filter = BloomFilter::new(1_000);
        (0..10_000).for_each(|number| filter.add(FilterKey::Response(number)));
        assert!((0..20_000).all(|number| filter.may_contain(FilterKey::Response(number))));
        filter.set_complete();
        assert!((0..10_000).all(|number| filter.may_contain(FilterKey::Response(number))));
        let wrong = (10_000..20_000)
            .filter(|number| filter.may_contain(FilterKey::Response(*number)))
            .count();
        assert!(wrong < 10, "{wrong} of 10,000, with 100 bits a key");
    }

    #[test]
    fn kinds_and_shops_are_distinguished() {
        let filter = BloomFilter::new(1_000);
        filter.set_complete();
        let order = (ShopId(1), OrderId::new("1").unwrap());
        filter.add(FilterKey::Order(&order));
        assert!(filter.may_contain(FilterKey::Order(&order)));
        assert!(!filter.may_contain(FilterKey::Projection(&(
            ShopId(1),
            ProjectionKey::Order(order.1.clone())
        ))));
        assert!(!filter.may_contain(FilterKey::Order(&(ShopId(2), order.1))));
    }
}
