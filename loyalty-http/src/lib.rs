//! The HTTP surface of a loyalty engine: a thin hyper server on a [`loyalty_store::Store`].
//!
//! A request's way, which is also the reading order of the modules:
//!
//! 1. [`server`] accepts the connection, keeps its limits, and names the request;
//! 2. [`app`] takes it through the rest: [`router`] finds the operation in the one table of all routes,
//!    [`auth`] finds whose key it brings and whether the key's scope allows it, [`body`] reads the body
//!    within its limits;
//! 3. a handler in `endpoint` parses it ([`wire`]) into a command, and says how the outcome is answered;
//! 4. the app hands the command to the store, with its `idempotency` key, and waits;
//! 5. the outcome becomes the answer, or a [`problem`], and a line of the [`log`].
//!
//! Beside it, the [`scheduler`] has the store write down what time brings about.
//!
//! The store endpoints are there a second time at the paths of Shopify's REST interface, in `shopify`.
//! [`integration`] is the wire of the store plugins, which sign their bodies instead of bringing a key.
//!
//! # Example: a server on a store in memory
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
//! let stop = async { /* until a signal comes */ };
//! server::run(listener, service, Limits::default(), stop).await;
//! # Ok(())
//! # }
//! ```

mod head_timeout;
pub mod server;

pub mod app;
pub mod clock;
pub mod config;

pub mod auth;
pub mod body;
pub mod openapi;
pub mod router;

pub mod scheduler;

mod endpoint;
mod idempotency;
pub mod integration;
mod route;
mod routes;
mod shopify;
mod throttle;
pub mod wire;

pub mod log;
pub mod problem;

pub use app::App;
pub use clock::Clock;
pub use config::Config;
pub use scheduler::Schedule;
pub use server::Limits;
