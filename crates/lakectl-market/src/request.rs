//! The requests that the venues would have answered with the documents.

use crate::bodies::{Page, RATES};
use crate::calendar::{civil, month_start};
use crate::catalog::{DATASETS, Spec};
use crate::write::iso_date;

/// The request that a venue would have answered with the document. Pages say their full period, so that a page that has
/// grown is an answer to the same request.
pub(crate) fn request(spec: &Spec, page: Page) -> String {
    const DERIBIT: &str = "https://www.deribit.com/api/v2/public";
    let ticker = page.asset.ticker();
    let full = Page {
        first: civil_page_start(spec),
        last: spec.full,
        ..page
    };
    let (begin, finish) = (full.begin(), full.finish());
    let (from, to) = (iso_date(full.first), iso_date(full.last));
    let metric = spec.metric.unwrap_or_default();
    match DATASETS[spec.dataset].name {
        "deribit_options" => {
            format!("{DERIBIT}/get_book_summary_by_currency?currency={ticker}&kind=option")
        }
        "deribit_futures" => {
            format!("{DERIBIT}/get_book_summary_by_currency?currency={ticker}&kind=future")
        }
        "deribit_dvol" => format!(
            "{DERIBIT}/get_volatility_index_data?currency={ticker}&start_timestamp={}&end_timestamp={}&resolution=1D",
            begin * 1_000,
            finish * 1_000 - 1
        ),
        "deribit_funding" => format!(
            "{DERIBIT}/get_funding_rate_history?instrument_name={ticker}-PERPETUAL&start_timestamp={}&end_timestamp={}",
            begin * 1_000,
            finish * 1_000 - 1
        ),
        "deribit_trades" => format!(
            "{DERIBIT}/get_last_trades_by_currency_and_time?currency={ticker}&kind=option&start_timestamp={}&end_timestamp={}",
            begin * 1_000,
            finish * 1_000 - 1
        ),
        "coinbase_candles" => format!(
            "https://api.exchange.coinbase.com/products/{ticker}-USD/candles?granularity=3600&start={from}T00:00:00Z&end={to}T23:00:00Z"
        ),
        "coinmetrics_assets" => format!(
            "https://community-api.coinmetrics.io/v4/timeseries/asset-metrics?assets={}&metrics=PriceUSD,CapMrktCurUSD,CapMVRVCur,SplyCur,SplyExNtv,FlowInExNtv,FlowOutExNtv,FlowInExUSD,FlowOutExUSD,AdrActCnt,TxCnt,IssTotUSD,HashRate,AssetEODCompletionTime&frequency=1d&page_size=10000&start_time={from}&end_time={to}",
            page.asset.lower()
        ),
        "glassnode_metrics" => {
            let token = if spec.asset.is_some() { ticker } else { "USDT" };
            format!(
                "https://api.glassnode.com/v1/metrics/{metric}?a={token}&i=24h&s={begin}&u={finish}"
            )
        }
        "santiment_metrics" => format!(
            "https://api.santiment.net/graphql {{getMetric(metric:\"{metric}\"){{timeseriesData(slug:\"{}\",from:\"{from}T00:00:00Z\",to:\"{to}T23:59:59Z\",interval:\"1d\"){{datetime value}}}}}}",
            page.asset.slug()
        ),
        "defillama_stablecoins" => {
            format!("https://stablecoins.llama.fi/stablecoincharts/all?start={begin}&end={finish}")
        }
        "alternative_fear_greed" => {
            format!("https://api.alternative.me/fng/?limit=31&start={begin}&end={finish}")
        }
        _ => format!(
            "https://fred.stlouisfed.org/graph/fredgraph.csv?id={}&cosd={from}&coed={to}",
            RATES.map(|(name, ..)| name).join(",")
        ),
    }
}

/// First day of the page's full period.
fn civil_page_start(spec: &Spec) -> i32 {
    let month = month_start(spec.full, 0);
    match DATASETS[spec.dataset].name {
        "coinbase_candles" => month + ((civil(spec.full).2 - 1) as i32 / 10).min(2) * 10,
        "deribit_trades" => spec.first,
        _ if spec.snapshot.is_some() => spec.first,
        _ => month,
    }
}
