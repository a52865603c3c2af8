//! Tests of the property kit: the engine passes under every program, broken engines break an
//! invariant by name, and exploits of badly configured programs are found.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "a test may stop at what it did not expect"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use loyalty_core::discount::{Cart, CartError, Evaluation, Stacking};
use loyalty_core::proptest::{
    CustomerHistory, DecideFn, DiscountLedger, Engine, Invariant, InvariantOutcome, ProgramCheck,
    ProgramProperty, check_program, customer_histories_under, expiring_programs, full_programs,
    programs,
};
use loyalty_core::{
    Amount, Command, Context, Decision, Event, Ledger, Points, Program, Rejection, Zone, decide,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// A sound program with rules of every kind.
const FULL_PROGRAM: &str = r#"{
    "earning": [
        {"id": "base", "earn": {"per_unit": "1"}},
        {"id": "tea", "earn": {"per_increment": {"amount": "10", "points": 5}}, "when": {"categories": ["tea"]}},
        {"id": "big", "earn": {"per_order": 20}, "when": {"minimum_spend": "100"},
         "limits": [{"points": 60, "per": "month", "partial": true}]}
    ],
    "campaigns": [{"id": "double", "effect": {"multiplier": "2"}, "from": "2026-03-01T00:00:00Z",
                   "until": "2026-03-08T00:00:00Z"}],
    "expiry": {"per_lot": {"after": "P6M", "round_up_to": "month"}},
    "hold": "P14D",
    "tiers": [
        {"id": "silver", "name": "Silver", "threshold": "200", "multiplier": "1.5",
         "entry": {"points": 25, "taken_back": true, "gift": {"reward": "ship"}}},
        {"id": "gold", "name": "Gold", "threshold": "500", "multiplier": "2"}
    ],
    "tiering": {"window": {"rolling": "P6M"}, "grace": "P1M"},
    "actions": [
        {"id": "hello", "kind": "sign_up", "points": 50},
        {"id": "cake", "kind": {"birthday": {"notice_days": 0}}, "points": 75,
         "gift": {"reward": "cup"}},
        {"id": "review", "kind": "review", "points": 10, "limits": [{"points": 15, "per": "month", "partial": true}]},
        {"id": "word", "kind": {"code": "TEATIME"}, "points": 30}
    ],
    "rewards": [
        {"id": "five", "name": "5 off", "cost": 500, "gives": {"fixed_amount": "5"}, "valid_for": "P30D",
         "points_back_when_expired": true},
        {"id": "cup", "name": "A cup", "cost": 50, "gives": "custom"},
        {"id": "ship", "name": "Free shipping", "cost": 30, "gives": {"free_shipping": {}}},
        {"id": "any", "name": "Money off", "gives": {"variable_amount": {"points_per_unit": 100, "step": "1"}}}
    ]
}"#;

const DEFAULT: &str = "{}";
const STOP_AT_ZERO: &str = r#"{"debt": "stop_at_zero"}"#;
const EXPIRING: &str = r#"{"expiry": {"per_lot": {"after": "P30D"}}}"#;
const TIERS: &str = r#"{"tiers": [{"id": "gold", "name": "Gold", "threshold": "100"}]}"#;
const REWARDS: &str =
    r#"{"rewards": [{"id": "cup", "name": "A cup", "cost": 50, "gives": "custom"}]}"#;

const GIFTS: &str = r#"{
    "tiers": [{"id": "gold", "name": "Gold", "threshold": "100", "entry": {"gift": {"reward": "cup"}}}],
    "rewards": [{"id": "cup", "name": "A cup", "cost": 50, "gives": "custom"}]
}"#;

fn program(document: &str) -> Program {
    Program::from_json(document).unwrap_or_else(|faults| panic!("{faults:?}"))
}

#[test]
fn the_engine_holds_under_every_program() {
    // Generated programs, each with a few cases. PROPTEST_CASES sets their number.
    let mut runner = TestRunner::deterministic();
    let any = prop_oneof![programs(), expiring_programs(), full_programs()];
    for seed in 0..u64::from(runner.config().cases) / 16 {
        let program = any.new_tree(&mut runner).unwrap().current();
        let zone: Zone = if seed % 2 == 0 { Zone::UTC } else { "Europe/Berlin".parse().unwrap() };
        let check = ProgramCheck { cases: 16, seed, zone, ..ProgramCheck::default() };
        if let Err(violation) = check.run(&program) {
            panic!("{violation}under {}", program.to_json());
        }
    }
}

