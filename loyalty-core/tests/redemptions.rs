//! Redemptions: their payment, the return of points to the day, and never both the points and
//! the code.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use loyalty_core::discount::{DiscountClass, DiscountValue};
use loyalty_core::program::{Benefit, RewardPricing};
use loyalty_core::proptest::{
    check_conservation, check_points_or_code, expiring_programs, programs,
};
use loyalty_core::redemption::{RedemptionReturn, RedemptionState};
use loyalty_core::{
    Account, Command, Context, CustomerId, Email, Event, Ledger, Lot, Points, Program,
    RedemptionId, RewardId, Timestamp, Zone, reward_offers,
};
use proptest::prelude::*;
use scenario::*;

const FIVE: &str =
    r#""rewards": [{"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}}]"#;

fn program_with(more: &str) -> String {
    format!("{{{FIVE}, {more}}}")
}

fn redeem(number: i64, reward: &str) -> Command {
    redeem_amount(number, reward, None)
}

fn redeem_amount(number: i64, reward: &str, amount: Option<&str>) -> Command {
    Command::RedeemReward {
        redemption: RedemptionId(number),
        reward: RewardId::new(reward).unwrap(),
        amount: amount.map(self::amount),
        subtotal: None,
        entropy: number.to_be_bytes().repeat(2).try_into().unwrap(),
    }
}

fn cancel_redemption(number: i64) -> Command {
    Command::CancelRedemption { redemption: RedemptionId(number) }
}

fn claim(number: i64, order: &str) -> Command {
    Command::ClaimRedemption { redemption: RedemptionId(number), order: id(order) }
}

fn release(number: i64, order: &str) -> Command {
    Command::ReleaseRedemption { redemption: RedemptionId(number), order: id(order) }
}

fn use_redemption(number: i64) -> Command {
    Command::UseRedemption { redemption: RedemptionId(number), order: None }
}

fn state(ledger: &Ledger, number: i64) -> &'static str {
    ledger.redemptions()[&RedemptionId(number)].state().name()
}

/// The points of each lot and their end, as a date.
fn lots(account: &Account, now: &str) -> Vec<(i64, String)> {
    let end = |lot: &Lot| {
        lot.expires_at
            .map_or("never".to_owned(), |end| end.format("%Y-%m-%d").to_string())
    };
    account
        .usable_lots(at(now))
        .map(|lot| (lot.points.get(), end(lot)))
        .collect()
}

fn expected_lots(wanted: &[(i64, &str)]) -> Vec<(i64, String)> {
    wanted
        .iter()
        .map(|(points, end)| (*points, (*end).to_owned()))
        .collect()
}

#[test]
fn points_are_deducted_and_returned() {
    let program = program_with(r#""debt": "allow""#);
    let ledger = run_scenario(
        &program,
        &[
            ("01-01", redeem(1, "five"), Err("insufficient_points")),
            ("01-01", add(250), Ok(250)),
            ("01-02", redeem(1, "none"), Err("unknown_reward")),
            ("01-02", redeem_amount(1, "five", Some("5")), Err("invalid_amount")),
            ("01-02", redeem(1, "five"), Ok(150)),
            ("01-02", redeem(1, "five"), Err("redemption_not_open")),
            ("01-03", redeem(2, "five"), Ok(50)),
            ("01-03", redeem(3, "five"), Err("insufficient_points")),
            ("01-04", cancel_redemption(9), Err("unknown_redemption")),
            ("01-04", cancel_redemption(1), Ok(150)),
            ("01-05", cancel_redemption(1), Ok(150)),
            ("01-05", use_redemption(1), Err("redemption_not_open")),
            ("01-06", use_redemption(2), Ok(150)),
            ("01-06", use_redemption(2), Ok(150)),
            ("01-07", cancel_redemption(2), Err("redemption_not_open")),
        ],
    );
    assert_eq!((state(&ledger, 1), state(&ledger, 2)), ("cancelled", "used"));
    let code = |number| {
        ledger.redemptions()[&RedemptionId(number)]
            .issue()
            .code
            .clone()
            .unwrap()
    };

    assert_ne!(code(1), code(2));
    let issue = ledger.redemptions()[&RedemptionId(2)].issue();
    assert_eq!(issue.to_string(), "100 points for 5 off: 5 off.");
}

/// A cancelled redemption restores lots, totals and orders if nothing expired in between.
#[test]
fn returned_points_restore_their_lots() {
    let program = r#"{"rewards": [{"id": "five", "name": "5 off", "cost": 120, "gives": {"fixed_amount": "5"}}],
        "expiry": {"per_lot": {"after": "P9M"}}}"#;
    let before = run_scenario(
        program,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
            ("02-01", add(50), Ok(150)),
        ],
    );
    let after = continue_scenario(
        before.clone(),
        &[("03-01", redeem(1, "five"), Ok(30)), ("03-02", cancel_redemption(1), Ok(150))],
    );
    assert!(after.account().lots().iter().eq(before.account().lots().iter()));

    // A refund can claw back from the order's own lot again.
    let after = continue_scenario(after, &[("03-03", cancel("a"), Ok(50))]);
    assert_eq!(lots(after.account(), "03-03"), expected_lots(&[(50, "2026-11-01")]));
}

