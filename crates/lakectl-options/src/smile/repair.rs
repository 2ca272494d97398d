//! Removal of arbitrage from a fitted slice: the nearest smile without it.
//!
//! Distance is the weighted squared error on the slice's quotes, the same that the fit minimises. All
//! five parameters move. Lee's bound and positive variance hold by the choice of unknowns; a negative
//! `g` and a variance below that of the nearer expiry are pushed away by penalties that grow until the
//! certificate says that they are gone, with the worst place added to the places that are watched.

use super::certificate::{Range, lowest_g};
use super::damped::minimise_squares;
use super::svi::RawSvi;
use super::{Smile, calendar_between};

/// Largest wing slope of a repaired smile, a little inside Lee's bound of two.
const LEE_SLOPE: f64 = 1.99;
/// What `g` is pushed to, so that between two watched places it stays above zero.
const MARGIN: f64 = 5e-3;
/// How far above the nearer expiry a smile is pushed, in volatility.
const CALENDAR_MARGIN: f64 = 1e-5;
/// Weights of the penalties from round to round, in squared volatility per squared unit of `g`.
const PENALTIES: [f64; 4] = [1e-3, 1e-1, 1e1, 1e3];
/// Weight of the calendar penalty relative to that of `g`, which is of the order of one.
const CALENDAR_WEIGHT: f64 = 1e4;
/// Places watched on the range and on either side of it.
const INSIDE: usize = 25;
const OUTSIDE: usize = 10;
const STEPS: usize = 60;
/// Bounds of the width and of the distance of the centre, as shares of half the quoted range.
const WIDTH_BOUNDS: (f64, f64) = (0.003, 60.0);
const CENTRE_MAX: f64 = 3.0;

/// A smile without arbitrage and what that cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repaired {
    /// The smile.
    pub svi: RawSvi,
    /// Weighted root mean square error on the quotes less that of the smile before, in volatility.
    pub cost_vol: f64,
    /// Root mean square distance between both smiles at the quotes, in volatility, weighted.
    pub distance_vol: f64,
}

/// The smile nearest to quotes (`k`, volatility, weight) without butterfly arbitrage on `range` and,
/// if given, nowhere on its own range below the total variance of the nearer expiry `floor`.
///
/// `svi` is the best smile without these conditions, where the search starts. `None` if no such smile
/// was found, or nothing has a positive weight.
#[must_use]
pub fn repair(
    svi: &RawSvi,
    quotes: &[(f64, f64, f64)],
    expiry_years: f64,
    range: Range,
    floor: Option<(&RawSvi, Range)>,
) -> Option<Repaired> {
    let weights: f64 = quotes.iter().map(|q| q.2).sum();
    if !(weights > 0.0 && weights.is_finite() && expiry_years > 0.0) {
        return None;
    }
    let floors = floor.map_or_else(Vec::new, |(near, range)| {
        let height = |k| (k, (near.total_variance(k) / expiry_years).max(0.0).sqrt());
        range.points(INSIDE).map(height).collect()
    });
    let bounds = Bounds::of(quotes);
    let mut search = Search {
        quotes,
        bounds,
        weights,
        expiry_years,
        watched: watched(range),
        floors,
        penalty: 0.0,
    };
    let mut unknowns = bounds.unknowns(svi, expiry_years);
    for penalty in PENALTIES {
        search.penalty = penalty;
        let residuals = |x: &[f64; 5], out: &mut Vec<f64>| search.residuals(x, out);
        (unknowns, _) = minimise_squares(residuals, unknowns, STEPS)?;
        let found = bounds.smile(&unknowns);
        let lowest = lowest_g(&found, range)?;
        let gap = floor.map(|(near, range)| calendar_between(near, &found, range));
        let crossing = match &gap {
            None => None,
            Some(calendar) => calendar.as_ref().filter(|c| !c.free).map(|c| c.argmin),
        };
        if lowest.g >= 0.0 && crossing.is_none() && !matches!(gap, Some(None)) {
            return search.priced(svi, found);
        }
        search.watched.push(lowest.k);
        if let (Some(k), Some((near, _))) = (crossing, floor) {
            let height = (near.total_variance(k) / expiry_years).max(0.0).sqrt();
            search.floors.push((k, height));
        }
    }
    None
}

