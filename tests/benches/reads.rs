//! The cost of reads that a console asks often: a month's time series, and a page of orders, in a
//! large shop beside one with a thousandth of it.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench reads -- --rows 10000000
//! ```
//!
//! Half of the rows are orders, half additions of points, spread over a year. Reads bypass HTTP. The
//! files remain in `tmp` of the target directory. Without `--bench`, as in `cargo test
//! --all-targets`, each case runs briefly.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use loyalty_core::{ShopId, Status, Timestamp};
use loyalty_store::{
    Action, Existence, OrderList, OrderStatus, Orders, ProfileChange, Request, SqliteStore, Store,
    StoreSettings, days_between,
};
use loyalty_tests::{TestShop, add, at, cached_file, execute_all, id, record_paid};

/// The allocator of the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CUSTOMERS: u64 = 1_000;
const YEAR: Duration = Duration::from_hours(365 * 24);

#[derive(Parser)]
struct Arguments {
    /// Rows of the large shop
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Reads in a measurement
    #[arg(long, default_value_t = 200)]
    count: u32,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut arguments = Arguments::parse();
    if !arguments.bench {
        (arguments.rows, arguments.count) = (2_000, 3);
    }
    let Arguments { rows, count, bench: _ } = arguments;
    let [small, large] = [rows / 1_000, rows].map(open);

    println!("| read, in µs | {} rows | {rows} rows | ratio |", rows / 1_000);
    println!("| --- | ---: | ---: | ---: |");
    let month = at("2025-06-01T00:00:00Z")..at("2025-07-01T00:00:00Z");
    let within = at("2025-06-01T07:30:00Z")..at("2025-07-01T16:30:00Z");
    let series = |period: &Range<Timestamp>| {
        let period = period.clone();
        move |store: &SqliteStore, shop: ShopId| {
            std::hint::black_box(days_between(store, shop, &period).unwrap());
        }
    };
    compare("a month by days", [&small, &large], count, series(&month));
    compare(
        "a month that begins and ends within a day",
        [&small, &large],
        count,
        series(&within),
    );
    let status = Some(OrderStatus::Reached(Status::Paid));
    for (name, status) in [("the newest 50 orders", None), ("the newest 50 paid orders", status)] {
        compare(name, [&small, &large], count, |store, shop| {
            let page = store.orders(shop, status, &OrderList::default(), 50).unwrap();
            assert!(!page.items.is_empty());
        });
    }
}

/// Prints a row: the median time of a read in both shops.
fn compare(name: &str, stores: [&SqliteStore; 2], count: u32, read: impl Fn(&SqliteStore, ShopId)) {
    let [small, large] = stores.map(|store| {
        let shop = store.shops().unwrap().first().unwrap().id;
        let mut times: Vec<f64> = (0..count)
            .map(|_| {
                let begun = Instant::now();
                read(store, shop);
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 2).copied().unwrap()
    });
    println!("| {name} | {small:.0} | {large:.0} | {:.2} |", large / small);
}

fn open(rows: u64) -> SqliteStore {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = cached_file(directory, &format!("reads-{rows}.db"), |store| fill(store, rows));
    SqliteStore::open(&file, &StoreSettings::default()).unwrap()
}

/// Orders and additions in turns, spread over a year.
fn fill(store: &SqliteStore, rows: u64) {
    let shop = TestShop::new(store);
    let request = |number: u64| -> Request {
        let passed = YEAR.mul_f64(number as f64 / rows as f64);
        let shop = TestShop { now: at("2025-01-01T00:00:00Z") + passed, ..shop };
        let customer = id(&format!("{}", number.wrapping_mul(7_919) % CUSTOMERS));
        if number.is_multiple_of(2) {
            return shop.request(Action::for_customer(customer, Existence::Any, vec![add(1)]));
        }
        shop.request(Action::Order {
            command: record_paid(&format!("o{number}"), "49.95"),
            customer: Some(customer),
            change: ProfileChange::default(),
        })
    };
    execute_all(store, 512, (0..rows).map(request));
}
