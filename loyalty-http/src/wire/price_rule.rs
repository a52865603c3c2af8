//! Price rules on the wire, at `/v1` and for Shopify's clients: the same members.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use loyalty_core::discount::{
    AllocationMethod, CustomerSelection, ItemSelection, PriceRuleParts, PriceRule, QuantityRatio, TargetSelection,
    TargetType, ValueType,
};
use loyalty_core::{
    Amount, CategoryId, CountryId, CustomerId, Email, ProductId, SegmentId, Timestamp, VariantId,
};
use loyalty_store::{NumericId, PriceRuleView};
use rust_decimal::Decimal;
use serde::de::{Deserialize as De, Deserializer, Error, IgnoredAny, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::field::{Change, DecimalText, FromText, Refusal, Text, Timestamp as TimeField};
use super::json::{Code, refuse};
use super::value::{Parsed, Time};
use crate::problem::{Fault, Problem};

/// A price rule to be made or changed. What is absent stays, what is null is cleared. What stands behind the
/// blank line can't be changed; it is part of the last answer, which clients send back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PriceRuleBody {
    title: Change<Text<255>>,
    value_type: Change<Parsed<ValueType>>,
    value: Change<Exact>,
    target_type: Change<Parsed<TargetType>>,
    target_selection: Change<Parsed<TargetSelection>>,
    allocation_method: Change<Parsed<AllocationMethod>>,
    allocation_limit: Change<u32>,
    customer_selection: Change<Parsed<CustomerSelection>>,
    prerequisite_customer_ids: Change<Vec<AnyId<CustomerId>>>,
    customer_segment_prerequisite_ids: Change<Vec<AnyId<SegmentId>>>,
    prerequisite_saved_search_ids: Change<Vec<AnyId<SegmentId>>>,
    prerequisite_emails: Change<Vec<Parsed<Email>>>,
    entitled_product_ids: Change<Vec<AnyId<ProductId>>>,
    entitled_variant_ids: Change<Vec<AnyId<VariantId>>>,
    entitled_collection_ids: Change<Vec<AnyId<CategoryId>>>,
    excluded_product_ids: Change<Vec<AnyId<ProductId>>>,
    excluded_variant_ids: Change<Vec<AnyId<VariantId>>>,
    excluded_collection_ids: Change<Vec<AnyId<CategoryId>>>,
    entitled_country_ids: Change<Vec<AnyId<CountryId>>>,
    prerequisite_product_ids: Change<Vec<AnyId<ProductId>>>,
    prerequisite_variant_ids: Change<Vec<AnyId<VariantId>>>,
    prerequisite_collection_ids: Change<Vec<AnyId<CategoryId>>>,
    prerequisite_subtotal_range: Change<AtLeast<ExactAmount>>,
    prerequisite_quantity_range: Change<AtLeast<u64>>,
    prerequisite_shipping_price_range: Change<AtMost>,
    prerequisite_to_entitlement_quantity_ratio: Change<RatioBody>,
    prerequisite_to_entitlement_purchase: Change<PurchaseBody>,
    usage_limit: Change<u64>,
    once_per_customer: Change<bool>,
    individual_use: Change<bool>,
    starts_at: Change<TimeField>,
    ends_at: Change<TimeField>,

    #[serde(rename = "id")]
    _id: IgnoredAny,
    #[serde(rename = "price_rule_id")]
    _price_rule_id: IgnoredAny,
    #[serde(rename = "revision")]
    _revision: IgnoredAny,
    #[serde(rename = "created_at")]
    _created_at: IgnoredAny,
    #[serde(rename = "updated_at")]
    _updated_at: IgnoredAny,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AtLeast<T> {
    greater_than_or_equal_to: Option<T>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AtMost {
    less_than_or_equal_to: Option<ExactAmount>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioBody {
    prerequisite_quantity: Option<u32>,
    entitled_quantity: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PurchaseBody {
    prerequisite_amount: Option<ExactAmount>,
}

/// A decimal in a string or a JSON number, read from its digits: it never goes through a binary float.
#[derive(Clone, Copy, Debug)]
struct Exact(Decimal);

impl<'de> De<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = raw
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(raw);
        let number = raw.starts_with(['"', '-']) || raw.starts_with(|c: char| c.is_ascii_digit());
        if !number {
            return Err(refuse(
                Code::WrongType,
                "This must be a decimal in a string, such as \"12.50\".",
            ));
        }
        let DecimalText(value) =
            DecimalText::from_text(text).map_err(|error| refuse(error.code, error.sentence))?;
        Ok(Self(value))
    }
}

/// An amount of money, read in the same way.
#[derive(Clone, Copy, Debug)]
struct ExactAmount(Amount);

impl<'de> De<'de> for ExactAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Exact(value) = Exact::deserialize(deserializer)?;
        Amount::new(value)
            .map(Self)
            .map_err(|error| refuse(Code::OutOfRange, format!("This {error}.")))
    }
}

