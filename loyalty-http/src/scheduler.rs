//! The scheduler: asks the store what is due, and has it written down.
//!
//! Nothing depends on it but the ledger's being up to date: reads are right without it, and what it writes
//! carries the instant at which it was due. After a week off it catches up, in order, once each.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use loyalty_core::ShopId;
use loyalty_store::{Action, Failure, Pending, Request, Store};
use tokio::task;

use crate::clock::Clock;

/// In how many decisions what is due is found out for a batch of accounts.
const SEARCHES_PER_BATCH: usize = 8;

/// How often the scheduler looks, and how much it asks for at once.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How long it rests between two looks.
    pub tick: Duration,
    /// How many accounts it gives to the store at once; others' requests come in between.
    pub batch: usize,
}

impl Default for Schedule {
    /// Every ten seconds, 256 accounts at once.
    fn default() -> Self {
        Self { tick: Duration::from_secs(10), batch: 256 }
    }
}

/// What one look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PassReport {
    /// For how many accounts something was due.
    pub caught_up: usize,
    /// How often a batch of accounts was looked through, since a program was published.
    pub batches_searched: usize,
}

/// Looks every tick, until `shutdown` resolves. What the store has begun then comes to its end.
pub async fn run(
    store: Arc<dyn Store>,
    clock: Clock,
    schedule: Schedule,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        let turn = async {
            match run_pass(&store, &clock, schedule.batch).await {
                Ok(PassReport { caught_up: 0, batches_searched: 0 }) => {}
                Ok(PassReport { caught_up, batches_searched: looked_through }) => {
                    tracing::info!(caught_up, looked_through, "what was due is written down");
                }
                Err(failure) => {
                    tracing::warn!(%failure, "what is due could not be written down; trying again")
                }
            }
            tokio::time::sleep(schedule.tick).await;
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            () = turn => {}
        }
    }
}

/// One look: finds out what is not known to be due, and writes down all that is due by now.
///
/// # Errors
/// The first failure ends it. What was done before stays done; the next look goes on.
pub async fn run_pass(
    store: &Arc<dyn Store>,
    clock: &Clock,
    batch: usize,
) -> Result<PassReport, Failure> {
    let batch = batch.max(1);
    let mut done = PassReport::default();
    loop {
        let shops = run_blocking(store, <dyn Store>::shops_to_reschedule).await?;
        if shops.is_empty() {
            break;
        }
        for shop in shops {
            // Nobody else is decided about meanwhile.
            let limit = batch.div_ceil(SEARCHES_PER_BATCH);
            for pending in
                execute_all(store, clock, vec![(shop, Action::RescheduleDue { limit })]).await?
            {
                pending.await?;
            }
            done.batches_searched = done.batches_searched.saturating_add(1);
        }
    }
    // What comes due meanwhile is for the next look, and who has been met once is not met again.
    let (now, mut after) = (clock.now(), None);
    loop {
        let page = run_blocking(store, move |store| store.due(now, after, batch)).await?;
        let catch_up = page
            .iter()
            .map(|due| (due.shop, Action::CatchUp(due.account)))
            .collect();
        for pending in execute_all(store, clock, catch_up).await? {
            pending.await?;
        }
        done.caught_up = done.caught_up.saturating_add(page.len());
        match page.last() {
            Some(last) if page.len() >= batch => after = Some(*last),
            _ => return Ok(done),
        }
    }
}

/// Decided one after the other, then to be waited for.
async fn execute_all(
    store: &Arc<dyn Store>,
    clock: &Clock,
    actions: Vec<(ShopId, Action)>,
) -> Result<Vec<Pending>, Failure> {
    let now = clock.now();
    let request =
        move |(shop, action)| Request { shop, now, dry_run: false, idempotency: None, action };
    run_blocking(store, move |store| {
        Ok(actions
            .into_iter()
            .map(|action| store.execute(request(action)))
            .collect())
    })
    .await
}

/// Works on a thread where it holds nobody up.
async fn run_blocking<T: Send + 'static>(
    store: &Arc<dyn Store>,
    work: impl FnOnce(&dyn Store) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let store = Arc::clone(store);
    let done = task::spawn_blocking(move || work(&*store)).await;
    done.unwrap_or_else(|error| Err(Failure::Unavailable(error.to_string())))
}
