//! Statements in English.

use std::fmt;

use super::{Statement, Statements};
use crate::amount::{Amount, Rate};
use crate::calendar::Timestamp;
use crate::exact::Fraction;
use crate::figures::{CountedNoun, GroupedNumber, RoundedNumber, count_points};
use crate::id::TierId;
use crate::program::EarningFormula;
use crate::tier::TierReason;

impl fmt::Display for Statements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<&Statement> = None;
        for statement in self.0 {
            f.write_str(before.map_or("", |before| statement.connector(before)))?;
            statement.fmt(f)?;
            before = Some(statement);
        }
        f.write_str(if self.0.is_empty() { "" } else { "." })
    }
}

impl Statement {
    /// What joins the statement to the one before it: the end of its sentence, or less for
    /// a clause of it.
    fn connector(&self, before: &Self) -> &'static str {
        let opens = |is_open: bool| if is_open { ": " } else { ", " };
        match self {
            Self::RuleEarns { .. } if matches!(before, Self::RuleEarns { .. }) => " + ",
            Self::RuleEarns { .. } | Self::NoRuleApplies => ": ",
            Self::CampaignAdds { .. } => " + ",
            Self::TierMultiplies { .. } | Self::PointsRounded { .. } => ", ",
            Self::DebtPaid { .. } | Self::PointsUsable { .. } => {
                opens(matches!(before, Self::PointsReturned { .. }))
            }
            Self::OrderBelowGate { .. }
            | Self::OrderCancelled
            | Self::OrderRefunded
            | Self::OrderEarns { .. }
            | Self::PartRefunded { .. }
            | Self::PartRedeemed { .. }
            | Self::PostedBefore { .. }
            | Self::BonusGranted { .. }
            | Self::BonusTakenBack { .. }
            | Self::CodePublished { .. }
            | Self::CodePublishFailed { .. }
            | Self::CodeWithdrawn { .. }
            | Self::GiftKept { .. }
            | Self::GiftKeptBefore { .. }
            | Self::GiftTakenBack { .. }
            | Self::RewardGiven { .. }
            | Self::RewardRedeemed { .. }
            | Self::PointsReturned { .. }
            | Self::TierChanged { .. } => ". ",
        }
    }
}

/// The statement in English, without the end of its sentence.
impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OrderBelowGate { gate } => {
                write!(f, "The order earns nothing before it is {}", gate.name())
            }
            Self::OrderCancelled => f.write_str("The order is cancelled and earns nothing"),
            Self::OrderRefunded => f.write_str("All of the order was refunded; it earns nothing"),
            Self::OrderEarns { points } => write!(f, "The order earns {}", count_points(*points)),
            Self::NoRuleApplies => f.write_str("no rule applies"),
            Self::RuleEarns { rule, points, earn, basis, items, at_most } => {
                write!(f, "{} by {rule} (", RoundedNumber(points))?;
                fmt_formula(f, *earn, basis, items.as_ref())?;
                match at_most {
                    Some(most) => write!(f, ", at most {})", GroupedNumber(most)),
                    None => f.write_str(")"),
                }
            }
            Self::TierMultiplies { tier, factor } => write!(f, "times {factor} for tier {tier}"),
            Self::CampaignAdds { campaign, points } => {
                write!(f, "{} by campaign {campaign}", RoundedNumber(points))
            }
            Self::PointsRounded { exact, rounding } => {
                write!(f, "{} rounded {}", RoundedNumber(exact), rounding.name().replace('_', " "))
            }
            Self::PartRefunded { refunded, total } => fmt_part(f, *total, *refunded, "refunded"),
            Self::PartRedeemed { redeemed, total } => {
                fmt_part(f, *total, *redeemed, "paid with a reward")
            }
            Self::PostedBefore { awarded, taken_back, expired, forgiven } => {
                let verb = if awarded.get() == 1 { "was" } else { "were" };
                write!(f, "Before this, {} {verb} awarded", count_points(*awarded))?;
                let others =
                    [(taken_back, "taken back"), (expired, "expired"), (forgiven, "forgiven")];
                others
                    .into_iter()
                    .filter(|(points, _)| !points.is_zero())
                    .try_for_each(|(points, what)| write!(f, ", {} {what}", GroupedNumber(points)))
            }
            Self::BonusGranted { points, wanted, limit, gift, reason } => {
                match (limit, gift) {
                    (None, Some(name)) if points.is_zero() => f.write_str(name)?,
                    (None, _) => write!(f, "{}", count_points(*points))?,
                    (Some(_), _) => {
                        write!(f, "{} of {}", GroupedNumber(points), count_points(*wanted))?;
                    }
                }
                if let Some(name) = gift.as_ref().filter(|_| !points.is_zero()) {
                    write!(f, " and {name}")?;
                }
                write!(f, " {reason}")?;
                limit.map_or(Ok(()), |limit| write!(f, ": limited to {limit}"))
            }
            Self::GiftKeptBefore { name } => {
                write!(f, "{name} was given for it before, and was used or has ended")
            }
            Self::GiftTakenBack { reward, cause } => {
                write!(f, "Reward {reward}, given {cause}, is taken back")
            }
            Self::GiftKept { reward, cause } => {
                write!(
                    f,
                    "Reward {reward}, given {cause}, was used or has ended, and is not taken back"
                )
            }
            Self::RewardGiven { name, benefit, cause, maximum_share, until } => {
                write!(f, "{name} {cause}: {benefit}")?;
                fmt_terms(f, *maximum_share, *until)
            }
            Self::BonusTakenBack { reason } => write!(f, "What was given {reason} is taken back"),
            Self::RewardRedeemed { points, name, benefit, maximum_share, until } => {
                write!(f, "{} for {name}: {benefit}", count_points(*points))?;
                fmt_terms(f, *maximum_share, *until)
            }
            Self::CodePublished { store } => write!(f, "Store {store} has the code"),
            Self::CodePublishFailed { store, reason } => {
                write!(f, "Store {store} does not have the code: {reason}")
            }
            Self::CodeWithdrawn { store } => write!(f, "Store {store} no longer has the code"),
            Self::PointsReturned { points } => write!(f, "{} came back", count_points(*points)),
            Self::DebtPaid { points } => write!(f, "{} paid off debt", GroupedNumber(points)),
            Self::PointsUsable { points, until: Some(end) } => {
                write!(f, "{} to be used before {end}", GroupedNumber(points))
            }
            Self::PointsUsable { points, until: None } => {
                write!(f, "{} without an end", GroupedNumber(points))
            }
            Self::TierChanged { from, to, reason } => {
                fmt_tier_change(f, from.as_ref(), to.as_ref(), *reason)
            }
        }
    }
}

