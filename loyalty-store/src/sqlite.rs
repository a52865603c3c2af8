//! SQLite: whoever asks decides, in turns; one thread writes and shares commits among all who wait, readers beside it,
//! and the committed state in memory.
//!
//! The modules, in reading order: the file ([`schema`]), records as rows ([`rows`], [`answers`]), the caches
//! ([`cache`], [`shared`]) and what is in no table ([`filter`]), what is decided but not committed ([`staged`])
//! and how it is decided ([`decider`]), the writer, what it writes later and who moves its log ([`writer`],
//! [`behind`], [`wal`]), what has no cache and no journal ([`catalogue`]), the operator's side ([`admin`]).

mod account;
mod admin;
mod batch;
mod cache;
mod catalogue;
mod checkpointer;
mod code_claims;
mod committed;
mod discounts;
mod due_index;
mod executor;
mod filter;
mod redemptions;
mod responses;
mod rows;
mod schema;
mod write_behind;
mod writer;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use loyalty_core::{AccountId, OrderId, Program, ProgramVersion, ShopId, Timestamp};

use crate::Store;
use crate::customer_ref::CustomerRef;
use crate::error::Failure;
use crate::query::{CustomerView, DueAccount, JournalPage, Page, VerificationReport};
use crate::record::{CustomerRecord, JournalRow, OrderRecord, Seq};
use crate::request::{Pending, Request, Response};
use crate::search::{SearchKey, SearchQuery};
use crate::shop::{ApiKeyRecord, Integration, NewApiKey, NewShop, Shop};
use crate::timeline::fold_account_until;
use committed::CommittedState;
use executor::Executor;
use writer::Writer;

/// Maps of what is in memory, looked into many times for each request. The seed is drawn at start, so that nobody
/// outside can choose keys that collide.
type Map<K, V> = std::collections::HashMap<K, V, foldhash::quality::RandomState>;
type Set<T> = std::collections::HashSet<T, foldhash::quality::RandomState>;

pub use admin::SqliteAdmin;

/// What bounds a store's memory and its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreSettings {
    /// How many records of each kind are kept in memory.
    pub cached_records: usize,
    /// How many requests may wait for the next commit, beside those of the one under way; one more is
    /// [`Failure::Busy`].
    pub queued_requests: usize,
    /// How many states may wait for their tables. A start after a kill folds up to twice as many journal rows again.
    pub write_behind_threshold: usize,
    /// After how many pages SQLite's log is moved into the database.
    pub checkpoint_pages: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            cached_records: 100_000,
            queued_requests: 4_096,
            write_behind_threshold: 32_768,
            checkpoint_pages: 8_000,
        }
    }
}

/// A durable store in one file.
///
/// [`Store::execute`] decides on the thread that calls it, which takes microseconds, or as long as SQLite takes to find
/// what is not in memory. Only the commit is waited for elsewhere.
///
/// # Example: what was acknowledged is there after reopening
/// ```
/// use loyalty_store::{StoreSettings, SqliteStore, Store, NewShop};
/// use loyalty_core::{Currency, Zone};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let file = directory.path().join("loyalty.db");
/// let store = SqliteStore::open(&file, &StoreSettings::default())?;
/// store.create_shop(&NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC }, "2026-01-31T10:00:00Z".parse()?)?;
/// drop(store);
/// assert_eq!(SqliteStore::open(&file, &StoreSettings::default())?.shops()?.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    committed: Arc<CommittedState>,
    admin: SqliteAdmin,
    executor: Arc<Executor>,
    /// Who writes, and who moves the log.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Who reads the keys at the start, and is done then.
    filter_thread: Option<JoinHandle<()>>,
    /// Held as long as the store: two writers on one file would each believe their own memory.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, making it where there is none, and starts its threads.
    ///
    /// # Errors
    /// Where another process serves the file, it was written by a newer program, or it cannot be read.
    pub fn open(path: &Path, settings: &StoreSettings) -> Result<Self, Failure> {
        let lock = lock_file(path)?;
        let admin = SqliteAdmin::open(path)?;
        let shared = Arc::new(CommittedState::new(path.to_owned(), settings));
        let decider = Arc::new(Executor::new(Arc::clone(&shared), settings.queued_requests));
        let (log, mover) = checkpointer::checkpointer(settings.checkpoint_pages);
        let writer = Writer::open(
            path.to_owned(),
            Arc::clone(&shared),
            Arc::clone(&decider),
            log,
            settings,
        )?;
        let (file, identity) = (path.to_owned(), writer.identity());
        let filled = Arc::clone(&shared);
        let threads = vec![
            spawn("loyalty-writer", move || writer.run())?,
            spawn("loyalty-wal", move || mover.run(&file, identity))?,
        ];
        let filling = Some(spawn("loyalty-filter", move || filter::fill(&filled))?);
        Ok(Self {
            committed: shared,
            admin,
            executor: decider,
            threads: Mutex::new(threads),
            filter_thread: filling,
            _lock: lock,
        })
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| Failure::Unavailable(error.to_string()))
}

