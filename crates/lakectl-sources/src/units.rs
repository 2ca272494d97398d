//! Units of vendor columns, and what becomes of them: volatilities and rates are stored as fractions, money in whole USD.

use lakectl_core::UtcTime;

use crate::number::{Number, Scalar};
use crate::pattern::TimePattern;
use crate::time_text::{in_range, parse_iso};

/// The unit of a number in a vendor's document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// As the vendor gives it; no change.
    #[default]
    Native,
    /// 1 = 100 %.
    Fraction,
    /// Hundredths; stored as a fraction.
    Percent,
    /// Ten-thousandths; stored as a fraction.
    BasisPoints,
    /// Units of the asset.
    Coin,
    /// US dollars.
    Usd,
    /// Thousands of US dollars; stored in US dollars.
    UsdThousands,
    /// Millions of US dollars; stored in US dollars.
    UsdMillions,
    /// Billions of US dollars; stored in US dollars.
    UsdBillions,
    /// A number of things.
    Count,
    /// A ratio of two amounts.
    Ratio,
    /// Points of an index.
    Index,
    /// Days.
    Days,
    /// Hashes a second.
    HashPerSecond,
    /// Terahashes a second; stored in hashes a second.
    TerahashPerSecond,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 15] = [
        Self::Native,
        Self::Fraction,
        Self::Percent,
        Self::BasisPoints,
        Self::Coin,
        Self::Usd,
        Self::UsdThousands,
        Self::UsdMillions,
        Self::UsdBillions,
        Self::Count,
        Self::Ratio,
        Self::Index,
        Self::Days,
        Self::HashPerSecond,
        Self::TerahashPerSecond,
    ];

    /// Returns the unit's name in declarations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Fraction => "fraction",
            Self::Percent => "percent",
            Self::BasisPoints => "bp",
            Self::Coin => "coin",
            Self::Usd => "usd",
            Self::UsdThousands => "usd_thousands",
            Self::UsdMillions => "usd_millions",
            Self::UsdBillions => "usd_billions",
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::Index => "index",
            Self::Days => "days",
            Self::HashPerSecond => "hash_per_s",
            Self::TerahashPerSecond => "th_per_s",
        }
    }

    /// Returns the unit of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// Returns the names of all units, for messages.
    pub fn known() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Returns the unit that values are stored in.
    pub const fn stored(self) -> Self {
        match self {
            Self::Percent | Self::BasisPoints => Self::Fraction,
            Self::UsdThousands | Self::UsdMillions | Self::UsdBillions => Self::Usd,
            Self::TerahashPerSecond => Self::HashPerSecond,
            other => other,
        }
    }

    /// Converts a vendor's value to the stored unit.
    pub fn to_stored(self, value: f64) -> f64 {
        match self {
            // A division rounds once; a product with 0.01 would round twice.
            Self::Percent => value / 100.0,
            Self::BasisPoints => value / 10_000.0,
            Self::UsdThousands => value * 1e3,
            Self::UsdMillions => value * 1e6,
            Self::UsdBillions => value * 1e9,
            Self::TerahashPerSecond => value * 1e12,
            _ => value,
        }
    }
}

/// How a vendor writes instants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// A date or an ISO 8601 time; UTC unless it has an offset.
    Iso,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970.
    Nanos,
    /// A pattern of `%Y %m %d %H %M %S`.
    Pattern(TimePattern),
}

/// A time read from a document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum TimeField {
    #[default]
    Missing,
    Value(UtcTime),
    /// Not a time in the declared unit, or outside 1990 to 2200: most often a wrong unit.
    Unreadable,
}

