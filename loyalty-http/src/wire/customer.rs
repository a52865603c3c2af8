//! Customers on the wire.

use std::collections::BTreeSet;

use loyalty_core::program::EmailProof;
use loyalty_core::{
    Attributes, Command, CustomerId, Email, ManualTier, Points, Tag, TierId, Timestamp,
};
use loyalty_store::{CustomerRef, CustomerView, FieldChange as Changed, ProfileChange, Receipt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::json::BodyErrorCode;
use super::json::field::{Date, Integer, PatchField, Text, TimeField};
use super::page::PageItems;
use super::schema;
use super::value::{IdText, ParsedField, TimeText, is_future_day, parse_points};
use crate::problem::Problem;

/// The most tags of a customer.
pub(crate) const MAX_TAGS: usize = 250;

/// `allOf`: a reason needs a balance, and an end needs a tier.
fn patch_rules() -> Value {
    json!([
        {
            "description": "A `reason` needs a `point_balance`.",
            "anyOf": [
                { "required": ["point_balance"] },
                { "properties": { "reason": { "type": "null" } } }
            ]
        },
        {
            "description": "A `tier_until` needs a `tier`.",
            "anyOf": [
                schema::needs(&[("tier", "string")]),
                schema::needs(&[("tier", "null"), ("tier_until", "null")]),
                { "properties": { "tier_until": false } }
            ]
        }
    ])
}

/// A customer with an id, an e-mail address or both. A member that is absent or null changes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewCustomer", extend("anyOf" = [schema::needs(&[("customer_id", "string")]), schema::needs(&[("email", "string")])]))]
pub(crate) struct CustomerBody {
    customer_id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
    /// True where the shop has verified that the address is the customer's.
    email_verified: Option<bool>,
    first_name: Option<Text<255>>,
    last_name: Option<Text<255>>,
    birthday: Option<Date>,
    zip: Option<Text<32>>,
    country: Option<Text<100>>,
    #[schemars(length(max = MAX_TAGS))]
    tags: Option<Vec<ParsedField<Tag>>>,
    #[schemars(with = "Option<schema::Attributes>")]
    attributes: Option<Attributes>,
}

impl CustomerBody {
    /// What is known of the address.
    pub(crate) fn email_proof(&self) -> EmailProof {
        email_proof(self.email_verified)
    }

    /// Returns the customer and the change of the profile.
    pub(crate) fn parse(self) -> Result<(CustomerRef, ProfileChange), Problem> {
        let who = parse_customer_ref(self.customer_id, self.email)?;
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
            tags: self.tags.map(parse_tags).transpose()?,
            attributes: self.attributes,
            household: None,
        };
        Ok((who, change))
    }
}

/// The proof of an address in a customer's profile.
pub(crate) fn email_proof(verified: Option<bool>) -> EmailProof {
    if verified == Some(true) { EmailProof::Verified } else { EmailProof::Profile }
}

/// Returns the customer, or a problem where there is neither an id nor an e-mail address.
fn parse_customer_ref(
    id: Option<ParsedField<CustomerId>>,
    email: Option<ParsedField<Email>>,
) -> Result<CustomerRef, Problem> {
    CustomerRef::new(id.map(|id| id.0), email.map(|email| email.0)).ok_or_else(|| {
        let detail = "A customer needs a `customer_id` or an `email`.";
        Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
            .with_param("/customer_id")
    })
}

/// Returns the tags, or a problem where there are too many.
pub(crate) fn parse_tags(tags: Vec<ParsedField<Tag>>) -> Result<BTreeSet<Tag>, Problem> {
    if tags.len() > MAX_TAGS {
        let detail = format!("A customer can have at most {MAX_TAGS} tags.");
        return Err(
            Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail).with_param("/tags")
        );
    }
    Ok(tags.into_iter().map(|tag| tag.0).collect())
}

