//! Strategies for programs, orders and histories of customers.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::proptest::collection::{btree_set, vec};
use ::proptest::option::{of, weighted};
use ::proptest::prelude::*;
use ::proptest::sample::{Index, select};

use super::rewards::{redemption_commands, redemption_terms, rewards};
use super::values::{
    amounts, attribute_names, attribute_values, attributes, categories, channels, ids,
    instant_at_hour, instants, products, rates, tags, tier_ids,
};
use crate::amount::{Amount, Currency, Money, Points, Rate, Rounding};
use crate::attribute::{AttributeValue, Attributes};
use crate::calendar::{Boundary, Period, Timestamp};
use crate::command::{Command, OverRefund};
use crate::discount::Stacking;
use crate::event::AdjustmentReason;
use crate::id::{ActionId, LineId, OrderId, RefundId, RewardId, RuleId, TierId};
use crate::ledger::Ledger;
use crate::limit::{Limit, Quota, Span};
use crate::order::{
    Line, Order, Origin, Quantity, Refund, RefundAmount, RefundContent, RefundCurrency, Status,
};
use crate::program::{
    ActionKind, ActionRule, AttributeCondition, AttributeOwner, AttributeTest, Basis, Campaign,
    CampaignEffect, DebtPolicy, Downgrade, EarningConditions, EarningFormula, EarningRule,
    EligibilityConditions, EntryReward, Expiry, GiftPolicy, GiftRule, Hours, MultiplierPolicy,
    OrderConditions, Program, ProgramDefinition, QualifyingActivity, RefundPolicy, Reward,
    RewardPricing, Tier, TierMetric, TierWindow, Tiering, Weekday,
};
use crate::tier::ManualTier;

/// Generates orders in which `count` facts arrive: all permutations of up to five facts, 60
/// random ones of more.
pub fn arrival_orders(count: usize) -> BoxedStrategy<Vec<Vec<usize>>> {
    let in_order: Vec<usize> = (0..count).collect();
    if count > 5 {
        return vec(Just(in_order).prop_shuffle(), 60).boxed();
    }
    let mut all = vec![Vec::new()];
    for next in in_order {
        let with_next = |shorter: &Vec<usize>| {
            let insert = |index: usize| {
                let (before, after) = shorter.split_at_checked(index)?;
                Some([before, &[next], after].concat())
            };
            (0..=shorter.len()).filter_map(insert).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with_next).collect();
    }
    Just(all).boxed()
}

/// Generates programs of every shape whose points do not expire.
pub fn programs() -> impl Strategy<Value = Program> {
    let policies = (
        weighted(0.3, select(&Status::ALL[..])),
        select(&Rounding::NAMES[..]).prop_map(|(_, rounding)| rounding),
        prop_oneof![6 => Just(RefundPolicy::ClawBack), 1 => Just(RefundPolicy::Keep)],
        prop_oneof![2 => Just(DebtPolicy::Allow), 1 => Just(DebtPolicy::StopAtZero)],
    );

    let tiers = btree_set(tier_ids(), 0..3);
    let redeeming = (vec(rewards(), 0..4), redemption_terms());
    let parts = (policies, bases(), vec(rules(), 0..5), (tiers, rates()), redeeming).prop_map(
        |(
            (award_on, rounding, refunds, debt),
            basis,
            rules,
            (tiers, multiplier),
            (rewards, redemption),
        )| {
            let named = rules.into_iter().enumerate().filter_map(|(index, rule)| {
                Some(EarningRule { id: RuleId::new(format!("rule{index}")).ok()?, ..rule })
            });
            let tier = |id: TierId| Tier::manual(id.clone(), id.as_str(), multiplier);
            let (earning, tiers) = (named.collect(), tiers.into_iter().map(tier).collect());
            let named = rewards.into_iter().enumerate().filter_map(|(index, reward)| {
                Some(Reward { id: RewardId::new(format!("reward{index}")).ok()?, ..reward })
            });
            let rewards = named.collect();
            let parts = ProgramDefinition {
                award_on,
                rounding,
                basis,
                earning,
                refunds,
                debt,
                tiers,
                ..ProgramDefinition::default()
            };
            ProgramDefinition { rewards, redemption, ..parts }
        },
    );
    parts.prop_filter_map("a valid program", |parts| Program::new(parts).ok())
}

