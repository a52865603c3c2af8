//! A time series of a shop's points on the wire: as JSON, and as CSV for spreadsheets.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use chrono::{Datelike, Days, Months, NaiveDate};
use loyalty_core::{ActionId, Points, Timestamp, Zone};
use loyalty_store::{PeriodTotals, local_day};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::json::BodyErrorCode;
use super::json::field::{FieldError, FromText};
use super::report::{ActionTotalResponse, IssuedResponse, MAX_ACTIONS, escape_cell};
use super::schema;
use super::value::TimeText;

/// The most intervals of a series.
pub(crate) const MAX_BUCKETS: usize = 1_000;

/// The length of an interval in the shop's calendar. Weeks begin on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interval {
    Day,
    Week,
    Month,
}

impl Interval {
    const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the first day of the interval of a day.
    fn start_of(self, day: NaiveDate) -> NaiveDate {
        let start = match self {
            Self::Day => Some(day),
            Self::Week => {
                let passed = day.weekday().num_days_from_monday();
                day.checked_sub_days(Days::new(u64::from(passed)))
            }
            Self::Month => day.with_day(1),
        };
        start.unwrap_or(day)
    }

    /// Returns the first day of the interval behind one.
    fn next(self, start: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Week => start.checked_add_days(Days::new(7)),
            Self::Month => start.checked_add_months(Months::new(1)),
        }
    }

    /// Returns the first days of all intervals of a period; `None` if there are too many.
    pub(crate) fn starts(self, zone: Zone, period: &Range<Timestamp>) -> Option<Vec<NaiveDate>> {
        let (mut starts, mut next) =
            (Vec::new(), Some(self.start_of(local_day(zone, period.start))));
        let last = chrono::TimeDelta::microseconds(1);
        let last = period.end.checked_sub_signed(last).unwrap_or(period.end);
        let last = local_day(zone, last);
        while let Some(start) = next.filter(|start| *start <= last && !period.is_empty()) {
            if starts.len() >= MAX_BUCKETS {
                return None;
            }
            starts.push(start);
            next = self.next(start);
        }
        Some(starts)
    }
}

impl FromText for Interval {
    const EXPECTED: &'static str = "\"day\", \"week\" or \"month\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        let named = Self::ALL.into_iter().find(|interval| interval.name() == text);
        named.ok_or_else(|| {
            let sentence = "This must be day, week or month.";
            FieldError::new(BodyErrorCode::InvalidValue, sentence)
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": Self::ALL.map(Self::name), "default": "day" })
    }
}

/// What a series is divided by besides time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByAction;

impl FromText for ByAction {
    const EXPECTED: &'static str = "\"action\"";

    fn from_text(text: &str) -> Result<Self, FieldError> {
        if text == "action" {
            return Ok(Self);
        }
        Err(FieldError::new(BodyErrorCode::InvalidValue, "This must be action."))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["action"] })
    }
}

/// Points issued and used in each interval from `from` until `until`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TimeSeries")]
pub(crate) struct TimeSeriesResponse<'a> {
    #[schemars(extend("enum" = ["day", "week", "month"]))]
    interval: &'static str,
    /// The zone of the shop's calendar.
    time_zone: &'static str,
    from: TimeText,
    until: TimeText,
    /// The instant up to which all that was due is recorded. What was due later can still be added
    /// to its interval. Null while a new program is being applied.
    settled_until: Option<TimeText>,
    #[schemars(length(max = MAX_BUCKETS))]
    buckets: Vec<BucketResponse<'a>>,
}

/// The points of an interval.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TimeSeriesBucket")]
struct BucketResponse<'a> {
    /// Its first day. The first and the last interval have only what is within the period.
    #[schemars(with = "schema::Date")]
    start: NaiveDate,
    issued: IssuedResponse,
    #[schemars(with = "schema::Points")]
    redeemed: Points,
    #[schemars(with = "schema::Points")]
    expired: Points,
    #[schemars(with = "schema::Points")]
    clawed_back: Points,
    /// Points of customers who were erased, less their debt.
    #[schemars(with = "schema::Points")]
    erased: Points,
    #[schemars(with = "schema::Points")]
    adjusted: Points,
    /// With `by=action`: the actions that paid most in the whole period, those that paid here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_ACTIONS))]
    actions: Option<Vec<ActionTotalResponse<'a>>>,
}

/// The totals of each interval, by its first day.
#[derive(Debug)]
pub(crate) struct Buckets(Vec<(NaiveDate, PeriodTotals)>);

impl Buckets {
    /// Sums up days by intervals, also those without points.
    pub(crate) fn new(
        interval: Interval,
        starts: Vec<NaiveDate>,
        days: &BTreeMap<NaiveDate, PeriodTotals>,
    ) -> Self {
        let mut buckets: BTreeMap<_, PeriodTotals> = starts
            .into_iter()
            .map(|start| (start, PeriodTotals::default()))
            .collect();
        for (day, totals) in days {
            buckets.entry(interval.start_of(*day)).or_default().add(totals);
        }
        Self(buckets.into_iter().collect())
    }

