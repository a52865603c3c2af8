//! Cases for scheduled events: every read includes them, and each is recorded once,
//! however late.

use std::collections::BTreeSet;

use super::test_shop::*;
use crate::{
    Action, CustomerRef, DueAccount, EmailConflict, Existence, FieldChange, ProfileChange, Reply,
    Request, Store,
};
use loyalty_core::program::EmailProof;
use loyalty_core::{AccountId, Command, Event, Points, ReferralParty, Tag, Timestamp};

use super::contents::whole_journal;

/// Programs with many scheduled events.
pub const PROGRAMS: [&str; 4] = [FULL_PROGRAM, INACTIVITY_PROGRAM, BIRTHDAY_PROGRAM, VIP_PROGRAM];

pub const FULL_PROGRAM: &str = r#"{
    "hold": "P3D",
    "expiry": {"per_lot": {"after": "P20D"}},
    "tiers": [{"id": "silver", "name": "Silver", "threshold": "40", "entry": {"points": 7}},
              {"id": "gold", "name": "Gold", "threshold": "90", "multiplier": "2"}],
    "tiering": {"window": {"rolling": "P1M"}, "grace": "P2D"},
    "actions": [{"id": "cake", "kind": "birthday", "points": 50},
                {"id": "years", "kind": "anniversary", "points": 20},
                {"id": "ten", "kind": {"goal_orders": 2}, "points": 10},
                {"id": "hello", "kind": "sign_up", "points": 5},
                {"id": "cards", "kind": {"codes": ["A", "B"]}, "points": 4},
                {"id": "read", "kind": "content", "points": 3, "limits": [{"points": 4, "per": "week", "partial": true}]}],
    "referrals": {"sent": 30, "received": 15, "hold": "P7D"}
}"#;
pub const INACTIVITY_PROGRAM: &str = r#"{"expiry": {"inactivity": {"after": "P10D"}}}"#;
const BIRTHDAY_PROGRAM: &str =
    r#"{"actions": [{"id": "cake", "kind": {"birthday": {"notice_days": 1}}, "points": 50}]}"#;
const VIP_PROGRAM: &str = r#"{
    "tiers": [{"id": "club", "name": "Club", "threshold": "10"}],
    "tiering": {"window": {"rolling": "P1M"}},
    "actions": [{"id": "cake", "kind": "birthday", "points": 9, "when": {"customer_tags": ["vip"]}},
                {"id": "club", "kind": {"goal_spend": "20"}, "points": 3, "when": {"tiers": ["club"]}}]
}"#;

pub fn birthday_change(day: &str) -> ProfileChange {
    ProfileChange {
        birthday: FieldChange::Set(day.parse().ok()),
        ..ProfileChange::default()
    }
}

fn tag_change(tag: &str) -> ProfileChange {
    let tags = if tag.is_empty() { vec![] } else { vec![Tag::new(tag).unwrap()] };
    ProfileChange {
        tags: Some(tags.into_iter().collect()),
        ..ProfileChange::default()
    }
}

pub fn change_action(customer: &CustomerRef, change: ProfileChange) -> Action {
    Action::Customer {
        customer: customer.clone(),
        existence: Existence::Any,
        change,
        email_conflict: EmailConflict::Reject,
        email_proof: EmailProof::Profile,
        if_match: None,
        commands: vec![],
    }
}

/// Acts as the scheduler: reschedules accounts, then records the events that are due.
/// Returns the number of accounts that were due.
pub fn run_scheduler(shop: &TestShop<'_>) -> usize {
    for id in shop.store.shops_to_reschedule().unwrap() {
        while shop.store.shops_to_reschedule().unwrap().contains(&id) {
            TestShop { id, ..*shop }
                .execute(Action::RescheduleDue { limit: 2 })
                .unwrap();
        }
    }

    let (mut after, mut count) = (None, 0);

    loop {
        let page = shop.store.due(shop.now, after, 3).unwrap();
        let Some(last) = page.last() else { return count };
        after = Some(*last);
        count += page.len();
        for DueAccount { shop: id, account, .. } in page {
            TestShop { id, ..*shop }.execute(Action::CatchUp(account)).unwrap();
        }
    }
}

