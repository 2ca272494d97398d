//! The error of this crate.

use lakectl_stats::StatsError;

/// Why a dataset could not be assembled or a model not fitted, applied, saved or read.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Fewer usable rows than the method needs; the caller degrades or waits.
    #[error("{found} usable rows, {needed} needed")]
    TooFewRows {
        /// Rows found usable.
        found: usize,
        /// Rows needed.
        needed: usize,
    },
    /// A frame lacks a column or has it in another type.
    #[error("column `{column}` is missing or not {expected}")]
    BadColumn {
        /// Name of the column.
        column: String,
        /// Type it must have.
        expected: &'static str,
    },
    /// A time column has nulls or the same time twice.
    #[error("column `{column}` has a null or repeated time")]
    BadTimes {
        /// Name of the column.
        column: String,
    },
    /// A row has another number of values than the model was fitted with.
    #[error("a row has {found} values, the model takes {expected}")]
    WrongWidth {
        /// Values of the model's schema.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A column does not vary, so that it cannot be standardised.
    #[error("column `{column}` does not vary over the training rows")]
    ConstantColumn {
        /// Name of the column.
        column: String,
    },
    /// A value that the model cannot do without is missing.
    #[error("value `{column}` is missing")]
    MissingValue {
        /// Name of the column.
        column: String,
    },
    /// A parameter is outside its domain.
    #[error("`{name}` is {value}, which is outside its domain: {domain}")]
    BadParameter {
        /// Name of the parameter.
        name: &'static str,
        /// Value given.
        value: String,
        /// What is accepted.
        domain: &'static str,
    },
    /// Every start of the mixture failed.
    #[error("the mixture could not be fitted: {reason}")]
    Mixture {
        /// Message of the last failed start.
        reason: String,
    },
    /// A numeric method met a matrix or function it cannot handle.
    #[error("numeric failure in {step}")]
    Numeric {
        /// Step that failed.
        step: &'static str,
    },
    /// A saved model cannot be read: other kind, other format version, or not JSON of a model.
    #[error("not a saved `{kind}` model: {reason}")]
    Artifact {
        /// Kind expected.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A kernel refused its input.
    #[error(transparent)]
    Stats(#[from] StatsError),
    /// A frame operation failed.
    #[error(transparent)]
    Frame(#[from] polars::error::PolarsError),
}
