//! The record of one evaluated check.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, PartitionKey, TableId, TaskKey, UtcTime};

/// What a failed check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is reported.
    Warn,
    /// The rows are held: they stay out of every version.
    Block,
}

impl Severity {
    /// Returns the word used in declarations.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckResult {
    /// Whether the rows are as declared.
    pub passed: bool,
    /// Rows that are not; for a number of rows, by how many it is off.
    pub offending: u64,
    /// One of them, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

impl CheckResult {
    /// Nothing to object to.
    pub const PASSED: Self = Self {
        passed: true,
        offending: 0,
        example: None,
    };

    /// Builds the result of a check that failed.
    pub fn failed(offending: u64, example: impl Into<String>) -> Self {
        Self {
            passed: false,
            offending,
            example: Some(example.into()),
        }
    }
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.passed {
            return f.write_str("passed");
        }
        let noun = if self.offending == 1 { "row" } else { "rows" };
        write!(f, "{} {noun}", self.offending)?;
        match &self.example {
            Some(example) => write!(f, ", for example {example}"),
            None => Ok(()),
        }
    }
}

/// One evaluated check of one partition. It holds for ever: its key covers the check and all rows that it read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRecord {
    /// Digest of the check and of the rows of every table that it read; `None` for one that depends on the clock.
    pub key: Option<Fingerprint>,
    /// The table.
    pub table: TableId,
    /// The partition.
    pub partition: PartitionKey,
    /// The check's name.
    pub check: String,
    /// The digest of what it asks.
    pub digest: Fingerprint,
    /// What a failure does.
    pub severity: Severity,
    /// What it found.
    pub result: CheckResult,
    /// The digest of the checked rows.
    pub rows_hash: Fingerprint,
    /// When it was evaluated, by the caller's clock.
    pub time: UtcTime,
    /// The run that evaluated it.
    pub run: String,
}

impl CheckRecord {
    /// Returns the task whose rows were checked.
    pub fn task(&self) -> TaskKey {
        TaskKey {
            table: self.table.clone(),
            partition: self.partition.clone(),
        }
    }
}
