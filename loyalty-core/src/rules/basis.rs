//! The basis of an order: the money of it that a program's rules look at.
//!
//! Lines less what refunds took off them, and tax and shipping if the program counts them.
//! Money refunded for all goods and the part paid with a reward leave a share of it.
//! Everything here is an exact fraction.

use std::collections::BTreeSet;

use crate::amount::Amount;
use crate::calendar::Timestamp;
use crate::exact::{Fraction, Overflow};
use crate::explain::{Exclusion, LineBasis, RemainingBasis};
use crate::id::{CategoryId, ProductId};
use crate::order::{Allowance, Line, Order, OrderState, Pin, Quantity};
use crate::program::{EarningFormula, EarningRule, Program, RuleSet};
use crate::rules::refund::{GoodsScope, ReturnedGoods};

/// A rule that applies to an order, with its index in the program.
pub(super) struct ApplicableRule<'a> {
    index: usize,
    pub(super) rule: &'a EarningRule,
}

impl<'a> ApplicableRule<'a> {
    /// The rules whose conditions on the customer, the order, the date and the whole basis
    /// are met.
    pub(super) fn all_for(
        program: &'a Program,
        pin: &Pin,
        order: &Order,
        at: Timestamp,
        total: &Fraction,
    ) -> Vec<Self> {
        let local = pin.local(at);
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
                && when
                    .maximum_spend
                    .is_none_or(|maximum| Fraction::from_amount(maximum).is_at_least(total))
                && (!when.order.are_about_customer() || pin.eligible_rules.contains(&rule.id))
                && when.order.are_met_by_order(order, local)
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
                if !basis.has_goods(|share| {
                    !self.rule.when.is_scoped() || share.rules.contains(self.index)
                }) =>
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
    /// Tax on top of the lines, if it counts, less what refunds of lines took off it.
    tax: Fraction,
    /// What is left of the shipping, if it counts.
    shipping: Fraction,
    pub(super) extras_amount: Amount,
    /// The share left of lines and tax after refunds that all goods bear and the redeemed
    /// part: 1 without any.
    remaining_share: Fraction,
    pub(super) remaining: Option<RemainingBasis>,
}

/// A line with what came back of it.
pub(super) struct BasisLine<'a> {
    pub(super) line: &'a Line,
    /// Its amount, in ten-thousandths.
    cost: i64,
    /// What refunds of the line left of the amount. `None` if there are none.
    kept: Option<Fraction>,
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
        let redeemed = if basis.redeemed { Amount::ZERO } else { order.redeemed };
        let returned = if refunds && !state.refunds().is_empty() {
            let view = GoodsScope { redeemed, tax_is_goods: basis.tax };
            Some(ReturnedGoods::new(state, order, view)?)
        } else {
            None
        };

        let taxed = order.taxes_included && !basis.tax && !order.tax.is_zero();
        let net = if taxed { untaxed_share(order)? } else { Fraction::ONE };
        let mut lines = Vec::with_capacity(order.lines.len());
        for line in &order.lines {
            let cost = line.amount.ten_thousandths();
            let back = returned.as_ref().and_then(|returned| returned.line(&line.id));
            lines.push(BasisLine {
                line,
                cost,
                kept: back.map(|back| back.remaining(cost)).transpose()?,
                refunded: back.map(|back| back.units).unwrap_or_default(),
                excluded: find_exclusion(line, program),
                rules: program.rules_for(line),
                excluded_from_base: false,
            });
        }

