//! A report on the wire: as JSON, and as CSV for spreadsheets.

use std::cmp::Reverse;
use std::fmt::Write;
use std::ops::Range;

use loyalty_core::{ActionId, Amount, Points, TierId, Timestamp};
use loyalty_store::{ActionTotals, PeriodTotals, ProgramReport, YearMonth};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;

use super::schema;
use super::value::TimeText;

/// The most actions of a report.
pub(crate) const MAX_ACTIONS: usize = 20;

/// Points issued and used from `from` until `until`, and the liability at `at`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Report")]
pub(crate) struct ReportResponse<'a> {
    from: TimeText,
    until: TimeText,
    at: TimeText,
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
    /// Redeemed points divided by issued points; null where nothing was issued.
    #[schemars(with = "Option<schema::Decimal>")]
    redemption_rate: Option<String>,
    liability: LiabilityResponse,
    members: Vec<MembersResponse<'a>>,
    #[schemars(length(max = MAX_ACTIONS))]
    top_actions: Vec<ActionTotalResponse<'a>>,
}

/// Points issued in the period.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IssuedPoints")]
pub(crate) struct IssuedResponse {
    #[schemars(with = "schema::Points")]
    orders: Points,
    #[schemars(with = "schema::Points")]
    awards: Points,
    #[schemars(with = "schema::Points")]
    by_hand: Points,
    #[schemars(with = "schema::Points")]
    total: Points,
}

/// Points that customers can spend at the instant of the report.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Liability")]
struct LiabilityResponse {
    #[schemars(with = "schema::Points")]
    points: Points,
    #[schemars(with = "schema::Points")]
    pending: Points,
    #[schemars(with = "schema::Points")]
    debt: Points,
    /// The value of a point in the shop's currency, where the request or the program has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Amount>")]
    point_value: Option<Amount>,
    /// The value of the points.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Decimal>")]
    value: Option<String>,
    by_month: Vec<MonthResponse>,
}

/// Points that expire in one month.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LiabilityMonth")]
struct MonthResponse {
    /// The month of expiry; null for points that never expire.
    #[schemars(with = "Option<schema::Month>")]
    month: Option<String>,
    #[schemars(with = "schema::Points")]
    points: Points,
    /// The value of the points.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Decimal>")]
    value: Option<String>,
}

/// The number of customers in a tier.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TierMembers")]
struct MembersResponse<'a> {
    /// The tier; null for customers without one.
    #[schemars(with = "Option<schema::Id>")]
    tier: Option<&'a TierId>,
    #[schemars(with = "schema::Count")]
    customers: u64,
}

/// The points paid for an action.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActionTotal")]
pub(crate) struct ActionTotalResponse<'a> {
    #[schemars(with = "schema::Id")]
    action_id: &'a ActionId,
    #[schemars(with = "schema::Count")]
    times: u64,
    #[schemars(with = "schema::Points")]
    points: Points,
}

impl IssuedResponse {
    pub(crate) fn new(totals: &PeriodTotals) -> Self {
        Self {
            orders: totals.awarded_for_orders,
            awards: totals.awarded_as_bonuses,
            by_hand: totals.added_by_shop,
            total: totals.total_issued(),
        }
    }

    /// Its points, in the order of its members.
    pub(crate) const fn cells(&self) -> [Points; 4] {
        [self.orders, self.awards, self.by_hand, self.total]
    }
}

impl<'a> ActionTotalResponse<'a> {
    pub(crate) const fn new(action_id: &'a ActionId, paid: &ActionTotals) -> Self {
        Self { action_id, times: paid.times, points: paid.points }
    }

    /// Its members.
    pub(crate) fn cells(&self) -> (&'a str, u64, Points) {
        (self.action_id.as_str(), self.times, self.points)
    }
}

