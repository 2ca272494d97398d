//! What a format knows by itself: vendor columns, usual metrics, who publishes.

use std::collections::BTreeMap;

use crate::columns::{ColumnSpec, ColumnUnit};
use crate::dataset::value_column;
use crate::format::Format;
use crate::units::{TimeUnit, Unit};

/// Defaults that a declaration may override.
#[derive(Default)]
pub(crate) struct Preset {
    pub(crate) columns: BTreeMap<String, ColumnSpec>,
    pub(crate) metrics: BTreeMap<String, ColumnSpec>,
    pub(crate) metric: Option<String>,
    pub(crate) venue: Option<String>,
    pub(crate) unit: Unit,
}

/// Tells whether a declaration may map columns of this format.
pub(crate) fn takes_columns(format: Format) -> bool {
    matches!(
        format,
        Format::ChainCsv
            | Format::FutureCsv
            | Format::TardisOptionsCsv
            | Format::CandleCsv
            | Format::CandleParquet
            | Format::MetricCsv
    )
}

/// Returns the defaults of a format.
pub(crate) fn of(format: Format) -> Preset {
    let venue = |name: &str| Preset {
        venue: Some(name.to_owned()),
        ..Preset::default()
    };
    match format {
        Format::TardisOptionsCsv => Preset {
            columns: tardis(),
            ..venue("tardis")
        },
        Format::FredCsv => Preset {
            metrics: fred(),
            unit: Unit::Percent,
            ..venue("fred")
        },
        Format::GlassnodeCsv | Format::GlassnodeJson => Preset {
            metrics: glassnode(),
            ..venue("glassnode")
        },
        Format::DeribitJson => venue("deribit"),
        Format::CoinmetricsJson => Preset {
            metrics: coinmetrics(),
            ..venue("coinmetrics")
        },
        Format::SantimentJson => Preset {
            metrics: santiment(),
            ..venue("santiment")
        },
        Format::DefillamaJson => Preset {
            metric: Some("stablecoin_supply_usd".to_owned()),
            unit: Unit::Usd,
            ..venue("defillama")
        },
        Format::FearGreedJson => Preset {
            metric: Some("fear_greed".to_owned()),
            unit: Unit::Index,
            ..venue("alternative.me")
        },
        Format::CoinbaseCandlesJson => venue("coinbase"),
        _ => Preset::default(),
    }
}

fn tardis() -> BTreeMap<String, ColumnSpec> {
    let time = |column: &str| ColumnSpec::new(column, ColumnUnit::Time(TimeUnit::Micros));
    let text = |column: &str| ColumnSpec::new(column, ColumnUnit::Text);
    let number = |column: &str| value_column(column, Unit::Native);
    [
        ("event_time", time("timestamp")),
        // The recorder saw the message only then.
        ("known_after", time("local_timestamp")),
        ("instrument", text("symbol")),
        ("expiry", time("expiration")),
        ("strike", number("strike_price")),
        ("option_type", text("type")),
        ("bid", number("bid_price")),
        ("ask", number("ask_price")),
        ("mark", number("mark_price")),
        ("underlying_price", number("underlying_price")),
        ("mark_iv", value_column("mark_iv", Unit::Percent)),
        ("open_interest", number("open_interest")),
        ("exchange_delta", number("delta")),
        ("exchange_vega", number("vega")),
    ]
    .map(|(name, spec)| (name.to_owned(), spec))
    .into()
}

type Metrics = BTreeMap<String, ColumnSpec>;

fn metrics<const N: usize>(list: [(&str, &str, Unit); N]) -> Metrics {
    list.map(|(name, column, unit)| (name.to_owned(), value_column(column, unit)))
        .into()
}

