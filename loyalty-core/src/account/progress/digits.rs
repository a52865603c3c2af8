//! Instants with their counts, as digits of one text: a third of the bytes and a fifth of the time that JSON's numbers
//! take.
//!
//! Of each instant five numbers: the seconds since the one before, what is beyond them, spend, points and orders. A
//! number is digits of five bits, the lowest first; a digit of 32 and more says that another follows. Negative numbers
//! take the odd places: 0, -1, 1, -2.

use super::{Counts, Timestamp};

pub(super) type Entry = (Timestamp, Counts);

/// About so many entries as digits.
pub(super) fn spell<'a>(entries: impl Iterator<Item = (&'a Timestamp, &'a Counts)>, count: usize) -> String {
    let (mut text, mut before) = (Text(String::with_capacity(count.saturating_mul(16))), 0);
    for (at, counts) in entries {
        text.put(at.timestamp().saturating_sub(before));
        before = at.timestamp();
        text.put_digits(beyond(at.timestamp_subsec_nanos()));
        for count in [counts.spend, counts.points, counts.orders] {
            text.put(count);
        }
    }
    text.0
}

/// Nanoseconds of a second as one number: an even one where microseconds are enough.
fn beyond(nanos: u32) -> u64 {
    let (micros, rest) = (u64::from(nanos / 1_000), nanos % 1_000);
    if rest == 0 { micros << 1 } else { u64::from(nanos) << 1 | 1 }
}

fn nanos(beyond: u64) -> Option<u32> {
    let number = u32::try_from(beyond >> 1).ok()?;
    if beyond & 1 == 0 { number.checked_mul(1_000) } else { Some(number) }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const MORE: u64 = 32;

/// A text of digits.
struct Text(String);

impl Text {
    fn put(&mut self, number: i64) {
        self.put_digits((number << 1 ^ number >> 63).cast_unsigned());
    }

    fn put_digits(&mut self, mut number: u64) {
        loop {
            let (low, rest) = (number & (MORE - 1), number >> 5);
            let digit = if rest == 0 { low } else { low | MORE };
            let digit = usize::try_from(digit).ok().and_then(|digit| DIGITS.get(digit));
            self.0.extend(digit.map(|digit| char::from(*digit)));
            if rest == 0 {
                return;
            }
            number = rest;
        }
    }
}

/// What is left of a text of digits.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    /// None where there is no whole number, or none of 64 bits.
    fn digits(&mut self) -> Option<u64> {
        let (mut number, mut place) = (0_u64, 0_u32);
        loop {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            let digit = value(*first)?;
            let low = digit & (MORE - 1);
            let part = low.checked_shl(place).filter(|part| part >> place == low)?;
            number |= part;
            if digit < MORE {
                return Some(number);
            }
            place = place.checked_add(5)?;
        }
    }

    fn number(&mut self) -> Option<i64> {
        let digits = self.digits()?;
        Some((digits >> 1).cast_signed() ^ (digits & 1).cast_signed().wrapping_neg())
    }

    fn entry(&mut self, seconds: &mut i64) -> Option<Entry> {
        *seconds = seconds.checked_add(self.number()?)?;
        let at = Timestamp::from_timestamp(*seconds, nanos(self.digits()?)?)?;
        let (spend, points, orders) = (self.number()?, self.number()?, self.number()?);
        Some((at, Counts { spend, points, orders }))
    }
}

/// What digits say; none where they say something else.
pub(super) fn read(text: &str) -> Option<Vec<Entry>> {
    let (mut entries, mut seconds, mut numbers) = (Vec::new(), 0, Numbers(text.as_bytes()));
    while !numbers.0.is_empty() {
        entries.push(numbers.entry(&mut seconds)?);
    }
    Some(entries)
}

fn value(digit: u8) -> Option<u64> {
    let (from, first) = match digit {
        b'A'..=b'Z' => (b'A', 0),
        b'a'..=b'z' => (b'a', 26),
        b'0'..=b'9' => (b'0', 52),
        b'-' => (b'-', 62),
        b'_' => (b'_', 63),
        _ => return None,
    };
    Some(u64::from(digit.wrapping_sub(from)).wrapping_add(first))
}
