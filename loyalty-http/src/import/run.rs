//! Runs an import, and undoes one: the rows go to the store one after the other, some of them
//! before the first is committed, so that many share a commit.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use loyalty_core::{ImportId, ShopId, Timestamp};
use loyalty_store::{
    Action, Failure, ImportAction, ImportContent, ImportCounts, ImportOutcome, ImportRecord,
    ImportRow, ImportRowRecord, ImportSettings, Pending, Rejection, Reply, Request, Store,
};

use super::content_error::ContentError;
use super::examine::{examine, unreadable};
use super::options::{ImportOptions, RowsPolicy};
use super::rows::Rows;

/// The most rows that wait for a commit.
const WINDOW: usize = 1_000;

/// The rows that are left to wait, so that the store always has some.
const HALF_WINDOW: usize = 500;

/// How often a row is sent again after a failure that passes.
const ATTEMPTS: u32 = 20;

/// The most refused rows in a report. The store has all of them.
const MAX_REPORTED: usize = 100;

/// A row of a report.
pub type RowReport = Arc<ImportRowRecord>;

/// What became of an import.
#[derive(Clone, Debug)]
pub struct ImportReport {
    /// The id.
    pub id: ImportId,
    /// `running`, `completed`, `undoing` or `undone`; `tried` after a dry run; `refused` if all
    /// rows had to be good, and nothing was imported.
    pub state: &'static str,
    /// The rows.
    pub counts: ImportCounts,
    /// The first hundred rows that were refused.
    pub refused: Vec<RowReport>,
    /// False if the content's last line has no line break: it may have been cut.
    pub ends_with_break: bool,
}

/// Why an import stopped.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The content cannot be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The store rejected a step.
    #[error("{0}")]
    Rejected(Rejection),
    /// The store failed. The same import again goes on where it stopped.
    #[error("{0}; the same import again goes on where it stopped")]
    Failed(#[from] Failure),
}

/// Runs an import, or goes on with one. The content is opened for each reading.
///
/// # Errors
/// A content that cannot be read, an id of another import, or a store that fails.
pub fn run<R: Read>(
    store: &dyn Store,
    now: &dyn Fn() -> Timestamp,
    open: impl Fn() -> io::Result<R>,
    options: &ImportOptions,
    mut progress: impl FnMut(&ImportCounts),
) -> Result<ImportReport, RunError> {
    let open = || open().map_err(|error| unreadable(&error, 0));
    let examined = examine(open()?, options)?;
    let report = |record: &ImportRecord, refused| ImportReport {
        id: options.id.clone(),
        state: record.state.name(),
        counts: record.counts,
        refused,
        ends_with_break: examined.ends_with_break,
    };

    let known = store.import(options.shop, &options.id)?;
    let is_first = known.is_none_or(|known| known.last_line == 0);
    let must_try = options.rows == RowsPolicy::AllOrNothing && is_first;
    if options.dry_run || must_try {
        let rows = Rows::new(open()?, &examined, options, now())?;
        let (counts, refused) = try_rows(store, now, rows, options, &mut progress)?;
        if options.dry_run || counts.refused > 0 {
            let state = if options.dry_run { "tried" } else { "refused" };
            let ends_with_break = examined.ends_with_break;
            return Ok(ImportReport {
                id: options.id.clone(),
                state,
                counts,
                refused,
                ends_with_break,
            });
        }
    }

    let steps = Steps { store, now, shop: options.shop, id: &options.id };
    let (digest, settings) = (examined.digest.clone(), options.settings);
    let record = steps.act(ImportAction::Begin { digest, settings })?;
    if record.state == loyalty_store::ImportState::Running {
        let mut rows = Rows::new(open()?, &examined, options, now())?;
        let mut window = Window::new(&steps, record.last_line);
        while let Some(row) = rows.read_next()? {
            if row.line > record.last_line {
                window.push(row, |record| progress(&record.counts))?;
            }
        }
        window.finish(|record| progress(&record.counts))?;
        steps.act(ImportAction::Finish)?;
    }
    let record = steps.load()?;
    let refused = store.import_rows(options.shop, &options.id, 0, true, MAX_REPORTED)?;
    Ok(report(&record, refused))
}

