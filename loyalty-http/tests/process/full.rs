//! Its log may not grow: no change is acknowledged, whoever watches it is told so, reads go on, and it is well again
//! by itself.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Client, Server, make_shop, verify};

/// How large a file of the process may become.
fn limit(process: u32, bytes: &str) {
    let limit = [format!("--pid={process}"), format!("--fsize={bytes}:unlimited")];
    let done = Command::new("prlimit").args(limit).status().expect("prlimit, of util-linux, is installed");
    assert!(done.success());
}

/// The status of a `GET`.
fn get(client: &mut Client, path: &str) -> u16 {
    client.send("GET", path, "-", "").unwrap().0
}

#[test]
fn a_full_disk_is_told_and_outlived() {
    let directory = tempfile::tempdir().unwrap();
    let key = make_shop(directory.path());
    let server = Server::start(directory.path());
    let mut client = Client::connect(&server.address, &key).unwrap();
    let add = |client: &mut Client, number: u32| {
        let body = r#"{"customer_id":"1","points":1}"#;
        client.send("POST", "/v1/points-add", &format!("add-{number}"), body).unwrap()
    };
    let body = r#"{"customer_id":"1"}"#;
    assert_eq!(client.send("POST", "/v1/customers", "new", body).unwrap().0, 201);

    let log = std::fs::metadata(directory.path().join("loyalty.db-wal")).unwrap().len();
    limit(server.process.id(), &(log + 20_000).to_string());
    let refused = (0..200).find(|number| add(&mut client, *number).0 == 503).expect("the log has grown");
    for number in refused..refused + 10 {
        assert_eq!(get(&mut client, "/readyz"), 503, "a watcher is told");
        assert_eq!(get(&mut client, "/livez"), 200);
        assert_eq!(get(&mut client, "/v1/customers/1/point-balance"), 200, "what can be served is served");
        let (status, body) = add(&mut client, number);
        assert_eq!(status, 503, "{body}");
    }

    limit(server.process.id(), "unlimited");
    let since = Instant::now();
    while get(&mut client, "/readyz") != 200 {
        assert!(since.elapsed() < Duration::from_secs(10), "well again, though nobody writes");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, body) = client.send("GET", "/v1/customers/1/point-balance", "-", "").unwrap();
    assert!(body.contains(&format!(r#""point_balance":{refused}"#)), "all that was acknowledged, no more: {body}");
    for number in 0..refused + 10 {
        assert_eq!(add(&mut client, number).0, 200);
    }
    let (_, body) = client.send("GET", "/v1/customers/1/point-balance", "-", "").unwrap();
    assert!(body.contains(&format!(r#""point_balance":{}"#, refused + 10)), "each once: {body}");
    server.kill();
    verify(directory.path());
}
