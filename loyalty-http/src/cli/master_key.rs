//! `master-key`: the key that seals secrets in the database file.

use std::process::ExitCode;

use clap::Subcommand;
use loyalty_store::SqliteAdmin;

use super::{CommandResult, Database, print};

#[derive(Subcommand)]
pub(crate) enum MasterKeyCommand {
    /// Make a new master key and seal all secrets with it. The server must be stopped.
    Rotate(Database),
}

/// Runs a command of `master-key`.
pub(crate) fn run(command: &MasterKeyCommand) -> CommandResult {
    let MasterKeyCommand::Rotate(database) = command;
    let source = database.master_key()?;
    let (path, id) =
        SqliteAdmin::rotate_master_key(&database.db, &source).map_err(|error| error.to_string())?;
    print(&format!(
        "All secrets are sealed with the master key {id} in {}.",
        path.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
