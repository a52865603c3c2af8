//! The time limit for a request head.
//!
//! Each connection has one timer, which checks now and then since when a head is awaited.
//! A timer that is set and cancelled for each request cost the HTTP threads 5 % of a
//! write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The phase of one connection. Clones share it: the socket, the service and the timer.
#[derive(Clone, Debug)]
pub(crate) struct HeadTimeout(Arc<Mutex<ConnectionPhase>>);

/// The phase of a connection.
#[derive(Clone, Copy, Debug)]
enum ConnectionPhase {
    /// A head is awaited since this instant.
    AwaitingHead(Instant),
    /// A request is being served.
    Serving,
    /// A response waits for the client to read it.
    Responding,
}

impl HeadTimeout {
    /// The phase of a connection that was just opened.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new(ConnectionPhase::AwaitingHead(Instant::now()))))
    }

    /// Records that a whole head has arrived.
    pub(crate) fn head_received(&self) {
        *self.phase() = ConnectionPhase::Serving;
    }

    /// Records that the response is complete and about to be written.
    pub(crate) fn response_ready(&self) {
        *self.phase() = ConnectionPhase::AwaitingHead(Instant::now());
    }

    /// Records a write to the client: accepted, or still waiting.
    pub(crate) fn record_write(&self, accepted: bool) {
        let mut phase = self.phase();
        match *phase {
            // A "100 Continue", which asks for the body and is no response.
            ConnectionPhase::Serving => {}
            ConnectionPhase::AwaitingHead(_) | ConnectionPhase::Responding if accepted => {
                *phase = ConnectionPhase::AwaitingHead(Instant::now());
            }
            ConnectionPhase::AwaitingHead(_) | ConnectionPhase::Responding => {
                *phase = ConnectionPhase::Responding;
            }
        }
    }

    /// Resolves once a head has been awaited for `limit`.
    pub(crate) async fn wait_until_expired(self, limit: Duration) {
        loop {
            match self.remaining(limit) {
                Duration::ZERO => return,
                remaining => sleep(remaining).await,
            }
        }
    }

    /// The shortest time in which the limit can expire; zero if it has expired.
    fn remaining(&self, limit: Duration) -> Duration {
        match *self.phase() {
            ConnectionPhase::AwaitingHead(since) => limit.saturating_sub(since.elapsed()),
            ConnectionPhase::Serving | ConnectionPhase::Responding => limit,
        }
    }

    fn phase(&self) -> MutexGuard<'_, ConnectionPhase> {
        // Nothing panics while the lock is held, so a poisoned one is consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_for_a_head_uses_up_the_timeout() {
        let (timeout, limit) = (HeadTimeout::start(), Duration::from_mins(1));
        let is_running = || {
            std::thread::sleep(Duration::from_millis(1));
            timeout.remaining(limit) < limit
        };
        assert!(is_running());

        timeout.head_received();
        // A "100 Continue".
        timeout.record_write(false);
        timeout.record_write(true);
        assert!(!is_running());

        timeout.response_ready();
        assert!(is_running());
        timeout.record_write(false);
        assert!(!is_running());
        timeout.record_write(true);
        assert!(is_running());
    }
}
