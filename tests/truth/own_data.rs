//! Files of another layout, brought by a user who declares them and touches no code.

use std::fmt::Write as _;
use std::fs;

use lakectl_tests::Bench;

const FORWARD: f64 = 84_000.0;
/// 45 days of 1/365 year.
const EXPIRY_YEARS: f64 = 45.0 / 365.0;

/// A smile, in percent: what the file says, and what must come out as a fraction.
fn volatility_percent(strike: f64) -> f64 {
    let k = (strike / FORWARD).ln();
    48.0 - 12.0 * k + 90.0 * k * k
}

fn strikes() -> impl Iterator<Item = f64> {
    (0..17).map(|i| 60_000.0 + 3_000.0 * f64::from(i))
}

/// Chain and bars in a layout that nothing here has seen before, and their declaration.
const DECLARATION: &str = r#"
[sources.archive.datasets.my_chain]
glob = "mine/chain_*.csv"
format = "chain_csv"
feeds = "option_quotes"
partition = "day"
document_time = "name:%Y%m%d%H%M"
lag = "5m"
asset = "BTC"
separator = ";"
[sources.archive.datasets.my_chain.columns]
event_time = { column = "Quote Time", unit = "ms" }
instrument = "Contract"
expiry = { column = "Expires", unit = "s" }
strike = "K"
option_type = "CP"
bid = { column = "Best Bid (USD)", unit = "usd" }
ask = { column = "Best Offer (USD)", unit = "usd" }
mark = { column = "Fair (USD)", unit = "usd" }
underlying_price = "Fwd"
mark_iv = { column = "Vol %", unit = "percent" }
open_interest = { column = "OI", unit = "coin" }

[sources.archive.datasets.my_bars]
glob = "mine/bars.csv"
format = "candle_csv"
feeds = "spot_bars"
document_time = "2026-02-10T00:30:00Z"
width = "1d"
lag = "10m"
venue = "mine"
series = "spot"
asset = "BTC"
[sources.archive.datasets.my_bars.columns]
event_time = { column = "Day", unit = "%d/%m/%Y" }
open = "O"
high = "H"
low = "L"
close = "C"
"#;

