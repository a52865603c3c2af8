//! A request with a key happens once; its first answer is given again, byte for byte.

use super::test_shop::*;
use crate::{Action, CustomerRef, Existence, Store};

use super::contents::StoreContents;

fn add_action(who: &CustomerRef, count: i64) -> Action {
    Action::for_customer(who.clone(), Existence::Any, vec![add(count)])
}

pub fn the_first_response_is_replayed(store: &dyn Store) {
    let desk = TestShop::new(store);
    let who = id("1");
    let (status, first, replayed) =
        expect_stored(desk.execute_with_key("k1", add_action(&who, 10)));
    assert_eq!(
        (status, first.as_str(), replayed),
        (200, "seq Some(2), balance Some(Points(10))", false)
    );
    desk.execute_commands(&who, vec![subtract(10)]).unwrap();
    let before = StoreContents::read(store);
    for _ in 0..3 {
        assert_eq!(
            expect_stored(desk.execute_with_key("k1", add_action(&who, 10))),
            (200, first.clone(), true)
        );
    }
    assert_eq!(StoreContents::read(store), before);
    // Another key, another effect.
    assert!(!expect_stored(desk.execute_with_key("k2", add_action(&who, 10))).2);
    assert_eq!(desk.balance(&who), 10);
}

pub fn a_rejection_is_stored_too(store: &dyn Store) {
    let desk = TestShop::new(store);
    let who = id("1");
    let spend = || Action::for_customer(who.clone(), Existence::Any, vec![subtract(10)]);
    assert_eq!(
        expect_stored(desk.execute_with_key("k1", spend())),
        (422, "insufficient_points".to_owned(), false)
    );
    assert!(store.customer(desk.shop, &who).unwrap().is_none());
    desk.execute_commands(&who, vec![add(10)]).unwrap();
    assert_eq!(
        expect_stored(desk.execute_with_key("k1", spend())),
        (422, "insufficient_points".to_owned(), true)
    );
    assert_eq!(desk.balance(&who), 10);
}

pub fn a_key_belongs_to_one_request(store: &dyn Store) {
    let desk = TestShop::new(store);
    let who = id("1");
    let first = expect_stored(desk.execute_with_key("k1", add_action(&who, 10)));
    let reused = expect_decided(desk.execute_with_key("k1", add_action(&who, 11)));
    assert_eq!(rejection_code(&reused), "idempotency_key_reused");
    assert_eq!(desk.balance(&who), 10);
    assert_eq!(
        expect_stored(desk.execute_with_key("k1", add_action(&who, 10))),
        (first.0, first.1, true)
    );
}

pub fn a_key_belongs_to_one_shop(store: &dyn Store) {
    let (here, there) = (TestShop::new(store), TestShop::new(store));
    let who = id("1");
    assert!(!expect_stored(here.execute_with_key("k1", add_action(&who, 10))).2);
    assert!(!expect_stored(there.execute_with_key("k1", add_action(&who, 20))).2);
    assert!(expect_stored(here.execute_with_key("k1", add_action(&who, 10))).2);
    assert_eq!((here.balance(&who), there.balance(&who)), (10, 20));
}

pub fn a_response_is_replayed_for_thirty_days(store: &dyn Store) {
    let desk = TestShop::new(store);
    let who = id("1");
    let tell = |now: &str| expect_stored(desk.at(now).execute_with_key("k1", add_action(&who, 10)));
    assert!(!tell("2026-01-01T00:00:00Z").2);
    assert!(tell("2026-01-30T23:59:59Z").2);
    assert_eq!(desk.balance(&who), 10);
    // It counts as new, and is kept again from then on.
    assert!(!tell("2026-01-31T00:00:00Z").2);
    assert!(tell("2026-03-01T23:59:59Z").2);
    assert!(tell("2026-01-15T00:00:00Z").2);
    assert_eq!(desk.balance(&who), 20);
}

/// What a request was about may be gone; its answer is there to be given again.
pub fn the_first_response_can_be_read(store: &dyn Store) {
    let (desk, other) = (TestShop::new(store), TestShop::new(store));
    let (who, key) = (id("1"), digest("k1"));
    let same = digest(&format!("{:?}", add_action(&who, 10)));
    let asked = |desk: &TestShop<'_>, fingerprint: [u8; 16], now: &str| {
        let answer = store.stored_response(desk.shop, &key, &fingerprint, at(now)).unwrap();
        answer.map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()))
    };
    assert_eq!(asked(&desk, same, "2026-01-01T12:00:00Z"), None);
    let (status, body, _) = expect_stored(desk.execute_with_key("k1", add_action(&who, 10)));
    let before = StoreContents::read(store);
    assert_eq!(asked(&desk, same, "2026-01-01T12:00:00Z"), Some((status, body.clone())));
    assert_eq!(asked(&desk, same, "2026-01-31T11:59:59Z"), Some((status, body)));
    assert_eq!(asked(&desk, same, "2026-01-31T12:00:00Z"), None);
    assert_eq!(asked(&desk, digest("another request"), "2026-01-01T12:00:00Z"), None);
    assert_eq!(asked(&other, same, "2026-01-01T12:00:00Z"), None);
    assert_eq!(StoreContents::read(store), before);
}

/// The connection broke: nobody knows whether it happened. The same request says so, and it has happened once.
pub fn a_lost_response_can_be_retried(store: &dyn Store) {
    let desk = TestShop::new(store);
    let adding = || desk.request(Action::for_customer(id("1"), Existence::Any, vec![add(5)]));
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
        assert_eq!(desk.balance(&id("1")), 5 * (number + 1));
    }
}
