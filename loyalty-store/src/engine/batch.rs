//! Decided requests that share a commit: what must be written for them, and what later decisions
//! see of them.

mod catalogue;
pub(super) mod view;

use std::sync::Arc;

use loyalty_core::{
    AccountId, CodeId, CustomerId, Email, ImportId, OrderId, PriceRuleId, Program, ProgramVersion,
    ShopId, Timestamp,
};
use tokio::sync::oneshot;

use self::catalogue::StagedCatalogue;
use super::map::{Map, Set};
use super::response_slot::NumberedResponse;
use super::states::StateChanges;
use crate::discount::index::IndexChange;
use crate::erasure::Erasure;
use crate::error::Failure;
use crate::import::{ImportChange, ImportRecord};
use crate::projections::{Projection, ProjectionKey};
use crate::record::{CustomerRecord, JournalRow, OrderRecord, Seq, to_json};
use crate::request::Reply;
use crate::timeline::{ProgramTimeline, PublishedProgram, RescheduleProgress};
use crate::transact::{
    AssignedNumbers, CatalogueChange, ChangeSet, CodeClaim, CustomerChange, Rewrites,
};

/// A reply, and where to send it.
pub(super) type QueuedReply = (oneshot::Sender<Result<Reply, Failure>>, Result<Reply, Failure>);

/// The last numbers in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sequences {
    pub(super) seq: Seq,
    pub(super) account: i64,
    pub(super) response: i64,
}

/// Requests that share a commit. `S` is what they have changed: owned by the open batch, shared once
/// it is in flight.
pub(super) struct Batch<S = Arc<BatchState>> {
    pub(super) writes: BatchWrites,
    pub(super) state: S,
    /// Sent after the commit, also for requests that changed nothing: they may depend on others.
    pub(super) replies: Vec<QueuedReply>,
    /// The time of the last request.
    pub(super) now: Timestamp,
}

impl Batch<BatchState> {
    /// An empty batch that continues after the last numbers in use.
    pub(super) fn following(last: Sequences) -> Self {
        Self {
            writes: BatchWrites::default(),
            state: BatchState::new(last),
            replies: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    pub(super) fn into_shared(self) -> Batch {
        let Self { writes, state, replies, now } = self;
        Batch { writes, state: Arc::new(state), replies, now }
    }
}

/// Everything that must be durable before the replies, each list in the order of the decisions.
#[derive(Default)]
pub(crate) struct BatchWrites {
    /// Rows, each with its events as JSON.
    pub(crate) journal: Vec<(Arc<JournalRow>, String)>,
    pub(crate) customers: Vec<CustomerChange>,
    pub(crate) index_changes: Vec<(ShopId, IndexChange)>,
    /// Each with [`TimelineVersion::keeps_schedule`](crate::timeline::TimelineVersion).
    pub(crate) programs: Vec<(ShopId, PublishedProgram, bool)>,
    pub(crate) reschedule_progress: Vec<(ShopId, Option<RescheduleProgress>)>,
    pub(crate) due_changes: Vec<(AccountId, Option<Timestamp>)>,
    pub(crate) claims: Vec<(ShopId, CodeClaim, AccountId)>,
    pub(crate) catalogue_changes: Vec<(ShopId, Vec<CatalogueChange>, AssignedNumbers)>,
    pub(crate) erasures: Vec<Arc<Erasure>>,
    pub(crate) rewrites: BatchRewrites,
    pub(crate) imports: Vec<(ShopId, ImportChange)>,
    pub(crate) responses: Vec<NumberedResponse>,
}

/// What replaces earlier content at once, and not behind the commit.
#[derive(Default)]
pub(crate) struct BatchRewrites {
    /// Rows by their positions, each with its events as JSON.
    pub(crate) rows: Vec<(Seq, String)>,
    pub(crate) orders: Vec<((ShopId, OrderId), Arc<OrderRecord>)>,
    pub(crate) projections: Vec<((ShopId, ProjectionKey), Arc<Projection>)>,
    pub(crate) responses: Vec<NumberedResponse>,
}

impl BatchWrites {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            journal,
            customers,
            index_changes,
            programs,
            reschedule_progress,
            due_changes,
            claims,
            catalogue_changes,
            erasures,
            rewrites,
            imports,
            responses,
        } = self;
        journal.is_empty()
            && responses.is_empty()
            && customers.is_empty()
            && index_changes.is_empty()
            && programs.is_empty()
            && reschedule_progress.is_empty()
            && due_changes.is_empty()
            && claims.is_empty()
            && catalogue_changes.is_empty()
            && erasures.is_empty()
            && rewrites.rows.is_empty()
            && rewrites.responses.is_empty()
            && imports.is_empty()
    }
}

