//! Checks that several parts of a program share.

use std::collections::BTreeSet;
use std::fmt;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::fault::Fault;
use crate::id::TierId;
use crate::limit::{Limit, Quota};

/// The largest number of items in each list of a program: earning rules, tiers, rewards
/// and so on.
pub(super) const MAX_ITEMS: usize = 200;

/// The largest number of limits of one rule, action or reward.
const MAX_LIMITS: usize = 10;

pub(super) const POINTS_RANGE: &str = "must be 1 to 1,000,000,000 points";

/// Returns true if a program may grant or charge this number of points at once.
pub(super) fn points_in_range(points: Points) -> bool {
    (1..=1_000_000_000).contains(&points.get())
}

/// The fault of an id that an earlier item of the same list has.
pub(super) fn duplicate_id(pointer: &str, id: impl fmt::Display) -> Fault {
    Fault::new(format!("{pointer}/id"), "duplicate_id", format!("duplicate id {id}"))
}

/// Checks the limits of a rule, an action or a reward.
pub(super) fn check_limits(limits: &[Limit], pointer: &str, faults: &mut Vec<Fault>) {
    if limits.len() > MAX_LIMITS {
        faults.push(Fault::new(pointer, "too_many", format!("at most {MAX_LIMITS} are accepted")));
    }
    for (index, limit) in limits.iter().enumerate() {
        let wrong = match limit.quota {
            Quota::Times(0) => Some(("times", "must be more than zero")),
            Quota::Points(points) if !points_in_range(points) => Some(("points", POINTS_RANGE)),
            Quota::Times(_) | Quota::Points(_) => None,
        };
        if let Some((field, detail)) = wrong {
            faults.push(Fault::new(format!("{pointer}/{index}/{field}"), "out_of_range", detail));
        }
    }
}

/// Checks that a validity begins before it ends.
pub(super) fn check_validity(
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    pointer: &str,
    faults: &mut Vec<Fault>,
) {
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        faults.push(Fault::new(
            format!("{pointer}/until"),
            "contradiction",
            "must be later than from",
        ));
    }
}

/// Checks that the program has all tiers that a condition names.
pub(super) fn check_tiers(
    named: &BTreeSet<TierId>,
    known: &BTreeSet<&TierId>,
    pointer: &str,
    faults: &mut Vec<Fault>,
) {
    for (index, tier) in named.iter().enumerate() {
        if !known.contains(tier) {
            let detail = format!("the program has no tier {tier}");
            faults.push(Fault::new(format!("{pointer}/{index}"), "unknown_tier", detail));
        }
    }
}
