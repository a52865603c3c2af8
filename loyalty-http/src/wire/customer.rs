//! Customers on the wire.

use std::collections::BTreeSet;

use loyalty_core::{Command, CustomerId, Email, ManualTier, Points, Tag, TierId, Timestamp};
use loyalty_store::{FieldChange as Changed, CustomerView, ProfileChange, CustomerRef};
use serde::{Deserialize, Serialize};

use super::json::Code;
use super::json::field::{Change, Date, Integer, Text, Timestamp as TimeField};
use super::value::{Parsed, Time, points};
use crate::problem::Problem;

/// How many tags a customer can have.
const MAX_TAGS: usize = 250;

/// A customer as a shop tells of one: a new one, or an order's. What is absent or null says nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerBody {
    customer_id: Option<Parsed<CustomerId>>,
    email: Option<Parsed<Email>>,
    first_name: Option<Text<255>>,
    last_name: Option<Text<255>>,
    birthday: Option<Date>,
    zip: Option<Text<32>>,
    country: Option<Text<100>>,
    tags: Option<Vec<Parsed<Tag>>>,
}

impl CustomerBody {
    /// Who it is and what is told of them.
    pub(crate) fn parse(self) -> Result<(CustomerRef, ProfileChange), Problem> {
        let who = who(self.customer_id, self.email)?;
        let text =
            |text: Option<String>| text.map_or(Changed::Keep, |text| Changed::Set(Some(text)));
        let change = ProfileChange {
            email: Changed::Keep,
            first_name: text(self.first_name.map(Text::into_string)),
            last_name: text(self.last_name.map(Text::into_string)),
            birthday: self
                .birthday
                .map_or(Changed::Keep, |Date(day)| Changed::Set(Some(day))),
            zip: text(self.zip.map(Text::into_string)),
            country: text(self.country.map(Text::into_string)),
            tags: self.tags.map(tags).transpose()?,
            household: None,
        };
        Ok((who, change))
    }
}

/// A customer is named by id or e-mail at least.
fn who(id: Option<Parsed<CustomerId>>, email: Option<Parsed<Email>>) -> Result<CustomerRef, Problem> {
    CustomerRef::new(id.map(|id| id.0), email.map(|email| email.0)).ok_or_else(|| {
        let detail = "A customer needs a `customer_id` or an `email`.";
        Problem::bad_request(Code::MissingField.as_str(), detail).at("/customer_id")
    })
}

/// The tags, if there are not too many.
pub(crate) fn tags(tags: Vec<Parsed<Tag>>) -> Result<BTreeSet<Tag>, Problem> {
    if tags.len() > MAX_TAGS {
        let detail = format!("A customer can have at most {MAX_TAGS} tags.");
        return Err(Problem::unprocessable(Code::OutOfRange.as_str(), detail).at("/tags"));
    }
    Ok(tags.into_iter().map(|tag| tag.0).collect())
}

/// A change of a customer. What is absent stays, what is null is cleared.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CustomerPatch {
    email: Change<Parsed<Email>>,
    first_name: Change<Text<255>>,
    last_name: Change<Text<255>>,
    birthday: Change<Date>,
    zip: Change<Text<32>>,
    country: Change<Text<100>>,
    tags: Change<Vec<Parsed<Tag>>>,
    tier: Change<Parsed<TierId>>,
    tier_until: Change<TimeField>,
    point_balance: Change<Integer>,
    reason: Option<Text<500>>,
}

impl CustomerPatch {
    /// What changes of the record, and what the rules are asked.
    pub(crate) fn parse(self) -> Result<(ProfileChange, Vec<Command>), Problem> {
        let tier = tier(self.tier, self.tier_until)?;
        let balance = balance(self.point_balance, self.reason)?;
        let change = ProfileChange {
            email: changed(self.email, |email| email.0),
            first_name: changed(self.first_name, Text::into_string),
            last_name: changed(self.last_name, Text::into_string),
            birthday: changed(self.birthday, |day| day.0),
            zip: changed(self.zip, Text::into_string),
            country: changed(self.country, Text::into_string),
            tags: match self.tags {
                Change::Keep => None,
                Change::Clear => Some(BTreeSet::new()),
                Change::Set(list) => Some(tags(list)?),
            },
            household: None,
        };
        Ok((change, [balance, tier].into_iter().flatten().collect()))
    }
}

