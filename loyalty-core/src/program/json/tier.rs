//! Tiers read from JSON.

use super::{Faults, NodeRef};
use crate::amount::Rate;
use crate::program::tier::{Downgrade, EntryReward, Tier, TierMetric, TierWindow, Tiering};

impl NodeRef<'_> {
    pub(super) fn tier(&self, faults: &mut Faults) -> Option<Tier> {
        let known = ["id", "name", "multiplier", "threshold", "perks", "entry"];
        let members = self.members(&known, faults)?;
        let id = members.required("id", faults).and_then(|at| at.parse(faults));
        let name = members.required("name", faults).and_then(|at| at.text(faults));

        let (mut multiplier, mut perks) = (Rate::ONE, Vec::new());
        members.read("multiplier", &mut multiplier, |at| at.decimal(faults));
        let threshold = members.get("threshold").and_then(|at| at.decimal(faults));
        members.read("perks", &mut perks, |at| {
            Some(at.items(faults, |perk, faults| perk.text(faults).map(str::to_owned)))
        });
        let entry = members.get("entry").and_then(|at| at.entry_reward(faults));

        Some(Tier {
            id: id?,
            name: name?.to_owned(),
            multiplier,
            threshold,
            perks,
            entry,
        })
    }

    fn entry_reward(&self, faults: &mut Faults) -> Option<EntryReward> {
        let members = self.members(&["points", "each_time", "taken_back", "gift"], faults)?;
        let (points, gift) = members.bonus(faults);
        let (mut each_time, mut taken_back) = (false, false);
        members.read("each_time", &mut each_time, |at| at.bool(faults));
        members.read("taken_back", &mut taken_back, |at| at.bool(faults));
        Some(EntryReward { points: points?, each_time, taken_back, gift })
    }

    pub(super) fn tiering(&self, faults: &mut Faults) -> Option<Tiering> {
        let known = ["metric", "window", "down", "term", "grace", "skipped_rewards"];
        let members = self.members(&known, faults)?;

        let mut tiering = Tiering::default();
        let metrics = [
            ("spend", TierMetric::Spend),
            ("points_earned", TierMetric::PointsEarned),
            ("orders", TierMetric::Orders),
        ];
        members.read("metric", &mut tiering.metric, |at| at.one_of(&metrics, faults));
        members.read("window", &mut tiering.window, |at| at.window(faults));

        let downs = [
            ("never", Downgrade::Never),
            ("one_step", Downgrade::OneStep),
            ("to_qualified", Downgrade::ToQualified),
        ];
        members.read("down", &mut tiering.down, |at| at.one_of(&downs, faults));

        tiering.term = members.get("term").and_then(|at| at.parse(faults));
        tiering.grace = members.get("grace").and_then(|at| at.parse(faults));
        members.read("skipped_rewards", &mut tiering.skipped_rewards, |at| at.bool(faults));
        Some(tiering)
    }

    fn window(&self, faults: &mut Faults) -> Option<TierWindow> {
        if self.is_text() {
            let names =
                [("lifetime", TierWindow::Lifetime), ("calendar_year", TierWindow::CalendarYear)];
            return self.one_of(&names, faults);
        }

        let members = self.members(&["rolling"], faults)?;
        members
            .required("rolling", faults)
            .and_then(|at| at.parse(faults))
            .map(TierWindow::Rolling)
    }
}
