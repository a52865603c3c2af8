//! The queue of one destination: what is to be sent, in which order, and what to note. No I/O.
//!
//! Events of one account are sent one after the other. While one waits for another attempt, later
//! ones of its account wait behind it. An event that waits is a row of the store; all others are
//! open, and hold the cursor: it stands before the first of them.
//!
//! A receiver that fails again and again, for several events and without a success in between, is
//! failing as a whole. Then it gets one event at a time and more and more seldom, nothing is given
//! up for that, and what happens meanwhile stays in the journal. Its first success makes all that
//! waits due.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use loyalty_core::{AccountId, Timestamp};
use loyalty_store::{
    Delivery, DeliveryAttempt, DeliveryNote, DeliveryState, Destination, DestinationProgress,
    DisableReason, EventPosition, JournalRow, Recovery, Seq, outgoing_events,
};

use super::SenderSettings;
use super::receiver::{DeliveryOutcome, DeliveryReport};

/// The most events that are held in memory before they are sent.
const MAX_OPEN: usize = 256;

/// A receiver that has failed for so many events without a success is failing as a whole.
const FAILING_EVENTS: usize = 5;

/// While a receiver is failing, so many of its events are tried in turn, and no other.
const PROBED_EVENTS: usize = 100;

/// A destination without a success for so long is disabled.
const MAX_FAILING: TimeDelta = TimeDelta::days(5);

/// A cursor that lags so far behind, since nothing concerns the destination, is noted too.
const IDLE_LAG: Seq = 100_000;

/// The events of one account, or those of none.
type Lane = Option<AccountId>;

/// The time of a turn, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: Timestamp,
    /// False if the wall clock has jumped ahead, so that no failure can be called old.
    pub(super) is_steady: bool,
}

/// An attempt to be made.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) account: Option<AccountId>,
    pub(super) event: EventPosition,
    /// The row, unless it must be read again.
    pub(super) row: Option<Arc<JournalRow>>,
    pub(super) attempts: u32,
}

/// An event in the queue.
#[derive(Clone, Debug)]
struct Entry {
    row: Option<Arc<JournalRow>>,
    /// What the store has of it, if it is a row there.
    stored: Option<Stored>,
}

#[derive(Clone, Debug, Default)]
struct Stored {
    attempts: u32,
    last: Option<DeliveryAttempt>,
}

#[derive(Debug, Default)]
struct LaneQueue {
    events: BTreeMap<EventPosition, Entry>,
    state: LaneState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LaneState {
    #[default]
    Idle,
    /// Its first event can be sent.
    Ready,
    /// Its first event is due later.
    Delayed(Instant),
    InFlight(EventPosition),
}

/// What changed since the last note.
#[derive(Debug, Default)]
struct Unnoted {
    put: BTreeMap<EventPosition, Delivery>,
    remove: BTreeSet<EventPosition>,
    done: usize,
    last_failure: Option<DeliveryAttempt>,
    recovery: Option<(i64, Seq)>,
    is_changed: bool,
}

pub(super) struct DestinationQueue {
    pub(super) destination: Arc<Destination>,
    /// All rows up to here were read.
    read_to: Seq,
    /// True if it reads what is committed together with others.
    pub(super) is_live: bool,
    lanes: HashMap<Lane, LaneQueue>,
    ready: VecDeque<Lane>,
    delayed: BTreeSet<(Instant, Lane)>,
    /// The open events by row.
    open: BTreeMap<Seq, usize>,
    open_count: usize,
    waiting: usize,
    in_flight: usize,
    /// The events that have failed since the last success.
    failed: HashSet<EventPosition>,
    is_failing: bool,
    probes: u32,
    paused_until: Option<Instant>,
    failing_since: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
    recovery: Option<Recovery>,
    disable: Option<DisableReason>,
    noted_cursor: Seq,
    unnoted: Unnoted,
}

impl DestinationQueue {
    /// The queue of a destination as the store has it. What waits is added with
    /// [`DestinationQueue::restore`].
    pub(super) fn new(destination: Arc<Destination>, progress: &DestinationProgress) -> Self {
        Self {
            destination,
            read_to: progress.cursor,
            is_live: false,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeSet::new(),
            open: BTreeMap::new(),
            open_count: 0,
            waiting: 0,
            in_flight: 0,
            failed: HashSet::new(),
            is_failing: false,
            probes: 0,
            paused_until: None,
            failing_since: progress.failing_since,
            last_success_at: progress.last_success_at,
            recovery: progress.recovery,
            disable: None,
            noted_cursor: progress.cursor,
            unnoted: Unnoted::default(),
        }
    }

