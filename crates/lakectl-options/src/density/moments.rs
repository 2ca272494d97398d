//! Mass, mean and moments of a whole density.
//!
//! Mass, mean and negative mass are differences of closed forms. Moments are integrals by Gauss and Legendre's
//! rule over panels that halve until each one's mass is the difference of the distribution at its ends: the
//! closed form is the measure of the error, so a kink or a peak far narrower than the density is not missed.

use super::{DensityError, cdf, pdf, side, weight};
use crate::smile::{MAX_LOG_MONEYNESS, Smile};
use crate::solve::bracketed_root;

/// Nodes and weights of the rule with sixteen points, of one half.
const NODES: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_64),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_64),
    (0.458_016_777_657_227_37, 0.169_156_519_395_002_5),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_7),
    (0.755_404_408_355_003, 0.124_628_971_255_534_07),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_6),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_456),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_176),
];
/// Error of a panel's mass times the fourth power of its distance in deviations at the money.
const TOLERANCE: f64 = 1e-10;
/// Rounding of a difference of the closed form, as a share of its parts.
const ROUNDING: f64 = 1e-13;
/// Panels beyond which nothing is halved any more; recorded smiles take about fifty.
const PANELS_MAX: usize = 4_000;
/// Doublings of the range after which a tail is too fat to have moments.
const DOUBLINGS: usize = 60;
/// A density has moments if its mass over all log returns is this close to one.
const MASS_TOLERANCE: f64 = 1e-6;

/// How well a density holds together within `|k| <= 12.04`, and its moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Integral of the density over `|k| <= 12.04`; one for a sound smile.
    pub mass: f64,
    /// Integral of `exp(k)` times the density over that range, the mean of `S_T / F`; one for a sound smile.
    pub mean_ratio: f64,
    /// Integral of the negative part of the density over that range.
    pub negative_mass: f64,
    /// Moments over all log returns; `None` if the density's mass is not one (a wing beyond Lee's bound), or
    /// the variance it implies is not positive (negative density).
    pub log_return: Option<LogReturn>,
}

/// Moments of `ln(S_T / F)` over all log returns, good to about 1e-9.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogReturn {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
    /// Skewness.
    pub skewness: f64,
    /// Kurtosis (3 for a normal one).
    pub kurtosis: f64,
    /// How much of them is extrapolated beyond every price that means anything.
    pub beyond: Beyond,
}

/// Shares of moments about zero that come from `|k| > 12.04`: prices under six millionths or over 169,000 times
/// the forward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beyond {
    /// Of the mean.
    pub first: f64,
    /// Of the mean square.
    pub second: f64,
    /// Of the mean fourth power.
    pub fourth: f64,
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
}

impl LogReturn {
    /// Volatility of a variance swap: a log contract costs `-2 E[ln(S_T / F)]` of total variance (Neuberger 1994),
    /// the same as its strip of out-of-the-money options over all strikes. `None` if the mean is not negative or
    /// the time not positive.
    #[must_use]
    pub fn variance_swap_vol(&self, expiry_years: f64) -> Option<f64> {
        let vol = (-2.0 * self.mean / expiry_years).sqrt();
        (vol > 0.0 && vol.is_finite()).then_some(vol)
    }
}

/// Integrates the density of a smile.
///
/// # Errors
/// [`DensityError::NoVariance`] without positive variance at the money, [`DensityError::NegativeVariance`] without
/// it anywhere else that is looked at.
pub fn moments(smile: &impl Smile) -> Result<Moments, DensityError> {
    let s = smile.total_variance(0.0).sqrt();
    if !(s > 0.0 && s.is_finite()) {
        return Err(DensityError::NoVariance);
    }
    let failed = DensityError::NegativeVariance;
    let mut integral = Integral::new(smile, s).ok_or(failed)?;
    for k in first_edges(smile, s) {
        integral.up_to(k).ok_or(failed)?;
    }
    let (left, right) = (integral.start, integral.end);
    let negative_mass = integral.negative_mass();
    let inside = integral.sums;
    let tails = [left, right].map(|edge| integral.tail(edge));
    let moments = Moments {
        mass: 1.0 - left.below - right.above,
        mean_ratio: 1.0 - left.paid_below(smile) - right.paid_above(smile),
        negative_mass,
        log_return: match tails {
            [Some(left), Some(right)] => log_return(inside, left, right, s),
            _ => None,
        },
    };
    let numbers = [moments.mass, moments.mean_ratio, negative_mass];
    if numbers.iter().all(|x| x.is_finite()) {
        Ok(moments)
    } else {
        Err(failed)
    }
}

