//! Daily and hourly series as pages of their venues' formats. A page covers the days `first..=last`.

use crate::calendar::{SECONDS_PER_DAY, is_business_day, is_holiday};
use crate::config::Asset;
use crate::market::Market;
use crate::onchain::{ChainDay, MVRV_WINDOWS};
use crate::path::{WARM_UP_DAYS, usual_daily_vol};
use crate::rng::{Stream, StreamKey, mix_all, unit};
use crate::write::{fixed, integer, iso_date, text};

/// What a page is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub asset: Asset,
    pub first: i32,
    pub last: i32,
}

impl Page {
    pub(crate) fn days(self) -> impl DoubleEndedIterator<Item = i32> {
        self.first..=self.last
    }

    /// Seconds since 1970 at which the page begins.
    pub(crate) fn begin(self) -> i64 {
        midnight(self.first)
    }

    /// Seconds since 1970 at which the page is over.
    pub(crate) fn finish(self) -> i64 {
        midnight(self.last + 1)
    }
}

pub(crate) fn midnight(day: i32) -> i64 {
    i64::from(day) * SECONDS_PER_DAY
}

pub(crate) fn stream(market: &Market, purpose: &'static str, asset: Asset, day: i32) -> Stream {
    Stream::new(StreamKey {
        seed: market.seed(),
        purpose,
        sub: asset.index() as u64,
        day,
    })
}

/// Writes items with commas between.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}

/// Deribit `get_volatility_index_data` at a resolution of one day: rows `[ms, open, high, low, close]`, percent.
pub(crate) fn volatility_index(market: &Market, page: Page) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"result\":{\"data\":[".to_vec();
    list(&mut out, page.days(), |out, day| {
        let at = |hour: i64| {
            let surface = market.surface(page.asset, midnight(day) + hour * 3_600);
            surface.volatility_index()
        };
        let values: Vec<f64> = (0..=24).map(at).collect();
        let mut noise = stream(market, "dvol", page.asset, day);
        let high = values.iter().copied().fold(0.0, f64::max);
        let low = values.iter().copied().fold(f64::MAX, f64::min);
        let ohlc = [
            values[0],
            high * (1.0 + 0.012 * noise.uniform()),
            low * (1.0 - 0.012 * noise.uniform()),
            values[24],
        ];
        out.push(b'[');
        integer(out, midnight(day) * 1_000);
        for value in ohlc {
            out.push(b',');
            fixed(out, value, 2);
        }
        out.push(b']');
    });
    text(&mut out, "],\"continuation\":null}");
    envelope_end(&mut out, page);
    out
}

pub(crate) fn envelope_end(out: &mut Vec<u8>, page: Page) {
    let micros = page.finish() * 1_000_000 + 1_000;
    text(out, ",\"usIn\":");
    integer(out, micros);
    text(out, ",\"usOut\":");
    integer(out, micros + 913);
    text(out, ",\"usDiff\":913,\"testnet\":false}");
}

/// Deribit `get_funding_rate_history`: one row an hour.
pub(crate) fn funding(market: &Market, page: Page) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"result\":[".to_vec();
    let hours = page
        .days()
        .flat_map(|day| (0..24).map(move |hour| (day, hour)));
    let mut noise = stream(market, "funding", page.asset, page.first);
    let mut noise_day = page.first;
    list(&mut out, hours, |out, (day, hour)| {
        if day != noise_day {
            noise = stream(market, "funding", page.asset, day);
            noise_day = day;
        }
        let seconds = midnight(day) + hour * 3_600;
        let trend = market.path.trailing_return(page.asset, day, 3);
        let premium = market.surface(page.asset, seconds).perpetual_premium(trend);
        // The venue pays nothing while the premium is within 0.05 %.
        let rate = premium + 0.000_05 * noise.normal();
        let interest = (rate - rate.clamp(-0.000_5, 0.000_5)) + 0.1 * rate;
        text(out, "{\"timestamp\":");
        integer(out, seconds * 1_000);
        text(out, ",\"index_price\":");
        fixed(out, market.path.price(page.asset, seconds), 2);
        text(out, ",\"prev_index_price\":");
        fixed(out, market.path.price(page.asset, seconds - 3_600), 2);
        text(out, ",\"interest_8h\":");
        fixed(out, interest, 10);
        text(out, ",\"interest_1h\":");
        fixed(out, interest / 8.0, 10);
        out.push(b'}');
    });
    out.push(b']');
    envelope_end(&mut out, page);
    out
}

