//! Lists of orders and redemptions: filters, directions, pages, and what a wrong filter gets.

use serde_json::Value;

use crate::support::TestServer;

/// Orders o1 to o5, a minute apart: o2 is cancelled and o4 completed at last.
fn server() -> TestServer {
    let server = TestServer::new();
    for number in 1..=5 {
        server.set_time(&format!("2026-03-02T12:0{number}:00Z"));
        put_order(&server, number, "paid");
    }
    server.set_time("2026-03-03T12:00:00Z");
    put_order(&server, 4, "completed");
    server.set_time("2026-03-03T12:01:00Z");
    server.put("/v1/orders/o2", r#"{"status":"cancelled"}"#).expect(200);
    server
}

fn put_order(server: &TestServer, number: u32, status: &str) {
    let customer = if number == 3 { "2" } else { "1" };
    let body = format!(
        r#"{{"customer":{{"customer_id":"{customer}"}},"status":"{status}",
            "lines":[{{"quantity":1,"amount":"60.50"}}],"total":"60.50"}}"#
    );
    server.put(&format!("/v1/orders/o{number}"), body).expect(200);
}

/// The ids of all items of a list, page by page.
fn listed(server: &TestServer, path: &str, list: &str, id: &str) -> Vec<String> {
    let (mut all, mut path) = (Vec::new(), path.to_owned());
    loop {
        let page = server.get(&path).expect(200);
        let items = page.json()[list].as_array().unwrap().clone();
        all.extend(items.iter().map(|item| item[id].as_str().unwrap().to_owned()));
        let Some(link) = page.header("link") else { return all };
        link.split(['<', '>']).nth(1).unwrap().clone_into(&mut path);
    }
}

fn orders(server: &TestServer, query: &str) -> Vec<String> {
    listed(server, &format!("/v1/orders?limit=2&{query}"), "orders", "order_id")
}

#[test]
fn orders_are_listed_by_status_and_last_change() {
    let server = server();
    assert_eq!(orders(&server, ""), ["o2", "o4", "o5", "o3", "o1"]);
    assert_eq!(orders(&server, "sort=oldest"), ["o1", "o3", "o5", "o4", "o2"]);
    assert_eq!(orders(&server, "status=paid"), ["o5", "o3", "o1"]);
    assert_eq!(orders(&server, "status=cancelled"), ["o2"]);
    assert_eq!(orders(&server, "status=fulfilled"), Vec::<String>::new());
    let since = "updated_since=2026-03-02T12:05:00Z";
    assert_eq!(orders(&server, since), ["o2", "o4", "o5"]);
    assert_eq!(orders(&server, &format!("{since}&sort=oldest&status=completed")), ["o4"]);

    let first = server.get("/v1/orders?sort=oldest&limit=1").expect(200).json();
    let order = &first["orders"][0];
    let expected = serde_json::json!({
        "order_id": "o1", "status": "paid", "customer_id": "1", "total": "60.50", "refunds": 0,
        "points": order["points"], "updated_at": "2026-03-02T12:01:00Z",
    });
    assert_eq!(*order, expected);
    assert_eq!(order["points"]["awarded"], 60);
}

#[test]
fn a_customers_orders_are_listed() {
    let server = server();
    let of = |customer: &str| {
        let path = format!("/v1/customers/{customer}/orders?limit=3");
        listed(&server, &path, "orders", "order_id")
    };
    assert_eq!(of("1"), ["o2", "o4", "o5", "o1"]);
    assert_eq!(of("2"), ["o3"]);
    server
        .get("/v1/customers/9/orders")
        .assert_problem(404, "customer_not_found", "customer_id");
}

#[test]
fn redemptions_are_listed_by_status() {
    let server = TestServer::new();
    let program = r#"{"rewards": [{"id": "five", "name": "$5 off", "cost": 5,
        "gives": {"fixed_amount": "5.00"}, "valid_for": "P30D"}]}"#;
    server.put("/v1/program", program).expect(201);
    server.customer("1", 100);
    let issue = || {
        let body = r#"{"customer_id": "1", "reward_id": "five"}"#;
        let issued = server.post("/v1/redemptions", body).expect(201).json();
        issued["redemption_id"].as_str().unwrap().to_owned()
    };
    let ids: Vec<_> = (0..4).map(|_| issue()).collect();
    server
        .post(&format!("/v1/redemptions/{}/cancel", ids[2]), "")
        .expect(200);

    let of = |query: &str| {
        let path = format!("/v1/redemptions?limit=2&{query}");
        listed(&server, &path, "redemptions", "redemption_id")
    };
    let mut newest = ids.clone();
    newest.reverse();
    assert_eq!(of(""), newest);
    assert_eq!(of("status=cancelled"), [ids[2].clone()]);
    assert_eq!(of("status=issued"), [ids[3].clone(), ids[1].clone(), ids[0].clone()]);
    assert_eq!(of("status=expired"), Vec::<String>::new());
}

#[test]
fn wrong_filters_are_named() {
    let server = TestServer::new();
    for (path, code, param) in [
        ("/v1/orders?status=sold", "invalid_value", "status"),
        ("/v1/orders?status=issued", "invalid_value", "status"),
        ("/v1/orders?sort=up", "invalid_value", "sort"),
        ("/v1/orders?updated_since=yesterday", "invalid_value", "updated_since"),
        ("/v1/orders?cursor=eDE", "invalid_cursor", "cursor"),
        ("/v1/orders?limit=0", "out_of_range", "limit"),
        ("/v1/redemptions?status=paid", "invalid_value", "status"),
    ] {
        server.get(path).assert_problem(422, code, param);
    }
}

#[test]
fn a_cursor_is_of_one_list() {
    let server = server();
    let page = server.get("/v1/orders?limit=1").expect(200);
    let link = page.header("link").unwrap().to_owned();
    let cursor = link.split(['=', '>']).rfind(|part| part.len() > 10).unwrap();
    let cursor = cursor.split(';').next().unwrap();
    server
        .get(&format!("/v1/redemptions?cursor={cursor}"))
        .assert_problem(422, "invalid_cursor", "cursor");
    let _: Value = server.get(&format!("/v1/orders?cursor={cursor}")).expect(200).json();
}
