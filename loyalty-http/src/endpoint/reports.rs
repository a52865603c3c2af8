//! Reports on the points of a period and on the shop's liability.

use std::ops::Range;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use loyalty_core::{Amount, Timestamp};
use loyalty_store::ProgramReport;

use super::{Call, EncodedResponse, HandlerPlan, error};
use crate::problem::Problem;
use crate::reads::ReadCost;
use crate::wire::json::field;
use crate::wire::report::ReportResponse;

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
/// It reads the whole journal and all customers of the shop, which takes minutes for
/// millions: one at a time for a shop, and two in all.
pub(crate) fn summary(call: &Call<'_>) -> Result<HandlerPlan, Problem> {
    let (shop, now) = (call.shop_id(), call.now);
    let period = parse_period(call, Timestamp::UNIX_EPOCH, |_| now)?;
    let csv = match call.query.raw("format") {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => {
            return Err(Problem::unprocessable("invalid_value", "The value must be json or csv.")
                .with_param("format"));
        }
    };
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
        let media = HeaderValue::from_static("text/csv; charset=utf-8");
        Ok(EncodedResponse::new(StatusCode::OK, response.to_csv())
            .with_header(Some((CONTENT_TYPE, media))))
    })
    .costing(ReadCost::Report))
}
