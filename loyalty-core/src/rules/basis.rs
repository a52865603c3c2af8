//! The basis of an order: the money of it that a program's rules look at.
//!
//! Lines less their refunded units, and tax and shipping if the program counts them.
//! Refunds by amount and the part paid with a reward leave a share of it. Everything here
//! is an exact fraction.

use std::collections::{BTreeMap, BTreeSet};

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::exact::{Fraction, Overflow};
use crate::explain::{Exclusion, LineBasis, RemainingBasis};
use crate::id::{CategoryId, ProductId};
use crate::order::{Allowance, Line, Order, OrderState, Pin, Quantity};
use crate::program::{EarningFormula, EarningRule, Program, RuleSet};
use crate::rules::refund;

/// A rule that applies to an order, with its index in the program.
pub(super) struct ApplicableRule<'a> {
    index: usize,
    pub(super) rule: &'a EarningRule,
}

impl<'a> ApplicableRule<'a> {
    /// The rules whose conditions on the customer, the date and the whole basis are met.
    pub(super) fn all_for(
        program: &'a Program,
        pin: &Pin,
        at: Timestamp,
        total: &Fraction,
    ) -> Vec<Self> {
        let earning = &program.definition().earning;
        let mut rules = Vec::with_capacity(earning.len());
        for (place, rule) in earning.iter().enumerate() {
            let when = &rule.when;
            if when.from.is_none_or(|from| from <= at)
                && when.until.is_none_or(|until| at < until)
                && (when.customer_tags.is_empty()
                    || when.customer_tags.iter().any(|tag| pin.tags.contains(tag)))
                && when
                    .minimum_spend
                    .is_none_or(|minimum| total.is_at_least(&Fraction::from_amount(minimum)))
            {
                rules.push(Self { index: place, rule });
            }
        }
        rules
    }

    /// Returns true if the rule applies to this line.
    fn covers(&self, share: &BasisLine<'_>) -> bool {
        if self.rule.when.is_scoped() {
            share.rules.contains(self.index)
        } else {
            !share.excluded_from_base
        }
    }

    /// The rule's part of the basis. A rule without products and categories gets the
    /// `unclaimed` part.
    pub(super) fn basis_of(
        &self,
        basis: &OrderBasis<'_>,
        unclaimed: &Fraction,
    ) -> Result<Fraction, Overflow> {
        if self.rule.when.is_scoped() {
            basis
                .sum(|share| share.rules.contains(self.index))?
                .times(&basis.remaining_share)
        } else {
            Ok(unclaimed.clone())
        }
    }

    /// The items of a rule that earns per item: the whole units of its lines, and of those
    /// the share that remains. `None` for other rules.
    ///
    /// The fractions of units are dropped from the sum: however an order is split into
    /// lines, it has the same items.
    pub(super) fn items_of(&self, basis: &OrderBasis<'_>) -> Result<Option<Fraction>, Overflow> {
        if !matches!(self.rule.earn, EarningFormula::PerItem(_)) {
            return Ok(None);
        }
        let whole = basis.units(|share| self.covers(share)).div_floor(&Fraction::ONE)?;
        whole.times(&basis.remaining_share).map(Some)
    }

    /// The rule's points, within its allowance. `items` are those of
    /// [`ApplicableRule::items_of`].
    pub(super) fn compute_points(
        &self,
        basis: &OrderBasis<'_>,
        basis_of_rule: &Fraction,
        items: Option<&Fraction>,
        allowance: Option<Allowance>,
    ) -> Result<Fraction, Overflow> {
        let points = match self.rule.earn {
            EarningFormula::PerUnit(rate) => Fraction::from_rate(rate).times(basis_of_rule)?,
            EarningFormula::PerIncrement { amount, points } => basis_of_rule
                .div_floor(&Fraction::from_amount(amount))?
                .times(&Fraction::from_points(points))?,
            EarningFormula::PerItem(points) => {
                Fraction::from_points(points).times(items.unwrap_or(&Fraction::ZERO))?
            }
            EarningFormula::PerOrder(_)
                if self.rule.when.is_scoped()
                    && !basis.has_line(|share| share.rules.contains(self.index)) =>
            {
                Fraction::ZERO
            }
            EarningFormula::PerOrder(points) => Fraction::from_points(points),
        };
        let most = allowance.map(|allowance| Fraction::from_points(allowance.points));
        Ok(most.filter(|most| !most.is_at_least(&points)).unwrap_or(points))
    }
}

