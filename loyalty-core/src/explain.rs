//! Why an order is worth what it is worth: as data, and as a sentence for the customer.

use std::fmt;

use crate::amount::{Amount, Points, Rate, Rounding};
use crate::exact::Fraction;
use crate::id::{LineId, ProgramVersion, RuleId, TierId};
use crate::order::{Allowance, PostedPoints, Quantity, Status};
use crate::program::{CampaignEffect, EarningFormula};

/// How the points of an order come about, line by line, exact to the rounding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Explanation {
    /// The program that the order earns under.
    pub program: ProgramVersion,
    /// Whether the order earns at all.
    #[cfg_attr(feature = "json", serde(rename = "standing"))]
    pub status: EarningStatus,
    /// The basis, line by line.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub lines: Vec<LineBasis>,
    /// What else belongs to the basis: tax and shipping, where the program counts them.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Amount::is_zero"))]
    pub extras: Amount,
    /// What refunds by amount and the part paid with a reward leave of the basis, where they take any.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "left"))]
    pub remaining: Option<RemainingBasis>,
    /// What each rule gave.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub rules: Vec<RuleShare>,
    /// What the sum was multiplied by.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub multipliers: Vec<Multiplier>,
    /// What each campaign added to that.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub campaigns: Vec<CampaignShare>,
    /// What tiers and goals count as spent: the basis, down to the smallest unit of an amount.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Amount::is_zero"))]
    pub spend: Amount,
    /// The points before rounding.
    pub exact: Fraction,
    /// How they were rounded.
    pub rounding: Rounding,
    /// The points.
    pub points: Points,
}

/// Whether an order earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum EarningStatus {
    /// Its status has not reached the gate.
    BelowGate {
        /// The status that earns.
        gate: Status,
    },
    /// It is cancelled.
    Cancelled,
    /// It earns.
    Entitled,
    /// All of it was refunded.
    Refunded,
}

/// One line's part of the basis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct LineBasis {
    /// The line.
    pub line: LineId,
    /// What it cost, net of discounts.
    pub amount: Amount,
    /// How many of its units were refunded.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Quantity::is_zero"))]
    pub refunded: Quantity,
    /// Why it does not count.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    pub excluded: Option<Exclusion>,
}

/// Why a line does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Exclusion {
    /// Its category is excluded by the program.
    Category,
    /// It is a gift card.
    GiftCard,
    /// Its product is excluded by the program.
    Product,
}

/// What is left of the basis after money came off the order's total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RemainingBasis {
    /// Refunded by amount.
    pub refunded: Amount,
    /// Paid with a redeemed reward.
    pub redeemed: Amount,
    /// Of this total.
    pub total: Amount,
}

/// What one rule gave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct RuleShare {
    /// The rule.
    pub rule: RuleId,
    /// What it gives.
    pub earn: EarningFormula,
    /// The money that it looked at.
    pub basis: Fraction,
    /// The points, before rounding.
    pub points: Fraction,
    /// How much it may pay for this order, where it has a limit. The points are within it.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "Option::is_none"))]
    #[cfg_attr(feature = "json", serde(rename = "room"))]
    pub allowance: Option<Allowance>,
}

/// What one campaign added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct CampaignShare {
    /// The campaign.
    pub campaign: RuleId,
    /// What it brings.
    pub effect: CampaignEffect,
    /// The points, before rounding.
    pub points: Fraction,
}

/// A factor on the sum of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Multiplier {
    /// The tier that brings it.
    pub tier: TierId,
    /// The factor.
    pub factor: Rate,
}

/// An explanation with what had been posted before: why this many points moved now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Calculation {
    /// What the order is worth.
    pub explanation: Explanation,
    /// What it had put on the account before.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "PostedPoints::is_empty"))]
    #[cfg_attr(feature = "json", serde(rename = "before"))]
    pub posted_before: PostedPoints,
}

impl Calculation {
    /// What rules with a limit paid, where this is the order's first award.
    pub(crate) fn limited_rules(&self) -> impl Iterator<Item = (&RuleId, Allowance, Points)> {
        let first = self.posted_before.awarded.is_zero();
        let shares = self
            .explanation
            .rules
            .iter()
            .filter(move |share| first && !share.points.is_zero());
        shares.filter_map(|share| {
            let points = share.points.round(Rounding::Up).unwrap_or(Points::MAX);
            share.allowance.map(|room| (&share.rule, room, points))
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
        self.remaining.map_or(Ok(()), |left| left.fmt(f))
    }
}

impl fmt::Display for RuleShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, basis, points, allowance: room, .. } = self;
        match self.earn {
            EarningFormula::PerUnit(rate) => {
                write!(f, "{points} by {rule} ({rate} per unit of {basis}")
            }
            EarningFormula::PerIncrement { amount, points: each } => {
                write!(f, "{points} by {rule} ({each} per full {amount} of {basis}")
            }
            EarningFormula::PerOrder(each) => write!(f, "{points} by {rule} ({each} per order"),
        }?;
        match room {
            Some(room) => write!(f, ", at most {})", room.points),
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
        let PostedPoints { awarded, clawed_back: taken, expired, forgiven } = self.posted_before;
        if awarded.is_zero() {
            return Ok(());
        }
        write!(f, " Before this, {awarded} points were awarded")?;
        if !taken.is_zero() {
            write!(f, ", {taken} taken back")?;
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
