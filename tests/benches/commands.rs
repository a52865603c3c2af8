//! The cost of a command in the store, without HTTP, with as many requests in flight as a
//! server has with that many connections.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench commands -- points --count 20000
//! valgrind --tool=callgrind target/release/deps/commands-… points --count 2000
//! ```
//!
//! Counts of instructions are stable, times are not: run it under callgrind with two
//! counts. The difference is the cost of that many commands.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use loyalty_core::{
    AdjustmentReason, Attributes, Command, Currency, CustomerId, Line, Order, Origin, Points,
    ShopId, Status, Timestamp, Zone,
};
use loyalty_store::{
    Action, CustomerRef, Existence, Idempotency, NewShop, ProfileChange, Request, Response,
    SqliteStore, Store, StoreSettings,
};
use loyalty_tests::execute_all;

/// The allocator of the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CUSTOMERS: u64 = 1_000;

#[derive(Parser)]
struct Arguments {
    /// The commands to send
    #[arg(default_value = "points")]
    kind: Kind,
    /// Number of commands
    #[arg(long, default_value_t = 100)]
    count: u64,
    /// Number of commands in flight
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Additions of points, each under an idempotency key of its own
    Points,
    /// Paid orders of five lines, each a new one
    Orders,
}

fn main() {
    let Arguments { kind, count, in_flight, bench: _ } = Arguments::parse();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = SqliteStore::open(&directory.path().join("commands.db"), &StoreSettings::default())
        .unwrap();

    let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
    let shop = NewShop {
        name: "Commands".to_owned(),
        currency: Currency::USD,
        zone: Zone::UTC,
    };
    let shop = store.create_shop(&shop, now).unwrap().id;

    execute_all(&store, in_flight, (0..CUSTOMERS).map(|number| customer(shop, now, number)));

    let begun = Instant::now();
    execute_all(&store, in_flight, (0..count).map(|number| request(kind, shop, now, number)));
    let elapsed = begun.elapsed();
    println!(
        "{count} commands took {elapsed:?}, {:?} each",
        elapsed / u32::try_from(count.max(1)).unwrap()
    );
}

fn customer(shop: ShopId, now: Timestamp, number: u64) -> Request {
    let action = Action::for_customer(customer_ref(number), Existence::Absent, Vec::new());
    Request {
        shop,
        now,
        dry_run: false,
        idempotency: None,
        entropy: None,
        action,
    }
}

fn customer_ref(number: u64) -> CustomerRef {
    let number = number.wrapping_mul(7_919) % CUSTOMERS;
    CustomerRef::Id(CustomerId::new(format!("{number:06}")).unwrap())
}

fn request(kind: Kind, shop: ShopId, now: Timestamp, number: u64) -> Request {
    match kind {
        Kind::Points => {
            let reason = AdjustmentReason {
                text: Some(Arc::from("Plan of three months")),
                ..AdjustmentReason::default()
            };
            let command = Command::AddPoints { points: Points::from(100), reason };

            let action =
                Action::for_customer(customer_ref(number), Existence::Required, vec![command]);
            Request {
                shop,
                now,
                dry_run: false,
                idempotency: Some(key(number)),
                entropy: None,
                action,
            }
        }
        Kind::Orders => {
            let command = Command::RecordOrder {
                order: format!("o{number:012}").parse().unwrap(),
                snapshot: Arc::new(order()),
                status: Status::Completed,
                at: None,
                origin: Origin::Plugin,
            };

            let action = Action::Order {
                command,
                customer: Some(customer_ref(number)),
                change: ProfileChange::default(),
            };
            Request {
                shop,
                now,
                dry_run: false,
                idempotency: None,
                entropy: None,
                action,
            }
        }
    }
}

/// Spread like a hash of the request's key.
fn key(number: u64) -> Idempotency {
    let spread = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let render = Box::new(|_: &_| Response {
        status: 200,
        body: br#"{"customer_id":"000000","points":100}"#.to_vec(),
    });
    Idempotency { key: spread.to_be_bytes(), fingerprint: [7; 16], render }
}

fn order() -> Order {
    let amounts = [
        ("844165", "0.88"),
        ("845078", "1.88"),
        ("885700", "8.29"),
        ("6395943", "0.88"),
        ("8090610", "3.00"),
    ];
    let line = |(number, (product, amount)): (usize, (&str, &str))| Line {
        id: format!("{number}").parse().unwrap(),
        product: Some(product.parse().unwrap()),
        categories: vec!["12".parse().unwrap()],
        quantity: 1.into(),
        amount: amount.parse().unwrap(),
        gift_card: false,
        attributes: Attributes::EMPTY,
    };
    let lines = amounts.into_iter().enumerate().map(line).collect();
    Order { lines, total: "14.93".parse().unwrap(), ..Order::default() }
}
