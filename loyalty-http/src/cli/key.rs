//! `key`: the keys of a shop.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use loyalty_core::ShopId;
use loyalty_http::{Clock, auth};
use loyalty_store::{NewApiKey, Shop, SqliteAdmin};

use super::{CommandResult, Database, print};

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a new key for a shop and print it, which is shown only once. The previous
    /// key stays valid until the next rotation; older keys are revoked now.
    Rotate {
        /// The shop's id.
        shop_id: i64,
        #[command(flatten)]
        database: Database,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command of `key`.
pub(crate) fn run(command: KeyCommand) -> CommandResult {
    match command {
        KeyCommand::Rotate { shop_id, database, json } => {
            rotate_key(&database.db, ShopId(shop_id), json)
        }
    }
}

fn rotate_key(db: &Path, shop: ShopId, json: bool) -> CommandResult {
    let admin = SqliteAdmin::open_existing(db).map_err(|error| error.to_string())?;
    let shops = admin.shops().map_err(|error| error.to_string())?;
    let shop = shops
        .into_iter()
        .find(|known| known.id == shop)
        .ok_or_else(|| format!("there is no shop {shop}"))?;
    issue_key(&admin, &shop, json)
}

/// Creates a key for a shop and prints it.
pub(crate) fn issue_key(admin: &SqliteAdmin, shop: &Shop, json: bool) -> CommandResult {
    let (key, text) = auth::random_key().map_err(|error| error.to_string())?;
    admin
        .add_key(shop.id, &key, Clock::system().now())
        .map_err(|error| error.to_string())?;

    if json {
        let (id, secret) = (shop.id.to_string(), &key.signing_secret);
        print(&serde_json::json!({ "shop_id": id, "key": text, "secret": secret }).to_string())?;
    } else {
        print(&describe_key(shop, &key, &text))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Describes a new key to a person: the shop, the key's `text` and the signing secret.
pub(crate) fn describe_key(shop: &Shop, key: &NewApiKey, text: &str) -> String {
    format!(
        "Shop {} ({}, {}) has a new key, shown only once:\n  key     {text}\n  secret  {}   (store plugins sign with it)",
        shop.id,
        shop.name,
        shop.currency.code(),
        key.signing_secret
    )
}
