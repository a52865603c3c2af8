//! Conditions of earning rules and campaigns on the hour of the week, the spend, the channel,
//! attributes and first orders.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test may stop at what it did not expect"
)]

mod scenario;

use loyalty_core::proptest::{ProgramCheck, full_programs, histories};
use loyalty_core::{
    AttributeValue, Attributes, Event, Ledger, Line, Order, OrderState, Pin, Profile, Program,
    Status, Tag, Zone,
};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use scenario::*;

/// Ten points for an order that meets the conditions.
fn ten_when(when: &str) -> String {
    format!(r#"{{"earning": [{{"id": "ten", "earn": {{"per_order": 10}}, "when": {{{when}}}}}]}}"#)
}

/// Doubles one point for each unit.
fn double_when(when: &str) -> String {
    format!(r#"{{"campaigns": [{{"id": "double", "effect": {{"multiplier": "2"}}, {when}}}]}}"#)
}

fn attributes(json: &str) -> Attributes {
    serde_json::from_str(json).unwrap()
}

fn order_with(json: &str) -> Order {
    single_line_order("10").with_attributes(attributes(json))
}

fn placed(at: &str) -> Order {
    Order { placed_at: Some(self::at(at)), ..single_line_order("10") }
}

/// The points of one paid order of a new customer in Berlin, under a rule of ten points and
/// under a campaign that makes ten twenty.
fn assert_points(when: &str, order: &Order, customer: &Attributes, is_met: bool) {
    for (program, expected) in [
        (ten_when(when), if is_met { 10 } else { 0 }),
        (double_when(when), if is_met { 20 } else { 10 }),
    ] {
        let ledger = Ledger::new(parse_program(&program))
            .with_zone("Europe/Berlin".parse().unwrap())
            .with_attributes(customer.clone());
        println!("{program}, {order:?}");
        let report = record_paid_order("a", order.clone());
        continue_scenario(ledger, &[("06-01", report, Ok(expected))]);
    }
}

#[test]
fn hours_and_weekdays_are_the_shops() {
    let evening =
        r#""weekdays": ["friday", "saturday"], "hours": {"from": "18:00", "until": "24:00"}"#;
    let night = r#""hours": {"from": "22:00", "until": "02:30"}"#;
    for (when, at, is_met) in [
        // 2026-01-02 is a Friday, and Berlin is an hour ahead of UTC.
        (evening, "2026-01-02T16:59:59Z", false),
        (evening, "2026-01-02T17:00:00Z", true),
        (evening, "2026-01-02T22:59:59Z", true),
        (evening, "2026-01-02T23:00:00Z", false),
        (evening, "2026-01-04T18:00:00Z", false),
        // In summer it is two hours ahead.
        (evening, "2026-07-03T16:00:00Z", true),
        (night, "2026-01-05T20:59:59Z", false),
        (night, "2026-01-05T21:00:00Z", true),
        (night, "2026-01-06T01:29:59Z", true),
        (night, "2026-01-06T01:30:00Z", false),
        // The clock goes forward from 02:00 to 03:00, and back from 03:00 to 02:00.
        (r#""hours": {"from": "02:00", "until": "03:00"}"#, "2026-03-29T01:00:00Z", false),
        (r#""hours": {"from": "02:00", "until": "03:00"}"#, "2026-10-25T00:00:00Z", true),
        (r#""hours": {"from": "02:00", "until": "03:00"}"#, "2026-10-25T01:59:00Z", true),
        (r#""weekdays": ["sunday"]"#, "2026-01-03T22:59:59Z", false),
        (r#""weekdays": ["sunday"]"#, "2026-01-03T23:00:00Z", true),
    ] {
        assert_points(when, &placed(at), &Attributes::EMPTY, is_met);
    }
    // Without a time of its own, an order is placed when it passes the gate: a Monday.
    assert_points(r#""weekdays": ["monday"]"#, &single_line_order("10"), &Attributes::EMPTY, true);
}

#[test]
fn channels_and_attributes_of_the_order_decide() {
    let app = || single_line_order("10").with_channel("app".parse().unwrap());
    let is = |test: &str| format!(r#""attributes": [{{"of": "order", "name": "a", {test}}}]"#);
    let cases: [(String, Order, bool); 19] = [
        (r#""channels": ["app", "pos"]"#.to_owned(), app(), true),
        (r#""channels": ["web"]"#.to_owned(), app(), false),
        (r#""channels": ["web"]"#.to_owned(), single_line_order("10"), false),
        (is(r#""equals": true"#), order_with(r#"{"a": true}"#), true),
        (is(r#""equals": true"#), order_with(r#"{"a": false}"#), false),
        (is(r#""equals": true"#), order_with(r#"{"a": "true"}"#), false),
        (is(r#""equals": true"#), order_with(r#"{"b": true}"#), false),
        (is(r#""equals": "x""#), order_with(r#"{"a": "x"}"#), true),
        (is(r#""equals": "x""#), order_with(r#"{"a": "X"}"#), false),
        (is(r#""equals": 1.50"#), order_with(r#"{"a": 1.5}"#), true),
        (is(r#""in": ["x", 2, false]"#), order_with(r#"{"a": 2.0}"#), true),
        (is(r#""in": ["x", 2, false]"#), order_with(r#"{"a": "2"}"#), false),
        (is(r#""at_least": -1"#), order_with(r#"{"a": -1}"#), true),
        (is(r#""at_least": -1"#), order_with(r#"{"a": -1.0001}"#), false),
        (is(r#""at_least": 0"#), order_with(r#"{"a": "5"}"#), false),
        (is(r#""at_most": 2.5"#), order_with(r#"{"a": 2.5}"#), true),
        (is(r#""at_most": 2.5"#), order_with(r#"{"a": 2.5001}"#), false),
        (
            r#""attributes": [{"of": "order", "name": "a", "at_least": 1}, {"of": "order", "name": "a", "at_most": 3}]"#.to_owned(),
            order_with(r#"{"a": 2}"#),
            true,
        ),
        (
            r#""attributes": [{"of": "order", "name": "a", "at_least": 1}, {"of": "order", "name": "b", "at_most": 3}]"#.to_owned(),
            order_with(r#"{"a": 2}"#),
            false,
        ),
    ];
    for (when, order, is_met) in cases {
        assert_points(&when, &order, &Attributes::EMPTY, is_met);
    }
}

#[test]
fn the_latest_snapshot_decides_in_every_order_of_arrival() {
    let when =
        r#""channels": ["app"], "attributes": [{"of": "order", "name": "gift", "equals": true}]"#;
    let gift = || order_with(r#"{"gift": true}"#).with_channel("app".parse().unwrap());
    for (program, met, unmet) in [(ten_when(when), 10, 0), (double_when(when), 20, 10)] {
        let plain = with_time("01-02", record_paid_order("a", single_line_order("10")));
        let edited = with_time("01-03", record_paid_order("a", gift()));
        run_scenario(
            &program,
            &[("01-02", plain.clone(), Ok(unmet)), ("01-03", edited.clone(), Ok(met))],
        );
        run_scenario(&program, &[("01-03", edited, Ok(met)), ("01-04", plain, Ok(met))]);
    }
}

#[test]
fn attributes_of_lines_select_the_lines_that_count() {
    let line_with = |json: &str, line: Line| line.with_attributes(attributes(json));
    let order = || {
        order_with_lines(vec![
            line_with(r#"{"colour": "red", "size": 42}"#, line("1", "1", "40")),
            line_with(r#"{"colour": "red"}"#, line("2", "1", "20")),
            Line { product: "shoe".parse().ok(), ..line("3", "2", "5") },
        ])
    };
    let red = r#"{"of": "line", "name": "colour", "equals": "red"}"#;
    let big = r#"{"of": "line", "name": "size", "at_least": 40}"#;
    let rule = |earn: &str, rest: &str| {
        format!(r#"{{"earning": [{{"id": "x", "earn": {earn}, "when": {{{rest}}}}}]}}"#)
    };
    for (program, expected) in [
        (rule(r#"{"per_unit": "1"}"#, &format!(r#""attributes": [{red}]"#)), 60),
        (rule(r#"{"per_unit": "1"}"#, &format!(r#""attributes": [{red}, {big}]"#)), 40),
        (rule(r#"{"per_item": 7}"#, &format!(r#""attributes": [{red}]"#)), 14),
        (rule(r#"{"per_order": 9}"#, &format!(r#""attributes": [{red}]"#)), 9),
        (
            rule(
                r#"{"per_unit": "1"}"#,
                &format!(r#""products": ["shoe"], "attributes": [{red}]"#),
            ),
            0,
        ),
        (rule(r#"{"per_unit": "1"}"#, r#""products": ["shoe"]"#), 5),
        (
            format!(
                r#"{{"earning": [
                    {{"id": "base", "earn": {{"per_unit": "1"}}}},
                    {{"id": "red", "earn": {{"per_unit": "3"}}, "replaces_base": true, "when": {{"attributes": [{red}]}}}}
                ]}}"#
            ),
            3 * 60 + 5,
        ),
        (double_when(&format!(r#""attributes": [{red}]"#)), 65 + 60),
        (double_when(&format!(r#""attributes": [{red}], "products": ["shoe"]"#)), 65),
    ] {
        println!("{program}");
        run_scenario(&program, &[("01-01", record_paid_order("a", order()), Ok(expected))]);
    }
    // The points of a line go with it.
    run_scenario(
        &rule(r#"{"per_unit": "1"}"#, &format!(r#""attributes": [{red}]"#)),
        &[
            ("01-01", record_paid_order("a", order()), Ok(60)),
            ("01-02", refund_lines("a", "r1", &[("3", "2")]), Ok(60)),
            ("01-03", refund_lines("a", "r2", &[("1", "1")]), Ok(20)),
        ],
    );
}

#[test]
fn a_maximum_spend_uses_the_remaining_basis() {
    let program = ten_when(r#""minimum_spend": "50", "maximum_spend": "100""#);
    for (cost, expected) in [("49.99", 0), ("50", 10), ("100", 10), ("100.01", 0)] {
        let order = record_paid_order("a", single_line_order(cost));
        run_scenario(&program, &[("01-01", order, Ok(expected))]);
    }
    run_scenario(
        &program,
        &[
            ("01-01", record_paid_order("a", single_line_order("120")), Ok(0)),
            ("01-02", refund_amount("a", "r1", "30"), Ok(10)),
            ("01-03", refund_amount("a", "r2", "50"), Ok(0)),
        ],
    );
}

#[test]
fn the_customers_attributes_are_those_of_the_first_award() {
    let staff = r#""attributes": [{"of": "customer", "name": "staff", "equals": true}]"#;
    for (program, met, unmet) in [(ten_when(staff), 10, 0), (double_when(staff), 20, 10)] {
        let order = || single_line_order("10");
        let ledger = Ledger::new(parse_program(&program))
            .with_attributes(attributes(r#"{"staff": true, "name": "Ada Lovelace"}"#));
        let mut ledger =
            continue_scenario(ledger, &[("01-01", record_paid_order("a", order()), Ok(met))]);
        ledger.set_attributes(Attributes::EMPTY);
        let both = met + unmet;
        let ledger = continue_scenario(
            ledger,
            &[
                ("01-02", record_paid_order("b", order()), Ok(both)),
                ("01-03", record_order("a", order(), Status::Completed), Ok(both)),
                ("01-04", refund_amount("a", "r", "5"), Ok(both - if met == 20 { 10 } else { 0 })),
            ],
        );

        // Nothing of the customer is in the journal.
        let journal = serde_json::to_string(ledger.events()).unwrap();
        for personal in ["Ada", "Lovelace", "staff"] {
            assert!(!journal.contains(personal), "{journal}");
        }
    }
}

#[test]
fn first_orders_are_those_without_another_that_counts() {
    let order = || single_line_order("10");
    for (first, later) in [(10, 0), (0, 10)] {
        let program = ten_when(&format!(r#""first_order": {}"#, first == 10));
        run_scenario(
            &program,
            &[
                ("01-01", record_order("a", order(), Status::Processing), Ok(0)),
                // The first that passes the gate is the first.
                ("01-02", record_paid_order("b", order()), Ok(first)),
                ("01-03", record_paid_order("a", order()), Ok(first + later)),
                ("01-04", record_paid_order("b", single_line_order("11")), Ok(first + later)),
                ("01-05", cancel("b"), Ok(later)),
                ("01-06", record_paid_order("c", order()), Ok(2 * later)),
                ("01-07", refund_amount("a", "r1", "10"), Ok(later)),
                ("01-08", cancel("c"), Ok(0)),
                // No order counts any more.
                ("01-09", record_paid_order("d", order()), Ok(first)),
            ],
        );
    }
    run_scenario(
        &double_when(r#""first_order": true"#),
        &[
            ("01-01", record_paid_order("a", order()), Ok(20)),
            ("01-02", record_paid_order("b", order()), Ok(30)),
        ],
    );
}

#[test]
fn conditions_have_faults_with_pointers() {
    let check = |document: &str, expected: &[(&str, &str)]| {
        let faults = Program::from_json(document).unwrap_err();
        let actual: Vec<_> = faults
            .faults()
            .iter()
            .map(|fault| (fault.pointer.as_str(), fault.code))
            .collect();
        assert_eq!(actual, expected, "{document}");
    };
    check(
        &ten_when(
            r#""maximum_spend": "x", "weekdays": ["monday", "someday"], "hours": {"from": "9:00", "til": "10:00"},
               "channels": [""], "first_order": 1,
               "attributes": [{"of": "shop", "name": "a", "equals": 1}, {"of": "order", "equals": 1, "in": [1]},
                              {"of": "order", "name": "a", "at_least": "1"}, {"of": "order", "name": "a", "equals": [1]},
                              {"of": "line", "name": "a", "at_most": 0.00001}, 7]"#,
        ),
        &[
            ("/earning/0/when/maximum_spend", "invalid_value"),
            ("/earning/0/when/weekdays/1", "invalid_value"),
            ("/earning/0/when/hours/til", "unknown_field"),
            ("/earning/0/when/hours/from", "invalid_value"),
            ("/earning/0/when/hours/until", "missing_field"),
            ("/earning/0/when/channels/0", "invalid_value"),
            ("/earning/0/when/first_order", "wrong_type"),
            ("/earning/0/when/attributes/0/of", "invalid_value"),
            ("/earning/0/when/attributes/1/name", "missing_field"),
            ("/earning/0/when/attributes/1", "invalid_value"),
            ("/earning/0/when/attributes/2/at_least", "wrong_type"),
            ("/earning/0/when/attributes/3/equals", "wrong_type"),
            ("/earning/0/when/attributes/4/at_most", "out_of_range"),
            ("/earning/0/when/attributes/5", "wrong_type"),
        ],
    );
    let contradictions = r#""minimum_spend": "5", "maximum_spend": "4", "hours": {"from": "09:00", "until": "09:00"},
        "attributes": [{"of": "order", "name": "a", "in": []}]"#;
    check(
        &ten_when(contradictions),
        &[
            ("/earning/0/when/hours/until", "contradiction"),
            ("/earning/0/when/attributes/0/in", "missing_field"),
            ("/earning/0/when/maximum_spend", "contradiction"),
        ],
    );
    check(
        &double_when(r#""hours": {"from": "24:00", "until": "09:00"}"#),
        &[("/campaigns/0/hours/from", "out_of_range")],
    );
}

#[test]
fn a_document_with_conditions_survives_the_round_trip() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let program = full_programs().new_tree(&mut runner).unwrap().current();
        assert_eq!(Program::from_json(&program.to_json()), Ok(program));
    }
}

#[test]
fn states_and_events_survive_the_round_trip() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..50 {
        let (program, history) = (full_programs(), histories())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut ledger = Ledger::new(program).with_zone("Europe/Berlin".parse().unwrap());
        for (now, command) in &history {
            let _may_be_rejected = ledger.execute(command, *now);
        }
        for event in ledger.events() {
            let json = serde_json::to_string(event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), *event, "{json}");
        }
        for (id, order) in ledger.orders() {
            let json = serde_json::to_string(order).unwrap();
            let read: OrderState = serde_json::from_str(&json).unwrap();
            assert_eq!(read.with_id(id.clone()), *order, "{json}");
        }
    }

    // A profile, a pin and an order of before.
    let profile = r#"{"first_name":"Ada","last_name":null,"birthday":null,"zip":null,"country":null,"tags":["vip"]}"#;
    let read: Profile = serde_json::from_str(profile).unwrap();
    assert_eq!((read.tags.len(), read.attributes.is_empty()), (1, true));
    assert_eq!(serde_json::to_string(&read).unwrap(), profile);
    let pin = r#"{"program":1,"at":"2026-01-01T00:00:00Z"}"#;
    let pin: Pin = serde_json::from_str(pin).unwrap();
    assert_eq!((pin.eligible_rules.len(), pin.zone), (0, None));
    let order = r#"{"lines":[{"id":"1","amount":"5"}],"tax":"0","shipping":"0","total":"5"}"#;
    assert_eq!(serde_json::from_str::<Order>(order).unwrap(), single_line_order("5"));
    assert_eq!(serde_json::to_string(&single_line_order("5")).unwrap(), order);
}

#[test]
fn a_program_with_conditions_keeps_every_invariant() {
    let program = r#"{
        "earning": [
            {"id": "base", "earn": {"per_unit": "1"}},
            {"id": "happy", "earn": {"per_order": 20}, "when": {"weekdays": ["friday", "saturday"],
             "hours": {"from": "17:00", "until": "20:00"}, "maximum_spend": "200"}},
            {"id": "app", "earn": {"per_item": 2}, "when": {"channels": ["app"],
             "attributes": [{"of": "line", "name": "new", "equals": true}]}},
            {"id": "welcome", "earn": {"per_order": 100}, "when": {"first_order": true,
             "attributes": [{"of": "customer", "name": "age", "at_least": 18}]}}
        ],
        "campaigns": [{"id": "double", "effect": {"multiplier": "2"}, "channels": ["app"],
                       "attributes": [{"of": "order", "name": "gift", "in": [true, "yes"]}]}]
    }"#;
    let program = Program::from_json(program).unwrap();
    for zone in [Zone::UTC, "Asia/Tokyo".parse().unwrap()] {
        let check = ProgramCheck { cases: 64, zone, ..ProgramCheck::default() };
        check.run(&program).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

#[test]
fn generated_histories_reach_the_conditions() {
    let program = Program::from_json(&ten_when(
        r#""channels": ["app"], "hours": {"from": "17:00", "until": "20:00"},
           "attributes": [{"of": "order", "name": "gift", "equals": true}, {"of": "customer", "name": "age", "at_least": 18}]"#,
    ))
    .unwrap();
    let strategy = loyalty_core::proptest::customer_histories_under(&program, Zone::UTC);
    let mut runner = TestRunner::deterministic();
    let earns = |history: loyalty_core::proptest::CustomerHistory| {
        let mut ledger = Ledger::new(program.clone()).with_attributes(history.attributes);
        for (now, command) in &history.steps {
            let _may_be_rejected = ledger.execute(command, *now);
        }
        ledger
            .events()
            .iter()
            .any(|event| matches!(event, Event::PointsAwarded { .. }))
    };
    let cases = (0..400).filter(|_| earns(strategy.new_tree(&mut runner).unwrap().current()));
    assert!(cases.count() >= 4, "histories meet the conditions");
}

#[test]
fn tags_and_attributes_are_pinned_together() {
    let when = r#""customer_tags": ["vip"], "attributes": [{"of": "customer", "name": "age", "at_least": 18}]"#;
    let program = parse_program(&ten_when(when));
    for (tags, json, expected) in [
        (vec!["vip"], r#"{"age": 18}"#, 10),
        (vec!["vip"], r#"{"age": 17.9999}"#, 0),
        (vec![], r#"{"age": 18}"#, 0),
    ] {
        let tags = tags.into_iter().map(|tag| Tag::new(tag).unwrap());
        let ledger = Ledger::new(program.clone())
            .with_tags(tags)
            .with_attributes(attributes(json));
        continue_scenario(
            ledger,
            &[("01-01", record_paid_order("a", single_line_order("5")), Ok(expected))],
        );
    }
    assert_eq!(
        attributes(r#"{"a": 1}"#).get(&"a".parse().unwrap()),
        Some(&AttributeValue::number(1.into()).unwrap())
    );
}
