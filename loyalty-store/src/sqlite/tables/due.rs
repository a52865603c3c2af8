//! Due dates, in the accounts' rows.

use loyalty_core::{AccountId, ShopId, Timestamp};
use rusqlite::{Connection, params};

use super::query::{for_each_row, from_micros, sql_limit, to_micros};
use crate::error::Failure;
use crate::query::DueAccount;

/// Returns accounts that are due by `now`, earliest first, `after` one.
pub(crate) fn read_due_accounts(
    db: &Connection,
    now: Timestamp,
    after: Option<DueAccount>,
    limit: usize,
) -> Result<Vec<DueAccount>, Failure> {
    // Two ranges of the index: a single one would pass everything at the first instant again for
    // each page.
    const SAME: &str =
        "SELECT due, id, shop FROM account WHERE due = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    const LATER: &str =
        "SELECT due, id, shop FROM account WHERE due > ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3";
    let mut found = Vec::new();
    let mut find = |sql, values: [i64; 3]| {
        for_each_row(db, sql, values, |row| {
            let (at, account, shop) =
                (from_micros(row.get(0)?)?, AccountId(row.get(1)?), ShopId(row.get(2)?));
            found.push(DueAccount { at, account, shop });
            Ok(())
        })
    };

    let limit_value = sql_limit(limit);
    let (at, account) = after.map_or((i64::MIN, 0), |after| (to_micros(after.at), after.account.0));
    if at <= to_micros(now) {
        find(SAME, [at, account, limit_value])?;
    }
    find(LATER, [at, to_micros(now), limit_value])?;
    found.truncate(limit);
    Ok(found)
}

/// Sets the due date of an account if it is in its table. That of another one is computed when the
/// account is recovered from the journal.
pub(crate) fn write_due(
    db: &Connection,
    account: AccountId,
    due: Option<Timestamp>,
) -> Result<(), Failure> {
    let sql = "UPDATE account SET due = ? WHERE id = ?";
    db.prepare_cached(sql)?
        .execute(params![due.map(to_micros), account.0])?;
    Ok(())
}
