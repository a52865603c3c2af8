//! Destinations and deliveries in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use loyalty_core::{AccountId, ShopId, Timestamp};

use super::{MemoryStore, Tables};
use crate::destination::{
    Deliveries, Delivery, DeliveryCounts, DeliveryNote, DeliveryState, Destination,
    DestinationChange, DestinationId, DestinationProgress, EventPosition,
};
use crate::error::Failure;
use crate::record::{JournalRow, Seq};
use crate::transact::destination::{DestinationView, note};

#[derive(Debug, Default)]
pub(super) struct DestinationTables {
    destinations: BTreeMap<DestinationId, Destination>,
    progress: BTreeMap<DestinationId, DestinationProgress>,
    deliveries: BTreeMap<(DestinationId, EventPosition), Delivery>,
    last_number: i64,
    revision: i64,
}

impl DestinationTables {
    /// Applies an administrative change.
    pub(super) fn administer(&mut self, change: DestinationChange) {
        self.revision = self.revision.saturating_add(1);
        self.apply(change);
    }

    fn apply(&mut self, change: DestinationChange) {
        match change {
            DestinationChange::Put(destination) => {
                self.last_number = self.last_number.max(destination.id.0);
                self.destinations.insert(destination.id, *destination);
            }
            DestinationChange::PutProgress(id, progress) => {
                self.progress.insert(id, progress);
            }
            DestinationChange::Delete(id) => {
                self.destinations.remove(&id);
                self.progress.remove(&id);
                self.deliveries.retain(|(of, _), _| *of != id);
            }
            DestinationChange::PutDelivery(delivery) => {
                let key = (delivery.destination, delivery.event);
                self.deliveries.insert(key, delivery);
            }
            DestinationChange::RemoveDelivery(id, event) => {
                self.deliveries.remove(&(id, event));
            }
            DestinationChange::PruneDead { destination, before, keep } => {
                self.prune(destination, before, keep);
            }
        }
    }

    fn prune(&mut self, id: DestinationId, before: Timestamp, keep: usize) {
        let is_old = |delivery: &Delivery| matches!(delivery.state, DeliveryState::Dead { at } if at < before);
        self.deliveries
            .retain(|(of, _), delivery| *of != id || !is_old(delivery));

        let dead = self.of(id).filter(|delivery| !delivery.is_waiting());
        let newest: Vec<_> = dead.map(|delivery| delivery.event).collect();
        let excess = newest.len().saturating_sub(keep);
        for event in newest.into_iter().take(excess) {
            self.deliveries.remove(&(id, event));
        }
    }

    /// Returns the deliveries of a destination in the order of their events.
    fn of(&self, id: DestinationId) -> impl DoubleEndedIterator<Item = &Delivery> {
        let first = EventPosition { seq: 0, index: 0 };
        let last = EventPosition { seq: Seq::MAX, index: u16::MAX };
        self.deliveries
            .range((id, first)..=(id, last))
            .map(|(_, delivery)| delivery)
    }

    fn has(&self, shop: ShopId, id: DestinationId) -> bool {
        self.destinations.get(&id).is_some_and(|found| found.shop == shop)
    }

    /// Clears what receivers have answered about accounts.
    pub(super) fn clear_answers(&mut self, shop: ShopId, accounts: &[AccountId]) {
        let destinations = &self.destinations;
        let is_of_shop =
            |id: &DestinationId| destinations.get(id).is_some_and(|found| found.shop == shop);
        for ((id, _), delivery) in &mut self.deliveries {
            let is_about = delivery.account.is_some_and(|account| accounts.contains(&account));
            if let Some(last) = &mut delivery.last
                && is_about
                && is_of_shop(id)
            {
                last.answer.clear();
            }
        }
    }
}

impl DestinationView for Tables {
    fn destinations(&self, shop: ShopId) -> Result<Vec<Destination>, Failure> {
        let all = self.destinations.destinations.values();
        Ok(all.filter(|destination| destination.shop == shop).cloned().collect())
    }

    fn destination(&self, id: DestinationId) -> Result<Option<Destination>, Failure> {
        Ok(self.destinations.destinations.get(&id).cloned())
    }

    fn progress(&self, id: DestinationId) -> Result<Option<DestinationProgress>, Failure> {
        Ok(self.destinations.progress.get(&id).cloned())
    }

    fn next_destination(&self) -> Result<DestinationId, Failure> {
        Ok(DestinationId(self.destinations.last_number.saturating_add(1)))
    }

    fn last_position(&self) -> Result<Seq, Failure> {
        Ok(Seq::try_from(self.journal.len()).unwrap_or(Seq::MAX))
    }

    fn journal_row(&self, seq: Seq) -> Result<Option<JournalRow>, Failure> {
        let place = usize::try_from(seq.saturating_sub(1)).ok();
        Ok(place
            .and_then(|place| self.journal.get(place))
            .map(|row| (**row).clone()))
    }
}

impl Deliveries for MemoryStore {
    fn destinations(&self, shop: ShopId) -> Result<Vec<Destination>, Failure> {
        DestinationView::destinations(&*self.tables(), shop)
    }

    fn all_destinations(&self) -> Result<Vec<Destination>, Failure> {
        Ok(self.tables().destinations.destinations.values().cloned().collect())
    }

    fn destinations_revision(&self) -> Result<i64, Failure> {
        Ok(self.tables().destinations.revision)
    }

    fn destination_progress(
        &self,
        shop: ShopId,
        id: DestinationId,
    ) -> Result<Option<DestinationProgress>, Failure> {
        let tables = self.tables();
        if !tables.destinations.has(shop, id) {
            return Ok(None);
        }
        tables.progress(id)
    }

    fn deliveries(
        &self,
        shop: ShopId,
        id: DestinationId,
        are_waiting: bool,
        after: Option<EventPosition>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Failure> {
        let tables = self.tables();
        if !tables.destinations.has(shop, id) {
            return Ok(Vec::new());
        }
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let from = match from {
            Bound::Excluded(after) => Bound::Excluded((id, after)),
            Bound::Included(_) | Bound::Unbounded => {
                Bound::Included((id, EventPosition { seq: 0, index: 0 }))
            }
        };
        let later = tables.destinations.deliveries.range((from, Bound::Unbounded));
        let later = later.take_while(|((of, _), _)| *of == id);
        let wanted = later.filter(|(_, delivery)| delivery.is_waiting() == are_waiting);
        Ok(wanted.map(|(_, delivery)| delivery.clone()).take(limit).collect())
    }

    fn delivery(
        &self,
        shop: ShopId,
        id: DestinationId,
        event: EventPosition,
    ) -> Result<Option<Delivery>, Failure> {
        let tables = self.tables();
        let found = tables.destinations.deliveries.get(&(id, event)).cloned();
        Ok(found.filter(|_| tables.destinations.has(shop, id)))
    }

    fn count_deliveries(&self, shop: ShopId, id: DestinationId) -> Result<DeliveryCounts, Failure> {
        let tables = self.tables();
        let mut counts = DeliveryCounts::default();
        if tables.destinations.has(shop, id) {
            for delivery in tables.destinations.of(id) {
                let count =
                    if delivery.is_waiting() { &mut counts.waiting } else { &mut counts.dead };
                *count = count.saturating_add(1);
            }
        }
        Ok(counts)
    }

    fn note_deliveries(&self, notes: &[DeliveryNote]) -> Result<(), Failure> {
        let mut tables = self.tables();
        for one in notes {
            for change in note(&*tables, one)? {
                tables.destinations.apply(change);
            }
        }
        Ok(())
    }
}
