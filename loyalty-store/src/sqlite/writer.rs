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

use super::behind::Behind;
use super::decider::{Decider, Job, Work};
use super::filter::Stored;
use super::schema::Identity;
use super::shared::Shared;
use super::staged::{Batch, Last, Staged, Writes};
use super::time::Restored;
use super::wal::Log;
use super::{Map, Settings, account, answers, discount, rows, schema};
use crate::discount::index;
use crate::error::Failure;
use crate::projections::{self, Projection};
use crate::record::AccountRecord;
use crate::transact::StoredResponse;

/// How long the writer is idle before it uses the time to write states behind.
const IDLE: Duration = Duration::from_millis(20);

/// How long the writer lets be what failed, unless somebody asks.
const RECOVERY: Duration = Duration::from_millis(500);

/// How many states are written, and answers dropped, at once while nobody waits.
const IDLE_SLICE: usize = 128;

pub(super) struct Writer {
    path: PathBuf,
    db: Connection,
    /// The file that the connection has open.
    identity: Identity,
    shared: Arc<Shared>,
    decider: Arc<Decider>,
    log: Log,
    last: Last,
    behind: Behind,
    /// Whether more answers than were dropped last may be too old.
    pruning: bool,
    now: Timestamp,
    failed_at: Option<Instant>,
}

impl Writer {
    pub(super) fn open(
        path: PathBuf,
        shared: Arc<Shared>,
        decider: Arc<Decider>,
        log: Log,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let mut writer = Self {
            db: schema::open(&path)?,
            identity: Identity::of(&path)?,
            path,
            shared,
            decider,
            log,
            last: Last::default(),
            behind: Behind::new(settings.write_behind),
            pruning: false,
            now: Timestamp::UNIX_EPOCH,
            failed_at: None,
        };
        writer.settle()?;
        writer.log.watch(&mut writer.db)?;
        writer.restore()?;
        writer.decider.begin(writer.last);
        Ok(writer)
    }

    /// The file that it has open.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// What the log holds from before may have been written and never synced. It goes into the database, with
    /// both synced, before anybody is told of it.
    fn settle(&self) -> Result<(), Failure> {
        let busy: i64 = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
        // Somebody reads it. A commit syncs all of the log, too.
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        rows::touch(&self.db)?;
        Ok(self.db.execute_batch("COMMIT")?)
    }

