//! The one writer. It blocks for the first request, takes along whatever else waits, decides each in
//! full, appends all to the journal, commits once, and only then answers.
//!
//! The journal (with the kept answers and the customers' records) is all that is written before an
//! answer. Accounts and orders live in memory until they reach their tables behind it, in sorted slices
//! that ride along with later commits. The checkpoint says up to which row everything is in its table;
//! at start the few rows after it are folded again.
//!
//! When writing or committing fails, memory is thrown away, the file is opened anew, and everything is
//! read back from it: what was committed is there, what was not never was.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use loyalty_core::{AccountId, CustomerId, Email, OrderId, Program, ProgramVersion, ShopId, Timestamp};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::behind::Behind;
use super::shared::{Db, Placed, Shared};
use super::{Settings, catalogue, rows, schema};
use crate::error::Failure;
use crate::record::{AccountRecord, CustomerRecord, OrderRecord, Seq};
use crate::request::{Reply, Request};
use crate::shop::Shop;
use crate::transact::{Changes, CustomerChange, Kept, View, transact};

/// A request with the place where its reply is awaited.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Reply, Failure>>,
}

/// How many requests share a commit at the most.
const BATCH: usize = 512;

/// How long the writer is idle before it uses the time to write states behind.
const IDLE: Duration = Duration::from_millis(20);

/// How long the writer lets be what failed, unless somebody asks.
const RECOVERY: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    path: PathBuf,
    db: Connection,
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    last: Last,
    behind: Behind,
    /// Whether more answers than were dropped last may be too old.
    pruning: bool,
    now: Timestamp,
    failed_at: Option<Instant>,
}

/// The last numbers that were given out.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    seq: Seq,
    account: i64,
    answer: i64,
}

impl Writer {
    pub(super) fn open(
        path: PathBuf,
        shared: Arc<Shared>,
        jobs: Receiver<Job>,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let mut writer = Self {
            db: schema::open(&path)?,
            path,
            shared,
            jobs,
            last: Last::default(),
            behind: Behind::new(settings.write_behind),
            pruning: false,
            now: Timestamp::UNIX_EPOCH,
            failed_at: None,
        };
        writer.restore()?;
        Ok(writer)
    }

