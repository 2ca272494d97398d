//! Synthetic option volatility from realised volatility, for days and venues without quotes.
//!
//! `vol = realised * multiplier * skew(|delta|)`, with the skew given at four anchor deltas, linear
//! between them and flat outside. The model is meant to be held against recorded chains: a chain
//! gives the anchors and the multiplier, [`score`] says how far another chain lies from them.

use crate::OptionKind;
use crate::black::{BlackInput, greeks};
use crate::solve::bracketed_root;

/// Anchor deltas, by size.
pub const ANCHOR_DELTAS: [f64; 4] = [0.15, 0.25, 0.35, 0.50];
/// A quote belongs to an anchor if its delta is at most this far away.
const ANCHOR_REACH: f64 = 0.05;
/// Fewer quotes than this do not make an anchor.
const ANCHOR_QUOTES_MIN: usize = 3;
/// Bounds of an anchor's ratio to the volatility at the money.
const RATIO_RANGE: (f64, f64) = (0.4, 1.4);
/// Bounds of a realised volatility.
const REALISED_RANGE: (f64, f64) = (0.10, 2.0);
const DAYS_PER_YEAR: f64 = 365.0;
/// A strike's volatility is found to this accuracy.
const VOL_TOLERANCE: f64 = 1e-13;

/// Realised volatility of daily closes: the sample standard deviation of their log returns, annualised
/// by the root of 365 and kept in [0.10, 2.0].
///
/// `closes` are those of completed days, in order, without gaps. `None` with fewer than three closes
/// or a close that is not positive and finite; a default would be taken for an observation.
#[must_use]
pub fn realised_vol(closes: &[f64]) -> Option<f64> {
    let valid = |x: &f64| *x > 0.0 && x.is_finite();
    if closes.len() < 3 || !closes.iter().all(valid) {
        return None;
    }
    let returns = closes.windows(2).map(|pair| libm::log(pair[1] / pair[0]));
    let n = (closes.len() - 1) as f64;
    let mean = returns.clone().sum::<f64>() / n;
    let squares = returns.map(|r| (r - mean) * (r - mean)).sum::<f64>();
    let annual = (squares / (n - 1.0) * DAYS_PER_YEAR).sqrt();
    annual
        .is_finite()
        .then(|| annual.clamp(REALISED_RANGE.0, REALISED_RANGE.1))
}

/// The volatility at the forward from quotes `(log moneyness, volatility)` in any order: linear
/// between the nearest quotes on each side.
///
/// `None` unless there are quotes on both sides (or one at the forward). Quotes that are not finite
/// are passed over.
#[must_use]
pub fn atm_vol(quotes: &[(f64, f64)]) -> Option<f64> {
    let known = quotes
        .iter()
        .filter(|(k, vol)| k.is_finite() && *vol > 0.0 && vol.is_finite());
    let mut below: Option<(f64, f64)> = None;
    let mut above: Option<(f64, f64)> = None;
    for &(k, vol) in known {
        if k <= 0.0 && below.is_none_or(|(nearest, _)| k > nearest) {
            below = Some((k, vol));
        }
        if k >= 0.0 && above.is_none_or(|(nearest, _)| k < nearest) {
            above = Some((k, vol));
        }
    }
    let ((k0, v0), (k1, v1)) = (below?, above?);
    if k1 == k0 {
        return Some(0.5 * v0 + 0.5 * v1);
    }
    // A weight of each, neither of which can overflow.
    let share = -k0 / (k1 - k0);
    Some(v0 * (1.0 - share) + v1 * share).filter(|vol| vol.is_finite())
}

/// Ratios to the volatility at the money at [`ANCHOR_DELTAS`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skew {
    /// One ratio an anchor, within 0.4 and 1.4 when fitted.
    pub ratios: [f64; 4],
    /// Quotes behind each ratio; where there are fewer than three the ratio is one.
    pub quotes: [usize; 4],
}

impl Skew {
    /// No skew at all.
    pub const FLAT: Self = Self {
        ratios: [1.0; 4],
        quotes: [0; 4],
    };

    /// Fits the anchors: the mean ratio of the quotes whose delta is within 0.05 of each.
    ///
    /// `quotes` are (size of the delta, volatility over that at the money of the same expiry).
    #[must_use]
    pub fn fit(quotes: &[(f64, f64)]) -> Self {
        let mut skew = Self::FLAT;
        for (i, anchor) in ANCHOR_DELTAS.iter().enumerate() {
            let near = quotes.iter().filter(|(delta, ratio)| {
                (delta - anchor).abs() <= ANCHOR_REACH && ratio.is_finite()
            });
            let (count, sum) = near.fold((0_usize, 0.0), |(n, sum), q| (n + 1, sum + q.1));
            if count >= ANCHOR_QUOTES_MIN {
                skew.ratios[i] = (sum / count as f64).clamp(RATIO_RANGE.0, RATIO_RANGE.1);
            }
            skew.quotes[i] = count;
        }
        skew
    }

