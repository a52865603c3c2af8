//! What the writer and the readers share: the caches, the readers' connections, and the store's health.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use loyalty_core::{
    AccountId, CodeId, CustomerId, Email, OrderId, PriceRuleId, Program, ProgramVersion, ShopId,
};
use rusqlite::Connection;

use super::cache::Cache;
use super::due_index::{self, DueIndex};
use super::filter::{BloomFilter, FilterKey};
use super::responses::{self, NumberedResponse, ResponseKey};
use super::{Map, StoreSettings, account, discounts, rows, schema};
use crate::discount::index::IndexChange;
use crate::error::Failure;
use crate::projections::{Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, OrderRecord};
use crate::shop::{ApiKeyRecord, Shop};
use crate::timeline::{ApplicablePrograms, ProgramTimeline};
use crate::transact::{CustomerChange, StoredResponse};

/// How long a key is believed to be alive. Another process may revoke it.
const API_KEY_TTL: Duration = Duration::from_secs(2);

type ApiKeyCache = Map<String, (Instant, Arc<ApiKeyRecord>)>;

#[derive(Debug)]
pub(super) struct CommittedState {
    path: PathBuf,
    idle_readers: Mutex<Vec<Connection>>,
    pub(super) filter: BloomFilter,
    /// Why nothing can be served, while nothing can. A read holds it from beginning to end.
    failure: RwLock<Option<Failure>>,
    /// Why the last commit failed, until one goes well. Reads are served meanwhile.
    write_failure: Mutex<Option<Failure>>,
    pub(super) accounts: Cache<AccountId, Arc<AccountRecord>>,
    pub(super) orders: Cache<(ShopId, OrderId), Arc<OrderRecord>>,
    pub(super) projections: Cache<(ShopId, ProjectionKey), Arc<Projection>>,
    codes_by_key: Cache<(ShopId, String), CodeId>,
    emails_by_rule: Cache<(ShopId, PriceRuleId), Arc<[Email]>>,
    /// A read of several records holds it, so that they are of one commit.
    publication: RwLock<()>,
    pub(super) customers: Cache<AccountId, Arc<CustomerRecord>>,
    accounts_by_id: Cache<(ShopId, CustomerId), AccountId>,
    accounts_by_email: Cache<(ShopId, String), AccountId>,
    pub(super) responses: Cache<ResponseKey, NumberedResponse>,
    pub(super) programs: Cache<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
    pub(super) timelines: Cache<ShopId, Arc<ProgramTimeline>>,
    /// What is due next for accounts that have not reached their table.
    pub(super) due_index: DueIndex,
    shops: Cache<ShopId, Arc<Shop>>,
    api_keys: RwLock<ApiKeyCache>,
}

impl CommittedState {
    pub(super) fn new(path: PathBuf, settings: &StoreSettings) -> Self {
        let size = settings.cached_records;
        Self {
            path,
            idle_readers: Mutex::default(),
            filter: BloomFilter::new(size),
            failure: RwLock::default(),
            write_failure: Mutex::default(),
            accounts: Cache::new(size),
            orders: Cache::new(size),
            projections: Cache::new(size),
            codes_by_key: Cache::new(size),
            emails_by_rule: Cache::new(1_024),
            publication: RwLock::default(),
            customers: Cache::new(size),
            accounts_by_id: Cache::new(size),
            accounts_by_email: Cache::new(size),
            responses: Cache::new(size),
            programs: Cache::new(256),
            timelines: Cache::new(256),
            due_index: DueIndex::default(),
            shops: Cache::new(256),
            api_keys: RwLock::default(),
        }
    }

