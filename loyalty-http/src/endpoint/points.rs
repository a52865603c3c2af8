//! Points: added, subtracted and counted.

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
    let PointsChange { customer: who, points, .. } = change;
    let named = if who.id().is_some() { "/customer_id" } else { "/email" };
    let action = Action::for_customer(who.clone(), Existence::Required, vec![command]);
    let body = move |receipt: &Receipt| to_json(&PointsResponse::new(&who, points, receipt));
    Ok(HandlerPlan::write(action, StatusCode::OK, body, move |rejection| {
        let param = match rejection.code() {
            "customer_not_found" => named,
            "insufficient_points" | "points_out_of_range" => "/points",
            _ => return None,
        };
        Some(param.to_owned())
    }))
}

/// `GET /v1/customers/{customer_id}/point-balance`: now, or as of an instant.
///
/// The past is folded from the journal; the future is what will be if nothing happens.
pub(crate) fn balance(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id: CustomerId = call.path("customer_id")?;
    customers::respond_as_of(call, id.clone(), move |customer, now, said| {
        EncodedResponse::ok(&BalanceResponse::new(&id, customer, now, said))
    })
}

/// `GET /v1/customers/point-balance?customer_ids=a,b,c`: an id's own commas come as `%2C`.
pub(crate) fn balances(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let param = "customer_ids";
    let raw = call.query.raw(param).ok_or_else(|| {
        let detail = "Say whose balances are asked for: `customer_ids`, parted by commas.";
        Problem::bad_request("missing_parameter", detail).with_param(param)
    })?;
    let id = |part: &str| {
        let malformed = || {
            Problem::bad_request("malformed_query", "This is not percent-encoded UTF-8.")
                .with_param(param)
        };
        let text = percent::decode_form(part).ok_or_else(malformed)?;
        CustomerId::from_text(&text).map_err(|refusal| value::param_problem(refusal, param))
    };
    let ids = raw.split(',').map(id).collect::<Result<_, _>>()?;
    Ok(read_balances(call.shop_id(), check_id_count(ids, param)?, call.now))
}

/// `POST /v1/customers/point-balance`: the same for more ids than an address holds.
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
    let mut answer =
        BalancesResponse { balances: Vec::with_capacity(ids.len()), unknown: Vec::new() };
    for customer_id in ids {
        let who = CustomerRef::Id(customer_id.clone());
        match store.customer(shop, &who).map_err(error::from_failure)? {
            Some(customer) => {
                answer
                    .balances
                    .push(BalanceResponse::new(customer_id, &customer, now, None))
            }
            None => answer.unknown.push(customer_id),
        }
    }
    Ok(EncodedResponse::ok(&answer))
}
