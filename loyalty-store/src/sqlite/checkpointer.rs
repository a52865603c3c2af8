//! Who moves the log into the database, so that no commit waits for it.
//!
//! SQLite begins its log anew once all of it has been moved, and under load there is always more. So a
//! thread moves the bulk beside the writer, and the writer moves the little that came meanwhile between two
//! commits. Nothing is lost where either fails: the log stays, and the next commit asks again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use super::schema::{self, FileIdentity};
use crate::error::Failure;

/// The writer's side.
pub(super) struct CheckpointTrigger {
    /// How many pages make it long.
    threshold_pages: i32,
    sender: SyncSender<()>,
    bulk_copied: Arc<AtomicBool>,
}

/// The thread's side.
pub(super) struct Checkpointer {
    receiver: Receiver<()>,
    bulk_copied: Arc<AtomicBool>,
}

/// Both sides of a log that is moved when it has so many pages.
pub(super) fn checkpointer(pages: usize) -> (CheckpointTrigger, Checkpointer) {
    let (tell, long) = sync_channel(1);
    let bulk_moved = Arc::new(AtomicBool::new(false));
    let pages = i32::try_from(pages).unwrap_or(i32::MAX);
    (
        CheckpointTrigger {
            threshold_pages: pages,
            sender: tell,
            bulk_copied: Arc::clone(&bulk_moved),
        },
        Checkpointer { receiver: long, bulk_copied: bulk_moved },
    )
}

impl CheckpointTrigger {
    /// Has the connection tell after each commit where the log is long.
    pub(super) fn install_hook(&self, db: &mut Connection) -> Result<(), Failure> {
        let (most, long) = (self.threshold_pages, self.sender.clone());
        // Where one telling waits already, or nobody listens any more, no other is needed.
        Ok(db.wal_hook(Some(move |_: &mut _, pages| {
            if pages >= most {
                let _ = long.try_send(());
            }
            Ok(())
        }))?)
    }

    /// Moves what came since the bulk was moved, if it was. To be called between two transactions.
    pub(super) fn checkpoint_rest(&self, db: &Connection) {
        if self.bulk_copied.swap(false, Ordering::Acquire) {
            log_failure(&checkpoint_wal(db));
        }
    }
}

impl Checkpointer {
    /// Moves the bulk whenever the log is long, until nobody can tell any more.
    pub(super) fn run(&self, path: &Path, identity: FileIdentity) {
        while self.receiver.recv().is_ok() {
            let done = identity
                .ensure_unchanged(path)
                .and_then(|()| checkpoint_wal(&schema::open_for_checkpoint(path)?));
            if log_failure(&done) {
                self.bulk_copied.store(true, Ordering::Release);
            }
        }
    }
}

/// As much as can be moved without waiting for anybody.
fn checkpoint_wal(db: &Connection) -> Result<(), Failure> {
    Ok(db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

fn log_failure(done: &Result<(), Failure>) -> bool {
    if let Err(failure) = done {
        tracing::warn!(%failure, "the log could not be moved; it grows until it can be");
    }
    done.is_ok()
}
