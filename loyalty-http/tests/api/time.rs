//! Tiers, lots, actions, codes and referrals; past and future states; the scheduler; dry
//! runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use loyalty_http::router::ROUTES;
use loyalty_http::{Clock, scheduler};
use loyalty_store::Store;
use serde_json::{Value, json};

use crate::support::{TestServer, time};

const PROGRAM: &str = r#"{
    "hold": "P14D",
    "expiry": {"per_lot": {"after": "P6M", "round_up_to": "month"}},
    "tiers": [{"id": "silver", "name": "Silver", "threshold": "100", "entry": {"points": 10}},
              {"id": "gold", "name": "Gold", "threshold": "300", "multiplier": "2"}],
    "tiering": {"window": {"rolling": "P1Y"}, "grace": "P1M"},
    "actions": [
        {"id": "hello", "kind": "sign_up", "points": 20},
        {"id": "cake", "kind": "birthday", "points": 50},
        {"id": "review", "kind": "review", "points": 30, "limits": [{"points": 50, "per": "day", "partial": true}]},
        {"id": "plan", "kind": "new_subscription", "points": 100, "points_override": true,
         "limits": [{"times": 1, "per": "month"}]},
        {"id": "cards", "kind": {"codes": ["A-1", "B-2"]}, "points": 70}
    ],
    "referrals": {"sent": 200, "received": 100, "minimum_spend": "20", "hold": "P30D"}
}"#;

fn server_with_program() -> TestServer {
    let server = TestServer::new();
    server.put("/v1/program", PROGRAM).expect(201);
    server
}

fn order(customer: &str, total: &str) -> String {
    json!({"customer": {"customer_id": customer}, "status": "paid",
           "lines": [{"quantity": 1, "amount": total}], "total": total})
    .to_string()
}

fn run_scheduler(server: &TestServer) -> usize {
    let now = server.get("/v1/key").expect(200).json()["time"]
        .as_str()
        .map(time)
        .unwrap();
    let store: Arc<dyn Store> = server.store.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime
        .block_on(scheduler::run_pass(&store, &Clock::fixed(now), 2))
        .unwrap()
        .caught_up
}

