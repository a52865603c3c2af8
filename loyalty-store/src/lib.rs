//! Whole business transactions of a loyalty engine, durable, with the journal as the only truth.
//!
//! A caller hands over one [`Request`] and gets one [`Reply`]; it never holds an open transaction. Inside,
//! [`Store::execute`] does, as one atomic step:
//!
//! 1. look the idempotency key up: the same request again gets the first answer, byte for byte;
//! 2. find the customer, by the shop's id or by e-mail, and merge a guest into the customer that brings
//!    the guest's e-mail;
//! 3. load the account and the order, and let the rules decide;
//! 4. append the events to the journal, change the customer's record, and keep the answer.
//!
//! What a shop sells and the searches that it keeps are changed in the same way, without a journal
//! ([`CatalogueAction`]), and read by [`Catalogue`].
//!
//! [`MemoryStore`] is for tests and embedding; [`SqliteStore`] is durable. A store of one's own can be held to the same
//! promises: see `conformance`, behind the feature of that name.
//!
//! # Example: a shop, an order's worth of points, and the proof
//! ```
//! use loyalty_store::{Action, MemoryStore, NewShop, Existence, Reply, Request, Store, CustomerRef};
//! use loyalty_core::{Command, CustomerId, Points, Zone, Currency};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
//! let shop = store.create_shop(&NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC }, now)?;
//! let who = CustomerRef::Id(CustomerId::new("1001")?);
//! let add = Command::AddPoints { points: Points::from(250), grounds: Default::default() };
//! let action = Action::for_customer(who.clone(), Existence::Any, vec![add]);
//! let reply = store.execute(Request { shop: shop.id, now, dry_run: false, idempotency: None, action }).wait()?;
//! assert!(matches!(reply, Reply::Decided(Ok(_))));
//! let customer = store.customer(shop.id, &who)?.unwrap();
//! assert_eq!(customer.balance(now), Points::from(250));
//! assert!(store.verify()?.differences.is_empty());
//! # Ok(()) }
//! ```

mod catalogue;
mod discount;
mod engine;
mod error;
mod memory;
mod numeric_id;
mod projections;
mod query;
mod record;
mod redemption;
mod reminder;
mod report;
mod request;
mod search;
mod shop;
mod sqlite;
mod timeline;
mod transact;
mod verify;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use catalogue::{
    Catalogue, CatalogueAction, CatalogueOutcome, Category, CategoryRecord, Product, ProductRecord,
    ProductRef, ProductStatus, SavedSearch, UpsertCounts, Variant,
};
pub use discount::lookup::CartFacts;
pub use discount::{
    CartQuery, CheckoutView, CodeBatch, CodeView, DiscountAction, DiscountOutcome, Discounts,
    OrderCode, PriceRuleView, RuleChange,
};
pub use error::{Failure, Rejection};
pub use memory::MemoryStore;
pub use numeric_id::NumericId;
pub use query::{CurrentTier, CustomerView, DueAccount, JournalPage, Page, VerificationReport};
pub use record::{CustomerRecord, JournalRow, OrderRecord, Seq};
pub use redemption::{RedemptionAction, RedemptionView, Redemptions, RewardsView};
pub use reminder::{Reminder, ReminderPage};
pub use report::{ActionTotals, ProgramReport, YearMonth};
pub use request::{
    Action, CustomerRef, EmailConflict, Existence, FieldChange, Idempotency, Outcome, Pending,
    ProfileChange, Receipt, Reply, Request, Response,
};
pub use search::{SearchError, SearchQuery};
pub use shop::{ApiKeyRecord, Integration, NewApiKey, NewShop, Scope, Shop};
pub use sqlite::{SqliteAdmin, SqliteStore, StoreSettings};

use std::collections::BTreeMap;
use std::sync::Arc;

use loyalty_core::{
    Account, AccountId, OrderId, Program, ProgramVersion, RewardId, ShopId, Timestamp,
};

