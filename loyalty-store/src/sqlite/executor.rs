//! Where requests are decided: by whoever asks, one after the other, each on top of all before it, while the writer
//! commits the batch before.
//!
//! What is decided waits in the open batch, which the writer takes whole as soon as it is free. What is decided
//! while a commit is under way rests on it: its answers go out after both, and where that commit fails all of it is
//! void: nothing of it has happened, and whoever waits is told so.
//!
//! An ill store decides nothing. The writer looks at its file for each request that comes, and the request is
//! decided when the store is well again, or refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::batch::{Batch, BatchState, BatchView, Sequences};
use super::committed::CommittedState;
use crate::error::Failure;
use crate::request::{Pending, Reply, Request};
use crate::transact::{ChangeSet, transact};

/// How often who finds another one deciding lets others go first, before waiting to be woken.
const SPIN_LIMIT: usize = 16;

/// A request with the place where its reply is awaited.
pub(super) struct QueuedRequest {
    request: Request,
    reply: oneshot::Sender<Result<Reply, Failure>>,
}

impl QueuedRequest {
    /// Whoever no longer waits needs no answer.
    pub(super) fn fail(self, failure: Failure) {
        let _ = self.reply.send(Err(failure));
    }
}

pub(super) struct Executor {
    committed: Arc<CommittedState>,
    /// How many requests may wait.
    capacity: usize,
    state: Mutex<ExecutorState>,
    /// Tells the writer that there is something to do.
    writer_wakeup: Condvar,
}

struct ExecutorState {
    open_batch: Batch<BatchState>,
    /// The batch that the writer has.
    in_flight: Option<Arc<BatchState>>,
    /// What came while the store was ill.
    deferred: Vec<QueuedRequest>,
    writer_state: WriterState,
    /// Whether nobody can ask any more.
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WriterState {
    Working,
    Idle,
    Stopped,
}

/// What the writer does next.
pub(super) enum WriterTask {
    Commit(Box<Batch>),
    /// The store is ill, and somebody asks.
    Recover(Vec<QueuedRequest>),
    Idle,
    /// And nobody can ask any more.
    Stop,
}

impl Executor {
    pub(super) fn new(committed: Arc<CommittedState>, room: usize) -> Self {
        let open = Batch::following(Sequences::default());
        let (undecided, writer) = (Vec::new(), WriterState::Working);
        let state = Mutex::new(ExecutorState {
            open_batch: open,
            in_flight: None,
            deferred: undecided,
            writer_state: writer,
            closed: false,
        });
        Self {
            committed,
            capacity: room.max(1),
            state,
            writer_wakeup: Condvar::new(),
        }
    }

    /// Decides a request. Its reply comes when all that it rests on is committed.
    pub(super) fn submit(&self, request: Request) -> Pending {
        let state = self.lock_state();
        if state.writer_state == WriterState::Stopped {
            return Pending::ready(Err(writer_stopped()));
        }
        if state.queue_length() >= self.capacity {
            return Pending::ready(Err(Failure::Busy));
        }
        let (reply, pending) = Pending::channel();
        self.decide(state, QueuedRequest { request, reply });
        pending
    }

    /// Decides a request that has waited for the store to be well.
    pub(super) fn retry(&self, job: QueuedRequest) {
        self.decide(self.lock_state(), job);
    }

    fn decide(
        &self,
        mut state: MutexGuard<'_, ExecutorState>,
        QueuedRequest { request, reply }: QueuedRequest,
    ) {
        // Held to the end: memory is not thrown away in the middle of a decision.
        if let Ok(_well) = self.committed.ensure_available() {
            let answer = state.decide(&self.committed, request);
            if state.is_idle() {
                drop(state);
                let _ = reply.send(answer);
                return;
            }
            state.open_batch.replies.push((reply, answer));
        } else {
            state.deferred.push(QueuedRequest { request, reply });
        }
        self.wake_writer(&mut state);
    }

    fn wake_writer(&self, state: &mut ExecutorState) {
        if state.writer_state == WriterState::Idle {
            state.writer_state = WriterState::Working;
            self.writer_wakeup.notify_one();
        }
    }

    // The writer's side.

