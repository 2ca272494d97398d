//! From values to pixels, and the values that an axis names.

use lakectl_core::Day;

use crate::font::{self, Face};

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// The size of the figures at an axis, in pixels.
pub(crate) const FIGURES: f64 = 10.5;
/// Room between two figures along an axis, in pixels.
const GAP: f64 = 10.0;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// In proportion.
    Linear,
    /// By their square root, as the spread of prices grows with time; for values from zero.
    Root,
}

impl Scale {
    fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Root => value.max(0.0).sqrt(),
        }
    }
}

/// Which values an axis names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ticks {
    /// Round numbers.
    Round,
    /// Days, months or years; the values are seconds since 1970.
    Time,
    /// These, with their names; those that would touch a neighbour are left out.
    At(Vec<(f64, String)>),
}

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// What it measures, with the unit.
    pub(crate) label: String,
    /// How values become places.
    pub(crate) scale: Scale,
    /// The ends; what is drawn decides if there are none.
    pub(crate) range: Option<(f64, f64)>,
    /// Which values are named.
    pub(crate) ticks: Ticks,
}

impl Axis {
    /// An axis in proportion, with round numbers.
    pub(crate) fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            scale: Scale::Linear,
            range: None,
            ticks: Ticks::Round,
        }
    }

    /// Sets the ends.
    pub(crate) fn between(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// Sets the values that are named.
    pub(crate) fn ticks(mut self, ticks: Ticks) -> Self {
        self.ticks = ticks;
        self
    }

    /// Sets how values become places.
    pub(crate) fn scale(mut self, scale: Scale) -> Self {
        self.scale = scale;
        self
    }
}

/// An axis whose ends and places are settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruler {
    scale: Scale,
    /// The ends in values.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The ends in pixels.
    from: f64,
    to: f64,
}

impl Ruler {
    /// Settles an axis: its own ends, else those of what is drawn, a little widened.
    pub(crate) fn new(axis: &Axis, drawn: Option<(f64, f64)>, from: f64, to: f64) -> Self {
        let (low, high) = axis
            .range
            .unwrap_or_else(|| widened(drawn.unwrap_or((0.0, 1.0))));
        let (low, high) = match low < high {
            true => (low, high),
            false => widened((low, low)),
        };
        Self {
            scale: axis.scale,
            low,
            high,
            from,
            to,
        }
    }

    /// The pixel of a value.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.scale.of(self.low), self.scale.of(self.high));
        self.from + (self.scale.of(value) - low) / (high - low) * (self.to - self.from)
    }

    fn length(&self) -> f64 {
        (self.to - self.from).abs()
    }

    fn holds(&self, value: f64) -> bool {
        let slack = (self.high - self.low) * 1e-9;
        value >= self.low - slack && value <= self.high + slack
    }

    /// The values that are named, with their figures, lowest first; `along` if the figures stand side by side.
    pub(crate) fn ticks(&self, ticks: &Ticks, along: bool) -> Vec<(f64, String)> {
        let all = match ticks {
            Ticks::Round if along => self.spread(),
            Ticks::Round => self.round(26.0),
            Ticks::Time => self.times(),
            Ticks::At(named) => named.clone(),
        };
        let mut kept: Vec<(f64, String)> = Vec::new();
        let mut end = f64::NEG_INFINITY;
        let mut all: Vec<_> = all
            .into_iter()
            .filter(|(value, _)| self.holds(*value))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (value, name) in all {
            let half = match along {
                true => font::width(Face::Regular, &name, FIGURES) / 2.0,
                false => FIGURES / 2.0,
            };
            // Upwards pixels grow downwards; the distance is what counts.
            let place = (self.place(value) - self.from).abs();
            if place - half >= end + if along { GAP } else { 2.0 } || kept.is_empty() {
                end = place + half;
                kept.push((value, name));
            }
        }
        kept
    }

    /// As many round numbers side by side as have room.
    fn spread(&self) -> Vec<(f64, String)> {
        let fits = |named: &[(f64, String)]| {
            let widest = named
                .iter()
                .map(|(_, name)| font::width(Face::Regular, name, FIGURES));
            let room = (named.len() > 1).then(|| self.place(named[1].0) - self.place(named[0].0));
            room.is_none_or(|room| widest.fold(0.0, f64::max) + 1.2 * GAP <= room)
        };
        let tries = [40.0, 56.0, 78.0, 110.0, 150.0].map(|pixels| self.round(pixels));
        let found = tries.iter().find(|named| fits(named));
        found.or(tries.last()).cloned().unwrap_or_default()
    }

    fn round(&self, pixels: f64) -> Vec<(f64, String)> {
        let most = (self.length() / pixels).max(2.0);
        let step = round_step((self.high - self.low) / most);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last)
            .map(|i| (i as f64 * step, figure(i as f64 * step, step)))
            .collect()
    }

    fn times(&self) -> Vec<(f64, String)> {
        let span = (self.high - self.low) / DAY;
        let most = (self.length() / 72.0).max(2.0);
        let (first, last) = (day_of(self.low), day_of(self.high) + 1);
        let days = (first..=last).map(Day::from_days);
        let months = [1, 2, 3, 6, 12].into_iter();
        let steps = [1, 2, 4, 7, 14]
            .into_iter()
            .filter(|step| span < 75.0 && span / f64::from(*step) <= most);
        if let Some(step) = steps.min() {
            let named = days.filter(|day| day.days().rem_euclid(step) == 0);
            return named.map(|day| (seconds(day), day_name(day))).collect();
        }
        let step = months
            .clone()
            .find(|step| span / 30.4 / f64::from(*step) <= most);
        let years = (span / 365.25 / most).ceil().max(1.0) as i32;
        days.filter(|day| {
            let (year, month, first) = day.ymd();
            let on = match step {
                Some(step) => (month - 1).is_multiple_of(step),
                None => month == 1 && year % years == 0,
            };
            on && first == 1
        })
        .map(|day| (seconds(day), month_name(day)))
        .collect()
    }
}

