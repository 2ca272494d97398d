//! Greeks in the units in which Deribit shows them.
//!
//! Checked against a recorded ticker of the venue: the mark is Black's price over the forward, vega and
//! rho are dollars a percentage point, theta dollars a day, rho the one of a spot option.

use crate::black::{BlackError, BlackInput, greeks};
use crate::{OptionKind, Settlement};

const DAYS_PER_YEAR: f64 = 365.0;
const POINTS_PER_UNIT: f64 = 100.0;

/// What the venue's ticker says of an option.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeribitGreeks {
    /// Premium in the unit of the contract: coin for inverse, dollars for linear ones.
    pub mark_price: f64,
    /// Black delta, `N(d1)` for a call.
    pub delta: f64,
    /// Delta of a position whose premium was paid in coin: delta less the premium in coin for
    /// inverse options, the delta itself for linear ones.
    pub net_delta: f64,
    /// Change of delta per dollar.
    pub gamma: f64,
    /// Dollars per volatility point.
    pub vega: f64,
    /// Dollars a day; with less than a day to live, over the life that is left.
    pub theta: f64,
    /// Dollars per percentage point of the rate, with the spot price held: `K T N(d2) / 100`.
    pub rho: f64,
}

/// Price and greeks of an undiscounted option as Deribit shows them.
///
/// `forward` and `strike` are dollars, `expiry_years` years of 365 days, `vol` a fraction.
///
/// # Errors
/// As [`greeks`].
pub fn deribit_greeks(
    kind: OptionKind,
    settlement: Settlement,
    forward: f64,
    strike: f64,
    expiry_years: f64,
    vol: f64,
) -> Result<DeribitGreeks, BlackError> {
    let input = BlackInput::forward(kind, forward, strike, expiry_years, vol);
    let g = greeks(&input)?;
    let coin_price = g.price / forward;
    let (mark_price, net_delta) = match settlement {
        Settlement::Inverse => (coin_price, g.delta - coin_price),
        Settlement::Linear => (g.price, g.delta),
    };
    let out = DeribitGreeks {
        mark_price,
        delta: g.delta,
        net_delta,
        gamma: g.gamma,
        vega: g.vega / POINTS_PER_UNIT,
        theta: g.theta * expiry_years.min(1.0 / DAYS_PER_YEAR),
        // dV/dr at a held spot is -K T dV/dK.
        rho: -strike * expiry_years * g.dual_delta / POINTS_PER_UNIT,
    };
    let finite = out.mark_price + out.net_delta + out.rho;
    if finite.is_finite() {
        Ok(out)
    } else {
        Err(BlackError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_from_the_raw_greeks() {
        let (f, k, vol) = (60_000.0, 65_000.0, 0.6);
        for kind in [OptionKind::Call, OptionKind::Put] {
            for years in [0.25, 0.5 / 365.0] {
                let raw = greeks(&BlackInput::forward(kind, f, k, years, vol)).unwrap();
                let coin = deribit_greeks(kind, Settlement::Inverse, f, k, years, vol).unwrap();
                let usd = deribit_greeks(kind, Settlement::Linear, f, k, years, vol).unwrap();
                assert_eq!(coin.mark_price * f, raw.price);
                assert_eq!(usd.mark_price, raw.price);
                assert_eq!(usd.net_delta, raw.delta);
                assert!((coin.net_delta - (raw.delta - raw.price / f)).abs() < 1e-15);
                assert_eq!(usd.vega * 100.0, raw.vega);
                let days = (365.0 * years).min(1.0);
                assert!((usd.theta / (raw.theta / 365.0 * days) - 1.0).abs() < 1e-14);
                let spot = BlackInput::forward(kind, f, k, years, vol).on_spot(0.0, 0.0);
                let rho = greeks(&spot).unwrap().rho / 100.0;
                assert!((usd.rho / rho - 1.0).abs() < 1e-13);
            }
        }
        let expired = deribit_greeks(OptionKind::Put, Settlement::Inverse, f, k, 0.0, vol);
        assert_eq!(expired, Err(BlackError::Expiry));
    }
}
