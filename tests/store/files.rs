//! Properties of a database file: durability, its identity, its format, and an operator's
//! access beside a running store.

use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loyalty_core::VariantId;
use loyalty_store::{
    Action, AdminAction, AdminReply, AdminRequest, Catalogue, CustomerRef, Existence, Failure,
    KeyOwner, NewShop, NumericId, SqliteAdmin, SqliteStore, Store, StoreSettings,
};
use loyalty_tests::*;

use loyalty_store::conformance::administration::new_key;
use loyalty_store::conformance::contents::{StoreContents, all_due, assert_consistent};
use loyalty_store::conformance::days::assert_days_complete;
use loyalty_store::conformance::listed::assert_lists_complete;
use loyalty_store::conformance::races::StopFlag;
use loyalty_store::conformance::time::{
    FULL_PROGRAM, INACTIVITY_PROGRAM, birthday_change, change_action, run_scheduler,
};

use crate::{NAMES_OF_FORMAT_11, TempDatabase, WITHOUT_SEGMENTS, connect, format_of};

pub(crate) fn customer_ref(number: i64) -> CustomerRef {
    id(&format!("c{number}"))
}

/// Runs `then` while threads add a point to each of the customers in turn. Passes it the
/// number of acknowledged additions of each customer.
pub(crate) fn while_busy<T>(
    shop: &TestShop<'_>,
    customers: i64,
    then: impl FnOnce(&[AtomicI64]) -> T,
) -> T {
    let (finished, acknowledged) = (
        StopFlag::default(),
        (0..customers).map(|_| AtomicI64::new(0)).collect::<Vec<_>>(),
    );
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (finished, acknowledged) = (&finished, &acknowledged);
            scope.spawn(move || {
                for (seconds, number) in (start..).map(|count| count % customers).enumerate() {
                    if finished.is_set() {
                        return;
                    }
                    // A different instant for each, so that customers get segments of
                    // instants.
                    let now = shop.now + Duration::from_secs(u64::try_from(seconds).unwrap());
                    let shop = TestShop { now, ..*shop };
                    shop.execute_commands(&customer_ref(number), vec![add(1)]).unwrap();
                    acknowledged[usize::try_from(number).unwrap()].fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        let _guard = finished.set_on_drop();
        then(&acknowledged)
    })
}

#[test]
fn acknowledged_requests_are_in_a_copy_taken_at_any_time() {
    for settings in [StoreSettings::default(), tiny_settings()] {
        let database = TempDatabase::new();
        let store = database.open_with(&settings);
        let shop = TestShop::new(&store);
        // Each request opens a lot.
        shop.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P5Y"}}}"#))
            .unwrap();

        while_busy(&shop, 9, |acknowledged| {
            for _ in 0..6 {
                std::thread::sleep(Duration::from_millis(40));
                let counts: Vec<i64> = acknowledged
                    .iter()
                    .map(|count| count.load(Ordering::SeqCst))
                    .collect();
                let copy = database.copy();
                let reopened = copy.open_with(&settings);
                assert_consistent(&reopened);
                for (number, min_balance) in (0..).zip(counts).filter(|(_, count)| *count > 0) {
                    let balance =
                        TestShop { store: &reopened, ..shop }.balance(&customer_ref(number));
                    assert!(balance >= min_balance, "c{number} has {balance} of {min_balance}");
                }
            }
        });
        // Again without load, before and after the writer's checkpoint.

        for _ in 0..2 {
            let copy = database.copy();
            assert_eq!(StoreContents::read(&copy.open()), StoreContents::read(&store));
            std::thread::sleep(Duration::from_millis(60));
        }
    }
}

/// Checkpoints so large that they take several commits: states that changed after one
/// began are in their table before the checkpoint reaches them. No crash may fold an
/// event twice. The copies are opened only at the end, since opening one gives the writer
/// time to finish.
#[test]
fn a_checkpoint_of_several_commits_keeps_concurrent_changes() {
    let database = TempDatabase::new();
    let mut settings = StoreSettings::default();
    (settings.cached_records, settings.write_behind_threshold) = (16, 300);
    let store = database.open_with(&settings);

    let shop = TestShop::new(&store);
    // In leaps, so that customers change again before a checkpoint that contains them is
    // complete.
    let (mut counts, mut number, mut copies) = ([0; 300], 1, Vec::new());

    for turn in 0..1_000_usize {
        number = (number * 1_103_515_245 + 12_345) % 2_147_483_648;
        let chosen = (number >> 8) % 300;
        let (customer, order) = (customer_ref(chosen), format!("o{chosen}"));
        let count = &mut counts[usize::try_from(chosen).unwrap()];
        *count += 1;
        shop.execute_commands(&customer, vec![add(1)]).unwrap();
        shop.execute_order(Some(&customer), record_paid(&order, &format!("{count}.00")))
            .unwrap();
        if turn.is_multiple_of(29) {
            copies.push((database.copy(), counts));
        }
    }

    for (copy, counts) in &copies {
        let store = copy.open_with(&settings);
        let shop = TestShop { store: &store, ..shop };
        for (number, expected) in (0..).zip(counts).filter(|(_, count)| **count > 0) {
            let order = store
                .order(shop.id, &order_id(&format!("o{number}")))
                .unwrap()
                .unwrap();
            assert_eq!(order.state.posted().awarded, points(*expected), "o{number}");
            assert_eq!(shop.balance(&customer_ref(number)), 2 * expected, "c{number}");
            assert!(shop.customer(&customer_ref(number)).account().is_consistent(), "c{number}");
        }
        assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
    }
}

#[test]
fn one_busy_account_does_not_delay_the_checkpoint() {
    let database = TempDatabase::new();
    let mut settings = StoreSettings::default();
    settings.write_behind_threshold = 50;
    let store = database.open_with(&settings);
    let shop = TestShop::new(&store);
    let mut pending = Vec::new();
    for _ in 0..2_000 {
        pending.push(store.execute(shop.request(Action::for_customer(
            customer_ref(1),
            Existence::Any,
            vec![add(1)],
        ))));
        if pending.len() == 20 {
            pending
                .drain(..)
                .for_each(|pending| drop(expect_decided(pending.wait()).unwrap()));
        }
    }

    let copy = database.copy();
    let numbers = "SELECT (SELECT max(seq) FROM journal), (SELECT seq FROM checkpoint)";
    let (last, through): (i64, i64) = copy
        .connect()
        .query_row(numbers, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert!(last - through < 200, "row {last}, but the checkpoint is at {through}");
}

/// Some rows of a day are in its table, others only in the journal.
#[test]
fn sums_of_days_are_complete_after_a_crash() {
    let database = TempDatabase::new();
    let shop = TestShop::new(&database.open()).id;
    let days = ["2026-01-01T12:00:00Z", "2026-01-02T12:00:00Z", "2026-01-03T12:00:00Z"];
    for round in 1..=3 {
        let store = database.open();
        for now in days {
            let shop = TestShop { store: &store, id: shop, now: at(now) };
            shop.execute_commands(&id("c1"), vec![add(round)]).unwrap();
        }
        let copy = database.copy();
        assert_consistent(&copy.open());
        // Once more, after the copy has written all sums.
        assert_consistent(&copy.open());
    }
}

#[test]
fn a_clean_close_leaves_nothing_to_fold() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    for number in 0..20 {
        shop.execute_commands(&customer_ref(number), vec![add(1)]).unwrap();
    }

    drop(store);
    let db = database.connect();
    let number = |query: &str| db.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT seq FROM checkpoint"), number("SELECT max(seq) FROM journal"));
    assert_eq!(number("SELECT count(*) FROM account"), 20);
}

#[test]
fn old_responses_leave_the_file() {
    let database = TempDatabase::new();

    let store = database.open();
    let shop = TestShop::new(&store);
    let adding = || Action::for_customer(customer_ref(1), Existence::Any, vec![add(1)]);
    for number in 0..600 {
        expect_stored(shop.execute_with_key(&format!("k{number}"), adding()));
    }
    let stored_counts = || {
        let counts =
            "SELECT (SELECT count(*) FROM response_block), (SELECT count(*) FROM response_slot)";
        database
            .connect()
            .query_row(counts, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .unwrap()
    };

    let later = shop.at("2026-02-25T00:00:00Z");
    expect_stored(later.execute_with_key("last", adding()));
    let started = Instant::now();
    while stored_counts() != (1, 1) && started.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(stored_counts(), (1, 1));
    assert!(expect_stored(later.execute_with_key("last", adding())).2);
}

#[test]
fn a_newer_format_is_rejected_by_name() {
    let database = TempDatabase::new();
    drop(database.open());
    let supported = format_of(&database);
    database.connect().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(database.file()).unwrap();
    let newer = Failure::NewerFormat { found: 99, supported };
    assert_eq!(
        SqliteStore::open(&database.file(), &StoreSettings::default()).unwrap_err(),
        newer
    );
    assert_eq!(SqliteAdmin::open(&database.file()).unwrap_err(), newer);
    assert!(std::fs::read(database.file()).unwrap() == before, "the file was changed");
}

/// Stored responses as in formats up to 5, of two shops. Each was alone in its commit,
/// and so in its block.
const RESPONSES_OF_FORMAT_5: &str = "
    CREATE TABLE answer (
        id INTEGER PRIMARY KEY, shop INTEGER NOT NULL, key BLOB NOT NULL, fingerprint BLOB NOT NULL,
        at INTEGER NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT;
    INSERT INTO answer SELECT last, CASE WHEN substr(block, 1, 8) = x'0000000000000001' THEN 1 ELSE 2 END,
        substr(block, 9, 16), substr(block, 25, 16), at, 200, substr(block, 55) FROM answers;
    DROP TABLE answers; DROP TABLE answer_key;
    CREATE TABLE answer_key (
        shop INTEGER NOT NULL, key BLOB NOT NULL, answer INTEGER NOT NULL, PRIMARY KEY (shop, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO answer_key SELECT shop, key, id FROM answer;";

/// A file without a catalogue gets one when it is opened, and keeps its contents.
#[test]
fn an_older_format_is_moved_to_the_newest() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    shop.execute_commands(&id("1"), vec![add(5)]).unwrap();
    let other = TestShop::new(&store);
    other.execute_commands(&id("1"), vec![add(7)]).unwrap();
    let repeat_requests = |store: &SqliteStore, shop| {
        let shop = TestShop { store, id: shop, now: at("2026-01-01T12:00:00Z") };
        let repeat_request = |key| {
            expect_stored(shop.execute_with_key(
                key,
                Action::for_customer(id("1"), Existence::Required, vec![add(2)]),
            ))
        };
        ["k", "another", "k2"].map(repeat_request)
    };
    let shops = [shop.id, other.id];
    let responses = shops
        .map(|shop| repeat_requests(&store, shop).map(|(status, body, _)| (status, body, true)));
    let before = StoreContents::read(&store);

    drop(store);
    let first = "DROP TABLE variant; DROP TABLE numbering; DROP TABLE product; DROP TABLE category; DROP TABLE saved_search;
        DROP INDEX account_due; DROP TABLE sweep; ALTER TABLE account DROP COLUMN due;
        ALTER TABLE customer DROP COLUMN birthday_set_at; ALTER TABLE customer DROP COLUMN steady_since;
        ALTER TABLE customer DROP COLUMN household; DROP TABLE claim;
        DROP TABLE keyed; DROP TABLE price_rule; DROP TABLE discount_code;
        PRAGMA user_version = 1;";

    let newest = format_of(&database);
    database.connect().execute_batch(NAMES_OF_FORMAT_11).unwrap();
    database.connect().execute_batch(WITHOUT_SEGMENTS).unwrap();
    database.connect().execute_batch(RESPONSES_OF_FORMAT_5).unwrap();
    database.connect().execute_batch(first).unwrap();

    let store = database.open();
    assert_eq!(store.shops_to_reschedule(), Ok(shops.to_vec()), "no due instant is known yet");
    assert_eq!(StoreContents::read(&store), before.without_sequences());
    assert_eq!(store.count_products(shops[0]), Ok(0));
    assert_lists_complete(&store);
    assert_days_complete(&store);
    assert_eq!(format_of(&database), newest);
    assert_eq!(shops.map(|shop| repeat_requests(&store, shop)), responses);
}

/// The header of SQLite's log has a new salt after each restart. Requests come without a
/// pause, in which it could restart anyway.
#[test]

fn the_log_restarts_under_load() {
    let database = TempDatabase::new();
    let store = database.open_with(&tiny_settings());
    let shop = TestShop::new(&store);
    let log = database.file().with_file_name("loyalty.db-wal");
    let log_header = || {
        let mut header = [0; 16];
        std::fs::File::open(&log)
            .and_then(|mut log| log.read_exact(&mut header))
            .unwrap();
        header
    };

    shop.execute_commands(&customer_ref(0), vec![add(1)]).unwrap();
    let (first, restarted) = (log_header(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let adding = |number| {
                shop.request(Action::for_customer(
                    customer_ref(number % 50),
                    Existence::Any,
                    vec![add(1)],
                ))
            };

            let numbers = (0_i64..50_000).take_while(|_| !restarted.load(Ordering::Relaxed));
            execute_all(&store, 32, numbers.map(adding));
        });
        while !sender.is_finished() {
            restarted.fetch_or(log_header() != first, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(
        restarted.into_inner(),
        "the log only grows: {} bytes",
        std::fs::metadata(&log).unwrap().len()
    );
    assert_consistent(&store);
}

/// Keys of responses are stored in generations, the newest in the last.
#[test]
fn responses_of_every_generation_are_found() {
    let database = TempDatabase::new();
    let adding = || Action::for_customer(customer_ref(1), Existence::Any, vec![add(1)]);
    let store = database.open();
    let shop = TestShop::new(&store);
    let first = expect_stored(shop.execute_with_key("first", adding()));
    let shop_id = shop.id;
    drop(store);

    let mut others = Vec::new();
    for responses in [65_536, 131_072, 1_000_000] {
        database
            .connect()
            .execute("UPDATE checkpoint SET response = ?", [responses])
            .unwrap();
        let store = database.open_with(&tiny_settings());
        let shop = TestShop { store: &store, id: shop_id, now: at("2026-01-01T12:00:00Z") };
        let key = format!("after {responses}");
        others.push((key.clone(), expect_stored(shop.execute_with_key(&key, adding())).1));
    }

    let store = database.open();
    let shop = TestShop { store: &store, id: shop_id, now: at("2026-01-01T12:00:00Z") };
    others.push(("first".to_owned(), first.1));
    for (key, response) in others {
        assert_eq!(
            expect_stored(shop.execute_with_key(&key, adding())),
            (200, response, true),
            "{key}"
        );
    }

    let generations = "SELECT count(DISTINCT slot >> 40) FROM response_slot";
    assert_eq!(
        database
            .connect()
            .query_row(generations, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        4
    );
    assert_eq!(shop.balance(&customer_ref(1)), 4);
}

/// Variants as numbered before numbers were stored for each variant, when each product
/// had its own sequence.
#[test]
fn variants_of_an_older_format_keep_their_numbers() {
    let database = TempDatabase::new();
    let shop = TestShop::new(&database.open()).id;
    let older = format!(
        r#"DROP TABLE variant; PRAGMA user_version = 4;
        INSERT INTO numbering VALUES ({shop}, 3);
        INSERT INTO product VALUES
            ({shop}, {given} + 1, 'tea', '{{"id":"tea","title":"Tea","variants":[{{"id":"77"}},{{"id":"s"}}]}}',
             '[77,' || ({given} + 2) || ']', 0, 0),
            ({shop}, 8, '8', '{{"id":"8","title":"Cup","variants":[{{"id":"s"}}]}}', '[' || ({given} + 3) || ']', 0, 0),
            ({shop}, 9, '9', '{{"id":"9","title":"Mug"}}', '[]', 0, 0);"#,
        given = 1_i64 << 52,
    );
    database.connect().execute_batch(NAMES_OF_FORMAT_11).unwrap();
    database.connect().execute_batch(WITHOUT_SEGMENTS).unwrap();
    database.connect().execute_batch(RESPONSES_OF_FORMAT_5).unwrap();
    database.connect().execute_batch(&older).unwrap();
    let store = database.open();
    let (small, given) = (VariantId::new("s").unwrap(), |count| NumericId::from_id(None, count));
    for number in [2, 3] {
        assert_eq!(store.variant_by_number(shop, given(number)), Ok(Some(small.clone())));
    }
    assert_eq!(store.variant_by_number(shop, NumericId::new(77).unwrap()), Ok(None));
    assert_eq!(store.variant_number(shop, &small), Ok(Some(given(2))));
    assert_eq!(store.count_products(shop), Ok(3));
}

#[test]
fn another_programs_database_is_rejected_and_unchanged() {
    let database = TempDatabase::new();
    database
        .connect()
        .execute_batch("CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('tea')")
        .unwrap();

    let before = std::fs::read(database.file()).unwrap();
    let rejected = SqliteStore::open(&database.file(), &StoreSettings::default()).unwrap_err();
    assert_eq!(rejected, Failure::Corrupt("the file is another program's database".to_owned()));
    assert!(std::fs::read(database.file()).unwrap() == before, "the file was changed");

    std::fs::write(database.file(), "dear diary, ".repeat(1_000)).unwrap();
    let rejected = SqliteStore::open(&database.file(), &StoreSettings::default()).unwrap_err();
    assert!(matches!(rejected, Failure::Corrupt(_)), "{rejected}");
    let nowhere = database.file().join("missing").join("loyalty.db");
    assert!(matches!(SqliteAdmin::open(&nowhere).unwrap_err(), Failure::Unavailable(_)));
    assert!(matches!(
        SqliteAdmin::open_existing(&nowhere).unwrap_err(),
        Failure::Unavailable(_)
    ));
}

#[test]
fn a_file_is_served_by_one_store() {
    let database = TempDatabase::new();
    let store = database.open();
    let rejected = |file: &Path| {
        SqliteStore::open(file, &StoreSettings::default())
            .unwrap_err()
            .to_string()
    };

    assert!(rejected(&database.file()).contains("another process is serving this file"));
    #[cfg(unix)]
    {
        let alias = database.file().with_file_name("alias.db");
        std::os::unix::fs::symlink(database.file(), &alias).unwrap();
        assert!(rejected(&alias).contains("another process is serving this file"));
    }

    drop(store);
    drop(database.open());
}

#[test]
fn an_operator_works_beside_a_running_store() {
    let database = TempDatabase::new();
    let store = database.open_with(&tiny_settings());
    let shop = TestShop::new(&store);
    while_busy(&shop, 5, |_| {
        let opened = Instant::now();
        let admin = SqliteAdmin::open_existing(&database.file()).unwrap();
        assert!(opened.elapsed() < Duration::from_secs(2), "{:?}", opened.elapsed());
        for _ in 0..5 {
            let verified = admin.verify().unwrap();
            assert_eq!(verified.differences, Vec::<String>::new());
            assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
        }
        let (currency, zone) = (loyalty_core::Currency::USD, loyalty_core::Zone::UTC);
        let created = admin
            .create_shop(&NewShop { name: "Coffee".to_owned(), currency, zone }, shop.now)
            .unwrap();

        assert_eq!(store.shop(created.id).unwrap(), Some(created.clone()));
        let other_shop = TestShop { id: created.id, ..shop };
        other_shop.execute_commands(&id("1"), vec![add(3)]).unwrap();
        assert_eq!(other_shop.balance(&id("1")), 3);

        for key in ["first", "second"] {
            execute(&admin, created.id, AdminAction::CreateKey(new_key(key)));
            let owner = KeyOwner::Shop(created.id);
            assert_eq!(store.api_key(key).unwrap().unwrap().owner, owner);
        }
        let first = "first".to_owned();
        execute(&admin, created.id, AdminAction::RevokeKey { id: first, allow_last: false });
    });
    // Revoked by another process: the key may remain valid for a moment, in a cache.
    let started = Instant::now();
    while store.api_key("first").unwrap().is_some() {
        assert!(started.elapsed() < Duration::from_secs(3));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(store.api_key("second").unwrap().is_some());
}

/// Executes an action of the command line.
fn execute(admin: &SqliteAdmin, shop: loyalty_core::ShopId, action: AdminAction) {
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    let reply = admin.administer(AdminRequest::new(KeyOwner::Shop(shop), now, action));
    assert!(matches!(reply, Ok(AdminReply::Decided(Ok(_)))), "{reply:?}");
}

#[test]
fn reads_continue_while_the_queue_is_full() {
    let database = TempDatabase::new();
    let mut settings = StoreSettings::default();
    settings.queued_requests = 3;
    let store = database.open_with(&settings);
    let shop = TestShop::new(&store);
    shop.execute_commands(&customer_ref(1), vec![add(100)]).unwrap();
    let other = connect(&database.file());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let request =
        || shop.request(Action::for_customer(customer_ref(1), Existence::Required, vec![add(1)]));

    // One batch is being written, one is decided, and three requests wait.
    let mut accepted = Vec::new();
    let rejected = loop {
        let mut pending = store.execute(request());
        match Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => accepted.push(pending),
            Poll::Ready(reply) => break reply,
        }
        assert!(accepted.len() <= 1_000);
    };
    assert_eq!(rejected.unwrap_err(), Failure::Busy);
    assert!(accepted.len() >= 3);
    assert_eq!((shop.balance(&customer_ref(1)), store.check_ready()), (100, Ok(())));
    other.execute_batch("ROLLBACK").unwrap();

    let count = i64::try_from(accepted.len()).unwrap();
    for pending in accepted {
        expect_decided(pending.wait()).unwrap();
    }
    assert_eq!(shop.balance(&customer_ref(1)), 100 + count);
}

/// The write lock is held for longer than the writer waits, and the file is missing when
/// the writer checks it. No new file is created, and the store recovers without a request
/// when it is back.
#[test]
fn a_missing_file_is_not_recreated() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    shop.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();

    let elsewhere = TempDatabase::new();
    let move_files = |from: &TempDatabase, to: &TempDatabase| {
        for name in ["", "-wal", "-shm"] {
            let [from, to] =
                [from, to].map(|database| format!("{}{name}", database.file().display()));
            std::fs::rename(from, to).unwrap();
        }
    };
    let other = connect(&database.file());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let pending = store.execute(shop.request(Action::for_customer(
        customer_ref(1),
        Existence::Required,
        vec![add(1)],
    )));

    move_files(&database, &elsewhere);
    assert!(matches!(pending.wait(), Err(Failure::Unavailable(_))));
    std::thread::sleep(Duration::from_secs(1));
    assert!(matches!(store.check_ready(), Err(Failure::Unavailable(_))));
    assert!(matches!(
        store.customer(shop.id, &customer_ref(1)),
        Err(Failure::Unavailable(_))
    ));
    assert!(!database.file().exists());

    other.execute_batch("ROLLBACK").unwrap();
    move_files(&elsewhere, &database);
    until_ready(&store);
    assert_eq!(shop.balance(&customer_ref(1)), 1);
    shop.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();
    assert_eq!(shop.balance(&customer_ref(1)), 2);
}

/// Another file replaces the one that is served, or the file is moved away. Nothing more
/// is acknowledged, although the open connection could still write. The store recovers
/// when it is back.
#[test]
fn a_replaced_file_is_not_served() {
    for replaced in [true, false] {
        let database = TempDatabase::new();
        let store = database.open();
        let shop = TestShop::new(&store);
        shop.execute_commands(&customer_ref(1), vec![add(5)]).unwrap();
        let (copy, elsewhere) = (database.copy(), TempDatabase::new());

        let move_files = |from: &TempDatabase, to: &TempDatabase| {
            for name in ["", "-wal", "-shm"] {
                let [from, to] =
                    [from, to].map(|database| format!("{}{name}", database.file().display()));
                let _ = std::fs::rename(from, to);
            }
        };
        move_files(&database, &elsewhere);
        if replaced {
            move_files(&copy, &database);
        }
        for _ in 0..3 {
            let reply = store.execute(shop.request(Action::for_customer(
                customer_ref(1),
                Existence::Required,
                vec![add(5)],
            )));
            let Err(Failure::Unavailable(reason)) = reply.wait() else {
                panic!("it was acknowledged")
            };
            assert!(
                reason.contains(if replaced { "was replaced" } else { "No such file" }),
                "{reason}"
            );
            assert!(matches!(store.check_ready(), Err(Failure::Unavailable(_))));
        }
        if replaced {
            move_files(&database, &copy);
        }
        move_files(&elsewhere, &database);
        until_ready(&store);
        assert_eq!(shop.balance(&customer_ref(1)), 5);

        shop.execute_commands(&customer_ref(1), vec![add(5)]).unwrap();
        // The failure is detected without a request as well.
        move_files(&database, &elsewhere);
        let started = Instant::now();
        while store.check_ready().is_ok() {
            assert!(started.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(20));
        }
        move_files(&elsewhere, &database);
        until_ready(&store);
        assert_eq!(shop.balance(&customer_ref(1)), 10);
    }
}

fn until_ready(store: &dyn Store) {
    let started = Instant::now();
    while store.check_ready().is_err() {
        assert!(started.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Closing gives up on a locked file after a time; the next start folds the rest from the
/// journal.
#[test]
fn a_store_closes_while_its_file_is_locked() {
    let database = TempDatabase::new();

    let store = database.open();
    let shop = TestShop::new(&store);
    let other = connect(&database.file());
    shop.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (shop_id, now) = (shop.id, shop.now);
    let closing = Instant::now();
    drop(store);
    assert!(closing.elapsed() < Duration::from_secs(40), "{:?}", closing.elapsed());
    other.execute_batch("ROLLBACK").unwrap();

    let store = database.open();
    assert_eq!(TestShop { store: &store, id: shop_id, now }.balance(&customer_ref(1)), 1);
}

/// Requests decided while a commit is in flight depend on it. Here that commit fails.
#[test]
fn requests_after_a_failed_commit_are_discarded() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);

    shop.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();
    let add_to = |points| {
        let action = Action::for_customer(customer_ref(1), Existence::Required, vec![add(points)]);
        store.execute(shop.request(action))
    };

    let other = connect(&database.file());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = add_to(10);
    std::thread::sleep(Duration::from_millis(50));
    let second = add_to(100);
    // Longer than the writer waits for the lock.
    assert!(matches!(first.wait(), Err(Failure::Unavailable(_))));

    // The second could be written from now on, and must not be.
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(second.wait(), Err(Failure::Unavailable(_))));

    until_ready(&store);
    assert_eq!(shop.balance(&customer_ref(1)), 1);
    expect_decided(add_to(1_000).wait()).unwrap();
    assert_eq!(shop.balance(&customer_ref(1)), 1_001);
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
}

#[test]
fn a_panic_fails_only_its_own_request() {
    let database = TempDatabase::new();
    let store = database.open();
    let shop = TestShop::new(&store);
    let mut request = with_idempotency_key(
        shop.request(Action::for_customer(id("1"), Existence::Any, vec![add(1)])),
        "k",
        "f",
    );

    request.idempotency.as_mut().unwrap().render = Box::new(|_| panic!("the caller's mistake"));
    let broken = store.execute(request);
    let other =
        store.execute(shop.request(Action::for_customer(id("2"), Existence::Any, vec![add(2)])));
    assert!(matches!(broken.wait(), Err(Failure::Corrupt(_))));
    expect_decided(other.wait()).unwrap();

    assert_eq!((store.check_ready(), shop.balance(&id("2"))), (Ok(()), 2));
    assert!(store.customer(shop.id, &id("1")).unwrap().is_none());
}

/// A crash loses no due instant, whether the journal contains its change or not.
#[test]
fn due_instants_survive_a_crash() {
    let mut settings = StoreSettings::default();
    settings.write_behind_threshold = 3;
    let database = TempDatabase::new();
    let store = database.open_with(&settings);
    let shop = TestShop::new(&store);
    shop.execute(publish_action(FULL_PROGRAM)).unwrap();
    shop.execute(Action::RescheduleDue { limit: 1 }).unwrap();
    let customers: Vec<CustomerRef> = (0..8).map(|number| id(&format!("c{number}"))).collect();
    for (day, customer) in (10..).zip(&customers) {
        shop.execute(change_action(customer, birthday_change(&format!("1990-03-{day}"))))
            .unwrap();
        shop.execute_order(Some(customer), record_paid(&format!("o{day}"), "50.00"))
            .unwrap();
    }

    // All states reach their tables; then only birthdays change.
    std::thread::sleep(std::time::Duration::from_millis(100));
    for customer in &customers[..5] {
        shop.execute(change_action(customer, birthday_change("1990-02-05")))
            .unwrap();
    }
    shop.execute_commands(&customers[5], vec![add(5)]).unwrap();

    let scheduled = |store: &dyn Store| {
        assert_consistent(store);
        (all_due(store), store.shops_to_reschedule().unwrap())
    };
    let expected = scheduled(&store);
    assert_eq!((expected.0.len(), expected.1.len()), (8, 0));
    assert_eq!(scheduled(&database.copy().open_with(&settings)), expected);
    // An unfinished reschedule survives as well.
    shop.execute(publish_action(INACTIVITY_PROGRAM)).unwrap();
    shop.execute(Action::RescheduleDue { limit: 3 }).unwrap();
    let copy = database.copy();
    let reopened = copy.open_with(&settings);
    assert_eq!(reopened.shops_to_reschedule().unwrap(), [shop.id]);

    for (store, now) in [(&store, "2026-02-01T00:00:00Z"), (&reopened, "2026-02-01T00:00:00Z")] {
        run_scheduler(&TestShop { store, ..shop }.at(now));
    }
    assert_eq!(scheduled(&reopened), scheduled(&store));
}
