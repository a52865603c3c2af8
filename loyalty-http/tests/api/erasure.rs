//! The erasure of a customer: what the export shows is gone, or is listed as kept.

use loyalty_store::Scope;
use loyalty_store::Store;
use loyalty_store::personal::{Fate, MEMBERS, fate_of};
use serde_json::{Value, json};

use crate::support::TestServer;

const PROGRAM: &str = r#"{
    "referrals": {"sent": 20, "received": 10},
    "tiers": [{"id": "gold", "name": "Gold", "threshold": "100"}],
    "rewards": [{"id": "five", "name": "$5 off", "cost": 20, "gives": {"fixed_amount": "5.00"}}]}"#;

/// Each leaf of a document with its path, without the places in lists.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let separator = if path.is_empty() { "" } else { "/" };
                leaves(member, &format!("{path}{separator}{name}"), found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, path, found)),
        leaf @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
            found.push((path.to_owned(), leaf.clone()));
        }
    }
}

fn export(server: &TestServer, customer: &str) -> Vec<(String, Value)> {
    let mut next = Some(format!("/v1/customers/{customer}/export"));
    let mut found = Vec::new();
    while let Some(path) = next {
        let part = server.get(&path).expect(200);
        next = part.next();
        leaves(&part.json(), "", &mut found);
    }
    found
}

fn finish(server: &TestServer) {
    let now = crate::support::time(crate::support::NOW);
    for erasure in server.store.unfinished_erasures().unwrap() {
        assert!(server.store.finish_erasure(&erasure, now).unwrap());
    }
}

