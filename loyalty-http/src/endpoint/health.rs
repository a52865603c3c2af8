//! Health checks for a supervisor or load balancer, without a key.

use loyalty_store::Store;
use schemars::JsonSchema;
use serde::Serialize;

use super::{EncodedResponse, error};
use crate::problem::Problem;

/// The health of the server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Health")]
pub(crate) struct HealthResponse {
    #[schemars(extend("const" = "ok"))]
    status: &'static str,
}

/// The server, and where to read on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Index")]
pub(crate) struct IndexResponse {
    #[schemars(extend("const" = "loyalty-http"))]
    server: &'static str,
    version: &'static str,
    /// The path of the document that describes every operation.
    document: &'static str,
    /// The path of the check that the store accepts requests.
    readiness: &'static str,
}

/// `GET /` and `GET /docs`: where to find the document.
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn index(_: &dyn Store) -> Result<EncodedResponse, Problem> {
    Ok(EncodedResponse::ok(&IndexResponse {
        server: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        document: "/openapi.json",
        readiness: "/readyz",
    }))
}

/// `GET /livez`: 200 as long as the process responds.
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn live(_: &dyn Store) -> Result<EncodedResponse, Problem> {
    Ok(EncodedResponse::ok(&HealthResponse { status: "ok" }))
}

/// `GET /readyz` and `GET /healthz`: 200 if the store is available, else 503.
pub(crate) fn ready(store: &dyn Store) -> Result<EncodedResponse, Problem> {
    store.check_ready().map_err(error::from_failure)?;
    Ok(EncodedResponse::ok(&HealthResponse { status: "ok" }))
}
