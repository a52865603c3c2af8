//! Cases for destinations: who gets outgoing events, how far each has got, and what waits.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use loyalty_core::{StoreId, Timestamp};

use super::erasure::erase_completely;
use super::test_shop::*;
use crate::seal::SecretText;
use crate::{
    AdminAction, AdminOutcome, AdminReply, AdminRequest, DEAD_DAYS, Delivery, DeliveryAttempt,
    DeliveryCounts, DeliveryNote, DeliveryState, Destination, DestinationAction, DestinationId,
    DestinationKind, DestinationProgress, DestinationSettings, DestinationState, DestinationUpdate,
    DisableReason, EventPosition, KeyOwner, MAX_DEAD, MAX_WEBHOOK_ENDPOINTS, OutgoingKind,
    Rejection, Store, outgoing_events,
};

const KIND: DestinationKind = DestinationKind::WebhookEndpoint;

fn settings(url: &str) -> DestinationSettings {
    DestinationSettings {
        url: url.to_owned(),
        description: "Our own".to_owned(),
        events: BTreeSet::from([OutgoingKind::PointsAdjusted, OutgoingKind::CustomerCreated]),
        details: None,
    }
}

fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn change(shop: &TestShop<'_>, action: DestinationAction) -> Result<AdminOutcome, Rejection> {
    let action = AdminAction::Destination(action);
    let request = AdminRequest::new(KeyOwner::Shop(shop.id), shop.now, action);
    match shop.store.administer(request).unwrap() {
        AdminReply::Decided(outcome) => outcome,
        AdminReply::Stored { .. } => panic!("without an idempotency key"),
    }
}

fn changed(shop: &TestShop<'_>, action: DestinationAction) -> Destination {
    match change(shop, action).unwrap() {
        AdminOutcome::Destination(destination) => *destination,
        other => panic!("{other:?}"),
    }
}

fn create(shop: &TestShop<'_>) -> Destination {
    let settings = settings("https://a.example/hook");
    changed(
        shop,
        DestinationAction::Create {
            kind: KIND,
            settings,
            secret: secret("first"),
            is_enabled: true,
        },
    )
}

fn update(shop: &TestShop<'_>, id: DestinationId, update: DestinationUpdate) -> Destination {
    changed(shop, DestinationAction::Update { id, kind: KIND, update })
}

fn enable(is_enabled: bool) -> DestinationUpdate {
    DestinationUpdate { is_enabled: Some(is_enabled), ..DestinationUpdate::default() }
}

fn progress(shop: &TestShop<'_>, id: DestinationId) -> DestinationProgress {
    shop.store.destination_progress(shop.id, id).unwrap().unwrap()
}

fn deliveries(shop: &TestShop<'_>, id: DestinationId, are_waiting: bool) -> Vec<Delivery> {
    shop.store.deliveries(shop.id, id, are_waiting, None, 20_000).unwrap()
}

/// The places of the events of the shop that the journal has.
fn events(shop: &TestShop<'_>) -> Vec<Delivery> {
    let rows = shop.store.journal(shop.id, 0, 10_000).unwrap();
    let events = rows.iter().flat_map(|row| outgoing_events(row));
    events
        .map(|event| Delivery {
            destination: DestinationId(0),
            event: EventPosition { seq: event.row.seq, index: event.index },
            account: event.row.account,
            state: DeliveryState::Waiting { due_at: shop.now },
            attempts: 1,
            last: None,
        })
        .collect()
}

fn note(shop: &TestShop<'_>, id: DestinationId) -> DeliveryNote {
    DeliveryNote {
        destination: id,
        now: shop.now,
        cursor: 0,
        failing_since: None,
        last_success_at: None,
        last_failure: None,
        recovery: None,
        put: Vec::new(),
        remove: Vec::new(),
        disable: None,
    }
}

fn dead(delivery: &Delivery, id: DestinationId, at: Timestamp) -> Delivery {
    let state = DeliveryState::Dead { at };
    Delivery { destination: id, state, attempts: 10, ..delivery.clone() }
}