    /// The ratio at a delta of size `delta`: linear between anchors, flat outside of them.
    #[must_use]
    pub fn at(&self, delta: f64) -> f64 {
        let last = ANCHOR_DELTAS.len() - 1;
        let next = ANCHOR_DELTAS.partition_point(|anchor| *anchor < delta);
        if next == 0 {
            return self.ratios[0];
        }
        if next > last {
            return self.ratios[last];
        }
        let (d0, d1) = (ANCHOR_DELTAS[next - 1], ANCHOR_DELTAS[next]);
        let (r0, r1) = (self.ratios[next - 1], self.ratios[next]);
        r0 + (r1 - r0) * ((delta - d0) / (d1 - d0))
    }
}

/// A synthetic volatility surface.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Synthetic {
    /// Realised volatility, a fraction.
    pub realised: f64,
    /// Implied over realised volatility at the money.
    pub multiplier: f64,
    /// Skew of calls.
    pub calls: Skew,
    /// Skew of puts.
    pub puts: Skew,
}

impl Synthetic {
    /// The volatility at a delta of size `delta`.
    #[must_use]
    pub fn vol_at_delta(&self, kind: OptionKind, delta: f64) -> f64 {
        let skew = match kind {
            OptionKind::Call => &self.calls,
            OptionKind::Put => &self.puts,
        };
        self.realised * self.multiplier * skew.at(delta)
    }

    /// The volatility of a strike: the one whose own delta leads back to it.
    ///
    /// `None` if realised volatility, multiplier, forward, strike or time are not positive and finite.
    #[must_use]
    pub fn vol(
        &self,
        kind: OptionKind,
        forward: f64,
        strike: f64,
        expiry_years: f64,
    ) -> Option<f64> {
        let base = self.realised * self.multiplier;
        if !(base > 0.0 && base.is_finite()) {
            return None;
        }
        let at = |vol: f64| {
            let option = BlackInput::forward(kind, forward, strike, expiry_years, vol);
            Some(self.vol_at_delta(kind, greeks(&option).ok()?.delta.abs()))
        };
        let skew = match kind {
            OptionKind::Call => &self.calls,
            OptionKind::Put => &self.puts,
        };
        let bound = |pick: fn(f64, f64) -> f64| skew.ratios.iter().copied().reduce(pick);
        let (low, high) = (base * bound(f64::min)?, base * bound(f64::max)?);
        if at(low)? <= low {
            return Some(low);
        }
        if at(high)? >= high {
            return Some(high);
        }
        bracketed_root(
            |vol| at(vol).unwrap_or(base) - vol,
            low,
            high,
            VOL_TOLERANCE,
        )
    }
}

/// One option under the model and in the market.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Volatility and price of the model.
    pub model: (f64, f64),
    /// Volatility and price of the market's mark, in the unit of the model's price.
    pub market: (f64, f64),
    /// Vega at the market's volatility.
    pub vega: f64,
    /// Volatilities of bid and ask, where there are two.
    pub sides: Option<(f64, f64)>,
}

/// How far a model lies from a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Options compared.
    pub quotes: usize,
    /// Vega-weighted mean size of the volatility error, a fraction (0.01 is a vol point).
    pub mae_vol: f64,
    /// Vega-weighted mean volatility error, model less market.
    pub bias_vol: f64,
    /// Mean size of the price error over the market price.
    pub mae_share: f64,
    /// Mean price error over the market price.
    pub bias_share: f64,
    /// Share of two-sided quotes whose bid and ask enclose the model; `None` without any.
    pub inside_share: Option<f64>,
    /// Sum of the vegas.
    pub vega: f64,
}

