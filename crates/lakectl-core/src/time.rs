//! Days, microseconds and the grains of partitions. All of it UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::CoreError;

/// Microseconds in one day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A UTC instant in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcTime(i64);

impl UtcTime {
    /// Wraps microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Returns the day that holds this instant.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_PER_DAY) as i32)
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_micros(self.0) {
            Some(time) if self.0 % 1_000_000 == 0 => {
                write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%SZ"))
            }
            Some(time) => write!(f, "{}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
            None => write!(f, "{} us", self.0),
        }
    }
}

impl FromStr for UtcTime {
    type Err = CoreError;

    /// Reads a date, an RFC 3339 time, or a time without an offset (taken as UTC).
    fn from_str(text: &str) -> Result<Self, CoreError> {
        if let Ok(day) = text.parse::<Day>() {
            return Ok(day.start());
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self(time.timestamp_micros()));
        }
        let plain = text.trim_end_matches('Z');
        for format in [
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M",
        ] {
            if let Ok(time) = NaiveDateTime::parse_from_str(plain, format) {
                return Ok(Self(time.and_utc().timestamp_micros()));
            }
        }
        Err(CoreError::Time {
            found: text.to_owned(),
        })
    }
}

/// A UTC calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(i32);

impl Day {
    /// Wraps a number of days since 1970-01-01.
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// Returns the day of a calendar date, or `None` if there is no such date.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).map(Self::from_date)
    }

    fn from_date(date: NaiveDate) -> Self {
        Self(date.to_epoch_days())
    }

    fn date(self) -> NaiveDate {
        NaiveDate::from_epoch_days(self.0).unwrap_or(NaiveDate::MIN)
    }

    /// Returns days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// Returns 00:00 UTC of this day.
    pub const fn start(self) -> UtcTime {
        UtcTime(self.0 as i64 * MICROS_PER_DAY)
    }

    /// Returns the day `count` days later (earlier if negative).
    #[must_use]
    pub const fn plus(self, count: i32) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// Returns (year, month, day of the month).
    pub fn ymd(self) -> (i32, u32, u32) {
        let date = self.date();
        (date.year(), date.month(), date.day())
    }

    /// Returns the day of the week, Monday = 0.
    pub fn weekday(self) -> u32 {
        self.date().weekday().num_days_from_monday()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ymd() {
            // A plan writes and reads a hundred thousand of these.
            (year @ 0..=9999, month, day) => write!(f, "{year:04}-{month:02}-{day:02}"),
            _ => write!(f, "{}", self.date().format("%Y-%m-%d")),
        }
    }
}

/// Reads `YYYY-MM-DD`, digits only.
fn plain_date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u32, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + u32::from(digit - b'0'))
        })
    };
    let year = i32::try_from(number(&bytes[..4])?).ok()?;
    NaiveDate::from_ymd_opt(year, number(&bytes[5..7])?, number(&bytes[8..])?)
}

impl FromStr for Day {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        let date = match plain_date(text) {
            Some(date) => Ok(date),
            None => NaiveDate::parse_from_str(text, "%Y-%m-%d"),
        };
        date.map(Self::from_date).map_err(|_| CoreError::Date {
            found: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Day {
    type Error = CoreError;

    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<Day> for String {
    fn from(value: Day) -> Self {
        value.to_string()
    }
}

/// A half-open range of days, `start` included and `end` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DayRange {
    /// The first day.
    pub start: Day,
    /// The day after the last one.
    pub end: Day,
}

impl DayRange {
    /// Every day there is.
    pub const ALL: Self = Self {
        start: Day(i32::MIN),
        end: Day(i32::MAX),
    };

    /// Builds a range.
    pub const fn new(start: Day, end: Day) -> Self {
        Self { start, end }
    }

    /// Tells whether `day` lies inside.
    pub fn contains(&self, day: Day) -> bool {
        self.start <= day && day < self.end
    }

    /// Tells whether `other` lies wholly inside.
    pub fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Returns the days that lie in both; empty ranges start and end on one day.
    #[must_use]
    pub fn clipped(&self, other: &Self) -> Self {
        let start = self.start.max(other.start);
        Self {
            start,
            end: self.end.min(other.end).max(start),
        }
    }

    /// Tells whether the two have a day in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start.max(other.start) < self.end.min(other.end)
    }
}

/// How long one partition of a table is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Grain {
    /// The table has no time partition.
    #[default]
    None,
    /// One partition a calendar year.
    Year,
    /// One partition a calendar month.
    Month,
    /// One partition a day.
    Day,
}

impl Grain {
    /// Returns the name of the partition column, `date`, `month` or `year`.
    pub const fn column(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Year => Some("year"),
            Self::Month => Some("month"),
            Self::Day => Some("date"),
        }
    }

    /// Returns the grain whose partition column is `column`.
    pub fn of_column(column: &str) -> Option<Self> {
        [Self::Year, Self::Month, Self::Day]
            .into_iter()
            .find(|grain| grain.column() == Some(column))
    }

    /// Returns the label of the period that holds `day`: `2026`, `2026-02` or `2026-02-05`.
    pub fn label(self, day: Day) -> String {
        let (year, month, _) = day.ymd();
        match self {
            Self::None => "all".to_owned(),
            Self::Year => format!("{year:04}"),
            Self::Month => format!("{year:04}-{month:02}"),
            Self::Day => day.to_string(),
        }
    }

