//! WooCommerce's own webhooks, without a plugin.
//!
//! What surprises:
//!
//! - The first message of a new webhook is a ping: form-encoded, without a signature. It
//!   wants exactly 200, and comes before the request that made the webhook was answered.
//! - The amounts of lines never include tax, whatever the shop shows.
//! - An order names the ids and amounts of its refunds only. Lines, tax and shipping of a
//!   refund have to be fetched: see [`refunds_path`] and [`read_refunds`].

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use hyper::HeaderMap;
use loyalty_core::program::EmailProof;
use loyalty_core::{
    CategoryId, CustomerId, Email, Line, LineId, OrderId, ProductId, Quantity, Refund, RefundId,
    Status, Tag, Timestamp, VariantId,
};
use loyalty_store::{CustomerRef, Product, ProductStatus, ProfileChange, Variant};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::connector::webhook::{
    OrderMoney, RefundMoney, ShopCurrency, StoreCustomer, StoreMessage, StoreOrder, StoreWebhooks,
    build_order, build_refund, fault, header, read_codes, round_amount,
};
use crate::integration::WireError;
use crate::integration::order::set_if_sent;
use crate::integration::scalar;
use crate::integration::wire::read;

/// The webhooks of WooCommerce.
///
/// # Example: an order of a guest
/// ```
/// use loyalty_core::{Currency, Status};
/// use loyalty_http::connector::webhook::{ShopCurrency, StoreMessage, StoreWebhooks};
/// use loyalty_http::connector::woocommerce::webhook::WooCommerceWebhooks;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = r#"{"id": 727, "status": "processing", "currency": "EUR", "total": "29.35",
///     "total_tax": "4.35", "customer_id": 0, "billing": {"email": "ada@example.com"},
///     "line_items": [{"id": 315, "product_id": 93, "quantity": 2, "total": "20.00"}]}"#;
/// let shop = ShopCurrency { currency: Currency::EUR, minor_digits: 2 };
/// let read = WooCommerceWebhooks.read("order.created", body, shop)?;
/// let StoreMessage::Order(order) = read else { return Err("no order".into()) };
/// let (content, status) = order.content.ok_or("cancelled")?;
/// assert_eq!((content.shipping, status), ("5".parse()?, Status::Paid));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WooCommerceWebhooks;

/// The topics that are subscribed to.
pub const TOPICS: [&str; 9] = [
    "customer.created",
    "customer.deleted",
    "customer.updated",
    "order.created",
    "order.deleted",
    "order.updated",
    "product.created",
    "product.deleted",
    "product.updated",
];

impl StoreWebhooks for WooCommerceWebhooks {
    fn topic<'a>(&self, head: &'a HeaderMap) -> Option<&'a str> {
        header(head, "x-wc-webhook-topic")
    }

    fn delivery_id<'a>(&self, head: &'a HeaderMap) -> Option<&'a str> {
        header(head, "x-wc-webhook-delivery-id")
    }

    fn signature<'a>(&self, head: &'a HeaderMap) -> Option<&'a str> {
        header(head, "x-wc-webhook-signature")
    }

    fn is_ping(&self, head: &HeaderMap, body: &[u8]) -> bool {
        header(head, "x-wc-webhook-topic").is_none() && body.starts_with(b"webhook_id=")
    }

    fn read(&self, topic: &str, body: &str, shop: ShopCurrency) -> Result<StoreMessage, WireError> {
        match topic {
            "order.created" | "order.updated" | "order.restored" => read_order(body, shop),
            "order.deleted" => {
                let Deleted { id } = read(body)?;
                let id = OrderId::new(id).map_err(|error| fault("/id", &error))?;
                Ok(StoreMessage::OrderDeleted(id))
            }
            "customer.created" | "customer.updated" => {
                let customer: WooCustomer = read(body)?;
                let signs_up = topic == "customer.created";
                Ok(customer
                    .into_customer(signs_up)
                    .map_or(StoreMessage::Ignored, |customer| {
                        StoreMessage::Customer(Box::new(customer))
                    }))
            }
            "product.created" | "product.updated" | "product.restored" => {
                let product: WooProduct = read(body)?;
                let product = Box::new(product.into_product(shop)?);
                Ok(StoreMessage::Product { product, has_categories: true })
            }
            "product.deleted" => {
                let Deleted { id } = read(body)?;
                let id = ProductId::new(id).map_err(|error| fault("/id", &error))?;
                Ok(StoreMessage::ProductDeleted(id))
            }
            // Somebody deletes an account there; who wants to be forgotten asks here.
            _ => Ok(StoreMessage::Ignored),
        }
    }
}