    /// Works until nobody can ask any more; then everything reaches its table.
    pub(super) fn run(mut self) {
        let decider = Arc::clone(&self.decider);
        let _leaves = Leaves(&decider);
        loop {
            match decider.next(IDLE) {
                Work::Commit(batch) => self.serve(*batch),
                Work::GetWell(waiting) => self.get_well_for(waiting),
                Work::Nothing => self.idle(),
                Work::End => break,
            }
        }
        while !self.behind.is_done() && self.failed_at.is_none_or(|at| at.elapsed() >= RECOVERY) {
            self.idle();
        }
        // What is left in the log is read at the next start all the same.
        let _ = self.db.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    /// One commit for all that are in it.
    fn serve(&mut self, batch: Batch) {
        let Batch { writes, staged, mut replies, now } = batch;
        if !writes.is_empty() {
            self.now = now;
            match self.commit(&writes, staged.states(), replies.len()) {
                Ok(()) => {
                    self.shared.set_unwritable(None);
                    self.publish(&staged);
                }
                Err(failure) => {
                    self.fall_ill(&failure);
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
    fn get_well_for(&mut self, waiting: Vec<Job>) {
        let well = if self.shared.is_ill() { self.reopen() } else { Ok(()) };
        for job in waiting {
            match &well {
                Ok(()) => self.decider.take_again(job),
                Err(failure) => job.refuse(failure.clone()),
            }
        }
    }

    fn commit(&mut self, writes: &Writes, states: usize, requests: usize) -> Result<(), Failure> {
        self.identity.check(&self.path)?;
        self.log.move_rest(&self.db);
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let blocks = writes.write(&self.db)?;
        let at = (self.last.seq, self.last.answer);
        if self.behind.is_due(at) {
            self.behind.begin(at);
        }
        if self.behind.is_writing() {
            self.behind
                .write_slice(&self.db, &self.shared, more_than(states, 64))?;
        }
        self.drop_answers(more_than(blocks, 2), more_than(requests, 64))?;
        writes.write_dues(&self.db)?;
        self.db
            .execute_batch("COMMIT")
            .map_err(|error| Failure::UnknownOutcome(error.to_string()))
    }

    /// Looks at some blocks of answers inside the open transaction, and drops some answers that are too old.
    fn drop_answers(&mut self, blocks: usize, answers: usize) -> Result<(), Failure> {
        let before = self
            .now
            .checked_sub_signed(TimeDelta::days(StoredResponse::RETENTION_DAYS))
            .unwrap_or(Timestamp::UNIX_EPOCH);
        self.pruning = answers::prune(&self.db, before, blocks, answers)?;
        Ok(())
    }

    /// Shows what is committed.
    fn publish(&mut self, staged: &Staged) {
        let shared = &self.shared;
        let _all_at_once = shared.publishing();
        self.behind.committed(shared);
        for (key, record) in &staged.keyed {
            shared.publish_keyed(key, Arc::clone(record));
            self.behind.keyed(key);
        }
        staged
            .indexed
            .iter()
            .for_each(|(shop, change)| shared.publish_index(*shop, change));
        for (id, record) in &staged.accounts {
            shared.accounts.publish(id, Arc::clone(record), true);
            shared.due.put(*id, record);
            self.behind.account(*id);
        }
        for (key, record) in &staged.orders {
            shared.publish_order(key, Arc::clone(record));
            self.behind.order(key);
        }
        staged
            .customers
            .iter()
            .for_each(|change| shared.publish_customer(change));
        for (key, placed) in &staged.answers {
            shared.publish_answer(key, placed.clone());
            self.behind.answer(*key, placed.0);
        }
        for (key, program) in &staged.programs {
            shared.programs.publish(key, program.clone(), false);
        }
        // After the accounts: whoever reads that all of them know what is due reads it of them.
        for (shop, history) in &staged.histories {
            shared.histories.publish(shop, Arc::clone(history), false);
        }
        self.last = staged.last;
    }

    /// Nothing waits: write states behind, drop old answers, get well, and where the last commit failed try one.
    fn idle(&mut self) {
        if self.failed_at.is_some_and(|at| at.elapsed() < RECOVERY) {
            return;
        }
        if self.shared.is_ill() {
            // Nobody may ask an ill store for anything. What is wrong was said when it fell ill.
            let _ = self.reopen();
            self.failed_at = Some(Instant::now());
            return;
        }
        if let Err(failure) = self.identity.check(&self.path) {
            self.fall_ill(&failure);
            return;
        }
        let unwritable = self.shared.writable().is_err();
        if self.behind.is_done() && !self.pruning && !unwritable {
            return;
        }
        self.behind.begin((self.last.seq, self.last.answer));
        let mut work = || -> Result<(), Failure> {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            self.behind.write_slice(&self.db, &self.shared, IDLE_SLICE)?;
            self.drop_answers(IDLE_SLICE, IDLE_SLICE)?;
            if unwritable {
                rows::touch(&self.db)?;
            }
            Ok(self.db.execute_batch("COMMIT")?)
        };
        match work() {
            Ok(()) => {
                self.shared.set_unwritable(None);
                self.behind.committed(&self.shared);
            }
            Err(failure) => self.fall_ill(&failure),
        }
    }

    fn fall_ill(&mut self, failure: &Failure) {
        tracing::error!(%failure, "the store could not write; it opens the file anew");
        // Whoever asks from now on is not told that their own outcome is unknown.
        let illness = match failure.clone() {
            Failure::UnknownOutcome(why) => Failure::Unavailable(why),
            other @ (Failure::Busy
            | Failure::Corrupt(_)
            | Failure::NewerFormat { .. }
            | Failure::Unavailable(_)) => other,
        };
        self.shared.set_unwritable(Some(illness.clone()));
        self.shared.set_illness(Some(illness));
        self.decider.void(failure);
        // The connection may be in any state; the transaction in it must not come back.
        let _ = self.db.execute_batch("ROLLBACK");
        if let Err(failure) = self.reopen() {
            tracing::error!(%failure, "the store stays unavailable until the file can be opened");
        }
        self.failed_at = Some(Instant::now());
    }

    /// The file as it is now. One that is gone is not made anew, and no other one serves for it.
    fn reopen(&mut self) -> Result<(), Failure> {
        self.shared.forget();
        self.behind.forget();
        self.identity.check(&self.path)?;
        self.db = schema::open_existing(&self.path)?;
        self.log.watch(&mut self.db)?;
        self.restore()?;
        self.decider.begin(self.last);
        self.shared.set_illness(None);
        Ok(())
    }

    /// Folds what the journal holds beyond the checkpoint.
    fn restore(&mut self) -> Result<(), Failure> {
        let (seq, answer) = rows::checkpoint(&self.db)?;
        let (mut accounts, mut orders, mut keyed) =
            (Map::default(), Map::default(), Map::default());
        let mut last = Last {
            seq,
            account: rows::last(&self.db, "id", "account")?
                .max(rows::last(&self.db, "account", "customer")?),
            answer,
        };
        rows::each_journal(&self.db, seq, |row| {
            last.seq = row.seq;
            if let Some(id) = row.account {
                last.account = last.account.max(id.0);
                let record = loaded(&mut accounts, id, || account::account(&self.db, id))?;
                record.get_or_insert_with(|| AccountRecord::new(row.shop)).fold(&row);
            }
            // Also where the commit was not known to have happened: what is there, the filter does not deny.
            for key in row.events.iter().filter_map(index::assigned_code_key) {
                self.shared.filter.add(Stored::Code(&(row.shop, key.to_owned())));
            }
            for key in projections::affected_keys(&row) {
                let of = (row.shop, key);
                let record =
                    loaded(&mut keyed, of.clone(), || discount::keyed(&self.db, of.0, &of.1))?;
                record.get_or_insert_with(|| Projection::new(&of.1)).fold(&of.1, &row);
            }
            // A state may be newer than the checkpoint; the rows in it are not folded twice.
            let mut folded = HashSet::new();
            for event in row.events.iter() {
                let Some(id) = event.order() else { continue };
                let key = (row.shop, id.clone());
                let record =
                    loaded(&mut orders, key.clone(), || rows::order(&self.db, row.shop, id))?;
                let record = record.get_or_insert_default();
                if record.seq < row.seq || folded.contains(&key) {
                    record.fold(&row, event);
                    folded.insert(key);
                }
            }
            Ok(())
        })?;
        let mut restored = Restored::default();
        for (id, mut record) in accounts.into_iter().filter_map(|(id, record)| Some((id, record?)))
        {
            restored.find_due(&self.db, id, &mut record)?;
            self.shared.due.put(id, &record);
            self.shared.accounts.publish(&id, Arc::new(record), true);
            self.behind.account(id);
        }
        for (key, record) in orders.into_iter().filter_map(|(key, record)| Some((key, record?))) {
            self.shared.publish_order(&key, Arc::new(record));
            self.behind.order(&key);
        }
        for (key, record) in keyed.into_iter().filter_map(|(key, record)| Some((key, record?))) {
            self.shared.publish_keyed(&key, Arc::new(record));
            self.behind.keyed(&key);
        }
        answers::each_after(&self.db, answer, |id, kept| {
            last.answer = id;
            let key = (kept.shop, kept.key);
            self.shared.publish_answer(&key, (id, Arc::new(kept)));
            self.behind.answer(key, id);
        })?;
        self.last = last;
        Ok(())
    }
}

/// However the writer goes, nobody waits for it any more.
struct Leaves<'a>(&'a Decider);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// More than are added, so that what is written behind, or dropped, comes to its end.
const fn more_than(added: usize, least: usize) -> usize {
    added.saturating_mul(2).saturating_add(least)
}

/// The record of a key, loaded once.
pub(super) fn loaded<K: Eq + std::hash::Hash, T>(
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
