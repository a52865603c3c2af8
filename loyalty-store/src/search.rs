//! Searches for customers, in the words of Shopify's search syntax.

mod parse;

use chrono::TimeDelta;
use loyalty_core::{AccountId, CustomerId, Email, Timestamp, Zone};

use crate::customer_ref::CustomerRef;
use crate::numeric_id::NumericId;
use crate::query::CustomerView;
use crate::record::CustomerRecord;

/// A search for customers. Without terms everybody matches.
///
/// - A bare word is looked for in id, e-mail and names: anywhere, or at their beginning where it ends with `*`.
/// - `field:value` must be the field's value, or its beginning where it ends with `*`: `id` (also
///   `customer_id`), `email`, `first_name`, `last_name`, `tag`, `country`, `tier`.
/// - `points`, `created_at` and `updated_at` are compared: `points:>=100`, `created_at:<2026-02-01`. A date is
///   a whole day in the shop's zone; an instant is written as RFC 3339.
/// - Terms that stand side by side, or with `AND` between them, must all hold; of those with `OR` between them
///   one must, which binds less. `NOT` or `-` before a term, or parentheses, turns it around.
/// - Quotes (`"…"`, and `'…'` around a whole value) and `\` keep blanks, colons and the like as they are.
///
/// Case does not matter, but in ids. `id` also knows customers by their [`NumericId`].
///
/// # Example
/// ```
/// use loyalty_store::SearchQuery;
/// use loyalty_core::{TimeField, Zone};
/// let parse = |text| SearchQuery::parse(text, TimeField::UNIX_EPOCH, Zone::UTC);
/// assert!(parse("tag:vip (points:>=100 OR tier:gold) -country:DE \"ada love\"").is_ok());
/// assert_eq!(
///     parse("colour:red").unwrap_err().to_string(),
///     "there is no field colour; fields are id, email, first_name, last_name, tag, country, tier, points, \
///      created_at and updated_at"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchQuery {
    text: String,
    /// When points and tier are judged.
    now: Timestamp,
    expression: Expression,
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
    /// A parenthesis without its other one.
    #[error("a parenthesis has no other one")]
    UnpairedParenthesis,
    /// An operator with nothing to apply to.
    #[error("{0} must stand by what it applies to")]
    MisplacedOperator(String),
    /// A field that cannot be searched.
    #[error(
        "there is no field {0}; fields are id, email, first_name, last_name, tag, country, tier, points, \
         created_at and updated_at"
    )]
    UnknownField(String),
    /// A field of Shopify's of which nothing is known here.
    #[error("{0} is not kept here, so it can't be searched")]
    UnsupportedField(String),
    /// A field that has no order.
    #[error("{0} can't be compared with > or <")]
    NotComparable(String),
    /// A value that the field can't have.
    #[error("{field} must be compared with {expected}")]
    InvalidValue {
        /// The field.
        field: &'static str,
        /// What its values are.
        expected: &'static str,
    },
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Term(Term),
}

/// Everybody.
impl Default for Expression {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    /// A text of a field, or of any.
    Text(TextField, Pattern),
    Points(Comparison, i64),
    Created(Comparison, TimeRange),
    Updated(Comparison, TimeRange),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextField {
    Any,
    Country,
    Email,
    FirstName,
    Id,
    LastName,
    Tag,
    Tier,
}

/// What a text must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: String,
    /// The same in lower case.
    lowercase: String,
    /// Whether a text need only begin so.
    is_prefix: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Greater,
    AtLeast,
    Less,
    AtMost,
}

/// From the first to the last instant that a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeRange {
    first: Timestamp,
    last: Timestamp,
}

/// What leads to one customer at most.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SearchKey {
    Customer(CustomerRef),
    Account(AccountId),
}

impl SearchQuery {
    /// Reads the terms. Dates are days in the shop's `zone`; points and tiers are those at `now`.
    pub fn parse(text: &str, now: Timestamp, zone: Zone) -> Result<Self, SearchError> {
        Ok(Self {
            text: text.to_owned(),
            now,
            expression: parse::parse_expression(text, zone)?,
        })
    }

    /// The terms as they were written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether everybody matches.
    pub fn is_empty(&self) -> bool {
        self.expression == Expression::default()
    }

    /// Whether a customer matches.
    pub fn matches(&self, customer: &CustomerView) -> bool {
        self.expression.matches(customer.record(), Some((customer, self.now)))
    }

    /// Whether a customer matches, where that can be said without the account.
    pub(crate) fn matches_record(&self, record: &CustomerRecord) -> Option<bool> {
        (!self.expression.needs_account()).then(|| self.expression.matches(record, None))
    }

    /// What leads to all who can match, where an index does: one id or e-mail that must be theirs.
    pub(crate) fn lookup_keys(&self) -> Option<Vec<SearchKey>> {
        self.expression.lookup_keys()
    }
}

