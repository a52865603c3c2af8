//! Ends of lots, balances, holds, tiers and limits, and dates of birthdays and anniversaries: in
//! several zones, at ends of months and years, on leap days, and when clocks change.
//!
//! Each row is checked in the last second before its instant, at the instant, and long after it.
//! An entry that is recorded late must equal the one recorded in time.

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

use chrono::{Months, TimeDelta};
use loyalty_core::{Birthday, Command, Event, Ledger, Program, Timestamp, Zone, next_due};
use scenario::*;

fn ledger(zone: &str, program: &str) -> Ledger {
    let program = Program::from_json(program).unwrap_or_else(|faults| panic!("{faults:?}"));
    let mut ledger = Ledger::new(program);
    ledger = ledger.with_zone(zone.parse::<Zone>().unwrap());
    ledger
}

fn second_before(at: Timestamp) -> Timestamp {
    at - TimeDelta::seconds(1)
}

fn late(at: Timestamp) -> Timestamp {
    at.checked_add_months(Months::new(5)).unwrap()
}

fn next(ledger: &Ledger, now: Timestamp) -> Option<Timestamp> {
    ledger.inspect(None, now, next_due)
}

/// Returns the events of a catch-up in time. A late one must have the same.
fn events_until(ledger: &Ledger, at: Timestamp) -> Vec<Event> {
    let catch_up = |now: Timestamp| ledger.dry_run(&Command::CatchUp, now).unwrap().events;
    let expected = catch_up(at);
    assert_eq!(catch_up(late(at)).get(..expected.len()), Some(&expected[..]), "caught up late");
    expected
}

