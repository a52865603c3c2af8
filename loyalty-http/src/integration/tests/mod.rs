//! Tests with bodies that PHP itself built and signed (`tests/data/plugin/make.php`).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::arithmetic_side_effects
)]
#![allow(clippy::too_many_lines, reason = "tests with tables of cases")]

mod bodies;
mod orders;
mod signatures;

use serde::Deserialize;

/// The API key in all vectors.
const KEY: &str = "lk_live_4f7Qx/Zü";

#[derive(Deserialize)]
struct Vector {
    name: String,
    event: Option<String>,
    secret: String,
    body: String,
    valid: bool,
}

fn vectors() -> Vec<Vector> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/plugin/vectors.json");
    let vectors: Vec<Vector> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(vectors.len() > 80, "only {} vectors", vectors.len());
    vectors
}

/// A pseudorandom generator with the same numbers on every run (`SplitMix64`).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