/// Where panels begin: around the bend of the smile in growing steps, and every two deviations at the money.
fn first_edges(smile: &impl Smile, s: f64) -> Vec<f64> {
    const STEPS: usize = 24;
    let points = smile.search_points();
    let mut edges: Vec<f64> = points
        .iter()
        .copied()
        .step_by((points.len() / STEPS).max(1))
        .collect();
    edges.extend((-4..=4).map(|i| 2.0 * s * f64::from(i)));
    edges.retain(|k| k.abs() < MAX_LOG_MONEYNESS);
    edges.push(MAX_LOG_MONEYNESS);
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    edges
}

/// An end of a panel with the distribution there.
#[derive(Clone, Copy)]
struct Edge {
    k: f64,
    d2: f64,
    below: f64,
    above: f64,
    /// What was added up to give either: rounding is a share of it.
    parts: [f64; 2],
}

impl Edge {
    fn at(smile: &impl Smile, k: f64) -> Option<Self> {
        let (d2, lean) = side(smile, k)?;
        let (low, high) = (cdf(-d2), cdf(d2));
        let edge = Self {
            k,
            d2,
            below: low + lean,
            above: high - lean,
            parts: [low + lean.abs(), high + lean.abs()],
        };
        lean.is_finite().then_some(edge)
    }

    /// The mass up to another edge, with the rounding of that figure; from the side on which it is smaller.
    fn mass_to(&self, next: &Self) -> (f64, f64) {
        if self.k + next.k <= 0.0 {
            let parts = self.parts[0].max(next.parts[0]);
            (next.below - self.below, ROUNDING * parts)
        } else {
            let parts = self.parts[1].max(next.parts[1]);
            (self.above - next.above, ROUNDING * parts)
        }
    }

    /// What the price below pays: the integral of `exp(x)` times the density up to here.
    fn paid_below(&self, smile: &impl Smile) -> f64 {
        let (d1, lean) = self.in_coin(smile);
        cdf(-d1) + lean
    }

    fn paid_above(&self, smile: &impl Smile) -> f64 {
        let (d1, lean) = self.in_coin(smile);
        cdf(d1) - lean
    }

    fn in_coin(&self, smile: &impl Smile) -> (f64, f64) {
        let s = smile.total_variance(self.k).sqrt();
        let d1 = self.d2 + s;
        (d1, pdf(d1) * 0.5 * smile.slope(self.k) / s)
    }
}

/// Sums of the powers 0 to 4 of `k`, in deviations at the money, times the density.
type Sums = [f64; 5];

struct Integral<'a, S> {
    smile: &'a S,
    s: f64,
    start: Edge,
    end: Edge,
    sums: Sums,
    panels: usize,
    /// Where `g` was looked at, ascending: places and values.
    seen: Vec<(f64, f64)>,
}

impl<'a, S: Smile> Integral<'a, S> {
    fn new(smile: &'a S, s: f64) -> Option<Self> {
        let start = Edge::at(smile, -MAX_LOG_MONEYNESS)?;
        Some(Self {
            smile,
            s,
            start,
            end: start,
            sums: Sums::default(),
            panels: 0,
            seen: Vec::with_capacity(1_024),
        })
    }

    /// Adds the range from the end so far.
    fn up_to(&mut self, k: f64) -> Option<()> {
        let next = Edge::at(self.smile, k)?;
        let sums = self.between(self.end, next)?;
        self.sums = added(self.sums, sums);
        self.end = next;
        Some(())
    }

    /// One panel, halved until its mass is right.
    fn between(&mut self, a: Edge, b: Edge) -> Option<Sums> {
        let seen = self.seen.len();
        let sums = self.panel(a.k, b.k)?;
        self.panels += 1;
        let (mass, rounding) = a.mass_to(&b);
        let reach = a.k.abs().max(b.k.abs()) / self.s;
        let bound = TOLERANCE / (1.0 + reach * reach * reach * reach);
        let middle = 0.5 * (a.k + b.k);
        let narrow = !(a.k < middle && middle < b.k) || self.panels > PANELS_MAX;
        if (sums[0] - mass).abs() <= bound.max(rounding) || narrow {
            return Some(sums);
        }
        self.seen.truncate(seen);
        let middle = Edge::at(self.smile, middle)?;
        let left = self.between(a, middle)?;
        Some(added(left, self.between(middle, b)?))
    }

