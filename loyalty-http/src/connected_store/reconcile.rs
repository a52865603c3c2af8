//! Reconciliation: the orders of WooCommerce that changed while its webhooks did not come.
//!
//! Each store is asked at the start and every hour for what changed in the last day. An order
//! that is known already changes nothing, so nothing has to be remembered between two passes.
//! After a longer outage an operator asks since an instant.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use loyalty_core::ShopId;
use loyalty_store::{Failure, Store};
use tokio::task::JoinSet;

use super::fetch::StoreFetcher;
use super::{ConnectedStore, StoreKind};
use crate::clock::Clock;
use crate::connector::webhook::ShopCurrency;
use crate::outbound::OutboundClient;

/// The pause between two passes.
const INTERVAL: Duration = Duration::from_hours(1);

/// How far a pass looks back: more than a night of webhooks that did not come.
const LOOK_BACK: TimeDelta = TimeDelta::hours(25);

/// The stores that are asked at once.
const CONCURRENCY: usize = 4;

/// The longest time that one store gets.
const PATIENCE: Duration = Duration::from_mins(10);

/// Reconciles all stores every hour, until `shutdown` resolves.
pub async fn run(
    store: Arc<dyn Store>,
    client: OutboundClient,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = pass(&store, &client, &clock) => {}
        }
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Asks each store once. One that does not answer holds up no other.
async fn pass(store: &Arc<dyn Store>, client: &OutboundClient, clock: &Clock) {
    let (reader, now) = (Arc::clone(store), clock.now());
    let found = tokio::task::spawn_blocking(move || fetchers(&*reader, now)).await;
    let found = match found {
        Ok(Ok(found)) => found,
        Ok(Err(failure)) => {
            tracing::warn!(%failure, "stores were not reconciled");
            return;
        }
        Err(_) => return,
    };

    let mut waiting = JoinSet::new();
    for (shop, currency, connected) in found {
        if waiting.len() >= CONCURRENCY {
            waiting.join_next().await;
        }
        let (client, store, clock) = (client.clone(), Arc::clone(store), clock.clone());
        let fetcher = StoreFetcher { client, store, shop, currency, connected };
        waiting.spawn(async move { reconcile(&fetcher, &clock).await });
    }
    while waiting.join_next().await.is_some() {}
}

async fn reconcile(fetcher: &StoreFetcher, clock: &Clock) {
    let now = clock.now();
    let since = now.checked_sub_signed(LOOK_BACK).unwrap_or(now);
    let (shop, store) = (fetcher.shop.0, &fetcher.connected.id);
    match tokio::time::timeout(PATIENCE, fetcher.reconcile(since, now)).await {
        Ok(Ok(orders)) => tracing::debug!(shop, %store, orders, "store reconciled"),
        Ok(Err(error)) => tracing::warn!(shop, %store, %error, "store was not reconciled"),
        Err(_) => tracing::warn!(shop, %store, "store was not reconciled in time"),
    }
}

/// The stores that can be asked.
fn fetchers(
    store: &dyn Store,
    now: loyalty_core::Timestamp,
) -> Result<Vec<(ShopId, ShopCurrency, ConnectedStore)>, Failure> {
    let mut found = Vec::new();
    for destination in store.all_destinations()? {
        let connected = ConnectedStore::read(&destination, now);
        let connected = connected.filter(|connected| connected.kind == StoreKind::Woocommerce);
        let Some(connected) = connected.filter(|_| destination.is_enabled()) else {
            continue;
        };
        let Some(shop) = store.shop(destination.shop)? else { continue };
        let currency = ShopCurrency { currency: shop.currency, minor_digits: shop.minor_digits() };
        found.push((shop.id, currency, connected));
    }
    Ok(found)
}
