//! Write-behind: how states reach their tables after the commits that made them.
//!
//! States are queued until there are enough of them. Then a round begins: all queued states,
//! sorted, are written slice by slice in the transactions of later commits. When the round is
//! complete, the checkpoint moves to the position at which it began.
//!
//! - A state is written as it is when its turn comes, even if it changed after the round began.
//! - The cache pins a state while the state is newer than its table. What the cache does not have
//!   is therefore current in its table.
//! - A slice is confirmed before the changes of the same commit are published: those are newer
//!   than the slice, and are queued again.

use super::backend::{Backend, CheckpointPosition, WriteTransaction};
use super::committed::CommittedState;
use super::states::{StateChanges, StateQueues};
use crate::error::Failure;

/// The queue of all states that are newer than their tables.
pub(super) struct WriteBehind {
    /// The number of queued states, or of added journal rows, that starts a round.
    threshold: usize,
    queues: StateQueues,
    round_active: bool,
    /// The position at which the latest round began.
    round_position: CheckpointPosition,
}

impl WriteBehind {
    pub(super) fn new(threshold: usize) -> Self {
        Self {
            threshold,
            queues: StateQueues::default(),
            round_active: false,
            round_position: CheckpointPosition::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.pending_count() == 0 && !self.round_active
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.threshold);
    }

    /// Makes committed states visible and queues them.
    pub(super) fn publish<B: Backend>(
        &mut self,
        changes: &StateChanges,
        committed: &CommittedState<B>,
    ) {
        committed.pending.update(changes);
        self.queues.publish(changes, &committed.states, &committed.filter);
    }

    /// Returns `true` if enough states are queued, or enough rows were added since the last round
    /// began. One account alone can add many rows.
    pub(super) fn should_start_round(&self, position: CheckpointPosition) -> bool {
        let added = position.seq.saturating_sub(self.round_position.seq);
        let added = usize::try_from(added).unwrap_or_default();
        self.queues.pending_count().max(added) >= self.threshold
    }

    /// The number of states that are queued or belong to the active round.
    pub(super) fn len(&self) -> usize {
        self.queues
            .pending_count()
            .saturating_add(self.queues.remaining_count())
    }

    /// Begins a round with all queued states, unless one is active. `position` is the last
    /// committed one.
    pub(super) fn start_round(&mut self, position: CheckpointPosition) {
        if !self.round_active {
            self.queues.start_round();
            (self.round_active, self.round_position) = (true, position);
        }
    }

    /// Writes about `budget` states of the active round, and the checkpoint if they were the last.
    pub(super) fn write_slice<B: Backend>(
        &mut self,
        transaction: &mut impl WriteTransaction,
        committed: &CommittedState<B>,
        budget: usize,
    ) -> Result<(), Failure> {
        if !self.round_active {
            return Ok(());
        }
        self.queues.write_slice(budget, &committed.states, transaction)?;
        if self.queues.remaining_count() == 0 {
            self.round_active = false;
            transaction.write_checkpoint(self.round_position)?;
        }
        Ok(())
    }

    /// Puts back the states of a slice whose transaction was rolled back.
    pub(super) fn return_slice<B: Backend>(&mut self, committed: &CommittedState<B>) {
        self.queues.return_slice(&committed.states);
        self.round_active |= self.queues.remaining_count() > 0;
    }

    /// Unpins the states of the committed slice. To be called before the changes of the same commit
    /// are published.
    pub(super) fn confirm_slice<B: Backend>(&mut self, committed: &CommittedState<B>) {
        committed.pending.remove(
            self.queues.accounts.uncommitted(),
            self.queues.orders.uncommitted(),
            self.queues.projections.uncommitted(),
            self.queues.days.uncommitted(),
        );
        self.queues.confirm_slice(&committed.states);
    }
}
