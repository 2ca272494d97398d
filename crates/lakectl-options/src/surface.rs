//! A surface of slices over expiry, its constant-maturity nodes and the factors read off them.

use crate::OptionKind;
use crate::smile::{Calendar, Range, RawSvi, Smile, calendar};
use crate::strike::smile_delta;

/// Constant maturities of the published grid, days.
pub const TENOR_DAYS: [f64; 6] = [7.0, 14.0, 30.0, 60.0, 90.0, 180.0];
/// Names of the delta nodes of the published grid, from the put wing to the call wing.
pub const NODES: [&str; 7] = ["5p", "10p", "25p", "atm", "25c", "10c", "5c"];
/// Constant maturities of the 25 nodes that principal components and shocks are computed on, days.
pub const MATURITY_DAYS: [f64; 5] = [7.0, 14.0, 30.0, 60.0, 90.0];
/// Names of the delta nodes among those 25.
pub const DELTA_NODES: [&str; 5] = ["10p", "25p", "atm", "25c", "10c"];
/// A maturity is extrapolated at most to this multiple of the last expiry, and not below the
/// first expiry divided by it.
pub const MAX_EXTRAPOLATION: f64 = 2.0;

const DAYS_PER_YEAR: f64 = 365.0;

/// The smile of one expiry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// Time to expiry, years of 365 days.
    pub expiry_years: f64,
    /// Forward of this expiry, dollars.
    pub forward: f64,
    /// Total variance over `k = ln(strike / forward)`.
    pub svi: RawSvi,
    /// Log moneyness of the first and the last quote that it was fitted to; beyond them it is extrapolated.
    pub quoted: Range,
}

/// Why slices do not make a surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurfaceError {
    /// There are no slices.
    #[error("a surface needs at least one slice")]
    Empty,
    /// An expiry or forward that is not positive and finite, or invalid SVI parameters.
    #[error("a slice is outside its domain")]
    BadSlice,
    /// Two slices with one expiry.
    #[error("two slices have the same expiry")]
    DuplicateExpiry,
    /// The requested time is not positive and finite.
    #[error("the time to expiry must be positive and finite")]
    BadTime,
}

/// Slices ordered by expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Surface {
    slices: Vec<Slice>,
}

/// The smile of a surface at any expiry: a weighted sum of the total variances of two slices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SurfaceSmile {
    near: (f64, RawSvi),
    far: (f64, RawSvi),
    quoted: (Range, Range),
    /// Time to expiry, years.
    pub expiry_years: f64,
    /// The time lies outside the expiries of the surface and the volatility of the nearest slice
    /// is used at the same `k`.
    pub extrapolated: bool,
}

impl Smile for SurfaceSmile {
    #[inline]
    fn total_variance(&self, k: f64) -> f64 {
        self.near.0 * self.near.1.total_variance(k) + self.far.0 * self.far.1.total_variance(k)
    }

    #[inline]
    fn slope(&self, k: f64) -> f64 {
        self.near.0 * self.near.1.slope(k) + self.far.0 * self.far.1.slope(k)
    }

    #[inline]
    fn curvature(&self, k: f64) -> f64 {
        self.near.0 * self.near.1.curvature(k) + self.far.0 * self.far.1.curvature(k)
    }

    fn search_points(&self) -> Vec<f64> {
        let mut points = self.near.1.search_points();
        if self.far.0 > 0.0 {
            points.extend(self.far.1.search_points());
            points.sort_by(f64::total_cmp);
            points.dedup();
        }
        points
    }
}

impl SurfaceSmile {
    /// Implied volatility at log moneyness `k`, `None` where the variance is not positive.
    #[must_use]
    pub fn vol_at(&self, k: f64) -> Option<f64> {
        self.vol(k, self.expiry_years)
    }

    /// Whether `k` lies within the quotes of at least one of the expiries that this smile is made from.
    #[must_use]
    pub fn is_quoted(&self, k: f64) -> bool {
        let (near, far) = self.quoted;
        let parts = [(self.near.0, near), (self.far.0, far)];
        parts
            .iter()
            .any(|(weight, range)| *weight > 0.0 && range.holds(k))
    }
}

impl Surface {
    /// Orders slices by expiry and checks them.
    ///
    /// # Errors
    /// See [`SurfaceError`].
    pub fn new(mut slices: Vec<Slice>) -> Result<Self, SurfaceError> {
        if slices.is_empty() {
            return Err(SurfaceError::Empty);
        }
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let valid =
            |s: &Slice| positive(s.expiry_years) && positive(s.forward) && s.svi.validate().is_ok();
        if !slices.iter().all(valid) {
            return Err(SurfaceError::BadSlice);
        }
        slices.sort_by(|a, b| a.expiry_years.total_cmp(&b.expiry_years));
        if slices
            .windows(2)
            .any(|p| p[0].expiry_years == p[1].expiry_years)
        {
            return Err(SurfaceError::DuplicateExpiry);
        }
        Ok(Self { slices })
    }

