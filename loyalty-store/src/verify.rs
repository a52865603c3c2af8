//! Verification: folds the journal from its start and compares every stored state with
//! the fold.

use std::collections::HashMap;

use chrono::NaiveDate;
use loyalty_core::{AccountId, Event, OrderId, Points, ShopId, Timestamp, Zone};

use crate::day_totals::{DayTotals, PeriodTotals, days_of};
use crate::discount::code_state;
use crate::discount::index::{DiscountIndex, IndexChange};
use crate::error::Failure;
use crate::projections::{self, Projection, ProjectionKey};
use crate::query::VerificationReport;
use crate::record::{AccountRecord, JournalRow, OrderRecord, Seq};
use crate::transact::CodeClaim;

/// All stored states of a store in memory.
#[derive(Debug, Default)]
pub(crate) struct StoredStates {
    pub(crate) accounts: HashMap<AccountId, AccountRecord>,
    pub(crate) orders: HashMap<(ShopId, OrderId), OrderRecord>,
    pub(crate) projections: HashMap<(ShopId, ProjectionKey), Projection>,
    pub(crate) days: HashMap<(ShopId, NaiveDate), DayTotals>,
    pub(crate) zones: HashMap<ShopId, Zone>,
    pub(crate) index: DiscountIndex,
    /// The account of each claimed code.
    pub(crate) claims: HashMap<(ShopId, CodeClaim), AccountId>,
}

/// A fold of some rows of the journal that checks each state at the row that it is of.
///
/// All rows of a state must be folded in order, together with the stored state.
#[derive(Default)]
pub(crate) struct PartVerifier {
    stored_accounts: HashMap<AccountId, AccountRecord>,
    unreadable: Vec<String>,
    stored_orders: HashMap<(ShopId, OrderId), OrderRecord>,
    stored_projections: HashMap<(ShopId, ProjectionKey), Projection>,
    persisted_up_to: Seq,
    accounts: HashMap<AccountId, (StateCheck<AccountRecord>, Points)>,
    orders: HashMap<(ShopId, OrderId), StateCheck<OrderRecord>>,
    projections: HashMap<(ShopId, ProjectionKey), StateCheck<Projection>>,
    /// What is wrong with accounts and projections.
    report: VerificationReport,
    /// What is wrong with orders.
    order_report: VerificationReport,
}

/// The index of rules and codes as the journal has it.
#[derive(Default)]
pub(crate) struct IndexVerifier {
    changes: Vec<(Seq, ShopId, IndexChange)>,
}

/// The sums of days as the journal has them. Rows come in any order. Keeps some hundred bytes for
/// each day of each shop.
#[derive(Default)]
pub(crate) struct DayVerifier {
    stored: HashMap<(ShopId, NaiveDate), DayTotals>,
    persisted_up_to: Seq,
    days: HashMap<(ShopId, NaiveDate), DayCheck>,
}

/// A day folded so far.
#[derive(Default)]
struct DayCheck {
    /// Of the rows that the stored sums include.
    folded: DayTotals,
    /// The last row that the stored sums must include.
    required_seq: Seq,
}

impl DayVerifier {
    /// A verifier of sums that must be stored up to a row.
    pub(crate) fn new(
        stored: HashMap<(ShopId, NaiveDate), DayTotals>,
        persisted_up_to: Seq,
    ) -> Self {
        Self { stored, persisted_up_to, days: HashMap::new() }
    }

    /// Adds what a row has of each day.
    pub(crate) fn add(&mut self, row: &JournalRow, days: Vec<(NaiveDate, PeriodTotals)>) {
        for (day, totals) in days {
            let key = (row.shop, day);
            let included = self.stored.get(&key).map_or(0, |sums| sums.last);
            let DayCheck { folded, required_seq } = self.days.entry(key).or_default();
            if row.seq <= self.persisted_up_to {
                *required_seq = row.seq.max(*required_seq);
            }
            if row.seq <= included {
                let first = if folded.first == 0 { row.seq } else { folded.first.min(row.seq) };
                (folded.first, folded.last) = (first, folded.last.max(row.seq));
                folded.totals.add(&totals);
            }
        }
    }

    pub(crate) fn finish(self, report: &mut VerificationReport) {
        for (key, sums) in &self.stored {
            let folded = self.days.get(key).map(|check| &check.folded);
            if folded.is_none_or(|folded| folded != sums) {
                let (shop, day) = key;
                report.add_difference(format!(
                    "the sums of {day} of shop {shop} differ from the journal at row {}",
                    sums.last
                ));
            }
        }
        for (key, check) in &self.days {
            let last = self.stored.get(key).map_or(0, |sums| sums.last);
            if last < check.required_seq {
                let (shop, day) = key;
                let required = check.required_seq;
                report.add_difference(format!(
                    "the sums of {day} of shop {shop} are at row {last}, their journal at {required}"
                ));
            }
        }
    }
}

