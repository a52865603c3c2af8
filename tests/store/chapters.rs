//! What an account did long ago stands in chapters of its own: each is written once, none is lost, and those of older
//! files come about as accounts change.

use std::time::Duration;

use loyalty_core::{AccountId, ShopId, Timestamp};
use loyalty_store::conformance::picture::{Picture, books_add_up};
use loyalty_store::{Admin, MemoryStore, Settings, SqliteStore, Store};
use loyalty_tests::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::{Place, WITHOUT_CHAPTERS};

fn minute(number: u64) -> Timestamp {
    at("2026-01-01T12:00:00Z") + Duration::from_secs(number * 60)
}

fn desk(store: &dyn Store, now: Timestamp) -> Desk<'_> {
    Desk { store, shop: ShopId(1), now }
}

/// Orders of customer 1, one a minute.
fn order(store: &SqliteStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        desk(store, minute(number)).order(Some(&id("1")), paid(&format!("o{number}"), "20.00")).unwrap();
    }
}

/// Customer 1 of a hundred orders: six chapters, and four instants in the account.
fn hundred() -> Place {
    let place = Place::new();
    let store = place.open();
    Desk::new(&store);
    order(&store, 0..100);
    drop(store);
    place
}

fn number(place: &Place, sql: &str) -> i64 {
    place.sql().query_row(sql, [], |row| row.get(0)).unwrap()
}

const CHAPTERS: &str = "SELECT count(*) FROM chapter";

#[test]
fn a_chapter_is_written_once_and_again_where_it_changes() {
    let place = Place::new();
    Desk::new(&place.open());
    let watch = "CREATE TABLE written (count INTEGER); INSERT INTO written VALUES (0);
        CREATE TRIGGER put AFTER INSERT ON chapter BEGIN UPDATE written SET count = count + 1; END;
        CREATE TRIGGER again AFTER UPDATE ON chapter BEGIN UPDATE written SET count = count + 1; END;";
    place.sql().execute_batch(watch).unwrap();
    let written = || number(&place, "SELECT count FROM written");
    // Closed again and again, in one go, and in rounds of a few.
    for round in 0..20 {
        order(&place.open(), round * 10..round * 10 + 10);
    }
    assert_eq!((number(&place, CHAPTERS), written()), (12, 12), "of 200 instants, the last eight in the account");
    order(&place.open(), 200..400);
    assert_eq!((number(&place, CHAPTERS), written()), (24, 24));
    order(&place.open_with(&tiny()), 400..600);
    assert_eq!((number(&place, CHAPTERS), written()), (37, 37));
    let state = number(&place, "SELECT length(state) FROM account");
    assert!(state < 700, "an account of 600 orders takes {state} bytes");

    let store = place.open();
    desk(&store, minute(700)).order(Some(&id("1")), refund("o40", "r1", "20.00")).unwrap();
    drop(store);
    assert_eq!((number(&place, CHAPTERS), written()), (37, 38), "the third one lost an order");
    let store = place.open();
    desk(&store, minute(701)).order(Some(&id("1")), refund("o32", "r1", "20.00")).unwrap();
    drop(store);
    assert_eq!((number(&place, CHAPTERS), written()), (37, 39), "it begins later now");
    assert_eq!(
        number(&place, "SELECT count(*) FROM chapter WHERE second = strftime('%s', '2026-01-01 12:32')"),
        0
    );
    books_add_up(&place.open());
}

#[test]
fn accounts_of_an_older_file_are_read_and_get_chapters_when_they_change() {
    let place = hundred();
    let before = Picture::of(&place.open());
    // As they were: all in the state.
    let whole = place.open().account_at(ShopId(1), AccountId(1), minute(99)).unwrap();
    place.sql().execute("UPDATE account SET state = ?", [serde_json::to_string(&whole).unwrap()]).unwrap();
    place.sql().execute_batch(WITHOUT_CHAPTERS).unwrap();
    place.sql().pragma_update(None, "user_version", 9).unwrap();
    assert_eq!(Picture::of(&place.open()), before);
    assert_eq!(number(&place, CHAPTERS), 0);
    order(&place.open(), 100..101);
    assert_eq!(number(&place, CHAPTERS), 6);
    assert!(number(&place, "SELECT length(state) FROM account") < 700);
    let store = place.open();
    books_add_up(&store);
    assert_eq!(desk(&store, minute(101)).see(&id("1")).account().progress().ever().orders, 101);
}

