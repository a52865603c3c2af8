//! Clients that record their calls on one account and the results, over the store and
//! over HTTP.
//!
//! Some responses are never read. Some of those requests are sent again under the same
//! key, and count as one operation.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loyalty_core::{Program, RedemptionId, RewardId, Zone};
use loyalty_store::{
    Action, CustomerRef, Existence, MemoryStore, Outcome, RedemptionAction, Rejection, SearchQuery,
    SqliteStore, Store, StoreSettings,
};
use loyalty_tests::*;
use serde_json::Value;

use crate::SplitMix64;
use crate::client::{Client, ClientRequest, ConnectionFault};
use crate::linear::{Call, CallResult, Operation, is_linearizable};
use crate::server::{Server, directory};
use loyalty_store::conformance::contents::assert_consistent;

const CLIENTS: usize = 5;
const CALLS: usize = 8;
const START: i64 = 20;
/// The cost of each reward in points.
const COST: i64 = 6;
const PROGRAM: &str = r#"{"rewards": [
    {"id": "mug", "name": "A mug", "cost": 6, "gives": "custom"},
    {"id": "five", "name": "5 off", "cost": 6, "gives": {"fixed_amount": "5"}}]}"#;

/// Number of accounts in each test.
fn rounds() -> usize {
    std::env::var("RACE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(200)
}

/// A client of one account. `call` returns `None` if the response was not read.
trait AccountClient {
    fn call(
        &mut self,
        customer: &str,
        request: CallRequest<'_>,
        random: &mut SplitMix64,
    ) -> Option<CallReply>;
}

/// A call with its idempotency key, and the id of the redemption that it is about.
struct CallRequest<'a> {
    call: Call,
    key: &'a str,
    reward: Option<&'a str>,
}

impl CallRequest<'_> {
    /// A reward with a code for half of the keys, one without for the others.
    fn reward_to_issue(&self) -> &'static str {
        if self.key.len().is_multiple_of(2) { "five" } else { "mug" }
    }
}

struct CallReply {
    result: CallResult,
    /// The id of the issued redemption.
    issued_id: Option<String>,
}

/// The history of one account, shared by its clients.
#[derive(Default)]
struct SharedHistory {
    history: Vec<Operation>,
    /// Open redemptions, as far as known: the number of the operation, and the id.
    open_redemptions: Vec<(usize, String)>,
}

/// Records operations with the ticks of one shared clock.
struct HistoryRecorder<'a> {
    clock: &'a AtomicU64,
    history: &'a Mutex<SharedHistory>,
}

impl HistoryRecorder<'_> {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Chooses a call at random and records its beginning.
    fn begin_call(&self, random: &mut SplitMix64) -> (usize, Call, Option<String>) {
        let mut shared = self.history.lock().unwrap();
        let (call, reward) = match random.below(10) {
            0 | 1 => (Call::Add(random.points(9)), None),
            2 | 3 => (Call::Subtract(random.points(12)), None),
            4 | 5 => (Call::Issue(COST), None),
            6 if !shared.open_redemptions.is_empty() => {
                // Half of the redemptions stay listed, so that some are cancelled twice.
                let index = random.below(shared.open_redemptions.len());
                let issued = shared.open_redemptions[index].clone();
                if random.below(2) == 0 {
                    shared.open_redemptions.swap_remove(index);
                }
                (Call::Cancel(issued.0), Some(issued.1))
            }
            _ => (Call::Read, None),
        };

        let began = self.tick();
        shared
            .history
            .push(Operation { call, result: None, began, ended: u64::MAX });
        (shared.history.len() - 1, call, reward)
    }

    fn end_call(&self, number: usize, reply: CallReply) {
        let ended = self.tick();
        let mut shared = self.history.lock().unwrap();
        (shared.history[number].result, shared.history[number].ended) = (Some(reply.result), ended);
        shared.open_redemptions.extend(reply.issued_id.map(|id| (number, id)));
    }
}

fn run_client(
    client: &mut dyn AccountClient,
    customer: &str,
    recorder: &HistoryRecorder<'_>,
    random: &mut SplitMix64,
) {
    for _ in 0..CALLS {
        let (number, call, reward) = recorder.begin_call(random);
        let key = format!("{customer}-{number}");
        let retries = random.below(2) == 0;
        loop {
            let request = CallRequest { call, key: &key, reward: reward.as_deref() };
            match client.call(customer, request, random) {
                Some(reply) => break recorder.end_call(number, reply),
                None if retries => {}
                None => break,
            }
        }

        match random.below(3) {
            0 => std::thread::yield_now(),
            1 => {
                std::thread::sleep(Duration::from_micros(
                    u64::try_from(random.below(200)).unwrap(),
                ));
            }
            _ => {}
        }
    }
}

