//! Due dates of accounts that are newer in memory than in their table, ordered by instant.
//!
//! The due date of an account that has reached its table is found by the table's index. After a
//! restart this index is filled again from the journal, as all states are. A change without a
//! journal row (of a birthday, or by a new program) is written at once.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use loyalty_core::{AccountId, Timestamp};

use super::map::Map;
use crate::query::DueAccount;
use crate::record::AccountRecord;

#[derive(Debug, Default)]
pub(super) struct DueIndex(Mutex<DueEntries>);

#[derive(Debug, Default)]
struct DueEntries {
    by_instant: BTreeSet<DueAccount>,
    by_account: Map<AccountId, DueAccount>,
}

impl DueIndex {
    fn lock(&self) -> MutexGuard<'_, DueEntries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the due date of an account that is newer than its table.
    pub(super) fn update(&self, account: AccountId, record: &AccountRecord) {
        let mut entries = self.lock();
        entries.remove(account);
        if let Some(at) = record.due {
            let due = DueAccount { at, account, shop: record.shop };
            entries.by_account.insert(account, due);
            entries.by_instant.insert(due);
        }
    }

    /// Forgets an account that has reached its table.
    pub(super) fn remove(&self, account: AccountId) {
        self.lock().remove(account);
    }

    pub(super) fn clear(&self) {
        *self.lock() = DueEntries::default();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().by_account.len()
    }

    /// Returns accounts that are due by `now`, earliest first, `after` one.
    pub(super) fn find_due(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Vec<DueAccount> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.lock();
        let due = entries.by_instant.range((from, Bound::Unbounded));
        due.take_while(|due| due.at <= now).take(limit).copied().collect()
    }
}

impl DueEntries {
    fn remove(&mut self, account: AccountId) {
        if let Some(due) = self.by_account.remove(&account) {
            self.by_instant.remove(&due);
        }
    }
}
