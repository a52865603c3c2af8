//! Properties of programs, orders and histories. `PROPTEST_CASES` sets the number of cases.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at what it did not expect"
)]

mod model;

use std::sync::Arc;

use loyalty_core::program::{DebtPolicy, ProgramDefinition, RefundPolicy};
use loyalty_core::proptest::{
    amounts, arrival_orders, check_arrival_order, check_calculations, check_conservation,
    check_order_entitlements, check_points_or_code, check_refund_slicing, expiring_programs, facts,
    full_programs, histories, orders, programs, redeeming_histories, refunds, tags, tier_ids,
};
use loyalty_core::{
    AdjustmentReason, Amount, Boundary, Command, Event, Ledger, Line, LineId, ManualTier, Order,
    OrderId, Origin, OverRefund, Period, Points, Program, Quantity, Rate, Refund, RefundAmount,
    RefundContent, RefundCurrency, RefundId, Status, Timestamp, Zone,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

/// Failures are not saved in files: each becomes a worked case instead.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

fn id() -> OrderId {
    OrderId::new("1001").unwrap()
}

fn now() -> Timestamp {
    "2026-02-01T00:00:00Z".parse().unwrap()
}

fn record(order: Order, status: Status) -> Command {
    let snapshot = Arc::new(order);
    Command::RecordOrder {
        order: id(),
        snapshot,
        status,
        at: None,
        origin: Origin::Shop,
    }
}

fn refund(name: &str, refunded: RefundContent) -> Refund {
    Refund { id: RefundId::new(name).unwrap(), refunded }
}

fn refund_command(refund: Refund) -> Command {
    Command::RefundOrder {
        order: id(),
        refund,
        over_refund: OverRefund::Reject,
        at: None,
    }
}

/// A customer with expiring and non-expiring lots, or with debt.
fn customers() -> impl Strategy<Value = Ledger> {
    (programs(), tags(), 0..400_u32, 0..400_u32, any::<bool>()).prop_map(
        |(program, tags, ending, lasting, owes)| {
            let lots = Program::from_json(r#"{"expiry": {"per_lot": {"after": "P9M"}}}"#).unwrap();
            let add = |points| Command::AddPoints {
                points: Points::from(points),
                reason: AdjustmentReason::default(),
            };
            let mut ledger = Ledger::new(lots);
            let _none = ledger.execute(&add(ending), now());
            ledger.publish(Program::default(), Timestamp::UNIX_EPOCH);
            if owes && program.definition().debt == DebtPolicy::Allow {
                ledger
                    .execute(
                        &record(Order { placed_at: None, ..order_of_100() }, Status::Paid),
                        now(),
                    )
                    .unwrap();
                let all = Command::SetBalance { to: Points::ZERO, reason: None };
                ledger.execute(&all, now()).unwrap();
                ledger
                    .execute(&Command::CancelOrder { order: id(), at: None }, now())
                    .unwrap();
                assert_eq!(ledger.balance(now()), Points::new(-100).unwrap());
            } else {
                let _none = ledger.execute(&add(lasting), now());
            }
            ledger.publish(program, Timestamp::UNIX_EPOCH);
            ledger.set_tags(tags);
            ledger
        },
    )
}

fn order_of_100() -> Order {
    let amount = Amount::from(100);
    let line = Line {
        id: "1".parse().unwrap(),
        product: None,
        categories: Vec::new(),
        quantity: Quantity::from(1),
        amount,
        gift_card: false,
    };
    Order { lines: vec![line], total: amount, ..Order::default() }
}

/// Money in the shop's currency, whichever the order came in.
fn in_shop_currency(amount: Amount) -> RefundContent {
    RefundContent::Amount(RefundAmount::new(amount).in_currency(RefundCurrency::Shop))
}

/// The order with three units of another line.
fn with_line_gone(order: &Order, amount: Amount) -> Order {
    let mut order = order.clone();
    let line = Line::new(LineId::new("gone").unwrap(), amount).with_quantity(Quantity::from(3));
    order.total = order.total.checked_add(amount).unwrap();
    order.lines.push(line);
    order
}

/// A program under which a balance soon ends by inactivity.
fn inactivity_program() -> Program {
    Program::from_json(r#"{"expiry": {"inactivity": {"after": "P5D"}}}"#).unwrap()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn facts_may_arrive_in_any_order_and_twice(
        ledger in customers(),
        (facts, arrivals) in facts(OrderId::new("2002").unwrap())
            .prop_flat_map(|facts| { let count = facts.len(); (Just(facts), arrival_orders(count)) }),
    ) {
        check_arrival_order(&ledger, &facts, &arrivals, now())?;
    }

    #[test]
    fn refunds_by_amount_may_be_sliced(
        ledger in customers(),
        order in orders(),
        share in prop_oneof![Just(100_i64), 0..100_i64],
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut ledger = ledger;
        ledger.orders_mut().clear();
        ledger.execute(&record(order.clone(), Status::Paid), now()).unwrap();
        let whole = order.total.ten_thousandths() * share / 100;
        let mut cuts: Vec<i64> = cuts.iter().map(|cut| i64::try_from(cut.index(usize::try_from(whole + 1).unwrap())).unwrap()).collect();
        cuts.extend([0, whole]);
        cuts.sort_unstable();
        let amount = |parts: i64| in_shop_currency(Amount::from_ten_thousandths(parts).unwrap());
        let slices: Vec<_> = cuts.windows(2).enumerate().map(|(index, cut)| {
            let [from, to] = cut else { unreachable!() };
            refund(&format!("slice{index}"), amount(to - from))
        }).collect();
        check_refund_slicing(&ledger, &id(), &refund("whole", amount(whole)), &slices, now())?;
    }

    #[test]
    fn refunds_by_line_may_be_sliced(
        ledger in customers(),
        order in orders(),
        share in prop_oneof![Just(4_i64), 0..4_i64],
        parts in 1..4_i64,
    ) {
        let mut ledger = ledger;
        ledger.orders_mut().clear();
        ledger.execute(&record(order.clone(), Status::Paid), now()).unwrap();
        let units = |count: i64| Quantity::new(rust_decimal::Decimal::new(count, 3)).unwrap();
        let wanted = |line: &Line| line.quantity.thousandths() * share / 4;
        let lines = order.lines.iter().map(|line| (line.id.clone(), units(wanted(line)))).collect();
        let whole = refund("whole", RefundContent::Lines { lines, amount: None });
        let slice = |part: i64| {
            let slice = |line: &Line| wanted(line) * (part + 1) / parts - wanted(line) * part / parts;
            let lines = order.lines.iter().map(|line| (line.id.clone(), units(slice(line)))).collect();
            refund(&format!("slice{part}"), RefundContent::Lines { lines, amount: None })
        };

        let slices: Vec<_> = (0..parts).map(slice).collect();
        check_refund_slicing(&ledger, &id(), &whole, &slices, now())?;
    }

    #[test]
    fn a_full_refund_or_a_cancellation_leaves_nothing(program in programs(), order in orders(), cancels in any::<bool>()) {
        let keeps = program.definition().refunds == RefundPolicy::Keep;
        let mut ledger = Ledger::new(program);
        ledger.execute(&record(order.clone(), Status::Completed), now()).unwrap();
        let end = if cancels || keeps || order.total.is_zero() {
            Command::CancelOrder { order: id(), at: None }
        } else {
            refund_command(refund("all", in_shop_currency(order.total)))
        };
        ledger.execute(&end, now()).unwrap();
        prop_assert_eq!(ledger.balance(now()), Points::ZERO);
        check_conservation(&ledger)?;
    }

    #[test]
    fn entitlement_is_that_of_big_rationals(
        program in programs(),
        order in orders(),
        fitting in orders().prop_flat_map(|other| refunds(id(), Arc::new(other))),
        early in any::<bool>(),
        (gone, returned) in (proptest::option::of(amounts()), 0..4_u16),
        tags in tags(),
        tier in proptest::option::of(tier_ids()),
    ) {
        let mut ledger = Ledger::new(program.clone());
        ledger.set_tags(tags.clone());
        if let Some(id) = tier.clone() {
            let _unknown = ledger.execute(&Command::SetTier(Some(ManualTier { id, until: None })), now());
        }

        // Perhaps a line was edited away after the order was paid.
        let as_paid = gone.map(|amount| with_line_gone(&order, amount));
        let reports: Vec<_> = as_paid.iter().chain([&order]).collect();
        let report = |ledger: &mut Ledger| {
            for order in &reports {
                ledger.execute(&record((*order).clone(), Status::Completed), now()).unwrap();
            }
        };
        if !early {
            report(&mut ledger);
        }

        let of_gone = (LineId::new("gone").unwrap(), Quantity::from(returned));
        let of_gone = Refund::of_lines(RefundId::new("gone").unwrap(), [of_gone]);
        let of_gone = as_paid.iter().map(|_| of_gone.clone());

        let execute = |refund: &Refund| ledger.execute(&refund_command(refund.clone()), now()).is_ok();
        let accepted: Vec<_> = fitting.into_iter().chain(of_gone).filter(execute).collect();
        report(&mut ledger);

        let state = ledger.orders().get(&id()).unwrap();
        let actual = loyalty_core::entitlement(state, &program, state.pin().unwrap()).unwrap();
        let facts = model::OrderFacts { order: &order, as_paid: as_paid.as_ref(), refunds: &accepted, tags: &tags, tier: tier.as_ref(), at: now() };
        let (exact, points) = model::entitlement(&facts, program.definition());
        prop_assert_eq!(model::rational(&actual.exact.to_string()), exact, "{}", actual);
        prop_assert_eq!(actual.points.get(), points, "{}", actual);
        if program.definition().debt == DebtPolicy::Allow {
            prop_assert_eq!(ledger.balance(now()).get(), points);
        }
    }

    #[test]
    fn baskets_of_weighed_goods_are_counted(
        program in programs(),
        weights in vec((1..9_999_i64, 1..9_999_i64, 1..5_000_i64), 1..50),
    ) {
        // Each item is a little lighter than ordered, which makes the denominators as large as possible.
        let mut ledger = Ledger::new(program.clone());
        let grams = |count: i64| Quantity::new(rust_decimal::Decimal::new(count, 3)).unwrap();
        let line = |(index, (grams_sold, _, cents)): (usize, &(i64, i64, i64))| Line {
            id: index.to_string().parse().unwrap(),
            quantity: grams(*grams_sold),
            amount: Amount::from_ten_thousandths(cents * 100).unwrap(),
            ..order_of_100().lines.remove(0)
        };

        let lines: Vec<_> = weights.iter().enumerate().map(line).collect();
        let back = |(line, (sold, part, _)): (&Line, &(i64, i64, i64))| (line.id.clone(), grams(part % (sold + 1)));
        let back = lines.iter().zip(&weights).map(back).collect();
        let order = Order { lines, ..Order::default() };
        let order = Order { total: order.subtotal().unwrap(), ..order };
        let refunds = [refund("lighter", RefundContent::Lines { lines: back, amount: None })];
        ledger.execute(&record(order.clone(), Status::Completed), now()).unwrap();
        ledger.execute(&refund_command(refunds[0].clone()), now()).unwrap();
        let facts = model::OrderFacts { order: &order, as_paid: None, refunds: &refunds, tags: ledger.tags(), tier: None, at: now() };
        let (_, points) = model::entitlement(&facts, program.definition());
        prop_assert_eq!(ledger.balance(now()).get(), points);

        for event in ledger.events() {
            prop_assert_eq!(&through_json(event), event);
        }
    }

    #[test]
    fn histories_satisfy_all_invariants(
        program in prop_oneof![programs(), expiring_programs(), full_programs()],
        history in prop_oneof![histories(), redeeming_histories()],
        (next, place) in (prop_oneof![2 => full_programs(), 1 => Just(inactivity_program())], 0..24_usize),
    ) {
        let mut ledger = Ledger::new(program);
        for (number, (now, command)) in history.iter().enumerate() {
            // Sometimes another program is published during the history.
            if number == place {
                ledger.publish(next.clone(), *now);
            }
            let decided = ledger.dry_run(command, *now);
            prop_assert_eq!(&decided, &ledger.dry_run(command, *now), "decided twice");
            let mut caught_up = ledger.clone();
            caught_up.execute(&Command::CatchUp, *now).unwrap();
            let before = ledger.balance(*now);
            prop_assert_eq!(caught_up.balance(*now), before, "a balance does not depend on catch-up");
            if let Ok(result) = caught_up.execute(command, *now) {
                let moved = caught_up.balance(*now).checked_sub(before);
                prop_assert_eq!(moved, Some(result.points()));
            }
            let result = ledger.execute(command, *now);
            prop_assert_eq!(ledger.balance(*now), caught_up.balance(*now), "{:?}", result);
            check_conservation(&ledger)?;
            check_order_entitlements(&ledger)?;
            check_points_or_code(&ledger, *now)?;
        }

        check_calculations(&ledger)?;

        for event in ledger.events() {
            prop_assert_eq!(&through_json(event), event);
        }

        prop_assert_eq!(&through_json(ledger.account()), ledger.account());

        for (id, order) in ledger.orders() {
            prop_assert_eq!(&through_json(order).with_id(id.clone()), order);
        }

        for redemption in ledger.redemptions().values() {
            prop_assert_eq!(&through_json(redemption), redemption);
        }
    }

    #[test]
    fn programs_round_trip_through_json(program in prop_oneof![programs(), expiring_programs(), full_programs()]) {
        prop_assert_eq!(Program::from_json(&program.to_json()), Ok(program));
    }
}

fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Amounts from the smallest to the largest.
fn extreme_amounts() -> impl Strategy<Value = Amount> {
    let most = Amount::MAX.ten_thousandths();
    let parts = prop_oneof![Just(0), Just(1), Just(most), Just(most - 1), 0..=most, 0..10_000_i64];
    parts.prop_map(|parts| Amount::from_ten_thousandths(parts).unwrap())
}

fn extreme_quantities() -> impl Strategy<Value = Quantity> {
    let most = 1_000_000_000_i64;
    let thousandths = prop_oneof![Just(0), Just(1), Just(most), 0..=most];
    thousandths.prop_map(|count| Quantity::new(rust_decimal::Decimal::new(count, 3)).unwrap())
}

fn extreme_times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp::MIN_UTC),
        Just(Timestamp::MAX_UTC),
        (-8_334_601_228_800_i64..8_210_266_876_799)
            .prop_map(|seconds| Timestamp::from_timestamp(seconds, 0).unwrap()),
        (0..4_102_444_800_i64, 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanos)| Timestamp::from_timestamp(seconds, nanos).unwrap()),
    ]
}

