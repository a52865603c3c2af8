//! What an order deserves, given all that is known of it now.
//!
//! Lines less their refunded units make the basis; refunds by amount and the part paid with a reward
//! leave a share of it; each rule looks at its lines of what is left; the sum is multiplied, and rounded
//! once. Everything before the rounding is an exact fraction.

use std::collections::{BTreeMap, BTreeSet};

use crate::amount::{Amount, Points};
use crate::calendar::Timestamp;
use crate::exact::{Fraction, Overflow};
use crate::explain::{Exclusion, Explanation, Left, LineBasis, Multiplier, RuleShare, Standing};
use crate::id::{CategoryId, ProductId, RuleId};
use crate::order::{Line, Order, OrderState, Origin, Pin, Quantity, Room, Status};
use crate::program::{Earn, EarningRule, Places, Program, RefundPolicy};
use crate::rules::{campaign, refund};

/// The points that an order deserves under the program that it was pinned to, with the reasons.
///
/// A function of the facts and the pin alone: the order of arrival and what was posted so far do not
/// enter.
///
/// # Errors
/// [`Overflow`] where absurd amounts leave 256 bits.
pub fn entitlement(
    state: &OrderState,
    program: &Program,
    pin: &Pin,
) -> Result<Explanation, Overflow> {
    let order = state.recorded().map(|recorded| &*recorded.order);
    let origin = state.recorded().map_or(Origin::Shop, |recorded| recorded.origin);
    let gate = program.gate(origin);
    let standing = if state.is_cancelled() {
        Standing::Cancelled
    } else if state.status().is_none_or(|status| status < gate) {
        Standing::BelowGate { gate }
    } else if refunds_count(program) && refund::is_complete(state)? {
        Standing::Refunded
    } else {
        Standing::Entitled
    };
    match order {
        Some(order) if standing == Standing::Entitled => entitled(state, order, gate, program, pin),
        _ => Ok(nothing(standing, program, pin)),
    }
}

/// What each rule would give for an order if none had a limit, before rounding.
pub(crate) fn unlimited(
    state: &OrderState,
    program: &Program,
    pin: &Pin,
) -> Result<BTreeMap<RuleId, Fraction>, Overflow> {
    let free = Pin { rooms: BTreeMap::new(), ..pin.clone() };
    let shares = entitlement(state, program, &free)?.rules;
    Ok(shares.into_iter().map(|share| (share.rule, share.points)).collect())
}

fn refunds_count(program: &Program) -> bool {
    program.parts().refunds == RefundPolicy::ClawBack
}

fn nothing(standing: Standing, program: &Program, pin: &Pin) -> Explanation {
    Explanation {
        program: pin.program,
        standing,
        lines: Vec::new(),
        extras: Amount::ZERO,
        left: None,
        rules: Vec::new(),
        multipliers: Vec::new(),
        campaigns: Vec::new(),
        spend: Amount::ZERO,
        exact: Fraction::ZERO,
        rounding: program.parts().rounding,
        points: Points::ZERO,
    }
}

fn entitled(
    state: &OrderState,
    order: &Order,
    gate: Status,
    program: &Program,
    pin: &Pin,
) -> Result<Explanation, Overflow> {
    let mut basis = OrderBasis::of(state, order, program, refunds_count(program))?;
    let at = placed_at(state, order, gate).unwrap_or(pin.at);
    let total = basis.total()?;
    let rules = Applied::of(program, pin, at, &total);
    let unclaimed = basis.unclaimed(&rules, &total)?;

    let mut shares = Vec::with_capacity(rules.len());
    let mut exact = Fraction::ZERO;
    for applied in &rules {
        let rule = applied.rule;
        let looked_at = applied.looked_at(&basis, &unclaimed)?;
        let room = pin.rooms.get(&rule.id).copied();
        let points = applied.points(&basis, &looked_at, room)?;
        exact = exact.plus(&points)?;
        if !points.is_zero() || !rule.when.is_scoped() {
            shares.push(RuleShare {
                rule: rule.id.clone(),
                earn: rule.earn,
                basis: looked_at,
                points,
                room,
            });
        }
    }
    let multipliers = multipliers(program, pin);
    let campaigns = if pin.campaigns.is_empty() {
        Vec::new()
    } else {
        campaign::shares(&basis, program, pin, &rules, &shares, multipliers.first())?
    };
    for multiplier in &multipliers {
        exact = exact.times(&Fraction::rate(multiplier.factor))?;
    }
    for share in &campaigns {
        exact = exact.plus(&share.points)?;
    }
    let points = exact.rounded(program.parts().rounding)?;
    let explanation = nothing(Standing::Entitled, program, pin);
    let (extras, left) = (basis.extras_amount, basis.left);
    Ok(Explanation {
        lines: basis.explained(),
        extras,
        left,
        rules: shares,
        multipliers,
        campaigns,
        spend: spend(state, order, program, total)?.to_amount_down(),
        exact,
        points,
        ..explanation
    })
}

