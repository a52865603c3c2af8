//! Limits on what a rule, an action or a reward may pay in a period of the shop's calendar.

use std::fmt;

use chrono::{Datelike, NaiveDate};

use crate::amount::Points;
use crate::figures::{GroupedNumber, count_points};

/// A period of the shop's calendar for which a limit is counted. Weeks start on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Span {
    /// A calendar day.
    Day,
    /// A calendar week.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
    /// All time.
    Ever,
}

impl Span {
    /// All periods with their names in a program.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("year", Self::Year),
        ("ever", Self::Ever),
    ];

    /// The period's name in a program.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, span)| *span == self)
            .map_or("", |(name, _)| name)
    }
}

/// The number that a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Quota {
    /// A number of times.
    Times(u32),
    /// A number of points.
    Points(Points),
}

/// A limit on a rule, an action or a reward, for each period of the shop's calendar.
///
/// # Example: a limit in words
/// ```
/// use loyalty_core::limit::{Limit, Quota, Span};
/// let limit = Limit { quota: Quota::Times(1), per: Span::Day, partial: false };
/// assert_eq!(limit.to_string(), "once a day");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Limit {
    /// Number allowed in each period.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub quota: Quota,
    /// Period of the count.
    pub per: Span,
    /// If true, a grant above the limit is reduced to the allowance; otherwise it is
    /// rejected.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub partial: bool,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quota {
            Quota::Times(1) => f.write_str("once")?,
            Quota::Times(times) => write!(f, "{} times", GroupedNumber(times))?,
            Quota::Points(points) => count_points(points).fmt(f)?,
        }
        match self.per {
            Span::Ever => f.write_str(" in total"),
            span @ (Span::Day | Span::Week | Span::Month | Span::Year) => {
                write!(f, " a {}", span.name())
            }
        }
    }
}

impl Span {
    /// Returns true if one period contains both days.
    pub(crate) fn contains_both(self, one: NaiveDate, other: NaiveDate) -> bool {
        match self {
            Self::Day => one == other,
            Self::Week => one.iso_week() == other.iso_week(),
            Self::Month => (one.year(), one.month()) == (other.year(), other.month()),
            Self::Year => one.year() == other.year(),
            Self::Ever => true,
        }
    }
}
