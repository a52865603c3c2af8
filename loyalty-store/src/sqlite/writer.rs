//! The writer: one transaction for each batch that was decided, then the answers.
//!
//! The journal (with the kept answers and the customers' records) is all that is written before an
//! answer. Accounts and orders live in memory until they reach their tables behind it, in sorted slices
//! that ride along with later commits. The checkpoint says up to which row everything is in its table;
//! at start the few rows after it are folded again.
//!
//! When writing or committing fails, memory is thrown away, the file is opened anew, and everything is
//! read back from it: what was committed is there, what was not never was.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use loyalty_core::Timestamp;
use rusqlite::Connection;

use super::batch::{Batch, BatchState, BatchWrites, Sequences};
use super::checkpointer::CheckpointTrigger;
use super::committed::CommittedState;
use super::due_index::Rescheduler;
use super::executor::{Executor, QueuedRequest, WriterTask};
use super::filter::FilterKey;
use super::schema::FileIdentity;
use super::write_behind::WriteBehind;
use super::{Map, StoreSettings, account, discounts, responses, rows, schema};
use crate::discount::index;
use crate::error::Failure;
use crate::projections::{self, Projection};
use crate::record::{AccountRecord, OrderRecord};
use crate::transact::StoredResponse;

/// How long the writer is idle before it uses the time to write states behind.
const IDLE_AFTER: Duration = Duration::from_millis(20);

/// How long the writer lets be what failed, unless somebody asks.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(500);

/// How many states are written, and answers dropped, at once while nobody waits.
const IDLE_SLICE: usize = 128;

pub(super) struct Writer {
    path: PathBuf,
    db: Connection,
    /// The file that the connection has open.
    identity: FileIdentity,
    committed: Arc<CommittedState>,
    executor: Arc<Executor>,
    checkpoint_trigger: CheckpointTrigger,
    sequences: Sequences,
    write_behind: WriteBehind,
    /// Whether more answers than were dropped last may be too old.
    has_stale_responses: bool,
    last_request_at: Timestamp,
    failed_at: Option<Instant>,
}

impl Writer {
    pub(super) fn open(
        path: PathBuf,
        shared: Arc<CommittedState>,
        decider: Arc<Executor>,
        log: CheckpointTrigger,
        settings: &StoreSettings,
    ) -> Result<Self, Failure> {
        let mut writer = Self {
            db: schema::open(&path)?,
            identity: FileIdentity::of(&path)?,
            path,
            committed: shared,
            executor: decider,
            checkpoint_trigger: log,
            sequences: Sequences::default(),
            write_behind: WriteBehind::new(settings.write_behind_threshold),
            has_stale_responses: false,
            last_request_at: Timestamp::UNIX_EPOCH,
            failed_at: None,
        };
        writer.sync_wal()?;
        writer.checkpoint_trigger.install_hook(&mut writer.db)?;
        writer.replay_journal()?;
        writer.executor.reset(writer.sequences);
        Ok(writer)
    }

    /// The file that it has open.
    pub(super) fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// What the log holds from before may have been written and never synced. It goes into the database, with
    /// both synced, before anybody is told of it.
    fn sync_wal(&self) -> Result<(), Failure> {
        let busy: i64 = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        // Somebody reads it. A commit syncs all of the log, too.
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        rows::force_write(&self.db)?;
        Ok(self.db.execute_batch("COMMIT")?)
    }

