//! Rate limit against guessing of codes: lookups of codes that do not exist are counted.
//!
//! A code that is used up, has ended or is somebody else's was not guessed, and is not
//! counted. So the shoppers of a sale do not slow each other down.
//!
//! Each lookup counts for its API key, and for the customer and the address that it names.
//! A customer or an address may fail ten times, then once in half a minute. A key may fail
//! some hundred times a minute: it serves many shoppers, and names of shoppers can be made
//! up.
//!
//! A limit is a token bucket stored as one instant. Each failure moves it one step into the
//! future. Lookups are rejected while it is too many steps ahead. As time passes the subject
//! recovers, without a job.
//!
//! Memory is bounded: there are two generations of subjects. When the younger one is
//! full, it replaces the older one, which is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use loyalty_core::{ShopId, Timestamp};
use loyalty_store::CustomerRef;

use crate::problem::Problem;

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

/// The shopper of a request: the customer, by id or e-mail, and the network address.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThrottleSubject {
    pub(crate) customer: Option<String>,
    pub(crate) address: Option<String>,
}

impl From<&CustomerRef> for ThrottleSubject {
    fn from(customer: &CustomerRef) -> Self {
        let id = customer.id().map(|id| id.as_str().to_owned());
        let email = || customer.email().map(|email| email.key().to_owned());
        Self { customer: id.or_else(email), address: None }
    }
}

/// How many lookups may fail in a row, and the time after which one more may fail.
#[derive(Clone, Copy, Debug)]
struct FailureLimit {
    burst: i32,
    interval: TimeDelta,
}

/// 300 failures in a row, and 300 a minute.
const KEY_LIMIT: FailureLimit = FailureLimit { burst: 300, interval: TimeDelta::milliseconds(200) };
/// Ten failures in a row, and two a minute.
const SHOPPER_LIMIT: FailureLimit = FailureLimit { burst: 10, interval: TimeDelta::seconds(30) };

impl ThrottleKey {
    fn limit(&self) -> FailureLimit {
        match self {
            Self::Key(_) => KEY_LIMIT,
            Self::Customer(..) | Self::Address(..) => SHOPPER_LIMIT,
        }
    }
}

impl FailureLimit {
    /// The time until a subject with this instant is admitted; zero or less for now.
    fn wait(self, instant: Timestamp, now: Timestamp) -> Option<TimeDelta> {
        let free = self.interval.checked_mul(self.burst.saturating_sub(1))?;
        instant.signed_duration_since(now).checked_sub(&free)
    }

    /// The instant after one more failure. Requests at the same time can fail beyond the
    /// limit; for that a subject waits at most as long as it takes to recover in full.
    fn after_failure(self, instant: Timestamp, now: Timestamp) -> Timestamp {
        let next = instant.max(now).checked_add_signed(self.interval);
        let latest = self
            .interval
            .checked_mul(self.burst.saturating_mul(2))
            .and_then(|most| now.checked_add_signed(most));
        match (next, latest) {
            (Some(next), Some(latest)) => next.min(latest),
            (next, latest) => next.or(latest).unwrap_or(instant),
        }
    }
}

/// The instants of all subjects with recent failures: the younger and the older
/// generation.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    generations: Mutex<[HashMap<ThrottleKey, Timestamp>; 2]>,
}

/// The limits on lookups for the subjects of one request.
#[derive(Clone, Debug)]
pub(crate) struct LookupLimiter {
    throttle: Arc<Throttle>,
    subjects: Vec<ThrottleKey>,
    now: Timestamp,
}

impl LookupLimiter {
    pub(crate) fn new(
        throttle: &Arc<Throttle>,
        subjects: Vec<ThrottleKey>,
        now: Timestamp,
    ) -> Self {
        Self { throttle: Arc::clone(throttle), subjects, now }
    }

    /// Admits a lookup, or fails with 429 and the seconds until every subject is admitted
    /// again.
    pub(crate) fn admit(&self) -> Result<(), Problem> {
        self.throttle.admit(&self.subjects, self.now)
    }

    /// Records lookups of codes that do not exist.
    pub(crate) fn record_failures(&self, count: usize) {
        for _ in 0..count {
            self.throttle.record_failure(&self.subjects, self.now);
        }
    }
}

impl Throttle {
    fn admit(&self, subjects: &[ThrottleKey], now: Timestamp) -> Result<(), Problem> {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = subjects.iter().filter_map(|subject| {
            let instant = generations.iter().find_map(|generation| generation.get(subject))?;
            let wait = subject.limit().wait(*instant, now)?;
            Some(wait.num_milliseconds()).filter(|wait| *wait > 0)
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

    fn record_failure(&self, subjects: &[ThrottleKey], now: Timestamp) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;

        for subject in subjects {
            let instant = young.get(subject).or_else(|| old.get(subject)).copied();
            let next = subject.limit().after_failure(instant.unwrap_or(now), now);
            young.insert(subject.clone(), next);

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
    fn a_key_may_fail_some_hundred_times_a_minute() {
        let throttle = Arc::new(Throttle::default());
        let limiter = |name: &str, seconds| {
            let subjects = vec![
                ThrottleKey::Key("key".to_owned()),
                ThrottleKey::Customer(ShopId(1), name.to_owned()),
            ];
            LookupLimiter::new(&throttle, subjects, at(seconds))
        };
        for number in 0..300 {
            let shopper = limiter(&number.to_string(), 0);
            assert!(shopper.admit().is_ok(), "{number}");
            shopper.record_failures(1);
        }
        assert!(limiter("another", 0).admit().is_err());
        assert!(limiter("another", 1).admit().is_ok());

        // However many fail at once, the key is admitted again within a minute.
        limiter("crowd", 1).record_failures(20_000);
        assert!(limiter("another", 60).admit().is_err());
        assert!(limiter("another", 62).admit().is_ok());
        assert!(limiter("crowd", 62).admit().is_err());
    }

    #[test]
    fn memory_is_bounded_and_an_active_subject_is_retained() {
        let throttle = Throttle::default();
        let ada = [ThrottleKey::Customer(ShopId(1), "ada".to_owned())];
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
