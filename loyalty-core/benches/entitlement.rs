//! The cost of a decision: the entitlement of an everyday order with its explanation, and
//! an order of a customer with a short and with a long history. Each group is one run, so
//! that its ratios are comparable.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a bench may stop at what it did not expect"
)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use loyalty_core::{
    Account, Command, Context, Order, OrderId, OrderState, Origin, OverRefund, Program, Quantity,
    Refund, RefundContent, Status, Tag, Timestamp, decide, entitlement,
};

/// Five rules of different kinds, all of which apply or compare something.
const FIVE_RULES: &str = r#"{"earning": [
    {"id": "base", "earn": {"per_unit": "1"}},
    {"id": "shoes", "earn": {"per_unit": "1.5"}, "when": {"categories": ["shoes"]}},
    {"id": "launch", "earn": {"per_increment": {"amount": "10", "points": 3}}, "replaces_base": true,
     "when": {"products": ["sneaker"], "from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}},
    {"id": "big", "earn": {"per_order": 50}, "when": {"minimum_spend": "100"}},
    {"id": "vip", "earn": {"per_unit": "0.25"}, "when": {"customer_tags": ["vip"]}}
]}"#;
/// An everyday order. The peers' bench gives the same bytes to other engines.
const FIVE_LINES: &[u8] = include_bytes!("order.json");
const LOTS: &str = r#"{"expiry": {"per_lot": {"after": "P2Y"}}}"#;
/// Expiring lots, pending points, tiers over a rolling year, a campaign, a goal and
/// birthdays.
const FULL_PROGRAM: &str = r#"{
    "expiry": {"per_lot": {"after": "P2Y"}}, "hold": "P14D",
    "tiers": [{"id": "silver", "name": "Silver", "threshold": "500"},
              {"id": "gold", "name": "Gold", "threshold": "5000", "multiplier": "1.5"}],
    "tiering": {"window": {"rolling": "P12M"}, "grace": "P30D"},
    "campaigns": [{"id": "shoes", "effect": {"multiplier": "2"}, "categories": ["shoes"]}],
    "actions": [{"id": "birthday", "kind": "birthday", "points": 50},
                {"id": "thousand", "kind": {"goal_spend": "1000"}, "points": 100}]
}"#;

fn five_lines() -> Order {
    serde_json::from_slice(FIVE_LINES).unwrap()
}

fn hour(count: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600 + count * 3_600, 0).unwrap()
}

fn record(number: i64, order: &Arc<Order>) -> Command {
    let order_id = OrderId::new(format!("order {number}")).unwrap();
    let (snapshot, at) = (Arc::clone(order), Some(hour(number)));
    Command::RecordOrder {
        order: order_id,
        snapshot,
        status: Status::Paid,
        at,
        origin: Origin::Shop,
    }
}

/// The state of the order after the commands.
fn state_after(program: &Program, commands: &[Command]) -> OrderState {
    let (mut account, mut state) =
        (Account::default(), OrderState::new(OrderId::new("order 0").unwrap()));
    let tags = [Tag::new("vip").unwrap()].into();
    for command in commands {
        let context = Context::new(program, &account, hour(1))
            .with_order(&state)
            .with_tags(&tags);
        for event in decide(&context, command).unwrap().events {
            account.evolve(&event);
            state.evolve(&event);
        }
    }
    state
}

fn of_five_lines(c: &mut Criterion) {
    let program = Program::from_json(FIVE_RULES).unwrap();

    let order = Arc::new(five_lines());
    let refund = |refund: &str, refunded: RefundContent| {
        let refund = Refund { id: refund.parse().unwrap(), refunded };
        let order = OrderId::new("order 0").unwrap();
        Command::RefundOrder { order, refund, over_refund: OverRefund::Reject, at: None }
    };

    let by_amount = refund(
        "1",
        RefundContent::Amount("33.33".parse::<loyalty_core::Amount>().unwrap().into()),
    );
    let lines = vec![("2".parse().unwrap(), Quantity::from(1))];
    let by_line = refund("2", RefundContent::Lines { lines, amount: None });

    let mut group = c.benchmark_group("entitlement of five lines under five rules");
    for (name, facts) in [
        ("paid", vec![record(0, &order)]),
        ("partly refunded", vec![record(0, &order), by_amount, by_line]),
    ] {
        let state = state_after(&program, &facts);
        let pin = state.pin().unwrap();
        group.bench_function(name, |b| {
            b.iter(|| entitlement(black_box(&state), &program, pin).unwrap());
        });
    }

    let state = state_after(&program, &[record(0, &order)]);
    let pin = state.pin().unwrap();

    group.bench_function("paid, from bytes", |b| {
        b.iter(|| {
            let order: Order =
                serde_json::from_str(std::str::from_utf8(black_box(FIVE_LINES)).unwrap()).unwrap();
            entitlement(&state.clone().with_snapshot(&Arc::new(order)), &program, pin).unwrap()
        });
    });
    // Lower bounds of the two: copying the explanation, and reading the bytes.

    let explanation = entitlement(&state, &program, pin).unwrap();
    group.bench_function("the explanation copied, nothing decided", |b| {
        b.iter(|| black_box(&explanation).clone());
    });
    group.bench_function("the bytes read, nothing decided", |b| {
        b.iter(|| serde_json::from_slice::<Order>(black_box(FIVE_LINES)).unwrap());
    });
    group.finish();
}

fn of_a_long_history(c: &mut Criterion) {
    let order = Arc::new(five_lines());
    let mut group = c.benchmark_group("an order, by number of earlier orders");
    for (name, document) in
        [("points that last", "{}"), ("lots that end", LOTS), ("a full program", FULL_PROGRAM)]
    {
        let program = Program::from_json(document).unwrap();

        for count in [10, 10_000] {
            let mut account = Account::default();
            for number in 0..count {
                let decision = decide(
                    &Context::new(&program, &account, hour(number)),
                    &record(number, &order),
                );
                for event in decision.unwrap().events {
                    account.evolve(&event);
                }
            }

            let (next, now) = (record(count, &order), hour(count));
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    decide(&Context::new(&program, black_box(&account), now), &next).unwrap()
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, of_five_lines, of_a_long_history);
criterion_main!(benches);
