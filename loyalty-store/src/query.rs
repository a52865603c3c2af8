//! What can be read, in the forms that callers need.

use std::borrow::Cow;
use std::sync::Arc;

use loyalty_core::{
    Account, AccountId, Context, Event, ManualTier, Points, Program, ShopId, TierId, TierStatus,
    Timestamp,
};

use crate::record::{AccountRecord, CustomerRecord, JournalRow, Seq};
use crate::timeline::{ApplicablePrograms, RuleSubject};

/// A customer with the account, and what it takes to say how both stand at any instant from now on.
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

    /// Who it is.
    pub fn record(&self) -> &CustomerRecord {
        &self.record
    }

    /// The account as its last command left it. What time did to it since is in [`CustomerView::as_of`].
    pub fn account(&self) -> &Account {
        &self.account.account
    }

    /// The account as it is at `now`, or as it will be if nothing happens. Not before its last change.
    pub fn as_of(&self, now: Timestamp) -> Cow<'_, Account> {
        if self.is_unchanged_until(now) {
            return Cow::Borrowed(self.account());
        }
        Cow::Owned(self.with_context(now, loyalty_core::as_of))
    }

    /// Whether it is known that time brings nothing about by then.
    pub(crate) fn is_unchanged_until(&self, now: Timestamp) -> bool {
        self.programs.is_due_current() && self.account.due.is_none_or(|due| now < due)
    }

    /// What time has brought about by `now` that nobody has written down yet.
    pub fn due(&self, now: Timestamp) -> Vec<Event> {
        self.with_context(now, loyalty_core::due)
    }

    /// When something is due next, that time brings about.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.programs.next_due(&self.subject())
    }

    /// The balance at an instant at or after the account's last change.
    pub fn balance(&self, now: Timestamp) -> Points {
        let now = now.max(self.account.at);
        self.as_of(now).balance(now)
    }

    /// What is pending then: earned, visible, not to be spent yet.
    pub fn pending(&self, now: Timestamp) -> Points {
        let now = now.max(self.account.at);
        self.as_of(now).pending(now)
    }

    /// The tier that holds then.
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

    /// The tier that holds then, and what it takes to rise and to stay.
    pub fn tier_status(&self, now: Timestamp) -> TierStatus {
        self.with_context(now, loyalty_core::tier_status)
    }

    /// The program in force.
    pub fn program(&self) -> &Program {
        self.programs.current_program()
    }

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

    /// The last journal row of the account.
    pub fn seq(&self) -> Seq {
        self.account.seq
    }

    /// Names this state: it changes with the record and with every entry of the account.
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.record.revision, self.account.seq)
    }
}

/// A tier that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentTier {
    /// The tier.
    pub id: TierId,
    /// Until when, where that is decided already.
    pub until: Option<Timestamp>,
}

/// An account for which something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueAccount {
    /// When.
    pub at: Timestamp,
    /// The account.
    pub account: AccountId,
    /// Whose it is.
    pub shop: ShopId,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Whether there is more behind it.
    pub has_more: bool,
}

/// A page of an account's journal, newest first.
#[derive(Clone, Debug)]
pub struct JournalPage {
    /// The rows.
    pub rows: Vec<Arc<JournalRow>>,
    /// Where the next page begins.
    pub next: Option<Seq>,
}

/// What [`crate::Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationReport {
    /// How many journal rows were folded.
    pub rows: u64,
    /// How many events were in them.
    pub events: u64,
    /// How many accounts were compared.
    pub accounts: u64,
    /// How many orders were compared.
    pub orders: u64,
    /// How many records of price rules and discount codes were compared.
    pub projections: u64,
    /// What did not add up, in words; the first hundred.
    pub differences: Vec<String>,
}

impl VerificationReport {
    pub(crate) fn add_difference(&mut self, what: String) {
        if self.differences.len() < 100 {
            self.differences.push(what);
        }
    }
}
