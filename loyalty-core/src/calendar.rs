//! Shop-local time: zones, calendar periods and the ends of months, quarters and years.
//!
//! The core reads no clock. Every instant is an argument, in UTC; the shop's IANA zone decides what a
//! day or a month is. Instants are half open: what ends at T is over at T.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, Months, NaiveDate, NaiveDateTime, TimeDelta,
};
use chrono::{NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// An instant, in UTC.
pub type Timestamp = DateTime<Utc>;

/// Why a text or a sum is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// Past the end of the calendar.
    #[error("is outside the supported dates")]
    OutOfRange,
    /// Not an ISO 8601 period of years, months, weeks and days.
    #[error("must be a period such as P1Y, P9M, P2W or P30D")]
    InvalidPeriod,
    /// Not the name of an IANA time zone.
    #[error("must be the name of an IANA time zone such as Europe/Berlin")]
    UnknownZone,
}

/// A calendar period: months, then days. At most 100 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    months: u32,
    days: u32,
}

impl Period {
    /// Thirty days.
    pub const THIRTY_DAYS: Self = Self { months: 0, days: 30 };

    /// A period of months (at most 1,200).
    pub const fn from_months(months: u32) -> Option<Self> {
        if months == 0 || months > 1_200 { None } else { Some(Self { months, days: 0 }) }
    }

    /// A period of days (at most 36,500).
    pub const fn from_days(days: u32) -> Option<Self> {
        if days == 0 || days > 36_500 { None } else { Some(Self { months: 0, days }) }
    }

    /// Its months, without the days that come after them.
    pub(crate) const fn months(self) -> u32 {
        self.months
    }

    /// Whether it is whole months, at most so many.
    pub(crate) const fn is_months_up_to(self, most: u32) -> bool {
        self.days == 0 && self.months <= most
    }
}

impl FromStr for Period {
    type Err = CalendarError;

    /// Reads `P[nY][nM][nW][nD]`: at least one part, in that order, more than nothing in all.
    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let mut rest = text.strip_prefix('P').ok_or(CalendarError::InvalidPeriod)?;
        let mut sums = [0_u32; 2];
        for (unit, slot, factor) in [('Y', 0_usize, 12_u32), ('M', 0, 1), ('W', 1, 7), ('D', 1, 1)]
        {
            let Some((number, tail)) = rest.split_once(unit) else { continue };
            let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let number: u32 = number
                .parse()
                .ok()
                .filter(|_| plain)
                .ok_or(CalendarError::InvalidPeriod)?;
            let sum = sums.get_mut(slot).ok_or(CalendarError::InvalidPeriod)?;
            let part = number.checked_mul(factor).ok_or(CalendarError::OutOfRange)?;
            *sum = sum.checked_add(part).ok_or(CalendarError::OutOfRange)?;
            rest = tail;
        }
        let [months, days] = sums;
        match (rest.is_empty(), months, days) {
            (false, _, _) | (true, 0, 0) => Err(CalendarError::InvalidPeriod),
            (true, 0..=1_200, 0..=36_500) => Ok(Self { months, days }),
            (true, _, _) => Err(CalendarError::OutOfRange),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("P")?;
        match (self.months, self.days) {
            (months, 0) => write!(f, "{months}M"),
            (0, days) => write!(f, "{days}D"),
            (months, days) => write!(f, "{months}M{days}D"),
        }
    }
}

/// What an expiry is rounded up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(rename_all = "snake_case"))]
pub enum Boundary {
    /// The end of the month.
    Month,
    /// The end of the quarter.
    Quarter,
    /// The end of the year.
    Year,
}

impl Boundary {
    const fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }
}

