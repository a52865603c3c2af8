//! Fills the filter from the tables, in the background after the start.

use std::time::Duration;

use super::backend::{Backend, TableScan};
use super::committed::CommittedState;
use super::kind::FilterKey;
use super::response_slot::key_bits_of_slot;
use crate::error::Failure;

/// The pause after a failed read.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// The number of rows in one read. Between reads the write-ahead log can restart.
const PAGE_SIZE: usize = 4_096;

/// Adds the keys of all tables, and again after a failure, until the filter is complete or the store
/// closes. Keys that are committed meanwhile are added by their commits.
pub(crate) fn load_filter<B: Backend>(committed: &CommittedState<B>) {
    let filter = &committed.filter;
    while !filter.is_stopped() {
        match add_all(committed) {
            Ok(true) => return filter.set_complete(),
            Ok(false) => return,
            // Only slower: until then every look-up asks the backend.
            Err(failure) => tracing::warn!(%failure, "loading the keys failed; retrying"),
        }
        std::thread::park_timeout(RETRY_DELAY);
    }
}

/// Returns `false` if the store closes before the end.
fn add_all<B: Backend>(committed: &CommittedState<B>) -> Result<bool, Failure> {
    Ok(add_table(committed, B::Reader::order_keys, |key| FilterKey::Order(key))?
        && add_table(committed, B::Reader::response_slots, |(slot, _)| {
            FilterKey::Response(key_bits_of_slot(*slot))
        })?
        && add_table(committed, B::Reader::projection_keys, |key| FilterKey::Projection(key))?
        && add_table(committed, B::Reader::code_keys, |key| FilterKey::Code(key))?)
}

/// Adds the keys of a table page by page. Returns `false` if the store closes before the end.
fn add_table<B: Backend, K>(
    committed: &CommittedState<B>,
    read_page: impl Fn(&B::Reader, Option<&K>, usize) -> Result<Vec<K>, Failure>,
    filter_key: impl Fn(&K) -> FilterKey<'_>,
) -> Result<bool, Failure> {
    let filter = &committed.filter;
    let mut last = None;
    while !filter.is_stopped() {
        // A failed store may be about to open another file.
        let _available = committed.ensure_available()?;
        let keys = committed.with_reader(|tables| read_page(tables, last.as_ref(), PAGE_SIZE))?;
        for key in &keys {
            filter.add(filter_key(key));
        }

        if keys.len() < PAGE_SIZE {
            return Ok(true);
        }
        last = keys.into_iter().next_back();
    }
    Ok(false)
}
