//! Our columns, and the vendor columns they come from.

use toml::Value;

use crate::feed::RowKind;
use crate::number::Number;
use crate::units::{TimeField, TimeUnit, Unit};

/// Where one of our columns comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// The vendor's column.
    pub column: String,
    /// How the vendor writes it.
    pub unit: ColumnUnit,
    /// A factor applied after the unit.
    pub scale: f64,
}

/// How a vendor's column is written.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnUnit {
    /// Text, taken as it is.
    Text,
    /// An instant.
    Time(TimeUnit),
    /// A number.
    Value(Unit),
}

/// What a column of ours holds; decides which units it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Time,
    /// In coin or in USD.
    Price,
    /// In coin or in USD; never negative.
    Size,
    /// Percent or fraction, and the declaration has to say which.
    Volatility,
    Number,
}

const COMMON: [(&str, Kind); 4] = [
    ("asset", Kind::Text),
    ("event_time", Kind::Time),
    ("vendor_time", Kind::Time),
    ("known_after", Kind::Time),
];

/// Returns the columns that a declaration may map for a kind of row.
pub(crate) fn canonical(kind: RowKind) -> Vec<(&'static str, Kind)> {
    let own: &[(&str, Kind)] = match kind {
        RowKind::OptionQuotes => &[
            ("instrument", Kind::Text),
            ("expiry", Kind::Time),
            ("strike", Kind::Number),
            ("option_type", Kind::Text),
            ("settlement", Kind::Text),
            ("bid", Kind::Price),
            ("ask", Kind::Price),
            ("mark", Kind::Price),
            ("underlying_price", Kind::Number),
            ("mark_iv", Kind::Volatility),
            ("open_interest", Kind::Size),
            ("volume", Kind::Size),
            ("index_price", Kind::Number),
            ("exchange_delta", Kind::Number),
            ("exchange_vega", Kind::Number),
        ],
        // No format with mapped columns has trades.
        RowKind::OptionTrades => &[],
        RowKind::FutureQuotes => &[
            ("instrument", Kind::Text),
            ("expiry", Kind::Time),
            ("bid", Kind::Number),
            ("ask", Kind::Number),
            ("mark", Kind::Number),
            ("last", Kind::Number),
            ("open_interest", Kind::Number),
            ("volume", Kind::Number),
            ("index_price", Kind::Number),
        ],
        RowKind::Candles => &[
            ("open", Kind::Number),
            ("high", Kind::Number),
            ("low", Kind::Number),
            ("close", Kind::Number),
            ("volume", Kind::Number),
        ],
        RowKind::Metrics => &[("metric", Kind::Text), ("value", Kind::Number)],
    };
    COMMON.iter().chain(own).copied().collect()
}

impl ColumnSpec {
    /// Builds a spec without a factor.
    pub(crate) fn new(column: &str, unit: ColumnUnit) -> Self {
        Self {
            column: column.to_owned(),
            unit,
            scale: 1.0,
        }
    }

    /// Reads `"column"` or `{ column = "...", unit = "...", scale = 1.0 }`.
    pub(crate) fn from_toml(value: &Value, kind: Kind) -> Result<Self, String> {
        let (column, unit, scale) = match value {
            Value::String(column) => (column.as_str(), None, 1.0),
            Value::Table(table) => {
                if let Some(key) = table
                    .keys()
                    .find(|key| !["column", "unit", "scale"].contains(&key.as_str()))
                {
                    return Err(format!(
                        "unknown key `{key}`; known are column, unit, scale"
                    ));
                }
                let column = table.get("column").and_then(Value::as_str);
                let unit = match table.get("unit") {
                    None => None,
                    Some(unit) => Some(unit.as_str().ok_or("`unit` must be text")?),
                };
                let scale = match table.get("scale") {
                    None => 1.0,
                    Some(scale) => scale
                        .as_float()
                        .or_else(|| scale.as_integer().map(|whole| whole as f64))
                        .filter(|scale| scale.is_finite() && *scale != 0.0)
                        .ok_or("`scale` must be a finite number other than zero")?,
                };
                (column.ok_or("needs `column = \"...\"`")?, unit, scale)
            }
            _ => {
                return Err(
                    "must be a column's name or { column = \"...\", unit = \"...\" }".to_owned(),
                );
            }
        };
        Ok(Self {
            column: column.to_owned(),
            unit: column_unit(unit, kind)?,
            scale,
        })
    }

    pub(crate) fn number(&self, text: &[u8]) -> Number {
        self.convert(Number::from_bytes(text))
    }

    pub(crate) fn convert(&self, number: Number) -> Number {
        match self.unit {
            ColumnUnit::Value(unit) if self.scale == 1.0 => number.map(|v| unit.to_stored(v)),
            ColumnUnit::Value(unit) => number.map(|v| unit.to_stored(v) * self.scale),
            _ => number,
        }
    }

    pub(crate) fn time(&self, text: &[u8]) -> TimeField {
        match &self.unit {
            ColumnUnit::Time(unit) => unit.read_bytes(text),
            _ => TimeField::Unreadable,
        }
    }

    /// Returns the unit of a number column.
    pub(crate) fn value_unit(&self) -> Unit {
        match self.unit {
            ColumnUnit::Value(unit) => unit,
            _ => Unit::Native,
        }
    }
}

fn column_unit(unit: Option<&str>, kind: Kind) -> Result<ColumnUnit, String> {
    let allowed: &[Unit] = match kind {
        Kind::Text => {
            return match unit {
                None => Ok(ColumnUnit::Text),
                Some(_) => Err("is text and takes no unit".to_owned()),
            };
        }
        Kind::Time => {
            let name = unit.unwrap_or("iso");
            return TimeUnit::of_name(name).map(ColumnUnit::Time).ok_or(format!(
                "unit `{name}` is unknown; known are iso, s, ms, us, ns, or a pattern such as %Y%m%d"
            ));
        }
        Kind::Price | Kind::Size => &[Unit::Native, Unit::Coin, Unit::Usd],
        Kind::Volatility => &[Unit::Percent, Unit::Fraction],
        Kind::Number => &Unit::ALL,
    };
    let Some(name) = unit else {
        return if kind == Kind::Volatility {
            Err("needs a unit: percent (43.2) or fraction (0.432)".to_owned())
        } else {
            Ok(ColumnUnit::Value(Unit::Native))
        };
    };
    match Unit::of_name(name).filter(|unit| allowed.contains(unit)) {
        Some(unit) => Ok(ColumnUnit::Value(unit)),
        None => {
            let known: Vec<&str> = allowed.iter().map(|unit| unit.name()).collect();
            Err(format!("unit `{name}` is not one of {}", known.join(", ")))
        }
    }
}
