//! Properties that only the inside of the store shows: bounds of its memory, and which thread waits
//! for which.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test may stop at what it did not expect"
)]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use loyalty_core::discount::{Code, PriceRule, PriceRuleParts, ValueType};
use loyalty_core::{
    AccountId, Command, Currency, CustomerId, Email, Line, LineId, Order, OrderId, Origin,
    PriceRuleId, Program, Quantity, ShopId, Status, Timestamp, Zone,
};

use super::backend::SqliteFile;
use super::store::customers::SCAN_CHUNK;
use super::tables::checkpoint;
use super::{SqliteStore, StoreSettings, schema};
use crate::engine::{CommittedState, FilterKey, key_bits, load_filter};
use crate::search::SearchQuery;
use crate::{
    Action, CustomerRef, DiscountAction, DiscountOutcome, Existence, Failure, Idempotency, NewShop,
    Outcome, ProfileChange, Reply, Request, Response, Store,
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

/// A request under an idempotency key.
fn request(shop: ShopId, key: u128, action: Action) -> Request {
    let render = Box::new(|outcome: &Outcome| {
        assert!(outcome.is_ok(), "{outcome:?}");
        Response { status: 200, body: Vec::new() }
    });
    let idempotency = Some(Idempotency { key: key.to_be_bytes(), fingerprint: [0; 16], render });
    Request {
        shop,
        now: now(),
        dry_run: false,
        idempotency,
        entropy: None,
        action,
    }
}

fn customer_ref(number: u32) -> CustomerRef {
    let email = Email::new(&format!("{number}@example.com")).unwrap();
    CustomerRef::Both(CustomerId::new(number.to_string()).unwrap(), email)
}

/// Creates a price rule without a limit of codes.
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

/// Requests that create an account, an order, a code, stored responses, and points that expire.
fn requests_of(shop: ShopId, rule: PriceRuleId, number: u32) -> [Request; 2] {
    let (id, amount) = (LineId::new("1").unwrap(), "10".parse().unwrap());
    let (product, categories, quantity) = (None, Vec::new(), Quantity::from(1));
    let (gift_card, attributes) = (false, loyalty_core::Attributes::EMPTY);
    let line = Line {
        id,
        product,
        categories,
        quantity,
        amount,
        gift_card,
        attributes,
    };
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
    // The cache, the states of a round and those queued since it began, and two batches.
    let bound = settings.cached_records
        + 2 * settings.write_behind_threshold
        + 2 * settings.queued_requests;
    let (mut samples, mut looked_up) = (Vec::new(), 0);

    for first in (0..CUSTOMERS).step_by(50) {
        let pending: Vec<_> = (first..first + 50)
            .flat_map(|number| requests_of(shop, rule, number))
            .map(|request| store.execute(request))
            .collect();
        for pending in pending {
            assert!(matches!(pending.wait(), Ok(Reply::Stored { .. })));
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
        samples.push(sizes);
    }
    assert!(looked_up > 100);

    // Every cache was in use, but those of redemptions and of days, which are one here.
    for kind in 0..samples.first().unwrap().len() {
        let mut sizes = samples.iter().map(|sizes| sizes.get(kind).unwrap());
        let is_small =
            |name: &str| ["days", "days by shop", "redemptions by status"].contains(&name);
        let is_used = sizes.any(|(name, size)| *size > 10 || is_small(name));
        assert!(is_used, "{:?}", samples.last());
    }
    assert!(store.verify().unwrap().differences.is_empty());
}

/// A restarted store knows all keys of its file, although it asks the filter first.
#[test]
fn stored_keys_are_found_after_a_restart() {
    const CUSTOMERS: u32 = 2_100;
    // All are sent before the first reply is awaited.
    let settings = StoreSettings {
        queued_requests: usize::try_from(2 * CUSTOMERS).unwrap(),
        ..StoreSettings::default()
    };
    let (store, shop, directory) = open(&settings);
    let rule = rule(&store, shop);
    let pending: Vec<_> = (0..CUSTOMERS)
        .flat_map(|number| requests_of(shop, rule, number))
        .map(|request| store.execute(request))
        .collect();
    let mut replies = pending.into_iter().map(crate::Pending::wait);
    assert!(replies.all(|reply| matches!(reply, Ok(Reply::Stored { .. }))));
    drop(store);

    // Most is neither in memory then, nor after the checkpoint.
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

    // So small a filter admits many new keys, but not all.
    let mut new = (0..1_000).map(|number| (shop, OrderId::new(format!("new {number}")).unwrap()));
    assert!(new.any(|order| !store.committed.filter.may_contain(FilterKey::Order(&order))));
    assert_eq!(store.count_customers(shop, &SearchQuery::default()), Ok(before));
    assert!(store.verify().unwrap().differences.is_empty());
}

/// A scan of all customers releases its guard, so that a failed store can recover meanwhile.
#[test]
fn a_long_scan_does_not_delay_recovery() {
    let (store, shop, _directory) = open(&StoreSettings::default());
    let customers = u32::try_from(2 * SCAN_CHUNK).unwrap() + 10;
    let add = |number| Action::for_customer(customer_ref(number), Existence::Any, Vec::new());
    let pending: Vec<_> = (0..customers)
        .map(|number| store.execute(request(shop, u128::from(number), add(number))))
        .collect();
    for pending in pending {
        pending.wait().unwrap();
    }

    let (started, has_started) = channel();
    let (mut visited, committed, is_failed) = (0, &store.committed, AtomicBool::new(false));
    let mut was_released = false;
    let ended = std::thread::scope(|scope| {
        let is_failed = &is_failed;
        let mut fail = Some(move || {
            started.send(()).unwrap();
            committed.set_failure(Some(Failure::Busy));
            is_failed.store(true, Ordering::SeqCst);
        });
        store.scan_customers(shop, AccountId(0), |_| {
            visited += 1;
            if visited == 1 {
                scope.spawn(fail.take().unwrap());
            } else if visited == SCAN_CHUNK {
                // The other thread waits for the end of this chunk then.
                has_started.recv().unwrap();
                std::thread::sleep(Duration::from_millis(200));
            } else if visited > SCAN_CHUNK {
                was_released |= is_failed.load(Ordering::SeqCst);
            }
            Ok(ControlFlow::Continue(()))
        })
    });

    // Either the scan ends with the failure, or the store has recovered already.
    assert!(ended == Err(Failure::Busy) || was_released, "{ended:?} after {visited}");
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

/// The commit that syncs the log, or tries whether writing succeeds again, must reach the disk.
#[test]
fn force_write_reaches_the_wal_without_changes() {
    let directory = tempfile::tempdir().unwrap();
    let db = schema::open(&directory.path().join("loyalty.db")).unwrap();
    let log = directory.path().join("loyalty.db-wal");
    let log_size = || std::fs::metadata(&log).unwrap().len();
    let before = (checkpoint::read_checkpoint(&db).unwrap(), log_size());
    let commit = |write: &dyn Fn() -> Result<(), Failure>| {
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        write().unwrap();
        db.execute_batch("COMMIT").unwrap();
    };

    commit(&|| checkpoint::write_checkpoint(&db, before.0));
    assert_eq!(log_size(), before.1, "SQLite writes nothing if no value differs");

    commit(&|| checkpoint::force_write(&db));
    assert!(log_size() > before.1);
    assert_eq!(checkpoint::read_checkpoint(&db).unwrap(), before.0);
}

#[test]
fn the_filter_is_loaded_once_the_store_is_available() {
    let (store, shop, directory) = open(&StoreSettings::default());
    let known = request(shop, 7, Action::for_customer(customer_ref(1), Existence::Any, Vec::new()));
    assert!(store.execute(known).wait().is_ok());
    drop(store);
    let file = SqliteFile(directory.path().join("loyalty.db"));
    let committed = CommittedState::new(file, 100_000, 1 << 20);
    committed.set_failure(Some(Failure::Busy));
    std::thread::scope(|scope| {
        let loader = scope.spawn(|| load_filter(&committed));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!committed.filter.is_complete() && !loader.is_finished());
        committed.set_failure(None);
        loader.thread().unpark();
    });
    assert!(committed.filter.is_complete());
    let bits = |key: u128| key_bits(&(shop, key.to_be_bytes()));
    let admitted = [7, 8].map(|key| committed.filter.may_contain(FilterKey::Response(bits(key))));
    assert_eq!(admitted, [true, false]);
}

/// An order whose decision takes long, and requests that come meanwhile: those of other shops are
/// answered, and those of its own shop wait for it.
#[test]
fn a_long_order_holds_up_only_its_own_shop() {
    const OTHERS: u32 = 20;
    let settings = StoreSettings { long_request_work: 1, ..StoreSettings::default() };
    let (store, shop, directory) = open(&settings);
    let new = NewShop {
        name: "Coffee".to_owned(),
        currency: Currency::EUR,
        zone: Zone::UTC,
    };
    let other = store.create_shop(&new, now()).unwrap().id;
    let store = Arc::new(store);
    let customer = |number| Action::for_customer(customer_ref(number), Existence::Any, Vec::new());

    // The response is rendered within the decision.
    let (started, has_started) = channel();
    let (go_on, may_go_on) = channel();
    let render = Box::new(move |outcome: &Outcome| {
        assert_eq!(outcome.as_ref().unwrap().seq, None, "others can come before");
        started.send(()).unwrap();
        may_go_on.recv().unwrap();
        Response { status: 200, body: Vec::new() }
    });
    let [order, _] = requests_of(shop, PriceRuleId(1), 7);
    let order = store.execute(Request {
        idempotency: Some(Idempotency { key: [1; 16], fingerprint: [0; 16], render }),
        ..order
    });
    has_started.recv_timeout(Duration::from_secs(30)).unwrap();

    let (answered, answers) = channel();
    let behind = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            let behind = store.execute(request(shop, 100, customer(8)));
            for number in 0..OTHERS {
                let pending = store.execute(request(other, u128::from(number), customer(number)));
                answered.send(pending.wait()).unwrap();
            }
            behind
        })
    };
    for _ in 0..OTHERS {
        let answer = answers.recv_timeout(Duration::from_secs(30));
        if answer.is_err() {
            go_on.send(()).unwrap();
        }
        assert!(matches!(answer, Ok(Ok(Reply::Stored { .. }))), "another shop waits: {answer:?}");
    }
    assert!(store.order(shop, &OrderId::new("7").unwrap()).unwrap().is_none());
    go_on.send(()).unwrap();
    assert!(matches!(order.wait(), Ok(Reply::Stored { replayed: false, .. })));
    assert!(matches!(
        behind.join().unwrap().wait(),
        Ok(Reply::Stored { replayed: false, .. })
    ));

    // Its rows come after those that were decided meanwhile.
    let order = store.order(shop, &OrderId::new("7").unwrap()).unwrap().unwrap();
    assert_eq!((order.seq, order.snapshot), (22, Some(22)));
    let customer = store.customer(shop, &customer_ref(7)).unwrap().unwrap();
    assert_eq!(customer.balance(now()).get(), 10);
    let rows = store
        .account_journal(shop, customer.record().account, None, 10)
        .unwrap()
        .rows;
    let places: Vec<_> = rows.iter().map(|row| (row.seq, row.previous)).collect();
    assert_eq!(places, [(22, Some(21)), (21, None)]);
    for _ in 0..2 {
        assert_eq!(store.verify().unwrap().differences, [""; 0]);
    }
    drop(store);
    let store = SqliteStore::open(&directory.path().join("loyalty.db"), &settings).unwrap();
    assert_eq!(store.verify().unwrap().differences, [""; 0]);
}

