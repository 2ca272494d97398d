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
    // d1 falls as the strike rises.
    from_the_money(smile, miss, miss(0.0) > 0.0)
}

/// Log moneyness on a smile at which the delta of a convention has the size `size`.
///
/// As [`smile_delta`] for forward deltas. A premium-adjusted delta is looked for out of the money only;
/// `None` if it is not reached there: a call's has a peak, which long expiries push below the size.
pub fn smile_delta_in(
    smile: &impl Smile,
    kind: OptionKind,
    size: f64,
    convention: DeltaConvention,
) -> Option<f64> {
    if convention == DeltaConvention::Forward {
        return smile_delta(smile, kind, size);
    }
    if !(size > 0.0 && size < 1.0) {
        return None;
    }
    let sign = kind.sign();
    let miss = |k: f64| {
        let s = smile.total_variance(k).sqrt();
        libm::exp(k) * cdf(sign * (-k / s - 0.5 * s)) - size
    };
    if !(miss(0.0) >= 0.0) {
        return None;
    }
    from_the_money(smile, miss, kind == OptionKind::Call)
}

/// Log moneyness at which a straddle of one strike has no delta of a convention: `d1 = 0` for the
/// forward delta, `d2 = 0` for the premium-adjusted one. `None` without positive variance on the way.
pub fn neutral_k(smile: &impl Smile, convention: DeltaConvention) -> Option<f64> {
    let side = match convention {
        DeltaConvention::Forward => 0.5,
        DeltaConvention::PremiumAdjusted => -0.5,
    };
    let miss = |k: f64| k - side * smile.total_variance(k);
    from_the_money(smile, miss, side > 0.0)
}

/// The root nearest to the money on one side of it.
fn from_the_money(smile: &impl Smile, miss: impl Fn(f64) -> f64, upwards: bool) -> Option<f64> {
    let scale = smile.total_variance(0.0).sqrt();
    if !(scale > 0.0 && miss(0.0).is_finite()) {
        return None;
    }
    let step = if upwards { 0.25 * scale } else { -0.25 * scale };
    outward_root(miss, 0.0, step, MAX_LOG_MONEYNESS, 1e-14)
}

/// A smile as it is quoted between traders: level, risk reversals and butterflies.
///
/// Risk reversal: volatility of the call less that of the put of equal delta, so it is negative when
/// puts are dearer. Butterfly: the mean of both less the volatility at the money forward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeltaQuotes {
    /// Volatility at the strike that is the forward.
    pub atm_forward: f64,
    /// Volatility where a straddle has no delta of the convention.
    pub atm_neutral: Option<f64>,
    /// 25-delta risk reversal.
    pub rr25: Option<f64>,
    /// 25-delta butterfly.
    pub bf25: Option<f64>,
    /// 10-delta risk reversal.
    pub rr10: Option<f64>,
    /// 10-delta butterfly.
    pub bf10: Option<f64>,
}

/// Reads risk reversals and butterflies off a smile; `None` without positive variance at the money.
pub fn delta_quotes(
    smile: &impl Smile,
    expiry_years: f64,
    convention: DeltaConvention,
) -> Option<DeltaQuotes> {
    let atm = smile.vol(0.0, expiry_years)?;
    let wing = |kind, size| {
        let k = smile_delta_in(smile, kind, size, convention)?;
        smile.vol(k, expiry_years)
    };
    let pair = |size| {
        let (call, put) = (wing(OptionKind::Call, size)?, wing(OptionKind::Put, size)?);
        Some((call - put, 0.5 * (call + put) - atm))
    };
    let (at_25, at_10) = (pair(0.25), pair(0.10));
    Some(DeltaQuotes {
        atm_forward: atm,
        atm_neutral: neutral_k(smile, convention).and_then(|k| smile.vol(k, expiry_years)),
        rr25: at_25.map(|p| p.0),
        bf25: at_25.map(|p| p.1),
        rr10: at_10.map(|p| p.0),
        bf10: at_10.map(|p| p.1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smile::RawSvi;

    const SMILE: RawSvi = RawSvi {
        a: 0.006,
        b: 0.09,
        rho: -0.12,
        m: 0.02,
        sigma: 0.09,
    };

    #[test]
    fn adjusted_deltas_come_back() {
        let adjusted = DeltaConvention::PremiumAdjusted;
        for (kind, side) in [(OptionKind::Call, 1.0), (OptionKind::Put, -1.0)] {
            for size in [0.05, 0.10, 0.25] {
                let k = smile_delta_in(&SMILE, kind, size, adjusted).unwrap();
                let s = SMILE.total_variance(k).sqrt();
                let delta = k.exp() * cdf(side * (-k / s - 0.5 * s));
                assert!(
                    k * side > 0.0 && (delta - size).abs() < 1e-12,
                    "{kind:?} {size}"
                );
            }
        }
        let long = RawSvi { a: 3.0, ..SMILE };
        assert_eq!(
            smile_delta_in(&long, OptionKind::Call, 0.25, adjusted),
            None
        );
        assert_eq!(
            smile_delta_in(&SMILE, OptionKind::Call, 1.5, adjusted),
            None
        );
    }

    #[test]
    fn straddles_are_neutral() {
        let k = neutral_k(&SMILE, DeltaConvention::Forward).unwrap();
        assert!((k - 0.5 * SMILE.total_variance(k)).abs() < 1e-14);
        let k = neutral_k(&SMILE, DeltaConvention::PremiumAdjusted).unwrap();
        assert!((k + 0.5 * SMILE.total_variance(k)).abs() < 1e-14);
    }
}
