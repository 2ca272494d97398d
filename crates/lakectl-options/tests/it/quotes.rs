//! Every recorded quote against what the exchange said of it: mark, delta, vega, and the price at the money.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use lakectl_core::UtcTime;
use lakectl_options::OptionKind;
use lakectl_options::clean::{CleaningRules, Exclusion, QuoteFacts, exclusions};
use lakectl_options::contract::{parse_instrument, year_fraction};
use lakectl_options::display::deribit_greeks;
use lakectl_options::implied::implied_vol_coin;
use lakectl_options::smile::{Smile, fit_svi};

/// Chains that the short form reads, spread evenly over the recording; `LAKE_TEST_FULL=1` reads all.
const FILES: usize = 45;
const DAYS_PER_YEAR: f64 = 365.0;

/// The recorded chains, in order; says aloud when there are none.
fn recorded(test: &str) -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("LAKE_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let list = |folder: &Path| {
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        Some(paths)
    };
    let Some(months) = list(&root.join("deribit/chains")) else {
        // Past the capture of test output, so that it is read.
        let text =
            format!("SKIPPED {test}: no recorded chains; set LAKE_TEST_DATA to their folder\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
        return None;
    };
    let all: Vec<PathBuf> = months
        .iter()
        .filter_map(|month| list(month))
        .flatten()
        .collect();
    if std::env::var_os("LAKE_TEST_FULL").is_some_and(|value| value == "1") {
        return Some(all);
    }
    let spread = |i: usize| all[i * (all.len() - 1) / (FILES - 1)].clone();
    Some((0..FILES).map(spread).collect())
}

struct Quote {
    kind: OptionKind,
    forward: f64,
    strike: f64,
    years: f64,
    iv: f64,
    bid: Option<f64>,
    ask: Option<f64>,
    vega: f64,
    delta: f64,
}

#[derive(Default)]
struct Gaps {
    mark: Vec<f64>,
    delta: Vec<f64>,
    vega: Vec<f64>,
    /// Relative gap of the marks' inverted volatility to the venue's, and what its rounding allows.
    iv: Vec<f64>,
    atm: Vec<f64>,
    excluded: BTreeMap<&'static str, usize>,
    quotes: usize,
}

fn read(path: &PathBuf, gaps: &mut Gaps) -> BTreeMap<(String, i64), Vec<Quote>> {
    let mut slices: BTreeMap<(String, i64), Vec<Quote>> = BTreeMap::new();
    let text = zstd::Decoder::new(File::open(path).unwrap()).unwrap();
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|h| h == name).unwrap();
    let words = ["timestamp", "instrument_name"].map(at);
    let numbers = [
        "underlying",
        "mark_price",
        "implied_volatility",
        "delta",
        "vega",
        "bid_price",
        "ask_price",
        "open_interest",
    ]
    .map(at);
    for row in reader.records() {
        let row = row.unwrap();
        let [time, name] = words.map(|i| &row[i]);
        let [forward, mark, iv, delta, vega, bid, ask, open] =
            numbers.map(|i| row[i].parse::<f64>().ok());
        let (forward, mark, iv) = (forward.unwrap(), mark.unwrap(), iv.unwrap());
        let option = parse_instrument(name).unwrap();
        let now: UtcTime = time.parse().unwrap();
        let years = year_fraction(now.micros(), option.expiry.micros());
        let (kind, strike) = (option.kind, option.strike);
        let g = deribit_greeks(kind, option.settlement, forward, strike, years, iv).unwrap();
        gaps.quotes += 1;
        gaps.mark.push((g.mark_price - mark).abs());
        let facts = QuoteFacts {
            expiry_years: years,
            bid,
            ask,
            iv: Some(iv),
            open_interest: open,
            age_s: None,
        };
        let reasons = exclusions(&facts, &CleaningRules::default());
        for reason in reasons.iter() {
            *gaps.excluded.entry(reason.word()).or_default() += 1;
        }
        let delta = delta.unwrap();
        if years * DAYS_PER_YEAR <= 1.0 {
            continue;
        }
        if delta.abs() > 0.02 && delta.abs() < 0.98 {
            gaps.delta.push((g.delta - delta).abs());
            gaps.vega.push((g.vega / vega.unwrap() - 1.0).abs());
            // A mark of few ticks says little of the volatility behind it.
            if mark > 0.001 && reasons.iter().all(|r| r != Exclusion::NoIv) {
                let solved = implied_vol_coin(kind, mark, forward, strike, years);
                gaps.iv.extend(solved.ok().map(|vol| (vol - iv).abs()));
            }
        }
        let slice = slices
            .entry((option.asset, option.expiry.micros()))
            .or_default();
        slice.push(Quote {
            kind,
            forward,
            strike,
            years,
            iv,
            bid,
            ask,
            vega: g.vega,
            delta: g.delta,
        });
    }
    slices
}

