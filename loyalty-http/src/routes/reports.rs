//! The routes of reports.

use crate::endpoint::reports;
use crate::route::{Operation, Route, get};
use crate::wire::report::ReportResponse;
use crate::wire::time_series::TimeSeriesResponse;

pub(super) const ROUTES: &[Route] = &[
    get(
        "/v1/reports/summary",
        &["from", "until", "format", "point_value"],
        reports::summary,
        Operation::new(
            "showReport",
            "Reports points issued and used in a period, and the present liability",
        )
        .described(
            "The points of the period come from daily sums. The liability and the members of \
             tiers are counted over every customer of the shop.",
        )
        .returns::<ReportResponse<'_>>()
        .or_text("text/csv; charset=utf-8"),
    ),
    get(
        "/v1/reports/timeseries",
        &["interval", "from", "until", "by", "format"],
        reports::time_series,
        Operation::new(
            "showTimeSeries",
            "Reports points issued and used in each day, week or month of a period",
        )
        .described(
            "By default of the last thirty days, in the shop's calendar; weeks begin on Monday. It \
             comes from daily sums, whatever the length of the journal. What was due and is \
             recorded late is added to the day on which it was due.",
        )
        .returns::<TimeSeriesResponse<'_>>()
        .or_text("text/csv; charset=utf-8"),
    ),
];
