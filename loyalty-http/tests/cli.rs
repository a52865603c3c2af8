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

use loyalty_core::{AdjustmentReason, Command as LoyaltyCommand, Program};
use loyalty_http::Clock;
use loyalty_store::{Action, CustomerRef, Existence, Request, SqliteStore, Store, StoreSettings};
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

/// A shop, and a file to import.
fn shop_with_file(name: &str, content: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let created = loyalty(directory.path(), &["shop", "create", "Tea", "--currency", "EUR"]);
    assert!(created.status.success());
    std::fs::write(directory.path().join(name), content).unwrap();
    directory
}

#[test]
fn a_file_is_tried_imported_once_and_undone() {
    let csv = "\u{feff}Email;Points Balance;VIP tier\r\n\
               ada@example.com;120;\r\n\
               \"bob@example.com\";52,620;\r\n\
               ADA@example.com;5;\r\n\
               eve@example.com;7;gold\r\n\
               dan@example.com;30\r\n\
               joe@example.com;40;\r\n";
    let directory = shop_with_file("smile.csv", csv.as_bytes());
    let run = |arguments: &[&str]| loyalty(directory.path(), arguments);
    let import = ["import", "smile.csv", "--preset", "smile"];

    let tried = run(&[&import[..], &["--dry-run"]].concat());
    assert_eq!(tried.status.code(), Some(1), "some rows are refused");
    let rows = "line 3: ambiguous_points (points)\n\
                line 4: duplicate_customer\n\
                line 5: unknown_tier\n\
                line 6: wrong_number_of_cells\n";
    let counts = "6 rows; 2 created, 0 updated, 0 skipped, 4 refused; 160 points.\n";
    assert_eq!(stdout(&tried), format!("{rows}Import smile.csv is tried: {counts}"));
    assert!(stdout(&run(&["verify"])).contains("0 accounts"));

    let refused = run(&[&import[..], &["--all-or-nothing"]].concat());
    assert!(stdout(&refused).contains("is refused: 6 rows"), "{}", stdout(&refused));
    assert!(stdout(&run(&["verify"])).contains("0 accounts"));

    for _ in 0..2 {
        let imported = stdout(&run(&import));
        assert_eq!(imported, format!("{rows}Import smile.csv is completed: {counts}"));
    }
    assert_fails(&run(&[&import[..], &["--mode", "reset"]].concat()), "this id was used");
    let report = stdout(&run(&["import", "report", "smile.csv", "--refused"]));
    assert!(report.contains("\n3,refused,ambiguous_points,points,0,\n"), "{report}");

    for _ in 0..2 {
        let undone = stdout(&run(&["import", "undo", "smile.csv"]));
        let says = "Import smile.csv is undone: 160 of 160 points taken back, 0 were spent";
        assert!(undone.starts_with(says), "{undone}");
    }
    let verified = stdout(&run(&["verify"]));
    assert!(verified.contains("Every stored state matches"), "{verified}");
}

#[test]
fn files_that_are_not_whole_are_refused() {
    let columns = ["email"].repeat(10_000).join(",");
    let endless = format!("email,points\n{}", "a".repeat(2 << 20));
    for (content, says) in [
        (
            &b"email,points\nada@example.com,\"12"[..],
            "line 2: a quote (\") is opened here",
        ),
        (b"", "line 1: there is no row"),
        (b"name,points\nAda,1\n", "no column is a customer_id or an email"),
        (b"email,first_name\xe9\nada@example.com,A\n", "the header is not UTF-8"),
        (columns.as_bytes(), "the header has more than 1000 columns"),
        (endless.as_bytes(), "line 2: the row is longer"),
    ] {
        let directory = shop_with_file("points.csv", content);
        assert_fails(&loyalty(directory.path(), &["import", "points.csv"]), says);
    }

    let cut = b"email,points\nada@example.com,5\nb\0b@example.com,1\n=1+1,2\nbob@exa";
    let directory = shop_with_file("points.csv", cut);
    let says = stdout(&loyalty(directory.path(), &["import", "points.csv"]));
    assert_eq!(
        says,
        "line 3: control_character (email)\n\
         line 4: invalid_email (email)\n\
         line 5: wrong_number_of_cells\n\
         Import points.csv is completed: 4 rows; 1 created, 0 updated, 0 skipped, 3 refused; 5 points.\n\
         The last line of the file has no line break: was the file cut?\n"
    );
}