fn account(shop: &TestShop<'_>, customer: &CustomerRef) -> AccountId {
    shop.customer(customer).record().account
}

/// Returns the events of an account with their times, without events of orders, whose
/// times come from the shop.
fn timed_events(shop: &TestShop<'_>, customer: &CustomerRef) -> Vec<(Option<Timestamp>, Event)> {
    let rows = whole_journal(shop.store, shop.id, account(shop, customer));
    let events = rows.iter().rev().flat_map(|row| row.events.iter().cloned());
    events.map(|event| (event.at(), event)).collect()
}

pub fn a_birthday_bonus_is_granted_once(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(FULL_PROGRAM)).unwrap();
    let customer = id("1");
    shop.execute(change_action(&customer, birthday_change("1990-05-04")))
        .unwrap();
    assert_eq!(shop.at("2026-05-03T23:59:59Z").balance(&customer), 0);

    let day = shop.at("2026-05-04T00:00:00Z");
    assert_eq!(
        (day.balance(&customer), day.customer(&customer).account().lots().len()),
        (50, 0)
    );
    assert_eq!(
        (
            run_scheduler(&shop.at("2026-05-03T23:59:59Z")),
            run_scheduler(&day),
            run_scheduler(&day)
        ),
        (0, 1, 0)
    );
    assert_eq!(day.customer(&customer).account().lots().len(), 1);

    // Setting the same day is not a change; the next birthday is a year away.
    shop.at("2026-05-04T01:00:00Z")
        .execute(change_action(&customer, birthday_change("1990-05-04")))
        .unwrap();
    assert_eq!(shop.at("2026-05-24T00:00:00Z").balance(&customer), 0, "over after 20 days");
    assert_eq!(shop.at("2027-05-04T00:00:00Z").balance(&customer), 50);

    let expiry = store.due(Timestamp::MAX_UTC, None, 10).unwrap();
    assert_eq!(
        expiry.iter().map(|due| due.at).collect::<Vec<_>>(),
        [at("2026-05-24T00:00:00Z")]
    );
}

/// Runs the scheduler on time, late, and only at the end.
pub fn results_do_not_depend_on_the_scheduler(store: &dyn Store) {
    let events_with = |hours: Option<i64>| {
        let shop = TestShop::new(store);
        shop.execute(publish_action(FULL_PROGRAM)).unwrap();
        let customer = id("1");
        shop.execute(change_action(&customer, birthday_change("1990-02-20")))
            .unwrap();
        let orders = [
            ("2026-01-05T10:00:00Z", "a", "50.00"),
            ("2026-01-10T10:00:00Z", "b", "45.00"),
            ("2026-04-05T10:00:00Z", "c", "10.00"),
        ];
        let mut now = shop.now;
        let mut until = |end: Timestamp| {
            if let Some(hours) = hours {
                while now < end {
                    run_scheduler(&TestShop { now, ..shop });
                    now = Timestamp::from_timestamp(now.timestamp() + hours * 3_600, 0).unwrap();
                }
            }
        };
        for (when, order, total) in orders {
            until(at(when));
            shop.at(when)
                .execute_order(Some(&customer), record_paid(order, total))
                .unwrap();
        }
        until(at("2027-03-01T00:00:00Z"));
        let end = shop.at("2027-03-01T00:00:00Z");
        let (balance, tier) = (end.balance(&customer), end.customer(&customer).tier(end.now));
        run_scheduler(&end);
        assert_eq!(
            (end.balance(&customer), end.customer(&customer).tier(end.now)),
            (balance, tier)
        );
        timed_events(&end, &customer)
    };
    let want = events_with(Some(24));
    let kinds = |wanted: fn(&Event) -> bool| want.iter().filter(|(_, event)| wanted(event)).count();
    assert_eq!(kinds(|event| matches!(event, Event::PointsReleased { .. })), 3);

    // Silver, gold, two birthdays, the goal and an anniversary.
    assert_eq!(kinds(|event| matches!(event, Event::AwardGiven { .. })), 5);
    assert!(kinds(|event| matches!(event, Event::TierChanged { .. })) >= 3);

    for hours in [Some(24 * 7), Some(24 * 45), None] {
        assert_eq!(events_with(hours), want, "{hours:?}");
    }
}

