//! Webhook endpoints and their deliveries on the wire.

use std::collections::BTreeSet;

use loyalty_core::Timestamp;
use loyalty_store::{
    Delivery, DeliveryAttempt, DeliveryCounts, DeliveryState, Destination, DestinationId,
    DestinationProgress, DestinationSettings, DestinationState, DestinationUpdate, EventPosition,
    OutgoingKind,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::event::{EventId, EventKind};
use super::json::field::{FieldError, FromText, Text, TimeField};
use super::schema;
use super::value::{IdText, TimeText, parse_number};
use crate::problem::Problem;
use crate::wire::json::BodyErrorCode;

/// A webhook endpoint to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewWebhookEndpoint")]
pub(crate) struct NewEndpointBody<'a> {
    /// Where events are sent: `https`, without credentials, and no address of a private network.
    #[schemars(with = "schema::Url")]
    url: Text<2048>,
    /// What the endpoint is for.
    #[schemars(with = "Option<schema::Title>")]
    description: Option<Text<255>>,
    /// The types of events that it gets; all by default.
    #[serde(borrow, default)]
    #[schemars(schema_with = "kinds_schema")]
    events: Vec<&'a str>,
}

/// A change of a webhook endpoint. What is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookEndpointChange")]
pub(crate) struct EndpointChangeBody<'a> {
    /// Where events are sent.
    #[schemars(with = "Option<schema::Url>")]
    url: Option<Text<2048>>,
    /// What the endpoint is for.
    #[schemars(with = "Option<schema::Title>")]
    description: Option<Text<255>>,
    /// The types of events that it gets; all, if empty.
    #[serde(borrow, default)]
    #[schemars(schema_with = "optional_kinds_schema")]
    events: Option<Vec<&'a str>>,
    /// Whether it gets events. Enabled again, it goes on where it stopped.
    enabled: Option<bool>,
}

/// The instant since which all events are delivered again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookRecovery")]
pub(crate) struct RecoveryBody {
    pub(crate) since: TimeField,
}

fn kinds_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": schema::one_of_names(OutgoingKind::ALL.map(OutgoingKind::name)),
        "maxItems": 100
    })
}

fn optional_kinds_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["array", "null"],
        "items": schema::one_of_names(OutgoingKind::ALL.map(OutgoingKind::name)),
        "maxItems": 100
    })
}

fn parse_kinds(names: &[&str]) -> Result<BTreeSet<OutgoingKind>, Problem> {
    let kinds = names.iter().enumerate().map(|(index, name)| {
        OutgoingKind::from_name(name).ok_or_else(|| {
            let detail = "This is no type of events.";
            Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
                .with_param(format!("/events/{index}"))
        })
    });
    kinds.collect()
}

impl NewEndpointBody<'_> {
    pub(crate) fn parse(self) -> Result<DestinationSettings, Problem> {
        Ok(DestinationSettings {
            url: self.url.into_string(),
            description: self.description.map(Text::into_string).unwrap_or_default(),
            events: parse_kinds(&self.events)?,
            details: None,
        })
    }
}

impl EndpointChangeBody<'_> {
    pub(crate) fn parse(self) -> Result<DestinationUpdate, Problem> {
        Ok(DestinationUpdate {
            url: self.url.map(Text::into_string),
            description: self.description.map(Text::into_string),
            events: self.events.as_deref().map(parse_kinds).transpose()?,
            details: None,
            secret: None,
            is_enabled: self.enabled,
        })
    }
}

/// The id of a webhook endpoint in a path.
pub(crate) struct EndpointId(pub(crate) DestinationId);

impl FromText for EndpointId {
    const EXPECTED: &'static str = "the id of a webhook endpoint";

    /// Another text is the id of none.
    fn from_text(text: &str) -> Result<Self, FieldError> {
        Ok(Self(DestinationId(parse_number(text).unwrap_or(0))))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// The id of a delivery in a path: the place of its event.
pub(crate) struct DeliveryId(pub(crate) EventPosition);

impl FromText for DeliveryId {
    const EXPECTED: &'static str = "the id of a delivery";

    /// Another text is the id of none.
    fn from_text(text: &str) -> Result<Self, FieldError> {
        let parts = text.split_once('-');
        let parts = parts.and_then(|(seq, index)| Some((parse_number(seq)?, parse_number(index)?)));
        let (seq, index) = parts.unwrap_or((0, 0));
        Ok(Self(EventPosition { seq, index }))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// A webhook endpoint.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookEndpoint")]
pub(crate) struct EndpointResponse<'a> {
    endpoint_id: IdText,
    url: &'a str,
    description: &'a str,
    /// The types of events that it gets; all, if empty.
    #[schemars(schema_with = "kinds_schema")]
    events: Vec<&'static str>,
    enabled: bool,
    /// Why it gets no events: `requested`, `gone` (the receiver answered 410) or `failing` (five
    /// days of nothing but failures). Null for one that is enabled.
    disabled_reason: Option<&'static str>,
    disabled_at: Option<TimeText>,
    created_at: TimeText,
    updated_at: TimeText,
}

impl<'a> From<&'a Destination> for EndpointResponse<'a> {
    fn from(destination: &'a Destination) -> Self {
        let disabled = match destination.state {
            DestinationState::Enabled => None,
            DestinationState::Disabled { reason, at } => Some((reason, at)),
        };
        Self {
            endpoint_id: IdText(destination.id.0),
            url: &destination.settings.url,
            description: &destination.settings.description,
            events: destination.settings.events.iter().map(|kind| kind.name()).collect(),
            enabled: disabled.is_none(),
            disabled_reason: disabled.map(|(reason, _)| reason.name()),
            disabled_at: disabled.map(|(_, at)| TimeText(at)),
            created_at: TimeText(destination.created_at),
            updated_at: TimeText(destination.updated_at),
        }
    }
}

/// The webhook endpoints of a shop.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookEndpoints")]
pub(crate) struct EndpointsResponse<'a> {
    pub(crate) webhook_endpoints: Vec<EndpointResponse<'a>>,
}

/// A webhook endpoint with its secret, which is shown only here.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedWebhookEndpoint")]
pub(crate) struct CreatedEndpointResponse<'a> {
    #[serde(flatten)]
    pub(crate) endpoint: EndpointResponse<'a>,
    /// The secret to verify signatures with.
    #[schemars(regex(pattern = "^whsec_[0-9A-Za-z+/]{32}$"))]
    pub(crate) secret: &'a str,
}

