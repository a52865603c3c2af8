//! What ran out of the lot without an end.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::amount::Points;
use crate::calendar::Timestamp;

/// The lot without an end can run out by inactivity, where a program begins to ask for that. Points of orders
/// and awards are not told apart in it: how many of them ran out shows when one is to be taken back. All that
/// ran out first after they went in counts as theirs, as all that is in the lot does, and nothing twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(default))]
pub struct InactivityExpirations {
    /// Whether anything is in the lot that may be taken back: otherwise nobody will ask how it ended.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    #[cfg_attr(feature = "json", serde(rename = "awaited"))]
    has_reclaimable: bool,
    /// How much ran out when, less what was found since.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "ended"))]
    expired: BTreeMap<Timestamp, Points>,
}

impl InactivityExpirations {
    /// Whether there is nothing to know.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the lot ran out since then.
    pub(crate) fn has_expired_since(&self, since: Timestamp) -> bool {
        self.first_after(since).is_some()
    }

    fn first_after(&self, since: Timestamp) -> Option<(Timestamp, Points)> {
        let after = (Bound::Excluded(since), Bound::Unbounded);
        self.expired.range(after).next().map(|(at, points)| (*at, *points))
    }

    /// How many of so many points, which went into the lot in these parts, ran out, and when.
    pub(crate) fn attribute(
        &self,
        parts: impl Iterator<Item = (Timestamp, Points)>,
        points: Points,
    ) -> Vec<(Timestamp, Points)> {
        let (mut found, mut missing) = (BTreeMap::<_, Points>::new(), points);
        for (since, part) in parts {
            let Some((at, ran_out)) = self.first_after(since) else { continue };
            let known = found.entry(at).or_default();
            let part = part.min(missing).min(ran_out.saturating_sub(*known));
            *known = known.saturating_add(part);
            missing = missing.saturating_sub(part);
        }
        found.into_iter().filter(|(_, points)| points.is_positive()).collect()
    }

    /// Something that may be taken back went into the lot.
    pub(super) fn mark_reclaimable(&mut self) {
        self.has_reclaimable = true;
    }

    /// The lot ran out.
    pub(super) fn record(&mut self, at: Timestamp, points: Points) {
        if std::mem::take(&mut self.has_reclaimable) {
            self.expired.insert(at, points);
        }
    }

    /// It was found whose some of it were.
    pub(super) fn consume(&mut self, found: &[(Timestamp, Points)]) {
        for (at, points) in found {
            self.expired
                .entry(*at)
                .and_modify(|left| *left = left.saturating_sub(*points));
        }
    }

    /// What a merged account brings.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.has_reclaimable |= other.has_reclaimable;
        for (at, points) in &other.expired {
            let sum = self.expired.entry(*at).or_default();
            *sum = sum.saturating_add(*points);
        }
    }
}
