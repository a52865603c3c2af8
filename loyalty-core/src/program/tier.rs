//! VIP tiers: their thresholds, their terms and their benefits.

use super::gift::{self, GiftRule};
use crate::amount::{Amount, Points, Rate};
use crate::calendar::Period;
use crate::counts::Counts;
use crate::fault::Fault;
use crate::id::TierId;

/// The largest number of perks of a tier.
const MAX_PERKS: usize = 50;

/// The largest number of characters of a perk.
const MAX_PERK_CHARS: usize = 500;

/// The length in months of the longest rolling window.
const MAX_ROLLING_MONTHS: u32 = 36;

/// A VIP tier.
///
/// # Example: gold for 1,000 spent in twelve months
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::{Amount, Program};
/// let program = Program::from_json(
///     r#"{"tiers": [{"id": "gold", "name": "Gold", "multiplier": "1.5", "threshold": "1000",
///                    "entry": {"points": 100}}],
///         "tiering": {"window": {"rolling": "P12M"}}}"#,
/// )
/// .unwrap();
/// let gold = program.tier(&"gold".parse().unwrap()).unwrap();
/// assert_eq!(gold.threshold, Some(Amount::from(1_000)));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Tier {
    /// Unique name in the program.
    pub id: TierId,
    /// Name for customers.
    pub name: String,
    /// Factor on the points of orders.
    pub multiplier: Rate,
    /// Least value of the program's metric that qualifies. `None` for a tier that is only
    /// set by hand.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub threshold: Option<Amount>,
    /// Benefits in words for customers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub perks: Vec<String>,
    /// Reward for entering the tier.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub entry: Option<EntryReward>,
}

impl Tier {
    /// A tier that is only set by hand, with a multiplier and no other benefit.
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

/// The reward for entering a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EntryReward {
    /// Points of the reward.
    pub points: Points,
    /// If true, every entry is rewarded; otherwise only the first one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub each_time: bool,
    /// If true, the points are clawed back when a refund undoes the entry.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub taken_back: bool,
    /// A reward of the program beside the points, or instead of them.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub gift: Option<GiftRule>,
}

/// The rules by which customers enter and leave tiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Tiering {
    /// The metric that thresholds are compared with.
    pub metric: TierMetric,
    /// The window of time over which the metric is summed.
    pub window: TierWindow,
    /// The tier of a customer who no longer qualifies.
    pub down: Downgrade,
    /// The least time for which a customer has a tier.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub term: Option<Period>,
    /// The time for which a customer keeps a tier after term and qualification have
    /// ended.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub grace: Option<Period>,
    /// If true, a customer who skips a tier also gets its entry reward.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub skipped_rewards: bool,
}

impl Tiering {
    /// Returns true for the default rules.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The metric that qualifies for tiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum TierMetric {
    /// Money spent: the earning basis, net of refunds. The default.
    #[default]
    Spend,
    /// Points earned, net of clawbacks, without entry rewards.
    PointsEarned,
    /// Orders that were not refunded in full.
    Orders,
}

impl TierMetric {
    /// The metric's value: ten-thousandths of the currency unit, points or orders.
    pub fn value_of(self, counts: Counts) -> i64 {
        match self {
            Self::Spend => counts.spend,
            Self::PointsEarned => counts.points,
            Self::Orders => counts.orders,
        }
    }

    /// A threshold in the unit of [`Self::value_of`].
    pub fn scale_threshold(self, threshold: Amount) -> i64 {
        let parts = threshold.ten_thousandths();
        match self {
            Self::Spend => parts,
            Self::PointsEarned | Self::Orders => parts.checked_div(10_000).unwrap_or_default(),
        }
    }
}

/// The window of time over which a metric is summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum TierWindow {
    /// All time. The default.
    #[default]
    Lifetime,
    /// A number of months before each instant: an order stops counting exactly this long
    /// after it.
    Rolling(Period),
    /// The calendar year in the shop's zone. A tier lasts until the end of the next year.
    CalendarYear,
}

/// The tier of a customer who no longer qualifies for the present one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Downgrade {
    /// The same tier. Only a refund can undo it.
    Never,
    /// The next lower tier, and the one below it after another term.
    OneStep,
    /// The tier for which the customer qualifies. The default.
    #[default]
    ToQualified,
}

/// Checks the tiers with each other and with the rules of tiering.
pub(super) fn check(tiers: &[Tier], tiering: &Tiering, faults: &mut Vec<Fault>) {
    let mut previous: Option<Amount> = None;
    for (index, tier) in tiers.iter().enumerate() {
        let at = |field: &str| format!("/tiers/{index}/{field}");

        if let Some(threshold) = tier.threshold {
            check_threshold(threshold, previous, tiering.metric, &at("threshold"), faults);
            previous = Some(threshold);
        }

        let is_perk = |perk: &String| (1..=MAX_PERK_CHARS).contains(&perk.chars().count());
        if tier.perks.len() > MAX_PERKS || !tier.perks.iter().all(is_perk) {
            let detail =
                format!("must be at most {MAX_PERKS} texts of 1 to {MAX_PERK_CHARS} characters");
            faults.push(Fault::new(at("perks"), "out_of_range", detail));
        }
        if let Some(entry) = &tier.entry {
            gift::check_points(entry.points, entry.gift.as_ref(), at("entry/points"), faults);
        }
    }

    // Without a term, all steps would be taken at the same instant.
    if tiering.down == Downgrade::OneStep && tiering.term.is_none() {
        let detail = "is required when tiers are lowered one step at a time";
        faults.push(Fault::new("/tiering/term", "missing_field", detail));
    }
    if let TierWindow::Rolling(period) = tiering.window
        && !period.is_months_up_to(MAX_ROLLING_MONTHS)
    {
        let detail = format!("must be 1 to {MAX_ROLLING_MONTHS} whole months");
        faults.push(Fault::new("/tiering/window/rolling", "out_of_range", detail));
    }
}

fn check_threshold(
    threshold: Amount,
    previous: Option<Amount>,
    metric: TierMetric,
    pointer: &str,
    faults: &mut Vec<Fault>,
) {
    if previous.is_some_and(|previous| threshold <= previous) {
        let detail = "must be higher than the threshold of the previous tier";
        faults.push(Fault::new(pointer, "contradiction", detail));
    }

    let is_whole = threshold.ten_thousandths().checked_rem(10_000) == Some(0);
    if metric != TierMetric::Spend && !is_whole {
        let detail = "must be a whole number for this metric";
        faults.push(Fault::new(pointer, "invalid_value", detail));
    }
    if threshold.is_zero() {
        faults.push(Fault::new(pointer, "out_of_range", "must be more than zero"));
    }
}

/// Checks one tier by itself.
pub(super) fn check_tier(tier: &Tier, pointer: &str, faults: &mut Vec<Fault>) {
    if tier.name.is_empty()
        || tier.name.chars().count() > 100
        || tier.name.chars().any(char::is_control)
    {
        let detail = "must be 1 to 100 characters";
        faults.push(Fault::new(format!("{pointer}/name"), "invalid_value", detail));
    }
    if tier.multiplier.millionths() > 1_000_000_000 || tier.multiplier.get().is_zero() {
        let detail = "must be more than zero and at most 1000";
        faults.push(Fault::new(format!("{pointer}/multiplier"), "out_of_range", detail));
    }
}
