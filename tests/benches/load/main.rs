//! The load bench: what the server costs over bare hyper, side by side in one run.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench load -- --seconds 1 --connections 16,64,256
//! ```
//!
//! Each kind of request goes, byte for byte, to the real server (App over SQLite with its usual settings,
//! on the disk of the target directory) and to a hyper server that only reads the body and answers. The
//! two take turns, so that a noisy machine disturbs both alike. With `--floor`, what takes turns with bare hyper is
//! a server that does the least that must be done. Server and load generator share the
//! machine; the ratios are what counts.
//!
//! Without `--bench`, as `cargo test --all-targets` runs it, each request is only tried for a moment.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a bench may stop at what it did not expect"
)]

mod floor;
mod generator;
mod requests;
mod servers;

use std::num::NonZero;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::generator::Samples;
use crate::servers::Servers;

/// The allocator that the server's binary has; bare hyper gets it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the server against bare hyper.
#[derive(Parser)]
struct Arguments {
    /// Only requests whose names hold this.
    filter: Option<String>,
    /// How long each measurement lasts.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How long it works before the first measurement of each kind of request: as after its first
    /// minutes, its caches are full and states are on their way to their tables.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(0..=600))]
    fill: u64,
    /// How many connections, each with one request in flight.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64, 256])]
    connections: Vec<usize>,
    /// Measures the floor in our place.
    #[arg(long)]
    floor: bool,
    /// What cargo says when it benches.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How often the two sides of a row take turns. Often and briefly: from one second to the next a virtual
/// machine is a third faster or slower.
const ROUNDS: usize = 9;

/// How long and how often.
struct BenchPlan {
    fill: Duration,
    warm_up: Duration,
    window: Duration,
    rounds: usize,
    connections: Vec<usize>,
}

impl BenchPlan {
    /// What of a run is not measured, and what is.
    fn time(&self) -> (Duration, Duration) {
        (self.warm_up, self.window)
    }
}

fn main() {
    let arguments = Arguments::parse();
    let plan = if arguments.bench {
        BenchPlan {
            fill: Duration::from_secs(arguments.fill),
            warm_up: Duration::from_millis(300),
            window: Duration::from_secs(arguments.seconds),
            rounds: ROUNDS,
            connections: arguments.connections,
        }
    } else {
        BenchPlan {
            fill: Duration::ZERO,
            warm_up: Duration::ZERO,
            window: Duration::from_millis(50),
            rounds: 1,
            connections: vec![4],
        }
    };
    let servers = Servers::start();
    print_conditions(&plan, servers.directory());
    let (side, name) =
        if arguments.floor { (servers.floor, "floor") } else { (servers.ours, "ours") };
    println!(
        "| request | connections | bare/s | {name}/s | ratio | bare p50 | bare p99 | {name} p50 | {name} p99 |"
    );
    println!("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |");
    let filter = arguments.filter.unwrap_or_default();
    for request in servers
        .requests()
        .into_iter()
        .filter(|request| request.name.contains(&filter))
    {
        if !plan.fill.is_zero() {
            generator::run(side, &request, 64, (Duration::ZERO, plan.fill));
        }
        for &connections in &plan.connections {
            let (mut bare, mut other) = (SideStats::default(), SideStats::default());
            for _ in 0..plan.rounds {
                bare.add(generator::run(servers.bare, &request, connections, plan.time()));
                other.add(generator::run(side, &request, connections, plan.time()));
            }
            print_row(request.name, connections, &mut bare, &mut other);
        }
    }
    println!("\nTimes are in milliseconds. {}", servers.verify_store());
}

/// What one side of a row did.
#[derive(Default)]
struct SideStats {
    rates: Vec<f64>,
    latencies: Vec<Duration>,
}

impl SideStats {
    fn add(&mut self, samples: Samples) {
        self.rates
            .push(samples.latencies.len() as f64 / samples.window.as_secs_f64());
        self.latencies.extend(samples.latencies);
    }

    /// In milliseconds.
    fn percentile(&mut self, of_hundred: usize) -> f64 {
        let rank = (self.latencies.len() * of_hundred).div_ceil(100).max(1) - 1;
        let (_, latency, _) = self.latencies.select_nth_unstable(rank);
        latency.as_secs_f64() * 1_000.0
    }
}

/// The first quartile, the median and the third.
fn quartiles(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| numbers[(numbers.len() - 1) * quarter / 4])
}

fn median(numbers: Vec<f64>) -> f64 {
    quartiles(numbers)[1]
}

fn print_row(name: &str, connections: usize, bare: &mut SideStats, other: &mut SideStats) {
    // Of the rounds' own ratios: what drifts between rounds is on both sides of each.
    let ratios = other
        .rates
        .iter()
        .zip(&bare.rates)
        .map(|(other, bare)| other / bare)
        .collect();
    let [low, ratio, high] = quartiles(ratios);
    println!(
        "| {name} | {connections} | {:.0} | {:.0} | {ratio:.3} ({low:.2} to {high:.2}) | {:.2} | {:.2} | {:.2} | {:.2} |",
        median(bare.rates.clone()),
        median(other.rates.clone()),
        bare.percentile(50),
        bare.percentile(99),
        other.percentile(50),
        other.percentile(99),
    );
}

fn print_conditions(plan: &BenchPlan, directory: &std::path::Path) {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    println!(
        "{cores} cores, shared by the server (tokio, {cores} workers and the store's threads) and the load generator \
         ({} threads); SQLite {}, WAL, synchronous=FULL; one 4 KiB append and sync on its disk takes {:.0} µs. \
         Medians (and quartiles) of {} rounds of {:?}, after {:?} of each kind.\n",
        generator::THREADS,
        rusqlite::version(),
        sync_time(directory).as_secs_f64() * 1e6,
        plan.rounds,
        plan.window,
        plan.fill,
    );
}

/// What an append of a page and its sync takes there: the median of some.
fn sync_time(directory: &std::path::Path) -> Duration {
    use std::io::Write;
    let mut file = std::fs::File::create(directory.join("sync")).unwrap();
    let mut once = || {
        let begun = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        begun.elapsed()
    };
    let mut times: Vec<Duration> = (0..201).map(|_| once()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