    /// What is to be done now; nothing, where for so long nobody asked for anything. What was flying is committed,
    /// and shown.
    pub(super) fn next_task(&self, patience: Duration) -> WriterTask {
        let mut state = self.lock_state();
        let landed = state.in_flight.take();
        if landed.is_some() {
            // Nobody waits for it to be taken to pieces.
            drop(state);
            drop(landed);
            state = self.lock_state();
        }
        if state.queue_length() == 0 && !state.closed {
            state.writer_state = WriterState::Idle;
            let woken = self.writer_wakeup.wait_timeout(state, patience);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            state.writer_state = WriterState::Working;
        }
        if !state.deferred.is_empty() {
            return WriterTask::Recover(std::mem::take(&mut state.deferred));
        }
        if !state.open_batch.replies.is_empty() {
            let batch = state.replace_open_batch().into_shared();
            state.in_flight = Some(Arc::clone(&batch.state));
            return WriterTask::Commit(Box::new(batch));
        }
        if state.closed { WriterTask::Stop } else { WriterTask::Idle }
    }

    /// The store is ill: what is flying may not have happened, and what was decided since has not.
    pub(super) fn fail_batch(&self, failure: &Failure) {
        let void = {
            let mut state = self.lock_state();
            state.in_flight = None;
            state.replace_open_batch()
        };
        void.fail(&Failure::Unavailable(format!(
            "nothing happened, since the store could not write: {failure}"
        )));
    }

    /// Nothing is decided that is not committed, up to these numbers.
    pub(super) fn reset(&self, last: Sequences) {
        self.lock_state().open_batch = Batch::following(last);
    }

    /// Nobody can ask any more.
    pub(super) fn close(&self) {
        let mut state = self.lock_state();
        state.closed = true;
        self.wake_writer(&mut state);
    }

    /// The writer has gone: nothing more happens.
    pub(super) fn shut_down(&self) {
        let (void, undecided) = {
            let mut state = self.lock_state();
            (state.writer_state, state.in_flight) = (WriterState::Stopped, None);
            (state.replace_open_batch(), std::mem::take(&mut state.deferred))
        };
        void.fail(&writer_stopped());
        for job in undecided {
            job.fail(writer_stopped());
        }
    }

    /// A decision takes less time than falling asleep and being woken. What panics in one is caught.
    fn lock_state(&self) -> MutexGuard<'_, ExecutorState> {
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
    /// None of it has happened.
    fn fail(self, failure: &Failure) {
        for (reply, _) in self.replies {
            // Whoever no longer waits needs no answer.
            let _ = reply.send(Err(failure.clone()));
        }
    }
}

impl ExecutorState {
    /// What waits for a commit; the next one rests on it.
    fn replace_open_batch(&mut self) -> Batch<BatchState> {
        let next = Batch::following(self.open_batch.state.sequences);
        std::mem::replace(&mut self.open_batch, next)
    }

    fn queue_length(&self) -> usize {
        self.open_batch.replies.len().saturating_add(self.deferred.len())
    }

    /// Whether nothing waits for a commit, so that what is known is committed.
    fn is_idle(&self) -> bool {
        self.in_flight.is_none()
            && self.open_batch.replies.is_empty()
            && self.open_batch.writes.is_empty()
    }

    fn decide(&mut self, shared: &CommittedState, request: Request) -> Result<Reply, Failure> {
        let (shop, now) = (request.shop, request.now);
        let Batch { state: staged, writes, .. } = &mut self.open_batch;
        let mut view = BatchView {
            committed: shared,
            batch: staged,
            in_flight: self.in_flight.as_deref(),
        };
        let (changes, reply) = catch_panic(|| transact(&mut view, request))?;
        staged.apply(writes, shop, changes)?;
        self.open_batch.now = now;
        Ok(reply)
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decider").finish_non_exhaustive()
    }
}

/// A panic would be a bug of ours; it must not take the store with it. Nothing is changed before all is
/// decided.
fn catch_panic(
    decide: impl FnOnce() -> Result<(ChangeSet, Reply), Failure>,
) -> Result<(ChangeSet, Reply), Failure> {
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| {
        tracing::error!("a decision panicked; nothing of it happened");
        Err(Failure::Corrupt("the request could not be decided".to_owned()))
    })
}