    /// Returns the actions that paid most in the whole period.
    fn top_actions(&self) -> Vec<&ActionId> {
        let mut sums = BTreeMap::<&ActionId, Points>::new();
        for (action, paid) in self.0.iter().flat_map(|(_, totals)| &totals.actions) {
            let sum = sums.entry(action).or_default();
            *sum = sum.saturating_add(paid.points);
        }
        let mut actions: Vec<_> = sums.into_iter().collect();
        actions.sort_by_key(|(action, points)| (Reverse(*points), *action));
        actions
            .into_iter()
            .map(|(action, _)| action)
            .take(MAX_ACTIONS)
            .collect()
    }
}

impl<'a> TimeSeriesResponse<'a> {
    pub(crate) fn new(
        (interval, zone): (Interval, Zone),
        period: &Range<Timestamp>,
        settled_until: Option<Timestamp>,
        buckets: &'a Buckets,
        by: Option<ByAction>,
    ) -> Self {
        let top = by.map(|ByAction| buckets.top_actions());
        let of = |top: &Vec<&'a ActionId>, totals: &PeriodTotals| {
            let paid = top.iter().filter_map(|action| {
                let paid = totals.actions.get(*action)?;
                Some(ActionTotalResponse::new(action, paid))
            });
            paid.collect::<Vec<_>>()
        };
        let bucket = |(start, totals): &(NaiveDate, PeriodTotals)| BucketResponse {
            start: *start,
            issued: IssuedResponse::new(totals),
            redeemed: totals.redeemed,
            expired: totals.expired,
            clawed_back: totals.clawed_back,
            erased: totals.erased,
            adjusted: totals.adjusted,
            actions: top.as_ref().map(|top| of(top, totals)),
        };
        Self {
            interval: interval.name(),
            time_zone: zone.name(),
            from: TimeText(period.start),
            until: TimeText(period.end),
            settled_until: settled_until.map(TimeText),
            buckets: buckets.0.iter().map(bucket).collect(),
        }
    }

    /// The series as CSV: a line for each interval, or with actions for each of its actions.
    pub(crate) fn to_csv(&self, by: Option<ByAction>) -> String {
        let mut csv = String::new();
        // A string grows without failing.
        if by.is_some() {
            csv.push_str("start,action_id,times,points\r\n");
            for bucket in &self.buckets {
                for paid in bucket.actions.iter().flatten() {
                    let (action, times, points) = paid.cells();
                    let action = escape_cell(action);
                    let _ = write!(csv, "{},{action},{times},{points}\r\n", bucket.start);
                }
            }
            return csv;
        }
        csv.push_str(
            "start,orders,awards,by_hand,issued,redeemed,expired,clawed_back,erased,adjusted\r\n",
        );
        for bucket in &self.buckets {
            let BucketResponse { start, redeemed, expired, clawed_back, erased, adjusted, .. } =
                bucket;
            let issued = bucket.issued.cells().map(|points| points.to_string()).join(",");
            let _ = write!(
                csv,
                "{start},{issued},{redeemed},{expired},{clawed_back},{erased},{adjusted}\r\n"
            );
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    fn starts(interval: Interval, from: &str, until: &str) -> Vec<String> {
        let period = from.parse().unwrap()..until.parse().unwrap();
        let zone = "Europe/Berlin".parse().unwrap();
        let starts = interval.starts(zone, &period).unwrap();
        starts.iter().map(NaiveDate::to_string).collect()
    }

    #[test]
    fn intervals_are_those_of_the_shops_calendar() {
        // 1 March 2026 is a Sunday; Berlin is an hour ahead of UTC.
        let found = starts(Interval::Day, "2026-02-27T22:59:59Z", "2026-03-01T23:00:00Z");
        assert_eq!(found, ["2026-02-27", "2026-02-28", "2026-03-01"]);
        let found = starts(Interval::Week, "2026-02-27T22:59:59Z", "2026-03-01T23:00:01Z");
        assert_eq!(found, ["2026-02-23", "2026-03-02"]);
        let found = starts(Interval::Month, "2025-12-31T23:00:00Z", "2026-02-28T23:00:01Z");
        assert_eq!(found, ["2026-01-01", "2026-02-01", "2026-03-01"]);
        assert_eq!(
            starts(Interval::Day, "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn intervals_are_bounded() {
        let day = chrono::TimeDelta::days(1);
        let start: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
        for (days, is_allowed) in [(1_000, true), (1_001, false)] {
            let period = start..start + day * days;
            assert_eq!(Interval::Day.starts(Zone::UTC, &period).is_some(), is_allowed);
        }
    }
}
