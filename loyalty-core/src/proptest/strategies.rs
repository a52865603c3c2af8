//! Values to test with. Small ranges on purpose: ids, instants and thresholds must meet.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::proptest::collection::{btree_set, vec};
use ::proptest::option::{of, weighted};
use ::proptest::prelude::*;
use ::proptest::sample::{Index, select};

use super::Books;
use crate::amount::{Amount, Points, Rate, Rounding};
use crate::award::{Limit, Quota, Span};
use crate::calendar::{Boundary, Period, Timestamp};
use crate::command::{Command, Excess};
use crate::event::{Grounds, ManualTier};
use crate::id::{CategoryId, LineId, OrderId, ProductId, RedemptionId, RefundId, RewardId, RuleId, Tag, TierId};
use crate::order::{Line, Order, Origin, Quantity, Refund, Refunded, Status};
use crate::program::{
    ActionConditions, Basis, BringsBack, Conditions, DebtPolicy, Earn, EarningRule, Expiry, FreeProduct,
    FreeShipping, Gives, Goods, Offer, Parts, Program, RedemptionTerms, RefundPolicy, Reward, Tier,
    VariableAmount,
};

/// Ways for `count` facts to arrive: every permutation up to five, 60 random ones beyond.
pub fn arrivals(count: usize) -> BoxedStrategy<Vec<Vec<usize>>> {
    let in_order: Vec<usize> = (0..count).collect();
    if count > 5 {
        return vec(Just(in_order).prop_shuffle(), 60).boxed();
    }
    let mut all = vec![Vec::new()];
    for next in in_order {
        let with_next = |shorter: &Vec<usize>| {
            let insert = |place: usize| {
                let (before, after) = shorter.split_at_checked(place)?;
                Some([before, &[next], after].concat())
            };
            (0..=shorter.len()).filter_map(insert).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with_next).collect();
    }
    Just(all).boxed()
}

/// Instants: whole hours of a few days, so that some are equal.
pub fn instants() -> impl Strategy<Value = Timestamp> {
    (0..60_i64).prop_map(hours)
}

fn hours(count: i64) -> Timestamp {
    let start = 1_767_225_600_i64; // 1 January 2026
    Timestamp::from_timestamp(start.saturating_add(count.saturating_mul(3_600)), 0).unwrap_or_default()
}

/// Amounts of an everyday order: nothing, cents, and sometimes the finest unit.
pub fn amounts() -> impl Strategy<Value = Amount> {
    let parts = prop_oneof![
        8 => (0..30_000_i64).prop_map(|cents| cents.saturating_mul(100)),
        1 => 0..3_000_000_i64,
        1 => Just(0),
    ];
    parts.prop_filter_map("in range", |parts| Amount::from_ten_thousandths(parts).ok())
}

fn rates() -> impl Strategy<Value = Rate> {
    const TEXTS: [&str; 10] = ["1", "2", "3", "10", "0.5", "1.5", "0.1", "0.333333", "1.25", "0.000001"];
    select(TEXTS.to_vec()).prop_filter_map("a rate", |text| text.parse().ok())
}

/// An id out of a few, so that programs and orders meet.
fn ids<T: std::fmt::Debug>(prefix: &'static str, new: fn(String) -> Option<T>) -> impl Strategy<Value = T> {
    (0..3_u8).prop_filter_map("an id", move |number| new(format!("{prefix}{number}")))
}

fn products() -> impl Strategy<Value = ProductId> {
    ids("product", |text| ProductId::new(text).ok())
}

fn categories() -> impl Strategy<Value = CategoryId> {
    ids("category", |text| CategoryId::new(text).ok())
}

/// A customer's tags.
pub fn tags() -> impl Strategy<Value = BTreeSet<Tag>> {
    btree_set(ids("tag", |text| Tag::new(text).ok()), 0..3)
}

/// Tiers that [`programs`] have, or not.
pub fn tier_ids() -> impl Strategy<Value = TierId> {
    ids("tier", |text| TierId::new(text).ok())
}

