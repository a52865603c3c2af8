//! Nothing of one shop is reachable from another: its ids answer like ids that nobody has.
//!
//! Every operation of the document is asked for, with its example, as another shop that has nothing yet: of what
//! a full shop has, beside a shop whose things have other names, and where there is nothing at all. An operation
//! without an example cannot be asked for, and fails.

use loyalty_http::router::{Access, ROUTES};
use loyalty_store::Store;
use serde_json::Value;

use crate::conformance::{Operation, operations};
use crate::fixture::{Credentials, FixtureIds, populate, send_example};
use crate::support::{TestResponse, TestServer};

/// The first key of each world's first shop is made of this byte.
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

/// Status and body, but for the request's own id.
fn comparable(answer: &TestResponse) -> (u16, Value) {
    let mut body = if answer.body.is_empty() { Value::Null } else { answer.json() };
    body.as_object_mut().map(|members| members.remove("request_id"));
    (answer.status, body)
}

/// All that the owner can read.
fn snapshot(world: &TestServer, names: &FixtureIds) -> Vec<(&'static str, (u16, Value))> {
    let owner = Credentials::from_seed(OWNER_SEED);
    let readable = operations()
        .iter()
        .copied()
        .filter(|operation| is_read(*operation) && !is_open(*operation));
    readable
        .map(|operation| {
            (
                operation.id(),
                comparable(&send_example(world, &owner, operation, names, false)),
            )
        })
        .collect()
}

/// Whom an example is about that the first customer cannot be: who has ordered is brought by nobody.
fn is_for_another(operation: Operation) -> bool {
    operation.id() == "joinByReferral"
}

#[test]
fn examples_work_in_their_own_shop() {
    for &operation in operations() {
        let world = TestServer::new();
        let mut names = populate(&world, "");
        if is_for_another(operation) {
            names = names.with("customer_id", "8");
        }
        for all in [false, true] {
            if all && !is_read(operation) {
                continue;
            }
            let answer =
                send_example(&world, &Credentials::from_seed(OWNER_SEED), operation, &names, all);
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
        let strangers = [&full, &renamed, &empty].map(|world| world.new_shop(seed));
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
        // Numbers that are given count for all shops, so only reads can be compared with nothing at all.
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

/// The answers without what is the asking shop's own.
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
    let world = TestServer::new();
    let names = populate(&world, "");
    let before = snapshot(&world, &names);
    let other = |method: &str, path: &str, body: &str| {
        world.request(method, path).key(&world.other).body(body).send()
    };
    // A cursor of the one shop shows nothing of it to the other.
    let next = world.get("/v1/customers?limit=1").next().unwrap();
    let shown = world.request("GET", &next).key(&world.other).send().expect(200);
    assert_eq!(shown.text(), r#"{"customers":[]}"#);

    let order = r#"{"customer":{"customer_id":"42"},"status":"paid","lines":[{"quantity":1,"amount":"10"}],"total":"10"}"#;
    other("POST", "/v1/customers", r#"{"customer_id":"42","email":"ada@example.com"}"#).expect(201);
    other("POST", "/v1/orders/1001/refunds", r#"{"refund_id":"r","amount":"10"}"#).expect(200);
    other("PUT", "/v1/orders/1001", order).expect(200);
    other("PUT", "/v1/products/tea", r#"{"title":"Bean"}"#).expect(200);
    other("PUT", "/v1/categories/drinks", r#"{"name":"Beans"}"#).expect(200);
    assert_eq!(other("DELETE", "/v1/products/tea", "").status, 204);
    assert_eq!(snapshot(&world, &names), before);
    assert_eq!(world.store.verify().unwrap().differences, Vec::<String>::new());
}
