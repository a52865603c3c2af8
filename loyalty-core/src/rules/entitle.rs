//! The entitlement of an order: the points that it earns, given all that is known of it
//! now.
//!
//! Each rule is applied to its part of the [basis](super::basis). The sum is multiplied
//! by tier and campaigns, then rounded once. Everything before the rounding is an exact
//! fraction.

use std::collections::BTreeMap;

use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::exact::{Fraction, Overflow};
use crate::explain::{EarningStatus, Explanation, Multiplier, RuleShare};
use crate::id::RuleId;
use crate::order::{Order, OrderState, Origin, Pin, Status};
use crate::program::{Campaign, Program, RefundPolicy};
use crate::rules::basis::{ApplicableRule, OrderBasis};
use crate::rules::{campaign, refund};

/// The points that an order earns under the program that it is pinned to, with the
/// reasons.
///
/// Depends on the facts and the pin alone, not on their order of arrival nor on the
/// points posted so far.
///
/// # Errors
/// [`Overflow`] if amounts are too large for fractions of 256 bits.
pub fn entitlement(
    state: &OrderState,
    program: &Program,
    pin: &Pin,
) -> Result<Explanation, Overflow> {
    let order = state.snapshot().map(|recorded| &*recorded.order);
    let origin = state.snapshot().map_or(Origin::Shop, |recorded| recorded.origin);
    let gate = program.gate(origin);
    let status = if state.is_cancelled() {
        EarningStatus::Cancelled
    } else if state.status().is_none_or(|reached| reached < gate) {
        EarningStatus::BelowGate { gate }
    } else if claws_back_refunds(program)
        && refund::is_all_returned(state, program.definition().basis.shipping)?
    {
        EarningStatus::Refunded
    } else {
        EarningStatus::Entitled
    };

    match order {
        Some(order) if status == EarningStatus::Entitled => {
            explain_entitled(state, order, gate, program, pin)
        }
        _ => Ok(no_entitlement(status, program, pin)),
    }
}

/// The points of each rule without limits, before rounding.
pub(crate) fn unlimited_points(
    state: &OrderState,
    program: &Program,
    pin: &Pin,
) -> Result<BTreeMap<RuleId, Fraction>, Overflow> {
    let unlimited = Pin { allowances: BTreeMap::new(), ..pin.clone() };
    let shares = entitlement(state, program, &unlimited)?.rules;
    Ok(shares.into_iter().map(|share| (share.rule, share.points)).collect())
}

fn claws_back_refunds(program: &Program) -> bool {
    program.definition().refunds == RefundPolicy::ClawBack
}

fn no_entitlement(status: EarningStatus, program: &Program, pin: &Pin) -> Explanation {
    Explanation {
        program: pin.program,
        status,
        lines: Vec::new(),
        extras: Amount::ZERO,
        remaining: None,
        rules: Vec::new(),
        multipliers: Vec::new(),
        campaigns: Vec::new(),
        spend: Amount::ZERO,
        exact: Fraction::ZERO,
        rounding: program.definition().rounding,
        points: Points::ZERO,
    }
}

fn explain_entitled(
    state: &OrderState,
    order: &Order,
    gate: Status,
    program: &Program,
    pin: &Pin,
) -> Result<Explanation, Overflow> {
    let mut basis = OrderBasis::new(state, order, program, claws_back_refunds(program))?;
    let at = placed_at(state, order, gate).unwrap_or(pin.gate_at);
    let total = basis.total()?;
    let rules = ApplicableRule::all_for(program, pin, order, at, &total);
    let unclaimed = basis.base_rule_basis(&rules, &total)?;

    let mut shares = Vec::with_capacity(rules.len());
    let mut exact = Fraction::ZERO;
    for applied in &rules {
        let rule = applied.rule;
        let basis_of_rule = applied.basis_of(&basis, &unclaimed)?;
        let allowance = pin.allowances.get(&rule.id).copied();
        let items = applied.items_of(&basis)?;
        let points = applied.compute_points(&basis, &basis_of_rule, items.as_ref(), allowance)?;
        exact = exact.plus(&points)?;
        if !points.is_zero() || !rule.when.is_scoped() {
            shares.push(RuleShare {
                rule: rule.id.clone(),
                earn: rule.earn,
                basis: basis_of_rule,
                items,
                points,
                allowance,
            });
        }
    }

    let multipliers = multipliers(program, pin);
    let local = pin.local(at);
    let is_active = |campaign: &&Campaign| {
        pin.campaigns.contains(&campaign.id) && campaign.order.are_met_by_order(order, local)
    };
    let active: Vec<_> = program.definition().campaigns.iter().filter(is_active).collect();
    let campaigns = if active.is_empty() {
        Vec::new()
    } else {
        campaign::campaign_shares(&basis, program, &active, &rules, &shares, multipliers.first())?
    };

    // Campaign shares are computed on the points before the tier multiplies them.
    for multiplier in &multipliers {
        exact = exact.times(&Fraction::from_rate(multiplier.factor))?;
    }
    for share in &campaigns {
        exact = exact.plus(&share.points)?;
    }

    let points = exact.round(program.definition().rounding)?;
    let explanation = no_entitlement(EarningStatus::Entitled, program, pin);
    let (extras, remaining) = (basis.extras_amount, basis.remaining);
    Ok(Explanation {
        lines: basis.explain_lines(),
        extras,
        remaining,
        rules: shares,
        multipliers,
        campaigns,
        spend: qualifying_spend(state, order, program, total)?.to_amount_rounded_down(),
        exact,
        points,
        ..explanation
    })
}

/// The spend that tiers and goals count. Refunds are deducted even if the program lets
/// their points stay.
fn qualifying_spend(
    state: &OrderState,
    order: &Order,
    program: &Program,
    total: Fraction,
) -> Result<Fraction, Overflow> {
    if claws_back_refunds(program) || state.refunds().is_empty() {
        Ok(total)
    } else if refund::is_all_returned(state, program.definition().basis.shipping)? {
        Ok(Fraction::ZERO)
    } else {
        OrderBasis::new(state, order, program, true)?.total()
    }
}

/// The instant at which an order counts as placed: the shop's, else when it first reached
/// the gate.
pub(crate) fn placed_at(state: &OrderState, order: &Order, gate: Status) -> Option<Timestamp> {
    order.placed_at.or_else(|| state.first_reached_at(gate))
}

fn multipliers(program: &Program, pin: &Pin) -> Vec<Multiplier> {
    let tier = pin.tier.as_ref().and_then(|id| program.tier(id));
    let tier = tier.filter(|tier| tier.multiplier != crate::amount::Rate::ONE);
    tier.map(|tier| Multiplier { tier: tier.id.clone(), factor: tier.multiplier })
        .into_iter()
        .collect()
}
