//! Strategies for price rules, carts and claims. Their ranges are small, so that equal ids,
//! prices and instants are frequent.

use std::collections::BTreeSet;
use std::sync::Arc;

use ::proptest::collection::{btree_set, vec};
use ::proptest::option::weighted;
use ::proptest::prelude::*;
use ::proptest::sample::{Index, select};
use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::customer_history::pick_from;
use super::discounts::DiscountLedger;
use super::vocabulary::Vocabulary;
use crate::amount::{Amount, Rate};
use crate::calendar::{Period, Timestamp};
use crate::code::Code;
use crate::discount::{
    AllocationMethod, Cart, CartLine, CodeCommand, Customer, ItemSelection, PriceRule,
    PriceRuleParts, QuantityRatio, ShippingLine, TargetSelection, TargetType, ValueType,
};
use crate::id::{
    AccountId, CategoryId, CheckoutId, LineId, OrderId, ProductId, ProgramVersion, RedemptionId,
    VariantId,
};
use crate::program::{OrderCancelledPolicy, OrderRefundedPolicy, Program, Reward, RewardPricing};
use crate::redemption::Issuance;

fn numbered_texts(prefix: &'static str) -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(move |number| format!("{prefix}{number}"))
}

fn products() -> impl Strategy<Value = ProductId> {
    numbered_texts("product").prop_filter_map("an id", |text| ProductId::new(text).ok())
}

fn variants() -> impl Strategy<Value = VariantId> {
    numbered_texts("variant").prop_filter_map("an id", |text| VariantId::new(text).ok())
}

fn collections() -> impl Strategy<Value = CategoryId> {
    numbered_texts("collection").prop_filter_map("an id", |text| CategoryId::new(text).ok())
}

/// Generates products and variants, or collections.
fn items() -> impl Strategy<Value = ItemSelection> {
    let named = (btree_set(products(), 0..3), btree_set(variants(), 0..2));
    prop_oneof![
        named.prop_map(|(products, variants)| ItemSelection {
            products,
            variants,
            collections: BTreeSet::new()
        }),
        btree_set(collections(), 1..3)
            .prop_map(|collections| ItemSelection { collections, ..ItemSelection::default() }),
    ]
}

fn cents(range: std::ops::Range<i64>) -> impl Strategy<Value = Amount> {
    range.prop_filter_map("in range", |cents| {
        Amount::from_ten_thousandths(cents.checked_mul(100)?).ok()
    })
}

/// Generates discounts: cents, or percentages with up to six decimals.
fn values() -> impl Strategy<Value = (ValueType, Decimal)> {
    let fixed = (1..4_000_i64)
        .prop_map(|cents| (ValueType::FixedAmount, Decimal::new(cents.saturating_neg(), 2)));
    let percents = select(vec![
        100_000_000_i64,
        50_000_000,
        33_333_333,
        10_000_000,
        15_000_000,
        2_500_000,
        1,
    ]);
    let percent =
        percents.prop_map(|part| (ValueType::Percentage, Decimal::new(part.saturating_neg(), 6)));
    prop_oneof![fixed, percent]
}

/// Generates rules of every kind for a currency with cents. They are valid at any time.
pub fn price_rules() -> impl Strategy<Value = PriceRule> {
    let target = (
        any::<bool>(),
        any::<bool>(),
        items(),
        prop_oneof![3 => Just(ItemSelection::default()), 1 => items()],
    );
    let bundle = weighted(0.3, (1..4_u32, 1..3_u32, items(), weighted(0.3, cents(1..5_000))));
    let limits = (
        weighted(0.3, 1..4_u32),
        weighted(0.2, cents(0..5_000)),
        weighted(0.2, 0..5_u64),
        weighted(0.5, 1..4_u64),
        weighted(0.3, cents(0..1_500)),
        (weighted(0.3, cents(1..1_500)), weighted(0.3, select(vec![10_u32, 50, 90]))),
    );
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.2), prop::bool::weighted(0.15));
    let parts = (values(), target, bundle, limits, flags).prop_map(
        |(
            (value_type, value),
            (each, entitled, items, excluded),
            bundle,
            limits,
            (individual_use, once_per_customer, shipping),
        )| {
            let (allocation_limit, subtotal, quantity, usage_limit, shipping_price, maxima) =
                limits;
            let mut parts = PriceRuleParts {
                title: "Rule".to_owned(),
                value_type,
                value,
                prerequisite_subtotal_range: subtotal,
                prerequisite_quantity_range: quantity,
                usage_limit,
                once_per_customer,
                individual_use,
                ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
            };

            if shipping {
                parts.value_type = ValueType::Percentage;
                parts.value = Decimal::new(-100, 0);
                parts.target_type = TargetType::ShippingLine;
                parts.allocation_method = AllocationMethod::Each;
                parts.prerequisite_shipping_price_range = shipping_price;
                return parts;
            }

            parts.excluded = excluded;
            if each || bundle.is_some() {
                parts.allocation_method = AllocationMethod::Each;
                parts.allocation_limit = allocation_limit;
            } else {
                let percentage = parts.value_type == ValueType::Percentage;
                parts.maximum_discount = maxima.0.filter(|_| percentage);
                parts.maximum_share = maxima.1.and_then(|share| Rate::new(share.into()).ok());
            }
            if entitled || bundle.is_some() {
                parts.target_selection = TargetSelection::Entitled;
                parts.entitled = items;
            }
            if let Some((buy, entitled_quantity, prerequisites, spend)) = bundle {
                let prerequisite_quantity = spend.is_none().then_some(buy);
                let ratio = QuantityRatio { prerequisite_quantity, entitled_quantity };
                // Buy X get Y is a percentage without minimums.
                if parts.value_type == ValueType::FixedAmount {
                    parts.value_type = ValueType::Percentage;
                    parts.value = Decimal::new(-100, 0);
                }
                parts.prerequisite_subtotal_range = None;
                parts.prerequisite_quantity_range = None;
                parts.prerequisite_to_entitlement_quantity_ratio = Some(ratio);
                parts.prerequisite_to_entitlement_purchase = spend;
                parts.prerequisites = prerequisites;
            }
            parts
        },
    );
    parts.prop_filter_map("a valid rule", |parts| PriceRule::new(parts, 2).ok())
}

