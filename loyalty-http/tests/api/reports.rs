//! Reports: points issued and spent in a period, and the liability.

use std::sync::Arc;

use loyalty_http::{Clock, scheduler};
use loyalty_store::Store;
use serde_json::json;

use crate::support::{TestServer, time};

const PROGRAM: &str = r#"{
    "expiry": {"per_lot": {"after": "P2M"}},
    "tiers": [{"id": "silver", "name": "Silver", "threshold": "100"}],
    "actions": [{"id": "=cmd()", "kind": "custom", "points": 7}, {"id": "cake", "kind": "birthday", "points": 50}]
}"#;

fn shop() -> TestServer {
    let server = TestServer::new();
    server.put("/v1/program", PROGRAM).expect(201);
    for id in ["1", "2", "3"] {
        server
            .post(
                "/v1/customers",
                json!({"customer_id": id, "birthday": "1990-04-20"}).to_string(),
            )
            .expect(201);
    }
    let order = |id: &str, total: &str| {
        json!({"customer": {"customer_id": id}, "status": "paid",
               "lines": [{"quantity": 1, "amount": total}], "total": total})
        .to_string()
    };
    server.put("/v1/orders/a", order("1", "120")).expect(200);
    server.put("/v1/orders/b", order("2", "80")).expect(200);
    server
        .post("/v1/orders/b/refunds", r#"{"refund_id":"r","amount":"30"}"#)
        .expect(200);
    server
        .post("/v1/actions", r#"{"customer_id":"1","action_id":"=cmd()"}"#)
        .expect(200);
    server
        .post("/v1/points-add", r#"{"customer_id":"2","points":10,"action_id":"plan"}"#)
        .expect(200);
    server
        .post("/v1/points-subtract", r#"{"customer_id":"1","points":27}"#)
        .expect(200);
    server.patch("/v1/customers/3", r#"{"point_balance":5}"#).expect(200);
    server
}

#[test]
fn a_report_adds_up_before_and_after_the_scheduler_runs() {
    let server = shop();
    server.set_time("2026-04-25T00:00:00Z");
    let ask = || {
        let answer =
            server.get("/v1/reports/summary?from=2026-03-01T00:00:00Z&until=2026-05-01T00:00:00Z&point_value=0.01");
        answer.expect(200).json()
    };
    let report = ask();
    assert_eq!(
        report["issued"],
        json!({"orders": 200, "awards": 157, "by_hand": 10, "total": 367})
    );
    assert_eq!(
        (&report["redeemed"], &report["clawed_back"], &report["adjusted"]),
        (&json!(27), &json!(30), &json!(5))
    );
    assert_eq!((&report["expired"], &report["redemption_rate"]), (&json!(0), &json!("0.0736")));
    let balances: i64 = ["1", "2", "3"].iter().map(|id| server.balance(id)).sum();
    assert_eq!((&report["liability"]["points"], balances), (&json!(315), 315));
    assert_eq!(
        report["liability"]["by_month"],
        json!([{"month": "2026-05", "points": 165, "value": "1.65"}, {"month": "2026-06", "points": 150, "value": "1.5"}])
    );
    assert_eq!(
        report["members"],
        json!([{"tier": null, "customers": 2}, {"tier": "silver", "customers": 1}])
    );
    assert_eq!(
        report["top_actions"][0],
        json!({"action_id": "cake", "times": 3, "points": 150})
    );
    let store: Arc<dyn Store> = server.store.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime
        .block_on(scheduler::run_pass(&store, &Clock::fixed(time("2026-04-25T00:00:00Z")), 10))
        .unwrap();
    assert_eq!(ask(), report);
    // An earlier and a later period.
    let other = server
        .get("/v1/reports/summary?until=2026-03-01T12:00:00Z")
        .expect(200)
        .json();
    assert_eq!(
        (&other["issued"]["total"], &other["liability"]["points"]),
        (&json!(0), &json!(315))
    );
    server.set_time("2026-05-02T00:00:00Z");
    let other = server
        .get("/v1/reports/summary?from=2026-05-01T00:00:00Z")
        .expect(200)
        .json();
    assert_eq!((&other["issued"]["total"], &other["expired"]), (&json!(0), &json!(165)));
}

#[test]
fn csv_cells_contain_no_formula() {
    let server = shop();
    let csv = server.get("/v1/reports/summary?format=csv");
    assert_eq!((csv.status, csv.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    let lines: Vec<&str> = csv.text().split("\r\n").collect();
    assert_eq!(lines[0], "section,name,points,count");
    for line in ["issued,orders,0,", "members,none,,2", "members,silver,,1", "liability,total,165,"]
    {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
    server.set_time("2026-03-01T12:00:01Z");
    let csv = server.get("/v1/reports/summary?format=csv");
    assert!(csv.text().contains("\r\naction,'=cmd(),7,1\r\n"), "{}", csv.text());
}

#[test]
fn the_program_sets_the_point_value() {
    let server = shop();
    let worth = |query: &str| {
        let liability =
            &server.get(&format!("/v1/reports/summary{query}")).expect(200).json()["liability"];
        (
            liability["point_value"].clone(),
            liability["value"].clone(),
            liability["by_month"][0]["value"].clone(),
        )
    };
    let values = |value: &str, sum: &str, month: &str| (json!(value), json!(sum), json!(month));
    assert_eq!(worth(""), (json!(null), json!(null), json!(null)));
    server.put("/v1/program", r#"{"point_value": "0.0125"}"#).expect(201);
    assert_eq!(server.get("/v1/program").expect(200).json()["point_value"], "0.0125");
    assert_eq!(worth(""), values("0.0125", "2.0625", "2.0625"));
    assert_eq!(worth("?point_value=2"), values("2", "330", "330"));
    for (program, code) in [
        (r#"{"point_value": "0"}"#, "out_of_range"),
        (r#"{"point_value": "-1"}"#, "invalid_value"),
        (r#"{"point_value": "0.00001"}"#, "invalid_value"),
        (r#"{"point_value": 0.01}"#, "wrong_type"),
    ] {
        let refused = server.put("/v1/program", program);
        assert_eq!(refused.status, 422, "{program}");
        let fault = &refused.json()["faults"][0];
        assert_eq!(
            (&fault["pointer"], &fault["code"]),
            (&json!("/point_value"), &json!(code)),
            "{program}"
        );
    }
}

#[test]
fn an_invalid_report_request_is_rejected() {
    let server = TestServer::new();
    for (query, code, param) in [
        ("?from=yesterday", "invalid_value", "from"),
        (
            "?from=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z",
            "invalid_value",
            "until",
        ),
        ("?format=xls", "invalid_value", "format"),
        ("?point_value=cheap", "invalid_value", "point_value"),
    ] {
        server
            .get(&format!("/v1/reports/summary{query}"))
            .assert_problem(422, code, param);
    }
}
