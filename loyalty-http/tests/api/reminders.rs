//! Reminders: points that expire in a period.

use serde_json::{Value, json};

use crate::support::TestServer;

const LOTS: &str = r#"{"expiry": {"per_lot": {"after": "P1M"}}, "hold": "P7D",
    "actions": [{"id": "cake", "kind": "birthday", "points": 50}]}"#;

/// The customers and their expiring points.
fn reminders(server: &TestServer, query: &str) -> Vec<(Value, Vec<(Value, Value)>)> {
    let answer = server.get(&format!("/v1/reminders{query}")).expect(200).json();
    let ends = |reminder: &Value| {
        let ends = reminder["ends"].as_array().unwrap().iter();
        ends.map(|end| (end["points"].clone(), end["expires_at"].clone()))
            .collect()
    };
    let reminders = answer["reminders"].as_array().unwrap().iter();
    reminders
        .map(|reminder| (reminder["customer_id"].clone(), ends(reminder)))
        .collect()
}

fn one(id: &str, ends: &[(i64, &str)]) -> (Value, Vec<(Value, Value)>) {
    (json!(id), ends.iter().map(|(points, at)| (json!(points), json!(at))).collect())
}

#[test]
fn expiring_points_are_listed_with_their_instants() {
    let server = TestServer::new();
    server.put("/v1/program", LOTS).expect(201);
    server.customer("1", 40);
    server
        .post(
            "/v1/customers",
            r#"{"customer_id":"2","birthday":"1990-04-20","email":"b@c.d"}"#,
        )
        .expect(201);
    server.customer("none", 0);
    server.set_time("2026-03-10T12:00:00Z");
    server
        .post("/v1/points-add", r#"{"customer_id":"1","points":5}"#)
        .expect(200);
    server
        .post("/v1/points-subtract", r#"{"customer_id":"1","points":15}"#)
        .expect(200);
    let order = |id: &str, total: &str| {
        json!({"customer": {"customer_id": id}, "status": "paid",
               "lines": [{"quantity": 1, "amount": total}], "total": total})
        .to_string()
    };
    server.put("/v1/orders/a", order("2", "30")).expect(200);
    // In Berlin, daylight saving time begins on 29 March.
    let (first, second, pending) =
        ("2026-04-01T11:00:00Z", "2026-04-10T11:00:00Z", "2026-04-10T11:00:00Z");
    assert_eq!(
        reminders(&server, ""),
        [one("1", &[(25, first)])],
        "the next thirty days: up to 9 April"
    );
    assert_eq!(
        reminders(&server, "?until=2026-04-11T00:00:00Z"),
        [one("1", &[(25, first), (5, second)]), one("2", &[(30, pending)])]
    );
    // The period is half open, and pending points are included.
    assert_eq!(
        reminders(&server, &format!("?from={first}&until={second}")),
        [one("1", &[(25, first)])]
    );
    let cake = one("2", &[(50, "2026-05-19T22:00:00Z")]);
    assert_eq!(
        reminders(&server, "?from=2026-04-11T00:00:00Z&until=2026-06-01T00:00:00Z"),
        [cake]
    );
    // Expired points are not listed, whether or not the expiry is recorded.
    server.set_time("2026-04-05T00:00:00Z");
    let page = server
        .get("/v1/reminders?from=2026-01-01T00:00:00Z&until=2026-04-30T00:00:00Z")
        .expect(200)
        .json();
    assert_eq!(
        (&page["from"], &page["until"]),
        (&json!("2026-04-05T00:00:00Z"), &json!("2026-04-30T00:00:00Z"))
    );
    assert_eq!(
        page["reminders"][0],
        json!({"customer_id": "1", "email": null, "point_balance": 5,
               "ends": [{"points": 5, "expires_at": second}]})
    );
    assert_eq!(
        (&page["reminders"][1]["email"], &page["reminders"][2]),
        (&json!("b@c.d"), &Value::Null)
    );
    // Another shop sees nothing of it.
    let other = server
        .request("GET", "/v1/reminders?until=2027-01-01T00:00:00Z")
        .key(&server.other)
        .send();
    assert_eq!(other.expect(200).json()["reminders"], json!([]));
}

#[test]
fn a_balance_that_expires_by_inactivity_is_listed_once() {
    let server = TestServer::new();
    server
        .put("/v1/program", r#"{"expiry": {"inactivity": {"after": "P10D"}}}"#)
        .expect(201);
    server.customer("1", 40);
    let order = r#"{"customer":{"customer_id":"1"},"status":"paid","lines":[{"quantity":1,"amount":"10"}],"total":"10"}"#;
    server.put("/v1/orders/a", order).expect(200);
    assert_eq!(reminders(&server, ""), [one("1", &[(50, "2026-03-11T12:00:00Z")])]);
    // No reminders if points do not expire. The program in force then decides.
    server.put("/v1/program", "{}").expect(201);
    assert!(reminders(&server, "?until=2030-01-01T00:00:00Z").is_empty());
}

#[test]
fn pages_list_every_customer_once() {
    let server = TestServer::new();
    server.put("/v1/program", LOTS).expect(201);
    for number in 0..7 {
        server.customer(&number.to_string(), if number % 3 == 1 { 0 } else { 10 });
    }
    let (mut path, mut met, mut pages) =
        ("/v1/reminders?until=2026-05-01T00:00:00Z&limit=2".to_owned(), vec![], 0);
    loop {
        let page = server.get(&path).expect(200);
        let reminders = page.json()["reminders"].as_array().unwrap().clone();
        assert!(reminders.len() <= 2);
        met.extend(
            reminders
                .iter()
                .map(|reminder| reminder["customer_id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        match page.next() {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!((met.join(","), pages), ("0,2,3,5,6".to_owned(), 3));
    for (query, code, param) in [
        ("?from=soon", "invalid_value", "from"),
        (
            "?from=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z",
            "invalid_value",
            "until",
        ),
        ("?limit=0", "out_of_range", "limit"),
        ("?cursor=x", "invalid_cursor", "cursor"),
        ("?at=2026-03-02T00:00:00Z", "unknown_parameter", "at"),
    ] {
        let status = if code == "unknown_parameter" { 400 } else { 422 };
        server
            .get(&format!("/v1/reminders{query}"))
            .assert_problem(status, code, param);
    }
}
