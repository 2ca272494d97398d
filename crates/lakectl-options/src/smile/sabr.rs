//! The SABR smile: Black volatility by the expansions of Hagan and of Obloj, and its fit.
//!
//! Hagan, Kumar, Lesniewski and Woodward, "Managing smile risk" (2002), equation 2.17a; Obloj, "Fine-tune
//! your smile" (2008), whose leading term is exact where Hagan's loses a factor for `beta < 1`.

use super::calibrate::{FitError, checked_quotes};
use super::damped::minimise_squares;

/// Below this `|z|` the ratio `z / x(z)` comes from its series.
const SERIES: f64 = 1e-4;
/// Shortest list of strikes that three parameters are fitted to.
const MIN_STRIKES: usize = 4;
const STEPS: usize = 60;

/// Which expansion gives the Black volatility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SabrFormula {
    /// Hagan et al. 2002.
    Hagan,
    /// Obloj 2008.
    Obloj,
}

/// Parameters of `dF = alpha F^beta dW`, `dalpha = nu alpha dZ`, `dW dZ = rho dt`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sabr {
    /// Starting volatility, in units of `forward^(1 - beta)` per square root of a year; positive.
    pub alpha: f64,
    /// Elasticity, from 0 to 1 (1: lognormal, where the scale of the forward does not matter).
    pub beta: f64,
    /// Correlation of price and volatility, between -1 and 1.
    pub rho: f64,
    /// Volatility of volatility, per square root of a year; not negative.
    pub nu: f64,
}

impl Sabr {
    /// Whether every parameter lies in its domain.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let finite = self.alpha.is_finite() && self.nu.is_finite();
        let signs = self.alpha > 0.0 && self.nu >= 0.0;
        finite && signs && (0.0..=1.0).contains(&self.beta) && self.rho.abs() < 1.0
    }

    /// Black volatility of a strike, fraction per square root of a year.
    ///
    /// Relative accuracy of the arithmetic about 1e-13. `None` for input outside its domain, and where
    /// the expansion has no positive value (long expiries, far wings).
    #[must_use]
    pub fn vol(
        &self,
        forward: f64,
        strike: f64,
        expiry_years: f64,
        formula: SabrFormula,
    ) -> Option<f64> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let sound = positive(forward) && positive(strike) && positive(expiry_years);
        if !sound || !self.is_valid() {
            return None;
        }
        let Self {
            alpha,
            beta,
            rho,
            nu,
        } = *self;
        let one = 1.0 - beta;
        let log = libm::log(forward / strike);
        // (F K)^((1 - beta) / 2)
        let mid = libm::exp(0.5 * one * (libm::log(forward) + libm::log(strike)));
        let square = one * one * log * log;
        let leading = match formula {
            SabrFormula::Hagan => {
                let series = 1.0 + square / 24.0 + square * square / 1920.0;
                alpha / (mid * series) * ratio(nu / alpha * mid * log, rho)
            }
            SabrFormula::Obloj => {
                // (F^(1-beta) - K^(1-beta)) / (1 - beta) = mid * log * sinh(u) / u, u = (1-beta) log / 2.
                let u = 0.5 * one * log;
                let stretch = if u.abs() < 1e-5 {
                    1.0 + u * u / 6.0
                } else {
                    libm::sinh(u) / u
                };
                alpha / (mid * stretch) * ratio(nu / alpha * mid * log * stretch, rho)
            }
        };
        let level = alpha / mid;
        let drift = one * one / 24.0 * level * level
            + 0.25 * rho * beta * nu * level
            + (2.0 - 3.0 * rho * rho) / 24.0 * nu * nu;
        let vol = leading * (1.0 + drift * expiry_years);
        positive(vol).then_some(vol)
    }
}

/// `z / x(z)` with `x(z) = ln((sqrt(1 - 2 rho z + z^2) + z - rho) / (1 - rho))`; one at `z = 0`.
fn ratio(z: f64, rho: f64) -> f64 {
    if z.abs() < SERIES {
        return 1.0 - 0.5 * rho * z + (2.0 - 3.0 * rho * rho) / 12.0 * z * z;
    }
    let root = (1.0 - 2.0 * rho * z + z * z).sqrt();
    // root - 1 without cancellation; for z well below zero the whole argument cancels instead, and
    // its reciprocal (root - z + rho) / (1 + rho) does not.
    let x = if z > 0.0 {
        let less_one = (z * z - 2.0 * rho * z) / (root + 1.0);
        libm::log1p((less_one + z) / (1.0 - rho))
    } else {
        let less_one = (z * z - 2.0 * rho * z) / (root + 1.0);
        -libm::log1p((less_one - z) / (1.0 + rho))
    };
    z / x
}

/// A fitted SABR slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SabrFit {
    /// Fitted parameters; `beta` is the one that was given.
    pub sabr: Sabr,
    /// Unweighted root mean square error in volatility.
    pub rmse_vol: f64,
    /// Quotes used.
    pub quotes: usize,
}

