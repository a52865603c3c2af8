//! What people read: plurals, figures, and statements from which a page can say it in another
//! language.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use loyalty_core::{Event, Order, Points, Rejection, Statement, Statements};
use scenario::*;
use serde_json::{Value, json};

/// The last calculation in statements and in English.
fn explain(program: &str, steps: &[Step<'_>]) -> (Vec<Statement>, String) {
    let ledger = run_scenario(program, steps);
    let calculation = ledger.events().iter().rev().find_map(|event| {
        if let Event::PointsAwarded { calculation, .. }
        | Event::PointsTakenBack { calculation, .. } = event
        {
            Some(calculation)
        } else {
            None
        }
    });
    let calculation = calculation.unwrap();
    (calculation.statements(), calculation.to_string())
}

#[test]
fn sentences_have_plurals_and_readable_figures() {
    let paid = |cost: &str| record_paid_order("a", single_line_order(cost));
    let limited = r#"{"earning": [{"id": "base", "earn": {"per_unit": 1}, "limits": [LIMIT]}]}"#;
    let cases: [(&str, Vec<Step<'_>>, &str); 9] = [
        (
            "{}",
            vec![("01-01", paid("1"), Ok(1))],
            "The order earns 1 point: 1 by base (1 per unit of 1).",
        ),
        (
            "{}",
            vec![("01-01", paid("12345678.90"), Ok(12_345_678))],
            "The order earns 12,345,678 points: 12,345,678.9 by base (1 per unit of 12,345,678.9), \
             12,345,678.9 rounded down.",
        ),
        (
            "{}",
            vec![("01-01", paid("1"), Ok(1)), ("01-02", cancel("a"), Ok(0))],
            "The order is cancelled and earns nothing. Before this, 1 point was awarded.",
        ),
        (
            "{}",
            vec![
                ("01-01", paid("5000"), Ok(5_000)),
                ("01-02", refund_amount("a", "r", "1500"), Ok(3_500)),
            ],
            "The order earns 3,500 points: 3,500 by base (1 per unit of 3,500). Of the total of 5,000, 1,500 was \
             refunded. Before this, 5,000 points were awarded.",
        ),
        (
            r#"{"earning": [{"id": "tens", "earn": {"per_increment": {"amount": "1000", "points": 1}}}]}"#,
            vec![("01-01", paid("1000"), Ok(1))],
            "The order earns 1 point: 1 by tens (1 per full 1,000 of 1,000).",
        ),
        (
            r#"{"earning": [{"id": "each", "earn": {"per_item": 2}}]}"#,
            vec![("01-01", paid("5"), Ok(2))],
            "The order earns 2 points: 2 by each (2 per item, 1 item).",
        ),
        (
            r#"{"earning": [{"id": "third", "earn": {"per_unit": "0.333333"}}]}"#,
            vec![("01-01", paid("1.01"), Ok(0)), ("01-02", paid("100"), Ok(33))],
            "The order earns 33 points: 33.3333 by third (0.333333 per unit of 100), 33.3333 rounded down.",
        ),
        // A limit on times leaves the points as they are: there is no figure to name.
        (
            &limited.replace("LIMIT", r#"{"times": 3, "per": "day"}"#),
            vec![("01-01", paid("7"), Ok(7))],
            "The order earns 7 points: 7 by base (1 per unit of 7).",
        ),
        (
            &limited.replace("LIMIT", r#"{"points": 2000, "per": "day", "partial": true}"#),
            vec![("01-01", paid("7000"), Ok(2_000))],
            "The order earns 2,000 points: 2,000 by base (1 per unit of 7,000, at most 2,000).",
        ),
    ];
    for (program, steps, expected) in cases {
        let (statements, text) = explain(program, &steps);
        assert_eq!(text, expected);
        assert_eq!(Statements(&statements).to_string(), text, "the text is made of the statements");
    }
}

#[test]
fn fractions_that_do_not_end_are_rounded_for_the_eye() {
    let thirds = order_with_lines(vec![line("1", "3", "100")]);
    let (statements, text) = explain(
        "{}",
        &[
            ("01-01", record_paid_order("a", thirds), Ok(100)),
            ("01-02", refund_lines("a", "r", &[("1", "1")]), Ok(66)),
        ],
    );
    assert_eq!(
        text,
        "The order earns 66 points: about 66.66 by base (1 per unit of about 66.66), about 66.66 rounded down. \
         Before this, 100 points were awarded."
    );
    // The statement has the exact figure.
    let json = serde_json::to_value(&statements).unwrap();
    assert_eq!(json[1]["points"], json!("200/3"));
}

#[test]
fn statements_are_data() {
    let program = r#"{
        "tiers": [{"id": "gold", "name": "Gold", "multiplier": "1.5"}],
        "campaigns": [{"id": "weekend", "effect": {"bonus": 5}}],
        "earning": [{"id": "base", "earn": {"per_unit": "1"}}, {"id": "each", "earn": {"per_item": 3}}]
    }"#;
    let gold = loyalty_core::ManualTier { id: "gold".parse().unwrap(), until: None };
    let order = Order { redeemed: amount("5"), ..single_line_order("50") };
    let (statements, text) = explain(
        program,
        &[
            ("01-01", loyalty_core::Command::SetTier(Some(gold)), Ok(0)),
            ("01-02", record_paid_order("a", order), Ok(76)),
            ("01-03", refund_amount("a", "r", "10"), Ok(60)),
        ],
    );
    let expected = json!([
        {"kind": "order_earns", "points": 60},
        {"kind": "rule_earns", "rule": "base", "points": "35", "earn": {"per_unit": "1"}, "basis": "35"},
        {"kind": "rule_earns", "rule": "each", "points": "2.1", "earn": {"per_item": 3}, "basis": "35", "items": "0.7"},
        {"kind": "tier_multiplies", "tier": "gold", "factor": "1.5"},
        {"kind": "campaign_adds", "campaign": "weekend", "points": "5"},
        {"kind": "points_rounded", "exact": "60.65", "rounding": "down"},
        {"kind": "part_refunded", "refunded": "10", "total": "50"},
        {"kind": "part_redeemed", "redeemed": "5", "total": "50"},
        {"kind": "posted_before", "awarded": 76, "taken_back": 0, "expired": 0, "forgiven": 0},
    ]);
    assert_eq!(serde_json::to_value(&statements).unwrap(), expected);
    assert_eq!(
        text,
        "The order earns 60 points: 35 by base (1 per unit of 35) + 2.1 by each (3 per item, 0.7 items), \
         times 1.5 for tier gold + 5 by campaign weekend, 60.65 rounded down. \
         Of the total of 50, 10 was refunded. Of the total of 50, 5 was paid with a reward. \
         Before this, 76 points were awarded."
    );
}

#[test]
fn bonuses_say_their_reason_in_figures_and_names() {
    let program = r#"{
        "actions": [
            {"id": "review", "kind": "review", "points": 10, "limits": [{"points": 11, "per": "day", "partial": true}]},
            {"id": "birthday", "kind": "birthday", "points": 1}
        ],
        "tiers": [{"id": "gold", "name": "Gold", "threshold": 10, "entry": {"points": 1500}}],
        "tiering": {"metric": "points_earned"}
    }"#;
    let review =
        || loyalty_core::Command::PerformAction { action: "review".parse().unwrap(), points: None };
    let ledger =
        run_scenario(program, &[("01-01", review(), Ok(1_510)), ("01-01", review(), Ok(1_511))]);
    let told: Vec<(Value, String)> = ledger
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::AwardGiven { points, award, .. } => {
                Some((award.statements(*points).remove(0), award.explain(*points)))
            }
            Event::TierChanged { change } => Some((change.statement(), change.to_string())),
            _ => None,
        })
        .map(|(statement, text)| (serde_json::to_value(statement).unwrap(), text))
        .collect();
    let expected = [
        (
            json!({"kind": "bonus_granted", "points": 10, "wanted": 10, "reason": "action", "action": "review"}),
            "10 points for review.",
        ),
        (
            json!({"kind": "tier_changed", "to": "gold", "reason": "qualified"}),
            "Entered tier gold: what was done is enough for it.",
        ),
        (
            json!({"kind": "bonus_granted", "points": 1500, "wanted": 1500, "reason": "tier_entry", "tier": "gold"}),
            "1,500 points for entering tier gold.",
        ),
        (
            json!({"kind": "bonus_granted", "points": 1, "wanted": 10, "reason": "action", "action": "review",
                   "limit": {"points": 11, "per": "day", "partial": true}}),
            "1 of 10 points for review: limited to 11 points a day.",
        ),
    ];
    assert_eq!(told, expected.map(|(statement, text)| (statement, text.to_owned())));
}

#[test]
fn rejections_have_plurals_and_readable_figures() {
    let points = |count: i64| Points::new(count).unwrap();
    let insufficient =
        |have, need| Rejection::InsufficientPoints { have: points(have), need: points(need) };
    for (rejection, expected) in [
        (insufficient(0, 1), "1 point is needed, but only 0 are available"),
        (insufficient(1, 2), "2 points are needed, but only 1 is available"),
        (
            insufficient(1_000, 25_000),
            "25,000 points are needed, but only 1,000 are available",
        ),
        (
            Rejection::PointsOutOfRange,
            "the balance would be outside the range of -9,007,199,254,740,991 to 9,007,199,254,740,991 points",
        ),
        (
            Rejection::RefundExceedsOrder { left: amount("1234.50"), total: amount("12345") },
            "only 1,234.50 of the order total of 12,345 can still be refunded",
        ),
    ] {
        assert_eq!(rejection.to_string(), expected);
    }
}
