//! What WooCommerce's webhooks say, also where they mislead.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it fails"
)]

use hyper::HeaderMap;
use loyalty_core::{Currency, RefundContent, Status};
use loyalty_store::CustomerRef;
use serde_json::{Value, json};

use super::{WooCommerceWebhooks, read_refunds};
use crate::connector::webhook::{ShopCurrency, StoreMessage, StoreOrder, StoreWebhooks};

const EURO: ShopCurrency = ShopCurrency { currency: Currency::EUR, minor_digits: 2 };

fn read(topic: &str, body: &Value) -> StoreMessage {
    WooCommerceWebhooks.read(topic, &body.to_string(), EURO).unwrap()
}

fn order(body: &Value) -> StoreOrder {
    let StoreMessage::Order(order) = read("order.updated", body) else {
        panic!("no order")
    };
    *order
}

fn paid() -> Value {
    json!({
        "id": 727, "status": "processing", "currency": "EUR", "prices_include_tax": true,
        "date_created_gmt": "2026-03-01T09:00:00", "date_modified_gmt": "2026-03-02T09:00:00",
        "total": "59.50", "total_tax": "9.50", "shipping_total": "5.00", "customer_id": 42,
        "billing": {"email": "ada@example.com", "first_name": "Ada", "country": "DE", "postcode": ""},
        "line_items": [
            {"id": 315, "product_id": 93, "variation_id": 0, "quantity": 2, "subtotal": "50.00",
                "total": "45.00", "total_tax": "8.55"},
            {"id": 316, "product_id": 0, "quantity": 1, "total": "0.00"}
        ],
        "coupon_lines": [{"id": 1, "code": "five"}],
        "refunds": []
    })
}

#[test]
fn an_order_has_its_goods_without_tax() {
    let order = order(&paid());
    let (content, status) = order.content.clone().unwrap();
    assert_eq!(status, Status::Paid);
    assert_eq!(content.lines[0].amount, "45".parse().unwrap());
    assert_eq!(content.lines[1].product, None);
    assert_eq!(content.shipping, "5".parse().unwrap());
    assert!(!content.taxes_included);
    assert_eq!(content.codes[0].as_str(), "five");
    assert_eq!(content.placed_at.unwrap().to_rfc3339(), "2026-03-01T09:00:00+00:00");
    assert_eq!(order.at.unwrap().to_rfc3339(), "2026-03-02T09:00:00+00:00");
    assert!(matches!(order.customer, Some(CustomerRef::Both(..))));
}

#[test]
fn statuses_are_those_of_woocommerce() {
    for (status, expected) in [
        ("pending", Some(Status::Processing)),
        ("on-hold", Some(Status::Processing)),
        ("processing", Some(Status::Paid)),
        ("refunded", Some(Status::Paid)),
        ("completed", Some(Status::Completed)),
        ("shipped-by-plugin", Some(Status::Processing)),
        ("cancelled", None),
        ("failed", None),
    ] {
        let mut body = paid();
        body["status"] = json!(status);
        let content = order(&body).content;
        assert_eq!(content.map(|(_, status)| status), expected, "{status}");
    }
    let mut draft = paid();
    draft["status"] = json!("checkout-draft");
    assert_eq!(read("order.created", &draft), StoreMessage::Ignored);
}

#[test]
fn refunds_are_sent_when_asked() {
    let mut body = paid();
    body["refunds"] = json!([{"id": 800, "reason": "", "total": "-26.78"}]);
    let reported = order(&body);
    assert_eq!((reported.refunds.len(), reported.missing_refunds[0].as_str()), (0, "800"));

    let list = json!([{
        "id": 800, "date_created_gmt": "2026-03-03T09:00:00", "amount": "29.28",
        "line_items": [{"id": 900, "quantity": -1, "total": "-22.50", "total_tax": "-4.28",
            "meta_data": [{"id": 1, "key": "_refunded_item_id", "value": "315"}]}],
        "shipping_lines": [{"id": 901, "total": "-2.50", "total_tax": "0.00"}]
    }, {"id": 801, "date_created_gmt": "2026-03-03T09:00:00", "amount": "0.00"}]);
    let refunds = read_refunds(&list.to_string(), EURO).unwrap();
    assert_eq!(refunds.len(), 1);
    let RefundContent::Lines { lines, amount: Some(amount) } = &refunds[0].0.refunded else {
        panic!("no lines")
    };
    assert_eq!(lines, &[("315".parse().unwrap(), 1.into())]);
    assert_eq!(amount.amount(), "29.28".parse().unwrap());
    assert_eq!(amount.shipping(), "2.50".parse().unwrap());
    assert_eq!(amount.tax(), Some("4.28".parse().unwrap()));
}

#[test]
fn a_ping_says_nothing() {
    let mut head = HeaderMap::new();
    assert!(WooCommerceWebhooks.is_ping(&head, b"webhook_id=3"));
    assert!(!WooCommerceWebhooks.is_ping(&head, b"{\"id\":3}"));
    head.insert("x-wc-webhook-topic", "order.created".parse().unwrap());
    assert!(!WooCommerceWebhooks.is_ping(&head, b"webhook_id=3"));
}

#[test]
fn products_bring_their_categories() {
    let body = json!({"id": 93, "name": "Tea", "status": "publish", "price": "22.50",
        "categories": [{"id": 15, "name": "Drinks"}], "tags": [{"id": 3, "name": "green"}],
        "variations": [94, 95]});
    let StoreMessage::Product { product, has_categories } = read("product.updated", &body) else {
        panic!("no product")
    };
    assert!(has_categories);
    assert_eq!(
        (product.categories.len(), product.variants.len(), product.tags.len()),
        (1, 2, 1)
    );
    assert_eq!(
        read("product.deleted", &json!({"id": 93})),
        StoreMessage::ProductDeleted("93".parse().unwrap())
    );
    assert_eq!(
        read("order.deleted", &json!({"id": 727})),
        StoreMessage::OrderDeleted("727".parse().unwrap())
    );
}
