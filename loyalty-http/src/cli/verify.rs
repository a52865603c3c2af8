//! `verify`: replays the journal and compares every stored state with it.

use std::path::Path;
use std::process::ExitCode;

use loyalty_core::figures::CountedNoun;
use loyalty_store::{SqliteAdmin, VerificationReport};

use super::{CommandResult, print};

/// Verifies the file; exit code 1 if a state differs.
pub(crate) fn verify(db: &Path) -> CommandResult {
    let admin = SqliteAdmin::open_unchanged(db).map_err(|error| error.to_string())?;
    if admin.shops().map_err(|error| error.to_string())?.is_empty() {
        return Err(format!("{} has no shop: there is nothing to verify", db.display()));
    }
    let VerificationReport {
        newest,
        rows,
        events,
        accounts,
        orders,
        projections: discounts,
        differences,
    } = admin.verify().map_err(|error| error.to_string())?;

    let accounts = CountedNoun::new(accounts, "account", "accounts");
    let orders = CountedNoun::new(orders, "order", "orders");
    let discounts = CountedNoun::new(discounts, "discount record", "discount records");
    let events = CountedNoun::new(events, "event", "events");
    let rows = CountedNoun::new(rows, "journal row", "journal rows");
    let newest = newest.map_or_else(String::new, |at| format!(", the newest of {at}"));
    let states = format!("{accounts}, {orders}, {discounts}");
    print(&format!("Replayed {events} of {rows}{newest}: {states}."))?;
    for difference in &differences {
        print(difference)?;
    }

    if differences.is_empty() {
        print("Every stored state matches the journal.")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}
