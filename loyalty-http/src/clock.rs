//! Only this module reads the system clock. All others take the time as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use loyalty_core::Timestamp;

/// The server's source of time: whole milliseconds, in UTC.
///
/// # Example: a test moves the time
/// ```
/// use loyalty_core::Timestamp;
/// use loyalty_http::Clock;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let start: Timestamp = "2026-03-01T12:00:00Z".parse()?;
/// let next_day: Timestamp = "2026-03-02T12:00:00Z".parse()?;
/// let (clock, manual) = Clock::manual(start);
/// assert_eq!(clock.now(), start);
/// manual.set(next_day);
/// assert_eq!(clock.now(), next_day);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that always shows `at`, for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self::manual(at).0
    }

    /// A clock that shows `at` until [`ManualClock::set`] changes it, for tests.
    pub fn manual(at: Timestamp) -> (Self, ManualClock) {
        let manual = ManualClock(Arc::new(AtomicI64::new(at.timestamp_millis())));
        (Self(Source::Manual(manual.clone())), manual)
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        let millis = match &self.0 {
            Source::System => {
                #[expect(clippy::disallowed_methods, reason = "this is the clock")]
                let now = SystemTime::now();
                // A system clock before 1970 is wrong, and counts as 1970. Accounts are
                // safe: their own time never goes back.
                let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
            }
            Source::Manual(manual) => manual.0.load(Ordering::SeqCst),
        };

        Timestamp::from_timestamp_millis(millis).unwrap_or_default()
    }
}

/// Sets the time of a [`Clock::manual`] and of all its clones.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Sets the time, forward or back.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.timestamp_millis(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn setting_a_manual_clock_changes_its_clones_only() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (clock, manual) = Clock::manual(at("2026-01-31T10:00:00.1239Z"));
        let copy = clock.clone();
        assert_eq!(clock.now(), at("2026-01-31T10:00:00.123Z"));
        manual.set(at("2025-01-01T00:00:00Z"));
        assert_eq!(
            (clock.now(), copy.now()),
            (at("2025-01-01T00:00:00Z"), at("2025-01-01T00:00:00Z"))
        );
        assert!(Clock::system().now() > at("2026-01-01T00:00:00Z"));
    }
}
