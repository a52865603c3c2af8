//! Bonuses: points that no order earns, with their reasons and limits.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::amount::Points;
use crate::calendar::Timestamp;
use crate::figures::CountedNoun;
use crate::id::{AccountId, ActionId, OrderId, ProgramVersion, RewardId, TierId};
use crate::limit::Limit;
use crate::program::GiftPolicy;

/// The reason of a bonus.
///
/// # Example: the action that a reason is for
/// ```
/// use loyalty_core::{ActionId, AwardReason, TierId};
/// let review = ActionId::new("review").unwrap();
/// let reason = AwardReason::Action { action: review.clone() };
/// assert_eq!((reason.action(), reason.name()), (Some(&review), "action"));
///
/// let entry = AwardReason::TierEntry { tier: TierId::new("gold").unwrap() };
/// assert_eq!((entry.action(), entry.to_string().as_str()), (None, "for entering tier gold"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum AwardReason {
    /// The shop reported an action of the customer.
    Action {
        /// The action.
        action: ActionId,
    },
    /// An anniversary of the first order.
    Anniversary {
        /// The action.
        action: ActionId,
        /// Number of years since the first order.
        years: u32,
    },
    /// A birthday.
    Birthday {
        /// The action.
        action: ActionId,
        /// Year of the birthday.
        year: i32,
    },
    /// A code that the customer entered.
    Code {
        /// The action.
        action: ActionId,
        /// The code, normalized.
        code: Arc<str>,
    },
    /// The customer reached a goal of spend or orders.
    Goal {
        /// The action.
        action: ActionId,
    },
    /// The customer referred a number of others.
    ReferralMilestone {
        /// Number of referees whose orders qualified.
        friends: u32,
    },
    /// The customer was referred, and has ordered.
    ReferralReceived {
        /// The order that qualified.
        order: OrderId,
    },
    /// The customer referred another, who has ordered.
    ReferralSent {
        /// The referee's order.
        order: OrderId,
        /// The referee's account.
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
    /// The action of the program, if the reason is one.
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

    /// Returns true if the cause can be undone and the points be clawed back: all but
    /// actions.
    pub(crate) fn is_reversible(&self) -> bool {
        self.action().is_none()
    }

    /// Returns true if the cause of a gift can be undone: that of a bonus, and a goal.
    pub(crate) fn has_reversible_gift(&self) -> bool {
        self.is_reversible() || matches!(self, Self::Goal { .. })
    }

    /// Returns true if tiers by points earned count the bonus: all but the entry rewards
    /// of tiers.
    pub fn counts_for_tiers(&self) -> bool {
        !matches!(self, Self::TierEntry { .. })
    }

    /// The reason's name in records and answers.
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
            Self::ReferralMilestone { friends } => {
                write!(f, "for referring {}", CountedNoun::new(friends, "friend", "friends"))
            }
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

/// The origin of a bonus: its reason, its program and the limit that reduced it.
///
/// # Example: a bonus explained in one sentence
/// ```
/// use loyalty_core::{Award, AwardReason, Points, ProgramVersion};
/// let award = Award {
///     reason: AwardReason::Birthday { action: "birthday".parse().unwrap(), year: 2026 },
///     program: ProgramVersion(1),
///     day: "2026-05-04".parse().unwrap(),
///     uncapped: Points::from(50),
///     limited_by: None,
///     gift: None,
/// };
/// assert_eq!(award.explain(Points::from(50)), "50 points for the birthday in 2026.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Award {
    /// Reason of the bonus.
    pub reason: AwardReason,
    /// Version of the program that granted it.
    pub program: ProgramVersion,
    /// Day in the shop's zone, for which limits count it.
    pub day: NaiveDate,
    /// Points without limits.
    #[cfg_attr(feature = "json", serde(rename = "wanted"))]
    pub uncapped: Points,
    /// Limit that reduced the points, if one did.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "cut"))]
    pub limited_by: Option<Limit>,
    /// The reward that was given, if one was.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub gift: Option<AwardedGift>,
}

/// A reward of the program that was given with a bonus, or as one. Its redemption follows as
/// [`Event::RewardRedeemed`](crate::Event::RewardRedeemed) of the same cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct AwardedGift {
    /// The reward.
    pub reward: RewardId,
    /// Its name for customers.
    pub name: Arc<str>,
    /// What becomes of it where its cause is undone.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "GiftPolicy::is_default"))]
    pub when_undone: GiftPolicy,
    /// The end of its hold, if it is held back.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub pending_until: Option<Timestamp>,
    /// The customer kept it when the cause was undone before: there is no second one.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub was_kept: bool,
}

impl Award {
    /// The reward that was given. `None` also where the customer has kept the one of before.
    pub fn given_reward(&self) -> Option<&RewardId> {
        let gift = self.gift.as_ref().filter(|gift| !gift.was_kept);
        gift.map(|gift| &gift.reward)
    }

    /// Returns true if tiers by points earned count the bonus.
    pub fn counts_for_tiers(&self) -> bool {
        self.reason.counts_for_tiers()
    }
}
