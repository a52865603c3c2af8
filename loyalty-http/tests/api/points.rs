//! Points: adding and subtracting them, and past and future balances.

use serde_json::{Value, json};

use crate::support::TestServer;

#[test]
fn points_are_added_and_subtracted() {
    let server = TestServer::new();
    server
        .post("/v1/customers", r#"{"customer_id":"1","email":"a@b.c"}"#)
        .expect(201);
    let added = server.post(
        "/v1/points-add",
        r#"{"customer_id":"1","points":250,"reason":"a year \"paid\"","action_id":"plan-12"}"#,
    );
    assert_eq!(
        added.expect(200).text(),
        r#"{"customer_id":"1","points":250,"point_balance":250,"entry_id":"2-0","at":"2026-03-01T12:00:00Z"}"#
    );
    let subtracted = server.post("/v1/points-subtract", r#"{"email":"A@b.c","points":100}"#);
    assert_eq!(
        subtracted.expect(200).text(),
        r#"{"email":"A@b.c","points":100,"point_balance":150,"entry_id":"3-0","at":"2026-03-01T12:00:00Z"}"#
    );
    let short = server.post("/v1/points-subtract", r#"{"customer_id":"1","points":151}"#);
    short.assert_problem(422, "insufficient_points", "/points");
    assert_eq!((&short.json()["have"], &short.json()["need"]), (&json!(150), &json!(151)));
    assert_eq!(
        short.json()["errors"],
        json!({"points": ["151 points are needed, but only 150 are available."]})
    );
    let balance = server.get("/v1/customers/1/point-balance").expect(200);
    assert_eq!(balance.text(), r#"{"customer_id":"1","point_balance":150,"pending":0}"#);
}

#[test]
fn points_need_a_customer_and_a_number() {
    let server = TestServer::new();
    server
        .post("/v1/customers", r#"{"customer_id":"1","email":"a@b.c"}"#)
        .expect(201);
    let before = server.snapshot();
    for path in ["/v1/points-add", "/v1/points-subtract"] {
        for (body, status, code, param) in [
            (r#"{"customer_id":"2","points":1}"#, 404, "customer_not_found", "/customer_id"),
            (r#"{"email":"x@b.c","points":1}"#, 404, "customer_not_found", "/email"),
            (r#"{"points":1}"#, 400, "missing_field", "/customer_id"),
            (
                r#"{"customer_id":"1","email":"a@b.c","points":1}"#,
                422,
                "invalid_value",
                "/email",
            ),
            (r#"{"customer_id":"1"}"#, 400, "missing_field", "/points"),
            (r#"{"customer_id":"1","points":0}"#, 422, "out_of_range", "/points"),
            (r#"{"customer_id":"1","points":-5}"#, 422, "out_of_range", "/points"),
            (
                r#"{"customer_id":"1","points":9007199254740992}"#,
                422,
                "out_of_range",
                "/points",
            ),
            (
                r#"{"customer_id":"1","points":18446744073709551616}"#,
                422,
                "out_of_range",
                "/points",
            ),
            (r#"{"customer_id":"1","points":1e400}"#, 422, "out_of_range", "/points"),
            (r#"{"customer_id":"1","points":1.5}"#, 400, "wrong_type", "/points"),
            (r#"{"customer_id":"1","points":"5"}"#, 400, "wrong_type", "/points"),
            (r#"{"customer_id":1,"points":5}"#, 400, "wrong_type", "/customer_id"),
            (
                r#"{"customer_id":"1","points":5,"reason":"a\nb"}"#,
                422,
                "invalid_value",
                "/reason",
            ),
            (
                r#"{"customer_id":"1","points":5,"action_id":""}"#,
                422,
                "invalid_value",
                "/action_id",
            ),
        ] {
            server.post(path, body).assert_problem(status, code, param);
        }
    }
    assert_eq!(server.snapshot(), before);
    let most = r#"{"customer_id":"1","points":9007199254740991}"#;
    server.post("/v1/points-add", most).expect(200);
    server
        .post("/v1/points-add", r#"{"customer_id":"1","points":1}"#)
        .assert_problem(422, "points_out_of_range", "/points");
    assert_eq!(server.balance("1"), 9_007_199_254_740_991);
}

#[test]
fn balances_of_many_customers() {
    let server = TestServer::new();
    server.customer("a", 1);
    server.customer("b,c", 2);
    let expected = r#"{"balances":[{"customer_id":"b,c","point_balance":2,"pending":0},{"customer_id":"a","point_balance":1,"pending":0},{"customer_id":"a","point_balance":1,"pending":0}],"unknown":["x"]}"#;
    let by_query = server
        .get("/v1/customers/point-balance?customer_ids=b%2Cc,x,a,a")
        .expect(200);
    assert_eq!(by_query.text(), expected);
    let by_body = server
        .post("/v1/customers/point-balance", r#"{"customer_ids":["b,c","x","a","a"]}"#)
        .expect(200);
    assert_eq!(by_body.text(), expected);

    let ids = |count: usize| json!({"customer_ids": vec!["a"; count]}).to_string();
    let most = server
        .post("/v1/customers/point-balance", ids(1_000))
        .expect(200)
        .json();
    assert_eq!(most["balances"].as_array().map(Vec::len), Some(1_000));
    server.post("/v1/customers/point-balance", ids(1_001)).assert_problem(
        422,
        "out_of_range",
        "/customer_ids",
    );
    server.post("/v1/customers/point-balance", ids(0)).assert_problem(
        422,
        "out_of_range",
        "/customer_ids",
    );
    server
        .post("/v1/customers/point-balance", r#"{"customer_ids":["a",""]}"#)
        .assert_problem(422, "invalid_value", "/customer_ids/1");
    server.get("/v1/customers/point-balance").assert_problem(
        400,
        "missing_parameter",
        "customer_ids",
    );
    server
        .get("/v1/customers/point-balance?customer_ids=")
        .assert_problem(422, "invalid_value", "customer_ids");
    server
        .get("/v1/customers/point-balance?customer_ids=a,,b")
        .assert_problem(422, "invalid_value", "customer_ids");
    server
        .get("/v1/customers/point-balance?customer_ids=a%zz")
        .assert_problem(400, "malformed_query", "customer_ids");
}

#[test]
fn a_balance_as_of_any_instant() {
    let server = TestServer::new();
    server
        .put("/v1/program", r#"{"expiry":{"per_lot":{"after":"P1M"}}}"#)
        .expect(201);
    server.customer("1", 100);
    server.set_time("2026-03-10T00:00:00Z");
    server
        .post("/v1/points-subtract", r#"{"customer_id":"1","points":30}"#)
        .expect(200);
    let at = |at: &str| {
        let answer = server
            .get(&format!("/v1/customers/1/point-balance?at={at}"))
            .expect(200)
            .json();
        assert_eq!(answer["at"], at);
        answer["point_balance"].as_i64().unwrap()
    };
    assert_eq!(at("2026-02-28T00:00:00Z"), 0);
    assert_eq!(at("2026-03-01T12:00:00Z"), 100);
    assert_eq!(at("2026-03-09T23:59:59Z"), 100);
    assert_eq!(at("2026-03-10T00:00:00Z"), 70);
    // In Berlin, daylight saving time begins in between.
    assert_eq!(at("2026-04-01T10:59:59Z"), 70);
    assert_eq!(at("2026-04-01T11:00:00Z"), 0);
    server.set_time("2026-05-01T00:00:00Z");
    assert_eq!(server.balance("1"), 0);
    assert_eq!(at("2026-03-15T00:00:00Z"), 70);
    server
        .get("/v1/customers/1/point-balance?at=yesterday")
        .assert_problem(422, "invalid_value", "at");
    server
        .get("/v1/customers/2/point-balance?at=2026-03-15T00:00:00Z")
        .assert_problem(404, "customer_not_found", "customer_id");
}

#[test]
fn a_balance_is_a_number_that_every_client_reads() {
    let server = TestServer::new();
    server.customer("\\\"1\\\"", 5);
    let shown = server.get("/v1/customers/%221%22/point-balance").expect(200);
    assert_eq!(shown.text(), r#"{"customer_id":"\"1\"","point_balance":5,"pending":0}"#);
    assert_eq!(shown.json()["point_balance"], Value::from(5));
}
