//! What is stored: the journal's rows, and the states that are folds of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::account::AccountSegments;
use loyalty_core::{
    Account, AccountId, CustomerId, Email, Event, OrderState, Points, Profile, ShopId, Timestamp,
};
use serde::Serialize;

use crate::error::Failure;

/// Serializes a record, or a part of one.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Corrupt(format!("a record cannot be written: {error}")))
}

/// A position in the journal, counted from 1 over all shops.
pub type Seq = i64;

/// One row of the journal: what one transaction did to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// Its position.
    pub seq: Seq,
    /// Whose it is.
    pub shop: ShopId,
    /// The account; none for facts of an order whose customer is not known yet.
    pub account: Option<AccountId>,
    /// The account's row before this one.
    pub previous: Option<Seq>,
    /// When.
    pub at: Timestamp,
    /// The account's balance after it.
    pub balance: Points,
    /// What happened.
    pub events: Arc<[Event]>,
}

/// An account's state, and the journal row up to which it is folded.
#[derive(Clone, Debug)]
pub(crate) struct AccountRecord {
    pub(crate) shop: ShopId,
    pub(crate) account: Account,
    pub(crate) seq: Seq,
    pub(crate) at: Timestamp,
    /// When something is due next that nobody has to ask for. No part of the fold: it follows from the
    /// state, the programs and the customer.
    pub(crate) due: Option<Timestamp>,
    pub(crate) persisted_segments: PersistedSegments,
}

/// Which chapters of an account stand in the file. All states of the account since it was read share it, also those
/// that were decided before the last of it was written.
#[derive(Clone, Default)]
pub(crate) struct PersistedSegments(Arc<Mutex<AccountSegments>>);

impl PersistedSegments {
    pub(crate) fn new(chapters: AccountSegments) -> Self {
        Self(Arc::new(Mutex::new(chapters)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, AccountSegments> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No part of what an account is.
impl fmt::Debug for PersistedSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filed")
    }
}

/// Of two folds: what follows from them does not enter.
impl PartialEq for AccountRecord {
    fn eq(&self, other: &Self) -> bool {
        let fold = |record: &Self| (record.shop, record.seq, record.at);
        fold(self) == fold(other) && self.account == other.account
    }
}

impl AccountRecord {
    pub(crate) fn new(shop: ShopId) -> Self {
        let (account, persisted_segments) = (Account::default(), PersistedSegments::default());
        Self {
            shop,
            account,
            seq: 0,
            at: Timestamp::UNIX_EPOCH,
            due: None,
            persisted_segments,
        }
    }

    /// Folds a row of this account's journal; a row that is folded already changes nothing.
    pub(crate) fn fold(&mut self, row: &JournalRow) {
        if row.seq <= self.seq {
            return;
        }
        for event in row.events.iter() {
            self.account.evolve(event);
        }
        (self.seq, self.at) = (row.seq, self.at.max(row.at));
    }
}

/// What is known of an order, and the journal row up to which it is folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderRecord {
    /// Whose it is, where that is known.
    pub account: Option<AccountId>,
    /// Its facts.
    pub state: OrderState,
    /// The journal row that holds its latest snapshot.
    pub snapshot: Option<Seq>,
    /// The last journal row about it.
    pub seq: Seq,
}

impl OrderRecord {
    /// Folds one event of a row that is about this order.
    pub(crate) fn fold(&mut self, row: &JournalRow, event: &Event) {
        self.account = row.account.or(self.account);
        self.state.evolve(event);
        if let Event::OrderRecorded { snapshot: Some(_), .. } = event {
            self.snapshot = Some(row.seq);
        }
        self.seq = row.seq;
    }
}

/// Who a customer is. Personal data: in a table of its own, never in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRecord {
    /// Whose customer.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// The shop's id; none for a guest.
    pub id: Option<CustomerId>,
    /// The e-mail.
    pub email: Option<Email>,
    /// What else is known.
    pub profile: Profile,
    /// What the shop sends to tell households apart, in its own words.
    pub household: BTreeSet<String>,
    /// When the birthday was set or changed last.
    pub birthday_set_at: Option<Timestamp>,
    /// Since when birthday and tags are as they are. What time brought about before that was decided by
    /// what was known then.
    pub attributes_changed_at: Timestamp,
    /// When they became known.
    pub created_at: Timestamp,
    /// When this record changed last.
    pub updated_at: Timestamp,
    /// How often this record changed.
    pub revision: u32,
}
