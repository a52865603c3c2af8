//! What campaigns add to the points of an order.
//!
//! Lines that the same campaigns are about are taken together. Each such group has its part of what the
//! rules give; on it the factors of its campaigns and of the tier go together as the program says. All of
//! it is exact; the order is rounded once, later.

use std::collections::BTreeMap;

use crate::amount::Rate;
use crate::exact::{Fraction, Overflow};
use crate::explain::{CampaignShare, Multiplier, RuleShare};
use crate::order::{Line, Pin};
use crate::program::{Campaign, Combine, Earn, Effect, Program};
use crate::rules::entitle::{Applied, OrderBasis, is_of};

impl Campaign {
    fn covers(&self, line: &Line) -> bool {
        !self.is_scoped() || is_of(line, &self.products, &self.categories)
    }
}

/// What each of the order's campaigns adds, before rounding. `rules` are those that apply; each has at most
/// one share.
pub(super) fn shares(
    basis: &OrderBasis<'_>,
    program: &Program,
    pin: &Pin,
    rules: &[Applied<'_>],
    shares: &[RuleShare],
    tier: Option<&Multiplier>,
) -> Result<Vec<CampaignShare>, Overflow> {
    let pinned = program
        .parts()
        .campaigns
        .iter()
        .filter(|campaign| pin.campaigns.contains(&campaign.id));
    let pinned: Vec<&Campaign> = pinned.collect();
    let tier = tier.map_or(Fraction::ONE, |tier| Fraction::rate(tier.factor));
    let mut added: BTreeMap<usize, Fraction> = BTreeMap::new();
    for (factors, points) in groups(basis, &pinned, rules, shares)? {
        for (index, more) in combined(program.parts().combine, &tier, &factors, &points)? {
            let sum = added.entry(index).or_insert(Fraction::ZERO);
            *sum = more.plus(sum)?;
        }
    }
    for (index, campaign) in pinned.iter().enumerate() {
        if let Effect::Bonus(points) = campaign.effect
            && (!campaign.is_scoped() || basis.has(|share| campaign.covers(share.line)))
        {
            added.insert(index, Fraction::whole(points));
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

/// Campaigns that multiply, by their place, with their factors.
type Factors = Vec<(usize, Rate)>;

/// The points of the rules in parts, each with the campaigns that multiply it.
fn groups(
    basis: &OrderBasis<'_>,
    pinned: &[&Campaign],
    rules: &[Applied<'_>],
    shares: &[RuleShare],
) -> Result<Vec<(Factors, Fraction)>, Overflow> {
    let factors = |about: &dyn Fn(&Campaign) -> bool| -> Factors {
        let about = pinned.iter().enumerate().filter(|(_, campaign)| about(campaign));
        let factor = |(index, campaign): (usize, &&Campaign)| match campaign.effect {
            Effect::Multiplier(factor) => Some((index, factor)),
            Effect::Bonus(_) => None,
        };
        about.filter_map(factor).collect()
    };
    let everywhere = factors(&|campaign| !campaign.is_scoped());
    let of_line = |line: &Line| factors(&|campaign| campaign.covers(line));
    let mut kinds: Vec<Factors> = Vec::new();
    for line in basis.counted() {
        let kind = of_line(line);
        if kind != everywhere && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let mut rest = shares
        .iter()
        .try_fold(Fraction::ZERO, |sum, share| sum.plus(&share.points))?;
    let mut groups = Vec::new();
    for kind in kinds {
        let mut points = Fraction::ZERO;
        for share in shares.iter().filter(|share| !matches!(share.earn, Earn::PerOrder(_))) {
            let Some(applied) = rules.iter().find(|applied| applied.rule.id == share.rule) else {
                continue;
            };
            let part = basis.share_of(applied, &share.basis, |line| of_line(line) == kind)?;
            points = points.plus(&part.times(&share.points)?)?;
        }
        rest = rest.minus(&points)?;
        groups.push((kind, points));
    }
    groups.push((everywhere, rest));
    Ok(groups)
}

/// What the campaigns add to points that the tier multiplies anyway.
fn combined(
    combine: Combine,
    tier: &Fraction,
    factors: &[(usize, Rate)],
    points: &Fraction,
) -> Result<Vec<(usize, Fraction)>, Overflow> {
    let more = |rate: Rate| Fraction::rate(rate).minus(&Fraction::ONE);
    match combine {
        Combine::Multiply => {
            let mut before = tier.clone().times(points)?;
            let mut added = Vec::with_capacity(factors.len());
            for (index, rate) in factors {
                let extra = more(*rate)?.times(&before)?;
                before = before.plus(&extra)?;
                added.push((*index, extra));
            }
            Ok(added)
        }
        Combine::Highest => {
            let highest = factors
                .iter()
                .max_by_key(|(index, rate)| (*rate, std::cmp::Reverse(*index)));
            let Some((index, rate)) = highest else { return Ok(Vec::new()) };
            let above = Fraction::rate(*rate).minus(tier)?;
            Ok(vec![(*index, above.times(points)?)])
        }
        Combine::Add => factors
            .iter()
            .map(|(index, rate)| Ok((*index, more(*rate)?.times(points)?)))
            .collect(),
    }
}
