//! Products and categories: writing, reading, counting and deleting them.

use serde_json::json;

use crate::support::TestServer;

const TEA: &str = r#"{"title":"Green Tea","categories":["tea","green"],"price":"4.50","vendor":"Uji","product_type":"Leaves","tags":["vegan"],"status":"draft","variants":[{"variant_id":"50g","sku":"T-50","price":"4.50"},{"variant_id":"100g","title":"Large"}]}"#;

const TEA_ANSWER: &str = r#"{"product_id":"green-tea","title":"Green Tea","categories":["green","tea"],"price":"4.50","currency":"USD","vendor":"Uji","product_type":"Leaves","tags":["vegan"],"status":"draft","variants":[{"variant_id":"50g","title":null,"sku":"T-50","price":"4.50"},{"variant_id":"100g","title":"Large","sku":null,"price":null}],"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}"#;

#[test]
fn a_product_is_put_read_and_deleted() {
    let server = TestServer::new();
    assert_eq!(server.put("/v1/products/green-tea", TEA).expect(200).text(), TEA_ANSWER);
    assert_eq!(server.get("/v1/products/green-tea").expect(200).text(), TEA_ANSWER);
    server.set_time("2026-03-02T00:00:00Z");
    // The same body again changes nothing; a body with fewer members does.
    assert_eq!(server.put("/v1/products/green-tea", TEA).expect(200).text(), TEA_ANSWER);
    let plain = server.put(
        "/v1/products/green-tea",
        r#"{"product_id":"green-tea","title":"Tea","currency":"USD"}"#,
    );
    assert_eq!(
        plain.expect(200).text(),
        r#"{"product_id":"green-tea","title":"Tea","categories":[],"price":null,"currency":"USD","vendor":null,"product_type":null,"tags":[],"status":"active","variants":[],"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-02T00:00:00Z"}"#
    );
    assert_eq!(server.get("/v1/products/count").expect(200).text(), r#"{"count":1}"#);
    let gone = server.request("DELETE", "/v1/products/green-tea").send();
    assert_eq!((gone.status, gone.text(), gone.header("content-type")), (204, "", None));
    server
        .get("/v1/products/green-tea")
        .assert_problem(404, "product_not_found", "product_id");
    server
        .request("DELETE", "/v1/products/green-tea")
        .send()
        .assert_problem(404, "product_not_found", "product_id");
    assert_eq!(server.get("/v1/products/count").text(), r#"{"count":0}"#);
}

#[test]
fn a_deletion_is_replayed_under_its_key() {
    let server = TestServer::new();
    server.put("/v1/products/tea", r#"{"title":"Tea"}"#).expect(200);
    let delete = || {
        server
            .request("DELETE", "/v1/products/tea")
            .idempotency_key("k")
            .send()
    };
    let (first, second) = (delete(), delete());
    assert_eq!((first.status, first.header("idempotency-replayed")), (204, None));
    assert_eq!(
        (second.status, second.text(), second.header("idempotency-replayed")),
        (204, "", Some("true"))
    );
    server.request("DELETE", "/v1/products/tea").send().assert_problem(
        404,
        "product_not_found",
        "product_id",
    );
}

#[test]
fn ids_are_any_text_and_words_are_reached_encoded() {
    let server = TestServer::new();
    for (id, path) in [("count", "%63ount"), ("bulk", "%62ulk"), ("a/b", "a%2Fb"), ("7", "7")] {
        server
            .put(&format!("/v1/products/{path}"), r#"{"title":"x"}"#)
            .expect(200);
        assert_eq!(
            server.get(&format!("/v1/products/{path}")).expect(200).json()["product_id"],
            id
        );
        server
            .put(&format!("/v1/categories/{path}"), r#"{"name":"x"}"#)
            .expect(200);
        assert_eq!(
            server.get(&format!("/v1/categories/{path}")).expect(200).json()["category_id"],
            id
        );
    }
    assert_eq!(server.get("/v1/products/bulk").status, 405);
}

#[test]
fn many_are_put_at_once_or_none() {
    let server = TestServer::new();
    let body = r#"{"products":[{"product_id":"a","title":"A"},{"product_id":"b","title":"B"}]}"#;
    let tally = |body: &str| server.post("/v1/products/bulk", body).expect(200).text().to_owned();
    assert_eq!(tally(body), r#"{"created":2,"updated":0,"unchanged":0}"#);
    assert_eq!(
        tally(&body.replace("\"B\"", "\"C\"")),
        r#"{"created":0,"updated":1,"unchanged":1}"#
    );
    let before = server.snapshot();
    let broken = r#"{"products":[{"product_id":"c","title":"C"},{"title":"D"},{"product_id":"e","title":""},
        {"product_id":"f","title":"F","price":4},{"product_id":"g","title":"G","variants":[{"variant_id":"1"},{"variant_id":"1"}]},
        {"product_id":"c","title":"again"},{"product_id":"h","title":"H","colour":"red"},7]}"#;
    let refused = server.post("/v1/products/bulk", broken);
    refused.assert_problem(422, "invalid_records", "/products/1/product_id");
    let faults = refused.json()["faults"].take();
    let fault = |index: usize| (faults[index]["pointer"].clone(), faults[index]["code"].clone());
    for (index, (pointer, code)) in [
        ("/products/1/product_id", "missing_field"),
        ("/products/2/title", "invalid_value"),
        ("/products/3/price", "wrong_type"),
        ("/products/4/variants/1/variant_id", "duplicate_id"),
        ("/products/5/product_id", "duplicate_id"),
        ("/products/6/colour", "unknown_field"),
        ("/products/7", "wrong_type"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(fault(index), (json!(pointer), json!(code)));
    }
    assert_eq!(faults.as_array().unwrap().len(), 7);
    assert_eq!(refused.json()["errors"]["colour"].as_array().unwrap().len(), 1);

    let many = |count: usize| {
        let products: Vec<_> = (0..count)
            .map(|id| json!({"product_id": id.to_string(), "title": "x"}))
            .collect();
        json!({ "products": products }).to_string()
    };
    server
        .post("/v1/products/bulk", many(0))
        .assert_problem(422, "out_of_range", "/products");
    server
        .post("/v1/products/bulk", many(251))
        .assert_problem(422, "out_of_range", "/products");
    assert_eq!(server.snapshot(), before);
    assert_eq!(tally(&many(250)), r#"{"created":250,"updated":0,"unchanged":0}"#);
}

#[test]
fn lists_come_in_pages() {
    let server = TestServer::new();
    for id in ["c", "3", "20", "a", "b"] {
        server
            .put(&format!("/v1/products/{id}"), r#"{"title":"x"}"#)
            .expect(200);
        server
            .put(&format!("/v1/categories/{id}"), r#"{"name":"x"}"#)
            .expect(200);
    }
    let walk = |list: &str, member: &str| {
        let (mut path, mut seen) = (Some(format!("/v1/{list}?limit=2")), Vec::new());
        while let Some(next) = path {
            let page = server.get(&next).expect(200);
            let items = page.json()[list].as_array().unwrap().clone();
            assert!(items.len() <= 2);
            seen.extend(items.iter().map(|item| item[member].as_str().unwrap().to_owned()));
            path = page.next();
        }
        seen.join(" ")
    };
    assert_eq!(walk("products", "product_id"), "3 20 c a b");
    assert_eq!(walk("categories", "category_id"), "20 3 a b c");
    let customers = "Yzc";
    server
        .get(&format!("/v1/products?cursor={customers}"))
        .assert_problem(422, "invalid_cursor", "cursor");
    server
        .get(&format!("/v1/categories?cursor={customers}"))
        .assert_problem(422, "invalid_cursor", "cursor");
    server
        .get("/v1/products?limit=251")
        .assert_problem(422, "out_of_range", "limit");
    server
        .get("/v1/products?page=1")
        .assert_problem(400, "unknown_parameter", "page");
}

#[test]
fn categories_are_put_read_and_deleted() {
    let server = TestServer::new();
    let category = r#"{"category_id":"tea","name":"Tea","created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}"#;
    assert_eq!(
        server
            .put("/v1/categories/tea", r#"{"name":"Tea"}"#)
            .expect(200)
            .text(),
        category
    );
    assert_eq!(server.get("/v1/categories/tea").expect(200).text(), category);
    let body = r#"{"categories":[{"category_id":"tea","name":"Teas"},{"category_id":"cup","name":"Cups"}]}"#;
    let tally = server.post("/v1/categories/bulk", body).expect(200);
    assert_eq!(tally.text(), r#"{"created":1,"updated":1,"unchanged":0}"#);
    assert_eq!(server.get("/v1/categories/count").expect(200).text(), r#"{"count":2}"#);
    let twice = r#"{"categories":[{"category_id":"x","name":"X"},{"category_id":"x","name":"Y"}]}"#;
    server.post("/v1/categories/bulk", twice).assert_problem(
        422,
        "invalid_records",
        "/categories/1/category_id",
    );
    assert_eq!(server.request("DELETE", "/v1/categories/cup").send().status, 204);
    server
        .get("/v1/categories/cup")
        .assert_problem(404, "category_not_found", "category_id");
}

#[test]
fn invalid_products_and_categories_are_rejected() {
    let server = TestServer::new();
    let before = server.snapshot();
    let many = |part: &str| vec![part; 251].join(",");
    for (path, body, status, code, param) in [
        ("products/a", "{}".to_owned(), 400, "missing_field", "/title"),
        ("products/a", r#"{"title":"  "}"#.to_owned(), 422, "invalid_value", "/title"),
        (
            "products/a",
            format!(r#"{{"title":"{}"}}"#, "x".repeat(256)),
            422,
            "out_of_range",
            "/title",
        ),
        (
            "products/a",
            r#"{"title":"A","product_id":"b"}"#.to_owned(),
            422,
            "invalid_value",
            "/product_id",
        ),
        (
            "products/a",
            r#"{"title":"A","price":"-1"}"#.to_owned(),
            422,
            "out_of_range",
            "/price",
        ),
        (
            "products/a",
            r#"{"title":"A","price":1.5}"#.to_owned(),
            400,
            "wrong_type",
            "/price",
        ),
        (
            "products/a",
            r#"{"title":"A","currency":"EUR"}"#.to_owned(),
            422,
            "invalid_value",
            "/currency",
        ),
        (
            "products/a",
            r#"{"title":"A","status":"gone"}"#.to_owned(),
            422,
            "invalid_value",
            "/status",
        ),
        (
            "products/a",
            r#"{"title":"A","categories":["a",""]}"#.to_owned(),
            422,
            "invalid_value",
            "/categories/1",
        ),
        (
            "products/a",
            r#"{"title":"A","body_html":"x"}"#.to_owned(),
            400,
            "unknown_field",
            "/body_html",
        ),
        (
            "products/a",
            format!(r#"{{"title":"A","tags":[{}]}}"#, many("\"t\"")),
            422,
            "out_of_range",
            "/tags",
        ),
        (
            "products/a",
            format!(r#"{{"title":"A","variants":[{}]}}"#, many(r#"{"variant_id":"1"}"#)),
            422,
            "out_of_range",
            "/variants",
        ),
        (
            "products/a",
            r#"{"title":"A","variants":[{}]}"#.to_owned(),
            400,
            "missing_field",
            "/variants/0/variant_id",
        ),
        (
            "products/a%00",
            r#"{"title":"A"}"#.to_owned(),
            422,
            "invalid_value",
            "product_id",
        ),
        ("categories/a", r#"{"name":""}"#.to_owned(), 422, "invalid_value", "/name"),
        (
            "categories/a",
            r#"{"name":"A","category_id":"b"}"#.to_owned(),
            422,
            "invalid_value",
            "/category_id",
        ),
        ("categories/a", r#"{"title":"A"}"#.to_owned(), 400, "unknown_field", "/title"),
    ] {
        server
            .put(&format!("/v1/{path}"), body)
            .assert_problem(status, code, param);
    }
    assert_eq!(server.snapshot(), before);
}
