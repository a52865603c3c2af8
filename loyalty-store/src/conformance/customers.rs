//! Cases for the identity of customers: ids, e-mails, guests and merges.

use std::collections::BTreeSet;

use super::test_shop::*;
use crate::{
    Action, CustomerRef, EmailConflict, Existence, FieldChange, ProfileChange, SearchQuery, Store,
};
use loyalty_core::program::EmailProof;
use loyalty_core::{AccountId, AttributeValue, Attributes, Event, Points, Tag};

/// Changes the profile of an existing customer.
pub fn patch_action(customer: &CustomerRef, change: ProfileChange) -> Action {
    let (existence, conflict) = (Existence::Required, EmailConflict::Reject);
    Action::Customer {
        customer: customer.clone(),
        existence,
        change,
        email_conflict: conflict,
        email_proof: EmailProof::Profile,
        if_match: None,
        commands: Vec::new(),
    }
}

fn count_customers(shop: &TestShop<'_>) -> u64 {
    shop.store.count_customers(shop.id, &SearchQuery::default()).unwrap()
}

pub fn existence_decides_who_is_created(store: &dyn Store) {
    let shop = TestShop::new(store);
    let execute = |customer: &CustomerRef, existence| {
        shop.execute(Action::for_customer(customer.clone(), existence, vec![add(10)]))
    };
    let (one, two) = (id("1"), id("2"));
    assert_eq!(rejection_code(&execute(&one, Existence::Required)), "customer_not_found");
    assert_eq!(count_customers(&shop), 0);
    assert!(execute(&one, Existence::Any).unwrap().created);
    assert!(!execute(&one, Existence::Any).unwrap().created);
    assert!(!execute(&one, Existence::Required).unwrap().created);
    assert_eq!(rejection_code(&execute(&one, Existence::Absent)), "customer_exists");
    assert!(execute(&two, Existence::Absent).unwrap().created);
    assert_eq!((shop.balance(&one), shop.balance(&two), count_customers(&shop)), (30, 10, 2));

    let guest = email("guest@example.com");
    assert!(execute(&guest, Existence::Absent).unwrap().created);
    assert_eq!(rejection_code(&execute(&guest, Existence::Absent)), "customer_exists");
}

pub fn emails_ignore_case(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id_and_email("ada", "Ada@Example.com"), vec![add(10)])
        .unwrap();

    for spelling in ["Ada@Example.com", "ada@example.com", " ADA@EXAMPLE.COM "] {
        assert_eq!(shop.balance(&email(spelling)), 10, "{spelling}");
    }

    shop.execute_commands(&email("ADA@example.com"), vec![add(5)])
        .unwrap();
    assert_eq!((shop.balance(&id("ada")), count_customers(&shop)), (15, 1));

    let unknown = [id("Ada"), id("ad"), email("da@example.com")];
    assert!(
        unknown
            .iter()
            .all(|customer| store.customer(shop.id, customer).unwrap().is_none())
    );
}

pub fn a_taken_email_is_rejected_or_ignored(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id_and_email("1", "ada@example.com"), vec![add(10)])
        .unwrap();
    let second = id_and_email("2", "ADA@example.com");
    assert_eq!(rejection_code(&shop.execute_commands(&second, vec![add(1)])), "email_taken");
    assert!(store.customer(shop.id, &id("2")).unwrap().is_none());

    let ignored = Action::Customer {
        customer: second,
        existence: Existence::Any,
        change: email_change("ada@example.com"),
        email_conflict: EmailConflict::Ignore,
        email_proof: EmailProof::Profile,
        if_match: None,
        commands: vec![add(2)],
    };
    assert!(shop.execute(ignored).unwrap().created);
    assert_eq!(shop.customer(&id("2")).record().email, None);
    assert_eq!((shop.balance(&email("ada@example.com")), shop.balance(&id("2"))), (10, 2));

    assert_eq!(
        rejection_code(&shop.execute(patch_action(&id("2"), email_change("Ada@example.com")))),
        "email_taken"
    );

    shop.execute(patch_action(&id("1"), email_change("lovelace@example.com")))
        .unwrap();
    shop.execute(patch_action(&id("2"), email_change("Ada@example.com")))
        .unwrap();
    assert_eq!(
        (
            shop.balance(&email("ada@example.com")),
            shop.balance(&email("lovelace@example.com"))
        ),
        (2, 10)
    );
}

