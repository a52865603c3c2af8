//! Price rules, discount codes, carts and checkouts over `/v1`.

use serde_json::{Value, json};

use crate::support::{TestResponse, TestServer};

const TEN: &str = r#"{"title":"Ten","value_type":"percentage","value":"-10"}"#;

fn id_of(answer: &TestResponse, name: &str) -> String {
    answer.json()[name].as_str().unwrap().to_owned()
}

fn rule(server: &TestServer, body: &str) -> String {
    id_of(&server.post("/v1/price-rules", body).expect(201), "price_rule_id")
}

fn code(server: &TestServer, rule: &str, text: &str) -> String {
    let body = json!({ "code": text }).to_string();
    id_of(
        &server
            .post(&format!("/v1/price-rules/{rule}/discount-codes"), body)
            .expect(201),
        "code_id",
    )
}

fn delete(server: &TestServer, path: &str) -> TestResponse {
    server.request("DELETE", path).send()
}

#[test]
fn a_rule_has_maxima() {
    let server = TestServer::new();
    let limited = json!({"title": "A fifth", "value_type": "percentage", "value": "-20",
        "maximum_discount": 15, "maximum_share": "50"});
    let limited = server.post("/v1/price-rules", limited.to_string()).expect(201).json();
    assert_eq!(
        (&limited["maximum_discount"], &limited["maximum_share"]),
        (&json!("15"), &json!("50"))
    );
}

