//! Shopify itself: its GraphQL Admin API, with the app's token.
//!
//! A refusal is 200 with `userErrors`. A request that costs too much is 200 with an error
//! `THROTTLED`. Every document and its variables are validated against Shopify's schema in a
//! test.

pub mod webhook;

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use loyalty_core::discount::{CustomerSelection, DiscountClass, ItemSelection, PriceRule};
use loyalty_core::{Amount, CategoryId, CustomerId, Fault, ProductId, SegmentId, VariantId};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use super::plugin::{instant, money};
use super::{
    Capabilities, CodePublication, Connector, DiscountKind, PublishOutcome, StoreAnswer,
    StoreRequest, discount_kind, excerpt, find_unsupported, numeric_ids,
};

/// The version of the API.
const VERSION: &str = "2026-10";

const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-shopify-access-token");

/// Creates a discount on goods.
pub const CREATE_BASIC: &str = "\
mutation createCode($discount: DiscountCodeBasicInput!) {
  result: discountCodeBasicCreate(basicCodeDiscount: $discount) {
    codeDiscountNode { id }
    userErrors { field message code }
  }
}";

/// Creates free shipping.
pub const CREATE_FREE_SHIPPING: &str = "\
mutation createFreeShipping($discount: DiscountCodeFreeShippingInput!) {
  result: discountCodeFreeShippingCreate(freeShippingCodeDiscount: $discount) {
    codeDiscountNode { id }
    userErrors { field message code }
  }
}";

/// Finds the discount of a code, with the tags that say whose it is.
pub const FIND_CODE: &str = "\
query findCode($code: String!) {
  codeDiscountNodeByCode(code: $code) {
    id
    codeDiscount {
      ... on DiscountCodeBasic { tags }
      ... on DiscountCodeBxgy { tags }
      ... on DiscountCodeFreeShipping { tags }
    }
  }
}";

/// Ends a discount.
pub const DEACTIVATE: &str = "\
mutation endCode($id: ID!) {
  result: discountCodeDeactivate(id: $id) {
    codeDiscountNode { id }
    userErrors { field message code }
  }
}";

/// A shop of Shopify with the token of an app.
///
/// # Example: a code for one customer
/// ```
/// use loyalty_core::CustomerId;
/// use loyalty_core::discount::*;
/// use loyalty_http::connector::shopify::ShopifyConnector;
/// use loyalty_http::connector::{CodePublication, Connector};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let shop = ShopifyConnector {
///     shop_url: "https://tea.myshopify.com".into(),
///     access_token: "shpat_1".into(),
/// };
/// let parts = PriceRuleParts {
///     title: "FIVE".into(), value: "-5".parse()?, usage_limit: Some(1),
///     customer_selection: CustomerSelection::Prerequisite,
///     prerequisite_customer_ids: [CustomerId::new("207119551")?].into(),
///     ..PriceRuleParts::new("2026-03-01T00:00:00Z".parse()?)
/// };
/// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
/// let code = Code::new("FIVE")?;
/// let publication =
///     CodePublication { code: &code, rule: &rule, customer: None, reference: "7" };
/// let request = shop.publish(&publication).map_err(|faults| format!("{faults:?}"))?;
/// assert_eq!(request.url, "https://tea.myshopify.com/admin/api/2026-10/graphql.json");
/// assert!(String::from_utf8(request.body)?.contains("gid://shopify/Customer/207119551"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ShopifyConnector {
    /// The shop's URL, `https://name.myshopify.com`, without a slash at its end.
    pub shop_url: String,
    /// The token of the app's installation.
    pub access_token: String,
}

// The token stays out of logs.
impl std::fmt::Debug for ShopifyConnector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ShopifyConnector")
            .field("shop_url", &self.shop_url)
            .finish_non_exhaustive()
    }
}

const CAPABILITIES: Capabilities = Capabilities {
    store: "Shopify",
    endless: true,
    variants: true,
    excluded: false,
    bundles: false,
    maximum_discount: false,
    minimum_quantity: true,
    shipping_price_range: true,
    segments: true,
    countries: false,
    allocation_limit: false,
};

