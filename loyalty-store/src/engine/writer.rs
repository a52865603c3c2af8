//! The writer's loop: commits each batch in one transaction, publishes it, and sends its replies.
//!
//! A commit appends the journal, the responses, and what has no journal (customers, catalogue).
//! States follow by write-behind, in the same transactions.
//!
//! When nothing can be written, as on a full disk, a commit did not happen: its requests fail, and
//! all else stays as it is. When writing or committing fails otherwise, the store is failed: memory is discarded, the place is opened
//! again, and everything is recovered from it. So what was committed is there, and nothing else.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use loyalty_core::Timestamp;

use super::backend::{Backend, CheckpointPosition, TableWriter, WriteTransaction};
use super::batch::{Batch, BatchState, BatchWrites, Sequences};
use super::committed::CommittedState;
use super::executor::{Executor, QueuedRequest, WriterTask};
use super::replay::replay_journal;
use super::states::StateChanges;
use super::write_behind::WriteBehind;
use crate::day_totals::days_of;
use crate::error::Failure;
use crate::transact::StoredResponse;

/// The time without requests after which states are written behind without a batch.
const IDLE_AFTER: Duration = Duration::from_millis(20);

/// The pause between attempts to recover that no request asks for.
const RECOVERY_INTERVAL: Duration = Duration::from_millis(500);

/// The pause between two lines of the log about commits that fail.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The number of states that are written, and of responses that are pruned, in an idle commit.
const IDLE_SLICE: usize = 128;

/// The thread that writes.
pub(crate) struct Writer<B: Backend> {
    tables: B::Writer,
    committed: Arc<CommittedState<B>>,
    executor: Arc<Executor<B>>,
    sequences: Sequences,
    write_behind: WriteBehind,
    /// Set if the last pruning has left responses that may be too old.
    has_stale_responses: bool,
    last_request_at: Timestamp,
    failed_at: Option<Instant>,
    /// The time at which a failed commit was last logged.
    logged_at: Option<Instant>,
}

impl<B: Backend> Writer<B> {
    /// Recovers the committed state. `threshold` bounds the states that are queued for their tables.
    pub(crate) fn open(
        tables: B::Writer,
        committed: Arc<CommittedState<B>>,
        executor: Arc<Executor<B>>,
        threshold: usize,
    ) -> Result<Self, Failure> {
        let mut writer = Self {
            tables,
            committed,
            executor,
            sequences: Sequences::default(),
            write_behind: WriteBehind::new(threshold),
            has_stale_responses: false,
            last_request_at: Timestamp::UNIX_EPOCH,
            failed_at: None,
            logged_at: None,
        };
        writer.recover()?;
        Ok(writer)
    }

    /// Works until the store is closed and all states have reached their tables.
    pub(crate) fn run(mut self) {
        let executor = Arc::clone(&self.executor);
        let _guard = ShutdownGuard(&executor);

        loop {
            match executor.next_task(IDLE_AFTER) {
                WriterTask::Commit(batch) => self.commit_and_reply(*batch),
                WriterTask::Recover(requests) => self.recover_and_retry(requests),
                WriterTask::Idle => self.run_idle_work(),
                WriterTask::Stop => break,
            }
        }

        // Where nothing can be written, the next start folds the journal instead.
        while !self.write_behind.is_empty()
            && self.failed_at.is_none_or(|at| at.elapsed() >= RECOVERY_INTERVAL)
        {
            self.run_idle_work();
        }
        self.tables.close();
    }

    // Batches.

    /// Commits a batch and sends its replies: those of requests that changed nothing, too, since
    /// they may depend on others.
    fn commit_and_reply(&mut self, batch: Batch) {
        let Batch { writes, state, mut replies, now } = batch;

        if !writes.is_empty() {
            self.last_request_at = now;
            let begun = Instant::now();
            let committed = self.fold_days(&writes).and_then(|days| {
                self.commit(&writes, state.states.len(), replies.len())?;
                Ok(days)
            });
            match committed {
                Ok(days) => {
                    self.committed.commits.record_success(begun.elapsed(), replies.len());
                    self.committed.set_write_failure(None);
                    self.publish(&state, &days);
                    let rows = writes.journal.iter().map(|(row, _)| row);
                    self.committed.tail.append(rows, self.sequences.seq);
                }
                Err(failure) => {
                    self.handle_failed_commit(&failure);
                    for (_, reply) in &mut replies {
                        *reply = Err(failure.clone());
                    }
                }
            }
        }

        for (sender, reply) in replies {
            // The caller may have gone.
            let _ = sender.send(reply);
        }
    }

