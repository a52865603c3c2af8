//! How a customer stands at an instant: tier and lots.

use hyper::header::{HeaderName, HeaderValue};
use loyalty_core::{CustomerId, Lot, LotId, Points, Timestamp};
use loyalty_store::CustomerView;

use super::{Answer, Call, Work, customers};
use crate::problem::Problem;
use crate::wire::lot::{LotAnswer, LotsAnswer};
use crate::wire::tier::TierAnswer;
use crate::wire::value::Time;

/// `GET /v1/customers/{customer_id}/tier`: now, or as of an instant.
pub(crate) fn show(call: &Call<'_>) -> Result<Work, Problem> {
    let id: CustomerId = call.path("customer_id")?;
    customers::at(call, id.clone(), move |customer, now, said| {
        Answer::ok(&TierAnswer::new(&id, customer, now, said))
    })
}

/// `GET /v1/customers/{customer_id}/lots`: now, or as of an instant.
pub(crate) fn lots(call: &Call<'_>) -> Result<Work, Problem> {
    let id: CustomerId = call.path("customer_id")?;
    let (limit, after) = (call.query.limit()?, call.query.cursor::<LotId>()?);
    let next = call.query.linker(call.head.uri.path());
    customers::at(call, id.clone(), move |customer, now, said| {
        page(&id, (customer, now, said), limit, after, |last| next.link(&last))
    })
}

fn page(
    customer_id: &CustomerId,
    (customer, now, said): (&CustomerView, Timestamp, Option<Timestamp>),
    limit: usize,
    after: Option<LotId>,
    link: impl FnOnce(LotId) -> Option<(HeaderName, HeaderValue)>,
) -> Answer {
    let account = customer.as_of(now);
    let mut lots = account.lots().iter().chain(account.pending_lots().iter());
    if let Some(after) = after {
        // A lot that is gone has nothing behind it that is known.
        lots.find(|lot| lot.id == after);
    }
    let found: Vec<&Lot> = lots.by_ref().take(limit).collect();
    let more = lots.next().is_some();
    let last = found.last().filter(|_| more).map(|lot| lot.id);
    let answer = LotsAnswer {
        customer_id,
        point_balance: customer.balance(now),
        pending: customer.pending(now),
        debt: if account.debt().is_positive() { account.debt() } else { Points::ZERO },
        lots: found.into_iter().map(LotAnswer::new).collect(),
        at: said.map(Time),
    };
    Answer::ok(&answer).with(last.and_then(link))
}
