//! Who moves the log into the database, so that no commit waits for it.
//!
//! SQLite begins its log anew once all of it has been moved, and under load there is always more. So this
//! thread moves the bulk beside the writer, and the writer moves the little that came meanwhile between two
//! commits. Nothing is lost where either fails: the log stays, and the next commit asks again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};
use rusqlite::Connection;

use super::schema::{self, Identity};
use crate::error::Failure;

/// Tells after each commit whether the log has grown long enough.
pub(super) fn watch(db: &mut Connection, pages: usize, long: &Sender<()>) -> Result<(), Failure> {
    let (most, long) = (i32::try_from(pages).unwrap_or(i32::MAX), long.clone());
    // Where one telling waits already, or nobody listens any more, no other is needed.
    Ok(db.wal_hook(Some(move |_: &mut _, pages| {
        if pages >= most {
            let _ = long.try_send(());
        }
        Ok(())
    }))?)
}

/// Moves the bulk of the log whenever it is long, until nobody can tell any more.
pub(super) fn run(path: &Path, identity: Identity, long: &Receiver<()>, moved: &AtomicBool) {
    while long.recv().is_ok() {
        let done = identity.check(path).and_then(|()| move_log(&schema::open_beside(path)?));
        if told_if_failed(&done) {
            moved.store(true, Ordering::Release);
        }
    }
}

/// Moves what came since the bulk was moved.
pub(super) fn move_rest(db: &Connection) {
    told_if_failed(&move_log(db));
}

/// As much as can be moved without waiting for anybody.
fn move_log(db: &Connection) -> Result<(), Failure> {
    Ok(db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
}

fn told_if_failed(done: &Result<(), Failure>) -> bool {
    if let Err(failure) = done {
        tracing::warn!(%failure, "the log could not be moved; it grows until it can be");
    }
    done.is_ok()
}
