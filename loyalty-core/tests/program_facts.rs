//! Worked examples of full programs: holds, inactivity, tiers, actions, campaigns and referrals.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use std::sync::Arc;

use loyalty_core::proptest::check_conservation;
use loyalty_core::{
    Account, AccountId, Command, Context, Counts, Email, Event, Ledger, Line, ManualTier, Order,
    Points, Program, ProgramPeriod, ReferralParty, Rejection, Tag, TierReason, Timestamp, decide,
    next_due,
};
use scenario::*;

fn perform_action(action: &str) -> Command {
    Command::PerformAction { action: action.parse().unwrap(), points: None }
}

fn perform_action_for(action: &str, points: i64) -> Command {
    Command::PerformAction { action: action.parse().unwrap(), points: Points::new(points) }
}

fn enter_code(code: &str) -> Command {
    Command::EnterCode { code: code.into(), used_by_other: false }
}

fn of_category(category: &str, mut line: Line) -> Line {
    line.categories = vec![category.parse().unwrap()];
    line
}

fn set_tier(tier: &str, until: Option<&str>) -> Command {
    Command::SetTier(Some(ManualTier { id: tier.parse().unwrap(), until: until.map(at) }))
}

/// The tier and its scheduled end.
fn tier(ledger: &Ledger, now: &str) -> (String, Option<Timestamp>) {
    let status = ledger.tier_status(at(now));
    (
        status.tier.map_or_else(|| "-".to_owned(), |tier| tier.to_string()),
        status.until,
    )
}

fn assert_tier(ledger: &Ledger, now: &str, expected: &str) {
    assert_eq!(tier(ledger, now).0, expected, "at {now}: {:?}", ledger.account());
}

fn pending(ledger: &Ledger, now: &str) -> i64 {
    ledger.as_of(at(now)).pending(at(now)).get()
}

/// The explanations of all bonuses.
fn reasons(ledger: &Ledger) -> Vec<String> {
    let reason = |event: &Event| match event {
        Event::AwardGiven { points, award, .. } => Some(award.explain(*points)),
        _ => None,
    };
    ledger.events().iter().filter_map(reason).collect()
}

// Holds.

const TWO_WEEKS: &str = r#"{"hold": "P14D"}"#;

#[test]
fn pending_points_are_visible_but_not_spendable() {
    let ledger = run_scenario(
        TWO_WEEKS,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(0)),
            ("01-02", spend(1), Err("insufficient_points")),
            ("01-02", add(10), Ok(10)),
            ("01-14", catch_up(), Ok(10)),
            ("01-15", spend(105), Ok(5)),
        ],
    );
    assert_eq!((pending(&ledger, "01-16"), ledger.account().pending_lots().len()), (0, 0));
}

#[test]
fn pending_points_of_others_are_clawed_back_first() {
    let ledger = run_scenario(
        TWO_WEEKS,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(0)),
            ("01-15", spend(60), Ok(40)),
            ("01-16", record_paid_order("b", single_line_order("50")), Ok(40)),
            // 40 are its own; 50 pending ones are clawed back before anything is owed.
            ("01-17", cancel("a"), Ok(-10)),
        ],
    );
    assert_eq!(pending(&ledger, "01-17"), 0);

    // Its own lot is clawed back first, though others are pending.
    let ledger = run_scenario(
        TWO_WEEKS,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(0)),
            ("01-16", record_paid_order("b", single_line_order("50")), Ok(100)),
            ("01-17", refund_amount("a", "r", "30"), Ok(70)),
        ],
    );
    assert_eq!(pending(&ledger, "01-17"), 50);
}

#[test]
fn a_pending_award_pays_debt_when_it_is_released() {
    let steps = [
        ("01-01", record_paid_order("a", single_line_order("40")), Ok(0)),
        ("01-16", spend(40), Ok(0)),
        ("01-17", cancel("a"), Ok(-40)),
        ("01-18", record_paid_order("b", single_line_order("100")), Ok(-40)),
        ("01-31", catch_up(), Ok(-40)),
        ("02-01", catch_up(), Ok(60)),
    ];
    run_scenario(TWO_WEEKS, &steps);
}

#[test]
fn a_pending_award_is_clawed_back_before_its_release() {
    let ledger = run_scenario(
        TWO_WEEKS,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(0)),
            ("01-02", refund_amount("a", "r", "40"), Ok(0)),
            ("01-15", catch_up(), Ok(60)),
            ("01-20", cancel("a"), Ok(0)),
        ],
    );
    assert_eq!(ledger.account().totals().balance(), Points::ZERO);
}

#[test]
fn points_that_end_before_their_release_are_never_spent() {
    let program = r#"{"hold": "P30D", "expiry": {"per_lot": {"after": "P10D"}}}"#;
    let ledger = run_scenario(
        program,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(0)),
            ("02-10", catch_up(), Ok(0)),
        ],
    );
    assert_eq!(pending(&ledger, "01-10"), 0, "the account is of February");
    assert_eq!(ledger.orders()[&id("a")].posted().expired.get(), 100);
    continue_scenario(ledger, &[("02-11", cancel("a"), Ok(0))]);
}

// Inactivity.

const IDLE: &str = r#"{"expiry": {"inactivity": {"after": "P1M"}}}"#;
const IDLE_DEALING: &str =
    r#"{"expiry": {"inactivity": {"after": "P1M", "activity": "earning_and_redeeming"}}}"#;

#[test]
fn an_order_without_points_is_no_activity() {
    run_scenario(
        IDLE,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
            ("01-20", record_paid_order("b", single_line_order("0.50")), Ok(100)),
            ("01-31", catch_up(), Ok(100)),
            ("02-01", catch_up(), Ok(0)),
        ],
    );
}

#[test]
fn inactivity_expires_points_once() {
    run_scenario(
        IDLE,
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(100)),
            ("03-01", cancel("a"), Ok(0)),
            ("03-02", record_paid_order("b", single_line_order("30")), Ok(30)),
        ],
    );
}

#[test]
fn adjustments_are_activity_by_default_only() {
    let set = |points: u32| Command::SetBalance { to: Points::from(points), reason: None };

    for (program, left) in [(IDLE, 120), (IDLE_DEALING, 0)] {
        run_scenario(
            program,
            &[
                ("01-01", add(100), Ok(100)),
                ("01-20", set(120), Ok(120)),
                ("02-01", catch_up(), Ok(left)),
            ],
        );
    }

    // The first points of an empty account start its period of inactivity.
    run_scenario(
        IDLE_DEALING,
        &[("01-01", add(100), Ok(100)), ("03-01", set(50), Ok(50)), ("03-31", catch_up(), Ok(50))],
    );
}

// The program in force at an instant applies.

#[test]
fn events_due_before_a_publication_use_the_old_program() {
    let year = r#"{"expiry": {"inactivity": {"after": "P1Y"}}}"#;

    for (published, day, expected) in [
        ("02-15", "02-14", 0),   // over on 1 February, under the old program
        ("01-15", "02-14", 100), // the new one gives a year
    ] {
        let mut ledger = run_scenario(IDLE, &[("01-01", add(100), Ok(100))]);
        ledger.publish(parse_program(year), at(published));
        assert_eq!(ledger.balance(at(day)).get(), expected, "{published}");
        assert_eq!(ledger.balance(at("03-01")).get(), expected, "{published}");
    }

    // A shorter period is not retroactive: it ends the balance when it comes into force.
    let mut ledger = run_scenario(year, &[("01-01", add(100), Ok(100))]);
    ledger.publish(parse_program(IDLE), at("06-01"));
    let events = ledger.execute(&Command::CatchUp, at("07-01")).unwrap().events;
    assert!(
        matches!(events[..], [Event::PointsExpired { expired_at, .. }] if expired_at == at("06-01")),
        "{events:?}"
    );
}

