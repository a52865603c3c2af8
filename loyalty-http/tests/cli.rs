//! The command line: its output and its errors.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may stop where it fails"
)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn loyalty(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Checks for one line on standard error and exit code 2.
fn assert_fails(output: &Output, says: &str) {
    let errors = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains(says), "{errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
}

#[test]
fn shops_and_keys_are_created_and_shown_once() {
    let directory = tempfile::tempdir().unwrap();
    let create = [
        "shop",
        "create",
        "Tea & Co",
        "--currency",
        "EUR",
        "--zone",
        "Europe/Berlin",
        "--json",
        "--print-key",
    ];
    let created: Value =
        serde_json::from_str(&stdout(&loyalty(directory.path(), &create))).unwrap();
    assert_eq!(created["shop_id"], "1");
    assert!(created["key"].as_str().unwrap().starts_with("lk_"));
    assert!(created["secret"].as_str().unwrap().len() >= 32);

    let list = stdout(&loyalty(directory.path(), &["shop", "list", "--json"]));
    assert_eq!(
        list.trim(),
        r#"{"currency":"EUR","name":"Tea & Co","shop_id":"1","time_zone":"Europe/Berlin"}"#
    );

    let id = created["key_id"].as_str().unwrap();
    let rotate = ["key", "rotate", id, "--json", "--print-key"];
    let rotated = stdout(&loyalty(directory.path(), &rotate));
    let rotated: Value = serde_json::from_str(&rotated).unwrap();
    assert_ne!(rotated["key"], created["key"]);
    let (rotated, created) = (rotated["key"].as_str().unwrap(), created["key"].as_str().unwrap());
    for key in [rotated, created] {
        let secret = key.rsplit('_').next().unwrap();
        assert!(!contains(directory.path(), secret), "a file contains a key in clear text");
    }
}

/// True if a file of the directory contains a text.
fn contains(directory: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(directory).unwrap();
    files
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|file| file.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[test]
fn errors_are_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| loyalty(directory.path(), arguments);
    assert_fails(&run(&["verify"]), "there is no file");
    assert_fails(&run(&["key", "rotate", "7", "--db", "none.db"]), "there is no file");
    assert_fails(&run(&["shop", "create", "\n", "--currency", "USD"]), "a name must be");

    std::fs::write(directory.path().join("text.db"), "This is no database, but it is long enough.")
        .unwrap();
    assert_fails(&run(&["verify", "--db", "text.db"]), "not a database");
    assert_fails(&run(&["serve", "--db", "text.db", "--listen", "127.0.0.1:0"]), "not a database");
    assert_fails(&run(&["serve", "--db", "no/such/folder/x.db"]), "no/such/folder");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert_fails(&run(&["--listen", &address]), &format!("cannot listen on {address}"));

    assert!(run(&["shop", "create", "Tea", "--currency", "USD"]).status.success());
    assert_fails(&run(&["key", "list", "7"]), "there is no shop 7");
    assert_fails(&run(&["key", "rotate", "7"]), "there is no key 7");
}

#[test]
fn a_wrong_option_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, says) in [
        (&["--listne", "x"][..], "--listne"),
        (&["--listen", "nowhere"], "nowhere"),
        (&["shop", "create", "Tea", "--currency", "GOLD"], "ISO 4217"),
        (&["shop", "create", "Tea", "--currency", "USD", "--zone", "Mars"], "IANA"),
        (&["key", "list", "first"], "first"),
        (&["key", "list"], "SHOP_ID"),
        (
            &["key", "create", "1", "--name", "x", "--scope", "operator"],
            "read, write or admin",
        ),
        (
            &["key", "create", "1", "--name", "x", "--expires", "2020-01-01T00:00:00Z"],
            "future",
        ),
        (&["serve", "--log-format", "xml"], "text or json"),
    ] {
        let output = loyalty(directory.path(), arguments);
        assert_fails(&output, says);
    }
}

#[test]
fn a_second_server_on_the_file_fails_and_verify_works() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
        .current_dir(directory.path())
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("Listening on http://")));
    assert_fails(&loyalty(directory.path(), &["--listen", "127.0.0.1:0"]), "another process");
    let verified = loyalty(directory.path(), &["verify"]);
    assert!(verified.status.success());
    assert!(stdout(&verified).contains("Every stored state matches the journal."));
    let stopped = Command::new("kill")
        .args(["-TERM", &server.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    assert!(server.wait().unwrap().success(), "a requested stop is not a failure");
}

#[test]
fn verify_exits_with_1_when_states_differ() {
    let directory = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| loyalty(directory.path(), arguments);
    assert!(run(&["shop", "create", "Tea", "--currency", "USD"]).status.success());
    let sql = "INSERT INTO account (id, shop, seq, at, state) VALUES (1, 1, 1, 0, '{\"lots_opened\":0,\"totals\":{}}')";
    let planted = rusqlite::Connection::open(directory.path().join("loyalty.db")).unwrap();
    planted.execute(sql, []).unwrap();
    drop(planted);
    let verified = run(&["verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(stdout(&verified).contains("account 1 has no journal"), "{}", stdout(&verified));
}
