//! Requests that take long, decided by a thread of their own and without the executor's lock, so
//! that other shops' requests are decided meanwhile.
//!
//! - No request concerns two shops. While one is decided apart, nothing else of its shop is
//!   decided, so nothing that it reads can change. It begins when the open batch, which can still
//!   change, has nothing of the shop, and reads the batch in flight over the committed state.
//! - Other shops append to the journal meanwhile. When the decision is complete, its rows are moved
//!   behind theirs, and it joins the open batch under the lock.
//! - What contains its own place in the journal is decided under the lock: new rules, codes and
//!   redemptions, and responses that name an entry of the ledger. An order that gives a reward
//!   shows that only when it is decided: then it is decided once more, under the lock.
//! - Shops take turns ([`FairQueue`](super::fair_queue::FairQueue)).
//! - If a commit fails meanwhile, the decision may rest on what did not happen. It is discarded.

use std::sync::{Arc, PoisonError};

use loyalty_core::ShopId;

use super::backend::Backend;
use super::batch::view::BatchView;
use super::batch::{BatchState, Sequences, SerializedChanges};
use super::executor::{Executor, ExecutorState, QueuedRequest, WaitingRequest, catch_panic};
use crate::error::Failure;
use crate::record::Seq;
use crate::request::{Action, Receipt, Reply, Request};
use crate::transact::try_transact;

/// A request whose decision apart begins, and what it rests on.
struct LongDecision {
    request: QueuedRequest,
    /// The last numbers in use. Of accounts the next one is reserved.
    base: Sequences,
    in_flight: Option<Arc<BatchState>>,
    discarded: u64,
}

impl<B: Backend> Executor<B> {
    /// Decides the requests that wait, until the store is closed.
    pub(crate) fn run_long_decisions(&self) {
        while let Some(decision) = self.next_decision() {
            self.decide_long(decision);
        }
    }

    /// Waits for the next request that is to be decided apart. Those that only waited behind such
    /// ones are decided on the way, under the lock.
    fn next_decision(&self) -> Option<LongDecision> {
        let mut state = self.lock_state();
        loop {
            if state.is_done() {
                self.wake_writer(&mut state);
                return None;
            }

            let ExecutorState { open_batch, waiting, .. } = &mut *state;
            let next = waiting
                .pop_ready(|shop, next| !next.is_long || !open_batch.state.contains_shop(shop));
            state = match next {
                Some(WaitingRequest { request, is_long: true }) => {
                    return Some(state.begin_long(request));
                }
                Some(WaitingRequest { request, is_long: false }) => {
                    self.decide(state, request);
                    self.lock_state()
                }
                None => self.long_wakeup.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn decide_long(&self, decision: LongDecision) {
        let LongDecision { request, base, in_flight, discarded } = decision;

        // As for a read: memory is not discarded meanwhile. The guard is dropped before the lock is
        // taken, since other threads take it while they hold the lock.
        let Ok(available) = self.committed.ensure_available() else {
            let mut state = self.lock_state();
            state.long_shop = None;
            state.deferred.push(request);
            return self.wake_writer(&mut state);
        };
        let QueuedRequest { request, reply } = request;
        let (shop, now) = (request.shop, request.now);
        let result = self.transact_long(request, base, in_flight.as_deref());
        drop(available);

        let mut state = self.lock_state();
        state.long_shop = None;
        let result = match result {
            Ok(Ok(decided)) => Ok(decided),
            Ok(Err(request)) => {
                state.return_account(base);
                return self.decide(state, QueuedRequest { request, reply });
            }
            Err(failure) => Err(failure),
        };
        let result = result.and_then(|(changes, answer)| {
            if state.discarded == discarded {
                Ok(state.join(shop, base, changes, answer))
            } else {
                let text = "a commit failed during the decision, and nothing was changed";
                Err(Failure::Unavailable(text.to_owned()))
            }
        });

        if state.is_idle() {
            self.wake_writer(&mut state);
            drop(state);
            let _ = reply.send(result);
            return;
        }
        state.open_batch.now = now;
        state.open_batch.replies.push((reply, result));
        self.wake_writer(&mut state);
    }

    fn transact_long(
        &self,
        request: Request,
        base: Sequences,
        in_flight: Option<&BatchState>,
    ) -> Result<Result<(SerializedChanges, Reply), Request>, Failure> {
        let batch = BatchState::new(base);
        let mut view = BatchView {
            committed: &*self.committed,
            batch: &batch,
            in_flight,
            is_place_known: false,
        };
        match catch_panic(|| try_transact(&mut view, request))? {
            Ok((changes, reply)) => Ok(Ok((changes.serialize()?, reply))),
            Err(request) => Ok(Err(request)),
        }
    }
}

impl ExecutorState {
    fn begin_long(&mut self, request: QueuedRequest) -> LongDecision {
        self.long_shop = Some(request.request.shop);
        let base = self.open_batch.state.sequences;

        // The decision may add one account.
        if matches!(request.request.action, Action::Order { .. }) {
            let reserved = base.account.saturating_add(1);
            self.open_batch.state.sequences.account = reserved;
        }

        let in_flight = self.in_flight.as_ref().map(Arc::clone);
        LongDecision { request, base, in_flight, discarded: self.discarded }
    }

    /// Gives the account's number that was reserved to the next account, unless there is one by
    /// now.
    fn return_account(&mut self, base: Sequences) {
        let sequences = &mut self.open_batch.state.sequences;
        if sequences.account == base.account.saturating_add(1) {
            sequences.account = base.account;
        }
    }

    /// Adds a decision that was made apart, behind all that was decided meanwhile.
    fn join(
        &mut self,
        shop: ShopId,
        base: Sequences,
        mut changes: SerializedChanges,
        mut reply: Reply,
    ) -> Reply {
        if !changes.adds_customer() {
            self.return_account(base);
        }

        let sequences = &mut self.open_batch.state.sequences;
        let places = sequences.seq.saturating_sub(base.seq);
        if places > 0 {
            changes.move_rows(base.seq, places);
            if let Reply::Decided(Ok(receipt)) = &mut reply {
                move_receipt(receipt, base.seq, places);
            }
        }

        if !changes.is_empty() {
            let super::batch::Batch { state, writes, .. } = &mut self.open_batch;
            state.apply(writes, shop, changes);
        }
        reply
    }
}

/// Moves what a receipt tells of the request's rows.
fn move_receipt(receipt: &mut Receipt, base: Seq, places: Seq) {
    let moved = |seq: &mut Seq| {
        if *seq > base {
            *seq = seq.saturating_add(places);
        }
    };
    receipt.seq.as_mut().map(moved);
    if let Some(customer) = &mut receipt.customer {
        customer.change_seq(moved);
    }
    if let Some(order) = &mut receipt.order {
        let order = Arc::make_mut(order);
        moved(&mut order.seq);
        order.snapshot.as_mut().map(moved);
    }
}
