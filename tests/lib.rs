//! Shared code of the tests and benches: the actions of the store's conformance suite,
//! cached database files, [`structure`], which reads the source of the crates, and
//! [`targets`] for fuzzing.

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

/// Path of a database file that takes long to fill, from an earlier run if there is one.
/// A run that stops while filling leaves no partial file under that name.
pub fn cached_file(directory: &Path, name: &str, make: impl FnOnce(&SqliteStore)) -> PathBuf {
    let path = directory.join(name);
    if !path.exists() {
        let unfinished = directory.join(format!("unfinished-{name}"));
        let _ = std::fs::remove_dir_all(&unfinished);
        std::fs::create_dir(&unfinished).unwrap();
        make(&SqliteStore::open(&unfinished.join(name), &StoreSettings::default()).unwrap());

        std::fs::rename(unfinished.join(name), &path).unwrap();
        std::fs::remove_dir_all(unfinished).unwrap();
    }
    path
}

/// Settings so small that eviction, checkpoints and reloading happen all the time.
pub fn tiny_settings() -> StoreSettings {
    let mut settings = StoreSettings::default();
    (
        settings.cached_records,
        settings.write_behind_threshold,
        settings.checkpoint_pages,
    ) = (16, 4, 30);
    settings
}