/// Reads an order, as a webhook or a list has it.
///
/// # Errors
/// The place in the body, and what is wrong there.
pub fn read_order(body: &str, shop: ShopCurrency) -> Result<StoreMessage, WireError> {
    let order: WooOrder = read(body)?;
    // The draft of a checkout is no order yet.
    if matches!(order.status.as_str(), "auto-draft" | "checkout-draft") {
        return Ok(StoreMessage::Ignored);
    }
    Ok(StoreMessage::Order(Box::new(order.into_order(shop)?)))
}

/// The path of the refunds of an order, below the shop's URL.
pub fn refunds_path(order: &OrderId) -> String {
    format!("/wp-json/wc/v3/orders/{order}/refunds?per_page=100")
}

/// Reads the refunds of an order.
///
/// # Errors
/// The place in the body, and what is wrong there.
pub fn read_refunds(
    body: &str,
    shop: ShopCurrency,
) -> Result<Vec<(Refund, Option<Timestamp>)>, WireError> {
    let refunds: Vec<WooRefund> = read(body)?;
    let mut read = Vec::with_capacity(refunds.len());
    for refund in refunds {
        let at = refund.date_created_gmt.as_deref().and_then(instant);
        read.extend(refund.into_refund(shop)?.map(|refund| (refund, at)));
    }
    Ok(read)
}

/// An instant in UTC, which is written without a zone.
fn instant(text: &str) -> Option<Timestamp> {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
    Some(time.and_utc())
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(deserialize_with = "scalar::id")]
    id: String,
}

#[derive(Deserialize)]
struct WooOrder {
    #[serde(deserialize_with = "scalar::id")]
    id: OrderId,
    status: String,
    currency: Option<String>,
    date_created_gmt: Option<String>,
    date_modified_gmt: Option<String>,
    #[serde(deserialize_with = "scalar::amount")]
    total: Decimal,
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    total_tax: Decimal,
    #[serde(default, deserialize_with = "scalar::customer_id")]
    customer_id: Option<CustomerId>,
    billing: Option<Billing>,
    #[serde(default)]
    line_items: Vec<WooLine>,
    #[serde(default)]
    coupon_lines: Vec<CouponLine>,
    #[serde(default)]
    refunds: Vec<RefundSummary>,
}

#[derive(Default, Deserialize)]
struct Billing {
    #[serde(default, deserialize_with = "scalar::email")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    first_name: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    last_name: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<32, _>")]
    postcode: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<100, _>")]
    country: Option<String>,
}

#[derive(Deserialize)]
struct WooLine {
    #[serde(deserialize_with = "scalar::id")]
    id: LineId,
    /// 0 for a product that was deleted.
    #[serde(default, deserialize_with = "scalar::customer_id")]
    product_id: Option<ProductId>,
    #[serde(deserialize_with = "scalar::quantity")]
    quantity: Quantity,
    /// The price of the line less its discounts, without tax.
    #[serde(deserialize_with = "scalar::amount_at_least_zero")]
    total: Decimal,
}

#[derive(Deserialize)]
struct CouponLine {
    code: String,
}

#[derive(Deserialize)]
struct RefundSummary {
    #[serde(deserialize_with = "scalar::id")]
    id: RefundId,
}