    /// The slices, nearest expiry first; never empty.
    #[must_use]
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// The smile at `expiry_years`: total variance linear in time at fixed `k = ln(K / F)`
    /// between two expiries, the volatility of the nearest slice outside them.
    ///
    /// # Errors
    /// [`SurfaceError::BadTime`].
    pub fn smile_at(&self, expiry_years: f64) -> Result<SurfaceSmile, SurfaceError> {
        if !(expiry_years > 0.0 && expiry_years.is_finite()) {
            return Err(SurfaceError::BadTime);
        }
        let next = self
            .slices
            .partition_point(|s| s.expiry_years < expiry_years);
        let pair = (
            next.checked_sub(1).map(|i| &self.slices[i]),
            self.slices.get(next),
        );
        let (near, far, weights, extrapolated) = match pair {
            (Some(a), Some(b)) => {
                let part = (expiry_years - a.expiry_years) / (b.expiry_years - a.expiry_years);
                (a, b, (1.0 - part, part), false)
            }
            (Some(only), None) | (None, Some(only)) => {
                let scale = expiry_years / only.expiry_years;
                (only, only, (scale, 0.0), scale != 1.0)
            }
            (None, None) => return Err(SurfaceError::Empty),
        };
        Ok(SurfaceSmile {
            near: (weights.0, near.svi),
            far: (weights.1, far.svi),
            quoted: (near.quoted, far.quoted),
            expiry_years,
            extrapolated,
        })
    }

    /// The forward at `expiry_years`, dollars: log-linear in time between expiries, the nearest
    /// slice's annualised carry being unknown outside, so its forward is kept there.
    ///
    /// # Errors
    /// [`SurfaceError::BadTime`].
    pub fn forward_at(&self, expiry_years: f64) -> Result<f64, SurfaceError> {
        if !(expiry_years > 0.0 && expiry_years.is_finite()) {
            return Err(SurfaceError::BadTime);
        }
        let next = self
            .slices
            .partition_point(|s| s.expiry_years < expiry_years);
        let pair = (
            next.checked_sub(1).map(|i| &self.slices[i]),
            self.slices.get(next),
        );
        match pair {
            (Some(a), Some(b)) => {
                let part = (expiry_years - a.expiry_years) / (b.expiry_years - a.expiry_years);
                let log = libm::log(b.forward / a.forward);
                Ok(a.forward * libm::exp(part * log))
            }
            (Some(only), None) | (None, Some(only)) => Ok(only.forward),
            (None, None) => Err(SurfaceError::Empty),
        }
    }

    /// Compares every slice with the next one for `|k| <= range`, nearest pair first; a pair is
    /// `None` when its variance is not a number somewhere.
    #[must_use]
    pub fn calendar(&self, range: f64) -> Vec<Option<Calendar>> {
        self.slices
            .windows(2)
            .map(|pair| calendar(&pair[0].svi, &pair[1].svi, range))
            .collect()
    }

    /// The smile at `expiry_years` unless that lies beyond twice the last expiry or before half the first
    /// one, where the nearest smile says nothing any more.
    #[must_use]
    pub fn smile_within_reach(&self, expiry_years: f64) -> Option<SurfaceSmile> {
        let first = self.slices[0].expiry_years / MAX_EXTRAPOLATION;
        let last = self.slices[self.slices.len() - 1].expiry_years * MAX_EXTRAPOLATION;
        let smile = self.smile_at(expiry_years).ok()?;
        (first..=last).contains(&expiry_years).then_some(smile)
    }

    /// Volatilities at the constant maturities and delta nodes.
    #[must_use]
    pub fn nodes(&self) -> NodeGrid {
        let mut grid = NodeGrid {
            vol: [[None; NODES.len()]; TENOR_DAYS.len()],
            log_moneyness: [[None; NODES.len()]; TENOR_DAYS.len()],
            reason: [[None; NODES.len()]; TENOR_DAYS.len()],
        };
        for (row, days) in TENOR_DAYS.iter().enumerate() {
            let Some(smile) = self.smile_within_reach(days / DAYS_PER_YEAR) else {
                grid.reason[row] = [Some(NodeReason::OutOfReach); NODES.len()];
                continue;
            };
            for (column, k) in node_log_moneyness(&smile).into_iter().enumerate() {
                let node = k.and_then(|k| Some((k, smile.vol_at(k)?)));
                grid.vol[row][column] = node.map(|(_, vol)| vol);
                grid.log_moneyness[row][column] = node.map(|(k, _)| k);
                grid.reason[row][column] = match node {
                    None => Some(NodeReason::NoStrike),
                    Some((k, _)) if !smile.is_quoted(k) => Some(NodeReason::BeyondQuotes),
                    Some(_) => smile.extrapolated.then_some(NodeReason::Extrapolated),
                };
            }
        }
        grid
    }
}

