//! Imports: customers and points from elsewhere, row by row, with a report that can be undone.
//!
//! An import has an id. Each of its rows is one transaction, which is committed together with the
//! progress of the import. So an import that was interrupted continues with the row after the last
//! one that was decided, and no row counts twice.

use std::sync::Arc;

use loyalty_core::{
    AccountId, ImportId, ImportMode, ImportedLot, ManualTier, Points, ShopId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::customer_ref::CustomerRef;
use crate::error::{Failure, Rejection};
use crate::profile_change::ProfileChange;

/// What an import does, fixed at its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSettings {
    /// What it does with points that a customer has already.
    pub mode: ImportMode,
    /// New customers sign up, and get what the program grants for that.
    pub signs_up: bool,
    /// A customer can have several rows, as in a list of lots.
    pub repeats_customers: bool,
}

/// The state of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// Rows are decided, or were when it was interrupted.
    Running,
    /// All rows were decided.
    Completed,
    /// It is being undone.
    Undoing,
    /// It was undone.
    Undone,
}

impl ImportState {
    /// Returns the name of the state in records and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }
}

/// The numbers of rows by outcome, and the points of all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Rows that created a customer.
    pub created: u64,
    /// Rows of customers who were there.
    pub updated: u64,
    /// Rows that were left out, since the customer has points ([`ImportMode::Skip`]).
    pub skipped: u64,
    /// Rows that were refused.
    pub refused: u64,
    /// Points that went into lots.
    pub brought: Points,
    /// Points that [`ImportMode::Reset`] took away.
    pub taken_away: Points,
    /// Points that the undoing took back.
    pub taken_back: Points,
}

impl ImportCounts {
    /// Counts a row.
    pub fn add(&mut self, row: &ImportRowRecord) {
        let count = match row.outcome {
            ImportRowOutcome::Created => &mut self.created,
            ImportRowOutcome::Updated => &mut self.updated,
            ImportRowOutcome::Skipped => &mut self.skipped,
            ImportRowOutcome::Refused { .. } => &mut self.refused,
        };
        *count = count.saturating_add(1);
        self.brought = self.brought.saturating_add(row.brought);
        for lot in &row.taken_away {
            self.taken_away = self.taken_away.saturating_add(lot.points);
        }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        [self.created, self.updated, self.skipped, self.refused]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// An import and its progress. Has no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRecord {
    /// The id.
    pub id: ImportId,
    /// A hash of the content and of how it is read. The same id with another one is rejected.
    pub digest: String,
    /// What it does.
    pub settings: ImportSettings,
    /// Its state.
    pub state: ImportState,
    /// The line of the last row that was decided; 0 before the first.
    pub last_line: u64,
    /// The line of the last row that was undone; 0 before the first.
    pub undone_line: u64,
    /// The rows so far.
    pub counts: ImportCounts,
    /// The time of its beginning.
    pub started_at: Timestamp,
    /// The time of its last change.
    pub updated_at: Timestamp,
}

/// A row to import.
#[derive(Clone, Debug)]
pub struct ImportRow {
    /// The line of the content on which the row begins, counted from 1.
    pub line: u64,
    /// The row, or why it cannot be read.
    pub content: Result<Box<ImportContent>, ImportFault>,
}

/// What a row says about a customer.
#[derive(Clone, Debug)]
pub struct ImportContent {
    /// The customer, who is created if new.
    pub customer: CustomerRef,
    /// The change of the profile.
    pub change: ProfileChange,
    /// The points, if it says something about them.
    pub lots: Option<Vec<ImportedLot>>,
    /// The tier, which is set by hand.
    pub tier: Option<ManualTier>,
}

/// Why a row was refused: a stable code, and the column. Has nothing of the row's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFault {
    /// The code.
    pub code: String,
    /// The name of the field, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportRowOutcome {
    /// It created the customer.
    Created,
    /// The customer was there.
    Updated,
    /// It was left out ([`ImportMode::Skip`]).
    Skipped,
    /// It was refused, and changed nothing.
    Refused(ImportFault),
}

impl ImportRowOutcome {
    /// Returns the name of the outcome in records and answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
            Self::Refused(_) => "refused",
        }
    }

    /// Returns why the row was refused, if it was.
    pub fn fault(&self) -> Option<&ImportFault> {
        if let Self::Refused(fault) = self { Some(fault) } else { None }
    }
}

/// A row in the report of an import. Names the customer by the account only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRowRecord {
    /// The line.
    pub line: u64,
    /// The outcome.
    pub outcome: ImportRowOutcome,
    /// The account, unless the row was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The points that went into lots. The others paid off debt.
    pub brought: Points,
    /// The lots that [`ImportMode::Reset`] took away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_away: Vec<ImportedLot>,
    /// The points that the undoing took back, if it was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<Points>,
}

/// One transaction of an import.
#[derive(Clone, Debug)]
pub enum ImportAction {
    /// Begins an import. Has no effect if it is the same as one that has begun.
    Begin {
        /// A hash of the content and of how it is read.
        digest: String,
        /// What it does.
        settings: ImportSettings,
    },
    /// Decides a row. A row that is refused is recorded in the report.
    Row {
        /// The line of the row before, which must be the last one decided.
        after: u64,
        /// The row.
        row: ImportRow,
    },
    /// Decides a row and changes nothing, not even a report. Needs no import.
    TryRow {
        /// What the import would do.
        settings: ImportSettings,
        /// The row.
        row: ImportRow,
    },
    /// Completes an import.
    Finish,
    /// Begins to undo an import. Has no effect if that has begun.
    BeginUndo,
    /// Undoes a row of the report.
    UndoRow {
        /// The line of the row that was undone before.
        after: u64,
        /// The row, as the report has it.
        row: Box<ImportRowRecord>,
    },
    /// Completes the undoing.
    FinishUndo,
}

/// The outcome of an [`ImportAction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOutcome {
    /// The import. `None` for a row that was tried.
    pub record: Option<Arc<ImportRecord>>,
    /// The row, if the action is about one.
    pub row: Option<Arc<ImportRowRecord>>,
}

/// A change of an import to write.
#[derive(Clone, Debug)]
pub(crate) struct ImportChange {
    pub(crate) record: Arc<ImportRecord>,
    pub(crate) row: Option<Arc<ImportRowRecord>>,
}

/// Reads of imports.
pub(crate) trait ImportView {
    fn import(&mut self, shop: ShopId, id: &ImportId)
    -> Result<Option<Arc<ImportRecord>>, Failure>;
}

/// The imports of a store.
pub trait Imports {
    /// Returns an import.
    fn import(&self, shop: ShopId, id: &ImportId) -> Result<Option<Arc<ImportRecord>>, Failure>;

    /// Returns up to `limit` imports of a shop in the order of their ids, starting behind `after`.
    fn imports(
        &self,
        shop: ShopId,
        after: Option<&ImportId>,
        limit: usize,
    ) -> Result<Vec<Arc<ImportRecord>>, Failure>;

    /// Returns up to `limit` rows of an import by line, starting behind the line `after`; only
    /// those that were refused, if asked.
    fn import_rows(
        &self,
        shop: ShopId,
        id: &ImportId,
        after: u64,
        only_refused: bool,
        limit: usize,
    ) -> Result<Vec<Arc<ImportRowRecord>>, Failure>;
}

impl From<&Rejection> for ImportFault {
    fn from(rejection: &Rejection) -> Self {
        Self { code: rejection.code().to_owned(), column: None }
    }
}
