//! What a store sends only when it is asked: the refunds of WooCommerce's orders, and the orders
//! that changed while its webhooks did not come.

use std::sync::Arc;

use chrono::TimeDelta;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::{Method, StatusCode};
use loyalty_core::{OrderId, ShopId, Timestamp};
use loyalty_store::{Failure, Store};
use serde_json::value::RawValue;

use super::ConnectedStore;
use super::record::{MessageRecorder, RecordedMessage};
use crate::connector::webhook::{ShopCurrency, StoreMessage};
use crate::connector::woocommerce::basic_auth;
use crate::connector::woocommerce::webhook::{read_order, read_refunds, refunds_path};
use crate::integration::WireError;
use crate::outbound::{OutboundClient, OutboundError, OutboundRequest};

/// The orders of a page.
const PAGE: usize = 100;

/// The most pages of one reconciliation.
const MAX_PAGES: u32 = 1_000;

/// Why a store could not be asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// There was no answer.
    #[error(transparent)]
    NoAnswer(#[from] OutboundError),
    /// The store has refused.
    #[error("the store answered {0}")]
    Refused(StatusCode),
    /// The answer cannot be read.
    #[error("the store's answer cannot be read: {0}")]
    Unreadable(WireError),
    /// The engine's store has failed.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The work was stopped.
    #[error("the work was stopped")]
    Stopped,
}

/// Asks one shop of WooCommerce.
#[derive(Clone)]
pub(crate) struct StoreFetcher {
    pub(crate) client: OutboundClient,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shop: ShopId,
    pub(crate) currency: ShopCurrency,
    pub(crate) connected: ConnectedStore,
}

impl StoreFetcher {
    /// Fetches the refunds of an order, and records those that are new.
    pub(crate) async fn fetch_refunds(
        &self,
        order: OrderId,
        now: Timestamp,
    ) -> Result<RecordedMessage, FetchError> {
        let body = self.get(&refunds_path(&order)).await?;
        let refunds = read_refunds(&body, self.currency).map_err(FetchError::Unreadable)?;
        let messages = refunds
            .into_iter()
            .map(|(refund, at)| StoreMessage::Refund(order.clone(), refund, at));
        self.record(messages.collect(), now).await
    }

    /// Fetches the orders that changed since an instant, and records them with their refunds.
    /// What is known already changes nothing. Returns how many there were.
    pub(crate) async fn reconcile(
        &self,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<usize, FetchError> {
        // The store leaves out the second that is named.
        let since = since.checked_sub_signed(TimeDelta::seconds(1)).unwrap_or(since);
        let since = since.format("%Y-%m-%dT%H:%M:%S");
        let mut count = 0_usize;
        for page in 1..=MAX_PAGES {
            let path = format!(
                "/wp-json/wc/v3/orders?modified_after={since}&dates_are_gmt=true&orderby=modified\
                 &order=asc&per_page={PAGE}&page={page}"
            );
            let body = self.get(&path).await?;
            let orders = split_list(&body)?;
            let found = orders.len();
            for order in orders {
                let message = read_order(order.get(), self.currency);
                // One that cannot be read stands among the messages, when its webhook comes.
                let Ok(message) = message else { continue };
                let recorded = self.record(vec![message], now).await?;
                let Some(order) = recorded.order_to_fetch else { continue };
                match self.fetch_refunds(order, now).await {
                    Ok(_) => {}
                    // One order must not stop all that changed after it.
                    Err(error @ (FetchError::Refused(_) | FetchError::Unreadable(_))) => {
                        let (shop, store) = (self.shop.0, &self.connected.id);
                        tracing::warn!(shop, %store, %error, "refunds were not fetched");
                    }
                    Err(error) => return Err(error),
                }
            }
            count = count.saturating_add(found);
            if found < PAGE {
                break;
            }
        }
        Ok(count)
    }

    async fn get(&self, path: &str) -> Result<String, FetchError> {
        let base = self.connected.url.trim_end_matches('/');
        let (key, secret) = (&self.connected.credentials.key, &self.connected.credentials.secret);
        let mut headers = Vec::new();
        if let Ok(mut value) = HeaderValue::try_from(basic_auth(key, secret)) {
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        let request = OutboundRequest {
            method: Method::GET,
            url: format!("{base}{path}"),
            headers,
            body: bytes::Bytes::new(),
        };
        let answer = self.client.fetch(request).await?;
        if !answer.status.is_success() {
            return Err(FetchError::Refused(answer.status));
        }
        String::from_utf8(answer.body.to_vec()).map_err(|_| not_json("it is not UTF-8"))
    }

    /// Records messages on a thread of their own, since that waits for the disk. Returns what
    /// became of the last one.
    async fn record(
        &self,
        messages: Vec<StoreMessage>,
        now: Timestamp,
    ) -> Result<RecordedMessage, FetchError> {
        let (store, shop) = (Arc::clone(&self.store), self.shop);
        let recorded = tokio::task::spawn_blocking(move || {
            let recorder = MessageRecorder { store: &*store, shop, now };
            let mut last = RecordedMessage::default();
            for message in messages {
                last = recorder.record(message)?;
            }
            Ok::<_, Failure>(last)
        });
        Ok(recorded.await.map_err(|_| FetchError::Stopped)??)
    }
}

fn split_list(body: &str) -> Result<Vec<&RawValue>, FetchError> {
    serde_json::from_str(body).map_err(|_| not_json("it is no list"))
}

fn not_json(reason: &str) -> FetchError {
    FetchError::Unreadable(WireError { pointer: String::new(), reason: reason.to_owned() })
}
