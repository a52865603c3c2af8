//! The outgoing events of a shop, for who polls.

use std::sync::Arc;

use loyalty_core::ShopId;
use loyalty_store::{JournalRow, OutgoingEvent, Store, outgoing_events};

use super::{Call, EncodedResponse, HandlerPlan, error};
use crate::problem::Problem;
use crate::wire::event::{EventBody, EventId, EventResponse, EventsResponse, customer_of};
use crate::wire::query::{EventCursor, PageLinker};

/// The most journal rows that a page passes. Few of them may have events.
const MAX_ROWS: usize = 10_000;

/// The journal rows of one read.
const ROWS: usize = 500;

/// `GET /v1/events`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let shop = call.shop_id();
    let (limit, after) = (call.query.limit()?, call.query.cursor()?);
    let next = call.query.page_linker(call.head.uri.path());
    Ok(HandlerPlan::read(move |store| list_page(store, shop, after, limit, &next)))
}

fn list_page(
    store: &dyn Store,
    shop: ShopId,
    after: Option<EventCursor>,
    limit: usize,
    next: &PageLinker,
) -> Result<EncodedResponse, Problem> {
    let page = load_page(store, shop, after, limit)?;
    let journal = store.journal_id().map_err(error::from_failure)?;

    let mut events = Vec::with_capacity(limit);
    let listed = page.rows.iter().flat_map(|row| events_after(row, after)).take(limit);
    for event in listed {
        let customer = customer_of(store, &event).map_err(error::from_failure)?;
        events.push(EventResponse {
            id: EventId::of(&journal, &event),
            body: EventBody::new(&event, customer),
        });
    }
    let link = page.cursor.filter(|_| page.has_more);
    let link = link.and_then(|cursor| next.link(&cursor));
    let next_cursor = page.cursor.as_ref().map(PageLinker::encode);
    Ok(EncodedResponse::ok(&EventsResponse { events, next_cursor }).with_header(link))
}

/// The rows of a page, and the cursor after it.
struct EventPage {
    rows: Vec<Arc<JournalRow>>,
    cursor: Option<EventCursor>,
    has_more: bool,
}

/// Reads rows until they have one event more than a page, or there are no more.
fn load_page(
    store: &dyn Store,
    shop: ShopId,
    after: Option<EventCursor>,
    limit: usize,
) -> Result<EventPage, Problem> {
    // The row of the cursor may have more events.
    let mut position = after.map_or(0, |after| after.seq.saturating_sub(1));
    let (mut rows, mut passed, mut cursor) = (Vec::new(), 0_usize, after);
    let mut count = 0_usize;
    loop {
        let found = store.journal(shop, position, ROWS).map_err(error::from_failure)?;
        let is_end = found.len() < ROWS;
        for row in found {
            (position, passed) = (row.seq, passed.saturating_add(1));
            let events: Vec<_> = events_after(&row, after).map(|event| event.index).collect();
            let listed = events.len().min(limit.saturating_sub(count));
            if let Some(index) = events.iter().take(listed).next_back() {
                cursor = Some(EventCursor { seq: position, index: *index });
                count = count.saturating_add(listed);
                rows.push(row);
            }
            if events.len() > listed {
                return Ok(EventPage { rows, cursor, has_more: true });
            }
        }
        if is_end {
            return Ok(EventPage { rows, cursor, has_more: false });
        }
        if passed >= MAX_ROWS {
            cursor = Some(EventCursor { seq: position, index: u16::MAX });
            return Ok(EventPage { rows, cursor, has_more: true });
        }
    }
}

/// The events of a row that come after the cursor.
fn events_after(
    row: &JournalRow,
    after: Option<EventCursor>,
) -> impl Iterator<Item = OutgoingEvent<'_>> {
    outgoing_events(row).filter(move |event| {
        after.is_none_or(|after| (event.row.seq, event.index) > (after.seq, after.index))
    })
}
