//! Results of reads: customers at an instant, pages of lists, and verification reports.

use std::borrow::Cow;
use std::sync::Arc;

use loyalty_core::{
    Account, AccountId, Context, Event, ManualTier, Points, Program, ProgramVersion, ShopId,
    TierId, TierStatus, Timestamp,
};

use crate::error::Failure;
use crate::record::{AccountRecord, CustomerRecord, JournalRow, Seq};
use crate::timeline::{ApplicablePrograms, ProgramTimeline, RuleSubject, caught_up_until};

/// A customer with the account and the programs, from which balance and tier follow at
/// every instant after the account's last event.
///
/// # Example: a balance of the future
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Program, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let program = Program::from_json(r#"{"expiry": {"per_lot": {"after": "P30D"}}}"#).unwrap();
/// let publish = Action::PublishProgram { program: Box::new(program), replaces: None };
/// let reason = AdjustmentReason::default();
/// let add = Command::AddPoints { points: Points::from(250), reason };
/// let action = Action::for_customer(ada.clone(), Existence::Any, vec![add]);
/// for action in [publish, action] {
///     store.execute(Request::new(shop, now, action)).wait()?;
/// }
/// let customer = store.customer(shop, &ada)?.ok_or("unknown customer")?;
/// let march = "2026-03-31T10:00:00Z".parse()?;
/// assert_eq!(customer.balance(now), Points::from(250));
/// assert_eq!(customer.balance(march), Points::ZERO);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CustomerView {
    record: Arc<CustomerRecord>,
    account: Arc<AccountRecord>,
    programs: Arc<ApplicablePrograms>,
}

impl CustomerView {
    pub(crate) fn new(
        record: Arc<CustomerRecord>,
        account: Arc<AccountRecord>,
        programs: Arc<ApplicablePrograms>,
    ) -> Self {
        Self { record, account, programs }
    }

    /// Returns the customer's record.
    pub fn record(&self) -> &CustomerRecord {
        &self.record
    }

    /// Returns the account as last recorded. [`CustomerView::as_of`] includes scheduled
    /// events since then.
    pub fn account(&self) -> &Account {
        &self.account.account
    }

    /// Returns the account at `now`, scheduled events included. A `now` before the
    /// account's last event counts as the time of that event.
    pub fn as_of(&self, now: Timestamp) -> Cow<'_, Account> {
        if self.is_unchanged_until(now) {
            return Cow::Borrowed(self.account());
        }
        Cow::Owned(self.with_context(now, loyalty_core::as_of))
    }

    /// Returns true if no scheduled event is due by `now`; false also if that is not
    /// known.
    pub(crate) fn is_unchanged_until(&self, now: Timestamp) -> bool {
        self.programs.is_due_current() && self.account.due.is_none_or(|due| now < due)
    }

    /// Returns the scheduled events that are due by `now` and not recorded yet.
    pub fn due(&self, now: Timestamp) -> Vec<Event> {
        self.with_context(now, loyalty_core::due)
    }

    /// Returns the time of the next scheduled event.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.programs.next_due(&self.subject())
    }

    /// Returns the balance at `now`, or at the account's last event if that is later.
    pub fn balance(&self, now: Timestamp) -> Points {
        let now = now.max(self.account.at);
        self.as_of(now).balance(now)
    }

    /// Returns the points that are pending at `now`: earned, but not usable yet.
    pub fn pending(&self, now: Timestamp) -> Points {
        let now = now.max(self.account.at);
        self.as_of(now).pending(now)
    }

    /// Returns the tier at `now`. A tier set by hand takes precedence over an earned one.
    pub fn tier(&self, now: Timestamp) -> Option<CurrentTier> {
        let now = now.max(self.account.at);
        let account = self.as_of(now);

        if let Some(ManualTier { id, until }) = account.manual_tier(now).cloned() {
            return Some(CurrentTier { id, until });
        }

        account
            .earned_tier()
            .map(|tier| CurrentTier { id: tier.id.clone(), until: tier.until })
    }

    /// Returns the tier at `now`, with the progress needed to keep it and to reach the
    /// next.
    pub fn tier_status(&self, now: Timestamp) -> TierStatus {
        self.with_context(now, loyalty_core::tier_status)
    }

    /// Returns the program in force.
    pub fn program(&self) -> &Program {
        self.programs.current_program()
    }

    /// Calls a function of the rules with this customer's context at `now`.
    pub(crate) fn with_context<T>(
        &self,
        now: Timestamp,
        question: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        self.programs
            .with_context(&self.subject(), now.max(self.account.at), question)
    }

    fn subject(&self) -> RuleSubject<'_> {
        let (account, customer) = (Some(self.account()), Some(&*self.record));
        RuleSubject { id: Some(self.record.account), account, customer }
    }

    /// Returns the position of the account's last journal row.
    pub fn seq(&self) -> Seq {
        self.account.seq
    }

    /// Changes the position of the account's last journal row.
    pub(crate) fn change_seq(&mut self, change: impl FnOnce(&mut Seq)) {
        change(&mut Arc::make_mut(&mut self.account).seq);
    }

    /// Returns an entity tag of this state. It changes with the record and with every
    /// journal row of the account.
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.record.revision, self.account.seq)
    }
}