/// Fits `alpha`, `rho` and `nu` for a given `beta` to quotes of one expiry, by damped least squares from
/// several starts on the weighted error of volatility.
///
/// `k` is log moneyness against `forward`; with `beta = 1` any forward gives the same fit. Quotes of
/// weight zero are ignored and the order does not matter. The expansion is used as it is: it may be
/// arbitrageable far out.
///
/// # Errors
/// [`FitError`]; four strikes are the fewest. `forward` or `beta` outside its domain is
/// [`FitError::BadQuote`].
pub fn fit_sabr(
    k: &[f64],
    iv: &[f64],
    weight: &[f64],
    forward: f64,
    expiry_years: f64,
    beta: f64,
    formula: SabrFormula,
) -> Result<SabrFit, FitError> {
    let rows = checked_quotes(k, iv, weight, expiry_years, MIN_STRIKES)?;
    if !(forward > 0.0 && forward.is_finite() && (0.0..=1.0).contains(&beta)) {
        return Err(FitError::BadQuote);
    }
    let weights: f64 = rows.iter().map(|r| r.2).sum();
    // Everything is scaled to a forward of one, so that unknowns are of the order of one.
    let quotes: Vec<(f64, f64, f64)> = rows
        .iter()
        .map(|r| (libm::exp(r.0), r.1, (r.2 / weights).sqrt()))
        .collect();
    let sabr = |x: &[f64; 3]| Sabr {
        alpha: libm::exp(x[0]),
        beta,
        rho: libm::tanh(x[1]),
        nu: libm::exp(x[2]),
    };
    let residuals = |x: &[f64; 3], out: &mut Vec<f64>| {
        let sabr = sabr(x);
        out.clear();
        for &(strike, iv, root) in &quotes {
            let Some(vol) = sabr.vol(1.0, strike, expiry_years, formula) else {
                return false;
            };
            out.push(root * (vol - iv));
        }
        true
    };
    let near = rows.iter().min_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let level = libm::log(near.ok_or(FitError::TooFewQuotes)?.1);
    let mut best: Option<([f64; 3], f64)> = None;
    // Volatility of volatility in the unit that its effect has: per square root of this expiry.
    for size in [0.3, 1.0] {
        for tilt in [-0.3, 0.3] {
            let start = [level, tilt, libm::log(size / expiry_years.sqrt())];
            let found = minimise_squares(residuals, start, STEPS);
            if found.is_some_and(|found| best.is_none_or(|best| found.1 < best.1)) {
                best = found;
            }
        }
    }
    let unit = sabr(&best.ok_or(FitError::NoFit)?.0);
    let mut squares = 0.0;
    for &(strike, iv, _) in &quotes {
        let vol = unit.vol(1.0, strike, expiry_years, formula);
        squares += (vol.ok_or(FitError::NoFit)? - iv).powi(2);
    }
    let scaled = Sabr {
        alpha: unit.alpha * libm::exp((1.0 - beta) * libm::log(forward)),
        ..unit
    };
    if !scaled.is_valid() {
        return Err(FitError::NoFit);
    }
    Ok(SabrFit {
        sabr: scaled,
        rmse_vol: (squares / quotes.len() as f64).sqrt(),
        quotes: quotes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_smiles_are_found_again() {
        for beta in [0.5, 1.0] {
            let sabr = Sabr {
                alpha: 0.6 * 3000.0_f64.powf(1.0 - beta),
                beta,
                rho: -0.25,
                nu: 1.4,
            };
            let k: Vec<f64> = (0..15).map(|i| f64::from(i - 7) * 0.05).collect();
            let vol = |k: &f64| sabr.vol(3000.0, 3000.0 * k.exp(), 0.1, SabrFormula::Hagan);
            let iv: Vec<f64> = k.iter().map(|k| vol(k).unwrap()).collect();
            let weight = vec![1.0; k.len()];
            let fit = fit_sabr(&k, &iv, &weight, 3000.0, 0.1, beta, SabrFormula::Hagan).unwrap();
            assert!(fit.rmse_vol < 1e-7, "{fit:?}");
            assert!((fit.sabr.rho + 0.25).abs() < 1e-4 && (fit.sabr.nu - 1.4).abs() < 1e-3);
        }
    }

    #[test]
    fn bad_input_is_a_typed_error() {
        let (k, iv, weight) = ([-0.1, 0.0, 0.1, 0.2], [0.5; 4], [1.0; 4]);
        let fit = |k: &[f64], f, beta| fit_sabr(k, &iv, &weight, f, 0.1, beta, SabrFormula::Obloj);
        assert_eq!(fit(&[0.0; 4], 1.0, 1.0), Err(FitError::TooFewQuotes));
        assert_eq!(fit(&k[..3], 1.0, 1.0), Err(FitError::LengthMismatch));
        assert_eq!(fit(&k, -1.0, 1.0), Err(FitError::BadQuote));
        assert_eq!(fit(&k, 1.0, 1.5), Err(FitError::BadQuote));
        // A constant smile has no volatility of volatility.
        let flat = fit(&k, 1.0, 1.0).unwrap();
        assert!(flat.rmse_vol < 1e-4, "{flat:?}");
    }

    #[test]
    fn the_series_meets_the_formula() {
        for rho in [-0.9, 0.0, 0.7] {
            for z in [-SERIES, SERIES] {
                let (inside, outside) = (ratio(z * 0.999_999, rho), ratio(z * 1.000_001, rho));
                assert!((inside - outside).abs() < 1e-9, "{inside} {outside}");
            }
        }
    }
}