/// Runs concurrent clients on many accounts, one account after the other. Asserts that
/// each history is linearizable, and that enough operations were unread or concurrent.
fn check_accounts<T: AccountClient + Send>(open: impl Fn(&str), mut clients: Vec<T>) {
    let (mut unread, mut overlapping) = (0, 0);
    for round in 0..rounds() {
        let customer = format!("r{round}");
        open(&customer);

        let (clock, shared) = (AtomicU64::new(0), Mutex::default());
        std::thread::scope(|scope| {
            for (number, client) in clients.iter_mut().enumerate() {
                let (customer, recorder) =
                    (&customer, HistoryRecorder { clock: &clock, history: &shared });
                let mut random = SplitMix64::new(round * CLIENTS + number);
                scope.spawn(move || run_client(client, customer, &recorder, &mut random));
            }
        });

        let SharedHistory { history, .. } = shared.into_inner().unwrap();
        let listing = || {
            history
                .iter()
                .map(|operation| format!("{operation:?}"))
                .collect::<Vec<_>>()
                .join("\n")
        };

        assert!(
            is_linearizable(&history, START),
            "round {round} began with {START}:\n{}",
            listing()
        );

        unread += history.iter().filter(|operation| operation.result.is_none()).count();
        overlapping += history
            .windows(2)
            .filter(|pair| pair[1].began < pair[0].ended)
            .count();
    }
    let all = rounds() * CLIENTS * CALLS;
    assert!(
        unread > all / 100 && overlapping > all / 50,
        "of {all}, {unread} were unread and {overlapping} overlapped"
    );
}

/// Calls the store directly. A response counts as unread if the client does not wait for
/// it.
struct StoreClient<'a>(TestShop<'a>);

impl StoreClient<'_> {
    fn read(&self, customer_ref: &CustomerRef, random: &mut SplitMix64) -> i64 {
        let shop = &self.0;
        let account = || shop.customer(customer_ref).record().account;
        match random.below(4) {
            0 => shop.store.account_journal(shop.id, account(), None, 1).unwrap().rows[0]
                .balance
                .get(),
            1 => shop
                .store
                .customer_by_account(shop.id, account())
                .unwrap()
                .unwrap()
                .balance(shop.now)
                .get(),
            2 => {
                let CustomerRef::Id(id) = customer_ref else { unreachable!() };
                let search =
                    SearchQuery::parse(&format!("id:{}", id.as_str()), shop.now, Zone::UTC)
                        .unwrap();
                shop.store.customers(shop.id, &search, None, 1).unwrap().items[0]
                    .balance(shop.now)
                    .get()
            }
            _ => shop.balance(customer_ref),
        }
    }
}

impl AccountClient for StoreClient<'_> {
    fn call(
        &mut self,
        customer: &str,
        request: CallRequest<'_>,
        random: &mut SplitMix64,
    ) -> Option<CallReply> {
        let (customer_ref, shop) = (id(customer), self.0);
        let commands = |command| {
            Action::for_customer(customer_ref.clone(), Existence::Required, vec![command])
        };
        let action = match request.call {
            Call::Read => {
                return Some(CallReply {
                    result: CallResult::Balance(self.read(&customer_ref, random)),
                    issued_id: None,
                });
            }
            Call::Add(points) => commands(add(points)),
            Call::Subtract(points) => commands(subtract(points)),
            Call::Issue(_) => {
                let (reward, amount) = (RewardId::new(request.reward_to_issue()).unwrap(), None);
                let entropy = std::array::from_fn(|_| u8::try_from(random.below(256)).unwrap());
                Action::Redemption(RedemptionAction::Issue {
                    customer: customer_ref,
                    reward,
                    amount,
                    subtotal: None,
                    entropy,
                })
            }
            Call::Cancel(_) => {
                let id = RedemptionId(request.reward.unwrap().parse().unwrap());
                Action::Redemption(RedemptionAction::Cancel { id })
            }
        };

        let mut transaction = with_idempotency_key(shop.request(action), request.key, request.key);
        transaction.idempotency.as_mut().unwrap().render = Box::new(stored_response);
        let pending = shop.store.execute(transaction);

        if random.below(8) == 0 {
            return None;
        }

        let (status, body, _) = expect_stored(pending.wait());
        let (number, redemption) = body.split_once(' ').unwrap();
        let number = number.parse().unwrap();

        let issued = matches!(request.call, Call::Issue(_)) && status == 200;
        let result = if status == 200 {
            CallResult::Balance(number)
        } else {
            CallResult::Insufficient(number)
        };
        Some(CallReply { result, issued_id: issued.then(|| redemption.to_owned()) })
    }
}

