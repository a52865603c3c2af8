//! The points that campaigns add to an order.
//!
//! Lines that the same campaigns cover form a group. On each group's part of the rules'
//! points, the factors of its campaigns and of the tier are combined by the program's
//! policy. All of it is exact: the order is rounded once, later.

use std::collections::BTreeMap;

use crate::amount::Rate;
use crate::exact::{Fraction, Overflow};
use crate::explain::{CampaignShare, Multiplier, RuleShare};
use crate::order::{Line, Pin};
use crate::program::{Campaign, CampaignEffect, EarningFormula, MultiplierPolicy, Program};
use crate::rules::basis::{ApplicableRule, OrderBasis, matches_scope};

impl Campaign {
    fn covers(&self, line: &Line) -> bool {
        !self.is_scoped() || matches_scope(line, &self.products, &self.categories)
    }
}

/// The points that each of the order's campaigns adds, before rounding. `rules` are those
/// that apply. Each has at most one of the `shares`.
pub(super) fn campaign_shares(
    basis: &OrderBasis<'_>,
    program: &Program,
    pin: &Pin,
    rules: &[ApplicableRule<'_>],
    shares: &[RuleShare],
    tier: Option<&Multiplier>,
) -> Result<Vec<CampaignShare>, Overflow> {
    let pinned = program
        .definition()
        .campaigns
        .iter()
        .filter(|campaign| pin.campaigns.contains(&campaign.id));
    let pinned: Vec<&Campaign> = pinned.collect();
    let tier = tier.map_or(Fraction::ONE, |tier| Fraction::from_rate(tier.factor));
    let mut added: BTreeMap<usize, Fraction> = BTreeMap::new();
    for (factors, points) in group_points(basis, &pinned, rules, shares)? {
        for (index, more) in combine(program.definition().combine, &tier, &factors, &points)? {
            let sum = added.entry(index).or_insert(Fraction::ZERO);
            *sum = more.plus(sum)?;
        }
    }

    // A campaign's bonus is multiplied by nothing.
    for (index, campaign) in pinned.iter().enumerate() {
        if let CampaignEffect::Bonus(points) = campaign.effect
            && basis.has_goods(|share| campaign.covers(share.line))
        {
            added.insert(index, Fraction::from_points(points));
        }
    }

    let share = |(index, points): (usize, Fraction)| {
        let campaign = pinned.get(index)?;
        Some(CampaignShare {
            campaign: campaign.id.clone(),
            effect: campaign.effect,
            points,
        })
    };
    Ok(added
        .into_iter()
        .filter(|(_, points)| !points.is_zero())
        .filter_map(share)
        .collect())
}

/// Campaigns that multiply: their indexes and factors.
type Factors = Vec<(usize, Rate)>;

/// The points of the rules by groups of lines, each with the campaigns that multiply it.
fn group_points(
    basis: &OrderBasis<'_>,
    pinned: &[&Campaign],
    rules: &[ApplicableRule<'_>],
    shares: &[RuleShare],
) -> Result<Vec<(Factors, Fraction)>, Overflow> {
    let factors = |select: &dyn Fn(&Campaign) -> bool| -> Factors {
        let selected = pinned.iter().enumerate().filter(|(_, campaign)| select(campaign));
        let factor = |(index, campaign): (usize, &&Campaign)| match campaign.effect {
            CampaignEffect::Multiplier(factor) => Some((index, factor)),
            CampaignEffect::Bonus(_) => None,
        };
        selected.filter_map(factor).collect()
    };

    // Groups other than that of the campaigns for all lines.
    let everywhere = factors(&|campaign| !campaign.is_scoped());
    let of_line = |line: &Line| factors(&|campaign| campaign.covers(line));
    let mut kinds: Vec<Factors> = Vec::new();
    for line in basis.counted_lines() {
        let kind = of_line(line);
        if kind != everywhere && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }

    // What no group takes, points per order among it, is multiplied by campaigns for all
    // lines alone.
    let mut rest = shares
        .iter()
        .try_fold(Fraction::ZERO, |sum, share| sum.plus(&share.points))?;
    let mut groups = Vec::new();
    for kind in kinds {
        let mut points = Fraction::ZERO;
        for share in shares
            .iter()
            .filter(|share| !matches!(share.earn, EarningFormula::PerOrder(_)))
        {
            let Some(applied) = rules.iter().find(|applied| applied.rule.id == share.rule) else {
                continue;
            };
            let part = basis.rule_share(applied, &share.basis, |line| of_line(line) == kind)?;
            points = points.plus(&part.times(&share.points)?)?;
        }
        rest = rest.minus(&points)?;
        groups.push((kind, points));
    }
    groups.push((everywhere, rest));
    Ok(groups)
}

/// The points that campaigns add beyond the tier's multiplication.
fn combine(
    combine: MultiplierPolicy,
    tier: &Fraction,
    factors: &[(usize, Rate)],
    points: &Fraction,
) -> Result<Vec<(usize, Fraction)>, Overflow> {
    let more = |rate: Rate| Fraction::from_rate(rate).minus(&Fraction::ONE);
    match combine {
        MultiplierPolicy::Multiply => {
            let mut before = tier.clone().times(points)?;
            let mut added = Vec::with_capacity(factors.len());
            for (index, rate) in factors {
                let extra = more(*rate)?.times(&before)?;
                before = before.plus(&extra)?;
                added.push((*index, extra));
            }
            Ok(added)
        }
        MultiplierPolicy::Highest => {
            let highest = factors
                .iter()
                .max_by_key(|(index, rate)| (*rate, std::cmp::Reverse(*index)));
            let Some((index, rate)) = highest else { return Ok(Vec::new()) };
            let above = Fraction::from_rate(*rate).minus(tier)?;
            Ok(vec![(*index, above.times(points)?)])
        }
        MultiplierPolicy::Add => factors
            .iter()
            .map(|(index, rate)| Ok((*index, more(*rate)?.times(points)?)))
            .collect(),
    }
}
