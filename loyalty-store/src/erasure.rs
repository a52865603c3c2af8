//! Erasures of customers: what is remembered of them.
//!
//! Who was erased is known by keyed hashes only. So a late report of theirs is recognized, and
//! nobody who has the file can try names against it without its secret.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use loyalty_core::{AccountId, CustomerId, Email, Points, PriceRuleId, ShopId, Timestamp};
use sha2::Sha256;

use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::record::{CustomerRecord, JournalRow};

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

    pub(crate) fn hash_name(&self, shop: ShopId, first: &str, last: &str) -> PersonHash {
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

    /// The accounts that were the person's.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        std::iter::once(self.account).chain(self.merged.iter().copied())
    }

    pub(crate) fn has_account(&self, account: AccountId) -> bool {
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
    RuleEmails { erasure: Arc<Erasure>, rule: PriceRuleId },
    /// Deletes a saved search.
    Search(NumericId),
    /// Removes the content of stored responses.
    Responses(Vec<ResponseRef>),
    /// Nothing is left.
    Complete(Arc<Erasure>),
}

/// A stored response without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResponseRef {
    pub(crate) number: i64,
    pub(crate) key: [u8; 16],
    pub(crate) fingerprint: [u8; 16],
    pub(crate) at: Timestamp,
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