impl WooOrder {
    fn into_order(self, shop: ShopCurrency) -> Result<StoreOrder, WireError> {
        let at = self.date_modified_gmt.as_deref().and_then(instant);
        let content = match self.status() {
            None => None,
            Some(status) => {
                let mut content = self.content(shop)?;
                content.placed_at = self.date_created_gmt.as_deref().and_then(instant);
                Some((content, status))
            }
        };
        let refunds = if content.is_some() { self.refunds } else { Vec::new() };
        let billing = self.billing.unwrap_or_default();
        let customer = CustomerRef::new(self.customer_id, billing.email);
        let change = ProfileChange {
            first_name: set_if_sent(billing.first_name.filter(|name| !name.is_empty())),
            last_name: set_if_sent(billing.last_name.filter(|name| !name.is_empty())),
            zip: set_if_sent(billing.postcode.filter(|zip| !zip.is_empty())),
            country: set_if_sent(billing.country.filter(|country| !country.is_empty())),
            ..ProfileChange::default()
        };
        Ok(StoreOrder {
            id: self.id,
            change: if customer.is_some() { change } else { ProfileChange::default() },
            customer,
            content,
            at,
            refunds: Vec::new(),
            missing_refunds: refunds.into_iter().map(|refund| refund.id).collect(),
        })
    }

    /// The status; `None` of an order that is cancelled. A status of another plugin is one
    /// in progress.
    fn status(&self) -> Option<Status> {
        let status = self.status.as_str();
        if matches!(status, "cancelled" | "failed" | "trash") {
            None
        } else if status == "completed" {
            Some(Status::Completed)
        } else if status == "processing" || status == "refunded" {
            Some(Status::Paid)
        } else {
            Some(Status::Processing)
        }
    }

    fn content(&self, shop: ShopCurrency) -> Result<loyalty_core::Order, WireError> {
        if let Some(currency) =
            self.currency.as_deref().filter(|code| *code != shop.currency.code())
        {
            let reason = format!(
                "the order's currency is {currency}, and the shop's is {}",
                shop.currency.code()
            );
            return Err(fault("/currency", &reason));
        }
        let lines = self.line_items.iter().map(|line| {
            let content =
                Line::new(line.id.clone(), loyalty_core::Amount::ZERO).with_quantity(line.quantity);
            (Line { product: line.product_id.clone(), ..content }, line.total)
        });
        let money = OrderMoney {
            total: self.total,
            tax: self.total_tax,
            taxes_included: false,
            presentment: None,
        };
        let mut order = build_order(lines.collect(), &money, shop)?;
        order.codes = read_codes(self.coupon_lines.iter().map(|coupon| coupon.code.as_str()));
        Ok(order)
    }
}

/// A refund with its lines. Amounts of lines are negative.
#[derive(Deserialize)]
struct WooRefund {
    #[serde(deserialize_with = "scalar::id")]
    id: RefundId,
    date_created_gmt: Option<String>,
    #[serde(deserialize_with = "scalar::number")]
    amount: Decimal,
    #[serde(default)]
    line_items: Vec<RefundLine>,
    #[serde(default)]
    shipping_lines: Vec<RefundPart>,
}

#[derive(Deserialize)]
struct RefundLine {
    #[serde(deserialize_with = "scalar::number")]
    quantity: Decimal,
    #[serde(default, deserialize_with = "scalar::number")]
    total_tax: Decimal,
    #[serde(default)]
    meta_data: Vec<Meta>,
}

#[derive(Deserialize)]
struct RefundPart {
    #[serde(default, deserialize_with = "scalar::number")]
    total: Decimal,
    #[serde(default, deserialize_with = "scalar::number")]
    total_tax: Decimal,
}

#[derive(Deserialize)]
struct Meta {
    key: String,
    value: serde_json::Value,
}

