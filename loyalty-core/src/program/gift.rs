//! Gifts: rewards of the program that are given for a cause, at no cost in points.

use super::ProgramDefinition;
use super::check::{POINTS_RANGE, points_in_range};
use crate::amount::Points;
use crate::fault::Fault;
use crate::id::RewardId;

/// A reward that is given for a cause, beside or instead of points.
///
/// The customer gets a redemption at no cost. Neither the conditions nor the limits of the
/// reward stop it, and it does not count for them.
///
/// # Example: a mug for gold, for good
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::Program;
/// use loyalty_core::program::GiftPolicy;
/// let program = Program::from_json(
///     r#"{"tiers": [{"id": "gold", "name": "Gold", "threshold": "1000",
///                    "entry": {"gift": {"reward": "mug", "when_undone": "keep"}}}],
///         "rewards": [{"id": "mug", "name": "A mug", "cost": 300, "gives": "custom"}]}"#,
/// )
/// .unwrap();
/// let entry = program.definition().tiers[0].entry.as_ref().unwrap();
/// assert_eq!(entry.gift.as_ref().unwrap().when_undone, GiftPolicy::Keep);
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct GiftRule {
    /// The reward.
    pub reward: RewardId,
    /// What becomes of it where its cause is undone.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "GiftPolicy::is_default"))]
    pub when_undone: GiftPolicy,
}

/// What becomes of a gift whose cause is undone: a refund ends the tier, a referral no longer
/// counts, a goal is no longer reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum GiftPolicy {
    /// It is taken back unless it was used. The default.
    #[default]
    TakeBack,
    /// The customer keeps it.
    Keep,
}

impl GiftPolicy {
    /// All policies with their names in a program.
    pub const NAMES: [(&'static str, Self); 2] =
        [("take_back", Self::TakeBack), ("keep", Self::Keep)];

    /// Returns true for the default policy.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ProgramDefinition {
    /// The gifts, each with its place in the document.
    pub(crate) fn gifts(&self) -> impl Iterator<Item = (String, &GiftRule)> {
        let tiers = self.tiers.iter().enumerate().filter_map(|(index, tier)| {
            let gift = tier.entry.as_ref()?.gift.as_ref()?;
            Some((format!("/tiers/{index}/entry/gift"), gift))
        });
        let actions = self.actions.iter().enumerate().filter_map(|(index, action)| {
            Some((format!("/actions/{index}/gift"), action.gift.as_ref()?))
        });
        let referrals = self.referrals.iter().flat_map(|referrals| {
            let sides =
                [("received_gift", &referrals.received_gift), ("sent_gift", &referrals.sent_gift)];
            let sides = sides
                .into_iter()
                .filter_map(|(name, gift)| Some((format!("/referrals/{name}"), gift.as_ref()?)));
            let milestones = referrals.milestones.iter().enumerate();
            sides.chain(milestones.filter_map(|(index, milestone)| {
                let pointer = format!("/referrals/milestones/{index}/gift");
                Some((pointer, milestone.gift.as_ref()?))
            }))
        });
        tiers.chain(actions).chain(referrals)
    }
}

/// Checks the points of a bonus. None are needed beside a gift.
pub(super) fn check_points(
    points: Points,
    gift: Option<&GiftRule>,
    pointer: String,
    faults: &mut Vec<Fault>,
) {
    let is_gift_alone = points.is_zero() && gift.is_some();
    if !is_gift_alone && !points_in_range(points) {
        faults.push(Fault::new(pointer, "out_of_range", POINTS_RANGE));
    }
}
