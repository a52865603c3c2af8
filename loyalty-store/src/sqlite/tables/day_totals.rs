//! Sums of the shops' days.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use loyalty_core::ShopId;
use rusqlite::{Connection, Row, Statement, params};

use super::journal::for_each_journal_row;
use super::query::{corrupt, for_each_row, from_json, query_one};
use super::shop::read_shop;
use crate::day_totals::{DayTotals, Zones};
use crate::error::Failure;
use crate::record::to_json;

/// Days are numbered from 1 January of year 1.
fn number(day: NaiveDate) -> i32 {
    day.num_days_from_ce()
}

fn decode_day(number: i32) -> Result<NaiveDate, Failure> {
    NaiveDate::from_num_days_from_ce_opt(number).ok_or_else(|| corrupt("a day", &number))
}

fn decode(row: &Row<'_>, from: usize) -> Result<DayTotals, Failure> {
    let column = |offset: usize| from.saturating_add(offset);
    Ok(DayTotals {
        first: row.get(column(0))?,
        last: row.get(column(1))?,
        totals: from_json(&row.get::<_, String>(column(2))?)?,
    })
}

pub(crate) fn read_day(
    db: &Connection,
    shop: ShopId,
    day: NaiveDate,
) -> Result<Option<DayTotals>, Failure> {
    let sql = "SELECT first_seq, last_seq, totals FROM day_totals WHERE shop = ? AND day = ?";
    query_one(db, sql, params![shop.0, number(day)], |row| decode(row, 0))
}

pub(crate) fn read_days(
    db: &Connection,
    shop: ShopId,
    days: &RangeInclusive<NaiveDate>,
) -> Result<Vec<(NaiveDate, Arc<DayTotals>)>, Failure> {
    let sql = "SELECT day, first_seq, last_seq, totals FROM day_totals
        WHERE shop = ? AND day BETWEEN ? AND ? ORDER BY day";
    let mut found = Vec::new();
    let range = params![shop.0, number(*days.start()), number(*days.end())];
    for_each_row(db, sql, range, |row| {
        found.push((decode_day(row.get(0)?)?, Arc::new(decode(row, 1)?)));
        Ok(())
    })?;
    Ok(found)
}

/// Visits the sums of every day, or what is damaged of them.
pub(crate) fn for_each_day(
    db: &Connection,
    mut visit: impl FnMut((ShopId, NaiveDate), Result<DayTotals, Failure>),
) -> Result<(), Failure> {
    let sql = "SELECT shop, day, first_seq, last_seq, totals FROM day_totals";
    for_each_row(db, sql, [], |row| {
        visit((ShopId(row.get(0)?), decode_day(row.get(1)?)?), decode(row, 2));
        Ok(())
    })
}

pub(crate) const UPSERT_DAY: &str =
    "INSERT INTO day_totals (shop, day, first_seq, last_seq, totals) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (shop, day) DO UPDATE SET first_seq = excluded.first_seq,
            last_seq = excluded.last_seq, totals = excluded.totals
        WHERE excluded.last_seq > last_seq";

/// Stores the sums of a day unless its row is as new.
pub(crate) fn upsert_day(
    upsert: &mut Statement<'_>,
    (shop, day): &(ShopId, NaiveDate),
    sums: &DayTotals,
) -> Result<(), Failure> {
    let totals = to_json(&sums.totals)?;
    upsert.execute(params![shop.0, number(*day), sums.first, sums.last, totals])?;
    Ok(())
}

/// Sums up the whole journal, in a file from before there were sums.
pub(crate) fn sum_journal(db: &Connection) -> Result<(), Failure> {
    let (mut zones, mut days) = (Zones::default(), HashMap::new());
    for_each_journal_row(db, 0, |row| {
        let zone = |shop| Ok(read_shop(db, shop)?.map(|shop| shop.zone));
        for (day, totals) in zones.days_of(&row, zone)? {
            let sums: &mut DayTotals = days.entry((row.shop, day)).or_default();
            sums.fold(row.seq, &totals);
        }
        Ok(())
    })?;

    let mut upsert = db.prepare(UPSERT_DAY)?;
    let mut days = days.iter();
    days.try_for_each(|(key, sums)| upsert_day(&mut upsert, key, sums))
}
