//! The strikes at which a book's gamma is concentrated.

use super::{Book, ExposureError};

/// Strikes of large dollar gamma, dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Walls {
    /// The strike of the largest positive gamma, where hedging holds the price; `None` without any.
    pub call_wall: Option<f64>,
    /// The strike of the most negative gamma, where hedging drives it; `None` without any.
    pub put_wall: Option<f64>,
    /// The strike of the largest gamma of either sign; `None` without any.
    pub max_gamma: Option<f64>,
}

impl<const N: usize> Book<N> {
    /// The walls of one scenario at the present spot price; of equal strikes the lowest.
    ///
    /// # Errors
    /// [`ExposureError::BadArgument`] if there is no such scenario, [`ExposureError::Overflow`].
    pub fn walls(&self, scenario: usize) -> Result<Walls, ExposureError> {
        if scenario >= N {
            return Err(ExposureError::BadArgument);
        }
        let strikes = self.gamma_by_strike()?;
        let largest = |size: fn(f64) -> f64| {
            let mut best: Option<(f64, f64)> = None;
            for (strike, gamma) in &strikes {
                let size = size(gamma[scenario]);
                if size > best.map_or(0.0, |(_, most)| most) {
                    best = Some((*strike, size));
                }
            }
            best.map(|(strike, _)| strike)
        };
        Ok(Walls {
            call_wall: largest(|gamma| gamma),
            put_wall: largest(|gamma| -gamma),
            max_gamma: largest(f64::abs),
        })
    }
}
