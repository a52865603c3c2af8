//! Instants with their counts, as records hold them.
//!
//! A customer of ten thousand orders has ten thousand instants, and all are written each time that the account is. So
//! they are digits of one text, a third of the bytes and a fifth of the time that JSON's numbers take: of each
//! instant five numbers, the seconds since the one before, what is beyond them, spend, points and orders. A number is
//! digits of five bits, the lowest first; a digit of 32 and more says that another follows. Negative numbers take
//! the odd places: 0, -1, 1, -2.
//!
//! Records from before hold JSON's numbers, five for each instant, or of each its text and its counts.
//!
//! The same digits are the text of a chapter of an account's past.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serializer};

use super::{Counts, Timestamp, Tree};

type Entry = (Timestamp, Counts);

pub(super) fn serialize<S: Serializer>(tree: &Tree<Timestamp, Counts>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&spell(tree.iter(), tree.len()))
}

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

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tree<Timestamp, Counts>, D::Error> {
    from.deserialize_any(Entries)
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Tree<Timestamp, Counts>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("digits, five numbers for each instant")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let entries = read(text).ok_or(E::custom("no instant and its counts"))?;
        Ok(entries.into_iter().collect())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let (mut entries, mut seconds) = (Vec::new(), 0_i64);
        while let Some(part) = parts.next_element()? {
            entries.push(match part {
                Part::Entry(at, counts) => (at, counts),
                Part::Seconds(since) => {
                    let mut next = || parts.next_element::<i64>()?.ok_or(A::Error::custom("half an instant"));
                    let [nanos, spend, points, orders] = [next()?, next()?, next()?, next()?];
                    seconds = seconds.saturating_add(since);
                    let at = u32::try_from(nanos).ok().and_then(|nanos| Timestamp::from_timestamp(seconds, nanos));
                    (at.ok_or(A::Error::custom("no such instant"))?, Counts { spend, points, orders })
                }
            });
        }
        Ok(entries.into_iter().collect())
    }
}

/// What a list holds: numbers, or pairs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Seconds(i64),
    Entry(Timestamp, Counts),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use crate::account::{Counts, Progress};

    #[test]
    fn instants_are_read_as_they_are_written_and_as_they_were() {
        let counts = Counts { spend: 499_500, points: -49, orders: 1 };
        let mut progress = Progress::default();
        let instants = [
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999Z",
            "2024-01-01T12:00:00Z",
            "2024-01-01T13:40:00.000000001Z",
        ];
        for at in instants {
            progress.add(at.parse().unwrap(), counts, None);
        }
        let written = serde_json::to_value(&progress).unwrap();
        // By hand: 499,500 is 999,000 doubled, 24 + 18 * 32 + 15 * 32² + 30 * 32³; -49 is 97, 1 + 3 * 32; 1 is 2.
        assert_eq!(written["by_instant"], "_v7ny3zDA4yvehDC-v7ny3zDwl_8B4yvehDCi00qylDA4yvehDCg3LD4yvehDC");
        assert_eq!(serde_json::from_value::<Progress>(written.clone()).unwrap(), progress);
        let mut before = written;
        before["by_instant"] = serde_json::json!([
            [-62_135_596_800_i64, 0, 499_500, -49, 1],
            [62_135_596_799_i64, 999_000_000, 499_500, -49, 1],
            [1_704_110_401, 0, 499_500, -49, 1],
            [6_000, 1, 499_500, -49, 1],
        ]);
        let numbers = before["by_instant"].as_array().unwrap().iter().flat_map(|five| five.as_array().unwrap());
        before["by_instant"] = numbers.cloned().collect();
        assert_eq!(serde_json::from_value::<Progress>(before.clone()).unwrap(), progress);
        before["by_instant"] = serde_json::json!(instants.map(|at| (at, counts)));
        assert_eq!(serde_json::from_value::<Progress>(before).unwrap(), progress);
    }

    #[test]
    fn numbers_of_all_sizes_are_read_as_they_are_written() {
        let mut progress = Progress::default();
        let (mut number, mut at) = (1_i64, 0_i64);
        for step in 0..130 {
            let points = if step % 2 == 0 { number } else { number.wrapping_neg() };
            let counts = Counts { spend: i64::MAX - points.saturating_abs(), points, orders: i64::MIN };
            at = at.wrapping_add(points % 1_000_000_007);
            let at = crate::calendar::Timestamp::from_timestamp(at, step * 7_919_000 % 999_999_999);
            progress.add(at.unwrap(), counts, None);
            number = number.wrapping_mul(3);
        }
        let written = serde_json::to_string(&progress).unwrap();
        assert_eq!(serde_json::from_str::<Progress>(&written).unwrap(), progress);
    }

    #[test]
    fn what_no_progress_was_written_as_is_refused() {
        let broken = [
            "[1]",
            "[1,0,0,0]",
            "[0,-1,0,0,0]",
            "[9e99]",
            "[9223372036854775807,0,0,0,0]",
            r#"["x"]"#,
            "[[]]",
            "1",
            r#""A""#,
            r#""AAAA""#,
            r#""AAAAg""#,
            r#""AAAA!""#,
            r#""AAAAAA""#,
            // An instant too far away, a second of more than a second, and two numbers of more than 64 bits.
            r#""_________DAAAA""#,
            r#""Ag____DAAA""#,
            r#""AAgggggggggggggBAA""#,
            r#""AA____________fAA""#,
        ];
        for by_instant in broken {
            let text = format!(r#"{{"by_instant":{by_instant}}}"#);
            assert!(serde_json::from_str::<Progress>(&text).is_err(), "{by_instant}");
        }
    }
}