/// Generates [`programs`] whose points expire after some days or months.
pub fn expiring_programs() -> impl Strategy<Value = Program> {
    let after = prop_oneof![
        (1..20_u32).prop_map(Period::from_days),
        (1..3_u32).prop_map(Period::from_months)
    ];
    let round_up_to = weighted(0.2, select(&[Boundary::Month, Boundary::Quarter][..]));
    (programs(), after, round_up_to).prop_filter_map("a period", |(program, after, round_up_to)| {
        let expiry = Expiry::PerLot { after: after?, round_up_to };
        Program::new(ProgramDefinition { expiry, ..program.definition().clone() }).ok()
    })
}

/// Generates programs with all rules that depend on time: holds, expiry of every kind, earned
/// tiers with entry rewards, campaigns, limits and goals.
pub fn full_programs() -> impl Strategy<Value = Program> {
    let days = || (1..20_u32).prop_map(Period::from_days);
    let expiry = prop_oneof![
        Just(Expiry::Never),
        days().prop_map(|after| after
            .map_or(Expiry::Never, |after| Expiry::PerLot { after, round_up_to: None })),
        (days(), any::<bool>()).prop_map(|(after, any)| {
            let activity =
                if any { QualifyingActivity::Any } else { QualifyingActivity::EarningAndRedeeming };
            after.map_or(Expiry::Never, |after| Expiry::Inactivity { after, activity })
        }),
    ];

    let times = (weighted(0.5, days()), expiry, weighted(0.4, days()), weighted(0.4, days()));
    let stacking = select(&Stacking::NAMES[..]);
    let tierings = (tierings(), [gifts(), gifts(), gifts()]);
    let cases = (programs(), times, tierings, campaigns(), vec(limits(), 0..2), stacking);
    cases.prop_filter_map(
        "a valid program",
        |(program, times, (tiering, goal_gifts), campaigns, limits, (_, stacking))| {
            let (hold, expiry, term, grace) = times;
            let mut parts = ProgramDefinition {
                hold: hold.flatten(),
                expiry,
                stacking,
                ..program.definition().clone()
            };

            let (thresholds, mut tiering, entry) = tiering;
            (tiering.term, tiering.grace) = (term.flatten().or(tiering.term), grace.flatten());
            let mut threshold = Amount::ZERO;
            for (tier, more) in parts.tiers.iter_mut().zip(thresholds) {
                threshold = threshold.checked_add(Amount::from(more))?;
                (tier.threshold, tier.entry) = (Some(threshold), entry.clone());
            }

            (parts.campaigns, parts.combine) = campaigns;
            parts
                .earning
                .iter_mut()
                .for_each(|rule| rule.limits.clone_from(&limits));
            (parts.tiering, parts.actions) = (tiering, goals(goal_gifts)?);
            keep_possible_gifts(&mut parts);
            Program::new(parts).ok()
        },
    )
}

fn tierings() -> impl Strategy<Value = (Vec<u32>, Tiering, Option<EntryReward>)> {
    let metric = select(&[TierMetric::Spend, TierMetric::PointsEarned, TierMetric::Orders][..]);
    let month = Period::from_months(1).map_or(TierWindow::Lifetime, TierWindow::Rolling);
    let window = select(vec![TierWindow::Lifetime, TierWindow::CalendarYear, month]);
    let down = select(&[Downgrade::Never, Downgrade::OneStep, Downgrade::ToQualified][..]);
    let entry = (1..90_u32, any::<[bool; 2]>(), gifts()).prop_map(
        |(points, [each_time, taken_back], gift)| EntryReward {
            points: Points::from(points),
            each_time,
            taken_back,
            gift,
        },
    );
    let thresholds = vec(prop_oneof![1..3_u32, 1..400_u32], 0..4);
    (thresholds, metric, window, down, any::<bool>(), of(entry)).prop_map(
        |(thresholds, metric, window, down, skipped_rewards, entry)| {
            let term = if down == Downgrade::OneStep { Period::from_days(9) } else { None };
            (
                thresholds,
                Tiering { metric, window, down, term, grace: None, skipped_rewards },
                entry,
            )
        },
    )
}

