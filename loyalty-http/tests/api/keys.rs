//! Keys and signing secrets over HTTP.

use loyalty_http::router::{Access, ROUTES};
use loyalty_store::{Scope, Store};
use serde_json::{Value, json};

use crate::conformance::operations;
use crate::support::{NOW, TestServer, time};

fn key_ids(server: &TestServer) -> Vec<String> {
    let keys = server.get("/v1/keys").expect(200).json();
    let keys = keys["keys"].as_array().unwrap().iter();
    keys.map(|key| key["key_id"].as_str().unwrap().to_owned()).collect()
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{value} has no {name}"))
        .to_owned()
}

#[test]
fn a_key_is_created_used_rotated_and_revoked() {
    let server = TestServer::new();
    let body =
        r#"{"name": "Till 1", "scopes": ["write", "read"], "expires_at": "2026-06-01T00:00:00Z"}"#;
    let created = server.post("/v1/keys", body).expect(201).json();
    assert_eq!(created["scopes"], json!(["read", "write"]));
    assert_eq!(
        (&created["name"], &created["expires_at"]),
        (&json!("Till 1"), &json!("2026-06-01T00:00:00Z"))
    );
    let (id, key) = (text(&created, "key_id"), text(&created, "key"));
    let with = |key: &str| server.request("GET", "/v1/customers").key(key).send().status;
    assert_eq!(with(&key), 200);

    let list = server.get("/v1/keys").expect(200);
    assert!(!list.text().contains(&key), "the key is shown once");
    assert_eq!(key_ids(&server), ["1111111111111111", &id]);

    let rotated = server
        .post(&format!("/v1/keys/{id}/rotate"), r#"{"grace_seconds": 3600}"#)
        .expect(201)
        .json();
    let new = text(&rotated, "key");
    assert_eq!(rotated["expires_at"], "2026-06-01T00:00:00Z");
    server.set_time("2026-03-01T12:59:59Z");
    assert_eq!((with(&key), with(&new)), (200, 200));
    server.set_time("2026-03-01T13:00:00Z");
    assert_eq!((with(&key), with(&new)), (401, 200));

    let new_id = text(&rotated, "key_id");
    assert_eq!(server.delete(&format!("/v1/keys/{new_id}")).status, 204);
    assert_eq!(with(&new), 401);
    server
        .delete(&format!("/v1/keys/{new_id}"))
        .assert_problem(404, "key_not_found", "key_id");
    assert_eq!(key_ids(&server), ["1111111111111111"]);
}

#[test]
fn a_use_is_shown_later() {
    let server = TestServer::new();
    server.get("/v1/key").expect(200);
    server.store.write_key_uses().unwrap();
    let keys = server.get("/v1/keys").expect(200).json();
    assert_eq!(keys["keys"][0]["last_used_at"], "2026-03-01T12:00:00Z");
}

#[test]
fn each_operation_refuses_a_key_without_its_scope() {
    let server = TestServer::new();
    let mut checked = 0;
    let keys: Vec<(Scope, String, String)> = Scope::OF_SHOP
        .into_iter()
        .zip([11_u8, 21, 31])
        .map(|(scope, seed)| {
            let others: Vec<_> =
                Scope::OF_SHOP.into_iter().filter(|other| *other != scope).collect();
            (scope, server.key_with(seed, &others), server.key_with(seed + 1, &[scope]))
        })
        .collect();
    let before = server.snapshot();
    for &operation in operations() {
        let security = &operation.spec["security"][0];
        let scheme = if operation.pattern.starts_with("/admin") { "token" } else { "key" };
        let Some(scope) = security[scheme][0].as_str() else {
            let route = ROUTES.iter().find(|route| {
                route.pattern == operation.pattern
                    && route.method.as_str().eq_ignore_ascii_case(operation.method)
            });
            assert!(
                matches!(route.unwrap().access(), Access::Open | Access::Signed),
                "{} names no scope",
                operation.id()
            );
            continue;
        };
        let path =
            operation
                .parameters()
                .iter()
                .fold(operation.pattern.to_owned(), |path, parameter| {
                    let example = &parameter["example"];
                    let value = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
                    path.replace(&format!("{{{}}}", parameter["name"].as_str().unwrap()), &value)
                });
        let send = |key: &str| {
            let request = server.request(&operation.method.to_uppercase(), &path).key(key);
            request.header("x-shopify-access-token", key).send()
        };
        let (_, without, with) = keys
            .iter()
            .find(|(known, ..)| known.name() == scope)
            .unwrap_or_else(|| panic!("{} has the scope {scope}", operation.id()));
        send(without).assert_problem(403, "missing_scope", "");
        let answer = send(with);
        assert!(![401, 403].contains(&answer.status), "{}: {}", operation.id(), answer.text());
        checked += 1;
    }
    assert!(checked > 80, "only {checked}");
    assert_eq!(server.snapshot(), before);
}

#[test]
fn an_idempotent_request_makes_one_key() {
    let server = TestServer::new();
    let send = |body: &str| {
        server
            .request("POST", "/v1/keys")
            .body(body)
            .idempotency_key("k1")
            .send()
    };
    let body = r#"{"name": "Till", "scopes": ["read"]}"#;
    let first = send(body).expect(201);
    let again = send(body).expect(201);
    assert_eq!(
        (first.text(), again.header("idempotency-replayed")),
        (again.text(), Some("true"))
    );
    let other = send(r#"{"name": "Other", "scopes": ["read"]}"#);
    other.assert_problem(422, "idempotency_key_reused", "Idempotency-Key");
    assert_eq!(key_ids(&server).len(), 2);

    // A rejection is replayed as well, and the key of a request can be used again elsewhere.
    let revoke = || {
        server
            .request("DELETE", "/v1/keys/nobodys")
            .idempotency_key("k2")
            .send()
    };
    revoke().assert_problem(404, "key_not_found", "key_id");
    assert_eq!(revoke().header("idempotency-replayed"), Some("true"));
}

#[test]
fn what_is_rejected_changes_nothing() {
    let server = TestServer::new();
    let admin = server.key_with(3, &[Scope::Admin]);
    let before = server.get("/v1/keys").expect(200).text().to_owned();
    let create =
        |key: &str, body: &str| server.request("POST", "/v1/keys").key(key).body(body).send();
    for (body, status, code, param) in [
        (r#"{"scopes": ["read"]}"#, 400, "missing_field", ""),
        (r#"{"name": " ", "scopes": ["read"]}"#, 422, "invalid_value", "/name"),
        (r#"{"name": "a", "scopes": []}"#, 422, "out_of_range", "/scopes"),
        (r#"{"name": "a", "scopes": ["operator"]}"#, 422, "invalid_value", "/scopes/0"),
        (
            r#"{"name": "a", "scopes": ["read", "read"]}"#,
            422,
            "invalid_value",
            "/scopes/1",
        ),
        (
            r#"{"name": "a", "scopes": ["read"], "expires_at": "2026-03-01T12:00:00Z"}"#,
            422,
            "out_of_range",
            "/expires_at",
        ),
    ] {
        let answer = create(&server.key, body);
        if param.is_empty() {
            assert_eq!((answer.status, answer.problem().1.as_str()), (status, code), "{body}");
        } else {
            answer.assert_problem(status, code, param);
        }
    }
    create(&admin, r#"{"name": "a", "scopes": ["admin", "read"]}"#).assert_problem(
        403,
        "missing_scope",
        "/scopes",
    );
    server
        .post("/v1/keys/1111111111111111/rotate", r#"{"grace_seconds": 2592001}"#)
        .assert_problem(422, "out_of_range", "/grace_seconds");
    server
        .request("POST", "/v1/keys/1111111111111111/rotate")
        .key(&admin)
        .send()
        .assert_problem(403, "missing_scope", "/scopes");
    // The other shop's key.
    server
        .delete("/v1/keys/2222222222222222")
        .assert_problem(404, "key_not_found", "key_id");
    server.post("/v1/stores/nowhere/secret/rotate", "").assert_problem(
        404,
        "store_not_found",
        "store_id",
    );
    assert_eq!(server.get("/v1/keys").expect(200).text(), before);

    let id = key_ids(&server).pop().unwrap();
    assert_eq!(server.delete(&format!("/v1/keys/{id}")).status, 204);
    let last = "/v1/keys/1111111111111111";
    server
        .delete(last)
        .assert_problem(409, "last_admin_key", "allow_last");
    assert_eq!(server.delete(&format!("{last}?allow_last=true")).status, 204);
    server.get("/v1/keys").assert_problem(401, "unauthorized", "");
}

#[test]
fn a_secret_is_rotated_and_shown_once() {
    let server = TestServer::new();
    let rotate = |key: &str| {
        let path = "/v1/stores/plugin/secret/rotate";
        server.request("POST", path).idempotency_key(key).send().expect(201)
    };
    let first = rotate("k1");
    let secret = text(&first.json(), "secret");
    assert_eq!(first.json()["previous_expires_at"], "2026-03-02T12:00:00Z");
    assert_eq!(rotate("k1").text(), first.text());
    let valid = || {
        let secrets = server.store.store_secrets(server.shop).unwrap();
        let valid = secrets.iter().filter(|secret| secret.is_valid(time(NOW)));
        valid
            .map(|secret| secret.secret.expose().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((valid().len(), &valid()[0]), (2, &secret));
    let second = text(&rotate("k2").json(), "secret");
    assert_eq!(valid(), [second, secret]);
}