/// Programs of every shape, points without an end.
pub fn programs() -> impl Strategy<Value = Program> {
    let policies = (
        weighted(0.3, select(&Status::ALL[..])),
        select(&Rounding::NAMES[..]).prop_map(|(_, rounding)| rounding),
        prop_oneof![6 => Just(RefundPolicy::ClawBack), 1 => Just(RefundPolicy::Keep)],
        prop_oneof![2 => Just(DebtPolicy::Allow), 1 => Just(DebtPolicy::StopAtZero)],
    );
    let tiers = btree_set(tier_ids(), 0..3);
    let buys = (vec(rewards(), 0..4), redemption_terms());
    let parts = (policies, bases(), vec(rules(), 0..5), (tiers, rates()), buys).prop_map(
        |((award_on, rounding, refunds, debt), basis, rules, (tiers, multiplier), (rewards, redemption))| {
            let named = rules.into_iter().enumerate().filter_map(|(index, rule)| {
                Some(EarningRule { id: RuleId::new(format!("rule{index}")).ok()?, ..rule })
            });
            let tier = |id: TierId| Tier::by_hand(id.clone(), id.as_str(), multiplier);
            let (earning, tiers) = (named.collect(), tiers.into_iter().map(tier).collect());
            let named = rewards.into_iter().enumerate().filter_map(|(index, reward)| {
                Some(Reward { id: RewardId::new(format!("reward{index}")).ok()?, ..reward })
            });
            let rewards = named.collect();
            let parts = Parts { award_on, rounding, basis, earning, refunds, debt, tiers, ..Parts::default() };
            Parts { rewards, redemption, ..parts }
        },
    );
    parts.prop_filter_map("a valid program", |parts| Program::new(parts).ok())
}

/// [`programs`] whose points end after some days or months.
pub fn expiring_programs() -> impl Strategy<Value = Program> {
    let after = prop_oneof![(1..20_u32).prop_map(Period::days), (1..3_u32).prop_map(Period::months)];
    let round_up_to = weighted(0.2, select(&[Boundary::Month, Boundary::Quarter][..]));
    (programs(), after, round_up_to).prop_filter_map("a period", |(program, after, round_up_to)| {
        let expiry = Expiry::PerLot { after: after?, round_up_to };
        Program::new(Parts { expiry, ..program.parts().clone() }).ok()
    })
}

/// Rewards of every kind.
pub fn rewards() -> impl Strategy<Value = Reward> {
    let dimes = |dimes: u32| Amount::from_ten_thousandths(i64::from(dimes).saturating_mul(1_000)).ok();
    let goods = || {
        let products = btree_set(products(), 1..3).prop_map(|products| Goods { products, ..Goods::default() });
        let categories =
            btree_set(categories(), 1..3).prop_map(|categories| Goods { categories, ..Goods::default() });
        prop_oneof![products, categories]
    };
    let gives = prop_oneof![
        3 => (1..500_u32).prop_filter_map("in range", dimes).prop_map(Gives::FixedAmount),
        1 => (1..=100_u32).prop_filter_map("in range", |part| Rate::new(part.into()).ok()).prop_map(Gives::Percentage),
        1 => weighted(0.5, amounts()).prop_map(|maximum| Gives::FreeShipping(FreeShipping { maximum })),
        1 => (goods(), 1..4_u32).prop_map(|(goods, quantity)| Gives::FreeProduct(FreeProduct { goods, quantity })),
        1 => (1..500_u32).prop_filter_map("in range", dimes).prop_map(Gives::StoreCredit),
        1 => Just(Gives::Custom),
    ];
    let fixed = (1..150_u32, gives).prop_map(|(cost, gives)| Offer::Fixed { cost: cost.into(), gives });
    let variable = (1..30_u32, 1..4_u32, weighted(0.5, 4..8_u32)).prop_map(|(per_unit, step, maximum)| {
        let (step, maximum) = (Amount::from(step), maximum.map(|steps| Amount::from(steps.saturating_mul(step))));
        Offer::Variable(VariableAmount { points_per_unit: per_unit.into(), step, minimum: step, maximum })
    });
    let offer = prop_oneof![4 => fixed, 1 => variable];
    let spans = select(&Span::NAMES[..]).prop_map(|(_, span)| span);
    let quota = prop_oneof![
        (1..4_u32).prop_map(Quota::Times),
        (50..300_u32).prop_map(|points| Quota::Points(Points::from(points))),
    ];
    let limit = (spans, quota).prop_map(|(per, quota)| Limit { quota, per, partial: false });
    let valid_for = weighted(0.7, (1..12_u32).prop_filter_map("a period", Period::days));
    let scope = (weighted(0.3, goods()), weighted(0.2, amounts()), any::<[bool; 2]>());
    let limits = (vec(limit.clone(), 0..2), vec(limit, 0..2));
    (offer, scope, valid_for, limits).prop_filter_map("a valid reward", |(offer, scope, valid_for, limits)| {
        let (only, minimum_subtotal, [points_back_when_expired, individual_use]) = scope;
        let (code, goods) = match &offer {
            Offer::Fixed { gives, .. } => {
                (gives.has_code(), matches!(gives, Gives::FixedAmount(_) | Gives::Percentage(_)))
            }
            Offer::Variable(_) => (true, true),
        };
        Some(Reward {
            id: RewardId::new("reward").ok()?,
            name: "Reward".to_owned(),
            offer,
            minimum_subtotal: minimum_subtotal.filter(|_| code),
            only: only.filter(|_| goods).unwrap_or_default(),
            excluded: Goods::default(),
            valid_for,
            points_back_when_expired,
            when: ActionConditions::default(),
            limits: limits.0,
            limits_in_all: limits.1,
            individual_use: individual_use && code,
            code_prefix: String::new(),
        })
    })
}

