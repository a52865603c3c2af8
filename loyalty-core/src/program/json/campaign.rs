//! Campaigns and referrals read from JSON.

use std::collections::BTreeSet;

use super::{Faults, NodeRef, condition};
use crate::program::campaign::{Campaign, CampaignEffect};
use crate::program::referral::{Milestone, Referrals};

impl NodeRef<'_> {
    pub(super) fn campaign(&self, faults: &mut Faults) -> Option<Campaign> {
        let known =
            ["id", "effect", "from", "until", "products", "categories", "tiers", "customer_tags"];
        let known = [&known[..], &condition::ORDER_CONDITIONS[..]].concat();
        let members = self.members(&known, faults)?;
        let id = members.required("id", faults).and_then(|at| at.parse(faults));
        let effect = members.required("effect", faults).and_then(|at| at.effect(faults));

        let mut campaign = Campaign {
            id: id?,
            effect: effect?,
            from: members.get("from").and_then(|at| at.time(faults)),
            until: members.get("until").and_then(|at| at.time(faults)),
            products: BTreeSet::new(),
            categories: BTreeSet::new(),
            tiers: BTreeSet::new(),
            customer_tags: BTreeSet::new(),
            order: members.order_conditions(faults),
        };

        members.read("products", &mut campaign.products, |at| Some(at.set(faults)));
        members.read("categories", &mut campaign.categories, |at| Some(at.set(faults)));
        members.read("tiers", &mut campaign.tiers, |at| Some(at.set(faults)));
        members.read("customer_tags", &mut campaign.customer_tags, |at| Some(at.set(faults)));
        Some(campaign)
    }

    fn effect(&self, faults: &mut Faults) -> Option<CampaignEffect> {
        let members = self.members(&["multiplier", "bonus"], faults)?;
        match (members.get("multiplier"), members.get("bonus")) {
            (Some(at), None) => at.decimal(faults).map(CampaignEffect::Multiplier),
            (None, Some(at)) => at.points(faults).map(CampaignEffect::Bonus),
            _ => self.push_fault("invalid_value", "must have one of multiplier and bonus", faults),
        }
    }

    pub(super) fn referrals(&self, faults: &mut Faults) -> Option<Referrals> {
        let known = [
            "received",
            "sent",
            "minimum_spend",
            "hold",
            "milestones",
            "received_gift",
            "sent_gift",
        ];
        let members = self.members(&known, faults)?;

        let mut referrals = Referrals::default();
        members.read("received", &mut referrals.received, |at| at.points(faults));
        members.read("sent", &mut referrals.sent, |at| at.points(faults));
        referrals.minimum_spend = members.get("minimum_spend").and_then(|at| at.decimal(faults));
        referrals.hold = members.get("hold").and_then(|at| at.parse(faults));
        members.read("milestones", &mut referrals.milestones, |at| {
            Some(at.items(faults, NodeRef::milestone))
        });
        referrals.received_gift = members.get("received_gift").and_then(|at| at.gift(faults));
        referrals.sent_gift = members.get("sent_gift").and_then(|at| at.gift(faults));
        Some(referrals)
    }

    fn milestone(&self, faults: &mut Faults) -> Option<Milestone> {
        let members = self.members(&["friends", "points", "gift"], faults)?;
        let friends = members.required("friends", faults).and_then(|at| at.count(faults));
        let (points, gift) = members.bonus(faults);
        Some(Milestone { friends: friends?, points: points?, gift })
    }
}
