//! Claims on codes: reservations, uses and returns, their explanations and their stored form.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at what it did not expect"
)]

use loyalty_core::discount::*;
use loyalty_core::proptest::DiscountLedger;
use loyalty_core::{
    AccountId, Amount, CheckoutId, CodeId, Email, LineId, OrderId, PriceRuleId, Timestamp,
};

const CODE: CodeId = CodeId(1);

fn at(time: &str) -> Timestamp {
    format!("2026-03-01T{time}Z").parse().unwrap()
}

fn rule(parts: PriceRuleParts) -> PriceRule {
    let parts = PriceRuleParts { title: "Rule".to_owned(), value: (-10).into(), ..parts };
    PriceRule::new(parts, 2).unwrap()
}

fn limited(usage_limit: u64) -> PriceRuleParts {
    PriceRuleParts {
        usage_limit: Some(usage_limit),
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    }
}

fn buyer(account: i64) -> Customer {
    Customer { account: Some(AccountId(account)), ..Customer::default() }
}

fn reserve(checkout: &str, until: &str) -> CodeCommand {
    CodeCommand::Reserve {
        checkout: CheckoutId::new(checkout).unwrap(),
        until: at(until),
    }
}

fn release(checkout: &str) -> CodeCommand {
    CodeCommand::Release { checkout: CheckoutId::new(checkout).unwrap() }
}

fn use_code(order: &str, checkout: Option<&str>) -> CodeCommand {
    let checkout = checkout.map(|checkout| CheckoutId::new(checkout).unwrap());
    CodeCommand::RecordUse {
        order: OrderId::new(order).unwrap(),
        checkout,
        placed_at: None,
    }
}

fn return_use(order: &str) -> CodeCommand {
    CodeCommand::ReturnUse { order: OrderId::new(order).unwrap() }
}

/// Results of a command: an event or none. A rejection is compared by its code.
const CHANGED: &str = "something";
const UNCHANGED: &str = "nothing";

/// Executes commands of several customers, and compares each result and the usage after it.
fn run_claims(parts: PriceRuleParts, steps: &[(&str, i64, CodeCommand, &str, u64)]) {
    let mut ledger = DiscountLedger::new([rule(parts)]);
    for (index, (time, account, command, expected, total)) in steps.iter().enumerate() {
        let result = ledger.execute(CODE, &buyer(*account), command, at(time));
        let actual = match &result {
            Ok(Some(_)) => CHANGED,
            Ok(None) => UNCHANGED,
            Err(rejection) => rejection.code(),
        };
        assert_eq!(actual, *expected, "step {index}: {command:?}");
        assert_eq!(
            ledger.codes[&CODE].usage().total(at(time)),
            *total,
            "after step {index}: {command:?}"
        );
    }
}

#[test]
fn reservations_last_until_their_instant() {
    run_claims(
        limited(1),
        &[
            ("12:00:00", 1, reserve("a", "12:15:00"), CHANGED, 1),
            ("12:00:01", 1, reserve("a", "12:15:00"), UNCHANGED, 1),
            ("12:00:02", 2, reserve("b", "12:15:00"), "used_up", 1),
            ("12:14:59", 2, reserve("b", "12:30:00"), "used_up", 1),
            ("12:15:00", 2, reserve("b", "12:30:00"), CHANGED, 1),
            ("12:15:01", 1, use_code("1", Some("a")), "used_up", 1),
            ("12:16:00", 2, use_code("2", Some("b")), CHANGED, 1),
            ("12:16:01", 2, use_code("2", Some("b")), UNCHANGED, 1),
            ("12:16:02", 2, reserve("b", "12:31:00"), UNCHANGED, 1),
            ("12:16:03", 2, release("b"), UNCHANGED, 1),
        ],
    );
}

#[test]
fn a_reservation_can_be_given_back_or_made_longer() {
    run_claims(
        limited(1),
        &[
            ("12:00:00", 1, reserve("a", "12:10:00"), CHANGED, 1),
            ("12:05:00", 1, reserve("a", "12:20:00"), CHANGED, 1),
            ("12:15:00", 2, reserve("b", "12:30:00"), "used_up", 1),
            ("12:16:00", 1, release("a"), CHANGED, 0),
            ("12:16:00", 1, release("a"), UNCHANGED, 0),
            ("12:16:01", 2, reserve("b", "12:30:00"), CHANGED, 1),
        ],
    );
}

