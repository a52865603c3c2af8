//! Exact fractions for one decision. A share is multiplied before it is divided, and nothing is rounded
//! until the end, so that no way of slicing a refund leaks a point.
//!
//! Fractions have 256 bits. Where a result has no room in them (a basket of two dozen weighed goods, each
//! refunded in part, has no smaller common denominator), it is kept to 18 digits: a function of the same
//! facts still, and far finer than any rounding.

use std::fmt;

use ethnum::I256;

use crate::amount::{Amount, Points, Rate, Rounding};

/// A number too large to be counted. No real order comes near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amounts are too large or too fine to be counted exactly")]
pub struct Overflow;

/// A non-negative fraction with a positive denominator. Not reduced: values are equal when their
/// cross products are.
#[derive(Clone, Copy, Debug)]
pub struct Fraction {
    numerator: I256,
    denominator: I256,
}

impl Fraction {
    /// Nothing.
    pub const ZERO: Self = Self { numerator: I256::ZERO, denominator: I256::ONE };
    /// One.
    pub const ONE: Self = Self { numerator: I256::ONE, denominator: I256::ONE };

    /// `numerator / denominator`; below zero counts as zero, as does a denominator of zero.
    pub(crate) fn new(numerator: I256, denominator: I256) -> Self {
        if numerator <= I256::ZERO || denominator <= I256::ZERO {
            return Self::ZERO;
        }
        Self { numerator, denominator }
    }

    /// `count` parts of which `parts` make one.
    pub(crate) fn of(count: i64, parts: i64) -> Self {
        Self::new(I256::from(count), I256::from(parts))
    }

    /// An amount, in currency units.
    pub(crate) fn amount(amount: Amount) -> Self {
        Self::of(amount.ten_thousandths(), 10_000)
    }

    /// A rate. Rates have one denominator, so that sums of what they give need no other.
    pub(crate) fn rate(rate: Rate) -> Self {
        Self::of(rate.millionths(), 1_000_000)
    }

    /// The amount at or just below this; the largest amount where it is beyond that.
    pub(crate) fn to_amount_down(self) -> Amount {
        let parts = |of: Self| Some(quotient(product(of.numerator, I256::from(10_000))?, of.denominator));
        let parts = parts(self).or_else(|| parts(self.cut()?)).and_then(|parts| i64::try_from(parts).ok());
        parts.and_then(|parts| Amount::from_ten_thousandths(parts).ok()).unwrap_or(Amount::MAX)
    }

    /// Not less than `other`.
    pub(crate) fn is_at_least(self, other: Self) -> bool {
        let compare = |a: Self, b: Self| {
            let left = product(a.numerator, b.denominator)?;
            Some(left >= product(b.numerator, a.denominator)?)
        };
        let whole = || quotient(self.numerator, self.denominator) >= quotient(other.numerator, other.denominator);
        compare(self, other).or_else(|| compare(self.cut()?, other.cut()?)).unwrap_or_else(whole)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.numerator.into_words() == (0, 0)
    }

    fn is_one(self) -> bool {
        self.numerator.into_words() == (0, 1) && self.denominator.into_words() == (0, 1)
    }

    #[inline]
    pub(crate) fn plus(self, other: Self) -> Result<Self, Overflow> {
        if self.denominator.into_words() == other.denominator.into_words() {
            let numerator = self.numerator.checked_add(other.numerator).ok_or(Overflow)?;
            return Ok(Self { numerator, denominator: self.denominator });
        }
        if self.is_zero() || other.is_zero() {
            return Ok(if self.is_zero() { other } else { self });
        }
        self.plus_unlike(other)
    }

    /// Decimals' denominators divide each other; others are reduced first.
    fn plus_unlike(self, other: Self) -> Result<Self, Overflow> {
        let (fine, coarse) = if self.denominator > other.denominator { (self, other) } else { (other, self) };
        if remainder(fine.denominator, coarse.denominator) == I256::ZERO {
            let parts = product(coarse.numerator, quotient(fine.denominator, coarse.denominator));
            if let Some(numerator) = parts.and_then(|parts| fine.numerator.checked_add(parts)) {
                return Ok(Self { numerator, denominator: fine.denominator });
            }
        }
        let cut = || self.cut()?.sum(other.cut()?);
        self.reduced().sum(other.reduced()).or_else(cut).ok_or(Overflow)
    }

    fn sum(self, other: Self) -> Option<Self> {
        let shared = gcd(self.denominator, other.denominator);
        let (own_part, other_part) = (quotient(self.denominator, shared), quotient(other.denominator, shared));
        let numerator = product(self.numerator, other_part)?.checked_add(product(other.numerator, own_part)?)?;
        Some(Self { numerator, denominator: product(self.denominator, other_part)? })
    }

    /// The difference, or zero where it would be negative.
    pub(crate) fn minus(self, other: Self) -> Result<Self, Overflow> {
        if other.is_zero() {
            return Ok(self);
        }
        let taken = Self { numerator: other.numerator.checked_neg().ok_or(Overflow)?, ..other };
        let difference = self.plus(taken)?;
        Ok(Self::new(difference.numerator, difference.denominator))
    }

