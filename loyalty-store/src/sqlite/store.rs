//! The store that callers use: requests go to the executor, reads to the committed state.

mod catalogue;
pub(super) mod customers;
mod deliveries;
mod discounts;
mod imports;
mod orders;
mod redemptions;

use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use chrono::NaiveDate;
use loyalty_core::{AccountId, OrderId, Program, ProgramVersion, ShopId, Timestamp};
use tokio::sync::watch;

use super::StoreSettings;
use super::admin::{self, SqliteAdmin};
use super::backend::{SqliteFile, SqliteWriter};
use super::backup::keep_older_format;
use super::checkpointer::{checkpointer, cut_log};
use super::file::{self, FileLock, warn_if_readable};
use super::schema;
use super::tables::{access, customer, journal, program, response};
use crate::Store;
use crate::administration::{AdminReply, AdminRequest, StoreSecret};
use crate::customer_ref::CustomerRef;
use crate::day_totals::DayTotals;
use crate::engine::{CommittedState, Executor, TtlCache, Writer, load_filter};
use crate::erasure::{Erasure, ErasureKey};
use crate::erasure_pass::{self, ErasureScan};
use crate::error::Failure;
use crate::key_uses::KeyUses;
use crate::metrics::StoreMetrics;
use crate::query::{CustomerView, DueAccount, JournalPage, Page, VerificationReport};
use crate::record::{JournalId, JournalRow, OrderRecord, Seq};
use crate::request::{Pending, Request, Response};
use crate::search::SearchQuery;
use crate::shop::{ApiKeyRecord, Integration, KeyOwner, NewShop, Shop};
use crate::timeline::fold_account_until;
use crate::transact::StoredResponse;

/// A durable store in one SQLite file.
///
/// [`Store::execute`] decides on the calling thread. That takes microseconds, or as long as SQLite
/// needs to find what is not in memory. Its [`Pending`] waits for the commit, which the request
/// shares with others.
///
/// # Example: an acknowledged change survives
/// ```
/// use loyalty_core::{Currency, Zone};
/// use loyalty_store::{NewShop, SqliteStore, Store, StoreSettings};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let file = directory.path().join("loyalty.db");
/// let store = SqliteStore::open(&file, &StoreSettings::default())?;
/// let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// store.create_shop(&shop, "2026-01-31T10:00:00Z".parse()?)?;
/// drop(store);
///
/// let store = SqliteStore::open(&file, &StoreSettings::default())?;
/// assert_eq!(store.shops()?.len(), 1);
/// # Ok(()) }
/// ```
pub struct SqliteStore {
    path: PathBuf,
    pub(super) committed: Arc<CommittedState<SqliteFile>>,
    admin: SqliteAdmin,
    pub(super) executor: Arc<Executor<SqliteFile>>,
    /// The writer, the checkpointer, and the thread of long decisions.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Ends once all keys are loaded.
    filter_thread: Option<JoinHandle<()>>,
    /// Held as long as the store: two writers of one file would each rely on their own memory.
    lock: FileLock,
    secrets: TtlCache<ShopId, Arc<[StoreSecret]>>,
    key_uses: KeyUses,
}

impl SqliteStore {
    /// Opens the file, creates it if it does not exist, and starts the store's threads.
    ///
    /// # Errors
    /// Fails if another process serves the file, it was written by a newer program, or it cannot be
    /// read. A file of an older format is copied beside itself first, unless the settings say not to.
    ///
    /// # Example: one store serves a file
    /// ```
    /// use loyalty_store::{SqliteStore, StoreSettings};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let file = directory.path().join("loyalty.db");
    /// let store = SqliteStore::open(&file, &StoreSettings::default())?;
    /// assert!(SqliteStore::open(&file, &StoreSettings::default()).is_err());
    ///
    /// drop(store);
    /// assert!(SqliteStore::open(&file, &StoreSettings::default()).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn open(path: &Path, settings: &StoreSettings) -> Result<Self, Failure> {
        let lock = FileLock::acquire(path)?;
        warn_if_readable(path);
        if settings.keep_older_format
            && let Some(copy) = keep_older_format(path)?
        {
            tracing::warn!(copy = %copy.display(), "the file is moved to a newer format; a copy is kept");
        }
        let admin = SqliteAdmin::new(schema::open(path)?, path)
            .with_master_key(settings.master_key.clone());
        admin.seal_all()?;
        lock.note(path, !admin.shops()?.is_empty());

