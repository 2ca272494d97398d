//! The forecast on recorded bitcoin closes and the recorded implied volatility index, when they are at hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lakectl_stats::scores::QuantileFunction;
use polars::prelude::{Column, DataFrame};

use crate::baseline::{self, Window};
use crate::dataset::DAY_MICROS;
use crate::{Dataset, DatasetSpec, Feature, FitConfig, LEVELS, QuantileModel, Role};

fn root() -> PathBuf {
    std::env::var_os("LAKE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    )
}

/// Days since 1970 of `YYYY-MM-DD`, by counting leap years.
fn day(text: &str) -> i64 {
    let part = |r: std::ops::Range<usize>| text[r].parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    // Years start in March, so that the leap day is the last one.
    let y = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719_468
}

/// Values by the day at whose start they are known: the close of a day is known when the next begins.
fn series(text: &str, separator: char, column: usize) -> BTreeMap<i64, f64> {
    text.trim_start_matches('\u{feff}')
        .lines()
        .skip(1)
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(separator).collect();
            let value = cells.get(column)?.parse().ok()?;
            Some((day(cells[0].trim_matches('"')) + 1, value))
        })
        .collect()
}

#[test]
#[allow(clippy::print_stderr)]
fn recorded_bitcoin_is_forecast_better_than_by_climatology() {
    let root = root();
    let (Ok(dvol), Ok(packed)) = (
        std::fs::read_to_string(root.join("deribit/dvol/btc_dvol.csv")),
        std::fs::read(root.join("ohlcv/coinmarketcap_daily/btc_historical.csv.zst")),
    ) else {
        // Past the capture of test output, so that it is read.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: no recorded data at {}\n", root.display()),
        );
        return;
    };
    let closes = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let closes = series(&closes, ';', 8);
    let dvol = series(&dvol, ',', 5);
    let (first, last) = (
        *dvol.keys().next().unwrap(),
        *dvol.keys().next_back().unwrap() - 2,
    );
    let days: Vec<i64> = (first..=last).collect();
    let features = DataFrame::new(
        days.len(),
        vec![
            Column::new(
                "as_of".into(),
                days.iter().map(|d| d * DAY_MICROS).collect::<Vec<_>>(),
            ),
            Column::new(
                "dvol".into(),
                days.iter()
                    .map(|d| dvol.get(d).map(|v| v / 100.0))
                    .collect::<Vec<_>>(),
            ),
        ],
    )
    .unwrap();
    let prices = DataFrame::new(
        closes.len(),
        vec![
            Column::new(
                "time".into(),
                closes.keys().map(|d| d * DAY_MICROS).collect::<Vec<_>>(),
            ),
            Column::new("close".into(), closes.values().copied().collect::<Vec<_>>()),
        ],
    )
    .unwrap();
    for horizon_hours in [24, 168] {
        let features_used = vec![Feature::new("dvol", "options", Role::ImpliedVol)];
        let spec = DatasetSpec {
            features: features_used,
            horizon_hours,
            with_return_features: true,
        };
        let data = Dataset::assemble(&features, &prices, &spec).unwrap();
        let (mut model, mut sums, mut covered, mut n) = (None, [0.0; 3], 0.0, 0.0);
        for i in 120..data.len() {
            let now = data.as_of(i);
            if (i - 120).is_multiple_of(30) {
                model =
                    Some(QuantileModel::fit(&data.known_at(now), &FitConfig::default()).unwrap());
            }
            let Some(label) = data.label(i) else { continue };
            let q = model
                .as_ref()
                .unwrap()
                .predict(data.row(i))
                .unwrap()
                .quantiles;
            let climatology = baseline::climatology(&data, now, Window::default()).unwrap();
            let scaled = baseline::vol_scaled(&data, now, "ewma_vol", Window::default()).unwrap();
            for (sum, q) in sums.iter_mut().zip([q, climatology, scaled]) {
                *sum += QuantileFunction::new(&LEVELS, &q)
                    .unwrap()
                    .crps(label.total)
                    .unwrap();
            }
            covered += f64::from(q[0] <= label.total && label.total <= q[4]);
            n += 1.0;
        }
        let skill = |k: usize| 100.0 * (1.0 - sums[k] / sums[1]);
        eprintln!(
            "{horizon_hours} h: {n} days, skill against climatology {:.2} %, vol scaled {:.2} %, coverage of 90 %: {:.3}",
            skill(0),
            skill(2),
            covered / n
        );
        assert!(skill(0) > if horizon_hours == 24 { 0.5 } else { -1.0 });
        assert!((covered / n - 0.9).abs() < 0.05);
    }
}
