//! What a request costs where the journal is long, and what a start costs there.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench growth -- --rows 10000000
//! ```
//!
//! Two stores with the same customers, one with a short journal and one with a long one, all of it points, take
//! turns; without HTTP, so many requests in flight as that many connections send. What is measured makes both
//! longer, so it is a copy: the files stay as they are in the target directory, in `tmp`, for the next time.
//! Without `--bench`, as `cargo test --all-targets` runs it, each is tried for a moment.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use loyalty_core::{Points, ShopId};
use loyalty_store::{
    Action, Answer, Idempotency, Presence, ProfileChange, Request, Settings, SqliteStore, Store, Who,
};
use loyalty_tests::{Desk, add, at, file_of_last_time, id, paid, send_all};

/// The allocator of the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CUSTOMERS: u64 = 10_000;
const SHORT: u64 = 20_000;
const ROUNDS: usize = 3;

#[derive(Parser)]
struct Arguments {
    /// How long the long journal is.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// How many requests make a measurement; pages of the ledger, a tenth of it.
    #[arg(long, default_value_t = 40_000)]
    count: u64,
    /// How many at once.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut arguments = Arguments::parse();
    if !arguments.bench {
        (arguments.rows, arguments.count) = (SHORT + 1_000, 200);
    }
    let Arguments { rows, count, in_flight, bench: _ } = arguments;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (short, long) = (copy_of(SHORT, directory.path()), copy_of(rows, directory.path()));
    let (start_short, start_long) = (start(&short), start(&long));
    println!("| what | journal of {SHORT} | journal of {rows} | ratio |\n| --- | ---: | ---: | ---: |");
    println!("| start, in ms | {start_short:.1} | {start_long:.1} | |");
    let (short, long) = (Shop::open(&short), Shop::open(&long));
    let kinds: [(&str, Kind, u64); 4] = [
        ("points-add under a key", Shop::points, count),
        ("an order", Shop::order, count),
        ("a balance", Shop::balance, count),
        ("a page of the ledger", Shop::ledger, count / 10),
    ];
    for (name, kind, count) in kinds {
        let mut rates = [Vec::new(), Vec::new()];
        for round in 0..ROUNDS {
            for (shop, rates) in [&short, &long].into_iter().zip(&mut rates) {
                rates.push(shop.rate(kind, count, in_flight, u64::try_from(round).unwrap()));
            }
        }
        let ratios: Vec<f64> = rates[0].iter().zip(&rates[1]).map(|(short, long)| long / short).collect();
        let [short, long] = rates.map(median);
        println!("| {name}, a second | {short:.0} | {long:.0} | {:.2} |", median(ratios));
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Opens the store and closes it again: the median in milliseconds of what opening takes.
fn start(file: &Path) -> f64 {
    let once = || {
        let begun = Instant::now();
        let store = SqliteStore::open(file, &Settings::default()).unwrap();
        let took = begun.elapsed();
        drop(store);
        took.as_secs_f64() * 1_000.0
    };
    median((0..5).map(|_| once()).collect())
}

/// A copy of the file of last time, which stays as long as it was.
fn copy_of(rows: u64, into: &Path) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = file_of_last_time(directory, &format!("growth-{rows}.db"), |store| fill(store, rows));
    let copy = into.join(format!("{rows}.db"));
    std::fs::copy(file, &copy).unwrap();
    copy
}

fn fill(store: &SqliteStore, rows: u64) {
    let desk = Desk::new(store);
    let customer = |number| desk.request(Action::customer(who(number), Presence::MustNot, Vec::new()));
    send_all(store, 512, (0..CUSTOMERS).map(customer));
    let adding = |number| desk.request(Action::customer(who(number), Presence::Must, vec![add(1)]));
    send_all(store, 512, (CUSTOMERS..rows).map(adding));
}

/// All over the customers, each as often as the others.
fn who(number: u64) -> Who {
    id(&format!("{:06}", number.wrapping_mul(7_919) % CUSTOMERS))
}

struct Shop {
    store: SqliteStore,
    id: ShopId,
    /// What of this run tells its keys and orders from those of others.
    run: u128,
}

/// Does something so often, beginning with a number.
type Kind = fn(&Shop, std::ops::Range<u64>, usize);

impl Shop {
    fn open(file: &Path) -> Self {
        let store = SqliteStore::open(file, &Settings::default()).unwrap();
        let id = store.shops().unwrap()[0].id;
        let run = u128::try_from(loyalty_http::Clock::system().now().timestamp_micros()).unwrap();
        Self { store, id, run }
    }

    fn desk(&self) -> Desk<'_> {
        Desk { store: &self.store, shop: self.id, now: at("2026-01-01T12:00:00Z") }
    }

    /// How many a second.
    fn rate(&self, kind: Kind, count: u64, in_flight: usize, round: u64) -> f64 {
        let from = round * count;
        kind(self, from..from + count / 10, in_flight);
        let begun = Instant::now();
        kind(self, from + count / 10..from + count, in_flight);
        (count - count / 10) as f64 / begun.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
    }

    fn points(&self, numbers: std::ops::Range<u64>, in_flight: usize) {
        let requests = numbers.map(|number| {
            // As far apart as hashes are.
            let key = (self.run + u128::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            let render = Box::new(|_: &_| Answer { status: 200, body: vec![b' '; 40] });
            let idempotency = Idempotency { key: key.to_be_bytes(), fingerprint: [7; 16], render };
            let request = self.desk().request(Action::customer(who(number), Presence::Must, vec![add(1)]));
            Request { idempotency: Some(idempotency), ..request }
        });
        send_all(&self.store, in_flight, requests);
    }

    fn order(&self, numbers: std::ops::Range<u64>, in_flight: usize) {
        let requests = numbers.map(|number| {
            let command = paid(&format!("{}-{number}", self.run), "49.95");
            let (customer, change) = (Some(who(number)), ProfileChange::default());
            self.desk().request(Action::Order { command, customer, change })
        });
        send_all(&self.store, in_flight, requests);
    }

    fn balance(&self, numbers: std::ops::Range<u64>, _: usize) {
        for number in numbers {
            let customer = self.store.customer(self.id, &who(number)).unwrap().unwrap();
            assert!(customer.balance(self.desk().now) > Points::ZERO);
        }
    }

    fn ledger(&self, numbers: std::ops::Range<u64>, _: usize) {
        for number in numbers {
            let customer = self.store.customer(self.id, &who(number)).unwrap().unwrap();
            let page = self.store.ledger(self.id, customer.record().account, None, 50).unwrap();
            assert!(!page.rows.is_empty());
        }
    }
}