impl TimeUnit {
    /// Returns the unit of that name, or of a pattern with `%`.
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "iso" => Some(Self::Iso),
            "s" => Some(Self::Seconds),
            "ms" => Some(Self::Millis),
            "us" => Some(Self::Micros),
            "ns" => Some(Self::Nanos),
            _ => TimePattern::new(name).ok().map(Self::Pattern),
        }
    }

    pub(crate) fn read_bytes(&self, bytes: &[u8]) -> TimeField {
        std::str::from_utf8(bytes).map_or(TimeField::Unreadable, |text| self.read_text(text))
    }

    pub(crate) fn read_text(&self, text: &str) -> TimeField {
        let text = text.trim();
        if crate::number::is_missing(text) {
            return TimeField::Missing;
        }
        let time = match self {
            Self::Iso => parse_iso(text.as_bytes()),
            Self::Pattern(pattern) => pattern.parse(text),
            _ => match text.parse::<i64>() {
                Ok(whole) => self.micros_of(whole),
                Err(_) => return self.read_number(Number::from_text(text)),
            },
        };
        time.filter(|time| in_range(*time))
            .map_or(TimeField::Unreadable, TimeField::Value)
    }

    pub(crate) fn read_scalar(&self, value: &Scalar) -> TimeField {
        match value {
            Scalar::Missing => TimeField::Missing,
            Scalar::Text(text) => self.read_text(text),
            Scalar::Number(_) if matches!(self, Self::Pattern(_)) => {
                self.read_text(&value.to_string())
            }
            Scalar::Number(number) => self.read_number(Number::from_f64(*number)),
            Scalar::Other => TimeField::Unreadable,
        }
    }

    fn micros_of(&self, whole: i64) -> Option<UtcTime> {
        let micros = match self {
            Self::Seconds => whole.checked_mul(1_000_000)?,
            Self::Millis => whole.checked_mul(1_000)?,
            Self::Micros => whole,
            Self::Nanos => whole.div_euclid(1_000),
            Self::Iso | Self::Pattern(_) => return None,
        };
        Some(UtcTime::from_micros(micros))
    }

    fn read_number(&self, number: Number) -> TimeField {
        let scale = match self {
            Self::Seconds => 1e6,
            Self::Millis => 1e3,
            Self::Micros => 1.0,
            Self::Nanos => 1e-3,
            Self::Iso | Self::Pattern(_) => return TimeField::Unreadable,
        };
        match number {
            Number::Missing => TimeField::Missing,
            Number::Value(value) if (value * scale).abs() < 9e18 => {
                let time = UtcTime::from_micros((value * scale).round() as i64);
                if in_range(time) {
                    TimeField::Value(time)
                } else {
                    TimeField::Unreadable
                }
            }
            _ => TimeField::Unreadable,
        }
    }
}

/// Reads a length such as `10m`, `28h` or `1d`; in microseconds.
pub(crate) fn parse_length(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number
        .checked_mul(seconds * 1_000_000)
        .filter(|micros| (0..=3_650 * 86_400_000_000).contains(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_time_unit_is_unreadable_not_1970() {
        let want = TimeField::Value("2026-01-05T00:00:00Z".parse().unwrap());
        for (unit, text) in [
            ("s", "1767571200"),
            ("ms", "1767571200000"),
            ("us", "1767571200000000"),
            ("ns", "1767571200000000000"),
            ("s", "1767571200.0"),
            ("iso", "2026-01-05"),
            ("%Y%m%d", "20260105"),
        ] {
            let unit = TimeUnit::of_name(unit).unwrap();
            assert_eq!(unit.read_text(text), want, "{unit:?}");
        }
        for (unit, text) in [
            ("ms", "1767571200"),
            ("s", "1767571200000"),
            ("iso", "1767571200"),
            ("s", "soon"),
            ("%Y%m%d", "2026-01-05"),
        ] {
            let unit = TimeUnit::of_name(unit).unwrap();
            assert_eq!(
                unit.read_text(text),
                TimeField::Unreadable,
                "{unit:?} {text}"
            );
        }
        assert_eq!(TimeUnit::Iso.read_text(""), TimeField::Missing);
        assert_eq!(TimeUnit::of_name("hours"), None);
    }

    #[test]
    fn lengths() {
        assert_eq!(parse_length("10m"), Some(600_000_000));
        assert_eq!(parse_length("1d"), Some(86_400_000_000));
        for bad in ["", "10", "m", "-1h", "1w", "99999999999d", "µ"] {
            assert_eq!(parse_length(bad), None, "{bad}");
        }
    }
}
