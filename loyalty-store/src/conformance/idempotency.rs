//! A request with a key happens once; its first answer is given again, byte for byte.

use super::desk::*;
use crate::{Action, Presence, Store, Who};

use super::picture::Picture;

fn adding(who: &Who, count: i64) -> Action {
    Action::customer(who.clone(), Presence::May, vec![add(count)])
}

pub fn the_first_answer_is_given_again(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let (status, first, replayed) = kept(desk.keyed("k1", adding(&who, 10)));
    assert_eq!(
        (status, first.as_str(), replayed),
        (200, "seq Some(2), balance Some(Points(10))", false)
    );
    desk.tell(&who, vec![subtract(10)]).unwrap();
    let before = Picture::of(store);
    for _ in 0..3 {
        assert_eq!(kept(desk.keyed("k1", adding(&who, 10))), (200, first.clone(), true));
    }
    assert_eq!(Picture::of(store), before);
    // Another key, another effect.
    assert!(!kept(desk.keyed("k2", adding(&who, 10))).2);
    assert_eq!(desk.balance(&who), 10);
}

pub fn a_refusal_is_kept_too(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let spend = || Action::customer(who.clone(), Presence::May, vec![subtract(10)]);
    assert_eq!(kept(desk.keyed("k1", spend())), (422, "insufficient_points".to_owned(), false));
    assert!(store.customer(desk.shop, &who).unwrap().is_none());
    desk.tell(&who, vec![add(10)]).unwrap();
    assert_eq!(kept(desk.keyed("k1", spend())), (422, "insufficient_points".to_owned(), true));
    assert_eq!(desk.balance(&who), 10);
}

pub fn a_key_is_of_one_request(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let first = kept(desk.keyed("k1", adding(&who, 10)));
    let reused = decided(desk.keyed("k1", adding(&who, 11)));
    assert_eq!(code(&reused), "idempotency_key_reused");
    assert_eq!(desk.balance(&who), 10);
    assert_eq!(kept(desk.keyed("k1", adding(&who, 10))), (first.0, first.1, true));
}

pub fn a_key_is_of_one_shop(store: &dyn Store) {
    let (here, there) = (Desk::new(store), Desk::new(store));
    let who = id("1");
    assert!(!kept(here.keyed("k1", adding(&who, 10))).2);
    assert!(!kept(there.keyed("k1", adding(&who, 20))).2);
    assert!(kept(here.keyed("k1", adding(&who, 10))).2);
    assert_eq!((here.balance(&who), there.balance(&who)), (10, 20));
}

pub fn an_answer_is_kept_for_thirty_days(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let tell = |now: &str| kept(desk.at(now).keyed("k1", adding(&who, 10)));
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
pub fn the_first_answer_can_be_asked_for(store: &dyn Store) {
    let (desk, other) = (Desk::new(store), Desk::new(store));
    let (who, key) = (id("1"), digest("k1"));
    let same = digest(&format!("{:?}", adding(&who, 10)));
    let asked = |desk: &Desk<'_>, fingerprint: [u8; 16], now: &str| {
        let answer = store.answered(desk.shop, &key, &fingerprint, at(now)).unwrap();
        answer.map(|answer| (answer.status, String::from_utf8(answer.body).unwrap()))
    };
    assert_eq!(asked(&desk, same, "2026-01-01T12:00:00Z"), None);
    let (status, body, _) = kept(desk.keyed("k1", adding(&who, 10)));
    let before = Picture::of(store);
    assert_eq!(asked(&desk, same, "2026-01-01T12:00:00Z"), Some((status, body.clone())));
    assert_eq!(asked(&desk, same, "2026-01-31T11:59:59Z"), Some((status, body)));
    assert_eq!(asked(&desk, same, "2026-01-31T12:00:00Z"), None);
    assert_eq!(asked(&desk, digest("another request"), "2026-01-01T12:00:00Z"), None);
    assert_eq!(asked(&other, same, "2026-01-01T12:00:00Z"), None);
    assert_eq!(Picture::of(store), before);
}

/// The connection broke: nobody knows whether it happened. The same request says so, and it has happened once.
pub fn whoever_lost_the_answer_asks_again(store: &dyn Store) {
    let desk = Desk::new(store);
    let adding = || desk.request(Action::customer(id("1"), Presence::May, vec![add(5)]));
    for number in 0..20 {
        let key = format!("k{number}");
        drop(store.execute(keyed(adding(), &key, "five points")));
        let (status, first, _) = kept(store.execute(keyed(adding(), &key, "five points")).wait());
        let again = kept(store.execute(keyed(adding(), &key, "five points")).wait());
        assert_eq!((status, &again), (200, &(200, first, true)));
        assert_eq!(desk.balance(&id("1")), 5 * (number + 1));
    }
}
