//! Fuzz targets: one function for each entry point of outside bytes.
//!
//! A target takes any bytes, panics if an invariant is broken, and returns true if it
//! accepted them. `cargo fuzz` calls the same functions (`tests/fuzz`). `cargo test`
//! calls them with the seeds in `tests/fuzz/seeds` and with thousands of mutations
//! (`tests/corpus`).

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

/// A named entry point.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the target and of its directory of seeds.
    pub name: &'static str,
    /// Runs the target. Returns true if the input was accepted.
    pub run: fn(&[u8]) -> bool,
}

/// All targets.
pub const TARGETS: [Target; 6] = [
    Target { name: "carts", run: carts::run },
    Target { name: "programs", run: programs::run },
    Target { name: "requests", run: requests::run },
    Target { name: "rows", run: rows::run },
    Target { name: "texts", run: texts::run },
    Target { name: "webhooks", run: webhooks::run },
];

/// Runs the target of this name. Panics if there is none.
pub fn run(name: &str, data: &[u8]) -> bool {
    let target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no target {name}"));
    (target.run)(data)
}

/// Separates the parts of one input.
const PART_SEPARATOR: &[u8] = b"\n---\n";

/// The parts of an input, at most twenty.
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

/// The first line, and the bytes after it.
fn split_first_line(part: &[u8]) -> (&[u8], &[u8]) {
    let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
    let (line, rest) = part.split_at(end);
    (line, rest.get(1..).unwrap_or_default())
}
