//! What the writer and the readers share: the caches, the readers' connections, and the store's health.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use loyalty_core::{
    AccountId, CodeId, CustomerId, Email, OrderId, PriceRuleId, Program, ProgramVersion, ShopId,
};
use rusqlite::Connection;

use super::answers::{self, AnswerKey, Placed};
use super::cache::Cache;
use super::filter::{Filter, Stored};
use super::time::{self, Waiting};
use super::{Map, Settings, account, discount, rows, schema};
use crate::discount::index::IndexChange;
use crate::error::Failure;
use crate::projections::{ProjectionKey, Projection};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, OrderRecord};
use crate::shop::{ApiKeyRecord, Shop};
use crate::timeline::{ProgramTimeline, ApplicablePrograms};
use crate::transact::{CustomerChange, StoredResponse};

/// How long a key is believed to be alive. Another process may revoke it.
const KEY_BELIEF: Duration = Duration::from_secs(2);

type KeyMap = Map<String, (Instant, Arc<ApiKeyRecord>)>;

#[derive(Debug)]
pub(super) struct Shared {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    pub(super) filter: Filter,
    /// Why nothing can be served, while nothing can. A read holds it from beginning to end.
    illness: RwLock<Option<Failure>>,
    /// Why the last commit failed, until one goes well. Reads are served meanwhile.
    unwritable: Mutex<Option<Failure>>,
    pub(super) accounts: Cache<AccountId, Arc<AccountRecord>>,
    pub(super) orders: Cache<(ShopId, OrderId), Arc<OrderRecord>>,
    pub(super) keyed: Cache<(ShopId, ProjectionKey), Arc<Projection>>,
    codes: Cache<(ShopId, String), CodeId>,
    rule_emails: Cache<(ShopId, PriceRuleId), Arc<[Email]>>,
    /// A read of several records holds it, so that they are of one commit.
    publishing: RwLock<()>,
    pub(super) customers: Cache<AccountId, Arc<CustomerRecord>>,
    by_id: Cache<(ShopId, CustomerId), AccountId>,
    by_email: Cache<(ShopId, String), AccountId>,
    pub(super) answers: Cache<AnswerKey, Placed>,
    pub(super) programs: Cache<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
    pub(super) histories: Cache<ShopId, Arc<ProgramTimeline>>,
    /// What is due next for accounts that have not reached their table.
    pub(super) due: Waiting,
    shops: Cache<ShopId, Arc<Shop>>,
    keys: RwLock<KeyMap>,
}

impl Shared {
    pub(super) fn new(path: PathBuf, settings: &Settings) -> Self {
        let size = settings.cached_records;
        Self {
            path,
            readers: Mutex::default(),
            filter: Filter::new(size),
            illness: RwLock::default(),
            unwritable: Mutex::default(),
            accounts: Cache::new(size),
            orders: Cache::new(size),
            keyed: Cache::new(size),
            codes: Cache::new(size),
            rule_emails: Cache::new(1_024),
            publishing: RwLock::default(),
            customers: Cache::new(size),
            by_id: Cache::new(size),
            by_email: Cache::new(size),
            answers: Cache::new(size),
            programs: Cache::new(256),
            histories: Cache::new(256),
            due: Waiting::default(),
            shops: Cache::new(256),
            keys: RwLock::default(),
        }
    }