/// Runs an import of rows that are in memory, or goes on with one. `digest` is a hash of them and
/// of how they were found.
///
/// # Errors
/// An id of another import, or a store that fails.
pub fn run_contents(
    store: &dyn Store,
    now: &dyn Fn() -> Timestamp,
    (shop, id): (ShopId, &ImportId),
    digest: String,
    contents: Vec<ImportContent>,
) -> Result<Arc<ImportRecord>, RunError> {
    let steps = Steps { store, now, shop, id };
    let settings = ImportSettings { repeats_customers: true, ..ImportSettings::default() };
    let record = steps.act(ImportAction::Begin { digest, settings })?;
    if record.state != loyalty_store::ImportState::Running {
        return Ok(record);
    }

    let mut window = Window::new(&steps, record.last_line);
    for (content, line) in contents.into_iter().zip(1_u64..) {
        if line > record.last_line {
            window.push(ImportRow { line, content: Ok(Box::new(content)) }, |_| ())?;
        }
    }
    window.finish(|_| ())?;
    steps.act(ImportAction::Finish)
}

/// Undoes an import: takes back what is left of its lots. Goes on with an undoing that stopped.
///
/// # Errors
/// An unknown import, or a store that fails.
pub fn undo(
    store: &dyn Store,
    now: &dyn Fn() -> Timestamp,
    (shop, id): (ShopId, &ImportId),
    mut progress: impl FnMut(&ImportCounts),
) -> Result<Arc<ImportRecord>, RunError> {
    let steps = Steps { store, now, shop, id };
    let record = steps.act(ImportAction::BeginUndo)?;
    if record.state != loyalty_store::ImportState::Undoing {
        return Ok(record);
    }

    let mut window = Window::new(&steps, record.undone_line);
    let mut after = record.undone_line;
    loop {
        let rows = store.import_rows(shop, id, after, false, WINDOW)?;
        let Some(last) = rows.last() else { break };
        after = last.line;
        for row in rows {
            window.push(Undone(row), |record| progress(&record.counts))?;
        }
    }
    window.finish(|record| progress(&record.counts))?;
    steps.act(ImportAction::FinishUndo)
}

/// Decides every row without a change. Returns the counts, and the first rows that are refused.
fn try_rows<R: Read>(
    store: &dyn Store,
    now: &dyn Fn() -> Timestamp,
    mut rows: Rows<'_, R>,
    options: &ImportOptions,
    progress: &mut impl FnMut(&ImportCounts),
) -> Result<(ImportCounts, Vec<RowReport>), RunError> {
    let (mut counts, mut refused) = (ImportCounts::default(), Vec::new());
    while let Some(row) = rows.read_next()? {
        let tried = ImportAction::TryRow { settings: options.settings, row };
        let action = Action::Import(options.id.clone(), tried);
        let request = Request { dry_run: true, ..Request::new(options.shop, now(), action) };
        let Some(row) = outcome_of(store.execute(request).wait())?.row else {
            continue;
        };
        counts.add(&row);
        if row.outcome.fault().is_some() && refused.len() < MAX_REPORTED {
            refused.push(row);
        }
        progress(&counts);
    }
    Ok((counts, refused))
}

fn outcome_of(reply: Result<Reply, Failure>) -> Result<ImportOutcome, RunError> {
    match reply? {
        Reply::Decided(Ok(receipt)) => receipt.import.ok_or_else(|| {
            RunError::Failed(Failure::Corrupt("a step of an import has no outcome".to_owned()))
        }),
        Reply::Decided(Err(rejection)) => Err(RunError::Rejected(rejection)),
        Reply::Stored { .. } => {
            let text = "a step of an import has no idempotency key".to_owned();
            Err(RunError::Failed(Failure::Corrupt(text)))
        }
    }
}

/// The steps of one import.
struct Steps<'a> {
    store: &'a dyn Store,
    now: &'a dyn Fn() -> Timestamp,
    shop: ShopId,
    id: &'a ImportId,
}

