//! Nothing of one shop is reachable from another: its ids answer like ids that nobody has.

use loyalty_http::router::ROUTES;
use loyalty_store::Store;

use crate::support::World;

#[test]
fn another_shops_ids_are_nobodys() {
    let world = World::new();
    world.customer("1", 50);
    world.post("/v1/customers", r#"{"customer_id":"2","email":"a@b.c","first_name":"Ada"}"#).expect(201);
    let order =
        r#"{"customer":{"customer_id":"1"},"status":"paid","lines":[{"quantity":1,"amount":"10"}],"total":"10"}"#;
    world.put("/v1/orders/o", order).expect(200);
    let program = r#"{"debt":"stop_at_zero","rewards":[{"id":"r","name":"R","cost":1,"gives":"custom"}]}"#;
    world.put("/v1/program", program).expect(201);
    let redeemed = world.post("/v1/redemptions", r#"{"customer_id":"1","reward_id":"r"}"#).expect(201).json();
    let redeemed = redeemed["redemption_id"].as_str().unwrap().to_owned();
    world.put("/v1/products/o", r#"{"title":"Tea","variants":[{"variant_id":"s"}]}"#).expect(200);
    world.put("/v1/categories/o", r#"{"name":"Tea"}"#).expect(200);
    let saved = world.post("/v1/customer-saved-searches", r#"{"name":"Ada","query":"ada"}"#).expect(201).json();
    let saved = saved["saved_search_id"].as_str().unwrap().to_owned();
    let before = world.state();

    let other = |method: &str, path: &str, body: Option<&str>| {
        let request = world.request(method, path).key(&world.other);
        match body {
            Some(body) => request.body(body).send(),
            None => request.send(),
        }
    };
    let not_there: [(&str, &str, Option<&str>, &str); 21] = [
        ("GET", "/v1/customers/{id}", None, "customer_not_found"),
        ("PATCH", "/v1/customers/{id}", Some(r#"{"point_balance":9}"#), "customer_not_found"),
        ("GET", "/v1/customers/{id}/point-balance", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/point-balance?at=2026-01-01T00:00:00Z", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/ledger", None, "customer_not_found"),
        ("POST", "/v1/points-add", Some(r#"{"customer_id":"{id}","points":5}"#), "customer_not_found"),
        ("POST", "/v1/points-subtract", Some(r#"{"customer_id":"{id}","points":5}"#), "customer_not_found"),
        ("POST", "/v1/points-add", Some(r#"{"email":"{id}a@b.c","points":5}"#), "customer_not_found"),
        ("GET", "/v1/customers/{id}/rewards", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/redemptions", None, "customer_not_found"),
        ("GET", "/v1/redemptions/{id}", None, "redemption_not_found"),
        ("POST", "/v1/redemptions/{id}/cancel", Some("{}"), "redemption_not_found"),
        ("POST", "/v1/redemptions/{id}/use", Some("{}"), "redemption_not_found"),
        ("GET", "/v1/orders/{id}", None, "order_not_found"),
        ("GET", "/v1/products/{id}", None, "product_not_found"),
        ("DELETE", "/v1/products/{id}", None, "product_not_found"),
        ("GET", "/v1/categories/{id}", None, "category_not_found"),
        ("DELETE", "/v1/categories/{id}", None, "category_not_found"),
        ("GET", "/v1/customer-saved-searches/{id}", None, "saved_search_not_found"),
        ("GET", "/v1/customer-saved-searches/{id}/customers", None, "saved_search_not_found"),
        ("DELETE", "/v1/customer-saved-searches/{id}", None, "saved_search_not_found"),
    ];
    for (method, path, body, code) in not_there {
        let ask = |customer: &str, order: &str, email: &str| {
            let id = match path.split('/').nth(2) {
                Some("customer-saved-searches") if customer == "1" => saved.as_str(),
                Some("redemptions") if customer == "1" => redeemed.as_str(),
                Some("customers" | "points-add" | "points-subtract") => customer,
                _ => order,
            };
            let body = body.map(|body| body.replace("{id}a@b.c", email).replace("{id}", id));
            let answer = other(method, &path.replace("{id}", id), body.as_deref());
            assert_eq!((answer.status, answer.problem().1.as_str()), (404, code), "{path}");
            // All but the request's own id.
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("request_id");
            problem
        };
        assert_eq!(ask("1", "o", "a@b.c"), ask("none", "none", "none@b.c"), "{path}");
    }
    let text = |path: &str| other("GET", path, None).expect(200).text().to_owned();
    assert_eq!(text("/v1/customers"), r#"{"customers":[]}"#);
    assert_eq!(text("/v1/customers?email=a%40b.c"), r#"{"customers":[]}"#);
    assert_eq!(text("/v1/customers/search?query=ada"), r#"{"customers":[]}"#);
    assert_eq!(text("/v1/customers/count"), r#"{"count":0}"#);
    assert_eq!(text("/v1/customers/point-balance?customer_ids=1,2"), r#"{"balances":[],"unknown":["1","2"]}"#);
    assert_eq!(text("/v1/products"), r#"{"products":[]}"#);
    assert_eq!(text("/v1/products/count"), r#"{"count":0}"#);
    assert_eq!(text("/v1/categories"), r#"{"categories":[]}"#);
    assert_eq!(text("/v1/categories/count"), r#"{"count":0}"#);
    assert_eq!(text("/v1/customer-saved-searches"), r#"{"customer_saved_searches":[]}"#);
    assert_eq!(text("/v1/customer-saved-searches/count"), r#"{"count":0}"#);
    assert!(text("/v1/program").contains(r#""debt":"allow""#));
    assert!(text("/v1/key").contains(r#""shop":"Coffee""#));
    // A cursor of the one shop shows nothing of it to the other.
    let next = world.get("/v1/customers?limit=1").next().unwrap();
    assert_eq!(text(&next), r#"{"customers":[]}"#);
    assert_eq!(world.state(), before);

    // The same ids are there for both, each with its own.
    other("POST", "/v1/customers", Some(r#"{"customer_id":"1","email":"a@b.c"}"#)).expect(201);
    other("POST", "/v1/orders/o/refunds", Some(r#"{"refund_id":"r","amount":"10"}"#)).expect(200);
    other("PUT", "/v1/orders/o", Some(order)).expect(200);
    other("PUT", "/v1/products/o", Some(r#"{"title":"Bean"}"#)).expect(200);
    other("PUT", "/v1/categories/o", Some(r#"{"name":"Beans"}"#)).expect(200);
    assert_eq!(world.get("/v1/products/o").json()["title"], "Tea");
    assert_eq!(world.get("/v1/categories/o").json()["name"], "Tea");
    assert_eq!((world.balance("1"), text("/v1/customers/1/point-balance").contains(":0}")), (59, true));
    assert_eq!(world.get("/v1/orders/o").json()["points"]["taken_back"], 0);
    assert_eq!(world.store.verify().unwrap().differences, Vec::<String>::new());
}

#[test]
fn every_route_with_an_id_is_tried_above() {
    let source = include_str!("isolation.rs");
    for route in ROUTES.iter().filter(|route| route.pattern.starts_with("/v1") && route.pattern.contains('{')) {
        let names = ["customer_id", "order_id", "product_id", "category_id", "saved_search_id", "redemption_id"];
        let path = names.iter().fold(route.pattern.to_owned(), |path, name| path.replace(name, "id"));
        let tried = format!("\"{}\", \"{path}\"", route.method);
        let tried_with_o = format!("\"{}\", \"{}\"", route.method, path.replace("{id}", "o"));
        assert!(source.contains(&tried) || source.contains(&tried_with_o), "{} {}", route.method, route.pattern);
    }
}
