//! Every breakage can be planted: its items are there, and its patterns are found once.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use loyalty_guards::Sources;

#[test]
fn every_breakage_can_be_planted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let breakages = loyalty_guards::read(&folder.join("breakages")).unwrap();
    let sources = Sources::read(&folder.join("../..")).unwrap();
    let mut broken = BTreeSet::new();
    let mut misfits = Vec::new();

    for (name, breakage) in &breakages {
        assert!(breakage.fails.contains("cargo test -p "), "{name}: {}", breakage.fails);
        assert!(
            broken.insert(&breakage.broken),
            "{name}: \"{}\" is there twice",
            breakage.broken
        );
        match sources.plant(breakage) {
            Ok(files) => {
                assert!(!files.is_empty(), "{name} has no edit");
                for (path, text) in files {
                    assert_ne!(fs::read_to_string(path).unwrap(), text, "{name} changes nothing");
                }
            }
            Err(error) => misfits.push(format!("{name}: {error}")),
        }
    }
    assert!(
        misfits.is_empty(),
        "{} breakages do not fit:\n{}",
        misfits.len(),
        misfits.join("\n")
    );
    assert!(breakages.len() > 100, "only {} breakages", breakages.len());
}
