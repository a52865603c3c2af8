//! The scheduler: finds the accounts with due events and has the store record them.
//!
//! Only the ledger depends on it: balances and tiers are correct without it. Each event
//! is recorded with the instant at which it was due. After a pause of any length the
//! scheduler catches up, in order, and records each event once.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use loyalty_core::ShopId;
use loyalty_store::{Action, Failure, Pending, Request, Store};
use tokio::task;

use crate::clock::Clock;

/// The number of requests by which a batch of accounts is rescheduled, since the store
/// decides nothing else during one of them.
const SEARCHES_PER_BATCH: usize = 8;

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

    loop {
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
            tokio::time::sleep(schedule.tick).await;
        };

        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = pass_and_pause => {}
        }
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

/// Finds the next due instants of all accounts for which a new program made them unknown.
/// Returns the number of searches.
async fn reschedule(store: &Arc<dyn Store>, clock: &Clock, batch: usize) -> Result<usize, Failure> {
    let limit = batch.div_ceil(SEARCHES_PER_BATCH);
    let mut searches = 0_usize;
    loop {
        let shops = run_blocking(store, <dyn Store>::shops_to_reschedule).await?;
        if shops.is_empty() {
            return Ok(searches);
        }

        for shop in shops {
            execute_all(store, clock, vec![(shop, Action::RescheduleDue { limit })]).await?;
            searches = searches.saturating_add(1);
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

/// Submits all actions, so that they share commits, and then waits for them.
async fn execute_all(
    store: &Arc<dyn Store>,
    clock: &Clock,
    actions: Vec<(ShopId, Action)>,
) -> Result<(), Failure> {
    let now = clock.now();
    let request =
        move |(shop, action)| Request { shop, now, dry_run: false, idempotency: None, action };
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
