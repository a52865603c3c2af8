//! Exact fractions for the calculation of points.
//!
//! A share is multiplied before it is divided, and rounded once at the end, so that no
//! partition of a refund gains or loses a point. Nearly all orders need 64 bits; others
//! continue in 256 bits, see [`wide`].

mod wide;

use std::fmt;

use ethnum::I256;

use crate::amount::{Amount, Points, Rate, Rounding};
use wide::WideFraction;

/// A number too large for exact arithmetic. No real order comes near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the amounts are too large or have too many decimals to be calculated exactly")]
pub struct Overflow;

/// A non-negative fraction with a positive denominator.
///
/// It is not reduced; equality compares values. It is written as a decimal of at most
/// twelve places, or as `numerator/denominator`.
///
/// # Example: an exact value, before rounding
/// ```
/// use loyalty_core::Fraction;
/// assert_eq!((Fraction::ZERO.to_string(), Fraction::ONE.to_string()), ("0".into(), "1".into()));
/// # #[cfg(feature = "json")] {
/// let third: Fraction = serde_json::from_str(r#""2/6""#).unwrap();
/// assert_eq!(third, serde_json::from_str(r#""1/3""#).unwrap());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fraction(Repr);

impl Default for Fraction {
    /// Zero.
    fn default() -> Self {
        Self::ZERO
    }
}

/// The representation: always `Narrow` if both numbers fit into 64 bits.
#[derive(Clone, Debug)]
enum Repr {
    Narrow { numerator: i64, denominator: i64 },
    Wide(Box<WideFraction>),
}

use Repr::Narrow;

impl Fraction {
    /// Zero.
    pub const ZERO: Self = Self(Narrow { numerator: 0, denominator: 1 });
    /// One.
    pub const ONE: Self = Self(Narrow { numerator: 1, denominator: 1 });

    /// Returns `numerator / denominator`, or zero if either is not positive.
    pub(crate) fn new(numerator: i64, denominator: i64) -> Self {
        if numerator <= 0 || denominator <= 0 {
            return Self::ZERO;
        }
        Self(Narrow { numerator, denominator })
    }

    /// A number of points; zero if negative.
    pub(crate) fn from_points(points: Points) -> Self {
        Self::new(points.get(), 1)
    }

    /// An amount in currency units.
    pub(crate) fn from_amount(amount: Amount) -> Self {
        Self::new(amount.ten_thousandths(), 10_000)
    }

    /// A rate. All rates have the same denominator, which keeps sums of their products
    /// cheap.
    pub(crate) fn from_rate(rate: Rate) -> Self {
        Self::new(rate.millionths(), 1_000_000)
    }

    /// Returns the largest amount that is not above this fraction, at most
    /// [`Amount::MAX`].
    pub(crate) fn to_amount_rounded_down(&self) -> Amount {
        if let Narrow { numerator, denominator } = self.0
            && let Some(ten_thousandths) = numerator
                .checked_mul(10_000)
                .and_then(|scaled| scaled.checked_div(denominator))
        {
            return Amount::from_ten_thousandths(ten_thousandths).unwrap_or(Amount::MAX);
        }
        self.wide().to_amount_rounded_down()
    }

    /// Returns true if this is not less than `other`.
    pub(crate) fn is_at_least(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (
                &Narrow { numerator: a, denominator: b },
                &Narrow { numerator: c, denominator: d },
            ) if b == d => a >= c,
            (
                &Narrow { numerator: a, denominator: b },
                &Narrow { numerator: c, denominator: d },
            ) => {
                i128::from(a).saturating_mul(i128::from(d))
                    >= i128::from(c).saturating_mul(i128::from(b))
            }
            _ => self.wide().is_at_least(other.wide()),
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        matches!(self.0, Narrow { numerator: 0, .. })
    }

    fn is_one(&self) -> bool {
        matches!(self.0, Narrow { numerator: 1, denominator: 1 })
    }

    /// The sum.
    #[inline]
    pub(crate) fn plus(self, other: &Self) -> Result<Self, Overflow> {
        match (&self.0, &other.0) {
            (_, Narrow { numerator: 0, .. }) => return Ok(self),
            (Narrow { numerator: 0, .. }, _) => return Ok(other.clone()),
            (Narrow { numerator: a, denominator: b }, Narrow { numerator: c, denominator: d })
                if b == d =>
            {
                if let Some(numerator) = a.checked_add(*c) {
                    return Ok(Self(Narrow { numerator, denominator: *b }));
                }
            }
            _ => {}
        }

        self.plus_general(other.clone())
    }