        let counted = |counts: bool, amount| if counts { amount } else { Amount::ZERO };
        let tax = counted(basis.tax && !order.taxes_included, order.tax);
        let shipping = counted(basis.shipping, order.shipping);
        let mut whole = Self {
            lines,
            net,
            tax: Fraction::from_amount(tax),
            shipping: Fraction::from_amount(shipping),
            extras_amount: tax.checked_add(shipping).ok_or(Overflow)?,
            remaining_share: Fraction::ONE,
            remaining: None,
        };
        whole.deduct_money(returned.as_ref(), order, redeemed)?;
        Ok(whole)
    }

    /// The whole basis.
    pub(super) fn total(&self) -> Result<Fraction, Overflow> {
        self.with_extras(self.sum(|_| true)?)
    }

    /// What is left of lines, with tax and shipping.
    fn with_extras(&self, lines: Fraction) -> Result<Fraction, Overflow> {
        lines
            .plus(&self.tax)?
            .times(&self.remaining_share)?
            .plus(&self.shipping)
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
            self.with_extras(self.sum(|share| !share.excluded_from_base)?)
        } else {
            Ok(total.clone())
        }
    }

    /// Deducts money that all goods bear and the part paid with a reward, as a share of
    /// what is left of lines and tax:
    ///
    /// `remaining_share = ((total - redeemed) / total * current - share * original) /
    /// current`
    ///
    /// `original` is the basis before any refund, `current` the basis less what refunds of
    /// lines took, `share` the part of the goods that is refunded by amount. Of a total of
    /// 100, all of it basis, 20 paid with a reward and 30 refunded by amount leave a share
    /// of 0.5. If units worth 40 are refunded as well, `current` is 60 and `0.8 * 60 - 30 =
    /// 18` of it remain: a share of 0.3. Shipping has a share of its own.
    fn deduct_money(
        &mut self,
        returned: Option<&ReturnedGoods<'_>>,
        order: &Order,
        redeemed: Amount,
    ) -> Result<(), Overflow> {
        let returned = returned.filter(|returned| !returned.money.is_zero());
        if returned.is_none() && redeemed.is_zero() {
            return Ok(());
        }

        let counted = self.lines.iter().filter(|share| share.excluded.is_none());
        let original = counted.fold(0, |sum: i64, share| sum.saturating_add(share.cost));
        let original = Fraction::new(original, 10_000).times(&self.net)?.plus(&self.tax)?;
        let total = order.total.ten_thousandths();
        let paid = Fraction::new(total.saturating_sub(redeemed.ten_thousandths()), total);
        let (mut taken, mut kept_shipping) = (Fraction::ZERO, paid.clone());
        if let Some(returned) = returned {
            // Lines that bear money bear their tax with it.
            let kept = Fraction::ONE.minus(&returned.share_of_lines)?;
            self.tax = std::mem::take(&mut self.tax).times(&kept)?;
            taken = original.clone().times(&returned.share)?;
            kept_shipping = kept_shipping.minus(&returned.shipping)?;
        }

        let current = self.sum(|_| true)?.plus(&self.tax)?;
        // Of goods without a price everything is left, unless nothing was paid.
        let is_free = original.is_zero() && !paid.is_zero();
        if !is_free {
            self.remaining_share =
                paid.times(&current)?.minus(&taken)?.divided_by(&current)?.reduce();
        }
        self.shipping = std::mem::take(&mut self.shipping).times(&kept_shipping)?;
        let refunded = returned.map_or(Amount::ZERO, |back| back.money.to_amount_rounded_down());
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
            match &share.kept {
                None => whole = whole.saturating_add(share.cost),
                Some(kept) => parts = parts.plus(kept)?,
            }
        }
        Fraction::new(whole, 10_000).plus(&parts)?.times(&self.net)
    }

    /// The units of the counted lines that `select` accepts, less refunded ones. A line
    /// that costs nothing has none.
    fn units(&self, select: impl Fn(&BasisLine<'_>) -> bool) -> Fraction {
        let costs = |share: &BasisLine<'_>| {
            share.cost > 0 && share.kept.as_ref().is_none_or(|kept| !kept.is_zero())
        };
        let counts =
            |share: &&BasisLine<'_>| share.excluded.is_none() && costs(share) && select(share);
        let kept = |share: &BasisLine<'_>| {
            let kept = share.line.quantity.thousandths();
            kept.saturating_sub(share.refunded.thousandths()).max(0)
        };
        let units = self.lines.iter().filter(counts).map(kept);
        Fraction::new(units.fold(0, i64::saturating_add), 1_000)
    }

    /// Returns true if something is left of the counted lines that `select` accepts.
    pub(super) fn has_goods(&self, select: impl Fn(&BasisLine<'_>) -> bool) -> bool {
        let is_left = |share: &BasisLine<'_>| match &share.kept {
            None => true,
            Some(_) if share.cost == 0 => share.refunded < share.line.quantity,
            Some(kept) => !kept.is_zero(),
        };
        !self.remaining_share.is_zero()
            && self
                .lines
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