/// Coinbase hourly candles, newest first: `[time, low, high, open, close, volume]`.
pub(crate) fn candles(market: &Market, page: Page) -> Vec<u8> {
    let mut out = vec![b'['];
    let hours = page
        .days()
        .rev()
        .flat_map(|day| (0..24).rev().map(move |hour| (day, hour)));
    let size = match page.asset {
        Asset::Btc => 330.0,
        Asset::Eth => 4_800.0,
    };
    list(&mut out, hours, |out, (day, hour)| {
        let seconds = midnight(day) + hour * 3_600;
        let (open, close) = (
            market.path.price(page.asset, seconds),
            market.path.price(page.asset, seconds + 3_600),
        );
        let vol = market.path.state(page.asset, day).daily_vol(page.asset);
        let key = mix_all(&[market.seed(), page.asset.index() as u64, seconds as u64]);
        let reach = |salt: u64| -0.35 * vol / 5.0 * libm::log(unit(mix_all(&[key, salt])));
        let high = open.max(close) * (1.0 + reach(1));
        let low = open.min(close) * (1.0 - reach(2));
        let moved = libm::fabs(libm::log(close / open)) / (vol / 4.9);
        let volume =
            size * libm::exp(12.0 * vol + 0.3 * moved + 0.7 * (unit(mix_all(&[key, 3])) - 0.5));
        out.push(b'[');
        integer(out, seconds);
        for value in [low, high, open, close] {
            out.push(b',');
            fixed(out, value, 2);
        }
        out.push(b',');
        fixed(out, volume, 8);
        out.push(b']');
    });
    out.push(b']');
    out
}

fn chain_day(market: &Market, asset: Asset, day: i32) -> ChainDay {
    let days = market.chain(asset);
    let index = (day - market.config.start.days()).clamp(0, days.len() as i32 - 1);
    days[index as usize]
}

/// Seconds from a Coin Metrics day's date to the moment it is complete: 26 to 31 h, now and then much later.
pub(crate) fn completion_delay(market: &Market, asset: Asset, day: i32) -> i64 {
    let key = mix_all(&[market.seed(), 77, asset.index() as u64, day as u64]);
    let usual = 26.0 + 5.0 * unit(key) * unit(mix_all(&[key, 1]));
    let late = if unit(mix_all(&[key, 2])) < 0.02 {
        22.0
    } else {
        0.0
    };
    ((usual + late) * 3_600.0) as i64
}

/// Coin Metrics asset metrics: one object a day, numbers as text. The second revision has other exchange flows.
pub(crate) fn coin_metrics(market: &Market, page: Page, revision: u8) -> Vec<u8> {
    let mut out = b"{\"data\":[".to_vec();
    list(&mut out, page.days(), |out, day| {
        let mut row = chain_day(market, page.asset, day);
        if revision > 0 {
            let mut noise = stream(market, "restated", page.asset, day);
            row.inflow *= 0.96 + 0.03 * noise.normal().clamp(-3.0, 3.0);
            row.outflow *= 1.02 + 0.03 * noise.normal().clamp(-3.0, 3.0);
            row.exchange_supply *= 0.985;
        }
        text(out, "{\"asset\":\"");
        text(out, page.asset.lower());
        text(out, "\",\"time\":\"");
        text(out, &iso_date(day));
        text(out, "T00:00:00.000000000Z\",\"AssetEODCompletionTime\":\"");
        integer(
            out,
            midnight(day) + completion_delay(market, page.asset, day),
        );
        let metrics = [
            ("PriceUSD", row.price, 8),
            ("CapMrktCurUSD", row.price * row.supply, 4),
            ("CapMVRVCur", row.mvrv, 10),
            ("SplyCur", row.supply, 8),
            ("SplyExNtv", row.exchange_supply, 8),
            ("FlowInExNtv", row.inflow, 8),
            ("FlowOutExNtv", row.outflow, 8),
            ("FlowInExUSD", row.inflow * row.price, 4),
            ("FlowOutExUSD", row.outflow * row.price, 4),
            ("AdrActCnt", libm::round(row.active_addresses), 0),
            ("TxCnt", libm::round(row.transactions), 0),
            ("IssTotUSD", row.issuance * row.price, 4),
            ("HashRate", row.hash_rate * 1e6, 4),
        ];
        // A chain without miners has no hash rate: the venue leaves the key out.
        let count = metrics.len() - usize::from(page.asset == Asset::Eth);
        for (name, value, decimals) in &metrics[..count] {
            text(out, "\",\"");
            text(out, name);
            text(out, "\":\"");
            if *decimals == 0 {
                integer(out, *value as i64);
            } else {
                fixed(out, *value, *decimals);
            }
        }
        text(out, "\"}");
    });
    text(&mut out, "]}");
    out
}

