//! Worked examples of the rules: points that orders earn, and their clawback by refunds.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use loyalty_core::{
    Event, Line, Order, Origin, Points, ProductId, RefundContent, Status, Tag, TierId, Timestamp,
};
use scenario::*;

fn program_with_tier(multiplier: &str) -> String {
    format!(r#"{{"tiers": [{{"id": "gold", "name": "Gold", "multiplier": "{multiplier}"}}]}}"#)
}

fn set_gold_tier() -> loyalty_core::Command {
    loyalty_core::Command::SetTier(Some(loyalty_core::ManualTier {
        id: TierId::new("gold").unwrap(),
        until: None,
    }))
}

fn of_product(product: &str, mut line: Line) -> Line {
    line.product = ProductId::new(product).ok();
    line
}

fn of_category(category: &str, mut line: Line) -> Line {
    line.categories = vec![category.parse().unwrap()];
    line
}

/// The explanation of the last award or clawback.
fn last_reason(ledger: &loyalty_core::Ledger) -> String {
    let reason = |event: &Event| {
        if let Event::PointsAwarded { calculation, .. }
        | Event::PointsTakenBack { calculation, .. } = event
        {
            return Some(calculation.explanation.to_string());
        }
        None
    };
    ledger.events().iter().rev().find_map(reason).unwrap()
}

#[test]
fn per_full_ten_refunds_alone() {
    for (back, left) in [("1", 10), ("5", 10), ("10", 9), ("20", 8), ("104.99", 0), ("105", 0)] {
        run_scenario(
            TENS,
            &[
                ("01-01", record_paid_order("a", single_line_order("105")), Ok(10)),
                ("01-02", refund_amount("a", "r", back), Ok(left)),
            ],
        );
    }
}

#[test]
fn refunds_claw_back_the_same_however_sliced() {
    run_scenario(
        TENS,
        &[
            ("01-01", record_paid_order("a", single_line_order("21.90")), Ok(2)),
            ("01-02", refund_amount("a", "r1", "7.30"), Ok(1)),
            ("01-03", refund_amount("a", "r2", "7.30"), Ok(0)),
            ("01-04", refund_amount("a", "r3", "7.30"), Ok(0)),
        ],
    );
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", single_line_order("49.95")), Ok(49)),
            ("01-02", refund_amount("a", "r", "49.95"), Ok(0)),
        ],
    );
}

#[test]
fn shares_are_not_rounded_quotients() {
    let ledger = run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", single_line_order("90")), Ok(90)),
            ("01-02", refund_amount("a", "r", "30"), Ok(60)),
        ],
    );
    assert!(
        last_reason(&ledger).starts_with("The order earns 60 points: 60 by base"),
        "{}",
        last_reason(&ledger)
    );

    // Of a basis of 10 within the same total, two thirds are 20/3: rounded once, at the end.
    let gift = Line { gift_card: true, ..line("2", "1", "80") };
    let ledger = run_scenario(
        r#"{"rounding": "up"}"#,
        &[
            (
                "01-01",
                record_paid_order("a", order_with_lines(vec![line("1", "1", "10"), gift])),
                Ok(10),
            ),
            ("01-02", refund_amount("a", "r", "30"), Ok(7)),
        ],
    );
    assert!(last_reason(&ledger).contains("20/3 rounded up"), "{}", last_reason(&ledger));
}

#[test]
fn tiers_multiply_before_the_rounding() {
    for (multiplier, cost, expected) in
        [("3", "5", 15), ("1.5", "4", 6), ("1.5", "3.50", 5), ("0.5", "1.99", 0)]
    {
        run_scenario(
            &program_with_tier(multiplier),
            &[
                ("01-01", set_gold_tier(), Ok(0)),
                ("01-02", record_paid_order("a", single_line_order(cost)), Ok(expected)),
            ],
        );
    }

    // The tier of the first award is pinned to the order.
    let ended = loyalty_core::Command::SetTier(None);
    run_scenario(
        &program_with_tier("3"),
        &[
            ("01-01", set_gold_tier(), Ok(0)),
            ("01-02", record_paid_order("a", single_line_order("10")), Ok(30)),
            ("01-03", ended, Ok(30)),
            ("01-04", refund_amount("a", "r", "5"), Ok(15)),
            ("01-05", record_paid_order("b", single_line_order("10")), Ok(25)),
            ("01-06", set_gold_tier(), Ok(25)),
            ("01-07", record_paid_order("b", single_line_order("11")), Ok(26)),
        ],
    );
    let silver = loyalty_core::ManualTier { id: TierId::new("silver").unwrap(), until: None };
    run_scenario(
        &program_with_tier("3"),
        &[("01-01", loyalty_core::Command::SetTier(Some(silver)), Err("unknown_tier"))],
    );
}

