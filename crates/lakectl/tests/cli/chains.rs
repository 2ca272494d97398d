//! Recorded-looking files: option chains with true Black-76 prices, and daily bars.

use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The columns of a recorded chain.
pub(crate) const HEADER: &str = "timestamp,instrument_name,underlying,option_type,strike,expiry_datetime,bid_price,\
    ask_price,mark_price,implied_volatility,delta,vega,open_interest,volume,currency,index_price";

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// Lines of one snapshot of BTC on a day of January 2026, 20:00 UTC: eight expiries, fifteen strikes, calls and puts.
pub(crate) fn chain(day: u32) -> Vec<String> {
    let forward = 90_000.0 * (1.0 + 0.002 * f64::from(day));
    let mut lines = Vec::new();
    for ahead in [2_u32, 5, 9, 16, 30, 44, 58, 79] {
        let (month, date) = date(day + ahead);
        let years = (f64::from(ahead) - 0.5) / 365.0;
        for step in 0..15_u32 {
            let strike = (forward * (0.72 + 0.04 * f64::from(step)) / 500.0).round() * 500.0;
            let log_moneyness = libm::log(strike / forward);
            let volatility = 0.5 + 0.4 * log_moneyness * log_moneyness - 0.05 * log_moneyness;
            for (letter, word) in [("C", "call"), ("P", "put")] {
                let (price, delta) = black76(forward, strike, years, volatility, letter == "C");
                let mark = price / forward;
                let bid = if mark > 0.001 {
                    format!("{:.4}", mark - 0.0005)
                } else {
                    String::new()
                };
                lines.push(format!(
                    "2026-01-{day:02}T20:00:05.5+00:00,BTC-{date}{}26-{strike:.0}-{letter},{forward},{word},{strike:.1},\
                     2026-{:02}-{date:02}T08:00:00+00:00,{bid},{:.4},{mark:.8},{volatility:.4},{delta:.5},10.5,12.5,3.5,BTC,{forward}",
                    MONTHS[month as usize - 1],
                    month,
                    mark + 0.0005,
                ));
            }
        }
    }
    lines
}

/// Month and day of so many days after the end of 2025.
fn date(mut day: u32) -> (u32, u32) {
    for (month, days) in [(1, 31), (2, 28), (3, 31), (4, 30)] {
        if day <= days {
            return (month, day);
        }
        day -= days;
    }
    unreachable!("no expiry is so far ahead")
}

/// Undiscounted price and delta.
fn black76(forward: f64, strike: f64, years: f64, volatility: f64, call: bool) -> (f64, f64) {
    let deviation = volatility * years.sqrt();
    let d1 = libm::log(forward / strike) / deviation + 0.5 * deviation;
    let normal = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
    let sign = if call { 1.0 } else { -1.0 };
    let delta = sign * normal(sign * d1);
    (
        forward * delta - sign * strike * normal(sign * (d1 - deviation)),
        delta,
    )
}

/// The text of a chain file.
pub(crate) fn text(lines: &[String]) -> String {
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

/// Writes a chain file of the day, compressed as recorded ones are.
pub(crate) fn write_chain(root: &Path, time: &str, text: &str) {
    write_bytes(
        root,
        &format!("deribit_options_snapshot_{time}.csv.zst"),
        &packed(text),
    );
}

/// Writes a file beside the chains.
pub(crate) fn write_bytes(root: &Path, name: &str, bytes: &[u8]) {
    let folder = root.join("deribit/chains/2026-01");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

pub(crate) fn packed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).unwrap()
}

/// Daily bars of BTC for the days before 2026-01-12.
pub(crate) fn write_bars(root: &Path) {
    let mut text = String::from("timeOpen;timeClose;name;open;high;low;close;volume\n");
    for ago in 0..200_u32 {
        let day = 365 + 11 - ago;
        let (year, month, date) = of_2025(day);
        let close =
            90_000.0 * libm::exp(0.02 * libm::sin(f64::from(ago)) - 0.0004 * f64::from(ago));
        writeln!(
            text,
            "\"{year}-{month:02}-{date:02}T00:00:00.000Z\";\"{year}-{month:02}-{date:02}T23:59:59.999Z\";\"BTC\";{:.2};{:.2};{:.2};{close:.2};1",
            close * 0.999,
            close * 1.01,
            close * 0.99,
        )
        .unwrap();
    }
    let folder = root.join("ohlcv/coinmarketcap_daily");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("btc_historical.csv.zst"), packed(&text)).unwrap();
}

/// The day of that number since the start of 2025.
fn of_2025(mut day: u32) -> (u32, u32, u32) {
    let year = if day > 365 { 2026 } else { 2025 };
    if day > 365 {
        day -= 365;
    }
    for (month, days) in (1_u32..).zip([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if day <= days {
            return (year, month, day);
        }
        day -= days;
    }
    unreachable!("a year has twelve months")
}
