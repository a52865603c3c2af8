//! What only the inside of the store can show: how much of it is in memory, and who waits for whom.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at what it did not expect"
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use loyalty_core::discount::{Code, PriceRule, PriceRuleParts, ValueType};
use loyalty_core::{
    Command, Currency, CustomerId, Email, Line, LineId, Order, Origin, PriceRuleId, Program,
    Quantity, Status, Timestamp, Zone,
};

use super::*;
use crate::{
    Action, DiscountAction, DiscountOutcome, Existence, Idempotency, Outcome, ProfileChange, Reply,
    Response,
};

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn open(settings: &StoreSettings) -> (SqliteStore, ShopId, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("loyalty.db"), settings).unwrap();
    let shop = NewShop {
        name: "Tea".to_owned(),
        currency: Currency::EUR,
        zone: Zone::UTC,
    };
    let shop = store.create_shop(&shop, now()).unwrap().id;
    (store, shop, directory)
}

/// Under an idempotency key of its own.
fn request(shop: ShopId, key: u128, action: Action) -> Request {
    let render = Box::new(|outcome: &Outcome| {
        assert!(outcome.is_ok(), "{outcome:?}");
        Response { status: 200, body: Vec::new() }
    });
    let idempotency = Some(Idempotency { key: key.to_be_bytes(), fingerprint: [0; 16], render });
    Request { shop, now: now(), dry_run: false, idempotency, action }
}

fn customer_ref(number: u32) -> CustomerRef {
    let email = Email::new(&format!("{number}@example.com")).unwrap();
    CustomerRef::Both(CustomerId::new(number.to_string()).unwrap(), email)
}