/// A shop's IANA time zone.
///
/// # Example: a period keeps the time of day, and ends with a month that lacks the day
/// ```
/// use loyalty_core::{Period, TimeField, Zone};
/// let zone: Zone = "Europe/Berlin".parse().unwrap();
/// let month: Period = "P1M".parse().unwrap();
/// let earned: TimeField = "2025-01-31T09:00:00Z".parse().unwrap(); // 10:00 in Berlin
/// assert_eq!(zone.after(earned, month).unwrap().to_rfc3339(), "2025-02-28T23:00:00+00:00");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated universal time: the zone of a shop that names none.
    pub const UTC: Self = Self(Tz::UTC);

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The instant one `period` after `from`, at the same time of day in this zone.
    ///
    /// Where the day is missing the period ends with the month: 31 January 10:00 and one month is
    /// 1 March 00:00.
    pub fn after(self, from: Timestamp, period: Period) -> Result<Timestamp, CalendarError> {
        let local = self.local(from)?;
        let month = local
            .date()
            .with_day(1)
            .and_then(|first| first.checked_add_months(Months::new(period.months)));
        let month = month.ok_or(CalendarError::OutOfRange)?;
        let moved = match month.with_day(local.day()) {
            Some(date) => NaiveDateTime::new(date, local.time()),
            None => start_of(
                month
                    .checked_add_months(Months::new(1))
                    .ok_or(CalendarError::OutOfRange)?,
            ),
        };
        let ended = moved.checked_add_days(Days::new(u64::from(period.days)));
        self.instant(ended.ok_or(CalendarError::OutOfRange)?)
    }

    /// The first instant after the month, quarter or year that `at` lies in. An instant on a boundary
    /// belongs to what begins there.
    pub fn end_of(self, at: Timestamp, boundary: Boundary) -> Result<Timestamp, CalendarError> {
        let date = self.local(at)?.date();
        let length = boundary.months();
        let into = date.month0().checked_rem(length).unwrap_or_default();
        let end = date
            .with_day(1)
            .and_then(|first| first.checked_add_months(Months::new(length.saturating_sub(into))));
        self.instant(start_of(end.ok_or(CalendarError::OutOfRange)?))
    }

    /// The wall clock's reading at an instant.
    pub fn local(self, at: Timestamp) -> Result<NaiveDateTime, CalendarError> {
        let utc = at.naive_utc();
        let offset = self.0.offset_from_utc_datetime(&utc).fix();
        utc.checked_add_offset(offset).ok_or(CalendarError::OutOfRange)
    }

    /// What the shop's clock differs from UTC by, in seconds.
    pub(crate) fn offset(self, at: Timestamp) -> i32 {
        self.0
            .offset_from_utc_datetime(&at.naive_utc())
            .fix()
            .local_minus_utc()
    }

    /// The instant of a local time. A gap of the clock moves forward by its length; of two equal local
    /// times the first counts.
    pub fn instant(self, local: NaiveDateTime) -> Result<Timestamp, CalendarError> {
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Ok(at.to_utc()),
            MappedLocalTime::None => self.instant_in_gap(local),
        }
    }

    /// Reads `local` with the offset that was in force before the gap. The longest gap on record is a
    /// whole day (Samoa skipped 30 December 2011), so two days of steps find its start.
    fn instant_in_gap(self, local: NaiveDateTime) -> Result<Timestamp, CalendarError> {
        let mut before = local;
        for _ in 0..192 {
            before = before
                .checked_sub_signed(TimeDelta::minutes(15))
                .ok_or(CalendarError::OutOfRange)?;
            if let Some(at) = self.0.from_local_datetime(&before).latest() {
                let utc = local.checked_sub_offset(at.offset().fix());
                return utc.map(|utc| utc.and_utc()).ok_or(CalendarError::OutOfRange);
            }
        }
        Err(CalendarError::OutOfRange)
    }
}

fn start_of(date: NaiveDate) -> NaiveDateTime {
    NaiveDateTime::new(date, NaiveTime::MIN)
}

impl FromStr for Zone {
    type Err = CalendarError;

    fn from_str(name: &str) -> Result<Self, CalendarError> {
        name.parse().map(Self).map_err(|_| CalendarError::UnknownZone)
    }
}

#[cfg(feature = "json")]
mod json {
    use super::{Period, Zone};

