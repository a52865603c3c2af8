//! Since when a connection waits for a head.
//!
//! One timer a connection, which looks every now and then, instead of one that is set and taken back for each
//! request: those were a twentieth of what a write took of the threads that speak HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Stands for a request that is being served.
const SERVED: u64 = u64::MAX;

/// Stands for an answer that waits for the client to take it.
const ANSWERING: u64 = u64::MAX - 1;

/// Shared by all that know something of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Waiting(Arc<Times>);

#[derive(Debug)]
struct Times {
    opened: Instant,
    /// In microseconds since it was opened, or [`SERVED`], or [`ANSWERING`].
    since: AtomicU64,
}

impl Waiting {
    /// A connection that was just opened.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Times { opened: Instant::now(), since: AtomicU64::new(0) }))
    }

    /// A whole head is here.
    pub(crate) fn served(&self) {
        self.0.since.store(SERVED, Ordering::Relaxed);
    }

    /// The request is answered; the answer is on its way.
    pub(crate) fn answered(&self) {
        self.0.since.store(self.now(), Ordering::Relaxed);
    }

    /// The client took some bytes, or will have to. Those of an answer, unless they invite it to send a body.
    pub(crate) fn writing(&self, taken: bool) {
        if self.0.since.load(Ordering::Relaxed) != SERVED {
            self.0.since.store(if taken { self.now() } else { ANSWERING }, Ordering::Relaxed);
        }
    }

    /// Over once a head was waited for so long.
    pub(crate) async fn too_long(self, limit: Duration) {
        loop {
            match self.left(limit) {
                Duration::ZERO => return,
                left => sleep(left).await,
            }
        }
    }

    /// How long nothing can be too long.
    fn left(&self, limit: Duration) -> Duration {
        match self.0.since.load(Ordering::Relaxed) {
            SERVED | ANSWERING => limit,
            since => limit.saturating_sub(Duration::from_micros(self.now().saturating_sub(since))),
        }
    }

    fn now(&self) -> u64 {
        // Longer than any connection lasts.
        u64::try_from(self.0.opened.elapsed().as_micros()).unwrap_or(ANSWERING)
    }
}