/// Returns true if the line has one of these products or categories.
pub(super) fn matches_scope(
    line: &Line,
    products: &BTreeSet<ProductId>,
    categories: &BTreeSet<CategoryId>,
) -> bool {
    line.product
        .as_ref()
        .is_some_and(|product| products.contains(product))
        || line.categories.iter().any(|category| categories.contains(category))
}

/// The money of an order that a program counts.
pub(super) struct OrderBasis<'a> {
    lines: Vec<BasisLine<'a>>,
    /// The share of the lines that is not tax.
    net: Fraction,
    /// Tax and shipping, if they count.
    extras: Fraction,
    pub(super) extras_amount: Amount,
    /// The share left after refunds by amount and the redeemed part: 1 without any.
    remaining_share: Fraction,
    pub(super) remaining: Option<RemainingBasis>,
}

/// A line with its refunded units.
pub(super) struct BasisLine<'a> {
    pub(super) line: &'a Line,
    /// Its amount, in ten-thousandths.
    cost: i64,
    refunded: Quantity,
    excluded: Option<Exclusion>,
    /// The rules that name its product or one of its categories.
    rules: RuleSet,
    /// One of them replaces the rules without products and categories.
    excluded_from_base: bool,
}

impl<'a> OrderBasis<'a> {
    pub(super) fn new(
        state: &OrderState,
        order: &'a Order,
        program: &Program,
        refunds: bool,
    ) -> Result<Self, Overflow> {
        let basis = &program.definition().basis;
        let units = if refunds { refund::refunded_units(state) } else { BTreeMap::new() };
        let taxed = order.taxes_included && !basis.tax && !order.tax.is_zero();
        let net = if taxed { untaxed_share(order)? } else { Fraction::ONE };
        let share = |line: &'a Line| BasisLine {
            line,
            cost: line.amount.ten_thousandths(),
            refunded: units.get(&line.id).copied().unwrap_or_default(),
            excluded: find_exclusion(line, program),
            rules: program.rules_for(line),
            excluded_from_base: false,
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
        let extras = Fraction::from_amount(extras_amount);
        let mut whole = Self {
            lines,
            net,
            extras,
            extras_amount,
            remaining_share: Fraction::ONE,
            remaining: None,
        };
        let refunded = if refunds { refund::refunded_by_amount(state) } else { Amount::ZERO };
        whole.deduct_money(refunded, order, program)?;
        Ok(whole)
    }

    /// The whole basis.
    pub(super) fn total(&self) -> Result<Fraction, Overflow> {
        self.sum(|_| true)?.plus(&self.extras)?.times(&self.remaining_share)
    }

