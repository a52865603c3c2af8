//! SQLite: one who decides, one who writes and shares commits among all who wait, readers beside them, and
//! the committed state in memory.
//!
//! The modules, in reading order: the file ([`schema`]), records as rows ([`rows`]), the caches
//! ([`cache`], [`shared`]), what is decided but not committed ([`staged`]) and who decides it
//! ([`decider`]), the writer and what it writes later ([`writer`], [`behind`]), the operator's side
//! ([`admin`]).

mod admin;
mod behind;
mod cache;
mod decider;
mod discount;
mod rows;
mod schema;
mod shared;
mod staged;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError, bounded};
use loyalty_core::account::Usage;
use loyalty_core::discount::Code;
use loyalty_core::{
    AccountId, CheckoutId, CodeId, OrderId, PriceRuleId, Program, ProgramVersion, RedemptionId, RewardId, ShopId,
    Timestamp,
};

use crate::Store;
use crate::discount::facts::CartFacts;
use crate::discount::{CartQuery, CheckoutView, CodeBatch, CodeView, PriceRuleView};
use crate::error::Failure;
use crate::query::{CustomerView, LedgerPage, Page, SearchQuery, Verified};
use crate::record::{OrderRecord, Seq};
use crate::redemption::{self, RedemptionView};
use crate::request::{Pending, Request, Who};
use crate::shop::{Integration, KeyRecord, NewKey, NewShop, Shop};
use decider::{Decider, Job};
use shared::Shared;
use writer::Writer;

pub use admin::Admin;

/// What bounds a store's memory and its start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How many records of each kind are kept in memory.
    pub cached_records: usize,
    /// How many requests may wait to be decided; one more is [`Failure::Busy`]. Up to as many again are
    /// decided and wait for the disk.
    pub queue: usize,
    /// How many states may wait for their tables. The start folds about as many journal rows again.
    pub write_behind: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cached_records: 100_000, queue: 4_096, write_behind: 8_192 }
    }
}

/// A durable store in one file.
///
/// # Example: what was acknowledged is there after reopening
/// ```
/// use loyalty_store::{Settings, SqliteStore, Store, NewShop};
/// use loyalty_core::{Currency, Zone};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let file = directory.path().join("loyalty.db");
/// let store = SqliteStore::open(&file, &Settings::default())?;
/// store.create_shop(&NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC }, "2026-01-31T10:00:00Z".parse()?)?;
/// drop(store);
/// assert_eq!(SqliteStore::open(&file, &Settings::default())?.shops()?.len(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    admin: Admin,
    jobs: Option<Sender<Job>>,
    /// Who decides, and who writes.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held as long as the store: two writers on one file would each believe their own memory.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file, making it where there is none, and starts its two threads.
    ///
    /// # Errors
    /// Where another process serves the file, it was written by a newer program, or it cannot be read.
    pub fn open(path: &Path, settings: &Settings) -> Result<Self, Failure> {
        let lock = lock(path)?;
        let admin = Admin::open(path)?;
        let shared = Arc::new(Shared::new(path.to_owned(), settings));
        let (jobs, waiting) = bounded(settings.queue);
        let (batches, to_write) = bounded(1);
        let (tell, news) = bounded(1);
        let writer = Writer::open(path.to_owned(), Arc::clone(&shared), to_write, tell, settings)?;
        let decider = Decider::new(Arc::clone(&shared), waiting, batches, news, writer.last(), settings.queue);
        let threads =
            vec![spawn("loyalty-decider", move || decider.run())?, spawn("loyalty-writer", move || writer.run())?];
        Ok(Self { shared, admin, jobs: Some(jobs), threads: Mutex::new(threads), _lock: lock })
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Failure> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|error| Failure::Unavailable(error.to_string()))
}

/// One store a file, by whatever name it is opened.
fn lock(path: &Path) -> Result<File, Failure> {
    let mut name = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(".lock");
    let unavailable = |error: String| Failure::Unavailable(format!("{}: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(name);
    let file = file.map_err(|error| unavailable(error.to_string()))?;
    file.try_lock().map_err(|_| unavailable("another process is serving this file".to_owned()))?;
    Ok(file)
}

/// Waits until everything has reached its table.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had stopped before");
            }
        }
    }
}

