//! States of one kind on their way to their table.

use super::cache::Cache;
use super::kind::{Kind, Upsert};
use super::map::Set;
use crate::error::Failure;

/// The states of one kind that are newer in memory than in their table. The cache pins each until
/// [`WriteQueue::confirm_slice`].
pub(super) struct WriteQueue<K: Kind> {
    /// Queued since the current round began, by slot and key.
    pending: Set<(i64, K::Key)>,
    /// The rest of the current round, sorted, since neighbours share pages.
    round: std::vec::IntoIter<(i64, K::Key)>,
    /// Written in the open transaction.
    uncommitted: Vec<K::Key>,
}

impl<K: Kind> Default for WriteQueue<K> {
    fn default() -> Self {
        Self {
            pending: Set::default(),
            round: Vec::new().into_iter(),
            uncommitted: Vec::new(),
        }
    }
}

impl<K: Kind> WriteQueue<K> {
    pub(super) fn enqueue(&mut self, key: &K::Key, value: &K::Value) {
        self.pending.insert((K::slot(key, value), key.clone()));
    }

    pub(super) fn pending_count(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn remaining_count(&self) -> usize {
        self.round.len()
    }

    /// The keys that are written in the open transaction.
    pub(super) fn uncommitted(&self) -> &[K::Key] {
        &self.uncommitted
    }

    /// Begins a round with all pending states.
    pub(super) fn start_round(&mut self) {
        // Sorting once costs several times less than an ordered set would.
        let mut round: Vec<_> = self.pending.drain().collect();
        round.sort_unstable();
        self.round = round.into_iter();
    }

    /// Writes this kind's share of a slice: of `budget` states of all kinds, as large a part as
    /// its part of the `remaining` ones. Obsolete entries take no budget.
    pub(super) fn write_share(
        &mut self,
        (budget, remaining): (usize, usize),
        cache: &Cache<K::Key, K::Value>,
        tables: &mut impl Upsert<K>,
    ) -> Result<(), Failure> {
        let share = budget.saturating_mul(self.round.len()).div_ceil(remaining.max(1));
        let mut slice = Vec::new();

        while slice.len() < share
            && let Some((slot, key)) = self.round.next()
        {
            // A state that is not pinned was written since it was queued. One of another slot is
            // queued under that one as well.
            let current = cache.get_pinned(&key);
            if let Some(value) = current.filter(|value| K::slot(&key, value) == slot) {
                slice.push((key, value));
            }
        }

        if !slice.is_empty() {
            tables.upsert(&slice)?;
            self.uncommitted.extend(slice.into_iter().map(|(key, _)| key));
        }
        Ok(())
    }

    /// Puts back the states of a slice whose transaction was rolled back.
    pub(super) fn return_slice(&mut self, cache: &Cache<K::Key, K::Value>) {
        let returned = self.uncommitted.drain(..);
        let slot = |key: K::Key| Some((K::slot(&key, &cache.get_pinned(&key)?), key));
        let mut round: Vec<_> = returned.filter_map(slot).collect();
        round.extend(std::mem::take(&mut self.round));
        self.round = round.into_iter();
    }

    /// Unpins what the committed transaction has written.
    pub(super) fn confirm_slice(&mut self, cache: &Cache<K::Key, K::Value>) {
        self.uncommitted.drain(..).for_each(|key| cache.unpin(&key));
    }
}
