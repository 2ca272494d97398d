//! The market: one drawn history, its truth and its documents.

use std::sync::OnceLock;

use lakectl_core::{Day, UtcTime};

use crate::calendar::SECONDS_PER_DAY;
use crate::config::{Asset, MarketConfig, MarketError};
use crate::onchain::{ChainDay, simulate};
use crate::path::{FREEDOM, Path};
use crate::surface::{Surface, Surfaces};
use crate::truth::{TruthKey, quantiles};

/// The longest horizon of a truth, in hours.
const HORIZON_HOURS_MAX: u32 = 1_440;

/// What decided a coin's volatility on one day, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayTruth {
    /// 0 calm, 1 normal, 2 stressed.
    pub regime: u8,
    /// Standard deviation of the log return from 00:00 to 24:00 UTC, known at 00:00.
    pub daily_vol: f64,
    /// Degrees of freedom of that return's Student t law.
    pub degrees_of_freedom: f64,
    /// The log return that was drawn; `None` on the day after the end.
    pub log_return: Option<f64>,
}

/// A drawn history of BTC and ETH.
pub struct Market {
    pub(crate) config: MarketConfig,
    pub(crate) path: Path,
    pub(crate) surfaces: Surfaces,
    chain: [OnceLock<Vec<ChainDay>>; 2],
}

impl Market {
    /// Draws the history of `config`.
    ///
    /// # Errors
    /// [`MarketError::Range`], [`MarketError::Length`] or [`MarketError::NoAssets`] if the configuration makes no market.
    pub fn new(config: MarketConfig) -> Result<Self, MarketError> {
        config.check()?;
        let (start, end) = (config.start.days(), config.end.days());
        let path = Path::draw(config.seed, start, end);
        let surfaces = Surfaces::draw(config.seed, &path, start, end);
        Ok(Self {
            config,
            path,
            surfaces,
            chain: [OnceLock::new(), OnceLock::new()],
        })
    }

    /// Returns what the market was drawn from.
    pub fn config(&self) -> &MarketConfig {
        &self.config
    }

    pub(crate) fn seed(&self) -> u64 {
        self.config.seed
    }

    pub(crate) fn surface(&self, asset: Asset, seconds: i64) -> Surface<'_> {
        self.surfaces.at(&self.path, asset, seconds)
    }

    /// The chain's days from `start` on; computed at the first call.
    pub(crate) fn chain(&self, asset: Asset) -> &[ChainDay] {
        self.chain[asset.index()].get_or_init(|| {
            let range = (self.config.start.days(), self.config.end.days());
            simulate(self.config.seed, &self.path, &self.surfaces, asset, range)
        })
    }

    /// Returns the spot price in USD at `time`, straight in the logarithm between full hours and flat outside the history.
    pub fn price(&self, asset: Asset, time: UtcTime) -> f64 {
        self.path.price(asset, time.micros().div_euclid(1_000_000))
    }

    /// Returns the log return from `as_of` over the horizon, or `None` if it reaches beyond the history.
    pub fn realised_return(&self, asset: Asset, as_of: UtcTime, horizon_hours: u32) -> Option<f64> {
        let from = as_of.micros().div_euclid(1_000_000);
        let to = from + i64::from(horizon_hours) * 3_600;
        let first = i64::from(self.config.start.days()) * SECONDS_PER_DAY;
        let last = i64::from(self.config.end.days() + 1) * SECONDS_PER_DAY;
        let inside = from >= first && to <= last;
        inside.then(|| self.path.log_price(asset, to) - self.path.log_price(asset, from))
    }

    /// Returns quantiles of the law that the log return from `as_of` (00:00 UTC) over `horizon_hours` is drawn from, given
    /// everything that decides it. Exact to 24 h; beyond, 4,096 inner paths from a fixed seed.
    ///
    /// # Errors
    /// [`MarketError::AsOf`] if `as_of` is not a midnight from the first day to the one after the last, or the horizon is not
    /// 1 to 1440 h; [`MarketError::Probability`] if one of `probs` is not inside (0, 1).
    pub fn truth_quantiles(
        &self,
        asset: Asset,
        as_of: UtcTime,
        horizon_hours: u32,
        probs: &[f64],
    ) -> Result<Vec<f64>, MarketError> {
        let day = as_of.day();
        let last = self.config.end.plus(1);
        let known = self.config.start <= day && day <= last && day.start() == as_of;
        if !known || horizon_hours == 0 || horizon_hours > HORIZON_HOURS_MAX {
            return Err(MarketError::AsOf {
                as_of,
                horizon_hours,
                start: self.config.start,
                end: last,
            });
        }
        if let Some(found) = probs.iter().find(|p| !(0.0 < **p && **p < 1.0)) {
            return Err(MarketError::Probability { found: *found });
        }
        let key = TruthKey {
            seed: self.config.seed,
            asset,
            as_of_day: day.days(),
            horizon_hours,
        };
        Ok(quantiles(key, self.path.state(asset, day.days()), probs))
    }

    /// Returns what decided the coin's volatility on `day`, or `None` outside the history and the day after it.
    pub fn day_truth(&self, asset: Asset, day: Day) -> Option<DayTruth> {
        let inside = self.config.start <= day && day <= self.config.end.plus(1);
        inside.then(|| {
            let state = self.path.state(asset, day.days());
            DayTruth {
                regime: state.regime as u8,
                daily_vol: state.daily_vol(asset),
                degrees_of_freedom: FREEDOM,
                log_return: self.realised_return(asset, day.start(), 24),
            }
        })
    }
}
