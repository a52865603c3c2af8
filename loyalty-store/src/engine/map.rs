//! Hash maps of the engine.

use std::collections::{HashMap, HashSet};

use foldhash::quality::RandomState;

/// A map with a fast hash. It is seeded at the start, so that no client can choose keys that
/// collide.
pub(super) type Map<K, V> = HashMap<K, V, RandomState>;

/// A set with the same hash.
pub(super) type Set<T> = HashSet<T, RandomState>;
