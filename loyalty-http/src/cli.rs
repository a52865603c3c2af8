//! What the subcommands share. Each has a file of its own below `cli/`.

pub(crate) mod backup;
pub(crate) mod expiry;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod key;
pub(crate) mod master_key;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod shop;
pub(crate) mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use loyalty_store::seal::MasterKeys;
use loyalty_store::{MasterKeySource, SqliteAdmin};

#[derive(Args)]
pub(crate) struct Database {
    /// The database file; created if it does not exist.
    #[arg(long, env = "LOYALTY_DB", default_value = "loyalty.db")]
    pub(crate) db: PathBuf,
    /// The file with the master key, which seals secrets in the database. By default it is beside
    /// the database, and made at the first start. The key itself can be in
    /// `LOYALTY_MASTER_KEY`.
    #[arg(long, env = "LOYALTY_MASTER_KEY_FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
}

/// The variable with the master key itself. It is no option, since everybody on the machine sees
/// the options of a process.
const MASTER_KEY: &str = "LOYALTY_MASTER_KEY";

impl Database {
    /// Where the master key is.
    pub(crate) fn master_key(&self) -> Result<MasterKeySource, String> {
        let given = std::env::var(MASTER_KEY).ok().filter(|text| !text.is_empty());
        match (given, &self.master_key_file) {
            (Some(_), Some(_)) => Err(format!("give {MASTER_KEY} or a file, not both")),
            (Some(text), None) => MasterKeys::parse(&text)
                .map(MasterKeySource::Keys)
                .map_err(|error| format!("{MASTER_KEY}: {error}")),
            (None, Some(path)) => Ok(MasterKeySource::File(path.clone())),
            (None, None) => Ok(MasterKeySource::Beside),
        }
    }

    /// Opens the file as an operator, also while it is served.
    pub(crate) fn open_existing(&self) -> Result<SqliteAdmin, String> {
        let admin = SqliteAdmin::open_existing(&self.db).map_err(|error| error.to_string())?;
        Ok(admin.with_master_key(self.master_key()?))
    }
}

/// A name of a shop or key.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    let is_valid =
        !text.trim().is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
    if is_valid {
        return Ok(text.to_owned());
    }
    Err("a name must be 1 to 255 bytes without control characters".to_owned())
}

/// The exit code of a command, or one line that describes its error.
pub(crate) type CommandResult = Result<ExitCode, String>;

/// Prints a line. Unlike `println!`, it does not panic if standard output is closed.
pub(crate) fn print(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))
}
