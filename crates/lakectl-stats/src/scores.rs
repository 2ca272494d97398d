//! Scores of probabilistic forecasts: pinball, CRPS in closed form, intervals, coverage tests.
//!
//! All scores are losses in the unit of the target (lower is better) and are negatively oriented as in the
//! usual literature. The closed forms follow Gneiting and Raftery (2007) and Jordan, Krueger and Lerch (2019).

mod quantile_function;

pub use quantile_function::QuantileFunction;

use std::f64::consts::PI;

use crate::error::{StatsError, finite, finite_one, open_unit};
use crate::special::{
    chi_square_1_survival, ln_beta, normal_cdf, normal_pdf, student_t_cdf, student_t_pdf,
};

/// Pinball loss of the quantile forecast `q` at level `tau` for the outcome `y`: `(y - q)(tau - 1[y < q])`.
///
/// # Errors
/// [`StatsError::OutOfDomain`] unless `0 < tau < 1`; [`StatsError::NotFinite`].
pub fn pinball(tau: f64, q: f64, y: f64) -> Result<f64, StatsError> {
    open_unit(tau)?;
    finite(&[q, y])?;
    Ok(if y < q {
        (q - y) * (1.0 - tau)
    } else {
        (y - q) * tau
    })
}

/// Mean pinball loss over several levels with equal weight.
///
/// Twice this number is not the CRPS: use [`QuantileFunction::crps`].
///
/// # Errors
/// As [`pinball`]; [`StatsError::Empty`], [`StatsError::LengthMismatch`].
pub fn mean_pinball(taus: &[f64], qs: &[f64], y: f64) -> Result<f64, StatsError> {
    Ok(pinballs(taus, qs, y)?.iter().sum::<f64>() / taus.len() as f64)
}

/// Approximates the CRPS by `2 * sum(weight * pinball)`, each level weighted by its cell: the cells meet
/// midway between levels and the outer ones reach 0 and 1. Crude in the tails; [`QuantileFunction::crps`] is exact.
///
/// # Errors
/// As [`mean_pinball`]; [`StatsError::OutOfDomain`] unless the levels increase.
pub fn crps_from_cells(taus: &[f64], qs: &[f64], y: f64) -> Result<f64, StatsError> {
    let losses = pinballs(taus, qs, y)?;
    if taus.windows(2).any(|t| t[0] >= t[1]) {
        return Err(StatsError::OutOfDomain);
    }
    let last = taus.len() - 1;
    let edge = |i: usize| 0.5 * (taus[i] + taus[i + 1]);
    Ok(losses
        .iter()
        .enumerate()
        .map(|(i, loss)| {
            let low = if i == 0 { 0.0 } else { edge(i - 1) };
            let high = if i == last { 1.0 } else { edge(i) };
            2.0 * loss * (high - low)
        })
        .sum())
}

fn pinballs(taus: &[f64], qs: &[f64], y: f64) -> Result<Vec<f64>, StatsError> {
    if taus.is_empty() {
        return Err(StatsError::Empty);
    }
    if taus.len() != qs.len() {
        return Err(StatsError::LengthMismatch);
    }
    taus.iter()
        .zip(qs)
        .map(|(tau, q)| pinball(*tau, *q, y))
        .collect()
}

fn standardised(mu: f64, sigma: f64, y: f64) -> Result<f64, StatsError> {
    finite(&[mu, sigma, y])?;
    if sigma > 0.0 {
        Ok((y - mu) / sigma)
    } else {
        Err(StatsError::OutOfDomain)
    }
}

/// CRPS of a normal forecast.
///
/// # Errors
/// [`StatsError::OutOfDomain`] unless `sigma > 0`; [`StatsError::NotFinite`].
pub fn crps_normal(mu: f64, sigma: f64, y: f64) -> Result<f64, StatsError> {
    let z = standardised(mu, sigma, y)?;
    Ok(sigma * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * normal_pdf(z) - 1.0 / libm::sqrt(PI)))
}

/// CRPS of a location-scale Student t forecast.
///
/// # Errors
/// [`StatsError::OutOfDomain`] unless `df > 1` and `sigma > 0`; [`StatsError::NotFinite`].
pub fn crps_student_t(df: f64, mu: f64, sigma: f64, y: f64) -> Result<f64, StatsError> {
    if finite_one(df)? <= 1.0 {
        return Err(StatsError::OutOfDomain);
    }
    let z = standardised(mu, sigma, y)?;
    let centre = z * (2.0 * student_t_cdf(z, df)? - 1.0);
    let density = 2.0 * student_t_pdf(z, df)? * (df + z * z) / (df - 1.0);
    let spread = libm::exp(ln_beta(0.5, df - 0.5) - 2.0 * ln_beta(0.5, 0.5 * df));
    Ok(sigma * (centre + density - 2.0 * libm::sqrt(df) / (df - 1.0) * spread))
}

