//! What contracts there are, and who lists them.

use lakectl_core::UtcTime;

use super::{OptionKind, Settlement};

/// Whose spelling a name follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Venue {
    /// `BTC-3JAN26-88000-C`, `XRP_USDC-30JUN23-0d5-C`, `BTC-27MAR26`, `ETH_USDC-PERPETUAL`,
    /// `SYN.BTC-3JAN26`.
    Deribit,
    /// `BTC-USD-260103-88000-C`, `BTC-USDT-260327`, `BTC-USD-SWAP`, `BTC-USD_UM-SWAP`.
    Okx,
    /// `BTC-3JAN26-88000-C` (in USDC), `BTC-3JAN26-88000-C-USDT`, `BTC-27MAR26`,
    /// `BTCUSDT-27MAR26`, `BTCPERP`, `BTCUSDT`, `BTCUSD`, `BTCUSDH26` (the last Friday of the quarter that
    /// ends in March, June, September, December: H, M, U, Z).
    Bybit,
    /// `BTC-260103-88000-C`, `BTCUSDT_260327`, `BTCUSD_260327`, `BTCUSDT`, `BTCUSD_PERP`.
    Binance,
}

impl Venue {
    /// Every venue.
    pub const ALL: [Self; 4] = [Self::Deribit, Self::Okx, Self::Bybit, Self::Binance];

    /// Returns the lower-case word that tables use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deribit => "deribit",
            Self::Okx => "okx",
            Self::Bybit => "bybit",
            Self::Binance => "binance",
        }
    }

    /// Returns the venue of that [`word`](Self::word).
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|venue| venue.word() == word)
    }
}

/// What the price of a contract is stated in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// Dollars of no one's issue: the contract is margined and settled in its coin.
    Usd,
    /// Dollars with a margin in dollars or coins on them.
    UsdMargined,
    /// USD Coin.
    Usdc,
    /// Tether.
    Usdt,
}

impl Quote {
    /// Returns the letters that names use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::UsdMargined => "USD_UM",
            Self::Usdc => "USDC",
            Self::Usdt => "USDT",
        }
    }

    /// Returns what a contract in this currency is settled in.
    #[must_use]
    pub const fn settlement(self) -> Settlement {
        match self {
            Self::Usd => Settlement::Inverse,
            Self::UsdMargined | Self::Usdc | Self::Usdt => Settlement::Linear,
        }
    }

    /// Returns the currency of that [`word`](Self::word).
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Usd, Self::UsdMargined, Self::Usdc, Self::Usdt]
            .into_iter()
            .find(|quote| quote.word() == word)
    }
}

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Terms {
    /// A European option.
    Option {
        /// Expiry, 08:00 UTC.
        expiry: UtcTime,
        /// Strike, greater than zero, in the quote currency.
        strike: f64,
        /// Call or put.
        kind: OptionKind,
    },
    /// A dated future.
    Future {
        /// Expiry, 08:00 UTC.
        expiry: UtcTime,
    },
    /// A future without expiry.
    Perpetual,
    /// No contract, but the forward that a venue computes for an expiry without a future.
    Synthetic {
        /// Expiry, 08:00 UTC.
        expiry: UtcTime,
    },
}

impl Terms {
    /// Returns the lower-case word that tables use.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Option { .. } => "option",
            Self::Future { .. } => "future",
            Self::Perpetual => "perpetual",
            Self::Synthetic { .. } => "synthetic",
        }
    }

    /// Returns the expiry, which a perpetual has not.
    #[must_use]
    pub const fn expiry(&self) -> Option<UtcTime> {
        match self {
            Self::Option { expiry, .. } | Self::Future { expiry } | Self::Synthetic { expiry } => {
                Some(*expiry)
            }
            Self::Perpetual => None,
        }
    }
}

/// A contract as its name describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Coin, upper case (`BTC`).
    pub asset: String,
    /// Currency of the price; with it the settlement.
    pub quote: Quote,
    /// Option, future or perpetual.
    pub terms: Terms,
}
