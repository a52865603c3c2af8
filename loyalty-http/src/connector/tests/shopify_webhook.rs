//! What Shopify's webhooks say, also where they mislead.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it fails"
)]

use loyalty_core::{Command, Currency, RefundContent, Status};
use loyalty_store::{Action, CustomerRef};
use serde_json::{Value, json};

use super::ShopifyWebhooks;
use crate::connector::webhook::{ShopCurrency, StoreMessage, StoreOrder, StoreWebhooks};

const EURO: ShopCurrency = ShopCurrency { currency: Currency::EUR, minor_digits: 2 };

fn read(topic: &str, body: &Value) -> StoreMessage {
    ShopifyWebhooks.read(topic, &body.to_string(), EURO).unwrap()
}

fn order(body: &Value) -> StoreOrder {
    let StoreMessage::Order(order) = read("orders/updated", body) else {
        panic!("no order")
    };
    *order
}

/// Two of three units are left by an edit, and one of these has come back.
fn edited() -> Value {
    json!({
        "id": 1001, "currency": "EUR", "total_price": "45.00", "total_tax": "0.00",
        "current_total_price": "25.00", "financial_status": "partially_refunded",
        "updated_at": "2026-03-02T10:00:00+01:00", "created_at": "2026-03-01T10:00:00+01:00",
        "customer": {"id": 42, "email": "ada@example.com", "tags": "vip, tea"},
        "discount_codes": [{"code": "FIVE", "amount": "6.00", "type": "fixed_amount"}],
        "line_items": [{
            "id": 7, "product_id": 70, "quantity": 3, "current_quantity": 1, "price": "22.00",
            "discount_allocations": [{"amount": "6.00"}], "gift_card": false
        }],
        "refunds": [{
            "id": 9, "created_at": "2026-03-02T09:00:00+01:00",
            "refund_line_items": [
                {"line_item_id": 7, "quantity": 1, "subtotal": 20.0, "total_tax": 0.0}
            ],
            "transactions": [
                {"kind": "refund", "status": "success", "amount": "20.00", "currency": "EUR"}
            ]
        }]
    })
}

#[test]
fn an_edit_and_a_refund_are_not_counted_twice() {
    let order = order(&edited());
    let (content, status) = order.content.clone().unwrap();
    assert_eq!(status, Status::Paid);
    let line = &content.lines[0];
    assert_eq!((line.quantity, line.amount), (2.into(), "40".parse().unwrap()));
    assert_eq!((content.shipping, content.total), ("5".parse().unwrap(), "45".parse().unwrap()));
    assert_eq!(content.codes.len(), 1);

    let (refund, at) = &order.refunds[0];
    assert_eq!(refund.id.as_str(), "9");
    assert_eq!(at.unwrap().to_rfc3339(), "2026-03-02T08:00:00+00:00");
    let RefundContent::Lines { lines, amount: Some(amount) } = &refund.refunded else {
        panic!("no lines")
    };
    assert_eq!(lines, &[("7".parse().unwrap(), 1.into())]);
    assert_eq!(amount.amount(), "20".parse().unwrap());

    // The tags come with the customer, not with each order.
    assert_eq!((order.change.tags.clone(), order.into_actions().len()), (None, 2));
}

#[test]
fn a_cancelled_order_is_cancelled_whatever_else_it_says() {
    let mut body = edited();
    body["cancelled_at"] = json!("2026-03-02T09:30:00+01:00");
    let actions = order(&body).into_actions();
    assert_eq!(actions.len(), 1);
    assert!(matches!(
        &actions[0],
        Action::Order { command: Command::CancelOrder { at: Some(_), .. }, .. }
    ));
}

#[test]
fn an_order_counts_once_it_is_paid() {
    for (financial, fulfillment, closed, expected) in [
        ("pending", Value::Null, Value::Null, Status::Processing),
        ("authorized", json!("fulfilled"), Value::Null, Status::Processing),
        ("paid", Value::Null, Value::Null, Status::Paid),
        ("refunded", json!("partial"), Value::Null, Status::Paid),
        ("paid", json!("fulfilled"), Value::Null, Status::Fulfilled),
        ("paid", json!("fulfilled"), json!("2026-03-09T10:00:00Z"), Status::Completed),
    ] {
        let mut body = edited();
        body["financial_status"] = json!(financial);
        body["fulfillment_status"] = fulfillment;
        body["closed_at"] = closed;
        assert_eq!(order(&body).content.unwrap().1, expected, "{financial}");
    }
}

