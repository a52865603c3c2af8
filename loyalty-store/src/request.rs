//! Requests to a store, and its replies.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use loyalty_core::program::EmailProof;
use loyalty_core::{
    AccountId, Command, Event, ImportId, Points, Program, ProgramVersion, ShopId, Timestamp,
};
use tokio::sync::oneshot;

use crate::catalogue::{CatalogueAction, CatalogueOutcome};
use crate::customer_ref::CustomerRef;
use crate::discount::{DiscountAction, DiscountOutcome, OrderCode, OrderRule};
use crate::erasure::{Erasure, ErasureStep};
use crate::error::{Failure, Rejection};
use crate::import::{ImportAction, ImportOutcome};
use crate::merge::MergeReport;
use crate::profile_change::ProfileChange;
use crate::query::CustomerView;
use crate::record::{OrderRecord, Seq};
use crate::redemption::{RedemptionAction, RedemptionView};

/// One business transaction of a shop.
///
/// # Example: a dry run changes nothing
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, Reply, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let reason = AdjustmentReason::default();
/// let add = Command::AddPoints { points: Points::from(250), reason };
/// let action = Action::for_customer(ada.clone(), Existence::Any, vec![add]);
/// let request = Request { dry_run: true, ..Request::new(shop, now, action) };
/// let Reply::Decided(Ok(receipt)) = store.execute(request).wait()? else { return Ok(()) };
/// assert_eq!(receipt.points_changed(), Points::from(250));
/// assert!(store.customer(shop, &ada)?.is_none());
/// # Ok(()) }
/// ```
pub struct Request {
    /// The shop.
    pub shop: ShopId,
    /// The time of the request.
    pub now: Timestamp,
    /// True to decide the request without storing anything, not even its response.
    pub dry_run: bool,
    /// The idempotency key, if the client sent one.
    pub idempotency: Option<Idempotency>,
    /// Random bits from the system, for the codes of gifts. `None` leaves gifts that come due
    /// to a later request of the customer, or to [`Action::CatchUp`], that has some.
    pub entropy: Option<[u8; 32]>,
    /// The transaction.
    pub action: Action,
}

impl Request {
    /// Creates a request without an idempotency key and without entropy that is not a dry run.
    pub fn new(shop: ShopId, now: Timestamp, action: Action) -> Self {
        Self {
            shop,
            now,
            dry_run: false,
            idempotency: None,
            entropy: None,
            action,
        }
    }

    /// Sets random bits from the system: 32 bytes that nobody can guess.
    #[must_use]
    pub fn with_entropy(self, entropy: [u8; 32]) -> Self {
        Self { entropy: Some(entropy), ..self }
    }
}

