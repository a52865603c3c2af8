//! A shop's local time: its zone, calendar periods, and ends of months, quarters and
//! years.
//!
//! The core reads no clock: each instant is an argument, in UTC. The shop's IANA time
//! zone defines its days and months. Intervals are half open: a validity that ends at T
//! does not include T.

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, Months, NaiveDate, NaiveDateTime, TimeDelta,
};
use chrono::{NaiveTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;

/// An instant, in UTC.
pub type Timestamp = DateTime<Utc>;

/// The reason why a text is no period or zone, or a sum no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// Outside of the dates that the calendar supports.
    #[error("is outside the supported dates")]
    OutOfRange,
    /// Not an ISO 8601 period of years, months, weeks and days.
    #[error("must be a period such as P1Y, P9M, P2W or P30D")]
    InvalidPeriod,
    /// Not the name of an IANA time zone.
    #[error("must be the name of an IANA time zone such as Europe/Berlin")]
    UnknownZone,
}

/// A calendar period: months, then days. At most 1,200 months and 36,500 days.
///
/// # Example: years are months, weeks are days
/// ```
/// use loyalty_core::Period;
/// assert_eq!("P1Y6M".parse(), Ok(Period::from_months(18).unwrap()));
/// assert_eq!("P2W".parse(), Ok(Period::from_days(14).unwrap()));
/// assert_eq!("P1Y6M".parse::<Period>().unwrap().to_string(), "P18M");
/// assert!("PT1H".parse::<Period>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    months: u32,
    days: u32,
}

impl Period {
    /// Thirty days.
    pub const THIRTY_DAYS: Self = Self { months: 0, days: 30 };

    /// Returns a period of 1 to 1,200 months, or `None` for any other number.
    pub const fn from_months(months: u32) -> Option<Self> {
        if months == 0 || months > 1_200 { None } else { Some(Self { months, days: 0 }) }
    }

    /// Returns a period of 1 to 36,500 days, or `None` for any other number.
    pub const fn from_days(days: u32) -> Option<Self> {
        if days == 0 || days > 36_500 { None } else { Some(Self { months: 0, days }) }
    }

    /// The months of the period, without its days.
    pub(crate) const fn months(self) -> u32 {
        self.months
    }

    /// Returns true for a period of months only, `maximum` at most.
    pub(crate) const fn is_months_up_to(self, maximum: u32) -> bool {
        self.days == 0 && self.months <= maximum
    }
}

impl FromStr for Period {
    type Err = CalendarError;

