//! The engine and a simple model of it execute the same random commands, and must have the same
//! results and states.
//!
//! 2,000 sequences of 100 commands. `MODEL_SEQUENCES` sets their number, `MODEL_SEED` the seed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    reason = "a test may stop at what it did not expect"
)]

mod model;

use std::fmt::Write;
use std::sync::Arc;

use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use loyalty_core::proptest::{check_calculations, check_conservation, check_order_entitlements};
use loyalty_core::{
    AdjustmentReason, Amount, Birthday, Command, Event, Ledger, Line, LineId, Order, OrderId,
    Origin, OverRefund, Points, Program, Quantity, Refund, RefundAmount, RefundId, Status,
    Timestamp,
};
use model::{Downgrade, Expiry, Model, ModelResult, Rules, Tier, Window};

/// A generator of pseudo-random numbers, equal in each run.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from `from`, inclusive, to `to`, exclusive.
    fn number(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next_u64() % (to - from) as u64) as i64
    }

    fn chance(&mut self, percent: i64) -> bool {
        self.number(0, 100) < percent
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.number(0, all.len() as i64) as usize]
    }

    fn days(&mut self, percent: i64, most: i64) -> Option<u64> {
        self.chance(percent).then(|| self.number(1, most) as u64)
    }
}

fn rules(dice: &mut SplitMix64) -> Rules {
    let days = |dice: &mut SplitMix64| dice.number(1, 120) as u64;
    let expiry = match dice.number(0, 4) {
        0 => Expiry::Never,
        1 => Expiry::Inactivity {
            days: days(dice),
            earning_and_redeeming_only: dice.chance(50),
        },
        _ => Expiry::PerLot { days: days(dice), to_month_end: dice.chance(30) },
    };

    let down = dice.one_of(&[
        Downgrade::Never,
        Downgrade::OneStep,
        Downgrade::ToQualified,
        Downgrade::ToQualified,
    ]);
    let term = if down == Downgrade::OneStep { Some(days(dice)) } else { dice.days(30, 100) };
    let metric = dice.number(0, 3) as usize;
    let unit = if metric == 2 { 3 } else { 150 };
    let mut threshold = 0;
    let tiers = (0..dice.number(0, 4)).map(|_| {
        threshold += dice.number(1, unit);
        let entry = dice
            .chance(60)
            .then(|| (dice.number(1, 40), dice.chance(30), dice.chance(50)));
        Tier { threshold, factor: dice.number(1, 4), entry }
    });
    let tiers = tiers.collect();
    let windows = [
        Window::Lifetime,
        Window::Year,
        Window::Rolling(dice.number(1, 7) as u32),
        Window::Rolling(2),
    ];
    let times = dice.chance(50);
    let campaign = dice.number(0, 600);
    Rules {
        expiry,
        hold: dice.days(40, 40),
        stop_at_zero: dice.chance(30),
        metric,
        window: dice.one_of(&windows),
        down,
        term,
        grace: dice.days(40, 40),
        skipped: dice.chance(50),
        tiers,
        review: (
            dice.number(1, 30),
            if times { dice.number(1, 4) } else { dice.number(1, 60) },
            times,
            dice.number(0, 5) as usize,
            dice.chance(50),
        ),
        review_hold: dice.days(30, 20),
        birthday: (
            NaiveDate::from_ymd_opt(1992, 2, 1).unwrap() + Days::new(dice.number(0, 60) as u64),
            dice.one_of(&[0, 30]),
            dice.number(1, 50),
        ),
        known_since: start().date() + Days::new(dice.number(0, 40) as u64),
        anniversary: dice.number(1, 50),
        goal_spend: (dice.number(1, 900), dice.number(1, 90)),
        goal_orders: (dice.number(1, 30), dice.number(1, 90)),
        campaign: (dice.number(1, 4), campaign, campaign + dice.number(1, 100)),
        combine: dice.number(0, 3) as usize,
    }
}

fn start() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2024, 1, 1).unwrap().and_time(NaiveTime::MIN)
}

fn instant(at: NaiveDateTime) -> Timestamp {
    at.and_utc()
}

