//! The cost of a scheduler pass when 100 customers of many have something due, compared
//! with 100 of few.
//!
//! ```text
//! DUE_CUSTOMERS=1000000 cargo bench -p loyalty-tests --bench due
//! ```
//!
//! Every customer has a lot that expires, and so is in the index of due accounts. In each
//! round the lots of 100 customers, spread over all of them, have expired, and the
//! server's scheduler runs one pass. The two stores take turns, so that noise of the
//! machine affects both. The result is the ratio, which must not grow with the number of
//! customers.
//!
//! Without `--bench`, as in `cargo test --all-targets`, the stores are small.
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

/// The allocator of the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Number of customers of the larger store.
const CUSTOMERS: &str = "DUE_CUSTOMERS";
/// Number of customers with something due in a round.
const DUE_CUSTOMER_COUNT: usize = 100;

fn main() {
    let bench = std::env::args().any(|argument| argument == "--bench");
    let (many, few, rounds) = if bench { (1_000_000, 10_000, 21) } else { (3_000, 1_000, 3) };
    let many = std::env::var(CUSTOMERS).map_or(many, |text| text.parse().expect(CUSTOMERS));

    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = Runtime::new().unwrap();
    let mut stores =
        [few, many].map(|customers| BenchStore::new(directory.path(), customers, rounds));

    for round in 0..rounds {
        for store in &mut stores {
            store.run_passes(&runtime, round);
        }
    }

    println!(
        "| customers | {DUE_CUSTOMER_COUNT} due: ms a pass | least, most | nothing due: ms a pass | rows in the journal |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: |");
    stores.iter_mut().for_each(BenchStore::print);

    let [few, many] = stores.map(|store| store.medians());
    println!(
        "\n{DUE_CUSTOMER_COUNT} due, many to few: {:.2}; nothing due: {:.2}.",
        many.0 / few.0,
        many.1 / few.1
    );
}

/// A store, and the times of the passes over it.
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

        let shop = TestShop::new(&store);
        shop.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P1Y"}}}"#))
            .unwrap();
        shop.execute(Action::RescheduleDue { limit: 1 }).unwrap();

        let begun = Instant::now();
        let step = customers / (DUE_CUSTOMER_COUNT * rounds);
        for numbers in (0..customers).collect::<Vec<_>>().chunks(1_000) {
            let pending: Vec<Pending> = numbers
                .iter()
                .map(|number| {
                    // One in `step` belongs to a round; the lots of the others expire
                    // later.
                    let index = number / step;
                    let is_due = number.is_multiple_of(step) && index < DUE_CUSTOMER_COUNT * rounds;
                    let day = if is_due { index % rounds } else { rounds + number % 300 };
                    let shop = TestShop { now: days_after(shop.now, day), ..shop };
                    let action = Action::for_customer(
                        id(&format!("c{number}")),
                        Existence::Absent,
                        vec![add(10)],
                    );
                    shop.store.execute(shop.request(action))
                })
                .collect();
            for pending in pending {
                expect_decided(pending.wait()).unwrap();
            }
        }
        println!("{customers} customers created in {:.1?}", begun.elapsed());

        // Reopened, so that only a pass loads accounts into memory.
        drop(store);
        let store = Arc::new(SqliteStore::open(&file, &StoreSettings::default()).unwrap());
        Self {
            store,
            customers,
            due_times: Vec::new(),
            idle_times: Vec::new(),
        }
    }

    /// One pass with something due in this round, and one with nothing due.
    fn run_passes(&mut self, runtime: &Runtime, round: usize) {
        // A year after the day of the round.
        let clock = Clock::fixed(days_after(at("2027-01-01T12:00:00Z"), round));
        for (caught_up, times) in
            [(DUE_CUSTOMER_COUNT, &mut self.due_times), (0, &mut self.idle_times)]
        {
            let begun = Instant::now();
            let pass = scheduler::run_pass(&self.store, &clock, Schedule::default().batch);
            let report = runtime.block_on(pass).unwrap();
            times.push(begun.elapsed());
            assert_eq!(
                (report.caught_up, report.batches_searched),
                (caught_up, 0),
                "round {round}"
            );
        }
    }

    /// Milliseconds a pass: with something due, and with nothing.
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
        let (min, max) =
            (self.due_times.iter().min().unwrap(), self.due_times.iter().max().unwrap());

        let rows = self.store.verify().unwrap();
        assert!(rows.differences.is_empty(), "{:?}", rows.differences);
        println!(
            "| {} | {due:.2} | {:.2}, {:.2} | {idle:.3} | {} |",
            self.customers,
            millis(*min),
            millis(*max),
            rows.rows
        );
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The instant this number of days later.
fn days_after(from: Timestamp, days: usize) -> Timestamp {
    Timestamp::from_timestamp(from.timestamp() + 86_400 * days as i64, 0).unwrap()
}