    /// Runs a read on a connection of its own. What it sees is committed.
    pub(super) fn with_reader<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = idle.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let answer = read(&db);
        let mut idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < 8 {
            idle.push(db);
        }
        answer
    }

    /// Reads what is under a key, where a table may hold it at all.
    fn load_if_present<T>(
        &self,
        key: FilterKey<'_>,
        load: impl FnOnce(&Connection) -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        if self.filter.may_contain(key) { self.with_reader(load) } else { Ok(None) }
    }

    /// A connection that nobody else uses, for a long read.
    pub(super) fn open_reader(&self) -> Result<Connection, Failure> {
        schema::open_reader(&self.path)
    }

    /// Lets a read begin, and keeps memory as it is until the read lets go: while it is thrown away and
    /// filled again, tables behind the journal would show through.
    pub(super) fn ensure_available(&self) -> Result<RwLockReadGuard<'_, Option<Failure>>, Failure> {
        let illness = self.failure.read().unwrap_or_else(PoisonError::into_inner);
        match &*illness {
            None => Ok(illness),
            Some(failure) => Err(failure.clone()),
        }
    }

    pub(super) fn is_failed(&self) -> bool {
        self.ensure_available().is_err()
    }

    /// Waits for the reads that have begun.
    pub(super) fn set_failure(&self, illness: Option<Failure>) {
        *self.failure.write().unwrap_or_else(PoisonError::into_inner) = illness;
    }

    /// Whether the last commit went well.
    pub(super) fn ensure_writable(&self) -> Result<(), Failure> {
        let unwritable = self.write_failure.lock().unwrap_or_else(PoisonError::into_inner);
        unwritable.clone().map_or(Ok(()), Err)
    }

    pub(super) fn set_write_failure(&self, failure: Option<Failure>) {
        *self.write_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Forgets everything: what was committed is read again, what was not never was.
    pub(super) fn clear(&self) {
        self.accounts.clear();
        self.orders.clear();
        self.projections.clear();
        self.codes_by_key.clear();
        self.emails_by_rule.clear();
        self.customers.clear();
        self.accounts_by_id.clear();
        self.accounts_by_email.clear();
        self.responses.clear();
        self.programs.clear();
        self.timelines.clear();
        self.due_index.clear();
        self.shops.clear();
        self.idle_readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// How many records of each kind that grows with the customers are in memory.
    #[cfg(test)]
    pub(super) fn cache_sizes(&self) -> [(&'static str, usize); 9] {
        [
            ("accounts", self.accounts.len()),
            ("orders", self.orders.len()),
            ("keyed", self.projections.len()),
            ("codes", self.codes_by_key.len()),
            ("customers", self.customers.len()),
            ("by id", self.accounts_by_id.len()),
            ("by e-mail", self.accounts_by_email.len()),
            ("answers", self.responses.len()),
            ("due", self.due_index.len()),
        ]
    }

    // Look-ups.

    pub(super) fn account(&self, id: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        self.accounts.get_or_load(&id, || {
            self.with_reader(|db| Ok(account::read_account(db, id)?.map(Arc::new)))
        })
    }

    pub(super) fn order(
        &self,
        key: &(ShopId, OrderId),
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let load = |db: &Connection| Ok(rows::read_order(db, key.0, &key.1)?.map(Arc::new));
        self.orders
            .get_or_load(key, || self.load_if_present(FilterKey::Order(key), load))
    }

    pub(super) fn projection(
        &self,
        key: &(ShopId, ProjectionKey),
    ) -> Result<Option<Arc<Projection>>, Failure> {
        let load =
            |db: &Connection| Ok(discounts::read_projection(db, key.0, &key.1)?.map(Arc::new));
        self.projections
            .get_or_load(key, || self.load_if_present(FilterKey::Projection(key), load))
    }

    /// By the code's key.
    pub(super) fn code_by_key(&self, key: &(ShopId, String)) -> Result<Option<CodeId>, Failure> {
        let load = |db: &Connection| discounts::find_code_by_key(db, key.0, &key.1);
        self.codes_by_key
            .get_or_load(key, || self.load_if_present(FilterKey::Code(key), load))
    }

    pub(super) fn emails_of_rule(
        &self,
        rule: (ShopId, PriceRuleId),
    ) -> Result<Arc<[Email]>, Failure> {
        let load = || self.with_reader(|db| discounts::read_rule_emails(db, rule.0, rule.1));
        Ok(self.emails_by_rule.get_or_load(&rule, load)?.unwrap_or_default())
    }

    pub(super) fn customer(&self, id: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        self.customers.get_or_load(&id, || {
            self.with_reader(|db| Ok(rows::read_customer(db, id)?.map(Arc::new)))
        })
    }

    pub(super) fn account_by_id(
        &self,
        key: &(ShopId, CustomerId),
    ) -> Result<Option<AccountId>, Failure> {
        self.accounts_by_id
            .get_or_load(key, || self.with_reader(|db| rows::find_account_by_id(db, key.0, &key.1)))
    }

    /// By the e-mail's key.
    pub(super) fn account_by_email(
        &self,
        key: &(ShopId, String),
    ) -> Result<Option<AccountId>, Failure> {
        self.accounts_by_email.get_or_load(key, || {
            self.with_reader(|db| rows::find_account_by_email(db, key.0, &key.1))
        })
    }

    pub(super) fn stored_response(
        &self,
        key: &ResponseKey,
    ) -> Result<Option<Arc<StoredResponse>>, Failure> {
        if let Some((_, kept)) = self.responses.get(key) {
            return Ok(Some(kept));
        }
        self.load_if_present(FilterKey::Response(responses::key_bits(key)), |db| {
            Ok(responses::find_response(db, key)?.map(Arc::new))
        })
    }

    pub(super) fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        self.programs.get_or_load(&(shop, version), || {
            self.with_reader(|db| rows::read_program(db, shop, version))
        })
    }

    pub(super) fn timeline(&self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        self.timelines.get_or_load(&shop, || {
            self.with_reader(|db| Ok(due_index::read_timeline(db, shop)?.map(Arc::new)))
        })
    }

    pub(super) fn program_version(
        &self,
        shop: ShopId,
        version: ProgramVersion,
    ) -> Result<Arc<Program>, Failure> {
        let found = self.program(shop, Some(version))?;
        let lost = || Failure::Corrupt(format!("shop {shop} has no program {version}"));
        found.map(|(_, program)| program).ok_or_else(lost)
    }

    /// The programs that an account has to do with, by a history that was read before the account was:
    /// accounts are published first.
    fn programs_for(
        &self,
        history: &Arc<ProgramTimeline>,
        customer: &CustomerRecord,
        account: &AccountRecord,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        history.programs_for(account, Some(customer), |version| {
            self.program_version(customer.shop, version)
        })
    }

    pub(super) fn shop(&self, id: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.shops.get_or_load(&id, || {
            let shops = self.with_reader(rows::read_shops)?;
            Ok(shops.into_iter().find(|shop| shop.id == id).map(Arc::new))
        })
    }

    pub(super) fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure> {
        let now = Instant::now();
        let known = self
            .api_keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        if let Some((read_at, key)) = known
            && now.duration_since(read_at) < API_KEY_TTL
        {
            return Ok(Some(key));
        }
        let key = self.with_reader(|db| rows::read_api_key(db, id))?.map(Arc::new);
        let mut keys = self.api_keys.write().unwrap_or_else(PoisonError::into_inner);
        match &key {
            Some(key) => keys.insert(id.to_owned(), (now, Arc::clone(key))),
            None => keys.remove(id),
        };
        Ok(key)
    }

    /// A customer with the account. Not there while a commit that makes them, or merges them into
    /// another, is only half published.
    pub(super) fn customer_view(
        &self,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        let Some(record) = self.customer(account)? else { return Ok(None) };
        let Some(history) = self.timeline(record.shop)? else {
            return Ok(None);
        };
        let account = self
            .account(account)?
            .filter(|account| account.account.merged_into().is_none());
        let Some(account) = account else { return Ok(None) };
        let terms = self.programs_for(&history, &record, &account)?;
        Ok(Some(CustomerView::new(record, account, terms)))
    }

    /// Keeps memory as one commit left it, until the read lets go.
    pub(super) fn pause_publication(&self) -> RwLockReadGuard<'_, ()> {
        self.publication.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for a record that a scan has come to: what it passes by is not kept in memory. Read on a
    /// connection of its own, since the scan's sees the tables as they were when it began.
    pub(super) fn read_uncached(
        &self,
        record: &CustomerRecord,
    ) -> Result<Option<CustomerView>, Failure> {
        let Some(history) = self.timeline(record.shop)? else {
            return Ok(None);
        };
        let account = match self.accounts.get(&record.account) {
            Some(account) => Some(account),
            None => self
                .with_reader(|db| account::read_account(db, record.account))?
                .map(Arc::new),
        };
        let account = account.filter(|account| account.account.merged_into().is_none());
        let Some(account) = account else { return Ok(None) };
        let terms = self.programs_for(&history, record, &account)?;
        Ok(Some(CustomerView::new(Arc::new(record.clone()), account, terms)))
    }

    // What the writer tells after a commit.

    /// Waits for the reads that must see one commit.
    pub(super) fn begin_publication(&self) -> RwLockWriteGuard<'_, ()> {
        self.publication.write().unwrap_or_else(PoisonError::into_inner)
    }

    // What is written behind is pinned until it is, and may be in its table from then on.

    pub(super) fn publish_order(&self, key: &(ShopId, OrderId), record: Arc<OrderRecord>) {
        self.filter.add(FilterKey::Order(key));
        self.orders.publish(key, record, true);
    }

    pub(super) fn publish_projection(
        &self,
        key: &(ShopId, ProjectionKey),
        record: Arc<Projection>,
    ) {
        self.filter.add(FilterKey::Projection(key));
        self.projections.publish(key, record, true);
    }

    pub(super) fn publish_response(&self, key: &ResponseKey, placed: NumberedResponse) {
        self.filter.add(FilterKey::Response(responses::key_bits(key)));
        self.responses.publish(key, placed, true);
    }

    pub(super) fn publish_index_change(&self, shop: ShopId, change: &IndexChange) {
        match change {
            IndexChange::PutRule(_) => {}
            IndexChange::DeleteRule(rule) => self.emails_by_rule.remove(&(shop, *rule)),
            IndexChange::PutEmails(rule, emails) => {
                self.emails_by_rule.publish(&(shop, *rule), Arc::clone(emails), false)
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
            let (shop, id) = (before.shop, before.id.as_ref());
            id.inspect(|id| self.accounts_by_id.remove(&(shop, (*id).clone())));
            before
                .email
                .as_ref()
                .inspect(|email| self.accounts_by_email.remove(&(shop, email.key().to_owned())));
            self.customers.remove(&before.account);
        }
        if let Some(after) = &change.after {
            let (shop, account) = (after.shop, after.account);
            after
                .id
                .as_ref()
                .inspect(|id| self.accounts_by_id.publish(&(shop, (*id).clone()), account, false));
            let email = after.email.as_ref();
            email.inspect(|email| {
                self.accounts_by_email
                    .publish(&(shop, email.key().to_owned()), account, false)
            });
            self.customers.publish(&account, Arc::clone(after), false);
        }
    }

    pub(super) fn invalidate_shop(&self, shop: ShopId) {
        self.shops.remove(&shop);
    }

    pub(super) fn invalidate_api_keys(&self) {
        self.api_keys.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
