//! A hundred clients send the same keys, each in its own order. Connections are cut in
//! both directions, and every client retries until it reads a response.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use loyalty_core::Event;
use loyalty_store::StoreSettings;

use crate::SplitMix64;
use crate::client::{Client, ClientRequest, ClientResponse, ConnectionFault};
use crate::server::Server;

const CLIENTS: usize = 100;
const CUSTOMERS: usize = 10;
const START: i64 = 1_000_000;
const PROGRAM: &str = r#"{"earning": [{"id": "base", "earn": {"per_unit": "1"}}], "rewards": [
    {"id": "five", "name": "5 off", "cost": 100, "gives": {"fixed_amount": "5"}, "valid_for": "P1M"}]}"#;

/// 100 keys, or 1,000 with `STORM=full`.
fn keys() -> usize {
    if std::env::var("STORM").is_ok_and(|storm| storm == "full") { 1_000 } else { 100 }
}

/// The request of a key, and its effect on the balance.
struct ExpectedEffect {
    customer: usize,
    request: ClientRequest,
    status: u16,
    points: i64,
    /// The event in the journal, if the request is not rejected.
    event: Option<&'static str>,
}

/// Additions, subtractions, orders, redemptions, and requests that must be rejected.
fn expected_effect(key: usize) -> ExpectedEffect {
    let customer = key % CUSTOMERS;
    let count = i64::try_from(key % 17 + 1).unwrap();

    let points = |count: i64| format!(r#"{{"customer_id":"c{customer}","points":{count}}}"#);
    let (request, status, points, event) = match key / CUSTOMERS % 5 {
        0 => (ClientRequest::post("/v1/points-add", points(count)), 200, count, Some("added")),
        1 => (
            ClientRequest::post("/v1/points-subtract", points(count)),
            200,
            -count,
            Some("subtracted"),
        ),
        2 => {
            let body = format!(
                r#"{{"customer":{{"customer_id":"c{customer}"}},"status":"paid","total":"{count}.50",
                "lines":[{{"quantity":1,"amount":"{count}.50"}}]}}"#
            );
            (
                ClientRequest::new("PUT", format!("/v1/orders/o{key}"), body),
                200,
                count,
                Some("ordered"),
            )
        }
        3 => {
            let body = format!(r#"{{"customer_id":"c{customer}","reward_id":"five"}}"#);
            (ClientRequest::post("/v1/redemptions", body), 201, -100, Some("redeemed"))
        }
        _ => (ClientRequest::post("/v1/points-subtract", points(2 * START)), 422, 0, None),
    };

    let request = request.with_idempotency_key(&format!("storm-{key}"));
    ExpectedEffect { customer, request, status, points, event }
}

/// Another request under the same key, for one key in seven.
fn conflicting_request(key: usize) -> Option<ClientRequest> {
    let request = expected_effect(key).request;
    let body = request.body.replacen('{', "{ ", 1);
    (key % 7 == 3).then_some(ClientRequest { body, ..request })
}

/// The parts of a response that must be equal for a key: status, headers and body.
type ComparableResponse = (u16, Vec<(String, String)>, String);

fn comparable_response(response: &ClientResponse) -> ComparableResponse {
    let varying = ["date", "x-request-id", "idempotency-replayed"];
    let headers = response
        .headers
        .iter()
        .filter(|(name, _)| !varying.contains(&name.as_str()));
    (response.status, headers.cloned().collect(), response.body.clone())
}

/// The responses to one key, over all clients.
#[derive(Default)]
struct ObservedResponses {
    response: Mutex<Option<ComparableResponse>>,
    /// Number of responses that were no replays.
    non_replays: AtomicUsize,
}