struct Search<'a> {
    quotes: &'a [(f64, f64, f64)],
    bounds: Bounds,
    weights: f64,
    expiry_years: f64,
    /// Log moneyness where `g` is pushed up.
    watched: Vec<f64>,
    /// Log moneyness and volatility below which the smile may not fall.
    floors: Vec<(f64, f64)>,
    penalty: f64,
}

impl Search<'_> {
    fn residuals(&self, x: &[f64; 5], out: &mut Vec<f64>) -> bool {
        let svi = self.bounds.smile(x);
        if svi.validate().is_err() || !self.bounds.hold(&svi) {
            return false;
        }
        out.clear();
        let vol = |k: f64| (svi.total_variance(k) / self.expiry_years).sqrt();
        for &(k, quoted, weight) in self.quotes {
            out.push((weight / self.weights).sqrt() * (vol(k) - quoted));
        }
        let push = self.penalty.sqrt();
        for &k in &self.watched {
            out.push(push * (MARGIN - svi.density_factor(k)).max(0.0));
        }
        let push = (CALENDAR_WEIGHT * self.penalty).sqrt();
        for &(k, height) in &self.floors {
            out.push(push * (height + CALENDAR_MARGIN - vol(k)).max(0.0));
        }
        true
    }

    /// Weighted root mean square of what `miss` gives for a quote.
    fn mean(&self, miss: impl Fn(f64, f64) -> f64) -> f64 {
        let squares = self.quotes.iter().map(|&(k, quoted, weight)| {
            let miss = miss(k, quoted);
            weight * miss * miss
        });
        (squares.sum::<f64>() / self.weights).sqrt()
    }

    fn priced(&self, before: &RawSvi, after: RawSvi) -> Option<Repaired> {
        let vol =
            |svi: &RawSvi, k: f64| (svi.total_variance(k) / self.expiry_years).max(0.0).sqrt();
        let error = |svi: &RawSvi| self.mean(|k, quoted| vol(svi, k) - quoted);
        let cost_vol = error(&after) - error(before);
        let distance_vol = self.mean(|k, _| vol(&after, k) - vol(before, k));
        (cost_vol.is_finite() && distance_vol.is_finite()).then_some(Repaired {
            svi: after,
            cost_vol,
            distance_vol,
        })
    }
}

/// Where the centre and the width of a smile are searched, from the strikes of its quotes.
#[derive(Clone, Copy)]
struct Bounds {
    centre: f64,
    half: f64,
}

impl Bounds {
    fn of(quotes: &[(f64, f64, f64)]) -> Self {
        let low = quotes.iter().map(|q| q.0).fold(f64::INFINITY, f64::min);
        let high = quotes.iter().map(|q| q.0).fold(f64::NEG_INFINITY, f64::max);
        Self {
            centre: 0.5 * (low + high),
            half: (0.5 * (high - low)).max(1e-3),
        }
    }

    fn hold(self, svi: &RawSvi) -> bool {
        (svi.m - self.centre).abs() <= CENTRE_MAX * (self.half + svi.sigma)
    }

    /// Logarithm of the smallest variance, both wing slopes as logits of Lee's bound, centre, and the
    /// width as logit between its bounds in logarithms: every value is a smile with positive variance
    /// inside Lee's bound.
    fn unknowns(self, svi: &RawSvi, expiry_years: f64) -> [f64; 5] {
        let (left, right) = svi.wing_slopes();
        // A volatility of a tenth of a point stands in for a smallest variance of zero or less.
        let least = svi.min_variance().max(1e-6 * expiry_years);
        let span = libm::log(WIDTH_BOUNDS.1 / WIDTH_BOUNDS.0);
        let width = libm::log(svi.sigma / self.half / WIDTH_BOUNDS.0) / span;
        [
            libm::log(least),
            logit(left / LEE_SLOPE),
            logit(right / LEE_SLOPE),
            svi.m / self.half,
            logit(width),
        ]
    }

