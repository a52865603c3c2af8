//! The journal: one row for each transaction of an account, append-only.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use loyalty_core::{AccountId, Event, Points, ShopId};
use rusqlite::{Connection, Row, params};

use super::query::{
    self, corrupt, for_each_row, from_json, from_micros, query_one, sql_limit, to_micros,
};
use crate::error::Failure;
use crate::record::{JournalId, JournalRow, Seq};

/// A block has this many bits of the position: 256 rows.
const BLOCK_BITS: u32 = 8;

const SELECT_JOURNAL: &str =
    "SELECT seq, shop, account, previous_seq, at, balance, events, sequence FROM journal";

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
        sequence: row.get(7)?,
        events: events.into(),
    })
}

/// Appends rows, whose events are JSON already.
pub(crate) fn append_journal(
    db: &Connection,
    rows: &[(Arc<JournalRow>, String)],
) -> Result<(), Failure> {
    let sql =
        "INSERT INTO journal (seq, shop, account, previous_seq, at, balance, events, sequence)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let mut append = db.prepare_cached(sql)?;
    for (row, events) in rows {
        let account = row.account.map(|account| account.0);
        let (at, balance) = (to_micros(row.at), row.balance.get());
        let (seq, shop, previous) = (row.seq, row.shop.0, row.previous);
        let sequence = row.sequence;
        append.execute(params![seq, shop, account, previous, at, balance, events, sequence])?;
    }

    let (Some((first, _)), Some((last, _))) = (rows.first(), rows.last()) else {
        return Ok(());
    };
    index_blocks(db, block_of(first.seq)..block_of(last.seq.saturating_add(1)))
}

/// Returns the block of a position. An index of every row by its shop would cost a page for nearly
/// each row where there are many shops; one of the blocks only grows at its end.
fn block_of(seq: Seq) -> i64 {
    seq >> BLOCK_BITS
}

/// Notes the shops of complete blocks.
fn index_blocks(db: &Connection, blocks: Range<i64>) -> Result<(), Failure> {
    let sql = "INSERT OR IGNORE INTO journal_block
        SELECT DISTINCT ?1, shop FROM journal WHERE seq >= ?2 AND seq < ?3";
    for block in blocks {
        let (start, end) = (block << BLOCK_BITS, block.saturating_add(1) << BLOCK_BITS);
        db.prepare_cached(sql)?.execute([block, start, end])?;
    }
    Ok(())
}

/// Returns the first complete block whose shops are not those of its rows.
pub(crate) fn find_wrong_block(db: &Connection) -> Result<Option<i64>, Failure> {
    let (mut shops, mut block, mut last) = (BTreeSet::<i64>::new(), 0, 0);
    let (mut wrong, mut entries) = (None, 0_usize);
    for_each_row(db, "SELECT seq, shop FROM journal ORDER BY seq", [], |row| {
        last = row.get(0)?;
        if block_of(last) != block {
            entries = entries.saturating_add(shops.len());
            if wrong.is_none() && read_block(db, block)? != shops {
                wrong = Some(block);
            }
            (block, shops) = (block_of(last), BTreeSet::new());
        }
        shops.insert(row.get(1)?);
        Ok(())
    })?;
    if block < block_of(last.saturating_add(1)) {
        entries = entries.saturating_add(shops.len());
        wrong = wrong.or((read_block(db, block)? != shops).then_some(block));
    }

    let indexed = query::count_rows(db, "SELECT count(*) FROM journal_block", [])?;
    let is_longer = usize::try_from(indexed) != Ok(entries);
    Ok(wrong.or(is_longer.then_some(block)))
}

fn read_block(db: &Connection, block: i64) -> Result<BTreeSet<i64>, Failure> {
    let mut shops = BTreeSet::new();
    for_each_row(db, "SELECT shop FROM journal_block WHERE block = ?", [block], |row| {
        shops.insert(row.get(0)?);
        Ok(())
    })?;
    Ok(shops)
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

pub(crate) fn read_journal_id(db: &Connection) -> Result<JournalId, Failure> {
    let id = db.query_row("SELECT id FROM journal_id", [], |row| row.get(0))?;
    Ok(JournalId::new(id))
}

/// Returns rows of all shops after a position, oldest first.
pub(crate) fn read_journal(
    db: &Connection,
    after: Seq,
    limit: usize,
) -> Result<Vec<Arc<JournalRow>>, Failure> {
    let sql = format!("{SELECT_JOURNAL} WHERE seq > ? ORDER BY seq LIMIT ?");
    let mut found = Vec::new();
    for_each_row(db, &sql, params![after, sql_limit(limit)], |row| {
        found.push(Arc::new(decode_journal_row(row)?));
        Ok(())
    })?;
    Ok(found)
}

/// Returns rows of one shop after a position, oldest first. Passes over blocks without one.
pub(crate) fn read_shop_journal(
    db: &Connection,
    shop: ShopId,
    after: Seq,
    limit: usize,
) -> Result<Vec<Arc<JournalRow>>, Failure> {
    // One state of the file for all statements.
    let _transaction = db.unchecked_transaction()?;
    let last: i64 =
        db.query_row("SELECT coalesce(max(seq), 0) FROM journal", [], |row| row.get(0))?;
    let complete = block_of(last.saturating_add(1));
    let sql =
        format!("{SELECT_JOURNAL} WHERE seq > ? AND seq < ? AND shop = ? ORDER BY seq LIMIT ?");
    let mut has_shop =
        db.prepare_cached("SELECT 1 FROM journal_block WHERE block = ? AND shop = ?")?;

    let mut found = Vec::new();
    for block in block_of(after.saturating_add(1).max(0))..=block_of(last) {
        let left = limit.saturating_sub(found.len());
        if left == 0 {
            break;
        }
        if block < complete && !has_shop.exists([block, shop.0])? {
            continue;
        }
        let after = after.max((block << BLOCK_BITS).saturating_sub(1));
        let end = block.saturating_add(1) << BLOCK_BITS;
        for_each_row(db, &sql, params![after, end, shop.0, sql_limit(left)], |row| {
            found.push(Arc::new(decode_journal_row(row)?));
            Ok(())
        })?;
    }
    Ok(found)
}