fn campaigns() -> impl Strategy<Value = (Vec<Campaign>, MultiplierPolicy)> {
    let effect = prop_oneof![
        3 => select(&["1.5", "2", "3"][..]).prop_map(|text| CampaignEffect::Multiplier(text.parse().unwrap_or(Rate::ONE))),
        1 => (1..90_u32).prop_map(|points| CampaignEffect::Bonus(Points::from(points))),
    ];
    let scope = (btree_set(products(), 0..2), btree_set(categories(), 0..2));
    let when = (weighted(0.2, instants()), weighted(0.2, tags()), order_conditions());
    let campaign = (effect, weighted(0.5, scope), when);

    let combine =
        select(&[MultiplierPolicy::Multiply, MultiplierPolicy::Highest, MultiplierPolicy::Add][..]);
    (vec(campaign, 0..4), combine).prop_map(|(campaigns, combine)| {
        let numbered = campaigns.into_iter().enumerate();
        let campaign =
            |(index, (effect, scope, when)): (usize, (_, Option<(_, _)>, (_, Option<_>, _)))| {
                let (from, tags, order) = when;
                let (products, categories) = scope.unwrap_or_default();
                let (id, until, tiers) =
                    (RuleId::new(format!("campaign{index}")).ok()?, None, BTreeSet::new());
                let customer_tags = tags.unwrap_or_default();
                Some(Campaign {
                    id,
                    effect,
                    from,
                    until,
                    products,
                    categories,
                    tiers,
                    customer_tags,
                    order,
                })
            };
        (numbered.filter_map(campaign).collect(), combine)
    })
}

/// Generates conditions on orders: mostly none, else one or two.
fn order_conditions() -> impl Strategy<Value = OrderConditions> {
    let weekdays = btree_set(select(&Weekday::NAMES[..]).prop_map(|(_, day)| day), 1..5);
    let times = select(&["00:00", "09:00", "17:30", "24:00"][..]);
    let hours = (times.clone(), times).prop_filter_map("some hours", |(from, until)| {
        let hours = Hours { from: from.parse().ok()?, until: until.parse().ok()? };
        (from != "24:00" && from != until).then_some(hours)
    });

    let number = || {
        attribute_values().prop_filter_map("a number", |value| {
            if let AttributeValue::Number(number) = value { Some(number) } else { None }
        })
    };
    let test = prop_oneof![
        2 => attribute_values().prop_map(AttributeTest::Equals),
        1 => btree_set(attribute_values(), 1..3).prop_map(AttributeTest::In),
        1 => number().prop_map(AttributeTest::AtLeast),
        1 => number().prop_map(AttributeTest::AtMost),
    ];
    let owner = select(&AttributeOwner::NAMES[..]).prop_map(|(_, owner)| owner);
    let attribute = (owner, attribute_names(), test)
        .prop_map(|(of, name, test)| AttributeCondition { of, name, test });

    let time = (weighted(0.15, weekdays), weighted(0.15, hours));
    let facts = (
        weighted(0.1, btree_set(channels(), 1..3)),
        weighted(0.1, any::<bool>()),
        weighted(0.2, vec(attribute, 1..3)),
    );
    (time, facts).prop_map(|((weekdays, hours), (channels, first_order, attributes))| {
        OrderConditions {
            weekdays: weekdays.unwrap_or_default(),
            hours,
            channels: channels.unwrap_or_default(),
            first_order,
            attributes: attributes.unwrap_or_default(),
        }
    })
}

fn limits() -> impl Strategy<Value = Limit> {
    let quota = prop_oneof![
        (1..3_u32).prop_map(Quota::Times),
        (1..300_u32).prop_map(|points| Quota::Points(Points::from(points))),
    ];
    let per = select(&[Span::Day, Span::Week, Span::Month, Span::Ever][..]);
    (quota, per, any::<bool>()).prop_map(|(quota, per, partial)| Limit { quota, per, partial })
}