fn redemption_terms() -> impl Strategy<Value = RedemptionTerms> {
    let grace = (1..40_u32).prop_filter_map("a period", Period::days);
    (grace, select(&[BringsBack::Code, BringsBack::Points][..]))
        .prop_map(|(grace, order_cancelled)| RedemptionTerms { grace, order_cancelled })
}

fn bases() -> impl Strategy<Value = Basis> {
    let excluded = (btree_set(products(), 0..2), btree_set(categories(), 0..2));
    (any::<[bool; 3]>(), excluded).prop_map(|([tax, shipping, redeemed], excluded)| {
        let (excluded_products, excluded_categories) = excluded;
        Basis { tax, shipping, redeemed, excluded_products, excluded_categories }
    })
}

fn rules() -> impl Strategy<Value = EarningRule> {
    let points = || (1..500_u32).prop_map(Points::from);
    let earn = prop_oneof![
        3 => rates().prop_map(Earn::PerUnit),
        2 => (1..2_000_u32, points()).prop_filter_map("an increment", |(dimes, points)| {
            let amount = Amount::from_ten_thousandths(i64::from(dimes).saturating_mul(1_000)).ok()?;
            Some(Earn::PerIncrement { amount, points })
        }),
        1 => points().prop_map(Earn::PerOrder),
    ];
    let scope = (btree_set(products(), 0..2), btree_set(categories(), 0..2));
    let spend = (weighted(0.2, amounts()), tags(), weighted(0.2, instants()), weighted(0.2, instants()));
    let when = (scope, spend, any::<bool>()).prop_map(|((products, categories), spend, tagged)| {
        let (minimum_spend, tags, from, until) = spend;
        let customer_tags = if tagged { tags } else { BTreeSet::new() };
        Conditions { minimum_spend, products, categories, customer_tags, from, until }
    });
    (earn, when, any::<bool>()).prop_filter_map("an id", |(earn, when, replaces)| {
        Some(EarningRule {
            id: RuleId::new("rule").ok()?,
            earn,
            replaces_base: replaces && when.is_scoped(),
            when,
            limits: Vec::new(),
        })
    })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let quantity = prop_oneof![
        5 => (1..6_u16).prop_map(Quantity::from),
        1 => Just(Quantity::ZERO),
        1 => select(&["0.5", "1.237", "2.125"][..]).prop_map(|text| text.parse().unwrap_or_default()),
    ];
    let bought = (weighted(0.8, products()), vec(categories(), 0..3));
    let line = (bought, quantity, amounts(), prop::bool::weighted(0.1));
    vec(line, 0..5).prop_map(|lines| {
        let numbered = lines.into_iter().enumerate();
        numbered
            .filter_map(|(index, ((product, categories), quantity, amount, gift_card))| {
                let id = LineId::new(index.to_string()).ok()?;
                Some(Line { id, product, categories, quantity, amount, gift_card })
            })
            .collect()
    })
}

