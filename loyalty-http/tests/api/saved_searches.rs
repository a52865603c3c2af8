//! Saved searches and their results.

use crate::support::TestServer;

#[test]
fn a_search_is_saved_run_and_deleted() {
    let server = TestServer::new();
    for number in 0..3 {
        server.customer(&format!("c{number}"), number * 100);
    }
    let saved = server
        .post("/v1/customer-saved-searches", r#"{"name":"Rich","query":"points:>=100"}"#)
        .expect(201);
    let answer = r#"{"saved_search_id":"1","name":"Rich","query":"points:>=100","created_at":"2026-03-01T12:00:00Z"}"#;
    assert_eq!(saved.text(), answer);
    assert_eq!(server.get("/v1/customer-saved-searches/1").expect(200).text(), answer);
    server
        .post("/v1/customer-saved-searches", r#"{"name":"All"}"#)
        .expect(201);
    assert_eq!(
        server.get("/v1/customer-saved-searches/count").expect(200).text(),
        r#"{"count":2}"#
    );
    let page = server.get("/v1/customer-saved-searches?limit=1").expect(200);
    assert_eq!(page.text(), format!(r#"{{"customer_saved_searches":[{answer}]}}"#));
    let page = server.get(&page.next().unwrap()).expect(200);
    assert_eq!(
        (page.json()["customer_saved_searches"][0]["query"].as_str(), page.next()),
        (Some(""), None)
    );

    let found = |path: &str| {
        let page = server.get(path).expect(200);
        let customers = page.json()["customers"].as_array().unwrap().clone();
        let ids = customers
            .iter()
            .map(|customer| customer["customer_id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>().join(" "), page.next())
    };
    let (first, next) = found("/v1/customer-saved-searches/1/customers?limit=1");
    assert_eq!((first.as_str(), found(&next.unwrap())), ("c1", ("c2".to_owned(), None)));
    // It finds the customers that match now.
    server
        .post("/v1/points-subtract", r#"{"customer_id":"c1","points":1}"#)
        .expect(200);
    assert_eq!(found("/v1/customer-saved-searches/1/customers").0, "c2");
    assert_eq!(found("/v1/customer-saved-searches/2/customers").0, "c0 c1 c2");

    assert_eq!(
        server
            .request("DELETE", "/v1/customer-saved-searches/1")
            .send()
            .status,
        204
    );
    for path in ["1", "1/customers", "9", "0", "x", "9007199254740992"] {
        let gone = server.get(&format!("/v1/customer-saved-searches/{path}"));
        gone.assert_problem(404, "saved_search_not_found", "saved_search_id");
    }
}

#[test]
fn invalid_searches_are_not_saved() {
    let server = TestServer::new();
    server
        .post("/v1/customer-saved-searches", r#"{"name":"All"}"#)
        .expect(201);
    let before = server.snapshot();
    let rows: [(&str, u16, &str, &str); 6] = [
        (r#"{"query":"a"}"#, 400, "missing_field", "/name"),
        (r#"{"name":""}"#, 422, "invalid_value", "/name"),
        (r#"{"name":"All","query":"tag:a"}"#, 409, "saved_search_name_taken", "/name"),
        (r#"{"name":"x","query":"orders_count:>1"}"#, 422, "invalid_search", "/query"),
        (r#"{"name":"x","query":"(a"}"#, 422, "invalid_search", "/query"),
        (r#"{"name":"x","sort":"id"}"#, 400, "unknown_field", "/sort"),
    ];
    for (body, status, code, param) in rows {
        server
            .post("/v1/customer-saved-searches", body)
            .assert_problem(status, code, param);
    }
    assert_eq!(server.snapshot(), before);
}

#[test]
fn searches_support_points_times_and_operators() {
    let server = TestServer::new();
    server.customer("a", 5);
    server.set_time("2026-03-01T23:30:00Z"); // 2 March in Berlin, the shop's zone.
    server.customer("b", 50);
    let found = |query: &str| {
        let customers = server
            .get(&format!("/v1/customers/search?query={query}"))
            .expect(200)
            .json();
        let ids = customers["customers"].as_array().unwrap().clone();
        ids.iter()
            .map(|customer| customer["customer_id"].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    for (query, expected) in [
        ("points:%3E5", "b"),
        ("-points:%3E5", "a"),
        ("id:a+OR+id:b", "ab"),
        ("NOT+(id:a+OR+id:b)", ""),
        ("created_at:2026-03-02", "b"),
        ("created_at:%3C2026-03-02", "a"),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    let refused = server.get("/v1/customers/search?query=total_spent:%3E100");
    refused.assert_problem(422, "invalid_search", "query");
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("total_spent is not stored"), "{detail}");
}
