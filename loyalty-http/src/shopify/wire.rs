//! The request and response bodies of Shopify's clients.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use loyalty_core::program::EmailProof;
use loyalty_core::{
    Amount, CategoryId, Currency, CustomerId, Email, Points, ProductId, Profile, Tag, TierId,
    Timestamp, VariantId,
};
use loyalty_store::{
    CustomerRef, CustomerView, FieldChange, NumericId, ProductRecord, ProductStatus, ProfileChange,
    SavedSearch,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::wire::customer::{MAX_TAGS, email_proof, parse_tags, to_store_change};
use crate::wire::json::BodyErrorCode;
use crate::wire::json::field::{Date, FieldError, FromText, PatchField, Text};
use crate::wire::product::require_text;
use crate::wire::schema;
use crate::wire::value::{ParsedField, TimeText};

/// `{"customer": …}`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShopifyCustomerRequest")]
pub(crate) struct CustomerEnvelope {
    pub(super) customer: ShopifyCustomerBody,
}

/// A customer to be created or changed. An absent member stays as it is; null clears it. The last
/// response can be sent back: members that cannot be changed are ignored.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ShopifyCustomerChange")]
pub(crate) struct ShopifyCustomerBody {
    /// The shop's own id.
    own_id: Option<ParsedField<CustomerId>>,
    email: PatchField<ParsedField<Email>>,
    /// True where the address was verified.
    verified_email: Option<bool>,
    first_name: PatchField<Text<255>>,
    last_name: PatchField<Text<255>>,
    birthday: PatchField<Date>,
    /// A text with commas between the tags, or an array.
    tags: PatchField<TagList>,
    #[schemars(length(max = 1))]
    addresses: PatchField<Vec<ShopifyAddressBody>>,

    #[serde(rename = "id")]
    #[schemars(with = "schema::ReadOnly")]
    _id: IgnoredAny,
    #[serde(rename = "currency")]
    #[schemars(with = "schema::ReadOnly")]
    _currency: IgnoredAny,
    #[serde(rename = "tier")]
    #[schemars(with = "schema::ReadOnly")]
    _tier: IgnoredAny,
    #[serde(rename = "point_balance")]
    #[schemars(with = "schema::ReadOnly")]
    _point_balance: IgnoredAny,
    #[serde(rename = "default_address")]
    #[schemars(with = "schema::ReadOnly")]
    _default_address: IgnoredAny,
    #[serde(rename = "created_at")]
    #[schemars(with = "schema::ReadOnly")]
    _created_at: IgnoredAny,
    #[serde(rename = "updated_at")]
    #[schemars(with = "schema::ReadOnly")]
    _updated_at: IgnoredAny,
}

/// The parts of an address that rules use. Other parts are rejected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShopifyAddressInput")]
struct ShopifyAddressBody {
    zip: Option<Text<32>>,
    country: Option<Text<100>>,
    #[serde(rename = "default")]
    _default: Option<bool>,
}

/// Tags: a string separated by commas, or an array.
#[derive(Debug)]
enum TagList {
    Text(String),
    List(Vec<ParsedField<Tag>>),
}

impl<'de> Deserialize<'de> for TagList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TagListVisitor)
    }
}

impl JsonSchema for TagList {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TagList".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tag = generator.subschema_for::<schema::Id>();
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "array", "maxItems": MAX_TAGS, "items": tag }
            ]
        })
    }
}

struct TagListVisitor;

