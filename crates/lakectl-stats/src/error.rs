//! The one error of the kernels.

/// Why a kernel gave no number. Small and `Copy`: the caller adds row, column and table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatsError {
    /// An input slice has no element.
    #[error("no observations")]
    Empty,
    /// An input is NaN or infinite.
    #[error("an input is not finite")]
    NotFinite,
    /// A parameter lies outside the domain of the function.
    #[error("a parameter is outside its domain")]
    OutOfDomain,
    /// Two slices that must be aligned differ in length.
    #[error("inputs differ in length")]
    LengthMismatch,
    /// There are fewer observations than the method needs.
    #[error("{found} observations, {needed} needed")]
    TooFew {
        /// Observations given.
        found: usize,
        /// Observations the method needs.
        needed: usize,
    },
    /// A column that has to vary does not.
    #[error("column {column} does not vary")]
    Constant {
        /// Its position.
        column: usize,
    },
    /// The regressors are linearly dependent to working precision.
    #[error("the regressors are linearly dependent")]
    Singular,
}

/// Accepts a slice whose elements are all finite.
pub(crate) fn finite(xs: &[f64]) -> Result<(), StatsError> {
    if xs.iter().all(|x| x.is_finite()) {
        Ok(())
    } else {
        Err(StatsError::NotFinite)
    }
}

/// Accepts a finite scalar.
pub(crate) fn finite_one(x: f64) -> Result<f64, StatsError> {
    if x.is_finite() {
        Ok(x)
    } else {
        Err(StatsError::NotFinite)
    }
}

/// Accepts a probability strictly between 0 and 1.
pub(crate) fn open_unit(p: f64) -> Result<f64, StatsError> {
    if p > 0.0 && p < 1.0 {
        Ok(p)
    } else {
        Err(StatsError::OutOfDomain)
    }
}
