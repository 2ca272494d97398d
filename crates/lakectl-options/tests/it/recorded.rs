//! Fits on recorded Deribit chains.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use lakectl_core::UtcTime;
use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, greeks};
use lakectl_options::contract::{parse_instrument, year_fraction};
use lakectl_options::smile::{Smile, calendar, fit_svi};
use lakectl_options::surface::{Slice, Surface};

const FILES: usize = 10;

fn chains() -> Option<PathBuf> {
    let root = std::env::var_os("LAKE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join("deribit/chains");
    folder.is_dir().then_some(folder)
}

/// Files spread evenly over the recording.
fn sample(folder: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let all: Vec<PathBuf> = list(folder).iter().flat_map(|month| list(month)).collect();
    (0..FILES)
        .map(|i| all[i * (all.len() - 1) / (FILES - 1)].clone())
        .collect()
}

#[derive(Default)]
struct Chain {
    forward: f64,
    years: f64,
    quotes: Vec<(f64, f64, f64)>,
}

#[test]
fn recorded_slices_fit_and_deltas_agree() {
    let Some(folder) = chains() else {
        // Past the capture of test output, so that it is read.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!(
                "SKIPPED: recorded chains are not here; set LAKE_TEST_DATA to their folder\n"
            ),
        );
        return;
    };
    let (mut slices, mut fitted, mut repaired, mut free, mut calendar_free, mut pairs) =
        (0, 0, 0, 0, 0, 0);
    let mut rmse = Vec::new();
    let mut g_min = Vec::new();
    let mut delta_gap = Vec::new();
    let mut levels = Vec::new();
    for path in sample(&folder) {
        let mut expiries: BTreeMap<(String, i64), Chain> = BTreeMap::new();
        let text = zstd::Decoder::new(File::open(&path).unwrap()).unwrap();
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
        for row in reader.records() {
            let row = row.unwrap();
            let [time, name, underlying, bid, ask, iv, delta] = columns.map(|i| row[i].to_owned());
            let option = parse_instrument(&name).unwrap();
            let now: UtcTime = time.parse().unwrap();
            let years = year_fraction(now.micros(), option.expiry.micros());
            let [forward, iv, venue_delta]: [f64; 3] =
                [underlying, iv, delta].map(|x| x.parse().unwrap());
            let two_sided = !bid.is_empty() && !ask.is_empty();
            if years * 365.0 <= 1.0 {
                continue;
            }
            let g = greeks(&BlackInput::forward(
                option.kind,
                forward,
                option.strike,
                years,
                iv,
            ))
            .unwrap();
            if (0.02..0.98).contains(&g.delta.abs()) {
                delta_gap.push((g.delta - venue_delta).abs());
            }
            let chain = expiries
                .entry((option.asset, option.expiry.micros()))
                .or_default();
            chain.forward = forward;
            chain.years = years;
            let out = match option.kind {
                OptionKind::Call => option.strike >= forward,
                OptionKind::Put => option.strike < forward,
            };
            if two_sided && out && (0.05..=0.95).contains(&g.delta.abs()) {
                chain
                    .quotes
                    .push(((option.strike / forward).ln(), iv, g.vega / forward));
            }
        }
        let mut surfaces: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
        for ((asset, _), chain) in expiries {
            if chain.quotes.len() < 8 {
                continue;
            }
            slices += 1;
            let k: Vec<f64> = chain.quotes.iter().map(|q| q.0).collect();
            let iv: Vec<f64> = chain.quotes.iter().map(|q| q.1).collect();
            let weight: Vec<f64> = chain.quotes.iter().map(|q| q.2).collect();
            if let Ok(fit) = fit_svi(&k, &iv, &weight, chain.years) {
                fitted += 1;
                rmse.push(fit.rmse_vol);
                repaired += usize::from(fit.repaired);
                free += usize::from(fit.butterfly_free);
                g_min.extend(fit.g_min);
                let slice = Slice {
                    expiry_years: chain.years,
                    forward: chain.forward,
                    svi: fit.svi,
                };
                surfaces.entry(asset).or_default().push(slice);
            }
        }
        for (asset, slices) in surfaces {
            let surface = Surface::new(slices).unwrap();
            for pair in surface.slices().windows(2) {
                // Where the nearer expiry is quoted.
                let range = 2.0 * pair[0].svi.total_variance(0.0).sqrt();
                pairs += 1;
                calendar_free += usize::from(
                    calendar(&pair[0].svi, &pair[1].svi, range).is_some_and(|c| c.free),
                );
            }
            levels.push((asset, surface.nodes().level()));
        }
    }
    for list in [&mut rmse, &mut g_min, &mut delta_gap] {
        list.sort_by(f64::total_cmp);
    }
    let share = |list: &[f64], p: f64| list[((list.len() - 1) as f64 * p) as usize];
    eprintln!(
        "recorded: {fitted}/{slices} slices fit, rmse median {:.5} p90 {:.5} max {:.5}, {free} without butterfly, {repaired} repaired \
         (g_min p10 {:.3}), {calendar_free}/{pairs} calendar pairs free within two deviations, delta gap median {:.6}",
        share(&rmse, 0.5),
        share(&rmse, 0.9),
        share(&rmse, 1.0),
        share(&g_min, 0.1),
        share(&delta_gap, 0.5),
    );
    assert!(slices > 50 && fitted as f64 >= 0.95 * slices as f64);
    assert!(share(&rmse, 0.5) <= 0.005);
    assert!(share(&delta_gap, 0.5) <= 0.001);
    assert!(
        levels
            .iter()
            .all(|(_, level)| level.is_some_and(|v| (0.1..2.0).contains(&v))),
        "{levels:?}"
    );
}
