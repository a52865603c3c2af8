//! Outgoing events on the wire: to webhook endpoints, and listed for who polls.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use loyalty_core::{ActionId, CustomerId, Event, OrderId, Points, RewardId, TierId};
use loyalty_store::{Failure, JournalId, OutgoingEvent, OutgoingKind, Store};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use sha2::Sha256;

use super::json::BodyErrorCode;
use super::json::field::{FieldError, FromText};
use super::ledger::{EntryId, describe_event};
use super::schema;
use super::value::{IdText, TimeText};

/// The most bytes of the sentence of an event, which keeps a body below 20 kB.
const MAX_SENTENCE: usize = 4_000;

/// A page of outgoing events, oldest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Events")]
pub(crate) struct EventsResponse<'a> {
    pub(crate) events: Vec<EventResponse<'a>>,
    /// The cursor after the last event, also where no event follows yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) next_cursor: Option<String>,
}

/// An outgoing event. A webhook has its id in the head.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(crate) struct EventResponse<'a> {
    pub(crate) id: EventId,
    #[serde(flatten)]
    pub(crate) body: EventBody<'a>,
}

/// The body of a webhook.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EventBody<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: EventKind,
    /// The instant at which it happened or was due.
    timestamp: TimeText,
    data: EventData<'a>,
}

/// What happened. An event of no customer has neither a number nor points.
#[derive(Debug, Serialize, JsonSchema)]
struct EventData<'a> {
    /// The shop's id of the customer. A guest has none, and neither has an erased customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    customer_id: Option<CustomerId>,
    /// The account, whose events are numbered. It stays when the customer's id changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<IdText>,
    /// The number of the event among all events of the account, from 1 without gaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    sequence: Option<i64>,
    /// The entry of the ledger. Two events can be about one.
    entry_id: EntryId,
    /// The change of the balance. The points of all events of an account add up to its balance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    points: Option<Points>,
    /// The change of the pending points.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    pending_points: Option<Points>,
    /// The balance after the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    point_balance: Option<Points>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    order_id: Option<&'a OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    action_id: Option<&'a ActionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    redemption_id: Option<IdText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    reward_id: Option<&'a RewardId>,
    /// The points paid for an issued redemption.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Points>")]
    cost: Option<Points>,
    /// The account that was merged into this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_account_id: Option<IdText>,
    /// The account of the customer who referred this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    referrer_account_id: Option<IdText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    program_version: Option<u32>,
    /// The shop's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// From then on the points can no longer be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<TimeText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Id>")]
    tier: Option<&'a TierId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier_until: Option<TimeText>,
    /// The explanation of the entry as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Returns the shop's id of the customer of an event.
pub(crate) fn customer_of(
    store: &dyn Store,
    event: &OutgoingEvent<'_>,
) -> Result<Option<CustomerId>, Failure> {
    let Some(account) = event.row.account else { return Ok(None) };
    let customer = store.customer_by_account(event.row.shop, account)?;
    Ok(customer.and_then(|customer| customer.record().id.clone()))
}