fn extreme_orders() -> impl Strategy<Value = Order> {
    let line = (extreme_amounts(), extreme_quantities(), any::<bool>());
    let rest = (
        extreme_amounts(),
        extreme_amounts(),
        extreme_amounts(),
        extreme_amounts(),
        any::<bool>(),
    );
    let order = (vec(line, 0..6), rest, proptest::option::of(extreme_times()));
    order.prop_map(|(lines, (tax, shipping, total, redeemed, taxes_included), placed_at)| {
        let line = |(number, (amount, quantity, gift_card)): (usize, _)| {
            let id = number.to_string().parse().unwrap();
            Line {
                id,
                product: None,
                categories: Vec::new(),
                quantity,
                amount,
                gift_card,
            }
        };
        let lines = lines.into_iter().enumerate().map(line).collect();
        Order {
            placed_at,
            lines,
            tax,
            taxes_included,
            shipping,
            total,
            redeemed,
            ..Order::default()
        }
    })
}

fn extreme_programs() -> impl Strategy<Value = Program> {
    let text = |rate: &str, amount: &str, points: u32, multiplier: &str, after: &str| {
        format!(
            r#"{{"earning": [{{"id": "a", "earn": {{"per_unit": "{rate}"}}}},
                {{"id": "b", "earn": {{"per_increment": {{"amount": "{amount}", "points": {points}}}}}}}],
                "basis": {{"tax": true, "shipping": true}}, "rounding": "up",
                "tiers": [{{"id": "tier0", "name": "x", "multiplier": "{multiplier}"}}],
                "expiry": {{"per_lot": {{"after": "{after}", "round_up_to": "year"}}}}}}"#
        )
    };

    let rates = select(&["0.000001", "0.333333", "1", "1000000", "999999.999999"][..]);
    let amounts = select(&["0.0001", "0.01", "10", "100000000000"][..]);
    let multipliers = select(&["0.000001", "1", "1000", "999.999999"][..]);
    let periods = select(&["P1D", "P100Y", "P1200M36500D"][..]);
    (rates, amounts, select(&[1_u32, 1_000_000_000][..]), multipliers, periods).prop_map(
        move |(rate, amount, points, multiplier, after)| {
            Program::from_json(&text(rate, amount, points, multiplier, after)).unwrap()
        },
    )
}