/// What tiers and goals count as spent: refunds are deducted, also where the program lets their points stay.
fn spend(
    state: &OrderState,
    order: &Order,
    program: &Program,
    total: Fraction,
) -> Result<Fraction, Overflow> {
    if refunds_count(program) || state.refunds().is_empty() {
        Ok(total)
    } else if refund::is_complete(state)? {
        Ok(Fraction::ZERO)
    } else {
        OrderBasis::of(state, order, program, true)?.total()
    }
}

/// When an order counts as placed.
pub(crate) fn placed_at(state: &OrderState, order: &Order, gate: Status) -> Option<Timestamp> {
    order.placed_at.or_else(|| state.first_reached_at(gate))
}

fn multipliers(program: &Program, pin: &Pin) -> Vec<Multiplier> {
    let tier = pin.tier.as_ref().and_then(|id| program.tier(id));
    let tier = tier.filter(|tier| tier.multiplier != crate::amount::Rate::ONE);
    tier.map(|tier| Multiplier { tier: tier.id.clone(), factor: tier.multiplier })
        .into_iter()
        .collect()
}

/// A rule that applies to an order, with its place in the program.
pub(super) struct Applied<'a> {
    place: usize,
    pub(super) rule: &'a EarningRule,
}

impl<'a> Applied<'a> {
    /// The rules whose conditions on the customer, the date and the whole basis hold.
    fn of(program: &'a Program, pin: &Pin, at: Timestamp, total: &Fraction) -> Vec<Self> {
        let earning = &program.parts().earning;
        let mut rules = Vec::with_capacity(earning.len());
        for (place, rule) in earning.iter().enumerate() {
            let when = &rule.when;
            if when.from.is_none_or(|from| from <= at)
                && when.until.is_none_or(|until| at < until)
                && (when.customer_tags.is_empty()
                    || when.customer_tags.iter().any(|tag| pin.tags.contains(tag)))
                && when
                    .minimum_spend
                    .is_none_or(|minimum| total.is_at_least(&Fraction::amount(minimum)))
            {
                rules.push(Self { place, rule });
            }
        }
        rules
    }

    /// Whether the rule looks at this line.
    fn looks_at(&self, share: &LineShare<'_>) -> bool {
        if self.rule.when.is_scoped() { share.rules.has(self.place) } else { !share.claimed }
    }

    /// The money that the rule looks at: what is `unclaimed`, where it names no product or category.
    fn looked_at(
        &self,
        basis: &OrderBasis<'_>,
        unclaimed: &Fraction,
    ) -> Result<Fraction, Overflow> {
        if self.rule.when.is_scoped() {
            basis.sum(|share| share.rules.has(self.place))?.times(&basis.share)
        } else {
            Ok(unclaimed.clone())
        }
    }

