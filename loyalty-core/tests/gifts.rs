//! Gifts: rewards that are given for a cause, and what becomes of them where it is undone.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::similar_names,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at a surprise"
)]

use loyalty_core::account::GiftState;
use loyalty_core::proptest::{check_conservation, check_gifts, check_points_or_code};
use loyalty_core::redemption::RedemptionState;
use loyalty_core::{
    Account, AccountId, Birthday, Command, Context, Event, Ledger, Line, Order, OrderId, Points,
    Program, RedemptionId, ReferralParty, Refund, Status, Timestamp, as_of, decide, merge,
};
use serde_json::json;

const CUP: &str = r#"{"id": "cup", "name": "A cup", "cost": 50, "gives": "custom"}"#;
const FIVE: &str = r#"{"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}, "valid_for": "P1M"}"#;

/// A program with these parts, a cup and a code among its rewards.
fn program(parts: &str) -> Program {
    let document = format!(r#"{{"rewards": [{CUP}, {FIVE}], {parts}}}"#);
    Program::from_json(&document).unwrap()
}

/// A tier from 100 on whose entry gives five off.
fn gold(entry: &str) -> Program {
    program(&format!(
        r#""tiers": [{{"id": "gold", "name": "Gold", "threshold": "100", "entry": {entry}}}]"#
    ))
}

fn at(day: &str) -> Timestamp {
    format!("2026-{day}T12:00:00Z").parse().unwrap()
}

fn id(text: &str) -> OrderId {
    text.parse().unwrap()
}

fn order(total: &str) -> Order {
    Order::new([Line::new("1".parse().unwrap(), total.parse().unwrap())]).unwrap()
}

fn pay(ledger: &mut Ledger, name: &str, total: &str, day: &str) {
    ledger
        .record_order(&id(name), order(total), Status::Paid, at(day))
        .unwrap();
    issue(ledger, day);
}

fn give_back(ledger: &mut Ledger, name: &str, amount: &str, day: &str) {
    let refund = format!("r{day}").parse().unwrap();
    ledger
        .refund(&id(name), Refund::of_amount(refund, amount.parse().unwrap()), at(day))
        .unwrap();
    issue(ledger, day);
}

/// Issues the gifts that wait, and checks all that is known.
fn issue(ledger: &mut Ledger, day: &str) -> Vec<RedemptionId> {
    let mut issued = Vec::new();
    while let Some(redemption) = ledger
        .issue_gift([u8::try_from(ledger.events().len()).unwrap(); 16], at(day))
        .unwrap()
    {
        issued.push(redemption.issue().id);
    }
    check_gifts(ledger).unwrap();
    check_conservation(ledger).unwrap();
    check_points_or_code(ledger, at(day)).unwrap();
    issued
}

/// The states of all redemptions, oldest first.
fn states(ledger: &Ledger) -> Vec<&'static str> {
    ledger
        .redemptions()
        .values()
        .map(|redemption| redemption.state().name())
        .collect()
}

fn texts(ledger: &Ledger) -> Vec<String> {
    let told = ledger.events().iter().filter_map(|event| match event {
        Event::AwardGiven { points, award, .. } => Some(award.explain(*points)),
        Event::RewardRedeemed { issue } => Some(issue.to_string()),
        _ => None,
    });
    told.collect()
}

