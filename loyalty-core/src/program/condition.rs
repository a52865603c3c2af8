//! Conditions on an order that earning rules and campaigns share: its hour of the week, its
//! channel, attributes, and whether it is the customer's first.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDateTime, Timelike};

use crate::attribute::{AttributeNumber, AttributeValue, Attributes};
use crate::fault::Fault;
use crate::id::{AttributeName, ChannelId};
use crate::order::{Line, Order};

/// The largest number of attribute conditions of one rule or campaign.
const MAX_ATTRIBUTES: usize = 20;

/// Conditions on an order. All must be met; empty ones are always met.
///
/// The hour and the channel are those of the order. What they say of the customer is
/// pinned when the order reaches its earning gate.
///
/// # Example: Saturday evenings in the app
/// ```
/// # #[cfg(feature = "json")] {
/// use loyalty_core::Program;
/// let program = Program::from_json(
///     r#"{"earning": [{"id": "night", "earn": {"per_order": 20}, "when": {
///         "weekdays": ["saturday"], "hours": {"from": "18:00", "until": "24:00"},
///         "channels": ["app"],
///         "attributes": [{"of": "order", "name": "gift", "equals": true}]
///     }}]}"#,
/// )
/// .unwrap();
/// let order = &program.definition().earning[0].when.order;
/// assert_eq!((order.weekdays.len(), order.attributes.len()), (1, 1));
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct OrderConditions {
    /// Days of the week, in the shop's zone, of which the order must be placed on one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub weekdays: BTreeSet<Weekday>,
    /// Hours of the day, in the shop's zone, in which the order must be placed.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub hours: Option<Hours>,
    /// Channels of which the order must come by one.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "BTreeSet::is_empty"))]
    pub channels: BTreeSet<ChannelId>,
    /// True for the customer's first order that counts, false for all later ones. An
    /// order that is cancelled or fully refunded does not count.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Option::is_none"))]
    pub first_order: Option<bool>,
    /// Conditions on attributes. Those on lines select the lines that count.
    #[cfg_attr(feature = "json", serde(skip_serializing_if = "Vec::is_empty"))]
    pub attributes: Vec<AttributeCondition>,
}

impl OrderConditions {
    /// Returns true if there is no condition.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns true if there is a condition on lines.
    pub fn selects_lines(&self) -> bool {
        self.attributes_of(AttributeOwner::Line).next().is_some()
    }

    /// Returns true if a line meets the conditions on lines.
    pub(crate) fn covers(&self, line: &Line) -> bool {
        self.attributes_of(AttributeOwner::Line)
            .all(|condition| condition.is_met(&line.attributes))
    }

    /// Returns true if the local hour decides.
    pub(crate) fn needs_local_time(&self) -> bool {
        !self.weekdays.is_empty() || self.hours.is_some()
    }

    /// Returns true if there is a condition on the customer.
    pub(crate) fn are_about_customer(&self) -> bool {
        self.first_order.is_some() || self.attributes_of(AttributeOwner::Customer).next().is_some()
    }

    /// Returns true if the order meets the conditions on it. `placed_at` is the shop's
    /// local time, or `None` outside of the calendar, where no hour is met.
    pub(crate) fn are_met_by_order(&self, order: &Order, placed_at: Option<NaiveDateTime>) -> bool {
        let is_channel = |channel| self.channels.contains(channel);
        (!self.needs_local_time() || placed_at.is_some_and(|at| self.contains(at)))
            && (self.channels.is_empty() || order.channel.as_ref().is_some_and(is_channel))
            && self
                .attributes_of(AttributeOwner::Order)
                .all(|condition| condition.is_met(&order.attributes))
    }

    /// Returns true if a customer meets the conditions on customers. `is_first` says
    /// whether none of their other orders counts.
    pub(crate) fn are_met_by_customer(&self, attributes: &Attributes, is_first: bool) -> bool {
        self.first_order.is_none_or(|wanted| wanted == is_first)
            && self
                .attributes_of(AttributeOwner::Customer)
                .all(|condition| condition.is_met(attributes))
    }

    fn contains(&self, local: NaiveDateTime) -> bool {
        let weekday = Weekday::of(local);
        (self.weekdays.is_empty() || self.weekdays.contains(&weekday))
            && self.hours.is_none_or(|hours| hours.contains(local))
    }

    fn attributes_of(&self, owner: AttributeOwner) -> impl Iterator<Item = &AttributeCondition> {
        self.attributes.iter().filter(move |condition| condition.of == owner)
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Weekday {
    /// The days by their names in a document, from Monday on.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("monday", Self::Monday),
        ("tuesday", Self::Tuesday),
        ("wednesday", Self::Wednesday),
        ("thursday", Self::Thursday),
        ("friday", Self::Friday),
        ("saturday", Self::Saturday),
        ("sunday", Self::Sunday),
    ];

    fn of(local: NaiveDateTime) -> Self {
        match local.weekday() {
            chrono::Weekday::Mon => Self::Monday,
            chrono::Weekday::Tue => Self::Tuesday,
            chrono::Weekday::Wed => Self::Wednesday,
            chrono::Weekday::Thu => Self::Thursday,
            chrono::Weekday::Fri => Self::Friday,
            chrono::Weekday::Sat => Self::Saturday,
            chrono::Weekday::Sun => Self::Sunday,
        }
    }
}

/// A part of each day: from one time, inclusive, until another, exclusive. It passes
/// midnight if it ends before its beginning. Beside it, a condition on the day of the week
/// looks at the day of the instant itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Hours {
    /// The first time of the part.
    pub from: TimeOfDay,
    /// The time at which it is over.
    pub until: TimeOfDay,
}

