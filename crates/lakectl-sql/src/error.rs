//! What can be wrong with a query or its result.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use lakectl_core::ErrorKind;
use lakectl_store::StoreError;
use thiserror::Error;

/// How the planner's message about an unknown function begins.
const NO_FUNCTION: &str = "Invalid function '";

/// An error of a query, a parameter or a result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SqlError {
    /// The text is not SQL.
    #[error("SQL is not understood{}: {message}", place(*line, *column))]
    Syntax {
        /// What the parser expected.
        message: String,
        /// Line, from 1; 0 if unknown.
        line: u64,
        /// Column, from 1; 0 if unknown.
        column: u64,
    },
    /// The text is not exactly one `SELECT` or `WITH` query.
    #[error("expected one SELECT or WITH query, found {found}{}", place(*line, *column))]
    NotAQuery {
        /// What was found.
        found: String,
        /// Line, from 1; 0 if unknown.
        line: u64,
        /// Column, from 1; 0 if unknown.
        column: u64,
    },
    /// A relation that is neither `schema.table` nor a name from `WITH`.
    #[error(
        "`{name}`{} is not a table: write `schema.table`, lower case, or name it in WITH",
        place(*line, *column)
    )]
    TableName {
        /// What was written.
        name: String,
        /// Line, from 1; 0 if unknown.
        line: u64,
        /// Column, from 1; 0 if unknown.
        column: u64,
    },
    /// A placeholder without a value.
    #[error("parameter `${name}` has no value; given are: {known}")]
    UnknownParam {
        /// The placeholder, without `$`.
        name: String,
        /// The parameters there are.
        known: String,
    },
    /// A parameter value that SQL cannot write.
    #[error("parameter `${name}` cannot be written in SQL: {problem}")]
    ParamValue {
        /// The parameter.
        name: String,
        /// Why.
        problem: &'static str,
    },
    /// A table that does not exist here.
    #[error("there is no table `{name}`{hint}")]
    UnknownTable {
        /// What was asked for.
        name: String,
        /// The nearest names, or nothing.
        hint: String,
    },
    /// A column that does not exist.
    #[error("there is no column `{name}`{hint}")]
    UnknownColumn {
        /// What was asked for.
        name: String,
        /// The nearest names, or nothing.
        hint: String,
    },
    /// A function that does not exist.
    #[error("there is no function `{name}`{hint}")]
    UnknownFunction {
        /// What was called.
        name: String,
        /// The nearest name, or nothing.
        hint: String,
    },
    /// A function whose result depends on more than its arguments, such as a clock.
    #[error("`{name}` is not for stages: what it gives is not a function of its arguments")]
    Impure {
        /// What was called.
        name: String,
    },
    /// A parameter that is not written `name=value` or `name:type=value`.
    #[error("the parameter `{text}` is not understood: {problem}")]
    BadParam {
        /// What was written.
        text: String,
        /// Why it is not understood.
        problem: String,
    },
    /// The query cannot be planned: a type, a function, an ambiguous name.
    #[error("the query cannot be planned: {0}")]
    Plan(String),
    /// The query failed while it ran.
    #[error("the query failed: {0}")]
    Execute(String),
    /// The query needs more memory than a task may use.
    #[error("the query needs more memory than its {} MiB: {message}", limit_bytes / (1024 * 1024))]
    Memory {
        /// What asked for more.
        message: String,
        /// The budget.
        limit_bytes: usize,
    },
    /// The result's columns are not the contract's.
    #[error(
        "the result's columns differ from the contract: missing [{missing}], not in the contract [{extra}]"
    )]
    Columns {
        /// Columns of the contract that the result lacks.
        missing: String,
        /// Columns of the result that the contract lacks.
        extra: String,
    },
    /// The result's columns are the contract's in another order.
    #[error("the result's columns are in another order: expected [{expected}], found [{found}]")]
    Order {
        /// The contract's names.
        expected: String,
        /// The result's names.
        found: String,
    },
    /// A column of another type.
    #[error("column `{column}` is {found}, the contract says {expected}")]
    ColumnType {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The contract's word.
        expected: String,
    },
    /// A value that does not fit into the contract's type.
    #[error("column `{column}` holds a value that does not fit: {problem}")]
    Value {
        /// The column.
        column: String,
        /// What does not fit.
        problem: String,
    },
    /// A null where the contract allows none.
    #[error("column `{column}` is null in row {row}, the contract allows no null: {values}")]
    Null {
        /// The column.
        column: String,
        /// Row of the result, from 0.
        row: usize,
        /// The row.
        values: String,
    },
    /// A float that is not a finite number.
    #[error(
        "column `{column}` is {value} in row {row}: a missing number is null, never NaN or infinite: {values}"
    )]
    NotFinite {
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// Row of the result, from 0.
        row: usize,
        /// The row.
        values: String,
    },
    /// A primary key that is not unique.
    #[error("primary key ({key}) occurs twice: {first} and {second}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// The first row.
        first: String,
        /// The second row.
        second: String,
    },
    /// The lake could not be read.
    #[error("the lake cannot be read: {0}")]
    Lake(String),
}