#[test]
fn lots_expire_after_the_clock_is_set_back_before_a_publication() {
    let lots = parse_program(r#"{"expiry": {"per_lot": {"after": "P1M"}}}"#);
    let (since, now) = (at("06-01"), at("01-01"));
    let empty = Account::default();
    let mut account = Account::default();
    let first = Context::new(&lots, &empty, now);
    let period = ProgramPeriod { from: since, ..first.period };
    for event in decide(&first.with_periods(&[], period), &add(5)).unwrap().events {
        account.evolve(&event);
    }

    let later = Context::new(&lots, &account, at("02-01")).with_periods(&[], period);
    assert!(matches!(loyalty_core::due(&later)[..], [Event::PointsExpired { .. }]));
}

// Tiers.

fn tiers(tiering: &str) -> String {
    format!(
        r#"{{"tiers": [{{"id": "silver", "name": "Silver", "threshold": "100", "entry": {{"points": 10}}}},
                       {{"id": "gold", "name": "Gold", "threshold": "300", "multiplier": "2",
                         "entry": {{"points": 50, "taken_back": true}}}},
                       {{"id": "black", "name": "Black", "multiplier": "3"}}],
            "tiering": {{{tiering}}}}}"#
    )
}

#[test]
fn the_order_that_crosses_the_line_earns_at_the_old_tier() {
    let ledger = run_scenario(
        &tiers(""),
        &[
            ("01-01", record_paid_order("a", single_line_order("100")), Ok(110)),
            // 200 of the order, 50 for entering gold.
            ("01-02", record_paid_order("b", single_line_order("200")), Ok(360)),
            ("01-03", record_paid_order("c", single_line_order("10")), Ok(380)),
        ],
    );
    assert_tier(&ledger, "01-03", "gold");
    let sentences = ["10 points for entering tier silver.", "50 points for entering tier gold."];
    assert_eq!(reasons(&ledger), sentences);
    let change = ledger.account().tier_change().unwrap();
    assert_eq!((change.at, change.reason), (at("01-02"), TierReason::Qualified));
    assert_eq!(
        change.to_string(),
        "Moved from tier silver to gold: what was done is enough for it."
    );
}

