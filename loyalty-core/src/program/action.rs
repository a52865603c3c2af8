//! Actions that earn points without an order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::bounds::{POINTS_RANGE, check_limits, check_tiers, check_window, points_in_range};
use crate::amount::{Amount, Points};
use crate::calendar::{Period, Timestamp};
use crate::fault::Fault;
use crate::id::{ActionId, Tag, TierId};
use crate::limit::Limit;

/// One way to earn without an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct ActionRule {
    /// Its name, unique in the program.
    pub id: ActionId,
    /// What it is for.
    pub kind: ActionKind,
    /// What it gives.
    pub points: Points,
    /// Who can have it, and when.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "EligibilityConditions::is_empty"))]
    pub when: EligibilityConditions,
    /// How much it may pay to one customer.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub limits: Vec<Limit>,
    /// The shop may say another number of points with each call.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub points_override: bool,
    /// The points are pending for so long.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub hold: Option<Period>,
}

/// What an action is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum ActionKind {
    /// Each year on the day of the first order.
    Anniversary,
    /// Each birthday.
    Birthday {
        /// A birthday set or changed so many days or less before it waits for the next year.
        notice_days: u32,
    },
    /// A code that all customers can use.
    Code(Arc<str>),
    /// Codes of which each works once.
    Codes(BTreeSet<Arc<str>>),
    /// Something to read or to look at.
    Content,
    /// Whatever the shop makes of it.
    Custom,
    /// So many orders in all, once.
    GoalOrders(u32),
    /// So much spent in all, once.
    GoalSpend(Amount),
    /// A new subscription.
    NewSubscription,
    /// A product review.
    Review,
    /// The customer's account in the shop, once.
    SignUp,
    /// Following or sharing.
    Social,
}

/// How codes are compared: trimmed, without regard to case.
pub fn normalize_code(code: &str) -> String {
    code.trim().to_lowercase()
}

impl ActionKind {
    /// Kinds that are but a name.
    #[cfg(feature = "json")]
    pub(super) const UNIT_KINDS: [(&'static str, Self); 8] = [
        ("anniversary", Self::Anniversary),
        ("birthday", Self::Birthday { notice_days: 30 }),
        ("content", Self::Content),
        ("custom", Self::Custom),
        ("new_subscription", Self::NewSubscription),
        ("review", Self::Review),
        ("sign_up", Self::SignUp),
        ("social", Self::Social),
    ];

    /// Whether the shop says when it was done, by the action's id.
    pub fn is_reported_by_shop(&self) -> bool {
        matches!(
            self,
            Self::Content | Self::Custom | Self::NewSubscription | Self::Review | Self::Social
        )
    }

    fn is_code(&self) -> bool {
        matches!(self, Self::Code(_) | Self::Codes(_))
    }

    /// Whether this folded code is one of its codes.
    pub fn has_code(&self, folded: &str) -> bool {
        match self {
            Self::Code(code) => normalize_code(code) == folded,
            Self::Codes(codes) => codes.iter().any(|code| normalize_code(code) == folded),
            Self::Anniversary
            | Self::Birthday { .. }
            | Self::Content
            | Self::Custom
            | Self::GoalOrders(_)
            | Self::GoalSpend(_)
            | Self::NewSubscription
            | Self::Review
            | Self::SignUp
            | Self::Social => false,
        }
    }
}

/// Who can have the points of an action, and when. What is empty asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EligibilityConditions {
    /// The customer has one of these tags.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_tags: BTreeSet<Tag>,
    /// The customer is in one of these tiers.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub tiers: BTreeSet<TierId>,
    /// At this instant or later.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub from: Option<Timestamp>,
    /// Before this instant.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}

impl EligibilityConditions {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all that is asked holds.
    pub fn are_met(&self, tags: &BTreeSet<Tag>, tier: Option<&TierId>, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && (self.customer_tags.is_empty()
                || self.customer_tags.iter().any(|tag| tags.contains(tag)))
            && (self.tiers.is_empty() || tier.is_some_and(|tier| self.tiers.contains(tier)))
    }
}

pub(super) fn check(actions: &[ActionRule], tiers: &BTreeSet<&TierId>, faults: &mut Vec<Fault>) {
    let (mut names, mut codes) = (BTreeSet::new(), BTreeMap::new());
    for (index, action) in actions.iter().enumerate() {
        let at = |field: &str| format!("/actions/{index}/{field}");
        if !names.insert(&action.id) {
            faults.push(Fault::new(
                at("id"),
                "duplicate_id",
                format!("the id {} stands here twice", action.id),
            ));
        }
        if !points_in_range(action.points) {
            faults.push(Fault::new(at("points"), "out_of_range", POINTS_RANGE));
        }
        check_kind(action, &at("kind"), &mut codes, faults);
        let when = &action.when;
        check_window(when.from, when.until, &at("when"), faults);
        check_tiers(&when.tiers, tiers, &at("when/tiers"), faults);
        check_limits(&action.limits, &at("limits"), faults);
        if !action.limits.is_empty() && !action.kind.is_reported_by_shop() && !action.kind.is_code()
        {
            let detail = "only an action that the shop tells of, or a code, can have limits";
            faults.push(Fault::new(at("limits"), "contradiction", detail));
        }
        if action.points_override && !action.kind.is_reported_by_shop() {
            let detail = "only an action that the shop tells of can have other points";
            faults.push(Fault::new(at("points_override"), "contradiction", detail));
        }
    }
}

fn check_kind<'a>(
    action: &'a ActionRule,
    pointer: &str,
    codes: &mut BTreeMap<String, &'a ActionId>,
    faults: &mut Vec<Fault>,
) {
    let mut add = |code: &str, pointer: String| {
        let folded = normalize_code(code);
        if folded.is_empty() || folded.chars().count() > 100 || folded.chars().any(char::is_control)
        {
            faults.push(Fault::new(pointer, "invalid_value", "must be 1 to 100 characters"));
        } else if codes.insert(folded, &action.id).is_some() {
            faults.push(Fault::new(
                pointer,
                "duplicate_id",
                format!("the code {code} stands here twice"),
            ));
        }
    };
    match &action.kind {
        ActionKind::Code(code) => add(code, format!("{pointer}/code")),
        ActionKind::Codes(all) if all.is_empty() => {
            faults.push(Fault::new(
                format!("{pointer}/codes"),
                "missing_field",
                "must hold at least one code",
            ));
        }
        ActionKind::Codes(all) => {
            for (index, code) in all.iter().enumerate() {
                add(code, format!("{pointer}/codes/{index}"));
            }
        }
        ActionKind::Birthday { notice_days } if *notice_days > 365 => {
            let pointer = format!("{pointer}/birthday/notice_days");
            faults.push(Fault::new(pointer, "out_of_range", "must be at most 365"));
        }
        ActionKind::GoalOrders(0) => {
            faults.push(Fault::new(
                format!("{pointer}/goal_orders"),
                "out_of_range",
                "must be more than zero",
            ));
        }
        ActionKind::GoalSpend(amount) if amount.is_zero() => {
            faults.push(Fault::new(
                format!("{pointer}/goal_spend"),
                "out_of_range",
                "must be more than zero",
            ));
        }
        ActionKind::Anniversary
        | ActionKind::Birthday { .. }
        | ActionKind::Content
        | ActionKind::Custom
        | ActionKind::GoalOrders(_)
        | ActionKind::GoalSpend(_)
        | ActionKind::NewSubscription
        | ActionKind::Review
        | ActionKind::SignUp
        | ActionKind::Social => {}
    }
}