/// How the pairwise term of an ensemble's CRPS is normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnsembleKind {
    /// Divides by `n^2`: the CRPS of the empirical distribution itself.
    Empirical,
    /// Divides by `n (n - 1)`: unbiased for the distribution the members were drawn from.
    Fair,
}

/// CRPS of an ensemble of equally weighted members: `mean|x - y| - 0.5 mean|x - x'|`.
///
/// # Errors
/// [`StatsError::Empty`]; [`StatsError::TooFew`] for the fair form with one member; [`StatsError::NotFinite`].
pub fn crps_ensemble(members: &[f64], y: f64, kind: EnsembleKind) -> Result<f64, StatsError> {
    if members.is_empty() {
        return Err(StatsError::Empty);
    }
    finite(members)?;
    finite_one(y)?;
    let n = members.len();
    let pairs = match kind {
        EnsembleKind::Empirical => (n * n) as f64,
        EnsembleKind::Fair if n < 2 => {
            return Err(StatsError::TooFew {
                found: n,
                needed: 2,
            });
        }
        EnsembleKind::Fair => (n * (n - 1)) as f64,
    };
    let mut sorted = members.to_vec();
    sorted.sort_by(f64::total_cmp);
    // In sorted order member i exceeds i others and is exceeded by n - 1 - i.
    let half_spread: f64 = sorted
        .iter()
        .enumerate()
        .map(|(i, x)| (2.0 * i as f64 + 1.0 - n as f64) * x)
        .sum();
    let error: f64 = sorted.iter().map(|x| (x - y).abs()).sum();
    Ok(error / n as f64 - half_spread / pairs)
}

/// Interval score (Winkler) of a central `1 - alpha` interval: width plus `2 / alpha` times the miss.
///
/// # Errors
/// [`StatsError::OutOfDomain`] unless `0 < alpha < 1` and `low <= high`; [`StatsError::NotFinite`].
pub fn interval_score(alpha: f64, low: f64, high: f64, y: f64) -> Result<f64, StatsError> {
    open_unit(alpha)?;
    finite(&[low, high, y])?;
    if low > high {
        return Err(StatsError::OutOfDomain);
    }
    Ok((high - low) + 2.0 / alpha * ((low - y).max(0.0) + (y - high).max(0.0)))
}

/// Share of outcomes inside their closed intervals.
///
/// # Errors
/// [`StatsError::Empty`], [`StatsError::LengthMismatch`], [`StatsError::NotFinite`].
pub fn interval_coverage(lows: &[f64], highs: &[f64], ys: &[f64]) -> Result<f64, StatsError> {
    if ys.is_empty() {
        return Err(StatsError::Empty);
    }
    if lows.len() != ys.len() || highs.len() != ys.len() {
        return Err(StatsError::LengthMismatch);
    }
    for part in [lows, highs, ys] {
        finite(part)?;
    }
    let inside = lows
        .iter()
        .zip(highs)
        .zip(ys)
        .filter(|((low, high), y)| *low <= *y && *y <= *high)
        .count();
    Ok(inside as f64 / ys.len() as f64)
}

/// Result of [`kupiec`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoverageTest {
    /// Likelihood ratio, chi-square with one degree of freedom under correct coverage.
    pub likelihood_ratio: f64,
    /// Probability of a ratio at least this large under correct coverage.
    pub p_value: f64,
}

/// Kupiec's proportion-of-failures test of `exceedances` in `observations` against the rate `p`.
///
/// # Errors
/// [`StatsError::Empty`]; [`StatsError::OutOfDomain`] unless `0 < p < 1` and `exceedances <= observations`.
pub fn kupiec(observations: u64, exceedances: u64, p: f64) -> Result<CoverageTest, StatsError> {
    open_unit(p)?;
    if observations == 0 {
        return Err(StatsError::Empty);
    }
    if exceedances > observations {
        return Err(StatsError::OutOfDomain);
    }
    let (n, x) = (observations as f64, exceedances as f64);
    let term = |count: f64, share: f64| {
        if count == 0.0 {
            0.0
        } else {
            count * libm::log(share)
        }
    };
    let null = term(x, p) + (n - x) * libm::log1p(-p);
    let free = term(x, x / n) + term(n - x, (n - x) / n);
    let likelihood_ratio = (2.0 * (free - null)).max(0.0);
    Ok(CoverageTest {
        likelihood_ratio,
        p_value: chi_square_1_survival(likelihood_ratio)?,
    })
}

#[cfg(test)]
mod tests;
