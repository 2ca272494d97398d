//! The law of the prices, and one history drawn from it.
//!
//! Within a UTC day the volatility is constant, so the return from 00:00 to 00:00 is exactly a scaled Student t:
//! `drift + sigma_D * sqrt(g_D) * Z` with `1 / g_D` chi-square. `ln sigma_D` is the sum of the coin's level, an offset of the market's
//! regime (a sticky Markov chain) and a first-order autoregression that answers to the last return (more after losses and
//! after large moves).

use crate::config::Asset;
use crate::rng::{Stream, StreamKey};

/// Number of regimes: calm, normal, stressed.
pub(crate) const REGIMES: usize = 3;
/// Degrees of freedom of a day's return.
pub(crate) const FREEDOM: f64 = 6.0;
/// Days simulated before the first published one, so that nothing starts in a special state.
pub(crate) const WARM_UP_DAYS: i32 = 420;

/// Log-volatility offset of each regime.
pub(crate) const REGIME_OFFSET: [f64; REGIMES] = [-0.38, 0.02, 0.58];
/// Daily transition probabilities of the regimes, rows from, columns to.
pub(crate) const TRANSITION: [[f64; REGIMES]; REGIMES] = [
    [0.970, 0.028, 0.002],
    [0.020, 0.960, 0.020],
    [0.005, 0.070, 0.925],
];
/// Daily memory of the log-volatility factor: exp(-1 / 16).
pub(crate) const PERSISTENCE: f64 = 0.939_413_062_813_475_8;
/// Stationary standard deviation of the log-volatility factor.
pub(crate) const FACTOR_SD: f64 = 0.39;
/// Answer of the factor's shock to the last standardised return: sign, size, and the part of its own.
const SHOCK_SIGN: f64 = -0.20;
const SHOCK_SIZE: f64 = 0.35;
const SHOCK_OWN: f64 = 0.951;
/// Mean absolute value of a standardised t with six degrees of freedom.
const MEAN_ABS: f64 = 0.734;
/// Correlation of the coins' returns and of their own volatility shocks.
const RETURN_CORRELATION: f64 = 0.82;
const SHOCK_CORRELATION: f64 = 0.75;
/// Mean log return a day.
pub(crate) const DRIFT: f64 = 0.000_2;

/// Share of a day's variance in each hour (UTC), before normalisation: quiet nights, busy American mornings.
const HOUR_WEIGHT: [f64; 24] = [
    1.0, 0.9, 0.9, 0.8, 0.75, 0.75, 0.8, 0.9, 1.0, 0.95, 0.95, 1.0, 1.1, 1.3, 1.6, 1.6, 1.45, 1.25,
    1.15, 1.1, 1.1, 1.0, 0.95, 0.9,
];

/// Usual daily volatility of a coin.
pub(crate) const fn usual_daily_vol(asset: Asset) -> f64 {
    match asset {
        Asset::Btc => 0.020,
        Asset::Eth => 0.029,
    }
}

/// Price on the first published day at 00:00 UTC, in USD.
const fn first_price(asset: Asset) -> f64 {
    match asset {
        Asset::Btc => 94_000.0,
        Asset::Eth => 3_200.0,
    }
}

/// Share of a day's variance that falls into its first `hours` hours.
pub(crate) fn day_share(hours: usize) -> f64 {
    let total: f64 = HOUR_WEIGHT.iter().sum();
    HOUR_WEIGHT[..hours.min(24)].iter().sum::<f64>() / total
}

/// What decides a coin's volatility on one day.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub regime: usize,
    /// Mean-reverting part of the log volatility.
    pub factor: f64,
}

impl State {
    /// Standard deviation of the day's return.
    pub(crate) fn daily_vol(self, asset: Asset) -> f64 {
        usual_daily_vol(asset) * libm::exp(REGIME_OFFSET[self.regime] + self.factor)
    }

    /// The state of the next day, given today's standardised return and two fresh numbers.
    pub(crate) fn next(self, standardised: f64, uniform: f64, normal: f64) -> Self {
        let r = standardised.clamp(-4.0, 4.0);
        let shock = SHOCK_SIGN * r + SHOCK_SIZE * (libm::fabs(r) - MEAN_ABS) + SHOCK_OWN * normal;
        Self {
            regime: next_regime(self.regime, uniform),
            factor: PERSISTENCE * self.factor + shock_sd() * shock,
        }
    }
}

/// Standard deviation of the factor's daily shock.
fn shock_sd() -> f64 {
    FACTOR_SD * libm::sqrt(1.0 - PERSISTENCE * PERSISTENCE)
}

fn next_regime(regime: usize, uniform: f64) -> usize {
    let mut sum = 0.0;
    for (next, probability) in TRANSITION[regime].iter().enumerate() {
        sum += probability;
        if uniform < sum {
            return next;
        }
    }
    REGIMES - 1
}