    /// Takes the destination as it was changed. What was asked for meanwhile is in `progress`.
    pub(super) fn update(&mut self, destination: Arc<Destination>, progress: &DestinationProgress) {
        if destination.updated_at != self.destination.updated_at {
            // The shop may have repaired what failed.
            (self.is_failing, self.probes, self.paused_until) = (false, 0, None);
            self.failed.clear();
            self.failing_since = progress.failing_since;
            self.disable = None;
        }
        let is_newer =
            |next: &Recovery| self.recovery.is_none_or(|known| known.number < next.number);
        if let Some(next) = progress.recovery.filter(is_newer) {
            self.recovery = Some(next);
        }
        self.destination = destination;
    }

    /// Adds a delivery that waits, as the store has it, unless it is known.
    pub(super) fn restore(&mut self, delivery: &Delivery, settings: &SenderSettings, now: Now) {
        let lane = delivery.account;
        let due_at = match delivery.state {
            DeliveryState::Waiting { due_at } => due_at,
            DeliveryState::Dead { .. } => return,
        };
        let is_asked_for = delivery.attempts == 0 && delivery.last.is_none();
        if let Some(known) = self.entry(lane, delivery.event) {
            let has_tried = known.stored.as_ref().is_some_and(|stored| stored.attempts > 0);
            if known.stored.is_none() {
                // Sent again by request while it is sent for the first time.
                self.store_entry(lane, delivery.event, now.wall);
            } else if has_tried && is_asked_for {
                self.start_anew(lane, delivery.event, now);
            }
            return;
        }
        // A clock that was wrong must not have it wait for ever.
        let longest = settings.backoff.iter().max().copied().unwrap_or_default();
        let wait = due_at.signed_duration_since(now.wall).to_std().unwrap_or_default();
        let due = now.instant.checked_add(wait.min(longest)).unwrap_or(now.instant);

        let stored = Stored { attempts: delivery.attempts, last: delivery.last.clone() };
        let queue = self.lanes.entry(lane).or_default();
        queue
            .events
            .insert(delivery.event, Entry { row: None, stored: Some(stored) });
        self.waiting = self.waiting.saturating_add(1);
        // The first event of the account says when it goes on.
        let is_first = queue
            .events
            .first_key_value()
            .is_some_and(|(first, _)| *first == delivery.event);
        if is_first && !matches!(queue.state, LaneState::InFlight(_)) {
            self.set_lane(lane, LaneState::Delayed(due));
        }
    }

    /// Has an event that waits start with its first attempt, at once.
    fn start_anew(&mut self, lane: Lane, event: EventPosition, now: Now) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        if let Some(entry) = queue.events.get_mut(&event) {
            entry.stored = Some(Stored::default());
        }
        let is_first = queue
            .events
            .first_key_value()
            .is_some_and(|(first, _)| *first == event);
        if is_first && matches!(queue.state, LaneState::Delayed(_)) {
            self.set_lane(lane, LaneState::Delayed(now.instant));
        }
    }

    // Reading.

    /// Returns `true` if more of the journal can be read.
    pub(super) fn has_room(&self, window: usize) -> bool {
        // What a failing receiver does not get stays in the journal.
        let window = if self.is_failing { window.min(PROBED_EVENTS) } else { window };
        // An open event can become one that waits.
        self.open_count < MAX_OPEN && self.open_count.saturating_add(self.waiting) < window
    }

    pub(super) fn read_to(&self) -> Seq {
        self.read_to
    }

    /// Notes that all rows up to here were read, or are none of the shop's.
    pub(super) fn pass(&mut self, seq: Seq) {
        self.read_to = self.read_to.max(seq);
    }

