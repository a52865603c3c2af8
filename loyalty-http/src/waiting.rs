//! Since when a connection waits for a head.
//!
//! One timer a connection, which looks every now and then, instead of one that is set and taken back for each
//! request: those were a twentieth of what a write took of the threads that speak HTTP.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Shared by all that know something of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Waiting(Arc<Mutex<Phase>>);

/// What a connection is at.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A head is waited for, since then.
    Head(Instant),
    /// A request is being served.
    Served,
    /// An answer waits for the client to take it.
    Answering,
}

impl Waiting {
    /// A connection that was just opened.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Mutex::new(Phase::Head(Instant::now()))))
    }

    /// A whole head is here.
    pub(crate) fn served(&self) {
        *self.phase() = Phase::Served;
    }

    /// The request is answered; the answer is on its way.
    pub(crate) fn answered(&self) {
        *self.phase() = Phase::Head(Instant::now());
    }

    /// The client took some bytes, or does not yet. Those of an answer, unless they invite it to send a body.
    pub(crate) fn writing(&self, taken: bool) {
        let mut phase = self.phase();
        match *phase {
            Phase::Served => {}
            Phase::Head(_) | Phase::Answering if taken => *phase = Phase::Head(Instant::now()),
            Phase::Head(_) | Phase::Answering => *phase = Phase::Answering,
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

    /// For how long nothing can be over.
    fn left(&self, limit: Duration) -> Duration {
        match *self.phase() {
            Phase::Head(since) => limit.saturating_sub(since.elapsed()),
            Phase::Served | Phase::Answering => limit,
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_head_is_waited_for() {
        let (waiting, limit) = (Waiting::start(), Duration::from_mins(1));
        let runs = || {
            std::thread::sleep(Duration::from_millis(1));
            waiting.left(limit) < limit
        };
        assert!(runs());
        waiting.served();
        // An invitation to send the body.
        waiting.writing(false);
        waiting.writing(true);
        assert!(!runs());
        waiting.answered();
        assert!(runs());
        waiting.writing(false);
        assert!(!runs());
        waiting.writing(true);
        assert!(runs());
    }
}
