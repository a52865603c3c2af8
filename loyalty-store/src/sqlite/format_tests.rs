//! Files of every format since the first: each is opened, and kept beside itself as it was.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at what it did not expect"
)]

use loyalty_core::{AdjustmentReason, Command, CustomerId, Points, Program, ShopId, Timestamp};
use rusqlite::{Connection, params};

use super::schema::{APPLICATION_ID, MIGRATIONS};
use super::{SqliteAdmin, SqliteStore, StoreSettings};
use crate::{Action, CustomerRef, Existence, Reply, Request, Store};

const SHOP: ShopId = ShopId(1);

/// A directory in memory if possible: no power is cut here, and syncing takes most of the time.
fn directory() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// Makes a file as a program of the time made it: a shop with the default program.
fn make_file(file: &std::path::Path, format: usize) {
    let db = Connection::open(file).unwrap();
    for step in &MIGRATIONS[..1] {
        db.execute_batch(step).unwrap();
    }
    db.execute_batch("INSERT INTO shop VALUES (1, 'Tea', 'EUR', 'UTC', 0, NULL)")
        .unwrap();
    let program = serde_json::to_string(&Program::default()).unwrap();
    db.execute("INSERT INTO program VALUES (1, 1, ?, 0)", params![program])
        .unwrap();
    for step in &MIGRATIONS[1..format] {
        db.execute_batch(step).unwrap();
    }
    db.pragma_update(None, "user_version", i64::try_from(format).unwrap())
        .unwrap();
    db.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
}

#[test]
fn every_format_is_opened_and_kept() {
    for format in 1..MIGRATIONS.len() {
        let directory = directory();
        let file = directory.path().join("loyalty.db");
        make_file(&file, format);
        let format_of = |file: &std::path::Path| {
            let db = Connection::open(file).unwrap();
            let number = db.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
            usize::try_from(number.unwrap()).unwrap()
        };

        let kept = directory.path().join(format!("loyalty.db.format-{format}"));
        for expected in [5, 10] {
            let store = SqliteStore::open(&file, &StoreSettings::default()).unwrap();
            let customer = CustomerRef::Id(CustomerId::new("c1").unwrap());
            let (points, reason) = (Points::from(5), AdjustmentReason::default());
            let add = vec![Command::AddPoints { points, reason }];
            let action = Action::for_customer(customer.clone(), Existence::Any, add);
            let reply = store.execute(Request::new(SHOP, now(), action)).wait();
            assert!(matches!(reply, Ok(Reply::Decided(Ok(_)))), "format {format}: {reply:?}");

            let customer = store.customer(SHOP, &customer).unwrap().unwrap();
            assert_eq!(customer.balance(now()), Points::from(expected), "format {format}");
            assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
            assert!(kept.exists(), "no copy of format {format}");
        }
        assert_eq!(format_of(&file), MIGRATIONS.len());
        assert_eq!(format_of(&kept), format);
        let again = directory.path().join(format!("loyalty.db.format-{format}-2"));
        assert!(!again.exists(), "a file of the newest format was copied");

        // The copy is a backup as any other: it is restored, and stays as it is.
        let restored = SqliteAdmin::restore(&file, &kept).unwrap();
        assert_eq!(restored.older_format, i64::try_from(format).ok());
        assert_eq!((format_of(&file), format_of(&kept)), (MIGRATIONS.len(), format));
    }
}

#[test]
fn a_copy_can_be_left_out() {
    let directory = directory();
    let file = directory.path().join("loyalty.db");
    make_file(&file, 1);
    let settings = StoreSettings { keep_older_format: false, ..StoreSettings::default() };
    drop(SqliteStore::open(&file, &settings).unwrap());
    assert!(!directory.path().join("loyalty.db.format-1").exists());
}
