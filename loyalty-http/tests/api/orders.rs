//! Orders and refunds: points, clawbacks and explanations.

use serde_json::{Value, json};

use crate::support::{TestResponse, TestServer};

const ORDER: &str = r#"{"customer":{"customer_id":"1","email":"a@b.c","first_name":"Ada"},"status":"paid",
    "updated_at":"2026-02-28T10:00:00Z","placed_at":"2026-02-28T09:00:00Z","currency":"USD",
    "lines":[{"line_id":"a","product_id":"p1","categories":["tea"],"quantity":2,"amount":"39.95"},
             {"quantity":"0.5","amount":"10.00"},
             {"quantity":1,"amount":"25.00","gift_card":true}],
    "tax":"1.00","shipping":"4.00","total":"79.95"}"#;

fn changed(answer: &TestResponse) -> (i64, i64) {
    let body = answer.json();
    (
        body["points_changed"].as_i64().unwrap(),
        body["customer"]["point_balance"].as_i64().unwrap(),
    )
}

/// A one-line order of customer 1.
fn order(status: &str, total: &str, more: &str) -> String {
    format!(
        r#"{{"customer":{{"customer_id":"1"}},"status":"{status}","lines":[{{"line_id":"a","quantity":3,"amount":"{total}"}}],"total":"{total}"{more}}}"#
    )
}

#[test]
fn an_order_earns_and_is_explained() {
    let server = TestServer::new();
    let put = server.put("/v1/orders/1001", ORDER).expect(200);
    assert_eq!(
        put.text(),
        concat!(
            r#"{"order_id":"1001","status":"paid","cancelled":false,"kept":false,"#,
            r#""points":{"awarded":49,"taken_back":0,"expired":0},"points_changed":49,"#,
            r#""customer":{"customer_id":"1","email":"a@b.c","point_balance":49},"#,
            r#""explanation":{"program_version":1,"standing":"entitled","lines":[{"line_id":"a","amount":"39.95"},"#,
            r#"{"line_id":"2","amount":"10.00"},{"line_id":"3","amount":"25.00","excluded":"gift_card"}],"#,
            r#""rules":[{"rule_id":"base","earn":{"per_unit":"1"},"basis":"49.95","points":"49.95"}],"#,
            r#""exact":"49.95","rounding":"down","points":49},"#,
            r#""text":"The order earns 49 points: 49.95 by base (1 per unit of 49.95), 49.95 rounded down."}"#
        )
    );
    // A read returns the same, without the change by the request.
    let mut expected = put.json();
    expected.as_object_mut().unwrap().remove("points_changed");
    assert_eq!(server.get("/v1/orders/1001").expect(200).json(), expected);
    // Recorded again, it changes nothing.
    let repeated = server.put("/v1/orders/1001", ORDER).expect(200);
    assert_eq!(changed(&repeated), (0, 49));
    assert_eq!(repeated.json().get("explanation"), None);
    let customer = server.get("/v1/customers/1").expect(200).json();
    assert_eq!(
        (&customer["first_name"], &customer["point_balance"]),
        (&json!("Ada"), &json!(49))
    );
    server
        .get("/v1/orders/1002")
        .assert_problem(404, "order_not_found", "order_id");
}

