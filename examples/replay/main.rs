//! Replays a year of a shop's orders and prints the balances.
//!
//! ```text
//! cargo run --release --example replay                                   the sample, in process
//! cargo run --release --example replay -- orders.ndjson.gz --check --shuffle 7 --duplicate 0.1
//! cargo run --release --example replay -- --server http://127.0.0.1:8080 --key lk_… --connections 64
//! ```
//!
//! Orders are facts: repeated or reordered, they give the same balances. `--check`
//! compares the balances with a plain sum of the orders' totals; the shop must have had
//! no points before.
#![allow(clippy::arithmetic_side_effects, reason = "counts of a file that fits in memory")]

#[path = "../cli.rs"]
mod cli;
#[path = "../client.rs"]
mod client;
mod history;
mod report;
mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use rust_decimal::Decimal;
use tokio::task::JoinSet;

use crate::cli::ExampleError;
use crate::client::ServerArgs;
use crate::history::SourceOrder;
use crate::report::{PushStats, ReplayReport};
use crate::target::{Pusher, Target};

/// Pushes a file of orders to the library or to a server and prints the balances.
#[derive(Parser)]
struct Arguments {
    /// Orders, one JSON object a line; plain or .gz
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/orders-3-customers.ndjson"))]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    /// Keep the library's store in memory, not in a temporary file
    #[arg(long, conflicts_with = "server")]
    memory: bool,
    /// Number of orders in flight; to a server, each on its own connection
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Shuffle the orders; the same seed gives the same sequence
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Fraction of the orders to push twice, such as 0.1
    #[arg(long, value_name = "FRACTION", default_value = "0", value_parser = fraction)]
    duplicate: Decimal,
    /// Compare every balance with a plain sum; exit code 1 on a difference
    #[arg(long)]
    check: bool,
    /// Write customer,balance lines to a file
    #[arg(long, value_name = "FILE")]
    balances: Option<PathBuf>,
}

fn fraction(text: &str) -> Result<Decimal, &'static str> {
    let fraction = text
        .parse()
        .ok()
        .filter(|fraction| (Decimal::ZERO..=Decimal::ONE).contains(fraction));
    fraction.ok_or("must be between 0 and 1")
}

fn main() -> ExitCode {
    cli::run(replay)
}

async fn replay(arguments: Arguments) -> Result<ExitCode, ExampleError> {
    let orders: Arc<[SourceOrder]> = history::read(&arguments.file)?.into();
    let sequence = history::push_sequence(orders.len(), arguments.shuffle, arguments.duplicate);
    let target = match arguments.server.server()? {
        Some(server) => Target::Server(server),
        None => Target::temporary(arguments.memory)?,
    };
    let pushed = push(&target, &orders, sequence, arguments.connections).await?;

    let sums = history::expected_balances(&orders)?;
    let balances = target.balances(sums.keys().copied().collect()).await?;
    ReplayReport {
        target: &target.name(),
        orders: &orders,
        pushed: &pushed,
        balances: &balances,
    }
    .print();

    if let Some(path) = &arguments.balances {
        write_balances(path, &balances)?;
    }

    let agrees = !arguments.check || report::print_check(&sums, &balances);
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Pushes the sequence over `connections` tasks and measures each push.
async fn push(
    target: &Target,
    orders: &Arc<[SourceOrder]>,
    sequence: Vec<usize>,
    connections: u16,
) -> Result<PushStats, ExampleError> {
    let progress = progress(sequence.len())?;
    let (sequence, next_index) = (Arc::<[usize]>::from(sequence), Arc::new(AtomicUsize::new(0)));

    // Connect before the clock starts, so that only pushes are measured.
    let mut pushers = Vec::new();
    for _ in 0..connections {
        pushers.push(target.pusher().await?);
    }

    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for pusher in pushers {
        let task = PushTask {
            pusher,
            orders: Arc::clone(orders),
            sequence: Arc::clone(&sequence),
            next_index: Arc::clone(&next_index),
            progress: progress.clone(),
        };
        tasks.spawn(task.run());
    }

    let mut latencies = Vec::with_capacity(sequence.len());
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }

    progress.finish_and_clear();
    Ok(PushStats::new(begun.elapsed(), latencies))
}

/// A task that pushes orders until none remain.
struct PushTask {
    pusher: Pusher,
    orders: Arc<[SourceOrder]>,
    sequence: Arc<[usize]>,
    /// The index of the next order of the sequence, shared by all tasks.
    next_index: Arc<AtomicUsize>,
    progress: ProgressBar,
}

impl PushTask {
    async fn run(mut self) -> Result<Vec<Duration>, ExampleError> {
        let mut latencies = Vec::new();
        while let Some(order) = self.sequence.get(self.next_index.fetch_add(1, Ordering::Relaxed)) {
            let Some(order) = self.orders.get(*order) else { break };
            let begun = Instant::now();
            self.pusher.push(order).await?;
            latencies.push(begun.elapsed());
            self.progress.inc(1);
        }
        Ok(latencies)
    }
}

/// A progress bar on standard error, hidden if that is no terminal.
fn progress(length: usize) -> Result<ProgressBar, ExampleError> {
    let style =
        ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} orders, {eta} left")?;
    Ok(ProgressBar::new(u64::try_from(length)?).with_style(style))
}

fn write_balances(path: &Path, balances: &BTreeMap<String, i64>) -> Result<(), ExampleError> {
    let line = |(customer, balance): (&String, &i64)| format!("{},{balance}\n", csv(customer));
    let text = balances.iter().map(line).collect::<String>();
    let written = std::fs::write(path, format!("customer,balance\n{text}"));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}

/// A CSV field, quoted if needed.
fn csv(text: &str) -> String {
    if text.contains(['"', ',']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
