//! What was decided and is not committed yet: what must be written for it, and what the next decisions
//! see of it.

use std::sync::Arc;

use loyalty_core::{
    AccountId, CodeId, CustomerId, Email, OrderId, PriceRuleId, Program, ProgramVersion, ShopId,
    Timestamp,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::catalogue::{self, StagedCatalogue};
use super::committed::CommittedState;
use super::responses::{self, NumberedResponse, ResponseKey};
use super::{Map, code_claims, discounts, due_index, rows};
use crate::catalogue::SavedSearch;
use crate::discount::index::IndexChange;
use crate::discount::lookup::DiscountView;
use crate::error::Failure;
use crate::numeric_id::NumericId;
use crate::projections::{Projection, ProjectionKey};
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, JournalRow, OrderRecord, Seq};
use crate::request::Reply;
use crate::shop::Shop;
use crate::timeline::{ProgramTimeline, PublishedProgram};
use crate::transact::{
    AssignedNumbers, CatalogueChange, CatalogueView, ChangeSet, CodeClaim, CustomerChange,
    StoredResponse, TransactionView,
};

/// A reply and where it is awaited.
pub(super) type QueuedReply = (oneshot::Sender<Result<Reply, Failure>>, Result<Reply, Failure>);

/// The last numbers that were given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequences {
    pub(super) seq: Seq,
    pub(super) account: i64,
    pub(super) response: i64,
}

/// Requests that share a commit. `S` is what they have changed: their own, and shared once no more join them.
pub(super) struct Batch<S = Arc<BatchState>> {
    pub(super) writes: BatchWrites,
    pub(super) state: S,
    /// Told only when all is committed, also what changed nothing: it may rest on what does.
    pub(super) replies: Vec<QueuedReply>,
    /// The time of its last request.
    pub(super) now: Timestamp,
}

impl Batch<BatchState> {
    /// An empty one, behind what has these last numbers.
    pub(super) fn following(last: Sequences) -> Self {
        let state = BatchState::new(last);
        Self {
            writes: BatchWrites::default(),
            state,
            replies: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    pub(super) fn into_shared(self) -> Batch {
        let Self { writes, state: staged, replies, now } = self;
        Batch { writes, state: Arc::new(staged), replies, now }
    }
}

/// What must be on the disk before an answer, in the sequence in which it came about.
#[derive(Default)]
pub(super) struct BatchWrites {
    journal: Vec<(Arc<JournalRow>, String)>,
    customers: Vec<CustomerChange>,
    index_changes: Vec<(ShopId, IndexChange)>,
    programs: Vec<(ShopId, PublishedProgram)>,
    reschedule_cursors: Vec<(ShopId, Option<AccountId>)>,
    due_changes: Vec<(AccountId, Option<Timestamp>)>,
    claims: Vec<(ShopId, CodeClaim, AccountId)>,
    catalogue_changes: Vec<(ShopId, Vec<CatalogueChange>, AssignedNumbers)>,
    responses: Vec<NumberedResponse>,
}

impl BatchWrites {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            journal,
            customers,
            index_changes: indexed,
            programs,
            reschedule_cursors: sweeps,
            due_changes: dues,
            claims,
            catalogue_changes: shelved,
            responses: answers,
        } = self;
        let records =
            journal.is_empty() && customers.is_empty() && programs.is_empty() && shelved.is_empty();
        let found = indexed.is_empty() && sweeps.is_empty() && dues.is_empty() && claims.is_empty();
        records && found && answers.is_empty()
    }

    /// Answers how many blocks of answers it wrote.
    pub(super) fn write(&self, db: &Connection) -> Result<usize, Failure> {
        rows::append_journal(db, &self.journal)?;
        self.customers
            .iter()
            .try_for_each(|change| rows::write_customer_change(db, change))?;
        self.index_changes
            .iter()
            .try_for_each(|(shop, change)| discounts::write_index_change(db, *shop, change))?;
        for (shop, PublishedProgram { version, program, in_force_from: from }) in &self.programs {
            rows::insert_program(db, *shop, *version, program, *from)?;
        }
        self.reschedule_cursors
            .iter()
            .try_for_each(|(shop, up_to)| due_index::write_reschedule_cursor(db, *shop, *up_to))?;
        for (shop, shelved, numbered) in &self.catalogue_changes {
            catalogue::write_changes(db, *shop, shelved, numbered)?;
        }
        for (shop, name, account) in &self.claims {
            code_claims::insert_code_claim(db, *shop, name, *account)?;
        }
        responses::append_responses(db, &self.responses)
    }

    /// After what is written behind, which knows nothing of this batch.
    pub(super) fn write_dues(&self, db: &Connection) -> Result<(), Failure> {
        self.due_changes
            .iter()
            .try_for_each(|(account, due)| due_index::write_due(db, *account, *due))
    }
}