/// Customers, for a read that has begun: health must not be asked twice by one thread.
impl SqliteStore {
    fn find_customer(
        &self,
        shop: ShopId,
        who: &CustomerRef,
    ) -> Result<Option<CustomerView>, Failure> {
        let account = match who {
            CustomerRef::Id(id) | CustomerRef::Both(id, _) => {
                self.committed.account_by_id(&(shop, id.clone()))?
            }
            CustomerRef::Email(email) => {
                self.committed.account_by_email(&(shop, email.key().to_owned()))?
            }
        };
        let Some(account) = account else { return Ok(None) };
        if let Some(customer) = self.committed.customer_view(account)? {
            return Ok(Some(customer));
        }
        // A guest who is merged at this moment: the file says already whose the e-mail is.
        let CustomerRef::Email(email) = who else { return Ok(None) };
        let account = self
            .committed
            .with_reader(|db| rows::find_account_by_email(db, shop, email.key()))?;
        account.map_or(Ok(None), |account| self.committed.customer_view(account))
    }

    /// The customer of an account, or of the one that it was merged into.
    fn customer_of_account(
        &self,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        let mut account = account;
        while let Some(record) = self.committed.account(account)? {
            match record.account.merged_into() {
                Some(into) => account = into,
                None => break,
            }
        }
        Ok(self
            .committed
            .customer_view(account)?
            .filter(|customer| customer.record().shop == shop))
    }

    /// Whether a customer matches. The account is looked up only where the search asks for it.
    fn matches(&self, search: &SearchQuery, record: &CustomerRecord) -> Result<bool, Failure> {
        if let Some(matches) = search.matches_record(record) {
            return Ok(matches);
        }
        let customer = self.committed.read_uncached(record)?;
        Ok(customer.is_some_and(|customer| search.matches(&customer)))
    }

    /// The few customers that keys can lead to, by account, as far as they match.
    fn find_by_keys(
        &self,
        shop: ShopId,
        keys: &[SearchKey],
        search: &SearchQuery,
    ) -> Result<Vec<CustomerView>, Failure> {
        let mut found = Vec::new();
        for key in keys {
            found.extend(match key {
                SearchKey::Customer(who) => self.find_customer(shop, who)?,
                SearchKey::Account(account) => self.customer_of_account(shop, *account)?,
            });
        }
        found.retain(|customer| search.matches(customer));
        found.sort_by_key(|customer| customer.record().account);
        found.dedup_by_key(|customer| customer.record().account);
        Ok(found)
    }
}

/// How many customers a walk passes before it lets go of the store's health.
const SCAN_CHUNK: usize = 512;

impl SqliteStore {
    /// Visits a shop's customers behind one of them, oldest first, until it has seen enough. In stretches: a
    /// store that falls ill in the middle does not wait for the end.
    fn scan_customers(
        &self,
        shop: ShopId,
        after: AccountId,
        mut visit: impl FnMut(CustomerRecord) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let mut next = Some(after);
        while let Some(after) = next.take() {
            let _well = self.committed.ensure_available()?;
            let mut passed = 0_usize;
            self.committed.with_reader(|db| {
                rows::scan_customers(db, shop, after, |record| {
                    let account = record.account;
                    passed = passed.saturating_add(1);
                    let seen = visit(record)?;
                    if seen.is_continue() && passed >= SCAN_CHUNK {
                        next = Some(account);
                        return Ok(ControlFlow::Break(()));
                    }
                    Ok(seen)
                })
            })?;
        }
        Ok(())
    }
}

