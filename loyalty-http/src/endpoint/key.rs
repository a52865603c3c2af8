//! The API key of the request: its shop and scopes.

use loyalty_core::Timestamp;
use loyalty_store::Scope;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, EncodedResponse, HandlerPlan};
use crate::problem::Problem;
use crate::wire::key::scopes_schema;
use crate::wire::schema;
use crate::wire::value::TimeText;

/// An API key, its shop and the server's time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(crate) struct KeyResponse<'a> {
    key_id: &'a str,
    #[schemars(with = "schema::Numeral")]
    shop_id: String,
    shop: &'a str,
    #[schemars(with = "schema::Currency")]
    currency: &'a str,
    /// A time zone of IANA.
    time_zone: &'a str,
    #[schemars(schema_with = "scopes_schema")]
    scopes: &'a [Scope],
    time: TimeText,
}

/// `GET /v1/key`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (key, shop) = (&call.key.key, call.shop()?);
    let now: Timestamp = call.now;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&KeyResponse {
        key_id: &key.hash.id,
        shop_id: shop.id.to_string(),
        shop: &shop.name,
        currency: shop.currency.code(),
        time_zone: shop.zone.name(),
        scopes: &key.scopes,
        time: TimeText(now),
    })))
}