    #[inline]
    pub(crate) fn times(self, other: Self) -> Result<Self, Overflow> {
        if other.is_one() {
            return Ok(self);
        }
        let reduced = || self.reduced().product(other.reduced());
        let cut = || self.cut()?.product(other.cut()?);
        self.product(other).or_else(reduced).or_else(cut).ok_or(Overflow)
    }

    fn product(self, other: Self) -> Option<Self> {
        let numerator = product(self.numerator, other.numerator)?;
        Some(Self { numerator, denominator: product(self.denominator, other.denominator)? })
    }

    /// The quotient; zero where there is nothing to divide by.
    pub(crate) fn divided_by(self, other: Self) -> Result<Self, Overflow> {
        if other.is_zero() {
            return Ok(Self::ZERO);
        }
        self.times(Self { numerator: other.denominator, denominator: other.numerator })
    }

    /// How often `part` goes into this, as a whole number.
    pub(crate) fn whole_times(self, part: Self) -> Result<Self, Overflow> {
        let often = self.divided_by(part)?;
        Ok(Self { numerator: quotient(often.numerator, often.denominator), denominator: I256::ONE })
    }

    /// The whole number of points that this rounds to.
    pub(crate) fn rounded(self, rounding: Rounding) -> Result<Points, Overflow> {
        let whole = quotient(self.numerator, self.denominator);
        let rest = remainder(self.numerator, self.denominator);
        let missing = self.denominator.checked_sub(rest).ok_or(Overflow)?;
        let up = match rounding {
            Rounding::Down => false,
            Rounding::Up => rest > I256::ZERO,
            Rounding::HalfUp => rest >= missing,
            Rounding::HalfEven => {
                let odd = remainder(whole, I256::from(2)) == I256::ONE;
                rest > missing || (rest == missing && odd)
            }
        };
        let whole = if up { whole.checked_add(I256::ONE).ok_or(Overflow)? } else { whole };
        i64::try_from(whole).ok().and_then(Points::new).ok_or(Overflow)
    }

    /// The same with the smallest numbers.
    pub(crate) fn reduced(self) -> Self {
        let shared = gcd(self.numerator, self.denominator);
        Self { numerator: quotient(self.numerator, shared), denominator: quotient(self.denominator, shared) }
    }

    /// The same to 18 digits, in numbers of 120 bits. None where it is too large for that.
    fn cut(self) -> Option<Self> {
        let longer = self.numerator.checked_abs()?.max(self.denominator);
        let spare = I256::BITS.saturating_sub(longer.leading_zeros()).saturating_sub(120);
        let (numerator, denominator) = (self.numerator.checked_shr(spare)?, self.denominator.checked_shr(spare)?);
        (denominator > I256::ZERO).then_some(Self { numerator, denominator })
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (self.reduced(), other.reduced());
        left.numerator == right.numerator && left.denominator == right.denominator
    }
}

impl Eq for Fraction {}

/// A decimal where it ends within twelve places, else `numerator/denominator`.
impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) =
            (quotient(self.numerator, self.denominator), remainder(self.numerator, self.denominator));
        if rest == I256::ZERO {
            return write!(f, "{whole}");
        }
        let mut digits = String::new();
        let mut rest = Some(rest);
        for _ in 0..12 {
            let Some(ten) = rest.and_then(|rest| rest.checked_mul(I256::from(10))) else { break };
            digits.push_str(&quotient(ten, self.denominator).to_string());
            let left = remainder(ten, self.denominator);
            if left == I256::ZERO {
                return write!(f, "{whole}.{digits}");
            }
            rest = Some(left);
        }
        let exact = self.reduced();
        write!(f, "{}/{}", exact.numerator, exact.denominator)
    }
}

// The numbers of everyday orders fit in 64 bits, which the machine calculates with five times as fast.
#[inline]
fn small(a: I256) -> Option<i64> {
    let (high, low) = a.into_words();
    if high == 0 { i64::try_from(low).ok() } else { None }
}

#[inline]
fn product(a: I256, b: I256) -> Option<I256> {
    match small(a).zip(small(b)) {
        Some((a, b)) => i128::from(a).checked_mul(i128::from(b)).map(I256::from),
        None => a.checked_mul(b),
    }
}

// Division by what is known to be positive; total all the same.
fn quotient(a: I256, b: I256) -> I256 {
    match small(a).zip(small(b)).and_then(|(a, b)| a.checked_div(b)) {
        Some(whole) => I256::from(whole),
        None => a.checked_div(b).unwrap_or(I256::ZERO),
    }
}

fn remainder(a: I256, b: I256) -> I256 {
    match small(a).zip(small(b)).and_then(|(a, b)| a.checked_rem(b)) {
        Some(rest) => I256::from(rest),
        None => a.checked_rem(b).unwrap_or(I256::ZERO),
    }
}

