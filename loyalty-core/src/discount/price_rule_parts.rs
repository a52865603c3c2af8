//! The fields of a price rule, as they are configured and stored.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::cart::CartLine;
use crate::amount::{Amount, Rate};
use crate::calendar::Timestamp;
use crate::customer::Email;
use crate::id::{CategoryId, CountryId, CustomerId, ProductId, SegmentId, VariantId};

/// The fields of a price rule before they are validated: Shopify's, and some that store
/// plugins send.
///
/// # Example: a rule with Shopify's defaults
/// ```
/// use loyalty_core::discount::{CustomerSelection, PriceRuleParts, TargetType, ValueType};
///
/// let starts_at = "2026-01-01T00:00:00Z".parse().unwrap();
/// let parts = PriceRuleParts {
///     title: "Five off".into(), value: "-5".parse().unwrap(), ..PriceRuleParts::new(starts_at)
/// };
/// assert_eq!(parts.value_type, ValueType::FixedAmount);
/// assert_eq!(parts.target_type, TargetType::LineItem);
/// assert_eq!(parts.customer_selection, CustomerSelection::All);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default = "PriceRuleParts::at_any_time", deny_unknown_fields))]
pub struct PriceRuleParts {
    /// The merchant's name of the rule: 1 to 255 characters.
    pub title: String,
    /// The unit of `value`.
    pub value_type: ValueType,
    /// A negative amount in the shop's currency, or a negative percentage. A percentage is
    /// at least -100 and has at most six decimals.
    #[cfg_attr(feature = "json", serde(with = "decimal_text"))]
    pub value: Decimal,
    /// The kind of lines that are discounted.
    pub target_type: TargetType,
    /// All of those lines, or only the entitled ones.
    pub target_selection: TargetSelection,
    /// Once on the sum of the lines, or on each line.
    pub allocation_method: AllocationMethod,
    /// Maximum applications per cart. They are counted in bundles for a buy-X-get-Y rule,
    /// else in units, the most expensive first.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub allocation_limit: Option<u32>,
    /// The largest discount of a percentage across all lines.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub maximum_discount: Option<Amount>,
    /// The largest share of the price of the cart's goods before any discount, in percent,
    /// that this rule and other rules with such a limit discount together.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub maximum_share: Option<Rate>,
    /// All customers, or only those listed in the next four fields.
    pub customer_selection: CustomerSelection,
    /// Customers who may use the rule.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub prerequisite_customer_ids: BTreeSet<CustomerId>,
    /// Customer segments whose members may use the rule.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_segment_prerequisite_ids: BTreeSet<SegmentId>,
    /// Saved searches, Shopify's predecessor of segments, whose members may use the rule.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub prerequisite_saved_search_ids: BTreeSet<SegmentId>,
    /// E-mail addresses that may use the rule. They are personal data and not serialized.
    #[cfg_attr(feature = "json", serde(skip))]
    pub prerequisite_emails: Vec<Email>,
    /// Discounted items: `entitled_product_ids`, `entitled_variant_ids` and
    /// `entitled_collection_ids`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ItemSelection::is_empty"))]
    pub entitled: ItemSelection,
    /// Items that are never discounted: `excluded_product_ids`, `excluded_variant_ids` and
    /// `excluded_collection_ids`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ItemSelection::is_empty"))]
    pub excluded: ItemSelection,
    /// Countries to which shipping is discounted.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub entitled_country_ids: BTreeSet<CountryId>,
    /// Items to buy first, for buy X get Y: `prerequisite_product_ids`,
    /// `prerequisite_variant_ids` and `prerequisite_collection_ids`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "ItemSelection::is_empty"))]
    pub prerequisites: ItemSelection,
    /// Minimum price of the entitled lines before any discount. Shopify's
    /// `greater_than_or_equal_to`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_subtotal_range: Option<Amount>,
    /// Minimum number of units of the entitled lines together. Shopify's
    /// `greater_than_or_equal_to`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_quantity_range: Option<u64>,
    /// Maximum price of a shipping line that becomes free. Shopify's
    /// `less_than_or_equal_to`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_shipping_price_range: Option<Amount>,
    /// The quantities X and Y of buy X get Y.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_to_entitlement_quantity_ratio: Option<QuantityRatio>,
    /// The amount X of spend X get Y. Shopify's `prerequisite_amount`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub prerequisite_to_entitlement_purchase: Option<Amount>,
    /// Maximum uses of each code of the rule.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub usage_limit: Option<u64>,
    /// Each customer can use a code once.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub once_per_customer: bool,
    /// The code does not combine with others, under any stacking policy.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub individual_use: bool,
    /// The first instant at which codes of the rule can be used.
    pub starts_at: Timestamp,
    /// The first instant at which codes of the rule can no longer be used.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub ends_at: Option<Timestamp>,
}

impl PriceRuleParts {
    /// Maximum number of ids in each list of a rule.
    pub const MAX_IDS: usize = 1_000;

    /// Shopify's defaults from an instant on: a fixed amount across all lines, for all customers,
    /// without an end. The title and the value are invalid and must be set.
    pub fn new(starts_at: Timestamp) -> Self {
        Self {
            title: String::new(),
            value_type: ValueType::FixedAmount,
            value: Decimal::ZERO,
            target_type: TargetType::LineItem,
            target_selection: TargetSelection::All,
            allocation_method: AllocationMethod::Across,
            allocation_limit: None,
            maximum_discount: None,
            maximum_share: None,
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
            starts_at,
            ends_at: None,
        }
    }

