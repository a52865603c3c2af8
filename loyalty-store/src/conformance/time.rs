//! Time: what it brings about is right at every read, and is written down once, whenever somebody does.

use std::collections::BTreeSet;

use super::desk::*;
use crate::{
    Action, Change, DueAccount, EmailConflict, Presence, ProfileChange, Reply, Request, Store, Who,
};
use loyalty_core::{AccountId, Command, Event, ReferralParty, Points, Tag, Timestamp};

use super::picture::ledger;

/// Programs that have much to do with time.
pub const PROGRAMS: [&str; 4] = [FULL, IDLE, BIRTHDAY, VIPS];

pub const FULL: &str = r#"{
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
pub const IDLE: &str = r#"{"expiry": {"inactivity": {"after": "P10D"}}}"#;
const BIRTHDAY: &str =
    r#"{"actions": [{"id": "cake", "kind": {"birthday": {"notice_days": 1}}, "points": 50}]}"#;
const VIPS: &str = r#"{
    "tiers": [{"id": "club", "name": "Club", "threshold": "10"}],
    "tiering": {"window": {"rolling": "P1M"}},
    "actions": [{"id": "cake", "kind": "birthday", "points": 9, "when": {"customer_tags": ["vip"]}},
                {"id": "club", "kind": {"goal_spend": "20"}, "points": 3, "when": {"tiers": ["club"]}}]
}"#;

pub fn born(day: &str) -> ProfileChange {
    ProfileChange {
        birthday: Change::Set(day.parse().ok()),
        ..ProfileChange::default()
    }
}

fn tagged(tag: &str) -> ProfileChange {
    let tags = if tag.is_empty() { vec![] } else { vec![Tag::new(tag).unwrap()] };
    ProfileChange {
        tags: Some(tags.into_iter().collect()),
        ..ProfileChange::default()
    }
}

pub fn changed(who: &Who, change: ProfileChange) -> Action {
    Action::Customer {
        who: who.clone(),
        presence: Presence::May,
        change,
        conflict: EmailConflict::Refuse,
        if_match: None,
        commands: vec![],
    }
}

/// What the scheduler does: all that is due is written down, after what is not known yet is found.
pub fn tick(desk: &Desk<'_>) -> usize {
    for shop in desk.store.unsettled().unwrap() {
        while desk.store.unsettled().unwrap().contains(&shop) {
            Desk { shop, ..*desk }.act(Action::FindDue { limit: 2 }).unwrap();
        }
    }
    let (mut after, mut count) = (None, 0);
    loop {
        let page = desk.store.due(desk.now, after, 3).unwrap();
        let Some(last) = page.last() else { return count };
        after = Some(*last);
        count += page.len();
        for DueAccount { shop, account, .. } in page {
            Desk { shop, ..*desk }.act(Action::CatchUp(account)).unwrap();
        }
    }
}

fn account(desk: &Desk<'_>, who: &Who) -> AccountId {
    desk.see(who).record().account
}

/// All events of an account with their instants, but for facts of orders, which have the shop's own.
fn happened(desk: &Desk<'_>, who: &Who) -> Vec<(Option<Timestamp>, Event)> {
    let rows = ledger(desk.store, desk.shop, account(desk, who));
    let events = rows.iter().rev().flat_map(|row| row.events.iter().cloned());
    events.map(|event| (event.at(), event)).collect()
}

pub fn a_birthday_is_given_once_whoever_looks(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.act(publish(FULL)).unwrap();
    let who = id("1");
    desk.act(changed(&who, born("1990-05-04"))).unwrap();
    assert_eq!(desk.at("2026-05-03T23:59:59Z").balance(&who), 0);
    let day = desk.at("2026-05-04T00:00:00Z");
    assert_eq!((day.balance(&who), day.see(&who).account().lots().len()), (50, 0));
    assert_eq!((tick(&desk.at("2026-05-03T23:59:59Z")), tick(&day), tick(&day)), (0, 1, 0));
    assert_eq!(day.see(&who).account().lots().len(), 1);
    // The same day told again is no change; the next is a year away.
    desk.at("2026-05-04T01:00:00Z")
        .act(changed(&who, born("1990-05-04")))
        .unwrap();
    assert_eq!(desk.at("2026-05-24T00:00:00Z").balance(&who), 0, "over after 20 days");
    assert_eq!(desk.at("2027-05-04T00:00:00Z").balance(&who), 50);
    let expiry = store.due(Timestamp::MAX_UTC, None, 10).unwrap();
    assert_eq!(
        expiry.iter().map(|due| due.at).collect::<Vec<_>>(),
        [at("2026-05-24T00:00:00Z")]
    );
}