/// What the requests of a batch have changed, as the requests after them see it.
pub(super) struct BatchState {
    pub(super) sequences: Sequences,
    pub(super) accounts: Map<AccountId, Arc<AccountRecord>>,
    pub(super) orders: Map<(ShopId, OrderId), Arc<OrderRecord>>,
    pub(super) projections: Map<(ShopId, ProjectionKey), Arc<Projection>>,
    pub(super) index_changes: Vec<(ShopId, IndexChange)>,
    codes_by_key: Map<(ShopId, String), Option<CodeId>>,
    emails_by_rule: Map<(ShopId, PriceRuleId), Arc<[Email]>>,
    pub(super) customer_changes: Vec<CustomerChange>,
    customers_by_account: Map<AccountId, Option<Arc<CustomerRecord>>>,
    accounts_by_id: Map<(ShopId, CustomerId), Option<AccountId>>,
    accounts_by_email: Map<(ShopId, String), Option<AccountId>>,
    pub(super) catalogue: StagedCatalogue,
    pub(super) responses: Map<ResponseKey, NumberedResponse>,
    /// By version, and the newest by none.
    pub(super) programs: Map<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
    pub(super) timelines: Map<ShopId, Arc<ProgramTimeline>>,
    pub(super) claims: Map<(ShopId, CodeClaim), AccountId>,
}

impl BatchState {
    fn new(sequences: Sequences) -> Self {
        Self {
            sequences,
            accounts: Map::default(),
            orders: Map::default(),
            projections: Map::default(),
            index_changes: Vec::new(),
            codes_by_key: Map::default(),
            emails_by_rule: Map::default(),
            customer_changes: Vec::new(),
            customers_by_account: Map::default(),
            accounts_by_id: Map::default(),
            accounts_by_email: Map::default(),
            catalogue: StagedCatalogue::default(),
            responses: Map::default(),
            programs: Map::default(),
            timelines: Map::default(),
            claims: Map::default(),
        }
    }

    /// How many states it leaves for their tables.
    pub(super) fn pending_state_count(&self) -> usize {
        let folds = self.accounts.len().saturating_add(self.orders.len());
        folds
            .saturating_add(self.projections.len())
            .saturating_add(self.responses.len())
    }

    /// Takes the changes of one request: all of them, or none where a record cannot be written.
    pub(super) fn apply(
        &mut self,
        writes: &mut BatchWrites,
        shop: ShopId,
        changes: ChangeSet,
    ) -> Result<(), Failure> {
        let events = changes.journal.iter().map(|row| rows::to_json(&*row.events));
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
        if let Some(published) = changes.program {
            let version = published.version;
            for asked in [None, Some(version)] {
                self.programs
                    .insert((shop, asked), (version, Arc::clone(&published.program)));
            }
            writes.programs.push((shop, published));
        }
        if let Some(history) = changes.timeline {
            writes.reschedule_cursors.push((shop, history.reschedule_cursor()));
            self.timelines.insert(shop, history);
        }
        writes.due_changes.extend(changes.due_changes);
        for (claim, account) in changes.claims {
            writes.claims.push((shop, claim.clone(), account));
            self.claims.insert((shop, claim), account);
        }
        if !changes.catalogue_changes.is_empty() {
            self.catalogue
                .apply(shop, &changes.catalogue_changes, &changes.assigned_numbers);
            writes.catalogue_changes.push((
                shop,
                changes.catalogue_changes,
                changes.assigned_numbers,
            ));
        }
        if let Some(kept) = changes.stored_response {
            self.sequences.response = self.sequences.response.saturating_add(1);
            let (key, placed) = ((kept.shop, kept.key), (self.sequences.response, Arc::new(kept)));
            writes.responses.push(placed.clone());
            self.responses.insert(key, placed);
        }
        self.accounts.extend(changes.accounts);
        self.projections.extend(
            changes
                .projections
                .into_iter()
                .map(|(key, record)| ((shop, key), record)),
        );
        self.orders
            .extend(changes.orders.into_iter().map(|(id, record)| ((shop, id), record)));
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
        for (record, stands) in [(&change.before, false), (&change.after, true)] {
            let Some(record) = record else { continue };
            let account = stands.then_some(record.account);
            if let Some(id) = &record.id {
                self.accounts_by_id.insert((record.shop, id.clone()), account);
            }
            if let Some(email) = &record.email {
                self.accounts_by_email
                    .insert((record.shop, email.key().to_owned()), account);
            }
            self.sequences.account = self.sequences.account.max(record.account.0);
            self.customers_by_account
                .insert(record.account, stands.then(|| Arc::clone(record)));
        }
    }
}

/// What a decision reads: the changes of its batch, then those of the batch that is being committed,
/// then what is committed.
pub(super) struct BatchView<'a> {
    pub(super) committed: &'a CommittedState,
    pub(super) batch: &'a BatchState,
    pub(super) in_flight: Option<&'a BatchState>,
}

