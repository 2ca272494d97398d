//! Exposure over the spot price: where it changes sign, and which way it pushes near the spot price.

use super::{Book, Exposure, ExposureError, Stickiness};
use crate::solve::bracketed_root;

/// Half of the grid's width, as a share of the spot price.
const REACH: f64 = 0.30;
/// The band around the spot price in which stabilisation is measured, and the deviation of its weight.
const NEAR: f64 = 0.05;
const WEIGHT_DEVIATION: f64 = 0.02;

/// Ratios to the spot price from -30 % to +30 % in `steps` even steps.
#[must_use]
pub fn grid(steps: u32) -> Vec<f64> {
    let steps = steps.max(1);
    let at = |i| 1.0 - REACH + 2.0 * REACH * f64::from(i) / f64::from(steps);
    (0..=steps).map(at).collect()
}

/// How many zero-gamma levels there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlipStatus {
    /// One.
    Found,
    /// None within 30 % of the spot price.
    None,
    /// Several; the one nearest to the spot price is the level.
    Several,
}

impl FlipStatus {
    /// Returns the word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::None => "none",
            Self::Several => "several",
        }
    }
}

/// Exposures of every scenario over the grid.
#[derive(Clone, Debug)]
pub struct Profile<'a, const N: usize> {
    book: &'a Book<N>,
    sticky: Stickiness,
    /// Ratios to the spot price, ascending.
    pub ratios: Vec<f64>,
    /// One row a ratio, one cell a scenario.
    pub cells: Vec<[Exposure; N]>,
}

/// What a gamma profile looks like.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Spot prices at which gamma changes sign, ascending, dollars.
    pub zero_gamma: Vec<f64>,
    /// The one nearest to the spot price.
    pub zero_gamma_level: Option<f64>,
    /// How many there are.
    pub flip: FlipStatus,
    /// Weighted share of positive gamma within 5 % of the spot price; `None` where there is no gamma at all.
    pub stabilization: Option<f64>,
    /// Weighted share of negative gamma; the two add up to one.
    pub acceleration: Option<f64>,
    /// Gamma above the spot price less gamma below it, as a share of all of it without signs.
    pub gamma_skew: Option<f64>,
}

impl<const N: usize> Book<N> {
    /// Exposures over a grid of ratios to the spot price, ascending.
    ///
    /// # Errors
    /// [`ExposureError::BadArgument`], [`ExposureError::Overflow`].
    pub fn profile(
        &self,
        ratios: Vec<f64>,
        sticky: Stickiness,
    ) -> Result<Profile<'_, N>, ExposureError> {
        if ratios.windows(2).any(|pair| !(pair[0] < pair[1])) {
            return Err(ExposureError::BadArgument);
        }
        let cells = self.along(&ratios, sticky)?;
        Ok(Profile {
            book: self,
            sticky,
            ratios,
            cells,
        })
    }
}

impl<const N: usize> Profile<'_, N> {
    /// The shape of one scenario's gamma, `None` if there is no such scenario.
    #[must_use]
    pub fn shape(&self, scenario: usize) -> Option<Shape> {
        if scenario >= N {
            return None;
        }
        let zero_gamma = self.roots(scenario);
        let far = |level: &f64| (level / self.book.spot - 1.0).abs();
        let nearest = zero_gamma
            .iter()
            .copied()
            .min_by(|a, b| far(a).total_cmp(&far(b)));
        let (mut plus, mut minus, mut above, mut below) = (0.0, 0.0, 0.0, 0.0);
        for (ratio, cell) in self.ratios.iter().zip(&self.cells) {
            let (gamma, off) = (cell[scenario].gamma_usd, ratio - 1.0);
            // The grid's own rounding must not cut its edge off.
            if off.abs() <= NEAR + 1e-12 {
                let z = off / WEIGHT_DEVIATION;
                let weight = libm::exp(-0.5 * z * z);
                plus += weight * gamma.max(0.0);
                minus += weight * (-gamma).max(0.0);
            }
            if off > 1e-12 {
                above += gamma;
            } else if off < -1e-12 {
                below += gamma;
            }
        }
        let gross: f64 = self
            .cells
            .iter()
            .map(|cell| cell[scenario].gamma_usd.abs())
            .sum();
        let share = |part: f64, whole: f64| {
            let share = part / whole;
            (whole > 0.0 && share.is_finite()).then_some(share)
        };
        Some(Shape {
            flip: match zero_gamma.len() {
                0 => FlipStatus::None,
                1 => FlipStatus::Found,
                _ => FlipStatus::Several,
            },
            zero_gamma,
            zero_gamma_level: nearest,
            stabilization: share(plus, plus + minus),
            acceleration: share(minus, plus + minus),
            gamma_skew: share(above - below, gross),
        })
    }

    /// Refines every sign change of the grid. A stretch without any gamma is no sign change.
    fn roots(&self, scenario: usize) -> Vec<f64> {
        let gamma = |ratio: f64| match self.book.at(ratio, self.sticky) {
            Ok(cell) => cell[scenario].gamma_usd,
            Err(_) => f64::NAN,
        };
        let mut roots = Vec::new();
        let mut before: Option<(f64, f64)> = None;
        for (ratio, cell) in self.ratios.iter().zip(&self.cells) {
            let value = cell[scenario].gamma_usd;
            if value == 0.0 {
                continue;
            }
            if let Some((from, sign)) = before
                && (sign > 0.0) != (value > 0.0)
            {
                let root = bracketed_root(gamma, from, *ratio, 1e-13);
                roots.extend(root.map(|root| root * self.book.spot));
            }
            before = Some((*ratio, value));
        }
        roots
    }
}
