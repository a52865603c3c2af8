//! Orders and their refunds: reported, and read with what they are worth.

use hyper::StatusCode;
use loyalty_core::{Command, OverRefund, Explanation, OrderId, entitlement};
use loyalty_store::{Action, OrderRecord, ProfileChange, Receipt};

use super::{Answer, Call, Work, refuse, to_json};
use crate::problem::{ErrorStatus, Problem};
use crate::wire::order::{OrderAnswer, OrderBody};
use crate::wire::refund::{self, RefundBody};

/// `PUT /v1/orders/{order_id}`
pub(crate) fn put(call: &Call<'_>) -> Result<Work, Problem> {
    let id: OrderId = call.path("order_id")?;
    let report = call.body::<OrderBody>()?.parse(id.clone(), &*call.shop()?)?;
    let blame = report.blame();
    let action = Action::Order {
        command: report.command,
        customer: report.customer,
        change: report.change,
    };
    Ok(Work::write(action, StatusCode::OK, of_receipt(id), blame))
}

/// `POST /v1/orders/{order_id}/refunds`. One that comes before its order is kept (`"kept": true`) and
/// counts when the order comes.
pub(crate) fn refund(call: &Call<'_>) -> Result<Work, Problem> {
    let id: OrderId = call.path("order_id")?;
    let (refund, at) = call.body::<RefundBody>()?.parse()?;
    let blame = refund::blame(&refund);
    let command = Command::RefundOrder { order: id.clone(), refund, over_refund: OverRefund::Reject, at };
    let action = Action::Order { command, customer: None, change: ProfileChange::default() };
    Ok(Work::write(action, StatusCode::OK, of_receipt(id), blame))
}

fn of_receipt(id: OrderId) -> impl FnOnce(&Receipt) -> Vec<u8> + Send {
    move |receipt| to_json(&OrderAnswer::of_receipt(&id, receipt))
}

/// `GET /v1/orders/{order_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let (shop, id) = (call.shop_id(), call.path::<OrderId>("order_id")?);
    let order = call
        .store
        .order(shop, &id)
        .map_err(refuse::failure)?
        .ok_or_else(no_order)?;
    let customer = match order.account {
        Some(account) => call.store.customer_by_account(shop, account).map_err(refuse::failure)?,
        None => None,
    };
    let explanation = explanation(call, &order)?;
    let brings_codes = order
        .state
        .snapshot()
        .is_some_and(|recorded| !recorded.order.codes.is_empty());
    let used = if brings_codes {
        call.store.codes_used_by_order(shop, &id).map_err(refuse::failure)?
    } else {
        Vec::new()
    };
    let answer = OrderAnswer::new(&id, &order.state, customer.as_ref(), call.now)
        .with_codes(&order.state, &used);
    Ok(Work::Done(match &explanation {
        Some(explanation) => Answer::ok(&answer.explained(explanation)),
        None => Answer::ok(&answer),
    }))
}

/// What an order is worth under the program that it is pinned to. Before it is pinned it is worth nothing.
fn explanation(call: &Call<'_>, order: &OrderRecord) -> Result<Option<Explanation>, Problem> {
    let Some(pin) = order.state.pin() else { return Ok(None) };
    let program = call
        .store
        .program(call.shop_id(), Some(pin.program))
        .map_err(refuse::failure)?;
    let (_, program) = program.ok_or_else(|| Problem::internal("an order without its program"))?;
    entitlement(&order.state, &program, pin)
        .map(Some)
        .map_err(Problem::internal)
}

fn no_order() -> Problem {
    Problem::new(ErrorStatus::NOT_FOUND, "order_not_found", "There is no such order.")
        .at("order_id")
}
