//! The ledger of a customer.

use std::sync::Arc;

use loyalty_core::{AccountId, ShopId};
use loyalty_store::{JournalRow, Store};

use super::{Call, EncodedResponse, HandlerPlan, customers, error};
use crate::problem::Problem;
use crate::wire::ledger::{EntryId, EntryResponse, LedgerResponse, entries};
use crate::wire::page::PageItems;
use crate::wire::query::{EntryCursor, PageLinker};

/// `GET /v1/customers/{customer_id}/ledger`
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = customers::find(call, call.path("customer_id")?)?;
    let (shop, account) = (call.shop_id(), customer.record().account);
    let (limit, after) = (call.query.limit()?, call.query.cursor()?);
    let next = call.query.page_linker(call.head.uri.path());
    Ok(HandlerPlan::read(move |store| {
        list_page(store, (shop, account), after, limit, &next)
    }))
}

/// A page of `limit` entries after the cursor.
fn list_page(
    store: &dyn Store,
    owner: (ShopId, AccountId),
    after: Option<EntryCursor>,
    limit: usize,
    next: &PageLinker,
) -> Result<EncodedResponse, Problem> {
    // One entry more than needed, to know if there is a next page.
    let rows = load_rows(store, owner, after, limit.saturating_add(1))?;
    let mut entries: Vec<_> = rows.iter().flat_map(|row| entries_after(row, after)).collect();
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
    Ok(EncodedResponse::ok(&LedgerResponse { entries })
        .with_header(cursor.and_then(|cursor| next.link(&cursor))))
}

/// The entries of a row that come after the cursor, so are older.
fn entries_after(
    row: &JournalRow,
    after: Option<EntryCursor>,
) -> impl Iterator<Item = EntryResponse<'_>> {
    entries(row).filter(move |entry| {
        let EntryId { seq, index } = entry.entry_id;
        after.is_none_or(|after| (seq, index) < (after.seq, after.index))
    })
}

/// Journal rows, newest first, that together have at least `needed` entries after the
/// cursor. Rows with facts about orders only have none.
fn load_rows(
    store: &dyn Store,
    (shop, account): (ShopId, AccountId),
    after: Option<EntryCursor>,
    needed: usize,
) -> Result<Vec<Arc<JournalRow>>, Problem> {
    let (mut rows, mut count) = (Vec::new(), 0_usize);
    let mut before = after.and_then(|after| after.start_row);

    while count < needed {
        let page = store
            .account_journal(shop, account, before, needed)
            .map_err(error::from_failure)?;
        count = page
            .rows
            .iter()
            .fold(count, |count, row| count.saturating_add(entries_after(row, after).count()));
        rows.extend(page.rows);

        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(rows)
}
