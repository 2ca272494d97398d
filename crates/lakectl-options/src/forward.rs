//! The forward of an expiry, from put-call parity or from dated futures.

use crate::black::log_ratio;

mod chain;

pub use chain::{ChainForward, ChainQuote, chain_forward};

const DAYS_PER_YEAR: f64 = 365.0;

/// A call and a put of the same strike and expiry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParityQuote {
    /// Strike, dollars.
    pub strike: f64,
    /// Call premium, in the unit that the function says.
    pub call: f64,
    /// Put premium, same unit.
    pub put: f64,
}

/// Why there is no forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// Fewer strikes than the method needs.
    #[error("too few strikes with both a call and a put")]
    TooFew,
    /// A strike, price or time outside its domain.
    #[error("strikes, prices and times must be finite and strikes positive")]
    BadInput,
    /// The quotes give a forward or discount factor that is not positive.
    #[error("the quotes do not imply a positive forward")]
    NotPositive,
}

/// A forward and discount factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParityFit {
    /// Forward, dollars.
    pub forward: f64,
    /// Discount factor to expiry.
    pub discount: f64,
    /// Strikes used.
    pub quotes: usize,
}

/// Regresses `C - P` (dollars) on the strike: `C - P = discount * (forward - K)`.
///
/// # Errors
/// Fewer than two distinct strikes, bad numbers, or a line that does not fall.
pub fn parity_regression(quotes: &[ParityQuote]) -> Result<ParityFit, ForwardError> {
    check(quotes, 2)?;
    let n = quotes.len() as f64;
    let mean_k = quotes.iter().map(|q| q.strike).sum::<f64>() / n;
    let mean_y = quotes.iter().map(|q| q.call - q.put).sum::<f64>() / n;
    let (mut sxx, mut sxy) = (0.0, 0.0);
    for q in quotes {
        let x = q.strike - mean_k;
        sxx += x * x;
        sxy += x * (q.call - q.put - mean_y);
    }
    if sxx == 0.0 {
        return Err(ForwardError::TooFew);
    }
    let discount = -sxy / sxx;
    positive(mean_k + mean_y / discount, discount, quotes.len())
}

/// Regresses `C - P` in coin on the strike: `C - P = discount * (1 - K / forward)`.
///
/// A coin premium is a dollar premium over the forward, so one line gives both numbers and no
/// iteration over the forward is needed.
///
/// # Errors
/// As [`parity_regression`].
pub fn parity_regression_coin(quotes: &[ParityQuote]) -> Result<ParityFit, ForwardError> {
    let line = parity_regression(quotes)?;
    positive(line.forward, line.discount * line.forward, line.quotes)
}

/// The continuous rate, for a year of 365 days, of a money-market rate that is simple over a year of
/// `year_days` days (SOFR: 360).
///
/// # Errors
/// A time or day count that is not positive and finite, or a rate that eats up the principal.
pub fn continuous_rate(
    simple_rate: f64,
    expiry_years: f64,
    year_days: f64,
) -> Result<f64, ForwardError> {
    let valid = |x: f64| x > 0.0 && x.is_finite();
    let growth = simple_rate * expiry_years * (DAYS_PER_YEAR / year_days);
    if !(valid(expiry_years) && valid(year_days) && growth > -1.0 && growth.is_finite()) {
        return Err(ForwardError::BadInput);
    }
    let rate = libm::log1p(growth) / expiry_years;
    if rate.is_finite() {
        Ok(rate)
    } else {
        Err(ForwardError::BadInput)
    }
}

/// The median over strikes of `K + (C - P) / discount` (dollars); a wild quote does not move it.
///
/// # Errors
/// No quotes, bad numbers, or a forward that is not positive.
pub fn parity_median(quotes: &[ParityQuote], discount: f64) -> Result<ParityFit, ForwardError> {
    check(quotes, 1)?;
    let each = quotes
        .iter()
        .map(|q| q.strike + (q.call - q.put) / discount);
    positive(median(each.collect()), discount, quotes.len())
}