impl ObservedResponses {
    fn record(&self, key: usize, response: &ClientResponse) {
        // A panic elsewhere poisons the lock; only the first failure matters.
        let mut first = self.response.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(
            first.get_or_insert_with(|| comparable_response(response)),
            &comparable_response(response),
            "key {key}"
        );

        assert_eq!(response.status, expected_effect(key).status, "key {key}: {}", response.body);
        match response.header("idempotency-replayed") {
            None => {
                let earlier = self.non_replays.fetch_add(1, Ordering::SeqCst);
                assert_eq!(earlier, 0, "key {key} happened twice");
            }
            Some(replayed) => assert_eq!(replayed, "true"),
        }
    }
}

/// A fault in one of three requests.
fn random_fault(random: &mut SplitMix64) -> ConnectionFault {
    match random.below(9) {
        0 => ConnectionFault::CutRequest(random.below(400)),
        1 => ConnectionFault::CutResponse(0),
        2 => ConnectionFault::CutResponse(random.below(300)),
        _ => ConnectionFault::None,
    }
}

fn send_until_answered(
    client: &mut Client,
    request: &ClientRequest,
    random: &mut SplitMix64,
) -> ClientResponse {
    std::iter::repeat_with(|| client.send(request, random_fault(random)))
        .find_map(|response| response)
        .unwrap()
}

/// Number of events of each kind in the journal.
fn count_events(server: &Server) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for row in server.store.journal(server.shop, 0, usize::MAX / 2).unwrap() {
        for event in row.events.iter() {
            let name = match event {
                Event::PointsAdded { .. } => "added",
                Event::PointsSubtracted { .. } => "subtracted",
                Event::OrderRecorded { .. } => "ordered",
                Event::RewardRedeemed { .. } => "redeemed",
                _ => continue,
            };
            *counts.entry(name).or_default() += 1;
        }
    }
    counts
}

#[test]
fn each_key_has_one_effect_and_one_response() {
    let server = Server::start(&StoreSettings::default());
    server.publish(PROGRAM);
    (0..CUSTOMERS).for_each(|customer| server.add_customer(&format!("c{customer}"), START));

    let before = count_events(&server);
    let observed: Vec<ObservedResponses> =
        (0..keys()).map(|_| ObservedResponses::default()).collect();

    let mut client = server.client();
    for (key, observed) in observed
        .iter()
        .enumerate()
        .filter(|(key, _)| conflicting_request(*key).is_some())
    {
        observed.record(
            key,
            &client
                .send(&expected_effect(key).request, ConnectionFault::None)
                .unwrap(),
        );
    }

    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (server, observed) = (&server, &observed);
            scope.spawn(move || {
                let (mut client, mut random) = (server.client(), SplitMix64::new(number));
                let mut order: Vec<usize> = (0..observed.len()).collect();
                random.shuffle(&mut order);
                for key in order {
                    if let Some(other) = conflicting_request(key).filter(|_| random.below(2) == 0) {
                        let rejected = send_until_answered(&mut client, &other, &mut random);
                        assert_eq!(
                            (rejected.status, rejected.text("code").as_str()),
                            (422, "idempotency_key_reused")
                        );
                    }
                    observed[key].record(
                        key,
                        &send_until_answered(
                            &mut client,
                            &expected_effect(key).request,
                            &mut random,
                        ),
                    );
                }
            });
        }
    });
    // A new connection: the one from before may have been closed as idle.
    let mut client = server.client();
    let effects: Vec<ExpectedEffect> = (0..observed.len()).map(expected_effect).collect();
    let mut balances: BTreeMap<usize, i64> =
        (0..CUSTOMERS).map(|customer| (customer, START)).collect();
    for effect in &effects {
        *balances.get_mut(&effect.customer).unwrap() += effect.points;
    }

    for (customer, balance) in balances {
        let response = client.send_expecting(
            200,
            &ClientRequest::get(format!("/v1/customers/c{customer}/point-balance")),
        );
        assert_eq!(response.number("point_balance"), balance, "c{customer}");
    }

    let mut after = before;
    effects
        .iter()
        .filter_map(|effect| effect.event)
        .for_each(|event| *after.entry(event).or_default() += 1);
    assert_eq!(count_events(&server), after);
    server.verify_and_stop();
}
