//! Cases for idempotency: a request takes effect once, and its first response is replayed
//! byte for byte.

use super::test_shop::*;
use crate::{Action, CustomerRef, Existence, Store};

use super::contents::StoreContents;

fn add_action(customer: &CustomerRef, count: i64) -> Action {
    Action::for_customer(customer.clone(), Existence::Any, vec![add(count)])
}

pub fn the_first_response_is_replayed(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let (status, first, replayed) =
        expect_stored(shop.execute_with_key("k1", add_action(&customer, 10)));
    assert_eq!(
        (status, first.as_str(), replayed),
        (200, "seq Some(2), balance Some(Points(10))", false)
    );

    shop.execute_commands(&customer, vec![subtract(10)]).unwrap();
    let before = StoreContents::read(store);

    for _ in 0..3 {
        assert_eq!(
            expect_stored(shop.execute_with_key("k1", add_action(&customer, 10))),
            (200, first.clone(), true)
        );
    }

    assert_eq!(StoreContents::read(store), before);

    // Another key has its own effect.
    assert!(!expect_stored(shop.execute_with_key("k2", add_action(&customer, 10))).2);
    assert_eq!(shop.balance(&customer), 10);
}

pub fn a_rejection_is_stored_too(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let spend = || Action::for_customer(customer.clone(), Existence::Any, vec![subtract(10)]);
    assert_eq!(
        expect_stored(shop.execute_with_key("k1", spend())),
        (422, "insufficient_points".to_owned(), false)
    );
    assert!(store.customer(shop.id, &customer).unwrap().is_none());

    shop.execute_commands(&customer, vec![add(10)]).unwrap();
    assert_eq!(
        expect_stored(shop.execute_with_key("k1", spend())),
        (422, "insufficient_points".to_owned(), true)
    );
    assert_eq!(shop.balance(&customer), 10);
}

pub fn a_key_belongs_to_one_request(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let first = expect_stored(shop.execute_with_key("k1", add_action(&customer, 10)));
    let reused = expect_decided(shop.execute_with_key("k1", add_action(&customer, 11)));
    assert_eq!(rejection_code(&reused), "idempotency_key_reused");
    assert_eq!(shop.balance(&customer), 10);
    assert_eq!(
        expect_stored(shop.execute_with_key("k1", add_action(&customer, 10))),
        (first.0, first.1, true)
    );
}

pub fn a_key_belongs_to_one_shop(store: &dyn Store) {
    let (here, there) = (TestShop::new(store), TestShop::new(store));
    let customer = id("1");
    assert!(!expect_stored(here.execute_with_key("k1", add_action(&customer, 10))).2);
    assert!(!expect_stored(there.execute_with_key("k1", add_action(&customer, 20))).2);
    assert!(expect_stored(here.execute_with_key("k1", add_action(&customer, 10))).2);
    assert_eq!((here.balance(&customer), there.balance(&customer)), (10, 20));
}

pub fn a_response_is_replayed_for_thirty_days(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let execute =
        |now: &str| expect_stored(shop.at(now).execute_with_key("k1", add_action(&customer, 10)));
    assert!(!execute("2026-01-01T00:00:00Z").2);
    assert!(execute("2026-01-30T23:59:59Z").2);
    assert_eq!(shop.balance(&customer), 10);

    // After 30 days the request is new, and its response is stored again.
    assert!(!execute("2026-01-31T00:00:00Z").2);
    assert!(execute("2026-03-01T23:59:59Z").2);
    assert!(execute("2026-01-15T00:00:00Z").2);
    assert_eq!(shop.balance(&customer), 20);
}

/// A stored response can be read when its request cannot be built again.
pub fn the_first_response_can_be_read(store: &dyn Store) {
    let (shop, other) = (TestShop::new(store), TestShop::new(store));
    let (customer, key) = (id("1"), digest("k1"));
    let same = digest(&format!("{:?}", add_action(&customer, 10)));
    let stored = |shop: &TestShop<'_>, fingerprint: [u8; 16], now: &str| {
        let response = store.stored_response(shop.id, &key, &fingerprint, at(now)).unwrap();
        response.map(|response| (response.status, String::from_utf8(response.body).unwrap()))
    };
    assert_eq!(stored(&shop, same, "2026-01-01T12:00:00Z"), None);

    let (status, body, _) = expect_stored(shop.execute_with_key("k1", add_action(&customer, 10)));
    let before = StoreContents::read(store);
    assert_eq!(stored(&shop, same, "2026-01-01T12:00:00Z"), Some((status, body.clone())));
    assert_eq!(stored(&shop, same, "2026-01-31T11:59:59Z"), Some((status, body)));
    assert_eq!(stored(&shop, same, "2026-01-31T12:00:00Z"), None);
    assert_eq!(stored(&shop, digest("another request"), "2026-01-01T12:00:00Z"), None);
    assert_eq!(stored(&other, same, "2026-01-01T12:00:00Z"), None);
    assert_eq!(StoreContents::read(store), before);
}

/// The client loses the reply. Repeating the request returns the response, with one
/// effect.
pub fn a_lost_response_can_be_retried(store: &dyn Store) {
    let shop = TestShop::new(store);
    let adding = || shop.request(Action::for_customer(id("1"), Existence::Any, vec![add(5)]));

    for number in 0..20 {
        let key = format!("k{number}");
        drop(store.execute(with_idempotency_key(adding(), &key, "five points")));
        let (status, first, _) = expect_stored(
            store
                .execute(with_idempotency_key(adding(), &key, "five points"))
                .wait(),
        );
        let again = expect_stored(
            store
                .execute(with_idempotency_key(adding(), &key, "five points"))
                .wait(),
        );
        assert_eq!((status, &again), (200, &(200, first, true)));
        assert_eq!(shop.balance(&id("1")), 5 * (number + 1));
    }
}
