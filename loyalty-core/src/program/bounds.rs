//! Bounds that several parts of a program share, and the checks against them.

use std::collections::BTreeSet;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::fault::Fault;
use crate::id::TierId;
use crate::limit::{Limit, Quota};

/// How many rules or tiers a program can have.
pub(super) const MAX_ITEMS: usize = 200;

pub(super) const POINTS_RANGE: &str = "must be 1 to 1,000,000,000 points";

pub(super) fn points_in_range(points: Points) -> bool {
    (1..=1_000_000_000).contains(&points.get())
}

pub(super) fn check_limits(limits: &[Limit], pointer: &str, faults: &mut Vec<Fault>) {
    if limits.len() > 10 {
        faults.push(Fault::new(pointer, "too_many", "at most 10 are accepted"));
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

pub(super) fn check_window(
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

pub(super) fn check_tiers(
    asked: &BTreeSet<TierId>,
    known: &BTreeSet<&TierId>,
    pointer: &str,
    faults: &mut Vec<Fault>,
) {
    for (index, tier) in asked.iter().enumerate() {
        if !known.contains(tier) {
            let detail = format!("the program has no tier {tier}");
            faults.push(Fault::new(format!("{pointer}/{index}"), "unknown_tier", detail));
        }
    }
}