/// A state folded so far, and the stored state.
struct StateCheck<T> {
    record: T,
    stored: Option<T>,
    /// The last row that the stored state must include.
    required_seq: Seq,
    /// True once the fold has reached the row of the stored state.
    is_compared: bool,
}

impl PartVerifier {
    /// A verifier of states that must be stored up to a row.
    pub(crate) fn new(persisted_up_to: Seq) -> Self {
        Self { persisted_up_to, ..Self::default() }
    }

    /// Adds a stored account, or what is damaged of it.
    pub(crate) fn add_stored_account(
        &mut self,
        id: AccountId,
        record: Result<AccountRecord, String>,
    ) {
        match record {
            Ok(record) => {
                self.stored_accounts.insert(id, record);
            }
            Err(what) => self.unreadable.push(what),
        }
    }

    pub(crate) fn add_stored_order(&mut self, key: (ShopId, OrderId), record: Option<OrderRecord>) {
        self.stored_orders.extend(record.map(|record| (key, record)));
    }

    pub(crate) fn add_stored_projection(
        &mut self,
        key: (ShopId, ProjectionKey),
        record: Option<Projection>,
    ) {
        self.stored_projections.extend(record.map(|record| (key, record)));
    }

    /// Returns true if rows about a projection were folded.
    pub(crate) fn has_projection(&self, key: &(ShopId, ProjectionKey)) -> bool {
        self.projections.contains_key(key)
    }

    pub(crate) fn account_count(&self) -> u64 {
        count(self.accounts.len())
    }

    /// Folds a row into its account.
    pub(crate) fn fold_account(&mut self, row: &JournalRow) {
        let Some(id) = row.account else { return };
        let Self { stored_accounts, accounts, report, persisted_up_to, .. } = self;
        let (check, sum) = accounts.entry(id).or_insert_with(|| {
            let stored = stored_accounts.remove(&id);
            (StateCheck::new(AccountRecord::new(row.shop), stored), Points::ZERO)
        });
        let record = &mut check.record;

        // The row must continue the account's earlier rows.
        if record.shop != row.shop {
            report.add_difference(format!(
                "journal row {} moves account {id} to another shop",
                row.seq
            ));
        }
        if row.previous.unwrap_or(0) != record.seq {
            report.add_difference(format!(
                "journal row {} does not follow row {} of account {id}",
                row.seq, record.seq
            ));
        }
        if row.at < record.at {
            report.add_difference(format!(
                "journal row {} is earlier than row {} of account {id}",
                row.seq, record.seq
            ));
        }

        // Rows from before outgoing events were counted have no number.
        let sequence = record.next_sequence(&row.events);
        let is_uncounted = row.sequence.is_none() && record.outgoing == 0;
        if row.sequence != sequence && !is_uncounted {
            report.add_difference(format!(
                "the outgoing events of journal row {} of account {id} are numbered from {:?}, \
                 not from {sequence:?}",
                row.seq, row.sequence
            ));
        }

        record.fold(row);
        *sum = row
            .events
            .iter()
            .fold(*sum, |sum, event| sum.saturating_add(event.points()));

        // The lots, the totals and the sum of all events must give the same balance.
        let balance = record.account.balance(row.at);
        if balance != row.balance
            || !record.account.is_consistent()
            || record.account.totals().balance() != *sum
        {
            report.add_difference(format!(
                "after journal row {} the totals of account {id} do not add up",
                row.seq
            ));
        }

        if check.check_row(row.seq, *persisted_up_to) {
            report.add_difference(format!(
                "account {id} differs from its journal at row {}",
                row.seq
            ));
        }
    }

    /// Folds a row into those of its orders that are of this part.
    pub(crate) fn fold_orders(
        &mut self,
        row: &JournalRow,
        is_of_part: impl Fn(&(ShopId, OrderId)) -> bool,
    ) {
        let Self { stored_orders, orders, order_report, persisted_up_to, .. } = self;
        let keys = row.events.iter().filter_map(|event| {
            let key = (row.shop, event.order()?.clone());
            is_of_part(&key).then_some((key, event))
        });
        let keys: Vec<_> = keys.collect();
        for (key, event) in &keys {
            let check = orders.entry(key.clone()).or_insert_with_key(|key| {
                StateCheck::new(OrderRecord::new(key.1.clone()), stored_orders.remove(key))
            });
            check.record.fold(row, event);
        }

        // Compared after the whole row, as it is stored.
        for (key, _) in keys {
            let check = orders.get_mut(&key);
            if check.is_some_and(|check| check.check_row(row.seq, *persisted_up_to)) {
                let (shop, order) = key;
                order_report.add_difference(format!(
                    "order {order} of shop {shop} differs from its journal at row {}",
                    row.seq
                ));
            }
        }
    }

