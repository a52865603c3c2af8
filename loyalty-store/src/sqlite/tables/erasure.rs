//! Erasures of customers: what is remembered of them names nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use loyalty_core::{AccountId, Points, ShopId};
use rusqlite::{Connection, params};

use super::query::{corrupt, for_each_row, from_json, from_micros, to_micros};
use crate::erasure::{Erasure, ErasureKey, PersonHash};
use crate::error::Failure;
use crate::record::to_json;

/// What a hash is of.
const PERSON: i64 = 1;
const NAME: i64 = 2;

/// Returns the secret of the hashes. It is made with the file.
pub(crate) fn read_key(db: &Connection) -> Result<ErasureKey, Failure> {
    let sql = "SELECT key FROM erasure_key";
    let key: Vec<u8> = db.query_row(sql, [], |row| row.get(0))?;
    let key = key
        .try_into()
        .map_err(|_| corrupt("the key of erasures", &"its length"))?;
    Ok(ErasureKey(key))
}

/// Writes an erasure, or a later state of it.
pub(crate) fn write_erasure(db: &Connection, erasure: &Erasure) -> Result<(), Failure> {
    let sql =
        "INSERT INTO erasure (account, shop, merged, points, redemptions, erased_at, completed_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (account) DO UPDATE SET completed_at = excluded.completed_at";
    db.prepare_cached(sql)?.execute(params![
        erasure.account.0,
        erasure.shop.0,
        to_json(&erasure.merged)?,
        erasure.points.get(),
        erasure.redemptions,
        to_micros(erasure.erased_at),
        erasure.completed_at.map(to_micros),
    ])?;

    let mut insert = db.prepare_cached(
        "INSERT INTO erased (shop, hash, account, kind) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    for (kind, hashes) in [(PERSON, &erasure.hashes), (NAME, &erasure.name_hashes)] {
        for hash in hashes {
            insert.execute(params![erasure.shop.0, hash.as_slice(), erasure.account.0, kind])?;
        }
    }
    if erasure.name_hashes.is_empty() {
        db.prepare_cached("DELETE FROM erased WHERE account = ? AND kind = ?")?
            .execute(params![erasure.account.0, NAME])?;
    }
    Ok(())
}

/// Returns all erasures, oldest account first.
pub(crate) fn read_erasures(db: &Connection) -> Result<Vec<Arc<Erasure>>, Failure> {
    let mut found = BTreeMap::new();
    let sql =
        "SELECT account, shop, merged, points, redemptions, erased_at, completed_at FROM erasure";
    for_each_row(db, sql, [], |row| {
        let points: i64 = row.get(3)?;
        let erasure = Erasure {
            account: AccountId(row.get(0)?),
            shop: ShopId(row.get(1)?),
            merged: from_json(&row.get::<_, String>(2)?)?,
            points: Points::new(points).ok_or_else(|| corrupt("points", &points))?,
            redemptions: row.get(4)?,
            erased_at: from_micros(row.get(5)?)?,
            completed_at: row.get::<_, Option<i64>>(6)?.map(from_micros).transpose()?,
            hashes: Vec::new(),
            name_hashes: Vec::new(),
        };
        found.insert(erasure.account, erasure);
        Ok(())
    })?;
    for_each_row(db, "SELECT account, hash, kind FROM erased", [], |row| {
        let hash: Vec<u8> = row.get(1)?;
        let hash: PersonHash = hash.try_into().map_err(|_| corrupt("a hash", &"its length"))?;
        if let Some(erasure) = found.get_mut(&AccountId(row.get(0)?)) {
            let is_name = row.get::<_, i64>(2)? == NAME;
            if is_name { &mut erasure.name_hashes } else { &mut erasure.hashes }.push(hash);
        }
        Ok(())
    })?;
    Ok(found.into_values().map(Arc::new).collect())
}
