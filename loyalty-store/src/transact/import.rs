//! Imports: each row is decided with the progress of its import, and undone by what is left of it.

use std::sync::Arc;

use loyalty_core::program::EmailProof;
use loyalty_core::{
    Account, Command, Event, ImportId, ImportMode, ImportedEnd, ImportedLot, LotId, Points,
};

use super::{
    ChangeSet, EmailPolicy, ResolvedCustomer, Transaction, TransactionError, TransactionView,
};
use crate::error::{Failure, Rejection};
use crate::import::{
    ImportAction, ImportChange, ImportContent, ImportCounts, ImportFault, ImportOutcome,
    ImportRecord, ImportRow, ImportRowOutcome, ImportRowRecord, ImportSettings, ImportState,
};
use crate::request::{EmailConflict, Existence, Receipt};

/// The shop itself says whose the e-mails are.
const IMPORTED: EmailPolicy = (EmailConflict::Reject, EmailProof::Profile);

impl<V: TransactionView> Transaction<'_, V> {
    pub(super) fn perform_import(
        &mut self,
        id: &ImportId,
        action: ImportAction,
    ) -> Result<Receipt, TransactionError> {
        let outcome = match action {
            ImportAction::Begin { digest, settings } => self.begin_import(id, digest, settings)?,
            ImportAction::Row { after, row } => return self.import_row(id, after, row),
            ImportAction::TryRow { settings, row } => {
                let (row, _) = self.decide_row(id, settings, row)?;
                self.discard();
                ImportOutcome { record: None, row: Some(Arc::new(row)) }
            }
            ImportAction::Finish => self.change_import(id, |record| match record.state {
                ImportState::Running => Some(ImportState::Completed),
                ImportState::Completed | ImportState::Undoing | ImportState::Undone => None,
            })?,
            ImportAction::BeginUndo => self.change_import(id, |record| match record.state {
                ImportState::Running | ImportState::Completed => Some(ImportState::Undoing),
                ImportState::Undoing | ImportState::Undone => None,
            })?,
            ImportAction::UndoRow { after, row } => return self.undo_row(id, after, *row),
            ImportAction::FinishUndo => self.change_import(id, |record| match record.state {
                ImportState::Undoing => Some(ImportState::Undone),
                ImportState::Running | ImportState::Completed | ImportState::Undone => None,
            })?,
        };
        Ok(Receipt { import: Some(outcome), ..self.build_receipt(None, None)? })
    }

    fn begin_import(
        &mut self,
        id: &ImportId,
        digest: String,
        settings: ImportSettings,
    ) -> Result<ImportOutcome, TransactionError> {
        // What was spent of several rows could not be told from what they had replaced.
        if settings.mode == ImportMode::Reset && settings.repeats_customers {
            return Err(Rejection::ImportModeUnsupported.into());
        }
        if let Some(known) = self.view.import(self.shop.id, id)? {
            if known.digest != digest || known.settings != settings {
                return Err(Rejection::ImportIdReused.into());
            }
            return Ok(ImportOutcome { record: Some(known), row: None });
        }
        let record = ImportRecord {
            id: id.clone(),
            digest,
            settings,
            state: ImportState::Running,
            last_line: 0,
            undone_line: 0,
            counts: ImportCounts::default(),
            started_at: self.now,
            updated_at: self.now,
        };
        Ok(self.put_import(record, None))
    }

    /// Moves an import to another state, if the present one leads there.
    fn change_import(
        &mut self,
        id: &ImportId,
        next: impl FnOnce(&ImportRecord) -> Option<ImportState>,
    ) -> Result<ImportOutcome, TransactionError> {
        let record = self.load_import(id)?;
        match next(&record) {
            None => Ok(ImportOutcome { record: Some(record), row: None }),
            Some(state) => Ok(self.put_import(ImportRecord { state, ..(*record).clone() }, None)),
        }
    }

    fn load_import(&mut self, id: &ImportId) -> Result<Arc<ImportRecord>, TransactionError> {
        let found = self.view.import(self.shop.id, id)?;
        found.ok_or_else(|| Rejection::ImportNotFound.into())
    }

    fn put_import(
        &mut self,
        mut record: ImportRecord,
        row: Option<ImportRowRecord>,
    ) -> ImportOutcome {
        record.updated_at = self.now;
        let (record, row) = (Arc::new(record), row.map(Arc::new));
        let change = ImportChange { record: Arc::clone(&record), row: row.clone() };
        self.changes.import = Some(change);
        ImportOutcome { record: Some(record), row }
    }

    /// Forgets everything that was decided.
    fn discard(&mut self) {
        self.changes = ChangeSet::default();
        self.events.clear();
        self.to_reschedule.clear();
        self.unclaimed_guest = None;
    }

    /// Decides the row after the last one, and records what became of it.
    fn import_row(
        &mut self,
        id: &ImportId,
        after: u64,
        row: ImportRow,
    ) -> Result<Receipt, TransactionError> {
        let record = self.load_import(id)?;
        // A row that follows one that is not done must not be done either.
        let is_next = record.last_line == after && row.line > after;
        if record.state != ImportState::Running || !is_next {
            return Err(Rejection::ImportRowNotNext.into());
        }

        let (row, found) = self.decide_row(id, record.settings, row)?;
        let mut record = (*record).clone();
        record.last_line = row.line;
        record.counts.add(&row);
        let receipt = self.build_receipt(found.as_ref(), None)?;
        let outcome = self.put_import(record, Some(row));
        Ok(Receipt { import: Some(outcome), ..receipt })
    }

    /// Decides a row. One that is refused changes nothing.
    fn decide_row(
        &mut self,
        id: &ImportId,
        settings: ImportSettings,
        ImportRow { line, content }: ImportRow,
    ) -> Result<(ImportRowRecord, Option<ResolvedCustomer>), Failure> {
        let refused = |fault| ImportRowRecord {
            line,
            outcome: ImportRowOutcome::Refused(fault),
            account: None,
            brought: Points::ZERO,
            taken_away: Vec::new(),
            taken_back: None,
        };
        let content = match content {
            Ok(content) => content,
            Err(fault) => return Ok((refused(fault), None)),
        };
        match self.apply_row(id, settings, line, *content) {
            Ok(decided) => Ok(decided),
            Err(TransactionError::Failed(failure)) => Err(failure),
            Err(TransactionError::Rejected(rejection)) => {
                self.discard();
                Ok((refused(ImportFault::from(&rejection)), None))
            }
        }
    }

    fn apply_row(
        &mut self,
        id: &ImportId,
        settings: ImportSettings,
        line: u64,
        content: ImportContent,
    ) -> Result<(ImportRowRecord, Option<ResolvedCustomer>), TransactionError> {
        let ImportContent { customer, change, lots, tier } = content;
        let found = self.resolve_customer(&customer, Existence::Any, IMPORTED)?;
        let before = self.load_account(found.account)?;
        if !settings.repeats_customers && before.account.has_points_of(id) {
            return Err(Rejection::ImportCustomerRepeated.into());
        }
        let mut row = ImportRowRecord {
            line,
            outcome: if found.created {
                ImportRowOutcome::Created
            } else {
                ImportRowOutcome::Updated
            },
            account: Some(found.account),
            brought: Points::ZERO,
            taken_away: Vec::new(),
            taken_back: None,
        };
        if settings.mode == ImportMode::Skip && before.account.has_points_beside(id) {
            self.discard();
            (row.outcome, row.account) = (ImportRowOutcome::Skipped, None);
            return Ok((row, None));
        }

        self.change_profile(found.account, change, IMPORTED)?;
        let signs_up = settings.signs_up && found.registered;
        let command = signs_up.then_some(Command::SignUp);
        let (import, mode) = (id.clone(), settings.mode);
        let points = lots.map(|lots| Command::ImportPoints { import, lots, mode });
        let tier = tier.map(|tier| Command::SetTier(Some(tier)));
        for command in [command, points, tier].into_iter().flatten() {
            self.run_command(Some(found.account), &command)?;
        }

        row.brought = points_of(&self.events, id);
        row.taken_away = lots_taken_away(&self.events, id, &before.account);
        Ok((row, Some(found)))
    }

    /// Undoes the row after the last one that was undone.
    fn undo_row(
        &mut self,
        id: &ImportId,
        after: u64,
        mut row: ImportRowRecord,
    ) -> Result<Receipt, TransactionError> {
        let record = self.load_import(id)?;
        let is_next = record.undone_line == after && row.line > after;
        if record.state != ImportState::Undoing || !is_next {
            return Err(Rejection::ImportRowNotNext.into());
        }

        let mut found = None;
        if let Some(account) = row.account {
            let account = self.resolve_merged(account)?;
            let command = Command::UndoImport {
                import: id.clone(),
                brought: row.brought,
                taken_away: row.taken_away.clone(),
            };
            self.run_command(Some(account), &command)?;
            found = Some(ResolvedCustomer { account, created: false, registered: false });
        }
        let taken_back = points_taken(&self.events, id);
        row.taken_back = Some(taken_back);

        let mut record = (*record).clone();
        record.undone_line = row.line;
        record.counts.taken_back = record.counts.taken_back.saturating_add(taken_back);
        let receipt = self.build_receipt(found.as_ref(), None)?;
        let outcome = self.put_import(record, Some(row));
        Ok(Receipt { import: Some(outcome), ..receipt })
    }
}