/// Compares a model with a chain; `None` without a comparison whose market price and vega are positive
/// and all numbers finite (others are passed over), and where a sum overflows.
#[must_use]
pub fn score(comparisons: &[Comparison]) -> Option<Score> {
    let positive = |x: f64| x > 0.0 && x.is_finite();
    let usable = comparisons.iter().filter(|c| {
        positive(c.market.1) && positive(c.vega) && c.model.0.is_finite() && c.model.1.is_finite()
    });
    let (mut quotes, mut vega, mut sides, mut inside) = (0_usize, 0.0, 0_usize, 0_usize);
    let (mut size_vol, mut sum_vol, mut size_share, mut sum_share) = (0.0, 0.0, 0.0, 0.0);
    for c in usable {
        quotes += 1;
        vega += c.vega;
        let gap = c.model.0 - c.market.0;
        size_vol += c.vega * gap.abs();
        sum_vol += c.vega * gap;
        let share = c.model.1 / c.market.1 - 1.0;
        size_share += share.abs();
        sum_share += share;
        if let Some((bid, ask)) = c.sides {
            sides += 1;
            inside += usize::from(bid <= c.model.0 && c.model.0 <= ask);
        }
    }
    let n = quotes as f64;
    let sums = vega + size_vol + sum_vol + size_share + sum_share;
    (quotes > 0 && sums.is_finite()).then(|| Score {
        quotes,
        mae_vol: size_vol / vega,
        bias_vol: sum_vol / vega,
        mae_share: size_share / n,
        bias_share: sum_share / n,
        inside_share: (sides > 0).then(|| inside as f64 / sides as f64),
        vega,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Synthetic = Synthetic {
        realised: 0.4,
        multiplier: 1.1,
        calls: Skew {
            ratios: [1.12, 1.05, 1.02, 1.0],
            quotes: [9; 4],
        },
        puts: Skew {
            ratios: [1.30, 1.10, 1.04, 1.0],
            quotes: [9; 4],
        },
    };

    #[test]
    fn anchors_are_means_of_near_quotes() {
        let quotes = [
            (0.15, 1.2),
            (0.11, 1.3),
            (0.19, 1.1),
            (0.50, 1.0),
            (0.52, 1.1),
            (0.9, 7.0),
        ];
        let skew = Skew::fit(&quotes);
        assert!((skew.ratios[0] - 1.2).abs() < 1e-15);
        assert_eq!(skew.quotes, [3, 0, 0, 2]);
        assert_eq!(skew.ratios[1..], [1.0; 3]);
        assert_eq!(Skew::fit(&[(0.25, 9.0); 3]).ratios[1], 1.4);
        assert_eq!(Skew::fit(&[(0.25, 0.1); 3]).ratios[1], 0.4);
        assert_eq!(Skew::fit(&[(f64::NAN, 1.2); 9]), Skew::FLAT);
    }

    #[test]
    fn a_strike_has_the_volatility_of_its_own_delta() {
        for kind in [OptionKind::Call, OptionKind::Put] {
            for step in -20..=20 {
                let strike = 60_000.0 * (1.0 + 0.02 * f64::from(step));
                let vol = MODEL.vol(kind, 60_000.0, strike, 10.0 / 365.0).unwrap();
                let option = BlackInput::forward(kind, 60_000.0, strike, 10.0 / 365.0, vol);
                let back = MODEL.vol_at_delta(kind, greeks(&option).unwrap().delta.abs());
                assert!(
                    (vol - back).abs() < 1e-10,
                    "{kind:?} {strike}: {vol} {back}"
                );
            }
        }
        let mut broken = MODEL;
        broken.realised = f64::NAN;
        assert_eq!(broken.vol(OptionKind::Call, 1.0, 1.0, 1.0), None);
        assert_eq!(MODEL.vol(OptionKind::Call, 0.0, 1.0, 1.0), None);
    }

    #[test]
    fn the_volatility_at_the_forward_lies_between_its_neighbours() {
        let quotes = [
            (0.3, 0.7),
            (-0.1, 0.5),
            (0.1, 0.6),
            (-0.4, 0.9),
            (f64::NAN, 1.0),
        ];
        assert!((atm_vol(&quotes).unwrap() - 0.55).abs() < 1e-15);
        assert_eq!(atm_vol(&[(0.0, 0.5), (0.2, 0.9)]), Some(0.5));
        assert_eq!(atm_vol(&[(0.1, 0.5), (0.2, 0.9)]), None);
    }

    #[test]
    fn a_score_is_weighted_by_vega() {
        let one = |gap: f64, vega: f64, sides| Comparison {
            model: (0.5 + gap, 10.0 * (1.0 + gap)),
            market: (0.5, 10.0),
            vega,
            sides,
        };
        let found = score(&[
            one(0.02, 3.0, Some((0.49, 0.53))),
            one(-0.06, 1.0, Some((0.49, 0.53))),
            one(0.5, 0.0, None),
        ])
        .unwrap();
        assert_eq!((found.quotes, found.vega), (2, 4.0));
        assert!((found.mae_vol - 0.03).abs() < 1e-15 && found.bias_vol.abs() < 1e-15);
        assert!((found.mae_share - 0.04).abs() < 1e-12 && (found.bias_share + 0.02).abs() < 1e-12);
        assert_eq!(found.inside_share, Some(0.5));
        assert_eq!(score(&[]), None);
    }
}
