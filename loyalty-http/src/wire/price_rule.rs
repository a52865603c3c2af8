//! Price rules on the wire, at `/v1` and for Shopify's clients: the same members.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use loyalty_core::discount::{
    AllocationMethod, CustomerSelection, ItemSelection, PriceRule, PriceRuleParts, QuantityRatio,
    TargetSelection, TargetType, ValueType,
};
use loyalty_core::{
    Amount, CategoryId, CountryId, CustomerId, Email, ProductId, Rate, SegmentId, Timestamp,
    VariantId,
};
use loyalty_store::{NumericId, PriceRuleView};
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize as De, Deserializer, Error, IgnoredAny, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json::field::{DecimalText, FieldError, FromText, PatchField, Text, TimeField};
use super::json::{BodyErrorCode, field_error};
use super::page::PageItems;
use super::schema::{self, same_schema};
use super::value::{ParsedField, TimeText};
use crate::problem::{Fault, Problem};

/// A price rule to be created or changed. An absent member stays as it is; null clears it. The last
/// response can be sent back: members that cannot be changed are ignored.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "PriceRuleChange")]
pub(crate) struct PriceRuleBody {
    title: PatchField<Text<255>>,
    value_type: PatchField<ParsedField<ValueType>>,
    /// The discount, below zero.
    value: PatchField<ExactDecimal>,
    target_type: PatchField<ParsedField<TargetType>>,
    target_selection: PatchField<ParsedField<TargetSelection>>,
    allocation_method: PatchField<ParsedField<AllocationMethod>>,
    allocation_limit: PatchField<u32>,
    /// The largest discount of a percentage across all lines.
    maximum_discount: PatchField<ExactAmount>,
    /// The largest share of the goods' price that codes with such a limit take off together, in
    /// percent.
    maximum_share: PatchField<ExactRate>,
    customer_selection: PatchField<ParsedField<CustomerSelection>>,
    prerequisite_customer_ids: PatchField<Vec<AnyId<CustomerId>>>,
    customer_segment_prerequisite_ids: PatchField<Vec<AnyId<SegmentId>>>,
    prerequisite_saved_search_ids: PatchField<Vec<AnyId<SegmentId>>>,
    prerequisite_emails: PatchField<Vec<ParsedField<Email>>>,
    entitled_product_ids: PatchField<Vec<AnyId<ProductId>>>,
    entitled_variant_ids: PatchField<Vec<AnyId<VariantId>>>,
    entitled_collection_ids: PatchField<Vec<AnyId<CategoryId>>>,
    excluded_product_ids: PatchField<Vec<AnyId<ProductId>>>,
    excluded_variant_ids: PatchField<Vec<AnyId<VariantId>>>,
    excluded_collection_ids: PatchField<Vec<AnyId<CategoryId>>>,
    entitled_country_ids: PatchField<Vec<AnyId<CountryId>>>,
    prerequisite_product_ids: PatchField<Vec<AnyId<ProductId>>>,
    prerequisite_variant_ids: PatchField<Vec<AnyId<VariantId>>>,
    prerequisite_collection_ids: PatchField<Vec<AnyId<CategoryId>>>,
    prerequisite_subtotal_range: PatchField<MinimumBody<ExactAmount>>,
    prerequisite_quantity_range: PatchField<MinimumBody<u64>>,
    prerequisite_shipping_price_range: PatchField<MaximumBody>,
    prerequisite_to_entitlement_quantity_ratio: PatchField<RatioBody>,
    prerequisite_to_entitlement_purchase: PatchField<PurchaseBody>,
    usage_limit: PatchField<u64>,
    once_per_customer: PatchField<bool>,
    /// True for a discount without a code: it applies by itself to every cart that satisfies it.
    automatic: PatchField<bool>,
    individual_use: PatchField<bool>,
    starts_at: PatchField<TimeField>,
    ends_at: PatchField<TimeField>,

    #[serde(rename = "id")]
    #[schemars(with = "schema::ReadOnly")]
    _id: IgnoredAny,
    #[serde(rename = "price_rule_id")]
    #[schemars(with = "schema::ReadOnly")]
    _price_rule_id: IgnoredAny,
    #[serde(rename = "revision")]
    #[schemars(with = "schema::ReadOnly")]
    _revision: IgnoredAny,
    #[serde(rename = "created_at")]
    #[schemars(with = "schema::ReadOnly")]
    _created_at: IgnoredAny,
    #[serde(rename = "updated_at")]
    #[schemars(with = "schema::ReadOnly")]
    _updated_at: IgnoredAny,
}

