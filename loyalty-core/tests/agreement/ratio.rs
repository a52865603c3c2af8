//! Exact fractions of the model, never negative.

/// A fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    above: i128,
    below: i128,
}

impl Ratio {
    pub(crate) const ZERO: Self = Self { above: 0, below: 1 };
    pub(crate) const ONE: Self = Self { above: 1, below: 1 };

    /// `above / below`; zero of nothing.
    pub(crate) fn new(above: i128, below: i128) -> Self {
        if below == 0 || above <= 0 {
            return Self::ZERO;
        }
        let (mut divisor, mut rest) = (above, below);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        Self { above: above / divisor, below: below / divisor }
    }

    pub(crate) fn whole(number: i64) -> Self {
        Self::new(number.into(), 1)
    }

    pub(crate) fn of(part: i64, whole: i64) -> Self {
        Self::new(part.into(), whole.into())
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self::new(self.above * other.below + other.above * self.below, self.below * other.below)
    }

    /// The difference, at least zero.
    pub(crate) fn less(self, other: Self) -> Self {
        Self::new(self.above * other.below - other.above * self.below, self.below * other.below)
    }

    pub(crate) fn times(self, other: Self) -> Self {
        let (left, right) =
            (Self::new(self.above, other.below), Self::new(other.above, self.below));
        Self::new(left.above * right.above, left.below * right.below)
    }

    pub(crate) fn over(self, other: Self) -> Self {
        if other.is_zero() {
            return Self::ZERO;
        }
        self.times(Self { above: other.below, below: other.above })
    }

    pub(crate) fn is_zero(self) -> bool {
        self.above == 0
    }

    pub(crate) fn is_at_least(self, other: Self) -> bool {
        self.above * other.below >= other.above * self.below
    }

    pub(crate) fn min(self, other: Self) -> Self {
        if self.is_at_least(other) { other } else { self }
    }

    pub(crate) fn max(self, other: Self) -> Self {
        if self.is_at_least(other) { self } else { other }
    }

    /// Rounded down.
    pub(crate) fn floor(self) -> i64 {
        i64::try_from(self.above / self.below).unwrap()
    }
}
