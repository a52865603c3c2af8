//! Webhook endpoints over HTTP: who may do what, and what is shown.

use loyalty_store::Scope;
use serde_json::json;

use crate::support::TestServer;

const BODY: &str = r#"{"url": "https://shop.invalid/hook", "events": ["points.earned"]}"#;

#[test]
fn an_endpoint_is_created_changed_rotated_and_deleted() {
    let server = TestServer::new();
    let created = server.post("/v1/webhook-endpoints", BODY).expect(201).json();
    let id = created["endpoint_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhook-endpoints/{id}");
    let secret = created["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    assert_eq!(
        (&created["enabled"], &created["events"]),
        (&json!(true), &json!(["points.earned"]))
    );

    let list = server.get("/v1/webhook-endpoints").expect(200);
    assert!(!list.text().contains(secret), "the secret is shown once");
    let status = server.get(&path).expect(200);
    assert!(!status.text().contains(secret));
    assert_eq!(status.json()["waiting_deliveries"], 0);

    let change = r#"{"enabled": false, "events": []}"#;
    let changed = server.request("PATCH", &path).body(change).send().expect(200).json();
    assert_eq!(
        (&changed["disabled_reason"], &changed["events"]),
        (&json!("requested"), &json!([]))
    );
    assert_eq!(changed["url"], "https://shop.invalid/hook");

    let rotated = server.post(&format!("{path}/secret/rotate"), "").expect(201).json();
    assert_ne!(rotated["secret"], created["secret"]);

    assert_eq!(server.delete(&path).status, 204);
    server
        .delete(&path)
        .assert_problem(404, "webhook_endpoint_not_found", "endpoint_id");
    server
        .get(&path)
        .assert_problem(404, "webhook_endpoint_not_found", "endpoint_id");
}

#[test]
fn a_url_must_be_public_and_https() {
    let server = TestServer::new();
    for url in ["http://shop.example/", "https://10.0.0.1/", "https://u:p@shop.example/", "x"] {
        let body = json!({ "url": url }).to_string();
        server
            .post("/v1/webhook-endpoints", body)
            .assert_problem(422, "invalid_value", "/url");
    }
    server
        .post(
            "/v1/webhook-endpoints",
            r#"{"url": "https://a.example/", "events": ["points"]}"#,
        )
        .assert_problem(422, "invalid_value", "/events/0");
    let list = server.get("/v1/webhook-endpoints").expect(200).json();
    assert_eq!(list["webhook_endpoints"], json!([]));
}

#[test]
fn only_an_administrator_of_the_shop_sees_endpoints() {
    let server = TestServer::new();
    let created = server.post("/v1/webhook-endpoints", BODY).expect(201).json();
    let path = format!("/v1/webhook-endpoints/{}", created["endpoint_id"].as_str().unwrap());
    let key = server.key_with(3, &[Scope::Read, Scope::Write]);
    assert_eq!(server.request("GET", &path).key(&key).send().status, 403);
    let other = server.other.clone();
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/secret/rotate")),
        ("POST", format!("{path}/test")),
        ("GET", format!("{path}/deliveries")),
        ("GET", format!("{path}/deliveries?status=delivered")),
        ("POST", format!("{path}/deliveries/1-0/resend")),
    ] {
        server.request(method, &path).key(&other).send().assert_problem(
            404,
            "webhook_endpoint_not_found",
            "endpoint_id",
        );
    }
}

#[test]
fn deliveries_are_sent_again_and_recovered() {
    let server = TestServer::new();
    server.post("/v1/customers", r#"{"customer_id": "1"}"#).expect(201);
    let created = server.post("/v1/webhook-endpoints", BODY).expect(201).json();
    let path = format!("/v1/webhook-endpoints/{}", created["endpoint_id"].as_str().unwrap());
    server
        .post(&format!("{path}/deliveries/999-0/resend"), "")
        .assert_problem(404, "delivery_not_found", "delivery_id");

    let events = server.get("/v1/events").expect(200).json();
    let first = &events["events"][0];
    let seq = first["data"]["entry_id"].as_str().unwrap().split('-').next().unwrap();
    server
        .post(&format!("{path}/deliveries/{seq}-0/resend"), "")
        .expect(202);
    let waiting = server.get(&format!("{path}/deliveries")).expect(200).json();
    let delivery = &waiting["deliveries"][0];
    assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!("waiting"), &json!(0)));
    assert_eq!(
        (&delivery["event"]["id"], &delivery["event"]["type"]),
        (&first["id"], &first["type"])
    );
    let dead = server
        .get(&format!("{path}/deliveries?status=dead"))
        .expect(200)
        .json();
    assert_eq!(dead["deliveries"], json!([]));

    let recover = r#"{"since": "2026-01-01T00:00:00Z"}"#;
    server.post(&format!("{path}/recover"), recover).expect(202);
    assert_eq!(server.get(&path).expect(200).json()["recovering"], true);
    let tried = server.post(&format!("{path}/test"), "").expect(200).json();
    assert_eq!(tried["status"], json!(null));
    assert_ne!(tried["reason"], json!(""));
}