/// Glassnode metrics of a coin, by the path of their address.
pub(crate) const GLASSNODE: [&str; 4] = [
    "supply/lth_sum",
    "supply/sth_sum",
    "indicators/average_dormancy",
    "indicators/sopr_less_155",
];
/// Glassnode metric that only a mined coin has.
pub(crate) const GLASSNODE_MINERS: &str = "transactions/transfers_volume_miners_to_exchanges";
/// Glassnode metric of the dollar token, USD a day, positive when it flows to exchanges.
pub(crate) const GLASSNODE_STABLE: &str = "transactions/transfers_volume_exchanges_net";

/// Days between the beginnings of two outages of the vendor, and how long each lasts.
const OUTAGE: (i32, i32) = (75, 8);

/// Whether the vendor of [`glassnode`] is out of service and never tells of this day.
pub(crate) const fn is_outage(day: i32) -> bool {
    (day - 20).rem_euclid(OUTAGE.0) < OUTAGE.1
}

/// Glassnode: `[{"t": seconds, "v": value}]`, without the days of an outage.
pub(crate) fn glassnode(market: &Market, page: Page, metric: &str) -> Vec<u8> {
    let mut out = vec![b'['];
    let served = page.days().filter(|day| !is_outage(*day));
    list(&mut out, served, |out, day| {
        let row = chain_day(market, page.asset, day);
        let value = match metric {
            "supply/lth_sum" => row.long_term_supply,
            "supply/sth_sum" => row.short_term_supply,
            "indicators/average_dormancy" => row.dormancy,
            "indicators/sopr_less_155" => row.short_term_sopr,
            GLASSNODE_MINERS => {
                let mut noise = stream(market, "miners", page.asset, day);
                row.issuance * 0.4 * libm::exp(0.35 * noise.normal() - 0.1 * noise.normal())
            }
            _ => stable_netflow(market, day),
        };
        text(out, "{\"t\":");
        integer(out, midnight(day));
        text(out, ",\"v\":");
        fixed(out, value, 8);
        out.push(b'}');
    });
    out.push(b']');
    out
}

/// Dollar tokens flow to exchanges when supply grows and after falls, USD a day.
fn stable_netflow(market: &Market, day: i32) -> f64 {
    let mut noise = stream(market, "stable_netflow", Asset::Btc, day);
    let shock = market.path.standardised(Asset::Btc, day).clamp(-4.0, 4.0);
    2.0e8 * noise.normal() + 6.0e10 * stable_growth(market, day) - 5.0e7 * shock
}

/// Santiment metrics of a coin.
pub(crate) const SANTIMENT: [&str; 14] = [
    "mean_dollar_invested_age",
    "mvrv_usd_1d",
    "mvrv_usd_7d",
    "mvrv_usd_30d",
    "mvrv_usd_60d",
    "mvrv_usd_90d",
    "mvrv_usd_180d",
    "mvrv_usd_365d",
    "mvrv_long_short_diff_usd",
    "holders_distribution_combined_balance_1_to_10",
    "holders_distribution_combined_balance_10_to_100",
    "holders_distribution_combined_balance_100_to_1k",
    "holders_distribution_combined_balance_1k_to_10k",
    "sentiment_weighted_total",
];

/// Santiment: `{"data": {"getMetric": {"timeseriesData": [{"datetime": .., "value": ..}]}}}`.
pub(crate) fn santiment(market: &Market, page: Page, metric: &str) -> Vec<u8> {
    let position = SANTIMENT.iter().position(|name| *name == metric);
    let last_window = MVRV_WINDOWS.len() - 1;
    let mut out = b"{\"data\":{\"getMetric\":{\"timeseriesData\":[".to_vec();
    list(&mut out, page.days(), |out, day| {
        let row = chain_day(market, page.asset, day);
        let value = match position {
            Some(0) => row.invested_age,
            Some(n @ 1..=7) => row.mvrv_windows[n - 1],
            Some(8) => row.mvrv_windows[last_window] - row.mvrv_windows[3],
            Some(n @ 9..=12) => row.holders[n - 9],
            _ => row.sentiment,
        };
        text(out, "{\"datetime\":\"");
        text(out, &iso_date(day));
        text(out, "T00:00:00Z\",\"value\":");
        fixed(out, value, 8);
        out.push(b'}');
    });
    text(&mut out, "]}}}");
    out
}

/// Daily growth of all dollar tokens.
fn stable_growth(market: &Market, day: i32) -> f64 {
    let mut noise = stream(market, "stable", Asset::Btc, day);
    let trend = market.path.trailing_return(Asset::Btc, day, 14);
    0.000_5 + 0.001_1 * noise.normal() + 0.003 * trend
}

