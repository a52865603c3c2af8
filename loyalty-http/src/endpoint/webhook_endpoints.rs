//! Webhook endpoints: who gets signed events, and what has become of them.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_core::ShopId;
use loyalty_store::{
    AdminAction, AdminOutcome, DeliveryAttempt, Destination, DestinationAction, DestinationId,
    DestinationKind, EventPosition, JournalId, Rejection, Store, outgoing_events,
};

use super::administration::Administration;
use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::network::check_endpoint;
use crate::problem::Problem;
use crate::sender::{RecentDelivery, Sender, new_webhook_secret};
use crate::wire::event::{EventId, EventKind};
use crate::wire::key::RotationBody;
use crate::wire::query::{EventCursor, PageLinker};
use crate::wire::webhook_endpoint::{
    AttemptResponse, CreatedEndpointResponse, DeliveredEvent, DeliveriesResponse, DeliveryId,
    DeliveryResponse, DeliveryStatus, EndpointChangeBody, EndpointId, EndpointResponse,
    EndpointStatusResponse, EndpointsResponse, NewEndpointBody, RecoveryBody,
};

const KIND: DestinationKind = DestinationKind::WebhookEndpoint;

/// `POST /v1/webhook-endpoints`
pub(crate) fn create(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let settings = call.body::<NewEndpointBody<'_>>()?.parse()?;
    check_url(call, &settings.url)?;
    let secret = new_webhook_secret().map_err(Problem::internal)?;
    let shown = secret.clone();
    let body = move |outcome: &AdminOutcome| {
        let AdminOutcome::Destination(destination) = outcome else {
            return Vec::new();
        };
        let endpoint = EndpointResponse::from(&**destination);
        to_json(&CreatedEndpointResponse { endpoint, secret: shown.expose() })
    };
    let action = DestinationAction::Create { kind: KIND, settings, secret, is_enabled: true };
    Ok(plan(call, action, StatusCode::CREATED, body))
}

/// `GET /v1/webhook-endpoints`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    Ok(HandlerPlan::read(move |store| {
        let all = store.destinations(shop).map_err(error::from_failure)?;
        let endpoints = all.iter().filter(|destination| destination.kind == KIND);
        let webhook_endpoints = endpoints.map(EndpointResponse::from).collect();
        Ok(EncodedResponse::ok(&EndpointsResponse { webhook_endpoints }))
    }))
}

/// `GET /v1/webhook-endpoints/{endpoint_id}`
pub(crate) fn get(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, id) = (call.shop_id(), endpoint_id(call)?);
    Ok(HandlerPlan::read(move |store| {
        let found = find(store, shop, id)?;
        let progress = store.destination_progress(shop, id).map_err(error::from_failure)?;
        let counts = store.count_deliveries(shop, id).map_err(error::from_failure)?;
        let progress = progress.unwrap_or_default();
        Ok(EncodedResponse::ok(&EndpointStatusResponse::new(&found, &progress, counts)))
    }))
}

/// `PATCH /v1/webhook-endpoints/{endpoint_id}`
pub(crate) fn update(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = endpoint_id(call)?;
    let update = call.body::<EndpointChangeBody<'_>>()?.parse()?;
    if let Some(url) = &update.url {
        check_url(call, url)?;
    }
    let action = DestinationAction::Update { id, kind: KIND, update };
    Ok(plan(call, action, StatusCode::OK, endpoint_body))
}

/// `DELETE /v1/webhook-endpoints/{endpoint_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let action = DestinationAction::Delete { id: endpoint_id(call)?, kind: KIND };
    Ok(plan(call, action, StatusCode::NO_CONTENT, |_| Vec::new()))
}

/// `POST /v1/webhook-endpoints/{endpoint_id}/secret/rotate`
pub(crate) fn rotate(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = endpoint_id(call)?;
    let grace = call.optional_body::<RotationBody>()?.parse()?;
    let secret = new_webhook_secret().map_err(Problem::internal)?;
    let shown = secret.clone();
    let body = move |outcome: &AdminOutcome| {
        let AdminOutcome::Destination(destination) = outcome else {
            return Vec::new();
        };
        let endpoint = EndpointResponse::from(&**destination);
        to_json(&CreatedEndpointResponse { endpoint, secret: shown.expose() })
    };
    let action = DestinationAction::RotateSecret { id, kind: KIND, secret, grace };
    Ok(plan(call, action, StatusCode::CREATED, body))
}

/// `POST /v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/resend`
pub(crate) fn resend(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let DeliveryId(event) = call.path("delivery_id")?;
    let action = DestinationAction::Resend { id: endpoint_id(call)?, kind: KIND, event };
    Ok(plan(call, action, StatusCode::ACCEPTED, endpoint_body))
}

/// `POST /v1/webhook-endpoints/{endpoint_id}/recover`
pub(crate) fn recover(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let since = call.body::<RecoveryBody>()?.since.0;
    let action = DestinationAction::Recover { id: endpoint_id(call)?, kind: KIND, since };
    Ok(plan(call, action, StatusCode::ACCEPTED, endpoint_body))
}

/// `POST /v1/webhook-endpoints/{endpoint_id}/test`
pub(crate) fn test(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let destination = find(call.store, call.shop_id(), endpoint_id(call)?)?;
    let Some(sender) = call.sender.map(Arc::clone) else {
        return Err(Problem::unavailable(60, "this server sends no events"));
    };
    let now = call.now;
    Ok(HandlerPlan::Wait(Box::pin(async move {
        let report = sender.test(&destination).await;
        let (status, reason, answer) = (report.status, report.reason, report.answer);
        let attempt = DeliveryAttempt { at: now, status, reason, answer };
        Ok(EncodedResponse::ok(&AttemptResponse::new(attempt)))
    })))
}

