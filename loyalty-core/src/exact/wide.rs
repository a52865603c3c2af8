//! Fractions of 256 bits, for numbers that do not fit into 64.
//!
//! A result that does not fit into 256 bits either is kept to 18 digits. An example is a
//! basket of two dozen goods sold by weight, each refunded in part: it has no smaller
//! common denominator. Truncation depends on the operands only, so that results stay
//! reproducible, and 18 digits are far finer than any rounding of points.

use std::fmt;

use ethnum::I256;

use super::Overflow;
use crate::amount::{Amount, Points, Rounding};

/// A fraction with a positive denominator. It is negative only during a subtraction.
#[derive(Clone, Copy, Debug)]
pub(super) struct WideFraction {
    pub(super) numerator: I256,
    pub(super) denominator: I256,
}

impl WideFraction {
    pub(super) const ZERO: Self = Self { numerator: I256::ZERO, denominator: I256::ONE };

    /// Returns `numerator / denominator`, or zero if either is not positive.
    pub(super) fn new(numerator: I256, denominator: I256) -> Self {
        if numerator <= I256::ZERO || denominator <= I256::ZERO {
            return Self::ZERO;
        }
        Self { numerator, denominator }
    }

    /// Returns the largest amount that is not above this fraction, at most
    /// [`Amount::MAX`].
    pub(super) fn to_amount_rounded_down(self) -> Amount {
        let scale = |fraction: Self| {
            let scaled = product(fraction.numerator, I256::from(10_000))?;
            Some(quotient(scaled, fraction.denominator))
        };

        let ten_thousandths = scale(self).or_else(|| scale(self.truncate()?));
        ten_thousandths
            .and_then(|count| i64::try_from(count).ok())
            .and_then(|count| Amount::from_ten_thousandths(count).ok())
            .unwrap_or(Amount::MAX)
    }

    /// Returns true if this is not less than `other`, to 18 digits if the exact numbers
    /// overflow.
    pub(super) fn is_at_least(self, other: Self) -> bool {
        let compare = |a: Self, b: Self| {
            let left = product(a.numerator, b.denominator)?;
            Some(left >= product(b.numerator, a.denominator)?)
        };
        let compare_whole = || {
            quotient(self.numerator, self.denominator)
                >= quotient(other.numerator, other.denominator)
        };

        compare(self, other)
            .or_else(|| compare(self.truncate()?, other.truncate()?))
            .unwrap_or_else(compare_whole)
    }

    pub(super) fn is_zero(self) -> bool {
        self.numerator.into_words() == (0, 0)
    }

