//! The rule behind a code: what it takes off, from what, for whom and when.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::cart::{CartLine, Customer};
use super::validate;
use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::customer::Email;
use crate::fault::Fault;
use crate::id::{CategoryId, CountryId, CustomerId, ProductId, SegmentId, VariantId};

/// A checked price rule.
///
/// Its stored form (feature `json`) leaves the prerequisite e-mails out, since a journal holds no personal
/// data: a store keeps them in a table of their own and puts them back by [`PriceRule::with_emails`].
/// Without them the rule admits fewer customers, never more.
///
/// # Example: every fault at once, with Shopify's names
/// ```
/// use loyalty_core::discount::{Parts, PriceRule, TargetType};
/// let parts = Parts { value: "10".parse().unwrap(), target_type: TargetType::ShippingLine, ..Parts::default() };
/// let faults = PriceRule::new(parts, 2).unwrap_err();
/// let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
/// assert_eq!(pointers, ["/title", "/value", "/allocation_method"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(try_from = "StoredPriceRule", into = "StoredPriceRule"))]
pub struct PriceRule {
    parts: PriceRuleParts,
    discount_value: DiscountValue,
    minor_digits: u32,
    emails_stored_separately: bool,
}

impl PriceRule {
    /// How many ids each list of a rule can have.
    pub const MAX_IDS: usize = 1_000;

    /// Checks the rule whole, for a currency with so many minor digits (2 for USD, 0 for JPY). The
    /// pointers are those of Shopify's fields.
    ///
    /// What it can't know is which variant is of which product: see [`PriceRule::find_variant_faults`].
    pub fn new(parts: PriceRuleParts, minor_digits: u32) -> Result<Self, Vec<Fault>> {
        Self::validate(parts, minor_digits, false)
    }

    fn validate(
        parts: PriceRuleParts,
        minor_digits: u32,
        emails_apart: bool,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = validate::find_faults(&parts, minor_digits, emails_apart);
        match validate::validate_value(&parts, minor_digits) {
            Ok(off) if faults.is_empty() => Ok(Self {
                parts,
                discount_value: off,
                minor_digits,
                emails_stored_separately: emails_apart,
            }),
            Ok(_) => Err(faults),
            Err(fault) => {
                // After the title, as in the document.
                let place =
                    usize::from(faults.first().is_some_and(|fault| fault.pointer == "/title"));
                faults.insert(place, fault);
                Err(faults)
            }
        }
    }

    /// A rule may name a product or variants of it, not both: each variant that contradicts that, for a
    /// caller who knows the products. `variants_of` is asked of the rule's products, and only where the rule
    /// names variants as well.
    ///
    /// # Errors
    /// Those of `variants_of`.
    pub fn find_variant_faults<E>(
        &self,
        variants_of: impl FnMut(&ProductId) -> Result<Vec<VariantId>, E>,
    ) -> Result<Vec<Fault>, E> {
        validate::find_variant_faults(&self.parts, variants_of)
    }

    /// What was configured.
    pub fn parts(&self) -> &PriceRuleParts {
        &self.parts
    }

    /// How many decimals the rule's currency has.
    pub fn minor_digits(&self) -> u32 {
        self.minor_digits
    }

    /// What the rule takes off.
    pub fn discount_value(&self) -> DiscountValue {
        self.discount_value
    }

    /// The class decides which discounts come first: each class takes from what the earlier ones left.
    pub fn class(&self) -> Class {
        let PriceRuleParts { target_type, target_selection, allocation_method, .. } = self.parts;
        match (target_type, target_selection, allocation_method) {
            (TargetType::ShippingLine, _, _) => Class::Shipping,
            (TargetType::LineItem, TargetSelection::All, AllocationMethod::Across) => Class::Order,
            (TargetType::LineItem, _, _) => Class::Product,
        }
    }

    /// Whether the code can be used at this instant: `starts_at` is in, `ends_at` is out.
    pub fn is_active_at(&self, at: Timestamp) -> bool {
        at >= self.parts.starts_at && !self.has_ended(at)
    }

    pub(super) fn has_ended(&self, at: Timestamp) -> bool {
        self.parts.ends_at.is_some_and(|end| at >= end)
    }

    /// Whether the rule is for this customer.
    pub fn admits(&self, customer: &Customer) -> bool {
        let parts = &self.parts;
        parts.customer_selection == CustomerSelection::All
            || customer
                .id
                .iter()
                .chain(&customer.aliases)
                .any(|id| parts.prerequisite_customer_ids.contains(id))
            || customer
                .email
                .as_ref()
                .is_some_and(|email| parts.prerequisite_emails.contains(email))
            || !parts
                .customer_segment_prerequisite_ids
                .is_disjoint(&customer.segments)
            || !parts.prerequisite_saved_search_ids.is_disjoint(&customer.segments)
    }

