//! Recorded Deribit chains as plain rows.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use lakectl_core::UtcTime;
use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, greeks};
use lakectl_options::contract::{parse_instrument, year_fraction};
use lakectl_options::implied::implied_vol;

/// Snapshots that a test reads unless `LAKE_TEST_SNAPSHOTS` says otherwise.
const SAMPLE: usize = 12;

/// A quote with its volatilities, fractions per square root of a year.
pub(crate) struct Quote {
    pub(crate) k: f64,
    pub(crate) mark_iv: f64,
    pub(crate) bid_iv: Option<f64>,
    pub(crate) ask_iv: Option<f64>,
    pub(crate) two_sided: bool,
    pub(crate) out_of_the_money: bool,
    pub(crate) delta: f64,
    pub(crate) venue_delta: f64,
    pub(crate) vega: f64,
}

/// All quotes of one expiry.
pub(crate) struct Chain {
    pub(crate) asset: String,
    pub(crate) expiry_micros: i64,
    pub(crate) years: f64,
    pub(crate) forward: f64,
    pub(crate) quotes: Vec<Quote>,
}

impl Chain {
    /// What the truth is measured on: two-sided, out of the money, 0.05 <= |delta| <= 0.95.
    pub(crate) fn measured(&self) -> impl Iterator<Item = &Quote> {
        let within = |q: &&Quote| {
            q.two_sided && q.out_of_the_money && (0.05..=0.95).contains(&q.delta.abs())
        };
        self.quotes.iter().filter(within)
    }
}

/// The snapshots to read, spread evenly over the recording; `None`, said aloud, without the data.
pub(crate) fn recorded() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("LAKE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join("deribit/chains");
    if !folder.is_dir() {
        // Past the capture of test output, so that it is read.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!(
                "SKIPPED: recorded chains are not here; set LAKE_TEST_DATA to their folder\n"
            ),
        );
        return None;
    }
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let all: Vec<PathBuf> = list(&folder).iter().flat_map(|month| list(month)).collect();
    let wanted = std::env::var("LAKE_TEST_SNAPSHOTS").ok();
    let count = wanted
        .map_or(SAMPLE, |n| n.parse().unwrap())
        .clamp(2, all.len());
    let at = |i: usize| all[i * (all.len() - 1) / (count - 1)].clone();
    Some((0..count).map(at).collect())
}

/// Reads one snapshot: a chain for every asset and expiry, nearest expiry first within an asset.
pub(crate) fn read(path: &Path) -> Vec<Chain> {
    let text = zstd::Decoder::new(File::open(path).unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|h| h == name).unwrap();
    let columns = [
        "timestamp",
        "instrument_name",
        "underlying",
        "bid_price",
        "ask_price",
        "implied_volatility",
        "delta",
    ]
    .map(at);
    let mut rows: BTreeMap<(String, i64), Vec<_>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.unwrap();
        let [time, name, underlying, bid, ask, iv, delta] = columns.map(|i| row[i].to_owned());
        let option = parse_instrument(&name).unwrap();
        let now: UtcTime = time.parse().unwrap();
        let [underlying, iv, delta]: [f64; 3] = [underlying, iv, delta].map(|x| x.parse().unwrap());
        let [bid, ask] = [bid, ask].map(|x| x.parse::<f64>().ok());
        let key = (option.asset.clone(), option.expiry.micros());
        rows.entry(key)
            .or_default()
            .push((now.micros(), option, underlying, iv, delta, bid, ask));
    }
    rows.into_iter()
        .map(|((asset, expiry_micros), rows)| {
            let mut forwards: Vec<f64> = rows.iter().map(|r| r.2).collect();
            forwards.sort_by(f64::total_cmp);
            let (a, b) = (
                forwards[(forwards.len() - 1) / 2],
                forwards[forwards.len() / 2],
            );
            let forward = 0.5 * (a + b);
            let years = year_fraction(rows[0].0, expiry_micros);
            let quotes = rows
                .iter()
                .filter_map(|(_, option, _, iv, venue_delta, bid, ask)| {
                    let g = greeks(&BlackInput::forward(
                        option.kind,
                        forward,
                        option.strike,
                        years,
                        *iv,
                    ))
                    .ok()?;
                    let solve = |price: &Option<f64>| {
                        let price = (*price)? * forward;
                        implied_vol(option.kind, price, forward, option.strike, years).ok()
                    };
                    Some(Quote {
                        k: (option.strike / forward).ln(),
                        mark_iv: *iv,
                        bid_iv: solve(bid),
                        ask_iv: solve(ask),
                        two_sided: bid.is_some_and(|b| b > 0.0) && ask.is_some_and(|a| a > 0.0),
                        out_of_the_money: (option.kind == OptionKind::Call)
                            == (option.strike >= forward),
                        delta: g.delta,
                        venue_delta: *venue_delta,
                        vega: g.vega,
                    })
                })
                .collect();
            Chain {
                asset,
                expiry_micros,
                years,
                forward,
                quotes,
            }
        })
        .collect()
}