/// Points of three lots, which end on 1 and 11 February and 1 April, pay one reward. The returned
/// lots depend on the day of the cancellation.
#[test]
fn lots_expire_while_a_redemption_is_open() {
    let program = r#"{"rewards": [{"id": "all", "name": "All", "cost": 60, "gives": "custom"}],
        "expiry": {"per_lot": {"after": "P1M"}}}"#;
    for (cancelled, expected) in [
        ("01-31", &[(10, "2026-02-01"), (20, "2026-02-11"), (30, "2026-02-28")][..]),
        // An ended lot gets thirty days of grace, and is spent after those that have not ended.
        ("02-01", &[(20, "2026-02-11"), (30, "2026-02-28"), (10, "2026-03-03")]),
        ("02-10", &[(20, "2026-02-11"), (30, "2026-02-28"), (10, "2026-03-12")]),
        ("02-11", &[(30, "2026-02-28"), (10, "2026-03-13"), (20, "2026-03-13")]),
        ("03-31", &[(10, "2026-04-30"), (20, "2026-04-30"), (30, "2026-04-30")]),
    ] {
        let ledger = run_scenario(
            program,
            &[
                ("01-01", add(10), Ok(10)),
                ("01-11", add(20), Ok(30)),
                ("01-28", add(30), Ok(60)),
                ("01-29", redeem(1, "all"), Ok(0)),
                (cancelled, cancel_redemption(1), Ok(60)),
            ],
        );
        assert_eq!(
            lots(ledger.account(), cancelled),
            expected_lots(expected),
            "cancelled on {cancelled}"
        );
    }

    // The program changes its grace; a redemption keeps the one at its issuance.
    let program = program.replace("\"expiry\"", r#""redemption": {"grace": "P1W"}, "expiry""#);
    let mut ledger = run_scenario(
        &program,
        &[
            ("01-01", add(60), Ok(60)),
            ("01-02", redeem(1, "all"), Ok(0)),
            ("02-15", catch_up(), Ok(0)),
        ],
    );
    ledger.publish(parse_program("{}"), Timestamp::UNIX_EPOCH);
    let ledger = continue_scenario(
        ledger,
        &[
            ("02-16", cancel_redemption(1), Ok(60)),
            ("02-22", catch_up(), Ok(60)),
            ("02-23", catch_up(), Ok(0)),
        ],
    );
    assert_eq!(ledger.account().totals().expired, Points::from(60));
}

#[test]
fn grace_days_use_the_shop_time_zone() {
    let program = r#"{"rewards": [{"id": "all", "name": "All", "cost": 60, "gives": "custom"}],
        "expiry": {"per_lot": {"after": "P1M"}}}"#;
    let mut ledger = Ledger::new(parse_program(program));
    ledger = ledger.with_zone("America/New_York".parse::<Zone>().unwrap());
    let ledger = continue_scenario(
        ledger,
        &[
            ("2026-01-15T05:00:00Z", add(60), Ok(60)),
            ("2026-01-20T05:00:00Z", redeem(1, "all"), Ok(0)),
            ("2026-02-20T17:00:00Z", cancel_redemption(1), Ok(60)),
            // Noon remains noon, although the clocks change on 8 March.
            ("2026-03-22T15:59:59Z", catch_up(), Ok(60)),
            ("2026-03-22T16:00:00Z", catch_up(), Ok(0)),
        ],
    );
    assert!(ledger.account().lots().is_empty());
}