/// A rule with room for any number of codes.
fn rule(store: &SqliteStore, shop: ShopId) -> PriceRuleId {
    let (title, value) = ("Ten".to_owned(), "-10".parse().unwrap());
    let parts = PriceRuleParts {
        title,
        value_type: ValueType::Percentage,
        value,
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };
    let rule = Box::new(PriceRule::new(parts, 2).unwrap());
    let action = Action::Discount(DiscountAction::SaveRule { id: None, rule, if_match: None });
    let request = Request { idempotency: None, ..request(shop, 0, action) };
    match store.execute(request).wait() {
        Ok(Reply::Decided(Ok(receipt))) => match receipt.discount_outcome {
            Some(DiscountOutcome::Rule(rule)) => rule.id,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Each customer brings an account, an order, a code, kept answers, and points that will end.
fn requests_of(shop: ShopId, rule: PriceRuleId, number: u32) -> [Request; 2] {
    let (id, amount) = (LineId::new("1").unwrap(), "10".parse().unwrap());
    let (product, categories, quantity) = (None, Vec::new(), Quantity::from(1));
    let line = Line { id, product, categories, quantity, amount, gift_card: false };
    let snapshot = Arc::new(Order { lines: vec![line], total: amount, ..Order::default() });
    let (order, status) = (OrderId::new(number.to_string()).unwrap(), Status::Paid);
    let command = Command::RecordOrder { order, snapshot, status, at: None, origin: Origin::Shop };
    let (customer, change) = (Some(customer_ref(number)), ProfileChange::default());
    let text = Code::new(&format!("CODE{number}")).unwrap();
    [
        request(shop, 2 * u128::from(number), Action::Order { command, customer, change }),
        request(
            shop,
            2 * u128::from(number) + 1,
            Action::Discount(DiscountAction::AddCode { rule, text }),
        ),
    ]
}

#[test]
fn memory_is_bounded_regardless_of_customers() {
    const CUSTOMERS: u32 = 1_500;
    let mut settings = StoreSettings::default();
    (
        settings.cached_records,
        settings.write_behind_threshold,
        settings.queued_requests,
    ) = (64, 64, 128);
    let (store, shop, _directory) = open(&settings);
    let program = Program::from_json(r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#).unwrap();
    let publish = Action::PublishProgram { program: Box::new(program), replaces: None };
    store.execute(request(shop, u128::MAX, publish)).wait().unwrap();
    let rule = rule(&store, shop);
    // What may be cached, what waits for its table (a round, and what came after it began), and a batch.
    let bound = settings.cached_records
        + 2 * settings.write_behind_threshold
        + 2 * settings.queued_requests;
    let (mut most, mut looked_up) = (Vec::new(), 0);
    for first in (0..CUSTOMERS).step_by(50) {
        let told: Vec<_> = (first..first + 50)
            .flat_map(|number| requests_of(shop, rule, number))
            .map(|told| store.execute(told))
            .collect();
        for told in told {
            assert!(matches!(told.wait(), Ok(Reply::Stored { .. })));
        }
        for number in (0..first).step_by(97) {
            assert!(store.customer(shop, &customer_ref(number)).unwrap().is_some());
            assert!(
                store
                    .order(shop, &OrderId::new(number.to_string()).unwrap())
                    .unwrap()
                    .is_some()
            );
            for again in requests_of(shop, rule, number) {
                assert!(matches!(
                    store.execute(again).wait(),
                    Ok(Reply::Stored { replayed: true, .. })
                ));
            }
            looked_up += 1;
        }
        let sizes = store.committed.cache_sizes();
        assert!(
            sizes.iter().all(|(_, size)| *size <= bound),
            "of {first} customers: {sizes:?}, {bound} allowed"
        );
        most.push(sizes);
    }
    assert!(looked_up > 100);
    // All of them were in use.
    for kind in 0..most.first().unwrap().len() {
        assert!(most.iter().any(|sizes| sizes.get(kind).unwrap().1 > 10), "{:?}", most.last());
    }
    assert!(store.verify().unwrap().differences.is_empty());
}

/// Whether a key is new is known without asking SQLite: only when all keys of the file are known, and of none wrongly.
#[test]
fn stored_keys_are_found_after_a_restart() {
    const CUSTOMERS: u32 = 2_100;
    // All are sent before the first answer is waited for: there is room for them.
    let settings = StoreSettings {
        queued_requests: usize::try_from(2 * CUSTOMERS).unwrap(),
        ..StoreSettings::default()
    };
    let (store, shop, directory) = open(&settings);
    let rule = rule(&store, shop);
    let told: Vec<_> = (0..CUSTOMERS)
        .flat_map(|number| requests_of(shop, rule, number))
        .map(|told| store.execute(told))
        .collect();
    assert!(
        told.into_iter()
            .all(|told| matches!(told.wait(), Ok(Reply::Stored { .. })))
    );
    drop(store);
    // Nothing of it is in memory, nor is it the journal's end.
    let mut settings = StoreSettings::default();
    (settings.cached_records, settings.write_behind_threshold) = (16, 4);
    let store = SqliteStore::open(&directory.path().join("loyalty.db"), &settings).unwrap();
    while !store.committed.filter.is_complete() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = store.count_customers(shop, &SearchQuery::default()).unwrap();
    for number in (0..CUSTOMERS).rev().step_by(7) {
        let order = OrderId::new(number.to_string()).unwrap();
        assert!(store.order(shop, &order).unwrap().is_some(), "order {number}");
        for again in requests_of(shop, rule, number) {
            let reply = store.execute(again).wait();
            assert!(
                matches!(reply, Ok(Reply::Stored { replayed: true, .. })),
                "of {number}: {reply:?}"
            );
        }
        let twice =
            DiscountAction::AddCode { rule, text: Code::new(&format!("CODE{number}")).unwrap() };
        let twice = Request {
            idempotency: None,
            ..request(shop, 0, Action::Discount(twice))
        };
        assert!(
            matches!(store.execute(twice).wait(), Ok(Reply::Decided(Err(_)))),
            "the code of {number}"
        );
    }
    // So small a filter is wrong about many, but not about all.
    let mut new = (0..1_000).map(|number| (shop, OrderId::new(format!("new {number}")).unwrap()));
    assert!(new.any(|order| !store.committed.filter.may_contain(filter::FilterKey::Order(&order))));
    assert_eq!(store.count_customers(shop, &SearchQuery::default()), Ok(before));
    assert!(store.verify().unwrap().differences.is_empty());
}

/// A walk through all customers lets a store that fell ill get on with it, and then ends.
#[test]
fn a_long_scan_does_not_delay_recovery() {
    let (store, shop, _directory) = open(&StoreSettings::default());
    let customers = u32::try_from(2 * SCAN_CHUNK).unwrap() + 10;
    let add = |number| Action::for_customer(customer_ref(number), Existence::Any, Vec::new());
    let told: Vec<_> = (0..customers)
        .map(|number| store.execute(request(shop, u128::from(number), add(number))))
        .collect();
    for told in told {
        told.wait().unwrap();
    }
    let (begun, begins) = channel();
    let (mut passed, shared, is_ill) = (0, &store.committed, AtomicBool::new(false));
    let mut let_go = false;
    let ended = std::thread::scope(|scope| {
        let is_ill = &is_ill;
        let mut falls_ill = Some(move || {
            begun.send(()).unwrap();
            shared.set_failure(Some(Failure::Busy));
            is_ill.store(true, Ordering::SeqCst);
        });
        store.scan_customers(shop, AccountId(0), |_| {
            passed += 1;
            if passed == 1 {
                scope.spawn(falls_ill.take().unwrap());
            } else if passed == SCAN_CHUNK {
                // When this is over, the other thread waits for this stretch.
                begins.recv().unwrap();
                std::thread::sleep(Duration::from_millis(200));
            } else if passed > SCAN_CHUNK {
                let_go |= is_ill.load(Ordering::SeqCst);
            }
            Ok(ControlFlow::Continue(()))
        })
    });
    // Either it ends with the store's illness, or the store is well again already.
    assert!(ended == Err(Failure::Busy) || let_go, "{ended:?} after {passed}");
    while store.check_ready().is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut all = 0;
    store
        .scan_customers(shop, AccountId(0), |_| {
            all += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(all, customers);
}

/// What settles a log, and what asks whether a commit goes well again, must be a commit that reaches the disk.
#[test]
fn force_write_reaches_the_wal_without_changes() {
    let directory = tempfile::tempdir().unwrap();
    let db = schema::open(&directory.path().join("loyalty.db")).unwrap();
    let log = || {
        std::fs::metadata(directory.path().join("loyalty.db-wal"))
            .unwrap()
            .len()
    };
    let before = (rows::read_checkpoint(&db).unwrap(), log());
    let commit = |what: &dyn Fn() -> Result<(), Failure>| {
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        what().unwrap();
        db.execute_batch("COMMIT").unwrap();
    };
    commit(&|| rows::write_checkpoint(&db, before.0));
    assert_eq!(log(), before.1, "SQLite sees that nothing differs");
    commit(&|| rows::force_write(&db));
    assert!(log() > before.1);
    assert_eq!(rows::read_checkpoint(&db).unwrap(), before.0);
}

#[test]
fn the_filter_is_filled_once_the_store_is_available() {
    let (store, shop, directory) = open(&StoreSettings::default());
    let known = request(shop, 7, Action::for_customer(customer_ref(1), Existence::Any, Vec::new()));
    assert!(store.execute(known).wait().is_ok());
    drop(store);
    let shared =
        CommittedState::new(directory.path().join("loyalty.db"), &StoreSettings::default());
    shared.set_failure(Some(Failure::Busy));
    std::thread::scope(|scope| {
        let filling = scope.spawn(|| filter::fill(&shared));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!shared.filter.is_complete() && !filling.is_finished());
        shared.set_failure(None);
        filling.thread().unpark();
    });
    assert!(shared.filter.is_complete());
    let mark = |key: u128| responses::key_bits(&(shop, key.to_be_bytes()));
    let told = [7, 8].map(|key| shared.filter.may_contain(filter::FilterKey::Response(mark(key))));
    assert_eq!(told, [true, false]);
}