/// The balance and the redemption, or the balance that was insufficient.
fn stored_response(outcome: &Outcome) -> loyalty_store::Response {
    let (status, body) = match outcome {
        Ok(receipt) => {
            let balance = receipt.customer.as_ref().unwrap().balance(receipt.at);
            let redemption = receipt
                .redemption
                .as_ref()
                .map_or(String::new(), |view| view.id().0.to_string());
            (200, format!("{} {redemption}", balance.get()))
        }
        Err(Rejection::Rules(loyalty_core::Rejection::InsufficientPoints { have, .. })) => {
            (422, format!("{} ", have.get()))
        }
        Err(other) => panic!("{other:?}"),
    };
    loyalty_store::Response { status, body: body.into_bytes() }
}

fn check_store(store: &dyn Store) {
    let shop = TestShop::new(store);
    shop.execute(Action::PublishProgram {
        program: Box::new(Program::from_json(PROGRAM).unwrap()),
        replaces: None,
    })
    .unwrap();
    let clients = (0..CLIENTS).map(|_| StoreClient(shop)).collect();
    check_accounts(
        |customer| drop(shop.execute_commands(&id(customer), vec![add(START)]).unwrap()),
        clients,
    );
    assert_consistent(store);
}

#[test]
fn memory_is_linearizable() {
    check_store(&MemoryStore::default());
}

#[test]
fn sqlite_is_linearizable() {
    for settings in [StoreSettings::default(), tiny_settings()] {
        let directory = directory();
        check_store(&SqliteStore::open(&directory.path().join("loyalty.db"), &settings).unwrap());
    }
}

/// Calls the server over a connection that may be cut.
struct HttpClient(Client);

impl AccountClient for HttpClient {
    fn call(
        &mut self,
        customer: &str,
        request: CallRequest<'_>,
        random: &mut SplitMix64,
    ) -> Option<CallReply> {
        let points = |points: i64| format!(r#"{{"customer_id":"{customer}","points":{points}}}"#);
        let http_request = match request.call {
            Call::Read => return self.read(customer, random),
            Call::Add(count) => ClientRequest::post("/v1/points-add", points(count)),
            Call::Subtract(count) => ClientRequest::post("/v1/points-subtract", points(count)),
            Call::Issue(_) => {
                let reward = request.reward_to_issue();
                let body = format!(r#"{{"customer_id":"{customer}","reward_id":"{reward}"}}"#);
                ClientRequest::post("/v1/redemptions", body)
            }
            Call::Cancel(_) => ClientRequest::post(
                format!("/v1/redemptions/{}/cancel", request.reward.unwrap()),
                String::new(),
            ),
        };

        let response = self
            .0
            .send(&http_request.with_idempotency_key(request.key), random_fault(random))?;

        let result = match response.status {
            422 => CallResult::Insufficient(response.number("have")),
            _ => CallResult::Balance(response.number("point_balance")),
        };
        Some(CallReply {
            result,
            issued_id: (response.status == 201).then(|| response.text("redemption_id")),
        })
    }
}

impl HttpClient {
    fn read(&mut self, customer: &str, random: &mut SplitMix64) -> Option<CallReply> {
        let path = format!("/v1/customers/{customer}");
        let (http_request, pointer) = match random.below(4) {
            0 => (ClientRequest::get(path), ""),
            1 => (ClientRequest::get(format!("{path}/ledger?limit=1")), "/entries/0"),
            2 => (
                ClientRequest::post(
                    "/v1/customers/point-balance",
                    format!(r#"{{"customer_ids":["{customer}"]}}"#),
                ),
                "/balances/0",
            ),
            _ => (ClientRequest::get(format!("{path}/point-balance")), ""),
        };
        let response = self.0.send(&http_request, random_fault(random))?;
        let balance = response
            .json()
            .pointer(&format!("{pointer}/point_balance"))
            .and_then(Value::as_i64);
        Some(CallReply {
            result: CallResult::Balance(balance.expect(&response.body)),
            issued_id: None,
        })
    }
}

fn random_fault(random: &mut SplitMix64) -> ConnectionFault {
    match random.below(16) {
        0 => ConnectionFault::CutRequest(random.below(300)),
        1 => ConnectionFault::CutResponse(random.below(300)),
        _ => ConnectionFault::None,
    }
}

#[test]
fn the_server_is_linearizable() {
    let server = Server::start(&StoreSettings::default());
    server.publish(PROGRAM);
    let clients = (0..CLIENTS).map(|_| HttpClient(server.client())).collect();
    check_accounts(|customer| server.add_customer(customer, START), clients);
    server.verify_and_stop();
}
