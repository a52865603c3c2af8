//! The engine embedded in a shop's own program, without server or database.
//!
//! An order earns points, a refund takes its share back, and each step prints its
//! explanation. Run with `cargo run --example embed`.

use std::error::Error;

use loyalty_core::{Decision, Ledger, Line, Order, Program, Refund, Status};

fn main() -> Result<(), Box<dyn Error>> {
    let mut ledger = Ledger::new(Program::default());
    let (id, now) = ("1001".parse()?, "2026-01-31T10:00:00Z".parse()?);

    // A tin of tea and a pot: 49.95 in all.
    let tea = Line::new("1".parse()?, "12.50".parse()?);
    let pot = Line::new("2".parse()?, "37.45".parse()?);
    let paid = ledger.record_order(&id, Order::new([tea, pot])?, Status::Paid, now)?;
    print_step(&paid, &ledger, now);

    let refund = Refund::of_amount("R1".parse()?, "20.00".parse()?);
    let refunded = ledger.refund(&id, refund, now)?;
    print_step(&refunded, &ledger, now);
    Ok(())
}

fn print_step(decision: &Decision, ledger: &Ledger, now: loyalty_core::Timestamp) {
    if let Some(calculation) = decision.calculation() {
        println!("{calculation}");
    }
    println!("{} points, so the balance is {}.\n", decision.points(), ledger.balance(now));
}
