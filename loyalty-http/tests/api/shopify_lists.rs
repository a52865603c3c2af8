//! Lists as Shopify's clients and sync jobs ask for them: filters, orders, absolute links.

use loyalty_http::Config;
use serde_json::{Value, json};

use crate::support::{TestResponse, TestServer};

fn get(server: &TestServer, path: &str) -> TestResponse {
    server.shopify("GET", path).send()
}

/// Customers 3, 1 and 2, created on 1, 2 and 3 March; 3 was changed on the 4th. Products tea
/// (1), cup (2) and pot (3) likewise, and three price rules.
fn server() -> TestServer {
    let server = TestServer::new();
    for (day, id) in [(1, "3"), (2, "1"), (3, "2")] {
        server.set_time(&format!("2026-03-0{day}T12:00:00Z"));
        server.customer(id, 0);
    }
    for (day, id, body) in [
        (
            1,
            "1",
            json!({"title": "Tea", "vendor": "Assam", "product_type": "leaf", "categories": ["7"]}),
        ),
        (2, "2", json!({"title": "Cup", "vendor": "Meissen", "status": "draft"})),
        (3, "3", json!({"title": "Pot", "vendor": "Meissen", "status": "archived"})),
    ] {
        server.set_time(&format!("2026-03-0{day}T12:00:00Z"));
        server
            .put(&format!("/v1/products/{id}"), body.to_string())
            .expect(200);
        let rule = json!({"title": id, "value": "-1", "starts_at": format!("2026-04-0{day}T00:00:00Z"),
            "ends_at": (day == 1).then_some("2026-05-01T00:00:00Z")});
        server.post("/v1/price-rules", rule.to_string()).expect(201);
    }
    server.set_time("2026-03-04T12:00:00Z");
    server.patch("/v1/customers/3", r#"{"first_name":"Ada"}"#).expect(200);
    server.put("/v1/products/1", r#"{"title":"Tea","vendor":"Assam","product_type":"leaf","categories":["7"],"tags":["new"]}"#)
        .expect(200);
    server
}

/// What the rows are called in all pages of a list.
fn walk(server: &TestServer, path: &str) -> Vec<String> {
    let (mut path, mut seen) = (Some(format!("/admin/api/2025-01{path}")), Vec::new());
    while let Some(next) = path {
        let page = get(server, next.strip_prefix("/admin/api/2025-01").unwrap()).expect(200);
        let body = page.json();
        let rows = body
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_array()
            .unwrap()
            .clone();
        seen.extend(rows.iter().map(|row| {
            let name = if row["title"].is_string() { &row["title"] } else { &row["own_id"] };
            name.as_str().unwrap().to_owned()
        }));
        path = page.next();
        assert!(seen.len() < 10, "the pages don't end");
    }
    seen
}

#[test]
fn lists_are_filtered_and_ordered() {
    let server = server();
    for (path, rows) in [
        ("/customers.json?", &["3", "1", "2"][..]),
        ("/customers.json?created_at_min=2026-03-02T12:00:00Z", &["1", "2"]),
        ("/customers.json?created_at_min=2026-03-02T12:00:01Z", &["2"]),
        ("/customers.json?created_at_max=2026-03-02T07:00:00-05:00", &["3", "1"]),
        ("/customers.json?created_at_max=2026-03-02T12:00:00%2B00:00", &["3", "1"]),
        ("/customers.json?created_at_max=2026-03-02T12:00:00+00:00", &["3", "1"]),
        ("/customers.json?created_at_min=2026-03-02", &["1", "2"]),
        ("/customers.json?updated_at_min=2026-03-03T00:00:00Z", &["3", "2"]),
        ("/customers.json?updated_at_min=2026-03-03&updated_at_max=2026-03-04", &["2"]),
        ("/customers.json?order=id", &["1", "2", "3"]),
        ("/customers.json?order=id+desc", &["3", "2", "1"]),
        ("/customers.json?order=created_at%20DESC", &["2", "1", "3"]),
        ("/customers.json?order=updated_at+asc", &["1", "2", "3"]),
        ("/customers.json?order=updated_at+asc&updated_at_min=2026-03-03", &["2", "3"]),
        // Orders and members that mean nothing here, and empty ones.
        ("/customers.json?order=last_order_date+desc", &["3", "1", "2"]),
        (
            "/customers.json?page=2&colour=red&ids=&since_id=&created_at_min=",
            &["3", "1", "2"],
        ),
        // A customer who is there, and numbers that are nobody's.
        ("/customers.json?since_id=1", &["2"]),
        ("/customers.json?since_id=99", &[]),
        ("/customers/search.json?query=id:1%20OR%20id:2&order=id+desc", &["2", "1"]),
        ("/products.json?", &["Tea", "Cup", "Pot"]),
        ("/products.json?title=cup", &["Cup"]),
        ("/products.json?vendor=Meissen", &["Cup", "Pot"]),
        ("/products.json?vendor=Meissen&status=archived", &["Pot"]),
        ("/products.json?status=active,archived", &["Tea", "Pot"]),
        ("/products.json?status=any", &["Tea", "Cup", "Pot"]),
        ("/products.json?product_type=leaf", &["Tea"]),
        ("/products.json?collection_id=7", &["Tea"]),
        ("/products.json?collection_id=8", &[]),
        ("/products.json?updated_at_min=2026-03-03", &["Tea", "Pot"]),
        ("/products.json?created_at_max=2026-03-01T12:00:00Z", &["Tea"]),
        ("/products.json?order=updated_at+desc", &["Tea", "Pot", "Cup"]),
        ("/products.json?since_id=2&order=updated_at+desc", &["Pot"]),
        ("/price_rules.json?", &["1", "2", "3"]),
        ("/price_rules.json?created_at_min=2026-03-02", &["2", "3"]),
        ("/price_rules.json?starts_at_max=2026-04-02", &["1", "2"]),
        ("/price_rules.json?ends_at_min=2026-01-01", &["1"]),
        ("/price_rules.json?order=created_at+desc", &["3", "2", "1"]),
    ] {
        assert_eq!(walk(&server, path), rows, "{path}");
        assert_eq!(walk(&server, &format!("{path}&limit=1")), rows, "{path}, one at a time");
    }
    // The number that is nobody's has no place in the list: greater ones follow.
    server.customer("9", 0);
    assert_eq!(walk(&server, "/customers.json?since_id=4"), ["9"]);

    for (path, count) in [
        ("/customers/count.json?created_at_min=2026-03-02", 3),
        ("/customers/count.json?updated_at_min=2026-03-04&colour=red", 2),
        ("/products/count.json", 3),
        ("/products/count.json?vendor=meissen", 2),
        ("/products/count.json?status=draft&updated_at_min=2026-03-03", 0),
    ] {
        assert_eq!(get(&server, path).expect(200).json()["count"], count, "{path}");
    }
}

#[test]
fn links_are_absolute() {
    let server = server();
    let link = |host: &str, scheme: &str| {
        let request = server
            .shopify("GET", "/customers.json?limit=1")
            .header("x-forwarded-proto", scheme);
        let answer = request.header("host", host).send();
        answer.header("link").unwrap().to_owned()
    };
    let path = "/admin/api/2025-01/customers.json?limit=1&page_info=";
    for (host, scheme, origin) in [
        ("tea.example", "", "http://tea.example"),
        ("tea.example:8080", "http", "http://tea.example:8080"),
        ("tea.example", "https", "https://tea.example"),
        ("[::1]:8080", "javascript", "http://[::1]:8080"),
        // Nothing that would end the link.
        ("a>b", "https", ""),
        ("a,b", "https", ""),
    ] {
        assert!(link(host, scheme).starts_with(&format!("<{origin}{path}")), "{host} {scheme}");
    }

    let config = Config {
        public_url: Some("https://public.example/loyalty".parse().unwrap()),
        ..Config::default()
    };
    let server = TestServer::with_store(config, |store| store);
    server.customer("1", 0);
    server.customer("2", 0);
    let answer = server
        .shopify("GET", "/customers.json?limit=1")
        .header("host", "other.example")
        .send();
    let link = answer.header("link").unwrap();
    assert!(link.starts_with(&format!("<https://public.example/loyalty{path}")), "{link}");
    // Our own lists stay relative to the server.
    let own = server.get("/v1/customers?limit=1");
    assert!(own.header("link").unwrap().starts_with("</v1/customers?"));
}

#[test]
fn a_product_without_variants_has_one() {
    let server = TestServer::new();
    server
        .put("/v1/products/green-tea", r#"{"title":"Tea","price":"4.50"}"#)
        .expect(200);
    let product = get(&server, "/products.json").json()["products"][0].clone();
    assert_eq!(
        product["variants"],
        json!([{"id": product["id"], "own_id": null, "product_id": product["id"],
            "title": "Default Title", "sku": null, "price": "4.50"}])
    );
    // A rule for it is a rule for the product.
    let rule = json!({"price_rule": {"title": "Tea", "value": "-1", "target_selection": "entitled",
        "entitled_variant_ids": [product["variants"][0]["id"]], "starts_at": "2026-01-01T00:00:00Z"}});
    let rule = server
        .shopify("POST", "/price_rules.json")
        .body(rule.to_string())
        .send()
        .expect(201);
    let rule = &rule.json()["price_rule"];
    assert_eq!(rule["entitled_product_ids"], json!([product["id"]]));
    assert_eq!(rule["entitled_variant_ids"], json!([]));
    let own = server
        .get(&format!("/v1/price-rules/{}", rule["id"]))
        .expect(200)
        .json();
    assert_eq!(own["entitled_product_ids"], json!(["green-tea"]));
    let code = json!({"code": "TEA"}).to_string();
    server
        .post(&format!("/v1/price-rules/{}/discount-codes", rule["id"]), code)
        .expect(201);
    let cart = json!({"lines": [{"product_id": "green-tea", "quantity": 1, "price": "4.50"}], "codes": ["TEA"]});
    let evaluated = server.post("/v1/carts/evaluate", cart.to_string()).expect(200).json();
    assert_eq!(evaluated["codes"][0]["discount"], Value::from("1.00"), "{evaluated}");
}
