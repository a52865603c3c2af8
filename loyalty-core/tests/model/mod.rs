//! A second, slow implementation of the entitlement: with big rationals, directly from the
//! rules, and without code of the core.

use std::collections::BTreeSet;

use loyalty_core::program::{EarningConditions, EarningFormula, ProgramDefinition, RefundPolicy};
use loyalty_core::{
    Amount, Line, LineId, Order, Rate, Refund, RefundContent, Rounding, Tag, TierId, Timestamp,
};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// The facts of an order that has reached its earning gate.
pub(crate) struct OrderFacts<'a> {
    pub(crate) order: &'a Order,
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
    if is_fully_refunded(order, refunds) {
        return BigRational::zero();
    }

    let is_counted = |line: &&Line| {
        let product = line
            .product
            .as_ref()
            .is_some_and(|id| parts.basis.excluded_products.contains(id));
        let category = line
            .categories
            .iter()
            .any(|id| parts.basis.excluded_categories.contains(id));
        !line.gift_card && !product && !category
    };

    let lines: Vec<&Line> = order.lines.iter().filter(is_counted).collect();

    let gross: BigRational = order.lines.iter().map(|line| money(line.amount)).sum();
    let untaxed = if order.taxes_included && !parts.basis.tax && !order.tax.is_zero() {
        positive(ratio(positive(gross.clone() - money(order.tax)), gross))
    } else {
        BigRational::one()
    };

    let mut extras = BigRational::zero();
    if parts.basis.tax && !order.taxes_included {
        extras += money(order.tax);
    }

    if parts.basis.shipping {
        extras += money(order.shipping);
    }

    let net = |line: &Line| money(line.amount) * &untaxed;
    let kept = |line: &Line| net(line) * kept_fraction(line, refunds);
    let before = lines.iter().map(|line| net(line)).sum::<BigRational>() + &extras;
    let remaining = lines.iter().map(|line| kept(line)).sum::<BigRational>() + &extras;

    let redeemed = if parts.basis.redeemed { BigRational::zero() } else { money(order.redeemed) };
    let refunded: BigRational = refunds.iter().map(refunded_amount).sum();
    let share = if redeemed.is_zero() && refunded.is_zero() {
        BigRational::one()
    } else {
        let unpaid = ratio(redeemed, money(order.total));
        let unrefunded = &remaining * (BigRational::one() - unpaid)
            - before * ratio(refunded, money(order.total));
        if order.total.is_zero() {
            BigRational::zero()
        } else {
            ratio(positive(unrefunded), remaining.clone())
        }
    };

    let basis_left = remaining * &share;
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
        let mut basis = if scoped { BigRational::zero() } else { extras.clone() };
        let own_lines: Vec<_> = lines
            .iter()
            .filter(|line| if scoped { covers(&rule.when, line) } else { !replaced(line) })
            .collect();
        basis += own_lines.iter().map(|line| kept(line)).sum::<BigRational>();
        basis *= &share;
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
                let is_entitled =
                    !scoped || own_lines.iter().any(|line| !is_fully_returned(line, refunds));
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

fn covers(when: &EarningConditions, line: &Line) -> bool {
    line.product.as_ref().is_some_and(|id| when.products.contains(id))
        || line.categories.iter().any(|id| when.categories.contains(id))
}

fn refunded_amount(refund: &Refund) -> BigRational {
    if let RefundContent::Amount(amount) = refund.refunded {
        money(amount)
    } else {
        BigRational::zero()
    }
}

/// Returned units of the line, in thousandths.
fn returned_units(line: &LineId, refunds: &[Refund]) -> i64 {
    let mut sum = 0;
    for refund in refunds {
        if let RefundContent::Lines { lines, .. } = &refund.refunded {
            sum += lines
                .iter()
                .filter(|(id, _)| id == line)
                .map(|(_, units)| units.thousandths())
                .sum::<i64>();
        }
    }
    sum
}

/// Units that cost something and were not returned, in thousandths.
fn kept_units(line: &Line, refunds: &[Refund]) -> i64 {
    let kept = line.quantity.thousandths() - returned_units(&line.id, refunds);
    if line.amount.is_zero() { 0 } else { kept.max(0) }
}

fn is_fully_returned(line: &Line, refunds: &[Refund]) -> bool {
    let returned = returned_units(&line.id, refunds);
    returned > 0 && returned >= line.quantity.thousandths()
}

fn kept_fraction(line: &Line, refunds: &[Refund]) -> BigRational {
    let returned = returned_units(&line.id, refunds);
    if returned == 0 {
        return BigRational::one();
    }
    let all = line.quantity.thousandths();
    if returned >= all {
        BigRational::zero()
    } else {
        BigRational::new((all - returned).into(), all.into())
    }
}

/// Returns true if all units of all lines are returned, or all of the money.
fn is_fully_refunded(order: &Order, refunds: &[Refund]) -> bool {
    let nonempty: Vec<_> = order
        .lines
        .iter()
        .filter(|line| line.quantity.thousandths() > 0)
        .collect();
    if !nonempty.is_empty() && nonempty.iter().all(|line| is_fully_returned(line, refunds)) {
        return true;
    }

    let gross: BigRational = order.lines.iter().map(|line| money(line.amount)).sum();
    let paid_share = if gross > money(order.total) {
        ratio(money(order.total), gross)
    } else {
        BigRational::one()
    };

    let mut refunded = BigRational::zero();
    for refund in refunds {
        refunded += match &refund.refunded {
            RefundContent::Amount(amount) | RefundContent::Lines { amount: Some(amount), .. } => {
                money(*amount)
            }
            RefundContent::Lines { lines, amount: None } => {
                let known = lines.iter().filter_map(|(id, units)| {
                    let line = order.lines.iter().find(|line| line.id == *id)?;
                    let units = BigRational::from_integer(units.thousandths().into());
                    let all = BigRational::from_integer(line.quantity.thousandths().into());
                    Some(money(line.amount) * ratio(units, all) * &paid_share)
                });
                known.sum::<BigRational>()
            }
        };
    }

    !order.total.is_zero() && refunded >= money(order.total)
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