    /// Adds the events of a row that the destination wants.
    pub(super) fn push(&mut self, row: &Arc<JournalRow>, now: Now) {
        if row.seq <= self.read_to {
            return;
        }
        self.read_to = row.seq;
        let lane = row.account;
        let wanted = outgoing_events(row).filter(|event| self.destination.wants(event.kind));
        let wanted: Vec<_> = wanted.map(|event| event.index).collect();
        for index in wanted {
            let event = EventPosition { seq: row.seq, index };
            let queue = self.lanes.entry(lane).or_default();
            if queue.events.contains_key(&event) {
                continue;
            }
            let is_behind = queue.events.values().any(|entry| entry.stored.is_some());
            let entry = Entry { row: Some(Arc::clone(row)), stored: None };
            queue.events.insert(event, entry);
            let count = self.open.entry(event.seq).or_default();
            *count = count.saturating_add(1);
            self.open_count = self.open_count.saturating_add(1);
            if is_behind {
                self.store_entry(lane, event, now.wall);
            }
            self.settle(lane);
        }
    }

    /// The range that is to be delivered anew, if there is room for more of it.
    pub(super) fn recovery_to_read(&self, window: usize) -> Option<Recovery> {
        self.recovery
            .filter(|_| self.waiting < window.div_ceil(2) && !self.is_failing)
    }

    /// Adds the wanted events of rows of the recovery, all up to `after`.
    pub(super) fn recover(&mut self, rows: &[Arc<JournalRow>], after: Seq, now: Now) {
        let Some(mut recovery) = self.recovery else { return };
        for row in rows
            .iter()
            .filter(|row| row.at >= recovery.since && row.seq <= recovery.until)
        {
            let lane = row.account;
            let wanted = outgoing_events(row).filter(|event| self.destination.wants(event.kind));
            let wanted: Vec<_> = wanted.map(|event| event.index).collect();
            for index in wanted {
                let event = EventPosition { seq: row.seq, index };
                let queue = self.lanes.entry(lane).or_default();
                if queue.events.contains_key(&event) {
                    continue;
                }
                let entry = Entry { row: None, stored: Some(Stored::default()) };
                queue.events.insert(event, entry);
                self.waiting = self.waiting.saturating_add(1);
                self.put_row(lane, event, now.wall);
                self.settle(lane);
            }
        }
        recovery.after = recovery.after.max(after);
        self.unnoted.recovery = Some((recovery.number, recovery.after));
        self.recovery = Some(recovery).filter(|recovery| recovery.after < recovery.until);
    }

    // Sending.

    /// Returns the next attempt that can be made now.
    pub(super) fn next_attempt(&mut self, settings: &SenderSettings, now: Now) -> Option<Attempt> {
        if !self.destination.is_enabled() || self.disable.is_some() {
            return None;
        }
        if self.paused_until.is_some_and(|until| now.instant < until) {
            return None;
        }
        let limit = if self.is_failing { 1 } else { settings.concurrency };
        if self.in_flight >= limit {
            return None;
        }
        while let Some((due, lane)) = self.delayed.first().copied()
            && due <= now.instant
        {
            self.set_lane(lane, LaneState::Ready);
        }
        let lane = self.next_lane()?;
        let queue = self.lanes.get_mut(&lane)?;
        let (event, entry) = queue.events.first_key_value()?;
        let attempt = Attempt {
            account: lane,
            event: *event,
            row: entry.row.clone(),
            attempts: entry.stored.as_ref().map_or(0, |stored| stored.attempts),
        };
        self.set_lane(lane, LaneState::InFlight(attempt.event));
        self.in_flight = self.in_flight.saturating_add(1);
        Some(attempt)
    }

    /// Returns whose event is next. A failing receiver is asked with one that waits, in turn,
    /// once it has got some others.
    fn next_lane(&mut self) -> Option<Lane> {
        let is_probe = self.is_failing && (self.ready.is_empty() || self.waiting >= PROBED_EVENTS);
        if is_probe && let Some((_, lane)) = self.delayed.first() {
            return Some(*lane);
        }
        self.ready.front().copied()
    }

