//! The memory of large responses that clients have not read yet.
//!
//! A client may read slowly, or not at all. Its response stays in memory until the write timeout. Without a bound, many
//! such clients would fill the memory: seven hundred of them held 2.8 GB. So large responses share a budget, of which a
//! shop has a part. A response beyond it is dropped, and the client gets 503 with the time to retry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use loyalty_core::ShopId;

/// Smaller responses fit into the buffers of a connection, which are bounded by the number of connections.
const LARGE: usize = 64 << 10;

/// A shop has this part of the whole budget.
const SHARES: usize = 4;

/// The bytes of large responses in memory, for each shop and in total.
#[derive(Clone, Debug)]
pub(crate) struct ResponseBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    limit: usize,
    used: Mutex<UsedBytes>,
}

#[derive(Debug, Default)]
struct UsedBytes {
    total: usize,
    by_shop: HashMap<ShopId, usize>,
}

/// A body that gives its bytes back to the budget when it is dropped.
struct BudgetedBody {
    body: Bytes,
    shop: ShopId,
    budget: Arc<Budget>,
}

impl ResponseBudget {
    /// A budget of so many bytes. A single response may always use a shop's whole part, however large it is.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Budget { limit, used: Mutex::default() }))
    }

    /// Counts a body of a shop until it is dropped; `None` if it does not fit.
    pub(crate) fn admit(&self, shop: ShopId, body: Bytes) -> Option<Bytes> {
        if body.len() < LARGE {
            return Some(body);
        }

        let limit = self.0.limit;
        let mut used = self.0.used();
        let total = used.total.saturating_add(body.len());
        let of_shop = used.by_shop.entry(shop).or_default();
        let shop_total = of_shop.saturating_add(body.len());
        let is_alone = *of_shop == 0;
        if !is_alone && (shop_total > limit / SHARES || total > limit) {
            return None;
        }

        *of_shop = shop_total;
        used.total = total;
        drop(used);
        let budget = Arc::clone(&self.0);
        Some(Bytes::from_owner(BudgetedBody { body, shop, budget }))
    }
}

impl Budget {
    fn used(&self) -> MutexGuard<'_, UsedBytes> {
        // Nothing panics while the lock is held, so a poisoned one is consistent.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for BudgetedBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for BudgetedBody {
    fn drop(&mut self) {
        let mut used = self.budget.used();
        used.total = used.total.saturating_sub(self.body.len());
        if let Some(of_shop) = used.by_shop.get_mut(&self.shop) {
            *of_shop = of_shop.saturating_sub(self.body.len());
            if *of_shop == 0 {
                used.by_shop.remove(&self.shop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ShopId = ShopId(1);
    const OTHER: ShopId = ShopId(2);

    fn body(bytes: usize) -> Bytes {
        vec![b'x'; bytes].into()
    }

    #[test]
    fn a_shop_has_a_part_and_gets_it_back() {
        let budget = ResponseBudget::new(8 * LARGE);
        let first = budget.admit(ONE, body(LARGE));
        let second = budget.admit(ONE, body(LARGE));
        assert_eq!(second.as_ref().map(Bytes::len), Some(LARGE));
        assert_eq!(budget.admit(ONE, body(LARGE)), None);
        assert!(budget.admit(OTHER, body(LARGE)).is_some(), "another shop is not affected");
        assert!(budget.admit(ONE, body(LARGE - 1)).is_some(), "small ones are not counted");

        drop(first);
        assert!(budget.admit(ONE, body(LARGE)).is_some());
        drop(second);
        let used = budget.0.used();
        assert_eq!((used.total, used.by_shop.len()), (0, 0));
    }

    #[test]
    fn one_response_of_a_shop_always_fits() {
        let budget = ResponseBudget::new(LARGE);
        let bodies: Vec<_> = (0..3)
            .map(|shop| budget.admit(ShopId(shop), body(9 * LARGE)))
            .collect();
        assert!(bodies.iter().all(Option::is_some));
        assert_eq!(budget.admit(ONE, body(LARGE)), None);
    }
}