/// A transaction to execute.
///
/// # Example: an order earns points
/// ```
/// use loyalty_core::{Command, CustomerId, Order, OrderId, Origin, Points, Status};
/// use loyalty_store::{Action, CustomerRef, MemoryStore, ProfileChange, Reply, Request, Store};
/// # use loyalty_core::{Currency, Line, LineId, Quantity, Zone};
/// # use loyalty_store::NewShop;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let line = Line { id: LineId::new("1")?, product: None, categories: Vec::new(),
/// #     quantity: Quantity::from(1), amount: "49.90".parse()?, gift_card: false, attributes: Default::default() };
/// let order = Order { lines: vec![line], total: "49.90".parse()?, ..Order::default() };
/// let command = Command::RecordOrder {
///     order: OrderId::new("A-1")?,
///     snapshot: order.into(),
///     status: Status::Paid,
///     at: None,
///     origin: Origin::Shop,
/// };
/// let customer = Some(CustomerRef::Id(CustomerId::new("1001")?));
/// let action = Action::Order { command, customer, change: ProfileChange::default() };
/// let Reply::Decided(Ok(receipt)) = store.execute(Request::new(shop, now, action)).wait()? else {
///     return Err("rejected".into());
/// };
/// assert!(receipt.created);
/// assert_eq!(receipt.points_changed(), Points::from(49));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub enum Action {
    /// Changes a customer's profile, then runs commands for the account.
    Customer {
        /// The customer.
        customer: CustomerRef,
        /// The required existence of the customer.
        existence: Existence,
        /// The change of the profile.
        change: ProfileChange,
        /// The treatment of an e-mail that belongs to another customer.
        email_conflict: EmailConflict,
        /// What the request says about whose the e-mail is: enough of it claims a guest.
        email_proof: EmailProof,
        /// The [`CustomerView::etag`] that the customer must still have.
        if_match: Option<String>,
        /// Commands for the rules, run in this order. If one is rejected, none takes
        /// effect.
        commands: Vec<Command>,
    },
    /// Runs a command of an order. Creates the customer if new.
    Order {
        /// A command with an order.
        command: Command,
        /// The customer of the order, if reported.
        customer: Option<CustomerRef>,
        /// The change of the customer's profile.
        change: ProfileChange,
    },
    /// Changes price rules, discount codes or reservations.
    Discount(DiscountAction),
    /// Issues, cancels or uses a redemption.
    Redemption(RedemptionAction),
    /// Records that a customer was referred by a friend.
    JoinReferral {
        /// The referred customer, who must exist.
        customer: CustomerRef,
        /// The change of the customer's profile.
        change: ProfileChange,
        /// The friend's referral code as typed.
        code: String,
    },
    /// Merges a customer into another one: they are one person. This cannot be undone,
    /// unless the merged one is a guest.
    MergeCustomers {
        /// The customer who stays.
        customer: CustomerRef,
        /// The customer who is merged into them, and is found as them from then on.
        from: CustomerRef,
    },
    /// Erases a customer: profile, ids, points and unused redemptions at once, the rest by
    /// [`Store::finish_erasure`](crate::Store::finish_erasure). Again it only tells how far
    /// that is.
    EraseCustomer {
        /// The customer.
        customer: CustomerRef,
    },
    /// A part of [`Store::finish_erasure`](crate::Store::finish_erasure).
    ContinueErasure(ErasureStep),
    /// Undoes a claim: the guest's account leaves the customer again.
    UndoClaim {
        /// The customer.
        customer: CustomerRef,
        /// The guest's account, as [`MergedCustomer`](crate::MergedCustomer) has it.
        claim: AccountId,
    },
    /// Records the scheduled events of an account that are due
    /// ([`Store::due`](crate::Store::due)).
    CatchUp(AccountId),
    /// Recomputes the next due time of more accounts after a program was published
    /// ([`Store::shops_to_reschedule`](crate::Store::shops_to_reschedule)).
    RescheduleDue {
        /// The largest number of accounts to recompute.
        limit: usize,
    },
    /// Publishes a new version of the program.
    PublishProgram {
        /// The program.
        program: Box<Program>,
        /// The version that must still be in force.
        replaces: Option<ProgramVersion>,
    },
    /// Changes products, categories or saved searches.
    Catalogue(CatalogueAction),
    /// One step of an import: most often a row.
    Import(ImportId, ImportAction),
}

impl Action {
    /// Creates an action that runs commands for a customer and leaves the profile
    /// unchanged.
    pub fn for_customer(
        customer: CustomerRef,
        existence: Existence,
        commands: Vec<Command>,
    ) -> Self {
        let (change, email_conflict) = (ProfileChange::default(), EmailConflict::Reject);
        Self::Customer {
            customer,
            existence,
            change,
            email_conflict,
            email_proof: EmailProof::Typed,
            if_match: None,
            commands,
        }
    }
}

/// The required existence of a customer before a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// The customer is created if new.
    Any,
    /// The customer must exist.
    Required,
    /// The customer must not exist.
    Absent,
}

/// The treatment of an e-mail that belongs to another customer with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailConflict {
    /// Leave the e-mail with the other customer. Orders and store plugins use this,
    /// because their reports must not be lost over an e-mail.
    Ignore,
    /// Reject the request.
    Reject,
}

/// An idempotency key: the request takes effect once, and its first response is stored
/// with the effect and replayed for 30 days.
///
/// # Example: a repeated request adds points once
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, Idempotency, MemoryStore, NewShop};
/// use loyalty_store::{Outcome, Reply, Request, Response, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// for expected in [false, true] {
///     let reason = AdjustmentReason::default();
///     let add = Command::AddPoints { points: Points::from(250), reason };
///     let action = Action::for_customer(ada.clone(), Existence::Any, vec![add]);
///     let render = Box::new(|outcome: &Outcome| {
///         Response { status: if outcome.is_ok() { 200 } else { 422 }, body: Vec::new() }
///     });
///     // Both are hashes in practice: of the client's key, and of the request.
///     let idempotency = Some(Idempotency { key: [1; 16], fingerprint: [2; 16], render });
///     let request = Request { idempotency, ..Request::new(shop, now, action) };
///     let reply = store.execute(request).wait()?;
///     assert!(matches!(reply, Reply::Stored { replayed, .. } if replayed == expected));
/// }
/// let customer = store.customer(shop, &ada)?.ok_or("unknown customer")?;
/// assert_eq!(customer.balance(now), Points::from(250));
/// # Ok(()) }
/// ```
pub struct Idempotency {
    /// A hash of the client's key.
    pub key: [u8; 16],
    /// A hash of the request. The same key with another fingerprint is rejected.
    pub fingerprint: [u8; 16],
    /// Renders the response to store, for rejections too. Runs inside the transaction, so
    /// it must not call the store.
    pub render: Box<dyn FnOnce(&Outcome) -> Response + Send>,
}

