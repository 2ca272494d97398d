//! The risk-neutral distribution of the log return `k = ln(S_T / F)` that a smile implies.
//!
//! Breeden and Litzenberger: the distribution is the slope of put prices in the strike. With
//! `s = sqrt(w)`: `P(S_T < K) = N(-d2) + n(d2) ds/dk`, and the density is
//! `g(k) n(d2) / s` (Gatheral and Jacquier 2014, section 2.2).

mod moments;
pub mod prices;

pub use moments::{Beyond, LogReturn, Moments, moments};

use crate::OptionKind;
use crate::black::log_ratio;
use crate::normal::{cdf, pdf};
use crate::smile::{MAX_LOG_MONEYNESS, Smile};
use crate::solve::outward_root;
use crate::strike::smile_delta;

/// Why a distribution cannot be read off a smile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DensityError {
    /// The total variance at the money is not positive and finite.
    #[error("the variance at the money is not positive")]
    NoVariance,
    /// A probability outside (0, 1), or a moneyness share outside (0, 1).
    #[error("the argument must lie between 0 and 1")]
    BadArgument,
    /// The distribution does not reach a probability within `|k| <= 12.04`: the smile breaks
    /// down in its wings.
    #[error("the smile implies no such quantile")]
    NoQuantile,
    /// The total variance is not positive and finite at a place within `|k| <= 12.04`.
    #[error("the variance is not positive everywhere")]
    NegativeVariance,
}

/// Probability that `ln(S_T / F) < k`; `None` where the total variance is not positive.
///
/// Not monotone, and outside [0, 1], where the smile has butterfly arbitrage.
#[must_use]
pub fn cumulative(smile: &impl Smile, k: f64) -> Option<f64> {
    let (d2, lean) = side(smile, k)?;
    Some(cdf(-d2) + lean)
}

/// Probability that `ln(S_T / F) > k`, accurate far in the right tail.
#[must_use]
pub fn exceedance(smile: &impl Smile, k: f64) -> Option<f64> {
    let (d2, lean) = side(smile, k)?;
    Some(cdf(d2) - lean)
}

/// Density of `ln(S_T / F)` at `k`; negative where the smile has butterfly arbitrage.
#[must_use]
pub fn density(smile: &impl Smile, k: f64) -> Option<f64> {
    let s = smile.total_variance(k).sqrt();
    let d2 = -k / s - 0.5 * s;
    let value = smile.density_factor(k) * pdf(d2) / s;
    value.is_finite().then_some(value)
}

/// What `g(k)` is multiplied by to give the density: positive, or NaN where the variance is not.
fn weight(smile: &impl Smile, k: f64) -> f64 {
    let s = smile.total_variance(k).sqrt();
    pdf(-k / s - 0.5 * s) / s
}

/// Quantiles of `ln(S_T / F)` for probabilities in any order.
///
/// Each is the root nearest to the middle of the distribution. The answers rise with the
/// probabilities even if the smile has arbitrage (they are rearranged).
///
/// # Errors
/// See [`DensityError`].
pub fn quantiles(smile: &impl Smile, probs: &[f64]) -> Result<Vec<f64>, DensityError> {
    let s = smile.total_variance(0.0).sqrt();
    if !(s > 0.0 && s.is_finite()) {
        return Err(DensityError::NoVariance);
    }
    let mut order: Vec<usize> = (0..probs.len()).collect();
    order.sort_by(|&i, &j| probs[i].total_cmp(&probs[j]));
    let mut roots = Vec::with_capacity(probs.len());
    for &i in &order {
        roots.push(one_quantile(smile, probs[i], s)?);
    }
    roots.sort_by(f64::total_cmp);
    let mut out = vec![0.0; probs.len()];
    for (&i, root) in order.iter().zip(roots) {
        out[i] = root;
    }
    Ok(out)
}

fn one_quantile(smile: &impl Smile, prob: f64, s: f64) -> Result<f64, DensityError> {
    if !(prob > 0.0 && prob < 1.0) {
        return Err(DensityError::BadArgument);
    }
    // The smaller tail keeps its digits.
    let miss = |k: f64| {
        let value = if prob <= 0.5 {
            cumulative(smile, k).map(|p| p - prob)
        } else {
            exceedance(smile, k).map(|p| 1.0 - prob - p)
        };
        value.unwrap_or(f64::NAN)
    };
    let start = -0.5 * s * s;
    let first = miss(start);
    if first.is_nan() {
        return Err(DensityError::NoVariance);
    }
    let step = if first < 0.0 { 0.2 * s } else { -0.2 * s };
    outward_root(miss, start, step, MAX_LOG_MONEYNESS, 1e-13).ok_or(DensityError::NoQuantile)
}

/// Density of the settlement price, per dollar, at `price`; `forward` and `price` are dollars and positive.
#[must_use]
pub fn price_density(smile: &impl Smile, forward: f64, price: f64) -> Option<f64> {
    let value = density(smile, moneyness(forward, price)?)? / price;
    value.is_finite().then_some(value)
}

