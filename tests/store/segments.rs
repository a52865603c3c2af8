//! The old activity and lots of an account are stored in segments: each is written once,
//! none is lost, and accounts of older files get segments when they change.

use std::time::Duration;

use loyalty_core::program::EmailProof;
use loyalty_core::{AccountId, ShopId, Timestamp};
use loyalty_store::conformance::contents::{StoreContents, assert_consistent};
use loyalty_store::{
    Action, EmailConflict, Existence, MemoryStore, ProfileChange, SqliteAdmin, SqliteStore, Store,
    StoreSettings,
};
use loyalty_tests::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::{NAMES_OF_FORMAT_11, TempDatabase, WITHOUT_SEGMENTS};

fn minute(number: u64) -> Timestamp {
    at("2026-01-01T12:00:00Z") + Duration::from_secs(number * 60)
}

/// Every order opens a lot of its own, with an expiry.
const EXPIRING: &str = r#"{"expiry": {"per_lot": {"after": "P2Y"}}}"#;
/// Lots without an expiry of their own; all points from the shop share one.
const IDLE: &str = r#"{"expiry": {"inactivity": {"after": "P1Y"}}}"#;

fn shop_at(store: &dyn Store, now: Timestamp) -> TestShop<'_> {
    TestShop { store, id: ShopId(1), now }
}

/// Orders of customer 1, one a minute.
fn record_orders(store: &SqliteStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        shop_at(store, minute(number))
            .execute_order(Some(&id("1")), record_paid(&format!("o{number}"), "20.00"))
            .unwrap();
    }
}

/// Customer 1 has a hundred orders, each with a lot: six segments of instants and six of
/// lots. The last four of both are in the account.
fn customer_of_100_orders() -> TempDatabase {
    let database = TempDatabase::new();
    let store = database.open();
    TestShop::new(&store).execute(publish_action(EXPIRING)).unwrap();
    record_orders(&store, 0..100);
    drop(store);
    database
}

fn query_number(database: &TempDatabase, sql: &str) -> i64 {
    database.connect().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Counts the writes to the table from now on.
fn count_writes<'a>(database: &'a TempDatabase, table: &str) -> impl Fn() -> i64 + use<'a> {
    let watch = format!(
        "CREATE TABLE written (count INTEGER); INSERT INTO written VALUES (0);
        CREATE TRIGGER put AFTER INSERT ON {table} BEGIN UPDATE written SET count = count + 1; END;
        CREATE TRIGGER again AFTER UPDATE ON {table} BEGIN UPDATE written SET count = count + 1; END;"
    );
    database.connect().execute_batch(&watch).unwrap();
    || query_number(database, "SELECT count FROM written")
}

const COUNT_SEGMENTS: &str = "SELECT count(*) FROM activity_segment";
const COUNT_LOT_SEGMENTS: &str = "SELECT count(*) FROM lot_segment";

#[test]
fn a_segment_is_rewritten_only_when_it_changes() {
    let database = TempDatabase::new();
    TestShop::new(&database.open());
    let writes = count_writes(&database, "activity_segment");
    // Closed repeatedly, as one checkpoint and as several small ones.

    for round in 0..20 {
        record_orders(&database.open(), round * 10..round * 10 + 10);
    }
    assert_eq!(
        (query_number(&database, COUNT_SEGMENTS), writes()),
        (12, 12),
        "of 200 instants, the last eight in the account"
    );

    record_orders(&database.open(), 200..400);
    assert_eq!((query_number(&database, COUNT_SEGMENTS), writes()), (24, 24));
    record_orders(&database.open_with(&tiny_settings()), 400..600);
    assert_eq!((query_number(&database, COUNT_SEGMENTS), writes()), (37, 37));
    let state = query_number(&database, "SELECT length(state) FROM account");
    assert!(state < 700, "an account of 600 orders takes {state} bytes");

    let store = database.open();
    shop_at(&store, minute(700))
        .execute_order(Some(&id("1")), refund("o40", "r1", "20.00"))
        .unwrap();
    drop(store);
    assert_eq!(
        (query_number(&database, COUNT_SEGMENTS), writes()),
        (37, 38),
        "the third one lost an order"
    );

    let store = database.open();
    shop_at(&store, minute(701))
        .execute_order(Some(&id("1")), refund("o32", "r1", "20.00"))
        .unwrap();
    drop(store);
    assert_eq!(
        (query_number(&database, COUNT_SEGMENTS), writes()),
        (37, 39),
        "it begins later now"
    );
    assert_eq!(
        query_number(
            &database,
            "SELECT count(*) FROM activity_segment WHERE first_second = strftime('%s', '2026-01-01 12:32')"
        ),
        0
    );
    assert_consistent(&database.open());
}

