//! The open connections: at most a fixed number, and a few more that are reserved for health checks.
//!
//! When all regular places are taken, a new connection takes the place of an idle one. So clients that open connections
//! and send nothing cannot shut out others. The address with the most connections gives up the one that has been idle
//! for longest. If none is idle, the new connection gets a reserved place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinSet};

use crate::head_timeout::HeadTimeout;

/// The kind of place that a connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A place for any request.
    Regular,
    /// A place for health checks only, because no other was free.
    Reserved,
}

/// Marks a request, as an extension of it, whose connection has a reserved place: all others are taken.
///
/// The service should answer health checks and refuse the rest. The connection is closed after the response.
#[derive(Clone, Copy, Debug)]
pub struct ReservedPlace;

/// The numbers of places, and when an idle connection may lose its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) regular: usize,
    pub(crate) reserved: usize,
    /// The time for which a connection must have been idle.
    pub(crate) min_idle: Duration,
}

/// The open connections, each a task.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Places,
    tasks: JoinSet<()>,
    open: HashMap<Id, OpenConnection>,
    /// The number of open connections with a regular place.
    regular: usize,
}

#[derive(Debug)]
struct OpenConnection {
    address: IpAddr,
    place: Place,
    head_timeout: HeadTimeout,
    task: AbortHandle,
}

impl Connections {
    pub(crate) fn new(places: Places) -> Self {
        Self {
            places,
            tasks: JoinSet::new(),
            open: HashMap::new(),
            regular: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// True if a new connection can be accepted.
    pub(crate) fn has_place(&self) -> bool {
        self.open.len() < self.places.regular.saturating_add(self.places.reserved)
    }

    /// Finds a place for a new connection. An idle connection may be closed for it.
    pub(crate) fn find_place(&mut self) -> Place {
        if self.regular < self.places.regular || self.close_idle() {
            Place::Regular
        } else {
            Place::Reserved
        }
    }

    /// Runs a connection to its end.
    pub(crate) fn spawn(
        &mut self,
        (address, place): (IpAddr, Place),
        head_timeout: HeadTimeout,
        connection: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(connection);
        if place == Place::Regular {
            self.regular = self.regular.saturating_add(1);
        }
        self.open
            .insert(task.id(), OpenConnection { address, place, head_timeout, task });
    }

    /// Waits for the end of a connection; `None` if none is open.
    pub(crate) async fn next_ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.remove(id);
        Some(())
    }

    /// Closes an idle connection with a regular place. Returns `false` if there is none.
    ///
    /// Costs time in proportion to the number of connections. It is called only while all places are taken.
    pub(crate) fn close_idle(&mut self) -> bool {
        let mut by_address = HashMap::<IpAddr, usize>::new();
        for connection in self.open.values() {
            let count = by_address.entry(connection.address).or_default();
            *count = count.saturating_add(1);
        }

        let idle = self.open.iter().filter_map(|(id, connection)| {
            let idle = connection.head_timeout.idle_time()?;
            let may_close = connection.place == Place::Regular && idle >= self.places.min_idle;
            may_close.then_some((by_address.get(&connection.address), idle, *id))
        });
        let Some((.., id)) = idle.max_by_key(|(count, idle, _)| (*count, *idle)) else {
            return false;
        };

        if let Some(closed) = self.remove(id) {
            tracing::debug!(address = %closed.address, "closed an idle connection for a new one");
            closed.task.abort();
        }
        true
    }

    /// Ends all connections at once.
    pub(crate) async fn close_all(&mut self) {
        self.tasks.shutdown().await;
        self.open.clear();
        self.regular = 0;
    }

    fn remove(&mut self, id: Id) -> Option<OpenConnection> {
        let removed = self.open.remove(&id)?;
        if removed.place == Place::Regular {
            self.regular = self.regular.saturating_sub(1);
        }
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// Four regular places and two reserved ones.
    fn places(min_idle: Duration) -> Connections {
        Connections::new(Places { regular: 4, reserved: 2, min_idle })
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    /// Opens a connection whose phase is returned.
    fn open(connections: &mut Connections, last: u8) -> (Place, HeadTimeout) {
        let place = connections.find_place();
        let timeout = HeadTimeout::start(Duration::MAX, Duration::MAX);
        connections.spawn((address(last), place), timeout.clone(), pending());
        (place, timeout)
    }

    fn count(connections: &Connections, last: u8) -> usize {
        let open = connections.open.values();
        open.filter(|connection| connection.address == address(last)).count()
    }

    #[tokio::test]
    async fn the_address_with_most_connections_makes_room() {
        let mut connections = places(Duration::ZERO);
        open(&mut connections, 1);
        for _ in 0..3 {
            open(&mut connections, 2);
        }

        assert_eq!(open(&mut connections, 3).0, Place::Regular);
        assert_eq!((count(&connections, 1), count(&connections, 2)), (1, 2));
        while connections.open.len() < connections.tasks.len() {
            connections.next_ended().await;
        }
        assert_eq!(connections.regular, 4);
    }

    #[tokio::test]
    async fn active_connections_stay_and_new_ones_get_reserved_places() {
        let mut connections = places(Duration::ZERO);
        for _ in 0..4 {
            open(&mut connections, 1).1.head_received();
        }

        assert!(connections.has_place());
        assert_eq!(open(&mut connections, 2).0, Place::Reserved);
        assert_eq!(open(&mut connections, 2).0, Place::Reserved);
        assert!(!connections.has_place());
        assert!(!connections.close_idle(), "a reserved place is not made free");
    }

    #[tokio::test]
    async fn a_connection_is_not_closed_before_it_is_idle_for_long_enough() {
        let mut connections = places(Duration::from_hours(1));
        let opened: Vec<_> = (0..6).map(|_| open(&mut connections, 1).0).collect();
        assert_eq!(opened.iter().filter(|place| **place == Place::Reserved).count(), 2);
    }
}