impl<'a> BatchView<'a> {
    /// What the newest batch that has something says.
    pub(super) fn find_uncommitted<T>(
        &self,
        look: impl Fn(&'a BatchState) -> Option<T>,
    ) -> Option<T> {
        look(self.batch).or_else(|| self.in_flight.and_then(look))
    }
}

impl DiscountView for BatchView<'_> {
    fn projection(
        &mut self,
        shop: ShopId,
        key: &ProjectionKey,
    ) -> Result<Option<Arc<Projection>>, Failure> {
        let key = (shop, key.clone());
        match self.find_uncommitted(|staged| staged.projections.get(&key)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.committed.projection(&key),
        }
    }

    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        let key = (shop, key.to_owned());
        match self.find_uncommitted(|staged| staged.codes_by_key.get(&key)) {
            Some(code) => Ok(*code),
            None => self.committed.code_by_key(&key),
        }
    }

    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure> {
        match self.find_uncommitted(|staged| staged.emails_by_rule.get(&(shop, rule))) {
            Some(emails) => Ok(Arc::clone(emails)),
            None => self.committed.emails_of_rule((shop, rule)),
        }
    }

    fn find_saved_search(
        &mut self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        CatalogueView::saved_search(self, shop, number)
    }

    fn customer_view(&mut self, account: AccountId) -> Result<Option<CustomerView>, Failure> {
        let Some(customer) = self.customer(account)? else { return Ok(None) };
        let (shop, account) = (customer.shop, self.account(account)?);
        let (Some(account), Some(history)) = (account, self.timeline(shop)?) else {
            return Ok(None);
        };
        let terms = history.programs_for(&account, Some(&customer), |version| {
            let found = self.program(shop, Some(version))?;
            let lost = || Failure::Corrupt(format!("shop {shop} has no program {version}"));
            found.map(|(_, program)| program).ok_or_else(lost)
        })?;
        Ok(Some(CustomerView::new(customer, account, terms)))
    }
}

impl TransactionView for BatchView<'_> {
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.committed.shop(shop)
    }

    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        match self.find_uncommitted(|staged| staged.programs.get(&(shop, version))) {
            Some(program) => Ok(Some(program.clone())),
            None => self.committed.program(shop, version),
        }
    }

    fn timeline(&mut self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        match self.find_uncommitted(|staged| staged.timelines.get(&shop)) {
            Some(history) => Ok(Some(Arc::clone(history))),
            None => self.committed.timeline(shop),
        }
    }

    fn accounts(
        &mut self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure> {
        let mut accounts = self
            .committed
            .with_reader(|db| due_index::read_account_ids(db, shop, after, limit))?;
        let batches = [Some(self.batch), self.in_flight].into_iter().flatten();
        let staged = batches.flat_map(|staged| staged.customers_by_account.values().flatten());
        let fresh = staged.filter(|record| record.shop == shop && record.account > after);
        accounts.extend(fresh.map(|record| record.account));
        accounts.sort_unstable();
        accounts.dedup();
        accounts.truncate(limit);
        Ok(accounts)
    }

    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        match self.find_uncommitted(|staged| staged.accounts.get(&account)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.committed.account(account),
        }
    }

    fn customer(&mut self, account: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        match self.find_uncommitted(|staged| staged.customers_by_account.get(&account)) {
            Some(record) => Ok(record.clone()),
            None => self.committed.customer(account),
        }
    }

    fn account_by_id(
        &mut self,
        shop: ShopId,
        id: &CustomerId,
    ) -> Result<Option<AccountId>, Failure> {
        let key = (shop, id.clone());
        match self.find_uncommitted(|staged| staged.accounts_by_id.get(&key)) {
            Some(account) => Ok(*account),
            None => self.committed.account_by_id(&key),
        }
    }

    fn account_by_email(
        &mut self,
        shop: ShopId,
        email: &Email,
    ) -> Result<Option<AccountId>, Failure> {
        let key = (shop, email.key().to_owned());
        match self.find_uncommitted(|staged| staged.accounts_by_email.get(&key)) {
            Some(account) => Ok(*account),
            None => self.committed.account_by_email(&key),
        }
    }

    fn order(
        &mut self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let key = (shop, order.clone());
        match self.find_uncommitted(|staged| staged.orders.get(&key)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.committed.order(&key),
        }
    }

    fn stored_response(
        &mut self,
        shop: ShopId,
        key: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<StoredResponse>, Failure> {
        let key = (shop, *key);
        let kept = match self.find_uncommitted(|staged| staged.responses.get(&key)) {
            Some((_, kept)) => Some(Arc::clone(kept)),
            None => self.committed.stored_response(&key)?,
        };
        Ok(kept
            .filter(|kept| kept.is_replayable(now))
            .map(|kept| (*kept).clone()))
    }

    fn next_numbers(&self) -> (AccountId, Seq) {
        let Sequences { seq, account, .. } = self.batch.sequences;
        (AccountId(account.saturating_add(1)), seq.saturating_add(1))
    }
}