fn widened((low, high): (f64, f64)) -> (f64, f64) {
    let span = high - low;
    let room = match span > 0.0 {
        true => span * 0.05,
        false => (low.abs() * 0.05).max(0.5),
    };
    (low - room, high + room)
}

/// The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below a step.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powi(step.log10().floor() as i32);
    let found = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= step * (1.0 - 1e-9));
    found.unwrap_or(10.0) * power
}

/// Writes a value with as many digits as the step between values needs.
pub(crate) fn figure(value: f64, step: f64) -> String {
    let mut digits = (-step.log10().floor()).max(0.0) as usize;
    let shifted = step * 10_f64.powi(digits as i32);
    digits += usize::from((shifted - shifted.round()).abs() > 1e-6);
    number(value, digits)
}

/// Writes a number with groups of thousands and a true minus.
#[must_use]
pub fn number(value: f64, digits: usize) -> String {
    let text = format!("{:.digits$}", value.abs());
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let zero = text.chars().all(|c| c == '0' || c == '.');
    let sign = if value < 0.0 && !zero { "−" } else { "" };
    format!("{sign}{grouped}{rest}")
}

fn day_of(seconds: f64) -> i32 {
    (seconds / DAY).floor() as i32
}

fn seconds(day: Day) -> f64 {
    f64::from(day.days()) * DAY
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn month_word(month: u32) -> &'static str {
    MONTHS[(month.clamp(1, 12) - 1) as usize]
}

fn day_name(day: Day) -> String {
    let (_, month, number) = day.ymd();
    format!("{number} {}", month_word(month))
}

fn month_name(day: Day) -> String {
    let (year, month, _) = day.ymd();
    format!("{} {year}", month_word(month))
}

/// Writes a day as reports do: `27 Mar 2026`.
#[must_use]
pub fn long_day(day: Day) -> String {
    format!("{} {}", day_name(day), day.ymd().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(low: f64, high: f64, pixels: f64, ticks: &Ticks) -> Vec<String> {
        let axis = Axis::new("x").between(low, high);
        let ruler = Ruler::new(&axis, None, 0.0, pixels);
        ruler
            .ticks(ticks, true)
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    }

    #[test]
    fn round_numbers_have_the_digits_of_their_step() {
        assert_eq!(
            named(0.0, 1.0, 300.0, &Ticks::Round),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            named(-0.3, 0.3, 120.0, &Ticks::Round),
            ["−0.2", "0.0", "0.2"]
        );
        assert_eq!(
            named(80_000.0, 120_000.0, 400.0, &Ticks::Round),
            ["80,000", "90,000", "100,000", "110,000", "120,000"]
        );
        assert_eq!(figure(0.025, 0.025), "0.025");
        assert_eq!(figure(-0.0001, 0.5), "0.0");
    }

    #[test]
    fn times_name_days_or_months_by_the_room_there_is() {
        let at = |text: &str| seconds(text.parse().unwrap());
        let days = named(at("2026-03-01"), at("2026-03-08"), 700.0, &Ticks::Time);
        assert_eq!(days.first().map(String::as_str), Some("1 Mar"));
        assert_eq!(days.len(), 8);
        let months = named(at("2025-11-15"), at("2026-03-20"), 500.0, &Ticks::Time);
        assert_eq!(months, ["Dec 2025", "Jan 2026", "Feb 2026", "Mar 2026"]);
        let years = named(at("2010-01-01"), at("2026-01-01"), 400.0, &Ticks::Time);
        assert!(
            years.len() >= 3 && years.iter().all(|name| name.starts_with("Jan ")),
            "{years:?}"
        );
    }

    #[test]
    fn figures_never_touch() {
        let crowd = (0..200)
            .map(|i| (f64::from(i) / 200.0, format!("name {i}")))
            .collect();
        let axis = Axis::new("x").between(0.0, 1.0);
        let ruler = Ruler::new(&axis, None, 0.0, 300.0);
        let kept = ruler.ticks(&Ticks::At(crowd), true);
        assert!(kept.len() > 2 && kept.len() < 8);
        for pair in kept.windows(2) {
            let room = ruler.place(pair[1].0) - ruler.place(pair[0].0);
            assert!(room > font::width(Face::Regular, &pair[0].1, FIGURES));
        }
    }

    #[test]
    fn one_value_has_an_axis_too() {
        let ruler = Ruler::new(&Axis::new("x"), Some((5.0, 5.0)), 0.0, 100.0);
        assert!((ruler.place(5.0) - 50.0).abs() < 1e-9);
        let root = Axis::new("t").scale(Scale::Root).between(0.0, 100.0);
        let ruler = Ruler::new(&root, None, 0.0, 100.0);
        assert!((ruler.place(25.0) - 50.0).abs() < 1e-9);
    }
}