    impl serde::Serialize for Period {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(self)
        }
    }

    impl<'de> serde::Deserialize<'de> for Period {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            <String as serde::Deserialize>::deserialize(from)?
                .parse()
                .map_err(serde::de::Error::custom)
        }
    }

    impl serde::Serialize for Zone {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(self.name())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_read_or_refused() {
        for (text, want) in [
            ("P1Y", Ok((12, 0))),
            ("P1Y6M", Ok((18, 0))),
            ("P2W3D", Ok((0, 17))),
            ("P1M1D", Ok((1, 1))),
            ("P", Err(CalendarError::InvalidPeriod)),
            ("P0D", Err(CalendarError::InvalidPeriod)),
            ("P1D1M", Err(CalendarError::InvalidPeriod)),
            ("P-1M", Err(CalendarError::InvalidPeriod)),
            ("P+1M", Err(CalendarError::InvalidPeriod)),
            ("PT1H", Err(CalendarError::InvalidPeriod)),
            ("1M", Err(CalendarError::InvalidPeriod)),
            ("P1201M", Err(CalendarError::OutOfRange)),
            ("P99999999999Y", Err(CalendarError::InvalidPeriod)),
            ("P999999999Y", Err(CalendarError::OutOfRange)),
        ] {
            assert_eq!(text.parse::<Period>().map(|p| (p.months, p.days)), want, "{text}");
        }
    }

    #[test]
    fn periods_end_where_the_shop_expects() {
        for (zone, from, period, want) in [
            ("UTC", "2025-01-31T10:00:00Z", "P1M", "2025-03-01T00:00:00Z"),
            ("UTC", "2024-01-31T10:00:00Z", "P1M", "2024-03-01T00:00:00Z"),
            ("UTC", "2024-02-29T10:00:00Z", "P1Y", "2025-03-01T00:00:00Z"),
            ("UTC", "2024-02-29T10:00:00Z", "P4Y", "2028-02-29T10:00:00Z"),
            ("UTC", "2025-10-31T00:00:00Z", "P1M", "2025-12-01T00:00:00Z"),
            // 02:30 does not exist in Berlin on 30 March 2025: forward to 03:30 summer time.
            ("Europe/Berlin", "2025-02-28T01:30:00Z", "P30D", "2025-03-30T01:30:00Z"),
            // 02:30 exists twice on 26 October 2025: the first, in summer time.
            ("Europe/Berlin", "2025-09-26T00:30:00Z", "P1M", "2025-10-26T00:30:00Z"),
            ("America/New_York", "2025-10-09T06:30:00Z", "P5M", "2026-03-09T06:30:00Z"),
            // Samoa had no 30 December 2011 at all.
            ("Pacific/Apia", "2011-11-30T22:00:00Z", "P1M", "2011-12-30T22:00:00Z"),
        ] {
            let zone: Zone = zone.parse().unwrap();
            assert_eq!(
                zone.after(at(from), period.parse().unwrap()),
                Ok(at(want)),
                "{from} + {period}"
            );
        }
    }

    #[test]
    fn boundaries_are_the_shops() {
        for (zone, from, boundary, want) in [
            ("UTC", "2025-03-01T00:00:00Z", Boundary::Month, "2025-04-01T00:00:00Z"),
            ("UTC", "2025-02-28T23:59:59Z", Boundary::Month, "2025-03-01T00:00:00Z"),
            ("UTC", "2025-12-31T23:00:00Z", Boundary::Quarter, "2026-01-01T00:00:00Z"),
            ("UTC", "2025-04-01T00:00:00Z", Boundary::Quarter, "2025-07-01T00:00:00Z"),
            ("Asia/Tokyo", "2025-12-31T15:00:00Z", Boundary::Year, "2026-12-31T15:00:00Z"),
        ] {
            let zone: Zone = zone.parse().unwrap();
            assert_eq!(zone.end_of(at(from), boundary), Ok(at(want)), "{from} {boundary:?}");
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_an_error() {
        let last = DateTime::<Utc>::MAX_UTC;
        assert_eq!(
            Zone::UTC.after(last, Period::from_months(1).unwrap()),
            Err(CalendarError::OutOfRange)
        );
        assert_eq!(Zone::UTC.end_of(last, Boundary::Year), Err(CalendarError::OutOfRange));
    }
}
