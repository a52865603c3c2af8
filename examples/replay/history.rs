//! The source file: one order a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use loyalty_core::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;

use crate::cli::ExampleError;

/// An order. Members of the file that no rule uses are left out.
#[derive(Debug, Deserialize)]
pub(crate) struct SourceOrder {
    #[serde(rename = "order_id")]
    pub(crate) id: String,
    pub(crate) customer_id: String,
    pub(crate) placed_at: Timestamp,
    pub(crate) total: String,
    pub(crate) lines: Vec<SourceLine>,
}

/// A line of an order.
#[derive(Debug, Deserialize)]
pub(crate) struct SourceLine {
    pub(crate) product_id: String,
    pub(crate) quantity: u32,
    pub(crate) amount: String,
    pub(crate) category: Option<String>,
}

/// Reads the whole file, `.gz` or plain.
pub(crate) fn read(path: &Path) -> Result<Vec<SourceOrder>, ExampleError> {
    let with_path =
        |error: ExampleError| ExampleError::from(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| with_path(error.into()))?;

    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let text: Box<dyn Read> =
        if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

    let parse =
        |(line, text): (usize, std::io::Result<String>)| -> Result<SourceOrder, ExampleError> {
            // Python writes NaN for missing values; JSON has null for them.
            let text = text?.replace("\":NaN", "\":null");
            serde_json::from_str(&text)
                .map_err(|error| format!("line {}: {error}", line + 1).into())
        };

    BufReader::new(text)
        .lines()
        .enumerate()
        .map(parse)
        .collect::<Result<_, _>>()
        .map_err(with_path)
}

/// The sequence of pushes, as indices of the orders: in file order, or shuffled with the
/// seed `shuffle`. A part of the orders occurs twice, the duplicates adjacent unless
/// shuffled.
pub(crate) fn push_sequence(
    orders: usize,
    shuffle: Option<u64>,
    duplicate_fraction: Decimal,
) -> Vec<usize> {
    let repeated = Decimal::from(orders)
        .checked_mul(duplicate_fraction)
        .and_then(|count| count.to_usize());
    let shuffled = |positions: &mut [usize], salt: u64| {
        positions.sort_by_cached_key(|position| {
            let mut hasher = DefaultHasher::new();
            (shuffle, salt, position).hash(&mut hasher);
            hasher.finish()
        });
    };

    let mut duplicates: Vec<usize> = (0..orders).collect();
    shuffled(&mut duplicates, 1);
    duplicates.truncate(repeated.unwrap_or(orders));

    let mut sequence: Vec<usize> = (0..orders).chain(duplicates).collect();

    if shuffle.is_some() {
        shuffled(&mut sequence, 2);
    } else {
        sequence.sort_unstable();
    }
    sequence
}

/// The expected balance of each customer, computed without the engine: the sum of the
/// whole units of the orders' totals.
pub(crate) fn expected_balances(
    orders: &[SourceOrder],
) -> Result<BTreeMap<&str, i64>, ExampleError> {
    let (mut sums, mut visited) = (BTreeMap::new(), BTreeSet::new());
    for order in orders {
        if visited.insert(&order.id) {
            let (units, _) = order.total.split_once('.').unwrap_or((&order.total, ""));
            *sums.entry(order.customer_id.as_str()).or_default() += units.parse::<i64>()?;
        }
    }
    Ok(sums)
}
