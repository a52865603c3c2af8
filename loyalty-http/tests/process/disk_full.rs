//! A server whose write-ahead log can't grow. Writes fail, `/readyz` reports it, reads
//! continue, and the server recovers on its own.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Client, Server, make_shop, verify};

/// The number of changes before the disk is full, and the number of all changes.
const SUCCESSFUL_CHANGES: u32 = 5;
const TOTAL_CHANGES: u32 = 15;

/// Limits the size of the process's files.
fn limit(process: u32, bytes: &str) {
    let limit = [format!("--pid={process}"), format!("--fsize={bytes}:unlimited")];
    let status = Command::new("prlimit")
        .args(limit)
        .status()
        .expect("prlimit, of util-linux, is installed");
    assert!(status.success());
}

fn log_size(directory: &Path) -> u64 {
    std::fs::metadata(directory.join("loyalty.db-wal")).unwrap().len()
}

/// The status of a `GET` request.
fn get(client: &mut Client, path: &str) -> u16 {
    client.send("GET", path, "-", "").unwrap().0
}

/// Adds one point; each number is a request of its own.
fn add(client: &mut Client, number: u32) -> (u16, String) {
    let body = r#"{"customer_id":"1","points":1}"#;
    client
        .send("POST", "/v1/points-add", &format!("add-{number}"), body)
        .unwrap()
}

/// Makes a customer and the changes that are acknowledged.
fn make_changes(client: &mut Client) {
    let body = r#"{"customer_id":"1"}"#;
    assert_eq!(client.send("POST", "/v1/customers", "new", body).unwrap().0, 201);
    for number in 0..SUCCESSFUL_CHANGES {
        assert_eq!(add(client, number).0, 200);
    }
}

#[test]
fn a_full_disk_fails_writes_until_there_is_space() {
    fail_writes_on_a_full_disk(Duration::ZERO);
}

/// The states have reached their tables, so that only new requests have something to write.
#[test]
fn a_full_disk_fails_writes_until_there_is_space_also_of_an_idle_server() {
    fail_writes_on_a_full_disk(Duration::from_secs(1));
}

fn fail_writes_on_a_full_disk(idle: Duration) {
    let directory = tempfile::tempdir().unwrap();
    let key = make_shop(directory.path());
    let server = Server::start(directory.path());
    let mut client = Client::connect(&server.address, &key).unwrap();
    make_changes(&mut client);

    // Not even states that wait for their tables fit any more.
    std::thread::sleep(idle);
    let log = log_size(directory.path());
    limit(server.process.id(), &log.to_string());
    for number in SUCCESSFUL_CHANGES..TOTAL_CHANGES {
        let (status, body) = add(&mut client, number);
        assert_eq!(status, 503, "{body}");
        assert_eq!(get(&mut client, "/readyz"), 503, "a supervisor sees it");
        assert_eq!(get(&mut client, "/v1/customers/1/point-balance"), 200, "reads continue");
    }
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(1_500) {
        assert_eq!(get(&mut client, "/readyz"), 503, "as long as nothing can be written");
        assert_eq!(get(&mut client, "/livez"), 200);
        assert_eq!(get(&mut client, "/v1/customers/1/point-balance"), 200, "reads continue");
        std::thread::sleep(Duration::from_millis(20));
    }

    limit(server.process.id(), "unlimited");
    let since = Instant::now();
    while get(&mut client, "/readyz") != 200 {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "the store did not recover on its own"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, body) = client.send("GET", "/v1/customers/1/point-balance", "-", "").unwrap();
    assert!(
        body.contains(&format!(r#""point_balance":{SUCCESSFUL_CHANGES}"#)),
        "the acknowledged changes only: {body}"
    );
    for number in 0..TOTAL_CHANGES {
        assert_eq!(add(&mut client, number).0, 200);
    }
    let (_, body) = client.send("GET", "/v1/customers/1/point-balance", "-", "").unwrap();
    assert!(
        body.contains(&format!(r#""point_balance":{TOTAL_CHANGES}"#)),
        "each change once: {body}"
    );
    server.kill();
    verify(directory.path());
}

/// A server that is started on the full disk after a kill reads all that was acknowledged.
#[test]
fn a_start_on_a_full_disk_serves_reads() {
    let directory = tempfile::tempdir().unwrap();
    let key = make_shop(directory.path());
    let server = Server::start(directory.path());
    let mut client = Client::connect(&server.address, &key).unwrap();
    make_changes(&mut client);
    server.kill();

    // Nearly nothing of the file and its log can be written.
    let server = Server::start_limited(directory.path(), 32 << 10);
    let mut client = Client::connect(&server.address, &key).unwrap();
    let (_, body) = client.send("GET", "/v1/customers/1/point-balance", "-", "").unwrap();
    assert!(body.contains(&format!(r#""point_balance":{SUCCESSFUL_CHANGES}"#)), "{body}");
    assert_eq!(get(&mut client, "/readyz"), 503);
    assert_eq!(add(&mut client, SUCCESSFUL_CHANGES).0, 503);

    limit(server.process.id(), "unlimited");
    let since = Instant::now();
    while get(&mut client, "/readyz") != 200 {
        assert!(since.elapsed() < Duration::from_secs(10), "the store did not recover");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(add(&mut client, SUCCESSFUL_CHANGES).0, 200);
    server.kill();
    verify(directory.path());
}
