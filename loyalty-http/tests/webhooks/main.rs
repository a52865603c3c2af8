//! The webhooks of the store plugins over a real socket: bodies that PHP signed, and
//! orders, refunds and customers as the plugins report them. After each test the journal
//! is verified.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

#[path = "../api/conformance.rs"]
mod conformance;
mod deeds;
mod hostile;
mod keys;
mod orders;
mod php;
mod plugin;
mod rewards;
