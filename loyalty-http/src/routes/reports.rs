//! The routes of reports.

use crate::endpoint::reports;
use crate::route::{Operation, Route, get};
use crate::wire::report::ReportResponse;

pub(super) const ROUTES: &[Route] = &[get(
    "/v1/reports/summary",
    &["from", "until", "format", "point_value"],
    reports::summary,
    Operation::new(
        "showReport",
        "Reports points issued and used in a period, and the present liability",
    )
    .described("Reads the whole journal and every customer of the shop.")
    .returns::<ReportResponse<'_>>()
    .or_text("text/csv; charset=utf-8"),
)];
