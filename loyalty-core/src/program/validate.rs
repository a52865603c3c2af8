//! Validation of a whole program: the checks of its parts, and those across parts.

use std::collections::BTreeSet;

use super::check::{MAX_ITEMS, duplicate_id};
use super::{ProgramDefinition, RewardPricing, action, campaign, earning, referral, reward, tier};
use crate::fault::Fault;
use crate::id::TierId;

/// Returns all faults of a program; none if it is valid.
pub(super) fn find_faults(program: &ProgramDefinition) -> Vec<Fault> {
    let mut faults = Vec::new();

    check_list_sizes(program, &mut faults);
    check_earning(program, &mut faults);
    let tiers = check_tiers(program, &mut faults);

    campaign::check(&program.campaigns, &tiers, &mut faults);
    tier::check(&program.tiers, &program.tiering, &mut faults);
    action::check(&program.actions, &tiers, &mut faults);
    if let Some(referrals) = &program.referrals {
        referral::check(referrals, &mut faults);
    }
    reward::check(&program.rewards, &tiers, &mut faults);
    reward::check_terms(&program.redemption, &mut faults);
    check_gifts(program, &mut faults);

    if program.point_value.is_some_and(|value| value.is_zero()) {
        faults.push(Fault::new("/point_value", "out_of_range", "must be more than zero"));
    }
    faults
}

/// Checks that each gift is a reward of the program, and needs no choice of the customer.
fn check_gifts(program: &ProgramDefinition, faults: &mut Vec<Fault>) {
    for (pointer, gift) in program.gifts() {
        let pointer = format!("{pointer}/reward");
        match program.rewards.iter().find(|reward| reward.id == gift.reward) {
            None => {
                let detail = format!("the program has no reward {}", gift.reward);
                faults.push(Fault::new(pointer, "unknown_reward", detail));
            }
            Some(reward) if matches!(reward.offer, RewardPricing::Variable(_)) => {
                let detail =
                    "must be a reward of a fixed cost: nobody chooses the amount of a gift";
                faults.push(Fault::new(pointer, "contradiction", detail));
            }
            Some(_) => {}
        }
    }
}

fn check_list_sizes(program: &ProgramDefinition, faults: &mut Vec<Fault>) {
    let lists = [
        ("earning", program.earning.len()),
        ("campaigns", program.campaigns.len()),
        ("tiers", program.tiers.len()),
        ("actions", program.actions.len()),
        ("rewards", program.rewards.len()),
    ];

    for (name, _) in lists.into_iter().filter(|(_, count)| *count > MAX_ITEMS) {
        let detail = format!("at most {MAX_ITEMS} are accepted");
        faults.push(Fault::new(format!("/{name}"), "too_many", detail));
    }
}

fn check_earning(program: &ProgramDefinition, faults: &mut Vec<Fault>) {
    let mut ids = BTreeSet::new();
    for (index, rule) in program.earning.iter().enumerate() {
        let pointer = format!("/earning/{index}");
        if !ids.insert(&rule.id) {
            faults.push(duplicate_id(&pointer, &rule.id));
        }
        earning::check(rule, &pointer, faults);
    }
}

/// Checks each tier by itself, and returns their ids for the conditions that name tiers.
fn check_tiers<'a>(
    program: &'a ProgramDefinition,
    faults: &mut Vec<Fault>,
) -> BTreeSet<&'a TierId> {
    let mut ids = BTreeSet::new();
    for (index, tier) in program.tiers.iter().enumerate() {
        let pointer = format!("/tiers/{index}");
        if !ids.insert(&tier.id) {
            faults.push(duplicate_id(&pointer, &tier.id));
        }
        tier::check_tier(tier, &pointer, faults);
    }
    ids
}