    fn is_one(self) -> bool {
        self.numerator.into_words() == (0, 1) && self.denominator.into_words() == (0, 1)
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, Overflow> {
        if self.denominator.into_words() == other.denominator.into_words() {
            let numerator = self.numerator.checked_add(other.numerator).ok_or(Overflow)?;
            return Ok(Self { numerator, denominator: self.denominator });
        }
        if self.is_zero() || other.is_zero() {
            return Ok(if self.is_zero() { other } else { self });
        }
        self.plus_general(other)
    }

    /// The sum of fractions of different denominators.
    fn plus_general(self, other: Self) -> Result<Self, Overflow> {
        // Of two decimals, the larger denominator is a multiple of the smaller one.
        let (fine, coarse) =
            if self.denominator > other.denominator { (self, other) } else { (other, self) };
        if remainder(fine.denominator, coarse.denominator) == I256::ZERO {
            let scaled = product(coarse.numerator, quotient(fine.denominator, coarse.denominator));
            if let Some(numerator) = scaled.and_then(|scaled| fine.numerator.checked_add(scaled)) {
                return Ok(Self { numerator, denominator: fine.denominator });
            }
        }

        let truncated = || self.truncate()?.checked_sum(other.truncate()?);
        self.reduce()
            .checked_sum(other.reduce())
            .or_else(truncated)
            .ok_or(Overflow)
    }

    /// The sum over the least common denominator.
    fn checked_sum(self, other: Self) -> Option<Self> {
        let shared = gcd(self.denominator, other.denominator);
        let (factor, other_factor) =
            (quotient(other.denominator, shared), quotient(self.denominator, shared));
        let numerator = product(self.numerator, factor)?
            .checked_add(product(other.numerator, other_factor)?)?;
        Some(Self { numerator, denominator: product(self.denominator, factor)? })
    }

    /// The difference, or zero if it would be negative.
    pub(super) fn minus(self, other: Self) -> Result<Self, Overflow> {
        if other.is_zero() {
            return Ok(self);
        }
        let negated = Self {
            numerator: other.numerator.checked_neg().ok_or(Overflow)?,
            ..other
        };
        let difference = self.plus(negated)?;
        Ok(Self::new(difference.numerator, difference.denominator))
    }

    pub(super) fn times(self, other: Self) -> Result<Self, Overflow> {
        if other.is_one() {
            return Ok(self);
        }
        let reduced = || self.reduce().checked_product(other.reduce());
        let truncated = || self.truncate()?.checked_product(other.truncate()?);
        self.checked_product(other)
            .or_else(reduced)
            .or_else(truncated)
            .ok_or(Overflow)
    }

    fn checked_product(self, other: Self) -> Option<Self> {
        let numerator = product(self.numerator, other.numerator)?;
        Some(Self {
            numerator,
            denominator: product(self.denominator, other.denominator)?,
        })
    }

    /// The quotient, or zero if `other` is zero.
    pub(super) fn divided_by(self, other: Self) -> Result<Self, Overflow> {
        if other.is_zero() {
            return Ok(Self::ZERO);
        }
        self.times(Self { numerator: other.denominator, denominator: other.numerator })
    }

    /// The quotient rounded down to a whole number, or zero if `part` is zero.
    pub(super) fn div_floor(self, part: Self) -> Result<Self, Overflow> {
        let exact = self.divided_by(part)?;
        Ok(Self {
            numerator: quotient(exact.numerator, exact.denominator),
            denominator: I256::ONE,
        })
    }

    /// Returns the rounded number of points.
    pub(super) fn round(self, rounding: Rounding) -> Result<Points, Overflow> {
        let whole = quotient(self.numerator, self.denominator);
        let rest = remainder(self.numerator, self.denominator);

        // The distance to the next number, in the unit of the rest: doubling the rest
        // could overflow.
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

    /// Returns the equal fraction with the smallest numerator and denominator.
    pub(super) fn reduce(self) -> Self {
        let shared = gcd(self.numerator, self.denominator);
        Self {
            numerator: quotient(self.numerator, shared),
            denominator: quotient(self.denominator, shared),
        }
    }

    /// Returns the fraction to 18 digits, in numbers of 120 bits. `None` if it is too
    /// large.
    fn truncate(self) -> Option<Self> {
        let longer = self.numerator.checked_abs()?.max(self.denominator);
        let excess = I256::BITS.saturating_sub(longer.leading_zeros()).saturating_sub(120);
        let (numerator, denominator) =
            (self.numerator.checked_shr(excess)?, self.denominator.checked_shr(excess)?);
        (denominator > I256::ZERO).then_some(Self { numerator, denominator })
    }
}

/// Writes a decimal of at most twelve places, or else `numerator/denominator`.
impl fmt::Display for WideFraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (
            quotient(self.numerator, self.denominator),
            remainder(self.numerator, self.denominator),
        );
        if rest == I256::ZERO {
            return write!(f, "{whole}");
        }

        // Long division, one digit at a time.
        let mut digits = String::new();
        let mut rest = Some(rest);
        for _ in 0..12 {
            let Some(ten) = rest.and_then(|rest| rest.checked_mul(I256::from(10))) else {
                break;
            };
            digits.push_str(&quotient(ten, self.denominator).to_string());
            let left = remainder(ten, self.denominator);
            if left == I256::ZERO {
                return write!(f, "{whole}.{digits}");
            }
            rest = Some(left);
        }

        let exact = self.reduce();
        write!(f, "{}/{}", exact.numerator, exact.denominator)
    }
}

/// Narrows a number: the machine multiplies and divides 64 bits much faster.
fn to_i64(a: I256) -> Option<i64> {
    let (high, low) = a.into_words();
    if high == 0 { i64::try_from(low).ok() } else { None }
}

fn product(a: I256, b: I256) -> Option<I256> {
    match to_i64(a).zip(to_i64(b)) {
        Some((a, b)) => i128::from(a).checked_mul(i128::from(b)).map(I256::from),
        None => a.checked_mul(b),
    }
}

/// The quotient by a divisor that is known to be positive.
fn quotient(a: I256, b: I256) -> I256 {
    match to_i64(a).zip(to_i64(b)).and_then(|(a, b)| a.checked_div(b)) {
        Some(whole) => I256::from(whole),
        None => a.checked_div(b).unwrap_or(I256::ZERO),
    }
}

/// The remainder of a division by a divisor that is known to be positive.
fn remainder(a: I256, b: I256) -> I256 {
    match to_i64(a).zip(to_i64(b)).and_then(|(a, b)| a.checked_rem(b)) {
        Some(rest) => I256::from(rest),
        None => a.checked_rem(b).unwrap_or(I256::ZERO),
    }
}

/// The greatest common divisor, at least one.
fn gcd(a: I256, b: I256) -> I256 {
    let (mut a, mut b) =
        (a.checked_abs().unwrap_or(I256::ONE), b.checked_abs().unwrap_or(I256::ONE));
    while b != I256::ZERO {
        (a, b) = (b, remainder(a, b));
    }
    if a == I256::ZERO { I256::ONE } else { a }
}
