//! What was decided and is not committed yet: what must be written for it, and what the next decisions
//! see of it.

use std::sync::Arc;

use loyalty_core::{
    AccountId, CodeId, CustomerId, Email, OrderId, PriceRuleId, Program, ProgramVersion, ShopId,
    Timestamp,
};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::answers::{self, AnswerKey, Placed};
use super::catalogue::{self, StagedShelf};
use super::shared::Shared;
use super::{Map, claim, discount, rows, time};
use crate::catalogue::SavedSearch;
use crate::discount::lookup::DiscountView;
use crate::discount::index::IndexChange;
use crate::error::Failure;
use crate::projections::{ProjectionKey, Projection};
use crate::numeric_id::NumericId;
use crate::query::CustomerView;
use crate::record::{AccountRecord, CustomerRecord, JournalRow, OrderRecord, Seq};
use crate::request::Reply;
use crate::shop::Shop;
use crate::timeline::{ProgramTimeline, PublishedProgram};
use crate::transact::{
    CatalogueView, ChangeSet, CodeClaim, CustomerChange, StoredResponse, AssignedNumbers, CatalogueChange, TransactionView,
};

/// A reply and where it is awaited.
pub(super) type Answered = (oneshot::Sender<Result<Reply, Failure>>, Result<Reply, Failure>);

/// The last numbers that were given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) seq: Seq,
    pub(super) account: i64,
    pub(super) answer: i64,
}

/// Requests that share a commit. `S` is what they have changed: their own, and shared once no more join them.
pub(super) struct Batch<S = Arc<Staged>> {
    pub(super) writes: Writes,
    pub(super) staged: S,
    /// Told only when all is committed, also what changed nothing: it may rest on what does.
    pub(super) replies: Vec<Answered>,
    /// The time of its last request.
    pub(super) now: Timestamp,
}

