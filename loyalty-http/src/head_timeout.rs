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
pub(crate) struct HeadTimeout {
    phase: Arc<Mutex<ConnectionPhase>>,
    /// The time limit for a further head, which is also that for an idle connection.
    idle_limit: Duration,
}

/// The phase of a connection.
#[derive(Clone, Copy, Debug)]
enum ConnectionPhase {
    /// A head is awaited.
    AwaitingHead { since: Instant, limit: Duration },
    /// A request is being served.
    Serving,
    /// A response waits for the client to read it.
    Responding,
}

impl HeadTimeout {
    /// The phase of a connection that was just opened, with the limits for its first head and for further ones.
    pub(crate) fn start(first_limit: Duration, idle_limit: Duration) -> Self {
        let phase = ConnectionPhase::AwaitingHead { since: Instant::now(), limit: first_limit };
        Self { phase: Arc::new(Mutex::new(phase)), idle_limit }
    }

    /// Records that a whole head has arrived.
    pub(crate) fn head_received(&self) {
        *self.phase() = ConnectionPhase::Serving;
    }

    /// Records that the response is complete and about to be written.
    pub(crate) fn response_ready(&self) {
        *self.phase() = self.awaiting_next_head();
    }

    /// Records a write to the client: accepted, or still waiting.
    pub(crate) fn record_write(&self, accepted: bool) {
        let mut phase = self.phase();
        match *phase {
            // A "100 Continue", which asks for the body and is no response.
            ConnectionPhase::Serving => {}
            ConnectionPhase::AwaitingHead { .. } | ConnectionPhase::Responding if accepted => {
                *phase = self.awaiting_next_head();
            }
            ConnectionPhase::AwaitingHead { .. } | ConnectionPhase::Responding => {
                *phase = ConnectionPhase::Responding;
            }
        }
    }

    /// The time since when a head is awaited; `None` while a request is served.
    pub(crate) fn idle_time(&self) -> Option<Duration> {
        match *self.phase() {
            ConnectionPhase::AwaitingHead { since, .. } => Some(since.elapsed()),
            ConnectionPhase::Serving | ConnectionPhase::Responding => None,
        }
    }

    /// Resolves once a head has been awaited for longer than its limit.
    pub(crate) async fn wait_until_expired(self) {
        loop {
            match self.remaining() {
                Duration::ZERO => return,
                remaining => sleep(remaining).await,
            }
        }
    }

    /// The shortest time in which the limit can expire; zero if it has expired.
    fn remaining(&self) -> Duration {
        match *self.phase() {
            ConnectionPhase::AwaitingHead { since, limit } => limit.saturating_sub(since.elapsed()),
            ConnectionPhase::Serving | ConnectionPhase::Responding => self.idle_limit,
        }
    }

    fn awaiting_next_head(&self) -> ConnectionPhase {
        ConnectionPhase::AwaitingHead { since: Instant::now(), limit: self.idle_limit }
    }

    fn phase(&self) -> MutexGuard<'_, ConnectionPhase> {
        // Nothing panics while the lock is held, so a poisoned one is consistent.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_for_a_head_uses_up_the_timeout() {
        let limit = Duration::from_mins(1);
        let timeout = HeadTimeout::start(limit, limit);
        let is_running = || {
            std::thread::sleep(Duration::from_millis(1));
            timeout.remaining() < limit && timeout.idle_time().is_some()
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
