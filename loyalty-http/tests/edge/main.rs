//! The server's edge over real sockets: what a client may send, how long it may take, and what
//! it gets. Everything stays on 127.0.0.1 and is bounded in time; the limits are set small.
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
