//! The front door: what an embedder could forget with the bare rules cannot be forgotten here.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may stop at a surprise"
)]

use std::collections::BTreeSet;

use loyalty_core::account::Usage;
use loyalty_core::discount::Code;
use loyalty_core::{
    AccountId, Amount, Command, Context, Currency, Event, Ledger, Line, LineId, Order, OrderId,
    Points, Program, ProgramVersion, Redemption, ReferralParty, Refund, RefundId, Rejection,
    ReplayError, RewardId, Status, Timestamp, decide,
};

const FIVE_OFF: &str = r#"{"rewards": [
    {"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}}
]}"#;
const DOUBLE: &str = r#"{"earning": [{"id": "base", "earn": {"per_unit": "2"}}]}"#;

fn program(document: &str) -> Program {
    Program::from_json(document).unwrap()
}

/// A midnight of 2026.
fn at(day: &str) -> Timestamp {
    format!("2026-{day}T00:00:00Z").parse().unwrap()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn id(text: &str) -> OrderId {
    OrderId::new(text).unwrap()
}

fn order(cost: &str) -> Order {
    Order::new([Line::new(LineId::new("1").unwrap(), amount(cost))]).unwrap()
}

fn refund(name: &str, cost: &str) -> Refund {
    Refund::of_amount(RefundId::new(name).unwrap(), amount(cost))
}

fn five() -> RewardId {
    RewardId::new("five").unwrap()
}

fn code(redemption: &Redemption) -> Code {
    redemption.issue().code.clone().unwrap()
}

/// A ledger with 49 points of order 1001.
fn ledger_with_order() -> Ledger {
    let mut ledger = Ledger::new(Program::default());
    let paid = ledger.record_order(&id("1001"), order("49.95"), Status::Paid, at("01-31"));
    assert_eq!(paid.unwrap().points(), Points::from(49));
    ledger
}

/// A ledger whose 150 points have bought a code.
fn ledger_with_code() -> (Ledger, Redemption) {
    let mut ledger = Ledger::new(program(FIVE_OFF));
    ledger.add(Points::from(150), "welcome", at("01-01")).unwrap();
    let redemption = ledger.redeem(&five(), [7; 16], at("01-02")).unwrap();
    assert_eq!(ledger.balance(at("01-02")), Points::from(50));
    (ledger, redemption)
}

fn replay(ledger: &Ledger, program: Program) -> Ledger {
    Ledger::new(program).replay(ledger.events().to_vec()).unwrap()
}

#[test]
fn one_paid_order_is_awarded_once() {
    let first = ledger_with_order();
    let stored = replay(&first, Program::default());
    for mut ledger in [first, stored] {
        let again = ledger.record_order(&id("1001"), order("49.95"), Status::Paid, at("02-01"));
        assert!(again.unwrap().events.is_empty());
        let later =
            ledger.record_order(&id("1001"), order("49.95"), Status::Fulfilled, at("02-02"));
        assert_eq!(later.unwrap().points(), Points::ZERO);
        assert_eq!(ledger.balance(at("02-02")), Points::from(49));
    }
}

#[test]
fn a_refund_is_never_silent() {
    let mut ledger = ledger_with_order();
    let taken = ledger.refund(&id("1001"), refund("R1", "20"), at("02-01")).unwrap();
    assert_eq!(taken.points(), Points::from(20).negated());
    assert!(
        taken
            .calculation()
            .unwrap()
            .to_string()
            .contains("Of the total of 49.95, 20 was")
    );

    // What does not fit is rejected by name.
    let other = ledger.refund(&id("1001"), refund("R1", "21"), at("02-01"));
    assert!(matches!(other, Err(Rejection::RefundDiffers { .. })), "{other:?}");
    let beyond = ledger.refund(&id("1001"), refund("R2", "30"), at("02-01"));
    assert!(matches!(beyond, Err(Rejection::RefundExceedsOrder { .. })), "{beyond:?}");
    let unknown = Refund::of_lines("R3".parse().unwrap(), [("9".parse().unwrap(), 1.into())]);
    let unknown = ledger.refund(&id("1001"), unknown, at("02-01"));
    assert!(matches!(unknown, Err(Rejection::UnknownLine { .. })), "{unknown:?}");
    assert_eq!(ledger.balance(at("02-01")), Points::from(29));
}

#[test]
fn a_refund_before_its_order_counts_once_the_order_comes() {
    let mut ledger = Ledger::new(Program::default());
    let early = ledger.refund(&id("1001"), refund("R1", "20"), at("01-01")).unwrap();
    assert_eq!((early.events.len(), early.points()), (1, Points::ZERO));

    let paid = ledger.record_order(&id("1001"), order("49.95"), Status::Paid, at("01-02"));
    assert_eq!(paid.unwrap().points(), Points::from(29));
}

#[test]
fn each_order_has_its_own_state() {
    let mut ledger = ledger_with_order();
    ledger
        .record_order(&id("1002"), order("10"), Status::Paid, at("01-31"))
        .unwrap();

    // The same refund id and more than the other order is worth.
    ledger.refund(&id("1001"), refund("R1", "40"), at("02-01")).unwrap();
    ledger.refund(&id("1002"), refund("R1", "10"), at("02-01")).unwrap();
    let net = |order: &str| {
        let posted = ledger.order(&id(order)).unwrap().posted();
        (posted.awarded.get(), posted.clawed_back.get())
    };
    assert_eq!((net("1001"), net("1002")), ((49, 40), (10, 10)));

    ledger.cancel_order(&id("1002"), at("02-02")).unwrap();
    assert_eq!(ledger.balance(at("02-02")), Points::from(9));
    assert!(ledger.order(&id("1002")).unwrap().is_cancelled());
    assert!(!ledger.order(&id("1001")).unwrap().is_cancelled());
}

/// A ledger hands the rules the right state. Who calls the rules without it gets no wrong points.
#[test]
fn another_orders_state_is_rejected_by_name() {
    let (program, ledger) = (Program::default(), ledger_with_order());
    let context = Context::new(&program, ledger.account(), at("02-01"))
        .with_order(ledger.order(&id("1001")).unwrap());
    let command = Command::CancelOrder { order: id("1002"), at: None };
    let mismatch = Rejection::OrderMismatch { order: id("1002") };
    assert_eq!(decide(&context, &command), Err(mismatch));

    let ignored = ledger.dry_run(&command, at("02-01")).unwrap();
    assert_eq!(ignored.points(), Points::ZERO);
}

#[test]
fn an_order_keeps_the_program_it_earned_under() {
    let mut ledger = ledger_with_order();
    assert_eq!(ledger.publish(program(DOUBLE), at("02-01")), ProgramVersion(2));
    let taken = ledger.refund(&id("1001"), refund("R1", "9.95"), at("02-02")).unwrap();
    assert_eq!(taken.points(), Points::from(9).negated());
    assert_eq!(ledger.explain(&id("1001")).unwrap().program, ProgramVersion(1));

    let paid = ledger.record_order(&id("1002"), order("10"), Status::Paid, at("02-02"));
    assert_eq!(paid.unwrap().points(), Points::from(20));
    assert_eq!(ledger.explain(&id("1002")).unwrap().program, ProgramVersion(2));
}

#[test]
fn a_program_decides_from_its_instant_on() {
    let mut ledger = Ledger::new(Program::default());
    ledger.publish(program(DOUBLE), at("02-01"));
    let paid = |ledger: &mut Ledger, order_id: &str, day: &str| {
        let decision = ledger.record_order(&id(order_id), order("10"), Status::Paid, at(day));
        decision.unwrap().points().get()
    };
    assert_eq!(paid(&mut ledger, "1001", "01-31"), 10);
    assert_eq!(paid(&mut ledger, "1002", "02-01"), 20);

    // One that would have come in force later never does.
    ledger.publish(program(r#"{"earning": []}"#), at("04-01"));
    ledger.publish(program(DOUBLE), at("03-01"));
    assert_eq!(paid(&mut ledger, "1003", "05-01"), 20);
}

#[test]
fn a_replay_without_the_programs_is_rejected() {
    let mut ledger = Ledger::new(Program::default());
    ledger.publish(program(DOUBLE), at("01-01"));
    ledger
        .record_order(&id("1001"), order("10"), Status::Paid, at("01-31"))
        .unwrap();

    let again = Ledger::new(Program::default()).replay(ledger.events().to_vec());
    let missing = ReplayError::UnknownProgram { order: id("1001"), version: ProgramVersion(2) };
    assert_eq!(again.unwrap_err(), missing);
}

#[test]
fn a_replay_makes_the_same_ledger() {
    let (mut ledger, redemption) = ledger_with_code();
    let paid = order("30").with_codes([code(&redemption)]);
    ledger
        .record_order(&id("1001"), paid, Status::Paid, at("01-03"))
        .unwrap();
    ledger.refund(&id("1001"), refund("R1", "7"), at("01-04")).unwrap();

    let again = replay(&ledger, program(FIVE_OFF));
    assert_eq!(again.account(), ledger.account());
    assert_eq!(again.orders(), ledger.orders());
    assert_eq!(again.redemptions(), ledger.redemptions());
    assert_eq!(again.usage(&five()), ledger.usage(&five()));
    assert_eq!(again.events(), ledger.events());
    assert!(again.unsaved_events().is_empty());
}

#[test]
fn unsaved_events_are_those_since_the_mark() {
    let mut ledger = ledger_with_order();
    let all = ledger.events().len();
    assert_eq!(ledger.unsaved_events().len(), all);
    ledger.mark_saved();
    ledger.add(Points::from(5), "", at("02-01")).unwrap();
    assert!(matches!(ledger.unsaved_events(), [Event::PointsAdded { .. }]));
    assert_eq!(ledger.events().len(), all + 1);
}

#[test]
fn the_currency_decides_what_rounding_explains() {
    let snapshot = || order("100").with_total(amount("101"));
    let mut yen = Ledger::new(Program::default()).with_currency(Currency::JPY);
    yen.record_order(&id("1"), snapshot(), Status::Paid, at("01-01"))
        .unwrap();

    let mut euro = Ledger::new(Program::default()).with_currency(Currency::EUR);
    let wrong = euro.record_order(&id("1"), snapshot(), Status::Paid, at("01-01"));
    assert_eq!(wrong.unwrap_err().code(), "totals_disagree");
}

#[test]
fn a_rejection_changes_nothing() {
    let (mut ledger, redemption) = ledger_with_code();
    let before = ledger.clone();
    let number = redemption.issue().id;

    let poor = ledger.redeem(&five(), [8; 16], at("01-03"));
    assert_eq!(poor.unwrap_err().code(), "insufficient_points");
    let wrong = order("10").with_total(amount("20")).with_codes([code(&redemption)]);
    let wrong = ledger.record_order(&id("1001"), wrong, Status::Paid, at("01-03"));
    assert_eq!(wrong.unwrap_err().code(), "totals_disagree");
    let more = ledger.subtract(Points::from(51), "", at("01-03"));
    assert_eq!(more.unwrap_err().code(), "insufficient_points");

    assert_eq!(ledger.events(), before.events());
    assert_eq!(ledger.account(), before.account());
    assert_eq!(ledger.orders(), before.orders());
    assert_eq!(ledger.redemption(number), before.redemption(number));
}

#[test]
fn a_dry_run_decides_what_the_command_does() {
    let ledger = ledger_with_order();
    let command = Command::CancelOrder { order: id("1001"), at: None };
    let dry = ledger.dry_run(&command, at("02-01")).unwrap();
    assert_eq!(ledger.balance(at("02-01")), Points::from(49));
    assert_eq!(ledger.clone().execute(&command, at("02-01")).unwrap(), dry);
}

#[test]
fn a_code_in_an_order_is_used_and_given_back() {
    let (mut ledger, redemption) = ledger_with_code();
    let number = redemption.issue().id;
    let state = |ledger: &Ledger| ledger.redemption(number).unwrap().state().name();
    let record = |ledger: &mut Ledger, name: &str, snapshot: Order, day: &str| {
        ledger
            .record_order(&id(name), snapshot, Status::Paid, at(day))
            .unwrap();
    };
    let with_code = || order("30").with_codes([code(&redemption)]);

    record(&mut ledger, "1001", with_code(), "01-03");
    assert_eq!(state(&ledger), "used");
    let again = ledger.use_redemption(number, Some(&id("1002")), at("01-03"));
    assert!(matches!(again, Err(Rejection::RedemptionNotOpen { .. })), "{again:?}");

    // The order no longer has the code; then it has it again; then it is cancelled.
    record(&mut ledger, "1001", order("30"), "01-04");
    assert_eq!(state(&ledger), "issued");
    record(&mut ledger, "1001", with_code(), "01-05");
    assert_eq!(state(&ledger), "used");
    ledger.cancel_order(&id("1001"), at("01-06")).unwrap();
    assert_eq!(state(&ledger), "issued");

    // Another order can use it now, and the cancelled one does not take it away again.
    record(&mut ledger, "1002", with_code(), "01-07");
    ledger.cancel_order(&id("1001"), at("01-08")).unwrap();
    assert_eq!(state(&ledger), "used");
}

#[test]
fn a_cancelled_order_gives_back_what_the_shop_said_it_used() {
    let (mut ledger, redemption) = ledger_with_code();
    let number = redemption.issue().id;
    ledger
        .record_order(&id("1001"), order("30"), Status::Paid, at("01-03"))
        .unwrap();
    ledger.use_redemption(number, Some(&id("1001")), at("01-03")).unwrap();
    ledger
        .record_order(&id("1001"), order("31"), Status::Paid, at("01-04"))
        .unwrap();
    assert_eq!(ledger.redemption(number).unwrap().state().name(), "used");
    ledger.cancel_order(&id("1001"), at("01-05")).unwrap();
    assert_eq!(ledger.redemption(number).unwrap().state().name(), "issued");
}

#[test]
fn refunds_return_the_points_that_the_order_was_paid_with() {
    // The order of 30 was paid with 100 points. Each row is a policy, refunds by amount, and
    // the points of the redemption that came back after each.
    for (policies, refunds, expected) in [
        ("", &["15", "15"][..], &[0, 0][..]),
        (r#""order_refunded": "keep""#, &["30"], &[0]),
        (r#""order_refunded": "points""#, &["30"], &[100]),
        (r#""order_refunded": "points""#, &["15", "15"], &[50, 100]),
        (r#""order_refunded": "points""#, &["10", "10", "10"], &[33, 66, 100]),
        (r#""order_refunded": "points""#, &["0.01", "29.99"], &[0, 100]),
        (r#""order_refunded": "points", "order_cancelled": "points""#, &["10"], &[33]),
    ] {
        let terms = format!(r#"{{"redemption": {{{policies}}}, "#);
        let document = FIVE_OFF.replacen('{', &terms, 1);
        for by_code in [true, false] {
            let mut ledger = Ledger::new(program(&document));
            ledger.add(Points::from(150), "welcome", at("01-01")).unwrap();
            let redemption = ledger.redeem(&five(), [7; 16], at("01-02")).unwrap();
            let number = redemption.issue().id;
            let codes = by_code.then(|| code(&redemption));
            let paid = order("30").with_codes(codes);
            ledger
                .record_order(&id("1001"), paid.clone(), Status::Paid, at("01-03"))
                .unwrap();
            if !by_code {
                ledger.use_redemption(number, Some(&id("1001")), at("01-03")).unwrap();
            }
            assert_eq!(ledger.balance(at("01-03")), Points::from(80));

            let refunded = |ledger: &Ledger| ledger.redemption(number).unwrap().refunded().get();
            for (index, (cost, back)) in refunds.iter().zip(expected).enumerate() {
                let refund = refund(&format!("R{index}"), cost);
                // Twice: once however often it is told.
                ledger.refund(&id("1001"), refund.clone(), at("01-04")).unwrap();
                ledger.refund(&id("1001"), refund, at("01-04")).unwrap();
                assert_eq!(refunded(&ledger), *back, "{policies} {refunds:?} {by_code}");
            }
            assert_eq!(ledger.redemption(number).unwrap().state().name(), "used");

            // The cancellation returns the rest, as points once some came back, never both.
            let back = *expected.last().unwrap();
            ledger.cancel_order(&id("1001"), at("01-05")).unwrap();
            let state = ledger.redemption(number).unwrap().state().name();
            let balance = ledger.balance(at("01-05")).get();
            let expected = if back > 0 { ("cancelled", 150) } else { ("issued", 50) };
            assert_eq!((state, balance), expected, "{policies} {refunds:?} {by_code}");

            let stored = replay(&ledger, program(&document));
            assert_eq!(stored.redemption(number), ledger.redemption(number));
            assert_eq!(stored.account(), ledger.account());
        }
    }
}

#[test]
fn returned_points_go_to_their_lots() {
    let document = FIVE_OFF.replacen(
        '{',
        r#"{"redemption": {"order_refunded": "points"}, "expiry": {"per_lot": {"after": "P6M"}}, "#,
        1,
    );
    let mut ledger = Ledger::new(program(&document));
    for (points, day) in [(60, "01-01"), (90, "01-02")] {
        ledger.add(Points::from(points), "", at(day)).unwrap();
    }
    let before: Vec<_> = ledger.account().lots().iter().cloned().collect();
    let redemption = ledger.redeem(&five(), [7; 16], at("01-03")).unwrap();
    let earn_nothing = order("30")
        .with_redeemed(amount("30"))
        .with_codes([code(&redemption)]);
    ledger
        .record_order(&id("1001"), earn_nothing, Status::Paid, at("01-03"))
        .unwrap();

    // What was spent last returns first; in the end all is where it was.
    let half =
        Refund::of_lines("R1".parse().unwrap(), [("1".parse().unwrap(), "0.5".parse().unwrap())]);
    ledger.refund(&id("1001"), half, at("01-04")).unwrap();
    let points: Vec<i64> = ledger.account().lots().iter().map(|lot| lot.points.get()).collect();
    assert_eq!(points, [10, 90]);
    let half =
        Refund::of_lines("R2".parse().unwrap(), [("1".parse().unwrap(), "0.5".parse().unwrap())]);
    ledger.refund(&id("1001"), half, at("01-05")).unwrap();
    assert_eq!(ledger.account().lots().iter().cloned().collect::<Vec<_>>(), before);
}

#[test]
fn a_redemption_belongs_to_one_ledger() {
    let (_, redemption) = ledger_with_code();
    let mut other = Ledger::new(program(FIVE_OFF));
    let unknown = other.cancel_redemption(redemption.issue().id, at("01-03"));
    assert_eq!(unknown, Err(Rejection::UnknownRedemption));
}

#[test]
fn redemptions_are_numbered() {
    let (mut ledger, first) = ledger_with_code();
    ledger.add(Points::from(100), "", at("01-03")).unwrap();
    let second = ledger.redeem(&five(), [8; 16], at("01-03")).unwrap();
    assert_eq!((first.issue().id.0, second.issue().id.0), (1, 2));
    assert_ne!(code(&first), code(&second));
}

#[test]
fn a_limited_reward_counts_all_customers() {
    let limited =
        FIVE_OFF.replace("100,", r#"100, "limits_in_all": [{"times": 1, "per": "ever"}],"#);
    let ledger = || {
        let mut ledger = Ledger::new(program(&limited));
        ledger.add(Points::from(300), "", at("01-01")).unwrap();
        ledger
    };
    let (mut ada, mut bob) = (ledger(), ledger());
    ada.redeem(&five(), [7; 16], at("01-02")).unwrap();
    let usage = ada.events().iter().fold(None, Usage::evolve).unwrap();
    bob.set_total_usage(five(), usage);
    assert_eq!(bob.offers(at("01-02"))[0].rejections[0].code(), "reward_sold_out");
    let sold_out = bob.redeem(&five(), [8; 16], at("01-02"));
    assert_eq!(sold_out.unwrap_err().code(), "reward_sold_out");
}

#[test]
fn the_next_due_looks_past_a_program_to_come() {
    let mut ledger = Ledger::new(program(r#"{"expiry": {"inactivity": {"after": "P3M"}}}"#));
    ledger.add(Points::from(5), "", at("01-01")).unwrap();
    assert_eq!(ledger.next_due(), Some(at("04-01")));
    ledger.publish(program(r#"{"expiry": {"inactivity": {"after": "P2M"}}}"#), at("03-15"));
    assert_eq!(ledger.next_due(), Some(at("03-15")));
    assert_eq!(ledger.balance(at("03-14")), Points::from(5));
    assert_eq!(ledger.balance(at("03-15")), Points::ZERO);
}

#[test]
fn a_referral_knows_both_ledgers() {
    let document = r#"{"referrals": {"received": 25, "sent": 40}}"#;
    let party = |number| ReferralParty {
        account: AccountId(number),
        email: None,
        household: BTreeSet::new(),
    };
    let join = Command::JoinReferral { referee: party(8), referrer: party(7) };
    let mut ada = Ledger::new(program(document)).with_account_id(AccountId(7));
    let mut bob = Ledger::new(program(document));
    bob.execute(&join, at("01-01")).unwrap();

    // The follow-up is for the ledger of the referrer.
    let paid = bob
        .record_order(&id("1001"), order("10"), Status::Paid, at("01-02"))
        .unwrap();
    assert_eq!(bob.balance(at("01-02")), Points::from(35));
    let [(AccountId(7), reward)] = &paid.follow_ups[..] else {
        panic!("{paid:?}")
    };
    ada.execute(reward, at("01-02")).unwrap();
    assert_eq!(ada.balance(at("01-02")), Points::from(40));

    let events = || bob.events().to_vec();
    let unnamed = Ledger::new(program(document)).replay(events());
    assert_eq!(unnamed.unwrap_err(), ReplayError::MissingAccountId);
    let named = Ledger::new(program(document)).with_account_id(AccountId(8));
    assert_eq!(named.replay(events()).unwrap().account(), bob.account());
}

#[test]
fn an_order_adds_up() {
    let lines = || [Line::new("1".parse().unwrap(), amount("40"))];
    let order = Order::new(lines()).unwrap();
    let order = order
        .with_tax(amount("7.60"))
        .unwrap()
        .with_shipping(amount("4.90"))
        .unwrap();
    assert_eq!((order.total, order.validate(2)), (amount("52.50"), Ok(())));

    let included = Order::new(lines())
        .unwrap()
        .with_included_tax(amount("6.39"))
        .unwrap();
    assert_eq!((included.total, included.validate(2)), (amount("40"), Ok(())));

    let huge = Order::new(["1", "2"].map(|id| Line::new(id.parse().unwrap(), Amount::MAX)));
    assert_eq!(Rejection::from(huge.unwrap_err()).code(), "order_too_large");
}
