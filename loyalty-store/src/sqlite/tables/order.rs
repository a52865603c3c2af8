//! Orders: folds of the journal, without the orders' content.
//!
//! The content of an order is in the journal once. Its row refers to the journal row that has the
//! latest.

use std::sync::Arc;

use loyalty_core::{AccountId, Event, Order, OrderId, OrderState, ShopId};
use rusqlite::{Connection, Row, Statement, params};

use super::journal::read_journal_row;
use super::query::{corrupt, for_each_row, from_json, query_one, sql_limit};
use crate::error::Failure;
use crate::record::{OrderRecord, Seq, to_json};

/// Reads an order with the content of its latest snapshot.
pub(crate) fn read_order(
    db: &Connection,
    shop: ShopId,
    id: &OrderId,
) -> Result<Option<OrderRecord>, Failure> {
    let sql = "SELECT account, seq, snapshot, state FROM orders WHERE shop = ? AND order_id = ?";
    let record = query_one(db, sql, params![shop.0, id.as_str()], |row| decode_order(row, 0, id))?;
    let Some(record) = record else { return Ok(None) };
    let Some(seq) = record.snapshot else { return Ok(Some(record)) };

    let snapshot =
        read_snapshot(db, id, seq)?.ok_or_else(|| corrupt("the snapshot of an order", id))?;
    Ok(Some(OrderRecord { state: record.state.with_snapshot(&snapshot), ..record }))
}

fn decode_order(row: &Row<'_>, from: usize, id: &OrderId) -> Result<OrderRecord, Failure> {
    let column = |offset: usize| from.saturating_add(offset);

    // The stored state has no id: the id is the row's key.
    let state: OrderState = from_json(
        row.get_ref(column(3))?
            .as_str()
            .map_err(|error| corrupt("an order", &error))?,
    )?;

    Ok(OrderRecord {
        account: row.get::<_, Option<i64>>(column(0))?.map(AccountId),
        seq: row.get(column(1))?,
        snapshot: row.get(column(2))?,
        state: state.with_id(id.clone()),
    })
}

/// Returns the content of an order in a journal row.
fn read_snapshot(db: &Connection, id: &OrderId, seq: Seq) -> Result<Option<Arc<Order>>, Failure> {
    let row = read_journal_row(db, seq)?;
    let mut events = row.iter().flat_map(|row| row.events.iter().rev());
    Ok(events.find_map(|event| {
        let Event::OrderRecorded { order, snapshot, .. } = event else {
            return None;
        };
        snapshot.clone().filter(|_| order == id)
    }))
}

/// Reads an order for comparison with the journal. One whose snapshot is missing has no content.
pub(crate) fn read_order_as_stored(
    db: &Connection,
    shop: ShopId,
    id: &OrderId,
) -> Result<Option<OrderRecord>, Failure> {
    let sql = "SELECT account, seq, snapshot, state FROM orders WHERE shop = ? AND order_id = ?";
    let record = query_one(db, sql, params![shop.0, id.as_str()], |row| decode_order(row, 0, id))?;
    let Some(record) = record else { return Ok(None) };

    let snapshot = record.snapshot.map(|seq| read_snapshot(db, id, seq));
    let snapshot = snapshot.transpose()?.flatten();
    let state = snapshot.iter().fold(record.state, OrderState::with_snapshot);
    Ok(Some(OrderRecord { state, ..record }))
}

/// Visits the key of every order, with the last row about it.
pub(crate) fn for_each_order_position(
    db: &Connection,
    mut visit: impl FnMut(ShopId, OrderId, Seq) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for_each_row(db, "SELECT shop, order_id, seq FROM orders", [], |row| {
        let id: String = row.get(1)?;
        let id = OrderId::new(&id).map_err(|error| corrupt("an order's id", &error))?;
        visit(ShopId(row.get(0)?), id, row.get(2)?)
    })
}

pub(crate) const UPSERT_ORDER: &str =
    "INSERT INTO orders (shop, order_id, account, seq, snapshot, state) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, order_id) DO UPDATE SET account = excluded.account, seq = excluded.seq,
            snapshot = excluded.snapshot, state = excluded.state
        WHERE excluded.seq > seq";

/// The same for an order whose journal rows were rewritten.
pub(crate) const REWRITE_ORDER: &str =
    "INSERT INTO orders (shop, order_id, account, seq, snapshot, state) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, order_id) DO UPDATE SET account = excluded.account, seq = excluded.seq,
            snapshot = excluded.snapshot, state = excluded.state
        WHERE excluded.seq >= seq";

/// Stores an order unless its row is as new.
pub(crate) fn upsert_order(
    upsert: &mut Statement<'_>,
    (shop, id): &(ShopId, OrderId),
    record: &OrderRecord,
) -> Result<(), Failure> {
    let account = record.account.map(|account| account.0);
    let state = to_json(&record.state.without_snapshot())?;
    upsert.execute(params![shop.0, id.as_str(), account, record.seq, record.snapshot, state])?;
    Ok(())
}

/// Returns keys after one, in ascending order.
pub(crate) fn read_order_keys(
    db: &Connection,
    after: Option<&(ShopId, OrderId)>,
    limit: usize,
) -> Result<Vec<(ShopId, OrderId)>, Failure> {
    let sql = "SELECT shop, order_id FROM orders
        WHERE (shop, order_id) > (?, ?) ORDER BY shop, order_id LIMIT ?";
    let (shop, id) = after.map_or((0, ""), |(shop, id)| (shop.0, id.as_str()));
    let mut keys = Vec::new();
    for_each_row(db, sql, params![shop, id, sql_limit(limit)], |row| {
        let id: String = row.get(1)?;
        keys.push((
            ShopId(row.get(0)?),
            OrderId::new(&id).map_err(|error| corrupt("an order's id", &error))?,
        ));
        Ok(())
    })?;
    Ok(keys)
}
