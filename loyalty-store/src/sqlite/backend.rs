//! The engine's backend over one SQLite file: connections that read, and one that writes.

use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use loyalty_core::account::AccountSegments;
use loyalty_core::{
    AccountId, CategoryId, CodeId, CustomerId, Email, ImportId, OrderId, PriceRuleId, ProductId,
    Program, ProgramVersion, RedemptionId, ShopId, Timestamp, VariantId,
};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::checkpointer::CheckpointTrigger;
use super::file::{FileIdentity, uncheckpointed_log};
use super::schema;
use super::tables::{
    access, account, catalogue, checkpoint, code_claim, customer, day_totals, discount_index, due,
    erasure, import, journal, order, program, projection, query, response, shop,
};
use crate::catalogue::{CategoryRecord, ProductRecord, SavedSearch};
use crate::day_totals::DayTotals;
use crate::engine::{
    Accounts, Backend, BatchRewrites, BatchWrites, CheckpointPosition, Days, Load,
    NumberedResponse, Orders, Projections, ResponseKey, Responses, TableReader, TableScan,
    TableWriter, Upsert, WriteTransaction,
};
use crate::erasure::{Erasure, ErasureKey};
use crate::error::Failure;
use crate::import::ImportRecord;
use crate::numeric_id::NumericId;
use crate::order_list::{OrderIndex, OrderPosition};
use crate::projections::{Projection, ProjectionKey};
use crate::query::{Direction, DueAccount};
use crate::record::{
    AccountRecord, CustomerRecord, JournalRow, OrderRecord, PersistedSegments, Seq,
};
use crate::redemption::RedemptionStatus;
use crate::shop::{ApiKeyRecord, Shop};
use crate::timeline::ProgramTimeline;
use crate::transact::{CodeClaim, StoredResponse};

/// A database file that is served, for its readers.
pub(super) struct SqliteFile(pub(super) PathBuf);

impl Backend for SqliteFile {
    type Reader = Connection;
    type Writer = SqliteWriter;

    fn open_reader(&self) -> Result<Connection, Failure> {
        schema::open_reader(&self.0)
    }
}

/// The connection that writes.
pub(super) struct SqliteWriter {
    path: PathBuf,
    identity: FileIdentity,
    trigger: CheckpointTrigger,
    db: Connection,
}

impl SqliteWriter {
    /// Opens the file. The end of its write-ahead log may have been written by the last process and
    /// never synced: it is synced before anyone sees it.
    ///
    /// Returns also why nothing can be written, if so: on a full disk all is read, and the log is
    /// synced as it is.
    pub(super) fn open(
        path: PathBuf,
        trigger: CheckpointTrigger,
    ) -> Result<(Self, Option<Failure>), Failure> {
        let mut db = schema::open(&path)?;
        let identity = FileIdentity::of(&path)?;
        let unwritable = match sync_wal(&db) {
            Ok(()) => None,
            Err(failure @ Failure::Unwritable(_)) => {
                sync_wal_file(&path)?;
                Some(failure)
            }
            Err(failure) => return Err(failure),
        };
        trigger.install_hook(&mut db)?;
        Ok((Self { path, identity, trigger, db }, unwritable))
    }

    /// The file that is open.
    pub(super) fn identity(&self) -> FileIdentity {
        self.identity
    }
}

/// Copies the write-ahead log into the database, with both synced.
fn sync_wal(db: &Connection) -> Result<(), Failure> {
    // Who reads the log may do so for ever: a tool of replication.
    db.busy_timeout(Duration::ZERO)?;
    let busy = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    db.busy_timeout(schema::BUSY_TIMEOUT)?;
    if busy? == 0 {
        return Ok(());
    }

    // Another connection reads the log. A commit syncs all of it, too.
    let transaction = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    checkpoint::force_write(&transaction)?;
    Ok(transaction.commit()?)
}

/// Syncs the file of the write-ahead log. SQLite has no locks on it, which closing it would release.
fn sync_wal_file(path: &Path) -> Result<(), Failure> {
    let Some(log) = uncheckpointed_log(path) else { return Ok(()) };
    File::open(log)
        .and_then(|log| log.sync_all())
        .map_err(|error| Failure::Unavailable(error.to_string()))
}

impl TableWriter for SqliteWriter {
    type Reader = Connection;
    type Transaction<'w> = SqliteTransaction<'w>;

