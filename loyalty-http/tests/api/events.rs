//! The outgoing events of a shop: which there are, their numbers, their pages.

use serde_json::{Value, json};

use crate::support::TestServer;

/// The events from a cursor on.
fn follow(server: &TestServer, cursor: Option<&str>) -> (Vec<Value>, Option<String>) {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let page = server
        .get(&format!("/v1/events?limit=250{cursor}"))
        .expect(200)
        .json();
    let next = page["next_cursor"].as_str().map(str::to_owned);
    (page["events"].as_array().unwrap().clone(), next)
}

/// Type, number, change and balance of each.
fn figures(events: &[Value]) -> Vec<(String, i64, i64, i64)> {
    let figure = |event: &Value, name: &str| event["data"][name].as_i64().unwrap_or(-1);
    events
        .iter()
        .map(|event| {
            let kind = event["type"].as_str().unwrap().to_owned();
            let (points, balance) = (figure(event, "points"), figure(event, "point_balance"));
            (kind, figure(event, "sequence"), points, balance)
        })
        .collect()
}

/// An order of 50.00 with the status `paid`.
const ORDER: &str = r#"{"customer": {"customer_id": "ada"}, "status": "paid", "total": "50.00",
    "lines": [{"line_id": "1", "quantity": 1, "amount": "50.00"}]}"#;

#[test]
fn a_shoppers_life_is_numbered_without_gaps() {
    let server = TestServer::new();
    server.customer("ada", 100);
    server.put("/v1/orders/1", ORDER).expect(200);
    server
        .patch("/v1/customers/ada", r#"{"first_name": "Ada"}"#)
        .expect(200);
    server
        .patch("/v1/customers/ada", r#"{"first_name": "Ada"}"#)
        .expect(200);
    server
        .post("/v1/orders/1/refunds", r#"{"refund_id": "r", "amount": "10.00"}"#)
        .expect(200);

    let (events, next) = follow(&server, None);
    let want = [
        ("customer.created", 1, 0, 0),
        ("points.adjusted", 2, 100, 100),
        ("points.earned", 3, 50, 150),
        ("customer.updated", 4, 0, 150),
        ("points.taken_back", 5, -10, 140),
    ];
    assert_eq!(figures(&events), want.map(|(kind, a, b, c)| (kind.to_owned(), a, b, c)));

    let earned = &events[2];
    assert_eq!(earned["timestamp"], "2026-03-01T12:00:00Z");
    assert_eq!(earned["data"]["customer_id"], "ada");
    assert_eq!(earned["data"]["order_id"], "1");
    assert_eq!(earned["data"]["account_id"], "1");
    let text = "The order earns 50 points: 50 by base (1 per unit of 50).";
    assert_eq!(earned["data"]["text"], text);
    let ledger = server.get("/v1/customers/ada/ledger").expect(200).json();
    assert_eq!(earned["data"]["entry_id"], ledger["entries"][1]["entry_id"]);
    assert!(!server.get("/v1/events").expect(200).text().contains("Ada"));

    // Nothing more, then the next one.
    let (rest, same) = follow(&server, next.as_deref());
    assert_eq!((rest, &same), (vec![], &next));
    server
        .post("/v1/points-subtract", r#"{"customer_id": "ada", "points": 40}"#)
        .expect(200);
    let (rest, _) = follow(&server, next.as_deref());
    assert_eq!(figures(&rest), [("points.adjusted".to_owned(), 6, -40, 100)]);
    server.snapshot();
}

#[test]
fn pages_of_any_size_have_each_event_once() {
    let server = TestServer::new();
    for id in ["ada", "bob", "eve"] {
        server.customer(id, 10);
    }
    let program = json!({"rewards": [
        {"id": "five", "name": "Five", "cost": 5, "gives": {"fixed_amount": "5.00"}}
    ]});
    server.put("/v1/program", program.to_string()).expect(201);
    for id in ["ada", "bob"] {
        let body = format!(r#"{{"customer_id": "{id}", "reward_id": "five"}}"#);
        server.post("/v1/redemptions", body).expect(201);
    }
    let (all, _) = follow(&server, None);
    // A redemption is two events of one entry.
    assert_eq!(all.len(), 3 * 2 + 1 + 2 * 2);
    assert!(all.iter().any(|event| event["type"] == "program.published"));
    let issued = all.iter().find(|event| event["type"] == "redemption.issued").unwrap();
    assert_eq!((&issued["data"]["points"], &issued["data"]["cost"]), (&json!(0), &json!(5)));

    for limit in 1..=all.len() {
        let (mut pages, mut path) = (Vec::new(), Some(format!("/v1/events?limit={limit}")));
        while let Some(next) = path {
            let page = server.get(&next).expect(200);
            pages.extend(page.json()["events"].as_array().unwrap().clone());
            path = page.next();
        }
        assert_eq!(pages, all, "{limit}");
    }
    let mut ids: Vec<_> = all.iter().map(|event| event["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len());
}

#[test]
fn events_are_of_one_shop() {
    let server = TestServer::new();
    server.customer("ada", 10);
    let answer = server
        .request("GET", "/v1/events")
        .key(&server.other)
        .send()
        .expect(200);
    assert_eq!(answer.json(), json!({"events": []}));
    server
        .get("/v1/events?cursor=abc")
        .assert_problem(422, "invalid_cursor", "cursor");
}