impl<'de> Visitor<'de> for TagListVisitor {
    type Value = TagList;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string such as \"vip, new\"")
    }

    fn visit_str<E>(self, text: &str) -> Result<TagList, E> {
        Ok(TagList::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<TagList, A::Error> {
        let mut list = Vec::new();
        while let Some(tag) = items.next_element()? {
            list.push(tag);
        }
        Ok(TagList::List(list))
    }
}

impl TagList {
    /// Parses the tags; `None` for a string that equals the customer's tags in the last
    /// response, which changes nothing, even if a tag contains a comma.
    fn parse(self, profile: Option<&Profile>) -> Result<Option<BTreeSet<Tag>>, Problem> {
        let text = match self {
            Self::Text(text) if profile.is_some_and(|profile| join_tags(&profile.tags) == text) => {
                return Ok(None);
            }
            Self::Text(text) => text,
            Self::List(list) => return parse_tags(list).map(Some),
        };

        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let tags = parts
            .map(|part| Tag::from_text(part).map(ParsedField))
            .collect::<Result<_, _>>();
        let invalid = |error: FieldError| {
            Problem::unprocessable(error.code.as_str(), error.detail).with_param("/tags")
        };
        parse_tags(tags.map_err(invalid)?).map(Some)
    }
}

fn join_tags<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> String {
    tags.into_iter().map(Tag::as_str).collect::<Vec<_>>().join(", ")
}

impl ShopifyCustomerBody {
    /// What is known of the address.
    pub(super) fn email_proof(&self) -> EmailProof {
        email_proof(self.verified_email)
    }

    /// A new customer, with an e-mail address or the shop's own id at least.
    pub(super) fn into_new(mut self) -> Result<(CustomerRef, ProfileChange), Problem> {
        let email = match std::mem::take(&mut self.email) {
            PatchField::Set(ParsedField(email)) => Some(email),
            PatchField::Keep | PatchField::Clear => None,
        };
        let customer =
            CustomerRef::new(self.own_id.take().map(|id| id.0), email).ok_or_else(missing_email)?;
        Ok((customer, self.profile_change(None)?))
    }

    /// A change of a known customer, with the reference to the customer.
    pub(super) fn into_change(
        mut self,
        customer: &CustomerView,
    ) -> Result<(CustomerRef, ProfileChange), Problem> {
        let record = customer.record();
        if self
            .own_id
            .take()
            .is_some_and(|ParsedField(id)| record.id.as_ref() != Some(&id))
        {
            let detail = "The `own_id` can't be changed.";
            return Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                .with_param("/own_id"));
        }
        if record.id.is_none() && matches!(self.email, PatchField::Clear) {
            return Err(missing_email());
        }

        let reference = record
            .id
            .clone()
            .map(CustomerRef::Id)
            .or_else(|| record.email.clone().map(CustomerRef::Email));
        let missing = || Problem::internal("the customer has neither id nor e-mail");
        Ok((reference.ok_or_else(missing)?, self.profile_change(Some(&record.profile))?))
    }

    fn profile_change(self, profile: Option<&Profile>) -> Result<ProfileChange, Problem> {
        let (zip, country) = match self.addresses {
            PatchField::Keep => (FieldChange::Keep, FieldChange::Keep),
            PatchField::Clear => (FieldChange::Set(None), FieldChange::Set(None)),
            PatchField::Set(addresses) => parse_address(addresses)?,
        };
        Ok(ProfileChange {
            email: to_store_change(self.email, |email| email.0),
            first_name: to_store_change(self.first_name, Text::into_string),
            last_name: to_store_change(self.last_name, Text::into_string),
            birthday: to_store_change(self.birthday, |day| day.0),
            zip,
            country,
            tags: match self.tags {
                PatchField::Keep => None,
                PatchField::Clear => Some(BTreeSet::new()),
                PatchField::Set(tags) => tags.parse(profile)?,
            },
            attributes: None,
            household: None,
        })
    }
}

fn missing_email() -> Problem {
    Problem::unprocessable(BodyErrorCode::MissingField.as_str(), "A customer must have an `email`.")
        .with_param("/email")
}

fn parse_address(
    addresses: Vec<ShopifyAddressBody>,
) -> Result<(FieldChange<String>, FieldChange<String>), Problem> {
    if addresses.len() > 1 {
        let detail = "A customer can have only one address.";
        return Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
            .with_param("/addresses"));
    }

    let (zip, country) = addresses
        .into_iter()
        .next()
        .map(|address| (address.zip, address.country))
        .unwrap_or_default();
    Ok((
        FieldChange::Set(zip.map(Text::into_string)),
        FieldChange::Set(country.map(Text::into_string)),
    ))
}

/// A customer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyCustomer")]
pub(super) struct ShopifyCustomerResponse<'a> {
    #[schemars(with = "schema::Number")]
    id: NumericId,
    #[schemars(with = "Option<schema::Id>")]
    own_id: Option<&'a CustomerId>,
    #[schemars(with = "Option<schema::Email>")]
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    #[schemars(with = "Option<schema::Date>")]
    birthday: Option<String>,
    /// The tags with commas between them.
    tags: String,
    #[schemars(with = "schema::Currency")]
    currency: &'static str,
    #[schemars(with = "Option<schema::Id>")]
    tier: Option<TierId>,
    #[schemars(with = "schema::Points")]
    point_balance: Points,
    addresses: Vec<ShopifyAddressResponse<'a>>,
    default_address: Option<ShopifyAddressResponse<'a>>,
    created_at: TimeText,
    updated_at: TimeText,
}

/// The parts of an address that rules use.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyAddress")]
struct ShopifyAddressResponse<'a> {
    zip: Option<&'a str>,
    country: Option<&'a str>,
    #[schemars(with = "schema::True")]
    default: bool,
}

impl<'a> ShopifyCustomerResponse<'a> {
    /// The customer as of `now`, in a shop with this currency.
    pub(super) fn new(customer: &'a CustomerView, currency: Currency, now: Timestamp) -> Self {
        let record = customer.record();
        let profile = &record.profile;
        let (zip, country) = (profile.zip.as_deref(), profile.country.as_deref());
        let address = (zip.is_some() || country.is_some()).then_some(ShopifyAddressResponse {
            zip,
            country,
            default: true,
        });

        Self {
            id: NumericId::from_customer(record),
            own_id: record.id.as_ref(),
            email: record.email.as_ref().map(Email::as_str),
            first_name: profile.first_name.as_deref(),
            last_name: profile.last_name.as_deref(),
            birthday: profile.birthday.map(|day| day.to_string()),
            tags: join_tags(&profile.tags),
            currency: currency.code(),
            tier: customer.tier(now).map(|tier| tier.id),
            point_balance: customer.balance(now),
            addresses: address.into_iter().collect(),
            default_address: address,
            created_at: TimeText(record.created_at),
            updated_at: TimeText(record.updated_at),
        }
    }
}