#[test]
fn inactivity_ends_redeemed_points_too() {
    let program = program_with(r#""expiry": {"inactivity": {"after": "P2M"}}"#);

    // Some points remained and ended; they are returned for the grace.
    let ledger = run_scenario(
        &program,
        &[
            ("01-01", add(150), Ok(150)),
            ("01-02", redeem(1, "five"), Ok(50)),
            ("03-01", catch_up(), Ok(50)),
            ("03-02", catch_up(), Ok(0)),
            ("03-10", cancel_redemption(1), Ok(100)),
            ("2026-04-08T23:59:59Z", catch_up(), Ok(100)),
            ("04-09", catch_up(), Ok(0)),
        ],
    );
    assert_eq!(ledger.account().inactivity_expired_at(), Some(at("03-02")));

    // The same applies if no points remained.
    run_scenario(
        &program,
        &[
            ("01-01", add(100), Ok(100)),
            ("01-02", redeem(1, "five"), Ok(0)),
            ("03-10", cancel_redemption(1), Ok(100)),
            ("04-09", catch_up(), Ok(0)),
        ],
    );

    // In time, they are restored: the cancellation is a change of the balance.
    run_scenario(
        &program,
        &[
            ("01-01", add(150), Ok(150)),
            ("01-02", redeem(1, "five"), Ok(50)),
            ("02-01", cancel_redemption(1), Ok(150)),
            ("03-31", catch_up(), Ok(150)),
            ("04-01", catch_up(), Ok(0)),
        ],
    );

    // A balance that ended before the redemption does not affect it.
    run_scenario(
        &program,
        &[
            ("01-01", add(1), Ok(1)),
            ("03-02", add(150), Ok(150)),
            ("03-03", redeem(1, "five"), Ok(50)),
            ("04-01", cancel_redemption(1), Ok(150)),
            ("05-31", catch_up(), Ok(150)),
            ("06-01", catch_up(), Ok(0)),
        ],
    );
}

#[test]
fn unused_redemptions_expire() {
    let program = |back: bool| {
        format!(
            r#"{{"rewards": [{{"id": "five", "name": "5 off", "cost": 100, "gives": {{"fixed_amount": "5"}},
                "valid_for": "P1M", "points_back_when_expired": {back}}}]}}"#
        )
    };

    for (back, left) in [(false, 50), (true, 150)] {
        let ledger = run_scenario(
            &program(back),
            &[
                ("01-01", add(150), Ok(150)),
                ("01-15", redeem(1, "five"), Ok(50)),
                ("2026-02-14T23:59:59Z", catch_up(), Ok(50)),
                ("02-15", catch_up(), Ok(left)),
                ("02-16", cancel_redemption(1), Err("redemption_not_open")),
                ("02-16", use_redemption(1), Err("redemption_not_open")),
            ],
        );
        assert_eq!(state(&ledger, 1), "expired");
        // It need not be recorded: reads and rejections see it at its instant.
        let ledger = run_scenario(
            &program(back),
            &[
                ("01-01", add(150), Ok(150)),
                ("01-15", redeem(1, "five"), Ok(50)),
                ("02-15", cancel_redemption(1), Err("redemption_not_open")),
            ],
        );
        assert_eq!(ledger.balance(at("02-15")), Points::new(left).unwrap());
        let redemption = &ledger.redemptions()[&RedemptionId(1)];
        assert_eq!(redemption.state_at(at("02-15")).name(), "expired");
        assert_eq!(redemption.state_at("2026-02-14T23:59:59Z".parse().unwrap()).name(), "issued");
    }

    // Points that ended before the redemption did are expired, whenever its end is recorded.
    let program = program(true).replace("[{\"id\"", "[{\"code_prefix\": \"A\", \"id\"");
    let program = program.replacen('{', r#"{"expiry": {"per_lot": {"after": "P1M"}},"#, 1);
    let ledger = run_scenario(
        &program,
        &[
            ("01-01", add(100), Ok(100)),
            ("01-15", redeem(1, "five"), Ok(0)),
            ("03-01", catch_up(), Ok(100)),
            ("03-17", catch_up(), Ok(0)),
        ],
    );
    assert_eq!(lots(ledger.account(), "03-01"), expected_lots(&[]));
}

#[test]
fn a_cancelled_order_gives_the_code_or_the_points() {
    let steps = |after: i64| {
        vec![
            ("01-01", add(150), Ok(150)),
            ("01-02", redeem(1, "five"), Ok(50)),
            ("01-03", claim(1, "a"), Ok(50)),
            ("01-03", claim(1, "a"), Ok(50)),
            ("01-04", claim(1, "b"), Ok(50)),
            ("01-04", cancel_redemption(1), Err("redemption_not_open")),
            ("01-05", release(1, "b"), Ok(50)),
            ("01-05", release(1, "a"), Ok(after)),
            ("01-06", release(1, "a"), Ok(after)),
        ]
    };

    let ledger =
        run_scenario(&program_with(r#""redemption": {"order_cancelled": "code"}"#), &steps(50));
    assert_eq!(state(&ledger, 1), "issued");
    let ledger = continue_scenario(
        ledger,
        &[("01-07", claim(1, "b"), Ok(50)), ("01-08", release(1, "b"), Ok(50))],
    );
    let ledger = continue_scenario(
        ledger,
        &[("01-09", cancel_redemption(1), Ok(150)), ("01-10", claim(1, "c"), Ok(50))],
    );
    assert_eq!(state(&ledger, 1), "used");
    let ledger =
        run_scenario(&program_with(r#""redemption": {"order_cancelled": "points"}"#), &steps(150));
    assert_eq!(state(&ledger, 1), "cancelled");

    // The order is reopened with its discount: the points are deducted again, to the last one.
    let ledger = continue_scenario(
        ledger,
        &[("01-07", claim(1, "a"), Ok(50)), ("01-08", release(1, "a"), Ok(150))],
    );
    let ledger = continue_scenario(
        ledger,
        &[("01-09", spend(100), Ok(50)), ("01-10", claim(1, "a"), Ok(-50))],
    );
    let ledger = continue_scenario(
        ledger,
        &[("01-11", add(20), Ok(-30)), ("01-12", release(1, "a"), Ok(70))],
    );
    assert_eq!(state(&ledger, 1), "cancelled");
}

/// Debt is paid first, with the points that end first.
#[test]
fn returned_points_pay_debt_first() {
    let program = r#"{"rewards": [{"id": "all", "name": "All", "cost": 100, "gives": "custom"}],
        "expiry": {"per_lot": {"after": "P9M"}}}"#;
    let ledger = run_scenario(
        program,
        &[
            ("01-01", record_paid_order("a", single_line_order("60")), Ok(60)),
            ("01-02", record_paid_order("b", single_line_order("40")), Ok(100)),
            ("01-03", redeem(1, "all"), Ok(0)),
            ("01-04", cancel("b"), Ok(-40)),
            ("01-05", cancel_redemption(1), Ok(60)),
        ],
    );
    assert_eq!(
        lots(ledger.account(), "01-05"),
        expected_lots(&[(20, "2026-10-01"), (40, "2026-10-02")])
    );
    let returned = |event: &Event| {
        if let Event::RedemptionCancelled { returned, .. } = event {
            Some(RedemptionReturn::clone(returned))
        } else {
            None
        }
    };

    assert_eq!(
        ledger.events().iter().find_map(returned).unwrap().to_string(),
        "100 points came back: 40 paid off debt, 20 to be used before 2026-10-01 00:00:00 UTC, \
         40 to be used before 2026-10-02 00:00:00 UTC."
    );
}

/// A code that ended while an order had claimed it gets the grace.
#[test]
fn a_released_code_gets_the_grace_period() {
    let program = r#"{"rewards": [{"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"},
        "valid_for": "P1M", "points_back_when_expired": true}]}"#;
    let used = [
        ("01-01", add(100), Ok(100)),
        ("01-02", redeem(1, "five"), Ok(0)),
        ("01-03", claim(1, "a"), Ok(0)),
    ];

    for (released, ends, left) in
        [("01-10", "02-02", 100), ("02-01", "02-02", 100), ("02-02", "03-04", 100)]
    {
        let ledger =
            continue_scenario(run_scenario(program, &used), &[(released, release(1, "a"), Ok(0))]);
        assert_eq!(
            ledger.redemptions()[&RedemptionId(1)].ends_at(),
            Some(at(ends)),
            "released on {released}"
        );
        continue_scenario(ledger, &[(ends, catch_up(), Ok(left))]);
    }

    // An order that is reported late has used the code all the same.
    let late = [
        ("01-01", add(100), Ok(100)),
        ("01-02", redeem(1, "five"), Ok(0)),
        ("02-02", catch_up(), Ok(100)),
        ("02-03", claim(1, "a"), Ok(0)),
    ];
    assert_eq!(state(&run_scenario(program, &late), 1), "used");
    run_scenario(
        &program.replace("true", "false"),
        &[late[0].clone(), late[1].clone(), ("02-03", claim(1, "a"), Ok(0))],
    );
}

