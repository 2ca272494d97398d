//! What a market is made from, and what can be wrong with it.

use std::fmt;
use std::str::FromStr;

use lakectl_core::{Day, ErrorKind, UtcTime};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest history that may be asked for, in days.
const DAYS_MAX: i32 = 20_000;

/// A coin of the simulated market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Asset {
    /// Bitcoin.
    Btc,
    /// Ether.
    Eth,
}

impl Asset {
    /// Both coins.
    pub const ALL: [Self; 2] = [Self::Btc, Self::Eth];

    /// Returns the ticker, `BTC` or `ETH`.
    pub const fn ticker(self) -> &'static str {
        match self {
            Self::Btc => "BTC",
            Self::Eth => "ETH",
        }
    }

    /// Returns the ticker in small letters, as Coin Metrics writes it.
    pub const fn lower(self) -> &'static str {
        match self {
            Self::Btc => "btc",
            Self::Eth => "eth",
        }
    }

    /// Returns the name that Santiment uses.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Btc => "bitcoin",
            Self::Eth => "ethereum",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ticker())
    }
}

impl FromStr for Asset {
    type Err = MarketError;

    fn from_str(text: &str) -> Result<Self, MarketError> {
        Self::ALL
            .into_iter()
            .find(|asset| asset.ticker().eq_ignore_ascii_case(text))
            .ok_or_else(|| MarketError::Asset {
                found: text.to_owned(),
            })
    }
}

/// Which history to draw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketConfig {
    /// Names the history; another seed is another market.
    pub seed: u64,
    /// First day with documents.
    pub start: Day,
    /// Last day with documents, included.
    pub end: Day,
    /// From this day on there are four chain snapshots a day, before it one (21:10 UTC). It is a date of its own, so that
    /// a later `end` does not take snapshots away.
    pub dense_from: Day,
    /// Coins to publish. Each coin's documents are the same with and without the other.
    pub assets: Vec<Asset>,
}

impl Default for MarketConfig {
    /// 420 days to 2026-03-20, four snapshots a day in the last 60, BTC and ETH.
    fn default() -> Self {
        let end = Day::from_days(20_532);
        Self {
            seed: 1,
            start: end.plus(-419),
            end,
            dense_from: end.plus(-59),
            assets: Asset::ALL.to_vec(),
        }
    }
}

impl MarketConfig {
    pub(crate) fn check(&self) -> Result<(), MarketError> {
        if self.start > self.end {
            return Err(MarketError::Range {
                start: self.start,
                end: self.end,
            });
        }
        // The calendar below works on years of four digits; a history of ages would not fit in memory.
        let in_calendar = |day: Day| (0..=200_000).contains(&day.days());
        let length = self.end.days() - self.start.days();
        if !in_calendar(self.start) || !in_calendar(self.end) || length >= DAYS_MAX {
            return Err(MarketError::Length {
                start: self.start,
                end: self.end,
                days_max: DAYS_MAX,
            });
        }
        if self.assets.is_empty() {
            return Err(MarketError::NoAssets);
        }
        Ok(())
    }
}

/// Why a market, a document or a truth cannot be given.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum MarketError {
    /// The last day comes before the first.
    #[error("the market would start on {start} and end before that, on {end}")]
    Range {
        /// First day.
        start: Day,
        /// Last day.
        end: Day,
    },
    /// The range is outside the simulated calendar.
    #[error(
        "the market cannot cover {start} to {end}: days from 1970 on, at most {days_max} of them"
    )]
    Length {
        /// First day.
        start: Day,
        /// Last day.
        end: Day,
        /// The limit.
        days_max: i32,
    },
    /// No coin was asked for.
    #[error("the market has no assets: expected BTC, ETH or both")]
    NoAssets,
    /// A coin that is not simulated.
    #[error("the simulated market does not have the asset `{found}`: it has BTC and ETH")]
    Asset {
        /// What was given.
        found: String,
    },
    /// A dataset that is not published.
    #[error("the simulated market does not publish `{found}`: it has {known}")]
    Dataset {
        /// What was given.
        found: String,
        /// The names there are.
        known: String,
    },
    /// A document that is not published.
    #[error("dataset `{dataset}` has no document `{found}`")]
    Document {
        /// The dataset.
        dataset: &'static str,
        /// What was given.
        found: String,
    },
    /// A time outside the history, or one where the truth is not defined.
    #[error(
        "no truth at {as_of} for {horizon_hours} h: expected 00:00 UTC from {start} to {end} and 1 to 1440 h"
    )]
    AsOf {
        /// What was given.
        as_of: UtcTime,
        /// The horizon.
        horizon_hours: u32,
        /// First decision day.
        start: Day,
        /// Last decision day.
        end: Day,
    },
    /// A probability outside (0, 1).
    #[error("`{found}` is not a probability between 0 and 1")]
    Probability {
        /// What was given.
        found: f64,
    },
}

impl MarketError {
    /// Tells whose move it is: always the caller's.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Input
    }
}