/// The scheduler on time, late, and off until the end.
pub fn on_time_late_or_never_is_the_same(store: &dyn Store) {
    let told_by = |hours: Option<i64>| {
        let desk = Desk::new(store);
        desk.act(publish(FULL)).unwrap();
        let who = id("1");
        desk.act(changed(&who, born("1990-02-20"))).unwrap();
        let told = [
            ("2026-01-05T10:00:00Z", "a", "50.00"),
            ("2026-01-10T10:00:00Z", "b", "45.00"),
            ("2026-04-05T10:00:00Z", "c", "10.00"),
        ];
        let mut now = desk.now;
        let mut until = |end: Timestamp| {
            if let Some(hours) = hours {
                while now < end {
                    tick(&Desk { now, ..desk });
                    now = Timestamp::from_timestamp(now.timestamp() + hours * 3_600, 0).unwrap();
                }
            }
        };
        for (when, order, total) in told {
            until(at(when));
            desk.at(when).order(Some(&who), paid(order, total)).unwrap();
        }
        until(at("2027-03-01T00:00:00Z"));
        let end = desk.at("2027-03-01T00:00:00Z");
        let (balance, tier) = (end.balance(&who), end.see(&who).tier(end.now));
        tick(&end);
        assert_eq!((end.balance(&who), end.see(&who).tier(end.now)), (balance, tier));
        happened(&end, &who)
    };
    let want = told_by(Some(24));
    let kinds = |wanted: fn(&Event) -> bool| want.iter().filter(|(_, event)| wanted(event)).count();
    assert_eq!(kinds(|event| matches!(event, Event::PointsReleased { .. })), 3);
    // Silver, gold, birthday twice, the goal, an anniversary.
    assert_eq!(kinds(|event| matches!(event, Event::AwardGiven { .. })), 5);
    assert!(kinds(|event| matches!(event, Event::TierChanged { .. })) >= 3);
    for hours in [Some(24 * 7), Some(24 * 45), None] {
        assert_eq!(told_by(hours), want, "{hours:?}");
    }
}

pub fn a_publication_moves_what_is_due(store: &dyn Store) {
    let desk = Desk::new(store);
    let people: Vec<Who> = (0..5).map(|number| id(&format!("c{number}"))).collect();
    for who in &people {
        desk.act(changed(who, born("1990-03-15"))).unwrap();
        desk.tell(who, vec![add(100)]).unwrap();
    }
    assert_eq!(store.due(Timestamp::MAX_UTC, None, 10).unwrap(), []);
    let february = desk.at("2026-02-01T00:00:00Z");
    february.act(publish(BIRTHDAY)).unwrap();
    assert_eq!(store.unsettled().unwrap(), [desk.shop]);
    // Reads are right before anybody has looked.
    let march = desk.at("2026-03-15T00:00:00Z");
    assert_eq!(march.balance(&people[0]), 150);
    for left in [true, true, false] {
        february.act(Action::FindDue { limit: 2 }).unwrap();
        assert_eq!(!store.unsettled().unwrap().is_empty(), left);
    }
    let due = store.due(Timestamp::MAX_UTC, None, 10).unwrap();
    assert!(due.len() == 5 && due.iter().all(|due| due.at == march.now), "{due:?}");
    // What was due under a former program is decided under it, also where it comes to light later.
    desk.at("2026-03-20T00:00:00Z").act(publish(IDLE)).unwrap();
    assert_eq!(march.balance(&people[1]), 150);
    assert_eq!(desk.at("2026-03-24T23:59:59Z").balance(&people[1]), 150);
    assert_eq!(tick(&desk.at("2026-03-24T23:59:59Z")), 5);
    let awards = happened(&desk, &people[1]);
    let given = awards
        .iter()
        .filter(|(_, event)| matches!(event, Event::AwardGiven { .. }));
    assert_eq!(given.map(|(at, _)| *at).collect::<Vec<_>>(), [Some(march.now)]);
    assert_eq!(
        desk.at("2026-03-25T00:00:00Z").balance(&people[1]),
        0,
        "idle for ten days since the birthday"
    );
    assert_eq!(tick(&desk.at("2026-04-01T00:00:00Z")), 5);
    assert_eq!(store.due(Timestamp::MAX_UTC, None, 10).unwrap(), []);
}

