//! Rules that real shops ask for: points by attribute, refunds with parts, a discount without a
//! code, and a gift. Run with `cargo run --example shop_rules`.

use std::error::Error;

use loyalty_core::discount::{
    AllocationMethod, Cart, CartLine, CodeContext, CodeState, PriceRule, PriceRuleParts, Stacking,
    TargetType, ValueType, evaluate_with_automatic,
};
use loyalty_core::{
    Amount, Attributes, CodeId, Decision, Ledger, Line, Order, PriceRuleId, Program, Refund,
    RefundAmount, Status, Timestamp,
};

const PROGRAM: &str = r#"{
    "earning": [
        {"id": "base", "earn": {"per_unit": 1}},
        {"id": "collect", "earn": {"per_order": 20}, "when": {
            "attributes": [{"of": "order", "name": "collected", "equals": true}]}}
    ],
    "rewards": [{"id": "mug", "name": "A mug", "cost": 300, "gives": "custom"}],
    "tiers": [{"id": "gold", "name": "Gold", "threshold": "400", "entry": {"gift": {"reward": "mug"}}}]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let now = "2026-01-31T10:00:00Z".parse()?;
    evaluate_cart(now)?;

    // A sofa that is collected at the shop, with 95.00 of postage that was taken by mistake.
    let mut ledger = Ledger::new(Program::from_json(PROGRAM)?);
    let id = "1001".parse()?;
    let order = Order::new([Line::new("1".parse()?, "415".parse()?)])?
        .with_shipping("95".parse()?)?
        .with_attributes(Attributes::new([("collected".parse()?, true.into())])?);
    let paid = ledger.record_order(&id, order, Status::Paid, now)?;
    print_step("The order is paid", &paid, &ledger, now);

    // The tier gives a mug. Random bytes make the code of a reward that has one.
    let mug = ledger.issue_gift([7; 16], now)?.ok_or("the gift is missing")?;
    println!("{}", mug.issue());

    let postage: Amount = "95".parse()?;
    let postage = RefundAmount::new(postage).with_shipping(postage)?;
    let refunded = ledger.refund(&id, Refund::of_money("R1".parse()?, postage), now)?;
    print_step("The postage comes back", &refunded, &ledger, now);

    let sofa = Refund::of_lines("R2".parse()?, [("1".parse()?, 1.into())]);
    let refunded = ledger.refund(&id, sofa, now)?;
    print_step("The sofa comes back", &refunded, &ledger, now);
    let mug = ledger.redemption(mug.issue().id).ok_or("the gift is missing")?;
    println!("The mug is {}.", mug.state().name());
    Ok(())
}

/// Prints what is missing for a rule that applies by itself.
fn evaluate_cart(now: Timestamp) -> Result<(), Box<dyn Error>> {
    let parts = PriceRuleParts {
        title: "free shipping".into(),
        automatic: true,
        value_type: ValueType::Percentage,
        value: "-100".parse()?,
        target_type: TargetType::ShippingLine,
        allocation_method: AllocationMethod::Each,
        prerequisite_subtotal_range: Some("40".parse()?),
        ..PriceRuleParts::new(now)
    };
    let postage = PriceRule::new(parts, 2).map_err(|faults| format!("{faults:?}"))?;
    let context = CodeContext {
        id: CodeId(1),
        state: &CodeState::default(),
        rule: Some(&postage),
        customer_usage: None,
        checkout_claim: None,
    };
    let automatic = [(PriceRuleId(1), context)];
    let cart = Cart::new([CartLine::new("1".parse()?, "32.50".parse()?)], now);
    let found = evaluate_with_automatic(&cart, 2, Stacking::default(), |_| None, &automatic)?;
    for outcome in &found.automatic {
        println!("{outcome}");
    }
    Ok(())
}

fn print_step(what: &str, decision: &Decision, ledger: &Ledger, now: Timestamp) {
    println!(
        "{what}: {} points, so the balance is {}.",
        decision.points(),
        ledger.balance(now)
    );
}
