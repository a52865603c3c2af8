//! Connectors: how a store is told about a discount code, and what its answer means.
//!
//! A connector does no I/O. It makes a request, and reads the answer that the sender brings.
//! So its wire is tested without a network, and all that is special about a store is in its
//! file. None drops anything in silence: what a store cannot hold is a fault by name.

pub mod plugin;
pub mod shopify;
pub mod webhook;
pub mod woocommerce;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use loyalty_core::discount::{
    AllocationMethod, Code, CustomerSelection, DiscountValue, PriceRule, TargetType,
};
use loyalty_core::{CustomerId, Fault};

/// A code to publish, with its rule. The rule has its e-mails.
#[derive(Clone, Copy, Debug)]
pub struct CodePublication<'a> {
    /// The code.
    pub code: &'a Code,
    /// Its rule.
    pub rule: &'a PriceRule,
    /// The customer whom it is for, by the store's own id.
    pub customer: Option<&'a CustomerId>,
    /// Our name of the code, by which an earlier attempt is recognized in the store.
    pub reference: &'a str,
}

/// A request to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL.
    pub url: String,
    /// The headers, besides `Host` and `Content-Length`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

/// A store's answer.
#[derive(Clone, Copy, Debug)]
pub struct StoreAnswer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The body, perhaps cut.
    pub body: &'a [u8],
}

/// What a store's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The store has done it. The store's own id of the code, if it has one.
    Done {
        /// The id, for a later withdrawal.
        store_id: Option<String>,
    },
    /// The answer to this request tells; it goes to [`Connector::read_check`].
    Check(Box<StoreRequest>),
    /// Another attempt may succeed.
    Retry {
        /// The store's words.
        reason: String,
    },
    /// Another attempt has the same result, until somebody changes something.
    Refused {
        /// The store's words.
        reason: String,
    },
}

/// A kind of store that holds discount codes.
pub trait Connector: Send + Sync {
    /// Returns what the store cannot hold of a rule: nothing, if it can be published.
    fn find_unsupported(&self, rule: &PriceRule) -> Vec<Fault>;

    /// Returns true if the store refuses a code before its rule starts. Else the code must
    /// be published at that time.
    fn obeys_start(&self) -> bool;

