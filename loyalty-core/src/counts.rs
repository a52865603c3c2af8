//! Qualifying counts: the spend, points and orders that tiers and goals look at.

use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::tree::Summarize;

/// Money spent, points earned and orders made. A difference of two can be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Counts {
    /// The earning basis, refunds deducted, in ten-thousandths of the currency unit.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_zero"))]
    pub spend: i64,
    /// Points earned, net of what was taken back.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_zero"))]
    pub points: i64,
    /// Orders; one that was refunded in full is none.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_zero"))]
    pub orders: i64,
}

#[cfg(feature = "json")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl Counts {
    /// Nothing.
    pub const ZERO: Self = Self { spend: 0, points: 0, orders: 0 };

    /// One order of this spend and these points.
    pub fn order(spend: Amount, points: Points) -> Self {
        Self {
            spend: spend.ten_thousandths(),
            points: points.get(),
            orders: 1,
        }
    }

    /// Points alone.
    pub fn points(points: Points) -> Self {
        Self { points: points.get(), ..Self::ZERO }
    }

    /// Whether there is nothing.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            spend: self.spend.saturating_add(other.spend),
            points: self.points.saturating_add(other.points),
            orders: self.orders.saturating_add(other.orders),
        }
    }

    /// What this is more than the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            spend: self.spend.saturating_sub(other.spend),
            points: self.points.saturating_sub(other.points),
            orders: self.orders.saturating_sub(other.orders),
        }
    }
}

impl Summarize for Counts {
    type Summary = Self;

    fn summary(&self) -> Self {
        *self
    }

    fn sum(one: Self, other: Self) -> Self {
        one.plus(other)
    }
}

/// What more or less of an order counts, and for which instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CountsDelta {
    /// When the order passed the gate.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    #[cfg_attr(feature = "json", serde(rename = "gate"))]
    pub gate_at: Timestamp,
    /// The difference to what counted before.
    pub counts: Counts,
}
