//! Worked examples of the rules: cancellation and reopening, facts that arrive early, late or
//! twice, lots, expiry, debt and merged accounts.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use std::sync::Arc;

use loyalty_core::{
    Account, AccountId, Command, Context, Event, Ledger, Lot, LotId, ManualTier, Origin,
    OverRefund, Points, Program, RefundContent, Rejection, Status, TierId, Timestamp, decide,
    merge,
};
use scenario::*;

const STOP_AT_ZERO: &str = r#"{"debt": "stop_at_zero"}"#;

#[test]
fn an_earlier_status_claws_back_nothing() {
    run_scenario(
        "{}",
        &[
            ("01-01", record_order("a", single_line_order("10"), Status::Processing), Ok(0)),
            ("01-02", record_order("a", single_line_order("10"), Status::Fulfilled), Ok(10)),
            (
                "01-03",
                with_time("01-03", record_order("a", single_line_order("10"), Status::Processing)),
                Ok(10),
            ),
            (
                "01-04",
                with_time("01-04", record_order("a", single_line_order("12"), Status::Processing)),
                Ok(12),
            ),
        ],
    );
}

#[test]
fn a_cancelled_order_earns_nothing_until_it_is_reopened() {
    run_scenario(
        "{}",
        &[
            (
                "01-01",
                with_time("01-01", record_paid_order("a", single_line_order("10"))),
                Ok(10),
            ),
            ("01-02", with_time("01-02", cancel("a")), Ok(0)),
            // A refund does not reopen the order, whatever its date.
            ("01-03", with_time("01-03", refund_amount("a", "r", "4")), Ok(0)),
            // Neither does a report that is older or has the same instant.
            (
                "01-04",
                with_time("01-01", record_order("a", single_line_order("10"), Status::Completed)),
                Ok(0),
            ),
            (
                "01-04",
                with_time("01-02", record_paid_order("a", single_line_order("10"))),
                Ok(0),
            ),
            // Below the gate the order is reopened, but earns nothing yet.
            (
                "01-05",
                with_time("01-05", record_order("a", single_line_order("10"), Status::Processing)),
                Ok(0),
            ),
            (
                "01-06",
                with_time("01-06", record_paid_order("a", single_line_order("10"))),
                Ok(6),
            ),
            // A cancellation dated before the reopening changes nothing; a later one does.
            ("01-07", with_time("01-04", cancel("a")), Ok(6)),
            ("01-08", with_time("01-08", cancel("a")), Ok(0)),
            ("01-08", with_time("01-08", cancel("a")), Ok(0)),
        ],
    );
}

#[test]
fn at_the_same_instant_the_cancellation_wins() {
    let (order, cancelled) = (
        with_time("01-01", record_paid_order("a", single_line_order("10"))),
        with_time("01-01", cancel("a")),
    );
    run_scenario("{}", &[("01-02", order.clone(), Ok(10)), ("01-02", cancelled.clone(), Ok(0))]);
    run_scenario("{}", &[("01-02", cancelled, Ok(0)), ("01-02", order, Ok(0))]);
}

#[test]
fn a_report_after_the_cancellation_reopens_unless_it_is_a_redelivery() {
    for (repeated, expected) in [
        (from_plugin(record_paid_order("a", single_line_order("10"))), 0),
        (from_plugin(record_order("a", single_line_order("10"), Status::Processing)), 0),
        (from_plugin(record_paid_order("a", single_line_order("11"))), 11),
        // The shop itself says so on purpose. Below the gate nothing is earned yet.
        (record_paid_order("a", single_line_order("10")), 10),
        (record_order("a", single_line_order("10"), Status::Processing), 0),
        (with_time("01-03", record_paid_order("a", single_line_order("10"))), 10),
        (record_paid_order("a", single_line_order("11")), 11),
    ] {
        let is_plugin = matches!(repeated, Command::RecordOrder { origin: Origin::Plugin, .. });
        let first = record_paid_order("a", single_line_order("10"));
        let first = if is_plugin { from_plugin(first) } else { first };
        run_scenario(
            "{}",
            &[
                ("01-01", first, Ok(10)),
                ("01-02", cancel("a"), Ok(0)),
                ("01-03", repeated.clone(), Ok(expected)),
                // Delivered twice, it is still one report.
                ("01-04", repeated, Ok(expected)),
            ],
        );
    }
}

