//! Real orders under a full program, replayed in three ways: in order with the scheduler
//! on time, through a server that is killed repeatedly, and with the scheduler off until
//! the end. The ledgers must be equal.
//!
//! The sample of the examples takes seconds. `LOYALTY_ORDERS` names another file of the
//! same kind, such as the full data set of the sample.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at what it did not expect"
)]

mod facts;
mod server_process;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use loyalty_core::award::AwardReason;
use loyalty_core::tier::TierReason;
use loyalty_core::{Currency, CustomerId, Event, ShopId, Timestamp};
use loyalty_http::{Clock, auth, scheduler};
use loyalty_store::conformance::contents::whole_journal;
use loyalty_store::{CustomerRef, MemoryStore, NewShop, SqliteStore, Store};
use loyalty_tests::*;

use facts::OrderFact;

/// Tiers over a rolling year, lots of six months, a weekend's campaign, birthdays,
/// anniversaries, goals, a bonus for a category, a limit, and pending points. In New
/// York, where daylight saving time changes the clocks.
const PROGRAM: &str = r#"{
    "earning": [{"id": "base", "earn": {"per_unit": "1"}},
                {"id": "bakery", "earn": {"per_unit": "2"}, "when": {"categories": ["BAKED BREAD/BUNS/ROLLS"]},
                 "limits": [{"points": 40, "per": "month", "partial": true}]}],
    "campaigns": [{"id": "weekend", "effect": {"multiplier": "3"},
                   "from": "2017-06-10T04:00:00Z", "until": "2017-06-12T04:00:00Z"}],
    "hold": "P7D",
    "expiry": {"per_lot": {"after": "P6M"}},
    "tiers": [{"id": "silver", "name": "Silver", "threshold": "300", "multiplier": "1.25", "entry": {"points": 25}},
              {"id": "gold", "name": "Gold", "threshold": "1200", "multiplier": "1.5",
               "entry": {"points": 100, "taken_back": true}}],
    "tiering": {"window": {"rolling": "P1Y"}, "grace": "P1M"},
    "actions": [{"id": "birthday", "kind": "birthday", "points": 50},
                {"id": "anniversary", "kind": "anniversary", "points": 30},
                {"id": "tenth", "kind": {"goal_orders": 10}, "points": 20},
                {"id": "thousand", "kind": {"goal_spend": "1000"}, "points": 75}]
}"#;
/// Long enough after the last order for all of its consequences.
const END: &str = "2019-02-01T00:00:00Z";
/// Number of kills of the server.
const KILLS: usize = 11;

/// Not a test: the entry point of the process that is killed.
#[test]
fn victim() {
    server_process::run_victim();
}

#[test]
fn three_ways_of_replay_lead_to_one_ledger() {
    let facts = facts::read();
    // In memory if possible: this test does not cut the power.
    let memory = Path::new("/dev/shm");
    let directory =
        if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();

    let on_time = timed("in order, the scheduler on time", || {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        replay_into_store(&store, open_shop(&*store), &facts, true);
        days_between(facts.last().unwrap().at, at(END))
            .for_each(|today| run_scheduler(&store, today));
        store
    });
    let late = timed("the scheduler off until the end", || {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        replay_into_store(&store, open_shop(&*store), &facts, false);
        run_scheduler(&store, at(END));
        store
    });

    let counts = compare_ledgers(&facts, &on_time, &late);
    println!("{} customers; in each ledger {counts:?}", facts::customers(&facts).len());

    let killed = timed("through a server that is killed", || {
        let store = replay_through_server(&directory.path().join("killed.db"), &facts);
        run_scheduler(&store, at(END));
        store
    });
    assert_eq!(compare_ledgers(&facts, &on_time, &killed), counts);
    println!("the same after {KILLS} kills");

    let orders = facts.iter().filter(|fact| !fact.is_refund()).count();
    assert_eq!((counts["orders"], counts["refunds"]), (orders, facts.len() - orders));

    let kinds =
        ["expired", "released", "taken back", "birthdays", "other awards", "up", "down", "lapsed"];
    for kind in kinds
        .into_iter()
        .chain(["awarded in the campaign", "awarded with the bonus"])
    {
        assert!(counts.get(kind).is_some_and(|count| *count > 1), "no {kind}: {counts:?}");
    }
}

