//! Column contracts: what a table promises to its readers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CoreError;

const KNOWN_TYPES: &str = "utf8, i64, f64, bool, ts, date, binary";

/// The logical type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Text.
    Utf8,
    /// Signed 64-bit integer.
    I64,
    /// 64-bit float; never NaN or infinite in a stored table.
    F64,
    /// True or false.
    Bool,
    /// UTC microseconds.
    Ts,
    /// Calendar day.
    Date,
    /// Bytes.
    Binary,
}

impl ColumnType {
    /// Returns the word used in contracts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::I64 => "i64",
            Self::F64 => "f64",
            Self::Bool => "bool",
            Self::Ts => "ts",
            Self::Date => "date",
            Self::Binary => "binary",
        }
    }
}

/// One column of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// Its logical type.
    pub kind: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
}

impl FromStr for Column {
    type Err = CoreError;

    /// Reads `level f64?`; the question mark allows nulls.
    fn from_str(text: &str) -> Result<Self, CoreError> {
        let wrong = || CoreError::Column {
            found: text.trim().to_owned(),
            known: KNOWN_TYPES,
        };
        let mut words = text.split_whitespace();
        let (Some(name), Some(word), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong());
        };
        let (word, nullable) = word
            .strip_suffix('?')
            .map_or((word, false), |word| (word, true));
        let types = [
            ColumnType::Utf8,
            ColumnType::I64,
            ColumnType::F64,
            ColumnType::Bool,
            ColumnType::Ts,
            ColumnType::Date,
            ColumnType::Binary,
        ];
        let kind = types
            .into_iter()
            .find(|t| t.word() == word)
            .ok_or_else(wrong)?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            nullable,
        })
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}{}",
            self.name,
            self.kind.word(),
            if self.nullable { "?" } else { "" }
        )
    }
}

/// The columns of a table, in order. Written `asset utf8, event_time ts, level f64?`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Contract {
    columns: Vec<Column>,
}

impl Contract {
    /// Builds a contract.
    ///
    /// # Errors
    /// [`CoreError::ColumnTwice`] if two columns have one name.
    pub fn new(columns: Vec<Column>) -> Result<Self, CoreError> {
        for (i, column) in columns.iter().enumerate() {
            if columns[..i].iter().any(|c| c.name == column.name) {
                return Err(CoreError::ColumnTwice {
                    name: column.name.clone(),
                });
            }
        }
        Ok(Self { columns })
    }

    /// Returns the columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the column of that name.
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl FromStr for Contract {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        let parts = text
            .split([',', '\n'])
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Self::new(parts.map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl TryFrom<String> for Contract {
    type Error = CoreError;

    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<Contract> for String {
    fn from(value: Contract) -> Self {
        value.to_string()
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns.iter().enumerate() {
            write!(f, "{}{column}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_are_read_and_written() {
        let text = "asset utf8, event_time ts, level f64?";
        let contract: Contract = text.parse().unwrap();
        assert_eq!(contract.to_string(), text);
        assert!(contract.get("level").unwrap().nullable);
        for bad in ["asset", "asset text", "a utf8, a f64", "a utf8 b"] {
            assert!(bad.parse::<Contract>().is_err(), "{bad}");
        }
    }
}