pub fn a_destination_is_made_changed_and_deleted(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    shop.execute_commands(&id("1"), vec![add(5)]).unwrap();
    let before = store.destinations_revision().unwrap();
    let created = create(&shop);
    assert_ne!(store.destinations_revision().unwrap(), before);
    assert_eq!(created.state, DestinationState::Enabled);
    assert!(created.wants(OutgoingKind::PointsAdjusted));
    assert!(!created.wants(OutgoingKind::PointsSpent));
    assert_eq!(store.destinations(shop.id).unwrap(), std::slice::from_ref(&created));
    assert!(store.all_destinations().unwrap().contains(&created));

    // It gets what happens from now on.
    let end = *store.committed_position().borrow();
    assert_eq!(progress(&shop, created.id).cursor, end);

    let later = shop.at("2026-01-02T12:00:00Z");
    let url = Some("https://b.example/".to_owned());
    let after =
        update(&later, created.id, DestinationUpdate { url, ..DestinationUpdate::default() });
    assert_eq!((&*after.settings.url, after.updated_at), ("https://b.example/", later.now));
    assert_eq!(after.settings.events, created.settings.events);
    let disabled = update(&later, created.id, enable(false));
    let reason = DisableReason::Requested;
    assert_eq!(disabled.state, DestinationState::Disabled { reason, at: later.now });
    // Once is enough.
    assert_eq!(update(&shop.at("2026-01-03T12:00:00Z"), created.id, enable(false)), disabled);
    assert!(update(&later, created.id, enable(true)).is_enabled());

    // One of another shop or kind is not known.
    let delete = |kind: DestinationKind| DestinationAction::Delete { id: created.id, kind };
    let unknown = Err(Rejection::WebhookEndpointNotFound);
    assert_eq!(change(&elsewhere, delete(KIND)), unknown);
    let of_store = change(&shop, delete(DestinationKind::Store(StoreId::plugin())));
    assert_eq!(of_store, Err(Rejection::StoreNotFound));
    assert_eq!(store.destination_progress(elsewhere.id, created.id), Ok(None));

    assert_eq!(change(&shop, delete(KIND)), Ok(AdminOutcome::Deleted));
    assert_eq!(change(&shop, delete(KIND)), unknown);
    assert_eq!(store.destinations(shop.id).unwrap(), []);
    // Its number is not used again, and late notes about it are passed over.
    store
        .note_deliveries(&[DeliveryNote { cursor: end, ..note(&shop, created.id) }])
        .unwrap();
    assert_eq!(store.destination_progress(shop.id, created.id), Ok(None));
    assert!(create(&shop).id > created.id);
}

pub fn the_secrets_of_a_destination_rotate(store: &dyn Store) {
    let shop = TestShop::new(store);
    let created = create(&shop);
    let valid = |destination: &Destination, now: &str| -> Vec<String> {
        let secrets = destination.valid_secrets(at(now));
        secrets.map(|secret| secret.expose().to_owned()).collect()
    };
    let rotate = |shop: &TestShop<'_>, text: &str| {
        let (id, secret, grace) = (created.id, secret(text), TimeDelta::hours(1));
        changed(shop, DestinationAction::RotateSecret { id, kind: KIND, secret, grace })
    };
    let rotated = rotate(&shop, "second");
    assert_eq!(valid(&rotated, "2026-01-01T12:59:59Z"), ["second", "first"]);
    assert_eq!(valid(&rotated, "2026-01-01T13:00:00Z"), ["second"]);
    // Two are alive at most.
    let rotated = rotate(&shop.at("2026-01-01T12:30:00Z"), "third");
    assert_eq!(valid(&rotated, "2026-01-01T12:30:00Z"), ["third", "second"]);
    let rotated = rotate(&shop.at("2026-01-03T12:00:00Z"), "fourth");
    assert_eq!(valid(&rotated, "2026-01-03T12:00:00Z"), ["fourth", "third"]);
    assert_eq!(store.destinations(shop.id).unwrap(), [rotated]);
}

