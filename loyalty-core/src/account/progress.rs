//! The counts of a customer: in total, and by instant for the windows of tiers.

pub(super) mod codec;
#[cfg(feature = "json")]
mod json;

use chrono::TimeDelta;

use crate::calendar::Timestamp;
use crate::counts::Counts;
use crate::tree::{Nodes, Tree};

/// Counts in total and by instant. Instants before the longest window of a program are
/// dropped.
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
    /// How far back instants are kept, in days: longer than the longest window of a
    /// program.
    const RETENTION_DAYS: i64 = 1_200;

    /// The counts of all time.
    pub fn lifetime(&self) -> Counts {
        self.lifetime
    }

    /// The instant at which the first counted order reached the earning gate.
    pub fn first_order(&self) -> Option<Timestamp> {
        self.first_order
    }

    /// Returns true if nothing was counted.
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

    /// Adds counts at an instant.
    ///
    /// Instants are dropped by the time at which the counts were received: the shop's
    /// clock, which `at` is of, may be far ahead.
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

    /// Adds the counts of a merged account, received at an instant.
    pub(crate) fn absorb(&mut self, other: &Self, received: Option<Timestamp>) {
        let (ever, first) = (self.lifetime.plus(other.lifetime), other.first_order);
        for (at, counts) in other.by_instant.iter() {
            self.add(*at, *counts, received);
        }
        self.lifetime = ever;
        self.first_order = [self.first_order, first].into_iter().flatten().min();
    }

    /// Takes off the counts of a merged account. `first_order` is the first one before the
    /// merge.
    pub(crate) fn release(
        &mut self,
        other: &Self,
        first_order: Option<Timestamp>,
        received: Timestamp,
    ) {
        let lifetime = self.lifetime.minus(other.lifetime);
        for (at, counts) in other.by_instant.iter() {
            self.add(*at, Counts::ZERO.minus(*counts), Some(received));
        }
        self.lifetime = lifetime;

        // The account's own first order stays its first, even if it was refunded since. Only
        // where the merged account's order was earlier has another one to be found.
        if self.first_order == other.first_order {
            let mut own = self.by_instant.iter();
            let first = own.find(|(_, counts)| counts.orders > 0).map(|(at, _)| *at);
            self.first_order = [first_order, first].into_iter().flatten().min();
        }
    }
}
