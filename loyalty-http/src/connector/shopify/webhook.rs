//! Shopify's webhooks, in its REST form.
//!
//! What surprises:
//!
//! - `current_*` members and `current_quantity` are after edits and after refunds. Taking
//!   refunds off them again would count them twice. So a line has the units that are left
//!   and those that came back, which leaves out what an edit removed.
//! - `refund_line_items[].subtotal` is a JSON number, other amounts are texts.
//! - `transactions[].amount` is in the currency that was paid in.
//! - A refund whose payment is pending is sent again when that has succeeded.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use loyalty_core::program::EmailProof;
use loyalty_core::{
    Currency, CustomerId, Email, Line, LineId, OrderId, ProductId, Quantity, Refund, RefundId,
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

/// The webhooks of Shopify.
///
/// # Example: an order that was paid
/// ```
/// use loyalty_core::{Currency, Status};
/// use loyalty_http::connector::shopify::webhook::ShopifyWebhooks;
/// use loyalty_http::connector::webhook::{ShopCurrency, StoreMessage, StoreWebhooks};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let body = r#"{"id": 450789469, "currency": "EUR", "total_price": "54.95",
///     "financial_status": "paid", "customer": {"id": 207119551, "email": "ada@example.com"},
///     "line_items": [{"id": 466157049, "quantity": 1, "current_quantity": 1, "price": "49.95"}]}"#;
/// let shop = ShopCurrency { currency: Currency::EUR, minor_digits: 2 };
/// let StoreMessage::Order(order) = ShopifyWebhooks.read("orders/paid", body, shop)? else {
///     return Err("no order".into());
/// };
/// let (content, status) = order.content.ok_or("cancelled")?;
/// assert_eq!((content.shipping, status), ("5".parse()?, Status::Paid));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ShopifyWebhooks;

/// The topics that are subscribed to, in the form of the head.
pub const TOPICS: [&str; 15] = [
    "app/uninstalled",
    "customers/create",
    "customers/enable",
    "customers/merge",
    "customers/update",
    "orders/cancelled",
    "orders/create",
    "orders/delete",
    "orders/fulfilled",
    "orders/paid",
    "orders/updated",
    "products/create",
    "products/delete",
    "products/update",
    "refunds/create",
];

impl StoreWebhooks for ShopifyWebhooks {
    fn topic<'a>(&self, head: &'a HeaderMap) -> Option<&'a str> {
        header(head, "x-shopify-topic")
    }

    fn delivery_id<'a>(&self, head: &'a HeaderMap) -> Option<&'a str> {
        header(head, "x-shopify-webhook-id")
    }

    fn signature<'a>(&self, head: &'a HeaderMap) -> Option<&'a str> {
        header(head, "x-shopify-hmac-sha256")
    }

    fn is_ping(&self, _: &HeaderMap, _: &[u8]) -> bool {
        false
    }

    fn read(&self, topic: &str, body: &str, shop: ShopCurrency) -> Result<StoreMessage, WireError> {
        match topic {
            "orders/cancelled"
            | "orders/create"
            | "orders/edited"
            | "orders/fulfilled"
            | "orders/paid"
            | "orders/partially_fulfilled"
            | "orders/updated" => {
                // The topic of edits brings the edit alone; an update follows.
                if topic == "orders/edited" {
                    return Ok(StoreMessage::Ignored);
                }
                let order: ShopifyOrder = read(body)?;
                Ok(StoreMessage::Order(Box::new(order.into_order(shop)?)))
            }
            "orders/delete" => {
                let Deleted { id } = read(body)?;
                Ok(StoreMessage::OrderDeleted(id))
            }
            "refunds/create" => {
                let RefundOfOrder { order_id } = read(body)?;
                let refund: ShopifyRefund = read(body)?;
                let at = refund.created_at;
                let refund = refund.into_refund(shop)?;
                Ok(refund.map_or(StoreMessage::Ignored, |refund| {
                    StoreMessage::Refund(order_id, refund, at)
                }))
            }
            "customers/create" | "customers/enable" | "customers/update" => {
                let customer: ShopifyCustomer = read(body)?;
                let signs_up = topic != "customers/update";
                Ok(customer
                    .into_customer(signs_up)
                    .map_or(StoreMessage::Ignored, |customer| {
                        StoreMessage::Customer(Box::new(customer))
                    }))
            }
            "customers/merge" => read_merge(body),
            "customers/redact" => {
                let PrivacyRequest { customer } = read(body)?;
                Ok(StoreMessage::CustomerErased(customer.id))
            }
            "customers/data_request" => {
                let PrivacyRequest { customer } = read(body)?;
                Ok(StoreMessage::DataRequested(customer.id))
            }
            "products/create" | "products/update" => {
                let product: ShopifyProduct = read(body)?;
                let product = Box::new(product.into_product(shop)?);
                Ok(StoreMessage::Product { product, has_categories: false })
            }
            "products/delete" => {
                let DeletedProduct { id } = read(body)?;
                Ok(StoreMessage::ProductDeleted(id))
            }
            "app/uninstalled" | "shop/redact" => Ok(StoreMessage::Uninstalled),
            _ => Ok(StoreMessage::Ignored),
        }
    }
}