impl Expression {
    fn matches(
        &self,
        record: &CustomerRecord,
        account: Option<(&CustomerView, Timestamp)>,
    ) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(record, account)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record, account)),
            Self::Not(part) => !part.matches(record, account),
            Self::Term(term) => term.matches(record, account),
        }
    }

    fn needs_account(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::needs_account),
            Self::Not(part) => part.needs_account(),
            Self::Term(term) => matches!(term, Term::Points(..) | Term::Text(TextField::Tier, _)),
        }
    }

    fn lookup_keys(&self) -> Option<Vec<SearchKey>> {
        match self {
            Self::All(parts) => parts.iter().find_map(Self::lookup_keys),
            Self::Any(parts) => {
                let keys = parts.iter().map(Self::lookup_keys).collect::<Option<Vec<_>>>()?;
                Some(keys.into_iter().flatten().collect())
            }
            Self::Term(Term::Text(field, pattern)) if !pattern.is_prefix => {
                pattern.lookup_keys(*field)
            }
            Self::Not(_) | Self::Term(_) => None,
        }
    }
}

impl Term {
    fn matches(
        &self,
        record: &CustomerRecord,
        account: Option<(&CustomerView, Timestamp)>,
    ) -> bool {
        match self {
            Self::Text(TextField::Tier, pattern) => {
                let tier = account.and_then(|(customer, now)| customer.tier(now));
                tier.is_some_and(|tier| pattern.matches(tier.id.as_str()))
            }
            Self::Text(field, pattern) => field.matches(pattern, record),
            Self::Points(comparison, points) => account.is_some_and(|(customer, now)| {
                comparison.matches(&customer.balance(now).get(), points, points)
            }),
            Self::Created(comparison, span) => {
                comparison.matches(&record.created_at, &span.first, &span.last)
            }
            Self::Updated(comparison, span) => {
                comparison.matches(&record.updated_at, &span.first, &span.last)
            }
        }
    }
}

impl TextField {
    fn matches(self, pattern: &Pattern, record: &CustomerRecord) -> bool {
        let profile = &record.profile;
        let id = record.id.as_ref().map(CustomerId::as_str);
        let email = record.email.as_ref().map(Email::key);
        let (first, last) = (profile.first_name.as_deref(), profile.last_name.as_deref());
        let field = |value: Option<&str>| value.is_some_and(|value| pattern.matches(value));
        match self {
            Self::Any => {
                let name = [first, last].into_iter().flatten().collect::<Vec<_>>().join(" ");
                [id, email, Some(name.as_str()), last]
                    .into_iter()
                    .flatten()
                    .any(|text| pattern.matches_within(text))
            }
            Self::Country => field(profile.country.as_deref()),
            Self::Email => field(email),
            Self::FirstName => field(first),
            Self::Id => {
                pattern.matches_id(id)
                    || pattern.matches_id(Some(&NumericId::from_customer(record).to_string()))
            }
            Self::LastName => field(last),
            Self::Tag => profile.tags.iter().any(|tag| pattern.matches(tag.as_str())),
            // Not of the record.
            Self::Tier => false,
        }
    }
}

impl Pattern {
    fn new(text: String, is_prefix: bool) -> Self {
        let lowercase = text.to_lowercase();
        Self { text, lowercase, is_prefix }
    }

    /// Whether a field's value is, or begins as, the text.
    fn matches(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        if self.is_prefix { value.starts_with(&self.lowercase) } else { value == self.lowercase }
    }

    /// Whether a value has the text in it, or begins with it.
    fn matches_within(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        if self.is_prefix {
            value.starts_with(&self.lowercase)
        } else {
            value.contains(&self.lowercase)
        }
    }

    /// Whether an id is, or begins as, the text; in this very spelling.
    fn matches_id(&self, id: Option<&str>) -> bool {
        id.is_some_and(
            |id| if self.is_prefix { id.starts_with(&self.text) } else { id == self.text },
        )
    }

    /// What the text leads to by an index.
    fn lookup_keys(&self, field: TextField) -> Option<Vec<SearchKey>> {
        match field {
            TextField::Email => Some(
                Email::new(&self.text)
                    .map(|email| SearchKey::Customer(CustomerRef::Email(email)))
                    .into_iter()
                    .collect(),
            ),
            TextField::Id => {
                let given = self
                    .text
                    .parse()
                    .ok()
                    .and_then(NumericId::new)
                    .and_then(NumericId::assigned_index);
                let id = CustomerId::new(&self.text)
                    .ok()
                    .map(|id| SearchKey::Customer(CustomerRef::Id(id)));
                Some(
                    id.into_iter()
                        .chain(given.map(|account| SearchKey::Account(AccountId(account))))
                        .collect(),
                )
            }
            TextField::Any
            | TextField::Country
            | TextField::FirstName
            | TextField::LastName
            | TextField::Tag
            | TextField::Tier => None,
        }
    }
}

impl Comparison {
    /// Whether a value stands so to what lies from `first` to `last`.
    fn matches<T: Ord>(self, value: &T, first: &T, last: &T) -> bool {
        match self {
            Self::Equal => (first..=last).contains(&value),
            Self::Greater => value > last,
            Self::AtLeast => value >= first,
            Self::Less => value < first,
            Self::AtMost => value <= last,
        }
    }
}

impl TimeRange {
    /// All instants from one up to another: times are kept to the microsecond.
    fn between(first: Timestamp, end: Timestamp) -> Option<Self> {
        Some(Self {
            first,
            last: end.checked_sub_signed(TimeDelta::microseconds(1))?,
        })
    }
}