impl ProgramTimeline {
    /// Creates a view of a customer whose account is a fold of its journal up to `at`.
    pub(crate) fn view_at(
        &self,
        customer: Arc<CustomerRecord>,
        account: AccountRecord,
        at: Timestamp,
        load: impl FnMut(ProgramVersion) -> Result<Arc<Program>, Failure>,
    ) -> Result<CustomerView, Failure> {
        let from = caught_up_until(&account.account, Some(&customer));
        let programs = self.programs_between(from, at, load)?;

        Ok(CustomerView::new(customer, Arc::new(account), programs))
    }
}

/// A customer's tier at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentTier {
    /// The tier.
    pub id: TierId,
    /// The end of the tier, if it is already decided.
    pub until: Option<Timestamp>,
}

/// An account and the time of its next scheduled event. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueAccount {
    /// The time of the event.
    pub at: Timestamp,
    /// The account.
    pub account: AccountId,
    /// The shop of the account.
    pub shop: ShopId,
}

/// The direction of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The first place first.
    Ascending,
    /// The last place first.
    #[default]
    Descending,
}

impl Direction {
    /// Sorts places so that the first of the list comes first, each once.
    pub(crate) fn sort<P: Ord>(self, places: &mut Vec<P>) {
        places.sort_unstable();
        places.dedup();
        if self == Self::Descending {
            places.reverse();
        }
    }

    /// Returns `true` if `one` comes behind `other`.
    pub(crate) fn is_behind<P: Ord>(self, one: &P, other: &P) -> bool {
        match self {
            Self::Ascending => one > other,
            Self::Descending => one < other,
        }
    }
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// True if items follow behind this page.
    pub has_more: bool,
}

/// A page of an account's journal, newest first.
#[derive(Clone, Debug)]
pub struct JournalPage {
    /// The rows.
    pub rows: Vec<Arc<JournalRow>>,
    /// The position from which to read the next page; `None` on the last page.
    pub next: Option<Seq>,
}

/// The result of [`crate::Store::verify`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationReport {
    /// The number of journal rows folded.
    pub rows: u64,
    /// The time of the last row.
    pub newest: Option<Timestamp>,
    /// The number of events in them.
    pub events: u64,
    /// The number of accounts compared.
    pub accounts: u64,
    /// The number of orders compared.
    pub orders: u64,
    /// The number of projections compared: price rules, codes, checkouts, redemptions.
    pub projections: u64,
    /// Descriptions of the first hundred differences. Empty if the store is consistent.
    pub differences: Vec<String>,
}

impl VerificationReport {
    pub(crate) fn add_difference(&mut self, what: String) {
        if self.differences.len() < 100 {
            self.differences.push(what);
        }
    }
}
