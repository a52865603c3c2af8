//! The one place that knows what time it is. Everything else is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use loyalty_core::Timestamp;

/// Where the server takes the time from: whole milliseconds, in UTC.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still, for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self::manual(at).0
    }

    /// A clock that stands still until its hands are moved, for tests.
    pub fn manual(at: Timestamp) -> (Self, ManualClock) {
        let hands = ManualClock(Arc::new(AtomicI64::new(at.timestamp_millis())));
        (Self(Source::Manual(hands.clone())), hands)
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        let millis = match &self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
                let now = SystemTime::now();
                // A clock before 1970 is a broken one; the accounts' own clocks never step back.
                let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            Source::Manual(hands) => hands.0.load(Ordering::SeqCst),
        };
        Timestamp::from_timestamp_millis(millis).unwrap_or_default()
    }
}

/// What moves a [`Clock::manual`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Sets the clock, forward or back.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.timestamp_millis(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn setting_a_manual_clock_moves_its_copies_only() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (clock, hands) = Clock::manual(at("2026-01-31T10:00:00.1239Z"));
        let copy = clock.clone();
        assert_eq!(clock.now(), at("2026-01-31T10:00:00.123Z"));
        hands.set(at("2025-01-01T00:00:00Z"));
        assert_eq!(
            (clock.now(), copy.now()),
            (at("2025-01-01T00:00:00Z"), at("2025-01-01T00:00:00Z"))
        );
        assert!(Clock::system().now() > at("2026-01-01T00:00:00Z"));
    }
}
