//! Points that end soon, so that a shop can remind its customers in time.

use chrono::TimeDelta;
use loyalty_core::AccountId;
use loyalty_store::ReminderPage;

use super::{Answer, Call, Work, refuse, reports};
use crate::problem::Problem;
use crate::wire::reminder::RemindersAnswer;

/// How far it is looked ahead, where nothing is said.
const AHEAD: TimeDelta = TimeDelta::days(30);

/// `GET /v1/reminders?from=&until=`: the next thirty days, where no period is said; what is over is not told. A
/// page looks through some thousands of customers at most, so it can be short, or empty, and lead to another.
pub(crate) fn list(call: &Call<'_>) -> Result<Work, Problem> {
    let (shop, now) = (call.shop_id(), call.now);
    let period = reports::period(call, now, |from| from.checked_add_signed(AHEAD).unwrap_or(from))?;
    let period = period.start.max(now)..period.end;
    let (limit, after) = (call.query.limit()?, call.query.cursor::<AccountId>()?);
    let next = call.query.linker(call.head.uri.path());
    Ok(Work::scan(move |store| {
        let page = ReminderPage::find(store, shop, &period, after, limit).map_err(refuse::failure)?;
        let answer = Answer::ok(&RemindersAnswer::new(&page, &period, now));
        Ok(answer.with(page.next.and_then(|last| next.link(&last))))
    }))
}
