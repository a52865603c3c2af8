//! Clients that write down what they ask of one account and what they are told, over the store and over HTTP.
//!
//! Some answers are never read; some of those requests are sent again under the same key, and count as one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use loyalty_core::{Program, RedemptionId, RewardId, Zone};
use loyalty_store::{
    Action, MemoryStore, Outcome, Presence, RedemptionAction, Rejection, SearchQuery, Settings,
    SqliteStore, Store, Who,
};
use loyalty_tests::*;
use serde_json::Value;

use crate::Dice;
use crate::client::{Asked, Client, Fate};
use crate::linear::{Call, Operation, Said, is_linearizable};
use crate::server::{Server, directory};
use loyalty_store::conformance::picture::books_add_up;

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
trait Teller {
    fn ask(&mut self, customer: &str, ask: Ask<'_>, dice: &mut Dice) -> Option<Told>;
}

/// A call with its key; of a reward, its id where the call is about one.
struct Ask<'a> {
    call: Call,
    key: &'a str,
    reward: Option<&'a str>,
}

impl Ask<'_> {
    /// One that comes with a code, or the other.
    fn reward_to_issue(&self) -> &'static str {
        if self.key.len().is_multiple_of(2) { "five" } else { "mug" }
    }
}

struct Told {
    said: Said,
    /// The id of what was issued.
    issued: Option<String>,
}

/// What the clients of one account have in common.
#[derive(Default)]
struct Book {
    history: Vec<Operation>,
    /// Rewards that are out for all that their client knows: the operation, and the id.
    issued: Vec<(usize, String)>,
}

/// Writes down what happens, under one clock.
struct Scribe<'a> {
    clock: &'a AtomicU64,
    book: &'a Mutex<Book>,
}

impl Scribe<'_> {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Chooses a call and notes that it has begun.
    fn begin(&self, dice: &mut Dice) -> (usize, Call, Option<String>) {
        let mut book = self.book.lock().unwrap();
        let (call, reward) = match dice.roll(10) {
            0 | 1 => (Call::Add(dice.points(9)), None),
            2 | 3 => (Call::Subtract(dice.points(12)), None),
            4 | 5 => (Call::Issue(COST), None),
            6 if !book.issued.is_empty() => {
                // Sometimes it stays on the list, and is given back twice.
                let place = dice.roll(book.issued.len());
                let issued = book.issued[place].clone();
                if dice.roll(2) == 0 {
                    book.issued.swap_remove(place);
                }
                (Call::Cancel(issued.0), Some(issued.1))
            }
            _ => (Call::Read, None),
        };
        let began = self.tick();
        book.history
            .push(Operation { call, said: None, began, ended: u64::MAX });
        (book.history.len() - 1, call, reward)
    }

    fn end(&self, number: usize, told: Told) {
        let ended = self.tick();
        let mut book = self.book.lock().unwrap();
        (book.history[number].said, book.history[number].ended) = (Some(told.said), ended);
        book.issued.extend(told.issued.map(|id| (number, id)));
    }
}

fn work(teller: &mut dyn Teller, customer: &str, scribe: &Scribe<'_>, dice: &mut Dice) {
    for _ in 0..CALLS {
        let (number, call, reward) = scribe.begin(dice);
        let key = format!("{customer}-{number}");
        let again = dice.roll(2) == 0;
        loop {
            let ask = Ask { call, key: &key, reward: reward.as_deref() };
            match teller.ask(customer, ask, dice) {
                Some(told) => break scribe.end(number, told),
                None if again => {}
                None => break,
            }
        }
        match dice.roll(3) {
            0 => std::thread::yield_now(),
            1 => std::thread::sleep(Duration::from_micros(u64::try_from(dice.roll(200)).unwrap())),
            _ => {}
        }
    }
}

/// Many accounts, one after the other, each with clients that come at once.
fn watch<T: Teller + Send>(open: impl Fn(&str), mut tellers: Vec<T>) {
    let (mut unread, mut beside) = (0, 0);
    for round in 0..rounds() {
        let customer = format!("r{round}");
        open(&customer);
        let (clock, book) = (AtomicU64::new(0), Mutex::default());
        std::thread::scope(|scope| {
            for (number, teller) in tellers.iter_mut().enumerate() {
                let (customer, scribe) = (&customer, Scribe { clock: &clock, book: &book });
                scope.spawn(move || {
                    work(teller, customer, &scribe, &mut Dice::new(round * CLIENTS + number))
                });
            }
        });
        let Book { history, .. } = book.into_inner().unwrap();
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
        unread += history.iter().filter(|operation| operation.said.is_none()).count();
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
struct OverStore<'a>(Desk<'a>);

impl OverStore<'_> {
    fn read(&self, who: &Who, dice: &mut Dice) -> i64 {
        let desk = &self.0;
        let account = || desk.see(who).record().account;
        match dice.roll(4) {
            0 => desk.store.ledger(desk.shop, account(), None, 1).unwrap().rows[0]
                .balance
                .get(),
            1 => desk
                .store
                .customer_of(desk.shop, account())
                .unwrap()
                .unwrap()
                .balance(desk.now)
                .get(),
            2 => {
                let Who::Id(id) = who else { unreachable!() };
                let search =
                    SearchQuery::parse(&format!("id:{}", id.as_str()), desk.now, Zone::UTC)
                        .unwrap();
                desk.store.customers(desk.shop, &search, None, 1).unwrap().items[0]
                    .balance(desk.now)
                    .get()
            }
            _ => desk.balance(who),
        }
    }
}