impl RefundLine {
    /// The id of the order's line that came back. The refund's line has one of its own.
    fn refunded_line(&self) -> Option<LineId> {
        let meta = self.meta_data.iter().find(|meta| meta.key == "_refunded_item_id")?;
        match &meta.value {
            serde_json::Value::String(id) => LineId::new(id).ok(),
            serde_json::Value::Number(id) => LineId::new(id.to_string()).ok(),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        }
    }
}

impl WooRefund {
    fn into_refund(self, shop: ShopCurrency) -> Result<Option<Refund>, WireError> {
        let sum = |amounts: &mut dyn Iterator<Item = Decimal>| {
            amounts.fold(Decimal::ZERO, |sum, amount| sum.saturating_add(amount.abs()))
        };
        let shipping = sum(&mut self.shipping_lines.iter().map(|part| part.total));
        let goods_tax = sum(&mut self.line_items.iter().map(|line| line.total_tax));
        let shipping_tax = sum(&mut self.shipping_lines.iter().map(|part| part.total_tax));
        let money = RefundMoney {
            amount: self.amount,
            shipping,
            tax: goods_tax.saturating_add(shipping_tax),
            currency: None,
        };
        let lines = self.line_items.iter().filter_map(|line| {
            let units = Quantity::new(line.quantity.abs()).ok()?;
            Some((line.refunded_line()?, units))
        });
        build_refund(self.id, lines.collect(), &money, shop)
    }
}

#[derive(Deserialize)]
struct WooCustomer {
    #[serde(default, deserialize_with = "scalar::customer_id")]
    id: Option<CustomerId>,
    #[serde(default, deserialize_with = "scalar::email")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    first_name: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    last_name: Option<String>,
    billing: Option<Billing>,
}

impl WooCustomer {
    fn into_customer(self, signs_up: bool) -> Option<StoreCustomer> {
        let billing = self.billing.unwrap_or_default();
        let change = ProfileChange {
            first_name: set_if_sent(self.first_name),
            last_name: set_if_sent(self.last_name),
            zip: set_if_sent(billing.postcode),
            country: set_if_sent(billing.country),
            ..ProfileChange::default()
        };
        Some(StoreCustomer {
            customer: CustomerRef::new(self.id, self.email)?,
            change,
            email_proof: EmailProof::Profile,
            signs_up,
        })
    }
}

#[derive(Deserialize)]
struct WooProduct {
    #[serde(deserialize_with = "scalar::id")]
    id: ProductId,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    name: Option<String>,
    status: Option<String>,
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    price: Decimal,
    #[serde(default)]
    categories: Vec<Term>,
    #[serde(default)]
    tags: Vec<Term>,
    #[serde(default)]
    variations: Vec<u64>,
}

/// A category or a tag.
#[derive(Deserialize)]
struct Term {
    #[serde(deserialize_with = "scalar::id")]
    id: CategoryId,
    #[serde(default)]
    name: String,
}

impl WooProduct {
    fn into_product(self, shop: ShopCurrency) -> Result<Product, WireError> {
        let variants = self.variations.into_iter().filter_map(|id| {
            let id = VariantId::new(id.to_string()).ok()?;
            Some(Variant { id, title: None, sku: None, price: None })
        });
        let tags: BTreeSet<Tag> =
            self.tags.iter().filter_map(|tag| Tag::new(&tag.name).ok()).collect();
        Ok(Product {
            title: self.name.unwrap_or_else(|| self.id.to_string()),
            id: self.id,
            categories: self.categories.into_iter().map(|term| term.id).collect(),
            price: Some(round_amount(self.price, shop.minor_digits, "/price")?),
            vendor: None,
            product_type: None,
            tags,
            status: match self.status.as_deref() {
                Some("publish") | None => ProductStatus::Active,
                Some("trash" | "private") => ProductStatus::Archived,
                Some(_) => ProductStatus::Draft,
            },
            variants: variants.collect(),
        })
    }
}

#[cfg(test)]
#[path = "../tests/woocommerce_webhook.rs"]
mod tests;
