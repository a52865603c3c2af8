//! The proof: every state folded anew from the journal.

use std::collections::HashMap;

use loyalty_core::{AccountId, OrderId, Points, ShopId};

use crate::query::Verified;
use crate::record::{AccountRecord, JournalRow, OrderRecord, Seq};

/// The states that stand in a store, to be compared with the fold.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) accounts: HashMap<AccountId, AccountRecord>,
    pub(crate) orders: HashMap<(ShopId, OrderId), OrderRecord>,
    /// Up to this row every state must have been written. A state may be behind the journal after it.
    pub(crate) written: Seq,
}

/// A fold of the journal that checks each row and compares each state where it stands.
pub(crate) struct Fold {
    standing: Standing,
    accounts: HashMap<AccountId, (AccountRecord, Points)>,
    orders: HashMap<(ShopId, OrderId), OrderRecord>,
    last: Seq,
    found: Verified,
}

impl Fold {
    pub(crate) fn new(standing: Standing) -> Self {
        let (accounts, orders) = (HashMap::new(), HashMap::new());
        Self { standing, accounts, orders, last: 0, found: Verified::default() }
    }

    /// Folds the next row.
    pub(crate) fn row(&mut self, row: &JournalRow) {
        self.found.rows = self.found.rows.saturating_add(1);
        self.found.events = self.found.events.saturating_add(u64::try_from(row.events.len()).unwrap_or(u64::MAX));
        if row.seq <= self.last {
            self.found.differ(format!("journal row {} stands after row {}", row.seq, self.last));
        }
        self.last = row.seq;
        if let Some(account) = row.account {
            self.fold_account(account, row);
        }
        for event in row.events.iter() {
            let Some(order) = event.order() else { continue };
            let key = (row.shop, order.clone());
            let record = self.orders.entry(key).or_default();
            record.fold(row, event);
        }
        for order in row.events.iter().filter_map(loyalty_core::Event::order) {
            self.compare_order(&(row.shop, order.clone()), row.seq);
        }
    }

    fn fold_account(&mut self, id: AccountId, row: &JournalRow) {
        let fresh = || (AccountRecord::new(row.shop), Points::ZERO);
        let (record, sum) = self.accounts.entry(id).or_insert_with(fresh);
        let found = &mut self.found;
        if record.shop != row.shop {
            found.differ(format!("journal row {} moves account {id} to another shop", row.seq));
        }
        if row.previous.unwrap_or(0) != record.seq {
            found.differ(format!("journal row {} does not follow row {} of account {id}", row.seq, record.seq));
        }
        record.fold(row);
        *sum = row.events.iter().fold(*sum, |sum, event| sum.saturating_add(event.points()));
        let balance = record.account.balance(row.at);
        if balance != row.balance || !record.account.is_sound() || record.account.totals().balance() != *sum {
            found.differ(format!("after journal row {} the books of account {id} do not add up", row.seq));
        }
        if self.standing.accounts.get(&id).is_some_and(|standing| standing.seq == row.seq && standing != record) {
            found.differ(format!("account {id} differs from its journal at row {}", row.seq));
        }
    }

    fn compare_order(&mut self, key: &(ShopId, OrderId), seq: Seq) {
        let (standing, folded) = (self.standing.orders.get(key), self.orders.get(key));
        if standing.is_some_and(|standing| standing.seq == seq && Some(standing) != folded) {
            self.found.differ(format!("order {} of shop {} differs from its journal at row {seq}", key.1, key.0));
        }
    }

    /// Compares which states there are, and answers what was found.
    pub(crate) fn finish(mut self) -> Verified {
        let Self { standing, accounts, orders, found, .. } = &mut self;
        found.accounts = u64::try_from(accounts.len()).unwrap_or(u64::MAX);
        found.orders = u64::try_from(orders.len()).unwrap_or(u64::MAX);
        for (id, (record, _)) in accounts.iter() {
            let stands = standing.accounts.remove(id).map_or(0, |standing| standing.seq);
            if stands > record.seq || (stands < record.seq && record.seq <= standing.written) {
                found.differ(format!("account {id} stands at row {stands}, its journal at {}", record.seq));
            }
        }
        for ((shop, id), record) in orders.iter() {
            let stands = standing.orders.remove(&(*shop, id.clone())).map_or(0, |standing| standing.seq);
            if stands > record.seq || (stands < record.seq && record.seq <= standing.written) {
                found.differ(format!(
                    "order {id} of shop {shop} stands at row {stands}, its journal at {}",
                    record.seq
                ));
            }
        }
        for id in standing.accounts.keys() {
            found.differ(format!("account {id} has no journal"));
        }
        for (shop, id) in standing.orders.keys() {
            found.differ(format!("order {id} of shop {shop} has no journal"));
        }
        self.found
    }
}
