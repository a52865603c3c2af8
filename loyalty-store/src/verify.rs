//! The proof: every state folded anew from the journal.

use std::collections::HashMap;

use loyalty_core::{AccountId, Event, OrderId, Points, ShopId, Timestamp};

use crate::discount::code_state;
use crate::discount::index::{DiscountIndex, IndexChange};
use crate::error::Failure;
use crate::projections::{self, Projection, ProjectionKey};
use crate::query::VerificationReport;
use crate::record::{AccountRecord, JournalRow, OrderRecord, Seq};
use crate::transact::CodeClaim;

/// The states that stand in a store, to be compared with the fold.
#[derive(Debug, Default)]
pub(crate) struct StoredStates {
    pub(crate) accounts: HashMap<AccountId, AccountRecord>,
    /// What is said of accounts that cannot be read.
    pub(crate) unreadable: Vec<String>,
    /// Chapters that no account has.
    pub(crate) orphan_segments: i64,
    pub(crate) orders: HashMap<(ShopId, OrderId), OrderRecord>,
    pub(crate) projections: HashMap<(ShopId, ProjectionKey), Projection>,
    /// Written with the journal, so never behind it.
    pub(crate) index: DiscountIndex,
    /// Who has which name. Written with the journal as well.
    pub(crate) claims: HashMap<(ShopId, CodeClaim), AccountId>,
    /// Up to this row every state must have been written. A state may be behind the journal after it.
    pub(crate) persisted_up_to: Seq,
}

/// A fold of the journal that checks each row and compares each state where it stands.
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

/// A state folded so far, beside the one that stands.
struct StateCheck<T> {
    record: T,
    stored: Option<T>,
    /// The last row that must be in the state that stands.
    required_seq: Seq,
    /// Whether the fold has come by the row at which that state stands.
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

    /// Folds the next row. Positions leave no gaps.
    pub(crate) fn fold_row(&mut self, row: &JournalRow) {
        self.report.rows = self.report.rows.saturating_add(1);
        self.report.events = self
            .report
            .events
            .saturating_add(u64::try_from(row.events.len()).unwrap_or(u64::MAX));
        let next = self.last.saturating_add(1);
        if row.seq != next {
            self.report
                .add_difference(format!("journal row {next} is missing before row {}", row.seq));
        }
        self.last = row.seq;
        if let Some(account) = row.account {
            self.fold_account(account, row);
            for claim in row.events.iter().filter_map(CodeClaim::from_event) {
                // A code that all can use stays with the first.
                self.claims.entry((row.shop, claim)).or_insert(account);
            }
        }
        self.fold_orders(row);
        self.fold_projections(row);
    }

    fn fold_account(&mut self, id: AccountId, row: &JournalRow) {
        let Self { stored: standing, accounts, report: found, .. } = self;
        let fresh = || {
            (
                StateCheck::new(AccountRecord::new(row.shop), standing.accounts.remove(&id)),
                Points::ZERO,
            )
        };
        let (folded, sum) = accounts.entry(id).or_insert_with(fresh);
        let record = &mut folded.record;
        if record.shop != row.shop {
            found.add_difference(format!(
                "journal row {} moves account {id} to another shop",
                row.seq
            ));
        }
        if row.previous.unwrap_or(0) != record.seq {
            found.add_difference(format!(
                "journal row {} does not follow row {} of account {id}",
                row.seq, record.seq
            ));
        }
        if row.at < record.at {
            found.add_difference(format!(
                "journal row {} is earlier than row {} of account {id}",
                row.seq, record.seq
            ));
        }
        record.fold(row);
        *sum = row
            .events
            .iter()
            .fold(*sum, |sum, event| sum.saturating_add(event.points()));
        let balance = record.account.balance(row.at);
        if balance != row.balance
            || !record.account.is_consistent()
            || record.account.totals().balance() != *sum
        {
            found.add_difference(format!(
                "after journal row {} the books of account {id} do not add up",
                row.seq
            ));
        }
        if folded.check_row(row.seq, standing.persisted_up_to) {
            found.add_difference(format!(
                "account {id} differs from its journal at row {}",
                row.seq
            ));
        }
    }

    fn fold_orders(&mut self, row: &JournalRow) {
        let Self { stored: standing, orders, report: found, .. } = self;
        for event in row.events.iter() {
            let Some(order) = event.order() else { continue };
            let key = (row.shop, order.clone());
            let standing = &mut standing.orders;
            let fresh = |key: &(ShopId, OrderId)| {
                StateCheck::new(OrderRecord::new(key.1.clone()), standing.remove(key))
            };
            orders.entry(key).or_insert_with_key(fresh).record.fold(row, event);
        }
        for order in row.events.iter().filter_map(Event::order) {
            let folded = orders.get_mut(&(row.shop, order.clone()));
            if folded.is_some_and(|folded| folded.check_row(row.seq, standing.persisted_up_to)) {
                found.add_difference(format!(
                    "order {order} of shop {} differs from its journal at row {}",
                    row.shop, row.seq
                ));
            }
        }
    }