fn set_up(server: &TestServer) {
    server.put("/v1/program", PROGRAM).expect(201);
    let profile = json!({"customer_id": "id-of-ada", "email": "ada@marks.example",
        "first_name": "Adamark", "last_name": "Lovemark", "birthday": "1990-12-10",
        "zip": "ZIP-10115", "country": "Markland", "tags": ["tagmark"],
        "attributes": {"language": "markish"}});
    server.post("/v1/customers", profile.to_string()).expect(201);
    server.customer("sender", 0);
    let code = server
        .post("/v1/customers/sender/referral-code", "{}")
        .expect(200)
        .json();
    let join = json!({"code": code["code"], "household": ["device-mark"]});
    server
        .post("/v1/customers/id-of-ada/referral", join.to_string())
        .expect(200);
    let order = json!({"customer": {"customer_id": "id-of-ada"}, "status": "paid", "total": "60",
        "attributes": {"note": "markdoor"},
        "lines": [{"line_id": "1", "product_id": "tea", "quantity": 1, "amount": "60",
            "attributes": {"engraving": "markring"}}]});
    server.put("/v1/orders/o1", order.to_string()).expect(200);
    server
        .post("/v1/orders/o1/refunds", r#"{"refund_id":"r1","amount":"5"}"#)
        .expect(200);
    let add = r#"{"customer_id":"id-of-ada","points":500,"reason":"markflu"}"#;
    server.post("/v1/points-add", add).expect(200);
    let redeem = r#"{"customer_id":"id-of-ada","reward_id":"five"}"#;
    server.post("/v1/redemptions", redeem).expect(201);
    let other = json!({"customer_id": "other-id-mark", "email": "other@marks.example",
        "zip": "ZIP-99999"});
    server.post("/v1/customers", other.to_string()).expect(201);
    let merge = r#"{"from":{"customer_id":"other-id-mark"}}"#;
    server.post("/v1/customers/id-of-ada/merge", merge).expect(200);
}

#[test]
fn what_an_export_shows_is_erased_or_listed_as_kept() {
    let server = TestServer::new();
    set_up(&server);
    let exported = export(&server, "id-of-ada");
    let unlisted: Vec<_> = exported.iter().filter(|(path, _)| fate_of(path).is_none()).collect();
    assert!(unlisted.is_empty(), "not in the list: {unlisted:?}");
    // Nothing in the list is there in vain.
    let is_shown = |member: &str| exported.iter().any(|(path, _)| path.starts_with(member));
    let erased = MEMBERS.iter().filter(|(_, fate)| *fate == Fate::Erased);
    let missing: Vec<_> = erased.filter(|(member, _)| !is_shown(member)).collect();
    // A redemption shows the address of a guest only.
    assert!(missing.iter().all(|(member, _)| *member == "redemptions/email"), "{missing:?}");

    let personal: Vec<String> = exported
        .iter()
        .filter(|(path, _)| fate_of(path) == Some(Fate::Erased))
        .filter_map(|(_, value)| value.as_str().map(str::to_owned))
        .collect();
    for mark in ["markdoor", "markring", "markflu", "device-mark", "Adamark", "other-id-mark"] {
        assert!(personal.iter().any(|value| value == mark), "{mark} is not personal");
    }
    server.post("/v1/customers/id-of-ada/erase", "").expect(200);
    finish(&server);
    let rows = server.store.journal(server.shop, 0, 10_000).unwrap();
    let orders = server.get("/v1/orders/o1").expect(200).text().to_owned();
    let rules = server.get("/v1/price-rules").expect(200).text().to_owned();
    let customers = server.get("/v1/customers").expect(200).text().to_owned();
    let left = format!("{rows:?} {orders} {rules} {customers}");
    for value in personal {
        assert!(!left.contains(&value), "{value} is left");
    }
    assert!(left.contains("tea"), "what is kept is there");
}

#[test]
fn an_erasure_is_told_by_a_receipt_that_names_nobody() {
    let server = TestServer::new();
    set_up(&server);
    let erase = || server.post("/v1/customers/id-of-ada/erase", "{}").expect(200);
    let tried = server
        .post("/v1/customers/id-of-ada/erase?dry_run=true", "{}")
        .expect(200);
    server.get("/v1/customers/id-of-ada").expect(200);
    let first = erase().json();
    assert_eq!(
        (&first["completed_at"], &first["redemptions_cancelled"]),
        (&Value::Null, &json!(1))
    );
    assert_eq!(first["points_removed"], tried.json()["points_removed"]);
    for path in ["/v1/customers/id-of-ada", "/v1/customers/other-id-mark"] {
        server
            .get(path)
            .assert_problem(404, "customer_not_found", "customer_id");
    }
    finish(&server);
    let second = erase().json();
    assert_eq!(second["erased_at"], first["erased_at"]);
    assert!(second["completed_at"].is_string(), "{second}");
    let text = format!("{first}{second}");
    for mark in ["ada", "mark", "ZIP"] {
        assert!(!text.contains(mark), "{text}");
    }
    server.post("/v1/customers/nobody/erase", "").assert_problem(
        404,
        "customer_not_found",
        "customer_id",
    );

    // A guest has only an address.
    let order = r#"{"customer":{"email":"guest@marks.example"},"status":"paid","total":"60","lines":[{"line_id":"1","quantity":1,"amount":"60"}]}"#;
    server.put("/v1/orders/g1", order).expect(200);
    let guest = r#"{"email":"guest@marks.example"}"#;
    server.post("/v1/customers/erase", guest).expect(200);
    server
        .post("/v1/customers/erase", r#"{"email":"nobody@marks.example"}"#)
        .assert_problem(404, "customer_not_found", "/email");
}

#[test]
fn the_response_to_a_request_is_erased_with_its_customer() {
    let server = TestServer::new();
    set_up(&server);
    let add = |key: &str, customer: &str| {
        let body = format!(r#"{{"customer_id":"{customer}","points":5}}"#);
        let request = server.request("POST", "/v1/points-add").body(body);
        request.header("idempotency-key", key).send()
    };
    add("k1", "id-of-ada").expect(200);
    let other = add("k2", "sender").expect(200).text().to_owned();
    server.post("/v1/customers/id-of-ada/erase", "").expect(200);
    finish(&server);
    add("k1", "id-of-ada").assert_problem(410, "customer_erased", "");
    assert_eq!(add("k2", "sender").expect(200).text(), other);
}

#[test]
fn only_an_administrator_erases() {
    let server = TestServer::new();
    server.customer("1", 5);
    let key = server.key_with(9, &[Scope::Read, Scope::Write]);
    let request = server.request("POST", "/v1/customers/1/erase").key(&key);
    assert_eq!(request.send().problem().0, 403);
    server.get("/v1/customers/1").expect(200);
}