impl Batch<Staged> {
    /// An empty one, behind what has these last numbers.
    pub(super) fn on(last: Last) -> Self {
        let staged = Staged::new(last);
        Self {
            writes: Writes::default(),
            staged,
            replies: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    pub(super) fn shared(self) -> Batch {
        let Self { writes, staged, replies, now } = self;
        Batch { writes, staged: Arc::new(staged), replies, now }
    }
}

/// What must be on the disk before an answer, in the sequence in which it came about.
#[derive(Default)]
pub(super) struct Writes {
    journal: Vec<(Arc<JournalRow>, String)>,
    customers: Vec<CustomerChange>,
    indexed: Vec<(ShopId, IndexChange)>,
    programs: Vec<(ShopId, PublishedProgram)>,
    sweeps: Vec<(ShopId, Option<AccountId>)>,
    dues: Vec<(AccountId, Option<Timestamp>)>,
    claims: Vec<(ShopId, CodeClaim, AccountId)>,
    shelved: Vec<(ShopId, Vec<CatalogueChange>, AssignedNumbers)>,
    answers: Vec<Placed>,
}

impl Writes {
    pub(super) fn is_empty(&self) -> bool {
        let Self {
            journal,
            customers,
            indexed,
            programs,
            sweeps,
            dues,
            claims,
            shelved,
            answers,
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
            .try_for_each(|change| rows::put_customer(db, change))?;
        self.indexed
            .iter()
            .try_for_each(|(shop, change)| discount::put_index(db, *shop, change))?;
        for (shop, PublishedProgram { version, program, in_force_from: from }) in &self.programs {
            rows::add_program(db, *shop, *version, program, *from)?;
        }
        self.sweeps
            .iter()
            .try_for_each(|(shop, up_to)| time::put_sweep(db, *shop, *up_to))?;
        for (shop, shelved, numbered) in &self.shelved {
            catalogue::write(db, *shop, shelved, numbered)?;
        }
        for (shop, name, account) in &self.claims {
            claim::write(db, *shop, name, *account)?;
        }
        answers::append(db, &self.answers)
    }

    /// After what is written behind, which knows nothing of this batch.
    pub(super) fn write_dues(&self, db: &Connection) -> Result<(), Failure> {
        self.dues
            .iter()
            .try_for_each(|(account, due)| time::put_due(db, *account, *due))
    }
}

/// What the requests of a batch have changed, as the requests after them see it.
pub(super) struct Staged {
    pub(super) last: Last,
    pub(super) accounts: Map<AccountId, Arc<AccountRecord>>,
    pub(super) orders: Map<(ShopId, OrderId), Arc<OrderRecord>>,
    pub(super) keyed: Map<(ShopId, ProjectionKey), Arc<Projection>>,
    pub(super) indexed: Vec<(ShopId, IndexChange)>,
    codes: Map<(ShopId, String), Option<CodeId>>,
    rule_emails: Map<(ShopId, PriceRuleId), Arc<[Email]>>,
    pub(super) customers: Vec<CustomerChange>,
    by_account: Map<AccountId, Option<Arc<CustomerRecord>>>,
    by_id: Map<(ShopId, CustomerId), Option<AccountId>>,
    by_email: Map<(ShopId, String), Option<AccountId>>,
    pub(super) shelf: StagedShelf,
    pub(super) answers: Map<AnswerKey, Placed>,
    /// By version, and the newest by none.
    pub(super) programs: Map<(ShopId, Option<ProgramVersion>), (ProgramVersion, Arc<Program>)>,
    pub(super) histories: Map<ShopId, Arc<ProgramTimeline>>,
    pub(super) claims: Map<(ShopId, CodeClaim), AccountId>,
}

impl Staged {
    fn new(last: Last) -> Self {
        Self {
            last,
            accounts: Map::default(),
            orders: Map::default(),
            keyed: Map::default(),
            indexed: Vec::new(),
            codes: Map::default(),
            rule_emails: Map::default(),
            customers: Vec::new(),
            by_account: Map::default(),
            by_id: Map::default(),
            by_email: Map::default(),
            shelf: StagedShelf::default(),
            answers: Map::default(),
            programs: Map::default(),
            histories: Map::default(),
            claims: Map::default(),
        }
    }

    /// How many states it leaves for their tables.
    pub(super) fn states(&self) -> usize {
        let folds = self.accounts.len().saturating_add(self.orders.len());
        folds
            .saturating_add(self.keyed.len())
            .saturating_add(self.answers.len())
    }

    /// Takes the changes of one request: all of them, or none where a record cannot be written.
    pub(super) fn stage(
        &mut self,
        writes: &mut Writes,
        shop: ShopId,
        changes: ChangeSet,
    ) -> Result<(), Failure> {
        let events = changes.journal.iter().map(|row| rows::to_json(&*row.events));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        for (row, events) in changes.journal.into_iter().zip(events) {
            self.last.seq = row.seq;
            writes.journal.push((row, events));
        }
        for change in changes.index_changes {
            self.remember_index(shop, &change);
            writes.indexed.push((shop, change.clone()));
            self.indexed.push((shop, change));
        }
        for change in changes.customers {
            self.remember_customer(&change);
            writes.customers.push(change.clone());
            self.customers.push(change);
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
            writes.sweeps.push((shop, history.reschedule_cursor()));
            self.histories.insert(shop, history);
        }
        writes.dues.extend(changes.due_changes);
        for (claim, account) in changes.claims {
            writes.claims.push((shop, claim.clone(), account));
            self.claims.insert((shop, claim), account);
        }
        if !changes.catalogue_changes.is_empty() {
            self.shelf.stage(shop, &changes.catalogue_changes, &changes.assigned_numbers);
            writes.shelved.push((shop, changes.catalogue_changes, changes.assigned_numbers));
        }
        if let Some(kept) = changes.stored_response {
            self.last.answer = self.last.answer.saturating_add(1);
            let (key, placed) = ((kept.shop, kept.key), (self.last.answer, Arc::new(kept)));
            writes.answers.push(placed.clone());
            self.answers.insert(key, placed);
        }
        self.accounts.extend(changes.accounts);
        self.keyed
            .extend(changes.projections.into_iter().map(|(key, record)| ((shop, key), record)));
        self.orders
            .extend(changes.orders.into_iter().map(|(id, record)| ((shop, id), record)));
        Ok(())
    }

    fn remember_index(&mut self, shop: ShopId, change: &IndexChange) {
        match change {
            IndexChange::PutRule(_) => {}
            IndexChange::DeleteRule(rule) => {
                self.rule_emails.insert((shop, *rule), Arc::default());
            }
            IndexChange::PutEmails(rule, emails) => {
                self.rule_emails.insert((shop, *rule), Arc::clone(emails));
            }
            IndexChange::PutCode(key, _, code) => {
                self.codes.insert((shop, key.clone()), Some(*code));
            }
            IndexChange::DeleteCode(key, _) => {
                self.codes.insert((shop, key.clone()), None);
            }
        }
    }

    fn remember_customer(&mut self, change: &CustomerChange) {
        for (record, stands) in [(&change.before, false), (&change.after, true)] {
            let Some(record) = record else { continue };
            let account = stands.then_some(record.account);
            if let Some(id) = &record.id {
                self.by_id.insert((record.shop, id.clone()), account);
            }
            if let Some(email) = &record.email {
                self.by_email.insert((record.shop, email.key().to_owned()), account);
            }
            self.last.account = self.last.account.max(record.account.0);
            self.by_account
                .insert(record.account, stands.then(|| Arc::clone(record)));
        }
    }
}

/// What a decision reads: the changes of its batch, then those of the batch that is being committed,
/// then what is committed.
pub(super) struct Reading<'a> {
    pub(super) shared: &'a Shared,
    pub(super) staged: &'a Staged,
    pub(super) flying: Option<&'a Staged>,
}

impl<'a> Reading<'a> {
    /// What the newest batch that has something says.
    pub(super) fn staged<T>(&self, look: impl Fn(&'a Staged) -> Option<T>) -> Option<T> {
        look(self.staged).or_else(|| self.flying.and_then(look))
    }
}

impl DiscountView for Reading<'_> {
    fn projection(&mut self, shop: ShopId, key: &ProjectionKey) -> Result<Option<Arc<Projection>>, Failure> {
        let key = (shop, key.clone());
        match self.staged(|staged| staged.keyed.get(&key)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.shared.keyed(&key),
        }
    }

    fn code_by_key(&mut self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        let key = (shop, key.to_owned());
        match self.staged(|staged| staged.codes.get(&key)) {
            Some(code) => Ok(*code),
            None => self.shared.code_of_key(&key),
        }
    }

    fn rule_emails(&mut self, shop: ShopId, rule: PriceRuleId) -> Result<Arc<[Email]>, Failure> {
        match self.staged(|staged| staged.rule_emails.get(&(shop, rule))) {
            Some(emails) => Ok(Arc::clone(emails)),
            None => self.shared.rule_emails((shop, rule)),
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

impl TransactionView for Reading<'_> {
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        self.shared.shop(shop)
    }

    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        match self.staged(|staged| staged.programs.get(&(shop, version))) {
            Some(program) => Ok(Some(program.clone())),
            None => self.shared.program(shop, version),
        }
    }

    fn timeline(&mut self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        match self.staged(|staged| staged.histories.get(&shop)) {
            Some(history) => Ok(Some(Arc::clone(history))),
            None => self.shared.history(shop),
        }
    }

    fn accounts(
        &mut self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure> {
        let mut accounts = self.shared.read(|db| time::accounts(db, shop, after, limit))?;
        let batches = [Some(self.staged), self.flying].into_iter().flatten();
        let staged = batches.flat_map(|staged| staged.by_account.values().flatten());
        let fresh = staged.filter(|record| record.shop == shop && record.account > after);
        accounts.extend(fresh.map(|record| record.account));
        accounts.sort_unstable();
        accounts.dedup();
        accounts.truncate(limit);
        Ok(accounts)
    }

    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        match self.staged(|staged| staged.accounts.get(&account)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.shared.account(account),
        }
    }

    fn customer(&mut self, account: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        match self.staged(|staged| staged.by_account.get(&account)) {
            Some(record) => Ok(record.clone()),
            None => self.shared.customer(account),
        }
    }

    fn account_by_id(&mut self, shop: ShopId, id: &CustomerId) -> Result<Option<AccountId>, Failure> {
        let key = (shop, id.clone());
        match self.staged(|staged| staged.by_id.get(&key)) {
            Some(account) => Ok(*account),
            None => self.shared.by_id(&key),
        }
    }

    fn account_by_email(&mut self, shop: ShopId, email: &Email) -> Result<Option<AccountId>, Failure> {
        let key = (shop, email.key().to_owned());
        match self.staged(|staged| staged.by_email.get(&key)) {
            Some(account) => Ok(*account),
            None => self.shared.by_email(&key),
        }
    }

    fn order(
        &mut self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        let key = (shop, order.clone());
        match self.staged(|staged| staged.orders.get(&key)) {
            Some(record) => Ok(Some(Arc::clone(record))),
            None => self.shared.order(&key),
        }
    }

    fn stored_response(
        &mut self,
        shop: ShopId,
        key: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<StoredResponse>, Failure> {
        let key = (shop, *key);
        let kept = match self.staged(|staged| staged.answers.get(&key)) {
            Some((_, kept)) => Some(Arc::clone(kept)),
            None => self.shared.answer(&key)?,
        };
        Ok(kept.filter(|kept| kept.is_replayable(now)).map(|kept| (*kept).clone()))
    }

    fn next_numbers(&self) -> (AccountId, Seq) {
        let Last { seq, account, .. } = self.staged.last;
        (AccountId(account.saturating_add(1)), seq.saturating_add(1))
    }
}