    fn fold_projections(&mut self, row: &JournalRow) {
        let Self {
            stored: standing, projections: keyed, index, report: found, ..
        } = self;
        for event in row.events.iter() {
            let Event::Discount(event) = event else { continue };
            let known = |code| {
                let state = code_state(&keyed.get(&(row.shop, ProjectionKey::Code(code)))?.record)?;
                Some((state.rule()?, state.code()?.key().to_owned()))
            };
            for change in IndexChange::from_event(event, known) {
                index.apply(row.shop, change);
            }
        }
        for key in projections::affected_keys(row) {
            let of = (row.shop, key);
            let fresh = |of: &(ShopId, ProjectionKey)| {
                StateCheck::new(Projection::new(&of.1), standing.projections.remove(of))
            };
            let folded = keyed.entry(of.clone()).or_insert_with_key(fresh);
            folded.record.fold(&of.1, row);
            if folded.check_row(row.seq, standing.persisted_up_to) {
                let (shop, key) = of;
                found.add_difference(format!(
                    "{key:?} of shop {shop} differs from its journal at row {}",
                    row.seq
                ));
            }
        }
    }

    /// Looks where the states stand, and answers what was found. `reschedule` finds anew what is due next for an
    /// account, where that can be known.
    pub(crate) fn finish(
        self,
        mut find_due: impl FnMut(AccountId, &mut AccountRecord) -> Result<(), Failure>,
    ) -> Result<VerificationReport, Failure> {
        let Self {
            stored: standing,
            accounts,
            orders,
            projections: keyed,
            index,
            claims,
            report: mut found,
            ..
        } = self;
        found.projections = u64::try_from(keyed.len()).unwrap_or(u64::MAX);
        for ((shop, key), folded) in &keyed {
            if let Some(stands) = folded.misplaced_at() {
                let last = folded.record.seq;
                found.add_difference(format!(
                    "{key:?} of shop {shop} stands at row {stands}, its journal at {last}"
                ));
            }
        }
        for (shop, key) in standing.projections.keys() {
            found.add_difference(format!("{key:?} of shop {shop} has no journal"));
        }
        if index.rules != standing.index.rules || index.codes_by_key != standing.index.codes_by_key
        {
            found.add_difference(
                "the price rules and codes that are listed are not those of the journal".to_owned(),
            );
        }
        if claims != standing.claims {
            found.add_difference(
                "the names that were claimed are not those of the journal".to_owned(),
            );
        }
        found.accounts = u64::try_from(accounts.len()).unwrap_or(u64::MAX);
        found.orders = u64::try_from(orders.len()).unwrap_or(u64::MAX);
        for (id, (folded, _)) in &accounts {
            if let Some(stands) = folded.misplaced_at() {
                found.add_difference(format!(
                    "account {id} stands at row {stands}, its journal at {}",
                    folded.record.seq
                ));
            }
            // What is due of a state that is behind its journal is found when the store starts.
            let stands = folded
                .stored
                .as_ref()
                .filter(|standing| standing.seq == folded.record.seq);
            let Some(listed) = stands.map(|stands| stands.due) else { continue };
            let mut again = AccountRecord { due: listed, ..folded.record.clone() };
            find_due(*id, &mut again)?;
            if again.due.map(|due| due.timestamp_micros())
                != listed.map(|due| due.timestamp_micros())
            {
                let name = |due: Option<Timestamp>| {
                    due.map_or_else(|| "never".to_owned(), |due| due.to_rfc3339())
                };
                let (listed, due) = (name(listed), name(again.due));
                found.add_difference(format!(
                    "account {id} is listed as due {listed}, and is due {due}"
                ));
            }
        }
        for ((shop, id), folded) in &orders {
            if let Some(stands) = folded.misplaced_at() {
                let last = folded.record.seq;
                found.add_difference(format!(
                    "order {id} of shop {shop} stands at row {stands}, its journal at {last}"
                ));
            }
        }
        standing
            .unreadable
            .into_iter()
            .for_each(|what| found.add_difference(what));
        for id in standing.accounts.keys() {
            found.add_difference(format!("account {id} has no journal"));
        }
        if standing.orphan_segments > 0 {
            found.add_difference(format!(
                "{} chapters are of accounts that are not there",
                standing.orphan_segments
            ));
        }
        for (shop, id) in standing.orders.keys() {
            found.add_difference(format!("order {id} of shop {shop} has no journal"));
        }
        Ok(found)
    }
}

impl<T: FoldedState> StateCheck<T> {
    fn new(record: T, stored: Option<T>) -> Self {
        Self { record, stored, required_seq: 0, is_compared: false }
    }

    /// Notes a row that was folded. Answers whether the state that stands there is another.
    fn check_row(&mut self, row: Seq, written: Seq) -> bool {
        if row <= written {
            self.required_seq = row;
        }
        let here = self.stored.as_ref().filter(|standing| standing.seq() == row);
        self.is_compared |= here.is_some();
        here.is_some_and(|standing| *standing != self.record)
    }

    /// Where the state stands, if that is none of its rows or one before the last that must be in it. A
    /// start would not fold what it lacks.
    fn misplaced_at(&self) -> Option<Seq> {
        let stands = self.stored.as_ref().map_or(0, T::seq);
        let astray = (self.stored.is_some() && !self.is_compared) || stands < self.required_seq;
        astray.then_some(stands)
    }
}

/// A fold of the journal up to a row.
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
