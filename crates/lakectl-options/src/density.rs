//! The risk-neutral distribution of the log return `k = ln(S_T / F)` that a smile implies.
//!
//! Breeden and Litzenberger: the distribution is the slope of put prices in the strike. With
//! `s = sqrt(w)`: `P(S_T < K) = N(-d2) + n(d2) ds/dk`, and the density is
//! `g(k) n(d2) / s` (Gatheral and Jacquier 2014, section 2.2).

pub mod prices;

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

/// Moments of the density and how well it holds together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Integral of the density; one for a sound smile.
    pub mass: f64,
    /// Mean of `S_T / F`; one for a sound smile.
    pub mean_ratio: f64,
    /// Integral of the negative part of the density.
    pub negative_mass: f64,
    /// Mean of the log return.
    pub mean: f64,
    /// Variance of the log return.
    pub variance: f64,
    /// Skewness of the log return.
    pub skewness: f64,
    /// Kurtosis of the log return (3 for a normal one).
    pub kurtosis: f64,
}

impl Moments {
    /// Distance of the density's mass from one.
    #[must_use]
    pub fn mass_error(&self) -> f64 {
        (self.mass - 1.0).abs()
    }

    /// Distance of the mean of `S_T / F` from one.
    #[must_use]
    pub fn mean_error(&self) -> f64 {
        (self.mean_ratio - 1.0).abs()
    }

    /// Volatility of a variance swap over the density: a log contract costs `-2 E[ln(S_T / F)]` of total variance (Neuberger
    /// 1994). `None` if the mean is not negative or the time not positive.
    #[must_use]
    pub fn variance_swap_vol(&self, expiry_years: f64) -> Option<f64> {
        let vol = (-2.0 * self.mean / expiry_years).sqrt();
        (vol > 0.0 && vol.is_finite()).then_some(vol)
    }
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

/// Integrates the density by the trapezoid rule over ten deviations at the money on each side
/// (further where the wings are fat), 1,000 steps.
///
/// # Errors
/// No positive variance somewhere on the way.
pub fn moments(smile: &impl Smile) -> Result<Moments, DensityError> {
    const STEPS: usize = 1_000;
    let s = smile.total_variance(0.0).sqrt();
    if !(s > 0.0 && s.is_finite()) {
        return Err(DensityError::NoVariance);
    }
    let reach = |direction: f64| {
        let mut k = 8.0 * s * direction;
        // Out to a density of about 1e-20, or to the end of the search range.
        while k.abs() < MAX_LOG_MONEYNESS && density(smile, k).is_some_and(|q| q > 1e-18) {
            k *= 1.25;
        }
        k.clamp(-MAX_LOG_MONEYNESS, MAX_LOG_MONEYNESS)
    };
    let (low, high) = (reach(-1.0), reach(1.0));
    let width = (high - low) / STEPS as f64;
    let mut sums = [0.0; 7];
    for i in 0..=STEPS {
        let k = low + width * i as f64;
        let q = density(smile, k).ok_or(DensityError::NoVariance)? * width;
        // In deviations, so that the powers of a narrow density keep their digits.
        let z = k / s;
        let powers = [1.0, libm::exp(k), 0.0, z, z * z, z * z * z, z * z * z * z];
        for (sum, power) in sums.iter_mut().zip(powers) {
            *sum += q * power;
        }
        sums[2] += (-q).max(0.0);
    }
    let [mass, mean_ratio, negative_mass, m1, m2, m3, m4] = sums;
    let (centre, square) = (m1 / mass, m1 / mass * (m1 / mass));
    let spread = m2 / mass - square;
    let third = m3 / mass - 3.0 * centre * m2 / mass + 2.0 * centre * square;
    let fourth =
        m4 / mass - 4.0 * centre * m3 / mass + 6.0 * square * m2 / mass - 3.0 * square * square;
    let moments = Moments {
        mass,
        mean_ratio,
        negative_mass,
        mean: centre * s,
        variance: spread * s * s,
        skewness: third / (spread * spread.sqrt()),
        kurtosis: fourth / (spread * spread),
    };
    let finite = [mean_ratio, moments.skewness, moments.kurtosis]
        .iter()
        .all(|x| x.is_finite());
    if moments.variance > 0.0 && moments.variance.is_finite() && finite {
        Ok(moments)
    } else {
        Err(DensityError::NoVariance)
    }
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
