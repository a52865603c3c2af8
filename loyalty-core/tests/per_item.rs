//! Points for each item: whole units, what remains of them, and what multiplies them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use loyalty_core::proptest::{Invariant, ProgramCheck};
use loyalty_core::{Event, Line, Order, ProductId, Program};
use scenario::*;

/// Ten points for each unit of wine or of the category `cheese`, and nothing else.
const TEN_EACH: &str = r#"{"earning": [{"id": "cellar", "earn": {"per_item": 10},
    "when": {"products": ["wine"], "categories": ["cheese"]}}]}"#;
/// Three points for each unit of anything.
const THREE_EACH: &str = r#"{"earning": [{"id": "all", "earn": {"per_item": 3}}]}"#;

fn of_product(product: &str, line: Line) -> Line {
    Line { product: ProductId::new(product).ok(), ..line }
}

fn of_category(category: &str, line: Line) -> Line {
    Line { categories: vec![category.parse().unwrap()], ..line }
}

fn wine(id: &str, quantity: &str, cost: &str) -> Line {
    of_product("wine", line(id, quantity, cost))
}

#[test]
fn whole_units_of_the_rules_lines_count() {
    let cheese = |quantity: &str| of_category("cheese", line("c", quantity, "12"));
    let cases: [(&str, &str, Vec<Line>, i64); 11] = [
        ("no unit", TEN_EACH, vec![line("1", "4", "40")], 0),
        ("three bottles", TEN_EACH, vec![wine("1", "3", "40"), line("2", "5", "9")], 30),
        (
            "a product and a category",
            TEN_EACH,
            vec![wine("1", "3", "40"), cheese("1")],
            40,
        ),
        ("a fraction counts nothing", TEN_EACH, vec![cheese("0.999")], 0),
        ("the whole part of a weight", TEN_EACH, vec![cheese("2.750")], 20),
        (
            "weights are added up first",
            TEN_EACH,
            vec![cheese("1.6"), wine("1", "0.4", "5")],
            20,
        ),
        ("a line of no units", TEN_EACH, vec![wine("1", "0", "40")], 0),
        (
            "a gift has no price",
            TEN_EACH,
            vec![wine("1", "2", "40"), wine("2", "1", "0")],
            20,
        ),
        (
            "a gift card",
            THREE_EACH,
            vec![line("1", "2", "8"), Line { gift_card: true, ..line("2", "1", "50") }],
            6,
        ),
        (
            "an excluded product",
            r#"{"basis": {"excluded_products": ["wine"]}, "earning": [{"id": "all", "earn": {"per_item": 3}}]}"#,
            vec![wine("1", "3", "40"), line("2", "5", "9")],
            15,
        ),
        (
            "beside money, and in place of the base rule",
            r#"{"earning": [
                {"id": "base", "earn": {"per_unit": "1"}},
                {"id": "each", "earn": {"per_item": 2}},
                {"id": "wine", "earn": {"per_item": 10}, "replaces_base": true, "when": {"products": ["wine"]}}
            ]}"#,
            vec![wine("1", "3", "40"), line("2", "5", "9")],
            30 + 9 + 10,
        ),
    ];
    for (name, program, lines, expected) in cases {
        let order = order_with_lines(lines);
        println!("{name}");
        run_scenario(program, &[("01-01", record_paid_order("a", order), Ok(expected))]);
    }
}

