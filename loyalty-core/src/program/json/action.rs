//! Actions and limits read from JSON.

use std::sync::Arc;

use super::{Faults, NodeRef};
use crate::limit::{Limit, Quota, Span};
use crate::program::action::{ActionKind, ActionRule, EligibilityConditions};

impl NodeRef<'_> {
    pub(super) fn action(&self, faults: &mut Faults) -> Option<ActionRule> {
        let known = ["id", "kind", "points", "when", "limits", "points_override", "hold", "gift"];
        let members = self.members(&known, faults)?;
        let id = members.required("id", faults).and_then(|at| at.parse(faults));
        let kind = members.required("kind", faults).and_then(|at| at.action_kind(faults));
        let (points, gift) = members.bonus(faults);

        let (mut when, mut limits, mut points_override) =
            (EligibilityConditions::default(), Vec::new(), false);
        members.read("when", &mut when, |at| Some(at.action_conditions(faults)));
        members.read("limits", &mut limits, |at| Some(at.limits(faults)));
        members.read("points_override", &mut points_override, |at| at.bool(faults));
        let hold = members.get("hold").and_then(|at| at.parse(faults));

        Some(ActionRule {
            id: id?,
            kind: kind?,
            points: points?,
            when,
            limits,
            points_override,
            hold,
            gift,
        })
    }

    fn action_kind(&self, faults: &mut Faults) -> Option<ActionKind> {
        if let Some(name) = self.as_text() {
            return self.unit_action_kind(name, faults);
        }

        let known = ["birthday", "code", "codes", "goal_orders", "goal_spend"];
        let members = self.members(&known, faults)?;
        match known.map(|name| members.get(name)) {
            [Some(at), None, None, None, None] => {
                let members = at.members(&["notice_days"], faults)?;
                let mut notice_days = 30;
                members.read("notice_days", &mut notice_days, |at| at.count(faults));
                Some(ActionKind::Birthday { notice_days })
            }
            [None, Some(at), None, None, None] => {
                at.text(faults).map(|code| ActionKind::Code(Arc::from(code)))
            }
            [None, None, Some(at), None, None] => {
                let codes = at.items(faults, |code, faults| code.text(faults).map(Arc::from));
                Some(ActionKind::Codes(codes.into_iter().collect()))
            }
            [None, None, None, Some(at), None] => at.count(faults).map(ActionKind::GoalOrders),
            [None, None, None, None, Some(at)] => at.decimal(faults).map(ActionKind::GoalSpend),
            _ => {
                let detail = "must have one of birthday, code, codes, goal_orders and goal_spend";
                self.push_fault("invalid_value", detail, faults)
            }
        }
    }

    /// A kind that is a plain string, without values of its own.
    fn unit_action_kind(&self, name: &str, faults: &mut Faults) -> Option<ActionKind> {
        let found = ActionKind::UNIT_KINDS.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, kind)| kind).or_else(|| {
            let known = ActionKind::UNIT_KINDS.map(|(name, _)| name).join(", ");
            let detail = format!(
                "must be one of {known}, \
                 or an object with birthday, code, codes, goal_orders or goal_spend"
            );
            self.push_fault("invalid_value", detail, faults)
        })
    }

    pub(super) fn action_conditions(&self, faults: &mut Faults) -> EligibilityConditions {
        let mut when = EligibilityConditions::default();
        let Some(members) = self.members(&["customer_tags", "tiers", "from", "until"], faults)
        else {
            return when;
        };

        members.read("customer_tags", &mut when.customer_tags, |at| Some(at.set(faults)));
        members.read("tiers", &mut when.tiers, |at| Some(at.set(faults)));
        when.from = members.get("from").and_then(|at| at.time(faults));
        when.until = members.get("until").and_then(|at| at.time(faults));
        when
    }

    pub(super) fn limits(&self, faults: &mut Faults) -> Vec<Limit> {
        self.items(faults, NodeRef::limit)
    }

    fn limit(&self, faults: &mut Faults) -> Option<Limit> {
        let members = self.members(&["times", "points", "per", "partial"], faults)?;
        let quota = match (members.get("times"), members.get("points")) {
            (Some(at), None) => at.count(faults).map(Quota::Times),
            (None, Some(at)) => at.points(faults).map(Quota::Points),
            _ => self.push_fault("invalid_value", "must have one of times and points", faults),
        };

        let per = members
            .required("per", faults)
            .and_then(|at| at.one_of(&Span::NAMES, faults));
        let mut partial = false;
        members.read("partial", &mut partial, |at| at.bool(faults));
        Some(Limit { quota: quota?, per: per?, partial })
    }
}
