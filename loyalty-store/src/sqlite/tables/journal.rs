//! The journal: one row for each transaction of an account, append-only.

use std::sync::Arc;

use loyalty_core::{AccountId, Event, Points, ShopId};
use rusqlite::{Connection, Row, params};

use super::query::{
    corrupt, for_each_row, from_json, from_micros, query_one, sql_limit, to_micros,
};
use crate::error::Failure;
use crate::record::{JournalRow, Seq};

const SELECT_JOURNAL: &str =
    "SELECT seq, shop, account, previous_seq, at, balance, events FROM journal";

fn decode_journal_row(row: &Row<'_>) -> Result<JournalRow, Failure> {
    let events: Vec<Event> =
        from_json(row.get_ref(6)?.as_str().map_err(|error| corrupt("events", &error))?)?;
    let balance: i64 = row.get(5)?;
    Ok(JournalRow {
        seq: row.get(0)?,
        shop: ShopId(row.get(1)?),
        account: row.get::<_, Option<i64>>(2)?.map(AccountId),
        previous: row.get(3)?,
        at: from_micros(row.get(4)?)?,
        balance: Points::new(balance).ok_or_else(|| corrupt("a balance", &balance))?,
        events: events.into(),
    })
}

/// Appends rows, whose events are JSON already.
pub(crate) fn append_journal(
    db: &Connection,
    rows: &[(Arc<JournalRow>, String)],
) -> Result<(), Failure> {
    let sql = "INSERT INTO journal (seq, shop, account, previous_seq, at, balance, events)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    let mut append = db.prepare_cached(sql)?;
    for (row, events) in rows {
        let account = row.account.map(|account| account.0);
        let (at, balance) = (to_micros(row.at), row.balance.get());
        append.execute(params![row.seq, row.shop.0, account, row.previous, at, balance, events])?;
    }
    Ok(())
}

/// Replaces the events of rows by others that say the same in their numbers.
pub(crate) fn rewrite_journal(db: &Connection, rows: &[(Seq, String)]) -> Result<(), Failure> {
    let mut update = db.prepare_cached("UPDATE journal SET events = ? WHERE seq = ?")?;
    for (seq, events) in rows {
        update.execute(params![events, seq])?;
    }
    Ok(())
}

pub(crate) fn read_journal_row(db: &Connection, seq: Seq) -> Result<Option<JournalRow>, Failure> {
    query_one(db, &format!("{SELECT_JOURNAL} WHERE seq = ?"), [seq], decode_journal_row)
}

pub(crate) fn for_each_journal_row(
    db: &Connection,
    after: Seq,
    mut visit: impl FnMut(JournalRow) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for_each_row(db, &format!("{SELECT_JOURNAL} WHERE seq > ? ORDER BY seq"), [after], |row| {
        visit(decode_journal_row(row)?)
    })
}

/// Visits the position and the account of every row, without its events.
pub(crate) fn for_each_position(
    db: &Connection,
    mut visit: impl FnMut(Seq, Option<AccountId>),
) -> Result<(), Failure> {
    for_each_row(db, "SELECT seq, account FROM journal ORDER BY seq", [], |row| {
        visit(row.get(0)?, row.get::<_, Option<i64>>(1)?.map(AccountId));
        Ok(())
    })
}

/// Returns rows of one shop after a position, oldest first.
pub(crate) fn read_shop_journal(
    db: &Connection,
    shop: ShopId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Arc<JournalRow>>, Failure> {
    let sql = format!("{SELECT_JOURNAL} WHERE seq > ? AND shop = ? ORDER BY seq LIMIT ?");
    let mut found = Vec::new();
    for_each_row(db, &sql, params![after, shop.0, sql_limit(limit)], |row| {
        found.push(Arc::new(decode_journal_row(row)?));
        Ok(())
    })?;
    Ok(found)
}
