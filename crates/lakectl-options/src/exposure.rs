//! What dealers' option positions make them trade: dollar gamma, vanna and charm of a book, over the spot price.
//!
//! The sign of a position is an assumption ([`Scenario`]) that nobody outside the venue can check, so every result belongs to
//! a named scenario. A book carries the positions of `N` scenarios at once: they share every evaluation of the normal density.
//!
//! Units: dollar gamma is the change of delta, in dollars, when the spot price rises by one per cent; vanna when volatility
//! rises by one point; charm when a day passes. Every forward moves in proportion to the spot price. A contract is one coin.

mod flow;
mod ladder;
mod pain;
mod profile;
mod walls;

pub use flow::{DealerInventory, Scenario, Taker};
pub use ladder::{Ladder, Rung, VOL_FLOOR};
pub use pain::{OpenInterest, max_pain};
pub use profile::{FlipStatus, Profile, Shape, grid};
pub use walls::Walls;

use crate::OptionKind;
use crate::black::log_ratio;
use crate::normal::{cdf, pdf};
use crate::smile::{RawSvi, Smile};

const DAYS_PER_YEAR: f64 = 365.0;

/// Options with less time left do not enter a book, years: an hour.
pub const EXPIRY_YEARS_MIN: f64 = 1.0 / (24.0 * DAYS_PER_YEAR);

/// Why a book has no exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExposureError {
    /// A spot price, forward, strike, time or volatility that is not positive and finite, or a position that is not finite.
    #[error("prices, times and volatilities must be positive, positions finite")]
    BadInput,
    /// A level, shift or time of the question outside its domain.
    #[error("spot ratios must be positive, shifts finite, hours not negative")]
    BadArgument,
    /// A sum does not fit into a double.
    #[error("the exposure is out of range")]
    Overflow,
}

impl ExposureError {
    /// Returns the word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::BadInput => "bad_input",
            Self::BadArgument => "bad_argument",
            Self::Overflow => "overflow",
        }
    }
}

/// What volatility does when the spot price moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stickiness {
    /// Every strike keeps the volatility it was given.
    Strike,
    /// The smile moves with the forward: a strike takes the fitted volatility of its new log moneyness. Options without a
    /// smile do not count.
    Delta,
}

impl Stickiness {
    /// Returns the word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Strike => "strike",
            Self::Delta => "delta",
        }
    }
}

/// One option and what dealers hold of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Holding<const N: usize> {
    /// Call or put.
    pub kind: OptionKind,
    /// Strike, dollars.
    pub strike: f64,
    /// Time to expiry, years.
    pub expiry_years: f64,
    /// Forward of the expiry, dollars.
    pub forward: f64,
    /// Volatility, fraction per square root of a year.
    pub vol: f64,
    /// The fitted smile of the expiry, for [`Stickiness::Delta`].
    pub smile: Option<RawSvi>,
    /// Contracts that dealers hold, negative when they are short, by scenario.
    pub positions: [f64; N],
}

/// Dollar sensitivities of a book at one level of the spot price.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exposure {
    /// Change of delta per one per cent of the spot price, dollars.
    pub gamma_usd: f64,
    /// Change of delta per point of volatility, dollars.
    pub vanna_usd: f64,
    /// Change of delta per day, dollars.
    pub charm_usd: f64,
}

impl Exposure {
    #[inline]
    fn add(&mut self, position: f64, unit: Self) {
        self.gamma_usd += position * unit.gamma_usd;
        self.vanna_usd += position * unit.vanna_usd;
        self.charm_usd += position * unit.charm_usd;
    }

    fn is_finite(&self) -> bool {
        self.gamma_usd.is_finite() && self.vanna_usd.is_finite() && self.charm_usd.is_finite()
    }
}

/// The options of one strike, expiry and volatility, calls and puts together.
#[derive(Clone, Copy, Debug)]
struct Line<const N: usize> {
    strike: f64,
    expiry_years: f64,
    forward: f64,
    vol: f64,
    /// `ln(forward / strike)`.
    log_ratio: f64,
    smile: Option<RawSvi>,
    calls: [f64; N],
    puts: [f64; N],
}

/// Dealers' positions in the options of one asset.
#[derive(Clone, Debug)]
pub struct Book<const N: usize> {
    spot: f64,
    lines: Vec<Line<N>>,
}

