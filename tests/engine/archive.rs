//! A small folder of recorded files, as the shipped profile `archive` declares them.

use std::fs;
use std::path::{Path, PathBuf};

use lakectl_core::{Day, UtcTime};
use lakectl_tests::Bench;

/// First day of the recordings; they cross a month.
pub(crate) const START: &str = "2026-01-30";
/// Last day.
pub(crate) const END: &str = "2026-02-01";
pub(crate) const DAYS: &str = "{2026-01-30,2026-01-31,2026-02-01}";

/// A bench with its own recordings.
pub(crate) struct Archive {
    pub(crate) bench: Bench,
    pub(crate) root: PathBuf,
}

impl Archive {
    /// Writes a chain of both assets a day, daily bars of BTC and the volatility index of both.
    pub(crate) fn new() -> Self {
        let mut bench = Bench::new("archive");
        let root = bench.folder().join("recordings");
        bench.set("sources.archive.root", &root.display().to_string());
        for coverage in ["options", "history", "daily", "forecast"] {
            bench.set(&format!("coverage.{coverage}.start"), START);
        }
        let archive = Self { bench, root };
        let mut day: Day = START.parse().unwrap();
        let end: Day = END.parse().unwrap();
        while day <= end {
            archive.chain(&day.to_string(), [0.50, 0.65]);
            day = day.plus(1);
        }
        archive.bars(END);
        archive
    }

    /// Plans until `day`.
    pub(crate) fn end(&mut self, day: &str) {
        self.bench.set("calendar.end", day);
    }

    /// The path of a day's chain.
    pub(crate) fn chain_path(&self, day: &str) -> PathBuf {
        let stamp = day.replace('-', "");
        self.root.join(format!(
            "deribit/chains/{}/deribit_options_snapshot_{stamp}T210000Z.csv.zst",
            &day[..7]
        ))
    }

    /// Writes the chain of one day; volatilities at the money of BTC and ETH.
    pub(crate) fn chain(&self, day: &str, vols: [f64; 2]) {
        let path = self.chain_path(day);
        write(
            &path,
            &zstd::encode_all(chain(day, vols).as_bytes(), 3).unwrap(),
        );
    }

    /// Writes daily bars from a month before the first day to `last`.
    pub(crate) fn bars(&self, last: &str) {
        let first: Day = "2026-01-01".parse().unwrap();
        let last: Day = last.parse().unwrap();
        let mut bars = "timeOpen;open;high;low;close\n".to_owned();
        let mut indices = [
            "date,symbol,open,high,low,close\n".to_owned(),
            "date,symbol,open,high,low,close\n".to_owned(),
        ];
        let mut day = first;
        while day <= last {
            let price = 90_000.0 + 250.0 * f64::from(day.days() % 7);
            bars.push_str(&format!(
                "\"{day}T00:00:00.000Z\";{price};{};{};{price}\n",
                price + 90.0,
                price - 90.0
            ));
            for (index, (symbol, level)) in indices.iter_mut().zip([("BTC", 50.0), ("ETH", 65.0)]) {
                let level = level + f64::from(day.days() % 3);
                index.push_str(&format!(
                    "{day},{symbol},{level},{},{},{level}\n",
                    level + 1.0,
                    level - 1.0
                ));
            }
            day = day.plus(1);
        }
        let packed = zstd::encode_all(bars.as_bytes(), 3).unwrap();
        write(
            &self
                .root
                .join("ohlcv/coinmarketcap_daily/btc_historical.csv.zst"),
            &packed,
        );
        write(
            &self.root.join("deribit/dvol/btc_dvol.csv"),
            indices[0].as_bytes(),
        );
        write(
            &self.root.join("deribit/dvol/eth_dvol.csv"),
            indices[1].as_bytes(),
        );
    }
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A snapshot at 21:00 UTC: four expiries, nine strikes, calls and puts.
fn chain(day: &str, vols: [f64; 2]) -> String {
    let start: Day = day.parse().unwrap();
    let time = UtcTime::from_micros(start.start().micros() + 21 * 3_600_000_000);
    let mut text = "timestamp,currency,instrument_name,expiry_datetime,strike,option_type,bid_price,ask_price,mark_price,\
                    underlying,implied_volatility,open_interest,volume,index_price,delta,vega\n"
        .to_owned();
    for (asset, spot, step, vol) in [
        ("BTC", 90_000.0, 4_000.0, vols[0]),
        ("ETH", 3_000.0, 150.0, vols[1]),
    ] {
        for days in [8, 22, 50, 120] {
            let expiry = start.plus(days);
            for place in -4..=4 {
                let strike = spot + step * f64::from(place);
                let iv = vol + 0.004 * f64::from(place * place) - 0.005 * f64::from(place);
                for (option_type, letter) in [("call", "C"), ("put", "P")] {
                    let name = format!("{asset}-{}-{strike}-{letter}", venue_date(expiry));
                    text.push_str(&format!(
                        "{time},{asset},{name},{expiry}T08:00:00+00:00,{strike},{option_type},0.04,0.042,0.041,{spot},{iv:.4},\
                         10,1,{spot},0.5,100\n"
                    ));
                }
            }
        }
    }
    text
}

/// `7FEB26`.
fn venue_date(day: Day) -> String {
    const MONTHS: [&str; 12] = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    let text = day.to_string();
    let number = |range: std::ops::Range<usize>| text[range].parse::<usize>().unwrap();
    format!(
        "{}{}{}",
        number(8..10),
        MONTHS[number(5..7) - 1],
        &text[2..4]
    )
}
