//! Durable business transactions for the loyalty engine, recorded by event sourcing.
//!
//! The journal of events is the source of truth. Accounts, orders, price rules, codes and
//! redemptions are folds of it, and [`Store::verify`] checks them against it.
//!
//! A caller submits one [`Request`] and receives one [`Reply`]; no transaction stays open
//! between calls. [`Store::execute`] performs these steps atomically:
//!
//! 1. Look up the idempotency key. A repeated request gets the first response again.
//! 2. Find the customer by the shop's id or by e-mail. A guest with the customer's e-mail
//!    is merged into the customer.
//! 3. Load the account and the order, and let the rules of `loyalty-core` decide.
//! 4. Append the events to the journal, update the customer's record, and store the
//!    response.
//!
//! Products, categories and saved searches are changed the same way, but have no journal
//! ([`CatalogueAction`]). They are read through [`Catalogue`].
//!
//! [`MemoryStore`] is for tests and embedding; [`SqliteStore`] is durable. The feature
//! `conformance` provides tests for other implementations of [`Store`].
//!
//! # Example: a customer receives points
//! ```
//! use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
//! use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, Reply, Request, Store};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
//! let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
//! let shop = store.create_shop(&shop, now)?.id;
//!
//! let ada = CustomerRef::Id(CustomerId::new("1001")?);
//! let reason = AdjustmentReason::default();
//! let add = Command::AddPoints { points: Points::from(250), reason };
//! let action = Action::for_customer(ada.clone(), Existence::Any, vec![add]);
//! let reply = store.execute(Request::new(shop, now, action)).wait()?;
//! assert!(matches!(reply, Reply::Decided(Ok(_))));
//!
//! let customer = store.customer(shop, &ada)?.ok_or("unknown customer")?;
//! assert_eq!(customer.balance(now), Points::from(250));
//! assert!(store.verify()?.differences.is_empty());
//! # Ok(()) }
//! ```

mod administration;
mod cancel;
mod catalogue;
mod customer_ref;
mod day_totals;
mod destination;
mod discount;
mod engine;
mod erasure;
mod erasure_pass;
mod error;
mod import;
mod key_uses;
mod memory;
mod merge;
mod metrics;
mod numeric_id;
mod order_list;
mod outbox;
mod outgoing;
pub mod personal;
mod profile_change;
mod projections;
mod query;
mod record;
mod redemption;
mod reminder;
mod report;
mod request;
pub mod seal;
mod search;
mod shop;
mod sqlite;
mod timeline;
mod transact;
mod verify;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use administration::{
    Actor, AdminAction, AdminIdempotency, AdminOutcome, AdminRender, AdminReply, AdminRequest,
    DEFAULT_GRACE, DestinationAction, MAX_GRACE, MAX_KEYS, StoreSecret,
};
pub use cancel::Cancellation;
pub use catalogue::{
    Catalogue, CatalogueAction, CatalogueOutcome, Category, CategoryRecord, Product, ProductRecord,
    ProductRef, ProductStatus, SavedSearch, UpsertCounts, Variant,
};
pub use customer_ref::CustomerRef;
pub use day_totals::{ActionTotals, DayTotals, PeriodTotals, local_day};
pub use destination::{
    DEAD_DAYS, Deliveries, Delivery, DeliveryAttempt, DeliveryCounts, DeliveryNote, DeliveryState,
    Destination, DestinationId, DestinationKind, DestinationProgress, DestinationSecret,
    DestinationSettings, DestinationState, DestinationUpdate, DisableReason, EventPosition,
    MAX_ANSWER, MAX_DEAD, MAX_WEBHOOK_ENDPOINTS, Recovery,
};
pub use discount::lookup::CartFacts;
pub use discount::{
    CartQuery, CheckoutView, CodeBatch, CodeView, DiscountAction, DiscountOutcome, Discounts,
    OrderCode, OrderRule, PriceRuleView, RuleChange,
};
pub use erasure::{Erasure, ErasureStep};
pub use error::{Failure, Rejection};
pub use import::{
    ImportAction, ImportContent, ImportCounts, ImportFault, ImportOutcome, ImportRecord, ImportRow,
    ImportRowOutcome, ImportRowRecord, ImportSettings, ImportState, Imports,
};
pub use memory::MemoryStore;
pub use merge::MergeReport;
pub use metrics::{StoreMetrics, TIME_BUCKETS, TimeHistogram};
pub use numeric_id::NumericId;
pub use order_list::{OrderList, OrderPlace, OrderStatus, Orders};
pub use outbox::{OutgoingEvent, outgoing_events};
pub use outgoing::OutgoingKind;
pub use profile_change::{FieldChange, ProfileChange};
pub use query::{
    CurrentTier, CustomerView, Direction, DueAccount, JournalPage, Page, VerificationReport,
};
pub use record::{CustomerRecord, JournalId, JournalRow, MergedCustomer, OrderRecord, Seq};
pub use redemption::{
    RedemptionAction, RedemptionStatus, RedemptionView, Redemptions, RewardsView,
};
pub use reminder::{Reminder, ReminderPage};
pub use report::{ProgramReport, YearMonth, days_between};
pub use request::{
    Action, EmailConflict, Existence, Idempotency, Outcome, Pending, Receipt, Reply, Request,
    Response,
};
pub use search::{SearchError, SearchQuery};
pub use shop::{ApiKeyRecord, Integration, KeyHash, KeyOwner, NewApiKey, NewShop, Scope, Shop};
pub use sqlite::{
    Backup, BackupError, MasterKeySource, Restored, SqliteAdmin, SqliteStore, StoreSettings,
};

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::NaiveDate;
use seal::SecretText;

