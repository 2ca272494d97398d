//! Names of tables, partitions and tasks.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CoreError, Day, DayRange, Grain};

/// The longest partition value; file systems stop at 255 bytes a name.
const VALUE_BYTES_MAX: usize = 128;

/// The name of a table of the lake, `schema.table`. Clones share one text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TableId {
    text: Arc<str>,
    dot: usize,
}

impl TableId {
    /// Joins a schema and a table name.
    ///
    /// # Errors
    /// [`CoreError::TableName`] if either part is not made of `a-z`, `0-9` and `_`, beginning with a letter.
    pub fn new(schema: &str, name: &str) -> Result<Self, CoreError> {
        format!("{schema}.{name}").parse()
    }

    /// Returns the part before the dot.
    pub fn schema(&self) -> &str {
        &self.text[..self.dot]
    }

    /// Returns the part after the dot.
    pub fn name(&self) -> &str {
        &self.text[self.dot + 1..]
    }

    /// Returns `schema.table`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

impl FromStr for TableId {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        match text.split_once('.') {
            Some((schema, name)) if is_name(schema) && is_name(name) => Ok(Self {
                text: text.into(),
                dot: schema.len(),
            }),
            _ => Err(CoreError::TableName {
                found: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for TableId {
    type Error = CoreError;

    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<TableId> for String {
    fn from(value: TableId) -> Self {
        value.text.as_ref().to_owned()
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One slice of a table: partition columns with their values, in the table's declared order.
///
/// The time column, if the table has one, is last and is called `date`, `month` or `year` after its grain.
/// The text form is the folder path, `asset=BTC/date=2026-02-05`; a table of one partition has the empty key, written `all`.
/// Clones share the pairs: a plan names each of its partitions many times.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartitionKey(Arc<[(String, String)]>);

impl PartitionKey {
    /// Builds a key from (column, value) pairs.
    ///
    /// # Errors
    /// [`CoreError::PartitionValue`] if a value is empty, longer than 128 bytes, or holds `/`, `..`, `=`, `%`, a
    /// backslash or a control character: it would not survive as the name of a folder.
    pub fn new<C: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (C, V)>,
    ) -> Result<Self, CoreError> {
        let pairs: Vec<(String, String)> = pairs
            .into_iter()
            .map(|(c, v)| (c.into(), v.into()))
            .collect();
        for (column, value) in &pairs {
            if let Some(problem) = value_problem(value) {
                return Err(CoreError::PartitionValue {
                    column: column.clone(),
                    value: value.clone(),
                    problem,
                });
            }
        }
        Ok(Self(pairs.into()))
    }

    /// Returns this key with the time column of `grain` for the period that begins on `day`.
    #[must_use]
    pub fn with_period(self, grain: Grain, day: Day) -> Self {
        let Some(column) = grain.column() else {
            return self;
        };
        let period = (column.to_owned(), grain.label(day));
        Self(self.0.iter().cloned().chain([period]).collect())
    }

    /// Returns the value of one partition column.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(c, _)| c == column)
            .map(|(_, v)| v.as_str())
    }

    /// Returns the (column, value) pairs in order.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Returns the days this partition covers, or `None` if it has no time column.
    pub fn days(&self) -> Option<DayRange> {
        let (column, value) = self.0.last()?;
        Grain::of_column(column)?.period(value).ok()
    }

    /// Tells whether this is the only partition of its table.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }
}

fn value_problem(value: &str) -> Option<&'static str> {
    if value.is_empty() {
        Some("it is empty")
    } else if value.len() > VALUE_BYTES_MAX {
        Some("it is longer than 128 bytes")
    } else if value.contains("..") || value == "." {
        Some("it holds `..`")
    } else if value.contains(['/', '\\', '=', '%']) || value.chars().any(char::is_control) {
        Some("it holds one of `/ \\ = %` or a control character")
    } else {
        None
    }
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("all");
        }
        for (i, (column, value)) in self.0.iter().enumerate() {
            write!(f, "{}{column}={value}", if i == 0 { "" } else { "/" })?;
        }
        Ok(())
    }
}

impl FromStr for PartitionKey {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        if text == "all" {
            return Ok(Self::default());
        }
        let pairs = text.split('/').map(|part| {
            part.split_once('=')
                .ok_or_else(|| CoreError::PartitionValue {
                    column: String::new(),
                    value: part.to_owned(),
                    problem: "expected `column=value`",
                })
        });
        Self::new(pairs.collect::<Result<Vec<_>, _>>()?)
    }
}

impl TryFrom<String> for PartitionKey {
    type Error = CoreError;

    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<PartitionKey> for String {
    fn from(value: PartitionKey) -> Self {
        value.to_string()
    }
}

/// A stage's table and one of its partitions: the unit of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The table that the task makes.
    pub table: TableId,
    /// The partition that the task makes.
    pub partition: PartitionKey,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_names() {
        for (text, good) in [
            ("market.spot_bars", true),
            ("market", false),
            ("a.b.c", false),
            ("A.b", false),
            ("1a.b", false),
            (".", false),
        ] {
            assert_eq!(text.parse::<TableId>().is_ok(), good, "{text}");
        }
        let table: TableId = "market.spot_bars".parse().unwrap();
        assert_eq!((table.schema(), table.name()), ("market", "spot_bars"));
    }

    #[test]
    fn partition_values_that_would_escape_their_folder_are_refused() {
        for value in [
            "",
            "a/b",
            "..",
            "a=b",
            "a%b",
            "a\\b",
            "a\nb",
            &"x".repeat(300),
        ] {
            assert!(PartitionKey::new([("asset", value)]).is_err(), "{value:?}");
        }
        assert!(PartitionKey::new([("asset", "BTC")]).is_ok());
    }

    #[test]
    fn keys_round_trip_and_know_their_days() {
        let key: PartitionKey = "asset=BTC/month=2026-02".parse().unwrap();
        assert_eq!(key.to_string(), "asset=BTC/month=2026-02");
        let days = key.days().unwrap();
        assert_eq!(
            (
                days.start.to_string().as_str(),
                days.end.to_string().as_str()
            ),
            ("2026-02-01", "2026-03-01")
        );
        assert_eq!("all".parse::<PartitionKey>().unwrap().days(), None);
    }
}
