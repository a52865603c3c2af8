//! Searches for customers in Shopify's search syntax.

mod parse;

use chrono::TimeDelta;
use loyalty_core::{AccountId, CustomerId, Email, Timestamp, Zone};

use crate::customer_ref::CustomerRef;
use crate::numeric_id::NumericId;
use crate::query::CustomerView;
use crate::record::CustomerRecord;

/// A search for customers. A search without terms matches every customer.
///
/// - A bare word matches a part of id, e-mail or name. With a trailing `*` it matches the
///   beginning.
/// - `field:value` matches the field's value, or its beginning with a trailing `*`. The
///   fields are `id` (also `customer_id`), `email`, `first_name`, `last_name`, `tag`,
///   `country` and `tier`.
/// - `points`, `created_at` and `updated_at` can be compared: `points:>=100`,
///   `created_at:<2026-02-01`. A date is a day in the shop's zone; an instant is written
///   as in RFC 3339.
/// - Adjacent terms, or terms joined by `AND`, must all match. Of terms joined by `OR`
///   one must match; `OR` binds less. `NOT` or `-` negates the term or parenthesis behind
///   it.
/// - Quotes (`"…"`, and `'…'` around a whole value) and `\` escape blanks, colons and
///   operators.
///
/// Case is ignored except in ids. `id` also matches a customer's [`NumericId`].
///
/// # Example: a valid search, and an unknown field
/// ```
/// use loyalty_store::SearchQuery;
/// use loyalty_core::{Timestamp, Zone};
/// let parse = |text| SearchQuery::parse(text, Timestamp::UNIX_EPOCH, Zone::UTC);
/// assert!(parse("tag:vip (points:>=100 OR tier:gold) -country:DE \"ada love\"").is_ok());
/// assert_eq!(
///     parse("colour:red").unwrap_err().to_string(),
///     "unknown field colour; fields are id, email, first_name, last_name, tag, country, tier, points, \
///      created_at and updated_at"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchQuery {
    text: String,
    /// The instant at which points and tier are evaluated.
    now: Timestamp,
    expression: Expression,
}

/// The reason why a search is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// More terms or characters than allowed.
    #[error("a search has at most 10 terms and 500 characters")]
    TooLong,
    /// A quote that is not closed.
    #[error("unclosed quote")]
    UnclosedQuote,
    /// A parenthesis without its counterpart.
    #[error("unmatched parenthesis")]
    UnpairedParenthesis,
    /// An operator without an operand.
    #[error("{0} has nothing to apply to")]
    MisplacedOperator(String),
    /// A field that does not exist.
    #[error(
        "unknown field {0}; fields are id, email, first_name, last_name, tag, country, tier, points, \
         created_at and updated_at"
    )]
    UnknownField(String),
    /// A field of Shopify's customers that is not stored here.
    #[error("{0} is not stored and can't be searched")]
    UnsupportedField(String),
    /// A field without an order.
    #[error("{0} can't be compared with > or <")]
    NotComparable(String),
    /// A value that does not fit the field.
    #[error("{field} must be compared with {expected}")]
    InvalidValue {
        /// The field.
        field: &'static str,
        /// A description of valid values.
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

/// Matches every customer.
impl Default for Expression {
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    /// The text of one field, or of any.
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

/// A pattern for texts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    text: String,
    /// The text in lower case.
    lowercase: String,
    /// True if a value matches by its beginning.
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

/// The first and last instant of a day, or one instant twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TimeRange {
    first: Timestamp,
    last: Timestamp,
}

/// An indexed key of at most one customer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SearchKey {
    Customer(CustomerRef),
    Account(AccountId),
}

impl SearchQuery {
    /// Parses a search. Dates are days in the shop's `zone`; points and tiers are
    /// evaluated at `now`. Fails if the text is longer than 500 characters or has more
    /// than 10 terms.
    pub fn parse(text: &str, now: Timestamp, zone: Zone) -> Result<Self, SearchError> {
        Ok(Self {
            text: text.to_owned(),
            now,
            expression: parse::parse_expression(text, zone)?,
        })
    }