    /// Folds the rows of a batch into the sums of their days. Decisions do not read these.
    fn fold_days(&self, writes: &BatchWrites) -> Result<StateChanges, Failure> {
        let mut states = StateChanges::default();
        for (row, _) in &writes.journal {
            let Some(shop) = self.committed.shop(row.shop)? else { continue };
            for (day, totals) in days_of(row, shop.zone) {
                let record = match states.days.entry((row.shop, day)) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        let known = self.committed.day(entry.key())?;
                        entry.insert(known.unwrap_or_default())
                    }
                };
                Arc::make_mut(record).fold(row.seq, &totals);
            }
        }
        Ok(states)
    }

    /// Writes a batch that changes `states` states and replies to `requests` requests.
    fn commit(
        &mut self,
        writes: &BatchWrites,
        states: usize,
        requests: usize,
    ) -> Result<(), Failure> {
        let position = self.position();
        let mut transaction = self.tables.begin()?;
        let blocks = transaction.append(writes)?;

        if self.write_behind.should_start_round(position) {
            self.write_behind.start_round(position);
        }
        self.write_behind.write_slice(
            &mut transaction,
            &self.committed,
            slice_budget(states, 64),
        )?;

        let (blocks, responses) = (slice_budget(blocks, 2), slice_budget(requests, 64));
        self.has_stale_responses =
            prune_responses(&mut transaction, self.last_request_at, blocks, responses)?;

        // After the slice, whose states know nothing of this batch.
        transaction.write_due_dates(&writes.due_changes)?;
        transaction.commit()
    }

    /// Makes a committed batch visible. The order matters to readers that take no lock.
    fn publish(&mut self, batch: &BatchState, days: &StateChanges) {
        let committed = &self.committed;
        let _publication = committed.begin_publication();

        self.write_behind.confirm_slice(committed);
        self.write_behind.publish(&batch.states, committed);
        self.write_behind.publish(days, committed);
        for (shop, change) in &batch.index_changes {
            committed.publish_index_change(*shop, change);
        }
        for change in &batch.customer_changes {
            committed.publish_customer_change(change);
        }
        for erasure in &batch.erasures {
            committed.publish_erasure(erasure);
        }
        for (key, program) in &batch.programs {
            committed.publish_program(key, program.clone());
        }

        // After the accounts: a reader that sees the completed timeline relies on the due dates
        // of all accounts.
        for (shop, timeline) in &batch.timelines {
            committed.publish_timeline(*shop, Arc::clone(timeline));
        }
        self.sequences = batch.sequences;
        committed.commits.set_unwritten_states(self.write_behind.len());
    }

    /// The last committed position.
    fn position(&self) -> CheckpointPosition {
        CheckpointPosition { seq: self.sequences.seq, response: self.sequences.response }
    }

    // Without requests.

    /// Writes states behind, prunes responses, and recovers a failed store. After a failed commit
    /// it also tries whether one succeeds again.
    fn run_idle_work(&mut self) {
        if self.failed_at.is_some_and(|at| at.elapsed() < RECOVERY_INTERVAL) {
            return;
        }
        if self.committed.is_failed() {
            // The cause was logged when the store failed.
            let _ = self.reopen();
            self.failed_at = Some(Instant::now());
            return;
        }
        if let Err(failure) = self.tables.ensure_unchanged() {
            self.enter_failed_state(&failure);
            return;
        }

        let is_unwritable = self.committed.ensure_writable().is_err();
        if self.write_behind.is_empty() && !self.has_stale_responses && !is_unwritable {
            return;
        }
        match self.commit_idle_slice(is_unwritable) {
            Ok(()) => {
                self.committed.set_write_failure(None);
                self.write_behind.confirm_slice(&self.committed);
                self.committed.commits.set_unwritten_states(self.write_behind.len());
            }
            Err(failure) => self.handle_failed_commit(&failure),
        }
    }

    fn commit_idle_slice(&mut self, force_write: bool) -> Result<(), Failure> {
        self.write_behind.start_round(self.position());
        let mut transaction = self.tables.begin()?;
        self.write_behind
            .write_slice(&mut transaction, &self.committed, IDLE_SLICE)?;
        self.has_stale_responses =
            prune_responses(&mut transaction, self.last_request_at, IDLE_SLICE, IDLE_SLICE)?;

        // Without a change nothing would reach the disk, and nothing would be proven.
        if force_write {
            transaction.force_write()?;
        }
        transaction.commit()
    }

    // Failure and recovery.

    /// Fails what depends on a commit that did not happen. If that is not certain, the store is
    /// failed.
    fn handle_failed_commit(&mut self, failure: &Failure) {
        self.committed.commits.record_failure();
        if !matches!(failure, Failure::Unwritable(_)) {
            return self.enter_failed_state(failure);
        }
        self.failed_at = Some(Instant::now());
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            tracing::error!(%failure, "no commit succeeds; reads are served");
            self.logged_at = self.failed_at;
        }

        self.write_behind.return_slice(&self.committed);
        self.committed.set_write_failure(Some(failure.clone()));
        self.executor.fail_batch(failure, Some(self.sequences));
    }

    /// Makes the store unavailable, fails everything that depends on the failed write, and tries
    /// to recover at once.
    fn enter_failed_state(&mut self, failure: &Failure) {
        tracing::error!(%failure, "write failed; reopening the database file");

        // The outcome of later requests is not unknown: they do not happen.
        let lasting = match failure.clone() {
            Failure::UnknownOutcome(cause) | Failure::Unwritable(cause) => {
                Failure::Unavailable(cause)
            }
            other @ (Failure::Busy
            | Failure::Cancelled
            | Failure::Corrupt(_)
            | Failure::MasterKey(_)
            | Failure::NewerFormat { .. }
            | Failure::OlderFormat { .. }
            | Failure::Unavailable(_)) => other,
        };
        self.committed.set_write_failure(Some(lasting.clone()));
        self.committed.set_failure(Some(lasting));
        self.executor.fail_batch(failure, None);

        if let Err(failure) = self.reopen() {
            tracing::error!(%failure, "the store is unavailable until the database file can be opened");
        }
        self.failed_at = Some(Instant::now());
    }

    /// Tries to recover a failed store, then decides the requests that were deferred until then.
    fn recover_and_retry(&mut self, requests: Vec<QueuedRequest>) {
        let available = if self.committed.is_failed() { self.reopen() } else { Ok(()) };
        for request in requests {
            match &available {
                Ok(()) => self.executor.retry(request),
                Err(failure) => request.fail(failure.clone()),
            }
        }
    }

    /// Discards memory and recovers it from the place as it is now.
    fn reopen(&mut self) -> Result<(), Failure> {
        self.committed.clear();
        self.write_behind.clear();
        self.tables.reopen()?;
        self.recover()?;
        self.committed.set_failure(None);
        Ok(())
    }

    /// Folds the journal after the checkpoint.
    fn recover(&mut self) -> Result<(), Failure> {
        self.committed.load_erasures(self.tables.reader())?;
        let (states, sequences) = replay_journal(self.tables.reader(), &self.committed)?;
        self.write_behind.publish(&states, &self.committed);
        self.sequences = sequences;
        self.committed.tail.restart(sequences.seq);
        self.executor.reset(sequences);
        Ok(())
    }
}

/// Prunes responses that are too old at the time of the last request.
fn prune_responses(
    transaction: &mut impl WriteTransaction,
    now: Timestamp,
    blocks: usize,
    responses: usize,
) -> Result<bool, Failure> {
    let retention = TimeDelta::days(StoredResponse::RETENTION_DAYS);
    let before = now.checked_sub_signed(retention).unwrap_or(Timestamp::UNIX_EPOCH);
    transaction.prune_responses(before, blocks, responses)
}

/// Fails all waiting requests when the writer ends, also by a panic.
struct ShutdownGuard<'a, B: Backend>(&'a Executor<B>);

impl<B: Backend> Drop for ShutdownGuard<'_, B> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// Returns more than were added, so that what is queued, or too old, becomes less.
const fn slice_budget(added: usize, least: usize) -> usize {
    added.saturating_mul(2).saturating_add(least)
}