#[test]
fn skipped_tiers_give_rewards_only_if_configured() {
    for (tiering, expected) in [("", 350), (r#""skipped_rewards": true"#, 360)] {
        run_scenario(
            &tiers(tiering),
            &[("01-01", record_paid_order("a", single_line_order("300")), Ok(expected))],
        );
    }
}

#[test]
fn a_refund_that_undoes_the_qualification_lowers_the_tier_immediately() {
    for tiering in ["", r#""grace": "P30D", "term": "P6M""#, r#""down": "never""#] {
        let ledger = run_scenario(
            &tiers(tiering),
            &[
                ("01-01", record_paid_order("a", single_line_order("100")), Ok(110)),
                ("01-02", record_paid_order("b", single_line_order("200")), Ok(360)),
                // 200 of the order, and the 50 of gold, which the program claws back; those of silver remain.
                ("01-03", refund_amount("b", "r", "200"), Ok(110)),
            ],
        );
        assert_tier(&ledger, "01-03", "silver");
        assert_eq!(ledger.account().tier_change().unwrap().reason, TierReason::Refunded);
        let ledger = continue_scenario(ledger, &[("01-04", cancel("a"), Ok(10))]);
        assert_tier(&ledger, "01-04", "-");
        // Once ever: silver is not paid a second time; gold is, since it was clawed back.
        continue_scenario(
            ledger,
            &[
                ("01-05", record_paid_order("c", single_line_order("150")), Ok(160)),
                ("01-06", record_paid_order("d", single_line_order("150")), Ok(360)),
            ],
        );
    }
}

#[test]
fn an_expired_entry_reward_is_not_clawed_back_again() {
    let program = tiers("").replacen('{', r#"{"expiry": {"per_lot": {"after": "P1M"}}, "#, 1);
    run_scenario(
        &program,
        &[
            ("01-01", record_paid_order("a", single_line_order("300")), Ok(350)),
            ("02-01", catch_up(), Ok(0)),
            ("03-01", cancel("a"), Ok(0)),
        ],
    );
}

#[test]
fn a_shop_clock_far_ahead_removes_no_activity() {
    let program = tiers(r#""window": {"rolling": "P12M"}"#);
    let ahead = with_time("2036-01-01T00:00:00Z", record_paid_order("b", single_line_order("10")));
    let ledger = run_scenario(
        &program,
        &[
            ("01-01", record_paid_order("a", single_line_order("80")), Ok(80)),
            ("01-02", ahead, Ok(90)),
            ("01-03", record_paid_order("c", single_line_order("20")), Ok(120)),
        ],
    );
    assert_tier(&ledger, "01-03", "silver");

    // Activity that no window includes any more is removed by the engine's time, not the shop's.
    let ledger = continue_scenario(
        ledger,
        &[("2030-01-01T00:00:00Z", record_paid_order("d", single_line_order("10")), Ok(130))],
    );
    let state =
        |account: &Account| serde_json::to_value(account.progress()).unwrap()["by_instant"].clone();
    let counts = Counts { spend: 100_000, points: 10, orders: 1 };
    let kept = ["2030-01-01T00:00:00Z", "2036-01-01T00:00:00Z"].map(|at| (at, counts));
    let kept: Account =
        serde_json::from_value(serde_json::json!({ "progress": { "by_instant": kept } })).unwrap();
    assert_eq!(state(ledger.account()), state(&kept));
}

#[test]
fn tiers_are_lowered_by_policy_after_term_and_grace() {
    let rolling = r#""window": {"rolling": "P2M"}"#;

    for (policy, tiers_at) in [
        (r#""down": "never""#, &[("03-01", "gold"), ("12-01", "gold")][..]),
        (r#""down": "to_qualified""#, &[("02-28", "gold"), ("03-01", "-")]),
        (r#""grace": "P10D""#, &[("03-10", "gold"), ("03-11", "-")]),
        (r#""term": "P4M""#, &[("04-30", "gold"), ("05-01", "-")]),
        (r#""term": "P1M""#, &[("02-28", "gold"), ("03-01", "-")]),
        (r#""term": "P4M", "grace": "P10D""#, &[("05-10", "gold"), ("05-11", "-")]),
        (
            r#""term": "P4M", "down": "one_step""#,
            &[("04-30", "gold"), ("05-01", "silver"), ("08-31", "silver"), ("09-01", "-")],
        ),
    ] {
        let ledger = run_scenario(
            &tiers(&format!("{rolling}, {policy}")),
            &[("01-01", record_paid_order("a", single_line_order("300")), Ok(350))],
        );
        for (now, expected) in tiers_at {
            assert_eq!(tier(&ledger, now).0, *expected, "{policy} at {now}");
        }
    }
}

#[test]
fn requalifying_in_time_keeps_the_tier() {
    let program = tiers(r#""window": {"rolling": "P2M"}, "grace": "P10D""#);
    let ledger = run_scenario(
        &program,
        &[("01-01", record_paid_order("a", single_line_order("300")), Ok(350))],
    );
    assert_eq!(tier(&ledger, "03-05"), ("gold".to_owned(), Some(at("03-11"))));
    let status = ledger.tier_status(at("03-05"));
    assert_eq!((status.counts.spend, status.missing_to_keep), (0, 3_000_000));
    let ledger = continue_scenario(
        ledger,
        &[("03-05", record_paid_order("b", single_line_order("300")), Ok(950))],
    );
    assert_eq!(
        tier(&ledger, "03-20"),
        ("gold".to_owned(), Some(at("05-05"))),
        "kept, with its double points"
    );
    let kinds =
        |event: &Event| matches!(event, Event::TierLapsed { .. } | Event::TierRetained { .. });
    assert_eq!(ledger.events().iter().filter(|event| kinds(event)).count(), 2);
}

#[test]
fn a_manual_tier_applies_until_its_end_or_a_higher_one() {
    let program = tiers("");
    let ledger = run_scenario(&program, &[("01-01", set_tier("silver", Some("02-01")), Ok(0))]);
    assert_tier(&ledger, "01-31", "silver");
    assert_tier(&ledger, "02-01", "-");
    let ledger = continue_scenario(
        ledger,
        &[("01-10", record_paid_order("a", single_line_order("300")), Ok(350))],
    );
    assert_tier(&ledger, "01-11", "gold");

    // A manual tier above the earned one remains.
    let ledger = run_scenario(
        &program,
        &[
            ("01-01", set_tier("black", None), Ok(0)),
            ("01-10", record_paid_order("a", single_line_order("300")), Ok(950)),
        ],
    );
    assert_tier(&ledger, "06-01", "black");
    let ledger = continue_scenario(ledger, &[("06-02", Command::SetTier(None), Ok(950))]);
    assert_tier(&ledger, "06-02", "gold");
}

#[test]
fn points_and_orders_count_too() {
    let points = tiers(r#""metric": "points_earned""#);

    // Neither entry rewards nor adjustments count.
    let set = Command::SetBalance { to: Points::from(500), reason: None };
    let ledger = run_scenario(
        &points,
        &[("01-01", add(100), Ok(110)), ("01-02", set, Ok(500)), ("01-03", add(199), Ok(699))],
    );
    assert_tier(&ledger, "01-03", "silver");
    let ledger = continue_scenario(ledger, &[("01-04", add(1), Ok(750))]);
    assert_tier(&ledger, "01-04", "gold");
    let orders = r#"{"tiers": [{"id": "two", "name": "Two", "threshold": 2}], "tiering": {"metric": "orders"}}"#;
    let ledger = run_scenario(
        orders,
        &[
            ("01-01", record_paid_order("a", single_line_order("1")), Ok(1)),
            ("01-02", record_paid_order("b", single_line_order("1")), Ok(2)),
        ],
    );
    assert_tier(&ledger, "01-02", "two");
    let ledger = continue_scenario(ledger, &[("01-03", refund_amount("a", "r", "1"), Ok(1))]);
    assert_tier(&ledger, "01-03", "-");
}

#[test]
fn refunds_that_keep_points_count_for_tiers() {
    let keep = |metric: &str| {
        format!(
            r#"{{"refunds": "keep", "tiers": [{{"id": "club", "name": "Club", "threshold": {}}}],
                "tiering": {{"metric": "{metric}"}},
                "actions": [{{"id": "two", "kind": {{"goal_orders": 2}}, "points": 7}}]}}"#,
            if metric == "orders" { 1 } else { 100 }
        )
    };

    let refunds = [
        ("01-02", refund_amount("a", "r1", "0.01"), Ok(100)),
        ("01-03", refund_lines("a", "r2", &[("1", "1")]), Err("refund_exceeds_order")),
        ("01-04", refund_amount("a", "r3", "99.99"), Ok(100)),
    ];

    // Refunds reduce spend, and a full one removes the order. The points and what they earned remain.
    for (metric, ends) in
        [("spend", ["-", "-"]), ("orders", ["club", "-"]), ("points_earned", ["club", "club"])]
    {
        let mut ledger = run_scenario(
            &keep(metric),
            &[("01-01", record_paid_order("a", single_line_order("100")), Ok(100))],
        );
        assert_tier(&ledger, "01-01", "club");
        for (now, command, expected) in &refunds {
            ledger = continue_scenario(ledger, &[(now, command.clone(), *expected)]);
            assert_tier(&ledger, now, ends[usize::from(*now == "01-04")]);
        }
        // The second remaining order is the first for the goal.
        let ledger = continue_scenario(
            ledger,
            &[
                ("01-05", record_paid_order("b", single_line_order("1")), Ok(101)),
                ("01-06", cancel("a"), Ok(1)),
            ],
        );
        assert!(reasons(&ledger).is_empty());
        assert_tier(&ledger, "01-06", if metric == "orders" { "club" } else { "-" });
    }

    // By line, with a remaining line.
    let two = order_with_lines(vec![line("1", "2", "60"), line("2", "1", "50")]);
    let ledger = run_scenario(
        &keep("spend"),
        &[
            ("01-01", record_paid_order("a", two), Ok(110)),
            ("01-02", refund_lines("a", "r", &[("1", "1")]), Ok(110)),
        ],
    );
    assert_tier(&ledger, "01-02", "-");
    assert_eq!(ledger.tier_status(at("01-02")).counts.spend, 800_000);
}

#[test]
fn a_tier_status_has_what_is_missing() {
    let ledger = run_scenario(
        &tiers(""),
        &[("01-01", record_paid_order("a", single_line_order("120.50")), Ok(130))],
    );
    let status = ledger.tier_status(at("01-02"));
    let (next, missing) = status.next.unwrap();
    assert_eq!((next.as_str(), missing, status.missing_to_keep), ("gold", 1_795_000, 0));
    assert_eq!((status.since, status.until), (Some(at("01-01")), None));
}

#[test]
fn customers_leave_a_removed_tier() {
    let mut ledger = run_scenario(
        &tiers(""),
        &[("01-01", record_paid_order("a", single_line_order("300")), Ok(350))],
    );
    let one = r#"{"tiers": [{"id": "club", "name": "Club", "threshold": "50"}]}"#;
    ledger.publish(parse_program(one), at("02-01"));
    assert_tier(&ledger, "01-31", "gold");
    assert_tier(&ledger, "02-01", "club");
    ledger.execute(&Command::CatchUp, at("03-01")).unwrap();
    let change = ledger.account().tier_change().unwrap();
    assert_eq!((change.at, change.reason), (at("02-01"), TierReason::Removed));
}

// Actions.

const ACTIONS: &str = r#"{
    "tiers": [{"id": "vip", "name": "VIP"}],
    "actions": [
        {"id": "hello", "kind": "sign_up", "points": 100},
        {"id": "review", "kind": "review", "points": 20, "limits": [{"times": 2, "per": "day"}]},
        {"id": "plan", "kind": "new_subscription", "points": 100, "points_override": true},
        {"id": "share", "kind": "social", "points": 30, "limits": [{"points": 50, "per": "week", "partial": true}]},
        {"id": "read", "kind": "content", "points": 30, "limits": [{"points": 50, "per": "ever"}]},
        {"id": "secret", "kind": "custom", "points": 5, "when": {"customer_tags": ["staff"]}},
        {"id": "club", "kind": "custom", "points": 5, "when": {"tiers": ["vip"]}},
        {"id": "may", "kind": "custom", "points": 5,
         "when": {"from": "2026-05-01T00:00:00Z", "until": "2026-06-01T00:00:00Z"}},
        {"id": "late", "kind": "custom", "points": 5, "hold": "P1D"},
        {"id": "flyer", "kind": {"code": "Summer26"}, "points": 40},
        {"id": "poster", "kind": {"code": "ÉTÉ"}, "points": 1},
        {"id": "cards", "kind": {"codes": ["A-1", "B-2"]}, "points": 70},
        {"id": "thousand", "kind": {"goal_spend": "1000"}, "points": 300},
        {"id": "third", "kind": {"goal_orders": 3}, "points": 33}
    ]}"#;

#[test]
fn actions_grant_their_points() {
    let ledger = run_scenario(
        ACTIONS,
        &[
            ("01-01", Command::SignUp, Ok(100)),
            ("01-02", Command::SignUp, Ok(100)),
            ("01-03", perform_action("plan"), Ok(200)),
            ("01-03", perform_action_for("plan", 250), Ok(450)),
            ("01-03", perform_action_for("plan", 0), Err("invalid_points")),
            ("01-03", perform_action_for("review", 250), Err("no_points_override")),
            ("01-03", perform_action("nothing"), Err("unknown_action")),
            ("01-03", perform_action("hello"), Err("unknown_action")),
            ("01-04", perform_action("late"), Ok(450)),
            ("01-05", catch_up(), Ok(455)),
        ],
    );
    assert_eq!(
        reasons(&ledger)[..3],
        ["100 points for signing up.", "100 points for plan.", "250 points for plan."]
    );
}

#[test]
fn limits_reject_or_clamp() {
    let ledger = run_scenario(
        ACTIONS,
        &[
            ("03-09", perform_action("review"), Ok(20)),
            ("03-09", perform_action("review"), Ok(40)),
            ("03-09", perform_action("review"), Err("limit_reached")),
            ("03-10", perform_action("review"), Ok(60)),
            ("03-10", perform_action("share"), Ok(90)),
            ("03-11", perform_action("share"), Ok(110)),
            ("03-12", perform_action("share"), Err("limit_reached")),
            ("03-16", perform_action("share"), Ok(140)),
            ("03-16", perform_action("read"), Ok(170)),
            ("03-16", perform_action("read"), Err("limit_reached")),
        ],
    );
    assert!(
        reasons(&ledger)
            .contains(&"20 of 30 points for share: limited to 50 points a week.".to_owned())
    );
    let refused = ledger.dry_run(&perform_action("read"), at("03-17")).unwrap_err();
    assert_eq!(refused.to_string(), "action read is limited to 50 points in total");
}

#[test]
fn actions_have_conditions_on_tags_tier_and_time() {
    let mut ledger = run_scenario(
        ACTIONS,
        &[
            ("01-01", perform_action("secret"), Err("action_not_open")),
            ("01-01", perform_action("club"), Err("action_not_open")),
            ("01-02", set_tier("vip", None), Ok(0)),
            ("01-02", perform_action("club"), Ok(5)),
            ("04-30", perform_action("may"), Err("action_not_open")),
            ("05-01", perform_action("may"), Ok(10)),
            ("06-01", perform_action("may"), Err("action_not_open")),
        ],
    );
    ledger.set_tags([Tag::new("staff").unwrap()]);
    continue_scenario(ledger, &[("06-02", perform_action("secret"), Ok(15))]);
}

#[test]
fn codes_are_normalized() {
    let ledger = run_scenario(
        ACTIONS,
        &[
            ("01-01", enter_code(" SUMMER26 "), Ok(40)),
            ("01-02", enter_code("summer26"), Err("unknown_code")),
            ("01-02", enter_code("winter"), Err("unknown_code")),
            ("01-03", enter_code("a-1"), Ok(110)),
            ("01-04", enter_code("A-1"), Err("unknown_code")),
            ("01-04", enter_code("B-2"), Ok(180)),
            ("01-05", enter_code("\u{feff}e\u{301}te\u{301}\u{200b}"), Ok(181)),
            ("01-05", enter_code("été"), Err("unknown_code")),
        ],
    );
    let taken = Command::EnterCode { code: "B-2".into(), used_by_other: true };
    assert_eq!(
        Ledger::new(parse_program(ACTIONS)).dry_run(&taken, at("01-01")),
        Err(Rejection::UnusableCode)
    );
    let unknown = Command::EnterCode { code: "winter".into(), used_by_other: false };
    assert_eq!(
        Ledger::new(parse_program(ACTIONS)).dry_run(&unknown, at("01-01")),
        Err(Rejection::UnknownCode)
    );
    assert_eq!(Rejection::UnknownCode.to_string(), Rejection::UnusableCode.to_string());
    let shared = Command::EnterCode { code: "summer26".into(), used_by_other: true };
    assert!(
        Ledger::new(parse_program(ACTIONS))
            .dry_run(&shared, at("01-01"))
            .is_ok()
    );
    assert_eq!(reasons(&ledger)[1], "70 points for a code of cards.");
}

#[test]
fn goals_pay_once() {
    let ledger = run_scenario(
        ACTIONS,
        &[
            ("01-01", record_paid_order("a", single_line_order("600")), Ok(600)),
            ("01-02", record_paid_order("b", single_line_order("400")), Ok(1300)),
            ("01-03", record_paid_order("c", single_line_order("1")), Ok(1334)),
            ("01-04", cancel("b"), Ok(934)),
            ("01-05", record_paid_order("d", single_line_order("500")), Ok(1434)),
        ],
    );
    assert_eq!(
        reasons(&ledger),
        ["300 points for reaching thousand.", "33 points for reaching third."]
    );
}

#[test]
fn order_rule_allowances_stay_with_the_order() {
    let program = |partial: bool| {
        format!(
            r#"{{"earning": [{{"id": "base", "earn": {{"per_unit": "1"}},
                 "limits": [{{"points": 100, "per": "month", "partial": {partial}}}]}}]}}"#
        )
    };

    run_scenario(
        &program(true),
        &[
            ("01-01", record_paid_order("a", single_line_order("80")), Ok(80)),
            ("01-02", record_paid_order("b", single_line_order("50")), Ok(100)),
            // Its allowance was 20; a refund to 30 still leaves them.
            ("01-03", refund_amount("b", "r1", "20"), Ok(100)),
            ("01-04", refund_amount("b", "r2", "15"), Ok(95)),
            ("01-05", record_paid_order("c", single_line_order("50")), Ok(95)),
            ("02-01", record_paid_order("d", single_line_order("50")), Ok(145)),
        ],
    );
    run_scenario(
        &program(false),
        &[
            ("01-01", record_paid_order("a", single_line_order("80")), Ok(80)),
            ("01-02", record_paid_order("b", single_line_order("50")), Ok(80)),
            ("01-03", refund_amount("b", "r1", "40"), Ok(80)),
            ("01-04", record_paid_order("c", single_line_order("20")), Ok(100)),
        ],
    );
    let once = r#"{"earning": [{"id": "first", "earn": {"per_order": 50}, "limits": [{"times": 1, "per": "ever"}]}]}"#;
    run_scenario(
        once,
        &[
            ("01-01", record_paid_order("a", single_line_order("1")), Ok(50)),
            ("01-02", record_paid_order("b", single_line_order("1")), Ok(50)),
        ],
    );
}

/// A rejecting limit compares the full points; a clamping one grants what remains.
#[test]
fn a_clamping_limit_beside_a_rejecting_one() {
    let program = r#"{"earning": [{"id": "base", "earn": {"per_unit": "1"}, "limits": [
        {"points": 50, "per": "day", "partial": true}, {"points": 110, "per": "month"}]}]}"#;
    run_scenario(
        program,
        &[
            ("01-01", record_paid_order("a", single_line_order("60")), Ok(50)),
            ("01-02", record_paid_order("b", single_line_order("60")), Ok(100)),
            // 10 remain in the month.
            ("01-03", record_paid_order("c", single_line_order("11")), Ok(100)),
            ("01-03", record_paid_order("d", single_line_order("10")), Ok(110)),
        ],
    );
}

