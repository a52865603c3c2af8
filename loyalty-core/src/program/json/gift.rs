//! Gifts read from JSON.

use super::{Faults, Members, NodeRef};
use crate::amount::Points;
use crate::program::gift::{GiftPolicy, GiftRule};

impl NodeRef<'_> {
    pub(super) fn gift(&self, faults: &mut Faults) -> Option<GiftRule> {
        let members = self.members(&["reward", "when_undone"], faults)?;
        let reward = members.required("reward", faults).and_then(|at| at.parse(faults));
        let mut when_undone = GiftPolicy::default();
        members.read("when_undone", &mut when_undone, |at| at.one_of(&GiftPolicy::NAMES, faults));
        Some(GiftRule { reward: reward?, when_undone })
    }
}

impl Members<'_> {
    /// The points of a bonus and its gift. Without a gift the points are required.
    pub(super) fn bonus(&self, faults: &mut Faults) -> (Option<Points>, Option<GiftRule>) {
        let gift = self.get("gift").and_then(|at| at.gift(faults));
        let points = if self.get("gift").is_some() && self.get("points").is_none() {
            Some(Points::ZERO)
        } else {
            self.required("points", faults).and_then(|at| at.points(faults))
        };
        (points, gift)
    }
}
