//! Constraints on the fields of a price rule: those that Shopify documents, and our limits.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::price_rule_parts::{
    AllocationMethod, CustomerSelection, DiscountValue, ItemSelection, PriceRuleParts,
    QuantityRatio, TargetSelection, TargetType, ValueType,
};
use crate::amount::{Amount, AmountError};
use crate::fault::Fault;
use crate::id::{ProductId, VariantId};

/// Maximum of a rule's counts. No cart has as many units.
const MAX_COUNT: u64 = 1_000_000_000;

const TOO_FINE: &str = "has more decimals than the currency";

const ENTITLED_FIELDS: [&str; 3] =
    ["entitled_product_ids", "entitled_variant_ids", "entitled_collection_ids"];
const EXCLUDED_FIELDS: [&str; 3] =
    ["excluded_product_ids", "excluded_variant_ids", "excluded_collection_ids"];
const PREREQUISITE_FIELDS: [&str; 3] =
    ["prerequisite_product_ids", "prerequisite_variant_ids", "prerequisite_collection_ids"];

/// Faults in the order in which they are found: that of the document.
struct FaultCollector(Vec<Fault>);

impl FaultCollector {
    fn add(&mut self, field: &str, code: &'static str, detail: impl Into<String>) {
        self.0
            .push(Fault { pointer: format!("/{field}"), code, detail: detail.into() });
    }

    fn add_if(&mut self, is_faulty: bool, field: &str, code: &'static str, detail: &str) {
        if is_faulty {
            self.add(field, code, detail);
        }
    }
}

/// Returns the discount of a rule, or the fault of its `value`.
pub(super) fn validate_value(
    parts: &PriceRuleParts,
    minor_digits: u32,
) -> Result<DiscountValue, Fault> {
    let fault = |code, detail: &str| Fault {
        pointer: "/value".to_owned(),
        code,
        detail: detail.to_owned(),
    };

    if !parts.value.is_sign_negative() || parts.value.is_zero() {
        return Err(fault("out_of_range", "must be less than zero"));
    }

    let discount_value = match parts.value_type {
        ValueType::FixedAmount => {
            let amount = Amount::new(parts.value.abs()).map_err(|error| match error {
                AmountError::TooManyDecimals => fault("too_fine", TOO_FINE),
                AmountError::Negative | AmountError::InvalidDecimal | AmountError::OutOfRange => {
                    fault("out_of_range", "is out of range")
                }
            })?;
            if !is_whole_minor_units(amount, minor_digits) {
                return Err(fault("too_fine", TOO_FINE));
            }
            DiscountValue::Fixed(amount)
        }
        ValueType::Percentage => DiscountValue::Percent(
            parse_percentage(parts.value.abs()).map_err(|error| match error {
                AmountError::TooManyDecimals => {
                    fault("too_fine", "a percentage has at most six decimals")
                }
                AmountError::Negative | AmountError::InvalidDecimal | AmountError::OutOfRange => {
                    fault("out_of_range", "must be at least -100")
                }
            })?,
        ),
    };

    match discount_value {
        DiscountValue::Percent(percent)
            if parts.target_type == TargetType::ShippingLine
                && percent != DiscountValue::FULL_PERCENT =>
        {
            Err(fault("contradiction", "must be -100 for shipping"))
        }
        // The value type of a shipping rule is checked by itself.
        DiscountValue::Percent(_) | DiscountValue::Fixed(_) => Ok(discount_value),
    }
}

/// Converts a percentage to millionths of a percent.
fn parse_percentage(value: Decimal) -> Result<u32, AmountError> {
    if value > Decimal::ONE_HUNDRED {
        return Err(AmountError::OutOfRange);
    }

    let value = value.normalize();
    let factor = 6_u32
        .checked_sub(value.scale())
        .and_then(|shift| 10_i128.checked_pow(shift));

    let millionths = factor.and_then(|factor| value.mantissa().checked_mul(factor));
    millionths
        .and_then(|millionths| u32::try_from(millionths).ok())
        .ok_or(AmountError::TooManyDecimals)
}

/// Returns true if the amount is a whole number of the currency's minor units.
fn is_whole_minor_units(amount: Amount, minor_digits: u32) -> bool {
    amount.get().normalize().scale() <= minor_digits
}