#[test]
fn a_check_is_deterministic() {
    let program = program(FULL_PROGRAM);
    let report = check_program(&program).unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(check_program(&program).unwrap(), report);
    assert!(report.findings.is_empty(), "{report}");
    for (invariant, outcome) in report.outcomes {
        assert_eq!(outcome, InvariantOutcome::Holds { cases: 128 }, "{invariant}");
    }
}

#[test]
fn histories_reach_the_whole_program() {
    let full_program = program(FULL_PROGRAM);
    let (histories, mut runner) =
        (customer_histories_under(&full_program, Zone::UTC), TestRunner::deterministic());
    let mut observed = BTreeSet::new();
    for _ in 0..800 {
        let CustomerHistory { tags, attributes, birthday, steps } =
            histories.new_tree(&mut runner).unwrap().current();
        let mut ledger = Ledger::new(full_program.clone());
        ledger.set_tags(tags);
        ledger.set_attributes(attributes);
        ledger.set_birthday(birthday);
        for (now, command) in &steps {
            observed.insert(
                ledger
                    .execute(command, *now)
                    .map_or_else(|refused| refused.code(), |_| "accepted")
                    .to_owned(),
            );
        }
        for event in ledger.events() {
            let json = serde_json::to_value(event).unwrap();
            observed.extend(json.as_object().into_iter().flat_map(|object| object.keys().cloned()));
            if let Event::AwardGiven { award, .. } = event {
                observed.insert(award.reason.name().to_owned());
            } else if let Event::PointsAwarded { calculation, .. } = event {
                observed.extend(
                    calculation
                        .explanation
                        .campaigns
                        .iter()
                        .map(|_| "campaign".to_owned()),
                );
                observed.extend(
                    calculation
                        .explanation
                        .rules
                        .iter()
                        .map(|share| share.rule.to_string()),
                );
            }
        }
    }

    let wanted = [
        "accepted",
        "insufficient_points",
        "redemption_not_open",
        "points_awarded",
        "points_taken_back",
        "points_expired",
        "points_released",
        "points_subtracted",
        "order_cancelled",
        "reward_redeemed",
        "gift_undone",
        "redemption_used",
        "redemption_cancelled",
        "redemption_expired",
        "redemption_reopened",
        "tier_changed",
        "tier_lapsed",
        "award_taken_back",
        "tier_entry",
        "birthday",
        "sign_up",
        "action",
        "code",
        "tea",
        "big",
    ];

    for name in wanted {
        assert!(observed.contains(name), "none of 800 histories has {name}: {observed:?}");
    }
}

/// Decides by the engine, and changes the events.
fn with_changed_decision(
    context: &Context<'_>,
    command: &Command,
    change: impl FnOnce(&mut Vec<Event>),
) -> Result<Decision, Rejection> {
    let mut decision = decide(context, command)?;
    change(&mut decision.events);
    Ok(decision)
}

fn one() -> Points {
    Points::from(1)
}

fn opens_larger_lots(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        for event in events {
            if let Event::PointsAwarded { lot: Some(lot), .. } = event {
                lot.points = lot.points.saturating_add(one());
            }
        }
    })
}

fn owes_what_it_should_forgive(
    context: &Context<'_>,
    command: &Command,
) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        for event in events {
            if let Event::PointsTakenBack { clawback, .. } = event {
                (clawback.debt, clawback.forgiven) = (clawback.forgiven, Points::ZERO);
            }
        }
    })
}

fn drops_clawbacks(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        events.retain(|event| !matches!(event, Event::PointsTakenBack { .. }));
    })
}

fn counts_twice(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        let awards = |event: &&Event| matches!(event, Event::PointsAwarded { .. });
        let again: Vec<_> = events.iter().filter(awards).cloned().collect();
        events.extend(again);
    })
}

fn pays_for_each_report(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    let mut decision = decide(context, command)?;
    if let Command::RecordOrder { .. } = command {
        let mut account = context.account.cloned().unwrap_or_default();
        decision.events.iter().for_each(|event| account.evolve(event));
        let more = Command::AddPoints {
            points: one(),
            reason: loyalty_core::AdjustmentReason::default(),
        };
        decision
            .events
            .extend(decide(&context.with_account(Some(&account)), &more)?.events);
    }

    Ok(decision)
}