impl Teller for OverStore<'_> {
    fn ask(&mut self, customer: &str, ask: Ask<'_>, dice: &mut Dice) -> Option<Told> {
        let (who, desk) = (id(customer), self.0);
        let commands = |command| Action::customer(who.clone(), Presence::Must, vec![command]);
        let action = match ask.call {
            Call::Read => {
                return Some(Told { said: Said::Balance(self.read(&who, dice)), issued: None });
            }
            Call::Add(points) => commands(add(points)),
            Call::Subtract(points) => commands(subtract(points)),
            Call::Issue(_) => {
                let (reward, amount) = (RewardId::new(ask.reward_to_issue()).unwrap(), None);
                let entropy = std::array::from_fn(|_| u8::try_from(dice.roll(256)).unwrap());
                Action::Redemption(RedemptionAction::Issue { who, reward, amount, entropy })
            }
            Call::Cancel(_) => {
                let id = RedemptionId(ask.reward.unwrap().parse().unwrap());
                Action::Redemption(RedemptionAction::Cancel { id })
            }
        };
        let mut request = keyed(desk.request(action), ask.key, ask.key);
        request.idempotency.as_mut().unwrap().render = Box::new(rendered);
        let pending = desk.store.execute(request);
        if dice.roll(8) == 0 {
            return None;
        }
        let (status, body, _) = kept(pending.wait());
        let (number, redemption) = body.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        let issued = matches!(ask.call, Call::Issue(_)) && status == 200;
        let said = if status == 200 { Said::Balance(number) } else { Said::Short(number) };
        Some(Told { said, issued: issued.then(|| redemption.to_owned()) })
    }
}

/// The balance and the redemption, or what there is where that is too little.
fn rendered(outcome: &Outcome) -> loyalty_store::Answer {
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
    loyalty_store::Answer { status, body: body.into_bytes() }
}

fn over_store(store: &dyn Store) {
    let desk = Desk::new(store);
    desk.act(Action::PublishProgram {
        program: Box::new(Program::from_json(PROGRAM).unwrap()),
        replaces: None,
    })
    .unwrap();
    let tellers = (0..CLIENTS).map(|_| OverStore(desk)).collect();
    watch(|customer| drop(desk.tell(&id(customer), vec![add(START)]).unwrap()), tellers);
    books_add_up(store);
}

#[test]
fn memory_is_linearizable() {
    over_store(&MemoryStore::default());
}

#[test]
fn sqlite_is_linearizable() {
    for settings in [Settings::default(), tiny()] {
        let directory = directory();
        over_store(&SqliteStore::open(&directory.path().join("loyalty.db"), &settings).unwrap());
    }
}

/// Over a connection that may be cut.
struct OverHttp(Client);

impl Teller for OverHttp {
    fn ask(&mut self, customer: &str, ask: Ask<'_>, dice: &mut Dice) -> Option<Told> {
        let points = |points: i64| format!(r#"{{"customer_id":"{customer}","points":{points}}}"#);
        let asked = match ask.call {
            Call::Read => return self.read(customer, dice),
            Call::Add(count) => Asked::post("/v1/points-add", points(count)),
            Call::Subtract(count) => Asked::post("/v1/points-subtract", points(count)),
            Call::Issue(_) => {
                let reward = ask.reward_to_issue();
                let body = format!(r#"{{"customer_id":"{customer}","reward_id":"{reward}"}}"#);
                Asked::post("/v1/redemptions", body)
            }
            Call::Cancel(_) => Asked::post(
                format!("/v1/redemptions/{}/cancel", ask.reward.unwrap()),
                String::new(),
            ),
        };
        let answer = self.0.send(&asked.once(ask.key), cut(dice))?;
        let said = match answer.status {
            422 => Said::Short(answer.number("have")),
            _ => Said::Balance(answer.number("point_balance")),
        };
        Some(Told {
            said,
            issued: (answer.status == 201).then(|| answer.text("redemption_id")),
        })
    }
}

impl OverHttp {
    fn read(&mut self, customer: &str, dice: &mut Dice) -> Option<Told> {
        let path = format!("/v1/customers/{customer}");
        let (asked, within) = match dice.roll(4) {
            0 => (Asked::get(path), ""),
            1 => (Asked::get(format!("{path}/ledger?limit=1")), "/entries/0"),
            2 => (
                Asked::post(
                    "/v1/customers/point-balance",
                    format!(r#"{{"customer_ids":["{customer}"]}}"#),
                ),
                "/balances/0",
            ),
            _ => (Asked::get(format!("{path}/point-balance")), ""),
        };
        let answer = self.0.send(&asked, cut(dice))?;
        let balance = answer
            .json()
            .pointer(&format!("{within}/point_balance"))
            .and_then(Value::as_i64);
        Some(Told {
            said: Said::Balance(balance.expect(&answer.body)),
            issued: None,
        })
    }
}

fn cut(dice: &mut Dice) -> Fate {
    match dice.roll(16) {
        0 => Fate::CutAsking(dice.roll(300)),
        1 => Fate::CutAnswering(dice.roll(300)),
        _ => Fate::Holds,
    }
}

#[test]
fn the_server_is_linearizable() {
    let server = Server::start(&Settings::default());
    server.publish(PROGRAM);
    let tellers = (0..CLIENTS).map(|_| OverHttp(server.client())).collect();
    watch(|customer| server.customer(customer, START), tellers);
    server.end();
}
