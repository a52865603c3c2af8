//! What can be asked of a store, and what it answers.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use chrono::NaiveDate;
use loyalty_core::{
    AccountId, Command, CustomerId, Email, Event, Points, Program, ProgramVersion, ShopId, Tag,
    Timestamp,
};
use tokio::sync::oneshot;

use crate::catalogue::{CatalogueAction, CatalogueOutcome};
use crate::discount::{DiscountAction, DiscountOutcome, OrderCode};
use crate::error::{Failure, Rejection};
use crate::query::CustomerView;
use crate::record::{OrderRecord, Seq};
use crate::redemption::{RedemptionAction, RedemptionView};

/// One business transaction.
pub struct Request {
    /// Whose it is.
    pub shop: ShopId,
    /// The time of it.
    pub now: Timestamp,
    /// Whether it is only asked what would happen: the whole answer, and nothing changed or kept.
    pub dry_run: bool,
    /// Where the client brought a key: what makes it happen once.
    pub idempotency: Option<Idempotency>,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// About one customer: change what is known of them, then carry commands out.
    Customer {
        /// Who.
        customer: CustomerRef,
        /// Whether they must be known.
        existence: Existence,
        /// What changes.
        change: ProfileChange,
        /// What to do when the e-mail is another customer's.
        email_conflict: EmailConflict,
        /// The state that the caller saw: the customer's [`CustomerView::etag`].
        if_match: Option<String>,
        /// What the rules are asked, one after the other; all or none.
        commands: Vec<Command>,
    },
    /// About one order. The customer is made where it is new.
    Order {
        /// What the rules are asked; a command of an order.
        command: Command,
        /// Whose the order is, where that is said.
        customer: Option<CustomerRef>,
        /// What is told of the customer besides.
        change: ProfileChange,
    },
    /// About price rules and discount codes.
    Discount(DiscountAction),
    /// About redemptions of rewards.
    Redemption(RedemptionAction),
    /// A customer came by the code of a friend.
    JoinReferral {
        /// Who came; a known customer.
        customer: CustomerRef,
        /// What is told of them besides.
        change: ProfileChange,
        /// The friend's code, as typed.
        code: String,
    },
    /// Write down what time has brought about for an account: what [`Store::due`](crate::Store::due) tells.
    CatchUp(AccountId),
    /// Find anew what is due next for some more accounts, where a program was published
    /// ([`Store::shops_to_reschedule`](crate::Store::unsettled)).
    RescheduleDue {
        /// For how many accounts at most.
        limit: usize,
    },
    /// A new version of the program.
    PublishProgram {
        /// The program.
        program: Box<Program>,
        /// The version that the caller saw.
        replaces: Option<ProgramVersion>,
    },
    /// A change of the catalogue.
    Catalogue(CatalogueAction),
}

impl Action {
    /// Commands about one customer, and nothing else.
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
            if_match: None,
            commands,
        }
    }
}

/// How a customer is named: by the shop's id, by e-mail, or by both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerRef {
    /// By the shop's id.
    Id(CustomerId),
    /// By e-mail: a guest, or a customer whose e-mail it is.
    Email(Email),
    /// By both: the id decides, and the e-mail becomes the customer's.
    Both(CustomerId, Email),
}

impl CustomerRef {
    /// From what is there; nobody where nothing is.
    pub fn new(id: Option<CustomerId>, email: Option<Email>) -> Option<Self> {
        match (id, email) {
            (Some(id), Some(email)) => Some(Self::Both(id, email)),
            (Some(id), None) => Some(Self::Id(id)),
            (None, Some(email)) => Some(Self::Email(email)),
            (None, None) => None,
        }
    }

    /// The shop's id.
    pub fn id(&self) -> Option<&CustomerId> {
        match self {
            Self::Id(id) | Self::Both(id, _) => Some(id),
            Self::Email(_) => None,
        }
    }

    /// The e-mail.
    pub fn email(&self) -> Option<&Email> {
        match self {
            Self::Email(email) | Self::Both(_, email) => Some(email),
            Self::Id(_) => None,
        }
    }
}

