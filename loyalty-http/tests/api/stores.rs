//! Connected stores: how they are set up, and what their webhooks record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use loyalty_store::Scope;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{TestResponse, TestServer};

const WOOCOMMERCE: &str = r#"{"kind": "woocommerce", "url": "https://tea.example.com",
    "key": "ck_key", "secret": "cs_secret", "webhook_secret": "woo webhooks"}"#;
const SHOPIFY: &str = r#"{"kind": "shopify", "url": "https://tea.myshopify.com",
    "secret": "shpat_token", "webhook_secret": "app secret"}"#;

fn sign(body: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn from_woocommerce(server: &TestServer, topic: &str, body: &Value) -> TestResponse {
    let body = body.to_string();
    server
        .request("POST", "/integrations/stores/1/woo")
        .header("x-wc-webhook-topic", topic)
        .header("x-wc-webhook-signature", &sign(&body, "woo webhooks"))
        .header("x-wc-webhook-delivery-id", "d1")
        .body(body)
        .send()
}

fn from_shopify(server: &TestServer, topic: &str, body: &Value) -> TestResponse {
    let body = body.to_string();
    server
        .request("POST", "/integrations/stores/1/shopify")
        .header("x-shopify-topic", topic)
        .header("x-shopify-hmac-sha256", &sign(&body, "app secret"))
        .body(body)
        .send()
}

fn outcomes(server: &TestServer, store: &str) -> Vec<(String, String)> {
    let path = format!("/v1/stores/{store}/messages");
    let list = server.get(&path).expect(200).json();
    let list = list["messages"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.map(|one| (text(&one["topic"]), text(&one["outcome"]))).collect()
}

#[test]
fn a_store_is_connected_changed_and_disconnected() {
    let server = TestServer::new();
    let connected = server.put("/v1/stores/woo", WOOCOMMERCE).expect(200);
    assert_eq!(connected.json()["webhook_url"], "http://x/integrations/stores/1/woo");
    for secret in ["ck_key", "cs_secret", "woo webhooks"] {
        assert!(!connected.text().contains(secret), "credentials are never shown");
    }
    let shown = server
        .request("GET", "/v1/stores/woo")
        .header("host", "loyalty.example.com")
        .send()
        .expect(200)
        .json();
    assert_eq!(shown["kind"], "woocommerce");
    assert_eq!(shown["webhook_url"], "http://loyalty.example.com/integrations/stores/1/woo");
    assert_eq!((&shown["enabled"], &shown["has_webhook_secret"]), (&json!(true), &json!(true)));

    let changed = WOOCOMMERCE.replace("\"key\"", "\"enabled\": false, \"key\"");
    let changed = changed.replace("tea.example.com", "cups.example.com");
    let changed = server.put("/v1/stores/woo", changed).expect(200).json();
    assert_eq!(changed["url"], "https://cups.example.com");
    assert_eq!(
        (&changed["enabled"], &changed["disabled_reason"]),
        (&json!(false), &json!("requested"))
    );

    let list = server.get("/v1/stores").expect(200).json();
    assert_eq!(list["stores"].as_array().unwrap().len(), 1);
    let other = server
        .request("GET", "/v1/stores")
        .key(&server.other)
        .send()
        .expect(200);
    assert_eq!(other.json()["stores"], json!([]));

    assert_eq!(server.delete("/v1/stores/woo").status, 204);
    server
        .get("/v1/stores/woo")
        .assert_problem(404, "store_not_found", "store_id");
    server
        .delete("/v1/stores/woo")
        .assert_problem(404, "store_not_found", "store_id");
}

#[test]
fn a_connection_that_cannot_work_is_refused() {
    let server = TestServer::new();
    for (body, param) in [
        (WOOCOMMERCE.replace("woocommerce", "etsy"), "/kind"),
        (WOOCOMMERCE.replace("https://tea.example.com", "http://tea.example.com"), "/url"),
        (WOOCOMMERCE.replace("tea.example.com", "10.0.0.1"), "/url"),
        (WOOCOMMERCE.replace("\"key\": \"ck_key\", ", ""), "/key"),
        (SHOPIFY.replace("\"secret\"", "\"key\": \"k\", \"secret\""), "/key"),
    ] {
        server
            .put("/v1/stores/a", body)
            .assert_problem(422, "invalid_value", param);
    }
    server
        .get("/v1/stores/A")
        .assert_problem(404, "store_not_found", "store_id");
    let key = server.key_with(11, &[Scope::Write]);
    let refused = server.request("GET", "/v1/stores").key(&key).send();
    assert_eq!(refused.problem().1, "missing_scope");
}

#[test]
fn only_the_store_itself_is_believed() {
    let server = TestServer::new();
    server.put("/v1/stores/woo", WOOCOMMERCE).expect(200);
    let body = r#"{"id": 1, "status": "completed", "total": "50.00"}"#;
    let send = |path: &str, signature: &str| {
        server
            .request("POST", path)
            .header("x-wc-webhook-topic", "order.created")
            .header("x-wc-webhook-signature", signature)
            .body(body)
            .send()
    };
    let right = sign(body, "woo webhooks");
    for (path, signature) in [
        ("/integrations/stores/1/woo", sign(body, "guess")),
        ("/integrations/stores/1/woo", String::new()),
        ("/integrations/stores/1/other", right.clone()),
        ("/integrations/stores/2/woo", right.clone()),
        ("/integrations/stores/9/woo", right.clone()),
        ("/integrations/stores/x/woo", right.clone()),
    ] {
        assert_eq!(send(path, &signature).problem().0, 401, "{path}");
    }
    server
        .get("/v1/orders/1")
        .assert_problem(404, "order_not_found", "order_id");
    assert_eq!(send("/integrations/stores/1/woo", &right).status, 200);
    server.get("/v1/orders/1").expect(200);

    // The merchant sees why.
    let list = server.get("/v1/stores/woo/messages").expect(200).json();
    let reasons = list["messages"].as_array().unwrap().iter();
    let reasons: Vec<_> = reasons.map(|message| message["reason"].clone()).collect();
    let wrong = json!("the signature is wrong");
    assert_eq!(reasons, [Value::Null, wrong.clone(), wrong]);
}

#[test]
fn woocommerce_reports_an_order_with_categories_of_its_products() {
    let server = TestServer::new();
    server.put("/v1/stores/woo", WOOCOMMERCE).expect(200);
    let program = r#"{"earning": [{"id": "tea", "earn": {"per_unit": "2"},
        "when": {"categories": ["15"]}}]}"#;
    server.put("/v1/program", program).expect(201);
    let ping = server.request("POST", "/integrations/stores/1/woo");
    let ping = ping
        .body("webhook_id=3")
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(ping.send().status, 200);

    let product = json!({"id": 93, "name": "Tea", "price": "25.00", "status": "publish",
        "categories": [{"id": 15, "name": "Drinks"}]});
    assert_eq!(from_woocommerce(&server, "product.created", &product).status, 200);
    let order = json!({
        "id": 727, "status": "processing", "currency": "USD", "total": "30.00", "customer_id": 42,
        "date_modified_gmt": "2026-03-01T11:00:00", "billing": {"email": "ada@example.com"},
        "line_items": [{"id": 1, "product_id": 93, "quantity": 1, "total": "25.00"}]
    });
    for expected in [50, 0] {
        let answer = from_woocommerce(&server, "order.updated", &order).expect(200).json();
        assert_eq!(answer, json!({"ok": true, "points_changed": expected}));
    }
    assert_eq!(server.balance("42"), 50);

    // An older report comes late; a foreign one says nothing.
    let mut late = order.clone();
    late["status"] = json!("cancelled");
    late["date_modified_gmt"] = json!("2026-03-01T10:00:00");
    from_woocommerce(&server, "order.updated", &late).expect(200);
    assert_eq!(server.balance("42"), 50);
    let mut foreign = order.clone();
    foreign["currency"] = json!("JPY");
    let answer = from_woocommerce(&server, "order.updated", &foreign)
        .expect(200)
        .json();
    assert_eq!(
        (&answer["ok"], &answer["problems"][0]["param"]),
        (&json!(false), &json!("/currency"))
    );

    let order_topic = |outcome: &str| ("order.updated".to_owned(), outcome.to_owned());
    assert_eq!(
        outcomes(&server, "woo")[..2],
        [order_topic("unreadable"), order_topic("recorded")]
    );
    let shown = server.get("/v1/stores/woo").expect(200).json();
    assert_eq!(shown["last_received_at"], "2026-03-01T12:00:00Z");
}