impl<const N: usize> Book<N> {
    /// Collects holdings; those of one strike, expiry, forward and volatility are merged.
    ///
    /// # Errors
    /// [`ExposureError::BadInput`].
    pub fn new(spot: f64, holdings: &[Holding<N>]) -> Result<Self, ExposureError> {
        let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
        let sound = |h: &Holding<N>| {
            [h.strike, h.expiry_years, h.forward, h.vol]
                .into_iter()
                .all(positive)
                && h.positions.iter().all(|p| p.is_finite())
        };
        if !positive(spot) || !holdings.iter().all(sound) {
            return Err(ExposureError::BadInput);
        }
        let mut sorted: Vec<&Holding<N>> = holdings.iter().collect();
        let key = |h: &Holding<N>| [h.expiry_years, h.strike, h.forward, h.vol].map(f64::to_bits);
        // Positions are in the key so that sums do not depend on the order of the holdings.
        sorted.sort_by_key(|h| {
            (
                key(h),
                h.kind == OptionKind::Put,
                h.positions.map(f64::to_bits),
            )
        });
        let mut lines: Vec<Line<N>> = Vec::with_capacity(sorted.len());
        let mut before = None;
        for holding in sorted {
            if before.replace(key(holding)) != Some(key(holding)) {
                lines.push(Line::of(holding));
            }
            if let Some(line) = lines.last_mut() {
                line.hold(holding);
            }
        }
        Ok(Self { spot, lines })
    }

    /// The spot price, dollars.
    #[must_use]
    pub fn spot(&self) -> f64 {
        self.spot
    }

    /// Exposures when the spot price is `ratio` times what it is.
    ///
    /// # Errors
    /// [`ExposureError::BadArgument`], [`ExposureError::Overflow`].
    pub fn at(&self, ratio: f64, sticky: Stickiness) -> Result<[Exposure; N], ExposureError> {
        let cells = self.along(&[ratio], sticky)?;
        cells.first().copied().ok_or(ExposureError::BadArgument)
    }

    /// Exposures at several levels of the spot price, as ratios to what it is.
    ///
    /// # Errors
    /// [`ExposureError::BadArgument`], [`ExposureError::Overflow`].
    pub fn along(
        &self,
        ratios: &[f64],
        sticky: Stickiness,
    ) -> Result<Vec<[Exposure; N]>, ExposureError> {
        let normal = |ratio: &f64| ratio.is_normal() && *ratio > 0.0;
        if !ratios.iter().all(normal) {
            return Err(ExposureError::BadArgument);
        }
        let levels: Vec<(f64, f64)> = ratios.iter().map(|r| (*r, libm::log(*r))).collect();
        let mut cells = vec![[Exposure::default(); N]; levels.len()];
        for line in &self.lines {
            let positions: [f64; N] = std::array::from_fn(|n| line.calls[n] + line.puts[n]);
            let kept = line.kept();
            for ((ratio, log), cell) in levels.iter().zip(&mut cells) {
                let lens = match sticky {
                    Stickiness::Strike => kept,
                    Stickiness::Delta => line.moved(*log),
                };
                if let Some(lens) = lens {
                    let unit = lens.unit(line.log_ratio + log, *ratio);
                    for (exposure, position) in cell.iter_mut().zip(positions) {
                        exposure.add(position, unit);
                    }
                }
            }
        }
        if cells.iter().flatten().all(Exposure::is_finite) {
            Ok(cells)
        } else {
            Err(ExposureError::Overflow)
        }
    }