    /// Returns the days of the period with this label.
    ///
    /// # Errors
    /// [`CoreError::Date`] if the label is not one of this grain.
    pub fn period(self, label: &str) -> Result<DayRange, CoreError> {
        let first = match self {
            Self::None => return Ok(DayRange::ALL),
            Self::Year => format!("{label}-01-01"),
            Self::Month => format!("{label}-01"),
            Self::Day => label.to_owned(),
        };
        let start: Day = first.parse().map_err(|_| CoreError::Date {
            found: label.to_owned(),
        })?;
        Ok(DayRange::new(start, self.next(start)))
    }

    /// Returns the first day of the period that holds `day`.
    pub fn floor(self, day: Day) -> Day {
        let (year, month, _) = day.ymd();
        match self {
            Self::None => Day(i32::MIN),
            Self::Year => Day::from_ymd(year, 1, 1).unwrap_or(day),
            Self::Month => Day::from_ymd(year, month, 1).unwrap_or(day),
            Self::Day => day,
        }
    }

    /// Returns the first day of the period after the one that holds `day`.
    pub fn next(self, day: Day) -> Day {
        let (year, month, _) = day.ymd();
        let next = match self {
            Self::None => None,
            Self::Year => Day::from_ymd(year + 1, 1, 1),
            Self::Month if month == 12 => Day::from_ymd(year + 1, 1, 1),
            Self::Month => Day::from_ymd(year, month + 1, 1),
            Self::Day => Some(day.plus(1)),
        };
        next.unwrap_or(Day(i32::MAX))
    }

    /// Returns the first days of all periods that overlap `range`; empty for [`Grain::None`].
    pub fn periods(self, range: DayRange) -> Vec<Day> {
        let mut starts = Vec::new();
        if self == Self::None || range.start >= range.end {
            return starts;
        }
        let mut day = self.floor(range.start);
        while day < range.end {
            starts.push(day);
            day = self.next(day);
        }
        starts
    }
}

impl FromStr for Grain {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        match text {
            "none" => Ok(Self::None),
            "year" => Ok(Self::Year),
            "month" => Ok(Self::Month),
            "day" => Ok(Self::Day),
            _ => Err(CoreError::Grain {
                found: text.to_owned(),
            }),
        }
    }
}

/// Reads a number of days such as `90d`.
///
/// # Errors
/// [`CoreError::DayCount`] for anything else, zero and negative numbers included.
pub fn parse_days(text: &str) -> Result<i32, CoreError> {
    text.strip_suffix('d')
        .and_then(|number| number.parse::<i32>().ok())
        .filter(|days| *days > 0)
        .ok_or_else(|| CoreError::DayCount {
            found: text.to_owned(),
        })
}

/// Reads a number of hours such as `12h`, or of days such as `2d`, as hours.
///
/// # Errors
/// [`CoreError::DayCount`] for anything else, zero and negative numbers included.
pub fn parse_hours(text: &str) -> Result<i64, CoreError> {
    match text.strip_suffix('h').map(str::parse::<i32>) {
        Some(Ok(hours)) if hours > 0 => Ok(i64::from(hours)),
        Some(_) => Err(CoreError::DayCount {
            found: text.to_owned(),
        }),
        None => Ok(i64::from(parse_days(text)?) * 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written() {
        for text in ["0001-01-01", "1969-12-31", "2024-02-29", "9999-12-31"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        assert_eq!("2026-1-5".parse(), "2026-01-05".parse::<Day>());
        let far = Day::from_ymd(10_000, 1, 1).unwrap();
        assert_eq!(far.to_string().parse(), Ok(far));
        for bad in [
            "2026-02-30",
            "2026-00-10",
            "20260-1-01",
            "2026-0a-01",
            "2026/01/01",
            "x",
        ] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_in_many_spellings() {
        let micros = 1_767_604_905_000_000;
        for text in [
            "2026-01-05T09:21:45Z",
            "2026-01-05T10:21:45+01:00",
            "2026-01-05 09:21:45",
            "2026-01-05T09:21:45.000000",
        ] {
            assert_eq!(text.parse::<UtcTime>().unwrap().micros(), micros, "{text}");
        }
        assert_eq!(
            UtcTime::from_micros(micros).to_string(),
            "2026-01-05T09:21:45Z"
        );
        assert_eq!(UtcTime::from_micros(-1).day().to_string(), "1969-12-31");
        assert!("yesterday".parse::<UtcTime>().is_err());
    }

    #[test]
    fn periods_cover_a_range_without_gaps() {
        let range = DayRange::new("2025-11-15".parse().unwrap(), "2026-02-02".parse().unwrap());
        for (grain, count) in [
            (Grain::Year, 2),
            (Grain::Month, 4),
            (Grain::Day, 79),
            (Grain::None, 0),
        ] {
            assert_eq!(grain.periods(range).len(), count, "{grain:?}");
        }
        let feb = Grain::Month.period("2028-02").unwrap();
        assert_eq!(feb.end.days() - feb.start.days(), 29);
        assert!(Grain::Month.period("2028-13").is_err());
    }

    #[test]
    fn day_counts() {
        assert_eq!(parse_days("90d"), Ok(90));
        assert_eq!((parse_hours("12h"), parse_hours("2d")), (Ok(12), Ok(48)));
        assert!(
            ["0h", "-1h", "h", "12", "1.5h"]
                .iter()
                .all(|bad| parse_hours(bad).is_err())
        );
        for bad in ["90", "d", "-3d", "0d", "9h"] {
            assert!(parse_days(bad).is_err(), "{bad}");
        }
    }
}