#[derive(Deserialize)]
struct Deleted {
    #[serde(deserialize_with = "scalar::id")]
    id: OrderId,
}

#[derive(Deserialize)]
struct DeletedProduct {
    #[serde(deserialize_with = "scalar::id")]
    id: ProductId,
}

#[derive(Deserialize)]
struct RefundOfOrder {
    #[serde(deserialize_with = "scalar::id")]
    order_id: OrderId,
}

#[derive(Deserialize)]
struct PrivacyRequest {
    customer: PrivateCustomer,
}

#[derive(Deserialize)]
struct PrivateCustomer {
    #[serde(deserialize_with = "scalar::id")]
    id: CustomerId,
}

#[derive(Deserialize)]
struct Merge {
    admin_graphql_api_customer_kept_id: String,
    admin_graphql_api_customer_deleted_id: String,
}

fn read_merge(body: &str) -> Result<StoreMessage, WireError> {
    let merge: Merge = read(body)?;
    let id = |gid: &str, name: &str| {
        let number = gid.rsplit('/').next().unwrap_or_default();
        CustomerId::new(number).map_err(|error| fault(name, &error))
    };
    let kept =
        id(&merge.admin_graphql_api_customer_kept_id, "/admin_graphql_api_customer_kept_id")?;
    let merged = id(
        &merge.admin_graphql_api_customer_deleted_id,
        "/admin_graphql_api_customer_deleted_id",
    )?;
    Ok(StoreMessage::CustomersMerged { kept, merged })
}

/// An amount in both currencies.
#[derive(Deserialize)]
struct MoneySet {
    presentment_money: Option<SetMoney>,
}

#[derive(Deserialize)]
struct SetMoney {
    #[serde(deserialize_with = "scalar::amount")]
    amount: Decimal,
    currency_code: String,
}

/// An order.
#[derive(Deserialize)]
struct ShopifyOrder {
    #[serde(deserialize_with = "scalar::id")]
    id: OrderId,
    currency: Option<String>,
    customer: Option<ShopifyCustomer>,
    #[serde(default, deserialize_with = "scalar::email")]
    email: Option<Email>,
    #[serde(deserialize_with = "scalar::amount")]
    total_price: Decimal,
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    total_tax: Decimal,
    #[serde(default)]
    taxes_included: bool,
    total_price_set: Option<MoneySet>,
    #[serde(default)]
    line_items: Vec<ShopifyLine>,
    #[serde(default)]
    discount_codes: Vec<ShopifyCode>,
    financial_status: Option<String>,
    fulfillment_status: Option<String>,
    created_at: Option<Timestamp>,
    processed_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    cancelled_at: Option<Timestamp>,
    closed_at: Option<Timestamp>,
    #[serde(default)]
    refunds: Vec<ShopifyRefund>,
}