#[test]
fn the_later_of_undated_reports_counts() {
    // For content of any size, at the same instant and after a report dated in the future.
    for (first, second) in [("20", "10"), ("10", "20")] {
        let expected = second.parse::<i64>().unwrap();
        let (first, second) = (
            record_paid_order("a", single_line_order(first)),
            record_paid_order("a", single_line_order(second)),
        );
        run_scenario(
            "{}",
            &[
                ("01-01", first.clone(), Ok(20 + 10 - expected)),
                ("01-01", second.clone(), Ok(expected)),
            ],
        );
        run_scenario(
            "{}",
            &[
                ("01-01", with_time("02-01", first), Ok(20 + 10 - expected)),
                ("01-02", second, Ok(expected)),
            ],
        );
    }

    let cancelled = [
        (
            "01-01",
            with_time("02-01", record_paid_order("a", single_line_order("10"))),
            Ok(10),
        ),
        ("01-02", cancel("a"), Ok(0)),
    ];
    run_scenario("{}", &cancelled);
}

#[test]
fn early_facts_count_once_their_order_is_recorded() {
    run_scenario(
        "{}",
        &[
            ("01-01", refund_amount("a", "r1", "3"), Ok(0)),
            ("01-02", refund_lines("a", "r2", &[("2", "1")]), Ok(0)),
            (
                "01-03",
                record_paid_order(
                    "a",
                    order_with_lines(vec![line("1", "1", "10"), line("2", "1", "5")]),
                ),
                Ok(7),
            ),
            ("01-04", refund_amount("a", "r1", "3"), Ok(7)),
        ],
    );

    // Too large, or with unknown lines: they arrived before the order, when nothing could reject them.
    for early in [refund_amount("a", "r", "10.01"), refund_lines("a", "r", &[("1", "2")])] {
        run_scenario(
            "{}",
            &[
                ("01-01", early, Ok(0)),
                ("01-02", record_paid_order("a", single_line_order("10")), Ok(0)),
            ],
        );
    }

    run_scenario(
        "{}",
        &[
            ("01-01", refund_lines("a", "r", &[("9", "1")]), Ok(0)),
            ("01-02", record_paid_order("a", single_line_order("10")), Ok(10)),
        ],
    );

    // A cancellation, dated and undated.
    run_scenario(
        "{}",
        &[
            ("01-01", with_time("01-02", cancel("a")), Ok(0)),
            (
                "01-02",
                with_time("01-01", record_paid_order("a", single_line_order("10"))),
                Ok(0),
            ),
        ],
    );
    run_scenario(
        "{}",
        &[
            ("01-01", cancel("a"), Ok(0)),
            ("01-02", record_paid_order("a", single_line_order("10")), Ok(0)),
            // The same report again is still the one that the cancellation overtook.
            ("01-03", record_paid_order("a", single_line_order("10")), Ok(0)),
            (
                "01-04",
                with_time("01-04", record_paid_order("a", single_line_order("10"))),
                Ok(10),
            ),
        ],
    );
}

