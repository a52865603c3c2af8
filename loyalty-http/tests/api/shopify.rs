//! The store endpoints at Shopify's paths: envelopes, numbers for ids, `page_info`,
//! errors by field.

use serde_json::{Value, json};

use crate::support::{TestResponse, TestServer};

/// 2⁵², the first assigned number.
const FIRST_ASSIGNED_NUMBER: i64 = 4_503_599_627_370_496;

fn get(server: &TestServer, path: &str) -> TestResponse {
    server.shopify("GET", path).send()
}

fn send(server: &TestServer, method: &str, path: &str, body: &Value) -> TestResponse {
    server.shopify(method, path).body(body.to_string()).send()
}

/// The only member of a response.
#[track_caller]
fn only(answer: &TestResponse, name: &str) -> Value {
    let mut body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body[name].take()
}

fn ids(answer: &TestResponse, name: &str) -> Vec<i64> {
    let things = only(answer, name);
    things
        .as_array()
        .unwrap()
        .iter()
        .map(|thing| thing["id"].as_i64().unwrap())
        .collect()
}

#[test]
fn a_customer_is_created_read_and_updated() {
    let server = TestServer::new();
    let new = json!({"customer": {"email": "Ada@example.com", "first_name": "Ada", "tags": "vip, new",
        "addresses": [{"zip": "10115", "country": "DE"}]}});
    let created = send(&server, "POST", "/customers.json", &new).expect(201);
    let text = created.text();
    assert_eq!(
        text,
        r#"{"customer":{"id":4503599627370497,"own_id":null,"email":"Ada@example.com","first_name":"Ada","last_name":null,"birthday":null,"tags":"new, vip","currency":"USD","tier":null,"point_balance":0,"addresses":[{"zip":"10115","country":"DE","default":true}],"default_address":{"zip":"10115","country":"DE","default":true},"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}}"#
    );
    let path = format!("/customers/{}.json", FIRST_ASSIGNED_NUMBER + 1);
    assert_eq!(get(&server, &path).expect(200).text(), text);
    server.set_time("2026-03-02T00:00:00Z");
    // The last response, sent back, changes nothing.
    assert_eq!(server.shopify("PUT", &path).body(text).send().expect(200).text(), text);
    let change =
        json!({"customer": {"last_name": "Lovelace", "tags": ["a,b", "vip"], "addresses": []}});
    let changed = send(&server, "PUT", &path, &change).expect(200);
    let customer = only(&changed, "customer");
    assert_eq!(
        (&customer["first_name"], &customer["last_name"]),
        (&json!("Ada"), &json!("Lovelace"))
    );
    assert_eq!(
        (&customer["addresses"], &customer["default_address"]),
        (&json!([]), &json!(null))
    );
    assert_eq!(customer["updated_at"], "2026-03-02T00:00:00Z");
    // A tag with a comma survives, too.
    assert_eq!(
        server
            .shopify("PUT", &path)
            .body(changed.text())
            .send()
            .expect(200)
            .text(),
        changed.text()
    );
    assert_eq!(
        server.get("/v1/customers").json()["customers"][0]["tags"],
        json!(["a,b", "vip"])
    );
}