/// Probability that the settlement price ends below `price`; `forward` and `price` are dollars and positive.
#[must_use]
pub fn price_cumulative(smile: &impl Smile, forward: f64, price: f64) -> Option<f64> {
    cumulative(smile, moneyness(forward, price)?)
}

/// The settlement price, dollars, below which the probability is `prob`.
///
/// # Errors
/// As [`quantiles`]; [`DensityError::BadArgument`] for a forward that is not positive and finite.
pub fn price_quantile(smile: &impl Smile, forward: f64, prob: f64) -> Result<f64, DensityError> {
    let k = *quantiles(smile, &[prob])?
        .first()
        .ok_or(DensityError::NoQuantile)?;
    let price = forward * libm::exp(k);
    let sound = forward > 0.0 && price.is_finite();
    sound.then_some(price).ok_or(DensityError::BadArgument)
}

fn moneyness(forward: f64, price: f64) -> Option<f64> {
    let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
    (positive(forward) && positive(price)).then(|| log_ratio(price, forward))
}

/// Probabilities of large moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TailMass {
    /// `P(S_T < F (1 - x))`.
    pub left: f64,
    /// `P(S_T > F (1 + x))`.
    pub right: f64,
}

/// Probabilities that the price ends more than a share `x` below or above the forward
/// (`x = 0.10` for ten per cent).
///
/// # Errors
/// `x` outside (0, 1), or a smile without positive variance there.
pub fn tail_mass(smile: &impl Smile, x: f64) -> Result<TailMass, DensityError> {
    if !(x > 0.0 && x < 1.0) {
        return Err(DensityError::BadArgument);
    }
    outside(smile, libm::log1p(-x), libm::log1p(x))
}

/// Probabilities of a log return beyond `deviations` standard deviations at the money on either side of the forward, so that
/// expiries compare.
///
/// # Errors
/// `deviations` not positive and finite, or a smile without positive variance there.
pub fn tail_mass_deviations(smile: &impl Smile, deviations: f64) -> Result<TailMass, DensityError> {
    let k = deviations * smile.total_variance(0.0).sqrt();
    if !(deviations > 0.0 && deviations.is_finite()) {
        return Err(DensityError::BadArgument);
    }
    outside(smile, -k, k)
}

/// Probabilities of ending below the put and above the call whose forward delta has the size `delta` (0.10 for ten).
///
/// # Errors
/// [`DensityError::BadArgument`] unless `0 < delta < 1`, [`DensityError::NoQuantile`] if the smile does not reach that delta.
pub fn tail_mass_delta(smile: &impl Smile, delta: f64) -> Result<TailMass, DensityError> {
    if !(delta > 0.0 && delta < 1.0) {
        return Err(DensityError::BadArgument);
    }
    let strike = |kind| smile_delta(smile, kind, delta).ok_or(DensityError::NoQuantile);
    outside(smile, strike(OptionKind::Put)?, strike(OptionKind::Call)?)
}

/// Probabilities of ending below `low` and above `high`, log moneyness.
fn outside(smile: &impl Smile, low: f64, high: f64) -> Result<TailMass, DensityError> {
    let left = cumulative(smile, low).ok_or(DensityError::NoVariance)?;
    let right = exceedance(smile, high).ok_or(DensityError::NoVariance)?;
    if !(left.is_finite() && right.is_finite()) {
        return Err(DensityError::NoVariance);
    }
    Ok(TailMass {
        left: left.clamp(0.0, 1.0),
        right: right.clamp(0.0, 1.0),
    })
}

/// How volatility climbs into the put wing: `(IV(10p) - IV(25p)) / (k(25p) - k(10p))`, per unit of log moneyness, positive when
/// far puts are dearer. `None` if the smile does not reach both deltas or the time is not positive.
#[must_use]
pub fn put_wing_slope(smile: &impl Smile, expiry_years: f64) -> Option<f64> {
    let k10 = smile_delta(smile, OptionKind::Put, 0.10)?;
    let k25 = smile_delta(smile, OptionKind::Put, 0.25)?;
    let slope = (smile.vol(k10, expiry_years)? - smile.vol(k25, expiry_years)?) / (k25 - k10);
    slope.is_finite().then_some(slope)
}

/// Risk reversal `IV(25c) - IV(25p)` at forward deltas: negative when puts are dearer. `None` as in [`put_wing_slope`].
#[must_use]
pub fn risk_reversal_25(smile: &impl Smile, expiry_years: f64) -> Option<f64> {
    let vol = |kind| smile.vol(smile_delta(smile, kind, 0.25)?, expiry_years);
    Some(vol(OptionKind::Call)? - vol(OptionKind::Put)?)
}

/// `d2` and `n(d2) ds/dk`.
fn side(smile: &impl Smile, k: f64) -> Option<(f64, f64)> {
    let s = smile.total_variance(k).sqrt();
    if !(s > 0.0 && s.is_finite()) {
        return None;
    }
    let d2 = -k / s - 0.5 * s;
    Some((d2, pdf(d2) * 0.5 * smile.slope(k) / s))
}

#[cfg(test)]
#[path = "density_tests.rs"]
mod tests;
