//! The store plugins' webhooks over a real socket: bodies that PHP signed, and the life of orders, refunds
//! and customers as the plugins tell it. After each test the journal is folded and must agree.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

#[path = "../api/conformance.rs"]
mod conformance;
mod hostile;
mod keys;
mod orders;
mod php;
mod plugin;
mod rewards;
