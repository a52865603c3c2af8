//! Durability: an acknowledged request survives a kill, a power cut and a failing disk,
//! and a request that could not be written is never acknowledged.
//!
//! The victim is this test binary itself, started again with only the test [`victim`]. It
//! opens the store, works on it with several threads, and prints a line after each
//! response.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at what it did not expect"
)]

mod disk;
mod kill;
mod power;
mod shim;
mod victim;

/// Not a test: the entry point of the process that the tests kill.
#[test]
fn victim() {
    victim::run_victim();
}
