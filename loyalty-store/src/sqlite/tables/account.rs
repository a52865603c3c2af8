//! Accounts: a header row, and segments that are written once.
//!
//! Old activity and most lots of an account are in segments, rows of their own. So a write costs the
//! same for an account with ten thousand orders as for one with ten. The header row has the number
//! of segments, so that a lost one is noticed.

use std::ops::Range;

use loyalty_core::account::{AccountHeader, AccountSegment, AccountSegmentKey, AccountSegments};
use loyalty_core::{AccountId, LotId, ShopId, Timestamp};
use rusqlite::{CachedStatement, Connection, Row, params};

use super::query::{for_each_row, from_micros, to_micros};
use crate::error::Failure;
use crate::record::{AccountRecord, PersistedSegments, Seq, to_json};

/// Reads an account and its segments in one statement, so that all are of one commit. A lot segment
/// has no nanosecond, the header row has no body.
const SELECT_WITH_SEGMENTS: &str = "
    SELECT NULL, NULL, NULL, shop, seq, at, state, due, segment_count, outgoing
    FROM account WHERE id = ?1
    UNION ALL
    SELECT body, first_second, first_nanosecond, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM activity_segment WHERE account = ?1
    UNION ALL
    SELECT body, first_lot, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM lot_segment WHERE account = ?1";

pub(crate) fn read_account(
    db: &Connection,
    id: AccountId,
) -> Result<Option<AccountRecord>, Failure> {
    let (mut header, mut segments) = (None, Vec::new());
    let unreadable = || Failure::Corrupt(format!("a segment of account {id} cannot be read"));
    for_each_row(db, SELECT_WITH_SEGMENTS, [id.0], |row| {
        match row.get::<_, Option<String>>(0)? {
            Some(body) => segments.push((decode_segment_key(row)?.ok_or_else(unreadable)?, body)),
            None => header = Some(AccountRow::decode(id, row)?),
        }
        Ok(())
    })?;

    let Some(header) = header else { return Ok(None) };
    let segments = AccountSegments::decode(segments).ok_or_else(unreadable)?;
    let inconsistent = || {
        let text = format!("the segments of account {id} are incomplete or inconsistent");
        Failure::Corrupt(text)
    };
    Ok(Some(header.into_record(segments).ok_or_else(inconsistent)?))
}

/// Returns the key of a row's segment; `None` if no key has these numbers.
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

/// The header row of an account.
struct AccountRow {
    shop: ShopId,
    seq: Seq,
    at: Timestamp,
    header: AccountHeader,
    due: Option<Timestamp>,
    segment_count: i64,
    outgoing: i64,
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
            outgoing: row.get(9)?,
        })
    }

    /// Returns the account; `None` if these are not the segments of this header.
    fn into_record(self, segments: AccountSegments) -> Option<AccountRecord> {
        let Self { shop, seq, at, header, due, segment_count, outgoing } = self;
        let account = header.with_segments(&segments)?;
        if i64::try_from(segments.len()) != Ok(segment_count) {
            return None;
        }

        Some(AccountRecord {
            shop,
            account,
            seq,
            at,
            outgoing,
            due,
            persisted_segments: PersistedSegments::new(segments),
        })
    }
}

/// Visits the accounts with these numbers, or what is damaged of them.
pub(crate) fn for_each_account(
    db: &Connection,
    range: Range<AccountId>,
    mut visit: impl FnMut(AccountId, Result<AccountRecord, String>),
) -> Result<(), Failure> {
    let sql = "SELECT id FROM account WHERE id >= ? AND id < ?";
    for_each_row(db, sql, [range.start.0, range.end.0], |row| {
        let id = AccountId(row.get(0)?);
        match read_account(db, id) {
            Err(Failure::Corrupt(what)) => visit(id, Err(what)),
            found => found?.into_iter().for_each(|record| visit(id, Ok(record))),
        }
        Ok(())
    })
}

/// Visits the numbers of all accounts.
pub(crate) fn for_each_account_id(
    db: &Connection,
    mut visit: impl FnMut(AccountId),
) -> Result<(), Failure> {
    for_each_row(db, "SELECT id FROM account", [], |row| {
        visit(AccountId(row.get(0)?));
        Ok(())
    })
}

/// Returns the number of segments without an account.
pub(crate) fn count_orphan_segments(db: &Connection) -> Result<i64, Failure> {
    let orphans = "
        SELECT (SELECT count(*) FROM activity_segment WHERE account NOT IN (SELECT id FROM account))
            + (SELECT count(*) FROM lot_segment WHERE account NOT IN (SELECT id FROM account))";
    Ok(db.query_row(orphans, [], |row| row.get(0))?)
}