/// Generates rules of every kind. Those with a usage limit of 2 are automatic.
pub fn price_rules_and_automatic() -> impl Strategy<Value = PriceRule> {
    price_rules().prop_filter_map("a valid rule", |rule| {
        let automatic = rule.parts().usage_limit == Some(2);
        let parts = PriceRuleParts { automatic, ..rule.parts().clone() };
        PriceRule::new(parts, rule.minor_digits()).ok()
    })
}

/// Generates shops with a few rules, each with one code.
pub fn discount_shops() -> impl Strategy<Value = DiscountLedger> {
    vec(price_rules(), 1..6).prop_map(DiscountLedger::new)
}

/// Generates price rules of a shop with this program: those of its rewards, and others of any
/// kind. In a [`DiscountLedger::new`] of them, the codes of [`carts_under`] exist.
pub fn price_rules_under(program: &Program) -> impl Strategy<Value = Vec<PriceRule>> + use<> {
    let of_rewards: Vec<PriceRule> = program
        .definition()
        .rewards
        .iter()
        .filter_map(|reward| reward_price_rule(program, reward))
        .collect();
    let selected = vec(any::<Index>(), 0..4).prop_map(move |picks| {
        let picked = picks.iter().filter_map(|pick| pick_from(&of_rewards, *pick));
        picked.cloned().collect::<Vec<_>>()
    });
    (selected, vec(price_rules_and_automatic(), 0..4))
        .prop_map(|(of_rewards, others)| [of_rewards, others].concat())
}

/// Returns the price rule of the codes of a reward; `None` if it has no codes.
fn reward_price_rule(program: &Program, reward: &Reward) -> Option<PriceRule> {
    let amount = if let RewardPricing::Variable(variable) = &reward.offer {
        Some(variable.minimum)
    } else {
        None
    };
    let (points, benefit) = reward.quote(amount, 2).ok()?;
    let code = benefit
        .has_code()
        .then(|| Code::generate(&reward.code_prefix, [7; 16]))
        .transpose()
        .ok()?;

    let at = Timestamp::UNIX_EPOCH;
    let issuance = Issuance {
        id: RedemptionId(1),
        previous: None,
        reward: reward.id.clone(),
        name: reward.name.as_str().into(),
        program: ProgramVersion(1),
        points,
        parts: Vec::new(),
        benefit,
        code,
        at,
        day: at.date_naive(),
        ends_at: None,
        points_back_when_expired: false,
        order_cancelled: OrderCancelledPolicy::Code,
        order_refunded: OrderRefundedPolicy::Keep,
        maximum_share: reward.share_of_order(&program.definition().redemption),
        grace: Period::THIRTY_DAYS,
        cause: None,
    };

    issuance.price_rule(reward, (None, None), 2).ok()?
}

/// Generates carts of a program's products and others, with codes of [`price_rules_under`] in
/// any order.
pub fn carts_under(program: &Program) -> impl Strategy<Value = Cart> + use<> {
    let vocabulary = Vocabulary::from_program(program);
    let products_of = Arc::clone(&vocabulary);
    let product = any::<Index>()
        .prop_filter_map("a product", move |pick| pick_from(&products_of.products, pick).cloned());
    let category = any::<Index>().prop_filter_map("a category", move |pick| {
        pick_from(&vocabulary.categories, pick).cloned()
    });
    carts_with(
        prop_oneof![product, products()].boxed(),
        prop_oneof![category, collections()].boxed(),
    )
}

