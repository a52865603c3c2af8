//! Erasures of customers: what is remembered of them, and the pass that finds what is still
//! stored elsewhere.
//!
//! Who was erased is known by keyed hashes only. So a late report of theirs is recognized, and
//! nobody who has the file can try names against it without its secret.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use loyalty_core::{AccountId, CustomerId, Email, Event, OrderId, Points, ShopId, Timestamp, Zone};
use serde_json::Value;
use sha2::Sha256;

use crate::Store;
use crate::cancel;
use crate::customer_ref::CustomerRef;
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::personal::Redaction;
use crate::record::{CustomerRecord, JournalRow};
use crate::request::{Action, Request};
use crate::search::{SearchKey, SearchQuery};
use crate::transact::StoredResponse;

/// The number of rows, rules or responses that are looked at between two transactions.
const SLICE: usize = 256;

/// The most words of a saved search that are compared with a name.
const MAX_WORDS: usize = 40;

/// A keyed hash of an id, an e-mail or a name.
pub(crate) type PersonHash = [u8; 32];

/// The secret of a store's hashes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ErasureKey(pub(crate) [u8; 32]);

impl fmt::Debug for ErasureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErasureKey")
    }
}

impl ErasureKey {
    pub(crate) fn hash_id(&self, shop: ShopId, id: &str) -> PersonHash {
        self.hash(b'i', shop, &[id])
    }

    pub(crate) fn hash_email(&self, shop: ShopId, email: &Email) -> PersonHash {
        self.hash(b'e', shop, &[email.key()])
    }

    fn hash_name(&self, shop: ShopId, first: &str, last: &str) -> PersonHash {
        self.hash(b'n', shop, &[&first.to_lowercase(), &last.to_lowercase()])
    }

    fn hash(&self, kind: u8, shop: ShopId, parts: &[&str]) -> PersonHash {
        // A key of any length is valid.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return PersonHash::default();
        };
        mac.update(&[kind]);
        mac.update(&shop.0.to_be_bytes());
        for part in parts {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac.finalize().into_bytes().into()
    }
}

/// The erasure of a customer. Names nobody.
///
/// # Example: a customer is erased, and what is left is removed
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, Reply, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let reason = AdjustmentReason::default();
/// let add = Command::AddPoints { points: Points::from(250), reason };
/// let action = Action::for_customer(ada.clone(), Existence::Any, vec![add]);
/// store.execute(Request::new(shop, now, action)).wait()?;
///
/// let erase = || Request::new(shop, now, Action::EraseCustomer { customer: ada.clone() });
/// store.execute(erase()).wait()?;
/// assert!(store.customer(shop, &ada)?.is_none());
/// for erasure in store.unfinished_erasures()? {
///     assert!(store.finish_erasure(&erasure, now)?);
/// }
/// let Reply::Decided(Ok(receipt)) = store.execute(erase()).wait()? else { return Ok(()) };
/// let erasure = receipt.erasure.ok_or("no erasure")?;
/// assert_eq!((erasure.points(), erasure.completed_at()), (Points::from(250), Some(now)));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub(crate) shop: ShopId,
    pub(crate) account: AccountId,
    /// The accounts that were merged into it.
    pub(crate) merged: Vec<AccountId>,
    pub(crate) points: Points,
    pub(crate) redemptions: u32,
    pub(crate) erased_at: Timestamp,
    pub(crate) completed_at: Option<Timestamp>,
    /// Of ids and e-mails. They stay.
    pub(crate) hashes: Vec<PersonHash>,
    /// Of names, until the erasure is complete.
    pub(crate) name_hashes: Vec<PersonHash>,
}

