//! Cases for points added, subtracted and set by a shop, for tiers, and for the account's
//! clock.

use super::test_shop::*;
use crate::{Action, EmailConflict, Existence, Rejection, Store};
use loyalty_core::program::EmailProof;
use loyalty_core::{Command, ManualTier, Points, TierId};

pub fn points_are_added_and_subtracted(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let receipt = shop
        .execute_commands(&customer, vec![add(100), subtract(30)])
        .unwrap();
    assert_eq!(
        (receipt.customer.unwrap().balance(shop.now), receipt.at),
        (points(70), shop.now)
    );

    let rejection = shop.execute_commands(&customer, vec![subtract(71)]).unwrap_err();
    let figures =
        loyalty_core::Rejection::InsufficientPoints { have: points(70), need: points(71) };
    assert_eq!(rejection, Rejection::Rules(figures));

    for senseless in [add(0), add(-1), subtract(0), subtract(-1)] {
        assert_eq!(
            rejection_code(&shop.execute_commands(&customer, vec![senseless])),
            "invalid_points"
        );
    }

    shop.execute_commands(&customer, vec![subtract(70)]).unwrap();
    assert_eq!(shop.balance(&customer), 0);

    let newest = store
        .account_journal(shop.id, shop.customer(&customer).record().account, None, 1)
        .unwrap();
    assert_eq!((newest.rows[0].balance, newest.rows[0].at), (points(0), shop.now));
}

pub fn setting_a_balance_posts_the_difference(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");

    for (to, entry) in [(80, Some(80)), (80, None), (30, Some(-50)), (0, Some(-30))] {
        let receipt = shop.execute_commands(&customer, vec![set_balance(to)]).unwrap();
        let moved: Vec<i64> = receipt
            .events
            .iter()
            .map(|event| event.points().get())
            .filter(|p| *p != 0)
            .collect();
        assert_eq!(
            (shop.balance(&customer), moved.first().copied(), moved.len()),
            (to, entry, entry.iter().count())
        );
    }

    assert_eq!(
        rejection_code(&shop.execute_commands(&customer, vec![set_balance(-1)])),
        "invalid_points"
    );
}

pub fn a_tier_is_set_by_hand_until_an_instant(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let gold = |until: Option<&str>| {
        let tier = ManualTier { id: TierId::new("gold").unwrap(), until: until.map(at) };
        vec![Command::SetTier(Some(tier))]
    };
    assert_eq!(rejection_code(&shop.execute_commands(&customer, gold(None))), "unknown_tier");

    shop.execute(publish_action(
        r#"{"tiers": [{"id": "gold", "name": "Gold", "multiplier": "2"}]}"#,
    ))
    .unwrap();
    shop.execute_commands(&customer, gold(Some("2026-02-01T00:00:00Z")))
        .unwrap();
    let tier = |now: &str| shop.customer(&customer).tier(at(now)).map(|tier| tier.id.to_string());
    assert_eq!(tier("2026-01-31T23:59:59Z").as_deref(), Some("gold"));
    assert_eq!(tier("2026-02-01T00:00:00Z"), None);
    assert_eq!(
        shop.execute_commands(&customer, gold(Some("2026-02-01T00:00:00Z")))
            .unwrap()
            .seq,
        None
    );

    shop.execute_order(Some(&customer), record_paid("o1", "10.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 20);

    shop.execute_commands(&customer, vec![Command::SetTier(None)])
        .unwrap();
    assert_eq!(tier("2026-01-02T00:00:00Z"), None);

    shop.execute_order(Some(&customer), record_paid("o2", "10.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 30);
}

pub fn all_commands_or_none(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id_and_email("1", "ada@example.com"), vec![add(10)])
        .unwrap();
    shop.execute_commands(&email("guest@example.com"), vec![add(5)])
        .unwrap();
    let act = |commands| {
        shop.execute(Action::Customer {
            customer: id("1"),
            existence: Existence::Required,
            change: email_change("guest@example.com"),
            email_conflict: EmailConflict::Reject,
            email_proof: EmailProof::Profile,
            if_match: None,
            commands,
        })
    };
    let before = super::contents::StoreContents::read(store);
    assert_eq!(rejection_code(&act(vec![add(100), subtract(116)])), "insufficient_points");
    assert_eq!(super::contents::StoreContents::read(store), before);

    let receipt = act(vec![add(100), subtract(115)]).unwrap();
    assert_eq!(shop.balance(&email("guest@example.com")), 0);
    assert_eq!(receipt.seq, Some(shop.customer(&id("1")).seq()));
}

pub fn points_expire_before_a_catch_up(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(r#"{"expiry": {"per_lot": {"after": "P9M"}}}"#))
        .unwrap();
    let customer = id("1");
    shop.at("2026-01-01T00:00:00Z")
        .execute_commands(&customer, vec![add(300), subtract(50)])
        .unwrap();
    shop.at("2026-02-02T00:00:00Z")
        .execute_commands(&customer, vec![add(100)])
        .unwrap();
    assert_eq!(shop.at("2026-09-30T23:59:59Z").balance(&customer), 350);

    let october = shop.at("2026-10-01T00:00:00Z");
    assert_eq!(october.balance(&customer), 100);
    assert_eq!(
        rejection_code(&october.execute_commands(&customer, vec![subtract(101)])),
        "insufficient_points"
    );

    october.execute_commands(&customer, vec![Command::CatchUp]).unwrap();
    assert_eq!(
        october
            .execute_commands(&customer, vec![Command::CatchUp])
            .unwrap()
            .seq,
        None
    );
    assert_eq!(
        (october.balance(&customer), october.customer(&customer).account().lots().len()),
        (100, 1)
    );
}

pub fn the_clock_of_an_account_is_monotonic(store: &dyn Store) {
    let shop = TestShop::new(store).at("2026-03-01T00:00:00Z");
    let (one, two) = (id("1"), id("2"));
    shop.execute_commands(&one, vec![add(10)]).unwrap();
    let earlier = shop.at("2026-02-01T00:00:00Z");
    earlier.execute_commands(&one, vec![add(1)]).unwrap();
    earlier.execute_order(Some(&one), record_paid("o1", "5.00")).unwrap();
    earlier.execute_commands(&two, vec![add(1)]).unwrap();
    let newest = |customer| {
        store
            .account_journal(shop.id, shop.customer(customer).record().account, None, 1)
            .unwrap()
            .rows[0]
            .at
    };
    assert_eq!((newest(&one), newest(&two)), (shop.now, earlier.now));

    // A read before the last event shows the state after it.
    assert_eq!((earlier.balance(&one), shop.balance(&one)), (16, 16));
}

pub fn a_balance_stays_in_range(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let most = Points::MAX.get();
    shop.execute_commands(&customer, vec![add(most)]).unwrap();
    assert_eq!(
        rejection_code(&shop.execute_commands(&customer, vec![add(1)])),
        "points_out_of_range"
    );
    assert_eq!(
        rejection_code(&shop.execute_order(Some(&customer), record_paid("o1", "1.00"))),
        "points_out_of_range"
    );
    assert_eq!(store.order(shop.id, &order_id("o1")).unwrap(), None);

    shop.execute_commands(&email("guest@example.com"), vec![add(1)])
        .unwrap();
    assert_eq!(
        rejection_code(&shop.execute_profile(&id_and_email("1", "guest@example.com"), vec![])),
        "points_out_of_range"
    );
    assert_eq!((shop.balance(&customer), shop.balance(&email("guest@example.com"))), (most, 1));

    shop.execute_commands(&customer, vec![subtract(most)]).unwrap();
    assert_eq!(shop.balance(&customer), 0);
}