/// A place where shops, customers, orders and points live.
///
/// # Contract
/// - **Atomic.** All of a request happens, or nothing of it. A rejected request changes nothing; only its
///   answer is kept where it brought an idempotency key.
/// - **Durable.** A reply means that what it says survives a crash. [`Failure::UnknownOutcome`] means that
///   it may have happened: send the same request with the same key again.
/// - **In order.** Requests about one account take effect one after the other; whoever reads after a
///   reply sees its effect.
/// - **Separate.** Every look-up starts with the shop. Nothing of one shop is reachable from another.
/// - **Time is an argument.** The clock of an account never steps back: an earlier `now` counts as the
///   account's last one.
pub trait Store: Catalogue + Discounts + Redemptions + Send + Sync + 'static {
    /// Carries out one business transaction.
    fn execute(&self, request: Request) -> Pending;

    /// The answer that the same request, under the same key, got before; of none where it is to be decided. For who
    /// cannot make the request any more, since what it was about is gone.
    fn stored_response(
        &self,
        shop: ShopId,
        key: &[u8; 16],
        fingerprint: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<Response>, Failure>;

    /// One customer, with balance and tier.
    fn customer(&self, shop: ShopId, who: &CustomerRef) -> Result<Option<CustomerView>, Failure>;

    /// The customer of an account; the account that it was merged into, where it was.
    fn customer_by_account(
        &self,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure>;

    /// Customers in the order in which they became known, `after` an account, that match a search.
    fn customers(
        &self,
        shop: ShopId,
        search: &SearchQuery,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Page<CustomerView>, Failure>;

    /// How many customers match a search.
    fn count_customers(&self, shop: ShopId, search: &SearchQuery) -> Result<u64, Failure>;

    /// What is known of an order.
    fn order(&self, shop: ShopId, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure>;

    /// The journal of one account, newest first, before a position: the [`JournalPage::next`] of a page
    /// of it. From a position of anything else nothing follows.
    fn account_journal(
        &self,
        shop: ShopId,
        account: AccountId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<JournalPage, Failure>;

    /// The journal of a shop, oldest first, `after` a position. Costs all rows of all shops that it passes.
    fn journal(
        &self,
        shop: ShopId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<JournalRow>>, Failure>;

    /// A customer as a read at `at` saw the account: a fold of its journal up to then, and what time had
    /// brought about besides. Costs the account's whole history. Of birthdays and tags only today's are
    /// known.
    fn customer_at(
        &self,
        shop: ShopId,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Option<CustomerView>, Failure>;

    /// Accounts for which something is due by `now`, earliest first, behind one of them. What is due is
    /// written down by [`Action::CatchUp`]. Costs what it answers, however many accounts there are.
    ///
    /// Reads need none of it: they are right at every instant.
    fn due(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure>;

    /// Shops that published a program and have accounts of which is not known yet what is due next under
    /// it. [`Action::RescheduleDue`] goes on with them.
    fn shops_to_reschedule(&self) -> Result<Vec<ShopId>, Failure>;

    /// The account as it was written down by `at`: a fold of its journal. Costs its whole history.
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
        let mut account = Account::default();
        for event in rows.iter().rev().flat_map(|row| row.events.iter()) {
            account.evolve(event);
        }
        Ok(account)
    }

    /// The program in force (`None`), or one of its versions.
    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure>;

    /// The rewards that a customer can have at `now`, and why not the others.
    fn rewards(
        &self,
        shop: ShopId,
        who: &CustomerRef,
        now: Timestamp,
    ) -> Result<Option<RewardsView>, Failure> {
        let Some(customer) = self.customer(shop, who)? else {
            return Ok(None);
        };
        let Some((_, program)) = self.program(shop, None)? else {
            return Ok(None);
        };
        let mut had = BTreeMap::new();
        for reward in program
            .definition()
            .rewards
            .iter()
            .filter(|reward| !reward.total_limits.is_empty())
        {
            had.extend(
                self.reward_usage(shop, &reward.id)?
                    .map(|usage| (reward.id.clone(), usage)),
            );
        }
        let (balance, had) = (customer.balance(now), |reward: &RewardId| had.get(reward).copied());
        let offered =
            customer.with_context(now, |context| loyalty_core::reward_offers(context, had));
        Ok(Some(RewardsView { customer, balance, program, offered }))
    }

    /// Folds the whole journal and compares every state with it.
    fn verify(&self) -> Result<VerificationReport, Failure>;

    /// Whether requests can be served now, those that change something among them: where the last of them could not
    /// be written, not before one can be again.
    fn check_ready(&self) -> Result<(), Failure>;

    /// Makes a shop with the default program.
    fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure>;

    /// One shop.
    fn shop(&self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure>;

    /// All shops, oldest first.
    fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure>;

    /// Adds a key to a shop. Of the keys before it only the newest stays alive.
    fn add_api_key(&self, shop: ShopId, key: &NewApiKey, now: Timestamp) -> Result<(), Failure>;

    /// A key that is alive, by its public part.
    fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure>;

    /// Notes where a store plugin was installed.
    fn record_integration(
        &self,
        shop: ShopId,
        integration: &Integration,
        now: Timestamp,
    ) -> Result<(), Failure>;
}
