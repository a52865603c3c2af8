//! The reference implementation of [`Store`]: in memory, one request at a time, for tests
//! and embedding.

mod administration;
mod catalogue;
mod destination;
mod discount;
mod import;
mod orders;
mod redemption;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, RangeInclusive};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use loyalty_core::{
    AccountId, CustomerId, Email, OrderId, Program, ProgramVersion, ShopId, Timestamp,
};

use tokio::sync::watch;

use crate::Store;
use crate::administration::{AdminReply, AdminRequest, StoreSecret};
use crate::cancel;
use crate::customer_ref::CustomerRef;
use crate::day_totals::{DayTotals, days_of};
use crate::discount::index::DiscountIndex;
use crate::erasure::{Erasure, ErasureIndex, ErasureKey, PersonHash};
use crate::erasure_pass::{self, ErasureScan};
use crate::error::Failure;
use crate::key_uses::KeyUses;
use crate::projections::{Projection, ProjectionKey};
use crate::query::{CustomerView, DueAccount, JournalPage, Page, VerificationReport};
use crate::record::{AccountRecord, CustomerRecord, JournalId, JournalRow, OrderRecord, Seq};
use crate::request::{Pending, Request, Response};
use crate::search::SearchQuery;
use crate::shop::{ApiKeyRecord, Integration, KeyOwner, NewShop, Shop};
use crate::timeline::{ProgramTimeline, PublishedProgram, fold_account_until};
use crate::transact::{
    ChangeSet, CodeClaim, CodeClaimView, ErasureView, Rewrites, StateView, StoredResponse,
    TransactionView, transact,
};
use crate::verify::{StoredStates, verify_in_memory};
use administration::AdminTables;
use catalogue::CatalogueTables;
use destination::DestinationTables;
use import::ImportTables;

/// A store in memory. Its data is lost when it is dropped.
#[derive(Debug)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    key_uses: KeyUses,
    /// The position of the last row.
    position: watch::Sender<Seq>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            tables: Mutex::default(),
            key_uses: KeyUses::default(),
            position: watch::Sender::new(0),
        }
    }
}

#[derive(Debug, Default)]
struct Tables {
    shops: BTreeMap<ShopId, Arc<Shop>>,
    administration: AdminTables,
    programs: BTreeMap<(ShopId, ProgramVersion), Arc<Program>>,
    timelines: BTreeMap<ShopId, Arc<ProgramTimeline>>,
    due: BTreeSet<DueAccount>,
    claims: HashMap<(ShopId, CodeClaim), AccountId>,
    journal: Vec<Arc<JournalRow>>,
    accounts: BTreeMap<AccountId, Arc<AccountRecord>>,
    customers: BTreeMap<AccountId, Arc<CustomerRecord>>,
    by_id: HashMap<(ShopId, CustomerId), AccountId>,
    by_email: HashMap<(ShopId, String), AccountId>,
    orders: HashMap<(ShopId, OrderId), Arc<OrderRecord>>,
    projections: HashMap<(ShopId, ProjectionKey), Arc<Projection>>,
    days: BTreeMap<(ShopId, NaiveDate), Arc<DayTotals>>,
    index: DiscountIndex,
    catalogue: CatalogueTables,
    imports: ImportTables,
    destinations: DestinationTables,
    stored_responses: HashMap<(ShopId, [u8; 16]), StoredResponse>,
    last_account: i64,
    erasures: ErasureIndex,
}

impl MemoryStore {
    /// The secret of the hashes of erased customers. Nothing of a store in memory is stored.
    const ERASURE_KEY: ErasureKey = ErasureKey([0; 32]);

    /// Locks the tables. A poisoned lock is used all the same: a transaction is decided
    /// before its changes are applied, so that a panic in between leaves the tables
    /// consistent.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateView for Tables {
    fn shop(&mut self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        Ok(self.shops.get(&shop).cloned())
    }

    fn program(
        &mut self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        Ok(self.find_program(shop, version))
    }

    fn timeline(&mut self, shop: ShopId) -> Result<Option<Arc<ProgramTimeline>>, Failure> {
        Ok(self.timelines.get(&shop).cloned())
    }