/// The relative gap of the fitted price to the middle of the market, call and put at the strike nearest to the forward,
/// where that quote is liquid: two-sided with a spread of at most five per cent.
fn atm_errors(slice: &[Quote]) -> Vec<f64> {
    // The quotes and weights of the stage that fits slices.
    let outside = |q: &&Quote| {
        (q.kind == OptionKind::Call) == (q.strike >= q.forward)
            && (0.01..=0.99).contains(&q.delta.abs())
    };
    let column = |of: fn(&Quote) -> f64| slice.iter().filter(outside).map(of).collect::<Vec<_>>();
    let k = column(|q| (q.strike / q.forward).ln());
    let weights = column(|q| {
        let side = |price: Option<f64>| {
            implied_vol_coin(q.kind, price?, q.forward, q.strike, q.years).ok()
        };
        let spread = side(q.ask).zip(side(q.bid)).map(|(ask, bid)| ask - bid);
        q.vega / spread.map_or(0.10, |spread| spread.max(0.005))
    });
    let Ok(fit) = fit_svi(&k, &column(|q| q.iv), &weights, slice[0].years) else {
        return Vec::new();
    };
    [OptionKind::Call, OptionKind::Put]
        .into_iter()
        .filter_map(|kind| {
            let distance = |q: &&Quote| (q.strike / q.forward).ln().abs();
            let side = slice.iter().filter(|q| q.kind == kind);
            let q = side.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
            let (bid, ask) = (q.bid.filter(|p| *p > 0.0)?, q.ask?);
            let middle = 0.5 * (bid + ask);
            let vol = fit.svi.vol((q.strike / q.forward).ln(), q.years)?;
            let settlement = lakectl_options::Settlement::Inverse;
            let g = deribit_greeks(kind, settlement, q.forward, q.strike, q.years, vol).ok()?;
            (ask - bid <= 0.05 * middle).then(|| (g.mark_price / middle - 1.0).abs())
        })
        .collect()
}

#[test]
fn recorded_quotes_follow_from_their_volatilities() {
    let Some(paths) = recorded("recorded_quotes_follow_from_their_volatilities") else {
        return;
    };
    let mut gaps = Gaps::default();
    for path in &paths {
        for mut slice in read(path, &mut gaps).into_values() {
            // Rows of one expiry were not all taken at the same moment; as in the lake, one forward stands for all.
            slice.sort_by(|a, b| a.forward.total_cmp(&b.forward));
            let (low, high) = (
                slice[(slice.len() - 1) / 2].forward,
                slice[slice.len() / 2].forward,
            );
            slice
                .iter_mut()
                .for_each(|q| q.forward = 0.5 * (low + high));
            if slice[0].years * DAYS_PER_YEAR > 1.0 {
                gaps.atm.extend(atm_errors(&slice));
            }
        }
    }
    let at = |list: &mut Vec<f64>, shares: [f64; 4]| {
        list.sort_by(f64::total_cmp);
        shares.map(|p| list[((list.len() - 1) as f64 * p) as usize])
    };
    let shares = [0.5, 0.9, 0.99, 1.0];
    let mark = at(&mut gaps.mark, shares);
    let delta = at(&mut gaps.delta, shares);
    let vega = at(&mut gaps.vega, shares);
    let iv = at(&mut gaps.iv, shares);
    let atm = at(&mut gaps.atm, shares);
    eprintln!(
        "{} quotes of {} chains; median, 90 %, 99 %, largest: mark {mark:.7?} coin, delta {delta:.5?}, vega {vega:.5?}, \
         volatility of the mark {iv:.5?}",
        gaps.quotes,
        paths.len()
    );
    eprintln!(
        "{} liquid quotes at the money: price against the middle {atm:.4?}",
        gaps.atm.len()
    );
    eprintln!("reasons against quotes: {:?}", gaps.excluded);
    assert!(mark[0] <= 1e-5);
    assert!(delta[0] <= 0.0005 && delta[1] <= 0.004);
    assert!(vega[0] <= 0.002);
    assert!(iv[0] <= 0.001);
    assert!(atm[3] < 0.05 && gaps.atm.len() > 1_000);
    assert!(gaps.excluded["wide_spread"] > 0 && !gaps.excluded.contains_key("crossed"));
}
