//! The kinds of states that are written behind: what their keys and values are, and how a backend
//! loads and stores them.
//!
//! A new kind is a [`Kind`] here, a line in the list of [`states`](super::states), the
//! implementations of [`Load`] and [`Upsert`] for its table, and its fold in
//! [`replay`](super::replay).

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use chrono::NaiveDate;
use loyalty_core::{AccountId, OrderId, ShopId};

use super::response_slot::{NumberedResponse, ResponseKey, key_bits, slot_of};
use crate::day_totals::DayTotals;
use crate::error::Failure;
use crate::projections::{Projection, ProjectionKey};
use crate::record::{AccountRecord, OrderRecord};

/// A kind of states that share a cache, a write queue and a table.
pub(crate) trait Kind: 'static {
    type Key: Clone + Debug + Hash + Ord;
    type Value: Clone + Debug;

    /// Returns the key as the filter knows it; `None` if keys of this kind are not filtered.
    fn filter_key(_key: &Self::Key) -> Option<FilterKey<'_>> {
        None
    }

    /// Returns the number by which states are sorted before they are sorted by key, as their table
    /// is. A queued state that has another number by now is obsolete.
    fn slot(_key: &Self::Key, _value: &Self::Value) -> i64 {
        0
    }
}

/// Loads committed states of a kind.
pub(crate) trait Load<K: Kind> {
    fn load(&self, key: &K::Key) -> Result<Option<K::Value>, Failure>;
}

/// Stores states of a kind. A stored state that is as new stays.
pub(crate) trait Upsert<K: Kind> {
    /// Stores a slice, so that statements are prepared once for all of it.
    fn upsert(&mut self, slice: &[(K::Key, K::Value)]) -> Result<(), Failure>;
}

/// A key whose absence is known without asking the backend.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum FilterKey<'a> {
    Order(&'a (ShopId, OrderId)),
    /// The part of an idempotency key that its slots contain.
    Response(i64),
    Projection(&'a (ShopId, ProjectionKey)),
    /// The key of a discount code.
    Code(&'a (ShopId, String)),
}

/// Accounts. Their ids are given by the store, so nobody looks for one that does not exist.
#[derive(Debug)]
pub(crate) enum Accounts {}

impl Kind for Accounts {
    type Key = AccountId;
    type Value = Arc<AccountRecord>;
}

/// Orders.
#[derive(Debug)]
pub(crate) enum Orders {}

impl Kind for Orders {
    type Key = (ShopId, OrderId);
    type Value = Arc<OrderRecord>;

    fn filter_key(key: &Self::Key) -> Option<FilterKey<'_>> {
        Some(FilterKey::Order(key))
    }
}

/// Price rules, discount codes, redemptions, and who used them.
#[derive(Debug)]
pub(crate) enum Projections {}

impl Kind for Projections {
    type Key = (ShopId, ProjectionKey);
    type Value = Arc<Projection>;

    fn filter_key(key: &Self::Key) -> Option<FilterKey<'_>> {
        Some(FilterKey::Projection(key))
    }
}

/// Sums of a shop's days.
#[derive(Debug)]
pub(crate) enum Days {}

impl Kind for Days {
    type Key = (ShopId, NaiveDate);
    type Value = Arc<DayTotals>;
}

/// Responses under idempotency keys. A commit appends them; only their slots are written behind.
#[derive(Debug)]
pub(crate) enum Responses {}

impl Kind for Responses {
    type Key = ResponseKey;
    type Value = NumberedResponse;

    fn filter_key(key: &Self::Key) -> Option<FilterKey<'_>> {
        Some(FilterKey::Response(key_bits(key)))
    }

    fn slot(key: &Self::Key, (number, _): &Self::Value) -> i64 {
        slot_of(*number, key)
    }
}
