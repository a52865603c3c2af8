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

use super::shared::Shared;
use super::staged::{Batch, Last, Reading, Staged};
use crate::error::Failure;
use crate::request::{Pending, Reply, Request};
use crate::transact::{ChangeSet, transact};

/// How often who finds another one deciding lets others go first, before waiting to be woken.
const TRIES: usize = 16;

/// A request with the place where its reply is awaited.
pub(super) struct Job {
    request: Request,
    reply: oneshot::Sender<Result<Reply, Failure>>,
}

impl Job {
    /// Whoever no longer waits needs no answer.
    pub(super) fn refuse(self, failure: Failure) {
        let _ = self.reply.send(Err(failure));
    }
}

pub(super) struct Decider {
    shared: Arc<Shared>,
    /// How many requests may wait.
    room: usize,
    state: Mutex<State>,
    /// Tells the writer that there is something to do.
    work: Condvar,
}

struct State {
    open: Batch<Staged>,
    /// The batch that the writer has.
    flying: Option<Arc<Staged>>,
    /// What came while the store was ill.
    undecided: Vec<Job>,
    writer: Writer,
    /// Whether nobody can ask any more.
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Works,
    Waits,
    Gone,
}

/// What the writer does next.
pub(super) enum Work {
    Commit(Box<Batch>),
    /// The store is ill, and somebody asks.
    GetWell(Vec<Job>),
    Nothing,
    /// And nobody can ask any more.
    End,
}

impl Decider {
    pub(super) fn new(shared: Arc<Shared>, room: usize) -> Self {
        let open = Batch::on(Last::default());
        let (undecided, writer) = (Vec::new(), Writer::Works);
        let state = Mutex::new(State { open, flying: None, undecided, writer, closed: false });
        Self { shared, room: room.max(1), state, work: Condvar::new() }
    }

    /// Decides a request. Its reply comes when all that it rests on is committed.
    pub(super) fn take(&self, request: Request) -> Pending {
        let state = self.state();
        if state.writer == Writer::Gone {
            return Pending::ready(Err(stopped()));
        }
        if state.waiting() >= self.room {
            return Pending::ready(Err(Failure::Busy));
        }
        let (reply, pending) = Pending::channel();
        self.decide(state, Job { request, reply });
        pending
    }

    /// Decides a request that has waited for the store to be well.
    pub(super) fn take_again(&self, job: Job) {
        self.decide(self.state(), job);
    }

    fn decide(&self, mut state: MutexGuard<'_, State>, Job { request, reply }: Job) {
        // Held to the end: memory is not thrown away in the middle of a decision.
        if let Ok(_well) = self.shared.health() {
            let answer = state.decide(&self.shared, request);
            if state.is_settled() {
                drop(state);
                let _ = reply.send(answer);
                return;
            }
            state.open.replies.push((reply, answer));
        } else {
            state.undecided.push(Job { request, reply });
        }
        self.wake(&mut state);
    }

    fn wake(&self, state: &mut State) {
        if state.writer == Writer::Waits {
            state.writer = Writer::Works;
            self.work.notify_one();
        }
    }

    // The writer's side.

    /// What is to be done now; nothing, where for so long nobody asked for anything. What was flying is committed,
    /// and shown.
    pub(super) fn next(&self, patience: Duration) -> Work {
        let mut state = self.state();
        let landed = state.flying.take();
        if landed.is_some() {
            // Nobody waits for it to be taken to pieces.
            drop(state);
            drop(landed);
            state = self.state();
        }
        if state.waiting() == 0 && !state.closed {
            state.writer = Writer::Waits;
            let woken = self.work.wait_timeout(state, patience);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
            state.writer = Writer::Works;
        }
        if !state.undecided.is_empty() {
            return Work::GetWell(std::mem::take(&mut state.undecided));
        }
        if !state.open.replies.is_empty() {
            let batch = state.take_open().shared();
            state.flying = Some(Arc::clone(&batch.staged));
            return Work::Commit(Box::new(batch));
        }
        if state.closed { Work::End } else { Work::Nothing }
    }

    /// The store is ill: what is flying may not have happened, and what was decided since has not.
    pub(super) fn void(&self, failure: &Failure) {
        let void = {
            let mut state = self.state();
            state.flying = None;
            state.take_open()
        };
        void.refuse(&Failure::Unavailable(format!(
            "nothing happened, since the store could not write: {failure}"
        )));
    }

    /// Nothing is decided that is not committed, up to these numbers.
    pub(super) fn begin(&self, last: Last) {
        self.state().open = Batch::on(last);
    }

    /// Nobody can ask any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.wake(&mut state);
    }

    /// The writer has gone: nothing more happens.
    pub(super) fn leave(&self) {
        let (void, undecided) = {
            let mut state = self.state();
            (state.writer, state.flying) = (Writer::Gone, None);
            (state.take_open(), std::mem::take(&mut state.undecided))
        };
        void.refuse(&stopped());
        for job in undecided {
            job.refuse(stopped());
        }
    }

    /// A decision takes less time than falling asleep and being woken. What panics in one is caught.
    fn state(&self) -> MutexGuard<'_, State> {
        for _ in 0..TRIES {
            match self.state.try_lock() {
                Ok(state) => return state,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stopped() -> Failure {
    Failure::Unavailable("the writer has stopped".to_owned())
}

impl Batch<Staged> {
    /// None of it has happened.
    fn refuse(self, failure: &Failure) {
        for (reply, _) in self.replies {
            // Whoever no longer waits needs no answer.
            let _ = reply.send(Err(failure.clone()));
        }
    }
}

impl State {
    /// What waits for a commit; the next one rests on it.
    fn take_open(&mut self) -> Batch<Staged> {
        let next = Batch::on(self.open.staged.last);
        std::mem::replace(&mut self.open, next)
    }

    fn waiting(&self) -> usize {
        self.open.replies.len().saturating_add(self.undecided.len())
    }

    /// Whether nothing waits for a commit, so that what is known is committed.
    fn is_settled(&self) -> bool {
        self.flying.is_none() && self.open.replies.is_empty() && self.open.writes.is_empty()
    }

    fn decide(&mut self, shared: &Shared, request: Request) -> Result<Reply, Failure> {
        let (shop, now) = (request.shop, request.now);
        let Batch { staged, writes, .. } = &mut self.open;
        let mut view = Reading { shared, staged, flying: self.flying.as_deref() };
        let (changes, reply) = one_bug_stops_one_request(|| transact(&mut view, request))?;
        staged.stage(writes, shop, changes)?;
        self.open.now = now;
        Ok(reply)
    }
}

impl std::fmt::Debug for Decider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decider").finish_non_exhaustive()
    }
}

/// A panic would be a bug of ours; it must not take the store with it. Nothing is changed before all is
/// decided.
fn one_bug_stops_one_request(
    decide: impl FnOnce() -> Result<(ChangeSet, Reply), Failure>,
) -> Result<(ChangeSet, Reply), Failure> {
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| {
        tracing::error!("a decision panicked; nothing of it happened");
        Err(Failure::Corrupt("the request could not be decided".to_owned()))
    })
}
