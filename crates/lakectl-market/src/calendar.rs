//! Dates of the option market: expiries at 08:00 UTC and their names. Days are counted from 1970-01-01.

pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
/// Options expire at this time of the day.
pub(crate) const EXPIRY_SECONDS: i64 = 8 * 3_600;

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// (year, month, day of the month) in the proleptic Gregorian calendar, by counting 400-year eras from 0000-03-01.
pub(crate) fn civil(day: i32) -> (i32, u32, u32) {
    let shifted = i64::from(day) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let date = (of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month, date)
}

/// The inverse of [`civil`].
pub(crate) fn from_civil(year: i32, month: u32, date: u32) -> i32 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + i64::from(date) - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    (era * 146_097 + of_era - 719_468) as i32
}

/// Monday = 0.
pub(crate) fn weekday(day: i32) -> i32 {
    (day + 3).rem_euclid(7)
}

/// First day of the month `count` months after the one that holds `day`.
pub(crate) fn month_start(day: i32, count: i32) -> i32 {
    let (year, month, _) = civil(day);
    let months = year * 12 + month as i32 - 1 + count;
    from_civil(months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1)
}

/// Last Friday of the month `count` months after the one that holds `day`.
fn last_friday(day: i32, count: i32) -> i32 {
    let last = month_start(day, count + 1) - 1;
    last - (weekday(last) - 4).rem_euclid(7)
}

/// An expiry day and whether a future with the same expiry is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expiry {
    pub day: i32,
    pub listed_future: bool,
}

impl Expiry {
    /// Seconds since 1970 of 08:00 UTC on the day.
    pub(crate) fn seconds(self) -> i64 {
        i64::from(self.day) * SECONDS_PER_DAY + EXPIRY_SECONDS
    }
}

/// Open expiries at `seconds` since 1970: three dailies, four Fridays, three month ends and three quarter ends, each once.
pub(crate) fn expiries(seconds: i64) -> Vec<Expiry> {
    // The first day whose 08:00 is still ahead.
    let first = (seconds - EXPIRY_SECONDS).div_euclid(SECONDS_PER_DAY) as i32 + 1;
    let mut days: Vec<(i32, bool)> = (0..3).map(|n| (first + n, false)).collect();
    let friday = first + (4 - weekday(first)).rem_euclid(7);
    days.extend((0..4).map(|n| (friday + 7 * n, n < 2)));
    let ahead = |months: i32| last_friday(first, months) >= first;
    let from = i32::from(!ahead(0));
    days.extend((from..from + 3).map(|n| (last_friday(first, n), true)));
    let quarters = (from..from + 12)
        .map(|n| (n, last_friday(first, n)))
        .filter(|(_, day)| civil(*day).1.is_multiple_of(3));
    days.extend(quarters.take(3).map(|(_, day)| (day, true)));
    days.sort_unstable();
    let mut result: Vec<Expiry> = Vec::with_capacity(days.len());
    for (day, listed_future) in days {
        match result.last_mut() {
            Some(last) if last.day == day => last.listed_future |= listed_future,
            _ => result.push(Expiry { day, listed_future }),
        }
    }
    result
}

/// The date as it stands in an instrument's name, such as `5JAN24`.
pub(crate) fn expiry_name(day: i32) -> String {
    let (year, month, date) = civil(day);
    format!(
        "{date}{}{:02}",
        MONTHS[(month as usize - 1) % 12],
        year.rem_euclid(100)
    )
}

/// Whether US rates are published for the day: Monday to Friday without a few fixed holidays.
pub(crate) fn is_business_day(day: i32) -> bool {
    weekday(day) < 5
}

/// Whether the day is a US holiday that always falls on this date (enough for gaps in a simulated series).
pub(crate) fn is_holiday(day: i32) -> bool {
    let (_, month, date) = civil(day);
    matches!(
        (month, date),
        (1, 1) | (6, 19) | (7, 4) | (11, 11) | (12, 25)
    )
}
