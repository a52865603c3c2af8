//! Actions of customers other than orders: actions of the program, and codes that they
//! enter.

use hyper::StatusCode;
use loyalty_store::{Action, Existence, Receipt};

use super::{Call, HandlerPlan, to_json};
use crate::problem::Problem;
use crate::wire::award::{ActionBody, ActionResponse};

/// `POST /v1/actions`
pub(crate) fn perform(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (customer, command) = call.body::<ActionBody>()?.parse()?;
    let customer_pointer = if customer.id().is_some() { "/customer_id" } else { "/email" };
    let action = Action::for_customer(customer.clone(), Existence::Required, vec![command]);
    let body = move |receipt: &Receipt| to_json(&ActionResponse::new(&customer, receipt));

    Ok(HandlerPlan::write(action, StatusCode::OK, body, move |rejection| {
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
