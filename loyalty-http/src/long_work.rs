//! Work of the processor that takes milliseconds, such as reading a large body.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task;

/// The size of a body, in bytes, from which on reading it is long work.
pub(crate) const LONG_BODY: usize = 32 << 10;

/// The number of lines from which on explaining an order is long work.
pub(crate) const LONG_ORDER: usize = 100;

/// Runs work. If it is long, what else this thread would do moves to another thread, where the
/// runtime has several: health checks do not wait.
pub(crate) fn run<T>(is_long: bool, work: impl FnOnce() -> T) -> T {
    let is_multi_thread = || {
        Handle::try_current()
            .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if is_long && is_multi_thread() { task::block_in_place(work) } else { work() }
}
