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

use super::answers::{self, AnswerKey};
use super::shared::Shared;
use super::{Set, account, discount, rows};
use crate::error::Failure;
use crate::projections::ProjectionKey;
use crate::record::{PersistedSegments, Seq};

/// A journal row and an answer: up to where something is true.
pub(super) type Position = (Seq, i64);

/// States of one kind that have to reach their table.
#[derive(Debug)]
struct Queue<T> {
    waiting: Set<T>,
    /// What of the round is left. Sorted, neighbours share pages.
    round: std::vec::IntoIter<T>,
    /// Written in the transaction that is not committed yet.
    slice: Vec<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            waiting: Set::default(),
            round: Vec::new().into_iter(),
            slice: Vec::new(),
        }
    }
}

impl<T: Ord> Queue<T> {
    fn begin(&mut self) {
        // Sorted once: kept in order all the while, each would cost several times as much.
        let mut items: Vec<T> = self.waiting.drain().collect();
        items.sort_unstable();
        self.round = items.into_iter();
    }

    /// Writes its share of a slice: so much room for so many of all kinds. Where there is nothing to write (it was
    /// written since it began to wait) that takes no room.
    fn write(
        &mut self,
        (room, of): (usize, usize),
        mut put: impl FnMut(&T) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut share = room.saturating_mul(self.round.len()).div_ceil(of.max(1));
        while share > 0
            && let Some(item) = self.round.next()
        {
            if put(&item)? {
                self.slice.push(item);
                share = share.saturating_sub(1);
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(super) struct Behind {
    /// How many states may wait, and how many rows may be added, before a round begins.
    threshold: usize,
    accounts: Queue<AccountId>,
    /// Which chapters of the slice's accounts stand in the file once the slice is committed.
    filed: Vec<(PersistedSegments, AccountSegments)>,
    orders: Queue<(ShopId, OrderId)>,
    keyed: Queue<(ShopId, ProjectionKey)>,
    /// First by the place in their table.
    answers: Queue<(i64, AnswerKey)>,
    /// Whether a round is under way.
    is_writing: bool,
    /// Where the latest round began.
    began_at: Position,
}

impl Behind {
    pub(super) fn new(threshold: usize) -> Self {
        Self { threshold, ..Self::default() }
    }

    pub(super) fn account(&mut self, id: AccountId) {
        self.accounts.waiting.insert(id);
    }

    pub(super) fn order(&mut self, key: &(ShopId, OrderId)) {
        self.orders.waiting.insert(key.clone());
    }

    pub(super) fn keyed(&mut self, key: &(ShopId, ProjectionKey)) {
        self.keyed.waiting.insert(key.clone());
    }

    pub(super) fn answer(&mut self, key: AnswerKey, id: i64) {
        self.answers.waiting.insert((answers::slot(id, &key), key));
    }

    fn waiting(&self) -> usize {
        let Self { accounts, orders, keyed, answers, .. } = self;
        let folds = accounts.waiting.len().saturating_add(orders.waiting.len());
        folds
            .saturating_add(keyed.waiting.len())
            .saturating_add(answers.waiting.len())
    }

    /// How many states of the round are not written.
    fn left(&self) -> usize {
        let Self { accounts, orders, keyed, answers, .. } = self;
        let folds = accounts.round.len().saturating_add(orders.round.len());
        folds
            .saturating_add(keyed.round.len())
            .saturating_add(answers.round.len())
    }

    pub(super) fn is_done(&self) -> bool {
        self.waiting() == 0 && !self.is_writing
    }

    pub(super) fn forget(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// Whether a round should begin: so many states wait, or so many rows were added. One account alone
    /// can add many rows.
    pub(super) fn is_due(&self, (seq, _): Position) -> bool {
        let added = usize::try_from(seq.saturating_sub(self.began_at.0)).unwrap_or_default();
        self.waiting().max(added) >= self.threshold
    }

    /// Whether a round is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.is_writing
    }

    /// Begins a round with all that waits, unless one is under way. `at` is what is committed now.
    pub(super) fn begin(&mut self, at: Position) {
        if self.is_writing {
            return;
        }
        self.accounts.begin();
        self.orders.begin();
        self.keyed.begin();
        self.answers.begin();
        (self.is_writing, self.began_at) = (true, at);
    }

    /// Writes about `room` states of the round inside the open transaction, and moves the checkpoint when the
    /// round is through. Of each kind as large a part as of all: accounts are longer than keys, and no commit
    /// is to have accounts only.
    pub(super) fn write_slice(
        &mut self,
        db: &Connection,
        shared: &Shared,
        room: usize,
    ) -> Result<(), Failure> {
        if !self.is_writing {
            return Ok(());
        }
        let part = (room, self.left());
        let (mut put, filed) = (account::Put::new(db)?, &mut self.filed);
        self.accounts.write(part, |id| {
            let Some(record) = shared.accounts.pinned(id) else {
                return Ok(false);
            };
            filed.push((record.persisted_segments.clone(), put.put(*id, &record)?));
            Ok(true)
        })?;
        let mut put = db.prepare_cached(rows::PUT_ORDER)?;
        self.orders.write(part, |key| {
            let Some(record) = shared.orders.pinned(key) else {
                return Ok(false);
            };
            rows::put_order(&mut put, key, &record)?;
            Ok(true)
        })?;
        let mut put = db.prepare_cached(discount::PUT_KEYED)?;
        self.keyed.write(part, |key| {
            let Some(record) = shared.keyed.pinned(key) else { return Ok(false) };
            discount::put_keyed(&mut put, key, &record)?;
            Ok(true)
        })?;
        let mut put = db.prepare_cached(answers::PUT_KEY)?;
        self.answers.write(part, |(place, key)| {
            // Where the key was used again since, its newer answer waits under a place of its own.
            let Some((id, _)) = shared
                .answers
                .pinned(key)
                .filter(|(id, _)| answers::slot(*id, key) == *place)
            else {
                return Ok(false);
            };
            answers::put_key(&mut put, key, id)?;
            Ok(true)
        })?;
        if self.left() == 0 {
            self.is_writing = false;
            rows::put_checkpoint(db, self.began_at)?;
        }
        Ok(())
    }

    /// The slice is committed, and nothing of the same commit is shown yet: memory may let go of it.
    pub(super) fn committed(&mut self, shared: &Shared) {
        self.filed
            .drain(..)
            .for_each(|(filed, chapters)| *filed.lock() = chapters);
        for id in self.accounts.slice.drain(..) {
            shared.accounts.unpin(&id);
            shared.due.remove(id);
        }
        self.orders.slice.drain(..).for_each(|key| shared.orders.unpin(&key));
        self.keyed.slice.drain(..).for_each(|key| shared.keyed.unpin(&key));
        self.answers
            .slice
            .drain(..)
            .for_each(|(_, key)| shared.answers.unpin(&key));
    }
}
