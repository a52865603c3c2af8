//! Rewards and redemptions: listing rewards, and issuing, using, cancelling and reading
//! redemptions.

use hyper::StatusCode;
use loyalty_core::{CustomerId, RedemptionId, ShopId, Timestamp};
use loyalty_store::{
    Action, CustomerRef, CustomerView, Receipt, RedemptionAction, RedemptionStatus, Rejection,
    Store,
};

use super::{Call, EncodedResponse, HandlerPlan, customers, error, to_json};
use crate::problem::Problem;
use crate::wire::page::PageItems;
use crate::wire::redemption::{
    CustomerRewardsResponse, EmptyBody, RedemptionBody, RedemptionResponse, RedemptionsResponse,
    RewardsResponse, UseBody,
};
use crate::wire::value::parse_number;

/// `GET /v1/rewards`: the rewards of the program in force.
pub(crate) fn rewards(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let program = call
        .store
        .program(call.shop_id(), None)
        .map_err(error::from_failure)?;
    let (_, program) = program.ok_or_else(|| Problem::internal("the shop has no program"))?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&RewardsResponse::new(&program))))
}

/// `GET /v1/customers/{customer_id}/rewards`: the rewards that the customer can redeem,
/// and the reasons why not the others.
pub(crate) fn customer_rewards(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = CustomerRef::Id(call.path::<CustomerId>("customer_id")?);
    let rewards = call
        .store
        .rewards(call.shop_id(), &customer, call.now)
        .map_err(error::from_failure)?;
    let rewards = rewards.ok_or_else(error::customer_not_found)?;
    Ok(HandlerPlan::Respond(EncodedResponse::ok(&CustomerRewardsResponse::new(
        &rewards,
    ))))
}

/// `POST /v1/redemptions`
pub(crate) fn issue(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let action = call.body::<RedemptionBody>()?.parse(draw_entropy()?)?;
    let by_id =
        matches!(&action, RedemptionAction::Issue { customer, .. } if customer.id().is_some());
    let customer_pointer = if by_id { "/customer_id" } else { "/email" };

    Ok(HandlerPlan::write(
        Action::Redemption(action),
        StatusCode::CREATED,
        render_receipt,
        move |rejection| {
            let param = match rejection.code() {
                "customer_not_found" => customer_pointer,
                "invalid_amount" => "/amount",
                "maximum_share_exceeded" => "/subtotal",
                _ => "/reward_id",
            };
            Some(param.to_owned())
        },
    ))
}

/// Random bytes of the system, for a code. Drawn here, since the store's decisions are
/// deterministic.
pub(crate) fn draw_entropy<const BYTES: usize>() -> Result<[u8; BYTES], Problem> {
    let mut bits = [0; BYTES];
    getrandom::fill(&mut bits).map_err(|error| Problem::unavailable(1, error))?;
    Ok(bits)
}

/// `POST /v1/redemptions/{redemption_id}/cancel`
pub(crate) fn cancel(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = path_id(call)?;
    call.optional_body::<EmptyBody>()?;
    Ok(change_redemption(RedemptionAction::Cancel { id }))
}

/// `POST /v1/redemptions/{redemption_id}/use`
pub(crate) fn mark_used(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id = path_id(call)?;
    let order = call.optional_body::<UseBody>()?.into_order();
    Ok(change_redemption(RedemptionAction::Use { id, order }))
}

fn change_redemption(action: RedemptionAction) -> HandlerPlan {
    HandlerPlan::write(Action::Redemption(action), StatusCode::OK, render_receipt, |_| {
        Some("redemption_id".to_owned())
    })
}

fn render_receipt(receipt: &Receipt) -> Vec<u8> {
    to_json(&RedemptionResponse::from_receipt(receipt))
}

/// `GET /v1/redemptions/{redemption_id}`
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    show_now(call.store, call.shop_id(), path_id(call)?, call.now).map(HandlerPlan::Respond)
}

/// A redemption as it is now.
pub(crate) fn show_now(
    store: &dyn Store,
    shop: ShopId,
    id: RedemptionId,
    now: Timestamp,
) -> Result<EncodedResponse, Problem> {
    let view = store.redemption(shop, id).map_err(error::from_failure)?;
    let view = view.ok_or_else(redemption_not_found)?;
    let customer = store.customer_by_account(shop, view.account);
    let customer = customer.map_err(error::from_failure)?;
    Ok(EncodedResponse::ok(&RedemptionResponse::new(&view, customer.as_ref(), now)))
}

/// `GET /v1/redemptions`: newest first.
pub(crate) fn list_of_shop(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (limit, after) = (call.query.limit()?, call.query.cursor::<RedemptionId>()?);
    let status = call.query.value::<RedemptionStatus>("status")?;
    let next = call.query.page_linker(call.head.uri.path());
    let (shop, now) = (call.shop_id(), call.now);

    Ok(HandlerPlan::read(move |store: &dyn Store| {
        let page = store
            .shop_redemptions(shop, status.map(|status| (status, now)), after, limit)
            .map_err(error::from_failure)?;
        let customers = page
            .items
            .iter()
            .map(|view| store.customer_by_account(shop, view.account));
        let customers: Vec<_> = customers.collect::<Result<_, _>>().map_err(error::from_failure)?;
        let items = page.items.iter().zip(&customers).map(|(view, customer)| {
            (RedemptionResponse::new(view, customer.as_ref(), now), view.id())
        });
        let (redemptions, last) = PageItems::encode(items, page.has_more);
        let link = last.and_then(|last| next.link(&last));
        Ok(EncodedResponse::ok(&RedemptionsResponse { redemptions }).with_header(link))
    }))
}

/// `GET /v1/customers/{customer_id}/redemptions`: newest first. Redemptions of guests who
/// were merged into this customer come after the customer's own.
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let customer = customers::find(call, call.path("customer_id")?)?;
    let (limit, after) = (call.query.limit()?, call.query.cursor::<RedemptionId>()?);
    let next = call.query.page_linker(call.head.uri.path());
    let (shop, now) = (call.shop_id(), call.now);

    Ok(HandlerPlan::read(move |store: &dyn Store| {
        let account = CustomerView::record(&customer).account;
        let page = store
            .redemptions(shop, account, after, limit)
            .map_err(error::from_failure)?;
        let items = page
            .items
            .iter()
            .map(|view| (RedemptionResponse::new(view, Some(&customer), now), view.id()));
        let (redemptions, last) = PageItems::encode(items, page.has_more);
        Ok(EncodedResponse::ok(&RedemptionsResponse { redemptions })
            .with_header(last.and_then(|last| next.link(&last))))
    }))
}

pub(crate) fn path_id(call: &Call<'_>) -> Result<RedemptionId, Problem> {
    let text = call.params.get("redemption_id").unwrap_or_default();
    parse_number(text).map(RedemptionId).ok_or_else(redemption_not_found)
}

/// 404, also for an id that is not a number.
pub(crate) fn redemption_not_found() -> Problem {
    error::from_rejection(&Rejection::RedemptionNotFound, Some("redemption_id".to_owned()))
}