#[test]
fn a_clock_set_back_counts_for_its_own_day() {
    run_scenario(
        ACTIONS,
        &[
            ("03-10", perform_action("review"), Ok(20)),
            ("03-09", perform_action("review"), Ok(40)),
            ("03-10", perform_action("review"), Ok(60)),
            ("03-10", perform_action("review"), Err("limit_reached")),
            // The week includes both days.
            ("03-11", perform_action("share"), Ok(90)),
            ("03-10", perform_action("share"), Ok(110)),
            ("03-11", perform_action("share"), Err("limit_reached")),
        ],
    );
}

// Merges.

/// A guest is merged into this customer.
fn merge_guest(program: &str, guest: &[Step<'_>], customer: &[Step<'_>], now: &str) -> Ledger {
    let (guest, mut customer) = (run_scenario(program, guest), run_scenario(program, customer));
    let into = (AccountId(2), customer.account());
    let (_, come) = loyalty_core::merge((AccountId(1), guest.account()), into, at(now)).unwrap();
    customer.fold_all(&come);
    check_conservation(&customer).unwrap();
    customer
}

#[test]
fn a_merge_keeps_the_guests_activity() {
    // The guest earned on 20 January, which counts as activity; the merge itself does not.
    for (guest, customer) in [("01-20", "01-01"), ("01-01", "01-20")] {
        let (guest, customer) = ([(guest, add(50), Ok(50))], [(customer, add(100), Ok(100))]);
        let ledger = merge_guest(IDLE_DEALING, &guest, &customer, "01-25");
        continue_scenario(ledger, &[("02-19", catch_up(), Ok(150)), ("02-20", catch_up(), Ok(0))]);
    }
}

