//! Imports and their reports, written with the rows that they are about. They have no personal data.

use std::sync::Arc;

use loyalty_core::{ImportId, ShopId};
use rusqlite::{Connection, params};

use super::query::{for_each_row, from_json, query_one, sql_limit};
use crate::error::Failure;
use crate::import::{ImportChange, ImportRecord, ImportRowRecord};
use crate::record::to_json;

/// Writes rows, and each import once: as it is after the last change.
pub(crate) fn write_changes(
    db: &Connection,
    changes: &[(ShopId, ImportChange)],
) -> Result<(), Failure> {
    for (number, (shop, change)) in changes.iter().enumerate() {
        let id = &change.record.id;
        if let Some(row) = &change.row {
            write_row(db, *shop, id, row)?;
        }

        let mut later = changes.iter().skip(number.saturating_add(1));
        let is_of_same = |(of, next): &(ShopId, ImportChange)| of == shop && next.record.id == *id;
        if later.next().is_some_and(is_of_same) {
            continue;
        }
        let sql = "INSERT INTO import (shop, import_id, record) VALUES (?, ?, ?)
            ON CONFLICT (shop, import_id) DO UPDATE SET record = excluded.record";
        let record = to_json(&*change.record)?;
        db.prepare_cached(sql)?
            .execute(params![shop.0, id.as_str(), record])?;
    }
    Ok(())
}

fn write_row(
    db: &Connection,
    shop: ShopId,
    id: &ImportId,
    row: &ImportRowRecord,
) -> Result<(), Failure> {
    let sql = "INSERT INTO import_row (shop, import_id, line, is_refused, record)
        VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (shop, import_id, line) DO UPDATE SET record = excluded.record";
    let is_refused = row.outcome.fault().is_some();
    let values = params![shop.0, id.as_str(), line_number(row.line), is_refused, to_json(row)?];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn line_number(line: u64) -> i64 {
    i64::try_from(line).unwrap_or(i64::MAX)
}

pub(crate) fn read_import(
    db: &Connection,
    shop: ShopId,
    id: &ImportId,
) -> Result<Option<ImportRecord>, Failure> {
    let sql = "SELECT record FROM import WHERE shop = ? AND import_id = ?";
    query_one(db, sql, params![shop.0, id.as_str()], |row| {
        from_json(&row.get::<_, String>(0)?)
    })
}

pub(crate) fn read_imports(
    db: &Connection,
    shop: ShopId,
    after: Option<&ImportId>,
    limit: usize,
) -> Result<Vec<Arc<ImportRecord>>, Failure> {
    let sql =
        "SELECT record FROM import WHERE shop = ? AND import_id > ? ORDER BY import_id LIMIT ?";
    let after = after.map_or("", ImportId::as_str);
    let mut imports = Vec::new();
    for_each_row(db, sql, params![shop.0, after, sql_limit(limit)], |row| {
        imports.push(Arc::new(from_json(&row.get::<_, String>(0)?)?));
        Ok(())
    })?;
    Ok(imports)
}

pub(crate) fn read_import_rows(
    db: &Connection,
    shop: ShopId,
    id: &ImportId,
    after: u64,
    only_refused: bool,
    limit: usize,
) -> Result<Vec<Arc<ImportRowRecord>>, Failure> {
    let sql = if only_refused {
        "SELECT record FROM import_row
            WHERE shop = ? AND import_id = ? AND line > ? AND is_refused ORDER BY line LIMIT ?"
    } else {
        "SELECT record FROM import_row
            WHERE shop = ? AND import_id = ? AND line > ? ORDER BY line LIMIT ?"
    };
    let values = params![shop.0, id.as_str(), line_number(after), sql_limit(limit)];
    let mut rows = Vec::new();
    for_each_row(db, sql, values, |row| {
        rows.push(Arc::new(from_json(&row.get::<_, String>(0)?)?));
        Ok(())
    })?;
    Ok(rows)
}
