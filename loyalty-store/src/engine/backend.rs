//! What the engine needs of a durable backend: committed rows to read, and transactions that write.

use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::NaiveDate;
use loyalty_core::{
    AccountId, CategoryId, CodeId, CustomerId, Email, ImportId, OrderId, PriceRuleId, ProductId,
    Program, ProgramVersion, RedemptionId, ShopId, Timestamp, VariantId,
};

use super::batch::BatchWrites;
use super::states::{LoadStates, UpsertStates};
use crate::catalogue::{CategoryRecord, ProductRecord, SavedSearch};
use crate::day_totals::DayTotals;
use crate::erasure::{Erasure, ErasureKey};
use crate::error::Failure;
use crate::import::ImportRecord;
use crate::numeric_id::NumericId;
use crate::order_list::{OrderIndex, OrderPosition};
use crate::projections::ProjectionKey;
use crate::query::{Direction, DueAccount};
use crate::record::{CustomerRecord, JournalRow, Seq};
use crate::redemption::RedemptionStatus;
use crate::shop::{ApiKeyRecord, Shop};
use crate::timeline::ProgramTimeline;
use crate::transact::{CodeClaim, StoredResponse};

/// A position in the journal and in the sequence of responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CheckpointPosition {
    pub(crate) seq: Seq,
    pub(crate) response: i64,
}

/// One durable place, and the types of its connections.
pub(crate) trait Backend: Send + Sync + 'static {
    type Reader: TableReader + Send;
    type Writer: TableWriter + Send;

    fn open_reader(&self) -> Result<Self::Reader, Failure>;
}

/// Look-ups of committed rows.
pub(crate) trait TableReader: LoadStates + TableScan {
    fn customer(&self, account: AccountId) -> Result<Option<CustomerRecord>, Failure>;
    fn account_by_id(&self, shop: ShopId, id: &CustomerId) -> Result<Option<AccountId>, Failure>;
    /// Finds an account by its e-mail's [`Email::key`].
    fn account_by_email(&self, shop: ShopId, key: &str) -> Result<Option<AccountId>, Failure>;
    /// Returns accounts of a shop's customers in ascending order, `after` one.
    fn account_ids(
        &self,
        shop: ShopId,
        after: AccountId,
        limit: usize,
    ) -> Result<Vec<AccountId>, Failure>;

    fn code_by_key(&self, shop: ShopId, key: &str) -> Result<Option<CodeId>, Failure>;
    fn rule_emails(&self, shop: ShopId, rule: PriceRuleId)
    -> Result<Option<Arc<[Email]>>, Failure>;
    fn claimant(&self, shop: ShopId, claim: &CodeClaim) -> Result<Option<AccountId>, Failure>;

    fn product(&self, shop: ShopId, id: &ProductId) -> Result<Option<Arc<ProductRecord>>, Failure>;
    fn category(
        &self,
        shop: ShopId,
        id: &CategoryId,
    ) -> Result<Option<Arc<CategoryRecord>>, Failure>;
    fn saved_search(
        &self,
        shop: ShopId,
        number: NumericId,
    ) -> Result<Option<Arc<SavedSearch>>, Failure>;
    fn search_by_name(&self, shop: ShopId, name: &str) -> Result<Option<NumericId>, Failure>;
    fn variant_number(&self, shop: ShopId, id: &VariantId) -> Result<Option<NumericId>, Failure>;
    /// Returns how many numbers a shop has assigned.
    fn assigned_count(&self, shop: ShopId) -> Result<i64, Failure>;

    fn erasures(&self) -> Result<Vec<Arc<Erasure>>, Failure>;
    fn erasure_key(&self) -> Result<ErasureKey, Failure>;
    fn import(&self, shop: ShopId, id: &ImportId) -> Result<Option<ImportRecord>, Failure>;

