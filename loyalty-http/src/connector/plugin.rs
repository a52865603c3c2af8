//! The store plugins for WooCommerce and Magento: a signed `POST` to the endpoint that the
//! plugin named when it was installed.
//!
//! The facts about both plugins were read from their published source and tried in real
//! shops. Those that surprise:
//!
//! - WooCommerce: a percentage of 100 off shipping makes the whole cart free, so free
//!   shipping is a fixed amount of 0. Magento takes nothing but that percentage.
//! - WooCommerce: an empty list of variants wipes the list of products, so no empty list is
//!   sent.
//! - WooCommerce: a customer's id that the store does not know is no restriction at all, so
//!   a personal code always names the e-mail.
//! - WooCommerce: amounts are texts. A number such as 5.0 would be printed in another form
//!   before the signature is checked.
//! - Magento answers 200 to everything.
//! - Neither can delete a coupon, so each has an end.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use loyalty_core::discount::{PriceRule, ValueType};
use loyalty_core::{CategoryId, Fault, ProductId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Capabilities, CodePublication, Connector, DiscountKind, PublishOutcome, StoreAnswer,
    StoreRequest, discount_kind, excerpt, find_missing_email, find_unsupported, numeric_ids,
    percent_text,
};
use crate::integration::sign_members;

/// The kind of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginKind {
    /// For WooCommerce.
    WooCommerce,
    /// For Magento 2.
    Magento,
}

/// A store with a plugin.
///
/// # Example: a code is sent to the plugin's endpoint
/// ```
/// use loyalty_core::Email;
/// use loyalty_core::discount::*;
/// use loyalty_http::connector::plugin::{PluginConnector, PluginKind};
/// use loyalty_http::connector::{CodePublication, Connector};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let plugin = PluginConnector {
///     kind: PluginKind::WooCommerce,
///     endpoint: "https://tea.example/wp-json/lootly/".into(),
///     key: "lk_1".into(),
///     secret: b"secret".to_vec(),
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
/// let request = plugin.publish(&publication).map_err(|faults| format!("{faults:?}"))?;
/// assert_eq!(request.url, "https://tea.example/wp-json/lootly/price-rules");
/// assert!(String::from_utf8(request.body)?.contains(r#""value":"-5.00""#));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PluginConnector {
    /// The plugin.
    pub kind: PluginKind,
    /// The URL that the plugin named: `api_endpoint`.
    pub endpoint: String,
    /// The key that the store has.
    pub key: String,
    /// The secret that the store has.
    pub secret: Vec<u8>,
}