#[test]
fn money_paid_in_another_currency_is_refunded_at_the_order_s_rate() {
    let mut body = edited();
    body["total_price_set"] = json!({
        "shop_money": {"amount": "45.00", "currency_code": "EUR"},
        "presentment_money": {"amount": "900.00", "currency_code": "ZAR"}
    });
    body["refunds"][0]["transactions"][0] =
        json!({"kind": "refund", "status": "success", "amount": "400.00", "currency": "ZAR"});
    let order = order(&body);
    let presentment = order.content.as_ref().unwrap().0.presentment.unwrap();
    assert_eq!(presentment.currency(), Currency::ZAR);
    let amount = order.refunds[0].0.refunded.amount().unwrap();
    assert_eq!(amount.amount(), "400".parse().unwrap());
    assert_eq!(amount.currency(), loyalty_core::RefundCurrency::Order(Currency::ZAR));

    // A store with another currency than the shop's is a mistake of the set-up.
    body["currency"] = json!("USD");
    let refused = ShopifyWebhooks
        .read("orders/paid", &body.to_string(), EURO)
        .unwrap_err();
    assert_eq!(refused.pointer, "/currency");
}

#[test]
fn postage_that_comes_back_is_reported_in_two_ways() {
    let lines = json!([{"subtotal_amount_set":
        {"shop_money": {"amount": "5.00", "currency_code": "EUR"}}}]);
    let adjustments = json!([{"kind": "shipping_refund", "amount": "-5.00"}]);
    for (name, part) in [("refund_shipping_lines", lines), ("order_adjustments", adjustments)] {
        let body = json!({
            "id": 9, "order_id": 1001, name: part,
            "transactions": [{"kind": "refund", "status": "success", "amount": "5.00"}]
        });
        let StoreMessage::Refund(order, refund, _) = read("refunds/create", &body) else {
            panic!("no refund")
        };
        assert_eq!(order.as_str(), "1001");
        let amount = refund.refunded.amount().unwrap();
        assert_eq!(
            (amount.shipping(), amount.amount()),
            ("5".parse().unwrap(), "5".parse().unwrap())
        );
    }
}

#[test]
fn a_refund_waits_for_its_payment_and_may_be_none() {
    let pending = json!({
        "id": 9, "order_id": 1001,
        "transactions": [{"kind": "refund", "status": "pending", "amount": "5.00"}]
    });
    assert_eq!(read("refunds/create", &pending), StoreMessage::Ignored);
    let nothing = json!({"id": 9, "order_id": 1001, "transactions": []});
    assert_eq!(read("refunds/create", &nothing), StoreMessage::Ignored);
    let failed = json!({
        "id": 9, "order_id": 1001,
        "transactions": [{"kind": "refund", "status": "failure", "amount": "5.00"}]
    });
    assert_eq!(read("refunds/create", &failed), StoreMessage::Ignored);
}

#[test]
fn a_customer_signs_up_once_and_may_be_forgotten() {
    let body = json!({"id": 42, "email": "ada@example.com", "verified_email": true,
        "first_name": "Ada", "tags": "vip, tea"});
    for (topic, expected) in [("customers/create", true), ("customers/update", false)] {
        let StoreMessage::Customer(customer) = read(topic, &body) else {
            panic!("no customer")
        };
        assert_eq!(customer.signs_up, expected, "{topic}");
        assert_eq!(customer.change.tags.as_ref().unwrap().len(), 2);
        assert!(matches!(customer.customer, CustomerRef::Both(..)));
    }
    let redact = json!({"shop_id": 1, "shop_domain": "tea.myshopify.com",
        "customer": {"id": 42, "email": "ada@example.com"}, "orders_to_redact": [1001]});
    assert_eq!(
        read("customers/redact", &redact),
        StoreMessage::CustomerErased("42".parse().unwrap())
    );
    assert_eq!(
        read("customers/data_request", &redact),
        StoreMessage::DataRequested("42".parse().unwrap())
    );
    let merge = json!({
        "admin_graphql_api_customer_kept_id": "gid://shopify/Customer/42",
        "admin_graphql_api_customer_deleted_id": "gid://shopify/Customer/43"
    });
    let (kept, merged) = ("42".parse().unwrap(), "43".parse().unwrap());
    assert_eq!(read("customers/merge", &merge), StoreMessage::CustomersMerged { kept, merged });
    assert_eq!(read("app/uninstalled", &json!({"id": 1})), StoreMessage::Uninstalled);
    assert_eq!(read("carts/update", &json!({"id": 1})), StoreMessage::Ignored);
}

#[test]
fn what_is_no_order_says_where() {
    for (body, pointer) in [
        ("{}", "/id"),
        (r#"{"id": 1, "total_price": "x"}"#, "/total_price"),
        (
            r#"{"id": 1, "total_price": "1", "line_items": [{"id": 1}]}"#,
            "/line_items/0/quantity",
        ),
    ] {
        let fault = ShopifyWebhooks.read("orders/paid", body, EURO).unwrap_err();
        assert_eq!(fault.pointer, pointer, "{body}");
    }
}
