//! The sender with receivers on this machine: order, bad days, and what is noted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "a test may stop at what it did not expect"
)]

mod receiver;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, ShopId, Timestamp, Zone};
use loyalty_http::Clock;
use loyalty_http::outbound::OutboundClient;
use loyalty_http::sender::{Sender, SenderSettings};
use loyalty_store::seal::SecretText;
use loyalty_store::{
    Action, AdminAction, AdminOutcome, AdminReply, AdminRequest, CustomerRef, Deliveries,
    Destination, DestinationAction, DestinationId, DestinationKind, DestinationSettings,
    DestinationState, DestinationUpdate, DisableReason, Existence, KeyOwner, MemoryStore, NewShop,
    OutgoingKind, Request, Store, outgoing_events,
};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use receiver::{Answer, Message, Receiver};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";
const KIND: DestinationKind = DestinationKind::WebhookEndpoint;

/// A store with a shop, and a sender that can be stopped and started again.
struct World {
    store: Arc<MemoryStore>,
    shop: ShopId,
    runtime: Runtime,
    settings: SenderSettings,
    sender: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    allowed: &'static str,
}

fn fast() -> SenderSettings {
    SenderSettings {
        backoff: vec![Duration::from_millis(20); 4],
        note_interval: Duration::from_millis(20),
        probe: (Duration::from_millis(20), Duration::from_millis(40)),
        stop_grace: Duration::from_secs(2),
        ..SenderSettings::default()
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

impl World {
    fn new(settings: SenderSettings) -> Self {
        let store = Arc::new(MemoryStore::default());
        let shop = NewShop {
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
        };
        let shop = store.create_shop(&shop, now()).unwrap().id;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self {
            store,
            shop,
            runtime,
            settings,
            sender: None,
            allowed: "127.0.0.0/8",
        }
    }

    fn start(&mut self) {
        let client = OutboundClient::new(Arc::from([self.allowed.parse().unwrap()]));
        let store: Arc<dyn Store> = self.store.clone();
        let _entered = self.runtime.enter();
        let sender = Sender::new(store, client, Clock::system(), self.settings.clone()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = Arc::new(sender).run(async {
            let _ = stopped.await;
        });
        self.sender = Some((stop, self.runtime.spawn(run)));
    }

    fn stop(&mut self) {
        let (stop, run) = self.sender.take().unwrap();
        drop(stop);
        self.runtime.block_on(run).unwrap();
    }

    /// Ends the sender where it is, as a crash does.
    fn kill(&mut self) {
        let (_stop, run) = self.sender.take().unwrap();
        run.abort();
        assert!(self.runtime.block_on(run).is_err());
    }

    fn change(&self, action: DestinationAction) -> Destination {
        let request =
            AdminRequest::new(KeyOwner::Shop(self.shop), now(), AdminAction::Destination(action));
        match self.store.administer(request).unwrap() {
            AdminReply::Decided(Ok(AdminOutcome::Destination(destination))) => *destination,
            other => panic!("{other:?}"),
        }
    }

    fn endpoint(&self, url: &str, events: &[OutgoingKind]) -> DestinationId {
        let settings = DestinationSettings {
            url: url.to_owned(),
            description: String::new(),
            events: events.iter().copied().collect(),
            details: None,
        };
        let secret = SecretText::new(SECRET.to_owned());
        self.change(DestinationAction::Create { kind: KIND, settings, secret, is_enabled: true })
            .id
    }

    fn enable(&self, id: DestinationId) {
        let update = DestinationUpdate { is_enabled: Some(true), ..DestinationUpdate::default() };
        self.change(DestinationAction::Update { id, kind: KIND, update });
    }

    fn add(&self, customer: usize) {
        let add = Command::AddPoints { points: 5.into(), reason: AdjustmentReason::default() };
        let customer = CustomerRef::Id(CustomerId::new(customer.to_string()).unwrap());
        let action = Action::for_customer(customer, Existence::Any, vec![add]);
        self.store
            .execute(Request::new(self.shop, now(), action))
            .wait()
            .unwrap();
    }

    /// The number of events that the journal has.
    fn events(&self) -> usize {
        let rows = self.store.journal(self.shop, 0, 100_000).unwrap();
        rows.iter().map(|row| outgoing_events(row).count()).sum()
    }

    fn counts(&self, id: DestinationId) -> (u64, u64) {
        let counts = self.store.count_deliveries(self.shop, id).unwrap();
        (counts.waiting, counts.dead)
    }

    fn state(&self, id: DestinationId) -> DestinationState {
        let all = self.store.destinations(self.shop).unwrap();
        all.into_iter().find(|found| found.id == id).unwrap().state
    }

    fn cursor(&self, id: DestinationId) -> i64 {
        self.store
            .destination_progress(self.shop, id)
            .unwrap()
            .unwrap()
            .cursor
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Each account's accepted events come in the order of their numbers, from the first, without a
/// gap. Repetitions of the last one are allowed if `may_repeat`.
fn assert_in_order(messages: &[Message], may_repeat: bool) {
    let mut last = HashMap::<String, i64>::new();
    for message in messages {
        let known = last.entry(message.account()).or_default();
        let sequence = message.sequence();
        assert!(
            sequence == *known + 1 || (may_repeat && sequence <= *known),
            "account {}: {sequence} after {known}",
            message.account()
        );
        *known = sequence.max(*known);
    }
}

/// Each event has one id, and each id is of one event.
fn assert_one_id(messages: &[Message]) {
    let mut ids = BTreeMap::new();
    for message in messages {
        let event = (message.account(), message.sequence());
        assert_eq!(ids.entry(message.id.clone()).or_insert_with(|| event.clone()), &event);
    }
    let events: BTreeSet<_> = ids.values().collect();
    assert_eq!(events.len(), ids.len());
}

#[test]
fn events_arrive_signed_and_in_order() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, _| Answer::Status(204));
    world.add(1);
    let id = world.endpoint(&receiver.url, &[]);
    world.start();
    // What was before the endpoint is not sent.
    for number in 0..200 {
        world.add(10 + number % 7);
    }
    let messages = receiver.wait_for(world.events() - 2);
    assert_in_order(&messages, false);
    assert_one_id(&messages);
    for message in &messages {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"012345678901234567890123").unwrap();
        let head = format!("{}.{}.", message.id, message.timestamp);
        mac.update(&[head.as_bytes(), &message.text].concat());
        let want = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(message.signature, want);
        let age = now().timestamp() - message.timestamp.parse::<i64>().unwrap();
        assert!((0..60).contains(&age));
    }
    world.stop();
    let end = *world.store.committed_position().borrow();
    assert_eq!((world.cursor(id), world.counts(id)), (end, (0, 0)));

    // Nothing is sent twice after an orderly end.
    world.start();
    world.add(10);
    receiver.wait_for(messages.len() + 1);
    world.stop();
    assert_eq!(receiver.messages().len(), messages.len() + 1);
}

#[test]
fn an_endpoint_gets_the_types_that_it_wants_with_two_signatures_in_a_rotation() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, _| Answer::Status(200));
    let id = world.endpoint(&receiver.url, &[OutgoingKind::PointsAdjusted]);
    let secret = SecretText::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX".to_owned());
    let grace = loyalty_store::DEFAULT_GRACE;
    world.change(DestinationAction::RotateSecret { id, kind: KIND, secret, grace });
    world.start();
    for customer in 0..3 {
        world.add(customer);
    }
    for message in receiver.wait_for(3) {
        assert_eq!(message.body()["type"], "points.adjusted");
        let signatures: Vec<_> = message.signature.split(' ').collect();
        assert!(signatures.iter().all(|signature| signature.starts_with("v1,")));
        assert_eq!(signatures.len(), 2);
    }
    world.stop();
    assert_eq!(receiver.messages().len(), 3);
}

