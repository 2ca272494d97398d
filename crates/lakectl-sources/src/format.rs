//! The words of a declaration: layouts, replacement, settlement.

use serde::{Deserialize, Serialize};

/// The layout of a dataset's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One option quote a line, columns mapped by the declaration.
    ChainCsv,
    /// One future quote a line, columns mapped by the declaration.
    FutureCsv,
    /// Tardis `options_chain`.
    TardisOptionsCsv,
    /// One bar a line.
    CandleCsv,
    /// One bar a row.
    CandleParquet,
    /// Series in columns (wide), in rows (long), or one series a file.
    MetricCsv,
    /// A date in the first column, a series in each of the others; every column is read.
    DatedCsv,
    /// The same with FRED's names and percent.
    FredCsv,
    /// Glassnode export: `t` and values, or `t` and a dictionary in `o`.
    GlassnodeCsv,
    /// `[[milliseconds, value], ...]`, or bars `[[milliseconds, open, high, low, close, volume], ...]`.
    PairsJson,
    /// Deribit JSON-RPC: book summaries, trades, volatility index, funding history; the feed tells which.
    DeribitJson,
    /// Coin Metrics `asset-metrics`.
    CoinmetricsJson,
    /// Glassnode API, `[{t, v}]` or `[{t, o}]`.
    GlassnodeJson,
    /// Santiment GraphQL `timeseriesData`.
    SantimentJson,
    /// DefiLlama stablecoin chart.
    DefillamaJson,
    /// alternative.me or CoinMarketCap fear and greed index.
    FearGreedJson,
    /// Coinbase candles, both APIs.
    CoinbaseCandlesJson,
}

/// What a later document does to earlier ones where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replacement {
    /// It corrects them: the same `known_at`, the highest sequence wins.
    #[default]
    Correction,
    /// It restates history: changed rows count from the later document's time.
    Restatement,
}

impl Replacement {
    /// Returns the word stored in `replacement`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Correction => "correction",
            Self::Restatement => "restatement",
        }
    }
}

/// What an option is quoted and settled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Settlement {
    /// In the base coin; prices are stored in coin.
    Inverse,
    /// In a stablecoin; prices are stored in USD.
    Linear,
}

impl Settlement {
    /// Returns the word stored in `settlement`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Inverse => "inverse",
            Self::Linear => "linear",
        }
    }
}