/// A guest is merged into a customer: open redemptions are kept, expire and return points.
#[test]
fn redemptions_outlive_a_merge() {
    let program = r#"{"rewards": [{"id": "all", "name": "All", "cost": 50, "gives": {"fixed_amount": "5"},
        "valid_for": "P1M", "points_back_when_expired": true, "limits": [{"times": 2, "per": "ever"}]}],
        "expiry": {"per_lot": {"after": "P9M"}}}"#;
    let guest =
        run_scenario(program, &[("01-01", add(60), Ok(60)), ("01-02", redeem(1, "all"), Ok(10))]);
    let mut ledger = run_scenario(
        program,
        &[("01-03", add(50), Ok(50)), ("01-03", redeem(2, "all"), Ok(0)), ("01-05", add(7), Ok(7))],
    );
    let (from, into) = (loyalty_core::AccountId(2), loyalty_core::AccountId(1));
    let (mut gone, mut whole) = (guest.account().clone(), ledger.account().clone());
    let (from_events, into_events) =
        loyalty_core::merge((from, &gone), (into, &whole), at("01-06")).unwrap();
    for event in &from_events {
        gone.evolve(event);
    }

    for event in &into_events {
        whole.evolve(event);
    }

    assert!(gone.is_consistent() && gone.redemptions().is_empty() && whole.is_consistent());
    assert_eq!(whole.redemptions().iter().count(), 2);
    *ledger.account_mut() = whole;
    ledger.redemptions_mut().extend(guest.redemptions().clone());

    // The limit counts both.
    assert_eq!(
        ledger.dry_run(&redeem(3, "all"), at("01-07")).unwrap_err().code(),
        "reward_limit_reached"
    );
    let cancelled = ledger.dry_run(&cancel_redemption(1), at("01-07")).unwrap();
    let mut account = ledger.account().clone();
    for event in &cancelled.events {
        account.evolve(event);
    }

    assert!(account.is_consistent(), "{account:?}");
    assert_eq!(
        lots(&account, "01-07"),
        expected_lots(&[(50, "2026-10-01"), (10, "2026-10-01"), (7, "2026-10-05")])
    );
    assert_eq!(ledger.balance(at("02-01")), Points::from(17));
    assert_eq!(ledger.balance(at("02-02")), Points::from(67));
    assert_eq!(ledger.balance(at("02-03")), Points::from(117));
}