    /// Dollar gamma without signs: that of every contract held, long or short, added up.
    ///
    /// # Errors
    /// [`ExposureError::Overflow`].
    pub fn gross_gamma_usd(&self) -> Result<[f64; N], ExposureError> {
        let mut sums = [0.0; N];
        for line in &self.lines {
            let gamma = line
                .kept()
                .map_or(0.0, |lens| lens.unit(line.log_ratio, 1.0).gamma_usd);
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum += (line.calls[n].abs() + line.puts[n].abs()) * gamma;
            }
        }
        finite(sums)
    }

    /// Dollar delta of the book.
    ///
    /// # Errors
    /// [`ExposureError::Overflow`].
    pub fn delta_usd(&self) -> Result<[f64; N], ExposureError> {
        let deltas = self.delta_coin(1.0, 0.0, 0.0)?;
        finite(deltas.map(|delta| delta * self.spot))
    }

    /// Dollar gamma by strike, ascending.
    ///
    /// # Errors
    /// [`ExposureError::Overflow`].
    pub fn gamma_by_strike(&self) -> Result<Vec<(f64, [f64; N])>, ExposureError> {
        let mut sorted: Vec<&Line<N>> = self.lines.iter().collect();
        sorted.sort_by(|a, b| a.strike.total_cmp(&b.strike));
        let mut strikes: Vec<(f64, [f64; N])> = Vec::new();
        for line in sorted {
            if strikes
                .last()
                .is_none_or(|(strike, _)| *strike != line.strike)
            {
                strikes.push((line.strike, [0.0; N]));
            }
            let gamma = line
                .kept()
                .map_or(0.0, |lens| lens.unit(line.log_ratio, 1.0).gamma_usd);
            if let Some((_, sums)) = strikes.last_mut() {
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum += (line.calls[n] + line.puts[n]) * gamma;
                }
            }
        }
        if strikes
            .iter()
            .flat_map(|(_, sums)| sums)
            .all(|sum| sum.is_finite())
        {
            Ok(strikes)
        } else {
            Err(ExposureError::Overflow)
        }
    }

    /// Delta in coin of the spot price at `ratio` times what it is, after volatility moved by `vol_shift` and `years` passed.
    ///
    /// A put's delta is never formed from a call's. Options that expired meanwhile are gone.
    fn delta_coin(
        &self,
        ratio: f64,
        vol_shift: f64,
        years: f64,
    ) -> Result<[f64; N], ExposureError> {
        let log = libm::log(ratio);
        let mut sums = [0.0; N];
        for line in &self.lines {
            let left = line.expiry_years - years;
            if left <= 0.0 {
                continue;
            }
            let vol = (line.vol + vol_shift).max(VOL_FLOOR.min(line.vol));
            let deviation = vol * left.sqrt();
            let d1 = (line.log_ratio + log) / deviation + 0.5 * deviation;
            let coins = line.forward / self.spot;
            let (call, put) = (coins * cdf(d1), -coins * cdf(-d1));
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum += line.calls[n] * call + line.puts[n] * put;
            }
        }
        finite(sums)
    }
}

fn finite<const N: usize>(sums: [f64; N]) -> Result<[f64; N], ExposureError> {
    if sums.iter().all(|sum| sum.is_finite()) {
        Ok(sums)
    } else {
        Err(ExposureError::Overflow)
    }
}

impl<const N: usize> Line<N> {
    fn of(holding: &Holding<N>) -> Self {
        // A smile whose variance is not positive everywhere has no volatility to move to.
        let sound = |smile: &RawSvi| smile.validate().is_ok() && smile.min_variance() > 0.0;
        Self {
            strike: holding.strike,
            expiry_years: holding.expiry_years,
            forward: holding.forward,
            vol: holding.vol,
            log_ratio: log_ratio(holding.forward, holding.strike),
            smile: holding.smile.filter(sound),
            calls: [0.0; N],
            puts: [0.0; N],
        }
    }

    fn hold(&mut self, holding: &Holding<N>) {
        let side = match holding.kind {
            OptionKind::Call => &mut self.calls,
            OptionKind::Put => &mut self.puts,
        };
        for (sum, position) in side.iter_mut().zip(holding.positions) {
            *sum += position;
        }
    }

    /// The log return's deviation that the strike keeps.
    fn kept(&self) -> Option<Lens> {
        Lens::new(self, self.vol * self.expiry_years.sqrt())
    }

    /// The deviation that the smile gives the strike once the forward has moved by `log`.
    fn moved(&self, log: f64) -> Option<Lens> {
        let variance = self.smile.as_ref()?.total_variance(-(self.log_ratio + log));
        Lens::new(self, variance.sqrt())
    }
}

/// A line at one deviation of the log return: what of its exposure does not depend on the level.
#[derive(Clone, Copy)]
struct Lens {
    deviation: f64,
    per_deviation: f64,
    gamma: f64,
    vanna: f64,
    charm: f64,
}

impl Lens {
    #[inline]
    fn new<const N: usize>(line: &Line<N>, deviation: f64) -> Option<Self> {
        let per_deviation = 1.0 / deviation;
        (deviation > 0.0 && per_deviation < f64::INFINITY).then(|| Self {
            deviation,
            per_deviation,
            gamma: 0.01 * line.forward * per_deviation,
            vanna: -0.01 * line.forward * line.expiry_years.sqrt() * per_deviation,
            charm: 0.5 * line.forward / (line.expiry_years * DAYS_PER_YEAR),
        })
    }

    /// Exposure of one contract, call and put alike, at a log ratio of forward to strike; the level scales it.
    #[inline]
    fn unit(&self, log_ratio: f64, ratio: f64) -> Exposure {
        let d1 = log_ratio * self.per_deviation + 0.5 * self.deviation;
        let weight = ratio * pdf(d1);
        if weight == 0.0 {
            return Exposure::default();
        }
        let lean = weight * (d1 - self.deviation);
        Exposure {
            gamma_usd: self.gamma * weight,
            vanna_usd: self.vanna * lean,
            charm_usd: self.charm * lean,
        }
    }
}

#[cfg(test)]
#[path = "exposure/tests.rs"]
mod tests;
