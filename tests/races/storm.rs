//! A hundred clients, the same keys, each in an order of its own, with connections that are cut on the way out
//! or on the way back. Everybody asks again until an answer is read.

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

/// A thousand with `STORM=full`.
fn keys() -> usize {
    if std::env::var("STORM").is_ok_and(|storm| storm == "full") { 1_000 } else { 100 }
}

/// What a key stands for, and what that does to the balance.
struct ExpectedEffect {
    customer: usize,
    request: ClientRequest,
    status: u16,
    points: i64,
    /// What stands in the journal for it, where it is not refused.
    event: Option<&'static str>,
}

/// Points to and fro, orders, redemptions, and what is refused.
fn expected_effect(key: usize) -> ExpectedEffect {
    let customer = key % CUSTOMERS;
    let count = i64::try_from(key % 17 + 1).unwrap();
    let points = |count: i64| format!(r#"{{"customer_id":"c{customer}","points":{count}}}"#);
    let (asked, status, points, event) = match key / CUSTOMERS % 5 {
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
    let asked = asked.with_idempotency_key(&format!("storm-{key}"));
    ExpectedEffect { customer, request: asked, status, points, event }
}

/// Something else under the same key, which was used before.
fn conflicting_request(key: usize) -> Option<ClientRequest> {
    let asked = expected_effect(key).request;
    let body = asked.body.replacen('{', "{ ", 1);
    (key % 7 == 3).then_some(ClientRequest { body, ..asked })
}

/// What must be the same in every answer to a key: status, headers and body.
type ComparableResponse = (u16, Vec<(String, String)>, String);

fn comparable_response(answer: &ClientResponse) -> ComparableResponse {
    let of_each = ["date", "x-request-id", "idempotency-replayed"];
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !of_each.contains(&name.as_str()));
    (answer.status, headers.cloned().collect(), answer.body.clone())
}

/// What everybody saw of one key.
#[derive(Default)]
struct ObservedResponses {
    answer: Mutex<Option<ComparableResponse>>,
    /// Answers that were not said to be replays.
    non_replays: AtomicUsize,
}

impl ObservedResponses {
    fn record(&self, key: usize, answer: &ClientResponse) {
        // Only the first that fails is of interest.
        let mut known = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(
            known.get_or_insert_with(|| comparable_response(answer)),
            &comparable_response(answer),
            "key {key}"
        );
        assert_eq!(answer.status, expected_effect(key).status, "key {key}: {}", answer.body);
        match answer.header("idempotency-replayed") {
            None => {
                assert_eq!(
                    self.non_replays.fetch_add(1, Ordering::SeqCst),
                    0,
                    "key {key} happened twice"
                )
            }
            Some(replayed) => assert_eq!(replayed, "true"),
        }
    }
}

/// One in three is cut.
fn random_fault(dice: &mut SplitMix64) -> ConnectionFault {
    match dice.below(9) {
        0 => ConnectionFault::CutRequest(dice.below(400)),
        1 => ConnectionFault::CutResponse(0),
        2 => ConnectionFault::CutResponse(dice.below(300)),
        _ => ConnectionFault::None,
    }
}

fn send_until_answered(
    client: &mut Client,
    asked: &ClientRequest,
    dice: &mut SplitMix64,
) -> ClientResponse {
    std::iter::repeat_with(|| client.send(asked, random_fault(dice)))
        .find_map(|answer| answer)
        .unwrap()
}

/// How often each kind of event stands in the journal.
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
fn each_key_has_one_effect_and_one_answer() {
    let server = Server::start(&StoreSettings::default());
    server.publish(PROGRAM);
    (0..CUSTOMERS).for_each(|customer| server.add_customer(&format!("c{customer}"), START));
    let before = count_events(&server);
    let seen: Vec<ObservedResponses> = (0..keys()).map(|_| ObservedResponses::default()).collect();
    let mut client = server.client();
    for (key, seen) in seen
        .iter()
        .enumerate()
        .filter(|(key, _)| conflicting_request(*key).is_some())
    {
        seen.record(
            key,
            &client
                .send(&expected_effect(key).request, ConnectionFault::None)
                .unwrap(),
        );
    }
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (server, seen) = (&server, &seen);
            scope.spawn(move || {
                let (mut client, mut dice) = (server.client(), SplitMix64::new(number));
                let mut order: Vec<usize> = (0..seen.len()).collect();
                dice.shuffle(&mut order);
                for key in order {
                    if let Some(other) = conflicting_request(key).filter(|_| dice.below(2) == 0) {
                        let refused = send_until_answered(&mut client, &other, &mut dice);
                        assert_eq!(
                            (refused.status, refused.text("code").as_str()),
                            (422, "idempotency_key_reused")
                        );
                    }
                    seen[key].record(
                        key,
                        &send_until_answered(&mut client, &expected_effect(key).request, &mut dice),
                    );
                }
            });
        }
    });
    // The one from before may have been idle for too long.
    let mut client = server.client();
    let effects: Vec<ExpectedEffect> = (0..seen.len()).map(expected_effect).collect();
    let mut balances: BTreeMap<usize, i64> =
        (0..CUSTOMERS).map(|customer| (customer, START)).collect();
    for meant in &effects {
        *balances.get_mut(&meant.customer).unwrap() += meant.points;
    }
    for (customer, balance) in balances {
        let answer = client.send_expecting(
            200,
            &ClientRequest::get(format!("/v1/customers/c{customer}/point-balance")),
        );
        assert_eq!(answer.number("point_balance"), balance, "c{customer}");
    }
    let mut after = before;
    effects
        .iter()
        .filter_map(|meant| meant.event)
        .for_each(|event| *after.entry(event).or_default() += 1);
    assert_eq!(count_events(&server), after);
    server.verify_and_stop();
}