#[test]
fn the_latest_snapshot_counts() {
    run_scenario(
        "{}",
        &[
            (
                "01-01",
                with_time("01-05", record_paid_order("a", single_line_order("10"))),
                Ok(10),
            ),
            (
                "01-02",
                with_time("01-04", record_paid_order("a", single_line_order("99"))),
                Ok(10),
            ),
            (
                "01-03",
                with_time("01-06", record_paid_order("a", single_line_order("7"))),
                Ok(7),
            ),
        ],
    );

    // Of two reports of one instant the content decides, not the sequence.
    let (small, large) = (
        with_time("01-01", record_paid_order("a", single_line_order("10"))),
        with_time("01-01", record_paid_order("a", single_line_order("12"))),
    );
    run_scenario("{}", &[("01-01", small.clone(), Ok(10)), ("01-01", large.clone(), Ok(12))]);
    run_scenario("{}", &[("01-01", large, Ok(12)), ("01-01", small, Ok(12))]);
}

#[test]
fn refunds_cannot_exceed_their_order() {
    let two = order_with_lines(vec![line("1", "2", "20"), line("2", "1", "5")]);
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", two), Ok(25)),
            ("01-02", refund_amount("a", "r", "25.01"), Err("refund_exceeds_order")),
            ("01-02", refund_lines("a", "r", &[("1", "2.001")]), Err("refund_exceeds_line")),
            (
                "01-02",
                refund_lines("a", "r", &[("1", "1"), ("1", "1.001")]),
                Err("refund_exceeds_line"),
            ),
            ("01-02", refund_lines("a", "r", &[("9", "1")]), Err("unknown_line")),
            ("01-03", refund_lines("a", "r1", &[("1", "1")]), Ok(15)),
            ("01-04", refund_lines("a", "r1", &[("1", "1")]), Ok(15)),
            ("01-04", refund_lines("a", "r1", &[("1", "0.5")]), Err("refund_differs")),
            ("01-04", refund_amount("a", "r1", "10"), Err("refund_differs")),
            ("01-05", refund_amount("a", "r2", "15.01"), Err("refund_exceeds_order")),
            ("01-06", refund_amount("a", "r2", "15"), Ok(0)),
            ("01-07", refund_lines("a", "r3", &[("2", "1")]), Err("refund_exceeds_order")),
        ],
    );
    let cut = |name: &str, cost: &str| {
        let mut command = refund_amount("a", name, cost);
        if let Command::RefundOrder { over_refund: excess, .. } = &mut command {
            *excess = OverRefund::Clamp;
        }
        command
    };

    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", single_line_order("10")), Ok(10)),
            ("01-02", cut("r1", "6"), Ok(4)),
            ("01-03", cut("r2", "6"), Ok(0)),
            ("01-04", cut("r3", "6"), Ok(0)),
        ],
    );
}

#[test]
fn all_units_can_be_returned_if_rounding_raised_the_lines() {
    let thirds = || {
        let lines = ["1", "2", "3"].map(|id| line(id, "1", "3.34")).to_vec();
        loyalty_core::Order { total: amount("10"), ..order_with_lines(lines) }
    };

    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", thirds()), Ok(10)),
            ("01-02", refund_lines("a", "r1", &[("1", "1"), ("2", "1"), ("3", "1")]), Ok(0)),
        ],
    );
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", thirds()), Ok(10)),
            ("01-02", refund_lines("a", "r1", &[("1", "1"), ("2", "1")]), Ok(3)),
            ("01-03", refund_lines("a", "r2", &[("3", "1")]), Ok(0)),
        ],
    );
}

#[test]
fn the_earliest_lot_is_spent_and_expires_first() {
    run_scenario(
        NINE_MONTHS,
        &[
            ("2026-01-01T09:00:00Z", add(300), Ok(300)),
            ("2026-01-15T00:00:00Z", spend(50), Ok(250)),
            ("2026-02-02T09:00:00Z", add(100), Ok(350)),
            ("2026-10-01T08:59:59Z", catch_up(), Ok(350)),
            ("2026-10-01T09:00:00Z", catch_up(), Ok(100)),
            ("2026-11-02T09:00:00Z", catch_up(), Ok(0)),
        ],
    );
    let ledger = run_scenario(
        NINE_MONTHS,
        &[
            ("01-01", add(100), Ok(100)),
            ("02-01", add(50), Ok(150)),
            ("03-01", spend(80), Ok(70)),
            ("10-01", catch_up(), Ok(50)),
            ("10-02", spend(51), Err("insufficient_points")),
        ],
    );
    assert_eq!(point_changes(&ledger), [100, 50, -80, -20]);
}