fn extreme_refunds() -> impl Strategy<Value = RefundContent> {
    let line = (0..6_u8, extreme_quantities())
        .prop_map(|(line, units)| (line.to_string().parse().unwrap(), units));
    prop_oneof![
        extreme_amounts().prop_map(|amount| RefundContent::Amount(amount.into())),
        (vec(line, 0..4), proptest::option::of(extreme_amounts())).prop_map(|(lines, amount)| {
            RefundContent::Lines { lines, amount: amount.map(Into::into) }
        }),
    ]
}

fn extreme_commands() -> impl Strategy<Value = Command> {
    let at = || proptest::option::of(extreme_times());
    let points = || {
        let most = Points::MAX.get();
        prop_oneof![Just(most), Just(-most), -most..=most, -5..5_i64]
            .prop_map(|count| Points::new(count).unwrap())
    };

    prop_oneof![
        4 => (extreme_orders(), at(), any::<bool>()).prop_map(|(order, at, plugin)| {
            let origin = if plugin { Origin::Plugin } else { Origin::Shop };
            Command::RecordOrder { order: id(), snapshot: Arc::new(order), status: Status::Paid, at, origin }
        }),
        4 => (extreme_refunds(), any::<u16>(), any::<bool>(), at()).prop_map(|(refunded, name, cut, at)| {
            let over_refund = if cut { OverRefund::Clamp } else { OverRefund::Reject };
            Command::RefundOrder { order: id(), refund: refund(&name.to_string(), refunded), over_refund, at }
        }),
        1 => at().prop_map(|at| Command::CancelOrder { order: id(), at }),
        1 => points().prop_map(|points| Command::AddPoints { points, reason: AdjustmentReason::default() }),
        1 => points().prop_map(|points| Command::SubtractPoints { points, reason: AdjustmentReason::default() }),
        1 => points().prop_map(|to| Command::SetBalance { to, reason: None }),
        1 => Just(Command::SetTier(Some(ManualTier { id: "tier0".parse().unwrap(), until: None }))),
    ]
}