/// The JSON document of the rules.
fn document(rules: &Rules) -> String {
    let mut text = String::from("{");
    let expiry = match rules.expiry {
        Expiry::Never => r#""never""#.to_owned(),
        Expiry::PerLot { days, to_month_end: false } => {
            format!(r#"{{"per_lot": {{"after": "P{days}D"}}}}"#)
        }
        Expiry::PerLot { days, to_month_end: true } => {
            format!(r#"{{"per_lot": {{"after": "P{days}D", "round_up_to": "month"}}}}"#)
        }
        Expiry::Inactivity { days, earning_and_redeeming_only: dealing_only } => {
            let activity = if dealing_only { "earning_and_redeeming" } else { "any" };
            format!(r#"{{"inactivity": {{"after": "P{days}D", "activity": "{activity}"}}}}"#)
        }
    };

    let period = |name: &str, days: Option<u64>| {
        days.map_or(String::new(), |days| format!(r#""{name}": "P{days}D","#))
    };

    let debt = if rules.stop_at_zero { "stop_at_zero" } else { "allow" };
    write!(text, r#""expiry": {expiry}, "debt": "{debt}", {}"#, period("hold", rules.hold))
        .unwrap();
    let tier = |(rank, tier): (usize, &Tier)| {
        let entry = tier.entry.map_or(String::new(), |(points, each, back)| {
            format!(
                r#", "entry": {{"points": {points}, "each_time": {each}, "taken_back": {back}}}"#
            )
        });
        let Tier { threshold, factor, .. } = tier;
        format!(
            r#"{{"id": "{rank}", "name": "x", "threshold": {threshold}, "multiplier": {factor}{entry}}}"#
        )
    };

    let tiers: Vec<_> = rules.tiers.iter().enumerate().map(tier).collect();
    let window = match rules.window {
        Window::Lifetime => r#""lifetime""#.to_owned(),
        Window::Year => r#""calendar_year""#.to_owned(),
        Window::Rolling(months) => format!(r#"{{"rolling": "P{months}M"}}"#),
    };

    let metric = ["spend", "points_earned", "orders"][rules.metric];
    let down = match rules.down {
        Downgrade::Never => "never",
        Downgrade::OneStep => "one_step",
        Downgrade::ToQualified => "to_qualified",
    };

    let (term, grace) = (period("term", rules.term), period("grace", rules.grace));
    let (tiers, skipped) = (tiers.join(","), rules.skipped);
    write!(
        text,
        r#""tiers": [{tiers}], "tiering": {{"metric": "{metric}", "window": {window}, {term} {grace}
           "down": "{down}", "skipped_rewards": {skipped}}},"#
    )
    .unwrap();
    let (points, most, times, span, partial) = rules.review;
    let (quota, span) = (
        if times { "times" } else { "points" },
        ["day", "week", "month", "year", "ever"][span],
    );
    let (_, notice, birthday) = rules.birthday;
    let hold = period("hold", rules.review_hold);
    write!(
        text,
        r#""actions": [
            {{"id": "birthday", "kind": {{"birthday": {{"notice_days": {notice}}}}}, "points": {birthday}}},
            {{"id": "anniversary", "kind": "anniversary", "points": {}}},
            {{"id": "spend", "kind": {{"goal_spend": {}}}, "points": {}}},
            {{"id": "orders", "kind": {{"goal_orders": {}}}, "points": {}}},
            {{"id": "review", "kind": "review", "points": {points}, {hold}
              "limits": [{{"{quota}": {most}, "per": "{span}", "partial": {partial}}}]}}],"#,
        rules.anniversary, rules.goal_spend.0, rules.goal_spend.1, rules.goal_orders.0, rules.goal_orders.1
    )
    .unwrap();
    let (factor, from, until) = rules.campaign;
    let at = |half_days: i64| instant(start() + TimeDelta::hours(12 * half_days)).to_rfc3339();
    let combine = ["multiply", "highest", "add"][rules.combine];
    write!(
        text,
        r#""combine": "{combine}", "campaigns": [{{"id": "c", "effect": {{"multiplier": {factor}}},
            "from": "{}", "until": "{}"}}]}}"#,
        at(from),
        at(until)
    )
    .unwrap();
    text
}

/// A command for the model and the engine.
#[derive(Clone, Copy, Debug)]
enum ModelCommand {
    Add(i64),
    Subtract(i64),
    Set(i64),
    /// The price of goods and of shipping.
    Order(usize, (i64, i64)),
    Cancel(usize),
    /// The number of the refund, its money, and the part of it that is shipping.
    Refund(usize, usize, i64, i64),
    Review,
    Nothing,
}

