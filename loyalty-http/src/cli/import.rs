//! `import`: customers and points from a file, and the undoing of an import.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use loyalty_core::figures::{CountedNoun, GroupedNumber};
use loyalty_core::{ImportId, ImportMode, ShopId};
use loyalty_http::Clock;
use loyalty_http::import::{
    ColumnMap, ContentFormat, Encoding, Field, ImportOptions, ImportReport, Preset, RowsPolicy,
    run, undo,
};
use loyalty_store::{
    ImportCounts, ImportRowRecord, ImportSettings, Imports, Shop, SqliteStore, Store, StoreSettings,
};

use super::{CommandResult, Database, print};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Import {
    #[command(subcommand)]
    command: Option<ImportCommand>,
    #[command(flatten)]
    run: RunImport,
}

#[derive(Subcommand)]
pub(crate) enum ImportCommand {
    /// Take back what is left of the points of an import. The server must be stopped.
    Undo {
        /// The id of the import.
        id: ImportId,
        #[command(flatten)]
        place: Place,
    },
    /// Print each row of an import as CSV.
    Report {
        /// The id of the import.
        id: ImportId,
        #[command(flatten)]
        place: Place,
        /// Only the rows that were refused.
        #[arg(long)]
        refused: bool,
    },
}

#[derive(Args)]
pub(crate) struct Place {
    #[command(flatten)]
    pub(crate) database: Database,
    /// The number of the shop; not needed if there is one only.
    #[arg(long)]
    pub(crate) shop: Option<i64>,
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct RunImport {
    /// The file: CSV, or NDJSON if its name ends in .ndjson or .jsonl.
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// The id of the import; by default the name of the file. The same id and file count once.
    #[arg(long)]
    id: Option<ImportId>,
    /// Show what each row would do, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// What to do with points that customers have: add, reset or skip.
    #[arg(long, default_value = "add", value_parser = parse_mode)]
    mode: ImportMode,
    /// The service that the file is from: smile, yotpo, loyaltylion, lootly, talon, or export.
    #[arg(long, default_value = "own", value_parser = parse_preset)]
    preset: Preset,
    /// A column of the file for a field, as points="Points Balance". May be repeated.
    #[arg(long = "column", value_parser = parse_column)]
    columns: Vec<(Field, String)>,
    /// Rows are lots: a customer can have several.
    #[arg(long)]
    lots: bool,
    /// Import nothing if any row is refused.
    #[arg(long)]
    all_or_nothing: bool,
    /// New customers get what the program grants for signing up.
    #[arg(long)]
    sign_up: bool,
    /// The file is Latin-1 (ISO 8859-1), not UTF-8.
    #[arg(long)]
    latin1: bool,
}

fn parse_mode(text: &str) -> Result<ImportMode, String> {
    match text {
        "add" => Ok(ImportMode::Add),
        "reset" => Ok(ImportMode::Reset),
        "skip" => Ok(ImportMode::Skip),
        _ => Err("must be add, reset or skip".to_owned()),
    }
}

fn parse_preset(text: &str) -> Result<Preset, String> {
    let presets = "must be own, export, smile, yotpo, loyaltylion, lootly or talon";
    Preset::by_name(text).ok_or_else(|| presets.to_owned())
}

fn parse_column(text: &str) -> Result<(Field, String), String> {
    let (field, column) = text.split_once('=').ok_or("must be a field, = and a column")?;
    let names = || Field::ALL.map(Field::name).join(", ");
    let field =
        Field::by_name(field).ok_or_else(|| format!("the field must be one of {}", names()))?;
    Ok((field, column.trim_matches('"').to_owned()))
}

impl Place {
    /// Opens the file, which no server may serve, and finds the shop.
    pub(crate) fn open(&self) -> Result<(SqliteStore, std::sync::Arc<Shop>), String> {
        let db = &self.database.db;
        if !db.exists() {
            return Err(format!("there is no file {}", db.display()));
        }
        let mut settings = StoreSettings::default();
        settings.master_key = self.database.master_key()?;
        let store = SqliteStore::open(db, &settings);
        let store = store.map_err(|error| error.to_string())?;
        let shops = store.shops().map_err(|error| error.to_string())?;
        let shop = match (self.shop, &shops[..]) {
            (Some(id), shops) => shops.iter().find(|shop| shop.id == ShopId(id)).cloned(),
            (None, [shop]) => Some(std::sync::Arc::clone(shop)),
            (None, _) => {
                return Err("there are several shops, or none: say --shop NUMBER".to_owned());
            }
        };
        let shop = shop.ok_or("there is no such shop")?;
        Ok((store, shop))
    }
}

/// Runs an import, undoes one, or prints the report of one.
pub(crate) fn import(options: &Import) -> CommandResult {
    match &options.command {
        Some(ImportCommand::Undo { id, place }) => undo_import(id, place),
        Some(ImportCommand::Report { id, place, refused }) => report(id, place, *refused),
        None => run_import(&options.run),
    }
}

fn run_import(options: &RunImport) -> CommandResult {
    let file = options
        .file
        .as_deref()
        .ok_or("say which FILE to import (--help for usage)")?;
    let id = if let Some(id) = &options.id {
        id.clone()
    } else {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        ImportId::new(name).map_err(|_| "this file needs an --id".to_owned())?
    };
    let repeats_customers = options.lots || options.preset.repeats_customers();
    if options.mode == ImportMode::Reset && repeats_customers {
        return Err("--mode reset needs one row for each customer, not lots".to_owned());
    }
    let (store, shop) = options.place.open()?;
    let extension = file.extension().and_then(|extension| extension.to_str());
    let is_ndjson = matches!(extension, Some("ndjson" | "jsonl"));
    let import = ImportOptions {
        shop: shop.id,
        zone: shop.zone,
        id,
        format: if is_ndjson { ContentFormat::Ndjson } else { ContentFormat::Csv },
        encoding: if options.latin1 { Encoding::Latin1 } else { Encoding::Utf8 },
        columns: ColumnMap { preset: options.preset, named: options.columns.clone() },
        settings: ImportSettings {
            mode: options.mode,
            signs_up: options.sign_up,
            repeats_customers,
        },
        rows: if options.all_or_nothing { RowsPolicy::AllOrNothing } else { RowsPolicy::Good },
        dry_run: options.dry_run,
    };

    let clock = Clock::system();
    let report = run(&store, &|| clock.now(), || File::open(file), &import, show_progress);
    end_progress();
    let report = report.map_err(|error| format!("{}: {error}", file.display()))?;
    print_report(&report)?;
    let is_done = matches!(report.state, "completed" | "tried") && report.counts.refused == 0;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn undo_import(id: &ImportId, place: &Place) -> CommandResult {
    let (store, shop) = place.open()?;
    let clock = Clock::system();
    let record = undo(&store, &|| clock.now(), (shop.id, id), show_progress);
    end_progress();
    let record = record.map_err(|error| error.to_string())?;
    let counts = record.counts;
    let spent = counts.brought.saturating_sub(counts.taken_back);
    print(&format!(
        "Import {id} is {}: {} of {} taken back, {} were spent or have expired.",
        record.state.name(),
        GroupedNumber(counts.taken_back),
        CountedNoun::new(counts.brought, "point", "points"),
        GroupedNumber(spent),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn report(id: &ImportId, place: &Place, only_refused: bool) -> CommandResult {
    let (store, shop) = place.open()?;
    let known = store.import(shop.id, id).map_err(|error| error.to_string())?;
    if known.is_none() {
        return Err(format!("there is no import {id}"));
    }
    print("line,outcome,code,column,points,taken_back")?;
    let mut after = 0;
    loop {
        let rows = store.import_rows(shop.id, id, after, only_refused, 1_000);
        let rows = rows.map_err(|error| error.to_string())?;
        let Some(last) = rows.last() else { return Ok(ExitCode::SUCCESS) };
        after = last.line;
        rows.iter().try_for_each(|row| print(&report_line(row)))?;
    }
}

fn report_line(row: &ImportRowRecord) -> String {
    let fault = row.outcome.fault();
    let (code, column) = (
        fault.map_or("", |fault| fault.code.as_str()),
        fault.and_then(|fault| fault.column.as_deref()).unwrap_or_default(),
    );
    let taken_back = row.taken_back.map(|points| points.to_string()).unwrap_or_default();
    let outcome = row.outcome.name();
    format!("{},{outcome},{code},{column},{},{taken_back}", row.line, row.brought)
}

fn print_report(report: &ImportReport) -> Result<(), String> {
    let ImportCounts { created, updated, skipped, refused, brought, .. } = report.counts;
    for row in &report.refused {
        let fault = row.outcome.fault();
        let code = fault.map_or("", |fault| fault.code.as_str());
        let column = fault.and_then(|fault| fault.column.as_deref());
        let column = column.map_or_else(String::new, |column| format!(" ({column})"));
        print(&format!("line {}: {code}{column}", row.line))?;
    }
    let rows = CountedNoun::new(report.counts.rows(), "row", "rows");
    print(&format!(
        "Import {} is {}: {rows}; {} created, {} updated, {} skipped, {} refused; {}.",
        report.id,
        report.state,
        GroupedNumber(created),
        GroupedNumber(updated),
        GroupedNumber(skipped),
        GroupedNumber(refused),
        CountedNoun::new(brought, "point", "points"),
    ))?;
    if !report.ends_with_break {
        print("The last line of the file has no line break: was the file cut?")?;
    }
    Ok(())
}

/// Shows on a terminal how many rows are done.
fn show_progress(counts: &ImportCounts) {
    let mut out = std::io::stderr();
    if out.is_terminal() && counts.rows().is_multiple_of(500) {
        let _ = write!(out, "\r{} rows", GroupedNumber(counts.rows()));
    }
}

fn end_progress() {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let _ = write!(out, "\r");
    }
}
