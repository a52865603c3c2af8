//! Expired points are not clawed back again. This includes points of the non-expiring lot, where
//! a program that ends balances by inactivity follows one without expiry, and merged accounts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use loyalty_core::proptest::{check_conservation, check_order_entitlements};
use loyalty_core::{Account, AccountId, Command, Event, Ledger, Points, merge};
use scenario::*;

const IDLE: &str = r#"{"expiry": {"inactivity": {"after": "P1M"}}}"#;

/// Points do not expire until February. From then on a balance ends after a month of inactivity.
fn run_with_program_change(before: &str, steps: &[Step<'_>], after: &[Step<'_>]) -> Ledger {
    let mut ledger = run_scenario(before, steps);
    ledger.publish(parse_program(IDLE), at("02-01"));
    continue_scenario(ledger, after)
}

fn report_again(order: &str, cost: &str, time: &str) -> Command {
    with_time(time, record_paid_order(order, single_line_order(cost)))
}

#[test]
fn an_expired_order_is_not_clawed_back_again() {
    let hundred = [("01-01", record_paid_order("a", single_line_order("100")), Ok(100))];
    let ledger = run_with_program_change(
        "{}",
        &hundred,
        &[
            ("02-20", catch_up(), Ok(0)),
            ("03-01", cancel("a"), Ok(0)),
            ("03-02", report_again("a", "100", "03-02"), Ok(0)),
            // The order earns more than before, and a second cancellation claws back no more than that.
            ("03-03", report_again("a", "120", "03-03"), Ok(20)),
            ("03-04", cancel("a"), Ok(0)),
        ],
    );
    assert_eq!(ledger.orders()[&id("a")].posted().expired, Points::from(100));

    // Points spent before the others expired are owed, and are returned with the order.
    run_with_program_change(
        "{}",
        &[hundred[0].clone(), ("01-02", spend(40), Ok(60))],
        &[
            ("03-01", refund_amount("a", "r", "30"), Ok(0)),
            ("03-02", cancel("a"), Ok(-40)),
            ("03-03", report_again("a", "100", "03-03"), Ok(-30)),
        ],
    );

    // Points that paid debt were in no lot, and did not expire.
    run_with_program_change(
        "{}",
        &[
            ("01-01", record_paid_order("x", single_line_order("40")), Ok(40)),
            ("01-02", spend(40), Ok(0)),
            ("01-03", cancel("x"), Ok(-40)),
            ("01-04", record_paid_order("a", single_line_order("100")), Ok(60)),
            ("01-05", add(50), Ok(110)),
        ],
        &[("03-01", cancel("a"), Ok(-40))],
    );

    // If debt is forgiven, nothing remains to forgive.
    let stop = r#"{"debt": "stop_at_zero"}"#;
    let ledger = run_with_program_change(stop, &hundred, &[("03-01", cancel("a"), Ok(0))]);
    assert_eq!(ledger.orders()[&id("a")].posted().forgiven, Points::ZERO);
}

#[test]
fn an_inactivity_expiration_is_consumed_once() {
    let two = [
        ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
        ("01-02", record_paid_order("b", single_line_order("100")), Ok(200)),
    ];
    let [first, second] = two;
    run_with_program_change(
        "{}",
        &[first, second, ("01-03", spend(100), Ok(100))],
        &[("03-01", cancel("a"), Ok(0)), ("03-02", cancel("b"), Ok(-100))],
    );
}

#[test]
fn only_the_first_end_after_the_award_counts() {
    let ledger = run_with_program_change(
        "{}",
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
            ("01-02", spend(100), Ok(0)),
        ],
        &[
            ("02-02", add(70), Ok(70)),
            // The shop added these 70 points, which replace those of the order in the lot.
            ("03-10", catch_up(), Ok(0)),
            ("03-11", add(30), Ok(30)),
        ],
    );
    let mut ledger =
        continue_scenario(ledger, &[("05-01", catch_up(), Ok(0)), ("05-02", cancel("a"), Ok(-30))]);
    // Points do not expire again: a new lot, of which nothing has expired yet.
    ledger.publish(parse_program("{}"), at("05-10"));
    continue_scenario(
        ledger,
        &[
            ("05-11", record_paid_order("b", single_line_order("50")), Ok(20)),
            ("05-12", cancel("b"), Ok(-30)),
        ],
    );
}

#[test]
fn pending_points_count_from_their_release() {
    run_with_program_change(
        r#"{"hold": "P14D"}"#,
        &[("01-25", record_paid_order("a", single_line_order("100")), Ok(0))],
        &[
            ("02-07", catch_up(), Ok(0)),
            ("02-08", catch_up(), Ok(100)),
            ("03-08", catch_up(), Ok(0)),
        ]
        .into_iter()
        .chain([("03-09", cancel("a"), Ok(0))])
        .collect::<Vec<_>>(),
    );
}

#[test]
fn consuming_an_expiration_is_no_activity() {
    let steps = [("01-01", record_paid_order("a", single_line_order("100")), Ok(100))];
    run_with_program_change(
        "{}",
        &steps,
        &[
            ("03-01", catch_up(), Ok(0)),
            ("03-02", add(10), Ok(10)),
            ("03-20", cancel("a"), Ok(10)),
            ("04-01", catch_up(), Ok(10)),
            ("04-02", catch_up(), Ok(0)),
        ],
    );
}

const FRIENDS: &str = r#"{"referrals": {"sent": 50}"#;

fn reward_referral() -> Command {
    Command::RewardReferral { referee: AccountId(2), order: id("f"), gate_at: at("01-02") }
}

fn undo_referral() -> Command {
    Command::UndoReferral { referee: AccountId(2), order: id("f") }
}