impl<'a> ReportResponse<'a> {
    pub(crate) fn new(
        report: &'a ProgramReport,
        period: &Range<Timestamp>,
        at: Timestamp,
        point_value: Option<Amount>,
    ) -> Self {
        let value = |points: Points| money_value(points, point_value?.get());
        let month = |(month, points): (&Option<YearMonth>, &Points)| {
            let month = month.map(|YearMonth { year, month }| format!("{year:04}-{month:02}"));
            MonthResponse { month, points: *points, value: value(*points) }
        };
        // Those that never end come last.
        let mut by_month: Vec<_> = report.outstanding.iter().map(month).collect();
        by_month.sort_by(|one, other| {
            (one.month.is_none(), &one.month).cmp(&(other.month.is_none(), &other.month))
        });
        let mut actions: Vec<(&ActionId, &ActionTotals)> = report.totals.actions.iter().collect();
        actions.sort_by_key(|(action, paid)| (Reverse(paid.points), *action));
        let paid =
            |(action, paid): (&'a ActionId, &ActionTotals)| ActionTotalResponse::new(action, paid);
        let members = report.members.iter();
        Self {
            from: TimeText(period.start),
            until: TimeText(period.end),
            at: TimeText(at),
            issued: IssuedResponse::new(&report.totals),
            redeemed: report.totals.redeemed,
            expired: report.totals.expired,
            erased: report.totals.erased,
            clawed_back: report.totals.clawed_back,
            adjusted: report.totals.adjusted,
            redemption_rate: redemption_rate(report.totals.redeemed, report.totals.total_issued()),
            liability: LiabilityResponse {
                points: report.liability(),
                pending: report.pending,
                debt: report.debt,
                point_value,
                value: value(report.liability()),
                by_month,
            },
            members: members
                .map(|(tier, customers)| MembersResponse {
                    tier: tier.as_ref(),
                    customers: *customers,
                })
                .collect(),
            top_actions: actions.into_iter().take(MAX_ACTIONS).map(paid).collect(),
        }
    }

    /// The report as CSV with the columns `section,name,points,count`.
    pub(crate) fn to_csv(&self) -> String {
        let mut csv = String::from("section,name,points,count\r\n");
        let mut line = |section: &str, name: &str, points: Option<Points>, count: Option<u64>| {
            let number = |number: Option<String>| number.unwrap_or_default();
            let (points, count) =
                (number(points.map(|p| p.to_string())), number(count.map(|c| c.to_string())));
            // A string grows without failing.
            let _ = write!(csv, "{section},{},{points},{count}\r\n", escape_cell(name));
        };
        let names = ["orders", "awards", "by_hand", "total"].into_iter();
        for (name, points) in names.zip(self.issued.cells()) {
            line("issued", name, Some(points), None);
        }
        for (name, points) in [
            ("redeemed", self.redeemed),
            ("expired", self.expired),
            ("clawed_back", self.clawed_back),
            ("adjusted", self.adjusted),
        ] {
            line("period", name, Some(points), None);
        }
        for (name, points) in [
            ("total", self.liability.points),
            ("pending", self.liability.pending),
            ("debt", self.liability.debt),
        ] {
            line("liability", name, Some(points), None);
        }
        for month in &self.liability.by_month {
            line(
                "liability_by_month",
                month.month.as_deref().unwrap_or("never"),
                Some(month.points),
                None,
            );
        }
        for members in &self.members {
            line(
                "members",
                members.tier.map_or("none", TierId::as_str),
                None,
                Some(members.customers),
            );
        }
        for paid in &self.top_actions {
            line("action", paid.action_id.as_str(), Some(paid.points), Some(paid.times));
        }
        csv
    }
}

/// The exact value of points.
fn money_value(points: Points, point_value: Decimal) -> Option<String> {
    Decimal::from(points.get())
        .checked_mul(point_value)
        .map(|value| value.normalize().to_string())
}

fn redemption_rate(redeemed: Points, issued: Points) -> Option<String> {
    let share = Decimal::from(redeemed.get()).checked_div(Decimal::from(issued.get()))?;
    let share =
        share.round_dp_with_strategy(4, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
    Some(share.normalize().to_string())
}

/// Escapes a cell. A text that a spreadsheet would run as a formula gets an apostrophe, also
/// behind a semicolon or a tab, which part cells in some countries.
pub(crate) fn escape_cell(text: &str) -> String {
    let runs = |part: &str| {
        part.trim_start()
            .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%'])
    };
    let mut safe = String::with_capacity(text.len());
    for part in text.split_inclusive([';', '\t']) {
        if runs(part) || part.starts_with(['\t', '\r', '\n']) {
            safe.push('\'');
        }
        safe.push_str(part);
    }

    let text = safe;
    if text.contains([',', ';', '"', '\t', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_no_formula_and_no_second_cell() {
        for (text, want) in [
            ("plan", "plan"),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2,3", "\"'-2,3\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("+HYPERLINK(\"x\")", "\"'+HYPERLINK(\"\"x\"\")\""),
            ("a;=1+1", "\"a;'=1+1\""),
            ("a; @b", "\"a;' @b\""),
            ("a;b", "\"a;b\""),
            ("a\t-1", "\"a\t'-1\""),
            (" =1", "' =1"),
        ] {
            assert_eq!(escape_cell(text), want);
        }
    }

    #[test]
    fn rates_and_values_are_exact() {
        assert_eq!(redemption_rate(Points::from(1), Points::from(3)).as_deref(), Some("0.3333"));
        assert_eq!(redemption_rate(Points::from(1), Points::ZERO), None);
        assert_eq!(
            money_value(Points::from(12_345), Decimal::new(1, 2)).as_deref(),
            Some("123.45")
        );
    }
}
