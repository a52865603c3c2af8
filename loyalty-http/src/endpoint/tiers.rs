//! A customer's tier and lots at an instant.

use hyper::header::{HeaderName, HeaderValue};
use loyalty_core::{CustomerId, Lot, LotId, Points, Timestamp};
use loyalty_store::CustomerView;

use super::{Call, EncodedResponse, HandlerPlan, customers};
use crate::problem::Problem;
use crate::wire::lot::{LotResponse, LotsResponse};
use crate::wire::tier::TierResponse;
use crate::wire::value::TimeText;

/// `GET /v1/customers/{customer_id}/tier`: now, or as of an instant.
pub(crate) fn show(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id: CustomerId = call.path("customer_id")?;
    customers::respond_as_of(call, id.clone(), move |customer, now, requested_at| {
        EncodedResponse::ok(&TierResponse::new(&id, customer, now, requested_at))
    })
}

/// `GET /v1/customers/{customer_id}/lots`: now, or as of an instant.
pub(crate) fn lots(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let id: CustomerId = call.path("customer_id")?;
    let (limit, after) = (call.query.limit()?, call.query.cursor::<LotId>()?);
    let next = call.query.page_linker(call.head.uri.path());
    customers::respond_as_of(call, id.clone(), move |customer, now, requested_at| {
        render_page(&id, (customer, now, requested_at), limit, after, |last| next.link(&last))
    })
}

fn render_page(
    customer_id: &CustomerId,
    (customer, now, requested_at): (&CustomerView, Timestamp, Option<Timestamp>),
    limit: usize,
    after: Option<LotId>,
    link: impl FnOnce(LotId) -> Option<(HeaderName, HeaderValue)>,
) -> EncodedResponse {
    let account = customer.as_of(now);
    let mut lots = account.lots().iter().chain(account.pending_lots().iter());
    if let Some(after) = after {
        // If this lot has been consumed since, its place is unknown and the list ends.
        lots.find(|lot| lot.id == after);
    }

    let page: Vec<&Lot> = lots.by_ref().take(limit).collect();
    let has_more = lots.next().is_some();
    let last = page.last().filter(|_| has_more).map(|lot| lot.id);

    let response = LotsResponse {
        customer_id,
        point_balance: customer.balance(now),
        pending: customer.pending(now),
        debt: if account.debt().is_positive() { account.debt() } else { Points::ZERO },
        lots: page.into_iter().map(LotResponse::new).collect(),
        at: requested_at.map(TimeText),
    };
    EncodedResponse::ok(&response).with_header(last.and_then(link))
}
