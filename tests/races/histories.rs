//! Clients that write down what they ask of one account and what they are told, over the store and over HTTP.
//!
//! Some answers are never read; some of those requests are sent again under the same key, and count as one.

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
/// What each reward costs.
const COST: i64 = 6;
const PROGRAM: &str = r#"{"rewards": [
    {"id": "mug", "name": "A mug", "cost": 6, "gives": "custom"},
    {"id": "five", "name": "5 off", "cost": 6, "gives": {"fixed_amount": "5"}}]}"#;

/// How many accounts each test watches.
fn rounds() -> usize {
    std::env::var("RACE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(200)
}

/// What a client asks with one account in mind. `None` is an answer that was not read.
trait AccountClient {
    fn call(
        &mut self,
        customer: &str,
        ask: CallRequest<'_>,
        dice: &mut SplitMix64,
    ) -> Option<CallReply>;
}

/// A call with its key; of a reward, its id where the call is about one.
struct CallRequest<'a> {
    call: Call,
    key: &'a str,
    reward: Option<&'a str>,
}

impl CallRequest<'_> {
    /// One that comes with a code, or the other.
    fn reward_to_issue(&self) -> &'static str {
        if self.key.len().is_multiple_of(2) { "five" } else { "mug" }
    }
}

struct CallReply {
    result: CallResult,
    /// The id of what was issued.
    issued_id: Option<String>,
}

/// What the clients of one account have in common.
#[derive(Default)]
struct SharedHistory {
    history: Vec<Operation>,
    /// Rewards that are out for all that their client knows: the operation, and the id.
    open_redemptions: Vec<(usize, String)>,
}

/// Writes down what happens, under one clock.
struct HistoryRecorder<'a> {
    clock: &'a AtomicU64,
    history: &'a Mutex<SharedHistory>,
}

impl HistoryRecorder<'_> {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Chooses a call and notes that it has begun.
    fn begin_call(&self, dice: &mut SplitMix64) -> (usize, Call, Option<String>) {
        let mut book = self.history.lock().unwrap();
        let (call, reward) = match dice.below(10) {
            0 | 1 => (Call::Add(dice.points(9)), None),
            2 | 3 => (Call::Subtract(dice.points(12)), None),
            4 | 5 => (Call::Issue(COST), None),
            6 if !book.open_redemptions.is_empty() => {
                // Sometimes it stays on the list, and is given back twice.
                let place = dice.below(book.open_redemptions.len());
                let issued = book.open_redemptions[place].clone();
                if dice.below(2) == 0 {
                    book.open_redemptions.swap_remove(place);
                }
                (Call::Cancel(issued.0), Some(issued.1))
            }
            _ => (Call::Read, None),
        };
        let began = self.tick();
        book.history
            .push(Operation { call, result: None, began, ended: u64::MAX });
        (book.history.len() - 1, call, reward)
    }

    fn end_call(&self, number: usize, told: CallReply) {
        let ended = self.tick();
        let mut book = self.history.lock().unwrap();
        (book.history[number].result, book.history[number].ended) = (Some(told.result), ended);
        book.open_redemptions.extend(told.issued_id.map(|id| (number, id)));
    }
}

fn run_client(
    teller: &mut dyn AccountClient,
    customer: &str,
    scribe: &HistoryRecorder<'_>,
    dice: &mut SplitMix64,
) {
    for _ in 0..CALLS {
        let (number, call, reward) = scribe.begin_call(dice);
        let key = format!("{customer}-{number}");
        let again = dice.below(2) == 0;
        loop {
            let ask = CallRequest { call, key: &key, reward: reward.as_deref() };
            match teller.call(customer, ask, dice) {
                Some(told) => break scribe.end_call(number, told),
                None if again => {}
                None => break,
            }
        }
        match dice.below(3) {
            0 => std::thread::yield_now(),
            1 => std::thread::sleep(Duration::from_micros(u64::try_from(dice.below(200)).unwrap())),
            _ => {}
        }
    }
}

/// Many accounts, one after the other, each with clients that come at once.
fn check_accounts<T: AccountClient + Send>(open: impl Fn(&str), mut tellers: Vec<T>) {
    let (mut unread, mut beside) = (0, 0);
    for round in 0..rounds() {
        let customer = format!("r{round}");
        open(&customer);
        let (clock, book) = (AtomicU64::new(0), Mutex::default());
        std::thread::scope(|scope| {
            for (number, teller) in tellers.iter_mut().enumerate() {
                let (customer, scribe) =
                    (&customer, HistoryRecorder { clock: &clock, history: &book });
                scope.spawn(move || {
                    run_client(
                        teller,
                        customer,
                        &scribe,
                        &mut SplitMix64::new(round * CLIENTS + number),
                    )
                });
            }
        });
        let SharedHistory { history, .. } = book.into_inner().unwrap();
        let told = || {
            history
                .iter()
                .map(|operation| format!("{operation:?}"))
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert!(
            is_linearizable(&history, START),
            "round {round} began with {START}:\n{}",
            told()
        );
        unread += history.iter().filter(|operation| operation.result.is_none()).count();
        beside += history
            .windows(2)
            .filter(|pair| pair[1].began < pair[0].ended)
            .count();
    }
    let all = rounds() * CLIENTS * CALLS;
    assert!(
        unread > all / 100 && beside > all / 50,
        "of {all}, {unread} were unread and {beside} side by side"
    );
}

/// Through the trait. An answer is not read where nobody waits for it.
struct StoreClient<'a>(TestShop<'a>);