pub fn the_number_of_endpoints_is_bounded(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    for _ in 0..MAX_WEBHOOK_ENDPOINTS {
        create(&shop);
    }
    let settings = settings("https://a.example/hook");
    let one_more = DestinationAction::Create {
        kind: KIND,
        settings: settings.clone(),
        secret: secret("s"),
        is_enabled: true,
    };
    let too_many = Rejection::TooManyWebhookEndpoints { limit: MAX_WEBHOOK_ENDPOINTS };
    assert_eq!(change(&shop, one_more), Err(too_many));
    create(&elsewhere);

    // Stores are counted apart, and each is there once.
    let kind = DestinationKind::Store(StoreId::plugin());
    let connect =
        DestinationAction::Create { kind, settings, secret: secret("key"), is_enabled: true };
    assert!(change(&shop, connect.clone()).is_ok());
    assert_eq!(change(&shop, connect), Err(Rejection::StoreConnected));
}

pub fn a_note_moves_a_destination_on(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    let destination = create(&shop).id;
    for customer in ["1", "2"] {
        shop.execute_commands(&id(customer), vec![add(5)]).unwrap();
    }
    let all: Vec<_> = events(&shop)
        .into_iter()
        .map(|delivery| Delivery { destination, ..delivery })
        .collect();
    let last = all.last().unwrap().event.seq;

    let attempt = DeliveryAttempt {
        at: shop.now,
        status: Some(500),
        reason: "the answer was 500".to_owned(),
        answer: "Oops".to_owned(),
    };
    let failed = Delivery { last: Some(attempt.clone()), ..all[0].clone() };
    let first = DeliveryNote {
        cursor: last,
        failing_since: Some(shop.now),
        last_failure: Some(attempt.clone()),
        put: vec![all[2].clone(), failed.clone()],
        ..note(&shop, destination)
    };
    store.note_deliveries(&[first]).unwrap();
    // In the order of the journal.
    assert_eq!(deliveries(&shop, destination, true), [failed.clone(), all[2].clone()]);
    let behind = store.deliveries(shop.id, destination, true, Some(all[0].event), 1);
    assert_eq!(behind.unwrap(), [all[2].clone()]);
    let counts = DeliveryCounts { waiting: 2, dead: 0 };
    assert_eq!(store.count_deliveries(shop.id, destination), Ok(counts));
    assert_eq!(store.delivery(shop.id, destination, all[0].event), Ok(Some(failed)));
    let noted = progress(&shop, destination);
    assert_eq!((noted.cursor, noted.failing_since), (last, Some(shop.now)));
    // The answer is beside the delivery only, where erasure finds it.
    let without_answer = DeliveryAttempt { answer: String::new(), ..attempt };
    assert_eq!(noted.last_failure, Some(without_answer.clone()));

    // Not of another shop.
    assert_eq!(store.deliveries(elsewhere.id, destination, true, None, 9), Ok(Vec::new()));
    assert_eq!(store.delivery(elsewhere.id, destination, all[0].event), Ok(None));
    let none = store.count_deliveries(elsewhere.id, destination);
    assert_eq!(none, Ok(DeliveryCounts::default()));

    // The cursor does not go back, one is done, and one is given up.
    let given_up = dead(&all[2], destination, shop.now);
    let second = DeliveryNote {
        cursor: 1,
        last_success_at: Some(shop.now),
        put: vec![given_up.clone()],
        remove: vec![all[0].event],
        ..note(&shop, destination)
    };
    store.note_deliveries(&[second]).unwrap();
    assert_eq!(deliveries(&shop, destination, true), []);
    assert_eq!(deliveries(&shop, destination, false), [given_up]);
    let want = DestinationProgress {
        cursor: last,
        last_success_at: Some(shop.now),
        last_failure: Some(without_answer),
        given_up: 1,
        ..DestinationProgress::default()
    };
    assert_eq!(progress(&shop, destination), want);
}