/// The changes of one request, with the events of each row as JSON.
pub(super) struct SerializedChanges {
    changes: ChangeSet,
    events: Vec<String>,
    rewritten_events: Vec<String>,
}

impl ChangeSet {
    /// Serializes the rows.
    ///
    /// # Errors
    /// Fails if one cannot be. That concerns this request only.
    pub(super) fn serialize(self) -> Result<SerializedChanges, Failure> {
        let events = self.journal.iter().map(|row| to_json(&*row.events));
        let rewritten = self.rewrites.rows.iter().map(|row| to_json(&*row.events));
        Ok(SerializedChanges {
            events: events.collect::<Result<_, _>>()?,
            rewritten_events: rewritten.collect::<Result<_, _>>()?,
            changes: self,
        })
    }
}

impl SerializedChanges {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Returns `true` if there is a new customer.
    pub(super) fn adds_customer(&self) -> bool {
        self.changes.customers.iter().any(|change| change.before.is_none())
    }

    /// Moves the rows by some places in the journal, since others have come before them: those
    /// after the row `base`.
    pub(super) fn move_rows(&mut self, base: Seq, places: Seq) {
        let moved = |seq: &mut Seq| {
            if *seq > base {
                *seq = seq.saturating_add(places);
            }
        };
        for row in &mut self.changes.journal {
            let row = Arc::make_mut(row);
            moved(&mut row.seq);
            row.previous.as_mut().map(moved);
        }
        for (_, record) in &mut self.changes.accounts {
            if record.seq > base {
                moved(&mut Arc::make_mut(record).seq);
            }
        }
        for (_, record) in &mut self.changes.orders {
            let record = Arc::make_mut(record);
            moved(&mut record.seq);
            record.snapshot.as_mut().map(moved);
        }
        for (_, record) in &mut self.changes.projections {
            if record.seq > base {
                moved(&mut Arc::make_mut(record).seq);
            }
        }
    }
}

/// What the requests of a batch have changed, for the decisions after them.
pub(super) struct BatchState {
    pub(super) sequences: Sequences,
    shops: Set<ShopId>,
    pub(super) states: StateChanges,
    pub(super) index_changes: Vec<(ShopId, IndexChange)>,
    codes_by_key: Map<(ShopId, String), Option<CodeId>>,
    emails_by_rule: Map<(ShopId, PriceRuleId), Arc<[Email]>>,
    pub(super) customer_changes: Vec<CustomerChange>,
    customers_by_account: Map<AccountId, Option<Arc<CustomerRecord>>>,
    accounts_by_id: Map<(ShopId, CustomerId), Option<AccountId>>,
    accounts_by_email: Map<(ShopId, String), Option<AccountId>>,
    catalogue: StagedCatalogue,
    imports: Map<(ShopId, ImportId), Arc<ImportRecord>>,
    /// By version; the newest is also under `None`.
    pub(super) programs: Map<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
    pub(super) timelines: Map<ShopId, Arc<ProgramTimeline>>,
    claims: Map<(ShopId, CodeClaim), AccountId>,
    pub(super) erasures: Vec<Arc<Erasure>>,
}

impl BatchState {
    pub(super) fn new(sequences: Sequences) -> Self {
        Self {
            sequences,
            shops: Set::default(),
            states: StateChanges::default(),
            index_changes: Vec::new(),
            codes_by_key: Map::default(),
            emails_by_rule: Map::default(),
            customer_changes: Vec::new(),
            customers_by_account: Map::default(),
            accounts_by_id: Map::default(),
            accounts_by_email: Map::default(),
            catalogue: StagedCatalogue::default(),
            imports: Map::default(),
            programs: Map::default(),
            timelines: Map::default(),
            claims: Map::default(),
            erasures: Vec::new(),
        }
    }

    /// Returns `true` if the batch has a change of the shop.
    pub(super) fn contains_shop(&self, shop: ShopId) -> bool {
        self.shops.contains(&shop)
    }

