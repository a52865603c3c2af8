//! Verification: folds the journal from its start and compares every stored state with
//! the fold.

use std::collections::HashMap;

use loyalty_core::{AccountId, Event, OrderId, Points, ShopId, Timestamp};

use crate::discount::code_state;
use crate::discount::index::{DiscountIndex, IndexChange};
use crate::error::Failure;
use crate::projections::{self, Projection, ProjectionKey};
use crate::query::VerificationReport;
use crate::record::{AccountRecord, JournalRow, OrderRecord, Seq};
use crate::transact::CodeClaim;

/// The stored states to compare with the fold.
#[derive(Debug, Default)]
pub(crate) struct StoredStates {
    pub(crate) accounts: HashMap<AccountId, AccountRecord>,
    /// Descriptions of accounts that cannot be read.
    pub(crate) unreadable: Vec<String>,
    /// The number of segments without an account.
    pub(crate) orphan_segments: i64,
    pub(crate) orders: HashMap<(ShopId, OrderId), OrderRecord>,
    pub(crate) projections: HashMap<(ShopId, ProjectionKey), Projection>,
    /// Written in the same transaction as the journal, so never behind it.
    pub(crate) index: DiscountIndex,
    /// The account of each claimed code. Written in the same transaction as the journal.
    pub(crate) claims: HashMap<(ShopId, CodeClaim), AccountId>,
    /// The row up to which every state must be written. After it a state may be behind
    /// the journal.
    pub(crate) persisted_up_to: Seq,
}

/// A fold of the journal that checks each row, and each stored state at the row it is of.
pub(crate) struct JournalVerifier {
    stored: StoredStates,
    accounts: HashMap<AccountId, (StateCheck<AccountRecord>, Points)>,
    orders: HashMap<(ShopId, OrderId), StateCheck<OrderRecord>>,
    projections: HashMap<(ShopId, ProjectionKey), StateCheck<Projection>>,
    index: DiscountIndex,
    claims: HashMap<(ShopId, CodeClaim), AccountId>,
    last: Seq,
    report: VerificationReport,
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

impl JournalVerifier {
    pub(crate) fn new(stored: StoredStates) -> Self {
        Self {
            stored,
            accounts: HashMap::new(),
            orders: HashMap::new(),
            projections: HashMap::new(),
            index: DiscountIndex::default(),
            claims: HashMap::new(),
            last: 0,
            report: VerificationReport::default(),
        }
    }

    /// Folds the next row of the journal. Positions are consecutive.
    pub(crate) fn fold_row(&mut self, row: &JournalRow) {
        self.report.rows = self.report.rows.saturating_add(1);
        self.report.newest = Some(row.at);
        self.report.events = self.report.events.saturating_add(count(row.events.len()));

        let next = self.last.saturating_add(1);
        if row.seq != next {
            self.report
                .add_difference(format!("journal row {next} is missing before row {}", row.seq));
        }
        self.last = row.seq;

        if let Some(account) = row.account {
            self.fold_account(account, row);
            for claim in row.events.iter().filter_map(CodeClaim::from_event) {
                // A manual code that every customer may enter belongs to the first.
                self.claims.entry((row.shop, claim)).or_insert(account);
            }
        }
        self.fold_orders(row);
        self.fold_projections(row);
    }