impl Erasure {
    pub(crate) fn new(
        customer: &CustomerRecord,
        merged: Vec<AccountId>,
        key: &ErasureKey,
        now: Timestamp,
    ) -> Self {
        let shop = customer.shop;
        let others = || customer.merged.iter().filter(|merged| merged.undone_at.is_none());
        let emails = customer
            .email
            .iter()
            .chain(others().filter_map(|other| other.email.as_ref()));
        let hashes: BTreeSet<_> = customer
            .ids()
            .map(|id| key.hash_id(shop, id.as_str()))
            .chain(emails.map(|email| key.hash_email(shop, email)))
            .collect();
        let profiles =
            std::iter::once(&customer.profile).chain(others().map(|other| &other.profile));
        let names = profiles.filter_map(|profile| {
            let (first, last) = (profile.first_name.as_ref()?, profile.last_name.as_ref()?);
            Some(key.hash_name(shop, first, last))
        });
        Self {
            shop,
            account: customer.account,
            merged,
            points: Points::ZERO,
            redemptions: 0,
            erased_at: now,
            completed_at: None,
            hashes: hashes.into_iter().collect(),
            name_hashes: names.collect(),
        }
    }

    /// The account that is left: a number for the books.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The shop.
    pub fn shop(&self) -> ShopId {
        self.shop
    }

    /// Points that were removed; negative for debt.
    pub fn points(&self) -> Points {
        self.points
    }

    /// The number of unused redemptions that were cancelled without return.
    pub fn redemptions(&self) -> u32 {
        self.redemptions
    }

    /// The time from which nobody finds the customer.
    pub fn erased_at(&self) -> Timestamp {
        self.erased_at
    }

    /// The time at which nothing about the customer was left in the store's files.
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.completed_at
    }

    pub(crate) fn has_hash(&self, hash: &PersonHash) -> bool {
        self.hashes.contains(hash)
    }

    /// Stands where an id of the customer was.
    pub(crate) fn placeholder(&self) -> Result<CustomerId, Failure> {
        let id = CustomerId::new(format!("(erased {})", self.account));
        id.map_err(|error| Failure::Corrupt(error.to_string()))
    }

    pub(crate) fn without_names(self) -> Self {
        Self { name_hashes: Vec::new(), ..self }
    }

    fn has_account(&self, account: AccountId) -> bool {
        self.account == account || self.merged.contains(&account)
    }
}

/// A part of the pass of an erasure, as a request.
#[derive(Clone, Debug)]
pub struct ErasureStep(pub(crate) Step);

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Replaces rows of the journal.
    Rows { erasure: Arc<Erasure>, rows: Vec<Arc<JournalRow>> },
    /// Removes e-mails from a price rule.
    RuleEmails { erasure: Arc<Erasure>, rule: loyalty_core::PriceRuleId },
    /// Deletes a saved search.
    Search(NumericId),
    /// Removes the content of stored responses, each with its number.
    Responses(Vec<(i64, StoredResponse)>),
    /// Nothing is left.
    Complete(Arc<Erasure>),
}

/// All erasures of a store, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErasureIndex {
    by_hash: HashMap<(ShopId, PersonHash), Arc<Erasure>>,
    unfinished: HashMap<AccountId, Arc<Erasure>>,
}

impl ErasureIndex {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    pub(crate) fn find(&self, shop: ShopId, hash: &PersonHash) -> Option<Arc<Erasure>> {
        self.by_hash.get(&(shop, *hash)).cloned()
    }

    /// Adds an erasure, or a later state of it. One of the same person that came later stays.
    pub(crate) fn insert(&mut self, erasure: &Arc<Erasure>) {
        for hash in &erasure.hashes {
            let known = self
                .by_hash
                .entry((erasure.shop, *hash))
                .or_insert_with(|| Arc::clone(erasure));
            if known.account <= erasure.account {
                *known = Arc::clone(erasure);
            }
        }
        if erasure.completed_at.is_none() {
            self.unfinished.insert(erasure.account, Arc::clone(erasure));
        } else {
            self.unfinished.remove(&erasure.account);
        }
    }

    /// Returns the erasures that are not complete, oldest first.
    pub(crate) fn unfinished(&self) -> Vec<Arc<Erasure>> {
        let mut found: Vec<_> = self.unfinished.values().cloned().collect();
        found.sort_unstable_by_key(|erasure| (erasure.erased_at, erasure.account));
        found
    }
}