#[test]
fn limits_count_active_and_used_redemptions() {
    let program = |limits: &str| {
        format!(
            r#"{{"rewards": [{{"id": "five", "name": "5 off", "cost": 10, "gives": {{"fixed_amount": "5"}}, {limits}}}]}}"#
        )
    };

    for (limits, code) in [
        (r#""limits": [{"times": 2, "per": "month"}]"#, "reward_limit_reached"),
        (r#""limits": [{"points": 25, "per": "month"}]"#, "reward_limit_reached"),
        (r#""limits_in_all": [{"times": 2, "per": "month"}]"#, "reward_sold_out"),
    ] {
        run_scenario(
            &program(limits),
            &[
                ("01-01", add(100), Ok(100)),
                ("01-02", redeem(1, "five"), Ok(90)),
                ("01-03", redeem(2, "five"), Ok(80)),
                ("01-04", redeem(3, "five"), Err(code)),
                // A cancelled redemption does not count.
                ("01-05", cancel_redemption(1), Ok(90)),
                ("01-06", redeem(3, "five"), Ok(80)),
                ("01-07", redeem(4, "five"), Err(code)),
                // A used one does.
                ("01-08", use_redemption(3), Ok(80)),
                ("01-31", redeem(4, "five"), Err(code)),
                ("02-01", redeem(4, "five"), Ok(70)),
                // Last month does not count in this one.
                ("02-02", cancel_redemption(2), Ok(80)),
                ("02-03", redeem(5, "five"), Ok(70)),
                ("02-04", redeem(6, "five"), Err(code)),
            ],
        );
    }
}

/// Points and limits are restored at the end without a job.
#[test]
fn expired_redemptions_free_their_limit_at_once() {
    for (limits, code) in [("limits", "reward_limit_reached"), ("limits_in_all", "reward_sold_out")]
    {
        run_scenario(
            &format!(
                r#"{{"rewards": [{{"id": "five", "name": "5 off", "cost": 10, "gives": {{"fixed_amount": "5"}},
                "valid_for": "P5D", "points_back_when_expired": true, "{limits}": [{{"times": 1, "per": "year"}}]}}]}}"#
            ),
            &[
                ("01-01", add(100), Ok(100)),
                ("01-02", redeem(1, "five"), Ok(90)),
                ("01-06", redeem(2, "five"), Err(code)),
                ("01-08", redeem(2, "five"), Ok(90)),
                ("01-09", redeem(3, "five"), Err(code)),
            ],
        );
    }
}

#[test]
fn offers_explain_why_a_reward_is_unavailable() {
    let program = parse_program(
        r#"{"tiers": [{"id": "gold", "name": "Gold"}], "rewards": [
            {"id": "dear", "name": "Dear", "cost": 500, "gives": "custom"},
            {"id": "gold", "name": "Gold", "cost": 500, "gives": "custom",
                "when": {"tiers": ["gold"], "until": "2026-01-01T00:00:00Z"}},
            {"id": "tagged", "name": "Tagged", "cost": 100, "gives": "custom", "when": {"customer_tags": ["vip"]}},
            {"id": "once", "name": "Once", "cost": 10, "gives": "custom", "limits": [{"times": 1, "per": "ever"}]},
            {"id": "off", "name": "Off", "gives": {"variable_amount": {"points_per_unit": 20, "step": "2.50"}}}]}"#,
    );
    let mut ledger = Ledger::new(program.clone());
    ledger.execute(&add(200), at("01-01")).unwrap();
    ledger.execute(&redeem(1, "once"), at("01-01")).unwrap();
    let context = Context::new(&program, ledger.account(), at("01-02"));
    let codes: Vec<(_, _, Vec<_>)> = reward_offers(&context, |_| None)
        .iter()
        .map(|offer| {
            let codes = offer.rejections.iter().map(loyalty_core::Rejection::code).collect();
            (offer.reward.to_string(), offer.missing_points.get(), codes)
        })
        .collect();
    let expected = [
        ("dear", 310, vec!["insufficient_points"]),
        (
            "gold",
            310,
            vec!["reward_not_open", "reward_not_for_customer", "insufficient_points"],
        ),
        ("tagged", 0, vec!["reward_not_for_customer"]),
        ("once", 0, vec!["reward_limit_reached"]),
        ("off", 0, vec![]),
    ];
    assert_eq!(codes, expected.map(|(id, missing, codes)| (id.to_owned(), missing, codes)));
    let off = reward_offers(&context, |_| None).pop().unwrap();
    assert_eq!((off.points.get(), off.largest_amount), (50, Some(amount("7.50"))));

    for (wanted, expected) in [
        (Some("7.50"), Ok(40)),
        (Some("10"), Err("insufficient_points")),
        (Some("2.51"), Err("invalid_amount")),
        (Some("0"), Err("invalid_amount")),
        (None, Err("invalid_amount")),
    ] {
        continue_scenario(ledger.clone(), &[("01-03", redeem_amount(2, "off", wanted), expected)]);
    }
}

