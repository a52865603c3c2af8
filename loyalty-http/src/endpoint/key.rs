//! The API key of the request: its shop and scopes.

use loyalty_core::Timestamp;
use loyalty_store::Scope;
use serde::Serialize;

use super::{Call, EncodedResponse, HandlerPlan};
use crate::problem::Problem;
use crate::wire::value::TimeText;

#[derive(Serialize)]
struct KeyResponse<'a> {
    key_id: &'a str,
    shop_id: String,
    shop: &'a str,
    currency: &'a str,
    time_zone: &'a str,
    scopes: &'a [Scope],
    time: TimeText,
}

/// `GET /v1/key`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (key, shop) = (&call.key.key, call.shop()?);
    let now: Timestamp = call.now;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&KeyResponse {
        key_id: &key.id,
        shop_id: shop.id.to_string(),
        shop: &shop.name,
        currency: shop.currency.code(),
        time_zone: shop.zone.name(),
        scopes: &key.scopes,
        time: TimeText(now),
    })))
}
