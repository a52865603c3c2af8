//! What a process acknowledged is there after it was killed, after the power was cut, and after its disk
//! failed; what it could not write it never acknowledged.
//!
//! The victim is this test binary itself, started once more for the one test [`victim`]. It opens the
//! store, works on it with several threads, and prints a line for each request that was answered, but
//! none before the answer.

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

/// Not a test of its own: the process that the others kill.
#[test]
fn victim() {
    victim::run_victim();
}