fn faults(rewards: &str) -> Vec<(String, &'static str)> {
    let faults = Program::from_json(&format!(r#"{{"rewards": [{rewards}]}}"#)).unwrap_err();
    faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
}

/// Checks the faults of one reward, by their fields.
fn check_faults(reward: &str, expected: &[(&str, &'static str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(field, code)| (format!("/rewards/0/{field}"), *code))
        .collect();
    assert_eq!(faults(reward), expected, "{reward}");
}

#[test]
fn faults_of_limited_benefits_have_their_pointers() {
    let base = r#""id": "a", "name": "A""#;
    for (reward, expected) in [
        (
            format!(
                r#"{{{base}, "gives": {{"percentage": {{"rate": "0", "maximum": "0"}}}}, "cost": 1}}"#
            ),
            &[("gives/percentage", "out_of_range")][..],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"percentage": {{"rate": "5", "maximum": "0"}}}}, "cost": 1}}"#
            ),
            &[("gives/percentage/maximum", "out_of_range")],
        ),
        (
            format!(r#"{{{base}, "gives": {{"percentage": {{"maximum": "5"}}}}, "cost": 1}}"#),
            &[("gives/percentage/rate", "missing_field")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"variable_amount": {{"points_per_unit": 3, "point_value": "0.03"}}}}}}"#
            ),
            &[("gives/variable_amount/point_value", "contradiction")],
        ),
        (
            format!(r#"{{{base}, "gives": {{"variable_amount": {{"point_value": "0"}}}}}}"#),
            &[("gives/variable_amount/point_value", "out_of_range")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"variable_amount": {{"point_value": "0.03", "step": "0.05"}}}}}}"#
            ),
            &[("gives/variable_amount/step", "contradiction")],
        ),
        (
            format!(r#"{{{base}, "gives": "custom", "cost": 1, "maximum_share": "50"}}"#),
            &[("maximum_share", "contradiction")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"fixed_amount": "1"}}, "cost": 1, "maximum_share": "101"}}"#
            ),
            &[("maximum_share", "out_of_range")],
        ),
    ] {
        check_faults(&reward, expected);
    }
}

#[test]
fn every_fault_of_a_reward_has_its_pointer() {
    let base = r#""id": "a", "name": "A""#;

    for (reward, expected) in [
        (
            "{}".to_owned(),
            &[("id", "missing_field"), ("name", "missing_field"), ("gives", "missing_field")][..],
        ),
        (format!(r#"{{{base}, "gives": "custom"}}"#), &[("cost", "missing_field")]),
        (
            format!(r#"{{{base}, "gives": "shoes", "cost": 1}}"#),
            &[("gives", "invalid_value")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"percentage": "1", "fixed_amount": "1"}}, "cost": 1}}"#
            ),
            &[("gives", "invalid_value")],
        ),
        (
            format!(r#"{{{base}, "gives": {{"percentage": "100.5"}}, "cost": 0}}"#),
            &[("cost", "out_of_range"), ("gives/percentage", "out_of_range")],
        ),
        (
            format!(r#"{{{base}, "gives": {{"fixed_amount": "0"}}, "cost": 1}}"#),
            &[("gives/fixed_amount", "out_of_range")],
        ),
        (
            format!(r#"{{{base}, "gives": {{"free_product": {{}}}}, "cost": 1}}"#),
            &[("gives/free_product", "out_of_range")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"free_product": {{"products": ["p"], "categories": ["c"]}}}}, "cost": 1}}"#
            ),
            &[("gives/free_product/categories", "contradiction")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"variable_amount": {{"points_per_unit": 3, "step": "0.50"}}}}, "cost": 1}}"#
            ),
            &[("cost", "contradiction")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"variable_amount": {{"points_per_unit": 3, "step": "0.50"}}}}}}"#
            ),
            &[("gives/variable_amount/step", "contradiction")],
        ),
        (
            format!(
                r#"{{{base}, "gives": {{"variable_amount": {{"points_per_unit": 4, "step": "0.50", "minimum": "1.25", "maximum": "1"}}}}}}"#
            ),
            &[
                ("gives/variable_amount/minimum", "contradiction"),
                ("gives/variable_amount/maximum", "contradiction"),
            ],
        ),
        (
            format!(
                r#"{{{base}, "gives": "custom", "cost": 1, "minimum_subtotal": "1", "code_prefix": "X", "only": {{"products": ["p"]}}}}"#
            ),
            &[
                ("only", "contradiction"),
                ("minimum_subtotal", "contradiction"),
                ("code_prefix", "contradiction"),
            ],
        ),
        (
            format!(
                r#"{{{base}, "gives": "custom", "cost": 1, "limits": [{{"times": 1, "per": "day", "partial": true}}], "when": {{"tiers": ["x"]}}}}"#
            ),
            &[("when/tiers/0", "unknown_tier"), ("limits/0/partial", "contradiction")],
        ),
        (
            format!(r#"{{{base}, "gives": "free_shipping", "cost": 1, "valid_for": "soon"}}"#),
            &[("valid_for", "invalid_value")],
        ),
    ] {
        check_faults(&reward, expected);
    }

    let twice = format!(r#"{{{base}, "gives": "custom", "cost": 1}}"#);
    assert_eq!(
        faults(&format!("{twice}, {twice}")),
        [("/rewards/1/id".to_owned(), "duplicate_id")]
    );
}

