//! Every way for bytes from outside to come in, as one function a way, for fuzzing.
//!
//! A target takes any bytes. It panics where something breaks that must not break, and else says whether it could
//! do anything with them. `cargo fuzz` calls the same functions (`tests/fuzz`), and `cargo test` calls them with
//! the seeds in `tests/fuzz/seeds` and with thousands of their mutations (`tests/corpus`).

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a target stops at what must not break"
)]

mod carts;
mod mutations;
mod programs;
mod requests;
mod rows;
mod server;
mod texts;
mod webhooks;

pub use self::mutations::{SplitMix64, mutate_in_place, mutate_seed};

/// One way in.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of its seeds' directory.
    pub name: &'static str,
    /// Takes bytes in. Whether they could be read as what they should be.
    pub run: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target { name: "carts", run: carts::run },
    Target { name: "programs", run: programs::run },
    Target { name: "requests", run: requests::run },
    Target { name: "rows", run: rows::run },
    Target { name: "texts", run: texts::run },
    Target { name: "webhooks", run: webhooks::run },
];

/// Runs a target by name; there must be one.
pub fn run(name: &str, data: &[u8]) -> bool {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no target {name}"));
    (target.run)(data)
}

/// What stands between parts of one input.
const PART_SEPARATOR: &[u8] = b"\n---\n";

/// The parts of an input; at most twenty.
fn split_parts(data: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut rest) = (Vec::new(), data);
    while let Some(end) = rest
        .windows(PART_SEPARATOR.len())
        .position(|window| window == PART_SEPARATOR)
    {
        let (part, more) = rest.split_at(end);
        parts.push(part);
        rest = more.get(PART_SEPARATOR.len()..).unwrap_or_default();
    }
    parts.push(rest);
    parts.truncate(20);
    parts
}

/// The first line, and what follows it.
fn split_first_line(part: &[u8]) -> (&[u8], &[u8]) {
    let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
    let (line, rest) = part.split_at(end);
    (line, rest.get(1..).unwrap_or_default())
}
