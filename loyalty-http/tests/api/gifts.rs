//! Gifts: rewards that a program gives for a cause.

use serde_json::{Value, json};

use crate::support::TestServer;

fn server() -> TestServer {
    let program = json!({
        "tiers": [{"id": "gold", "name": "Gold", "threshold": "100",
                   "entry": {"points": 10, "gift": {"reward": "five"}}}],
        "actions": [{"id": "wash", "kind": "custom", "gift": {"reward": "mug"}}],
        "rewards": [{"id": "five", "name": "$5 off", "cost": 500, "gives": {"fixed_amount": "5.00"}},
                    {"id": "mug", "name": "A mug", "cost": 100, "gives": "custom"}]
    });
    let server = TestServer::new();
    server.put("/v1/program", program.to_string()).expect(201);
    server
}

fn pay(server: &TestServer, id: &str, total: &str) {
    let body = json!({"customer": {"customer_id": "1"}, "status": "paid", "total": total,
                      "lines": [{"quantity": 1, "amount": total}]});
    server.put(&format!("/v1/orders/{id}"), body.to_string()).expect(200);
}

fn redemptions(server: &TestServer) -> Vec<Value> {
    let list = server.get("/v1/customers/1/redemptions").expect(200).json();
    list["redemptions"].as_array().unwrap().clone()
}

#[test]
fn a_gift_is_listed_with_its_cause_and_its_code_works() {
    let server = server();
    pay(&server, "o1", "120");
    let listed = redemptions(&server);
    assert_eq!(listed.len(), 1);
    let gift = &listed[0];
    assert_eq!(gift["cause"], json!({"reason": "tier_entry", "tier": "gold"}));
    assert_eq!((&gift["points"], &gift["status"]), (&json!(0), &json!("issued")));
    assert_eq!(gift["text"], "$5 off for entering tier gold: 5.00 off.");
    assert_eq!(server.get("/v1/customers/1").expect(200).json()["point_balance"], 130);

    let cart = json!({"customer": {"customer_id": "1"}, "codes": [gift["code"]],
                      "lines": [{"quantity": 1, "price": "20"}]});
    let evaluated = server.post("/v1/carts/evaluate", cart.to_string()).expect(200).json();
    assert_eq!(evaluated["discount"], "5.00", "{evaluated}");
}

#[test]
fn the_ledger_tells_of_a_gift_until_it_is_taken_back() {
    let server = server();
    pay(&server, "o1", "120");
    let refund = json!({"refund_id": "r1", "amount": "120"});
    server.post("/v1/orders/o1/refunds", refund.to_string()).expect(200);
    let ledger = server.get("/v1/customers/1/ledger").expect(200).json();
    let told: Vec<_> = ledger["entries"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .filter(|entry| entry["reward_id"] == "five")
        .map(|entry| (entry["kind"].as_str().unwrap(), entry["text"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("tier_entry", "10 points and $5 off for entering tier gold."),
            ("gift_issued", "$5 off for entering tier gold: 5.00 off."),
            ("gift_taken_back", "Reward five, given for entering tier gold, is taken back."),
        ]
    );
    let cause = json!({"reason": "tier_entry", "tier": "gold"});
    let entries = ledger["entries"].as_array().unwrap();
    let taken_back = entries
        .iter()
        .find(|entry| entry["kind"] == "gift_taken_back")
        .unwrap();
    assert_eq!(
        taken_back["statements"],
        json!([{"kind": "gift_taken_back", "reward": "five", "cause": cause}])
    );
    assert_eq!(redemptions(&server)[0]["status"], "cancelled");
}

#[test]
fn an_action_can_give_a_reward_alone() {
    let server = server();
    server.customer("1", 5);
    let body = json!({"customer_id": "1", "action_id": "wash"}).to_string();
    let dry = server.post("/v1/actions?dry_run=true", &body).expect(200).json();
    assert_eq!((&dry["awards"][0]["reward_id"], redemptions(&server).len()), (&json!("mug"), 0));

    let done = server.post("/v1/actions", &body).expect(200).json();
    let award = &done["awards"][0];
    assert_eq!((&award["points"], &award["text"]), (&json!(0), &json!("A mug for wash.")));
    assert_eq!(done["point_balance"], 5);
    assert_eq!(redemptions(&server)[0]["cause"], json!({"reason": "action", "action": "wash"}));
}

#[test]
fn a_gift_without_its_reward_is_a_fault() {
    let program =
        json!({"actions": [{"id": "wash", "kind": "custom", "gift": {"reward": "none"}}]});
    let problem = TestServer::new().put("/v1/program", program.to_string()).json();
    let fault = json!({"pointer": "/actions/0/gift/reward", "code": "unknown_reward",
                       "detail": "the program has no reward none"});
    assert_eq!(problem["faults"], json!([fault]));
}