/// Undoes the last merge of a ledger.
fn undo_claim(mut ledger: Ledger, now: &str) -> Ledger {
    let claim = ledger.events().iter().rev().find_map(|event| match event {
        Event::AccountAbsorbed(claim) => Some(Arc::clone(claim)),
        _ => None,
    });
    ledger
        .execute(&Command::UndoClaim { claim: claim.unwrap() }, at(now))
        .unwrap();
    check_conservation(&ledger).unwrap();
    ledger
}

#[test]
fn an_undone_claim_takes_tier_limits_and_goals_along() {
    let program = r#"{"tiers": [{"id": "gold", "name": "Gold", "threshold": "100"}],
        "actions": [{"id": "review", "kind": "custom", "points": 20, "limits": [{"times": 1, "per": "day"}]}]}"#;
    let spend = |id| record_paid_order(id, single_line_order("60"));
    let ledger = merge_guest(
        program,
        &[("01-01", spend("a"), Ok(60)), ("01-02", perform_action("review"), Ok(80))],
        &[("01-01", spend("b"), Ok(60))],
        "01-02",
    );
    let ledger = continue_scenario(ledger, &[("01-02", catch_up(), Ok(140))]);
    assert_eq!(ledger.account().current_tier_id(at("01-02")).unwrap().as_str(), "gold");
    let refused = ledger.dry_run(&perform_action("review"), at("01-02"));
    assert_eq!(refused.unwrap_err().code(), "limit_reached");

    let ledger = undo_claim(ledger, "01-02");
    assert_eq!(ledger.balance(at("01-02")).get(), 60);
    assert_eq!(ledger.account().current_tier_id(at("01-02")), None);
    assert_eq!(ledger.account().progress().lifetime().orders, 1);
    continue_scenario(ledger, &[("01-02", perform_action("review"), Ok(80))]);
}

#[test]
fn a_merge_adds_the_usage_of_limits() {
    let once = [("03-10", perform_action("review"), Ok(20))];
    let ledger = merge_guest(ACTIONS, &once, &once, "03-10");
    continue_scenario(
        ledger,
        &[
            ("03-10", perform_action("review"), Err("limit_reached")),
            ("03-11", perform_action("review"), Ok(60)),
        ],
    );

    // The day before has ended, the week has not.
    let (guest, customer) = (
        [("03-10", perform_action("share"), Ok(30))],
        [("03-09", perform_action("share"), Ok(30))],
    );

    for (guest, customer) in [(&guest, &customer), (&customer, &guest)] {
        let ledger = merge_guest(ACTIONS, guest, customer, "03-10");
        continue_scenario(ledger, &[("03-10", perform_action("share"), Err("limit_reached"))]);
    }

    let limited = r#"{"earning": [{"id": "base", "earn": {"per_unit": "1"},
        "limits": [{"points": 100, "per": "month", "partial": true}]}]}"#;
    let (guest, customer) = (
        [("01-01", record_paid_order("a", single_line_order("80")), Ok(80))],
        [("01-02", record_paid_order("b", single_line_order("10")), Ok(10))],
    );
    let ledger = merge_guest(limited, &guest, &customer, "01-03");
    assert_eq!(
        ledger
            .dry_run(&record_paid_order("c", single_line_order("50")), at("01-04"))
            .unwrap()
            .points()
            .get(),
        10
    );
}

// Campaigns.

/// A program with campaigns and a tier that doubles.
fn campaigns(combine: &str, campaigns: &str) -> String {
    format!(
        r#"{{"tiers": [{{"id": "gold", "name": "Gold", "multiplier": "2"}}], "combine": "{combine}",
            "campaigns": [{campaigns}]}}"#
    )
}

#[test]
fn multipliers_combine_by_policy() {
    let triple = r#"{"id": "weekend", "effect": {"multiplier": "3"}}"#;

    for (combine, expected) in [("multiply", 60), ("highest", 30), ("add", 40)] {
        let program = campaigns(combine, triple);
        run_scenario(
            &program,
            &[
                ("01-01", set_tier("gold", None), Ok(0)),
                ("01-02", record_paid_order("a", single_line_order("10")), Ok(expected)),
            ],
        );
        run_scenario(
            &program,
            &[("01-02", record_paid_order("a", single_line_order("10")), Ok(30))],
        );
    }

    // Rounded once, after: 0.7 times 1.5 is 1.05.
    let half = r#"{"id": "weekend", "effect": {"multiplier": "1.5"}}"#;
    run_scenario(
        &campaigns("multiply", half),
        &[("01-02", record_paid_order("a", single_line_order("0.70")), Ok(1))],
    );

    // Two campaigns of 2 and 3: 6, 3, 4; and 12, 3, 5 with the tier.
    let two =
        r#"{"id": "a", "effect": {"multiplier": "2"}}, {"id": "b", "effect": {"multiplier": "3"}}"#;
    for (combine, alone, gold) in [("multiply", 60, 120), ("highest", 30, 30), ("add", 40, 50)] {
        let program = campaigns(combine, two);
        run_scenario(
            &program,
            &[("01-02", record_paid_order("a", single_line_order("10")), Ok(alone))],
        );
        run_scenario(
            &program,
            &[
                ("01-01", set_tier("gold", None), Ok(0)),
                ("01-02", record_paid_order("a", single_line_order("10")), Ok(gold)),
            ],
        );
    }
}

#[test]
fn campaigns_have_conditions_on_lines_tiers_tags_and_time() {
    let shoes = r#"{"id": "shoes", "effect": {"multiplier": "3"}, "categories": ["shoes"]}"#;
    let basket =
        || order_with_lines(vec![of_category("shoes", line("1", "1", "10")), line("2", "1", "20")]);
    for (combine, alone, gold) in [("multiply", 50, 100), ("highest", 50, 70), ("add", 50, 80)] {
        let program = campaigns(combine, shoes);
        run_scenario(&program, &[("01-02", record_paid_order("a", basket()), Ok(alone))]);
        run_scenario(
            &program,
            &[
                ("01-01", set_tier("gold", None), Ok(0)),
                ("01-02", record_paid_order("a", basket()), Ok(gold)),
            ],
        );
    }

    // A refund of the shoes claws back their points.
    let ledger = run_scenario(
        &campaigns("multiply", shoes),
        &[
            ("01-02", record_paid_order("a", basket()), Ok(50)),
            ("01-03", refund_lines("a", "r", &[("1", "1")]), Ok(20)),
        ],
    );
    let text = ledger.events().iter().find_map(|event| match event {
        Event::PointsAwarded { calculation, .. } => Some(calculation.explanation.to_string()),
        _ => None,
    });
    assert_eq!(
        text.unwrap(),
        "The order earns 50 points: 30 by base (1 per unit of 30) + 20 by campaign shoes."
    );
    let gold = r#"{"id": "g", "effect": {"bonus": 5}, "tiers": ["gold"]}"#;
    run_scenario(
        &campaigns("multiply", gold),
        &[
            ("01-01", record_paid_order("a", single_line_order("10")), Ok(10)),
            ("01-02", set_tier("gold", None), Ok(10)),
            ("01-03", record_paid_order("b", single_line_order("10")), Ok(35)),
            ("01-04", refund_amount("b", "r", "5"), Ok(25)),
            ("01-05", cancel("b"), Ok(10)),
        ],
    );
    let window = r#"{"id": "may", "effect": {"multiplier": "2"},
                     "from": "2026-05-01T00:00:00Z", "until": "2026-05-03T00:00:00Z"}"#;
    for (placed, expected) in [("04-30", 10), ("05-01", 20), ("05-02", 20), ("05-03", 10)] {
        let order = Order { placed_at: Some(at(placed)), ..single_line_order("10") };
        run_scenario(
            &campaigns("multiply", window),
            &[("06-01", record_paid_order("a", order), Ok(expected))],
        );
        run_scenario(
            &campaigns("multiply", window),
            &[(placed, record_paid_order("a", single_line_order("10")), Ok(expected))],
        );
    }

    let tagged = r#"{"id": "t", "effect": {"multiplier": "2"}, "customer_tags": ["friend"]}"#;
    let mut ledger = run_scenario(
        &campaigns("multiply", tagged),
        &[("01-01", record_paid_order("a", single_line_order("10")), Ok(10))],
    );
    ledger.set_tags([Tag::new("friend").unwrap()]);

    // The campaigns of the first order are pinned.
    continue_scenario(
        ledger,
        &[
            ("01-02", record_paid_order("b", single_line_order("10")), Ok(30)),
            ("01-03", record_paid_order("a", single_line_order("20")), Ok(40)),
        ],
    );
}

