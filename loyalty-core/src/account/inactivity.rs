//! Expiries of the non-expiring lot by inactivity.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::amount::Points;
use crate::calendar::Timestamp;

/// The record of what expired from the non-expiring lot, for later clawbacks.
///
/// The lot has no end of its own, but a later program can let the balance expire by
/// inactivity. The lot does not track which of its points came from which order or bonus.
/// So it is decided at the clawback how many of them expired: the first expiry after they
/// were credited is attributed to them, up to its points. Points that were attributed
/// once are consumed, so that no expiry counts for two clawbacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct InactivityExpirations {
    /// The lot contains points that can be clawed back. Otherwise its expiry need not be
    /// recorded.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    #[cfg_attr(feature = "json", serde(rename = "awaited"))]
    has_reclaimable: bool,
    /// Expired points by instant, less those consumed by clawbacks.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "ended"))]
    expired: BTreeMap<Timestamp, Points>,
}

impl InactivityExpirations {
    /// Returns true if nothing is recorded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns true if the lot expired after `since`.
    pub(crate) fn has_expired_since(&self, since: Timestamp) -> bool {
        self.first_after(since).is_some()
    }

    fn first_after(&self, since: Timestamp) -> Option<(Timestamp, Points)> {
        let after = (Bound::Excluded(since), Bound::Unbounded);
        self.expired.range(after).next().map(|(at, points)| (*at, *points))
    }

    /// The expiries to attribute to `points` that were credited in `parts`, each with its
    /// instant.
    pub(crate) fn attribute(
        &self,
        parts: impl Iterator<Item = (Timestamp, Points)>,
        points: Points,
    ) -> Vec<(Timestamp, Points)> {
        let (mut found, mut missing) = (BTreeMap::<_, Points>::new(), points);
        for (since, part) in parts {
            let Some((at, expired)) = self.first_after(since) else { continue };

            // An earlier part may have used up some of the same expiry.
            let known = found.entry(at).or_default();
            let part = part.min(missing).min(expired.saturating_sub(*known));
            *known = known.saturating_add(part);
            missing = missing.saturating_sub(part);
        }
        found.into_iter().filter(|(_, points)| points.is_positive()).collect()
    }

    /// Notes that the lot contains points that can be clawed back.
    pub(super) fn mark_reclaimable(&mut self) {
        self.has_reclaimable = true;
    }

    /// Records an expiry of the lot, if anything in it can be clawed back.
    pub(super) fn record(&mut self, at: Timestamp, points: Points) {
        if std::mem::take(&mut self.has_reclaimable) {
            self.expired.insert(at, points);
        }
    }

    /// Takes attributed points off the record.
    pub(super) fn consume(&mut self, found: &[(Timestamp, Points)]) {
        for (at, points) in found {
            self.expired
                .entry(*at)
                .and_modify(|left| *left = left.saturating_sub(*points));
        }
    }

    /// Adds the record of an account that was merged into this one.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.has_reclaimable |= other.has_reclaimable;
        for (at, points) in &other.expired {
            let sum = self.expired.entry(*at).or_default();
            *sum = sum.saturating_add(*points);
        }
    }

    /// Takes off the record of an account that is merged no more.
    pub(super) fn release(&mut self, other: &Self) {
        self.consume(
            &other
                .expired
                .iter()
                .map(|(at, points)| (*at, *points))
                .collect::<Vec<_>>(),
        );
        self.expired.retain(|_, points| points.is_positive());
    }
}