/// Returns the points that an import has put into lots.
fn points_of(events: &[Event], id: &ImportId) -> Points {
    let mut sum = Points::ZERO;
    for event in events {
        if let Event::PointsAdded { lot: Some(lot), reason, .. } = event
            && reason.import.as_ref() == Some(id)
        {
            sum = sum.saturating_add(lot.points);
        }
    }
    sum
}

/// Returns the parts of lots that an import has subtracted.
fn parts_taken(events: &[Event], id: &ImportId) -> Vec<(LotId, Points)> {
    let mut parts = Vec::new();
    for event in events {
        if let Event::PointsSubtracted { lots, reason, .. } = event
            && reason.import.as_ref() == Some(id)
        {
            parts.extend(lots);
        }
    }
    parts
}

fn points_taken(events: &[Event], id: &ImportId) -> Points {
    parts_taken(events, id)
        .into_iter()
        .fold(Points::ZERO, |sum, (_, points)| sum.saturating_add(points))
}

/// Returns the lots that an import has subtracted, with their instants.
fn lots_taken_away(events: &[Event], id: &ImportId, before: &Account) -> Vec<ImportedLot> {
    let parts = parts_taken(events, id).into_iter();
    parts
        .map(|(lot, points)| {
            let lot = before.lots().get(lot).or(before.pending_lots().get(lot));
            ImportedLot {
                points,
                earned_at: lot.map(|lot| lot.earned_at),
                end: match lot.map(|lot| lot.expires_at) {
                    None => ImportedEnd::ByProgram,
                    Some(None) => ImportedEnd::Never,
                    Some(Some(end)) => ImportedEnd::At(end),
                },
            }
        })
        .collect()
}
