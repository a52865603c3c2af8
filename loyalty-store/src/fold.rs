//! The proof: every state folded anew from the journal.

use std::collections::HashMap;

use loyalty_core::{AccountId, Event, OrderId, Points, ShopId, Timestamp};

use crate::discount::code_state;
use crate::discount::index::{Index, Indexed};
use crate::error::Failure;
use crate::keyed::{self, Key, Keyed};
use crate::query::Verified;
use crate::record::{AccountRecord, JournalRow, OrderRecord, Seq};
use crate::transact::Claim;

/// The states that stand in a store, to be compared with the fold.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) accounts: HashMap<AccountId, AccountRecord>,
    /// What is said of accounts that cannot be read.
    pub(crate) unreadable: Vec<String>,
    /// Chapters that no account has.
    pub(crate) stray_chapters: i64,
    pub(crate) orders: HashMap<(ShopId, OrderId), OrderRecord>,
    pub(crate) keyed: HashMap<(ShopId, Key), Keyed>,
    /// Written with the journal, so never behind it.
    pub(crate) index: Index,
    /// Who has which name. Written with the journal as well.
    pub(crate) claims: HashMap<(ShopId, Claim), AccountId>,
    /// Up to this row every state must have been written. A state may be behind the journal after it.
    pub(crate) written: Seq,
}

/// A fold of the journal that checks each row and compares each state where it stands.
pub(crate) struct Fold {
    standing: Standing,
    accounts: HashMap<AccountId, (Folded<AccountRecord>, Points)>,
    orders: HashMap<(ShopId, OrderId), Folded<OrderRecord>>,
    keyed: HashMap<(ShopId, Key), Folded<Keyed>>,
    index: Index,
    claims: HashMap<(ShopId, Claim), AccountId>,
    last: Seq,
    found: Verified,
}

/// A state folded so far, beside the one that stands.
struct Folded<T> {
    record: T,
    standing: Option<T>,
    /// The last row that must be in the state that stands.
    due: Seq,
    /// Whether the fold has come by the row at which that state stands.
    met: bool,
}

impl Fold {
    pub(crate) fn new(standing: Standing) -> Self {
        Self {
            standing,
            accounts: HashMap::new(),
            orders: HashMap::new(),
            keyed: HashMap::new(),
            index: Index::default(),
            claims: HashMap::new(),
            last: 0,
            found: Verified::default(),
        }
    }

    /// Folds the next row. Positions leave no gaps.
    pub(crate) fn row(&mut self, row: &JournalRow) {
        self.found.rows = self.found.rows.saturating_add(1);
        self.found.events = self
            .found
            .events
            .saturating_add(u64::try_from(row.events.len()).unwrap_or(u64::MAX));
        let next = self.last.saturating_add(1);
        if row.seq != next {
            self.found
                .differ(format!("journal row {next} is missing before row {}", row.seq));
        }
        self.last = row.seq;
        if let Some(account) = row.account {
            self.fold_account(account, row);
            for claim in row.events.iter().filter_map(Claim::of) {
                // A code that all can use stays with the first.
                self.claims.entry((row.shop, claim)).or_insert(account);
            }
        }
        self.fold_orders(row);
        self.fold_keyed(row);
    }