fn random_command(dice: &mut SplitMix64, model: &Model, number: usize) -> ModelCommand {
    let known = model.orders.len();
    let order =
        if known == 0 { 0 } else { dice.number((known as i64 - 6).max(0), known as i64) as usize };
    let later = model
        .last_reported_at(order)
        .is_some_and(|reported_at| reported_at < model.now);
    match dice.number(0, 100) {
        0..30 => {
            let shipping = if dice.chance(30) { dice.number(1, 20) } else { 0 };
            ModelCommand::Order(known, (dice.number(1, 200), shipping))
        }
        // An edit: dearer, or cheaper.
        30..34 if later => {
            let (goods, shipping) = model.price(order);
            ModelCommand::Order(order, (goods + dice.number(1, 50), shipping))
        }
        34..38 if later => {
            let (goods, shipping) = model.price(order);
            let shipping = if dice.chance(50) { shipping } else { 0 };
            ModelCommand::Order(order, (dice.number(1, goods + 1), shipping))
        }
        38..48 if later => ModelCommand::Cancel(order),
        48..63 if known > 0 => {
            let (goods, shipping) = model.price(order);
            let amount = dice.number(1, goods + shipping + 10);
            let part = if dice.chance(30) { dice.number(0, amount.min(25) + 1) } else { 0 };
            ModelCommand::Refund(order, number, amount, part)
        }
        63..70 => ModelCommand::Add(dice.number(0, 100)),
        70..80 => ModelCommand::Subtract(dice.number(0, 150)),
        80..83 => ModelCommand::Set(dice.number(0, 200)),
        83..95 => ModelCommand::Review,
        _ => ModelCommand::Nothing,
    }
}

fn apply_to_model(model: &mut Model, command: ModelCommand) -> ModelResult {
    match command {
        ModelCommand::Add(points) => model.add(points, false),
        ModelCommand::Subtract(points) => model.subtract(points, false),
        ModelCommand::Set(to) => model.set(to),
        ModelCommand::Refund(order, _, amount, shipping) => model.refund(order, amount, shipping),
        ModelCommand::Review => model.review(),
        ModelCommand::Nothing => Ok(()),
        ModelCommand::Order(order, price) => {
            model.record_order(order, price);
            Ok(())
        }
        ModelCommand::Cancel(order) => {
            model.cancel(order);
            Ok(())
        }
    }
}

fn order_id(order: usize) -> OrderId {
    OrderId::new(order.to_string()).unwrap()
}

fn command(command: ModelCommand, now: Timestamp) -> Command {
    let points = |count: i64| Points::new(count).unwrap();
    let money = |count: i64| Amount::from(u32::try_from(count).unwrap());
    match command {
        ModelCommand::Add(count) => {
            Command::AddPoints { points: points(count), reason: AdjustmentReason::default() }
        }
        ModelCommand::Subtract(count) => {
            Command::SubtractPoints { points: points(count), reason: AdjustmentReason::default() }
        }
        ModelCommand::Set(to) => Command::SetBalance { to: points(to), reason: None },
        ModelCommand::Order(order, (goods, shipping)) => {
            let line = Line {
                id: LineId::new("1").unwrap(),
                product: None,
                categories: Vec::new(),
                quantity: Quantity::from(1),
                amount: money(goods),
                gift_card: false,
            };
            let order_of = Order::new([line]).unwrap();
            let snapshot = Arc::new(order_of.with_shipping(money(shipping)).unwrap());
            let (order, status, at, origin) =
                (order_id(order), Status::Paid, Some(now), Origin::Shop);
            Command::RecordOrder { order, snapshot, status, at, origin }
        }
        ModelCommand::Cancel(order) => {
            Command::CancelOrder { order: order_id(order), at: Some(now) }
        }
        ModelCommand::Refund(order, number, amount, shipping) => {
            let id = RefundId::new(number.to_string()).unwrap();
            let refunded = RefundAmount::new(money(amount));
            let refunded = refunded.with_shipping(money(shipping)).unwrap();
            let refund = Refund::of_money(id, refunded);
            Command::RefundOrder {
                order: order_id(order),
                refund,
                over_refund: OverRefund::Reject,
                at: Some(now),
            }
        }
        ModelCommand::Review => {
            Command::PerformAction { action: "review".parse().unwrap(), points: None }
        }
        ModelCommand::Nothing => Command::CatchUp,
    }
}

/// The compared state: balance, pending points, debt, the tier with its end, and the lots.
#[derive(Debug, PartialEq)]
struct Snapshot {
    balance: i64,
    pending: i64,
    debt: i64,
    tier: Option<(usize, Timestamp, Option<Timestamp>)>,
    lots: Vec<(i64, Option<Timestamp>, Option<Timestamp>)>,
}

