//! What a stage's checks ask of its rows.

use std::fmt;

use lakectl_core::{Fingerprint, FingerprintBuilder, Severity, TableId};

use super::{Origin, StageInput};

/// What a check asks.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckRule {
    /// No two rows of a partition have the same values in these columns.
    Unique(Vec<String>),
    /// None of these columns is null.
    NotNull(Vec<String>),
    /// A number lies between two bounds, both included; nulls pass.
    Range {
        /// The column.
        column: String,
        /// The smallest value.
        min: Option<f64>,
        /// The largest value.
        max: Option<f64>,
    },
    /// A partition has so many rows.
    Rows {
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
    },
    /// A partition has about as many rows as those before it.
    RowsOfMedian {
        /// How far back the median looks.
        days: i32,
        /// The smallest share of the median.
        min: Option<f64>,
        /// The largest share of the median.
        max: Option<f64>,
    },
    /// These columns' values are found in another table; rows with a null in one of them pass.
    ForeignKey {
        /// The columns here.
        columns: Vec<String>,
        /// The other table.
        table: TableId,
        /// The columns there.
        references: Vec<String>,
    },
    /// A query that returns the rows to object to.
    Sql(SqlText),
    /// The newest row is at most so many hours older than now. It depends on the clock, so it never holds rows back.
    Freshness {
        /// Hours.
        hours: i64,
    },
}

/// Where a query stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlText {
    /// In the declaration.
    Inline(String),
    /// In `sql/checks/<name>.sql`.
    File(String),
}

impl CheckRule {
    /// Returns the word used in declarations.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unique(_) => "unique",
            Self::NotNull(_) => "not_null",
            Self::Range { .. } => "range",
            Self::Rows { .. } | Self::RowsOfMedian { .. } => "rows",
            Self::ForeignKey { .. } => "foreign_key",
            Self::Sql(_) => "sql",
            Self::Freshness { .. } => "freshness",
        }
    }
}

impl fmt::Display for CheckRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let band = |min: Option<String>, max: Option<String>| match (min, max) {
            (Some(min), Some(max)) => format!("{min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (None, None) => "any number".to_owned(),
        };
        let text = |number: &Option<f64>| number.map(|number| number.to_string());
        match self {
            Self::Unique(columns) => write!(f, "({}) is unique", columns.join(", ")),
            Self::NotNull(columns) => write!(f, "{} not null", columns.join(", ")),
            Self::Range { column, min, max } => {
                write!(f, "{column} {}", band(text(min), text(max)))
            }
            Self::Rows { min, max } => {
                let text = |number: &Option<u64>| number.map(|number| number.to_string());
                write!(f, "rows {}", band(text(min), text(max)))
            }
            Self::RowsOfMedian { days, min, max } => {
                let band = band(text(min), text(max));
                write!(f, "rows {band} of the median of {days} days")
            }
            Self::ForeignKey {
                columns,
                table,
                references,
            } => {
                let (ours, theirs) = (columns.join(", "), references.join(", "));
                write!(f, "({ours}) in {table} ({theirs})")
            }
            Self::Sql(SqlText::File(path)) => write!(f, "{path} returns no row"),
            Self::Sql(SqlText::Inline(_)) => f.write_str("a query returns no row"),
            Self::Freshness { hours } => match hours % 24 {
                0 => write!(f, "newest row within {} days", hours / 24),
                _ => write!(f, "newest row within {hours} hours"),
            },
        }
    }
}

/// One check of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckDecl {
    /// Its name, unique in the stage.
    pub name: String,
    /// What it asks.
    pub rule: CheckRule,
    /// What a failure does.
    pub severity: Severity,
    /// One sentence.
    pub description: String,
    /// The tables that it reads besides the checked partition, with their windows. The checked table's own window ends
    /// with the checked partition.
    pub inputs: Vec<StageInput>,
    /// The digest of what it asks: a result holds as long as this and the rows stay the same.
    pub digest: Fingerprint,
    /// Where it is declared.
    pub origin: Origin,
}

impl CheckDecl {
    /// Builds a check; its digest is that of the rule as declared.
    pub fn new(name: &str, rule: CheckRule, severity: Severity) -> Self {
        let digest = FingerprintBuilder::new("check rule")
            .field("kind", rule.word())
            .field("rule", rule.to_string())
            .finish();
        Self {
            name: name.to_owned(),
            rule,
            severity,
            description: String::new(),
            inputs: Vec::new(),
            digest,
            origin: Origin::default(),
        }
    }

    /// Tells whether the answer changes with the time of asking.
    pub fn depends_on_clock(&self) -> bool {
        matches!(self.rule, CheckRule::Freshness { .. })
    }
}
