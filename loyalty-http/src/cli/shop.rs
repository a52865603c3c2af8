//! `shop`: creates and lists shops.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use loyalty_core::{Currency, StoreId, Zone};
use loyalty_http::{Clock, auth};
use loyalty_store::seal::SecretText;
use loyalty_store::{AdminAction, DEFAULT_GRACE, KeyOwner, NewShop, Shop, SqliteAdmin};

use super::key::{Output, administer};
use super::{CommandResult, Database, print};

#[derive(Subcommand)]
pub(crate) enum ShopCommand {
    /// Create a shop, and show its key once.
    Create {
        /// The shop's name.
        #[arg(value_parser = super::parse_name)]
        name: String,
        /// The shop's currency (ISO 4217).
        #[arg(long, value_parser = parse_currency)]
        currency: Currency,
        /// The shop's time zone (IANA).
        #[arg(long, default_value = "UTC", value_parser = parse_zone)]
        zone: Zone,
        #[command(flatten)]
        output: Output,
    },
    /// List the shops.
    List {
        #[command(flatten)]
        database: Database,
        /// Print JSON, one shop per line.
        #[arg(long)]
        json: bool,
    },
}

fn parse_currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(text)
        .ok_or_else(|| "must be an ISO 4217 currency code such as USD".to_owned())
}

fn parse_zone(text: &str) -> Result<Zone, String> {
    text.parse()
        .map_err(|error: loyalty_core::calendar::CalendarError| error.to_string())
}

/// Runs a command of `shop`.
pub(crate) fn run(command: ShopCommand) -> CommandResult {
    match command {
        ShopCommand::Create { name, currency, zone, output } => {
            create_shop(&NewShop { name, currency, zone }, &output)
        }
        ShopCommand::List { database, json } => list_shops(&database.db, json),
    }
}

fn create_shop(new: &NewShop, output: &Output) -> CommandResult {
    let database = &output.database;
    let admin = SqliteAdmin::open(&database.db).map_err(|error| error.to_string())?;
    let admin = admin.with_master_key(database.master_key()?);
    let shop = admin
        .create_shop(new, Clock::system().now())
        .map_err(|error| error.to_string())?;
    let (key, text) = auth::random_key(FIRST_KEY).map_err(|error| error.to_string())?;
    let secret = auth::draw_secret().map_err(|error| error.to_string())?;
    let owner = KeyOwner::Shop(shop.id);
    let id = key.hash.id.clone();
    administer(&admin, owner, AdminAction::CreateKey(key))?;
    administer(&admin, owner, first_secret(secret.clone()))?;

    let secrets = [("key", text.as_str()), ("secret", secret.expose())];
    let described = serde_json::json!({ "shop_id": shop.id.to_string(), "key_id": id });
    let sentence = format!("{} has a key, and a secret for store plugins,", describe_shop(&shop));
    output.show_secrets(&format!("key-{id}"), &secrets, described, &sentence)
}

/// The name of the first key of a shop.
pub(crate) const FIRST_KEY: &str = "First key";

/// Gives the store that runs a plugin its first secret.
fn first_secret(secret: SecretText) -> AdminAction {
    let (store, grace) = (StoreId::plugin(), DEFAULT_GRACE);
    AdminAction::RotateStoreSecret { store, secret, grace, may_create: true }
}

/// Names a shop to a person.
pub(crate) fn describe_shop(shop: &Shop) -> String {
    format!("Shop {} ({}, {})", shop.id, shop.name, shop.currency.code())
}

fn list_shops(db: &Path, json: bool) -> CommandResult {
    let admin = SqliteAdmin::open_unchanged(db).map_err(|error| error.to_string())?;
    for shop in admin.shops().map_err(|error| error.to_string())? {
        let (id, currency, zone) = (shop.id.to_string(), shop.currency.code(), shop.zone.name());
        if json {
            let line = serde_json::json!({
                "shop_id": id,
                "name": shop.name,
                "currency": currency,
                "time_zone": zone,
            });
            print(&line.to_string())?;
        } else {
            print(&format!("{id}\t{}\t{currency}\t{zone}", shop.name))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
