//! Concurrent clients over real HTTP, with connections that are cut at random.
//!
//! - [`storm`]: all clients send the same idempotency keys and retry: one effect for each
//!   key.
//! - [`publish`]: programs are published while orders come in: each order earns under its
//!   pin.
//! - [`histories`]: what clients observed of one account, checked by [`linear`] for one
//!   order of all operations that explains every response.
//!
//! `cargo test -p loyalty-tests --test races` takes seconds; `STORM=full` and
//! `RACE_ROUNDS=2000` make it long.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at what it did not expect"
)]

mod client;
mod histories;
mod linear;
mod publish;
mod server;
mod storm;

/// A generator of reproducible pseudo-random numbers.
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: usize) -> Self {
        Self(u64::try_from(seed).unwrap())
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    /// Points from 1 to `max`.
    pub(crate) fn points(&mut self, max: usize) -> i64 {
        i64::try_from(self.below(max) + 1).unwrap()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