/// An id: a string, or a JSON number that is written as one.
#[derive(Clone, Debug)]
pub(crate) struct AnyId<T>(pub(crate) T);

impl<'de, T: FromText> De<'de> for AnyId<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyIdVisitor(PhantomData)).map(Self)
    }
}

struct AnyIdVisitor<T>(PhantomData<T>);

impl<T: FromText> Visitor<'_> for AnyIdVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an id: a string or a whole number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(|refusal| refuse(refusal.code, refusal.sentence))
    }
}

macro_rules! named {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl FromText for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, Refusal> {
                let known = Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
                known.ok_or_else(|| {
                    let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
                    Refusal { code: Code::InvalidValue, sentence: format!("This must be {}.", names.join(" or ")) }
                })
            }
        }
    )*};
}

named! {
    ValueType: "a type such as \"percentage\"",
    TargetType: "a type such as \"line_item\"",
    TargetSelection: "a selection such as \"all\"",
    AllocationMethod: "a method such as \"across\"",
    CustomerSelection: "a selection such as \"all\"",
}

fn put<T, U>(change: Change<T>, to: &mut U, cleared: U, read: impl FnOnce(T) -> U) {
    match change {
        Change::Keep => {}
        Change::Clear => *to = cleared,
        Change::Set(value) => *to = read(value),
    }
}

fn put_named<T: Copy>(change: Change<Parsed<T>>, to: &mut T) {
    let now = *to;
    put(change, to, now, |value| value.0);
}

fn put_ids<T: Ord>(change: Change<Vec<AnyId<T>>>, to: &mut BTreeSet<T>) {
    put(change, to, BTreeSet::new(), |ids| ids.into_iter().map(|id| id.0).collect());
}

impl PriceRuleBody {
    /// The parts of the rule that this makes of others.
    pub(crate) fn apply(self, mut parts: PriceRuleParts) -> PriceRuleParts {
        put(self.title, &mut parts.title, String::new(), Text::into_string);
        put_named(self.value_type, &mut parts.value_type);
        put(self.value, &mut parts.value, Decimal::ZERO, |value| value.0);
        put_named(self.target_type, &mut parts.target_type);
        put_named(self.target_selection, &mut parts.target_selection);
        put_named(self.allocation_method, &mut parts.allocation_method);
        put(self.allocation_limit, &mut parts.allocation_limit, None, Some);
        put_named(self.customer_selection, &mut parts.customer_selection);
        put_ids(self.prerequisite_customer_ids, &mut parts.prerequisite_customer_ids);
        put_ids(
            self.customer_segment_prerequisite_ids,
            &mut parts.customer_segment_prerequisite_ids,
        );
        put_ids(self.prerequisite_saved_search_ids, &mut parts.prerequisite_saved_search_ids);
        let emails = |emails: Vec<Parsed<Email>>| emails.into_iter().map(|email| email.0).collect();
        put(self.prerequisite_emails, &mut parts.prerequisite_emails, Vec::new(), emails);
        put_ids(self.entitled_product_ids, &mut parts.entitled.products);
        put_ids(self.entitled_variant_ids, &mut parts.entitled.variants);
        put_ids(self.entitled_collection_ids, &mut parts.entitled.collections);
        put_ids(self.excluded_product_ids, &mut parts.excluded.products);
        put_ids(self.excluded_variant_ids, &mut parts.excluded.variants);
        put_ids(self.excluded_collection_ids, &mut parts.excluded.collections);
        put_ids(self.entitled_country_ids, &mut parts.entitled_country_ids);
        put_ids(self.prerequisite_product_ids, &mut parts.prerequisites.products);
        put_ids(self.prerequisite_variant_ids, &mut parts.prerequisites.variants);
        put_ids(self.prerequisite_collection_ids, &mut parts.prerequisites.collections);
        put(
            self.prerequisite_quantity_range,
            &mut parts.prerequisite_quantity_range,
            None,
            |range| range.greater_than_or_equal_to,
        );
        let amount = |amount: ExactAmount| amount.0;
        put(
            self.prerequisite_subtotal_range,
            &mut parts.prerequisite_subtotal_range,
            None,
            |range| range.greater_than_or_equal_to.map(amount),
        );
        put(
            self.prerequisite_shipping_price_range,
            &mut parts.prerequisite_shipping_price_range,
            None,
            |range| range.less_than_or_equal_to.map(amount),
        );
        let purchase = &mut parts.prerequisite_to_entitlement_purchase;
        put(self.prerequisite_to_entitlement_purchase, purchase, None, |purchase| {
            purchase.prerequisite_amount.map(amount)
        });
        let ratio = &mut parts.prerequisite_to_entitlement_quantity_ratio;
        put(self.prerequisite_to_entitlement_quantity_ratio, ratio, None, RatioBody::parse);
        put(self.usage_limit, &mut parts.usage_limit, None, Some);
        put(self.once_per_customer, &mut parts.once_per_customer, false, |once| once);
        put(self.individual_use, &mut parts.individual_use, false, |alone| alone);
        put(self.starts_at, &mut parts.starts_at, Timestamp::UNIX_EPOCH, |at| at.0);
        put(self.ends_at, &mut parts.ends_at, None, |at| Some(at.0));
        parts
    }
}