/// A rendered response, stored under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, such as an HTTP status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// The decision on a request.
pub type Outcome = Result<Receipt, Rejection>;

/// A store's reply to a request.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a reply is moved once; a box would be an allocation for each request"
)]
pub enum Reply {
    /// The decision on a request without an idempotency key.
    Decided(Outcome),
    /// The response stored under the request's idempotency key.
    Stored {
        /// The response.
        response: Response,
        /// True if an earlier request stored it.
        replayed: bool,
    },
}

/// The effect of an accepted request. [`Request`] and [`Action`] have examples.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The time of the request.
    pub at: Timestamp,
    /// The position of its last journal row. `None` if nothing was recorded, and while the
    /// stored response of an order that takes long to decide is rendered: other shops' rows
    /// can still come before.
    pub seq: Option<Seq>,
    /// The customer after the request.
    pub customer: Option<CustomerView>,
    /// True if the request created the customer.
    pub created: bool,
    /// The order after the request.
    pub order: Option<Arc<OrderRecord>>,
    /// The published version of the program.
    pub program: Option<ProgramVersion>,
    /// The codes that the order lists, each with its use or the reason against it.
    pub codes: Vec<OrderCode>,
    /// The automatic rules that the order lists, each with its use or the reason against it.
    pub rules: Vec<OrderRule>,
    /// The outcome of a [`DiscountAction`].
    pub discount_outcome: Option<DiscountOutcome>,
    /// The redemption after the request.
    pub redemption: Option<Box<RedemptionView>>,
    /// The outcome of a [`CatalogueAction`].
    pub catalogue_outcome: Option<CatalogueOutcome>,
    /// The outcome of an [`ImportAction`].
    pub import: Option<ImportOutcome>,
    /// The report of a merge of two customers.
    pub merge: Option<Box<MergeReport>>,
    /// The erasure of a customer.
    pub erasure: Option<Arc<Erasure>>,
    /// True if the request names the e-mail of a guest, whose account it leaves alone.
    pub guest_not_claimed: bool,
    /// The events of the customer's account and of the order.
    pub events: Vec<Event>,
}

impl Receipt {
    /// Returns the change of the balance by the request itself, without the expirations
    /// and other scheduled events that it recorded.
    pub fn points_changed(&self) -> Points {
        // A catch-up records scheduled events with their own, earlier time.
        let is_of_request = |event: &&Event| {
            let expired = matches!(event, Event::PointsExpired { .. });
            !expired && event.at().is_none_or(|at| at >= self.at)
        };

        self.events
            .iter()
            .filter(is_of_request)
            .fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()))
    }
}

/// A reply that may not have arrived yet: a future for async callers, [`Pending::wait`]
/// for others.
///
/// # Example: a store that replies from another thread
/// ```
/// use loyalty_store::{Failure, Pending};
/// let (sender, pending) = Pending::channel();
/// std::thread::spawn(move || sender.send(Err(Failure::Busy)));
/// assert_eq!(pending.wait().err(), Some(Failure::Busy));
///
/// let (sender, pending) = Pending::channel();
/// drop(sender);
/// assert!(matches!(pending.wait(), Err(Failure::UnknownOutcome(_))));
/// ```
pub struct Pending(PendingState);

#[expect(
    clippy::large_enum_variant,
    reason = "a reply is moved once; a box would be an allocation for each request"
)]
enum PendingState {
    Ready(Option<Result<Reply, Failure>>),
    Waiting(oneshot::Receiver<Result<Reply, Failure>>),
}

impl Pending {
    /// Creates a pending reply that has arrived.
    pub fn ready(reply: Result<Reply, Failure>) -> Self {
        Self(PendingState::Ready(Some(reply)))
    }

    /// Creates a pending reply and its sender. A sender that is dropped without sending
    /// gives [`Failure::UnknownOutcome`].
    pub fn channel() -> (oneshot::Sender<Result<Reply, Failure>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(PendingState::Waiting(receiver)))
    }

    /// Blocks the thread until the reply arrives. Panics inside an async runtime.
    pub fn wait(self) -> Result<Reply, Failure> {
        match self.0 {
            PendingState::Ready(reply) => reply.unwrap_or_else(|| Err(lost_reply())),
            PendingState::Waiting(receiver) => {
                receiver.blocking_recv().unwrap_or_else(|_| Err(lost_reply()))
            }
        }
    }
}

impl Future for Pending {
    type Output = Result<Reply, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            PendingState::Ready(reply) => {
                Poll::Ready(reply.take().unwrap_or_else(|| Err(lost_reply())))
            }
            PendingState::Waiting(receiver) => Pin::new(receiver)
                .poll(context)
                .map(|reply| reply.unwrap_or_else(|_| Err(lost_reply()))),
        }
    }
}

fn lost_reply() -> Failure {
    Failure::UnknownOutcome("the store stopped before it replied".to_owned())
}
