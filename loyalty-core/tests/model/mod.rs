//! A second, slow implementation of the entitlement: with big rationals, directly from the
//! rules, and without code of the core.

use std::collections::{BTreeMap, BTreeSet};

use loyalty_core::program::{EarningConditions, EarningFormula, ProgramDefinition, RefundPolicy};
use loyalty_core::{
    Amount, Line, LineId, Order, Rate, Refund, RefundAmount, RefundCurrency, Rounding, Tag, TierId,
    Timestamp,
};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// The facts of an order that has reached its earning gate.
pub(crate) struct OrderFacts<'a> {
    pub(crate) order: &'a Order,
    /// The order as it was paid, if it was edited since.
    pub(crate) as_paid: Option<&'a Order>,
    pub(crate) refunds: &'a [Refund],
    pub(crate) tags: &'a BTreeSet<Tag>,
    pub(crate) tier: Option<&'a TierId>,
    pub(crate) at: Timestamp,
}

/// Returns the points before and after rounding.
pub(crate) fn entitlement(facts: &OrderFacts<'_>, parts: &ProgramDefinition) -> (BigRational, i64) {
    let exact = exact_points(facts, parts);
    let points = rounded(&exact, parts.rounding);
    (exact, points)
}

fn exact_points(facts: &OrderFacts<'_>, parts: &ProgramDefinition) -> BigRational {
    let OrderFacts { order, refunds, .. } = facts;
    let refunds = if parts.refunds == RefundPolicy::ClawBack { *refunds } else { &[] };
    if is_fully_refunded(facts, refunds, parts.basis.shipping) {
        return BigRational::zero();
    }

    let lines: Vec<&Line> = order.lines.iter().filter(|line| is_counted(line, parts)).collect();
    let untaxed = untaxed_share(order, parts);

    let mut tax = BigRational::zero();
    if parts.basis.tax && !order.taxes_included {
        tax += money(order.tax);
    }
    let shipping = if parts.basis.shipping { money(order.shipping) } else { BigRational::zero() };

    let redeemed = if parts.basis.redeemed { BigRational::zero() } else { money(order.redeemed) };
    let returned = Returned::new(facts, refunds, &redeemed, parts.basis.tax);
    let kept = |line: &Line| returned.kept(line) * &untaxed;
    let before = lines
        .iter()
        .map(|line| money(line.amount) * &untaxed)
        .sum::<BigRational>()
        + &tax;
    let tax = tax * positive(BigRational::one() - &returned.share_of_lines);
    let remaining = lines.iter().map(|line| kept(line)).sum::<BigRational>() + &tax;

    let unchanged = redeemed.is_zero() && returned.money.is_zero();
    let paid = ratio(money(order.total) - &redeemed, money(order.total));
    let share = if unchanged || (before.is_zero() && !paid.is_zero()) {
        BigRational::one()
    } else {
        let left = &remaining * &paid - before * &returned.share;
        ratio(positive(left), remaining.clone())
    };
    let shipping =
        if unchanged { shipping } else { shipping * positive(paid - &returned.shipping) };

    let basis_left = remaining * &share + &shipping;
    let at = order.placed_at.unwrap_or(facts.at);
    let applies = |when: &EarningConditions| {
        let tagged = when.customer_tags.is_empty() || !when.customer_tags.is_disjoint(facts.tags);
        let spent = when.minimum_spend.is_none_or(|minimum| basis_left >= money(minimum));
        tagged
            && spent
            && when.from.is_none_or(|from| at >= from)
            && when.until.is_none_or(|until| at < until)
    };

    let rules: Vec<_> = parts.earning.iter().filter(|rule| applies(&rule.when)).collect();
    let mut sum = BigRational::zero();
    for rule in &rules {
        let scoped = !rule.when.products.is_empty() || !rule.when.categories.is_empty();
        let replaced = |line: &&&Line| {
            rules
                .iter()
                .any(|other| other.replaces_base && covers(&other.when, line))
        };
        let mut basis = if scoped { BigRational::zero() } else { tax.clone() };
        let own_lines: Vec<_> = lines
            .iter()
            .filter(|line| if scoped { covers(&rule.when, line) } else { !replaced(line) })
            .collect();
        basis += own_lines.iter().map(|line| kept(line)).sum::<BigRational>();
        basis *= &share;
        if !scoped {
            basis += &shipping;
        }
        sum += match rule.earn {
            EarningFormula::PerUnit(rate) => basis * rate_factor(rate),
            EarningFormula::PerIncrement { amount, points } => {
                (basis / money(amount)).floor() * BigRational::from_integer(points.get().into())
            }
            EarningFormula::PerItem(points) => {
                let items =
                    own_lines.iter().map(|line| kept_units(line, refunds)).sum::<i64>() / 1_000;
                BigRational::from_integer((points.get() * items).into()) * &share
            }
            EarningFormula::PerOrder(points) => {
                // Something must be left that counts, whichever rule its points go by.
                let own = |line: &&&Line| !scoped || covers(&rule.when, line);
                let is_left = |line: &&Line| {
                    let has_price = !line.amount.is_zero();
                    let is_kept = !kept(line).is_zero() || untaxed.is_zero();
                    if has_price { is_kept } else { has_units(line, refunds) }
                };
                let is_entitled = !share.is_zero() && lines.iter().filter(own).any(is_left);
                BigRational::from_integer(if is_entitled {
                    points.get().into()
                } else {
                    BigInt::zero()
                })
            }
        };
    }

    let tier = facts
        .tier
        .and_then(|id| parts.tiers.iter().find(|tier| tier.id == *id));
    sum * tier.map_or_else(BigRational::one, |tier| rate_factor(tier.multiplier))
}

