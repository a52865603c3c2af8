//! Who decides: takes requests as they come, and lets the rules decide each on top of all before it, while
//! the writer commits the batch before.
//!
//! What is decided while a commit is under way rests on it. So its answers wait for both, and where that
//! commit fails all of it is void: nothing of it has happened, and whoever waits is told so.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvError, Sender, select};
use loyalty_core::Timestamp;
use tokio::sync::oneshot;

use super::shared::Shared;
use super::staged::{Answered, Batch, Last, Reading, Staged, Writes};
use super::writer::News;
use crate::error::Failure;
use crate::request::{Reply, Request};
use crate::transact::{Changes, transact};

/// A request with the place where its reply is awaited.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Result<Reply, Failure>>,
}

/// How many requests share a commit at the most.
const BATCH: usize = 512;

/// How many make a batch that a free writer need not wait for.
const ENOUGH: usize = 32;

pub(super) struct Decider {
    shared: Arc<Shared>,
    jobs: Receiver<Job>,
    batches: Sender<Batch>,
    news: Receiver<News>,
    /// How many requests a batch may hold.
    room: usize,
    /// What the batch under way is decided on: the last numbers before it.
    base: Last,
    staged: Staged,
    writes: Writes,
    replies: Vec<Answered>,
    now: Timestamp,
    /// The last numbers that are known to be committed.
    committed: Last,
    /// The batch that the writer has.
    flying: Option<Arc<Staged>>,
}

impl Decider {
    pub(super) fn new(
        shared: Arc<Shared>,
        jobs: Receiver<Job>,
        batches: Sender<Batch>,
        news: Receiver<News>,
        last: Last,
        queue: usize,
    ) -> Self {
        let room = queue.clamp(1, BATCH);
        Self {
            shared,
            jobs,
            batches,
            news,
            room,
            base: last,
            staged: Staged::new(last),
            writes: Writes::default(),
            replies: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
            committed: last,
            flying: None,
        }
    }

    /// Works until nobody can send requests any more.
    pub(super) fn run(mut self) {
        while self.step().is_continue() {}
        self.settle();
        self.hand_over();
        self.settle();
    }

    /// Takes what comes next, until nobody can ask any more. A batch goes as soon as the writer is free and
    /// nothing more waits, or enough is in it.
    fn step(&mut self) -> ControlFlow<()> {
        if self.replies.len() >= self.room {
            self.settle();
        }
        if let Ok(news) = self.news.try_recv() {
            self.hear(news);
        }
        if self.flying.is_none() && (self.replies.len() >= ENOUGH || self.nothing_more()) {
            self.hand_over();
        }
        if let Ok(job) = self.jobs.try_recv() {
            self.take(job);
            return ControlFlow::Continue(());
        }
        select! {
            recv(self.news) -> news => self.hear(or_stop(news)?),
            recv(self.jobs) -> job => self.take(or_stop(job)?),
        }
        ControlFlow::Continue(())
    }

    /// Whether nobody asks, also once whoever is about to ask on this core has had the time to.
    fn nothing_more(&self) -> bool {
        if self.jobs.is_empty() && !self.replies.is_empty() {
            std::thread::yield_now();
        }
        self.jobs.is_empty()
    }

    fn take(&mut self, job: Job) {
        let Job { request, reply } = job;
        match self.get_well() {
            Ok(()) => {
                let answer = self.decide(request);
                self.replies.push((reply, answer));
            }
            Err(failure) => {
                let waiting = self.jobs.try_iter().take(BATCH).map(|job| job.reply);
                for reply in std::iter::once(reply).chain(waiting) {
                    // Whoever no longer waits needs no answer.
                    let _ = reply.send(Err(failure.clone()));
                }
            }
        }
    }

    fn decide(&mut self, request: Request) -> Result<Reply, Failure> {
        let (shop, now) = (request.shop, request.now);
        let (changes, reply) = {
            let shared = Arc::clone(&self.shared);
            // Held to the end: memory is not thrown away in the middle of a decision.
            let _well = shared.health()?;
            let mut view = Reading { shared: &shared, staged: &self.staged, flying: self.flying.as_deref() };
            one_bug_stops_one_request(|| transact(&mut view, request))?
        };
        self.staged.stage(&mut self.writes, shop, changes)?;
        self.now = now;
        Ok(reply)
    }

    /// Where the store is ill, lets the writer look whether the file can be opened again.
    fn get_well(&mut self) -> Result<(), Failure> {
        if !self.shared.is_ill() {
            return Ok(());
        }
        self.settle();
        self.send();
        self.settle();
        self.begin();
        self.shared.health().map(drop)
    }

    fn hand_over(&mut self) {
        if !self.replies.is_empty() {
            self.send();
        }
    }

    /// Gives the batch to the writer, whatever is in it.
    fn send(&mut self) {
        let last = self.staged.last;
        let staged = Arc::new(std::mem::replace(&mut self.staged, Staged::new(last)));
        let batch = Batch {
            base: std::mem::replace(&mut self.base, last),
            writes: std::mem::take(&mut self.writes),
            staged: Arc::clone(&staged),
            replies: std::mem::take(&mut self.replies),
            now: self.now,
        };
        // Where the writer is gone the senders of the replies go with the batch, and that is the answer.
        if self.batches.send(batch).is_ok() {
            self.flying = Some(staged);
        }
    }

    /// Begins on what is committed, with nothing in the batch.
    fn begin(&mut self) {
        (self.base, self.staged, self.writes) = (self.committed, Staged::new(self.committed), Writes::default());
    }

    /// Waits for the batch that the writer has.
    fn settle(&mut self) {
        while self.flying.is_some() {
            match self.news.recv() {
                Ok(news) => self.hear(news),
                Err(_) => self.flying = None,
            }
        }
    }

    /// What the writer committed is seen in memory now. What it could not commit never was, nor what was
    /// decided on top of it.
    fn hear(&mut self, news: News) {
        (self.flying, self.committed) = (None, news.last);
        let Err(failure) = news.done else { return };
        self.begin();
        let void = Failure::Unavailable(format!("nothing happened, since a commit before failed: {failure}"));
        for (sender, _) in self.replies.drain(..) {
            let _ = sender.send(Err(void.clone()));
        }
    }
}

fn or_stop<T>(received: Result<T, RecvError>) -> ControlFlow<(), T> {
    received.map_or(ControlFlow::Break(()), ControlFlow::Continue)
}

/// A panic would be a bug of ours; it must not take the store with it. Nothing is changed before all is
/// decided.
fn one_bug_stops_one_request(
    decide: impl FnOnce() -> Result<(Changes, Reply), Failure>,
) -> Result<(Changes, Reply), Failure> {
    catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| {
        tracing::error!("a decision panicked; nothing of it happened");
        Err(Failure::Corrupt("the request could not be decided".to_owned()))
    })
}