    /// Works until nobody can send requests any more; then everything reaches its table.
    pub(super) fn run(mut self) {
        loop {
            let first = match self.jobs.recv_timeout(IDLE) {
                Ok(job) => job,
                Err(RecvTimeoutError::Timeout) => {
                    self.idle();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut jobs = vec![first];
            jobs.extend(self.jobs.try_iter().take(BATCH.saturating_sub(1)));
            self.serve(jobs);
        }
        while !self.behind.is_done() && self.failed_at.is_none_or(|at| at.elapsed() >= RECOVERY) {
            self.idle();
        }
        // What is left in the log is read at the next start all the same.
        let _ = self.db.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }

    /// One commit for all that wait.
    fn serve(&mut self, jobs: Vec<Job>) {
        if self.shared.is_ill()
            && let Err(failure) = self.reopen()
        {
            for job in jobs {
                // Whoever no longer waits needs no answer.
                let _ = job.reply.send(Err(failure.clone()));
            }
            return;
        }
        let count = jobs.len();
        let mut staged = Staged::new(self.last);
        let mut replies = Vec::with_capacity(count);
        let written = self.decide(jobs, &mut staged, &mut replies);
        let committed = written.and_then(|()| self.commit(&staged, count));
        match committed {
            Ok(()) => self.publish(staged),
            Err(failure) => {
                self.fall_ill(&failure);
                for (_, reply) in &mut replies {
                    *reply = Err(failure.clone());
                }
            }
        }
        for (sender, reply) in replies {
            let _ = sender.send(reply);
        }
    }

    /// Decides each request on top of those before it, and writes what follows.
    fn decide(&mut self, jobs: Vec<Job>, staged: &mut Staged, replies: &mut Vec<Answered>) -> Result<(), Failure> {
        let begun = self.db.execute_batch("BEGIN IMMEDIATE").map_err(Failure::from);
        let mut stopped = begun.err();
        for Job { request, reply } in jobs {
            if let Some(failure) = &stopped {
                replies.push((reply, Err(failure.clone())));
                continue;
            }
            self.now = request.now;
            let (shop, now) = (request.shop, request.now);
            let mut view = Reading { db: &self.db, shared: &self.shared, staged };
            match transact(&mut view, request) {
                Ok((changes, answer)) => {
                    stopped = staged.write(&self.db, shop, now, changes).err();
                    replies.push((reply, Ok(answer)));
                }
                Err(failure) => {
                    // Some failures of a read end the transaction too; nothing more must be written then.
                    stopped = self.db.is_autocommit().then(|| failure.clone());
                    replies.push((reply, Err(failure)));
                }
            }
        }
        stopped.map_or(Ok(()), Err)
    }

    fn commit(&mut self, staged: &Staged, count: usize) -> Result<(), Failure> {
        if !staged.wrote {
            return Ok(self.db.execute_batch("ROLLBACK")?);
        }
        let at = (self.last.seq, self.last.answer);
        if self.behind.is_due(at) {
            self.behind.begin(at);
        }
        if self.behind.is_writing() {
            self.write_behind(count)?;
        }
        self.db.execute_batch("COMMIT").map_err(|error| Failure::UnknownOutcome(error.to_string()))
    }

    /// Writes states inside the open transaction and drops answers that are too old: more of each than
    /// so many requests make, so that both come to their end.
    fn write_behind(&mut self, requests: usize) -> Result<(), Failure> {
        self.behind.write_slice(&self.db, &self.shared, requests.saturating_mul(4).saturating_add(64))?;
        let before =
            self.now.checked_sub_signed(TimeDelta::days(Kept::DAYS_STORED)).unwrap_or(Timestamp::UNIX_EPOCH);
        let limit = requests.saturating_add(64);
        self.pruning = rows::prune_answers(&self.db, before, limit)? == limit;
        Ok(())
    }

    /// Shows what is committed, first of all to the next requests.
    fn publish(&mut self, staged: Staged) {
        let shared = &self.shared;
        self.behind.committed(shared);
        for (id, record) in &staged.accounts {
            shared.accounts.publish(id, Arc::clone(record), true);
            self.behind.account(*id);
        }
        for (key, record) in &staged.orders {
            shared.orders.publish(key, Arc::clone(record), true);
            self.behind.order(key);
        }
        staged.customers.iter().for_each(|change| shared.publish_customer(change));
        for (key, placed) in &staged.answers {
            shared.answers.publish(key, placed.clone(), true);
            self.behind.answer(*key);
        }
        for (key, program) in staged.programs {
            shared.programs.publish(&key, program, false);
        }
        self.last = staged.last;
    }

    /// Nothing waits: write states behind, drop old answers, get well.
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
        if self.behind.is_done() && !self.pruning {
            return;
        }
        self.behind.begin((self.last.seq, self.last.answer));
        let mut work = || -> Result<(), Failure> {
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            self.write_behind(BATCH / 4)?;
            Ok(self.db.execute_batch("COMMIT")?)
        };
        match work() {
            Ok(()) => self.behind.committed(&self.shared),
            Err(failure) => self.fall_ill(&failure),
        }
    }

    fn fall_ill(&mut self, failure: &Failure) {
        tracing::error!(%failure, "the store could not write; it opens the file anew");
        self.shared.set_illness(Some(failure.clone()));
        // The connection may be in any state; the transaction in it must not come back.
        let _ = self.db.execute_batch("ROLLBACK");
        if let Err(failure) = self.reopen() {
            tracing::error!(%failure, "the store stays unavailable until the file can be opened");
        }
        self.failed_at = Some(Instant::now());
    }

    /// The file as it is now. One that is gone is not made anew.
    fn reopen(&mut self) -> Result<(), Failure> {
        self.shared.forget();
        self.db = schema::open_existing(&self.path)?;
        self.behind.forget();
        self.restore()?;
        self.shared.set_illness(None);
        Ok(())
    }

    /// Folds what the journal holds beyond the checkpoint.
    fn restore(&mut self) -> Result<(), Failure> {
        let (seq, answer) = rows::checkpoint(&self.db)?;
        let (mut accounts, mut orders) = (HashMap::new(), HashMap::new());
        let mut last = Last {
            seq,
            account: rows::last(&self.db, "id", "account")?.max(rows::last(&self.db, "account", "customer")?),
            answer,
        };
        rows::each_journal(&self.db, seq, |row| {
            last.seq = row.seq;
            if let Some(id) = row.account {
                last.account = last.account.max(id.0);
                let record = loaded(&mut accounts, id, || rows::account(&self.db, id))?;
                record.get_or_insert_with(|| AccountRecord::new(row.shop)).fold(&row);
            }
            // A state may be newer than the checkpoint; the rows in it are not folded twice.
            let mut folded = HashSet::new();
            for event in row.events.iter() {
                let Some(id) = event.order() else { continue };
                let key = (row.shop, id.clone());
                let record = loaded(&mut orders, key.clone(), || rows::order(&self.db, row.shop, id))?;
                let record = record.get_or_insert_default();
                if record.seq < row.seq || folded.contains(&key) {
                    record.fold(&row, event);
                    folded.insert(key);
                }
            }
            Ok(())
        })?;
        for (id, record) in accounts.into_iter().filter_map(|(id, record)| Some((id, record?))) {
            self.shared.accounts.publish(&id, Arc::new(record), true);
            self.behind.account(id);
        }
        for (key, record) in orders.into_iter().filter_map(|(key, record)| Some((key, record?))) {
            self.shared.orders.publish(&key, Arc::new(record), true);
            self.behind.order(&key);
        }
        rows::each_answer(&self.db, answer, |id, kept| {
            last.answer = id;
            let key = (kept.shop, kept.key);
            self.shared.answers.publish(&key, (id, Arc::new(kept)), true);
            self.behind.answer(key);
        })?;
        self.last = last;
        Ok(())
    }
}

type Answered = (oneshot::Sender<Result<Reply, Failure>>, Result<Reply, Failure>);

/// The record of a key, loaded once.
fn loaded<K: Eq + std::hash::Hash, T>(
    records: &mut HashMap<K, Option<T>>,
    key: K,
    load: impl FnOnce() -> Result<Option<T>, Failure>,
) -> Result<&mut Option<T>, Failure> {
    use std::collections::hash_map::Entry;
    Ok(match records.entry(key) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(load()?),
    })
}

