//! Cases for price rules and discount codes: changes, lists, reservations, and uses by
//! orders.

use super::test_shop::*;
use crate::{
    Action, CartQuery, CatalogueAction, CatalogueOutcome, CheckoutView, CodeBatch, CustomerRef,
    DiscountAction, DiscountOutcome, EmailConflict, Existence, Outcome, Product, ProfileChange,
    Receipt, Rejection, RuleChange, SearchQuery, Store, Variant,
};
use loyalty_core::discount::{
    BatchOutcome, Cart, CartLine, CodeRejection, Customer, CustomerSelection, ItemSelection,
    PriceRule, PriceRuleParts, TargetSelection,
};
use loyalty_core::program::EmailProof;
use loyalty_core::{
    CheckoutId, CodeId, Command, CustomerId, LineId, Order, Origin, PriceRuleId, ProductId,
    SegmentId, ShopId, Status, Tag, Zone,
};

use super::catalogue::{product, variant};

fn boxed_rule(parts: PriceRuleParts) -> Box<PriceRule> {
    Box::new(PriceRule::new(parts, 2).unwrap())
}

fn once_per_customer() -> PriceRuleParts {
    PriceRuleParts { once_per_customer: true, ..ten_percent() }
}

fn with_usage_limit(limit: u64) -> PriceRuleParts {
    PriceRuleParts { usage_limit: Some(limit), ..ten_percent() }
}

fn new_checkout_id(id: &str) -> CheckoutId {
    CheckoutId::new(id).unwrap()
}

fn record_snapshot(order: &str, snapshot: Order) -> Command {
    let (order, snapshot) = (order_id(order), snapshot.into());
    Command::RecordOrder {
        order,
        snapshot,
        status: Status::Paid,
        at: None,
        origin: Origin::Shop,
    }
}

fn reserve(
    shop: &TestShop<'_>,
    id: &str,
    codes: &[&str],
    customer: Option<CustomerRef>,
    until: &str,
) -> Outcome {
    let codes = codes.iter().map(|code| discount_code(code)).collect();
    let (checkout, until) = (new_checkout_id(id), at(until));
    shop.execute_discount(DiscountAction::Reserve {
        checkout,
        codes,
        customer,
        rules: Vec::new(),
        segments: Vec::new(),
        until,
    })
}

fn expect_checkout(outcome: Outcome) -> CheckoutView {
    match outcome.unwrap().discount_outcome {
        Some(DiscountOutcome::Checkout(view)) => *view,
        other => panic!("{other:?}"),
    }
}

/// Returns each code of a receipt, with the reason why it was not used.
fn code_outcomes(receipt: &Receipt) -> Vec<(&str, Option<&'static str>)> {
    let codes = receipt.codes.iter();
    codes
        .map(|code| (code.text.as_str(), code.outcome.as_ref().err().map(CodeRejection::code)))
        .collect()
}

fn all_rules(store: &dyn Store, shop: ShopId) -> Vec<PriceRuleId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.price_rules(shop, after, 2).unwrap();
        all.extend(page.items.iter().map(|rule| rule.id));
        after = all.last().copied();
        if !page.has_more {
            return all;
        }
    }
}

fn all_codes(store: &dyn Store, shop: ShopId, rule: PriceRuleId) -> Vec<CodeId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.codes(shop, rule, after, 2).unwrap();
        all.extend(page.items.iter().map(|code| code.id));
        after = all.last().copied();
        if !page.has_more {
            return all;
        }
    }
}

pub fn a_rule_is_created_changed_listed_and_deleted(store: &dyn Store) {
    let shop = TestShop::new(store);
    let rules: Vec<_> = (0..5).map(|_| shop.create_rule(ten_percent())).collect();
    assert_eq!(all_rules(store, shop.id), rules);

    let later = shop.at("2026-01-02T00:00:00Z");
    let title = "Twenty".to_owned();
    let changed = PriceRuleParts { title, value: "-20".parse().unwrap(), ..ten_percent() };
    let save = |id, parts| DiscountAction::SaveRule {
        id: Some(id),
        rule: boxed_rule(parts),
        if_match: None,
    };
    later.execute_discount(save(rules[1], changed.clone())).unwrap();
    let seen = store.price_rule(shop.id, rules[1]).unwrap().unwrap();
    assert_eq!((seen.revision, seen.rule.parts().title.as_str()), (2, "Twenty"));
    assert_eq!((seen.created_at, seen.updated_at), (shop.now, later.now));

    // An equal rule is not a change.
    assert_eq!(later.execute_discount(save(rules[1], changed)).unwrap().seq, None);

    shop.create_code(rules[2], "GONE");
    later
        .execute_discount(DiscountAction::DeleteRule { id: rules[2], if_match: None })
        .unwrap();
    assert_eq!(all_rules(store, shop.id), [rules[0], rules[1], rules[3], rules[4]]);
    assert_eq!(store.count_price_rules(shop.id).unwrap(), 4);
    assert!(store.price_rule(shop.id, rules[2]).unwrap().is_none());
    assert!(store.code_by_text(shop.id, &discount_code("gone")).unwrap().is_none());
    assert_eq!(
        rejection_code(&later.execute_discount(save(rules[2], ten_percent()))),
        "price_rule_not_found"
    );

    let again = DiscountAction::DeleteRule { id: rules[2], if_match: None };
    assert_eq!(rejection_code(&later.execute_discount(again)), "price_rule_not_found");

    // The texts of its codes are free again.
    let code = later.create_code(rules[0], "GONE");
    assert_eq!(
        store
            .code_by_text(shop.id, &discount_code("gone"))
            .unwrap()
            .unwrap()
            .id,
        code
    );
}