#[test]
fn a_chapter_that_is_lost_or_changed_is_noticed() {
    let shift = "UPDATE chapter SET second = second + 1 WHERE nanosecond = 0 AND second = (SELECT max(second) FROM chapter)";
    let lost = "the chapters of account 1 are not all there";
    let unreadable = "a chapter of account 1 cannot be read";
    for (damage, want) in [
        ("DELETE FROM chapter WHERE second = (SELECT max(second) FROM chapter)", lost),
        ("DELETE FROM chapter WHERE second = (SELECT min(second) FROM chapter)", lost),
        ("UPDATE account SET chapters = 5", lost),
        (
            "UPDATE chapter SET instants = instants || 'A' WHERE second = (SELECT min(second) FROM chapter)",
            unreadable,
        ),
        ("UPDATE chapter SET instants = '' WHERE second = (SELECT min(second) FROM chapter)", unreadable),
        (shift, unreadable),
    ] {
        let place = hundred();
        assert_eq!(place.sql().execute(damage, []).unwrap(), 1, "{damage}");
        let found = Admin::open_existing(&place.file()).unwrap().verify().unwrap().differences;
        assert!(found.iter().any(|difference| difference.contains(want)), "{damage}: {found:?}");
        let store = place.open();
        let seen = store.customer(ShopId(1), &id("1")).map(|seen| seen.is_some());
        assert!(seen.as_ref().is_err_and(|failure| failure.to_string().contains(want)), "{damage}: {seen:?}");
    }
    for (damage, want) in [
        // A digit of the first order's points: 20 becomes 21.
        ("UPDATE chapter SET instants = replace(instants, 'oBC', 'qBC')", "account 1 differs"),
        ("INSERT INTO chapter VALUES (9, 0, 0, 'AAAAC')", "1 chapters are of accounts that are not there"),
    ] {
        let place = hundred();
        assert!(place.sql().execute(damage, []).unwrap() > 0, "{damage}");
        let found = Admin::open_existing(&place.file()).unwrap().verify().unwrap().differences;
        assert!(found.iter().any(|difference| difference.contains(want)), "{damage}: {found:?}");
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Order {
        customer: u8,
        days: u8,
    },
    /// Of one of the orders before, so many back.
    Refund {
        back: u8,
    },
    Cancel {
        back: u8,
    },
    /// Customer 0 turns out to be the guest.
    Merge,
    Reopen,
    Crash,
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    let days = prop_oneof![8 => Just(0_u8), 4 => 1..40_u8, 1 => 200..255_u8];
    prop_oneof![
        60 => (0..3_u8, days).prop_map(|(customer, days)| Step::Order { customer, days }),
        6 => (0..100_u8).prop_map(|back| Step::Refund { back }),
        2 => (0..100_u8).prop_map(|back| Step::Cancel { back }),
        1 => Just(Step::Merge),
        2 => Just(Step::Reopen),
        2 => Just(Step::Crash),
        1 => Just(Step::Rest),
    ]
}

/// Customer 2 is a guest.
fn who(customer: u8) -> loyalty_store::Who {
    if customer == 2 { email("guest@example.com") } else { id(&customer.to_string()) }
}

fn play(steps: &[Step], settings: &Settings) {
    let (memory, mut place) = (MemoryStore::default(), Place::new());
    let mut file = Some(place.open_with(settings));
    let (mut told, mut passed) = (0_u64, 0_u64);
    Desk::new(&memory);
    Desk::new(file.as_ref().unwrap());
    for step in steps {
        let command = |back: u8, what: &dyn Fn(&str) -> _| {
            (told > 0).then(|| (None, what(&format!("o{}", told - 1 - u64::from(back) % told))))
        };
        let (customer, command) = match *step {
            Step::Order { customer, days } => {
                passed += 1 + u64::from(days) * 1_440;
                told += 1;
                (Some(who(customer)), paid(&format!("o{}", told - 1), "20.00"))
            }
            Step::Refund { back } => {
                let Some(found) = command(back, &|order| refund(order, "r1", "7.00")) else { continue };
                found
            }
            Step::Cancel { back } => {
                let Some(found) = command(back, &cancel) else { continue };
                found
            }
            Step::Merge => {
                passed += 1;
                told += 1;
                (Some(both("0", "guest@example.com")), paid(&format!("o{}", told - 1), "20.00"))
            }
            Step::Reopen => {
                drop(file.take());
                file = Some(place.open_with(settings));
                assert_eq!(Picture::of(file.as_ref().unwrap()), Picture::of(&memory));
                continue;
            }
            Step::Crash => {
                let left = place.copy();
                file = Some(left.open_with(settings));
                place = left;
                assert_eq!(Picture::of(file.as_ref().unwrap()), Picture::of(&memory));
                continue;
            }
            Step::Rest => {
                std::thread::sleep(Duration::from_millis(30));
                continue;
            }
        };
        let both: [&dyn Store; 2] = [&memory, file.as_ref().unwrap()];
        let answers = both
            .map(|store| format!("{:?}", desk(store, minute(passed)).order(customer.as_ref(), command.clone())));
        assert_eq!(answers[0], answers[1]);
    }
    drop(file);
    let verified = Admin::open_existing(&place.file()).unwrap().verify().unwrap();
    assert_eq!(verified.differences, Vec::<String>::new());
    assert_eq!(Picture::of(&place.open()), Picture::of(&memory));
}

#[test]
fn accounts_of_many_orders_are_the_same_in_a_file_and_in_memory() {
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    runner
        .run(&(vec(step(), 100..400), any::<bool>()), |(steps, tight)| {
            let mut settings = if tight { tiny() } else { Settings::default() };
            // The log stays where it is while a crash is copied.
            settings.log_pages = Settings::default().log_pages;
            play(&steps, &settings);
            Ok(())
        })
        .unwrap();
}
