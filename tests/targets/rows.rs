//! Records as a store reads them from its tables: a line names the kind, then JSON or
//! segments of an account. Damaged text must be an error. A readable record must survive
//! folding and decisions, even if its contents make no sense.

use std::collections::BTreeMap;

use loyalty_core::account::{AccountHeader, AccountSegmentKey, AccountSegments};
use loyalty_core::discount::{CheckoutClaim, CodeState, CodeUsage, OrderClaim, RuleState};
use loyalty_core::redemption::Redemption;
use loyalty_core::{
    Account, AdjustmentReason, Command, Context, Event, LotId, OrderId, OrderState, Points,
    Program, Timestamp, as_of, decide, entitlement, next_due,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::split_first_line;

/// Uses every rule that depends on time.
const PROGRAM: &str = r#"{
    "expiry": {"inactivity": {"after": "P1Y"}},
    "tiers": [{"id": "silver", "name": "Silver", "threshold": "100", "entry": {"points": 5, "taken_back": true}},
              {"id": "gold", "name": "Gold", "threshold": "500"}],
    "tiering": {"window": {"rolling": "P6M"}, "grace": "P1M"},
    "actions": [{"id": "years", "kind": "anniversary", "points": 3}]
}"#;

pub(super) fn run(data: &[u8]) -> bool {
    let (kind, json) = split_first_line(data);
    match kind {
        b"account" => read(json).is_some_and(|account: Account| exercise_account(&account)),
        b"chapters" => str::from_utf8(json).is_ok_and(read_segments),
        b"claims" => read::<(Vec<CheckoutClaim>, Vec<OrderClaim>, Vec<CodeUsage>)>(json).is_some(),
        b"codes" => read::<(Vec<RuleState>, Vec<CodeState>)>(json).is_some(),
        b"events" => read::<Vec<Event>>(json).is_some_and(|events| fold_events(&events)),
        b"order" => read(json).is_some_and(|order: OrderState| exercise_order(&order)),
        b"redemption" => read::<Redemption>(json)
            .is_some_and(|redemption| !redemption.issue().to_string().is_empty()),
        _ => false,
    }
}

/// Parses a record and asserts that it round-trips.
fn read<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(json: &[u8]) -> Option<T> {
    let record: T = serde_json::from_slice(json).ok()?;
    let text = serde_json::to_string(&record).expect("a record is written");
    let reread: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(reread, record, "{text}");
    Some(record)
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("an instant")
}

fn fold_events(events: &[Event]) -> bool {
    let (mut account, mut orders) = (Account::default(), BTreeMap::<_, OrderState>::new());

    for event in events {
        account.evolve(event);
        if let Some(order) = event.order() {
            let state = orders
                .entry(order.clone())
                .or_insert_with(|| OrderState::new(order.clone()));
            state.evolve(event);
        }
        let _results = (event.points(), event.pending_points(), event.at());
    }
    orders.values().all(exercise_order) && exercise_account(&account)
}

/// Asserts that no query or decision on the account panics, and that its segments
/// round-trip.
fn exercise_account(account: &Account) -> bool {
    let (header, segments) = account.split_segments();

    let header = serde_json::to_string(&header).expect("a record is written");
    let header: AccountHeader = serde_json::from_str(&header).expect("what was written");
    assert_eq!(header.with_segments(&round_trip_segments(&segments)).as_ref(), Some(account));

    let program = Program::from_json(PROGRAM).expect("a program");
    let context = Context::new(&program, account, now());

    let _results = (
        account.is_consistent(),
        account.balance(now()),
        account.pending(now()),
        account.totals().balance(),
    );

    let _scheduled = (next_due(&context), as_of(&context));
    let points = Points::from(7);
    let commands = [
        Command::CatchUp,
        Command::AddPoints { points, reason: AdjustmentReason::default() },
        Command::SubtractPoints { points, reason: AdjustmentReason::default() },
        Command::SetBalance { to: points, reason: None },
        Command::SignUp,
    ];
    for command in commands {
        if let Ok(decision) = decide(&context, &command) {
            let mut account = account.clone();
            decision.events.iter().for_each(|event| account.evolve(event));
        }
    }
    true
}

/// Parses segments, a line for each: the first instant or the number of the first lot,
/// then the text. Asserts that valid segments round-trip.
fn read_segments(lines: &str) -> bool {
    let segment = |line: &str| {
        let (start, text) = line.split_once(' ')?;
        let instant = start.parse().map(AccountSegmentKey::Instant).ok();
        let start =
            instant.or_else(|| start.parse().ok().map(|lot| AccountSegmentKey::Lot(LotId(lot))))?;
        Some((start, text.to_owned()))
    };

    let Some(segments) = AccountSegments::decode(lines.lines().filter_map(segment)) else {
        return false;
    };

    let [account, reread] = [&segments, &round_trip_segments(&segments)]
        .map(|segments| Account::default().split_segments().0.with_segments(segments));
    assert_eq!(account, reread);
    // `None` if two segments contain the same lot.
    account.is_some_and(|account| !segments.is_empty() && exercise_account(&account))
}

/// Encodes and decodes the segments, as a store does.
fn round_trip_segments(segments: &AccountSegments) -> AccountSegments {
    let texts = segments.changed_since(&AccountSegments::default());
    let texts = texts
        .into_iter()
        .map(|segment| (segment.key, segment.text.expect("all are new")));
    AccountSegments::decode(texts).expect("what was written")
}

fn exercise_order(order: &OrderState) -> bool {
    let (program, account) = (Program::from_json(PROGRAM).expect("a program"), Account::default());
    if let Some(pin) = order.pin()
        && let Ok(explanation) = entitlement(order, &program, pin)
    {
        assert!(!explanation.to_string().is_empty());
    }

    let id: OrderId = "1001".parse().expect("an id");
    let order = order.clone().with_id(id.clone());
    let context = Context::new(&program, &account, now()).with_order(&order);
    let _result = decide(&context, &Command::CancelOrder { order: id, at: None });
    true
}