/// A product.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyProduct")]
pub(super) struct ShopifyProductResponse<'a> {
    #[schemars(with = "schema::Number")]
    id: NumericId,
    #[schemars(with = "schema::Id")]
    own_id: &'a ProductId,
    title: &'a str,
    vendor: Option<&'a str>,
    product_type: Option<&'a str>,
    /// The tags with commas between them.
    tags: String,
    #[schemars(with = "ParsedField<ProductStatus>")]
    status: &'static str,
    #[schemars(with = "Vec<schema::Id>")]
    categories: &'a BTreeSet<CategoryId>,
    #[schemars(with = "Option<schema::Amount>")]
    price: Option<Amount>,
    #[schemars(with = "schema::Currency")]
    currency: &'static str,
    variants: Vec<ShopifyVariantResponse<'a>>,
    created_at: TimeText,
    updated_at: TimeText,
}

/// A variant of a product.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifyVariant")]
struct ShopifyVariantResponse<'a> {
    #[schemars(with = "schema::Number")]
    id: NumericId,
    /// The shop's id; null for the only variant of a product without variants.
    #[schemars(with = "Option<schema::Id>")]
    own_id: Option<&'a VariantId>,
    #[schemars(with = "schema::Number")]
    product_id: NumericId,
    title: Option<&'a str>,
    sku: Option<&'a str>,
    /// The price; the product's, where the variant has none.
    #[schemars(with = "Option<schema::Amount>")]
    price: Option<Amount>,
}

impl<'a> ShopifyProductResponse<'a> {
    /// A product in a shop with this currency.
    pub(super) fn new(record: &'a ProductRecord, currency: Currency) -> Self {
        let product = &record.product;
        let variants = product
            .variants
            .iter()
            .zip(&record.variant_numbers)
            .map(|(variant, id)| ShopifyVariantResponse {
                id: *id,
                own_id: Some(&variant.id),
                product_id: record.number,
                title: variant.title.as_deref(),
                sku: variant.sku.as_deref(),
                price: variant.price.or(product.price),
            });

        // Shopify's clients expect one at least. Its number is the product's.
        let only = product.variants.is_empty().then_some(ShopifyVariantResponse {
            id: record.number,
            own_id: None,
            product_id: record.number,
            title: Some("Default Title"),
            sku: None,
            price: product.price,
        });

        Self {
            id: record.number,
            own_id: &product.id,
            title: &product.title,
            vendor: product.vendor.as_deref(),
            product_type: product.product_type.as_deref(),
            tags: join_tags(&product.tags),
            status: product.status.name(),
            categories: &product.categories,
            price: product.price,
            currency: currency.code(),
            variants: variants.chain(only).collect(),
            created_at: TimeText(record.created_at),
            updated_at: TimeText(record.updated_at),
        }
    }
}

/// `{"customer_saved_search": …}`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShopifySavedSearchRequest")]
pub(crate) struct SavedSearchEnvelope {
    pub(super) customer_saved_search: ShopifySavedSearchBody,
}

/// A search to be saved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShopifyNewSavedSearch")]
pub(crate) struct ShopifySavedSearchBody {
    #[schemars(with = "schema::Title")]
    name: Text<255>,
    query: Option<Text<500>>,

    #[serde(default, rename = "id")]
    #[schemars(with = "schema::ReadOnly")]
    _id: IgnoredAny,
    #[serde(default, rename = "created_at")]
    #[schemars(with = "schema::ReadOnly")]
    _created_at: IgnoredAny,
}

impl ShopifySavedSearchBody {
    /// The name, and the text of the search.
    pub(super) fn parse(self) -> Result<(String, String), Problem> {
        let name = require_text(self.name, "/name")?;
        Ok((name, self.query.map(Text::into_string).unwrap_or_default()))
    }
}

/// A saved search.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShopifySavedSearch")]
pub(super) struct ShopifySavedSearchResponse<'a> {
    #[schemars(with = "schema::Number")]
    id: NumericId,
    name: &'a str,
    query: &'a str,
    created_at: TimeText,
}

impl<'a> From<&'a SavedSearch> for ShopifySavedSearchResponse<'a> {
    fn from(search: &'a SavedSearch) -> Self {
        let (name, query) = (search.name.as_str(), search.query.as_str());
        Self {
            id: search.number,
            name,
            query,
            created_at: TimeText(search.created_at),
        }
    }
}
