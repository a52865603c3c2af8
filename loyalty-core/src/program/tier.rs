//! VIP tiers: what qualifies for them, how long they last, what they bring.

use super::bounds::{POINTS_RANGE, points_in_range};
use crate::amount::{Amount, Points, Rate};
use crate::calendar::Period;
use crate::counts::Counts;
use crate::fault::Fault;
use crate::id::TierId;

/// A VIP tier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Tier {
    /// Its name in the program.
    pub id: TierId,
    /// Its name for customers.
    pub name: String,
    /// What points of orders are multiplied by.
    pub multiplier: Rate,
    /// How much of the program's metric qualifies for it. None: it is set by hand only.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub threshold: Option<Amount>,
    /// What it brings, in words for customers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub perks: Vec<String>,
    /// Points for entering it.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub entry: Option<EntryReward>,
}

impl Tier {
    /// A tier of this name that is set by hand and multiplies.
    pub fn manual(id: TierId, name: impl Into<String>, multiplier: Rate) -> Self {
        Self {
            id,
            name: name.into(),
            multiplier,
            threshold: None,
            perks: Vec::new(),
            entry: None,
        }
    }
}

/// Points for entering a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EntryReward {
    /// How many.
    pub points: Points,
    /// At each entry, rather than once ever.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub each_time: bool,
    /// Taken back where a refund undoes the entry, rather than kept.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub taken_back: bool,
}

/// How tiers are come by and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Tiering {
    /// What counts.
    pub metric: TierMetric,
    /// Over which time.
    pub window: TierWindow,
    /// What happens to who no longer qualifies.
    pub down: Downgrade,
    /// How long a tier lasts at least.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub term: Option<Period>,
    /// How long it is kept after the qualification is lost and the term is over.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub grace: Option<Period>,
    /// Who skips a tier gets its entry reward too.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub skipped_rewards: bool,
}

impl Tiering {
    /// Whether nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What qualifies for a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum TierMetric {
    /// Money spent: the earning basis, refunds deducted. The default.
    #[default]
    Spend,
    /// Points earned, net of what was taken back, without entry rewards.
    PointsEarned,
    /// Orders that were not refunded in full.
    Orders,
}

impl TierMetric {
    /// The part of counts that this looks at: ten-thousandths of the currency unit, points or orders.
    pub fn value_of(self, counts: Counts) -> i64 {
        match self {
            Self::Spend => counts.spend,
            Self::PointsEarned => counts.points,
            Self::Orders => counts.orders,
        }
    }

    /// A threshold in the same measure.
    pub fn scale_threshold(self, threshold: Amount) -> i64 {
        let parts = threshold.ten_thousandths();
        match self {
            Self::Spend => parts,
            Self::PointsEarned | Self::Orders => parts.checked_div(10_000).unwrap_or_default(),
        }
    }
}

/// Over which time a metric is summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum TierWindow {
    /// All that was ever done. The default.
    #[default]
    Lifetime,
    /// The last so many months, judged at every instant: what was done counts until this long after it.
    Rolling(Period),
    /// The calendar year in the shop's zone. A tier lasts to the end of the next year.
    CalendarYear,
}

/// What happens to who no longer qualifies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Downgrade {
    /// The tier stays; only a refund can undo it.
    Never,
    /// To the next lower tier, and from there again after its term.
    OneStep,
    /// To the tier that is qualified for. The default.
    #[default]
    ToQualified,
}

pub(super) fn check(tiers: &[Tier], tiering: &Tiering, faults: &mut Vec<Fault>) {
    let mut last: Option<Amount> = None;
    for (index, tier) in tiers.iter().enumerate() {
        let at = |field: &str| format!("/tiers/{index}/{field}");
        if let Some(threshold) = tier.threshold {
            if last.is_some_and(|last| threshold <= last) {
                let detail = "must be more than that of the tier before";
                faults.push(Fault::new(at("threshold"), "contradiction", detail));
            }
            if tiering.metric != TierMetric::Spend
                && threshold
                    .ten_thousandths()
                    .checked_rem(10_000)
                    .is_none_or(|rest| rest != 0)
            {
                faults.push(Fault::new(
                    at("threshold"),
                    "invalid_value",
                    "must be a whole number for this metric",
                ));
            }
            if threshold.is_zero() {
                faults.push(Fault::new(at("threshold"), "out_of_range", "must be more than zero"));
            }
            last = Some(threshold);
        }
        if tier.perks.len() > 50
            || tier
                .perks
                .iter()
                .any(|perk| perk.is_empty() || perk.chars().count() > 500)
        {
            faults.push(Fault::new(
                at("perks"),
                "out_of_range",
                "must be at most 50 texts of 1 to 500 characters",
            ));
        }
        if tier.entry.is_some_and(|entry| !points_in_range(entry.points)) {
            faults.push(Fault::new(at("entry/points"), "out_of_range", POINTS_RANGE));
        }
    }
    if tiering.down == Downgrade::OneStep && tiering.term.is_none() {
        faults.push(Fault::new(
            "/tiering/term",
            "missing_field",
            "is required where tiers go down one step",
        ));
    }
    if let TierWindow::Rolling(period) = tiering.window
        && !period.is_months_up_to(36)
    {
        faults.push(Fault::new(
            "/tiering/window/rolling",
            "out_of_range",
            "must be 1 to 36 whole months",
        ));
    }
}
