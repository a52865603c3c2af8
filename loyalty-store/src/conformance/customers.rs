//! Who is known, by what, and who turns out to be the same.

use std::collections::BTreeSet;

use super::desk::*;
use crate::{Action, Change, EmailConflict, Presence, ProfileChange, SearchQuery, Store, Who};
use loyalty_core::{Event, Tag};

/// A change of what is known of a customer by the shop's id, as a shop makes it.
pub fn patch(who: &Who, change: ProfileChange) -> Action {
    let (presence, conflict) = (Presence::Must, EmailConflict::Refuse);
    Action::Customer {
        who: who.clone(),
        presence,
        change,
        conflict,
        if_match: None,
        commands: Vec::new(),
    }
}

fn count(desk: &Desk<'_>) -> u64 {
    desk.store
        .count_customers(desk.shop, &SearchQuery::default())
        .unwrap()
}

pub fn presence_says_who_is_made(store: &dyn Store) {
    let desk = Desk::new(store);
    let told =
        |who: &Who, presence| desk.act(Action::customer(who.clone(), presence, vec![add(10)]));
    let (one, two) = (id("1"), id("2"));
    assert_eq!(code(&told(&one, Presence::Must)), "customer_not_found");
    assert_eq!(count(&desk), 0);
    assert!(told(&one, Presence::May).unwrap().created);
    assert!(!told(&one, Presence::May).unwrap().created);
    assert!(!told(&one, Presence::Must).unwrap().created);
    assert_eq!(code(&told(&one, Presence::MustNot)), "customer_exists");
    assert!(told(&two, Presence::MustNot).unwrap().created);
    assert_eq!((desk.balance(&one), desk.balance(&two), count(&desk)), (30, 10, 2));
    let guest = email("guest@example.com");
    assert!(told(&guest, Presence::MustNot).unwrap().created);
    assert_eq!(code(&told(&guest, Presence::MustNot)), "customer_exists");
}

pub fn emails_differ_by_more_than_case(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&both("ada", "Ada@Example.com"), vec![add(10)]).unwrap();
    for spelling in ["Ada@Example.com", "ada@example.com", " ADA@EXAMPLE.COM "] {
        assert_eq!(desk.balance(&email(spelling)), 10, "{spelling}");
    }
    desk.tell(&email("ADA@example.com"), vec![add(5)]).unwrap();
    assert_eq!((desk.balance(&id("ada")), count(&desk)), (15, 1));
    let nobody = [id("Ada"), id("ad"), email("da@example.com")];
    assert!(
        nobody
            .iter()
            .all(|who| store.customer(desk.shop, who).unwrap().is_none())
    );
}

pub fn a_taken_email_is_refused_or_left(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&both("1", "ada@example.com"), vec![add(10)]).unwrap();
    let second = both("2", "ADA@example.com");
    assert_eq!(code(&desk.tell(&second, vec![add(1)])), "email_taken");
    assert!(store.customer(desk.shop, &id("2")).unwrap().is_none());

    let ignored = Action::Customer {
        who: second,
        presence: Presence::May,
        change: new_email("ada@example.com"),
        conflict: EmailConflict::Ignore,
        if_match: None,
        commands: vec![add(2)],
    };
    assert!(desk.act(ignored).unwrap().created);
    assert_eq!(desk.see(&id("2")).record().email, None);
    assert_eq!((desk.balance(&email("ada@example.com")), desk.balance(&id("2"))), (10, 2));

    assert_eq!(code(&desk.act(patch(&id("2"), new_email("Ada@example.com")))), "email_taken");
    desk.act(patch(&id("1"), new_email("lovelace@example.com"))).unwrap();
    desk.act(patch(&id("2"), new_email("Ada@example.com"))).unwrap();
    assert_eq!(
        (
            desk.balance(&email("ada@example.com")),
            desk.balance(&email("lovelace@example.com"))
        ),
        (2, 10)
    );
}

pub fn a_guest_is_known_by_email(store: &dyn Store) {
    let desk = Desk::new(store);
    let guest = email("guest@example.com");
    desk.order(Some(&guest), paid("o1", "49.95")).unwrap();
    desk.tell(&guest, vec![add(1)]).unwrap();
    let seen = desk.see(&email("GUEST@example.com"));
    assert_eq!((seen.balance(desk.now), &seen.record().id), (points(50), &None));
    assert_eq!(
        desk.act(Action::customer(id("1"), Presence::Must, vec![]))
            .map_err(|no| no.code())
            .err(),
        { Some("customer_not_found") }
    );
}

