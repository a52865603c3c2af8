//! The breakages of this folder still fit the tree, so that `tests/guards/run` can plant each of them.
//!
//! What a patch takes away, with the lines around it, stands in its file once: then it goes where it is meant to,
//! however far that has moved.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The lines that each hunk of a patch expects, with their file.
fn expected(patch: &str) -> Vec<(&str, Vec<&str>)> {
    let (mut file, mut hunks) = ("", Vec::new());
    for line in patch.lines().skip_while(|line| !line.starts_with("diff ")) {
        if let Some(path) = line.strip_prefix("+++ b/") {
            file = path;
        } else if line.starts_with("@@ ") {
            hunks.push((file, Vec::new()));
        } else if !line.starts_with("--- ")
            && let Some((_, lines)) = hunks.last_mut()
        {
            lines.extend(line.strip_prefix([' ', '-']));
        }
    }
    hunks
}

#[test]
fn every_breakage_can_be_planted() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = BTreeSet::new();
    for file in fs::read_dir(tests.join("guards")).unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if file.extension().is_none_or(|extension| extension != "patch") {
            continue;
        }
        let patch = fs::read_to_string(&file).unwrap();
        let head: Vec<_> = patch.lines().take(4).collect();
        for (line, field) in head.iter().zip(["Guard: ", "Broken: ", "Fails: ", ""]) {
            assert!(line.starts_with(field), "{name}: {line} is not {field}");
        }
        assert!(head[2].contains("cargo test -p "), "{name}: {}", head[2]);
        assert!(broken.insert(head[1].to_owned()), "{name}: {} stands twice", head[1]);
        let hunks = expected(&patch);
        assert!(!hunks.is_empty(), "{name} changes nothing");
        for (path, lines) in hunks {
            let source = fs::read_to_string(tests.join("..").join(path)).unwrap_or_default();
            let source: Vec<_> = source.lines().collect();
            let places = source.windows(lines.len()).filter(|window| *window == lines).count();
            assert_eq!(places, 1, "{name}: {path} has these lines so often:\n{}", lines.join("\n"));
        }
    }
    assert!(broken.len() > 30, "only {} breakages", broken.len());
}
