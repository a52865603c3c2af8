//! Properties of carts, price rules and claims. `PROPTEST_CASES` sets the number of cases.

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
    check_fair_allocation, check_maxima, check_rejected_codes, claims, discount_shops, price_rules,
};
use loyalty_core::{Amount, CodeId, LineId, PriceRuleId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

/// Failures are not saved in files: each becomes a worked case instead.
fn config() -> Config {
    Config { failure_persistence: None, ..Config::default() }
}

fn stackings() -> impl Strategy<Value = Stacking> {
    select(&Stacking::NAMES[..]).prop_map(|(_, stacking)| stacking)
}

/// Amounts at the limits of the range.
const EXTREMES: [&str; 7] =
    ["0", "0.0001", "0.01", "1", "99999.9999", "99999999999.99", "100000000000"];

/// Checks that values are read from JSON as they were written.
fn check_round_trips<'a, T>(values: impl Iterator<Item = &'a T>) -> TestCaseResult
where
    T: 'a + serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    for value in values {
        let text = serde_json::to_string(value).unwrap();
        prop_assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{}", text);
    }
    Ok(())
}

/// Weights like those of carts, many of them equal, and a total that does not exceed them.
fn allocations() -> impl Strategy<Value = (u64, Vec<u64>)> {
    let weight =
        prop_oneof![4 => 0..12_u64, 4 => 0..1_000_000_u64, 1 => Just(1_000_000_000_000_000)];
    vec(weight, 1..12).prop_flat_map(|weights| (0..=weights.iter().sum(), Just(weights)))
}

/// Rules that select no single units, so that ties cannot change the total discount.
fn unlimited_rules() -> impl Strategy<Value = PriceRule> {
    price_rules().prop_filter("no rule of single units", |rule| {
        let parts = rule.parts();
        parts.allocation_limit.is_none()
            && parts.prerequisite_to_entitlement_quantity_ratio.is_none()
    })
}

/// A line of a small cart: price, quantity, and whether it can be bought or discounted.
type TestUnitGroup = (i64, u32, bool, bool);

