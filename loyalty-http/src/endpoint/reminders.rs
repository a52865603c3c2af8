//! Points that end soon, so that a shop can remind its customers in time.

use chrono::TimeDelta;
use loyalty_core::AccountId;
use loyalty_store::ReminderPage;

use super::{Call, EncodedResponse, HandlerPlan, error, reports};
use crate::problem::Problem;
use crate::wire::reminder::RemindersResponse;

/// How far it is looked ahead, where nothing is said.
const DEFAULT_PERIOD: TimeDelta = TimeDelta::days(30);

/// `GET /v1/reminders?from=&until=`: the next thirty days, where no period is said; what is over is not told. A
/// page looks through some thousands of customers at most, so it can be short, or empty, and lead to another.
pub(crate) fn list(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop_id(), call.now);
    let period = reports::parse_period(call, now, |from| {
        from.checked_add_signed(DEFAULT_PERIOD).unwrap_or(from)
    })?;
    let period = period.start.max(now)..period.end;
    let (limit, after) = (call.query.limit()?, call.query.cursor::<AccountId>()?);
    let next = call.query.page_linker(call.head.uri.path());
    Ok(HandlerPlan::read(move |store| {
        let page =
            ReminderPage::find(store, shop, &period, after, limit).map_err(error::from_failure)?;
        let answer = EncodedResponse::ok(&RemindersResponse::new(&page, &period, now));
        Ok(answer.with_header(page.next.and_then(|last| next.link(&last))))
    }))
}
