//! Rewards and redemptions: listing, issuing, use by orders, and cancelling.

use serde_json::{Value, json};

use crate::support::TestServer;

const PROGRAM: &str = r#"{"rewards": [
    {"id": "five", "name": "$5 off", "cost": 500, "gives": {"fixed_amount": "5.00"}, "valid_for": "P30D"},
    {"id": "any", "name": "Money off", "gives": {"variable_amount": {"points_per_unit": 100, "minimum": "2"}}},
    {"id": "mug", "name": "A mug", "cost": 100, "gives": "custom", "limits": [{"times": 1, "per": "ever"}]}]}"#;

fn server(points: u32) -> TestServer {
    let server = TestServer::new();
    server.put("/v1/program", PROGRAM).expect(201);
    server.customer("1", points);
    server
}

fn issue(server: &TestServer, body: &str) -> Value {
    server.post("/v1/redemptions", body).expect(201).json()
}

fn order(server: &TestServer, id: &str, code: &str, status: &str) -> Value {
    let body = json!({
        "customer": {"customer_id": "1"}, "status": status, "total": "20",
        "lines": [{"quantity": 1, "amount": "20"}], "discount_codes": [code],
    });
    server
        .put(&format!("/v1/orders/{id}"), body.to_string())
        .expect(200)
        .json()
}

#[test]
fn rewards_are_listed_and_offered() {
    let server = server(350);
    let rewards = server.get("/v1/rewards").expect(200).json();
    let five = json!({"reward_id": "five", "name": "$5 off", "cost": 500, "gives": {"fixed_amount": "5.00"},
        "valid_for": "P30D"});
    assert_eq!(rewards["rewards"][0], five);
    assert_eq!(rewards["rewards"][1]["gives"]["variable_amount"]["points_per_unit"], 100);
    assert_eq!(rewards["rewards"][2]["limits"], json!([{"times": 1, "per": "ever"}]));
    let offered = server.get("/v1/customers/1/rewards").expect(200).json();
    assert_eq!((&offered["customer_id"], &offered["point_balance"]), (&json!("1"), &json!(350)));
    let of = |index: usize| &offered["rewards"][index];
    assert_eq!((&of(0)["available"], &of(0)["points_missing"]), (&json!(false), &json!(150)));
    let detail = "500 points are needed, but only 350 are available.";
    assert_eq!(of(0)["why_not"], json!([{"code": "insufficient_points", "detail": detail}]));
    assert_eq!((&of(1)["available"], &of(1)["largest_amount"]), (&json!(true), &json!("3")));
    assert_eq!((&of(2)["available"], &of(2)["why_not"]), (&json!(true), &Value::Null));
    server
        .get("/v1/customers/2/rewards")
        .assert_problem(404, "customer_not_found", "customer_id");
}