#[test]
fn reservations_end_on_whole_minutes_within_a_day() {
    run_claims(
        limited(1),
        &[
            ("12:00:00", 1, reserve("a", "12:00:00"), "invalid_reservation_period", 0),
            ("12:00:00", 1, reserve("a", "12:04:00.000000001"), CHANGED, 1),
            ("12:04:59", 1, reserve("a", "12:05:00"), UNCHANGED, 1),
            ("12:05:00", 2, reserve("b", "12:06:00"), CHANGED, 1),
        ],
    );

    let mut ledger = DiscountLedger::new([rule(PriceRuleParts::new(Timestamp::UNIX_EPOCH))]);
    let command = |until: &str| CodeCommand::Reserve {
        checkout: CheckoutId::new("a").unwrap(),
        until: until.parse().unwrap(),
    };

    let reserve_until = |ledger: &mut DiscountLedger, until| {
        ledger.execute(CODE, &buyer(1), &command(until), at("12:00:00"))
    };

    assert_eq!(
        reserve_until(&mut ledger, "2026-03-02T12:00:01Z"),
        Err(DiscountRejection::ReservationPeriod)
    );
    assert!(reserve_until(&mut ledger, "2026-03-02T12:00:00Z").unwrap().is_some());
    assert_eq!(
        ledger.execute(CODE, &buyer(1), &command("+262142-12-31T23:59:59Z"), Timestamp::MAX_UTC),
        Err(DiscountRejection::ReservationPeriod)
    );
}

#[test]
fn an_order_gives_its_use_back_once() {
    run_claims(
        limited(1),
        &[
            ("12:00:00", 1, use_code("1", None), CHANGED, 1),
            ("12:00:01", 2, use_code("2", None), "used_up", 1),
            ("12:00:02", 2, return_use("2"), UNCHANGED, 1),
            ("12:00:03", 1, return_use("1"), CHANGED, 0),
            ("12:00:04", 1, return_use("1"), UNCHANGED, 0),
            ("12:00:05", 2, use_code("2", None), CHANGED, 1),
            ("12:00:06", 1, use_code("1", None), "used_up", 1),
            ("12:00:07", 2, return_use("2"), CHANGED, 0),
            ("12:00:08", 1, use_code("1", None), CHANGED, 1),
        ],
    );
}

#[test]
fn once_per_customer_counts_uses_and_reservations() {
    let once = PriceRuleParts {
        once_per_customer: true,
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };
    run_claims(
        once.clone(),
        &[
            ("12:00:00", 1, reserve("a", "12:10:00"), CHANGED, 1),
            ("12:00:01", 1, reserve("b", "12:10:00"), "already_used_by_customer", 1),
            ("12:00:02", 2, reserve("c", "12:10:00"), CHANGED, 2),
            // The reservation of a checkout is not valid for another customer.
            ("12:00:03", 1, use_code("2", Some("c")), "already_used_by_customer", 2),
            ("12:00:04", 3, use_code("2", Some("c")), CHANGED, 2),
            ("12:00:05", 2, reserve("d", "12:10:00"), CHANGED, 3),
            ("12:00:06", 1, use_code("1", Some("a")), CHANGED, 3),
            ("12:00:07", 1, use_code("3", None), "already_used_by_customer", 3),
            ("12:00:08", 1, return_use("1"), CHANGED, 2),
            ("12:00:09", 1, use_code("3", None), CHANGED, 3),
        ],
    );

    let mut ledger = DiscountLedger::new([rule(once)]);
    let result = ledger.execute(CODE, &Customer::default(), &use_code("1", None), at("12:00:00"));
    assert_eq!(result.unwrap_err().code(), "customer_required");
}

