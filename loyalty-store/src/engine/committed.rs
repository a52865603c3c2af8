//! The committed state: caches over the backend's readers, and whether the store is available.
//!
//! The caches follow the writer's publications. A value that is newer than its table is pinned in
//! its cache, so a miss can be answered from the tables. Readers take no common lock; those that
//! need several records of one commit pause the publication.

mod lists;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::NaiveDate;
use loyalty_core::{
    AccountId, CodeId, CustomerId, Email, OrderId, PriceRuleId, Program, ProgramVersion, ShopId,
};

use super::backend::{Backend, TableReader};
use super::cache::Cache;
use super::filter::BloomFilter;
use super::kind::{Accounts, Days, FilterKey, Kind, Load, Orders, Projections, Responses};
use super::pending_lists::PendingLists;
use super::response_slot::ResponseKey;
use super::states::StateCaches;
use super::tail::JournalTail;
use super::ttl_cache::TtlCache;
use crate::day_totals::DayTotals;
use crate::discount::index::IndexChange;
use crate::erasure::{Erasure, ErasureIndex, ErasureKey};
use crate::error::Failure;
use crate::metrics::{CommitCounters, StoreMetrics};
use crate::projections::{Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, OrderRecord};
use crate::shop::{ApiKeyRecord, Shop};
use crate::timeline::{ApplicablePrograms, ProgramTimeline};
use crate::transact::{CustomerChange, StoredResponse};

/// The number of reader connections that stay open while they are idle.
const IDLE_READERS: usize = 8;

/// The number of shops whose records, some hundred bytes each, are kept.
const SHOPS: usize = 16_384;

/// What is committed, shared by the executor, the writer and the readers.
pub(crate) struct CommittedState<B: Backend> {
    backend: B,
    idle_readers: Mutex<Vec<B::Reader>>,
    pub(crate) filter: BloomFilter,
    /// Why the store is failed, while it is. A read holds the lock from its beginning to its end.
    failure: RwLock<Option<Failure>>,
    /// Why the last commit failed, until one succeeds. Reads are served meanwhile.
    write_failure: Mutex<Option<Failure>>,
    /// A read of several records of one commit holds it.
    publication: RwLock<()>,
    pub(crate) tail: JournalTail,
    pub(super) commits: CommitCounters,
    pub(super) states: StateCaches,
    /// The places in lists of states that are newer than their tables.
    pub(super) pending: PendingLists,
    codes_by_key: Cache<(ShopId, String), CodeId>,
    emails_by_rule: Cache<(ShopId, PriceRuleId), Arc<[Email]>>,
    customers: Cache<AccountId, Arc<CustomerRecord>>,
    accounts_by_id: Cache<(ShopId, CustomerId), AccountId>,
    accounts_by_email: Cache<(ShopId, String), AccountId>,
    programs: Cache<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
    timelines: Cache<ShopId, Arc<ProgramTimeline>>,
    shops: Cache<ShopId, Arc<Shop>>,
    api_keys: TtlCache<String, Arc<ApiKeyRecord>>,
    /// All of them: they are few, and every report of somebody unknown asks.
    erasures: RwLock<ErasureIndex>,
    erasure_key: RwLock<Option<Arc<ErasureKey>>>,
}

impl<B: Backend> CommittedState<B> {
    /// An empty memory that keeps about `cached_records` records of each kind, and programs of
    /// about `program_bytes`.
    pub(crate) fn new(backend: B, cached_records: usize, program_bytes: usize) -> Self {
        Self {
            backend,
            idle_readers: Mutex::default(),
            filter: BloomFilter::new(cached_records),
            failure: RwLock::default(),
            write_failure: Mutex::default(),
            publication: RwLock::default(),
            tail: JournalTail::default(),
            commits: CommitCounters::default(),
            states: StateCaches::new(cached_records),
            pending: PendingLists::default(),
            codes_by_key: Cache::new(cached_records),
            emails_by_rule: Cache::new(1_024),
            customers: Cache::new(cached_records),
            accounts_by_id: Cache::new(cached_records),
            accounts_by_email: Cache::new(cached_records),
            programs: Cache::weighted(program_bytes, |(_, program)| program_size(program)),
            timelines: Cache::weighted(program_bytes, |timeline| {
                let versions = timeline.version_count().saturating_mul(32);
                versions.saturating_add(program_size(timeline.current_program()))
            }),
            shops: Cache::new(SHOPS),
            api_keys: TtlCache::default(),
            erasures: RwLock::default(),
            erasure_key: RwLock::default(),
        }
    }