impl ShopifyConnector {
    /// A request that runs a document.
    fn request(&self, document: &str, variables: &Value) -> StoreRequest {
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        if let Ok(mut token) = HeaderValue::try_from(&self.access_token) {
            token.set_sensitive(true);
            headers.push((ACCESS_TOKEN, token));
        }
        let body = json!({ "query": document, "variables": variables });
        StoreRequest {
            method: Method::POST,
            url: format!("{}/admin/api/{VERSION}/graphql.json", self.shop_url),
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    /// The input of the mutation.
    fn input(&self, publication: &CodePublication<'_>) -> Result<Value, Vec<Fault>> {
        let rule = publication.rule;
        let parts = rule.parts();
        let mut faults = self.find_unsupported(rule);
        let context = context(rule, &mut faults);
        let kind = discount_kind(rule);
        let mut input = json!({
            "title": publication.code.as_str(),
            "code": publication.code.as_str(),
            "startsAt": instant(parts.starts_at),
            "endsAt": parts.ends_at.map(instant),
            "usageLimit": parts.usage_limit,
            "appliesOncePerCustomer": parts.once_per_customer,
            "context": context,
            "minimumRequirement": minimum_requirement(rule),
            "combinesWith": combines_with(rule),
            "tags": [tag(publication.reference)],
        });

        if let Some(members) = input.as_object_mut() {
            if kind == DiscountKind::FreeShipping {
                members.insert("destination".into(), json!({ "all": true }));
                let maximum = parts.prerequisite_shipping_price_range;
                let maximum = maximum.map(|amount| money(amount, rule.minor_digits()));
                members.insert("maximumShippingPrice".into(), maximum.into());
            } else {
                members.insert("recurringCycleLimit".into(), 1.into());
                let gets = json!({
                    "value": value(kind, rule.minor_digits()),
                    "items": items(&parts.entitled, &mut faults),
                });
                members.insert("customerGets".into(), gets);
            }
            members.retain(|_, value| !value.is_null());
        }
        if faults.is_empty() { Ok(input) } else { Err(faults) }
    }
}

impl Connector for ShopifyConnector {
    fn find_unsupported(&self, rule: &PriceRule) -> Vec<Fault> {
        let mut faults = find_unsupported(rule, CAPABILITIES);
        let parts = rule.parts();
        if parts.prerequisite_subtotal_range.is_some()
            && parts.prerequisite_quantity_range.is_some()
        {
            let detail = "Shopify holds a minimum subtotal or a minimum quantity, not both";
            faults.push(Fault::new("/prerequisite_quantity_range", "not_supported", detail));
        }
        if parts.customer_selection == CustomerSelection::Prerequisite
            && parts.prerequisite_customer_ids.is_empty()
            && parts.customer_segment_prerequisite_ids.is_empty()
        {
            let detail = "Shopify knows customers by id, and the customer has none";
            faults.push(Fault::new("/prerequisite_customer_ids", "customer_id_required", detail));
        }
        faults
    }

    fn obeys_start(&self) -> bool {
        true
    }

    fn publish(&self, publication: &CodePublication<'_>) -> Result<StoreRequest, Vec<Fault>> {
        let input = self.input(publication)?;
        let document = match discount_kind(publication.rule) {
            DiscountKind::FreeShipping => CREATE_FREE_SHIPPING,
            DiscountKind::Percent(_) | DiscountKind::FixedCart(_) | DiscountKind::FixedUnit(_) => {
                CREATE_BASIC
            }
        };
        Ok(self.request(document, &json!({ "discount": input })))
    }

    fn read_publish(
        &self,
        publication: &CodePublication<'_>,
        answer: &StoreAnswer<'_>,
    ) -> PublishOutcome {
        match read_result(answer) {
            // Ours of an earlier attempt, or somebody else's.
            Err(Refusal::Taken) => {
                let variables = json!({ "code": publication.code.as_str() });
                PublishOutcome::Check(Box::new(self.request(FIND_CODE, &variables)))
            }
            Err(Refusal::Final) => PublishOutcome::Refused { reason: excerpt(answer) },
            Err(Refusal::Passing) => PublishOutcome::Retry { reason: excerpt(answer) },
            Ok(id) => PublishOutcome::Done { store_id: Some(id) },
        }
    }

    fn read_check(
        &self,
        publication: &CodePublication<'_>,
        answer: &StoreAnswer<'_>,
    ) -> PublishOutcome {
        let body = serde_json::from_slice::<GraphqlAnswer<FoundCode>>(answer.body).ok();
        let Some(data) = body.and_then(|body| body.data) else {
            return PublishOutcome::Retry { reason: excerpt(answer) };
        };
        let ours = tag(publication.reference);
        match data.node {
            Some(node) if node.code_discount.tags.contains(&ours) => {
                PublishOutcome::Done { store_id: Some(node.id) }
            }
            Some(_) => PublishOutcome::Refused {
                reason: "the store has another discount with this code".to_owned(),
            },
            // Deleted meanwhile.
            None => PublishOutcome::Retry { reason: excerpt(answer) },
        }
    }

    fn withdraw(&self, store_id: &str) -> Option<StoreRequest> {
        Some(self.request(DEACTIVATE, &json!({ "id": store_id })))
    }

    fn read_withdraw(&self, answer: &StoreAnswer<'_>) -> PublishOutcome {
        match read_result(answer) {
            // An id that Shopify does not know was deleted by the merchant.
            Ok(_) | Err(Refusal::Taken | Refusal::Final) => PublishOutcome::Done { store_id: None },
            Err(Refusal::Passing) => PublishOutcome::Retry { reason: excerpt(answer) },
        }
    }
}

/// Why Shopify did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Another discount has the code.
    Taken,
    /// The input is wrong.
    Final,
    /// Another attempt may succeed.
    Passing,
}

/// Returns the id of the discount that a mutation made or changed.
fn read_result(answer: &StoreAnswer<'_>) -> Result<String, Refusal> {
    if answer.status != StatusCode::OK {
        return Err(Refusal::Passing);
    }
    let body: GraphqlAnswer<MutationData> =
        serde_json::from_slice(answer.body).map_err(|_| Refusal::Passing)?;
    // Without a result it was throttled, or the document was not run.
    let result = body.data.and_then(|data| data.result).ok_or(Refusal::Passing)?;
    if let Some(node) = result.node {
        return Ok(node.id);
    }

    let has = |codes: &[&str]| {
        let errors = result.user_errors.iter();
        errors
            .filter_map(|error| error.code.as_deref())
            .any(|code| codes.contains(&code))
    };
    if has(&["TAKEN", "DUPLICATE"]) {
        Err(Refusal::Taken)
    } else if result.user_errors.is_empty() || has(&["INTERNAL_ERROR"]) {
        Err(Refusal::Passing)
    } else {
        Err(Refusal::Final)
    }
}

#[derive(Deserialize)]
struct GraphqlAnswer<T> {
    data: Option<T>,
}

#[derive(Deserialize)]
struct MutationData {
    result: Option<MutationResult>,
}

#[derive(Deserialize)]
struct MutationResult {
    #[serde(rename = "codeDiscountNode")]
    node: Option<NodeId>,
    #[serde(rename = "userErrors", default)]
    user_errors: Vec<UserError>,
}

#[derive(Deserialize)]
struct NodeId {
    id: String,
}

#[derive(Deserialize)]
struct UserError {
    code: Option<String>,
}

#[derive(Deserialize)]
struct FoundCode {
    #[serde(rename = "codeDiscountNodeByCode")]
    node: Option<FoundNode>,
}

#[derive(Deserialize)]
struct FoundNode {
    id: String,
    #[serde(rename = "codeDiscount")]
    code_discount: FoundDiscount,
}

/// A discount of another app has no tags.
#[derive(Deserialize)]
struct FoundDiscount {
    #[serde(default)]
    tags: Vec<String>,
}

/// The tag by which a discount of ours is recognized.
fn tag(reference: &str) -> String {
    format!("loyalty-{reference}")
}

/// The customers who may use the code.
fn context(rule: &PriceRule, faults: &mut Vec<Fault>) -> Value {
    let parts = rule.parts();
    if parts.customer_selection == CustomerSelection::All {
        return json!({ "all": "ALL" });
    }
    let gids = |kind: &str, numbers: Vec<u64>| -> Vec<String> {
        numbers
            .iter()
            .map(|number| format!("gid://shopify/{kind}/{number}"))
            .collect()
    };

    let segments = &parts.customer_segment_prerequisite_ids;
    if !segments.is_empty() {
        let ids = segments.iter().map(SegmentId::as_str);
        let ids = numeric_ids(ids, "/customer_segment_prerequisite_ids", faults);
        return json!({ "customerSegments": { "add": gids("Segment", ids) } });
    }
    let ids = parts.prerequisite_customer_ids.iter().map(CustomerId::as_str);
    let ids = numeric_ids(ids, "/prerequisite_customer_ids", faults);
    json!({ "customers": { "add": gids("Customer", ids) } })
}

fn minimum_requirement(rule: &PriceRule) -> Value {
    let parts = rule.parts();
    match (parts.prerequisite_subtotal_range, parts.prerequisite_quantity_range) {
        (Some(subtotal), _) => {
            let least = money(subtotal, rule.minor_digits());
            json!({ "subtotal": { "greaterThanOrEqualToSubtotal": least } })
        }
        // `UnsignedInt64` is a text.
        (None, Some(quantity)) => {
            json!({ "quantity": { "greaterThanOrEqualToQuantity": quantity.to_string() } })
        }
        (None, None) => Value::Null,
    }
}

/// The classes of discounts that combine with this one. Free shipping combines with no other
/// free shipping.
fn combines_with(rule: &PriceRule) -> Value {
    let combines = !rule.parts().individual_use;
    let is_shipping = rule.class() == DiscountClass::Shipping;
    json!({
        "orderDiscounts": combines,
        "productDiscounts": combines,
        "shippingDiscounts": combines && !is_shipping,
    })
}

fn value(kind: DiscountKind, minor_digits: u32) -> Value {
    let fixed = |amount: Amount, each: bool| {
        json!({
            "discountAmount": { "amount": money(amount, minor_digits), "appliesOnEachItem": each }
        })
    };
    match kind {
        DiscountKind::Percent(millionths) => {
            // A share of 1: 12.5 % is 0.125. It has at most eight decimals, which a JSON number
            // of this library prints as they are.
            let share = Decimal::new(i64::from(millionths), 8).normalize().to_string();
            json!({ "percentage": serde_json::from_str::<Number>(&share).ok() })
        }
        DiscountKind::FixedCart(amount) => fixed(amount, false),
        DiscountKind::FixedUnit(amount) => fixed(amount, true),
        DiscountKind::FreeShipping => Value::Null,
    }
}

/// The goods that the code is for.
fn items(entitled: &ItemSelection, faults: &mut Vec<Fault>) -> Value {
    if entitled.is_empty() {
        return json!({ "all": true });
    }
    let mut gids = |kind: &str, ids: Vec<&str>, pointer: &str| -> Vec<String> {
        numeric_ids(ids, pointer, faults)
            .iter()
            .map(|number| format!("gid://shopify/{kind}/{number}"))
            .collect()
    };
    let products = entitled.products.iter().map(ProductId::as_str).collect();
    let products = gids("Product", products, "/entitled_product_ids");
    let variants = entitled.variants.iter().map(VariantId::as_str).collect();
    let variants = gids("ProductVariant", variants, "/entitled_variant_ids");
    let collections = entitled.collections.iter().map(CategoryId::as_str).collect();
    let collections = gids("Collection", collections, "/entitled_collection_ids");

    let mut items = Map::new();
    if !products.is_empty() || !variants.is_empty() {
        let mut selection = Map::new();
        if !products.is_empty() {
            selection.insert("productsToAdd".into(), products.into());
        }
        if !variants.is_empty() {
            selection.insert("productVariantsToAdd".into(), variants.into());
        }
        items.insert("products".into(), selection.into());
    }
    if !collections.is_empty() {
        items.insert("collections".into(), json!({ "add": collections }));
    }
    items.into()
}

#[cfg(test)]
#[path = "tests/shopify.rs"]
mod tests;
