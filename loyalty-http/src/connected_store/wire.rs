//! Connected stores on the wire.

use ipnet::IpNet;
use loyalty_core::Timestamp;
use loyalty_store::{
    DeliveryCounts, Destination, DestinationProgress, DestinationSettings, DestinationState,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConnectedStore, StoreCredentials, StoreDetails, StoreKind};
use crate::network::check_endpoint;
use crate::problem::{Problem, to_sentence};
use crate::store_inbox::StoreMessageRecord;
use crate::wire::json::BodyErrorCode;
use crate::wire::json::field::{Text, TimeField};
use crate::wire::schema;
use crate::wire::value::TimeText;

/// A store to be connected, or to be connected in another way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StoreConnection")]
pub(crate) struct StoreBody<'a> {
    #[schemars(extend("enum" = ["plugin_woocommerce", "plugin_magento", "woocommerce", "shopify"]))]
    kind: &'a str,
    /// The shop's URL; for a plugin the `api_endpoint` that it has named.
    #[schemars(extend("format" = "uri"))]
    url: Text<2000>,
    /// The consumer key of WooCommerce, or the key that the plugin has. Shopify has none.
    key: Option<Text<255>>,
    /// The consumer secret of WooCommerce, the access token of Shopify, or the secret that the
    /// plugin has.
    secret: Text<255>,
    /// The secret with which WooCommerce or Shopify signs its webhooks.
    webhook_secret: Option<Text<255>>,
    /// False to stop publishing codes. True by default.
    enabled: Option<bool>,
}

/// What a body says.
pub(crate) struct ParsedStore {
    pub(crate) settings: DestinationSettings,
    pub(crate) credentials: StoreCredentials,
    pub(crate) is_enabled: bool,
}

impl StoreBody<'_> {
    /// Returns the settings, the credentials and whether the store gets codes.
    pub(crate) fn parse(self, allowed: &[IpNet]) -> Result<ParsedStore, Problem> {
        let invalid = |param: &str, detail: &str| {
            let code = BodyErrorCode::InvalidValue.as_str();
            Problem::unprocessable(code, detail.to_owned()).with_param(param)
        };
        let kind = StoreKind::ALL.into_iter().find(|kind| kind.name() == self.kind);
        let kind = kind.ok_or_else(|| {
            let names = StoreKind::ALL.map(StoreKind::name).join(", ");
            invalid("/kind", &format!("A store is one of {names}."))
        })?;
        let url = self.url.into_string();
        check_endpoint(&url, allowed)
            .map_err(|error| invalid("/url", &to_sentence(&error.to_string())))?;
        let key = self.key.map(Text::into_string).unwrap_or_default();
        if key.is_empty() != (kind == StoreKind::Shopify) {
            let detail = "All kinds but `shopify` need a `key`, and `shopify` has none.";
            return Err(invalid("/key", detail));
        }
        let details = serde_json::to_string(&StoreDetails { kind }).map_err(Problem::internal)?;
        Ok(ParsedStore {
            settings: DestinationSettings {
                url,
                description: String::new(),
                events: std::collections::BTreeSet::new(),
                details: Some(details),
            },
            credentials: StoreCredentials {
                key,
                secret: self.secret.into_string(),
                webhook_secret: self.webhook_secret.map(Text::into_string),
            },
            is_enabled: self.enabled.unwrap_or(true),
        })
    }
}

/// A connected store.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Store")]
pub(crate) struct StoreResponse {
    store_id: String,
    #[schemars(extend("enum" = ["plugin_woocommerce", "plugin_magento", "woocommerce", "shopify"]))]
    kind: &'static str,
    url: String,
    /// False if no codes are published.
    enabled: bool,
    /// Why no codes are published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["requested", "gone", "failing"]))]
    disabled_reason: Option<&'static str>,
    /// The URL for the store's webhooks, of kinds that send any.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    /// The topics that the store should send there.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(length(min = 1))]
    webhook_topics: &'static [&'static str],
    /// True if it is known with which secret the store signs.
    has_webhook_secret: bool,
    /// The time of the last answer that was a success; null for never.
    last_success_at: Option<TimeText>,
    /// The last failure; null for none.
    last_failure: Option<StoreFailureResponse>,
    /// Since when nothing but failures came; null if the last answer was a success.
    failing_since: Option<TimeText>,
    /// The messages that wait for another attempt.
    #[schemars(with = "schema::Count")]
    waiting: u64,
    /// The messages that were given up.
    #[schemars(with = "schema::Count")]
    given_up: u64,
    /// The time of the last message of the store, since the server's start; null for none.
    last_received_at: Option<TimeText>,
    created_at: TimeText,
    updated_at: TimeText,
}