/// What a field of a PATCH asks of the store.
pub(crate) fn changed<T, U>(change: Change<T>, into: impl FnOnce(T) -> U) -> Changed<U> {
    match change {
        Change::Keep => Changed::Keep,
        Change::Clear => Changed::Set(None),
        Change::Set(value) => Changed::Set(Some(into(value))),
    }
}

fn tier(
    tier: Change<Parsed<TierId>>,
    until: Change<TimeField>,
) -> Result<Option<Command>, Problem> {
    let until = match until {
        Change::Keep => None,
        Change::Clear => Some(None),
        Change::Set(TimeField(at)) => Some(Some(at)),
    };
    match (tier, until) {
        (Change::Keep, None) => Ok(None),
        (Change::Set(Parsed(id)), until) => {
            Ok(Some(Command::SetTier(Some(ManualTier { id, until: until.flatten() }))))
        }
        (Change::Clear, None | Some(None)) => Ok(Some(Command::SetTier(None))),
        (Change::Keep | Change::Clear, Some(_)) => {
            let detail = "Say with `tier_until` which `tier` it is the end of.";
            Err(Problem::bad_request(Code::MissingField.as_str(), detail).at("/tier"))
        }
    }
}

fn balance(
    balance: Change<Integer>,
    reason: Option<Text<500>>,
) -> Result<Option<Command>, Problem> {
    match (balance, reason) {
        (Change::Set(Integer(number)), reason) => {
            let to = points(number, 0, "/point_balance")?;
            let reason = reason.map(|reason| reason.as_str().into());
            Ok(Some(Command::SetBalance { to, reason }))
        }
        (Change::Keep, None) => Ok(None),
        (Change::Keep, Some(_)) => {
            let detail = "A `reason` is that of a new `point_balance`, which is missing.";
            Err(Problem::bad_request(Code::MissingField.as_str(), detail).at("/point_balance"))
        }
        (Change::Clear, _) => {
            let detail = "This must be a whole number, not null.";
            Err(Problem::bad_request(Code::WrongType.as_str(), detail).at("/point_balance"))
        }
    }
}

/// A customer as they are answered.
#[derive(Debug, Serialize)]
pub(crate) struct CustomerAnswer<'a> {
    /// Null for a guest, who is known by e-mail only.
    customer_id: Option<&'a CustomerId>,
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    birthday: Option<String>,
    zip: Option<&'a str>,
    country: Option<&'a str>,
    tags: &'a BTreeSet<Tag>,
    /// The one set by hand, while it holds.
    tier: Option<TierId>,
    tier_until: Option<Time>,
    point_balance: Points,
    created_at: Time,
    updated_at: Time,
}

impl<'a> CustomerAnswer<'a> {
    /// The customer as of `now`.
    pub(crate) fn new(customer: &'a CustomerView, now: Timestamp) -> Self {
        let (record, tier) = (customer.record(), customer.tier(now));
        let profile = &record.profile;
        Self {
            customer_id: record.id.as_ref(),
            email: record.email.as_ref().map(Email::as_str),
            first_name: profile.first_name.as_deref(),
            last_name: profile.last_name.as_deref(),
            birthday: profile.birthday.map(|day| day.to_string()),
            zip: profile.zip.as_deref(),
            country: profile.country.as_deref(),
            tags: &profile.tags,
            tier_until: tier.as_ref().and_then(|tier| tier.until).map(Time),
            tier: tier.map(|tier| tier.id),
            point_balance: customer.balance(now),
            created_at: Time(record.created_at),
            updated_at: Time(record.updated_at),
        }
    }
}

/// A page of customers.
#[derive(Debug, Serialize)]
pub(crate) struct CustomersAnswer<'a> {
    pub(crate) customers: Vec<CustomerAnswer<'a>>,
}

/// How many customers there are.
#[derive(Debug, Serialize)]
pub(crate) struct CountAnswer {
    pub(crate) count: u64,
}
