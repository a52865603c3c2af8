//! The task of the sender: reads the journal, has attempts made, and notes what is done.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loyalty_core::{AccountId, ShopId};
use loyalty_store::{
    Deliveries, Delivery, DeliveryNote, Destination, DestinationId, DestinationProgress,
    EventPosition, Failure, JournalRow, Recovery, Seq, Store,
};
use tokio::sync::{mpsc, watch};
use tokio::task;

use super::figures::SenderGauges;
use super::queue::{Attempt, DestinationQueue, Now};
use super::receiver::{DeliveryOutcome, DeliveryReport, EventToDeliver};
use super::{RecentDelivery, Sender};
use crate::scheduler::JumpGuard;

/// The rows of one read.
const ROWS: usize = 512;

/// The reads of one turn, so that results are taken in between.
const READS: usize = 8;

/// The events that are done and make a note due before its time.
const NOTED_EVENTS: usize = 1_000;

/// How often the store is asked for changes that another process has made.
const LOOK: Duration = Duration::from_secs(1);

/// The pause after a read or a note that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The result of an attempt.
struct Finished {
    destination: DestinationId,
    account: Option<AccountId>,
    event: EventPosition,
    attempts: u32,
    report: DeliveryReport,
}

pub(super) async fn run(sender: Arc<Sender>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let mut dispatcher = Dispatcher::new(Arc::clone(&sender));
    loop {
        let pause = dispatcher.turn().await;
        let Dispatcher { position, finished, is_woken, .. } = &mut dispatcher;
        let report = tokio::select! {
            biased;
            () = &mut shutdown => break,
            report = finished.recv() => report,
            // The end of the store is no change.
            Ok(()) = position.changed() => None,
            () = sender.changed.notified() => {
                *is_woken = true;
                None
            }
            () = tokio::time::sleep(pause) => None,
        };
        dispatcher.take(report);
    }
    dispatcher.stop().await;
}

struct Dispatcher {
    sender: Arc<Sender>,
    store: Arc<dyn Store>,
    position: watch::Receiver<Seq>,
    /// Every row up to here was given to the queues that are live.
    live: Seq,
    queues: BTreeMap<DestinationId, DestinationQueue>,
    by_shop: HashMap<ShopId, Vec<DestinationId>>,
    disabled: usize,
    revision: Option<i64>,
    is_loaded: bool,
    is_woken: bool,
    looked_at: Option<Instant>,
    noted_at: Instant,
    in_flight: usize,
    /// The destination that is first in the next turn.
    next: DestinationId,
    results: mpsc::UnboundedSender<Finished>,
    finished: mpsc::UnboundedReceiver<Finished>,
    guard: JumpGuard,
    is_stopping: bool,
}

impl Dispatcher {
    fn new(sender: Arc<Sender>) -> Self {
        let store = Arc::clone(&sender.outside.store);
        let position = store.committed_position();
        // As many as attempts at once.
        let (results, finished) = mpsc::unbounded_channel();
        Self {
            live: 0,
            sender,
            store,
            position,
            queues: BTreeMap::new(),
            by_shop: HashMap::new(),
            disabled: 0,
            revision: None,
            is_loaded: false,
            is_woken: false,
            looked_at: None,
            noted_at: Instant::now(),
            in_flight: 0,
            next: DestinationId(0),
            results,
            finished,
            guard: JumpGuard::default(),
            is_stopping: false,
        }
    }

    fn now(&mut self) -> Now {
        let (instant, wall) = (Instant::now(), self.sender.outside.clock.now());
        Now {
            instant,
            wall,
            is_steady: self.guard.check(instant, wall).is_ok(),
        }
    }

    /// Does what can be done now. Returns how long to wait, if nothing happens.
    async fn turn(&mut self) -> Duration {
        while let Ok(report) = self.finished.try_recv() {
            self.take(Some(report));
        }
        let done = async {
            self.look().await?;
            self.read_live().await?;
            self.read_behind().await?;
            self.start_attempts();
            self.note(false).await?;
            Ok::<_, Failure>(())
        };
        let result = done.await;
        self.report();
        match result {
            Ok(()) => self.pause(),
            Err(failure) => {
                tracing::warn!(%failure, "deliveries wait for the store; retrying");
                PAUSE
            }
        }
    }

