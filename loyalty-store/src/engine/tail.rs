//! The newest journal rows, for who follows the journal: each is read once, by nobody from its
//! table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::record::{JournalRow, Seq};

/// The rows that are kept while somebody follows.
const CAPACITY: usize = 4_096;

/// The committed end of the journal.
#[derive(Debug)]
pub(crate) struct JournalTail {
    position: watch::Sender<Seq>,
    /// Rows at consecutive positions up to the last one.
    rows: Mutex<VecDeque<Arc<JournalRow>>>,
}

impl Default for JournalTail {
    fn default() -> Self {
        Self { position: watch::Sender::new(0), rows: Mutex::default() }
    }
}

impl JournalTail {
    pub(crate) fn follow(&self) -> watch::Receiver<Seq> {
        self.position.subscribe()
    }

    /// Adds committed rows. Costs almost nothing while nobody follows.
    pub(crate) fn append<'a>(&self, rows: impl Iterator<Item = &'a Arc<JournalRow>>, last: Seq) {
        let mut kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if self.position.receiver_count() == 0 {
            kept.clear();
        } else {
            kept.extend(rows.cloned());
            let excess = kept.len().saturating_sub(CAPACITY);
            kept.drain(..excess);
        }
        drop(kept);
        self.position.send_replace(last);
    }

    /// Discards the rows, after the journal was read again from its place.
    pub(crate) fn restart(&self, last: Seq) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.position.send_replace(last);
    }

    /// Returns up to `limit` rows after a position; `None` if the first of them is not kept.
    pub(crate) fn read(&self, after: Seq, limit: usize) -> Option<Vec<Arc<JournalRow>>> {
        let kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.front()?.seq;
        let skipped = after.saturating_add(1).checked_sub(first)?;
        let skipped = usize::try_from(skipped).ok()?;
        let found: Vec<_> = kept.iter().skip(skipped).take(limit).cloned().collect();
        (!found.is_empty()).then_some(found)
    }
}
