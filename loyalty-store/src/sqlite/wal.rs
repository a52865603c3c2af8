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

use super::schema::{self, Identity};
use crate::error::Failure;

/// The writer's side.
pub(super) struct Log {
    /// How many pages make it long.
    pages: i32,
    long: SyncSender<()>,
    bulk_moved: Arc<AtomicBool>,
}

/// The thread's side.
pub(super) struct Mover {
    long: Receiver<()>,
    bulk_moved: Arc<AtomicBool>,
}

/// Both sides of a log that is moved when it has so many pages.
pub(super) fn log(pages: usize) -> (Log, Mover) {
    let (tell, long) = sync_channel(1);
    let bulk_moved = Arc::new(AtomicBool::new(false));
    let pages = i32::try_from(pages).unwrap_or(i32::MAX);
    (
        Log { pages, long: tell, bulk_moved: Arc::clone(&bulk_moved) },
        Mover { long, bulk_moved },
    )
}

impl Log {
    /// Has the connection tell after each commit where the log is long.
    pub(super) fn watch(&self, db: &mut Connection) -> Result<(), Failure> {
        let (most, long) = (self.pages, self.long.clone());
        // Where one telling waits already, or nobody listens any more, no other is needed.
        Ok(db.wal_hook(Some(move |_: &mut _, pages| {
            if pages >= most {
                let _ = long.try_send(());
            }
            Ok(())
        }))?)
    }

    /// Moves what came since the bulk was moved, if it was. To be called between two transactions.
    pub(super) fn move_rest(&self, db: &Connection) {
        if self.bulk_moved.swap(false, Ordering::Acquire) {
            told_if_failed(&move_all(db));
        }
    }
}

impl Mover {
    /// Moves the bulk whenever the log is long, until nobody can tell any more.
    pub(super) fn run(&self, path: &Path, identity: Identity) {
        while self.long.recv().is_ok() {
            let done = identity
                .check(path)
                .and_then(|()| move_all(&schema::open_beside(path)?));
            if told_if_failed(&done) {
                self.bulk_moved.store(true, Ordering::Release);
            }
        }
    }
}

/// As much as can be moved without waiting for anybody.
fn move_all(db: &Connection) -> Result<(), Failure> {
    Ok(db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

fn told_if_failed(done: &Result<(), Failure>) -> bool {
    if let Err(failure) = done {
        tracing::warn!(%failure, "the log could not be moved; it grows until it can be");
    }
    done.is_ok()
}
