//! Accounts and their chapters, as rows.
//!
//! What an account did long ago, and most of its lots, are in rows of their own, which are written once: so what tiers
//! count of ten thousand orders, and what all of them opened, costs a write no more than of ten. The account's row says
//! how many they are, so that none can be lost unnoticed.

use loyalty_core::account::{AccountHeader, AccountSegment, AccountSegmentKey, AccountSegments};
use loyalty_core::{AccountId, LotId, ShopId, Timestamp};
use rusqlite::{CachedStatement, Connection, Row, params};

use super::rows::{for_each_row, from_micros, to_json, to_micros};
use crate::error::Failure;
use crate::record::{AccountRecord, PersistedSegments, Seq};

/// The account and its chapters in one statement, so as one commit left them. The state is read once. A chapter of lots
/// has no nanosecond, the account's own row no text of a chapter.
const SELECT_WITH_SEGMENTS: &str = "
    SELECT NULL, NULL, NULL, shop, seq, at, state, due, chapters FROM account WHERE id = ?1
    UNION ALL
    SELECT instants, second, nanosecond, NULL, NULL, NULL, NULL, NULL, NULL FROM chapter WHERE account = ?1
    UNION ALL
    SELECT lots, lot, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM lot_chapter WHERE account = ?1";

pub(super) fn read_account(
    db: &Connection,
    id: AccountId,
) -> Result<Option<AccountRecord>, Failure> {
    let (mut own, mut written) = (None, Vec::new());
    let unreadable = || Failure::Corrupt(format!("a chapter of account {id} cannot be read"));
    for_each_row(db, SELECT_WITH_SEGMENTS, [id.0], |row| {
        match row.get::<_, Option<String>>(0)? {
            Some(text) => written.push((decode_segment_key(row)?.ok_or_else(unreadable)?, text)),
            None => own = Some(AccountRow::decode(id, row)?),
        }
        Ok(())
    })?;
    let Some(own) = own else { return Ok(None) };
    let chapters = AccountSegments::decode(written).ok_or_else(unreadable)?;
    let lacking = || {
        Failure::Corrupt(format!("the chapters of account {id} are not all there, or do not fit"))
    };
    Ok(Some(own.into_record(chapters).ok_or_else(lacking)?))
}

/// What the chapter of a row begins with. None where there is no such thing.
fn decode_segment_key(row: &Row<'_>) -> Result<Option<AccountSegmentKey>, Failure> {
    let number: i64 = row.get(1)?;
    Ok(match row.get::<_, Option<u32>>(2)? {
        Some(nanosecond) => {
            Timestamp::from_timestamp(number, nanosecond).map(AccountSegmentKey::Instant)
        }
        None => u32::try_from(number)
            .ok()
            .map(|lot| AccountSegmentKey::Lot(LotId(lot))),
    })
}

/// What stands in the account's own row.
struct AccountRow {
    shop: ShopId,
    seq: Seq,
    at: Timestamp,
    header: AccountHeader,
    due: Option<Timestamp>,
    segment_count: i64,
}

impl AccountRow {
    fn decode(id: AccountId, row: &Row<'_>) -> Result<Self, Failure> {
        Ok(Self {
            shop: ShopId(row.get(3)?),
            seq: row.get(4)?,
            at: from_micros(row.get(5)?)?,
            header: serde_json::from_str(&row.get::<_, String>(6)?).map_err(|error| {
                Failure::Corrupt(format!("account {id} cannot be read: {error}"))
            })?,
            due: row.get::<_, Option<i64>>(7)?.map(from_micros).transpose()?,
            segment_count: row.get(8)?,
        })
    }

    /// None where these are not the chapters that it counts.
    fn into_record(self, written: AccountSegments) -> Option<AccountRecord> {
        let Self { shop, seq, at, header: head, due, segment_count: chapters } = self;
        let account = head
            .with_segments(&written)
            .filter(|_| i64::try_from(written.len()) == Ok(chapters))?;
        Some(AccountRecord {
            shop,
            account,
            seq,
            at,
            due,
            persisted_segments: PersistedSegments::new(written),
        })
    }
}

/// Every account, or what is damaged of it. Answers how many chapters there are that no account has.
pub(super) fn for_each_account(
    db: &Connection,
    mut visit: impl FnMut(AccountId, Result<AccountRecord, String>),
) -> Result<i64, Failure> {
    for_each_row(db, "SELECT id FROM account", [], |row| {
        let id = AccountId(row.get(0)?);
        match read_account(db, id) {
            Err(Failure::Corrupt(what)) => visit(id, Err(what)),
            found => found?.into_iter().for_each(|record| visit(id, Ok(record))),
        }
        Ok(())
    })?;
    let strays = "
        SELECT (SELECT count(*) FROM chapter WHERE account NOT IN (SELECT id FROM account))
            + (SELECT count(*) FROM lot_chapter WHERE account NOT IN (SELECT id FROM account))";
    Ok(db.query_row(strays, [], |row| row.get(0))?)
}