    /// Whether the rule's discount is for this line. Gift cards are money, not goods: nothing is taken off.
    pub fn entitles(&self, line: &CartLine) -> bool {
        let selected = match self.parts.target_selection {
            TargetSelection::All => true,
            TargetSelection::Entitled => self.parts.entitled.contains(line),
        };
        selected && !line.gift_card && !self.parts.excluded.contains(line)
    }

    /// Whether e-mails of it are kept apart, to be put back by [`PriceRule::with_emails`].
    pub fn has_separate_emails(&self) -> bool {
        self.emails_stored_separately
    }

    /// The rule without its e-mails, as it stands in a journal.
    #[must_use]
    pub fn without_emails(&self) -> Self {
        let mut rule = self.clone();
        rule.emails_stored_separately |= !rule.parts.prerequisite_emails.is_empty();
        rule.parts.prerequisite_emails = Vec::new();
        rule
    }

    /// Puts e-mails back that were kept apart.
    #[must_use]
    pub fn with_emails(&self, emails: Vec<Email>) -> Self {
        let mut rule = self.clone();
        if rule.emails_stored_separately {
            rule.parts.prerequisite_emails = emails;
            rule.emails_stored_separately = rule.parts.prerequisite_emails.is_empty();
        }
        rule
    }
}

/// A price rule as it is written down: Shopify's fields, and those that store plugins send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default, deny_unknown_fields))]
pub struct PriceRuleParts {
    /// The merchant's name for it.
    pub title: String,
    /// What `value` is.
    pub value_type: ValueType,
    /// Less than zero: an amount in the shop's currency, or a percentage down to -100 with at most six
    /// decimals.
    #[cfg_attr(feature = "json", serde(with = "decimal_text"))]
    pub value: Decimal,
    /// What it is taken off.
    pub target_type: TargetType,
    /// Off all of that, or off what is entitled.
    pub target_selection: TargetSelection,
    /// Off each line by itself, or once and shared out.
    pub allocation_method: AllocationMethod,
    /// How many applications one cart gets: of a buy-X-get-Y rule, else units, the dearest first.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub allocation_limit: Option<u32>,
    /// Everyone, or whoever is listed below.
    pub customer_selection: CustomerSelection,
    /// Customers who may use it.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub prerequisite_customer_ids: BTreeSet<CustomerId>,
    /// Segments whose customers may use it.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_segment_prerequisite_ids: BTreeSet<SegmentId>,
    /// Saved searches whose customers may use it: what Shopify had before segments.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub prerequisite_saved_search_ids: BTreeSet<SegmentId>,
    /// E-mail addresses that may use it. Personal data: not part of the stored form.
    #[cfg_attr(feature = "json", serde(skip))]
    pub prerequisite_emails: Vec<Email>,
    /// What is entitled: `entitled_product_ids`, `entitled_variant_ids`, `entitled_collection_ids`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ItemSelection::is_empty"))]
    pub entitled: ItemSelection,
    /// What never is: `excluded_product_ids`, `excluded_variant_ids`, `excluded_collection_ids`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ItemSelection::is_empty"))]
    pub excluded: ItemSelection,
    /// Countries that a shipping discount is for.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub entitled_country_ids: BTreeSet<CountryId>,
    /// What must be bought: `prerequisite_product_ids`, `prerequisite_variant_ids`,
    /// `prerequisite_collection_ids`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ItemSelection::is_empty"))]
    pub prerequisites: ItemSelection,
    /// Shopify's `greater_than_or_equal_to`: what the entitled lines cost at least, before any discount.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_subtotal_range: Option<Amount>,
    /// Shopify's `greater_than_or_equal_to`: how many units the entitled lines have at least, together.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_quantity_range: Option<u64>,
    /// Shopify's `less_than_or_equal_to`: what a shipping line costs at most to be free.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_shipping_price_range: Option<Amount>,
    /// Buy X get Y.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_to_entitlement_quantity_ratio: Option<QuantityRatio>,
    /// Shopify's `prerequisite_amount`: spend X get Y.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_to_entitlement_purchase: Option<Amount>,
    /// How often each code of the rule can be used.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub usage_limit: Option<u64>,
    /// Each customer uses a code once.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub once_per_customer: bool,
    /// The code does not combine with others, whatever the program says.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub individual_use: bool,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when; over at that instant.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub ends_at: Option<Timestamp>,
}

impl Default for PriceRuleParts {
    /// Shopify's defaults: off all lines, across them, for everyone, at any time. Title and value are
    /// to be filled in.
    fn default() -> Self {
        Self {
            title: String::new(),
            value_type: ValueType::FixedAmount,
            value: Decimal::ZERO,
            target_type: TargetType::LineItem,
            target_selection: TargetSelection::All,
            allocation_method: AllocationMethod::Across,
            allocation_limit: None,
            customer_selection: CustomerSelection::All,
            prerequisite_customer_ids: BTreeSet::new(),
            customer_segment_prerequisite_ids: BTreeSet::new(),
            prerequisite_saved_search_ids: BTreeSet::new(),
            prerequisite_emails: Vec::new(),
            entitled: ItemSelection::default(),
            excluded: ItemSelection::default(),
            entitled_country_ids: BTreeSet::new(),
            prerequisites: ItemSelection::default(),
            prerequisite_subtotal_range: None,
            prerequisite_quantity_range: None,
            prerequisite_shipping_price_range: None,
            prerequisite_to_entitlement_quantity_ratio: None,
            prerequisite_to_entitlement_purchase: None,
            usage_limit: None,
            once_per_customer: false,
            individual_use: false,
            starts_at: Timestamp::UNIX_EPOCH,
            ends_at: None,
        }
    }
}

