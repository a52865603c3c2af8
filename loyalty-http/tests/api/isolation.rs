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
    world.put("/v1/program", r#"{"debt":"stop_at_zero"}"#).expect(201);
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
    let not_there: [(&str, &str, Option<&str>, &str); 23] = [
        ("GET", "/v1/customers/{id}", None, "customer_not_found"),
        ("PATCH", "/v1/customers/{id}", Some(r#"{"point_balance":9}"#), "customer_not_found"),
        ("GET", "/v1/customers/{id}/point-balance", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/point-balance?at=2026-01-01T00:00:00Z", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/ledger", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/tier", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/lots", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/lots?at=2026-01-01T00:00:00Z", None, "customer_not_found"),
        ("GET", "/v1/customers/{id}/referrals", None, "customer_not_found"),
        ("POST", "/v1/customers/{id}/referral-code", Some("{}"), "customer_not_found"),
        ("POST", "/v1/customers/{id}/referral", Some(r#"{"code":"X"}"#), "customer_not_found"),
        ("POST", "/v1/actions", Some(r#"{"customer_id":"{id}","action_id":"x"}"#), "customer_not_found"),
        ("POST", "/v1/points-add", Some(r#"{"customer_id":"{id}","points":5}"#), "customer_not_found"),
        ("POST", "/v1/points-subtract", Some(r#"{"customer_id":"{id}","points":5}"#), "customer_not_found"),
        ("POST", "/v1/points-add", Some(r#"{"email":"{id}a@b.c","points":5}"#), "customer_not_found"),
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
                Some("actions" | "customers" | "points-add" | "points-subtract") => customer,
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
    assert_eq!((world.balance("1"), text("/v1/customers/1/point-balance").contains(":0}")), (60, true));
    assert_eq!(world.get("/v1/orders/o").json()["points"]["taken_back"], 0);
    assert_eq!(world.store.verify().unwrap().differences, Vec::<String>::new());
}

#[test]
fn another_shops_rules_codes_and_checkouts_are_nobodys() {
    let world = World::new();
    let other = |method: &str, path: &str, body: Option<&str>| {
        let request = world.request(method, path).key(&world.other);
        match body {
            Some(body) => request.body(body).send(),
            None => request.send(),
        }
    };
    let ten = r#"{"title":"Ten","value":"-10"}"#;
    let one = |path: &str, body: &str, name: &str| {
        world.post(path, body).expect(201).json()[name].as_str().unwrap().to_owned()
    };
    let rule = one("/v1/price-rules", ten, "price_rule_id");
    let under = format!("/v1/price-rules/{rule}");
    let code = one(&format!("{under}/discount-codes"), r#"{"code":"TEN"}"#, "code_id");
    let batch = one(&format!("{under}/batch"), r#"{"discount_codes":[{"code":"A"}]}"#, "batch_id");
    let held = r#"{"codes":["TEN"],"until":"2026-03-01T12:30:00Z"}"#;
    world.post("/v1/checkouts/k/codes", held).expect(200);
    let before = world.state();
    let rules: [(&str, &str, &str, Option<&str>); 12] = [
        ("GET", "/v1/price-rules/{id}", "", None),
        ("PUT", "/v1/price-rules/{id}", "", Some(ten)),
        ("DELETE", "/v1/price-rules/{id}", "", None),
        ("GET", "/v1/price-rules/{id}/discount-codes", "", None),
        ("GET", "/v1/price-rules/{id}/discount-codes/count", "", None),
        ("POST", "/v1/price-rules/{id}/discount-codes", "", Some("{}")),
        ("GET", "/v1/price-rules/{id}/discount-codes/{id}", &code, None),
        ("PUT", "/v1/price-rules/{id}/discount-codes/{id}", &code, Some(r#"{"enabled":false}"#)),
        ("DELETE", "/v1/price-rules/{id}/discount-codes/{id}", &code, None),
        ("POST", "/v1/price-rules/{id}/batch", "", Some(r#"{"discount_codes":[{"code":"B"}]}"#)),
        ("GET", "/v1/price-rules/{id}/batch/{id}", &batch, None),
        ("GET", "/v1/price-rules/{id}/batch/{id}/discount-codes", &batch, None),
    ];
    for (method, path, second, body) in rules {
        let path = path.replacen("{id}", &rule, 1).replace("{id}", second);
        other(method, &path, body).refused(404, "price_rule_not_found", "price_rule_id");
    }
    other("GET", "/v1/discount-codes/lookup?code=TEN", None).refused(404, "code_not_found", "code");
    for (method, path, status) in
        [("GET", "/v1/checkouts/{id}/codes", 200), ("DELETE", "/v1/checkouts/{id}/codes", 200)]
    {
        let answer = other(method, &path.replace("{id}", "k"), None).expect(status);
        assert_eq!(answer.text(), r#"{"checkout_id":"k","reserved":[]}"#);
    }
    let (method, path, held) = ("POST", "/v1/checkouts/{id}/codes", Some(held));
    other(method, &path.replace("{id}", "k"), held).refused(422, "unknown_code", "/codes/0");
    assert_eq!(other("GET", "/v1/price-rules", None).expect(200).text(), r#"{"price_rules":[]}"#);
    assert_eq!(other("GET", "/v1/price-rules/count", None).expect(200).text(), r#"{"count":0}"#);
    assert_eq!(world.state(), before);
}

/// Nor can another shop see, use or cancel a redemption.
#[test]
fn another_shops_redemptions_are_nobodys() {
    let world = World::new();
    world.customer("1", 50);
    let program = r#"{"rewards":[{"id":"r","name":"R","cost":1,"gives":"custom"}]}"#;
    world.put("/v1/program", program).expect(201);
    let redeemed = world.post("/v1/redemptions", r#"{"customer_id":"1","reward_id":"r"}"#).expect(201).json();
    let redeemed = redeemed["redemption_id"].as_str().unwrap();
    let before = world.state();
    for (method, path, body, id, code) in [
        ("GET", "/v1/customers/{id}/rewards", None, "1", "customer_not_found"),
        ("GET", "/v1/customers/{id}/redemptions", None, "1", "customer_not_found"),
        ("GET", "/v1/redemptions/{id}", None, redeemed, "redemption_not_found"),
        ("POST", "/v1/redemptions/{id}/cancel", Some("{}"), redeemed, "redemption_not_found"),
        ("POST", "/v1/redemptions/{id}/use", Some("{}"), redeemed, "redemption_not_found"),
    ] {
        let ask = |id: &str| {
            let request = world.request(method, &path.replace("{id}", id)).key(&world.other);
            let answer = if let Some(body) = body { request.body(body).send() } else { request.send() };
            assert_eq!((answer.status, answer.problem().1.as_str()), (404, code), "{path}");
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("request_id");
            problem
        };
        assert_eq!(ask(id), ask("none"), "{path}");
    }
    let rewards = world.request("GET", "/v1/rewards").key(&world.other).send();
    assert_eq!(rewards.expect(200).text(), r#"{"rewards":[]}"#);
    assert_eq!(world.state(), before);
}

#[test]
fn every_route_with_an_id_is_tried_above() {
    let source = include_str!("isolation.rs");
    for route in ROUTES.iter().filter(|route| route.pattern.starts_with("/v1") && route.pattern.contains('{')) {
        let names = ["customer_id", "order_id", "product_id", "category_id", "saved_search_id"];
        let names =
            names.into_iter().chain(["price_rule_id", "code_id", "batch_id", "checkout_id", "redemption_id"]);
        let path = names.fold(route.pattern.to_owned(), |path, name| path.replace(name, "id"));
        let tried = format!("\"{}\", \"{path}\"", route.method);
        let tried_with_o = format!("\"{}\", \"{}\"", route.method, path.replace("{id}", "o"));
        assert!(source.contains(&tried) || source.contains(&tried_with_o), "{} {}", route.method, route.pattern);
    }
}
