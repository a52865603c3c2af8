//! The modules of loyalty-core, loyalty-store and loyalty-http, as their source says: which of them
//! use which (`cargo test -p loyalty-tests --test structure`), and how they measure (`cargo run -p
//! loyalty-tests --bin measure`).

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a tool may stop at what it did not expect"
)]

mod graph;
mod source;

pub use self::graph::Graph;
pub use self::source::{CRATES, Source, from_disk, load};
