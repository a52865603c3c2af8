//! The list of all kinds that are written behind, and what the engine has for each of them: a
//! cache, the changes of a batch, and a write queue.

use super::cache::Cache;
use super::filter::BloomFilter;
use super::kind::{Accounts, Days, Kind, Load, Orders, Projections, Responses, Upsert};
use super::map::Map;
use super::write_queue::WriteQueue;
use crate::error::Failure;

macro_rules! stored_kinds {
    ($($field:ident: $kind:ident,)*) => {
        /// Committed states in memory.
        #[derive(Debug)]
        pub(crate) struct StateCaches {
            $(pub(crate) $field: Cache<<$kind as Kind>::Key, <$kind as Kind>::Value>,)*
        }

        impl StateCaches {
            /// Caches of about `capacity` states each, besides the pinned ones.
            pub(super) fn new(capacity: usize) -> Self {
                Self { $($field: Cache::new(capacity),)* }
            }

            pub(super) fn clear(&self) {
                $(self.$field.clear();)*
            }

            /// Returns how many look-ups found a state, and how many had to load it.
            pub(super) fn lookup_counts(&self) -> (u64, u64) {
                let (mut hits, mut misses) = (0_u64, 0_u64);
                $({
                    let counts = self.$field.lookup_counts();
                    hits = hits.saturating_add(counts.0);
                    misses = misses.saturating_add(counts.1);
                })*
                (hits, misses)
            }

            #[cfg(test)]
            pub(super) fn sizes(&self) -> Vec<(&'static str, usize)> {
                vec![$((stringify!($field), self.$field.len()),)*]
            }
        }

        /// States that a batch has changed.
        #[derive(Default)]
        pub(super) struct StateChanges {
            $(pub(super) $field: Map<<$kind as Kind>::Key, <$kind as Kind>::Value>,)*
        }

        impl StateChanges {
            pub(super) fn len(&self) -> usize {
                0_usize$(.saturating_add(self.$field.len()))*
            }
        }

        /// States on their way to their tables.
        #[derive(Default)]
        pub(super) struct StateQueues {
            $(pub(super) $field: WriteQueue<$kind>,)*
        }

        impl StateQueues {
            /// Makes committed changes visible and queues them for their tables.
            pub(super) fn publish(
                &mut self,
                changes: &StateChanges,
                caches: &StateCaches,
                filter: &BloomFilter,
            ) {
                $(publish(&changes.$field, &caches.$field, filter, &mut self.$field);)*
            }

            /// The number of states that were queued since the round began.
            pub(super) fn pending_count(&self) -> usize {
                0_usize$(.saturating_add(self.$field.pending_count()))*
            }

            /// The number of states of the round that are not written yet.
            pub(super) fn remaining_count(&self) -> usize {
                0_usize$(.saturating_add(self.$field.remaining_count()))*
            }

            pub(super) fn start_round(&mut self) {
                $(self.$field.start_round();)*
            }

            /// Writes about `budget` states of the round, of each kind in proportion: accounts
            /// are larger than other states, and no commit should write accounts only.
            pub(super) fn write_slice(
                &mut self,
                budget: usize,
                caches: &StateCaches,
                tables: &mut impl UpsertStates,
            ) -> Result<(), Failure> {
                let share = (budget, self.remaining_count());
                $(self.$field.write_share(share, &caches.$field, tables)?;)*
                Ok(())
            }

            /// Puts back the states of a slice whose transaction was rolled back.
            pub(super) fn return_slice(&mut self, caches: &StateCaches) {
                $(self.$field.return_slice(&caches.$field);)*
            }

            /// Unpins what the committed transaction has written.
            pub(super) fn confirm_slice(&mut self, caches: &StateCaches) {
                $(self.$field.confirm_slice(&caches.$field);)*
            }
        }

        /// Loads states of every kind.
        pub(crate) trait LoadStates: $(Load<$kind> +)* {}

        impl<T: $(Load<$kind> +)*> LoadStates for T {}

        /// Stores states of every kind.
        pub(crate) trait UpsertStates: $(Upsert<$kind> +)* {}

        impl<T: $(Upsert<$kind> +)*> UpsertStates for T {}
    };
}

stored_kinds! {
    projections: Projections,
    accounts: Accounts,
    orders: Orders,
    days: Days,
    responses: Responses,
}

fn publish<K: Kind>(
    changes: &Map<K::Key, K::Value>,
    cache: &Cache<K::Key, K::Value>,
    filter: &BloomFilter,
    queue: &mut WriteQueue<K>,
) {
    for (key, value) in changes {
        // The filter first: it must never deny what a reader could have seen.
        if let Some(key) = K::filter_key(key) {
            filter.add(key);
        }
        cache.publish(key, value.clone(), true);
        queue.enqueue(key, value);
    }
}
