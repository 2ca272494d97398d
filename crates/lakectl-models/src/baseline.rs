//! Forecasts that a model must beat. Each uses only outcomes known at the decision time.

use lakectl_stats::quantiles::empirical_quantiles;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::ridge_regression::{RidgeRegression, RidgeRegressionParameters};

use crate::dataset::{DAY_MICROS, Dataset, Role};
use crate::error::ModelError;
use crate::quantile::LEVELS;

/// Trailing window of past outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Days back from the decision time.
    pub days: u32,
    /// Outcomes needed.
    pub min_rows: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            days: 180,
            min_rows: 30,
        }
    }
}

impl Window {
    /// Rows whose decision lies in the window and whose outcome was known at `as_of`.
    fn rows(self, data: &Dataset, as_of: i64) -> Vec<usize> {
        let start = as_of - i64::from(self.days) * DAY_MICROS;
        (0..data.len())
            .filter(|i| {
                data.as_of(*i) >= start && data.label(*i).is_some_and(|l| l.known_at <= as_of)
            })
            .collect()
    }

    fn enough(self, found: usize) -> Result<(), ModelError> {
        if found < self.min_rows {
            Err(ModelError::TooFewRows {
                found,
                needed: self.min_rows,
            })
        } else {
            Ok(())
        }
    }
}

fn at_levels(outcomes: &[f64], factor: f64) -> Result<[f64; 5], ModelError> {
    let mut quantiles = [0.0; 5];
    for (out, q) in quantiles
        .iter_mut()
        .zip(empirical_quantiles(outcomes, &LEVELS)?)
    {
        *out = q * factor;
    }
    Ok(quantiles)
}

fn total(data: &Dataset, i: usize) -> f64 {
    data.label(i).map_or(0.0, |l| l.total)
}

/// Climatology: empirical quantiles at [`LEVELS`] of the outcomes of the trailing window.
///
/// # Errors
/// [`ModelError::TooFewRows`].
pub fn climatology(data: &Dataset, as_of: i64, window: Window) -> Result<[f64; 5], ModelError> {
    let outcomes: Vec<f64> = window
        .rows(data, as_of)
        .into_iter()
        .map(|i| total(data, i))
        .collect();
    window.enough(outcomes.len())?;
    at_levels(&outcomes, 1.0)
}

/// Volatility-scaled climatology: outcomes of the trailing window divided by the volatility known at their decision,
/// their quantiles times the volatility known now. `vol_column` is a positive feature of `data`, such as `ewma_vol`.
///
/// # Errors
/// [`ModelError::TooFewRows`]; [`ModelError::BadColumn`]; [`ModelError::MissingValue`] when the volatility is missing
/// at `as_of`.
pub fn vol_scaled(
    data: &Dataset,
    as_of: i64,
    vol_column: &str,
    window: Window,
) -> Result<[f64; 5], ModelError> {
    let missing = || ModelError::BadColumn {
        column: vol_column.to_string(),
        expected: "a feature",
    };
    let column = data
        .features()
        .iter()
        .position(|f| f.name == vol_column)
        .ok_or_else(missing)?;
    let vol = |i: usize| data.row(i)[column].filter(|v| *v > 0.0);
    let now = data.position(as_of).and_then(vol);
    let now = now.ok_or_else(|| ModelError::MissingValue {
        column: vol_column.to_string(),
    })?;
    let outcomes: Vec<f64> = window
        .rows(data, as_of)
        .into_iter()
        .filter_map(|i| vol(i).map(|v| total(data, i) / v))
        .collect();
    window.enough(outcomes.len())?;
    at_levels(&outcomes, now)
}

/// Heterogeneous autoregression of volatility: ridge regression of the log root mean square return inside the
/// horizon on the logs of all realised volatilities, then the window's scaled outcomes as shape.
///
/// # Errors
/// As [`vol_scaled`]; [`ModelError::Numeric`] if the regression fails.
pub fn har_ridge(data: &Dataset, as_of: i64, window: Window) -> Result<[f64; 5], ModelError> {
    let columns: Vec<usize> = (0..data.features().len())
        .filter(|c| data.features()[*c].role == Role::RealisedVol)
        .collect();
    let logs = |i: usize| -> Option<Vec<f64>> {
        columns
            .iter()
            .map(|c| data.row(i)[*c].filter(|v| *v > 0.0).map(libm::log))
            .collect()
    };
    let missing = || ModelError::MissingValue {
        column: "realised volatility".to_string(),
    };
    let now = data
        .position(as_of)
        .and_then(logs)
        .filter(|l| !l.is_empty())
        .ok_or_else(missing)?;
    let (mut x, mut y, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    for i in window.rows(data, as_of) {
        if let (Some(row), Some(label)) = (logs(i), data.label(i)) {
            let mean_square =
                label.path.iter().map(|r| r * r).sum::<f64>() / label.path.len() as f64;
            // A day that closes unchanged has no logarithm; 1 basis point is far below any daily move.
            y.push(0.5 * libm::log(mean_square.max(1e-8)));
            x.push(row);
            outcomes.push(label.total);
        }
    }
    window.enough(y.len())?;
    let failed = |_| ModelError::Numeric {
        step: "ridge regression",
    };
    let design = DenseMatrix::from_2d_vec(&x).map_err(failed)?;
    // The regressors are standardised, so a penalty of a tenth of the rows shrinks a lone coefficient by a tenth.
    let parameters = RidgeRegressionParameters::default()
        .with_alpha(0.1 * y.len() as f64)
        .with_normalize(true);
    let ridge = RidgeRegression::fit(&design, &y, parameters).map_err(failed)?;
    let fitted: Vec<f64> = ridge.predict(&design).map_err(failed)?;
    let ahead: Vec<f64> = DenseMatrix::from_2d_vec(&vec![now])
        .and_then(|row| ridge.predict(&row))
        .map_err(failed)?;
    let shape: Vec<f64> = outcomes
        .iter()
        .zip(&fitted)
        .map(|(r, s)| r / libm::exp(*s))
        .collect();
    at_levels(&shape, libm::exp(ahead[0]))
}
