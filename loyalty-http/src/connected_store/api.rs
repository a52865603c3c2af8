//! `/v1/stores`: the connected stores of a shop.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_core::{ShopId, StoreId, Timestamp};
use loyalty_store::{
    AdminAction, AdminOutcome, Destination, DestinationAction, DestinationKind, DestinationUpdate,
    Rejection, Store,
};
use tokio::task;

use super::deliver::StoreDeliverer;
use super::fetch::{FetchError, StoreFetcher};
use super::wire::{
    ParsedStore, ReconciliationBody, ReconciliationResponse, StoreBody, StoreMessagesResponse,
    StoreResponse, StoreStatus, StoresResponse,
};
use super::{ConnectedStore, StoreKind};
use crate::connector::webhook::ShopCurrency;
use crate::endpoint::administration::Administration;
use crate::endpoint::{Call, EncodedResponse, HandlerPlan, error, redemptions, to_json};
use crate::problem::{Problem, to_sentence};
use crate::sender::Outside;
use crate::store_inbox::StoreInbox;
use crate::wire::json::BodyErrorCode;
use crate::wire::json::field::{Text, TimeField};
use crate::wire::redemption::EmptyBody;

/// `GET /v1/stores`
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let reader = StoreReader::new(call);
    Ok(HandlerPlan::read(move |store: &dyn Store| {
        let destinations = store.destinations(reader.shop).map_err(error::from_failure)?;
        let stores = destinations
            .iter()
            .filter_map(|found| reader.read(store, found).transpose());
        let stores = stores.collect::<Result<_, _>>()?;
        Ok(EncodedResponse::ok(&StoresResponse { stores }))
    }))
}

/// `GET /v1/stores/{store_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (id, reader) = (path_id(call)?, StoreReader::new(call));
    Ok(HandlerPlan::read(move |store: &dyn Store| {
        let found = find(store, reader.shop, &id)?.ok_or_else(not_found)?;
        let response = reader.read(store, &found)?.ok_or_else(not_found)?;
        Ok(EncodedResponse::ok(&response))
    }))
}

/// `PUT /v1/stores/{store_id}`: connects a store, or changes how.
pub(crate) fn put(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = path_id(call)?;
    let parsed = call.body::<StoreBody<'_>>()?.parse(call.allowed_networks)?;
    let ParsedStore { settings, credentials, is_enabled } = parsed;
    let (kind, secret) = (DestinationKind::Store(id.clone()), credentials.to_secret());
    let known = find(call.store, call.shop_id(), &id)?;
    let action = match known {
        Some(known) => DestinationAction::Update {
            id: known.id,
            kind,
            update: DestinationUpdate {
                url: Some(settings.url),
                details: settings.details,
                is_enabled: Some(is_enabled),
                secret: Some(secret),
                ..DestinationUpdate::default()
            },
        },
        None => DestinationAction::Create { kind, settings, secret, is_enabled },
    };

    let (now, webhook_url) = (call.now, webhook_url(call.origin().as_deref(), call.shop_id(), &id));
    let body = move |outcome: &AdminOutcome| {
        let AdminOutcome::Destination(destination) = outcome else {
            return Vec::new();
        };
        let Some(connected) = ConnectedStore::read(destination, now) else {
            return Vec::new();
        };
        let status = StoreStatus { webhook_url, ..StoreStatus::default() };
        to_json(&StoreResponse::new(&connected, destination, status))
    };
    let action = AdminAction::Destination(action);
    Ok(Administration::new(call, action, StatusCode::OK, body, error_pointer).into_plan())
}

/// `DELETE /v1/stores/{store_id}`
pub(crate) fn delete(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = path_id(call)?;
    let known = find(call.store, call.shop_id(), &id)?.ok_or_else(not_found)?;
    let action =
        DestinationAction::Delete { id: known.id, kind: DestinationKind::Store(id.clone()) };
    call.inbox.forget(call.shop_id(), &id);
    let action = AdminAction::Destination(action);
    let status = StatusCode::NO_CONTENT;
    Ok(Administration::new(call, action, status, |_| Vec::new(), error_pointer).into_plan())
}

/// `GET /v1/stores/{store_id}/messages`: the last messages that the store has sent.
pub(crate) fn messages(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = path_id(call)?;
    find(call.store, call.shop_id(), &id)?.ok_or_else(not_found)?;
    let messages = call.inbox.messages(call.shop_id(), &id);
    let messages = messages.into_iter().map(Into::into).collect();
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&StoreMessagesResponse { messages })))
}

