//! WAL checkpoints by a thread of their own, so that no commit waits for a long one.
//!
//! SQLite restarts its write-ahead log only once all of it was copied into the database, and under
//! load there is always more. So a thread copies the bulk concurrently with the writer, and the
//! writer copies the rest between two commits. Nothing is lost if either fails: the log stays, and
//! the next commit signals again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

use super::file::{FileIdentity, uncheckpointed_log};
use super::schema;
use crate::error::Failure;

/// How often the size of the log is looked at while there is nothing to copy.
const CUT_INTERVAL: Duration = Duration::from_secs(1);

/// The writer's side.
pub(super) struct CheckpointTrigger {
    /// The length of the log, in pages, from which on commits signal.
    threshold_pages: i32,
    sender: SyncSender<()>,
    bulk_copied: Arc<AtomicBool>,
}

/// The thread's side.
pub(super) struct Checkpointer {
    /// The size of the log's file, in bytes, beyond which it is cut.
    size_limit: u64,
    receiver: Receiver<()>,
    bulk_copied: Arc<AtomicBool>,
}

/// Returns both sides for a log that is copied when it has `threshold` pages.
pub(super) fn checkpointer(threshold: usize) -> (CheckpointTrigger, Checkpointer) {
    // One signal is enough, however many commits find the log long.
    let (sender, receiver) = sync_channel(1);
    let bulk_copied = Arc::new(AtomicBool::new(false));
    let trigger = CheckpointTrigger {
        threshold_pages: i32::try_from(threshold).unwrap_or(i32::MAX),
        sender,
        bulk_copied: Arc::clone(&bulk_copied),
    };
    (
        trigger,
        Checkpointer { size_limit: size_limit(threshold), receiver, bulk_copied },
    )
}

/// The size that the log's file keeps when the log begins anew: twice that of a log that is copied.
fn size_limit(threshold: usize) -> u64 {
    const PAGE: u64 = 4_096;
    u64::try_from(threshold).map_or(u64::MAX, |pages| pages.saturating_mul(2 * PAGE))
}

impl CheckpointTrigger {
    /// Has each commit of the connection signal the thread if the log is long.
    pub(super) fn install_hook(&self, db: &mut Connection) -> Result<(), Failure> {
        // What a log has beyond it is cut when it begins anew.
        let limit = usize::try_from(self.threshold_pages).map_or(u64::MAX, size_limit);
        let limit = i64::try_from(limit);
        db.pragma_update(None, "journal_size_limit", limit.unwrap_or(i64::MAX))?;

        let (threshold, sender) = (self.threshold_pages, self.sender.clone());
        Ok(db.wal_hook(Some(move |_: &mut _, pages| {
            if pages >= threshold {
                // Full means that a signal is pending, closed that the thread has ended.
                let _ = sender.try_send(());
            }
            Ok(())
        }))?)
    }

    /// Copies what was added to the log since the bulk was copied, if it was. To be called between
    /// two transactions.
    pub(super) fn checkpoint_rest(&self, db: &Connection) {
        if self.bulk_copied.swap(false, Ordering::Acquire) {
            log_failure(&checkpoint_wal(db));
        }
    }
}

impl Checkpointer {
    /// Copies the bulk whenever the log is long, until the trigger is dropped. While there is
    /// nothing to copy, a file that a long reader has made grow is cut.
    pub(super) fn run(&self, path: &Path, identity: FileIdentity) {
        loop {
            match self.receiver.recv_timeout(CUT_INTERVAL) {
                Ok(()) => {
                    let result = identity
                        .ensure_unchanged(path)
                        .and_then(|()| checkpoint_wal(&schema::open_for_checkpoint(path)?));
                    if log_failure(&result) {
                        self.bulk_copied.store(true, Ordering::Release);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let is_long = uncheckpointed_log(path)
                        .and_then(|log| std::fs::metadata(log).ok())
                        .is_some_and(|log| log.len() > self.size_limit);
                    if is_long && identity.ensure_unchanged(path).is_ok() {
                        log_failure(&cut_log(path).map(drop));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
}

/// Copies all of the log into the database and cuts its file. Returns `false` if a connection still
/// reads it.
pub(super) fn cut_log(path: &Path) -> Result<bool, Failure> {
    let db = schema::open_for_checkpoint(path)?;
    // Without the lock, so that commits wait only for the rest.
    checkpoint_wal(&db)?;
    // Commits wait meanwhile, so it does not wait for others.
    db.busy_timeout(Duration::ZERO)?;
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// Copies as much of the log as can be copied without waiting for other connections.
fn checkpoint_wal(db: &Connection) -> Result<(), Failure> {
    Ok(db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

/// Logs a failure. Returns `true` if there was none.
fn log_failure(result: &Result<(), Failure>) -> bool {
    if let Err(failure) = result {
        tracing::warn!(%failure, "checkpoint failed; the write-ahead log grows until one succeeds");
    }
    result.is_ok()
}
