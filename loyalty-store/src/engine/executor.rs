//! Decides requests on the threads that call, one at a time and each on top of all before it, while
//! the writer commits the previous batch (group commit).
//!
//! What was decided is collected in the open batch. The writer takes it whole as soon as it is
//! free. A batch depends on the one in flight before it: its replies are sent after both commits,
//! and if that commit fails, nothing of the batch has happened and its callers get an error.
//!
//! What takes long to decide does not hold the others up: see
//! [`long_decisions`](super::long_decisions).
//!
//! While the store is failed, nothing is decided. Each new request has the writer try to recover
//! the store; the request is then decided, or fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use loyalty_core::ShopId;

use tokio::sync::oneshot;

use super::backend::Backend;
use super::batch::view::BatchView;
use super::batch::{Batch, BatchState, Sequences};
use super::committed::CommittedState;
use super::fair_queue::FairQueue;
use super::work_estimate::estimate_work;
use crate::error::Failure;
use crate::request::{Pending, Reply, Request};
use crate::transact::transact;

/// Attempts to lock the state, yielding after each, before the thread blocks on the mutex.
const SPIN_LIMIT: usize = 16;

/// A request with the sender of its reply.
pub(super) struct QueuedRequest {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Reply, Failure>>,
}

impl QueuedRequest {
    /// Replies with a failure.
    pub(super) fn fail(self, failure: Failure) {
        // The caller may have gone.
        let _ = self.reply.send(Err(failure));
    }
}

/// A request that waits for its turn to be decided apart.
pub(super) struct WaitingRequest {
    pub(super) request: QueuedRequest,
    /// False if it only waits for requests of its shop before it.
    pub(super) is_long: bool,
}

/// Decides requests and hands them to the writer in batches.
pub(crate) struct Executor<B: Backend> {
    pub(super) committed: Arc<CommittedState<B>>,
    /// The number of requests that may be queued.
    capacity: usize,
    /// The estimated work from which on a request is decided apart.
    long_work: usize,
    state: Mutex<ExecutorState>,
    /// Wakes the writer when there is work.
    writer_wakeup: Condvar,
    /// Wakes the thread that decides apart, when there is work or a batch was closed.
    pub(super) long_wakeup: Condvar,
}

pub(super) struct ExecutorState {
    pub(super) open_batch: Batch<BatchState>,
    /// The batch that is being committed.
    pub(super) in_flight: Option<Arc<BatchState>>,
    /// Requests that came while the store was failed.
    pub(super) deferred: Vec<QueuedRequest>,
    /// Requests that are decided apart, and those of the same shops that came after them.
    pub(super) waiting: FairQueue<WaitingRequest>,
    /// The shop of which a request is being decided apart. Nothing else of it is decided.
    pub(super) long_shop: Option<ShopId>,
    /// The number of times that decisions were discarded.
    pub(super) discarded: u64,
    writer_state: WriterState,
    /// Set when the store is dropped, so that no more requests can come.
    pub(super) closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WriterState {
    Working,
    Idle,
    Stopped,
}

/// The writer's next task.
pub(super) enum WriterTask {
    Commit(Box<Batch>),
    /// The store is failed, and these requests want it.
    Recover(Vec<QueuedRequest>),
    Idle,
    /// The store is closed, and nothing is left to do.
    Stop,
}

impl<B: Backend> Executor<B> {
    pub(crate) fn new(
        committed: Arc<CommittedState<B>>,
        capacity: usize,
        long_work: usize,
    ) -> Self {
        let state = ExecutorState {
            open_batch: Batch::following(Sequences::default()),
            in_flight: None,
            deferred: Vec::new(),
            waiting: FairQueue::default(),
            long_shop: None,
            discarded: 0,
            writer_state: WriterState::Working,
            closed: false,
        };
        Self {
            committed,
            capacity: capacity.max(1),
            long_work,
            state: Mutex::new(state),
            writer_wakeup: Condvar::new(),
            long_wakeup: Condvar::new(),
        }
    }

    /// Decides a request. Its reply is sent when everything that it depends on is committed.
    pub(crate) fn submit(&self, request: Request) -> Pending {
        let (shop, work) = (request.shop, self.estimate(&request));
        let state = self.lock_state();
        if state.writer_state == WriterState::Stopped {
            return Pending::ready(Err(writer_stopped()));
        }
        // No shop can fill the queue.
        let shop_capacity = self.capacity.div_ceil(4);
        if state.queue_length() >= self.capacity || state.waiting.len_of(shop) >= shop_capacity {
            return Pending::ready(Err(Failure::Busy));
        }

        let (reply, pending) = Pending::channel();
        self.route(state, QueuedRequest { request, reply }, work);
        pending
    }

