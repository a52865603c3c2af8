//! Backups and restores as processes: on a full disk, killed, and while the server runs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Client, Server, loyalty, loyalty_fails, make_shop, verify};

fn add_points(address: &str, key: &str, number: u32) {
    let mut client = Client::connect(address, key).unwrap();
    let body = r#"{"customer_id":"1"}"#;
    client.send("POST", "/v1/customers", "new", body).unwrap();
    let body = r#"{"customer_id":"1","points":7}"#;
    let key = format!("add-{number}");
    assert_eq!(client.send("POST", "/v1/points-add", &key, body).unwrap().0, 200);
}

/// Has a copy take a while.
fn add_ballast(directory: &Path) {
    let db = rusqlite::Connection::open(directory.join("loyalty.db")).unwrap();
    db.execute_batch(
        "CREATE TABLE ballast (bytes BLOB);
        WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 96)
        INSERT INTO ballast SELECT randomblob(1 << 20) FROM number;",
    )
    .unwrap();
}

/// Runs a command and kills it once it has begun to write a file.
fn kill_while_writing(directory: &Path, arguments: &[&str], file: &str) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_loyalty-http"))
        .current_dir(directory)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let since = Instant::now();
    while std::fs::metadata(directory.join(file)).map_or(0, |metadata| metadata.len()) < 1 << 20 {
        assert!(since.elapsed() < Duration::from_secs(20), "{file} was not written");
        assert_eq!(process.try_wait().unwrap(), None, "{file} was written too soon");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn a_backup_is_made_while_the_server_runs_and_restored_when_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let key = make_shop(directory.path());
    let server = Server::start(directory.path());
    add_points(&server.address, &key, 1);
    let says = loyalty(directory.path(), &["backup", "copy.db"]);
    assert!(says.starts_with("Backed up 2 journal rows, the newest of 2"), "{says}");
    loyalty_fails(directory.path(), &["backup", "copy.db"], "use --force to replace it");
    add_points(&server.address, &key, 2);
    loyalty_fails(directory.path(), &["restore", "copy.db"], "is serving this file");
    server.kill();

    let says = loyalty(directory.path(), &["restore", "copy.db"]);
    assert!(says.contains("loyalty.db.replaced."), "{says}");
    verify(directory.path());
    let server = Server::start(directory.path());
    let mut client = Client::connect(&server.address, &key).unwrap();
    let (_, body) = client.send("GET", "/v1/customers/1/point-balance", "-", "").unwrap();
    assert!(body.contains(r#""point_balance":7"#), "{body}");
    server.kill();
}

/// No half file gets the name, and what is left is no obstacle.
#[test]
fn a_backup_that_is_killed_leaves_none() {
    let directory = tempfile::tempdir().unwrap();
    make_shop(directory.path());
    add_ballast(directory.path());
    kill_while_writing(directory.path(), &["backup", "copy.db"], "copy.db.partial");
    assert!(!directory.path().join("copy.db").exists());

    assert!(loyalty(directory.path(), &["backup", "copy.db"]).starts_with("Backed up"));
    assert!(!directory.path().join("copy.db.partial").exists());
    let before = std::fs::read(directory.path().join("loyalty.db")).unwrap();
    kill_while_writing(directory.path(), &["restore", "copy.db"], "loyalty.db.partial");
    assert!(std::fs::read(directory.path().join("loyalty.db")).unwrap() == before);
    assert!(loyalty(directory.path(), &["restore", "copy.db"]).starts_with("Restored"));
    assert!(!directory.path().join("loyalty.db.partial").exists());
    verify(directory.path());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_fails_a_backup() {
    let directory = tempfile::tempdir().unwrap();
    make_shop(directory.path());
    let run = |command: &str| {
        let program = env!("CARGO_BIN_EXE_loyalty-http");
        let line =
            format!("trap '' XFSZ; exec prlimit --fsize=40960:unlimited {program} {command}");
        let run = Command::new("sh")
            .arg("-c")
            .arg(line)
            .current_dir(directory.path())
            .output();
        let run = run.unwrap();
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    };

    let (code, errors) = run("backup copy.db");
    assert!(code == Some(2) && errors.contains("nothing can be written"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for name in ["copy.db", "copy.db.partial"] {
        assert!(!directory.path().join(name).exists(), "{name} is left");
    }

    loyalty(directory.path(), &["backup", "copy.db"]);
    let before = std::fs::read(directory.path().join("loyalty.db")).unwrap();
    let (code, errors) = run("restore copy.db");
    assert!(code == Some(2) && errors.contains("nothing can be written"), "{errors}");
    assert!(std::fs::read(directory.path().join("loyalty.db")).unwrap() == before);
    assert!(!directory.path().join("loyalty.db.partial").exists());
    verify(directory.path());
}

/// As `cp` makes it under a running server: nothing of the shop is in the file yet.
#[test]
fn a_copy_without_its_log_is_not_served_as_a_new_store() {
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(loyalty_store::SqliteAdmin::open(&other.path().join("loyalty.db")).unwrap());
    std::fs::copy(other.path().join("loyalty.db"), directory.path().join("loyalty.db")).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    loyalty_fails(directory.path(), &serve, "was it copied without its log?");
    loyalty_fails(directory.path(), &["backup", "copy.db"], "has no shop");
    Server::start_with(directory.path(), &["--create"]).kill();
    verify(directory.path());
}
