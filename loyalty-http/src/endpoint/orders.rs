//! Orders and refunds: recording them, and reading them with their points and
//! explanation.

use hyper::StatusCode;
use loyalty_core::discount::CodeRejection;
use loyalty_core::{Command, Explanation, OrderId, OverRefund, entitlement};
use loyalty_store::{Action, OrderCode, OrderRecord, ProfileChange, Receipt};

use super::discount_codes::lookup_limiter;
use super::{Call, EncodedResponse, HandlerPlan, error, to_json};
use crate::long_work::{self, LONG_ORDER};
use crate::problem::{ErrorStatus, Problem};
use crate::throttle::ThrottleSubject;
use crate::wire::order::{OrderBody, OrderResponse};
use crate::wire::refund::{self, RefundBody};
use crate::wire::value::check_not_ahead;

/// `PUT /v1/orders/{order_id}`
pub(crate) fn put(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id: OrderId = call.path("order_id")?;
    let report = call
        .body::<OrderBody>()?
        .parse(id.clone(), &*call.shop()?, call.now)?;
    let pointer = report.error_pointer();

    // An order is a fact, whatever codes it lists. A dry run of it tells only which of them
    // exist.
    let limiter = (call.query.flag("dry_run")? && report.has_codes()).then(|| {
        let shopper = report.customer.as_ref().map(ThrottleSubject::from);
        lookup_limiter(call, shopper.unwrap_or_default())
    });
    if let Some(limiter) = &limiter {
        limiter.admit()?;
    }

    let action = Action::Order {
        command: report.command,
        customer: report.customer,
        change: report.change,
    };
    let render = render_receipt(id);
    let body = move |receipt: &Receipt| {
        if let Some(limiter) = limiter {
            let is_unknown =
                |code: &&OrderCode| code.outcome.as_ref().is_err_and(CodeRejection::is_unknown);
            limiter.record_failures(receipt.codes.iter().filter(is_unknown).count());
        }
        render(receipt)
    };
    Ok(HandlerPlan::write(action, StatusCode::OK, body, pointer))
}

/// `POST /v1/orders/{order_id}/refunds`. A refund that arrives before its order is stored
/// (`"kept": true`) and applied when the order arrives.
pub(crate) fn refund(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id: OrderId = call.path("order_id")?;
    let (refund, at) = call.body::<RefundBody>()?.parse(&*call.shop()?)?;
    check_not_ahead(at, call.now, "/refunded_at")?;
    let pointer = refund::error_pointer(&refund);
    let command = Command::RefundOrder {
        order: id.clone(),
        refund,
        over_refund: OverRefund::Reject,
        at,
    };
    let action = Action::Order { command, customer: None, change: ProfileChange::default() };
    Ok(HandlerPlan::write(action, StatusCode::OK, render_receipt(id), pointer))
}

fn render_receipt(id: OrderId) -> impl FnOnce(&Receipt) -> Vec<u8> + Send {
    move |receipt| to_json(&OrderResponse::from_receipt(&id, receipt))
}

/// `GET /v1/orders/{order_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, id) = (call.shop_id(), call.path::<OrderId>("order_id")?);
    let order = call
        .store
        .order(shop, &id)
        .map_err(error::from_failure)?
        .ok_or_else(order_not_found)?;

    let customer = match order.account {
        Some(account) => call
            .store
            .customer_by_account(shop, account)
            .map_err(error::from_failure)?,
        None => None,
    };
    let lines = order
        .state
        .snapshot()
        .map_or(0, |recorded| recorded.order.lines.len());
    let is_long = lines >= LONG_ORDER;
    let explanation = long_work::run(is_long, || explain(call, &order))?;

    // Most orders have no codes and need no second lookup.
    let has_codes = order
        .state
        .snapshot()
        .is_some_and(|recorded| !recorded.order.codes.is_empty());
    let used_codes = if has_codes {
        call.store
            .codes_used_by_order(shop, &id)
            .map_err(error::from_failure)?
    } else {
        Vec::new()
    };

    let response = OrderResponse::new(&id, &order.state, customer.as_ref(), call.now)
        .with_codes(&order.state, &used_codes);
    let encode = || match &explanation {
        Some(explanation) => EncodedResponse::ok(&response.with_explanation(explanation)),
        None => EncodedResponse::ok(&response),
    };
    Ok(HandlerPlan::Respond(long_work::run(is_long, encode)))
}

/// The explanation of an order's entitlement under the program of its pin; `None` before
/// the order reaches the gate.
fn explain(call: &Call<'_>, order: &OrderRecord) -> Result<Option<Explanation>, Problem> {
    let Some(pin) = order.state.pin() else { return Ok(None) };
    let program = call
        .store
        .program(call.shop_id(), Some(pin.program))
        .map_err(error::from_failure)?;
    let (_, program) = program.ok_or_else(|| Problem::internal("an order's program is missing"))?;
    entitlement(&order.state, &program, pin)
        .map(Some)
        .map_err(Problem::internal)
}

fn order_not_found() -> Problem {
    Problem::new(ErrorStatus::NOT_FOUND, "order_not_found", "Unknown order.").with_param("order_id")
}
