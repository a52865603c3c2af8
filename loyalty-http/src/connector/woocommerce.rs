//! WooCommerce itself, without a plugin: its REST API for coupons, with a consumer key.
//!
//! What surprises, tried in 11.0.1: `date_expires_gmt` is taken and dropped, and such a
//! coupon never ends; `date_expires` with milliseconds, or without `Z`, is read as the
//! site's time. So `date_expires` is sent with `Z` and whole seconds.

pub mod webhook;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use loyalty_core::discount::PriceRule;
use loyalty_core::{CategoryId, Fault, ProductId, VariantId};
use serde::{Deserialize, Serialize};

use super::plugin::{instant, money};
use super::{
    Capabilities, CodePublication, Connector, DiscountKind, PublishOutcome, StoreAnswer,
    StoreRequest, discount_kind, excerpt, find_missing_email, find_unsupported, numeric_ids,
    percent_text,
};
use crate::wire::percent;

/// The name of the coupon's metadata that has our reference.
const REFERENCE: &str = "_loyalty_reference";

/// A shop of WooCommerce with keys of its REST API.
///
/// # Example: a coupon for one customer
/// ```
/// use loyalty_core::Email;
/// use loyalty_core::discount::*;
/// use loyalty_http::connector::woocommerce::WooCommerceConnector;
/// use loyalty_http::connector::{CodePublication, Connector};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let shop = WooCommerceConnector {
///     shop_url: "https://tea.example".into(),
///     consumer_key: "ck_1".into(),
///     consumer_secret: "cs_1".into(),
/// };
/// let parts = PriceRuleParts {
///     title: "FIVE".into(), value: "-5".parse()?, usage_limit: Some(1),
///     customer_selection: CustomerSelection::Prerequisite,
///     prerequisite_emails: vec![Email::new("ada@example.com")?],
///     ends_at: Some("2026-06-01T00:00:00Z".parse()?),
///     ..PriceRuleParts::new("2026-03-01T00:00:00Z".parse()?)
/// };
/// let rule = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
/// let code = Code::new("FIVE")?;
/// let publication =
///     CodePublication { code: &code, rule: &rule, customer: None, reference: "7" };
/// let request = shop.publish(&publication).map_err(|faults| format!("{faults:?}"))?;
/// assert_eq!(request.url, "https://tea.example/wp-json/wc/v3/coupons");
/// let body = String::from_utf8(request.body)?;
/// assert!(body.contains(r#""discount_type":"fixed_cart","amount":"5.00""#), "{body}");
/// assert!(body.contains(r#""date_expires":"2026-06-01T00:00:00Z""#), "{body}");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct WooCommerceConnector {
    /// The shop's URL, without a slash at its end.
    pub shop_url: String,
    /// The key: `ck_…`.
    pub consumer_key: String,
    /// The secret: `cs_…`.
    pub consumer_secret: String,
}

// The secret stays out of logs.
impl std::fmt::Debug for WooCommerceConnector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WooCommerceConnector")
            .field("shop_url", &self.shop_url)
            .finish_non_exhaustive()
    }
}

/// The value of the header `Authorization`.
pub(crate) fn basic_auth(key: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{key}:{secret}")))
}

const CAPABILITIES: Capabilities = Capabilities {
    store: "WooCommerce",
    endless: true,
    variants: true,
    excluded: true,
    bundles: false,
    maximum_discount: false,
    minimum_quantity: false,
    shipping_price_range: false,
    segments: false,
    countries: false,
    allocation_limit: true,
};

impl WooCommerceConnector {
    /// The headers of every request.
    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let basic = HeaderValue::try_from(basic_auth(&self.consumer_key, &self.consumer_secret));
        let mut headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        if let Ok(mut basic) = basic {
            basic.set_sensitive(true);
            headers.push((AUTHORIZATION, basic));
        }
        headers
    }

    fn url(&self, path: &str) -> String {
        format!("{}/wp-json/wc/v3/{path}", self.shop_url)
    }

    fn coupon(&self, publication: &CodePublication<'_>) -> Result<Coupon, Vec<Fault>> {
        let rule = publication.rule;
        let parts = rule.parts();
        let mut faults = self.find_unsupported(rule);
        let (discount_type, amount) = discount(rule);

        let products = &parts.entitled.products;
        let mut product_ids = numeric_ids(
            products.iter().map(ProductId::as_str),
            "/entitled_product_ids",
            &mut faults,
        );
        // A variation is a product of its own there.
        product_ids.extend(numeric_ids(
            parts.entitled.variants.iter().map(VariantId::as_str),
            "/entitled_variant_ids",
            &mut faults,
        ));
        let mut excluded_product_ids = numeric_ids(
            parts.excluded.products.iter().map(ProductId::as_str),
            "/excluded_product_ids",
            &mut faults,
        );
        excluded_product_ids.extend(numeric_ids(
            parts.excluded.variants.iter().map(VariantId::as_str),
            "/excluded_variant_ids",
            &mut faults,
        ));

        let coupon = Coupon {
            code: publication.code.as_str().to_owned(),
            discount_type,
            amount,
            date_expires: parts.ends_at.map(instant),
            individual_use: parts.individual_use,
            product_ids,
            excluded_product_ids,
            product_categories: numeric_ids(
                parts.entitled.collections.iter().map(CategoryId::as_str),
                "/entitled_collection_ids",
                &mut faults,
            ),
            excluded_product_categories: numeric_ids(
                parts.excluded.collections.iter().map(CategoryId::as_str),
                "/excluded_collection_ids",
                &mut faults,
            ),
            usage_limit: parts.usage_limit,
            usage_limit_per_user: parts.once_per_customer.then_some(1),
            limit_usage_to_x_items: parts.allocation_limit,
            free_shipping: discount_kind(rule) == DiscountKind::FreeShipping,
            minimum_amount: parts
                .prerequisite_subtotal_range
                .map(|least| money(least, rule.minor_digits())),
            email_restrictions: parts
                .prerequisite_emails
                .iter()
                .map(|email| email.as_str().to_owned())
                .collect(),
            meta_data: vec![Metadata {
                key: REFERENCE.to_owned(),
                value: publication.reference.into(),
            }],
        };
        if faults.is_empty() { Ok(coupon) } else { Err(faults) }
    }
}