    fn smile(self, x: &[f64; 5]) -> RawSvi {
        let (left, right) = (LEE_SLOPE * sigmoid(x[1]), LEE_SLOPE * sigmoid(x[2]));
        let span = libm::log(WIDTH_BOUNDS.1 / WIDTH_BOUNDS.0);
        let sigma = self.half * WIDTH_BOUNDS.0 * libm::exp(span * sigmoid(x[4]));
        // b sigma sqrt(1 - rho^2) without cancellation: b^2 (1 - rho^2) is the product of both slopes.
        RawSvi {
            a: libm::exp(x[0]) - sigma * (left * right).sqrt(),
            b: 0.5 * (left + right),
            rho: ((right - left) / (right + left)).clamp(-1.0, 1.0),
            m: x[3] * self.half,
            sigma,
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn logit(part: f64) -> f64 {
    let part = part.clamp(1e-9, 1.0 - 1e-6);
    libm::log(part / (1.0 - part))
}

/// Places inside a range, and outside of it in growing steps as far as the range is wide, where a dip
/// of `g` next to the range begins.
fn watched(range: Range) -> Vec<f64> {
    let mut places: Vec<f64> = range.points(INSIDE).collect();
    let whole = range == Range::WHOLE;
    if whole {
        // Smiles bend near the money; a whole range is watched there most densely.
        let near = |i: i32| 0.01 * libm::exp(0.3 * f64::from(i));
        places.extend((0..23).map(near).flat_map(|k| [-k, k]));
        places.push(0.0);
        return places;
    }
    let width = range.high - range.low;
    for i in 1..=OUTSIDE {
        let part = i as f64 / OUTSIDE as f64;
        let step = 0.1 * width * part * part;
        places.extend([range.low - step, range.high + step]);
    }
    places
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

    fn quotes(svi: &RawSvi) -> Vec<(f64, f64, f64)> {
        (0..25)
            .map(|i| {
                let k = f64::from(i - 12) / 8.0;
                (k, svi.vol(k, 1.0).unwrap(), 1.0)
            })
            .collect()
    }

    #[test]
    fn vogt_is_repaired_nearer_than_by_the_textbook_rule() {
        let quotes = quotes(&VOGT);
        let range = Range::new(-1.5, 1.5).unwrap();
        let found = repair(&VOGT, &quotes, 1.0, range, None).unwrap();
        assert!(lowest_g(&found.svi, range).unwrap().g >= 0.0);
        assert!(found.cost_vol > 1e-4 && found.distance_vol >= found.cost_vol);
        let textbook = VOGT.repaired(1.0).unwrap();
        let miss = |svi: &RawSvi| {
            let squares = quotes
                .iter()
                .map(|q| (svi.vol(q.0, 1.0).unwrap() - q.1).powi(2));
            (squares.sum::<f64>() / quotes.len() as f64).sqrt()
        };
        assert!(miss(&found.svi) < 0.5 * miss(&textbook), "{found:?}");
        let whole = repair(&VOGT, &quotes, 1.0, Range::WHOLE, None).unwrap();
        assert!(whole.svi.butterfly().free && whole.cost_vol >= 0.9 * found.cost_vol);
    }

    #[test]
    fn a_crossing_is_lifted_and_what_is_sound_stays() {
        let near = RawSvi {
            a: 0.02,
            b: 0.08,
            rho: -0.2,
            m: 0.0,
            sigma: 0.1,
        };
        let far = RawSvi {
            b: 0.05,
            rho: 0.0,
            a: 0.023,
            ..near
        };
        let range = Range::new(-0.5, 0.5).unwrap();
        assert!(!calendar_between(&near, &far, range).unwrap().free);
        let quotes = quotes(&far);
        let found = repair(&far, &quotes, 1.0, range, Some((&near, range))).unwrap();
        assert!(calendar_between(&near, &found.svi, range).unwrap().free);
        assert!(lowest_g(&found.svi, range).unwrap().g >= 0.0 && found.cost_vol > 0.0);
        let above = RawSvi { a: 0.05, ..near };
        let same = repair(
            &above,
            &self::quotes(&above),
            1.0,
            range,
            Some((&near, range)),
        )
        .unwrap();
        assert!(same.distance_vol < 1e-6, "{same:?}");
    }

    #[test]
    fn no_weight_is_no_smile() {
        assert_eq!(
            repair(&VOGT, &[(0.0, 0.5, 0.0)], 1.0, Range::WHOLE, None),
            None
        );
        assert_eq!(repair(&VOGT, &[], 1.0, Range::WHOLE, None), None);
    }
}
