//! Invalid bodies: each writing route rejects each of them, names the place, and changes
//! nothing.

use crate::support::TestServer;

const TARGETS: [(&str, &str); 18] = [
    ("POST", "/v1/customers"),
    ("PATCH", "/v1/customers/1"),
    ("POST", "/v1/points-add"),
    ("POST", "/v1/points-subtract"),
    ("POST", "/v1/customers/point-balance"),
    ("PUT", "/v1/orders/o"),
    ("POST", "/v1/orders/o/refunds"),
    ("PUT", "/v1/program"),
    ("POST", "/v1/program/validate"),
    ("POST", "/v1/program/dry-run"),
    ("PUT", "/v1/products/tea"),
    ("POST", "/v1/products/bulk"),
    ("PUT", "/v1/categories/tea"),
    ("POST", "/v1/categories/bulk"),
    ("POST", "/v1/customer-saved-searches"),
    ("POST", "/v1/actions"),
    ("POST", "/v1/customers/1/referral-code"),
    ("POST", "/v1/customers/1/referral"),
];

#[test]
fn malformed_json_is_rejected_by_every_route() {
    let server = TestServer::new();
    server.customer("1", 5);
    let before = server.snapshot();
    let deep = [b"{\"a\":".repeat(200), b"}".repeat(200)].concat();
    let bodies: [(&[u8], &[&str]); 9] = [
        (b"", &["truncated_json"]),
        (b"{", &["truncated_json"]),
        (b"{\"", &["truncated_json"]),
        (b"nonsense", &["malformed_json"]),
        (b"{} {}", &["malformed_json", "missing_field"]),
        (b"{\"reason\":NaN}", &["malformed_json", "unknown_field"]),
        (b"{\"\xff\":1}", &["malformed_json"]),
        (b"\xef\xbb\xbf{}", &["malformed_json"]),
        (&deep, &["too_deep", "unknown_field"]),
    ];
    for (method, path) in TARGETS {
        for (body, codes) in bodies {
            let answer = server.request(method, path).body(body).send();
            let (status, code, _) = answer.problem();
            let text = String::from_utf8_lossy(&body[..body.len().min(30)]);
            assert_eq!(status, 400, "{path} {text}: {}", answer.text());
            assert!(codes.contains(&code.as_str()), "{path} {text}: {code}");
        }
    }
    assert_eq!(server.snapshot(), before);
}

#[test]
fn a_body_that_is_no_object_is_rejected() {
    let server = TestServer::new();
    let before = server.snapshot();
    for (method, path) in TARGETS {
        for body in ["[]", "null", "1", "\"{}\"", r#"["1",5]"#] {
            let answer = server.request(method, path).body(body).send();
            match path {
                "/v1/program" => answer.assert_problem(422, "invalid_program", ""),
                "/v1/program/validate" => assert_eq!(answer.json()["valid"], false),
                _ => answer.assert_problem(400, "wrong_type", ""),
            }
        }
    }
    assert_eq!(server.snapshot(), before);
}

#[test]
fn unknown_duplicate_and_dirty_fields_are_rejected() {
    let server = TestServer::new();
    server.customer("1", 5);
    let before = server.snapshot();
    let rows: [(&str, &str, &str, u16, &str, &str); 19] = [
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"2","phone":"1"}"#,
            400,
            "unknown_field",
            "/phone",
        ),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"2","customer_id":"3"}"#,
            400,
            "duplicate_field",
            "/customer_id",
        ),
        ("POST", "/v1/customers", "{}", 400, "missing_field", "/customer_id"),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":""}"#,
            422,
            "invalid_value",
            "/customer_id",
        ),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"a\u0000b"}"#,
            422,
            "invalid_value",
            "/customer_id",
        ),
        (
            "POST",
            "/v1/customers",
            "{\"customer_id\":\"a\0b\"}",
            400,
            "malformed_json",
            "/customer_id",
        ),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"\ud800"}"#,
            400,
            "malformed_json",
            "/customer_id",
        ),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"2","email":"a@b@c"}"#,
            422,
            "invalid_value",
            "/email",
        ),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"2","first_name":"a\u0000"}"#,
            422,
            "invalid_value",
            "/first_name",
        ),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"2","birthday":19900101}"#,
            400,
            "wrong_type",
            "/birthday",
        ),
        (
            "POST",
            "/v1/customers",
            r#"{"customer_id":"2","tags":{}}"#,
            400,
            "wrong_type",
            "/tags",
        ),
        (
            "POST",
            "/v1/points-add",
            r#"{"customer_id":"1","points":5,"points":6}"#,
            400,
            "duplicate_field",
            "/points",
        ),
        (
            "POST",
            "/v1/points-add",
            r#"{"customer_id":"1","points":5,"tier":"x"}"#,
            400,
            "unknown_field",
            "/tier",
        ),
        (
            "POST",
            "/v1/points-add",
            r#"{"customer_id":"1","points":NaN}"#,
            400,
            "malformed_json",
            "/points",
        ),
        (
            "POST",
            "/v1/points-add",
            r#"{"customer_id":"1","points":true}"#,
            400,
            "wrong_type",
            "/points",
        ),
        ("POST", "/v1/points-add", r#"["1",5]"#, 400, "wrong_type", ""),
        (
            "PUT",
            "/v1/orders/o",
            r#"{"status":"cancelled","status":"paid"}"#,
            400,
            "duplicate_field",
            "/status",
        ),
        (
            "PUT",
            "/v1/orders/o",
            r#"{"status":"cancelled","customer":{"id":"1"}}"#,
            400,
            "unknown_field",
            "/customer/id",
        ),
        (
            "POST",
            "/v1/orders/o/refunds",
            r#"{"refund_id":"r","amount":"1","refund_id":"s"}"#,
            400,
            "duplicate_field",
            "/refund_id",
        ),
    ];
    for (method, path, body, status, code, param) in rows {
        server
            .request(method, path)
            .body(body)
            .send()
            .assert_problem(status, code, param);
    }
    let tags = serde_json::json!({"customer_id": "2", "tags": vec!["t"; 251]}).to_string();
    server
        .post("/v1/customers", tags)
        .assert_problem(422, "out_of_range", "/tags");
    assert_eq!(server.snapshot(), before);
    server
        .get("/v1/customers/2")
        .assert_problem(404, "customer_not_found", "customer_id");
    server
        .get("/v1/orders/o")
        .assert_problem(404, "order_not_found", "order_id");
    assert_eq!(server.balance("1"), 5);
}