    /// What the rule gives, within its room.
    fn points(
        &self,
        basis: &OrderBasis<'_>,
        looked_at: &Fraction,
        room: Option<Room>,
    ) -> Result<Fraction, Overflow> {
        let points = match self.rule.earn {
            Earn::PerUnit(rate) => Fraction::rate(rate).times(looked_at)?,
            Earn::PerIncrement { amount, points } => looked_at
                .whole_times(&Fraction::amount(amount))?
                .times(&Fraction::whole(points))?,
            Earn::PerOrder(_)
                if self.rule.when.is_scoped()
                    && !basis.has(|share| share.rules.has(self.place)) =>
            {
                Fraction::ZERO
            }
            Earn::PerOrder(points) => Fraction::whole(points),
        };
        let most = room.map(|room| Fraction::whole(room.points));
        Ok(most.filter(|most| !most.is_at_least(&points)).unwrap_or(points))
    }
}

/// Whether a line is of one of these products or categories.
pub(super) fn is_of(
    line: &Line,
    products: &BTreeSet<ProductId>,
    categories: &BTreeSet<CategoryId>,
) -> bool {
    line.product
        .as_ref()
        .is_some_and(|product| products.contains(product))
        || line.categories.iter().any(|category| categories.contains(category))
}

/// The money of an order that a program looks at.
pub(super) struct OrderBasis<'a> {
    lines: Vec<LineShare<'a>>,
    /// What of the lines is not tax.
    net: Fraction,
    /// Tax and shipping, where they count.
    extras: Fraction,
    extras_amount: Amount,
    /// What is left of all that: 1, less refunds by amount and the redeemed part.
    share: Fraction,
    left: Option<Left>,
}

/// A line with the units of it that went back.
pub(super) struct LineShare<'a> {
    pub(super) line: &'a Line,
    /// What it cost, in ten-thousandths.
    cost: i64,
    refunded: Quantity,
    excluded: Option<Exclusion>,
    /// The rules that name it.
    rules: Places,
    /// One of them leaves nothing of it to rules that name no product or category.
    claimed: bool,
}

