//! Qualifying counts: the spend, points and orders that tiers and goals look at.

use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::tree::Summarize;

/// Money spent, points earned and orders made. A difference can be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Counts {
    /// The earning basis, refunds deducted, in ten-thousandths of the currency unit.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_zero"))]
    pub spend: i64,
    /// Points earned, less clawbacks.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_zero"))]
    pub points: i64,
    /// Orders. One that was refunded in full does not count.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "is_zero"))]
    pub orders: i64,
}

#[cfg(feature = "json")]
#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl Counts {
    /// No spend, no points, no orders.
    pub const ZERO: Self = Self { spend: 0, points: 0, orders: 0 };

    /// One order with its spend and points.
    pub fn order(spend: Amount, points: Points) -> Self {
        Self {
            spend: spend.ten_thousandths(),
            points: points.get(),
            orders: 1,
        }
    }

    /// Points without an order.
    pub fn points(points: Points) -> Self {
        Self { points: points.get(), ..Self::ZERO }
    }

    /// Returns true if all three are zero.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The sum, clamped to the range.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            spend: self.spend.saturating_add(other.spend),
            points: self.points.saturating_add(other.points),
            orders: self.orders.saturating_add(other.orders),
        }
    }

    /// The difference, clamped to the range.
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

/// A change of what an order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CountsDelta {
    /// The instant that it counts at: when the order reached the earning gate.
    #[cfg_attr(feature = "json", serde(serialize_with = "crate::fast_fmt::serialize_instant"))]
    #[cfg_attr(feature = "json", serde(rename = "gate"))]
    pub gate_at: Timestamp,
    /// The difference to what the order counted before.
    pub counts: Counts,
}