#[test]
fn what_comes_back_takes_its_items_back() {
    let order = || order_with_lines(vec![wine("1", "3", "60"), line("2", "1", "40")]);
    run_scenario(
        TEN_EACH,
        &[
            ("01-01", record_paid_order("a", order()), Ok(30)),
            ("01-02", refund_lines("a", "other", &[("2", "1")]), Ok(30)),
            ("01-03", refund_lines("a", "one", &[("1", "1")]), Ok(20)),
            ("01-04", refund_lines("a", "half", &[("1", "0.5")]), Ok(10)),
            ("01-05", refund_lines("a", "rest", &[("1", "1.5")]), Ok(0)),
        ],
    );
    // Money of no line in particular takes its share, and a quarter of 30 is 7.5.
    run_scenario(
        TEN_EACH,
        &[
            ("01-01", record_paid_order("a", order()), Ok(30)),
            ("01-02", refund_amount("a", "quarter", "25"), Ok(22)),
            ("01-03", refund_amount("a", "more", "25"), Ok(15)),
            ("01-04", cancel("a"), Ok(0)),
        ],
    );
    // An edited order has the items of its last snapshot.
    let fewer = order_with_lines(vec![wine("1", "1", "20")]);
    run_scenario(
        TEN_EACH,
        &[
            ("01-01", record_paid_order("a", order()), Ok(30)),
            (
                "01-02",
                record_paid_order("a", order_with_lines(vec![wine("1", "5", "99")])),
                Ok(50),
            ),
            ("01-03", record_paid_order("b", fewer), Ok(60)),
        ],
    );
    let keep = TEN_EACH.replacen('{', r#"{"refunds": "keep","#, 1);
    run_scenario(
        &keep,
        &[
            ("01-01", record_paid_order("a", order()), Ok(30)),
            ("01-02", refund_lines("a", "one", &[("1", "1")]), Ok(30)),
        ],
    );
}

#[test]
fn the_part_paid_with_a_reward_earns_no_items() {
    for (redeemed, expected) in [("0", 30), ("6", 27), ("30", 15), ("60", 0)] {
        let order = Order {
            redeemed: amount(redeemed),
            ..order_with_lines(vec![wine("1", "3", "60")])
        };
        run_scenario(TEN_EACH, &[("01-01", record_paid_order("a", order), Ok(expected))]);
    }
}

#[test]
fn campaigns_multiply_the_items_of_their_lines() {
    let program = |scope: &str| {
        format!(
            r#"{{"earning": [{{"id": "all", "earn": {{"per_item": 3}}}}],
                "campaigns": [{{"id": "double", "effect": {{"multiplier": "2"}}{scope}}}]}}"#
        )
    };
    let order = || order_with_lines(vec![wine("1", "3", "10"), line("2", "2", "90")]);
    let scoped = program(r#", "products": ["wine"]"#);
    for (program, before, after) in [(program(""), 30, 18), (scoped, 24, 12)] {
        run_scenario(
            &program,
            &[
                ("01-01", record_paid_order("a", order()), Ok(before)),
                ("01-02", refund_lines("a", "r", &[("1", "2")]), Ok(after)),
            ],
        );
    }
    let tier = r#"{"tiers": [{"id": "gold", "name": "Gold", "multiplier": "1.5"}],
        "earning": [{"id": "all", "earn": {"per_item": 3}, "limits": [{"points": 12, "per": "ever", "partial": true}]}]}"#;
    let gold = loyalty_core::ManualTier { id: "gold".parse().unwrap(), until: None };
    run_scenario(
        tier,
        &[
            ("01-01", loyalty_core::Command::SetTier(Some(gold)), Ok(0)),
            (
                "01-02",
                record_paid_order("a", order_with_lines(vec![wine("1", "5", "10")])),
                Ok(18),
            ),
        ],
    );
}

#[test]
fn the_explanation_counts_the_items() {
    let order = Order {
        redeemed: amount("6"),
        ..order_with_lines(vec![wine("1", "3.2", "60")])
    };
    let ledger = run_scenario(TEN_EACH, &[("01-01", record_paid_order("a", order), Ok(27))]);
    let calculation = ledger.events().iter().find_map(|event| {
        if let Event::PointsAwarded { calculation, .. } = event { Some(calculation) } else { None }
    });
    let explanation = &calculation.unwrap().explanation;
    let items = explanation.rules.first().unwrap().items.as_ref().unwrap();
    assert_eq!(items.to_string(), "2.7");
    assert!(
        explanation.to_string().contains("27 by cellar (10 per item of 2.7)"),
        "{explanation}"
    );
}

#[test]
fn a_program_with_items_keeps_every_invariant() {
    let program = r#"{
        "earning": [
            {"id": "base", "earn": {"per_unit": "0.5"}},
            {"id": "cellar", "earn": {"per_item": 10}, "when": {"products": ["wine"], "categories": ["cheese"]}},
            {"id": "each", "earn": {"per_item": 1}, "when": {"minimum_spend": "50"},
             "limits": [{"points": 20, "per": "month", "partial": true}]}
        ],
        "campaigns": [{"id": "double", "effect": {"multiplier": "2"}, "products": ["wine"]}],
        "tiers": [{"id": "gold", "name": "Gold", "threshold": "300", "multiplier": "1.5"}]
    }"#;
    let program = Program::from_json(program).unwrap();
    let check = ProgramCheck { cases: 64, ..ProgramCheck::default() };
    let report = check.run(&program).unwrap_or_else(|violation| panic!("{violation}"));
    for invariant in [Invariant::EntriesMatchCalculation, Invariant::ArrivalOrderIndependence] {
        assert!(report.outcomes.iter().any(|(checked, _)| *checked == invariant));
    }
}
