//! Programs are published while orders come in. An order earns under the program that it
//! pinned: the one in force at its place in the journal, also after later changes of the
//! order.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::thread::ScopedJoinHandle;

use loyalty_core::{Event, OrderId, Program, ProgramVersion, entitlement};
use loyalty_store::{Store, StoreSettings};

use crate::SplitMix64;
use crate::client::{Client, ClientRequest, ConnectionFault};
use crate::server::Server;

const CLIENTS: usize = 12;
const ORDERS: usize = 40;
const CUSTOMERS: usize = 5;

/// Programs of several kinds, no two of which award the same points for an order.
fn document(number: u32) -> String {
    let earn = match number % 3 {
        0 => format!(r#"{{"per_unit": "{number}.5"}}"#),
        1 => format!(r#"{{"per_increment": {{"amount": "3.00", "points": {number}}}}}"#),
        _ => format!(r#"{{"per_order": {}}}"#, 1_000 + number),
    };
    let rounding = if number.is_multiple_of(2) { "up" } else { "down" };
    format!(r#"{{"rounding": "{rounding}", "earning": [{{"id": "base", "earn": {earn}}}]}}"#)
}

/// The published programs, and the bounds of the versions that an order may pin.
struct Publications {
    programs: Mutex<BTreeMap<u32, Program>>,
    /// The newest version that is surely committed.
    newest_committed: AtomicU32,
    /// The newest version that may be committed.
    newest_started: AtomicU32,
}

struct RecordedOrder {
    id: String,
    customer: usize,
    version: u32,
}

/// At least one point under each program.
fn order(customer: usize, cents: i64) -> String {
    let cents = cents + 300;
    let total = format!("{}.{:02}", cents / 100, cents % 100);
    format!(
        r#"{{"customer":{{"customer_id":"c{customer}"}},"status":"paid","total":"{total}",
        "lines":[{{"quantity":1,"amount":"{total}"}}]}}"#
    )
}

/// Sends new orders and points; some orders are sent again with another total.
fn push_orders(
    client: &mut Client,
    number: usize,
    published: &Publications,
    added: &[AtomicI64],
) -> Vec<RecordedOrder> {
    let (mut random, mut recorded) = (SplitMix64::new(number), Vec::<RecordedOrder>::new());
    for turn in 0..ORDERS {
        let customer = random.below(CUSTOMERS);
        let (id, body) = (format!("o{number}-{turn}"), order(customer, random.points(9_999)));

        let min_version = published.newest_committed.load(Ordering::SeqCst);
        let response = client
            .send_expecting(200, &ClientRequest::new("PUT", format!("/v1/orders/{id}"), body));

        let max_version = published.newest_started.load(Ordering::SeqCst);
        let version = pinned_version(&response.json()).expect(&response.body);
        assert!(
            (min_version..=max_version).contains(&version),
            "{id} pinned {version} of {min_version} to {max_version}"
        );
        recorded.push(RecordedOrder { id, customer, version });

        if random.below(3) == 0 {
            let points = random.points(9);
            let body = format!(r#"{{"customer_id":"c{customer}","points":{points}}}"#);
            client.send_expecting(200, &ClientRequest::post("/v1/points-add", body));
            added[customer].fetch_add(points, Ordering::SeqCst);
        }
        if random.below(3) == 0 {
            let RecordedOrder { id, customer, version } = &recorded[random.below(recorded.len())];
            let changed = order(*customer, random.points(9_999));
            let response = client.send_expecting(
                200,
                &ClientRequest::new("PUT", format!("/v1/orders/{id}"), changed),
            );
            // A response without a change of points has no explanation.
            assert!(
                pinned_version(&response.json()).is_none_or(|now| now == *version),
                "{id} keeps its program"
            );
        }
    }
    recorded
}

fn pinned_version(response: &serde_json::Value) -> Option<u32> {
    u32::try_from(response["explanation"]["program_version"].as_u64()?).ok()
}

#[test]
fn an_order_earns_under_the_program_in_force() {
    let server = Server::start(&StoreSettings::default());
    (0..CUSTOMERS).for_each(|customer| server.add_customer(&format!("c{customer}"), 1));

    let programs = Mutex::new(BTreeMap::from([(1, Program::default())]));
    let published = Publications {
        programs,
        newest_committed: AtomicU32::new(1),
        newest_started: AtomicU32::new(1),
    };
    let added: Vec<AtomicI64> = (0..CUSTOMERS).map(|_| AtomicI64::new(1)).collect();
    let finished = AtomicBool::new(false);

    let recorded: Vec<RecordedOrder> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (mut client, published, added) = (server.client(), &published, &added);
                scope.spawn(move || push_orders(&mut client, number, published, added))
            })
            .collect();
        let merchant = scope.spawn(|| {
            for version in (2..).take_while(|_| !finished.load(Ordering::SeqCst)) {
                let document = document(version);
                published.newest_started.store(version, Ordering::SeqCst);
                assert_eq!(server.publish(&document), version);
                published
                    .programs
                    .lock()
                    .unwrap()
                    .insert(version, Program::from_json(&document).unwrap());
                published.newest_committed.store(version, Ordering::SeqCst);
            }
        });

        let recorded: Vec<_> = clients.into_iter().map(ScopedJoinHandle::join).collect();
        finished.store(true, Ordering::SeqCst);
        merchant.join().unwrap();
        recorded.into_iter().flat_map(Result::unwrap).collect()
    });

    let (programs, mut sums) = (published.programs.into_inner().unwrap(), added);
    for RecordedOrder { id, customer, version } in &recorded {
        let record = server
            .store
            .order(server.shop, &OrderId::new(id).unwrap())
            .unwrap()
            .unwrap();
        let pin = record.state.pin().unwrap();
        assert_eq!(pin.program, ProgramVersion(*version), "{id}");
        let due = entitlement(&record.state, &programs[version], pin)
            .unwrap()
            .points
            .get();
        let posted = record.state.posted();
        assert_eq!(
            posted.awarded.get() - posted.clawed_back.get(),
            due,
            "{id} under version {version}"
        );
        *sums[*customer].get_mut() += due;
    }

    let mut client = server.client();
    for (customer, sum) in sums.into_iter().enumerate() {
        let path = format!("/v1/customers/c{customer}/point-balance");
        let response = client.send(&ClientRequest::get(path), ConnectionFault::None).unwrap();
        assert_eq!(response.number("point_balance"), sum.into_inner(), "c{customer}");
    }

    assert_versions_grow(&*server.store, &server, recorded.len());
    server.verify_and_stop();
}

/// Asserts that versions in the journal never decrease, and that orders pinned several of
/// them.
fn assert_versions_grow(store: &dyn Store, server: &Server, orders: usize) {
    let rows = store.journal(server.shop, 0, usize::MAX / 2).unwrap();
    let pins = rows
        .iter()
        .flat_map(|row| row.events.iter())
        .filter_map(|event| match event {
            Event::OrderPinned { pin, .. } => Some(pin.program),
            _ => None,
        });

    let mut pins: Vec<ProgramVersion> = pins.collect();
    assert_eq!(pins.len(), orders);
    assert!(pins.is_sorted(), "{pins:?}");
    pins.dedup();
    assert!(pins.len() > 5, "only {pins:?} met orders");
}
