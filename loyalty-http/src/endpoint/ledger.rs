//! The ledger of a customer.

use std::sync::Arc;

use loyalty_core::{AccountId, ShopId};
use loyalty_store::{JournalRow, Seq, Store};

use super::{Call, EncodedResponse, HandlerPlan, customers, error};
use crate::problem::Problem;
use crate::wire::json::field::TimeField;
use crate::wire::ledger::{
    EntryFilter, EntryId, EntryKind, EntryResponse, LedgerResponse, entries,
};
use crate::wire::page::PageItems;
use crate::wire::query::{EntryCursor, PageLinker};

/// The most rows that a page reads. Where few of them have entries that are listed, it ends early.
const MAX_ROWS: usize = if cfg!(debug_assertions) { 60 } else { 2_000 };

/// `GET /v1/customers/{customer_id}/ledger`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = customers::find(call, call.path("customer_id")?)?;
    let (shop, account) = (call.shop_id(), customer.record().account);
    let (limit, after) = (call.query.limit()?, call.query.cursor()?);
    let filter = EntryFilter {
        kind: call.query.value::<EntryKind>("kind")?,
        from: call.query.value::<TimeField>("recorded_from")?.map(|time| time.0),
        until: call.query.value::<TimeField>("recorded_until")?.map(|time| time.0),
    };
    let next = call.query.page_linker(call.head.uri.path());
    Ok(HandlerPlan::read(move |store| {
        list_page(store, (shop, account), after, limit, filter, &next)
    }))
}

/// A page of at most `limit` entries after the cursor.
fn list_page(
    store: &dyn Store,
    owner: (ShopId, AccountId),
    after: Option<EntryCursor>,
    limit: usize,
    filter: EntryFilter,
    next: &PageLinker,
) -> Result<EncodedResponse, Problem> {
    // One entry more than needed, to know if there is a next page.
    let (rows, unread) = load_rows(store, owner, after, limit.saturating_add(1), filter)?;
    let mut entries: Vec<_> = rows
        .iter()
        .flat_map(|row| entries_after(row, after, filter))
        .collect();
    let has_more = entries.len() > limit;
    entries.truncate(limit);

    let entries = entries.into_iter().map(|entry| {
        let id = entry.entry_id;
        (entry, id)
    });
    let (entries, last) = PageItems::encode(entries, has_more);
    let cursor = last.map(|EntryId { seq, index }| {
        // The next page begins within the row of the last entry, so it reads from before
        // the row that is just newer.
        let newer = rows.iter().map(|row| row.seq).take_while(|newer| *newer > seq).last();
        EntryCursor {
            start_row: newer.or(after.and_then(|after| after.start_row)),
            seq,
            index,
        }
    });
    let cursor = cursor.or(unread.map(|seq| EntryCursor { start_row: Some(seq), seq, index: 0 }));
    Ok(EncodedResponse::ok(&LedgerResponse { entries })
        .with_header(cursor.and_then(|cursor| next.link(&cursor))))
}

/// The listed entries of a row that come after the cursor, so are older.
fn entries_after(
    row: &JournalRow,
    after: Option<EntryCursor>,
    filter: EntryFilter,
) -> impl Iterator<Item = EntryResponse<'_>> {
    entries(row).filter(move |entry| {
        let EntryId { seq, index } = entry.entry_id;
        filter.admits(row, entry)
            && after.is_none_or(|after| (seq, index) < (after.seq, after.index))
    })
}

/// Journal rows, newest first, that together have at least `needed` listed entries after the
/// cursor. Rows with facts about orders only have none. Returns also the last row that was read if
/// there are older ones that were not.
fn load_rows(
    store: &dyn Store,
    (shop, account): (ShopId, AccountId),
    after: Option<EntryCursor>,
    needed: usize,
    filter: EntryFilter,
) -> Result<(Vec<Arc<JournalRow>>, Option<Seq>), Problem> {
    let (mut rows, mut count) = (Vec::<Arc<JournalRow>>::new(), 0_usize);
    let mut before = after.and_then(|after| after.start_row);

    while count < needed {
        let room = MAX_ROWS.saturating_sub(rows.len());
        if room == 0 {
            return Ok((rows, before));
        }
        let page = store
            .account_journal(shop, account, before, needed.min(room))
            .map_err(error::from_failure)?;
        count = page.rows.iter().fold(count, |count, row| {
            count.saturating_add(entries_after(row, after, filter).count())
        });
        let is_over = page.rows.last().is_some_and(|row| filter.ends_before(row));
        rows.extend(page.rows);

        before = page.next.filter(|_| !is_over);
        if before.is_none() {
            break;
        }
    }
    Ok((rows, None))
}
