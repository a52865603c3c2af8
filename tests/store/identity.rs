//! Files that are not one store's: links, logs of other files, older formats, and the size of the
//! log.

use std::path::Path;
use std::time::{Duration, Instant};

use loyalty_core::{Currency, Zone};
use loyalty_store::{Failure, NewShop, SqliteAdmin, SqliteStore, Store, StoreSettings};
use loyalty_tests::*;

use crate::{TempDatabase, connect, format_of};

fn open(file: &Path) -> Result<SqliteStore, Failure> {
    SqliteStore::open(file, &StoreSettings::default())
}

fn log_of(database: &TempDatabase) -> std::path::PathBuf {
    database.file().with_file_name("loyalty.db-wal")
}

#[test]
#[cfg(unix)]
fn a_hard_link_is_the_same_file() {
    let (database, elsewhere) = (TempDatabase::new(), TempDatabase::new());
    let store = database.open();
    for link in [database.file().with_file_name("link.db"), elsewhere.file()] {
        std::fs::hard_link(database.file(), &link).unwrap();
        let refused = open(&link).unwrap_err().to_string();
        assert!(refused.contains("another process is serving this file"), "{refused}");
    }
    drop(store);
    drop(open(&elsewhere.file()).unwrap());
    drop(open(&database.file()).unwrap());
}

/// An older copy of the file under the log of a store that was killed.
#[test]
fn a_log_beside_an_older_copy_is_refused() {
    let database = TempDatabase::new();
    let write = |store: &SqliteStore, shop, count: i64| {
        let shop = TestShop { store, id: shop, now: at("2026-01-01T12:00:00Z") };
        (0..count).for_each(|_| drop(shop.execute_commands(&id("1"), vec![add(1)]).unwrap()));
        shop.balance(&id("1"))
    };
    let shop = {
        let store = database.open();
        let shop = TestShop::new(&store).id;
        write(&store, shop, 20);
        shop
    };
    let backup = std::fs::read(database.file()).unwrap();

    // The log begins anew many times, so the backup lacks what is not in it either.
    let store = database.open_with(&tiny_settings());
    let balance = write(&store, shop, 400);
    let killed = database.copy();
    drop(store);
    let (file, log) = (killed.file(), std::fs::read(log_of(&killed)).unwrap());
    assert!(log.len() > 32);
    let of_killed = std::fs::read(&file).unwrap();
    std::fs::write(&file, &backup).unwrap();

    let refusals = [
        open(&file).map(drop),
        SqliteAdmin::open(&file).map(drop),
        SqliteAdmin::open_existing(&file).map(drop),
        SqliteAdmin::open_unchanged(&file).map(drop),
    ];
    for (number, refused) in refusals.into_iter().enumerate() {
        let text = refused
            .err()
            .map_or_else(|| format!("{number} opened it"), |failure| failure.to_string());
        assert!(text.contains("is the log of another file"), "{text}");
    }
    assert!(std::fs::read(&file).unwrap() == backup, "the file was changed");
    assert!(std::fs::read(log_of(&killed)).unwrap() == log, "the log was changed");

    // Put together again, nothing is lost. Without the log the backup is used.
    std::fs::write(&file, of_killed).unwrap();
    let store = killed.open();
    assert_eq!(
        TestShop { store: &store, id: shop, now: at("2026-01-01T12:00:00Z") }.balance(&id("1")),
        balance
    );
    drop(store);
    let restored = TempDatabase::new();
    std::fs::write(restored.file(), backup).unwrap();
    assert_eq!(write(&restored.open(), shop, 0), 20);
}

/// Reading commands neither move a file to another format nor leave anything beside it.
#[test]
fn an_older_file_is_read_as_it_is() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store).id;
    drop(store);
    let current = format_of(&database);
    connect(&database.file())
        .execute_batch("DROP TABLE day_totals")
        .unwrap();
    connect(&database.file())
        .pragma_update(None, "user_version", current - 1)
        .unwrap();
    let before = std::fs::read(database.file()).unwrap();

    let older = Failure::OlderFormat { found: current - 1, supported: current };
    {
        let admin = SqliteAdmin::open_unchanged(&database.file()).unwrap();
        assert_eq!(admin.shops().unwrap().first().unwrap().id, shop);
        assert_eq!(admin.verify().unwrap_err(), older);
        let new = NewShop {
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
        };
        assert!(admin.create_shop(&new, at("2026-01-01T12:00:00Z")).is_err());
    }
    assert_eq!(SqliteAdmin::open_existing(&database.file()).unwrap_err(), older);
    assert_eq!(SqliteAdmin::open(&database.file()).unwrap_err(), older);
    assert!(std::fs::read(database.file()).unwrap() == before, "the file was changed");
    assert!(!log_of(&database).exists());

    drop(database.open());
    SqliteAdmin::open_unchanged(&database.file())
        .unwrap()
        .verify()
        .unwrap();
}

/// Verification beside a killed server's log leaves the log where it is.
#[test]
fn verification_leaves_the_log() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    shop.execute_commands(&id("1"), vec![add(5)]).unwrap();
    let killed = database.copy();
    let (file, log) =
        (std::fs::read(killed.file()).unwrap(), std::fs::read(log_of(&killed)).unwrap());
    let report = SqliteAdmin::open_unchanged(&killed.file()).unwrap().verify().unwrap();
    assert_eq!((report.rows, report.newest), (2, Some(shop.now)));
    assert!(std::fs::read(killed.file()).unwrap() == file, "the file was changed");
    assert!(std::fs::read(log_of(&killed)).unwrap() == log, "the log was changed");
}

#[test]
fn a_log_that_a_long_reader_made_grow_is_cut() {
    let database = TempDatabase::new();
    let mut settings = StoreSettings::default();
    settings.checkpoint_pages = 100;
    let limit = 2 * 100 * 4_096;
    let store = database.open_with(&settings);
    let shop = TestShop::new(&store);
    let size = || std::fs::metadata(log_of(&database)).unwrap().len();

    let reader = database.connect();
    reader.execute_batch("BEGIN; SELECT count(*) FROM journal;").unwrap();
    let mut number = 0;
    while size() <= 3 * limit {
        number += 1;
        shop.execute_commands(&id(&number.to_string()), vec![add(1)]).unwrap();
    }
    // The states reach their tables in commits of their own, which would also cut the log.
    let mut before = 0;
    while size() != before {
        before = size();
        std::thread::sleep(Duration::from_millis(300));
    }
    reader.execute_batch("COMMIT").unwrap();

    // Without another commit.
    let since = Instant::now();
    while size() > limit {
        assert!(since.elapsed() < Duration::from_secs(10), "the log stays at {}", size());
        std::thread::sleep(Duration::from_millis(20));
    }
    shop.execute_commands(&id("1"), vec![add(1)]).unwrap();
    assert!(store.verify().unwrap().differences.is_empty());
}