#[test]
fn expired_points_are_not_clawed_back_again() {
    run_scenario(
        NINE_MONTHS,
        &[
            (
                "01-01",
                with_time("01-01", record_paid_order("a", single_line_order("100"))),
                Ok(100),
            ),
            ("10-02", with_time("10-02", cancel("a")), Ok(0)),
            (
                "10-03",
                with_time("10-03", record_paid_order("a", single_line_order("100"))),
                Ok(0),
            ),
        ],
    );
    let ledger = run_scenario(
        NINE_MONTHS,
        &[
            (
                "01-01",
                with_time("01-01", record_paid_order("a", single_line_order("40"))),
                Ok(40),
            ),
            (
                "02-01",
                with_time("02-01", record_paid_order("a", single_line_order("100"))),
                Ok(100),
            ),
            ("10-02", catch_up(), Ok(60)),
            ("10-03", with_time("10-03", cancel("a")), Ok(0)),
            (
                "10-04",
                with_time("10-04", record_paid_order("a", single_line_order("100"))),
                Ok(60),
            ),
        ],
    );
    assert_eq!(point_changes(&ledger), [40, 60, -40, -60, 60]);
}

#[test]
fn expired_points_count_as_clawed_back() {
    // 40 of 100 points expired: a refund of 30 claws back none more, one of 50 more claws back 40.
    run_scenario(
        NINE_MONTHS,
        &[
            (
                "01-01",
                with_time("01-01", record_paid_order("a", single_line_order("40"))),
                Ok(40),
            ),
            (
                "02-01",
                with_time("02-01", record_paid_order("a", single_line_order("100"))),
                Ok(100),
            ),
            ("10-02", refund_amount("a", "r1", "30"), Ok(60)),
            ("10-03", refund_amount("a", "r2", "50"), Ok(20)),
            ("10-04", refund_amount("a", "r3", "20"), Ok(0)),
        ],
    );
}

#[test]
fn late_orders_expire_from_the_gate() {
    let ledger = run_scenario(
        NINE_MONTHS,
        &[
            (
                "12-01",
                with_time("01-01", record_paid_order("late", single_line_order("10"))),
                Ok(0),
            ),
            (
                "12-01",
                with_time("03-02", record_paid_order("in time", single_line_order("20"))),
                Ok(20),
            ),
            ("12-02", catch_up(), Ok(0)),
        ],
    );
    assert_eq!(point_changes(&ledger), [10, -10, 20, -20]);
}

/// The remaining points of each lot, in spending order.
fn lots(ledger: &Ledger) -> Vec<i64> {
    ledger.account().lots().iter().map(|lot| lot.points.get()).collect()
}

#[test]
fn clawback_uses_the_own_lot_then_spending_order() {
    let ledger = run_scenario(
        NINE_MONTHS,
        &[
            ("01-01", add(10), Ok(10)),
            ("01-02", record_paid_order("a", single_line_order("20")), Ok(30)),
            ("01-03", record_paid_order("b", single_line_order("40")), Ok(70)),
            ("01-04", add(5), Ok(75)),
            ("01-05", refund_amount("b", "r", "15"), Ok(60)),
        ],
    );
    assert_eq!(lots(&ledger), [10, 20, 25, 5], "the own lot first");
    let ledger =
        continue_scenario(ledger, &[("01-06", spend(32), Ok(28)), ("01-07", cancel("b"), Ok(3))]);
    assert_eq!(lots(&ledger), [3], "then the others, the earliest end first");
    assert_eq!(point_changes(&ledger)[4..], [-15, -32, -25]);
}

