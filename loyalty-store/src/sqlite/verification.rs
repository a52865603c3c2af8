//! Verification of a file in bounded memory.
//!
//! The journal is folded in parts, each with the states that it is about:
//!
//! - **Accounts by ranges of their numbers**, with the orders that belong to them. The positions of
//!   their rows are noted in one scan of the journal, which decodes no events.
//! - **Rows without an account by ranges of the journal**, with the orders of nobody.
//! - **Projections by a hash of their keys**: a few parts, or one where there are not many.
//!
//! Most orders have all their rows in one part. A row about an order of another part is noted, and
//! that part's orders are folded again with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use loyalty_core::{AccountId, Event, OrderId, ShopId};
use rusqlite::Connection;

use super::tables::{
    account, checkpoint, code_claim, day_totals, destination, discount_index, journal, order,
    projection, query, shop,
};
use crate::day_totals::Zones;
use crate::engine::Rescheduler;
use crate::error::Failure;
use crate::projections::{self, Projection, ProjectionKey};
use crate::query::VerificationReport;
use crate::record::{AccountRecord, JournalRow, Seq};
use crate::transact::CodeClaim;
use crate::verify::{DayVerifier, IndexVerifier, PartVerifier};

// The sizes of parts, in debug builds so small that every test has several.

/// The accounts of a part.
const ACCOUNTS: i64 = if cfg!(debug_assertions) { 3 } else { 8_192 };

/// The journal positions of a part without accounts.
const POSITIONS: i64 = if cfg!(debug_assertions) { 16 } else { 32_768 };

/// The projections of a part.
const PROJECTIONS: u64 = if cfg!(debug_assertions) { 4 } else { 32_768 };

/// The positions that are noted at a time. More need another scan of the journal.
const MAX_NOTED: usize = if cfg!(debug_assertions) { 64 } else { 4_000_000 };

type OrderKey = (ShopId, OrderId);

/// A part of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Rows of accounts with these numbers, divided by [`ACCOUNTS`].
    Accounts(i64),
    /// Rows without an account at these positions, divided by [`POSITIONS`].
    Unowned(i64),
}

impl Part {
    fn of(account: Option<AccountId>, seq: Seq) -> Self {
        match account {
            Some(AccountId(account)) => Self::Accounts(account.div_euclid(ACCOUNTS)),
            None => Self::Unowned(seq.div_euclid(POSITIONS)),
        }
    }
}

/// Verifies all states of a file.
pub(super) fn verify(db: &Connection) -> Result<VerificationReport, Failure> {
    let persisted_up_to = checkpoint::read_checkpoint(db)?.seq;
    let mut verification = Verification {
        db,
        persisted_up_to,
        report: VerificationReport::default(),
        orders: BTreeMap::new(),
        stored_orders: 0,
        strays: BTreeSet::new(),
        projection_rows: Vec::new(),
        projection_parts: projection_parts(db)?,
        claims: HashMap::new(),
        rescheduler: Rescheduler::default(),
        days: DayVerifier::default(),
        zones: Zones::default(),
    };

    verification.load_days()?;
    let parts = verification.count_rows()?;
    verification.verify_parts(&parts)?;
    verification.verify_strays()?;
    verification.verify_projections()?;
    verification.verify_completeness()?;
    verification.days.finish(&mut verification.report);
    Ok(verification.report)
}

struct Verification<'db> {
    db: &'db Connection,
    persisted_up_to: Seq,
    report: VerificationReport,
    /// The orders of each part, and what is wrong with them.
    orders: BTreeMap<Part, (u64, Vec<String>)>,
    /// The stored orders that the journal is about.
    stored_orders: u64,
    /// Rows about orders of another part: that part, and the row.
    strays: BTreeSet<(Part, Seq)>,
    /// Rows about projections, with their part.
    projection_rows: Vec<(u64, Seq)>,
    projection_parts: u64,
    /// The first row that claims a code, with its account.
    claims: HashMap<(ShopId, CodeClaim), (Seq, AccountId)>,
    rescheduler: Rescheduler,
    days: DayVerifier,
    zones: Zones,
}