#[derive(Deserialize)]
struct ShopifyLine {
    #[serde(deserialize_with = "scalar::id")]
    id: LineId,
    #[serde(default, deserialize_with = "scalar::optional_id")]
    product_id: Option<ProductId>,
    #[serde(deserialize_with = "scalar::quantity")]
    quantity: Quantity,
    current_quantity: Option<u32>,
    #[serde(deserialize_with = "scalar::amount")]
    price: Decimal,
    #[serde(default)]
    discount_allocations: Vec<Allocation>,
    #[serde(default)]
    gift_card: bool,
}

#[derive(Deserialize)]
struct Allocation {
    #[serde(deserialize_with = "scalar::amount")]
    amount: Decimal,
}

#[derive(Deserialize)]
struct ShopifyCode {
    code: String,
}

impl ShopifyOrder {
    fn into_order(self, shop: ShopCurrency) -> Result<StoreOrder, WireError> {
        let placed_at = self.processed_at.or(self.created_at);
        let content = if self.cancelled_at.is_some() {
            None
        } else {
            let mut content = self.content(shop)?;
            content.placed_at = placed_at;
            Some((content, self.status()))
        };
        let refunds = if content.is_some() { self.refunds } else { Vec::new() };
        let refunds = refunds.into_iter().filter_map(|refund| {
            let at = refund.created_at;
            refund.into_refund(shop).transpose().map(|refund| Ok((refund?, at)))
        });

        let reported = self.customer.and_then(|customer| customer.into_customer(false));
        let (customer, change) = match reported {
            Some(known) => (Some(known.customer), known.change),
            None => (self.email.map(CustomerRef::Email), ProfileChange::default()),
        };
        Ok(StoreOrder {
            id: self.id,
            customer,
            // The tags of a customer come with the customer.
            change: ProfileChange { tags: None, ..change },
            content,
            at: self.updated_at,
            refunds: refunds.collect::<Result<_, _>>()?,
            missing_refunds: Vec::new(),
        })
    }

    fn content(&self, shop: ShopCurrency) -> Result<loyalty_core::Order, WireError> {
        if let Some(currency) =
            self.currency.as_deref().filter(|code| *code != shop.currency.code())
        {
            let reason = format!(
                "the store's currency is {currency}, and the shop's is {}",
                shop.currency.code()
            );
            return Err(fault("/currency", &reason));
        }

        let mut returned: BTreeMap<&LineId, Quantity> = BTreeMap::new();
        for item in self.refunds.iter().flat_map(|refund| &refund.refund_line_items) {
            let units = returned.entry(&item.line_item_id).or_default();
            *units = units.saturating_add(item.quantity);
        }
        let lines = self.line_items.iter().map(|line| {
            let returned = returned.get(&line.id).copied().unwrap_or_default();
            line.to_line(returned)
        });
        let presentment = self.total_price_set.as_ref().and_then(|set| {
            let paid = set.presentment_money.as_ref()?;
            Some((paid.amount, Currency::from_code(&paid.currency_code)?))
        });
        let money = OrderMoney {
            total: self.total_price,
            tax: self.total_tax,
            taxes_included: self.taxes_included,
            presentment,
        };
        let mut order = build_order(lines.collect(), &money, shop)?;
        order.codes = read_codes(self.discount_codes.iter().map(|code| code.code.as_str()));
        Ok(order)
    }

    /// What is paid and delivered. Refunds do not undo that an order was paid.
    fn status(&self) -> Status {
        let is_paid = matches!(
            self.financial_status.as_deref(),
            Some("paid" | "partially_refunded" | "refunded")
        );
        let is_fulfilled = self.fulfillment_status.as_deref() == Some("fulfilled");
        match (is_paid, is_fulfilled, self.closed_at) {
            (false, ..) => Status::Processing,
            (true, false, _) => Status::Paid,
            (true, true, None) => Status::Fulfilled,
            (true, true, Some(_)) => Status::Completed,
        }
    }
}