#[test]
fn an_outage_loses_nothing_and_costs_no_rows() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, _| Answer::Status(500));
    let id = world.endpoint(&receiver.url, &[]);
    world.start();
    for number in 0..2_000 {
        world.add(number % 50);
    }
    until("it has failed", || receiver.messages().len() > 40);
    // Only what was tried is a row; the rest waits in the journal. Nothing is given up for it.
    let (waiting, dead) = world.counts(id);
    assert!(waiting <= 400, "{waiting}");
    assert_eq!(dead, 0);
    assert!(world.cursor(id) < 300, "{}", world.cursor(id));

    receiver.behave(|_, _| Answer::Status(200));
    let messages = receiver.wait_for(world.events());
    assert_in_order(&messages, false);
    world.stop();
    assert_eq!(world.counts(id), (0, 0));
    let progress = world.store.destination_progress(world.shop, id).unwrap().unwrap();
    assert_eq!(progress.failing_since, None);
    assert_eq!(progress.last_failure.unwrap().status, Some(500));
}

#[test]
fn an_event_that_is_refused_holds_up_its_customer_only() {
    let mut world = World::new(fast());
    world.settings.backoff = vec![Duration::from_millis(150); 2];
    let refused = |message: &Message| message.account() == "1" && message.sequence() == 2;
    let receiver = Receiver::new(move |message, _| {
        if refused(message) { Answer::Full(422, "", "no".to_owned()) } else { Answer::Status(200) }
    });
    let id = world.endpoint(&receiver.url, &[]);
    world.start();
    for number in 0..30 {
        world.add(1 + number % 3);
    }
    // All but those of account 1 from the second on.
    receiver.wait_for(world.events() - 10);
    until("its later ones wait", || world.counts(id).0 == 10);
    let accepted = receiver.accepted();
    assert!(
        accepted
            .iter()
            .all(|message| message.account() != "1" || message.sequence() == 1)
    );

    // Given up after three attempts, and the rest goes on in order.
    let messages = receiver.wait_for(world.events() - 1);
    world.stop();
    assert_eq!(world.counts(id), (0, 1));
    let tried = receiver
        .messages()
        .into_iter()
        .filter(|message| refused(message))
        .count();
    assert_eq!(tried, 3);
    let dead = world
        .store
        .deliveries(world.shop, id, false, None, 10)
        .unwrap()
        .remove(0);
    let last = dead.last.unwrap();
    assert_eq!((dead.attempts, last.status, &*last.answer), (3, Some(422), "no"));
    let of_one: Vec<_> = messages.iter().filter(|message| message.account() == "1").collect();
    assert!(of_one.is_sorted_by_key(|message| message.sequence()));

    // Somebody repairs it and sends it again.
    receiver.behave(|_, _| Answer::Status(200));
    world.start();
    world.change(DestinationAction::Resend { id, kind: KIND, event: dead.event });
    receiver.wait_for(world.events());
    world.stop();
    assert_eq!(world.counts(id), (0, 0));
}