impl Snapshot {
    fn from_model(model: &Model) -> Self {
        let lots = model.lots.iter().chain(model.pending.iter());
        let lots = lots.map(|lot| (lot.points, lot.expires.map(instant), lot.until.map(instant)));
        let mut lots: Vec<_> = lots.collect();
        lots.sort_unstable();
        let tier = model
            .tier
            .map(|(rank, since, until)| (rank, instant(since), until.map(instant)));
        Self {
            balance: model.balance(),
            pending: model.pending_points(),
            debt: model.debt,
            tier,
            lots,
        }
    }

    fn from_ledger(ledger: &Ledger, now: Timestamp) -> Self {
        let account = ledger.as_of(now);
        let lots = account.lots().iter().chain(account.pending_lots().iter());
        let lots = lots.map(|lot| (lot.points.get(), lot.expires_at, lot.pending_until));
        let mut lots: Vec<_> = lots.collect();
        lots.sort_unstable();
        let tier = account
            .earned_tier()
            .map(|tier| (tier.id.as_str().parse().unwrap(), tier.since, tier.until));
        let (balance, pending) = (account.balance(now).get(), account.pending(now).get());
        Self { balance, pending, debt: account.debt().get(), tier, lots }
    }
}

fn number_of(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn engine_and_model_agree() {
    let (sequences, seed) = (number_of("MODEL_SEQUENCES", 2_000), number_of("MODEL_SEED", 1));
    let half = sequences / 2;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            (0..half).for_each(|number| sequence(seed.wrapping_mul(1_000_003) + number));
        });
        (half..sequences).for_each(|number| sequence(seed.wrapping_mul(1_000_003) + number));
    });
}

fn sequence(seed: u64) {
    let mut dice = SplitMix64(seed);
    let rules = rules(&mut dice);
    let text = document(&rules);
    let program = Program::from_json(&text).unwrap_or_else(|faults| panic!("{faults:?}: {text}"));
    let mut ledger = Ledger::new(program);
    let set_at = instant(rules.known_since.and_time(NaiveTime::MIN));
    ledger.set_birthday(Some(Birthday { day: rules.birthday.0, set_at }));

    // Another ledger catches up at each half day.
    let mut punctual = dice.chance(10).then(|| ledger.clone());
    let mut model = Model::new(rules, start());
    let mut transcript = Vec::new();
    for number in 0..100 {
        let jump = if dice.chance(5) { dice.number(20, 200) } else { dice.number(0, 8) };
        for _ in 0..jump {
            model.advance_half_day();
            if let Some(ledger) = &mut punctual {
                ledger.execute(&Command::CatchUp, instant(model.now)).unwrap();
            }
        }
        let now = instant(model.now);
        let model_command = random_command(&mut dice, &model, number);
        transcript.push((model.now, model_command));
        let describe = || format!("seed {seed}, {text}\n{transcript:?}");
        assert_eq!(
            Snapshot::from_ledger(&ledger, now),
            Snapshot::from_model(&model),
            "before: {}",
            describe()
        );
        let command = command(model_command, now);
        let foreseen = dice.chance(10).then(|| ledger.dry_run(&command, now));
        let actual = ledger.execute(&command, now);
        assert_eq!(
            foreseen.as_ref().unwrap_or(&actual),
            &actual,
            "a dry run equals the real run: {}",
            describe()
        );
        let expected = apply_to_model(&mut model, model_command);
        assert_eq!(
            actual.map(|_| ()).map_err(|rejection| rejection.code()),
            expected,
            "{}",
            describe()
        );
        assert_eq!(
            Snapshot::from_ledger(&ledger, now),
            Snapshot::from_model(&model),
            "after: {}",
            describe()
        );
        if let Some(ledger) = &mut punctual {
            let _refused = ledger.execute(&command, now);
        }
        if dice.chance(2) {
            let state = serde_json::to_string(ledger.account()).unwrap();
            *ledger.account_mut() = serde_json::from_str(&state).unwrap();
        }
    }

    let end = instant(model.now);
    ledger.execute(&Command::CatchUp, end).unwrap();
    let checked = check_conservation(&ledger).and_then(|()| check_order_entitlements(&ledger));
    checked
        .and_then(|()| check_calculations(&ledger))
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(ledger.account().totals().granted.get(), model.granted_points, "seed {seed}");
    if let Some(punctual) = punctual {
        let late: &[Event] = ledger.events();
        assert_eq!(punctual.events(), late, "seed {seed}: caught up late");
    }
}