#[test]
fn entering_a_tier_gives_a_reward_at_no_cost() {
    let mut ledger = Ledger::new(gold(r#"{"points": 10, "gift": {"reward": "five"}}"#));
    pay(&mut ledger, "o1", "120", "01-01");

    assert_eq!(
        texts(&ledger),
        [
            "10 points and 5 off for entering tier gold.",
            "5 off for entering tier gold: 5 off, to be used before 2026-02-01 12:00:00 UTC.",
        ]
    );
    let redemption = ledger.redemptions().values().next().unwrap();
    assert!(redemption.issue().code.is_some());
    assert_eq!(
        (redemption.issue().points, ledger.balance(at("01-01"))),
        (Points::ZERO, 130.into())
    );
    assert_eq!(
        serde_json::to_value(redemption.issue()).unwrap()["cause"],
        json!({"tier_entry": {"tier": "gold"}})
    );

    // Cancelling it gives nothing back, and its end neither.
    let mut cancelled = ledger.clone();
    let given_back = cancelled
        .cancel_redemption(redemption.issue().id, at("01-02"))
        .unwrap();
    assert_eq!(given_back.points(), Points::ZERO);
    let ended = ledger.catch_up(at("03-01")).unwrap();
    assert_eq!((ended.points(), states(&ledger)), (Points::ZERO, vec!["expired"]));
    check_gifts(&ledger).unwrap();
}

#[test]
fn every_cause_can_give_a_reward() {
    let parts = r#""actions": [
        {"id": "join", "kind": "sign_up", "gift": {"reward": "cup"}},
        {"id": "cake", "kind": {"birthday": {"notice_days": 0}}, "gift": {"reward": "cup"}},
        {"id": "year", "kind": "anniversary", "points": 5, "gift": {"reward": "cup"}},
        {"id": "two", "kind": {"goal_orders": 2}, "gift": {"reward": "cup"}},
        {"id": "word", "kind": {"code": "TEA"}, "gift": {"reward": "cup"}},
        {"id": "wash", "kind": "custom", "gift": {"reward": "cup"}, "limits": [{"times": 2, "per": "ever"}]}]"#;
    let birthday = Birthday { day: "1990-05-04".parse().unwrap(), set_at: at("01-01") };
    let mut ledger = Ledger::new(program(parts)).with_birthday(birthday);
    ledger.sign_up(at("01-01")).unwrap();
    ledger.sign_up(at("01-01")).unwrap();
    let tea = Command::EnterCode { code: "tea".into(), used_by_other: false };
    ledger.execute(&tea, at("01-01")).unwrap();
    let wash = || "wash".parse().unwrap();
    ledger.perform_action(&wash(), at("01-01")).unwrap();
    ledger.perform_action(&wash(), at("01-01")).unwrap();
    assert_eq!(ledger.perform_action(&wash(), at("01-01")).unwrap_err().code(), "limit_reached");
    pay(&mut ledger, "o1", "10", "01-02");
    pay(&mut ledger, "o2", "10", "01-03");
    let later = "2027-01-10T12:00:00Z".parse().unwrap();
    while ledger.issue_gift([9; 16], later).unwrap().is_some() {}

    let causes: Vec<_> = ledger
        .redemptions()
        .values()
        .map(|redemption| {
            (redemption.issue().cause.as_ref().unwrap().name(), redemption.issue().at)
        })
        .collect();
    let midnight = |day: &str| format!("{day}T00:00:00Z").parse::<Timestamp>().unwrap();
    assert_eq!(
        causes,
        [
            ("sign_up", at("01-01")),
            ("code", at("01-01")),
            ("action", at("01-01")),
            ("action", at("01-01")),
            ("goal", at("01-03")),
            ("birthday", midnight("2026-05-04")),
            ("anniversary", midnight("2027-01-02")),
        ]
    );
    assert_eq!(ledger.balance(later), Points::from(25));
    // Only the goal can be undone: of the others the account need not remember anything.
    assert_eq!(ledger.account().activity().gifts().iter().count(), 1);
    check_gifts(&ledger).unwrap();
}

#[test]
fn a_refund_takes_the_gift_of_a_tier_back_by_policy() {
    for (policy, expected) in [("take_back", "cancelled"), ("keep", "issued")] {
        let entry = format!(r#"{{"gift": {{"reward": "five", "when_undone": "{policy}"}}}}"#);
        let mut ledger = Ledger::new(gold(&entry));
        pay(&mut ledger, "o1", "120", "01-01");
        give_back(&mut ledger, "o1", "30", "01-02");
        assert_eq!(states(&ledger), [expected]);
        assert_eq!(ledger.balance(at("01-02")), Points::from(90));
    }
}

#[test]
fn a_tier_that_is_reached_again_gives_one_gift_in_place_of_the_lost_one() {
    // The entry bonus of the points is taken back too, so that the entry counts again.
    let mut ledger =
        Ledger::new(gold(r#"{"points": 5, "taken_back": true, "gift": {"reward": "five"}}"#));
    for (day, name) in [("01-01", "o1"), ("01-03", "o2")] {
        pay(&mut ledger, name, "120", day);
        if name == "o1" {
            give_back(&mut ledger, name, "30", "01-02");
        }
    }
    assert_eq!(states(&ledger), ["cancelled", "issued"]);
}

#[test]
fn a_gift_that_was_used_stays_and_comes_no_second_time() {
    let entry = r#"{"points": 5, "taken_back": true, "gift": {"reward": "five"}}"#;
    let mut ledger = Ledger::new(gold(entry));
    pay(&mut ledger, "o1", "120", "01-01");
    let gift = ledger.redemptions().values().next().unwrap().clone();
    let with_code = Order {
        codes: vec![gift.issue().code.clone().unwrap()],
        ..order("1")
    };
    ledger
        .record_order(&id("o2"), with_code.clone(), Status::Paid, at("01-02"))
        .unwrap();
    give_back(&mut ledger, "o1", "30", "01-03");
    assert_eq!(states(&ledger), ["used"]);

    pay(&mut ledger, "o3", "120", "01-04");
    assert_eq!(states(&ledger), ["used"]);
    let last = texts(&ledger).pop().unwrap();
    assert_eq!(
        last,
        "5 points for entering tier gold. 5 off was given for it before, and was used or has ended."
    );

    // The order that used it is cancelled: the tier is there, so the code can be used again.
    let mut reopened = ledger.clone();
    reopened.cancel_order(&id("o2"), at("01-05")).unwrap();
    assert_eq!(states(&reopened), ["issued"]);
    check_gifts(&reopened).unwrap();

    // The tier is lost again before: now the code is not given back.
    give_back(&mut ledger, "o3", "120", "01-05");
    ledger.cancel_order(&id("o2"), at("01-06")).unwrap();
    assert_eq!(states(&ledger), ["cancelled"]);
    check_gifts(&ledger).unwrap();

    // Whoever has no gift gets one when the tier is reached again.
    pay(&mut ledger, "o4", "120", "01-07");
    assert_eq!(states(&ledger), ["cancelled", "issued"]);

    // The old code turns up in an order after all: a fact, which does not bring it back to life.
    ledger
        .record_order(&id("o5"), with_code, Status::Paid, at("01-08"))
        .unwrap();
    ledger.cancel_order(&id("o5"), at("01-09")).unwrap();
    assert_eq!(states(&ledger), ["cancelled", "issued"]);
    check_gifts(&ledger).unwrap();
}

#[test]
fn an_order_that_used_a_gift_gives_the_code_back_where_others_give_points_back() {
    let document = program(
        r#""redemption": {"order_cancelled": "points"},
        "actions": [{"id": "join", "kind": "sign_up", "gift": {"reward": "five"}}]"#,
    );
    let mut ledger = Ledger::new(document);
    ledger.sign_up(at("01-01")).unwrap();
    issue(&mut ledger, "01-01");
    let code = ledger
        .redemptions()
        .values()
        .next()
        .unwrap()
        .issue()
        .code
        .clone()
        .unwrap();
    let with_code = Order { codes: vec![code], ..order("20") };
    ledger
        .record_order(&id("o1"), with_code, Status::Paid, at("01-02"))
        .unwrap();
    ledger.cancel_order(&id("o1"), at("01-03")).unwrap();
    assert_eq!(states(&ledger), ["issued"]);
}

#[test]
fn a_goal_that_is_missed_again_takes_only_its_gift_back() {
    let mut ledger = Ledger::new(program(
        r#""actions": [{"id": "two", "kind": {"goal_orders": 2}, "points": 7, "gift": {"reward": "cup"}}]"#,
    ));
    pay(&mut ledger, "o1", "10", "01-01");
    pay(&mut ledger, "o2", "10", "01-02");
    assert_eq!((states(&ledger), ledger.balance(at("01-02"))), (vec!["issued"], 27.into()));
    ledger.cancel_order(&id("o2"), at("01-03")).unwrap();
    assert_eq!((states(&ledger), ledger.balance(at("01-03"))), (vec!["cancelled"], 17.into()));

    pay(&mut ledger, "o3", "10", "01-04");
    assert_eq!(states(&ledger), ["cancelled", "issued"]);
    assert_eq!(ledger.balance(at("01-04")), 27.into(), "points of a goal come once");
    assert_eq!(texts(&ledger)[2], "A cup for reaching two.");
}

#[test]
fn a_held_gift_is_issued_after_the_hold_unless_its_cause_is_undone() {
    let parts = r#""referrals": {"sent_gift": {"reward": "five"}, "received_gift": {"reward": "cup"},
        "hold": "P14D", "milestones": [{"friends": 1, "gift": {"reward": "cup"}}]}"#;
    let mut friend = Ledger::new(program(parts));
    let party = |number| ReferralParty {
        account: AccountId(number),
        email: None,
        household: std::collections::BTreeSet::new(),
    };
    let join = Command::JoinReferral { referee: party(2), referrer: party(1) };
    friend.execute(&join, at("01-01")).unwrap();
    let completed = friend
        .record_order(&id("o1"), order("20"), Status::Paid, at("01-02"))
        .unwrap();
    issue(&mut friend, "01-02");
    assert_eq!(states(&friend), ["issued"]);

    let mut sender = Ledger::new(program(parts));
    let (_, reward) = completed.follow_ups.into_iter().next().unwrap();
    sender.execute(&reward, at("01-02")).unwrap();
    assert_eq!(issue(&mut sender, "01-02"), []);
    assert_eq!(sender.next_due(), Some(at("01-16")));
    let mut later = sender.clone();
    assert_eq!(issue(&mut later, "01-16").len(), 2);
    // A second order of the friend, or the same report again, gives nothing more.
    later.execute(&reward, at("01-17")).unwrap();
    assert_eq!(issue(&mut later, "02-20"), []);

    let undone = friend.cancel_order(&id("o1"), at("01-10")).unwrap();
    assert_eq!(states(&friend), ["cancelled"]);
    let (_, undo) = undone.follow_ups.into_iter().next().unwrap();
    for ledger in [&mut sender, &mut later] {
        ledger.execute(&undo, at("02-21")).unwrap();
        assert_eq!(issue(ledger, "02-22"), []);
        let open = ledger.redemptions().values();
        assert!(open.into_iter().all(|one| *one.state() != RedemptionState::Issued));
    }
}

#[test]
fn reads_and_dry_runs_give_the_gift_without_its_code() {
    let document = program(
        r#""actions": [{"id": "cake", "kind": {"birthday": {"notice_days": 0}}, "gift": {"reward": "five"}}]"#,
    );
    let birthday = Birthday { day: "1990-05-04".parse().unwrap(), set_at: at("01-01") };
    let mut ledger = Ledger::new(document).with_birthday(birthday);
    ledger.add(Points::from(5), "welcome", at("01-01")).unwrap();
    let due = ledger.next_due().unwrap();
    let seen = ledger.as_of(due);
    assert_eq!(seen.activity().gifts().first_due(due).unwrap().state, GiftState::Pending);
    let dry = ledger.dry_run(&Command::CatchUp, at("12-01")).unwrap();
    assert!(matches!(dry.events[..], [Event::AwardGiven { .. }]));

    // Written down half a year late, it has the terms of the day itself, and has ended.
    issue(&mut ledger, "12-01");
    let gift = ledger.redemptions().values().next().unwrap();
    assert_eq!((gift.issue().at, gift.state().name()), (due, "expired"));
    assert_eq!(gift.issue().ends_at.unwrap().to_string(), "2026-06-04 00:00:00 UTC");
}

#[test]
fn a_gift_does_not_count_for_limits_and_has_none() {
    let document = r#"{"rewards": [{"id": "cup", "name": "A cup", "cost": 50, "gives": "custom",
            "when": {"customer_tags": ["vip"]},
            "limits": [{"times": 1, "per": "ever"}], "limits_in_all": [{"times": 1, "per": "ever"}]}],
        "actions": [{"id": "wash", "kind": "custom", "gift": {"reward": "cup"}}]}"#;
    let mut ledger = Ledger::new(Program::from_json(document).unwrap());
    let cup = || "cup".parse().unwrap();
    for _ in 0..2 {
        ledger.perform_action(&"wash".parse().unwrap(), at("01-01")).unwrap();
        issue(&mut ledger, "01-01");
    }
    assert_eq!(states(&ledger), ["issued", "issued"]);
    ledger.set_tags(["vip".parse().unwrap()]);
    ledger.add(Points::from(100), "welcome", at("01-02")).unwrap();
    ledger.cancel_redemption(RedemptionId(1), at("01-02")).unwrap();
    ledger.redeem(&cup(), [1; 16], at("01-02")).unwrap();
    assert_eq!(
        ledger.redeem(&cup(), [2; 16], at("01-02")).unwrap_err().code(),
        "reward_limit_reached"
    );
}

