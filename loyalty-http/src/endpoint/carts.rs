//! Carts and checkouts: what codes take off, and uses that are reserved for a while.

use std::sync::Arc;

use hyper::StatusCode;
use loyalty_core::CheckoutId;
use loyalty_core::discount::{Code, CodeRejection};
use loyalty_store::{Action, DiscountAction, DiscountOutcome, Receipt, Rejection};

use super::discount_codes::cart_throttle_keys;
use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::wire::cart::{CartBody, CartResponse, ReserveBody, cart_problem};
use crate::wire::discount_code::CheckoutResponse;

/// `POST /v1/carts/evaluate`. Asking changes nothing; codes of which the public learns only that
/// they are not valid count as failed look-ups, so that a guesser is slowed alike by all of them.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop()?, call.now);
    let (query, asker) = call.body::<CartBody>()?.parse(&shop, now)?;
    let (throttle, subjects) = (Arc::clone(call.throttle), cart_throttle_keys(call, asker));
    throttle.admit(&subjects, now)?;
    Ok(HandlerPlan::read(move |store| {
        let facts = store.cart_facts(shop.id, query).map_err(error::from_failure)?;
        let found = facts.evaluate().map_err(|error| cart_problem(&error))?;
        for _ in found
            .codes
            .iter()
            .filter(|code| code.outcome.as_ref().is_err_and(CodeRejection::is_secret))
        {
            throttle.record_failure(&subjects, now);
        }
        Ok(EncodedResponse::ok(&CartResponse::new(&found, shop.currency)))
    }))
}

/// `POST /v1/checkouts/{checkout_id}/codes`: all of them are reserved, or none.
pub(crate) fn reserve(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let checkout = call.path::<CheckoutId>("checkout_id")?;
    let (action, asker) = call.body::<ReserveBody>()?.parse(checkout)?;
    let (throttle, subjects, now) =
        (Arc::clone(call.throttle), cart_throttle_keys(call, asker), call.now);
    throttle.admit(&subjects, now)?;
    Ok(HandlerPlan::write(
        Action::Discount(action),
        StatusCode::OK,
        render_receipt,
        move |rejection| {
            if rejection.refusal().is_some_and(CodeRejection::is_secret) {
                throttle.record_failure(&subjects, now);
            }
            if rejection.code() == "invalid_reservation_period" {
                return Some("/until".to_owned());
            }
            let Rejection::CodeRejected { index: place, .. } = rejection else {
                return Some("/codes".to_owned());
            };
            Some(format!("/codes/{place}"))
        },
    ))
}

/// `GET /v1/checkouts/{checkout_id}/codes`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = call.path::<CheckoutId>("checkout_id")?;
    let checkout = call
        .store
        .checkout(call.shop_id(), &id, call.now)
        .map_err(error::from_failure)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&CheckoutResponse::from(&checkout))))
}

/// `DELETE /v1/checkouts/{checkout_id}/codes`: all that it holds, or what it holds of one code.
pub(crate) fn release(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (checkout, code) =
        (call.path::<CheckoutId>("checkout_id")?, call.query.value::<Code>("code")?);
    let action = Action::Discount(DiscountAction::Release { checkout, code });
    Ok(HandlerPlan::write(action, StatusCode::OK, render_receipt, |_| None))
}

fn render_receipt(receipt: &Receipt) -> Vec<u8> {
    match &receipt.discount_outcome {
        Some(DiscountOutcome::Checkout(checkout)) => to_json(&CheckoutResponse::from(&**checkout)),
        _ => Vec::new(),
    }
}
