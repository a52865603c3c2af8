//! `expiry undo`: gives back points that expired by a clock that was ahead.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use loyalty_core::figures::CountedNoun;
use loyalty_core::{ImportId, Points, Timestamp};
use loyalty_http::Clock;
use loyalty_http::import::{RecordedPeriod, find_expired, run_contents};
use loyalty_store::ImportContent;

use super::import::Place;
use super::{CommandResult, print};

#[derive(Subcommand)]
pub(crate) enum ExpiryCommand {
    /// Give back points that expired by a clock that was ahead, and whose end is still to come.
    /// The server must be stopped.
    Undo(Undo),
}

#[derive(Args)]
pub(crate) struct Undo {
    #[command(flatten)]
    place: Place,
    /// The first instant of the period in which the expiry was recorded, by the wrong clock, such
    /// as 2027-01-01T00:00:00Z.
    #[arg(long)]
    recorded_from: Timestamp,
    /// The instant at which that period is over.
    #[arg(long)]
    recorded_until: Timestamp,
    /// Say who would get points back, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(ExpiryCommand::Undo(options): &ExpiryCommand) -> CommandResult {
    let recorded = RecordedPeriod { from: options.recorded_from, until: options.recorded_until };
    if recorded.until <= recorded.from {
        return Err("--recorded-until must be after --recorded-from".to_owned());
    }
    let (store, shop) = options.place.open()?;
    let clock = Clock::system();
    let found = find_expired(&store, shop.id, recorded, clock.now());
    let found = found.map_err(|error| error.to_string())?;
    let customers = CountedNoun::new(found.len(), "customer", "customers").to_string();
    let points = CountedNoun::new(sum(&found), "point", "points").to_string();
    if options.dry_run {
        print(&format!("{customers} would get {points} back."))?;
        return Ok(ExitCode::SUCCESS);
    }

    let period = format!("{} to {}", options.recorded_from, options.recorded_until);
    let name = format!("expiry undone {period}");
    let id = ImportId::new(name).map_err(|error| error.to_string())?;
    // The id has all that the rows depend on, besides what ends meanwhile.
    let digest = format!("expiry {period}");
    let record = run_contents(&store, &|| clock.now(), (shop.id, &id), digest, found);
    let record = record.map_err(|error| error.to_string())?;
    let got = CountedNoun::new(record.counts.updated, "customer", "customers");
    let points = CountedNoun::new(record.counts.brought, "point", "points");
    print(&format!("{got} got {points} back. It can be taken back: import undo \"{id}\""))?;
    if record.counts.refused == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let refused = CountedNoun::new(record.counts.refused, "customer", "customers");
    print(&format!("{refused} got nothing: import report \"{id}\" --refused"))?;
    Ok(ExitCode::from(1))
}

fn sum(contents: &[ImportContent]) -> Points {
    let lots = contents.iter().flat_map(|content| content.lots.iter().flatten());
    lots.fold(Points::ZERO, |sum, lot| sum.saturating_add(lot.points))
}