/// Generates gifts of the first rewards of a program, some of which it may not have.
fn gifts() -> impl Strategy<Value = Option<GiftRule>> {
    let policy = select(&GiftPolicy::NAMES[..]);
    let gift = (0..2_u8, policy).prop_filter_map("an id", |(index, (_, when_undone))| {
        let reward = RewardId::new(format!("reward{index}")).ok()?;
        Some(GiftRule { reward, when_undone })
    });
    weighted(0.6, gift)
}

/// Removes the gifts that the rewards of the program do not allow.
fn keep_possible_gifts(parts: &mut ProgramDefinition) {
    let rewards = &parts.rewards;
    let is_possible = |gift: &GiftRule| {
        let mut rewards = rewards.iter();
        rewards.any(|reward| {
            let is_fixed = matches!(reward.offer, RewardPricing::Fixed { .. });
            reward.id == gift.reward && is_fixed
        })
    };
    let entries = parts.tiers.iter_mut().filter_map(|tier| tier.entry.as_mut());
    let gifts = entries.map(|entry| &mut entry.gift);
    let gifts = gifts.chain(parts.actions.iter_mut().map(|action| &mut action.gift));
    for gift in gifts {
        *gift = gift.take().filter(is_possible);
    }
}

fn goals([of_spend, of_orders, of_sign_up]: [Option<GiftRule>; 3]) -> Option<Vec<ActionRule>> {
    let action = |id: &str, kind, gift| {
        let (id, when) = (ActionId::new(id).ok()?, EligibilityConditions::default());
        let (points, limits) = (Points::from(7), Vec::new());
        Some(ActionRule {
            id,
            kind,
            points,
            when,
            limits,
            points_override: false,
            hold: None,
            gift,
        })
    };
    let spend = action("spend", ActionKind::GoalSpend(Amount::from(200)), of_spend)?;
    Some(vec![
        spend,
        action("orders", ActionKind::GoalOrders(2), of_orders)?,
        action("hello", ActionKind::SignUp, of_sign_up)?,
    ])
}

fn bases() -> impl Strategy<Value = Basis> {
    let excluded = (btree_set(products(), 0..2), btree_set(categories(), 0..2));
    (any::<[bool; 3]>(), excluded).prop_map(|([tax, shipping, redeemed], excluded)| {
        let (excluded_products, excluded_categories) = excluded;
        Basis {
            tax,
            shipping,
            redeemed,
            excluded_products,
            excluded_categories,
        }
    })
}