impl RatioBody {
    /// Shopify's clients send both members as null where there is no ratio.
    fn parse(self) -> Option<QuantityRatio> {
        let Self { prerequisite_quantity, entitled_quantity } = self;
        let some = prerequisite_quantity.is_some() || entitled_quantity.is_some();
        some.then(|| QuantityRatio {
            prerequisite_quantity,
            entitled_quantity: entitled_quantity.unwrap_or_default(),
        })
    }
}

/// The rule of the parts, which stand at this place of the body, or every fault of it.
pub(crate) fn checked(
    parts: PriceRuleParts,
    minor_digits: u32,
    place: &str,
) -> Result<Box<PriceRule>, Problem> {
    PriceRule::new(parts, minor_digits)
        .map(Box::new)
        .map_err(|faults| invalid(&faults, place))
}

/// 422 with every fault of a rule at this place of the body.
pub(crate) fn invalid(faults: &[loyalty_core::Fault], place: &str) -> Problem {
    let detail = match faults.len() {
        1 => "The price rule has a fault.".to_owned(),
        count => format!("The price rule has {count} faults."),
    };
    let faults = faults.iter().map(|fault| Fault {
        pointer: format!("{place}{}", fault.pointer),
        code: fault.code,
        detail: fault.detail.clone().into(),
    });
    let faults: Vec<_> = faults.collect();
    let first = faults.first().map(|fault| fault.pointer.clone()).unwrap_or_default();
    Problem::unprocessable("invalid_price_rule", detail)
        .at(first)
        .faults(faults)
}

/// How ids are written: `/v1` has texts, Shopify's clients take numbers where they are some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    Texts,
    Numbers,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Id<'a> {
    Text(&'a str),
    Number(NumericId),
}

impl Ids {
    fn one(self, text: &str) -> Id<'_> {
        let number = NumericId::parse(text).filter(|_| self == Self::Numbers);
        number.map_or(Id::Text(text), Id::Number)
    }

    fn of<'a>(self, texts: impl Iterator<Item = &'a str>) -> Vec<Id<'a>> {
        texts.map(|text| self.one(text)).collect()
    }
}

/// What a price rule says, as it is answered.
#[derive(Debug, Serialize)]
pub(crate) struct PriceRuleFields<'a> {
    title: &'a str,
    value_type: &'static str,
    value: String,
    target_type: &'static str,
    target_selection: &'static str,
    allocation_method: &'static str,
    allocation_limit: Option<u32>,
    customer_selection: &'static str,
    prerequisite_customer_ids: Vec<Id<'a>>,
    customer_segment_prerequisite_ids: Vec<Id<'a>>,
    prerequisite_saved_search_ids: Vec<Id<'a>>,
    prerequisite_emails: Vec<&'a str>,
    entitled_product_ids: Vec<Id<'a>>,
    entitled_variant_ids: Vec<Id<'a>>,
    entitled_collection_ids: Vec<Id<'a>>,
    excluded_product_ids: Vec<Id<'a>>,
    excluded_variant_ids: Vec<Id<'a>>,
    excluded_collection_ids: Vec<Id<'a>>,
    entitled_country_ids: Vec<Id<'a>>,
    prerequisite_product_ids: Vec<Id<'a>>,
    prerequisite_variant_ids: Vec<Id<'a>>,
    prerequisite_collection_ids: Vec<Id<'a>>,
    prerequisite_subtotal_range: Option<AtLeastAnswer<Amount>>,
    prerequisite_quantity_range: Option<AtLeastAnswer<u64>>,
    prerequisite_shipping_price_range: Option<AtMostAnswer>,
    prerequisite_to_entitlement_quantity_ratio: RatioAnswer,
    prerequisite_to_entitlement_purchase: PurchaseAnswer,
    usage_limit: Option<u64>,
    once_per_customer: bool,
    individual_use: bool,
    starts_at: Time,
    ends_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

#[derive(Debug, Serialize)]
struct AtLeastAnswer<T> {
    greater_than_or_equal_to: T,
}

