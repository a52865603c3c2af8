//! Customers: personal data, written with the journal but never in it.

use std::ops::ControlFlow;

use loyalty_core::{AccountId, CustomerId, Email, ShopId};
use rusqlite::{Connection, Row, params};

use super::query::{
    corrupt, count_rows, for_each_row, from_json, from_micros, query_one, sql_limit, to_micros,
};
use crate::error::Failure;
use crate::record::{CustomerRecord, to_json};
use crate::transact::CustomerChange;

const SELECT_CUSTOMER: &str =
    "SELECT account, shop, customer_id, email, profile, created_at, updated_at, revision, birthday_set_at,
        attributes_changed_at, household, merged FROM customer";

fn decode_customer(row: &Row<'_>) -> Result<CustomerRecord, Failure> {
    let id: Option<String> = row.get(2)?;
    let email: Option<String> = row.get(3)?;
    Ok(CustomerRecord {
        account: AccountId(row.get(0)?),
        shop: ShopId(row.get(1)?),
        id: id
            .map(CustomerId::try_from)
            .transpose()
            .map_err(|error| corrupt("a customer's id", &error))?,
        email: email
            .map(|text| Email::from_stored(&text))
            .transpose()
            .map_err(|error| corrupt("an e-mail", &error))?,
        profile: from_json(&row.get::<_, String>(4)?)?,
        created_at: from_micros(row.get(5)?)?,
        updated_at: from_micros(row.get(6)?)?,
        revision: row.get(7)?,
        birthday_set_at: row.get::<_, Option<i64>>(8)?.map(from_micros).transpose()?,
        attributes_changed_at: from_micros(row.get(9)?)?,
        household: from_json(&row.get::<_, String>(10)?)?,
        merged: from_json(&row.get::<_, String>(11)?)?,
    })
}

pub(crate) fn read_customer(
    db: &Connection,
    account: AccountId,
) -> Result<Option<CustomerRecord>, Failure> {
    query_one(
        db,
        &format!("{SELECT_CUSTOMER} WHERE account = ?"),
        [account.0],
        decode_customer,
    )
}

pub(crate) fn find_account_by_id(
    db: &Connection,
    shop: ShopId,
    id: &CustomerId,
) -> Result<Option<AccountId>, Failure> {
    let sql = "SELECT account FROM customer WHERE shop = ?1 AND customer_id = ?2
        UNION ALL SELECT account FROM customer_alias WHERE shop = ?1 AND customer_id = ?2 LIMIT 1";
    query_one(db, sql, params![shop.0, id.as_str()], |row| Ok(AccountId(row.get(0)?)))
}

pub(crate) fn find_account_by_email(
    db: &Connection,
    shop: ShopId,
    email: &str,
) -> Result<Option<AccountId>, Failure> {
    let sql = "SELECT account FROM customer WHERE shop = ? AND email_key = ?";
    query_one(db, sql, params![shop.0, email], |row| Ok(AccountId(row.get(0)?)))
}

/// Visits a shop's customers after an account, in ascending order, until the visitor breaks or
/// fails.
pub(crate) fn scan_customers(
    db: &Connection,
    shop: ShopId,
    after: AccountId,
    mut visit: impl FnMut(CustomerRecord) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let sql = format!(
        "{SELECT_CUSTOMER} INDEXED BY customer_of_shop
        WHERE shop = ? AND account > ? ORDER BY account"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([shop.0, after.0])?;
    while let Some(row) = rows.next()? {
        if visit(decode_customer(row)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

pub(crate) fn count_customers(db: &Connection, shop: ShopId) -> Result<u64, Failure> {
    count_rows(db, "SELECT count(*) FROM customer WHERE shop = ?", [shop.0])
}

pub(crate) fn write_customer_change(
    db: &Connection,
    change: &CustomerChange,
) -> Result<(), Failure> {
    let Some(record) = &change.after else {
        let account = change.before.as_ref().map_or(0, |before| before.account.0);
        db.prepare_cached("DELETE FROM customer WHERE account = ?")?
            .execute([account])?;
        return change
            .before
            .as_ref()
            .map_or(Ok(()), |before| delete_aliases(db, before));
    };
    let sql = "INSERT INTO customer
        (account, shop, customer_id, email, email_key, profile, created_at, updated_at, revision,
         birthday_set_at, attributes_changed_at, household, merged)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (account) DO UPDATE SET customer_id = excluded.customer_id, email = excluded.email,
            email_key = excluded.email_key, profile = excluded.profile, updated_at = excluded.updated_at,
            revision = excluded.revision, birthday_set_at = excluded.birthday_set_at,
            attributes_changed_at = excluded.attributes_changed_at, household = excluded.household,
            merged = excluded.merged";
    let values = params![
        record.account.0,
        record.shop.0,
        record.id.as_ref().map(CustomerId::as_str),
        record.email.as_ref().map(Email::as_str),
        record.email.as_ref().map(Email::key),
        to_json(&record.profile)?,
        to_micros(record.created_at),
        to_micros(record.updated_at),
        record.revision,
        record.birthday_set_at.map(to_micros),
        to_micros(record.attributes_changed_at),
        to_json(&record.household)?,
        to_json(&record.merged)?,
    ];
    db.prepare_cached(sql)?.execute(values)?;
    write_aliases(db, record)
}

/// Deletes the ids under which a customer was found. After a merge, those of the other follow.
fn delete_aliases(db: &Connection, record: &CustomerRecord) -> Result<(), Failure> {
    let sql = "DELETE FROM customer_alias WHERE shop = ? AND customer_id = ? AND account = ?";
    for alias in record.merged.iter().filter_map(|merged| merged.id.as_ref()) {
        db.prepare_cached(sql)?.execute(params![
            record.shop.0,
            alias.as_str(),
            record.account.0
        ])?;
    }
    Ok(())
}

/// Writes the ids under which a customer is found besides their own.
fn write_aliases(db: &Connection, record: &CustomerRecord) -> Result<(), Failure> {
    let sql = "INSERT INTO customer_alias (shop, customer_id, account) VALUES (?, ?, ?)
        ON CONFLICT (shop, customer_id) DO UPDATE SET account = excluded.account";
    for alias in record.merged.iter().filter_map(|merged| merged.id.as_ref()) {
        db.prepare_cached(sql)?.execute(params![
            record.shop.0,
            alias.as_str(),
            record.account.0
        ])?;
    }
    Ok(())
}

/// Returns accounts of a shop's customers in ascending order, `after` one.
pub(crate) fn read_account_ids(
    db: &Connection,
    shop: ShopId,
    after: AccountId,
    limit: usize,
) -> Result<Vec<AccountId>, Failure> {
    let sql = "SELECT account FROM customer INDEXED BY customer_of_shop
        WHERE shop = ? AND account > ? ORDER BY account LIMIT ?";
    let mut accounts = Vec::new();
    for_each_row(db, sql, params![shop.0, after.0, sql_limit(limit)], |row| {
        accounts.push(AccountId(row.get(0)?));
        Ok(())
    })?;
    Ok(accounts)
}
