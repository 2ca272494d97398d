//! Numbers as vendors write them: quoted or not, with thousands separators, absent in many spellings.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A number read from a document, with the ways it can fail to be one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Number {
    /// Nothing, `.`, `null`, `None`, `NA`, `N/A` or dashes.
    #[default]
    Missing,
    /// A finite number.
    Value(f64),
    /// NaN or an infinity, or too large for a float.
    NotFinite,
    /// Text that is not a number.
    Unreadable,
}

impl Number {
    pub(crate) fn from_f64(value: f64) -> Self {
        if value.is_finite() {
            Self::Value(value)
        } else {
            Self::NotFinite
        }
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        std::str::from_utf8(bytes).map_or(Self::Unreadable, Self::from_text)
    }

    pub(crate) fn from_text(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Missing;
        }
        if let Ok(value) = text.parse::<f64>() {
            return Self::from_f64(value);
        }
        if is_missing(text) {
            return Self::Missing;
        }
        match without_thousands(text).and_then(|plain| plain.parse().ok()) {
            Some(value) => Self::from_f64(value),
            None => Self::Unreadable,
        }
    }

    /// Applies a change of unit.
    pub(crate) fn map(self, change: impl FnOnce(f64) -> f64) -> Self {
        match self {
            Self::Value(value) => Self::from_f64(change(value)),
            other => other,
        }
    }
}

pub(crate) fn is_missing(text: &str) -> bool {
    matches!(
        text,
        "" | "." | "null" | "NULL" | "None" | "NA" | "N/A" | "-" | "--"
    )
}

/// `1,234,567.8` -> `1234567.8`; anything whose groups are not three digits is refused.
fn without_thousands(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |(a, b)| (a, b));
    let mut groups = whole.trim_start_matches('-').split(',');
    let first = groups.next()?;
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let regular = !first.is_empty()
        && first.len() <= 3
        && digits(first)
        && whole.contains(',')
        && groups.all(|group| group.len() == 3 && digits(group));
    regular.then(|| format!("{}.{fraction}0", whole.replace(',', "")))
}

/// A JSON scalar taken as it comes: numbers arrive as numbers and as strings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Scalar {
    #[default]
    Missing,
    Number(f64),
    Text(String),
    /// A list, an object or a truth value.
    Other,
}

impl Scalar {
    pub(crate) fn number(&self) -> Number {
        match self {
            Self::Missing => Number::Missing,
            Self::Number(value) => Number::from_f64(*value),
            Self::Text(text) => Number::from_text(text),
            Self::Other => Number::Unreadable,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("null"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Other => f.write_str("?"),
        }
    }
}

struct ScalarVisitor;

impl<'de> de::Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value as f64))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value as f64))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Missing)
    }
    fn visit_none<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Missing)
    }
    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<Scalar, D::Error> {
        value.deserialize_any(self)
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map
            .next_entry::<de::IgnoredAny, de::IgnoredAny>()?
            .is_some()
        {}
        Ok(Scalar::Other)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(ScalarVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::Number::{self, Missing, NotFinite, Unreadable, Value};

    #[test]
    fn spellings_of_numbers() {
        for (text, want) in [
            ("1.5", Value(1.5)),
            (" -2e3 ", Value(-2000.0)),
            ("1,234,567.5", Value(1_234_567.5)),
            ("-1,234", Value(-1234.0)),
            ("", Missing),
            (".", Missing),
            ("None", Missing),
            ("--", Missing),
            ("nan", NotFinite),
            ("-Infinity", NotFinite),
            ("1e999", NotFinite),
            ("12,34", Unreadable),
            ("1.2.3", Unreadable),
            ("0x10", Unreadable),
            (",", Unreadable),
            ("abc", Unreadable),
        ] {
            assert_eq!(Number::from_text(text), want, "{text}");
        }
    }
}