#[test]
fn the_non_expiring_lot_counts_as_the_orders_own() {
    let mut ledger = run_scenario(NINE_MONTHS, &[("01-01", add(10), Ok(10))]);
    ledger.publish(parse_program("{}"), Timestamp::UNIX_EPOCH);
    let ledger = continue_scenario(
        ledger,
        &[
            ("01-02", record_paid_order("a", single_line_order("20")), Ok(30)),
            ("01-03", add(7), Ok(37)),
            ("01-04", refund_amount("a", "r", "5"), Ok(32)),
        ],
    );
    assert_eq!(lots(&ledger), [10, 22]);

    // An order without points in that lot has no such claim.
    let mut ledger = run_scenario(
        NINE_MONTHS,
        &[
            ("01-01", record_paid_order("a", single_line_order("20")), Ok(20)),
            ("01-01", spend(20), Ok(0)),
        ],
    );
    ledger = continue_scenario(ledger, &[("01-02", add(10), Ok(10))]);
    ledger.publish(parse_program("{}"), Timestamp::UNIX_EPOCH);
    let ledger =
        continue_scenario(ledger, &[("01-03", add(30), Ok(40)), ("01-04", cancel("a"), Ok(20))]);
    assert_eq!(lots(&ledger), [20]);
}

#[test]
fn the_earliest_end_is_spent_before_the_earliest_award() {
    let mut ledger = run_scenario("{}", &[("01-01", add(1), Ok(1))]);
    for (period, day, points) in [("P1Y", "01-02", 2), ("P1M", "01-03", 4), ("P6M", "01-04", 8)] {
        ledger.publish(
            parse_program(&format!(r#"{{"expiry": {{"per_lot": {{"after": "{period}"}}}}}}"#)),
            Timestamp::UNIX_EPOCH,
        );
        let balance = ledger.balance(at(day)).get();
        ledger = continue_scenario(ledger, &[(day, add(points), Ok(balance + points))]);
    }

    assert_eq!(lots(&ledger), [4, 8, 2, 1]);
    let ledger = continue_scenario(ledger, &[("01-05", spend(5), Ok(10))]);
    assert_eq!(lots(&ledger), [7, 2, 1]);
}

#[test]
fn later_points_pay_debt() {
    let ledger = run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
            ("01-02", spend(80), Ok(20)),
            ("01-03", cancel("a"), Ok(-80)),
            ("01-04", spend(1), Err("insufficient_points")),
            ("01-05", add(30), Ok(-50)),
            ("01-06", record_paid_order("b", single_line_order("70")), Ok(20)),
            ("01-07", cancel("b"), Ok(-50)),
            (
                "01-08",
                with_time("01-08", record_paid_order("b", single_line_order("70"))),
                Ok(20),
            ),
            ("01-09", Command::SetBalance { to: Points::ZERO, reason: None }, Ok(0)),
        ],
    );
    assert!(ledger.account().debt().is_zero());
    let set = |to: u32| Command::SetBalance { to: Points::from(to), reason: None };
    run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", single_line_order("10")), Ok(10)),
            ("01-02", spend(10), Ok(0)),
            ("01-03", cancel("a"), Ok(-10)),
            ("01-04", set(0), Ok(0)),
            ("01-05", set(7), Ok(7)),
            ("01-06", set(7), Ok(7)),
            ("01-07", set(3), Ok(3)),
        ],
    );
}