/// Where, if that is known: a text without words has no place.
fn place(line: u64, column: u64) -> String {
    match line {
        0 => String::new(),
        _ => format!(" at line {line}, column {column}"),
    }
}

impl SqlError {
    /// Tells whose move it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Lake(_) | Self::Memory { .. } => ErrorKind::Environment,
            _ => ErrorKind::Input,
        }
    }

    /// Turns an error of planning into ours, with the nearest column for an unknown one.
    pub(crate) fn planning(error: &DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
                SchemaError::FieldNotFound {
                    field,
                    valid_fields,
                } => Self::UnknownColumn {
                    name: field.flat_name(),
                    hint: nearest(&field.name, valid_fields.iter().map(|f| f.name.as_str())),
                },
                other => Self::Plan(other.to_string()),
            },
            DataFusionError::Collection(errors) if !errors.is_empty() => Self::planning(&errors[0]),
            DataFusionError::Diagnostic(_, inner) => Self::planning(inner),
            DataFusionError::Plan(message) if message.starts_with(NO_FUNCTION) => {
                Self::no_function(message)
            }
            other => Self::Plan(other.strip_backtrace()),
        }
    }

    /// Takes apart what the planner says of a function: `Invalid function 'sqr'.\nDid you mean 'sqrt'?`
    fn no_function(message: &str) -> Self {
        let quoted: Vec<&str> = message.split('\'').skip(1).step_by(2).collect();
        let name = quoted.first().copied().unwrap_or_default();
        Self::UnknownFunction {
            name: name.to_owned(),
            hint: nearest(name, quoted.get(1).copied().into_iter()),
        }
    }

    /// Turns an error between planning and the first row into ours.
    pub(crate) fn starting(error: &DataFusionError, limit_bytes: usize) -> Self {
        match Self::planning(error) {
            Self::Plan(_) => Self::executing(error, limit_bytes),
            known => known,
        }
    }

    /// Turns an error of execution into ours.
    pub(crate) fn executing(error: &DataFusionError, limit_bytes: usize) -> Self {
        if let Some(store) = store_error(error) {
            let hint = store.hint().map(|hint| format!("\n  hint: {hint}"));
            return Self::Lake(format!("{store}{}", hint.unwrap_or_default()));
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(message) => Self::Memory {
                message: message.clone(),
                limit_bytes,
            },
            other => Self::Execute(other.strip_backtrace()),
        }
    }
}

/// Finds what the lake said beneath the readers' errors.
fn store_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a StoreError> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref())
}

/// Writes the up to three known names that are nearest to `name` as a hint, or nothing if none is near.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut scored: Vec<(usize, &str)> = known
        .map(|k| (strsim::damerau_levenshtein(name, k), k))
        .filter(|(distance, k)| *distance <= 1.max(name.len().max(k.len()) / 3))
        .collect();
    scored.sort_unstable();
    scored.dedup();
    let names: Vec<String> = scored
        .iter()
        .take(3)
        .map(|(_, k)| format!("`{k}`"))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", names.join(" or "))
    }
}