/// A minimum.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct MinimumBody<T> {
    greater_than_or_equal_to: Option<T>,
}

/// A maximum.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Maximum")]
struct MaximumBody {
    less_than_or_equal_to: Option<ExactAmount>,
}

/// The quantities of a buy-and-get offer.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QuantityRatio")]
struct RatioBody {
    prerequisite_quantity: Option<u32>,
    entitled_quantity: Option<u32>,
}

/// A purchase that the discount needs.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Purchase")]
struct PurchaseBody {
    prerequisite_amount: Option<ExactAmount>,
}

/// A decimal in a string or a JSON number, read from its digits: it never goes through a binary float.
#[derive(Clone, Copy, Debug)]
struct ExactDecimal(Decimal);

impl<'de> De<'de> for ExactDecimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = raw
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(raw);
        let number = raw.starts_with(['"', '-']) || raw.starts_with(|c: char| c.is_ascii_digit());
        if !number {
            return Err(field_error(
                BodyErrorCode::WrongType,
                "This must be a decimal in a string, such as \"12.50\".",
            ));
        }
        let DecimalText(value) =
            DecimalText::from_text(text).map_err(|error| field_error(error.code, error.detail))?;
        Ok(Self(value))
    }
}

/// An amount of money, read like [`ExactDecimal`].
#[derive(Clone, Copy, Debug)]
struct ExactAmount(Amount);

impl<'de> De<'de> for ExactAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ExactDecimal(value) = ExactDecimal::deserialize(deserializer)?;
        Amount::new(value)
            .map(Self)
            .map_err(|error| field_error(BodyErrorCode::OutOfRange, format!("This {error}.")))
    }
}

/// A percentage, read like [`ExactDecimal`].
#[derive(Clone, Copy, Debug)]
struct ExactRate(Rate);

impl<'de> De<'de> for ExactRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ExactDecimal(value) = ExactDecimal::deserialize(deserializer)?;
        Rate::new(value)
            .map(Self)
            .map_err(|error| field_error(BodyErrorCode::OutOfRange, format!("This {error}.")))
    }
}

/// An id: a string, or a whole JSON number.
#[derive(Clone, Debug)]
pub(crate) struct AnyId<T>(pub(crate) T);

impl<'de, T: FromText> De<'de> for AnyId<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyIdVisitor(PhantomData)).map(Self)
    }
}

same_schema! {
    (T: FromText) AnyId<T> => schema::AnyId,
    () ExactDecimal => schema::Money,
    () ExactAmount => schema::Money,
    () ExactRate => schema::Money,
    () IdValue<'_> => schema::AnyId,
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
        T::from_text(text).map_err(|refusal| field_error(refusal.code, refusal.detail))
    }
}

macro_rules! impl_from_text_by_name {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl FromText for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Result<Self, FieldError> {
                let known = Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
                known.ok_or_else(|| {
                    let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
                    FieldError { code: BodyErrorCode::InvalidValue, detail: format!("This must be {}.", names.join(" or ")) }
                })
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                schema::one_of_names(Self::NAMES.iter().map(|(name, _)| *name))
            }
        }
    )*};
}

impl_from_text_by_name! {
    ValueType: "a type such as \"percentage\"",
    TargetType: "a type such as \"line_item\"",
    TargetSelection: "a selection such as \"all\"",
    AllocationMethod: "a method such as \"across\"",
    CustomerSelection: "a selection such as \"all\"",
}

fn apply_field<T, U>(change: PatchField<T>, to: &mut U, cleared: U, read: impl FnOnce(T) -> U) {
    match change {
        PatchField::Keep => {}
        PatchField::Clear => *to = cleared,
        PatchField::Set(value) => *to = read(value),
    }
}

fn apply_named<T: Copy>(change: PatchField<ParsedField<T>>, to: &mut T) {
    let now = *to;
    apply_field(change, to, now, |value| value.0);
}

fn apply_ids<T: Ord>(change: PatchField<Vec<AnyId<T>>>, to: &mut BTreeSet<T>) {
    apply_field(change, to, BTreeSet::new(), |ids| ids.into_iter().map(|id| id.0).collect());
}