/// Returns the faults of all fields but `value`, in the order of the document.
///
/// A rule whose e-mails are stored separately may list no customers.
pub(super) fn find_faults(
    parts: &PriceRuleParts,
    minor_digits: u32,
    emails_stored_separately: bool,
) -> Vec<Fault> {
    let mut faults = FaultCollector(Vec::new());

    let title = parts.title.trim();
    let printable =
        !title.is_empty() && title.chars().count() <= 255 && !title.chars().any(char::is_control);
    faults.add_if(!printable, "title", "invalid_value", "must be 1 to 255 characters");

    let is_fixed = parts.value_type == ValueType::FixedAmount;
    let of_shipping = parts.target_type == TargetType::ShippingLine;
    let detail = "must be percentage for shipping";
    faults.add_if(is_fixed && of_shipping, "value_type", "contradiction", detail);

    check_sizes(parts, &mut faults);
    check_allocation(parts, &mut faults);
    check_maxima(parts, minor_digits, &mut faults);
    check_customers(parts, emails_stored_separately, &mut faults);
    check_items(parts, &mut faults);
    check_ranges(parts, minor_digits, &mut faults);
    check_bundle(parts, minor_digits, &mut faults);

    let is_out_of_range = parts.usage_limit.is_some_and(|limit| limit == 0 || limit > MAX_COUNT);
    faults.add_if(is_out_of_range, "usage_limit", "out_of_range", "must be 1 to 1,000,000,000");

    let ends_before_start = parts.ends_at.is_some_and(|end| end <= parts.starts_at);
    faults.add_if(ends_before_start, "ends_at", "contradiction", "must be later than starts_at");

    faults.0
}

