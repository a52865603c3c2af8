//! The HTTP API of a loyalty engine: a hyper server on a [`loyalty_store::Store`].
//!
//! The steps of a request, which are also the reading order of the modules:
//!
//! 1. [`server`] accepts the connection, applies its limits, and assigns a request id.
//! 2. [`app`] runs the following steps. [`router`] finds the operation in the table of
//!    all routes. [`auth`] checks the API key and its scope. [`body`] reads the body
//!    within its limits.
//! 3. A handler in `endpoint` parses the request ([`wire`]) into a command, and provides
//!    the function that renders the response.
//! 4. The app submits the command to the store, with its `idempotency` key, and waits.
//! 5. The outcome becomes a response or a [`problem`], and a line of the [`log`].
//!
//! The [`scheduler`] runs beside the server and has the store record the events that are
//! due.
//!
//! `shopify` has the store endpoints a second time, at the paths of Shopify's REST API.
//! [`integration`] is the API of the store plugins, which sign their bodies instead of
//! sending a key in a header.
//!
//! # Example: a server with a store in memory
//! ```
//! use std::sync::Arc;
//! use loyalty_http::{App, Clock, Limits, server};
//! use loyalty_store::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let app = Arc::new(App::new(Arc::new(MemoryStore::default()), Clock::system()));
//! let service = move |request, id| {
//!     let app = Arc::clone(&app);
//!     async move { app.handle(request, id).await }
//! };
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let stop = async { /* resolves when a signal arrives */ };
//! server::run(listener, service, Limits::default(), stop).await;
//! # Ok(())
//! # }
//! ```

mod connections;
mod head_timeout;
mod request_id;
mod response_budget;
pub mod server;
mod sliced_body;
pub mod trace_id;

pub mod metrics;
pub mod network;
pub mod outbound;

pub mod app;
pub mod clock;
pub mod config;

pub mod auth;
pub mod body;
mod credentials;
pub mod openapi;
pub mod router;

pub mod scheduler;

pub mod connected_store;
pub mod connector;
mod endpoint;
mod idempotency;
pub mod import;
pub mod integration;
mod long_work;
mod reads;
mod route;
mod routes;
pub mod sender;
mod shopify;
mod store_inbox;
mod throttle;
pub mod wire;

pub mod log;
pub mod problem;

pub use app::App;
pub use clock::Clock;
pub use config::Config;
pub use request_id::RequestId;
pub use scheduler::Schedule;
pub use server::Limits;
