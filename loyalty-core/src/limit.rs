//! Limits on what a rule, an action or a reward may pay in a period of the shop's
//! calendar.

use std::fmt;

use chrono::{Datelike, NaiveDate};

use crate::amount::Points;

/// A period of the shop's calendar. Weeks start on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Span {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
    /// All time.
    Ever,
}

impl Span {
    /// All periods by their names on the wire.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
        ("year", Self::Year),
        ("ever", Self::Ever),
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, span)| *span == self)
            .map_or("", |(name, _)| name)
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

/// The bound of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Quota {
    /// A number of times.
    Times(u32),
    /// A number of points.
    Points(Points),
}

/// A bound on what a rule, an action or a reward may pay in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
pub struct Limit {
    /// The bound.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub quota: Quota,
    /// The period.
    pub per: Span,
    /// A grant beyond the limit is lowered to what is left, rather than rejected.
    #[cfg_attr(feature = "json", serde(default, skip_serializing_if = "std::ops::Not::not"))]
    pub partial: bool,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quota {
            Quota::Times(1) => f.write_str("once")?,
            Quota::Times(times) => write!(f, "{times} times")?,
            Quota::Points(points) => write!(f, "{points} points")?,
        }
        match self.per {
            Span::Ever => f.write_str(" in all"),
            span @ (Span::Day | Span::Week | Span::Month | Span::Year) => {
                write!(f, " a {}", span.name())
            }
        }
    }
}