/// Prices come from the program's own Black-76, asked in SQL.
fn chain(bench: &Bench, quoted_ms: i64, expires_s: i64) -> String {
    let mut text = "OI;Contract;CP;K;Expires;Fwd;Vol %;Fair (USD);Best Bid (USD);Best Offer (USD);Quote Time;Desk\n".to_owned();
    for strike in strikes() {
        let percent = volatility_percent(strike);
        for side in ["call", "put"] {
            let price = bench.sql(&format!(
                "SELECT black76_price('{side}', {FORWARD:?}, {strike:?}, {EXPIRY_YEARS:?}, {:?}) AS price",
                percent / 100.0
            ));
            let fair = price.f64s("price").unwrap()[0].unwrap();
            let (bid, offer) = (0.98 * fair, 1.02 * fair);
            let letter = &side[..1].to_uppercase();
            writeln!(
                text,
                "12.5;BTC/{strike}/{letter};{letter};{strike};{expires_s};{FORWARD};{percent};{fair};{bid};{offer};{quoted_ms};d1"
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn own_files_need_a_declaration_and_no_code() {
    let mut bench = Bench::new("archive");
    let folder = bench.folder().join("recordings/mine");
    fs::create_dir_all(&folder).unwrap();
    // 2026-02-09 20:15:00 UTC, and 45 days later.
    let quoted_s = 1_770_668_100;
    let text = chain(&bench, quoted_s * 1_000, quoted_s + 45 * 86_400);
    fs::write(folder.join("chain_202602092015.csv"), text).unwrap();
    let bars: String = (1..=9)
        .map(|day| {
            format!(
                "0{day}/02/2026,{0},{1},{2},{0}.5\n",
                80_000 + day * 100,
                85_000,
                79_000
            )
        })
        .collect();
    fs::write(folder.join("bars.csv"), format!("Day,O,H,L,C\n{bars}")).unwrap();

    let declared = format!(
        "{}\n{DECLARATION}",
        bench.project.text("configs/archive.toml").unwrap()
    );
    bench.project.set_text("configs/archive.toml", declared);
    bench.set(
        "sources.archive.root",
        &bench.folder().join("recordings").display().to_string(),
    );
    bench.set("calendar.end", "2026-02-10");
    bench.set("coverage.options.start", "2026-02-09");
    bench.set("coverage.daily.start", "2026-01-01");
    for goal in ["options.slices", "market.spot_bars"] {
        let (summary, _) = bench.run_until(goal);
        assert_eq!(summary.tasks.failed + summary.tasks.blocked, 0, "{goal}");
    }

    let quotes = bench
        .sql("SELECT strike, iv, bid_iv, ask_iv FROM options.greeks ORDER BY strike, option_type");
    assert_eq!(quotes.rows(), 34);
    let column = |name: &str| quotes.f64s(name).unwrap();
    for (row, strike) in column("strike").iter().enumerate() {
        let expected = volatility_percent(strike.unwrap()) / 100.0;
        assert!(
            (column("iv")[row].unwrap() - expected).abs() < 1e-12,
            "{strike:?}"
        );
        // Two per cent below the price of an option deep in the money is less than what it is worth today.
        let (bid, ask) = (
            column("bid_iv")[row].unwrap_or(0.0),
            column("ask_iv")[row].unwrap(),
        );
        assert!(
            bid < expected && expected < ask && ask - bid < 1.0,
            "{strike:?}: the quotes were in USD"
        );
    }
    let slice = bench
        .sql("SELECT status, quotes, two_sided_quotes, expiry_years, rmse_vol FROM options.slices");
    assert_eq!(slice.texts("status").unwrap(), [Some("ok".to_owned())]);
    assert_eq!(slice.f64s("two_sided_quotes").unwrap(), [Some(17.0)]);
    assert!((slice.f64s("expiry_years").unwrap()[0].unwrap() - EXPIRY_YEARS).abs() < 1e-12);
    let rmse = slice.f64s("rmse_vol").unwrap()[0].unwrap();
    eprintln!("smile of own quotes: rmse {rmse:.6}");
    assert!(rmse < 0.005, "{rmse}");
    let bars = bench.sql(
        "SELECT count(*) AS rows, max(close) AS high FROM market.spot_bars WHERE venue = 'mine'",
    );
    assert_eq!(bars.f64s("rows").unwrap(), [Some(9.0)]);
    assert_eq!(bars.f64s("high").unwrap(), [Some(80_900.5)]);
}

/// A feed without forward prices (empty cells, zeros): the quotes are kept, and put-call parity serves.
#[test]
fn a_chain_without_underlying_prices_stands_on_parity() {
    let mut bench = Bench::new("archive");
    let folder = bench.folder().join("recordings/mine");
    fs::create_dir_all(&folder).unwrap();
    let quoted_s = 1_770_668_100;
    let (mut text, mut coins) = (String::new(), DECLARATION.replace(" (USD)", ""));
    for (i, line) in chain(&bench, quoted_s * 1_000, quoted_s + 45 * 86_400)
        .lines()
        .enumerate()
    {
        let mut cells: Vec<String> = line.split(';').map(str::to_owned).collect();
        if i == 0 {
            cells
                .iter_mut()
                .for_each(|cell| *cell = cell.replace(" (USD)", ""));
        } else {
            cells[5] = if i % 2 == 0 { "0" } else { "" }.to_owned();
            for price in &mut cells[7..=9] {
                *price = (price.parse::<f64>().unwrap() / FORWARD).to_string();
            }
        }
        text.push_str(&(cells.join(";") + "\n"));
    }
    fs::write(folder.join("chain_202602092015.csv"), text).unwrap();
    coins = coins.replace("unit = \"usd\"", "unit = \"coin\"");
    let coins = &coins[..coins.find("[sources.archive.datasets.my_bars]").unwrap()];
    let declared = format!(
        "{}\n{coins}",
        bench.project.text("configs/archive.toml").unwrap()
    );
    bench.project.set_text("configs/archive.toml", declared);
    bench.set(
        "sources.archive.root",
        &bench.folder().join("recordings").display().to_string(),
    );
    bench.set("calendar.end", "2026-02-10");
    bench.set("coverage.options.start", "2026-02-09");
    bench.set("coverage.daily.start", "2026-01-01");
    let (summary, _) = bench.run_until("options.slices");
    assert!(summary.is_success(), "{:?}", summary.failures);
    let forwards = bench.sql(
        "SELECT forward, forward_source, forward_reason FROM options.forwards WHERE forward_venue IS NULL",
    );
    assert_eq!(forwards.rows(), 1);
    assert!((forwards.f64s("forward").unwrap()[0].unwrap() / FORWARD - 1.0).abs() < 1e-9);
    let word = |name: &str| forwards.texts(name).unwrap()[0].clone();
    assert_eq!(word("forward_source").as_deref(), Some("parity"));
    assert_eq!(word("forward_reason").as_deref(), Some("no_venue_price"));
    let fitted = bench.sql("SELECT count(a) AS fitted FROM options.slices");
    assert_eq!(fitted.f64s("fitted").unwrap()[0], Some(1.0));
    let kept = bench.sql(
        "SELECT count(*) AS rows, count(underlying_price) AS priced FROM market.option_quotes",
    );
    assert_eq!(kept.f64s("rows").unwrap()[0], Some(34.0));
    assert_eq!(kept.f64s("priced").unwrap()[0], Some(0.0));
}