#[test]
fn a_reservation_outlives_the_window_but_not_the_code() {
    let ends = PriceRuleParts { ends_at: Some(at("12:05:00")), ..limited(1) };
    run_claims(
        ends.clone(),
        &[
            ("12:04:00", 1, reserve("a", "12:20:00"), CHANGED, 1),
            ("12:06:00", 2, use_code("2", None), "expired", 1),
            ("12:06:00", 1, use_code("1", Some("a")), CHANGED, 1),
        ],
    );

    let off = CodeCommand::Switch { on: false };
    run_claims(
        ends,
        &[
            ("12:04:00", 1, reserve("a", "12:20:00"), CHANGED, 1),
            ("12:04:01", 1, off.clone(), CHANGED, 1),
            ("12:04:02", 1, off, UNCHANGED, 1),
            ("12:04:03", 1, use_code("1", Some("a")), "disabled", 1),
            ("12:04:04", 1, CodeCommand::Switch { on: true }, CHANGED, 1),
            ("12:04:05", 1, use_code("1", Some("a")), CHANGED, 1),
            ("12:04:06", 1, CodeCommand::Remove, CHANGED, 1),
            ("12:04:07", 1, CodeCommand::Remove, UNCHANGED, 1),
            ("12:04:08", 1, CodeCommand::Switch { on: true }, "disabled", 1),
            ("12:04:09", 1, return_use("1"), CHANGED, 0),
        ],
    );
}

#[test]
fn an_order_uses_the_window_at_its_placement() {
    let window = PriceRuleParts {
        starts_at: at("12:00:00"),
        ends_at: Some(at("12:05:00")),
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };
    let placed = |time: &str| CodeCommand::RecordUse {
        order: OrderId::new("1").unwrap(),
        checkout: None,
        placed_at: Some(at(time)),
    };
    run_claims(window.clone(), &[("18:00:00", 1, placed("12:04:59"), CHANGED, 1)]);
    run_claims(window.clone(), &[("18:00:00", 1, placed("12:05:00"), "expired", 0)]);
    run_claims(window.clone(), &[("12:01:00", 1, placed("11:59:59"), "not_yet_valid", 0)]);

    // A placement in the future does not make a rule valid before its time.
    run_claims(window, &[("11:00:00", 1, placed("12:01:00"), "not_yet_valid", 0)]);
}

#[test]
fn codes_are_added_once_under_a_rule() {
    let mut ledger = DiscountLedger::new([rule(PriceRuleParts::new(Timestamp::UNIX_EPOCH))]);
    let add = |text: &str, rule: i64| CodeCommand::Add {
        rule: PriceRuleId(rule),
        text: Code::new(text).unwrap(),
    };

    let now = at("12:00:00");
    let anonymous = Customer::default();
    assert_eq!(ledger.execute(CODE, &anonymous, &add("CODE1", 1), now), Ok(None));
    assert_eq!(
        ledger.execute(CODE, &anonymous, &add("other", 1), now),
        Err(DiscountRejection::CodeDiffers)
    );
    assert_eq!(
        ledger.execute(CODE, &anonymous, &add("code1", 2), now),
        Err(DiscountRejection::CodeDiffers)
    );
    assert_eq!(
        ledger.execute(CodeId(9), &anonymous, &add("new", 9), now),
        Err(DiscountRejection::UnknownPriceRule)
    );

    let (state, price_rule) =
        (CodeState::default(), rule(PriceRuleParts::new(Timestamp::UNIX_EPOCH)));
    let context = CodeContext {
        id: CodeId(9),
        state: &state,
        rule: Some(&price_rule),
        customer_usage: None,
        checkout_claim: None,
    };

    let added = decide_code(&context, None, &anonymous, &add("new", 1), now).unwrap();
    let expected = DiscountEvent::CodeAdded {
        code: CodeId(9),
        rule: PriceRuleId(1),
        text: Code::new("new").unwrap(),
    };

    assert_eq!(added, Some(expected));

    assert_eq!(
        ledger
            .execute(CODE, &anonymous, &CodeCommand::Remove, now)
            .unwrap()
            .unwrap()
            .code(),
        Some(CODE)
    );
    assert_eq!(
        ledger.execute(CODE, &anonymous, &add("code1", 1), now),
        Err(DiscountRejection::CodeDiffers)
    );
}

