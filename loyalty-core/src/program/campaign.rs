//! Campaigns: more points for orders in a window.

use std::collections::BTreeSet;

use super::bounds::{POINTS_RANGE, check_tiers, check_window, points_in_range};
use crate::amount::{Points, Rate};
use crate::calendar::Timestamp;
use crate::fault::Fault;
use crate::id::{CategoryId, ProductId, RuleId, Tag, TierId};

/// More points for orders placed in a window. What an order's campaigns are is settled at its gate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Campaign {
    /// Its name, unique in the program; explanations carry it.
    pub id: RuleId,
    /// What it brings.
    pub effect: CampaignEffect,
    /// From this instant on.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub from: Option<Timestamp>,
    /// Before this instant.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
    /// Only lines of these products, or of the categories below, are multiplied.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Only lines of these categories, or of the products above, are multiplied.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub categories: BTreeSet<CategoryId>,
    /// For customers in one of these tiers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub tiers: BTreeSet<TierId>,
    /// For customers with one of these tags.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_tags: BTreeSet<Tag>,
}

impl Campaign {
    /// Whether it is about some lines only.
    pub fn is_scoped(&self) -> bool {
        !self.products.is_empty() || !self.categories.is_empty()
    }

    /// Whether it is for this customer, and for an order placed at this instant.
    pub fn applies(&self, tags: &BTreeSet<Tag>, tier: Option<&TierId>, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && (self.customer_tags.is_empty()
                || self.customer_tags.iter().any(|tag| tags.contains(tag)))
            && (self.tiers.is_empty() || tier.is_some_and(|tier| self.tiers.contains(tier)))
    }
}

/// What a campaign brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum CampaignEffect {
    /// Points are multiplied. Points per order belong to no line: only a campaign for all lines multiplies
    /// them.
    Multiplier(Rate),
    /// So many points more for an order that has something it is about. Nothing multiplies them.
    Bonus(Points),
}

/// How multipliers of tiers and campaigns go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum MultiplierPolicy {
    /// 2 and 3 make 6. The default.
    #[default]
    Multiply,
    /// 2 and 3 make 3.
    Highest,
    /// 2 and 3 make 4.
    Add,
}

impl MultiplierPolicy {
    /// Whether nothing else is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn check(campaigns: &[Campaign], tiers: &BTreeSet<&TierId>, faults: &mut Vec<Fault>) {
    let mut names = BTreeSet::new();
    for (index, campaign) in campaigns.iter().enumerate() {
        let pointer = format!("/campaigns/{index}");
        if !names.insert(&campaign.id) {
            let detail = format!("the id {} stands here twice", campaign.id);
            faults.push(Fault::new(format!("{pointer}/id"), "duplicate_id", detail));
        }
        match campaign.effect {
            CampaignEffect::Multiplier(rate)
                if !(1_000_000..=1_000_000_000).contains(&rate.millionths()) =>
            {
                let pointer = format!("{pointer}/effect/multiplier");
                faults.push(Fault::new(pointer, "out_of_range", "must be 1 to 1000"));
            }
            CampaignEffect::Bonus(points) if !points_in_range(points) => {
                faults.push(Fault::new(
                    format!("{pointer}/effect/bonus"),
                    "out_of_range",
                    POINTS_RANGE,
                ));
            }
            CampaignEffect::Multiplier(_) | CampaignEffect::Bonus(_) => {}
        }
        check_window(campaign.from, campaign.until, &pointer, faults);
        check_tiers(&campaign.tiers, tiers, &format!("{pointer}/tiers"), faults);
    }
}