// Referrals.

const FRIENDS: &str = r#"{"referrals": {"received": 25, "sent": 40, "minimum_spend": "20", "hold": "P14D",
    "milestones": [{"friends": 2, "points": 100}]}}"#;

/// Two accounts of one shop. Follow-up commands of one are executed on the other.
struct ReferralPair {
    sender: Ledger,
    friend: Ledger,
}

fn referral_party(account: i64, email: &str, household: &[&str]) -> ReferralParty {
    let household = household.iter().map(|sign| (*sign).to_owned()).collect();
    ReferralParty {
        account: AccountId(account),
        email: Email::new(email).ok(),
        household,
    }
}

impl ReferralPair {
    fn new() -> Self {
        Self::with_program(FRIENDS)
    }

    fn with_program(program: &str) -> Self {
        let ledger = |id| Ledger::new(parse_program(program)).with_account_id(AccountId(id));
        Self { sender: ledger(7), friend: ledger(1) }
    }

    fn execute_as_friend(&mut self, command: &Command, now: &str) -> Result<(), &'static str> {
        let decision = self
            .friend
            .execute(command, at(now))
            .map_err(|refused| refused.code())?;
        for (account, command) in decision.follow_ups {
            assert_eq!(account, AccountId(7));
            self.sender.execute(&command, at(now)).unwrap();
        }
        check_conservation(&self.friend).unwrap();
        check_conservation(&self.sender).unwrap();
        Ok(())
    }

    fn join(&mut self, now: &str) -> Result<(), &'static str> {
        let (own, friend) = (
            referral_party(1, "friend@example.com", &[]),
            referral_party(7, "ada@example.com", &[]),
        );
        self.execute_as_friend(&Command::JoinReferral { referee: own, referrer: friend }, now)
    }

    fn assert_points(&self, now: &str, friend: i64, sender: i64, pending_of_sender: i64) {
        let now_ = at(now);
        let actual = (
            self.friend.balance(now_).get(),
            self.sender.balance(now_).get(),
            pending(&self.sender, now),
        );
        assert_eq!(actual, (friend, sender, pending_of_sender), "{now}");
    }
}

#[test]
fn both_parties_get_their_bonus() {
    let mut pair = ReferralPair::new();
    pair.join("01-01").unwrap();
    pair.join("01-01").unwrap();
    pair.execute_as_friend(&record_paid_order("a", single_line_order("19")), "01-02")
        .unwrap();
    pair.assert_points("01-02", 19, 0, 0);
    pair.execute_as_friend(&record_paid_order("b", single_line_order("20")), "01-03")
        .unwrap();
    pair.assert_points("01-03", 64, 0, 40);
    pair.execute_as_friend(&record_paid_order("c", single_line_order("50")), "01-04")
        .unwrap();
    pair.assert_points("01-16", 114, 0, 40);
    pair.assert_points("01-17", 114, 40, 0);
    assert_eq!(
        reasons(&pair.sender),
        ["40 points for order b, the first of a referred customer."]
    );
    assert_eq!(reasons(&pair.friend), ["25 points for order b, the first after a referral."]);
}

