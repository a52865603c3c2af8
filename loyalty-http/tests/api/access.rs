//! Checks before a handler is called: paths, methods, keys, scopes and media types.

use loyalty_http::router::ROUTES;
use loyalty_store::{Scope, Store};

use crate::support::TestServer;

#[test]
fn a_key_identifies_its_shop() {
    let server = TestServer::new();
    assert_eq!(
        server.get("/v1/key").expect(200).text(),
        r#"{"key_id":"1111111111111111","shop_id":"1","shop":"Tea","currency":"USD","time_zone":"Europe/Berlin","scopes":["read","write","admin"],"time":"2026-03-01T12:00:00Z"}"#
    );
}

#[test]
fn health_needs_no_key() {
    let server = TestServer::new();
    for path in ["/livez", "/readyz"] {
        assert_eq!(
            server.request("GET", path).key("").send().expect(200).text(),
            r#"{"status":"ok"}"#
        );
        assert_eq!(server.request("HEAD", path).key("").send().status, 200);
    }
}

#[test]
fn every_route_checks_its_scope_first() {
    let server = TestServer::new();
    let before = server.snapshot();
    let (read, write) = (server.key_with(3, &[Scope::Read]), server.key_with(4, &[Scope::Write]));
    // The public part of a key, and a guess.
    let guessed = format!("{}_00000000000000000000000000000000", write.rsplit_once('_').unwrap().0);
    for route in ROUTES.iter() {
        let path = route.pattern.replace("{customer_id}", "1").replace("{order_id}", "o");
        let shopify = path.starts_with("/admin");
        let ask = |key: &str| {
            let request = server.request(route.method.as_str(), &path);
            // The other header is ignored.
            if shopify { request.header("x-shopify-access-token", key) } else { request.key(key) }
                .send()
        };
        let Some(scope) = route.scope().filter(|_| shopify || path.starts_with("/v1")) else {
            continue;
        };
        for stranger in [ask("lk_0000000000000000_00000000000000000000000000000000"), ask(&guessed)]
        {
            stranger.assert_problem(401, "unauthorized", "");
            assert_eq!(stranger.header("www-authenticate"), Some("Bearer"));
        }
        for (key, has) in [(&read, Scope::Read), (&write, Scope::Write)] {
            let answer = ask(key);
            if has == scope {
                assert!(![401, 403].contains(&answer.status), "{path}: {}", answer.text());
            } else {
                answer.assert_problem(403, "missing_scope", "");
            }
        }
    }
    let list = server.request("GET", "/v1/customers").send();
    assert_eq!(list.expect(200).text(), r#"{"customers":[]}"#);
    assert!(before.contains("rows: 0"));
    assert_eq!(server.store.verify().unwrap().rows, 0);
}

#[test]
fn paths_and_methods() {
    let server = TestServer::new();
    for path in ["/", "/docs"] {
        let index = server.request("GET", path).key("").send().expect(200);
        assert_eq!(index.json()["document"], "/openapi.json");
    }
    for path in
        ["/v1", "/v1/", "/v1/customers/", "/v1/nothing", "/v1/lots", "/v2/customers", "/livez/"]
    {
        server
            .request("GET", path)
            .key("")
            .send()
            .assert_problem(404, "not_found", "");
    }
    let refused = server.request("DELETE", "/v1/customers/1").key("").send();
    refused.assert_problem(405, "method_not_allowed", "");
    assert_eq!(refused.header("allow"), Some("GET, HEAD, PATCH"));
    assert_eq!(server.request("GET", "/v1/points-add").send().header("allow"), Some("POST"));
    assert_eq!(server.request("POST", "/livez").send().header("allow"), Some("GET, HEAD"));
    assert_eq!(server.request("BREW", "/v1/key").send().status, 405);
    server
        .get("/v1/customers/%zz")
        .assert_problem(400, "malformed_path", "customer_id");
    server
        .get("/v1/customers/%FF")
        .assert_problem(400, "malformed_path", "customer_id");
    server
        .get("/v1/customers/a%00b")
        .assert_problem(422, "invalid_value", "customer_id");
    server
        .get(&format!("/v1/customers/{}", "x".repeat(256)))
        .assert_problem(422, "out_of_range", "customer_id");
    server
        .put("/v1/orders/a%0Ab", r#"{"status":"cancelled"}"#)
        .assert_problem(422, "invalid_value", "order_id");
    server
        .post("/v1/points-add?dry=1", "{}")
        .assert_problem(400, "unknown_parameter", "dry");
}

#[test]
fn bodies_need_a_json_media_type() {
    let server = TestServer::new();
    let body = r#"{"customer_id":"1"}"#;
    let typed = |media: &str| {
        server
            .request("POST", "/v1/customers")
            .body(body)
            .header("content-type", media)
            .send()
    };
    typed("text/plain").assert_problem(415, "unsupported_media_type", "Content-Type");
    typed("application/json; charset=utf-8").expect(201);
    let large = format!(r#"{{"customer_id":"{}"}}"#, "x".repeat(1 << 20));
    let large = server.post("/v1/customers", large);
    large.assert_problem(413, "body_too_large", "");
    assert_eq!(large.json()["limit"], 1 << 20);
}
