//! No shop can reach the data of another: its ids look like unknown ids.
//!
//! Each operation of the document is sent with its example by a new, empty shop. The
//! responses are compared between three servers: one with a full shop, one whose full
//! shop has other ids, and one without other data. An operation without an example fails.

use loyalty_http::router::{Access, ROUTES};
use loyalty_store::Store;
use serde_json::Value;

use crate::conformance::{Operation, operations};
use crate::fixture::{Credentials, FixtureIds, populate, send_example};
use crate::support::{TestResponse, TestServer};

/// The seed of the first shop's key.
const OWNER_SEED: u8 = 1;

fn is_open(operation: Operation) -> bool {
    let is_it = |route: &&loyalty_http::router::Route| {
        route.pattern == operation.pattern
            && route.method.as_str().eq_ignore_ascii_case(operation.method)
    };
    ROUTES.iter().find(is_it).unwrap().access() == Access::Open
}

fn is_read(operation: Operation) -> bool {
    operation.method == "get"
}

/// Status and body, without the request id and what is drawn at random: a new key or secret.
fn comparable(answer: &TestResponse) -> (u16, Value) {
    let mut body = if answer.body.is_empty() { Value::Null } else { answer.json() };
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
        if answer.status == 201 {
            for drawn in ["key", "key_id", "secret"] {
                members.remove(drawn);
            }
        }
    }
    (answer.status, body)
}

/// The responses of all reads by the owner, but of the list of a store's messages: those with a
/// wrong signature stand there, whoever sent them.
fn snapshot(server: &TestServer, names: &FixtureIds) -> Vec<(&'static str, (u16, Value))> {
    let owner = Credentials::from_seed(OWNER_SEED);
    let readable = operations()
        .iter()
        .copied()
        .filter(|operation| is_read(*operation) && !is_open(*operation))
        .filter(|operation| operation.id() != "listStoreMessages");
    readable
        .map(|operation| {
            (
                operation.id(),
                comparable(&send_example(server, &owner, operation, names, false)),
            )
        })
        .collect()
}

/// True if the example needs another customer: a customer with orders can't be referred.
fn is_for_another(operation: Operation) -> bool {
    operation.id() == "joinByReferral"
}

#[test]
fn examples_work_in_their_own_shop() {
    // It asks a store, and none is there.
    let is_tried = |operation: &&Operation| operation.id() != "reconcileStore";
    for &operation in operations().iter().filter(is_tried) {
        let server = TestServer::new();
        let mut names = populate(&server, "");
        if is_for_another(operation) {
            names = names.with("customer_id", "8");
        }
        for all in [false, true] {
            if all && !is_read(operation) {
                continue;
            }
            let answer =
                send_example(&server, &Credentials::from_seed(OWNER_SEED), operation, &names, all);
            assert!(answer.status < 400, "{}: {}", operation.id(), answer.text());
        }
    }
}

#[test]
fn another_shop_looks_as_if_it_did_not_exist() {
    let (full, renamed, empty) = (TestServer::new(), TestServer::new(), TestServer::new());
    let names = populate(&full, "");
    populate(&renamed, "other-");
    let nobody = names.unknown();
    let before = snapshot(&full, &names);
    for (seed, operation) in
        (10..).zip(operations().iter().copied().filter(|operation| !is_open(*operation)))
    {
        let id = operation.id();
        let strangers = [&full, &renamed, &empty].map(|server| server.new_shop(seed));
        let [mut there, mut not_there, mut nowhere] = [Vec::new(), Vec::new(), Vec::new()];
        for all in [false, true] {
            there.push(comparable(&send_example(&full, &strangers[0], operation, &names, all)));
            not_there.push(comparable(&send_example(
                &renamed,
                &strangers[1],
                operation,
                &nobody,
                all,
            )));
            nowhere.push(comparable(&send_example(&empty, &strangers[2], operation, &nobody, all)));
        }
        assert_eq!(there, not_there, "{id} tells another shop's from nobody's");
        // Assigned numbers are global, so only reads can be compared with the empty
        // server.
        assert!(
            !is_read(operation) || there == without_shop(nowhere, &there),
            "{id} shows another shop's"
        );
        if !is_read(operation) {
            assert_eq!(snapshot(&full, &names), before, "{id} changed another shop");
        }
    }
    assert_eq!(full.store.verify().unwrap().differences, Vec::<String>::new());
}

/// The responses with the id of the calling shop replaced.
fn without_shop(mut answers: Vec<(u16, Value)>, like: &[(u16, Value)]) -> Vec<(u16, Value)> {
    for ((_, body), (_, like)) in answers.iter_mut().zip(like) {
        if body.get("shop_id").is_some() {
            body["shop_id"] = like["shop_id"].clone();
        }
    }
    answers
}

#[test]
fn both_shops_can_use_the_same_ids() {
    let server = TestServer::new();
    let names = populate(&server, "");
    let before = snapshot(&server, &names);
    let other = |method: &str, path: &str, body: &str| {
        server.request(method, path).key(&server.other).body(body).send()
    };
    // A cursor of one shop shows nothing of it to the other.
    let next = server.get("/v1/customers?limit=1").next().unwrap();
    let shown = server.request("GET", &next).key(&server.other).send().expect(200);
    assert_eq!(shown.text(), r#"{"customers":[]}"#);

    let order = r#"{"customer":{"customer_id":"42"},"status":"paid","lines":[{"quantity":1,"amount":"10"}],"total":"10"}"#;
    other("POST", "/v1/customers", r#"{"customer_id":"42","email":"ada@example.com"}"#).expect(201);
    other("POST", "/v1/orders/1001/refunds", r#"{"refund_id":"r","amount":"10"}"#).expect(200);
    other("PUT", "/v1/orders/1001", order).expect(200);
    other("PUT", "/v1/products/tea", r#"{"title":"Bean"}"#).expect(200);
    other("PUT", "/v1/categories/drinks", r#"{"name":"Beans"}"#).expect(200);
    assert_eq!(other("DELETE", "/v1/products/tea", "").status, 204);
    assert_eq!(snapshot(&server, &names), before);
    assert_eq!(server.store.verify().unwrap().differences, Vec::<String>::new());
}
