//! What makes statements: calculations of orders, bonuses, redemptions and tiers.

use std::fmt;
use std::sync::Arc;

use super::{Statement, Statements};
use crate::amount::Points;
use crate::award::Award;
use crate::exact::Fraction;
use crate::explain::{Calculation, EarningStatus, Explanation, RemainingBasis, RuleShare};
use crate::order::PostedPoints;
use crate::publication::{Publication, PublicationStatus};
use crate::redemption::{Issuance, RedemptionReturn};
use crate::tier::TierChange;

impl Explanation {
    /// The explanation in statements.
    pub fn statements(&self) -> Vec<Statement> {
        match self.status {
            EarningStatus::BelowGate { gate } => return vec![Statement::OrderBelowGate { gate }],
            EarningStatus::Cancelled => return vec![Statement::OrderCancelled],
            EarningStatus::Refunded => return vec![Statement::OrderRefunded],
            EarningStatus::Entitled => {}
        }

        let mut statements = vec![Statement::OrderEarns { points: self.points }];
        if self.rules.is_empty() {
            statements.push(Statement::NoRuleApplies);
        }
        statements.extend(self.rules.iter().map(RuleShare::statement));
        statements.extend(self.multipliers.iter().map(|multiplier| Statement::TierMultiplies {
            tier: multiplier.tier.clone(),
            factor: multiplier.factor,
        }));
        statements.extend(self.campaigns.iter().map(|share| Statement::CampaignAdds {
            campaign: share.campaign.clone(),
            points: share.points.clone(),
        }));

        if self.exact != Fraction::from_points(self.points) {
            let (exact, rounding) = (self.exact.clone(), self.rounding);
            statements.push(Statement::PointsRounded { exact, rounding });
        }
        statements.extend(self.remaining.iter().flat_map(RemainingBasis::statements));
        statements
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Statements(&self.statements()).fmt(f)
    }
}

impl RuleShare {
    /// The points that a limit left of the rule for the order. `None` without a limit on
    /// points.
    pub fn at_most(&self) -> Option<Points> {
        let allowed = self.allowance.map(|allowance| allowance.points);
        allowed.filter(|points| *points < Points::MAX)
    }

    fn statement(&self) -> Statement {
        Statement::RuleEarns {
            rule: self.rule.clone(),
            points: self.points.clone(),
            earn: self.earn,
            basis: self.basis.clone(),
            items: self.items.clone(),
            at_most: self.at_most(),
        }
    }
}

impl RemainingBasis {
    fn statements(&self) -> impl Iterator<Item = Statement> + use<> {
        let Self { refunded, redeemed, total } = *self;
        let refunded = (!refunded.is_zero()).then_some(Statement::PartRefunded { refunded, total });
        let redeemed = (!redeemed.is_zero()).then_some(Statement::PartRedeemed { redeemed, total });
        refunded.into_iter().chain(redeemed)
    }
}

impl Calculation {
    /// The calculation in statements.
    pub fn statements(&self) -> Vec<Statement> {
        let mut statements = self.explanation.statements();
        let PostedPoints { awarded, clawed_back: taken_back, expired, forgiven } =
            self.posted_before;
        if !awarded.is_zero() {
            statements.push(Statement::PostedBefore { awarded, taken_back, expired, forgiven });
        }
        statements
    }
}

impl fmt::Display for Calculation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Statements(&self.statements()).fmt(f)
    }
}

impl Award {
    /// The statements of why the bonus was this number of points, and of its gift.
    pub fn statements(&self, points: Points) -> Vec<Statement> {
        let (wanted, limit, reason) = (self.uncapped, self.limited_by, self.reason.clone());
        let (kept, gift): (Vec<_>, Vec<_>) = self.gift.iter().partition(|gift| gift.was_kept);
        let gift = gift.first().map(|gift| Arc::clone(&gift.name));
        let granted = Statement::BonusGranted { points, wanted, limit, gift, reason };
        let kept = kept.into_iter().map(|gift| {
            let name = Arc::clone(&gift.name);
            Statement::GiftKeptBefore { name }
        });
        std::iter::once(granted).chain(kept).collect()
    }

    /// Returns the sentences that explain why the bonus was this number of points.
    pub fn explain(&self, points: Points) -> String {
        Statements(&self.statements(points)).to_string()
    }
}

impl Issuance {
    /// The statement of the points or the cause, the reward and its end.
    pub fn statement(&self) -> Statement {
        if let Some(cause) = &self.cause {
            return Statement::RewardGiven {
                name: Arc::clone(&self.name),
                benefit: self.benefit.clone(),
                cause: cause.clone(),
                maximum_share: self.maximum_share,
                until: self.ends_at,
            };
        }
        Statement::RewardRedeemed {
            points: self.points,
            name: Arc::clone(&self.name),
            benefit: self.benefit.clone(),
            maximum_share: self.maximum_share,
            until: self.ends_at,
        }
    }
}

/// One sentence: the points, the reward and its end.
impl fmt::Display for Issuance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Statements(&[self.statement()]).fmt(f)
    }
}

impl RedemptionReturn {
    /// The statements of the points that came back, and of what became of them.
    pub fn statements(&self) -> Vec<Statement> {
        let mut statements = vec![Statement::PointsReturned { points: self.points() }];
        if !self.paid.is_zero() {
            statements.push(Statement::DebtPaid { points: self.paid });
        }
        let usable = self
            .lots
            .iter()
            .map(|lot| Statement::PointsUsable { points: lot.points, until: lot.expires_at });
        statements.extend(usable);
        statements
    }
}

impl fmt::Display for RedemptionReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Statements(&self.statements()).fmt(f)
    }
}

impl Publication {
    /// The statement of the store and of what it has done.
    pub fn statement(&self) -> Statement {
        let store = self.store.clone();
        match &self.status {
            PublicationStatus::Published { .. } => Statement::CodePublished { store },
            PublicationStatus::Failed { reason } => {
                Statement::CodePublishFailed { store, reason: Arc::clone(reason) }
            }
            PublicationStatus::Withdrawn => Statement::CodeWithdrawn { store },
        }
    }
}

impl TierChange {
    /// The statement of the tiers and the reason.
    pub fn statement(&self) -> Statement {
        let (from, to, reason) = (self.from.clone(), self.to.clone(), self.reason);
        Statement::TierChanged { from, to, reason }
    }
}

impl fmt::Display for TierChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Statements(&[self.statement()]).fmt(f)
    }
}
