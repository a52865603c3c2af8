//! Actions: points without an order, for sign-ups, birthdays, codes, goals and so on.

use std::collections::BTreeSet;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::check::{check_limits, check_tiers, check_validity, duplicate_id};
use super::gift::{self, GiftRule};
use crate::amount::{Amount, Points};
use crate::calendar::{Period, Timestamp};
use crate::code::trim_code;
use crate::fault::Fault;
use crate::id::{ActionId, Tag, TierId};
use crate::limit::Limit;

/// The largest number of characters of a code that customers enter.
const MAX_CODE_CHARS: usize = 100;

/// One way to earn without an order.
///
/// # Example: a review earns 20 points, twice a day at most
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::{Points, Program};
/// let program = Program::from_json(
///     r#"{"actions": [{"id": "review", "kind": "review", "points": 20,
///                      "limits": [{"times": 2, "per": "day"}]}]}"#,
/// )
/// .unwrap();
/// let action = &program.definition().actions[0];
/// assert_eq!(action.points, Points::from(20));
/// assert_eq!(action.limits[0].to_string(), "2 times a day");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct ActionRule {
    /// Unique name in the program.
    pub id: ActionId,
    /// The kind of thing that is rewarded.
    pub kind: ActionKind,
    /// Points for each time.
    pub points: Points,
    /// Conditions on the customer and the time.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "EligibilityConditions::is_empty"))]
    pub when: EligibilityConditions,
    /// Limits for each customer.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub limits: Vec<Limit>,
    /// If true, the shop may pass another number of points with each report.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "std::ops::Not::not"))]
    pub points_override: bool,
    /// The time for which the points are pending.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub hold: Option<Period>,
    /// A reward beside the points, or instead of them. The hold is for it too.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub gift: Option<GiftRule>,
}

/// The kind of thing that an action rewards.
///
/// # Example: some kinds are reported by the shop, the others are detected
/// ```
/// use loyalty_core::program::ActionKind;
/// assert!(ActionKind::Review.is_reported_by_shop());
/// assert!(!ActionKind::SignUp.is_reported_by_shop());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum ActionKind {
    /// The yearly anniversary of the first order.
    Anniversary,
    /// Every birthday.
    Birthday {
        /// Days of notice: a birthday set or changed later than that waits for the next
        /// year.
        notice_days: u32,
    },
    /// One code, which every customer can use.
    Code(Arc<str>),
    /// Several codes, each of which works once for all customers together.
    Codes(BTreeSet<Arc<str>>),
    /// Reading or viewing content.
    Content,
    /// An action whose meaning the shop defines.
    Custom,
    /// A total number of orders, rewarded once.
    GoalOrders(u32),
    /// A total amount spent, rewarded once.
    GoalSpend(Amount),
    /// A new subscription.
    NewSubscription,
    /// A product review.
    Review,
    /// The sign-up with the shop, rewarded once.
    SignUp,
    /// Following or sharing on social media.
    Social,
}

/// Returns the form in which codes are compared: trimmed, in lower case, and composed (NFC).
///
/// # Example: blanks, case and accents of their own do not matter
/// ```
/// use loyalty_core::program::normalize_code;
/// assert_eq!(normalize_code(" Spring24 "), normalize_code("SPRING24"));
/// assert_eq!(normalize_code("E\u{301}TE\u{301}"), normalize_code("été"));
/// ```
pub fn normalize_code(code: &str) -> String {
    let typed = trim_code(code);
    if typed.is_ascii() {
        return typed.to_ascii_lowercase();
    }
    let lowercase = typed.nfc().collect::<String>().to_lowercase();
    lowercase.nfc().collect()
}

impl ActionKind {
    /// Kinds that a document names by a plain string, without values of their own.
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

    /// Returns true if the shop reports each time that the action was done.
    pub fn is_reported_by_shop(&self) -> bool {
        matches!(
            self,
            Self::Content | Self::Custom | Self::NewSubscription | Self::Review | Self::Social
        )
    }

    fn is_code(&self) -> bool {
        matches!(self, Self::Code(_) | Self::Codes(_))
    }