    fn accounts(
        &mut self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure> {
        let later = self.customers.range(AccountId(after.0.saturating_add(1))..);
        let of_shop = later.filter(|(_, record)| record.shop == shop);
        Ok(of_shop.map(|(account, _)| *account).take(limit).collect())
    }

    fn account(&mut self, account: AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        Ok(self.accounts.get(&account).cloned())
    }

    fn customer(&mut self, account: AccountId) -> Result<Option<Arc<CustomerRecord>>, Failure> {
        Ok(self.customers.get(&account).cloned())
    }

    fn account_by_id(
        &mut self,
        shop: ShopId,
        id: &CustomerId,
    ) -> Result<Option<AccountId>, Failure> {
        Ok(self.by_id.get(&(shop, id.clone())).copied())
    }

    fn account_by_email(
        &mut self,
        shop: ShopId,
        email: &Email,
    ) -> Result<Option<AccountId>, Failure> {
        Ok(self.by_email.get(&(shop, email.key().to_owned())).copied())
    }

    fn order(
        &mut self,
        shop: ShopId,
        order: &OrderId,
    ) -> Result<Option<Arc<OrderRecord>>, Failure> {
        Ok(self.orders.get(&(shop, order.clone())).cloned())
    }

    fn stored_response(
        &mut self,
        shop: ShopId,
        key: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<StoredResponse>, Failure> {
        Ok(self
            .stored_responses
            .get(&(shop, *key))
            .filter(|stored| stored.is_replayable(now))
            .cloned())
    }
}

impl TransactionView for Tables {
    fn next_numbers(&self) -> (AccountId, Seq) {
        let seq = Seq::try_from(self.journal.len()).unwrap_or(Seq::MAX);
        (AccountId(self.last_account.saturating_add(1)), seq.saturating_add(1))
    }
}

impl CodeClaimView for Tables {
    fn find_claimant(
        &mut self,
        shop: ShopId,
        claim: &CodeClaim,
    ) -> Result<Option<AccountId>, Failure> {
        Ok(self.claims.get(&(shop, claim.clone())).copied())
    }
}

impl ErasureView for Tables {
    fn erasure_key(&mut self) -> Result<Arc<ErasureKey>, Failure> {
        Ok(Arc::new(MemoryStore::ERASURE_KEY))
    }

    fn has_erasures(&mut self) -> bool {
        !self.erasures.is_empty()
    }

    fn erasure(
        &mut self,
        shop: ShopId,
        hash: &PersonHash,
    ) -> Result<Option<Arc<Erasure>>, Failure> {
        Ok(self.erasures.find(shop, hash))
    }
}

impl Tables {
    fn find_program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Option<(ProgramVersion, Arc<Program>)> {
        let (first, last) = (
            version.unwrap_or(ProgramVersion(0)),
            version.unwrap_or(ProgramVersion(u32::MAX)),
        );
        let ((_, version), program) =
            self.programs.range((shop, first)..=(shop, last)).next_back()?;
        Some((*version, Arc::clone(program)))
    }

    /// Recomputes the due time of an account, unless its shop is still rescheduling
    /// accounts.
    fn reschedule(&self, id: AccountId, record: &mut AccountRecord) -> Result<(), Failure> {
        let shop = record.shop;
        let Some(timeline) = self
            .timelines
            .get(&shop)
            .filter(|timeline| timeline.reschedule_cursor().is_none())
        else {
            return Ok(());
        };

        let customer = self.customers.get(&id).map(|customer| &**customer);
        timeline.reschedule(id, record, customer, |version| self.load_version(shop, version))
    }

    /// Applies the changes of a transaction.
    fn apply(&mut self, shop: ShopId, changes: ChangeSet) {
        let zone = self.shops.get(&shop).map(|shop| shop.zone);
        for row in &changes.journal {
            for (day, totals) in zone.map(|zone| days_of(row, zone)).unwrap_or_default() {
                let sums = self.days.entry((shop, day)).or_default();
                Arc::make_mut(sums).fold(row.seq, &totals);
            }
        }
        self.journal.extend(changes.journal);

        for (account, record) in changes.accounts {
            let due =
                |record: &AccountRecord| record.due.map(|at| DueAccount { at, account, shop });
            let next = due(&record);
            let previous = self.accounts.insert(account, record).and_then(|before| due(&before));
            if let Some(previous) = previous {
                self.due.remove(&previous);
            }
            self.due.extend(next);
        }

        self.orders
            .extend(changes.orders.into_iter().map(|(id, record)| ((shop, id), record)));
        self.projections.extend(
            changes
                .projections
                .into_iter()
                .map(|(key, record)| ((shop, key), record)),
        );
        for change in changes.index_changes {
            self.index.apply(shop, change);
        }

        for change in changes.customers {
            if let Some(before) = change.before {
                self.remove_customer(&before);
            }
            if let Some(after) = change.after {
                self.insert_customer(after);
            }
        }

        if let Some(PublishedProgram { version, program, .. }) = changes.program {
            self.programs.insert((shop, version), program);
        }
        self.claims.extend(
            changes
                .claims
                .into_iter()
                .map(|(claim, account)| ((shop, claim), account)),
        );
        self.timelines
            .extend(changes.timeline.map(|timeline| (shop, timeline)));
        self.catalogue
            .apply(shop, changes.catalogue_changes, changes.assigned_numbers);
        for erasure in &changes.erasures {
            self.erasures.insert(erasure);
        }
        self.rewrite(shop, changes.rewrites);
        if let Some(change) = changes.import {
            self.imports.apply(shop, change);
        }
        if let Some(stored) = changes.stored_response {
            self.stored_responses.insert((stored.shop, stored.key), stored);
        }
    }

    fn rewrite(&mut self, shop: ShopId, rewrites: Rewrites) {
        for row in rewrites.rows {
            let place = usize::try_from(row.seq.saturating_sub(1)).ok();
            if let Some(known) = place.and_then(|place| self.journal.get_mut(place)) {
                *known = row;
            }
        }
        let orders = rewrites.orders.into_iter();
        self.orders.extend(orders.map(|(id, record)| ((shop, id), record)));
        let projections = rewrites.projections.into_iter();
        self.projections
            .extend(projections.map(|(key, record)| ((shop, key), record)));
        for (_, stored, is_current) in rewrites.responses {
            if is_current {
                self.stored_responses.insert((stored.shop, stored.key), stored);
            }
        }
    }

    fn remove_customer(&mut self, record: &CustomerRecord) {
        self.customers.remove(&record.account);
        for id in record.ids() {
            self.by_id.remove(&(record.shop, id.clone()));
        }
        if let Some(email) = &record.email {
            self.by_email.remove(&(record.shop, email.key().to_owned()));
        }
    }

    fn insert_customer(&mut self, record: Arc<CustomerRecord>) {
        for id in record.ids() {
            self.by_id.insert((record.shop, id.clone()), record.account);
        }
        if let Some(email) = &record.email {
            self.by_email
                .insert((record.shop, email.key().to_owned()), record.account);
        }
        self.last_account = self.last_account.max(record.account.0);
        self.customers.insert(record.account, record);
    }

    fn build_view(&self, account: AccountId) -> Option<CustomerView> {
        let customer = Arc::clone(self.customers.get(&account)?);
        let account = Arc::clone(self.accounts.get(&account)?);
        let timeline = self.timelines.get(&customer.shop)?;
        let programs = timeline.programs_for(&account, Some(&customer), |version| {
            self.load_version(customer.shop, version)
        });
        Some(CustomerView::new(customer, account, programs.ok()?))
    }

    fn load_version(&self, shop: ShopId, version: ProgramVersion) -> Result<Arc<Program>, Failure> {
        let program = self.programs.get(&(shop, version)).cloned();
        program.ok_or_else(|| Failure::Corrupt(format!("shop {shop} has no program {version}")))
    }

    fn matching_customers<'a>(
        &'a self,
        shop: ShopId,
        search: &'a SearchQuery,
        after: Option<AccountId>,
    ) -> impl Iterator<Item = &'a Arc<CustomerRecord>> {
        let later = self
            .customers
            .range(after.map_or(AccountId(0), |after| AccountId(after.0.saturating_add(1)))..);
        let matches = move |record: &CustomerRecord| {
            self.build_view(record.account)
                .is_some_and(|customer| search.matches(&customer))
        };

        later
            .map(|(_, record)| record)
            .filter(move |record| record.shop == shop && matches(record))
    }
}

