//! Implied volatility, forwards and liquidity at any time: the model's expected variance with a premium, and slow
//! factors that bend the surface.

use crate::config::Asset;
use crate::path::{
    FACTOR_SD, PERSISTENCE, Path, REGIME_OFFSET, REGIMES, State, TRANSITION, correlate,
    usual_daily_vol,
};
use crate::rng::{Stream, StreamKey};
use crate::smile::{Smile, SmileShape};

pub(crate) const DAYS_PER_YEAR: f64 = 365.0;
/// Days over which the expected variance is tabulated; the longest expiry is nearer.
const CURVE_DAYS: usize = 400;
/// Usual ratio of implied to expected volatility.
const PREMIUM: f64 = 1.07;
/// Correlation of the coins' surface factors.
const FACTOR_CORRELATION: f64 = 0.5;

/// The slow factors, each with variance one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Factor {
    Premium,
    Tilt,
    Hump,
    SkewShort,
    SkewLong,
    Wings,
    WingTilt,
    Basis,
    BasisSlope,
    Spread,
    Funding,
}

/// Daily memory of each factor, in the order of [`Factor`].
const MEMORY: [f64; 11] = [
    0.97, 0.93, 0.90, 0.85, 0.95, 0.92, 0.93, 0.97, 0.94, 0.80, 0.88,
];

type Factors = [f64; MEMORY.len()];

/// Both coins' factors and variance curves for every published day.
pub(crate) struct Surfaces {
    first_day: i32,
    factors: [Vec<Factors>; 2],
    curves_from: i32,
    curves: [Vec<Vec<f64>>; 2],
}

impl Surfaces {
    /// Draws the factors and tabulates the expected variance to the day after `end`.
    pub(crate) fn draw(seed: u64, path: &Path, start: i32, end: i32) -> Self {
        let mut factors = [Vec::new(), Vec::new()];
        let mut now = [[0.0; MEMORY.len()]; 2];
        for day in path.first_day..=end + 1 {
            let mut stream = Stream::new(StreamKey {
                seed,
                purpose: "surface",
                sub: 0,
                day,
            });
            for (i, memory) in MEMORY.iter().enumerate() {
                let own = libm::sqrt(1.0 - memory * memory);
                let common = stream.normal();
                let eth = correlate(common, stream.normal(), FACTOR_CORRELATION);
                now[0][i] = memory * now[0][i] + own * common;
                now[1][i] = memory * now[1][i] + own * eth;
            }
            factors[0].push(now[0]);
            factors[1].push(now[1]);
        }
        let law = VarianceLaw::new();
        let curves = Asset::ALL.map(|asset| {
            (start..=end + 1)
                .map(|day| law.curve(asset, path.state(asset, day)))
                .collect()
        });
        Self {
            first_day: path.first_day,
            factors,
            curves_from: start,
            curves,
        }
    }

    /// The surface at `seconds` since 1970.
    pub(crate) fn at<'a>(&'a self, path: &'a Path, asset: Asset, seconds: i64) -> Surface<'a> {
        let day = seconds.div_euclid(86_400) as i32;
        let share = seconds.rem_euclid(86_400) as f64 / 86_400.0;
        let row = |rows: &'a [Factors], d: i32| {
            rows[(d - self.first_day).clamp(0, rows.len() as i32 - 1) as usize]
        };
        let rows = &self.factors[asset.index()];
        let (today, tomorrow) = (row(rows, day), row(rows, day + 1));
        let mut factors = [0.0; MEMORY.len()];
        for (i, factor) in factors.iter_mut().enumerate() {
            *factor = (today[i] + share * (tomorrow[i] - today[i])).clamp(-2.6, 2.6);
        }
        let curves = &self.curves[asset.index()];
        let curve = |d: i32| {
            let index = (d - self.curves_from).clamp(0, curves.len() as i32 - 1);
            curves[index as usize].as_slice()
        };
        let log_vol = |d: i32| libm::log(path.state(asset, d).daily_vol(asset));
        let log_vol = log_vol(day) + share * (log_vol(day + 1) - log_vol(day));
        Surface {
            share,
            factors,
            today: curve(day),
            tomorrow: curve(day + 1),
            stress: log_vol - libm::log(usual_daily_vol(asset)),
            spot: path.price(asset, seconds),
        }
    }

    /// One factor at the start of `day`, for series that lean on it.
    pub(crate) fn factor(&self, asset: Asset, day: i32, factor: Factor) -> f64 {
        let rows = &self.factors[asset.index()];
        let index = (day - self.first_day).clamp(0, rows.len() as i32 - 1);
        rows[index as usize][factor as usize]
    }
}

/// Expected variance of the days ahead, as a product of what the regime and the factor give.
struct VarianceLaw {
    /// Expected exp(2 offset) after n days, from each regime.
    regime: Vec<[f64; REGIMES]>,
    /// Weight of today's factor and the variance term after n days.
    factor: Vec<(f64, f64)>,
}

