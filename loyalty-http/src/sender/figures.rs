//! What the sender has done, for metrics. No figure names a shop or a receiver.

use std::sync::atomic::{AtomicU64, Ordering};

use super::receiver::DeliveryOutcome;

/// Counters since the start, and gauges of the last turn.
#[derive(Debug, Default)]
pub struct SenderFigures {
    delivered: AtomicU64,
    retried: AtomicU64,
    failed: AtomicU64,
    gone: AtomicU64,
    given_up: AtomicU64,
    waiting: AtomicU64,
    in_flight: AtomicU64,
    enabled: AtomicU64,
    disabled: AtomicU64,
    failing: AtomicU64,
    lag: AtomicU64,
}

/// The gauges of a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SenderGauges {
    pub(super) waiting: usize,
    pub(super) in_flight: usize,
    pub(super) enabled: usize,
    pub(super) disabled: usize,
    pub(super) failing: usize,
    pub(super) lag: u64,
}

impl SenderFigures {
    pub(super) fn count(&self, outcome: &DeliveryOutcome) {
        let counter = match outcome {
            DeliveryOutcome::Delivered => &self.delivered,
            DeliveryOutcome::Retry { .. } => &self.retried,
            DeliveryOutcome::Failed => &self.failed,
            DeliveryOutcome::Gone => &self.gone,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_given_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, gauges: SenderGauges) {
        let store = |gauge: &AtomicU64, value: usize| {
            gauge.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        store(&self.waiting, gauges.waiting);
        store(&self.in_flight, gauges.in_flight);
        store(&self.enabled, gauges.enabled);
        store(&self.disabled, gauges.disabled);
        store(&self.failing, gauges.failing);
        self.lag.store(gauges.lag, Ordering::Relaxed);
    }

    /// The attempts by their outcome.
    pub fn attempts(&self) -> [(&'static str, u64); 4] {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("delivered", load(&self.delivered)),
            ("retried", load(&self.retried)),
            ("failed", load(&self.failed)),
            ("gone", load(&self.gone)),
        ]
    }

    /// The deliveries that were given up.
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// The gauges: their name, what they are, and their value.
    pub fn gauges(&self) -> [(&'static str, &'static str, u64); 6] {
        let load = |gauge: &AtomicU64| gauge.load(Ordering::Relaxed);
        [
            (
                "waiting",
                "Deliveries that wait for another attempt, or behind one",
                load(&self.waiting),
            ),
            ("in_flight", "Attempts that are under way", load(&self.in_flight)),
            ("destinations_enabled", "Destinations that get events", load(&self.enabled)),
            ("destinations_disabled", "Destinations that are disabled", load(&self.disabled)),
            (
                "destinations_failing",
                "Destinations that fail again and again",
                load(&self.failing),
            ),
            ("lag_seconds", "Age of the oldest event that was not tried yet", load(&self.lag)),
        ]
    }
}