fn is_counted(line: &Line, parts: &ProgramDefinition) -> bool {
    let product = line
        .product
        .as_ref()
        .is_some_and(|id| parts.basis.excluded_products.contains(id));
    let category = line
        .categories
        .iter()
        .any(|id| parts.basis.excluded_categories.contains(id));
    !line.gift_card && !product && !category
}

fn untaxed_share(order: &Order, parts: &ProgramDefinition) -> BigRational {
    let gross: BigRational = order.lines.iter().map(|line| money(line.amount)).sum();
    if order.taxes_included && !parts.basis.tax && !order.tax.is_zero() {
        positive(ratio(positive(gross.clone() - money(order.tax)), gross))
    } else {
        BigRational::one()
    }
}

fn covers(when: &EarningConditions, line: &Line) -> bool {
    line.product.as_ref().is_some_and(|id| when.products.contains(id))
        || line.categories.iter().any(|id| when.categories.contains(id))
}

/// The factor from a refund's currency to the shop's, if it is known.
fn rate(order: &Order, amount: &RefundAmount) -> Option<BigRational> {
    let named = match amount.currency() {
        RefundCurrency::Shop => return Some(BigRational::one()),
        RefundCurrency::Unnamed if order.presentment.is_none() => return Some(BigRational::one()),
        RefundCurrency::Unnamed => None,
        RefundCurrency::Order(named) => Some(named),
    };
    let paid = order.presentment?;
    let is_known = named.is_none_or(|named| named == paid.currency());
    is_known.then(|| ratio(money(order.total), money(paid.amount())))
}

/// What came back of the order, by the rules of refunds.
struct Returned<'a> {
    facts: &'a OrderFacts<'a>,
    /// By line: the units without money, the units with money, and that money.
    lines: BTreeMap<&'a LineId, (i64, i64, BigRational)>,
    /// The money that each line bears, of its amount.
    borne: BTreeMap<&'a LineId, BigRational>,
    share: BigRational,
    share_of_lines: BigRational,
    shipping: BigRational,
    money: BigRational,
}

