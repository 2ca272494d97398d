//! What can be wrong with a shared word.

use thiserror::Error;

/// Whose move it is after an error: the caller's input, a concurrent writer, the surroundings, or a defect of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user's declaration, argument or data is wrong; trying again does not help.
    Input,
    /// Somebody else changed the same thing first.
    Conflict,
    /// Disk, network or memory; trying again may help.
    Environment,
    /// An invariant of the program does not hold.
    Bug,
}

/// A value that does not name anything.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CoreError {
    /// A table name that is not `schema.table`.
    #[error(
        "`{found}` is not a table name: expected `schema.table` of lower-case letters, digits and `_`"
    )]
    TableName {
        /// What was given.
        found: String,
    },
    /// A partition value that could not be part of a path.
    #[error("`{value}` cannot be the value of partition column `{column}`: {problem}")]
    PartitionValue {
        /// The partition column.
        column: String,
        /// What was given.
        value: String,
        /// Why it is refused.
        problem: &'static str,
    },
    /// Text that is not a date.
    #[error("`{found}` is not a date: expected YYYY-MM-DD between 1677-09-22 and 2262-04-10")]
    Date {
        /// What was given.
        found: String,
    },
    /// Text that is not a time.
    #[error(
        "`{found}` is not a UTC time: expected YYYY-MM-DD or an ISO 8601 time such as 2026-01-05T09:21:45Z"
    )]
    Time {
        /// What was given.
        found: String,
    },
    /// Text that is not a number of days.
    #[error("`{found}` is not a length of time in days: expected for example `90d`")]
    DayCount {
        /// What was given.
        found: String,
    },
    /// An unknown grain.
    #[error("`{found}` is not a grain: expected none, year, month or day")]
    Grain {
        /// What was given.
        found: String,
    },
    /// Text that is not 64 hexadecimal digits.
    #[error("`{found}` is not a fingerprint: expected 64 hexadecimal digits")]
    Fingerprint {
        /// What was given.
        found: String,
    },
    /// A column contract that cannot be read.
    #[error(
        "column `{found}` is not understood: expected `name type` or `name type?` with a type of {known}"
    )]
    Column {
        /// What was given.
        found: String,
        /// The types there are.
        known: &'static str,
    },
    /// The same column twice.
    #[error("column `{name}` is declared twice")]
    ColumnTwice {
        /// The column.
        name: String,
    },
}
