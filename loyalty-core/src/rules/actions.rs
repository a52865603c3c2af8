//! Bonuses for actions that the shop reports and for codes that customers enter; limits
//! of actions, rules and rewards.

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

/// Applies limits to points: what they leave, and the limit that lowered them, if any.
///
/// # Errors
/// The first limit that allows none, or not all of them without being `partial`.
pub(crate) fn apply_limits(
    limits: &[Limit],
    usage: Option<&Usage>,
    day: NaiveDate,
    points: Points,
) -> Result<(Points, Option<Limit>), Limit> {
    let mut allowed = (points, None);
    for limit in limits {
        let used = usage.map(|usage| usage.tally(limit.per, day)).unwrap_or_default();
        match limit.quota {
            Quota::Times(times) if used.times >= times => return Err(*limit),
            Quota::Times(_) => {}
            Quota::Points(most) => {
                let left = most.saturating_sub(used.points);
                if !left.is_positive() || (left < points && !limit.partial) {
                    return Err(*limit);
                }
                if left < allowed.0 {
                    allowed = (left, Some(*limit));
                }
            }
        }
    }
    Ok(allowed)
}

/// The allowance of each rule with limits, for one order.
pub(crate) fn allowances(
    program: &Program,
    activity: &AccountActivity,
    day: NaiveDate,
) -> BTreeMap<RuleId, Allowance> {
    let limited = program
        .definition()
        .earning
        .iter()
        .filter(|rule| !rule.limits.is_empty());
    let allowance = |rule: &EarningRule| {
        // The most that may be left. Limits that are not partial come later: they need
        // the order's points.
        let points = remaining_allowance(rule.limits.iter(), activity.rule(&rule.id), day);
        (rule.id.clone(), Allowance { points, day })
    };
    limited.map(allowance).collect()
}

/// The points that limits leave if all of them are partial.
fn remaining_allowance<'a>(
    limits: impl Iterator<Item = &'a Limit>,
    usage: Option<&Usage>,
    day: NaiveDate,
) -> Points {
    let partial: Vec<Limit> = limits.map(|limit| Limit { partial: true, ..*limit }).collect();
    apply_limits(&partial, usage, day, Points::MAX).map_or(Points::ZERO, |(left, _)| left)
}

/// Sets the allowance of a rule to zero if a limit that is not partial cannot hold all of
/// its points. `uncapped` are the points of each rule without limits.
pub(crate) fn exhaust_allowances(
    program: &Program,
    activity: &AccountActivity,
    pin: &mut Pin,
    uncapped: &BTreeMap<RuleId, Fraction>,
) {
    for rule in &program.definition().earning {
        let Some(allowance) = pin.allowances.get_mut(&rule.id) else {
            continue;
        };

        let strict = rule.limits.iter().filter(|limit| !limit.partial);
        let usage = activity.rule(&rule.id);
        let most = Fraction::from_points(remaining_allowance(strict, usage, allowance.day));
        if uncapped.get(&rule.id).is_some_and(|points| !most.is_at_least(points)) {
            allowance.points = Points::ZERO;
        }
    }
}

impl DecisionBuilder<'_> {
    /// Grants the bonus of an action that the shop reports.
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
        let is_gift_alone = points.is_zero() && action.gift.is_some();
        if !points.is_positive() && !is_gift_alone {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }

        self.grant_for_action(action, points, AwardReason::Action { action: id.clone() })
    }

    /// Grants the bonus of each sign-up action, once per customer.
    pub(crate) fn sign_up(&mut self) -> Result<(), Rejection> {
        let actions = &self.context.program().definition().actions;
        for action in actions.iter().filter(|action| action.kind == ActionKind::SignUp) {
            let is_done = self.account.activity().action(&action.id).is_some();
            if !is_done && self.is_open(action) {
                let reason = AwardReason::SignUp { action: action.id.clone() };
                self.grant_for_action(action, action.points, reason)?;
            }
        }
        Ok(())
    }

    /// Grants the bonus of a code. `used_by_other` is true if another customer has used
    /// it.
    ///
    /// # Errors
    /// [`Rejection::UnknownCode`] or [`Rejection::UnusableCode`], which read alike, so that
    /// nobody learns which codes exist.
    pub(crate) fn enter_code(&mut self, code: &str, used_by_other: bool) -> Result<(), Rejection> {
        let code = normalize_code(code);
        let actions = &self.context.program().definition().actions;
        let action = actions
            .iter()
            .find(|action| action.kind.has_code(&code))
            .ok_or(Rejection::UnknownCode)?;

        let is_single_use = matches!(action.kind, ActionKind::Codes(_));
        if (is_single_use && used_by_other)
            || self.account.activity().has_used_code(&code)
            || !self.is_open(action)
        {
            return Err(Rejection::UnusableCode);
        }

        let reason = AwardReason::Code { action: action.id.clone(), code: Arc::from(code) };
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
        uncapped: Points,
        reason: AwardReason,
    ) -> Result<(), Rejection> {
        let (context, id) = (self.context, || action.id.clone());
        if !self.is_open(action) {
            return Err(Rejection::ActionNotOpen { action: id() });
        }

        let day = context.zone.local(context.now)?.date();
        let usage = self.account.activity().action(&action.id);
        let (points, limited_by) = apply_limits(&action.limits, usage, day, uncapped)
            .map_err(|limit| Rejection::LimitReached { action: id(), limit })?;

        let bonus = BonusGrant {
            uncapped,
            hold: action.hold,
            limited_by,
            gift: action.gift.as_ref(),
            ..BonusGrant::new(context.now, points, reason)
        };
        if self.grant(bonus, &context.period) { Ok(()) } else { Err(Rejection::PointsOutOfRange) }
    }
}