fn alternates_answers(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    static GENEROUS: AtomicBool = AtomicBool::new(false);
    if let Command::AddPoints { points, reason: grounds } = command
        && GENEROUS.fetch_xor(true, Ordering::Relaxed)
    {
        let points = points.saturating_add(one());
        return decide(context, &Command::AddPoints { points, reason: grounds.clone() });
    }
    decide(context, command)
}

fn forgets_early_refunds(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    let early = context.order.is_none_or(|order| order.snapshot().is_none());
    with_changed_decision(context, command, |events| {
        events.retain(|event| !early || !matches!(event, Event::OrderRefunded { .. }));
    })
}

fn drops_small_clawbacks(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        events.retain(
            |event| !matches!(event, Event::PointsTakenBack { clawback, .. } if clawback.points() < Points::from(5)),
        );
    })
}

fn misreports_previous_totals(
    context: &Context<'_>,
    command: &Command,
) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        for event in events {
            if let Event::PointsTakenBack { calculation, .. } = event {
                let before = &mut Arc::make_mut(calculation).posted_before;
                before.awarded = before.awarded.saturating_add(one());
            }
        }
    })
}

fn gives_rewards_away(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        for event in events {
            if let Event::RewardRedeemed { issue } = event {
                Arc::make_mut(issue).parts.clear();
            }
        }
    })
}

/// Says that a gift was taken back, and leaves its redemption.
fn leaves_gifts_alive(context: &Context<'_>, command: &Command) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        let is_undone = events.iter().any(|event| matches!(event, Event::GiftUndone { .. }));
        events.retain(|event| !is_undone || !matches!(event, Event::RedemptionCancelled { .. }));
    })
}

fn denies_tier_to_big_spenders(
    context: &Context<'_>,
    command: &Command,
) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        events.retain(|event| !matches!(event, Event::TierChanged { change } if change.counts.spend > 3_000_000));
    })
}

fn ends_points_an_hour_late(
    context: &Context<'_>,
    command: &Command,
) -> Result<Decision, Rejection> {
    with_changed_decision(context, command, |events| {
        for event in events {
            if let Event::PointsAwarded { lot: Some(lot), .. }
            | Event::PointsAdded { lot: Some(lot), .. } = event
            {
                lot.expires_at = lot
                    .expires_at
                    .and_then(|end| end.checked_add_signed(TimeDelta::hours(1)));
            }
        }
    })
}

fn spends_a_minute_too_long(
    context: &Context<'_>,
    command: &Command,
) -> Result<Decision, Rejection> {
    let mut late = *context;
    late.now = context.now.checked_sub_signed(TimeDelta::minutes(1)).unwrap();
    let spends = matches!(command, Command::SubtractPoints { .. });
    decide(if spends { &late } else { context }, command)
}

fn loses_a_cent(
    ledger: &DiscountLedger,
    cart: &Cart,
    stacking: Stacking,
) -> Result<Evaluation, CartError> {
    let mut found = ledger.evaluate(cart, stacking)?;
    let shares = found
        .codes
        .iter_mut()
        .filter_map(|code| code.outcome.as_mut().ok())
        .flat_map(|one| &mut one.shares);
    let cent = Amount::from_ten_thousandths(100).unwrap();

    for share in shares.take(1) {
        share.amount = share.amount.checked_sub(cent).unwrap_or_default();
    }

    Ok(found)
}