#[test]
fn a_rule_returns_every_member_that_was_sent() {
    let server = TestServer::new();
    let body = json!({
        "title": "Buy two teas, get a cup", "value_type": "percentage", "value": -50, "target_type": "line_item",
        "target_selection": "entitled", "allocation_method": "each", "allocation_limit": 3,
        "customer_selection": "prerequisite", "prerequisite_emails": ["ada@example.com"],
        "entitled_product_ids": ["cup"], "excluded_collection_ids": [7], "prerequisite_collection_ids": ["tea"],
        "prerequisite_to_entitlement_quantity_ratio": {"prerequisite_quantity": 2, "entitled_quantity": 1},
        "usage_limit": 100, "once_per_customer": true, "individual_use": true,
        "starts_at": "2026-01-01T00:00:00Z", "ends_at": null,
    });
    let created = server.post("/v1/price-rules", body.to_string()).expect(201);
    let path = format!("/v1/price-rules/{}", id_of(&created, "price_rule_id"));
    let seen = server.get(&path).expect(200);
    assert_eq!(seen.text(), created.text());
    assert_eq!(seen.header("etag"), Some("\"1\""));
    let mut expected = body.clone();
    expected["value"] = json!("-50");
    expected["excluded_collection_ids"] = json!(["7"]);
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&seen.json()[name], value, "{name}");
    }
    // The response, sent back, changes nothing.
    let updated = server
        .request("PUT", &path)
        .body(seen.text())
        .header("if-match", "\"1\"")
        .send()
        .expect(200);
    assert_eq!(updated.json(), seen.json());
    server.set_time("2026-03-02T00:00:00Z");
    let put = server
        .request("PUT", &path)
        .body(TEN)
        .header("if-match", "\"1\"")
        .send()
        .expect(200)
        .json();
    assert_eq!(
        (&put["revision"], &put["title"], &put["usage_limit"]),
        (&json!(2), &json!("Ten"), &Value::Null)
    );
    assert_eq!(
        (&put["prerequisite_emails"], &put["updated_at"]),
        (&json!([]), &json!("2026-03-02T00:00:00Z"))
    );
    let stale = server
        .request("PUT", &path)
        .body(TEN)
        .header("if-match", "\"1\"")
        .send();
    stale.assert_problem(412, "precondition_failed", "If-Match");
    server
        .request("DELETE", &path)
        .header("if-match", "\"1\"")
        .send()
        .assert_problem(412, "precondition_failed", "If-Match");
    assert_eq!(server.get("/v1/price-rules/count").expect(200).text(), r#"{"count":1}"#);
    assert_eq!(delete(&server, &path).status, 204);
    server
        .get(&path)
        .assert_problem(404, "price_rule_not_found", "price_rule_id");
    delete(&server, &path).assert_problem(404, "price_rule_not_found", "price_rule_id");
    assert_eq!(server.get("/v1/price-rules").expect(200).text(), r#"{"price_rules":[]}"#);
}

#[test]
fn a_contradictory_rule_lists_every_fault() {
    let server = TestServer::new();
    let before = server.snapshot();
    let wrong = json!({
        "title": " ", "value": "10", "target_type": "shipping_line", "allocation_limit": 0,
        "prerequisite_customer_ids": ["1"], "ends_at": "2026-01-01T00:00:00Z",
    });
    let refused = server.post("/v1/price-rules", wrong.to_string());
    refused.assert_problem(422, "invalid_price_rule", "/title");
    let faults = refused.json()["faults"].clone();
    let pointers: Vec<_> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(
        pointers,
        [
            "/title",
            "/value_type",
            "/value",
            "/allocation_method",
            "/allocation_limit",
            "/allocation_limit",
            "/prerequisite_customer_ids",
            "/ends_at",
        ]
    );
    for (body, status, code, param) in [
        (r#"{"title":"a","value":"-1","colour":1}"#, 400, "unknown_field", "/colour"),
        (r#"{"title":"a","value":true}"#, 400, "wrong_type", "/value"),
        (r#"{"title":"a","value":"1e3"}"#, 422, "invalid_value", "/value"),
        (
            r#"{"title":"a","value":"-1","value_type":"half"}"#,
            422,
            "invalid_value",
            "/value_type",
        ),
        (
            r#"{"title":"a","value":"-1","usage_limit":-1}"#,
            422,
            "out_of_range",
            "/usage_limit",
        ),
        (
            r#"{"title":"a","value":"-1","usage_limit":0}"#,
            422,
            "invalid_price_rule",
            "/usage_limit",
        ),
        (r#"{"title":"a","value":"-0.001"}"#, 422, "invalid_price_rule", "/value"),
        (
            r#"{"title":"a","value":"-1","prerequisite_subtotal_range":{"greater_than_or_equal_to":"-1"}}"#,
            422,
            "out_of_range",
            "/prerequisite_subtotal_range/greater_than_or_equal_to",
        ),
    ] {
        server
            .post("/v1/price-rules", body)
            .assert_problem(status, code, param);
    }
    assert_eq!(server.snapshot(), before);
}

/// Shopify documents these as exclusive with a quantity ratio.
#[test]
fn buy_x_get_y_is_a_percentage_without_minimums() {
    let server = TestServer::new();
    let bundle = json!({
        "title": "Third mug", "value_type": "percentage", "value": "-100",
        "target_selection": "entitled", "allocation_method": "each",
        "entitled_product_ids": ["7"], "prerequisite_product_ids": ["7"],
        "prerequisite_to_entitlement_quantity_ratio": {"prerequisite_quantity": 2, "entitled_quantity": 1},
        "starts_at": "2026-01-01T00:00:00Z",
    });
    let id = rule(&server, &bundle.to_string());
    for (field, value, param) in [
        ("value_type", json!("fixed_amount"), "/value_type"),
        (
            "prerequisite_subtotal_range",
            json!({"greater_than_or_equal_to": "20"}),
            "/prerequisite_subtotal_range/greater_than_or_equal_to",
        ),
        (
            "prerequisite_quantity_range",
            json!({"greater_than_or_equal_to": 3}),
            "/prerequisite_quantity_range/greater_than_or_equal_to",
        ),
        (
            "prerequisite_shipping_price_range",
            json!({"less_than_or_equal_to": "5"}),
            "/prerequisite_shipping_price_range/less_than_or_equal_to",
        ),
    ] {
        let mut forbidden = bundle.clone();
        forbidden[field] = value.clone();
        let refused = server.post("/v1/price-rules", forbidden.to_string());
        refused.assert_problem(422, "invalid_price_rule", param);
        let body = json!({"price_rule": forbidden}).to_string();
        let refused = server.shopify("POST", "/price_rules.json").body(body).send();
        refused.assert_problem(422, "invalid_price_rule", &format!("/price_rule{param}"));
        // A change of one member is judged with the members that the rule has.
        let change = json!({"price_rule": {field: value}}).to_string();
        let path = format!("/price_rules/{id}.json");
        let refused = server.shopify("PUT", &path).body(change).send();
        refused.assert_problem(422, "invalid_price_rule", &format!("/price_rule{param}"));
    }
    let shipping = r#"{"title":"Free","value_type":"fixed_amount","value":"-5","target_type":"shipping_line","allocation_method":"each"}"#;
    server.post("/v1/price-rules", shipping).assert_problem(
        422,
        "invalid_price_rule",
        "/value_type",
    );
}

/// The catalogue's variants are checked when a rule is created or changed.
#[test]
fn a_variant_and_its_product_are_not_in_one_rule() {
    let server = TestServer::new();
    let tea = r#"{"title":"Tea","variants":[{"variant_id":"s"},{"variant_id":"m"}]}"#;
    server.put("/v1/products/tea", tea).expect(200);
    let body = |product: &str, variant: &str| {
        json!({"title": "Ten", "value": "-10", "target_selection": "entitled",
            "entitled_product_ids": [product], "entitled_variant_ids": [variant]})
        .to_string()
    };
    let refused = server.post("/v1/price-rules", body("tea", "s"));
    refused.assert_problem(422, "invalid_price_rule", "/entitled_variant_ids");
    let fault = &refused.json()["faults"][0];
    assert_eq!(
        (&fault["pointer"], &fault["code"]),
        (&json!("/entitled_variant_ids"), &json!("contradiction"))
    );
    assert!(
        fault["detail"]
            .as_str()
            .unwrap()
            .contains("variant s belongs to product tea"),
        "{fault}"
    );
    // The cup is unknown, and the tea has no such variant.
    rule(&server, &body("tea", "xl"));
    let cup = format!("/v1/price-rules/{}", rule(&server, &body("cup", "s")));
    server
        .put("/v1/products/cup", r#"{"title":"Cup","variants":[{"variant_id":"s"}]}"#)
        .expect(200);
    let seen = server.get(&cup).expect(200);
    server.put(&cup, seen.text()).expect(200);
    server.put(&cup, seen.text().replace("Ten", "Two")).assert_problem(
        422,
        "invalid_price_rule",
        "/entitled_variant_ids",
    );
    assert_eq!(server.get(&cup).expect(200).text(), seen.text());
    let wrapped = format!(r#"{{"price_rule":{}}}"#, body("tea", "m"));
    let refused = server.shopify("POST", "/price_rules.json").body(wrapped).send();
    refused.assert_problem(422, "invalid_price_rule", "/price_rule/entitled_variant_ids");
    assert_eq!(refused.json()["faults"][0]["pointer"], "/price_rule/entitled_variant_ids");
    assert!(refused.json()["errors"]["entitled_variant_ids"].is_array());
}

#[test]
fn codes_are_created_generated_updated_and_deleted() {
    let server = TestServer::new();
    let rule = rule(&server, TEN);
    let path = format!("/v1/price-rules/{rule}/discount-codes");
    let summer = code(&server, &rule, " Summer ");
    server
        .post(&path, r#"{"code":"SUMMER"}"#)
        .assert_problem(409, "code_taken", "/code");
    server.post(&path, r#"{"code":"a","prefix":"b"}"#).assert_problem(
        422,
        "invalid_value",
        "/prefix",
    );
    server
        .post(&path, "{\"code\":\"\"}")
        .assert_problem(422, "invalid_value", "/code");
    server.post("/v1/price-rules/99/discount-codes", "{}").assert_problem(
        404,
        "price_rule_not_found",
        "price_rule_id",
    );
    let drawn = server.post(&path, r#"{"prefix":"VIP"}"#).expect(201).json();
    let text = drawn["code"].as_str().unwrap();
    assert!(text.starts_with("VIP-") && text.len() == 27, "{text}");
    let other = server.post(&path, "{}").expect(201).json();
    assert_ne!(other["code"], drawn["code"]);
    let one = format!("{path}/{summer}");
    let seen = server.get(&one).expect(200).json();
    assert_eq!(
        (&seen["code"], &seen["usage_count"], &seen["enabled"]),
        (&json!("Summer"), &json!(0), &json!(true))
    );
    server.put(&one, r#"{"code":"Winter","enabled":false}"#).expect(200);
    let found = server.get("/v1/discount-codes/lookup?code=WINTER").expect(200).json();
    assert_eq!((&found["code_id"], &found["enabled"]), (&json!(summer), &json!(false)));
    server.get("/v1/discount-codes/lookup?code=summer").assert_problem(
        404,
        "code_not_found",
        "code",
    );
    server
        .get("/v1/discount-codes/lookup")
        .assert_problem(400, "missing_parameter", "code");
    let page = server.get(&format!("{path}?limit=2")).expect(200);
    let rest = server.get(&page.next().unwrap()).expect(200);
    let count = |answer: &TestResponse| answer.json()["discount_codes"].as_array().unwrap().len();
    assert_eq!((count(&page), count(&rest), rest.next()), (2, 1, None));
    assert_eq!(delete(&server, &one).status, 204);
    server.get(&one).assert_problem(404, "code_not_found", "code_id");
    assert_eq!(server.get(&format!("{path}/count")).expect(200).text(), r#"{"count":2}"#);
}

#[test]
fn a_batch_reports_the_outcome_of_each_code() {
    let server = TestServer::new();
    let rule = rule(&server, TEN);
    code(&server, &rule, "taken");
    let path = format!("/v1/price-rules/{rule}/batch");
    let body =
        r#"{"discount_codes":[{"code":"one"},{"code":"TAKEN"},{"code":" "},{"prefix":"X"}]}"#;
    let batch = server.post(&path, body).expect(201).json();
    let counts =
        ["codes_count", "imported_count", "failed_count"].map(|name| batch[name].as_u64().unwrap());
    assert_eq!((counts, &batch["status"]), ([4, 2, 2], &json!("completed")));
    let one = format!("{path}/{}", batch["batch_id"].as_str().unwrap());
    assert_eq!(server.get(&one).expect(200).json(), batch);
    let codes =
        server.get(&format!("{one}/discount-codes")).expect(200).json()["discount_codes"].clone();
    assert_eq!((&codes[1]["code_id"], &codes[1]["code"]), (&Value::Null, &json!("TAKEN")));
    assert!(
        codes[0]["code_id"].is_string()
            && codes[0]["error"].is_null()
            && codes[2]["error"].is_string()
    );
    let many = |count: usize| {
        let codes: Vec<_> = (0..count)
            .map(|number| json!({ "code": format!("M{number}") }))
            .collect();
        server.post(&path, json!({ "discount_codes": codes }).to_string())
    };
    many(101).assert_problem(422, "too_many_codes", "/discount_codes");
    many(0).assert_problem(422, "out_of_range", "/discount_codes");
    assert_eq!(many(100).expect(201).json()["imported_count"], 100);
    server
        .get(&format!("{path}/1"))
        .assert_problem(404, "not_found", "batch_id");
}

fn cart(codes: &[&str], more: &Value) -> String {
    let mut body = json!({
        "lines": [
            {"product_id": "tea", "quantity": 1, "price": "43.00"},
            {"quantity": 1, "price": "14.00"},
            {"line_id": "c", "quantity": 2, "price": "11.50"},
        ],
        "shipping": [{"price": "4.90"}],
        "codes": codes,
    });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body.to_string()
}

#[test]
fn a_cart_is_evaluated_to_the_cent_with_every_reason() {
    let server = TestServer::new();
    let three = r#"{"title":"Three","value_type":"fixed_amount","value":"-3"}"#;
    code(&server, &rule(&server, three), "THREE");
    let ended = r#"{"title":"Old","value":"-1","starts_at":"2025-01-01T00:00:00Z","ends_at":"2025-02-01T00:00:00Z"}"#;
    code(&server, &rule(&server, ended), "OLD");
    let free = r#"{"title":"Free","value_type":"percentage","value":"-100","target_type":"shipping_line","allocation_method":"each"}"#;
    code(&server, &rule(&server, free), "FREE");
    let answer = server
        .post("/v1/carts/evaluate", cart(&["three", "old", "none", "free"], &json!({})))
        .expect(200)
        .json();
    let shares: Vec<_> = answer["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["discount"].as_str().unwrap())
        .collect();
    assert_eq!(shares, ["1.61", "0.53", "0.86"]);
    assert_eq!((&answer["discount"], &answer["total"]), (&json!("7.90"), &json!("77.00")));
    let codes = answer["codes"].as_array().unwrap();
    let reasons: Vec<_> = codes
        .iter()
        .map(|code| (code["applied"].as_bool(), code["reason"].as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            (Some(true), None),
            (Some(false), Some("expired")),
            (Some(false), Some("unknown_code")),
            (Some(true), None)
        ]
    );
    for (more, code, param) in [
        (json!({"currency": "EUR"}), "currency_mismatch", "/currency"),
        (
            json!({"lines": [{"quantity": 1, "price": "0.001"}]}),
            "finer_than_currency",
            "/lines",
        ),
        (
            json!({"lines": vec![json!({"quantity": 1, "price": "1"}); 10_000]}),
            "too_many_lines",
            "/lines",
        ),
        (json!({"codes": vec!["a"; 21]}), "too_many_codes", "/codes"),
    ] {
        server
            .post("/v1/carts/evaluate", cart(&[], &more))
            .assert_problem(422, code, param);
    }
}

/// The public reason is the same for all codes whose rejection is secret.
#[test]
fn public_reasons_do_not_reveal_whether_a_code_exists() {
    let server = TestServer::new();
    let codes = [
        ("used_up", json!({"usage_limit": 1})),
        ("expired", json!({"ends_at": "2026-02-01T00:00:00Z"})),
        ("not_yet_valid", json!({"starts_at": "2026-04-01T00:00:00Z"})),
        (
            "customer_not_eligible",
            json!({"customer_selection": "prerequisite", "prerequisite_customer_ids": ["2"]}),
        ),
        ("already_used_by_customer", json!({"once_per_customer": true})),
        ("disabled", json!({})),
        (
            "minimum_subtotal_not_met",
            json!({"prerequisite_subtotal_range": {"greater_than_or_equal_to": "500"}}),
        ),
    ];
    for (reason, more) in &codes {
        let mut body = json!({"title": reason, "value": "-1", "starts_at": "2026-01-01T00:00:00Z"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let (rule, text) = (rule(&server, &body.to_string()), format!("T-{reason}"));
        let code = code(&server, &rule, &text);
        match *reason {
            "disabled" => {
                let path = format!("/v1/price-rules/{rule}/discount-codes/{code}");
                server.put(&path, r#"{"enabled":false}"#).expect(200);
            }
            "used_up" | "already_used_by_customer" => {
                let order = json!({"customer": {"customer_id": "1"}, "status": "paid", "total": "1",
                    "discount_codes": [text], "lines": [{"quantity": 1, "amount": "1"}]});
                server
                    .put(&format!("/v1/orders/{reason}"), order.to_string())
                    .expect(200);
            }
            _ => {}
        }
    }
    let customer = json!({"customer_id": "1"});
    for (number, reason) in ["unknown_code"]
        .into_iter()
        .chain(codes.iter().map(|(reason, _)| *reason))
        .enumerate()
    {
        // Moves the clock, so that no lookup is throttled.
        server.set_time(&format!("2026-03-01T13:{number:02}:00Z"));
        let text = format!("T-{reason}");
        let evaluated = cart(&[&text], &json!({ "customer": customer }));
        let answer =
            server.post("/v1/carts/evaluate", evaluated).expect(200).json()["codes"][0].take();
        let until = format!("2026-03-01T13:{:02}:00Z", number + 1);
        let reserve = json!({"codes": [text], "customer": customer, "until": until}).to_string();
        let secret = reason != "minimum_subtotal_not_met";
        assert_eq!(answer["reason"], reason);
        assert_eq!(answer["public_reason"], if secret { "code_not_valid" } else { reason });
        let shown = answer["public_text"].as_str().unwrap();
        let text_of_shop = answer["text"].as_str().unwrap();
        if secret {
            assert_eq!(shown, format!("{text} does not apply: the code is not valid."));
            assert_ne!(shown, text_of_shop);
            let refused = server.post(&format!("/v1/checkouts/k{number}/codes"), reserve);
            refused.assert_problem(422, reason, "/codes/0");
            let refused = refused.json();
            assert_eq!(
                (&refused["public_reason"], &refused["public_text"]),
                (&json!("code_not_valid"), &json!("The code is not valid."))
            );
            assert_ne!(refused["detail"], refused["public_text"]);
        } else {
            assert_eq!(shown, text_of_shop);
        }
    }
}

#[test]
fn the_program_decides_how_codes_combine() {
    let server = TestServer::new();
    for (text, off) in [("THREE", "-3"), ("FOUR", "-4")] {
        code(&server, &rule(&server, &json!({"title": text, "value": off}).to_string()), text);
    }
    let free = r#"{"title":"Free","value_type":"percentage","value":"-100","target_type":"shipping_line","allocation_method":"each"}"#;
    code(&server, &rule(&server, free), "FREE");
    let alone = r#"{"title":"Alone","value":"-1","target_selection":"entitled","entitled_product_ids":["tea"],"individual_use":true}"#;
    code(&server, &rule(&server, alone), "ALONE");
    let reserve = |checkout: &str, codes: &[&str]| {
        let body = json!({"codes": codes, "until": "2026-03-01T12:30:00Z"}).to_string();
        server.post(&format!("/v1/checkouts/{checkout}/codes"), body)
    };
    let typed = ["three", "four", "free"];
    for (number, (policy, discount, one_class, two_classes)) in [
        // The default, then each of the four policies.
        (None, "8.90", false, true),
        (Some("exclusive"), "3.00", false, false),
        (Some("best"), "4.90", false, false),
        (Some("one_per_class"), "8.90", false, true),
        (Some("all"), "11.90", true, true),
    ]
    .into_iter()
    .enumerate()
    {
        if let Some(policy) = policy {
            server
                .put("/v1/program", json!({ "stacking": policy }).to_string())
                .expect(201);
        }
        let shown = server.get("/v1/program").expect(200).json()["stacking"].clone();
        assert_eq!(
            shown.as_str(),
            policy.filter(|policy| *policy != "one_per_class"),
            "{policy:?}"
        );
        let answer = server
            .post("/v1/carts/evaluate", cart(&typed, &json!({})))
            .expect(200)
            .json();
        assert_eq!(answer["discount"], discount, "{policy:?}");
        // A checkout can reserve codes that combine in some cart. Its own reservations do
        // not conflict.
        let reserved = |name: &str, codes: &[&str], together: bool| {
            let checkout = format!("{name}{number}");
            reserve(&checkout, &codes[..1]).expect(200);
            let both = reserve(&checkout, codes);
            if together {
                both.expect(200);
            } else {
                both.assert_problem(422, "not_combined", "/codes/1");
            }
            let reserved = server
                .get(&format!("/v1/checkouts/{checkout}/codes"))
                .expect(200)
                .json()["reserved"]
                .take();
            assert_eq!(
                reserved.as_array().unwrap().len(),
                if together { 2 } else { 1 },
                "{policy:?}"
            );
        };
        reserved("one", &["THREE", "FOUR"], one_class);
        reserved("two", &["THREE", "FREE"], two_classes);
        let checkout = format!("alone{number}");
        reserve(&checkout, &["ALONE", "FREE"]).assert_problem(422, "individual_use", "/codes/1");
        reserve(&checkout, &["FREE", "ALONE"]).assert_problem(422, "individual_use", "/codes/1");
    }
    // Only the program decides it.
    let with_stacking = cart(&typed, &json!({"stacking": "all"}));
    server.post("/v1/carts/evaluate", with_stacking).assert_problem(
        400,
        "unknown_field",
        "/stacking",
    );
    server.put("/v1/program", r#"{"stacking":"some"}"#).assert_problem(
        422,
        "invalid_program",
        "/stacking",
    );
    // An order is a fact: its codes are used, whatever the current policy is.
    server.put("/v1/program", r#"{"stacking":"exclusive"}"#).expect(201);
    let order = json!({"status": "paid", "total": "10", "discount_codes": ["THREE", "FOUR"],
        "lines": [{"quantity": 1, "amount": "10"}]});
    let used =
        server.put("/v1/orders/o1", order.to_string()).expect(200).json()["discount_codes"].take();
    assert_eq!((&used[0]["used"], &used[1]["used"]), (&json!(true), &json!(true)));
}

#[test]
fn a_reservation_becomes_a_use_of_the_order() {
    let server = TestServer::new();
    let rule = rule(
        &server,
        r#"{"title":"One","value":"-1","usage_limit":1,"once_per_customer":true}"#,
    );
    let code = code(&server, &rule, "ONE");
    let reserve = |checkout: &str, customer: &str| {
        let body = json!({"codes": ["one"], "customer": {"customer_id": customer}, "until": "2026-03-01T12:30:00Z"});
        server.post(&format!("/v1/checkouts/{checkout}/codes"), body.to_string())
    };
    let reserved = reserve("k1", "1").expect(200).json();
    assert_eq!(reserved["reserved"][0]["code_id"], json!(code));
    reserve("k2", "2").assert_problem(422, "used_up", "/codes/0");
    reserve("k2", "1").assert_problem(422, "already_used_by_customer", "/codes/0");
    assert_eq!(
        server.get("/v1/checkouts/k2/codes").expect(200).text(),
        r#"{"checkout_id":"k2","reserved":[]}"#
    );
    let evaluated = |more| {
        let answer = server
            .post("/v1/carts/evaluate", cart(&["ONE"], &more))
            .expect(200)
            .json();
        answer["codes"][0]["reason"].as_str().map(str::to_owned)
    };
    assert_eq!(evaluated(json!({"customer": {"customer_id": "2"}})), Some("used_up".to_owned()));
    assert_eq!(evaluated(json!({"customer": {"customer_id": "1"}, "checkout_id": "k1"})), None);
    let order = |id: &str, more: Value| {
        let mut body = json!({
            "customer": {"customer_id": id}, "status": "paid", "total": "10", "discount_codes": ["One", "none"],
            "lines": [{"quantity": 1, "amount": "10"}],
        });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        server
            .put(&format!("/v1/orders/o{id}"), body.to_string())
            .expect(200)
            .json()["discount_codes"]
            .clone()
    };
    assert_eq!(order("2", json!({}))[0]["reason"], "used_up");
    let used = order("1", json!({"checkout_id": "k1"}));
    assert_eq!((&used[0]["used"], &used[0]["code_id"]), (&json!(true), &json!(code)));
    assert_eq!((&used[1]["used"], &used[1]["reason"]), (&json!(false), &json!("unknown_code")));
    let seen = server.get("/v1/orders/o1").expect(200).json()["discount_codes"].clone();
    assert_eq!((&seen[0]["used"], &seen[1]["used"]), (&json!(true), &json!(false)));
    let path = format!("/v1/price-rules/{rule}/discount-codes/{code}");
    assert_eq!(server.get(&path).expect(200).json()["usage_count"], 1);
    server.put("/v1/orders/o1", r#"{"status":"cancelled"}"#).expect(200);
    assert_eq!(server.get(&path).expect(200).json()["usage_count"], 0);
    reserve("k3", "3").expect(200);
    let released = delete(&server, "/v1/checkouts/k3/codes?code=ONE").expect(200);
    assert_eq!(released.text(), r#"{"checkout_id":"k3","reserved":[]}"#);
    let late = json!({"codes": ["ONE"], "until": "2026-03-03T12:30:00Z"}).to_string();
    server.post("/v1/checkouts/k4/codes", late).assert_problem(
        422,
        "invalid_reservation_period",
        "/until",
    );
}
