//! What is due when, and which program was in force when.
//!
//! What is due next for an account stands in its row, behind an index by instant. An account that has not
//! reached its table stands among those that wait ([`DueIndex`]); at start these are found from the journal
//! as all else is. What changes without a row of the journal (a birthday, a program) is written at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::{AccountId, Program, ProgramVersion, ShopId, Timestamp};
use rusqlite::{Connection, params};

use super::Map;
use super::committed::CommittedState;
use super::rows::{self, corrupt, for_each_row, from_micros, to_micros};
use super::writer::load_once;
use crate::error::Failure;
use crate::query::DueAccount;
use crate::record::{AccountRecord, CustomerRecord};
use crate::timeline::{ProgramTimeline, PublishedProgram};

type Db = Connection;

/// Accounts that are newer in memory than in their table, and for which something is due.
#[derive(Debug, Default)]
pub(super) struct DueIndex(Mutex<DueEntries>);

#[derive(Debug, Default)]
struct DueEntries {
    by_instant: BTreeSet<DueAccount>,
    by_account: Map<AccountId, DueAccount>,
}

impl DueIndex {
    fn lock(&self) -> MutexGuard<'_, DueEntries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account is newer than its table.
    pub(super) fn update(&self, account: AccountId, record: &AccountRecord) {
        let mut both = self.lock();
        both.remove(account);
        if let Some(at) = record.due {
            let due = DueAccount { at, account, shop: record.shop };
            both.by_account.insert(account, due);
            both.by_instant.insert(due);
        }
    }

    /// An account has reached its table.
    pub(super) fn remove(&self, account: AccountId) {
        self.lock().remove(account);
    }

    pub(super) fn clear(&self) {
        *self.lock() = DueEntries::default();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().by_account.len()
    }

    fn find_due(&self, now: Timestamp, after: Option<DueAccount>, limit: usize) -> Vec<DueAccount> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let both = self.lock();
        let due = both
            .by_instant
            .range((from, Bound::Unbounded))
            .take_while(|due| due.at <= now);
        due.take(limit).copied().collect()
    }
}

impl DueEntries {
    fn remove(&mut self, account: AccountId) {
        if let Some(due) = self.by_account.remove(&account) {
            self.by_instant.remove(&due);
        }
    }
}

