//! What has not reached its table yet, and how it gets there: in rounds, sorted lists of keys, written slice by
//! slice inside later commits. When a round is through, the checkpoint moves to where
//! the journal was when it began.
//!
//! A state is written as it is when its turn comes, also where it changed after the round began. The cache holds on to
//! it until then: what it has let go of is written already, though it may still wait. What the same commit changes is
//! shown after that, and waits anew.

use loyalty_core::account::AccountSegments;
use loyalty_core::{AccountId, OrderId, ShopId};
use rusqlite::Connection;

use super::committed::CommittedState;
use super::responses::{self, ResponseKey};
use super::{Set, account, discounts, rows};
use crate::error::Failure;
use crate::projections::ProjectionKey;
use crate::record::{PersistedSegments, Seq};

/// A journal row and an answer: up to where something is true.
pub(super) type CheckpointPosition = (Seq, i64);

/// States of one kind that have to reach their table.
#[derive(Debug)]
struct WriteQueue<T> {
    pending: Set<T>,
    /// What of the round is left. Sorted, neighbours share pages.
    round: std::vec::IntoIter<T>,
    /// Written in the transaction that is not committed yet.
    uncommitted: Vec<T>,
}

impl<T> Default for WriteQueue<T> {
    fn default() -> Self {
        Self {
            pending: Set::default(),
            round: Vec::new().into_iter(),
            uncommitted: Vec::new(),
        }
    }
}

impl<T: Ord> WriteQueue<T> {
    fn start_round(&mut self) {
        // Sorted once: kept in order all the while, each would cost several times as much.
        let mut items: Vec<T> = self.pending.drain().collect();
        items.sort_unstable();
        self.round = items.into_iter();
    }