/// Prepared statements that store accounts.
pub(crate) struct AccountWriter<'db> {
    upsert_account: CachedStatement<'db>,
    upsert_activity_segment: CachedStatement<'db>,
    delete_activity_segment: CachedStatement<'db>,
    upsert_lot_segment: CachedStatement<'db>,
    delete_lot_segment: CachedStatement<'db>,
}

impl<'db> AccountWriter<'db> {
    pub(crate) fn new(db: &'db Connection) -> Result<Self, Failure> {
        Ok(Self {
            upsert_account: db.prepare_cached(
                "INSERT INTO account (id, shop, seq, at, state, due, segment_count, outgoing)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, at = excluded.at,
                    state = excluded.state, due = excluded.due,
                    segment_count = excluded.segment_count, outgoing = excluded.outgoing
                WHERE excluded.seq > seq",
            )?,
            upsert_activity_segment: db.prepare_cached(
                "INSERT INTO activity_segment (account, first_second, first_nanosecond, body)
                VALUES (?, ?, ?, ?)
                ON CONFLICT (account, first_second, first_nanosecond)
                    DO UPDATE SET body = excluded.body",
            )?,
            delete_activity_segment: db.prepare_cached(
                "DELETE FROM activity_segment
                WHERE account = ? AND first_second = ? AND first_nanosecond = ?",
            )?,
            upsert_lot_segment: db.prepare_cached(
                "INSERT INTO lot_segment (account, first_lot, body) VALUES (?, ?, ?)
                ON CONFLICT (account, first_lot) DO UPDATE SET body = excluded.body",
            )?,
            delete_lot_segment: db
                .prepare_cached("DELETE FROM lot_segment WHERE account = ? AND first_lot = ?")?,
        })
    }

    /// Stores an account unless its row is as new. Returns the segments that the file contains after
    /// the commit.
    pub(crate) fn write(
        &mut self,
        id: AccountId,
        record: &AccountRecord,
    ) -> Result<AccountSegments, Failure> {
        let (header, segments) = record.account.split_segments();
        let (state, due) = (to_json(&header)?, record.due.map(to_micros));
        let count = i64::try_from(segments.len()).unwrap_or(i64::MAX);
        let at = to_micros(record.at);
        let values =
            params![id.0, record.shop.0, record.seq, at, state, due, count, record.outgoing];

        let persisted = record.persisted_segments.lock();
        if self.upsert_account.execute(values)? == 0 {
            return Ok(persisted.clone());
        }

        // Most segments never change: only the others cost a write.
        for segment in segments.changed_since(&persisted) {
            self.write_segment(id, segment)?;
        }
        Ok(segments)
    }

    fn write_segment(&mut self, id: AccountId, segment: AccountSegment) -> Result<(), Failure> {
        let AccountSegment { key, text } = segment;
        match (key, text) {
            (AccountSegmentKey::Instant(at), Some(body)) => self
                .upsert_activity_segment
                .execute(params![id.0, at.timestamp(), at.timestamp_subsec_nanos(), body]),
            (AccountSegmentKey::Instant(at), None) => self
                .delete_activity_segment
                .execute(params![id.0, at.timestamp(), at.timestamp_subsec_nanos()]),
            (AccountSegmentKey::Lot(lot), Some(body)) => {
                self.upsert_lot_segment.execute(params![id.0, lot.0, body])
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
        let mut writer = AccountWriter::new(&db).unwrap();
        for number in 0..40 {
            let (points, at) = (Points::from(1), Some(first + Duration::from_nanos(number)));
            record.account.evolve(&Event::PointsAdded {
                points,
                lot: None,
                reason: AdjustmentReason::default(),
                at,
            });
            record.seq += 1;
            let segments = writer.write(AccountId(7), &record).unwrap();
            *record.persisted_segments.lock() = segments;
            let read = read_account(&db, AccountId(7)).unwrap().unwrap();
            assert_eq!(read, record);
            assert_eq!(
                read.persisted_segments.lock().len(),
                record.persisted_segments.lock().len()
            );
        }

        let keys = "SELECT group_concat(first_second || ' ' || first_nanosecond, ', ')
            FROM activity_segment";
        let keys: String = db.query_row(keys, [], |row| row.get(0)).unwrap();
        assert_eq!(keys, "-1 999999980, -1 999999996");

        // A state that is no newer is not written, and the segments in the file stay.
        let persisted = writer
            .write(AccountId(7), &AccountRecord { account: Account::default(), ..record.clone() })
            .unwrap();
        assert_eq!(persisted.len(), 2);
        assert_eq!(read_account(&db, AccountId(7)).unwrap().unwrap(), record);
    }
}