#[test]
fn rounding_modes_are_the_programs() {
    for (mode, expected) in [("down", 2), ("half_even", 2), ("half_up", 3), ("up", 3)] {
        let program = format!(r#"{{"rounding": "{mode}"}}"#);
        run_scenario(
            &program,
            &[("01-01", record_paid_order("a", single_line_order("2.50")), Ok(expected))],
        );
    }
}

#[test]
fn rules_add_up_and_are_rounded_once() {
    let halves = r#"{"earning": [{"id": "a", "earn": {"per_unit": "0.5"}}, {"id": "b", "earn": {"per_unit": "0.5"}},
                                 {"id": "c", "earn": {"per_order": 7}}]}"#;
    run_scenario(
        halves,
        &[
            ("01-01", record_paid_order("a", single_line_order("1")), Ok(8)),
            ("01-02", refund_amount("a", "r1", "0.5"), Ok(7)),
            ("01-03", refund_amount("a", "r2", "0.5"), Ok(0)),
        ],
    );
}

#[test]
fn what_is_paid_with_a_reward_earns_nothing() {
    let coupon = Order { redeemed: amount("10"), ..single_line_order("50") };
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("net lines", single_line_order("40")), Ok(40)),
            ("01-02", record_paid_order("reward", coupon.clone()), Ok(80)),
        ],
    );
    run_scenario(
        r#"{"basis": {"redeemed": true}}"#,
        &[("01-01", record_paid_order("a", coupon.clone()), Ok(50))],
    );

    // A full refund claws back all points, and a refund of half of the lines half of them.
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", coupon), Ok(40)),
            ("01-02", refund_amount("a", "r1", "20"), Ok(20)),
            ("01-03", refund_amount("a", "r2", "20"), Ok(0)),
        ],
    );
    let two = Order {
        redeemed: amount("10"),
        ..order_with_lines(vec![line("1", "1", "25"), line("2", "1", "25")])
    };

    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", two), Ok(40)),
            ("01-02", refund_lines("a", "r1", &[("1", "1")]), Ok(20)),
            ("01-03", refund_amount("a", "r2", "20"), Ok(0)),
        ],
    );
}