    /// Adds the changes of one request.
    pub(super) fn apply(
        &mut self,
        writes: &mut BatchWrites,
        shop: ShopId,
        SerializedChanges { changes, events, rewritten_events }: SerializedChanges,
    ) {
        // A request without changes may be answered without a commit.
        if !changes.is_empty() {
            self.shops.insert(shop);
        }
        for (row, events) in changes.journal.into_iter().zip(events) {
            self.sequences.seq = row.seq;
            writes.journal.push((row, events));
        }

        for change in changes.index_changes {
            self.apply_index_change(shop, &change);
            writes.index_changes.push((shop, change.clone()));
            self.index_changes.push((shop, change));
        }
        for change in changes.customers {
            self.apply_customer_change(&change);
            writes.customers.push(change.clone());
            self.customer_changes.push(change);
        }
        for (claim, account) in changes.claims {
            writes.claims.push((shop, claim.clone(), account));
            self.claims.insert((shop, claim), account);
        }
        if !changes.catalogue_changes.is_empty() {
            let (changes, numbers) = (changes.catalogue_changes, changes.assigned_numbers);
            self.catalogue.apply(shop, &changes, &numbers);
            writes.catalogue_changes.push((shop, changes, numbers));
        }

        if let Some(import) = changes.import {
            let key = (shop, import.record.id.clone());
            self.imports.insert(key, Arc::clone(&import.record));
            writes.imports.push((shop, import));
        }

        if let Some(published) = changes.program {
            let version = published.version;
            for key in [None, Some(version)] {
                let program = (version, Arc::clone(&published.program));
                self.programs.insert((shop, key), program);
            }
            let timeline = changes.timeline.as_ref();
            let keeps_schedule = timeline.is_some_and(|timeline| timeline.keeps_schedule());
            writes.programs.push((shop, published, keeps_schedule));
        }
        if let Some(timeline) = changes.timeline {
            writes
                .reschedule_progress
                .push((shop, timeline.reschedule_progress()));
            self.timelines.insert(shop, timeline);
        }
        writes.due_changes.extend(changes.due_changes);
        writes.erasures.extend(changes.erasures.iter().cloned());
        self.erasures.extend(changes.erasures);
        self.apply_rewrites(writes, shop, changes.rewrites, rewritten_events);

        if let Some(response) = changes.stored_response {
            self.sequences.response = self.sequences.response.saturating_add(1);
            let key = (response.shop, response.key);
            let numbered = (self.sequences.response, Arc::new(response));
            writes.responses.push(numbered.clone());
            self.states.responses.insert(key, numbered);
        }
        let in_shop = changes.orders.into_iter().map(|(id, record)| ((shop, id), record));
        self.states.orders.extend(in_shop);
        let in_shop = changes
            .projections
            .into_iter()
            .map(|(key, record)| ((shop, key), record));
        self.states.projections.extend(in_shop);
        self.states.accounts.extend(changes.accounts);
    }

    fn apply_rewrites(
        &mut self,
        writes: &mut BatchWrites,
        shop: ShopId,
        rewrites: Rewrites,
        events: Vec<String>,
    ) {
        let writes = &mut writes.rewrites;
        let seqs = rewrites.rows.iter().map(|row| row.seq);
        writes.rows.extend(seqs.zip(events));
        for (id, record) in rewrites.orders {
            writes.orders.push(((shop, id.clone()), Arc::clone(&record)));
            self.states.orders.insert((shop, id), record);
        }
        for (key, record) in rewrites.projections {
            writes.projections.push(((shop, key.clone()), Arc::clone(&record)));
            self.states.projections.insert((shop, key), record);
        }
        for (number, response, is_current) in rewrites.responses {
            let numbered = (number, Arc::new(response));
            if is_current {
                let key = (shop, numbered.1.key);
                self.states.responses.insert(key, numbered.clone());
            }
            writes.responses.push(numbered);
        }
    }

    fn apply_index_change(&mut self, shop: ShopId, change: &IndexChange) {
        match change {
            IndexChange::PutRule(_) => {}
            IndexChange::DeleteRule(rule) => {
                self.emails_by_rule.insert((shop, *rule), Arc::default());
            }
            IndexChange::PutEmails(rule, emails) => {
                self.emails_by_rule.insert((shop, *rule), Arc::clone(emails));
            }
            IndexChange::PutCode(key, _, code) => {
                self.codes_by_key.insert((shop, key.clone()), Some(*code));
            }
            IndexChange::DeleteCode(key, _) => {
                self.codes_by_key.insert((shop, key.clone()), None);
            }
        }
    }

    fn apply_customer_change(&mut self, change: &CustomerChange) {
        // First the old keys point nowhere, then the new ones to the account: most stay the same.
        for (record, exists) in [(&change.before, false), (&change.after, true)] {
            let Some(record) = record else { continue };
            let account = exists.then_some(record.account);
            for id in record.ids() {
                self.accounts_by_id.insert((record.shop, id.clone()), account);
            }
            if let Some(email) = &record.email {
                let key = (record.shop, email.key().to_owned());
                self.accounts_by_email.insert(key, account);
            }
            self.sequences.account = self.sequences.account.max(record.account.0);
            let customer = exists.then(|| Arc::clone(record));
            self.customers_by_account.insert(record.account, customer);
        }
    }
}
