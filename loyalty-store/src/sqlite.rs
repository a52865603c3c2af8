//! The durable store: the engine over one SQLite file.
//!
//! The file is opened and migrated by [`schema`]; all SQL is in [`tables`]. [`backend`] gives it to
//! the engine, a thread of its own copies the write-ahead log ([`checkpointer`]). [`store`] is what
//! callers use, [`admin`] what operators use, and [`backup`] makes copies and puts them back.

mod admin;
mod backend;
mod backup;
mod checkpointer;
mod error;
mod file;
mod master_key;
mod schema;
mod store;
mod tables;
mod verification;

pub use admin::SqliteAdmin;
pub use backup::{Backup, BackupError, Restored};
pub use master_key::MasterKeySource;
pub use store::SqliteStore;

/// Bounds of a store's memory and of the work at its start.
///
/// # Example: a store with little memory
/// ```
/// use loyalty_store::StoreSettings;
///
/// let mut settings = StoreSettings::default();
/// settings.cached_records = 10_000;
/// assert_eq!(settings.queued_requests, 4_096);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreSettings {
    /// The number of records of each kind that are kept in memory.
    pub cached_records: usize,
    /// About how many bytes of programs are kept in memory, over all shops and versions. The
    /// histories of programs take as much again.
    pub cached_program_bytes: usize,
    /// The number of requests that may await the next commit, besides those of the commit in
    /// flight. More of them fail with [`Failure::Busy`](crate::Failure::Busy).
    pub queued_requests: usize,
    /// The estimated work from which on a request is decided by a thread of its own, so that other
    /// shops do not wait for it: lines of an order with their categories, times refunds, and more
    /// where there are many rules.
    pub long_request_work: usize,
    /// The number of states that may await their tables. A start after a crash folds up to twice as
    /// many journal rows.
    pub write_behind_threshold: usize,
    /// Where the keys are that seal secrets.
    pub master_key: MasterKeySource,
    /// The length of the write-ahead log, in pages, from which on it is copied into the database.
    pub checkpoint_pages: usize,
    /// Whether a file of an older format is copied beside itself before it is moved to the newest
    /// one. It needs as much space again, and the time to write it.
    pub keep_older_format: bool,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            cached_records: 100_000,
            cached_program_bytes: 64 << 20,
            queued_requests: 4_096,
            long_request_work: 500,
            write_behind_threshold: 32_768,
            master_key: MasterKeySource::Beside,
            checkpoint_pages: 8_000,
            keep_older_format: true,
        }
    }
}

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;