#[derive(Debug, Serialize)]
struct AtMostAnswer {
    less_than_or_equal_to: Amount,
}

#[derive(Debug, Serialize)]
struct RatioAnswer {
    prerequisite_quantity: Option<u32>,
    entitled_quantity: Option<u32>,
}

#[derive(Debug, Serialize)]
struct PurchaseAnswer {
    prerequisite_amount: Option<Amount>,
}

impl<'a> PriceRuleFields<'a> {
    /// What the parts say of a rule.
    pub(crate) fn new(view: &PriceRuleView, parts: &'a PriceRuleParts, ids: Ids) -> Self {
        let products = |items: &'a ItemSelection| ids.of(items.products.iter().map(ProductId::as_str));
        let variants = |items: &'a ItemSelection| ids.of(items.variants.iter().map(VariantId::as_str));
        let collections =
            |items: &'a ItemSelection| ids.of(items.collections.iter().map(CategoryId::as_str));
        let segments =
            |segments: &'a BTreeSet<SegmentId>| ids.of(segments.iter().map(SegmentId::as_str));
        let ratio = parts.prerequisite_to_entitlement_quantity_ratio;
        Self {
            title: &parts.title,
            value_type: parts.value_type.name(),
            value: parts.value.to_string(),
            target_type: parts.target_type.name(),
            target_selection: parts.target_selection.name(),
            allocation_method: parts.allocation_method.name(),
            allocation_limit: parts.allocation_limit,
            customer_selection: parts.customer_selection.name(),
            prerequisite_customer_ids: ids
                .of(parts.prerequisite_customer_ids.iter().map(CustomerId::as_str)),
            customer_segment_prerequisite_ids: segments(&parts.customer_segment_prerequisite_ids),
            prerequisite_saved_search_ids: segments(&parts.prerequisite_saved_search_ids),
            prerequisite_emails: parts.prerequisite_emails.iter().map(Email::as_str).collect(),
            entitled_product_ids: products(&parts.entitled),
            entitled_variant_ids: variants(&parts.entitled),
            entitled_collection_ids: collections(&parts.entitled),
            excluded_product_ids: products(&parts.excluded),
            excluded_variant_ids: variants(&parts.excluded),
            excluded_collection_ids: collections(&parts.excluded),
            entitled_country_ids: ids.of(parts.entitled_country_ids.iter().map(CountryId::as_str)),
            prerequisite_product_ids: products(&parts.prerequisites),
            prerequisite_variant_ids: variants(&parts.prerequisites),
            prerequisite_collection_ids: collections(&parts.prerequisites),
            prerequisite_subtotal_range: parts
                .prerequisite_subtotal_range
                .map(|greater_than_or_equal_to| AtLeastAnswer { greater_than_or_equal_to }),
            prerequisite_quantity_range: parts
                .prerequisite_quantity_range
                .map(|greater_than_or_equal_to| AtLeastAnswer { greater_than_or_equal_to }),
            prerequisite_shipping_price_range: parts
                .prerequisite_shipping_price_range
                .map(|less_than_or_equal_to| AtMostAnswer { less_than_or_equal_to }),
            prerequisite_to_entitlement_quantity_ratio: RatioAnswer {
                prerequisite_quantity: ratio.and_then(|ratio| ratio.prerequisite_quantity),
                entitled_quantity: ratio.map(|ratio| ratio.entitled_quantity),
            },
            prerequisite_to_entitlement_purchase: PurchaseAnswer {
                prerequisite_amount: parts.prerequisite_to_entitlement_purchase,
            },
            usage_limit: parts.usage_limit,
            once_per_customer: parts.once_per_customer,
            individual_use: parts.individual_use,
            starts_at: Time(parts.starts_at),
            ends_at: parts.ends_at.map(Time),
            created_at: Time(view.created_at),
            updated_at: Time(view.updated_at),
        }
    }
}

/// A price rule as `/v1` answers it.
#[derive(Debug, Serialize)]
pub(crate) struct PriceRuleAnswer<'a> {
    price_rule_id: String,
    revision: u32,
    #[serde(flatten)]
    fields: PriceRuleFields<'a>,
}

impl<'a> From<&'a PriceRuleView> for PriceRuleAnswer<'a> {
    fn from(view: &'a PriceRuleView) -> Self {
        let fields = PriceRuleFields::new(view, view.rule.parts(), Ids::Texts);
        Self {
            price_rule_id: view.id.to_string(),
            revision: view.revision,
            fields,
        }
    }
}

/// A page of price rules.
#[derive(Debug, Serialize)]
pub(crate) struct PriceRulesAnswer<'a> {
    pub(crate) price_rules: Vec<PriceRuleAnswer<'a>>,
}
