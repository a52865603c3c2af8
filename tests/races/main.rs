//! Many clients at once over real HTTP, with connections that are cut at random.
//!
//! - [`storm`]: the same idempotency keys from everybody, retried until an answer is read: one effect each.
//! - [`publish`]: programs published while orders come in: each order earns under the one that it pinned.
//! - [`histories`]: what clients saw of one account, judged by [`linear`]: is there one order of all
//!   operations that explains every answer?
//!
//! `cargo test -p loyalty-tests --test races` takes some seconds; `STORM=full` and `RACE_ROUNDS=2000` make it long.

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

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: usize) -> Self {
        Self(u64::try_from(seed).unwrap())
    }

    /// One of `0..sides`.
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((number ^ (number >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    /// Points from `1..=most`.
    pub(crate) fn points(&mut self, most: usize) -> i64 {
        i64::try_from(self.below(most) + 1).unwrap()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