    /// Writes its share of a slice: so much room for so many of all kinds. Where there is nothing to write (it was
    /// written since it began to wait) that takes no room.
    fn write_share(
        &mut self,
        (room, of): (usize, usize),
        mut put: impl FnMut(&T) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut share = room.saturating_mul(self.round.len()).div_ceil(of.max(1));
        while share > 0
            && let Some(item) = self.round.next()
        {
            if put(&item)? {
                self.uncommitted.push(item);
                share = share.saturating_sub(1);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(super) struct WriteBehind {
    /// How many states may wait, and how many rows may be added, before a round begins.
    threshold: usize,
    accounts: WriteQueue<AccountId>,
    /// Which chapters of the slice's accounts stand in the file once the slice is committed.
    persisted_segments: Vec<(PersistedSegments, AccountSegments)>,
    orders: WriteQueue<(ShopId, OrderId)>,
    projections: WriteQueue<(ShopId, ProjectionKey)>,
    /// First by the place in their table.
    responses: WriteQueue<(i64, ResponseKey)>,
    /// Whether a round is under way.
    round_active: bool,
    /// Where the latest round began.
    round_position: CheckpointPosition,
}

impl WriteBehind {
    pub(super) fn new(threshold: usize) -> Self {
        Self { threshold, ..Self::default() }
    }

    pub(super) fn enqueue_account(&mut self, id: AccountId) {
        self.accounts.pending.insert(id);
    }

    pub(super) fn enqueue_order(&mut self, key: &(ShopId, OrderId)) {
        self.orders.pending.insert(key.clone());
    }

    pub(super) fn enqueue_projection(&mut self, key: &(ShopId, ProjectionKey)) {
        self.projections.pending.insert(key.clone());
    }

    pub(super) fn enqueue_response(&mut self, key: ResponseKey, id: i64) {
        self.responses.pending.insert((responses::slot_of(id, &key), key));
    }

    fn pending_count(&self) -> usize {
        let Self { accounts, orders, projections: keyed, responses: answers, .. } = self;
        let folds = accounts.pending.len().saturating_add(orders.pending.len());
        folds
            .saturating_add(keyed.pending.len())
            .saturating_add(answers.pending.len())
    }

    /// How many states of the round are not written.
    fn remaining_count(&self) -> usize {
        let Self { accounts, orders, projections: keyed, responses: answers, .. } = self;
        let folds = accounts.round.len().saturating_add(orders.round.len());
        folds
            .saturating_add(keyed.round.len())
            .saturating_add(answers.round.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending_count() == 0 && !self.round_active
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// Whether a round should begin: so many states wait, or so many rows were added. One account alone
    /// can add many rows.
    pub(super) fn should_start_round(&self, (seq, _): CheckpointPosition) -> bool {
        let added = usize::try_from(seq.saturating_sub(self.round_position.0)).unwrap_or_default();
        self.pending_count().max(added) >= self.threshold
    }

    /// Whether a round is under way.
    pub(super) fn is_round_active(&self) -> bool {
        self.round_active
    }

    /// Begins a round with all that waits, unless one is under way. `at` is what is committed now.
    pub(super) fn start_round(&mut self, at: CheckpointPosition) {
        if self.round_active {
            return;
        }
        self.accounts.start_round();
        self.orders.start_round();
        self.projections.start_round();
        self.responses.start_round();
        (self.round_active, self.round_position) = (true, at);
    }

    /// Writes about `room` states of the round inside the open transaction, and moves the checkpoint when the
    /// round is through. Of each kind as large a part as of all: accounts are longer than keys, and no commit
    /// is to have accounts only.
    pub(super) fn write_slice(
        &mut self,
        db: &Connection,
        shared: &CommittedState,
        room: usize,
    ) -> Result<(), Failure> {
        if !self.round_active {
            return Ok(());
        }
        let part = (room, self.remaining_count());
        let (mut put, filed) = (account::AccountWriter::new(db)?, &mut self.persisted_segments);
        self.accounts.write_share(part, |id| {
            let Some(record) = shared.accounts.get_pinned(id) else {
                return Ok(false);
            };
            filed.push((record.persisted_segments.clone(), put.write(*id, &record)?));
            Ok(true)
        })?;
        let mut put = db.prepare_cached(rows::UPSERT_ORDER)?;
        self.orders.write_share(part, |key| {
            let Some(record) = shared.orders.get_pinned(key) else {
                return Ok(false);
            };
            rows::upsert_order(&mut put, key, &record)?;
            Ok(true)
        })?;
        let mut put = db.prepare_cached(discounts::UPSERT_PROJECTION)?;
        self.projections.write_share(part, |key| {
            let Some(record) = shared.projections.get_pinned(key) else {
                return Ok(false);
            };
            discounts::upsert_projection(&mut put, key, &record)?;
            Ok(true)
        })?;
        let mut put = db.prepare_cached(responses::INSERT_SLOT)?;
        self.responses.write_share(part, |(place, key)| {
            // Where the key was used again since, its newer answer waits under a place of its own.
            let Some((id, _)) = shared
                .responses
                .get_pinned(key)
                .filter(|(id, _)| responses::slot_of(*id, key) == *place)
            else {
                return Ok(false);
            };
            responses::insert_slot(&mut put, key, id)?;
            Ok(true)
        })?;
        if self.remaining_count() == 0 {
            self.round_active = false;
            rows::write_checkpoint(db, self.round_position)?;
        }
        Ok(())
    }

    /// The slice is committed, and nothing of the same commit is shown yet: memory may let go of it.
    pub(super) fn confirm_slice(&mut self, shared: &CommittedState) {
        self.persisted_segments
            .drain(..)
            .for_each(|(filed, chapters)| *filed.lock() = chapters);
        for id in self.accounts.uncommitted.drain(..) {
            shared.accounts.unpin(&id);
            shared.due_index.remove(id);
        }
        self.orders
            .uncommitted
            .drain(..)
            .for_each(|key| shared.orders.unpin(&key));
        self.projections
            .uncommitted
            .drain(..)
            .for_each(|key| shared.projections.unpin(&key));
        self.responses
            .uncommitted
            .drain(..)
            .for_each(|(_, key)| shared.responses.unpin(&key));
    }
}