/// Names and lengths of the three lists of a selection.
fn item_list_lengths<'a>(items: &ItemSelection, names: [&'a str; 3]) -> [(&'a str, usize); 3] {
    let [products, variants, collections] = names;
    [
        (products, items.products.len()),
        (variants, items.variants.len()),
        (collections, items.collections.len()),
    ]
}

fn check_sizes(parts: &PriceRuleParts, faults: &mut FaultCollector) {
    let items = [
        (&parts.entitled, ENTITLED_FIELDS),
        (&parts.excluded, EXCLUDED_FIELDS),
        (&parts.prerequisites, PREREQUISITE_FIELDS),
    ];
    let items = items
        .into_iter()
        .flat_map(|(items, names)| item_list_lengths(items, names));

    let others = [
        ("entitled_country_ids", parts.entitled_country_ids.len()),
        ("prerequisite_customer_ids", parts.prerequisite_customer_ids.len()),
        (
            "customer_segment_prerequisite_ids",
            parts.customer_segment_prerequisite_ids.len(),
        ),
        ("prerequisite_saved_search_ids", parts.prerequisite_saved_search_ids.len()),
        ("prerequisite_emails", parts.prerequisite_emails.len()),
    ];

    for (field, count) in items.chain(others) {
        if count > PriceRuleParts::MAX_IDS {
            let detail = format!("at most {} are accepted", PriceRuleParts::MAX_IDS);
            faults.add(field, "too_many", detail);
        }
    }
}

fn check_allocation(parts: &PriceRuleParts, faults: &mut FaultCollector) {
    let shipping = parts.target_type == TargetType::ShippingLine;
    let across = parts.allocation_method == AllocationMethod::Across;
    faults.add_if(
        shipping && across,
        "allocation_method",
        "contradiction",
        "must be each for shipping",
    );

    let Some(limit) = parts.allocation_limit else { return };
    faults.add_if(limit == 0, "allocation_limit", "out_of_range", "must be at least 1");
    faults.add_if(
        shipping || across,
        "allocation_limit",
        "contradiction",
        "needs target_type line_item and allocation_method each",
    );
}

fn check_maxima(parts: &PriceRuleParts, minor_digits: u32, faults: &mut FaultCollector) {
    let across = parts.target_type == TargetType::LineItem
        && parts.allocation_method == AllocationMethod::Across;

    if let Some(maximum) = parts.maximum_discount {
        let field = "maximum_discount";
        faults.add_if(maximum.is_zero(), field, "out_of_range", "must be more than zero");
        faults.add_if(!is_whole_minor_units(maximum, minor_digits), field, "too_fine", TOO_FINE);
        faults.add_if(
            !across || parts.value_type != ValueType::Percentage,
            field,
            "contradiction",
            "needs a percentage, target_type line_item and allocation_method across",
        );
    }

    if let Some(share) = parts.maximum_share {
        let field = "maximum_share";
        let in_range = !share.get().is_zero() && share.get() <= Decimal::ONE_HUNDRED;
        faults.add_if(!in_range, field, "out_of_range", "must be more than 0 and at most 100");
        faults.add_if(
            !across,
            field,
            "contradiction",
            "needs target_type line_item and allocation_method across",
        );
    }
}

fn check_customers(
    parts: &PriceRuleParts,
    emails_stored_separately: bool,
    faults: &mut FaultCollector,
) {
    let lists = [
        ("prerequisite_customer_ids", parts.prerequisite_customer_ids.len()),
        (
            "customer_segment_prerequisite_ids",
            parts.customer_segment_prerequisite_ids.len(),
        ),
        ("prerequisite_saved_search_ids", parts.prerequisite_saved_search_ids.len()),
        ("prerequisite_emails", parts.prerequisite_emails.len()),
    ];

    match parts.customer_selection {
        CustomerSelection::All => {
            for (field, _) in lists.iter().filter(|(_, count)| *count > 0) {
                faults.add(field, "contradiction", "must be empty when customer_selection is all");
            }
        }
        CustomerSelection::Prerequisite => {
            let is_empty = !emails_stored_separately && lists.iter().all(|(_, count)| *count == 0);
            let detail = "prerequisite needs customers, segments, saved searches or e-mails";
            faults.add_if(is_empty, "customer_selection", "missing_field", detail);
        }
    }

    // Shopify accepts single customers or groups of them, not both.
    let names_customers = !parts.prerequisite_customer_ids.is_empty();
    for (field, count) in lists.iter().skip(1).take(2) {
        let detail = "must be empty when prerequisite_customer_ids is set";
        faults.add_if(names_customers && *count > 0, field, "contradiction", detail);
    }
}

fn check_items(parts: &PriceRuleParts, faults: &mut FaultCollector) {
    let entitled = parts.target_selection == TargetSelection::Entitled;
    let of_lines = parts.target_type == TargetType::LineItem;

    for (field, count) in item_list_lengths(&parts.entitled, ENTITLED_FIELDS) {
        let detail = "needs target_type line_item and target_selection entitled";
        faults.add_if(count > 0 && !(entitled && of_lines), field, "contradiction", detail);
    }
    for (field, count) in item_list_lengths(&parts.excluded, EXCLUDED_FIELDS) {
        faults.add_if(
            count > 0 && !of_lines,
            field,
            "contradiction",
            "needs target_type line_item",
        );
    }

    let countries = !parts.entitled_country_ids.is_empty();
    let detail = "needs target_type shipping_line and target_selection entitled";
    faults.add_if(
        countries && (of_lines || !entitled),
        "entitled_country_ids",
        "contradiction",
        detail,
    );

    let is_empty = entitled && if of_lines { parts.entitled.is_empty() } else { !countries };
    let detail = "entitled needs products, variants or collections; for shipping, countries";
    faults.add_if(is_empty, "target_selection", "missing_field", detail);

    for (items, [products, variants, collections]) in
        [(&parts.entitled, ENTITLED_FIELDS), (&parts.prerequisites, PREREQUISITE_FIELDS)]
    {
        let mixed = !items.collections.is_empty()
            && (!items.products.is_empty() || !items.variants.is_empty());
        let detail = format!("cannot be combined with {products} or {variants}");
        faults.add_if(mixed, collections, "contradiction", &detail);
    }
}

fn check_ranges(parts: &PriceRuleParts, minor_digits: u32, faults: &mut FaultCollector) {
    const AT_LEAST: &str = "greater_than_or_equal_to";
    let of_lines = parts.target_type == TargetType::LineItem;

    if let Some(subtotal) = parts.prerequisite_subtotal_range {
        let field = format!("prerequisite_subtotal_range/{AT_LEAST}");
        faults.add_if(!is_whole_minor_units(subtotal, minor_digits), &field, "too_fine", TOO_FINE);
    }

    if let Some(quantity) = parts.prerequisite_quantity_range {
        let field = format!("prerequisite_quantity_range/{AT_LEAST}");
        faults.add_if(
            quantity > MAX_COUNT,
            &field,
            "out_of_range",
            "must be at most 1,000,000,000",
        );
    }

    if let Some(price) = parts.prerequisite_shipping_price_range {
        let field = "prerequisite_shipping_price_range/less_than_or_equal_to";
        faults.add_if(of_lines, field, "contradiction", "needs target_type shipping_line");
        faults.add_if(!is_whole_minor_units(price, minor_digits), field, "too_fine", TOO_FINE);
    }
}

/// Checks the fields of buy X get Y and of spend X get Y.
fn check_bundle(parts: &PriceRuleParts, minor_digits: u32, faults: &mut FaultCollector) {
    let ratio_field = "prerequisite_to_entitlement_quantity_ratio";
    let (ratio, spend) = (
        parts.prerequisite_to_entitlement_quantity_ratio,
        parts.prerequisite_to_entitlement_purchase,
    );

    if let Some(QuantityRatio { prerequisite_quantity, entitled_quantity }) = ratio {
        let field = format!("{ratio_field}/prerequisite_quantity");
        faults.add_if(
            prerequisite_quantity == Some(0),
            &field,
            "out_of_range",
            "must be at least 1",
        );

        let missing = prerequisite_quantity.is_none() && spend.is_none();
        faults.add_if(
            missing,
            &field,
            "missing_field",
            "is required unless prerequisite_amount is set",
        );

        let both = prerequisite_quantity.is_some() && spend.is_some();
        faults.add_if(
            both,
            &field,
            "contradiction",
            "must be empty when prerequisite_amount is set",
        );

        let field = format!("{ratio_field}/entitled_quantity");
        faults.add_if(entitled_quantity == 0, &field, "out_of_range", "must be at least 1");
    }

    if let Some(amount) = spend {
        let field = "prerequisite_to_entitlement_purchase/prerequisite_amount";
        faults.add_if(amount.is_zero(), field, "out_of_range", "must be more than zero");
        faults.add_if(!is_whole_minor_units(amount, minor_digits), field, "too_fine", TOO_FINE);

        let detail = "entitled_quantity is required when prerequisite_amount is set";
        faults.add_if(ratio.is_none(), ratio_field, "missing_field", detail);
    }

    let bundle = ratio.is_some() || spend.is_some();
    for (field, count) in item_list_lengths(&parts.prerequisites, PREREQUISITE_FIELDS) {
        let detail = "needs prerequisite_to_entitlement_quantity_ratio";
        faults.add_if(count > 0 && !bundle, field, "contradiction", detail);
    }

    if bundle {
        let fits = parts.target_type == TargetType::LineItem
            && parts.target_selection == TargetSelection::Entitled
            && parts.allocation_method == AllocationMethod::Each;
        let detail =
            "needs target_type line_item, target_selection entitled and allocation_method each";
        faults.add_if(!fits, ratio_field, "contradiction", detail);

        let detail = "needs prerequisite products, variants or collections";
        faults.add_if(parts.prerequisites.is_empty(), ratio_field, "missing_field", detail);
    }
}

/// Returns the faults of fields that Shopify documents as exclusive with buy X get Y.
///
/// Earlier versions accepted them, so stored rules may have them. Such rules stay valid until
/// they are changed.
pub(super) fn find_bundle_conflicts(parts: &PriceRuleParts) -> Vec<Fault> {
    const DETAIL: &str = "cannot be combined with prerequisite_to_entitlement_quantity_ratio";
    if parts.prerequisite_to_entitlement_quantity_ratio.is_none() {
        return Vec::new();
    }

    let mut faults = FaultCollector(Vec::new());
    let is_fixed = parts.value_type == ValueType::FixedAmount;
    let of_lines = parts.target_type == TargetType::LineItem;
    let detail = "must be percentage with prerequisite_to_entitlement_quantity_ratio";
    faults.add_if(is_fixed && of_lines, "value_type", "contradiction", detail);

    let ranges = [
        ("prerequisite_subtotal_range", parts.prerequisite_subtotal_range.is_some()),
        ("prerequisite_quantity_range", parts.prerequisite_quantity_range.is_some()),
    ];
    for (field, is_set) in ranges {
        let field = format!("{field}/greater_than_or_equal_to");
        faults.add_if(is_set, &field, "contradiction", DETAIL);
    }

    // A price of shipping is never set for lines, which the other checks reject.
    faults.0
}

/// Returns a fault for each variant whose product is in the same selection.
pub(super) fn find_variant_faults<E>(
    parts: &PriceRuleParts,
    mut variants_of: impl FnMut(&ProductId) -> Result<Vec<VariantId>, E>,
) -> Result<Vec<Fault>, E> {
    let mut faults = FaultCollector(Vec::new());

    for (items, [products, field, _]) in
        [(&parts.entitled, ENTITLED_FIELDS), (&parts.prerequisites, PREREQUISITE_FIELDS)]
    {
        let mut contradictions = BTreeMap::new();
        for product in items.products.iter().filter(|_| !items.variants.is_empty()) {
            let named = variants_of(product)?
                .into_iter()
                .filter(|variant| items.variants.contains(variant));
            contradictions.extend(named.map(|variant| (variant, product)));
        }

        for (variant, product) in contradictions {
            let detail = format!(
                "variant {variant} belongs to product {product}, which is already in {products}"
            );
            faults.add(field, "contradiction", detail);
        }
    }

    Ok(faults.0)
}