    /// The part of the basis left to rules without products and categories, after rules
    /// that replace them.
    pub(super) fn base_rule_basis(
        &mut self,
        rules: &[ApplicableRule<'_>],
        total: &Fraction,
    ) -> Result<Fraction, Overflow> {
        let mut replacing = RuleSet::default();
        rules
            .iter()
            .filter(|applied| applied.rule.replaces_base)
            .for_each(|applied| replacing.insert(applied.index));
        self.lines
            .iter_mut()
            .for_each(|share| share.excluded_from_base = share.rules.intersects(&replacing));
        if self.lines.iter().any(|share| share.excluded_from_base) {
            self.sum(|share| !share.excluded_from_base)?
                .plus(&self.extras)?
                .times(&self.remaining_share)
        } else {
            Ok(total.clone())
        }
    }

    /// Deducts refunds by amount and the part paid with a reward, as a share of what is
    /// left of the basis:
    ///
    /// `remaining_share = ((total - redeemed) / total * current - refunded / total *
    /// original) / current`
    ///
    /// `original` is the basis before any refund, `current` the basis less refunded
    /// units. Of a total of 100, all of it basis, 20 paid with a reward and 30 refunded
    /// by amount leave a share of 0.5. If units worth 40 are refunded as well, `current`
    /// is 60 and `0.8 * 60 - 30 = 18` of it remain: a share of 0.3.
    fn deduct_money(
        &mut self,
        refunded: Amount,
        order: &Order,
        program: &Program,
    ) -> Result<(), Overflow> {
        let redeemed =
            if program.definition().basis.redeemed { Amount::ZERO } else { order.redeemed };
        if refunded.is_zero() && redeemed.is_zero() {
            return Ok(());
        }
        let counted = self.lines.iter().filter(|share| share.excluded.is_none());
        let original = counted.fold(0, |sum: i64, share| sum.saturating_add(share.cost));
        let original = Fraction::new(original, 10_000).times(&self.net)?.plus(&self.extras)?;
        let current = self.sum(|_| true)?.plus(&self.extras)?;
        let total = order.total.ten_thousandths();
        let paid = Fraction::new(total.saturating_sub(redeemed.ten_thousandths()), total);
        let taken = original.times(&Fraction::new(refunded.ten_thousandths(), total))?;
        self.remaining_share = paid.times(&current)?.minus(&taken)?.divided_by(&current)?.reduce();
        self.remaining = Some(RemainingBasis { refunded, redeemed, total: order.total });
        Ok(())
    }

    /// The sum of the counted lines that `select` accepts, less refunded units and tax.
    pub(super) fn sum(
        &self,
        select: impl Fn(&BasisLine<'_>) -> bool,
    ) -> Result<Fraction, Overflow> {
        let (mut whole, mut parts) = (0_i64, Fraction::ZERO);
        for share in self
            .lines
            .iter()
            .filter(|share| share.excluded.is_none() && select(share))
        {
            if share.refunded.is_zero() {
                whole = whole.saturating_add(share.cost);
            } else {
                let kept = refund::kept_share(share.line, share.refunded);
                parts = parts.plus(&Fraction::new(share.cost, 10_000).times(&kept)?)?;
            }
        }
        Fraction::new(whole, 10_000).plus(&parts)?.times(&self.net)
    }

    /// The units of the counted lines that `select` accepts, less refunded ones. A line
    /// that costs nothing has none.
    fn units(&self, select: impl Fn(&BasisLine<'_>) -> bool) -> Fraction {
        let counts =
            |share: &&BasisLine<'_>| share.excluded.is_none() && share.cost > 0 && select(share);
        let kept = |share: &BasisLine<'_>| {
            let kept = share.line.quantity.thousandths();
            kept.saturating_sub(share.refunded.thousandths()).max(0)
        };
        let units = self.lines.iter().filter(counts).map(kept);
        Fraction::new(units.fold(0, i64::saturating_add), 1_000)
    }

    /// Returns true if `select` accepts a counted line that is not fully refunded.
    pub(super) fn has_line(&self, select: impl Fn(&BasisLine<'_>) -> bool) -> bool {
        let is_left = |share: &BasisLine<'_>| {
            share.refunded.is_zero() || share.refunded < share.line.quantity
        };
        self.lines
            .iter()
            .any(|share| share.excluded.is_none() && is_left(share) && select(share))
    }

    /// The lines that are not excluded.
    pub(super) fn counted_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines
            .iter()
            .filter(|share| share.excluded.is_none())
            .map(|share| share.line)
    }

    /// The share of a rule's points that comes from the lines that `select` accepts.
    pub(super) fn rule_share(
        &self,
        applied: &ApplicableRule<'_>,
        basis_of_rule: &Fraction,
        select: impl Fn(&Line) -> bool,
    ) -> Result<Fraction, Overflow> {
        let selects = |share: &BasisLine<'_>| applied.covers(share) && select(share.line);
        if matches!(applied.rule.earn, EarningFormula::PerItem(_)) {
            return self
                .units(selects)
                .divided_by(&self.units(|share| applied.covers(share)));
        }
        let part = self.sum(selects)?.times(&self.remaining_share)?;
        part.divided_by(basis_of_rule)
    }

    pub(super) fn explain_lines(&self) -> Vec<LineBasis> {
        let explain = |share: &BasisLine<'_>| LineBasis {
            line: share.line.id.clone(),
            amount: share.line.amount,
            refunded: share.refunded,
            excluded: share.excluded,
        };
        self.lines.iter().map(explain).collect()
    }
}

fn find_exclusion(line: &Line, program: &Program) -> Option<Exclusion> {
    let basis = &program.definition().basis;
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

/// The share of the line amounts that is not tax, if they include it.
fn untaxed_share(order: &Order) -> Result<Fraction, Overflow> {
    let gross = order.subtotal().ok_or(Overflow)?.ten_thousandths();
    Ok(Fraction::new(gross.saturating_sub(order.tax.ten_thousandths()), gross))
}
