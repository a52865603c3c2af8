//! What must hold for every cart, every rule and every claim. More cases by `PROPTEST_CASES`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may stop at what it did not expect"
)]

use loyalty_core::discount::*;
use loyalty_core::proptest::{
    DiscountLedger, carts, check_claims, check_equal_lines, check_exact_discounts,
    check_fair_allocation, check_rejected_codes, claims, discount_shops, price_rules,
};
use loyalty_core::{Amount, CodeId, LineId, PriceRuleId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// No files of past failures: a failure becomes a worked case instead.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

fn stackings() -> impl Strategy<Value = Stacking> {
    select(&Stacking::NAMES[..]).prop_map(|(_, stacking)| stacking)
}

/// Amounts at the edges of what there is.
const EXTREMES: [&str; 7] =
    ["0", "0.0001", "0.01", "1", "99999.9999", "99999999999.99", "100000000000"];

/// What is stored is read again as it was.
fn round_trips<'a, T>(all: impl Iterator<Item = &'a T>) -> TestCaseResult
where
    T: 'a + serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    for one in all {
        let text = serde_json::to_string(one).unwrap();
        prop_assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), one, "{}", text);
    }
    Ok(())
}

/// Weights as carts have them, many of them equal, and a total that they can bear.
fn allocations() -> impl Strategy<Value = (u64, Vec<u64>)> {
    let weight =
        prop_oneof![4 => 0..12_u64, 4 => 0..1_000_000_u64, 1 => Just(1_000_000_000_000_000)];
    vec(weight, 1..12).prop_flat_map(|weights| (0..=weights.iter().sum(), Just(weights)))
}

/// Rules that look at no unit for itself: ties cannot change what they take in all.
fn unlimited_rules() -> impl Strategy<Value = PriceRule> {
    price_rules().prop_filter("no rule of single units", |rule| {
        let parts = rule.parts();
        parts.allocation_limit.is_none()
            && parts.prerequisite_to_entitlement_quantity_ratio.is_none()
    })
}

/// A line of a small cart: price in whole units, quantity, whether it can be bought and got.
type TestUnitGroup = (i64, u32, bool, bool);

/// What is got for nothing, by trying every choice of units: as many applications as can be, the cheapest.
fn brute_force_bundle(
    piles: &[TestUnitGroup],
    (buy, spend): (u32, Option<i64>),
    get: u32,
    limit: u32,
) -> i64 {
    let mut choices = vec![(0_u32, 0_i64, 0_u32, 0_i64)];
    for (price, quantity, prerequisite, entitled) in piles {
        let mut more = Vec::new();
        for (bought, spent, got, saved) in &choices {
            for b in 0..=if *prerequisite { *quantity } else { 0 } {
                for g in 0..=if *entitled { *quantity - b } else { 0 } {
                    more.push((
                        bought + b,
                        spent + price * i64::from(b),
                        got + g,
                        saved + price * i64::from(g),
                    ));
                }
            }
        }
        choices = more;
    }
    (1..=limit)
        .rev()
        .find_map(|times| {
            let enough = |(bought, spent, got, _): &&(u32, i64, u32, i64)| {
                *got == times * get
                    && spend
                        .map_or(*bought == times * buy, |spend| *spent >= i64::from(times) * spend)
            };
            choices.iter().filter(enough).map(|(_, _, _, saved)| *saved).min()
        })
        .unwrap_or(0)
}