/// A commit fails while an order is decided apart: the order is not done.
#[test]
fn a_long_order_on_a_failed_commit_is_discarded() {
    let settings = StoreSettings { long_request_work: 1, ..StoreSettings::default() };
    let (store, shop, _directory) = open(&settings);
    let (started, has_started) = channel();
    let (go_on, may_go_on) = channel();
    let render = Box::new(move |_: &Outcome| {
        started.send(()).unwrap();
        may_go_on.recv().unwrap();
        Response { status: 200, body: Vec::new() }
    });
    let [order, _] = requests_of(shop, PriceRuleId(1), 7);
    let order = store.execute(Request {
        idempotency: Some(Idempotency { key: [1; 16], fingerprint: [0; 16], render }),
        ..order
    });
    has_started.recv_timeout(Duration::from_secs(30)).unwrap();
    store.executor.fail_batch(&Failure::Busy, None);
    go_on.send(()).unwrap();
    assert!(matches!(order.wait(), Err(Failure::Unavailable(_))));
    assert!(store.order(shop, &OrderId::new("7").unwrap()).unwrap().is_none());

    let [order, _] = requests_of(shop, PriceRuleId(1), 7);
    assert!(matches!(store.execute(order).wait(), Ok(Reply::Stored { replayed: false, .. })));
    assert_eq!(store.verify().unwrap().differences, [""; 0]);
}