impl<'a> EventBody<'a> {
    /// The body of an event of a customer, whose id is looked up.
    pub(crate) fn new(event: &OutgoingEvent<'a>, customer_id: Option<CustomerId>) -> Self {
        let OutgoingEvent { kind, row, index: _, entry, event: cause, sequence, .. } = *event;
        let (_, details) = describe_event(cause).unwrap_or_default();
        let referrer = if let Event::ReferralCompleted { referrer, .. }
        | Event::ReferralJoined { referrer, .. }
        | Event::ReferralUndone { referrer, .. } = cause
        {
            Some(*referrer)
        } else {
            None
        };
        let merged = if let Event::AccountAbsorbed(absorption) = cause {
            Some(absorption.from)
        } else {
            None
        };
        let version = if let Event::ProgramPublished { version, .. } = cause {
            Some(version.0)
        } else {
            None
        };
        let order_id = details.order_id.or_else(|| order_of_referral(cause));
        let cost = if let Event::RewardRedeemed { issue } = cause
            && kind == OutgoingKind::RedemptionIssued
        {
            Some(issue.points)
        } else {
            None
        };

        let has_account = row.account.is_some();
        let carries_points = has_account && kind != OutgoingKind::GoalReached;
        let pending = Some(cause.pending_points()).filter(|points| !points.is_zero());
        let data = EventData {
            customer_id,
            account_id: row.account.map(|account| IdText(account.0)),
            sequence,
            entry_id: EntryId { seq: row.seq, index: entry },
            points: has_account.then_some(event.points),
            pending_points: pending.filter(|_| carries_points),
            point_balance: has_account.then_some(event.balance),
            order_id,
            action_id: details.action_id,
            redemption_id: details.redemption_id,
            reward_id: details.reward_id,
            cost,
            merged_account_id: merged.map(|account| IdText(account.0)),
            referrer_account_id: referrer.map(|account| IdText(account.0)),
            program_version: version,
            reason: details.reason,
            expires_at: details.expires_at,
            tier: details.tier,
            tier_until: details.tier_until,
            text: details.text.map(shorten),
        };
        let timestamp = TimeText(cause.at().unwrap_or(row.at));
        Self { kind: EventKind(kind), timestamp, data }
    }
}

/// The order of a referral, which is no entry of the ledger.
fn order_of_referral(event: &Event) -> Option<&OrderId> {
    if let Event::ReferralCompleted { order, .. } | Event::ReferralUndone { order, .. } = event {
        Some(order)
    } else {
        None
    }
}

/// Cuts a sentence that is too long for a body.
fn shorten(mut text: String) -> String {
    if text.len() > MAX_SENTENCE {
        text.truncate(text.floor_char_boundary(MAX_SENTENCE));
        text.push('…');
    }
    text
}

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventKind(pub(crate) OutgoingKind);

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl FromText for EventKind {
    const EXPECTED: &'static str = "a type of events such as \"points.earned\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        OutgoingKind::from_name(text).map(Self).ok_or_else(|| {
            FieldError::new(BodyErrorCode::InvalidValue, "This is no type of events.")
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": OutgoingKind::ALL.map(OutgoingKind::name) })
    }
}

impl JsonSchema for EventKind {
    fn schema_name() -> Cow<'static, str> {
        "EventKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "enum": OutgoingKind::ALL.map(OutgoingKind::name)
        })
    }
}

/// The id of an event, the `webhook-id` of all its deliveries.
///
/// It follows from the journal's id, the position and the content. So it stays over restarts,
/// and another event that takes the position after a backup was restored has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId([u8; 16]);

impl EventId {
    pub(crate) fn of(journal: &JournalId, event: &OutgoingEvent<'_>) -> Self {
        let Ok(mut hash) = Hmac::<Sha256>::new_from_slice(journal.as_bytes()) else {
            return Self([0; 16]);
        };
        let row = event.row;
        let account = row.account.map_or(0, |account| account.0);
        let numbers = [
            row.shop.0,
            row.seq,
            event.index.into(),
            row.at.timestamp_micros(),
            account,
            event.sequence.unwrap_or(0),
            event.points.get(),
            event.balance.get(),
        ];
        for number in numbers {
            hash.update(&number.to_be_bytes());
        }
        hash.update(event.kind.name().as_bytes());

        let mut id = [0; 16];
        id.iter_mut()
            .zip(hash.finalize().into_bytes())
            .for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "msg_{:032x}", u128::from_be_bytes(self.0))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for EventId {
    fn schema_name() -> Cow<'static, str> {
        "EventId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The id of an event, the `webhook-id` of all its deliveries.",
            "type": "string",
            "pattern": "^msg_[0-9a-f]{32}$"
        })
    }
}