use loyalty_core::{
    Account, AccountId, OrderId, Program, ProgramVersion, RewardId, ShopId, StoreId, Timestamp,
};
use tokio::sync::watch;

/// A transactional store of shops, customers, orders and points.
///
/// # Contract
/// - **Atomic.** A request takes effect completely or not at all. A rejected request
///   changes nothing; only its response is stored, if it has an idempotency key.
/// - **Durable.** A reply means that the effect survives a crash. After
///   [`Failure::UnknownOutcome`] the request may have taken effect: send the same request
///   with the same idempotency key again.
/// - **Ordered.** Requests for one account take effect one after the other. A read that
///   starts after a reply sees its effect.
/// - **Isolated.** Every lookup names the shop. No data of one shop is reachable from
///   another.
/// - **No clock.** Time is an argument. The clock of an account is monotonic: an earlier
///   `now` is replaced by the time of the account's last event.
///
/// # Example: a state of the past
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = MemoryStore::default();
/// # let (monday, friday) = ("2026-02-02T10:00:00Z".parse()?, "2026-02-06T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, monday)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// for (now, points) in [(monday, 100), (friday, 50)] {
///     let reason = AdjustmentReason::default();
///     let add = Command::AddPoints { points: Points::from(points), reason };
///     let action = Action::for_customer(ada.clone(), Existence::Any, vec![add]);
///     store.execute(Request::new(shop, now, action)).wait()?;
/// }
/// let account = store.customer(shop, &ada)?.ok_or("unknown customer")?.record().account;
/// assert_eq!(store.account_at(shop, account, monday)?.balance(monday), Points::from(100));
/// assert_eq!(store.account_journal(shop, account, None, 10)?.rows.len(), 3);
/// # Ok(()) }
/// ```
pub trait Store:
    Catalogue + Deliveries + Discounts + Imports + Orders + Redemptions + Send + Sync + 'static
{
    /// Executes one business transaction.
    fn execute(&self, request: Request) -> Pending;

    /// Returns the stored response to an earlier request with the same key and
    /// fingerprint.
    ///
    /// `None` means that the request has not been decided yet, or longer than 30 days
    /// ago. A caller uses this if it cannot build the request again because its subject
    /// is deleted.
    fn stored_response(
        &self,
        shop: ShopId,
        key: &[u8; 16],
        fingerprint: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<Response>, Failure>;

    /// Returns a customer with balance and tier.
    fn customer(
        &self,
        shop: ShopId,
        customer: &CustomerRef,
    ) -> Result<Option<CustomerView>, Failure>;

    /// Returns the customer of an account. An account that was merged gives the customer
    /// it was merged into.
    fn customer_by_account(
        &self,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure>;

    /// Returns up to `limit` customers that match a search, in the order of their
    /// creation, starting behind the account `after`.
    fn customers(
        &self,
        shop: ShopId,
        search: &SearchQuery,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Page<CustomerView>, Failure>;

    /// Returns the number of customers that match a search.
    fn count_customers(&self, shop: ShopId, search: &SearchQuery) -> Result<u64, Failure>;

    /// Returns the record of an order.
    fn order(&self, shop: ShopId, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure>;

    /// Returns up to `limit` journal rows of an account, newest first.
    ///
    /// `before` is the [`JournalPage::next`] of the previous page of this account. Any
    /// other position gives an empty page.
    fn account_journal(
        &self,
        shop: ShopId,
        account: AccountId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<JournalPage, Failure>;

    /// Returns up to `limit` journal rows of a shop behind the position `after`, oldest
    /// first. Rows of other shops in between cost a look-up for each 256 of them.
    fn journal(
        &self,
        shop: ShopId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<JournalRow>>, Failure>;

    /// Returns up to `limit` journal rows of all shops behind the position `after`, oldest
    /// first. The newest ones cost no read while there is a [`Store::committed_position`].
    fn journal_of_all(&self, after: Seq, limit: usize) -> Result<Vec<Arc<JournalRow>>, Failure>;

    /// Returns the id of the journal.
    fn journal_id(&self) -> Result<JournalId, Failure>;

    /// Returns the position of the last committed journal row, which changes with each commit.
    fn committed_position(&self) -> watch::Receiver<Seq>;

    /// Returns a customer as a read at `at` saw them, scheduled events up to `at`
    /// included.
    ///
    /// Folds the account's whole journal. Past birthdays and tags are not stored: the
    /// current ones are used.
    fn customer_at(
        &self,
        shop: ShopId,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Option<CustomerView>, Failure>;

    /// Returns up to `limit` accounts with a scheduled event due by `now`, earliest
    /// first, starting behind `after`. Costs O(`limit`), whatever the number of accounts.
    ///
    /// [`Action::CatchUp`] records the due events. Reads do not depend on it: they
    /// evaluate scheduled events themselves.
    fn due(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure>;

    /// Returns the shops that published a program and have accounts whose next due time
    /// is not recomputed yet. [`Action::RescheduleDue`] recomputes some of them.
    fn shops_to_reschedule(&self) -> Result<Vec<ShopId>, Failure>;

    /// Returns the erasures that are not complete: see [`Action::EraseCustomer`].
    fn unfinished_erasures(&self) -> Result<Vec<Arc<Erasure>>, Failure>;

    /// Removes what is still stored about an erased customer elsewhere: free text in the
    /// journal, ids and e-mails in price rules, saved searches and stored responses. Then
    /// nothing of it is left in the store's files, and the erasure is complete.
    ///
    /// Reads all rows of the shop and all stored responses, some hundred at a time, without
    /// holding other requests up, and changes what it finds in transactions of their own.
    /// After a failure, or where it returns `false` since another reader needs the log, call
    /// it again: it begins anew.
    fn finish_erasure(&self, erasure: &Erasure, now: Timestamp) -> Result<bool, Failure>;

    /// Returns the account as recorded by `at`, without scheduled events that were not
    /// recorded. Folds the account's whole journal.
    fn account_at(
        &self,
        shop: ShopId,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Account, Failure> {
        let (mut rows, mut before) = (Vec::new(), None);

        loop {
            let page = self.account_journal(shop, account, before, 1_000)?;
            rows.extend(page.rows.into_iter().filter(|row| row.at <= at));

            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }

        // Pages are newest first; a fold needs the oldest row first.
        let mut account = Account::default();
        for event in rows.iter().rev().flat_map(|row| row.events.iter()) {
            account.evolve(event);
        }

        Ok(account)
    }

    /// Returns a version of the program, or the one in force for `None`.
    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure>;

    /// Returns the rewards of the program in force, each with its price for a customer at
    /// `now` or the reason why it is not available.
    fn rewards(
        &self,
        shop: ShopId,
        customer: &CustomerRef,
        now: Timestamp,
    ) -> Result<Option<RewardsView>, Failure> {
        let Some(customer) = self.customer(shop, customer)? else {
            return Ok(None);
        };
        let Some((_, program)) = self.program(shop, None)? else {
            return Ok(None);
        };

        // Only rewards with limits over all customers need the total usage.
        let mut total_usage = BTreeMap::new();
        let rewards = program.definition().rewards.iter();
        for reward in rewards.filter(|reward| !reward.total_limits.is_empty()) {
            let usage = self.reward_usage(shop, &reward.id)?;
            total_usage.extend(usage.map(|usage| (reward.id.clone(), usage)));
        }

        let balance = customer.balance(now);
        let usage_of = |reward: &RewardId| total_usage.get(reward).copied();
        let offered =
            customer.with_context(now, |context| loyalty_core::reward_offers(context, usage_of));

        Ok(Some(RewardsView { customer, balance, program, offered }))
    }

    /// Returns the sums of a shop's days that have any, in the shop's calendar. Costs O(days).
    fn day_totals(
        &self,
        shop: ShopId,
        days: RangeInclusive<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure>;

    /// Folds the whole journal and compares every stored state with the result.
    fn verify(&self) -> Result<VerificationReport, Failure>;

    /// Checks that the store can execute requests. Fails after a failed write until a
    /// write can succeed again.
    fn check_ready(&self) -> Result<(), Failure>;

    /// Returns figures for monitoring. Costs no more than a few file look-ups.
    fn metrics(&self) -> StoreMetrics {
        StoreMetrics::default()
    }

    /// Creates a shop with the default program.
    fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure>;

    /// Returns a shop.
    fn shop(&self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure>;

    /// Returns all shops, oldest first.
    fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure>;

    /// Executes one administrative transaction: see [`AdminAction`]. May wait some milliseconds
    /// for the disk.
    fn administer(&self, request: AdminRequest) -> Result<AdminReply, Failure>;

    /// Adds an API key to a shop, as somebody with access to the machine does.
    ///
    /// # Errors
    /// Fails also if the key is rejected: there are too many, or a scope is the operator's.
    fn add_api_key(&self, shop: ShopId, key: &NewApiKey, now: Timestamp) -> Result<(), Failure> {
        let action = AdminAction::CreateKey(key.clone());
        accepted(self.administer(AdminRequest::new(KeyOwner::Shop(shop), now, action))?)
    }

    /// Gives the store that runs a plugin a secret to sign with, which replaces that before it
    /// after a day.
    fn add_store_secret(&self, shop: ShopId, secret: &str, now: Timestamp) -> Result<(), Failure> {
        let action = AdminAction::RotateStoreSecret {
            store: StoreId::plugin(),
            secret: SecretText::new(secret.to_owned()),
            grace: DEFAULT_GRACE,
            may_create: true,
        };
        accepted(self.administer(AdminRequest::new(KeyOwner::Shop(shop), now, action))?)
    }

    /// Returns an API key by its public part. It may have ended, or another process may have
    /// revoked it within the last two seconds.
    fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure>;

    /// Returns the keys of an owner, oldest first, also those that have ended.
    fn api_keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure>;

    /// Notes that a key was used. Costs no I/O: [`Store::write_key_uses`] stores it.
    fn note_key_use(&self, key: &ApiKeyRecord, now: Timestamp);

    /// Stores which keys were used since it was called last.
    fn write_key_uses(&self) -> Result<(), Failure>;

    /// Returns the secrets with which the connected stores of a shop sign. Some may have ended, and
    /// another process may have changed them within the last two seconds.
    fn store_secrets(&self, shop: ShopId) -> Result<Arc<[StoreSecret]>, Failure>;

    /// Records where a store plugin is installed, replacing the shop's earlier
    /// integration.
    fn record_integration(
        &self,
        shop: ShopId,
        integration: &Integration,
        now: Timestamp,
    ) -> Result<(), Failure>;
}

/// A change that must not be rejected.
fn accepted(reply: AdminReply) -> Result<(), Failure> {
    match reply {
        AdminReply::Decided(Err(rejection)) => Err(Failure::Unavailable(rejection.to_string())),
        AdminReply::Decided(Ok(_)) | AdminReply::Stored { .. } => Ok(()),
    }
}
