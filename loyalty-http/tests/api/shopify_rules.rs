//! Price rules and discount codes at Shopify's paths.

use serde_json::{Value, json};

use crate::support::{TestResponse, TestServer};

#[test]
fn shopifys_paths_have_the_same_rules_and_codes() {
    let server = TestServer::new();
    server.put("/v1/products/green-tea", r#"{"title":"Tea"}"#).expect(200);
    let given =
        server.shopify("GET", "/products.json").send().expect(200).json()["products"][0]["id"]
            .clone();
    let body = json!({"price_rule": {
        "title": "SUMMER", "target_type": "line_item", "target_selection": "entitled", "allocation_method": "each",
        "value_type": "fixed_amount", "value": "-5.0", "customer_selection": "all",
        "entitled_product_ids": [given, 7], "starts_at": "2026-01-19T17:59:10-05:00",
    }});
    let created = server
        .shopify("POST", "/price_rules.json")
        .body(body.to_string())
        .send()
        .expect(201)
        .json();
    let rule = &created["price_rule"];
    let id = rule["id"].as_i64().unwrap();
    assert_eq!(
        (&rule["value"], &rule["starts_at"]),
        (&json!("-5.0"), &json!("2026-01-19T22:59:10Z"))
    );
    assert_eq!(rule["entitled_product_ids"], json!([given, 7]));
    let path = format!("/price_rules/{id}");
    // The last response is sent back.
    let put = server
        .shopify("PUT", &format!("{path}.json"))
        .body(created.to_string())
        .send()
        .expect(200)
        .json();
    assert_eq!(put, created);
    let part = r#"{"price_rule":{"usage_limit":20}}"#;
    let put = server
        .shopify("PUT", &format!("{path}.json"))
        .body(part)
        .send()
        .expect(200)
        .json();
    assert_eq!(
        (&put["price_rule"]["usage_limit"], &put["price_rule"]["title"]),
        (&json!(20), &json!("SUMMER"))
    );
    assert_eq!(server.get(&format!("/v1/price-rules/{id}")).expect(200).json()["revision"], 2);
    let codes = format!("{path}/discount_codes.json");
    let code = |text: &str| {
        let body = json!({"discount_code": {"code": text}}).to_string();
        server.shopify("POST", &codes).body(body).send()
    };
    let created = code("SUMMER10").expect(201).json()["discount_code"].clone();
    assert_eq!((&created["price_rule_id"], &created["usage_count"]), (&json!(id), &json!(0)));
    let duplicate = code("summer10");
    duplicate.assert_problem(422, "code_taken", "/discount_code/code");
    assert!(duplicate.json()["errors"]["code"].is_array());
    code("").assert_problem(422, "invalid_value", "/discount_code/code");
    let one = format!("{path}/discount_codes/{}.json", created["id"]);
    let sent = json!({"discount_code": {"id": created["id"], "code": "WINTER", "usage_count": 0}})
        .to_string();
    server.shopify("PUT", &one).body(sent).send().expect(200);
    let found = server
        .shopify("GET", "/discount_codes/lookup.json?code=winter")
        .send();
    assert_eq!(
        (found.status, found.header("location")),
        (303, Some(format!("/admin/api/2025-01{one}").as_str()))
    );
    server
        .shopify("GET", "/discount_codes/lookup.json?code=no")
        .send()
        .assert_problem(404, "code_not_found", "code");
    let batch = r#"{"discount_codes":[{"code":"A"},{"code":"winter"}]}"#;
    let batch = server
        .shopify("POST", &format!("{path}/batch.json"))
        .body(batch)
        .send()
        .expect(201)
        .json();
    let batch = &batch["discount_code_creation"];
    assert_eq!((&batch["price_rule_id"], &batch["imported_count"]), (&json!(id), &json!(1)));
    let of_batch = format!("{path}/batch/{}", batch["id"]);
    server.shopify("GET", &format!("{of_batch}.json")).send().expect(200);
    let listed = server
        .shopify("GET", &format!("{of_batch}/discount_codes.json"))
        .send()
        .expect(200)
        .json();
    assert_eq!(listed["discount_codes"][0]["errors"], json!({}));
    assert!(listed["discount_codes"][1]["errors"]["code"].is_array());
    let page = server.shopify("GET", &format!("{codes}?limit=1")).send().expect(200);
    assert!(page.header("link").unwrap().contains("page_info="));
    assert_eq!(
        server
            .shopify("GET", "/price_rules/count.json")
            .send()
            .expect(200)
            .text(),
        r#"{"count":1}"#
    );
    let rules = server
        .shopify("GET", "/price_rules.json?fields=id")
        .send()
        .expect(200);
    assert_eq!(rules.text(), format!(r#"{{"price_rules":[{{"id":{id}}}]}}"#));
    assert_eq!(server.shopify("DELETE", &one).send().status, 204);
    assert_eq!(server.shopify("DELETE", &format!("{path}.json")).send().status, 204);
    server.shopify("GET", &format!("{path}.json")).send().assert_problem(
        404,
        "price_rule_not_found",
        "id",
    );
    let wrong = r#"{"price_rule":{"title":"a","value":"5"}}"#;
    let refused = server.shopify("POST", "/price_rules.json").body(wrong).send();
    refused.assert_problem(422, "invalid_price_rule", "/price_rule/value");
    assert_eq!(refused.json()["errors"]["value"], json!(["must be less than zero"]));
    assert_eq!(refused.json()["faults"][0]["pointer"], "/price_rule/value");
}

fn numbered(answer: &TestResponse, things: &str) -> Vec<Value> {
    answer.json()[things]
        .as_array()
        .unwrap()
        .iter()
        .map(|thing| thing["id"].clone())
        .collect()
}

/// The prices after a discount: of a cup, two sizes of tea, and no product, at 10.00
/// each.
fn rule_customers(server: &TestServer, customer: &Value) -> Vec<String> {
    let line = |product: &str, variant: &str| json!({"product_id": product, "variant_id": variant, "quantity": 1, "price": "10.00"});
    let lines = [
        line("cup", "c"),
        line("tea", "s"),
        line("tea", "m"),
        json!({"quantity": 1, "price": "10.00"}),
    ];
    let cart = json!({"lines": lines, "codes": ["HALF"], "customer": customer}).to_string();
    let answer = server.post("/v1/carts/evaluate", cart).expect(200).json();
    let lines = answer["lines"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line["left"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn non_numeric_ids_get_assigned_numbers() {
    let server = TestServer::new();
    server
        .put(
            "/v1/products/tea",
            r#"{"title":"Tea","variants":[{"variant_id":"s"},{"variant_id":"m"}]}"#,
        )
        .expect(200);
    server
        .put("/v1/products/mug", r#"{"title":"Mug","variants":[{"variant_id":"m"}]}"#)
        .expect(200);
    server.put("/v1/products/cup", r#"{"title":"Cup"}"#).expect(200);
    let products = server.shopify("GET", "/products.json").send().expect(200);
    let [tea, mug, cup] = numbered(&products, "products").try_into().unwrap();
    let variant = |place: usize, variant: usize| {
        products.json()["products"][place]["variants"][variant]["id"].take()
    };
    let (small, medium) = (variant(0, 0), variant(0, 1));
    assert_eq!(medium, variant(1, 0), "rules name a variant by its id alone");
    let guest = r#"{"customer":{"email":"guest@example.com"}}"#;
    let guest = server
        .shopify("POST", "/customers.json")
        .body(guest)
        .send()
        .expect(201)
        .json()["customer"]["id"]
        .take();
    server.post("/v1/customers", r#"{"customer_id":"ada"}"#).expect(201);
    let ada = numbered(&server.shopify("GET", "/customers.json").send(), "customers")
        .pop()
        .unwrap();

    let body = json!({"price_rule": {
        "title": "HALF", "value_type": "percentage", "value": "-50", "allocation_method": "each",
        "target_selection": "entitled", "entitled_product_ids": [cup], "entitled_variant_ids": [medium],
        "excluded_variant_ids": [small], "excluded_product_ids": [mug],
        "customer_selection": "prerequisite", "prerequisite_customer_ids": [guest, ada, 7],
    }});
    let created = server
        .shopify("POST", "/price_rules.json")
        .body(body.to_string())
        .send()
        .expect(201);
    let path = format!("/price_rules/{}.json", created.json()["price_rule"]["id"]);
    for name in [
        "entitled_product_ids",
        "entitled_variant_ids",
        "excluded_variant_ids",
        "excluded_product_ids",
        "prerequisite_customer_ids",
    ] {
        assert_eq!(created.json()["price_rule"][name], body["price_rule"][name], "{name}");
    }
    assert_eq!(server.shopify("GET", &path).send().expect(200).text(), created.text());
    let list = server.shopify("GET", "/price_rules.json").send().expect(200);
    assert_eq!(list.json()["price_rules"][0], created.json()["price_rule"]);
    // At `/v1` they have the shop's ids; a customer without an id keeps the number.
    let shop_view = server
        .get(&format!("/v1/price-rules/{}", created.json()["price_rule"]["id"]))
        .expect(200)
        .json();
    assert_eq!(shop_view["entitled_product_ids"], json!(["cup"]));
    assert_eq!(
        (&shop_view["entitled_variant_ids"], &shop_view["excluded_variant_ids"]),
        (&json!(["m"]), &json!(["s"]))
    );
    assert_eq!(shop_view["prerequisite_customer_ids"], json!([guest.to_string(), "7", "ada"]));
    // The last response, sent back, changes nothing.
    assert_eq!(
        server
            .shopify("PUT", &path)
            .body(created.text())
            .send()
            .expect(200)
            .text(),
        created.text()
    );
    let part = r#"{"price_rule":{"usage_limit":20}}"#;
    let part = server.shopify("PUT", &path).body(part).send().expect(200).json();
    assert_eq!(part["price_rule"]["entitled_variant_ids"], json!([medium]));

    server
        .post(
            &format!(
                "/v1/price-rules/{}/discount-codes",
                shop_view["price_rule_id"].as_str().unwrap()
            ),
            r#"{"code":"HALF"}"#,
        )
        .expect(201);
    let half = ["5.00", "10.00", "5.00", "10.00"];
    assert_eq!(rule_customers(&server, &json!({"email": "guest@example.com"})), half);
    assert_eq!(rule_customers(&server, &json!({"customer_id": "ada"})), half);
    assert_eq!(rule_customers(&server, &json!({"customer_id": "7"})), half);
    assert_eq!(rule_customers(&server, &json!({"customer_id": "eve"})), ["10.00"; 4]);
    // A guest who gets an id is still the customer of the rule, also for an order.
    server
        .post("/v1/customers", r#"{"customer_id":"42","email":"guest@example.com"}"#)
        .expect(201);
    assert_eq!(rule_customers(&server, &json!({"customer_id": "42"})), half);
    let named =
        server.shopify("GET", &path).send().json()["price_rule"]["prerequisite_customer_ids"]
            .take();
    assert_eq!(named, json!([42, ada, 7]));
    let order = json!({"customer": {"customer_id": "42"}, "status": "paid", "total": "10", "discount_codes": ["HALF"],
        "lines": [{"quantity": 1, "amount": "10"}]});
    let used =
        server.put("/v1/orders/o1", order.to_string()).expect(200).json()["discount_codes"].take();
    assert_eq!(used[0]["used"], true);
    let both = json!({"price_rule": {"entitled_product_ids": [tea]}}).to_string();
    let refused = server.shopify("PUT", &path).body(both).send();
    refused.assert_problem(422, "invalid_price_rule", "/price_rule/entitled_variant_ids");
}
