//! Stories: a program, then what happens at which instant and the balance after it.

use std::sync::Arc;

use loyalty_core::proptest::{check_calculations, check_conservation, check_order_entitlements};
use loyalty_core::{
    AdjustmentReason, Amount, Command, Event, Ledger, Line, LineId, Order, OrderId, Origin,
    OverRefund, Points, Program, Quantity, Refund, RefundContent, RefundId, Status, Timestamp,
};

/// One point per full ten, and the same with lots of nine months.
pub const TENS: &str =
    r#"{"earning": [{"id": "tens", "earn": {"per_increment": {"amount": "10", "points": 1}}}]}"#;
pub const NINE_MONTHS: &str = r#"{"expiry": {"per_lot": {"after": "P9M"}}}"#;

/// An instant, what happens, and the balance after it or the code of the refusal.
pub type Step<'a> = (&'a str, Command, Result<i64, &'a str>);

/// Plays a story in new books under a program's document.
pub fn run_scenario(program: &str, steps: &[Step<'_>]) -> Ledger {
    continue_scenario(Ledger::new(parse_program(program)), steps)
}

/// Plays a story on. After each step the books must add up and hold what the orders are worth; a refused
/// step changes nothing; writing expiry down changes no balance.
pub fn continue_scenario(mut books: Ledger, steps: &[Step<'_>]) -> Ledger {
    for (number, (now, command, want)) in steps.iter().enumerate() {
        let now = at(now);
        let before = books.balance(now);
        let told = books.execute(command, now);
        let got = told
            .as_ref()
            .map(|_| books.balance(now).get())
            .map_err(loyalty_core::Rejection::code);
        assert_eq!(got, *want, "step {number}: {command:?} on {:?}", books.account());
        if told.is_err() || *command == Command::CatchUp {
            assert_eq!(books.balance(now), before, "step {number}: {command:?}");
        }
        check_conservation(&books).unwrap();
        check_order_entitlements(&books).unwrap();
        check_calculations(&books).unwrap();
    }
    books
}

pub fn parse_program(document: &str) -> Program {
    Program::from_json(document).unwrap()
}

/// `MM-DD` is a midnight of 2026; anything else an instant in full.
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

/// An order of these lines and nothing more.
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
    refund(order, name, RefundContent::Amount(amount(cost)))
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

/// The command with the shop's own time of it.
pub fn with_time(time: &str, mut command: Command) -> Command {
    if let Command::RecordOrder { at, .. }
    | Command::RefundOrder { at, .. }
    | Command::CancelOrder { at, .. } = &mut command
    {
        *at = Some(self::at(time));
    }
    command
}

/// The points that single events moved, in order.
pub fn point_changes(books: &Ledger) -> Vec<i64> {
    books
        .events()
        .iter()
        .map(Event::points)
        .filter(|points| !points.is_zero())
        .map(Points::get)
        .collect()
}