/// The kind of a coupon and its amount, both as WooCommerce names them.
fn discount(rule: &PriceRule) -> (&'static str, String) {
    match discount_kind(rule) {
        DiscountKind::FreeShipping => ("fixed_cart", "0".to_owned()),
        DiscountKind::Percent(percent) => ("percent", percent_text(percent)),
        DiscountKind::FixedCart(amount) => ("fixed_cart", money(amount, rule.minor_digits())),
        DiscountKind::FixedUnit(amount) => ("fixed_product", money(amount, rule.minor_digits())),
    }
}

impl Connector for WooCommerceConnector {
    fn find_unsupported(&self, rule: &PriceRule) -> Vec<Fault> {
        let mut faults = find_unsupported(rule, CAPABILITIES);
        faults.extend(find_missing_email(rule));
        faults
    }

    /// Coupons have no first instant.
    fn obeys_start(&self) -> bool {
        false
    }

    fn publish(&self, publication: &CodePublication<'_>) -> Result<StoreRequest, Vec<Fault>> {
        let coupon = self.coupon(publication)?;
        Ok(StoreRequest {
            method: Method::POST,
            url: self.url("coupons"),
            headers: self.headers(),
            body: serde_json::to_vec(&coupon).unwrap_or_default(),
        })
    }

    fn read_publish(
        &self,
        publication: &CodePublication<'_>,
        answer: &StoreAnswer<'_>,
    ) -> PublishOutcome {
        let reason = excerpt(answer);
        if answer.status.is_success() {
            return match serde_json::from_slice::<Created>(answer.body) {
                Ok(created) => PublishOutcome::Done { store_id: Some(created.id.to_string()) },
                Err(_) => PublishOutcome::Retry { reason },
            };
        }

        let error = serde_json::from_slice::<RestError>(answer.body).ok();
        match (answer.status, error.as_ref().map(|error| &*error.code)) {
            // Ours of an earlier attempt, or somebody else's.
            (StatusCode::BAD_REQUEST, Some("woocommerce_rest_coupon_code_already_exists")) => {
                let code = percent::encode(publication.code.as_str());
                PublishOutcome::Check(Box::new(StoreRequest {
                    method: Method::GET,
                    url: self.url(&format!("coupons?code={code}")),
                    headers: self.headers(),
                    body: Vec::new(),
                }))
            }
            (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(_)) => {
                PublishOutcome::Refused { reason }
            }
            _ => PublishOutcome::Retry { reason },
        }
    }

    fn read_check(
        &self,
        publication: &CodePublication<'_>,
        answer: &StoreAnswer<'_>,
    ) -> PublishOutcome {
        let Ok(found) = serde_json::from_slice::<Vec<Created>>(answer.body) else {
            return PublishOutcome::Retry { reason: excerpt(answer) };
        };
        let is_ours = |coupon: &&Created| {
            coupon
                .meta_data
                .iter()
                .any(|meta| meta.key == REFERENCE && meta.value == publication.reference)
        };
        match (found.iter().find(is_ours), found.is_empty()) {
            (Some(coupon), _) => PublishOutcome::Done { store_id: Some(coupon.id.to_string()) },
            // Deleted meanwhile.
            (None, true) => PublishOutcome::Retry { reason: excerpt(answer) },
            (None, false) => PublishOutcome::Refused {
                reason: "the store has another coupon with this code".to_owned(),
            },
        }
    }

    fn withdraw(&self, store_id: &str) -> Option<StoreRequest> {
        let id: u64 = store_id.parse().ok()?;
        Some(StoreRequest {
            method: Method::DELETE,
            url: self.url(&format!("coupons/{id}?force=true")),
            headers: self.headers(),
            body: Vec::new(),
        })
    }

    fn read_withdraw(&self, answer: &StoreAnswer<'_>) -> PublishOutcome {
        let reason = excerpt(answer);
        match answer.status {
            status if status.is_success() => PublishOutcome::Done { store_id: None },
            // Deleted before, by an attempt whose answer was lost or by the merchant.
            StatusCode::NOT_FOUND | StatusCode::GONE
                if reason.contains("woocommerce_rest_shop_coupon_invalid_id") =>
            {
                PublishOutcome::Done { store_id: None }
            }
            _ => PublishOutcome::Retry { reason },
        }
    }
}

#[derive(Serialize)]
struct Coupon {
    code: String,
    discount_type: &'static str,
    amount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_expires: Option<String>,
    individual_use: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    product_ids: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded_product_ids: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    product_categories: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded_product_categories: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_limit_per_user: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_usage_to_x_items: Option<u32>,
    free_shipping: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_amount: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    email_restrictions: Vec<String>,
    meta_data: Vec<Metadata>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    key: String,
    /// Other plugins' values are any JSON.
    value: serde_json::Value,
}

#[derive(Deserialize)]
struct Created {
    id: u64,
    #[serde(default)]
    meta_data: Vec<Metadata>,
}

#[derive(Deserialize)]
struct RestError {
    code: String,
}

#[cfg(test)]
#[path = "tests/woocommerce.rs"]
mod tests;