    fn reader(&self) -> &Connection {
        &self.db
    }

    fn reopen(&mut self) -> Result<(), Failure> {
        self.ensure_unchanged()?;
        self.db = schema::open_existing(&self.path)?;
        self.trigger.install_hook(&mut self.db)
    }

    fn ensure_unchanged(&self) -> Result<(), Failure> {
        self.identity.ensure_unchanged(&self.path)
    }

    fn begin(&mut self) -> Result<SqliteTransaction<'_>, Failure> {
        self.ensure_unchanged()?;
        self.trigger.checkpoint_rest(&self.db);
        Ok(SqliteTransaction {
            db: Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?,
            written_segments: Vec::new(),
        })
    }

    fn close(self) {
        // A log that is left is read at the next start, so a reader is not waited for.
        let _ = self.db.busy_timeout(Duration::ZERO);
        let _ = self.db.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    }
}

/// An open transaction of the writer.
pub(super) struct SqliteTransaction<'w> {
    db: Transaction<'w>,
    /// The segments that the file contains after the commit, for each written account.
    written_segments: Vec<(PersistedSegments, AccountSegments)>,
}

impl WriteTransaction for SqliteTransaction<'_> {
    fn append(&mut self, writes: &BatchWrites) -> Result<usize, Failure> {
        let db = &self.db;
        journal::append_journal(db, &writes.journal)?;

        for change in &writes.customers {
            customer::write_customer_change(db, change)?;
        }
        for (shop, change) in &writes.index_changes {
            discount_index::write_index_change(db, *shop, change)?;
        }
        for (shop, published, keeps_schedule) in &writes.programs {
            program::insert_program(db, *shop, published, *keeps_schedule)?;
        }
        for (shop, progress) in &writes.reschedule_progress {
            program::write_reschedule_progress(db, *shop, *progress)?;
        }
        for (shop, changes, numbers) in &writes.catalogue_changes {
            catalogue::write_changes(db, *shop, changes, numbers)?;
        }
        import::write_changes(db, &writes.imports)?;
        for (shop, claim, account) in &writes.claims {
            code_claim::insert_code_claim(db, *shop, claim, *account)?;
        }
        for erased in &writes.erasures {
            erasure::write_erasure(db, erased)?;
        }
        write_rewrites(db, &writes.rewrites)?;

        response::append_responses(db, &writes.responses)
    }

    fn write_due_dates(
        &mut self,
        changes: &[(AccountId, Option<Timestamp>)],
    ) -> Result<(), Failure> {
        let mut changes = changes.iter();
        changes.try_for_each(|(account, due)| due::write_due(&self.db, *account, *due))
    }

    fn write_checkpoint(&mut self, position: CheckpointPosition) -> Result<(), Failure> {
        checkpoint::write_checkpoint(&self.db, position)
    }

    fn prune_responses(
        &mut self,
        before: Timestamp,
        blocks: usize,
        responses: usize,
    ) -> Result<bool, Failure> {
        response::prune_blocks(&self.db, before, blocks, responses)
    }

    fn force_write(&mut self) -> Result<(), Failure> {
        checkpoint::force_write(&self.db)
    }

    fn commit(self) -> Result<(), Failure> {
        self.db.commit().map_err(|error| {
            let text = error.to_string();
            let failure = Failure::from(error);
            let did_not_happen = matches!(failure, Failure::Unwritable(_));
            if did_not_happen { failure } else { Failure::UnknownOutcome(text) }
        })?;
        for (persisted, segments) in self.written_segments {
            *persisted.lock() = segments;
        }
        Ok(())
    }
}

/// Replaces content at once: a state that is written behind is as new, and does not return.
fn write_rewrites(db: &Connection, rewrites: &BatchRewrites) -> Result<(), Failure> {
    journal::rewrite_journal(db, &rewrites.rows)?;
    let mut rewrite = db.prepare_cached(order::REWRITE_ORDER)?;
    for (key, record) in &rewrites.orders {
        order::upsert_order(&mut rewrite, key, record)?;
    }
    let mut rewrite = db.prepare_cached(projection::REWRITE_PROJECTION)?;
    for (key, record) in &rewrites.projections {
        projection::upsert_projection(&mut rewrite, key, record)?;
    }
    for (number, stored) in &rewrites.responses {
        response::rewrite_response(db, *number, stored)?;
    }
    Ok(())
}

