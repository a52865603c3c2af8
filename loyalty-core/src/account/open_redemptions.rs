//! The redemptions of an account that can still be used, and that expire.

use std::sync::Arc;

use crate::calendar::Timestamp;
use crate::id::RedemptionId;
use crate::redemption::Redemption;
use crate::tree::{Summarize, Tree};

/// Open redemptions by their end. Copy-on-write.
///
/// Those without an end are left out: nothing becomes due for them, and an account must
/// not grow with redemptions that are never used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenRedemptions {
    by_id: Tree<RedemptionId, Arc<Redemption>>,
    by_end: Tree<(Timestamp, RedemptionId), ()>,
}

impl Summarize for Arc<Redemption> {
    type Summary = ();
    fn summary(&self) {}
    fn sum((): (), (): ()) {}
}

impl OpenRedemptions {
    /// The redemptions by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Redemption>> {
        self.by_id.iter().map(|(_, redemption)| redemption)
    }

    /// Returns true if there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Returns true if the redemption is one of them.
    pub(crate) fn contains(&self, id: RedemptionId) -> bool {
        self.by_id.get(&id).is_some()
    }

    /// The one that ends first, with its end.
    pub(crate) fn first(&self) -> Option<(Timestamp, &Arc<Redemption>)> {
        let ((end, id), ()) = self.by_end.first()?;
        self.by_id.get(id).map(|redemption| (*end, redemption))
    }

    pub(crate) fn insert(&mut self, redemption: Arc<Redemption>) {
        let Some(end) = redemption.ends_at() else { return };
        let id = redemption.issue().id;
        self.remove(id);
        self.by_end.insert((end, id), ());
        self.by_id.insert(id, redemption);
    }

    pub(crate) fn remove(&mut self, id: RedemptionId) {
        let Some(known) = self.by_id.remove(&id) else { return };
        if let Some(end) = known.ends_at() {
            self.by_end.remove(&(end, id));
        }
    }
}

/// A plain list.
#[cfg(feature = "json")]
mod json {
    use std::sync::Arc;

    use super::{OpenRedemptions, Redemption};

    impl serde::Serialize for OpenRedemptions {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_seq(self.iter())
        }
    }

    impl<'de> serde::Deserialize<'de> for OpenRedemptions {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let mut open = Self::default();
            Vec::<Arc<Redemption>>::deserialize(from)?
                .into_iter()
                .for_each(|redemption| open.insert(redemption));
            Ok(open)
        }
    }
}