/// The greatest common divisor, at least one.
fn gcd(a: I256, b: I256) -> I256 {
    let (mut a, mut b) = (a.checked_abs().unwrap_or(I256::ONE), b.checked_abs().unwrap_or(I256::ONE));
    while b != I256::ZERO {
        (a, b) = (b, remainder(a, b));
    }
    if a == I256::ZERO { I256::ONE } else { a }
}

#[cfg(feature = "json")]
mod json {
    use super::Fraction;
    use ethnum::I256;

    impl serde::Serialize for Fraction {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(self)
        }
    }

    impl<'de> serde::Deserialize<'de> for Fraction {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = String::deserialize(from)?;
            parse(&text).ok_or_else(|| serde::de::Error::custom("no fraction"))
        }
    }

    /// Reads what `Display` writes.
    fn parse(text: &str) -> Option<Fraction> {
        if let Some((numerator, denominator)) = text.split_once('/') {
            return Some(Fraction::new(numerator.parse().ok()?, denominator.parse().ok()?));
        }
        let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
        let scale = I256::from(10).checked_pow(u32::try_from(digits.len()).ok()?)?;
        Some(Fraction::new(format!("{whole}{digits}").parse().ok()?, scale))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    use super::*;

    #[test]
    fn fractions_are_exact() {
        let third = Fraction::of(1, 3);
        let sum = third.plus(third).unwrap().plus(third).unwrap();
        assert_eq!(sum, Fraction::ONE);
        assert_eq!(Fraction::of(90, 1).times(third).unwrap().rounded(Rounding::Down), Ok(Points::from(30)));
        assert_eq!(Fraction::of(1, 2).minus(third).unwrap(), Fraction::of(1, 6));
        assert_eq!(third.minus(Fraction::ONE).unwrap(), Fraction::ZERO);
        assert_eq!(Fraction::of(105, 1).whole_times(Fraction::of(10, 1)).unwrap(), Fraction::of(10, 1));
        assert_eq!(Fraction::of(105, 1).whole_times(Fraction::ZERO).unwrap(), Fraction::ZERO);
    }

    #[test]
    fn rounding_modes_differ_at_halves() {
        for (count, [down, half_even, half_up, up]) in
            [(10, [2, 2, 3, 3]), (14, [3, 4, 4, 4]), (9, [2, 2, 2, 3]), (8, [2, 2, 2, 2]), (11, [2, 3, 3, 3])]
        {
            let fraction = Fraction::of(count, 4);
            for (mode, want) in [
                (Rounding::Down, down),
                (Rounding::HalfEven, half_even),
                (Rounding::HalfUp, half_up),
                (Rounding::Up, up),
            ] {
                assert_eq!(fraction.rounded(mode), Ok(Points::from(want)), "{count}/4 {mode:?}");
            }
        }
    }

    #[test]
    fn overflow_is_an_error() {
        let huge = Fraction::new(I256::MAX, I256::ONE);
        assert_eq!(huge.times(huge), Err(Overflow));
        assert_eq!(huge.plus(Fraction::ONE), Err(Overflow));
        assert_eq!(huge.rounded(Rounding::Up), Err(Overflow));
        assert!(huge.is_at_least(Fraction::ONE) && !Fraction::ONE.is_at_least(huge));
    }

    #[test]
    fn what_has_no_room_is_kept_to_many_digits() {
        // Forty coprime denominators of ten bits: 400 bits in all.
        let coprime = (1_000..).filter(|n| (2..40).all(|d| n % d > 0)).take(40);
        let parts: Vec<_> = coprime.map(|n| Fraction::of(1_000_000_000_000_000, n)).collect();
        let sum = |parts: &[Fraction]| parts.iter().copied().try_fold(Fraction::ZERO, Fraction::plus).unwrap();
        let digits = |fraction: Fraction| fraction.rounded(Rounding::HalfEven).unwrap();
        let (all, first) = (sum(&parts), parts[0]);
        assert_eq!(digits(all), digits(sum(&parts.iter().rev().copied().collect::<Vec<_>>())));
        assert_eq!(digits(all.minus(sum(&parts[1..])).unwrap()), digits(first));
        assert_eq!(digits(all.divided_by(first).unwrap().times(first).unwrap()), digits(all));
        assert!(all.is_at_least(sum(&parts[1..])) && !sum(&parts[1..]).is_at_least(all));
        let money = all.divided_by(Fraction::of(10_000, 1)).unwrap().to_amount_down();
        assert_eq!(Some(money.ten_thousandths()), all.rounded(Rounding::Down).ok().map(Points::get));
    }

    #[test]
    fn fractions_are_written_as_decimals_where_they_end() {
        for (fraction, want) in [
            (Fraction::of(499_500, 10_000), "49.95"),
            (Fraction::of(100, 3), "100/3"),
            (Fraction::of(8, 4), "2"),
            (Fraction::of(1, 1_000_000), "0.000001"),
        ] {
            assert_eq!(fraction.to_string(), want);
        }
    }
}