fn unit_groups() -> impl Strategy<Value = Vec<TestUnitGroup>> {
    vec(
        (select(vec![1_i64, 2, 3, 5, 5, 8]), 1..4_u32, any::<bool>(), any::<bool>()),
        1..5,
    )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bundles_are_those_that_trying_finds(
        piles in unit_groups(), buy in 1..4_u32, spend in proptest::option::weighted(0.4, 1..12_i64),
        get in 1..3_u32, limit in 1..5_u32,
    ) {
        let category = |name: &str| name.parse().unwrap();
        let line = |(index, (price, quantity, prerequisite, entitled)): (usize, &TestUnitGroup)| CartLine {
            id: LineId::new(index.to_string()).unwrap(),
            product: None,
            variant: None,
            categories: [("x", *prerequisite), ("y", *entitled)]
                .iter().filter(|(_, is)| *is).map(|(name, _)| category(name)).collect(),
            quantity: *quantity,
            price: Amount::from(u32::try_from(*price).unwrap()),
            gift_card: false,
        };
        let of = |name: &str| ItemSelection { collections: [category(name)].into(), ..ItemSelection::default() };
        let parts = PriceRuleParts {
            title: "Bundle".to_owned(),
            value_type: ValueType::Percentage,
            value: (-100).into(),
            target_selection: TargetSelection::Entitled,
            allocation_method: AllocationMethod::Each,
            allocation_limit: Some(limit),
            entitled: of("y"),
            prerequisites: of("x"),
            prerequisite_to_entitlement_quantity_ratio: Some(QuantityRatio {
                prerequisite_quantity: spend.is_none().then_some(buy), entitled_quantity: get,
            }),
            prerequisite_to_entitlement_purchase: spend.map(|spend| Amount::from(u32::try_from(spend).unwrap())),
            ..PriceRuleParts::default()
        };
        let books = DiscountLedger::new([PriceRule::new(parts, 2).unwrap()]);
        let lines = piles.iter().enumerate().map(line).collect();
        let cart = Cart { lines, codes: vec![Code::new("code1").unwrap()], ..Cart::default() };
        let found = books.evaluate(&cart, Stacking::All).unwrap().total_discount();
        let want = brute_force_bundle(&piles, (buy, spend), get, limit);
        prop_assert_eq!(found, Amount::from(u32::try_from(want).unwrap()));
    }

    #[test]
    fn allocations_are_fair((total, weights) in allocations()) {
        let shares = allocate(total, &weights).unwrap();
        check_fair_allocation(total, &weights, &shares)?;
    }

    #[test]
    fn evaluations_are_exact(books in discount_shops(), cart in carts(), stacking in stackings()) {
        let found = books.evaluate(&cart, stacking).unwrap();
        check_exact_discounts(&cart, &found)?;
        check_rejected_codes(&books, &cart, stacking)?;
    }

    #[test]
    fn equal_lines_fare_alike_under_one_code(books in discount_shops(), mut cart in carts()) {
        cart.codes.truncate(1);
        check_equal_lines(&cart, &books.evaluate(&cart, Stacking::All).unwrap())?;
    }

    #[test]
    fn the_order_of_lines_changes_no_total(rule in unlimited_rules(), mut cart in carts()) {
        let books = DiscountLedger::new([rule]);
        let found = books.evaluate(&cart, Stacking::All).unwrap();
        cart.lines.reverse();
        let again = books.evaluate(&cart, Stacking::All).unwrap();
        prop_assert_eq!(again.total_discount(), found.total_discount());
    }

    #[test]
    fn extremes_are_counted_or_refused(
        mut books in discount_shops(), mut cart in carts(), stacking in stackings(), digits in 0..6_u32,
        sizes in vec((select(vec![0, 1, 3, 1_000_000, u32::MAX]), select(EXTREMES.to_vec())), 20),
        limit in select(vec![1, 7, u32::MAX]), value in select(EXTREMES.to_vec()),
    ) {
        for (line, (quantity, price)) in cart.lines.iter_mut().zip(&sizes) {
            (line.quantity, line.price) = (*quantity, price.parse().unwrap());
        }
        for (line, (_, price)) in cart.shipping.iter_mut().zip(sizes.iter().rev()) {
            line.price = price.parse().unwrap();
        }
        let rules: Vec<_> = books.rules.values().filter_map(|state| state.rule()).collect();
        let extreme = |rule: &&std::sync::Arc<PriceRule>| {
            let mut parts = rule.parts().clone();
            if parts.value_type == ValueType::FixedAmount {
                parts.value = -value.parse::<rust_decimal::Decimal>().unwrap();
            }
            parts.allocation_limit = parts.allocation_limit.map(|_| limit);
            if let Some(ratio) = &mut parts.prerequisite_to_entitlement_quantity_ratio {
                ratio.prerequisite_quantity = ratio.prerequisite_quantity.map(|_| limit);
                ratio.entitled_quantity = limit;
            }
            PriceRule::new(parts, digits).ok()
        };
        books = DiscountLedger::new(rules.iter().filter_map(extreme).collect::<Vec<_>>());
        let by_text = |text: &Code| text.key().strip_prefix("code").and_then(|number| number.parse().ok());
        let found = evaluate(&cart, digits, stacking, |text| books.code_context(CodeId(by_text(text)?), None, None));
        if let Ok(found) = found {
            check_exact_discounts(&cart, &found)?;
        }
    }

    #[test]
    fn the_best_code_is_the_best(books in discount_shops(), cart in carts()) {
        let best = books.evaluate(&cart, Stacking::Best).unwrap().total_discount();
        for code in &cart.codes {
            let alone = Cart { codes: vec![code.clone()], ..cart.clone() };
            prop_assert!(books.evaluate(&alone, Stacking::All).unwrap().total_discount() <= best);
        }
    }

    /// What is said without a cart holds in every cart.
    #[test]
    fn codes_that_clash_apply_together_nowhere(
        books in discount_shops(), cart in carts(), stacking in stackings(),
    ) {
        let of = |id: PriceRuleId| books.rules[&id].rule().unwrap();
        let found = books.evaluate(&cart, stacking).unwrap();
        let applied: Vec<_> = found.codes.iter().filter_map(|code| Some((&code.code, code.outcome.as_ref().ok()?)))
            .map(|(code, applied)| (code, applied.rule, &**of(applied.rule))).collect();
        for (place, held) in applied.iter().enumerate() {
            for new in applied.iter().skip(place + 1) {
                prop_assert_eq!(stacking.find_conflict(*held, *new), None);
            }
        }
    }

    #[test]
    fn claims_always_add_up(mut books in discount_shops(), claims in claims()) {
        for (now, customer, command) in &claims {
            let told = books.execute(CodeId(1), customer, command, *now);
            check_claims(&books, *now)?;
            if told.is_ok() {
                prop_assert_eq!(books.execute(CodeId(1), customer, command, *now), Ok(None), "{:?} twice", command);
            }
        }
        round_trips(books.codes.values())?;
        round_trips(books.customer_usage.values())?;
        round_trips(books.checkouts.values())?;
        round_trips(books.orders.values())?;
        round_trips(books.rules.values())?;
    }

    #[test]
    fn stored_rules_and_events_come_back(books in discount_shops()) {
        round_trips(books.journal.iter())?;
    }

    #[test]
    fn codes_are_one_however_they_are_written(text in "\\PC{1,20}") {
        if let Ok(code) = Code::new(&text) {
            let (folded, lower) = (Code::new(code.key()).unwrap(), Code::new(&text.to_lowercase()).unwrap());
            prop_assert_eq!((folded.key(), lower.key()), (code.key(), code.key()));
            prop_assert_eq!(Code::new(code.as_str()).unwrap().as_str().to_owned(), code.as_str().to_owned());
        }
    }
}

