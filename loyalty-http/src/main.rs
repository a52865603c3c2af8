//! The server's command line: `serve` (the default), `shop`, `key`, `store-secret`, `master-key`,
//! `verify`, `backup`, `restore`, `health`, `import` and `expiry`.
//!
//! An error is one line on standard error, with exit code 2. `verify` exits with code 1
//! if a stored state differs from the journal.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::backup::{Backup, Restore};
use crate::cli::expiry::ExpiryCommand;
use crate::cli::health::Health;
use crate::cli::import::Import;
use crate::cli::key::{KeyCommand, SecretCommand};
use crate::cli::master_key::MasterKeyCommand;
use crate::cli::serve::Serve;
use crate::cli::shop::ShopCommand;
use crate::cli::{Database, backup, expiry, health, import, key, master_key, serve, shop, verify};

/// mimalloc, because responses are many small allocations that one thread makes and
/// another one frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A loyalty server: points, orders, refunds and store webhooks over HTTP.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP (the default command).
    Serve(Serve),
    /// Create and list shops.
    #[command(subcommand)]
    Shop(ShopCommand),
    /// Create, list, revoke and rotate keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Rotate the secrets with which stores sign.
    #[command(subcommand)]
    StoreSecret(SecretCommand),
    /// Rotate the key that seals secrets in the database.
    #[command(subcommand)]
    MasterKey(MasterKeyCommand),
    /// Replay the whole journal and compare every stored state with the result.
    Verify(Database),
    /// Copy the database as it is now, also while it is served, and verify the copy.
    Backup(Backup),
    /// Put a backup in the place of the database. The server must be stopped.
    Restore(Restore),
    /// Ask a running server whether it is ready.
    Health(Health),
    /// Import customers and points from a file. The server must be stopped.
    Import(Box<Import>),
    /// Undo the expiry of points by a clock that was wrong.
    #[command(subcommand)]
    Expiry(ExpiryCommand),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.exit_code() == 0 => error.exit(), // --help and --version
        Err(error) => {
            let text = error.to_string();
            let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
            let line = lines.collect::<Vec<_>>().join(" ");
            eprintln!(
                "loyalty-http: {} (use --help for usage)",
                line.trim_start_matches("error: ")
            );
            return ExitCode::from(2);
        }
    };

    let result = match cli.command {
        None => serve::serve(&cli.serve),
        Some(Command::Serve(options)) => serve::serve(&options),
        Some(Command::Shop(command)) => shop::run(command),
        Some(Command::Key(command)) => key::run(command),
        Some(Command::StoreSecret(command)) => key::run_secret(command),
        Some(Command::MasterKey(command)) => master_key::run(&command),
        Some(Command::Verify(database)) => verify::verify(&database.db),
        Some(Command::Backup(options)) => backup::back_up(&options),
        Some(Command::Restore(options)) => backup::restore(&options),
        Some(Command::Health(options)) => health::check(&options),
        Some(Command::Import(options)) => import::import(&options),
        Some(Command::Expiry(command)) => expiry::run(&command),
    };

    result.unwrap_or_else(|error| {
        eprintln!("loyalty-http: {error}");
        ExitCode::from(2)
    })
}