pub fn publishing_a_program_reschedules_accounts(store: &dyn Store) {
    let shop = TestShop::new(store);
    let people: Vec<CustomerRef> = (0..5).map(|number| id(&format!("c{number}"))).collect();

    for customer in &people {
        shop.execute(change_action(customer, birthday_change("1990-03-15")))
            .unwrap();
        shop.execute_commands(customer, vec![add(100)]).unwrap();
    }

    assert_eq!(store.due(Timestamp::MAX_UTC, None, 10).unwrap(), []);

    let february = shop.at("2026-02-01T00:00:00Z");
    february.execute(publish_action(BIRTHDAY_PROGRAM)).unwrap();
    assert_eq!(store.shops_to_reschedule().unwrap(), [shop.id]);

    // Reads are correct before the scheduler runs.
    let march = shop.at("2026-03-15T00:00:00Z");
    assert_eq!(march.balance(&people[0]), 150);

    for left in [true, true, false] {
        february.execute(Action::RescheduleDue { limit: 2 }).unwrap();
        assert_eq!(!store.shops_to_reschedule().unwrap().is_empty(), left);
    }

    let due = store.due(Timestamp::MAX_UTC, None, 10).unwrap();
    assert!(due.len() == 5 && due.iter().all(|due| due.at == march.now), "{due:?}");

    // An event due under an earlier program is decided by it, even if it is recorded
    // later.
    shop.at("2026-03-20T00:00:00Z")
        .execute(publish_action(INACTIVITY_PROGRAM))
        .unwrap();
    assert_eq!(march.balance(&people[1]), 150);
    assert_eq!(shop.at("2026-03-24T23:59:59Z").balance(&people[1]), 150);
    assert_eq!(run_scheduler(&shop.at("2026-03-24T23:59:59Z")), 5);

    let awards = timed_events(&shop, &people[1]);
    let given = awards
        .iter()
        .filter(|(_, event)| matches!(event, Event::AwardGiven { .. }));
    assert_eq!(given.map(|(at, _)| *at).collect::<Vec<_>>(), [Some(march.now)]);
    assert_eq!(
        shop.at("2026-03-25T00:00:00Z").balance(&people[1]),
        0,
        "idle for ten days since the birthday"
    );
    assert_eq!(run_scheduler(&shop.at("2026-04-01T00:00:00Z")), 5);
    assert_eq!(store.due(Timestamp::MAX_UTC, None, 10).unwrap(), []);
}

pub fn a_changed_birthday_or_tag_is_not_retroactive(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(VIP_PROGRAM)).unwrap();
    let (early, late, moved) = (id("early"), id("late"), id("moved"));

    for customer in [&early, &late, &moved] {
        shop.execute(change_action(customer, birthday_change("1990-03-15")))
            .unwrap();
    }

    shop.execute(change_action(&early, tag_change("vip"))).unwrap();
    shop.execute(change_action(&moved, tag_change("vip"))).unwrap();
    let april = shop.at("2026-04-01T00:00:00Z");
    april.execute(change_action(&late, tag_change("vip"))).unwrap();
    assert_eq!((april.balance(&early), april.balance(&late)), (9, 0));

    // The birthday was before its change, and there is one bonus a year.
    april
        .execute(change_action(&moved, birthday_change("1990-06-01")))
        .unwrap();
    assert_eq!(april.customer(&moved).account().totals().granted, Points::from(9));

    april.execute(change_action(&early, tag_change(""))).unwrap();
    assert_eq!(shop.at("2026-12-31T00:00:00Z").balance(&moved), 9);

    let next = shop.at("2027-07-01T00:00:00Z");
    assert_eq!(
        ["early", "late", "moved"].map(|customer| next.balance(&id(customer))),
        [9, 9, 18]
    );

    run_scheduler(&next);
    assert_eq!(
        ["early", "late", "moved"].map(|customer| next.balance(&id(customer))),
        [9, 9, 18]
    );
}