/// What the pass reads besides a store's public reads.
pub(crate) trait ErasureScan: Store {
    fn key(&self) -> Result<Arc<ErasureKey>, Failure>;
    /// Returns about `limit` stored responses of all shops after a number, each with its own.
    fn responses_after(
        &self,
        number: i64,
        limit: usize,
    ) -> Result<Vec<(i64, StoredResponse)>, Failure>;
    /// Removes what the store's files still have of replaced content. Returns `false` if a
    /// reader needs it.
    fn purge(&self) -> Result<bool, Failure>;
}

/// Finds and removes what is left of an erased customer. See [`Store::finish_erasure`].
pub(crate) fn finish(
    store: &impl ErasureScan,
    erasure: &Erasure,
    now: Timestamp,
) -> Result<bool, Failure> {
    if erasure.completed_at.is_some() {
        return Ok(true);
    }
    let pass = Pass {
        store,
        erasure: Arc::new(erasure.clone()),
        key: store.key()?,
        now,
    };
    pass.redact_journal()?;
    pass.clear_rules()?;
    pass.delete_searches()?;
    pass.clear_responses()?;
    if !store.purge()? {
        return Ok(false);
    }
    pass.submit(Step::Complete(Arc::clone(&pass.erasure)))?;
    // What the last commit has replaced are hashes of names.
    store.purge()
}

/// One pass over all that can name an erased customer.
struct Pass<'s, S> {
    store: &'s S,
    erasure: Arc<Erasure>,
    key: Arc<ErasureKey>,
    now: Timestamp,
}