#[test]
fn a_broken_engine_breaks_an_invariant_by_name() {
    let evaluate = DiscountLedger::evaluate;
    let cases: [(&str, DecideFn, &str, Invariant); 15] = [
        ("opens larger lots", opens_larger_lots, DEFAULT, Invariant::Conservation),
        (
            "owes instead",
            owes_what_it_should_forgive,
            STOP_AT_ZERO,
            Invariant::NoNegativeExceptDebt,
        ),
        ("drops claw-backs", drops_clawbacks, DEFAULT, Invariant::OrdersMatchEntitlement),
        ("counts twice", counts_twice, DEFAULT, Invariant::OrdersMatchEntitlement),
        ("pays for each report", pays_for_each_report, DEFAULT, Invariant::Idempotency),
        ("alternates", alternates_answers, DEFAULT, Invariant::DryRunEqualsReal),
        (
            "forgets early refunds",
            forgets_early_refunds,
            DEFAULT,
            Invariant::ArrivalOrderIndependence,
        ),
        (
            "drops small claw-backs",
            drops_small_clawbacks,
            DEFAULT,
            Invariant::RefundSlicingIndependence,
        ),
        (
            "spends too long",
            spends_a_minute_too_long,
            EXPIRING,
            Invariant::ExactExpiryInstant,
        ),
        (
            "misreports totals",
            misreports_previous_totals,
            DEFAULT,
            Invariant::EntriesMatchCalculation,
        ),
        ("gives rewards away", gives_rewards_away, REWARDS, Invariant::PointsOrCode),
        ("leaves gifts alive", leaves_gifts_alive, GIFTS, Invariant::OneGiftPerCause),
        (
            "no tier for large spend",
            denies_tier_to_big_spenders,
            TIERS,
            Invariant::TierMonotonicInSpend,
        ),
        (
            "ends points late",
            ends_points_an_hour_late,
            EXPIRING,
            Invariant::ExactExpiryInstant,
        ),
        ("loses a cent", decide, FULL_PROGRAM, Invariant::ExactAllocation),
    ];

    for (name, decide, document, expected) in cases {
        let evaluate = if expected == Invariant::ExactAllocation { loses_a_cent } else { evaluate };
        let check = ProgramCheck {
            engine: Engine { decide, evaluate },
            ..ProgramCheck::default()
        };
        let Err(violation) = check.check_invariant(expected, &program(document)) else {
            panic!("{name}: not noticed")
        };
        let text = violation.to_string();
        assert!(text.starts_with(&format!("{expected} is broken:\n  1. ")), "{text}");
        assert!(violation.transcript.steps().len() <= 9, "{name} has a long transcript: {text}");
    }
}

#[test]
fn a_counterexample_is_readable() {
    let engine = Engine { decide: drops_clawbacks, ..Engine::default() };
    let violation = ProgramCheck { engine, ..ProgramCheck::default() }
        .run(&program(DEFAULT))
        .unwrap_err();
    assert_eq!(
        violation.to_string(),
        "orders match their entitlement is broken:
  1. 2026-01-01 00:00  order 1002 is paid, total 8: an item for 8: +8 points, balance 8
  2. 2026-01-01 00:00  8 of order 1002 is refunded (refund r1): balance 8
  order 1002 has 8 points, but is entitled to 0; 0 expired and 0 were forgiven
"
    );
}

#[test]
fn an_inapplicable_invariant_gives_its_reason() {
    let limited = r#"{"earning": [{"id": "base", "earn": {"per_unit": "1"}, "limits": [{"points": 9, "per": "day"}]}]}"#;
    let by_points = r#"{"tiering": {"metric": "points_earned"},
        "tiers": [{"id": "gold", "name": "Gold", "threshold": "100"}]}"#;
    let cases = [
        (limited, Invariant::ArrivalOrderIndependence, "the rule base grants nothing"),
        (DEFAULT, Invariant::PointsOrCode, "there are no rewards"),
        (REWARDS, Invariant::OneGiftPerCause, "there are no gifts"),
        (DEFAULT, Invariant::TierMonotonicInSpend, "no tier can be earned"),
        (by_points, Invariant::TierMonotonicInSpend, "tiers count points"),
        (DEFAULT, Invariant::ExactExpiryInstant, "points never expire"),
    ];

    for (document, invariant, expected) in cases {
        match ProgramCheck::default().check_invariant(invariant, &program(document)) {
            Ok(InvariantOutcome::NotApplicable { reason }) => {
                assert!(reason.starts_with(expected), "{reason}");
            }
            other => panic!("{invariant}: {other:?}"),
        }
    }
}

