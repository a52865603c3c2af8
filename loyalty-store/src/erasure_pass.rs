//! The pass that finds what is still stored about an erased customer, and removes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use loyalty_core::{AccountId, CustomerId, Email, Event, OrderId, ShopId, Timestamp, Zone};
use serde_json::Value;

use crate::Store;
use crate::cancel;
use crate::customer_ref::CustomerRef;
use crate::erasure::{Erasure, ErasureKey, ErasureStep, ResponseRef, Step};
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::personal::Redaction;
use crate::record::JournalRow;
use crate::request::{Action, Request};
use crate::search::{SearchKey, SearchQuery};
use crate::transact::StoredResponse;

/// The number of rows, rules or responses that are looked at between two transactions.
const SLICE: usize = 256;

/// The most words of a saved search that are compared with a name.
const MAX_WORDS: usize = 40;

/// What the pass reads besides a store's public reads.
pub(crate) trait ErasureScan: Store {
    fn key(&self) -> Result<Arc<ErasureKey>, Failure>;
    /// Returns about `limit` stored responses of all shops after a number, each with its own.
    fn responses_after(
        &self,
        number: i64,
        limit: usize,
    ) -> Result<Vec<(i64, StoredResponse)>, Failure>;
    /// Clears what receivers of events have answered about accounts.
    fn clear_answers(&self, shop: ShopId, accounts: &[AccountId]) -> Result<(), Failure>;
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
    let accounts: Vec<_> = erasure.accounts().collect();
    store.clear_answers(erasure.shop, &accounts)?;
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
            let to_ref = |(number, stored): (i64, StoredResponse)| ResponseRef {
                number,
                key: stored.key,
                fingerprint: stored.fingerprint,
                at: stored.at,
            };
            let found = found.into_iter().filter(is_of_person);
            let found: Vec<_> = found.map(to_ref).collect();
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