    /// The time until the next thing that is known to be due.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let settings = &self.sender.settings;
        let is_behind = |queue: &DestinationQueue| {
            let window = self.window();
            (!queue.is_live && queue.has_room(window)) || queue.recovery_to_read(window).is_some()
        };
        let is_full = self.in_flight >= settings.total_concurrency;
        if self.queues.values().any(is_behind) || (self.live < *self.position.borrow()) {
            return Duration::from_millis(1);
        }
        let wakes = self.queues.values().filter_map(|queue| queue.wakes_at(settings));
        let wakes = wakes.filter(|_| !is_full).map(|at| at.saturating_duration_since(now));
        let look = self
            .looked_at
            .map_or(Duration::ZERO, |at| LOOK.saturating_sub(now.saturating_duration_since(at)));
        let note = settings
            .note_interval
            .saturating_sub(now.saturating_duration_since(self.noted_at));
        // A turn costs little, and never less than this passes between two.
        wakes
            .chain([look, note])
            .min()
            .unwrap_or(LOOK)
            .max(Duration::from_millis(1))
    }

    /// The most rows that each destination can have now.
    fn window(&self) -> usize {
        let settings = &self.sender.settings;
        let waiting = self.queues.values().filter(|queue| queue.waiting() > 0).count();
        let share = settings
            .total_window
            .checked_div(waiting)
            .unwrap_or(settings.total_window);
        settings.window.min(share.max(settings.window.div_ceil(100))).max(1)
    }

    // Destinations.

    /// Reads destinations again that were changed.
    async fn look(&mut self) -> Result<(), Failure> {
        let is_due = self.looked_at.is_none_or(|at| at.elapsed() >= LOOK);
        if !is_due && !self.is_woken {
            return Ok(());
        }
        self.is_woken = false;
        let revision = self.run(<dyn Store>::destinations_revision).await?;
        if self.revision != Some(revision) {
            self.load().await?;
            self.revision = Some(revision);
        }
        self.looked_at = Some(Instant::now());
        Ok(())
    }

    async fn load(&mut self) -> Result<(), Failure> {
        if !self.is_loaded {
            self.is_loaded = true;
            // Destinations read up to here by themselves, and together from then on.
            self.live = *self.position.borrow_and_update();
        }
        let all = self.run(<dyn Store>::all_destinations).await?;
        let (enabled, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .filter(|destination| self.sender.receiver(destination).is_some())
            .partition(Destination::is_enabled);
        self.disabled = others.len();

        let kept: Vec<_> = enabled.iter().map(|destination| destination.id).collect();
        let gone: Vec<_> = self.queues.keys().filter(|id| !kept.contains(id)).copied().collect();
        for id in gone {
            self.drop_queue(id).await?;
            if !others.iter().any(|other| other.id == id) {
                self.sender.forget(id);
            }
        }
        for destination in enabled {
            self.load_destination(Arc::new(destination)).await?;
        }
        self.by_shop.clear();
        for (id, queue) in &self.queues {
            self.by_shop.entry(queue.destination.shop).or_default().push(*id);
        }
        Ok(())
    }

    /// Notes how far a destination has got that gets no events any more, and forgets it. What is
    /// under way ends, and is sent again if it is enabled again.
    async fn drop_queue(&mut self, id: DestinationId) -> Result<(), Failure> {
        let now = self.now();
        let Some(queue) = self.queues.get_mut(&id) else { return Ok(()) };
        if let Some(note) = queue.take_note(now, true) {
            self.write_notes(vec![note]).await?;
        }
        self.queues.remove(&id);
        Ok(())
    }

    async fn load_destination(&mut self, destination: Arc<Destination>) -> Result<(), Failure> {
        let (id, shop) = (destination.id, destination.shop);
        let (progress, waiting) = self.run(move |store| read_destination(store, shop, id)).await?;
        // Deleted meanwhile: the next look sees that.
        let Some(progress) = progress else { return Ok(()) };
        let now = self.now();
        let queue = self.queues.entry(id);
        let queue =
            queue.or_insert_with(|| DestinationQueue::new(Arc::clone(&destination), &progress));
        queue.update(destination, &progress);
        for delivery in &waiting {
            queue.restore(delivery, &self.sender.settings, now);
        }
        Ok(())
    }

    // Reading.

    /// Gives new rows to the destinations of their shops.
    async fn read_live(&mut self) -> Result<(), Failure> {
        for _ in 0..READS {
            let (after, end) = (self.live, *self.position.borrow_and_update());
            if after >= end {
                return Ok(());
            }
            let rows = self.run(move |store| store.journal_of_all(after, ROWS)).await?;
            let Some(last) = rows.last().map(|row| row.seq) else {
                return Ok(());
            };
            let (now, window) = (self.now(), self.window());
            for row in &rows {
                for id in self.by_shop.get(&row.shop).into_iter().flatten() {
                    let Some(queue) = self.queues.get_mut(id).filter(|queue| queue.is_live) else {
                        continue;
                    };
                    if queue.has_room(window) {
                        queue.push(row, now);
                    } else {
                        // It goes on by itself when it has room.
                        queue.is_live = false;
                    }
                }
            }
            self.live = last;
            for queue in self.queues.values_mut().filter(|queue| queue.is_live) {
                queue.pass(last);
            }
        }
        Ok(())
    }

    /// Has destinations that are behind read a page each, and recoveries as well.
    async fn read_behind(&mut self) -> Result<(), Failure> {
        let window = self.window();
        let behind: Vec<_> = self
            .queues
            .iter()
            .filter(|(_, queue)| !queue.is_live && queue.has_room(window))
            .map(|(id, queue)| (*id, queue.destination.shop, queue.read_to()))
            .collect();
        for (id, shop, after) in behind {
            let (now, live) = (self.now(), self.live);
            if after >= live {
                self.with_queue(id, |queue| queue.is_live = true);
                continue;
            }
            let rows = self.run(move |store| store.journal(shop, after, ROWS)).await?;
            let is_end = rows.len() < ROWS;
            self.with_queue(id, |queue| {
                // What others have read together is enough: the rest comes with them.
                for row in rows.iter().take_while(|row| row.seq <= live) {
                    if !queue.has_room(window) {
                        return;
                    }
                    queue.push(row, now);
                }
                if is_end || rows.last().is_some_and(|last| last.seq > live) {
                    queue.pass(live);
                    queue.is_live = true;
                }
            });
        }

        let recovering: Vec<_> = self
            .queues
            .iter()
            .filter_map(|(id, queue)| {
                let recovery = queue.recovery_to_read(window)?;
                Some((*id, queue.destination.shop, recovery))
            })
            .collect();
        for (id, shop, recovery) in recovering {
            self.recover(id, shop, recovery).await?;
        }
        Ok(())
    }

    async fn recover(
        &mut self,
        id: DestinationId,
        shop: ShopId,
        recovery: Recovery,
    ) -> Result<(), Failure> {
        let after = recovery.after;
        let rows = self.run(move |store| store.journal(shop, after, ROWS)).await?;
        let last = rows.last().map(|row| row.seq).filter(|_| rows.len() >= ROWS);
        let now = self.now();
        self.with_queue(id, |queue| {
            queue.recover(&rows, last.unwrap_or(recovery.until), now);
        });
        Ok(())
    }

    fn with_queue(&mut self, id: DestinationId, change: impl FnOnce(&mut DestinationQueue)) {
        if let Some(queue) = self.queues.get_mut(&id) {
            change(queue);
        }
    }

    // Attempts.

    /// Starts attempts, one for each destination in turn, until nothing more can be sent now.
    fn start_attempts(&mut self) {
        let now = self.now();
        let busy = self.queues.iter().filter(|(_, queue)| queue.is_busy());
        let busy: Vec<_> = busy.map(|(id, _)| *id).collect();
        let first = busy.partition_point(|id| *id < self.next);
        let mut turn: Vec<_> = busy
            .iter()
            .skip(first)
            .chain(busy.iter().take(first))
            .copied()
            .collect();
        while !turn.is_empty() {
            turn.retain(|id| {
                if self.in_flight >= self.sender.settings.total_concurrency {
                    self.next = *id;
                    return false;
                }
                let Some(queue) = self.queues.get_mut(id) else { return false };
                let Some(attempt) = queue.next_attempt(&self.sender.settings, now) else {
                    return false;
                };
                let destination = Arc::clone(&queue.destination);
                self.in_flight = self.in_flight.saturating_add(1);
                task::spawn(attempt_delivery(
                    Arc::clone(&self.sender),
                    destination,
                    attempt,
                    self.results.clone(),
                ));
                true
            });
        }
    }

    /// Takes the result of an attempt.
    fn take(&mut self, finished: Option<Finished>) {
        let Some(finished) = finished else { return };
        let Finished { destination, account, event, attempts, report } = finished;
        self.in_flight = self.in_flight.saturating_sub(1);
        let figures = Arc::clone(&self.sender.figures);
        figures.count(&report.outcome);
        let now = self.now();
        let Some(queue) = self.queues.get_mut(&destination) else { return };
        let was_failing = queue.is_failing();
        if queue.finish(account, event, &report, &self.sender.settings, now) {
            figures.count_given_up();
            tracing::warn!(
                shop = queue.destination.shop.0,
                destination = destination.0,
                seq = event.seq,
                reason = report.reason,
                "a delivery was given up"
            );
        }
        if queue.is_failing() != was_failing {
            let (shop, is_failing) = (queue.destination.shop.0, queue.is_failing());
            tracing::warn!(shop, destination = destination.0, is_failing, "a receiver has changed");
        }
        if report.outcome == DeliveryOutcome::Delivered {
            let recent = RecentDelivery { event, at: now.wall, status: report.status, attempts };
            self.sender.remember(destination, recent);
        }
    }

    // Notes.

    /// Notes how far destinations have got, if it is time.
    async fn note(&mut self, is_end: bool) -> Result<(), Failure> {
        let done: usize = self.queues.values().map(DestinationQueue::unnoted).sum();
        let is_disabled = self.queues.values().any(|queue| queue.disable_reason().is_some());
        let is_due = self.noted_at.elapsed() >= self.sender.settings.note_interval;
        if !is_due && !is_end && !is_disabled && done < NOTED_EVENTS {
            return Ok(());
        }
        self.noted_at = Instant::now();
        let now = self.now();
        let notes: Vec<_> = self
            .queues
            .values_mut()
            .filter_map(|queue| queue.take_note(now, is_end))
            .collect();
        if notes.is_empty() {
            return Ok(());
        }
        self.write_notes(notes).await?;

        let disabled: Vec<_> = self
            .queues
            .values()
            .filter_map(|queue| {
                let reason = queue.disable_reason()?;
                Some((queue.destination.id, queue.destination.shop, reason))
            })
            .collect();
        for (id, shop, reason) in disabled {
            tracing::error!(
                shop = shop.0,
                destination = id.0,
                reason = reason.name(),
                "a destination was disabled: it gets no events until it is enabled again"
            );
            // Read again from the store, which knows whether it was changed meanwhile.
            self.queues.remove(&id);
            self.revision = None;
        }
        if self.revision.is_none() && !self.is_stopping {
            self.load().await?;
            self.looked_at = None;
        }
        Ok(())
    }

    async fn write_notes(&mut self, notes: Vec<DeliveryNote>) -> Result<(), Failure> {
        let notes = Arc::new(notes);
        let written = Arc::clone(&notes);
        let result = self.run(move |store| store.note_deliveries(&written)).await;
        if result.is_err() {
            for note in notes.iter() {
                self.with_queue(note.destination, |queue| queue.restore_note(note.clone()));
            }
        }
        result
    }

    fn report(&mut self) {
        let now = self.sender.outside.clock.now();
        let queues = self.queues.values();
        let oldest = queues.clone().filter_map(DestinationQueue::oldest_open).min();
        let lag = oldest.map_or(0, |oldest| now.signed_duration_since(oldest).num_seconds());
        self.sender.figures.set(SenderGauges {
            waiting: queues.clone().map(DestinationQueue::waiting).sum(),
            in_flight: self.in_flight,
            enabled: self.queues.len(),
            disabled: self.disabled,
            failing: queues.filter(|queue| queue.is_failing()).count(),
            lag: u64::try_from(lag).unwrap_or_default(),
        });
    }

    /// Waits a little for what is under way, and notes how far destinations have got.
    async fn stop(&mut self) {
        self.is_stopping = true;
        let grace = self.sender.settings.stop_grace;
        let under_way = async {
            while self.queues.values().any(|queue| queue.in_flight() > 0) {
                let report = self.finished.recv().await;
                self.take(report);
            }
        };
        // What takes longer is sent again after the next start.
        let _ = tokio::time::timeout(grace, under_way).await;
        if let Err(failure) = self.note(true).await {
            tracing::warn!(%failure, "how far deliveries have got could not be stored");
        }
    }

    /// Runs blocking work on a thread where it delays nothing else.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = Arc::clone(&self.store);
        let result = task::spawn_blocking(move || work(&*store)).await;
        result.unwrap_or_else(|error| Err(Failure::Unavailable(error.to_string())))
    }
}

