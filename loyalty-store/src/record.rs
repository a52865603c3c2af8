//! Stored records: journal rows, and the states that are folds of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::account::AccountSegments;
use loyalty_core::{
    Account, AccountId, CustomerId, Email, Event, OrderId, OrderState, Points, Profile, ShopId,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::outgoing::count_outgoing;

/// Serializes a record, or a part of one.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Corrupt(format!("a record cannot be written: {error}")))
}

/// A position in the journal, counted from 1 over all shops.
pub type Seq = i64;

/// The random id of a journal, drawn when its file was made. A copy of the file has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalId([u8; 16]);

impl JournalId {
    pub(crate) const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A row of the journal: the events of one account in one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// The position of the row.
    pub seq: Seq,
    /// The shop.
    pub shop: ShopId,
    /// The account; `None` for events of price rules, codes, and orders without a
    /// customer.
    pub account: Option<AccountId>,
    /// The position of the account's previous row.
    pub previous: Option<Seq>,
    /// The time of the transaction, never before the account's previous row.
    pub at: Timestamp,
    /// The account's balance after the row.
    pub balance: Points,
    /// The number of the account's first outgoing event in the row, from 1. `None` if it has
    /// none, and in rows from before outgoing events were counted.
    pub sequence: Option<i64>,
    /// The events, in order.
    pub events: Arc<[Event]>,
}

/// The state of an account, folded up to the journal row `seq`.
#[derive(Clone, Debug)]
pub(crate) struct AccountRecord {
    pub(crate) shop: ShopId,
    pub(crate) account: Account,
    pub(crate) seq: Seq,
    pub(crate) at: Timestamp,
    /// The number of outgoing events since they are counted.
    pub(crate) outgoing: i64,
    /// The time of the next scheduled event. Not part of the fold: it follows from the
    /// state, the programs and the customer.
    pub(crate) due: Option<Timestamp>,
    pub(crate) persisted_segments: PersistedSegments,
}

/// The segments of an account that are stored in the file. All states of the account
/// share it from its first read on, including states that are decided before an earlier
/// write ends.
#[derive(Clone, Default)]
pub(crate) struct PersistedSegments(Arc<Mutex<AccountSegments>>);

impl PersistedSegments {
    pub(crate) fn new(segments: AccountSegments) -> Self {
        Self(Arc::new(Mutex::new(segments)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, AccountSegments> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Omits the segments: they say how an account is stored, not its state.
impl fmt::Debug for PersistedSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersistedSegments")
    }
}

/// Compares the folds, without the due time and the persisted segments.
impl PartialEq for AccountRecord {
    fn eq(&self, other: &Self) -> bool {
        let fold = |record: &Self| (record.shop, record.seq, record.at, record.outgoing);
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
            outgoing: 0,
            due: None,
            persisted_segments,
        }
    }

    /// Returns the number of the first of these events that leave the engine.
    pub(crate) fn next_sequence(&self, events: &[Event]) -> Option<i64> {
        let is_outgoing = count_outgoing(events) > 0;
        is_outgoing.then(|| self.outgoing.saturating_add(1))
    }

    /// Folds a row of this account's journal. A row that is already folded changes
    /// nothing.
    pub(crate) fn fold(&mut self, row: &JournalRow) {
        if row.seq <= self.seq {
            return;
        }
        for event in row.events.iter() {
            self.account.evolve(event);
        }
        if row.sequence.is_some() {
            self.outgoing = self.outgoing.saturating_add(count_outgoing(&row.events));
        }
        (self.seq, self.at) = (row.seq, self.at.max(row.at));
    }
}

/// The state of an order, folded up to the journal row `seq`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// The account of the order's customer, if known.
    pub account: Option<AccountId>,
    /// The state.
    pub state: OrderState,
    /// The position of the journal row with the latest snapshot of the order.
    pub snapshot: Option<Seq>,
    /// The position of the last journal row about the order.
    pub seq: Seq,
    /// The time of that row.
    pub updated_at: Timestamp,
}

