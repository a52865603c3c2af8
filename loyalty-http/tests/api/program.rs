//! The program: reading, publishing and validating it, and dry runs.

use serde_json::json;

use crate::support::TestServer;

const DEFAULT: &str = r#"{"rounding":"down","basis":{"tax":false,"shipping":false,"redeemed":false,"excluded_products":[],"excluded_categories":[]},"earning":[{"id":"base","earn":{"per_unit":"1"}}],"refunds":"claw_back","debt":"allow","expiry":"never","tiers":[]}"#;

const FAULTY: &str =
    r#"{"rounding":"sideways","earning":[{"id":"a","earn":{"per_unit":1.5}}],"colour":1}"#;

#[test]
fn a_program_is_read_and_put_back() {
    let server = TestServer::new();
    let first = server.get("/v1/program").expect(200);
    assert_eq!((first.text(), first.header("etag")), (DEFAULT, Some("\"1\"")));
    let put = |etag: &str, body: &str| {
        server
            .request("PUT", "/v1/program")
            .header("if-match", etag)
            .body(body)
            .send()
    };
    let double = DEFAULT.replace(r#""per_unit":"1""#, r#""per_unit":"2""#);
    assert_eq!(put("\"1\"", &double).expect(201).text(), r#"{"version":2}"#);
    let second = server.get("/v1/program").expect(200);
    assert_eq!((second.text(), second.header("etag")), (double.as_str(), Some("\"2\"")));
    assert_eq!(server.get("/v1/program?version=1").expect(200).text(), DEFAULT);
    let late = put("\"1\"", DEFAULT);
    late.assert_problem(412, "program_changed", "If-Match");
    assert_eq!(late.json()["current"], 2);
    for etag in ["2", "\"x\"", "W/\"2\"", "\"-1\""] {
        put(etag, DEFAULT).assert_problem(412, "precondition_failed", "If-Match");
    }
    assert_eq!(put("*", "{}").expect(201).text(), r#"{"version":3}"#);
    assert_eq!(
        server.put("/v1/program", "{}").expect(201).text(),
        r#"{"version":3}"#,
        "an equal one"
    );
    server
        .get("/v1/program?version=4")
        .assert_problem(404, "version_not_found", "version");
    server
        .get("/v1/program?version=x")
        .assert_problem(422, "invalid_value", "version");
    server
        .get("/v1/program?version=99999999999")
        .assert_problem(422, "invalid_value", "version");
}

#[test]
fn all_faults_are_listed_at_once() {
    let server = TestServer::new();
    let before = server.snapshot();
    let refused = server.put("/v1/program", FAULTY);
    refused.assert_problem(422, "invalid_program", "/colour");
    let faults = json!([
        {"pointer": "/colour", "code": "unknown_field", "detail": "unknown member; known members are award_on, rounding, basis, earning, combine, campaigns, hold, refunds, debt, expiry, tiers, tiering, actions, referrals, rewards, redemption, stacking, guests, point_value"},
        {"pointer": "/rounding", "code": "invalid_value", "detail": "must be one of down, half_even, half_up, up"},
        {"pointer": "/earning/0/earn/per_unit", "code": "wrong_type", "detail": "must be a decimal number in a string, such as \"1.5\""},
    ]);
    assert_eq!(refused.json()["faults"], faults);
    let checked = server.post("/v1/program/validate", FAULTY).expect(200).json();
    assert_eq!(checked, json!({"valid": false, "faults": faults}));
    assert_eq!(
        server.post("/v1/program/validate", DEFAULT).expect(200).text(),
        r#"{"valid":true,"faults":[]}"#
    );
    for path in ["/v1/program/validate", "/v1/program/dry-run"] {
        server.post(path, "{").assert_problem(400, "truncated_json", "");
        server.post(path, "").assert_problem(400, "truncated_json", "");
    }
    server
        .put("/v1/program", "nonsense")
        .assert_problem(400, "malformed_json", "");
    server.put("/v1/program", b"{\"debt\":\"\xff\"}").assert_problem(
        400,
        "malformed_json",
        "/debt",
    );
    assert_eq!(server.snapshot(), before);
}

#[test]
fn a_dry_run_explains_and_records_nothing() {
    let server = TestServer::new();
    let before = server.snapshot();
    let order = r#"{"status":"paid","lines":[{"quantity":1,"amount":"20.00"}],"total":"20.00"}"#;
    let run = |body: String| server.post("/v1/program/dry-run", body);
    let plain = run(format!(r#"{{"order":{order}}}"#)).expect(200);
    assert_eq!(
        plain.text(),
        concat!(
            r#"{"points":20,"explanation":{"program_version":1,"standing":"entitled","#,
            r#""lines":[{"line_id":"1","amount":"20.00"}],"#,
            r#""rules":[{"rule_id":"base","earn":{"per_unit":"1"},"basis":"20","points":"20"}],"#,
            r#""exact":"20","rounding":"down","points":20},"#,
            r#""text":"The order earns 20 points: 20 by base (1 per unit of 20).","#,
            r#""statements":[{"kind":"order_earns","points":20},"#,
            r#"{"kind":"rule_earns","rule":"base","points":"20","earn":{"per_unit":"1"},"basis":"20"}]}"#
        )
    );
    let program = r#"{"earning":[{"id":"vips","earn":{"per_unit":"2.5"},"when":{"customer_tags":["vip"]}}],
        "tiers":[{"id":"gold","name":"Gold","multiplier":"1.5"}]}"#;
    let with = |more: &str| {
        run(format!(r#"{{"program":{program},"order":{order}{more}}}"#))
            .expect(200)
            .json()
    };
    assert_eq!(with("")["points"], 0);
    assert_eq!(with(r#","customer_tags":["vip"]"#)["points"], 50);
    let gold = with(r#","customer_tags":["vip"],"tier":"gold""#);
    assert_eq!(
        (&gold["points"], gold["explanation"].get("program_version")),
        (&json!(75), None)
    );
    assert_eq!(gold["explanation"]["multipliers"], json!([{"tier": "gold", "factor": "1.5"}]));

    let placed = run(format!(r#"{{"order":{}}}"#, order.replace("paid", "processing")))
        .expect(200)
        .json();
    assert_eq!(
        (&placed["points"], &placed["text"]),
        (&json!(0), &json!("The order earns nothing before it is paid."))
    );
    assert_eq!(placed["explanation"]["gate"], "paid");
    let cancelled = run(r#"{"order":{"status":"cancelled"}}"#.to_owned())
        .expect(200)
        .json();
    assert_eq!(cancelled["explanation"]["standing"], "cancelled");

    for (body, status, code, param) in [
        (format!(r#"{{"order":{order},"tier":"gold"}}"#), 422, "unknown_tier", "/tier"),
        (
            format!(r#"{{"order":{}}}"#, order.replace(r#""total":"20.00""#, r#""total":"25.00""#)),
            422,
            "totals_disagree",
            "/order/total",
        ),
        (
            r#"{"order":{"status":"paid","lines":[]}}"#.to_owned(),
            400,
            "missing_field",
            "/order/total",
        ),
        (
            r#"{"order":{"status":"paid","lines":[{}],"total":"1"}}"#.to_owned(),
            400,
            "missing_field",
            "/order/lines/0/quantity",
        ),
        (
            format!(r#"{{"order":{order},"program":{{"debt":5}}}}"#),
            422,
            "invalid_program",
            "/program/debt",
        ),
        (
            format!(r#"{{"order":{order},"program":{{"debt":"allow","debt":"allow"}}}}"#),
            422,
            "invalid_program",
            "/program/debt",
        ),
        (r#"{"program":{}}"#.to_owned(), 400, "missing_field", "/order"),
    ] {
        run(body).assert_problem(status, code, param);
    }
    assert_eq!(server.snapshot(), before);
}

#[test]
fn an_order_keeps_the_program_that_it_began_with() {
    let server = TestServer::new();
    let order = |id: &str, total: &str| {
        let body = format!(
            r#"{{"customer":{{"customer_id":"1"}},"status":"paid","lines":[{{"quantity":1,"amount":"{total}"}}],"total":"{total}"}}"#
        );
        server.put(&format!("/v1/orders/{id}"), body).expect(200).json()["points_changed"]
            .as_i64()
            .unwrap()
    };
    assert_eq!(order("a", "10.00"), 10);
    server
        .put("/v1/program", r#"{"earning":[{"id":"x","earn":{"per_unit":"3"}}]}"#)
        .expect(201);
    assert_eq!(order("a", "12.00"), 2);
    assert_eq!(order("b", "10.00"), 30);
    let versions = ["a", "b"].map(|id| {
        server.get(&format!("/v1/orders/{id}")).json()["explanation"]["program_version"].take()
    });
    assert_eq!(versions, [json!(1), json!(2)]);
}
