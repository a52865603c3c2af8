//! Bonuses for referrals: one customer, the referrer, invites another, the referee.

use std::collections::BTreeSet;

use super::check::{POINTS_RANGE, points_in_range};
use super::gift::{self, GiftRule};
use crate::amount::{Amount, Points};
use crate::calendar::Period;
use crate::fault::Fault;

/// The bonuses of referrals.
///
/// # Example: bonuses for both sides, and one for five referees
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::{Points, Program};
/// let program = Program::from_json(
///     r#"{"referrals": {"received": 25, "sent": 50, "minimum_spend": "20",
///                       "milestones": [{"friends": 5, "points": 500}]}}"#,
/// )
/// .unwrap();
/// let referrals = program.definition().referrals.as_ref().unwrap();
/// assert_eq!((referrals.sent, referrals.milestones.len()), (Points::from(50), 1));
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Referrals {
    /// Points for the referee, at the first order that qualifies.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub received: Points,
    /// Points for the referrer, after the hold.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub sent: Points,
    /// Least basis of an order that qualifies, net of refunds.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub minimum_spend: Option<Amount>,
    /// The time for which the referrer's points are pending, from the order's gate on.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub hold: Option<Period>,
    /// Bonuses for a number of referees, granted once each.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub milestones: Vec<Milestone>,
    /// A reward of the program for the referee, beside the points or instead of them.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub received_gift: Option<GiftRule>,
    /// A reward of the program for the referrer, after the hold.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub sent_gift: Option<GiftRule>,
}

/// A bonus for a number of referees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Milestone {
    /// Number of referees whose orders qualified.
    pub friends: u32,
    /// Points for the referrer.
    pub points: Points,
    /// A reward of the program beside the points, or instead of them.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub gift: Option<GiftRule>,
}

pub(super) fn check(referrals: &Referrals, faults: &mut Vec<Fault>) {
    for (name, points) in [("received", referrals.received), ("sent", referrals.sent)] {
        if !points.is_zero() && !points_in_range(points) {
            faults.push(Fault::new(format!("/referrals/{name}"), "out_of_range", POINTS_RANGE));
        }
    }

    let mut counts = BTreeSet::new();
    for (index, milestone) in referrals.milestones.iter().enumerate() {
        let at = |field: &str| format!("/referrals/milestones/{index}/{field}");
        if milestone.friends == 0 || !counts.insert(milestone.friends) {
            let detail = "must be distinct numbers greater than zero";
            faults.push(Fault::new(at("friends"), "contradiction", detail));
        }
        gift::check_points(milestone.points, milestone.gift.as_ref(), at("points"), faults);
    }
}