    /// Folds a row into those of its projections that are of this part, and notes how it changes
    /// the index.
    pub(crate) fn fold_projections(
        &mut self,
        row: &JournalRow,
        index: &mut IndexVerifier,
        is_of_part: impl Fn(&(ShopId, ProjectionKey)) -> bool,
    ) {
        let Self { stored_projections, projections, report, persisted_up_to, .. } = self;

        // The index needs each code's key from before the row.
        for event in row.events.iter() {
            let Event::Discount(event) = event else { continue };
            let mut is_of_other_part = false;
            let known = |code| {
                let key = (row.shop, ProjectionKey::Code(code));
                is_of_other_part = !is_of_part(&key);
                let state = code_state(&projections.get(&key)?.record)?;
                Some((state.rule()?, state.code()?.key().to_owned()))
            };
            let changes = IndexChange::from_event(event, known);
            if !is_of_other_part {
                index
                    .changes
                    .extend(changes.into_iter().map(|change| (row.seq, row.shop, change)));
            }
        }

        for key in projections::affected_keys(row) {
            let entry = (row.shop, key);
            if !is_of_part(&entry) {
                continue;
            }
            let check = projections.entry(entry.clone()).or_insert_with_key(|entry| {
                StateCheck::new(Projection::new(&entry.1), stored_projections.remove(entry))
            });
            check.record.fold(&entry.1, row);

            if check.check_row(row.seq, *persisted_up_to) {
                let (shop, key) = entry;
                report.add_difference(format!(
                    "{key:?} of shop {shop} differs from its journal at row {}",
                    row.seq
                ));
            }
        }
    }

    /// Checks the stored projections that the fold has not reached. Returns the number of
    /// projections.
    pub(crate) fn finish_projections(&mut self, report: &mut VerificationReport) -> u64 {
        let Self { stored_projections, projections, .. } = self;
        for ((shop, key), check) in projections.iter() {
            if let Some(seq) = check.misplaced_at() {
                let last = check.record.seq;
                self.report.add_difference(format!(
                    "{key:?} of shop {shop} is at row {seq}, its journal at {last}"
                ));
            }
        }
        for (shop, key) in stored_projections.keys() {
            self.report
                .add_difference(format!("{key:?} of shop {shop} has no journal"));
        }
        self.move_report(report);
        count(self.projections.len())
    }

    /// Checks the stored accounts that the fold has not reached.
    ///
    /// `reschedule` recomputes the due time of an account, or leaves it if it is not
    /// known.
    pub(crate) fn finish_accounts(
        &mut self,
        report_of_all: &mut VerificationReport,
        mut reschedule: impl FnMut(AccountId, &mut AccountRecord) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self { stored_accounts, unreadable, accounts, report, .. } = self;
        for (id, (check, _)) in accounts.iter() {
            let last = check.record.seq;
            if let Some(seq) = check.misplaced_at() {
                report
                    .add_difference(format!("account {id} is at row {seq}, its journal at {last}"));
            }

            // A state behind its journal gets its due time when the store is opened.
            let current = check.stored.as_ref().filter(|stored| stored.seq == last);
            let Some(listed) = current.map(|stored| stored.due) else { continue };
            let mut rescheduled = AccountRecord { due: listed, ..check.record.clone() };
            reschedule(*id, &mut rescheduled)?;

            // Stored times have microseconds.
            let micros = |due: Option<Timestamp>| due.map(|due| due.timestamp_micros());
            if micros(rescheduled.due) != micros(listed) {
                let name = |due: Option<Timestamp>| {
                    due.map_or_else(|| "never".to_owned(), |due| due.to_rfc3339())
                };
                let (listed, due) = (name(listed), name(rescheduled.due));
                report.add_difference(format!(
                    "account {id} is listed as due {listed}, but is due {due}"
                ));
            }
        }

        for description in unreadable.drain(..) {
            report.add_difference(description);
        }
        for id in stored_accounts.keys() {
            report.add_difference(format!("account {id} has no journal"));
        }
        self.move_report(report_of_all);
        Ok(())
    }

    /// Checks the stored orders that the fold has not reached. Returns the number of orders, and
    /// what is wrong with them.
    pub(crate) fn finish_orders(mut self) -> (u64, Vec<String>) {
        let Self { stored_orders, orders, order_report, .. } = &mut self;
        for ((shop, id), check) in orders.iter() {
            if let Some(seq) = check.misplaced_at() {
                let last = check.record.seq;
                order_report.add_difference(format!(
                    "order {id} of shop {shop} is at row {seq}, its journal at {last}"
                ));
            }
        }
        for (shop, id) in stored_orders.keys() {
            order_report.add_difference(format!("order {id} of shop {shop} has no journal"));
        }
        (count(self.orders.len()), self.order_report.differences)
    }

