//! Discounts without a code: what a cart gets and almost gets, and the uses that are counted.

use serde_json::{Value, json};

use crate::support::{TestResponse, TestServer};

fn rule(server: &TestServer, more: &Value) -> String {
    let mut body = json!({"title": "Ten percent", "automatic": true, "value_type": "percentage", "value": "-10"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let created = server.post("/v1/price-rules", body.to_string()).expect(201).json();
    assert_eq!(created["automatic"], true);
    created["price_rule_id"].as_str().unwrap().to_owned()
}

fn cart(server: &TestServer, price: &str, more: &Value) -> Value {
    let mut body =
        json!({"lines": [{"quantity": 1, "price": price}], "shipping": [{"price": "4.90"}]});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    server.post("/v1/carts/evaluate", body.to_string()).expect(200).json()
}

fn order(server: &TestServer, id: &str, customer: &str, rules: &Value) -> TestResponse {
    let body = json!({
        "customer": {"customer_id": customer}, "status": "paid", "automatic_discounts": rules,
        "lines": [{"quantity": 1, "amount": "9.00"}], "total": "9.00",
    });
    server.put(&format!("/v1/orders/{id}"), body.to_string())
}

#[test]
fn a_cart_says_what_applies_and_what_is_missing() {
    let server = TestServer::new();
    let shipping = rule(
        &server,
        &json!({"title": "free shipping", "value": "-100", "target_type": "shipping_line",
        "allocation_method": "each", "prerequisite_subtotal_range": {"greater_than_or_equal_to": "50"}}),
    );
    let units = rule(
        &server,
        &json!({"prerequisite_quantity_range": {"greater_than_or_equal_to": 3}}),
    );
    let tea = rule(
        &server,
        &json!({"title": "Tea", "target_selection": "entitled", "entitled_product_ids": ["tea"]}),
    );
    rule(
        &server,
        &json!({"title": "Over", "starts_at": "2025-01-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}),
    );

    let found = cart(&server, "42.50", &json!({}));
    assert_eq!((&found["discount"], &found["codes"]), (&json!("0.00"), &json!([])));
    assert_eq!(
        found["automatic"],
        json!([
            {"price_rule_id": shipping, "title": "free shipping", "applied": false, "discount": "0", "shares": [],
             "reason": "minimum_subtotal_not_met", "missing": {"kind": "subtotal", "amount": "7.50"},
             "text": "7.50 more for free shipping."},
            {"price_rule_id": units, "title": "Ten percent", "applied": false, "discount": "0", "shares": [],
             "reason": "minimum_quantity_not_met", "missing": {"kind": "quantity", "units": 2},
             "text": "2 units more for Ten percent."},
            {"price_rule_id": tea, "title": "Tea", "applied": false, "discount": "0", "shares": [],
             "reason": "no_entitled_lines", "missing": {"kind": "items"},
             "text": "Tea does not apply: the cart has none of its items."},
        ])
    );

    let found = cart(&server, "50.00", &json!({}));
    assert_eq!((&found["discount"], &found["total"]), (&json!("4.90"), &json!("50.00")));
    let applied = &found["automatic"][0];
    assert_eq!(
        (&applied["applied"], &applied["discount"], &applied["shares"][0]["amount"]),
        (&json!(true), &json!("4.90"), &json!("4.90"))
    );
    assert_eq!(applied["text"], "free shipping takes 4.90 off: shipping of 4.90 is free.");
}

/// They stack as a code does that everybody enters last.
#[test]
fn automatic_discounts_and_codes_stack() {
    for (stacking, codes, automatic, discount) in [
        ("one_per_class", &["FIVE"][..], [false, true], "9.90"),
        ("one_per_class", &[], [true, true], "8.90"),
        ("best", &["FIVE"], [false, false], "5.00"),
        ("all", &["FIVE"], [true, true], "13.40"),
        ("exclusive", &["FIVE"], [false, false], "5.00"),
        ("all", &["ALONE"], [false, false], "1.00"),
    ] {
        let server = TestServer::new();
        server
            .put("/v1/program", json!({"stacking": stacking}).to_string())
            .expect(201);
        for (code, more) in
            [("FIVE", json!({})), ("ALONE", json!({"value": "-1", "individual_use": true}))]
        {
            let mut rule = json!({"title": code, "value": "-5"});
            rule.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            let rule = server.post("/v1/price-rules", rule.to_string()).expect(201).json();
            let path = format!(
                "/v1/price-rules/{}/discount-codes",
                rule["price_rule_id"].as_str().unwrap()
            );
            server.post(&path, json!({"code": code}).to_string()).expect(201);
        }
        rule(&server, &json!({}));
        rule(
            &server,
            &json!({"title": "free shipping", "value": "-100", "target_type": "shipping_line",
            "allocation_method": "each"}),
        );
        let found = cart(&server, "40.00", &json!({"codes": codes}));
        let applied: Vec<_> = found["automatic"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["applied"].as_bool().unwrap())
            .collect();
        assert_eq!(applied, automatic, "{stacking} {codes:?}: {found}");
        assert_eq!(found["discount"], discount, "{stacking} {codes:?}: {found}");
    }
}

#[test]
fn uses_count_as_those_of_codes() {
    let server = TestServer::new();
    let twice = rule(&server, &json!({"usage_limit": 2}));
    let once = rule(&server, &json!({"title": "Once", "once_per_customer": true}));
    let used = |answer: &TestResponse| {
        let rules = answer.json()["automatic_discounts"].clone();
        let rules = rules.as_array().cloned().unwrap_or_default();
        rules
            .iter()
            .map(|rule| rule["reason"].as_str().unwrap_or("used").to_owned())
            .collect::<Vec<_>>()
    };
    let put = |id: &str, customer: &str, rules: &Value| {
        used(&order(&server, id, customer, rules).expect(200))
    };
    let shown = |customer: &str| {
        let found = cart(&server, "10.00", &json!({"customer": {"customer_id": customer}}));
        let rules = found["automatic"].as_array().unwrap().clone();
        rules
            .iter()
            .map(|rule| rule["title"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };

    assert_eq!(put("1", "ada", &json!([twice, once])), ["used", "used"]);
    // The same report again is the same use.
    assert_eq!(put("1", "ada", &json!([twice, once])), ["used", "used"]);
    assert_eq!(put("2", "ada", &json!([once])), ["already_used_by_customer"]);
    assert_eq!(put("3", "bob", &json!([twice])), ["used"]);
    assert_eq!(
        put("4", "cy", &json!([twice, "99", 7])),
        ["used_up", "unknown_code", "unknown_code"]
    );
    assert_eq!((shown("ada"), shown("cy")), (vec![], vec!["Once".to_owned()]));

    let read = server.get("/v1/orders/1").expect(200).json();
    assert_eq!(
        read["automatic_discounts"],
        json!([{"price_rule_id": twice, "used": true}, {"price_rule_id": once, "used": true}])
    );
    let read = server.get("/v1/orders/4").expect(200).json();
    assert_eq!(read["automatic_discounts"][0]["used"], false);

    // A cancelled order gives its uses back, and so does one that no longer lists them.
    server.put("/v1/orders/1", r#"{"status":"cancelled"}"#).expect(200);
    assert_eq!(put("3", "bob", &json!([])), Vec::<String>::new());
    assert_eq!(shown("ada"), ["Ten percent", "Once"]);
    assert_eq!(put("4", "cy", &json!([twice])), ["used"]);
    assert_eq!(put("5", "cy", &json!([twice])), ["used"]);
    assert_eq!(put("6", "cy", &json!([twice])), ["used_up"]);
    let verified = loyalty_store::Store::verify(&*server.store).unwrap();
    assert_eq!(verified.differences, Vec::<String>::new());
}

/// A checkout reserves a use, so that a limit holds for the shoppers who are about to pay.
#[test]
fn a_checkout_reserves_automatic_discounts() {
    let server = TestServer::new();
    let one = rule(&server, &json!({"usage_limit": 1}));
    let other = rule(&server, &json!({"title": "Other"}));
    let shipping = rule(
        &server,
        &json!({"title": "free shipping", "value": "-100", "target_type": "shipping_line",
        "allocation_method": "each"}),
    );
    let reserve = |checkout: &str, codes: &Value, rules: &Value| {
        let body =
            json!({"codes": codes, "automatic_discounts": rules, "until": "2026-03-01T12:30:00Z"});
        server.post(&format!("/v1/checkouts/{checkout}/codes"), body.to_string())
    };
    let reserved = reserve("a", &json!([]), &json!([one, shipping])).expect(200).json();
    assert_eq!(
        reserved["automatic_discounts"],
        json!([{"price_rule_id": one, "until": "2026-03-01T12:30:00Z"},
            {"price_rule_id": shipping, "until": "2026-03-01T12:30:00Z"}])
    );
    for (checkout, codes, rules, code, param) in [
        ("b", json!([]), json!([one]), "used_up", "/automatic_discounts/0"),
        (
            "b",
            json!([]),
            json!([shipping, "99"]),
            "unknown_code",
            "/automatic_discounts/1",
        ),
        ("a", json!([]), json!([other]), "not_combined", "/automatic_discounts/0"),
        ("b", json!(["NONE"]), json!([shipping]), "unknown_code", "/codes/0"),
        ("b", json!([]), json!([]), "too_many_codes", "/codes"),
    ] {
        reserve(checkout, &codes, &rules).assert_problem(422, code, param);
    }
    let shown = |more: &Value| cart(&server, "10.00", more)["automatic"].as_array().unwrap().len();
    assert_eq!((shown(&json!({})), shown(&json!({"checkout_id": "a"}))), (2, 3));

    // The order of the checkout uses what is reserved; another one finds nothing left.
    let order = |id: &str, checkout: &str| {
        let body = json!({
            "status": "paid", "automatic_discounts": [one], "checkout_id": checkout,
            "lines": [{"quantity": 1, "amount": "9.00"}], "total": "9.00",
        });
        let answer = server
            .put(&format!("/v1/orders/{id}"), body.to_string())
            .expect(200)
            .json();
        answer["automatic_discounts"][0]["used"].clone()
    };
    assert_eq!((order("1", "b"), order("2", "a")), (json!(false), json!(true)));
    assert_eq!(
        server
            .request("DELETE", "/v1/checkouts/a/codes")
            .send()
            .expect(200)
            .json(),
        json!({"checkout_id": "a", "reserved": []})
    );
}

#[test]
fn a_rule_becomes_automatic_and_stops() {
    let server = TestServer::new();
    let id = rule(&server, &json!({}));
    let path = format!("/v1/price-rules/{id}");
    let count = || {
        cart(&server, "10.00", &json!({}))["automatic"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(), 1);
    let seen = server.get(&path).expect(200);
    server.put(&path, seen.text()).expect(200);
    server
        .put(&path, seen.text().replace("\"automatic\":true", "\"automatic\":false"))
        .expect(200);
    assert_eq!(count(), 0);
    // Shopify's paths show the rule as one, and no code for it.
    let change = r#"{"price_rule":{"automatic":true}}"#;
    let changed = server
        .shopify("PUT", &format!("/price_rules/{id}.json"))
        .body(change)
        .send()
        .expect(200);
    assert_eq!(changed.json()["price_rule"]["automatic"], true);
    let codes = server
        .shopify("GET", &format!("/price_rules/{id}/discount_codes.json"))
        .send()
        .expect(200);
    assert_eq!(codes.text(), r#"{"discount_codes":[]}"#);
    server
        .get("/v1/discount-codes/lookup?code=Ten%20percent")
        .assert_problem(404, "code_not_found", "code");
    assert_eq!(count(), 1);
    assert_eq!(server.request("DELETE", &path).send().status, 204);
    assert_eq!(count(), 0);

    for _ in 0..50 {
        rule(&server, &json!({}));
    }
    let body = json!({"title": "More", "value": "-1", "automatic": true}).to_string();
    server.post("/v1/price-rules", &body).assert_problem(
        422,
        "too_many_automatic_rules",
        "/automatic",
    );
    let body =
        json!({"price_rule": {"title": "More", "value": "-1", "automatic": true}}).to_string();
    server
        .shopify("POST", "/price_rules.json")
        .body(body)
        .send()
        .assert_problem(422, "too_many_automatic_rules", "/price_rule/automatic");
    assert_eq!(count(), 50);
}
