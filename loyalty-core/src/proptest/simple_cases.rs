//! What the searches for simple cases share: a customer without history, one order, its slices.

use std::collections::BTreeSet;

use super::customer_history::CustomerHistory;
use super::runner::ProgramCheck;
use crate::amount::Amount;
use crate::attribute::Attributes;
use crate::id::{OrderId, Tag};
use crate::ledger::Ledger;
use crate::order::Order;
use crate::program::Program;

/// Creates a ledger of a customer with these tags, without history.
pub(super) fn new_ledger(check: &ProgramCheck, program: &Program, tags: &BTreeSet<Tag>) -> Ledger {
    check.new_ledger(
        program,
        &CustomerHistory {
            tags: tags.clone(),
            attributes: Attributes::EMPTY,
            birthday: None,
            steps: Vec::new(),
        },
    )
}

pub(super) fn order_id() -> Option<OrderId> {
    OrderId::new("1001").ok()
}

/// Returns the numbered parts of an order's total between the cuts.
pub(super) fn slice_total(order: &Order, cuts: &[i64]) -> Option<Vec<(usize, Amount)>> {
    let mut from = 0;
    let mut slices = Vec::new();
    for (number, cut) in (1_usize..).zip(cuts) {
        let to = order.total.ten_thousandths().checked_mul(*cut)?.checked_div(1_000)?;
        slices.push((number, Amount::from_ten_thousandths(to.checked_sub(from)?).ok()?));
        from = to;
    }
    Some(slices)
}