    fn move_report(&mut self, report: &mut VerificationReport) {
        for difference in self.report.differences.drain(..) {
            report.add_difference(difference);
        }
    }
}

impl IndexVerifier {
    /// Compares the stored index and claims with the journal's.
    pub(crate) fn finish(
        mut self,
        (stored_index, stored_claims): (&DiscountIndex, &HashMap<(ShopId, CodeClaim), AccountId>),
        claims: &HashMap<(ShopId, CodeClaim), AccountId>,
        report: &mut VerificationReport,
    ) {
        // Parts come one after the other, each in the order of its rows.
        self.changes.sort_by_key(|(seq, _, _)| *seq);
        let mut index = DiscountIndex::default();
        for (_, shop, change) in self.changes {
            index.apply(shop, change);
        }
        if index.rules != stored_index.rules || index.codes_by_key != stored_index.codes_by_key {
            report.add_difference(
                "the listed price rules and codes differ from the journal".to_owned(),
            );
        }
        if claims != stored_claims {
            report.add_difference("the claimed names differ from the journal".to_owned());
        }
    }
}

/// Verifies states that are all in memory, by all rows of their journal.
pub(crate) fn verify_in_memory<'a>(
    stored: StoredStates,
    rows: impl Iterator<Item = &'a JournalRow>,
    reschedule: impl FnMut(AccountId, &mut AccountRecord) -> Result<(), Failure>,
) -> Result<VerificationReport, Failure> {
    let mut verifier = PartVerifier {
        stored_accounts: stored.accounts,
        stored_orders: stored.orders,
        stored_projections: stored.projections,
        ..PartVerifier::new(Seq::MAX)
    };
    let (mut report, mut index) = (VerificationReport::default(), IndexVerifier::default());
    let mut claims = HashMap::new();
    let mut days = DayVerifier::new(stored.days, Seq::MAX);
    for row in rows {
        let zone = stored.zones.get(&row.shop);
        days.add(row, zone.map(|zone| days_of(row, *zone)).unwrap_or_default());
        report.rows = report.rows.saturating_add(1);
        report.newest = Some(row.at);
        report.events = report.events.saturating_add(count(row.events.len()));
        if let Some(account) = row.account {
            for claim in row.events.iter().filter_map(CodeClaim::from_event) {
                claims.entry((row.shop, claim)).or_insert(account);
            }
        }
        verifier.fold_account(row);
        verifier.fold_orders(row, |_| true);
        verifier.fold_projections(row, &mut index, |_| true);
    }

    days.finish(&mut report);
    report.projections = verifier.finish_projections(&mut report);
    index.finish((&stored.index, &stored.claims), &claims, &mut report);
    report.accounts = verifier.account_count();
    verifier.finish_accounts(&mut report, reschedule)?;
    let (orders, differences) = verifier.finish_orders();
    report.orders = orders;
    for difference in differences {
        report.add_difference(difference);
    }
    Ok(report)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl<T: FoldedState> StateCheck<T> {
    fn new(record: T, stored: Option<T>) -> Self {
        Self { record, stored, required_seq: 0, is_compared: false }
    }

    /// Records that a row was folded. Returns true if the stored state is of this row and
    /// differs from the fold.
    fn check_row(&mut self, row: Seq, persisted_up_to: Seq) -> bool {
        if row <= persisted_up_to {
            self.required_seq = row;
        }

        let stored = self.stored.as_ref().filter(|stored| stored.seq() == row);
        self.is_compared |= stored.is_some();
        stored.is_some_and(|stored| *stored != self.record)
    }

    /// Returns the row of a stored state that opening the store would not repair: one
    /// that is not a row of the record, or before the last row that must be persisted.
    fn misplaced_at(&self) -> Option<Seq> {
        let seq = self.stored.as_ref().map_or(0, T::seq);
        let is_misplaced = (self.stored.is_some() && !self.is_compared) || seq < self.required_seq;

        is_misplaced.then_some(seq)
    }
}

/// A state that is a fold of the journal up to a row.
trait FoldedState: PartialEq {
    fn seq(&self) -> Seq;
}

impl FoldedState for AccountRecord {
    fn seq(&self) -> Seq {
        self.seq
    }
}

impl FoldedState for Projection {
    fn seq(&self) -> Seq {
        self.seq
    }
}

impl FoldedState for OrderRecord {
    fn seq(&self) -> Seq {
        self.seq
    }
}
