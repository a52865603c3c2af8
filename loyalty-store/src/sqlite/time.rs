//! What is due when, and which program was in force when.
//!
//! What is due next for an account stands in its row, behind an index by instant. An account that has not
//! reached its table stands among those that wait ([`Waiting`]); at start these are found from the journal
//! as all else is. What changes without a row of the journal (a birthday, a program) is written at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::{AccountId, Program, ProgramVersion, ShopId, Timestamp};
use rusqlite::{Connection, params};

use super::Map;
use super::rows::{self, damaged, each, micros, timestamp};
use super::shared::Shared;
use super::writer::loaded;
use crate::error::Failure;
use crate::query::DueAccount;
use crate::record::{AccountRecord, CustomerRecord};
use crate::timeline::{ProgramTimeline, PublishedProgram};

type Db = Connection;

/// Accounts that are newer in memory than in their table, and for which something is due.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Both>);

#[derive(Debug, Default)]
struct Both {
    by_instant: BTreeSet<DueAccount>,
    by_account: Map<AccountId, DueAccount>,
}

impl Waiting {
    fn both(&self) -> MutexGuard<'_, Both> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account is newer than its table.
    pub(super) fn put(&self, account: AccountId, record: &AccountRecord) {
        let mut both = self.both();
        both.remove(account);
        if let Some(at) = record.due {
            let due = DueAccount { at, account, shop: record.shop };
            both.by_account.insert(account, due);
            both.by_instant.insert(due);
        }
    }

    /// An account has reached its table.
    pub(super) fn remove(&self, account: AccountId) {
        self.both().remove(account);
    }

    pub(super) fn clear(&self) {
        *self.both() = Both::default();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.both().by_account.len()
    }

    fn due(&self, now: Timestamp, after: Option<DueAccount>, limit: usize) -> Vec<DueAccount> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let both = self.both();
        let due = both
            .by_instant
            .range((from, Bound::Unbounded))
            .take_while(|due| due.at <= now);
        due.take(limit).copied().collect()
    }
}

impl Both {
    fn remove(&mut self, account: AccountId) {
        if let Some(due) = self.by_account.remove(&account) {
            self.by_instant.remove(&due);
        }
    }
}

/// Accounts for which something is due: of those that wait, and of the table where they do not. Those that
/// wait are looked at first, so that one that reaches its table meanwhile is met there.
pub(super) fn due(
    shared: &Shared,
    now: Timestamp,
    after: Option<DueAccount>,
    limit: usize,
) -> Result<Vec<DueAccount>, Failure> {
    let mut found = shared.due.due(now, after, limit);
    let mut from = after;
    let mut fresh = 0_usize;
    while fresh < limit {
        let page = shared.read(|db| due_in_table(db, now, from, limit))?;
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

fn due_in_table(
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
        each(db, sql, values, |row| {
            let (at, account, shop) =
                (timestamp(row.get(0)?)?, AccountId(row.get(1)?), ShopId(row.get(2)?));
            found.push(DueAccount { at, account, shop });
            Ok(())
        })
    };
    let room = i64::try_from(limit).unwrap_or(i64::MAX);
    let (at, account) = after.map_or((i64::MIN, 0), |after| (micros(after.at), after.account.0));
    if at <= micros(now) {
        find(SAME, [at, account, room])?;
    }
    find(LATER, [at, micros(now), room])?;
    found.truncate(limit);
    Ok(found)
}

/// Changes what is due next for an account that may have reached its table. One that has not is found at
/// the next start from its journal.
pub(super) fn put_due(db: &Db, account: AccountId, due: Option<Timestamp>) -> Result<(), Failure> {
    let sql = "UPDATE account SET due = ? WHERE id = ?";
    db.prepare_cached(sql)?.execute(params![due.map(micros), account.0])?;
    Ok(())
}

/// Notes up to which account it was found anew what is due next.
pub(super) fn put_sweep(db: &Db, shop: ShopId, up_to: Option<AccountId>) -> Result<(), Failure> {
    let Some(up_to) = up_to else {
        db.prepare_cached("DELETE FROM sweep WHERE shop = ?")?
            .execute([shop.0])?;
        return Ok(());
    };
    let sql = "INSERT INTO sweep (shop, up_to) VALUES (?, ?) ON CONFLICT (shop) DO UPDATE SET up_to = excluded.up_to";
    db.prepare_cached(sql)?.execute([shop.0, up_to.0])?;
    Ok(())
}

pub(super) fn unsettled(db: &Db) -> Result<Vec<ShopId>, Failure> {
    let mut shops = Vec::new();
    each(db, "SELECT shop FROM sweep ORDER BY shop", [], |row| {
        shops.push(ShopId(row.get(0)?));
        Ok(())
    })?;
    Ok(shops)
}

/// The programs of a shop by time.
pub(super) fn history(db: &Db, id: ShopId) -> Result<Option<ProgramTimeline>, Failure> {
    let Some(shop) = rows::shops(db)?.into_iter().find(|shop| shop.id == id) else {
        return Ok(None);
    };
    let mut versions = Vec::new();
    each(
        db,
        "SELECT version, published_at FROM program WHERE shop = ? ORDER BY version",
        [id.0],
        |row| {
            versions.push((ProgramVersion(row.get(0)?), timestamp(row.get(1)?)?));
            Ok(())
        },
    )?;
    let Some((version, from)) = versions.last().copied() else {
        return Ok(None);
    };
    let program = version_of(db, id, version)?;
    let sweep = rows::one(db, "SELECT up_to FROM sweep WHERE shop = ?", [id.0], |row| {
        Ok(AccountId(row.get(0)?))
    })?;
    Ok(Some(ProgramTimeline::new(&shop, versions, PublishedProgram { version, program, in_force_from: from }, sweep)))
}

pub(super) fn version_of(
    db: &Db,
    shop: ShopId,
    version: ProgramVersion,
) -> Result<Arc<Program>, Failure> {
    let found = rows::program(db, shop, Some(version))?;
    found
        .map(|(_, program)| program)
        .ok_or_else(|| damaged("a program of shop", &shop))
}

/// The accounts of a shop's customers that are committed.
pub(super) fn accounts(
    db: &Db,
    shop: ShopId,
    after: AccountId,
    limit: usize,
) -> Result<Vec<AccountId>, Failure> {
    let sql = "SELECT account FROM customer INDEXED BY customer_of_shop
        WHERE shop = ? AND account > ? ORDER BY account LIMIT ?";
    let mut accounts = Vec::new();
    each(
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
pub(super) struct Restored {
    histories: Map<ShopId, Option<ProgramTimeline>>,
}

impl Restored {
    /// Whether it is known of all accounts of a shop what is due next.
    pub(super) fn is_settled(&mut self, db: &Db, shop: ShopId) -> Result<bool, Failure> {
        Ok(self
            .history(db, shop)?
            .is_some_and(|history| history.reschedule_cursor().is_none()))
    }

    fn history(&mut self, db: &Db, shop: ShopId) -> Result<Option<&ProgramTimeline>, Failure> {
        Ok(loaded(&mut self.histories, shop, || history(db, shop))?.as_ref())
    }

    pub(super) fn find_due(
        &mut self,
        db: &Db,
        id: AccountId,
        record: &mut AccountRecord,
    ) -> Result<(), Failure> {
        let shop = record.shop;
        let Some(history) = self.history(db, shop)? else { return Ok(()) };
        let customer: Option<CustomerRecord> = rows::customer(db, id)?;
        history.reschedule(id, record, customer.as_ref(), |version| version_of(db, shop, version))
    }
}
