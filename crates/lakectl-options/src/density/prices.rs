//! The risk-neutral distribution straight from call premiums, without a smile (Breeden and Litzenberger 1978).
//!
//! For prices that are free of noise: a second difference multiplies an error by the inverse square of the strike step. Quoted
//! chains go through a fitted smile.

use super::DensityError;

/// Density and distribution at the strikes between the first and the last.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceDensity {
    /// Strikes, dollars, ascending.
    pub strikes: Vec<f64>,
    /// Density of `S_T` per dollar; negative where prices are not convex.
    pub density: Vec<f64>,
    /// Probability that `S_T` ends below the strike.
    pub cumulative: Vec<f64>,
}

/// Differences of undiscounted call premiums (dollars) over ascending strikes, which need not be even.
///
/// The error of both is of second order in the strike step for even steps.
///
/// # Errors
/// [`DensityError::BadArgument`] with fewer than three strikes, lengths that differ, strikes that do not rise or values that
/// are not finite.
pub fn from_calls(strikes: &[f64], calls: &[f64]) -> Result<PriceDensity, DensityError> {
    let rising = strikes.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = strikes.iter().chain(calls).all(|x| x.is_finite());
    if strikes.len() < 3 || strikes.len() != calls.len() || !rising || !finite {
        return Err(DensityError::BadArgument);
    }
    let inner = strikes.len() - 2;
    let mut out = PriceDensity {
        strikes: strikes[1..=inner].to_vec(),
        density: Vec::with_capacity(inner),
        cumulative: Vec::with_capacity(inner),
    };
    for i in 1..=inner {
        let (below, above) = (strikes[i] - strikes[i - 1], strikes[i + 1] - strikes[i]);
        let (left, right) = (
            (calls[i] - calls[i - 1]) / below,
            (calls[i + 1] - calls[i]) / above,
        );
        let density = 2.0 * (right - left) / (below + above);
        let slope = (left * above + right * below) / (below + above);
        if !(density.is_finite() && slope.is_finite()) {
            return Err(DensityError::BadArgument);
        }
        out.density.push(density);
        out.cumulative.push(1.0 + slope);
    }
    Ok(out)
}

impl PriceDensity {
    /// Probability that `S_T` ends below `strike`, linear between strikes, kept within 0 and 1. `None` outside the strikes.
    #[must_use]
    pub fn below(&self, strike: f64) -> Option<f64> {
        let next = self.strikes.partition_point(|k| *k < strike);
        let (i, j) = match (next, self.strikes.get(next)) {
            (_, Some(k)) if *k == strike => (next, next),
            (0, _) | (_, None) => return None,
            _ => (next - 1, next),
        };
        let (low, high) = (self.strikes[i], self.strikes[j]);
        let part = if i == j {
            0.0
        } else {
            (strike - low) / (high - low)
        };
        let value = (1.0 - part) * self.cumulative[i] + part * self.cumulative[j];
        Some(value.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptionKind;
    use crate::black::{BlackInput, price};
    use crate::normal::{cdf, pdf};

    #[test]
    fn a_lognormal_comes_back_from_uneven_strikes() {
        let strikes: Vec<f64> = (0..600).map(|i| 40.0 * 1.003_f64.powi(i)).collect();
        let call =
            |k: f64| price(&BlackInput::forward(OptionKind::Call, 100.0, k, 0.25, 0.6)).unwrap();
        let calls: Vec<f64> = strikes.iter().map(|k| call(*k)).collect();
        let found = from_calls(&strikes, &calls).unwrap();
        for (i, k) in found.strikes.iter().enumerate() {
            let z = ((k / 100.0_f64).ln() + 0.045) / 0.3;
            assert!((found.density[i] - pdf(z) / (k * 0.3)).abs() < 2e-6, "{k}");
            assert!((found.cumulative[i] - cdf(z)).abs() < 1e-5, "{k}");
        }
        assert!((found.below(90.0).unwrap() - cdf((0.9_f64.ln() + 0.045) / 0.3)).abs() < 1e-4);
        assert_eq!(found.below(1.0), None);
        assert_eq!(found.below(1e9), None);
        assert_eq!(found.below(f64::NAN), None);
    }

    #[test]
    fn bad_chains_are_refused() {
        let bad = Err(DensityError::BadArgument);
        assert_eq!(from_calls(&[1.0, 2.0], &[1.0, 0.5]), bad);
        assert_eq!(from_calls(&[1.0, 2.0, 2.0], &[1.0, 0.5, 0.4]), bad);
        assert_eq!(from_calls(&[1.0, 2.0, 3.0], &[1.0, 0.5]), bad);
        assert_eq!(from_calls(&[1.0, 2.0, 3.0], &[1.0, f64::NAN, 0.1]), bad);
    }
}