#[test]
fn rules_have_revisions() {
    let (id, mut state) = (PriceRuleId(7), RuleState::default());
    assert_eq!(decide_rule_delete(&state, id), None);
    let save = |state: &mut RuleState, parts: PriceRuleParts| {
        let event = decide_rule_save(state, id, &rule(parts));
        if let Ok(Some(event)) = &event {
            state.evolve(event);
        }
        event.map(|event| event.is_some())
    };

    assert_eq!(save(&mut state, limited(1)), Ok(true));
    assert_eq!(save(&mut state, limited(1)), Ok(false));
    assert_eq!(save(&mut state, limited(2)), Ok(true));
    assert_eq!((state.revision(), state.rule().unwrap().parts().usage_limit), (2, Some(2)));

    state.evolve(&decide_rule_delete(&state, id).unwrap());
    assert!(state.is_deleted() && decide_rule_delete(&state, id).is_none());
    assert_eq!(save(&mut state, limited(2)), Err(DiscountRejection::UnknownPriceRule));
    assert_eq!(state.revision(), 2);
}

#[test]
fn emails_stay_out_of_the_journal() {
    let emails = vec![Email::new("Ada@Example.com").unwrap()];
    let parts = PriceRuleParts {
        customer_selection: CustomerSelection::Prerequisite,
        prerequisite_emails: emails.clone(),
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };

    let complete = rule(parts);
    let event = decide_rule_save(&RuleState::default(), PriceRuleId(1), &complete)
        .unwrap()
        .unwrap();
    let text = serde_json::to_string(&event).unwrap();
    assert!(!text.to_lowercase().contains("ada"), "{text}");
    assert_eq!(
        serde_json::from_str::<DiscountEvent>(&text).unwrap(),
        event,
        "the stored event equals the folded one"
    );

    let direct = serde_json::to_string(&complete).unwrap();
    assert!(!direct.to_lowercase().contains("ada"), "{direct}");
    let DiscountEvent::PriceRuleSaved { saved, .. } = serde_json::from_str(&text).unwrap() else {
        panic!("{text}")
    };

    let ada = Customer {
        email: Some(Email::new("ada@example.com").unwrap()),
        ..Customer::default()
    };

    assert!(complete.admits(&ada) && !saved.admits(&ada) && !saved.admits(&Customer::default()));
    assert_eq!(saved.with_emails(emails), complete);
    assert_eq!(serde_json::from_str::<PriceRule>(&direct).unwrap(), *saved);
}

#[test]
fn a_damaged_rule_is_not_read() {
    let stored = serde_json::to_value(rule(limited(1))).unwrap();
    let broken = |pointer: &str, value: serde_json::Value| {
        let mut broken = stored.clone();
        *broken.pointer_mut(pointer).unwrap() = value;
        serde_json::from_value::<PriceRule>(broken)
    };
    assert!(broken("/rule/usage_limit", 2.into()).is_ok());
    assert!(broken("/rule/usage_limit", 0.into()).is_err());
    assert!(broken("/rule/value", "10".into()).is_err());
    assert!(broken("/rule/value", "-1e3".into()).is_err());
    assert!(broken("/rule/title", "".into()).is_err());
}

/// The record of a code stays small on a busy day: it keeps instants, not checkouts.
#[test]
fn a_code_stays_small() {
    let mut ledger = DiscountLedger::new([rule(PriceRuleParts::new(Timestamp::UNIX_EPOCH))]);
    let start = at("00:00:00");

    for number in 0..5_000_i64 {
        let now = start + chrono::TimeDelta::seconds(number);
        let until = now + chrono::TimeDelta::minutes(15);
        let checkout = CheckoutId::new(number.to_string()).unwrap();
        ledger
            .execute(CODE, &buyer(number), &CodeCommand::Reserve { checkout, until }, now)
            .unwrap();
    }

    let last = start + chrono::TimeDelta::seconds(4_999);
    let state = &ledger.codes[&CODE];
    assert_eq!(
        state.usage().reserved(last),
        919,
        "reservations of the last 15 minutes, up to a whole minute"
    );
    assert!(serde_json::to_string(state).unwrap().len() < 1_000, "{state:?}");
}