pub fn replacing_a_rule_needs_its_etag(store: &dyn Store) {
    let shop = TestShop::new(store);
    let id = shop.create_rule(ten_percent());
    let seen = store.price_rule(shop.id, id).unwrap().unwrap().etag();
    let save = |value: &str, seen: &str| {
        let rule = boxed_rule(PriceRuleParts { value: value.parse().unwrap(), ..ten_percent() });
        shop.execute_discount(DiscountAction::SaveRule {
            id: Some(id),
            rule,
            if_match: Some(seen.to_owned()),
        })
    };
    save("-20", &seen).unwrap();
    assert_eq!(rejection_code(&save("-30", &seen)), "precondition_failed");

    let delete = DiscountAction::DeleteRule { id, if_match: Some(seen) };
    assert_eq!(rejection_code(&shop.execute_discount(delete)), "precondition_failed");

    let now = store.price_rule(shop.id, id).unwrap().unwrap().etag();
    save("-30", &now).unwrap();
}

/// Each change applies to the current content of the rule.
pub fn concurrent_changes_of_a_rule_are_all_applied(store: &dyn Store) {
    let shop = TestShop::new(store);
    let id = shop.create_rule(ten_percent());
    let change = |change: fn(PriceRuleParts) -> PriceRuleParts| DiscountAction::ChangeRule {
        id,
        change: RuleChange::new(change),
    };
    let limit = change(|parts| PriceRuleParts { usage_limit: Some(7), ..parts });
    let emails = change(|parts| PriceRuleParts {
        customer_selection: CustomerSelection::Prerequisite,
        prerequisite_emails: vec![email_address("ada@example.com")],
        ..parts
    });
    shop.execute_discount(limit.clone()).unwrap();
    shop.execute_discount(emails.clone()).unwrap();
    let seen = store.price_rule(shop.id, id).unwrap().unwrap();
    let parts = seen.rule.parts();
    assert_eq!(
        (parts.usage_limit, parts.prerequisite_emails.as_slice()),
        (Some(7), &[email_address("ada@example.com")][..])
    );

    // A change without a difference and an invalid change have no effect.
    assert_eq!(
        (
            shop.execute_discount(limit).unwrap().seq,
            shop.execute_discount(emails).unwrap().seq
        ),
        (None, None)
    );

    let wrong = shop.execute_discount(change(|parts| PriceRuleParts {
        title: String::new(),
        usage_limit: Some(0),
        ..parts
    }));
    let Err(Rejection::InvalidPriceRule(faults)) = wrong else {
        panic!("{wrong:?}")
    };
    let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(pointers, ["/title", "/usage_limit"]);
    assert_eq!(store.price_rule(shop.id, id).unwrap().unwrap(), seen);

    shop.execute_discount(DiscountAction::DeleteRule { id, if_match: None })
        .unwrap();
    assert_eq!(
        rejection_code(&shop.execute_discount(change(|parts| parts))),
        "price_rule_not_found"
    );
}

/// Requests of one group commit: a rule is checked against the catalogue of the requests
/// before it.
pub fn a_rule_is_checked_with_the_catalogue_before_it(store: &dyn Store) {
    let shop = TestShop::new(store);
    let [small, medium] = ["s", "m"].map(variant);
    let tea = |variants: &[&Variant]| {
        let variants = variants.iter().map(|variant| (*variant).clone()).collect();
        Action::Catalogue(CatalogueAction::PutProducts(vec![Product {
            variants,
            ..product("tea", "Tea")
        }]))
    };
    let entitled = ItemSelection {
        products: [ProductId::new("tea").unwrap()].into(),
        variants: [small.id.clone()].into(),
        ..ItemSelection::default()
    };
    let parts = PriceRuleParts {
        target_selection: TargetSelection::Entitled,
        entitled,
        ..ten_percent()
    };
    let rule = || {
        let rule = boxed_rule(parts.clone());
        Action::Discount(DiscountAction::SaveRule { id: None, rule, if_match: None })
    };
    let outcomes: Vec<_> =
        [tea(&[&small, &medium]), rule(), tea(&[&medium]), rule(), tea(&[&small]), rule()]
            .into_iter()
            .map(|action| store.execute(shop.request(action)))
            .collect();
    let outcomes: Vec<_> = outcomes
        .into_iter()
        .map(|pending| expect_decided(pending.wait()).map(drop))
        .collect();
    let codes: Vec<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().err().map(Rejection::code))
        .collect();
    let invalid = Some("invalid_price_rule");
    assert_eq!(codes, [None, invalid, None, None, None, invalid]);
    assert_eq!(store.count_price_rules(shop.id).unwrap(), 1);
}

pub fn the_emails_of_a_rule_stay_out_of_the_journal(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer_selection = CustomerSelection::Prerequisite;
    let for_ada = |emails: &[&str]| PriceRuleParts {
        customer_selection,
        prerequisite_emails: emails.iter().map(|email| email_address(email)).collect(),
        ..ten_percent()
    };
    let id = shop.create_rule(for_ada(&["ada@example.com"]));
    let code = shop.create_code(id, "ADA");
    let seen = store.price_rule(shop.id, id).unwrap().unwrap();
    assert_eq!(seen.rule.parts().prerequisite_emails, [email_address("ada@example.com")]);

    // Saving a rule as it was read is not a change, e-mails included.
    let again = boxed_rule(seen.rule.parts().clone());
    assert_eq!(
        shop.execute_discount(DiscountAction::SaveRule {
            id: Some(id),
            rule: again,
            if_match: None
        })
        .unwrap()
        .seq,
        None
    );

    let bob = shop
        .execute_order(
            Some(&email("bob@example.com")),
            record_paid_with_codes("o1", "10", &["ADA"]),
        )
        .unwrap();
    assert_eq!(code_outcomes(&bob), [("ADA", Some("customer_not_eligible"))]);

    let ada = shop
        .execute_order(
            Some(&email("ADA@example.com")),
            record_paid_with_codes("o2", "10", &["ADA"]),
        )
        .unwrap();
    assert_eq!(code_outcomes(&ada), [("ADA", None)]);
    assert_eq!(shop.code_uses(code), 1);
    assert!(!format!("{:?}", (bob.events, ada.events)).contains("example.com"));

    let (rule, if_match) = (boxed_rule(for_ada(&["bob@example.com"])), None);
    let saved = shop
        .execute_discount(DiscountAction::SaveRule { id: Some(id), rule, if_match })
        .unwrap();
    assert!(saved.seq.is_some() && !format!("{:?}", saved.events).contains("example.com"));

    let bob = shop
        .execute_order(None, record_paid_with_codes("o1", "10", &["ADA"]))
        .unwrap();
    assert_eq!(code_outcomes(&bob), [("ADA", None)]);
}

