//! A server killed during writes. After the restart each acknowledged write is present
//! exactly once, and the journal verifies.

use std::sync::Mutex;
use std::time::Duration;

use crate::{Client, Server, make_shop, verify};

const CLIENTS: usize = 8;
const ROUNDS: usize = 4;

/// Sends until the server dies, and logs the requests and their responses. One request in
/// three is an order of 1.00, the others add one point, so each request is worth one
/// point.
fn write_until_dead(
    address: &str,
    key: &str,
    round: usize,
    client: usize,
    log: &Mutex<Vec<SentRequest>>,
) {
    let Some(mut connection) = Client::connect(address, key) else {
        return;
    };
    for number in 0.. {
        let idempotency_key = format!("{round}-{client}-{number}");
        let (method, path, body) = if number % 3 == 0 {
            let body = format!(
                r#"{{"customer":{{"customer_id":"c{client}"}},"status":"paid","lines":[{{"quantity":1,"amount":"1.00"}}],"total":"1.00"}}"#
            );
            ("PUT", format!("/v1/orders/{idempotency_key}"), body)
        } else {
            (
                "POST",
                "/v1/points-add".to_owned(),
                format!(r#"{{"customer_id":"c{client}","points":1}}"#),
            )
        };
        let answer = connection.send(method, &path, &idempotency_key, &body);
        let dead = answer.is_none();
        log.lock().unwrap().push(SentRequest {
            client,
            idempotency_key,
            method,
            path,
            body,
            answer,
        });
        if dead {
            return;
        }
    }
}

struct SentRequest {
    client: usize,
    idempotency_key: String,
    method: &'static str,
    path: String,
    body: String,
    answer: Option<(u16, String)>,
}

#[test]
fn a_killed_server_keeps_every_acknowledged_write() {
    let directory = tempfile::tempdir().unwrap();
    let key = &make_shop(directory.path());
    let log = Mutex::new(Vec::new());
    for round in 0..ROUNDS {
        let server = Server::start(directory.path());
        let mut first = Client::connect(&server.address, key).unwrap();
        for client in 0..CLIENTS {
            let body = format!(r#"{{"customer_id":"c{client}"}}"#);
            let (status, _) = first
                .send("POST", "/v1/customers", &format!("new-{client}"), &body)
                .unwrap();
            assert_eq!(status, 201, "a retry gets the first response");
        }
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (address, log) = (server.address.clone(), &log);
                scope.spawn(move || write_until_dead(&address, key, round, client, log));
            }
            std::thread::sleep(Duration::from_millis(150 + 130 * u64::try_from(round).unwrap()));
            server.kill();
        });
    }
    let log = log.into_inner().unwrap();
    let acknowledged = log.iter().filter(|sent| sent.answer.is_some()).count();
    assert!(acknowledged > 100, "only {acknowledged} requests were acknowledged: no load");

    let server = Server::start(directory.path());
    let mut client_after_restart = Client::connect(&server.address, key).unwrap();
    for sent in &log {
        let (status, body) = client_after_restart
            .send(sent.method, &sent.path, &sent.idempotency_key, &sent.body)
            .unwrap();
        assert_eq!(status, 200, "{body}");
        if let Some((_, first)) = &sent.answer {
            assert_eq!(
                &body, first,
                "{} was acknowledged, but has another response now",
                sent.idempotency_key
            );
        }
    }
    for client in 0..CLIENTS {
        let sent = log.iter().filter(|sent| sent.client == client).count();
        let path = format!("/v1/customers/c{client}/point-balance");
        let (_, body) = client_after_restart.send("GET", &path, "-", "").unwrap();
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["point_balance"], sent, "each request counts idempotency_key");
    }
    server.kill();
    verify(directory.path());
}