#[test]
fn a_receiver_that_is_gone_is_paused() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, number| Answer::Status(if number < 4 { 200 } else { 410 }));
    let id = world.endpoint(&receiver.url, &[]);
    world.start();
    for _ in 0..10 {
        world.add(1);
    }
    until("it is disabled", || world.state(id) != DestinationState::Enabled);
    assert!(matches!(
        world.state(id),
        DestinationState::Disabled { reason: DisableReason::Gone, .. }
    ));
    let tried = receiver.messages().len();
    world.add(1);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(receiver.messages().len(), tried, "it is left alone");

    // Enabled again, it goes on where it stopped.
    receiver.behave(|_, _| Answer::Status(200));
    world.enable(id);
    let messages = receiver.wait_for(world.events());
    assert_in_order(&messages, true);
    world.stop();
}

#[test]
fn five_days_of_failures_disable() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, _| Answer::Status(500));
    let id = world.endpoint(&receiver.url, &[]);
    let days = |days| now().checked_sub_signed(chrono::TimeDelta::days(days)).unwrap();
    let failing = |since| loyalty_store::DeliveryNote {
        destination: id,
        now: now(),
        cursor: 0,
        failing_since: Some(since),
        last_success_at: None,
        last_failure: None,
        recovery: None,
        put: Vec::new(),
        remove: Vec::new(),
        disable: None,
    };
    world.store.note_deliveries(&[failing(days(4))]).unwrap();
    world.start();
    world.add(1);
    until("it has failed", || receiver.messages().len() > 2);
    world.stop();
    assert_eq!(world.state(id), DestinationState::Enabled);

    world.store.note_deliveries(&[failing(days(6))]).unwrap();
    world.start();
    until("it is disabled", || world.state(id) != DestinationState::Enabled);
    world.stop();
    assert!(matches!(
        world.state(id),
        DestinationState::Disabled { reason: DisableReason::Failing, .. }
    ));
}

#[test]
fn bad_answers_are_failures_and_long_ones_are_cut() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, number| match number {
        0 => Answer::Full(302, "location: http://127.0.0.1:1/\r\n", String::new()),
        1 => Answer::Break,
        2 => Answer::Full(400, "", "no\u{0}\r\n".repeat(1_000)),
        _ => Answer::Full(200, "", "x".repeat(10_000_000)),
    });
    let id = world.endpoint(&receiver.url, &[OutgoingKind::PointsAdjusted]);
    world.start();
    world.add(1);
    until("the third has failed", || receiver.messages().len() > 2);
    receiver.wait_for(1);
    world.stop();
    assert_eq!(receiver.messages().len(), 4);
    assert_one_id(&receiver.messages());
    let progress = world.store.destination_progress(world.shop, id).unwrap().unwrap();
    let failure = progress.last_failure.unwrap();
    assert_eq!((failure.status, &*failure.answer), (Some(400), ""));
}

#[test]
fn a_wait_that_a_receiver_asks_for_is_obeyed() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, number| match number {
        0 => Answer::Full(429, "retry-after: 1\r\n", String::new()),
        _ => Answer::Status(200),
    });
    world.endpoint(&receiver.url, &[]);
    world.start();
    world.add(1);
    until("it has asked", || !receiver.messages().is_empty());
    std::thread::sleep(Duration::from_millis(100));
    world.add(2);
    let messages = receiver.wait_for(world.events());
    world.stop();
    let first = receiver.messages()[0].at;
    assert!(messages[0].at.duration_since(first) >= Duration::from_secs(1));
}