/// The parity forward at the strike where call and put are closest (dollars), as volatility
/// indices take it; strikes that tie are averaged.
///
/// # Errors
/// No quotes, bad numbers, or a forward that is not positive.
pub fn parity_nearest(quotes: &[ParityQuote], discount: f64) -> Result<ParityFit, ForwardError> {
    check(quotes, 1)?;
    let gap = |q: &ParityQuote| (q.call - q.put).abs();
    let least = quotes.iter().map(gap).fold(f64::INFINITY, f64::min);
    let tied = quotes.iter().filter(|q| gap(q) == least);
    let (count, sum) = tied.fold((0_u32, 0.0), |(n, sum), q| {
        (n + 1, sum + q.strike + (q.call - q.put) / discount)
    });
    positive(sum / f64::from(count), discount, quotes.len())
}

/// The forward from premiums in coin, `C - P = 1 - K / F`: the median of `K / (1 - (C - P))` over
/// the `strikes` whose call and put are closest (all, if there are fewer).
///
/// Undiscounted, as coin-settled venues quote. Far strikes are left out because there the price
/// step of the venue is large against `1 - K / F`.
///
/// # Errors
/// No quotes, bad numbers, or a forward that is not positive.
pub fn parity_coin(quotes: &[ParityQuote], strikes: usize) -> Result<ParityFit, ForwardError> {
    check(quotes, 1)?;
    let mut near: Vec<&ParityQuote> = quotes.iter().collect();
    near.sort_by(|a, b| {
        let gap = |q: &ParityQuote| (q.call - q.put).abs();
        gap(a)
            .total_cmp(&gap(b))
            .then(a.strike.total_cmp(&b.strike))
    });
    near.truncate(strikes.max(1));
    let each = near.iter().map(|q| q.strike / (1.0 - (q.call - q.put)));
    positive(median(each.collect()), 1.0, near.len())
}

/// Forwards of several expiries over a spot price.
#[derive(Clone, Debug, PartialEq)]
pub struct ForwardCurve {
    spot: f64,
    /// (years, ln(forward / spot)), ascending, without the origin.
    nodes: Vec<(f64, f64)>,
}

impl ForwardError {
    /// Returns the word that tables use for this status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooFew => "too_few_quotes",
            Self::BadInput => "bad_input",
            Self::NotPositive => "not_positive",
        }
    }
}

impl ForwardCurve {
    /// Builds a curve from a spot price and (years, forward) pairs in any order.
    ///
    /// # Errors
    /// No pairs, a number that is not positive and finite, or two pairs with one time.
    pub fn new(spot: f64, forwards: &[(f64, f64)]) -> Result<Self, ForwardError> {
        let valid = |x: f64| x > 0.0 && x.is_finite();
        if forwards.is_empty() {
            return Err(ForwardError::TooFew);
        }
        if !valid(spot) || forwards.iter().any(|&(t, f)| !valid(t) || !valid(f)) {
            return Err(ForwardError::BadInput);
        }
        let mut nodes: Vec<(f64, f64)> = forwards
            .iter()
            .map(|&(t, f)| (t, log_ratio(f, spot)))
            .collect();
        nodes.sort_by(|a, b| a.0.total_cmp(&b.0));
        if nodes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(ForwardError::BadInput);
        }
        Ok(Self { spot, nodes })
    }

    /// The forward at `years`, dollars: `ln(F/S)` is linear in time through (0, 0) and keeps the
    /// annualised rate of the last expiry behind it.
    ///
    /// # Errors
    /// `years` negative or not finite, or so far out that the forward overflows.
    pub fn at(&self, years: f64) -> Result<f64, ForwardError> {
        if !(years >= 0.0 && years.is_finite()) {
            return Err(ForwardError::BadInput);
        }
        let next = self.nodes.partition_point(|&(t, _)| t < years);
        let log = match (
            next.checked_sub(1).map(|i| self.nodes[i]),
            self.nodes.get(next),
        ) {
            (None, None) => 0.0,
            (None, Some(&(t, x))) => x * years / t,
            (Some((t, x)), None) => x * years / t,
            (Some((t0, x0)), Some(&(t1, x1))) => x0 + (x1 - x0) * (years - t0) / (t1 - t0),
        };
        let forward = self.spot * libm::exp(log);
        if forward > 0.0 && forward.is_finite() {
            Ok(forward)
        } else {
            Err(ForwardError::NotPositive)
        }
    }
}

