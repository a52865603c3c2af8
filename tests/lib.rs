//! What the tests share: the words of the store's suite; files of benches; [`structure`], which reads the
//! source of the crates; and [`targets`] for fuzzing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test may stop at what it did not expect"
)]

pub mod structure;
pub mod targets;

use std::path::{Path, PathBuf};

use loyalty_store::{SqliteStore, StoreSettings};

pub use loyalty_store::conformance::test_shop::*;

/// A file of a bench that takes long to make: the one of last time where there is one. Whatever stops the making
/// leaves no file behind that is only half full.
pub fn cached_file(directory: &Path, name: &str, make: impl FnOnce(&SqliteStore)) -> PathBuf {
    let kept = directory.join(name);
    if !kept.exists() {
        let unfinished = directory.join(format!("unfinished-{name}"));
        let _ = std::fs::remove_dir_all(&unfinished);
        std::fs::create_dir(&unfinished).unwrap();
        make(&SqliteStore::open(&unfinished.join(name), &StoreSettings::default()).unwrap());
        std::fs::rename(unfinished.join(name), &kept).unwrap();
        std::fs::remove_dir_all(unfinished).unwrap();
    }
    kept
}

/// Settings so tight that eviction, rounds and restoring happen all the time.
pub fn tiny_settings() -> StoreSettings {
    let mut settings = StoreSettings::default();
    (
        settings.cached_records,
        settings.write_behind_threshold,
        settings.checkpoint_pages,
    ) = (16, 4, 30);
    settings
}
