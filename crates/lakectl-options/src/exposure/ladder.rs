//! What a hedged book has to trade after a move of the spot price and of volatility, some hours later.

use super::{Book, DAYS_PER_YEAR, ExposureError};

/// Volatility is not shifted below this, fraction per square root of a year (nor raised to it).
pub const VOL_FLOOR: f64 = 0.01;

/// The questions of a hedge ladder; every combination is a rung.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ladder<'a> {
    /// Spot prices as ratios to the present one.
    pub ratios: &'a [f64],
    /// Shifts of every volatility (0.05 for five points).
    pub vol_shifts: &'a [f64],
    /// Hours that have passed.
    pub hours: &'a [f64],
}

/// The book after one move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung<const N: usize> {
    /// The spot price as a ratio to the present one.
    pub ratio: f64,
    /// The shift of every volatility.
    pub vol_shift: f64,
    /// Hours that have passed.
    pub hours: f64,
    /// Delta of the options, coin, by scenario.
    pub delta_coin: [f64; N],
    /// What a book that was hedged before the move has to buy (sell, if negative) to be hedged after it, coin.
    pub hedge_coin: [f64; N],
    /// The same at the new spot price, dollars.
    pub hedge_usd: [f64; N],
}

impl<const N: usize> Book<N> {
    /// Climbs a ladder: hours outermost, the spot price innermost. Strikes keep their volatility but for the shift; options
    /// that expire meanwhile are gone and their hedge with them.
    ///
    /// # Errors
    /// [`ExposureError::BadArgument`], [`ExposureError::Overflow`].
    pub fn ladder(&self, ladder: Ladder<'_>) -> Result<Vec<Rung<N>>, ExposureError> {
        let sound = ladder.ratios.iter().all(|r| r.is_normal() && *r > 0.0)
            && ladder.vol_shifts.iter().all(|v| v.is_finite())
            && ladder.hours.iter().all(|h| *h >= 0.0 && h.is_finite());
        if !sound {
            return Err(ExposureError::BadArgument);
        }
        let now = self.delta_coin(1.0, 0.0, 0.0)?;
        let mut rungs = Vec::new();
        for hours in ladder.hours {
            let years = hours / (24.0 * DAYS_PER_YEAR);
            for vol_shift in ladder.vol_shifts {
                for ratio in ladder.ratios {
                    let delta_coin = self.delta_coin(*ratio, *vol_shift, years)?;
                    let hedge_coin: [f64; N] = std::array::from_fn(|n| now[n] - delta_coin[n]);
                    rungs.push(Rung {
                        ratio: *ratio,
                        vol_shift: *vol_shift,
                        hours: *hours,
                        delta_coin,
                        hedge_coin,
                        hedge_usd: super::finite(hedge_coin.map(|c| c * ratio * self.spot))?,
                    });
                }
            }
        }
        Ok(rungs)
    }
}
