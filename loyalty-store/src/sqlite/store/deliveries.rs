//! Destinations and their deliveries, read from and written to their tables.

use loyalty_core::ShopId;

use super::SqliteStore;
use crate::destination::{
    Deliveries, Delivery, DeliveryCounts, DeliveryNote, Destination, DestinationId,
    DestinationProgress, EventPosition,
};
use crate::error::Failure;
use crate::sqlite::tables::destination;

impl Deliveries for SqliteStore {
    fn destinations(&self, shop: ShopId) -> Result<Vec<Destination>, Failure> {
        self.admin.destinations(Some(shop))
    }

    fn all_destinations(&self) -> Result<Vec<Destination>, Failure> {
        self.admin.destinations(None)
    }

    fn destinations_revision(&self) -> Result<i64, Failure> {
        self.read(destination::read_revision)
    }

    fn destination_progress(
        &self,
        shop: ShopId,
        id: DestinationId,
    ) -> Result<Option<DestinationProgress>, Failure> {
        self.read(|db| {
            if !destination::is_of_shop(db, shop, id)? {
                return Ok(None);
            }
            destination::read_progress(db, id)
        })
    }

    fn deliveries(
        &self,
        shop: ShopId,
        id: DestinationId,
        are_waiting: bool,
        after: Option<EventPosition>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Failure> {
        self.read(|db| {
            if !destination::is_of_shop(db, shop, id)? {
                return Ok(Vec::new());
            }
            destination::read_deliveries(db, id, are_waiting, after, limit)
        })
    }

    fn delivery(
        &self,
        shop: ShopId,
        id: DestinationId,
        event: EventPosition,
    ) -> Result<Option<Delivery>, Failure> {
        self.read(|db| {
            if !destination::is_of_shop(db, shop, id)? {
                return Ok(None);
            }
            destination::read_delivery(db, id, event)
        })
    }

    fn count_deliveries(&self, shop: ShopId, id: DestinationId) -> Result<DeliveryCounts, Failure> {
        self.read(|db| {
            if !destination::is_of_shop(db, shop, id)? {
                return Ok(DeliveryCounts::default());
            }
            destination::count_deliveries(db, id)
        })
    }

    fn note_deliveries(&self, notes: &[DeliveryNote]) -> Result<(), Failure> {
        self.committed.ensure_writable()?;
        self.admin.note_deliveries(notes)
    }
}