impl<'a> OrderBasis<'a> {
    fn of(
        state: &OrderState,
        order: &'a Order,
        program: &Program,
        refunds: bool,
    ) -> Result<Self, Overflow> {
        let basis = &program.parts().basis;
        let units = if refunds { refund::units(state) } else { BTreeMap::new() };
        let taxed = order.taxes_included && !basis.tax && !order.tax.is_zero();
        let net = if taxed { untaxed_share(order)? } else { Fraction::ONE };
        let share = |line: &'a Line| LineShare {
            line,
            cost: line.amount.ten_thousandths(),
            refunded: units.get(&line.id).copied().unwrap_or_default(),
            excluded: exclusion(line, program),
            rules: program.rules_about(line),
            claimed: false,
        };
        let lines = order.lines.iter().map(share).collect();
        let mut extras_amount = Amount::ZERO;
        for (counts, amount) in
            [(basis.tax && !order.taxes_included, order.tax), (basis.shipping, order.shipping)]
        {
            if counts {
                extras_amount = extras_amount.checked_add(amount).ok_or(Overflow)?;
            }
        }
        let extras = Fraction::amount(extras_amount);
        let mut whole = Self {
            lines,
            net,
            extras,
            extras_amount,
            share: Fraction::ONE,
            left: None,
        };
        let refunded = if refunds { refund::by_amount(state) } else { Amount::ZERO };
        whole.take_off_money(refunded, order, program)?;
        Ok(whole)
    }

    /// All that counts.
    fn total(&self) -> Result<Fraction, Overflow> {
        self.sum(|_| true)?.plus(&self.extras)?.times(&self.share)
    }

    /// What is left for rules that name no product or category, where others claim lines of theirs.
    fn unclaimed(&mut self, rules: &[Applied<'_>], total: &Fraction) -> Result<Fraction, Overflow> {
        let mut claiming = Places::default();
        rules
            .iter()
            .filter(|applied| applied.rule.replaces_base)
            .for_each(|applied| claiming.add(applied.place));
        self.lines
            .iter_mut()
            .for_each(|share| share.claimed = share.rules.meet(&claiming));
        if self.lines.iter().any(|share| share.claimed) {
            self.sum(|share| !share.claimed)?
                .plus(&self.extras)?
                .times(&self.share)
        } else {
            Ok(total.clone())
        }
    }

    /// The part paid with a reward takes its share off what is left of the lines. Refunds by amount take
    /// theirs off the whole basis, as it was before any refund; the lines bear it by what is left of them.
    fn take_off_money(
        &mut self,
        refunded: Amount,
        order: &Order,
        program: &Program,
    ) -> Result<(), Overflow> {
        let redeemed = if program.parts().basis.redeemed { Amount::ZERO } else { order.redeemed };
        if refunded.is_zero() && redeemed.is_zero() {
            return Ok(());
        }
        let counted = self.lines.iter().filter(|share| share.excluded.is_none());
        let original = counted.fold(0, |sum: i64, share| sum.saturating_add(share.cost));
        let original = Fraction::of(original, 10_000).times(&self.net)?.plus(&self.extras)?;
        let standing = self.sum(|_| true)?.plus(&self.extras)?;
        let total = order.total.ten_thousandths();
        let paid = Fraction::of(total.saturating_sub(redeemed.ten_thousandths()), total);
        let taken = original.times(&Fraction::of(refunded.ten_thousandths(), total))?;
        self.share = paid.times(&standing)?.minus(&taken)?.divided_by(&standing)?.reduced();
        self.left = Some(Left { refunded, redeemed, total: order.total });
        Ok(())
    }

    /// What is left of the counted lines that are asked for.
    pub(super) fn sum(&self, asked: impl Fn(&LineShare<'_>) -> bool) -> Result<Fraction, Overflow> {
        let (mut whole, mut parts) = (0_i64, Fraction::ZERO);
        for share in self
            .lines
            .iter()
            .filter(|share| share.excluded.is_none() && asked(share))
        {
            if share.refunded.is_zero() {
                whole = whole.saturating_add(share.cost);
            } else {
                let kept = refund::kept_share(share.line, share.refunded);
                parts = parts.plus(&Fraction::of(share.cost, 10_000).times(&kept)?)?;
            }
        }
        Fraction::of(whole, 10_000).plus(&parts)?.times(&self.net)
    }

    /// Whether any counted line that is asked for is not wholly refunded.
    pub(super) fn has(&self, asked: impl Fn(&LineShare<'_>) -> bool) -> bool {
        let there = |share: &LineShare<'_>| {
            share.refunded.is_zero() || share.refunded < share.line.quantity
        };
        self.lines
            .iter()
            .any(|share| share.excluded.is_none() && there(share) && asked(share))
    }

    /// The lines that count.
    pub(super) fn counted(&self) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(|share| share.excluded.is_none())
            .map(|share| share.line)
    }

    /// The share of a rule's points that lines asked for have: those of its lines, by what is left of them.
    pub(super) fn share_of(
        &self,
        applied: &Applied<'_>,
        looked_at: &Fraction,
        asked: impl Fn(&Line) -> bool,
    ) -> Result<Fraction, Overflow> {
        let part = self
            .sum(|share| applied.looks_at(share) && asked(share.line))?
            .times(&self.share)?;
        part.divided_by(looked_at)
    }

    fn explained(&self) -> Vec<LineBasis> {
        let explain = |share: &LineShare<'_>| LineBasis {
            line: share.line.id.clone(),
            amount: share.line.amount,
            refunded: share.refunded,
            excluded: share.excluded,
        };
        self.lines.iter().map(explain).collect()
    }
}

fn exclusion(line: &Line, program: &Program) -> Option<Exclusion> {
    let basis = &program.parts().basis;
    if line.gift_card {
        return Some(Exclusion::GiftCard);
    }
    if line
        .product
        .as_ref()
        .is_some_and(|product| basis.excluded_products.contains(product))
    {
        return Some(Exclusion::Product);
    }
    let excluded = line
        .categories
        .iter()
        .any(|category| basis.excluded_categories.contains(category));
    excluded.then_some(Exclusion::Category)
}

/// The part of line amounts that is not tax, where they include it.
fn untaxed_share(order: &Order) -> Result<Fraction, Overflow> {
    let gross = order.subtotal().ok_or(Overflow)?.ten_thousandths();
    Ok(Fraction::of(gross.saturating_sub(order.tax.ten_thousandths()), gross))
}
