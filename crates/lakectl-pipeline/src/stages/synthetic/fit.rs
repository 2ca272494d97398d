//! The model that a morning's chain and the days before it give.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_core::MICROS_PER_DAY;
use lakectl_options::OptionKind;
use lakectl_options::synthetic::{Skew, atm_vol, realised_vol};

use super::super::{Columns, Made, NativeTask, Out, Uses, batch};
use super::{Chain, KEYS, QUOTES, Quote, chains};
use crate::PipelineError;

/// A fit is of the last snapshot before noon, what comes later in the day scores it.
const NOON_MICROS: i64 = MICROS_PER_DAY / 2;
/// Expiries that a fit looks at, days.
const FIT_DAYS: (f64, f64) = (3.0, 14.0);
/// Daily returns behind the realised volatility.
const RETURNS: i64 = 7;
const BAR_KEYS: Uses = (
    "market.spot_bars",
    &["event_time", "known_at", "series", "venue", "width_s"],
);

/// What the columns of `skew_fit` are made of.
pub(in super::super) const FIT_MADE: &[Made] = &[
    Made {
        columns: &["event_time"],
        values: &[("options.greeks", &["event_time"])],
        conditions: &[],
    },
    Made {
        columns: &["known_at"],
        values: &[("options.greeks", &["known_at"])],
        conditions: &[KEYS],
    },
    Made {
        columns: &["asset"],
        values: &[],
        conditions: &[KEYS],
    },
    Made {
        columns: &["realised_vol", "closes"],
        values: &[("market.spot_bars", &["close"]), BAR_KEYS],
        conditions: &[KEYS, ("options.greeks", &["known_at"])],
    },
    Made {
        columns: &["multiplier", "reason"],
        values: &[QUOTES, ("market.spot_bars", &["close"])],
        conditions: &[KEYS, BAR_KEYS, ("options.greeks", &["known_at"])],
    },
    Made {
        columns: &[
            "atm_iv", "call_15", "call_25", "call_35", "call_50", "put_15", "put_25", "put_35",
            "put_50", "quotes", "vega",
        ],
        values: &[QUOTES],
        conditions: &[KEYS],
    },
];

/// Daily closes of one series by the midnight at which each day ended.
type Closes = BTreeMap<(bool, String), BTreeMap<i64, (i64, f64)>>;

/// Closes of bars that end at midnight, spot before other series, each with the time it was known.
fn closes(bars: &Columns) -> Result<Closes, PipelineError> {
    let (events, knowns) = (bars.micros("event_time")?, bars.micros("known_at")?);
    let (widths, prices) = (bars.i64s("width_s")?, bars.f64s("close")?);
    let (series, venues) = (bars.texts("series")?, bars.texts("venue")?);
    let mut closes = Closes::new();
    for row in 0..bars.rows() {
        let (Some(width), Some(price)) = (widths[row], prices[row]) else {
            continue;
        };
        let end = events[row].saturating_add(width.saturating_mul(1_000_000));
        if end.rem_euclid(MICROS_PER_DAY) != 0 || width > 86_400 {
            continue;
        }
        let series = series[row].as_deref().unwrap_or_default();
        let venue = venues[row].as_deref().unwrap_or_default();
        let name = format!("{series}:{venue}:{width}");
        closes
            .entry((series != "spot", name))
            .or_default()
            .insert(end, (knowns[row], price));
    }
    Ok(closes)
}

/// Realised volatility of the seven days that were over at `day_start`, as known at `known_micros`, from the first
/// series that has all of them; and that series' name.
fn realised(closes: &Closes, day_start: i64, known_micros: i64) -> Option<(f64, &str)> {
    closes.iter().find_map(|((_, name), ends)| {
        let prices: Option<Vec<f64>> = (0..=RETURNS)
            .rev()
            .map(|back| {
                let (known, price) = ends.get(&(day_start - back * MICROS_PER_DAY))?;
                (*known <= known_micros).then_some(*price)
            })
            .collect();
        Some((realised_vol(&prices?)?, name.as_str()))
    })
}

/// Volatility at the money of each expiry of a chain.
fn atm_vols(quotes: &[Quote]) -> BTreeMap<i64, f64> {
    let mut smiles: BTreeMap<i64, Vec<(f64, f64)>> = BTreeMap::new();
    for quote in quotes.iter().filter(|quote| quote.out_of_the_money) {
        let smile = smiles.entry(quote.expiry_micros).or_default();
        smile.push((quote.log_moneyness, quote.iv));
    }
    let level = |(expiry, smile): (i64, Vec<(f64, f64)>)| Some((expiry, atm_vol(&smile)?));
    smiles.into_iter().filter_map(level).collect()
}

