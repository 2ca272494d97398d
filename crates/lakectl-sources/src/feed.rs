//! What a dataset feeds, and which kind of row that is.

use serde::{Deserialize, Serialize};

/// The canonical table that a dataset's rows end up in, `norm.<feed>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feed {
    /// Option chain snapshots.
    OptionQuotes,
    /// Trades of options.
    OptionTrades,
    /// Marks and quotes of perpetual and dated futures.
    FutureQuotes,
    /// Price bars of the asset.
    SpotBars,
    /// Bars of a volatility index.
    Dvol,
    /// On-chain and other series by asset.
    Metrics,
    /// Funding rates of perpetual futures.
    Funding,
    /// Crowd mood.
    Sentiment,
    /// Interest rates.
    Rates,
}

/// The shape of a feed's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// One quote of one option.
    OptionQuotes,
    /// One trade of one option.
    OptionTrades,
    /// One quote of one future.
    FutureQuotes,
    /// One bar.
    Candles,
    /// One value of one series.
    Metrics,
}

impl Feed {
    /// Every feed.
    pub const ALL: [Self; 9] = [
        Self::OptionQuotes,
        Self::OptionTrades,
        Self::FutureQuotes,
        Self::SpotBars,
        Self::Dvol,
        Self::Metrics,
        Self::Funding,
        Self::Sentiment,
        Self::Rates,
    ];

    /// Returns the feed's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OptionQuotes => "option_quotes",
            Self::OptionTrades => "option_trades",
            Self::FutureQuotes => "future_quotes",
            Self::SpotBars => "spot_bars",
            Self::Dvol => "dvol",
            Self::Metrics => "metrics",
            Self::Funding => "funding",
            Self::Sentiment => "sentiment",
            Self::Rates => "rates",
        }
    }

    /// Returns the shape of the feed's rows.
    pub const fn row_kind(self) -> RowKind {
        match self {
            Self::OptionQuotes => RowKind::OptionQuotes,
            Self::OptionTrades => RowKind::OptionTrades,
            Self::FutureQuotes => RowKind::FutureQuotes,
            Self::SpotBars | Self::Dvol => RowKind::Candles,
            Self::Metrics | Self::Funding | Self::Sentiment | Self::Rates => RowKind::Metrics,
        }
    }
}