pub fn a_guest_is_known_by_email(store: &dyn Store) {
    let shop = TestShop::new(store);
    let guest = email("guest@example.com");
    shop.execute_order(Some(&guest), record_paid("o1", "49.95")).unwrap();
    shop.execute_commands(&guest, vec![add(1)]).unwrap();
    let seen = shop.customer(&email("GUEST@example.com"));
    assert_eq!((seen.balance(shop.now), &seen.record().id), (points(50), &None));
    assert_eq!(
        shop.execute(Action::for_customer(id("1"), Existence::Required, vec![]))
            .map_err(|no| no.code())
            .err(),
        { Some("customer_not_found") }
    );
}

pub fn a_guest_becomes_the_customer_with_the_email(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&email("guest@example.com"), vec![add(50)])
        .unwrap();
    let guest = shop.customer(&email("guest@example.com"));
    let receipt = shop
        .execute_profile(&id_and_email("1", "Guest@example.com"), vec![add(1)])
        .unwrap();
    assert!(receipt.created);

    let customer = shop.customer(&id("1"));
    assert_eq!((shop.balance(&email("guest@example.com")), count_customers(&shop)), (51, 1));
    let of_guest = shop.store.customer_by_account(shop.id, guest.record().account);
    assert_eq!(of_guest.unwrap().unwrap().record(), customer.record());
}

pub fn a_guest_is_merged_into_a_known_customer(store: &dyn Store) {
    let shop = TestShop::new(store);
    let (guest, customer) = (email("guest@example.com"), id("1"));
    shop.execute_order(Some(&guest), record_paid("o1", "100.00")).unwrap();
    shop.execute_commands(&guest, vec![add(40), subtract(20)]).unwrap();
    let guests = shop.customer(&guest).record().account;
    shop.execute_order(Some(&customer), record_paid("o2", "10.00"))
        .unwrap();
    assert_eq!(
        (shop.balance(&guest), shop.balance(&customer), count_customers(&shop)),
        (120, 10, 2)
    );

    // An address typed at a checkout proves nothing.
    let both = id_and_email("1", "guest@example.com");
    let receipt = shop.execute_order(Some(&both), record_paid("o3", "1.00")).unwrap();
    assert!(receipt.guest_not_claimed);
    assert_eq!(receipt.order.unwrap().state.guest(), Some(guests));
    assert_eq!(
        (shop.balance(&guest), shop.balance(&customer), count_customers(&shop)),
        (120, 11, 2)
    );

    let receipt = shop.execute_profile(&both, vec![]).unwrap();
    assert!(!receipt.guest_not_claimed);
    assert!(
        receipt
            .events
            .iter()
            .any(|event| matches!(event, Event::AccountMerged { .. }))
    );
    assert_eq!(
        (shop.balance(&customer), shop.balance(&guest), count_customers(&shop)),
        (131, 131, 1)
    );

    let seen = shop.customer(&customer);
    assert_eq!(store.customer_by_account(shop.id, guests).unwrap().unwrap().etag(), seen.etag());
    assert_eq!(
        store.account_journal(shop.id, guests, None, 1).unwrap().rows[0].balance,
        points(0)
    );

    // Later events of the guest's order belong to the customer.
    shop.execute_order(None, refund("o1", "r1", "50.00")).unwrap();
    assert_eq!(shop.balance(&customer), 81);

    shop.execute_order(Some(&guest), cancel("o1")).unwrap();
    assert_eq!(shop.balance(&customer), 31);

    let order = store.order(shop.id, &order_id("o1")).unwrap().unwrap();
    assert_eq!(order.account, Some(seen.record().account));
    assert_eq!(
        rejection_code(&shop.execute_order(Some(&id("2")), cancel("o1"))),
        "order_of_another_customer"
    );
}

