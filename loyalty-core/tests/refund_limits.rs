//! How many lines the refunds of an order can have together.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use loyalty_core::*;

#[test]
fn the_lines_of_all_refunds_are_limited() {
    const LINES: u32 = 500;
    let (id, now) = ("o".parse().unwrap(), "2026-01-31T10:00:00Z".parse().unwrap());
    let mut ledger = Ledger::new(Program::default());
    let lines = (0..LINES).map(|line| {
        let line = Line::new(line.to_string().parse().unwrap(), "1000".parse().unwrap());
        Line { quantity: Quantity::from(1_000), ..line }
    });
    ledger
        .record_order(&id, Order::new(lines).unwrap(), Status::Paid, now)
        .unwrap();

    let one_of_each = || {
        let one = |line: u32| (line.to_string().parse().unwrap(), Quantity::from(1));
        RefundContent::Lines { lines: (0..LINES).map(one).collect(), amount: None }
    };
    for number in 0..20 {
        let refund = Refund {
            id: number.to_string().parse().unwrap(),
            refunded: one_of_each(),
        };
        ledger.refund(&id, refund, now).unwrap();
    }
    let one_more = Refund::of_amount("more".parse().unwrap(), "1".parse().unwrap());
    let rejection = ledger.refund(&id, one_more, now).unwrap_err();
    assert_eq!(rejection, Rejection::TooManyRefundLines { limit: 10_000 });
    assert_eq!(rejection.code(), "too_many_refund_lines");

    // What is known already is told again.
    let again = Refund { id: "7".parse().unwrap(), refunded: one_of_each() };
    assert!(ledger.refund(&id, again, now).unwrap().events.is_empty());
}
