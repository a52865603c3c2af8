//! Since when a connection waits for a head.
//!
//! One timer a connection, which looks every now and then, instead of one that is set and taken back for each
//! request: those were a twentieth of what a write took of the threads that speak HTTP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Shared by all that know something of a connection.
#[derive(Clone, Debug)]
pub(crate) struct HeadTimeout(Arc<Mutex<ConnectionPhase>>);

/// What a connection is at.
#[derive(Clone, Copy, Debug)]
enum ConnectionPhase {
    /// A head is waited for, since then.
    AwaitingHead(Instant),
    /// A request is being served.
    Serving,
    /// An answer waits for the client to take it.
    Responding,
}

impl HeadTimeout {
    /// A connection that was just opened.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new(ConnectionPhase::AwaitingHead(Instant::now()))))
    }

    /// A whole head is here.
    pub(crate) fn head_received(&self) {
        *self.phase() = ConnectionPhase::Serving;
    }

    /// The request is answered; the answer is on its way.
    pub(crate) fn response_ready(&self) {
        *self.phase() = ConnectionPhase::AwaitingHead(Instant::now());
    }

    /// The client took some bytes, or does not yet. Those of an answer, unless they invite it to send a body.
    pub(crate) fn record_write(&self, taken: bool) {
        let mut phase = self.phase();
        match *phase {
            ConnectionPhase::Serving => {}
            ConnectionPhase::AwaitingHead(_) | ConnectionPhase::Responding if taken => {
                *phase = ConnectionPhase::AwaitingHead(Instant::now())
            }
            ConnectionPhase::AwaitingHead(_) | ConnectionPhase::Responding => {
                *phase = ConnectionPhase::Responding
            }
        }
    }

    /// Over once a head was waited for so long.
    pub(crate) async fn wait_until_expired(self, limit: Duration) {
        loop {
            match self.remaining(limit) {
                Duration::ZERO => return,
                left => sleep(left).await,
            }
        }
    }

    /// For how long nothing can be over.
    fn remaining(&self, limit: Duration) -> Duration {
        match *self.phase() {
            ConnectionPhase::AwaitingHead(since) => limit.saturating_sub(since.elapsed()),
            ConnectionPhase::Serving | ConnectionPhase::Responding => limit,
        }
    }

    fn phase(&self) -> MutexGuard<'_, ConnectionPhase> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_for_a_head_uses_up_the_timeout() {
        let (waiting, limit) = (HeadTimeout::start(), Duration::from_mins(1));
        let runs = || {
            std::thread::sleep(Duration::from_millis(1));
            waiting.remaining(limit) < limit
        };
        assert!(runs());
        waiting.head_received();
        // An invitation to send the body.
        waiting.record_write(false);
        waiting.record_write(true);
        assert!(!runs());
        waiting.response_ready();
        assert!(runs());
        waiting.record_write(false);
        assert!(!runs());
        waiting.record_write(true);
        assert!(runs());
    }
}