/// The terms of a reward: the most that it takes off, and its end.
fn fmt_terms(
    f: &mut fmt::Formatter<'_>,
    maximum_share: Option<Rate>,
    until: Option<Timestamp>,
) -> fmt::Result {
    if let Some(share) = maximum_share {
        write!(f, ", at most {share}% of an order's goods")?;
    }
    until.map_or(Ok(()), |end| write!(f, ", to be used before {end}"))
}

fn fmt_formula(
    f: &mut fmt::Formatter<'_>,
    earn: EarningFormula,
    basis: &Fraction,
    items: Option<&Fraction>,
) -> fmt::Result {
    match earn {
        EarningFormula::PerUnit(rate) => write!(f, "{rate} per unit of {}", RoundedNumber(basis)),
        EarningFormula::PerIncrement { amount, points } => {
            let (points, amount) = (GroupedNumber(points), GroupedNumber(amount));
            write!(f, "{points} per full {amount} of {}", RoundedNumber(basis))
        }
        EarningFormula::PerItem(points) => {
            let items = RoundedNumber(items.unwrap_or(&Fraction::ZERO)).to_string();
            let items = CountedNoun::new(items, "item", "items");
            write!(f, "{} per item, {items}", GroupedNumber(points))
        }
        EarningFormula::PerOrder(points) => write!(f, "{} per order", GroupedNumber(points)),
    }
}

fn fmt_part(f: &mut fmt::Formatter<'_>, total: Amount, part: Amount, what: &str) -> fmt::Result {
    write!(
        f,
        "Of the total of {}, {} was {what}",
        GroupedNumber(total),
        GroupedNumber(part)
    )
}

fn fmt_tier_change(
    f: &mut fmt::Formatter<'_>,
    from: Option<&TierId>,
    to: Option<&TierId>,
    reason: TierReason,
) -> fmt::Result {
    match (from, to) {
        (None, Some(to)) => write!(f, "Entered tier {to}")?,
        (Some(from), Some(to)) => write!(f, "Moved from tier {from} to {to}")?,
        (Some(from), None) => write!(f, "Left tier {from}")?,
        (None, None) => f.write_str("Stayed without a tier")?,
    }
    f.write_str(match reason {
        TierReason::Qualified => ": what was done is enough for it",
        TierReason::Refunded => ": a refund undid the qualification",
        TierReason::Lapsed => ": what was done lately is not enough to keep it",
        TierReason::Removed => ": the program has the tier no more",
    })
}
