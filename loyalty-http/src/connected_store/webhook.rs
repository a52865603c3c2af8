//! Messages of connected stores: `POST /integrations/stores/{shop_id}/{store_id}`.
//!
//! ```text
//! store ── ping ── signature ── read ── facts, each a transaction ── {"ok": true, …}
//!  401     200       401        200           200, 503
//! ```
//!
//! The signature is the only authentication. A message that is authentic and says nothing that
//! can be recorded is answered with 200 and the reasons: stores that get anything else send it
//! again, and stop sending in the end. It stands among the last messages of the store.

use hyper::HeaderMap;
use loyalty_core::{OrderId, ShopId, StoreId, Timestamp};
use loyalty_store::{Rejection, Store};

use super::ConnectedStore;
use super::record::{MessageRecorder, RecordedMessage, StoreRequestKind};
use super::wire::{StoreMessageProblem, StoreMessageResult};
use crate::connector::webhook::{ShopCurrency, StoreMessage, StoreWebhooks, is_signed};
use crate::endpoint::{EncodedResponse, error};
use crate::integration::WireError;
use crate::problem::{Problem, to_sentence};
use crate::store_inbox::{MessageOutcome, StoreInbox, StoreMessageRecord};

/// A message as received.
pub(crate) struct ReceivedMessage<'a> {
    pub(crate) shop: ShopId,
    pub(crate) store_id: StoreId,
    pub(crate) head: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) now: Timestamp,
}

/// The answer to a message, and what has to be fetched before it is given.
pub(crate) struct MessageAnswer {
    pub(crate) response: EncodedResponse,
    pub(crate) fetch: Option<RefundsToFetch>,
}

/// An order whose refunds the store sends only when it is asked.
pub(crate) struct RefundsToFetch {
    pub(crate) connected: ConnectedStore,
    pub(crate) currency: ShopCurrency,
    pub(crate) order: OrderId,
}

/// Authenticates, reads and records a message. Waits for the disk.
pub(crate) fn receive(
    store: &dyn Store,
    inbox: &StoreInbox,
    received: &ReceivedMessage<'_>,
) -> Result<MessageAnswer, Problem> {
    let connected = find(store, received)?;
    let webhooks = connected.kind.webhooks().ok_or_else(not_authentic)?;
    let id = connected.id.clone();
    let note = |outcome, reason: Option<String>| {
        let text = |text: Option<&str>| text.map(|text| text.chars().take(100).collect());
        let record = StoreMessageRecord {
            at: received.now,
            delivery_id: text(webhooks.delivery_id(received.head)),
            topic: text(webhooks.topic(received.head)),
            outcome,
            reason,
        };
        inbox.add(received.shop, &id, record);
    };

    if webhooks.is_ping(received.head, received.body) {
        note(MessageOutcome::Ignored, None);
        return Ok(answer(Vec::new(), &RecordedMessage::default()).into());
    }
    if !is_authentic(&connected, webhooks, received) {
        let reason = if connected.webhook_secrets.is_empty() {
            "the store has no webhook_secret here"
        } else {
            "the signature is wrong"
        };
        note(MessageOutcome::NotAuthentic, Some(reason.to_owned()));
        return Err(not_authentic());
    }

    let currency = currency(store, received.shop)?;
    let message = match read(webhooks, received, currency) {
        Ok(message) => message,
        Err(WireError { pointer, reason }) => {
            note(MessageOutcome::Unreadable, Some(format!("{pointer}: {reason}")));
            let problem = StoreMessageProblem {
                code: "invalid_body".to_owned(),
                detail: to_sentence(&reason),
                param: Some(pointer),
            };
            return Ok(answer(vec![problem], &RecordedMessage::default()).into());
        }
    };
    let is_ignored = message == StoreMessage::Ignored;
    let target = MessageRecorder { store, shop: received.shop, now: received.now };
    let recorded = target.record(message).map_err(|failure| {
        note(MessageOutcome::Failed, Some(failure.to_string()));
        error::from_failure(failure)
    })?;
    let problems: Vec<_> = recorded.rejections.iter().map(problem_of).collect();
    let reason = problems.first().map(|problem| problem.detail.clone());
    let outcome = match (&reason, is_ignored) {
        (Some(_), _) => MessageOutcome::Rejected,
        (None, true) => MessageOutcome::Ignored,
        (None, false) => MessageOutcome::Recorded,
    };
    note(outcome, reason.or_else(|| request_text(recorded.request.as_ref())));
    let response = answer(problems, &recorded);
    let to_fetch = recorded.order_to_fetch;
    let fetch = to_fetch.map(|order| RefundsToFetch { connected, currency, order });
    Ok(MessageAnswer { response, fetch })
}

impl From<EncodedResponse> for MessageAnswer {
    fn from(response: EncodedResponse) -> Self {
        Self { response, fetch: None }
    }
}

fn currency(store: &dyn Store, shop: ShopId) -> Result<ShopCurrency, Problem> {
    let shop = store
        .shop(shop)
        .map_err(error::from_failure)?
        .ok_or_else(not_authentic)?;
    Ok(ShopCurrency { currency: shop.currency, minor_digits: shop.minor_digits() })
}

fn find(store: &dyn Store, received: &ReceivedMessage<'_>) -> Result<ConnectedStore, Problem> {
    let destinations = store.destinations(received.shop).map_err(error::from_failure)?;
    let mut stores = destinations
        .iter()
        .filter_map(|destination| ConnectedStore::read(destination, received.now));
    stores
        .find(|store| store.id == received.store_id)
        .ok_or_else(not_authentic)
}

fn is_authentic(
    connected: &ConnectedStore,
    webhooks: &dyn StoreWebhooks,
    received: &ReceivedMessage<'_>,
) -> bool {
    let Some(signature) = webhooks.signature(received.head) else {
        return false;
    };
    let mut secrets = connected.webhook_secrets.iter();
    secrets.any(|secret| is_signed(received.body, signature, secret.as_bytes()))
}

fn read(
    webhooks: &dyn StoreWebhooks,
    received: &ReceivedMessage<'_>,
    currency: ShopCurrency,
) -> Result<StoreMessage, WireError> {
    let topic = webhooks.topic(received.head).unwrap_or_default();
    let Ok(body) = std::str::from_utf8(received.body) else {
        let reason = "the body is not UTF-8".to_owned();
        return Err(WireError { pointer: String::new(), reason });
    };
    webhooks.read(topic, body, currency)
}

/// What somebody has to do about a message, for the list of messages.
fn request_text(request: Option<&StoreRequestKind>) -> Option<String> {
    let text = match request? {
        StoreRequestKind::Data => "a customer asks for their data: answer with the export",
        StoreRequestKind::Uninstall => "the store says that it is no longer connected",
    };
    Some(text.to_owned())
}

fn problem_of(rejection: &Rejection) -> StoreMessageProblem {
    StoreMessageProblem {
        code: rejection.code().to_owned(),
        detail: to_sentence(&rejection.to_string()),
        param: None,
    }
}

fn answer(problems: Vec<StoreMessageProblem>, recorded: &RecordedMessage) -> EncodedResponse {
    let (ok, points_changed) = (problems.is_empty(), recorded.points_changed);
    EncodedResponse::ok(&StoreMessageResult { ok, problems, points_changed })
}

/// The same answer for an unknown shop, an unknown store and a wrong signature.
pub(crate) fn not_authentic() -> Problem {
    Problem::unauthorized("The store is unknown or the signature is wrong.")
}