#[test]
fn the_basis_has_flags() {
    let order = Order {
        tax: amount("9"),
        shipping: amount("5"),
        total: amount("64"),
        ..single_line_order("50")
    };

    let included = Order { taxes_included: true, total: amount("55"), ..order.clone() };

    for (basis, plain, with_tax_inside, [by_amount, by_line]) in [
        ("{}", 50, 41, [22, 0]),
        (r#"{"tax": true}"#, 59, 50, [27, 0]),
        (r#"{"shipping": true}"#, 55, 46, [27, 5]),
        (r#"{"tax": true, "shipping": true}"#, 64, 55, [32, 7]),
    ] {
        let program = format!(r#"{{"basis": {basis}}}"#);
        run_scenario(&program, &[("01-01", record_paid_order("a", order.clone()), Ok(plain))]);
        run_scenario(
            &program,
            &[("01-01", record_paid_order("a", included.clone()), Ok(with_tax_inside))],
        );
        // A refund of 32 of the goods of 59 takes its share of them, and of no shipping.
        run_scenario(
            &program,
            &[
                ("01-01", record_paid_order("a", order.clone()), Ok(plain)),
                ("01-02", refund_amount("a", "r1", "32"), Ok(by_amount)),
                ("01-03", refund_lines("a", "r2", &[("1", "0.5")]), Ok(by_line)),
            ],
        );
    }
}

#[test]
fn gift_cards_and_exclusions_earn_nothing() {
    let lines = vec![
        line("plain", "1", "10"),
        Line { gift_card: true, ..line("card", "1", "20") },
        of_product("tobacco", line("p", "1", "40")),
        of_category("sale", line("c", "1", "80")),
    ];
    let program =
        r#"{"basis": {"excluded_products": ["tobacco"], "excluded_categories": ["sale"]}}"#;
    run_scenario(
        program,
        &[
            ("01-01", record_paid_order("a", order_with_lines(lines.clone())), Ok(10)),
            ("01-02", refund_lines("a", "r1", &[("p", "1"), ("card", "1")]), Ok(10)),
            ("01-03", refund_lines("a", "r2", &[("plain", "1")]), Ok(0)),
        ],
    );
    run_scenario("{}", &[("01-01", record_paid_order("a", order_with_lines(lines)), Ok(130))]);
}

#[test]
fn a_rule_can_replace_the_base_on_its_lines() {
    let program = |replaces: bool| {
        format!(
            r#"{{"earning": [{{"id": "base", "earn": {{"per_unit": "1"}}}},
                {{"id": "shoes", "earn": {{"per_unit": "3"}}, "replaces_base": {replaces},
                  "when": {{"products": ["shoe"], "categories": ["shoes"], "minimum_spend": "30"}}}}]}}"#
        )
    };

    let order = || {
        let (shoe, laces) = (
            of_product("shoe", line("1", "2", "20")),
            of_category("shoes", line("2", "1", "5")),
        );
        order_with_lines(vec![shoe, laces, line("3", "1", "10")])
    };

    run_scenario(&program(true), &[("01-01", record_paid_order("a", order()), Ok(10 + 75))]);

    // Below the minimum the rule no longer applies, and the base does: 5 + 10 and half of 20.
    run_scenario(
        &program(false),
        &[
            ("01-01", record_paid_order("a", order()), Ok(35 + 75)),
            ("01-02", refund_lines("a", "r", &[("1", "1")]), Ok(25)),
        ],
    );
    run_scenario(
        &program(true),
        &[
            ("01-01", record_paid_order("a", order()), Ok(85)),
            ("01-02", refund_lines("a", "r", &[("1", "1")]), Ok(25)),
        ],
    );
}

#[test]
fn minimum_spend_uses_the_remaining_basis() {
    let program = r#"{"earning": [{"id": "big", "earn": {"per_unit": "1"}, "when": {"minimum_spend": "50"}}]}"#;
    run_scenario(
        program,
        &[
            ("01-01", record_paid_order("small", single_line_order("49.99")), Ok(0)),
            ("01-01", record_paid_order("a", single_line_order("51")), Ok(51)),
            ("01-02", refund_amount("a", "r1", "1"), Ok(50)),
            ("01-03", refund_amount("a", "r2", "0.01"), Ok(0)),
        ],
    );
}

#[test]
fn tags_are_those_of_the_first_award() {
    let program = r#"{"earning": [{"id": "vip", "earn": {"per_unit": "1"}, "when": {"customer_tags": ["vip", "b2b"]}}]}"#;
    let mut ledger = run_scenario(
        program,
        &[("01-01", record_paid_order("before", single_line_order("10")), Ok(0))],
    );
    ledger.set_tags(["vip", "other"].into_iter().map(|tag| Tag::new(tag).unwrap()));
    let mut ledger = continue_scenario(
        ledger,
        &[
            ("01-02", record_paid_order("during", single_line_order("10")), Ok(10)),
            (
                "01-03",
                with_time("01-03", record_paid_order("before", single_line_order("20"))),
                Ok(10),
            ),
        ],
    );
    assert_eq!(
        ledger.orders()[&id("during")].pin().unwrap().tags.len(),
        1,
        "only tags that the program looks at"
    );
    ledger.set_tags([]);
    continue_scenario(
        ledger,
        &[
            ("01-04", record_paid_order("during", single_line_order("30")), Ok(30)),
            ("01-05", record_paid_order("after", single_line_order("10")), Ok(30)),
        ],
    );
}

#[test]
fn dates_are_half_open_and_look_at_the_placing() {
    let program = r#"{"earning": [{"id": "week", "earn": {"per_unit": "1"},
        "when": {"from": "2026-02-01T00:00:00Z", "until": "2026-02-08T00:00:00Z"}}]}"#;
    for (placed, expected) in [
        ("2026-01-31T23:59:59Z", 0),
        ("2026-02-01T00:00:00Z", 10),
        ("2026-02-07T23:59:59.999Z", 10),
        ("2026-02-08T00:00:00Z", 0),
    ] {
        let order = Order { placed_at: Some(at(placed)), ..single_line_order("10") };
        run_scenario(program, &[("05-01", record_paid_order("a", order), Ok(expected))]);
        run_scenario(
            program,
            &[(
                "05-01",
                with_time(placed, record_paid_order("a", single_line_order("10"))),
                Ok(expected),
            )],
        );
    }
}

