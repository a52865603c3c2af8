//! Fast formatting of decimals and instants into a buffer on the stack.
//!
//! Records have many of them, and `std::fmt` takes several times as long.

use chrono::{Datelike, Timelike};
use serde::{Serialize, Serializer};

use crate::calendar::Timestamp;

/// A short text on the stack, written from its end to its start.
pub(crate) struct StackString {
    bytes: [u8; Self::CAPACITY],
    start: usize,
}

impl StackString {
    /// Enough for an instant with nanoseconds, and for a `u64` with a point and a leading
    /// zero.
    const CAPACITY: usize = 30;

    fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], start: Self::CAPACITY }
    }

    /// Formats a number of which `decimals` digits are decimals. `None` for a negative
    /// number.
    pub(crate) fn from_decimal((number, mut decimals): (i64, u32)) -> Option<Self> {
        let mut rest = u64::try_from(number).ok()?;
        let mut digits = Self::new();

        // Zero has a digit too.
        while rest > 0 || decimals > 0 || digits.start == Self::CAPACITY {
            digits.push_digit(rest % 10)?;
            rest /= 10;

            if decimals == 1 {
                digits.push(b'.')?;
                if rest == 0 {
                    digits.push(b'0')?;
                }
            }
            decimals = decimals.saturating_sub(1);
        }
        Some(digits)
    }

    /// Formats an instant by RFC 3339, in UTC. `None` for a leap second, and for a year
    /// of other than four digits.
    pub(crate) fn from_instant(at: Timestamp) -> Option<Self> {
        let mut text = Self::new();
        text.push(b'Z')?;

        // The fewest decimals that are exact, in groups of three.
        match at.nanosecond() {
            0 => {}
            nanos if nanos >= 1_000_000_000 => return None,
            nanos if nanos % 1_000_000 == 0 => text.push_number(nanos / 1_000_000, 3, b'.')?,
            nanos if nanos % 1_000 == 0 => text.push_number(nanos / 1_000, 6, b'.')?,
            nanos => text.push_number(nanos, 9, b'.')?,
        }

        text.push_number(at.second(), 2, b':')?;
        text.push_number(at.minute(), 2, b':')?;
        text.push_number(at.hour(), 2, b'T')?;

        text.push_number(at.day(), 2, b'-')?;
        text.push_number(at.month(), 2, b'-')?;
        let year = u32::try_from(at.year()).ok().filter(|year| *year <= 9_999)?;
        text.push_digits(year, 4)?;
        Some(text)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(self.start..)?).ok()
    }

    /// Writes a number of `digits` digits, with a separator before it.
    fn push_number(&mut self, value: u32, digits: u32, separator: u8) -> Option<()> {
        self.push_digits(value, digits)?;
        self.push(separator)
    }

    fn push_digits(&mut self, mut value: u32, digits: u32) -> Option<()> {
        for _ in 0..digits {
            self.push_digit(u64::from(value % 10))?;
            value /= 10;
        }
        Some(())
    }

    fn push_digit(&mut self, digit: u64) -> Option<()> {
        self.push(b'0'.checked_add(u8::try_from(digit).ok()?)?)
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        self.start = self.start.checked_sub(1)?;
        *self.bytes.get_mut(self.start)? = byte;
        Some(())
    }
}

/// For `serialize_with`: writes the same text as chrono, several times faster.
pub(crate) fn serialize_instant<S: Serializer>(
    at: &(impl Copy + Into<Option<Timestamp>>),
    to: S,
) -> Result<S::Ok, S::Error> {
    let Some(at) = (*at).into() else { return to.serialize_none() };
    match StackString::from_instant(at).as_ref().and_then(StackString::as_str) {
        Some(text) => to.serialize_str(text),
        None => at.serialize(to),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[derive(Serialize)]
    #[serde(transparent)]
    struct Instant(#[serde(serialize_with = "serialize_instant")] Timestamp);

    #[test]
    fn instants_are_formatted_like_chrono() {
        let texts = [
            "1970-01-01T00:00:00Z",
            "2026-01-31T10:09:08Z",
            "2024-02-29T23:59:59.5Z",
            "2026-12-31T23:59:59.120Z",
            "2026-12-31T23:59:59.000001Z",
            "2026-12-31T23:59:59.000000001Z",
            "2026-12-31T23:59:59.999999999Z",
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.25Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "+10000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
        ];
        let texts = texts.iter().map(|text| text.parse().unwrap());
        for at in texts.chain([Timestamp::MIN_UTC, Timestamp::MAX_UTC]) {
            assert_eq!(
                serde_json::to_string(&Instant(at)).unwrap(),
                serde_json::to_string(&at).unwrap()
            );
        }
    }
}