pub fn a_code_is_unique_in_a_shop(store: &dyn Store) {
    let shop = TestShop::new(store);
    let (one, two) = (shop.create_rule(ten_percent()), shop.create_rule(ten_percent()));
    let code_id = shop.create_code(one, "Straße");

    for rule in [one, two] {
        let again = DiscountAction::AddCode { rule, text: discount_code(" STRASSE ") };
        assert_eq!(rejection_code(&shop.execute_discount(again)), "code_taken");
    }

    let seen = store
        .code_by_text(shop.id, &discount_code("strasse"))
        .unwrap()
        .unwrap();
    assert_eq!((seen.id, seen.text.as_str(), seen.rule, seen.used), (code_id, "Straße", one, 0));

    let unknown = DiscountAction::AddCode { rule: PriceRuleId(999), text: discount_code("x") };
    assert_eq!(rejection_code(&shop.execute_discount(unknown)), "price_rule_not_found");
}

pub fn codes_are_renamed_switched_and_removed(store: &dyn Store) {
    let shop = TestShop::new(store);
    let rule = shop.create_rule(ten_percent());
    let codes: Vec<_> = ["A", "B", "C", "D", "E"]
        .map(|text| shop.create_code(rule, text))
        .into();
    let change = |code, text: Option<&str>, on| {
        shop.execute_discount(DiscountAction::ChangeCode {
            rule,
            code,
            text: text.map(discount_code),
            enabled: on,
        })
    };
    assert_eq!(rejection_code(&change(codes[0], Some("b"), None)), "code_taken");

    change(codes[0], Some("New"), None).unwrap();
    change(codes[0], Some("NEW"), None).unwrap();
    assert!(store.code_by_text(shop.id, &discount_code("a")).unwrap().is_none());

    let seen = store.code_by_text(shop.id, &discount_code("new")).unwrap().unwrap();
    assert_eq!((seen.id, seen.text.as_str()), (codes[0], "NEW"));

    // The text is free again, and two codes can exchange their texts.
    shop.create_code(rule, "A");
    change(codes[1], None, Some(false)).unwrap();
    let order = shop
        .execute_order(Some(&id("1")), record_paid_with_codes("o1", "10", &["B", "new"]))
        .unwrap();
    assert_eq!(code_outcomes(&order), [("B", Some("disabled")), ("new", None)]);

    change(codes[1], None, Some(true)).unwrap();
    let order = shop
        .execute_order(None, record_paid_with_codes("o1", "10", &["B", "new"]))
        .unwrap();
    assert_eq!(code_outcomes(&order), [("B", None), ("new", None)]);

    let remove = |code| shop.execute_discount(DiscountAction::RemoveCode { rule, code });
    remove(codes[2]).unwrap();
    assert_eq!(rejection_code(&remove(codes[2])), "code_not_found");
    assert_eq!(rejection_code(&change(codes[2], None, Some(true))), "code_not_found");
    assert!(store.code(shop.id, codes[2]).unwrap().is_none());

    let again = shop.create_code(rule, "c");
    assert!(again != codes[2]);
    assert_eq!(store.count_codes(shop.id, rule).unwrap(), 6);

    let listed = all_codes(store, shop.id, rule);
    assert_eq!((listed.len(), listed.contains(&codes[2])), (6, false));

    let other = shop.create_rule(ten_percent());
    assert_eq!(
        rejection_code(
            &shop.execute_discount(DiscountAction::RemoveCode { rule: other, code: again })
        ),
        "code_not_found"
    );
}

pub fn a_batch_reports_each_code(store: &dyn Store) {
    let shop = TestShop::new(store);
    let rule = shop.create_rule(ten_percent());
    shop.create_code(rule, "TAKEN");
    let texts = ["one", "taken", " ", "ONE", "two"].map(str::to_owned).to_vec();
    let batch: CodeBatch = match shop
        .execute_discount(DiscountAction::AddCodes { rule, texts })
        .unwrap()
        .discount_outcome
    {
        Some(DiscountOutcome::Batch(batch)) => *batch,
        other => panic!("{other:?}"),
    };
    let made = |text: &str| store.code_by_text(shop.id, &discount_code(text)).unwrap().unwrap().id;
    let outcomes: Vec<_> = batch.entries.iter().map(|entry| entry.outcome).collect();
    let (one, two) = (BatchOutcome::Added(made("one")), BatchOutcome::Added(made("two")));
    assert_eq!(
        outcomes,
        [one, BatchOutcome::Taken, BatchOutcome::Empty, BatchOutcome::Taken, two]
    );
    assert_eq!(store.code_batch(shop.id, batch.id).unwrap(), Some(batch.clone()));
    assert_eq!(store.code_batch(shop.id, batch.id - 1).unwrap(), None);
    assert_eq!(all_codes(store, shop.id, rule).len(), 3);

    let texts = (0..=DiscountAction::MAX_BATCH)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(
        rejection_code(&shop.execute_discount(DiscountAction::AddCodes { rule, texts })),
        "too_many_codes"
    );

    let texts = (0..DiscountAction::MAX_BATCH)
        .map(|number| number.to_string())
        .collect();
    shop.execute_discount(DiscountAction::AddCodes { rule, texts })
        .unwrap();
    assert_eq!(all_codes(store, shop.id, rule).len(), 3 + DiscountAction::MAX_BATCH);
}

