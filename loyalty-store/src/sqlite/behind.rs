//! What has not reached its table yet, and how it gets there: in rounds, each a sorted list of keys,
//! written slice by slice inside later commits. When a round is through, the checkpoint moves to where
//! the journal was when it began.

use std::collections::BTreeSet;

use loyalty_core::{AccountId, OrderId, ShopId};
use rusqlite::Connection;

use super::rows;
use super::shared::Shared;
use crate::error::Failure;
use crate::record::Seq;

/// A journal row and an answer: up to where something is true.
pub(super) type Position = (Seq, i64);

/// A state that has to reach its table. Sorted, neighbours share pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    Account(AccountId),
    Order((ShopId, OrderId)),
    Answer((ShopId, [u8; 16])),
}

#[derive(Debug, Default)]
pub(super) struct Behind {
    /// How many states may wait before a round begins.
    threshold: usize,
    waiting: BTreeSet<Item>,
    round: Option<Round>,
    /// Written in the transaction that is not committed yet, each with the position it was written at.
    slice: Vec<(Item, Seq)>,
}

#[derive(Debug)]
struct Round {
    items: std::vec::IntoIter<Item>,
    began_at: Position,
}

impl Behind {
    pub(super) fn new(threshold: usize) -> Self {
        Self { threshold, ..Self::default() }
    }

    pub(super) fn account(&mut self, id: AccountId) {
        self.waiting.insert(Item::Account(id));
    }

    pub(super) fn order(&mut self, key: &(ShopId, OrderId)) {
        self.waiting.insert(Item::Order(key.clone()));
    }

    pub(super) fn answer(&mut self, key: (ShopId, [u8; 16])) {
        self.waiting.insert(Item::Answer(key));
    }

    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.round.is_none()
    }

    pub(super) fn forget(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// Whether so much waits that a round should begin.
    pub(super) fn is_due(&self) -> bool {
        self.waiting.len() >= self.threshold
    }

    /// Begins a round with all that waits, unless one is under way. `at` is what is committed now.
    pub(super) fn begin(&mut self, at: Position) {
        if self.round.is_none() {
            let items: Vec<Item> = std::mem::take(&mut self.waiting).into_iter().collect();
            self.round = Some(Round { items: items.into_iter(), began_at: at });
        }
    }

    /// Writes up to `room` states of the round inside the open transaction. Answers the new checkpoint
    /// when the round is through.
    pub(super) fn write_slice(
        &mut self,
        db: &Connection,
        shared: &Shared,
        room: usize,
    ) -> Result<Option<Position>, Failure> {
        let Some(round) = &mut self.round else { return Ok(None) };
        for item in round.items.by_ref().take(room) {
            let seq = write(db, shared, &item)?;
            self.slice.push((item, seq));
        }
        if round.items.len() > 0 {
            return Ok(None);
        }
        let through = round.began_at;
        self.round = None;
        rows::put_checkpoint(db, through)?;
        Ok(Some(through))
    }

    /// The slice is committed: what has not changed since may leave memory.
    pub(super) fn committed(&mut self, shared: &Shared) {
        for (item, seq) in self.slice.drain(..) {
            match item {
                Item::Account(id) => shared.accounts.unpin(&id, |record| record.seq == seq),
                Item::Order(key) => shared.orders.unpin(&key, |record| record.seq == seq),
                Item::Answer(key) => shared.answers.unpin(&key, |(id, _)| *id == seq),
            }
        }
    }
}

/// Writes a state as it is committed now, and answers its position.
fn write(db: &Connection, shared: &Shared, item: &Item) -> Result<Seq, Failure> {
    let lost = || Failure::Corrupt("a state that waits for its table is not in memory".to_owned());
    match item {
        Item::Account(id) => {
            let record = shared.accounts.get(id).ok_or_else(lost)?;
            rows::put_account(db, *id, &record)?;
            Ok(record.seq)
        }
        Item::Order(key) => {
            let record = shared.orders.get(key).ok_or_else(lost)?;
            rows::put_order(db, key.0, &key.1, &record)?;
            Ok(record.seq)
        }
        Item::Answer(key) => {
            let (id, _) = shared.answers.get(key).ok_or_else(lost)?;
            rows::put_answer_key(db, key.0, &key.1, id)?;
            Ok(id)
        }
    }
}
