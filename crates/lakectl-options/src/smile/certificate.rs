//! The certificate of a smile: what it may be trusted with.

use super::svi::RawSvi;
use super::{Calendar, MAX_LOG_MONEYNESS, Smile, calendar_between};
use crate::solve::grid_minimum;

/// An interval of log moneyness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lower end.
    pub low: f64,
    /// Upper end, above the lower one.
    pub high: f64,
}

impl Range {
    /// Everything that is ever searched.
    pub const WHOLE: Self = Self {
        low: -MAX_LOG_MONEYNESS,
        high: MAX_LOG_MONEYNESS,
    };

    /// Returns a range, or `None` unless `-12.04 <= low < high <= 12.04`.
    #[must_use]
    pub fn new(low: f64, high: f64) -> Option<Self> {
        let inside = low >= -MAX_LOG_MONEYNESS && high <= MAX_LOG_MONEYNESS;
        (inside && low < high).then_some(Self { low, high })
    }

    /// Whether a log moneyness lies in the range, ends included.
    #[must_use]
    pub fn holds(self, k: f64) -> bool {
        (self.low..=self.high).contains(&k)
    }

    /// The common part of two ranges.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        Self::new(self.low.max(other.low), self.high.min(other.high))
    }

    /// `count` points from end to end; at least the two ends.
    pub(super) fn points(self, count: usize) -> impl Iterator<Item = f64> {
        let last = count.max(2) - 1;
        let step = (self.high - self.low) / last as f64;
        (0..=last).map(move |i| {
            if i == last {
                self.high
            } else {
                self.low + step * i as f64
            }
        })
    }
}

/// Smallest `g(k)` on a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LowestG {
    /// The value; negative means butterfly arbitrage.
    pub g: f64,
    /// The log moneyness where it is reached.
    pub k: f64,
}

/// Butterfly and wing certificate of one slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// The range that was quoted.
    pub fitted: Range,
    /// Smallest `g` on the fitted range; `None` if the variance is not positive there.
    pub lowest_fitted: Option<LowestG>,
    /// Smallest `g` for `|k| <= 12.04`; `None` if the variance is not positive somewhere.
    pub lowest: Option<LowestG>,
    /// Slope of total variance far below and far above the money, both positive outwards; Lee's
    /// bound is two.
    pub wings: (f64, f64),
    /// Both wings obey Lee's bound.
    pub lee_ok: bool,
    /// No butterfly arbitrage on the fitted range.
    pub free_fitted: bool,
    /// No butterfly arbitrage anywhere, wings included.
    pub free: bool,
}

/// States the certificate of a slice that was fitted on a range.
///
/// Minima are good to about 1e-10. Parameters outside their domain give a certificate that promises
/// nothing.
#[must_use]
pub fn certify(svi: &RawSvi, fitted: Range) -> Certificate {
    let whole = svi.butterfly();
    let lowest = whole
        .g_min
        .zip(whole.g_argmin)
        .map(|(g, k)| LowestG { g, k });
    let lowest_fitted = lowest_g(svi, fitted);
    Certificate {
        fitted,
        lowest_fitted,
        lowest,
        wings: svi.wing_slopes(),
        lee_ok: whole.lee_ok,
        free_fitted: lowest_fitted.is_some_and(|lowest| lowest.g >= 0.0),
        free: whole.free,
    }
}

/// Smallest `g` of a slice on a range; `None` if its variance is not positive there or its parameters
/// are outside their domain.
#[must_use]
pub fn lowest_g(svi: &RawSvi, range: Range) -> Option<LowestG> {
    svi.validate().ok()?;
    let mut points: Vec<f64> = vec![range.low, range.high];
    points.extend(range.points(41));
    let inside = |k: &f64| *k > range.low && *k < range.high;
    points.extend(svi.search_points().into_iter().filter(inside));
    points.sort_by(f64::total_cmp);
    points.dedup();
    if points.iter().any(|k| !(svi.total_variance(*k) > 0.0)) {
        return None;
    }
    let (k, g) = grid_minimum(|k| svi.density_factor(k), &points)?;
    Some(LowestG { g, k })
}

/// Calendar certificate of two slices on the range that both were fitted on; `None` without a common
/// range.
#[must_use]
pub fn calendar_on(near: (&RawSvi, Range), far: (&RawSvi, Range)) -> Option<Calendar> {
    let range = near.1.common(far.1)?;
    calendar_between(near.0, far.0, range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOGT: RawSvi = RawSvi {
        a: -0.041,
        b: 0.1331,
        rho: 0.306,
        m: 0.3586,
        sigma: 0.4153,
    };

    #[test]
    fn arbitrage_outside_of_the_quotes_is_told_from_arbitrage_inside() {
        let inside = certify(&VOGT, Range::new(-1.0, 1.0).unwrap());
        assert!(!inside.free && !inside.free_fitted && inside.lee_ok);
        let lowest = inside.lowest_fitted.unwrap();
        assert!((lowest.g + 0.032_863_573).abs() < 1e-8 && (lowest.k - 0.879_26).abs() < 1e-4);
        let outside = certify(&VOGT, Range::new(-1.0, 0.5).unwrap());
        assert!(!outside.free && outside.free_fitted);
        assert!(outside.lowest_fitted.unwrap().g > 0.0);
        assert_eq!(outside.lowest.unwrap(), inside.lowest.unwrap());
    }

    #[test]
    fn nothing_is_promised_without_variance() {
        let below = RawSvi { a: -0.2, ..VOGT };
        let found = certify(&below, Range::WHOLE);
        assert!(found.lowest.is_none() && !found.free && !found.free_fitted);
        assert!(
            lowest_g(
                &RawSvi {
                    b: f64::NAN,
                    ..VOGT
                },
                Range::WHOLE
            )
            .is_none()
        );
        assert_eq!(Range::new(0.1, 0.1), None);
        assert_eq!(Range::new(f64::NAN, 0.1), None);
    }
}
