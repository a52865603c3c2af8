//! Running statements, and values in columns.

use loyalty_core::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::de::DeserializeOwned;

use crate::cancel;
use crate::error::Failure;
use crate::seal::SealError;

pub(crate) fn to_micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

pub(crate) fn from_micros(micros: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_timestamp_micros(micros).ok_or_else(|| corrupt("a time", &micros))
}

pub(crate) fn corrupt(what: &str, value: &impl std::fmt::Display) -> Failure {
    Failure::Corrupt(format!("{what} cannot be read: {value}"))
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| corrupt("a record", &error))
}

/// Returns the first row. The decoder may find it damaged.
pub(crate) fn query_one<T>(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    let found = db
        .prepare_cached(sql)?
        .query_row(params, |row| Ok(read(row)))
        .optional()?;
    found.transpose()
}

/// Visits rows until the visitor fails or the read is cancelled.
pub(crate) fn for_each_row(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut visit: impl FnMut(&Row<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        cancel::check()?;
        visit(row)?;
    }
    Ok(())
}

/// Returns a `LIMIT`.
pub(crate) fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Returns the largest number in a column; zero if the table is empty.
pub(crate) fn max_value(db: &Connection, column: &str, table: &str) -> Result<i64, Failure> {
    let sql = format!("SELECT coalesce(max({column}), 0) FROM {table}");
    Ok(db.query_row(&sql, [], |row| row.get(0))?)
}

/// Returns the result of `SELECT count(*)` as a number.
pub(crate) fn count_rows(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<u64, Failure> {
    let count: i64 = db.prepare_cached(sql)?.query_row(params, |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn sealing(error: SealError) -> Failure {
    match error {
        SealError::UnknownKey(_) | SealError::NoKey | SealError::MalformedKey => {
            Failure::MasterKey(error.to_string())
        }
        SealError::Random(_) => Failure::Unavailable(error.to_string()),
        SealError::Damaged => Failure::Corrupt(error.to_string()),
    }
}
