//! The cost of the server over bare hyper, side by side in one run.
//!
//! ```text
//! cargo bench -p loyalty-tests --bench load -- --seconds 1 --connections 16,64,256
//! ```
//!
//! Each kind of request goes, byte for byte, to the real server (App over SQLite with its
//! default settings, on the disk of the target directory) and to a hyper server that only
//! reads the body and responds. The two take turns, so that noise of the machine affects
//! both. With `--floor`, a server that does the least takes the real server's place.
//! Servers and load generator share the machine; the results are the ratios.
//!
//! Without `--bench`, as in `cargo test --all-targets`, each request runs briefly.
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

/// The allocator of the server's binary, also for bare hyper.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure the server against bare hyper
#[derive(Parser)]
struct Arguments {
    /// Only requests whose names contain this
    filter: Option<String>,
    /// Length of each measurement
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Time to work before the first measurement of each kind of request, so that caches
    /// are full and states are being written to their tables, as after the first minutes
    /// of a server
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(0..=600))]
    fill: u64,
    /// Numbers of connections, each with one request in flight
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64, 256])]
    connections: Vec<usize>,
    /// Measure the floor instead of the real server
    #[arg(long)]
    floor: bool,
    /// Set by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// Number of turns of each side of a row. Many short turns, since a virtual machine can
/// become a third faster or slower within a second.
const ROUNDS: usize = 9;

/// Times and number of the measurements.
struct BenchPlan {
    fill: Duration,
    warm_up: Duration,
    window: Duration,
    rounds: usize,
    connections: Vec<usize>,
}

impl BenchPlan {
    /// The warm-up and the measured window.
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

/// The measurements of one side of a row.
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
    // Ratios of each round: drift between rounds affects both sides of a round.
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

/// The median time of an append of a page and its sync in the directory.
fn sync_time(directory: &std::path::Path) -> Duration {
    use std::io::Write;
    let mut file = std::fs::File::create(directory.join("sync")).unwrap();

    let mut append_page = || {
        let begun = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        begun.elapsed()
    };

    let mut times: Vec<Duration> = (0..201).map(|_| append_page()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
