//! What the subcommands share. Each has a file of its own below `cli/`.

pub(crate) mod backup;
pub(crate) mod import;
pub(crate) mod key;
pub(crate) mod serve;
pub(crate) mod shop;
pub(crate) mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

#[derive(Args)]
pub(crate) struct Database {
    /// The database file; created if it does not exist.
    #[arg(long, env = "LOYALTY_DB", default_value = "loyalty.db")]
    pub(crate) db: PathBuf,
}

/// The exit code of a command, or one line that describes its error.
pub(crate) type CommandResult = Result<ExitCode, String>;

/// Prints a line. Unlike `println!`, it does not panic if standard output is closed.
pub(crate) fn print(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}
