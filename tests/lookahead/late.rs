//! A series that ends, and a better one that begins later: while neither is there, nothing may tell that one will come.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use lakectl_tests::Bench;

use crate::twin::{Start, assert_tight, at, audit, run};

const METRICS: [&str; 23] = [
    "mdia",
    "mvrv",
    "mvrv_long_short_diff",
    "mvrv_usd_1d",
    "mvrv_usd_7d",
    "mvrv_usd_30d",
    "mvrv_usd_60d",
    "mvrv_usd_90d",
    "mvrv_usd_180d",
    "mvrv_usd_365d",
    "holders_1_10",
    "holders_10_100",
    "holders_100_1k",
    "holders_1k_10k",
    "exchange_inflow",
    "exchange_outflow",
    "exchange_balance",
    "lth_supply",
    "sth_supply",
    "dormancy",
    "sth_sopr",
    "market_cap_usd",
    "stablecoin_supply_usd",
];
const GOAL: &str = "signals.market_state";

/// A wandering series of every metric for the days `from..=to` of 2025, by number.
fn document(metrics: &[&str], from: i32, to: i32) -> String {
    let mut text = format!("day,{}\n", metrics.join(","));
    let first: lakectl_core::Day = "2025-01-01".parse().unwrap();
    let mut state = 12_345_u64;
    let mut values = vec![100.0; metrics.len()];
    for day in from..=to {
        write!(text, "{}", first.plus(day)).unwrap();
        for value in &mut values {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *value += (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0;
            write!(text, ",{value}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn dataset(file: &str, feeds: &str, venue: &str, metrics: &[&str]) -> String {
    let mut block = format!(
        "[sources.archive.datasets.{file}]\nglob = \"{file}.csv\"\nformat = \"metric_csv\"\nfeeds = \"{feeds}\"\n\
         document_time = \"2026-01-10T00:00:00Z\"\nwidth = \"1d\"\nlag = \"2h\"\nvenue = \"{venue}\"\nasset = \"BTC\"\n\
         [sources.archive.datasets.{file}.columns]\nevent_time = \"day\"\n[sources.archive.datasets.{file}.metrics]\n"
    );
    for metric in metrics {
        writeln!(
            block,
            "{metric} = {{ column = \"{metric}\", unit = \"ratio\" }}"
        )
        .unwrap();
    }
    block
}

#[test]
fn a_series_that_begins_later_is_not_foreseen() {
    let mut full = Bench::new("archive");
    let mut config = "[calendar]\nend = \"2025-12-31\"\n".to_owned();
    for coverage in ["options", "history", "daily", "forecast"] {
        write!(
            config,
            "[coverage.{coverage}]\nasset = [\"BTC\"]\nstart = \"2025-01-01\"\n"
        )
        .unwrap();
    }
    config.push_str("[sources.archive]\nassumed_availability = true\n");
    let root = full.folder().join("files");
    fs::create_dir_all(&root).unwrap();
    // A worse venue until the end of September, a better one from November on.
    for (file, feeds, venue, metrics, from, to) in [
        // A series that never stops, so that every day has a row.
        (
            "always",
            "metrics",
            "coinmetrics",
            &["price_usd"][..],
            0,
            364,
        ),
        ("early", "metrics", "santiment", &METRICS[..], 0, 272),
        ("late", "metrics", "glassnode", &METRICS[..], 304, 364),
        (
            "early_mood",
            "sentiment",
            "alternative.me",
            &["fear_greed"][..],
            0,
            272,
        ),
        (
            "late_mood",
            "sentiment",
            "santiment",
            &["social_sentiment"][..],
            304,
            364,
        ),
    ] {
        fs::write(
            root.join(format!("{file}.csv")),
            document(metrics, from, to),
        )
        .unwrap();
        config.push_str(&dataset(file, feeds, venue, metrics));
    }
    full.project.set_text("configs/archive.toml", config);
    full.set("sources.archive.root", &root.display().to_string());
    run(&full, Some(GOAL));
    let days = full.sql("SELECT count(*) AS days FROM features.onchain_signals WHERE mdia_ready AND whale_ready AND sent_ready");
    assert!(
        days.i64s("days").unwrap()[0] > Some(50),
        "the first venue is not used"
    );
    assert_tight(
        &full,
        Some(GOAL),
        &[
            (at("2025-03-01"), Start::Cut),
            (at("2025-10-03T12:00:00Z"), Start::Cut),
            (at("2025-10-20"), Start::Cut),
            (at("2025-11-05"), Start::Cut),
        ],
    );
    let before = files_below(&full.lake_root());
    audit(&full, Some(GOAL), at("2025-06-01"), Start::Fresh);
    assert_eq!(
        files_below(&full.lake_root()),
        before,
        "an audit only reads"
    );
}

/// Every file below a folder with its size.
fn files_below(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(files_below(&entry.path())),
            false => files.push((entry.path(), entry.metadata().unwrap().len())),
        }
    }
    files.sort();
    files
}