/// Scale of a day whose mixing number is `chi_square`: the return is normal with this times the daily volatility.
pub(crate) fn fat_tail_scale(chi_square: f64) -> f64 {
    libm::sqrt((FREEDOM - 2.0) / chi_square)
}

/// One history of both coins, hourly, from the warm-up to the end.
pub(crate) struct Path {
    /// First day, warm-up included.
    pub first_day: i32,
    /// Per coin and day, one day more than there are prices for: tomorrow's state is fixed by today's close.
    pub states: [Vec<State>; 2],
    /// Per coin, log prices at full hours since `first_day`, the last hour included.
    pub log_prices: [Vec<f64>; 2],
    /// Per coin and day, the day's return in units of its volatility.
    pub standardised: [Vec<f64>; 2],
}

impl Path {
    /// Draws the history to the end of `end`, with the prices of `start` fixed.
    pub(crate) fn draw(seed: u64, start: i32, end: i32) -> Self {
        let first_day = start - WARM_UP_DAYS;
        let begin = State {
            regime: 1,
            factor: 0.0,
        };
        let mut path = Self {
            first_day,
            states: [vec![begin], vec![begin]],
            log_prices: [vec![0.0], vec![0.0]],
            standardised: [Vec::new(), Vec::new()],
        };
        for day in first_day..=end {
            path.draw_day(seed, day);
        }
        let at_start = WARM_UP_DAYS as usize * 24;
        for asset in Asset::ALL {
            let prices = &mut path.log_prices[asset.index()];
            let shift = libm::log(first_price(asset)) - prices[at_start];
            prices.iter_mut().for_each(|price| *price += shift);
        }
        path
    }

    fn draw_day(&mut self, seed: u64, day: i32) {
        let mut stream = Stream::new(StreamKey {
            seed,
            purpose: "path",
            sub: 0,
            day,
        });
        let tail = fat_tail_scale(stream.chi_square_6());
        let today = (day - self.first_day) as usize;
        let vols = Asset::ALL.map(|asset| self.states[asset.index()][today].daily_vol(asset));
        let mut returns = [0.0; 2];
        for (hour, weight) in HOUR_WEIGHT.iter().enumerate() {
            let scale = tail * libm::sqrt(weight / HOUR_WEIGHT.iter().sum::<f64>());
            let common = stream.normal();
            let eth = correlate(common, stream.normal(), RETURN_CORRELATION);
            let last = today * 24 + hour;
            for (i, shock) in [common, eth].into_iter().enumerate() {
                let step = DRIFT / 24.0 + vols[i] * scale * shock;
                let price = self.log_prices[i][last] + step;
                self.log_prices[i].push(price);
                returns[i] += step;
            }
        }
        let uniform = stream.uniform();
        let common = stream.normal();
        let eth = correlate(common, stream.normal(), SHOCK_CORRELATION);
        for (i, shock) in [common, eth].into_iter().enumerate() {
            let standardised = (returns[i] - DRIFT) / vols[i];
            let next = self.states[i][today].next(standardised, uniform, shock);
            self.states[i].push(next);
            self.standardised[i].push(standardised);
        }
    }

    /// The state on `day`, which must lie in the history or be the day after its end.
    pub(crate) fn state(&self, asset: Asset, day: i32) -> State {
        let states = &self.states[asset.index()];
        let index = (day - self.first_day).clamp(0, states.len() as i32 - 1);
        states[index as usize]
    }

    /// Return of `day` in units of its daily volatility.
    pub(crate) fn standardised(&self, asset: Asset, day: i32) -> f64 {
        let values = &self.standardised[asset.index()];
        let index = (day - self.first_day).clamp(0, values.len() as i32 - 1);
        values[index as usize]
    }

    /// Log price at `seconds` since 1970, straight between full hours.
    pub(crate) fn log_price(&self, asset: Asset, seconds: i64) -> f64 {
        let prices = &self.log_prices[asset.index()];
        let since = seconds - i64::from(self.first_day) * 86_400;
        let last = prices.len() - 1;
        let hour = (since.div_euclid(3_600).max(0) as usize).min(last);
        let share = since.rem_euclid(3_600) as f64 / 3_600.0;
        let next = (hour + 1).min(last);
        prices[hour] + share * (prices[next] - prices[hour])
    }

    /// Price at `seconds` since 1970, in USD.
    pub(crate) fn price(&self, asset: Asset, seconds: i64) -> f64 {
        libm::exp(self.log_price(asset, seconds))
    }

    /// Log return over the `days` days that end at 00:00 of `day`.
    pub(crate) fn trailing_return(&self, asset: Asset, day: i32, days: i32) -> f64 {
        let at = |d: i32| self.log_price(asset, i64::from(d) * 86_400);
        at(day) - at(day - days)
    }
}

/// A normal number with the given correlation to `a`.
pub(crate) fn correlate(a: f64, b: f64, correlation: f64) -> f64 {
    correlation * a + libm::sqrt(1.0 - correlation * correlation) * b
}