#[test]
fn lot_segments_are_rewritten_only_when_they_change() {
    let database = TempDatabase::new();
    TestShop::new(&database.open())
        .execute(publish_action(EXPIRING))
        .unwrap();
    let writes = count_writes(&database, "lot_segment");

    for round in 0..20 {
        record_orders(&database.open(), round * 10..round * 10 + 10);
    }
    assert_eq!(
        (query_number(&database, COUNT_LOT_SEGMENTS), writes()),
        (12, 12),
        "of 200 lots, the last eight in the account"
    );

    record_orders(&database.open_with(&tiny_settings()), 200..600);
    assert_eq!((query_number(&database, COUNT_LOT_SEGMENTS), writes()), (37, 37));
    let state = query_number(&database, "SELECT length(state) FROM account");
    assert!(state < 2_000, "an account of 600 lots takes {state} bytes");

    let execute = |minutes, command| {
        shop_at(&database.open(), minute(minutes))
            .execute_commands(&id("1"), vec![command])
            .unwrap()
    };
    execute(700, subtract(5));
    assert_eq!(
        (query_number(&database, COUNT_LOT_SEGMENTS), writes()),
        (37, 38),
        "of the first lot"
    );

    execute(701, subtract(15));
    assert_eq!(
        (query_number(&database, COUNT_LOT_SEGMENTS), writes()),
        (37, 39),
        "it begins with the second one now"
    );
    assert_eq!(query_number(&database, "SELECT min(first_lot) FROM lot_segment"), 2);

    execute(702, subtract(15 * 20));
    assert_eq!(
        (query_number(&database, COUNT_LOT_SEGMENTS), writes()),
        (36, 39),
        "all of it is spent"
    );

    let of_o40 = || -> String {
        database
            .connect()
            .query_row("SELECT body FROM lot_segment WHERE first_lot = 33", [], |row| row.get(0))
            .unwrap()
    };

    let before = of_o40();
    let refunded = shop_at(&database.open(), minute(703))
        .execute_order(Some(&id("1")), refund("o40", "r1", "7.00"));
    refunded.unwrap();
    assert_eq!((query_number(&database, COUNT_LOT_SEGMENTS), writes()), (36, 40));
    assert_ne!(of_o40(), before, "it comes off the order's own lot");
    assert_consistent(&database.open());
}

#[test]
fn accounts_of_an_older_file_get_segments_when_they_change() {
    let database = customer_of_100_orders();
    let before = StoreContents::read(&database.open());
    // As in format 9: the whole account in its state.
    let account = database
        .open()
        .account_at(ShopId(1), AccountId(1), minute(99))
        .unwrap();
    database
        .connect()
        .execute("UPDATE account SET state = ?", [serde_json::to_string(&account).unwrap()])
        .unwrap();

    database.connect().execute_batch(NAMES_OF_FORMAT_11).unwrap();
    database.connect().execute_batch(WITHOUT_SEGMENTS).unwrap();
    database.connect().pragma_update(None, "user_version", 9).unwrap();
    assert_eq!(StoreContents::read(&database.open()), before.without_sequences());
    assert_eq!(
        [COUNT_SEGMENTS, COUNT_LOT_SEGMENTS].map(|count| query_number(&database, count)),
        [0, 0]
    );

    record_orders(&database.open(), 100..101);
    assert_eq!(
        [COUNT_SEGMENTS, COUNT_LOT_SEGMENTS].map(|count| query_number(&database, count)),
        [6, 6]
    );
    assert!(query_number(&database, "SELECT length(state) FROM account") < 2_000);
    let store = database.open();
    assert_consistent(&store);
    assert_eq!(
        shop_at(&store, minute(101))
            .customer(&id("1"))
            .account()
            .progress()
            .lifetime()
            .orders,
        101
    );
}

