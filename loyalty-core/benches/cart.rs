//! The cost of evaluating a cart: 20 lines with five codes under each stacking policy,
//! and carts of up to 2,000 lines, whose cost should be proportional.

#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "a bench may stop at what it did not expect"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use loyalty_core::discount::{
    AllocationMethod, Cart, CartLine, Code, ItemSelection, PriceRule, PriceRuleParts,
    QuantityRatio, ShippingLine, Stacking, TargetSelection, TargetType, ValueType,
};
use loyalty_core::proptest::DiscountLedger;
use loyalty_core::{LineId, Timestamp};

/// A percentage off each line, an amount and a percentage across all lines, buy two get
/// one, and free shipping.
fn five_rules() -> Vec<PriceRule> {
    let percent = |value: i64| PriceRuleParts {
        title: "Bench".to_owned(),
        value_type: ValueType::Percentage,
        value: value.into(),
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    };
    let each = |parts| PriceRuleParts { allocation_method: AllocationMethod::Each, ..parts };

    let tops = ItemSelection {
        collections: ["tops".parse().unwrap()].into(),
        ..ItemSelection::default()
    };

    let bundle = PriceRuleParts {
        target_selection: TargetSelection::Entitled,
        entitled: tops.clone(),
        prerequisites: tops,
        prerequisite_to_entitlement_quantity_ratio: Some(QuantityRatio {
            prerequisite_quantity: Some(2),
            entitled_quantity: 1,
        }),
        ..each(percent(-100))
    };
    let shipping = PriceRuleParts { target_type: TargetType::ShippingLine, ..each(percent(-100)) };
    let fixed = PriceRuleParts { value_type: ValueType::FixedAmount, ..percent(-5) };

    let rules = [each(percent(-15)), percent(-10), fixed, bundle, shipping];
    rules
        .into_iter()
        .map(|parts| PriceRule::new(parts, 2).unwrap())
        .collect()
}

fn cart(lines: u32) -> Cart {
    let line = |index: u32| CartLine {
        id: LineId::new(index.to_string()).unwrap(),
        product: Some(format!("product{index}").parse().unwrap()),
        variant: None,
        categories: vec![
            if index.is_multiple_of(2) { "tops" } else { "shoes" }
                .parse()
                .unwrap(),
        ],
        quantity: 1 + index % 3,
        price: format!("{}.{:02}", 5 + index % 40, index % 100).parse().unwrap(),
        gift_card: false,
    };
    Cart {
        lines: (0..lines).map(line).collect(),
        shipping: vec![ShippingLine {
            id: LineId::new("std").unwrap(),
            price: "4.90".parse().unwrap(),
        }],
        codes: (1..=5)
            .map(|number| Code::new(&format!("CODE{number}")).unwrap())
            .collect(),
        ..Cart::new([], Timestamp::UNIX_EPOCH)
    }
}

fn carts(criterion: &mut Criterion) {
    let ledger = DiscountLedger::new(five_rules());
    let mut group = criterion.benchmark_group("cart of 20 lines, 5 codes");
    let twenty = cart(20);
    for (name, stacking) in Stacking::NAMES {
        group.bench_function(name, |bencher| {
            bencher.iter(|| ledger.evaluate(black_box(&twenty), stacking).unwrap());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("cart by lines, 5 codes");
    for lines in [20, 200, 2_000] {
        let cart = cart(lines);
        group.throughput(Throughput::Elements(u64::from(lines)));
        group.bench_with_input(BenchmarkId::from_parameter(lines), &cart, |bencher, cart| {
            bencher.iter(|| ledger.evaluate(black_box(cart), Stacking::All).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, carts);
criterion_main!(benches);