/// `POST /v1/stores/{store_id}/reconcile`: fetches the orders that changed since an instant.
pub(crate) fn reconcile(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = path_id(call)?;
    let TimeField(since) = call.body::<ReconciliationBody>()?.since;
    let destination = find(call.store, call.shop_id(), &id)?.ok_or_else(not_found)?;
    let connected = ConnectedStore::read(&destination, call.now).ok_or_else(not_found)?;
    if connected.kind != StoreKind::Woocommerce {
        let detail = "Only a store of the kind `woocommerce` can be asked for its orders.";
        return Err(Problem::unprocessable(BodyErrorCode::InvalidValue.as_str(), detail)
            .with_param("store_id"));
    }
    let (shop, now) = (call.shop()?, call.now);
    let currency = ShopCurrency { currency: shop.currency, minor_digits: shop.minor_digits() };
    let Outside { client, store, .. } = outside(call)?;
    let fetcher = StoreFetcher { client, store, shop: shop.id, currency, connected };
    Ok(HandlerPlan::Wait(Box::pin(async move {
        let orders = fetcher
            .reconcile(since, now)
            .await
            .map_err(|error| no_answer(&error))?;
        Ok(EncodedResponse::ok(&ReconciliationResponse { orders }))
    })))
}

/// `POST /v1/redemptions/{redemption_id}/publish`: publishes a redemption's code in all stores now.
pub(crate) fn publish(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    call.optional_body::<EmptyBody>()?;
    let (shop, now) = (call.shop_id(), call.now);
    let redemption = redemptions::path_id(call)?;
    let found = call.store.redemption(shop, redemption).map_err(error::from_failure)?;
    found.ok_or_else(redemptions::redemption_not_found)?;
    let destinations = call.store.destinations(shop).map_err(error::from_failure)?;
    let stores: Vec<_> = destinations
        .iter()
        .filter(|destination| destination.is_enabled())
        .filter_map(|destination| ConnectedStore::read(destination, now))
        .collect();
    let Outside { client, store, clock, .. } = outside(call)?;
    let deliverer = StoreDeliverer { client, store: Arc::clone(&store), clock };
    Ok(HandlerPlan::Wait(Box::pin(async move {
        for connected in &stores {
            // The redemption says what has become of the code.
            let _ = deliverer.deliver(connected, (shop, redemption), true).await;
        }
        let shown =
            task::spawn_blocking(move || redemptions::show_now(&*store, shop, redemption, now));
        shown.await.map_err(Problem::internal)?
    })))
}

/// What is used to call stores.
fn outside(call: &Call<'_>) -> Result<Outside, Problem> {
    let sender = call
        .sender
        .ok_or_else(|| Problem::unavailable(60, "stores are not called"))?;
    Ok(sender.outside().clone())
}

fn no_answer(error: &FetchError) -> Problem {
    let detail = to_sentence(&error.to_string());
    Problem::unavailable(60, &detail)
}

/// Reads stores with where they stand.
struct StoreReader {
    shop: ShopId,
    now: Timestamp,
    origin: Option<String>,
    inbox: Arc<StoreInbox>,
}

impl StoreReader {
    fn new(call: &Call<'_>) -> Self {
        let (shop, now) = (call.shop_id(), call.now);
        Self {
            shop,
            now,
            origin: call.origin(),
            inbox: Arc::clone(call.inbox),
        }
    }

    /// Returns a store with where it stands; `None` if the destination is no store.
    fn read(
        &self,
        store: &dyn Store,
        destination: &Destination,
    ) -> Result<Option<StoreResponse>, Problem> {
        let Some(connected) = ConnectedStore::read(destination, self.now) else {
            return Ok(None);
        };
        let progress = store.destination_progress(self.shop, destination.id);
        let counts = store.count_deliveries(self.shop, destination.id);
        let status = StoreStatus {
            progress: progress.map_err(error::from_failure)?.unwrap_or_default(),
            counts: counts.map_err(error::from_failure)?,
            last_received_at: self.inbox.last_at(self.shop, &connected.id),
            webhook_url: webhook_url(self.origin.as_deref(), self.shop, &connected.id),
        };
        Ok(Some(StoreResponse::new(&connected, destination, status)))
    }
}

/// The URL for a store's webhooks, where it is known how the server is reached.
fn webhook_url(origin: Option<&str>, shop: ShopId, store: &StoreId) -> Option<String> {
    origin.map(|origin| format!("{origin}/integrations/stores/{shop}/{store}"))
}

fn find(store: &dyn Store, shop: ShopId, id: &StoreId) -> Result<Option<Destination>, Problem> {
    let destinations = store.destinations(shop).map_err(error::from_failure)?;
    let kind = DestinationKind::Store(id.clone());
    Ok(destinations.into_iter().find(|destination| destination.kind == kind))
}

fn path_id(call: &Call<'_>) -> Result<StoreId, Problem> {
    let text = call.path::<Text<255>>("store_id")?;
    StoreId::new(text.as_str()).ok_or_else(not_found)
}

fn not_found() -> Problem {
    error::from_rejection(&Rejection::StoreNotFound, Some("store_id".to_owned()))
}

/// The part of a request that causes a rejection.
#[expect(clippy::unnecessary_wraps, reason = "the type of the plan")]
fn error_pointer(_: &Rejection) -> Option<String> {
    Some("store_id".to_owned())
}