impl PriceRuleBody {
    /// Returns the parts after the change.
    pub(crate) fn apply(self, mut parts: PriceRuleParts) -> PriceRuleParts {
        apply_field(self.title, &mut parts.title, String::new(), Text::into_string);
        apply_named(self.value_type, &mut parts.value_type);
        apply_field(self.value, &mut parts.value, Decimal::ZERO, |value| value.0);
        apply_named(self.target_type, &mut parts.target_type);
        apply_named(self.target_selection, &mut parts.target_selection);
        apply_named(self.allocation_method, &mut parts.allocation_method);
        apply_field(self.allocation_limit, &mut parts.allocation_limit, None, Some);
        apply_field(self.maximum_discount, &mut parts.maximum_discount, None, |amount| {
            Some(amount.0)
        });
        apply_field(self.maximum_share, &mut parts.maximum_share, None, |share| Some(share.0));
        apply_named(self.customer_selection, &mut parts.customer_selection);
        apply_ids(self.prerequisite_customer_ids, &mut parts.prerequisite_customer_ids);
        apply_ids(
            self.customer_segment_prerequisite_ids,
            &mut parts.customer_segment_prerequisite_ids,
        );
        apply_ids(self.prerequisite_saved_search_ids, &mut parts.prerequisite_saved_search_ids);
        let emails =
            |emails: Vec<ParsedField<Email>>| emails.into_iter().map(|email| email.0).collect();
        apply_field(self.prerequisite_emails, &mut parts.prerequisite_emails, Vec::new(), emails);
        apply_ids(self.entitled_product_ids, &mut parts.entitled.products);
        apply_ids(self.entitled_variant_ids, &mut parts.entitled.variants);
        apply_ids(self.entitled_collection_ids, &mut parts.entitled.collections);
        apply_ids(self.excluded_product_ids, &mut parts.excluded.products);
        apply_ids(self.excluded_variant_ids, &mut parts.excluded.variants);
        apply_ids(self.excluded_collection_ids, &mut parts.excluded.collections);
        apply_ids(self.entitled_country_ids, &mut parts.entitled_country_ids);
        apply_ids(self.prerequisite_product_ids, &mut parts.prerequisites.products);
        apply_ids(self.prerequisite_variant_ids, &mut parts.prerequisites.variants);
        apply_ids(self.prerequisite_collection_ids, &mut parts.prerequisites.collections);
        apply_field(
            self.prerequisite_quantity_range,
            &mut parts.prerequisite_quantity_range,
            None,
            |range| range.greater_than_or_equal_to,
        );
        let amount = |amount: ExactAmount| amount.0;
        apply_field(
            self.prerequisite_subtotal_range,
            &mut parts.prerequisite_subtotal_range,
            None,
            |range| range.greater_than_or_equal_to.map(amount),
        );
        apply_field(
            self.prerequisite_shipping_price_range,
            &mut parts.prerequisite_shipping_price_range,
            None,
            |range| range.less_than_or_equal_to.map(amount),
        );
        let purchase = &mut parts.prerequisite_to_entitlement_purchase;
        apply_field(self.prerequisite_to_entitlement_purchase, purchase, None, |purchase| {
            purchase.prerequisite_amount.map(amount)
        });
        let ratio = &mut parts.prerequisite_to_entitlement_quantity_ratio;
        apply_field(self.prerequisite_to_entitlement_quantity_ratio, ratio, None, RatioBody::parse);
        apply_field(self.usage_limit, &mut parts.usage_limit, None, Some);
        apply_field(self.once_per_customer, &mut parts.once_per_customer, false, |once| once);
        apply_field(self.automatic, &mut parts.automatic, false, |automatic| automatic);
        apply_field(self.individual_use, &mut parts.individual_use, false, |alone| alone);
        apply_field(self.starts_at, &mut parts.starts_at, Timestamp::UNIX_EPOCH, |at| at.0);
        apply_field(self.ends_at, &mut parts.ends_at, None, |at| Some(at.0));
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

/// Builds the rule, or returns a problem with every fault. `place` is the pointer of the rule.
pub(crate) fn build_rule(
    parts: PriceRuleParts,
    minor_digits: u32,
    place: &str,
) -> Result<Box<PriceRule>, Problem> {
    PriceRule::new(parts, minor_digits)
        .map(Box::new)
        .map_err(|faults| invalid_rule(&faults, place))
}

/// 422 with every fault of a rule; `place` is its pointer in the body.
pub(crate) fn invalid_rule(faults: &[loyalty_core::Fault], place: &str) -> Problem {
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
        .with_param(first)
        .with_faults(faults)
}

/// The form of ids: texts for `/v1`, numbers where possible for Shopify's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdFormat {
    Text,
    Number,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum IdValue<'a> {
    Text(&'a str),
    Number(NumericId),
}

impl IdFormat {
    fn format(self, text: &str) -> IdValue<'_> {
        let number = NumericId::parse(text).filter(|_| self == Self::Number);
        number.map_or(IdValue::Text(text), IdValue::Number)
    }

    fn format_all<'a>(self, texts: impl Iterator<Item = &'a str>) -> Vec<IdValue<'a>> {
        texts.map(|text| self.format(text)).collect()
    }
}

