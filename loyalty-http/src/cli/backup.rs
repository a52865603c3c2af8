//! `backup` and `restore`: a copy of the database at one instant, and the way back.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use loyalty_core::figures::CountedNoun;
use loyalty_store::{BackupError, SqliteAdmin, VerificationReport};

use super::{CommandResult, Database, print};

#[derive(Args)]
pub(crate) struct Backup {
    /// The file to write. Only its owner can read it.
    file: PathBuf,
    #[command(flatten)]
    database: Database,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup. It is not changed.
    file: PathBuf,
    #[command(flatten)]
    database: Database,
}

/// Backs the database up and prints what the copy has.
pub(crate) fn back_up(options: &Backup) -> CommandResult {
    let db = &options.database.db;
    let backup = SqliteAdmin::back_up(db, &options.file, options.force).map_err(|error| {
        let exists = matches!(error, BackupError::Exists(_));
        let hint = if exists { ": use --force to replace it" } else { "" };
        format!("no backup was made: {error}{hint}")
    })?;
    let (contents, bytes) = (describe(&backup.report), backup.bytes);
    print(&format!("Backed up {contents} to {} ({bytes} bytes).", backup.file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Puts a backup in the place of the database and prints where the replaced file is.
pub(crate) fn restore(options: &Restore) -> CommandResult {
    let db = &options.database.db;
    let restored = SqliteAdmin::restore(db, &options.file)
        .map_err(|error| format!("nothing was restored: {error}"))?;
    print(&format!("Restored {} to {}.", describe(&restored.report), db.display()))?;
    if let Some(format) = restored.older_format {
        print(&format!("The backup has format {format}; the restored file has the newest."))?;
    }
    if let Some(replaced) = &restored.replaced {
        print(&format!("The replaced file is {}.", replaced.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(report: &VerificationReport) -> String {
    let rows = CountedNoun::new(report.rows, "journal row", "journal rows");
    let newest = report
        .newest
        .map_or_else(String::new, |at| format!(", the newest of {at},"));
    format!("{rows}{newest}")
}
