//! Delivers outgoing events to connected stores: what a store has to know about a code, and
//! what it has answered.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use loyalty_core::{PublicationStatus, RedemptionId, ShopId, StoreId};
use loyalty_store::{Action, RedemptionAction, Reply, Request, Store};

use super::ConnectedStore;
use super::publish::{CodeTask, TaskStep};
use crate::clock::Clock;
use crate::connector::{StoreAnswer, StoreRequest};
use crate::outbound::{OutboundAnswer, OutboundClient, OutboundRequest};
use crate::sender::{DeliveryOutcome, DeliveryReport, EventToDeliver, Outside, Receiver};

/// The most requests that one event makes: the code at all endpoints of a plugin, and a look whose
/// it is.
const MAX_REQUESTS: usize = 6;

/// The receiver of the sender for all connected stores.
///
/// An event about a code only says where to look: what the store gets follows from the
/// redemption as it is then, so nothing is sent twice, or in the wrong order.
#[derive(Clone, Copy, Debug)]
pub struct StoreReceiver {
    /// The attempts of the sender. The failure of the last one is recorded.
    pub attempts: u32,
}

impl Receiver for StoreReceiver {
    fn deliver<'a>(
        &'a self,
        event: &'a EventToDeliver,
        outside: &'a Outside,
    ) -> Pin<Box<dyn Future<Output = DeliveryReport> + Send + 'a>> {
        let is_last = event.attempts.saturating_add(1) >= self.attempts;
        Box::pin(deliver_event(event, outside, is_last))
    }
}

async fn deliver_event(
    event: &EventToDeliver,
    outside: &Outside,
    is_last_attempt: bool,
) -> DeliveryReport {
    let Some(redemption) = event.event().and_then(|event| CodeTask::subject(&event)) else {
        return DeliveryReport::nothing_to_do();
    };
    let Outside { store, client, clock, .. } = outside.clone();
    let Some(connected) = ConnectedStore::read(&event.destination, clock.now()) else {
        return DeliveryReport::retry("the settings of the store cannot be read");
    };
    let deliverer = StoreDeliverer { client, store, clock };
    let subject = (event.row.shop, redemption);
    match deliverer.deliver(&connected, subject, is_last_attempt).await {
        StoreDelivery::Done => DeliveryReport::nothing_to_do(),
        StoreDelivery::Retry { status, reason, after } => DeliveryReport {
            outcome: DeliveryOutcome::Retry { after, all: after.is_some() },
            status: status.map(|status| status.as_u16()),
            ..DeliveryReport::retry(reason)
        },
    }
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreDelivery {
    /// There is nothing to send, or the store has answered for good.
    Done,
    /// Another attempt may succeed.
    Retry {
        /// The status of the answer, if there was one.
        status: Option<StatusCode>,
        /// Why.
        reason: String,
        /// How long the store asks to wait.
        after: Option<Duration>,
    },
}

impl StoreDelivery {
    /// Returns what is recorded after the last attempt, if anything.
    fn status_to_record(
        &self,
        is_last_attempt: bool,
        task: &CodeTask,
    ) -> Option<PublicationStatus> {
        match self {
            Self::Retry { reason, .. } if is_last_attempt => task.give_up(reason),
            Self::Retry { .. } | Self::Done => None,
        }
    }
}

/// Delivers to stores.
#[derive(Clone)]
pub(crate) struct StoreDeliverer {
    pub(crate) client: OutboundClient,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
}

impl StoreDeliverer {
    /// Sends a store what it has to know of a redemption. After the last attempt the failure is
    /// recorded as what has become of the code.
    pub(crate) async fn deliver(
        &self,
        connected: &ConnectedStore,
        (shop, redemption): (ShopId, RedemptionId),
        is_last_attempt: bool,
    ) -> StoreDelivery {
        let task = match self.find_task(connected, shop, redemption).await {
            Ok(Some(task)) => task,
            Ok(None) => return StoreDelivery::Done,
            Err(reason) => return StoreDelivery::Retry { status: None, reason, after: None },
        };
        match self.run(connected, &task).await {
            Ok(status) => self.record(shop, connected, task.redemption, status).await,
            Err(delivery) => match delivery.status_to_record(is_last_attempt, &task) {
                Some(status) => self.record(shop, connected, task.redemption, status).await,
                None => delivery,
            },
        }
    }

    async fn find_task(
        &self,
        connected: &ConnectedStore,
        shop: ShopId,
        redemption: RedemptionId,
    ) -> Result<Option<CodeTask>, String> {
        let (store, id, now) = (Arc::clone(&self.store), connected.id.clone(), self.clock.now());
        let found = tokio::task::spawn_blocking(move || {
            CodeTask::find(&*store, (shop, redemption), &id, now)
        });
        let found = found.await.map_err(|error| error.to_string())?;
        found.map_err(|failure| failure.to_string())
    }

    /// Asks the store, until it has answered for good or an attempt has failed.
    async fn run(
        &self,
        connected: &ConnectedStore,
        task: &CodeTask,
    ) -> Result<PublicationStatus, StoreDelivery> {
        let connector = connected.connector();
        let mut others = task.other_requests(&*connector).into_iter();
        let mut step = task.begin(&*connector);
        let mut is_check = false;
        for _ in 0..MAX_REQUESTS {
            let request = match step {
                TaskStep::Done(status) => return Ok(status),
                TaskStep::Retry(reason) => {
                    return Err(StoreDelivery::Retry { status: None, reason, after: None });
                }
                TaskStep::Ask(request) => request,
            };
            let answer = self.client.send(outbound(*request)).await;
            let answer = answer.map_err(|error| {
                let reason = error.to_string();
                StoreDelivery::Retry { status: None, reason, after: None }
            })?;
            // The endpoint that a plugin has named may not be the one where it answers.
            if answer.status == StatusCode::NOT_FOUND
                && let Some(other) = others.next()
            {
                step = TaskStep::Ask(Box::new(other));
                continue;
            }
            let read = StoreAnswer { status: answer.status, body: &answer.body };
            step = match task.proceed(&*connector, &read, is_check) {
                TaskStep::Retry(reason) => {
                    let OutboundAnswer { status, retry_after, .. } = answer;
                    let status = Some(status);
                    return Err(StoreDelivery::Retry { status, reason, after: retry_after });
                }
                step @ (TaskStep::Ask(_) | TaskStep::Done(_)) => step,
            };
            is_check = true;
        }
        let reason = "the store has asked for too much".to_owned();
        Err(StoreDelivery::Retry { status: None, reason, after: None })
    }

    /// Records what the store has done.
    async fn record(
        &self,
        shop: ShopId,
        connected: &ConnectedStore,
        id: RedemptionId,
        status: PublicationStatus,
    ) -> StoreDelivery {
        let store: StoreId = connected.id.clone();
        let action = Action::Redemption(RedemptionAction::RecordPublication { id, store, status });
        let request = Request::new(shop, self.clock.now(), action);
        match self.store.execute(request).await {
            // A redemption that is gone has nothing to send.
            Ok(Reply::Decided(_) | Reply::Stored { .. }) => StoreDelivery::Done,
            Err(failure) => {
                let reason = failure.to_string();
                StoreDelivery::Retry { status: None, reason, after: None }
            }
        }
    }
}

fn outbound(request: StoreRequest) -> OutboundRequest {
    let StoreRequest { method, url, headers, body } = request;
    OutboundRequest { method, url, headers, body: body.into() }
}
