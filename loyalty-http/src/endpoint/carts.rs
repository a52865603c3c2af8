//! Carts and checkouts: evaluating the discounts of codes, and reserving uses of codes.

use hyper::StatusCode;
use loyalty_core::CheckoutId;
use loyalty_core::discount::{Code, CodeOutcome, CodeRejection};
use loyalty_store::{Action, DiscountAction, DiscountOutcome, Receipt, Rejection};

use super::discount_codes::lookup_limiter;
use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::problem::Problem;
use crate::wire::cart::{CartBody, CartResponse, ReserveBody, cart_problem};
use crate::wire::discount_code::CheckoutResponse;

/// `POST /v1/carts/evaluate`, which changes nothing. A cart without codes is never slowed.
pub(crate) fn evaluate(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop()?, call.now);
    let (query, shopper) = call.body::<CartBody>()?.parse(&shop, now)?;
    let limiter = lookup_limiter(call, shopper);

    Ok(HandlerPlan::read(move |store| {
        // Just before the lookup, so that carts at the same time do not slip through.
        if !query.cart.codes.is_empty() {
            limiter.admit()?;
        }
        let facts = store.cart_facts(shop.id, query).map_err(error::from_failure)?;
        let evaluation = facts.evaluate().map_err(|error| cart_problem(&error))?;

        let is_unknown =
            |code: &&CodeOutcome| code.outcome.as_ref().is_err_and(CodeRejection::is_unknown);
        limiter.record_failures(evaluation.codes.iter().filter(is_unknown).count());
        Ok(EncodedResponse::ok(&CartResponse::new(&evaluation, shop.currency)))
    }))
}

/// `POST /v1/checkouts/{checkout_id}/codes`: reserves all codes, or none.
pub(crate) fn reserve(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let checkout = call.path::<CheckoutId>("checkout_id")?;
    let (action, shopper) = call.body::<ReserveBody>()?.parse(checkout)?;
    let limiter = lookup_limiter(call, shopper);
    limiter.admit()?;

    Ok(HandlerPlan::write(
        Action::Discount(action),
        StatusCode::OK,
        render_receipt,
        move |rejection| {
            if rejection.refusal().is_some_and(CodeRejection::is_unknown) {
                limiter.record_failures(1);
            }

            if rejection.code() == "invalid_reservation_period" {
                return Some("/until".to_owned());
            }
            let Rejection::CodeRejected { index, .. } = rejection else {
                return Some("/codes".to_owned());
            };
            Some(format!("/codes/{index}"))
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

/// `DELETE /v1/checkouts/{checkout_id}/codes`: releases all reservations, or those of one
/// code.
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