/// Asserts that the ledgers of all customers are equal. Returns the number of events by
/// kind.
fn compare_ledgers(
    facts: &[OrderFact],
    expected: &Arc<dyn Store>,
    store: &Arc<dyn Store>,
) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for customer in facts::customers(facts) {
        let (expected, actual) = (
            EventHistory::read(&**expected, customer),
            EventHistory::read(&**store, customer),
        );
        assert_eq!(actual, expected, "customer {customer}");
        expected
            .0
            .iter()
            .for_each(|(_, event)| *counts.entry(kind(event)).or_default() += 1);
    }

    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
    assert_eq!(store.due(at(END), None, 1).unwrap(), []);
    counts
}

fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    println!("{name}: {:.1?}", begun.elapsed());
    result
}

/// A shop with the program, created before the first order.
fn open_shop(store: &dyn Store) -> TestShop<'_> {
    let now = at("2017-01-01T00:00:00Z");
    let zone = "America/New_York".parse().unwrap();
    let shop = NewShop { name: "Grocer".to_owned(), currency: Currency::USD, zone };
    let id = store.create_shop(&shop, now).unwrap().id;
    let shop = TestShop { store, id, now };
    shop.execute(publish_action(PROGRAM)).unwrap();
    shop
}

/// Executes all facts. If `on_time`, the scheduler runs at the start of each day.
fn replay_into_store(
    store: &Arc<dyn Store>,
    shop: TestShop<'_>,
    facts: &[OrderFact],
    on_time: bool,
) {
    let mut today = shop.now;
    for fact in facts {
        if on_time {
            days_between(today, fact.at).for_each(|today| run_scheduler(store, today));
            today = fact.at;
        }
        TestShop { now: fact.at, ..shop }.execute(fact.action()).unwrap();
    }
}

/// The store after a server that was killed repeatedly received all facts.
fn replay_through_server(file: &Path, facts: &[OrderFact]) -> Arc<dyn Store> {
    let (record, key) = auth::random_key("Test").unwrap();
    let store = SqliteStore::open(file, &tiny_settings()).unwrap();
    let shop = open_shop(&store);
    store.add_api_key(shop.id, &record, shop.now).unwrap();
    drop(store);

    server_process::replay_with_kills(file, &key, facts.len(), KILLS);
    Arc::new(SqliteStore::open(file, &tiny_settings()).unwrap())
}

/// Runs one pass of the scheduler.
fn run_scheduler(store: &Arc<dyn Store>, now: Timestamp) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime
        .block_on(scheduler::run_pass(store, &Clock::fixed(now), 16))
        .unwrap();
}

/// The start of the day in UTC.
fn start_of_day(now: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(now.timestamp() - now.timestamp().rem_euclid(86_400), 0).unwrap()
}

/// The starts of the days after `from`, up to `until`.
fn days_between(from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let (from, until) = (
        start_of_day(from).timestamp() / 86_400 + 1,
        start_of_day(until).timestamp() / 86_400,
    );
    (from..=until).map(|day| Timestamp::from_timestamp(day * 86_400, 0).unwrap())
}

/// All events of a customer with their instants. The journal rows that contain them may
/// differ.
#[derive(Debug, PartialEq)]
struct EventHistory(Vec<(Option<Timestamp>, Event)>);

impl EventHistory {
    fn read(store: &dyn Store, customer_id: &str) -> Self {
        let (shop, customer) = (ShopId(1), CustomerRef::Id(CustomerId::new(customer_id).unwrap()));
        let account = store.customer(shop, &customer).unwrap().unwrap().record().account;
        let rows = whole_journal(store, shop, account);
        let events = rows.iter().rev().flat_map(|row| row.events.iter().cloned());
        Self(events.map(|event| (event.at(), event)).collect())
    }
}

/// The kind by which an event is counted, to prove that each part of the program took
/// effect.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::OrderRecorded { .. } => "orders",
        Event::OrderRefunded { .. } => "refunds",
        Event::PointsAwarded { calculation, .. } => {
            let explanation = &calculation.explanation;
            if !explanation.campaigns.is_empty() {
                "awarded in the campaign"
            } else if explanation.rules.iter().any(|share| share.rule.as_str() == "bakery") {
                "awarded with the bonus"
            } else {
                "awarded"
            }
        }
        Event::PointsExpired { .. } => "expired",
        Event::PointsReleased { .. } => "released",
        Event::PointsTakenBack { .. } => "taken back",
        Event::AwardGiven { award, .. } if matches!(award.reason, AwardReason::Birthday { .. }) => {
            "birthdays"
        }
        Event::AwardGiven { .. } => "other awards",
        Event::TierChanged { change } if change.reason == TierReason::Qualified => "up",
        Event::TierChanged { .. } => "down",
        Event::TierLapsed { .. } => "lapsed",
        _ => "other",
    }
}