impl<S: ErasureScan> Pass<'_, S> {
    fn submit(&self, step: Step) -> Result<(), Failure> {
        let action = Action::ContinueErasure(ErasureStep(step));
        let request = Request::new(self.erasure.shop, self.now, action);
        // A rejection, as of a search that is gone already, leaves nothing to do.
        self.store.execute(request).wait().map(drop)
    }

    fn redact_journal(&self) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            cancel::check()?;
            let rows = self.store.journal(self.erasure.shop, after, SLICE)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.seq;
            let mut redacted = Vec::new();
            for row in &rows {
                redacted.extend(self.redact_row(row)?);
            }
            if !redacted.is_empty() {
                let erasure = Arc::clone(&self.erasure);
                self.submit(Step::Rows { erasure, rows: redacted })?;
            }
        }
    }

    fn redact_row(&self, row: &JournalRow) -> Result<Option<Arc<JournalRow>>, Failure> {
        let is_own = match row.account {
            Some(account) => self.erasure.has_account(account),
            None => self.is_about_own_order(row)?,
        };
        let is_person = |id: &CustomerId| self.is_person(id.as_str());
        let placeholder = self.erasure.placeholder()?;
        let redaction = Redaction { is_own, is_person: &is_person, placeholder: &placeholder };
        let events = redaction.apply(&row.events);
        Ok(events.map(|events| Arc::new(JournalRow { events: events.into(), ..row.clone() })))
    }

    /// Returns `true` for a row about an order that became the customer's only later.
    fn is_about_own_order(&self, row: &JournalRow) -> Result<bool, Failure> {
        let ids: BTreeSet<&OrderId> = row.events.iter().filter_map(Event::order).collect();
        for id in ids {
            let order = self.store.order(self.erasure.shop, id)?;
            let account = order.and_then(|order| order.account);
            if account.is_some_and(|account| self.erasure.has_account(account)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_person(&self, id: &str) -> bool {
        self.erasure.has_hash(&self.key.hash_id(self.erasure.shop, id))
    }

    fn is_email(&self, text: &str) -> bool {
        text.contains('@')
            && Email::from_stored(text).is_ok_and(|email| {
                self.erasure.has_hash(&self.key.hash_email(self.erasure.shop, &email))
            })
    }

    fn clear_rules(&self) -> Result<(), Failure> {
        let mut after = None;
        loop {
            cancel::check()?;
            let page = self.store.price_rules(self.erasure.shop, after, SLICE)?;
            for rule in &page.items {
                after = Some(rule.id);
                let emails = &rule.rule.parts().prerequisite_emails;
                if emails.iter().any(|email| self.is_email(email.as_str())) {
                    let erasure = Arc::clone(&self.erasure);
                    self.submit(Step::RuleEmails { erasure, rule: rule.id })?;
                }
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    fn delete_searches(&self) -> Result<(), Failure> {
        let mut after = None;
        loop {
            cancel::check()?;
            let page = self.store.saved_searches(self.erasure.shop, after, SLICE)?;
            for search in &page.items {
                after = Some(search.number);
                if self.names_person(&search.name) || self.finds_person(&search.query) {
                    self.submit(Step::Search(search.number))?;
                }
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Returns `true` if a text has an e-mail or id of the person, or first and last name. One name
    /// alone, or a tag, is that of many.
    fn names_person(&self, text: &str) -> bool {
        let is_border = |c: char| c.is_whitespace() || "\"'():,;\\*".contains(c);
        let words: Vec<_> = text
            .split(is_border)
            .filter(|word| !word.is_empty())
            .take(MAX_WORDS)
            .collect();
        let is_name = |first: &str, last: &str| {
            let hash = self.key.hash_name(self.erasure.shop, first, last);
            self.erasure.name_hashes.contains(&hash)
        };
        // A number can be anything.
        let is_word = |word: &str| !word.bytes().all(|byte| byte.is_ascii_digit());
        words
            .iter()
            .any(|word| self.is_email(word) || (is_word(word) && self.is_person(word)))
            || words
                .iter()
                .any(|first| words.iter().any(|last| is_name(first, last)))
    }

    /// Returns `true` if a search is for the person.
    fn finds_person(&self, query: &str) -> bool {
        let parsed = SearchQuery::parse(query, self.now, Zone::UTC).unwrap_or_default();
        let is_key = |key: &SearchKey| match key {
            SearchKey::Customer(CustomerRef::Id(id) | CustomerRef::Both(id, _)) => {
                self.is_person(id.as_str())
            }
            SearchKey::Customer(CustomerRef::Email(email)) => self.is_email(email.as_str()),
            SearchKey::Account(account) => self.erasure.has_account(*account),
        };
        parsed.lookup_keys().is_some_and(|keys| keys.iter().any(is_key)) || self.names_person(query)
    }

    fn clear_responses(&self) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            cancel::check()?;
            let found = self.store.responses_after(after, SLICE)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            after = *last;
            let is_of_person = |(_, stored): &(i64, StoredResponse)| {
                stored.shop == self.erasure.shop
                    && stored.at <= self.erasure.erased_at
                    && self.response_names_person(&stored.response.body)
            };
            let found: Vec<_> = found.into_iter().filter(is_of_person).collect();
            if !found.is_empty() {
                self.submit(Step::Responses(found))?;
            }
        }
    }

    fn response_names_person(&self, body: &[u8]) -> bool {
        serde_json::from_slice(body).is_ok_and(|value| self.value_names_person(&value, false))
    }

    /// Looks for e-mails anywhere, and for ids in members that are about customers.
    fn value_names_person(&self, value: &Value, of_customer: bool) -> bool {
        match value {
            Value::String(text) => (of_customer && self.is_person(text)) || self.is_email(text),
            Value::Number(number) => {
                of_customer && number.as_i64().is_some_and(|number| self.is_number(number))
            }
            Value::Array(values) => {
                values.iter().any(|value| self.value_names_person(value, of_customer))
            }
            Value::Object(members) => members.iter().any(|(name, value)| {
                let of_customer = (of_customer && matches!(name.as_str(), "id" | "from"))
                    || name.contains("customer")
                    || name == "referred_by";
                self.value_names_person(value, of_customer)
            }),
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// Returns `true` for the number under which numeric clients know the person.
    fn is_number(&self, number: i64) -> bool {
        let assigned = NumericId::new(number).and_then(NumericId::assigned_index);
        match assigned {
            Some(account) => self.erasure.has_account(AccountId(account)),
            None => self.is_person(&number.to_string()),
        }
    }
}