    fn fold_account(&mut self, id: AccountId, row: &JournalRow) {
        let Self { standing, accounts, found, .. } = self;
        let fresh = || {
            (
                Folded::new(AccountRecord::new(row.shop), standing.accounts.remove(&id)),
                Points::ZERO,
            )
        };
        let (folded, sum) = accounts.entry(id).or_insert_with(fresh);
        let record = &mut folded.record;
        if record.shop != row.shop {
            found.differ(format!("journal row {} moves account {id} to another shop", row.seq));
        }
        if row.previous.unwrap_or(0) != record.seq {
            found.differ(format!(
                "journal row {} does not follow row {} of account {id}",
                row.seq, record.seq
            ));
        }
        if row.at < record.at {
            found.differ(format!(
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
            found.differ(format!(
                "after journal row {} the books of account {id} do not add up",
                row.seq
            ));
        }
        if folded.differs_at(row.seq, standing.written) {
            found.differ(format!("account {id} differs from its journal at row {}", row.seq));
        }
    }

    fn fold_orders(&mut self, row: &JournalRow) {
        let Self { standing, orders, found, .. } = self;
        for event in row.events.iter() {
            let Some(order) = event.order() else { continue };
            let key = (row.shop, order.clone());
            let standing = &mut standing.orders;
            let fresh = |key: &_| Folded::new(OrderRecord::default(), standing.remove(key));
            orders.entry(key).or_insert_with_key(fresh).record.fold(row, event);
        }
        for order in row.events.iter().filter_map(Event::order) {
            let folded = orders.get_mut(&(row.shop, order.clone()));
            if folded.is_some_and(|folded| folded.differs_at(row.seq, standing.written)) {
                found.differ(format!(
                    "order {order} of shop {} differs from its journal at row {}",
                    row.shop, row.seq
                ));
            }
        }
    }

    fn fold_keyed(&mut self, row: &JournalRow) {
        let Self { standing, keyed, index, found, .. } = self;
        for event in row.events.iter() {
            let Event::Discount(event) = event else { continue };
            let known = |code| {
                let state = code_state(&keyed.get(&(row.shop, Key::Code(code)))?.record)?;
                Some((state.rule()?, state.code()?.key().to_owned()))
            };
            for change in Indexed::of(event, known) {
                index.apply(row.shop, change);
            }
        }
        for key in keyed::keys(row) {
            let of = (row.shop, key);
            let fresh =
                |of: &(ShopId, Key)| Folded::new(Keyed::new(&of.1), standing.keyed.remove(of));
            let folded = keyed.entry(of.clone()).or_insert_with_key(fresh);
            folded.record.fold(&of.1, row);
            if folded.differs_at(row.seq, standing.written) {
                let (shop, key) = of;
                found.differ(format!(
                    "{key:?} of shop {shop} differs from its journal at row {}",
                    row.seq
                ));
            }
        }
    }

    /// Looks where the states stand, and answers what was found. `find_due` finds anew what is due next for an
    /// account, where that can be known.
    pub(crate) fn finish(
        self,
        mut find_due: impl FnMut(AccountId, &mut AccountRecord) -> Result<(), Failure>,
    ) -> Result<Verified, Failure> {
        let Self {
            standing, accounts, orders, keyed, index, claims, mut found, ..
        } = self;
        found.discounts = u64::try_from(keyed.len()).unwrap_or(u64::MAX);
        for ((shop, key), folded) in &keyed {
            if let Some(stands) = folded.astray() {
                let last = folded.record.seq;
                found.differ(format!(
                    "{key:?} of shop {shop} stands at row {stands}, its journal at {last}"
                ));
            }
        }
        for (shop, key) in standing.keyed.keys() {
            found.differ(format!("{key:?} of shop {shop} has no journal"));
        }
        if index.rules != standing.index.rules || index.by_key != standing.index.by_key {
            found.differ(
                "the price rules and codes that are listed are not those of the journal".to_owned(),
            );
        }
        if claims != standing.claims {
            found.differ("the names that were claimed are not those of the journal".to_owned());
        }
        found.accounts = u64::try_from(accounts.len()).unwrap_or(u64::MAX);
        found.orders = u64::try_from(orders.len()).unwrap_or(u64::MAX);
        for (id, (folded, _)) in &accounts {
            if let Some(stands) = folded.astray() {
                found.differ(format!(
                    "account {id} stands at row {stands}, its journal at {}",
                    folded.record.seq
                ));
            }
            // What is due of a state that is behind its journal is found when the store starts.
            let stands = folded
                .standing
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
                found.differ(format!("account {id} is listed as due {listed}, and is due {due}"));
            }
        }
        for ((shop, id), folded) in &orders {
            if let Some(stands) = folded.astray() {
                let last = folded.record.seq;
                found.differ(format!(
                    "order {id} of shop {shop} stands at row {stands}, its journal at {last}"
                ));
            }
        }
        standing.unreadable.into_iter().for_each(|what| found.differ(what));
        for id in standing.accounts.keys() {
            found.differ(format!("account {id} has no journal"));
        }
        if standing.stray_chapters > 0 {
            found.differ(format!(
                "{} chapters are of accounts that are not there",
                standing.stray_chapters
            ));
        }
        for (shop, id) in standing.orders.keys() {
            found.differ(format!("order {id} of shop {shop} has no journal"));
        }
        Ok(found)
    }
}

impl<T: State> Folded<T> {
    fn new(record: T, standing: Option<T>) -> Self {
        Self { record, standing, due: 0, met: false }
    }

    /// Notes a row that was folded. Answers whether the state that stands there is another.
    fn differs_at(&mut self, row: Seq, written: Seq) -> bool {
        if row <= written {
            self.due = row;
        }
        let here = self.standing.as_ref().filter(|standing| standing.seq() == row);
        self.met |= here.is_some();
        here.is_some_and(|standing| *standing != self.record)
    }

    /// Where the state stands, if that is none of its rows or one before the last that must be in it. A
    /// start would not fold what it lacks.
    fn astray(&self) -> Option<Seq> {
        let stands = self.standing.as_ref().map_or(0, T::seq);
        let astray = (self.standing.is_some() && !self.met) || stands < self.due;
        astray.then_some(stands)
    }
}

/// A fold of the journal up to a row.
trait State: PartialEq {
    fn seq(&self) -> Seq;
}

impl State for AccountRecord {
    fn seq(&self) -> Seq {
        self.seq
    }
}

impl State for Keyed {
    fn seq(&self) -> Seq {
        self.seq
    }
}

impl State for OrderRecord {
    fn seq(&self) -> Seq {
        self.seq
    }
}
