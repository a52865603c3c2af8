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
pub struct RanOut {
    /// Whether anything is in the lot that may be taken back: otherwise nobody will ask how it ended.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    awaited: bool,
    /// How much ran out when, less what was found since.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeMap::is_empty"))]
    ended: BTreeMap<Timestamp, Points>,
}

impl RanOut {
    /// Whether there is nothing to know.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the lot ran out since then.
    pub(crate) fn has_ended_since(&self, since: Timestamp) -> bool {
        self.first_after(since).is_some()
    }

    fn first_after(&self, since: Timestamp) -> Option<(Timestamp, Points)> {
        let after = (Bound::Excluded(since), Bound::Unbounded);
        self.ended.range(after).next().map(|(at, points)| (*at, *points))
    }

    /// How many of so many points, which went into the lot in these parts, ran out, and when.
    pub(crate) fn of(
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
    pub(super) fn await_it(&mut self) {
        self.awaited = true;
    }

    /// The lot ran out.
    pub(super) fn end(&mut self, at: Timestamp, points: Points) {
        if std::mem::take(&mut self.awaited) {
            self.ended.insert(at, points);
        }
    }

    /// It was found whose some of it were.
    pub(super) fn find(&mut self, found: &[(Timestamp, Points)]) {
        for (at, points) in found {
            self.ended
                .entry(*at)
                .and_modify(|left| *left = left.saturating_sub(*points));
        }
    }

    /// What a merged account brings.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.awaited |= other.awaited;
        for (at, points) in &other.ended {
            let sum = self.ended.entry(*at).or_default();
            *sum = sum.saturating_add(*points);
        }
    }
}