    /// Runs a read on a connection of its own. What it sees is committed.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = idle.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let answer = read(&db);
        let mut idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < 8 {
            idle.push(db);
        }
        answer
    }

    /// Reads what is under a key, where a table may hold it at all.
    fn stored<T>(
        &self,
        key: Stored<'_>,
        load: impl FnOnce(&Connection) -> Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        if self.filter.may_hold(key) { self.read(load) } else { Ok(None) }
    }

    /// A connection that nobody else uses, for a long read.
    pub(super) fn reader(&self) -> Result<Connection, Failure> {
        schema::open_reader(&self.path)
    }

    /// Lets a read begin, and keeps memory as it is until the read lets go: while it is thrown away and
    /// filled again, tables behind the journal would show through.
    pub(super) fn health(&self) -> Result<RwLockReadGuard<'_, Option<Failure>>, Failure> {
        let illness = self.illness.read().unwrap_or_else(PoisonError::into_inner);
        match &*illness {
            None => Ok(illness),
            Some(failure) => Err(failure.clone()),
        }
    }

    pub(super) fn is_ill(&self) -> bool {
        self.health().is_err()
    }

    /// Waits for the reads that have begun.
    pub(super) fn set_illness(&self, illness: Option<Failure>) {
        *self.illness.write().unwrap_or_else(PoisonError::into_inner) = illness;
    }

    /// Whether the last commit went well.
    pub(super) fn writable(&self) -> Result<(), Failure> {
        let unwritable = self.unwritable.lock().unwrap_or_else(PoisonError::into_inner);
        unwritable.clone().map_or(Ok(()), Err)
    }

    pub(super) fn set_unwritable(&self, failure: Option<Failure>) {
        *self.unwritable.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Forgets everything: what was committed is read again, what was not never was.
    pub(super) fn forget(&self) {
        self.accounts.clear();
        self.orders.clear();
        self.keyed.clear();
        self.codes.clear();
        self.rule_emails.clear();
        self.customers.clear();
        self.by_id.clear();
        self.by_email.clear();
        self.answers.clear();
        self.programs.clear();
        self.histories.clear();
        self.due.clear();
        self.shops.clear();
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many records of each kind that grows with the customers are in memory.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> [(&'static str, usize); 9] {
        [
            ("accounts", self.accounts.len()),
            ("orders", self.orders.len()),
            ("keyed", self.keyed.len()),
            ("codes", self.codes.len()),
            ("customers", self.customers.len()),
            ("by id", self.by_id.len()),
            ("by e-mail", self.by_email.len()),
            ("answers", self.answers.len()),
            ("due", self.due.len()),
        ]
    }

    // Look-ups.

    pub(super) fn account(&self, id: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        self.accounts
            .get_or_load(&id, || self.read(|db| Ok(account::account(db, id)?.map(Arc::new))))
    }

    pub(super) fn order(
        &self,
        key: &(ShopId, OrderId),
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let load = |db: &Connection| Ok(rows::order(db, key.0, &key.1)?.map(Arc::new));
        self.orders.get_or_load(key, || self.stored(Stored::Order(key), load))
    }

    pub(super) fn keyed(&self, key: &(ShopId, ProjectionKey)) -> Result<Option<Arc<Projection>>, Failure> {
        let load = |db: &Connection| Ok(discount::keyed(db, key.0, &key.1)?.map(Arc::new));
        self.keyed.get_or_load(key, || self.stored(Stored::Keyed(key), load))
    }

    /// By the code's key.
    pub(super) fn code_of_key(&self, key: &(ShopId, String)) -> Result<Option<CodeId>, Failure> {
        let load = |db: &Connection| discount::code_of_key(db, key.0, &key.1);
        self.codes.get_or_load(key, || self.stored(Stored::Code(key), load))
    }

    pub(super) fn rule_emails(&self, rule: (ShopId, PriceRuleId)) -> Result<Arc<[Email]>, Failure> {
        let load = || self.read(|db| discount::rule_emails(db, rule.0, rule.1));
        Ok(self.rule_emails.get_or_load(&rule, load)?.unwrap_or_default())
    }

    pub(super) fn customer(&self, id: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        self.customers
            .get_or_load(&id, || self.read(|db| Ok(rows::customer(db, id)?.map(Arc::new))))
    }

    pub(super) fn by_id(&self, key: &(ShopId, CustomerId)) -> Result<Option<AccountId>, Failure> {
        self.by_id
            .get_or_load(key, || self.read(|db| rows::account_by_id(db, key.0, &key.1)))
    }

    /// By the e-mail's key.
    pub(super) fn by_email(&self, key: &(ShopId, String)) -> Result<Option<AccountId>, Failure> {
        self.by_email
            .get_or_load(key, || self.read(|db| rows::account_by_email(db, key.0, &key.1)))
    }

    pub(super) fn answer(&self, key: &AnswerKey) -> Result<Option<Arc<StoredResponse>>, Failure> {
        if let Some((_, kept)) = self.answers.get(key) {
            return Ok(Some(kept));
        }
        self.stored(Stored::Answer(answers::mark(key)), |db| {
            Ok(answers::find(db, key)?.map(Arc::new))
        })
    }

    pub(super) fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        self.programs
            .get_or_load(&(shop, version), || self.read(|db| rows::program(db, shop, version)))
    }

    pub(super) fn history(&self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        self.histories
            .get_or_load(&shop, || self.read(|db| Ok(time::history(db, shop)?.map(Arc::new))))
    }

    pub(super) fn version(
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
    fn terms(
        &self,
        history: &Arc<ProgramTimeline>,
        customer: &CustomerRecord,
        account: &AccountRecord,
    ) -> Result<Arc<ApplicablePrograms>, Failure> {
        history.programs_for(account, Some(customer), |version| self.version(customer.shop, version))
    }

    pub(super) fn shop(&self, id: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.shops.get_or_load(&id, || {
            let shops = self.read(rows::shops)?;
            Ok(shops.into_iter().find(|shop| shop.id == id).map(Arc::new))
        })
    }

    pub(super) fn key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure> {
        let now = Instant::now();
        let known = self
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned();
        if let Some((read_at, key)) = known
            && now.duration_since(read_at) < KEY_BELIEF
        {
            return Ok(Some(key));
        }
        let key = self.read(|db| rows::key(db, id))?.map(Arc::new);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        match &key {
            Some(key) => keys.insert(id.to_owned(), (now, Arc::clone(key))),
            None => keys.remove(id),
        };
        Ok(key)
    }

    /// A customer with the account. Not there while a commit that makes them, or merges them into
    /// another, is only half published.
    pub(super) fn view_of(&self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        let Some(record) = self.customer(account)? else { return Ok(None) };
        let Some(history) = self.history(record.shop)? else {
            return Ok(None);
        };
        let account = self
            .account(account)?
            .filter(|account| account.account.merged_into().is_none());
        let Some(account) = account else { return Ok(None) };
        let terms = self.terms(&history, &record, &account)?;
        Ok(Some(CustomerView::new(record, account, terms)))
    }

    /// Keeps memory as one commit left it, until the read lets go.
    pub(super) fn as_published(&self) -> RwLockReadGuard<'_, ()> {
        self.publishing.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for a record that a scan has come to: what it passes by is not kept in memory. Read on a
    /// connection of its own, since the scan's sees the tables as they were when it began.
    pub(super) fn glimpse(&self, record: &CustomerRecord) -> Result<Option<CustomerView>, Failure> {
        let Some(history) = self.history(record.shop)? else {
            return Ok(None);
        };
        let account = match self.accounts.get(&record.account) {
            Some(account) => Some(account),
            None => self.read(|db| account::account(db, record.account))?.map(Arc::new),
        };
        let account = account.filter(|account| account.account.merged_into().is_none());
        let Some(account) = account else { return Ok(None) };
        let terms = self.terms(&history, record, &account)?;
        Ok(Some(CustomerView::new(Arc::new(record.clone()), account, terms)))
    }

    // What the writer tells after a commit.

    /// Waits for the reads that must see one commit.
    pub(super) fn publishing(&self) -> RwLockWriteGuard<'_, ()> {
        self.publishing.write().unwrap_or_else(PoisonError::into_inner)
    }

    // What is written behind is pinned until it is, and may be in its table from then on.

    pub(super) fn publish_order(&self, key: &(ShopId, OrderId), record: Arc<OrderRecord>) {
        self.filter.add(Stored::Order(key));
        self.orders.publish(key, record, true);
    }

    pub(super) fn publish_keyed(&self, key: &(ShopId, ProjectionKey), record: Arc<Projection>) {
        self.filter.add(Stored::Keyed(key));
        self.keyed.publish(key, record, true);
    }

    pub(super) fn publish_answer(&self, key: &AnswerKey, placed: Placed) {
        self.filter.add(Stored::Answer(answers::mark(key)));
        self.answers.publish(key, placed, true);
    }

    pub(super) fn publish_index(&self, shop: ShopId, change: &IndexChange) {
        match change {
            IndexChange::PutRule(_) => {}
            IndexChange::DeleteRule(rule) => self.rule_emails.remove(&(shop, *rule)),
            IndexChange::PutEmails(rule, emails) => {
                self.rule_emails.publish(&(shop, *rule), Arc::clone(emails), false)
            }
            IndexChange::PutCode(key, _, code) => {
                let key = (shop, key.clone());
                self.filter.add(Stored::Code(&key));
                self.codes.publish(&key, *code, false);
            }
            IndexChange::DeleteCode(key, _) => self.codes.remove(&(shop, key.clone())),
        }
    }

    pub(super) fn publish_customer(&self, change: &CustomerChange) {
        if let Some(before) = &change.before {
            let (shop, id) = (before.shop, before.id.as_ref());
            id.inspect(|id| self.by_id.remove(&(shop, (*id).clone())));
            before
                .email
                .as_ref()
                .inspect(|email| self.by_email.remove(&(shop, email.key().to_owned())));
            self.customers.remove(&before.account);
        }
        if let Some(after) = &change.after {
            let (shop, account) = (after.shop, after.account);
            after
                .id
                .as_ref()
                .inspect(|id| self.by_id.publish(&(shop, (*id).clone()), account, false));
            let email = after.email.as_ref();
            email.inspect(|email| {
                self.by_email.publish(&(shop, email.key().to_owned()), account, false)
            });
            self.customers.publish(&account, Arc::clone(after), false);
        }
    }

    pub(super) fn shop_changed(&self, shop: ShopId) {
        self.shops.remove(&shop);
    }

    pub(super) fn keys_changed(&self) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
