//! When keys were last used, noted in memory and written behind: at most once a minute a key, so
//! that no request waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use loyalty_core::Timestamp;

use crate::error::Failure;
use crate::shop::ApiKeyRecord;

/// The least time between two notes of a key.
const STEP: TimeDelta = TimeDelta::minutes(1);

/// Uses that are not written yet, by the id of the key. Only keys that exist are noted.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<HashMap<String, Timestamp>>);

impl KeyUses {
    /// Notes a use, unless one of the same minute is known.
    pub(crate) fn note(&self, key: &ApiKeyRecord, now: Timestamp) {
        let since = key.last_used_at.map(|last| now.signed_duration_since(last));
        if since.is_some_and(|since| since < STEP) {
            return;
        }
        let mut uses = self.lock();
        if !uses.contains_key(key.id()) {
            uses.insert(key.id().to_owned(), now);
        }
    }

    /// Writes the uses. They are kept if that fails.
    pub(crate) fn write(
        &self,
        write: impl FnOnce(&HashMap<String, Timestamp>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let uses = std::mem::take(&mut *self.lock());
        if uses.is_empty() {
            return Ok(());
        }
        let written = write(&uses);
        if written.is_err() {
            self.lock().extend(uses);
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
