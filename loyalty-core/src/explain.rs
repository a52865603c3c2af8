//! Explanations of an order's points: as data, and as a sentence for the customer.

use std::fmt;

use crate::amount::{Amount, Points, Rate, Rounding};
use crate::exact::Fraction;
use crate::id::{LineId, ProgramVersion, RuleId, TierId};
use crate::order::{Allowance, PostedPoints, Quantity, Status};
use crate::program::{CampaignEffect, EarningFormula};

/// The calculation of an order's points, line by line and rule by rule, exact until the
/// rounding.
///
/// # Example: an order explained in one sentence
/// ```
/// use loyalty_core::explain::{EarningStatus, Explanation, RuleShare};
/// use loyalty_core::program::EarningFormula;
/// use loyalty_core::{Amount, Fraction, Points, ProgramVersion, Rate, Rounding, RuleId};
/// let share = RuleShare {
///     rule: RuleId::new("base").unwrap(),
///     earn: EarningFormula::PerUnit(Rate::ONE),
///     basis: Fraction::ONE,
///     items: None,
///     points: Fraction::ONE,
///     allowance: None,
/// };
/// let explanation = Explanation {
///     program: ProgramVersion(1),
///     status: EarningStatus::Entitled,
///     lines: vec![],
///     extras: Amount::ZERO,
///     remaining: None,
///     rules: vec![share],
///     multipliers: vec![],
///     campaigns: vec![],
///     spend: Amount::from(1),
///     exact: Fraction::ONE,
///     rounding: Rounding::Down,
///     points: Points::from(1),
/// };
/// assert_eq!(explanation.to_string(), "The order earns 1 points: 1 by base (1 per unit of 1).");
///
/// let cancelled = Explanation { status: EarningStatus::Cancelled, ..explanation };
/// assert_eq!(cancelled.to_string(), "The order is cancelled and earns nothing.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Explanation {
    /// Version of the program by which the order earns.
    pub program: ProgramVersion,
    /// Earning status of the order.
    #[cfg_attr(feature = "json", serde(rename = "standing"))]
    pub status: EarningStatus,
    /// Basis of each line.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub lines: Vec<LineBasis>,
    /// Tax and shipping in the basis, if the program counts them.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Amount::is_zero"))]
    pub extras: Amount,
    /// Part of the total that remains after refunds by amount and payment with a reward,
    /// if any.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "left"))]
    pub remaining: Option<RemainingBasis>,
    /// Points of each rule.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub rules: Vec<RuleShare>,
    /// Factors on the sum of the rules.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub multipliers: Vec<Multiplier>,
    /// Points of each campaign.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub campaigns: Vec<CampaignShare>,
    /// Money that tiers and goals count as spent: the basis, rounded down.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Amount::is_zero"))]
    pub spend: Amount,
    /// Points before rounding.
    pub exact: Fraction,
    /// Rounding of the program.
    pub rounding: Rounding,
    /// Points after rounding.
    pub points: Points,
}

/// The earning status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum EarningStatus {
    /// The order's status has not reached the earning gate.
    BelowGate {
        /// The status from which on it earns.
        gate: Status,
    },
    /// The order is cancelled.
    Cancelled,
    /// The order earns.
    Entitled,
    /// The order was refunded in full.
    Refunded,
}

/// The basis of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct LineBasis {
    /// Id of the line.
    pub line: LineId,
    /// Price of the line, net of discounts.
    pub amount: Amount,
    /// Units that were refunded.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Quantity::is_zero"))]
    pub refunded: Quantity,
    /// Reason for which the line does not count, if it does not.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub excluded: Option<Exclusion>,
}

/// The reason for which a line does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Exclusion {
    /// The program excludes its category.
    Category,
    /// It is a gift card.
    GiftCard,
    /// The program excludes its product.
    Product,
}

/// The part of an order's total that remains: the basis is reduced in proportion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RemainingBasis {
    /// Money refunded by amount.
    pub refunded: Amount,
    /// Money paid with a redeemed reward.
    pub redeemed: Amount,
    /// Total of the order.
    pub total: Amount,
}

/// The points of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RuleShare {
    /// Id of the rule.
    pub rule: RuleId,
    /// Formula of the rule.
    pub earn: EarningFormula,
    /// Money that counts for the rule.
    pub basis: Fraction,
    /// Items that count for a rule that earns per item, in the share that remains of them.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub items: Option<Fraction>,
    /// Points before rounding.
    pub points: Fraction,
    /// Allowance of the order, if the rule has a limit. The points are within it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "room"))]
    pub allowance: Option<Allowance>,
}

/// The points of one campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CampaignShare {
    /// Id of the campaign.
    pub campaign: RuleId,
    /// Effect of the campaign.
    pub effect: CampaignEffect,
    /// Points before rounding.
    pub points: Fraction,
}