    fn shop(&self, id: ShopId) -> Result<Option<Shop>, Failure>;
    /// Returns a key, which may have ended.
    fn api_key(&self, id: &str) -> Result<Option<ApiKeyRecord>, Failure>;
    /// Returns one version of a shop's program, or the newest.
    fn program(
        &self,
        shop: ShopId,
        version: Option<ProgramVersion>,
    ) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure>;
    fn timeline(&self, shop: ShopId) -> Result<Option<ProgramTimeline>, Failure>;
    /// Returns accounts that are due by `now`, earliest first, `after` one.
    fn due_accounts(
        &self,
        now: Timestamp,
        after: Option<DueAccount>,
        limit: usize,
    ) -> Result<Vec<DueAccount>, Failure>;
    /// Returns positions in an index of orders, `after` one.
    fn order_positions(
        &self,
        index: &OrderIndex,
        after: Option<&OrderPosition>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<OrderPosition>, Failure>;
    /// Returns the sums of a shop's days.
    fn day_totals(
        &self,
        shop: ShopId,
        days: &RangeInclusive<NaiveDate>,
    ) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure>;
    /// Returns redemptions of a shop with a status, newest first, `after` one.
    fn redemptions(
        &self,
        shop: ShopId,
        status: RedemptionStatus,
        after: Option<RedemptionId>,
        limit: usize,
    ) -> Result<Vec<RedemptionId>, Failure>;
}

/// Scans of whole tables, for recovery and for the filter. Pages of keys are sorted and begin after
/// a key, so that no read lasts long.
pub(crate) trait TableScan {
    /// Returns the position up to which all tables are complete.
    fn checkpoint(&self) -> Result<CheckpointPosition, Failure>;
    /// Returns the largest account number in any table.
    fn last_account(&self) -> Result<i64, Failure>;
    fn for_each_journal_row(
        &self,
        after: Seq,
        visit: impl FnMut(JournalRow) -> Result<(), Failure>,
    ) -> Result<(), Failure>;
    fn for_each_response(
        &self,
        after: i64,
        visit: impl FnMut(i64, StoredResponse),
    ) -> Result<(), Failure>;

    fn order_keys(
        &self,
        after: Option<&(ShopId, OrderId)>,
        limit: usize,
    ) -> Result<Vec<(ShopId, OrderId)>, Failure>;
    fn projection_keys(
        &self,
        after: Option<&(ShopId, ProjectionKey)>,
        limit: usize,
    ) -> Result<Vec<(ShopId, ProjectionKey)>, Failure>;
    fn code_keys(
        &self,
        after: Option<&(ShopId, String)>,
        limit: usize,
    ) -> Result<Vec<(ShopId, String)>, Failure>;
    /// Returns slots, each with the number of its response.
    fn response_slots(
        &self,
        after: Option<&(i64, i64)>,
        limit: usize,
    ) -> Result<Vec<(i64, i64)>, Failure>;
}

/// The one connection that writes.
pub(crate) trait TableWriter {
    type Reader: TableReader;
    type Transaction<'w>: WriteTransaction
    where
        Self: 'w;

    /// Returns the connection for reads outside of transactions.
    fn reader(&self) -> &Self::Reader;

    /// Opens the place again after a failed write.
    ///
    /// # Errors
    /// Fails if the place is gone or another one has taken its place; it is never created.
    fn reopen(&mut self) -> Result<(), Failure>;

    /// Checks that the place is still the one that was opened: a commit into another
    /// one is lost.
    fn ensure_unchanged(&self) -> Result<(), Failure>;

    /// Begins a transaction, after the check that the place is unchanged.
    fn begin(&mut self) -> Result<Self::Transaction<'_>, Failure>;

    /// Leaves the place tidy. A failure costs the next start some time only.
    fn close(self);
}

/// An open transaction. It is rolled back when dropped.
pub(crate) trait WriteTransaction: UpsertStates {
    /// Appends everything that must be durable before the replies, but due dates. Returns the
    /// number of blocks that the responses took.
    fn append(&mut self, writes: &BatchWrites) -> Result<usize, Failure>;

    /// Sets due dates of accounts that may be in their table. States that are written later in the
    /// transaction would overwrite them with older ones.
    fn write_due_dates(
        &mut self,
        changes: &[(AccountId, Option<Timestamp>)],
    ) -> Result<(), Failure>;

    fn write_checkpoint(&mut self, position: CheckpointPosition) -> Result<(), Failure>;

    /// Deletes responses from before an instant, looking at up to `blocks` of the oldest blocks,
    /// until about `responses` are deleted. Returns `true` if more may be too old.
    fn prune_responses(
        &mut self,
        before: Timestamp,
        blocks: usize,
        responses: usize,
    ) -> Result<bool, Failure>;

    /// Has the commit write and sync, even if nothing is changed.
    fn force_write(&mut self) -> Result<(), Failure>;

    /// Commits.
    ///
    /// # Errors
    /// Returns [`Failure::UnknownOutcome`]: the commit may have happened.
    fn commit(self) -> Result<(), Failure>;
}