pub fn an_order_uses_its_codes_once(store: &dyn Store) {
    let shop = TestShop::new(store);
    let code = shop.create_code(shop.create_rule(with_usage_limit(2)), "SUMMER");

    for _ in 0..3 {
        let order = shop
            .execute_order(
                Some(&id("1")),
                record_paid_with_codes("o1", "10", &["summer", "SUMMER"]),
            )
            .unwrap();
        assert_eq!(code_outcomes(&order), [("summer", None)]);
        assert_eq!(shop.code_uses(code), 1);
    }

    assert_eq!(
        shop.execute_order(None, record_paid_with_codes("o1", "10", &["summer", "SUMMER"]))
            .unwrap()
            .seq,
        None
    );

    shop.execute_order(None, refund("o1", "r1", "10")).unwrap();
    assert_eq!(shop.code_uses(code), 1, "a refund gives no use back");

    shop.execute_order(Some(&id("2")), record_paid_with_codes("o2", "10", &["SUMMER"]))
        .unwrap();
    let third = shop
        .execute_order(Some(&id("3")), record_paid_with_codes("o3", "10", &["SUMMER"]))
        .unwrap();
    assert_eq!(code_outcomes(&third), [("SUMMER", Some("used_up"))]);
    assert_eq!(shop.code_uses(code), 2);

    let used = store.codes_used_by_order(shop.id, &order_id("o1")).unwrap();
    assert_eq!(used.iter().map(|code| code.id).collect::<Vec<_>>(), [code]);
    assert_eq!(store.codes_used_by_order(shop.id, &order_id("o3")).unwrap(), []);
}

pub fn a_cancelled_order_returns_its_uses(store: &dyn Store) {
    let shop = TestShop::new(store);
    let code = shop.create_code(shop.create_rule(with_usage_limit(1)), "SUMMER");
    shop.execute_order(Some(&id("1")), record_paid_with_codes("o1", "10", &["SUMMER"]))
        .unwrap();
    let later = shop.at("2026-01-02T00:00:00Z");

    for _ in 0..2 {
        later.execute_order(None, cancel("o1")).unwrap();
        assert_eq!(shop.code_uses(code), 0);
    }

    // A plugin's redelivery does not reopen a cancelled order.
    let mut redelivery = record_paid_with_codes("o1", "10", &["SUMMER"]);
    if let Command::RecordOrder { origin, .. } = &mut redelivery {
        *origin = Origin::Plugin;
    }
    later.execute_order(None, redelivery).unwrap();
    assert_eq!(shop.code_uses(code), 0);

    // A reopened order uses its code again, unless another order has used it.
    let reopen = |total| {
        later
            .execute_order(None, record_paid_with_codes("o1", total, &["SUMMER"]))
            .unwrap()
    };
    assert_eq!(code_outcomes(&reopen("11")), [("SUMMER", None)]);
    assert_eq!(shop.code_uses(code), 1);

    later.execute_order(None, cancel("o1")).unwrap();
    later
        .execute_order(Some(&id("2")), record_paid_with_codes("o2", "10", &["SUMMER"]))
        .unwrap();
    assert_eq!(code_outcomes(&reopen("12")), [("SUMMER", Some("used_up"))]);
    assert_eq!(shop.code_uses(code), 1);
}

pub fn an_edited_order_uses_its_current_codes(store: &dyn Store) {
    let shop = TestShop::new(store);
    let rule = shop.create_rule(ten_percent());
    let (one, two) = (shop.create_code(rule, "ONE"), shop.create_code(rule, "TWO"));

    for (second, codes, used) in [
        (1, vec!["ONE"], [1, 0]),
        (2, vec!["ONE", "TWO"], [1, 1]),
        (3, vec!["TWO"], [0, 1]),
        (4, vec![], [0, 0]),
        (5, vec!["two"], [0, 1]),
    ] {
        let shop = shop.at(&format!("2026-01-02T00:00:0{second}Z"));
        shop.execute_order(Some(&id("1")), record_paid_with_codes("o1", "10", &codes))
            .unwrap();
        assert_eq!([shop.code_uses(one), shop.code_uses(two)], used, "{codes:?}");
    }

    // The code is renamed or deleted: the order keeps the use and returns it.
    shop.execute_discount(DiscountAction::ChangeCode {
        rule,
        code: two,
        text: Some(discount_code("THREE")),
        enabled: None,
    })
    .unwrap();
    shop.at("2026-01-03T00:00:00Z")
        .execute_order(None, cancel("o1"))
        .unwrap();
    assert_eq!([shop.code_uses(one), shop.code_uses(two)], [0, 0]);
}