    /// Parses `P[nY][nM][nW][nD]`: at least one part, in this order, and not zero in
    /// total.
    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let mut rest = text.strip_prefix('P').ok_or(CalendarError::InvalidPeriod)?;
        let mut sums = [0_u32; 2]; // months and days
        for (unit, slot, factor) in [('Y', 0_usize, 12_u32), ('M', 0, 1), ('W', 1, 7), ('D', 1, 1)]
        {
            let Some((number, tail)) = rest.split_once(unit) else { continue };

            // `u32` would also parse a plus sign.
            let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
            let number: u32 = number
                .parse()
                .ok()
                .filter(|_| is_digits)
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

/// A boundary of the shop's calendar, to which an expiry is rounded up.
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
/// # Example: a zone by its name
/// ```
/// use loyalty_core::Zone;
/// assert_eq!("Europe/Berlin".parse::<Zone>().unwrap().name(), "Europe/Berlin");
/// assert!("Europe/Bonn".parse::<Zone>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated universal time: the zone of a shop that sets none.
    pub const UTC: Self = Self(Tz::UTC);

    /// The IANA name of the zone.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns the instant one `period` after `from`, at the same local time of day.
    ///
    /// If the month lacks the day, the period ends with the month: one month after 31
    /// January 10:00 is 1 March 00:00.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`] past the end of the calendar.
    ///
    /// # Example: a month that lacks the day
    /// ```
    /// use loyalty_core::{Period, Timestamp, Zone};
    /// let zone: Zone = "Europe/Berlin".parse().unwrap();
    /// let month: Period = "P1M".parse().unwrap();
    /// let earned: Timestamp = "2025-01-31T09:00:00Z".parse().unwrap(); // 10:00 in Berlin
    /// let end = zone.after(earned, month).unwrap();
    /// assert_eq!(end.to_rfc3339(), "2025-02-28T23:00:00+00:00"); // 1 March, 00:00 in Berlin
    /// ```
    pub fn after(self, from: Timestamp, period: Period) -> Result<Timestamp, CalendarError> {
        self.instant(self.local_after(from, period)?.0)
    }

    /// Returns the instant one `period` after `from`, moved forward to the end of its month,
    /// quarter or year.
    ///
    /// If the month lacks the day, the period has ended with the month already: one month
    /// after 29, 30 or 31 January, rounded to the month, is 1 March each time.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`] past the end of the calendar.
    ///
    /// # Example: the last days of January
    /// ```
    /// use loyalty_core::{Boundary, Period, Timestamp, Zone};
    /// let (month, march): (Period, Timestamp) =
    ///     ("P1M".parse().unwrap(), "2026-03-01T00:00:00Z".parse().unwrap());
    /// for earned in ["2026-01-28T10:00:00Z", "2026-01-29T10:00:00Z", "2026-01-31T10:00:00Z"] {
    ///     let end = Zone::UTC.after_rounded(earned.parse().unwrap(), month, Boundary::Month);
    ///     assert_eq!(end, Ok(march));
    /// }
    /// ```
    pub fn after_rounded(
        self,
        from: Timestamp,
        period: Period,
        boundary: Boundary,
    ) -> Result<Timestamp, CalendarError> {
        let (end, lacks_day) = self.local_after(from, period)?;
        let last_day = if lacks_day && period.days == 0 {
            end.date().pred_opt().ok_or(CalendarError::OutOfRange)?
        } else {
            self.local(self.instant(end)?)?.date()
        };
        self.end_of_date(last_day, boundary)
    }

    /// The local time one `period` after `from`, and whether its month lacks the day.
    fn local_after(
        self,
        from: Timestamp,
        period: Period,
    ) -> Result<(NaiveDateTime, bool), CalendarError> {
        let local = self.local(from)?;

        // Months first, from the first day: every month has one.
        let month = local
            .date()
            .with_day(1)
            .and_then(|first| first.checked_add_months(Months::new(period.months)));
        let month = month.ok_or(CalendarError::OutOfRange)?;

        let same_day = month.with_day(local.day());
        let moved = match same_day {
            Some(date) => NaiveDateTime::new(date, local.time()),
            None => start_of(
                month
                    .checked_add_months(Months::new(1))
                    .ok_or(CalendarError::OutOfRange)?,
            ),
        };

        let end = moved.checked_add_days(Days::new(u64::from(period.days)));
        Ok((end.ok_or(CalendarError::OutOfRange)?, same_day.is_none()))
    }

    /// Returns the first instant after the month, quarter or year of `at`. An instant on
    /// a boundary belongs to the period that begins there.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`] past the end of the calendar.
    ///
    /// # Example: the end of the quarter
    /// ```
    /// use loyalty_core::{Boundary, Timestamp, Zone};
    /// let (may, july): (Timestamp, Timestamp) =
    ///     ("2026-05-04T10:00:00Z".parse().unwrap(), "2026-07-01T00:00:00Z".parse().unwrap());
    /// assert_eq!(Zone::UTC.end_of(may, Boundary::Quarter), Ok(july));
    /// ```
    pub fn end_of(self, at: Timestamp, boundary: Boundary) -> Result<Timestamp, CalendarError> {
        self.end_of_date(self.local(at)?.date(), boundary)
    }

    fn end_of_date(self, date: NaiveDate, boundary: Boundary) -> Result<Timestamp, CalendarError> {
        let length = boundary.months();
        let elapsed = date.month0().checked_rem(length).unwrap_or_default();
        let remaining = Months::new(length.saturating_sub(elapsed));
        let end = date.with_day(1).and_then(|first| first.checked_add_months(remaining));
        self.instant(start_of(end.ok_or(CalendarError::OutOfRange)?))
    }

    /// Returns the local time of an instant.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`] past the ends of the calendar.
    pub fn local(self, at: Timestamp) -> Result<NaiveDateTime, CalendarError> {
        let utc = at.naive_utc();
        let offset = self.0.offset_from_utc_datetime(&utc).fix();
        utc.checked_add_offset(offset).ok_or(CalendarError::OutOfRange)
    }

    /// The offset of local time from UTC at an instant, in seconds.
    pub(crate) fn offset(self, at: Timestamp) -> i32 {
        self.0
            .offset_from_utc_datetime(&at.naive_utc())
            .fix()
            .local_minus_utc()
    }

    /// Returns the instant of a local time.
    ///
    /// A time that does not exist, in a gap, is moved forward by the length of the gap.
    /// Of a time that occurs twice, the first one counts.
    ///
    /// # Errors
    /// [`CalendarError::OutOfRange`] past the ends of the calendar.
    ///
    /// # Example: 02:30 in the night in which summer time begins
    /// ```
    /// use loyalty_core::Zone;
    /// let zone: Zone = "Europe/Berlin".parse().unwrap();
    /// let instant = zone.instant("2025-03-30T02:30:00".parse().unwrap()).unwrap();
    /// assert_eq!(zone.local(instant).unwrap().to_string(), "2025-03-30 03:30:00");
    /// ```
    pub fn instant(self, local: NaiveDateTime) -> Result<Timestamp, CalendarError> {
        match self.0.from_local_datetime(&local) {
            MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Ok(at.to_utc()),
            MappedLocalTime::None => self.instant_in_gap(local),
        }
    }

    /// Converts `local` with the offset that was in force before the gap.
    ///
    /// The longest gap on record is a whole day: Samoa skipped 30 December 2011. Steps of
    /// 15 minutes over two days find the start of any gap.
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
    fn periods_are_parsed_or_rejected() {
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
            // 02:30 does not exist in Berlin on 30 March 2025: forward to 03:30 summer
            // time.
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
    fn a_period_that_ended_with_its_month_is_not_rounded_to_the_next() {
        for (zone, from, period, boundary, want) in [
            ("UTC", "2026-01-28T10:00:00Z", "P1M", Boundary::Month, "2026-03-01T00:00:00Z"),
            ("UTC", "2026-01-29T10:00:00Z", "P1M", Boundary::Month, "2026-03-01T00:00:00Z"),
            ("UTC", "2026-01-30T10:00:00Z", "P1M", Boundary::Month, "2026-03-01T00:00:00Z"),
            ("UTC", "2026-01-31T10:00:00Z", "P1M", Boundary::Month, "2026-03-01T00:00:00Z"),
            ("UTC", "2024-01-29T10:00:00Z", "P1M", Boundary::Month, "2024-03-01T00:00:00Z"),
            ("UTC", "2024-01-30T10:00:00Z", "P1M", Boundary::Month, "2024-03-01T00:00:00Z"),
            ("UTC", "2024-02-29T10:00:00Z", "P1Y", Boundary::Month, "2025-03-01T00:00:00Z"),
            // 31 June is missing: June ended, and with it the quarter.
            ("UTC", "2026-03-31T10:00:00Z", "P3M", Boundary::Quarter, "2026-07-01T00:00:00Z"),
            ("UTC", "2025-08-31T10:00:00Z", "P6M", Boundary::Quarter, "2026-04-01T00:00:00Z"),
            ("UTC", "2026-05-31T10:00:00Z", "P6M", Boundary::Year, "2027-01-01T00:00:00Z"),
            // A day after the end of the month is in the next one.
            ("UTC", "2026-01-31T10:00:00Z", "P1M1D", Boundary::Month, "2026-04-01T00:00:00Z"),
            // An instant on the boundary whose day exists lasts to the end of that month.
            ("UTC", "2026-02-01T00:00:00Z", "P1M", Boundary::Month, "2026-04-01T00:00:00Z"),
            (
                "Europe/Berlin",
                "2026-01-30T23:30:00Z",
                "P1M",
                Boundary::Month,
                "2026-02-28T23:00:00Z",
            ),
        ] {
            let zone: Zone = zone.parse().unwrap();
            assert_eq!(
                zone.after_rounded(at(from), period.parse().unwrap(), boundary),
                Ok(at(want)),
                "{from} + {period}, {boundary:?}"
            );
        }
    }

    #[test]
    fn boundaries_follow_the_shops_zone() {
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