// The kinds that are written behind.

impl Load<Accounts> for Connection {
    fn load(&self, id: &AccountId) -> Result<Option<Arc<AccountRecord>>, Failure> {
        Ok(account::read_account(self, *id)?.map(Arc::new))
    }
}

impl Load<Orders> for Connection {
    fn load(&self, (shop, id): &(ShopId, OrderId)) -> Result<Option<Arc<OrderRecord>>, Failure> {
        Ok(order::read_order(self, *shop, id)?.map(Arc::new))
    }
}

impl Load<Projections> for Connection {
    fn load(
        &self,
        (shop, key): &(ShopId, ProjectionKey),
    ) -> Result<Option<Arc<Projection>>, Failure> {
        Ok(projection::read_projection(self, *shop, key)?.map(Arc::new))
    }
}

impl Load<Days> for Connection {
    fn load(&self, (shop, day): &(ShopId, NaiveDate)) -> Result<Option<Arc<DayTotals>>, Failure> {
        Ok(day_totals::read_day(self, *shop, *day)?.map(Arc::new))
    }
}

impl Load<Responses> for Connection {
    fn load(&self, key: &ResponseKey) -> Result<Option<NumberedResponse>, Failure> {
        let found = response::find_response(self, key)?;
        Ok(found.map(|(number, response)| (number, Arc::new(response))))
    }
}

impl Upsert<Accounts> for SqliteTransaction<'_> {
    fn upsert(&mut self, slice: &[(AccountId, Arc<AccountRecord>)]) -> Result<(), Failure> {
        let mut writer = account::AccountWriter::new(&self.db)?;
        for (id, record) in slice {
            let segments = writer.write(*id, record)?;
            self.written_segments
                .push((record.persisted_segments.clone(), segments));
        }
        Ok(())
    }
}

impl Upsert<Orders> for SqliteTransaction<'_> {
    fn upsert(&mut self, slice: &[((ShopId, OrderId), Arc<OrderRecord>)]) -> Result<(), Failure> {
        let mut upsert = self.db.prepare_cached(order::UPSERT_ORDER)?;
        let mut slice = slice.iter();
        slice.try_for_each(|(key, record)| order::upsert_order(&mut upsert, key, record))
    }
}

impl Upsert<Projections> for SqliteTransaction<'_> {
    fn upsert(
        &mut self,
        slice: &[((ShopId, ProjectionKey), Arc<Projection>)],
    ) -> Result<(), Failure> {
        let mut upsert = self.db.prepare_cached(projection::UPSERT_PROJECTION)?;
        let mut slice = slice.iter();
        slice.try_for_each(|(key, record)| projection::upsert_projection(&mut upsert, key, record))
    }
}

impl Upsert<Days> for SqliteTransaction<'_> {
    fn upsert(&mut self, slice: &[((ShopId, NaiveDate), Arc<DayTotals>)]) -> Result<(), Failure> {
        let mut upsert = self.db.prepare_cached(day_totals::UPSERT_DAY)?;
        let mut slice = slice.iter();
        slice.try_for_each(|(key, sums)| day_totals::upsert_day(&mut upsert, key, sums))
    }
}

/// A commit has appended the responses already: their slots are written here.
impl Upsert<Responses> for SqliteTransaction<'_> {
    fn upsert(&mut self, slice: &[(ResponseKey, NumberedResponse)]) -> Result<(), Failure> {
        let mut insert = self.db.prepare_cached(response::INSERT_SLOT)?;
        let mut slice = slice.iter();
        slice.try_for_each(|(key, (number, _))| response::insert_slot(&mut insert, key, *number))
    }
}

// Look-ups and scans.

impl TableReader for Connection {
    fn customer(&self, account: AccountId) -> Result<Option<CustomerRecord>, Failure> {
        customer::read_customer(self, account)
    }

    fn account_by_id(&self, shop: ShopId, id: &CustomerId) -> Result<Option<AccountId>, Failure> {
        customer::find_account_by_id(self, shop, id)
    }

    fn account_by_email(&self, shop: ShopId, key: &str) -> Result<Option<AccountId>, Failure> {
        customer::find_account_by_email(self, shop, key)
    }