/// A webhook endpoint, and how far it has got.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookEndpointStatus")]
pub(crate) struct EndpointStatusResponse<'a> {
    #[serde(flatten)]
    endpoint: EndpointResponse<'a>,
    /// The deliveries that wait for another attempt, or behind one of the same customer.
    waiting_deliveries: u64,
    /// The deliveries that were given up and are kept.
    dead_deliveries: u64,
    /// The deliveries that were given up, also those that are no longer kept.
    given_up_deliveries: u64,
    /// The last success, known to a second. Null for none.
    last_success_at: Option<TimeText>,
    /// The first failure since the last success. Null where the last attempt succeeded.
    failing_since: Option<TimeText>,
    /// True while all events since an instant are delivered again.
    recovering: bool,
}

impl<'a> EndpointStatusResponse<'a> {
    pub(crate) fn new(
        destination: &'a Destination,
        progress: &DestinationProgress,
        counts: DeliveryCounts,
    ) -> Self {
        Self {
            endpoint: destination.into(),
            waiting_deliveries: counts.waiting,
            dead_deliveries: counts.dead,
            given_up_deliveries: progress.given_up,
            last_success_at: progress.last_success_at.map(TimeText),
            failing_since: progress.failing_since.map(TimeText),
            recovering: progress.recovery.is_some(),
        }
    }
}

/// Whether deliveries are listed that wait, were given up, or succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryStatus {
    Waiting,
    Dead,
    Delivered,
}

impl DeliveryStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Dead => "dead",
            Self::Delivered => "delivered",
        }
    }
}

impl FromText for DeliveryStatus {
    const EXPECTED: &'static str = "`waiting`, `dead` or `delivered`";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let known = [Self::Waiting, Self::Dead, Self::Delivered];
        known.into_iter().find(|status| status.name() == text).ok_or_else(|| {
            let detail = "A status is `waiting`, `dead` or `delivered`.";
            FieldError::new(BodyErrorCode::InvalidValue, detail)
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        schema::one_of_names(["waiting", "dead", "delivered"])
    }
}

/// A page of deliveries.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Deliveries")]
pub(crate) struct DeliveriesResponse {
    pub(crate) deliveries: Vec<DeliveryResponse>,
}

/// A delivery of an event to an endpoint.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub(crate) struct DeliveryResponse {
    /// The place of the event in the journal.
    delivery_id: String,
    /// `waiting`, `dead` (given up) or `delivered`.
    status: &'static str,
    /// The event, whose id is the `webhook-id`. Null where the journal has none such.
    event: Option<DeliveredEvent>,
    /// The number of attempts that count.
    attempts: u32,
    /// When the next attempt is due. One of the same customer before it goes first.
    due_at: Option<TimeText>,
    last_attempt: Option<AttemptResponse>,
}

/// The event of a delivery.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DeliveredEvent {
    pub(crate) id: EventId,
    #[serde(rename = "type")]
    pub(crate) kind: EventKind,
}

/// An attempt to deliver an event.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryAttempt")]
pub(crate) struct AttemptResponse {
    at: TimeText,
    /// The status of the answer; null if there was none.
    #[schemars(range(min = 100, max = 999))]
    status: Option<u16>,
    /// Why it was no success.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// The head of the answer, 200 characters at most.
    #[serde(skip_serializing_if = "String::is_empty")]
    answer: String,
}

impl AttemptResponse {
    /// An attempt as it is shown.
    pub(crate) fn new(attempt: DeliveryAttempt) -> Self {
        let DeliveryAttempt { at, status, reason, answer } = attempt;
        Self { at: TimeText(at), status, reason, answer }
    }
}

impl DeliveryResponse {
    /// A delivery that waits or was given up.
    pub(crate) fn of_stored(delivery: Delivery, event: Option<DeliveredEvent>) -> Self {
        let (status, due_at) = match delivery.state {
            DeliveryState::Waiting { due_at } => (DeliveryStatus::Waiting, Some(due_at)),
            DeliveryState::Dead { .. } => (DeliveryStatus::Dead, None),
        };
        Self {
            delivery_id: delivery_id(delivery.event),
            status: status.name(),
            event,
            attempts: delivery.attempts,
            due_at: due_at.map(TimeText),
            last_attempt: delivery.last.map(AttemptResponse::new),
        }
    }

    /// A delivery that succeeded.
    pub(crate) fn of_success(
        event: EventPosition,
        delivered: Option<DeliveredEvent>,
        (at, status): (Timestamp, Option<u16>),
        attempts: u32,
    ) -> Self {
        let attempt = DeliveryAttempt { at, status, reason: String::new(), answer: String::new() };
        Self {
            delivery_id: delivery_id(event),
            status: DeliveryStatus::Delivered.name(),
            event: delivered,
            attempts,
            due_at: None,
            last_attempt: Some(AttemptResponse::new(attempt)),
        }
    }
}

fn delivery_id(event: EventPosition) -> String {
    format!("{}-{}", event.seq, event.index)
}
