//! Actions of customers other than orders: actions of the program, and codes that they
//! enter.

use hyper::StatusCode;
use loyalty_core::{Command, Rejection as Refusal};
use loyalty_store::{Action, Existence, Receipt, Rejection};

use super::discount_codes::lookup_limiter;
use super::{Call, HandlerPlan, to_json};
use crate::problem::Problem;
use crate::throttle::ThrottleSubject;
use crate::wire::award::{ActionBody, ActionResponse};

/// `POST /v1/actions`
pub(crate) fn perform(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (customer, command) = call.body::<ActionBody>()?.parse()?;
    // A manual code is looked up; an action is no secret.
    let limiter = matches!(command, Command::EnterCode { .. })
        .then(|| lookup_limiter(call, ThrottleSubject::from(&customer)));
    if let Some(limiter) = &limiter {
        limiter.admit()?;
    }

    let customer_pointer = if customer.id().is_some() { "/customer_id" } else { "/email" };
    let action = Action::for_customer(customer.clone(), Existence::Required, vec![command]);
    let body = move |receipt: &Receipt| to_json(&ActionResponse::new(&customer, receipt));

    Ok(HandlerPlan::write(action, StatusCode::OK, body, move |rejection| {
        if let (Some(limiter), Rejection::Rules(Refusal::UnknownCode)) = (&limiter, rejection) {
            limiter.record_failures(1);
        }

        let param = match rejection.code() {
            "customer_not_found" => customer_pointer,
            "unknown_action" | "action_not_open" | "limit_reached" => "/action_id",
            "unknown_code" => "/code",
            "no_points_override" | "points_out_of_range" | "invalid_points" => "/points",
            _ => return None,
        };
        Some(param.to_owned())
    }))
}
