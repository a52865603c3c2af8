use std::net::TcpListener;
use std::process::Command;

use super::{Client, Server, loyalty, make_shop};

#[test]
fn metrics_have_a_listener_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let key = make_shop(directory.path());
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let server = Server::start_with(directory.path(), &["--metrics-listen", &free]);

    let mut api = Client::connect(&server.address, &key).unwrap();
    assert_eq!(api.send("GET", "/v1/key", "k", "").unwrap().0, 200);
    assert_eq!(api.send("GET", "/metrics", "k", "").unwrap().0, 404);

    let mut scraper = Client::connect(&free, "").unwrap();
    let (status, text) = scraper.send("GET", "/metrics", "k", "").unwrap();
    assert_eq!(status, 200);
    let line = r#"loyalty_http_requests_total{method="GET",route="/v1/key",status="200"} 1"#;
    assert!(text.lines().any(|found| found == line), "{text}");
    assert_eq!(scraper.send("GET", "/v1/key", "k", "").unwrap().0, 404);
    server.kill();
}

#[test]
fn the_health_command_asks_a_running_server() {
    let directory = tempfile::tempdir().unwrap();
    make_shop(directory.path());
    let server = Server::start(directory.path());
    let listen = server.address.clone();
    assert_eq!(loyalty(directory.path(), &["health", "--listen", &listen]), "ready\n");

    server.kill();
    let health = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
        .args(["health", "--listen", &listen])
        .output()
        .unwrap();
    assert_eq!(health.status.code(), Some(1));
    assert!(
        String::from_utf8(health.stdout)
            .unwrap()
            .starts_with("no answer from")
    );
}