        let file = SqliteFile(path.to_owned());
        let committed = Arc::new(CommittedState::new(
            file,
            settings.cached_records,
            settings.cached_program_bytes,
        ));
        let executor = Arc::new(Executor::new(
            Arc::clone(&committed),
            settings.queued_requests,
            settings.long_request_work,
        ));

        let (trigger, checkpointer) = checkpointer(settings.checkpoint_pages);
        let (tables, unwritable) = SqliteWriter::open(path.to_owned(), trigger)?;
        committed.set_write_failure(unwritable);
        let (file, identity) = (path.to_owned(), tables.identity());
        let threshold = settings.write_behind_threshold;
        let writer =
            Writer::open(tables, Arc::clone(&committed), Arc::clone(&executor), threshold)?;

        let long_decisions = Arc::clone(&executor);
        let threads = vec![
            spawn("loyalty-writer", move || writer.run())?,
            spawn("loyalty-decider", move || long_decisions.run_long_decisions())?,
            spawn("loyalty-wal", move || checkpointer.run(&file, identity))?,
        ];
        let filtered = Arc::clone(&committed);
        let filter_thread = Some(spawn("loyalty-filter", move || load_filter(&filtered))?);
        Ok(Self {
            path: path.to_owned(),
            committed,
            admin,
            executor,
            threads: Mutex::new(threads),
            filter_thread,
            lock,
            secrets: TtlCache::default(),
            key_uses: KeyUses::default(),
        })
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| Failure::Unavailable(error.to_string()))
}

/// Waits until all states have reached their tables.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.executor.close();
        self.committed.filter.stop();
        if let Some(thread) = &self.filter_thread {
            thread.thread().unpark();
        }

        // The checkpointer ends when the writer has dropped its trigger.
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..).chain(self.filter_thread.take()) {
            if thread.join().is_err() {
                tracing::error!("a store thread had already stopped");
            }
        }
    }
}

impl Store for SqliteStore {
    fn execute(&self, request: Request) -> Pending {
        self.executor.submit(request)
    }