// The secret stays out of logs.
impl std::fmt::Debug for PluginConnector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PluginConnector")
            .field("kind", &self.kind)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl PluginConnector {
    fn capabilities(&self) -> Capabilities {
        let is_woocommerce = self.kind == PluginKind::WooCommerce;
        Capabilities {
            store: match self.kind {
                PluginKind::WooCommerce => "the plugin for WooCommerce",
                PluginKind::Magento => "the plugin for Magento",
            },
            endless: false,
            variants: false,
            excluded: is_woocommerce,
            bundles: false,
            maximum_discount: false,
            minimum_quantity: false,
            shipping_price_range: false,
            segments: false,
            countries: false,
            allocation_limit: is_woocommerce,
        }
    }

    fn price_rule(&self, publication: &CodePublication<'_>) -> Result<PluginRule, Vec<Fault>> {
        let rule = publication.rule;
        let parts = rule.parts();
        let mut faults = self.find_unsupported(rule);
        let (value_type, value) = self.value(rule);

        let mut products = |ids: &BTreeSet<ProductId>, pointer| {
            numeric_ids(ids.iter().map(ProductId::as_str), pointer, &mut faults)
        };
        let entitled_product_ids = products(&parts.entitled.products, "/entitled_product_ids");
        let excluded_product_ids = products(&parts.excluded.products, "/excluded_product_ids");
        let mut categories = |ids: &BTreeSet<CategoryId>, pointer| {
            numeric_ids(ids.iter().map(CategoryId::as_str), pointer, &mut faults)
        };
        let entitled_category_ids =
            categories(&parts.entitled.collections, "/entitled_collection_ids");
        let excluded_category_ids =
            categories(&parts.excluded.collections, "/excluded_collection_ids");

        let built = PluginRule {
            title: publication.code.as_str().to_owned(),
            value_type: value_type.name(),
            value,
            target_type: parts.target_type.name(),
            usage_limit: parts.usage_limit,
            individual_use: parts.individual_use,
            once_per_customer: parts.once_per_customer,
            allocation_limit: parts.allocation_limit,
            prerequisite_subtotal_range: parts.prerequisite_subtotal_range.map(|least| AtLeast {
                greater_than_or_equal_to: money(least, rule.minor_digits()),
            }),
            prerequisite_customer_emails: parts
                .prerequisite_emails
                .iter()
                .map(|email| email.as_str().to_owned())
                .collect(),
            entitled_product_ids,
            entitled_category_ids,
            excluded_product_ids,
            excluded_category_ids,
            starts_at: (self.kind == PluginKind::Magento).then(|| instant(parts.starts_at)),
            ends_at: parts.ends_at.map(instant),
        };
        if faults.is_empty() { Ok(built) } else { Err(faults) }
    }

    /// The value as the plugin reads it.
    fn value(&self, rule: &PriceRule) -> (ValueType, String) {
        let fixed =
            |amount| (ValueType::FixedAmount, format!("-{}", money(amount, rule.minor_digits())));
        match (discount_kind(rule), self.kind) {
            (DiscountKind::FreeShipping, PluginKind::WooCommerce) => {
                (ValueType::FixedAmount, "0".to_owned())
            }
            (DiscountKind::FreeShipping, PluginKind::Magento) => {
                (ValueType::Percentage, "-100".to_owned())
            }
            (DiscountKind::Percent(percent), _) => {
                (ValueType::Percentage, format!("-{}", percent_text(percent)))
            }
            (DiscountKind::FixedCart(amount) | DiscountKind::FixedUnit(amount), _) => fixed(amount),
        }
    }

    fn url(&self) -> String {
        match self.kind {
            PluginKind::WooCommerce => format!("{}price-rules", self.endpoint),
            PluginKind::Magento => format!("{}?price-rules", self.endpoint),
        }
    }

    /// Other URLs at which the plugin may answer, where the named one is not found: shops
    /// differ in how they rewrite paths.
    pub fn other_endpoints(&self) -> Vec<String> {
        const ROUTES: [&str; 3] = ["/lootly/", "/wp-json/lootly/", "/?rest_route=/lootly/"];
        let known = ROUTES
            .iter()
            .rev()
            .find_map(|route| Some((self.endpoint.strip_suffix(route)?, *route)));
        let (PluginKind::WooCommerce, Some((shop, current))) = (self.kind, known) else {
            return Vec::new();
        };
        let shop = shop.trim_end_matches("/index.php");
        let others = ROUTES.iter().filter(|route| **route != current);
        others.map(|route| format!("{shop}{route}")).collect()
    }
}

impl Connector for PluginConnector {
    fn find_unsupported(&self, rule: &PriceRule) -> Vec<Fault> {
        let mut faults = find_unsupported(rule, self.capabilities());
        faults.extend(find_missing_email(rule));
        if self.kind == PluginKind::WooCommerce
            && matches!(discount_kind(rule), DiscountKind::FixedUnit(_))
        {
            let detail = "the plugin for WooCommerce takes a fixed amount off the cart only";
            faults.push(Fault::new("/allocation_method", "not_supported", detail));
        }
        faults
    }

    fn obeys_start(&self) -> bool {
        self.kind == PluginKind::Magento
    }