    /// Takes the result of an attempt. Returns `true` if the delivery was given up.
    pub(super) fn finish(
        &mut self,
        lane: Lane,
        event: EventPosition,
        report: &DeliveryReport,
        settings: &SenderSettings,
        now: Now,
    ) -> bool {
        let Some(queue) = self.lanes.get_mut(&lane) else { return false };
        if queue.state != LaneState::InFlight(event) {
            return false;
        }
        queue.state = LaneState::Idle;
        self.in_flight = self.in_flight.saturating_sub(1);
        self.unnoted.is_changed = true;
        let attempt = DeliveryAttempt {
            at: now.wall,
            status: report.status,
            reason: report.reason.clone(),
            answer: report.answer.clone(),
        };

        match report.outcome {
            DeliveryOutcome::Delivered => {
                self.succeed(lane, event, now);
                false
            }
            DeliveryOutcome::Gone => {
                self.fail(attempt, event, now);
                self.disable = Some(DisableReason::Gone);
                self.settle(lane);
                false
            }
            DeliveryOutcome::Failed => {
                self.fail(attempt.clone(), event, now);
                self.give_up(lane, event, attempt, now);
                true
            }
            DeliveryOutcome::Retry { after, all } => {
                let counts = !self.is_failing;
                self.fail(attempt.clone(), event, now);
                self.slow_down(after.filter(|_| all), settings, now);
                self.retry(lane, event, attempt, (counts, after), settings, now)
            }
        }
    }

    fn succeed(&mut self, lane: Lane, event: EventPosition, now: Now) {
        self.remove(lane, event);
        (self.failing_since, self.last_success_at) = (None, Some(now.wall));
        self.failed.clear();
        self.unnoted.done = self.unnoted.done.saturating_add(1);
        self.settle(lane);
        if self.is_failing {
            (self.is_failing, self.probes, self.paused_until) = (false, 0, None);
            let waiting: Vec<_> = self.delayed.iter().map(|(_, lane)| *lane).collect();
            for lane in waiting {
                self.set_lane(lane, LaneState::Ready);
            }
        }
    }

    fn fail(&mut self, attempt: DeliveryAttempt, event: EventPosition, now: Now) {
        self.unnoted.last_failure = Some(attempt);
        let since = *self.failing_since.get_or_insert(now.wall);
        if now.is_steady && now.wall.signed_duration_since(since) >= MAX_FAILING {
            self.disable = Some(DisableReason::Failing);
        }
        self.failed.insert(event);
        self.is_failing |= self.failed.len() >= FAILING_EVENTS;
    }

    fn slow_down(&mut self, after: Option<Duration>, settings: &SenderSettings, now: Now) {
        let mut pause = after.unwrap_or_default();
        if self.is_failing {
            let (first, longest) = settings.probe;
            let factor = 1_u32.checked_shl(self.probes.min(16)).unwrap_or(1);
            pause = pause.max(first.saturating_mul(factor).min(longest));
            self.probes = self.probes.saturating_add(1);
        }
        if !pause.is_zero() {
            let until = now.instant.checked_add(pause);
            self.paused_until = self.paused_until.max(until);
        }
    }

    /// Has an event wait for another attempt. Returns `true` if there was the last one.
    fn retry(
        &mut self,
        lane: Lane,
        event: EventPosition,
        attempt: DeliveryAttempt,
        (counts, after): (bool, Option<Duration>),
        settings: &SenderSettings,
        now: Now,
    ) -> bool {
        let before = self.entry(lane, event).and_then(|entry| entry.stored.as_ref());
        let before = before.map_or(0, |stored| stored.attempts);
        let attempts = before.saturating_add(u32::from(counts));
        let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(pause) = settings.backoff.get(place) else {
            self.give_up(lane, event, attempt, now);
            return true;
        };

        let pause = with_jitter(*pause).max(after.unwrap_or_default());
        let due_at = TimeDelta::from_std(pause).ok();
        let due_at = due_at.and_then(|pause| now.wall.checked_add_signed(pause));
        self.store_entry(lane, event, now.wall);
        if let Some(queue) = self.lanes.get_mut(&lane) {
            if let Some(entry) = queue.events.get_mut(&event) {
                (entry.row, entry.stored) = (None, Some(Stored { attempts, last: Some(attempt) }));
            }
            // Later ones of the account wait behind it.
            let behind: Vec<_> = queue
                .events
                .iter()
                .filter(|(_, entry)| entry.stored.is_none())
                .map(|(event, _)| *event)
                .collect();
            for event in behind {
                self.store_entry(lane, event, now.wall);
            }
        }
        self.put_row(lane, event, due_at.unwrap_or(now.wall));
        let due = now.instant.checked_add(pause).unwrap_or(now.instant);
        self.set_lane(lane, LaneState::Delayed(due));
        false
    }