/// The members of a price rule.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PriceRuleFields<'a> {
    title: &'a str,
    #[schemars(extend("enum" = ["fixed_amount", "percentage"]))]
    value_type: &'static str,
    #[schemars(with = "schema::Decimal")]
    value: String,
    #[schemars(extend("enum" = ["line_item", "shipping_line"]))]
    target_type: &'static str,
    #[schemars(extend("enum" = ["all", "entitled"]))]
    target_selection: &'static str,
    #[schemars(extend("enum" = ["across", "each"]))]
    allocation_method: &'static str,
    allocation_limit: Option<u32>,
    #[schemars(with = "Option<schema::Amount>")]
    maximum_discount: Option<Amount>,
    #[schemars(with = "Option<schema::Decimal>")]
    maximum_share: Option<Rate>,
    #[schemars(extend("enum" = ["all", "prerequisite"]))]
    customer_selection: &'static str,
    prerequisite_customer_ids: Vec<IdValue<'a>>,
    customer_segment_prerequisite_ids: Vec<IdValue<'a>>,
    prerequisite_saved_search_ids: Vec<IdValue<'a>>,
    #[schemars(with = "Vec<schema::Email>")]
    prerequisite_emails: Vec<&'a str>,
    entitled_product_ids: Vec<IdValue<'a>>,
    entitled_variant_ids: Vec<IdValue<'a>>,
    entitled_collection_ids: Vec<IdValue<'a>>,
    excluded_product_ids: Vec<IdValue<'a>>,
    excluded_variant_ids: Vec<IdValue<'a>>,
    excluded_collection_ids: Vec<IdValue<'a>>,
    entitled_country_ids: Vec<IdValue<'a>>,
    prerequisite_product_ids: Vec<IdValue<'a>>,
    prerequisite_variant_ids: Vec<IdValue<'a>>,
    prerequisite_collection_ids: Vec<IdValue<'a>>,
    #[schemars(with = "Option<MinimumResponse<schema::Amount>>")]
    prerequisite_subtotal_range: Option<MinimumResponse<Amount>>,
    #[schemars(with = "Option<MinimumResponse<schema::Count>>")]
    prerequisite_quantity_range: Option<MinimumResponse<u64>>,
    prerequisite_shipping_price_range: Option<MaximumResponse>,
    prerequisite_to_entitlement_quantity_ratio: RatioResponse,
    prerequisite_to_entitlement_purchase: PurchaseResponse,
    usage_limit: Option<u64>,
    once_per_customer: bool,
    /// True if the rule applies by itself, without a code.
    automatic: bool,
    individual_use: bool,
    starts_at: TimeText,
    ends_at: Option<TimeText>,
    created_at: TimeText,
    updated_at: TimeText,
}

/// A minimum.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct MinimumResponse<T> {
    greater_than_or_equal_to: T,
}

/// A maximum.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MaximumValue")]
struct MaximumResponse {
    #[schemars(with = "schema::Amount")]
    less_than_or_equal_to: Amount,
}

/// The quantities of a buy-and-get offer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "QuantityRatioValue")]
struct RatioResponse {
    prerequisite_quantity: Option<u32>,
    entitled_quantity: Option<u32>,
}

/// A purchase that the discount needs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PurchaseValue")]
struct PurchaseResponse {
    #[schemars(with = "Option<schema::Amount>")]
    prerequisite_amount: Option<Amount>,
}

