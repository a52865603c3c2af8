//! What can be read, in the forms that callers need.

use std::sync::Arc;

use loyalty_core::{Account, ManualTier, Points, TierId, Timestamp};

use crate::record::{AccountRecord, CustomerRecord, JournalRow, Seq};

/// A customer with the account.
#[derive(Clone, Debug)]
pub struct CustomerView {
    record: Arc<CustomerRecord>,
    account: Arc<AccountRecord>,
}

impl CustomerView {
    pub(crate) fn new(record: Arc<CustomerRecord>, account: Arc<AccountRecord>) -> Self {
        Self { record, account }
    }

    /// Who it is.
    pub fn record(&self) -> &CustomerRecord {
        &self.record
    }

    /// The account.
    pub fn account(&self) -> &Account {
        &self.account.account
    }

    /// The balance at an instant at or after the account's last change.
    pub fn balance(&self, now: Timestamp) -> Points {
        self.account().balance(now.max(self.account.at))
    }

    /// The tier set by hand, while it holds.
    pub fn tier(&self, now: Timestamp) -> Option<&ManualTier> {
        self.account().tier(now.max(self.account.at))
    }

    /// The tier that holds: the one set by hand, else the earned one.
    pub fn tier_id(&self, now: Timestamp) -> Option<&TierId> {
        self.account().tier_id(now.max(self.account.at))
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

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Whether there is more behind it.
    pub more: bool,
}

/// A page of an account's journal, newest first.
#[derive(Clone, Debug)]
pub struct LedgerPage {
    /// The rows.
    pub rows: Vec<Arc<JournalRow>>,
    /// Where the next page begins.
    pub next: Option<Seq>,
}

/// What [`crate::Store::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many journal rows were folded.
    pub rows: u64,
    /// How many events were in them.
    pub events: u64,
    /// How many accounts were compared.
    pub accounts: u64,
    /// How many orders were compared.
    pub orders: u64,
    /// How many records of price rules and discount codes were compared.
    pub discounts: u64,
    /// What did not add up, in words; the first hundred.
    pub differences: Vec<String>,
}

impl Verified {
    pub(crate) fn differ(&mut self, what: String) {
        if self.differences.len() < 100 {
            self.differences.push(what);
        }
    }
}
