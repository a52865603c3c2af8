//! Decided requests that share a commit: what must be written for them, and what later decisions
//! see of them.

mod catalogue;
pub(super) mod view;

use std::sync::Arc;

use loyalty_core::{
    AccountId, CodeId, CustomerId, Email, PriceRuleId, Program, ProgramVersion, ShopId, Timestamp,
};
use tokio::sync::oneshot;

use self::catalogue::StagedCatalogue;
use super::map::Map;
use super::response_slot::NumberedResponse;
use super::states::StateChanges;
use crate::discount::index::IndexChange;
use crate::error::Failure;
use crate::record::{CustomerRecord, JournalRow, Seq, to_json};
use crate::request::Reply;
use crate::timeline::{ProgramTimeline, PublishedProgram};
use crate::transact::{AssignedNumbers, CatalogueChange, ChangeSet, CodeClaim, CustomerChange};

/// A reply, and where to send it.
pub(super) type QueuedReply = (oneshot::Sender<Result<Reply, Failure>>, Result<Reply, Failure>);

/// The last numbers in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequences {
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
    pub(crate) programs: Vec<(ShopId, PublishedProgram)>,
    pub(crate) reschedule_cursors: Vec<(ShopId, Option<AccountId>)>,
    pub(crate) due_changes: Vec<(AccountId, Option<Timestamp>)>,
    pub(crate) claims: Vec<(ShopId, CodeClaim, AccountId)>,
    pub(crate) catalogue_changes: Vec<(ShopId, Vec<CatalogueChange>, AssignedNumbers)>,
    pub(crate) responses: Vec<NumberedResponse>,
}

impl BatchWrites {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            journal,
            customers,
            index_changes,
            programs,
            reschedule_cursors,
            due_changes,
            claims,
            catalogue_changes,
            responses,
        } = self;
        journal.is_empty()
            && responses.is_empty()
            && customers.is_empty()
            && index_changes.is_empty()
            && programs.is_empty()
            && reschedule_cursors.is_empty()
            && due_changes.is_empty()
            && claims.is_empty()
            && catalogue_changes.is_empty()
    }
}

/// What the requests of a batch have changed, for the decisions after them.
pub(super) struct BatchState {
    pub(super) sequences: Sequences,
    pub(super) states: StateChanges,
    pub(super) index_changes: Vec<(ShopId, IndexChange)>,
    codes_by_key: Map<(ShopId, String), Option<CodeId>>,
    emails_by_rule: Map<(ShopId, PriceRuleId), Arc<[Email]>>,
    pub(super) customer_changes: Vec<CustomerChange>,
    customers_by_account: Map<AccountId, Option<Arc<CustomerRecord>>>,
    accounts_by_id: Map<(ShopId, CustomerId), Option<AccountId>>,
    accounts_by_email: Map<(ShopId, String), Option<AccountId>>,
    catalogue: StagedCatalogue,
    /// By version; the newest is also under `None`.
    pub(super) programs: Map<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
    pub(super) timelines: Map<ShopId, Arc<ProgramTimeline>>,
    claims: Map<(ShopId, CodeClaim), AccountId>,
}

impl BatchState {
    fn new(sequences: Sequences) -> Self {
        Self {
            sequences,
            states: StateChanges::default(),
            index_changes: Vec::new(),
            codes_by_key: Map::default(),
            emails_by_rule: Map::default(),
            customer_changes: Vec::new(),
            customers_by_account: Map::default(),
            accounts_by_id: Map::default(),
            accounts_by_email: Map::default(),
            catalogue: StagedCatalogue::default(),
            programs: Map::default(),
            timelines: Map::default(),
            claims: Map::default(),
        }
    }

    /// Adds the changes of one request.
    ///
    /// # Errors
    /// Fails if a row cannot be serialized. Nothing is changed then.
    pub(super) fn apply(
        &mut self,
        writes: &mut BatchWrites,
        shop: ShopId,
        changes: ChangeSet,
    ) -> Result<(), Failure> {
        // All rows before anything changes: a failure concerns this request only.
        let events = changes.journal.iter().map(|row| to_json(&*row.events));
        let events = events.collect::<Result<Vec<_>, _>>()?;
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

        if let Some(published) = changes.program {
            let version = published.version;
            for key in [None, Some(version)] {
                let program = (version, Arc::clone(&published.program));
                self.programs.insert((shop, key), program);
            }
            writes.programs.push((shop, published));
        }
        if let Some(timeline) = changes.timeline {
            writes.reschedule_cursors.push((shop, timeline.reschedule_cursor()));
            self.timelines.insert(shop, timeline);
        }
        writes.due_changes.extend(changes.due_changes);

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
        Ok(())
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
