//! Ending a read that nobody waits for any more.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Failure;

thread_local! {
    static CURRENT: RefCell<Option<Cancellation>> = const { RefCell::new(None) };
}

/// A flag that ends a long read on another thread. Its copies are the same flag.
///
/// # Example: a read that nobody waits for
/// ```
/// use loyalty_store::{Cancellation, Failure, MemoryStore, SearchQuery, Store};
/// # use loyalty_core::{Currency, Zone};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = MemoryStore::default();
/// # let shop = loyalty_store::NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// # let now = "2026-01-31T10:00:00Z".parse()?;
/// # let shop = store.create_shop(&shop, now)?.id;
/// let cancellation = Cancellation::default();
/// let period = now..now;
/// let report = || loyalty_store::ProgramReport::compute(&store, shop, &period, now);
/// assert!(cancellation.run(report).is_ok());
///
/// cancellation.cancel();
/// assert_eq!(cancellation.run(report), Err(Failure::Cancelled));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Has the reads that this flag is for end with [`Failure::Cancelled`].
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Runs a read on this thread that ends soon after the flag is set.
    pub fn run<T>(&self, read: impl FnOnce() -> T) -> T {
        let _restore = Restore(CURRENT.replace(Some(self.clone())));
        read()
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Fails if the read on this thread is cancelled. Scans call it at each row.
pub(crate) fn check() -> Result<(), Failure> {
    let is_cancelled =
        CURRENT.with_borrow(|current| current.as_ref().is_some_and(Cancellation::is_cancelled));
    if is_cancelled { Err(Failure::Cancelled) } else { Ok(()) }
}

/// Restores the flag of the read around this one, also after a panic.
struct Restore(Option<Cancellation>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