impl<'a> Returned<'a> {
    fn new(
        facts: &'a OrderFacts<'a>,
        refunds: &'a [Refund],
        redeemed: &BigRational,
        tax_is_goods: bool,
    ) -> Self {
        let order = facts.order;
        let cost: BigRational = order.lines.iter().map(|line| money(line.amount)).sum();
        let value = positive(money(order.total) - money(order.shipping));
        let net_value = positive(&value - money(order.tax));

        let mut lines: BTreeMap<&LineId, (i64, i64, BigRational)> = BTreeMap::new();
        let [mut goods, mut shipping, mut tax, mut all] = [(); 4].map(|()| BigRational::zero());
        for refund in refunds {
            let amount = refund.refunded.amount();
            let mut borne = None;
            if let Some((amount, rate)) =
                amount.and_then(|amount| Some((amount, rate(order, amount)?)))
            {
                all += money(amount.amount()) * &rate;
                shipping += money(amount.shipping()) * &rate;
                let mut rest = (money(amount.amount()) - money(amount.shipping())) * &rate;
                if let Some(part) = amount.tax().filter(|_| !tax_is_goods) {
                    tax += money(part) * &rate;
                    rest -= money(part) * &rate;
                    if !net_value.is_zero() {
                        rest = rest * &value / &net_value;
                    }
                }
                borne = Some(rest);
            }

            for (id, units) in refund.refunded.lines() {
                let known = lines.entry(id).or_insert((0, 0, BigRational::zero()));
                let units = units.thousandths();
                if borne.is_some() { known.1 += units } else { known.0 += units }
            }
            let Some(borne) = borne else { continue };
            let named = refund.refunded.lines();
            let mut weights: Vec<_> = named
                .iter()
                .map(|(id, units)| facts.worth(id, units.thousandths()))
                .collect();
            if weights.iter().all(BigRational::is_zero) {
                weights = named.iter().map(|(id, _)| facts.line(id).0.1).collect();
            }
            let sum: BigRational = weights.iter().cloned().sum();
            if sum.is_zero() {
                goods += borne;
                continue;
            }
            let borne = if cost == value { borne } else { ratio(borne * &cost, value.clone()) };
            for ((id, _), weight) in named.iter().zip(weights) {
                lines.get_mut(id).unwrap().2 += &borne * weight / &sum;
            }
        }

        // Edits bear their part, then lines, then all goods.
        let mut this = Self {
            facts,
            lines,
            borne: BTreeMap::new(),
            share: BigRational::zero(),
            share_of_lines: BigRational::zero(),
            shipping: BigRational::zero(),
            money: all,
        };
        let to_money = |amount: BigRational| {
            if cost == value { amount } else { ratio(amount * &value, cost.clone()) }
        };
        let total = money(order.total);
        let mut paid = &total - redeemed;
        if paid.is_zero() {
            paid = total.clone();
        }
        let mut settled = BigRational::zero();
        let ids: Vec<_> = this.lines.keys().copied().collect();
        for id in ids {
            let ((_, price), (_, most)) = facts.line(id);
            let worth = this.worth_of_removed(id);
            let bears = positive(&this.lines[id].2 - positive(most - &price - &worth));
            settled += worth + &this.lines[id].2 - &bears;
            let bears = if paid == total { bears } else { ratio(bears * &total, paid.clone()) };
            let can_bear = positive(price.clone() * (BigRational::one() - this.share_by_units(id)));
            let excess = positive(&bears - &can_bear);
            this.share_of_lines += &bears - &excess;
            this.borne.insert(id, bears - &excess);
            let excess = if paid == total { excess } else { ratio(excess * &paid, total.clone()) };
            goods += to_money(excess);
        }
        this.share_of_lines = ratio(this.share_of_lines, cost.clone());
        goods += positive(&shipping - money(order.shipping));
        goods += positive(tax - money(order.tax));

        let highest = facts
            .as_paid
            .map_or(total.clone(), |paid| money(paid.total).max(total.clone()));
        let goods = positive(goods - positive(highest - total - to_money(settled)));
        let beyond = positive(&goods - &value);
        this.share = ratio(goods, value).min(BigRational::one());
        this.shipping = ratio(shipping + beyond, money(order.shipping)).min(BigRational::one());
        this
    }

    /// The part of the units of a line that an edit had removed.
    fn removed_part(&self, id: &LineId) -> BigRational {
        let ((latest, _), (most, _)) = self.facts.line(id);
        let (plain, priced, _) = &self.lines[id];
        let removed = (most - latest).min(plain + priced);
        ratio(
            BigRational::from_integer(removed.into()),
            BigRational::from_integer((plain + priced).into()),
        )
    }

    fn worth_of_removed(&self, id: &LineId) -> BigRational {
        let (_, (units, amount)) = self.facts.line(id);
        let plain = BigRational::from_integer(self.lines[id].0.into()) * self.removed_part(id);
        ratio(plain * amount, BigRational::from_integer(units.into()))
    }

    fn share_by_units(&self, id: &LineId) -> BigRational {
        let Some((plain, ..)) = self.lines.get(id) else {
            return BigRational::zero();
        };
        let plain = BigRational::from_integer((*plain).into());
        let left = plain * (BigRational::one() - self.removed_part(id));
        let all = BigRational::from_integer(self.facts.line(id).0.0.into());
        ratio(left, all).min(BigRational::one())
    }

    fn kept(&self, line: &Line) -> BigRational {
        let by_units = money(line.amount) * (BigRational::one() - self.share_by_units(&line.id));
        let none = BigRational::zero();
        positive(by_units - self.borne.get(&line.id).unwrap_or(&none))
    }
}

