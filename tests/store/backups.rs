//! Backups: prefixes of what was acknowledged, restored without loss, and refused by name.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use loyalty_store::{
    BackupError, Failure, Restored, SqliteAdmin, SqliteStore, Store, StoreSettings,
};
use loyalty_tests::*;
use rusqlite::Connection;

use crate::files::{customer_ref, while_busy};
use crate::{TempDatabase, connect};

fn back_up(database: &TempDatabase, name: &str) -> PathBuf {
    let to = database.file().with_file_name(name);
    SqliteAdmin::back_up(&database.file(), &to, false).unwrap();
    to
}

/// Copies a file as a tool of replication does: by SQLite's own interface.
fn copy_as_sqlite_does(from: &Path, to: &Path) {
    let source = connect(from);
    let mut copy = Connection::open(to).unwrap();
    let backup = rusqlite::backup::Backup::new(&source, &mut copy).unwrap();
    backup.run_to_completion(i32::MAX, Duration::ZERO, None).unwrap();
}

/// Returns the number of rows of a copy's journal. Each must be the same in the file.
fn count_prefix(copy: &Path, of: &TempDatabase) -> i64 {
    let db = of.connect();
    db.execute("ATTACH ? AS copy", [copy.to_str().unwrap()]).unwrap();
    let sql = "SELECT count(*), coalesce(max(copied.seq), 0), count(original.seq)
        FROM copy.journal AS copied LEFT JOIN main.journal AS original
        ON original.seq = copied.seq AND original.events = copied.events
            AND original.balance = copied.balance AND original.account IS copied.account";
    let [rows, last, same] = db
        .query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
        .unwrap();
    assert_eq!((rows, same), (last, last), "{}", copy.display());
    rows
}