pub fn a_note_overwrites_no_change(store: &dyn Store) {
    let shop = TestShop::new(store);
    let created = create(&shop);
    let disable = |version| DeliveryNote {
        disable: Some((DisableReason::Gone, version)),
        ..note(&shop, created.id)
    };
    // The shop has given another URL meanwhile.
    let url = Some("https://b.example/".to_owned());
    let later = shop.at("2026-01-02T12:00:00Z");
    let changed = DestinationUpdate { url, ..DestinationUpdate::default() };
    let after = update(&later, created.id, changed);
    store.note_deliveries(&[disable(created.updated_at)]).unwrap();
    assert_eq!(store.destinations(shop.id).unwrap(), std::slice::from_ref(&after));

    store.note_deliveries(&[disable(after.updated_at)]).unwrap();
    let found = store.destinations(shop.id).unwrap().remove(0);
    let reason = DisableReason::Gone;
    assert_eq!(found.state, DestinationState::Disabled { reason, at: shop.now });
    assert_eq!(found.secrets, after.secrets);

    // Enabled again, the days of failures begin anew.
    let failing = DeliveryNote { failing_since: Some(shop.now), ..note(&shop, created.id) };
    store.note_deliveries(&[failing]).unwrap();
    update(&later, created.id, enable(true));
    assert_eq!(progress(&shop, created.id).failing_since, None);
}

pub fn an_event_is_sent_again(store: &dyn Store) {
    let (shop, elsewhere) = (TestShop::new(store), TestShop::new(store));
    for shop in [&shop, &elsewhere] {
        shop.execute_commands(&id("1"), vec![add(5)]).unwrap();
    }
    let destination = create(&shop).id;
    let resend =
        |event| change(&shop, DestinationAction::Resend { id: destination, kind: KIND, event });
    let (own, others) = (events(&shop), events(&elsewhere));
    let given_up = dead(&own[1], destination, shop.now);
    let given_up = DeliveryNote { put: vec![given_up], ..note(&shop, destination) };
    store.note_deliveries(&[given_up]).unwrap();

    // One that was given up, and one that was not even sent.
    let before = store.destinations_revision().unwrap();
    for delivery in &own[..2] {
        resend(delivery.event).unwrap();
    }
    assert_ne!(store.destinations_revision().unwrap(), before);
    let waiting = deliveries(&shop, destination, true);
    let want = own[..2].iter();
    let want: Vec<_> = want
        .map(|delivery| Delivery { destination, attempts: 0, ..delivery.clone() })
        .collect();
    assert_eq!(waiting, want);
    assert_eq!(deliveries(&shop, destination, false), []);

    let no_event = EventPosition { index: 9, ..own[0].event };
    let no_row = EventPosition { seq: 1_000_000, index: 0 };
    for event in [others[0].event, no_event, no_row] {
        assert_eq!(resend(event), Err(Rejection::DeliveryNotFound), "{event:?}");
    }
}