/// Accounts for which something is due: of those that wait, and of the table where they do not. Those that
/// wait are looked at first, so that one that reaches its table meanwhile is met there.
pub(super) fn find_due_accounts(
    shared: &CommittedState,
    now: Timestamp,
    after: Option<DueAccount>,
    limit: usize,
) -> Result<Vec<DueAccount>, Failure> {
    let mut found = shared.due_index.find_due(now, after, limit);
    let mut from = after;
    let mut fresh = 0_usize;
    while fresh < limit {
        let page = shared.with_reader(|db| read_due_accounts(db, now, from, limit))?;
        for due in &page {
            // A row that is older than memory says nothing.
            let newer = shared
                .accounts
                .get(&due.account)
                .is_some_and(|record| record.due != Some(due.at));
            if !newer {
                fresh = fresh.saturating_add(1);
                found.push(*due);
            }
        }
        if page.len() < limit {
            break;
        }
        from = page.last().copied();
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(limit);
    Ok(found)
}

fn read_due_accounts(
    db: &Db,
    now: Timestamp,
    after: Option<DueAccount>,
    limit: usize,
) -> Result<Vec<DueAccount>, Failure> {
    // Two ranges of the index. In one, everything at the first instant would be passed again for each page.
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
    let room = i64::try_from(limit).unwrap_or(i64::MAX);
    let (at, account) = after.map_or((i64::MIN, 0), |after| (to_micros(after.at), after.account.0));
    if at <= to_micros(now) {
        find(SAME, [at, account, room])?;
    }
    find(LATER, [at, to_micros(now), room])?;
    found.truncate(limit);
    Ok(found)
}

/// Changes what is due next for an account that may have reached its table. One that has not is found at
/// the next start from its journal.
pub(super) fn write_due(
    db: &Db,
    account: AccountId,
    due: Option<Timestamp>,
) -> Result<(), Failure> {
    let sql = "UPDATE account SET due = ? WHERE id = ?";
    db.prepare_cached(sql)?
        .execute(params![due.map(to_micros), account.0])?;
    Ok(())
}

/// Notes up to which account it was found anew what is due next.
pub(super) fn write_reschedule_cursor(
    db: &Db,
    shop: ShopId,
    up_to: Option<AccountId>,
) -> Result<(), Failure> {
    let Some(up_to) = up_to else {
        db.prepare_cached("DELETE FROM sweep WHERE shop = ?")?
            .execute([shop.0])?;
        return Ok(());
    };
    let sql = "INSERT INTO sweep (shop, up_to) VALUES (?, ?) ON CONFLICT (shop) DO UPDATE SET up_to = excluded.up_to";
    db.prepare_cached(sql)?.execute([shop.0, up_to.0])?;
    Ok(())
}

pub(super) fn read_shops_to_reschedule(db: &Db) -> Result<Vec<ShopId>, Failure> {
    let mut shops = Vec::new();
    for_each_row(db, "SELECT shop FROM sweep ORDER BY shop", [], |row| {
        shops.push(ShopId(row.get(0)?));
        Ok(())
    })?;
    Ok(shops)
}

/// The programs of a shop by time.
pub(super) fn read_timeline(db: &Db, id: ShopId) -> Result<Option<ProgramTimeline>, Failure> {
    let Some(shop) = rows::read_shops(db)?.into_iter().find(|shop| shop.id == id) else {
        return Ok(None);
    };
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
    let Some((version, from)) = versions.last().copied() else {
        return Ok(None);
    };
    let program = read_program_version(db, id, version)?;
    let sweep = rows::query_one(db, "SELECT up_to FROM sweep WHERE shop = ?", [id.0], |row| {
        Ok(AccountId(row.get(0)?))
    })?;
    Ok(Some(ProgramTimeline::new(
        &shop,
        versions,
        PublishedProgram { version, program, in_force_from: from },
        sweep,
    )))
}

pub(super) fn read_program_version(
    db: &Db,
    shop: ShopId,
    version: ProgramVersion,
) -> Result<Arc<Program>, Failure> {
    let found = rows::read_program(db, shop, Some(version))?;
    found
        .map(|(_, program)| program)
        .ok_or_else(|| corrupt("a program of shop", &shop))
}

/// The accounts of a shop's customers that are committed.
pub(super) fn read_account_ids(
    db: &Db,
    shop: ShopId,
    after: AccountId,
    limit: usize,
) -> Result<Vec<AccountId>, Failure> {
    let sql = "SELECT account FROM customer INDEXED BY customer_of_shop
        WHERE shop = ? AND account > ? ORDER BY account LIMIT ?";
    let mut accounts = Vec::new();
    for_each_row(
        db,
        sql,
        params![shop.0, after.0, i64::try_from(limit).unwrap_or(i64::MAX)],
        |row| {
            accounts.push(AccountId(row.get(0)?));
            Ok(())
        },
    )?;
    Ok(accounts)
}

/// What is due next for accounts, found anew shop by shop: of those that were folded at start, and for the proof.
#[derive(Default)]
pub(super) struct Rescheduler {
    timelines: Map<ShopId, Option<ProgramTimeline>>,
}

impl Rescheduler {
    /// Whether it is known of all accounts of a shop what is due next.
    pub(super) fn is_due_current(&mut self, db: &Db, shop: ShopId) -> Result<bool, Failure> {
        Ok(self
            .timeline(db, shop)?
            .is_some_and(|history| history.reschedule_cursor().is_none()))
    }

    fn timeline(&mut self, db: &Db, shop: ShopId) -> Result<Option<&ProgramTimeline>, Failure> {
        Ok(load_once(&mut self.timelines, shop, || read_timeline(db, shop))?.as_ref())
    }

    pub(super) fn reschedule(
        &mut self,
        db: &Db,
        id: AccountId,
        record: &mut AccountRecord,
    ) -> Result<(), Failure> {
        let shop = record.shop;
        let Some(history) = self.timeline(db, shop)? else { return Ok(()) };
        let customer: Option<CustomerRecord> = rows::read_customer(db, id)?;
        history.reschedule(id, record, customer.as_ref(), |version| {
            read_program_version(db, shop, version)
        })
    }
}
