//! Refunds: what they give back, and what is left of their order.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::exact::{Fraction, Overflow};
use crate::id::LineId;
use crate::order::{Line, Order, OrderState, Quantity, Refund, RefundContent};
use crate::rejection::Rejection;

/// The refunded units of each line.
pub(crate) fn refunded_units(state: &OrderState) -> BTreeMap<&LineId, Quantity> {
    let mut units: BTreeMap<&LineId, Quantity> = BTreeMap::new();
    for refunded in state.refunds().values() {
        let RefundContent::Lines { lines, .. } = refunded else { continue };
        for (line, quantity) in lines {
            let sum = units.entry(line).or_default();
            *sum = sum.saturating_add(*quantity);
        }
    }
    units
}

/// The sum of the refunds by amount.
pub(crate) fn refunded_by_amount(state: &OrderState) -> Amount {
    let amounts = state.refunds().values().filter_map(|refunded| match refunded {
        RefundContent::Amount(amount) => Some(*amount),
        RefundContent::Lines { .. } => None,
    });
    // Refunds that came before their order can exceed any order. Then nothing is left of
    // it.
    amounts.fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(Amount::MAX))
}

/// The share of a line that is not refunded.
pub(crate) fn kept_share(line: &Line, refunded: Quantity) -> Fraction {
    if refunded.is_zero() {
        return Fraction::ONE;
    }
    let kept = line.quantity.thousandths().saturating_sub(refunded.thousandths());
    Fraction::new(kept, line.quantity.thousandths())
}

/// Returns true if all money of the order was refunded, or all units of all lines.
pub(crate) fn is_fully_refunded(state: &OrderState) -> Result<bool, Overflow> {
    let Some(recorded) = state.snapshot().filter(|_| !state.refunds().is_empty()) else {
        return Ok(false);
    };
    let order = &recorded.order;
    let units = refunded_units(state);
    let back = |line: &Line| units.get(&line.id).is_some_and(|refunded| *refunded >= line.quantity);
    let mut real = order.lines.iter().filter(|line| !line.quantity.is_zero()).peekable();
    if real.peek().is_some() && real.all(back) {
        return Ok(true);
    }
    Ok(!order.total.is_zero()
        && refunded_money(order, state.refunds().values())?
            .is_at_least(&Fraction::from_amount(order.total)))
}

/// The refunded money. Units of a refund without an amount count with their share of
/// their line.
fn refunded_money<'a>(
    order: &Order,
    refunds: impl Iterator<Item = &'a RefundContent>,
) -> Result<Fraction, Overflow> {
    // If rounding, or a plugin's way of counting, makes the lines exceed the total, they
    // share it.
    let subtotal = order.subtotal().unwrap_or(Amount::MAX);
    let fair = if subtotal > order.total {
        Fraction::new(order.total.ten_thousandths(), subtotal.ten_thousandths())
    } else {
        Fraction::ONE
    };
    let mut sum = Fraction::ZERO;
    for refunded in refunds {
        match refunded {
            RefundContent::Amount(amount) | RefundContent::Lines { amount: Some(amount), .. } => {
                sum = sum.plus(&Fraction::from_amount(*amount))?;
            }
            RefundContent::Lines { lines, amount: None } => {
                for (id, quantity) in lines {
                    let Some(line) = order.line(id) else { continue };
                    let share = Fraction::new(quantity.thousandths(), line.quantity.thousandths());
                    sum =
                        sum.plus(&Fraction::from_amount(line.amount).times(&share)?.times(&fair)?)?;
                }
            }
        }
    }
    Ok(sum)
}

/// The money that is left to refund.
pub(crate) fn refundable_amount(state: &OrderState, order: &Order) -> Result<Amount, Overflow> {
    let back = refunded_money(order, state.refunds().values())?;
    Ok(Fraction::from_amount(order.total)
        .minus(&back)?
        .to_amount_rounded_down())
}

/// Checks that a refund does not exceed what is left of its order.
///
/// # Errors
/// [`Rejection::UnknownLine`], [`Rejection::RefundExceedsLine`] or
/// [`Rejection::RefundExceedsOrder`].
pub(crate) fn check_fits(
    state: &OrderState,
    order: &Order,
    refund: &Refund,
) -> Result<(), Rejection> {
    let left = refundable_amount(state, order)?;
    if let RefundContent::Lines { lines, .. } = &refund.refunded {
        let mut units = refunded_units(state);
        for (id, quantity) in lines {
            let line = order
                .line(id)
                .ok_or_else(|| Rejection::UnknownLine { line: id.clone() })?;
            let sum = units.entry(id).or_default();
            *sum = sum.saturating_add(*quantity);
            if *sum > line.quantity {
                return Err(Rejection::RefundExceedsLine {
                    line: id.clone(),
                    quantity: line.quantity,
                });
            }
        }
    }
    let all = state.refunds().values().chain([&refund.refunded]);
    if Fraction::from_amount(order.total).is_at_least(&refunded_money(order, all)?) {
        return Ok(());
    }
    Err(Rejection::RefundExceedsOrder { left, total: order.total })
}