/// A failure of a store.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoreFailure")]
struct StoreFailureResponse {
    at: TimeText,
    /// The status of the answer; null if there was none.
    status: Option<u16>,
    reason: String,
}

/// Where a store stands.
#[derive(Default)]
pub(crate) struct StoreStatus {
    pub(crate) progress: DestinationProgress,
    pub(crate) counts: DeliveryCounts,
    pub(crate) last_received_at: Option<Timestamp>,
    /// The URL for its webhooks.
    pub(crate) webhook_url: Option<String>,
}

impl StoreResponse {
    pub(crate) fn new(
        store: &ConnectedStore,
        destination: &Destination,
        status: StoreStatus,
    ) -> Self {
        let StoreStatus { progress, counts, last_received_at, webhook_url } = status;
        let disabled_reason = match destination.state {
            DestinationState::Enabled => None,
            DestinationState::Disabled { reason, .. } => Some(reason.name()),
        };
        let last_failure = progress.last_failure.map(|failure| StoreFailureResponse {
            at: TimeText(failure.at),
            status: failure.status,
            reason: failure.reason,
        });
        Self {
            store_id: store.id.to_string(),
            kind: store.kind.name(),
            url: store.url.clone(),
            enabled: disabled_reason.is_none(),
            disabled_reason,
            webhook_url: webhook_url.filter(|_| store.kind.webhooks().is_some()),
            webhook_topics: store.kind.webhook_topics(),
            has_webhook_secret: !store.webhook_secrets.is_empty(),
            last_success_at: progress.last_success_at.map(TimeText),
            last_failure,
            failing_since: progress.failing_since.map(TimeText),
            waiting: counts.waiting,
            given_up: progress.given_up,
            last_received_at: last_received_at.map(TimeText),
            created_at: TimeText(destination.created_at),
            updated_at: TimeText(destination.updated_at),
        }
    }
}

/// From when on a store is asked for its orders.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reconciliation")]
pub(crate) struct ReconciliationBody {
    /// Orders that changed since then are fetched.
    pub(crate) since: TimeField,
}

/// What was fetched from a store.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReconciliationResult")]
pub(crate) struct ReconciliationResponse {
    /// The orders that changed since the instant.
    #[schemars(with = "schema::Count")]
    pub(crate) orders: usize,
}

/// The connected stores of a shop.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Stores")]
pub(crate) struct StoresResponse {
    pub(crate) stores: Vec<StoreResponse>,
}

/// The last messages of a store, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoreMessages")]
pub(crate) struct StoreMessagesResponse {
    pub(crate) messages: Vec<StoreMessageResponse>,
}

/// A message of a store.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoreMessage")]
pub(crate) struct StoreMessageResponse {
    /// When it came.
    at: TimeText,
    /// The store's id of the delivery; null if it named none.
    delivery_id: Option<String>,
    /// What it is about, such as `orders/paid`; null if it did not say.
    topic: Option<String>,
    /// What became of it.
    #[schemars(extend("enum" = [
        "recorded", "ignored", "rejected", "unreadable", "not_authentic", "failed"
    ]))]
    outcome: &'static str,
    /// Why not, if it was not recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<StoreMessageRecord> for StoreMessageResponse {
    fn from(record: StoreMessageRecord) -> Self {
        let StoreMessageRecord { at, delivery_id, topic, outcome, reason } = record;
        Self {
            at: TimeText(at),
            delivery_id,
            topic,
            outcome: outcome.name(),
            reason,
        }
    }
}

/// What became of a message, as the store sees it. The status is 200 also where it says nothing
/// that could be recorded: stores that get anything else send it again, and stop in the end.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoreMessageResult")]
pub(crate) struct StoreMessageResult {
    /// True if all that it says is recorded.
    pub(crate) ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) problems: Vec<StoreMessageProblem>,
    /// The change of balances.
    #[schemars(with = "schema::Points")]
    pub(crate) points_changed: loyalty_core::Points,
}

/// Why a part of a message was not recorded.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoreMessageProblem")]
pub(crate) struct StoreMessageProblem {
    pub(crate) code: String,
    pub(crate) detail: String,
    /// The place in the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) param: Option<String>,
}