impl ShopifyLine {
    /// The line with the units that edits have left, and their price less discounts.
    fn to_line(&self, returned: Quantity) -> (Line, Decimal) {
        let left = self.current_quantity.and_then(|units| u16::try_from(units).ok());
        let left = left.map(|units| Quantity::from(units).saturating_add(returned));
        let units = left.map_or(self.quantity, |left| left.min(self.quantity));

        let allocated = self.discount_allocations.iter().map(|allocation| allocation.amount);
        let discount = allocated.fold(Decimal::ZERO, Decimal::saturating_add);
        let of = |quantity: Quantity| Decimal::new(quantity.thousandths(), 3);
        let full = self.price.saturating_mul(of(self.quantity)).saturating_sub(discount);
        let share = of(units).checked_div(of(self.quantity)).unwrap_or_default();
        let amount = if units == self.quantity { full } else { full.saturating_mul(share) };

        let line = Line::new(self.id.clone(), loyalty_core::Amount::ZERO).with_quantity(units);
        let line = Line {
            product: self.product_id.clone(),
            gift_card: self.gift_card,
            ..line
        };
        (line, amount)
    }
}

/// A refund.
#[derive(Deserialize)]
struct ShopifyRefund {
    #[serde(deserialize_with = "scalar::id")]
    id: RefundId,
    created_at: Option<Timestamp>,
    #[serde(default)]
    refund_line_items: Vec<RefundLine>,
    #[serde(default)]
    refund_shipping_lines: Vec<RefundShipping>,
    #[serde(default)]
    order_adjustments: Vec<Adjustment>,
    #[serde(default)]
    transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
struct RefundLine {
    #[serde(deserialize_with = "scalar::id")]
    line_item_id: LineId,
    #[serde(deserialize_with = "scalar::quantity")]
    quantity: Quantity,
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    total_tax: Decimal,
}

#[derive(Deserialize)]
struct RefundShipping {
    subtotal_amount_set: Option<ShopMoneySet>,
}

#[derive(Deserialize)]
struct ShopMoneySet {
    shop_money: Option<SetMoney>,
}

/// Before 2024-10 shipping came back as an adjustment.
#[derive(Deserialize)]
struct Adjustment {
    kind: Option<String>,
    #[serde(deserialize_with = "scalar::number")]
    amount: Decimal,
}

#[derive(Deserialize)]
struct Transaction {
    #[serde(deserialize_with = "scalar::amount")]
    amount: Decimal,
    currency: Option<String>,
    kind: Option<String>,
    status: Option<String>,
}

impl ShopifyRefund {
    /// The refund; `None` while its payment is pending, and if nothing came back.
    fn into_refund(self, shop: ShopCurrency) -> Result<Option<Refund>, WireError> {
        let paid_out = |one: &&Transaction| one.kind.as_deref().is_none_or(|kind| kind == "refund");
        let transactions: Vec<_> = self.transactions.iter().filter(paid_out).collect();
        if transactions
            .iter()
            .any(|one| one.status.as_deref() == Some("pending"))
        {
            return Ok(None);
        }
        let succeeded: Vec<_> = transactions
            .into_iter()
            .filter(|one| one.status.as_deref().is_none_or(|status| status == "success"))
            .collect();
        let amounts = succeeded.iter().map(|one| one.amount);
        let amount = amounts.fold(Decimal::ZERO, Decimal::saturating_add);
        let currency = succeeded.first().and_then(|one| one.currency.as_deref());
        let currency = currency
            .map(|code| {
                let unknown = || fault("/transactions", &"the currency is unknown");
                Currency::from_code(code).ok_or_else(unknown)
            })
            .transpose()?;
        let is_foreign = currency.is_some_and(|currency| currency != shop.currency);

        // The parts are in the shop's currency.
        let (shipping, tax) =
            if is_foreign { (Decimal::ZERO, Decimal::ZERO) } else { (self.shipping(), self.tax()) };
        let lines = self
            .refund_line_items
            .into_iter()
            .map(|line| (line.line_item_id, line.quantity));
        let money = RefundMoney { amount, shipping, tax, currency };
        build_refund(self.id, lines.collect(), &money, shop)
    }

