//! Strategies for rewards and redemptions.

use ::proptest::collection::{btree_set, vec};
use ::proptest::option::weighted;
use ::proptest::prelude::*;
use ::proptest::sample::select;

use super::values::{amounts, categories, ids, products};
use crate::amount::{Amount, Points, Rate};
use crate::calendar::Period;
use crate::command::Command;
use crate::exact::Fraction;
use crate::id::{OrderId, RedemptionId, RewardId};
use crate::limit::{Limit, Quota, Span};
use crate::program::{
    Benefit, EligibilityConditions, FreeProduct, FreeShipping, OrderCancelledPolicy,
    OrderRefundedPolicy, Percentage, PointPrice, ProductScope, RedemptionTerms, Reward,
    RewardPricing, VariableAmount,
};

/// Generates rewards of every kind.
pub fn rewards() -> impl Strategy<Value = Reward> {
    let dimes =
        |dimes: u32| Amount::from_ten_thousandths(i64::from(dimes).saturating_mul(1_000)).ok();
    let scopes = || {
        let products = btree_set(products(), 1..3)
            .prop_map(|products| ProductScope { products, ..ProductScope::default() });
        let categories = btree_set(categories(), 1..3)
            .prop_map(|categories| ProductScope { categories, ..ProductScope::default() });
        prop_oneof![products, categories]
    };
    let benefits = prop_oneof![
        3 => (1..500_u32).prop_filter_map("in range", dimes).prop_map(Benefit::FixedAmount),
        1 => (percents(), weighted(0.3, (1..500_u32).prop_filter_map("in range", dimes)))
            .prop_map(|(rate, maximum)| Benefit::Percentage(Percentage { rate, maximum })),
        1 => weighted(0.5, amounts()).prop_map(|maximum| Benefit::FreeShipping(FreeShipping { maximum })),
        1 => (scopes(), 1..4_u32).prop_map(|(scope, quantity)| Benefit::FreeProduct(FreeProduct { scope, quantity })),
        1 => (1..500_u32).prop_filter_map("in range", dimes).prop_map(Benefit::StoreCredit),
        1 => Just(Benefit::Custom),
    ];

    let fixed = (1..150_u32, benefits)
        .prop_map(|(cost, benefit)| RewardPricing::Fixed { cost: cost.into(), benefit });
    let prices = prop_oneof![
        2 => (1..30_u32).prop_map(|points| PointPrice::PointsPerUnit(points.into())),
        1 => select(&[50_i64, 100, 200, 250, 500][..])
            .prop_filter_map("in range", |value| Amount::from_ten_thousandths(value).ok())
            .prop_map(PointPrice::PointValue),
    ];
    let variable =
        (prices, 1..4_u32, weighted(0.5, 4..8_u32)).prop_map(|(price, step, maximum)| {
            let (step, maximum) = (
                Amount::from(step),
                maximum.map(|steps| Amount::from(steps.saturating_mul(step))),
            );
            RewardPricing::Variable(VariableAmount { price, step, minimum: step, maximum })
        });

    let offer = prop_oneof![4 => fixed, 1 => variable];
    let spans = select(&Span::NAMES[..]).prop_map(|(_, span)| span);
    let quota = prop_oneof![
        (1..4_u32).prop_map(Quota::Times),
        (50..300_u32).prop_map(|points| Quota::Points(Points::from(points))),
    ];
    let limit = (spans, quota).prop_map(|(per, quota)| Limit { quota, per, partial: false });

    let valid_for = weighted(0.7, (1..12_u32).prop_filter_map("a period", Period::from_days));
    let scope = (
        weighted(0.3, scopes()),
        weighted(0.2, amounts()),
        weighted(0.2, percents()),
        any::<[bool; 2]>(),
    );
    let limits = (vec(limit.clone(), 0..2), vec(limit, 0..2));
    (offer, scope, valid_for, limits).prop_filter_map(
        "a valid reward",
        |(offer, scope, valid_for, limits)| {
            let (only, minimum_subtotal, maximum_share, [points_back_when_expired, individual_use]) = scope;
            let (has_code, discounts_goods) = match &offer {
                RewardPricing::Fixed { benefit, .. } => (
                    benefit.has_code(),
                    matches!(benefit, Benefit::FixedAmount(_) | Benefit::Percentage(_)),
                ),
                RewardPricing::Variable(_) => (true, true),
            };
            Some(Reward {
                id: RewardId::new("reward").ok()?,
                name: "Reward".to_owned(),
                offer,
                minimum_subtotal: minimum_subtotal.filter(|_| has_code),
                only: only.filter(|_| discounts_goods).unwrap_or_default(),
                excluded: ProductScope::default(),
                maximum_share: maximum_share.filter(|_| discounts_goods),
                valid_for,
                points_back_when_expired,
                when: EligibilityConditions::default(),
                limits: limits.0,
                total_limits: limits.1,
                individual_use: individual_use && has_code,
                code_prefix: String::new(),
            })
        },
    )
}

fn percents() -> impl Strategy<Value = Rate> {
    (1..=100_u32).prop_filter_map("in range", |part| Rate::new(part.into()).ok())
}

pub(super) fn redemption_terms() -> impl Strategy<Value = RedemptionTerms> {
    let grace = (1..40_u32).prop_filter_map("a period", Period::from_days);
    let policies = select(&[OrderCancelledPolicy::Code, OrderCancelledPolicy::Points][..]);
    let refunded = select(&[OrderRefundedPolicy::Keep, OrderRefundedPolicy::Points][..]);
    (grace, policies, refunded, weighted(0.2, percents())).prop_map(
        |(grace, order_cancelled, order_refunded, maximum_share)| RedemptionTerms {
            grace,
            order_cancelled,
            order_refunded,
            maximum_share,
        },
    )
}

/// Generates commands about three redemptions of rewards that a program may have.
pub(super) fn redemption_commands() -> impl Strategy<Value = Command> {
    let id = || (1..4_i64).prop_map(RedemptionId);
    let order = || ids("order", |text| OrderId::new(text).ok());
    let reward =
        (0..4_u8).prop_filter_map("an id", |index| RewardId::new(format!("reward{index}")).ok());
    let amount = || weighted(0.3, (1..8_u32).prop_map(Amount::from));
    let redeem = (id(), reward, amount(), amount(), any::<[u8; 16]>()).prop_map(
        |(redemption, reward, amount, subtotal, entropy)| Command::RedeemReward {
            redemption,
            reward,
            amount,
            subtotal,
            entropy,
        },
    );
    let gift = ((4..7_i64).prop_map(RedemptionId), any::<[u8; 16]>())
        .prop_map(|(redemption, entropy)| Command::IssueGift { redemption, entropy });
    let id = || (1..7_i64).prop_map(RedemptionId);
    prop_oneof![
        4 => redeem,
        4 => gift,
        2 => (id(), order()).prop_map(|(redemption, order)| Command::ClaimRedemption { redemption, order }),
        2 => (id(), order()).prop_map(|(redemption, order)| Command::ReleaseRedemption { redemption, order }),
        1 => (id(), order(), 0..=4_i64).prop_map(|(redemption, order, quarters)| {
            let returned = Fraction::new(quarters, 4);
            Command::RefundRedemption { redemption, order, returned }
        }),
        1 => id().prop_map(|redemption| Command::CancelRedemption { redemption }),
        1 => id().prop_map(|redemption| Command::UseRedemption { redemption, order: None }),
    ]
}