#[test]
fn a_point_can_be_worth_less_than_a_unit() {
    let program = |more: &str| {
        parse_program(&format!(
            r#"{{"rewards": [{{"id": "off", "name": "Off", "gives": {{"variable_amount": {{"point_value": "0.03"{more}}}}}}}]}}"#
        ))
    };
    for (more, chosen, expected) in [
        ("", "0.03", Ok(1)),
        ("", "3", Ok(100)),
        ("", "1", Err("invalid_amount")),
        (r#", "step": "1.50", "maximum": "4.50""#, "4.50", Ok(150)),
        (r#", "step": "1.50", "maximum": "4.50""#, "6", Err("invalid_amount")),
        (r#", "step": "1.50""#, "0.03", Err("invalid_amount")),
    ] {
        let program = program(more);
        assert_eq!(Program::from_json(&program.to_json()).unwrap(), program);
        let reward = program.reward(&RewardId::new("off").unwrap()).unwrap();
        let cost = reward.quote(Some(amount(chosen)), 2).map(|(points, _)| points.get());
        assert_eq!(cost.map_err(|rejection| rejection.code()), expected, "{more} {chosen}");
    }

    let largest = |more: &str, points: u32| {
        let program = program(more);
        let reward = program.reward(&RewardId::new("off").unwrap()).unwrap();
        reward.largest_amount(points.into()).map(|amount| amount.to_string())
    };
    assert_eq!(largest("", 7).as_deref(), Some("0.21"));
    assert_eq!(largest(r#", "step": "1.50""#, 149).as_deref(), Some("3"));
    assert_eq!(program("").check_currency(2), []);
    assert_eq!(
        program("").check_currency(0)[0].pointer,
        "/rewards/0/gives/variable_amount/step"
    );
}

#[test]
fn points_pay_at_most_a_share_of_the_order() {
    let off =
        r#"{"id": "off", "name": "Off", "gives": {"variable_amount": {"points_per_unit": 10}}}"#;
    let five = r#"{"id": "five", "name": "5 off", "cost": 50, "gives": {"fixed_amount": "5"}, "maximum_share": "20"}"#;
    let tenth = r#"{"id": "tenth", "name": "A tenth", "cost": 50, "gives": {"percentage": {"rate": "60", "maximum": "8"}}}"#;
    let mug = r#"{"id": "mug", "name": "Mug", "cost": 50, "gives": "custom"}"#;
    let program = format!(
        r#"{{"redemption": {{"maximum_share": "50"}}, "rewards": [{off}, {five}, {tenth}, {mug}]}}"#
    );
    let redeem_for = |reward, chosen, subtotal: Option<&str>| {
        let mut command = redeem_amount(1, reward, chosen);
        if let Command::RedeemReward { subtotal: known, .. } = &mut command {
            *known = subtotal.map(amount);
        }
        command
    };
    let too_much = Err("maximum_share_exceeded");
    for (reward, chosen, subtotal, expected) in [
        // Without an order the code is issued: it takes off its share of any.
        ("off", Some("9"), None, Ok(910)),
        ("off", Some("5"), Some("10"), Ok(950)),
        ("off", Some("6"), Some("10"), too_much),
        ("off", Some("6"), Some("11.99"), too_much),
        ("off", Some("6"), Some("12"), Ok(940)),
        // A reward's own share counts before that of the program.
        ("five", None, Some("25"), Ok(950)),
        ("five", None, Some("24.99"), too_much),
        // A percentage above the share is fine where its maximum is not.
        ("tenth", None, Some("15"), too_much),
        ("tenth", None, Some("16"), Ok(950)),
        // What is not off the price of goods has no share of it.
        ("mug", None, Some("0.01"), Ok(950)),
    ] {
        let command = redeem_for(reward, chosen, subtotal);
        let ledger = run_scenario(
            &program,
            &[("01-01", add(1_000), Ok(1_000)), ("01-02", command, expected)],
        );
        let Ok(_) = expected else { continue };
        let share = ledger.redemptions()[&RedemptionId(1)].issue().maximum_share;
        let expected = match reward {
            "five" => Some("20"),
            "mug" => None,
            _ => Some("50"),
        };
        assert_eq!(share.map(|share| share.to_string()).as_deref(), expected, "{reward}");
    }

    let mut ledger = Ledger::new(parse_program(&program));
    ledger.execute(&add(1_000), at("01-01")).unwrap();
    let rejection = ledger
        .execute(&redeem_for("off", Some("9"), Some("11.99")), at("01-02"))
        .unwrap_err();
    assert_eq!(rejection.to_string(), "at most 50% of the goods, 5.99, can be paid with points");
    ledger
        .execute(&redeem_for("off", Some("9"), None), at("01-02"))
        .unwrap();
    assert_eq!(
        ledger.redemptions()[&RedemptionId(1)].issue().to_string(),
        "90 points for Off: 9 off, at most 50% of an order's goods."
    );
}

#[test]
fn reward_amounts_fit_the_currency() {
    let limited = parse_program(
        r#"{"rewards": [{"id": "a", "name": "A", "gives": {"percentage": {"rate": "5", "maximum": "1.50"}}, "cost": 1}]}"#,
    );
    assert_eq!(limited.check_currency(0)[0].pointer, "/rewards/0/gives/percentage/maximum");
    let yen = parse_program(
        r#"{"rewards": [{"id": "a", "name": "A", "gives": {"fixed_amount": "5.50"}, "cost": 1, "minimum_subtotal": "1.5"}]}"#,
    );
    let fine: Vec<_> = yen.check_currency(0).into_iter().map(|fault| fault.pointer).collect();
    assert_eq!(fine, ["/rewards/0/gives/fixed_amount", "/rewards/0/minimum_subtotal"]);
    assert_eq!(yen.check_currency(2), []);
    let fine = yen.to_json().replace("5.50", "5.505");
    run_scenario(
        &fine,
        &[("01-01", add(5), Ok(5)), ("01-01", redeem(1, "a"), Err("reward_too_fine"))],
    );
}

#[test]
fn codes_are_backed_by_price_rules() {
    let rule = |reward: &str| {
        let program = parse_program(&format!(
            r#"{{"rewards": [{{"id": "a", "name": "A", "cost": 1, "valid_for": "P1M", "code_prefix": "VIP", {reward}}}]}}"#
        ));
        let ledger = run_scenario(
            &program.to_json(),
            &[("01-01", add(1), Ok(1)), ("01-02", redeem(1, "a"), Ok(0))],
        );
        let issue = ledger.redemptions()[&RedemptionId(1)].issue();
        let (customer, email) =
            (CustomerId::new("1001").unwrap(), Email::new("ada@example.com").unwrap());
        let reward = program.reward(&issue.reward).unwrap();
        issue
            .price_rule(reward, (Some(&customer), Some(&email)), 2)
            .unwrap()
            .unwrap()
    };

    let all = DiscountValue::Percent(DiscountValue::FULL_PERCENT);

    for (reward, off, class) in [
        (
            r#""gives": {"fixed_amount": "5"}"#,
            DiscountValue::Fixed(amount("5")),
            DiscountClass::Order,
        ),
        (
            r#""gives": {"fixed_amount": "5"}, "only": {"products": ["p"]}"#,
            DiscountValue::Fixed(amount("5")),
            DiscountClass::Product,
        ),
        (
            r#""gives": {"percentage": "12.5"}, "excluded": {"categories": ["c"]}"#,
            DiscountValue::Percent(12_500_000),
            DiscountClass::Order,
        ),
        (
            r#""gives": {"free_product": {"products": ["p"], "quantity": 2}}"#,
            all,
            DiscountClass::Product,
        ),
        (
            r#""gives": {"free_shipping": {"maximum": "9.90"}}, "individual_use": true"#,
            all,
            DiscountClass::Shipping,
        ),
    ] {
        let rule = rule(reward);
        assert_eq!((rule.discount_value(), rule.class()), (off, class), "{reward}");
        let parts = rule.parts();
        assert!(parts.title.starts_with("VIP-"), "{}", parts.title);
        assert_eq!((parts.starts_at, parts.ends_at), (at("01-02"), Some(at("02-02"))));
        assert_eq!((parts.usage_limit, parts.prerequisite_emails.len()), (Some(1), 1));
    }

    let limited =
        rule(r#""gives": {"percentage": {"rate": "20", "maximum": "15"}}, "maximum_share": "30""#);
    assert_eq!(limited.parts().maximum_discount, Some(amount("15")));
    assert_eq!(limited.parts().maximum_share, Some("30".parse().unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A redemption that is cancelled immediately changes nothing, and every code has a price rule.
    #[test]
    fn cancelling_at_once_undoes_it(
        program in prop_oneof![programs(), expiring_programs()],
        points in proptest::collection::vec(1..300_u32, 1..5),
        wait in 0..48_i64,
    ) {
        let mut ledger = Ledger::new(program.clone());
        let mut now: Timestamp = at("01-01");
        for points in points {
            now += chrono::TimeDelta::hours(wait);
            let _refused = ledger.execute(&add(points.into()), now);
        }

        ledger.execute(&Command::CatchUp, now).unwrap();

        for (number, reward) in (1..).zip(&program.definition().rewards) {
            let before = ledger.account().clone();
            let amount = match &reward.offer {
                RewardPricing::Fixed { .. } => None,
                RewardPricing::Variable(variable) => Some(variable.minimum),
            };
            let amount = amount.map(|amount| amount.to_string());
            if ledger.execute(&redeem_amount(number, reward.id.as_str(), amount.as_deref()), now).is_err() {
                continue;
            }
            check_points_or_code(&ledger, now)?;
            let issue = ledger.redemptions()[&RedemptionId(number)].issue().clone();
            let rule = issue.price_rule(reward, (CustomerId::new("1").ok().as_ref(), None), 2);
            let rule = rule.map_err(|faults| TestCaseError::fail(format!("{faults:?}")))?;
            prop_assert_eq!(rule.is_some(), issue.benefit.has_code());
            prop_assert_eq!(rule.is_some(), issue.code.is_some());
            prop_assert_eq!(rule.is_none(), matches!(issue.benefit, Benefit::Custom | Benefit::StoreCredit(_)));
            ledger.execute(&cancel_redemption(number), now).unwrap();
            check_conservation(&ledger)?;
            check_points_or_code(&ledger, now)?;
            prop_assert_eq!(ledger.account().balance(now), before.balance(now));
            prop_assert!(ledger.account().lots().iter().eq(before.lots().iter()));
            let cancelled = matches!(
                ledger.redemptions()[&RedemptionId(number)].state(), RedemptionState::Cancelled { .. }
            );
            prop_assert!(cancelled);
        }
    }
}