    /// Decides a request that was deferred until the store recovered.
    pub(super) fn retry(&self, request: QueuedRequest) {
        let work = self.estimate(&request.request);
        self.route(self.lock_state(), request, work);
    }

    /// Estimates the work of a request, before the lock is taken.
    fn estimate(&self, request: &Request) -> Option<usize> {
        let shop = request.shop;
        let Ok(_available) = self.committed.ensure_available() else {
            return Some(0);
        };

        // What cannot be read now fails when the request is decided.
        let timeline = self.committed.timeline(shop).ok().flatten();
        let rules =
            timeline.map_or(0, |timeline| timeline.current_program().definition().earning.len());
        estimate_work(&request.action, rules, |id| {
            self.committed.order(&(shop, id.clone())).ok().flatten()
        })
    }

    /// Decides a request now, or has it wait: for its own decision apart, or behind requests of its
    /// shop that do.
    fn route(
        &self,
        mut state: MutexGuard<'_, ExecutorState>,
        request: QueuedRequest,
        work: Option<usize>,
    ) {
        let shop = request.request.shop;
        let is_long = work.is_some_and(|work| work >= self.long_work);
        let is_behind = state.long_shop == Some(shop) || state.waiting.len_of(shop) > 0;

        if is_long || is_behind {
            state.waiting.push(shop, WaitingRequest { request, is_long });
            self.long_wakeup.notify_one();
        } else {
            self.decide(state, request);
        }
    }

    pub(super) fn decide(
        &self,
        mut state: MutexGuard<'_, ExecutorState>,
        QueuedRequest { request, reply }: QueuedRequest,
    ) {
        // The guard is held to the end, so that memory is not discarded during a decision.
        if let Ok(_available) = self.committed.ensure_available() {
            let result = state.decide(&self.committed, request);

            // A reply that depends on nothing uncommitted needs no commit.
            if state.is_idle() {
                drop(state);
                let _ = reply.send(result);
                return;
            }
            state.open_batch.replies.push((reply, result));
        } else {
            state.deferred.push(QueuedRequest { request, reply });
        }
        self.wake_writer(&mut state);
    }

    pub(super) fn wake_writer(&self, state: &mut ExecutorState) {
        if state.writer_state == WriterState::Idle {
            state.writer_state = WriterState::Working;
            self.writer_wakeup.notify_one();
        }
    }

    // The writer's side.

    /// Waits up to `timeout` for work and returns it; [`WriterTask::Idle`] if there was none. The
    /// batch returned before must be committed and published.
    pub(super) fn next_task(&self, timeout: Duration) -> WriterTask {
        let mut state = self.lock_state();

        // What the batch in flight has changed is in the committed state now. It takes long to
        // drop, so that is done without the lock.
        let committed = state.in_flight.take();
        if committed.is_some() {
            drop(state);
            drop(committed);
            state = self.lock_state();
        }

        if state.has_no_task() {
            state.writer_state = WriterState::Idle;
            let woken = self.writer_wakeup.wait_timeout(state, timeout);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            state.writer_state = WriterState::Working;
        }

        if !state.deferred.is_empty() {
            return WriterTask::Recover(std::mem::take(&mut state.deferred));
        }
        if !state.open_batch.replies.is_empty() {
            let batch = state.replace_open_batch().into_shared();
            state.in_flight = Some(Arc::clone(&batch.state));
            if !state.waiting.is_empty() {
                self.long_wakeup.notify_one();
            }
            return WriterTask::Commit(Box::new(batch));
        }
        if state.closed && state.queue_length() == 0 { WriterTask::Stop } else { WriterTask::Idle }
    }

    /// Discards what was decided on top of a failed commit, and fails its requests. The batch in
    /// flight itself is the writer's. Continues after the committed numbers, if they are known.
    pub(crate) fn fail_batch(&self, failure: &Failure, last: Option<Sequences>) {
        let discarded = {
            let mut state = self.lock_state();
            state.in_flight = None;
            state.discarded = state.discarded.wrapping_add(1);
            let discarded = state.replace_open_batch();
            if let Some(last) = last {
                state.open_batch = Batch::following(last);
            }
            self.long_wakeup.notify_one();
            discarded
        };
        discarded.fail(&Failure::Unavailable(format!(
            "the store could not write, and nothing was changed: {failure}"
        )));
    }

