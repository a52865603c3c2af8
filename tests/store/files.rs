//! What a file promises beyond a store: that it survives, that it is the right one, and that an operator
//! may work beside it.

use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loyalty_core::VariantId;
use loyalty_store::{
    Action, Catalogue, CustomerRef, Existence, Failure, NewShop, NumericId, SqliteAdmin,
    SqliteStore, Store, StoreSettings,
};
use loyalty_tests::*;

use loyalty_store::conformance::contents::{StoreContents, all_due, assert_consistent};
use loyalty_store::conformance::races::StopFlag;
use loyalty_store::conformance::shops::new_key;
use loyalty_store::conformance::time::{
    FULL_PROGRAM, INACTIVITY_PROGRAM, birthday_change, change_action, run_scheduler,
};

use crate::{NAMES_OF_FORMAT_11, TempDatabase, WITHOUT_SEGMENTS, connect};

fn customer_ref(number: i64) -> CustomerRef {
    id(&format!("c{number}"))
}

/// Threads that add a point to each of some customers in turn until told to stop, counting each one only
/// when it is acknowledged.
fn while_busy<T>(desk: &TestShop<'_>, customers: i64, then: impl FnOnce(&[AtomicI64]) -> T) -> T {
    let (over, done) = (
        StopFlag::default(),
        (0..customers).map(|_| AtomicI64::new(0)).collect::<Vec<_>>(),
    );
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (over, done) = (&over, &done);
            scope.spawn(move || {
                for (seconds, number) in (start..).map(|count| count % customers).enumerate() {
                    if over.is_set() {
                        return;
                    }
                    // Each at an instant of its own, so that customers get chapters of instants.
                    let now = desk.now + Duration::from_secs(u64::try_from(seconds).unwrap());
                    let desk = TestShop { now, ..*desk };
                    desk.execute_commands(&customer_ref(number), vec![add(1)]).unwrap();
                    done[usize::try_from(number).unwrap()].fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        let _over = over.set_on_drop();
        then(&done)
    })
}

#[test]
fn acknowledged_requests_are_in_a_copy_taken_at_any_time() {
    for settings in [StoreSettings::default(), tiny_settings()] {
        let place = TempDatabase::new();
        let store = place.open_with(&settings);
        let desk = TestShop::new(&store);
        // Each request opens a lot.
        desk.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P5Y"}}}"#))
            .unwrap();
        while_busy(&desk, 9, |done| {
            for _ in 0..6 {
                std::thread::sleep(Duration::from_millis(40));
                let acknowledged: Vec<i64> =
                    done.iter().map(|count| count.load(Ordering::SeqCst)).collect();
                let copy = place.copy();
                let copied = copy.open_with(&settings);
                assert_consistent(&copied);
                for (number, least) in (0..).zip(acknowledged).filter(|(_, least)| *least > 0) {
                    let balance =
                        TestShop { store: &copied, ..desk }.balance(&customer_ref(number));
                    assert!(balance >= least, "c{number} has {balance} of {least}");
                }
            }
        });
        // And when nothing happens any more, before and after the writer tidied up.
        for _ in 0..2 {
            let copy = place.copy();
            assert_eq!(StoreContents::read(&copy.open()), StoreContents::read(&store));
            std::thread::sleep(Duration::from_millis(60));
        }
    }
}

/// Rounds so large that they take several commits: states that changed after a round began are in their
/// table before the checkpoint comes to them. Whatever moment a crash finds, nothing is folded twice.
/// What it left is judged in the end only: whoever looks at once gives the writer time to finish.
#[test]
fn a_checkpoint_of_several_commits_keeps_concurrent_changes() {
    let place = TempDatabase::new();
    let mut settings = StoreSettings::default();
    (settings.cached_records, settings.write_behind_threshold) = (16, 300);
    let store = place.open_with(&settings);
    let desk = TestShop::new(&store);
    // In leaps, so that customers of a round are told of again before it is through.
    let (mut told, mut number, mut copies) = ([0; 300], 1, Vec::new());
    for turn in 0..1_000_usize {
        number = (number * 1_103_515_245 + 12_345) % 2_147_483_648;
        let chosen = (number >> 8) % 300;
        let (who, order) = (customer_ref(chosen), format!("o{chosen}"));
        let count = &mut told[usize::try_from(chosen).unwrap()];
        *count += 1;
        desk.execute_commands(&who, vec![add(1)]).unwrap();
        desk.execute_order(Some(&who), record_paid(&order, &format!("{count}.00")))
            .unwrap();
        if turn.is_multiple_of(29) {
            copies.push((place.copy(), told));
        }
    }
    for (copy, told) in &copies {
        let store = copy.open_with(&settings);
        let desk = TestShop { store: &store, ..desk };
        for (number, want) in (0..).zip(told).filter(|(_, told)| **told > 0) {
            let order = store
                .order(desk.id, &order_id(&format!("o{number}")))
                .unwrap()
                .unwrap();
            assert_eq!(order.state.posted().awarded, points(*want), "o{number}");
            assert_eq!(desk.balance(&customer_ref(number)), 2 * want, "c{number}");
            assert!(desk.customer(&customer_ref(number)).account().is_consistent(), "c{number}");
        }
        assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
    }
}

#[test]
fn one_busy_account_does_not_hold_the_checkpoint_back() {
    let place = TempDatabase::new();
    let mut settings = StoreSettings::default();
    settings.write_behind_threshold = 50;
    let store = place.open_with(&settings);
    let desk = TestShop::new(&store);
    let mut pending = Vec::new();
    for _ in 0..2_000 {
        pending.push(store.execute(desk.request(Action::for_customer(
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
    let copy = place.copy();
    let numbers = "SELECT (SELECT max(seq) FROM journal), (SELECT seq FROM checkpoint)";
    let (last, through): (i64, i64) = copy
        .connect()
        .query_row(numbers, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert!(last - through < 200, "row {last}, but the checkpoint is at {through}");
}

#[test]
fn a_clean_close_leaves_nothing_to_fold() {
    let place = TempDatabase::new();
    let store = place.open();
    let desk = TestShop::new(&store);
    for number in 0..20 {
        desk.execute_commands(&customer_ref(number), vec![add(1)]).unwrap();
    }
    drop(store);
    let db = place.connect();
    let number = |query: &str| db.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT seq FROM checkpoint"), number("SELECT max(seq) FROM journal"));
    assert_eq!(number("SELECT count(*) FROM account"), 20);
}

#[test]
fn old_responses_leave_the_file() {
    let place = TempDatabase::new();
    let store = place.open();
    let desk = TestShop::new(&store);
    let adding = || Action::for_customer(customer_ref(1), Existence::Any, vec![add(1)]);
    for number in 0..600 {
        expect_stored(desk.execute_with_key(&format!("k{number}"), adding()));
    }
    let answers = || {
        let counts =
            "SELECT (SELECT count(*) FROM response_block), (SELECT count(*) FROM response_slot)";
        place
            .connect()
            .query_row(counts, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .unwrap()
    };
    let later = desk.at("2026-02-25T00:00:00Z");
    expect_stored(later.execute_with_key("last", adding()));
    let patience = Instant::now();
    while answers() != (1, 1) && patience.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(answers(), (1, 1));
    assert!(expect_stored(later.execute_with_key("last", adding())).2);
}

#[test]
fn a_newer_format_is_rejected_by_name() {
    let place = TempDatabase::new();
    drop(place.open());
    place.connect().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(place.file()).unwrap();
    let newer = Failure::NewerFormat { found: 99, supported: 12 };
    assert_eq!(SqliteStore::open(&place.file(), &StoreSettings::default()).unwrap_err(), newer);
    assert_eq!(SqliteAdmin::open(&place.file()).unwrap_err(), newer);
    assert!(std::fs::read(place.file()).unwrap() == before, "the file was changed");
}

/// Kept answers as they were until format 5, of two shops; each was alone in its commit, and so in its block.
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

/// A file from before the catalogue has one as soon as it is opened, and keeps the rest.
#[test]
fn an_older_format_is_moved_to_the_newest() {
    let place = TempDatabase::new();
    let store = place.open();
    let desk = TestShop::new(&store);
    desk.execute_commands(&id("1"), vec![add(5)]).unwrap();
    let other = TestShop::new(&store);
    other.execute_commands(&id("1"), vec![add(7)]).unwrap();
    let keyed = |store: &SqliteStore, shop| {
        let desk = TestShop { store, id: shop, now: at("2026-01-01T12:00:00Z") };
        let once = |key| {
            expect_stored(desk.execute_with_key(
                key,
                Action::for_customer(id("1"), Existence::Required, vec![add(2)]),
            ))
        };
        ["k", "another", "k2"].map(once)
    };
    let shops = [desk.id, other.id];
    let answers =
        shops.map(|shop| keyed(&store, shop).map(|(status, body, _)| (status, body, true)));
    let before = StoreContents::read(&store);
    drop(store);
    let first = "DROP TABLE variant; DROP TABLE numbering; DROP TABLE product; DROP TABLE category; DROP TABLE saved_search;
        DROP INDEX account_due; DROP TABLE sweep; ALTER TABLE account DROP COLUMN due;
        ALTER TABLE customer DROP COLUMN birthday_set_at; ALTER TABLE customer DROP COLUMN steady_since;
        ALTER TABLE customer DROP COLUMN household; DROP TABLE claim;
        DROP TABLE keyed; DROP TABLE price_rule; DROP TABLE discount_code;
        PRAGMA user_version = 1;";
    place.connect().execute_batch(NAMES_OF_FORMAT_11).unwrap();
    place.connect().execute_batch(WITHOUT_SEGMENTS).unwrap();
    place.connect().execute_batch(RESPONSES_OF_FORMAT_5).unwrap();
    place.connect().execute_batch(first).unwrap();
    let store = place.open();
    assert_eq!(
        store.shops_to_reschedule(),
        Ok(shops.to_vec()),
        "of no account is known what is due next"
    );
    assert_eq!(StoreContents::read(&store), before);
    assert_eq!(store.count_products(shops[0]), Ok(0));
    let version: i64 = place
        .connect()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 12);
    assert_eq!(shops.map(|shop| keyed(&store, shop)), answers);
}

/// SQLite's log: its header counts how often it began anew. Requests come without a pause, in which it could.
#[test]
fn the_log_restarts_under_load() {
    let place = TempDatabase::new();
    let store = place.open_with(&tiny_settings());
    let desk = TestShop::new(&store);
    let log = place.file().with_file_name("loyalty.db-wal");
    let begun = || {
        let mut header = [0; 16];
        std::fs::File::open(&log)
            .and_then(|mut log| log.read_exact(&mut header))
            .unwrap();
        header
    };
    desk.execute_commands(&customer_ref(0), vec![add(1)]).unwrap();
    let (first, is_anew) = (begun(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let adding = |number| {
                desk.request(Action::for_customer(
                    customer_ref(number % 50),
                    Existence::Any,
                    vec![add(1)],
                ))
            };
            let come = (0_i64..50_000).take_while(|_| !is_anew.load(Ordering::Relaxed));
            execute_all(&store, 32, come.map(adding));
        });
        while !sender.is_finished() {
            is_anew.fetch_or(begun() != first, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(
        is_anew.into_inner(),
        "the log only grows: {} bytes",
        std::fs::metadata(&log).unwrap().len()
    );
    assert_consistent(&store);
}

/// Keys of answers stand in generations, the newest in the last.
#[test]
fn responses_of_every_generation_are_found() {
    let place = TempDatabase::new();
    let adding = || Action::for_customer(customer_ref(1), Existence::Any, vec![add(1)]);
    let store = place.open();
    let desk = TestShop::new(&store);
    let first = expect_stored(desk.execute_with_key("first", adding()));
    let shop = desk.id;
    drop(store);
    let mut others = Vec::new();
    for answers in [65_536, 131_072, 1_000_000] {
        place
            .connect()
            .execute("UPDATE checkpoint SET response = ?", [answers])
            .unwrap();
        let store = place.open_with(&tiny_settings());
        let desk = TestShop { store: &store, id: shop, now: at("2026-01-01T12:00:00Z") };
        let key = format!("after {answers}");
        others.push((key.clone(), expect_stored(desk.execute_with_key(&key, adding())).1));
    }
    let store = place.open();
    let desk = TestShop { store: &store, id: shop, now: at("2026-01-01T12:00:00Z") };
    others.push(("first".to_owned(), first.1));
    for (key, answer) in others {
        assert_eq!(
            expect_stored(desk.execute_with_key(&key, adding())),
            (200, answer, true),
            "{key}"
        );
    }
    let generations = "SELECT count(DISTINCT slot >> 40) FROM response_slot";
    assert_eq!(
        place
            .connect()
            .query_row(generations, [], |row| row.get::<_, i64>(0))
            .unwrap(),
        4
    );
    assert_eq!(desk.balance(&customer_ref(1)), 4);
}

/// What variants were numbered by before it was kept which number is whose. Then each product counted for itself.
#[test]
fn variants_of_an_older_format_keep_their_numbers() {
    let place = TempDatabase::new();
    let shop = TestShop::new(&place.open()).id;
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
    place.connect().execute_batch(NAMES_OF_FORMAT_11).unwrap();
    place.connect().execute_batch(WITHOUT_SEGMENTS).unwrap();
    place.connect().execute_batch(RESPONSES_OF_FORMAT_5).unwrap();
    place.connect().execute_batch(&older).unwrap();
    let store = place.open();
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
    let place = TempDatabase::new();
    place
        .connect()
        .execute_batch("CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('tea')")
        .unwrap();
    let before = std::fs::read(place.file()).unwrap();
    let refused = SqliteStore::open(&place.file(), &StoreSettings::default()).unwrap_err();
    assert_eq!(refused, Failure::Corrupt("the file is another program's database".to_owned()));
    assert!(std::fs::read(place.file()).unwrap() == before, "the file was changed");

    std::fs::write(place.file(), "dear diary, ".repeat(1_000)).unwrap();
    let refused = SqliteStore::open(&place.file(), &StoreSettings::default()).unwrap_err();
    assert!(matches!(refused, Failure::Corrupt(_)), "{refused}");
    let nowhere = place.file().join("missing").join("loyalty.db");
    assert!(matches!(SqliteAdmin::open(&nowhere).unwrap_err(), Failure::Unavailable(_)));
    assert!(matches!(
        SqliteAdmin::open_existing(&nowhere).unwrap_err(),
        Failure::Unavailable(_)
    ));
}

#[test]
fn a_file_is_served_by_one_store() {
    let place = TempDatabase::new();
    let store = place.open();
    let refused = |file: &Path| {
        SqliteStore::open(file, &StoreSettings::default())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&place.file()).contains("another process is serving this file"));
    #[cfg(unix)]
    {
        let alias = place.file().with_file_name("alias.db");
        std::os::unix::fs::symlink(place.file(), &alias).unwrap();
        assert!(refused(&alias).contains("another process is serving this file"));
    }
    drop(store);
    drop(place.open());
}

#[test]
fn an_operator_works_beside_a_running_store() {
    let place = TempDatabase::new();
    let store = place.open_with(&tiny_settings());
    let desk = TestShop::new(&store);
    while_busy(&desk, 5, |_| {
        let opened = Instant::now();
        let admin = SqliteAdmin::open_existing(&place.file()).unwrap();
        assert!(opened.elapsed() < Duration::from_secs(2), "{:?}", opened.elapsed());
        for _ in 0..5 {
            let verified = admin.verify().unwrap();
            assert_eq!(verified.differences, Vec::<String>::new());
            assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
        }
        let (currency, zone) = (loyalty_core::Currency::USD, loyalty_core::Zone::UTC);
        let made = admin
            .create_shop(&NewShop { name: "Coffee".to_owned(), currency, zone }, desk.now)
            .unwrap();
        assert_eq!(store.shop(made.id).unwrap(), Some(made.clone()));
        let there = TestShop { id: made.id, ..desk };
        there.execute_commands(&id("1"), vec![add(3)]).unwrap();
        assert_eq!(there.balance(&id("1")), 3);

        for key in ["first", "second"] {
            admin.add_key(made.id, &new_key(key), desk.now).unwrap();
            assert_eq!(store.api_key(key).unwrap().unwrap().shop, made.id);
        }
        admin.add_key(made.id, &new_key("third"), desk.now).unwrap();
    });
    // Revoked by somebody else: believed for a moment, not longer.
    let patience = Instant::now();
    while store.api_key("first").unwrap().is_some() {
        assert!(patience.elapsed() < Duration::from_secs(3));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(store.api_key("second").unwrap().is_some());
}

#[test]
fn reads_continue_while_the_queue_is_full() {
    let place = TempDatabase::new();
    let mut settings = StoreSettings::default();
    settings.queued_requests = 3;
    let store = place.open_with(&settings);
    let desk = TestShop::new(&store);
    desk.execute_commands(&customer_ref(1), vec![add(100)]).unwrap();
    let other = connect(&place.file());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let request =
        || desk.request(Action::for_customer(customer_ref(1), Existence::Required, vec![add(1)]));
    // One batch is being written, one is decided, and three requests wait.
    let mut accepted = Vec::new();
    let refused = loop {
        let mut pending = store.execute(request());
        match Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => accepted.push(pending),
            Poll::Ready(reply) => break reply,
        }
        assert!(accepted.len() <= 1_000);
    };
    assert_eq!(refused.unwrap_err(), Failure::Busy);
    assert!(accepted.len() >= 3);
    assert_eq!((desk.balance(&customer_ref(1)), store.check_ready()), (100, Ok(())));
    other.execute_batch("ROLLBACK").unwrap();
    let count = i64::try_from(accepted.len()).unwrap();
    for pending in accepted {
        expect_decided(pending.wait()).unwrap();
    }
    assert_eq!(desk.balance(&customer_ref(1)), 100 + count);
}

/// The write lock stays taken for longer than the writer waits, and the file is gone when it looks again:
/// nothing is made in its place, and all is well when it is back, without anybody asking.
#[test]
fn a_missing_file_is_not_recreated() {
    let place = TempDatabase::new();
    let store = place.open();
    let desk = TestShop::new(&store);
    desk.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();
    let taken = TempDatabase::new();
    let all = |from: &TempDatabase, to: &TempDatabase| {
        for name in ["", "-wal", "-shm"] {
            let [from, to] = [from, to].map(|place| format!("{}{name}", place.file().display()));
            std::fs::rename(from, to).unwrap();
        }
    };
    let other = connect(&place.file());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let pending = store.execute(desk.request(Action::for_customer(
        customer_ref(1),
        Existence::Required,
        vec![add(1)],
    )));
    all(&place, &taken);
    assert!(matches!(pending.wait(), Err(Failure::Unavailable(_))));
    std::thread::sleep(Duration::from_secs(1));
    assert!(matches!(store.check_ready(), Err(Failure::Unavailable(_))));
    assert!(matches!(
        store.customer(desk.id, &customer_ref(1)),
        Err(Failure::Unavailable(_))
    ));
    assert!(!place.file().exists());
    other.execute_batch("ROLLBACK").unwrap();
    all(&taken, &place);
    until_ready(&store);
    assert_eq!(desk.balance(&customer_ref(1)), 1);
    desk.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();
    assert_eq!(desk.balance(&customer_ref(1)), 2);
}

/// Another file is put in the place of the one that is served, or that one is taken away: nothing more is
/// acknowledged, whatever the open connection could still write to; and all is well when it is back.
#[test]
fn a_replaced_file_is_not_served() {
    for replaced in [true, false] {
        let place = TempDatabase::new();
        let store = place.open();
        let desk = TestShop::new(&store);
        desk.execute_commands(&customer_ref(1), vec![add(5)]).unwrap();
        let (copy, taken) = (place.copy(), TempDatabase::new());
        let all = |from: &TempDatabase, to: &TempDatabase| {
            for name in ["", "-wal", "-shm"] {
                let [from, to] =
                    [from, to].map(|place| format!("{}{name}", place.file().display()));
                let _ = std::fs::rename(from, to);
            }
        };
        all(&place, &taken);
        if replaced {
            all(&copy, &place);
        }
        for _ in 0..3 {
            let told = store.execute(desk.request(Action::for_customer(
                customer_ref(1),
                Existence::Required,
                vec![add(5)],
            )));
            let Err(Failure::Unavailable(why)) = told.wait() else {
                panic!("it was acknowledged")
            };
            assert!(why.contains(if replaced { "was replaced" } else { "No such file" }), "{why}");
            assert!(matches!(store.check_ready(), Err(Failure::Unavailable(_))));
        }
        if replaced {
            all(&place, &copy);
        }
        all(&taken, &place);
        until_ready(&store);
        assert_eq!(desk.balance(&customer_ref(1)), 5);
        desk.execute_commands(&customer_ref(1), vec![add(5)]).unwrap();
        // Also where nobody asks for anything.
        all(&place, &taken);
        let patience = Instant::now();
        while store.check_ready().is_ok() {
            assert!(patience.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(20));
        }
        all(&taken, &place);
        until_ready(&store);
        assert_eq!(desk.balance(&customer_ref(1)), 10);
    }
}

fn until_ready(store: &dyn Store) {
    let patience = Instant::now();
    while store.check_ready().is_err() {
        assert!(patience.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What cannot be written now is folded at the next start; closing does not wait for it for ever.
#[test]
fn a_store_closes_while_its_file_is_locked() {
    let place = TempDatabase::new();
    let store = place.open();
    let desk = TestShop::new(&store);
    let other = connect(&place.file());
    desk.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (shop, now) = (desk.id, desk.now);
    let closing = Instant::now();
    drop(store);
    assert!(closing.elapsed() < Duration::from_secs(40), "{:?}", closing.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    let store = place.open();
    assert_eq!(TestShop { store: &store, id: shop, now }.balance(&customer_ref(1)), 1);
}

/// What is decided while a commit is under way rests on it. Here that commit fails.
#[test]
fn requests_after_a_failed_commit_are_discarded() {
    let place = TempDatabase::new();
    let store = place.open();
    let desk = TestShop::new(&store);
    desk.execute_commands(&customer_ref(1), vec![add(1)]).unwrap();
    let add_to = |points| {
        let action = Action::for_customer(customer_ref(1), Existence::Required, vec![add(points)]);
        store.execute(desk.request(action))
    };
    let other = connect(&place.file());
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
    assert_eq!(desk.balance(&customer_ref(1)), 1);
    expect_decided(add_to(1_000).wait()).unwrap();
    assert_eq!(desk.balance(&customer_ref(1)), 1_001);
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
}

#[test]
fn a_panic_fails_only_its_own_request() {
    let place = TempDatabase::new();
    let store = place.open();
    let desk = TestShop::new(&store);
    let mut request = with_idempotency_key(
        desk.request(Action::for_customer(id("1"), Existence::Any, vec![add(1)])),
        "k",
        "f",
    );
    request.idempotency.as_mut().unwrap().render = Box::new(|_| panic!("the caller's mistake"));
    let broken = store.execute(request);
    let other =
        store.execute(desk.request(Action::for_customer(id("2"), Existence::Any, vec![add(2)])));
    assert!(matches!(broken.wait(), Err(Failure::Corrupt(_))));
    expect_decided(other.wait()).unwrap();
    assert_eq!((store.check_ready(), desk.balance(&id("2"))), (Ok(()), 2));
    assert!(store.customer(desk.id, &id("1")).unwrap().is_none());
}

/// A crash forgets nothing of what is due: neither what the journal says, nor what it does not.
#[test]
fn what_is_due_is_known_after_a_crash() {
    let mut settings = StoreSettings::default();
    settings.write_behind_threshold = 3;
    let place = TempDatabase::new();
    let store = place.open_with(&settings);
    let desk = TestShop::new(&store);
    desk.execute(publish_action(FULL_PROGRAM)).unwrap();
    desk.execute(Action::RescheduleDue { limit: 1 }).unwrap();
    let people: Vec<CustomerRef> = (0..8).map(|number| id(&format!("c{number}"))).collect();
    for (day, who) in (10..).zip(&people) {
        desk.execute(change_action(who, birthday_change(&format!("1990-03-{day}"))))
            .unwrap();
        desk.execute_order(Some(who), record_paid(&format!("o{day}"), "50.00"))
            .unwrap();
    }
    // All states reach their tables; then birthdays change, and nothing else.
    std::thread::sleep(std::time::Duration::from_millis(100));
    for who in &people[..5] {
        desk.execute(change_action(who, birthday_change("1990-02-05")))
            .unwrap();
    }
    desk.execute_commands(&people[5], vec![add(5)]).unwrap();
    let look = |store: &dyn Store| {
        assert_consistent(store);
        (all_due(store), store.shops_to_reschedule().unwrap())
    };
    let want = look(&store);
    assert_eq!((want.0.len(), want.1.len()), (8, 0));
    assert_eq!(look(&place.copy().open_with(&settings)), want);
    // A publication is not forgotten either, wherever its looking through stands.
    desk.execute(publish_action(INACTIVITY_PROGRAM)).unwrap();
    desk.execute(Action::RescheduleDue { limit: 3 }).unwrap();
    let copy = place.copy();
    let left = copy.open_with(&settings);
    assert_eq!(left.shops_to_reschedule().unwrap(), [desk.id]);
    for (store, now) in [(&store, "2026-02-01T00:00:00Z"), (&left, "2026-02-01T00:00:00Z")] {
        run_scheduler(&TestShop { store, ..desk }.at(now));
    }
    assert_eq!(look(&left), look(&store));
}
