//! What can be read, in the forms that callers need.

use std::sync::Arc;

use loyalty_core::{Account, ManualTier, Points, Timestamp};

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

/// A search for customers: terms that all must hold. Without terms everybody matches.
///
/// A bare term is looked for in id, e-mail and names; `field:value` in one of `id`, `email`,
/// `first_name`, `last_name`, `tag`, `country`. Case does not matter. Quotes keep blanks together.
///
/// # Example
/// ```
/// use loyalty_store::SearchQuery;
/// assert!(SearchQuery::parse("tag:vip \"ada love\"").is_ok());
/// assert!(SearchQuery::parse("colour:red").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchQuery {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    field: Field,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Any,
    Country,
    Email,
    FirstName,
    Id,
    LastName,
    Tag,
}

/// Why a search cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// More terms or text than are looked for.
    #[error("a search has at most 10 terms and 500 characters")]
    TooLong,
    /// A quote that nothing closes.
    #[error("a quote is not closed")]
    UnclosedQuote,
    /// A field that cannot be searched.
    #[error("there is no field {0}; fields are id, email, first_name, last_name, tag and country")]
    UnknownField(String),
}

impl SearchQuery {
    /// Reads the terms.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        if text.chars().count() > 500 {
            return Err(SearchError::TooLong);
        }
        let terms = words(text)?.iter().map(|word| Term::parse(word)).collect::<Result<Vec<_>, _>>()?;
        if terms.len() > 10 { Err(SearchError::TooLong) } else { Ok(Self { terms }) }
    }

    /// Whether everybody matches.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a customer matches.
    pub fn matches(&self, customer: &CustomerRecord) -> bool {
        self.terms.iter().all(|term| term.matches(customer))
    }
}

/// Splits at blanks outside quotes; quotes themselves are dropped.
fn words(text: &str) -> Result<Vec<String>, SearchError> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        } else if c.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    if quoted { Err(SearchError::UnclosedQuote) } else { Ok(words) }
}

impl Term {
    fn parse(word: &str) -> Result<Self, SearchError> {
        let Some((field, text)) = word.split_once(':') else {
            return Ok(Self { field: Field::Any, text: word.to_lowercase() });
        };
        let field = match field {
            "country" => Field::Country,
            "email" => Field::Email,
            "first_name" => Field::FirstName,
            "id" | "customer_id" => Field::Id,
            "last_name" => Field::LastName,
            "tag" => Field::Tag,
            other => return Err(SearchError::UnknownField(other.to_owned())),
        };
        Ok(Self { field, text: text.to_lowercase() })
    }

    /// A bare term is found anywhere in a text; a field's value must be the field's, or its beginning
    /// where it ends with `*`.
    fn matches(&self, customer: &CustomerRecord) -> bool {
        let profile = &customer.profile;
        let id = customer.id.as_ref().map(loyalty_core::CustomerId::as_str);
        let email = customer.email.as_ref().map(loyalty_core::Email::key);
        let names = [profile.first_name.as_deref(), profile.last_name.as_deref()];
        match self.field {
            Field::Any => {
                let name = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
                [id, email, Some(name.as_str())]
                    .into_iter()
                    .flatten()
                    .any(|text| text.to_lowercase().contains(&self.text))
            }
            Field::Country => self.is(profile.country.as_deref()),
            Field::Email => self.is(email),
            Field::FirstName => self.is(profile.first_name.as_deref()),
            Field::Id => self.is(id),
            Field::LastName => self.is(profile.last_name.as_deref()),
            Field::Tag => profile.tags.iter().any(|tag| self.is(Some(tag.as_str()))),
        }
    }

    fn is(&self, value: Option<&str>) -> bool {
        let Some(value) = value.map(str::to_lowercase) else { return false };
        match self.text.strip_suffix('*') {
            Some(beginning) => value.starts_with(beginning),
            None => value == self.text,
        }
    }
}
