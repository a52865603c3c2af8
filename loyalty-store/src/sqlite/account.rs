//! Accounts and their chapters, as rows.
//!
//! What an account did long ago is in rows of its own, which are written once: so a customer of ten thousand orders
//! costs what one of ten does. The account's row says how many they are, so that none can be lost unnoticed.

use loyalty_core::account::Past;
use loyalty_core::{AccountId, ShopId, Timestamp};
use rusqlite::{CachedStatement, Connection, Row, params};

use super::rows::{damaged, from_json, micros, timestamp, to_json};
use crate::error::Failure;
use crate::record::{AccountRecord, Filed};

const WITH_CHAPTERS: &str = "SELECT account.id, shop, seq, at, state, due, chapters, second, nanosecond, instants
    FROM account LEFT JOIN chapter ON chapter.account = account.id";

pub(super) fn account(db: &Connection, id: AccountId) -> Result<Option<AccountRecord>, Failure> {
    let sql = format!("{WITH_CHAPTERS} WHERE account.id = ? ORDER BY second, nanosecond");
    let mut found = None;
    read(db, &sql, [id.0], |_, record| found = Some(record))?;
    Ok(found)
}

/// Every account. Answers how many chapters there are that no account has.
pub(super) fn each_account(
    db: &Connection,
    mut visit: impl FnMut(AccountId, AccountRecord),
) -> Result<i64, Failure> {
    let sql = format!("{WITH_CHAPTERS} ORDER BY account.id, second, nanosecond");
    read(db, &sql, [], &mut visit)?;
    let strays = "SELECT count(*) FROM chapter WHERE account NOT IN (SELECT id FROM account)";
    Ok(db.query_row(strays, [], |row| row.get(0))?)
}

/// Rows of accounts, each with its chapters in their order.
fn read(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    mut visit: impl FnMut(AccountId, AccountRecord),
) -> Result<(), Failure> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut reading: Option<Reading> = None;
    while let Some(row) = rows.next()? {
        let id = AccountId(row.get(0)?);
        let mut next = match reading.take() {
            Some(same) if same.id == id => same,
            before => {
                if let Some(before) = before {
                    visit(before.id, before.done()?);
                }
                Reading::begin(id, row)?
            }
        };
        next.add_chapter(row)?;
        reading = Some(next);
    }
    if let Some(last) = reading {
        visit(last.id, last.done()?);
    }
    Ok(())
}

/// An account of which some rows are read.
struct Reading {
    id: AccountId,
    record: AccountRecord,
    past: Past,
    chapters: i64,
}

impl Reading {
    fn begin(id: AccountId, row: &Row<'_>) -> Result<Self, Failure> {
        let record = AccountRecord {
            shop: ShopId(row.get(1)?),
            seq: row.get(2)?,
            at: timestamp(row.get(3)?)?,
            account: from_json(row.get_ref(4)?.as_str().map_err(|error| damaged("an account", &error))?)?,
            due: row.get::<_, Option<i64>>(5)?.map(timestamp).transpose()?,
            filed: Filed::default(),
        };
        Ok(Self { id, record, past: Past::default(), chapters: row.get(6)? })
    }

    fn add_chapter(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let Some(second) = row.get::<_, Option<i64>>(7)? else { return Ok(()) };
        let first = Timestamp::from_timestamp(second, row.get(8)?);
        let text = row.get_ref(9)?.as_str().ok();
        if first.zip(text).is_some_and(|(first, text)| self.past.push(first, text)) {
            return Ok(());
        }
        Err(damaged("a chapter of account", &self.id))
    }

    fn done(self) -> Result<AccountRecord, Failure> {
        let Self { id, record, past, chapters } = self;
        let account = record.account.with_past(&past).filter(|_| i64::try_from(past.len()) == Ok(chapters));
        let account = account.ok_or_else(|| damaged("the chapters of account", &id))?;
        Ok(AccountRecord { account, filed: Filed::new(past), ..record })
    }
}

/// Writes accounts.
pub(super) struct Put<'db> {
    account: CachedStatement<'db>,
    chapter: CachedStatement<'db>,
    no_chapter: CachedStatement<'db>,
}

impl<'db> Put<'db> {
    pub(super) fn new(db: &'db Connection) -> Result<Self, Failure> {
        let account = "INSERT INTO account (id, shop, seq, at, state, due, chapters) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, at = excluded.at, state = excluded.state,
                due = excluded.due, chapters = excluded.chapters
            WHERE excluded.seq > seq";
        let chapter = "INSERT INTO chapter (account, second, nanosecond, instants) VALUES (?, ?, ?, ?)
            ON CONFLICT (account, second, nanosecond) DO UPDATE SET instants = excluded.instants";
        let no_chapter = "DELETE FROM chapter WHERE account = ? AND second = ? AND nanosecond = ?";
        let [account, chapter, no_chapter] = [account, chapter, no_chapter].map(|sql| db.prepare_cached(sql));
        Ok(Self { account: account?, chapter: chapter?, no_chapter: no_chapter? })
    }

    /// A state never steps back, whoever writes it. Answers what then stands in the file of the account's past, once
    /// this is committed.
    pub(super) fn put(&mut self, id: AccountId, record: &AccountRecord) -> Result<Past, Failure> {
        let (newest, past) = record.account.apart();
        let (state, due) = (to_json(&newest)?, record.due.map(micros));
        let chapters = i64::try_from(past.len()).unwrap_or(i64::MAX);
        let values = params![id.0, record.shop.0, record.seq, micros(record.at), state, due, chapters];
        let filed = record.filed.past();
        if self.account.execute(values)? == 0 {
            return Ok(filed.clone());
        }
        for chapter in past.chapters_since(&filed) {
            let (second, nanosecond) = (chapter.first.timestamp(), chapter.first.timestamp_subsec_nanos());
            match chapter.text {
                Some(text) => self.chapter.execute(params![id.0, second, nanosecond, text])?,
                None => self.no_chapter.execute(params![id.0, second, nanosecond])?,
            };
        }
        Ok(past)
    }
}
