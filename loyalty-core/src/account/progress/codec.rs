//! The text codec of instants and their counts: an instant, then spend, points and
//! orders.

use super::{Counts, Timestamp};
use crate::account::vlq::{VlqReader, VlqWriter};

/// Encodes entries. `count` is their expected number, for the capacity.
pub(in crate::account) fn encode<'a>(
    entries: impl Iterator<Item = (&'a Timestamp, &'a Counts)>,
    count: usize,
) -> String {
    let (mut text, mut before) = (VlqWriter::with_capacity(count.saturating_mul(16)), 0);
    for (at, counts) in entries {
        text.write_instant(*at, &mut before);
        for count in [counts.spend, counts.points, counts.orders] {
            text.write_signed(count);
        }
    }
    text.into_string()
}

/// Decodes entries. `None` if the text is no list of entries.
pub(in crate::account) fn decode(text: &str) -> Option<Vec<(Timestamp, Counts)>> {
    let (mut entries, mut before, mut numbers) = (Vec::new(), 0, VlqReader::new(text));
    while !numbers.is_empty() {
        let at = numbers.read_instant(&mut before)?;
        let (spend, points, orders) =
            (numbers.read_signed()?, numbers.read_signed()?, numbers.read_signed()?);
        entries.push((at, Counts { spend, points, orders }));
    }
    Some(entries)
}