/// A change of a customer. An absent member stays as it is; null clears it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CustomerChange", extend("allOf" = patch_rules()))]
pub(crate) struct CustomerPatch {
    email: PatchField<ParsedField<Email>>,
    /// True where the shop has verified that the `email` is the customer's.
    email_verified: Option<bool>,
    first_name: PatchField<Text<255>>,
    last_name: PatchField<Text<255>>,
    birthday: PatchField<Date>,
    zip: PatchField<Text<32>>,
    country: PatchField<Text<100>>,
    #[schemars(length(max = MAX_TAGS))]
    tags: PatchField<Vec<ParsedField<Tag>>>,
    /// All attributes.
    #[schemars(with = "Option<schema::Attributes>")]
    attributes: PatchField<Attributes>,
    /// A tier set by hand.
    tier: PatchField<ParsedField<TierId>>,
    /// The end of that tier.
    tier_until: PatchField<TimeField>,
    /// The new balance, reached by an adjusting entry.
    #[schemars(with = "schema::BalancePoints")]
    point_balance: PatchField<Integer>,
    /// The reason for the new balance.
    reason: Option<Text<500>>,
}

impl CustomerPatch {
    /// What is known of the address.
    pub(crate) fn email_proof(&self) -> EmailProof {
        email_proof(self.email_verified)
    }

    /// Returns the change of the profile, and the commands for the account.
    pub(crate) fn parse(self) -> Result<(ProfileChange, Vec<Command>), Problem> {
        let tier = parse_tier(self.tier, self.tier_until)?;
        let balance = parse_balance(self.point_balance, self.reason)?;
        let change = ProfileChange {
            email: to_store_change(self.email, |email| email.0),
            first_name: to_store_change(self.first_name, Text::into_string),
            last_name: to_store_change(self.last_name, Text::into_string),
            birthday: to_store_change(self.birthday, |day| day.0),
            zip: to_store_change(self.zip, Text::into_string),
            country: to_store_change(self.country, Text::into_string),
            tags: match self.tags {
                PatchField::Keep => None,
                PatchField::Clear => Some(BTreeSet::new()),
                PatchField::Set(list) => Some(parse_tags(list)?),
            },
            attributes: match self.attributes {
                PatchField::Keep => None,
                PatchField::Clear => Some(Attributes::EMPTY),
                PatchField::Set(attributes) => Some(attributes),
            },
            household: None,
        };
        Ok((change, [balance, tier].into_iter().flatten().collect()))
    }
}

/// Refuses a birthday in the future.
pub(crate) fn check_birthday(change: &ProfileChange, now: Timestamp) -> Result<(), Problem> {
    match change.birthday {
        Changed::Set(Some(day)) if is_future_day(day, now) => {
            let detail = "A birthday can't be in the future.";
            Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
                .with_param("/birthday"))
        }
        Changed::Set(_) | Changed::Keep => Ok(()),
    }
}

/// Turns a field of a PATCH into a change for the store.
pub(crate) fn to_store_change<T, U>(
    change: PatchField<T>,
    into: impl FnOnce(T) -> U,
) -> Changed<U> {
    match change {
        PatchField::Keep => Changed::Keep,
        PatchField::Clear => Changed::Set(None),
        PatchField::Set(value) => Changed::Set(Some(into(value))),
    }
}

fn parse_tier(
    tier: PatchField<ParsedField<TierId>>,
    until: PatchField<TimeField>,
) -> Result<Option<Command>, Problem> {
    let until = match until {
        PatchField::Keep => None,
        PatchField::Clear => Some(None),
        PatchField::Set(TimeField(at)) => Some(Some(at)),
    };
    match (tier, until) {
        (PatchField::Keep, None) => Ok(None),
        (PatchField::Set(ParsedField(id)), until) => {
            Ok(Some(Command::SetTier(Some(ManualTier { id, until: until.flatten() }))))
        }
        (PatchField::Clear, None | Some(None)) => Ok(Some(Command::SetTier(None))),
        (PatchField::Keep | PatchField::Clear, Some(_)) => {
            let detail = "Say with `tier_until` which `tier` it is the end of.";
            Err(Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
                .with_param("/tier"))
        }
    }
}

