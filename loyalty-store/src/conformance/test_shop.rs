//! Short functions for the requests of conformance cases.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loyalty_core::discount::{Code, PriceRule, PriceRuleParts, ValueType};
use loyalty_core::program::EmailProof;
use loyalty_core::{
    AdjustmentReason, CodeId, Command, Currency, CustomerId, Email, Line, LineId, Order, OrderId,
    Origin, OverRefund, Points, PriceRuleId, Program, Refund, RefundId, ShopId, Status, Timestamp,
    Zone,
};

use crate::{
    Action, CustomerRef, CustomerView, DiscountAction, DiscountOutcome, Existence, Failure,
    FieldChange, Idempotency, NewShop, Outcome, Pending, ProfileChange, Rejection, Reply, Request,
    Response, Store,
};

/// A shop in a store, with a time for its requests.
#[derive(Clone, Copy)]
pub struct TestShop<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// The shop.
    pub id: ShopId,
    /// The time of requests.
    pub now: Timestamp,
}

impl<'a> TestShop<'a> {
    /// Creates a shop, at noon of 1 January 2026.
    pub fn new(store: &'a dyn Store) -> Self {
        let now = at("2026-01-01T12:00:00Z");
        let shop = NewShop {
            name: "Tea".to_owned(),
            currency: Currency::EUR,
            zone: Zone::UTC,
        };
        let id = store.create_shop(&shop, now).unwrap().id;
        Self { store, id, now }
    }

    /// Returns the same shop at another time.
    #[must_use]
    pub fn at(self, now: &str) -> Self {
        Self { now: at(now), ..self }
    }

    /// Creates a request of this shop at its time, with entropy that no other one has.
    pub fn request(&self, action: Action) -> Request {
        static REQUESTS: AtomicU64 = AtomicU64::new(0);
        let number = u128::from(REQUESTS.fetch_add(1, Ordering::Relaxed));
        let mut entropy = [0; 32];
        entropy[16..].copy_from_slice(&number.to_be_bytes());
        Request::new(self.id, self.now, action).with_entropy(entropy)
    }

    /// Executes an action without an idempotency key.
    ///
    /// # Panics
    /// If the store fails.
    pub fn execute(&self, action: Action) -> Outcome {
        expect_decided(self.store.execute(self.request(action)).wait())
    }

    /// Executes an action with an idempotency key. The response contains the position in
    /// the journal and the balance.
    pub fn execute_with_key(&self, key: &str, action: Action) -> Result<Reply, Failure> {
        let fingerprint = format!("{action:?}");
        self.store
            .execute(with_idempotency_key(self.request(action), key, &fingerprint))
            .wait()
    }

    /// Executes commands for a customer, who is created if new.
    pub fn execute_commands(&self, customer: &CustomerRef, commands: Vec<Command>) -> Outcome {
        self.execute(Action::for_customer(customer.clone(), Existence::Any, commands))
    }

    /// Executes commands for a customer whom the shop has created or changed.
    pub fn execute_profile(&self, customer: &CustomerRef, commands: Vec<Command>) -> Outcome {
        self.execute_with_proof(customer, EmailProof::Profile, commands)
    }

    /// Executes commands for a customer of whose e-mail there is a proof.
    pub fn execute_with_proof(
        &self,
        customer: &CustomerRef,
        email_proof: EmailProof,
        commands: Vec<Command>,
    ) -> Outcome {
        self.execute(Action::Customer {
            customer: customer.clone(),
            existence: Existence::Any,
            change: ProfileChange::default(),
            email_conflict: crate::EmailConflict::Reject,
            email_proof,
            if_match: None,
            commands,
        })
    }

    /// Executes a command of an order.
    pub fn execute_order(&self, customer: Option<&CustomerRef>, command: Command) -> Outcome {
        self.execute(order_action(customer, command))
    }

    /// Returns an existing customer.
    pub fn customer(&self, customer: &CustomerRef) -> CustomerView {
        self.store
            .customer(self.id, customer)
            .unwrap()
            .unwrap_or_else(|| panic!("{customer:?} is not there"))
    }

    /// Returns the balance of an existing customer.
    pub fn balance(&self, customer: &CustomerRef) -> i64 {
        self.customer(customer).balance(self.now).get()
    }
}

