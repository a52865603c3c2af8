//! The report at the end: counts, latencies, and the largest balances.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{SourceLine, SourceOrder};

/// Maximum number of balances, and of differences, to print.
const MAX_ROWS: usize = 10;

/// Measurements of a run.
pub(crate) struct PushStats {
    time: Duration,
    /// Latency of each push, shortest first.
    latencies: Vec<Duration>,
}

impl PushStats {
    pub(crate) fn new(time: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { time, latencies }
    }

    /// The latency that `of_hundred` percent of the pushes did not exceed.
    fn percentile(&self, of_hundred: usize) -> Duration {
        let rank = (self.latencies.len() * of_hundred).div_ceil(100);
        self.latencies
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    fn per_second(&self) -> u128 {
        let pushed = u128::try_from(self.latencies.len()).unwrap_or_default();
        (pushed * 1_000_000)
            .checked_div(self.time.as_micros())
            .unwrap_or_default()
    }
}

/// The contents of the report.
pub(crate) struct ReplayReport<'a> {
    pub(crate) target: &'a str,
    pub(crate) orders: &'a [SourceOrder],
    pub(crate) pushed: &'a PushStats,
    pub(crate) balances: &'a BTreeMap<String, i64>,
}

impl ReplayReport<'_> {
    pub(crate) fn print(&self) {
        let lines = || self.orders.iter().flat_map(|order| &order.lines);
        let zero_total = self.orders.iter().filter(|order| is_zero(&order.total)).count();
        let zero_quantity = |line: &&SourceLine| line.quantity == 0;
        let uncategorized = |line: &&SourceLine| line.category.is_none();

        println!("Pushed through {}.", self.target);
        row("orders", &thousands(&self.orders.len()));
        row("  with total 0.00", &thousands(&zero_total));
        row("lines", &thousands(&lines().count()));
        row("  with quantity 0", &thousands(&lines().filter(zero_quantity).count()));
        row("  without category", &thousands(&lines().filter(uncategorized).count()));
        row("customers", &thousands(&self.balances.len()));
        row("points", &thousands(&self.balances.values().sum::<i64>()));

        println!();
        row("pushes", &thousands(&self.pushed.latencies.len()));
        row("seconds", &thousandths(self.pushed.time.as_millis()));
        row("orders a second", &thousands(&self.pushed.per_second()));
        for percent in [50, 90, 99, 100] {
            let name = if percent == 100 { "max".to_owned() } else { format!("p{percent}") };
            row(
                &format!("latency {name}, ms"),
                &thousandths(self.pushed.percentile(percent).as_micros()),
            );
        }

        println!("\nLargest balances");
        let mut largest: Vec<_> = self.balances.iter().collect();
        largest.sort_by_key(|(customer, balance)| (Reverse(**balance), *customer));
        for (customer, balance) in largest.into_iter().take(MAX_ROWS) {
            row(&format!("customer {customer}"), &thousands(balance));
        }
    }
}

/// Prints the differences. Returns true if every balance equals its sum.
pub(crate) fn print_check(sums: &BTreeMap<&str, i64>, balances: &BTreeMap<String, i64>) -> bool {
    let differs = |(customer, sum): &(&&str, &i64)| balances.get(**customer) != Some(*sum);
    let different: Vec<_> = sums.iter().filter(differs).collect();

    for (customer, sum) in different.iter().take(MAX_ROWS) {
        let balance = balances.get(**customer).map_or("none".to_owned(), i64::to_string);
        println!("customer {customer}: the balance is {balance}, the plain sum {sum}");
    }

    if different.is_empty() {
        println!("\nEvery balance is the plain sum of its orders.");
    } else {
        println!("\n{} of {} balances differ from the plain sum.", different.len(), sums.len());
    }
    different.is_empty()
}

fn row(name: &str, value: &str) {
    println!("  {name:<26}{value:>14}");
}

fn is_zero(amount: &str) -> bool {
    amount.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

/// A whole number in groups of three digits.
fn thousands(number: &impl ToString) -> String {
    let digits = number.to_string();
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits.as_str()), |digits| ("-", digits));

    let group = |(index, digit): (usize, char)| {
        let remaining = digits.len() - index;
        let comma = index > 0 && remaining.is_multiple_of(3);
        [comma.then_some(','), Some(digit)].into_iter().flatten()
    };
    format!("{sign}{}", digits.chars().enumerate().flat_map(group).collect::<String>())
}

/// A count of thousandths as a decimal.
fn thousandths(count: u128) -> String {
    format!("{}.{:03}", thousands(&(count / 1_000)), count % 1_000)
}