/// Orders whose parts add up, as far as rounding lets them.
pub fn orders() -> impl Strategy<Value = Order> {
    let charges = (amounts(), any::<bool>(), prop_oneof![Just(Amount::ZERO), amounts()]);
    let odd = select(&[-100_i64, 0, 0, 0, 100][..]);
    let redeemed = select(&[0_i64, 0, 0, 10, 3, 1][..]);
    let order = (lines(), charges, odd, redeemed, of(instants()));
    order.prop_filter_map("totals add up", |(lines, (tax, taxes_included, shipping), odd, redeemed, placed_at)| {
        let order = Order { placed_at, lines, tax, taxes_included, shipping, ..Order::default() };
        let taxes = if taxes_included { Amount::ZERO } else { tax };
        let sum = order.subtotal()?.checked_add(taxes)?.checked_add(shipping)?;
        let total = sum.ten_thousandths().saturating_add(odd).max(0);
        let redeemed = Amount::from_ten_thousandths(total.checked_div(redeemed).unwrap_or(0)).ok()?;
        let order = Order { total: Amount::from_ten_thousandths(total).ok()?, redeemed, ..order };
        order.check(2).ok().map(|()| order)
    })
}

/// Refunds that fit an order together, by amount and by line.
pub fn refunds(id: OrderId, order: Arc<Order>) -> impl Strategy<Value = Vec<Refund>> {
    let by_amount = (1..=100_i64).prop_map(|percent| (percent, None));
    let by_line =
        (1..=4_i64, any::<Index>(), any::<bool>()).prop_map(|(part, line, told)| (part, Some((line, told))));
    vec(prop_oneof![by_amount, by_line], 0..4).prop_map(move |wishes| {
        let mut books = Books::new(Program::default());
        let (snapshot, status, at) = (Arc::clone(&order), Status::Paid, None);
        let record = Command::RecordOrder { order: id.clone(), snapshot, status, at, origin: Origin::Plugin };
        let recorded = books.tell(&record, hours(0));
        let wished = wishes.into_iter().enumerate().filter(|_| recorded.is_ok());
        let refund = |(index, wish)| {
            let refund =
                Refund { id: RefundId::new(format!("r{index}")).ok()?, refunded: wished_refund(&order, wish)? };
            let command =
                Command::RefundOrder { order: id.clone(), refund: refund.clone(), excess: Excess::Refuse, at };
            books.tell(&command, hours(0)).ok().map(|_| refund)
        };
        wished.filter_map(refund).collect()
    })
}

fn wished_refund(order: &Order, wish: (i64, Option<(Index, bool)>)) -> Option<Refunded> {
    let part_of = |amount: Amount, parts: i64| {
        Amount::from_ten_thousandths(amount.ten_thousandths().checked_div(parts)?).ok()
    };
    let (parts, Some((index, told))) = wish else { return part_of(order.total, wish.0).map(Refunded::Amount) };
    let line = order.lines.get(index.index(order.lines.len().max(1)))?;
    let units = rust_decimal::Decimal::new(line.quantity.thousandths().checked_div(parts)?, 3);
    let amount = if told { Some(part_of(line.amount, parts)?) } else { None };
    Some(Refunded::Lines { lines: vec![(line.id.clone(), Quantity::new(units).ok()?)], amount })
}

/// Timed facts of one order that fit in any sequence: reports of one or two snapshots with statuses,
/// refunds and cancellations.
pub fn facts(id: OrderId) -> impl Strategy<Value = Vec<Command>> {
    let order = (orders(), of(lines())).prop_filter_map("totals add up", |(order, more)| {
        Some((Arc::new(order.clone()), Arc::new(grown(order, more?)?)))
    });
    let same = orders().prop_map(|order| (Arc::new(order.clone()), Arc::new(order)));
    prop_oneof![order, same].prop_flat_map(move |(order, grown)| {
        let id = id.clone();
        let reports = vec((any::<bool>(), select(&Status::ALL[..]), instants(), any::<bool>()), 1..4);
        let timed = (refunds(id.clone(), Arc::clone(&order)), vec(instants(), 4), vec(instants(), 0..3));
        (reports, timed).prop_map(move |(reports, (refunds, refunded_at, cancelled_at))| {
            let order_id = || id.clone();
            let report = |(grows, status, at, plugin)| {
                let snapshot = Arc::clone(if grows { &grown } else { &order });
                let origin = if plugin { Origin::Plugin } else { Origin::Shop };
                Command::RecordOrder { order: order_id(), snapshot, status, at: Some(at), origin }
            };
            let refund = |(refund, at)| Command::RefundOrder {
                order: order_id(),
                refund,
                excess: Excess::Refuse,
                at: Some(at),
            };
            let cancel = |at| Command::CancelOrder { order: order_id(), at: Some(at) };
            let refunds = refunds.into_iter().zip(refunded_at).map(refund);
            reports.into_iter().map(report).chain(refunds).chain(cancelled_at.into_iter().map(cancel)).collect()
        })
    })
}