impl Steps<'_> {
    fn submit(&self, action: ImportAction) -> Pending {
        let action = Action::Import(self.id.clone(), action);
        self.store.execute(Request::new(self.shop, (self.now)(), action))
    }

    /// Takes a step that is about the import as a whole.
    fn act(&self, action: ImportAction) -> Result<Arc<ImportRecord>, RunError> {
        match outcome_of(self.submit(action).wait())?.record {
            Some(record) => Ok(record),
            None => self.load(),
        }
    }

    fn load(&self) -> Result<Arc<ImportRecord>, RunError> {
        let found = self.store.import(self.shop, self.id)?;
        found.ok_or(RunError::Rejected(Rejection::ImportNotFound))
    }
}

/// A step that must follow the one before.
trait Step {
    fn line(&self) -> u64;
    fn action(&self, after: u64) -> ImportAction;
    /// The line of the last step that was taken.
    fn taken(record: &ImportRecord) -> u64;
}

impl Step for ImportRow {
    fn line(&self) -> u64 {
        self.line
    }

    fn action(&self, after: u64) -> ImportAction {
        ImportAction::Row { after, row: self.clone() }
    }

    fn taken(record: &ImportRecord) -> u64 {
        record.last_line
    }
}

/// A row to undo.
struct Undone(RowReport);

impl Step for Undone {
    fn line(&self) -> u64 {
        self.0.line
    }

    fn action(&self, after: u64) -> ImportAction {
        ImportAction::UndoRow { after, row: Box::new((*self.0).clone()) }
    }

    fn taken(record: &ImportRecord) -> u64 {
        record.undone_line
    }
}

/// The steps that wait for their commit, in order.
struct Window<'a, S> {
    steps: &'a Steps<'a>,
    /// The line of the last step that was sent.
    after: u64,
    waiting: VecDeque<(S, Pending)>,
}

impl<'a, S: Step> Window<'a, S> {
    fn new(steps: &'a Steps<'a>, after: u64) -> Self {
        Self { steps, after, waiting: VecDeque::new() }
    }

    fn push(&mut self, step: S, progress: impl FnMut(&ImportRecord)) -> Result<(), RunError> {
        self.send(step);
        if self.waiting.len() >= WINDOW {
            self.wait(HALF_WINDOW, progress)?;
        }
        Ok(())
    }

    fn finish(mut self, progress: impl FnMut(&ImportRecord)) -> Result<(), RunError> {
        self.wait(0, progress)
    }

    fn send(&mut self, step: S) {
        let pending = self.steps.submit(step.action(self.after));
        self.after = step.line();
        self.waiting.push_back((step, pending));
    }

    /// Waits until so many steps are left.
    fn wait(
        &mut self,
        left: usize,
        mut progress: impl FnMut(&ImportRecord),
    ) -> Result<(), RunError> {
        let mut attempt = 0_u32;
        let mut newest = None;
        while self.waiting.len() > left
            && let Some((step, pending)) = self.waiting.pop_front()
        {
            match outcome_of(pending.wait()) {
                Ok(outcome) => {
                    newest = outcome.record;
                    attempt = 0;
                }
                Err(error) => {
                    attempt = attempt.saturating_add(1);
                    let passes = matches!(
                        error,
                        RunError::Failed(
                            Failure::Busy | Failure::Unavailable(_) | Failure::UnknownOutcome(_)
                        )
                    );
                    if !passes || attempt > ATTEMPTS {
                        return Err(error);
                    }
                    self.send_again(step, attempt)?;
                }
            }
        }
        if let Some(record) = newest {
            progress(&record);
        }
        Ok(())
    }

    /// Sends all that was not done again: what followed a step that failed was not done either.
    fn send_again(&mut self, failed: S, attempt: u32) -> Result<(), RunError> {
        let mut steps = vec![failed];
        for (step, pending) in self.waiting.drain(..) {
            // Only the record says what was done.
            let _ = pending.wait();
            steps.push(step);
        }
        std::thread::sleep(Duration::from_millis(25).saturating_mul(attempt));
        let record = self.steps.load()?;
        let taken = S::taken(&record);
        self.after = taken;
        for step in steps.into_iter().filter(|step| step.line() > taken) {
            self.send(step);
        }
        Ok(())
    }
}
