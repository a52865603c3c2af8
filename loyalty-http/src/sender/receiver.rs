//! What the sender asks of a kind of receiver.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use loyalty_store::{Destination, JournalId, JournalRow, OutgoingEvent, Store, outgoing_events};

use crate::clock::Clock;
use crate::outbound::OutboundClient;

/// What a delivery can use: the store as it is now, and the client for the outside.
#[derive(Clone)]
pub struct Outside {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The client.
    pub client: OutboundClient,
    /// The clock.
    pub clock: Clock,
    /// The id of the journal, which is part of the ids of events.
    pub journal: JournalId,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outside").finish_non_exhaustive()
    }
}

/// An event for a destination.
#[derive(Clone, Debug)]
pub struct EventToDeliver {
    /// The destination.
    pub destination: Arc<Destination>,
    /// The journal row.
    pub row: Arc<JournalRow>,
    /// The number of the event among the outgoing events of the row.
    pub index: u16,
    /// The number of attempts before this one that count.
    pub attempts: u32,
}

impl EventToDeliver {
    /// The event itself; `None` if the row has no such event.
    pub fn event(&self) -> Option<OutgoingEvent<'_>> {
        outgoing_events(&self.row).find(|event| event.index == self.index)
    }
}

/// What has become of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The receiver has it, or it is nothing for this receiver.
    Delivered,
    /// Another attempt may succeed.
    Retry {
        /// How long the receiver asks to wait.
        after: Option<Duration>,
        /// True if it asks that for all events.
        all: bool,
    },
    /// No other attempt will succeed, until somebody changes something.
    Failed,
    /// The receiver wants no events any more.
    Gone,
}

/// One attempt, for the sender and for who looks at it later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// What has become of it.
    pub outcome: DeliveryOutcome,
    /// The status of the answer; `None` if there was none.
    pub status: Option<u16>,
    /// Why it was no success; empty for a success.
    pub reason: String,
    /// The head of the answer.
    pub answer: String,
}

impl DeliveryReport {
    /// A success without an answer, as for an event that is nothing for the receiver.
    pub fn nothing_to_do() -> Self {
        Self {
            outcome: DeliveryOutcome::Delivered,
            status: None,
            reason: String::new(),
            answer: String::new(),
        }
    }

    /// A failure without an answer after which another attempt may succeed.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self {
            outcome: DeliveryOutcome::Retry { after: None, all: false },
            reason: reason.into(),
            ..Self::nothing_to_do()
        }
    }
}

/// A kind of receiver: makes one attempt to deliver an event.
///
/// An attempt may be repeated although it succeeded: its answer can get lost, and so can the
/// note of it. So a receiver must be able to tell that it knows the event already. Events of one
/// account are delivered one after the other, in order.
pub trait Receiver: Send + Sync {
    /// Makes one attempt.
    fn deliver<'a>(
        &'a self,
        event: &'a EventToDeliver,
        outside: &'a Outside,
    ) -> Pin<Box<dyn Future<Output = DeliveryReport> + Send + 'a>>;
}
