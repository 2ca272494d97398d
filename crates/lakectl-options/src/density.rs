//! The risk-neutral distribution of the log return `k = ln(S_T / F)` that a smile implies.
//!
//! Breeden and Litzenberger: the distribution is the slope of put prices in the strike. With
//! `s = sqrt(w)`: `P(S_T < K) = N(-d2) + n(d2) ds/dk`, and the density is
//! `g(k) n(d2) / s` (Gatheral and Jacquier 2014, section 2.2).

use crate::normal::{cdf, pdf};
use crate::smile::{MAX_LOG_MONEYNESS, Smile};
use crate::solve::outward_root;

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
    let left = cumulative(smile, libm::log1p(-x)).ok_or(DensityError::NoVariance)?;
    let right = exceedance(smile, libm::log1p(x)).ok_or(DensityError::NoVariance)?;
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
        let powers = [1.0, libm::exp(k), 0.0, k, k * k, k * k * k, k * k * k * k];
        for (sum, power) in sums.iter_mut().zip(powers) {
            *sum += q * power;
        }
        sums[2] += (-q).max(0.0);
    }
    let [mass, exponential, negative_mass, m1, m2, m3, m4] = sums;
    let mean = m1 / mass;
    let variance = m2 / mass - mean * mean;
    if !(variance > 0.0 && variance.is_finite()) {
        return Err(DensityError::NoVariance);
    }
    let third = m3 / mass - 3.0 * mean * m2 / mass + 2.0 * mean * mean * mean;
    let square = mean * mean;
    let fourth =
        m4 / mass - 4.0 * mean * m3 / mass + 6.0 * square * m2 / mass - 3.0 * square * square;
    Ok(Moments {
        mass,
        mean_ratio: exponential,
        negative_mass,
        mean,
        variance,
        skewness: third / (variance * variance.sqrt()),
        kurtosis: fourth / (variance * variance),
    })
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
mod tests {
    use super::*;
    use crate::normal::quantile;
    use crate::smile::RawSvi;

    const FLAT: RawSvi = RawSvi {
        a: 0.09,
        b: 0.0,
        rho: 0.0,
        m: 0.0,
        sigma: 0.1,
    };
    const SKEWED: RawSvi = RawSvi {
        a: 0.006,
        b: 0.09,
        rho: -0.32,
        m: 0.02,
        sigma: 0.09,
    };

    #[test]
    fn a_flat_smile_is_lognormal() {
        let probs = [0.5, 0.05, 0.25, 0.75, 0.95, 1e-6, 1.0 - 1e-6];
        let found = quantiles(&FLAT, &probs).unwrap();
        for (p, k) in probs.iter().zip(found) {
            let exact = -0.045 + 0.3 * quantile(*p).unwrap();
            assert!((k - exact).abs() < 1e-9, "{p}: {k} {exact}");
        }
        let tails = tail_mass(&FLAT, 0.1).unwrap();
        assert!((tails.left - cdf((0.9_f64.ln() + 0.045) / 0.3)).abs() < 1e-14);
        assert!((tails.right - cdf(-(1.1_f64.ln() + 0.045) / 0.3)).abs() < 1e-14);
        let m = moments(&FLAT).unwrap();
        assert!((m.mass - 1.0).abs() < 1e-12 && (m.mean_ratio - 1.0).abs() < 1e-12);
        assert!((m.mean + 0.045).abs() < 1e-12 && (m.variance - 0.09).abs() < 1e-12);
        assert!(m.skewness.abs() < 1e-9 && (m.kurtosis - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_skewed_smile_keeps_mass_and_forward() {
        let m = moments(&SKEWED).unwrap();
        assert!(
            (m.mass - 1.0).abs() < 1e-8 && (m.mean_ratio - 1.0).abs() < 1e-8,
            "{m:?}"
        );
        assert!(m.skewness < 0.0 && m.kurtosis > 3.0 && m.negative_mass == 0.0);
        let h = 1e-5;
        for k in [-0.3, -0.05, 0.0, 0.1, 0.4] {
            let slope = (cumulative(&SKEWED, k + h).unwrap() - cumulative(&SKEWED, k - h).unwrap())
                / (2.0 * h);
            assert!((slope - density(&SKEWED, k).unwrap()).abs() < 1e-7);
            let whole = cumulative(&SKEWED, k).unwrap() + exceedance(&SKEWED, k).unwrap();
            assert!((whole - 1.0).abs() < 1e-14);
        }
        let q = quantiles(&SKEWED, &[0.05, 0.5, 0.95]).unwrap();
        for (p, k) in [0.05, 0.5, 0.95].iter().zip(&q) {
            assert!((cumulative(&SKEWED, *k).unwrap() - p).abs() < 1e-11);
        }
    }

    #[test]
    fn bad_questions_are_typed_errors() {
        assert_eq!(quantiles(&FLAT, &[0.0]), Err(DensityError::BadArgument));
        assert_eq!(
            quantiles(&FLAT, &[f64::NAN]),
            Err(DensityError::BadArgument)
        );
        let below = RawSvi { a: -1.0, ..FLAT };
        assert_eq!(quantiles(&below, &[0.5]), Err(DensityError::NoVariance));
        assert_eq!(tail_mass(&below, 0.1), Err(DensityError::NoVariance));
        assert_eq!(tail_mass(&FLAT, 1.5), Err(DensityError::BadArgument));
        assert_eq!(moments(&below), Err(DensityError::NoVariance));
    }
}
