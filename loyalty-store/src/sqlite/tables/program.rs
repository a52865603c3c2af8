//! Programs by version, and how far accounts have their due dates under the newest.

use std::sync::Arc;

use loyalty_core::{AccountId, Program, ProgramVersion, ShopId, Timestamp};
use rusqlite::{Connection, params};

use super::query::{corrupt, for_each_row, from_micros, query_one, to_micros};
use super::shop::read_shop;
use crate::error::Failure;
use crate::timeline::{ProgramTimeline, PublishedProgram};

/// Returns one version of a shop's program, or the newest.
pub(crate) fn read_program(
    db: &Connection,
    shop: ShopId,
    version: Option<ProgramVersion>,
) -> Result<Option<(ProgramVersion, Arc<Program>)>, Failure> {
    let sql = "SELECT version, body FROM program WHERE shop = ?1 AND (?2 IS NULL OR version = ?2)
        ORDER BY version DESC LIMIT 1";
    query_one(db, sql, params![shop.0, version.map(|version| version.0)], |row| {
        let body: String = row.get(1)?;
        let program = Program::from_json(&body).map_err(|_| corrupt("a program of shop", &shop))?;
        Ok((ProgramVersion(row.get(0)?), Arc::new(program)))
    })
}

pub(crate) fn insert_program(
    db: &Connection,
    shop: ShopId,
    version: ProgramVersion,
    program: &Program,
    published_at: Timestamp,
) -> Result<(), Failure> {
    let sql = "INSERT INTO program (shop, version, body, published_at) VALUES (?, ?, ?, ?)";
    db.execute(sql, params![shop.0, version.0, program.to_json(), to_micros(published_at)])?;
    Ok(())
}

/// Returns when each version of a shop's program came into force.
pub(crate) fn read_timeline(
    db: &Connection,
    id: ShopId,
) -> Result<Option<ProgramTimeline>, Failure> {
    let Some(shop) = read_shop(db, id)? else { return Ok(None) };

    let mut versions = Vec::new();
    for_each_row(
        db,
        "SELECT version, published_at FROM program WHERE shop = ? ORDER BY version",
        [id.0],
        |row| {
            versions.push((ProgramVersion(row.get(0)?), from_micros(row.get(1)?)?));
            Ok(())
        },
    )?;
    let Some((version, in_force_from)) = versions.last().copied() else {
        return Ok(None);
    };

    // This version and not the newest: another one may have been published by now.
    let Some((_, program)) = read_program(db, id, Some(version))? else {
        return Err(corrupt("a program of shop", &id));
    };

    let sql = "SELECT up_to_account FROM reschedule WHERE shop = ?";
    let cursor = query_one(db, sql, [id.0], |row| Ok(AccountId(row.get(0)?)))?;
    let newest = PublishedProgram { version, program, in_force_from };
    Ok(Some(ProgramTimeline::new(&shop, versions, newest, cursor)))
}

/// Stores up to which account due dates were computed under the newest program; `None` stands for
/// all.
pub(crate) fn write_reschedule_cursor(
    db: &Connection,
    shop: ShopId,
    up_to: Option<AccountId>,
) -> Result<(), Failure> {
    let Some(up_to) = up_to else {
        db.prepare_cached("DELETE FROM reschedule WHERE shop = ?")?
            .execute([shop.0])?;
        return Ok(());
    };
    let sql = "INSERT INTO reschedule (shop, up_to_account) VALUES (?, ?)
        ON CONFLICT (shop) DO UPDATE SET up_to_account = excluded.up_to_account";
    db.prepare_cached(sql)?.execute([shop.0, up_to.0])?;
    Ok(())
}

/// Returns the shops with accounts that have no due date under the newest program yet.
pub(crate) fn read_shops_to_reschedule(db: &Connection) -> Result<Vec<ShopId>, Failure> {
    let mut shops = Vec::new();
    for_each_row(db, "SELECT shop FROM reschedule ORDER BY shop", [], |row| {
        shops.push(ShopId(row.get(0)?));
        Ok(())
    })?;
    Ok(shops)
}