#[test]
fn dates_look_at_the_first_passing_of_the_gate() {
    let program = r#"{"earning": [{"id": "week", "earn": {"per_unit": "1"}, "when": {"until": "2026-02-08T00:00:00Z"}}]}"#;

    // Without an instant of placement: the facts in both sequences, and a reopening changes nothing.
    let (early, late) = (
        with_time("02-01", record_paid_order("a", single_line_order("10"))),
        with_time("02-09", record_paid_order("a", single_line_order("10"))),
    );
    run_scenario(program, &[("05-01", early.clone(), Ok(10)), ("05-01", late.clone(), Ok(10))]);
    run_scenario(program, &[("05-01", late.clone(), Ok(0)), ("05-01", early.clone(), Ok(10))]);
    let cancelled = with_time("02-03", cancel("a"));
    run_scenario(
        program,
        &[("05-01", early, Ok(10)), ("05-01", cancelled, Ok(0)), ("05-01", late, Ok(10))],
    );
}

#[test]
fn the_gate_is_the_programs_or_the_plugins() {
    let sent_by = |origin: Origin, status: Status| {
        let mut command = record_order("a", single_line_order("10"), status);
        if let loyalty_core::Command::RecordOrder { origin: recorded, .. } = &mut command {
            *recorded = origin;
        }
        command
    };

    for (program, origin, gate) in [
        ("{}", Origin::Shop, Status::Paid),
        ("{}", Origin::Plugin, Status::Processing),
        (r#"{"award_on": "fulfilled"}"#, Origin::Shop, Status::Fulfilled),
        (r#"{"award_on": "fulfilled"}"#, Origin::Plugin, Status::Fulfilled),
        (r#"{"award_on": "completed"}"#, Origin::Shop, Status::Completed),
    ] {
        for status in Status::ALL {
            let expected = if status >= gate { 10 } else { 0 };
            run_scenario(program, &[("01-01", sent_by(origin, status), Ok(expected))]);
        }
    }
}

#[test]
fn a_pinned_program_survives_a_new_one() {
    let ledger = run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("pinned", single_line_order("100")), Ok(100)),
            (
                "01-01",
                record_order("open", single_line_order("10"), Status::Processing),
                Ok(100),
            ),
        ],
    );
    let mut ledger = ledger;
    ledger.publish(
        parse_program(
            r#"{"earning": [{"id": "x", "earn": {"per_unit": "5"}}], "refunds": "keep"}"#,
        ),
        Timestamp::UNIX_EPOCH,
    );
    continue_scenario(
        ledger,
        &[
            ("01-02", refund_amount("pinned", "r", "40"), Ok(60)),
            ("01-03", record_paid_order("pinned", single_line_order("110")), Ok(70)),
            ("01-04", record_paid_order("open", single_line_order("10")), Ok(120)),
            ("01-05", refund_amount("open", "r", "5"), Ok(120)),
            ("01-06", cancel("open"), Ok(70)),
        ],
    );

    // The program is pinned at the gate even if the order earns nothing.
    let mut ledger = run_scenario(
        r#"{"earning": [{"id": "big", "earn": {"per_unit": "1"}, "when": {"minimum_spend": "50"}}]}"#,
        &[("01-01", record_paid_order("a", single_line_order("10")), Ok(0))],
    );
    ledger.publish(parse_program("{}"), Timestamp::UNIX_EPOCH);
    continue_scenario(
        ledger,
        &[
            ("01-02", record_paid_order("a", single_line_order("20")), Ok(0)),
            ("01-03", record_paid_order("a", single_line_order("50")), Ok(50)),
        ],
    );
}

#[test]
fn refunds_can_keep_points() {
    run_scenario(
        r#"{"refunds": "keep"}"#,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
            ("01-02", refund_amount("a", "r", "100"), Ok(100)),
            ("01-03", cancel("a"), Ok(0)),
        ],
    );
}

