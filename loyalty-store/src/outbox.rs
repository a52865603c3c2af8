//! What leaves the engine: the outgoing events of a journal row.
//!
//! The journal is the outbox. Outgoing events are a pure function of its rows, so that nothing
//! is written for them beside the row, none can be lost, and none is sent that was not
//! committed.

use loyalty_core::{Event, Points};

use crate::outgoing::{OutgoingKind, kinds};
use crate::record::JournalRow;

/// One outgoing event: what happened, and what of the journal says so.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingEvent<'a> {
    /// The type.
    pub kind: OutgoingKind,
    /// The row.
    pub row: &'a JournalRow,
    /// The number of the event among the outgoing events of the row, from 0.
    pub index: u16,
    /// The position in the row of the entry that it is about.
    pub entry: usize,
    /// The entry.
    pub event: &'a Event,
    /// The number of the event among those of its account, from 1 without gaps. `None` for an
    /// event of no account, and for rows from before events were counted.
    pub sequence: Option<i64>,
    /// The change of the balance. Two events about one entry: the second has it.
    pub points: Points,
    /// The account's balance after the entry.
    pub balance: Points,
}

/// Returns the outgoing events of a row, in their order.
///
/// # Example: points that the shop added
/// ```
/// use loyalty_core::{AdjustmentReason, Command, Currency, CustomerId, Points, Zone};
/// use loyalty_store::{Action, CustomerRef, Existence, MemoryStore, NewShop, Request, Store};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (store, now) = (MemoryStore::default(), "2026-01-31T10:00:00Z".parse()?);
/// # let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let shop = store.create_shop(&shop, now)?.id;
/// # let ada = CustomerRef::Id(CustomerId::new("1001")?);
/// let add = Command::AddPoints { points: 250.into(), reason: AdjustmentReason::default() };
/// let action = Action::for_customer(ada, Existence::Any, vec![add]);
/// store.execute(Request::new(shop, now, action)).wait()?;
///
/// let rows = store.journal(shop, 0, 10)?;
/// let events = rows.iter().flat_map(|row| loyalty_store::outgoing_events(row));
/// let events: Vec<_> = events.map(|event| (event.sequence, event.kind.name())).collect();
/// assert_eq!(events, [(Some(1), "customer.created"), (Some(2), "points.adjusted")]);
/// # Ok(()) }
/// ```
pub fn outgoing_events(row: &JournalRow) -> impl Iterator<Item = OutgoingEvent<'_>> {
    let later = |from: usize| {
        let later = row.events.iter().skip(from);
        later.fold(Points::ZERO, |sum, event| sum.saturating_add(event.points()))
    };
    let kinds = row.events.iter().enumerate().flat_map(move |(entry, event)| {
        let (first, second) = kinds(event);
        let after = row.balance.saturating_sub(later(entry.saturating_add(1)));
        let is_split = second.is_some();
        let points = if is_split { Points::ZERO } else { event.points() };
        let first = first.map(|kind| (kind, points));
        let second = second.map(|kind| (kind, event.points()));
        let both = first.into_iter().chain(second);
        both.map(move |(kind, points)| (entry, event, kind, points, after))
    });
    kinds
        .zip(0_u16..)
        .map(|((entry, event, kind, points, balance), index)| OutgoingEvent {
            kind,
            row,
            index,
            entry,
            event,
            sequence: row.sequence.map(|first| first.saturating_add(index.into())),
            points,
            balance,
        })
}