/// As in format 10, with segments of instants but not of lots.
#[test]
fn accounts_with_instant_segments_only_get_lot_segments() {
    let database = customer_of_100_orders();
    let before = StoreContents::read(&database.open());

    let account = database
        .open()
        .account_at(ShopId(1), AccountId(1), minute(99))
        .unwrap();
    let (lots, sql) = (
        serde_json::to_string(account.lots()).unwrap(),
        "UPDATE account SET segment_count = 6, state = json_set(state, '$.lots', json(?))",
    );
    database.connect().execute(sql, [lots]).unwrap();

    database.connect().execute_batch(NAMES_OF_FORMAT_11).unwrap();
    database.connect().execute_batch("DROP TABLE lot_chapter").unwrap();
    database.connect().pragma_update(None, "user_version", 10).unwrap();
    assert_eq!(StoreContents::read(&database.open()), before.without_sequences());

    record_orders(&database.open(), 100..101);
    assert_eq!(
        [COUNT_SEGMENTS, COUNT_LOT_SEGMENTS].map(|count| query_number(&database, count)),
        [6, 6]
    );
    assert_consistent(&database.open());
}

#[test]
fn a_lost_or_changed_segment_is_detected() {
    let shift = "UPDATE activity_segment SET first_second = first_second + 1 WHERE first_nanosecond = 0 AND first_second = (SELECT max(first_second) FROM activity_segment)";
    let lost = "the segments of account 1 are incomplete or inconsistent";
    let unreadable = "a segment of account 1 cannot be read";
    for (damage, expected) in [
        (
            "DELETE FROM activity_segment WHERE first_second = (SELECT max(first_second) FROM activity_segment)",
            lost,
        ),
        (
            "DELETE FROM activity_segment WHERE first_second = (SELECT min(first_second) FROM activity_segment)",
            lost,
        ),
        ("UPDATE account SET segment_count = 5", lost),
        (
            "UPDATE activity_segment SET body = body || 'A' WHERE first_second = (SELECT min(first_second) FROM activity_segment)",
            unreadable,
        ),
        (
            "UPDATE activity_segment SET body = '' WHERE first_second = (SELECT min(first_second) FROM activity_segment)",
            unreadable,
        ),
        (shift, unreadable),
        ("DELETE FROM lot_segment WHERE first_lot = 1", lost),
        ("DELETE FROM lot_segment WHERE first_lot = 81", lost),
        ("UPDATE account SET segment_count = 11", lost),
        ("UPDATE lot_segment SET body = body || 'A' WHERE first_lot = 17", unreadable),
        ("UPDATE lot_segment SET body = '' WHERE first_lot = 17", unreadable),
        ("UPDATE lot_segment SET first_lot = 18 WHERE first_lot = 17", unreadable),
        ("UPDATE lot_segment SET first_lot = -1 WHERE first_lot = 17", unreadable),
        (
            "UPDATE activity_segment SET first_second = 9000000000000 WHERE first_second = (SELECT min(first_second) FROM activity_segment)",
            unreadable,
        ),
        // A lot of the state is also in a segment.
        ("UPDATE account SET state = replace(state, '\"id\":100,', '\"id\":1,')", lost),
    ] {
        let database = customer_of_100_orders();
        assert_eq!(database.connect().execute(damage, []).unwrap(), 1, "{damage}");
        let found = SqliteAdmin::open_existing(&database.file())
            .unwrap()
            .verify()
            .unwrap()
            .differences;
        assert!(
            found.iter().any(|difference| difference.contains(expected)),
            "{damage}: {found:?}"
        );

        let store = database.open();
        let read = store.customer(ShopId(1), &id("1")).map(|read| read.is_some());
        assert!(
            read.as_ref()
                .is_err_and(|failure| failure.to_string().contains(expected)),
            "{damage}: {read:?}"
        );
    }
    for (damage, expected) in [
        // A digit of the first order's points: 20 becomes 21.
        (
            "UPDATE activity_segment SET body = replace(body, 'oBC', 'qBC')",
            "account 1 differs",
        ),
        (
            "INSERT INTO activity_segment VALUES (9, 0, 0, 'AAAAC')",
            "1 segments belong to accounts that do not exist",
        ),
        (
            "INSERT INTO lot_segment VALUES (9, 1, 'BKAAAAA')",
            "1 segments belong to accounts that do not exist",
        ),
        // Another id for the first lot's order, o0.
        ("UPDATE lot_segment SET body = replace(body, 'Co0', 'Co_')", "account 1 differs"),
    ] {
        let database = customer_of_100_orders();
        assert!(database.connect().execute(damage, []).unwrap() > 0, "{damage}");
        let found = SqliteAdmin::open_existing(&database.file())
            .unwrap()
            .verify()
            .unwrap()
            .differences;
        assert!(
            found.iter().any(|difference| difference.contains(expected)),
            "{damage}: {found:?}"
        );
    }
}