#[test]
fn real_oddities_are_handled() {
    let none = || line("none", "0", "0");
    let per_order = r#"{"earning": [{"id": "order", "earn": {"per_order": 5}}]}"#;
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("empty", Order::default()), Ok(0)),
            ("01-01", record_paid_order("free", single_line_order("0.00")), Ok(0)),
            ("01-02", refund_amount("free", "r", "0"), Ok(0)),
            ("01-02", refund_amount("free", "r2", "0.01"), Err("refund_exceeds_order")),
            (
                "01-03",
                record_paid_order(
                    "a",
                    order_with_lines(vec![none(), line("paid", "0", "3"), line("1", "1", "10")]),
                ),
                Ok(13),
            ),
            ("01-04", refund_lines("a", "r1", &[("none", "0")]), Ok(13)),
            ("01-05", refund_lines("a", "r2", &[("none", "1")]), Err("refund_exceeds_line")),
            ("01-06", refund_lines("a", "r3", &[("1", "1")]), Ok(0)),
        ],
    );
    run_scenario(
        per_order,
        &[
            ("01-01", record_paid_order("free", single_line_order("0")), Ok(5)),
            ("01-02", cancel("free"), Ok(0)),
        ],
    );
}

#[test]
fn units_can_be_weights() {
    let kilos = order_with_lines(vec![line("flour", "1.250", "10"), line("1", "1", "5")]);
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", kilos), Ok(15)),
            ("01-02", refund_lines("a", "r1", &[("flour", "0.625")]), Ok(10)),
            (
                "01-03",
                refund_lines("a", "r2", &[("flour", "0.626")]),
                Err("refund_exceeds_line"),
            ),
            ("01-03", refund_lines("a", "r3", &[("flour", "0.625")]), Ok(5)),
        ],
    );
}

#[test]
fn fixed_points_of_a_scope_go_with_its_last_unit() {
    let program = r#"{"earning": [{"id": "shoes", "earn": {"per_order": 50}, "when": {"products": ["shoe"]}}]}"#;
    let order =
        || order_with_lines(vec![of_product("shoe", line("1", "2", "40")), line("2", "1", "5")]);
    run_scenario(
        program,
        &[
            ("01-01", record_paid_order("a", order()), Ok(50)),
            ("01-02", refund_lines("a", "r1", &[("1", "1")]), Ok(50)),
            ("01-03", refund_lines("a", "r2", &[("1", "1")]), Ok(0)),
            ("01-04", record_paid_order("without", single_line_order("40")), Ok(0)),
        ],
    );
}

#[test]
fn absurd_sizes_are_rejected_by_code() {
    let most = "100000000000";
    let generous = r#"{"earning": [{"id": "x", "earn": {"per_unit": "1000000"}}]}"#;
    run_scenario(
        generous,
        &[
            ("01-01", record_paid_order("a", single_line_order(most)), Err("out_of_range")),
            (
                "01-02",
                record_paid_order("b", single_line_order("9007199254.7409")),
                Ok(9_007_199_254_740_900),
            ),
            (
                "01-03",
                record_paid_order("c", single_line_order("0.0001")),
                Err("points_out_of_range"),
            ),
        ],
    );
    let lines = vec![line("1", "1", most), line("2", "1", most)];
    let two = Order { total: amount(most), lines, ..Order::default() };
    let units = RefundContent::Lines {
        lines: vec![("1".parse().unwrap(), units("1000000"))],
        amount: Some(amount(most).into()),
    };

    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", two), Err("order_too_large")),
            ("01-02", record_paid_order("b", single_line_order(most)), Ok(100_000_000_000)),
            ("01-03", refund_amount("b", "r", most), Ok(0)),
            (
                "01-04",
                record_paid_order("c", order_with_lines(vec![line("1", "1000000", most)])),
                Ok(100_000_000_000),
            ),
            ("01-05", refund("c", "r", units), Ok(0)),
        ],
    );
    let many =
        order_with_lines((0..2_001).map(|number| line(&number.to_string(), "1", "1")).collect());
    run_scenario("{}", &[("01-01", record_paid_order("a", many), Err("order_too_large"))]);
}

#[test]
fn balances_end_where_points_end() {
    let max = Points::MAX.get();
    run_scenario(
        "{}",
        &[
            ("01-01", add(max), Ok(max)),
            ("01-02", add(1), Err("points_out_of_range")),
            (
                "01-03",
                record_paid_order("a", single_line_order("1")),
                Err("points_out_of_range"),
            ),
            ("01-04", spend(max), Ok(0)),
            ("01-05", add(0), Err("invalid_points")),
            ("01-05", add(-1), Err("invalid_points")),
            ("01-05", spend(-1), Err("invalid_points")),
            ("01-05", spend(1), Err("insufficient_points")),
            // The totals of all additions and deductions must be in range, too.
            ("01-06", add(max), Err("points_out_of_range")),
            ("01-07", add(100), Err("points_out_of_range")),
        ],
    );
}
