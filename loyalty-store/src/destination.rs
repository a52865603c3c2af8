//! Destinations: who gets outgoing events, and how far each has got.
//!
//! A destination has a cursor over the journal, and exceptions. Every event up to the cursor was
//! delivered, is not wanted, or stands as a [`Delivery`]: one that waits for another attempt or
//! behind such a one of the same customer, or one that was given up. So a receiver that answers
//! costs no row for an event, only a cursor that is written from time to time, and one that does
//! not answer costs the journal that is there anyway.

use std::collections::BTreeSet;

use loyalty_core::{AccountId, ShopId, StoreId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::outgoing::OutgoingKind;
use crate::record::Seq;
use crate::seal::SecretText;

/// The number of webhook endpoints that a shop can have.
pub const MAX_WEBHOOK_ENDPOINTS: usize = 20;

/// The most deliveries that were given up and are kept, for a destination.
pub const MAX_DEAD: usize = 10_000;

/// How long a delivery that was given up is kept.
pub const DEAD_DAYS: i64 = 30;

/// The most characters that are kept of an answer.
pub const MAX_ANSWER: usize = 200;

/// The number of a destination, counted over all shops. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DestinationId(pub i64);

/// What a destination is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationKind {
    /// An endpoint of the shop's own that gets signed events.
    WebhookEndpoint,
    /// A connected store, whose driver makes of an event what the store needs.
    Store(StoreId),
}

/// Whether a destination gets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DestinationState {
    /// It gets events.
    Enabled,
    /// It gets none, and its cursor stands still. Enabled again, it goes on where it stopped.
    Disabled {
        /// The reason.
        reason: DisableReason,
        /// The time.
        at: Timestamp,
    },
}

/// Why a destination gets no events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisableReason {
    /// The shop asked for it.
    Requested,
    /// The receiver said that it is gone for good.
    Gone,
    /// Nothing but failures for five days.
    Failing,
}

impl DisableReason {
    /// Returns the stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// A secret of a destination: one to sign with, or a store's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationSecret {
    /// The secret.
    pub secret: SecretText,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// Its end, if it was replaced.
    pub expires_at: Option<Timestamp>,
}

/// What a shop says about a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationSettings {
    /// The URL to call.
    pub url: String,
    /// The shop's words about it.
    pub description: String,
    /// The types of events that it gets; all, if empty.
    pub events: BTreeSet<OutgoingKind>,
    /// What only its kind knows, as JSON.
    pub details: Option<String>,
}

/// What to change of a destination; `None` leaves what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationUpdate {
    /// The URL to call.
    pub url: Option<String>,
    /// The shop's words about it.
    pub description: Option<String>,
    /// The types of events that it gets; all, if empty.
    pub events: Option<BTreeSet<OutgoingKind>>,
    /// What only its kind knows, as JSON.
    pub details: Option<String>,
    /// Whether it gets events. Enabled again, it goes on where it stopped.
    pub is_enabled: Option<bool>,
    /// The secret, in place of all others.
    pub secret: Option<SecretText>,
}

/// A receiver of outgoing events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The number.
    pub id: DestinationId,
    /// The shop.
    pub shop: ShopId,
    /// What it is.
    pub kind: DestinationKind,
    /// What the shop says about it.
    pub settings: DestinationSettings,
    /// Whether it gets events.
    pub state: DestinationState,
    /// The secrets, the newest first. There are at most two.
    pub secrets: Vec<DestinationSecret>,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of the last change.
    pub updated_at: Timestamp,
}

impl Destination {
    /// Returns `true` if it gets events of this type.
    pub fn wants(&self, kind: OutgoingKind) -> bool {
        self.settings.events.is_empty() || self.settings.events.contains(&kind)
    }

    /// Returns `true` if it gets events.
    pub fn is_enabled(&self) -> bool {
        self.state == DestinationState::Enabled
    }

    /// The secrets that are valid at `now`, the newest first.
    pub fn valid_secrets(&self, now: Timestamp) -> impl Iterator<Item = &SecretText> {
        let valid = self.secrets.iter();
        let valid = valid.filter(move |secret| secret.expires_at.is_none_or(|end| now < end));
        valid.map(|secret| &secret.secret)
    }
}

/// The place of an outgoing event: its journal row, and its number in the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventPosition {
    /// The position of the row.
    pub seq: Seq,
    /// The number of the event among the outgoing events of the row, from 0.
    pub index: u16,
}

/// One attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// The time of its end.
    pub at: Timestamp,
    /// The status of the answer; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was no success.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The head of the answer, [`MAX_ANSWER`] characters at most. It is what the receiver said,
    /// and can name a person: erasure clears it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
}

