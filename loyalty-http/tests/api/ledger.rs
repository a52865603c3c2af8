//! The ledger: all entries, newest first, with the balance after each and its
//! explanation.

use serde_json::{Value, json};

use crate::support::TestServer;

fn entries(server: &TestServer, path: &str) -> Vec<Value> {
    server.get(path).expect(200).json()["entries"]
        .as_array()
        .unwrap()
        .clone()
}

/// A customer with every kind of entry.
fn server_with_events() -> TestServer {
    let server = TestServer::new();
    let program =
        r#"{"expiry":{"per_lot":{"after":"P30D"}},"tiers":[{"id":"gold","name":"Gold"}]}"#;
    server.put("/v1/program", program).expect(201);
    server.customer("1", 40);
    server.set_time("2026-03-02T12:00:00Z");
    let order = r#"{"customer":{"customer_id":"1"},"status":"paid","lines":[{"quantity":1,"amount":"60.50"}],"total":"60.50"}"#;
    server.put("/v1/orders/o1", order).expect(200);
    server
        .post("/v1/orders/o1/refunds", r#"{"refund_id":"r1","amount":"30.25"}"#)
        .expect(200);
    server
        .post(
            "/v1/points-subtract",
            r#"{"customer_id":"1","points":10,"reason":"mug","action_id":"buy"}"#,
        )
        .expect(200);
    server
        .patch("/v1/customers/1", r#"{"tier":"gold","tier_until":"2026-06-01T00:00:00Z"}"#)
        .expect(200);
    server.set_time("2026-04-10T00:00:00Z");
    server
        .post("/v1/points-add", r#"{"customer_id":"1","points":7}"#)
        .expect(200);
    server
}

#[test]
fn entries_explain_every_change() {
    let server = server_with_events();
    let entries = entries(&server, "/v1/customers/1/ledger");
    let brief: Vec<_> = entries
        .iter()
        .map(|entry| {
            let number = |name: &str| entry[name].as_i64().unwrap();
            (entry["kind"].as_str().unwrap(), number("points"), number("point_balance"))
        })
        .collect();
    assert_eq!(
        brief,
        [
            ("points_added", 7, 7),
            ("points_expired", -30, 0),
            ("points_expired", -30, 30),
            ("tier_set", 0, 60),
            ("points_subtracted", -10, 60),
            ("points_taken_back", -30, 70),
            ("points_awarded", 60, 100),
            ("points_added", 40, 40),
        ]
    );
    let ids: Vec<_> = entries
        .iter()
        .map(|entry| entry["entry_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["8-2", "8-1", "8-0", "7-0", "6-0", "5-1", "4-2", "3-0"]);
    assert_eq!(
        entries[4],
        json!({"entry_id": "6-0", "at": "2026-03-02T12:00:00Z", "recorded_at": "2026-03-02T12:00:00Z",
               "kind": "points_subtracted", "points": -10,
               "point_balance": 60, "action_id": "buy", "reason": "mug"})
    );
    assert_eq!(
        entries[5],
        json!({"entry_id": "5-1", "at": "2026-03-02T12:00:00Z", "recorded_at": "2026-03-02T12:00:00Z",
               "kind": "points_taken_back", "points": -30,
               "point_balance": 70, "order_id": "o1",
               "explanation": {
                   "program_version": 2, "standing": "entitled", "lines": [{"line_id": "1", "amount": "60.50"}],
                   "left": {"refunded": "30.25", "redeemed": "0", "total": "60.50"},
                   "rules": [{"rule_id": "base", "earn": {"per_unit": "1"}, "basis": "30.25", "points": "30.25"}],
                   "exact": "30.25", "rounding": "down", "points": 30,
                   "before": {"awarded": 60, "taken_back": 0, "expired": 0}},
               "text": "The order earns 30 points: 30.25 by base (1 per unit of 30.25), 30.25 rounded down. Of the total of 60.50, 30.25 was refunded. Before this, 60 points were awarded.",
               "statements": [
                   {"kind": "order_earns", "points": 30},
                   {"kind": "rule_earns", "rule": "base", "points": "30.25", "earn": {"per_unit": "1"}, "basis": "30.25"},
                   {"kind": "points_rounded", "exact": "30.25", "rounding": "down"},
                   {"kind": "part_refunded", "refunded": "30.25", "total": "60.50"},
                   {"kind": "posted_before", "awarded": 60, "taken_back": 0, "expired": 0, "forgiven": 0}]})
    );
    assert_eq!(entries[1]["expires_at"], "2026-04-01T11:00:00Z");
    assert_eq!(entries[7]["expires_at"], "2026-03-31T11:00:00Z");
    assert_eq!(entries[3]["tier_until"], "2026-06-01T00:00:00Z");
}

#[test]
fn entries_written_down_late_have_the_instant_at_which_they_were_due() {
    let server = TestServer::new();
    let program = r#"{
        "hold": "P10D", "expiry": {"per_lot": {"after": "P30D"}},
        "tiers": [{"id": "gold", "name": "Gold", "threshold": "50"}],
        "tiering": {"window": {"rolling": "P1M"}, "down": "to_qualified", "grace": "P5D"},
        "actions": [{"id": "birthday", "kind": "birthday", "points": 5}]
    }"#;
    server.put("/v1/program", program).expect(201);
    let customer = r#"{"customer_id":"1","birthday":"1990-04-20"}"#;
    server.post("/v1/customers", customer).expect(201);
    let order = r#"{"customer":{"customer_id":"1"},"status":"paid","lines":[{"quantity":1,"amount":"60"}],"total":"60"}"#;
    server.put("/v1/orders/o1", order).expect(200);

    server.set_time("2026-06-15T08:30:00Z");
    server
        .post("/v1/points-add", r#"{"customer_id":"1","points":7}"#)
        .expect(200);

    let (late, first) = ("2026-06-15T08:30:00Z", "2026-03-01T12:00:00Z");
    let instants: Vec<_> = entries(&server, "/v1/customers/1/ledger")
        .iter()
        .map(|entry| {
            ["kind", "at", "recorded_at"].map(|name| entry[name].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ["points_added", late, late],
        ["points_expired", "2026-05-19T22:00:00Z", late],
        ["birthday", "2026-04-19T22:00:00Z", late],
        ["tier_changed", "2026-04-06T11:00:00Z", late],
        ["tier_lapsed", "2026-04-01T11:00:00Z", late],
        ["points_expired", "2026-03-31T11:00:00Z", late],
        ["points_released", "2026-03-11T12:00:00Z", late],
        ["tier_changed", first, first],
        ["points_awarded", first, first],
    ];
    assert_eq!(instants, expected.map(|entry| entry.map(str::to_owned)));
}

#[test]
fn pages_of_any_size_give_the_same_entries() {
    let server = server_with_events();
    let whole = entries(&server, "/v1/customers/1/ledger");
    for limit in 1..=9 {
        let (mut path, mut seen) =
            (Some(format!("/v1/customers/1/ledger?limit={limit}")), Vec::new());
        while let Some(next) = path {
            let page = server.get(&next).expect(200);
            let on_it = page.json()["entries"].as_array().unwrap().clone();
            assert!((1..=limit).contains(&on_it.len()), "{next}");
            seen.extend(on_it);
            path = page.next();
        }
        assert_eq!(seen, whole, "{limit}");
    }
}

#[test]
fn order_facts_are_not_ledger_entries() {
    let server = TestServer::new();
    server.customer("1", 0);
    for number in 0..30 {
        let order = r#"{"customer":{"customer_id":"1"},"status":"processing","lines":[{"quantity":1,"amount":"5"}],"total":"5"}"#;
        server.put(&format!("/v1/orders/o{number}"), order).expect(200);
    }
    assert_eq!(entries(&server, "/v1/customers/1/ledger?limit=2"), Vec::<Value>::new());
    let paid = r#"{"status":"paid","lines":[{"quantity":1,"amount":"5"}],"total":"5"}"#;
    server.put("/v1/orders/o0", paid).expect(200);
    server.put("/v1/orders/o29", paid).expect(200);
    let page = server.get("/v1/customers/1/ledger?limit=1").expect(200);
    assert_eq!(page.json()["entries"][0]["order_id"], "o29");
    let page = server.get(&page.next().unwrap()).expect(200);
    assert_eq!(
        (page.json()["entries"][0]["order_id"].as_str(), page.next()),
        (Some("o0"), None)
    );
}

#[test]
fn a_merged_guest_is_one_entry() {
    let server = TestServer::new();
    server.post("/v1/customers", r#"{"email":"a@b.c"}"#).expect(201);
    server
        .post("/v1/points-add", r#"{"email":"a@b.c","points":70}"#)
        .expect(200);
    server.customer("1", 5);
    server.patch("/v1/customers/1", r#"{"email":"a@b.c"}"#).expect(200);
    let entries = entries(&server, "/v1/customers/1/ledger");
    assert_eq!(
        (&entries[0]["kind"], &entries[0]["points"]),
        (&json!("account_absorbed"), &json!(70))
    );
    assert_eq!(entries[0]["point_balance"], json!(75));
    assert_eq!(entries.len(), 2);
}

#[test]
fn forgiven_points_are_reported() {
    let server = TestServer::new();
    server.put("/v1/program", r#"{"debt":"stop_at_zero"}"#).expect(201);
    let order = r#"{"customer":{"customer_id":"1"},"status":"paid","lines":[{"quantity":1,"amount":"50"}],"total":"50"}"#;
    server.put("/v1/orders/o1", order).expect(200);
    server
        .post("/v1/points-subtract", r#"{"customer_id":"1","points":45}"#)
        .expect(200);
    server.put("/v1/orders/o1", r#"{"status":"cancelled"}"#).expect(200);
    let entries = entries(&server, "/v1/customers/1/ledger");
    assert_eq!((&entries[0]["points"], &entries[0]["forgiven"]), (&json!(-5), &json!(45)));
    assert_eq!(entries[0]["point_balance"], json!(0));
}

#[test]
fn expired_points_are_reported_and_not_clawed_back() {
    let server = TestServer::new();
    let order = r#"{"customer":{"customer_id":"1"},"status":"paid","lines":[{"quantity":1,"amount":"100"}],"total":"100"}"#;
    server.put("/v1/orders/a", order).expect(200);
    server
        .put("/v1/program", r#"{"expiry": {"inactivity": {"after": "P1M"}}}"#)
        .expect(201);
    server.set_time("2026-05-01T00:00:00Z");
    server
        .post("/v1/orders/a/refunds", r#"{"refund_id":"r","amount":"30"}"#)
        .expect(200);
    assert_eq!(server.balance("1"), 0);
    let entries =
        server.get("/v1/customers/1/ledger?limit=2").expect(200).json()["entries"].clone();
    let seen = |entry: usize| (entries[entry]["kind"].clone(), entries[entry]["points"].clone());
    assert_eq!(seen(0), (json!("points_taken_back"), json!(0)));
    assert_eq!((&entries[0]["expired"], &entries[0]["forgiven"]), (&json!(30), &Value::Null));
    assert_eq!(seen(1), (json!("points_expired"), json!(-100)));
}

/// The ids of all entries of a filtered ledger, page by page.
fn pages(server: &TestServer, query: &str) -> Vec<Vec<String>> {
    let mut next = Some(format!("/v1/customers/1/ledger?{query}"));
    let mut pages = Vec::new();
    while let Some(path) = next {
        let page = server.get(&path).expect(200);
        next = page.next();
        let entries = page.json()["entries"].as_array().unwrap().clone();
        pages.push(
            entries
                .iter()
                .map(|entry| entry["entry_id"].as_str().unwrap().to_owned())
                .collect(),
        );
        assert!(pages.len() < 100, "{query}");
    }
    pages
}

#[test]
fn entries_are_found_by_kind_and_time() {
    let server = server_with_events();
    let of = |query: &str| pages(&server, query).concat();
    assert_eq!(of("kind=points_expired"), ["8-1", "8-0"]);
    assert_eq!(of("kind=points_expired&limit=1"), ["8-1", "8-0"]);
    assert_eq!(of("kind=birthday"), Vec::<String>::new());
    assert_eq!(of("recorded_from=2026-03-02T12:00:01Z"), ["8-2", "8-1", "8-0"]);
    assert_eq!(of("recorded_until=2026-03-02T12:00:00Z"), ["3-0"]);
    let day = "recorded_from=2026-03-02T12:00:00Z&recorded_until=2026-03-03T00:00:00Z";
    assert_eq!(of(day), ["7-0", "6-0", "5-1", "4-2"]);
    assert_eq!(of(&format!("{day}&kind=points_awarded&limit=1")), ["4-2"]);

    let list = |query: &str| server.get(&format!("/v1/customers/1/ledger?{query}"));
    list("kind=gift").assert_problem(422, "invalid_value", "kind");
    list("recorded_from=yesterday").assert_problem(422, "invalid_value", "recorded_from");
}

/// A page passes a bounded number of rows, also where none is of the kind.
#[test]
fn a_rare_kind_is_found_in_bounded_pages() {
    let server = TestServer::new();
    server.customer("1", 1);
    let subtract = r#"{"customer_id":"1","points":1}"#;
    server.post("/v1/points-subtract", subtract).expect(200);
    for number in 0..150 {
        let add = json!({"customer_id": "1", "points": 1, "reason": number.to_string()});
        server.post("/v1/points-add", add.to_string()).expect(200);
    }
    let found = pages(&server, "kind=points_subtracted&limit=5");
    assert_eq!(found.concat().len(), 1);
    assert!(found.len() >= 3, "{} pages", found.len());
    assert!(found[0].is_empty());

    // All entries, whether pages end by their limit or by the rows.
    let all = pages(&server, "limit=250").concat();
    assert_eq!(all.len(), 152);
    for limit in [7, 60, 61] {
        assert_eq!(pages(&server, &format!("limit={limit}")).concat(), all, "{limit}");
    }
}