impl<'a> PriceRuleFields<'a> {
    /// The members of a rule with these parts.
    pub(crate) fn new(view: &PriceRuleView, parts: &'a PriceRuleParts, ids: IdFormat) -> Self {
        let products =
            |items: &'a ItemSelection| ids.format_all(items.products.iter().map(ProductId::as_str));
        let variants =
            |items: &'a ItemSelection| ids.format_all(items.variants.iter().map(VariantId::as_str));
        let collections = |items: &'a ItemSelection| {
            ids.format_all(items.collections.iter().map(CategoryId::as_str))
        };
        let segments = |segments: &'a BTreeSet<SegmentId>| {
            ids.format_all(segments.iter().map(SegmentId::as_str))
        };
        let ratio = parts.prerequisite_to_entitlement_quantity_ratio;
        Self {
            title: &parts.title,
            value_type: parts.value_type.name(),
            value: parts.value.to_string(),
            target_type: parts.target_type.name(),
            target_selection: parts.target_selection.name(),
            allocation_method: parts.allocation_method.name(),
            allocation_limit: parts.allocation_limit,
            maximum_discount: parts.maximum_discount,
            maximum_share: parts.maximum_share,
            customer_selection: parts.customer_selection.name(),
            prerequisite_customer_ids: ids
                .format_all(parts.prerequisite_customer_ids.iter().map(CustomerId::as_str)),
            customer_segment_prerequisite_ids: segments(&parts.customer_segment_prerequisite_ids),
            prerequisite_saved_search_ids: segments(&parts.prerequisite_saved_search_ids),
            prerequisite_emails: parts.prerequisite_emails.iter().map(Email::as_str).collect(),
            entitled_product_ids: products(&parts.entitled),
            entitled_variant_ids: variants(&parts.entitled),
            entitled_collection_ids: collections(&parts.entitled),
            excluded_product_ids: products(&parts.excluded),
            excluded_variant_ids: variants(&parts.excluded),
            excluded_collection_ids: collections(&parts.excluded),
            entitled_country_ids: ids
                .format_all(parts.entitled_country_ids.iter().map(CountryId::as_str)),
            prerequisite_product_ids: products(&parts.prerequisites),
            prerequisite_variant_ids: variants(&parts.prerequisites),
            prerequisite_collection_ids: collections(&parts.prerequisites),
            prerequisite_subtotal_range: parts
                .prerequisite_subtotal_range
                .map(|greater_than_or_equal_to| MinimumResponse { greater_than_or_equal_to }),
            prerequisite_quantity_range: parts
                .prerequisite_quantity_range
                .map(|greater_than_or_equal_to| MinimumResponse { greater_than_or_equal_to }),
            prerequisite_shipping_price_range: parts
                .prerequisite_shipping_price_range
                .map(|less_than_or_equal_to| MaximumResponse { less_than_or_equal_to }),
            prerequisite_to_entitlement_quantity_ratio: RatioResponse {
                prerequisite_quantity: ratio.and_then(|ratio| ratio.prerequisite_quantity),
                entitled_quantity: ratio.map(|ratio| ratio.entitled_quantity),
            },
            prerequisite_to_entitlement_purchase: PurchaseResponse {
                prerequisite_amount: parts.prerequisite_to_entitlement_purchase,
            },
            usage_limit: parts.usage_limit,
            once_per_customer: parts.once_per_customer,
            automatic: parts.automatic,
            individual_use: parts.individual_use,
            starts_at: TimeText(parts.starts_at),
            ends_at: parts.ends_at.map(TimeText),
            created_at: TimeText(view.created_at),
            updated_at: TimeText(view.updated_at),
        }
    }
}

/// A price rule.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PriceRule")]
pub(crate) struct PriceRuleResponse<'a> {
    #[schemars(with = "schema::Numeral")]
    price_rule_id: String,
    #[schemars(with = "schema::Count")]
    revision: u32,
    #[serde(flatten)]
    fields: PriceRuleFields<'a>,
}

impl<'a> From<&'a PriceRuleView> for PriceRuleResponse<'a> {
    fn from(view: &'a PriceRuleView) -> Self {
        let fields = PriceRuleFields::new(view, view.rule.parts(), IdFormat::Text);
        Self {
            price_rule_id: view.id.to_string(),
            revision: view.revision,
            fields,
        }
    }
}

/// A page of price rules.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PriceRules")]
pub(crate) struct PriceRulesResponse<'a> {
    pub(crate) price_rules: PageItems<PriceRuleResponse<'a>>,
}
