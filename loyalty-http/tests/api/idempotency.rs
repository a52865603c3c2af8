//! The same key and request get the same response, byte for byte. The same key with
//! another request is rejected.

use crate::support::{TestResponse, TestServer};

fn send(server: &TestServer, method: &str, path: &str, body: &str, key: &str) -> TestResponse {
    server.request(method, path).body(body).idempotency_key(key).send()
}

/// For each writing route, a request and another one for the same key.
const WRITES: [(&str, &str, &str, &str); 16] = [
    ("POST", "/v1/customers", r#"{"customer_id":"2"}"#, r#"{"customer_id":"3"}"#),
    ("PATCH", "/v1/customers/1", r#"{"point_balance":60}"#, r#"{"point_balance":70}"#),
    (
        "POST",
        "/v1/points-add",
        r#"{"customer_id":"1","points":5}"#,
        r#"{"customer_id":"1","points":6}"#,
    ),
    (
        "POST",
        "/v1/points-subtract",
        r#"{"customer_id":"1","points":5}"#,
        r#"{"customer_id":"1","points": 5}"#,
    ),
    (
        "PUT",
        "/v1/orders/o",
        r#"{"status":"cancelled"}"#,
        r#"{"status":"cancelled","total":"1"}"#,
    ),
    (
        "POST",
        "/v1/orders/o/refunds",
        r#"{"refund_id":"r","amount":"1"}"#,
        r#"{"refund_id":"r","amount":"2"}"#,
    ),
    ("PUT", "/v1/program", "{}", r#"{"debt":"allow"}"#),
    ("PUT", "/v1/products/tea", r#"{"title":"Tea"}"#, r#"{"title":"Chai"}"#),
    (
        "POST",
        "/v1/products/bulk",
        r#"{"products":[{"product_id":"cup","title":"Cup"}]}"#,
        r#"{"products":[{"product_id":"cup","title":"Mug"}]}"#,
    ),
    ("PUT", "/v1/categories/tea", r#"{"name":"Tea"}"#, r#"{"name":"Teas"}"#),
    (
        "POST",
        "/v1/categories/bulk",
        r#"{"categories":[{"category_id":"cup","name":"Cup"}]}"#,
        r#"{"categories":[{"category_id":"cup","name":"Mug"}]}"#,
    ),
    (
        "POST",
        "/v1/customer-saved-searches",
        r#"{"name":"all"}"#,
        r#"{"name":"all","query":"tag:a"}"#,
    ),
    (
        "POST",
        "/v1/price-rules",
        r#"{"title":"Ten","value":"-10"}"#,
        r#"{"title":"Ten","value":"-11"}"#,
    ),
    (
        "POST",
        "/v1/price-rules/{rule}/discount-codes",
        r#"{"prefix":"A"}"#,
        r#"{"prefix":"B"}"#,
    ),
    (
        "POST",
        "/v1/price-rules/{rule}/batch",
        r#"{"discount_codes":[{"prefix":"A"}]}"#,
        r#"{"discount_codes":[{"prefix":"B"}]}"#,
    ),
    (
        "POST",
        "/v1/checkouts/k/codes",
        r#"{"codes":["TEN"],"until":"2026-03-20T12:00:00Z"}"#,
        r#"{"codes":["TEN"],"until":"2026-03-20T11:00:00Z"}"#,
    ),
];

#[test]
fn a_response_is_replayed_byte_for_byte() {
    let server = TestServer::new();
    server.customer("1", 50);
    let rule = server
        .post("/v1/price-rules", r#"{"title":"Ten","value":"-10"}"#)
        .expect(201)
        .json();
    let rule = rule["price_rule_id"].as_str().unwrap().to_owned();
    server
        .post(&format!("/v1/price-rules/{rule}/discount-codes"), r#"{"code":"TEN"}"#)
        .expect(201);
    server.set_time("2026-03-20T00:00:00Z");
    for (index, (method, path, body, other)) in WRITES.into_iter().enumerate() {
        let path = &path.replace("{rule}", &rule);
        let key = format!("key-{index}");
        let first = send(&server, method, path, body, &key);
        assert!((200..300).contains(&first.status), "{}", first.text());
        assert_eq!(first.header("idempotency-replayed"), None);
        let after = server.snapshot();
        server.set_time("2026-03-20T00:00:00Z");
        let replayed = send(&server, method, path, body, &key);
        assert_eq!((replayed.status, replayed.text()), (first.status, first.text()), "{path}");
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
        assert_eq!(replayed.header("content-type"), Some("application/json"));
        assert_ne!(replayed.header("x-request-id"), first.header("x-request-id"));
        send(&server, method, path, other, &key).assert_problem(
            422,
            "idempotency_key_reused",
            "Idempotency-Key",
        );
        assert_eq!(server.snapshot(), after, "{path}");
    }
}

#[test]
fn a_rejection_is_replayed_even_when_the_request_would_now_succeed() {
    let server = TestServer::new();
    server.customer("1", 10);
    let rejected = [
        ("POST", "/v1/points-subtract", r#"{"customer_id":"1","points":20}"#, 422),
        ("POST", "/v1/points-add", r#"{"customer_id":"2","points":20}"#, 404),
        ("PATCH", "/v1/customers/1", r#"{"tier":"gold"}"#, 422),
    ];
    let first = rejected.map(|(method, path, body, status)| {
        send(&server, method, path, body, &format!("{method}{path}")).expect(status)
    });
    server.customer("2", 0);
    server
        .post("/v1/points-add", r#"{"customer_id":"1","points":90}"#)
        .expect(200);
    server
        .put("/v1/program", r#"{"tiers":[{"id":"gold","name":"Gold"}]}"#)
        .expect(201);
    let before = server.snapshot();
    for ((method, path, body, status), first) in rejected.into_iter().zip(first) {
        let replayed = send(&server, method, path, body, &format!("{method}{path}")).expect(status);
        assert_eq!(replayed.body, first.body, "{path}");
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    }
    assert_eq!(server.snapshot(), before);
}

/// At Shopify's paths, handlers read the resource before they create the action.
#[test]
fn a_response_is_replayed_after_its_subject_is_deleted() {
    let server = TestServer::new();
    let rule = r#"{"title":"Ten","value":"-10"}"#;
    let rule = server.post("/v1/price-rules", rule).expect(201).json()["price_rule_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/price_rules/{rule}");
    let writes = [
        ("PUT", format!("{path}.json"), r#"{"price_rule":{"title":"Eleven"}}"#),
        (
            "POST",
            format!("{path}/discount_codes.json"),
            r#"{"discount_code":{"code":"TEN"}}"#,
        ),
        ("POST", format!("{path}/batch.json"), r#"{"discount_codes":[{"code":"A"}]}"#),
        ("DELETE", format!("{path}.json"), ""),
    ];
    let send = |(method, path, body): &(&str, String, &'static str)| {
        let request = server
            .shopify(method, path)
            .idempotency_key(&format!("{method} {}", path.len()).replace(' ', "-"));
        if body.is_empty() { request.send() } else { request.body(*body).send() }
    };
    let first = writes.each_ref().map(send);
    let before = server.snapshot();
    for (write, first) in writes.iter().zip(first) {
        assert!((200..300).contains(&first.status), "{}", first.text());
        let replayed = send(write);
        assert_eq!((replayed.status, &replayed.body), (first.status, &first.body), "{write:?}");
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"), "{write:?}");
    }
    // Another request with the key, or one without a key, gets its own error.
    let other = r#"{"price_rule":{"title":"Twelve"}}"#;
    let put = || server.shopify("PUT", &format!("{path}.json")).body(other);
    put()
        .idempotency_key(&format!("PUT-{}", writes[0].1.len()))
        .send()
        .assert_problem(404, "price_rule_not_found", "id");
    put().send().assert_problem(404, "price_rule_not_found", "id");
    assert_eq!(server.snapshot(), before);
}

#[test]
fn a_malformed_request_leaves_its_key_unused() {
    let server = TestServer::new();
    server.customer("1", 0);
    let add = |body: &str| send(&server, "POST", "/v1/points-add", body, "k");
    add(r#"{"customer_id":"1","points":"5"}"#).assert_problem(400, "wrong_type", "/points");
    add(r#"{"customer_id":"1","points":5}"#).expect(200);
    assert_eq!(server.balance("1"), 5);
}

#[test]
fn keys_belong_to_a_shop_and_a_path_and_end() {
    let server = TestServer::new();
    server.customer("1", 0);
    let body = r#"{"customer_id":"1","points":5}"#;
    send(&server, "POST", "/v1/points-add", body, "k").expect(200);
    send(&server, "POST", "/v1/points-subtract", body, "k").assert_problem(
        422,
        "idempotency_key_reused",
        "Idempotency-Key",
    );
    let customer = r#"{"customer_id":"1"}"#;
    let elsewhere = server
        .request("POST", "/v1/customers")
        .key(&server.other)
        .body(customer)
        .idempotency_key("k")
        .send();
    assert_eq!(elsewhere.expect(201).header("idempotency-replayed"), None);
    server.set_time("2026-03-31T12:00:00Z");
    assert_eq!(
        send(&server, "POST", "/v1/points-add", body, "k")
            .expect(200)
            .header("idempotency-replayed"),
        None
    );
    assert_eq!(server.balance("1"), 10);
}

#[test]
fn invalid_keys_are_rejected() {
    let server = TestServer::new();
    server.customer("1", 0);
    let before = server.snapshot();
    for key in ["", "a b", "ä", &"k".repeat(256)] {
        for (method, path, body, _) in WRITES {
            send(&server, method, path, body, key).assert_problem(
                400,
                "invalid_idempotency_key",
                "Idempotency-Key",
            );
        }
    }
    assert_eq!(server.snapshot(), before);
    send(
        &server,
        "POST",
        "/v1/points-add",
        r#"{"customer_id":"1","points":5}"#,
        &"k".repeat(255),
    )
    .expect(200);
}

#[test]
fn concurrent_requests_with_one_key_have_one_effect() {
    let server = TestServer::new();
    server.customer("1", 0);
    let answers: Vec<String> = std::thread::scope(|scope| {
        let add = || {
            send(&server, "POST", "/v1/points-add", r#"{"customer_id":"1","points":5}"#, "k")
                .text()
                .to_owned()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(server.balance("1"), 5);
}
