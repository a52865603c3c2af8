//! The invariants of the engine, with their names and the programs to which they apply.

use std::fmt;

use crate::limit::{Limit, Quota};
use crate::program::{Expiry, Program, TierMetric};

/// A property of the engine under every program to which it applies.
///
/// # Example: an invariant that needs tiers
/// ```
/// use loyalty_core::{Program, proptest::Invariant};
/// let reason = Invariant::TierMonotonicInSpend.why_not_applicable(&Program::default());
/// assert_eq!(reason.as_deref(), Some("no tier can be earned"));
/// assert_eq!(Invariant::Conservation.why_not_applicable(&Program::default()), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// The state is the fold of the journal, and the entries sum to it.
    Conservation,
    /// Nothing is negative except a balance where the program allows debt. Spending causes no debt.
    NoNegativeExceptDebt,
    /// The net points of an order are those its facts entitle to, apart from points that expired
    /// or were forgiven.
    OrdersMatchEntitlement,
    /// A fact that is reported twice changes nothing the second time.
    Idempotency,
    /// A dry run has the result of the real run. Balances, offers and scheduled events that are
    /// read in advance equal those recorded later.
    DryRunEqualsReal,
    /// An order has the same points for every sequence in which its facts arrive.
    ArrivalOrderIndependence,
    /// Several refunds claw back the same points as one of the same total.
    RefundSlicingIndependence,
    /// Every entry follows from the calculation that it contains.
    EntriesMatchCalculation,
    /// Either the points of a redemption are deducted and its code is valid, or the points are
    /// returned and the code is not.
    PointsOrCode,
    /// A customer who pays more for the same purchase is not in a lower tier.
    TierMonotonicInSpend,
    /// Points expire exactly at their instant: they can be spent until just before it.
    ExactExpiryInstant,
    /// A gift is given once for its cause, and none can be used after it was taken back.
    OneGiftPerCause,
    /// The shares of each discount add up to it, and no line falls below zero.
    ExactAllocation,
}

impl Invariant {
    /// All invariants, in the order in which they are checked.
    pub const ALL: [Self; 13] = [
        Self::Conservation,
        Self::NoNegativeExceptDebt,
        Self::OrdersMatchEntitlement,
        Self::Idempotency,
        Self::DryRunEqualsReal,
        Self::ArrivalOrderIndependence,
        Self::RefundSlicingIndependence,
        Self::EntriesMatchCalculation,
        Self::PointsOrCode,
        Self::OneGiftPerCause,
        Self::TierMonotonicInSpend,
        Self::ExactExpiryInstant,
        Self::ExactAllocation,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conservation => "conservation",
            Self::NoNegativeExceptDebt => "no negative except debt",
            Self::OrdersMatchEntitlement => "orders match their entitlement",
            Self::Idempotency => "idempotency",
            Self::DryRunEqualsReal => "dry run equals real",
            Self::ArrivalOrderIndependence => "arrival order independence",
            Self::RefundSlicingIndependence => "refund slicing independence",
            Self::EntriesMatchCalculation => "entries match their calculation",
            Self::PointsOrCode => "points or code",
            Self::OneGiftPerCause => "one gift per cause",
            Self::TierMonotonicInSpend => "tier monotonic in spend",
            Self::ExactExpiryInstant => "exact expiry instant",
            Self::ExactAllocation => "exact allocation",
        }
    }

    /// The reason why the invariant does not apply to a program; `None` if it does.
    pub fn why_not_applicable(self, program: &Program) -> Option<String> {
        let parts = program.definition();
        match self {
            Self::ArrivalOrderIndependence => {
                let rejects_partial =
                    |limit: &&Limit| !limit.partial && matches!(limit.quota, Quota::Points(_));
                let mut rules = parts.earning.iter();
                let first =
                    rules.find_map(|rule| Some((rule, rule.limits.iter().find(rejects_partial)?)));
                first.map(|(rule, limit)| {
                    format!(
                        "the rule {} grants nothing if an order exceeds what remains of its limit ({limit}), \
                         so it matters whether a refund arrives before or after the award",
                        rule.id
                    )
                })
            }
            Self::PointsOrCode => {
                parts.rewards.is_empty().then(|| "there are no rewards".to_owned())
            }
            Self::OneGiftPerCause => {
                let has_none = parts.gifts().next().is_none();
                has_none.then(|| "there are no gifts".to_owned())
            }
            Self::TierMonotonicInSpend => {
                if parts.tiers.iter().all(|tier| tier.threshold.is_none()) {
                    Some("no tier can be earned".to_owned())
                } else if parts.tiering.metric == TierMetric::PointsEarned {
                    Some(
                        "tiers count points, and the program decides how many points a purchase earns"
                            .to_owned(),
                    )
                } else {
                    None
                }
            }
            Self::ExactExpiryInstant => {
                (parts.expiry == Expiry::Never).then(|| "points never expire".to_owned())
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
