//! The scheduler: finds the accounts with due events and has the store record them.
//!
//! Only the ledger depends on it: balances and tiers are correct without it. Each event
//! is recorded with the instant at which it was due. After a pause of any length the
//! scheduler catches up, in order, and records each event once. It records nothing while the clock
//! is more than a day ahead of where it should be.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use loyalty_core::{ShopId, Timestamp};
use loyalty_store::{Action, Cancellation, Failure, Pending, Request, Store};
use tokio::task;

use crate::clock::Clock;

/// The time that one search for accounts to reschedule should take: the shop's other
/// requests wait meanwhile.
const SEARCH_SLICE: Duration = Duration::from_millis(10);

/// How far the clock may go ahead between two passes, besides the time that has passed.
const MAX_JUMP: TimeDelta = TimeDelta::days(1);

/// The least and the most accounts of a search.
const SEARCH_ACCOUNTS: Range<usize> = 16..512;

/// The interval and the batch size of the scheduler.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The pause between two passes.
    pub tick: Duration,
    /// The number of accounts submitted to the store at once. Other requests are decided
    /// between two batches.
    pub batch: usize,
}

impl Default for Schedule {
    /// Every 10 seconds, 256 accounts at once.
    fn default() -> Self {
        Self { tick: Duration::from_secs(10), batch: 256 }
    }
}

/// The result of one pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassReport {
    /// The number of accounts with due events.
    pub caught_up: usize,
    /// The number of searches for accounts to reschedule after a program was published.
    pub batches_searched: usize,
}

/// Makes a pass every tick, until `shutdown` resolves. The store still completes what it
/// has begun.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Clock,
    schedule: Schedule,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let mut guard = JumpGuard::default();

    loop {
        if let Err(ahead) = guard.check(Instant::now(), clock.now()) {
            tracing::error!(
                hours = ahead.num_hours(),
                "the clock has jumped ahead: nothing that came due by it is recorded. If the clock \
                 is right now, restart the server"
            );
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = tokio::time::sleep(schedule.tick) => continue,
            }
        }

        let pass_and_pause = async {
            match run_pass(&store, &clock, schedule.batch).await {
                Ok(PassReport { caught_up: 0, batches_searched: 0 }) => {}
                Ok(PassReport { caught_up, batches_searched }) => {
                    // The name of the field is part of the log's format.
                    tracing::info!(
                        caught_up,
                        looked_through = batches_searched,
                        "due events recorded"
                    );
                }
                Err(failure) => {
                    tracing::warn!(%failure, "recording due events failed; retrying");
                }
            }
            if let Err(failure) = finish_erasures(&store, &clock).await {
                tracing::warn!(%failure, "an erasure is not complete; retrying");
            }
            write_key_uses(&store).await;
            tokio::time::sleep(schedule.tick).await;
        };

        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = pass_and_pause => {}
        }
    }
    write_key_uses(&store).await;
}

/// Stores when keys were last used, as far as it has been noted.
async fn write_key_uses(store: &Arc<dyn Store>) {
    let store = Arc::clone(store);
    match task::spawn_blocking(move || store.write_key_uses()).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::warn!(%failure, "uses of keys could not be stored; retrying"),
        Err(error) => tracing::error!(%error, "storing the uses of keys has stopped"),
    }
}

/// Detects a clock that jumps ahead, since points recorded as expired cannot be restored.
#[derive(Debug, Default)]
pub(crate) struct JumpGuard {
    /// The last time that was right, by both clocks.
    right: Option<(Instant, Timestamp)>,
}

impl JumpGuard {
    /// Fails with how far the clock is ahead of the time that has passed, if that is more than a
    /// day. The first time is taken to be right: an operator has started the server.
    pub(crate) fn check(&mut self, instant: Instant, now: Timestamp) -> Result<(), TimeDelta> {
        if let Some((instant_before, before)) = self.right {
            let passed = TimeDelta::from_std(instant.duration_since(instant_before));
            let went = now.signed_duration_since(before);
            let ahead = went.checked_sub(&passed.unwrap_or(TimeDelta::MAX)).unwrap_or(went);
            if ahead > MAX_JUMP {
                return Err(ahead);
            }
        }
        self.right = Some((instant, now));
        Ok(())
    }
}

/// One pass: finds the next due instants that are not known, and records all events due
/// by now.
///
/// # Errors
/// The first failure ends the pass. Recorded events stay; the next pass continues.
///
/// # Example: nothing is due
/// ```
/// use std::sync::Arc;
/// use loyalty_http::{Clock, scheduler};
/// use loyalty_http::scheduler::PassReport;
/// use loyalty_store::{MemoryStore, Store};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), loyalty_store::Failure> {
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
/// let report = scheduler::run_pass(&store, &Clock::system(), 256).await?;
/// assert_eq!(report, PassReport { caught_up: 0, batches_searched: 0 });
/// # Ok(())
/// # }
/// ```
pub async fn run_pass(
    store: &Arc<dyn Store>,
    clock: &Clock,
    batch: usize,
) -> Result<PassReport, Failure> {
    let batch = batch.max(1);
    // First, so that the accounts found due are caught up in the same pass.
    let batches_searched = reschedule(store, clock, batch).await?;
    let caught_up = catch_up(store, clock, batch).await?;
    Ok(PassReport { caught_up, batches_searched })
}