#[test]
fn variants_of_listed_products_are_named() {
    let parts = PriceRuleParts {
        target_selection: TargetSelection::Entitled,
        entitled: ItemSelection {
            products: ["shirt".parse().unwrap()].into(),
            variants: ["red".parse().unwrap(), "hat-1".parse().unwrap()].into(),
            ..ItemSelection::default()
        },
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };

    let rule = rule(parts);
    let variants_of = |product: &loyalty_core::ProductId| match product.as_str() {
        "shirt" => Ok(vec!["blue".parse().unwrap(), "red".parse().unwrap()]),
        other => Err(other.to_owned()),
    };

    let faults = rule.find_variant_faults(variants_of).unwrap();
    assert_eq!(faults.len(), 1);
    assert_eq!(
        (faults[0].pointer.as_str(), faults[0].code),
        ("/entitled_variant_ids", "contradiction")
    );
    assert_eq!(
        faults[0].detail,
        "variant red belongs to product shirt, which is already in entitled_product_ids"
    );
    assert_eq!(
        rule.find_variant_faults(|_| Err::<Vec<_>, _>("no catalogue")),
        Err("no catalogue")
    );
}

fn cart(lines: &[(&str, &str, u32)]) -> Cart {
    let line = |(id, price, quantity): &(&str, &str, u32)| CartLine {
        id: LineId::new(id).unwrap(),
        product: Some(id.parse().unwrap()),
        variant: None,
        categories: vec![],
        quantity: *quantity,
        price: price.parse().unwrap(),
        gift_card: false,
    };
    let codes = vec![Code::new("CODE1").unwrap()];
    Cart {
        lines: lines.iter().map(line).collect(),
        codes,
        ..Cart::new([], at("12:00:00"))
    }
}

#[test]
fn carts_beyond_the_limits_are_rejected_by_code() {
    let ledger = DiscountLedger::new([rule(PriceRuleParts::new(Timestamp::UNIX_EPOCH))]);
    let evaluated = |cart: &Cart| {
        ledger
            .evaluate(cart, Stacking::All)
            .map(|_| ())
            .map_err(|error| error.code())
    };

    let many: Vec<_> = (0..=Cart::MAX_LINES).map(|index| index.to_string()).collect();
    let lines: Vec<_> = many.iter().map(|id| (id.as_str(), "1.00", 1)).collect();
    assert_eq!(evaluated(&cart(&lines)), Err("too_many_lines"));
    assert_eq!(evaluated(&cart(&lines[1..])), Ok(()));
    assert_eq!(evaluated(&cart(&[("a", "1.00", 1), ("a", "1.00", 1)])), Err("duplicate_line"));
    assert_eq!(evaluated(&cart(&[("a", "1.005", 1)])), Err("finer_than_currency"));
    assert_eq!(evaluated(&cart(&[("a", "100000000000", 1)])), Ok(()));
    assert_eq!(
        evaluated(&cart(&[("a", "100000000000", 1), ("b", "0.01", 1)])),
        Err("cart_too_large")
    );
    assert_eq!(evaluated(&cart(&[("a", "100000000000", u32::MAX)])), Err("cart_too_large"));

    let shipping = |count: usize| {
        let line = |index: usize| ShippingLine {
            id: LineId::new(index.to_string()).unwrap(),
            price: Amount::ZERO,
        };
        Cart {
            shipping: (0..count).map(line).collect(),
            ..cart(&[("a", "1.00", 1)])
        }
    };

    assert_eq!(evaluated(&shipping(Cart::MAX_SHIPPING_LINES)), Ok(()));
    assert_eq!(
        evaluated(&shipping(Cart::MAX_SHIPPING_LINES + 1)),
        Err("too_many_shipping_lines")
    );

    let codes = |count| Cart {
        codes: vec![Code::new("x").unwrap(); count],
        ..cart(&[("a", "1.00", 1)])
    };

    assert_eq!(evaluated(&codes(Cart::MAX_CODES)), Ok(()));
    assert_eq!(evaluated(&codes(Cart::MAX_CODES + 1)), Err("too_many_codes"));

    // A rule with cents in a shop whose currency has no decimals.
    let cents = PriceRuleParts {
        title: "Cents".to_owned(),
        value: "-0.50".parse().unwrap(),
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };

    let ledger = DiscountLedger::new([PriceRule::new(cents, 2).unwrap()]);
    let context = ledger.code_context(CODE, None, None);
    let evaluated = evaluate(&cart(&[("a", "1", 1)]), 0, Stacking::All, |_| context);
    assert_eq!(evaluated.unwrap_err().code(), "other_currency");
}