#[test]
fn shopify_reports_a_shoppers_life() {
    let server = TestServer::new();
    server.put("/v1/stores/shopify", SHOPIFY).expect(200);
    let customer = json!({"id": 42, "email": "ada@example.com", "first_name": "Ada",
        "verified_email": true, "tags": "vip"});
    from_shopify(&server, "customers/create", &customer).expect(200);
    let shown = server.get("/v1/customers/42").expect(200).json();
    assert_eq!((&shown["first_name"], &shown["tags"]), (&json!("Ada"), &json!(["vip"])));

    let mut order = json!({
        "id": 1001, "currency": "USD", "total_price": "54.95", "total_tax": "0.00",
        "financial_status": "paid", "updated_at": "2026-03-01T10:00:00Z",
        "customer": {"id": 42, "email": "ada@example.com"},
        "line_items": [{"id": 7, "quantity": 2, "current_quantity": 2, "price": "24.975"}],
        "refunds": []
    });
    for topic in ["orders/create", "orders/paid", "orders/updated"] {
        from_shopify(&server, topic, &order).expect(200);
    }
    assert_eq!(server.balance("42"), 49);

    // The refund comes by itself and with the order, and counts once.
    let refund = json!({
        "id": 9, "order_id": 1001, "created_at": "2026-03-01T11:00:00Z",
        "refund_line_items": [{"line_item_id": 7, "quantity": 1, "subtotal": 24.98}],
        "transactions": [{"kind": "refund", "status": "success", "amount": "24.98", "currency": "USD"}]
    });
    from_shopify(&server, "refunds/create", &refund).expect(200);
    order["refunds"] = json!([refund]);
    order["line_items"][0]["current_quantity"] = json!(1);
    order["updated_at"] = json!("2026-03-01T11:00:01Z");
    order["financial_status"] = json!("partially_refunded");
    for _ in 0..2 {
        let answer = from_shopify(&server, "orders/updated", &order).expect(200).json();
        assert_eq!(answer, json!({"ok": true, "points_changed": 0}));
    }
    assert_eq!(server.balance("42"), 24);

    order["cancelled_at"] = json!("2026-03-01T11:30:00Z");
    order["updated_at"] = json!("2026-03-01T11:30:00Z");
    from_shopify(&server, "orders/cancelled", &order).expect(200);
    assert_eq!(server.balance("42"), 0);

    let redact = json!({"shop_domain": "tea.myshopify.com", "customer": {"id": 42}});
    from_shopify(&server, "customers/data_request", &redact).expect(200);
    from_shopify(&server, "customers/redact", &redact).expect(200);
    assert_eq!(server.get("/v1/customers/42").status, 404);
    let again = from_shopify(&server, "customers/redact", &redact).expect(200).json();
    assert_eq!(again["points_changed"], 0);
    let list = server.get("/v1/stores/shopify/messages").expect(200).json();
    let asked = list["messages"].as_array().unwrap().iter();
    let mut asked = asked.filter(|message| message["topic"] == "customers/data_request");
    let reason = asked.next().unwrap()["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason, "a customer asks for their data: answer with the export");
}