    /// Shopify's defaults at any time, for members that a stored rule does not have.
    #[cfg(feature = "json")]
    fn at_any_time() -> Self {
        Self::new(Timestamp::UNIX_EPOCH)
    }
}

/// Products, variants and collections that select lines of a cart.
///
/// # Example: a variant selects its line
/// ```
/// use loyalty_core::discount::{CartLine, ItemSelection};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let selection = ItemSelection { variants: ["mug-red".parse()?].into(), ..ItemSelection::default() };
/// let mut line = CartLine {
///     id: "1".parse()?, product: Some("mug".parse()?), variant: Some("mug-red".parse()?),
///     categories: vec![], quantity: 1, price: "8.00".parse()?, gift_card: false,
/// };
/// assert!(selection.contains(&line));
/// line.variant = Some("mug-blue".parse()?);
/// assert!(!selection.contains(&line));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default, deny_unknown_fields))]
pub struct ItemSelection {
    /// Products with all their variants.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Single variants.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub variants: BTreeSet<VariantId>,
    /// Collections (categories) with all their products.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub collections: BTreeSet<CategoryId>,
}

impl ItemSelection {
    /// Returns true if the selection names no item.
    pub fn is_empty(&self) -> bool {
        self.products.is_empty() && self.variants.is_empty() && self.collections.is_empty()
    }

    /// Returns true if the line's product, its variant or one of its categories is named.
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

/// Shopify's `prerequisite_to_entitlement_quantity_ratio`: the quantities of buy X get Y.
///
/// # Example: buy 2, get 1 at half price
/// ```
/// use loyalty_core::discount::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mugs = ItemSelection { products: ["mug".parse()?].into(), ..ItemSelection::default() };
/// let starts_at = "2026-01-01T00:00:00Z".parse()?;
/// let parts = PriceRuleParts {
///     title: "Third mug".into(), value_type: ValueType::Percentage, value: "-50".parse()?,
///     target_selection: TargetSelection::Entitled, allocation_method: AllocationMethod::Each,
///     entitled: mugs.clone(), prerequisites: mugs,
///     prerequisite_to_entitlement_quantity_ratio: Some(QuantityRatio {
///         prerequisite_quantity: Some(2), entitled_quantity: 1,
///     }),
///     ..PriceRuleParts::new(starts_at)
/// };
/// assert!(PriceRule::new(parts, 2).is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(deny_unknown_fields))]
pub struct QuantityRatio {
    /// Units to buy for one application; `None` if an amount must be spent instead.
    pub prerequisite_quantity: Option<u32>,
    /// Units discounted by one application.
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
            /// All values with their names on the wire.
            pub const NAMES: &[(&'static str, Self)] = &[$(($text, Self::$item),)*];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$item => $text,)* }
            }
        }
    )*};
}

string_enum! {
    /// The unit of a rule's value.
    ValueType {
        /// An amount in the shop's currency.
        FixedAmount = "fixed_amount",
        /// A percentage.
        Percentage = "percentage",
    }
    /// The kind of lines that a rule discounts.
    TargetType {
        /// Lines of the cart.
        LineItem = "line_item",
        /// Shipping lines.
        ShippingLine = "shipping_line",
    }
    /// The lines of the target type that a rule discounts.
    TargetSelection {
        /// All lines.
        All = "all",
        /// Entitled lines.
        Entitled = "entitled",
    }
    /// The way in which a rule's value applies to several lines.
    AllocationMethod {
        /// Once on their sum; the discount is shared among the lines.
        Across = "across",
        /// On each line; a fixed amount applies to each unit.
        Each = "each",
    }
    /// The customers that can use a rule.
    CustomerSelection {
        /// All customers.
        All = "all",
        /// Listed customers.
        Prerequisite = "prerequisite",
    }
    /// The kind of a rule's discount. Classes apply in the order of the variants.
    ///
    /// # Example: products first, shipping last
    /// ```
    /// use loyalty_core::discount::DiscountClass;
    /// assert!(DiscountClass::Product < DiscountClass::Order);
    /// assert_eq!(DiscountClass::Shipping.name(), "shipping");
    /// ```
    DiscountClass {
        /// A discount on entitled lines or on each line.
        Product = "product",
        /// A discount on all lines together.
        Order = "order",
        /// A discount on shipping.
        Shipping = "shipping",
    }
}

/// The validated value of a rule, as a positive number.
///
/// # Example: a percentage in text
/// ```
/// use loyalty_core::discount::DiscountValue;
/// assert_eq!(DiscountValue::Percent(12_500_000).to_string(), "12.5%");
/// assert_eq!(DiscountValue::Fixed("2.50".parse().unwrap()).to_string(), "2.50");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscountValue {
    /// An amount above zero.
    Fixed(Amount),
    /// Millionths of a percent: 100,000,000 is 100 %.
    Percent(u32),
}

impl DiscountValue {
    /// 100 %, in millionths of a percent.
    pub const FULL_PERCENT: u32 = 100_000_000;
}

/// Decimals are serialized as strings, as amounts are.
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
