//! How far a morning's model lies from the chains of its day.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use lakectl_core::MICROS_PER_DAY;
use lakectl_options::OptionKind;
use lakectl_options::black::{BlackInput, price};
use lakectl_options::synthetic::{ANCHOR_DELTAS, Comparison, Score, Skew, Synthetic, score};

use super::super::{Columns, Made, NativeTask, Out, Uses, batch};
use super::{KEYS, QUOTES, Quote, chains};
use crate::PipelineError;

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

/// What the columns of `skew_report` are made of.
pub(in super::super) const REPORT_MADE: &[Made] = &[
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
pub(in super::super) fn report(task: &NativeTask) -> Result<RecordBatch, PipelineError> {
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