/// The price of the free units, found by trying every selection: most applications, then the
/// cheapest units.
fn brute_force_bundle(
    groups: &[TestUnitGroup],
    (buy, spend): (u32, Option<i64>),
    get: u32,
    limit: u32,
) -> i64 {
    let mut choices = vec![(0_u32, 0_i64, 0_u32, 0_i64)];
    for (price, quantity, prerequisite, entitled) in groups {
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
    fn bundles_match_brute_force(
        groups in unit_groups(), buy in 1..4_u32, spend in proptest::option::weighted(0.4, 1..12_i64),
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

        let selection = |name: &str| ItemSelection { collections: [category(name)].into(), ..ItemSelection::default() };

        let parts = PriceRuleParts {
            title: "Bundle".to_owned(),
            value_type: ValueType::Percentage,
            value: (-100).into(),
            target_selection: TargetSelection::Entitled,
            allocation_method: AllocationMethod::Each,
            allocation_limit: Some(limit),
            entitled: selection("y"),
            prerequisites: selection("x"),
            prerequisite_to_entitlement_quantity_ratio: Some(QuantityRatio {
                prerequisite_quantity: spend.is_none().then_some(buy), entitled_quantity: get,
            }),
            prerequisite_to_entitlement_purchase: spend.map(|spend| Amount::from(u32::try_from(spend).unwrap())),
            ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
        };

        let ledger = DiscountLedger::new([PriceRule::new(parts, 2).unwrap()]);
        let lines: Vec<_> = groups.iter().enumerate().map(line).collect();
        let cart = Cart::new(lines, Timestamp::UNIX_EPOCH).with_codes([Code::new("code1").unwrap()]);

        let actual = ledger.evaluate(&cart, Stacking::All).unwrap().total_discount();
        let expected = brute_force_bundle(&groups, (buy, spend), get, limit);
        prop_assert_eq!(actual, Amount::from(u32::try_from(expected).unwrap()));
    }

    #[test]
    fn allocations_are_fair((total, weights) in allocations()) {
        let shares = allocate(total, &weights).unwrap();
        check_fair_allocation(total, &weights, &shares)?;
    }

    #[test]
    fn evaluations_are_exact(ledger in discount_shops(), cart in carts(), stacking in stackings()) {
        let found = ledger.evaluate(&cart, stacking).unwrap();
        check_exact_discounts(&cart, &found)?;
        check_maxima(&ledger, &cart, &found)?;
        check_rejected_codes(&ledger, &cart, stacking)?;
    }

    #[test]
    fn equal_lines_are_discounted_alike_by_one_code(ledger in discount_shops(), mut cart in carts()) {
        cart.codes.truncate(1);
        check_equal_lines(&cart, &ledger.evaluate(&cart, Stacking::All).unwrap())?;
    }

    #[test]
    fn the_order_of_lines_changes_no_total(rule in unlimited_rules(), mut cart in carts()) {
        let ledger = DiscountLedger::new([rule]);
        let found = ledger.evaluate(&cart, Stacking::All).unwrap();
        cart.lines.reverse();
        let reversed = ledger.evaluate(&cart, Stacking::All).unwrap();
        prop_assert_eq!(reversed.total_discount(), found.total_discount());
    }

    #[test]
    fn extremes_are_exact_or_rejected(
        mut ledger in discount_shops(), mut cart in carts(), stacking in stackings(), digits in 0..6_u32,
        sizes in vec((select(vec![0, 1, 3, 1_000_000, u32::MAX]), select(EXTREMES.to_vec())), 20),
        limit in select(vec![1, 7, u32::MAX]), value in select(EXTREMES.to_vec()),
    ) {
        for (line, (quantity, price)) in cart.lines.iter_mut().zip(&sizes) {
            (line.quantity, line.price) = (*quantity, price.parse().unwrap());
        }

        for (line, (_, price)) in cart.shipping.iter_mut().zip(sizes.iter().rev()) {
            line.price = price.parse().unwrap();
        }

        let rules: Vec<_> = ledger.rules.values().filter_map(|state| state.rule()).collect();
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

        ledger = DiscountLedger::new(rules.iter().filter_map(extreme).collect::<Vec<_>>());

        let by_text = |text: &Code| text.key().strip_prefix("code").and_then(|number| number.parse().ok());
        let found = evaluate(&cart, digits, stacking, |text| ledger.code_context(CodeId(by_text(text)?), None, None));
        if let Ok(found) = found {
            check_exact_discounts(&cart, &found)?;
        }
    }

    #[test]
    fn the_best_code_is_the_best(ledger in discount_shops(), cart in carts()) {
        let best = ledger.evaluate(&cart, Stacking::Best).unwrap().total_discount();
        for code in &cart.codes {
            let single = Cart { codes: vec![code.clone()], ..cart.clone() };
            prop_assert!(ledger.evaluate(&single, Stacking::All).unwrap().total_discount() <= best);
        }
    }

    /// A conflict found without a cart exists in every cart.
    #[test]
    fn conflicting_codes_never_apply_together(
        ledger in discount_shops(), cart in carts(), stacking in stackings(),
    ) {
        let rule = |id: PriceRuleId| ledger.rules[&id].rule().unwrap();
        let found = ledger.evaluate(&cart, stacking).unwrap();
        let applied: Vec<_> = found.codes.iter().filter_map(|code| Some((&code.code, code.outcome.as_ref().ok()?)))
            .map(|(code, applied)| (code, applied.rule, &**rule(applied.rule))).collect();

        for (index, existing) in applied.iter().enumerate() {
            for new in applied.iter().skip(index + 1) {
                prop_assert_eq!(stacking.find_conflict(*existing, *new), None);
            }
        }
    }

    #[test]
    fn claims_satisfy_all_invariants(mut ledger in discount_shops(), claims in claims()) {
        for (now, customer, command) in &claims {
            let result = ledger.execute(CodeId(1), customer, command, *now);
            check_claims(&ledger, *now)?;
            if result.is_ok() {
                prop_assert_eq!(ledger.execute(CodeId(1), customer, command, *now), Ok(None), "{:?} twice", command);
            }
        }

        check_round_trips(ledger.codes.values())?;
        check_round_trips(ledger.customer_usage.values())?;
        check_round_trips(ledger.checkouts.values())?;
        check_round_trips(ledger.orders.values())?;
        check_round_trips(ledger.rules.values())?;
    }

    #[test]
    fn stored_rules_and_events_round_trip(ledger in discount_shops()) {
        check_round_trips(ledger.journal.iter())?;
    }

    #[test]
    fn equivalent_spellings_are_one_code(text in "\\PC{1,20}") {
        if let Ok(code) = Code::new(&text) {
            let (folded, lower) = (Code::new(code.key()).unwrap(), Code::new(&text.to_lowercase()).unwrap());
            prop_assert_eq!((folded.key(), lower.key()), (code.key(), code.key()));
            prop_assert_eq!(Code::new(code.as_str()).unwrap().as_str().to_owned(), code.as_str().to_owned());
        }
    }
}

/// The invariant finds the errors of careless allocators.
#[test]
fn broken_allocators_are_caught() {
    let floor = |total: u64, weights: &[u64]| -> Vec<u64> {
        let sum: u64 = weights.iter().sum();
        weights.iter().map(|weight| total * weight / sum).collect()
    };

    let last_gets_the_remainder = |total: u64, weights: &[u64]| {
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
            check_fair_allocation(total, &weights, &last_gets_the_remainder(total, &weights))
                .is_err(),
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
        let ledger = discount_shops().new_tree(&mut runner).unwrap().current();
        let cart = carts().new_tree(&mut runner).unwrap().current();
        for code in ledger.evaluate(&cart, Stacking::All).unwrap().codes {
            let kind = match &code.outcome {
                Ok(applied) if !applied.has_discount() => "nothing",
                Ok(applied) if applied.applications > 1 => "bundle twice",
                Ok(applied) if applied.applications > 0 => "bundle",
                Ok(applied) => applied.class.name(),
                Err(rejection) => rejection.code(),
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
