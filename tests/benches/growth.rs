//! The cost of a request with a long journal, and for customers with many orders; and the
//! cost of opening the store there.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench growth -- --rows 10000000
//! ```
//!
//! Two stores with the same customers take turns: one with a short journal, one with a
//! long one, all of it additions of points. Then customers with few and with many orders
//! take turns in one store, under a program whose points never expire, and under one in
//! which each order opens a lot.
//!
//! Requests bypass HTTP; as many are in flight as a server has with that many
//! connections. Measuring makes both journals longer, so it works on copies: the original
//! files remain in `tmp` of the target directory. Without `--bench`, as in `cargo test
//! --all-targets`, each case runs briefly.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use loyalty_core::{Points, ShopId};
use loyalty_store::{
    Action, CustomerRef, Existence, Idempotency, ProfileChange, Request, Response, SqliteStore,
    Store, StoreSettings,
};
use loyalty_tests::{TestShop, add, at, cached_file, execute_all, id, publish_action, record_paid};

/// The allocator of the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Customers whose requests take turns.
#[derive(Clone, Copy)]
struct CustomerGroup {
    name: &'static str,
    count: u64,
}

impl CustomerGroup {
    /// Spread over their tables, each as often as the others.
    fn customer_ref(self, number: u64) -> CustomerRef {
        id(&format!("{}{:06}", self.name, number.wrapping_mul(7_919) % self.count))
    }
}

const ALL: CustomerGroup = CustomerGroup { name: "", count: 10_000 };
/// The customers whose ledger is read, equally long in both journals.
const REGULARS: CustomerGroup = CustomerGroup { name: "regular", count: 100 };
const PAGE: u64 = 50;
const OF_FEW_ORDERS: CustomerGroup = CustomerGroup { name: "few", count: 100 };
const OF_MANY_ORDERS: CustomerGroup = CustomerGroup { name: "many", count: 100 };
const SHORT: u64 = 20_000;
const FEW: u64 = 10;
const ROUNDS: u64 = 7;

#[derive(Parser)]
struct Arguments {
    /// Rows of the long journal
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Orders of each customer with many
    #[arg(long, default_value_t = 10_000)]
    orders: u64,
    /// Requests in a measurement; a tenth as many for pages of the ledger
    #[arg(long, default_value_t = 40_000)]
    count: u64,
    /// Requests in flight
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let mut arguments = Arguments::parse();
    if !arguments.bench {
        (arguments.rows, arguments.orders, arguments.count) = (SHORT + 1_000, FEW + 1, 200);
    }
    let Arguments { rows, orders, count, in_flight, bench: _ } = arguments;

    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let journal = |rows| {
        copy_cached_file(&format!("growth-{rows}.db"), |store| fill(store, rows), directory.path())
    };
    let (short, long) = (journal(SHORT), journal(rows));

    let (start_short, start_long) = (measure_open(&short), measure_open(&long));
    println!(
        "| what | journal of {SHORT} | journal of {rows} | ratio |\n| --- | ---: | ---: | ---: |"
    );
    println!("| start, in ms | {start_short:.1} | {start_long:.1} | |");

    let (short, long) = (open(&short), open(&long));
    let [short, long] = [&short, &long].map(|store| BenchShop::new(store, ALL));
    let regulars = [&short, &long].map(|shop| BenchShop { customers: REGULARS, ..*shop });

    compare(Kind::Points, [&short, &long], count, in_flight);
    compare(Kind::Order, [&short, &long], count, in_flight);
    compare(Kind::Balance, [&short, &long], count, in_flight);
    compare(Kind::Ledger, regulars.each_ref(), count / 10, in_flight);

    for program in [NON_EXPIRING, EXPIRING] {
        let PointsProgram { name, .. } = program;
        let file = format!("growth-orders-{name}-{orders}.db");
        let store = open(&copy_cached_file(
            &file,
            |store| fill_orders(store, program, orders),
            directory.path(),
        ));
        println!(
            "\n| customers, of points that {name} | {FEW} orders | {orders} orders | ratio |\n| --- | ---: | ---: | ---: |"
        );

        let shops = [OF_FEW_ORDERS, OF_MANY_ORDERS].map(|group| BenchShop::new(&store, group));

        for (kind, count) in [
            (Kind::Points, count),
            (Kind::Order, count),
            (Kind::Balance, count),
            (Kind::Ledger, count / 10),
        ] {
            compare(kind, shops.each_ref(), count, in_flight);
        }
    }
}

