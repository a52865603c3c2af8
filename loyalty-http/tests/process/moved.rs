//! A database file that is moved away while it is served, and another one in its place.

use crate::{Client, Server, loyalty_fails, make_shop, verify};

fn add_points(client: &mut Client, count: u32) {
    for number in 0..count {
        let body = r#"{"customer_id":"1","points":1}"#;
        let (status, body) = client
            .send("POST", "/v1/points-add", &format!("add-{number}"), body)
            .unwrap();
        assert_eq!(status, 200, "{body}");
    }
}

#[test]
fn another_file_under_a_log_is_left_alone_and_nothing_is_lost() {
    const CHANGES: u32 = 40;
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = make_shop(directory.path());
    make_shop(other.path());
    let server = Server::start(directory.path());
    let mut client = Client::connect(&server.address, &key).unwrap();
    let body = r#"{"customer_id":"1"}"#;
    assert_eq!(client.send("POST", "/v1/customers", "new", body).unwrap().0, 201);
    add_points(&mut client, CHANGES);

    // Moved away under the server, and another file in its place.
    let (file, aside) = (directory.path().join("loyalty.db"), directory.path().join("aside.db"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::copy(other.path().join("loyalty.db"), &file).unwrap();
    let commands: [&[&str]; 4] = [
        &["verify"],
        &["shop", "list"],
        &["key", "rotate", "1"],
        &["shop", "create", "Tea", "--currency", "USD"],
    ];
    for command in commands {
        loyalty_fails(directory.path(), command, "is the log of another file");
    }
    server.kill();
    for command in commands {
        loyalty_fails(directory.path(), command, "is the log of another file");
    }
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    loyalty_fails(directory.path(), &serve, "is the log of another file");

    // Put back as it was.
    std::fs::rename(&aside, &file).unwrap();
    verify(directory.path());
    let server = Server::start(directory.path());
    let mut client = Client::connect(&server.address, &key).unwrap();
    let (_, body) = client.send("GET", "/v1/customers/1/point-balance", "-", "").unwrap();
    assert!(body.contains(&format!(r#""point_balance":{CHANGES}"#)), "{body}");
    server.kill();
}

/// No new store is made where the last one's log or lock says that there was a shop.
#[test]
fn a_lost_file_is_not_replaced_by_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    make_shop(directory.path());
    Server::start(directory.path()).kill();
    let file = directory.path().join("loyalty.db");
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    std::fs::remove_file(&file).unwrap();
    loyalty_fails(directory.path(), &serve, "says that there was one");
    std::fs::write(&file, "").unwrap();
    loyalty_fails(directory.path(), &serve, "says that there was one");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    loyalty_fails(directory.path(), &["verify"], "has no shop");

    std::fs::remove_file(directory.path().join("loyalty.db-wal")).unwrap();
    Server::start_with(directory.path(), &["--create"]).kill();
    verify(directory.path());
}