/// What becomes of a delivery that stands as a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is due at an instant, or behind another one of the same customer.
    Waiting {
        /// The instant.
        due_at: Timestamp,
    },
    /// It was given up at an instant.
    Dead {
        /// The instant.
        at: Timestamp,
    },
}

/// An exception from the cursor: an event that waits, or that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The destination.
    pub destination: DestinationId,
    /// The event.
    pub event: EventPosition,
    /// The account that the event is about, whose events are delivered in order.
    pub account: Option<AccountId>,
    /// Whether it waits.
    pub state: DeliveryState,
    /// The number of attempts that count.
    pub attempts: u32,
    /// The last attempt.
    pub last: Option<DeliveryAttempt>,
}

impl Delivery {
    /// Returns `true` if it waits.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, DeliveryState::Waiting { .. })
    }
}

/// A range of the journal that is delivered anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Its number, from 1, among those of the destination.
    pub number: i64,
    /// Rows before this instant are passed over.
    pub since: Timestamp,
    /// All rows up to here are done.
    pub after: Seq,
    /// The last row of the range.
    pub until: Seq,
}

/// How far a destination has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationProgress {
    /// All events of rows up to here are done, or stand as deliveries.
    pub cursor: Seq,
    /// The first failure since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// The last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Timestamp>,
    /// The last failure, without the head of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<DeliveryAttempt>,
    /// A range that is delivered anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// The number of recoveries that there were.
    #[serde(default)]
    pub recoveries: i64,
    /// The number of deliveries that were given up, also those that are no longer kept.
    #[serde(default)]
    pub given_up: u64,
}

/// The deliveries of a destination by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Those that wait.
    pub waiting: u64,
    /// Those that were given up and are kept.
    pub dead: u64,
}

/// What the sender has done for a destination since its last note.
///
/// It names what it has seen: a recovery that was begun meanwhile, or a state that was changed,
/// is not overwritten.
#[derive(Clone, Debug)]
pub struct DeliveryNote {
    /// The destination. One that was deleted meanwhile is passed over.
    pub destination: DestinationId,
    /// The time.
    pub now: Timestamp,
    /// The cursor. It never goes back.
    pub cursor: Seq,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
    /// The last success.
    pub last_success_at: Option<Timestamp>,
    /// The last failure.
    pub last_failure: Option<DeliveryAttempt>,
    /// How far the recovery of this number has got.
    pub recovery: Option<(i64, Seq)>,
    /// Deliveries to add or replace.
    pub put: Vec<Delivery>,
    /// Deliveries that are done.
    pub remove: Vec<EventPosition>,
    /// Disables the destination, unless it was changed after this version.
    pub disable: Option<(DisableReason, Timestamp)>,
}

/// A change to write.
#[derive(Clone, Debug)]
pub(crate) enum DestinationChange {
    /// Adds or replaces a destination.
    Put(Box<Destination>),
    PutProgress(DestinationId, DestinationProgress),
    /// Deletes a destination with its progress and its deliveries.
    Delete(DestinationId),
    PutDelivery(Delivery),
    RemoveDelivery(DestinationId, EventPosition),
    /// Deletes what was given up before an instant, and all but the newest so many.
    PruneDead {
        destination: DestinationId,
        before: Timestamp,
        keep: usize,
    },
}

/// The destinations of a store, and what the sender notes about them.
pub trait Deliveries {
    /// Returns the destinations of a shop in the order of their creation.
    fn destinations(&self, shop: ShopId) -> Result<Vec<Destination>, Failure>;

    /// Returns the destinations of all shops, for the sender.
    fn all_destinations(&self) -> Result<Vec<Destination>, Failure>;

    /// Returns a number that changes with each administrative change of a destination or its
    /// deliveries, also by another process. Costs one look-up.
    fn destinations_revision(&self) -> Result<i64, Failure>;

    /// Returns how far a destination has got.
    fn destination_progress(
        &self,
        shop: ShopId,
        destination: DestinationId,
    ) -> Result<Option<DestinationProgress>, Failure>;

    /// Returns up to `limit` deliveries of a destination in the order of their events, starting
    /// behind `after`: those that wait, or those that were given up.
    fn deliveries(
        &self,
        shop: ShopId,
        destination: DestinationId,
        are_waiting: bool,
        after: Option<EventPosition>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Failure>;

    /// Returns a delivery.
    fn delivery(
        &self,
        shop: ShopId,
        destination: DestinationId,
        event: EventPosition,
    ) -> Result<Option<Delivery>, Failure>;

    /// Counts the deliveries of a destination.
    fn count_deliveries(
        &self,
        shop: ShopId,
        destination: DestinationId,
    ) -> Result<DeliveryCounts, Failure>;

    /// Stores what the sender has done, all in one transaction. May wait some milliseconds for
    /// the disk.
    fn note_deliveries(&self, notes: &[DeliveryNote]) -> Result<(), Failure>;
}
