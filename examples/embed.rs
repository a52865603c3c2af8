//! The rules embedded in a shop's own program: no server, no database.
//!
//! An order earns points, a refund takes its share back, and each step says why.
//! Run with `cargo run --example embed`.

use std::error::Error;
use std::sync::Arc;

use loyalty_core::{
    Account, Command, Context, Event, Line, LineId, Order, OrderId, OrderState, Origin, OverRefund,
    Program, Quantity, Refund, RefundContent, RefundId, Status, decide,
};

fn main() -> Result<(), Box<dyn Error>> {
    let (program, now) = (Program::default(), "2026-01-31T10:00:00Z".parse()?);
    let (mut account, mut order) = (Account::default(), OrderState::new(OrderId::new("1001")?));
    for fact in
        [record_paid_order("1001", order_of_two_lines()?)?, refund_order("1001", "R1", "20.00")?]
    {
        let decision = decide(&Context::new(&program, &account, now).with_order(&order), &fact)?;
        for event in &decision.events {
            account.evolve(event);
            order.evolve(event);
            if let Event::PointsAwarded { calculation: reckoning, .. }
            | Event::PointsTakenBack { calculation: reckoning, .. } = event
            {
                println!("{reckoning}");
            }
        }
        println!("{} points, so the balance is {}.\n", decision.points(), account.balance(now));
    }
    Ok(())
}

/// A tin of tea and a pot: 49.95 in all.
fn order_of_two_lines() -> Result<Order, Box<dyn Error>> {
    let lines = vec![line("1", "12.50")?, line("2", "37.45")?];
    Ok(Order { lines, total: "49.95".parse()?, ..Order::default() })
}

fn line(id: &str, amount: &str) -> Result<Line, Box<dyn Error>> {
    let (id, quantity, amount) = (LineId::new(id)?, Quantity::from(1), amount.parse()?);
    Ok(Line {
        id,
        product: None,
        categories: Vec::new(),
        quantity,
        amount,
        gift_card: false,
    })
}

/// The shop says: this order is paid.
fn record_paid_order(order: &str, snapshot: Order) -> Result<Command, Box<dyn Error>> {
    let (order, snapshot) = (OrderId::new(order)?, Arc::new(snapshot));
    Ok(Command::RecordOrder {
        order,
        snapshot,
        status: Status::Paid,
        at: None,
        origin: Origin::Shop,
    })
}

/// The shop says: so much money of this order was given back.
fn refund_order(order: &str, refund: &str, amount: &str) -> Result<Command, Box<dyn Error>> {
    let refund = Refund {
        id: RefundId::new(refund)?,
        refunded: RefundContent::Amount(amount.parse()?),
    };
    Ok(Command::RefundOrder {
        order: OrderId::new(order)?,
        refund,
        over_refund: OverRefund::Reject,
        at: None,
    })
}
