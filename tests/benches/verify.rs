//! The time and memory of `verify`, and of a start, on a large file compared with one of a
//! thousandth; and of a start after 2,000 versions of the program, compared with one.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench verify -- --customers 1000000
//! ```
//!
//! Each is measured in a process of its own, which the bench starts again with the name of
//! the file: so its peak memory is that of the work alone. Files remain in `tmp` of the target
//! directory. Without `--bench`, as in `cargo test --all-targets`, the files are small.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use loyalty_store::{Action, Existence, SqliteAdmin, SqliteStore, Store, StoreSettings};
use loyalty_tests::{
    TestShop, add, at, cached_file, execute_all, id, order_action, publish_action, record_paid,
};

/// The allocator of the server's binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Options {
    /// The customers of the large file. Each has points and an order.
    #[arg(long)]
    customers: Option<u64>,
    /// The versions of the program of the file with many.
    #[arg(long)]
    versions: Option<u32>,
    /// Verify this file, and say the time and the memory.
    #[arg(long)]
    verify: Option<PathBuf>,
    /// Open this file, and say the time and the memory.
    #[arg(long)]
    open: Option<PathBuf>,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    if let Some(path) = &options.verify {
        return measure(|| {
            let report = SqliteAdmin::open_unchanged(path).unwrap().verify().unwrap();
            assert!(report.differences.is_empty(), "{:?}", report.differences);
        });
    }
    if let Some(path) = &options.open {
        return measure(|| {
            let store = SqliteStore::open(path, &StoreSettings::default()).unwrap();
            assert!(!store.shops().unwrap().is_empty());
        });
    }

    let (customers, versions) = if options.bench { (1_000_000, 2_000) } else { (2_000, 20) };
    let customers = options.customers.unwrap_or(customers);
    let versions = options.versions.unwrap_or(versions);
    let many = customer_file(customers);
    let few = customer_file((customers / 1_000).max(2));
    println!("| file | what | time | peak memory |");
    println!("| --- | --- | ---: | ---: |");
    for (name, path) in [("a thousandth", &few), ("all customers", &many)] {
        for what in ["verify", "open"] {
            println!("| {name} | {what} | {} |", run(what, path));
        }
    }
    for count in [1, versions] {
        println!("| {count} versions | open | {} |", run("open", &version_file(count)));
    }
}

/// Starts this bench again for one measurement.
fn run(what: &str, path: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.arg(format!("--{what}")).arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Prints the time of some work, and the peak memory of the process.
fn measure(work: impl FnOnce()) {
    let start = Instant::now();
    work();
    let time = start.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("{time:.2?} | {}", peak.map_or("unknown", str::trim));
}

/// A file of customers with points and an order.
fn customer_file(customers: u64) -> PathBuf {
    cached_file(directory(), &format!("verify-{customers}.db"), |store| {
        let shop = TestShop::new(store);
        shop.execute(publish_action("{}")).unwrap();
        let requests = (0..customers).flat_map(|number| {
            let customer = id(&number.to_string());
            let points = Action::for_customer(customer.clone(), Existence::Any, vec![add(100)]);
            let order = record_paid(&format!("o{number}"), "49.95");
            [points, order_action(Some(&customer), order)].map(|action| shop.request(action))
        });
        execute_all(store, 512, requests);
    })
}

/// A file of one customer after so many versions of the program, each with another rate.
fn version_file(versions: u32) -> PathBuf {
    cached_file(directory(), &format!("versions-{versions}.db"), |store| {
        let shop = TestShop::new(store);
        for version in 1..=versions {
            let program = format!(
                r#"{{"earning": [{{"id": "base", "earn": {{"per_unit": "{version}"}}}}],
                    "expiry": {{"per_lot": {{"after": "P{version}D"}}}}}}"#
            );
            let now = at("2024-01-01T12:00:00Z") + Duration::from_mins(u64::from(version) * 10);
            let shop = TestShop { now, ..shop };
            shop.execute(publish_action(&program)).unwrap();
        }
        shop.execute_commands(&id("1"), vec![add(100)]).unwrap();
    })
}

fn directory() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
