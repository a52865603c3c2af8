//! Scenarios: a program, and commands at instants with the balance after each.

use std::sync::Arc;

use loyalty_core::proptest::{check_calculations, check_conservation, check_order_entitlements};
use loyalty_core::{
    AdjustmentReason, Amount, Command, Event, Ledger, Line, LineId, Order, OrderId, Origin,
    OverRefund, Points, Program, Quantity, Refund, RefundContent, RefundId, Status, Timestamp,
};

/// One point per full ten units of currency.
pub const TENS: &str =
    r#"{"earning": [{"id": "tens", "earn": {"per_increment": {"amount": "10", "points": 1}}}]}"#;
/// Points expire after nine months.
pub const NINE_MONTHS: &str = r#"{"expiry": {"per_lot": {"after": "P9M"}}}"#;

/// An instant, a command, and the balance after it or the code of its rejection.
pub type Step<'a> = (&'a str, Command, Result<i64, &'a str>);

/// Runs a scenario with a new customer under a program's document.
pub fn run_scenario(program: &str, steps: &[Step<'_>]) -> Ledger {
    continue_scenario(Ledger::new(parse_program(program)), steps)
}

/// Continues a scenario.
///
/// After each step the journal must sum to the state, and orders must match their entitlement.
/// A rejected step changes nothing, and recording expiry changes no balance.
pub fn continue_scenario(mut ledger: Ledger, steps: &[Step<'_>]) -> Ledger {
    for (number, (now, command, expected)) in steps.iter().enumerate() {
        let now = at(now);
        let before = ledger.balance(now);
        let result = ledger.execute(command, now);
        let actual = result
            .as_ref()
            .map(|_| ledger.balance(now).get())
            .map_err(loyalty_core::Rejection::code);
        assert_eq!(actual, *expected, "step {number}: {command:?} on {:?}", ledger.account());
        if result.is_err() || *command == Command::CatchUp {
            assert_eq!(ledger.balance(now), before, "step {number}: {command:?}");
        }
        check_conservation(&ledger).unwrap();
        check_order_entitlements(&ledger).unwrap();
        check_calculations(&ledger).unwrap();
    }

    ledger
}

pub fn parse_program(document: &str) -> Program {
    Program::from_json(document).unwrap()
}

/// Parses `MM-DD` as a midnight of 2026, and anything else as a complete instant.
pub fn at(text: &str) -> Timestamp {
    match text.len() {
        5 => format!("2026-{text}T00:00:00Z").parse().unwrap(),
        _ => text.parse().unwrap(),
    }
}

pub fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

pub fn units(text: &str) -> Quantity {
    text.parse().unwrap()
}

pub fn id(text: &str) -> OrderId {
    OrderId::new(text).unwrap()
}

pub fn line(id: &str, quantity: &str, cost: &str) -> Line {
    Line {
        id: LineId::new(id).unwrap(),
        product: None,
        categories: Vec::new(),
        quantity: units(quantity),
        amount: amount(cost),
        gift_card: false,
    }
}

/// An order of these lines without tax and shipping.
pub fn order_with_lines(lines: Vec<Line>) -> Order {
    let order = Order { lines, ..Order::default() };
    Order { total: order.subtotal().unwrap(), ..order }
}

/// An order of one line.
pub fn single_line_order(cost: &str) -> Order {
    order_with_lines(vec![line("1", "1", cost)])
}

pub fn record_order(order: &str, snapshot: Order, status: Status) -> Command {
    let (order, snapshot) = (id(order), Arc::new(snapshot));
    Command::RecordOrder { order, snapshot, status, at: None, origin: Origin::Shop }
}

pub fn record_paid_order(order: &str, snapshot: Order) -> Command {
    record_order(order, snapshot, Status::Paid)
}

/// The same report by a store plugin.
pub fn from_plugin(mut command: Command) -> Command {
    if let Command::RecordOrder { origin, .. } = &mut command {
        *origin = Origin::Plugin;
    }
    command
}

pub fn refund(order: &str, refund: &str, refunded: RefundContent) -> Command {
    let refund = Refund { id: RefundId::new(refund).unwrap(), refunded };
    Command::RefundOrder {
        order: id(order),
        refund,
        over_refund: OverRefund::Reject,
        at: None,
    }
}

pub fn refund_amount(order: &str, name: &str, cost: &str) -> Command {
    refund(order, name, RefundContent::Amount(amount(cost).into()))
}

pub fn refund_lines(order: &str, name: &str, lines: &[(&str, &str)]) -> Command {
    let unit = |(line, quantity): &(&str, &str)| (LineId::new(line).unwrap(), units(quantity));
    refund(
        order,
        name,
        RefundContent::Lines { lines: lines.iter().map(unit).collect(), amount: None },
    )
}

pub fn cancel(order: &str) -> Command {
    Command::CancelOrder { order: id(order), at: None }
}

pub fn add(points: i64) -> Command {
    Command::AddPoints {
        points: Points::new(points).unwrap(),
        reason: AdjustmentReason::default(),
    }
}

pub fn spend(points: i64) -> Command {
    Command::SubtractPoints {
        points: Points::new(points).unwrap(),
        reason: AdjustmentReason::default(),
    }
}

pub fn catch_up() -> Command {
    Command::CatchUp
}

/// Returns the command dated by the shop.
pub fn with_time(time: &str, mut command: Command) -> Command {
    if let Command::RecordOrder { at, .. }
    | Command::RefundOrder { at, .. }
    | Command::CancelOrder { at, .. } = &mut command
    {
        *at = Some(self::at(time));
    }
    command
}

/// The points of each event that changes the balance, in order.
pub fn point_changes(ledger: &Ledger) -> Vec<i64> {
    ledger
        .events()
        .iter()
        .map(Event::points)
        .filter(|points| !points.is_zero())
        .map(Points::get)
        .collect()
}