    /// Returns the same search of the customers who were created in a period, both ends
    /// included.
    #[must_use]
    pub fn created_between(self, min: Option<Timestamp>, max: Option<Timestamp>) -> Self {
        self.and_times(min, max, Term::Created)
    }

    /// Returns the same search of the customers whose last change is in a period, both ends
    /// included.
    #[must_use]
    pub fn updated_between(self, min: Option<Timestamp>, max: Option<Timestamp>) -> Self {
        self.and_times(min, max, Term::Updated)
    }

    fn and_times(
        mut self,
        min: Option<Timestamp>,
        max: Option<Timestamp>,
        term: fn(Comparison, TimeRange) -> Term,
    ) -> Self {
        let bounds = [(Comparison::AtLeast, min), (Comparison::AtMost, max)];
        let terms: Vec<_> = bounds
            .into_iter()
            .filter_map(|(comparison, at)| {
                let at = at?;
                Some(Expression::Term(term(comparison, TimeRange { first: at, last: at })))
            })
            .collect();
        if !terms.is_empty() {
            let all = std::iter::once(self.expression).chain(terms).collect();
            self.expression = Expression::All(all);
        }
        self
    }

    /// Returns the text that was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns true if the search has no terms.
    pub fn is_empty(&self) -> bool {
        self.expression == Expression::default()
    }

    /// Returns true if a customer matches.
    pub fn matches(&self, customer: &CustomerView) -> bool {
        self.expression.matches(customer.record(), Some((customer, self.now)))
    }

    /// Returns true if a customer matches, or `None` if that depends on the account.
    pub(crate) fn matches_record(&self, record: &CustomerRecord) -> Option<bool> {
        (!self.expression.needs_account()).then(|| self.expression.matches(record, None))
    }

    /// Returns keys of an index that find every customer who can match, or `None` if only
    /// a scan does.
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
            // One part of a conjunction is enough, but a disjunction needs keys for all
            // parts.
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
            // The tier is not part of the record: `Term::matches` evaluates it.
            Self::Tier => false,
        }
    }
}

impl Pattern {
    fn new(text: String, is_prefix: bool) -> Self {
        let lowercase = text.to_lowercase();
        Self { text, lowercase, is_prefix }
    }

    /// Returns true if a value is the text, or begins with it for a prefix. Ignores case.
    fn matches(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        if self.is_prefix { value.starts_with(&self.lowercase) } else { value == self.lowercase }
    }

    /// Returns true if a value contains the text, or begins with it for a prefix. Ignores
    /// case.
    fn matches_within(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        if self.is_prefix {
            value.starts_with(&self.lowercase)
        } else {
            value.contains(&self.lowercase)
        }
    }

    /// Returns true if an id is the text, or begins with it for a prefix. Case matters.
    fn matches_id(&self, id: Option<&str>) -> bool {
        id.is_some_and(
            |id| if self.is_prefix { id.starts_with(&self.text) } else { id == self.text },
        )
    }

    /// Returns the index keys that the text can be in a field, or `None` without an
    /// index.
    fn lookup_keys(&self, field: TextField) -> Option<Vec<SearchKey>> {
        match field {
            TextField::Email => Some(
                Email::new(&self.text)
                    .map(|email| SearchKey::Customer(CustomerRef::Email(email)))
                    .into_iter()
                    .collect(),
            ),
            TextField::Id => {
                let assigned = self
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
                        .chain(assigned.map(|account| SearchKey::Account(AccountId(account))))
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
    /// Returns true if a value compares like this to the range from `first` to `last`.
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
    /// Creates the range of instants from `first` until before `end`. Times are stored to
    /// the microsecond.
    fn between(first: Timestamp, end: Timestamp) -> Option<Self> {
        Some(Self {
            first,
            last: end.checked_sub_signed(TimeDelta::microseconds(1))?,
        })
    }
}