#[test]
fn a_numeric_id_keeps_its_number() {
    let server = TestServer::new();
    let created = send(
        &server,
        "POST",
        "/customers.json",
        &json!({"customer": {"email": "g@example.com"}}),
    )
    .expect(201);
    assert_eq!(only(&created, "customer")["id"], FIRST_ASSIGNED_NUMBER + 1);
    server
        .post("/v1/customers", r#"{"customer_id":"207119551"}"#)
        .expect(201);
    server.post("/v1/customers", r#"{"customer_id":"ada"}"#).expect(201);
    assert_eq!(
        ids(&get(&server, "/customers.json"), "customers"),
        [FIRST_ASSIGNED_NUMBER + 1, 207_119_551, FIRST_ASSIGNED_NUMBER + 3]
    );
    assert_eq!(
        only(&get(&server, "/customers/207119551.json").expect(200), "customer")["own_id"],
        "207119551"
    );
    // A customer is also found by the account's number, even after a guest has got an id.
    assert_eq!(
        only(
            &get(&server, &format!("/customers/{}.json", FIRST_ASSIGNED_NUMBER + 2)),
            "customer"
        )["id"],
        207_119_551
    );
    server
        .post("/v1/customers", r#"{"customer_id":"42","email":"g@example.com"}"#)
        .expect(201);
    assert_eq!(
        only(
            &get(&server, &format!("/customers/{}.json", FIRST_ASSIGNED_NUMBER + 1)),
            "customer"
        )["id"],
        42
    );
    assert_eq!(
        ids(&get(&server, "/customers.json?ids=42,8,207119551"), "customers"),
        [42, 207_119_551]
    );
    assert_eq!(
        ids(&get(&server, "/customers.json?ids=42,207119551&limit=1"), "customers"),
        [42]
    );
    let found = get(
        &server,
        &format!("/customers/search.json?query=id:{}", FIRST_ASSIGNED_NUMBER + 3),
    )
    .expect(200);
    assert_eq!(ids(&found, "customers"), [FIRST_ASSIGNED_NUMBER + 3]);
}

#[test]
fn customers_are_found_counted_and_paged() {
    let server = TestServer::new();
    for number in 1..=5 {
        server.customer(&number.to_string(), number * 10);
    }
    assert_eq!(get(&server, "/customers/count.json").expect(200).text(), r#"{"count":5}"#);
    assert_eq!(
        ids(&get(&server, "/customers/search.json?query=points:%3E30"), "customers"),
        [4, 5]
    );
    assert_eq!(ids(&get(&server, "/customers/search.json"), "customers"), [1, 2, 3, 4, 5]);
    assert_eq!(ids(&get(&server, "/customers.json?since_id=3"), "customers"), [4, 5]);
    assert_eq!(ids(&get(&server, "/customers.json?since_id=0&limit=1"), "customers"), [1]);
    let since = format!("/customers.json?since_id={}", FIRST_ASSIGNED_NUMBER + 4);
    assert_eq!(ids(&get(&server, &since), "customers"), [5]);

    let walk = |path: &str| {
        let (mut path, mut seen) = (Some(format!("/admin/api/2025-01{path}")), Vec::new());
        while let Some(next) = path {
            let page = get(&server, next.strip_prefix("/admin/api/2025-01").unwrap()).expect(200);
            seen.extend(ids(&page, "customers"));
            path = page.next();
            assert!(seen.len() < 10, "the pages don't end");
            assert!(
                path.as_ref()
                    .is_none_or(|path| path.contains("page_info=") && !path.contains(','))
            );
        }
        seen
    };
    assert_eq!(walk("/customers.json?limit=2"), [1, 2, 3, 4, 5]);
    assert_eq!(walk("/customers.json?limit=1&since_id=2"), [3, 4, 5]);
    assert_eq!(
        walk("/customers/search.json?limit=1&query=points:%3E20%20OR%20id:1"),
        [1, 3, 4, 5]
    );

    let some = get(&server, "/customers.json?fields=id,%20point_balance&limit=1").expect(200);
    assert_eq!(some.text(), r#"{"customers":[{"id":1,"point_balance":10}]}"#);
    assert_eq!(
        get(&server, "/customers/2.json?fields=id").expect(200).text(),
        r#"{"customer":{"id":2}}"#
    );
}

#[test]
fn searches_are_saved() {
    let server = TestServer::new();
    for number in 1..=3 {
        server.customer(&number.to_string(), number * 10);
    }
    let new = json!({"customer_saved_search": {"name": "Rich", "query": "points:>10"}});
    let created = send(&server, "POST", "/customer_saved_searches.json", &new).expect(201);
    let text = r#"{"customer_saved_search":{"id":1,"name":"Rich","query":"points:>10","created_at":"2026-03-01T12:00:00Z"}}"#;
    assert_eq!(created.text(), text);
    assert_eq!(get(&server, "/customer_saved_searches/1.json").expect(200).text(), text);
    let all = json!({"customer_saved_search": {"name": "All"}});
    send(&server, "POST", "/customer_saved_searches.json", &all).expect(201);
    assert_eq!(
        get(&server, "/customer_saved_searches/count.json").expect(200).text(),
        r#"{"count":2}"#
    );
    let page = get(&server, "/customer_saved_searches.json?limit=1").expect(200);
    assert_eq!(ids(&page, "customer_saved_searches"), [1]);
    let next = page.next().unwrap();
    let page = get(&server, next.strip_prefix("/admin/api/2025-01").unwrap()).expect(200);
    assert_eq!((ids(&page, "customer_saved_searches"), page.next()), (vec![2], None));
    assert_eq!(
        ids(
            &get(&server, "/customer_saved_searches.json?since_id=1"),
            "customer_saved_searches"
        ),
        [2]
    );
    let page = get(&server, "/customer_saved_searches/1/customers.json?limit=1").expect(200);
    assert_eq!(ids(&page, "customers"), [2]);
    let next = page.next().unwrap();
    assert_eq!(
        ids(&get(&server, next.strip_prefix("/admin/api/2025-01").unwrap()), "customers"),
        [3]
    );

    let duplicate = send(&server, "POST", "/customer_saved_searches.json", &new);
    duplicate.assert_problem(422, "saved_search_name_taken", "/customer_saved_search/name");
    assert!(duplicate.json()["errors"]["name"][0].is_string());
    let wrong = json!({"customer_saved_search": {"name": "x", "query": "orders_count:>1"}});
    let refused = send(&server, "POST", "/customer_saved_searches.json", &wrong);
    refused.assert_problem(422, "invalid_search", "/customer_saved_search/query");
    assert!(
        refused.json()["errors"]["query"][0]
            .as_str()
            .unwrap()
            .contains("orders_count")
    );
}

#[test]
fn products_are_read_and_counted() {
    let server = TestServer::new();
    let tea = r#"{"title":"Tea","price":"4.50","tags":["b","a"],"variants":[{"variant_id":"s"},{"variant_id":"808","price":"9"}]}"#;
    server.put("/v1/products/632910392", tea).expect(200);
    server.put("/v1/products/cup", r#"{"title":"Cup"}"#).expect(200);
    assert_eq!(
        get(&server, "/products/632910392.json").expect(200).text(),
        r#"{"product":{"id":632910392,"own_id":"632910392","title":"Tea","vendor":null,"product_type":null,"tags":"a, b","status":"active","categories":[],"price":"4.50","currency":"USD","variants":[{"id":4503599627370497,"own_id":"s","product_id":632910392,"title":null,"sku":null,"price":"4.50"},{"id":808,"own_id":"808","product_id":632910392,"title":null,"sku":null,"price":"9"}],"created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}}"#
    );
    assert_eq!(
        ids(&get(&server, "/products.json"), "products"),
        [632_910_392, FIRST_ASSIGNED_NUMBER + 2]
    );
    assert_eq!(
        ids(&get(&server, "/products.json?since_id=632910392"), "products"),
        [FIRST_ASSIGNED_NUMBER + 2]
    );
    assert_eq!(
        ids(
            &get(&server, &format!("/products.json?ids={},1", FIRST_ASSIGNED_NUMBER + 2)),
            "products"
        ),
        [FIRST_ASSIGNED_NUMBER + 2]
    );
    let page = get(&server, "/products.json?limit=1&fields=id").expect(200);
    assert_eq!(page.text(), r#"{"products":[{"id":632910392}]}"#);
    let next = page.next().unwrap();
    let page = get(&server, next.strip_prefix("/admin/api/2025-01").unwrap()).expect(200);
    assert_eq!((ids(&page, "products"), page.next()), (vec![FIRST_ASSIGNED_NUMBER + 2], None));
    assert_eq!(get(&server, "/products/count.json").expect(200).text(), r#"{"count":2}"#);
    assert_eq!(send(&server, "POST", "/products.json", &json!({"product": {}})).status, 405);
}

#[test]
fn unknown_ids_and_another_shops_ids_are_404() {
    let server = TestServer::new();
    server.customer("1", 0);
    server.put("/v1/products/1", r#"{"title":"Tea"}"#).expect(200);
    server
        .post("/v1/customer-saved-searches", r#"{"name":"All"}"#)
        .expect(201);
    let before = server.snapshot();
    for (path, code) in [
        ("/customers/{}.json", "customer_not_found"),
        ("/products/{}.json", "product_not_found"),
        ("/customer_saved_searches/{}.json", "saved_search_not_found"),
        ("/customer_saved_searches/{}/customers.json", "saved_search_not_found"),
    ] {
        for id in [
            "2",
            "0",
            "x",
            "01x",
            "-1",
            "9007199254740991",
            "9007199254740992",
            "99999999999999999999",
        ] {
            get(&server, &path.replace("{}", id)).assert_problem(404, code, "id");
        }
        let other = server
            .shopify("GET", &path.replace("{}", "1"))
            .header("x-shopify-access-token", &server.other);
        other.send().assert_problem(404, code, "id");
    }
    let other = |method: &str, path: &str| {
        server
            .shopify(method, path)
            .header("x-shopify-access-token", &server.other)
    };
    let account = format!("/customers/{}.json", FIRST_ASSIGNED_NUMBER + 1);
    other("GET", &account)
        .send()
        .assert_problem(404, "customer_not_found", "id");
    let put = other("PUT", &account)
        .body(r#"{"customer":{"first_name":"Eve"}}"#)
        .send();
    put.assert_problem(404, "customer_not_found", "id");
    assert_eq!(other("GET", "/customers.json?ids=1").send().text(), r#"{"customers":[]}"#);
    assert_eq!(other("GET", "/products.json?ids=1").send().text(), r#"{"products":[]}"#);
    assert_eq!(other("GET", "/customers/count.json").send().text(), r#"{"count":0}"#);
    assert_eq!(
        other("GET", "/customer_saved_searches.json").send().text(),
        r#"{"customer_saved_searches":[]}"#
    );
    assert_eq!(other("GET", "/customers.json?since_id=1").send().text(), r#"{"customers":[]}"#);
    assert_eq!(server.snapshot(), before);
}

#[test]
fn errors_are_listed_by_field_and_nothing_changes() {
    let server = TestServer::new();
    server
        .post("/v1/customers", r#"{"customer_id":"1","email":"one@example.com"}"#)
        .expect(201);
    send(
        &server,
        "POST",
        "/customers.json",
        &json!({"customer": {"email": "guest@example.com"}}),
    )
    .expect(201);
    let before = server.snapshot();
    let guest = format!("/customers/{}.json", FIRST_ASSIGNED_NUMBER + 2);
    let rows: [(&str, &str, &str, u16, &str, &str); 15] = [
        (
            "POST",
            "/customers.json",
            r#"{"customer":{"email":"one@example.com"}}"#,
            422,
            "customer_exists",
            "email",
        ),
        (
            "POST",
            "/customers.json",
            r#"{"customer":{"own_id":"1"}}"#,
            422,
            "customer_exists",
            "own_id",
        ),
        (
            "POST",
            "/customers.json",
            r#"{"customer":{"first_name":"Eve"}}"#,
            422,
            "missing_field",
            "email",
        ),
        (
            "POST",
            "/customers.json",
            r#"{"customer":{"email":"nobody"}}"#,
            422,
            "invalid_value",
            "email",
        ),
        (
            "POST",
            "/customers.json",
            r#"{"customer":{"email":"e@e.e","phone":"1"}}"#,
            400,
            "unknown_field",
            "phone",
        ),
        ("POST", "/customers.json", r#"{"email":"e@e.e"}"#, 400, "unknown_field", "email"),
        ("POST", "/customers.json", "{}", 400, "missing_field", "customer"),
        (
            "POST",
            "/customers.json",
            r#"{"customer":{"email":"e@e.e","addresses":[{"city":"Bonn"}]}}"#,
            400,
            "unknown_field",
            "city",
        ),
        (
            "POST",
            "/customers.json",
            r#"{"customer":{"email":"e@e.e","addresses":[{},{}]}}"#,
            422,
            "out_of_range",
            "addresses",
        ),
        (
            "PUT",
            "/customers/1.json",
            r#"{"customer":{"email":"guest@@"}}"#,
            422,
            "invalid_value",
            "email",
        ),
        (
            "PUT",
            "/customers/1.json",
            r#"{"customer":{"own_id":"2"}}"#,
            422,
            "invalid_value",
            "own_id",
        ),
        (
            "PUT",
            "/customers/1.json",
            r#"{"customer":{"tags":7}}"#,
            400,
            "wrong_type",
            "tags",
        ),
        (
            "PUT",
            &guest,
            r#"{"customer":{"email":"one@example.com"}}"#,
            422,
            "email_taken",
            "email",
        ),
        ("PUT", &guest, r#"{"customer":{"email":null}}"#, 422, "missing_field", "email"),
        (
            "PUT",
            "/customers/9.json",
            r#"{"customer":{}}"#,
            404,
            "customer_not_found",
            "id",
        ),
    ];
    for (method, path, body, status, code, field) in rows {
        let refused = server.shopify(method, path).body(body).send();
        assert_eq!(
            (refused.status, refused.problem().1.as_str()),
            (status, code),
            "{body}: {}",
            refused.text()
        );
        let errors = refused.json()["errors"].take();
        assert!(errors[field][0].is_string(), "{body}: {errors}");
        assert_eq!(errors.as_object().unwrap().len(), 1);
    }
    assert_eq!(server.snapshot(), before);
    for (path, param, status) in [
        ("/customers.json?limit=0", "limit", 422),
        ("/customers.json?page_info=x", "page_info", 422),
        ("/customers.json?created_at_min=yesterday", "created_at_min", 422),
        ("/products.json?updated_at_max=2026-02-30", "updated_at_max", 422),
        ("/customers.json?limit=1&limit=2", "limit", 400),
        ("/customers.json?ids=1,x", "ids", 422),
        ("/customers.json?ids=1&limit=0", "limit", 422),
        ("/products.json?ids=1&since_id=x", "since_id", 422),
        ("/products.json?since_id=x", "since_id", 422),
        ("/customers/search.json?query=%22", "query", 422),
    ] {
        let refused = get(&server, path);
        assert_eq!((refused.problem().0, refused.problem().2.as_str()), (status, param), "{path}");
    }
}

#[test]
fn keys_and_versions() {
    let server = TestServer::new();
    let list = |version: &str| {
        let request = server
            .request("GET", &format!("/admin/api/{version}/customers.json"))
            .key("");
        request.header("x-shopify-access-token", &server.key).send()
    };
    for version in ["2025-01", "1999-12", "unstable"] {
        list(version).expect(200);
    }
    for version in ["2025", "2025-1", "v1", "20x5-01"] {
        list(version).assert_problem(404, "not_found", "version");
    }
    let path = "/admin/api/2025-01/customers.json";
    let bearer = server.request("GET", path).send();
    bearer.assert_problem(401, "unauthorized", "");
    assert!(
        bearer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("X-Shopify-Access-Token")
    );
    server
        .request("GET", "/v1/customers")
        .key("")
        .header("x-shopify-access-token", &server.key)
        .send()
        .assert_problem(401, "unauthorized", "");
    // An idempotency key works here, too.
    let make = || {
        let request = server.shopify("POST", "/customers.json").idempotency_key("k");
        request.body(r#"{"customer":{"email":"a@b.c"}}"#).send().expect(201)
    };
    assert_eq!(make().text(), make().text());
    assert_eq!(get(&server, "/customers/count.json").text(), r#"{"count":1}"#);
}
