//! What has not reached its table yet, and how it gets there: in rounds, each a sorted list of keys,
//! written slice by slice inside later commits. When a round is through, the checkpoint moves to where
//! the journal was when it began.
//!
//! A state is written as it is when its turn comes. So it waits no longer, also where it changed after
//! the round began; what the same commit changes waits anew.

use loyalty_core::{AccountId, OrderId, ShopId};
use rusqlite::{CachedStatement, Connection};

use super::answers::{self, AnswerKey};
use super::shared::Shared;
use super::{Set, discount, rows};
use crate::error::Failure;
use crate::keyed::Key;
use crate::record::Seq;

/// A journal row and an answer: up to where something is true.
pub(super) type Position = (Seq, i64);

/// A state that has to reach its table. Sorted, neighbours share pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Item {
    Account(AccountId),
    Order((ShopId, OrderId)),
    Keyed((ShopId, Key)),
    /// First by the place in its table.
    Answer(i64, AnswerKey),
}

#[derive(Debug, Default)]
pub(super) struct Behind {
    /// How many states may wait, and how many rows may be added, before a round begins.
    threshold: usize,
    waiting: Set<Item>,
    round: Option<std::vec::IntoIter<Item>>,
    /// Where the latest round began.
    began_at: Position,
    /// Written in the transaction that is not committed yet, each with the position it was written at.
    slice: Vec<(Item, Seq)>,
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

    pub(super) fn keyed(&mut self, key: &(ShopId, Key)) {
        self.waiting.insert(Item::Keyed(key.clone()));
    }

    pub(super) fn answer(&mut self, key: AnswerKey, id: i64) {
        self.waiting.insert(Item::Answer(answers::slot(id, &key), key));
    }

    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.round.is_none()
    }

    pub(super) fn forget(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// Whether a round should begin: so many states wait, or so many rows were added. One account alone
    /// can add many rows.
    pub(super) fn is_due(&self, (seq, _): Position) -> bool {
        let added = usize::try_from(seq.saturating_sub(self.began_at.0)).unwrap_or_default();
        self.waiting.len().max(added) >= self.threshold
    }

    /// Whether a round is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.round.is_some()
    }

    /// Begins a round with all that waits, unless one is under way. `at` is what is committed now.
    pub(super) fn begin(&mut self, at: Position) {
        if self.round.is_none() {
            // Sorted once: kept in order all the while, each would cost several times as much.
            let mut items: Vec<Item> = self.waiting.drain().collect();
            items.sort_unstable();
            (self.round, self.began_at) = (Some(items.into_iter()), at);
        }
    }

    /// Writes up to `room` states of the round inside the open transaction, and moves the checkpoint
    /// when the round is through.
    pub(super) fn write_slice(&mut self, db: &Connection, shared: &Shared, room: usize) -> Result<(), Failure> {
        let Some(round) = &mut self.round else { return Ok(()) };
        let mut tables = Tables::of(db)?;
        for item in round.by_ref().take(room) {
            let seq = tables.write(shared, &item)?;
            self.waiting.remove(&item);
            self.slice.push((item, seq));
        }
        if round.len() == 0 {
            self.round = None;
            rows::put_checkpoint(db, self.began_at)?;
        }
        Ok(())
    }

    /// The slice is committed: what has not changed since may leave memory.
    pub(super) fn committed(&mut self, shared: &Shared) {
        for (item, seq) in self.slice.drain(..) {
            match item {
                Item::Account(id) => {
                    if shared.accounts.unpin(&id, |record| record.seq == seq) {
                        shared.due.remove(id);
                    }
                }
                Item::Order(key) => drop(shared.orders.unpin(&key, |record| record.seq == seq)),
                Item::Answer(_, key) => drop(shared.answers.unpin(&key, |(id, _)| *id == seq)),
                Item::Keyed(key) => drop(shared.keyed.unpin(&key, |record| record.seq == seq)),
            }
        }
    }
}

/// Where states are written.
struct Tables<'db> {
    account: CachedStatement<'db>,
    order: CachedStatement<'db>,
    keyed: CachedStatement<'db>,
    answer_key: CachedStatement<'db>,
}

impl<'db> Tables<'db> {
    fn of(db: &'db Connection) -> Result<Self, Failure> {
        Ok(Self {
            account: db.prepare_cached(rows::PUT_ACCOUNT)?,
            order: db.prepare_cached(rows::PUT_ORDER)?,
            keyed: db.prepare_cached(discount::PUT_KEYED)?,
            answer_key: db.prepare_cached(answers::PUT_KEY)?,
        })
    }

    /// Writes a state as it is committed now, and answers its position.
    fn write(&mut self, shared: &Shared, item: &Item) -> Result<Seq, Failure> {
        let lost = || Failure::Corrupt("a state that waits for its table is not in memory".to_owned());
        match item {
            Item::Account(id) => {
                let record = shared.accounts.get(id).ok_or_else(lost)?;
                rows::put_account(&mut self.account, *id, &record)?;
                Ok(record.seq)
            }
            Item::Order(key) => {
                let record = shared.orders.get(key).ok_or_else(lost)?;
                rows::put_order(&mut self.order, key, &record)?;
                Ok(record.seq)
            }
            Item::Keyed(key) => {
                let record = shared.keyed.get(key).ok_or_else(lost)?;
                discount::put_keyed(&mut self.keyed, key, &record)?;
                Ok(record.seq)
            }
            Item::Answer(_, key) => {
                let (id, _) = shared.answers.get(key).ok_or_else(lost)?;
                answers::put_key(&mut self.answer_key, key, id)?;
                Ok(id)
            }
        }
    }
}