impl Store for MemoryStore {
    fn execute(&self, request: Request) -> Pending {
        let mut tables = self.tables();
        let shop = request.shop;
        let reply = transact(&mut *tables, request).map(|(changes, reply)| {
            tables.apply(shop, changes);
            reply
        });
        self.position
            .send_replace(Seq::try_from(tables.journal.len()).unwrap_or(Seq::MAX));
        Pending::ready(reply)
    }

    fn stored_response(
        &self,
        shop: ShopId,
        key: &[u8; 16],
        fingerprint: &[u8; 16],
        now: Timestamp,
    ) -> Result<Option<Response>, Failure> {
        Ok(self
            .tables()
            .stored_responses
            .get(&(shop, *key))
            .and_then(|stored| stored.replay(fingerprint, now)))
    }

    fn customer(
        &self,
        shop: ShopId,
        customer: &CustomerRef,
    ) -> Result<Option<CustomerView>, Failure> {
        let mut tables = self.tables();
        let account = match customer {
            CustomerRef::Id(id) | CustomerRef::Both(id, _) => tables.account_by_id(shop, id)?,
            CustomerRef::Email(email) => tables.account_by_email(shop, email)?,
        };
        Ok(account.and_then(|account| tables.build_view(account)))
    }

    fn customer_by_account(
        &self,
        shop: ShopId,
        account: AccountId,
    ) -> Result<Option<CustomerView>, Failure> {
        let tables = self.tables();
        let mut account = account;
        while let Some(into) = tables
            .accounts
            .get(&account)
            .and_then(|record| record.account.merged_into())
        {
            account = into;
        }

        Ok(tables
            .build_view(account)
            .filter(|customer| customer.record().shop == shop))
    }

