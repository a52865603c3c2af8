//! Fractions of 256 bits, for what has no room in 64.
//!
//! Where a result has no room here either (a basket of two dozen weighed goods, each refunded in part, has no
//! smaller common denominator), it is kept to 18 digits: a function of the same facts still, and far finer
//! than any rounding.

use std::fmt;

use ethnum::I256;

use super::Overflow;
use crate::amount::{Amount, Points, Rounding};

/// A fraction that is not negative, except while one is taken from another, over a positive number.
#[derive(Clone, Copy, Debug)]
pub(super) struct WideFraction {
    pub(super) numerator: I256,
    pub(super) denominator: I256,
}

impl WideFraction {
    pub(super) const ZERO: Self = Self { numerator: I256::ZERO, denominator: I256::ONE };

    /// `numerator / denominator`; below zero counts as zero, as does a denominator of zero.
    pub(super) fn new(numerator: I256, denominator: I256) -> Self {
        if numerator <= I256::ZERO || denominator <= I256::ZERO {
            return Self::ZERO;
        }
        Self { numerator, denominator }
    }

    /// The amount at or just below this; the largest amount where it is beyond that.
    pub(super) fn to_amount_rounded_down(self) -> Amount {
        let parts =
            |of: Self| Some(quotient(product(of.numerator, I256::from(10_000))?, of.denominator));
        let parts = parts(self)
            .or_else(|| parts(self.truncate()?))
            .and_then(|parts| i64::try_from(parts).ok());
        parts
            .and_then(|parts| Amount::from_ten_thousandths(parts).ok())
            .unwrap_or(Amount::MAX)
    }

    /// Not less than `other`.
    pub(super) fn is_at_least(self, other: Self) -> bool {
        let compare = |a: Self, b: Self| {
            let left = product(a.numerator, b.denominator)?;
            Some(left >= product(b.numerator, a.denominator)?)
        };
        let whole = || {
            quotient(self.numerator, self.denominator)
                >= quotient(other.numerator, other.denominator)
        };
        compare(self, other)
            .or_else(|| compare(self.truncate()?, other.truncate()?))
            .unwrap_or_else(whole)
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
        self.plus_unlike(other)
    }

    /// Decimals' denominators divide each other; others are reduced first.
    fn plus_unlike(self, other: Self) -> Result<Self, Overflow> {
        let (fine, coarse) =
            if self.denominator > other.denominator { (self, other) } else { (other, self) };
        if remainder(fine.denominator, coarse.denominator) == I256::ZERO {
            let parts = product(coarse.numerator, quotient(fine.denominator, coarse.denominator));
            if let Some(numerator) = parts.and_then(|parts| fine.numerator.checked_add(parts)) {
                return Ok(Self { numerator, denominator: fine.denominator });
            }
        }
        let cut = || self.truncate()?.checked_sum(other.truncate()?);
        self.reduce().checked_sum(other.reduce()).or_else(cut).ok_or(Overflow)
    }

    fn checked_sum(self, other: Self) -> Option<Self> {
        let shared = gcd(self.denominator, other.denominator);
        let (own_part, other_part) =
            (quotient(self.denominator, shared), quotient(other.denominator, shared));
        let numerator = product(self.numerator, other_part)?
            .checked_add(product(other.numerator, own_part)?)?;
        Some(Self {
            numerator,
            denominator: product(self.denominator, other_part)?,
        })
    }

    /// The difference, or zero where it would be negative.
    pub(super) fn minus(self, other: Self) -> Result<Self, Overflow> {
        if other.is_zero() {
            return Ok(self);
        }
        let taken = Self {
            numerator: other.numerator.checked_neg().ok_or(Overflow)?,
            ..other
        };
        let difference = self.plus(taken)?;
        Ok(Self::new(difference.numerator, difference.denominator))
    }

    pub(super) fn times(self, other: Self) -> Result<Self, Overflow> {
        if other.is_one() {
            return Ok(self);
        }
        let reduced = || self.reduce().checked_product(other.reduce());
        let cut = || self.truncate()?.checked_product(other.truncate()?);
        self.checked_product(other)
            .or_else(reduced)
            .or_else(cut)
            .ok_or(Overflow)
    }

    fn checked_product(self, other: Self) -> Option<Self> {
        let numerator = product(self.numerator, other.numerator)?;
        Some(Self {
            numerator,
            denominator: product(self.denominator, other.denominator)?,
        })
    }

    /// The quotient; zero where there is nothing to divide by.
    pub(super) fn divided_by(self, other: Self) -> Result<Self, Overflow> {
        if other.is_zero() {
            return Ok(Self::ZERO);
        }
        self.times(Self { numerator: other.denominator, denominator: other.numerator })
    }

    /// How often `part` goes into this, as a whole number.
    pub(super) fn div_floor(self, part: Self) -> Result<Self, Overflow> {
        let often = self.divided_by(part)?;
        Ok(Self {
            numerator: quotient(often.numerator, often.denominator),
            denominator: I256::ONE,
        })
    }

    /// The whole number of points that this rounds to.
    pub(super) fn round(self, rounding: Rounding) -> Result<Points, Overflow> {
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
    pub(super) fn reduce(self) -> Self {
        let shared = gcd(self.numerator, self.denominator);
        Self {
            numerator: quotient(self.numerator, shared),
            denominator: quotient(self.denominator, shared),
        }
    }

    /// The same to 18 digits, in numbers of 120 bits. None where it is too large for that.
    fn truncate(self) -> Option<Self> {
        let longer = self.numerator.checked_abs()?.max(self.denominator);
        let spare = I256::BITS.saturating_sub(longer.leading_zeros()).saturating_sub(120);
        let (numerator, denominator) =
            (self.numerator.checked_shr(spare)?, self.denominator.checked_shr(spare)?);
        (denominator > I256::ZERO).then_some(Self { numerator, denominator })
    }
}

/// A decimal where it ends within twelve places, else `numerator/denominator`.
impl fmt::Display for WideFraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (
            quotient(self.numerator, self.denominator),
            remainder(self.numerator, self.denominator),
        );
        if rest == I256::ZERO {
            return write!(f, "{whole}");
        }
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

// Parts of a wide fraction can be narrow, and those the machine divides much faster.
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

// Division by what is known to be positive; total all the same.
fn quotient(a: I256, b: I256) -> I256 {
    match to_i64(a).zip(to_i64(b)).and_then(|(a, b)| a.checked_div(b)) {
        Some(whole) => I256::from(whole),
        None => a.checked_div(b).unwrap_or(I256::ZERO),
    }
}

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
