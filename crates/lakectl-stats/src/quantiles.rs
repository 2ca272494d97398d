//! Moments and empirical quantiles of a sample.

use crate::error::{StatsError, finite};

/// Arithmetic mean.
///
/// # Errors
/// [`StatsError::Empty`], [`StatsError::NotFinite`].
pub fn mean(xs: &[f64]) -> Result<f64, StatsError> {
    if xs.is_empty() {
        return Err(StatsError::Empty);
    }
    finite(xs)?;
    Ok(xs.iter().sum::<f64>() / xs.len() as f64)
}

/// Sample standard deviation (divisor `n - 1`), in two passes.
///
/// # Errors
/// [`StatsError::TooFew`] below two observations, [`StatsError::NotFinite`].
pub fn sample_sd(xs: &[f64]) -> Result<f64, StatsError> {
    if xs.len() < 2 {
        return Err(StatsError::TooFew {
            found: xs.len(),
            needed: 2,
        });
    }
    let centre = mean(xs)?;
    let sum: f64 = xs.iter().map(|x| (x - centre) * (x - centre)).sum();
    Ok(libm::sqrt(sum / (xs.len() - 1) as f64))
}

/// Empirical quantile with linear interpolation between order statistics (type 7 of Hyndman and Fan).
///
/// Domain: `0 <= tau <= 1`, finite observations in any order.
///
/// # Errors
/// [`StatsError::Empty`], [`StatsError::NotFinite`], [`StatsError::OutOfDomain`].
pub fn empirical_quantile(xs: &[f64], tau: f64) -> Result<f64, StatsError> {
    Ok(empirical_quantiles(xs, &[tau])?[0])
}

/// Several empirical quantiles of one sample, sorting once; see [`empirical_quantile`].
///
/// # Errors
/// As [`empirical_quantile`].
pub fn empirical_quantiles(xs: &[f64], taus: &[f64]) -> Result<Vec<f64>, StatsError> {
    if xs.is_empty() {
        return Err(StatsError::Empty);
    }
    finite(xs)?;
    if !taus.iter().all(|t| (0.0..=1.0).contains(t)) {
        return Err(StatsError::OutOfDomain);
    }
    let mut sorted = xs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    Ok(taus
        .iter()
        .map(|tau| {
            let position = tau * last as f64;
            let below = (libm::floor(position) as usize).min(last);
            let above = (below + 1).min(last);
            sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
        })
        .collect())
}

/// Median; see [`empirical_quantile`].
///
/// # Errors
/// As [`empirical_quantile`].
pub fn median(xs: &[f64]) -> Result<f64, StatsError> {
    empirical_quantile(xs, 0.5)
}
