//! Recovery: the journal after the checkpoint, folded into the states that the tables lack.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use loyalty_core::OrderId;

use super::backend::{Backend, TableReader};
use super::batch::Sequences;
use super::committed::CommittedState;
use super::kind::{Accounts, Days, FilterKey, Kind, Load, Orders, Projections};
use super::map::Map;
use super::rescheduler::Rescheduler;
use super::states::StateChanges;
use crate::day_totals::Zones;
use crate::discount::index;
use crate::error::Failure;
use crate::projections::{self, Projection};
use crate::record::{AccountRecord, JournalRow, OrderRecord};

/// Reads the journal and the responses after the checkpoint. Returns the states that are newer than
/// their tables, and the last numbers in use. Costs the rows after the checkpoint.
pub(super) fn replay_journal<B: Backend>(
    tables: &impl TableReader,
    committed: &CommittedState<B>,
) -> Result<(StateChanges, Sequences), Failure> {
    let checkpoint = tables.checkpoint()?;
    let (mut states, mut zones) = (StateChanges::default(), Zones::default());
    let mut last = Sequences {
        seq: checkpoint.seq,
        account: tables.last_account()?,
        response: checkpoint.response,
    };

    tables.for_each_journal_row(checkpoint.seq, |row| {
        last.seq = row.seq;
        last.account = last.account.max(row.account.map_or(0, |account| account.0));

        // A commit whose outcome was unknown may be here, and its keys were added by nobody.
        for key in row.events.iter().filter_map(index::assigned_code_key) {
            let key = (row.shop, key.to_owned());
            committed.filter.add(FilterKey::Code(&key));
        }
        fold_row(tables, &mut zones, &mut states, &row)
    })?;

    // Due dates are no part of the fold: they follow from the programs and the customers, too.
    let mut rescheduler = Rescheduler::default();
    for (id, record) in &mut states.accounts {
        rescheduler.reschedule(tables, *id, Arc::make_mut(record))?;
    }

    tables.for_each_response(checkpoint.response, |number, response| {
        last.response = number;
        let key = (response.shop, response.key);
        states.responses.insert(key, (number, Arc::new(response)));
    })?;
    Ok((states, last))
}

/// Folds one row into the states that it is about.
fn fold_row(
    tables: &impl TableReader,
    zones: &mut Zones,
    states: &mut StateChanges,
    row: &JournalRow,
) -> Result<(), Failure> {
    if let Some(id) = row.account {
        let record = load_once::<Accounts>(&mut states.accounts, tables, id, |_| {
            Arc::new(AccountRecord::new(row.shop))
        })?;
        Arc::make_mut(record).fold(row);
    }

    for key in projections::affected_keys(row) {
        let key = (row.shop, key);
        let record =
            load_once::<Projections>(&mut states.projections, tables, key.clone(), |key| {
                Arc::new(Projection::new(&key.1))
            })?;
        Arc::make_mut(record).fold(&key.1, row);
    }

    let zone = |shop| Ok(tables.shop(shop)?.map(|shop| shop.zone));
    for (day, totals) in zones.days_of(row, zone)? {
        let key = (row.shop, day);
        let record = load_once::<Days>(&mut states.days, tables, key, |_| Arc::default())?;
        Arc::make_mut(record).fold(row.seq, &totals);
    }

    // A table may be ahead of the checkpoint: a row that is in a state is not folded twice. Several
    // events of one row can be about the same order.
    let mut folded = HashSet::<&OrderId>::new();
    for event in row.events.iter() {
        let Some(id) = event.order() else { continue };
        let key = (row.shop, id.clone());
        let record = load_once::<Orders>(&mut states.orders, tables, key, |(_, id)| {
            Arc::new(OrderRecord::new(id.clone()))
        })?;
        if record.seq < row.seq || folded.contains(id) {
            Arc::make_mut(record).fold(row, event);
            folded.insert(id);
        }
    }
    Ok(())
}

/// Returns the state of a key, loaded from its table the first time.
fn load_once<'s, K: Kind>(
    states: &'s mut Map<K::Key, K::Value>,
    tables: &impl Load<K>,
    key: K::Key,
    default: impl FnOnce(&K::Key) -> K::Value,
) -> Result<&'s mut K::Value, Failure> {
    Ok(match states.entry(key) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => {
            let loaded = tables.load(entry.key())?;
            let state = loaded.unwrap_or_else(|| default(entry.key()));
            entry.insert(state)
        }
    })
}
