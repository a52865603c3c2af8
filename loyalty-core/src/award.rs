//! Points that do not come from an order's basis: for what, under which program, and what cut them.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::amount::Points;
use crate::id::{AccountId, ActionId, OrderId, ProgramVersion, TierId};

/// A stretch of the shop's calendar. Weeks start on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Span {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
    /// All time.
    Ever,
}

impl Span {
    /// The names of the wire.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("year", Self::Year),
        ("ever", Self::Ever),
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, span)| *span == self)
            .map_or("", |(name, _)| name)
    }
}

/// How much something may pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Quota {
    /// So often.
    Times(u32),
    /// So many points.
    Points(Points),
}

/// How much something may pay in a stretch of the shop's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Limit {
    /// How much.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub quota: Quota,
    /// In each of these.
    pub per: Span,
    /// What would be too much is cut to what is left, rather than refused.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub partial: bool,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quota {
            Quota::Times(1) => f.write_str("once")?,
            Quota::Times(times) => write!(f, "{times} times")?,
            Quota::Points(points) => write!(f, "{points} points")?,
        }
        match self.per {
            Span::Ever => f.write_str(" in total"),
            span @ (Span::Day | Span::Week | Span::Month | Span::Year) => {
                write!(f, " a {}", span.name())
            }
        }
    }
}

/// Why points were given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum AwardReason {
    /// The shop said that the customer did something.
    Action {
        /// The action.
        action: ActionId,
    },
    /// Years since the first order.
    Anniversary {
        /// The action.
        action: ActionId,
        /// How many years.
        years: u32,
    },
    /// A birthday.
    Birthday {
        /// The action.
        action: ActionId,
        /// Of this year.
        year: i32,
    },
    /// A code that the customer typed.
    Code {
        /// The action.
        action: ActionId,
        /// The code, folded.
        code: Arc<str>,
    },
    /// A goal of spend or orders was reached.
    Goal {
        /// The action.
        action: ActionId,
    },
    /// So many friends were brought.
    ReferralMilestone {
        /// How many.
        friends: u32,
    },
    /// The customer was brought by a friend, and has ordered.
    ReferralReceived {
        /// The order.
        order: OrderId,
    },
    /// The customer brought a friend who has ordered.
    ReferralSent {
        /// The friend's order.
        order: OrderId,
        /// The friend's account.
        #[cfg_attr(feature = "json", serde(rename = "friend"))]
        referee: AccountId,
    },
    /// The customer signed up.
    SignUp {
        /// The action.
        action: ActionId,
    },
    /// The customer entered a tier.
    TierEntry {
        /// The tier.
        tier: TierId,
    },
}

impl AwardReason {
    /// The action of the program, where it is one.
    pub fn action(&self) -> Option<&ActionId> {
        match self {
            Self::Action { action }
            | Self::Anniversary { action, .. }
            | Self::Birthday { action, .. }
            | Self::Code { action, .. }
            | Self::Goal { action }
            | Self::SignUp { action } => Some(action),
            Self::ReferralMilestone { .. }
            | Self::ReferralReceived { .. }
            | Self::ReferralSent { .. }
            | Self::TierEntry { .. } => None,
        }
    }

    /// Whether what it was given for can be undone, and the points be taken back.
    pub(crate) fn is_reversible(&self) -> bool {
        self.action().is_none()
    }

    /// Whether tiers by points earned count it: entry rewards they do not.
    pub fn counts_for_tiers(&self) -> bool {
        !matches!(self, Self::TierEntry { .. })
    }

    /// The name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Action { .. } => "action",
            Self::Anniversary { .. } => "anniversary",
            Self::Birthday { .. } => "birthday",
            Self::Code { .. } => "code",
            Self::Goal { .. } => "goal",
            Self::ReferralMilestone { .. } => "referral_milestone",
            Self::ReferralReceived { .. } => "referral_received",
            Self::ReferralSent { .. } => "referral_sent",
            Self::SignUp { .. } => "sign_up",
            Self::TierEntry { .. } => "tier_entry",
        }
    }
}

impl fmt::Display for AwardReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action { action } => write!(f, "for {action}"),
            Self::Anniversary { years: 1, .. } => {
                f.write_str("for the first anniversary of the first order")
            }
            Self::Anniversary { years, .. } => write!(f, "for {years} years since the first order"),
            Self::Birthday { year, .. } => write!(f, "for the birthday in {year}"),
            Self::Code { action, .. } => write!(f, "for a code of {action}"),
            Self::Goal { action } => write!(f, "for reaching {action}"),
            Self::ReferralMilestone { friends } => write!(f, "for referring {friends} friends"),
            Self::ReferralReceived { order } => {
                write!(f, "for order {order}, the first after a referral")
            }
            Self::ReferralSent { order, .. } => {
                write!(f, "for order {order}, the first of a referred customer")
            }
            Self::SignUp { .. } => f.write_str("for signing up"),
            Self::TierEntry { tier } => write!(f, "for entering tier {tier}"),
        }
    }
}

/// How an award came about.
///
/// # Example: one sentence why
/// ```
/// use loyalty_core::award::{Award, AwardReason};
/// use loyalty_core::{Points, ProgramVersion};
/// let reason = AwardReason::Birthday { action: "birthday".parse().unwrap(), year: 2026 };
/// let day = "2026-05-04".parse().unwrap();
/// let award = Award { reason, program: ProgramVersion(1), day, wanted: Points::from(50), cut: None };
/// assert_eq!(award.sentence(Points::from(50)), "50 points for the birthday in 2026.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Award {
    /// For what.
    pub reason: AwardReason,
    /// Under which program.
    pub program: ProgramVersion,
    /// The shop's day, which limits count by.
    pub day: NaiveDate,
    /// How many points it would have been without limits.
    #[cfg_attr(feature = "json", serde(rename = "wanted"))]
    pub uncapped: Points,
    /// The limit that cut it, where one did.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "cut"))]
    pub limited_by: Option<Limit>,
}

impl Award {
    /// Whether tiers by points earned count it.
    pub fn counts_for_tiers(&self) -> bool {
        self.reason.counts_for_tiers()
    }

    /// Why it was so many points, in one sentence.
    pub fn explain(&self, points: Points) -> String {
        match self.limited_by {
            None => format!("{points} points {}.", self.reason),
            Some(limit) => {
                format!("{points} of {} points {}: limited to {limit}.", self.uncapped, self.reason)
            }
        }
    }
}