    /// Returns true if a normalized code is one of the action's codes; see
    /// [`normalize_code`].
    pub fn has_code(&self, normalized: &str) -> bool {
        match self {
            Self::Code(code) => normalize_code(code) == normalized,
            Self::Codes(codes) => codes.iter().any(|code| normalize_code(code) == normalized),
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

/// Conditions on the customer and the time. All must be met; empty ones are always met.
///
/// # Example: VIPs only, from February on
/// ```
/// use std::collections::BTreeSet;
///
/// use loyalty_core::program::EligibilityConditions;
/// let (vips, nobody) = (BTreeSet::from(["vip".parse().unwrap()]), BTreeSet::new());
/// let february = "2026-02-01T00:00:00Z".parse().unwrap();
/// let when = EligibilityConditions {
///     customer_tags: vips.clone(),
///     from: Some(february),
///     ..EligibilityConditions::default()
/// };
/// assert!(when.are_met(&vips, None, february));
/// assert!(!when.are_met(&nobody, None, february));
/// assert!(!when.are_met(&vips, None, "2026-01-31T23:59:59Z".parse().unwrap()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct EligibilityConditions {
    /// Tags of which the customer has at least one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub customer_tags: BTreeSet<Tag>,
    /// Tiers of which the customer has one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub tiers: BTreeSet<TierId>,
    /// First instant at which the conditions are met.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub from: Option<Timestamp>,
    /// First instant at which they are met no longer.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub until: Option<Timestamp>,
}

impl EligibilityConditions {
    /// Returns true if there is no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns true if a customer with these tags and this tier meets the conditions at
    /// `at`.
    pub fn are_met(&self, tags: &BTreeSet<Tag>, tier: Option<&TierId>, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && (self.customer_tags.is_empty()
                || self.customer_tags.iter().any(|tag| tags.contains(tag)))
            && (self.tiers.is_empty() || tier.is_some_and(|tier| self.tiers.contains(tier)))
    }
}

pub(super) fn check(actions: &[ActionRule], tiers: &BTreeSet<&TierId>, faults: &mut Vec<Fault>) {
    let (mut ids, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for (index, action) in actions.iter().enumerate() {
        let pointer = format!("/actions/{index}");
        let at = |field: &str| format!("{pointer}/{field}");

        if !ids.insert(&action.id) {
            faults.push(duplicate_id(&pointer, &action.id));
        }
        gift::check_points(action.points, action.gift.as_ref(), at("points"), faults);

        check_kind(&action.kind, &at("kind"), faults);
        check_codes(&action.kind, &at("kind"), &mut codes, faults);
        let when = &action.when;
        check_validity(when.from, when.until, &at("when"), faults);
        check_tiers(&when.tiers, tiers, &at("when/tiers"), faults);
        check_limits(&action.limits, &at("limits"), faults);

        // The engine detects the other kinds itself, and grants each of them once for its
        // cause.
        if !action.limits.is_empty() && !action.kind.is_reported_by_shop() && !action.kind.is_code()
        {
            let detail = "only an action that the shop reports, or a code, can have limits";
            faults.push(Fault::new(at("limits"), "contradiction", detail));
        }
        if action.points_override && !action.kind.is_reported_by_shop() {
            let detail = "only an action that the shop reports can override its points";
            faults.push(Fault::new(at("points_override"), "contradiction", detail));
        }
    }
}

/// Checks the codes of an action, and that no action before it has them; `codes` are
/// theirs.
fn check_codes(
    kind: &ActionKind,
    pointer: &str,
    codes: &mut BTreeSet<String>,
    faults: &mut Vec<Fault>,
) {
    let mut check_code = |code: &str, pointer: String| {
        let normalized = normalize_code(code);
        let length = normalized.chars().count();
        if !(1..=MAX_CODE_CHARS).contains(&length) || normalized.chars().any(char::is_control) {
            let detail = format!("must be 1 to {MAX_CODE_CHARS} characters");
            faults.push(Fault::new(pointer, "invalid_value", detail));
        } else if !codes.insert(normalized) {
            let detail = format!("duplicate code {code}");
            faults.push(Fault::new(pointer, "duplicate_id", detail));
        }
    };

    match kind {
        ActionKind::Code(code) => check_code(code, format!("{pointer}/code")),
        ActionKind::Codes(codes) => {
            for (index, code) in codes.iter().enumerate() {
                check_code(code, format!("{pointer}/codes/{index}"));
            }
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

/// Checks the values of a kind, other than the text of its codes.
fn check_kind(kind: &ActionKind, pointer: &str, faults: &mut Vec<Fault>) {
    const POSITIVE: &str = "must be more than zero";
    let mut add = |field: &str, code, detail| {
        faults.push(Fault::new(format!("{pointer}/{field}"), code, detail));
    };

    match kind {
        ActionKind::Birthday { notice_days } if *notice_days > 365 => {
            add("birthday/notice_days", "out_of_range", "must be at most 365");
        }
        ActionKind::Codes(codes) if codes.is_empty() => {
            add("codes", "missing_field", "must contain at least one code");
        }
        ActionKind::GoalOrders(0) => add("goal_orders", "out_of_range", POSITIVE),
        ActionKind::GoalSpend(amount) if amount.is_zero() => {
            add("goal_spend", "out_of_range", POSITIVE);
        }
        ActionKind::Anniversary
        | ActionKind::Birthday { .. }
        | ActionKind::Code(_)
        | ActionKind::Codes(_)
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
