//! The server over real sockets: framing, limits and shutdown. The limits are small, and
//! all tests are bounded in time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod framing;
mod lifecycle;
mod limits;
mod support;