fn check(quotes: &[ParityQuote], least: usize) -> Result<(), ForwardError> {
    if quotes.len() < least {
        return Err(ForwardError::TooFew);
    }
    let valid = |q: &ParityQuote| {
        q.strike > 0.0 && q.strike.is_finite() && q.call.is_finite() && q.put.is_finite()
    };
    if quotes.iter().all(valid) {
        Ok(())
    } else {
        Err(ForwardError::BadInput)
    }
}

fn positive(forward: f64, discount: f64, quotes: usize) -> Result<ParityFit, ForwardError> {
    let valid = |x: f64| x > 0.0 && x.is_finite();
    if valid(forward) && valid(discount) {
        Ok(ParityFit {
            forward,
            discount,
            quotes,
        })
    } else {
        Err(ForwardError::NotPositive)
    }
}

/// The median of a list that is not empty.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 {
        values[half]
    } else {
        0.5 * (values[half - 1] + values[half])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coin_parity_finds_the_forward() {
        let forward = 61_234.5;
        let quotes: Vec<ParityQuote> = (50..75)
            .map(|i| f64::from(i) * 1_000.0)
            .map(|strike| ParityQuote {
                strike,
                call: 0.2 + 1.0 - strike / forward,
                put: 0.2,
            })
            .collect();
        let line = parity_regression_coin(&quotes).unwrap();
        assert!((line.forward / forward - 1.0).abs() < 1e-12);
        assert!((line.discount - 1.0).abs() < 1e-12);
        let fit = parity_coin(&quotes, 5).unwrap();
        assert!((fit.forward / forward - 1.0).abs() < 1e-14);
        assert_eq!(fit.quotes, 5);
    }

    #[test]
    fn a_simple_rate_and_its_continuous_rate_grow_alike() {
        let years = 0.25;
        let rate = continuous_rate(0.036, years, 360.0).unwrap();
        let simple = 1.0 + 0.036 * years * 365.0 / 360.0;
        assert!((libm::exp(rate * years) - simple).abs() < 1e-15);
        assert_eq!(continuous_rate(0.0, years, 360.0), Ok(0.0));
        for (rate, years) in [(0.04, 0.0), (f64::NAN, 1.0), (-4.0, 1.0)] {
            assert!(continuous_rate(rate, years, 360.0).is_err());
        }
    }

    #[test]
    fn bad_quotes_are_refused() {
        let q = |strike, call, put| ParityQuote { strike, call, put };
        assert_eq!(
            parity_regression(&[q(1.0, 1.0, 1.0)]),
            Err(ForwardError::TooFew)
        );
        let twice = [q(1.0, 1.0, 1.0), q(1.0, 2.0, 1.0)];
        assert_eq!(parity_regression(&twice), Err(ForwardError::TooFew));
        let rising = [q(1.0, 1.0, 1.0), q(2.0, 2.0, 1.0)];
        assert_eq!(parity_regression(&rising), Err(ForwardError::NotPositive));
        assert_eq!(
            parity_median(&[q(1.0, f64::NAN, 1.0)], 1.0),
            Err(ForwardError::BadInput)
        );
        assert_eq!(parity_coin(&[], 5), Err(ForwardError::TooFew));
        assert_eq!(
            parity_coin(&[q(1.0, 3.0, 0.0)], 5),
            Err(ForwardError::NotPositive)
        );
        assert!(ForwardCurve::new(1.0, &[]).is_err());
        assert!(ForwardCurve::new(1.0, &[(1.0, 2.0), (1.0, 3.0)]).is_err());
        assert!(
            ForwardCurve::new(1.0, &[(1.0, 2.0)])
                .unwrap()
                .at(-1.0)
                .is_err()
        );
    }
}
