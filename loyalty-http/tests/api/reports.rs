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

/// The clock of the tests stands at 12:00 UTC of 1 March 2026, a Sunday, in Berlin.
#[test]
fn a_time_series_adds_up_by_days_weeks_and_months() {
    let server = shop();
    server.set_time("2026-03-02T09:00:00Z");
    server
        .post("/v1/points-add", r#"{"customer_id":"2","points":3}"#)
        .expect(200);
    server.set_time("2026-04-01T09:00:00Z");
    server
        .post("/v1/points-add", r#"{"customer_id":"2","points":2}"#)
        .expect(200);
    let series = |query: &str| {
        let path = format!("/v1/reports/timeseries?{query}");
        server.get(&path).expect(200).json()
    };
    let brief = |series: &serde_json::Value| {
        let buckets = series["buckets"].as_array().unwrap().iter();
        let brief = buckets.map(|bucket| {
            let start = bucket["start"].as_str().unwrap().to_owned();
            (start, bucket["issued"]["total"].as_i64().unwrap(), bucket["redeemed"].clone())
        });
        brief.collect::<Vec<_>>()
    };
    let march = "from=2026-02-28T23:00:00Z&until=2026-03-03T23:00:00Z";
    let days = series(march);
    let bucket =
        |start: &str, issued: i64, redeemed: i64| (start.to_owned(), issued, json!(redeemed));
    let (first, second) = (bucket("2026-03-01", 217, 27), bucket("2026-03-02", 3, 0));
    assert_eq!(brief(&days), [first, second, bucket("2026-03-03", 0, 0)]);
    assert_eq!(days["buckets"][0]["clawed_back"], 30);
    assert_eq!(days["time_zone"], "Europe/Berlin");

    let weeks = series(&format!("{march}&interval=week"));
    assert_eq!(brief(&weeks), [bucket("2026-02-23", 217, 27), bucket("2026-03-02", 3, 0)]);
    let months = series("from=2026-03-01T13:00:00Z&interval=month&until=2026-04-02T00:00:00Z");
    assert_eq!(brief(&months), [bucket("2026-03-01", 3, 0), bucket("2026-04-01", 2, 0)]);

    let by_action = series(&format!("{march}&by=action"));
    let expected = json!([{"action_id": "plan", "times": 1, "points": 10},
        {"action_id": "=cmd()", "times": 1, "points": 7}]);
    assert_eq!(by_action["buckets"][0]["actions"], expected);
    let csv = |query: &str| {
        let answer = server.get(&format!("/v1/reports/timeseries?{march}&format=csv{query}"));
        assert_eq!(answer.status, 200);
        answer.text().to_owned()
    };
    let header = "start,orders,awards,by_hand,issued,redeemed,expired,clawed_back,erased,adjusted";
    let lines = ["2026-03-01,200,7,10,217,27,0,30,0,5", "2026-03-02,0,0,3,3,0,0,0,0,0"];
    assert_eq!(
        csv(""),
        format!("{header}\r\n{}\r\n2026-03-03,0,0,0,0,0,0,0,0,0\r\n", lines.join("\r\n"))
    );
    assert_eq!(
        csv("&by=action"),
        "start,action_id,times,points\r\n2026-03-01,plan,1,10\r\n2026-03-01,'=cmd(),1,7\r\n"
    );
}

#[test]
fn a_time_series_says_up_to_when_it_is_settled() {
    let server = shop();
    let settled = |server: &TestServer| {
        server.get("/v1/reports/timeseries").expect(200).json()["settled_until"].clone()
    };
    let store: Arc<dyn Store> = server.store.clone();
    assert_eq!(settled(&server), json!(null), "a program was published");
    let clock = Clock::fixed(time("2026-03-01T12:00:00Z"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(scheduler::run_pass(&store, &clock, 10)).unwrap();
    assert_eq!(settled(&server), json!("2026-03-01T12:00:00Z"));
    server.set_time("2026-06-01T12:00:00Z");
    assert_eq!(settled(&server), json!("2026-04-19T22:00:00Z"), "a birthday is due");
}

#[test]
fn a_wrong_time_series_is_named() {
    let server = TestServer::new();
    for (query, code, param) in [
        ("interval=hour", "invalid_value", "interval"),
        ("by=tier", "invalid_value", "by"),
        ("format=xml", "invalid_value", "format"),
        ("from=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "invalid_value", "until"),
        ("from=2020-01-01T00:00:00Z", "out_of_range", "from"),
    ] {
        let path = format!("/v1/reports/timeseries?{query}");
        server.get(&path).assert_problem(422, code, param);
    }
    let month = server.get("/v1/reports/timeseries?interval=month&from=2020-01-01T00:00:00Z");
    assert_eq!(month.expect(200).json()["buckets"].as_array().unwrap().len(), 75);
}