#[test]
fn a_forgiven_shortfall_stays_forgiven() {
    let ledger = run_scenario(
        STOP_AT_ZERO,
        &[
            (
                "01-01",
                with_time("01-01", record_paid_order("a", single_line_order("100"))),
                Ok(100),
            ),
            ("01-02", spend(60), Ok(40)),
            ("01-03", with_time("01-03", cancel("a")), Ok(0)),
            // Repeated and further facts of the order claw back no more.
            ("01-03", with_time("01-03", cancel("a")), Ok(0)),
            ("01-04", add(500), Ok(500)),
            ("01-04", with_time("01-03", cancel("a")), Ok(500)),
            ("01-05", refund_amount("a", "r1", "10"), Ok(500)),
            ("01-06", with_time("01-06", cancel("a")), Ok(500)),
            // The reopened order gets back the points that were clawed back, not those forgiven.
            (
                "01-07",
                with_time("01-07", record_paid_order("a", single_line_order("100"))),
                Ok(530),
            ),
            // The order has 90 points again, and owes them if they are refunded.
            ("01-08", refund_amount("a", "r2", "90"), Ok(440)),
        ],
    );
    assert_eq!(point_changes(&ledger), [100, -60, -40, 500, 30, -90]);
    let forgiven = ledger.events().iter().filter_map(|event| {
        if let Event::PointsTakenBack { clawback, .. } = event {
            Some(clawback.forgiven.get())
        } else {
            None
        }
    });
    assert_eq!(forgiven.collect::<Vec<_>>(), [60, 0]);
}

#[test]
fn manual_tiers_last_until_their_end() {
    let program = r#"{"tiers": [{"id": "gold", "name": "Gold", "multiplier": 2}]}"#;
    let tier = ManualTier { id: TierId::new("gold").unwrap(), until: Some(at("02-01")) };
    let ledger = run_scenario(
        program,
        &[
            ("01-01", Command::SetTier(Some(tier.clone())), Ok(0)),
            ("01-31", record_paid_order("a", single_line_order("10")), Ok(20)),
            ("02-01", record_paid_order("b", single_line_order("10")), Ok(30)),
        ],
    );
    assert_eq!(ledger.account().manual_tier(at("01-31")), Some(&tier));
    assert_eq!(ledger.account().manual_tier(at("02-01")), None);
}

#[test]
fn an_order_without_customer_earns_once_it_has_one() {
    let program = parse_program(NINE_MONTHS);
    let state = loyalty_core::OrderState::new("a".parse().unwrap());
    let account = Account::default();
    let mut ledger = Ledger::new(program.clone());
    let context = loyalty_core::Context::new(&program, &account, at("01-01"))
        .with_order(&state)
        .with_account(None);
    let decision =
        loyalty_core::decide(&context, &record_paid_order("a", single_line_order("10"))).unwrap();
    ledger.fold_all(&decision.events);
    assert_eq!(ledger.balance(at("01-01")), Points::ZERO);

    // Its points expire as if they were earned at the gate.
    continue_scenario(
        ledger,
        &[
            ("02-01", record_paid_order("a", single_line_order("10")), Ok(10)),
            ("10-01", catch_up(), Ok(0)),
        ],
    );
}

fn fold(account: &mut Account, events: &[Event]) {
    for event in events {
        account.evolve(event);
    }
}

/// Accounts of every kind: empty, with expiring and non-expiring lots, and in debt.
fn accounts() -> Vec<(&'static str, Ledger)> {
    let ending = |points| {
        run_scenario(
            NINE_MONTHS,
            &[("01-01", add(points), Ok(points)), ("02-01", add(5), Ok(points + 5))],
        )
    };

    let lasting = |points| run_scenario("{}", &[("01-01", add(points), Ok(points))]);
    let mut both = ending(30);
    both.publish(parse_program("{}"), Timestamp::UNIX_EPOCH);
    let both = continue_scenario(both, &[("03-01", add(20), Ok(55))]);
    let owing = run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("a", single_line_order("40")), Ok(40)),
            ("01-02", spend(40), Ok(0)),
            ("01-03", cancel("a"), Ok(-40)),
        ],
    );
    let deep = run_scenario(
        "{}",
        &[
            ("01-01", record_paid_order("b", single_line_order("500")), Ok(500)),
            ("01-02", spend(500), Ok(0)),
            ("01-03", cancel("b"), Ok(-500)),
        ],
    );
    let empty = Ledger::new(parse_program("{}"));
    vec![
        ("empty", empty),
        ("ending", ending(30)),
        ("lasting", lasting(100)),
        ("both", both),
        ("owing", owing),
        ("deep in debt", deep),
    ]
}