    fn shipping(&self) -> Decimal {
        let lines = self.refund_shipping_lines.iter();
        let of_lines = lines
            .filter_map(|line| Some(line.subtotal_amount_set.as_ref()?.shop_money.as_ref()?.amount))
            .fold(Decimal::ZERO, Decimal::saturating_add);
        if !of_lines.is_zero() {
            return of_lines;
        }
        let adjustments = self.order_adjustments.iter();
        adjustments
            .filter(|one| one.kind.as_deref() == Some("shipping_refund"))
            .map(|one| one.amount.abs())
            .fold(Decimal::ZERO, Decimal::saturating_add)
    }

    fn tax(&self) -> Decimal {
        let taxes = self.refund_line_items.iter().map(|line| line.total_tax);
        taxes.fold(Decimal::ZERO, Decimal::saturating_add)
    }
}

/// A customer.
#[derive(Deserialize)]
struct ShopifyCustomer {
    #[serde(default, deserialize_with = "scalar::customer_id")]
    id: Option<CustomerId>,
    #[serde(default, deserialize_with = "scalar::email")]
    email: Option<Email>,
    verified_email: Option<bool>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    first_name: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    last_name: Option<String>,
    tags: Option<String>,
    default_address: Option<ShopifyAddress>,
}

#[derive(Default, Deserialize)]
struct ShopifyAddress {
    #[serde(default, deserialize_with = "scalar::text_line::<32, _>")]
    zip: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<100, _>")]
    country: Option<String>,
}

impl ShopifyCustomer {
    fn into_customer(self, signs_up: bool) -> Option<StoreCustomer> {
        let ShopifyAddress { zip, country } = self.default_address.unwrap_or_default();
        let tags = self.tags.map(|tags| {
            let tags = tags.split(',').map(str::trim).filter_map(|tag| Tag::new(tag).ok());
            tags.take(crate::wire::customer::MAX_TAGS).collect()
        });
        let change = ProfileChange {
            first_name: set_if_sent(self.first_name),
            last_name: set_if_sent(self.last_name),
            zip: set_if_sent(zip),
            country: set_if_sent(country),
            tags,
            ..ProfileChange::default()
        };
        let is_verified = self.verified_email == Some(true);
        Some(StoreCustomer {
            customer: CustomerRef::new(self.id, self.email)?,
            change,
            email_proof: if is_verified { EmailProof::Verified } else { EmailProof::Profile },
            signs_up,
        })
    }
}

/// A product.
#[derive(Deserialize)]
struct ShopifyProduct {
    #[serde(deserialize_with = "scalar::id")]
    id: ProductId,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    title: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    vendor: Option<String>,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    product_type: Option<String>,
    tags: Option<String>,
    status: Option<String>,
    #[serde(default)]
    variants: Vec<ShopifyVariant>,
}

#[derive(Deserialize)]
struct ShopifyVariant {
    #[serde(deserialize_with = "scalar::id")]
    id: VariantId,
    #[serde(default, deserialize_with = "scalar::text_line::<255, _>")]
    title: Option<String>,
    #[serde(default, deserialize_with = "scalar::amount_or_zero")]
    price: Decimal,
}

impl ShopifyProduct {
    fn into_product(self, shop: ShopCurrency) -> Result<Product, WireError> {
        let variants = self.variants.into_iter().map(|variant| {
            Ok(Variant {
                id: variant.id,
                title: variant.title,
                sku: None,
                price: Some(round_amount(variant.price, shop.minor_digits, "/variants")?),
            })
        });
        let status = self.status.as_deref();
        let tags = self.tags.unwrap_or_default();
        let tags = tags.split(',').map(str::trim).filter_map(|tag| Tag::new(tag).ok());
        Ok(Product {
            title: self.title.unwrap_or_else(|| self.id.to_string()),
            id: self.id,
            categories: std::collections::BTreeSet::new(),
            price: None,
            vendor: self.vendor,
            product_type: self.product_type,
            tags: tags.collect(),
            status: ProductStatus::ALL
                .into_iter()
                .find(|known| Some(known.name()) == status)
                .unwrap_or_default(),
            variants: variants.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
#[path = "../tests/shopify_webhook.rs"]
mod tests;