fn zones() -> impl Strategy<Value = Zone> {
    const NAMES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Africa/Monrovia",
        "America/Sao_Paulo",
    ];
    select(NAMES.to_vec()).prop_map(|name| name.parse().unwrap())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn extremes_are_exact_or_rejected(
        program in extreme_programs(),
        zone in zones(),
        commands in vec((extreme_commands(), extreme_times()), 1..12),
    ) {
        let mut ledger = Ledger::new(program);
        ledger = ledger.with_zone(zone);

        for (command, now) in commands {
            let result = ledger.execute(&command, now);
            check_conservation(&ledger)?;
            for event in result.iter().flat_map(|result| &result.events) {
                prop_assert_eq!(&through_json(event), event);
                if let Event::PointsAwarded { calculation, .. } = event {
                    prop_assert!(!calculation.to_string().is_empty());
                }
            }
        }
    }

    #[test]
    fn periods_move_forward(
        zone in zones(),
        from in extreme_times(),
        months in 1..=1_200_u32,
        days in 1..=36_500_u32,
        boundary in select(&[Boundary::Month, Boundary::Quarter, Boundary::Year][..]),
    ) {
        for period in [Period::from_months(months), Period::from_days(days)].into_iter().flatten() {
            let Ok(end) = zone.after(from, period) else { continue };
            prop_assert!(end > from, "{} + {} = {}", from, period, end);
            let Ok(rounded) = zone.end_of(end, boundary) else { continue };
            prop_assert!(rounded > end);
            prop_assert_eq!(zone.end_of(rounded - chrono::TimeDelta::nanoseconds(1), boundary), Ok(rounded));
        }
    }

    #[test]
    fn texts_are_parsed_exactly_or_rejected(text in "-?[0-9.eE+_P MYD]{0,40}", json in r#"[\[\]{}",:a-z0-9]{0,60}"#) {
        if let Ok(amount) = text.parse::<Amount>() {
            prop_assert_eq!(model::rational(&text), model::rational(&amount.to_string()));
            prop_assert_eq!(through_json(&amount), amount);
        }
        if let Ok(rate) = text.parse::<Rate>() {
            prop_assert_eq!(model::rational(&text), model::rational(&rate.to_string()));
        }
        if let Ok(units) = text.parse::<Quantity>() {
            prop_assert_eq!(model::rational(&text), model::rational(&units.to_string()));
        }
        let _ = (text.parse::<Period>(), Program::from_json(&json));
    }

    #[test]
    fn amounts_add_up_exactly(left in amounts(), right in extreme_amounts()) {
        if let Some(sum) = left.checked_add(right) {
            prop_assert_eq!(sum.checked_sub(right), Some(left));
            prop_assert_eq!(sum.ten_thousandths(), left.ten_thousandths() + right.ten_thousandths());
        }
    }
}

#[test]
fn every_part_of_a_program_is_generated() {
    // The strategies must generate every part, else the properties above check little.
    let mut runner = TestRunner::deterministic();
    let parts: Vec<ProgramDefinition> = (0..300)
        .map(|_| {
            programs()
                .new_tree(&mut runner)
                .unwrap()
                .current()
                .definition()
                .clone()
        })
        .collect();
    let share =
        |seen: fn(&ProgramDefinition) -> bool| parts.iter().filter(|parts| seen(parts)).count();
    let rules = |seen: fn(&loyalty_core::program::EarningRule) -> bool| {
        parts.iter().filter(|parts| parts.earning.iter().any(seen)).count()
    };

    assert!(share(|parts| !parts.tiers.is_empty()) > 50);
    assert!(share(|parts| parts.basis.tax && parts.basis.shipping) > 30);
    assert!(rules(|rule| rule.replaces_base) > 50);
    assert!(rules(|rule| rule.when.minimum_spend.is_some()) > 50);
    assert!(rules(|rule| rule.when.from.is_some()) > 30);
}
