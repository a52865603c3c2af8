//! Rate limit against guessing of codes: after ten failed lookups a subject must wait.
//!
//! It is a token bucket stored as one instant. Each subject (an API key, a customer, an
//! address) has an instant that each failure moves one step into the future. Lookups are
//! rejected while it is ten or more steps ahead. As time passes the subject recovers,
//! without a job.
//!
//! Memory is bounded: there are two generations of subjects. When the younger one is
//! full, it replaces the older one, which is dropped.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use loyalty_core::{ShopId, Timestamp};

use crate::problem::Problem;

/// The number of lookups that may fail in a row.
const FREE_FAILURES: i32 = 10;

/// The maximum number of subjects in a generation.
const GENERATION_SIZE: usize = 20_000;

/// A subject whose failed lookups are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ThrottleKey {
    /// An API key, by its public id. Many shoppers may use it.
    Key(String),
    /// A shopper, by the customer id or e-mail in the request.
    Customer(ShopId, String),
    /// A shopper's network address, as given in the request.
    Address(ShopId, String),
}

impl ThrottleKey {
    /// The time by which one failure moves the instant.
    fn failure_cost(&self) -> TimeDelta {
        match self {
            Self::Key(_) => TimeDelta::seconds(1),
            Self::Customer(..) | Self::Address(..) => TimeDelta::seconds(30),
        }
    }
}

/// The instants of all subjects with recent failures: the younger and the older
/// generation.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    generations: Mutex<[HashMap<ThrottleKey, Timestamp>; 2]>,
}

impl Throttle {
    /// Admits a lookup, or fails with 429 and the seconds until every subject is admitted
    /// again.
    pub(crate) fn admit(&self, subjects: &[ThrottleKey], now: Timestamp) -> Result<(), Problem> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = subjects.iter().filter_map(|subject| {
            let instant = generations.iter().find_map(|generation| generation.get(subject))?;
            let free = subject.failure_cost().checked_mul(FREE_FAILURES.saturating_sub(1))?;
            Some(
                instant
                    .signed_duration_since(now)
                    .checked_sub(&free)?
                    .num_milliseconds(),
            )
            .filter(|wait| *wait > 0)
        });
        let Some(wait) = wait.max() else { return Ok(()) };

        // Rounded up, since `Retry-After` has whole seconds.
        let seconds = wait
            .saturating_add(999)
            .checked_div(1_000)
            .and_then(|seconds| u32::try_from(seconds).ok());
        let detail = "Too many lookups of unknown codes; try again later.";
        Err(Problem::too_many_requests(seconds.unwrap_or(u32::MAX), detail))
    }

    /// Records a failed lookup of all subjects.
    pub(crate) fn record_failure(&self, subjects: &[ThrottleKey], now: Timestamp) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;

        for subject in subjects {
            let instant = young
                .get(subject)
                .or_else(|| old.get(subject))
                .copied()
                .unwrap_or(now)
                .max(now);
            young.insert(
                subject.clone(),
                instant.checked_add_signed(subject.failure_cost()).unwrap_or(instant),
            );

            if young.len() >= GENERATION_SIZE {
                *old = std::mem::take(young);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
    }

    #[test]
    fn ten_failures_are_free_and_a_subject_recovers() {
        let throttle = Throttle::default();
        let ada = [ThrottleKey::Customer(ShopId(1), "ada".to_owned())];
        for _ in 0..10 {
            assert!(throttle.admit(&ada, at(0)).is_ok());
            throttle.record_failure(&ada, at(0));
        }
        assert_eq!(throttle.admit(&ada, at(0)).unwrap_err().code(), "too_many_requests");
        assert!(throttle.admit(&ada, at(29)).is_err());
        assert!(throttle.admit(&ada, at(30)).is_ok());
        throttle.record_failure(&ada, at(30));
        assert!(throttle.admit(&ada, at(59)).is_err() && throttle.admit(&ada, at(60)).is_ok());
        let others = [
            ThrottleKey::Customer(ShopId(2), "ada".to_owned()),
            ThrottleKey::Address(ShopId(1), "ada".to_owned()),
        ];
        assert!(throttle.admit(&others, at(0)).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_an_active_subject_is_retained() {
        let throttle = Throttle::default();
        let ada = [ThrottleKey::Key("ada".to_owned())];
        for number in 0..3 * GENERATION_SIZE {
            if number % 1_000 == 0 {
                throttle.record_failure(&ada, at(0));
            }
            throttle.record_failure(&[ThrottleKey::Key(number.to_string())], at(0));
        }
        let generations = throttle.generations.lock().unwrap();
        assert!(generations[0].len() < GENERATION_SIZE && generations[1].len() <= GENERATION_SIZE);
        drop(generations);
        assert!(throttle.admit(&ada, at(0)).is_err());
    }
}
