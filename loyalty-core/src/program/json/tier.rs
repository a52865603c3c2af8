//! Tiers read from JSON.

use super::{At, Faults};
use crate::amount::Rate;
use crate::program::tier::{Down, EntryReward, Metric, Tier, Tiering, Window};

impl At<'_> {
    pub(super) fn tier(&self, faults: &mut Faults) -> Option<Tier> {
        let known = ["id", "name", "multiplier", "threshold", "perks", "entry"];
        let members = self.members(&known, faults)?;
        let id = members.required("id", faults).and_then(|at| at.parsed(faults));
        let name = members.required("name", faults).and_then(|at| at.text(faults));
        let (mut multiplier, mut perks) = (Rate::ONE, Vec::new());
        members.read("multiplier", &mut multiplier, |at| at.decimal(faults));
        let threshold = members.present("threshold").and_then(|at| at.decimal(faults));
        members.read("perks", &mut perks, |at| {
            Some(
                at.list(faults)
                    .iter()
                    .filter_map(|perk| perk.text(faults).map(str::to_owned))
                    .collect(),
            )
        });
        let entry = members.present("entry").and_then(|at| at.entry_reward(faults));
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
        let members = self.members(&["points", "each_time", "taken_back"], faults)?;
        let points = members.required("points", faults).and_then(|at| at.points(faults));
        let (mut each_time, mut taken_back) = (false, false);
        members.read("each_time", &mut each_time, |at| at.bool(faults));
        members.read("taken_back", &mut taken_back, |at| at.bool(faults));
        Some(EntryReward { points: points?, each_time, taken_back })
    }

    pub(super) fn tiering(&self, faults: &mut Faults) -> Option<Tiering> {
        let known = ["metric", "window", "down", "term", "grace", "skipped_rewards"];
        let members = self.members(&known, faults)?;
        let mut tiering = Tiering::default();
        let metrics = [
            ("spend", Metric::Spend),
            ("points_earned", Metric::PointsEarned),
            ("orders", Metric::Orders),
        ];
        members.read("metric", &mut tiering.metric, |at| at.named(&metrics, faults));
        members.read("window", &mut tiering.window, |at| at.window(faults));
        let downs = [
            ("never", Down::Never),
            ("one_step", Down::OneStep),
            ("to_qualified", Down::ToQualified),
        ];
        members.read("down", &mut tiering.down, |at| at.named(&downs, faults));
        tiering.term = members.present("term").and_then(|at| at.parsed(faults));
        tiering.grace = members.present("grace").and_then(|at| at.parsed(faults));
        members.read("skipped_rewards", &mut tiering.skipped_rewards, |at| at.bool(faults));
        Some(tiering)
    }

    fn window(&self, faults: &mut Faults) -> Option<Window> {
        if self.is_text() {
            let names = [("lifetime", Window::Lifetime), ("calendar_year", Window::CalendarYear)];
            return self.named(&names, faults);
        }
        let members = self.members(&["rolling"], faults)?;
        members
            .required("rolling", faults)
            .and_then(|at| at.parsed(faults))
            .map(Window::Rolling)
    }
}
