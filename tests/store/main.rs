//! Every store keeps the same promises: the suite of `loyalty_store::conformance`, run for each of them. `tight` is
//! SQLite with so little memory that records leave it and come back all the time.
//!
//! Beside the suite: two stores told the same at random ([`random`]), and what only a file can do ([`files`],
//! [`damage`]).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at what it did not expect"
)]

mod damage;
mod files;
mod random;
mod segments;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use loyalty_store::conformance::{Case, check_store};
use loyalty_store::{MemoryStore, SqliteStore, StoreSettings};
use tempfile::TempDir;

fn run_in_memory(case: Case) {
    let store = Arc::new(MemoryStore::default());
    check_store(|| Arc::clone(&store), case);
}

fn run_in_file(settings: &StoreSettings, case: Case) {
    let file = TempDatabase::new();
    check_store(|| Box::new(file.open_with(settings)), case);
}

fn run_with_defaults(case: Case) {
    run_in_file(&StoreSettings::default(), case);
}

fn run_with_little_memory(case: Case) {
    run_in_file(&loyalty_tests::tiny_settings(), case);
}

loyalty_store::conformance!(memory: crate::run_in_memory);
loyalty_store::conformance!(sqlite: crate::run_with_defaults);
loyalty_store::conformance!(tight: crate::run_with_little_memory);

/// Makes a file one of format 9, but for what it says it is.
const WITHOUT_SEGMENTS: &str =
    "DROP TABLE lot_chapter; DROP TABLE chapter; ALTER TABLE account DROP COLUMN chapters;";

/// A place for a database file, gone with its value. In memory, where the system has such a place:
/// nobody cuts the power here, and syncing would cost most of the time.
struct TempDatabase(TempDir);

impl TempDatabase {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        Self(
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
                .unwrap(),
        )
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("loyalty.db")
    }

    fn open(&self) -> SqliteStore {
        self.open_with(&StoreSettings::default())
    }

    fn open_with(&self, settings: &StoreSettings) -> SqliteStore {
        SqliteStore::open(&self.file(), settings).unwrap()
    }

    /// The file and its log as they are now, somewhere else: what a crash would leave.
    fn copy(&self) -> Self {
        let copy = Self::new();
        for name in ["loyalty.db", "loyalty.db-wal"] {
            let (from, to) = (self.0.path().join(name), copy.0.path().join(name));
            if from.exists() {
                std::fs::copy(from, to).unwrap();
            }
        }
        copy
    }

    /// The file as another program sees it.
    fn connect(&self) -> rusqlite::Connection {
        connect(&self.file())
    }
}

fn connect(file: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(file).unwrap()
}