#[test]
fn lots_are_imported_from_lines_of_json() {
    let lines = r#"{"customer_id":"1","points":5,"earned_at":"2026-01-01","expires_at":"2999-01-01"}
{"customer_id":"1","points":"7","expires_at":"never"}
{"customer_id":"1","points":1.5}
{"customer_id":"1","points":[1]}
{"customer_id":
"#;
    let directory = shop_with_file("lots.ndjson", lines.as_bytes());
    let says = stdout(&loyalty(directory.path(), &["import", "lots.ndjson", "--lots"]));
    assert_eq!(
        says,
        "line 3: fractional_points (points)\n\
         line 4: invalid_type (points)\n\
         line 5: invalid_json\n\
         Import lots.ndjson is completed: 5 rows; 1 created, 1 updated, 0 skipped, 3 refused; 12 points.\n"
    );
}

#[test]
fn points_that_expired_by_a_wrong_clock_come_back() {
    let directory = shop_with_file("unused.csv", b"");
    let run = |arguments: &[&str]| loyalty(directory.path(), arguments);
    let now = Clock::system().now();
    let ahead = now + chrono::TimeDelta::days(800);
    let customer = CustomerRef::Id("1001".parse().unwrap());
    {
        let store =
            SqliteStore::open(&directory.path().join("loyalty.db"), &StoreSettings::default());
        let store = store.unwrap();
        let shop = store.shops().unwrap()[0].id;
        let program = Program::from_json(r#"{"expiry": {"per_lot": {"after": "P2Y"}}}"#).unwrap();
        let publish = Action::PublishProgram { program: Box::new(program), replaces: None };
        let reason = AdjustmentReason::default();
        let add = LoyaltyCommand::AddPoints { points: 1_000.into(), reason };
        let add = Action::for_customer(customer.clone(), Existence::Any, vec![add]);
        let execute = |at, action| store.execute(Request::new(shop, at, action)).wait().unwrap();
        execute(now, publish);
        execute(now, add);

        // The clock goes ahead, and the scheduler records what is due by it.
        let account = store.customer(shop, &customer).unwrap().unwrap().record().account;
        execute(ahead, Action::CatchUp(account));
        let after = store.customer(shop, &customer).unwrap().unwrap();
        assert_eq!(after.balance(now), 0_u32.into());
    }

    let (from, until) = (now + chrono::TimeDelta::days(1), ahead + chrono::TimeDelta::days(1));
    let (from, until) = (from.to_rfc3339(), until.to_rfc3339());
    let undo = ["expiry", "undo", "--recorded-from", &from, "--recorded-until", &until];
    let tried = stdout(&run(&[&undo[..], &["--dry-run"]].concat()));
    assert_eq!(tried, "1 customer would get 1,000 points back.\n");
    for _ in 0..2 {
        let undone = run(&undo);
        let says =
            "1 customer got 1,000 points back. It can be taken back: import undo \"expiry undone";
        assert!(stdout(&undone).starts_with(says), "{undone:?}");
    }
    let reversed = ["expiry", "undo", "--recorded-from", &until, "--recorded-until", &from];
    assert_fails(&run(&reversed), "--recorded-until must be after --recorded-from");

    let store =
        SqliteStore::open(&directory.path().join("loyalty.db"), &StoreSettings::default()).unwrap();
    let shop = store.shops().unwrap()[0].id;
    let restored = store.customer(shop, &customer).unwrap().unwrap();
    assert_eq!(restored.balance(now), 1_000_u32.into(), "once, though it was asked twice");

    // The account goes on at the wrong clock's time, with as much time left.
    for (days, left) in [(725, 1_000_u32), (735, 0)] {
        let later = ahead + chrono::TimeDelta::days(days);
        assert_eq!(restored.balance(later), left.into(), "after {days} days");
    }
    drop(store);
    assert!(stdout(&run(&["verify"])).contains("Every stored state matches"));
}