/// What a chain says of the model, beside realised volatility.
struct Fit {
    atm: Option<f64>,
    calls: Skew,
    puts: Skew,
    quotes: usize,
    vega: f64,
}

fn fit_chain(quotes: &[Quote]) -> Fit {
    let atm = atm_vols(quotes);
    let near = |quote: &&Quote| (FIT_DAYS.0..=FIT_DAYS.1).contains(&quote.days());
    let levels: BTreeMap<i64, f64> = quotes
        .iter()
        .filter(near)
        .filter_map(|quote| Some((quote.expiry_micros, *atm.get(&quote.expiry_micros)?)))
        .collect();
    let ratios = |kind: OptionKind| -> Vec<(f64, f64, f64)> {
        let quotes = quotes.iter().filter(near);
        let sided = quotes.filter(|quote| quote.kind == kind && quote.two_sided);
        sided
            .filter_map(|quote| {
                let level = levels.get(&quote.expiry_micros)?;
                Some((quote.delta.abs(), quote.iv / level, quote.vega))
            })
            .collect()
    };
    let (calls, puts) = (ratios(OptionKind::Call), ratios(OptionKind::Put));
    let skew = |ratios: &[(f64, f64, f64)]| {
        let pairs: Vec<(f64, f64)> = ratios.iter().map(|r| (r.0, r.1)).collect();
        Skew::fit(&pairs)
    };
    let sum: f64 = levels.values().sum();
    Fit {
        atm: (!levels.is_empty()).then(|| sum / levels.len() as f64),
        calls: skew(&calls),
        puts: skew(&puts),
        quotes: calls.len() + puts.len(),
        vega: calls.iter().chain(&puts).map(|r| r.2).sum(),
    }
}

/// The last snapshot before noon of each day, with that day's start.
fn mornings(chains: &BTreeMap<i64, Chain>) -> BTreeMap<i64, i64> {
    let times = chains
        .keys()
        .map(|time| (time - time.rem_euclid(MICROS_PER_DAY), *time));
    times
        .filter(|(day, time)| time - day < NOON_MICROS)
        .collect()
}

/// One row a day: the model that the morning's chain and the days before it give.
pub(in super::super) fn fit(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let chains = chains(task.input("options.greeks")?)?;
    let closes = closes(task.input("market.spot_bars")?)?;
    let (mut assets, mut events, mut knowns) = (vec![], vec![], vec![]);
    let (mut sources, mut counts, mut reasons) = (vec![], vec![], vec![]);
    let mut numbers: [Vec<Option<f64>>; 12] = Default::default();
    for (day, time) in mornings(&chains) {
        let chain = &chains[&time];
        let found = fit_chain(&chain.quotes);
        let realised = realised(&closes, day, chain.known_micros);
        let level = realised.map(|(vol, _)| vol);
        let mut values = vec![
            level,
            found.atm,
            found.atm.zip(level).map(|(atm, level)| atm / level),
        ];
        let skews = [&found.calls, &found.puts];
        values.extend(skews.iter().flat_map(|skew| skew.ratios).map(Some));
        values.push(Some(found.vega));
        for (column, value) in numbers.iter_mut().zip(values) {
            column.push(value);
        }
        assets.push(Some(asset.clone()));
        events.push(Some(time));
        knowns.push(Some(chain.known_micros));
        sources.push(realised.map(|(_, name)| name.to_owned()));
        counts.push(Some(found.quotes as i64));
        let reason = match (level, found.atm) {
            (None, _) => Some("no_closes"),
            (_, None) => Some("no_volatility_at_the_money"),
            _ => None,
        };
        reasons.push(reason.map(str::to_owned));
    }
    let [
        realised,
        atm,
        multiplier,
        c15,
        c25,
        c35,
        c50,
        p15,
        p25,
        p35,
        p50,
        vega,
    ] = numbers.map(Out::F64);
    let columns = vec![
        Out::Utf8(assets),
        Out::Ts(events),
        Out::Ts(knowns),
        realised,
        Out::Utf8(sources),
        atm,
        multiplier,
        c15,
        c25,
        c35,
        c50,
        p15,
        p25,
        p35,
        p50,
        Out::I64(counts),
        vega,
        Out::Utf8(reasons),
    ];
    batch(&task.schema, columns)
}