pub fn a_guest_becomes_the_customer_who_brings_the_email(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&email("guest@example.com"), vec![add(50)]).unwrap();
    let guest = desk.see(&email("guest@example.com"));
    let receipt = desk.tell(&both("1", "Guest@example.com"), vec![add(1)]).unwrap();
    assert!(!receipt.created);
    let customer = desk.see(&id("1"));
    assert_eq!(customer.record().account, guest.record().account);
    assert_eq!((desk.balance(&email("guest@example.com")), count(&desk)), (51, 1));
    assert_eq!(customer.record().revision, guest.record().revision + 1);
}

pub fn a_guest_is_merged_into_a_known_customer(store: &dyn Store) {
    let desk = Desk::new(store);
    let (guest, customer) = (email("guest@example.com"), id("1"));
    desk.order(Some(&guest), paid("o1", "100.00")).unwrap();
    desk.tell(&guest, vec![add(40), subtract(20)]).unwrap();
    let guests = desk.see(&guest).record().account;
    desk.order(Some(&customer), paid("o2", "10.00")).unwrap();
    assert_eq!((desk.balance(&guest), desk.balance(&customer), count(&desk)), (120, 10, 2));

    let receipt = desk
        .order(Some(&both("1", "guest@example.com")), paid("o3", "1.00"))
        .unwrap();
    assert!(
        receipt
            .events
            .iter()
            .any(|event| matches!(event, Event::AccountMerged { .. }))
    );
    assert_eq!((desk.balance(&customer), desk.balance(&guest), count(&desk)), (131, 131, 1));
    let seen = desk.see(&customer);
    assert_eq!(store.customer_of(desk.shop, guests).unwrap().unwrap().etag(), seen.etag());
    assert_eq!(store.ledger(desk.shop, guests, None, 1).unwrap().rows[0].balance, points(0));

    // What becomes known of the guest's order afterwards is the customer's.
    desk.order(None, refund("o1", "r1", "50.00")).unwrap();
    assert_eq!(desk.balance(&customer), 81);
    desk.order(Some(&guest), cancel("o1")).unwrap();
    assert_eq!(desk.balance(&customer), 31);
    let order = store.order(desk.shop, &order_id("o1")).unwrap().unwrap();
    assert_eq!(order.account, Some(seen.record().account));
    assert_eq!(code(&desk.order(Some(&id("2")), cancel("o1"))), "order_of_another_customer");
}

pub fn debt_goes_with_a_merged_guest(store: &dyn Store) {
    let desk = Desk::new(store);
    let guest = email("guest@example.com");
    desk.order(Some(&guest), paid("o1", "100.00")).unwrap();
    desk.tell(&guest, vec![subtract(100)]).unwrap();
    desk.order(Some(&guest), refund("o1", "r1", "100.00")).unwrap();
    assert_eq!(desk.balance(&guest), -100);
    desk.tell(&id("1"), vec![add(30)]).unwrap();
    desk.tell(&both("1", "guest@example.com"), vec![]).unwrap();
    assert_eq!(desk.balance(&id("1")), -70);
    assert_eq!(code(&desk.tell(&id("1"), vec![subtract(1)])), "insufficient_points");
    desk.tell(&id("1"), vec![add(100)]).unwrap();
    assert_eq!(desk.balance(&id("1")), 30);
}

pub fn a_guest_is_merged_by_a_change_of_email(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&both("1", "old@example.com"), vec![add(10)]).unwrap();
    desk.tell(&email("guest@example.com"), vec![add(5)]).unwrap();
    desk.act(patch(&id("1"), new_email("guest@example.com"))).unwrap();
    assert_eq!(
        (desk.balance(&id("1")), desk.balance(&email("guest@example.com")), count(&desk)),
        (15, 15, 1)
    );
    assert!(
        store
            .customer(desk.shop, &email("old@example.com"))
            .unwrap()
            .is_none()
    );
    // The address that was given up is a new guest's.
    desk.tell(&email("old@example.com"), vec![add(1)]).unwrap();
    assert_eq!((desk.balance(&email("old@example.com")), desk.balance(&id("1"))), (1, 15));
}

pub fn a_merge_that_is_refused_leaves_the_guest(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&email("guest@example.com"), vec![add(5)]).unwrap();
    desk.tell(&id("1"), vec![add(10)]).unwrap();
    let before = (desk.see(&id("1")).etag(), desk.see(&email("guest@example.com")).etag());
    let both = both("1", "guest@example.com");
    assert_eq!(code(&desk.tell(&both, vec![subtract(16)])), "insufficient_points");
    assert_eq!(
        (desk.see(&id("1")).etag(), desk.see(&email("guest@example.com")).etag()),
        before
    );
    desk.tell(&both, vec![subtract(15)]).unwrap();
    assert_eq!((desk.balance(&id("1")), count(&desk)), (0, 1));
}

