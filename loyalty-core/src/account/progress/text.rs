//! Instants with their counts as one text of digits: of each five numbers, two of them its own, then spend, points and
//! orders.

use super::{Counts, Timestamp};
use crate::account::digits::{Numbers, Text};

/// About so many entries.
pub(in crate::account) fn spell<'a>(
    entries: impl Iterator<Item = (&'a Timestamp, &'a Counts)>,
    count: usize,
) -> String {
    let (mut text, mut before) = (Text::with_capacity(count.saturating_mul(16)), 0);
    for (at, counts) in entries {
        text.put_instant(*at, &mut before);
        for count in [counts.spend, counts.points, counts.orders] {
            text.put(count);
        }
    }
    text.into_string()
}

/// What a text says; none where it is of something else.
pub(in crate::account) fn read(text: &str) -> Option<Vec<(Timestamp, Counts)>> {
    let (mut entries, mut before, mut numbers) = (Vec::new(), 0, Numbers::of(text));
    while !numbers.is_empty() {
        let at = numbers.instant(&mut before)?;
        let (spend, points, orders) = (numbers.number()?, numbers.number()?, numbers.number()?);
        entries.push((at, Counts { spend, points, orders }));
    }
    Some(entries)
}