    /// The sum of fractions of different denominators, or of one that overflows 64 bits.
    #[inline(never)]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a reference would keep the fractions of the fast path in memory"
    )]
    fn plus_general(self, other: Self) -> Result<Self, Overflow> {
        if let (
            &Narrow { numerator: a, denominator: b },
            &Narrow { numerator: c, denominator: d },
        ) = (&self.0, &other.0)
        {
            // Of two decimals, the larger denominator is a multiple of the smaller one.
            let ((numerator, denominator), (coarse, divisor)) =
                if b > d { ((a, b), (c, d)) } else { ((c, d), (a, b)) };
            if denominator.checked_rem(divisor) == Some(0) {
                let scaled = denominator
                    .checked_div(divisor)
                    .and_then(|factor| coarse.checked_mul(factor));
                if let Some(numerator) = scaled.and_then(|scaled| numerator.checked_add(scaled)) {
                    return Ok(Self(Narrow { numerator, denominator }));
                }
            }
        }
        self.wide().plus(other.wide()).map(Self::from)
    }

    /// The difference, or zero if it would be negative.
    pub(crate) fn minus(self, other: &Self) -> Result<Self, Overflow> {
        match (&self.0, &other.0) {
            (_, Narrow { numerator: 0, .. }) => Ok(self),
            (
                &Narrow { numerator: a, denominator: b },
                &Narrow { numerator: c, denominator: d },
            ) if b == d => Ok(Self::new(a.saturating_sub(c), b)),
            _ => self.wide().minus(other.wide()).map(Self::from),
        }
    }

    /// The product.
    #[inline]
    pub(crate) fn times(self, other: &Self) -> Result<Self, Overflow> {
        if other.is_one() {
            return Ok(self);
        }
        if let (Narrow { numerator: a, denominator: b }, Narrow { numerator: c, denominator: d }) =
            (&self.0, &other.0)
            && let (Some(numerator), Some(denominator)) = (a.checked_mul(*c), b.checked_mul(*d))
        {
            return Ok(Self(Narrow { numerator, denominator }));
        }
        self.times_wide(other.clone())
    }

    #[cold]
    #[expect(clippy::needless_pass_by_value, reason = "as above")]
    fn times_wide(self, other: Self) -> Result<Self, Overflow> {
        self.wide().times(other.wide()).map(Self::from)
    }

    /// The quotient, or zero if `other` is zero.
    pub(crate) fn divided_by(self, other: &Self) -> Result<Self, Overflow> {
        match &other.0 {
            Narrow { numerator: 0, .. } => Ok(Self::ZERO),
            Narrow { numerator, denominator } => self.times(&Self::new(*denominator, *numerator)),
            Repr::Wide(other) => self.wide().divided_by(**other).map(Self::from),
        }
    }

    /// The quotient rounded down to a whole number, or zero if `part` is zero.
    pub(crate) fn div_floor(&self, part: &Self) -> Result<Self, Overflow> {
        if let (&Narrow { numerator: a, denominator: b }, &Narrow { numerator: c, denominator: d }) =
            (&self.0, &part.0)
            && let Some((dividend, divisor)) = a.checked_mul(d).zip(b.checked_mul(c))
        {
            return Ok(Self::new(dividend.checked_div(divisor).unwrap_or_default(), 1));
        }
        self.wide().div_floor(part.wide()).map(Self::from)
    }

    /// Returns the rounded number of points.
    pub(crate) fn round(&self, rounding: Rounding) -> Result<Points, Overflow> {
        match (&self.0, rounding) {
            (&Narrow { numerator, denominator }, Rounding::Down) => numerator
                .checked_div(denominator)
                .and_then(Points::new)
                .ok_or(Overflow),
            _ => self.wide().round(rounding),
        }
    }

    /// Returns the equal fraction with the smallest numerator and denominator.
    pub(crate) fn reduce(&self) -> Self {
        self.wide().reduce().into()
    }

    fn wide(&self) -> WideFraction {
        match self.0 {
            Narrow { numerator, denominator } => {
                WideFraction::new(I256::from(numerator), I256::from(denominator))
            }
            Repr::Wide(ref wide) => **wide,
        }
    }
}

impl From<WideFraction> for Fraction {
    fn from(wide: WideFraction) -> Self {
        match (i64::try_from(wide.numerator), i64::try_from(wide.denominator)) {
            (Ok(numerator), Ok(denominator)) => Self::new(numerator, denominator),
            _ => Self(Repr::Wide(Box::new(wide))),
        }
    }
}

impl PartialEq for Fraction {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (self.wide().reduce(), other.wide().reduce());
        left.numerator == right.numerator && left.denominator == right.denominator
    }
}

impl Eq for Fraction {}

/// Writes a decimal of at most twelve places, or else `numerator/denominator`.
impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Narrow { numerator, denominator } = self.0 else {
            return self.wide().fmt(f);
        };

        let (whole, rest) =
            (numerator.checked_div(denominator), numerator.checked_rem(denominator));
        let (Some(whole), Some(mut rest)) = (whole, rest) else {
            return f.write_str("0");
        };

        // Long division, one digit at a time.
        let mut digits = String::new();
        while rest > 0 && digits.len() < 12 {
            let Some(ten) = rest.checked_mul(10) else {
                return self.wide().fmt(f);
            };
            let digit = ten
                .checked_div(denominator)
                .and_then(|digit| u32::try_from(digit).ok());
            digits.extend(digit.and_then(|digit| char::from_digit(digit, 10)));
            rest = ten.checked_rem(denominator).unwrap_or_default();
        }

        match (digits.is_empty(), rest) {
            (true, _) => write!(f, "{whole}"),
            (false, 0) => write!(f, "{whole}.{digits}"),
            (false, _) => self.wide().fmt(f),
        }
    }
}

