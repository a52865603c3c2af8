//! When points end, and when they can be spent.

use crate::calendar::{CalendarError, Period, Timestamp, Zone};
use crate::event::Event;
use crate::lot::Lot;
use crate::program::Expiry;

/// The instant from which points earned at `earned_at` are no longer usable, where they end by themselves.
pub(crate) fn expires_at(
    expiry: Expiry,
    zone: Zone,
    earned_at: Timestamp,
) -> Result<Option<Timestamp>, CalendarError> {
    match expiry {
        Expiry::Never | Expiry::Inactivity { .. } => Ok(None),
        Expiry::PerLot { after, round_up_to } => {
            let end = zone.after(earned_at, after)?;
            round_up_to
                .map_or(Ok(end), |boundary| zone.end_of(end, boundary))
                .map(Some)
        }
    }
}

/// The instant until which points are pending, where that is still to come.
pub(crate) fn pending_until(
    hold: Option<Period>,
    zone: Zone,
    gate: Timestamp,
    now: Timestamp,
) -> Result<Option<Timestamp>, CalendarError> {
    let Some(hold) = hold else { return Ok(None) };
    zone.after(gate, hold)
        .map(|until| Some(until).filter(|until| now < *until))
}

/// A lot ran out of time.
pub(crate) fn expiry_event(lot: &Lot, at: Timestamp, inactive: bool, pending: bool) -> Event {
    let (points, order) = (lot.points, lot.order.clone());
    Event::PointsExpired {
        lot: lot.id,
        points,
        order,
        expired_at: at,
        inactive,
        pending,
    }
}
