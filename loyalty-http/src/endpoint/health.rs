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

/// `GET /livez`: 200 as long as the process responds.
#[expect(clippy::unnecessary_wraps, reason = "the table's signature")]
pub(crate) fn live(_: &dyn Store) -> Result<EncodedResponse, Problem> {
    Ok(EncodedResponse::ok(&HealthResponse { status: "ok" }))
}

/// `GET /readyz`: 200 if the store is available, else 503.
pub(crate) fn ready(store: &dyn Store) -> Result<EncodedResponse, Problem> {
    store.check_ready().map_err(error::from_failure)?;
    Ok(EncodedResponse::ok(&HealthResponse { status: "ok" }))
}
