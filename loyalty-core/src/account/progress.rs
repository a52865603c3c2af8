//! What a customer has done so far, as tiers and goals count it.

pub(super) mod codec;
#[cfg(feature = "json")]
mod json;

use chrono::TimeDelta;

use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::tree::{Nodes, Summarize, Tree};

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

/// What was done, in all and by instant. Instants further back than any window looks are forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct Progress {
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Counts::is_zero"))]
    #[cfg_attr(feature = "json", serde(rename = "ever"))]
    lifetime: Counts,
    #[cfg_attr(
        feature = "json",
        serde(
            skip_serializing_if = "Option::is_none",
            serialize_with = "crate::fast_fmt::serialize_instant"
        )
    )]
    first_order: Option<Timestamp>,
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Tree::is_empty", with = "json"))]
    by_instant: Tree<Timestamp, Counts>,
}

impl Progress {
    /// How far back instants are kept, in days: longer than the longest window of a program.
    const RETENTION_DAYS: i64 = 1_200;

    /// All that was ever done.
    pub fn lifetime(&self) -> Counts {
        self.lifetime
    }

    /// When the first order that counted passed the gate.
    pub fn first_order(&self) -> Option<Timestamp> {
        self.first_order
    }

    /// Whether nothing was done yet.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The newest chunk of instants alone, and those before it.
    pub(super) fn split(&self) -> (Self, &Nodes<Timestamp, Counts>) {
        (Self { by_instant: self.by_instant.newest(), ..*self }, self.by_instant.older())
    }

    /// The same with instants before its own. None where they are not before them.
    pub(super) fn with_older(self, older: &Nodes<Timestamp, Counts>) -> Option<Self> {
        Some(Self { by_instant: self.by_instant.with_older(older)?, ..self })
    }

    pub(crate) fn by_instant(&self) -> &Tree<Timestamp, Counts> {
        &self.by_instant
    }

    /// Adds what was done at an instant, and became known at another. Only time that has passed by then lets
    /// instants be forgotten: the shop's own clock may be far ahead.
    pub(crate) fn add(&mut self, at: Timestamp, counts: Counts, received: Option<Timestamp>) {
        self.lifetime = self.lifetime.plus(counts);
        if counts.orders > 0 {
            self.first_order = Some(self.first_order.map_or(at, |first| first.min(at)));
        }
        let sum = self.by_instant.get(&at).copied().unwrap_or_default().plus(counts);
        if sum.is_zero() {
            self.by_instant.remove(&at);
        } else {
            self.by_instant.insert(at, sum);
        }
        let kept =
            received.and_then(|now| now.checked_sub_signed(TimeDelta::days(Self::RETENTION_DAYS)));
        while let Some((first, _)) = self.by_instant.first()
            && Some(*first) < kept
        {
            let first = *first;
            self.by_instant.remove(&first);
        }
    }

    /// Adds all that another account brings at an instant.
    pub(crate) fn absorb(&mut self, other: &Self, received: Option<Timestamp>) {
        let (ever, first) = (self.lifetime.plus(other.lifetime), other.first_order);
        for (at, counts) in other.by_instant.iter() {
            self.add(*at, *counts, received);
        }
        self.lifetime = ever;
        self.first_order = [self.first_order, first].into_iter().flatten().min();
    }
}
