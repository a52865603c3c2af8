//! What a program must hold as a whole.

use std::collections::BTreeSet;

use super::bounds::{MAX_ITEMS, POINTS_RANGE, check_limits, points_in_range};
use super::{
    EarningConditions, EarningFormula, EarningRule, ProgramDefinition, Tier, action, campaign,
    referral, reward, tier,
};
use crate::fault::Fault;

/// Everything that is wrong, in the order of the document.
pub(super) fn find_faults(parts: &ProgramDefinition) -> Vec<Fault> {
    let mut faults = Vec::new();
    let lists = [
        ("earning", parts.earning.len()),
        ("campaigns", parts.campaigns.len()),
        ("tiers", parts.tiers.len()),
        ("actions", parts.actions.len()),
        ("rewards", parts.rewards.len()),
    ];
    for (name, count) in lists {
        if count > MAX_ITEMS {
            faults.push(Fault::new(
                format!("/{name}"),
                "too_many",
                format!("at most {MAX_ITEMS} are accepted"),
            ));
        }
    }
    let mut names = BTreeSet::new();
    for (index, rule) in parts.earning.iter().enumerate() {
        let pointer = format!("/earning/{index}");
        if !names.insert(&rule.id) {
            faults.push(duplicate_id(&pointer, rule.id.as_str()));
        }
        check_rule(rule, &pointer, &mut faults);
    }
    let mut names = BTreeSet::new();
    for (index, tier) in parts.tiers.iter().enumerate() {
        let pointer = format!("/tiers/{index}");
        if !names.insert(&tier.id) {
            faults.push(duplicate_id(&pointer, tier.id.as_str()));
        }
        check_tier(tier, &pointer, &mut faults);
    }
    let tiers = names;
    campaign::check(&parts.campaigns, &tiers, &mut faults);
    tier::check(&parts.tiers, &parts.tiering, &mut faults);
    action::check(&parts.actions, &tiers, &mut faults);
    if let Some(referrals) = &parts.referrals {
        referral::check(referrals, &mut faults);
    }
    reward::check(&parts.rewards, &tiers, &mut faults);
    if parts.point_value.is_some_and(|value| value.is_zero()) {
        faults.push(Fault::new("/point_value", "out_of_range", "must be more than zero"));
    }
    faults
}

fn duplicate_id(pointer: &str, id: &str) -> Fault {
    Fault::new(
        format!("{pointer}/id"),
        "duplicate_id",
        format!("the id {id} stands here twice"),
    )
}

fn check_rule(rule: &EarningRule, pointer: &str, faults: &mut Vec<Fault>) {
    let positive = "must be more than zero";
    match rule.earn {
        EarningFormula::PerUnit(rate) if rate.get().is_zero() => {
            faults.push(Fault::new(format!("{pointer}/earn/per_unit"), "out_of_range", positive));
        }
        EarningFormula::PerIncrement { amount, .. } if amount.is_zero() => {
            faults.push(Fault::new(
                format!("{pointer}/earn/per_increment/amount"),
                "out_of_range",
                positive,
            ));
        }
        EarningFormula::PerIncrement { points, .. } if !points_in_range(points) => {
            faults.push(Fault::new(
                format!("{pointer}/earn/per_increment/points"),
                "out_of_range",
                POINTS_RANGE,
            ));
        }
        EarningFormula::PerOrder(points) if !points_in_range(points) => {
            faults.push(Fault::new(
                format!("{pointer}/earn/per_order"),
                "out_of_range",
                POINTS_RANGE,
            ));
        }
        EarningFormula::PerUnit(_)
        | EarningFormula::PerIncrement { .. }
        | EarningFormula::PerOrder(_) => {}
    }
    check_conditions(&rule.when, pointer, faults);
    check_limits(&rule.limits, &format!("{pointer}/limits"), faults);
    if rule.replaces_base && !rule.when.is_scoped() {
        let detail = "a rule that replaces others must name products or categories";
        faults.push(Fault::new(format!("{pointer}/replaces_base"), "contradiction", detail));
    }
}

fn check_conditions(when: &EarningConditions, pointer: &str, faults: &mut Vec<Fault>) {
    if let (Some(from), Some(until)) = (when.from, when.until)
        && from >= until
    {
        let detail = "must be later than from";
        faults.push(Fault::new(format!("{pointer}/when/until"), "contradiction", detail));
    }
}

fn check_tier(tier: &Tier, pointer: &str, faults: &mut Vec<Fault>) {
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