/// The order with more lines: what fitted it fits it still.
fn grown(mut order: Order, more: Vec<Line>) -> Option<Order> {
    for (index, mut line) in more.into_iter().enumerate() {
        line.id = LineId::new(format!("more{index}")).ok()?;
        order.total = order.total.checked_add(line.amount)?;
        order.lines.push(line);
    }
    order.check(2).ok().map(|()| order)
}

/// What a shop does to an account by hand.
fn manual_commands() -> impl Strategy<Value = Command> {
    let points = || (0..300_u32).prop_map(Points::from);
    prop_oneof![
        points().prop_map(|points| Command::AddPoints { points, grounds: Grounds::default() }),
        points().prop_map(|points| Command::SubtractPoints { points, grounds: Grounds::default() }),
        points().prop_map(|to| Command::SetBalance { to, reason: None }),
        (tier_ids(), of(instants())).prop_map(|(id, until)| Command::SetTier(Some(ManualTier { id, until }))),
        Just(Command::CatchUp),
        redemption_commands(),
    ]
}

/// What becomes of a few redemptions of rewards that the program may have.
fn redemption_commands() -> impl Strategy<Value = Command> {
    let id = || (1..4_i64).prop_map(RedemptionId);
    let order = || ids("order", |text| OrderId::new(text).ok());
    let reward = (0..4_u8).prop_filter_map("an id", |index| RewardId::new(format!("reward{index}")).ok());
    let amount = weighted(0.3, (1..8_u32).prop_map(Amount::from));
    prop_oneof![
        4 => (id(), reward, amount, any::<[u8; 16]>()).prop_map(|(redemption, reward, amount, entropy)| {
            Command::RedeemReward { redemption, reward, amount, entropy }
        }),
        2 => (id(), order()).prop_map(|(redemption, order)| Command::ClaimRedemption { redemption, order }),
        2 => (id(), order()).prop_map(|(redemption, order)| Command::ReleaseRedemption { redemption, order }),
        1 => id().prop_map(|redemption| Command::CancelRedemption { redemption }),
        1 => id().prop_map(|redemption| Command::UseRedemption { redemption, order: None }),
    ]
}

/// A customer's history: the facts of two orders, some without a time of their own, and what the shop
/// does by hand, each at the instant when it becomes known. Some of it will be refused.
pub fn histories() -> impl Strategy<Value = Vec<(Timestamp, Command)>> {
    let id = ids("order", |text| OrderId::new(text).ok());
    let orders = vec(id.prop_flat_map(facts), 1..3).prop_map(|facts| facts.concat());
    let all = (orders, vec(manual_commands(), 0..12)).prop_map(|(facts, manual)| [facts, manual].concat());
    all.prop_shuffle().prop_flat_map(|commands| {
        let count = commands.len();
        (Just(commands), vec((0..400_i64, any::<bool>()), count)).prop_map(|(commands, steps)| {
            let mut passed = 0_i64;
            let step = |(command, (wait, timed)): (Command, (i64, bool))| {
                passed = passed.saturating_add(wait);
                (hours(passed), if timed { command } else { untimed(command) })
            };
            commands.into_iter().zip(steps).map(step).collect()
        })
    })
}

fn untimed(mut command: Command) -> Command {
    if let Command::RecordOrder { at, .. } | Command::RefundOrder { at, .. } | Command::CancelOrder { at, .. } =
        &mut command
    {
        *at = None;
    }
    command
}
