//! Reports on the points of a period and on the shop's liability.

use std::ops::Range;

use chrono::TimeDelta;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use loyalty_core::{Amount, ShopId, Timestamp};
use loyalty_store::{Failure, ProgramReport, Store, days_between};

use super::{Call, EncodedResponse, HandlerPlan, error};
use crate::problem::Problem;
use crate::reads::ReadCost;
use crate::wire::json::field;
use crate::wire::report::ReportResponse;
use crate::wire::time_series::{Buckets, ByAction, Interval, MAX_BUCKETS, TimeSeriesResponse};

/// The requested period, half open. `from` and `until` are the defaults; `until` gets the
/// start.
pub(super) fn parse_period(
    call: &Call<'_>,
    from: Timestamp,
    until: impl FnOnce(Timestamp) -> Timestamp,
) -> Result<Range<Timestamp>, Problem> {
    let instant =
        |name| Ok::<_, Problem>(call.query.value::<field::TimeField>(name)?.map(|at| at.0));
    let from = instant("from")?.unwrap_or(from);
    let until = instant("until")?.unwrap_or_else(|| until(from));
    if until < from {
        let detail = "`until` must not be before `from`.";
        return Err(Problem::unprocessable("invalid_value", detail).with_param("until"));
    }
    Ok(from..until)
}

/// `GET /v1/reports/summary?from=&until=`: the report of a period, by default of all
/// time. The value of a point is `point_value`, else that of the program.
///
/// The points of the period come from daily sums. The liability and the members of tiers are
/// counted over all customers of the shop, which takes minutes for millions: one at a time for a
/// shop, and two in all.
pub(crate) fn summary(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop_id(), call.now);
    let period = parse_period(call, Timestamp::UNIX_EPOCH, |_| now)?;
    let csv = wants_csv(call)?;
    let requested_value = call.query.value::<Amount>("point_value")?;

    Ok(HandlerPlan::read(move |store| {
        let program = store.program(shop, None).map_err(error::from_failure)?;
        let point_value =
            requested_value.or(program.and_then(|(_, program)| program.definition().point_value));
        let report =
            ProgramReport::compute(store, shop, &period, now).map_err(error::from_failure)?;

        let response = ReportResponse::new(&report, &period, now, point_value);
        if !csv {
            return Ok(EncodedResponse::ok(&response));
        }
        Ok(csv_response(response.to_csv()))
    })
    .costing(ReadCost::Report))
}

/// `GET /v1/reports/timeseries?interval=&from=&until=&by=`: the points of each interval, by default
/// of the last thirty days. It reads daily sums, and the rows of the first and the last day.
pub(crate) fn time_series(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop()?, call.now);
    let interval = call.query.value::<Interval>("interval")?.unwrap_or(Interval::Day);
    let by = call.query.value::<ByAction>("by")?;
    let default_from = now.checked_sub_signed(TimeDelta::days(30)).unwrap_or(now);
    let period = parse_period(call, default_from, |from| from.max(now))?;
    let csv = wants_csv(call)?;
    let starts = interval.starts(shop.zone, &period).ok_or_else(|| {
        let detail = format!("The period must have at most {MAX_BUCKETS} intervals.");
        Problem::unprocessable("out_of_range", detail).with_param("from")
    })?;

    Ok(HandlerPlan::read(move |store| {
        let settled_until = settled_until(store, shop.id, now).map_err(error::from_failure)?;
        let days = days_between(store, shop.id, &period).map_err(error::from_failure)?;
        let buckets = Buckets::new(interval, starts, &days);
        let series = (interval, shop.zone);
        let response = TimeSeriesResponse::new(series, &period, settled_until, &buckets, by);
        if csv {
            return Ok(csv_response(response.to_csv(by)));
        }
        Ok(EncodedResponse::ok(&response))
    })
    .costing(ReadCost::Search))
}

/// Returns an instant up to which all that was due for a shop is recorded; `None` if it is not
/// known.
fn settled_until(
    store: &dyn Store,
    shop: ShopId,
    now: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    /// The due accounts of all shops that are passed.
    const PASSED: usize = 1_000;
    if store.shops_to_reschedule()?.contains(&shop) {
        return Ok(None);
    }
    let due = store.due(now, None, PASSED)?;
    let first = due.iter().find(|due| due.shop == shop);
    let first = first.or(due.last().filter(|_| due.len() >= PASSED));
    Ok(Some(first.map_or(now, |due| due.at)))
}

fn wants_csv(call: &Call<'_>) -> Result<bool, Problem> {
    match call.query.raw("format") {
        None | Some("json") => Ok(false),
        Some("csv") => Ok(true),
        Some(_) => Err(Problem::unprocessable("invalid_value", "The value must be json or csv.")
            .with_param("format")),
    }
}

fn csv_response(csv: String) -> EncodedResponse {
    let media = HeaderValue::from_static("text/csv; charset=utf-8");
    EncodedResponse::new(StatusCode::OK, csv).with_header(Some((CONTENT_TYPE, media)))
}
