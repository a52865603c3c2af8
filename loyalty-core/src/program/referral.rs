//! Referrals: customers bring friends.

use std::collections::BTreeSet;

use super::bounds::{POINTS_RANGE, points_in_range};
use crate::amount::{Amount, Points};
use crate::calendar::Period;
use crate::fault::Fault;

/// What bringing friends is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Referrals {
    /// Points for who was brought, with the first order that qualifies.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub received: Points,
    /// Points for who brought them, when their own hold is over.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "crate::amount::is_zero"))]
    pub sent: Points,
    /// What the order's basis must be at least, refunds deducted.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub minimum_spend: Option<Amount>,
    /// How long the points of who brought them are pending, from the order's gate.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub hold: Option<Period>,
    /// More points for a number of friends, once each.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub milestones: Vec<Milestone>,
}

/// More points for a number of friends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Milestone {
    /// How many friends.
    pub friends: u32,
    /// How many points.
    pub points: Points,
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
            faults.push(Fault::new(
                at("friends"),
                "contradiction",
                "must be more than zero, each number once",
            ));
        }
        if !points_in_range(milestone.points) {
            faults.push(Fault::new(at("points"), "out_of_range", POINTS_RANGE));
        }
    }
}