    fn panel(&mut self, a: f64, b: f64) -> Option<Sums> {
        let (centre, half) = (0.5 * (a + b), 0.5 * (b - a));
        let lower = NODES.iter().rev().map(|(x, w)| (-x, w));
        let upper = NODES.iter().map(|(x, w)| (*x, w));
        let mut sums = Sums::default();
        for (x, w) in lower.chain(upper) {
            let k = centre + half * x;
            let g = self.smile.density_factor(k);
            let mut term = w * half * g * weight(self.smile, k);
            if !term.is_finite() {
                return None;
            }
            self.seen.push((k, g));
            let z = k / self.s;
            for sum in &mut sums {
                *sum += term;
                term *= z;
            }
        }
        Some(sums)
    }

    /// The sums beyond an edge of the range, outwards until nothing is left; `None` if there is always something.
    fn tail(&mut self, edge: Edge) -> Option<Sums> {
        let mut sums = Sums::default();
        let mut from = edge;
        for _ in 0..DOUBLINGS {
            let to = Edge::at(self.smile, 2.0 * from.k)?;
            let (low, high) = if to.k > 0.0 { (from, to) } else { (to, from) };
            sums = added(sums, self.between(low, high)?);
            let g = self.smile.density_factor(to.k);
            let left = if to.k > 0.0 { to.above } else { to.below };
            let next = (g * weight(self.smile, to.k) * to.k).abs();
            let z = to.k / self.s;
            let rest = (left.abs() + next) * z * z * z * z;
            if rest <= ROUNDING * (1.0 + self.sums[4].abs()) {
                return Some(sums);
            }
            from = to;
        }
        None
    }

    /// The mass where `g` is negative, between its zeros.
    fn negative_mass(&self) -> f64 {
        let g = |k: f64| self.smile.density_factor(k);
        let mut from = self
            .seen
            .first()
            .filter(|(_, g)| *g < 0.0)
            .map(|_| self.start);
        let mut mass = 0.0;
        for pair in self.seen.windows(2) {
            let falls = pair[1].1 < 0.0;
            if (pair[0].1 < 0.0) == falls {
                continue;
            }
            let root = bracketed_root(g, pair[0].0, pair[1].0, 1e-13);
            let edge = root.and_then(|k| Edge::at(self.smile, k));
            if let (Some(start), Some(end), false) = (from, edge, falls) {
                mass -= start.mass_to(&end).0;
            }
            from = edge.filter(|_| falls);
        }
        mass -= from.map_or(0.0, |start| start.mass_to(&self.end).0);
        mass.max(0.0)
    }
}

fn added(mut a: Sums, b: Sums) -> Sums {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
    a
}

fn log_return(inside: Sums, left: Sums, right: Sums, s: f64) -> Option<LogReturn> {
    let [mass, m1, m2, m3, m4] = added(inside, added(left, right));
    let spread = m2 - m1 * m1;
    if !((mass - 1.0).abs() <= MASS_TOLERANCE && spread > 0.0) {
        return None;
    }
    let third = m3 - 3.0 * m1 * m2 + 2.0 * m1 * m1 * m1;
    let fourth = m4 - 4.0 * m1 * m3 + 6.0 * m1 * m1 * m2 - 3.0 * m1 * m1 * m1 * m1;
    let share = |n: usize, all: f64| (left[n].abs() + right[n].abs()) / all.abs();
    let found = LogReturn {
        mean: m1 * s,
        variance: spread * s * s,
        skewness: third / (spread * spread.sqrt()),
        kurtosis: fourth / (spread * spread),
        beyond: Beyond {
            first: share(1, m1),
            second: share(2, m2),
            fourth: share(4, m4),
        },
    };
    let Beyond {
        first,
        second,
        fourth,
    } = found.beyond;
    let numbers = [
        found.mean,
        found.variance,
        found.skewness,
        found.kurtosis,
        first,
        second,
        fourth,
    ];
    numbers.iter().all(|x| x.is_finite()).then_some(found)
}

#[cfg(test)]
#[path = "moments_tests.rs"]
mod tests;