    /// Returns the request that publishes a code.
    ///
    /// # Errors
    /// Those of [`Connector::find_unsupported`].
    fn publish(&self, publication: &CodePublication<'_>) -> Result<StoreRequest, Vec<Fault>>;

    /// Returns requests that publish the code under other URLs, to try in turn where
    /// [`Connector::publish`] finds nobody.
    fn publish_elsewhere(&self, _: &CodePublication<'_>) -> Vec<StoreRequest> {
        Vec::new()
    }

    /// Reads the answer to [`Connector::publish`].
    fn read_publish(
        &self,
        publication: &CodePublication<'_>,
        answer: &StoreAnswer<'_>,
    ) -> PublishOutcome;

    /// Reads the answer to the request of [`PublishOutcome::Check`].
    fn read_check(
        &self,
        publication: &CodePublication<'_>,
        answer: &StoreAnswer<'_>,
    ) -> PublishOutcome;

    /// Returns the request that withdraws a code, by the store's id of it; `None` if the
    /// store cannot.
    fn withdraw(&self, store_id: &str) -> Option<StoreRequest>;

    /// Reads the answer to [`Connector::withdraw`].
    fn read_withdraw(&self, answer: &StoreAnswer<'_>) -> PublishOutcome;
}

#[cfg(test)]
#[path = "connector/tests/rules.rs"]
mod tests_rules;

/// What a kind of store can hold of a price rule.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of a table")]
#[derive(Clone, Copy, Debug)]
struct Capabilities {
    /// The name of the kind, for texts.
    store: &'static str,
    /// Codes without an end.
    endless: bool,
    variants: bool,
    excluded: bool,
    bundles: bool,
    maximum_discount: bool,
    minimum_quantity: bool,
    shipping_price_range: bool,
    segments: bool,
    countries: bool,
    allocation_limit: bool,
}

/// Returns a fault for each part of a rule that a store cannot hold, in the order of
/// Shopify's fields.
fn find_unsupported(rule: &PriceRule, can: Capabilities) -> Vec<Fault> {
    let parts = rule.parts();
    let is_bundle = parts.prerequisite_to_entitlement_quantity_ratio.is_some()
        || parts.prerequisite_to_entitlement_purchase.is_some();
    let has_variants = [&parts.entitled, &parts.excluded, &parts.prerequisites]
        .iter()
        .any(|items| !items.variants.is_empty());
    let has_segments = !parts.customer_segment_prerequisite_ids.is_empty()
        || !parts.prerequisite_saved_search_ids.is_empty();
    let limits_units = parts.allocation_limit.is_some() && !is_bundle;

    let table = [
        ("/automatic", parts.automatic, false, "rules without a code"),
        (
            "/maximum_discount",
            parts.maximum_discount.is_some(),
            can.maximum_discount,
            "a maximum",
        ),
        (
            "/maximum_share",
            parts.maximum_share.is_some(),
            false,
            "a largest share of an order",
        ),
        ("/customer_segment_prerequisite_ids", has_segments, can.segments, "segments"),
        ("/entitled_variant_ids", has_variants, can.variants, "single variants"),
        (
            "/excluded_product_ids",
            !parts.excluded.is_empty(),
            can.excluded,
            "excluded products",
        ),
        (
            "/entitled_country_ids",
            !parts.entitled_country_ids.is_empty(),
            can.countries,
            "countries",
        ),
        (
            "/prerequisite_quantity_range",
            parts.prerequisite_quantity_range.is_some(),
            can.minimum_quantity,
            "a minimum quantity",
        ),
        (
            "/prerequisite_shipping_price_range",
            parts.prerequisite_shipping_price_range.is_some(),
            can.shipping_price_range,
            "a largest price of shipping",
        ),
        (
            "/prerequisite_to_entitlement_quantity_ratio",
            is_bundle,
            can.bundles,
            "buy X get Y",
        ),
        ("/allocation_limit", limits_units, can.allocation_limit, "a limit of units"),
        ("/ends_at", parts.ends_at.is_none(), can.endless, "codes without an end"),
    ];
    let faults = table.into_iter().filter(|(_, has, can, _)| *has && !*can);
    faults
        .map(|(pointer, _, _, what)| {
            let detail = format!("{} cannot hold {what}", can.store);
            Fault::new(pointer, "not_supported", detail)
        })
        .collect()
}

/// Returns a fault where a rule is for certain customers and names no e-mail: a store that
/// knows customers by e-mail only would let everybody use the code.
fn find_missing_email(rule: &PriceRule) -> Option<Fault> {
    let parts = rule.parts();
    let is_for_some = parts.customer_selection == CustomerSelection::Prerequisite;
    (is_for_some && parts.prerequisite_emails.is_empty()).then(|| {
        let detail = "the store knows customers by e-mail, and the customer has none";
        Fault::new("/prerequisite_customer_ids", "email_required", detail)
    })
}

/// Parses ids that a store knows as numbers. Anything else is a fault at `pointer`.
fn numeric_ids<'a>(
    ids: impl IntoIterator<Item = &'a str>,
    pointer: &str,
    faults: &mut Vec<Fault>,
) -> Vec<u64> {
    let mut numbers = Vec::new();
    for id in ids {
        if let Ok(number) = id.parse() {
            numbers.push(number);
        } else {
            let detail = format!("the store's ids are numbers, not `{id}`");
            faults.push(Fault::new(pointer, "not_supported", detail));
        }
    }
    numbers
}

/// The kind of a rule's discount, as stores tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiscountKind {
    FreeShipping,
    Percent(u32),
    /// An amount off the cart.
    FixedCart(loyalty_core::Amount),
    /// An amount off each unit.
    FixedUnit(loyalty_core::Amount),
}

fn discount_kind(rule: &PriceRule) -> DiscountKind {
    let parts = rule.parts();
    match (parts.target_type, rule.discount_value(), parts.allocation_method) {
        (TargetType::ShippingLine, _, _) => DiscountKind::FreeShipping,
        (TargetType::LineItem, DiscountValue::Percent(percent), _) => {
            DiscountKind::Percent(percent)
        }
        (TargetType::LineItem, DiscountValue::Fixed(amount), AllocationMethod::Across) => {
            DiscountKind::FixedCart(amount)
        }
        (TargetType::LineItem, DiscountValue::Fixed(amount), AllocationMethod::Each) => {
            DiscountKind::FixedUnit(amount)
        }
    }
}

/// A percentage of millionths as text, without trailing zeros: `12.5`.
fn percent_text(millionths: u32) -> String {
    DiscountValue::Percent(millionths)
        .to_string()
        .trim_end_matches('%')
        .to_owned()
}

/// The beginning of an answer, as a reason: one line, without what could break a log.
fn excerpt(answer: &StoreAnswer<'_>) -> String {
    let text = String::from_utf8_lossy(answer.body);
    let line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(200)
        .collect();
    format!("{}: {}", answer.status.as_u16(), line.trim())
}
