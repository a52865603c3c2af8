//! Real orders under a full program, three ways: told in order with the scheduler on time; told to a server
//! that is killed on its way; told with the scheduler off until the end. The ledgers are the same.
//!
//! The sample that stands beside the examples takes seconds. `LOYALTY_ORDERS` names another file of the same
//! kind, such as the whole that the sample was taken from.

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

/// Tiers on a rolling year, lots of six months, a weekend's campaign, birthdays and anniversaries, goals, a
/// bonus for a category, a limit, points that are held back. In New York, where the clocks change.
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
/// Long enough after the last order for all that it brings about.
const END: &str = "2019-02-01T00:00:00Z";
/// How often the server is killed.
const KILLS: usize = 11;

/// Not a test of its own: the process that is killed.
#[test]
fn victim() {
    server_process::run_victim();
}

#[test]
fn three_ways_lead_to_one_ledger() {
    let facts = facts::read();
    // In memory, where the system has such a place: nobody cuts the power here.
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

/// Compares the ledgers of all customers. How often what is in them.
fn compare_ledgers(
    facts: &[OrderFact],
    want: &Arc<dyn Store>,
    store: &Arc<dyn Store>,
) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for customer in facts::customers(facts) {
        let (want, got) =
            (EventHistory::read(&**want, customer), EventHistory::read(&**store, customer));
        assert_eq!(got, want, "customer {customer}");
        want.0
            .iter()
            .for_each(|(_, event)| *counts.entry(kind(event)).or_default() += 1);
    }
    assert_eq!(store.verify().unwrap().differences, Vec::<String>::new());
    assert_eq!(store.due(at(END), None, 1).unwrap(), []);
    counts
}

fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = work();
    println!("{name}: {:.1?}", begun.elapsed());
    done
}

/// A shop with the program, before the first order.
fn open_shop(store: &dyn Store) -> TestShop<'_> {
    let now = at("2017-01-01T00:00:00Z");
    let zone = "America/New_York".parse().unwrap();
    let shop = NewShop { name: "Grocer".to_owned(), currency: Currency::USD, zone };
    let shop = store.create_shop(&shop, now).unwrap().id;
    let desk = TestShop { store, id: shop, now };
    desk.execute(publish_action(PROGRAM)).unwrap();
    desk
}

/// Tells the whole history; on time, the scheduler looks at the beginning of each day.
fn replay_into_store(
    store: &Arc<dyn Store>,
    desk: TestShop<'_>,
    facts: &[OrderFact],
    on_time: bool,
) {
    let mut today = desk.now;
    for fact in facts {
        if on_time {
            days_between(today, fact.at).for_each(|today| run_scheduler(store, today));
            today = fact.at;
        }
        TestShop { now: fact.at, ..desk }.execute(fact.action()).unwrap();
    }
}

/// What a server made of the history that was killed again and again.
fn replay_through_server(file: &Path, facts: &[OrderFact]) -> Arc<dyn Store> {
    let (record, key) = auth::random_key().unwrap();
    let store = SqliteStore::open(file, &tiny_settings()).unwrap();
    let desk = open_shop(&store);
    store.add_api_key(desk.id, &record, desk.now).unwrap();
    drop(store);
    server_process::replay_with_kills(file, &key, facts.len(), KILLS);
    Arc::new(SqliteStore::open(file, &tiny_settings()).unwrap())
}

/// The scheduler looks once.
fn run_scheduler(store: &Arc<dyn Store>, now: Timestamp) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime
        .block_on(scheduler::run_pass(store, &Clock::fixed(now), 16))
        .unwrap();
}

/// The beginning of the day.
fn start_of_day(now: Timestamp) -> Timestamp {
    Timestamp::from_timestamp(now.timestamp() - now.timestamp().rem_euclid(86_400), 0).unwrap()
}

/// The beginnings of days after one instant, up to another.
fn days_between(from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
    let (from, until) = (
        start_of_day(from).timestamp() / 86_400 + 1,
        start_of_day(until).timestamp() / 86_400,
    );
    (from..=until).map(|day| Timestamp::from_timestamp(day * 86_400, 0).unwrap())
}

/// All that happened to a customer, with the instant of it. When it was written down, and together with
/// what, may differ.
#[derive(Debug, PartialEq)]
struct EventHistory(Vec<(Option<Timestamp>, Event)>);

impl EventHistory {
    fn read(store: &dyn Store, customer: &str) -> Self {
        let (shop, who) = (ShopId(1), CustomerRef::Id(CustomerId::new(customer).unwrap()));
        let account = store.customer(shop, &who).unwrap().unwrap().record().account;
        let rows = whole_journal(store, shop, account);
        let events = rows.iter().rev().flat_map(|row| row.events.iter().cloned());
        Self(events.map(|event| (event.at(), event)).collect())
    }
}

/// What is counted, so that nothing of the program was left out.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::OrderRecorded { .. } => "orders",
        Event::OrderRefunded { .. } => "refunds",
        Event::PointsAwarded { calculation: reckoning, .. } => {
            let worth = &reckoning.explanation;
            if !worth.campaigns.is_empty() {
                "awarded in the campaign"
            } else if worth.rules.iter().any(|share| share.rule.as_str() == "bakery") {
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