    fn fold_account(&mut self, id: AccountId, row: &JournalRow) {
        let Self { stored, accounts, report, .. } = self;
        let (check, sum) = accounts.entry(id).or_insert_with(|| {
            let stored = stored.accounts.remove(&id);
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

        if check.check_row(row.seq, stored.persisted_up_to) {
            report.add_difference(format!(
                "account {id} differs from its journal at row {}",
                row.seq
            ));
        }
    }

    fn fold_orders(&mut self, row: &JournalRow) {
        let Self { stored, orders, report, .. } = self;
        for event in row.events.iter() {
            let Some(order) = event.order() else { continue };
            let check = orders.entry((row.shop, order.clone())).or_insert_with_key(|key| {
                StateCheck::new(OrderRecord::new(key.1.clone()), stored.orders.remove(key))
            });
            check.record.fold(row, event);
        }

        // Compared after the whole row, as it is stored.
        for order in row.events.iter().filter_map(Event::order) {
            let check = orders.get_mut(&(row.shop, order.clone()));
            if check.is_some_and(|check| check.check_row(row.seq, stored.persisted_up_to)) {
                report.add_difference(format!(
                    "order {order} of shop {} differs from its journal at row {}",
                    row.shop, row.seq
                ));
            }
        }
    }

    fn fold_projections(&mut self, row: &JournalRow) {
        let Self { stored, projections, index, report, .. } = self;

        // The index needs each code's key from before the row.
        for event in row.events.iter() {
            let Event::Discount(event) = event else { continue };
            let known = |code| {
                let key = (row.shop, ProjectionKey::Code(code));
                let state = code_state(&projections.get(&key)?.record)?;
                Some((state.rule()?, state.code()?.key().to_owned()))
            };
            for change in IndexChange::from_event(event, known) {
                index.apply(row.shop, change);
            }
        }

        for key in projections::affected_keys(row) {
            let entry = (row.shop, key);
            let check = projections.entry(entry.clone()).or_insert_with_key(|entry| {
                StateCheck::new(Projection::new(&entry.1), stored.projections.remove(entry))
            });
            check.record.fold(&entry.1, row);

            if check.check_row(row.seq, stored.persisted_up_to) {
                let (shop, key) = entry;
                report.add_difference(format!(
                    "{key:?} of shop {shop} differs from its journal at row {}",
                    row.seq
                ));
            }
        }
    }

    /// Checks the stored states that the fold has not reached, and returns the report.
    ///
    /// `reschedule` recomputes the due time of an account, or leaves it if it is not
    /// known.
    pub(crate) fn finish(
        mut self,
        reschedule: impl FnMut(AccountId, &mut AccountRecord) -> Result<(), Failure>,
    ) -> Result<VerificationReport, Failure> {
        self.report.accounts = count(self.accounts.len());
        self.report.orders = count(self.orders.len());
        self.report.projections = count(self.projections.len());

        self.finish_projections();
        self.finish_accounts(reschedule)?;
        self.finish_orders();

        Ok(self.report)
    }

    fn finish_projections(&mut self) {
        let Self { stored, projections, index, claims, report, .. } = self;
        for ((shop, key), check) in projections.iter() {
            if let Some(seq) = check.misplaced_at() {
                let last = check.record.seq;
                report.add_difference(format!(
                    "{key:?} of shop {shop} is at row {seq}, its journal at {last}"
                ));
            }
        }
        for (shop, key) in stored.projections.keys() {
            report.add_difference(format!("{key:?} of shop {shop} has no journal"));
        }

        if index.rules != stored.index.rules || index.codes_by_key != stored.index.codes_by_key {
            report.add_difference(
                "the listed price rules and codes differ from the journal".to_owned(),
            );
        }
        if *claims != stored.claims {
            report.add_difference("the claimed names differ from the journal".to_owned());
        }
    }

    fn finish_accounts(
        &mut self,
        mut reschedule: impl FnMut(AccountId, &mut AccountRecord) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self { stored, accounts, report, .. } = self;
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

        for description in stored.unreadable.drain(..) {
            report.add_difference(description);
        }
        for id in stored.accounts.keys() {
            report.add_difference(format!("account {id} has no journal"));
        }
        if stored.orphan_segments > 0 {
            report.add_difference(format!(
                "{} segments belong to accounts that do not exist",
                stored.orphan_segments
            ));
        }

        Ok(())
    }

    fn finish_orders(&mut self) {
        let Self { stored, orders, report, .. } = self;
        for ((shop, id), check) in orders.iter() {
            if let Some(seq) = check.misplaced_at() {
                let last = check.record.seq;
                report.add_difference(format!(
                    "order {id} of shop {shop} is at row {seq}, its journal at {last}"
                ));
            }
        }
        for (shop, id) in stored.orders.keys() {
            report.add_difference(format!("order {id} of shop {shop} has no journal"));
        }
    }
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