    fn customers(
        &self,
        shop: ShopId,
        search: &SearchQuery,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Page<CustomerView>, Failure> {
        let tables = self.tables();
        let mut found = tables.matching_customers(shop, search, after);
        let items = found
            .by_ref()
            .take(limit)
            .filter_map(|record| tables.build_view(record.account))
            .collect();
        Ok(Page { items, has_more: found.next().is_some() })
    }

    fn count_customers(&self, shop: ShopId, search: &SearchQuery) -> Result<u64, Failure> {
        cancel::check()?;
        Ok(u64::try_from(self.tables().matching_customers(shop, search, None).count())
            .unwrap_or(u64::MAX))
    }

    fn order(&self, shop: ShopId, order: &OrderId) -> Result<Option<Arc<OrderRecord>>, Failure> {
        self.tables().order(shop, order)
    }

    fn account_journal(
        &self,
        shop: ShopId,
        account: AccountId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<JournalPage, Failure> {
        let tables = self.tables();
        let rows = tables
            .journal
            .iter()
            .rev()
            .filter(|row| row.shop == shop && row.account == Some(account));

        // A position that is not of this account skips all rows.
        let mut rows = rows.skip_while(|row| before.is_some_and(|before| row.seq != before));
        if before.is_some() {
            rows.next();
        }

        let page: Vec<_> = rows.by_ref().take(limit).cloned().collect();
        let next = rows.next().and_then(|_| page.last().map(|row| row.seq));
        Ok(JournalPage { rows: page, next })
    }

    fn journal(
        &self,
        shop: ShopId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Arc<JournalRow>>, Failure> {
        let tables = self.tables();
        let later = tables.journal.iter().skip(usize::try_from(after).unwrap_or(0));
        Ok(later.filter(|row| row.shop == shop).take(limit).cloned().collect())
    }

    fn journal_of_all(&self, after: Seq, limit: usize) -> Result<Vec<Arc<JournalRow>>, Failure> {
        let tables = self.tables();
        let later = tables.journal.iter().skip(usize::try_from(after).unwrap_or(0));
        Ok(later.take(limit).cloned().collect())
    }

    fn journal_id(&self) -> Result<JournalId, Failure> {
        Ok(JournalId::new([0; 16]))
    }

    fn committed_position(&self) -> watch::Receiver<Seq> {
        self.position.subscribe()
    }

    fn customer_at(
        &self,
        shop: ShopId,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Option<CustomerView>, Failure> {
        // Reads the journal, so before the lock.
        let past = fold_account_until(self, shop, account, at)?;

        let tables = self.tables();
        let customer = tables
            .customers
            .get(&account)
            .filter(|customer| customer.shop == shop);
        let (Some(customer), Some(timeline)) = (customer, tables.timelines.get(&shop)) else {
            return Ok(None);
        };
        let load = |version| tables.load_version(shop, version);
        timeline.view_at(Arc::clone(customer), past, at, load).map(Some)
    }

    fn due(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure> {
        let tables = self.tables();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let due = tables
            .due
            .range((from, Bound::Unbounded))
            .take_while(|due| due.at <= now);
        Ok(due.take(limit).copied().collect())
    }

    fn shops_to_reschedule(&self) -> Result<Vec<ShopId>, Failure> {
        let tables = self.tables();
        let rescheduling = tables
            .timelines
            .iter()
            .filter(|(_, timeline)| timeline.reschedule_cursor().is_some());
        Ok(rescheduling.map(|(shop, _)| *shop).collect())
    }

    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        Ok(self.tables().find_program(shop, version))
    }

    fn unfinished_erasures(&self) -> Result<Vec<Arc<Erasure>>, Failure> {
        Ok(self.tables().erasures.unfinished())
    }

    fn finish_erasure(&self, erasure: &Erasure, now: Timestamp) -> Result<bool, Failure> {
        erasure_pass::finish(self, erasure, now)
    }

    fn day_totals(
        &self,
        shop: ShopId,
        days: RangeInclusive<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure> {
        let tables = self.tables();
        let found = tables.days.range((shop, *days.start())..=(shop, *days.end()));
        Ok(found.map(|((_, day), sums)| (*day, Arc::clone(sums))).collect())
    }

    fn verify(&self) -> Result<VerificationReport, Failure> {
        let tables = self.tables();
        let accounts = tables
            .accounts
            .iter()
            .map(|(id, record)| (*id, (**record).clone()))
            .collect();
        let orders = tables
            .orders
            .iter()
            .map(|(id, record)| (id.clone(), (**record).clone()))
            .collect();
        let projections = tables
            .projections
            .iter()
            .map(|(key, record)| (key.clone(), (**record).clone()))
            .collect();

        let stored = StoredStates {
            accounts,
            orders,
            projections,
            days: tables
                .days
                .iter()
                .map(|(key, sums)| (*key, (**sums).clone()))
                .collect(),
            zones: tables.shops.values().map(|shop| (shop.id, shop.zone)).collect(),
            index: tables.index.clone(),
            claims: tables.claims.clone(),
        };
        let rows = tables.journal.iter().map(|row| &**row);
        verify_in_memory(stored, rows, |id, record| tables.reschedule(id, record))
    }

    fn check_ready(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure> {
        let mut tables = self.tables();
        let id = tables
            .shops
            .last_key_value()
            .map_or(1, |(id, _)| id.0.saturating_add(1));
        let NewShop { name, currency, zone } = shop.clone();
        let shop = Arc::new(Shop {
            id: ShopId(id),
            name,
            currency,
            zone,
            created_at: now,
            integration: None,
        });

        let first = PublishedProgram {
            version: ProgramVersion(1),
            program: Arc::default(),
            in_force_from: now,
        };
        tables
            .programs
            .insert((shop.id, first.version), Arc::clone(&first.program));
        tables
            .timelines
            .insert(shop.id, Arc::new(ProgramTimeline::for_new_shop(&shop, first)));
        tables.shops.insert(shop.id, Arc::clone(&shop));

        Ok(shop)
    }

    fn shop(&self, shop: ShopId) -> Result<Option<Arc<Shop>>, Failure> {
        Ok(self.tables().shops.get(&shop).cloned())
    }

    fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure> {
        Ok(self.tables().shops.values().cloned().collect())
    }

    fn administer(&self, request: AdminRequest) -> Result<AdminReply, Failure> {
        self.tables().administer(request)
    }

    fn api_key(&self, id: &str) -> Result<Option<Arc<ApiKeyRecord>>, Failure> {
        Ok(self.tables().administration.find_key(id).cloned())
    }

    fn api_keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure> {
        Ok(self.tables().administration.keys_of(owner))
    }

    fn note_key_use(&self, key: &ApiKeyRecord, now: Timestamp) {
        self.key_uses.note(key, now);
    }

    fn write_key_uses(&self) -> Result<(), Failure> {
        self.key_uses.write(|uses| {
            self.tables().administration.note_uses(uses);
            Ok(())
        })
    }

    fn store_secrets(&self, shop: ShopId) -> Result<Arc<[StoreSecret]>, Failure> {
        Ok(self.tables().administration.secrets_of(shop))
    }

    fn record_integration(
        &self,
        shop: ShopId,
        integration: &Integration,
        _now: Timestamp,
    ) -> Result<(), Failure> {
        let mut tables = self.tables();
        if let Some(known) = tables.shops.get_mut(&shop) {
            Arc::make_mut(known).integration = Some(integration.clone());
        }
        Ok(())
    }
}

impl ErasureScan for MemoryStore {
    fn key(&self) -> Result<Arc<ErasureKey>, Failure> {
        Ok(Arc::new(Self::ERASURE_KEY))
    }

    /// Numbers are places among the sorted keys. Nothing is deleted, so they stay for a pass.
    fn responses_after(
        &self,
        number: i64,
        limit: usize,
    ) -> Result<Vec<(i64, StoredResponse)>, Failure> {
        let tables = self.tables();
        let mut sorted: Vec<_> = tables.stored_responses.values().cloned().collect();
        sorted.sort_unstable_by_key(|stored| (stored.shop, stored.key));
        let later = (1..).zip(sorted).filter(|(place, _)| *place > number);
        Ok(later.take(limit).collect())
    }

    fn clear_answers(&self, shop: ShopId, accounts: &[AccountId]) -> Result<(), Failure> {
        self.tables().destinations.clear_answers(shop, accounts);
        Ok(())
    }

    fn purge(&self) -> Result<bool, Failure> {
        Ok(true)
    }
}