/// Sets its flag when it is dropped.
struct CancelledOnDrop(Cancellation);

impl Drop for CancelledOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Completes the erasures of customers, one after the other. Each reads the whole shop once.
/// Returns the number of those that are complete. One that must wait for a reader of the log is
/// left to the next pass.
///
/// # Errors
/// The first failure ends the pass. The next one begins anew.
pub async fn finish_erasures(store: &Arc<dyn Store>, clock: &Clock) -> Result<usize, Failure> {
    // A pass that nobody waits for ends soon.
    let cancellation = CancelledOnDrop(Cancellation::default());
    let mut complete = 0_usize;
    for erasure in run_blocking(store, <dyn Store>::unfinished_erasures).await? {
        let (now, flag) = (clock.now(), cancellation.0.clone());
        let finish = move |store: &dyn Store| flag.run(|| store.finish_erasure(&erasure, now));
        if run_blocking(store, finish).await? {
            complete = complete.saturating_add(1);
        }
    }
    Ok(complete)
}

/// Finds the next due instants of all accounts for which a new program made them unknown.
/// Returns the number of searches.
async fn reschedule(store: &Arc<dyn Store>, clock: &Clock, batch: usize) -> Result<usize, Failure> {
    let (mut limit, mut searches) = (batch.min(SEARCH_ACCOUNTS.start), 0_usize);
    loop {
        let shops = run_blocking(store, <dyn Store>::shops_to_reschedule).await?;
        if shops.is_empty() {
            return Ok(searches);
        }

        for shop in shops {
            let began = Instant::now();
            execute_all(store, clock, vec![(shop, Action::RescheduleDue { limit })]).await?;
            searches = searches.saturating_add(1);

            limit = if began.elapsed() < SEARCH_SLICE {
                limit.saturating_mul(2).min(batch.max(SEARCH_ACCOUNTS.end))
            } else {
                limit.div_ceil(2).max(batch.min(SEARCH_ACCOUNTS.start))
            };
        }
    }
}

/// Records the events that are due by now. Returns the number of accounts.
async fn catch_up(store: &Arc<dyn Store>, clock: &Clock, batch: usize) -> Result<usize, Failure> {
    // With a fixed instant and a cursor the pass ends: later events are left to the next
    // pass, and no account is visited twice.
    let (now, mut after) = (clock.now(), None);
    let mut accounts = 0_usize;
    loop {
        let page = run_blocking(store, move |store| store.due(now, after, batch)).await?;
        let actions = page
            .iter()
            .map(|due| (due.shop, Action::CatchUp(due.account)))
            .collect();
        execute_all(store, clock, actions).await?;
        accounts = accounts.saturating_add(page.len());

        match page.last() {
            Some(last) if page.len() >= batch => after = Some(*last),
            _ => return Ok(accounts),
        }
    }
}

/// Random bits of the system, for the codes of gifts. Without any, gifts wait for a later catch-up.
fn draw_entropy() -> Option<[u8; 32]> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).ok().map(|()| bits)
}

/// Submits all actions, so that they share commits, and then waits for them.
async fn execute_all(
    store: &Arc<dyn Store>,
    clock: &Clock,
    actions: Vec<(ShopId, Action)>,
) -> Result<(), Failure> {
    let now = clock.now();
    let request = move |(shop, action)| Request {
        entropy: draw_entropy(),
        ..Request::new(shop, now, action)
    };
    let submitted: Vec<Pending> = run_blocking(store, move |store| {
        Ok(actions
            .into_iter()
            .map(|action| store.execute(request(action)))
            .collect())
    })
    .await?;

    for pending in submitted {
        pending.await?;
    }
    Ok(())
}

/// Runs blocking work on a thread where it delays no request.
async fn run_blocking<T: Send + 'static>(
    store: &Arc<dyn Store>,
    work: impl FnOnce(&dyn Store) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let store = Arc::clone(store);
    let result = task::spawn_blocking(move || work(&*store)).await;
    result.unwrap_or_else(|error| Err(Failure::Unavailable(error.to_string())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::arithmetic_side_effects)]
    use super::*;

    #[test]
    fn a_clock_that_jumps_ahead_is_told_from_one_that_goes() {
        let (start, day) = (Instant::now(), Duration::from_hours(24));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut guard = JumpGuard::default();
        let mut check = |after: Duration, now: &str| guard.check(start + after, at(now)).is_ok();
        for (after, now, is_right) in [
            (0, "2026-03-01T12:00:00Z", true),
            (1, "2026-03-02T12:00:00Z", true),
            // A year ahead for some passes, then right again.
            (1, "2027-03-02T12:00:00Z", false),
            (2, "2027-03-03T12:00:00Z", false),
            (2, "2026-03-03T12:00:10Z", true),
            // A little ahead, back, and a long time between two passes.
            (2, "2026-03-04T10:00:00Z", true),
            (3, "2025-01-01T00:00:00Z", true),
            (33, "2025-01-31T00:00:00Z", true),
            (34, "2025-02-05T00:00:00Z", false),
        ] {
            assert_eq!(check(day * after, now), is_right, "day {after}: {now}");
        }
    }
}