#[test]
fn an_award_and_an_order_share_an_expiration() {
    let before = format!("{FRIENDS}}}");
    let steps = [
        ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
        ("01-02", reward_referral(), Ok(150)),
        ("01-03", spend(100), Ok(50)),
    ];
    let ways = [
        [(undo_referral(), 0), (cancel("a"), -100)],
        [(cancel("a"), -50), (undo_referral(), -100)],
    ];

    for [(first, then), (second, end)] in ways {
        run_with_program_change(
            &before,
            &steps,
            &[("03-01", first, Ok(then)), ("03-02", second, Ok(end))],
        );
    }
}

/// Merges an account into another one, and returns the latter.
fn merge_into(from: &Ledger, mut into: Ledger, now: &str) -> Ledger {
    let (_, come) =
        merge((AccountId(1), from.account()), (AccountId(2), into.account()), at(now)).unwrap();
    into.fold_all(&come);
    into.orders_mut().extend(from.orders().clone());
    into
}

#[test]
fn an_award_expired_after_a_merge_is_not_clawed_back_again() {
    let lots = r#""expiry": {"per_lot": {"after": "P1M"}}"#;

    for (program, hold) in
        [(lots, false), (lots, true), (r#""expiry": {"inactivity": {"after": "P1M"}}"#, false)]
    {
        let hold = if hold { r#", "hold": "P7D""# } else { "" };
        let program = format!(r#"{{"referrals": {{"sent": 50{hold}}}, {program}}}"#);
        let guest = Ledger::new(parse_program(&program));
        let guest = continue_scenario(
            guest,
            &[("01-02", reward_referral(), Ok(if hold.is_empty() { 50 } else { 0 }))],
        );
        let customer = run_scenario(&program, &[("01-01", add(7), Ok(7))]);
        let both = merge_into(&guest, customer, "01-03");
        let both =
            continue_unchecked(both, &[("03-01", catch_up(), 0), ("03-02", undo_referral(), 0)]);
        assert_eq!(both.account().totals().expired, Points::from(57), "{program}");
        // Remaining points are clawed back from the lot that they were merged into.
        let guest = continue_scenario(
            Ledger::new(parse_program(&program)),
            &[("01-02", reward_referral(), Ok(if hold.is_empty() { 50 } else { 0 }))],
        );
        let customer = run_scenario(&program, &[("01-01", add(7), Ok(7))]);
        continue_unchecked(merge_into(&guest, customer, "01-03"), &[("01-20", undo_referral(), 7)]);
    }
}

#[test]
fn an_order_expired_around_a_merge_is_not_clawed_back_again() {
    let guest = |steps: &[Step<'_>]| {
        run_with_program_change(
            "{}",
            &[("01-01", record_paid_order("a", single_line_order("100")), Ok(100))],
            steps,
        )
    };
    let customer = || run_with_program_change("{}", &[("01-20", add(5), Ok(5))], &[]);
    let before = merge_into(&guest(&[("02-02", catch_up(), Ok(0))]), customer(), "02-03");
    let after = merge_into(&guest(&[]), customer(), "01-25");

    for both in [before, after] {
        let both = continue_unchecked(both, &[("04-01", catch_up(), 0), ("04-02", cancel("a"), 0)]);
        assert_eq!(both.account().totals().clawed_back, Points::ZERO);
    }
}

/// Continues like [`continue_scenario`], for a journal that begins with a merge.
fn continue_unchecked(mut ledger: Ledger, steps: &[(&str, Command, i64)]) -> Ledger {
    for (now, command, expected) in steps {
        ledger.execute(command, at(now)).unwrap();
        assert_eq!(
            ledger.balance(at(now)).get(),
            *expected,
            "{now} {command:?}: {:?}",
            ledger.account()
        );
        assert!(ledger.account().is_consistent());
        check_order_entitlements(&ledger).unwrap();
    }

    ledger
}

#[test]
fn a_state_is_read_as_it_was_written() {
    let ledger = run_with_program_change(
        "{}",
        &[("01-01", record_paid_order("a", single_line_order("100")), Ok(100))],
        &[("03-01", refund_amount("a", "r", "30"), Ok(0))],
    );
    let text = serde_json::to_string(ledger.account()).unwrap();
    assert!(text.contains(r#""ran_out":{"ended":{"2026-02-01T00:00:00Z":70}}"#), "{text}");
    assert_eq!(serde_json::from_str::<Account>(&text).unwrap(), *ledger.account());
    let found = ledger
        .events()
        .iter()
        .find(|event| matches!(event, Event::PointsTakenBack { .. }))
        .unwrap();
    let text = serde_json::to_string(found).unwrap();
    assert!(text.contains(r#""ran_out":[["2026-02-01T00:00:00Z",30]]"#), "{text}");
    assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), *found);
    check_conservation(&ledger).unwrap();
}

/// Only a damaged record has two non-expiring lots. How they are read does not depend on their
/// order.
#[test]
fn two_non_expiring_lots_merge_the_same_in_any_order() {
    let first = r#"{"id": 1, "points": 185, "earned_at": "2026-09-27T23:51:00Z"}"#;
    let second = r#"{"id": 2, "points": 25, "earned_at": "2025-09-28T00:02:00Z"}"#;
    let read = |lots: &[&str]| -> Account {
        let text = format!(
            r#"{{"lots": [{}], "lots_opened": 2, "totals": {{"awarded": 210}}}}"#,
            lots.join(",")
        );
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(read(&[first, second]), read(&[second, first]));
    assert!(!read(&[first, second]).is_consistent(), "there is only one such lot");
}