#[cfg(feature = "json")]
mod json {
    use super::{Fraction, WideFraction};
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

    /// Parses the output of `Display`.
    fn parse(text: &str) -> Option<Fraction> {
        if let Some((numerator, denominator)) = text.split_once('/') {
            return Some(Fraction::from(WideFraction::new(
                numerator.parse().ok()?,
                denominator.parse().ok()?,
            )));
        }
        let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
        let scale = I256::from(10).checked_pow(u32::try_from(digits.len()).ok()?)?;
        Some(Fraction::from(WideFraction::new(
            format!("{whole}{digits}").parse().ok()?,
            scale,
        )))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    use super::*;

    #[test]
    fn fractions_are_exact() {
        let third = Fraction::new(1, 3);
        let sum = third.clone().plus(&third).unwrap().plus(&third).unwrap();
        assert_eq!(sum, Fraction::ONE);
        assert_eq!(
            Fraction::new(90, 1).times(&third).unwrap().round(Rounding::Down),
            Ok(Points::from(30))
        );
        assert_eq!(Fraction::new(1, 2).minus(&third).unwrap(), Fraction::new(1, 6));
        assert_eq!(third.clone().minus(&Fraction::ONE).unwrap(), Fraction::ZERO);
        assert_eq!(
            Fraction::new(105, 1).div_floor(&Fraction::new(10, 1)).unwrap(),
            Fraction::new(10, 1)
        );
        assert_eq!(Fraction::new(105, 1).div_floor(&Fraction::ZERO).unwrap(), Fraction::ZERO);
    }

    #[test]
    fn rounding_modes_differ_at_halves() {
        for (count, [down, half_even, half_up, up]) in [
            (10, [2, 2, 3, 3]),
            (14, [3, 4, 4, 4]),
            (9, [2, 2, 2, 3]),
            (8, [2, 2, 2, 2]),
            (11, [2, 3, 3, 3]),
        ] {
            let fraction = Fraction::new(count, 4);
            for (mode, want) in [
                (Rounding::Down, down),
                (Rounding::HalfEven, half_even),
                (Rounding::HalfUp, half_up),
                (Rounding::Up, up),
            ] {
                assert_eq!(fraction.round(mode), Ok(Points::from(want)), "{count}/4 {mode:?}");
            }
        }
    }

    #[test]
    fn overflow_is_an_error() {
        let huge = Fraction::from(WideFraction::new(I256::MAX, I256::ONE));
        assert_eq!(huge.clone().times(&huge), Err(Overflow));
        assert_eq!(huge.clone().plus(&Fraction::ONE), Err(Overflow));
        assert_eq!(huge.round(Rounding::Up), Err(Overflow));
        assert!(huge.is_at_least(&Fraction::ONE) && !Fraction::ONE.is_at_least(&huge));
    }

    #[test]
    fn overflowing_fractions_keep_many_digits() {
        // Forty coprime denominators of ten bits: 400 bits in total.
        let coprime = (1_000..).filter(|n| (2..40).all(|d| n % d > 0)).take(40);
        let parts: Vec<_> = coprime.map(|n| Fraction::new(1_000_000_000_000_000, n)).collect();
        let sum =
            |parts: &[Fraction]| parts.iter().try_fold(Fraction::ZERO, Fraction::plus).unwrap();
        let digits = |fraction: &Fraction| fraction.round(Rounding::HalfEven).unwrap();
        let (all, first) = (sum(&parts), &parts[0]);
        assert_eq!(digits(&all), digits(&sum(&parts.iter().rev().cloned().collect::<Vec<_>>())));
        assert_eq!(digits(&all.clone().minus(&sum(&parts[1..])).unwrap()), digits(first));
        assert_eq!(
            digits(&all.clone().divided_by(first).unwrap().times(first).unwrap()),
            digits(&all)
        );
        assert!(all.is_at_least(&sum(&parts[1..])) && !sum(&parts[1..]).is_at_least(&all));
        let money = all
            .clone()
            .divided_by(&Fraction::new(10_000, 1))
            .unwrap()
            .to_amount_rounded_down();
        assert_eq!(Some(money.ten_thousandths()), all.round(Rounding::Down).ok().map(Points::get));
    }

    #[test]
    fn fractions_are_written_as_decimals_if_those_are_short() {
        for (fraction, want) in [
            (Fraction::new(499_500, 10_000), "49.95"),
            (Fraction::new(100, 3), "100/3"),
            (Fraction::new(8, 4), "2"),
            (Fraction::new(1, 1_000_000), "0.000001"),
        ] {
            assert_eq!(fraction.to_string(), want);
        }
    }
}
