//! The synthetic skew model held against recorded chains: fitted in the morning, scored for the rest of the day.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_core::MICROS_PER_DAY;
use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, price};
use lakectl_options::synthetic::{
    ANCHOR_DELTAS, Comparison, Score, Skew, Synthetic, atm_vol, realised_vol, score,
};

use super::{Columns, Made, NativeTask, Out, Uses, batch};
use crate::PipelineError;

const DAYS_PER_YEAR: f64 = 365.0;
/// A fit is of the last snapshot before noon, what comes later in the day scores it.
const NOON_MICROS: i64 = MICROS_PER_DAY / 2;
/// Expiries that a fit looks at, days.
const FIT_DAYS: (f64, f64) = (3.0, 14.0);
/// Daily returns behind the realised volatility.
const RETURNS: i64 = 7;
/// Bands of the report, days to expiry and size of the delta; the last bound of each is not included.
const DAY_BANDS: [(f64, f64, &str); 4] = [
    (1.0, 3.0, "1-3"),
    (3.0, 14.0, "3-14"),
    (14.0, 45.0, "14-45"),
    (45.0, f64::INFINITY, "45-"),
];
const DELTA_BANDS: [(f64, f64, &str); 4] = [
    (0.05, 0.20, "05-20"),
    (0.20, 0.30, "20-30"),
    (0.30, 0.45, "30-45"),
    (0.45, 0.55, "45-55"),
];
const KINDS: [OptionKind; 2] = [OptionKind::Call, OptionKind::Put];

const QUOTE_VALUES: &[&str] = &[
    "expiry_years",
    "forward",
    "strike",
    "log_moneyness",
    "iv",
    "delta",
    "vega",
    "price_usd",
    "bid_iv",
    "ask_iv",
];
const QUOTE_KEYS: &[&str] = &[
    "event_time",
    "expiry",
    "option_type",
    "two_sided",
    "out_of_the_money",
];
const QUOTES: Uses = ("options.greeks", QUOTE_VALUES);
const KEYS: Uses = ("options.greeks", QUOTE_KEYS);
const BAR_KEYS: Uses = (
    "market.spot_bars",
    &["event_time", "known_at", "series", "venue", "width_s"],
);
const FIT_TIME: Uses = ("options.skew_fit", &["event_time"]);
const FIT_VALUES: Uses = (
    "options.skew_fit",
    &[
        "realised_vol",
        "multiplier",
        "call_15",
        "call_25",
        "call_35",
        "call_50",
        "put_15",
        "put_25",
        "put_35",
        "put_50",
    ],
);