/// One store a file, by whatever name it is opened.
fn lock_file(path: &Path) -> Result<File, Failure> {
    let mut name = path
        .canonicalize()
        .unwrap_or_else(|_| path.to_owned())
        .into_os_string();
    name.push(".lock");
    let unavailable = |error: String| Failure::Unavailable(format!("{}: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(name);
    let file = file.map_err(|error| unavailable(error.to_string()))?;
    file.try_lock()
        .map_err(|_| unavailable("another process is serving this file".to_owned()))?;
    Ok(file)
}

/// Waits until everything has reached its table.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.executor.close();
        self.committed.filter.stop();
        self.filter_thread
            .iter()
            .for_each(|filling| filling.thread().unpark());
        let threads = self
            .threads
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..);
        for thread in threads.chain(self.filter_thread.take()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had stopped before");
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
        let _well = self.committed.ensure_available()?;
        // What is gone may have gone in the commit that is being shown.
        let _one_commit = self.committed.pause_publication();
        Ok(self
            .committed
            .stored_response(&(shop, *key))?
            .and_then(|kept| kept.replay(fingerprint, now)))
    }

    fn customer(&self, shop: ShopId, who: &CustomerRef) -> Result<Option<CustomerView>, Failure> {
        let _well = self.committed.ensure_available()?;
        self.find_customer(shop, who)
    }

    fn customer_by_account(
        &self,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        let _well = self.committed.ensure_available()?;
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
        if let Some(keys) = search.lookup_keys() {
            let _well = self.committed.ensure_available()?;
            let mut items = self.find_by_keys(shop, &keys, search)?;
            items.retain(|customer| customer.record().account > after);
            let more = items.len() > limit;
            items.truncate(limit);
            return Ok(Page { items, has_more: more });
        }
        let (mut found, mut more) = (Vec::new(), false);
        self.scan_customers(shop, after, |record| {
            if !self.matches(search, &record)? {
                return Ok(ControlFlow::Continue(()));
            }
            more = found.len() >= limit;
            if more {
                return Ok(ControlFlow::Break(()));
            }
            found.push(record.account);
            Ok(ControlFlow::Continue(()))
        })?;
        let _well = self.committed.ensure_available()?;
        let views: Result<Vec<_>, _> = found
            .into_iter()
            .map(|account| self.committed.customer_view(account))
            .collect();
        Ok(Page {
            items: views?.into_iter().flatten().collect(),
            has_more: more,
        })
    }

    fn count_customers(&self, shop: ShopId, search: &SearchQuery) -> Result<u64, Failure> {
        if let Some(keys) = search.lookup_keys() {
            let _well = self.committed.ensure_available()?;
            return Ok(
                u64::try_from(self.find_by_keys(shop, &keys, search)?.len()).unwrap_or(u64::MAX)
            );
        }
        if search.is_empty() {
            let _well = self.committed.ensure_available()?;
            return self.committed.with_reader(|db| rows::count_customers(db, shop));
        }
        let mut count = 0_u64;
        self.scan_customers(shop, AccountId(0), |record| {
            count = count.saturating_add(u64::from(self.matches(search, &record)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(count)
    }

    fn order(&self, shop: ShopId, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let _well = self.committed.ensure_available()?;
        self.committed.order(&(shop, order.clone()))
    }

    fn account_journal(
        &self,
        shop: ShopId,
        account: AccountId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<JournalPage, Failure> {
        let _well = self.committed.ensure_available()?;
        let newest = self.committed.account(account)?.map(|record| record.seq);
        self.committed.with_reader(|db| {
            // One for the whole page: each takes locks, and where somebody has written it forgets what was read.
            let _read = db.unchecked_transaction()?;
            // A cursor may name any row; only rows of this account lead on to others of it.
            let mut next = match before {
                Some(before) => rows::read_journal_row(db, before)?
                    .filter(|row| row.account == Some(account))
                    .and_then(|row| row.previous),
                None => newest,
            };
            let mut page = Vec::new();
            while let Some(seq) = next.filter(|_| page.len() < limit) {
                let row = rows::read_journal_row(db, seq)?
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
        let _well = self.committed.ensure_available()?;
        self.committed
            .with_reader(|db| rows::read_shop_journal(db, shop, after, limit))
    }

    fn customer_at(
        &self,
        shop: ShopId,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Option<CustomerView>, Failure> {
        let past = fold_account_until(self, shop, account, at)?;
        let _well = self.committed.ensure_available()?;
        let customer = self
            .committed
            .customer(account)?
            .filter(|customer| customer.shop == shop);
        let (Some(customer), Some(history)) = (customer, self.committed.timeline(shop)?) else {
            return Ok(None);
        };
        history
            .view_at(customer, past, at, |version| self.committed.program_version(shop, version))
            .map(Some)
    }

    fn due(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure> {
        let _well = self.committed.ensure_available()?;
        due_index::find_due_accounts(&self.committed, now, after, limit)
    }

    fn shops_to_reschedule(&self) -> Result<Vec<ShopId>, Failure> {
        let _well = self.committed.ensure_available()?;
        self.committed.with_reader(due_index::read_shops_to_reschedule)
    }

    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        let _well = self.committed.ensure_available()?;
        self.committed.program(shop, version)
    }

    fn verify(&self) -> Result<VerificationReport, Failure> {
        admin::verify(&self.committed.open_reader()?)
    }

    fn check_ready(&self) -> Result<(), Failure> {
        let _well = self.committed.ensure_available()?;
        self.committed.ensure_writable()?;
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.iter().any(JoinHandle::is_finished) {
            return Err(Failure::Unavailable("the writer has stopped".to_owned()));
        }
        Ok(())
    }

    fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure> {
        self.admin.create_shop(shop, now)
    }

    fn shop(&self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.committed.shop(shop)
    }

    fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure> {
        self.admin.shops()
    }

    fn add_api_key(&self, shop: ShopId, key: &NewApiKey, now: Timestamp) -> Result<(), Failure> {
        self.admin.add_key(shop, key, now)?;
        self.committed.invalidate_api_keys();
        Ok(())
    }

    fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure> {
        self.committed.api_key(id)
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

#[cfg(test)]
mod tests;