/// A program, named by what it does with the points of orders.
#[derive(Clone, Copy)]
struct PointsProgram {
    name: &'static str,
    document: &'static str,
}

const NON_EXPIRING: PointsProgram = PointsProgram { name: "last", document: "{}" };
/// The lots of all orders are still there when the bench runs.
const EXPIRING: PointsProgram = PointsProgram {
    name: "end",
    document: r#"{"expiry": {"per_lot": {"after": "P3Y"}}}"#,
};

/// Prints a row: the rates of the two, and the median of their ratios.
fn compare(kind: Kind, shops: [&BenchShop; 2], count: u64, in_flight: usize) {
    let mut rates = [Vec::new(), Vec::new()];
    // The first round warms up: caches fill, and background work of the start ends.
    for round in 0..=ROUNDS {
        // They alternate in going first: write-behind is periodic too, and would always
        // meet the same one.
        let turns = if round.is_multiple_of(2) { [0, 1] } else { [1, 0] };
        for side in turns {
            let rate = shops[side].rate(kind, count, in_flight, round);
            rates[side].extend((round > 0).then_some(rate));
        }
    }

    let ratios: Vec<f64> = rates[0]
        .iter()
        .zip(&rates[1])
        .map(|(one, other)| other / one)
        .collect();

    let [one, other] = rates.map(median);
    let name = kind.name();
    println!("| {name}, a second | {one:.0} | {other:.0} | {:.2} |", median(ratios));
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn open(file: &Path) -> SqliteStore {
    SqliteStore::open(file, &StoreSettings::default()).unwrap()
}

/// Opens and closes the store. Returns the median time to open it, in milliseconds.
fn measure_open(file: &Path) -> f64 {
    let open_once = || {
        let begun = Instant::now();
        let store = open(file);
        let elapsed = begun.elapsed();
        drop(store);
        elapsed.as_secs_f64() * 1_000.0
    };
    median((0..5).map(|_| open_once()).collect())
}

/// A copy of the cached file, which itself stays unchanged.
fn copy_cached_file(name: &str, fill: impl FnOnce(&SqliteStore), into: &Path) -> PathBuf {
    let cached = cached_file(Path::new(env!("CARGO_TARGET_TMPDIR")), name, fill);
    let copy = into.join(name);

    std::fs::copy(cached, &copy).unwrap();
    // Else the first measured sync would write the whole file.
    std::fs::File::open(&copy).unwrap().sync_all().unwrap();
    copy
}

/// Additions for all customers, and among them one page of entries for each regular,
/// spread over the journal.
fn fill(store: &SqliteStore, rows: u64) {
    let shop = TestShop::new(store);
    let distance = (rows - ALL.count) / (REGULARS.count * PAGE);

    let new_customer = |number| {
        shop.request(Action::for_customer(ALL.customer_ref(number), Existence::Absent, Vec::new()))
    };
    execute_all(store, 512, (0..ALL.count).map(new_customer));

    let adding = |number| {
        let customer = if number % distance == 0 {
            REGULARS.customer_ref(number / distance)
        } else {
            ALL.customer_ref(number)
        };
        shop.request(Action::for_customer(customer, Existence::Any, vec![add(1)]))
    };

    execute_all(store, 512, (ALL.count..rows).map(adding));
}

/// Few orders for some customers, many for others, all within two years.
fn fill_orders(store: &SqliteStore, program: PointsProgram, many: u64) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(program.document)).unwrap();

    let orders = |group: CustomerGroup, each: u64| {
        (0..each * group.count).map(move |number| {
            let now = at("2024-01-01T12:00:00Z") + Duration::from_secs(number * 60);
            let shop = TestShop { now, ..shop };
            order(&shop, group.customer_ref(number), &format!("{}-{number}", group.name))
        })
    };

    execute_all(store, 512, orders(OF_FEW_ORDERS, FEW));
    execute_all(store, 512, orders(OF_MANY_ORDERS, many));
}

