//! Implied volatility with a typed status for every price that has none.
//!
//! The inversion is the crate `implied-vol`, a port of P. Jaeckel's "Let's Be Rational" (2015);
//! this module turns in-the-money quotes into out-of-the-money ones, sorts out the prices without
//! a volatility, and speaks coin as well as dollars.

use implied_vol::{DefaultSpecialFn, ImpliedBlackVolatility};

use crate::OptionKind;

/// Why a price has no implied volatility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpliedError {
    /// The price is the intrinsic value (zero out of the money): any tiny volatility would do.
    #[error("the price has no time value")]
    NoTimeValue,
    /// The price is below the intrinsic value, or negative.
    #[error("the price is below the intrinsic value")]
    BelowIntrinsic,
    /// The price is at or above its bound: the forward for a call, the strike for a put.
    #[error("the price is at or above the value of the underlying")]
    AboveMax,
    /// A forward, strike or time that is not positive and finite, or a price that is not finite.
    #[error("the inputs must be positive and finite")]
    BadInput,
}

impl ImpliedError {
    /// Returns the word that tables use for this status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoTimeValue => "no_time_value",
            Self::BelowIntrinsic => "below_intrinsic",
            Self::AboveMax => "above_max",
            Self::BadInput => "bad_input",
        }
    }
}

/// The Black-76 volatility of an undiscounted dollar price, a fraction per square root of a year.
///
/// `forward` and `strike` are dollars, `expiry_years` years of 365 days. The relative error is a
/// few times `2^-53 * price / (vega * vol)`, the best that the rounding of the price allows.
///
/// # Errors
/// A typed status when no volatility reproduces the price.
pub fn implied_vol(
    kind: OptionKind,
    price: f64,
    forward: f64,
    strike: f64,
    expiry_years: f64,
) -> Result<f64, ImpliedError> {
    let positive = |x: f64| x > 0.0 && x < f64::INFINITY;
    let valid = positive(forward) && positive(strike) && positive(expiry_years);
    if !valid || !price.is_finite() {
        return Err(ImpliedError::BadInput);
    }
    let (bound, intrinsic) = match kind {
        OptionKind::Call => (forward, (forward - strike).max(0.0)),
        OptionKind::Put => (strike, (strike - forward).max(0.0)),
    };
    if price >= bound {
        return Err(ImpliedError::AboveMax);
    }
    if price < intrinsic {
        return Err(ImpliedError::BelowIntrinsic);
    }
    let time_value = price - intrinsic;
    if time_value == 0.0 {
        return Err(ImpliedError::NoTimeValue);
    }
    let vol = ImpliedBlackVolatility::builder()
        .option_price(time_value)
        .forward(forward)
        .strike(strike)
        .expiry(expiry_years)
        .is_call(strike >= forward)
        .build()
        .and_then(|option| option.calculate::<DefaultSpecialFn>())
        .ok_or(ImpliedError::AboveMax)?;
    if vol == 0.0 {
        Err(ImpliedError::NoTimeValue)
    } else if vol.is_finite() && vol > 0.0 {
        Ok(vol)
    } else {
        Err(ImpliedError::AboveMax)
    }
}

/// The Black-76 volatility of a premium quoted in coin, a fraction of one coin of notional.
///
/// # Errors
/// As [`implied_vol`].
pub fn implied_vol_coin(
    kind: OptionKind,
    coin_price: f64,
    forward: f64,
    strike: f64,
    expiry_years: f64,
) -> Result<f64, ImpliedError> {
    implied_vol(kind, coin_price * forward, forward, strike, expiry_years)
}

/// The volatilities of both sides of a quote and what lies between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuoteVol {
    /// Volatility of the bid.
    pub bid: f64,
    /// Volatility of the ask.
    pub ask: f64,
    /// Volatility of the middle price.
    pub mid: f64,
    /// Error bar of the volatility: half of (ask - bid), as a fraction (0.005 = half a vol point).
    pub half_width: f64,
}

/// The volatilities of a two-sided dollar quote; for coin quotes pass prices times the forward.
///
/// # Errors
/// As [`implied_vol`] for the first side that has none; [`ImpliedError::BadInput`] if the quote
/// is crossed.
pub fn quote_vol(
    kind: OptionKind,
    bid: f64,
    ask: f64,
    forward: f64,
    strike: f64,
    expiry_years: f64,
) -> Result<QuoteVol, ImpliedError> {
    if bid > ask {
        return Err(ImpliedError::BadInput);
    }
    let side = |price| implied_vol(kind, price, forward, strike, expiry_years);
    let (bid_vol, ask_vol) = (side(bid)?, side(ask)?);
    Ok(QuoteVol {
        bid: bid_vol,
        ask: ask_vol,
        mid: side(0.5 * (bid + ask))?,
        half_width: 0.5 * (ask_vol - bid_vol).max(0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::black::{BlackInput, price};

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
        #[test]
        fn price_and_volatility_invert_each_other(
            spread in -2.0_f64..2.0, t in 0.003_f64..2.0, vol in 0.1_f64..3.0, call in proptest::bool::ANY
        ) {
            // Out of the money within four deviations: there the price carries the volatility.
            let forward = 60_000.0;
            let strike = forward * (spread.abs() * 2.0 * vol * t.sqrt() * if call { 1.0 } else { -1.0 }).exp();
            let kind = if call { OptionKind::Call } else { OptionKind::Put };
            let premium = price(&BlackInput::forward(kind, forward, strike, t, vol)).unwrap();
            let back = implied_vol(kind, premium, forward, strike, t).unwrap();
            proptest::prop_assert!((back / vol - 1.0).abs() < 1e-10, "{back} {vol}");
            let coin = implied_vol_coin(kind, premium / forward, forward, strike, t).unwrap();
            proptest::prop_assert!((coin / vol - 1.0).abs() < 1e-10, "{coin} {vol}");
        }
    }

    #[test]
    fn an_error_bar_is_half_the_spread_in_volatility() {
        let side =
            |vol| price(&BlackInput::forward(OptionKind::Put, 100.0, 90.0, 0.5, vol)).unwrap();
        let q = quote_vol(OptionKind::Put, side(0.4), side(0.5), 100.0, 90.0, 0.5).unwrap();
        assert!((q.half_width - 0.05).abs() < 1e-12);
        assert!(q.bid < q.mid && q.mid < q.ask);
        let crossed = quote_vol(OptionKind::Put, side(0.5), side(0.4), 100.0, 90.0, 0.5);
        assert_eq!(crossed, Err(ImpliedError::BadInput));
        let empty = quote_vol(OptionKind::Put, 0.0, side(0.4), 100.0, 90.0, 0.5);
        assert_eq!(empty, Err(ImpliedError::NoTimeValue));
    }
}