#[test]
fn a_checkout_can_use_its_reservation() {
    let mut ledger = DiscountLedger::new([rule(limited(1))]);
    ledger
        .execute(CODE, &buyer(1), &reserve("a", "12:30:00"), at("11:59:00"))
        .unwrap();
    let cart = Cart { customer: buyer(1), ..cart(&[("a", "20.00", 1)]) };
    let evaluated = |checkout: Option<&str>| {
        let checkout = checkout.map(|checkout| CheckoutId::new(checkout).unwrap());
        let context = ledger.code_context(CODE, Some(AccountId(1)), checkout.as_ref());
        let evaluation = evaluate(&cart, 2, Stacking::All, |_| context).unwrap();
        evaluation.codes[0]
            .outcome
            .clone()
            .map(|applied| applied.discount)
            .map_err(|rejection| rejection.code())
    };

    assert_eq!(evaluated(Some("a")), Ok("10.00".parse().unwrap()));
    assert_eq!(evaluated(Some("b")), Err("used_up"));
    assert_eq!(evaluated(None), Err("used_up"));
}

#[test]
fn every_outcome_is_one_sentence() {
    let percent = |value: &str| PriceRuleParts {
        value_type: ValueType::Percentage,
        value: value.parse().unwrap(),
        title: "Rule".to_owned(),
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };

    let each = |parts: PriceRuleParts| PriceRuleParts {
        allocation_method: AllocationMethod::Each,
        ..parts
    };

    let bundle = each(PriceRuleParts {
        target_selection: TargetSelection::Entitled,
        entitled: ItemSelection {
            products: ["b".parse().unwrap()].into(),
            ..ItemSelection::default()
        },
        prerequisites: ItemSelection {
            products: ["a".parse().unwrap()].into(),
            ..ItemSelection::default()
        },
        prerequisite_to_entitlement_quantity_ratio: Some(QuantityRatio {
            prerequisite_quantity: Some(2),
            entitled_quantity: 1,
        }),
        ..percent("-50")
    });
    let spend = PriceRuleParts {
        prerequisite_to_entitlement_quantity_ratio: Some(QuantityRatio {
            prerequisite_quantity: None,
            entitled_quantity: 1,
        }),
        prerequisite_to_entitlement_purchase: Some("15.00".parse().unwrap()),
        ..bundle.clone()
    };

    let fixed = PriceRuleParts { value_type: ValueType::FixedAmount, ..percent("-2.50") };
    let free = each(PriceRuleParts { target_type: TargetType::ShippingLine, ..percent("-100") });
    let minimum = PriceRuleParts {
        prerequisite_subtotal_range: Some("40".parse().unwrap()),
        ..percent("-10")
    };

    for (parts, expected) in [
        (percent("-12.5"), "CODE1 takes 3.75 off: 12.5% of 30.00, shared over 2 lines."),
        (fixed.clone(), "CODE1 takes 2.50 off: up to 2.50 of 30.00, shared over 2 lines."),
        (each(percent("-10")), "CODE1 takes 3.00 off: 10% of 30.00, on each of 2 lines."),
        (each(fixed), "CODE1 takes 7.50 off: up to 2.50 off each unit of 2 lines."),
        (bundle, "CODE1 takes 5.00 off: buy 2, get 1 at 50% off, 1 time."),
        (spend, "CODE1 takes 5.00 off: spend 15.00, get 1 at 50% off, 1 time."),
        (free, "CODE1 takes 4.90 off: shipping of 4.90 is free."),
        (
            percent("-0.000001"),
            "CODE1 is valid, but there is nothing left to discount; no use is counted.",
        ),
        (
            minimum,
            "CODE1 does not apply: entitled lines must total 40, but the cart has 30.00.",
        ),
    ] {
        let ledger = DiscountLedger::new([PriceRule::new(parts, 2).unwrap()]);
        let shipping = ShippingLine {
            id: LineId::new("std").unwrap(),
            price: "4.90".parse().unwrap(),
        };
        let cart = Cart {
            shipping: vec![shipping],
            ..cart(&[("a", "10.00", 2), ("b", "10.00", 1)])
        };
        let evaluation = ledger.evaluate(&cart, Stacking::All).unwrap();
        assert_eq!(evaluation.codes[0].to_string(), expected);
        let is_used = expected.contains("takes");
        assert_eq!(evaluation.used_codes().count(), usize::from(is_used), "{expected}");
    }
}