pub fn past_and_future_states_are_read(store: &dyn Store) {
    let shop = TestShop::new(store);
    let ada = id("1");
    shop.at("2026-01-02T00:00:00Z")
        .execute_commands(&ada, vec![add(100)])
        .unwrap();
    shop.at("2026-01-05T00:00:00Z")
        .execute(publish_action(INACTIVITY_PROGRAM))
        .unwrap();
    shop.at("2026-01-20T00:00:00Z")
        .execute_commands(&ada, vec![add(7)])
        .unwrap();
    shop.at("2026-01-25T00:00:00Z")
        .execute(publish_action(FULL_PROGRAM))
        .unwrap();
    let order = shop
        .at("2026-01-26T00:00:00Z")
        .execute_order(Some(&ada), record_paid("a", "95.00"))
        .unwrap();
    let customer = order.customer.unwrap();
    let past = |when: &str| {
        let view = store
            .customer_at(shop.id, account(&shop, &ada), at(when))
            .unwrap()
            .unwrap();
        (view.balance(at(when)).get(), view.pending(at(when)).get())
    };

    for (when, want) in [
        ("2026-01-01T13:00:00Z", (0, 0)),
        ("2026-01-02T00:00:00Z", (100, 0)),
        ("2026-01-11T23:59:59Z", (100, 0)),
        ("2026-01-12T00:00:00Z", (0, 0)),
        ("2026-01-20T00:00:00Z", (7, 0)),
        ("2026-01-26T00:00:00Z", (7, 95)),
    ] {
        assert_eq!(past(when), want, "{when}");
    }

    for (when, want, tier) in [
        ("2026-01-28T23:59:59Z", (7, 95), "gold"),
        ("2026-01-29T00:00:00Z", (102, 0), "gold"),
        ("2026-02-15T00:00:00Z", (7, 0), "gold"),
        ("2026-02-27T23:59:59Z", (7, 0), "gold"),
        ("2026-03-01T00:00:00Z", (7, 0), "-"),
        ("2027-01-26T00:00:00Z", (27, 0), "-"),
    ] {
        let status = customer.tier_status(at(when));
        let current = status.tier.as_ref().map_or("-", |tier| tier.as_str());
        assert_eq!(
            ((customer.balance(at(when)).get(), customer.pending(at(when)).get()), current),
            (want, tier),
            "{when}"
        );
    }
}

pub fn a_friend_is_rewarded_in_the_same_transaction(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(FULL_PROGRAM)).unwrap();
    let (ada, bob) = (id("ada"), id("bob"));

    for customer in [&ada, &bob] {
        shop.execute_commands(customer, vec![]).unwrap();
    }

    let party = |customer: &CustomerRef| ReferralParty {
        account: account(&shop, customer),
        email: None,
        household: BTreeSet::new(),
    };
    shop.execute_commands(
        &bob,
        vec![Command::JoinReferral { referee: party(&bob), referrer: party(&ada) }],
    )
    .unwrap();
    let receipt = shop.execute_order(Some(&bob), record_paid("a", "20.00")).unwrap();
    assert!(
        receipt
            .events
            .iter()
            .all(|event| !matches!(event, Event::AwardGiven { points, .. } if points.get() == 30))
    );
    assert_eq!((shop.balance(&ada), shop.customer(&ada).pending(shop.now).get()), (0, 30));
    assert_eq!(shop.at("2026-01-08T12:00:00Z").balance(&ada), 30);

    shop.at("2026-01-09T12:00:00Z")
        .execute_order(None, refund("a", "r", "20.00"))
        .unwrap();
    assert_eq!(shop.at("2026-01-09T12:00:00Z").balance(&ada), 0);
}

