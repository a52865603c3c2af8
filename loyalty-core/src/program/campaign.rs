//! Campaigns: more points for orders that are placed in a window of time.

use std::collections::BTreeSet;

use super::check::{POINTS_RANGE, check_tiers, check_validity, duplicate_id, points_in_range};
use super::condition::{self, OrderConditions};
use crate::amount::{Points, Rate};
use crate::calendar::Timestamp;
use crate::fault::Fault;
use crate::id::{CategoryId, ProductId, RuleId, Tag, TierId};

/// More points for orders placed in a window of time.
///
/// An order's campaigns are pinned when it passes its earning gate.
///
/// # Example: a weekend with double points for one tier
/// ```
/// # #[cfg(feature = "json")] {
/// use std::collections::BTreeSet;
///
/// use loyalty_core::Program;
/// let program = Program::from_json(
///     r#"{"tiers": [{"id": "gold", "name": "Gold"}],
///         "campaigns": [{"id": "weekend", "effect": {"multiplier": "2"}, "tiers": ["gold"],
///                        "from": "2026-05-02T00:00:00Z", "until": "2026-05-04T00:00:00Z"}]}"#,
/// )
/// .unwrap();
/// let (campaign, gold) = (&program.definition().campaigns[0], "gold".parse().unwrap());
/// let saturday = "2026-05-02T09:00:00Z".parse().unwrap();
/// assert!(campaign.applies(&BTreeSet::new(), Some(&gold), saturday));
/// assert!(!campaign.applies(&BTreeSet::new(), None, saturday));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Campaign {
    /// Unique name in the program, shown by explanations.
    pub id: RuleId,
    /// Points that it adds.
    pub effect: CampaignEffect,
    /// First instant at which an order may be placed.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub from: Option<Timestamp>,
    /// Instant before which an order must be placed.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
    /// Products whose lines the campaign is for, besides those of `categories`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub products: BTreeSet<ProductId>,
    /// Categories whose lines the campaign is for, besides those of `products`.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub categories: BTreeSet<CategoryId>,
    /// Tiers of which the customer must have one; empty for all customers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub tiers: BTreeSet<TierId>,
    /// Tags of which the customer must have one; empty for all customers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_tags: BTreeSet<Tag>,
    /// Conditions on the order's hour, channel and attributes, and on first orders.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub order: OrderConditions,
}

impl Campaign {
    /// Returns true if the campaign is for some lines only: those of products or
    /// categories, or those with attributes.
    pub fn is_scoped(&self) -> bool {
        self.names_products() || self.order.selects_lines()
    }

    /// Returns true if the campaign names products or categories.
    pub(crate) fn names_products(&self) -> bool {
        !self.products.is_empty() || !self.categories.is_empty()
    }

    /// Returns true if the campaign is for a customer with these tags and this tier, and
    /// for an order placed at `at`. Its conditions on the order are others.
    pub fn applies(&self, tags: &BTreeSet<Tag>, tier: Option<&TierId>, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && (self.customer_tags.is_empty()
                || self.customer_tags.iter().any(|tag| tags.contains(tag)))
            && (self.tiers.is_empty() || tier.is_some_and(|tier| self.tiers.contains(tier)))
    }
}

/// The points that a campaign adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum CampaignEffect {
    /// A factor on the points of its lines.
    ///
    /// Points per order belong to no line: only a campaign for all lines multiplies them.
    Multiplier(Rate),
    /// Points for an order that has one of its lines. They are not multiplied.
    Bonus(Points),
}

/// The combination of the multipliers of tiers and campaigns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum MultiplierPolicy {
    /// The product: 2 and 3 make 6. The default.
    #[default]
    Multiply,
    /// The highest: 2 and 3 make 3.
    Highest,
    /// The sum of what each adds: 2 and 3 make 4.
    Add,
}

impl MultiplierPolicy {
    /// Returns true for the default policy.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) fn check(campaigns: &[Campaign], tiers: &BTreeSet<&TierId>, faults: &mut Vec<Fault>) {
    let mut ids = BTreeSet::new();
    for (index, campaign) in campaigns.iter().enumerate() {
        let pointer = format!("/campaigns/{index}");
        if !ids.insert(&campaign.id) {
            faults.push(duplicate_id(&pointer, &campaign.id));
        }

        let wrong = match campaign.effect {
            CampaignEffect::Multiplier(rate) if !is_multiplier(rate) => {
                Some(("multiplier", "must be 1 to 1000"))
            }
            CampaignEffect::Bonus(points) if !points_in_range(points) => {
                Some(("bonus", POINTS_RANGE))
            }
            CampaignEffect::Multiplier(_) | CampaignEffect::Bonus(_) => None,
        };
        if let Some((field, detail)) = wrong {
            faults.push(Fault::new(format!("{pointer}/effect/{field}"), "out_of_range", detail));
        }

        check_validity(campaign.from, campaign.until, &pointer, faults);
        condition::check(&campaign.order, &pointer, faults);
        check_tiers(&campaign.tiers, tiers, &format!("{pointer}/tiers"), faults);
    }
}

/// Returns true for 1 to 1000.
fn is_multiplier(rate: Rate) -> bool {
    (1_000_000..=1_000_000_000).contains(&rate.millionths())
}