/// How far a destination has got, and what waits.
fn read_destination(
    store: &dyn Store,
    shop: ShopId,
    id: DestinationId,
) -> Result<(Option<DestinationProgress>, Vec<Delivery>), Failure> {
    let progress = Deliveries::destination_progress(store, shop, id)?;
    let (mut waiting, mut after) = (Vec::new(), None);
    loop {
        let page = store.deliveries(shop, id, true, after, ROWS)?;
        after = page.last().map(|delivery| delivery.event);
        let is_end = page.len() < ROWS;
        waiting.extend(page);
        if is_end {
            return Ok((progress, waiting));
        }
    }
}

/// Makes one attempt, and sends its result.
async fn attempt_delivery(
    sender: Arc<Sender>,
    destination: Arc<Destination>,
    attempt: Attempt,
    results: mpsc::UnboundedSender<Finished>,
) {
    let Attempt { account, event, row, attempts } = attempt;
    let row = match row {
        Some(row) => Ok(Some(row)),
        None => read_row(&sender, destination.shop, event.seq).await,
    };
    let id = destination.id;
    let mut finished = Finished {
        destination: id,
        account,
        event,
        attempts: attempts.saturating_add(1),
        report: DeliveryReport::retry("the store cannot be read"),
    };
    match row {
        Ok(Some(row)) => {
            let to_deliver = EventToDeliver { destination, row, index: event.index, attempts };
            if let Some(receiver) = sender.receiver(&to_deliver.destination) {
                finished.report = receiver.deliver(&to_deliver, &sender.outside).await;
            }
        }
        Ok(None) => {
            finished.report.outcome = DeliveryOutcome::Failed;
            "the journal has no such row".clone_into(&mut finished.report.reason);
        }
        Err(_) => {}
    }
    // Nobody listens once the sender has stopped.
    let _ = results.send(finished);
}

async fn read_row(
    sender: &Sender,
    shop: ShopId,
    seq: Seq,
) -> Result<Option<Arc<JournalRow>>, Failure> {
    let store = Arc::clone(&sender.outside.store);
    let read = task::spawn_blocking(move || store.journal(shop, seq.saturating_sub(1), 1)).await;
    let rows = read.unwrap_or_else(|error| Err(Failure::Unavailable(error.to_string())))?;
    Ok(rows.into_iter().next().filter(|row| row.seq == seq))
}
