//! What an operator can set of the application. The server below it has [`Limits`] of its own.
//!
//! [`Limits`]: crate::server::Limits

use std::time::Duration;

use crate::body::BodyLimits;

/// The limits of an [`App`](crate::app::App).
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How big and how slow a body may be.
    pub body: BodyLimits,
    /// How long a request may wait for the store, once that has decided it. Then a read is told to try again, and a
    /// write that its outcome is unknown; what was begun in the store still comes to its end.
    pub store_timeout: Duration,
}

impl Default for Config {
    /// The default limits of a body, and thirty seconds of patience.
    fn default() -> Self {
        Self {
            body: BodyLimits::default(),
            store_timeout: Duration::from_secs(30),
        }
    }
}