/// What the requests of one commit have changed so far.
struct Staged {
    last: Last,
    wrote: bool,
    accounts: HashMap<AccountId, Arc<AccountRecord>>,
    orders: HashMap<(ShopId, OrderId), Arc<OrderRecord>>,
    customers: Vec<CustomerChange>,
    by_account: HashMap<AccountId, Option<Arc<CustomerRecord>>>,
    by_id: HashMap<(ShopId, CustomerId), Option<AccountId>>,
    by_email: HashMap<(ShopId, String), Option<AccountId>>,
    answers: HashMap<(ShopId, [u8; 16]), Placed>,
    /// By version, and the newest by none.
    programs: HashMap<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
}

impl Staged {
    fn new(last: Last) -> Self {
        Self {
            last,
            wrote: false,
            accounts: HashMap::new(),
            orders: HashMap::new(),
            customers: Vec::new(),
            by_account: HashMap::new(),
            by_id: HashMap::new(),
            by_email: HashMap::new(),
            answers: HashMap::new(),
            programs: HashMap::new(),
        }
    }

    /// Writes what must be on the disk before the answer, and remembers the rest.
    fn write(&mut self, db: &Connection, shop: ShopId, now: Timestamp, changes: Changes) -> Result<(), Failure> {
        self.wrote |= !changes.is_empty();
        for row in &changes.journal {
            rows::append_journal(db, row)?;
            self.last.seq = row.seq;
        }
        for change in changes.customers {
            rows::put_customer(db, &change)?;
            self.remember_customer(&change);
            self.customers.push(change);
        }
        if let Some((version, program)) = changes.program {
            rows::add_program(db, shop, version, &program, now)?;
            for asked in [None, Some(version)] {
                self.programs.insert((shop, asked), (version, Arc::clone(&program)));
            }
        }
        catalogue::write(db, shop, changes.shelved, changes.numbered)?;
        if let Some(kept) = changes.kept {
            let id = self.last.answer.saturating_add(1);
            rows::append_answer(db, id, &kept)?;
            self.last.answer = id;
            self.answers.insert((kept.shop, kept.key), (id, Arc::new(kept)));
        }
        self.accounts.extend(changes.accounts);
        self.orders.extend(changes.orders.into_iter().map(|(id, record)| ((shop, id), record)));
        Ok(())
    }

