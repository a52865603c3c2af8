//! What must hold, by name, and under which programs each statement means something.

use std::fmt;

use crate::limit::{Limit, Quota};
use crate::program::{Expiry, Program, TierMetric};

/// A statement about the engine that holds under every program to which it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// The state is a fold of the journal, and all entries sum to it.
    Conservation,
    /// Nothing is below zero but a balance that the program lets be owed, and nobody owes who only spends.
    NoNegativeExceptDebt,
    /// Each order holds what its facts are worth; more only by what expired or was forgiven.
    OrdersMatchEntitlement,
    /// A fact that is told again changes nothing.
    Idempotency,
    /// Asking is deciding: asked twice the rules say the same, what they say is what happens, and a balance, an
    /// offer or the passing of time asked for in advance is what is written down later.
    DryRunEqualsReal,
    /// In whichever order the facts of an order arrive, it holds the same points in the end.
    ArrivalOrderIndependence,
    /// However a refund is sliced, it takes back the same.
    RefundSlicingIndependence,
    /// Every entry follows from the reckoning that it carries.
    EntriesMatchCalculation,
    /// A redemption has its points taken or its code dead, never neither, never both.
    PointsOrCode,
    /// Of two customers who buy the same, the one who pays more for it is not in a lower tier.
    TierMonotonicInSpend,
    /// Points end at their instant: to be spent just before it, gone at it.
    ExactExpiryInstant,
    /// The shares of every discount add up to it, and no line falls below zero.
    ExactAllocation,
}

impl Invariant {
    /// Every invariant, in the order in which they are checked.
    pub const ALL: [Self; 12] = [
        Self::Conservation,
        Self::NoNegativeExceptDebt,
        Self::OrdersMatchEntitlement,
        Self::Idempotency,
        Self::DryRunEqualsReal,
        Self::ArrivalOrderIndependence,
        Self::RefundSlicingIndependence,
        Self::EntriesMatchCalculation,
        Self::PointsOrCode,
        Self::TierMonotonicInSpend,
        Self::ExactExpiryInstant,
        Self::ExactAllocation,
    ];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conservation => "conservation",
            Self::NoNegativeExceptDebt => "no negative but debt",
            Self::OrdersMatchEntitlement => "orders hold their worth",
            Self::Idempotency => "idempotency",
            Self::DryRunEqualsReal => "dry run equals real",
            Self::ArrivalOrderIndependence => "order independence",
            Self::RefundSlicingIndependence => "refunds do not leak",
            Self::EntriesMatchCalculation => "entries explain themselves",
            Self::PointsOrCode => "points or code",
            Self::TierMonotonicInSpend => "tier monotonic in spend",
            Self::ExactExpiryInstant => "expiry at the instant",
            Self::ExactAllocation => "exact allocation",
        }
    }

    /// Why the statement says nothing about a program, where that is so.
    pub fn why_not_applicable(self, program: &Program) -> Option<String> {
        let parts = program.definition();
        match self {
            Self::ArrivalOrderIndependence => {
                let refusing =
                    |limit: &&Limit| !limit.partial && matches!(limit.quota, Quota::Points(_));
                let mut rules = parts.earning.iter();
                let found = rules.find_map(|rule| Some((rule, rule.limits.iter().find(refusing)?)));
                found.map(|(rule, limit)| {
                    format!(
                        "the rule {} pays nothing at all where an order is worth more than its limit ({limit}) \
                         leaves, so it matters whether a refund comes before or after the award",
                        rule.id
                    )
                })
            }
            Self::PointsOrCode => {
                parts.rewards.is_empty().then(|| "there are no rewards".to_owned())
            }
            Self::TierMonotonicInSpend => {
                if parts.tiers.iter().all(|tier| tier.threshold.is_none()) {
                    Some("no tier can be earned".to_owned())
                } else if parts.tiering.metric == TierMetric::PointsEarned {
                    Some(
                        "tiers count points earned, and what those are for money is the program's"
                            .to_owned(),
                    )
                } else {
                    None
                }
            }
            Self::ExactExpiryInstant => {
                (parts.expiry == Expiry::Never).then(|| "points never end".to_owned())
            }
            Self::Conservation
            | Self::NoNegativeExceptDebt
            | Self::OrdersMatchEntitlement
            | Self::Idempotency
            | Self::DryRunEqualsReal
            | Self::RefundSlicingIndependence
            | Self::EntriesMatchCalculation
            | Self::ExactAllocation => None,
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