    fn account_ids(
        &self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure> {
        customer::read_account_ids(self, shop, after, limit)
    }

    fn code_by_key(&self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure> {
        discount_index::find_code_by_key(self, shop, key)
    }

    fn rule_emails(
        &self,
        shop: ShopId,
        rule: PriceRuleId,
    ) -> Result<Option<Arc<[Email]>>, Failure> {
        discount_index::read_rule_emails(self, shop, rule)
    }

    fn claimant(&self, shop: ShopId, claim: &CodeClaim) -> Result<Option<AccountId>, Failure> {
        code_claim::find_claimant(self, shop, claim)
    }

    fn product(&self, shop: ShopId, id: &ProductId) -> Result<Option<Arc<ProductRecord>>, Failure> {
        catalogue::read_product(self, shop, id)
    }

    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure> {
        catalogue::read_category(self, shop, id)
    }

    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure> {
        catalogue::read_search(self, shop, number)
    }

    fn search_by_name(&self, shop: ShopId, name: &str) -> Result<Option<NumericId>, Failure> {
        catalogue::find_search_by_name(self, shop, name)
    }

    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure> {
        catalogue::read_variant_number(self, shop, id)
    }

    fn assigned_count(&self, shop: ShopId) -> Result<i64, Failure> {
        catalogue::read_assigned_count(self, shop)
    }

    fn erasures(&self) -> Result<Vec<Arc<Erasure>>, Failure> {
        erasure::read_erasures(self)
    }

    fn erasure_key(&self) -> Result<ErasureKey, Failure> {
        erasure::read_key(self)
    }

    fn import(&self, shop: ShopId, id: &ImportId) -> Result<Option<ImportRecord>, Failure> {
        import::read_import(self, shop, id)
    }

    fn shop(&self, id: ShopId) -> Result<Option<Shop>, Failure> {
        shop::read_shop(self, id)
    }

    fn api_key(&self, id: &str) -> Result<Option<ApiKeyRecord>, Failure> {
        access::read_key(self, id)
    }

    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
        program::read_program(self, shop, version)
    }

    fn timeline(&self, shop: ShopId) -> Result<Option<ProgramTimeline>, Failure> {
        program::read_timeline(self, shop)
    }

    fn due_accounts(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure> {
        due::read_due_accounts(self, now, after, limit)
    }

    fn order_positions(
        &self,
        index: &OrderIndex,
        after: Option<&OrderPosition>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<OrderPosition>, Failure> {
        order::read_positions(self, index, after, direction, limit)
    }

    fn day_totals(
        &self,
        shop: ShopId,
        days: &RangeInclusive<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure> {
        day_totals::read_days(self, shop, days)
    }

    fn redemptions(
        &self,
        shop: ShopId,
        status: RedemptionStatus,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Vec<RedemptionId>, Failure> {
        projection::read_redemptions(self, shop, status, after, limit)
    }
}

impl TableScan for Connection {
    fn checkpoint(&self) -> Result<CheckpointPosition, Failure> {
        checkpoint::read_checkpoint(self)
    }

    fn last_account(&self) -> Result<i64, Failure> {
        let accounts = query::max_value(self, "id", "account")?;
        Ok(accounts.max(query::max_value(self, "account", "customer")?))
    }

    fn for_each_journal_row(
        &self,
        after: Seq,
        visit: impl FnMut(JournalRow) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        journal::for_each_journal_row(self, after, visit)
    }

    fn for_each_response(
        &self,
        after: i64,
        visit: impl FnMut(i64, StoredResponse),
    ) -> Result<(), Failure> {
        response::for_each_response(self, after, visit)
    }

    fn order_keys(
        &self,
        after: Option<&(ShopId, OrderId)>,
        limit: usize,
    ) -> Result<Vec<(ShopId, OrderId)>, Failure> {
        order::read_order_keys(self, after, limit)
    }

    fn projection_keys(
        &self,
        after: Option<&(ShopId, ProjectionKey)>,
        limit: usize,
    ) -> Result<Vec<(ShopId, ProjectionKey)>, Failure> {
        projection::read_projection_keys(self, after, limit)
    }

    fn code_keys(
        &self,
        after: Option<&(ShopId, String)>,
        limit: usize,
    ) -> Result<Vec<(ShopId, String)>, Failure> {
        discount_index::read_code_keys(self, after, limit)
    }

    fn response_slots(
        &self,
        after: Option<&(i64, i64)>,
        limit: usize,
    ) -> Result<Vec<(i64, i64)>, Failure> {
        response::read_slots(self, after, limit)
    }
}