/// Bonuses are clawed back even if the order keeps its points.
#[test]
fn a_refund_that_keeps_points_claws_back_both_bonuses() {
    let mut pair = ReferralPair::with_program(&FRIENDS.replacen('{', r#"{"refunds": "keep", "#, 1));
    pair.join("01-01").unwrap();
    pair.execute_as_friend(&record_paid_order("b", single_line_order("30")), "01-03")
        .unwrap();
    pair.execute_as_friend(&refund_amount("b", "r1", "10"), "01-04")
        .unwrap();
    pair.assert_points("01-04", 55, 0, 40);
    pair.execute_as_friend(&refund_amount("b", "r2", "1"), "01-05")
        .unwrap();
    pair.assert_points("01-05", 30, 0, 0);
}

#[test]
fn a_refund_claws_back_both_bonuses() {
    let mut pair = ReferralPair::new();
    pair.join("01-01").unwrap();
    pair.execute_as_friend(&record_paid_order("b", single_line_order("30")), "01-03")
        .unwrap();
    pair.execute_as_friend(&refund_amount("b", "r1", "10"), "01-04")
        .unwrap();
    pair.assert_points("01-04", 45, 0, 40);
    pair.execute_as_friend(&refund_amount("b", "r2", "1"), "01-05")
        .unwrap();
    pair.assert_points("01-05", 19, 0, 0);
    pair.execute_as_friend(&cancel("b"), "01-06").unwrap();
    pair.assert_points("01-06", 0, 0, 0);

    // The next qualifying order completes the referral after all.
    pair.execute_as_friend(&record_paid_order("c", single_line_order("30")), "01-07")
        .unwrap();
    pair.assert_points("01-07", 55, 0, 40);

    // The same after the release.
    pair.execute_as_friend(&cancel("c"), "03-01").unwrap();
    pair.assert_points("03-01", 0, 0, 0);
}

/// Expired points are not clawed back again, and cause neither debt nor activity.
#[test]
fn an_expired_referral_bonus_is_not_clawed_back_again() {
    let program = |expiry: &str, hold: &str| {
        format!(
            r#"{{"expiry": {expiry}, "referrals": {{"received": 100, "sent": 50{hold},
                "milestones": [{{"friends": 1, "points": 20}}]}}}}"#
        )
    };

    let lots = r#"{"per_lot": {"after": "P1M"}}"#;
    let idle = r#"{"inactivity": {"after": "P1M"}}"#;

    for (expiry, hold) in
        [(lots, ""), (idle, ""), (lots, r#", "hold": "P14D""#), (idle, r#", "hold": "P14D""#)]
    {
        let mut pair = ReferralPair::with_program(&program(expiry, hold));
        pair.join("01-01").unwrap();
        pair.execute_as_friend(&record_paid_order("a", single_line_order("30")), "01-01")
            .unwrap();
        pair.assert_points("01-20", 130, 70, 0);
        pair.assert_points("03-01", 0, 0, 0);
        pair.execute_as_friend(&cancel("a"), "03-01").unwrap();
        pair.assert_points("03-01", 0, 0, 0);
    }

    // Points spent before the others expired are owed.
    let mut pair = ReferralPair::with_program(&program(lots, ""));
    pair.join("01-01").unwrap();
    pair.execute_as_friend(&record_paid_order("a", single_line_order("30")), "01-01")
        .unwrap();
    pair.sender.execute(&spend(60), at("01-02")).unwrap();
    pair.execute_as_friend(&cancel("a"), "03-01").unwrap();
    pair.assert_points("03-01", 0, -60, 0);

    // The non-expiring lot does not distinguish its points: no more expired than it had.
    let mut pair = ReferralPair::with_program(&program(idle, ""));
    pair.join("01-01").unwrap();
    pair.execute_as_friend(&record_paid_order("a", single_line_order("30")), "01-01")
        .unwrap();
    pair.sender.execute(&add(30), at("01-02")).unwrap();
    pair.sender.execute(&spend(40), at("01-03")).unwrap();
    pair.execute_as_friend(&cancel("a"), "03-01").unwrap();
    pair.assert_points("03-01", 0, -10, 0);
}

#[test]
fn milestones_are_paid_without_a_bonus_for_each_friend() {
    let program = r#"{"hold": "P1D", "referrals": {"hold": "P14D", "milestones": [{"friends": 1, "points": 20}]}}"#;
    let mut pair = ReferralPair::with_program(program);
    pair.join("01-01").unwrap();
    pair.execute_as_friend(&record_paid_order("a", single_line_order("30")), "01-01")
        .unwrap();
    pair.assert_points("01-02", 30, 0, 20);
    pair.assert_points("01-15", 30, 20, 0);
    assert_eq!(pair.sender.account().activity().referral_count(), 1);
    pair.execute_as_friend(&cancel("a"), "01-16").unwrap();
    pair.assert_points("01-16", 0, 0, 0);
    assert_eq!(pair.sender.account().activity().referral_count(), 0);

    // A referral without a bonus does not change the balance.
    let idle = r#"{"expiry": {"inactivity": {"after": "P1M"}}, "referrals": {"received": 5}}"#;
    let mut pair = ReferralPair::with_program(idle);
    pair.sender.execute(&add(10), at("01-01")).unwrap();
    pair.join("01-20").unwrap();
    pair.execute_as_friend(&record_paid_order("a", single_line_order("30")), "01-20")
        .unwrap();
    pair.assert_points("01-31", 35, 10, 0);
    pair.assert_points("02-01", 35, 0, 0);
}

#[test]
fn milestones_are_paid_and_clawed_back() {
    let mut sender = Ledger::new(parse_program(FRIENDS));
    let order = |name: &str| id(name);
    let reward = |number: i64, name: &str| Command::RewardReferral {
        referee: AccountId(number),
        order: order(name),
        gate_at: at("01-01"),
    };

    sender.execute(&reward(2, "x"), at("02-01")).unwrap();
    sender.execute(&reward(2, "x"), at("02-01")).unwrap();
    assert_eq!(sender.balance(at("02-01")).get(), 40);
    sender.execute(&reward(3, "y"), at("02-02")).unwrap();
    assert_eq!(sender.balance(at("02-02")).get(), 180);
    let undo = Command::UndoReferral { referee: AccountId(2), order: order("x") };
    sender.execute(&undo, at("02-03")).unwrap();
    sender.execute(&undo, at("02-03")).unwrap();
    assert_eq!(sender.balance(at("02-03")).get(), 40);
    assert_eq!(sender.account().activity().referral_count(), 1);
    check_conservation(&sender).unwrap();
}

#[test]
fn ineligible_referrals_are_rejected() {
    let ada = || referral_party(7, "Ada.L@gmail.com", &["card 1"]);

    for (own, why) in [
        (referral_party(7, "other@example.com", &[]), "nobody can bring themselves"),
        (
            referral_party(1, "adal+shop@googlemail.com", &[]),
            "both have the same e-mail address",
        ),
        (
            referral_party(1, "x@example.com", &["device 5", "card 1"]),
            "both are of the same household",
        ),
    ] {
        let ledger = Ledger::new(parse_program(FRIENDS));
        let refused = ledger
            .dry_run(&Command::JoinReferral { referee: own, referrer: ada() }, at("01-01"))
            .unwrap_err();
        assert_eq!(
            (refused.code(), refused.to_string()),
            ("referral_refused", format!("the referral was rejected: {why}"))
        );
    }

    let mut pair = ReferralPair::new();
    pair.execute_as_friend(&record_paid_order("a", single_line_order("1")), "01-01")
        .unwrap();
    assert_eq!(pair.join("01-02"), Err("referral_refused"));
    let mut off = ReferralPair {
        friend: Ledger::new(Program::default()),
        ..ReferralPair::new()
    };

    assert_eq!(off.join("01-02"), Err("referrals_off"));
}

#[test]
fn a_referral_code_is_issued_once() {
    let mut ledger = Ledger::new(parse_program(FRIENDS));
    let issue = |byte: u8| Command::IssueReferralCode { entropy: [byte; 10] };
    ledger.execute(&issue(255), at("01-01")).unwrap();
    ledger.execute(&issue(1), at("01-02")).unwrap();
    assert_eq!(ledger.account().activity().referral_code(), Some("ZZZZZZZZZZZZZZZZ"));
}

// JSON documents.

#[test]
fn full_programs_round_trip_through_json() {
    let gold = campaigns(
        "add",
        r#"{"id": "a", "effect": {"bonus": 5}, "tiers": ["gold"], "customer_tags": ["x"],
        "products": ["p"], "categories": ["c"], "from": "2026-05-01T00:00:00Z", "until": "2026-05-03T00:00:00Z"}"#,
    );
    let tiering = tiers(
        r#""metric": "orders", "window": {"rolling": "P12M"}, "down": "one_step", "term": "P6M", "grace": "P30D",
           "skipped_rewards": true"#,
    );
    let year = tiers(r#""window": "calendar_year""#);
    let limits = r#"{"earning": [{"id": "a", "earn": {"per_order": 5},
        "limits": [{"times": 1, "per": "ever"}, {"points": 9, "per": "week", "partial": true}]}],
        "actions": [{"id": "b", "kind": {"birthday": {"notice_days": 7}}, "points": 1, "hold": "P1D"},
                    {"id": "a", "kind": "anniversary", "points": 1}, {"id": "b2", "kind": "birthday", "points": 1}]}"#;
    let stacking = r#"{"stacking": "exclusive"}"#;

    for document in
        [ACTIONS, FRIENDS, IDLE, IDLE_DEALING, TWO_WEEKS, &gold, &tiering, &year, limits, stacking]
    {
        let program = parse_program(document);
        assert_eq!(Program::from_json(&program.to_json()), Ok(program), "{document}");
    }

    let plain = Program::default().to_json();

    for new in
        ["tiering", "actions", "campaigns", "combine", "hold", "referrals", "limits", "stacking"]
    {
        assert!(!plain.contains(new), "old documents stay as they are: {new}");
    }
}

