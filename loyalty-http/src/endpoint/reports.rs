//! What the program did over a period, and what the shop owes.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use loyalty_core::Amount;
use loyalty_store::Report;

use super::{Answer, Call, Work, refuse};
use crate::problem::Problem;
use crate::wire::json::field::Timestamp;
use crate::wire::report::ReportAnswer;

/// `GET /v1/reports/summary?from=&until=`: all time, where no period is said. It reads the whole journal and
/// every customer of the shop: minutes for millions of them.
pub(crate) fn summary(call: &Call<'_>) -> Result<Work, Problem> {
    let instant = |name| Ok::<_, Problem>(call.query.value::<Timestamp>(name)?.map(|at| at.0));
    let (shop, now) = (call.shop_id(), call.now);
    let (from, until) = (instant("from")?.unwrap_or_default(), instant("until")?.unwrap_or(now));
    if until < from {
        let detail = "The period must begin before it ends.";
        return Err(Problem::unprocessable("invalid_value", detail).at("until"));
    }
    let csv = match call.query.raw("format") {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(Problem::unprocessable("invalid_value", "This must be json or csv.").at("format")),
    };
    let point_value = call.query.value::<Amount>("point_value")?.map(Amount::get);
    Ok(Work::scan(move |store| {
        let report = Report::of(store, shop, &(from..until), now).map_err(refuse::failure)?;
        let answer = ReportAnswer::new(&report, (from, until, now), point_value);
        if !csv {
            return Ok(Answer::ok(&answer));
        }
        let media = HeaderValue::from_static("text/csv; charset=utf-8");
        Ok(Answer::text(answer.csv()).with(Some((CONTENT_TYPE, media))))
    }))
}