    /// Continues from the committed state, whose last numbers these are.
    pub(super) fn reset(&self, last: Sequences) {
        let mut state = self.lock_state();
        state.discarded = state.discarded.wrapping_add(1);
        state.open_batch = Batch::following(last);
        self.long_wakeup.notify_one();
    }

    /// Returns the number of requests that wait for a decision or for their batch.
    pub(crate) fn waiting_requests(&self) -> u64 {
        u64::try_from(self.lock_state().queue_length()).unwrap_or(u64::MAX)
    }

    /// Has the writer stop once nothing is queued. No requests may come any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock_state();
        state.closed = true;
        self.long_wakeup.notify_one();
        self.wake_writer(&mut state);
    }

    /// Fails all queued requests and those to come, since the writer has ended.
    pub(super) fn shut_down(&self) {
        let (discarded, deferred, waiting) = {
            let mut state = self.lock_state();
            (state.writer_state, state.in_flight) = (WriterState::Stopped, None);
            state.discarded = state.discarded.wrapping_add(1);
            self.long_wakeup.notify_one();
            let deferred = std::mem::take(&mut state.deferred);
            (state.replace_open_batch(), deferred, state.waiting.drain())
        };
        discarded.fail(&writer_stopped());
        let waiting = waiting.map(|waiting| waiting.request);
        for request in deferred.into_iter().chain(waiting) {
            request.fail(writer_stopped());
        }
    }

    /// Locks the state. A decision takes less time than blocking and being woken, so it spins
    /// first. A poisoned lock is usable: a panic of a decision is caught before it changes anything.
    pub(super) fn lock_state(&self) -> MutexGuard<'_, ExecutorState> {
        for _ in 0..SPIN_LIMIT {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn writer_stopped() -> Failure {
    Failure::Unavailable("the writer has stopped".to_owned())
}

impl Batch<BatchState> {
    /// Fails all requests of the batch.
    fn fail(self, failure: &Failure) {
        for (reply, _) in self.replies {
            let _ = reply.send(Err(failure.clone()));
        }
    }
}

impl ExecutorState {
    /// Takes the open batch; the next one depends on it.
    fn replace_open_batch(&mut self) -> Batch<BatchState> {
        let next = Batch::following(self.open_batch.state.sequences);
        std::mem::replace(&mut self.open_batch, next)
    }

    fn queue_length(&self) -> usize {
        let apart = self
            .waiting
            .len()
            .saturating_add(usize::from(self.long_shop.is_some()));
        let decided = self.open_batch.replies.len();
        decided.saturating_add(self.deferred.len()).saturating_add(apart)
    }

    /// Returns `true` if the writer has nothing to do, and is to wait for more.
    fn has_no_task(&self) -> bool {
        let is_over = self.closed && self.queue_length() == 0;
        self.open_batch.replies.is_empty() && self.deferred.is_empty() && !is_over
    }

    /// Returns `true` if nothing more can come to be decided apart.
    pub(super) fn is_done(&self) -> bool {
        let is_stopped = self.writer_state == WriterState::Stopped;
        is_stopped || (self.closed && self.waiting.is_empty())
    }

    /// Returns `true` if nothing awaits a commit, so that all that was decided is committed.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_none()
            && self.open_batch.replies.is_empty()
            && self.open_batch.writes.is_empty()
    }

    fn decide<B: Backend>(
        &mut self,
        committed: &CommittedState<B>,
        request: Request,
    ) -> Result<Reply, Failure> {
        let (shop, now) = (request.shop, request.now);
        let Batch { state, writes, .. } = &mut self.open_batch;
        let mut view = BatchView {
            committed,
            batch: state,
            in_flight: self.in_flight.as_deref(),
            is_place_known: true,
        };

        let (changes, reply) = catch_panic(|| transact(&mut view, request))?;
        state.apply(writes, shop, changes.serialize()?);
        self.open_batch.now = now;
        Ok(reply)
    }
}

impl<B: Backend> std::fmt::Debug for Executor<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

/// Turns a panic, which would be a bug, into a failure of its own request. Nothing is changed before
/// the decision is complete.
pub(super) fn catch_panic<T>(decide: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| {
        tracing::error!("a decision panicked; none of its changes were made");
        Err(Failure::Corrupt("the request could not be decided".to_owned()))
    })
}