/// Log moneyness of the delta nodes [`NODES`] (forward Black delta; the middle one is `K = F`).
#[must_use]
pub fn node_log_moneyness(smile: &impl Smile) -> [Option<f64>; NODES.len()] {
    [
        smile_delta(smile, OptionKind::Put, 0.05),
        smile_delta(smile, OptionKind::Put, 0.10),
        smile_delta(smile, OptionKind::Put, 0.25),
        Some(0.0),
        smile_delta(smile, OptionKind::Call, 0.25),
        smile_delta(smile, OptionKind::Call, 0.10),
        smile_delta(smile, OptionKind::Call, 0.05),
    ]
}

/// Volatility between two times, seen from now: `sqrt((w2 - w1) / (t2 - t1))` of two volatilities
/// (fractions per square root of a year) to two times (years).
///
/// `None` for input outside its domain, for times that do not rise, and where total variance falls, which
/// is calendar arbitrage.
#[must_use]
pub fn forward_vol(near_vol: f64, near_years: f64, far_vol: f64, far_years: f64) -> Option<f64> {
    let domain = near_vol >= 0.0 && far_vol >= 0.0 && near_years >= 0.0 && far_years > near_years;
    let variance = far_vol * far_vol * far_years - near_vol * near_vol * near_years;
    let vol = (variance / (far_years - near_years)).sqrt();
    (domain && variance >= 0.0 && vol.is_finite()).then_some(vol)
}

/// What there is to say about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeReason {
    /// The volatility of the nearest expiry was carried to this maturity.
    Extrapolated,
    /// The strike lies outside the quotes of every expiry that the value is read from (of the one nearest expiry,
    /// where the maturity lies outside as well).
    BeyondQuotes,
    /// The maturity is too far from every expiry: no value.
    OutOfReach,
    /// The smile reaches this delta nowhere: no value.
    NoStrike,
}

impl NodeReason {
    /// Returns the word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Extrapolated => "extrapolated",
            Self::BeyondQuotes => "beyond_quotes",
            Self::OutOfReach => "out_of_reach",
            Self::NoStrike => "no_strike",
        }
    }
}

/// Volatilities, rows [`TENOR_DAYS`], columns [`NODES`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NodeGrid {
    /// Volatility, fraction per square root of a year.
    pub vol: [[Option<f64>; NODES.len()]; TENOR_DAYS.len()],
    /// `ln(strike / forward)` of every volatility.
    pub log_moneyness: [[Option<f64>; NODES.len()]; TENOR_DAYS.len()],
    /// Why a value is missing, or what was assumed for it.
    pub reason: [[Option<NodeReason>; NODES.len()]; TENOR_DAYS.len()],
}

const D7: usize = 0;
const D30: usize = 2;
const D90: usize = 4;
const P10: usize = 1;
const P25: usize = 2;
const ATM: usize = 3;
const C25: usize = 4;
const C10: usize = 5;

impl NodeGrid {
    /// Volatility at the money, 30 days.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        self.vol[D30][ATM]
    }

    /// `IV(25p) - IV(25c)` at 30 days: positive when puts are dearer (minus the risk reversal).
    #[must_use]
    pub fn skew(&self) -> Option<f64> {
        Some(self.vol[D30][P25]? - self.vol[D30][C25]?)
    }

    /// Butterfly at 30 days: the mean of both 25-delta volatilities less that at the money.
    #[must_use]
    pub fn curvature(&self) -> Option<f64> {
        Some(0.5 * (self.vol[D30][P25]? + self.vol[D30][C25]?) - self.vol[D30][ATM]?)
    }

    /// Volatility at the money, 90 days less 7 days.
    #[must_use]
    pub fn term_structure(&self) -> Option<f64> {
        Some(self.vol[D90][ATM]? - self.vol[D7][ATM]?)
    }

    /// Slope of the term structure between 7 and 90 days, per square root of a year.
    #[must_use]
    pub fn term_slope(&self) -> Option<f64> {
        let root = |row: usize| (TENOR_DAYS[row] / DAYS_PER_YEAR).sqrt();
        Some(self.term_structure()? / (root(D90) - root(D7)))
    }

    /// `[IV(10c) - IV(25c)] - [IV(10p) - IV(25p)]` at 30 days.
    #[must_use]
    pub fn wing_asymmetry(&self) -> Option<f64> {
        let row = &self.vol[D30];
        Some((row[C10]? - row[C25]?) - (row[P10]? - row[P25]?))
    }
}

#[cfg(test)]
#[path = "surface_tests.rs"]
mod tests;