impl Store for SqliteStore {
    fn execute(&self, request: Request) -> Pending {
        let (reply, pending) = Pending::channel();
        let Some(jobs) = &self.jobs else { return pending };
        match jobs.try_send(Job { request, reply }) {
            Ok(()) => pending,
            Err(TrySendError::Full(_)) => Pending::ready(Err(Failure::Busy)),
            Err(TrySendError::Disconnected(_)) => {
                Pending::ready(Err(Failure::Unavailable("the writer has stopped".to_owned())))
            }
        }
    }

    fn customer(&self, shop: ShopId, who: &Who) -> Result<Option<CustomerView>, Failure> {
        let _well = self.shared.health()?;
        let account = match who {
            Who::Id(id) | Who::Both(id, _) => self.shared.by_id(&(shop, id.clone()))?,
            Who::Email(email) => self.shared.by_email(&(shop, email.key().to_owned()))?,
        };
        let Some(account) = account else { return Ok(None) };
        if let Some(customer) = self.shared.view_of(account)? {
            return Ok(Some(customer));
        }
        // A guest who is merged at this moment: the file says already whose the e-mail is.
        let Who::Email(email) = who else { return Ok(None) };
        let account = self.shared.read(|db| rows::account_by_email(db, shop, email.key()))?;
        account.map_or(Ok(None), |account| self.shared.view_of(account))
    }

    fn customer_of(&self, shop: ShopId, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        let _well = self.shared.health()?;
        let mut account = account;
        while let Some(record) = self.shared.account(account)? {
            match record.account.merged_into() {
                Some(into) => account = into,
                None => break,
            }
        }
        Ok(self.shared.view_of(account)?.filter(|customer| customer.record().shop == shop))
    }