impl OrderFacts<'_> {
    /// The units and the amount of a line: as it is now, and the most of it as paid.
    fn line(&self, id: &LineId) -> ((i64, BigRational), (i64, BigRational)) {
        let find = |order: &Order| {
            let line = order.lines.iter().find(|line| line.id == *id);
            line.map_or((0, BigRational::zero()), |line| {
                (line.quantity.thousandths(), money(line.amount))
            })
        };
        let latest = find(self.order);
        let paid = self.as_paid.map_or((0, BigRational::zero()), find);
        let most = (latest.0.max(paid.0), latest.1.clone().max(paid.1));
        (latest, most)
    }

    fn worth(&self, id: &LineId, units: i64) -> BigRational {
        let (latest, most) = self.line(id);
        let (quantity, amount) = if latest.0 == 0 { most } else { latest };
        ratio(
            amount * BigRational::from_integer(units.into()),
            BigRational::from_integer(quantity.into()),
        )
    }
}

/// Returned units of the line, in thousandths.
fn returned_units(line: &LineId, refunds: &[Refund]) -> i64 {
    let named = refunds.iter().flat_map(|refund| refund.refunded.lines());
    named
        .filter(|(id, _)| id == line)
        .map(|(_, units)| units.thousandths())
        .sum()
}

/// Units that cost something and were not returned, in thousandths.
fn kept_units(line: &Line, refunds: &[Refund]) -> i64 {
    let kept = line.quantity.thousandths() - returned_units(&line.id, refunds);
    if line.amount.is_zero() { 0 } else { kept.max(0) }
}

/// Returns true if no refund names the line, or units of it are left.
fn has_units(line: &Line, refunds: &[Refund]) -> bool {
    let mut named = refunds.iter().flat_map(|refund| refund.refunded.lines());
    named.all(|(id, _)| *id != line.id)
        || returned_units(&line.id, refunds) < line.quantity.thousandths()
}

/// Returns true if nothing is left of the goods, nor of shipping that counts.
fn is_fully_refunded(facts: &OrderFacts<'_>, refunds: &[Refund], counts_shipping: bool) -> bool {
    let order = facts.order;
    if refunds.is_empty() {
        return false;
    }
    let redeemed = money(order.redeemed);
    let returned = Returned::new(facts, refunds, &redeemed, false);
    let keeps_shipping = counts_shipping
        && !order.shipping.is_zero()
        && !returned.money.is_zero()
        && returned.shipping < BigRational::one();
    if keeps_shipping {
        return false;
    }

    let nonempty: Vec<_> = order
        .lines
        .iter()
        .filter(|line| line.quantity.thousandths() > 0)
        .collect();
    let is_back = |line: &&Line| returned.share_by_units(&line.id).is_one();
    if !nonempty.is_empty() && nonempty.iter().all(is_back) {
        return true;
    }
    let cost: BigRational = order.lines.iter().map(|line| money(line.amount)).sum();
    if cost.is_zero() {
        return !order.total.is_zero() && returned.money >= money(order.total);
    }

    let total = money(order.total);
    let paid = if redeemed == total { total.clone() } else { &total - redeemed };
    let kept: BigRational = order.lines.iter().map(|line| returned.kept(line)).sum();
    kept <= ratio(cost * &returned.share * &total, paid)
}

fn rounded(exact: &BigRational, rounding: Rounding) -> i64 {
    let half = BigRational::new(1.into(), 2.into());
    let floor = exact.floor();
    let remainder = exact - &floor;
    let odd = (floor.to_integer() % BigInt::from(2)).is_one();
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Up => !remainder.is_zero(),
        Rounding::HalfUp => remainder >= half,
        Rounding::HalfEven => remainder > half || (remainder == half && odd),
    };
    let whole = floor.to_integer() + BigInt::from(i64::from(up));
    whole.to_i64().unwrap()
}

fn money(amount: Amount) -> BigRational {
    rational(&amount.to_string())
}

fn rate_factor(rate: Rate) -> BigRational {
    rational(&rate.to_string())
}

/// Returns zero if the divisor is zero.
fn ratio(count: BigRational, all: BigRational) -> BigRational {
    if all.is_zero() { BigRational::zero() } else { count / all }
}

fn positive(value: BigRational) -> BigRational {
    if value.is_negative() { BigRational::zero() } else { value }
}

/// Parses `123`, `1.23` and `1/3`.
pub(crate) fn rational(text: &str) -> BigRational {
    if let Some((numerator, denominator)) = text.split_once('/') {
        return BigRational::new(numerator.parse().unwrap(), denominator.parse().unwrap());
    }
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let scale = BigInt::from(10).pow(u32::try_from(digits.len()).unwrap());
    BigRational::new(format!("{whole}{digits}").parse().unwrap(), scale)
}