#[test]
fn lots_end() {
    for (zone, after, round_up_to, earned, expected) in [
        ("UTC", "P1M", "", "2025-01-31T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", "P1M", "", "2024-01-31T10:00:00Z", "2024-03-01T00:00:00Z"),
        ("UTC", "P1M", "", "2024-01-30T10:00:00Z", "2024-03-01T00:00:00Z"),
        ("UTC", "P1M", "", "2024-01-29T10:00:00Z", "2024-02-29T10:00:00Z"),
        ("UTC", "P1M", "", "2025-01-29T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", "P1M", "", "2025-01-28T10:00:00Z", "2025-02-28T10:00:00Z"),
        ("UTC", "P1Y", "", "2024-02-29T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", "P4Y", "", "2024-02-29T10:00:00Z", "2028-02-29T10:00:00Z"),
        ("UTC", "P1Y", "", "2023-02-28T10:00:00Z", "2024-02-28T10:00:00Z"),
        ("UTC", "P1M", "", "2025-03-31T12:00:00Z", "2025-05-01T00:00:00Z"),
        ("UTC", "P1M", "", "2025-12-31T23:59:59Z", "2026-01-31T23:59:59Z"),
        ("UTC", "P2M", "", "2025-12-31T08:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "P6M", "", "2025-08-31T08:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "P3M", "", "2025-11-30T06:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "P9M", "", "2026-01-01T00:00:00Z", "2026-10-01T00:00:00Z"),
        ("UTC", "P12M", "", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("UTC", "P30D", "", "2026-01-31T10:00:00Z", "2026-03-02T10:00:00Z"),
        ("UTC", "P2W", "", "2026-12-25T00:00:00Z", "2027-01-08T00:00:00Z"),
        ("UTC", "P1D", "", "2024-02-28T10:00:00Z", "2024-02-29T10:00:00Z"),
        ("UTC", "P365D", "", "2024-01-01T00:00:00Z", "2024-12-31T00:00:00Z"),
        ("UTC", "P1Y6M", "", "2024-08-31T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "P12M", "month", "2025-01-15T10:00:00Z", "2026-02-01T00:00:00Z"),
        ("UTC", "P12M", "month", "2025-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "P12M", "month", "2025-01-31T23:59:59Z", "2026-02-01T00:00:00Z"),
        // Where the day is missing, the period has ended with its month already.
        ("UTC", "P12M", "month", "2024-02-29T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", "P3M", "quarter", "2025-01-15T00:00:00Z", "2025-07-01T00:00:00Z"),
        ("UTC", "P1M", "quarter", "2025-12-15T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("UTC", "P1M", "quarter", "2025-12-31T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("UTC", "P1Y", "year", "2025-06-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("UTC", "P1D", "year", "2025-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("UTC", "P1M", "month", "2025-01-28T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", "P1M", "month", "2025-01-29T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", "P1M", "month", "2025-01-30T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", "P1M", "month", "2025-01-31T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("Europe/Berlin", "P1M", "", "2025-01-31T09:00:00Z", "2025-02-28T23:00:00Z"),
        // 02:30 does not exist on 30 March 2025, and is ambiguous on 26 October.
        ("Europe/Berlin", "P30D", "", "2025-02-28T01:30:00Z", "2025-03-30T01:30:00Z"),
        ("Europe/Berlin", "P1M", "", "2025-09-26T00:30:00Z", "2025-10-26T00:30:00Z"),
        ("Europe/Berlin", "P1D", "", "2025-03-29T09:00:00Z", "2025-03-30T08:00:00Z"),
        ("Europe/Berlin", "P1D", "", "2025-10-25T08:00:00Z", "2025-10-26T09:00:00Z"),
        ("Europe/Berlin", "P1D", "month", "2025-03-29T23:30:00Z", "2025-03-31T22:00:00Z"),
        ("Europe/Berlin", "P12M", "month", "2025-06-30T22:00:00Z", "2026-07-31T22:00:00Z"),
        ("Europe/Berlin", "P12M", "month", "2025-06-30T21:59:59Z", "2026-06-30T22:00:00Z"),
        ("America/New_York", "P1M", "", "2025-02-09T07:30:00Z", "2025-03-09T07:30:00Z"),
        ("America/New_York", "P1M", "", "2025-10-02T05:30:00Z", "2025-11-02T05:30:00Z"),
        ("America/New_York", "P1D", "", "2025-11-02T06:30:00Z", "2025-11-03T06:30:00Z"),
        (
            "America/New_York",
            "P1Y",
            "year",
            "2025-06-01T12:00:00Z",
            "2027-01-01T05:00:00Z",
        ),
        // The clock changes by half an hour only.
        ("Australia/Lord_Howe", "P1M", "", "2025-09-04T15:45:00Z", "2025-10-04T15:45:00Z"),
        ("Australia/Lord_Howe", "P1M", "", "2025-03-05T14:45:00Z", "2025-04-05T14:45:00Z"),
        ("Pacific/Apia", "P1M", "", "2011-11-30T22:00:00Z", "2011-12-30T22:00:00Z"),
        ("Asia/Tokyo", "P1M", "month", "2025-01-31T14:59:59Z", "2025-02-28T15:00:00Z"),
        ("Asia/Kathmandu", "P1D", "", "2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"),
    ] {
        let round = if round_up_to.is_empty() {
            String::new()
        } else {
            format!(r#", "round_up_to": "{round_up_to}""#)
        };
        let mut ledger =
            ledger(zone, &format!(r#"{{"expiry": {{"per_lot": {{"after": "{after}"{round}}}}}}}"#));
        let (earned, expected) = (at(earned), at(expected));
        ledger.execute(&add(100), earned).unwrap();
        let case = format!("{zone} {earned} + {after} {round_up_to}");
        assert_eq!(next(&ledger, earned), Some(expected), "{case}");
        assert_eq!(ledger.balance(second_before(expected)).get(), 100, "{case}");
        assert_eq!(ledger.balance(expected).get(), 0, "{case}");
        let events = events_until(&ledger, expected);
        assert!(
            matches!(events[..], [Event::PointsExpired { expired_at, .. }] if expired_at == expected),
            "{case}"
        );
    }
}

#[test]
fn balances_end_by_inactivity() {
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, i64)], &'a str);
    let rows: [Row<'_>; 14] = [
        (
            "UTC",
            "P1Y",
            &[("2026-01-01T00:00:00Z", 500), ("2026-03-01T00:00:00Z", 200)],
            "2027-03-01T00:00:00Z",
        ),
        ("UTC", "P1Y", &[("2024-02-29T00:00:00Z", 500)], "2025-03-01T00:00:00Z"),
        (
            "UTC",
            "P1M",
            &[("2026-01-01T00:00:00Z", 500), ("2026-01-31T10:00:00Z", -100)],
            "2026-03-01T00:00:00Z",
        ),
        (
            "UTC",
            "P1M",
            &[("2026-01-01T00:00:00Z", 500), ("2026-01-31T23:59:59Z", 1)],
            "2026-03-01T00:00:00Z",
        ),
        // The balance ends at the instant itself; points added then start a new one.
        (
            "UTC",
            "P1M",
            &[("2026-01-01T00:00:00Z", 500), ("2026-02-01T00:00:00Z", 7)],
            "2026-03-01T00:00:00Z",
        ),
        ("UTC", "P6M", &[("2025-08-31T00:00:00Z", 5)], "2026-03-01T00:00:00Z"),
        ("UTC", "P90D", &[("2025-12-31T12:00:00Z", 5)], "2026-03-31T12:00:00Z"),
        ("UTC", "P2Y", &[("2024-02-29T12:00:00Z", 5)], "2026-03-01T00:00:00Z"),
        ("Europe/Berlin", "P1M", &[("2025-01-31T09:00:00Z", 5)], "2025-02-28T23:00:00Z"),
        ("Europe/Berlin", "P2M", &[("2025-01-30T01:30:00Z", 5)], "2025-03-30T01:30:00Z"),
        ("Europe/Berlin", "P1M", &[("2025-09-26T00:30:00Z", 5)], "2025-10-26T00:30:00Z"),
        (
            "America/New_York",
            "P1M",
            &[("2025-02-09T07:30:00Z", 5)],
            "2025-03-09T07:30:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "P1M",
            &[("2025-09-04T15:45:00Z", 5)],
            "2025-10-04T15:45:00Z",
        ),
        ("Asia/Tokyo", "P1Y", &[("2025-12-31T15:00:00Z", 5)], "2026-12-31T15:00:00Z"),
    ];

    for (zone, after, changes, expected) in rows {
        let mut ledger =
            ledger(zone, &format!(r#"{{"expiry": {{"inactivity": {{"after": "{after}"}}}}}}"#));
        for (now, points) in changes {
            let command = if *points > 0 { add(*points) } else { spend(-points) };
            ledger.execute(&command, at(now)).unwrap();
        }
        let expected = at(expected);
        let case = format!("{zone} {changes:?} + {after}");
        assert_eq!(next(&ledger, expected), Some(expected), "{case}");
        assert!(ledger.balance(second_before(expected)).is_positive(), "{case}");
        assert_eq!(ledger.balance(expected).get(), 0, "{case}");
        for event in events_until(&ledger, expected) {
            assert!(
                matches!(event, Event::PointsExpired { expired_at, inactive: true, .. } if expired_at == expected)
            );
        }
    }
}

#[test]
fn holds_end() {
    for (zone, hold, gate, expected) in [
        ("UTC", "P14D", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z"),
        ("UTC", "P1M", "2026-01-31T10:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "P1M", "2024-01-31T10:00:00Z", "2024-03-01T00:00:00Z"),
        ("UTC", "P1W", "2024-02-25T10:00:00Z", "2024-03-03T10:00:00Z"),
        ("UTC", "P30D", "2025-12-15T10:00:00Z", "2026-01-14T10:00:00Z"),
        ("Europe/Berlin", "P30D", "2025-02-28T01:30:00Z", "2025-03-30T01:30:00Z"),
        ("Europe/Berlin", "P1M", "2025-09-26T00:30:00Z", "2025-10-26T00:30:00Z"),
        ("Asia/Tokyo", "P1M", "2025-01-30T15:00:00Z", "2025-02-28T15:00:00Z"),
        ("America/New_York", "P1D", "2025-03-08T12:00:00Z", "2025-03-09T11:00:00Z"),
        ("America/New_York", "P1D", "2025-11-01T12:00:00Z", "2025-11-02T13:00:00Z"),
        ("Australia/Lord_Howe", "P1M", "2025-03-05T14:45:00Z", "2025-04-05T14:45:00Z"),
    ] {
        let mut ledger = ledger(zone, &format!(r#"{{"hold": "{hold}"}}"#));
        let (gate, expected) = (at(gate), at(expected));
        ledger
            .execute(&record_paid_order("a", single_line_order("30")), gate)
            .unwrap();
        let case = format!("{zone} {gate} + {hold}");
        assert_eq!(next(&ledger, gate), Some(expected), "{case}");
        for (now, pending, balance) in [(second_before(expected), 30, 0), (expected, 0, 30)] {
            let account = ledger.as_of(now);
            assert_eq!(
                (account.pending(now).get(), account.balance(now).get()),
                (pending, balance),
                "{case}"
            );
            assert_eq!(ledger.account().pending(now).get(), pending, "without any job: {case}");
            assert_eq!(ledger.account().balance(now).get(), balance, "without any job: {case}");
        }
        let events = events_until(&ledger, expected);
        assert!(
            matches!(events[..], [Event::PointsReleased { released_at, .. }] if released_at == expected),
            "{case}"
        );
    }
}

/// The instants of bonuses.
fn award_instants(events: &[Event]) -> Vec<Timestamp> {
    events
        .iter()
        .filter_map(|event| if let Event::AwardGiven { at, .. } = event { Some(*at) } else { None })
        .collect()
}

#[test]
fn birthdays_are_awarded() {
    let thirty = r#""birthday""#;
    let none = r#"{"birthday": {"notice_days": 0}}"#;

    for (zone, kind, born, set_at, until, expected) in [
        (
            "UTC",
            thirty,
            "1990-05-04",
            "2026-01-01",
            "2027-12-31",
            "2026-05-04T00 2027-05-04T00",
        ),
        (
            "UTC",
            thirty,
            "1992-02-29",
            "2023-06-01",
            "2025-12-31",
            "2024-02-29T00 2025-02-28T00",
        ),
        ("UTC", thirty, "1992-02-28", "2023-06-01", "2024-12-31", "2024-02-28T00"),
        ("UTC", thirty, "1990-12-31", "2025-06-01", "2026-12-30", "2025-12-31T00"),
        ("UTC", thirty, "1990-01-01", "2025-06-01", "2026-12-30", "2026-01-01T00"),
        (
            "America/New_York",
            thirty,
            "1990-05-04",
            "2026-01-01",
            "2026-12-31",
            "2026-05-04T04",
        ),
        (
            "America/New_York",
            thirty,
            "1990-01-04",
            "2025-10-01",
            "2026-12-31",
            "2026-01-04T05",
        ),
        (
            "Europe/Berlin",
            thirty,
            "1990-01-01",
            "2025-10-01",
            "2026-06-01",
            "2025-12-31T23",
        ),
        ("Asia/Tokyo", thirty, "1990-05-04", "2026-01-01", "2026-12-31", "2026-05-03T15"),
        // Midnight did not exist in São Paulo on 4 November 2018.
        (
            "America/Sao_Paulo",
            thirty,
            "1990-11-04",
            "2018-01-01",
            "2018-12-31",
            "2018-11-04T03",
        ),
        // A birthday set within 30 days of it counts from the next year.
        ("UTC", thirty, "1990-05-04", "2026-04-04", "2027-12-31", "2027-05-04T00"),
        ("UTC", thirty, "1990-05-04", "2026-04-03", "2026-12-31", "2026-05-04T00"),
        ("UTC", thirty, "1990-05-04", "2026-05-04", "2027-12-31", "2027-05-04T00"),
        ("UTC", thirty, "1990-05-04", "2026-05-05", "2027-12-31", "2027-05-04T00"),
        ("UTC", thirty, "1990-01-10", "2025-12-20", "2027-06-01", "2027-01-10T00"),
        ("UTC", none, "1990-05-04", "2026-05-03", "2026-12-31", "2026-05-04T00"),
        ("UTC", none, "1990-05-04", "2026-05-04", "2026-12-31", ""),
    ] {
        let document = format!(r#"{{"actions": [{{"id": "b", "kind": {kind}, "points": 50}}]}}"#);
        let midnight = |day: &str| at(&format!("{day}T00:00:00Z"));
        let mut ledger = ledger(zone, &document);
        ledger
            .set_birthday(Some(Birthday { day: born.parse().unwrap(), set_at: midnight(set_at) }));
        let expected: Vec<_> = expected
            .split_whitespace()
            .map(|hour| at(&format!("{hour}:00:00Z")))
            .collect();
        let case = format!("{zone} {kind} {born} {set_at}");
        assert_eq!(
            award_instants(&ledger.dry_run(&Command::CatchUp, midnight(until)).unwrap().events),
            expected,
            "{case}"
        );
        // Repeated catch-ups have the same result, once a year.
        let mut day = midnight(set_at);
        while day <= midnight(until) {
            ledger.execute(&Command::CatchUp, day).unwrap();
            day += TimeDelta::hours(31);
        }
        ledger.execute(&Command::CatchUp, midnight(until)).unwrap();
        assert_eq!(award_instants(ledger.events()), expected, "step by step: {case}");
    }
}

#[test]
fn anniversaries_are_awarded() {
    for (zone, ordered, until, expected) in [
        (
            "UTC",
            "2024-02-29T10",
            "2028-12-31T00",
            "2025-02-28T00 2026-02-28T00 2027-02-28T00 2028-02-29T00",
        ),
        ("UTC", "2025-12-31T23", "2027-12-30T00", "2026-12-31T00"),
        ("UTC", "2025-01-01T00", "2027-01-01T00", "2026-01-01T00 2027-01-01T00"),
        ("Europe/Berlin", "2025-06-30T22", "2026-12-31T00", "2026-06-30T22"),
        ("America/New_York", "2025-07-01T03", "2026-12-31T00", "2026-06-30T04"),
        ("Asia/Tokyo", "2025-12-31T15", "2027-06-01T00", "2026-12-31T15"),
    ] {
        let mut ledger =
            ledger(zone, r#"{"actions": [{"id": "a", "kind": "anniversary", "points": 50}]}"#);
        let hour = |text: &str| at(&format!("{text}:00:00Z"));
        ledger
            .execute(&record_paid_order("a", single_line_order("1")), hour(ordered))
            .unwrap();
        ledger
            .execute(
                &record_paid_order("b", single_line_order("1")),
                hour(ordered) + TimeDelta::days(40),
            )
            .unwrap();
        let events = ledger.dry_run(&Command::CatchUp, hour(until)).unwrap().events;
        let expected: Vec<_> = expected.split_whitespace().map(hour).collect();
        assert_eq!(award_instants(&events), expected, "{zone} {ordered}");
    }
}

#[test]
fn tiers_end_with_their_window() {
    let rolling = |months: &str| format!(r#"{{"rolling": "{months}"}}"#);
    let year = r#""calendar_year""#.to_owned();

    for (zone, window, ordered, expected) in [
        ("UTC", rolling("P12M"), "2025-01-15T10:00:00Z", "2026-01-15T10:00:00Z"),
        ("UTC", rolling("P12M"), "2024-02-29T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", rolling("P1M"), "2025-01-31T10:00:00Z", "2025-03-01T00:00:00Z"),
        ("UTC", rolling("P6M"), "2025-08-31T08:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", rolling("P36M"), "2025-08-31T08:00:00Z", "2028-08-31T08:00:00Z"),
        ("Europe/Berlin", rolling("P2M"), "2025-01-30T01:30:00Z", "2025-03-30T01:30:00Z"),
        ("Europe/Berlin", rolling("P1M"), "2025-09-26T00:30:00Z", "2025-10-26T00:30:00Z"),
        (
            "America/New_York",
            rolling("P1M"),
            "2025-02-09T07:30:00Z",
            "2025-03-09T07:30:00Z",
        ),
        (
            "Australia/Lord_Howe",
            rolling("P1M"),
            "2025-09-04T15:45:00Z",
            "2025-10-04T15:45:00Z",
        ),
        ("Asia/Tokyo", rolling("P12M"), "2025-12-31T15:00:00Z", "2026-12-31T15:00:00Z"),
        ("UTC", year.clone(), "2025-06-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("UTC", year.clone(), "2025-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        ("UTC", year.clone(), "2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ("Asia/Tokyo", year.clone(), "2025-12-31T15:00:00Z", "2027-12-31T15:00:00Z"),
        ("America/New_York", year.clone(), "2026-01-01T04:59:59Z", "2027-01-01T05:00:00Z"),
    ] {
        let document = format!(
            r#"{{"tiers": [{{"id": "gold", "name": "Gold", "threshold": "100"}}], "tiering": {{"window": {window}}}}}"#
        );
        let mut ledger = ledger(zone, &document);
        let (ordered, expected) = (at(ordered), at(expected));
        ledger
            .execute(&record_paid_order("a", single_line_order("150")), ordered)
            .unwrap();
        let case = format!("{zone} {window} {ordered}");
        assert_eq!(next(&ledger, ordered), Some(expected), "{case}");
        let gold = |now: Timestamp| ledger.as_of(now).current_tier_id(now).is_some();
        assert!(gold(ordered) && gold(second_before(expected)) && !gold(expected), "{case}");
        let events = events_until(&ledger, expected);
        assert!(
            matches!(&events[..], [Event::TierChanged { change }] if change.at == expected),
            "{case}"
        );
    }
}

#[test]
fn limits_follow_the_shops_calendar() {
    for (zone, per, first, last, next) in [
        (
            "UTC",
            "day",
            "2026-03-10T10:00:00Z",
            "2026-03-10T23:59:59Z",
            "2026-03-11T00:00:00Z",
        ),
        (
            "UTC",
            "day",
            "2024-02-28T10:00:00Z",
            "2024-02-28T23:59:59Z",
            "2024-02-29T00:00:00Z",
        ),
        (
            "UTC",
            "week",
            "2026-03-10T10:00:00Z",
            "2026-03-15T23:59:59Z",
            "2026-03-16T00:00:00Z",
        ),
        (
            "UTC",
            "week",
            "2025-12-31T10:00:00Z",
            "2026-01-04T23:59:59Z",
            "2026-01-05T00:00:00Z",
        ),
        (
            "UTC",
            "month",
            "2024-02-29T00:00:00Z",
            "2024-02-29T23:59:59Z",
            "2024-03-01T00:00:00Z",
        ),
        (
            "UTC",
            "year",
            "2025-12-31T00:00:00Z",
            "2025-12-31T23:59:59Z",
            "2026-01-01T00:00:00Z",
        ),
        (
            "UTC",
            "year",
            "2024-01-01T00:00:00Z",
            "2024-12-31T23:59:59Z",
            "2025-01-01T00:00:00Z",
        ),
        // Days of 23 and 25 hours.
        (
            "Europe/Berlin",
            "day",
            "2026-03-28T23:00:00Z",
            "2026-03-29T21:59:59Z",
            "2026-03-29T22:00:00Z",
        ),
        (
            "Europe/Berlin",
            "day",
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59Z",
            "2026-10-25T23:00:00Z",
        ),
        (
            "America/New_York",
            "month",
            "2026-03-01T05:00:00Z",
            "2026-04-01T03:59:59Z",
            "2026-04-01T04:00:00Z",
        ),
        (
            "America/New_York",
            "week",
            "2026-03-09T04:00:00Z",
            "2026-03-16T03:59:59Z",
            "2026-03-16T04:00:00Z",
        ),
        (
            "Asia/Tokyo",
            "year",
            "2025-12-31T15:00:00Z",
            "2026-12-31T14:59:59Z",
            "2026-12-31T15:00:00Z",
        ),
    ] {
        let document = format!(
            r#"{{"actions": [{{"id": "review", "kind": "review", "points": 5, "limits": [{{"times": 1, "per": "{per}"}}]}}]}}"#
        );
        let mut ledger = ledger(zone, &document);
        let review = Command::PerformAction { action: "review".parse().unwrap(), points: None };
        let case = format!("{zone} {per} {first}");
        for (now, expected) in [(first, Ok(5)), (last, Err("limit_reached")), (next, Ok(10))] {
            let result = ledger.execute(&review, at(now));
            let actual = result
                .map(|_| ledger.balance(at(now)).get())
                .map_err(|rejection| rejection.code());
            assert_eq!(actual, expected, "{case} at {now}");
        }
    }
}
