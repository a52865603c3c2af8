//! The expiry of points, and the end of their hold.

use crate::calendar::{CalendarError, Period, Timestamp, Zone};
use crate::event::Event;
use crate::lot::Lot;
use crate::program::Expiry;

/// The instant from which points earned at `earned_at` are no longer usable. `None` if
/// they do not expire by themselves.
pub(crate) fn expires_at(
    expiry: Expiry,
    zone: Zone,
    earned_at: Timestamp,
) -> Result<Option<Timestamp>, CalendarError> {
    match expiry {
        Expiry::Never | Expiry::Inactivity { .. } => Ok(None),
        Expiry::PerLot { after, round_up_to } => {
            let end = match round_up_to {
                Some(boundary) => zone.after_rounded(earned_at, after, boundary),
                None => zone.after(earned_at, after),
            };
            end.map(Some)
        }
    }
}

/// The instant until which points are pending. `None` without a hold, or if it is over at
/// `now`.
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

/// The expiry of all that is left in a lot.
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