#[test]
fn merged_accounts_have_the_lots_of_both() {
    for (from_name, from) in accounts() {
        for (into_name, into) in accounts() {
            let now = at("10-01"); // the first lots that end are over
            let (mut from, mut into) = (from.account().clone(), into.account().clone());
            let names = format!("{from_name} into {into_name}");
            let sum = from.balance(now).checked_add(into.balance(now)).unwrap();
            let ends =
                |account: &Account| account.usable_lots(now).filter_map(|lot| lot.expires_at).max();
            let last_end = ends(&from).max(ends(&into));

            let (gone, come) = merge((AccountId(1), &from), (AccountId(2), &into), now).unwrap();
            fold(&mut from, &gone);
            fold(&mut into, &come);
            assert!(from.is_consistent() && into.is_consistent(), "{names}: {from:?} {into:?}");
            assert_eq!(into.balance(now), sum, "{names}");
            assert_eq!(
                (from.balance(now), from.merged_into()),
                (Points::ZERO, Some(AccountId(2))),
                "{names}"
            );
            assert!(from.lots().is_empty() && from.debt().is_zero(), "{names}");
            let lasting = into.lots().iter().filter(|lot| lot.expires_at.is_none()).count();
            assert!(lasting <= 1, "{names}: {:?}", into.lots());
            let mut lot_ids: Vec<_> = into.lots().iter().map(|lot| lot.id).collect();
            lot_ids.dedup();
            assert_eq!(lot_ids.len(), into.lots().len(), "{names}");
            if sum.is_positive() && ends(&into).is_some() {
                assert_eq!(ends(&into), last_end, "{names}: lots keep their expiry");
            }
        }
    }
}

/// What a merge brings can be given back: both accounts have what they had before, unless debt
/// was settled.
#[test]
fn a_merge_is_undone_exactly() {
    let program = Program::from_json(NINE_MONTHS).unwrap();
    let mut undone = 0;
    for (from_name, from) in accounts() {
        for (into_name, into) in accounts() {
            let names = format!("{from_name} into {into_name}");
            let now = at("09-30");
            let (mut guest, mut customer) = (from.account().clone(), into.account().clone());
            let balances = (guest.balance(now), customer.balance(now));
            let (gone, come) =
                merge((AccountId(1), &guest), (AccountId(2), &customer), now).unwrap();
            fold(&mut guest, &gone);
            fold(&mut customer, &come);
            let Some(Event::AccountAbsorbed(claim)) = come.last() else {
                panic!("{names}")
            };

            let command = Command::UndoClaim { claim: Arc::clone(claim) };
            let decision = decide(&Context::new(&program, &customer, now), &command);
            let has_debt = balances.0 < Points::ZERO || balances.1 < Points::ZERO;
            if has_debt {
                assert_eq!(decision, Err(Rejection::ClaimSpent), "{names}");
                continue;
            }
            let events = decision.unwrap().events;
            fold(&mut customer, &events);
            let Some(Event::ClaimUndone(left)) =
                events.iter().find(|event| matches!(event, Event::ClaimUndone(_)))
            else {
                panic!("{names}");
            };
            let reopen = Command::ReopenAccount { from: AccountId(2), undone: Arc::clone(left) };
            let events = decide(&Context::new(&program, &guest, now), &reopen).unwrap().events;
            fold(&mut guest, &events);

            undone += 1;
            assert!(guest.is_consistent() && customer.is_consistent(), "{names}");
            assert_eq!((guest.balance(now), customer.balance(now)), balances, "{names}");
            assert_eq!(guest.merged_into(), None, "{names}");
            for (after, before) in [(&guest, from.account()), (&customer, into.account())] {
                let terms = |account: &Account| -> Vec<_> {
                    let lots = account.usable_lots(now).chain(account.pending_lots().iter());
                    lots.map(|lot| Lot { id: LotId(0), ..lot.clone() }).collect()
                };
                assert_eq!(terms(after), terms(before), "{names}");
                assert_eq!(after.progress(), before.progress(), "{names}");
                assert_eq!(after.activity(), before.activity(), "{names}");
            }
        }
    }
    assert!(undone > 10, "{undone}");
}

