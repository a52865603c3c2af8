//! Figures about a store at work, for monitoring.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets of [`TimeHistogram`], in microseconds. A last bucket has all
/// that took longer.
pub const TIME_BUCKETS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000];

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeHistogram {
    /// The number of measurements in each bucket of [`TIME_BUCKETS`], and of longer ones.
    pub counts: [u64; TIME_BUCKETS.len() + 1],
    /// All measurements together, in microseconds.
    pub total_micros: u64,
}

/// Figures of one store since it was opened, or as it is now.
///
/// # Example: a store in memory has no commits
/// ```
/// use loyalty_store::{MemoryStore, Store};
/// assert_eq!(MemoryStore::default().metrics().failed_commits, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreMetrics {
    /// The time of each successful commit, sync included.
    pub commit_time: TimeHistogram,
    /// The number of commits that failed.
    pub failed_commits: u64,
    /// The number of requests that were answered by successful commits.
    pub committed_requests: u64,
    /// The number of requests that wait for a decision or a commit.
    pub waiting_requests: u64,
    /// The number of states that have not reached their tables.
    pub unwritten_states: u64,
    /// The number of look-ups of states in memory that found one.
    pub cache_hits: u64,
    /// The number of look-ups that had to read a table.
    pub cache_misses: u64,
    /// The size of the database file.
    pub database_bytes: u64,
    /// The size of the write-ahead log.
    pub log_bytes: u64,
}

/// Counts commits. The writer changes it, others read it.
#[derive(Debug, Default)]
pub(crate) struct CommitCounters {
    counts: [AtomicU64; TIME_BUCKETS.len() + 1],
    total_micros: AtomicU64,
    failed: AtomicU64,
    requests: AtomicU64,
    unwritten_states: AtomicU64,
}

impl CommitCounters {
    /// Counts a commit that answers `requests` requests.
    pub(crate) fn record_success(&self, time: Duration, requests: usize) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = TIME_BUCKETS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        let requests = u64::try_from(requests).unwrap_or(u64::MAX);
        self.requests.fetch_add(requests, Ordering::Relaxed);
    }

    /// Counts a commit that failed.
    pub(crate) fn record_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how many states have not reached their tables.
    pub(crate) fn set_unwritten_states(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.unwritten_states.store(count, Ordering::Relaxed);
    }

    /// Returns the figures of commits; the others are zero.
    pub(crate) fn snapshot(&self) -> StoreMetrics {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        StoreMetrics {
            commit_time: TimeHistogram {
                counts: std::array::from_fn(|bucket| self.counts.get(bucket).map_or(0, read)),
                total_micros: read(&self.total_micros),
            },
            failed_commits: read(&self.failed),
            committed_requests: read(&self.requests),
            unwritten_states: read(&self.unwritten_states),
            ..StoreMetrics::default()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "the bounds are those of the type")]
    use super::*;

    #[test]
    fn a_commit_is_in_the_bucket_of_its_time() {
        let counters = CommitCounters::default();
        for (micros, requests) in [(100, 1), (101, 2), (2_500_001, 3), (0, 0)] {
            counters.record_success(Duration::from_micros(micros), requests);
        }
        counters.record_failure();

        let metrics = counters.snapshot();
        let mut expected = [0; TIME_BUCKETS.len() + 1];
        expected[0] = 2;
        expected[1] = 1;
        expected[TIME_BUCKETS.len()] = 1;
        assert_eq!(metrics.commit_time.counts, expected);
        assert_eq!(metrics.commit_time.total_micros, 2_500_202);
        assert_eq!((metrics.committed_requests, metrics.failed_commits), (6, 1));
    }
}
