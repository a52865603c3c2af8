//! The export of one customer: everything of theirs, in parts that fit together.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::TestServer;

const PROGRAM: &str = r#"{
    "referrals": {"sent": 20, "received": 10},
    "tiers": [{"id": "gold", "name": "Gold", "threshold": "100"}],
    "rewards": [{"id": "five", "name": "$5 off", "cost": 20, "gives": {"fixed_amount": "5.00"}}]}"#;

/// Follows an export to its end. Returns its parts.
fn export(server: &TestServer, customer: &str) -> Vec<Value> {
    let mut next = Some(format!("/v1/customers/{customer}/export"));
    let mut parts = Vec::new();
    while let Some(path) = next {
        let part = server.get(&path).expect(200);
        next = part.next();
        parts.push(part.json());
        assert!(parts.len() < 50, "the export does not end");
    }
    parts
}

/// The values of a member in the items of a list, over all parts.
fn texts(parts: &[Value], list: &str, member: &str) -> Vec<String> {
    let items = parts.iter().flat_map(|part| part[list].as_array().unwrap());
    items.map(|item| item.pointer(member).unwrap().to_string()).collect()
}

fn order(server: &TestServer, id: &str, customer: &Value) {
    let body = json!({"customer": customer, "status": "paid", "total": "60",
        "lines": [{"line_id": "1", "product_id": "tea", "quantity": 1, "amount": "60"}]});
    server.put(&format!("/v1/orders/{id}"), body.to_string()).expect(200);
}

#[test]
fn an_export_has_all_of_a_customer() {
    let server = TestServer::new();
    server.put("/v1/program", PROGRAM).expect(201);
    server.customer("sender", 0);
    let code = server
        .post("/v1/customers/sender/referral-code", "{}")
        .expect(200)
        .json();
    let customer = json!({"customer_id": "42", "email": "ada@example.com", "first_name": "Ada",
        "last_name": "Lovelace", "birthday": "1990-12-10", "zip": "10115", "country": "DE",
        "tags": ["vip"], "attributes": {"language": "en"}});
    server.post("/v1/customers", customer.to_string()).expect(201);
    let join = json!({"code": code["code"], "household": ["device-1"]});
    server.post("/v1/customers/42/referral", join.to_string()).expect(200);
    for number in 0..4 {
        order(&server, &format!("o{number}"), &json!({"customer_id": "42"}));
    }
    let add = r#"{"customer_id":"42","points":500,"reason":"a gift for Ada"}"#;
    server.post("/v1/points-add", add).expect(200);
    let redeem = r#"{"customer_id":"42","reward_id":"five"}"#;
    let codes: BTreeSet<String> = (0..3)
        .map(|_| server.post("/v1/redemptions", redeem).expect(201).json()["code"].to_string())
        .collect();
    let refund = r#"{"refund_id":"r1","amount":"5"}"#;
    server.post("/v1/orders/o1/refunds", refund).expect(200);

    // Somebody who turns out to be the same person.
    let other = json!({"customer_id": "7", "email": "countess@example.com", "zip": "99999"});
    server.post("/v1/customers", other.to_string()).expect(201);
    order(&server, "other", &json!({"customer_id": "7"}));
    server
        .post("/v1/customers/42/merge", r#"{"from":{"customer_id":"7"}}"#)
        .expect(200);
    // Somebody else.
    order(&server, "foreign", &json!({"customer_id": "9", "email": "grace@example.com"}));

    let parts = export(&server, "42");
    assert!(parts.len() > 3, "{} parts", parts.len());
    let shown = server.get("/v1/customers/42").expect(200).json();
    for part in &parts {
        for (member, value) in shown.as_object().unwrap() {
            assert_eq!(&part["customer"][member], value, "{member}");
        }
        assert_eq!(part["household"], json!(["device-1"]));
        assert_eq!(part["referred_by"], "sender");
        assert_eq!(part["referrals"]["joined"], true);
        assert_eq!(part["merged"][0]["customer_id"], "7");
        assert_eq!(part["merged"][0]["email"], "countess@example.com");
        assert_eq!(part["merged"][0]["zip"], "99999");
    }

    let exported: BTreeSet<_> = texts(&parts, "redemptions", "/code").into_iter().collect();
    assert_eq!(exported, codes);
    let orders: BTreeSet<_> = texts(&parts, "orders", "/order/order_id").into_iter().collect();
    let expected = ["o0", "o1", "o2", "o3", "other"].map(|id| format!("\"{id}\""));
    assert_eq!(orders, expected.into());
    assert!(
        texts(&parts, "orders", "/content/lines/0/product")
            .iter()
            .all(|id| id == "\"tea\"")
    );
    let refunded = parts.iter().flat_map(|part| part["orders"].as_array().unwrap());
    assert!(refunded.clone().any(|order| order["refunds"]["r1"].is_object()));

    // Each entry once: those of the own ledger, and those of who was merged.
    let entries = texts(&parts, "ledger", "/entry_id");
    let distinct: BTreeSet<_> = entries.iter().collect();
    assert_eq!(entries.len(), distinct.len());
    let ledger = server.get("/v1/customers/42/ledger?limit=250").expect(200).json();
    let own = texts(&[ledger], "entries", "/entry_id");
    assert_eq!(
        entries.iter().take(own.len()).collect::<Vec<_>>(),
        own.iter().collect::<Vec<_>>()
    );
    assert!(entries.len() > own.len());
    let everything = json!(parts).to_string();
    assert!(everything.contains("a gift for Ada"));
    for foreign in ["grace@example.com", "\"foreign\""] {
        assert!(!everything.contains(foreign), "{foreign}");
    }
}

#[test]
fn an_export_is_of_one_customer_of_the_shop() {
    let server = TestServer::new();
    server.customer("1", 5);
    server.customer("2", 7);
    server
        .get("/v1/customers/3/export")
        .assert_problem(404, "customer_not_found", "customer_id");
    server
        .request("GET", "/v1/customers/1/export")
        .key(&server.other)
        .send()
        .assert_problem(404, "customer_not_found", "customer_id");
    server
        .get("/v1/customers/1/export?cursor=Yzc")
        .assert_problem(422, "invalid_cursor", "cursor");

    // The cursor of another customer's rows (`y2-0`) leads to none of them.
    let part = server.get("/v1/customers/1/export?cursor=eTItMA").expect(200).json();
    assert_eq!(part["ledger"], json!([]));
    assert_eq!(part["customer"]["point_balance"], 5);
}