/// Writes accounts.
pub(super) struct AccountWriter<'db> {
    upsert_account: CachedStatement<'db>,
    upsert_activity_segment: CachedStatement<'db>,
    delete_activity_segment: CachedStatement<'db>,
    upsert_lot_segment: CachedStatement<'db>,
    delete_lot_segment: CachedStatement<'db>,
}

impl<'db> AccountWriter<'db> {
    pub(super) fn new(db: &'db Connection) -> Result<Self, Failure> {
        let account = "INSERT INTO account (id, shop, seq, at, state, due, chapters) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, at = excluded.at, state = excluded.state,
                due = excluded.due, chapters = excluded.chapters
            WHERE excluded.seq > seq";
        let instants =
            "INSERT INTO chapter (account, second, nanosecond, instants) VALUES (?, ?, ?, ?)
            ON CONFLICT (account, second, nanosecond) DO UPDATE SET instants = excluded.instants";
        let no_instants = "DELETE FROM chapter WHERE account = ? AND second = ? AND nanosecond = ?";
        let lots = "INSERT INTO lot_chapter (account, lot, lots) VALUES (?, ?, ?)
            ON CONFLICT (account, lot) DO UPDATE SET lots = excluded.lots";
        let no_lots = "DELETE FROM lot_chapter WHERE account = ? AND lot = ?";
        Ok(Self {
            upsert_account: db.prepare_cached(account)?,
            upsert_activity_segment: db.prepare_cached(instants)?,
            delete_activity_segment: db.prepare_cached(no_instants)?,
            upsert_lot_segment: db.prepare_cached(lots)?,
            delete_lot_segment: db.prepare_cached(no_lots)?,
        })
    }

    /// A state never steps back. Answers which chapters then stand in the file, once this is committed: where nothing is
    /// written, since the row is as new already, those that stood there when it was read.
    pub(super) fn write(
        &mut self,
        id: AccountId,
        record: &AccountRecord,
    ) -> Result<AccountSegments, Failure> {
        let (head, chapters) = record.account.split_segments();
        let (state, due) = (to_json(&head)?, record.due.map(to_micros));
        let count = i64::try_from(chapters.len()).unwrap_or(i64::MAX);
        let values =
            params![id.0, record.shop.0, record.seq, to_micros(record.at), state, due, count];
        let filed = record.persisted_segments.lock();
        if self.upsert_account.execute(values)? == 0 {
            return Ok(filed.clone());
        }
        for chapter in chapters.changed_since(&filed) {
            self.write_segment(id, chapter)?;
        }
        Ok(chapters)
    }

    fn write_segment(&mut self, id: AccountId, chapter: AccountSegment) -> Result<(), Failure> {
        let AccountSegment { key: start, text } = chapter;
        match (start, text) {
            (AccountSegmentKey::Instant(at), Some(text)) => self
                .upsert_activity_segment
                .execute(params![id.0, at.timestamp(), at.timestamp_subsec_nanos(), text]),
            (AccountSegmentKey::Instant(at), None) => self
                .delete_activity_segment
                .execute(params![id.0, at.timestamp(), at.timestamp_subsec_nanos()]),
            (AccountSegmentKey::Lot(lot), Some(text)) => {
                self.upsert_lot_segment.execute(params![id.0, lot.0, text])
            }
            (AccountSegmentKey::Lot(lot), None) => {
                self.delete_lot_segment.execute(params![id.0, lot.0])
            }
        }?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use std::time::Duration;

    use loyalty_core::{Account, AdjustmentReason, Event, Points};

    use super::*;
    use crate::sqlite::schema;

    /// Forty instants, a nanosecond apart, before and after a second, and before 1970.
    #[test]
    fn segments_within_one_second_are_distinguished() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let db = schema::open(file.path()).unwrap();
        let first = Timestamp::from_timestamp(-1, 999_999_980).unwrap();
        let mut record = AccountRecord::new(ShopId(1));
        let mut put = AccountWriter::new(&db).unwrap();
        for number in 0..40 {
            let (points, at) = (Points::from(1), Some(first + Duration::from_nanos(number)));
            record.account.evolve(&Event::PointsAdded {
                points,
                lot: None,
                reason: AdjustmentReason::default(),
                at,
            });
            record.seq += 1;
            let chapters = put.write(AccountId(7), &record).unwrap();
            *record.persisted_segments.lock() = chapters;
            let read = read_account(&db, AccountId(7)).unwrap().unwrap();
            assert_eq!(read, record);
            assert_eq!(
                read.persisted_segments.lock().len(),
                record.persisted_segments.lock().len()
            );
        }
        let starts = "SELECT group_concat(second || ' ' || nanosecond, ', ') FROM chapter";
        let starts: String = db.query_row(starts, [], |row| row.get(0)).unwrap();
        assert_eq!(starts, "-1 999999980, -1 999999996");
        // What is no newer is not written, and changes nothing of what stands in the file.
        let stands = put
            .write(AccountId(7), &AccountRecord { account: Account::default(), ..record.clone() })
            .unwrap();
        assert_eq!(stands.len(), 2);
        assert_eq!(read_account(&db, AccountId(7)).unwrap().unwrap(), record);
    }
}