#[test]
fn an_order_moves_through_its_statuses() {
    let server = TestServer::new();
    let put = |body: String| server.put("/v1/orders/o", body).expect(200);
    let at = |time: &str| format!(r#","updated_at":"2026-02-{time}T00:00:00Z""#);
    let placed = put(order("processing", "50.00", &at("01")));
    assert_eq!((changed(&placed), &placed.json()["status"]), ((0, 0), &json!("processing")));
    assert_eq!(changed(&put(order("completed", "50.00", &at("03")))), (50, 50));
    // An earlier status claws nothing back.
    let back = put(order("paid", "50.00", &at("04")));
    assert_eq!((changed(&back), &back.json()["status"]), ((0, 50), &json!("completed")));
    let cancelled = put(format!(r#"{{"status":"cancelled"{}}}"#, at("05")));
    assert_eq!(changed(&cancelled), (-50, 0));
    assert_eq!(
        (&cancelled.json()["status"], &cancelled.json()["cancelled"]),
        (&json!("cancelled"), &json!(true))
    );
    assert_eq!(
        cancelled.json()["text"],
        "The order is cancelled and earns nothing. Before this, 50 points were awarded."
    );
    assert_eq!(changed(&put(order("paid", "50.00", &at("06")))), (50, 50));
    let read = server.get("/v1/orders/o").expect(200).json();
    assert_eq!(read["points"], json!({"awarded": 100, "taken_back": 50, "expired": 0}));
    // The customer is optional once the order is known, and can't change.
    let other = order("paid", "50.00", "").replace(r#""1""#, r#""2""#);
    server
        .put("/v1/orders/o", other)
        .assert_problem(422, "order_of_another_customer", "/customer");
    server
        .get("/v1/customers/2")
        .assert_problem(404, "customer_not_found", "customer_id");
}

#[test]
fn refunds_claw_back_their_share_and_no_more() {
    let server = TestServer::new();
    server.put("/v1/orders/o", order("paid", "90.00", "")).expect(200);
    let refund = |body: &str| server.post("/v1/orders/o/refunds", body);
    let half = refund(
        r#"{"refund_id":"r1","lines":[{"line_id":"a","quantity":1}],"refunded_at":"2026-03-01T11:00:00Z"}"#,
    );
    assert_eq!(changed(&half.expect(200)), (-30, 60));
    assert_eq!(
        changed(&refund(r#"{"refund_id":"r2","amount":"45.00"}"#).expect(200)),
        (-45, 15)
    );
    // The same refund again is not a second one.
    assert_eq!(changed(&refund(r#"{"refund_id":"r2","amount":"45.00"}"#).expect(200)), (0, 15));
    let before = server.snapshot();
    refund(r#"{"refund_id":"r2","amount":"45.01"}"#).assert_problem(
        422,
        "refund_differs",
        "/refund_id",
    );
    let beyond = refund(r#"{"refund_id":"r3","amount":"15.01"}"#);
    beyond.assert_problem(422, "refund_exceeds_order", "/amount");
    assert_eq!(
        (&beyond.json()["left"], &beyond.json()["total"]),
        (&json!("15"), &json!("90.00"))
    );
    let units = refund(r#"{"refund_id":"r3","lines":[{"line_id":"a","quantity":3}]}"#);
    units.assert_problem(422, "refund_exceeds_line", "/lines/0/quantity");
    assert_eq!(units.json()["quantity"], "3");
    let money = refund(r#"{"refund_id":"r3","lines":[{"line_id":"a","quantity":2}]}"#);
    money.assert_problem(422, "refund_exceeds_order", "/lines");
    let unknown =
        r#"{"refund_id":"r3","lines":[{"line_id":"a","quantity":1},{"line_id":"b","quantity":1}]}"#;
    refund(unknown).assert_problem(422, "unknown_line", "/lines/1/line_id");
    for (body, status, code, param) in [
        (r#"{"refund_id":"r3"}"#, 400, "missing_field", "/amount"),
        (r#"{"refund_id":"r3","lines":[]}"#, 422, "invalid_value", "/lines"),
        (r#"{"amount":"1.00"}"#, 400, "missing_field", "/refund_id"),
        (r#"{"refund_id":"r3","amount":"-1.00"}"#, 422, "out_of_range", "/amount"),
        (r#"{"refund_id":"r3","amount":1}"#, 400, "wrong_type", "/amount"),
        (
            r#"{"refund_id":"r3","lines":[{"line_id":"a"}]}"#,
            400,
            "missing_field",
            "/lines/0/quantity",
        ),
        (
            r#"{"refund_id":"r3","lines":[{"line_id":"a","quantity":-1}]}"#,
            422,
            "out_of_range",
            "/lines/0/quantity",
        ),
    ] {
        refund(body).assert_problem(status, code, param);
    }
    assert_eq!(server.snapshot(), before);
    assert_eq!(changed(&refund(r#"{"refund_id":"r3","amount":"15"}"#).expect(200)).1, 0);
    let text = server.get("/v1/orders/o").json()["text"].take();
    assert_eq!(text, "All of the order was refunded; it earns nothing.");
}

#[test]
fn facts_that_arrive_before_their_order_are_stored() {
    let server = TestServer::new();
    let stored = server
        .post("/v1/orders/o/refunds", r#"{"refund_id":"r1","amount":"30.00"}"#)
        .expect(200);
    let expected = json!({"order_id": "o", "status": null, "cancelled": false, "kept": true,
                      "points": {"awarded": 0, "taken_back": 0, "expired": 0}, "points_changed": 0});
    assert_eq!(stored.json(), expected);
    let put = server.put("/v1/orders/o", order("paid", "90.00", "")).expect(200);
    assert_eq!((changed(&put), &put.json()["kept"]), ((60, 60), &json!(false)));

    let cancelled =
        server.put("/v1/orders/p", r#"{"status":"cancelled","updated_at":"2026-03-01T11:00:00Z"}"#);
    assert_eq!(cancelled.expect(200).json()["kept"], json!(true));
    let late = server.put(
        "/v1/orders/p",
        order("paid", "10.00", r#","updated_at":"2026-03-01T10:00:00Z""#),
    );
    assert_eq!(changed(&late.expect(200)), (0, 60));
    assert_eq!(server.get("/v1/orders/p").json()["status"], "cancelled");
    assert_eq!(server.snapshot(), server.snapshot());
}

#[test]
fn another_currency_needs_shop_money() {
    let server = TestServer::new();
    let foreign = |more: &str| {
        format!(
            r#"{{"customer":{{"customer_id":"1"}},"status":"paid","currency":"EUR",
                "lines":[{{"quantity":1,"amount":"10.00"}},{{"quantity":1,"amount":"20.00"}}],"total":"30.00"{more}}}"#
        )
    };
    let before = server.snapshot();
    let put = |body: String| server.put("/v1/orders/o", body);
    put(foreign("")).assert_problem(422, "currency_mismatch", "/currency");
    put(foreign(r#","shop_money":{"lines":["11.00"],"total":"33.00"}"#)).assert_problem(
        422,
        "invalid_value",
        "/shop_money/lines",
    );
    put(foreign(r#","shop_money":{"lines":["11.00","22.00"]}"#)).assert_problem(
        400,
        "missing_field",
        "/shop_money/total",
    );
    let apart = r#","shop_money":{"lines":["11.00","22.00"],"total":"34.00"}"#;
    put(foreign(apart)).assert_problem(422, "totals_disagree", "/shop_money/total");
    let redeemed =
        r#","shop_money":{"lines":["11.00","22.00"],"total":"33.00","redeemed":"33.01"}"#;
    put(foreign(redeemed)).assert_problem(422, "redeemed_beyond_total", "/shop_money/redeemed");
    assert_eq!(server.snapshot(), before);
    let whole = r#","shop_money":{"lines":["11.00","22.00"],"tax":"3.00","shipping":"2.00","total":"38.00","redeemed":"19.00"}"#;
    assert_eq!(changed(&put(foreign(whole)).expect(200)), (16, 16));
    let in_shop_currency = order("paid", "10.00", r#","currency":"USD""#);
    assert_eq!(changed(&server.put("/v1/orders/p", in_shop_currency).expect(200)), (10, 26));
}

#[test]
fn contradictory_orders_are_rejected() {
    let server = TestServer::new();
    server.customer("1", 0);
    let before = server.snapshot();
    let lines =
        |lines: &str, rest: &str| format!(r#"{{"status":"paid","lines":[{lines}],{rest}}}"#);
    let line = r#"{"quantity":1,"amount":"10.00"}"#;
    let rows: [(String, u16, &str, &str); 24] = [
        (r#"{"status":"paid"}"#.into(), 400, "missing_field", "/lines"),
        (r#"{"status":"paid","lines":[]}"#.into(), 400, "missing_field", "/total"),
        (r#"{"lines":[],"total":"0"}"#.into(), 400, "missing_field", "/status"),
        (
            r#"{"status":"shipped","lines":[],"total":"0"}"#.into(),
            422,
            "invalid_value",
            "/status",
        ),
        (
            r#"{"status":"Paid","lines":[],"total":"0"}"#.into(),
            422,
            "invalid_value",
            "/status",
        ),
        (
            r#"{"status":{"paid":null},"lines":[],"total":"0"}"#.into(),
            400,
            "wrong_type",
            "/status",
        ),
        (lines(line, r#""total":"10.02""#), 422, "totals_disagree", "/total"),
        (lines(line, r#""total":"9.98""#), 422, "totals_disagree", "/total"),
        (lines(line, r#""total":10"#), 400, "wrong_type", "/total"),
        (lines(line, r#""total":"-10.00""#), 422, "out_of_range", "/total"),
        (
            lines(line, r#""total":"10.00","redeemed":"10.01""#),
            422,
            "redeemed_beyond_total",
            "/redeemed",
        ),
        (
            lines(line, r#""total":"10.00","currency":"XXY""#),
            422,
            "invalid_value",
            "/currency",
        ),
        (
            lines(line, r#""total":"10.00","placed_at":"2026-03-01""#),
            422,
            "invalid_value",
            "/placed_at",
        ),
        (
            lines(line, r#""total":"10.00","customer":{}"#),
            400,
            "missing_field",
            "/customer/customer_id",
        ),
        (
            lines(line, r#""total":"10.00","customer":{"email":"x"}"#),
            422,
            "invalid_value",
            "/customer/email",
        ),
        (lines(line, r#""total":"10.00","note":"x""#), 400, "unknown_field", "/note"),
        (
            lines(r#"{"quantity":1,"amount":"-10.00"}"#, r#""total":"0""#),
            422,
            "out_of_range",
            "/lines/0/amount",
        ),
        (
            lines(r#"{"quantity":-1,"amount":"10.00"}"#, r#""total":"10""#),
            422,
            "out_of_range",
            "/lines/0/quantity",
        ),
        (
            lines(r#"{"quantity":1.5,"amount":"10.00"}"#, r#""total":"10""#),
            400,
            "wrong_type",
            "/lines/0/quantity",
        ),
        (
            lines(r#"{"quantity":1e400,"amount":"10.00"}"#, r#""total":"10""#),
            422,
            "out_of_range",
            "/lines/0/quantity",
        ),
        (
            lines(r#"{"quantity":1,"amount":"0.00001"}"#, r#""total":"0""#),
            422,
            "out_of_range",
            "/lines/0/amount",
        ),
        (
            lines(r#"{"quantity":1,"amount":"1e3"}"#, r#""total":"0""#),
            422,
            "invalid_value",
            "/lines/0/amount",
        ),
        (
            lines(
                &format!(r#"{line},{{"quantity":1,"amount":"0","price":"1"}}"#),
                r#""total":"10""#,
            ),
            400,
            "unknown_field",
            "/lines/1/price",
        ),
        // A position is an id, too.
        (
            lines(
                &format!(r#"{{"line_id":"2","quantity":1,"amount":"0"}},{line}"#),
                r#""total":"10""#,
            ),
            422,
            "duplicate_line",
            "/lines/1/line_id",
        ),
    ];
    for (body, status, code, param) in rows {
        server.put("/v1/orders/o", body).assert_problem(status, code, param);
    }
    let many = vec![r#"{"quantity":0,"amount":"0"}"#; 2_001].join(",");
    server
        .put("/v1/orders/o", lines(&many, r#""total":"0""#))
        .assert_problem(422, "order_too_large", "/lines");
    assert_eq!(server.snapshot(), before);
    server
        .get("/v1/orders/o")
        .assert_problem(404, "order_not_found", "order_id");
    // Differences by rounding, as real shops send them.
    server
        .put("/v1/orders/o", lines(line, r#""total":"10.01""#))
        .expect(200);
    server
        .put(
            "/v1/orders/zero",
            lines(r#"{"quantity":0,"amount":"0.00"}"#, r#""total":"0.00""#),
        )
        .expect(200);
}

#[test]
fn an_order_without_a_customer_waits_for_one() {
    let server = TestServer::new();
    let anonymous = r#"{"status":"paid","lines":[{"quantity":1,"amount":"10"}],"total":"10"}"#;
    let put = server.put("/v1/orders/o", anonymous).expect(200).json();
    assert_eq!((put.get("customer"), &put["points"]["awarded"]), (None, &Value::from(0)));
    let named = format!(r#"{{"customer":{{"email":"a@b.c"}},{}"#, &anonymous[1..]);
    let put = server.put("/v1/orders/o", named).expect(200);
    assert_eq!(changed(&put), (10, 10));
    assert_eq!(put.json()["customer"]["customer_id"], Value::Null);
}

/// A refund, and the balance after it or the code and the parameter of its problem.
type RefundRow<'a> = (&'a str, Result<i64, (&'a str, &'a str)>);

/// Records an order of customer 1 and its refunds, with the balance or the problem after each.
fn run_refunds(order: &str, earned: i64, refunds: &[RefundRow<'_>]) {
    let server = TestServer::new();
    let order = format!(r#"{{"customer":{{"customer_id":"1"}},"status":"paid",{order}}}"#);
    assert_eq!(changed(&server.put("/v1/orders/o", order).expect(200)).1, earned);
    for (number, (refund, expected)) in refunds.iter().enumerate() {
        let body = format!(r#"{{"refund_id":"r{number}",{refund}}}"#);
        let response = server.post("/v1/orders/o/refunds", &body);
        match expected {
            Ok(balance) => assert_eq!(changed(&response.expect(200)).1, *balance, "{body}"),
            Err((code, param)) => {
                let status = if *code == "missing_field" { 400 } else { 422 };
                response.assert_problem(status, code, param);
            }
        }
    }
}

#[test]
fn a_refund_says_its_parts() {
    let postage = r#""lines":[{"line_id":"a","quantity":1,"amount":"415.00"}],
        "shipping":"95.00","total":"510.00""#;
    run_refunds(
        postage,
        415,
        &[
            (
                r#""amount":"95.00","shipping":"95.01""#,
                Err(("refund_parts_exceed_amount", "/shipping")),
            ),
            (
                r#""amount":"95.00","shipping":"90.00","tax":"5.01""#,
                Err(("refund_parts_exceed_amount", "/tax")),
            ),
            (
                r#""lines":[{"line_id":"a","quantity":1}],"shipping":"5""#,
                Err(("missing_field", "/amount")),
            ),
            (r#""amount":"95.00","shipping":"95.00""#, Ok(415)),
            (r#""amount":"415.00""#, Ok(0)),
        ],
    );

    let coupon = r#""lines":[{"line_id":"a","quantity":1,"amount":"42.86"},
        {"line_id":"b","quantity":1,"amount":"17.14"}],"total":"60.00""#;
    let back = r#""lines":[{"line_id":"b","quantity":1}],"amount":"20.00""#;
    run_refunds(coupon, 60, &[(back, Ok(40))]);

    let kept = r#""lines":[{"quantity":1,"amount":"49.95"}],"shipping":"5.00","total":"54.95""#;
    run_refunds(kept, 49, &[(r#""amount":"49.95""#, Ok(0))]);
    let europe = r#""lines":[{"quantity":1,"amount":"30.00"}],"taxes_included":true,
        "tax":"6.00","shipping":"6.00","total":"36.00""#;
    run_refunds(europe, 24, &[(r#""amount":"30.00""#, Ok(0))]);
}

#[test]
fn a_refund_in_another_currency_says_so() {
    let rand = r#""currency":"EUR","lines":[{"line_id":"a","quantity":1,"amount":"1000.00"}],
        "total":"1000.00","shop_money":{"lines":["50.00"],"total":"50.00"}"#;
    run_refunds(
        rand,
        50,
        &[
            (r#""amount":"50.00""#, Err(("currency_required", "/currency"))),
            (r#""amount":"50.00","currency":"ZAR""#, Err(("currency_mismatch", "/currency"))),
            (r#""amount":"50.00","currency":"EUR""#, Ok(47)),
            (r#""amount":"50.00","currency":"EUR","shop_money":{"amount":"2.50"}"#, Ok(45)),
            (r#""amount":"20.00","shop_money":{"amount":"10.00","shipping":"10.00"}"#, Ok(35)),
            (r#""amount":"15.00","currency":"USD""#, Ok(20)),
            (
                r#""amount":"1","shop_money":{"amount":"1.00","tax":"1.01"}"#,
                Err(("refund_parts_exceed_amount", "/shop_money/tax")),
            ),
        ],
    );

    let server = TestServer::new();
    let unnamed = r#"{"customer":{"customer_id":"1"},"status":"paid",
        "lines":[{"quantity":1,"amount":"1000.00"}],"total":"1000.00",
        "shop_money":{"lines":["50.00"],"total":"50.00"}}"#;
    server
        .put("/v1/orders/o", unnamed)
        .assert_problem(422, "currency_required", "/currency");
    let same = unnamed.replace("50.00", "1000.00");
    assert_eq!(changed(&server.put("/v1/orders/o", same).expect(200)), (1_000, 1_000));
}

#[test]
fn a_line_that_an_edit_removed_can_be_refunded() {
    let paid = |lines: &str, total: &str, time: &str| {
        format!(
            r#"{{"customer":{{"customer_id":"1"}},"status":"paid","updated_at":"2026-02-{time}T00:00:00Z",
                "lines":[{lines}],"total":"{total}"}}"#
        )
    };
    let (a, b) = (
        r#"{"line_id":"a","quantity":1,"amount":"60.00"}"#,
        r#"{"line_id":"b","quantity":1,"amount":"40.00"}"#,
    );
    let facts = [
        ("PUT", paid(&format!("{a},{b}"), "100.00", "01")),
        ("PUT", paid(a, "60.00", "02")),
        ("POST", r#"{"refund_id":"r","lines":[{"line_id":"b","quantity":1}]}"#.to_owned()),
    ];
    for arrival in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let server = TestServer::new();
        for fact in arrival {
            let (method, body) = &facts[fact];
            let response = if *method == "PUT" {
                server.put("/v1/orders/o", body.clone())
            } else {
                server.post("/v1/orders/o/refunds", body)
            };
            response.expect(200);
        }
        let customer = server.get("/v1/customers/1").expect(200).json();
        assert_eq!(customer["point_balance"], 60, "{arrival:?}");
    }
}

#[test]
fn an_order_reported_again_after_its_cancellation_is_reopened() {
    let server = TestServer::new();
    let put = |body: String| changed(&server.put("/v1/orders/o", body).expect(200)).1;
    assert_eq!(put(order("paid", "50.00", "")), 50);
    assert_eq!(put(r#"{"status":"cancelled"}"#.into()), 0);
    assert_eq!(put(order("paid", "50.00", "")), 50);
    assert_eq!(put(order("paid", "50.00", "")), 50);
}