    /// Works until nobody can ask any more; then everything reaches its table.
    pub(super) fn run(mut self) {
        let decider = Arc::clone(&self.executor);
        let _leaves = ShutdownGuard(&decider);
        loop {
            match decider.next_task(IDLE_AFTER) {
                WriterTask::Commit(batch) => self.commit_and_reply(*batch),
                WriterTask::Recover(waiting) => self.recover_and_retry(waiting),
                WriterTask::Idle => self.run_idle_work(),
                WriterTask::Stop => break,
            }
        }
        while !self.write_behind.is_empty()
            && self.failed_at.is_none_or(|at| at.elapsed() >= RECOVERY_INTERVAL)
        {
            self.run_idle_work();
        }
        // What is left in the log is read at the next start all the same.
        let _ = self.db.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    /// One commit for all that are in it.
    fn commit_and_reply(&mut self, batch: Batch) {
        let Batch { writes, state: staged, mut replies, now } = batch;
        if !writes.is_empty() {
            self.last_request_at = now;
            match self.commit(&writes, staged.pending_state_count(), replies.len()) {
                Ok(()) => {
                    self.committed.set_write_failure(None);
                    self.publish(&staged);
                }
                Err(failure) => {
                    self.enter_failed_state(&failure);
                    for (_, reply) in &mut replies {
                        *reply = Err(failure.clone());
                    }
                }
            }
        }
        for (sender, reply) in replies {
            // Whoever no longer waits needs no answer.
            let _ = sender.send(reply);
        }
    }

    /// Looks whether the file can be opened again; if so, what waits for that is decided.
    fn recover_and_retry(&mut self, waiting: Vec<QueuedRequest>) {
        let well = if self.committed.is_failed() { self.reopen() } else { Ok(()) };
        for job in waiting {
            match &well {
                Ok(()) => self.executor.retry(job),
                Err(failure) => job.fail(failure.clone()),
            }
        }
    }

    fn commit(
        &mut self,
        writes: &BatchWrites,
        states: usize,
        requests: usize,
    ) -> Result<(), Failure> {
        self.identity.ensure_unchanged(&self.path)?;
        self.checkpoint_trigger.checkpoint_rest(&self.db);
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let blocks = writes.write(&self.db)?;
        let at = (self.sequences.seq, self.sequences.response);
        if self.write_behind.should_start_round(at) {
            self.write_behind.start_round(at);
        }
        if self.write_behind.is_round_active() {
            self.write_behind
                .write_slice(&self.db, &self.committed, slice_budget(states, 64))?;
        }
        self.prune_responses(slice_budget(blocks, 2), slice_budget(requests, 64))?;
        writes.write_dues(&self.db)?;
        self.db
            .execute_batch("COMMIT")
            .map_err(|error| Failure::UnknownOutcome(error.to_string()))
    }

    /// Looks at some blocks of answers inside the open transaction, and drops some answers that are too old.
    fn prune_responses(&mut self, blocks: usize, answers: usize) -> Result<(), Failure> {
        let before = self
            .last_request_at
            .checked_sub_signed(TimeDelta::days(StoredResponse::RETENTION_DAYS))
            .unwrap_or(Timestamp::UNIX_EPOCH);
        self.has_stale_responses = responses::prune_blocks(&self.db, before, blocks, answers)?;
        Ok(())
    }

    /// Shows what is committed.
    fn publish(&mut self, staged: &BatchState) {
        let shared = &self.committed;
        let _all_at_once = shared.begin_publication();
        self.write_behind.confirm_slice(shared);
        for (key, record) in &staged.projections {
            shared.publish_projection(key, Arc::clone(record));
            self.write_behind.enqueue_projection(key);
        }
        staged
            .index_changes
            .iter()
            .for_each(|(shop, change)| shared.publish_index_change(*shop, change));
        for (id, record) in &staged.accounts {
            shared.accounts.publish(id, Arc::clone(record), true);
            shared.due_index.update(*id, record);
            self.write_behind.enqueue_account(*id);
        }
        for (key, record) in &staged.orders {
            shared.publish_order(key, Arc::clone(record));
            self.write_behind.enqueue_order(key);
        }
        staged
            .customer_changes
            .iter()
            .for_each(|change| shared.publish_customer_change(change));
        for (key, placed) in &staged.responses {
            shared.publish_response(key, placed.clone());
            self.write_behind.enqueue_response(*key, placed.0);
        }
        for (key, program) in &staged.programs {
            shared.programs.publish(key, program.clone(), false);
        }
        // After the accounts: whoever reads that all of them know what is due reads it of them.
        for (shop, history) in &staged.timelines {
            shared.timelines.publish(shop, Arc::clone(history), false);
        }
        self.sequences = staged.sequences;
    }

    /// Nothing waits: write states behind, drop old answers, get well, and where the last commit failed try one.
    fn run_idle_work(&mut self) {
        if self.failed_at.is_some_and(|at| at.elapsed() < RECOVERY_INTERVAL) {
            return;
        }
        if self.committed.is_failed() {
            // Nobody may ask an ill store for anything. What is wrong was said when it fell ill.
            let _ = self.reopen();
            self.failed_at = Some(Instant::now());
            return;
        }
        if let Err(failure) = self.identity.ensure_unchanged(&self.path) {
            self.enter_failed_state(&failure);
            return;
        }
        let unwritable = self.committed.ensure_writable().is_err();
        if self.write_behind.is_empty() && !self.has_stale_responses && !unwritable {
            return;
        }
        self.write_behind
            .start_round((self.sequences.seq, self.sequences.response));
        let mut work = || -> Result<(), Failure> {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            self.write_behind.write_slice(&self.db, &self.committed, IDLE_SLICE)?;
            self.prune_responses(IDLE_SLICE, IDLE_SLICE)?;
            if unwritable {
                rows::force_write(&self.db)?;
            }
            Ok(self.db.execute_batch("COMMIT")?)
        };
        match work() {
            Ok(()) => {
                self.committed.set_write_failure(None);
                self.write_behind.confirm_slice(&self.committed);
            }
            Err(failure) => self.enter_failed_state(&failure),
        }
    }

    fn enter_failed_state(&mut self, failure: &Failure) {
        tracing::error!(%failure, "the store could not write; it opens the file anew");
        // Whoever asks from now on is not told that their own outcome is unknown.
        let illness = match failure.clone() {
            Failure::UnknownOutcome(why) => Failure::Unavailable(why),
            other @ (Failure::Busy
            | Failure::Corrupt(_)
            | Failure::NewerFormat { .. }
            | Failure::Unavailable(_)) => other,
        };
        self.committed.set_write_failure(Some(illness.clone()));
        self.committed.set_failure(Some(illness));
        self.executor.fail_batch(failure);
        // The connection may be in any state; the transaction in it must not come back.
        let _ = self.db.execute_batch("ROLLBACK");
        if let Err(failure) = self.reopen() {
            tracing::error!(%failure, "the store stays unavailable until the file can be opened");
        }
        self.failed_at = Some(Instant::now());
    }

    /// The file as it is now. One that is gone is not made anew, and no other one serves for it.
    fn reopen(&mut self) -> Result<(), Failure> {
        self.committed.clear();
        self.write_behind.clear();
        self.identity.ensure_unchanged(&self.path)?;
        self.db = schema::open_existing(&self.path)?;
        self.checkpoint_trigger.install_hook(&mut self.db)?;
        self.replay_journal()?;
        self.executor.reset(self.sequences);
        self.committed.set_failure(None);
        Ok(())
    }

    /// Folds what the journal holds beyond the checkpoint.
    fn replay_journal(&mut self) -> Result<(), Failure> {
        let (seq, answer) = rows::read_checkpoint(&self.db)?;
        let (mut accounts, mut orders, mut keyed) =
            (Map::default(), Map::default(), Map::default());
        let mut last = Sequences {
            seq,
            account: rows::max_value(&self.db, "id", "account")?
                .max(rows::max_value(&self.db, "account", "customer")?),
            response: answer,
        };
        rows::for_each_journal_row(&self.db, seq, |row| {
            last.seq = row.seq;
            if let Some(id) = row.account {
                last.account = last.account.max(id.0);
                let record = load_once(&mut accounts, id, || account::read_account(&self.db, id))?;
                record.get_or_insert_with(|| AccountRecord::new(row.shop)).fold(&row);
            }
            // Also where the commit was not known to have happened: what is there, the filter does not deny.
            for key in row.events.iter().filter_map(index::assigned_code_key) {
                self.committed
                    .filter
                    .add(FilterKey::Code(&(row.shop, key.to_owned())));
            }
            for key in projections::affected_keys(&row) {
                let of = (row.shop, key);
                let record = load_once(&mut keyed, of.clone(), || {
                    discounts::read_projection(&self.db, of.0, &of.1)
                })?;
                record.get_or_insert_with(|| Projection::new(&of.1)).fold(&of.1, &row);
            }
            // A state may be newer than the checkpoint; the rows in it are not folded twice.
            let mut folded = HashSet::new();
            for event in row.events.iter() {
                let Some(id) = event.order() else { continue };
                let key = (row.shop, id.clone());
                let record = load_once(&mut orders, key.clone(), || {
                    rows::read_order(&self.db, row.shop, id)
                })?;
                let record = record.get_or_insert_with(|| OrderRecord::new(id.clone()));
                if record.seq < row.seq || folded.contains(&key) {
                    record.fold(&row, event);
                    folded.insert(key);
                }
            }
            Ok(())
        })?;
        let mut restored = Rescheduler::default();
        for (id, mut record) in accounts.into_iter().filter_map(|(id, record)| Some((id, record?)))
        {
            restored.reschedule(&self.db, id, &mut record)?;
            self.committed.due_index.update(id, &record);
            self.committed.accounts.publish(&id, Arc::new(record), true);
            self.write_behind.enqueue_account(id);
        }
        for (key, record) in orders.into_iter().filter_map(|(key, record)| Some((key, record?))) {
            self.committed.publish_order(&key, Arc::new(record));
            self.write_behind.enqueue_order(&key);
        }
        for (key, record) in keyed.into_iter().filter_map(|(key, record)| Some((key, record?))) {
            self.committed.publish_projection(&key, Arc::new(record));
            self.write_behind.enqueue_projection(&key);
        }
        responses::for_each_response(&self.db, answer, |id, kept| {
            last.response = id;
            let key = (kept.shop, kept.key);
            self.committed.publish_response(&key, (id, Arc::new(kept)));
            self.write_behind.enqueue_response(key, id);
        })?;
        self.sequences = last;
        Ok(())
    }
}

/// However the writer goes, nobody waits for it any more.
struct ShutdownGuard<'a>(&'a Executor);

impl Drop for ShutdownGuard<'_> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// More than are added, so that what is written behind, or dropped, comes to its end.
const fn slice_budget(added: usize, least: usize) -> usize {
    added.saturating_mul(2).saturating_add(least)
}

/// The record of a key, loaded once.
pub(super) fn load_once<K: Eq + std::hash::Hash, T>(
    records: &mut Map<K, Option<T>>,
    key: K,
    load: impl FnOnce() -> Result<Option<T>, Failure>,
) -> Result<&mut Option<T>, Failure> {
    use std::collections::hash_map::Entry;
    Ok(match records.entry(key) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(load()?),
    })
}