fn coinmetrics() -> Metrics {
    metrics([
        ("price_usd", "PriceUSD", Unit::Usd),
        ("market_cap_usd", "CapMrktCurUSD", Unit::Usd),
        ("mvrv", "CapMVRVCur", Unit::Ratio),
        ("supply", "SplyCur", Unit::Coin),
        ("exchange_balance", "SplyExNtv", Unit::Coin),
        ("exchange_inflow", "FlowInExNtv", Unit::Coin),
        ("exchange_outflow", "FlowOutExNtv", Unit::Coin),
        ("exchange_inflow_usd", "FlowInExUSD", Unit::Usd),
        ("exchange_outflow_usd", "FlowOutExUSD", Unit::Usd),
        ("active_addresses", "AdrActCnt", Unit::Count),
        ("tx_count", "TxCnt", Unit::Count),
        ("hash_rate", "HashRate", Unit::TerahashPerSecond),
        ("issuance_usd", "IssTotUSD", Unit::Usd),
    ])
}

/// Paths of the API with `_` for `/`, which is also how exports name their columns.
fn glassnode() -> Metrics {
    metrics([
        ("mvrv", "market_mvrv", Unit::Ratio),
        ("realized_price", "market_price_realized_usd", Unit::Usd),
        ("supply", "supply_current", Unit::Coin),
        ("lth_supply", "supply_lth_sum", Unit::Coin),
        ("sth_supply", "supply_sth_sum", Unit::Coin),
        (
            "exchange_balance",
            "distribution_balance_exchanges",
            Unit::Coin,
        ),
        (
            "exchange_inflow",
            "transactions_transfers_volume_to_exchanges_sum",
            Unit::Coin,
        ),
        (
            "exchange_outflow",
            "transactions_transfers_volume_from_exchanges_sum",
            Unit::Coin,
        ),
        (
            "exchange_netflow",
            "transactions_transfers_volume_exchanges_net",
            Unit::Coin,
        ),
        (
            "miner_outflow",
            "transactions_transfers_volume_miners_to_exchanges",
            Unit::Coin,
        ),
        (
            "stablecoin_exchange_netflow_usd",
            "stablecoin_transactions_transfers_volume_exchanges_net",
            Unit::Usd,
        ),
        ("active_addresses", "addresses_active_count", Unit::Count),
        ("dormancy", "indicators_average_dormancy", Unit::Days),
        ("liveliness", "indicators_liveliness", Unit::Ratio),
        ("sopr", "indicators_sopr", Unit::Ratio),
        ("sth_sopr", "indicators_sopr_less_155", Unit::Ratio),
        ("nupl", "indicators_net_unrealized_profit_loss", Unit::Ratio),
    ])
}

fn santiment() -> Metrics {
    metrics([
        ("mdia", "mean_dollar_invested_age", Unit::Days),
        ("mvrv_usd_1d", "mvrv_usd_1d", Unit::Ratio),
        ("mvrv_usd_7d", "mvrv_usd_7d", Unit::Ratio),
        ("mvrv_usd_30d", "mvrv_usd_30d", Unit::Ratio),
        ("mvrv_usd_60d", "mvrv_usd_60d", Unit::Ratio),
        ("mvrv_usd_90d", "mvrv_usd_90d", Unit::Ratio),
        ("mvrv_usd_180d", "mvrv_usd_180d", Unit::Ratio),
        ("mvrv_usd_365d", "mvrv_usd_365d", Unit::Ratio),
        (
            "mvrv_long_short_diff",
            "mvrv_long_short_diff_usd",
            Unit::Ratio,
        ),
        (
            "holders_1_10",
            "holders_distribution_combined_balance_1_to_10",
            Unit::Coin,
        ),
        (
            "holders_10_100",
            "holders_distribution_combined_balance_10_to_100",
            Unit::Coin,
        ),
        (
            "holders_100_1k",
            "holders_distribution_combined_balance_100_to_1k",
            Unit::Coin,
        ),
        (
            "holders_1k_10k",
            "holders_distribution_combined_balance_1k_to_10k",
            Unit::Coin,
        ),
        ("social_sentiment", "sentiment_weighted_total", Unit::Index),
    ])
}

fn fred() -> Metrics {
    metrics([
        ("rate_1m", "DGS1MO", Unit::Percent),
        ("rate_3m", "DGS3MO", Unit::Percent),
        ("rate_6m", "DGS6MO", Unit::Percent),
        ("rate_1y", "DGS1", Unit::Percent),
        ("rate_2y", "DGS2", Unit::Percent),
        ("sofr", "SOFR", Unit::Percent),
    ])
}