fn order(shop: &TestShop<'_>, customer: CustomerRef, order: &str) -> Request {
    shop.request(Action::Order {
        command: record_paid(order, "49.95"),
        customer: Some(customer),
        change: ProfileChange::default(),
    })
}

struct BenchShop<'a> {
    store: &'a SqliteStore,
    id: ShopId,
    customers: CustomerGroup,
    /// Distinguishes the keys and orders of this run and customer group from those of
    /// others.
    run: u128,
}

/// The kind of request.
#[derive(Clone, Copy)]
enum Kind {
    Points,
    Order,
    Balance,
    Ledger,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Points => "points-add under a key",
            Self::Order => "an order",
            Self::Balance => "a balance",
            Self::Ledger => "a page of the ledger",
        }
    }
}

impl<'a> BenchShop<'a> {
    fn new(store: &'a SqliteStore, customers: CustomerGroup) -> Self {
        let id = store.shops().unwrap()[0].id;
        let mut run = DefaultHasher::new();
        (loyalty_http::Clock::system().now(), customers.name).hash(&mut run);
        let run = u128::from(run.finish()) << 32;
        Self { store, id, customers, run }
    }

    fn test_shop(&self) -> TestShop<'_> {
        TestShop {
            store: self.store,
            id: self.id,
            now: at("2026-01-01T12:00:00Z"),
        }
    }

    /// Requests a second.
    fn rate(&self, kind: Kind, count: u64, in_flight: usize, round: u64) -> f64 {
        let from = round * count;

        self.send(kind, from..from + count / 10, in_flight);
        let begun = Instant::now();
        self.send(kind, from + count / 10..from + count, in_flight);
        (count - count / 10) as f64 / begun.elapsed().max(Duration::from_nanos(1)).as_secs_f64()
    }

    /// Sends a request for each number.
    fn send(&self, kind: Kind, numbers: Range<u64>, in_flight: usize) {
        match kind {
            Kind::Points => self.add_points(numbers, in_flight),
            Kind::Order => self.record_orders(numbers, in_flight),
            Kind::Balance => self.read_balances(numbers),
            Kind::Ledger => self.read_ledgers(numbers),
        }
    }

    fn add_points(&self, numbers: Range<u64>, in_flight: usize) {
        let requests = numbers.map(|number| {
            // Spread like a hash of the request's key.
            let key = (self.run + u128::from(number))
                .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            let render = Box::new(|_: &_| Response { status: 200, body: vec![b' '; 40] });
            let idempotency = Idempotency { key: key.to_be_bytes(), fingerprint: [7; 16], render };
            let customer = self.customers.customer_ref(number);

            let request = self.test_shop().request(Action::for_customer(
                customer,
                Existence::Required,
                vec![add(1)],
            ));
            Request { idempotency: Some(idempotency), ..request }
        });
        execute_all(self.store, in_flight, requests);
    }

    fn record_orders(&self, numbers: Range<u64>, in_flight: usize) {
        let requests = numbers.map(|number| {
            let now = self.test_shop().now + Duration::from_millis(number);
            let shop = TestShop { now, ..self.test_shop() };
            order(
                &shop,
                self.customers.customer_ref(number),
                &format!("{:x}", self.run + u128::from(number)),
            )
        });
        execute_all(self.store, in_flight, requests);
    }

    fn read_balances(&self, numbers: Range<u64>) {
        for number in numbers {
            let customer = self
                .store
                .customer(self.id, &self.customers.customer_ref(number))
                .unwrap()
                .unwrap();
            assert!(customer.balance(self.test_shop().now) > Points::ZERO);
        }
    }

    fn read_ledgers(&self, numbers: Range<u64>) {
        for number in numbers {
            let customer = self
                .store
                .customer(self.id, &self.customers.customer_ref(number))
                .unwrap()
                .unwrap();
            let page = self
                .store
                .account_journal(self.id, customer.record().account, None, 50)
                .unwrap();
            assert!(page.rows.len() >= 10);
        }
    }
}