    fn remember_customer(&mut self, change: &CustomerChange) {
        for (record, stands) in [(&change.before, false), (&change.after, true)] {
            let Some(record) = record else { continue };
            let account = stands.then_some(record.account);
            if let Some(id) = &record.id {
                self.by_id.insert((record.shop, id.clone()), account);
            }
            if let Some(email) = &record.email {
                self.by_email.insert((record.shop, email.key().to_owned()), account);
            }
            self.last.account = self.last.account.max(record.account.0);
            self.by_account.insert(record.account, stands.then(|| Arc::clone(record)));
        }
    }
}

/// What a decision reads: this commit's changes, then what is committed.
pub(super) struct Reading<'a> {
    db: &'a Connection,
    shared: &'a Shared,
    staged: &'a Staged,
}

impl Reading<'_> {
    /// What this commit has written is to be seen on its connection.
    pub(super) fn db(&self) -> &Connection {
        self.db
    }
}

impl View for Reading<'_> {
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.shared.shop(Db::Writer(self.db), shop)
    }

    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        match self.staged.programs.get(&(shop, version)) {
            Some(program) => Ok(Some(program.clone())),
            None => self.shared.program(Db::Writer(self.db), shop, version),
        }
    }

    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        match self.staged.accounts.get(&account) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.shared.account(Db::Writer(self.db), account),
        }
    }

    fn customer(&mut self, account: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        match self.staged.by_account.get(&account) {
            Some(record) => Ok(record.clone()),
            None => self.shared.customer(Db::Writer(self.db), account),
        }
    }

    fn by_id(&mut self, shop: ShopId, id: &CustomerId) -> Result<Option<AccountId>, Failure> {
        if !self.staged.by_id.is_empty()
            && let Some(account) = self.staged.by_id.get(&(shop, id.clone()))
        {
            return Ok(*account);
        }
        self.shared.by_id(Db::Writer(self.db), shop, id)
    }

    fn by_email(&mut self, shop: ShopId, email: &Email) -> Result<Option<AccountId>, Failure> {
        if !self.staged.by_email.is_empty()
            && let Some(account) = self.staged.by_email.get(&(shop, email.key().to_owned()))
        {
            return Ok(*account);
        }
        self.shared.by_email(Db::Writer(self.db), shop, email)
    }

    fn order(&mut self, shop: ShopId, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure> {
        match self.staged.orders.get(&(shop, order.clone())) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.shared.order(Db::Writer(self.db), shop, order),
        }
    }

    fn kept(&mut self, shop: ShopId, key: &[u8; 16], now: Timestamp) -> Result<Option<Kept>, Failure> {
        let kept = match self.staged.answers.get(&(shop, *key)) {
            Some((_, kept)) => Some(Arc::clone(kept)),
            None => self.shared.answer(Db::Writer(self.db), shop, key)?,
        };
        let alive = |kept: &Arc<Kept>| now.signed_duration_since(kept.at).num_days() < Kept::DAYS;
        Ok(kept.filter(alive).map(|kept| (*kept).clone()))
    }

    fn next(&self) -> (AccountId, Seq) {
        let Last { seq, account, .. } = self.staged.last;
        (AccountId(account.saturating_add(1)), seq.saturating_add(1))
    }
}
