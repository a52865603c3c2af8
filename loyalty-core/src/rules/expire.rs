//! When points end, and what has ended.

use crate::account::Account;
use crate::calendar::{CalendarError, Timestamp, Zone};
use crate::event::Event;
use crate::program::Expiry;

/// The instant from which points earned at `earned_at` are no longer usable.
pub(crate) fn expires_at(
    expiry: Expiry,
    zone: Zone,
    earned_at: Timestamp,
) -> Result<Option<Timestamp>, CalendarError> {
    match expiry {
        Expiry::Never => Ok(None),
        Expiry::PerLot { after, round_up_to } => {
            let end = zone.after(earned_at, after)?;
            round_up_to.map_or(Ok(end), |boundary| zone.end_of(end, boundary)).map(Some)
        }
    }
}

/// Writes down what has ended by `now`.
pub(crate) fn due(account: &Account, now: Timestamp) -> Vec<Event> {
    let ended = account.lots().iter().filter(|lot| !lot.is_usable(now));
    ended
        .map(|lot| Event::PointsExpired {
            lot: lot.id,
            points: lot.points,
            order: lot.order.clone(),
            expired_at: lot.expires_at.unwrap_or(now),
        })
        .collect()
}
