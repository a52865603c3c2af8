//! What the tables surely do not hold, known without asking SQLite: a Bloom filter over the keys of
//! orders, kept answers, small records and codes. Nearly every order, every idempotency key and every code that is
//! drawn is new.
//!
//! A key is added before anybody can see that it is committed, and never taken out. So the filter says
//! more than there is, never less. Until it has been filled from the file it says that all may be there.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use foldhash::quality::RandomState;
use loyalty_core::{OrderId, ShopId};
use rusqlite::Connection;

use super::committed::CommittedState;
use super::responses;
use super::{discounts, rows};
use crate::error::Failure;
use crate::projections::ProjectionKey;

/// For each cached record: 128 to 256 bytes are little beside it, and enough for more than a hundred keys.
const WORDS_PER_RECORD: usize = 16;

/// How many keys a word tells apart. With eight, three new keys in a hundred look like known ones; with twenty-four,
/// more than every third.
const KEYS_PER_WORD: usize = 8;

/// How long it rests where the file could not be read.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// How many rows are read at once, so that the log can begin anew in between.
const PAGE_SIZE: usize = 4_096;

/// A key in one of the tables.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum FilterKey<'a> {
    Order(&'a (ShopId, OrderId)),
    /// By what of the key is in its place.
    Response(i64),
    Projection(&'a (ShopId, ProjectionKey)),
    /// By the code's key.
    Code(&'a (ShopId, String)),
}

#[derive(Debug)]
pub(super) struct BloomFilter {
    /// Each key sets four bits of one word, so that a look costs one access. As many words as a power of two.
    words: Vec<AtomicU64>,
    hasher: RandomState,
    /// How many keys it has room for, and how many were new to it.
    capacity: usize,
    added: AtomicUsize,
    is_complete: AtomicBool,
    is_stopped: AtomicBool,
}

impl BloomFilter {
    /// A filter beside a cache of so many records.
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
            let room = self.capacity;
            tracing::warn!(
                room,
                "more keys than are told apart in memory: new ones get slower; cache more records"
            );
        }
    }

    /// Whether a table may hold it: where not, it surely does not.
    pub(super) fn may_contain(&self, key: FilterKey<'_>) -> bool {
        if !self.is_complete.load(Ordering::Acquire) {
            return true;
        }
        let (word, bits) = self.locate(key);
        word.is_none_or(|word| word.load(Ordering::Relaxed) & bits == bits)
    }

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
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }

    /// Lets go of the filling, where the store closes.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

/// Adds what the tables hold, in the end all of it, unless the store closes. What reaches them meanwhile adds itself.
pub(super) fn fill(shared: &CommittedState) {
    while !shared.filter.is_stopped.load(Ordering::Relaxed) {
        match add_all(shared) {
            Ok(whole) => return shared.filter.is_complete.store(whole, Ordering::Release),
            // Only slower: SQLite is asked for each key until then.
            Err(failure) => {
                tracing::warn!(%failure, "the keys could not all be read; they are read again")
            }
        }
        std::thread::park_timeout(RETRY_DELAY);
    }
}

/// Answers whether it came to the end.
fn add_all(shared: &CommittedState) -> Result<bool, Failure> {
    let filter = &shared.filter;
    Ok(
        scan_keys(shared, rows::read_order_keys, |key| filter.add(FilterKey::Order(key)))?
            && scan_keys(shared, responses::read_slots, |(slot, _)| {
                filter.add(FilterKey::Response(responses::key_bits_of_slot(*slot)))
            })?
            && scan_keys(shared, discounts::read_projection_keys, |key| {
                filter.add(FilterKey::Projection(key))
            })?
            && scan_keys(shared, discounts::read_code_keys, |key| {
                filter.add(FilterKey::Code(key))
            })?,
    )
}

/// Visits the keys of a table page by page. Answers whether it came to the end.
fn scan_keys<K>(
    shared: &CommittedState,
    page: impl Fn(&Connection, Option<&K>, usize) -> Result<Vec<K>, Failure>,
    visit: impl Fn(&K),
) -> Result<bool, Failure> {
    let mut last = None;
    while !shared.filter.is_stopped.load(Ordering::Relaxed) {
        // Of an ill store's file nothing is believed.
        let _well = shared.ensure_available()?;
        let keys = shared.with_reader(|db| page(db, last.as_ref(), PAGE_SIZE))?;
        keys.iter().for_each(&visit);
        if keys.len() < PAGE_SIZE {
            return Ok(true);
        }
        last = keys.into_iter().next_back();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[test]
    fn an_incomplete_filter_admits_all_a_complete_one_what_was_added() {
        let filter = BloomFilter::new(1_000);
        (0..10_000).for_each(|number| filter.add(FilterKey::Response(number)));
        assert!((0..20_000).all(|number| filter.may_contain(FilterKey::Response(number))));
        filter.is_complete.store(true, Ordering::Release);
        assert!((0..10_000).all(|number| filter.may_contain(FilterKey::Response(number))));
        let wrong = (10_000..20_000)
            .filter(|number| filter.may_contain(FilterKey::Response(*number)))
            .count();
        assert!(wrong < 10, "{wrong} of 10,000, with 100 bits a key");
    }

    #[test]
    fn kinds_and_shops_are_distinguished() {
        let filter = BloomFilter::new(1_000);
        filter.is_complete.store(true, Ordering::Release);
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