/// A factor on the sum of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Multiplier {
    /// Tier of the customer.
    pub tier: TierId,
    /// Factor on the points.
    pub factor: Rate,
}

/// An explanation with the points posted before: it explains the difference that is
/// posted now.
///
/// # Example: points that were awarded before
/// ```
/// use loyalty_core::explain::{EarningStatus, Explanation};
/// use loyalty_core::order::PostedPoints;
/// use loyalty_core::{Amount, Calculation, Fraction, Points, ProgramVersion, Rounding};
/// let explanation = Explanation {
///     program: ProgramVersion(1),
///     status: EarningStatus::Cancelled,
///     lines: vec![],
///     extras: Amount::ZERO,
///     remaining: None,
///     rules: vec![],
///     multipliers: vec![],
///     campaigns: vec![],
///     spend: Amount::ZERO,
///     exact: Fraction::ZERO,
///     rounding: Rounding::Down,
///     points: Points::ZERO,
/// };
/// let posted_before = PostedPoints { awarded: Points::from(50), ..PostedPoints::default() };
/// assert_eq!(
///     Calculation { explanation, posted_before }.to_string(),
///     "The order is cancelled and earns nothing. Before this, 50 points were awarded."
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Calculation {
    /// Entitlement of the order.
    pub explanation: Explanation,
    /// Points that the order has posted to the account before.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "PostedPoints::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "before"))]
    pub posted_before: PostedPoints,
}

impl Calculation {
    /// The points of rules with a limit, if this is the order's first award; otherwise
    /// nothing.
    ///
    /// Only the first award uses up a limit: its allowance stays the order's.
    pub(crate) fn limited_rules(&self) -> impl Iterator<Item = (&RuleId, Allowance, Points)> {
        let first = self.posted_before.awarded.is_zero();
        let shares = self
            .explanation
            .rules
            .iter()
            .filter(move |share| first && !share.points.is_zero());
        shares.filter_map(|share| {
            let points = share.points.round(Rounding::Up).unwrap_or(Points::MAX);
            share.allowance.map(|allowance| (&share.rule, allowance, points))
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            EarningStatus::BelowGate { gate } => {
                return write!(f, "The order earns nothing before it is {}.", gate.name());
            }
            EarningStatus::Cancelled => {
                return f.write_str("The order is cancelled and earns nothing.");
            }
            EarningStatus::Refunded => {
                return f.write_str("All of the order was refunded; it earns nothing.");
            }
            EarningStatus::Entitled => {}
        }

        write!(f, "The order earns {} points: ", self.points)?;
        if self.rules.is_empty() {
            f.write_str("no rule applies")?;
        }
        for (index, share) in self.rules.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " + " })?;
            share.fmt(f)?;
        }

        for multiplier in &self.multipliers {
            write!(f, ", times {} for tier {}", multiplier.factor, multiplier.tier)?;
        }
        for share in &self.campaigns {
            write!(f, " + {} by campaign {}", share.points, share.campaign)?;
        }

        if self.exact.to_string() != self.points.to_string() {
            write!(f, ", {} rounded {}", self.exact, self.rounding.name().replace('_', " "))?;
        }
        f.write_str(".")?;
        self.remaining.map_or(Ok(()), |remaining| remaining.fmt(f))
    }
}

impl fmt::Display for RuleShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, basis, items, points, allowance, .. } = self;
        match self.earn {
            EarningFormula::PerUnit(rate) => {
                write!(f, "{points} by {rule} ({rate} per unit of {basis}")
            }
            EarningFormula::PerIncrement { amount, points: each } => {
                write!(f, "{points} by {rule} ({each} per full {amount} of {basis}")
            }
            EarningFormula::PerItem(each) => {
                let items = items.as_ref().unwrap_or(&Fraction::ZERO);
                write!(f, "{points} by {rule} ({each} per item of {items}")
            }
            EarningFormula::PerOrder(each) => write!(f, "{points} by {rule} ({each} per order"),
        }?;

        match allowance {
            Some(allowance) => write!(f, ", at most {})", allowance.points),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Display for RemainingBasis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.refunded.is_zero() {
            write!(f, " Of the total of {}, {} was refunded.", self.total, self.refunded)?;
        }
        if !self.redeemed.is_zero() {
            write!(
                f,
                " Of the total of {}, {} was paid with a reward.",
                self.total, self.redeemed
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Calculation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.explanation.fmt(f)?;
        let PostedPoints { awarded, clawed_back, expired, forgiven } = self.posted_before;
        if awarded.is_zero() {
            return Ok(());
        }

        write!(f, " Before this, {awarded} points were awarded")?;
        if !clawed_back.is_zero() {
            write!(f, ", {clawed_back} taken back")?;
        }
        if !expired.is_zero() {
            write!(f, ", {expired} expired")?;
        }
        if !forgiven.is_zero() {
            write!(f, ", {forgiven} forgiven")?;
        }
        f.write_str(".")
    }
}