    // Connections.

    /// Runs a read on a connection that no other thread uses. It sees what is committed.
    pub(crate) fn with_reader<T>(
        &self,
        read: impl FnOnce(&B::Reader) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.lock_idle_readers().pop();
        let reader = idle.map_or_else(|| self.backend.open_reader(), Ok)?;

        let result = read(&reader);

        let mut idle = self.lock_idle_readers();
        if idle.len() < IDLE_READERS {
            idle.push(reader);
        }
        result
    }

    /// Opens a connection for a long read.
    pub(crate) fn open_reader(&self) -> Result<B::Reader, Failure> {
        self.backend.open_reader()
    }

    fn lock_idle_readers(&self) -> MutexGuard<'_, Vec<B::Reader>> {
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Availability.

    /// Begins a read. The state stays as it is until the guard is dropped: while memory is
    /// discarded and recovered, tables that lack the end of the journal would be visible. A thread
    /// must not take a second guard.
    ///
    /// # Errors
    /// Returns the cause if the store is failed.
    pub(crate) fn ensure_available(&self) -> Result<RwLockReadGuard<'_, Option<Failure>>, Failure> {
        let failure = self.failure.read().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            None => Ok(failure),
            Some(cause) => Err(cause.clone()),
        }
    }

    pub(super) fn is_failed(&self) -> bool {
        self.ensure_available().is_err()
    }

    /// Makes the store failed or available. Waits for the reads that have begun.
    pub(crate) fn set_failure(&self, failure: Option<Failure>) {
        *self.failure.write().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Returns the cause if the last commit failed.
    pub(crate) fn ensure_writable(&self) -> Result<(), Failure> {
        let failure = self.write_failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn set_write_failure(&self, failure: Option<Failure>) {
        *self.write_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Returns the figures that are known here: those of commits and caches.
    pub(crate) fn metrics(&self) -> StoreMetrics {
        let (cache_hits, cache_misses) = self.states.lookup_counts();
        StoreMetrics { cache_hits, cache_misses, ..self.commits.snapshot() }
    }

    /// Discards everything that can be read again, and the connections.
    pub(super) fn clear(&self) {
        self.states.clear();
        self.pending.clear();
        self.codes_by_key.clear();
        self.emails_by_rule.clear();
        self.customers.clear();
        self.accounts_by_id.clear();
        self.accounts_by_email.clear();
        self.programs.clear();
        self.timelines.clear();
        self.shops.clear();
        self.lock_idle_readers().clear();
    }

    /// The number of records in memory, of each kind that grows with the customers.
    #[cfg(test)]
    pub(crate) fn cache_sizes(&self) -> Vec<(&'static str, usize)> {
        let mut sizes = self.states.sizes();
        sizes.extend([
            ("codes", self.codes_by_key.len()),
            ("customers", self.customers.len()),
            ("by id", self.accounts_by_id.len()),
            ("by e-mail", self.accounts_by_email.len()),
        ]);
        sizes.extend(self.pending.sizes());
        sizes
    }

    // Look-ups.

    /// Returns the state of a key, from memory or its table.
    fn load_state<K: Kind>(
        &self,
        cache: &Cache<K::Key, K::Value>,
        key: &K::Key,
    ) -> Result<Option<K::Value>, Failure>
    where
        B::Reader: Load<K>,
    {
        cache.get_or_load(key, || self.load_uncached::<K>(key))
    }

    /// Returns the state of a key in its table, which is not asked if the filter denies the key.
    fn load_uncached<K: Kind>(&self, key: &K::Key) -> Result<Option<K::Value>, Failure>
    where
        B::Reader: Load<K>,
    {
        match K::filter_key(key) {
            Some(key) if !self.filter.may_contain(key) => Ok(None),
            _ => self.with_reader(|tables| Load::<K>::load(tables, key)),
        }
    }

    pub(crate) fn account(&self, id: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        self.load_state::<Accounts>(&self.states.accounts, &id)
    }

    pub(crate) fn order(
        &self,
        key: &(ShopId, OrderId),
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        self.load_state::<Orders>(&self.states.orders, key)
    }

    pub(super) fn day(&self, key: &(ShopId, NaiveDate)) -> Result<Option<Arc<DayTotals>>, Failure> {
        self.load_state::<Days>(&self.states.days, key)
    }

    pub(super) fn projection(
        &self,
        key: &(ShopId, ProjectionKey),
    ) -> Result<Option<Arc<Projection>>, Failure> {
        self.load_state::<Projections>(&self.states.projections, key)
    }

    /// Returns a stored response. One from the tables is not cached: few are asked for twice.
    pub(crate) fn stored_response(
        &self,
        key: &ResponseKey,
    ) -> Result<Option<Arc<StoredResponse>>, Failure> {
        let found = match self.states.responses.get(key) {
            Some(response) => Some(response),
            None => self.load_uncached::<Responses>(key)?,
        };
        Ok(found.map(|(_, response)| response))
    }

    /// Finds a discount code by its key.
    pub(super) fn code_by_key(&self, key: &(ShopId, String)) -> Result<Option<CodeId>, Failure> {
        self.codes_by_key.get_or_load(key, || {
            if !self.filter.may_contain(FilterKey::Code(key)) {
                return Ok(None);
            }
            self.with_reader(|tables| tables.code_by_key(key.0, &key.1))
        })
    }

    pub(super) fn rule_emails(&self, key: (ShopId, PriceRuleId)) -> Result<Arc<[Email]>, Failure> {
        let load = || self.with_reader(|tables| tables.rule_emails(key.0, key.1));
        Ok(self.emails_by_rule.get_or_load(&key, load)?.unwrap_or_default())
    }

    pub(crate) fn customer(&self, id: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        self.customers
            .get_or_load(&id, || self.with_reader(|tables| Ok(tables.customer(id)?.map(Arc::new))))
    }

    pub(crate) fn account_by_id(
        &self,
        key: &(ShopId, CustomerId),
    ) -> Result<Option<AccountId>, Failure> {
        let load = || self.with_reader(|tables| tables.account_by_id(key.0, &key.1));
        self.accounts_by_id.get_or_load(key, load)
    }

    /// Finds an account by its e-mail's [`Email::key`].
    pub(crate) fn account_by_email(
        &self,
        key: &(ShopId, String),
    ) -> Result<Option<AccountId>, Failure> {
        let load = || self.with_reader(|tables| tables.account_by_email(key.0, &key.1));
        self.accounts_by_email.get_or_load(key, load)
    }

    pub(crate) fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        let load = || self.with_reader(|tables| tables.program(shop, version));
        self.programs.get_or_load(&(shop, version), load)
    }

    pub(crate) fn timeline(&self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        self.timelines.get_or_load(&shop, || {
            self.with_reader(|tables| Ok(tables.timeline(shop)?.map(Arc::new)))
        })
    }

    pub(crate) fn program_version(
        &self,
        shop: ShopId,
        version: ProgramVersion,
    ) -> Result<Arc<Program>, Failure> {
        let found = self.program(shop, Some(version))?;
        let missing = || Failure::Corrupt(format!("shop {shop} has no program {version}"));
        found.map(|(_, program)| program).ok_or_else(missing)
    }

    pub(crate) fn shop(&self, id: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.shops
            .get_or_load(&id, || self.with_reader(|tables| Ok(tables.shop(id)?.map(Arc::new))))
    }

    /// Returns an API key as it was within the last two seconds.
    pub(crate) fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure> {
        self.api_keys
            .get_or_load(id, || self.with_reader(|tables| Ok(tables.api_key(id)?.map(Arc::new))))
    }

    // Erasures.

    /// Reads all erasures, and the secret of their hashes.
    pub(super) fn load_erasures(&self, tables: &impl TableReader) -> Result<(), Failure> {
        let mut index = ErasureIndex::default();
        for erasure in tables.erasures()? {
            index.insert(&erasure);
        }
        let key = Arc::new(tables.erasure_key()?);
        *self.erasures.write().unwrap_or_else(PoisonError::into_inner) = index;
        *self.erasure_key.write().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(())
    }

    pub(crate) fn erasures(&self) -> RwLockReadGuard<'_, ErasureIndex> {
        self.erasures.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn erasure_key(&self) -> Result<Arc<ErasureKey>, Failure> {
        let key = self.erasure_key.read().unwrap_or_else(PoisonError::into_inner);
        let missing = || Failure::Unavailable("the store is not open yet".to_owned());
        key.clone().ok_or_else(missing)
    }

    pub(super) fn publish_erasure(&self, erasure: &Arc<Erasure>) {
        let mut erasures = self.erasures.write().unwrap_or_else(PoisonError::into_inner);
        erasures.insert(erasure);
    }

    // Customers with their accounts.

    /// Returns a customer with the account; `None` also while a commit that creates the customer,
    /// or merges it into another, is partly published.
    pub(crate) fn customer_view(
        &self,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        let Some(record) = self.customer(account)? else { return Ok(None) };
        // Before the account: accounts are published first.
        let Some(timeline) = self.timeline(record.shop)? else {
            return Ok(None);
        };

        let account = self.account(account)?;
        let account = account.filter(|account| account.account.merged_into().is_none());
        let Some(account) = account else { return Ok(None) };

        let programs = self.programs_for(&timeline, &record, &account)?;
        Ok(Some(CustomerView::new(record, account, programs)))
    }

    /// Returns the same for a record of a scan, without caching what the scan passes. It is read on
    /// another connection, since the scan's sees the tables as they were when it began.
    pub(crate) fn customer_view_uncached(
        &self,
        record: &CustomerRecord,
    ) -> Result<Option<CustomerView>, Failure> {
        let Some(timeline) = self.timeline(record.shop)? else {
            return Ok(None);
        };

        let account = match self.states.accounts.get(&record.account) {
            Some(account) => Some(account),
            None => self.load_uncached::<Accounts>(&record.account)?,
        };
        let account = account.filter(|account| account.account.merged_into().is_none());
        let Some(account) = account else { return Ok(None) };

        let programs = self.programs_for(&timeline, record, &account)?;
        Ok(Some(CustomerView::new(Arc::new(record.clone()), account, programs)))
    }

    /// Returns the programs that concern an account, by a timeline that was read before it.
    fn programs_for(
        &self,
        timeline: &Arc<ProgramTimeline>,
        customer: &CustomerRecord,
        account: &AccountRecord,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        timeline.programs_for(account, Some(customer), |version| {
            self.program_version(customer.shop, version)
        })
    }

    // Publication.

    /// Keeps memory at one commit until the guard is dropped.
    pub(crate) fn pause_publication(&self) -> RwLockReadGuard<'_, ()> {
        self.publication.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the reads that have paused the publication.
    pub(super) fn begin_publication(&self) -> RwLockWriteGuard<'_, ()> {
        self.publication.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish_index_change(&self, shop: ShopId, change: &IndexChange) {
        match change {
            IndexChange::PutRule(_) => {}
            IndexChange::DeleteRule(rule) => self.emails_by_rule.remove(&(shop, *rule)),
            IndexChange::PutEmails(rule, emails) => {
                self.emails_by_rule.publish(&(shop, *rule), Arc::clone(emails), false);
            }
            IndexChange::PutCode(key, _, code) => {
                let key = (shop, key.clone());
                self.filter.add(FilterKey::Code(&key));
                self.codes_by_key.publish(&key, *code, false);
            }
            IndexChange::DeleteCode(key, _) => self.codes_by_key.remove(&(shop, key.clone())),
        }
    }

    pub(super) fn publish_customer_change(&self, change: &CustomerChange) {
        if let Some(before) = &change.before {
            for id in before.ids() {
                self.accounts_by_id.remove(&(before.shop, id.clone()));
            }
            if let Some(email) = &before.email {
                self.accounts_by_email.remove(&(before.shop, email.key().to_owned()));
            }
            self.customers.remove(&before.account);
        }

        if let Some(after) = &change.after {
            let account = after.account;
            for id in after.ids() {
                self.accounts_by_id.publish(&(after.shop, id.clone()), account, false);
            }
            if let Some(email) = &after.email {
                let key = (after.shop, email.key().to_owned());
                self.accounts_by_email.publish(&key, account, false);
            }
            self.customers.publish(&account, Arc::clone(after), false);
        }
    }

    pub(super) fn publish_program(
        &self,
        key: &(ShopId, Option<ProgramVersion>),
        program: (ProgramVersion, Arc<Program>),
    ) {
        self.programs.publish(key, program, false);
    }

    pub(super) fn publish_timeline(&self, shop: ShopId, timeline: Arc<ProgramTimeline>) {
        self.timelines.publish(&shop, timeline, false);
    }

    /// Has a shop read again, after a change that is no request.
    pub(crate) fn invalidate_shop(&self, shop: ShopId) {
        self.shops.remove(&shop);
    }

    /// Has API keys read again, after some were changed.
    pub(crate) fn invalidate_api_keys(&self) {
        self.api_keys.clear();
    }
}

/// Returns about how many bytes of memory a program takes.
fn program_size(program: &Program) -> usize {
    const OVERHEAD: usize = 1_024;
    program.to_json().len().saturating_mul(4).saturating_add(OVERHEAD)
}

impl<B: Backend> std::fmt::Debug for CommittedState<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommittedState").finish_non_exhaustive()
    }
}
