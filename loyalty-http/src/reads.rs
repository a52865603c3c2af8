//! Long reads: a few at a time, so that the rest of the server and the other shops go on, and none
//! that nobody waits for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::ShopId;
use loyalty_store::Cancellation;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{ErrorStatus, Problem};

/// The cost class of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadCost {
    /// A page, or a few records.
    Page,
    /// A search, which may pass all customers of the shop.
    Search,
    /// All that the shop has.
    Report,
}

/// The searches at a time, of all shops and of one. Others wait.
const SEARCHES: (usize, usize) = (4, 2);

/// The searches of one shop that may wait.
const WAITING_SEARCHES: usize = 32;

/// The reports at a time, of all shops and of one. Others are refused.
const REPORTS: (usize, usize) = (2, 1);

/// The seconds after which a refused read can be tried again.
const RETRY_AFTER: u32 = 10;

/// The long reads that run or wait.
pub(crate) struct LongReads {
    searches: Lane,
    reports: Lane,
}

/// Long reads of one kind.
struct Lane {
    running: Arc<Semaphore>,
    per_shop: usize,
    waiting_per_shop: usize,
    shops: Arc<Mutex<HashMap<ShopId, ShopReads>>>,
}

/// The reads of one shop.
struct ShopReads {
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    count: usize,
}

/// Lets a read run until it is dropped.
pub(crate) struct ReadPermit {
    _running: OwnedSemaphorePermit,
    _running_of_shop: OwnedSemaphorePermit,
    _place: Place,
}

/// A read that is counted among those of its shop.
struct Place {
    shop: ShopId,
    shops: Arc<Mutex<HashMap<ShopId, ShopReads>>>,
}

/// Cancels a read when dropped: its client has gone, its time is over, or the server stops.
pub(crate) struct CancelOnDrop(pub(crate) Cancellation);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Default for LongReads {
    fn default() -> Self {
        Self {
            searches: Lane::new(SEARCHES, WAITING_SEARCHES),
            reports: Lane::new(REPORTS, 0),
        }
    }
}

impl LongReads {
    /// Waits until a read may run; at once for one that is not long.
    ///
    /// # Errors
    /// 503 `too_many_reads` if too many run or wait already.
    pub(crate) async fn admit(
        &self,
        shop: ShopId,
        cost: ReadCost,
    ) -> Result<Option<ReadPermit>, Problem> {
        match cost {
            ReadCost::Page => Ok(None),
            ReadCost::Search => self.searches.admit(shop).await.map(Some),
            ReadCost::Report => self.reports.admit(shop).await.map(Some),
        }
    }
}

impl Lane {
    fn new((running, per_shop): (usize, usize), waiting_per_shop: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running)),
            per_shop,
            waiting_per_shop,
            shops: Arc::default(),
        }
    }

    async fn admit(&self, shop: ShopId) -> Result<ReadPermit, Problem> {
        let (place, of_shop) = self.take_place(shop).ok_or_else(too_many_reads)?;
        let running_of_shop = of_shop.acquire_owned().await.map_err(Problem::internal)?;
        let running = Arc::clone(&self.running);
        let running = if self.waiting_per_shop == 0 {
            running.try_acquire_owned().map_err(|_| too_many_reads())?
        } else {
            running.acquire_owned().await.map_err(Problem::internal)?
        };
        Ok(ReadPermit {
            _running: running,
            _running_of_shop: running_of_shop,
            _place: place,
        })
    }

    /// Counts a read, unless its shop has too many.
    fn take_place(&self, shop: ShopId) -> Option<(Place, Arc<Semaphore>)> {
        let mut shops = lock(&self.shops);
        let reads = shops.entry(shop).or_insert_with(|| ShopReads {
            running: Arc::new(Semaphore::new(self.per_shop)),
            count: 0,
        });
        if reads.count >= self.per_shop.saturating_add(self.waiting_per_shop) {
            return None;
        }
        reads.count = reads.count.saturating_add(1);
        Some((Place { shop, shops: Arc::clone(&self.shops) }, Arc::clone(&reads.running)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut reads) = lock(&self.shops).entry(self.shop) {
            reads.get_mut().count = reads.get().count.saturating_sub(1);
            if reads.get().count == 0 {
                reads.remove();
            }
        }
    }
}

/// Nothing panics while the lock is held, so a poisoned lock is usable.
fn lock(shops: &Mutex<HashMap<ShopId, ShopReads>>) -> MutexGuard<'_, HashMap<ShopId, ShopReads>> {
    shops.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 503 `too_many_reads`.
fn too_many_reads() -> Problem {
    let detail = "Too many long reads run already. Retry the request when one has ended.";
    Problem::new(ErrorStatus::UNAVAILABLE, "too_many_reads", detail).with_retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn reports_are_refused_beyond_one_of_a_shop_and_two_in_all() {
        let reads = LongReads::default();
        let admit = async |shop| reads.admit(ShopId(shop), ReadCost::Report).await;
        let first = admit(1).await.unwrap();
        assert_eq!(admit(1).await.err().unwrap().code(), "too_many_reads");
        let _second = admit(2).await.unwrap();
        assert!(admit(3).await.is_err());
        drop(first);
        assert!(admit(3).await.is_ok());
        assert!(admit(1).await.is_ok());
    }

    #[tokio::test]
    async fn searches_wait_and_leave_others_their_places() {
        let reads = LongReads::default();
        let admit = async |shop| {
            timeout(SOON, reads.admit(ShopId(shop), ReadCost::Search))
                .await
                .ok()
                .map(Result::unwrap)
        };
        let (mut running, other) = (vec![admit(1).await.unwrap(), admit(1).await.unwrap()], 2);
        assert!(admit(1).await.is_none(), "a third one of the shop waits");
        running.push(admit(other).await.unwrap());
        drop(running.remove(0));
        assert!(admit(1).await.is_some());

        for cost in [ReadCost::Page, ReadCost::Page, ReadCost::Page] {
            assert!(reads.admit(ShopId(1), cost).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_no_longer_waits_takes_no_place() {
        let reads = LongReads::default();
        let _running = reads.admit(ShopId(1), ReadCost::Search).await.unwrap();
        let _also = reads.admit(ShopId(1), ReadCost::Search).await.unwrap();
        for _ in 0..2 * WAITING_SEARCHES {
            let waiting = timeout(Duration::ZERO, reads.admit(ShopId(1), ReadCost::Search));
            assert!(waiting.await.is_err());
        }
        let waiting: Vec<_> = (0..WAITING_SEARCHES)
            .map(|_| Box::pin(reads.admit(ShopId(1), ReadCost::Search)))
            .collect();
        let mut waiting = waiting;
        for one in &mut waiting {
            assert!(timeout(Duration::ZERO, one.as_mut()).await.is_err());
        }
        assert!(reads.admit(ShopId(1), ReadCost::Search).await.is_err(), "one too many");
    }
}