fn projection_parts(db: &Connection) -> Result<u64, Failure> {
    let count = query::count_rows(db, "SELECT count(*) FROM projection", [])?;
    Ok(count.div_ceil(PROJECTIONS).max(1))
}

impl Verification<'_> {
    fn load_days(&mut self) -> Result<(), Failure> {
        let (mut stored, report) = (HashMap::new(), &mut self.report);
        day_totals::for_each_day(self.db, |key, sums| match sums {
            Ok(sums) => drop(stored.insert(key, sums)),
            Err(failure) => {
                let (shop, day) = key;
                report.add_difference(format!("the sums of {day} of shop {shop}: {failure}"));
            }
        })?;
        self.days = DayVerifier::new(stored, self.persisted_up_to);
        Ok(())
    }

    /// Checks that positions are consecutive. Returns the parts, with their numbers of rows.
    fn count_rows(&mut self) -> Result<BTreeMap<Part, usize>, Failure> {
        let mut parts = BTreeMap::<Part, usize>::new();
        let (report, mut next) = (&mut self.report, 1);
        journal::for_each_position(self.db, |seq, account| {
            if seq != next {
                report.add_difference(format!("journal row {next} is missing before row {seq}"));
            }
            next = seq.saturating_add(1);
            report.rows = report.rows.saturating_add(1);
            let rows = parts.entry(Part::of(account, seq)).or_default();
            *rows = rows.saturating_add(1);
        })?;

        // Also accounts that no row is about.
        account::for_each_account_id(self.db, |id| {
            parts.entry(Part::of(Some(id), 0)).or_default();
        })?;

        if let Some(block) = journal::find_wrong_block(self.db)? {
            self.report.add_difference(format!(
                "the shops that are listed for block {block} of the journal are not those of its rows"
            ));
        }

        let last = journal::read_journal_row(self.db, next.saturating_sub(1))?;
        self.report.newest = last.map(|row| row.at);
        Ok(parts)
    }

    /// Verifies accounts and orders, as many parts at a time as positions can be noted.
    fn verify_parts(&mut self, parts: &BTreeMap<Part, usize>) -> Result<(), Failure> {
        let mut rest = parts.iter().peekable();
        while rest.peek().is_some() {
            let (mut together, mut noted) = (BTreeMap::new(), 0_usize);
            while let Some((part, rows)) = rest.peek()
                && (together.is_empty() || noted.saturating_add(**rows) <= MAX_NOTED)
            {
                together.insert(**part, Vec::with_capacity(**rows));
                noted = noted.saturating_add(**rows);
                rest.next();
            }

            journal::for_each_position(self.db, |seq, account| {
                if let Some(positions) = together.get_mut(&Part::of(account, seq)) {
                    positions.push(seq);
                }
            })?;
            for (part, positions) in together {
                self.verify_part(part, &positions)?;
            }
        }
        Ok(())
    }

    fn verify_part(&mut self, part: Part, positions: &[Seq]) -> Result<(), Failure> {
        let mut verifier = PartVerifier::new(self.persisted_up_to);
        if let Part::Accounts(number) = part {
            let from = number.saturating_mul(ACCOUNTS);
            let range = AccountId(from)..AccountId(from.saturating_add(ACCOUNTS));
            account::for_each_account(self.db, range, |id, record| {
                verifier.add_stored_account(id, record);
            })?;
        }

        let mut homes = HashMap::new();
        for seq in positions {
            let Some(row) = journal::read_journal_row(self.db, *seq)? else {
                continue;
            };
            let events = u64::try_from(row.events.len()).unwrap_or(u64::MAX);
            self.report.events = self.report.events.saturating_add(events);
            verifier.fold_account(&row);
            self.note_claims_and_projections(&row);
            let zone = |shop| Ok(shop::read_shop(self.db, shop)?.map(|shop| shop.zone));
            self.days.add(&row, self.zones.days_of(&row, zone)?);

            for home in self.find_homes(&row, part, &mut homes, &mut verifier)? {
                self.strays.insert((home, row.seq));
            }
            verifier.fold_orders(&row, |key| homes.get(key) == Some(&part));
        }

        let rescheduler = &mut self.rescheduler;
        self.report.accounts = self.report.accounts.saturating_add(verifier.account_count());
        verifier.finish_accounts(&mut self.report, |id, record: &mut AccountRecord| {
            if rescheduler.is_due_current(self.db, record.shop)? {
                rescheduler.reschedule(self.db, id, record)
            } else {
                Ok(())
            }
        })?;
        self.orders.insert(part, verifier.finish_orders());
        Ok(())
    }

    /// Finds out to which part each order of a row belongs, and loads those of this part. An order
    /// that is not stored belongs to where its rows are. Returns the other parts.
    fn find_homes(
        &mut self,
        row: &JournalRow,
        part: Part,
        homes: &mut HashMap<OrderKey, Part>,
        verifier: &mut PartVerifier,
    ) -> Result<Vec<Part>, Failure> {
        let mut others = Vec::new();
        for id in row.events.iter().filter_map(Event::order) {
            let key = (row.shop, id.clone());
            let home = if let Some(home) = homes.get(&key) {
                *home
            } else {
                let stored = order::read_order_as_stored(self.db, row.shop, id)?;
                let stored = stored.map(|(stored, is_listed)| {
                    if !is_listed {
                        let shop = row.shop;
                        let text =
                            format!("order {id} of shop {shop} is listed with another status");
                        self.report.add_difference(text);
                    }
                    stored
                });
                let home = stored
                    .as_ref()
                    .map_or(part, |stored| Part::of(stored.account, stored.seq));
                if home == part {
                    self.stored_orders =
                        self.stored_orders.saturating_add(u64::from(stored.is_some()));
                    verifier.add_stored_order(key.clone(), stored);
                }
                homes.insert(key, home);
                home
            };
            if home != part {
                others.push(home);
            }
        }
        Ok(others)
    }

    fn note_claims_and_projections(&mut self, row: &JournalRow) {
        if let Some(account) = row.account {
            for claim in row.events.iter().filter_map(CodeClaim::from_event) {
                // A manual code that every customer may enter belongs to the first.
                let first = (row.seq, account);
                let known = self.claims.entry((row.shop, claim)).or_insert(first);
                *known = first.min(*known);
            }
        }
        for key in projections::affected_keys(row) {
            let part = part_of(&(row.shop, key), self.projection_parts);
            if self.projection_rows.last() != Some(&(part, row.seq)) {
                self.projection_rows.push((part, row.seq));
            }
        }
    }

    /// Folds the orders of parts that have rows elsewhere again, with all their rows.
    fn verify_strays(&mut self) -> Result<(), Failure> {
        let strays = std::mem::take(&mut self.strays);
        let mut by_part = BTreeMap::<Part, BTreeSet<Seq>>::new();
        for (part, seq) in strays {
            by_part.entry(part).or_default().insert(seq);
        }

        for (part, mut positions) in by_part {
            journal::for_each_position(self.db, |seq, account| {
                if Part::of(account, seq) == part {
                    positions.insert(seq);
                }
            })?;
            let mut verifier = PartVerifier::new(self.persisted_up_to);
            let (mut homes, stored_orders) = (HashMap::new(), self.stored_orders);
            for seq in positions {
                let Some(row) = journal::read_journal_row(self.db, seq)? else {
                    continue;
                };
                self.find_homes(&row, part, &mut homes, &mut verifier)?;
                verifier.fold_orders(&row, |key| homes.get(key) == Some(&part));
            }

            // Those that have no row in their own part are counted now only.
            let (count, differences) = verifier.finish_orders();
            let known = self.orders.get(&part).map_or(0, |(known, _)| *known);
            let new = count.saturating_sub(known);
            self.stored_orders = stored_orders.saturating_add(new);
            self.orders.insert(part, (count, differences));
        }
        Ok(())
    }

    fn check_listed(
        &mut self,
        (shop, key): &(ShopId, ProjectionKey),
        stored: Option<&Projection>,
    ) -> Result<(), Failure> {
        if let Some(record) = stored
            && !projection::is_listed(self.db, *shop, key, record)?
        {
            let text = format!("{key:?} of shop {shop} is listed with another status");
            self.report.add_difference(text);
        }
        Ok(())
    }

    fn verify_projections(&mut self) -> Result<(), Failure> {
        let mut rows = std::mem::take(&mut self.projection_rows);
        rows.sort_unstable();
        rows.dedup();

        let (mut index, mut stored_count, parts) =
            (IndexVerifier::default(), 0_u64, self.projection_parts);
        for part in rows.chunk_by(|(one, _), (other, _)| one == other) {
            let mut verifier = PartVerifier::new(self.persisted_up_to);
            for (number, seq) in part {
                let Some(row) = journal::read_journal_row(self.db, *seq)? else {
                    continue;
                };
                for key in projections::affected_keys(&row) {
                    let entry = (row.shop, key);
                    if part_of(&entry, parts) == *number && !verifier.has_projection(&entry) {
                        let stored = projection::read_projection(self.db, entry.0, &entry.1)?;
                        stored_count = stored_count.saturating_add(u64::from(stored.is_some()));
                        self.check_listed(&entry, stored.as_ref())?;
                        verifier.add_stored_projection(entry, stored);
                    }
                }
                verifier
                    .fold_projections(&row, &mut index, |entry| part_of(entry, parts) == *number);
            }
            let count = verifier.finish_projections(&mut self.report);
            self.report.projections = self.report.projections.saturating_add(count);
        }

        let claims = std::mem::take(&mut self.claims);
        let claims = claims.into_iter().map(|(key, (_, account))| (key, account)).collect();
        let mut stored_claims = HashMap::new();
        code_claim::for_each_code_claim(self.db, |claim, account| {
            stored_claims.insert(claim, account);
        })?;
        let stored_index = discount_index::read_index(self.db)?;
        index.finish((&stored_index, &stored_claims), &claims, &mut self.report);

        if query::count_rows(self.db, "SELECT count(*) FROM projection", [])? != stored_count {
            self.find_projections_without_journal()?;
        }
        Ok(())
    }

    /// Looks for states that no row is about, where there are more than were found by rows.
    fn verify_completeness(&mut self) -> Result<(), Failure> {
        for (_, (count, differences)) in std::mem::take(&mut self.orders) {
            self.report.orders = self.report.orders.saturating_add(count);
            for difference in differences {
                self.report.add_difference(difference);
            }
        }

        let stored = query::count_rows(self.db, "SELECT count(*) FROM orders", [])?;
        if stored != self.stored_orders {
            let (db, report) = (self.db, &mut self.report);
            order::for_each_order_position(db, |shop, id, seq| {
                let row = journal::read_journal_row(db, seq)?.filter(|row| row.shop == shop);
                let mut orders =
                    row.iter().flat_map(|row| row.events.iter().filter_map(Event::order));
                if !orders.any(|found| *found == id) {
                    report.add_difference(format!("order {id} of shop {shop} has no journal"));
                }
                Ok(())
            })?;
        }

        let (db, report) = (self.db, &mut self.report);
        let orphans = account::count_orphan_segments(db)?;
        if orphans > 0 {
            let text = format!("{orphans} segments belong to accounts that do not exist");
            report.add_difference(text);
        }
        for difference in destination::find_differences(db)? {
            report.add_difference(difference);
        }
        Ok(())
    }

    fn find_projections_without_journal(&mut self) -> Result<(), Failure> {
        let (db, report) = (self.db, &mut self.report);
        projection::for_each_projection(db, |(shop, key), record| {
            let row = journal::read_journal_row(db, record.seq).ok().flatten();
            let row = row.filter(|row| row.shop == shop);
            if row.is_none_or(|row| !projections::affected_keys(&row).contains(&key)) {
                report.add_difference(format!("{key:?} of shop {shop} has no journal"));
            }
        })
    }
}

/// Returns the part of a key, of so many. The same in each run, since rows are noted by it.
fn part_of(key: &impl std::hash::Hash, parts: u64) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default()
        .hash_one(key)
        .checked_rem(parts)
        .unwrap_or(0)
}
