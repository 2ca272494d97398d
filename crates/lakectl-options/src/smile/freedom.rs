//! Search for a slice that is free of butterfly arbitrage far beyond its quotes.

use super::calibrate::Quotes;
use super::svi::RawSvi;
use super::{MAX_LOG_MONEYNESS, Smile};

/// Largest wing slope of a repaired smile, a little inside Lee's bound of two.
const LEE_SLOPE: f64 = 1.99;
/// What `g` is pushed to, so that between two penalty points it stays above zero.
const MARGIN: f64 = 5e-3;
/// Weights of the penalty, in squared volatility per squared unit of `g`.
const PENALTIES: [f64; 2] = [1e-2, 1.0];
/// Penalty points on each side of the money.
const POINTS: i32 = 24;
const STARTS: usize = 2;

impl Quotes {
    /// The best smile without butterfly arbitrage that a search with a penalty on `g` below a small
    /// margin finds; `None` if none is found.
    pub(super) fn without_butterfly(&mut self) -> Option<RawSvi> {
        self.max_slope = LEE_SLOPE;
        self.penalty_points = penalty_points(self.half);
        for weight in PENALTIES {
            self.penalty = weight;
            let svi = self.search(STARTS)?;
            if svi.butterfly().free {
                return Some(svi);
            }
        }
        None
    }

    /// The penalty of a smile.
    pub(super) fn penalty_of(&self, svi: &RawSvi) -> f64 {
        let short = |&k: &f64| (MARGIN - svi.density_factor(k)).max(0.0);
        let squares = self.penalty_points.iter().map(short).map(|x| x * x);
        self.penalty * squares.sum::<f64>()
    }
}

/// Log moneyness on both sides of the money in geometric steps, from a tenth of the quoted range
/// to the end of the search range.
fn penalty_points(half: f64) -> Vec<f64> {
    let first = (0.1 * half).min(0.5 * MAX_LOG_MONEYNESS);
    let ratio = libm::exp(libm::log(MAX_LOG_MONEYNESS / first) / f64::from(POINTS - 1));
    let mut k = first;
    let mut points = vec![0.0];
    for _ in 0..POINTS {
        points.extend([-k, k]);
        k *= ratio;
    }
    points
}