/// `GET /v1/webhook-endpoints/{endpoint_id}/deliveries`
pub(crate) fn deliveries(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, id) = (call.shop_id(), endpoint_id(call)?);
    let status = call.query.value("status")?.unwrap_or(DeliveryStatus::Waiting);
    let (limit, after) = (call.query.limit()?, call.query.cursor::<EventCursor>()?);
    let next = call.query.page_linker(call.head.uri.path());
    if status == DeliveryStatus::Delivered {
        let recent = call
            .sender
            .map(|sender| Sender::recent(sender, id))
            .unwrap_or_default();
        return Ok(HandlerPlan::read(move |store| list_recent(store, (shop, id), recent, limit)));
    }
    let are_waiting = status == DeliveryStatus::Waiting;
    let after = after.map(|after| EventPosition { seq: after.seq, index: after.index });
    Ok(HandlerPlan::read(move |store| {
        list_stored(store, (shop, id), (are_waiting, after, limit), &next)
    }))
}

fn list_stored(
    store: &dyn Store,
    (shop, id): (ShopId, DestinationId),
    (are_waiting, after, limit): (bool, Option<EventPosition>, usize),
    next: &PageLinker,
) -> Result<EncodedResponse, Problem> {
    find(store, shop, id)?;
    let found = store.deliveries(shop, id, are_waiting, after, limit.saturating_add(1));
    let mut found = found.map_err(error::from_failure)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|delivery| delivery.event).filter(|_| has_more);
    let last = last.map(|event| EventCursor { seq: event.seq, index: event.index });

    let journal = store.journal_id().map_err(error::from_failure)?;
    let mut deliveries = Vec::with_capacity(found.len());
    for delivery in found {
        let event = describe(store, shop, &journal, delivery.event)?;
        deliveries.push(DeliveryResponse::of_stored(delivery, event));
    }
    let link = last.and_then(|last| next.link(&last));
    Ok(EncodedResponse::ok(&DeliveriesResponse { deliveries }).with_header(link))
}

fn list_recent(
    store: &dyn Store,
    (shop, id): (ShopId, DestinationId),
    recent: Vec<RecentDelivery>,
    limit: usize,
) -> Result<EncodedResponse, Problem> {
    find(store, shop, id)?;
    let journal = store.journal_id().map_err(error::from_failure)?;
    let mut deliveries = Vec::new();
    for RecentDelivery { event, at, status, attempts } in recent.into_iter().take(limit) {
        let delivered = describe(store, shop, &journal, event)?;
        deliveries.push(DeliveryResponse::of_success(event, delivered, (at, status), attempts));
    }
    Ok(EncodedResponse::ok(&DeliveriesResponse { deliveries }))
}

/// The id and the type of an event.
fn describe(
    store: &dyn Store,
    shop: ShopId,
    journal: &JournalId,
    event: EventPosition,
) -> Result<Option<DeliveredEvent>, Problem> {
    let rows = store.journal(shop, event.seq.saturating_sub(1), 1);
    let rows = rows.map_err(error::from_failure)?;
    let row = rows.first().filter(|row| row.seq == event.seq);
    let found = row.and_then(|row| {
        let mut events = outgoing_events(row);
        let found = events.find(|found| found.index == event.index)?;
        Some(DeliveredEvent {
            id: EventId::of(journal, &found),
            kind: EventKind(found.kind),
        })
    });
    Ok(found)
}

fn find(store: &dyn Store, shop: ShopId, id: DestinationId) -> Result<Destination, Problem> {
    let all = store.destinations(shop).map_err(error::from_failure)?;
    let found = all.into_iter().find(|found| found.id == id && found.kind == KIND);
    found.ok_or_else(|| {
        let rejection = Rejection::WebhookEndpointNotFound;
        error::from_rejection(&rejection, error_pointer(&rejection))
    })
}

fn check_url(call: &Call<'_>, url: &str) -> Result<(), Problem> {
    check_endpoint(url, call.allowed_networks).map_err(|fault| {
        Problem::unprocessable("invalid_value", format!("The URL {fault}.")).with_param("/url")
    })
}

fn endpoint_id(call: &Call<'_>) -> Result<DestinationId, Problem> {
    call.path::<EndpointId>("endpoint_id").map(|id| id.0)
}

fn endpoint_body(outcome: &AdminOutcome) -> Vec<u8> {
    let AdminOutcome::Destination(destination) = outcome else {
        return Vec::new();
    };
    to_json(&EndpointResponse::from(&**destination))
}

fn plan(
    call: &Call<'_>,
    action: DestinationAction,
    status: StatusCode,
    body: impl FnOnce(&AdminOutcome) -> Vec<u8> + Send + 'static,
) -> HandlerPlan {
    let action = AdminAction::Destination(action);
    Administration::new(call, action, status, body, error_pointer).into_plan()
}

/// The part of a request that causes a rejection.
fn error_pointer(rejection: &Rejection) -> Option<String> {
    if *rejection == Rejection::WebhookEndpointNotFound {
        Some("endpoint_id".to_owned())
    } else if *rejection == Rejection::DeliveryNotFound {
        Some("delivery_id".to_owned())
    } else {
        None
    }
}
