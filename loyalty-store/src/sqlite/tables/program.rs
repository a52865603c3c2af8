//! Programs by version, and how far accounts have their due dates under the newest.

use std::sync::Arc;

use loyalty_core::{AccountId, Program, ProgramVersion, ShopId};
use rusqlite::{Connection, params};

use super::query::{corrupt, for_each_row, from_micros, query_one, to_micros};
use super::shop::read_shop;
use crate::error::Failure;
use crate::timeline::{ProgramTimeline, PublishedProgram, RescheduleProgress, TimelineVersion};

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
    PublishedProgram { version, program, in_force_from }: &PublishedProgram,
    keeps_schedule: bool,
) -> Result<(), Failure> {
    let sql = "INSERT INTO program (shop, version, body, published_at, keeps_schedule)
        VALUES (?, ?, ?, ?, ?)";
    let (body, published_at) = (program.to_json(), to_micros(*in_force_from));
    db.execute(sql, params![shop.0, version.0, body, published_at, keeps_schedule])?;
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
        "SELECT version, published_at, keeps_schedule FROM program WHERE shop = ? ORDER BY version",
        [id.0],
        |row| {
            versions.push(TimelineVersion {
                version: ProgramVersion(row.get(0)?),
                in_force_from: from_micros(row.get(1)?)?,
                keeps_schedule: row.get(2)?,
            });
            Ok(())
        },
    )?;
    let Some(TimelineVersion { version, in_force_from, .. }) = versions.last().copied() else {
        return Ok(None);
    };

    // This version and not the newest: another one may have been published by now.
    let Some((_, program)) = read_program(db, id, Some(version))? else {
        return Err(corrupt("a program of shop", &id));
    };

    let sql = "SELECT up_to_account, known_until FROM reschedule WHERE shop = ?";
    let progress = query_one(db, sql, [id.0], |row| {
        let (up_to, known_until) = (AccountId(row.get(0)?), from_micros(row.get(1)?)?);
        Ok(RescheduleProgress { up_to, known_until })
    })?;
    let newest = PublishedProgram { version, program, in_force_from };
    Ok(Some(ProgramTimeline::new(&shop, versions, newest, progress)))
}

/// Stores up to which account due dates were computed under the newest program; `None` stands for
/// all.
pub(crate) fn write_reschedule_progress(
    db: &Connection,
    shop: ShopId,
    progress: Option<RescheduleProgress>,
) -> Result<(), Failure> {
    let Some(RescheduleProgress { up_to, known_until }) = progress else {
        db.prepare_cached("DELETE FROM reschedule WHERE shop = ?")?
            .execute([shop.0])?;
        return Ok(());
    };
    let sql = "INSERT OR REPLACE INTO reschedule (shop, up_to_account, known_until)
        VALUES (?, ?, ?)";
    db.prepare_cached(sql)?
        .execute([shop.0, up_to.0, to_micros(known_until)])?;
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

/// Notes of each version whether it keeps the schedule of the version before, as publications do
/// since there is a column for it. One that cannot be read keeps none.
pub(crate) fn compare_schedules(db: &Connection) -> Result<(), Failure> {
    let mut kept = Vec::new();
    let mut before: Option<(i64, Program)> = None;
    let sql = "SELECT shop, version, body FROM program ORDER BY shop, version";
    for_each_row(db, sql, [], |row| {
        let (shop, version): (i64, u32) = (row.get(0)?, row.get(1)?);
        let program = Program::from_json(&row.get::<_, String>(2)?).ok();
        let is_kept = before.as_ref().zip(program.as_ref()).is_some_and(
            |((shop_before, before), program)| {
                *shop_before == shop && program.has_schedule_of(before)
            },
        );
        kept.extend(is_kept.then_some((shop, version)));
        before = program.map(|program| (shop, program));
        Ok(())
    })?;

    let sql = "UPDATE program SET keeps_schedule = 1 WHERE shop = ? AND version = ?";
    let mut update = db.prepare(sql)?;
    for (shop, version) in kept {
        update.execute(params![shop, version])?;
    }
    Ok(())
}