/// Returns the outcome of a request without an idempotency key.
pub fn expect_decided(reply: Result<Reply, Failure>) -> Outcome {
    match reply {
        Ok(Reply::Decided(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

/// Executes requests, `in_flight` at once. Each must be accepted.
pub fn execute_all(store: &dyn Store, in_flight: usize, requests: impl Iterator<Item = Request>) {
    let mut waiting: VecDeque<Pending> = VecDeque::new();
    let done = |reply| {
        assert!(matches!(reply, Ok(Reply::Decided(Ok(_)) | Reply::Stored { .. })), "{reply:?}");
    };

    for request in requests {
        if waiting.len() >= in_flight {
            done(waiting.pop_front().unwrap().wait());
        }
        waiting.push_back(store.execute(request));
    }

    for last in waiting {
        done(last.wait());
    }
}

/// Returns the status and text of a stored response, and true if it was replayed.
pub fn expect_stored(reply: Result<Reply, Failure>) -> (u16, String, bool) {
    match reply {
        Ok(Reply::Stored { response, replayed }) => {
            (response.status, String::from_utf8(response.body).unwrap(), replayed)
        }
        other => panic!("{other:?}"),
    }
}

/// Adds an idempotency key to a request.
pub fn with_idempotency_key(request: Request, key: &str, fingerprint: &str) -> Request {
    let render = Box::new(|outcome: &Outcome| render_outcome(outcome));
    let idempotency = Idempotency { key: digest(key), fingerprint: digest(fingerprint), render };
    Request { idempotency: Some(idempotency), ..request }
}

/// Renders a response that differs between outcomes.
fn render_outcome(outcome: &Outcome) -> Response {
    let (status, body) = match outcome {
        Ok(receipt) => {
            let balance = receipt.customer.as_ref().map(|customer| customer.balance(receipt.at));
            // A publication may be decided apart, and then does not know its position.
            let seq = receipt.seq.filter(|_| receipt.program.is_none());
            let program = receipt
                .program
                .map_or_else(String::new, |version| format!(", {version:?}"));
            (200, format!("seq {seq:?}, balance {balance:?}{program}"))
        }
        Err(rejection) => (422, rejection.code().to_owned()),
    };
    Response { status, body: body.into_bytes() }
}

/// Hashes a text to 16 bytes (FNV-1a, twice), without the strength of a real digest.
pub fn digest(text: &str) -> [u8; 16] {
    let fnv = |start: u64| {
        text.bytes()
            .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let [low, high] =
        [fnv(0xcbf2_9ce4_8422_2325), fnv(0x6c62_272e_07bb_0142)].map(u64::to_le_bytes);
    [low, high].concat().try_into().unwrap()
}

/// Parses an instant.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Refers to a customer by the shop's id.
pub fn id(text: &str) -> CustomerRef {
    CustomerRef::Id(CustomerId::new(text).unwrap())
}

/// Refers to a customer or guest by e-mail.
pub fn email(text: &str) -> CustomerRef {
    CustomerRef::Email(email_address(text))
}

/// Refers to a customer by id and e-mail.
pub fn id_and_email(id: &str, email: &str) -> CustomerRef {
    CustomerRef::Both(CustomerId::new(id).unwrap(), email_address(email))
}

/// Parses an e-mail address.
pub fn email_address(text: &str) -> Email {
    Email::new(text).unwrap()
}

/// Changes the e-mail alone.
pub fn email_change(text: &str) -> ProfileChange {
    ProfileChange {
        email: FieldChange::Set(Some(email_address(text))),
        ..ProfileChange::default()
    }
}

/// Returns a number of points.
pub fn points(count: i64) -> Points {
    Points::new(count).unwrap()
}

/// Adds points by the shop.
pub fn add(count: i64) -> Command {
    Command::AddPoints { points: points(count), reason: AdjustmentReason::default() }
}

/// Subtracts points by the shop.
pub fn subtract(count: i64) -> Command {
    Command::SubtractPoints { points: points(count), reason: AdjustmentReason::default() }
}

/// Sets the balance by the shop.
pub fn set_balance(count: i64) -> Command {
    Command::SetBalance { to: points(count), reason: None }
}

/// Publishes a new version of the program.
pub fn publish_action(document: &str) -> Action {
    Action::PublishProgram {
        program: Box::new(Program::from_json(document).unwrap()),
        replaces: None,
    }
}

/// Parses the id of an order.
pub fn order_id(text: &str) -> OrderId {
    OrderId::new(text).unwrap()
}

/// Creates an order with one line.
pub fn one_line_order(total: &str) -> Order {
    let total = total.parse().unwrap();
    let line = Line::new(LineId::new("1").unwrap(), total);
    Order { lines: vec![line], total, ..Order::default() }
}

/// Records an order with a status.
pub fn record_order(order: &str, total: &str, status: Status) -> Command {
    let (order, snapshot) = (order_id(order), Arc::new(one_line_order(total)));
    Command::RecordOrder { order, snapshot, status, at: None, origin: Origin::Shop }
}

/// Records a paid order.
pub fn record_paid(order: &str, total: &str) -> Command {
    record_order(order, total, Status::Paid)
}

/// Refunds an amount of an order.
pub fn refund(order: &str, refund: &str, amount: &str) -> Command {
    let refund = Refund::of_amount(RefundId::new(refund).unwrap(), amount.parse().unwrap());
    Command::RefundOrder {
        order: order_id(order),
        refund,
        over_refund: OverRefund::Reject,
        at: None,
    }
}

/// Cancels an order.
pub fn cancel(order: &str) -> Command {
    Command::CancelOrder { order: order_id(order), at: None }
}

/// Executes a command of an order of a customer.
pub fn order_action(customer: Option<&CustomerRef>, command: Command) -> Action {
    Action::Order {
        command,
        customer: customer.cloned(),
        change: ProfileChange::default(),
    }
}

/// Returns the code of a rejected request.
pub fn rejection_code(outcome: &Outcome) -> &'static str {
    outcome
        .as_ref()
        .map_or_else(Rejection::code, |receipt| panic!("{receipt:?} was not rejected"))
}

/// A price rule of ten percent off everything.
pub fn ten_percent() -> PriceRuleParts {
    let (title, value) = ("Ten percent".to_owned(), "-10".parse().unwrap());
    PriceRuleParts {
        title,
        value_type: ValueType::Percentage,
        value,
        ..PriceRuleParts::new(Timestamp::UNIX_EPOCH)
    }
}

/// Parses the text of a discount code.
pub fn discount_code(text: &str) -> Code {
    Code::new(text).unwrap()
}

/// Records a paid order with codes.
pub fn record_paid_with_codes(order: &str, total: &str, codes: &[&str]) -> Command {
    let snapshot = Order {
        codes: codes.iter().map(|code| discount_code(code)).collect(),
        ..one_line_order(total)
    };
    let (order, snapshot) = (order_id(order), Arc::new(snapshot));
    Command::RecordOrder {
        order,
        snapshot,
        status: Status::Paid,
        at: None,
        origin: Origin::Shop,
    }
}

impl TestShop<'_> {
    /// Executes a change of price rules or codes.
    pub fn execute_discount(&self, action: DiscountAction) -> Outcome {
        self.execute(Action::Discount(action))
    }

    /// Creates a price rule.
    pub fn create_rule(&self, parts: PriceRuleParts) -> PriceRuleId {
        let rule = Box::new(PriceRule::new(parts, 2).unwrap());
        match self
            .execute_discount(DiscountAction::SaveRule { id: None, rule, if_match: None })
            .unwrap()
            .discount_outcome
        {
            Some(DiscountOutcome::Rule(rule)) => rule.id,
            other => panic!("{other:?}"),
        }
    }

    /// Creates a code of a rule.
    pub fn create_code(&self, rule: PriceRuleId, text: &str) -> CodeId {
        match self
            .execute_discount(DiscountAction::AddCode { rule, text: discount_code(text) })
            .unwrap()
            .discount_outcome
        {
            Some(DiscountOutcome::Code(code)) => code.id,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the number of uses of a code.
    pub fn code_uses(&self, code: CodeId) -> u64 {
        self.store.code(self.id, code).unwrap().unwrap().used
    }
}
