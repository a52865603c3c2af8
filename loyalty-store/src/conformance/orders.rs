//! Cases for orders, refunds and cancellations in any sequence, and for their customers.

use super::test_shop::*;
use crate::{Action, ProfileChange, Store};
use loyalty_core::{Command, Origin, ProgramVersion, Status};

pub fn an_order_earns_once(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    shop.execute_order(Some(&customer), record_order("o1", "49.95", Status::Processing))
        .unwrap();
    assert_eq!(shop.balance(&customer), 0);

    let receipt = shop
        .execute_order(Some(&customer), record_paid("o1", "49.95"))
        .unwrap();
    assert_eq!(receipt.customer.unwrap().balance(shop.now), points(49));
    assert_eq!(receipt.order.unwrap().state.posted().awarded, points(49));

    for again in [record_paid("o1", "49.95"), record_order("o1", "49.95", Status::Processing)] {
        let receipt = shop.execute_order(Some(&customer), again).unwrap();
        assert_eq!((receipt.seq, receipt.events.len()), (None, 0));
    }

    shop.execute_order(Some(&customer), refund("o1", "r1", "49.95"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 0);
    assert_eq!(
        shop.execute_order(Some(&customer), refund("o1", "r1", "49.95"))
            .unwrap()
            .seq,
        None
    );
    assert_eq!(
        rejection_code(&shop.execute_order(Some(&customer), refund("o1", "r1", "49.94"))),
        "refund_differs"
    );
    assert_eq!(
        rejection_code(&shop.execute_order(Some(&customer), refund("o1", "r2", "0.01"))),
        "refund_exceeds_order"
    );
}

pub fn a_refund_before_its_order_counts_later(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let receipt = shop
        .execute_order(Some(&customer), refund("o1", "r1", "30.00"))
        .unwrap();
    assert!(receipt.created && receipt.seq.is_some());
    assert_eq!(shop.balance(&customer), 0);
    shop.execute_order(Some(&customer), record_paid("o1", "90.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 60);
}

pub fn a_cancellation_before_its_order_counts_later(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    shop.execute_order(None, cancel("o1")).unwrap();
    shop.at("2026-01-02T00:00:00Z")
        .execute_order(Some(&customer), record_paid("o1", "90.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 0);

    // A repeated report without a time is a redelivery: it does not reopen the order.
    shop.at("2026-01-03T00:00:00Z")
        .execute_order(Some(&customer), record_paid("o1", "90.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 0);

    shop.at("2026-01-03T00:00:00Z")
        .execute_order(Some(&customer), record_paid("o1", "91.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 91);
}

pub fn an_order_without_a_customer_is_bound_later(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let receipt = shop.execute_order(None, record_paid("o1", "90.00")).unwrap();
    assert!(receipt.customer.is_none() && !receipt.created);
    assert_eq!(receipt.order.as_ref().unwrap().account, None);

    shop.execute_order(None, refund("o1", "r1", "30.00")).unwrap();
    assert!(store.customer(shop.id, &customer).unwrap().is_none());

    // The same report with the customer.
    shop.execute_order(Some(&customer), record_paid("o1", "90.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 60);

    shop.execute_order(None, refund("o1", "r2", "30.00")).unwrap();
    assert_eq!(shop.balance(&customer), 30);

    let order = store.order(shop.id, &order_id("o1")).unwrap().unwrap();
    assert_eq!(order.account, Some(shop.customer(&customer).record().account));
}

pub fn facts_of_a_known_order_need_no_customer(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_order(Some(&id("1")), record_paid("o1", "90.00"))
        .unwrap();
    let receipt = shop.execute_order(None, refund("o1", "r1", "45.00")).unwrap();
    assert_eq!(receipt.customer.unwrap().balance(shop.now), points(45));
    let receipt = shop.execute_order(None, cancel("o1")).unwrap();
    assert_eq!(receipt.customer.unwrap().balance(shop.now), points(0));
}

pub fn an_order_of_another_customer_is_rejected(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_order(Some(&id("1")), record_paid("o1", "90.00"))
        .unwrap();
    let order = store.order(shop.id, &order_id("o1")).unwrap();

    for other in [id("2"), email("guest@example.com")] {
        for command in [record_paid("o1", "10.00"), refund("o1", "r1", "1.00"), cancel("o1")] {
            assert_eq!(
                rejection_code(&shop.execute_order(Some(&other), command)),
                "order_of_another_customer"
            );
        }
        assert!(store.customer(shop.id, &other).unwrap().is_none());
    }

    assert_eq!(store.order(shop.id, &order_id("o1")).unwrap(), order);
    assert_eq!(shop.balance(&id("1")), 90);
}

pub fn a_plugins_order_stays_with_its_first_customer(store: &dyn Store) {
    let shop = TestShop::new(store);
    let report = |total: &str| {
        let mut command = record_paid("o1", total);
        if let Command::RecordOrder { origin, .. } = &mut command {
            *origin = Origin::Plugin;
        }
        command
    };
    shop.execute_order(Some(&id("1")), report("10.00")).unwrap();
    shop.execute_order(Some(&id("2")), report("30.00")).unwrap();
    assert_eq!((shop.balance(&id("1")), shop.balance(&id("2"))), (30, 0));
}

pub fn an_email_conflict_does_not_reject_an_order(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id_and_email("1", "ada@example.com"), vec![])
        .unwrap();
    let action = |order: &str, email: &str| Action::Order {
        command: record_paid(order, "10.00"),
        customer: Some(id_and_email("2", "ada@example.com")),
        change: ProfileChange { ..email_change(email) },
    };
    shop.execute(action("o1", "ada@example.com")).unwrap();
    assert_eq!((shop.balance(&id("2")), shop.balance(&email("ada@example.com"))), (10, 0));

    shop.execute(action("o2", "bob@example.com")).unwrap();
    assert_eq!((shop.balance(&email("bob@example.com")), shop.balance(&id("2"))), (20, 20));
}

pub fn an_order_stays_under_the_program_of_its_first_award(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let double = r#"{"earning": [{"id": "double", "earn": {"per_unit": "2"}}]}"#;
    shop.execute_order(Some(&customer), record_paid("old", "90.00"))
        .unwrap();
    shop.execute_order(Some(&customer), record_order("open", "90.00", Status::Processing))
        .unwrap();
    assert_eq!(shop.execute(publish_action(double)).unwrap().program, Some(ProgramVersion(2)));

    shop.execute(publish_action(r#"{"earning": [{"id": "triple", "earn": {"per_unit": "3"}}]}"#))
        .unwrap();
    shop.execute_order(None, record_paid("open", "90.00")).unwrap();
    assert_eq!(shop.balance(&customer), 90 + 270);

    shop.execute_order(None, refund("old", "r1", "30.00")).unwrap();
    assert_eq!(shop.balance(&customer), 60 + 270);

    shop.execute_order(None, refund("open", "r1", "30.00")).unwrap();
    assert_eq!(shop.balance(&customer), 60 + 180);

    shop.execute_order(None, record_paid("old", "120.00")).unwrap();
    assert_eq!(shop.balance(&customer), 90 + 180);
}

pub fn a_refund_after_spending_makes_debt(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    shop.execute_order(Some(&customer), record_paid("o1", "90.00"))
        .unwrap();
    shop.execute_commands(&customer, vec![subtract(80)]).unwrap();
    shop.execute_order(None, cancel("o1")).unwrap();
    assert_eq!(shop.balance(&customer), -80);
    shop.execute_order(Some(&customer), record_paid("o2", "100.00"))
        .unwrap();
    assert_eq!(shop.balance(&customer), 20);
}