pub fn a_merge_moves_the_debt_of_a_guest(store: &dyn Store) {
    let shop = TestShop::new(store);
    let guest = email("guest@example.com");
    shop.execute_order(Some(&guest), record_paid("o1", "100.00")).unwrap();
    shop.execute_commands(&guest, vec![subtract(100)]).unwrap();
    shop.execute_order(Some(&guest), refund("o1", "r1", "100.00"))
        .unwrap();
    assert_eq!(shop.balance(&guest), -100);

    shop.execute_commands(&id("1"), vec![add(30)]).unwrap();
    shop.execute_profile(&id_and_email("1", "guest@example.com"), vec![])
        .unwrap();
    assert_eq!(shop.balance(&id("1")), -70);
    assert_eq!(
        rejection_code(&shop.execute_commands(&id("1"), vec![subtract(1)])),
        "insufficient_points"
    );

    shop.execute_commands(&id("1"), vec![add(100)]).unwrap();
    assert_eq!(shop.balance(&id("1")), 30);
}

pub fn a_guest_is_merged_by_a_change_of_email(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id_and_email("1", "old@example.com"), vec![add(10)])
        .unwrap();
    shop.execute_commands(&email("guest@example.com"), vec![add(5)])
        .unwrap();
    shop.execute(patch_action(&id("1"), email_change("guest@example.com")))
        .unwrap();
    assert_eq!(
        (
            shop.balance(&id("1")),
            shop.balance(&email("guest@example.com")),
            count_customers(&shop)
        ),
        (15, 15, 1)
    );
    assert!(store.customer(shop.id, &email("old@example.com")).unwrap().is_none());

    // The previous address now belongs to a new guest.
    shop.execute_commands(&email("old@example.com"), vec![add(1)])
        .unwrap();
    assert_eq!((shop.balance(&email("old@example.com")), shop.balance(&id("1"))), (1, 15));
}

pub fn a_rejected_merge_leaves_the_guest(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&email("guest@example.com"), vec![add(5)])
        .unwrap();
    shop.execute_commands(&id("1"), vec![add(10)]).unwrap();
    let before = (
        shop.customer(&id("1")).etag(),
        shop.customer(&email("guest@example.com")).etag(),
    );
    let both = id_and_email("1", "guest@example.com");
    assert_eq!(
        rejection_code(&shop.execute_profile(&both, vec![subtract(16)])),
        "insufficient_points"
    );
    assert_eq!(
        (
            shop.customer(&id("1")).etag(),
            shop.customer(&email("guest@example.com")).etag()
        ),
        before
    );

    shop.execute_profile(&both, vec![subtract(15)]).unwrap();
    assert_eq!((shop.balance(&id("1")), count_customers(&shop)), (0, 1));
}