fn rules() -> impl Strategy<Value = EarningRule> {
    let points = || (1..500_u32).prop_map(Points::from);
    let earn = prop_oneof![
        3 => rates().prop_map(EarningFormula::PerUnit),
        2 => (1..2_000_u32, points()).prop_filter_map("an increment", |(dimes, points)| {
            let amount = Amount::from_ten_thousandths(i64::from(dimes).saturating_mul(1_000)).ok()?;
            Some(EarningFormula::PerIncrement { amount, points })
        }),
        2 => points().prop_map(EarningFormula::PerItem),
        1 => points().prop_map(EarningFormula::PerOrder),
    ];

    let scope = (btree_set(products(), 0..2), btree_set(categories(), 0..2));
    let spend = (
        weighted(0.2, amounts()),
        weighted(0.1, amounts()),
        tags(),
        weighted(0.2, instants()),
        weighted(0.2, instants()),
    );
    let when = (scope, spend, any::<bool>(), order_conditions());
    let when = when.prop_map(|((products, categories), spend, tagged, order)| {
        let (minimum_spend, maximum_spend, tags, from, until) = spend;
        let customer_tags = if tagged { tags } else { BTreeSet::new() };
        EarningConditions {
            minimum_spend,
            maximum_spend: maximum_spend.max(minimum_spend).filter(|_| maximum_spend.is_some()),
            products,
            categories,
            customer_tags,
            from,
            until,
            order,
        }
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
    let line = (bought, quantity, amounts(), prop::bool::weighted(0.1), attributes());
    vec(line, 0..5).prop_map(|lines| {
        let numbered = lines.into_iter().enumerate();
        numbered
            .filter_map(|(index, (bought, quantity, amount, gift_card, attributes))| {
                let ((product, categories), id) = (bought, LineId::new(index.to_string()).ok()?);
                Some(Line {
                    id,
                    product,
                    categories,
                    quantity,
                    amount,
                    gift_card,
                    attributes,
                })
            })
            .collect()
    })
}

/// Generates orders whose total is the sum of its parts, up to a cent. Some came in another
/// currency.
pub fn orders() -> impl Strategy<Value = Order> {
    let charges = (amounts(), any::<bool>(), prop_oneof![Just(Amount::ZERO), amounts()]);
    let difference = select(&[-100_i64, 0, 0, 0, 100][..]);
    let redeemed = select(&[0_i64, 0, 0, 10, 3, 1][..]);
    let placed = (of(instants()), weighted(0.15, 1..30_u8));
    let facts = (placed, of(channels()), attributes());
    let order = (lines(), charges, difference, redeemed, facts);
    order.prop_filter_map(
        "totals add up",
        |(lines, (tax, taxes_included, shipping), difference, redeemed, facts)| {
            let ((placed_at, factor), channel, attributes) = facts;
            let order = Order {
                placed_at,
                lines,
                tax,
                taxes_included,
                shipping,
                channel,
                attributes,
                ..Order::default()
            };

            let taxes = if taxes_included { Amount::ZERO } else { tax };
            let sum = order.subtotal()?.checked_add(taxes)?.checked_add(shipping)?;
            let total = sum.ten_thousandths().saturating_add(difference).max(0);
            let redeemed =
                Amount::from_ten_thousandths(total.checked_div(redeemed).unwrap_or(0)).ok()?;
            let paid = total.checked_mul(i64::from(factor.unwrap_or_default()))?;
            let paid = Money::new(Amount::from_ten_thousandths(paid).ok()?, Currency::ZAR);
            let order = Order {
                total: Amount::from_ten_thousandths(total).ok()?,
                redeemed,
                presentment: factor.map(|_| paid).filter(|_| total > 0),
                ..order
            };
            order.validate(2).ok().map(|()| order)
        },
    )
}

/// A refund before its order is known.
#[derive(Clone, Debug)]
struct RefundTemplate {
    /// It is one of so many equal parts of the order, or of its line.
    parts: i64,
    /// The line of which units come back, if any, and whether with money.
    line: Option<(Index, bool)>,
    /// It says its part that is shipping, and the one that is tax.
    says: [bool; 2],
    /// It is in the shop's currency, if the order came in another one.
    in_shop_currency: bool,
}

fn refund_templates() -> impl Strategy<Value = RefundTemplate> {
    let line = prop_oneof![
        (1..=100_i64).prop_map(|parts| (parts, None)),
        (1..=4_i64, any::<Index>(), any::<bool>())
            .prop_map(|(parts, line, has_amount)| (parts, Some((line, has_amount)))),
    ];
    (line, any::<[bool; 2]>(), any::<bool>()).prop_map(|((parts, line), says, in_shop_currency)| {
        RefundTemplate { parts, line, says, in_shop_currency }
    })
}

/// Generates refunds that an order allows together: by amount, by line and by both, with their
/// parts, and in the order's currency.
pub fn refunds(id: OrderId, order: Arc<Order>) -> impl Strategy<Value = Vec<Refund>> {
    vec(refund_templates(), 0..4).prop_map(move |templates| {
        let mut ledger = Ledger::new(Program::default());
        let (snapshot, status, at) = (Arc::clone(&order), Status::Paid, None);
        let record = Command::RecordOrder {
            order: id.clone(),
            snapshot,
            status,
            at,
            origin: Origin::Plugin,
        };
        let recorded = ledger.execute(&record, instant_at_hour(0));

        let templates = templates.iter().enumerate().filter(|_| recorded.is_ok());
        let refund = |(index, template)| {
            let refund = Refund {
                id: RefundId::new(format!("r{index}")).ok()?,
                refunded: build_refunded(&order, template)?,
            };
            let command = Command::RefundOrder {
                order: id.clone(),
                refund: refund.clone(),
                over_refund: OverRefund::Reject,
                at,
            };
            ledger.execute(&command, instant_at_hour(0)).ok().map(|_| refund)
        };
        templates.filter_map(refund).collect()
    })
}

fn build_refunded(order: &Order, template: &RefundTemplate) -> Option<RefundContent> {
    let Some((index, has_amount)) = template.line else {
        return build_amount(order, order.total, template).map(RefundContent::Amount);
    };
    let line = order.lines.get(index.index(order.lines.len().max(1)))?;
    let amount = if has_amount { Some(build_amount(order, line.amount, template)?) } else { None };
    Some(RefundContent::Lines {
        lines: vec![(line.id.clone(), part_of_units(line, template.parts)?)],
        amount,
    })
}

fn part_of_units(line: &Line, parts: i64) -> Option<Quantity> {
    let units = line.quantity.thousandths().checked_div(parts)?;
    Quantity::new(rust_decimal::Decimal::new(units, 3)).ok()
}

/// A part of an amount of the order, with what the template says of it.
fn build_amount(order: &Order, whole: Amount, template: &RefundTemplate) -> Option<RefundAmount> {
    let part = |amount: Amount| amount.ten_thousandths().checked_div(template.parts);
    let (currency, factor) = match order.presentment {
        None => (RefundCurrency::Unnamed, 1),
        Some(_) if template.in_shop_currency => (RefundCurrency::Shop, 1),
        Some(paid) => {
            let total = order.total.ten_thousandths();
            let factor = paid.amount().ten_thousandths().checked_div(total)?;
            (RefundCurrency::Order(paid.currency()), factor)
        }
    };
    let convert = |parts: i64| Amount::from_ten_thousandths(parts.checked_mul(factor)?).ok();

    let amount = part(whole)?;
    let shipping = if template.says[0] { part(order.shipping)?.min(amount) } else { 0 };
    let tax = part(order.tax)?.min(amount.checked_sub(shipping)?);
    let refunded = RefundAmount::new(convert(amount)?).in_currency(currency);
    let refunded = refunded.with_shipping(convert(shipping)?).ok()?;
    if template.says[1] { refunded.with_tax(convert(tax)?).ok() } else { Some(refunded) }
}

/// Generates dated facts of one order that are valid in any sequence: reports of one or two
/// snapshots with statuses, refunds and cancellations.
pub fn facts(id: OrderId) -> impl Strategy<Value = Vec<Command>> {
    let order = (orders(), of(lines())).prop_filter_map("totals add up", |(order, more)| {
        Some((Arc::new(order.clone()), Arc::new(with_extra_lines(order, more?)?)))
    });
    let same = orders().prop_map(|order| (Arc::new(order.clone()), Arc::new(order)));
    prop_oneof![order, same].prop_flat_map(move |(order, grown)| {
        let id = id.clone();
        let reports =
            vec((any::<bool>(), select(&Status::ALL[..]), instants(), any::<bool>()), 1..4);
        let timed = (
            refunds(id.clone(), Arc::clone(&order)),
            vec(instants(), 4),
            vec(instants(), 0..3),
        );
        let edited = refunds_of_edited_lines(&order, &grown);

        (reports, timed, edited).prop_map(move |(reports, timed, edited)| {
            let (refunds, refunded_at, cancelled_at) = timed;
            let refunds = [refunds, edited].concat();
            let order_id = || id.clone();
            let report = |(grows, status, at, plugin)| {
                let snapshot = Arc::clone(if grows { &grown } else { &order });
                let origin = if plugin { Origin::Plugin } else { Origin::Shop };
                Command::RecordOrder { order: order_id(), snapshot, status, at: Some(at), origin }
            };
            let refund = |(refund, at)| Command::RefundOrder {
                order: order_id(),
                refund,
                over_refund: OverRefund::Reject,
                at: Some(at),
            };
            let cancel = |at| Command::CancelOrder { order: order_id(), at: Some(at) };

            let refunds = refunds.into_iter().zip(refunded_at).map(refund);
            reports
                .into_iter()
                .map(report)
                .chain(refunds)
                .chain(cancelled_at.into_iter().map(cancel))
                .collect()
        })
    })
}

/// Generates refunds of units of lines that only the larger order has.
fn refunds_of_edited_lines(
    order: &Arc<Order>,
    grown: &Arc<Order>,
) -> impl Strategy<Value = Vec<Refund>> + use<> {
    let (order, grown) = (Arc::clone(order), Arc::clone(grown));
    vec(1..=4_i64, 0..2).prop_map(move |parts| {
        let extra = grown.lines.iter().filter(|line| order.line(&line.id).is_none());
        let refund = |(line, parts): (&Line, i64)| {
            let id = RefundId::new(format!("of-{}", line.id)).ok()?;
            Some(Refund::of_lines(id, [(line.id.clone(), part_of_units(line, parts)?)]))
        };
        extra.zip(parts).filter_map(refund).collect()
    })
}

/// Returns the order with more lines, and without channel and attributes. Facts that were
/// valid for it remain valid.
fn with_extra_lines(mut order: Order, more: Vec<Line>) -> Option<Order> {
    let before = order.total;
    (order.channel, order.attributes) = (None, Attributes::EMPTY);
    for (index, mut line) in more.into_iter().enumerate() {
        line.id = LineId::new(format!("more{index}")).ok()?;
        order.total = order.total.checked_add(line.amount)?;
        order.lines.push(line);
    }
    if let Some(paid) = order.presentment {
        // At the same rate.
        let factor = paid
            .amount()
            .ten_thousandths()
            .checked_div(before.ten_thousandths())?;
        let paid = order.total.ten_thousandths().checked_mul(factor)?;
        let paid = Amount::from_ten_thousandths(paid).ok()?;
        order.presentment = Some(Money::new(paid, Currency::ZAR));
    }
    order.validate(2).ok().map(|()| order)
}

/// Generates commands of the shop's staff.
fn manual_commands() -> impl Strategy<Value = Command> {
    let points = || (0..300_u32).prop_map(Points::from);
    prop_oneof![
        points()
            .prop_map(|points| Command::AddPoints { points, reason: AdjustmentReason::default() }),
        points().prop_map(|points| Command::SubtractPoints {
            points,
            reason: AdjustmentReason::default()
        }),
        points().prop_map(|to| Command::SetBalance { to, reason: None }),
        (tier_ids(), of(instants()))
            .prop_map(|(id, until)| Command::SetTier(Some(ManualTier { id, until }))),
        Just(Command::CatchUp),
        Just(Command::SignUp),
    ]
}

/// Generates the history of a customer: facts of two orders, some undated, and commands of the
/// shop's staff, each at the instant of its arrival. Some of them are rejected.
pub fn histories() -> impl Strategy<Value = Vec<(Timestamp, Command)>> {
    histories_with(manual_commands(), 12)
}

/// Generates [`histories`] in which the customer also redeems rewards, which orders use.
pub fn redeeming_histories() -> impl Strategy<Value = Vec<(Timestamp, Command)>> {
    histories_with(prop_oneof![manual_commands(), redemption_commands()], 30)
}

fn histories_with(
    manual: impl Strategy<Value = Command>,
    max_manual: usize,
) -> impl Strategy<Value = Vec<(Timestamp, Command)>> {
    let id = ids("order", |text| OrderId::new(text).ok());
    let orders = vec(id.prop_flat_map(facts), 1..3).prop_map(|facts| facts.concat());
    let all =
        (orders, vec(manual, 0..max_manual)).prop_map(|(facts, manual)| [facts, manual].concat());
    all.prop_shuffle().prop_flat_map(|commands| {
        let count = commands.len();
        (Just(commands), vec((0..400_i64, any::<bool>()), count)).prop_map(|(commands, steps)| {
            let mut hours = 0_i64;
            let step = |(command, (wait, timed)): (Command, (i64, bool))| {
                hours = hours.saturating_add(wait);
                (instant_at_hour(hours), if timed { command } else { without_time(command) })
            };
            commands.into_iter().zip(steps).map(step).collect()
        })
    })
}

fn without_time(mut command: Command) -> Command {
    if let Command::RecordOrder { at, .. }
    | Command::RefundOrder { at, .. }
    | Command::CancelOrder { at, .. } = &mut command
    {
        *at = None;
    }
    command
}