pub fn a_profile_is_changed_kept_and_cleared(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    desk.tell(&who, vec![]).unwrap();
    let text = |text: &str| Change::Set(Some(text.to_owned()));
    let tags: BTreeSet<Tag> =
        ["vip", "tea"].into_iter().map(|tag| Tag::new(tag).unwrap()).collect();
    let all = ProfileChange {
        email: Change::Set(Some(mail("ada@example.com"))),
        first_name: text("Ada"),
        last_name: text("Lovelace"),
        birthday: Change::Set("1815-12-10".parse().ok()),
        zip: text("W1"),
        country: text("GB"),
        tags: Some(tags.clone()),
        household: Some(["device-7".to_owned()].into()),
    };
    desk.act(patch(&who, all)).unwrap();
    let some = ProfileChange {
        last_name: text("King"),
        zip: Change::Set(None),
        ..ProfileChange::default()
    };
    let seen = desk.act(patch(&who, some)).unwrap().customer.unwrap();
    let profile = &seen.record().profile;
    assert_eq!(
        (profile.first_name.as_deref(), profile.last_name.as_deref()),
        (Some("Ada"), Some("King"))
    );
    assert_eq!((profile.zip.as_deref(), profile.country.as_deref()), (None, Some("GB")));
    assert_eq!((profile.birthday, &profile.tags), ("1815-12-10".parse().ok(), &tags));
    assert_eq!(desk.see(&email("ada@example.com")).record(), seen.record());

    let nothing = ProfileChange {
        email: Change::Set(None),
        tags: Some(BTreeSet::new()),
        ..ProfileChange::default()
    };
    let seen = desk.act(patch(&who, nothing)).unwrap().customer.unwrap();
    assert_eq!((&seen.record().email, seen.record().profile.tags.len()), (&None, 0));
    assert!(
        store
            .customer(desk.shop, &email("ada@example.com"))
            .unwrap()
            .is_none()
    );
}

pub fn the_revision_counts_real_changes_only(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&both("1", "ada@example.com"), vec![]).unwrap();
    let later = desk.at("2026-01-02T00:00:00Z");
    let revision =
        || (desk.see(&id("1")).record().revision, desk.see(&id("1")).record().updated_at);
    assert_eq!(revision(), (1, desk.now));

    let name = ProfileChange {
        first_name: Change::Set(Some("Ada".to_owned())),
        ..ProfileChange::default()
    };
    later.act(patch(&id("1"), name.clone())).unwrap();
    assert_eq!(revision(), (2, later.now));
    let latest = later.at("2026-01-03T00:00:00Z");
    for action in [
        patch(&id("1"), name),
        patch(&id("1"), new_email("ada@example.com")),
        patch(&id("1"), ProfileChange::default()),
        Action::customer(both("1", "ada@example.com"), Presence::Must, vec![]),
        Action::customer(email("ADA@example.com"), Presence::Must, vec![add(1)]),
    ] {
        let receipt = latest.act(action.clone()).unwrap();
        assert_eq!(revision(), (2, later.now), "{action:?}");
        assert_eq!(receipt.seq.is_some(), !receipt.events.is_empty(), "{action:?}");
    }
    // The shop spells the address anew.
    latest.act(patch(&id("1"), new_email("Ada@example.com"))).unwrap();
    assert_eq!(revision(), (3, latest.now));
    assert_eq!(desk.see(&id("1")).record().email.as_ref().unwrap().as_str(), "Ada@example.com");
}

pub fn a_change_of_what_was_not_seen_is_refused(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    let change = |seen: &str, name: &str| {
        let mut action = patch(&who, ProfileChange::default());
        if let Action::Customer { if_match, change, commands, .. } = &mut action {
            *if_match = Some(seen.to_owned());
            change.first_name = Change::Set(Some(name.to_owned()));
            *commands = vec![add(1)];
        }
        desk.act(action)
    };
    assert_eq!(code(&change("\"1-1\"", "Ada")), "customer_not_found");
    let first = desk.tell(&who, vec![add(10)]).unwrap().customer.unwrap().etag();
    let second = change(&first, "Ada").unwrap().customer.unwrap().etag();
    assert_eq!(code(&change(&first, "Bob")), "precondition_failed");
    assert_eq!(desk.see(&who).etag(), second);
    assert_eq!(
        (desk.balance(&who), desk.see(&who).record().profile.first_name.as_deref()),
        (11, Some("Ada"))
    );
    // Points move it, and so does a change of the profile alone.
    let third = desk.tell(&who, vec![add(1)]).unwrap().customer.unwrap().etag();
    assert_eq!(code(&change(&second, "Bob")), "precondition_failed");
    let name = ProfileChange {
        last_name: Change::Set(Some("King".to_owned())),
        ..ProfileChange::default()
    };
    desk.act(patch(&who, name)).unwrap();
    assert_eq!(code(&change(&third, "Bob")), "precondition_failed");
}