/// Sums a daily number from the middle of the warm-up to each day of the page.
fn running(market: &Market, page: Page, step: impl Fn(i32) -> f64) -> Vec<f64> {
    let from = market.config.start.days() - WARM_UP_DAYS / 2;
    let mut sum = 0.0;
    let mut values = Vec::new();
    for day in from..=page.last {
        sum += step(day);
        if day >= page.first {
            values.push(sum);
        }
    }
    values
}

/// DefiLlama stablecoin chart: dates as text of Unix seconds.
pub(crate) fn stablecoins(market: &Market, page: Page) -> Vec<u8> {
    let growth = running(market, page, |day| stable_growth(market, day));
    let mut out = vec![b'['];
    list(&mut out, page.days().zip(growth), |out, (day, growth)| {
        let usd = 1.85e11 * libm::exp(growth);
        let euro = 3.1e8 * libm::exp(0.6 * growth);
        text(out, "{\"date\":\"");
        integer(out, midnight(day));
        text(out, "\",\"totalCirculating\":{\"peggedUSD\":");
        fixed(out, usd * 1.000_2, 2);
        text(out, ",\"peggedEUR\":");
        fixed(out, euro, 2);
        text(out, "},\"totalCirculatingUSD\":{\"peggedUSD\":");
        fixed(out, usd, 2);
        text(out, ",\"peggedEUR\":");
        fixed(out, euro * 1.14, 2);
        text(out, "}}");
    });
    out.push(b']');
    out
}

/// alternative.me: newest first, everything as text. A day's value is made from what was known at its start.
pub(crate) fn fear_and_greed(market: &Market, page: Page) -> Vec<u8> {
    let mut out = b"{\"name\":\"Fear and Greed Index\",\"data\":[".to_vec();
    list(&mut out, page.days().rev(), |out, day| {
        let noise: f64 = (0..4)
            .map(|n| stream(market, "fear_greed", Asset::Btc, day - n).normal())
            .sum();
        let vol = market.path.state(Asset::Btc, day - 1).daily_vol(Asset::Btc);
        let trend = market.path.trailing_return(Asset::Btc, day, 14)
            + 0.5 * market.path.trailing_return(Asset::Btc, day, 60);
        let raw = 49.0 + 110.0 * trend - 14.0 * libm::log(vol / usual_daily_vol(Asset::Btc))
            + 3.0 * noise;
        let value = libm::round(raw.clamp(5.0, 95.0)) as i64;
        text(out, "{\"value\":\"");
        integer(out, value);
        text(out, "\",\"value_classification\":\"");
        text(out, mood(value));
        text(out, "\",\"timestamp\":\"");
        integer(out, midnight(day));
        text(out, "\"}");
    });
    text(&mut out, "],\"metadata\":{\"error\":null}}");
    out
}

const fn mood(value: i64) -> &'static str {
    match value {
        ..=24 => "Extreme Fear",
        25..=45 => "Fear",
        46..=54 => "Neutral",
        55..=74 => "Greed",
        _ => "Extreme Greed",
    }
}

/// Rate series by their FRED names.
pub(crate) const RATES: [(&str, f64, f64); 6] = [
    ("DGS1MO", -0.02, 0.55),
    ("DGS3MO", -0.05, 0.75),
    ("DGS6MO", -0.12, 0.90),
    ("DGS1", -0.25, 1.10),
    ("DGS2", -0.30, 1.40),
    ("SOFR", 0.02, 0.40),
];

/// FRED graph data: business days, percent, "." on holidays.
pub(crate) fn rates(market: &Market, page: Page) -> Vec<u8> {
    let walk = running(market, page, |day| {
        0.022 * stream(market, "rates", Asset::Btc, day).normal() - 0.000_8
    });
    let mut out = b"observation_date".to_vec();
    for (name, ..) in RATES {
        out.push(b',');
        text(&mut out, name);
    }
    for (day, level) in page.days().zip(walk) {
        if !is_business_day(day) {
            continue;
        }
        out.push(b'\n');
        text(&mut out, &iso_date(day));
        let mut noise = stream(market, "rate_noise", Asset::Btc, day);
        for (_, spread, beta) in RATES {
            let value = 4.4 + spread + beta * level.clamp(-3.5, 3.5) + 0.012 * noise.normal();
            out.push(b',');
            if is_holiday(day) {
                out.push(b'.');
            } else {
                fixed(&mut out, value.max(0.01), 2);
            }
        }
    }
    out.push(b'\n');
    out
}