/// The invariant catches what a careless allocator does.
#[test]
fn broken_allocators_are_caught() {
    let floor = |total: u64, weights: &[u64]| -> Vec<u64> {
        let whole: u64 = weights.iter().sum();
        weights.iter().map(|weight| total * weight / whole).collect()
    };
    let last_takes_the_rest = |total: u64, weights: &[u64]| {
        let mut shares = floor(total, weights);
        *shares.last_mut().unwrap() += total - shares.iter().sum::<u64>();
        shares
    };
    let ties_to_later = |total: u64, weights: &[u64]| -> Vec<u64> {
        let reversed: Vec<_> = weights.iter().rev().copied().collect();
        allocate(total, &reversed).unwrap().into_iter().rev().collect()
    };
    for (total, weights) in [(2, vec![1, 1, 1]), (300, vec![4300, 1400, 2300])] {
        assert!(
            check_fair_allocation(total, &weights, &allocate(total, &weights).unwrap()).is_ok()
        );
        assert!(
            check_fair_allocation(total, &weights, &floor(total, &weights)).is_err(),
            "{weights:?}"
        );
        assert!(
            check_fair_allocation(total, &weights, &last_takes_the_rest(total, &weights)).is_err(),
            "{weights:?}"
        );
    }
    assert!(check_fair_allocation(2, &[1, 1, 1], &ties_to_later(2, &[1, 1, 1])).is_err());
}

#[test]
fn strategies_reach_every_kind() {
    let mut runner = TestRunner::deterministic();
    let mut counts = std::collections::BTreeMap::<&str, u32>::new();
    for _ in 0..2_000 {
        let books = discount_shops().new_tree(&mut runner).unwrap().current();
        let cart = carts().new_tree(&mut runner).unwrap().current();
        for code in books.evaluate(&cart, Stacking::All).unwrap().codes {
            let kind = match &code.outcome {
                Ok(applied) if !applied.has_discount() => "nothing",
                Ok(applied) if applied.applications > 1 => "bundle twice",
                Ok(applied) if applied.applications > 0 => "bundle",
                Ok(applied) => applied.class.name(),
                Err(refusal) => refusal.code(),
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    for kind in [
        "nothing",
        "bundle",
        "bundle twice",
        "product",
        "order",
        "shipping",
        "unknown_code",
        "duplicate_code",
        "individual_use",
        "customer_required",
        "no_entitled_lines",
        "no_shipping_lines",
        "prerequisites_not_met",
        "minimum_subtotal_not_met",
        "minimum_quantity_not_met",
        "shipping_price_above_maximum",
    ] {
        assert!(counts.get(kind).is_some_and(|count| *count >= 10), "{kind}: {counts:?}");
    }
}
