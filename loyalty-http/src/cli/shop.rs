//! `shop`: creates and lists shops.

use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use loyalty_core::{Currency, Zone};
use loyalty_http::Clock;
use loyalty_store::{NewShop, SqliteAdmin};

use super::key::issue_key;
use super::{CommandResult, Database, print};

#[derive(Subcommand)]
pub(crate) enum ShopCommand {
    /// Create a shop and print its key, which is shown only once.
    Create {
        /// The shop's name.
        name: String,
        /// The shop's currency (ISO 4217).
        #[arg(long, value_parser = parse_currency)]
        currency: Currency,
        /// The shop's time zone (IANA).
        #[arg(long, default_value = "UTC", value_parser = parse_zone)]
        zone: Zone,
        #[command(flatten)]
        database: Database,
        /// Print JSON.
        #[arg(long)]
        json: bool,
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
        ShopCommand::Create { name, currency, zone, database, json } => {
            create_shop(&database.db, &NewShop { name, currency, zone }, json)
        }
        ShopCommand::List { database, json } => list_shops(&database.db, json),
    }
}

fn create_shop(db: &Path, new: &NewShop, json: bool) -> CommandResult {
    let is_valid_name = !new.name.trim().is_empty()
        && new.name.len() <= 255
        && !new.name.chars().any(char::is_control);
    if !is_valid_name {
        return Err("a shop's name must be 1 to 255 bytes without control characters".to_owned());
    }

    let admin = SqliteAdmin::open(db).map_err(|error| error.to_string())?;
    let shop = admin
        .create_shop(new, Clock::system().now())
        .map_err(|error| error.to_string())?;
    issue_key(&admin, &shop, json)
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
