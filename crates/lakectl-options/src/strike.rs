//! Strikes from deltas, on one volatility or along a smile.

use crate::OptionKind;
use crate::normal::{cdf, pdf, quantile};
use crate::smile::{MAX_LOG_MONEYNESS, Smile};
use crate::solve::{bracketed_root, outward_root};

/// What a delta measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaConvention {
    /// Undiscounted forward delta: `N(d1)` for a call, `-N(-d1)` for a put.
    Forward,
    /// Delta in coin after paying the premium in coin: `(K/F) N(d2)` and `-(K/F) N(-d2)`. A call
    /// reaches most values at two strikes; the one out of the money is meant.
    PremiumAdjusted,
}

/// Why no strike has the delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrikeError {
    /// A price, time or volatility that is not positive and finite.
    #[error("forward, time and volatility must be positive and finite")]
    BadInput,
    /// No strike has this delta (wrong sign, beyond one, or above the largest adjusted delta).
    #[error("no strike has this delta")]
    Unattainable,
}

/// The strike, in dollars, at which an option of volatility `vol` has `delta`.
///
/// `delta` is positive for a call and negative for a put. Relative accuracy about 1e-12.
///
/// # Errors
/// See [`StrikeError`].
pub fn strike_from_delta(
    kind: OptionKind,
    delta: f64,
    forward: f64,
    expiry_years: f64,
    vol: f64,
    convention: DeltaConvention,
) -> Result<f64, StrikeError> {
    let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
    let s = vol * expiry_years.sqrt();
    if !positive(forward) || !positive(s) {
        return Err(StrikeError::BadInput);
    }
    let size = delta * kind.sign();
    let k = match convention {
        DeltaConvention::Forward => {
            let d1 = quantile(size).ok_or(StrikeError::Unattainable)? * kind.sign();
            s * (0.5 * s - d1)
        }
        DeltaConvention::PremiumAdjusted => {
            adjusted(kind, size, s).ok_or(StrikeError::Unattainable)?
        }
    };
    Ok(forward * libm::exp(k))
}

/// Log moneyness at which a premium-adjusted delta has the size `size`.
fn adjusted(kind: OptionKind, size: f64, s: f64) -> Option<f64> {
    if !(size > 0.0 && size.is_finite()) {
        return None;
    }
    let sign = kind.sign();
    let miss = |k: f64| libm::exp(k) * cdf(-sign * (k / s + 0.5 * s)) - size;
    let start = match kind {
        // A put's adjusted delta grows with the strike without bound.
        OptionKind::Put => 0.0,
        // A call's has one peak, where `s N(d2) = n(d2)`.
        OptionKind::Call => {
            let d2 = bracketed_root(|d| s * cdf(d) - pdf(d), -37.0, 37.0, 1e-12)?;
            -s * (d2 + 0.5 * s)
        }
    };
    if kind == OptionKind::Call && miss(start) < 0.0 {
        return None;
    }
    let outward = kind == OptionKind::Call || miss(start) < 0.0;
    let step = if outward { 0.25 * s } else { -0.25 * s };
    outward_root(
        miss,
        start,
        step,
        start.abs() + 60.0 * (s + s * s) + 5.0,
        1e-14,
    )
}

/// Log moneyness on a smile at which the forward delta has the size `size`, with the volatility of
/// that strike; the root nearest to the money.
///
/// `size` is between 0 and 1 (0.25 for a 25-delta put or call). `None` if the smile never
/// reaches it within `|k| <= 12.04` or has no positive variance on the way.
pub fn smile_delta(smile: &impl Smile, kind: OptionKind, size: f64) -> Option<f64> {
    let target = quantile(size)? * kind.sign();
    let miss = |k: f64| {
        let s = smile.total_variance(k).sqrt();
        0.5 * s - k / s - target
    };
    let scale = smile.total_variance(0.0).sqrt();
    let first = miss(0.0);
    if !(scale > 0.0 && first.is_finite()) {
        return None;
    }
    // d1 falls as the strike rises.
    let step = if first > 0.0 {
        0.25 * scale
    } else {
        -0.25 * scale
    };
    outward_root(miss, 0.0, step, MAX_LOG_MONEYNESS, 1e-14)
}
