//! The settings of the application. Those of the server below it are [`Limits`].
//!
//! [`Limits`]: crate::server::Limits

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::body::BodyLimits;
use crate::network::PublicUrl;

/// The settings of an [`App`](crate::app::App).
///
/// # Example: a server for small requests
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use loyalty_http::body::BodyLimits;
/// use loyalty_http::{App, Clock, Config};
/// use loyalty_store::MemoryStore;
///
/// let body = BodyLimits { max_bytes: 64 << 10, ..BodyLimits::default() };
/// let config = Config { body, store_timeout: Duration::from_secs(5), ..Config::default() };
/// let app = App::new(Arc::new(MemoryStore::default()), Clock::system()).with_config(config);
/// # drop(app);
/// assert_eq!(Config::default().store_timeout, Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// The size and time limits of a request body.
    pub body: BodyLimits,
    /// The longest wait for the store. After it, a read gets 503 `unavailable` and is
    /// cancelled. A write gets 503 `outcome_unknown`; the store still completes what it
    /// has begun.
    pub store_timeout: Duration,
    /// The memory in bytes of large responses that clients have not read yet. A shop has a
    /// quarter of it. A response beyond it gets 503 `unavailable`; one at a time is always
    /// possible.
    pub response_bytes: usize,
    /// The longest wait for a report, which reads all that a shop has.
    pub report_timeout: Duration,
    /// The URL under which clients reach the server, for absolute links. By default it is
    /// taken from each request.
    pub public_url: Option<PublicUrl>,
    /// Private networks whose addresses a store may give as its endpoint.
    pub allowed_networks: Arc<[IpNet]>,
}

impl Default for Config {
    /// The default [`BodyLimits`], 30 seconds, two minutes for a report, 64 MiB, and no private
    /// networks.
    fn default() -> Self {
        Self {
            body: BodyLimits::default(),
            store_timeout: Duration::from_secs(30),
            response_bytes: 64 << 20,
            report_timeout: Duration::from_mins(2),
            public_url: None,
            allowed_networks: Arc::default(),
        }
    }
}