impl Hours {
    fn contains(self, local: NaiveDateTime) -> bool {
        let at = local.num_seconds_from_midnight().checked_div(60).unwrap_or_default();
        let (from, until) = (u32::from(self.from.minutes), u32::from(self.until.minutes));
        if from < until { from <= at && at < until } else { from <= at || at < until }
    }
}

/// A local time of day to the minute: 00:00 to 24:00.
///
/// # Example: an end of the day
/// ```
/// use loyalty_core::program::TimeOfDay;
/// assert_eq!("24:00".parse::<TimeOfDay>().unwrap().to_string(), "24:00");
/// assert!("24:01".parse::<TimeOfDay>().is_err() && "9:00".parse::<TimeOfDay>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    minutes: u16,
}

impl TimeOfDay {
    /// The end of the day.
    const END: Self = Self { minutes: 24 * 60 };
}

/// The reason why a text is no time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of day from 00:00 to 24:00, such as 17:30")]
pub struct TimeOfDayError;

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let digits = |part: &str| {
            let is_pair = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_pair.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = text.split_once(':').ok_or(TimeOfDayError)?;
        let (hours, minutes) = digits(hours).zip(digits(minutes)).ok_or(TimeOfDayError)?;
        let total = hours.saturating_mul(60).saturating_add(minutes);
        if minutes > 59 || total > Self::END.minutes {
            return Err(TimeOfDayError);
        }
        Ok(Self { minutes: total })
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = self.minutes.checked_div(60).unwrap_or_default();
        let minutes = self.minutes.checked_rem(60).unwrap_or_default();
        write!(f, "{hours:02}:{minutes:02}")
    }
}

#[cfg(feature = "json")]
impl serde::Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A condition on one attribute. An attribute that is absent meets none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct AttributeCondition {
    /// The owner of the attribute.
    pub of: AttributeOwner,
    /// The name of the attribute.
    pub name: AttributeName,
    /// The test of its value.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub test: AttributeTest,
}

impl AttributeCondition {
    /// Returns true if the attributes of the owner meet the condition.
    pub(crate) fn is_met(&self, attributes: &Attributes) -> bool {
        attributes
            .get(&self.name)
            .is_some_and(|value| self.test.is_met(value))
    }
}

/// The owner of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum AttributeOwner {
    /// The customer, as of the order's first award.
    Customer,
    /// Each line: the condition selects the lines that count.
    Line,
    /// The order.
    Order,
}

impl AttributeOwner {
    /// The owners by their names in a document.
    pub const NAMES: [(&'static str, Self); 3] =
        [("customer", Self::Customer), ("line", Self::Line), ("order", Self::Order)];
}

/// The test of an attribute's value. Only a number can be at least or at most another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum AttributeTest {
    /// It is this value.
    Equals(AttributeValue),
    /// It is one of these values.
    In(BTreeSet<AttributeValue>),
    /// It is a number, and not less.
    AtLeast(AttributeNumber),
    /// It is a number, and not more.
    AtMost(AttributeNumber),
}

impl AttributeTest {
    fn is_met(&self, value: &AttributeValue) -> bool {
        let is_number = |test: &dyn Fn(AttributeNumber) -> bool| {
            if let AttributeValue::Number(number) = value { test(*number) } else { false }
        };
        match self {
            Self::Equals(wanted) => value == wanted,
            Self::In(wanted) => wanted.contains(value),
            Self::AtLeast(least) => is_number(&|number| number >= *least),
            Self::AtMost(most) => is_number(&|number| number <= *most),
        }
    }
}

/// Checks the conditions at `pointer`.
pub(super) fn check(conditions: &OrderConditions, pointer: &str, faults: &mut Vec<Fault>) {
    if let Some(Hours { from, until }) = conditions.hours {
        if from == TimeOfDay::END {
            let detail = "must be before 24:00";
            faults.push(Fault::new(format!("{pointer}/hours/from"), "out_of_range", detail));
        } else if from == until {
            let detail = "must differ from its beginning";
            faults.push(Fault::new(format!("{pointer}/hours/until"), "contradiction", detail));
        }
    }
    if conditions.attributes.len() > MAX_ATTRIBUTES {
        let detail = format!("at most {MAX_ATTRIBUTES} are accepted");
        faults.push(Fault::new(format!("{pointer}/attributes"), "too_many", detail));
    }
    for (index, condition) in conditions.attributes.iter().enumerate() {
        if let AttributeTest::In(values) = &condition.test
            && values.is_empty()
        {
            let detail = "must contain at least one value";
            let pointer = format!("{pointer}/attributes/{index}/in");
            faults.push(Fault::new(pointer, "missing_field", detail));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    #[test]
    fn hours_are_half_open_and_may_pass_midnight() {
        let hours = |from: &str, until: &str| Hours {
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
        };
        for (from, until, inside, outside) in [
            ("09:00", "17:30", ["09:00:00", "17:29:59"], ["08:59:59", "17:30:00"]),
            ("22:00", "02:00", ["22:00:00", "01:59:59"], ["21:59:59", "02:00:00"]),
            ("18:00", "24:00", ["18:00:00", "23:59:59"], ["17:59:59", "00:00:00"]),
            ("00:00", "06:00", ["00:00:00", "05:59:59"], ["06:00:00", "23:59:59"]),
        ] {
            let contains = |time: &str| {
                hours(from, until).contains(format!("2026-03-01T{time}").parse().unwrap())
            };
            assert_eq!(inside.map(contains), [true; 2], "{from} to {until}");
            assert_eq!(outside.map(contains), [false; 2], "{from} to {until}");
        }
    }
}