/// A minute of backups, one each second: `LOYALTY_BACKUP_SECONDS=60`.
#[test]
fn backups_under_load_are_prefixes() {
    let seconds = std::env::var("LOYALTY_BACKUP_SECONDS");
    let seconds = seconds.map_or(3, |seconds| seconds.parse().unwrap());
    let interval = Duration::from_millis(if seconds > 10 { 1_000 } else { 300 });

    let database = TempDatabase::new();
    let store = database.open_with(&tiny_settings());
    let shop = TestShop::new(&store);
    let (started, mut copies) = (Instant::now(), Vec::new());
    while_busy(&shop, 9, |acknowledged: &[AtomicI64]| {
        while started.elapsed() < Duration::from_secs(seconds) {
            let next = Instant::now() + interval;
            let before: Vec<i64> = acknowledged
                .iter()
                .map(|count| count.load(Ordering::SeqCst))
                .collect();

            let copy = TempDatabase::new();
            if copies.len() % 2 == 0 {
                let backup = SqliteAdmin::back_up(&database.file(), &copy.file(), false).unwrap();
                assert!(backup.report.differences.is_empty());
            } else {
                copy_as_sqlite_does(&database.file(), &copy.file());
            }
            copies.push((copy, before));
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    });
    assert!(copies.len() >= 3, "{} backups in {seconds} seconds", copies.len());

    // Each later one has more, since the load goes on.
    let mut last_rows = None;
    for (number, (copy, before)) in copies.iter().enumerate() {
        let rows = count_prefix(&copy.file(), &database);
        assert!(last_rows < Some(rows), "copy {number} has {rows} rows after {last_rows:?}");
        last_rows = Some(rows);

        let reopened = copy.open();
        assert_eq!(reopened.verify().unwrap().differences, Vec::<String>::new());
        for (customer, count) in (0..).zip(before).filter(|(_, count)| **count > 0) {
            let found = TestShop { store: &reopened, ..shop }.balance(&customer_ref(customer));
            assert!(found >= *count, "c{customer} has {found} of {count} in copy {number}");
        }
    }
    println!("{} backups in {seconds} seconds, the last of {last_rows:?} rows", copies.len());
}

/// A tool of replication holds a read lock, so that no part of the log goes before it was copied.
#[test]
fn no_log_begins_anew_under_a_read_lock() {
    let database = TempDatabase::new();
    let settings = tiny_settings();
    let store = database.open_with(&settings);
    let shop = TestShop::new(&store);
    let log = database.file().with_file_name("loyalty.db-wal");
    // A log that begins anew has other salts in its header.
    let header = || std::fs::read(&log).unwrap()[..32].to_vec();

    shop.execute_commands(&customer_ref(0), vec![add(1)]).unwrap();
    let replicator = database.connect();
    replicator
        .execute_batch("BEGIN; SELECT count(*) FROM journal;")
        .unwrap();
    let before = header();
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(2_500) {
        shop.execute_commands(&customer_ref(since.elapsed().subsec_nanos().into()), vec![add(1)])
            .unwrap();
    }
    assert_eq!(header(), before);
    let pages = std::fs::metadata(&log).unwrap().len() / 4_096;
    assert!(pages > 4 * 30, "the log was long enough to be cut: {pages} pages");

    // Nor by a stop, which does not wait for the tool.
    let stopping = Instant::now();
    drop(store);
    assert!(stopping.elapsed() < Duration::from_secs(3), "{:?}", stopping.elapsed());
    assert_eq!(header(), before);
    drop(replicator);
    assert!(database.open().verify().unwrap().differences.is_empty());
}

#[test]
fn a_backup_replaces_no_file() {
    let database = TempDatabase::new();
    let store = database.open();
    TestShop::new(&store);
    let backup = back_up(&database, "backup.db");
    let before = std::fs::read(&backup).unwrap();
    TestShop::new(&store);
    let again = SqliteAdmin::back_up(&database.file(), &backup, false);
    assert_eq!(again, Err(BackupError::Exists(backup.clone())));
    assert!(std::fs::read(&backup).unwrap() == before);

    SqliteAdmin::back_up(&database.file(), &backup, true).unwrap();
    assert_eq!(SqliteAdmin::open_unchanged(&backup).unwrap().shops().unwrap().len(), 2);
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&backup).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    // Not even if asked to.
    for name in ["loyalty.db", "loyalty.db-wal", "loyalty.db-shm", "loyalty.db.lock"] {
        let to = database.file().with_file_name(name);
        let refused = SqliteAdmin::back_up(&database.file(), &to, true);
        assert_eq!(refused, Err(BackupError::SameFile(to)));
    }
    let link = database.file().with_file_name("link.db");
    std::fs::hard_link(database.file(), &link).unwrap();
    let refused = SqliteAdmin::back_up(&database.file(), &link, true);
    assert_eq!(refused, Err(BackupError::SameFile(link)));
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
}

/// The file of a killed server, with a log that has what the file lacks.
#[test]
fn a_restore_keeps_what_it_replaces() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    let (shop_id, now) = (shop.id, shop.now);
    let balance = |file: &Path| {
        let store = SqliteStore::open(file, &StoreSettings::default()).unwrap();
        assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
        TestShop { store: &store, id: shop_id, now }.balance(&id("1"))
    };
    shop.execute_commands(&id("1"), vec![add(20)]).unwrap();
    let backup = back_up(&database, "backup.db");
    let contents = std::fs::read(&backup).unwrap();
    shop.execute_commands(&id("1"), vec![add(30)]).unwrap();
    let killed = database.copy();

    for (attempt, expected) in [(".replaced", 50), (".replaced-2", 20)] {
        let Restored { replaced, older_format, report } =
            SqliteAdmin::restore(&killed.file(), &backup).unwrap();
        assert_eq!((older_format, report.rows), (None, 2));
        let name = format!("{}{attempt}", killed.file().display());
        assert_eq!(replaced.as_deref(), Some(Path::new(&name)));
        assert!(!killed.file().with_file_name("loyalty.db-wal").exists());
        assert!(!killed.file().with_file_name("loyalty.db-shm").exists());
        assert_eq!(balance(&killed.file()), 20);
        assert_eq!(balance(Path::new(&name)), expected);
    }
    assert!(std::fs::read(&backup).unwrap() == contents, "the backup was changed");

    // Where there is no file, and where only a log is left of it.
    let elsewhere = TempDatabase::new();
    assert_eq!(SqliteAdmin::restore(&elsewhere.file(), &backup).unwrap().replaced, None);
    assert_eq!(balance(&elsewhere.file()), 20);
    let killed = database.copy();
    std::fs::remove_file(killed.file()).unwrap();
    let replaced = SqliteAdmin::restore(&killed.file(), &backup)
        .unwrap()
        .replaced
        .unwrap();
    assert!(Path::new(&format!("{}-wal", replaced.display())).exists());
    assert_eq!(balance(&killed.file()), 20);
}

