//! Windows: which partitions of an input, and which days of them, an output partition is granted.

use std::fmt;

use lakectl_core::{Day, DayRange, PartitionKey, TableId};

use crate::partition::{Entry, TablePartitions};

/// Which rows of an input a task may read, counted from its own partition `[s, e)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// `[s, e)`: the same period.
    SelfPeriod,
    /// `[s - days, e)`, or `[s - days, s)` if `until_start`.
    Lookback {
        /// Days before `s`.
        days: i32,
        /// Whether the window ends at `s`.
        until_start: bool,
    },
    /// Everything before `s`.
    AllBefore,
    /// Everything.
    All,
    /// The nearest partition with rows that lies before `s`, at most so many days before.
    LatestBefore {
        /// The largest age.
        max_age_days: i32,
    },
}

impl Window {
    /// Returns the days that an output partition of `period` is granted.
    pub fn days(self, period: DayRange) -> DayRange {
        let DayRange { start, end } = period;
        match self {
            Self::SelfPeriod => period,
            Self::Lookback {
                days,
                until_start: false,
            } => DayRange::new(start.plus(-days), end),
            Self::Lookback {
                days,
                until_start: true,
            } => DayRange::new(start.plus(-days), start),
            Self::AllBefore => DayRange::new(DayRange::ALL.start, start),
            Self::All => DayRange::ALL,
            Self::LatestBefore { max_age_days } => DayRange::new(start.plus(-max_age_days), start),
        }
    }

    /// Tells whether the window counts from the first day of the output partition, so that there has to be one.
    pub fn is_relative(self) -> bool {
        !matches!(self, Self::SelfPeriod | Self::All)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfPeriod => f.write_str("self"),
            Self::Lookback {
                days,
                until_start: false,
            } => write!(f, "lookback {days}d"),
            Self::Lookback {
                days,
                until_start: true,
            } => write!(f, "lookback {days}d until start"),
            Self::AllBefore => f.write_str("all_before"),
            Self::All => f.write_str("all"),
            Self::LatestBefore { max_age_days } => write!(f, "latest_before {max_age_days}d"),
        }
    }
}

/// One granted partition of an input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The table.
    pub table: TableId,
    /// The partition.
    pub partition: PartitionKey,
    /// The days that are granted, by the table's time column; `None` grants the whole partition.
    pub cut: Option<DayRange>,
}

/// A granted partition by its place in [`TablePartitions`]. `group` numbers the combinations of key values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) entry: u32,
    pub(crate) group: u32,
    pub(crate) cut: Option<DayRange>,
}

/// Hands over the partitions of the `groups` of `input` that `window` grants to the output partition, in the order of
/// their keys and days; for [`Window::LatestBefore`] all candidates, the newest first within each group.
pub(crate) fn picks(
    window: Window,
    output: &Entry,
    input: &TablePartitions,
    groups: &[u32],
    mut found: impl FnMut(Pick),
) {
    let days = window.days(output.period);
    for &group in groups {
        let places = input.group(group);
        let entries = &input.entries[places.clone()];
        let from = entries.partition_point(|entry| entry.period.end <= days.start);
        let until = from + entries[from..].partition_point(|entry| entry.period.start < days.end);
        let mut pick = |place: usize| {
            found(Pick {
                entry: (places.start + place) as u32,
                group,
                cut: cut(days, entries[place].period, input.timed),
            });
        };
        match window {
            Window::LatestBefore { .. } => (from..until).rev().for_each(&mut pick),
            _ => (from..until).for_each(&mut pick),
        }
    }
}

/// Returns the days to cut a partition to; `None` if the window holds all of it or its rows have no time.
fn cut(window: DayRange, period: DayRange, timed: bool) -> Option<DayRange> {
    (timed && !window.covers(&period)).then(|| {
        DayRange::new(
            Day::max(window.start, period.start),
            Day::min(window.end, period.end),
        )
    })
}