fn parse_balance(
    balance: PatchField<Integer>,
    reason: Option<Text<500>>,
) -> Result<Option<Command>, Problem> {
    match (balance, reason) {
        (PatchField::Set(Integer(number)), reason) => {
            let to = parse_points(number, 0, "/point_balance")?;
            let reason = reason.map(|reason| reason.as_str().into());
            Ok(Some(Command::SetBalance { to, reason }))
        }
        (PatchField::Keep, None) => Ok(None),
        (PatchField::Keep, Some(_)) => {
            let detail = "A `reason` is that of a new `point_balance`, which is missing.";
            Err(Problem::bad_request(BodyErrorCode::MissingField.as_str(), detail)
                .with_param("/point_balance"))
        }
        (PatchField::Clear, _) => {
            let detail = "This must be a whole number, not null.";
            Err(Problem::bad_request(BodyErrorCode::WrongType.as_str(), detail)
                .with_param("/point_balance"))
        }
    }
}

/// A customer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Customer")]
pub(crate) struct CustomerResponse<'a> {
    /// Null for a guest, who is known by e-mail only.
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<&'a CustomerId>,
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    #[schemars(with = "Option<schema::Date>")]
    birthday: Option<String>,
    zip: Option<&'a str>,
    country: Option<&'a str>,
    #[schemars(with = "Vec<schema::Id>")]
    tags: &'a BTreeSet<Tag>,
    #[schemars(with = "schema::Attributes")]
    attributes: &'a Attributes,
    /// The tier set by hand, while it is valid.
    #[schemars(with = "Option<schema::Id>")]
    tier: Option<TierId>,
    tier_until: Option<TimeText>,
    #[schemars(with = "schema::Points")]
    point_balance: Points,
    created_at: TimeText,
    updated_at: TimeText,
    /// The request named the e-mail address of a guest, whose account it leaves alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(with = "Option<schema::True>")]
    guest_not_claimed: bool,
}

impl<'a> CustomerResponse<'a> {
    /// The customer after a request.
    pub(crate) fn from_receipt(receipt: &'a Receipt) -> Option<Self> {
        let customer = Self::new(receipt.customer.as_ref()?, receipt.at);
        Some(Self { guest_not_claimed: receipt.guest_not_claimed, ..customer })
    }

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
            attributes: &profile.attributes,
            tier_until: tier.as_ref().and_then(|tier| tier.until).map(TimeText),
            tier: tier.map(|tier| tier.id),
            point_balance: customer.balance(now),
            created_at: TimeText(record.created_at),
            updated_at: TimeText(record.updated_at),
            guest_not_claimed: false,
        }
    }
}

/// The guests whose accounts a customer has claimed, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Claims")]
pub(crate) struct ClaimsResponse<'a> {
    claims: Vec<ClaimResponse<'a>>,
}

/// A guest's account that a customer has claimed by its e-mail address.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Claim")]
struct ClaimResponse<'a> {
    claim_id: IdText,
    /// The address; absent once the claim is undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    /// The balance that it brought.
    #[schemars(with = "schema::Points")]
    points: Points,
    claimed_at: TimeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_at: Option<TimeText>,
}

impl<'a> ClaimsResponse<'a> {
    pub(crate) fn new(customer: &'a CustomerView) -> Self {
        let guests = customer.record().merged.iter().filter(|merged| merged.id.is_none());
        let claims = guests.map(|guest| ClaimResponse {
            claim_id: IdText(guest.account.0),
            email: guest.email.as_ref().map(Email::as_str),
            points: guest.points,
            claimed_at: TimeText(guest.at),
            undone_at: guest.undone_at.map(TimeText),
        });
        Self { claims: claims.collect() }
    }
}

/// A page of customers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Customers")]
pub(crate) struct CustomersResponse<'a> {
    pub(crate) customers: PageItems<CustomerResponse<'a>>,
}

/// The number of all records, or of those that match.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CountResult")]
pub(crate) struct CountResponse {
    #[schemars(with = "schema::Count")]
    pub(crate) count: u64,
}