    fn stored_response(
        &self,
        shop: ShopId,
        key: &[u8; 16],
        fingerprint: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<Response>, Failure> {
        let _available = self.committed.ensure_available()?;
        // The caller has seen another record gone, perhaps by a commit that is being published.
        let _paused = self.committed.pause_publication();
        let stored = self.committed.stored_response(&(shop, *key))?;
        Ok(stored.and_then(|response| response.replay(fingerprint, now)))
    }

    fn customer(&self, shop: ShopId, who: &CustomerRef) -> Result<Option<CustomerView>, Failure> {
        let _available = self.committed.ensure_available()?;
        self.find_customer(shop, who)
    }

    fn customer_by_account(
        &self,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        let _available = self.committed.ensure_available()?;
        self.customer_of_account(shop, account)
    }

    fn customers(
        &self,
        shop: ShopId,
        search: &SearchQuery,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Page<CustomerView>, Failure> {
        let after = after.unwrap_or(AccountId(0));

        // Keys lead to a few customers at most.
        if let Some(keys) = search.lookup_keys() {
            let _available = self.committed.ensure_available()?;
            let mut items = self.find_by_keys(shop, &keys, search)?;
            items.retain(|customer| customer.record().account > after);
            let has_more = items.len() > limit;
            items.truncate(limit);
            return Ok(Page { items, has_more });
        }

        let (mut found, mut has_more) = (Vec::new(), false);
        self.scan_customers(shop, after, |record| {
            if !self.matches(search, &record)? {
                return Ok(ControlFlow::Continue(()));
            }
            has_more = found.len() >= limit;
            if has_more {
                return Ok(ControlFlow::Break(()));
            }
            found.push(record.account);
            Ok(ControlFlow::Continue(()))
        })?;

        // After the scan, whose connection sees the tables as they were when it began.
        let _available = self.committed.ensure_available()?;
        let found = found.into_iter();
        let views = found.map(|account| self.committed.customer_view(account));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        Ok(Page { items: views.into_iter().flatten().collect(), has_more })
    }

    fn count_customers(&self, shop: ShopId, search: &SearchQuery) -> Result<u64, Failure> {
        if let Some(keys) = search.lookup_keys() {
            let _available = self.committed.ensure_available()?;
            let found = self.find_by_keys(shop, &keys, search)?;
            return Ok(u64::try_from(found.len()).unwrap_or(u64::MAX));
        }
        if search.is_empty() {
            let _available = self.committed.ensure_available()?;
            return self.committed.with_reader(|db| customer::count_customers(db, shop));
        }

        let mut count = 0_u64;
        self.scan_customers(shop, AccountId(0), |record| {
            count = count.saturating_add(u64::from(self.matches(search, &record)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    fn order(&self, shop: ShopId, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let _available = self.committed.ensure_available()?;
        self.committed.order(&(shop, order.clone()))
    }

    fn account_journal(
        &self,
        shop: ShopId,
        account: AccountId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<JournalPage, Failure> {
        let _available = self.committed.ensure_available()?;
        let newest = self.committed.account(account)?.map(|record| record.seq);
        self.committed.with_reader(|db| {
            // One transaction for the whole page: each takes locks, and after a commit it begins
            // with an empty page cache.
            let _transaction = db.unchecked_transaction()?;

            // A cursor may name any row; only rows of this account lead to others of it.
            let mut next = match before {
                Some(before) => journal::read_journal_row(db, before)?
                    .filter(|row| row.account == Some(account))
                    .and_then(|row| row.previous),
                None => newest,
            };

            let mut page = Vec::new();
            while let Some(seq) = next.filter(|_| page.len() < limit) {
                let row = journal::read_journal_row(db, seq)?
                    .filter(|row| row.shop == shop && row.account == Some(account));
                next = row.as_ref().and_then(|row| row.previous);
                page.extend(row.map(Arc::new));
            }

            let next = next.and_then(|_| page.last().map(|row| row.seq));
            Ok(JournalPage { rows: page, next })
        })
    }

    fn journal(
        &self,
        shop: ShopId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<JournalRow>>, Failure> {
        self.read(|db| journal::read_shop_journal(db, shop, after, limit))
    }

    fn journal_of_all(&self, after: Seq, limit: usize) -> Result<Vec<Arc<JournalRow>>, Failure> {
        match self.committed.tail.read(after, limit) {
            Some(rows) => Ok(rows),
            None => self.read(|db| journal::read_journal(db, after, limit)),
        }
    }

    fn journal_id(&self) -> Result<JournalId, Failure> {
        self.read(journal::read_journal_id)
    }

    fn committed_position(&self) -> watch::Receiver<Seq> {
        self.committed.tail.follow()
    }

    fn customer_at(
        &self,
        shop: ShopId,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Option<CustomerView>, Failure> {
        let past = fold_account_until(self, shop, account, at)?;

        let _available = self.committed.ensure_available()?;
        let customer = self.committed.customer(account)?;
        let customer = customer.filter(|customer| customer.shop == shop);
        let (Some(customer), Some(timeline)) = (customer, self.committed.timeline(shop)?) else {
            return Ok(None);
        };

        let load = |version| self.committed.program_version(shop, version);
        timeline.view_at(customer, past, at, load).map(Some)
    }

    fn due(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure> {
        let _available = self.committed.ensure_available()?;
        self.committed.due_accounts(now, after, limit)
    }

    fn shops_to_reschedule(&self) -> Result<Vec<ShopId>, Failure> {
        self.read(program::read_shops_to_reschedule)
    }

    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        let _available = self.committed.ensure_available()?;
        self.committed.program(shop, version)
    }

    fn unfinished_erasures(&self) -> Result<Vec<Arc<Erasure>>, Failure> {
        let _available = self.committed.ensure_available()?;
        Ok(self.committed.erasures().unfinished())
    }

    fn finish_erasure(&self, erasure: &Erasure, now: Timestamp) -> Result<bool, Failure> {
        erasure_pass::finish(self, erasure, now)
    }

    fn day_totals(
        &self,
        shop: ShopId,
        days: RangeInclusive<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure> {
        let _available = self.committed.ensure_available()?;
        self.committed.day_totals(shop, &days)
    }

    fn verify(&self) -> Result<VerificationReport, Failure> {
        // Without a guard: it takes long, and recovery must not wait for it.
        admin::verify(&self.committed.open_reader()?)
    }

    fn check_ready(&self) -> Result<(), Failure> {
        let _available = self.committed.ensure_available()?;
        self.committed.ensure_writable()?;

        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.iter().any(JoinHandle::is_finished) {
            return Err(Failure::Unavailable("the writer has stopped".to_owned()));
        }
        Ok(())
    }

    fn metrics(&self) -> StoreMetrics {
        let (database_bytes, log_bytes) = file::sizes(&self.path);
        StoreMetrics {
            waiting_requests: self.executor.waiting_requests(),
            database_bytes,
            log_bytes,
            ..self.committed.metrics()
        }
    }

    fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure> {
        let shop = self.admin.create_shop(shop, now)?;
        self.lock.note(&self.path, true);
        Ok(shop)
    }

    fn shop(&self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.committed.shop(shop)
    }

    fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure> {
        self.admin.shops()
    }

    fn administer(&self, request: AdminRequest) -> Result<AdminReply, Failure> {
        let reply = self.admin.administer(request);
        // Also after a failure, whose outcome may be unknown.
        self.committed.invalidate_api_keys();
        self.secrets.clear();
        reply
    }

    fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure> {
        self.committed.api_key(id)
    }

    fn api_keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure> {
        self.read(|db| access::read_keys(db, owner))
    }

    fn note_key_use(&self, key: &ApiKeyRecord, now: Timestamp) {
        self.key_uses.note(key, now);
    }

    fn write_key_uses(&self) -> Result<(), Failure> {
        self.key_uses.write(|uses| self.admin.write_key_uses(uses))
    }

    fn store_secrets(&self, shop: ShopId) -> Result<Arc<[StoreSecret]>, Failure> {
        let secrets = self.secrets.get_or_load(&shop, || {
            let secrets = self.admin.store_secrets(shop)?;
            Ok(Some(Arc::from(secrets)).filter(|secrets: &Arc<[StoreSecret]>| !secrets.is_empty()))
        })?;
        Ok(secrets.unwrap_or_default())
    }

    fn record_integration(
        &self,
        shop: ShopId,
        integration: &Integration,
        _now: Timestamp,
    ) -> Result<(), Failure> {
        self.admin.record_integration(shop, integration)?;
        self.committed.invalidate_shop(shop);
        Ok(())
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl ErasureScan for SqliteStore {
    fn key(&self) -> Result<Arc<ErasureKey>, Failure> {
        self.committed.erasure_key()
    }

    fn responses_after(
        &self,
        number: i64,
        limit: usize,
    ) -> Result<Vec<(i64, StoredResponse)>, Failure> {
        self.read(|db| response::read_responses(db, number, limit))
    }

    fn clear_answers(&self, shop: ShopId, accounts: &[AccountId]) -> Result<(), Failure> {
        self.admin.clear_answers(shop, accounts)
    }

    /// Copies the log into the file, where replaced bytes are overwritten, and cuts it.
    fn purge(&self) -> Result<bool, Failure> {
        let _available = self.committed.ensure_available()?;
        cut_log(&self.path)
    }
}