impl StoreClient<'_> {
    fn read(&self, who: &CustomerRef, dice: &mut SplitMix64) -> i64 {
        let desk = &self.0;
        let account = || desk.customer(who).record().account;
        match dice.below(4) {
            0 => desk.store.account_journal(desk.id, account(), None, 1).unwrap().rows[0]
                .balance
                .get(),
            1 => desk
                .store
                .customer_by_account(desk.id, account())
                .unwrap()
                .unwrap()
                .balance(desk.now)
                .get(),
            2 => {
                let CustomerRef::Id(id) = who else { unreachable!() };
                let search =
                    SearchQuery::parse(&format!("id:{}", id.as_str()), desk.now, Zone::UTC)
                        .unwrap();
                desk.store.customers(desk.id, &search, None, 1).unwrap().items[0]
                    .balance(desk.now)
                    .get()
            }
            _ => desk.balance(who),
        }
    }
}

impl AccountClient for StoreClient<'_> {
    fn call(
        &mut self,
        customer: &str,
        ask: CallRequest<'_>,
        dice: &mut SplitMix64,
    ) -> Option<CallReply> {
        let (who, desk) = (id(customer), self.0);
        let commands =
            |command| Action::for_customer(who.clone(), Existence::Required, vec![command]);
        let action = match ask.call {
            Call::Read => {
                return Some(CallReply {
                    result: CallResult::Balance(self.read(&who, dice)),
                    issued_id: None,
                });
            }
            Call::Add(points) => commands(add(points)),
            Call::Subtract(points) => commands(subtract(points)),
            Call::Issue(_) => {
                let (reward, amount) = (RewardId::new(ask.reward_to_issue()).unwrap(), None);
                let entropy = std::array::from_fn(|_| u8::try_from(dice.below(256)).unwrap());
                Action::Redemption(RedemptionAction::Issue {
                    customer: who,
                    reward,
                    amount,
                    entropy,
                })
            }
            Call::Cancel(_) => {
                let id = RedemptionId(ask.reward.unwrap().parse().unwrap());
                Action::Redemption(RedemptionAction::Cancel { id })
            }
        };
        let mut request = with_idempotency_key(desk.request(action), ask.key, ask.key);
        request.idempotency.as_mut().unwrap().render = Box::new(stored_response);
        let pending = desk.store.execute(request);
        if dice.below(8) == 0 {
            return None;
        }
        let (status, body, _) = expect_stored(pending.wait());
        let (number, redemption) = body.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        let issued = matches!(ask.call, Call::Issue(_)) && status == 200;
        let said = if status == 200 {
            CallResult::Balance(number)
        } else {
            CallResult::Insufficient(number)
        };
        Some(CallReply {
            result: said,
            issued_id: issued.then(|| redemption.to_owned()),
        })
    }
}

/// The balance and the redemption, or what there is where that is too little.
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
    let desk = TestShop::new(store);
    desk.execute(Action::PublishProgram {
        program: Box::new(Program::from_json(PROGRAM).unwrap()),
        replaces: None,
    })
    .unwrap();
    let tellers = (0..CLIENTS).map(|_| StoreClient(desk)).collect();
    check_accounts(
        |customer| drop(desk.execute_commands(&id(customer), vec![add(START)]).unwrap()),
        tellers,
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

/// Over a connection that may be cut.
struct HttpClient(Client);

impl AccountClient for HttpClient {
    fn call(
        &mut self,
        customer: &str,
        ask: CallRequest<'_>,
        dice: &mut SplitMix64,
    ) -> Option<CallReply> {
        let points = |points: i64| format!(r#"{{"customer_id":"{customer}","points":{points}}}"#);
        let asked = match ask.call {
            Call::Read => return self.read(customer, dice),
            Call::Add(count) => ClientRequest::post("/v1/points-add", points(count)),
            Call::Subtract(count) => ClientRequest::post("/v1/points-subtract", points(count)),
            Call::Issue(_) => {
                let reward = ask.reward_to_issue();
                let body = format!(r#"{{"customer_id":"{customer}","reward_id":"{reward}"}}"#);
                ClientRequest::post("/v1/redemptions", body)
            }
            Call::Cancel(_) => ClientRequest::post(
                format!("/v1/redemptions/{}/cancel", ask.reward.unwrap()),
                String::new(),
            ),
        };
        let answer = self
            .0
            .send(&asked.with_idempotency_key(ask.key), random_fault(dice))?;
        let said = match answer.status {
            422 => CallResult::Insufficient(answer.number("have")),
            _ => CallResult::Balance(answer.number("point_balance")),
        };
        Some(CallReply {
            result: said,
            issued_id: (answer.status == 201).then(|| answer.text("redemption_id")),
        })
    }
}

impl HttpClient {
    fn read(&mut self, customer: &str, dice: &mut SplitMix64) -> Option<CallReply> {
        let path = format!("/v1/customers/{customer}");
        let (asked, within) = match dice.below(4) {
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
        let answer = self.0.send(&asked, random_fault(dice))?;
        let balance = answer
            .json()
            .pointer(&format!("{within}/point_balance"))
            .and_then(Value::as_i64);
        Some(CallReply {
            result: CallResult::Balance(balance.expect(&answer.body)),
            issued_id: None,
        })
    }
}

fn random_fault(dice: &mut SplitMix64) -> ConnectionFault {
    match dice.below(16) {
        0 => ConnectionFault::CutRequest(dice.below(300)),
        1 => ConnectionFault::CutResponse(dice.below(300)),
        _ => ConnectionFault::None,
    }
}

#[test]
fn the_server_is_linearizable() {
    let server = Server::start(&StoreSettings::default());
    server.publish(PROGRAM);
    let tellers = (0..CLIENTS).map(|_| HttpClient(server.client())).collect();
    check_accounts(|customer| server.add_customer(customer, START), tellers);
    server.verify_and_stop();
}