/// A step of a run.
#[derive(Clone, Copy, Debug)]
enum Step {
    Order {
        customer: u8,
        days: u8,
    },
    /// A refund of an earlier order, counted backwards.
    Refund {
        back: u8,
    },
    Cancel {
        back: u8,
    },
    /// Points added by the shop.
    Add {
        customer: u8,
    },
    /// A part of the balance.
    Spend {
        customer: u8,
        percent: u8,
    },
    /// An order that merges customer 0 with the guest.
    Merge,
    Reopen,
    Crash,
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    let days = prop_oneof![8 => Just(0_u8), 4 => 1..40_u8, 1 => 200..255_u8];
    prop_oneof![
        60 => (0..3_u8, days).prop_map(|(customer, days)| Step::Order { customer, days }),
        6 => (0..100_u8).prop_map(|back| Step::Refund { back }),
        2 => (0..100_u8).prop_map(|back| Step::Cancel { back }),
        4 => (0..3_u8).prop_map(|customer| Step::Add { customer }),
        6 => (0..3_u8, 1..120_u8).prop_map(|(customer, percent)| Step::Spend { customer, percent }),
        1 => Just(Step::Merge),
        2 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        1 => Just(Step::Idle),
    ]
}

/// Customer 2 is a guest, known by e-mail only.
fn customer_ref(customer: u8) -> loyalty_store::CustomerRef {
    if customer == 2 { email("guest@example.com") } else { id(&customer.to_string()) }
}

/// A shop in memory and the same one in a file.
struct StorePair {
    memory: MemoryStore,
    database: TempDatabase,
    file: Option<SqliteStore>,
    orders_sent: u64,
    elapsed: u64,
}

impl StorePair {
    fn new(program: &str, settings: &StoreSettings) -> Self {
        let (memory, database) = (MemoryStore::default(), TempDatabase::new());
        let file = Some(database.open_with(settings));
        let pair = Self { memory, database, file, orders_sent: 0, elapsed: 0 };
        pair.stores().iter().for_each(|store| {
            TestShop::new(*store).execute(publish_action(program)).unwrap();
        });
        pair
    }

    fn stores(&self) -> [&dyn Store; 2] {
        [&self.memory, self.file.as_ref().unwrap()]
    }

