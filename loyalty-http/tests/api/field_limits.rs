//! Values that are well-formed and still refused: times and birthdays ahead, amounts finer
//! than the currency, ids and addresses that look like others.

use serde_json::{Value, json};

use crate::support::TestServer;

fn order(more: &Value) -> String {
    let mut body = json!({
        "customer": {"customer_id": "42"}, "status": "paid",
        "lines": [{"quantity": 1, "amount": "9.00"}], "total": "9.00",
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body.to_string()
}

/// The clock of the tests shows noon of 1 March 2026.
#[test]
fn times_more_than_a_day_ahead_are_refused() {
    let server = TestServer::new();
    for (at, is_taken) in [
        ("2026-03-02T12:00:00Z", true),
        ("2026-03-02T12:00:01Z", false),
        ("9999-01-01T00:00:00Z", false),
    ] {
        for member in ["updated_at", "placed_at"] {
            let path = format!("/v1/orders/{member}");
            let answer = server.put(&path, order(&json!({member: at})));
            if is_taken {
                answer.expect(200);
            } else {
                answer.assert_problem(422, "out_of_range", &format!("/{member}"));
            }
        }
        let body = json!({"refund_id": at, "amount": "1.00", "refunded_at": at}).to_string();
        let answer = server.post("/v1/orders/placed_at/refunds", body);
        if is_taken {
            answer.expect(200);
        } else {
            answer.assert_problem(422, "out_of_range", "/refunded_at");
        }
    }
    // A correction after the refused report still counts.
    let body = order(&json!({"updated_at": "2026-03-02T12:00:00Z", "total": "5.00",
        "lines": [{"quantity": 1, "amount": "5.00"}]}));
    server.put("/v1/orders/late", order(&json!({}))).expect(200);
    let corrected = server.put("/v1/orders/late", body).expect(200).json();
    assert_eq!(corrected["points_changed"], -4);
}

#[test]
fn birthdays_in_the_future_are_refused() {
    let server = TestServer::new();
    server.customer("7", 0);
    for (birthday, is_taken) in
        [("2026-03-01", true), ("2026-03-02", true), ("2026-03-03", false), ("9999-12-31", false)]
    {
        let member = json!({"birthday": birthday});
        let new = json!({"customer_id": birthday, "birthday": birthday});
        let of_order = json!({"customer": {"customer_id": "8", "birthday": birthday}});
        let shopify = json!({"customer": {"own_id": format!("s{birthday}"), "birthday": birthday}});
        let change = json!({"customer": {"birthday": birthday}}).to_string();
        for (answer, created, param) in [
            (server.post("/v1/customers", new.to_string()), 201, "/birthday"),
            (server.patch("/v1/customers/7", member.to_string()), 200, "/birthday"),
            (server.put("/v1/orders/1", order(&of_order)), 200, "/customer/birthday"),
            (
                server
                    .shopify("POST", "/customers.json")
                    .body(shopify.to_string())
                    .send(),
                201,
                "/customer/birthday",
            ),
            (
                server.shopify("PUT", "/customers/7.json").body(change).send(),
                200,
                "/customer/birthday",
            ),
        ] {
            if is_taken {
                answer.expect(created);
            } else {
                answer.assert_problem(422, "out_of_range", param);
            }
        }
    }
}

#[test]
fn amounts_finer_than_the_currency_are_refused() {
    let server = TestServer::new();
    server.put("/v1/orders/1", order(&json!({}))).expect(200);
    let line = |amount: &str| json!([{"quantity": 1, "amount": amount}]);
    for (more, param) in [
        (json!({"lines": line("1.005"), "total": "1.005"}), "/lines/0/amount"),
        (json!({"total": "9.001"}), "/total"),
        (json!({"tax": "0.001"}), "/tax"),
        (json!({"shipping": "0.0001", "total": "9.00"}), "/shipping"),
        (json!({"redeemed": "0.005"}), "/redeemed"),
        (
            json!({"currency": "JPY", "lines": line("900"), "total": "900",
                "shop_money": {"lines": ["9.001"], "total": "9.00"}}),
            "/shop_money/lines/0",
        ),
        (
            json!({"currency": "JPY", "lines": line("900"), "total": "900",
                "shop_money": {"lines": ["9.00"], "total": "9.001"}}),
            "/shop_money/total",
        ),
    ] {
        server
            .put("/v1/orders/2", order(&more))
            .assert_problem(422, "finer_than_currency", param);
    }
    server
        .post("/v1/orders/1/refunds", r#"{"refund_id":"r","amount":"1.005"}"#)
        .assert_problem(422, "finer_than_currency", "/amount");
    // Zeros are no finer.
    let zeros = json!({"lines": line("9.0000"), "total": "9.000"});
    server.put("/v1/orders/2", order(&zeros)).expect(200);
}

#[test]
fn ids_with_invisible_characters_are_refused() {
    let server = TestServer::new();
    server.customer("42", 0);
    let count = || server.get("/v1/customers/count").expect(200).text().to_owned();
    let before = count();
    for id in [" 42", "42 ", "4\u{200b}2", "42\u{ad}", "\u{202e}42", "42\u{feff}", "42\u{2060}"] {
        let body = json!({"customer_id": id}).to_string();
        server
            .post("/v1/customers", &body)
            .assert_problem(422, "invalid_value", "/customer_id");
        server
            .put("/v1/orders/1", order(&json!({"customer": {"customer_id": id}})))
            .assert_problem(422, "invalid_value", "/customer/customer_id");
    }
    assert_eq!(count(), before);
    server
        .get("/v1/customers/42%E2%80%8B")
        .assert_problem(422, "invalid_value", "customer_id");
}

#[test]
fn spellings_of_one_address_are_one_customer() {
    let server = TestServer::new();
    let create = |email: &str| server.post("/v1/customers", json!({"email": email}).to_string());
    create("ada@exämple.com").expect(201);
    for email in [
        "ADA@EXÄMPLE.COM",
        "ada@ｅxämple.com",
        "ａda@exämple.com",
        "ada@exämple。com",
        "ada@exa\u{308}mple.com",
        "ada@xn--exmple-cua.com",
    ] {
        create(email).assert_problem(409, "customer_exists", "/email");
    }
    for email in ["ada\u{200b}@exämple.com", "ada@exäm\u{ad}ple.com", "ada@exämple.com\u{200b}"]
    {
        create(email).assert_problem(422, "invalid_value", "/email");
    }
}

#[test]
fn answers_about_a_shop_are_not_for_caches() {
    let server = TestServer::new();
    server.customer("42", 0);
    for (answer, is_private) in [
        (server.get("/v1/customers/42"), true),
        (server.get("/v1/customers/43"), true),
        (server.request("GET", "/v1/customers").key("lk_none").send(), true),
        (server.post("/v1/customers", r#"{"customer_id":"44"}"#), true),
        (server.shopify("GET", "/customers.json").send(), true),
        (server.post("/integrations/webhooks/common/customer", "{}"), true),
        (server.get("/livez"), false),
        (server.get("/openapi.json"), false),
        (server.get("/unknown"), false),
    ] {
        let header = answer.header("cache-control");
        assert_eq!(header, is_private.then_some("no-store"), "{answer:?}");
    }
}