/// Things that a cart's line can be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default, deny_unknown_fields))]
pub struct ItemSelection {
    /// Products, with all their variants.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Single variants.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub variants: BTreeSet<VariantId>,
    /// Collections (categories), with all their products.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub collections: BTreeSet<CategoryId>,
}

impl ItemSelection {
    /// Nothing is named.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty() && self.variants.is_empty() && self.collections.is_empty()
    }

    /// Whether the line is one of them.
    pub fn contains(&self, line: &CartLine) -> bool {
        line.product
            .as_ref()
            .is_some_and(|product| self.products.contains(product))
            || line
                .variant
                .as_ref()
                .is_some_and(|variant| self.variants.contains(variant))
            || line
                .categories
                .iter()
                .any(|category| self.collections.contains(category))
    }
}

/// Shopify's `prerequisite_to_entitlement_quantity_ratio`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(deny_unknown_fields))]
pub struct QuantityRatio {
    /// How many are bought; not said where an amount is to be spent instead.
    pub prerequisite_quantity: Option<u32>,
    /// How many are got for that.
    pub entitled_quantity: u32,
}

macro_rules! string_enum {
    ($($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
        pub enum $name {
            $($(#[$item_doc])* #[cfg_attr(feature = "json", serde(rename = $text))] $item,)*
        }

        impl $name {
            /// Every one with its name on the wire.
            pub const NAMES: &[(&'static str, Self)] = &[$(($text, Self::$item),)*];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$item => $text,)* }
            }
        }
    )*};
}

string_enum! {
    /// What a rule's value is.
    ValueType {
        /// An amount in the shop's currency.
        FixedAmount = "fixed_amount",
        /// A percentage.
        Percentage = "percentage",
    }
    /// What a rule's value is taken off.
    TargetType {
        /// Lines.
        LineItem = "line_item",
        /// Shipping lines.
        ShippingLine = "shipping_line",
    }
    /// Which of those.
    TargetSelection {
        /// All.
        All = "all",
        /// Those that are entitled.
        Entitled = "entitled",
    }
    /// How the value meets them.
    AllocationMethod {
        /// Once, shared out over them.
        Across = "across",
        /// Off each by itself; a fixed amount off each unit.
        Each = "each",
    }
    /// Who can use a rule.
    CustomerSelection {
        /// Everyone.
        All = "all",
        /// Whoever is listed.
        Prerequisite = "prerequisite",
    }
    /// Discounts of one kind. Classes apply in this order.
    Class {
        /// Off entitled lines, or off each line.
        Product = "product",
        /// Off all lines together.
        Order = "order",
        /// Off shipping.
        Shipping = "shipping",
    }
}

/// What a rule takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscountValue {
    /// An amount, more than nothing.
    Fixed(Amount),
    /// A part, in millionths of a percent: 100,000,000 is all.
    Percent(u32),
}

impl DiscountValue {
    /// All of it, as a percentage.
    pub const FULL_PERCENT: u32 = 100_000_000;
}

#[cfg(feature = "json")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPriceRule {
    minor_digits: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    emails_stored_separately: bool,
    rule: PriceRuleParts,
}

#[cfg(feature = "json")]
impl From<PriceRule> for StoredPriceRule {
    fn from(rule: PriceRule) -> Self {
        let apart = rule.emails_stored_separately || !rule.parts.prerequisite_emails.is_empty();
        Self {
            minor_digits: rule.minor_digits,
            emails_stored_separately: apart,
            rule: rule.parts,
        }
    }
}

#[cfg(feature = "json")]
impl TryFrom<StoredPriceRule> for PriceRule {
    type Error = String;

    fn try_from(stored: StoredPriceRule) -> Result<Self, String> {
        let rule =
            Self::validate(stored.rule, stored.minor_digits, stored.emails_stored_separately);
        rule.map_err(|faults| {
            let texts: Vec<_> = faults
                .iter()
                .map(|fault| format!("{} {}", fault.pointer, fault.detail))
                .collect();
            texts.join("; ")
        })
    }
}

/// Decimals travel as strings, as amounts do.
#[cfg(feature = "json")]
mod decimal_text {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Decimal, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
        let text = String::deserialize(from)?;
        crate::amount::parse_decimal(&text).map_err(serde::de::Error::custom)
    }
}
