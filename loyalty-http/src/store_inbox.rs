//! The last messages of connected stores, kept in memory, so that somebody who connects a store
//! sees what came and why it was refused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use loyalty_core::{ShopId, StoreId, Timestamp};

/// The messages that are kept of a store.
const CAPACITY: usize = 500;

/// The messages that are kept of a store whose signature was wrong.
const REFUSED_CAPACITY: usize = 20;

/// The stores whose messages are kept. Those of the store that was quiet for longest go first.
const MAX_STORES: usize = 1_000;

/// A message that came, and what became of it. Has nothing of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreMessageRecord {
    /// When it came.
    pub(crate) at: Timestamp,
    /// The store's id of the delivery, if it named one.
    pub(crate) delivery_id: Option<String>,
    /// What it is about, if it said so.
    pub(crate) topic: Option<String>,
    /// What became of it.
    pub(crate) outcome: MessageOutcome,
    /// Why not, if it was not recorded.
    pub(crate) reason: Option<String>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageOutcome {
    /// All that it says is recorded.
    Recorded,
    /// It says nothing that matters here.
    Ignored,
    /// The rules have refused a part of it.
    Rejected,
    /// It cannot be read.
    Unreadable,
    /// Its signature is wrong.
    NotAuthentic,
    /// The engine's store has failed; it was asked to send it again.
    Failed,
}

impl MessageOutcome {
    /// The name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Ignored => "ignored",
            Self::Rejected => "rejected",
            Self::Unreadable => "unreadable",
            Self::NotAuthentic => "not_authentic",
            Self::Failed => "failed",
        }
    }
}

/// The last messages of one store.
#[derive(Debug, Default)]
struct Messages {
    authentic: VecDeque<StoreMessageRecord>,
    /// Anybody can send these, so they have a place of their own, and push out no other.
    refused: VecDeque<StoreMessageRecord>,
}

impl Messages {
    fn newest(&self) -> Option<Timestamp> {
        self.authentic.front().map(|message| message.at)
    }
}

/// The last messages of each store.
#[derive(Debug, Default)]
pub(crate) struct StoreInbox {
    stores: Mutex<HashMap<(ShopId, StoreId), Messages>>,
}

impl StoreInbox {
    /// Keeps a message.
    pub(crate) fn add(&self, shop: ShopId, store: &StoreId, message: StoreMessageRecord) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (shop, store.clone());
        if stores.len() >= MAX_STORES && !stores.contains_key(&key) {
            let oldest = stores.iter().min_by_key(|(_, messages)| messages.newest());
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                stores.remove(&oldest);
            }
        }
        let messages = stores.entry(key).or_default();
        let (kept, capacity) = if message.outcome == MessageOutcome::NotAuthentic {
            (&mut messages.refused, REFUSED_CAPACITY)
        } else {
            (&mut messages.authentic, CAPACITY)
        };
        kept.push_front(message);
        kept.truncate(capacity);
    }

    /// Returns the last messages of a store, newest first.
    pub(crate) fn messages(&self, shop: ShopId, store: &StoreId) -> Vec<StoreMessageRecord> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Messages { authentic, refused }) = stores.get(&(shop, store.clone())) else {
            return Vec::new();
        };
        let mut messages: Vec<_> = authentic.iter().chain(refused).cloned().collect();
        messages.sort_by_key(|message| std::cmp::Reverse(message.at));
        messages
    }

    /// Returns when the last message of a store came that was the store's.
    pub(crate) fn last_at(&self, shop: ShopId, store: &StoreId) -> Option<Timestamp> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.get(&(shop, store.clone()))?.newest()
    }

    /// Forgets the messages of a store that is no longer connected.
    pub(crate) fn forget(&self, shop: ShopId, store: &StoreId) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.remove(&(shop, store.clone()));
    }
}
