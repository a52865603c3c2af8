//! Channels and attributes of orders, lines and customers: sent, bounded, answered, and looked at
//! by conditions.

use serde_json::{Value, json};

use crate::support::TestServer;

fn order(members: &str, line: &str) -> String {
    format!(
        r#"{{"customer": {{"customer_id": "1"}}, "status": "paid", "total": "10"{members},
            "lines": [{{"quantity": 1, "amount": "10"{line}}}]}}"#
    )
}

/// Ten points for each condition.
const PROGRAM: &str = r#"{"earning": [
    {"id": "app", "earn": {"per_order": 10}, "when": {"channels": ["app"]}},
    {"id": "gift", "earn": {"per_order": 10}, "when": {"attributes": [{"of": "order", "name": "gift", "equals": true}]}},
    {"id": "red", "earn": {"per_item": 10}, "when": {"attributes": [{"of": "line", "name": "colour", "in": ["red", "blue"]}]}},
    {"id": "adult", "earn": {"per_order": 10}, "when": {"attributes": [{"of": "customer", "name": "age", "at_least": 18}]}},
    {"id": "sunday", "earn": {"per_order": 10}, "when": {"weekdays": ["sunday"], "hours": {"from": "13:00", "until": "13:01"}}},
    {"id": "first", "earn": {"per_order": 10}, "when": {"first_order": true, "maximum_spend": "10"}}
]}"#;

#[test]
fn conditions_look_at_what_was_sent() {
    for (members, line, customer, expected) in [
        // The shop is in Berlin, where it is Sunday, 13:00.
        ("", "", "{}", 20),
        (r#", "channel": "app""#, "", "{}", 30),
        (r#", "channel": "web""#, "", "{}", 20),
        (r#", "attributes": {"gift": true}"#, "", "{}", 30),
        (r#", "attributes": {"gift": "true"}"#, "", "{}", 20),
        (r#", "attributes": null, "channel": null"#, "", "{}", 20),
        ("", r#", "attributes": {"colour": "blue", "size": 42.5}"#, "{}", 30),
        ("", "", r#"{"age": 18}"#, 30),
        ("", "", r#"{"age": 17.9999}"#, 20),
    ] {
        let server = TestServer::new();
        server.put("/v1/program", PROGRAM).expect(201);
        let body = format!(r#"{{"customer_id": "1", "attributes": {customer}}}"#);
        server.post("/v1/customers", &body).expect(201);
        let order = order(members, line);
        let dry = format!(r#"{{"order": {order}, "customer_attributes": {customer}}}"#);
        let dry = server.post("/v1/program/dry-run", &dry).expect(200);
        assert_eq!(dry.json()["points"], json!(expected), "{order} of {customer}");
        server.put("/v1/orders/a", &order).expect(200);
        assert_eq!(server.balance("1"), expected, "{order} of {customer}");

        // A change of the customer changes nothing of the order.
        server
            .patch("/v1/customers/1", r#"{"attributes": {"age": 99}}"#)
            .expect(200);
        server
            .put("/v1/orders/a", order.replace("paid", "completed"))
            .expect(200);
        assert_eq!(server.balance("1"), expected, "{order} of {customer}");
    }
}

#[test]
fn a_customers_attributes_are_kept_replaced_and_cleared() {
    let server = TestServer::new();
    let body =
        r#"{"customer_id": "1", "attributes": {"age": 18.5, "staff": true, "language": "de"}}"#;
    let created = server.post("/v1/customers", body).expect(201).json();
    let all = json!({"age": 18.5, "language": "de", "staff": true});
    assert_eq!(created["attributes"], all);
    for (change, expected) in [
        (r#"{"first_name": "Ada"}"#, all),
        (r#"{"attributes": {"age": 19}}"#, json!({"age": 19})),
        (r#"{"attributes": null}"#, json!({})),
    ] {
        server.patch("/v1/customers/1", change).expect(200);
        let seen = server.get("/v1/customers/1").expect(200).json();
        assert_eq!(seen["attributes"], expected, "{change}");
    }

    // An order that brings its customer replaces them, as it does tags.
    let order = order("", "")
        .replace(r#""customer_id": "1""#, r#""customer_id": "1", "attributes": {"a": 1}"#);
    server.put("/v1/orders/a", &order).expect(200);
    let seen = server.get("/v1/customers/1").expect(200).json();
    assert_eq!(seen["attributes"], json!({"a": 1}));
}

#[test]
fn attributes_are_bounded() {
    let many = |count: usize| {
        let all: Vec<_> = (0..count).map(|index| format!(r#""a{index}": {index}"#)).collect();
        format!("{{{}}}", all.join(","))
    };
    let name = format!(r#"{{"{}": 1}}"#, "x".repeat(256));
    let text = format!(r#"{{"a": "{}"}}"#, "x".repeat(256));
    let server = TestServer::new();
    let cases = [
        (many(20), 200, "", ""),
        (many(21), 422, "invalid_value", "There can be at most 20 attributes."),
        (name, 422, "invalid_value", "Must be at most 255 bytes."),
        (text, 422, "invalid_value", "A text of an attribute has at most 255 bytes."),
        (r#"{"": 1}"#.to_owned(), 422, "invalid_value", "Must not be empty."),
        (
            r#"{"a": "\u0000"}"#.to_owned(),
            422,
            "invalid_value",
            "A text of an attribute has no control characters.",
        ),
        (
            r#"{"a": 0.00001}"#.to_owned(),
            422,
            "invalid_value",
            "A number of an attribute is at most 100,000,000,000 and has at most four decimals.",
        ),
        (
            r#"{"a": [1]}"#.to_owned(),
            400,
            "wrong_type",
            "This must be a string, a number or a boolean, not an array.",
        ),
        (
            r#"{"a": null}"#.to_owned(),
            400,
            "wrong_type",
            "This must be a string, a number or a boolean, not null.",
        ),
        (
            r#"{"a": 1, "a": 2}"#.to_owned(),
            400,
            "duplicate_field",
            "The field `a` is there twice.",
        ),
        ("[]".to_owned(), 400, "wrong_type", "This must be an object, not an array."),
    ];
    for (attributes, status, code, detail) in cases {
        let member = format!(r#", "attributes": {attributes}"#);
        for (place, body) in [("", order(&member, "")), ("/lines/0", order("", &member))] {
            let response = server.put("/v1/orders/a", &body).expect(status).json();
            if status != 200 {
                let pointer = response["param"].as_str().unwrap_or_default();
                assert!(pointer.starts_with(&format!("{place}/attributes")), "{response}");
                assert_eq!(
                    (&response["code"], &response["detail"]),
                    (&json!(code), &json!(detail))
                );
            }
        }
        let customer = format!(r#"{{"attributes": {attributes}}}"#);
        server.post("/v1/customers", r#"{"customer_id": "c"}"#);
        server.patch("/v1/customers/c", &customer).expect(status);
    }
}

#[test]
fn other_members_are_still_refused() {
    let server = TestServer::new();
    for (body, pointer) in [
        (order(r#", "attribute": {}"#, ""), "/attribute"),
        (order("", r#", "channel": "app""#), "/lines/0/channel"),
        (order(r#", "channel": 5"#, ""), "/channel"),
    ] {
        let problem: Value = server.put("/v1/orders/a", &body).expect(400).json().clone();
        assert_eq!(problem["param"], json!(pointer), "{body}");
    }
}
