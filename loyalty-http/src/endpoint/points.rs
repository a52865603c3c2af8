//! Points: adding, subtracting, and balances.

use hyper::StatusCode;
use loyalty_core::{Command, CustomerId, ShopId, Timestamp};
use loyalty_store::{Action, CustomerRef, Existence, Receipt, Store};

use super::{Call, EncodedResponse, HandlerPlan, customers, error, to_json};
use crate::problem::Problem;
use crate::wire::json::field::FromText;
use crate::wire::points::{
    BalanceResponse, BalancesBody, BalancesResponse, PointsBody, PointsChange, PointsResponse,
    check_id_count,
};
use crate::wire::{percent, value};

/// `POST /v1/points-add`
pub(crate) fn add(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    change_points(call, |change| Command::AddPoints {
        points: change.points,
        reason: change.reason.clone(),
    })
}

/// `POST /v1/points-subtract`
pub(crate) fn subtract(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    change_points(call, |change| Command::SubtractPoints {
        points: change.points,
        reason: change.reason.clone(),
    })
}

fn change_points(
    call: &Call<'_>,
    command: impl FnOnce(&PointsChange) -> Command,
) -> Result<HandlerPlan, Problem> {
    let change = call.body::<PointsBody>()?.parse()?;
    let command = command(&change);
    let PointsChange { customer, points, .. } = change;
    let customer_pointer = if customer.id().is_some() { "/customer_id" } else { "/email" };
    let action = Action::for_customer(customer.clone(), Existence::Required, vec![command]);
    let body = move |receipt: &Receipt| to_json(&PointsResponse::new(&customer, points, receipt));

    Ok(HandlerPlan::write(action, StatusCode::OK, body, move |rejection| {
        let param = match rejection.code() {
            "customer_not_found" => customer_pointer,
            "insufficient_points" | "points_out_of_range" => "/points",
            _ => return None,
        };
        Some(param.to_owned())
    }))
}

/// `GET /v1/customers/{customer_id}/point-balance`: now, or as of an instant.
///
/// A past balance is folded from the journal. A future one assumes that nothing else
/// happens.
pub(crate) fn balance(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id: CustomerId = call.path("customer_id")?;
    customers::respond_as_of(call, id.clone(), move |customer, now, requested_at| {
        EncodedResponse::ok(&BalanceResponse::new(&id, customer, now, requested_at))
    })
}

/// `GET /v1/customers/point-balance?customer_ids=a,b,c`: a comma within an id is `%2C`.
pub(crate) fn balances(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let param = "customer_ids";
    let raw = call.query.raw(param).ok_or_else(|| {
        let detail = "The query parameter `customer_ids` is missing: one or more ids, separated \
                      by commas.";
        Problem::bad_request("missing_parameter", detail).with_param(param)
    })?;

    // Split before decoding, so that an encoded comma stays part of its id.
    let parse_id = |part: &str| {
        let malformed = || {
            Problem::bad_request("malformed_query", "The value is not percent-encoded UTF-8.")
                .with_param(param)
        };
        let text = percent::decode_form(part).ok_or_else(malformed)?;
        CustomerId::from_text(&text).map_err(|error| value::param_problem(error, param))
    };
    let ids = raw.split(',').map(parse_id).collect::<Result<_, _>>()?;
    Ok(read_balances(call.shop_id(), check_id_count(ids, param)?, call.now))
}

/// `POST /v1/customers/point-balance`: the same for more ids than a URL can contain.
pub(crate) fn balances_by_body(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    Ok(read_balances(call.shop_id(), call.body::<BalancesBody>()?.parse()?, call.now))
}

fn read_balances(shop: ShopId, ids: Vec<CustomerId>, now: Timestamp) -> HandlerPlan {
    HandlerPlan::read(move |store| load_balances(store, shop, &ids, now))
}

fn load_balances(
    store: &dyn Store,
    shop: ShopId,
    ids: &[CustomerId],
    now: Timestamp,
) -> Result<EncodedResponse, Problem> {
    let mut response =
        BalancesResponse { balances: Vec::with_capacity(ids.len()), unknown: Vec::new() };
    for customer_id in ids {
        let key = CustomerRef::Id(customer_id.clone());
        match store.customer(shop, &key).map_err(error::from_failure)? {
            Some(customer) => {
                response
                    .balances
                    .push(BalanceResponse::new(customer_id, &customer, now, None));
            }
            None => response.unknown.push(customer_id),
        }
    }
    Ok(EncodedResponse::ok(&response))
}