/// Whether a customer must be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Known or new: made where it is new.
    Any,
    /// Known.
    Required,
    /// New.
    Absent,
}

/// What to do when an e-mail belongs to another customer who has an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailConflict {
    /// Leave it with the other. For orders and store plugins, whose facts must not be lost over it.
    Ignore,
    /// Refuse the request.
    Reject,
}

/// A change of one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FieldChange<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is this from now on; nothing clears it.
    Set(Option<T>),
}

impl<T> FieldChange<T> {
    /// The changed value.
    pub fn apply_to(self, value: &mut Option<T>) {
        if let Self::Set(new) = self {
            *value = new;
        }
    }
}

/// What changes of what is known of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// The e-mail.
    pub email: FieldChange<Email>,
    /// First name.
    pub first_name: FieldChange<String>,
    /// Last name.
    pub last_name: FieldChange<String>,
    /// Day of birth.
    pub birthday: FieldChange<NaiveDate>,
    /// Postal code.
    pub zip: FieldChange<String>,
    /// Country.
    pub country: FieldChange<String>,
    /// All tags, where they change.
    pub tags: Option<BTreeSet<Tag>>,
    /// All signs of the household, where they change: a device, an address, a card, in the shop's words.
    pub household: Option<BTreeSet<String>>,
}

/// What makes a request happen once: the first answer is kept with the effect, and given again.
pub struct Idempotency {
    /// The hash of the client's key.
    pub key: [u8; 16],
    /// The hash of the request: the same key with another one is refused.
    pub fingerprint: [u8; 16],
    /// Makes the answer that is kept, rejections included. Called inside the transaction: it must not ask the store.
    pub render: Box<dyn FnOnce(&Outcome) -> Response + Send>,
}

/// The bytes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// A receipt, or why not.
pub type Outcome = Result<Receipt, Rejection>;

/// What a store says to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Decided, for a request without an idempotency key.
    Decided(Outcome),
    /// The answer that belongs to the idempotency key, made now or kept from before.
    Stored {
        /// The answer.
        response: Response,
        /// Kept from before.
        replayed: bool,
    },
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The time that counts.
    pub at: Timestamp,
    /// The position in the journal; none where nothing was new.
    pub seq: Option<Seq>,
    /// The customer as they are now.
    pub customer: Option<CustomerView>,
    /// Whether the customer is new.
    pub created: bool,
    /// The order as it is now.
    pub order: Option<Arc<OrderRecord>>,
    /// The program's new version.
    pub program: Option<ProgramVersion>,
    /// The codes that the order brought, and what came of them.
    pub codes: Vec<OrderCode>,
    /// What was done with price rules and discount codes.
    pub discount_outcome: Option<DiscountOutcome>,
    /// The redemption as it is now.
    pub redemption: Option<Box<RedemptionView>>,
    /// What became of the catalogue.
    pub catalogue_outcome: Option<CatalogueOutcome>,
    /// What happened to the customer's account and the order.
    pub events: Vec<Event>,
}

impl Receipt {
    /// What the request itself did to the balance. What time had brought about before was in it already.
    pub fn points_changed(&self) -> Points {
        let own = |event: &&Event| {
            let expired = matches!(event, Event::PointsExpired { .. });
            !expired && event.at().is_none_or(|at| at >= self.at)
        };
        self.events
            .iter()
            .filter(own)
            .fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()))
    }
}

/// A reply on its way: a future for async callers, [`Pending::wait`] for others.
pub struct Pending(PendingState);

enum PendingState {
    Ready(Option<Result<Reply, Failure>>),
    Waiting(oneshot::Receiver<Result<Reply, Failure>>),
}

impl Pending {
    /// A reply that is there.
    pub fn ready(reply: Result<Reply, Failure>) -> Self {
        Self(PendingState::Ready(Some(reply)))
    }

    /// A reply that somebody will send. Should they go away without it, the outcome is unknown.
    pub fn channel() -> (oneshot::Sender<Result<Reply, Failure>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(PendingState::Waiting(receiver)))
    }

    /// Blocks until the reply is there. Not for async code.
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
    Failure::UnknownOutcome("the store stopped before it answered".to_owned())
}