pub fn a_use_stays_with_its_code(store: &dyn Store) {
    let shop = TestShop::new(store);
    let (rule, other) = (shop.create_rule(with_usage_limit(1)), shop.create_rule(ten_percent()));
    let one = shop.create_code(rule, "ONE");
    let tell = |second: u8, codes: &[&str]| {
        let shop = shop.at(&format!("2026-01-02T00:00:0{second}Z"));
        code_outcomes(
            &shop
                .execute_order(Some(&id("1")), record_paid_with_codes("o1", "10", codes))
                .unwrap(),
        )
        .len()
    };
    assert_eq!(tell(1, &["ONE"]), 1);

    // The text now belongs to another code: further reports keep the code that was used.
    shop.execute_discount(DiscountAction::ChangeCode {
        rule,
        code: one,
        text: Some(discount_code("TWO")),
        enabled: None,
    })
    .unwrap();
    let again = shop.create_code(other, "ONE");
    assert_eq!(tell(2, &["ONE"]), 1);

    shop.execute_order(None, refund("o1", "r1", "1")).unwrap();
    assert_eq!([shop.code_uses(one), shop.code_uses(again)], [1, 0]);

    shop.at("2026-01-03T00:00:00Z")
        .execute_order(None, cancel("o1"))
        .unwrap();
    assert_eq!([shop.code_uses(one), shop.code_uses(again)], [0, 0]);

    // A reopened order uses the codes that its texts belong to now.
    let shop = shop.at("2026-01-04T00:00:00Z");
    shop.execute_order(None, record_paid_with_codes("o1", "11", &["ONE"]))
        .unwrap();
    assert_eq!([shop.code_uses(one), shop.code_uses(again)], [0, 1]);
}

pub fn an_order_is_not_rejected_for_its_codes(store: &dyn Store) {
    let shop = TestShop::new(store);
    let ended = PriceRuleParts { ends_at: Some(at("2026-01-01T00:00:00Z")), ..ten_percent() };
    let early = PriceRuleParts { starts_at: at("2027-01-01T00:00:00Z"), ..ten_percent() };

    for (parts, text) in [
        (ended, "ENDED"),
        (early, "EARLY"),
        (once_per_customer(), "ONCE"),
        (with_usage_limit(1), "ONE"),
    ] {
        shop.create_code(shop.create_rule(parts), text);
    }

    shop.execute_order(Some(&id("1")), record_paid_with_codes("o1", "10", &["ONE"]))
        .unwrap();
    let codes = ["EARLY", "ENDED", "NONE", "ONCE", "ONE"];
    let order = shop
        .execute_order(None, record_paid_with_codes("o2", "10", &codes))
        .unwrap();
    let want =
        ["not_yet_valid", "expired", "unknown_code", "customer_required", "used_up"].map(Some);
    assert_eq!(code_outcomes(&order), codes.into_iter().zip(want).collect::<Vec<_>>());

    // The rule must be valid when the order was placed.
    let mut late = Order { codes: vec![discount_code("ENDED")], ..one_line_order("10") };
    late.placed_at = Some(at("2025-12-31T23:59:59Z"));
    assert_eq!(
        code_outcomes(
            &shop
                .execute_order(Some(&id("3")), record_snapshot("o3", late))
                .unwrap()
        ),
        [("ENDED", None)]
    );
}

pub fn once_per_customer_counts_uses_as_a_guest(store: &dyn Store) {
    let shop = TestShop::new(store);
    let code = shop.create_code(shop.create_rule(once_per_customer()), "ONCE");
    let tried = |shop: &TestShop<'_>, customer: &CustomerRef, order| {
        shop.execute_order(Some(customer), record_paid_with_codes(order, "10", &["ONCE"]))
            .unwrap()
            .codes[0]
            .outcome
            .is_ok()
    };
    assert!(tried(&shop, &email("ada@example.com"), "o1"));
    assert!(!tried(&shop, &email("ADA@example.com"), "o2"));
    assert!(
        !tried(&shop, &id_and_email("1", "ada@example.com"), "o3"),
        "the e-mail has used it, though it is the guest's"
    );
    shop.execute_profile(&id_and_email("1", "ada@example.com"), vec![])
        .unwrap();
    assert!(!tried(&shop, &id("1"), "o4"));
    assert!(tried(&shop, &id("2"), "o5"));

    shop.execute_order(Some(&email("bob@example.com")), record_paid_with_codes("o6", "10", &[]))
        .unwrap();

    // Cancelling the guest's order after the merge returns the customer's use.
    shop.at("2026-01-02T00:00:00Z")
        .execute_order(None, cancel("o1"))
        .unwrap();
    assert!(tried(&shop, &id("1"), "o7"));
    assert_eq!(shop.code_uses(code), 2);
}

pub fn a_checkout_reserves_a_use_until_its_end(store: &dyn Store) {
    let shop = TestShop::new(store);
    let code_id = shop.create_code(shop.create_rule(with_usage_limit(1)), "ONE");
    let view = expect_checkout(reserve(&shop, "c1", &["one"], None, "2026-01-01T12:15:00Z"));
    assert_eq!(
        view.reservations
            .iter()
            .map(|(code, until)| (code.id, *until))
            .collect::<Vec<_>>(),
        [(code_id, at("2026-01-01T12:15:00Z"))]
    );
    assert_eq!(
        rejection_code(&reserve(&shop, "c2", &["one"], None, "2026-01-01T12:15:00Z")),
        "used_up"
    );

    let order = shop
        .execute_order(Some(&id("2")), record_paid_with_codes("o2", "10", &["ONE"]))
        .unwrap();
    assert_eq!(code_outcomes(&order), [("ONE", Some("used_up"))]);

    // Reserving again for the same checkout takes no second use, but extends the
    // reservation.
    expect_checkout(reserve(&shop, "c1", &["one"], None, "2026-01-01T12:30:00Z"));
    let seen = store
        .checkout(shop.id, &new_checkout_id("c1"), at("2026-01-01T12:29:59Z"))
        .unwrap();
    assert_eq!(seen.reservations.len(), 1);

    let after = shop.at("2026-01-01T12:30:00Z");
    assert_eq!(
        store
            .checkout(shop.id, &new_checkout_id("c1"), after.now)
            .unwrap()
            .reservations,
        []
    );

    expect_checkout(reserve(&after, "c2", &["one"], None, "2026-01-01T13:00:00Z"));
    let release = |id: &str, code: Option<&str>| {
        expect_checkout(after.execute_discount(DiscountAction::Release {
            checkout: new_checkout_id(id),
            code: code.map(discount_code),
        }))
    };
    assert_eq!(release("c2", Some("other")).reservations.len(), 1);
    assert_eq!(release("c2", Some("ONE")).reservations.len(), 0);
    assert_eq!(release("c2", None).reservations.len(), 0);

    expect_checkout(reserve(&after, "c3", &["one"], None, "2026-01-01T13:00:00Z"));

    for wrong in ["2026-01-01T12:30:00Z", "2026-01-02T12:30:01Z"] {
        assert_eq!(
            rejection_code(&reserve(&after, "c3", &["one"], None, wrong)),
            "invalid_reservation_period"
        );
    }
}