    fn give_up(&mut self, lane: Lane, event: EventPosition, last: DeliveryAttempt, now: Now) {
        let attempts = self.entry(lane, event).and_then(|entry| entry.stored.as_ref());
        let attempts = attempts.map_or(0, |stored| stored.attempts).saturating_add(1);
        self.remove(lane, event);
        self.unnoted.remove.remove(&event);
        let dead = Delivery {
            destination: self.destination.id,
            event,
            account: lane,
            state: DeliveryState::Dead { at: now.wall },
            attempts,
            last: Some(last),
        };
        self.unnoted.put.insert(event, dead);
        self.settle(lane);
    }

    /// Takes an event out of the queue, and out of the store if it is a row there.
    fn remove(&mut self, lane: Lane, event: EventPosition) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        match queue.events.remove(&event) {
            Some(Entry { stored: Some(_), .. }) => {
                self.waiting = self.waiting.saturating_sub(1);
                self.unnoted.put.remove(&event);
                self.unnoted.remove.insert(event);
            }
            Some(Entry { stored: None, .. }) => self.close(event.seq),
            None => {}
        }
    }

    // Lanes.

    fn entry(&self, lane: Lane, event: EventPosition) -> Option<&Entry> {
        self.lanes.get(&lane)?.events.get(&event)
    }

    /// Makes an open event a row of the store, which is due at once: behind another one.
    fn store_entry(&mut self, lane: Lane, event: EventPosition, now: Timestamp) {
        let entry = self
            .lanes
            .get_mut(&lane)
            .and_then(|queue| queue.events.get_mut(&event));
        let Some(entry) = entry.filter(|entry| entry.stored.is_none()) else {
            return;
        };
        (entry.row, entry.stored) = (None, Some(Stored::default()));
        self.waiting = self.waiting.saturating_add(1);
        self.close(event.seq);
        self.put_row(lane, event, now);
    }

    fn put_row(&mut self, lane: Lane, event: EventPosition, due_at: Timestamp) {
        let stored = self.entry(lane, event).and_then(|entry| entry.stored.clone());
        let Stored { attempts, last } = stored.unwrap_or_default();
        let delivery = Delivery {
            destination: self.destination.id,
            event,
            account: lane,
            state: DeliveryState::Waiting { due_at },
            attempts,
            last,
        };
        self.unnoted.remove.remove(&event);
        self.unnoted.put.insert(event, delivery);
    }

    /// An open event of a row is done, or has become a row of the store.
    fn close(&mut self, seq: Seq) {
        self.open_count = self.open_count.saturating_sub(1);
        let Some(count) = self.open.get_mut(&seq) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.open.remove(&seq);
        }
    }

    /// Has an account that does nothing go on with its first event.
    fn settle(&mut self, lane: Lane) {
        let Some(queue) = self.lanes.get(&lane) else { return };
        if queue.state != LaneState::Idle {
            return;
        }
        if queue.events.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.set_lane(lane, LaneState::Ready);
        }
    }

    fn set_lane(&mut self, lane: Lane, state: LaneState) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        match std::mem::replace(&mut queue.state, state) {
            LaneState::Delayed(due) => {
                self.delayed.remove(&(due, lane));
            }
            LaneState::Ready => {
                // Nearly always the first.
                if let Some(place) = self.ready.iter().position(|ready| *ready == lane) {
                    self.ready.remove(place);
                }
            }
            LaneState::Idle | LaneState::InFlight(_) => {}
        }
        match state {
            LaneState::Delayed(due) => {
                self.delayed.insert((due, lane));
            }
            LaneState::Ready => self.ready.push_back(lane),
            LaneState::Idle | LaneState::InFlight(_) => {}
        }
    }

    // Notes.

    /// All events of rows up to here are done, or are rows of the store.
    fn cursor(&self) -> Seq {
        let first_open = self.open.first_key_value();
        first_open.map_or(self.read_to, |(first, _)| first.saturating_sub(1))
    }

    /// The number of events that are done and not noted.
    pub(super) fn unnoted(&self) -> usize {
        let rows = self.unnoted.put.len().saturating_add(self.unnoted.remove.len());
        self.unnoted.done.saturating_add(rows)
    }

    /// Returns what to note, if anything; at the end also that nothing concerned the destination.
    pub(super) fn take_note(&mut self, now: Now, is_end: bool) -> Option<DeliveryNote> {
        let cursor = self.cursor();
        let unnoted = &self.unnoted;
        let lag = cursor.saturating_sub(self.noted_cursor);
        let is_due = unnoted.is_changed
            || unnoted.recovery.is_some()
            || !unnoted.put.is_empty()
            || self.disable.is_some()
            || lag > IDLE_LAG
            || (is_end && lag > 0);
        if !is_due {
            return None;
        }
        let Unnoted { put, remove, last_failure, recovery, .. } = std::mem::take(&mut self.unnoted);
        self.noted_cursor = cursor;
        Some(DeliveryNote {
            destination: self.destination.id,
            now: now.wall,
            cursor,
            failing_since: self.failing_since,
            last_success_at: self.last_success_at,
            last_failure,
            recovery,
            put: put.into_values().collect(),
            remove: remove.into_iter().collect(),
            disable: self.disable.map(|reason| (reason, self.destination.updated_at)),
        })
    }

    /// Takes a note back that could not be stored.
    pub(super) fn restore_note(&mut self, note: DeliveryNote) {
        let DeliveryNote { put, remove, last_failure, recovery, .. } = note;
        let unnoted = &mut self.unnoted;
        for delivery in put {
            if !unnoted.remove.contains(&delivery.event) {
                unnoted.put.entry(delivery.event).or_insert(delivery);
            }
        }
        for event in remove {
            if !unnoted.put.contains_key(&event) {
                unnoted.remove.insert(event);
            }
        }
        unnoted.last_failure = unnoted.last_failure.take().or(last_failure);
        unnoted.recovery = unnoted.recovery.or(recovery);
        unnoted.is_changed = true;
    }

    // For the turn of the sender.

    /// Returns `true` if there is something to do: to send, to read or to note.
    pub(super) fn is_busy(&self) -> bool {
        !self.is_live
            || !self.lanes.is_empty()
            || self.recovery.is_some()
            || self.unnoted.is_changed
            || self.disable.is_some()
    }

    /// When it can go on, if nothing else happens.
    pub(super) fn wakes_at(&self, settings: &SenderSettings) -> Option<Instant> {
        let limit = if self.is_failing { 1 } else { settings.concurrency };
        if self.in_flight >= limit {
            return None;
        }
        let due = self.delayed.first().map(|(due, _)| *due);
        if self.is_failing || !self.ready.is_empty() {
            return self.paused_until.filter(|_| due.is_some() || !self.ready.is_empty());
        }
        due.map(|due| self.paused_until.map_or(due, |until| due.max(until)))
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }

    pub(super) fn disable_reason(&self) -> Option<DisableReason> {
        self.disable
    }

    /// The time of the oldest open event, which was not tried yet or is under way.
    pub(super) fn oldest_open(&self) -> Option<Timestamp> {
        let (seq, _) = self.open.first_key_value()?;
        let rows = self.lanes.values().filter_map(|queue| queue.events.values().next());
        let rows = rows.filter_map(|entry| entry.row.as_ref());
        rows.filter(|row| row.seq == *seq).map(|row| row.at).next()
    }
}

/// A pause that is up to a tenth longer or shorter, so that receivers are not asked in step.
fn with_jitter(pause: Duration) -> Duration {
    let mut random = [0; 1];
    // Without random numbers there is no jitter.
    let part =
        getrandom::fill(&mut random).map_or(128, |()| random.iter().copied().map(u32::from).sum());
    let tenth = pause.checked_div(10).unwrap_or_default();
    let jitter = tenth.saturating_mul(part).checked_div(128).unwrap_or_default();
    pause.saturating_sub(tenth).saturating_add(jitter)
}