#[test]
fn a_tier_reports_what_is_missing() {
    let server = server_with_program();
    server.customer("1", 0);
    server.put("/v1/orders/a", order("1", "120.50")).expect(200);
    let tier = server.get("/v1/customers/1/tier").expect(200).json();
    assert_eq!(
        tier,
        json!({"customer_id": "1", "tier": "silver", "since": "2026-03-01T12:00:00Z",
               "until": "2027-03-01T12:00:00Z", "by_hand": false, "metric": "spend", "counts": "120.50",
               "next": {"tier": "gold", "missing": "179.50"}, "missing_to_keep": "0.00",
               "last_change": {"from": null, "to": "silver", "at": "2026-03-01T12:00:00Z", "reason": "qualified",
                               "text": "Entered tier silver: what was done is enough for it."}})
    );
    let at = |at: &str| {
        let tier = server
            .get(&format!("/v1/customers/1/tier?at={at}"))
            .expect(200)
            .json();
        (tier["tier"].clone(), tier["until"].clone(), tier["missing_to_keep"].clone())
    };
    assert_eq!(at("2026-02-28T00:00:00Z"), (Value::Null, Value::Null, json!("0.00")));
    // A grace period of a month.
    assert_eq!(
        at("2027-03-02T00:00:00Z"),
        (json!("silver"), json!("2027-04-01T11:00:00Z"), json!("100.00"))
    );
    assert_eq!(at("2027-04-01T11:00:00Z").0, Value::Null);
    server
        .patch("/v1/customers/1", r#"{"tier":"gold","tier_until":"2026-05-01T00:00:00Z"}"#)
        .expect(200);
    let tier = server.get("/v1/customers/1/tier").expect(200).json();
    assert_eq!(
        (&tier["tier"], &tier["by_hand"], &tier["until"]),
        (&json!("gold"), &json!(true), &json!("2026-05-01T00:00:00Z"))
    );
    server
        .get("/v1/customers/1/tier?at=soon")
        .assert_problem(422, "invalid_value", "at");
}

#[test]
fn lots_are_listed_as_of_any_instant() {
    let server = server_with_program();
    server.customer("1", 40);
    server.put("/v1/orders/a", order("1", "60")).expect(200);
    let lots = |at: &str| {
        let answer = server.get(&format!("/v1/customers/1/lots{at}")).expect(200).json();
        let lots = answer["lots"].as_array().unwrap().iter();
        let lots = lots
            .map(|lot| (lot["points"].clone(), lot["order_id"].clone(), lot["expires_at"].clone()));
        (
            (answer["point_balance"].clone(), answer["pending"].clone()),
            lots.collect::<Vec<_>>(),
        )
    };
    let end = json!("2026-09-30T22:00:00Z");
    let (signed, added, earned) = (
        (json!(20), Value::Null, end.clone()),
        (json!(40), Value::Null, end.clone()),
        (json!(60), json!("a"), end),
    );
    assert_eq!(
        lots(""),
        ((json!(60), json!(60)), vec![signed.clone(), added.clone(), earned.clone()])
    );
    assert_eq!(lots("?at=2026-03-15T11:59:59Z").0, (json!(60), json!(60)));
    assert_eq!(lots("?at=2026-03-15T12:00:00Z").0, (json!(120), json!(0)));
    assert_eq!(lots("?at=2026-09-30T22:00:00Z"), ((json!(0), json!(0)), vec![]));
    assert_eq!(lots("?at=2026-01-01T00:00:00Z"), ((json!(0), json!(0)), vec![]));
    let first = server
        .get("/v1/customers/1/lots?limit=2&at=2026-03-02T00:00:00Z")
        .expect(200);
    let second = server.get(&first.next().unwrap()).expect(200);
    assert_eq!(
        (second.json()["lots"][0]["order_id"].clone(), second.next()),
        (json!("a"), None)
    );
}

#[test]
fn actions_pay_within_their_limits() {
    let server = server_with_program();
    let created = server
        .post("/v1/customers", r#"{"customer_id":"1","email":"a@b.c"}"#)
        .expect(201);
    assert_eq!(created.json()["point_balance"], 20, "for signing up");
    let perform = |body: &str| server.post("/v1/actions", body);
    let review = r#"{"customer_id":"1","action_id":"review"}"#;
    let first = perform(review).expect(200).json();
    assert_eq!(
        (&first["awards"][0]["points"], &first["awards"][0]["partial"]),
        (&json!(30), &json!(false))
    );
    let second = perform(review).expect(200).json();
    assert_eq!(
        second["awards"][0]["limit"],
        json!({"points": 50, "per": "day", "partial": true})
    );
    assert_eq!(
        second["awards"][0]["text"],
        "20 of 30 points for review: limited to 50 points a day."
    );
    assert_eq!(
        (&second["awards"][0]["partial"], &second["point_balance"]),
        (&json!(true), &json!(70))
    );
    perform(review).assert_problem(422, "limit_reached", "/action_id");
    server.set_time("2026-03-02T00:00:00Z");
    perform(review).expect(200);
    let plan = perform(r#"{"email":"A@b.c","action_id":"plan","points":250}"#)
        .expect(200)
        .json();
    assert_eq!((&plan["email"], &plan["point_balance"]), (&json!("A@b.c"), &json!(350)));
    for (body, status, code, param) in [
        (r#"{"customer_id":"1","action_id":"plan"}"#, 422, "limit_reached", "/action_id"),
        (
            r#"{"customer_id":"1","action_id":"review","points":5}"#,
            422,
            "no_points_override",
            "/points",
        ),
        (r#"{"customer_id":"1","action_id":"cake"}"#, 422, "unknown_action", "/action_id"),
        (
            r#"{"customer_id":"1","action_id":"nothing"}"#,
            422,
            "unknown_action",
            "/action_id",
        ),
        (r#"{"customer_id":"1"}"#, 400, "missing_field", "/action_id"),
        (r#"{"action_id":"review"}"#, 400, "missing_field", "/customer_id"),
        (
            r#"{"customer_id":"1","action_id":"plan","points":0}"#,
            422,
            "out_of_range",
            "/points",
        ),
        (
            r#"{"customer_id":"1","action_id":"plan","code":"A-1"}"#,
            422,
            "invalid_value",
            "/code",
        ),
        (
            r#"{"customer_id":"1","code":"A-1","points":5}"#,
            422,
            "invalid_value",
            "/points",
        ),
        (r#"{"customer_id":"9","code":"A-1"}"#, 404, "customer_not_found", "/customer_id"),
    ] {
        perform(body).assert_problem(status, code, param);
    }
    let entries = server.get("/v1/customers/1/ledger").expect(200).json();
    let texts: Vec<_> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["text"].clone())
        .collect();
    assert!(texts.contains(&json!("20 points for signing up.")), "{texts:?}");
}

#[test]
fn a_single_code_has_one_winner_in_its_shop() {
    let server = server_with_program();
    server.customer("1", 0);
    server.customer("2", 0);
    let enter = |customer: &str, code: &str| {
        server.post("/v1/actions", json!({"customer_id": customer, "code": code}).to_string())
    };
    assert_eq!(enter("1", " a-1 ").expect(200).json()["awards"][0]["points"], 70);
    enter("2", "A-1").assert_problem(422, "unknown_code", "/code");
    enter("1", "A-1").assert_problem(422, "unknown_code", "/code");
    enter("2", "nonsense").assert_problem(422, "unknown_code", "/code");
    assert_eq!(enter("2", "B-2").expect(200).json()["point_balance"], 90);
}

#[test]
fn a_referral_rewards_both_customers() {
    let server = server_with_program();
    for (id, email) in [
        ("ada", "ada@gmail.com"),
        ("bob", "bob@example.com"),
        ("ada2", "a.da+2@gmail.com"),
        ("cat", "cat@example.com"),
    ] {
        server
            .post("/v1/customers", json!({"customer_id": id, "email": email}).to_string())
            .expect(201);
    }
    let issue =
        |id: &str, body: &str| server.post(&format!("/v1/customers/{id}/referral-code"), body);
    let code = issue("ada", r#"{"household":["device-7"]}"#).expect(200).json()["code"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        (code.len(), issue("ada", "{}").expect(200).json()["code"].as_str()),
        (16, Some(code.as_str()))
    );
    let join = |id: &str, body: Value| {
        server.post(&format!("/v1/customers/{id}/referral"), body.to_string())
    };
    for (id, body, status, reason) in [
        ("ada", json!({"code": code}), 422, "oneself"),
        ("ada2", json!({"code": code}), 422, "same_address"),
        (
            "cat",
            json!({"code": code, "household": ["card-1", "device-7"]}),
            422,
            "same_household",
        ),
        ("cat", json!({"code": "23456789ABCDEFGH"}), 404, ""),
    ] {
        let refused = join(id, body);
        let code = if status == 404 { "referral_code_not_found" } else { "referral_refused" };
        refused.assert_problem(status, code, "/code");
        assert_eq!(refused.json()["reason"].as_str().unwrap_or_default(), reason);
    }
    assert_eq!(
        join("bob", json!({"code": code.to_lowercase()})).expect(200).json()["joined"],
        true
    );
    let first = server.put("/v1/orders/b1", order("bob", "25")).expect(200).json();
    assert_eq!(
        (&first["awards"][0]["kind"], &first["awards"][0]["points"]),
        (&json!("referral_received"), &json!(100))
    );
    assert_eq!(first["points_changed"], 100, "the points of the order are pending");
    let seen = server.get("/v1/customers/ada/referrals").expect(200).json();
    assert_eq!((&seen["friends"], &seen["rewards"][0]["points"]), (&json!(1), &json!(200)));
    let pending = |id: &str| {
        server
            .get(&format!("/v1/customers/{id}/point-balance"))
            .expect(200)
            .json()["pending"]
            .clone()
    };
    assert_eq!((server.balance("ada"), pending("ada")), (20, json!(200)));
    server
        .post("/v1/orders/b1/refunds", r#"{"refund_id":"r","amount":"25"}"#)
        .expect(200);
    assert_eq!((server.balance("ada"), pending("ada")), (20, json!(0)));
    assert_eq!(
        server.get("/v1/customers/ada/referrals").expect(200).json()["rewards"][0]["returned"],
        true
    );
    // A customer with orders is not new.
    server.put("/v1/orders/c1", order("cat", "5")).expect(200);
    join("cat", json!({"code": code})).assert_problem(422, "referral_refused", "/code");
}

#[test]
fn the_scheduler_records_what_reads_already_return() {
    let server = server_with_program();
    server
        .post("/v1/customers", r#"{"customer_id":"1","birthday":"1990-05-04"}"#)
        .expect(201);
    server.put("/v1/orders/a", order("1", "150")).expect(200);
    // Midnight in Berlin.
    server.set_time("2026-05-03T21:59:59Z");
    assert_eq!(
        (server.balance("1"), run_scheduler(&server), server.balance("1")),
        (180, 1, 180)
    );
    server.set_time("2026-05-03T22:00:00Z");
    assert_eq!(
        (
            server.balance("1"),
            run_scheduler(&server),
            run_scheduler(&server),
            server.balance("1")
        ),
        (230, 1, 0, 230)
    );
    let kinds = |limit: usize| {
        let ledger = server
            .get(&format!("/v1/customers/1/ledger?limit={limit}"))
            .expect(200)
            .json();
        let kinds = ledger["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["kind"].clone());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(2), ["birthday", "points_released"]);
    // After a pause of a year, all events are recorded once each, in order.
    server.set_time("2027-07-01T00:00:00Z");
    let before = server.balance("1");
    assert_eq!((run_scheduler(&server), server.balance("1")), (1, before));
    assert_eq!(
        kinds(6),
        [
            "birthday",
            "tier_changed",
            "tier_lapsed",
            "points_expired",
            "points_expired",
            "points_expired"
        ]
    );
    // A program under which events are due at once.
    server
        .put("/v1/program", r#"{"expiry":{"inactivity":{"after":"P1D"}}}"#)
        .expect(201);
    assert_eq!((run_scheduler(&server), server.balance("1")), (1, 0));
}

const SALE: &str = r#"{"customer":{"customer_id":"1"},"status":"paid","lines":[{"quantity":1,"amount":"320"}],"total":"320"}"#;
const TEN: &str = r#"{"title":"Ten","value":"-10"}"#;
/// Method, path and body. A name in braces is an id from an earlier response.
const DRY_RUNS: &[(&str, &str, &str)] = &[
    ("POST", "/v1/customers", r#"{"customer_id":"2"}"#),
    ("POST", "/v1/customers", r#"{"customer_id":"2"}"#),
    ("POST", "/v1/customers/{customer_id}/claims/{claim_id}/undo", "{}"),
    ("POST", "/v1/customers/{customer_id}/claims/{claim_id}/undo", "{}"),
    ("POST", "/v1/customers/{customer_id}/merge", r#"{"from":{"email":"a@b.c"}}"#),
    ("POST", "/v1/customers/{customer_id}/merge", r#"{"from":{"customer_id":"1"}}"#),
    (
        "PATCH",
        "/v1/customers/{customer_id}",
        r#"{"birthday":"1990-05-04","point_balance":70}"#,
    ),
    ("POST", "/v1/points-add", r#"{"customer_id":"1","points":5}"#),
    ("POST", "/v1/points-subtract", r#"{"customer_id":"1","points":5000}"#),
    ("POST", "/v1/points-subtract", r#"{"customer_id":"1","points":5}"#),
    ("POST", "/v1/actions", r#"{"customer_id":"1","action_id":"review"}"#),
    ("POST", "/v1/actions", r#"{"customer_id":"1","code":"A-1"}"#),
    ("POST", "/v1/customers/{customer_id}/referral-code", "{}"),
    ("POST", "/v1/customers/{customer_id}/referral-code", "{}"),
    ("POST", "/v1/customers/{customer_id}/referral", r#"{"code":"{code}"}"#),
    ("POST", "/v1/customers/2/referral", r#"{"code":"{code}"}"#),
    ("PUT", "/v1/orders/{order_id}", SALE),
    ("PUT", "/v1/orders/{order_id}", SALE),
    ("POST", "/v1/orders/{order_id}/refunds", r#"{"refund_id":"r","amount":"310"}"#),
    ("POST", "/v1/orders/{order_id}/refunds", r#"{"refund_id":"s","amount":"310"}"#),
    ("POST", "/v1/redemptions", r#"{"customer_id":"1","reward_id":"ten"}"#),
    ("POST", "/v1/redemptions/{redemption_id}/cancel", "{}"),
    ("POST", "/v1/redemptions/{redemption_id}/cancel", "{}"),
    ("POST", "/v1/redemptions", r#"{"customer_id":"1","reward_id":"mug"}"#),
    ("POST", "/v1/redemptions/{redemption_id}/use", "{}"),
    ("POST", "/v1/price-rules", TEN),
    ("PUT", "/v1/price-rules/{price_rule_id}", TEN),
    ("POST", "/v1/price-rules/{price_rule_id}/discount-codes", r#"{"code":"TEN"}"#),
    ("POST", "/v1/price-rules/{price_rule_id}/discount-codes", r#"{"code":"TEN"}"#),
    (
        "PUT",
        "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}",
        r#"{"code":"ELEVEN"}"#,
    ),
    (
        "POST",
        "/v1/price-rules/{price_rule_id}/batch",
        r#"{"discount_codes":[{"code":"A"},{"code":"A"}]}"#,
    ),
    (
        "POST",
        "/v1/checkouts/{checkout_id}/codes",
        r#"{"codes":["ELEVEN"],"until":"2026-03-01T12:30:00Z"}"#,
    ),
    ("DELETE", "/v1/price-rules/{price_rule_id}/discount-codes/{code_id}", ""),
    ("DELETE", "/v1/price-rules/{price_rule_id}", ""),
    ("DELETE", "/v1/price-rules/{price_rule_id}", ""),
    ("POST", "/v1/customers/{customer_id}/erase", ""),
    ("POST", "/v1/customers/erase", r#"{"email":"guest@b.c"}"#),
];

#[test]
fn a_dry_run_responds_like_the_write_and_changes_nothing() {
    let server = server_with_program();
    let rewards = PROGRAM.replacen(
        '{',
        r#"{"rewards": [
        {"id": "ten", "name": "Ten", "cost": 10, "gives": {"percentage": "10"}},
        {"id": "mug", "name": "Mug", "cost": 10, "gives": "custom"}],"#,
        1,
    );
    server.put("/v1/program", rewards).expect(201);
    server.post("/v1/customers", r#"{"email":"a@b.c"}"#).expect(201);
    server
        .post("/v1/customers", r#"{"customer_id":"1","email":"a@b.c"}"#)
        .expect(201);
    server.post("/v1/customers", r#"{"email":"guest@b.c"}"#).expect(201);
    let given =
        ["customer_id", "order_id", "checkout_id"].map(|name| (name.to_owned(), "1".to_owned()));
    let mut ids: BTreeMap<String, String> = given.into();
    let claims = server.get("/v1/customers/1/claims").expect(200).json();
    let claim = claims["claims"][0]["claim_id"].as_str().unwrap().to_owned();
    ids.insert("claim_id".to_owned(), claim);
    let mut succeeded = BTreeSet::new();
    for (method, pattern, body) in DRY_RUNS {
        let named = |text: &str| {
            ids.iter()
                .fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
        };
        let (path, body) = (named(pattern), named(body));
        let ask = |query: &str| {
            let request = server.request(method, &format!("{path}{query}"));
            let request = if body.is_empty() { request } else { request.body(&body) };
            // A separate key, under which no response is stored.
            let answer =
                if query.contains("true") { request.idempotency_key(&path) } else { request }
                    .send();
            let mut document = if answer.body.is_empty() { Value::Null } else { answer.json() };
            let drawn = document
                .get("code")
                .filter(|_| !pattern.contains("discount"))
                .cloned();
            if let Some(members) = document.as_object_mut().filter(|_| answer.status < 300) {
                // Generated codes are random.
                if let Some(code) = drawn {
                    members.insert("code".to_owned(), json!(code.as_str().map(str::len)));
                }
            }
            document.as_object_mut().map(|members| members.remove("request_id"));
            (answer.status, document, answer)
        };
        let before = server.snapshot();
        let tried = [(); 2].map(|()| ask("?dry_run=true"));
        assert_eq!(server.snapshot(), before, "{path}");
        let (status, document, answer) = ask("?dry_run=false");
        for (tried_status, tried, _) in &tried {
            assert_eq!((*tried_status, tried), (status, &document), "{method} {path} {body}");
        }
        if status < 300 {
            succeeded.insert((*method, *pattern));
            if !answer.body.is_empty() {
                for (name, value) in answer.json().as_object().unwrap() {
                    let mine = ["code", "code_id", "price_rule_id", "redemption_id"]
                        .contains(&name.as_str());
                    ids.extend(
                        value
                            .as_str()
                            .filter(|_| mine)
                            .map(|id| (name.clone(), id.to_owned())),
                    );
                }
            }
        }
    }
    for route in ROUTES.iter().filter(|route| route.query.contains(&"dry_run")) {
        let route = (route.method.as_str(), route.pattern);
        // Neither a customer with orders nor oneself can be referred.
        let other = (route.0, route.1.replace("{customer_id}/referral", "2/referral"));
        let done = succeeded.contains(&route) || succeeded.contains(&(other.0, other.1.as_str()));
        assert!(done, "{route:?} was not tried");
    }
    server.post("/v1/points-add?dry_run=maybe", "{}").assert_problem(
        422,
        "invalid_value",
        "dry_run",
    );
    server.post("/v1/products/bulk?dry_run=true", "{}").assert_problem(
        400,
        "unknown_parameter",
        "dry_run",
    );
}