pub fn a_checkout_becomes_an_order(store: &dyn Store) {
    let shop = TestShop::new(store);
    let ends = PriceRuleParts {
        ends_at: Some(at("2026-01-01T12:10:00Z")),
        ..with_usage_limit(1)
    };
    let code = shop.create_code(shop.create_rule(ends), "ONE");
    expect_checkout(reserve(&shop, "c1", &["ONE"], Some(id("1")), "2026-01-01T12:30:00Z"));

    // A reservation counts even if the rule has ended since.
    let later = shop.at("2026-01-01T12:20:00Z");
    let order = Order {
        codes: vec![discount_code("ONE")],
        checkout: Some(new_checkout_id("c1")),
        ..one_line_order("10")
    };
    assert_eq!(
        code_outcomes(
            &later
                .execute_order(Some(&id("1")), record_snapshot("o1", order))
                .unwrap()
        ),
        [("ONE", None)]
    );
    assert_eq!(shop.code_uses(code), 1);
    assert_eq!(
        store
            .checkout(shop.id, &new_checkout_id("c1"), later.now)
            .unwrap()
            .reservations,
        []
    );
}

pub fn codes_are_reserved_together_or_not_at_all(store: &dyn Store) {
    let shop = TestShop::new(store);
    let rule = shop.create_rule(with_usage_limit(1));
    shop.create_code(rule, "ONE");
    let outcome = reserve(
        &shop,
        "c1",
        &["ONE", "NONE"],
        Some(email("new@example.com")),
        "2026-01-01T12:15:00Z",
    );
    assert_eq!(rejection_code(&outcome), "unknown_code");
    assert!(matches!(outcome, Err(crate::Rejection::CodeRejected { index: 1, .. })));
    assert_eq!(
        store
            .checkout(shop.id, &new_checkout_id("c1"), shop.now)
            .unwrap()
            .reservations,
        []
    );
    assert!(store.customer(shop.id, &email("new@example.com")).unwrap().is_none());

    let many: Vec<String> = (0..=Cart::MAX_CODES).map(|number| format!("M{number}")).collect();

    for text in &many {
        shop.create_code(shop.create_rule(with_usage_limit(1)), text);
    }

    // Codes that the program never combines cannot be reserved together.
    let outcome = reserve(&shop, "c2", &["M0", "M1"], None, "2026-01-01T12:15:00Z");
    assert_eq!(rejection_code(&outcome), "not_combined");
    assert_eq!(
        store
            .checkout(shop.id, &new_checkout_id("c2"), shop.now)
            .unwrap()
            .reservations,
        []
    );

    shop.execute(publish_action(r#"{"stacking": "all"}"#)).unwrap();
    shop.create_code(rule, "TWO");
    assert_eq!(
        rejection_code(&reserve(&shop, "c2", &["ONE", "TWO"], None, "2026-01-01T12:15:00Z")),
        "same_rule"
    );

    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        rejection_code(&reserve(&shop, "c2", &many, None, "2026-01-01T12:15:00Z")),
        "too_many_codes"
    );

    expect_checkout(reserve(&shop, "c2", &many[1..], None, "2026-01-01T12:15:00Z"));
}

pub fn a_guest_keeps_the_reservation_when_they_log_in(store: &dyn Store) {
    let shop = TestShop::new(store);
    let once = PriceRuleParts { once_per_customer: true, ..with_usage_limit(1) };
    let code = shop.create_code(shop.create_rule(once), "ONE");
    expect_checkout(reserve(
        &shop,
        "c1",
        &["ONE"],
        Some(email("ada@example.com")),
        "2026-01-01T12:30:00Z",
    ));
    let order = Order {
        codes: vec![discount_code("ONE")],
        checkout: Some(new_checkout_id("c1")),
        ..one_line_order("10")
    };
    let customer = id_and_email("1", "ada@example.com");
    shop.execute_profile(&customer, vec![]).unwrap();
    let order = shop
        .execute_order(Some(&customer), record_snapshot("o1", order))
        .unwrap();
    assert_eq!(code_outcomes(&order), [("ONE", None)]);
    assert_eq!(shop.code_uses(code), 1);

    let again = shop
        .execute_order(Some(&id("1")), record_paid_with_codes("o2", "10", &["ONE"]))
        .unwrap();
    assert_eq!(code_outcomes(&again), [("ONE", Some("already_used_by_customer"))]);
}

pub fn a_saved_search_makes_customers_eligible(store: &dyn Store) {
    let shop = TestShop::new(store);
    let query = SearchQuery::parse("tag:vip", shop.now, Zone::UTC).unwrap();
    let save = CatalogueAction::SaveSearch { name: "VIPs".to_owned(), query };
    let Some(CatalogueOutcome::Search(search)) =
        shop.execute(Action::Catalogue(save)).unwrap().catalogue_outcome
    else {
        panic!("no search");
    };
    let parts = PriceRuleParts {
        customer_selection: CustomerSelection::Prerequisite,
        prerequisite_saved_search_ids: [SegmentId::new(search.number.to_string()).unwrap()].into(),
        ..ten_percent()
    };
    shop.create_code(shop.create_rule(parts), "VIP");
    let tags = Some([Tag::new("vip").unwrap()].into());
    let change = ProfileChange { tags, ..ProfileChange::default() };
    let (vip, existence, conflict) = (id("1"), Existence::Any, EmailConflict::Reject);
    shop.execute(Action::Customer {
        customer: vip,
        existence,
        change,
        email_conflict: conflict,
        email_proof: EmailProof::Profile,
        if_match: None,
        commands: Vec::new(),
    })
    .unwrap();

    for (customer, want) in [("1", None), ("2", Some("customer_not_eligible"))] {
        let buyer = Customer {
            id: Some(CustomerId::new(customer).unwrap()),
            ..Customer::default()
        };
        let query = CartQuery { cart: cart(&["VIP"], buyer), checkout: None };
        let found = store.cart_facts(shop.id, query).unwrap().evaluate().unwrap();
        assert_eq!(found.codes[0].outcome.as_ref().err().map(CodeRejection::code), want);
        let order = format!("o{customer}");
        let order = shop
            .execute_order(Some(&id(customer)), record_paid_with_codes(&order, "10", &["VIP"]))
            .unwrap();
        assert_eq!(code_outcomes(&order), [("VIP", want)]);
    }
}

fn cart(codes: &[&str], customer: Customer) -> Cart {
    let line = CartLine {
        id: LineId::new("1").unwrap(),
        product: None,
        variant: None,
        categories: Vec::new(),
        quantity: 1,
        price: "20.00".parse().unwrap(),
        gift_card: false,
    };
    let codes = codes.iter().map(|code| discount_code(code)).collect();
    Cart {
        codes,
        customer,
        ..Cart::new([line], at("2026-01-01T12:00:00Z"))
    }
}

pub fn an_automatic_rule_needs_no_code(store: &dyn Store) {
    let shop = TestShop::new(store);
    let parts = PriceRuleParts { automatic: true, ..with_usage_limit(1) };
    let rule = shop.create_rule(parts.clone());
    let found = || {
        let query = CartQuery { cart: cart(&[], Customer::default()), checkout: None };
        let found = store.cart_facts(shop.id, query).unwrap().evaluate().unwrap();
        found.used_rules().collect::<Vec<_>>()
    };
    let use_rule = |order: &str, rules: &[PriceRuleId]| {
        let Command::RecordOrder { snapshot, .. } = record_paid_with_codes(order, "10", &[]) else {
            panic!("no order")
        };
        let snapshot = Order { automatic_rules: rules.to_vec(), ..(*snapshot).clone() };
        shop.execute_order(Some(&id("1")), record_snapshot(order, snapshot))
            .unwrap()
    };
    let rejections = |receipt: &Receipt| {
        let rules = receipt.rules.iter();
        rules
            .map(|rule| rule.rejection.as_ref().map(CodeRejection::code))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(), [rule]);

    assert_eq!(rejections(&use_rule("o1", &[rule])), [None]);
    assert_eq!(use_rule("o1", &[rule]).seq, None, "the same report");
    assert_eq!(rejections(&use_rule("o2", &[rule])), [Some("used_up")]);
    assert_eq!(found(), []);
    assert_eq!(store.rules_used_by_order(shop.id, &order_id("o1")).unwrap(), [rule]);
    assert_eq!(store.rules_used_by_order(shop.id, &order_id("o2")).unwrap(), []);

    // An order that no longer lists the rule returns its use, and so does a cancelled one.
    assert_eq!(rejections(&use_rule("o1", &[])), []);
    assert_eq!(found(), [rule]);
    assert_eq!(rejections(&use_rule("o3", &[rule])), [None]);
    shop.execute_order(None, Command::CancelOrder { order: order_id("o3"), at: None })
        .unwrap();
    assert_eq!(found(), [rule]);

    // It stops where it is saved otherwise, and where it is deleted.
    let save = |automatic| {
        let rule_parts = PriceRuleParts { automatic, ..parts.clone() };
        let rule = boxed_rule(rule_parts);
        DiscountAction::SaveRule { id: Some(all_rules(store, shop.id)[0]), rule, if_match: None }
    };
    shop.execute_discount(save(false)).unwrap();
    assert_eq!(found(), []);
    assert_eq!(rejections(&use_rule("o4", &[rule])), [Some("unknown_code")]);
    shop.execute_discount(save(true)).unwrap();
    assert_eq!(found(), [rule]);
    shop.execute_discount(DiscountAction::DeleteRule { id: rule, if_match: None })
        .unwrap();
    assert_eq!(found(), []);

    // A rule with codes is none, whatever its number.
    let code = shop.create_code(shop.create_rule(ten_percent()), "TEN");
    let listed = use_rule("o5", &[PriceRuleId(code.0), PriceRuleId(i64::MAX)]);
    assert_eq!(rejections(&listed), [Some("unknown_code"), Some("unknown_code")]);
}

pub fn a_cart_is_evaluated_with_stored_facts(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.create_code(shop.create_rule(once_per_customer()), "ONCE");
    shop.execute_order(
        Some(&id_and_email("1", "ada@example.com")),
        record_paid_with_codes("o1", "10", &["ONCE"]),
    )
    .unwrap();
    expect_checkout(reserve(&shop, "c1", &["ONCE"], Some(id("2")), "2026-01-01T12:30:00Z"));
    let customer = |id: Option<&str>, email: Option<&str>| Customer {
        id: id.map(|id| CustomerId::new(id).unwrap()),
        email: email.map(email_address),
        ..Customer::default()
    };

    for (buyer, checkout_id, want) in [
        (customer(None, None), None, Some("customer_required")),
        (customer(Some("1"), None), None, Some("already_used_by_customer")),
        (customer(None, Some("ADA@example.com")), None, Some("already_used_by_customer")),
        (customer(Some("new"), None), None, None),
        (customer(None, Some("new@example.com")), None, None),
        (customer(Some("2"), None), None, Some("already_used_by_customer")),
        (customer(Some("2"), None), Some("c1"), None),
    ] {
        let checkout = checkout_id.map(new_checkout_id);
        let query = CartQuery { cart: cart(&["once"], buyer.clone()), checkout };
        let found = store.cart_facts(shop.id, query).unwrap().evaluate().unwrap();
        let rejection = found.codes[0].outcome.as_ref().err().map(CodeRejection::code);
        assert_eq!(rejection, want, "{buyer:?} {checkout_id:?}");
        let discount = if want.is_none() { "2.00" } else { "0" };
        assert_eq!(found.total_discount(), discount.parse().unwrap());
    }

    // An evaluation changes nothing and creates no customer.
    assert!(store.customer(shop.id, &id("new")).unwrap().is_none());
}

pub fn nothing_grows_with_use(store: &dyn Store) {
    let shop = TestShop::new(store);
    let code = shop.create_code(shop.create_rule(ten_percent()), "ALL");

    for number in 0..60 {
        let order = format!("o{number}");
        shop.execute_order(Some(&id("1")), record_paid_with_codes(&order, "10", &["ALL"]))
            .unwrap();
        expect_checkout(reserve(
            &shop,
            &format!("c{number}"),
            &["ALL"],
            Some(id("1")),
            "2026-01-01T12:30:00Z",
        ));
    }

    assert_eq!(shop.code_uses(code), 60);

    // One record each for the rule, the code, the customer's tally, every order and
    // checkout.
    assert_eq!(store.verify().unwrap().projections, 3 + 60 + 60);
}

pub fn rules_and_codes_belong_to_one_shop(store: &dyn Store) {
    let (tea, coffee) = (TestShop::new(store), TestShop::new(store));
    let rule = tea.create_rule(ten_percent());
    let code_id = tea.create_code(rule, "SAME");
    expect_checkout(reserve(&tea, "c1", &["SAME"], None, "2026-01-01T12:30:00Z"));
    let texts = vec!["X".to_owned()];
    let Some(DiscountOutcome::Batch(batch)) = tea
        .execute_discount(DiscountAction::AddCodes { rule, texts })
        .unwrap()
        .discount_outcome
    else {
        panic!("no batch");
    };
    let shop = coffee.id;
    assert!(
        store.price_rule(shop, rule).unwrap().is_none()
            && store.code(shop, code_id).unwrap().is_none()
    );
    assert!(store.code_by_text(shop, &discount_code("SAME")).unwrap().is_none());
    assert!(store.price_rules(shop, None, 9).unwrap().items.is_empty());
    assert!(store.codes(shop, rule, None, 9).unwrap().items.is_empty());
    assert_eq!(
        (store.count_price_rules(shop).unwrap(), store.count_codes(shop, rule).unwrap()),
        (0, 0)
    );
    assert_eq!(store.code_batch(shop, batch.id).unwrap(), None);
    assert_eq!(
        store
            .checkout(shop, &new_checkout_id("c1"), coffee.now)
            .unwrap()
            .reservations,
        []
    );

    for action in [
        DiscountAction::SaveRule {
            id: Some(rule),
            rule: boxed_rule(with_usage_limit(1)),
            if_match: None,
        },
        DiscountAction::DeleteRule { id: rule, if_match: None },
        DiscountAction::AddCode { rule, text: discount_code("NEW") },
        DiscountAction::AddCodes { rule, texts: vec!["NEW".to_owned()] },
        DiscountAction::ChangeCode { rule, code: code_id, text: None, enabled: Some(false) },
        DiscountAction::RemoveCode { rule, code: code_id },
    ] {
        assert_eq!(rejection_code(&coffee.execute_discount(action)), "price_rule_not_found");
    }

    let coffee_code = coffee.create_code(coffee.create_rule(ten_percent()), "SAME");
    coffee
        .execute_order(Some(&id("1")), record_paid_with_codes("o1", "10", &["SAME"]))
        .unwrap();
    assert_eq!((tea.code_uses(code_id), coffee.code_uses(coffee_code)), (0, 1));
}

pub fn a_rejected_discount_action_changes_nothing(store: &dyn Store) {
    let shop = TestShop::new(store);
    let rule = shop.create_rule(ten_percent());
    shop.create_code(rule, "ONE");
    let before = store.verify().unwrap();
    let rejection = [
        shop.execute_discount(DiscountAction::AddCode { rule, text: discount_code("one") }),
        shop.execute_discount(DiscountAction::DeleteRule {
            id: rule,
            if_match: Some("\"7\"".to_owned()),
        }),
        shop.execute_discount(DiscountAction::RemoveCode { rule, code: CodeId(99) }),
        reserve(&shop, "c1", &["ONE", "TWO"], Some(id("9")), "2026-01-01T12:30:00Z"),
    ];
    assert!(rejection.iter().all(Result::is_err));
    assert_eq!(store.verify().unwrap(), before);
}