pub fn a_changed_birthday_or_tag_reaches_no_further_back(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.act(publish(VIPS)).unwrap();
    let (early, late, moved) = (id("early"), id("late"), id("moved"));
    for who in [&early, &late, &moved] {
        desk.act(changed(who, born("1990-03-15"))).unwrap();
    }
    desk.act(changed(&early, tagged("vip"))).unwrap();
    desk.act(changed(&moved, tagged("vip"))).unwrap();
    let april = desk.at("2026-04-01T00:00:00Z");
    april.act(changed(&late, tagged("vip"))).unwrap();
    assert_eq!((april.balance(&early), april.balance(&late)), (9, 0));
    // Its birthday had come before it was changed, and one a year is enough.
    april.act(changed(&moved, born("1990-06-01"))).unwrap();
    assert_eq!(april.see(&moved).account().totals().granted, Points::from(9));
    april.act(changed(&early, tagged(""))).unwrap();
    assert_eq!(desk.at("2026-12-31T00:00:00Z").balance(&moved), 9);
    let next = desk.at("2027-07-01T00:00:00Z");
    assert_eq!(["early", "late", "moved"].map(|who| next.balance(&id(who))), [9, 9, 18]);
    tick(&next);
    assert_eq!(["early", "late", "moved"].map(|who| next.balance(&id(who))), [9, 9, 18]);
}

pub fn what_was_and_what_will_be(store: &dyn Store) {
    let desk = Desk::new(store);
    let who = id("1");
    desk.at("2026-01-02T00:00:00Z").tell(&who, vec![add(100)]).unwrap();
    desk.at("2026-01-05T00:00:00Z").act(publish(IDLE)).unwrap();
    desk.at("2026-01-20T00:00:00Z").tell(&who, vec![add(7)]).unwrap();
    desk.at("2026-01-25T00:00:00Z").act(publish(FULL)).unwrap();
    let order = desk
        .at("2026-01-26T00:00:00Z")
        .order(Some(&who), paid("a", "95.00"))
        .unwrap();
    let customer = order.customer.unwrap();
    let past = |when: &str| {
        let view = store
            .customer_at(desk.shop, account(&desk, &who), at(when))
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
        let held = status.tier.as_ref().map_or("-", |tier| tier.as_str());
        assert_eq!(
            ((customer.balance(at(when)).get(), customer.pending(at(when)).get()), held),
            (want, tier),
            "{when}"
        );
    }
}

pub fn a_friend_is_rewarded_in_the_same_transaction(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.act(publish(FULL)).unwrap();
    let (ada, bob) = (id("ada"), id("bob"));
    for who in [&ada, &bob] {
        desk.tell(who, vec![]).unwrap();
    }
    let party = |who: &Who| ReferralParty {
        account: account(&desk, who),
        email: None,
        household: BTreeSet::new(),
    };
    desk.tell(&bob, vec![Command::JoinReferral { referee: party(&bob), referrer: party(&ada) }])
        .unwrap();
    let receipt = desk.order(Some(&bob), paid("a", "20.00")).unwrap();
    assert!(
        receipt
            .events
            .iter()
            .all(|event| !matches!(event, Event::AwardGiven { points, .. } if points.get() == 30))
    );
    assert_eq!((desk.balance(&ada), desk.see(&ada).pending(desk.now).get()), (0, 30));
    assert_eq!(desk.at("2026-01-08T12:00:00Z").balance(&ada), 30);
    desk.at("2026-01-09T12:00:00Z")
        .order(None, refund("a", "r", "20.00"))
        .unwrap();
    assert_eq!(desk.at("2026-01-09T12:00:00Z").balance(&ada), 0);
}