#[test]
fn an_account_merged_into_itself_is_unchanged() {
    for (name, ledger) in accounts() {
        let one = (AccountId(1), ledger.account());
        assert_eq!(merge(one, one, at("10-01")), Ok((Vec::new(), Vec::new())), "{name}");
    }
}

#[test]
fn a_merged_order_is_clawed_back_from_the_destination_lot() {
    let guest = run_scenario(
        NINE_MONTHS,
        &[("01-01", record_paid_order("a", single_line_order("20")), Ok(20))],
    );
    let mut customer = run_scenario(NINE_MONTHS, &[("01-02", add(30), Ok(30))]);
    let now = at("02-01");
    let (_, come) =
        merge((AccountId(1), guest.account()), (AccountId(2), customer.account()), now).unwrap();
    customer.fold_all(&come);
    *customer.orders_mut() = guest.orders().clone(); // the order is the customer's now
    let result = customer.execute(&cancel("a"), now).unwrap();
    assert_eq!(result.points().get(), -20);
    let left: Vec<_> = customer.account().lots().iter().map(|lot| lot.points.get()).collect();
    assert_eq!(left, [30], "its own lot went first");
}

#[test]
fn merging_adopts_a_tier_where_there_is_none() {
    let tier = |name: &str, until: Option<&str>| ManualTier {
        id: TierId::new(name).unwrap(),
        until: until.map(at),
    };

    let with = |tier: Option<ManualTier>| {
        let mut account = Account::default();
        account.evolve(&Event::TierSet { tier, at: None });
        account
    };

    let (silver, gold) = (tier("silver", None), tier("gold", None));
    let over = tier("over", Some("02-01"));

    for (from, into, expected) in [
        (Some(&silver), None, Some(&silver)),
        (Some(&silver), Some(&gold), Some(&gold)),
        (None, Some(&gold), Some(&gold)),
        (Some(&over), None, None),
        (Some(&silver), Some(&over), Some(&silver)),
    ] {
        let (from, mut into) = (with(from.cloned()), with(into.cloned()));
        let (_, come) = merge((AccountId(1), &from), (AccountId(2), &into), at("03-01")).unwrap();
        fold(&mut into, &come);
        assert_eq!(into.manual_tier(at("03-01")), expected);
    }
}

#[test]
fn merging_beyond_the_range_of_points_is_rejected() {
    let half = run_scenario("{}", &[("01-01", add(Points::MAX.get()), Ok(Points::MAX.get()))])
        .account()
        .clone();
    let merged = merge((AccountId(1), &half), (AccountId(2), &half), at("01-02"));
    assert_eq!(merged, Err(Rejection::PointsOutOfRange));
}

#[test]
fn money_says_how_much_lines_bear() {
    let lines = |name: &str, unit: &str, money: &str| {
        let lines = vec![("1".parse().unwrap(), units(unit))];
        refund("a", name, RefundContent::Lines { lines, amount: Some(amount(money).into()) })
    };

    run_scenario(
        "{}",
        &[
            (
                "01-01",
                record_paid_order("a", order_with_lines(vec![line("1", "2", "20")])),
                Ok(20),
            ),
            ("01-02", lines("r1", "1", "20.01"), Err("refund_exceeds_order")),
            // The shop kept a fee, and so does the customer its points.
            ("01-02", lines("r2", "1", "7"), Ok(13)),
            ("01-03", lines("r3", "1", "7"), Ok(6)),
        ],
    );
}
