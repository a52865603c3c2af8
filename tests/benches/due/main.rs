//! The bench of the scheduler: what its pass costs where 100 customers of very many have something due,
//! beside the same where they are 100 of few.
//!
//! ```text
//! DUE_CUSTOMERS=1000000 cargo bench -p loyalty-tests --bench due
//! ```
//!
//! Everybody has a lot that ends some day, so everybody is in the index of what is due. In each round the
//! lots of 100 customers, strewn over all of them, are over, and the scheduler of the server looks once. The two
//! stores take turns, so that a noisy machine disturbs both alike: what counts is the ratio, which must not
//! grow with the number of customers.
//!
//! Without `--bench`, as `cargo test --all-targets` runs it, all is small and quick.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_wrap,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loyalty_core::Timestamp;
use loyalty_http::{Clock, Schedule, scheduler};
use loyalty_store::{Action, Existence, Pending, SqliteStore, Store, StoreSettings};
use loyalty_tests::{TestShop, add, at, expect_decided, id, publish_action};
use tokio::runtime::Runtime;

/// The allocator that the server's binary has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many customers the larger store has.
const CUSTOMERS: &str = "DUE_CUSTOMERS";
/// For how many of them something is due in a round.
const DUE_CUSTOMER_COUNT: usize = 100;

fn main() {
    let bench = std::env::args().any(|argument| argument == "--bench");
    let (many, few, rounds) = if bench { (1_000_000, 10_000, 21) } else { (3_000, 1_000, 3) };
    let many = std::env::var(CUSTOMERS).map_or(many, |text| text.parse().expect(CUSTOMERS));
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = Runtime::new().unwrap();
    let mut sides =
        [few, many].map(|customers| BenchStore::new(directory.path(), customers, rounds));
    for round in 0..rounds {
        for side in &mut sides {
            side.run_passes(&runtime, round);
        }
    }
    println!(
        "| customers | {DUE_CUSTOMER_COUNT} due: ms a pass | least, most | nothing due: ms a pass | rows in the journal |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: |");
    sides.iter_mut().for_each(BenchStore::print);
    let [few, many] = sides.map(|side| side.medians());
    println!(
        "\n{DUE_CUSTOMER_COUNT} due, many to few: {:.2}; nothing due: {:.2}.",
        many.0 / few.0,
        many.1 / few.1
    );
}

/// A store, and how long passes over it took.
struct BenchStore {
    store: Arc<dyn Store>,
    customers: usize,
    due_times: Vec<Duration>,
    idle_times: Vec<Duration>,
}

impl BenchStore {
    fn new(directory: &Path, customers: usize, rounds: usize) -> Self {
        assert!(
            customers >= DUE_CUSTOMER_COUNT * rounds,
            "too few customers for {rounds} rounds"
        );
        let file = directory.join(format!("{customers}.db"));
        let store = SqliteStore::open(&file, &StoreSettings::default()).unwrap();
        let desk = TestShop::new(&store);
        desk.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#))
            .unwrap();
        desk.execute(Action::RescheduleDue { limit: 1 }).unwrap();
        let begun = Instant::now();
        let step = customers / (DUE_CUSTOMER_COUNT * rounds);
        for numbers in (0..customers).collect::<Vec<_>>().chunks(1_000) {
            let told: Vec<Pending> = numbers
                .iter()
                .map(|number| {
                    // One in `step` belongs to a round; the others come later, and end later.
                    let place = number / step;
                    let mine = number.is_multiple_of(step) && place < DUE_CUSTOMER_COUNT * rounds;
                    let day = if mine { place % rounds } else { rounds + number % 300 };
                    let desk = TestShop { now: days_after(desk.now, day), ..desk };
                    let action = Action::for_customer(
                        id(&format!("c{number}")),
                        Existence::Absent,
                        vec![add(10)],
                    );
                    desk.store.execute(desk.request(action))
                })
                .collect();
            for told in told {
                expect_decided(told.wait()).unwrap();
            }
        }
        println!("{customers} customers made in {:.1?}", begun.elapsed());
        // Closed and opened again: nothing is in memory but what a look brings there.
        drop(store);
        let store = Arc::new(SqliteStore::open(&file, &StoreSettings::default()).unwrap());
        Self {
            store,
            customers,
            due_times: Vec::new(),
            idle_times: Vec::new(),
        }
    }

    /// One look that finds what is due in this round, and one that finds nothing.
    fn run_passes(&mut self, runtime: &Runtime, round: usize) {
        // A year after the day of the round.
        let clock = Clock::fixed(days_after(at("2027-01-01T12:00:00Z"), round));
        for (caught_up, times) in
            [(DUE_CUSTOMER_COUNT, &mut self.due_times), (0, &mut self.idle_times)]
        {
            let begun = Instant::now();
            let look = scheduler::run_pass(&self.store, &clock, Schedule::default().batch);
            let done = runtime.block_on(look).unwrap();
            times.push(begun.elapsed());
            assert_eq!((done.caught_up, done.batches_searched), (caught_up, 0), "round {round}");
        }
    }

    /// In milliseconds: with something due, and without.
    fn medians(&self) -> (f64, f64) {
        let median = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            millis(times[times.len() / 2])
        };
        (median(&self.due_times), median(&self.idle_times))
    }

    fn print(&mut self) {
        let (due, idle) = self.medians();
        let (least, most) =
            (self.due_times.iter().min().unwrap(), self.due_times.iter().max().unwrap());
        let rows = self.store.verify().unwrap();
        assert!(rows.differences.is_empty(), "{:?}", rows.differences);
        println!(
            "| {} | {due:.2} | {:.2}, {:.2} | {idle:.3} | {} |",
            self.customers,
            millis(*least),
            millis(*most),
            rows.rows
        );
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// So many days later.
fn days_after(from: Timestamp, days: usize) -> Timestamp {
    Timestamp::from_timestamp(from.timestamp() + 86_400 * days as i64, 0).unwrap()
}
