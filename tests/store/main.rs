//! The suite of `loyalty_store::conformance`, run against every store. `tight` is SQLite
//! with caches so small that records are evicted and reloaded all the time, `apart` with
//! all decisions made as those that take long.
//!
//! Besides: two stores with the same random requests ([`random`]), and properties of
//! database files ([`files`], [`backups`], [`identity`], [`damage`], [`segments`],
//! [`secrets`]).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at what it did not expect"
)]

mod backups;
mod damage;
mod erasure;
mod files;
mod identity;
mod random;
mod secrets;
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

/// Whatever can be is decided by the thread for what takes long.
fn run_with_decisions_apart(case: Case) {
    let mut settings = StoreSettings::default();
    settings.long_request_work = 0;
    run_in_file(&settings, case);
}

loyalty_store::conformance!(memory: crate::run_in_memory);
loyalty_store::conformance!(sqlite: crate::run_with_defaults);
loyalty_store::conformance!(tight: crate::run_with_little_memory);
loyalty_store::conformance!(apart: crate::run_with_decisions_apart);

/// Undoes what formats 13 to 16 have added and the renames of format 12, so that the SQL of older formats applies.
const NAMES_OF_FORMAT_11: &str = "
    DROP TABLE store_secret;
    DROP TABLE secret_counter;
    DROP TABLE admin_response;
    DROP TABLE api_key;
    CREATE TABLE api_key (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        shop INTEGER NOT NULL REFERENCES shop,
        hash BLOB NOT NULL,
        signing_secret TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT;
    INSERT INTO api_key VALUES
        (1, 'gone', 1, zeroblob(32), 'a secret that is gone', '[\"read\"]', 1000000, 2000000),
        (2, 'old', 1, zeroblob(32), 'the older secret', '[\"read\",\"write\",\"admin\"]', 1000000, NULL),
        (3, 'new', 1, zeroblob(32), 'the newer secret', '[\"read\",\"write\",\"admin\"]', 2000000, NULL);
    ALTER TABLE customer DROP COLUMN merged;
    DROP TABLE customer_alias;
    DROP TABLE erased; DROP TABLE erasure; DROP TABLE erasure_key;
    DROP TABLE import; DROP TABLE import_row;
    DROP TABLE destination; DROP TABLE destination_progress; DROP TABLE delivery; DROP TABLE destination_counter;
    DROP TABLE journal_block; DROP TABLE journal_id;
    DROP TABLE day_totals;
    DROP INDEX order_by_status; DROP INDEX order_of_account; DROP INDEX redemption_by_status;
    ALTER TABLE orders DROP COLUMN status;
    ALTER TABLE orders DROP COLUMN updated_at;
    ALTER TABLE projection DROP COLUMN status;
    ALTER TABLE journal DROP COLUMN sequence;
    ALTER TABLE account DROP COLUMN outgoing;
    ALTER TABLE program DROP COLUMN keeps_schedule;
    ALTER TABLE reschedule DROP COLUMN known_until;
    ALTER TABLE orders RENAME TO purchase;
    ALTER TABLE projection RENAME TO keyed;
    ALTER TABLE keyed RENAME COLUMN text_id TO text;
    ALTER TABLE response_block RENAME TO answers;
    ALTER TABLE answers RENAME COLUMN last_number TO last;
    ALTER TABLE answers RENAME COLUMN newest_at TO at;
    ALTER TABLE answers RENAME COLUMN body TO block;
    ALTER TABLE response_slot RENAME TO answer_key;
    ALTER TABLE answer_key RENAME COLUMN number TO answer;
    ALTER TABLE checkpoint RENAME COLUMN response TO answer;
    ALTER TABLE activity_segment RENAME TO chapter;
    ALTER TABLE chapter RENAME COLUMN first_second TO second;
    ALTER TABLE chapter RENAME COLUMN first_nanosecond TO nanosecond;
    ALTER TABLE chapter RENAME COLUMN body TO instants;
    ALTER TABLE lot_segment RENAME TO lot_chapter;
    ALTER TABLE lot_chapter RENAME COLUMN first_lot TO lot;
    ALTER TABLE lot_chapter RENAME COLUMN body TO lots;
    ALTER TABLE account RENAME COLUMN segment_count TO chapters;
    ALTER TABLE reschedule RENAME TO sweep;
    ALTER TABLE sweep RENAME COLUMN up_to_account TO up_to;
    ALTER TABLE code_claim RENAME TO claim;
    ALTER TABLE number_counter RENAME TO numbering;
    ALTER TABLE numbering RENAME COLUMN last_number TO last;
    ALTER TABLE journal RENAME COLUMN previous_seq TO previous;
    ALTER TABLE customer RENAME COLUMN attributes_changed_at TO steady_since;";

/// Turns a file with the names of format 11 into one of format 9, except for its format
/// number.
const WITHOUT_SEGMENTS: &str =
    "DROP TABLE lot_chapter; DROP TABLE chapter; ALTER TABLE account DROP COLUMN chapters;";

/// A temporary directory for a database file, deleted on drop. In memory if possible:
/// these tests do not cut the power, and syncing would take most of the time.
struct TempDatabase(TempDir);

impl TempDatabase {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let temporary =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(temporary.unwrap())
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

    /// A copy of the file and its log at this moment, in another directory, as after a
    /// crash.
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

    /// A connection to the file, as another program would open it.
    fn connect(&self) -> rusqlite::Connection {
        connect(&self.file())
    }
}

/// The format of a file.
fn format_of(database: &TempDatabase) -> i64 {
    let db = database.connect();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn connect(file: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(file).unwrap()
}
