//! Whose key this is.

use loyalty_core::Timestamp;
use loyalty_store::Scope;
use serde::Serialize;

use super::{Answer, Call, Work};
use crate::problem::Problem;
use crate::wire::value::Time;

#[derive(Serialize)]
struct KeyAnswer<'a> {
    key_id: &'a str,
    shop_id: String,
    shop: &'a str,
    currency: &'a str,
    time_zone: &'a str,
    scopes: &'a [Scope],
    time: Time,
}

/// `GET /v1/key`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let (key, shop) = (&call.key.key, call.shop()?);
    let now: Timestamp = call.now;
    Ok(Work::Done(Answer::ok(&KeyAnswer {
        key_id: &key.id,
        shop_id: shop.id.to_string(),
        shop: &shop.name,
        currency: shop.currency.code(),
        time_zone: shop.zone.name(),
        scopes: &key.scopes,
        time: Time(now),
    })))
}