    /// Reopens the file, or opens another one, and compares the stores.
    fn open(&mut self, database: Option<TempDatabase>, settings: &StoreSettings) {
        self.file = None;
        if let Some(database) = database {
            self.database = database;
        }
        self.file = Some(self.database.open_with(settings));
        assert_eq!(
            StoreContents::read(self.file.as_ref().unwrap()),
            StoreContents::read(&self.memory)
        );
    }

    /// The id of the next order.
    fn next_order_id(&mut self) -> String {
        self.orders_sent += 1;
        format!("o{}", self.orders_sent - 1)
    }

    /// The action of a step; `None` if there is no order yet, or the step concerns the
    /// file.
    fn action(&mut self, step: Step) -> Option<Action> {
        let (order_count, order) = (self.orders_sent, |back| {
            format!("o{}", self.orders_sent - 1 - u64::from(back) % self.orders_sent)
        });
        match step {
            Step::Order { customer, days } => {
                self.elapsed += 1 + u64::from(days) * 1_440;
                Some(order_action(
                    Some(&customer_ref(customer)),
                    record_paid(&self.next_order_id(), "20.00"),
                ))
            }
            Step::Refund { back } => {
                (order_count > 0).then(|| order_action(None, refund(&order(back), "r1", "7.00")))
            }
            Step::Cancel { back } => {
                (order_count > 0).then(|| order_action(None, cancel(&order(back))))
            }
            Step::Add { customer } => Some(Action::for_customer(
                customer_ref(customer),
                Existence::Required,
                vec![add(9)],
            )),
            Step::Spend { customer, percent } => {
                let existing = self.memory.customer(ShopId(1), &customer_ref(customer)).unwrap()?;
                let spent = existing.balance(minute(self.elapsed)).get() * i64::from(percent) / 100;
                Some(Action::for_customer(
                    customer_ref(customer),
                    Existence::Required,
                    vec![subtract(spent.max(1))],
                ))
            }
            Step::Merge => {
                self.elapsed += 1;
                Some(Action::Customer {
                    customer: id_and_email("0", "guest@example.com"),
                    existence: Existence::Any,
                    change: ProfileChange::default(),
                    email_conflict: EmailConflict::Reject,
                    email_proof: EmailProof::Profile,
                    if_match: None,
                    commands: vec![add(20)],
                })
            }
            Step::Reopen | Step::Crash | Step::Idle => None,
        }
    }
}

fn run_steps(steps: &[Step], program: &str, settings: &StoreSettings) {
    let mut pair = StorePair::new(program, settings);
    for step in steps {
        match step {
            Step::Reopen => pair.open(None, settings),
            Step::Crash => pair.open(Some(pair.database.copy()), settings),
            Step::Idle => std::thread::sleep(Duration::from_millis(30)),
            step => {
                let Some(action) = pair.action(*step) else { continue };
                let now = minute(pair.elapsed);
                let results = pair
                    .stores()
                    .map(|store| format!("{:?}", shop_at(store, now).execute(action.clone())));
                assert_eq!(results[0], results[1]);
            }
        }
    }

    pair.open(None, settings);
    drop(pair.file);
    let verified = SqliteAdmin::open_existing(&pair.database.file())
        .unwrap()
        .verify()
        .unwrap();
    assert_eq!(verified.differences, Vec::<String>::new());
}

#[test]
fn accounts_of_many_orders_are_the_same_in_a_file_and_in_memory() {
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    runner
        .run(
            &(vec(step(), 100..400), select(&["{}", EXPIRING, IDLE][..]), any::<bool>()),
            |(steps, program, is_tiny)| {
                let mut settings = if is_tiny { tiny_settings() } else { StoreSettings::default() };
                // The log must not move while a crash copies the file.
                settings.checkpoint_pages = StoreSettings::default().checkpoint_pages;
                run_steps(&steps, program, &settings);
                Ok(())
            },
        )
        .unwrap();
}