/// Each is named, and nothing changes.
#[test]
fn what_is_no_backup_is_refused() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    let (shop_id, now) = (shop.id, shop.now);
    shop.execute_commands(&id("1"), vec![add(20)]).unwrap();
    let backup = back_up(&database, "backup.db");
    let served = SqliteAdmin::restore(&database.file(), &backup).unwrap_err();
    assert!(served.to_string().contains("another process is serving this file"), "{served}");
    drop(store);

    let changed = |sql: &str| {
        let name = format!("{}.db", sql.len());
        let copy = back_up(&database, &name);
        connect(&copy).execute_batch(sql).unwrap();
        copy
    };
    let written = |name: &str, contents: &[u8]| {
        let file = database.file().with_file_name(name);
        std::fs::write(&file, contents).unwrap();
        file
    };
    let whole = std::fs::read(&backup).unwrap();
    let without_tables = database.file().with_file_name("tables.db");
    drop(SqliteAdmin::open(&without_tables).unwrap());
    let cases = [
        (changed("PRAGMA user_version = 99"), "supports formats up to"),
        (changed("UPDATE account SET state = replace(state, '20', '21')"), "is damaged"),
        (changed("DELETE FROM journal WHERE seq = 2"), "is damaged"),
        (changed("PRAGMA application_id = 7"), "another program's database"),
        (written("empty.db", b""), "is empty"),
        (written("text.db", "dear diary, ".repeat(1_000).as_bytes()), "not a database"),
        (written("cut.db", &whole[..whole.len() / 2]), "malformed"),
        (without_tables, "has no shop"),
        (database.file().with_file_name("none.db"), "there is no such file"),
        (database.file(), "is the database file itself"),
    ];

    let before = std::fs::read(database.file()).unwrap();
    for (file, says) in cases {
        let contents = std::fs::read(&file).ok();
        let refused = SqliteAdmin::restore(&database.file(), &file).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
        assert!(std::fs::read(database.file()).unwrap() == before, "{says}");
        assert!(std::fs::read(&file).ok() == contents, "{says}");
        assert!(!database.file().with_file_name("loyalty.db.partial").exists(), "{says}");
        assert!(!database.file().with_file_name("loyalty.db.replaced").exists(), "{says}");
    }
    let store = database.open();
    assert_eq!(TestShop { store: &store, id: shop_id, now }.balance(&id("1")), 20);
}

/// A backup by another program of the same name is not waited for, and one of a file that is no
/// database is none.
#[test]
fn no_backup_is_made_of_what_is_no_database() {
    let database = TempDatabase::new();
    let to = database.file().with_file_name("backup.db");
    let error = SqliteAdmin::back_up(&database.file(), &to, false).unwrap_err();
    assert!(
        matches!(&error, BackupError::Failed { failure: Failure::Unavailable(_), .. }),
        "{error}"
    );
    let store = database.open();
    let error = SqliteAdmin::back_up(&database.file(), &to, false).unwrap_err();
    assert_eq!(error, BackupError::NoShop(database.file()));
    TestShop::new(&store);

    let partial = std::fs::File::create(database.file().with_file_name("backup.db.partial"));
    let partial = partial.unwrap();
    partial.lock().unwrap();
    let error = SqliteAdmin::back_up(&database.file(), &to, false).unwrap_err();
    assert_eq!(error, BackupError::InProgress(to.clone()));
    // What a killed process has left is no obstacle.
    drop(partial);
    std::fs::write(database.file().with_file_name("backup.db.partial"), "half").unwrap();
    back_up(&database, "backup.db");
    assert!(!database.file().with_file_name("backup.db.partial").exists());
}