/// Generates carts of a few lines, some of them equal, with codes of [`discount_shops`] in any
/// order.
pub fn carts() -> impl Strategy<Value = Cart> {
    carts_with(products().boxed(), collections().boxed())
}

fn carts_with(
    products: BoxedStrategy<ProductId>,
    collections: BoxedStrategy<CategoryId>,
) -> impl Strategy<Value = Cart> {
    let prices = prop_oneof![3 => cents(0..3_000), 3 => select(vec![333, 500, 999]).prop_flat_map(|c| cents(c..c.saturating_add(1)))];
    let quantities = prop_oneof![20 => 0..6_u32, 1 => Just(1_000_000)];
    let names = (weighted(0.8, products), weighted(0.5, variants()), vec(collections, 0..3));
    let line = (names, prices, quantities, prop::bool::weighted(0.05)).prop_filter_map(
        "a line",
        |((product, variant, categories), price, quantity, gift_card)| {
            let id = LineId::new("line").ok()?;
            Some(CartLine { id, product, variant, categories, quantity, price, gift_card })
        },
    );
    let line = (line, 1..3_usize).prop_map(|(line, times)| vec![line; times]);

    let codes = vec(1..7_u8, 0..6).prop_map(|numbers| {
        numbers
            .into_iter()
            .filter_map(|number| Code::new(&format!("Code{number}")).ok())
            .collect()
    });
    let account = weighted(0.7, (1..3_i64).prop_map(AccountId));
    (vec(line, 0..7), vec(cents(0..2_000), 0..3), codes, account).prop_map(
        |(lines, shipping, codes, account)| {
            let numbered = |(index, line): (usize, CartLine)| {
                Some(CartLine { id: LineId::new(format!("line{index}")).ok()?, ..line })
            };
            let delivery = |(index, price): (usize, Amount)| {
                Some(ShippingLine { id: LineId::new(format!("delivery{index}")).ok()?, price })
            };
            Cart {
                lines: lines.into_iter().flatten().enumerate().filter_map(numbered).collect(),
                shipping: shipping.into_iter().enumerate().filter_map(delivery).collect(),
                codes,
                customer: Customer { account, ..Customer::default() },
                ..Cart::new([], Timestamp::UNIX_EPOCH)
            }
        },
    )
}

/// Generates claims on one code by a few customers, checkouts and orders, sorted by instant.
pub fn claims() -> impl Strategy<Value = Vec<(Timestamp, Customer, CodeCommand)>> {
    let checkout =
        || numbered_texts("checkout").prop_filter_map("an id", |text| CheckoutId::new(text).ok());
    let order = || numbered_texts("order").prop_filter_map("an id", |text| OrderId::new(text).ok());

    // Whole and half minutes after the command. A few reservations end immediately.
    let ends = || (0..60_i64).prop_map(|halves| TimeDelta::seconds(halves.saturating_mul(30)));
    let command = prop_oneof![
        4 => (checkout(), ends()).prop_map(|(checkout, after)| (Some(after), CodeCommand::Release { checkout })),
        1 => checkout().prop_map(|checkout| (None, CodeCommand::Release { checkout })),
        4 => (order(), weighted(0.7, checkout()))
            .prop_map(|(order, checkout)| (None, CodeCommand::RecordUse { order, checkout, placed_at: None })),
        2 => order().prop_map(|order| (None, CodeCommand::ReturnUse { order })),
        1 => any::<bool>().prop_map(|on| (None, CodeCommand::Switch { on })),
    ];

    let account = weighted(0.8, (1..3_i64).prop_map(AccountId));
    vec((0..20_i64, account, command), 1..40).prop_map(|claims| {
        let mut now = Timestamp::UNIX_EPOCH;
        let timed =
            |(wait, account, (after, command)): (i64, _, (Option<TimeDelta>, CodeCommand))| {
                // A release with an end represents a reservation, whose instant is known only here.
                let wait = TimeDelta::seconds(wait.saturating_mul(30));
                now = now.checked_add_signed(wait).unwrap_or(now);
                let command = match (after, command) {
                    (Some(after), CodeCommand::Release { checkout }) => CodeCommand::Reserve {
                        checkout,
                        until: now.checked_add_signed(after).unwrap_or(now),
                    },
                    (_, command) => command,
                };
                (now, Customer { account, ..Customer::default() }, command)
            };
        claims.into_iter().map(timed).collect()
    })
}
