//! The index of price rules and discount codes. Written with the journal.

use std::sync::Arc;

use loyalty_core::{CodeId, Email, PriceRuleId, ShopId};
use rusqlite::{Connection, params};

use super::query::{corrupt, count_rows, for_each_row, from_json, query_one, sql_limit};
use crate::discount::index::{DiscountIndex, IndexChange};
use crate::error::Failure;
use crate::record::to_json;

pub(crate) fn write_index_change(
    db: &Connection,
    shop: ShopId,
    change: &IndexChange,
) -> Result<(), Failure> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| -> Result<(), Failure> {
        db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    };
    match change {
        IndexChange::PutRule(rule) => run(
            "INSERT INTO price_rule (id, shop) VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
            params![rule.0, shop.0],
        ),
        IndexChange::DeleteRule(rule) => {
            run("DELETE FROM price_rule WHERE id = ?", params![rule.0])
        }
        IndexChange::PutEmails(rule, emails) => {
            let emails: Vec<&str> = emails.iter().map(Email::as_str).collect();
            run(
                "UPDATE price_rule SET emails = ? WHERE id = ?",
                params![to_json(&emails)?, rule.0],
            )
        }
        IndexChange::PutCode(key, rule, code) => run(
            "INSERT INTO discount_code (shop, key, rule, id) VALUES (?, ?, ?, ?)
                ON CONFLICT (shop, key) DO UPDATE SET rule = excluded.rule, id = excluded.id",
            params![shop.0, key, rule.0, code.0],
        ),
        IndexChange::DeleteCode(key, code) => run(
            "DELETE FROM discount_code WHERE shop = ? AND key = ? AND id = ?",
            params![shop.0, key, code.0],
        ),
    }
}

/// Returns the whole index but e-mails, for comparison with the journal.
pub(crate) fn read_index(db: &Connection) -> Result<DiscountIndex, Failure> {
    let mut index = DiscountIndex::default();
    for_each_row(db, "SELECT shop, id FROM price_rule", [], |row| {
        index.apply(ShopId(row.get(0)?), IndexChange::PutRule(PriceRuleId(row.get(1)?)));
        Ok(())
    })?;
    for_each_row(db, "SELECT shop, key, rule, id FROM discount_code", [], |row| {
        let (rule, code) = (PriceRuleId(row.get(2)?), CodeId(row.get(3)?));
        index.apply(ShopId(row.get(0)?), IndexChange::PutCode(row.get(1)?, rule, code));
        Ok(())
    })?;
    Ok(index)
}

pub(crate) fn find_code_by_key(
    db: &Connection,
    shop: ShopId,
    key: &str,
) -> Result<Option<CodeId>, Failure> {
    let sql = "SELECT id FROM discount_code WHERE shop = ? AND key = ?";
    query_one(db, sql, params![shop.0, key], |row| Ok(CodeId(row.get(0)?)))
}

/// Returns keys of codes after one, in ascending order.
pub(crate) fn read_code_keys(
    db: &Connection,
    after: Option<&(ShopId, String)>,
    limit: usize,
) -> Result<Vec<(ShopId, String)>, Failure> {
    let sql = "SELECT shop, key FROM discount_code
        WHERE (shop, key) > (?, ?) ORDER BY shop, key LIMIT ?";
    let (shop, key) = after.map_or((0, ""), |(shop, key)| (shop.0, key.as_str()));
    let mut keys = Vec::new();
    for_each_row(db, sql, params![shop, key, sql_limit(limit)], |row| {
        keys.push((ShopId(row.get(0)?), row.get(1)?));
        Ok(())
    })?;
    Ok(keys)
}

/// Returns the e-mails of a rule; `None` if it has none.
pub(crate) fn read_rule_emails(
    db: &Connection,
    shop: ShopId,
    rule: PriceRuleId,
) -> Result<Option<Arc<[Email]>>, Failure> {
    let sql = "SELECT emails FROM price_rule WHERE id = ? AND shop = ? AND emails IS NOT NULL";
    query_one(db, sql, params![rule.0, shop.0], |row| {
        let emails: Vec<String> = from_json(&row.get::<_, String>(0)?)?;
        let emails = emails
            .iter()
            .map(|text| Email::from_stored(text))
            .collect::<Result<Vec<_>, _>>();
        Ok(emails.map_err(|error| corrupt("an e-mail", &error))?.into())
    })
}

/// Returns ids of a shop's price rules in ascending order, `after` one.
pub(crate) fn read_rule_ids(
    db: &Connection,
    shop: ShopId,
    after: Option<PriceRuleId>,
    limit: usize,
) -> Result<Vec<PriceRuleId>, Failure> {
    let sql = "SELECT id FROM price_rule WHERE shop = ? AND id > ? ORDER BY id LIMIT ?";
    let mut ids = Vec::new();
    for_each_row(db, sql, [shop.0, after.map_or(0, |id| id.0), sql_limit(limit)], |row| {
        ids.push(PriceRuleId(row.get(0)?));
        Ok(())
    })?;
    Ok(ids)
}

pub(crate) fn count_rules(db: &Connection, shop: ShopId) -> Result<u64, Failure> {
    count_rows(db, "SELECT count(*) FROM price_rule WHERE shop = ?", [shop.0])
}

/// Returns ids of a rule's codes in ascending order, `after` one.
pub(crate) fn read_code_ids(
    db: &Connection,
    rule: PriceRuleId,
    after: Option<CodeId>,
    limit: usize,
) -> Result<Vec<CodeId>, Failure> {
    let sql = "SELECT id FROM discount_code WHERE rule = ? AND id > ? ORDER BY id LIMIT ?";
    let mut ids = Vec::new();
    for_each_row(db, sql, [rule.0, after.map_or(0, |id| id.0), sql_limit(limit)], |row| {
        ids.push(CodeId(row.get(0)?));
        Ok(())
    })?;
    Ok(ids)
}

pub(crate) fn count_codes(db: &Connection, rule: PriceRuleId) -> Result<u64, Failure> {
    count_rows(db, "SELECT count(*) FROM discount_code WHERE rule = ?", [rule.0])
}
