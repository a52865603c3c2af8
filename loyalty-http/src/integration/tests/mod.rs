//! The plugins' wire against bodies that PHP itself built and signed (`tests/data/plugin/make.php`).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used)]

mod bodies;
mod signatures;

use serde::Deserialize;

/// The key in every vector.
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
    let vectors: Vec<Vector> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(vectors.len() > 80, "only {} vectors", vectors.len());
    vectors
}
