//! Actions that the shop tells of, codes that customers type, and the limits of both.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::account::{Deeds, Usage};
use crate::amount::Points;
use crate::award::{Limit, Quota, Reason};
use crate::decide::Work;
use crate::event::Event;
use crate::exact::Fraction;
use crate::id::{ActionId, RuleId};
use crate::order::{Pin, Room};
use crate::program::{ActionKind, ActionRule, EarningRule, Program, fold_code};
use crate::rejection::Rejection;
use crate::rules::due::Gift;

/// How many of the wanted points limits leave, and the limit that cut them. The limit that refuses, where
/// one does.
pub(crate) fn within(
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
pub(crate) fn rooms(program: &Program, deeds: &Deeds, day: NaiveDate) -> BTreeMap<RuleId, Room> {
    let limited = program.parts().earning.iter().filter(|rule| !rule.limits.is_empty());
    let room = |rule: &EarningRule| {
        // As much as there may be at most; what is too much for a limit that refuses is found later.
        let points = room_within(rule.limits.iter(), deeds.rule(&rule.id), day);
        (rule.id.clone(), Room { points, day })
    };
    limited.map(room).collect()
}

/// What these limits leave, if each of them cuts.
fn room_within<'a>(
    limits: impl Iterator<Item = &'a Limit>,
    usage: Option<&Usage>,
    day: NaiveDate,
) -> Points {
    let partial: Vec<Limit> = limits.map(|limit| Limit { partial: true, ..*limit }).collect();
    within(&partial, usage, day, Points::MAX).map_or(Points::ZERO, |(left, _)| left)
}

/// Closes the rooms of rules that would be cut by a limit that refuses. `wanted` is what each rule would
/// give without limits.
pub(crate) fn close_rooms(
    program: &Program,
    deeds: &Deeds,
    pin: &mut Pin,
    wanted: &BTreeMap<RuleId, Fraction>,
) {
    for rule in &program.parts().earning {
        let Some(room) = pin.rooms.get_mut(&rule.id) else { continue };
        let refusing = rule.limits.iter().filter(|limit| !limit.partial);
        let most = Fraction::whole(room_within(refusing, deeds.rule(&rule.id), room.day));
        if wanted.get(&rule.id).is_some_and(|wanted| !most.is_at_least(wanted)) {
            room.points = Points::ZERO;
        }
    }
}

impl Work<'_> {
    /// The shop says that the customer did something.
    pub(crate) fn perform(
        &mut self,
        id: &ActionId,
        points: Option<Points>,
    ) -> Result<(), Rejection> {
        let actions = &self.context.program.1.parts().actions;
        let action = actions
            .iter()
            .find(|action| action.id == *id && action.kind.is_told());
        let action = action.ok_or_else(|| Rejection::UnknownAction { action: id.clone() })?;
        if points.is_some() && !action.points_override {
            return Err(Rejection::NoPointsOverride { action: id.clone() });
        }
        let points = points.unwrap_or(action.points);
        if !points.is_positive() {
            return Err(Rejection::InvalidPoints { expected: "more than zero" });
        }
        self.reward(action, points, Reason::Action { action: id.clone() })
    }

    /// The customer signed up: each sign-up action pays once.
    pub(crate) fn sign_up(&mut self) -> Result<(), Rejection> {
        let actions = &self.context.program.1.parts().actions;
        for action in actions.iter().filter(|action| action.kind == ActionKind::SignUp) {
            let done = self.account.deeds().action(&action.id).is_some();
            if !done && self.is_open(action) {
                self.reward(action, action.points, Reason::SignUp { action: action.id.clone() })?;
            }
        }
        Ok(())
    }

    /// The customer types a code. Whatever is wrong with it, the answer is the same.
    pub(crate) fn enter_code(&mut self, code: &str, taken: bool) -> Result<(), Rejection> {
        let folded = fold_code(code);
        let actions = &self.context.program.1.parts().actions;
        let action = actions
            .iter()
            .find(|action| action.kind.has_code(&folded))
            .ok_or(Rejection::UnknownCode)?;
        let single = matches!(action.kind, ActionKind::Codes(_));
        if (single && taken) || self.account.deeds().has_used(&folded) || !self.is_open(action) {
            return Err(Rejection::UnknownCode);
        }
        let reason = Reason::Code { action: action.id.clone(), code: Arc::from(folded) };
        self.reward(action, action.points, reason)
    }

    fn is_open(&self, action: &ActionRule) -> bool {
        let now = self.context.now;
        action.when.hold(self.context.tags, self.account.tier_id(now), now)
    }

    fn reward(
        &mut self,
        action: &ActionRule,
        wanted: Points,
        reason: Reason,
    ) -> Result<(), Rejection> {
        let (context, id) = (self.context, || action.id.clone());
        if !self.is_open(action) {
            return Err(Rejection::ActionNotOpen { action: id() });
        }
        let day = context.zone.local(context.now)?.date();
        let usage = self.account.deeds().action(&action.id);
        let found = within(&action.limits, usage, day, wanted);
        let (points, cut) =
            found.map_err(|limit| Rejection::LimitReached { action: id(), limit })?;
        let before = self.events.len();
        let (at, hold) = (context.now, action.hold);
        self.give_within(Gift { at, gate: at, points, wanted, hold, reason, cut }, &context.term());
        let given = self
            .events
            .iter()
            .skip(before)
            .any(|event| matches!(event, Event::AwardGiven { .. }));
        if given { Ok(()) } else { Err(Rejection::PointsOutOfRange) }
    }
}