#[test]
fn exploitable_programs_are_reported() {
    let five = |cost: u32| {
        format!(
            r#""rewards": [{{"id": "five", "name": "5 off", "cost": {cost}, "gives": {{"fixed_amount": "5"}}}}]"#
        )
    };

    let tier = |entry: &str| {
        format!(
            r#""tiers": [{{"id": "gold", "name": "Gold", "threshold": "100", "entry": {entry}}}]"#
        )
    };

    let welcome = |when: &str| {
        format!(
            r#""earning": [{{"id": "hello", "earn": {{"per_order": 500}}, "when": {{{when}}}}}], {}"#,
            five(500)
        )
    };

    // The rule for tea earns less and replaces the base from 100 on, so spending more earns less.
    let teas = r#""earning": [
        {"id": "base", "earn": {"per_unit": "1"}},
        {"id": "tea", "earn": {"per_unit": "0.01"}, "replaces_base": true,
         "when": {"categories": ["tea"], "minimum_spend": "100"}}],
        "tiering": {"metric": "points_earned"}, "tiers": [{"id": "gold", "name": "Gold", "threshold": "50"}]"#;
    let returning = ProgramProperty::NoGainFromReturning;
    let cases: [(String, &[(ProgramProperty, &str)]); 12] = [
        (five(500), &[]),
        (r#""refunds": "keep""#.to_owned(), &[(returning, "/refunds")]),
        (r#""debt": "stop_at_zero""#.to_owned(), &[(returning, "/debt")]),
        (
            format!(r#""debt": "stop_at_zero", "hold": "P14D", {}"#, five(100)),
            &[(returning, "/debt")],
        ),
        (tier(r#"{"points": 50}"#), &[(returning, "/tiers/0/entry")]),
        (tier(r#"{"points": 50, "taken_back": true}"#), &[]),
        (
            r#""actions": [{"id": "three", "kind": {"goal_orders": 3}, "points": 50}]"#.to_owned(),
            &[(returning, "/actions/0")],
        ),
        (
            format!(r#""refunds": "keep", "debt": "stop_at_zero", {}"#, tier(r#"{"points": 50}"#)),
            &[(returning, "/refunds"), (returning, "/tiers/0/entry"), (returning, "/debt")],
        ),
        (five(4), &[(ProgramProperty::NoRewardAboveSpend, "/rewards/0")]),
        (welcome(""), &[(ProgramProperty::NoRewardAboveSpend, "/rewards/0")]),
        (welcome(r#""minimum_spend": "100""#), &[]),
        (teas.to_owned(), &[(ProgramProperty::NoTierLostBySpending, "/tiering/metric")]),
    ];

    for (fields, expected) in cases {
        let findings = ProgramCheck::default().find_exploits(&program(&format!("{{{fields}}}")));
        let found = findings
            .iter()
            .map(|found| (found.property, found.fault.pointer.as_str()));
        let (mut found, mut expected) = (found.collect::<Vec<_>>(), expected.to_vec());
        found.sort_by_key(|(_, pointer)| *pointer);
        expected.sort_by_key(|(_, pointer)| *pointer);
        assert_eq!(found, expected, "{fields}\n{findings:#?}");
    }
}

#[test]
fn a_finding_is_readable() {
    let keeps = r#"{"refunds": "keep", "rewards": [{"id": "five", "name": "Five off", "cost": 100,
        "gives": {"fixed_amount": "5"}}]}"#;
    let text: Vec<String> = ProgramCheck::default()
        .find_exploits(&program(keeps))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        text,
        ["no gain from returning: /refunds is `keep`: returned orders keep their points. \
          `claw_back` removes them.
  1. 2026-01-01 00:00  order 1001 is paid, total 1: an item for 1: +1 point, balance 1
  2. 2026-01-01 00:00  1 of order 1001 is refunded (refund all-of-1001): balance 1
  In the end all money is refunded, and the customer has a balance of 1 point.
"]
    );
}

#[test]
fn a_transcript_dates_what_was_due_before_a_command() {
    // Spending needs points that are pending no more: the transcript of the exploit passes the
    // instant at which they become usable.
    let keeping = program(
        r#"{"debt": "stop_at_zero", "hold": "P3D",
            "rewards": [{"id": "five", "name": "5 off", "cost": 50, "gives": {"fixed_amount": "5"}}]}"#,
    );
    let report = check_program(&keeping).unwrap_or_else(|violation| panic!("{violation}"));
    let steps: Vec<_> = report
        .findings
        .iter()
        .flat_map(|finding| finding.transcript.steps().iter().cloned())
        .collect();
    let dated = steps
        .iter()
        .filter(|step| step.contains(" after ") && step.contains(" became usable on 2026-01-04 "));
    assert!(dated.count() > 0, "{steps:#?}");
}
