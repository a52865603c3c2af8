//! A shopper's life with each kind of store: earn, redeem, the code in the store, pay with it,
//! refund, cancel, withdraw. The stores are stand-ins that answer as the real ones were seen to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use loyalty_http::Config;
use loyalty_http::integration::SignedBody;
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::stand_in::{StandIn, StoreCall, StoreReply};
use crate::support::TestServer;

const PROGRAM: &str = r#"{"rewards": [
    {"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}, "valid_for": "P1M"},
    {"id": "ship", "name": "Free shipping", "cost": 50, "gives": {"free_shipping": {}}, "valid_for": "P1M"}
]}"#;

fn server() -> TestServer {
    let config = Config {
        allowed_networks: Arc::new(["127.0.0.0/8".parse().unwrap()]),
        ..Config::default()
    };
    let server = TestServer::with_store(config, |store| store);
    server.start_sender();
    server.put("/v1/program", PROGRAM).expect(201);
    server
        .post("/v1/customers", r#"{"customer_id": "42", "email": "ada@example.com"}"#)
        .expect(201);
    server
        .post("/v1/points-add", r#"{"customer_id": "42", "points": 1000}"#)
        .expect(200);
    server
}

fn connect(server: &TestServer, kind: &str, url: &str) {
    let mut body = json!({"kind": kind, "url": url, "secret": "secret", "webhook_secret": "hook"});
    if kind != "shopify" {
        body["key"] = json!("key");
    }
    server.put("/v1/stores/shop", body.to_string()).expect(200);
}

/// Redeems a reward. Returns the id, the code and what became of that in the store, by itself.
fn redeem(server: &TestServer, reward: &str) -> (String, String, Value) {
    let body = json!({"customer_id": "42", "reward_id": reward}).to_string();
    let issued = server.post("/v1/redemptions", body).expect(201).json();
    let text = |name: &str| issued[name].as_str().unwrap().to_owned();
    let (id, code) = (text("redemption_id"), text("code"));
    let publication = await_status(server, &id, &["published", "failed"]);
    (id, code, publication)
}

/// Waits until a store has done something with a code.
fn await_status(server: &TestServer, id: &str, statuses: &[&str]) -> Value {
    for _ in 0..200 {
        let shown = server.get(&format!("/v1/redemptions/{id}")).expect(200).json();
        let publication = shown["publications"][0].clone();
        if statuses.iter().any(|status| publication["status"] == *status) {
            return publication;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("redemption {id} is not {statuses:?}")
}

fn publish(server: &TestServer, id: &str) -> Value {
    let path = format!("/v1/redemptions/{id}/publish");
    server.post(&path, "{}").expect(200).json()["publications"][0].clone()
}

fn status(server: &TestServer, id: &str) -> String {
    let shown = server.get(&format!("/v1/redemptions/{id}")).expect(200).json();
    shown["status"].as_str().unwrap().to_owned()
}

fn report(server: &TestServer, headers: [(&str, &str); 2], body: &Value) {
    let body = body.to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hook").unwrap();
    mac.update(body.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let [(topic_header, topic), (signature_header, _)] = headers;
    let answer = server
        .request("POST", "/integrations/stores/1/shop")
        .header(topic_header, topic)
        .header(signature_header, &signature)
        .body(body)
        .send()
        .expect(200)
        .json();
    assert_eq!(answer["ok"], true, "{answer}");
}

/// WooCommerce's coupons, orders and refunds, as far as they are asked for.
#[derive(Default)]
struct WooCommerce {
    coupons: Vec<Value>,
    refunds: Value,
    /// The next coupon is made, and the answer is lost.
    loses_answer: Arc<AtomicBool>,
    /// The key was revoked.
    refuses_key: Arc<AtomicBool>,
}

impl WooCommerce {
    fn answer(&mut self, call: &StoreCall) -> StoreReply {
        let credentials = format!("authorization: Basic {}", STANDARD.encode("key:secret"));
        let is_known = call.head.contains(&credentials);
        if !is_known || self.refuses_key.load(Ordering::Relaxed) {
            return Some((401, r#"{"code":"woocommerce_rest_cannot_create"}"#.into()));
        }
        match call.line().as_str() {
            "POST /wp-json/wc/v3/coupons" => {
                let mut coupon = call.json();
                let is_taken = |known: &Value| known["code"] == coupon["code"];
                if self.coupons.iter().any(is_taken) {
                    let code = "woocommerce_rest_coupon_code_already_exists";
                    return Some((400, json!({"code": code}).to_string()));
                }
                coupon["id"] = json!(70 + self.coupons.len());
                self.coupons.push(coupon.clone());
                let is_lost = self.loses_answer.swap(false, Ordering::Relaxed);
                (!is_lost).then(|| (201, coupon.to_string()))
            }
            "GET /wp-json/wc/v3/coupons" => {
                let code = call.path.split("code=").nth(1).unwrap();
                let found = self.coupons.iter().filter(|coupon| coupon["code"] == code);
                Some((200, json!(found.collect::<Vec<_>>()).to_string()))
            }
            "GET /wp-json/wc/v3/orders/727/refunds" => Some((200, self.refunds.to_string())),
            line if line.starts_with("DELETE /wp-json/wc/v3/coupons/") => {
                let id: u64 = line.rsplit('/').next().unwrap().parse().unwrap();
                self.coupons.retain(|coupon| coupon["id"] != id);
                Some((200, "{}".into()))
            }
            line => Some((404, json!({"code": "rest_no_route", "line": line}).to_string())),
        }
    }
}

const WOO: [(&str, &str); 2] =
    [("x-wc-webhook-topic", "order.updated"), ("x-wc-webhook-signature", "")];

#[test]
fn woocommerce_from_earning_to_withdrawal() {
    let (server, mut shop) = (server(), WooCommerce::default());
    shop.refunds = json!([{
        "id": 800, "date_created_gmt": "2026-03-01T11:30:00", "amount": "22.50",
        "line_items": [{"id": 900, "quantity": -1, "total": "-22.50", "total_tax": "0.00",
            "meta_data": [{"key": "_refunded_item_id", "value": "1"}]}]
    }]);
    let store = StandIn::start(move |call| shop.answer(call));
    connect(&server, "woocommerce", &store.url);

    let (id, code, publication) = redeem(&server, "five");
    assert_eq!(
        (&publication["status"], &publication["code_id"]),
        (&json!("published"), &json!("70"))
    );
    let coupon = store.last().json();
    assert_eq!(coupon["code"], code);
    assert_eq!(
        (&coupon["amount"], &coupon["discount_type"]),
        (&json!("5.00"), &json!("fixed_cart"))
    );
    assert_eq!(coupon["email_restrictions"], json!(["ada@example.com"]));
    assert_eq!(
        (&coupon["usage_limit"], &coupon["date_expires"]),
        (&json!(1), &json!("2026-04-01T11:00:00Z"))
    );

    // It is not sent again.
    publish(&server, &id);
    assert_eq!(store.lines().len(), 1);

    // The shopper pays with it, and gets a unit back.
    let mut order = json!({
        "id": 727, "status": "processing", "currency": "USD", "total": "45.00", "customer_id": 42,
        "date_modified_gmt": "2026-03-01T11:00:00", "coupon_lines": [{"id": 1, "code": code.to_lowercase()}],
        "line_items": [{"id": 1, "product_id": 93, "quantity": 2, "total": "45.00"}], "refunds": []
    });
    report(&server, WOO, &order);
    assert_eq!((status(&server, &id), server.balance("42")), ("used".to_owned(), 945));
    order["refunds"] = json!([{"id": 800, "total": "-22.50"}]);
    order["date_modified_gmt"] = json!("2026-03-01T11:30:00");
    report(&server, WOO, &order);
    assert_eq!(server.balance("42"), 922);
    assert_eq!(store.last().line(), "GET /wp-json/wc/v3/orders/727/refunds");
    report(&server, WOO, &order);
    assert_eq!((server.balance("42"), store.lines().len()), (922, 2), "it is asked once");

    // The order is cancelled: the code can be used again, until it is withdrawn.
    order["status"] = json!("cancelled");
    order["date_modified_gmt"] = json!("2026-03-01T11:45:00");
    report(&server, WOO, &order);
    assert_eq!((status(&server, &id), server.balance("42")), ("issued".to_owned(), 900));
    server.post(&format!("/v1/redemptions/{id}/cancel"), "{}").expect(200);
    await_status(&server, &id, &["withdrawn"]);
    assert_eq!(store.last().line(), "DELETE /wp-json/wc/v3/coupons/70");
    assert_eq!(server.balance("42"), 1_000);
}

#[test]
fn a_lost_answer_a_revoked_key_and_a_strangers_code() {
    let (server, mut shop) = (server(), WooCommerce::default());
    let (loses, revokes) = (Arc::clone(&shop.loses_answer), Arc::clone(&shop.refuses_key));
    loses.store(true, Ordering::Relaxed);
    let store = StandIn::start(move |call| shop.answer(call));
    connect(&server, "woocommerce", &store.url);

    // The coupon is there, but nobody heard of it. The next attempt recognizes it.
    let (_, _, found) = redeem(&server, "five");
    assert_eq!((&found["status"], &found["code_id"]), (&json!("published"), &json!("70")));
    let posts = store.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(posts, 2);

    // It waits for the key to be mended. Asked now, the store says why not.
    revokes.store(true, Ordering::Relaxed);
    let body = json!({"customer_id": "42", "reward_id": "five"}).to_string();
    let issued = server.post("/v1/redemptions", body).expect(201).json();
    let id = issued["redemption_id"].as_str().unwrap().to_owned();
    let denied = publish(&server, &id);
    assert_eq!(denied["status"], "failed");
    assert!(denied["reason"].as_str().unwrap().contains("401"), "{denied}");
    revokes.store(false, Ordering::Relaxed);
    assert_eq!(publish(&server, &id)["status"], "published");

    // A coupon with the same code that somebody else has made.
    let other = StandIn::start(|call| {
        let taken = r#"{"code":"woocommerce_rest_coupon_code_already_exists"}"#;
        Some(if call.method == "POST" {
            (400, taken.to_owned())
        } else {
            (200, r#"[{"id": 9, "meta_data": []}]"#.to_owned())
        })
    });
    connect(&server, "woocommerce", &other.url);
    let (_, _, taken) = redeem(&server, "five");
    assert_eq!(taken["reason"], "the store has another coupon with this code");
    let ledger = server.get("/v1/customers/42/ledger?limit=1").expect(200).json();
    let entry = &ledger["entries"][0];
    assert_eq!(entry["kind"], "code_publish_failed", "{ledger}");
    assert_eq!(
        entry["text"],
        "Store shop does not have the code: the store has another coupon with this code."
    );
}

#[test]
fn a_code_that_cannot_be_withdrawn_stays_published() {
    let (server, mut shop) = (server(), WooCommerce::default());
    let revokes = Arc::clone(&shop.refuses_key);
    let store = StandIn::start(move |call| shop.answer(call));
    connect(&server, "woocommerce", &store.url);
    let (id, _, _) = redeem(&server, "five");

    // The store still has it. Recorded as failed, it would never be withdrawn.
    revokes.store(true, Ordering::Relaxed);
    server.post(&format!("/v1/redemptions/{id}/cancel"), "{}").expect(200);
    assert_eq!(publish(&server, &id)["status"], "published");
    revokes.store(false, Ordering::Relaxed);
    assert_eq!(publish(&server, &id)["status"], "withdrawn");
}

#[test]
fn the_plugin_is_found_at_another_url_and_free_shipping_is_not_a_free_cart() {
    let server = server();
    let store = StandIn::start(|call| {
        if call.path != "/wp-json/lootly/price-rules" {
            return Some((404, r#"{"code":"rest_no_route"}"#.into()));
        }
        let signed = SignedBody::parse(call.body.as_bytes()).unwrap();
        let verified = signed.verify(Some(b"secret")).is_ok();
        let title = call.json()["price_rule"]["title"].clone();
        Some(if verified {
            (201, json!({"price_rule": {"id": 31, "title": title}}).to_string())
        } else {
            (401, r#"{"code":"rest_forbidden"}"#.into())
        })
    });
    connect(&server, "plugin_woocommerce", &format!("{}/lootly/", store.url));
    let (id, _, publication) = redeem(&server, "ship");
    assert_eq!(publication["status"], "published", "{publication}");
    let rule = store.last().json()["price_rule"].clone();
    assert_eq!(
        (&rule["value_type"], &rule["value"], &rule["target_type"]),
        (&json!("fixed_amount"), &json!("0"), &json!("shipping_line"))
    );
    assert_eq!(rule["prerequisite_customer_emails"], json!(["ada@example.com"]));

    // The plugin deletes no code: it stays published, until it ends.
    server.post(&format!("/v1/redemptions/{id}/cancel"), "{}").expect(200);
    assert_eq!(publish(&server, &id)["status"], "published");
}

#[test]
fn shopify_from_earning_to_withdrawal() {
    let server = server();
    let store = StandIn::start(|call| {
        assert!(call.head.contains("x-shopify-access-token: secret"), "{}", call.head);
        let node = json!({"id": "gid://shopify/DiscountCodeNode/5"});
        let result = json!({"codeDiscountNode": node, "userErrors": []});
        Some((200, json!({"data": {"result": result}}).to_string()))
    });
    connect(&server, "shopify", &store.url);
    let (id, code, publication) = redeem(&server, "five");
    assert_eq!(publication["status"], "published", "{publication}");
    assert_eq!(publication["code_id"], "gid://shopify/DiscountCodeNode/5");
    let asked = store.last().json();
    let input = &asked["variables"]["discount"];
    assert_eq!(input["code"], code, "{asked}");
    let customers = json!({"customers": {"add": ["gid://shopify/Customer/42"]}});
    assert_eq!(input["context"], customers, "{asked}");

    let headers = [("x-shopify-topic", "orders/paid"), ("x-shopify-hmac-sha256", "")];
    let mut order = json!({
        "id": 1001, "currency": "USD", "total_price": "45.00", "financial_status": "paid",
        "updated_at": "2026-03-01T11:00:00Z", "customer": {"id": 42},
        "discount_codes": [{"code": code}], "line_items": [
            {"id": 7, "quantity": 1, "current_quantity": 1, "price": "50.00",
                "discount_allocations": [{"amount": "5.00"}]}]
    });
    report(&server, headers, &order);
    assert_eq!((status(&server, &id), server.balance("42")), ("used".to_owned(), 945));
    order["cancelled_at"] = json!("2026-03-01T11:30:00Z");
    order["updated_at"] = json!("2026-03-01T11:30:00Z");
    report(&server, headers, &order);
    assert_eq!((status(&server, &id), server.balance("42")), ("issued".to_owned(), 900));

    server.post(&format!("/v1/redemptions/{id}/cancel"), "{}").expect(200);
    await_status(&server, &id, &["withdrawn"]);
    let asked = store.last().json();
    assert!(asked["query"].as_str().unwrap().contains("discountCodeDeactivate"), "{asked}");
    assert_eq!(asked["variables"]["id"], "gid://shopify/DiscountCodeNode/5");
}

#[test]
fn a_program_gets_warnings_of_what_a_store_cannot_hold() {
    let server = server();
    let validate = || {
        let program = r#"{"rewards": [
            {"id": "off", "name": "Off", "cost": 100, "gives": {"fixed_amount": "5"}},
            {"id": "tea", "name": "Tea", "cost": 100, "gives": {"fixed_amount": "5"}, "valid_for": "P1M",
                "only": {"products": ["green-tea"]}}]}"#;
        server.post("/v1/program/validate", program).expect(200).json()
    };
    assert_eq!(validate()["warnings"], Value::Null);
    connect(&server, "plugin_woocommerce", "https://tea.example.com/lootly/");
    let warnings = validate()["warnings"].clone();
    let places: Vec<_> = warnings
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["pointer"])
        .collect();
    assert_eq!(places, ["/rewards/0", "/rewards/1"], "{warnings}");
    let detail = warnings[0]["detail"].as_str().unwrap();
    assert_eq!(
        detail,
        "Store shop: the plugin for WooCommerce cannot hold codes without an end."
    );
}
