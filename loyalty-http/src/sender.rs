//! The sender: has receivers told what has happened.
//!
//! One task follows the journal for all destinations. It keeps a queue for each
//! (`queue`), has attempts made beside each other, and notes in the store how far
//! each destination has got: once a second, per thousand events, and at the end. What was sent
//! and is not noted is sent again after a crash, with the same id.
//!
//! What is special about a kind of receiver is behind [`Receiver`].

mod dispatch;
mod figures;
mod queue;
mod receiver;
mod webhook;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use loyalty_core::Timestamp;
use loyalty_store::{Destination, DestinationId, EventPosition, Store};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::outbound::OutboundClient;

pub use figures::SenderFigures;
pub use receiver::{DeliveryOutcome, DeliveryReport, EventToDeliver, Outside, Receiver};
pub use webhook::{WebhookReceiver, new_webhook_secret, sign};

/// The successes that are remembered for a destination.
const RECENT: usize = 100;

/// The limits of the sender.
#[derive(Clone, Debug)]
pub struct SenderSettings {
    /// The pauses before the attempts after the first, each with a tenth of jitter. After the
    /// last attempt a delivery is given up.
    pub backoff: Vec<Duration>,
    /// The attempts at once for a destination.
    pub concurrency: usize,
    /// The attempts at once for all.
    pub total_concurrency: usize,
    /// The most deliveries of a destination that wait as rows. While there are as many, its
    /// cursor stands still, and what happens waits in the journal.
    pub window: usize,
    /// The same for all destinations together, as far as each has a hundredth of its own.
    pub total_window: usize,
    /// The pause between two notes of how far destinations have got.
    pub note_interval: Duration,
    /// The first and the longest pause between two attempts for a receiver that fails again and
    /// again.
    pub probe: (Duration, Duration),
    /// How long the sender waits at its end for attempts that are under way.
    pub stop_grace: Duration,
}

impl SenderSettings {
    /// The attempts before a delivery is given up.
    pub fn attempts(&self) -> u32 {
        let after_first = u32::try_from(self.backoff.len()).unwrap_or(u32::MAX);
        after_first.saturating_add(1)
    }
}

impl Default for SenderSettings {
    /// Ten attempts in three days, 8 and 256 at once, 10,000 and 200,000 rows, one second, five
    /// seconds to a minute, five seconds.
    fn default() -> Self {
        let seconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Self {
            backoff: seconds.map(Duration::from_secs).to_vec(),
            concurrency: 8,
            total_concurrency: 256,
            window: 10_000,
            total_window: 200_000,
            note_interval: Duration::from_secs(1),
            probe: (Duration::from_secs(5), Duration::from_mins(1)),
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// A success, remembered until the process ends.
#[derive(Clone, Debug)]
pub(crate) struct RecentDelivery {
    pub(crate) event: EventPosition,
    pub(crate) at: Timestamp,
    pub(crate) status: Option<u16>,
    pub(crate) attempts: u32,
}

/// What others share with a sender that runs: they wake it, and read what it has done.
pub struct Sender {
    outside: Outside,
    webhooks: Arc<dyn Receiver>,
    stores: Option<Arc<dyn Receiver>>,
    settings: SenderSettings,
    figures: Arc<SenderFigures>,
    changed: Notify,
    recent: Mutex<HashMap<DestinationId, VecDeque<RecentDelivery>>>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender with the receivers of webhooks.
    ///
    /// # Errors
    /// Fails if the store does not say which journal it has.
    pub fn new(
        store: Arc<dyn Store>,
        client: OutboundClient,
        clock: Clock,
        settings: SenderSettings,
    ) -> Result<Self, loyalty_store::Failure> {
        let journal = store.journal_id()?;
        Ok(Self {
            outside: Outside { store, client, clock, journal },
            webhooks: Arc::new(WebhookReceiver),
            stores: None,
            settings,
            figures: Arc::default(),
            changed: Notify::new(),
            recent: Mutex::default(),
        })
    }

    /// The same sender, which also delivers to connected stores.
    #[must_use]
    pub fn with_stores(self, stores: Arc<dyn Receiver>) -> Self {
        Self { stores: Some(stores), ..self }
    }

    /// What its deliveries use.
    pub(crate) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// What it has done, for metrics.
    pub fn figures(&self) -> Arc<SenderFigures> {
        Arc::clone(&self.figures)
    }

    /// Has it read destinations again at once, after one was changed.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Delivers until `shutdown` resolves. Then waits a little for what is under way, and notes
    /// how far each destination has got.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        dispatch::run(self, shutdown).await;
    }

    /// Makes one attempt to deliver a made-up event to a webhook endpoint, without any effect on
    /// what is delivered.
    pub(crate) async fn test(&self, destination: &Destination) -> DeliveryReport {
        webhook::send_test(destination, &self.outside).await
    }

    /// The last successes for a destination, the newest first.
    pub(crate) fn recent(&self, destination: DestinationId) -> Vec<RecentDelivery> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent
            .get(&destination)
            .into_iter()
            .flatten()
            .rev()
            .cloned()
            .collect()
    }

    fn remember(&self, destination: DestinationId, delivery: RecentDelivery) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let of_destination = recent.entry(destination).or_default();
        if of_destination.len() >= RECENT {
            of_destination.pop_front();
        }
        of_destination.push_back(delivery);
    }

    fn forget(&self, destination: DestinationId) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.remove(&destination);
    }

    /// Who delivers to a destination; `None` if nobody can.
    fn receiver(&self, destination: &Destination) -> Option<&Arc<dyn Receiver>> {
        match destination.kind {
            loyalty_store::DestinationKind::WebhookEndpoint => Some(&self.webhooks),
            loyalty_store::DestinationKind::Store(_) => self.stores.as_ref(),
        }
    }
}