#[test]
fn a_receiver_that_hangs_delays_no_other() {
    let mut world = World::new(fast());
    let hung = Receiver::new(|_, _| Answer::Hang(Duration::from_mins(1)));
    let quick = Receiver::new(|_, _| Answer::Status(200));
    let id = world.endpoint(&hung.url, &[]);
    world.endpoint(&quick.url, &[]);
    world.start();
    for number in 0..500 {
        world.add(number % 40);
    }
    let messages = quick.wait_for(world.events());
    assert_in_order(&messages, false);
    // At most so many at once, and the cursor does not pass what is not delivered.
    assert!(hung.messages().len() <= 8, "{}", hung.messages().len());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(world.cursor(id), 0);
    world.stop();
    assert_eq!(world.cursor(id), 0);
}

#[test]
fn what_waits_is_bounded_by_the_window() {
    let mut world = World::new(fast());
    world.settings.window = 20;
    world.settings.backoff = vec![Duration::from_mins(1); 4];
    // One customer's events succeed, so that the receiver is not failing as a whole.
    let receiver = Receiver::new(|message, _| {
        let is_fine = message.account() == "1";
        Answer::Status(if is_fine { 200 } else { 422 })
    });
    let id = world.endpoint(&receiver.url, &[]);
    world.start();
    for number in 0..400 {
        world.add(number % 40);
    }
    until("the window is full", || world.counts(id).0 >= 19);
    std::thread::sleep(Duration::from_millis(200));
    assert!(world.counts(id).0 <= 20, "{:?}", world.counts(id));
    assert!(world.cursor(id) < 200);
    world.stop();
    assert!(world.counts(id).0 <= 20, "{:?}", world.counts(id));
}

#[test]
fn a_private_address_is_never_called() {
    let mut world = World::new(fast());
    world.allowed = "10.0.0.0/8";
    let receiver = Receiver::new(|_, _| Answer::Status(200));
    let id = world.endpoint(&receiver.url, &[OutgoingKind::PointsAdjusted]);
    world.start();
    world.add(1);
    until("it has failed", || world.counts(id).0 == 1);
    world.stop();
    assert!(receiver.messages().is_empty());
    let waiting = world
        .store
        .deliveries(world.shop, id, true, None, 10)
        .unwrap()
        .remove(0);
    assert!(waiting.last.unwrap().reason.starts_with("the URL"));
}

#[test]
fn a_range_is_delivered_again_with_the_same_ids() {
    let mut world = World::new(fast());
    let receiver = Receiver::new(|_, _| Answer::Status(200));
    let id = world.endpoint(&receiver.url, &[]);
    world.start();
    for number in 0..100 {
        world.add(number % 5);
    }
    let count = receiver.wait_for(world.events()).len();
    let end = *world.store.committed_position().borrow();
    until("it is noted", || world.cursor(id) == end);
    let since = now() - chrono::TimeDelta::hours(1);
    world.change(DestinationAction::Recover { id, kind: KIND, since });
    let messages = receiver.wait_for(2 * count);
    world.stop();
    assert_one_id(&messages);
    assert_in_order(&messages[count..], false);
    assert_eq!(world.counts(id), (0, 0));
    let progress = world.store.destination_progress(world.shop, id).unwrap().unwrap();
    assert_eq!((messages.len(), progress.recovery), (2 * count, None));
}

/// The sender ends at random points, while a receiver fails now and then.
#[test]
fn whenever_the_sender_ends_every_event_arrives() {
    let mut world = World::new(fast());
    world.settings.note_interval = Duration::from_millis(3);
    world.settings.backoff = vec![Duration::from_millis(3); 1_000];
    world.settings.probe = (Duration::from_millis(1), Duration::from_millis(3));
    let receiver = Receiver::new(|_, number| match number % 11 {
        3 => Answer::Status(500),
        7 => Answer::Break,
        _ => Answer::Status(200),
    });
    let id = world.endpoint(&receiver.url, &[]);
    let mut random = 88_172_645_463_325_252_u64;
    for round in 0..100 {
        world.start();
        for number in 0..6 {
            world.add((round + number) % 9);
        }
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        std::thread::sleep(Duration::from_micros(random % 15_000));
        world.kill();
    }
    world.start();
    let want = world.events();
    let distinct = || {
        let accepted = receiver.accepted();
        accepted
            .iter()
            .map(|message| message.id.clone())
            .collect::<BTreeSet<_>>()
            .len()
    };
    until("all have arrived", || distinct() == want);
    world.stop();
    let accepted = receiver.accepted();
    assert_one_id(&receiver.messages());
    assert_in_order(&accepted, true);
    assert_eq!(world.counts(id).1, 0);
}