    fn publish(&self, publication: &CodePublication<'_>) -> Result<StoreRequest, Vec<Fault>> {
        let body = PluginBody { price_rule: self.price_rule(publication)?, key: &self.key };
        let unreadable = |detail: String| vec![Fault::new("", "not_supported", detail)];
        let text = serde_json::to_string(&body).map_err(|error| unreadable(error.to_string()))?;
        let hmac =
            sign_members(&text, &self.secret).map_err(|error| unreadable(error.to_string()))?;

        // Appended behind the other members, as the plugins themselves do.
        let open = text.strip_suffix('}').unwrap_or(&text);
        let signed = format!("{open},\"hmac\":\"{}\"}}", STANDARD.encode(hmac));
        Ok(StoreRequest {
            method: Method::POST,
            url: self.url(),
            headers: vec![(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            body: signed.into_bytes(),
        })
    }

    fn publish_elsewhere(&self, publication: &CodePublication<'_>) -> Vec<StoreRequest> {
        let others = self.other_endpoints().into_iter();
        others
            .filter_map(|endpoint| Self { endpoint, ..self.clone() }.publish(publication).ok())
            .collect()
    }

    fn read_publish(&self, _: &CodePublication<'_>, answer: &StoreAnswer<'_>) -> PublishOutcome {
        let body: PluginAnswer = serde_json::from_slice(answer.body).unwrap_or_default();
        let id = body.price_rule.and_then(|rule| rule.id).and_then(StoreId::into_text);
        let reason = excerpt(answer);

        match (answer.status, body.code.as_deref()) {
            (status, _) if status.is_success() && id.is_some() => {
                PublishOutcome::Done { store_id: id }
            }
            // An earlier attempt succeeded, and its answer was lost: our codes are random.
            (StatusCode::BAD_REQUEST, Some("woocommerce_rest_coupon_code_already_exists")) => {
                PublishOutcome::Done { store_id: None }
            }
            // Magento has no other status for its errors.
            (status, _) if status.is_success() && body.error.is_some() => {
                PublishOutcome::Refused { reason }
            }
            (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, Some(_)) => {
                PublishOutcome::Refused { reason }
            }
            // The plugin is off, its key was changed, or a page stands before the shop.
            _ => PublishOutcome::Retry { reason },
        }
    }

    fn read_check(
        &self,
        publication: &CodePublication<'_>,
        answer: &StoreAnswer<'_>,
    ) -> PublishOutcome {
        self.read_publish(publication, answer)
    }

    fn withdraw(&self, _: &str) -> Option<StoreRequest> {
        None
    }

    fn read_withdraw(&self, answer: &StoreAnswer<'_>) -> PublishOutcome {
        PublishOutcome::Refused { reason: excerpt(answer) }
    }
}

/// What the plugins answer, as far as it is known. Anything else is no success.
#[derive(Default, Deserialize)]
struct PluginAnswer {
    price_rule: Option<CreatedRule>,
    code: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct CreatedRule {
    id: Option<StoreId>,
}

/// An id as the store prints it.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoreId {
    Number(u64),
    Text(String),
}

impl StoreId {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Number(id) => Some(id.to_string()),
            Self::Text(id) => Some(id).filter(|id| !id.is_empty()),
        }
    }
}

#[derive(Serialize)]
struct PluginBody<'a> {
    price_rule: PluginRule,
    key: &'a str,
}

/// A price rule of the plugins. Absent lists are left out.
#[derive(Serialize)]
struct PluginRule {
    title: String,
    value_type: &'static str,
    value: String,
    target_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_limit: Option<u64>,
    /// Always sent: it is true where it is absent.
    individual_use: bool,
    once_per_customer: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    allocation_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prerequisite_subtotal_range: Option<AtLeast>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prerequisite_customer_emails: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entitled_product_ids: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entitled_category_ids: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded_product_ids: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded_category_ids: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
}

#[derive(Serialize)]
struct AtLeast {
    greater_than_or_equal_to: String,
}

/// An amount with the decimals of its currency.
pub(super) fn money(amount: loyalty_core::Amount, minor_digits: u32) -> String {
    let digits = usize::try_from(minor_digits).unwrap_or(2);
    format!("{:.digits$}", amount.get())
}

/// An instant in UTC with seconds, without a fraction.
pub(super) fn instant(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
#[path = "tests/plugin.rs"]
mod tests;