/// The format of stored events never changes: these texts are read and written as they are.
#[test]
fn stored_events_keep_their_format() {
    let id = |text: &str| text.parse().unwrap();
    let reservation = Reservation { account: Some(AccountId(5)), until: at("12:15:00") };
    let (checkout, at) = (CheckoutId::new("c1").unwrap(), at("12:00:00"));
    let parts = PriceRuleParts {
        title: "Ten".to_owned(),
        value: (-10).into(),
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };

    let saved = std::sync::Arc::new(PriceRule::new(parts, 2).unwrap());

    for (event, expected) in [
        (
            DiscountEvent::CodeAdded { code: CODE, rule: PriceRuleId(2), text: id("Save 10") },
            r#"{"code_added":{"code":1,"rule":2,"text":"Save 10"}}"#,
        ),
        (DiscountEvent::CodeRemoved { code: CODE }, r#"{"code_removed":{"code":1}}"#),
        (
            DiscountEvent::CodeSwitched { code: CODE, on: false },
            r#"{"code_switched":{"code":1,"on":false}}"#,
        ),
        (
            DiscountEvent::CodeReserved {
                code: CODE,
                checkout: checkout.clone(),
                account: reservation.account,
                until: reservation.until,
                replaces: None,
                at,
            },
            r#"{"code_reserved":{"code":1,"checkout":"c1","account":5,"until":"2026-03-01T12:15:00Z","replaces":null,"at":"2026-03-01T12:00:00Z"}}"#,
        ),
        (
            DiscountEvent::CodeReleased { code: CODE, checkout: checkout.clone(), reservation, at },
            r#"{"code_released":{"code":1,"checkout":"c1","held":{"account":5,"until":"2026-03-01T12:15:00Z"},"at":"2026-03-01T12:00:00Z"}}"#,
        ),
        (
            DiscountEvent::CodeUsed {
                code: CODE,
                order: OrderId::new("1001").unwrap(),
                account: reservation.account,
                checkout: Some(checkout),
                reservation: Some(reservation),
                at,
            },
            r#"{"code_used":{"code":1,"order":"1001","account":5,"checkout":"c1","held":{"account":5,"until":"2026-03-01T12:15:00Z"},"at":"2026-03-01T12:00:00Z"}}"#,
        ),
        (
            DiscountEvent::CodeUseReturned {
                code: CODE,
                order: OrderId::new("1001").unwrap(),
                account: None,
                at,
            },
            r#"{"code_use_returned":{"code":1,"order":"1001","account":null,"at":"2026-03-01T12:00:00Z"}}"#,
        ),
        (
            DiscountEvent::PriceRuleDeleted { rule: PriceRuleId(2), was_automatic: false },
            r#"{"price_rule_deleted":{"rule":2}}"#,
        ),
        (
            DiscountEvent::PriceRuleSaved {
                rule: PriceRuleId(2),
                revision: 1,
                saved,
                was_automatic: false,
            },
            r#"{"price_rule_saved":{"rule":2,"revision":1,"saved":{"minor_digits":2,"rule":{"title":"Ten","value_type":"fixed_amount","value":"-10","target_type":"line_item","target_selection":"all","allocation_method":"across","customer_selection":"all","starts_at":"1970-01-01T00:00:00Z"}}}}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&event).unwrap(), expected);
        assert_eq!(serde_json::from_str::<DiscountEvent>(expected).unwrap(), event);
    }
}
