//! The export of one customer: all that is stored about a person.
//!
//! Most customers fit into one part. A long history comes in several, each a document of the same
//! form, so that no response grows with it.

use std::collections::BTreeSet;

use loyalty_core::{AccountId, Event, RedemptionId, ShopId};
use loyalty_store::{CustomerView, Seq, Store};

use super::{Call, EncodedResponse, HandlerPlan, customers, error};
use crate::problem::Problem;
use crate::reads::ReadCost;
use crate::wire::export::{ExportPart, ExportResponse};
use crate::wire::query::Cursor;
use crate::wire::value::parse_number;

/// The most redemptions of a part, and the most journal rows. In debug builds so few that tests
/// have several parts.
const MAX_REDEMPTIONS: usize = if cfg!(debug_assertions) { 2 } else { 250 };
const MAX_ROWS: usize = if cfg!(debug_assertions) { 3 } else { 500 };

/// Where a part begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExportCursor {
    /// After a redemption. The ledger comes after all of them.
    Redemptions(RedemptionId),
    /// At the rows of an account before a position, or at its newest.
    Rows(AccountId, Option<Seq>),
}

impl Cursor for ExportCursor {
    fn encode(&self) -> String {
        match self {
            Self::Redemptions(after) => format!("yx{after}"),
            Self::Rows(account, before) => format!("y{account}-{}", before.unwrap_or_default()),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let text = text.strip_prefix('y')?;
        if let Some(after) = text.strip_prefix('x') {
            return parse_number(after).map(RedemptionId).map(Self::Redemptions);
        }
        let (account, before) = text.split_once('-')?;
        let before = Some(parse_number(before)?).filter(|before| *before > 0);
        Some(Self::Rows(AccountId(parse_number(account)?), before))
    }
}

/// `GET /v1/customers/{customer_id}/export`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = customers::find(call, call.path("customer_id")?)?;
    let after = call.query.cursor::<ExportCursor>()?;
    let next = call.query.page_linker(call.head.uri.path());
    let (shop, now) = (call.shop_id(), call.now);

    Ok(HandlerPlan::read(move |store| {
        let (part, cursor) = load_part(store, shop, &customer, after)?;
        Ok(EncodedResponse::ok(&ExportResponse::new(&customer, &part, now))
            .with_header(cursor.and_then(|cursor| next.link(&cursor))))
    })
    .costing(ReadCost::Search))
}

/// Loads a part, and where the next one begins.
fn load_part(
    store: &dyn Store,
    shop: ShopId,
    customer: &CustomerView,
    after: Option<ExportCursor>,
) -> Result<(ExportPart, Option<ExportCursor>), Problem> {
    let mut part = ExportPart::default();
    if let Some(referral) = customer.account().activity().referral() {
        let referrer = store.customer_by_account(shop, referral.referrer);
        part.referrer = referrer.map_err(error::from_failure)?;
    }

    let own = customer.record().account;
    let start = match after {
        Some(ExportCursor::Rows(account, before)) => (account, before),
        None | Some(ExportCursor::Redemptions(_)) => {
            let after = match after {
                Some(ExportCursor::Redemptions(after)) => Some(after),
                _ => None,
            };
            let page = store.redemptions(shop, own, after, MAX_REDEMPTIONS);
            let page = page.map_err(error::from_failure)?;
            let last = page.items.last().filter(|_| page.has_more);
            let next = last.map(|last| ExportCursor::Redemptions(last.id()));
            part.redemptions = page.items;
            if next.is_some() {
                return Ok((part, next));
            }
            (own, None)
        }
    };

    let next = load_accounts(store, shop, customer, start, &mut part)?;
    load_orders(store, shop, &mut part)?;
    Ok((part, next))
}

/// Loads the rows of a customer's accounts, in turn. Returns where the next part begins.
fn load_accounts(
    store: &dyn Store,
    shop: ShopId,
    customer: &CustomerView,
    (first, mut before): (AccountId, Option<Seq>),
    part: &mut ExportPart,
) -> Result<Option<ExportCursor>, Problem> {
    let record = customer.record();
    let merged = record.merged.iter().filter(|merged| merged.undone_at.is_none());
    let accounts = std::iter::once(record.account).chain(merged.map(|merged| merged.account));

    // A cursor of another customer's account leads to nothing.
    for account in accounts.skip_while(|account| *account != first) {
        let room = MAX_ROWS.saturating_sub(part.rows.len());
        if room == 0 {
            return Ok(Some(ExportCursor::Rows(account, before)));
        }
        let page = store.account_journal(shop, account, before, room);
        let page = page.map_err(error::from_failure)?;
        part.rows.extend(page.rows);
        if page.next.is_some() {
            return Ok(Some(ExportCursor::Rows(account, page.next)));
        }
        before = None;
    }
    Ok(None)
}

/// Loads the orders that the rows of a part are about.
fn load_orders(store: &dyn Store, shop: ShopId, part: &mut ExportPart) -> Result<(), Problem> {
    let events = part.rows.iter().flat_map(|row| row.events.iter());
    let ids: BTreeSet<_> = events.filter_map(Event::order).cloned().collect();
    for id in ids {
        let order = store.order(shop, &id).map_err(error::from_failure)?;
        part.orders.extend(order.map(|order| (id, order)));
    }
    Ok(())
}