    fn customers(
        &self,
        shop: ShopId,
        search: &SearchQuery,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Page<CustomerView>, Failure> {
        let _well = self.shared.health()?;
        let (mut found, mut more) = (Vec::new(), false);
        self.shared.read(|db| {
            rows::each_customer(db, shop, after.unwrap_or(AccountId(0)), |record| {
                if !search.matches(&record) {
                    return std::ops::ControlFlow::Continue(());
                }
                more = found.len() >= limit;
                if more {
                    return std::ops::ControlFlow::Break(());
                }
                found.push(record.account);
                std::ops::ControlFlow::Continue(())
            })
        })?;
        let views: Result<Vec<_>, _> = found.into_iter().map(|account| self.shared.view_of(account)).collect();
        Ok(Page { items: views?.into_iter().flatten().collect(), more })
    }

    fn count_customers(&self, shop: ShopId, search: &SearchQuery) -> Result<u64, Failure> {
        let _well = self.shared.health()?;
        self.shared.read(|db| {
            if search.is_empty() {
                return rows::count_customers(db, shop);
            }
            let mut count = 0_u64;
            rows::each_customer(db, shop, AccountId(0), |record| {
                count = count.saturating_add(u64::from(search.matches(&record)));
                std::ops::ControlFlow::Continue(())
            })?;
            Ok(count)
        })
    }

    fn order(&self, shop: ShopId, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let _well = self.shared.health()?;
        self.shared.order(&(shop, order.clone()))
    }

    fn ledger(
        &self,
        shop: ShopId,
        account: AccountId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<LedgerPage, Failure> {
        let _well = self.shared.health()?;
        let newest = self.shared.account(account)?.map(|record| record.seq);
        self.shared.read(|db| {
            // A cursor may name any row; only rows of this account lead on to others of it.
            let mut next = match before {
                Some(before) => rows::journal_at(db, before)?
                    .filter(|row| row.account == Some(account))
                    .and_then(|row| row.previous),
                None => newest,
            };
            let mut page = Vec::new();
            while let Some(seq) = next.filter(|_| page.len() < limit) {
                let row =
                    rows::journal_at(db, seq)?.filter(|row| row.shop == shop && row.account == Some(account));
                next = row.as_ref().and_then(|row| row.previous);
                page.extend(row.map(Arc::new));
            }
            let next = next.and_then(|_| page.last().map(|row| row.seq));
            Ok(LedgerPage { rows: page, next })
        })
    }

    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        let _well = self.shared.health()?;
        self.shared.program(shop, version)
    }

    fn price_rule(&self, shop: ShopId, id: PriceRuleId) -> Result<Option<PriceRuleView>, Failure> {
        let _well = self.shared.health()?;
        self.find_price_rule(shop, id)
    }

    fn price_rules(
        &self,
        shop: ShopId,
        after: Option<PriceRuleId>,
        limit: usize,
    ) -> Result<Page<PriceRuleView>, Failure> {
        let _well = self.shared.health()?;
        self.list_price_rules(shop, after, limit)
    }

    fn count_price_rules(&self, shop: ShopId) -> Result<u64, Failure> {
        let _well = self.shared.health()?;
        self.number_of_price_rules(shop)
    }

    fn code(&self, shop: ShopId, id: CodeId) -> Result<Option<CodeView>, Failure> {
        let _well = self.shared.health()?;
        self.find_code(shop, id)
    }

    fn code_of_text(&self, shop: ShopId, text: &Code) -> Result<Option<CodeView>, Failure> {
        let _well = self.shared.health()?;
        self.find_code_of_text(shop, text)
    }

    fn codes(
        &self,
        shop: ShopId,
        rule: PriceRuleId,
        after: Option<CodeId>,
        limit: usize,
    ) -> Result<Page<CodeView>, Failure> {
        let _well = self.shared.health()?;
        self.list_codes(shop, rule, after, limit)
    }

    fn count_codes(&self, shop: ShopId, rule: PriceRuleId) -> Result<u64, Failure> {
        let _well = self.shared.health()?;
        self.number_of_codes(shop, rule)
    }

    fn code_batch(&self, shop: ShopId, id: Seq) -> Result<Option<CodeBatch>, Failure> {
        let _well = self.shared.health()?;
        self.find_code_batch(shop, id)
    }

    fn checkout(&self, shop: ShopId, id: &CheckoutId, now: Timestamp) -> Result<CheckoutView, Failure> {
        let _well = self.shared.health()?;
        self.find_checkout(shop, id, now)
    }

    fn cart_facts(&self, shop: ShopId, query: CartQuery) -> Result<CartFacts, Failure> {
        let _well = self.shared.health()?;
        self.find_cart_facts(shop, query)
    }

    fn used_by_order(&self, shop: ShopId, order: &OrderId) -> Result<Vec<CodeView>, Failure> {
        let _well = self.shared.health()?;
        self.find_used_by_order(shop, order)
    }

    fn redemption(&self, shop: ShopId, id: RedemptionId) -> Result<Option<RedemptionView>, Failure> {
        let _well = self.shared.health()?;
        redemption::redemption(&mut self.discounts(), shop, id)
    }

    fn redemptions(
        &self,
        shop: ShopId,
        account: AccountId,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Page<RedemptionView>, Failure> {
        let _well = self.shared.health()?;
        let _one_commit = self.shared.as_published();
        let last = |shared: &mut &Shared, account| {
            Ok(shared
                .account(account)?
                .filter(|record| record.shop == shop)
                .and_then(|record| record.account.last_redemption()))
        };
        redemption::redemptions(&mut self.discounts(), shop, account, after, limit, last)
    }

    fn reward_usage(&self, shop: ShopId, reward: &RewardId) -> Result<Option<Usage>, Failure> {
        let _well = self.shared.health()?;
        redemption::usage(&mut self.discounts(), shop, reward)
    }

    fn verify(&self) -> Result<Verified, Failure> {
        admin::verify(&self.shared.reader()?)
    }

    fn ready(&self) -> Result<(), Failure> {
        let _well = self.shared.health()?;
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
        self.shared.shop(shop)
    }

    fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure> {
        self.admin.shops()
    }

    fn add_key(&self, shop: ShopId, key: &NewKey, now: Timestamp) -> Result<(), Failure> {
        self.admin.add_key(shop, key, now)?;
        self.shared.keys_changed();
        Ok(())
    }

    fn key(&self, id: &str) -> Result<Option<Arc<KeyRecord>>, Failure> {
        self.shared.key(id)
    }

    fn install(&self, shop: ShopId, integration: &Integration, _now: Timestamp) -> Result<(), Failure> {
        self.admin.install(shop, integration)?;
        self.shared.shop_changed(shop);
        Ok(())
    }
}