/// Each policy of the program with each proof of an address, for a known and for a new customer.
pub fn the_program_says_who_claims_a_guest(store: &dyn Store) {
    use EmailProof::{Profile, Typed, Verified};
    for (policy, proof, claims) in [
        ("claim_on_sign_up", Typed, false),
        ("claim_on_sign_up", Profile, true),
        ("claim_on_sign_up", Verified, true),
        ("claim_when_verified", Typed, false),
        ("claim_when_verified", Profile, false),
        ("claim_when_verified", Verified, true),
        ("claim_always", Typed, true),
        ("claim_always", Profile, true),
    ] {
        for is_known in [true, false] {
            let shop = TestShop::new(store);
            shop.execute(publish_action(&format!(r#"{{"guests": "{policy}"}}"#)))
                .unwrap();
            let guest = email("victim@example.com");
            shop.execute_commands(&guest, vec![add(500)]).unwrap();
            if is_known {
                shop.execute_commands(&id("evil"), vec![]).unwrap();
            }

            let both = id_and_email("evil", "Victim@example.com");
            let receipt = shop.execute_with_proof(&both, proof, vec![]).unwrap();
            let name = format!("{policy} {proof:?} {is_known}");
            assert_eq!(receipt.guest_not_claimed, !claims, "{name}");
            let (evil, left) = if claims { (500, 500) } else { (0, 500) };
            assert_eq!((shop.balance(&id("evil")), shop.balance(&guest)), (evil, left), "{name}");
            let address = shop.customer(&id("evil")).record().email.clone();
            assert_eq!(address.is_some(), claims, "{name}");
        }
    }
}

/// Three orders of one customer name three guests: none of them loses a point.
pub fn an_order_takes_no_guests_points(store: &dyn Store) {
    let shop = TestShop::new(store);
    for guest in 0..3 {
        let address = format!("victim{guest}@example.com");
        shop.execute_commands(&email(&address), vec![add(500)]).unwrap();
        let customer = id_and_email("evil", &address);
        let order = record_paid(&format!("o{guest}"), "1.00");
        shop.execute_order(Some(&customer), order).unwrap();
        assert_eq!(shop.balance(&email(&address)), 500);
    }
    assert_eq!((shop.balance(&id("evil")), count_customers(&shop)), (3, 4));

    // An address that is nobody's becomes the customer's.
    let mine = id_and_email("evil", "mine@example.com");
    shop.execute_order(Some(&mine), record_paid("o4", "1.00")).unwrap();
    assert_eq!(shop.balance(&email("mine@example.com")), 4);
}

fn undo(shop: &TestShop<'_>, claim: AccountId) -> Result<crate::Receipt, crate::Rejection> {
    shop.execute(Action::UndoClaim { customer: id("1"), claim })
}

pub fn a_claim_is_undone(store: &dyn Store) {
    let shop = TestShop::new(store);
    let (guest, both) = (email("guest@example.com"), id_and_email("1", "guest@example.com"));
    shop.execute_order(Some(&guest), record_paid("o1", "100.00")).unwrap();
    shop.execute_commands(&guest, vec![add(40)]).unwrap();
    shop.execute_commands(&id("1"), vec![add(7)]).unwrap();
    let before = shop.customer(&guest);
    let claim = before.record().account;
    assert_eq!(rejection_code(&undo(&shop, claim)), "claim_not_found");

    shop.execute_profile(&both, vec![add(1)]).unwrap();
    let merged = shop.customer(&id("1")).record().merged.clone();
    assert_eq!((merged[0].account, merged[0].points), (claim, Points::from(140)));
    assert_eq!(shop.balance(&id("1")), 148);

    let receipt = undo(&shop, claim).unwrap();
    assert_eq!(receipt.points_changed(), points(-140));
    assert_eq!(
        (shop.balance(&id("1")), shop.balance(&guest), count_customers(&shop)),
        (8, 140, 2)
    );
    let guests = shop.customer(&guest);
    assert_eq!(guests.record().account, claim);
    assert_eq!(guests.record().profile, before.record().profile);
    let customer = shop.customer(&id("1"));
    assert_eq!(customer.record().email, None);
    assert!(customer.record().merged[0].undone_at.is_some());
    assert_eq!(customer.record().merged[0].email, None, "no personal data is left there");

    // The guest's order is the guest's again.
    shop.execute_order(None, refund("o1", "r1", "50.00")).unwrap();
    assert_eq!((shop.balance(&id("1")), shop.balance(&guest)), (8, 90));
    assert_eq!(rejection_code(&undo(&shop, claim)), "claim_not_found");

    // What the shop has undone is not claimed again by the same report, only by a proof.
    let receipt = shop.execute_profile(&both, vec![]).unwrap();
    assert!(receipt.guest_not_claimed);
    assert_eq!(shop.balance(&guest), 90);
    shop.execute_with_proof(&both, EmailProof::Verified, vec![]).unwrap();
    assert_eq!((shop.balance(&id("1")), count_customers(&shop)), (98, 1));
    undo(&shop, claim).unwrap();
    assert_eq!((shop.balance(&id("1")), shop.balance(&guest)), (8, 90));
}

/// What was spent cannot be given back.
pub fn a_spent_claim_stays(store: &dyn Store) {
    let shop = TestShop::new(store);
    let (guest, both) = (email("guest@example.com"), id_and_email("1", "guest@example.com"));
    shop.execute_commands(&guest, vec![add(40)]).unwrap();
    let claim = shop.customer(&guest).record().account;
    shop.execute_profile(&both, vec![add(10)]).unwrap();
    shop.execute_commands(&id("1"), vec![subtract(11)]).unwrap();
    assert_eq!(rejection_code(&undo(&shop, claim)), "claim_spent");
    assert_eq!((shop.balance(&id("1")), count_customers(&shop)), (39, 1));

    // Its own points are enough again.
    shop.execute_commands(&id("1"), vec![add(1)]).unwrap();
    undo(&shop, claim).unwrap();
    assert_eq!((shop.balance(&id("1")), shop.balance(&guest)), (0, 40));
}

/// Two registered customers are one: the ids of both find the one who stays, also after merges
/// that follow each other.
pub fn two_customers_are_merged(store: &dyn Store) {
    let shop = TestShop::new(store);
    for (number, address) in [("1", "a@x.org"), ("2", "b@x.org"), ("3", "c@x.org")] {
        shop.execute_profile(&id_and_email(number, address), vec![add(10)])
            .unwrap();
    }
    shop.execute_order(Some(&id("1")), record_paid("o1", "100.00"))
        .unwrap();
    let merge = |customer: &str, from: &str| {
        shop.execute(Action::MergeCustomers { customer: id(customer), from: id(from) })
    };

    let report = merge("2", "1").unwrap().merge.unwrap();
    assert_eq!((report.absorption.points, report.counts.orders), (points(110), 1));
    merge("3", "1").unwrap();
    assert_eq!(count_customers(&shop), 1);
    for number in ["1", "2", "3"] {
        let found = shop.customer(&id(number));
        assert_eq!(found.record().id, id("3").id().cloned());
        assert_eq!(shop.balance(&id(number)), 130);
    }
    assert_eq!(rejection_code(&merge("3", "2")), "same_customer");

    // Facts about orders, and new ones by an old id, count for the one who stays.
    shop.execute_order(Some(&id("1")), record_paid("o2", "5.00")).unwrap();
    shop.execute_order(None, refund("o1", "r1", "50.00")).unwrap();
    assert_eq!((shop.balance(&id("3")), count_customers(&shop)), (85, 1));

    // A guest is merged by the word of the shop, and that can be undone.
    let guest = email("guest@x.org");
    shop.execute_commands(&guest, vec![add(7)]).unwrap();
    let account = shop.customer(&guest).record().account;
    shop.execute(Action::MergeCustomers { customer: id("1"), from: guest.clone() })
        .unwrap();
    assert_eq!(shop.balance(&id("3")), 92);
    undo(&shop, account).unwrap();
    assert_eq!((shop.balance(&id("3")), shop.balance(&guest)), (85, 7));
    let one = shop.customer(&id("3")).record().merged[0].account;
    assert_eq!(rejection_code(&undo(&shop, one)), "claim_not_found");
}

pub fn a_profile_is_changed_kept_and_cleared(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    shop.execute_commands(&customer, vec![]).unwrap();
    let text = |text: &str| FieldChange::Set(Some(text.to_owned()));
    let tags: BTreeSet<Tag> =
        ["vip", "tea"].into_iter().map(|tag| Tag::new(tag).unwrap()).collect();
    let attributes = Attributes::new([
        ("staff".parse().unwrap(), true.into()),
        (
            "height".parse().unwrap(),
            AttributeValue::number("1.65".parse().unwrap()).unwrap(),
        ),
        ("language".parse().unwrap(), AttributeValue::text("en").unwrap()),
    ]);
    let attributes = attributes.unwrap();
    let all = ProfileChange {
        email: FieldChange::Set(Some(email_address("ada@example.com"))),
        first_name: text("Ada"),
        last_name: text("Lovelace"),
        birthday: FieldChange::Set("1815-12-10".parse().ok()),
        zip: text("W1"),
        country: text("GB"),
        tags: Some(tags.clone()),
        attributes: Some(attributes.clone()),
        household: Some(["device-7".to_owned()].into()),
    };
    shop.execute(patch_action(&customer, all)).unwrap();
    let some = ProfileChange {
        last_name: text("King"),
        zip: FieldChange::Set(None),
        ..ProfileChange::default()
    };
    let seen = shop.execute(patch_action(&customer, some)).unwrap().customer.unwrap();
    let profile = &seen.record().profile;
    assert_eq!(
        (profile.first_name.as_deref(), profile.last_name.as_deref()),
        (Some("Ada"), Some("King"))
    );
    assert_eq!((profile.zip.as_deref(), profile.country.as_deref()), (None, Some("GB")));
    assert_eq!((profile.birthday, &profile.tags), ("1815-12-10".parse().ok(), &tags));
    assert_eq!(profile.attributes, attributes);
    assert_eq!(shop.customer(&email("ada@example.com")).record(), seen.record());

    let nothing = ProfileChange {
        email: FieldChange::Set(None),
        tags: Some(BTreeSet::new()),
        attributes: Some(Attributes::EMPTY),
        ..ProfileChange::default()
    };
    let seen = shop
        .execute(patch_action(&customer, nothing))
        .unwrap()
        .customer
        .unwrap();
    assert_eq!((&seen.record().email, seen.record().profile.tags.len()), (&None, 0));
    assert!(store.customer(shop.id, &email("ada@example.com")).unwrap().is_none());
}

pub fn the_revision_ignores_unchanged_values(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id_and_email("1", "ada@example.com"), vec![])
        .unwrap();
    let later = shop.at("2026-01-02T00:00:00Z");
    let revision = || {
        (
            shop.customer(&id("1")).record().revision,
            shop.customer(&id("1")).record().updated_at,
        )
    };
    assert_eq!(revision(), (1, shop.now));

    let name = ProfileChange {
        first_name: FieldChange::Set(Some("Ada".to_owned())),
        ..ProfileChange::default()
    };
    later.execute(patch_action(&id("1"), name.clone())).unwrap();
    assert_eq!(revision(), (2, later.now));

    let latest = later.at("2026-01-03T00:00:00Z");

    for action in [
        patch_action(&id("1"), name),
        patch_action(&id("1"), email_change("ada@example.com")),
        patch_action(&id("1"), ProfileChange::default()),
        Action::for_customer(id_and_email("1", "ada@example.com"), Existence::Required, vec![]),
        Action::for_customer(email("ADA@example.com"), Existence::Required, vec![add(1)]),
    ] {
        let receipt = latest.execute(action.clone()).unwrap();
        assert_eq!(revision(), (2, later.now), "{action:?}");
        assert_eq!(receipt.seq.is_some(), !receipt.events.is_empty(), "{action:?}");
    }

    // Another spelling of the address is a change.
    latest
        .execute(patch_action(&id("1"), email_change("Ada@example.com")))
        .unwrap();
    assert_eq!(revision(), (3, latest.now));
    assert_eq!(
        shop.customer(&id("1")).record().email.as_ref().unwrap().as_str(),
        "Ada@example.com"
    );
}

pub fn a_change_of_a_stale_customer_is_rejected(store: &dyn Store) {
    let shop = TestShop::new(store);
    let customer = id("1");
    let change = |seen: &str, name: &str| {
        let mut action = patch_action(&customer, ProfileChange::default());
        if let Action::Customer { if_match, change, commands, .. } = &mut action {
            *if_match = Some(seen.to_owned());
            change.first_name = FieldChange::Set(Some(name.to_owned()));
            *commands = vec![add(1)];
        }
        shop.execute(action)
    };
    assert_eq!(rejection_code(&change("\"1-1\"", "Ada")), "customer_not_found");

    let first = shop
        .execute_commands(&customer, vec![add(10)])
        .unwrap()
        .customer
        .unwrap()
        .etag();
    let second = change(&first, "Ada").unwrap().customer.unwrap().etag();
    assert_eq!(rejection_code(&change(&first, "Bob")), "precondition_failed");
    assert_eq!(shop.customer(&customer).etag(), second);
    assert_eq!(
        (
            shop.balance(&customer),
            shop.customer(&customer).record().profile.first_name.as_deref()
        ),
        (11, Some("Ada"))
    );

    // Points change the etag, and so does a change of the profile alone.
    let third = shop
        .execute_commands(&customer, vec![add(1)])
        .unwrap()
        .customer
        .unwrap()
        .etag();
    assert_eq!(rejection_code(&change(&second, "Bob")), "precondition_failed");

    let name = ProfileChange {
        last_name: FieldChange::Set(Some("King".to_owned())),
        ..ProfileChange::default()
    };
    shop.execute(patch_action(&customer, name)).unwrap();
    assert_eq!(rejection_code(&change(&third, "Bob")), "precondition_failed");
}
