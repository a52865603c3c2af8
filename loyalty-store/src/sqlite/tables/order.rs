//! Orders: folds of the journal, without the orders' content.
//!
//! The content of an order is in the journal once. Its row refers to the journal row that has the
//! latest.

use std::sync::Arc;

use loyalty_core::{AccountId, Event, Order, OrderId, OrderState, ShopId};
use rusqlite::{Connection, Row, Statement, params};

use super::journal::read_journal_row;
use super::query::{
    corrupt, for_each_row, from_json, from_micros, query_one, sql_limit, to_micros,
};
use crate::error::Failure;
use crate::order_list::{OrderIndex, OrderPosition, OrderStatus};
use crate::query::Direction;
use crate::record::{OrderRecord, Seq, to_json};

const READ_ORDER: &str = "SELECT account, seq, snapshot, updated_at, state, status FROM orders
    WHERE shop = ? AND order_id = ?";

/// Reads an order with the content of its latest snapshot.
pub(crate) fn read_order(
    db: &Connection,
    shop: ShopId,
    id: &OrderId,
) -> Result<Option<OrderRecord>, Failure> {
    let record =
        query_one(db, READ_ORDER, params![shop.0, id.as_str()], |row| decode_order(row, 0, id))?;
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
        row.get_ref(column(4))?
            .as_str()
            .map_err(|error| corrupt("an order", &error))?,
    )?;

    Ok(OrderRecord {
        account: row.get::<_, Option<i64>>(column(0))?.map(AccountId),
        seq: row.get(column(1))?,
        snapshot: row.get(column(2))?,
        updated_at: from_micros(row.get(column(3))?)?,
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

/// Reads an order for comparison with the journal, and whether it is listed with its status. One
/// whose snapshot is missing has no content.
pub(crate) fn read_order_as_stored(
    db: &Connection,
    shop: ShopId,
    id: &OrderId,
) -> Result<Option<(OrderRecord, bool)>, Failure> {
    let found = query_one(db, READ_ORDER, params![shop.0, id.as_str()], |row| {
        Ok((decode_order(row, 0, id)?, row.get::<_, i64>(5)?))
    })?;
    let Some((record, listed)) = found else { return Ok(None) };

    let snapshot = record.snapshot.map(|seq| read_snapshot(db, id, seq));
    let snapshot = snapshot.transpose()?.flatten();
    let state = snapshot.iter().fold(record.state, OrderState::with_snapshot);
    let is_listed = OrderStatus::of(&state).number() == listed;
    Ok(Some((OrderRecord { state, ..record }, is_listed)))
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
    "INSERT INTO orders (shop, order_id, account, seq, snapshot, updated_at, status, state)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, order_id) DO UPDATE SET account = excluded.account, seq = excluded.seq,
            snapshot = excluded.snapshot, updated_at = excluded.updated_at,
            status = excluded.status, state = excluded.state
        WHERE excluded.seq > seq";

/// The same for an order whose journal rows were rewritten.
pub(crate) const REWRITE_ORDER: &str =
    "INSERT INTO orders (shop, order_id, account, seq, snapshot, updated_at, status, state)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (shop, order_id) DO UPDATE SET account = excluded.account, seq = excluded.seq,
            snapshot = excluded.snapshot, updated_at = excluded.updated_at,
            status = excluded.status, state = excluded.state
        WHERE excluded.seq >= seq";

/// Stores an order unless its row is as new.
pub(crate) fn upsert_order(
    upsert: &mut Statement<'_>,
    (shop, id): &(ShopId, OrderId),
    record: &OrderRecord,
) -> Result<(), Failure> {
    let account = record.account.map(|account| account.0);
    let status = OrderStatus::of(&record.state).number();
    let state = to_json(&record.state.without_snapshot())?;
    let (seq, snapshot, updated_at) = (record.seq, record.snapshot, to_micros(record.updated_at));
    upsert.execute(params![
        shop.0,
        id.as_str(),
        account,
        seq,
        snapshot,
        updated_at,
        status,
        state
    ])?;
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

/// Returns positions in an index behind one, or from its start.
pub(crate) fn read_positions(
    db: &Connection,
    index: &OrderIndex,
    after: Option<&OrderPosition>,
    direction: Direction,
    limit: usize,
) -> Result<Vec<OrderPosition>, Failure> {
    let (condition, first, second) = match index {
        OrderIndex::Status(shop, status) => ("shop = ?1 AND status = ?2", shop.0, status.number()),
        OrderIndex::Account(account) => ("account = ?1 AND ?2 = 0", account.0, 0),
    };
    let start = match direction {
        Direction::Ascending => i64::MIN,
        Direction::Descending => i64::MAX,
    };
    let (at, id) = after.map_or((start, ""), |(at, id)| {
        (to_micros(*at), id.as_ref().map_or("", |id| id.as_str()))
    });

    let mut found = Vec::new();
    for sql in ranges_behind(condition, direction) {
        let rest = limit.saturating_sub(found.len());
        for_each_row(db, &sql, params![first, second, at, id, sql_limit(rest)], |row| {
            let id: String = row.get(1)?;
            let id = OrderId::new(&id).map_err(|error| corrupt("an order's id", &error))?;
            found.push((from_micros(row.get(0)?)?, Some(id)));
            Ok(())
        })?;
    }
    Ok(found)
}

/// Returns the two ranges of an index behind a position: the rest of its instant, and the other
/// instants. A single one would pass everything at the instant again for each page.
fn ranges_behind(condition: &str, direction: Direction) -> [String; 2] {
    let (behind, order) = match direction {
        Direction::Ascending => (">", "ASC"),
        Direction::Descending => ("<", "DESC"),
    };
    let select = format!("SELECT updated_at, order_id FROM orders WHERE {condition}");
    let order = format!("ORDER BY updated_at {order}, order_id {order} LIMIT ?5");
    [
        format!("{select} AND updated_at = ?3 AND order_id {behind} ?4 {order}"),
        format!("{select} AND updated_at {behind} ?3 AND ?4 = ?4 {order}"),
    ]
}

/// Fills the columns of lists, for orders from before there were any.
pub(crate) fn list_orders(db: &Connection) -> Result<(), Failure> {
    /// The orders that are read at a time.
    const CHUNK: usize = 1_000;
    let sql = "UPDATE orders SET status = ?3,
            updated_at = coalesce((SELECT at FROM journal WHERE journal.seq = orders.seq), 0)
        WHERE shop = ?1 AND order_id = ?2";
    let mut update = db.prepare(sql)?;
    let mut keys = read_order_keys(db, None, CHUNK)?;
    while !keys.is_empty() {
        for (shop, id) in &keys {
            let sql = "SELECT state FROM orders WHERE shop = ? AND order_id = ?";
            let key = params![shop.0, id.as_str()];
            let state = query_one(db, sql, key, |row| from_json(&row.get::<_, String>(0)?))?;
            let status = OrderStatus::of(&state.unwrap_or_else(|| OrderState::new(id.clone())));
            update.execute(params![shop.0, id.as_str(), status.number()])?;
        }
        keys = read_order_keys(db, keys.last(), CHUNK)?;
    }
    Ok(())
}
