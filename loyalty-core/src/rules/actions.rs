//! Actions that the shop tells of, codes that customers type, and the limits of both.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::account::{AccountActivity, Usage};
use crate::amount::Points;
use crate::award::AwardReason;
use crate::exact::Fraction;
use crate::id::{ActionId, RuleId};
use crate::limit::{Limit, Quota};
use crate::order::{Allowance, Pin};
use crate::program::{ActionKind, ActionRule, EarningRule, Program, normalize_code};
use crate::rejection::Rejection;
use crate::rules::bonus::BonusGrant;
use crate::rules::work::DecisionBuilder;

/// How many of the wanted points limits leave, and the limit that cut them. The limit that refuses, where
/// one does.
pub(crate) fn apply_limits(
    limits: &[Limit],
    usage: Option<&Usage>,
    day: NaiveDate,
    wanted: Points,
) -> Result<(Points, Option<Limit>), Limit> {
    let mut left = (wanted, None);
    for limit in limits {
        let tally = usage.map(|usage| usage.tally(limit.per, day)).unwrap_or_default();
        match limit.quota {
            Quota::Times(times) if tally.times >= times => return Err(*limit),
            Quota::Times(_) => {}
            Quota::Points(points) => {
                let room = points.saturating_sub(tally.points);
                if !room.is_positive() || (room < wanted && !limit.partial) {
                    return Err(*limit);
                }
                if room < left.0 {
                    left = (room, Some(*limit));
                }
            }
        }
    }
    Ok(left)
}

/// The room that each rule with a limit has for an order.
pub(crate) fn allowances(
    program: &Program,
    deeds: &AccountActivity,
    day: NaiveDate,
) -> BTreeMap<RuleId, Allowance> {
    let limited = program
        .definition()
        .earning
        .iter()
        .filter(|rule| !rule.limits.is_empty());
    let room = |rule: &EarningRule| {
        // As much as there may be at most; what is too much for a limit that refuses is found later.
        let points = remaining_allowance(rule.limits.iter(), deeds.rule(&rule.id), day);
        (rule.id.clone(), Allowance { points, day })
    };
    limited.map(room).collect()
}

/// What these limits leave, if each of them cuts.
fn remaining_allowance<'a>(
    limits: impl Iterator<Item = &'a Limit>,
    usage: Option<&Usage>,
    day: NaiveDate,
) -> Points {
    let partial: Vec<Limit> = limits.map(|limit| Limit { partial: true, ..*limit }).collect();
    apply_limits(&partial, usage, day, Points::MAX).map_or(Points::ZERO, |(left, _)| left)
}

/// Closes the rooms of rules that would be cut by a limit that refuses. `wanted` is what each rule would
/// give without limits.
pub(crate) fn exhaust_allowances(
    program: &Program,
    deeds: &AccountActivity,
    pin: &mut Pin,
    wanted: &BTreeMap<RuleId, Fraction>,
) {
    for rule in &program.definition().earning {
        let Some(room) = pin.allowances.get_mut(&rule.id) else { continue };
        let refusing = rule.limits.iter().filter(|limit| !limit.partial);
        let most =
            Fraction::from_points(remaining_allowance(refusing, deeds.rule(&rule.id), room.day));
        if wanted.get(&rule.id).is_some_and(|wanted| !most.is_at_least(wanted)) {
            room.points = Points::ZERO;
        }
    }
}

impl DecisionBuilder<'_> {
    /// The shop says that the customer did something.
    pub(crate) fn perform_action(
        &mut self,
        id: &ActionId,
        points: Option<Points>,
    ) -> Result<(), Rejection> {
        let actions = &self.context.program().definition().actions;
        let action = actions
            .iter()
            .find(|action| action.id == *id && action.kind.is_reported_by_shop());
        let action = action.ok_or_else(|| Rejection::UnknownAction { action: id.clone() })?;
        if points.is_some() && !action.points_override {
            return Err(Rejection::NoPointsOverride { action: id.clone() });
        }
        let points = points.unwrap_or(action.points);
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        self.grant_for_action(action, points, AwardReason::Action { action: id.clone() })
    }

    /// The customer signed up: each sign-up action pays once.
    pub(crate) fn sign_up(&mut self) -> Result<(), Rejection> {
        let actions = &self.context.program().definition().actions;
        for action in actions.iter().filter(|action| action.kind == ActionKind::SignUp) {
            let done = self.account.activity().action(&action.id).is_some();
            if !done && self.is_open(action) {
                self.grant_for_action(
                    action,
                    action.points,
                    AwardReason::SignUp { action: action.id.clone() },
                )?;
            }
        }
        Ok(())
    }

    /// The customer types a code. Whatever is wrong with it, the answer is the same.
    pub(crate) fn enter_code(&mut self, code: &str, taken: bool) -> Result<(), Rejection> {
        let folded = normalize_code(code);
        let actions = &self.context.program().definition().actions;
        let action = actions
            .iter()
            .find(|action| action.kind.has_code(&folded))
            .ok_or(Rejection::UnknownCode)?;
        let single = matches!(action.kind, ActionKind::Codes(_));
        if (single && taken)
            || self.account.activity().has_used_code(&folded)
            || !self.is_open(action)
        {
            return Err(Rejection::UnknownCode);
        }
        let reason = AwardReason::Code { action: action.id.clone(), code: Arc::from(folded) };
        self.grant_for_action(action, action.points, reason)
    }

    fn is_open(&self, action: &ActionRule) -> bool {
        let now = self.context.now;
        action
            .when
            .are_met(self.context.tags, self.account.current_tier_id(now), now)
    }

    fn grant_for_action(
        &mut self,
        action: &ActionRule,
        wanted: Points,
        reason: AwardReason,
    ) -> Result<(), Rejection> {
        let (context, id) = (self.context, || action.id.clone());
        if !self.is_open(action) {
            return Err(Rejection::ActionNotOpen { action: id() });
        }
        let day = context.zone.local(context.now)?.date();
        let usage = self.account.activity().action(&action.id);
        let found = apply_limits(&action.limits, usage, day, wanted);
        let (points, cut) =
            found.map_err(|limit| Rejection::LimitReached { action: id(), limit })?;
        let bonus = BonusGrant {
            uncapped: wanted,
            hold: action.hold,
            limited_by: cut,
            ..BonusGrant::new(context.now, points, reason)
        };
        if self.grant(bonus, &context.period) { Ok(()) } else { Err(Rejection::PointsOutOfRange) }
    }
}