impl VarianceLaw {
    fn new() -> Self {
        let mut regime = vec![REGIME_OFFSET.map(|offset| libm::exp(2.0 * offset))];
        let mut factor = vec![(2.0, 0.0)];
        let mut memory = 1.0;
        for n in 1..CURVE_DAYS {
            let last = regime[n - 1];
            let step = TRANSITION.map(|row| {
                row.iter()
                    .zip(last)
                    .map(|(p, value)| p * value)
                    .sum::<f64>()
            });
            regime.push(step);
            memory *= PERSISTENCE;
            let spread = 2.0 * FACTOR_SD * FACTOR_SD * (1.0 - memory * memory);
            factor.push((2.0 * memory, spread));
        }
        Self { regime, factor }
    }

    /// Sums of expected daily variance over 0, 1, 2, ... days from the start of a day in `state`.
    fn curve(&self, asset: Asset, state: State) -> Vec<f64> {
        let unit = usual_daily_vol(asset) * usual_daily_vol(asset);
        let mut sum = 0.0;
        let mut sums = Vec::with_capacity(CURVE_DAYS + 1);
        sums.push(0.0);
        for (regime, (weight, spread)) in self.regime.iter().zip(&self.factor) {
            sum += unit * regime[state.regime] * libm::exp(weight * state.factor + spread);
            sums.push(sum);
        }
        sums
    }
}

/// Value of a curve between its days, prolonged straight beyond its end.
fn read(curve: &[f64], days: f64) -> f64 {
    let last = curve.len() - 2;
    let low = (days.max(0.0) as usize).min(last);
    curve[low] + (days - low as f64) * (curve[low + 1] - curve[low])
}

/// One coin's option market at one moment.
pub(crate) struct Surface<'a> {
    /// Share of the UTC day that is over.
    share: f64,
    factors: Factors,
    today: &'a [f64],
    tomorrow: &'a [f64],
    /// Log of the daily volatility over its usual level.
    pub stress: f64,
    /// Index price, USD.
    pub spot: f64,
}

impl Surface<'_> {
    pub(crate) fn factor(&self, factor: Factor) -> f64 {
        self.factors[factor as usize]
    }

    /// Expected variance of the next `days` days. The market learns tomorrow's state in the course of the day.
    fn expected_variance(&self, days: f64) -> f64 {
        let rest = 1.0 - self.share;
        let known = read(self.today, self.share + days) - read(self.today, self.share);
        let ahead = self.today[1] * days.min(rest) + read(self.tomorrow, (days - rest).max(0.0));
        rest * known + self.share * ahead
    }

    /// Total implied variance at the forward for an expiry `days` ahead.
    pub(crate) fn forward_variance(&self, days: f64) -> f64 {
        let near = libm::exp(-days / 14.0);
        let bump = near - libm::exp(-days / 60.0);
        let log_ratio = 0.028 * self.factor(Factor::Premium)
            + 0.030 * self.factor(Factor::Tilt) * (near - 0.35)
            + 0.035 * self.factor(Factor::Hump) * bump;
        let ratio = PREMIUM * libm::exp(log_ratio);
        self.expected_variance(days) * ratio * ratio
    }

    /// The smile of an expiry `days` ahead.
    pub(crate) fn smile(&self, days: f64) -> Smile {
        self.smile_of(self.forward_variance(days), days)
    }

    /// The smile of an expiry `days` ahead with a given total variance at the forward.
    pub(crate) fn smile_of(&self, theta: f64, days: f64) -> Smile {
        let near = libm::exp(-days / 30.0);
        let short = -0.040 + 0.022 * self.factor(Factor::SkewShort) - 0.030 * self.stress;
        let long = -0.015 + 0.018 * self.factor(Factor::SkewLong);
        let wings = 0.32 * libm::exp(0.16 * self.factor(Factor::Wings));
        Smile::new(
            theta,
            SmileShape {
                skew: long + near * (short - long),
                wings: wings * (1.0 + 0.2 * libm::exp(-days / 12.0)),
                tilt: 0.04 + 0.14 * self.factor(Factor::WingTilt),
                width: 1.15,
            },
        )
    }

    /// Log of forward over spot for an expiry `days` ahead.
    pub(crate) fn carry(&self, days: f64) -> f64 {
        let slope = 0.015 * self.factor(Factor::BasisSlope) * libm::exp(-days / 45.0);
        let rate = 0.055 + 0.022 * self.factor(Factor::Basis) + slope;
        rate * days / DAYS_PER_YEAR
    }

    /// The 30-day volatility index in percent: the square root of the swap variance.
    pub(crate) fn volatility_index(&self) -> f64 {
        let swap = self.smile(30.0).swap_variance();
        100.0 * libm::sqrt(swap * DAYS_PER_YEAR / 30.0)
    }

    /// Premium of the perpetual over the index, as a fraction.
    pub(crate) fn perpetual_premium(&self, trend: f64) -> f64 {
        0.000_1 + 0.000_25 * self.factor(Factor::Funding) + 0.002 * trend.clamp(-0.2, 0.2)
    }
}