#[test]
fn every_fault_has_its_pointer() {
    let tier = r#"{"id": "t", "name": "T", "threshold": "5"}"#;

    for (document, expected) in [
        (r#"{"expiry": {"inactivity": {}}}"#.to_owned(), "/expiry/inactivity/after missing_field"),
        (r#"{"expiry": {}}"#.to_owned(), "/expiry invalid_value"),
        (r#"{"hold": "soon"}"#.to_owned(), "/hold invalid_value"),
        (r#"{"stacking": "none"}"#.to_owned(), "/stacking invalid_value"),
        (r#"{"stacking": true}"#.to_owned(), "/stacking wrong_type"),
        (
            format!(r#"{{"tiers": [{tier}, {{"id": "u", "name": "U", "threshold": "5"}}]}}"#),
            "/tiers/1/threshold contradiction",
        ),
        (r#"{"tiers": [{"id": "t", "name": "T", "threshold": 0}]}"#.to_owned(), "/tiers/0/threshold out_of_range"),
        (
            r#"{"tiers": [{"id": "t", "name": "T", "threshold": "1.5"}], "tiering": {"metric": "orders"}}"#.to_owned(),
            "/tiers/0/threshold invalid_value",
        ),
        (
            r#"{"tiers": [{"id": "t", "name": "T", "entry": {"points": 0}}]}"#.to_owned(),
            "/tiers/0/entry/points out_of_range",
        ),
        (r#"{"tiering": {"down": "one_step"}}"#.to_owned(), "/tiering/term missing_field"),
        (r#"{"tiering": {"window": {"rolling": "P30D"}}}"#.to_owned(), "/tiering/window/rolling out_of_range"),
        (r#"{"tiering": {"window": {"rolling": "P4Y"}}}"#.to_owned(), "/tiering/window/rolling out_of_range"),
        (r#"{"actions": [{"id": "a", "kind": "dance", "points": 1}]}"#.to_owned(), "/actions/0/kind invalid_value"),
        (r#"{"actions": [{"id": "a", "kind": "custom", "points": 0}]}"#.to_owned(), "/actions/0/points out_of_range"),
        (
            r#"{"actions": [{"id": "a", "kind": "birthday", "points": 1, "points_override": true}]}"#.to_owned(),
            "/actions/0/points_override contradiction",
        ),
        (
            r#"{"actions": [{"id": "a", "kind": {"code": "X"}, "points": 1},
                            {"id": "b", "kind": {"codes": [" x"]}, "points": 1}]}"#
                .to_owned(),
            "/actions/1/kind/codes/0 duplicate_id",
        ),
        (
            r#"{"actions": [{"id": "a", "kind": "custom", "points": 1, "limits": [{"times": 0, "per": "day"}]}]}"#
                .to_owned(),
            "/actions/0/limits/0/times out_of_range",
        ),
        (
            r#"{"actions": [{"id": "a", "kind": "custom", "points": 1, "limits": [{"per": "day"}]}]}"#.to_owned(),
            "/actions/0/limits/0 invalid_value",
        ),
        (
            r#"{"actions": [{"id": "a", "kind": "birthday", "points": 1, "limits": [{"times": 1, "per": "day"}]}]}"#
                .to_owned(),
            "/actions/0/limits contradiction",
        ),
        (
            r#"{"actions": [{"id": "a", "kind": "custom", "points": 1, "when": {"tiers": ["nix"]}}]}"#.to_owned(),
            "/actions/0/when/tiers/0 unknown_tier",
        ),
        (r#"{"campaigns": [{"id": "a", "effect": {}}]}"#.to_owned(), "/campaigns/0/effect invalid_value"),
        (
            r#"{"campaigns": [{"id": "a", "effect": {"multiplier": "0.5"}}]}"#.to_owned(),
            "/campaigns/0/effect/multiplier out_of_range",
        ),
        (
            r#"{"campaigns": [{"id": "a", "effect": {"bonus": 1}, "from": "2026-05-03T00:00:00Z",
                "until": "2026-05-03T00:00:00Z"}]}"#
                .to_owned(),
            "/campaigns/0/until contradiction",
        ),
        (
            r#"{"referrals": {"milestones": [{"friends": 0, "points": 1}]}}"#.to_owned(),
            "/referrals/milestones/0/friends contradiction",
        ),
    ] {
        let faults = Program::from_json(&document).unwrap_err();
        let actual: Vec<_> = faults.faults().iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect();
        assert_eq!(actual, [expected], "{document}");
    }
}

#[test]
fn spending_more_never_lowers_the_tier() {
    let windows = [
        r#""window": {"rolling": "P2M"}, "grace": "P10D""#,
        r#""window": "calendar_year""#,
        r#""term": "P3M""#,
    ];

    for window in windows {
        let program = tiers(window);
        let rank = |spent: u32, now: &str| {
            let steps = [("01-01", spent, "a"), ("02-01", 80, "b"), ("05-01", spent, "c")];
            let mut ledger = Ledger::new(parse_program(&program));
            for (day, amount, name) in steps.into_iter().filter(|(day, ..)| *day <= now) {
                ledger
                    .execute(
                        &record_paid_order(name, single_line_order(&amount.to_string())),
                        at(day),
                    )
                    .unwrap();
            }
            let account = ledger.as_of(at(now));
            account
                .earned_tier()
                .and_then(|tier| parse_program(&program).rank(&tier.id))
        };
        for now in ["01-01", "02-15", "03-02", "03-20", "04-05", "05-01", "08-01", "12-31"] {
            let ranks: Vec<_> = (1..36).map(|tens| rank(tens * 10, now)).collect();
            assert!(ranks.is_sorted(), "{window} at {now}: {ranks:?}");
        }
    }
}

// Cost, and reads of the scheduler.

#[test]
fn a_long_history_costs_no_more() {
    // Measured by sharing, not by time: a copy shares all but the path to the change.
    let program = parse_program(
        r#"{"expiry": {"per_lot": {"after": "P2Y"}}, "tiering": {"window": {"rolling": "P12M"}},
        "tiers": [{"id": "gold", "name": "Gold", "threshold": "5000"}]}"#,
    );
    let mut ledger = Ledger::new(program);
    for number in 0..2_000_i64 {
        let now = at("01-01") + chrono::TimeDelta::minutes(number);
        let events = ledger
            .dry_run(&record_paid_order(&number.to_string(), single_line_order("10")), now)
            .unwrap()
            .events;
        assert!(events.len() <= 5);
        for event in &events {
            ledger.account_mut().evolve(event);
        }
    }

    assert_eq!(
        (ledger.account().lots().len(), ledger.balance(at("02-02")).get()),
        (2_000, 20_000)
    );
    assert_eq!(tier(&ledger, "02-02"), ("gold".to_owned(), Some(at("2027-01-02T01:00:00Z"))));
    let json = serde_json::to_string(ledger.account()).unwrap();
    assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), *ledger.account());
}

#[test]
fn nothing_is_due_without_scheduled_events() {
    let ledger = run_scenario("{}", &[("01-01", add(5), Ok(5))]);
    assert_eq!(ledger.inspect(None, at("01-01"), next_due), None);
}

#[test]
fn old_journals_and_states_are_still_read() {
    let state = r#"{"lots": [{"id": 1, "order": "a", "points": 5, "earned_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-10-01T00:00:00Z"}], "lots_opened": 1, "totals": {"awarded": 5}}"#;
    let account: Account = serde_json::from_str(state).unwrap();
    assert_eq!((account.balance(at("09-30")).get(), account.balance(at("10-01")).get()), (5, 0));
    assert!(account.is_consistent());

    for event in [
        r#"{"points_added": {"points": 5, "lot": {"id": 1, "points": 5, "earned_at": "2026-01-01T00:00:00Z"}, "grounds": {}}}"#,
        r#"{"points_subtracted": {"lots": [[1, 5]], "grounds": {}}}"#,
        r#"{"points_expired": {"lot": 1, "points": 5, "order": "a", "expired_at": "2026-01-01T00:00:00Z"}}"#,
        r#"{"tier_set": {"tier": {"id": "gold"}}}"#,
        r#"{"account_merged": {"into": 5, "points": 5}}"#,
        r#"{"account_absorbed": {"from": 1, "lots": [], "paid": [], "debt": 0, "points": 0, "tier": null}}"#,
        r#"{"order_pinned": {"order": "a", "pin": {"program": 1, "at": "2026-01-01T00:00:00Z"}}}"#,
        r#""customer_added""#,
    ] {
        let read: Event =
            serde_json::from_str(event).unwrap_or_else(|error| panic!("{event}: {error}"));
        let again: serde_json::Value = serde_json::to_value(&read).unwrap();
        let old: serde_json::Value = serde_json::from_str(event).unwrap();
        assert_eq!(again, old, "written as before");
    }

    // A command on an account from before events had instants.
    let ledger = Ledger::new(Program::default());
    let decision = ledger.inspect(None, at("09-01"), |context| {
        decide(&context.with_account(Some(&account)), &spend(3))
    });
    assert_eq!(decision.unwrap().points().get(), -3);
}