/// A reward that pays a share of the order is limited when it is redeemed and in the cart, and
/// each says so.
#[test]
fn points_pay_a_share_of_an_order_at_most() {
    let server = TestServer::new();
    let program = json!({"redemption": {"maximum_share": "50"}, "rewards": [
        {"id": "any", "name": "Money off", "gives": {"variable_amount": {"point_value": "0.03"}}},
        {"id": "fifth", "name": "A fifth", "cost": 100, "gives": {"percentage": {"rate": "20", "maximum": "15.00"}}}]});
    server.put("/v1/program", program.to_string()).expect(201);
    assert_eq!(
        server.get("/v1/rewards").expect(200).json()["rewards"][1]["gives"],
        program["rewards"][1]["gives"]
    );
    server.customer("1", 1_000);
    let rewards = server.get("/v1/rewards").expect(200).json();
    assert_eq!(rewards["rewards"][0]["maximum_share"], "50");

    let body = json!({"customer_id": "1", "reward_id": "any", "amount": "6", "subtotal": "11.99"});
    let problem = server.post("/v1/redemptions", body.to_string());
    assert_eq!(
        problem.json()["detail"],
        "At most 50% of the goods, 5.99, can be paid with points."
    );
    problem.assert_problem(422, "maximum_share_exceeded", "/subtotal");
    let issued = issue(
        &server,
        r#"{"customer_id": "1", "reward_id": "any", "amount": "6", "subtotal": "12"}"#,
    );
    assert_eq!((&issued["points"], &issued["point_balance"]), (&json!(200), &json!(800)));
    let fifth = issue(&server, r#"{"customer_id": "1", "reward_id": "fifth"}"#);

    for (price, code, discount, text) in [
        (
            "8.00",
            &issued,
            "4.00",
            "up to 6 of 8.00, at most 50% of the goods (4.00), shared over 1 line",
        ),
        ("100.00", &fifth, "15.00", "20% of 100.00, at most 15.00, shared over 1 line"),
        ("10.00", &fifth, "2.00", "20% of 10.00, shared over 1 line"),
    ] {
        let code = code["code"].as_str().unwrap();
        let cart = json!({"customer": {"customer_id": "1"}, "codes": [code],
            "lines": [{"quantity": 1, "price": price}]});
        let found = server.post("/v1/carts/evaluate", cart.to_string()).expect(200).json();
        assert_eq!(found["discount"], discount, "{price}");
        assert_eq!(found["codes"][0]["text"], format!("{code} takes {discount} off: {text}."));
    }
}

/// Both lists contain all terms of a reward as in its program. The prefix of codes is not
/// a term.
#[test]
fn rewards_come_with_their_terms() {
    let terms = json!({
        "name": "Tea", "cost": 100, "gives": {"percentage": "10"}, "minimum_subtotal": "20.00",
        "only": {"categories": ["tea"]}, "excluded": {"products": ["12"]}, "valid_for": "P90D",
        "points_back_when_expired": true,
        "when": {"customer_tags": ["vip"], "tiers": ["gold"], "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"},
        "limits": [{"times": 1, "per": "year"}, {"points": 500, "per": "month"}],
        "limits_in_all": [{"times": 100, "per": "ever"}], "individual_use": true,
    });
    let with = |name: &str, id: &str, more: Value| {
        let mut all = terms.clone();
        all[name] = json!(id);
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let server = TestServer::new();
    let program = json!({"tiers": [{"id": "gold", "name": "Gold"}],
        "rewards": [with("id", "tea", json!({"code_prefix": "TEA"}))]});
    server.put("/v1/program", program.to_string()).expect(201);
    server.customer("1", 100);
    let shown = with("reward_id", "tea", json!({}));
    assert_eq!(server.get("/v1/rewards").expect(200).json(), json!({ "rewards": [shown] }));
    let offered = server.get("/v1/customers/1/rewards").expect(200).json()["rewards"][0].take();
    assert_eq!(offered["why_not"][0]["code"], "reward_not_for_customer");
    for (term, value) in shown.as_object().unwrap() {
        assert_eq!(&offered[term], value, "{term}");
    }
}

#[test]
fn a_redemption_is_issued_used_and_cancelled() {
    let server = server(1_200);
    let issued = issue(&server, r#"{"customer_id": "1", "reward_id": "five"}"#);
    let (id, code) = (issued["redemption_id"].as_str().unwrap(), issued["code"].as_str().unwrap());
    assert_eq!((&issued["status"], &issued["point_balance"]), (&json!("issued"), &json!(700)));
    assert_eq!(
        (&issued["issued_at"], &issued["ends_at"]),
        (&json!("2026-03-01T12:00:00Z"), &json!("2026-03-31T11:00:00Z"))
    );
    assert_eq!(issued["price_rule_id"], issued["discount_code_id"]);
    assert_eq!(
        issued["text"],
        "500 points for $5 off: 5.00 off, to be used before 2026-03-31 11:00:00 UTC."
    );
    let path = format!("/v1/redemptions/{id}");
    let mut seen = issued.clone();
    seen.as_object_mut().unwrap().remove("point_balance");
    assert_eq!(server.get(&path).expect(200).json(), seen);

    let order_response = order(&server, "o1", code, "paid");
    assert_eq!(order_response["discount_codes"][0]["used"], true);
    let used = server.get(&path).expect(200).json();
    assert_eq!((&used["status"], &used["order_id"]), (&json!("used"), &json!("o1")));
    server.post(&format!("{path}/cancel"), "").assert_problem(
        422,
        "redemption_not_open",
        "redemption_id",
    );
    order(&server, "o1", code, "cancelled");
    assert_eq!(server.get(&path).expect(200).json()["status"], "issued");
    let cancelled = server.post(&format!("{path}/cancel"), "{}").expect(200).json();
    assert_eq!(
        (&cancelled["status"], &cancelled["points_returned"]),
        (&json!("cancelled"), &json!(500))
    );
    assert_eq!(cancelled["point_balance"], 1_200);
    assert_eq!(server.balance("1"), 1_200);
    // Cancelling again changes nothing.
    server.post(&format!("{path}/cancel"), "{}").expect(200);
    let kinds: Vec<_> = server.get("/v1/customers/1/ledger").expect(200).json()["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (entry["kind"].as_str().unwrap().to_owned(), entry["points"].as_i64().unwrap())
        })
        .collect();
    let kinds: Vec<_> = kinds.iter().map(|(kind, points)| (kind.as_str(), *points)).collect();
    assert_eq!(kinds[0], ("redemption_cancelled", 500));
    assert!(
        kinds.contains(&("reward_redeemed", -500)) && kinds.contains(&("redemption_used", 0)),
        "{kinds:?}"
    );
}

#[test]
fn a_redemption_happens_once_under_a_key() {
    let server = server(1_200);
    let send = || {
        let request = server
            .request("POST", "/v1/redemptions")
            .header("idempotency-key", "k1");
        request.body(r#"{"customer_id": "1", "reward_id": "five"}"#).send()
    };
    let first = send().expect(201).text().to_owned();
    assert_eq!(send().expect(201).text(), first);
    assert_eq!(server.balance("1"), 700);
}

#[test]
fn a_redemption_without_a_code_is_marked_as_used() {
    let server = server(300);
    let mug = issue(&server, r#"{"customer_id": "1", "reward_id": "mug"}"#);
    assert_eq!((&mug["code"], &mug["gives"]), (&Value::Null, &json!("custom")));
    server
        .post("/v1/redemptions", r#"{"customer_id": "1", "reward_id": "mug"}"#)
        .assert_problem(422, "reward_limit_reached", "/reward_id");
    let path = format!("/v1/redemptions/{}/use", mug["redemption_id"].as_str().unwrap());
    server
        .post(&path, r#"{"order": "o1"}"#)
        .assert_problem(400, "unknown_field", "/order");
    assert_eq!(server.post(&path, r#"{"order_id": "o1"}"#).expect(200).json()["order_id"], "o1");
}

#[test]
fn redemptions_are_listed_newest_first() {
    let server = server(1_000);
    let ids: Vec<String> = ["2", "3", "4"]
        .iter()
        .map(|amount| {
            let body =
                format!(r#"{{"customer_id": "1", "reward_id": "any", "amount": "{amount}"}}"#);
            issue(&server, &body)["redemption_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let first = server.get("/v1/customers/1/redemptions?limit=2").expect(200);
    let shown = |page: &Value| -> Vec<String> {
        let page = page["redemptions"].as_array().unwrap();
        page.iter()
            .map(|redemption| redemption["redemption_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shown(&first.json()), [ids[2].as_str(), &ids[1]]);
    let next = server.get(&first.next().unwrap()).expect(200);
    assert_eq!((shown(&next.json()), next.next()), (vec![ids[0].clone()], None));
    server.get("/v1/customers/1/redemptions?cursor=x").assert_problem(
        422,
        "invalid_cursor",
        "cursor",
    );
    // They expire in time, also before the scheduler records it.
    server
        .put("/v1/program", PROGRAM.replace("\"P30D\"", "\"P1D\""))
        .expect(201);
    server
        .patch("/v1/customers/1", r#"{"point_balance": 500}"#)
        .expect(200);
    let five = issue(&server, r#"{"customer_id": "1", "reward_id": "five"}"#);
    server.set_time("2026-03-02T12:00:00Z");
    let path = format!("/v1/redemptions/{}", five["redemption_id"].as_str().unwrap());
    let ended = server.get(&path).expect(200).json();
    assert_eq!((&ended["status"], &ended["points_returned"]), (&json!("expired"), &json!(0)));
}

#[test]
fn redemptions_need_a_customer_a_reward_and_points() {
    let server = server(300);
    let before = server.snapshot();
    for (body, status, code, param) in [
        (r#"{"reward_id": "five"}"#, 400, "missing_field", "/customer_id"),
        (r#"{"customer_id": "1"}"#, 400, "missing_field", "/reward_id"),
        (
            r#"{"customer_id": "1", "email": "a@b.c", "reward_id": "five"}"#,
            422,
            "invalid_value",
            "/email",
        ),
        (
            r#"{"customer_id": "2", "reward_id": "five"}"#,
            404,
            "customer_not_found",
            "/customer_id",
        ),
        (
            r#"{"email": "x@b.c", "reward_id": "five"}"#,
            404,
            "customer_not_found",
            "/email",
        ),
        (
            r#"{"customer_id": "1", "reward_id": "six"}"#,
            422,
            "unknown_reward",
            "/reward_id",
        ),
        (
            r#"{"customer_id": "1", "reward_id": "five"}"#,
            422,
            "insufficient_points",
            "/reward_id",
        ),
        (
            r#"{"customer_id": "1", "reward_id": "mug", "amount": "5"}"#,
            422,
            "invalid_amount",
            "/amount",
        ),
        (r#"{"customer_id": "1", "reward_id": "any"}"#, 422, "invalid_amount", "/amount"),
        (
            r#"{"customer_id": "1", "reward_id": "any", "amount": "2.50"}"#,
            422,
            "invalid_amount",
            "/amount",
        ),
        (
            r#"{"customer_id": "1", "reward_id": "any", "amount": 3}"#,
            400,
            "wrong_type",
            "/amount",
        ),
        (
            r#"{"customer_id": "1", "reward_id": "any", "amount": "3", "x": 1}"#,
            400,
            "unknown_field",
            "/x",
        ),
    ] {
        server
            .post("/v1/redemptions", body)
            .assert_problem(status, code, param);
    }
    let short = server.post("/v1/redemptions", r#"{"customer_id": "1", "reward_id": "five"}"#);
    assert_eq!((&short.json()["have"], &short.json()["need"]), (&json!(300), &json!(500)));
    for path in ["/v1/redemptions/1", "/v1/redemptions/x", "/v1/redemptions/99999999999999999999"] {
        server
            .get(path)
            .assert_problem(404, "redemption_not_found", "redemption_id");
        server.post(&format!("{path}/cancel"), "{}").assert_problem(
            404,
            "redemption_not_found",
            "redemption_id",
        );
        server.post(&format!("{path}/use"), "{}").assert_problem(
            404,
            "redemption_not_found",
            "redemption_id",
        );
    }
    assert_eq!(server.snapshot(), before);
}

#[test]
fn rewards_with_too_many_decimals_are_rejected() {
    let server = TestServer::new();
    let fine = PROGRAM.replace("5.00", "5.001");
    server.put("/v1/program", &fine).assert_problem(
        422,
        "invalid_program",
        "/rewards/0/gives/fixed_amount",
    );
    let checked = server.post("/v1/program/validate", &fine).expect(200).json();
    assert_eq!(
        (&checked["valid"], &checked["faults"][0]["code"]),
        (&json!(false), &json!("too_fine"))
    );
}