pub fn a_name_is_claimed_once(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.act(publish(FULL)).unwrap();
    let (ada, bob) = (id("ada"), id("bob"));
    let enter = |who: &Who, code: &str| {
        desk.tell(who, vec![Command::EnterCode { code: code.into(), used_by_other: false }])
    };
    enter(&ada, " a ").unwrap();
    assert_eq!(
        [code(&enter(&bob, "A")), code(&enter(&ada, "A"))],
        ["unknown_code", "unknown_code"]
    );
    enter(&bob, "b").unwrap();
    assert_eq!((desk.balance(&ada), desk.balance(&bob)), (4, 4));
    // The same bits drawn again make another code, for whom there is none yet.
    let drawn = |who: &Who| {
        let receipt = desk
            .tell(who, vec![Command::IssueReferralCode { entropy: [0; 10] }])
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
    let join = |who: &Who, code: &str| {
        desk.act(Action::JoinReferral {
            who: who.clone(),
            change: ProfileChange::default(),
            code: code.to_owned(),
        })
    };
    assert_eq!(code(&join(&id("cat"), "2222222222222222")), "customer_not_found");
    desk.tell(&id("cat"), vec![]).unwrap();
    assert_eq!(code(&join(&id("cat"), "2222222222222224")), "referral_code_not_found");
    assert_eq!(code(&join(&ada, "2222222222222222")), "referral_refused");
    join(&id("cat"), " 2222222222222223").unwrap();
    assert_eq!(
        desk.see(&id("cat")).account().activity().referral().unwrap().referrer,
        account(&desk, &bob)
    );
    // Another shop has names of its own.
    let other = Desk::new(store);
    other.act(publish(FULL)).unwrap();
    let entered =
        other.tell(&id("dan"), vec![Command::EnterCode { code: "A".into(), used_by_other: false }]);
    assert_eq!(entered.unwrap().customer.unwrap().balance(other.now), points(4));
}

pub fn who_is_known_does_not_sign_up(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.tell(&id("old"), vec![]).unwrap();
    desk.act(publish(FULL)).unwrap();
    desk.tell(&id("old"), vec![Command::SignUp]).unwrap();
    desk.tell(&email("guest@example.com"), vec![]).unwrap();
    desk.tell(&both("new", "guest@example.com"), vec![Command::SignUp])
        .unwrap();
    desk.tell(&both("new", "guest@example.com"), vec![Command::SignUp])
        .unwrap();
    assert_eq!((desk.balance(&id("old")), desk.balance(&id("new"))), (0, 5));
}

pub fn what_is_only_tried_changes_nothing(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.act(publish(FULL)).unwrap();
    let actions = [
        changed(&id("1"), born("1990-05-04")),
        Action::customer(id("1"), Presence::May, vec![add(5), Command::SignUp]),
        Action::Order {
            command: paid("a", "99.00"),
            customer: Some(id("1")),
            change: ProfileChange::default(),
        },
        Action::Order {
            command: refund("a", "r", "98.00"),
            customer: None,
            change: ProfileChange::default(),
        },
        Action::customer(id("1"), Presence::Must, vec![subtract(10_000)]),
        publish(IDLE),
        Action::customer(id("2"), Presence::Must, vec![add(1)]),
    ];
    for action in actions {
        let before = super::picture::Picture::of(store);
        let told = |dry_run| {
            let request = Request { dry_run, ..desk.request(action.clone()) };
            match store.execute(request).wait().unwrap() {
                Reply::Decided(outcome) => format!("{outcome:?}"),
                Reply::Kept { .. } => panic!("nothing is kept"),
            }
        };
        let tried = told(true);
        assert_eq!(super::picture::Picture::of(store), before);
        assert_eq!(told(false), tried, "{action:?}");
    }
}