impl OrderRecord {
    /// An order without any journal row.
    pub(crate) fn new(id: OrderId) -> Self {
        Self {
            account: None,
            state: OrderState::new(id),
            snapshot: None,
            seq: Seq::default(),
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// Folds an event about this order from a journal row.
    pub(crate) fn fold(&mut self, row: &JournalRow, event: &Event) {
        // Events may arrive before the customer of the order is known. Who used a redemption
        // with it need not be the one who ordered.
        if !matches!(event, Event::RedemptionUsed { .. }) {
            self.account = row.account.or(self.account);
        }
        self.state.evolve(event);
        if let Event::OrderRecorded { snapshot: Some(_), .. } = event {
            self.snapshot = Some(row.seq);
        }
        (self.seq, self.updated_at) = (row.seq, row.at);
    }
}

/// A customer's identity and profile. It is personal data, so it has a table of its own
/// and is never in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRecord {
    /// The shop.
    pub shop: ShopId,
    /// The account.
    pub account: AccountId,
    /// The shop's id; `None` for a guest.
    pub id: Option<CustomerId>,
    /// The e-mail.
    pub email: Option<Email>,
    /// The profile: names, birthday, address, tags.
    pub profile: Profile,
    /// The shop's identifiers of the household, in its own format.
    pub household: BTreeSet<String>,
    /// The time of the last change of the birthday.
    pub birthday_set_at: Option<Timestamp>,
    /// The time of the last change of birthday or tags. Scheduled events before it were
    /// decided with the earlier values.
    pub attributes_changed_at: Timestamp,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The number of versions of this record, from 1.
    pub revision: u32,
    /// The customers who were merged into this one, oldest first.
    pub merged: Vec<MergedCustomer>,
}

impl CustomerRecord {
    /// The shop's ids of the customer: their own, and those of customers merged into them.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &CustomerId> {
        let merged = self.merged.iter().filter_map(|merged| merged.id.as_ref());
        self.id.iter().chain(merged)
    }
}

/// A customer who was merged into another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedCustomer {
    /// Their account.
    pub account: AccountId,
    /// The shop's id; `None` for a guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CustomerId>,
    /// The e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "email_text")]
    pub email: Option<Email>,
    /// The profile.
    #[serde(default)]
    pub profile: Profile,
    /// The identifiers of the household.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub household: BTreeSet<String>,
    /// The time of the last change of the birthday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birthday_set_at: Option<Timestamp>,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The balance that they brought.
    pub points: Points,
    /// The time of the merge.
    pub at: Timestamp,
    /// The time at which it was undone. Who they are is in a record of their own again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_at: Option<Timestamp>,
}

impl MergedCustomer {
    /// The entry of a customer who is merged now.
    pub(crate) fn new(customer: &CustomerRecord, points: Points, at: Timestamp) -> Self {
        Self {
            account: customer.account,
            id: customer.id.clone(),
            email: customer.email.clone(),
            profile: customer.profile.clone(),
            household: customer.household.clone(),
            birthday_set_at: customer.birthday_set_at,
            created_at: customer.created_at,
            points,
            at,
            undone_at: None,
        }
    }

    /// Undoes the merge: returns the customer's record of before, and keeps no personal
    /// data here.
    pub(crate) fn separate(&mut self, shop: ShopId, now: Timestamp) -> CustomerRecord {
        self.undone_at = Some(now);
        CustomerRecord {
            shop,
            account: self.account,
            id: self.id.take(),
            email: self.email.take(),
            profile: std::mem::take(&mut self.profile),
            household: std::mem::take(&mut self.household),
            birthday_set_at: self.birthday_set_at.take(),
            attributes_changed_at: now,
            created_at: self.created_at,
            updated_at: now,
            revision: 1,
            merged: Vec::new(),
        }
    }
}

/// E-mails are stored as the shop writes them.
mod email_text {
    use loyalty_core::Email;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(super) fn serialize<S: Serializer>(
        email: &Option<Email>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        email.as_ref().map(Email::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Email>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| Email::from_stored(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}