/// What the columns of `skew_fit` are made of.
pub(super) const FIT_MADE: &[Made] = &[
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
        conditions: &[KEYS, BAR_KEYS],
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

/// What the columns of `skew_report` are made of.
pub(super) const REPORT_MADE: &[Made] = &[
    Made {
        columns: &["event_time"],
        values: &[("options.greeks", &["event_time"])],
        conditions: &[FIT_TIME],
    },
    Made {
        columns: &["fitted_at"],
        values: &[FIT_TIME],
        conditions: &[KEYS],
    },
    Made {
        columns: &["known_at"],
        values: &[
            ("options.greeks", &["known_at"]),
            ("options.skew_fit", &["known_at"]),
        ],
        conditions: &[KEYS, FIT_TIME],
    },
    Made {
        columns: &[
            "asset",
            "sample",
            "model",
            "option_type",
            "dte_band",
            "delta_band",
        ],
        values: &[],
        conditions: &[KEYS, QUOTES, FIT_TIME, FIT_VALUES],
    },
    Made {
        columns: &[
            "quotes",
            "skipped",
            "vega",
            "mae_vol",
            "bias_vol",
            "mae_share",
            "bias_share",
            "inside_share",
        ],
        values: &[QUOTES, FIT_VALUES],
        conditions: &[KEYS, FIT_TIME],
    },
];

struct Quote {
    expiry_micros: i64,
    kind: OptionKind,
    expiry_years: f64,
    forward: f64,
    strike: f64,
    log_moneyness: f64,
    iv: f64,
    delta: f64,
    vega: f64,
    price: f64,
    sides: Option<(f64, f64)>,
    two_sided: bool,
    out_of_the_money: bool,
}

impl Quote {
    fn days(&self) -> f64 {
        self.expiry_years * DAYS_PER_YEAR
    }
}

/// The priced quotes of one snapshot.
struct Chain {
    known_micros: i64,
    quotes: Vec<Quote>,
}

/// Quotes with a volatility and greeks, by snapshot.
fn chains(greeks: &Columns) -> Result<BTreeMap<i64, Chain>, PipelineError> {
    let (events, knowns, expiries) = (
        greeks.micros("event_time")?,
        greeks.micros("known_at")?,
        greeks.micros("expiry")?,
    );
    let kinds = greeks.texts("option_type")?;
    let (two_sided, outside) = (greeks.i64s("two_sided")?, greeks.i64s("out_of_the_money")?);
    let numbers = QUOTE_VALUES
        .iter()
        .map(|name| greeks.f64s(name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut chains: BTreeMap<i64, Chain> = BTreeMap::new();
    for row in 0..greeks.rows() {
        let chain = chains.entry(events[row]).or_insert(Chain {
            known_micros: knowns[row],
            quotes: Vec::new(),
        });
        chain.known_micros = chain.known_micros.max(knowns[row]);
        let kind = kinds[row].as_deref().and_then(OptionKind::from_word);
        let value = |i: usize| numbers[i][row];
        if let (Some(kind), Some(iv), Some(delta), Some(vega), Some(price)) =
            (kind, value(4), value(5), value(6), value(7))
            && let (Some(expiry_years), Some(forward), Some(strike), Some(log_moneyness)) =
                (value(0), value(1), value(2), value(3))
        {
            chain.quotes.push(Quote {
                expiry_micros: expiries[row],
                kind,
                expiry_years,
                forward,
                strike,
                log_moneyness,
                iv,
                delta,
                vega,
                price,
                sides: value(8).zip(value(9)),
                two_sided: two_sided[row] == Some(1),
                out_of_the_money: outside[row] == Some(1),
            });
        }
    }
    Ok(chains)
}

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
pub(super) fn fit(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
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

/// A morning's model.
struct Morning {
    time: i64,
    known_micros: i64,
    model: Synthetic,
}

/// The complete models by the start of their day.
fn models(fits: &Columns) -> Result<BTreeMap<i64, Morning>, PipelineError> {
    let (events, knowns) = (fits.micros("event_time")?, fits.micros("known_at")?);
    let numbers = FIT_VALUES
        .1
        .iter()
        .map(|name| fits.f64s(name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut models = BTreeMap::new();
    for row in 0..fits.rows() {
        let values: Option<Vec<f64>> = numbers.iter().map(|column| column[row]).collect();
        let Some([realised, multiplier, ratios @ ..]) = values.as_deref() else {
            continue;
        };
        let skew = |from: usize| Skew {
            ratios: std::array::from_fn(|i| ratios[from + i]),
            ..Skew::FLAT
        };
        let model = Synthetic {
            realised: *realised,
            multiplier: *multiplier,
            calls: skew(0),
            puts: skew(ANCHOR_DELTAS.len()),
        };
        let day = events[row] - events[row].rem_euclid(MICROS_PER_DAY);
        let morning = Morning {
            time: events[row],
            known_micros: knowns[row],
            model,
        };
        models.insert(day, morning);
    }
    Ok(models)
}

/// The model by its ingredients: realised volatility alone, with the multiplier, with multiplier and skew.
fn variants(model: &Synthetic) -> [(&'static str, Synthetic); 3] {
    let flat = Synthetic {
        calls: Skew::FLAT,
        puts: Skew::FLAT,
        ..*model
    };
    let realised = Synthetic {
        multiplier: 1.0,
        ..flat
    };
    [("realised", realised), ("flat", flat), ("skewed", *model)]
}

fn compare(model: &Synthetic, quote: &Quote) -> Option<Comparison> {
    let vol = model.vol(quote.kind, quote.forward, quote.strike, quote.expiry_years)?;
    let option = BlackInput::forward(
        quote.kind,
        quote.forward,
        quote.strike,
        quote.expiry_years,
        vol,
    );
    Some(Comparison {
        model: (vol, price(&option).ok()?),
        market: (quote.iv, quote.price),
        vega: quote.vega,
        sides: quote.sides,
    })
}

/// Where a quote stands in the report, or `None` if it is outside of all bands.
fn band(quote: &Quote) -> Option<(&'static str, &'static str)> {
    let find = |bands: &[(f64, f64, &'static str)], value: f64| {
        let band = bands
            .iter()
            .find(|(low, high, _)| (*low..*high).contains(&value));
        band.map(|(_, _, name)| *name)
    };
    Some((
        find(&DAY_BANDS, quote.days())?,
        find(&DELTA_BANDS, quote.delta.abs())?,
    ))
}

/// Scores of one snapshot under one model: (kind, days, delta) to the score, if any, and the quotes without a model price.
type Scores = BTreeMap<(&'static str, &'static str, &'static str), (Option<Score>, usize)>;

fn scores(model: &Synthetic, quotes: &[Quote]) -> Scores {
    let mut groups: BTreeMap<_, (Vec<Comparison>, usize)> = BTreeMap::new();
    for kind in KINDS {
        for quote in quotes
            .iter()
            .filter(|quote| quote.kind == kind && quote.two_sided)
        {
            let Some((days, delta)) = band(quote) else {
                continue;
            };
            let group = groups.entry((kind.word(), days, delta)).or_default();
            match compare(model, quote) {
                Some(comparison) => group.0.push(comparison),
                None => group.1 += 1,
            }
        }
    }
    let judged = groups.into_iter().map(|(key, (comparisons, failed))| {
        let score = score(&comparisons);
        let kept = score.map_or(0, |score| score.quotes);
        (key, (score, failed + comparisons.len() - kept))
    });
    judged.collect()
}

/// One row a snapshot from the morning on, ingredient, side and band: how far the morning's model lies from the chain.
pub(super) fn report(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
    let asset = task.asset()?;
    let chains = chains(task.input("options.greeks")?)?;
    let models = models(task.input("options.skew_fit")?)?;
    let mut times: [Vec<Option<i64>>; 3] = Default::default();
    let mut words: [Vec<Option<String>>; 6] = Default::default();
    let mut counts: [Vec<Option<i64>>; 2] = Default::default();
    let mut numbers: [Vec<Option<f64>>; 6] = Default::default();
    for (time, chain) in &chains {
        let day = time - time.rem_euclid(MICROS_PER_DAY);
        let Some(morning) = models.get(&day).filter(|morning| morning.time <= *time) else {
            continue;
        };
        let sample = match *time == morning.time {
            true => "morning",
            false => "later",
        };
        for (name, model) in variants(&morning.model) {
            for ((kind, days, delta), (score, skipped)) in scores(&model, &chain.quotes) {
                let known = chain.known_micros.max(morning.known_micros);
                for (column, value) in times.iter_mut().zip([*time, known, morning.time]) {
                    column.push(Some(value));
                }
                let labels = [&*asset, sample, name, kind, days, delta];
                for (column, value) in words.iter_mut().zip(labels) {
                    column.push(Some(value.to_owned()));
                }
                let kept = score.map_or(0, |score| score.quotes);
                for (column, value) in counts.iter_mut().zip([kept, skipped]) {
                    column.push(Some(value as i64));
                }
                let values = [
                    score.map(|s| s.vega),
                    score.map(|s| s.mae_vol),
                    score.map(|s| s.bias_vol),
                    score.map(|s| s.mae_share),
                    score.map(|s| s.bias_share),
                    score.and_then(|s| s.inside_share),
                ];
                for (column, value) in numbers.iter_mut().zip(values) {
                    column.push(value);
                }
            }
        }
    }
    let [events, knowns, fitted] = times.map(Out::Ts);
    let [assets, samples, names, kinds, days, deltas] = words.map(Out::Utf8);
    let [kept, skipped] = counts.map(Out::I64);
    let mut columns = vec![
        assets, events, knowns, fitted, samples, names, kinds, days, deltas, kept, skipped,
    ];
    columns.extend(numbers.map(Out::F64));
    batch(&task.schema, columns)
}