pub fn a_range_is_recovered(store: &dyn Store) {
    let shop = TestShop::new(store);
    for day in ["2026-01-01", "2026-01-05", "2026-01-09"] {
        let shop = shop.at(&format!("{day}T12:00:00Z"));
        shop.execute_commands(&id("1"), vec![add(5)]).unwrap();
    }
    let destination = create(&shop.at("2026-01-10T12:00:00Z")).id;
    let end = progress(&shop, destination).cursor;
    let recover = |since: &str| {
        let (id, since) = (destination, at(since));
        changed(&shop, DestinationAction::Recover { id, kind: KIND, since });
        progress(&shop, destination).recovery.unwrap()
    };
    let rows = store.journal(shop.id, 0, 100).unwrap();
    for (since, first) in [
        ("2025-01-01T00:00:00Z", "2026-01-01T12:00:00Z"),
        ("2026-01-05T12:00:00Z", "2026-01-05T12:00:00Z"),
        ("2026-01-05T13:00:01Z", "2026-01-09T12:00:00Z"),
        ("2026-02-01T00:00:00Z", ""),
    ] {
        let recovery = recover(since);
        let found = rows.iter().find(|row| row.seq > recovery.after);
        assert_eq!(found.map(|row| row.at), first.parse().ok(), "{since}");
        assert_eq!((recovery.since, recovery.until), (at(since), end));
    }

    let recovery = recover("2025-01-01T00:00:00Z");
    assert_eq!(recovery.number, 5);
    // A note about one that was replaced changes nothing.
    let noted = |number, after| {
        let note = DeliveryNote { recovery: Some((number, after)), ..note(&shop, destination) };
        store.note_deliveries(&[note]).unwrap();
        progress(&shop, destination).recovery
    };
    assert_eq!(noted(4, end), Some(recovery));
    let after = recovery.after.max(1);
    assert_eq!(noted(5, after), Some(crate::Recovery { after, ..recovery }));
    assert_eq!(noted(5, end), None);
}

pub fn what_is_given_up_is_kept_for_a_time(store: &dyn Store) {
    let shop = TestShop::new(store);
    let destination = create(&shop).id;
    shop.execute_commands(&id("1"), vec![add(1)]).unwrap();
    let row = shop.store.journal(shop.id, 0, 1).unwrap().remove(0);
    // A store does not look whether a row has so many events.
    let limit = MAX_DEAD + 5;
    let all: Vec<_> = (0..u16::try_from(limit).unwrap())
        .map(|index| Delivery {
            destination,
            event: EventPosition { seq: row.seq, index },
            account: row.account,
            state: DeliveryState::Dead { at: shop.now },
            attempts: 10,
            last: None,
        })
        .collect();
    let give_up = |shop: &TestShop<'_>, put: Vec<Delivery>| {
        shop.store
            .note_deliveries(&[DeliveryNote { put, ..note(shop, destination) }])
            .unwrap();
    };
    give_up(&shop, all.clone());
    let kept = deliveries(&shop, destination, false);
    assert_eq!(kept.first(), all.get(5), "the newest are kept");
    assert_eq!(kept.len(), MAX_DEAD);

    let later = TestShop {
        now: shop.now + TimeDelta::days(DEAD_DAYS) + TimeDelta::hours(1),
        ..shop
    };
    let newest = dead(&all[0], destination, later.now);
    give_up(&later, vec![newest.clone()]);
    assert_eq!(deliveries(&shop, destination, false), [newest]);
    let counted = progress(&shop, destination).given_up;
    assert_eq!(counted, u64::try_from(limit + 1).unwrap(), "all are counted");
}

pub fn erasure_clears_what_receivers_have_said(store: &dyn Store) {
    let shop = TestShop::new(store);
    let destination = create(&shop).id;
    for customer in ["1", "2"] {
        shop.execute_commands(&id(customer), vec![add(5)]).unwrap();
    }
    let attempt = DeliveryAttempt {
        at: shop.now,
        status: Some(422),
        reason: "the answer was 422".to_owned(),
        answer: "customer 1 is unknown".to_owned(),
    };
    let put: Vec<_> = events(&shop)
        .into_iter()
        .map(|delivery| Delivery { destination, last: Some(attempt.clone()), ..delivery })
        .collect();
    let cursor = *store.committed_position().borrow();
    let noted = DeliveryNote { cursor, put, ..note(&shop, destination) };
    store.note_deliveries(&[noted]).unwrap();

    let erased = shop.customer(&id("1")).record().account;
    erase_completely(&shop, &id("1"));
    for delivery in deliveries(&shop, destination, true) {
        let answer = delivery.last.map(|last| last.answer).unwrap_or_default();
        assert_eq!(answer.is_empty(), delivery.account == Some(erased));
    }
}
