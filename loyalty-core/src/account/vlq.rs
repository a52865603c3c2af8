//! A text codec of variable-length quantities (VLQ): integers, instants and strings as
//! characters of the base64 alphabet. A third of the bytes and a fifth of the time of
//! JSON.
//!
//! An integer is digits of five bits, the lowest first; a sixth bit says that another
//! digit follows. Negative integers are zigzag-encoded: 0, -1, 1, -2 become 0, 1, 2, 3.
//! An instant is its seconds as the difference to the instant before, then its
//! nanoseconds. A string is its length in bytes, then its bytes.

use crate::calendar::Timestamp;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CONTINUATION: u64 = 32;

/// Writes values to a text.
pub(super) struct VlqWriter(String);

impl VlqWriter {
    /// A writer with capacity for `bytes` bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Writes an integer that may be negative.
    pub(super) fn write_signed(&mut self, number: i64) {
        self.write_unsigned((number << 1 ^ number >> 63).cast_unsigned());
    }

    pub(super) fn write_unsigned(&mut self, mut number: u64) {
        loop {
            let (low, rest) = (number & (CONTINUATION - 1), number >> 5);
            let digit = if rest == 0 { low } else { low | CONTINUATION };
            let digit = usize::try_from(digit).ok().and_then(|digit| ALPHABET.get(digit));
            self.0.extend(digit.map(|digit| char::from(*digit)));
            if rest == 0 {
                return;
            }
            number = rest;
        }
    }

    /// Writes an instant: its seconds as the difference to `before`, then its nanoseconds.
    /// Updates `before` to its seconds.
    pub(super) fn write_instant(&mut self, at: Timestamp, before: &mut i64) {
        self.write_signed(at.timestamp().saturating_sub(*before));
        *before = at.timestamp();
        self.write_unsigned(encode_nanos(at.timestamp_subsec_nanos()));
    }

    pub(super) fn write_str(&mut self, text: &str) {
        self.write_unsigned(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.0.push_str(text);
    }
}

/// Nanoseconds of a second as one number: microseconds, doubled, if those are exact; else
/// nanoseconds, doubled, plus one.
fn encode_nanos(nanos: u32) -> u64 {
    let (micros, rest) = (u64::from(nanos / 1_000), nanos % 1_000);
    if rest == 0 { micros << 1 } else { u64::from(nanos) << 1 | 1 }
}

fn decode_nanos(beyond: u64) -> Option<u32> {
    let number = u32::try_from(beyond >> 1).ok()?;
    if beyond & 1 == 0 { number.checked_mul(1_000) } else { Some(number) }
}

/// Reads values from a text. Each method returns `None` if the text does not continue with
/// such a value.
pub(super) struct VlqReader<'a>(&'a [u8]);

impl<'a> VlqReader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn read_signed(&mut self) -> Option<i64> {
        let natural = self.read_unsigned()?;
        Some((natural >> 1).cast_signed() ^ (natural & 1).cast_signed().wrapping_neg())
    }

    /// `None` also if the integer does not fit 64 bits.
    pub(super) fn read_unsigned(&mut self) -> Option<u64> {
        let (mut number, mut place) = (0_u64, 0_u32);
        loop {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            let digit = digit_value(*first)?;
            let low = digit & (CONTINUATION - 1);
            let part = low.checked_shl(place).filter(|part| part >> place == low)?;
            number |= part;
            if digit < CONTINUATION {
                return Some(number);
            }
            place = place.checked_add(5)?;
        }
    }

    pub(super) fn read_instant(&mut self, before: &mut i64) -> Option<Timestamp> {
        *before = before.checked_add(self.read_signed()?)?;
        Timestamp::from_timestamp(*before, decode_nanos(self.read_unsigned()?)?)
    }

    pub(super) fn read_str(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.read_unsigned()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }
}

fn digit_value(digit: u8) -> Option<u64> {
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
