//! Smiles: total variance as a function of log moneyness at one expiry.

mod calibrate;
mod certificate;
mod damped;
mod freedom;
mod neldermead;
mod quality;
mod repair;
mod sabr;
mod squares;
mod ssvi;
mod ssvi_fit;
pub mod svi;

pub use calibrate::{FitError, SviFit, fit_svi};
pub use certificate::{Certificate, LowestG, Range, calendar_on, certify, lowest_g};
pub use quality::{Change, Quality, change, quality};
pub use repair::{Repaired, repair};
pub use sabr::{Sabr, SabrFit, SabrFormula, fit_sabr};
pub use ssvi::{Phi, Ssvi, SsviConditions};
pub use ssvi_fit::{SsviFit, SsviQuotes, fit_ssvi};
pub use svi::{Butterfly, JumpWings, NaturalSvi, RawSvi, SviError};

use crate::solve::{bracketed_root, grid_minimum};

/// Log moneyness beyond which no smile is searched: `exp(12)` times the forward.
pub const MAX_LOG_MONEYNESS: f64 = 12.04;

/// Total variance `w(k)` with two derivatives, `k = ln(strike / forward)`.
pub trait Smile {
    /// Total implied variance, `volatility^2 * expiry_years`.
    fn total_variance(&self, k: f64) -> f64;
    /// `dw/dk`.
    fn slope(&self, k: f64) -> f64;
    /// `d2w/dk2`.
    fn curvature(&self, k: f64) -> f64;
    /// Points at which to look for extremes of this smile, ascending.
    fn search_points(&self) -> Vec<f64>;

    /// Implied volatility at `k`, or `None` where the variance is not positive.
    fn vol(&self, k: f64, expiry_years: f64) -> Option<f64> {
        let vol = (self.total_variance(k) / expiry_years).sqrt();
        (vol > 0.0 && vol.is_finite()).then_some(vol)
    }

    /// Durrleman's `g(k)`: the risk-neutral density is positive where it is.
    ///
    /// Meaningless where the total variance is not positive.
    fn density_factor(&self, k: f64) -> f64 {
        let (w, w1, w2) = (self.total_variance(k), self.slope(k), self.curvature(k));
        let lean = 1.0 - 0.5 * k * w1 / w;
        lean * lean - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2
    }
}

/// Comparison of two expiries of one asset.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// Smallest `w_far - w_near` found.
    pub min_gap: f64,
    /// Log moneyness of the smallest gap.
    pub argmin: f64,
    /// Log moneyness where the two smiles cross, ascending.
    pub crossings: Vec<f64>,
    /// No calendar arbitrage: the gap is nowhere negative.
    pub free: bool,
}

/// Compares the total variance of two expiries for `|k| <= range`.
///
/// Crossings are good to about 1e-10. Returns `None` if `range` is not positive and finite or a
/// variance is not a number.
pub fn calendar(near: &impl Smile, far: &impl Smile, range: f64) -> Option<Calendar> {
    if !(range > 0.0 && range.is_finite()) {
        return None;
    }
    let range = Range {
        low: -range,
        high: range,
    };
    calendar_between(near, far, range)
}

/// Compares the total variance of two expiries on a range; otherwise as [`calendar`].
pub fn calendar_between(near: &impl Smile, far: &impl Smile, range: Range) -> Option<Calendar> {
    let mut points: Vec<f64> = range.points(201).collect();
    for candidates in [near.search_points(), far.search_points()] {
        let inside = |k: &f64| *k > range.low && *k < range.high;
        points.extend(candidates.into_iter().filter(inside));
    }
    points.sort_by(f64::total_cmp);
    points.dedup();
    let gap = |k: f64| far.total_variance(k) - near.total_variance(k);
    let (argmin, min_gap) = grid_minimum(gap, &points)?;
    // A dip below zero between two points is a pair of crossings that the points do not see.
    if min_gap < 0.0 && !points.contains(&argmin) {
        points.push(argmin);
        points.sort_by(f64::total_cmp);
    }
    let crossings = points
        .windows(2)
        .filter(|pair| (gap(pair[0]) < 0.0) != (gap(pair[1]) < 0.0))
        .filter_map(|pair| bracketed_root(gap, pair[0], pair[1], 1e-13))
        .collect();
    Some(Calendar {
        min_gap,
        argmin,
        crossings,
        free: min_gap >= 0.0,
    })
}
