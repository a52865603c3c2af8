//! Figures as people read them: with commas between thousands, few decimals, and the right
//! noun after them.
//!
//! # Example: a balance in words
//! ```
//! use loyalty_core::{Points, figures::{GroupedNumber, count_points}};
//! assert_eq!(count_points(Points::from(1)).to_string(), "1 point");
//! assert_eq!(count_points(Points::from(12_500)).to_string(), "12,500 points");
//! assert_eq!(GroupedNumber("1234.50").to_string(), "1,234.50");
//! ```

use std::fmt;

use crate::amount::Points;
use crate::exact::Fraction;

/// A number with commas between its thousands. Its decimals are kept.
#[derive(Clone, Copy, Debug)]
pub struct GroupedNumber<T>(pub T);

impl<T: fmt::Display> fmt::Display for GroupedNumber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let (sign, digits) = text.strip_prefix('-').map_or(("", &*text), |digits| ("-", digits));
        let (whole, decimals) = match digits.split_once('.') {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (digits, None),
        };

        f.write_str(sign)?;
        for (index, digit) in whole.chars().enumerate() {
            let left = whole.len().saturating_sub(index);
            if index > 0 && left.checked_rem(3) == Some(0) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        decimals.map_or(Ok(()), |decimals| write!(f, ".{decimals}"))
    }
}

/// A number with its noun: `1 point`, `2 points`.
#[derive(Clone, Copy, Debug)]
pub struct CountedNoun<T> {
    count: T,
    one: &'static str,
    many: &'static str,
}

impl<T: fmt::Display> CountedNoun<T> {
    /// A number with the noun for one and for any other number.
    pub fn new(count: T, one: &'static str, many: &'static str) -> Self {
        Self { count, one, many }
    }
}

/// A number of points with its noun.
pub fn count_points(points: Points) -> CountedNoun<Points> {
    CountedNoun::new(points, "point", "points")
}

impl<T: fmt::Display> fmt::Display for CountedNoun<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = GroupedNumber(&self.count).to_string();
        let noun = if matches!(&*figure, "1" | "-1") { self.one } else { self.many };
        write!(f, "{figure} {noun}")
    }
}

/// A fraction with its decimals, or about so much: with two decimals, rounded down.
#[derive(Clone, Copy, Debug)]
pub struct RoundedNumber<'a>(pub &'a Fraction);

impl fmt::Display for RoundedNumber<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let is_short = match text.split_once('.') {
            Some((_, decimals)) => decimals.len() <= 4,
            None => !text.contains('/'),
        };
        if is_short {
            return GroupedNumber(text).fmt(f);
        }

        let cents = self.0.to_amount_rounded_down().ten_thousandths().checked_div(100);
        let cents = cents.unwrap_or_default();
        let (whole, rest) = (cents.checked_div(100), cents.checked_rem(100));
        let (whole, rest) = (whole.unwrap_or_default(), rest.unwrap_or_default());
        write!(f, "about {}.{rest:02}", GroupedNumber(whole))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[test]
    fn figures_are_grouped_and_have_their_noun() {
        for (text, want) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567", "-1,234,567"),
            ("1234.50", "1,234.50"),
            ("100000000000", "100,000,000,000"),
        ] {
            assert_eq!(GroupedNumber(text).to_string(), want);
        }
        for (points, want) in
            [(0, "0 points"), (1, "1 point"), (-1, "-1 point"), (1_500, "1,500 points")]
        {
            assert_eq!(count_points(Points::new(points).unwrap()).to_string(), want);
        }
        for (numerator, denominator, want) in [
            (1, 1, "1"),
            (100, 3, "about 33.33"),
            (5, 4, "1.25"),
            (1, 100_000, "about 0.00"),
            (10_000_000, 3, "about 3,333,333.33"),
        ] {
            assert_eq!(RoundedNumber(&Fraction::new(numerator, denominator)).to_string(), want);
        }
    }
}