#[test]
fn a_merge_keeps_gifts_and_is_not_undone_once_one_was_issued() {
    let document = gold(r#"{"gift": {"reward": "five"}}"#);
    let mut guest = Ledger::new(document.clone());
    guest
        .record_order(&id("o1"), order("120"), Status::Paid, at("01-01"))
        .unwrap();
    let (from, into) = merge(
        (AccountId(1), guest.account()),
        (AccountId(2), Ledger::new(document.clone()).account()),
        at("01-02"),
    )
    .unwrap();
    let mut customer = Ledger::new(document);
    for event in into {
        customer.apply(event).unwrap();
    }
    assert!(!from.is_empty());

    let absorption = customer.events().iter().find_map(|event| match event {
        Event::AccountAbsorbed(absorption) => Some(std::sync::Arc::clone(absorption)),
        _ => None,
    });
    let undo = Command::UndoClaim { claim: absorption.unwrap() };
    let undone = customer.dry_run(&undo, at("01-03")).unwrap();
    assert!(!undone.events.is_empty());

    // The award is in the guest's events, so the whole check is not for this ledger.
    assert!(customer.issue_gift([1; 16], at("01-03")).unwrap().is_some());
    assert!(customer.issue_gift([2; 16], at("01-03")).unwrap().is_none());
    assert_eq!(customer.dry_run(&undo, at("01-03")).unwrap_err().code(), "claim_spent");
}

#[test]
fn gifts_of_a_program_are_checked_by_their_place() {
    let faults = |document: &str| -> Vec<(String, &str)> {
        let error = Program::from_json(document).unwrap_err();
        error
            .faults()
            .iter()
            .map(|fault| (fault.pointer.clone(), fault.code))
            .collect()
    };
    let known = |code, pointers: &[&str]| -> Vec<(String, &str)> {
        pointers.iter().map(|pointer| ((*pointer).to_owned(), code)).collect()
    };
    assert_eq!(
        faults(
            r#"{"tiers": [{"id": "gold", "name": "Gold", "threshold": "1", "entry": {"gift": {"reward": "x"}}}],
            "actions": [{"id": "a", "kind": "custom", "gift": {"reward": "x"}}],
            "referrals": {"received_gift": {"reward": "x"}, "sent_gift": {"reward": "x"},
                          "milestones": [{"friends": 1, "gift": {"reward": "x"}}]}}"#
        ),
        known(
            "unknown_reward",
            &[
                "/tiers/0/entry/gift/reward",
                "/actions/0/gift/reward",
                "/referrals/received_gift/reward",
                "/referrals/sent_gift/reward",
                "/referrals/milestones/0/gift/reward",
            ]
        )
    );
    let variable = r#"{"actions": [{"id": "a", "kind": "custom", "gift": {"reward": "any"}}],
        "rewards": [{"id": "any", "name": "Any", "gives": {"variable_amount": {"points_per_unit": 1}}}]}"#;
    assert_eq!(faults(variable), known("contradiction", &["/actions/0/gift/reward"]));
    let without = r#"{"actions": [{"id": "a", "kind": "custom"}]}"#;
    assert_eq!(faults(without), known("missing_field", &["/actions/0/points"]));
    let zero = r#"{"actions": [{"id": "a", "kind": "custom", "points": 0}]}"#;
    assert_eq!(faults(zero), known("out_of_range", &["/actions/0/points"]));

    let whole = gold(r#"{"gift": {"reward": "five", "when_undone": "keep"}}"#);
    assert_eq!(Program::from_json(&whole.to_json()).unwrap(), whole);
}

#[test]
fn a_gift_needs_no_context_of_its_own() {
    // The bare rules: a bonus names the gift, and a command of its own issues it.
    let document = gold(r#"{"gift": {"reward": "five"}}"#);
    let mut ledger = Ledger::new(document.clone());
    ledger
        .record_order(&id("o1"), order("120"), Status::Paid, at("01-01"))
        .unwrap();
    let account = as_of(&Context::new(&document, ledger.account(), at("01-01")));
    let context = Context::new(&document, &account, at("01-01"));
    let command = Command::IssueGift { redemption: RedemptionId(7), entropy: [1; 16] };
    let issued = decide(&context, &command).unwrap();
    assert!(
        matches!(&issued.events[..], [Event::RewardRedeemed { issue }] if issue.id == RedemptionId(7))
    );
    let none = decide(&Context::new(&document, &Account::default(), at("01-01")), &command);
    assert_eq!(none.unwrap_err().code(), "unknown_redemption");
}