pub fn a_code_is_claimed_once(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(FULL_PROGRAM)).unwrap();
    let (ada, bob) = (id("ada"), id("bob"));
    let enter = |customer: &CustomerRef, code: &str| {
        shop.execute_commands(
            customer,
            vec![Command::EnterCode { code: code.into(), used_by_other: false }],
        )
    };
    enter(&ada, " a ").unwrap();
    assert_eq!(
        [rejection_code(&enter(&bob, "A")), rejection_code(&enter(&ada, "A"))],
        ["unknown_code", "unknown_code"]
    );

    enter(&bob, "b").unwrap();
    assert_eq!((shop.balance(&ada), shop.balance(&bob)), (4, 4));

    // The same entropy gives another customer another code.
    let drawn = |customer: &CustomerRef| {
        let receipt = shop
            .execute_commands(customer, vec![Command::IssueReferralCode { entropy: [0; 10] }])
            .unwrap();
        receipt
            .customer
            .unwrap()
            .account()
            .activity()
            .referral_code()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        (drawn(&ada), drawn(&bob)),
        ("2222222222222222".to_owned(), "2222222222222223".to_owned())
    );
    assert_eq!(
        (drawn(&ada), drawn(&bob)),
        ("2222222222222222".to_owned(), "2222222222222223".to_owned())
    );

    let join = |customer: &CustomerRef, code: &str| {
        shop.execute(Action::JoinReferral {
            customer: customer.clone(),
            change: ProfileChange::default(),
            code: code.to_owned(),
        })
    };
    assert_eq!(rejection_code(&join(&id("cat"), "2222222222222222")), "customer_not_found");

    shop.execute_commands(&id("cat"), vec![]).unwrap();
    assert_eq!(rejection_code(&join(&id("cat"), "2222222222222224")), "referral_code_not_found");
    assert_eq!(rejection_code(&join(&ada, "2222222222222222")), "referral_refused");

    join(&id("cat"), " 2222222222222223").unwrap();
    assert_eq!(
        shop.customer(&id("cat"))
            .account()
            .activity()
            .referral()
            .unwrap()
            .referrer,
        account(&shop, &bob)
    );

    // Codes of another shop are separate.
    let other = TestShop::new(store);
    other.execute(publish_action(FULL_PROGRAM)).unwrap();
    let entered = other.execute_commands(
        &id("dan"),
        vec![Command::EnterCode { code: "A".into(), used_by_other: false }],
    );
    assert_eq!(entered.unwrap().customer.unwrap().balance(other.now), points(4));
}

pub fn a_known_customer_does_not_sign_up(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute_commands(&id("old"), vec![]).unwrap();
    shop.execute(publish_action(FULL_PROGRAM)).unwrap();
    shop.execute_commands(&id("old"), vec![Command::SignUp]).unwrap();
    shop.execute_commands(&email("guest@example.com"), vec![]).unwrap();
    shop.execute_profile(&id_and_email("new", "guest@example.com"), vec![Command::SignUp])
        .unwrap();
    shop.execute_profile(&id_and_email("new", "guest@example.com"), vec![Command::SignUp])
        .unwrap();
    assert_eq!((shop.balance(&id("old")), shop.balance(&id("new"))), (0, 5));
}

pub fn a_dry_run_changes_nothing(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(publish_action(FULL_PROGRAM)).unwrap();
    let actions = [
        change_action(&id("1"), birthday_change("1990-05-04")),
        Action::for_customer(id("1"), Existence::Any, vec![add(5), Command::SignUp]),
        Action::Order {
            command: record_paid("a", "99.00"),
            customer: Some(id("1")),
            change: ProfileChange::default(),
        },
        Action::Order {
            command: refund("a", "r", "98.00"),
            customer: None,
            change: ProfileChange::default(),
        },
        Action::for_customer(id("1"), Existence::Required, vec![subtract(10_000)]),
        publish_action(INACTIVITY_PROGRAM),
        Action::for_customer(id("2"), Existence::Required, vec![add(1)]),
    ];

    for action in actions {
        let before = super::contents::StoreContents::read(store);
        let execute = |dry_run| {
            let request = Request { dry_run, ..shop.request(action.clone()) };
            match store.execute(request).wait().unwrap() {
                Reply::Decided(outcome) => format!("{outcome:?}"),
                Reply::Stored { .. } => panic!("nothing is stored"),
            }
        };
        let tried = execute(true);
        assert_eq!(super::contents::StoreContents::read(store), before);
        assert_eq!(execute(false), tried, "{action:?}");
    }
}
