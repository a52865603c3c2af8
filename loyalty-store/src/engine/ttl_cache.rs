//! A cache of records that another process may change: each is served for two seconds, and then
//! read again.

use std::hash::Hash;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::map::Map;
use crate::error::Failure;

/// How long a record is served from memory.
const TIME_TO_LIVE: Duration = Duration::from_secs(2);

/// Records that exist, so their number is bounded by that of the rows.
pub(crate) struct TtlCache<K, V>(RwLock<Map<K, (Instant, V)>>);

impl<K, V> Default for TtlCache<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> TtlCache<K, V> {
    /// Returns a record that was read within the last two seconds.
    pub(crate) fn get_or_load<Q>(
        &self,
        key: &Q,
        load: impl FnOnce() -> Result<Option<V>, Failure>,
    ) -> Result<Option<V>, Failure>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let now = Instant::now();
        let records = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let cached = records.get(key).cloned();
        drop(records);
        if let Some((read_at, record)) = cached
            && now.duration_since(read_at) < TIME_TO_LIVE
        {
            return Ok(Some(record));
        }

        let record = load()?;
        let mut records = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match &record {
            Some(record) => records.insert(key.to_owned(), (now, record.clone())),
            None => records.remove(key),
        };
        Ok(record)
    }

    /// Has all records read again.
    pub(crate) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
