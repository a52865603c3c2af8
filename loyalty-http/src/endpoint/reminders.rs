//! Points that expire soon, so that a shop can remind its customers in time.

use chrono::TimeDelta;
use loyalty_core::AccountId;
use loyalty_store::ReminderPage;

use super::{Call, EncodedResponse, HandlerPlan, error, reports};
use crate::problem::Problem;
use crate::wire::reminder::RemindersResponse;

/// The length of the period if no end is given.
const DEFAULT_PERIOD: TimeDelta = TimeDelta::days(30);

/// `GET /v1/reminders?from=&until=`: points that expire in a period, by default the next
/// 30 days. The past part of a period is ignored.
///
/// A page scans at most some thousands of customers. So it can be short or even empty and
/// still have a next page.
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
        let response = EncodedResponse::ok(&RemindersResponse::new(&page, &period, now));
        Ok(response.with_header(page.next.and_then(|last| next.link(&last))))
    }))
}
